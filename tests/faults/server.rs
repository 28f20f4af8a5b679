//! The real program in a folder of its own: started, killed, stopped, asked for its verdict.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// A cap that holds at any hour of the day: whatever the clock says while the tests run, notices are allowed until it is
/// full.
pub const CAP: usize = 3;
const PACK: &str = r#"
[pack]
jurisdiction = "ZZ"
title = "House rules of the tests"
reviewed = 2026-11-21
zone = "UTC"
policy = true

[[rule]]
id = "house.cap"
kind = "cap"
applies = { channel = ["call", "text"], purpose = "informational" }
limit = 3
window = "24h"
counts = { per = ["seller"] }
citation = "House rule 1"
confidence = "policy"
summary = "At most three notices of one seller in any 24 hours."
"#;

/// A folder for one server: its data, keys and packs, and what it says on standard error.
pub struct House {
    folder: tempfile::TempDir,
    /// Where the data folder is.
    pub data: PathBuf,
    /// What the program is started through, such as `nsenter` into a namespace where the disk is small.
    pub through: Vec<OsString>,
    /// The address of the HTTP listener, or `off`.
    pub http: String,
    /// Further options of `serve`, such as another store.
    pub more: Vec<String>,
}

impl House {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("packs")).unwrap();
        fs::write(folder.path().join("packs/house.toml"), PACK).unwrap();
        let data = folder.path().join("data");
        Self { data, folder, through: Vec::new(), http: "off".to_owned(), more: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn keys(&self) -> PathBuf {
        self.path().join("keys")
    }

    /// Everything the servers of this folder said on standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// The program, with nothing of this process's environment.
    pub fn program(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_ringfence");
        let mut command = match self.through.split_first() {
            None => Command::new(binary),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary);
                command
            }
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// `serve` on this folder.
    pub fn serve(&self) -> Command {
        self.serve_with(&self.data, &self.keys())
    }

    /// `serve` on other data or with other keys.
    pub fn serve_with(&self, data: &Path, keys: &Path) -> Command {
        let mut command = self.program();
        command.arg("serve").arg("--data").arg(data).arg("--keys").arg(keys);
        command.arg("--packs").arg(self.path().join("packs"));
        command.args(["--grpc", "127.0.0.1:0", "--http", &self.http]).args(&self.more);
        command
    }

    /// Starts it and does not wait for anything.
    pub fn spawn(&self) -> Child {
        self.spawn_as(self.serve())
    }

    fn spawn_as(&self, mut serve: Command) -> Child {
        let log: File = OpenOptions::new().create(true).append(true).open(self.path().join("log")).unwrap();
        serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
    }

    /// Starts it and waits until it serves.
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|status| panic!("the server ended with {status}:\n{}", self.said()))
    }

    /// Starts it by this command and waits until it serves.
    #[allow(dead_code, reason = "tests of regions use it")]
    pub fn start_as(&self, serve: Command) -> Server {
        let started = Self::started(self.spawn_as(serve));
        started.unwrap_or_else(|status| panic!("the server ended with {status}:\n{}", self.said()))
    }

    /// Starts it and waits until it serves, or ends.
    pub fn try_start(&self) -> Result<Server, ExitStatus> {
        Self::started(self.spawn())
    }

    fn started(mut child: Child) -> Result<Server, ExitStatus> {
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut server = Server { child, address: None, _stdout: None };
        let mut line = String::new();
        while stdout.read_line(&mut line).unwrap() > 0 {
            if let Some(address) = line.trim().strip_prefix("gRPC") {
                server.address = Some(address.trim().parse().unwrap());
                server._stdout = Some(stdout);
                return Ok(server);
            }
            line.clear();
        }
        Err(server.child.wait().unwrap())
    }

    /// A server that must not start: its exit status must be 2, and what it says one line.
    pub fn refused(&self) -> String {
        refusal(self.serve())
    }

    /// `ringfence audit verify` on the data.
    pub fn verify(&self) -> Verdict {
        let output = self.program().args(["audit", "verify", "--data"]).arg(&self.data).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        Verdict { status: output.status.code(), text }
    }

    /// The log must be whole, and must have been compared with the store.
    pub fn assert_sound(&self) {
        let verdict = self.verify();
        assert_eq!(verdict.status, Some(0), "{}", verdict.text);
        assert!(verdict.text.contains("SOUND") && verdict.text.contains("compared with what"), "{}", verdict.text);
    }
}

/// What a server that must not start says: exit status 2 and one line.
pub fn refusal(mut serve: Command) -> String {
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    if stdout.read_line(&mut line).unwrap() > 0 {
        kill(&mut child);
        panic!("it serves: {line}");
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.lines().count(), 1, "more than one line:\n{text}");
    assert!(text.starts_with("error: "), "{text}");
    text
}

/// What `audit verify` said.
pub struct Verdict {
    pub status: Option<i32>,
    pub text: String,
}

/// A running server. Ends with the value.
pub struct Server {
    child: Child,
    address: Option<SocketAddr>,
    /// Held, so that the server never writes into a closed pipe.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no cleaning up.
    pub fn kill(mut self) {
        kill(&mut self.child);
    }

    /// `STOP`, `CONT`, `TERM`.
    pub fn signal(&self, name: &str) {
        let done = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(done.success());
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// It must still run.
    pub fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the server ended by itself");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(&mut self.child);
    }
}

pub fn kill(child: &mut Child) {
    // It may have ended by itself, and been waited for.
    let _ = child.kill();
    let _ = child.wait();
}
