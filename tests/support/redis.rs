//! Real redis-servers: started on free ports in folders of their own, and gone when the test is, however it ends.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to do what a test waits for; far more than it does.
const LONG: Duration = Duration::from_secs(60);

/// Looks again and again until it is so.
pub fn until(what: &str, so: impl FnMut() -> bool) {
    until_or(what, so, String::new);
}

/// The same, with something to say where it never is.
pub fn until_or(what: &str, mut so: impl FnMut() -> bool, why: impl Fn() -> String) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LONG, "not within {LONG:?}: {what}\n{}", why());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on, nor on that 10000 higher. Both are lower than those that outgoing connections are given:
/// one of these would keep a server that was stopped from coming back.
pub fn free_port() -> u16 {
    use std::hash::{BuildHasher as _, Hasher as _};
    loop {
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let port = 10_000 + (random % 12_000) as u16;
        if [port, port + 10_000].into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return port;
        }
    }
}

/// Which server is tested: `RINGFENCE_REDIS_SERVER` names another one than that of the system, such as a newer Redis or a
/// Valkey.
pub fn program() -> String {
    std::env::var("RINGFENCE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// The file of settings in the folder of a server.
const SETTINGS: &str = "redis.conf";

/// Options as they stand on a command line, as lines of a file.
fn lines<'a>(options: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for option in options {
        match option.strip_prefix("--") {
            Some(name) => text += &format!("\n{name}"),
            None if option.is_empty() => text += " \"\"",
            None => text += &format!(" {option}"),
        }
    }
    text + "\n"
}

/// A redis-server (or sentinel).
pub struct Server {
    pub port: u16,
    host: String,
    folder: TempDir,
    process: Option<Process>,
}

/// The server behind a shell that kills it once we are gone: a test that is killed itself leaves nothing running.
struct Process {
    id: u32,
    shell: Child,
    _stdin: ChildStdin,
}

impl Server {
    /// Everything on disk before it is answered, nothing evicted, and these options.
    pub fn start(options: &[&str]) -> Self {
        Self::start_at("127.0.0.1", free_port(), options)
    }

    pub fn start_at(host: &str, port: u16, options: &[&str]) -> Self {
        let mut server = Self::made(host, port, options);
        server.run();
        server
    }

    /// Not started yet.
    pub fn made(host: &str, port: u16, options: &[&str]) -> Self {
        let usual = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory", "512mb"];
        let usual = usual.into_iter().chain(["--repl-diskless-sync-delay", "0"]);
        let options = usual.chain(options.iter().copied());
        let server = Self { port, host: host.to_owned(), folder: tempfile::tempdir().unwrap(), process: None };
        server.write(&format!("port {port}\nbind {host}\n"));
        server.write(&lines(options));
        server
    }

    /// A file of settings: sentinels write into it who follows whom.
    fn write(&self, text: &str) {
        let path = self.folder.path().join(SETTINGS);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(path, before + text).unwrap();
    }

    /// A sentinel that watches a primary called `main`.
    pub fn sentinel(primary: u16, quorum: usize) -> Self {
        Self::sentinel_at("127.0.0.1", free_port(), ("127.0.0.1", primary), quorum, "")
    }

    /// The same at this place, with these lines in its file besides.
    pub fn sentinel_at(host: &str, port: u16, primary: (&str, u16), quorum: usize, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "bind {host}\nport {port}\nsentinel monitor main {} {} {quorum}\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n\
             sentinel parallel-syncs main 2\n{more}",
            primary.0, primary.1
        );
        let mut server = Self { port, host: host.to_owned(), folder, process: None };
        server.write(&text);
        server.run();
        server
    }

    /// Starts it, on what it kept if it ran before.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let settings = self.folder.path().join(SETTINGS);
        let sentinel = std::fs::read_to_string(&settings).unwrap().contains("sentinel monitor");
        // A file that may not grow is met as a full disk is, not as the end of the process.
        let script =
            "trap '' XFSZ; server=$1; shift; \"$server\" \"$@\" >>log 2>&1 & echo $!; cat >/dev/null; kill -9 $!";
        let mut shell = Command::new("sh")
            .args(["-c", script, "redis", &program()])
            .arg(&settings)
            .args(sentinel.then_some("--sentinel"))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = shell.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.process = Some(Process { id: line.trim().parse().unwrap(), shell, _stdin: stdin });
        let begun = Instant::now();
        while !self.answers() {
            let gone = !self.alive() || begun.elapsed() > LONG;
            assert!(!gone, "redis-server did not start; tests/run installs it. Its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        // One that still loads, or wants a password, has started too.
        TcpStream::connect((self.host.as_str(), self.port)).is_ok()
            && ["PONG", "LOADING", "NOAUTH"].iter().any(|said| self.ask(&["PING"]).contains(said))
    }

    fn alive(&self) -> bool {
        let Some(process) = &self.process else { return false };
        Command::new("kill").args(["-0", &process.id.to_string()]).stderr(Stdio::null()).status().unwrap().success()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("redis://{}:{}", self.host, self.port)
    }

    /// What redis-cli says to this.
    pub fn ask(&self, command: &[&str]) -> String {
        let ran = Command::new("timeout")
            .args(["5", "redis-cli", "-h", &self.host, "-p", &self.port.to_string()])
            .args(command)
            .output()
            .expect("redis-cli is missing; tests/run installs it");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    pub fn set(&self, option: &str, value: &str) {
        assert_eq!(self.ask(&["CONFIG", "SET", option, value]), "OK", "{option} {value}");
    }

    /// From its next start on, these options as well.
    pub fn add(&mut self, options: &[&str]) {
        self.write(&lines(options.iter().copied()));
    }

    /// Its files may not grow beyond so many bytes; or `unlimited`.
    pub fn limit_files(&self, bytes: &str) {
        let id = self.process.as_ref().expect("it runs").id.to_string();
        let ran = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:unlimited")]).status();
        assert!(ran.expect("prlimit is missing (util-linux)").success());
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id.to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// It keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Closing its input makes the shell kill the server and end.
            drop(process._stdin);
            let _ = process.shell.wait();
            let gone = || {
                !Command::new("kill")
                    .args(["-0", &process.id.to_string()])
                    .stderr(Stdio::null())
                    .status()
                    .unwrap()
                    .success()
            };
            until("a killed server is gone", gone);
        }
    }

    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// A server that follows this one.
    pub fn replica(&self) -> Self {
        let replica = Self::start(&["--replicaof", &format!("127.0.0.1 {}", self.port)]);
        until("the replica follows", || replica.ask(&["INFO", "replication"]).contains("master_link_status:up"));
        // One that has just joined says what it has once a second only, until it was asked for it.
        let all = self.ask(&["INFO", "replication"]).matches(",state=").count();
        until("every replica says what it has", || self.has_on_replicas().is_some_and(|have| have >= all));
        replica
    }

    /// How many replicas have a write made now.
    fn has_on_replicas(&self) -> Option<usize> {
        let mut client = Command::new("timeout")
            .args(["5", "redis-cli", "-h", &self.host, "-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli is missing; tests/run installs it");
        // One connection: WAIT is about the writes of its own.
        let told = client.stdin.take().map(|mut stdin| stdin.write_all(b"SET warm 1\nDEL warm\nWAIT 9 500\n"));
        let said = client.wait_with_output().ok()?;
        told?.ok()?;
        String::from_utf8_lossy(&said.stdout).lines().last()?.trim().parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os("RINGFENCE_REDIS_LOGS").is_some() {
            eprintln!("--- redis {}:\n{}", self.port, self.log());
        }
        self.kill();
    }
}
