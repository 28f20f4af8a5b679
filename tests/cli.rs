//! The command line as its users meet it: the real program in a fresh folder, its output as text, its exit status.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "cli/answering.rs"]
mod answering;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/control.rs"]
mod control;
#[path = "cli/copy.rs"]
mod copy;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/keeping.rs"]
mod keeping;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/law.rs"]
mod law;
#[path = "cli/reassigned.rs"]
mod reassigned;
#[path = "support/redis.rs"]
mod redis;
#[path = "cli/redis.rs"]
mod redis_store;
#[path = "cli/registry.rs"]
mod registry;
#[path = "cli/restore.rs"]
mod restore;
#[path = "cli/rights.rs"]
mod rights;
#[path = "cli/scrub.rs"]
mod scrub;
#[path = "cli/scrub_again.rs"]
mod scrub_again;
#[path = "cli/scrub_files.rs"]
mod scrub_files;
#[path = "cli/server.rs"]
mod server;
#[path = "cli/soak.rs"]
mod soak;
#[path = "cli/traces.rs"]
mod traces;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Digits of the numbers that these tests use: standard error must show none of them.
const DIGITS: [&str; 6] = ["2025550143", "4155550143", "3055550123", "30231250", "123456789", "2079460018"];

/// A call that is allowed whatever the hour: informational, dialled by hand, to a German landline.
const ALLOWED: [&str; 9] = [
    "check",
    "+4930231250",
    "--channel=call",
    "--purpose=informational",
    "--technology=manual",
    "--recipient=consumer",
    "--line-type=landline",
    "--seller",
    "acme",
];

/// A fresh folder, in which the program is run.
struct Home(tempfile::TempDir);

/// How a run ended.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What is in the folder, by name.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"", &[])
    }

    fn run_with(&self, arguments: &[&str], stdin: &[u8], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that reads nothing closes its end.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        for digits in DIGITS {
            assert!(!ran.err.contains(digits), "a whole number on standard error:\n{}", ran.err);
        }
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
        ran
    }
}

impl Ran {
    /// Ended so, and said nothing on standard error.
    #[track_caller]
    fn quietly(self, code: i32) -> Self {
        assert_eq!((self.code, self.err.as_str()), (Some(code), ""), "{}", self.out);
        self
    }

    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        self
    }

    /// An error that names all of this, and no answer beside it.
    #[track_caller]
    fn refused(self, words: &[&str]) -> Self {
        let ran = self.code(2);
        assert_eq!(ran.out, "");
        for word in words {
            assert!(ran.err.contains(word), "`{word}` is not in: {}", ran.err);
        }
        ran
    }

    #[track_caller]
    fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.out.contains(word), "`{word}` is not in:\n{}", self.out);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// The arguments, with more of them.
fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// A folder with data in it: one opt-out.
fn with_data() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    home.run(&["contact", "opt-out", "+12025550143", "--everything"]).quietly(0);
    home
}

/// The files of the audit log.
fn segments(data: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(data.join("audit")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}
