//! What is in `deploy/`: image, compose, chart, unit, alerts, dashboard, documents. Each is held against the program as it
//! is: its settings, its flags, its metrics. What this machine has no tool for is not passed over: it stands in
//! `deploy-not-run.txt` of the target folder, and `tests/run` prints it last.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "deploy/calls.rs"]
mod calls;
#[path = "deploy/chart.rs"]
mod chart;
#[path = "deploy/compose.rs"]
mod compose;
#[path = "deploy/crates.rs"]
mod crates;
#[path = "deploy/image.rs"]
mod image;
#[path = "deploy/links.rs"]
mod links;
#[path = "deploy/ready.rs"]
mod ready;
#[path = "support/redis.rs"]
mod redis;
#[path = "deploy/reference.rs"]
mod reference;
#[path = "deploy/release.rs"]
mod release;
#[path = "deploy/sandbox.rs"]
mod sandbox;
#[path = "deploy/unit.rs"]
mod unit;
#[path = "deploy/watching.rs"]
mod watching;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ringfence::config::{self, KEYS, Sources};
use serde_json::Value;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ringfence");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The program, with nothing of our environment but the path: variables that look like settings are refused by name.
fn program() -> Command {
    clean(PROGRAM)
}

fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).stdin(Stdio::null());
    command
}

/// A program of the system.
fn tool(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Says, where it is seen, that a check was not made.
fn not_run(what: &str, why: &str) {
    let line = format!("NOT RUN: {what}: {why}\n");
    print!("{line}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("deploy-not-run.txt");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    // One write: tests run beside each other.
    file.write_all(line.as_bytes()).unwrap();
}

/// The tool, or a note that what it would have checked was not.
fn tool_or_note(name: &str, what: &str) -> Option<PathBuf> {
    let found = tool(name);
    if found.is_none() {
        not_run(what, &format!("there is no {name} here"));
    }
    found
}

#[track_caller]
fn good(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{said}");
    said
}

/// Runs Python of the tests' environment on standard input.
#[track_caller]
fn python(script: &str, arguments: &[&Path], input: &str) -> String {
    let python = std::env::var_os("RINGFENCE_PYTHON")
        .expect("RINGFENCE_PYTHON names no Python with PyYAML: run the tests with tests/run, which makes one");
    let mut command = Command::new(python);
    command.args(["-B", "-X", "utf8", "-c", script]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("Python starts");
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The documents of a YAML text. A key that stands twice is an error, as it is to those who read these files.
#[track_caller]
fn yaml(text: &str) -> Vec<Value> {
    let script = "import json, sys, yaml\n\
        class Once(yaml.SafeLoader):\n\
        \x20   def construct_mapping(self, node, deep=False):\n\
        \x20       keys = [k.value for k, _ in node.value if k.tag != 'tag:yaml.org,2002:merge']\n\
        \x20       assert len(keys) == len(set(keys)), f'{node.start_mark}: a key stands twice: {keys}'\n\
        \x20       return super().construct_mapping(node, deep)\n\
        json.dump([d for d in yaml.load_all(sys.stdin, Once) if d is not None], sys.stdout, default=str)";
    serde_json::from_str(&python(script, &[], text)).unwrap()
}

/// The only document of a YAML file.
#[track_caller]
fn yaml_file(path: &str) -> Value {
    let mut all = yaml(&read(path));
    assert_eq!(all.len(), 1, "{path} holds one document");
    all.remove(0)
}

/// Every variable that looks like a setting is one, and the server takes its value.
#[track_caller]
fn is_taken(whose: &str, variables: &BTreeMap<String, String>) {
    for name in variables.keys().filter(|name| name.starts_with("RINGFENCE_")) {
        let is_key = |(key, ..): &&(&str, &str, &str)| *name == format!("RINGFENCE_{}", key.to_uppercase());
        assert!(KEYS.iter().any(|key| is_key(&key)), "{whose}: {name}: no setting goes by this name");
    }
    let taken = config::resolve(&Sources { file: None, env: &|name| variables.get(name).cloned(), flag: &|_| None });
    let faults = taken.err().unwrap_or_default();
    assert!(faults.is_empty(), "{whose}: {}", faults.join("\n"));
}

/// Every flag of a command line of the program is one of that command.
#[track_caller]
fn is_understood(whose: &str, arguments: &[&str]) {
    // A flag that is none ends before help is shown, and so does a value that is no value.
    let output = program().args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{whose}: {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

/// A server that ends with the test.
pub struct Stopped(pub std::process::Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
