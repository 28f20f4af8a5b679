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
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LONG, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody listens on, low enough that 10000 more is a port as well.
pub fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

/// A redis-server (or sentinel).
pub struct Server {
    pub port: u16,
    folder: TempDir,
    options: Vec<String>,
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
        Self::start_on(free_port(), options)
    }

    pub fn start_on(port: u16, options: &[&str]) -> Self {
        let usual = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory", "512mb"];
        let usual = usual.into_iter().chain(["--repl-diskless-sync-delay", "0"]);
        let options = usual.chain(options.iter().copied()).map(str::to_owned).collect();
        let mut server = Self { port, folder: tempfile::tempdir().unwrap(), options, process: None };
        server.run();
        server
    }

    /// A sentinel that watches a primary called `main`.
    pub fn sentinel(primary: u16, quorum: usize) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "port {port}\nsentinel monitor main 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n\
             sentinel parallel-syncs main 2\n"
        );
        std::fs::write(folder.path().join("sentinel.conf"), text).unwrap();
        let options = vec!["--sentinel".to_owned()];
        let mut server = Self { port, folder, options, process: None };
        server.run();
        server
    }

    /// Starts it, on what it kept if it ran before.
    pub fn run(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut arguments = Vec::new();
        if self.options.iter().any(|option| option == "--sentinel") {
            arguments.push(self.folder.path().join("sentinel.conf").display().to_string());
        } else {
            arguments.extend(["--port".to_owned(), self.port.to_string(), "--bind".to_owned(), "127.0.0.1".to_owned()]);
        }
        arguments.extend(self.options.iter().cloned());
        let script = "redis-server \"$@\" >>log 2>&1 & echo $!; cat >/dev/null; kill -9 $!";
        let mut shell = Command::new("sh")
            .args(["-c", script, "redis"])
            .args(arguments)
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
        TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.ask(&["PING"]).contains("PONG")
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
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What redis-cli says to this.
    pub fn ask(&self, command: &[&str]) -> String {
        let ran = Command::new("timeout")
            .args(["5", "redis-cli", "-p", &self.port.to_string()])
            .args(command)
            .output()
            .expect("redis-cli is missing; tests/run installs it");
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    pub fn set(&self, option: &str, value: &str) {
        assert_eq!(self.ask(&["CONFIG", "SET", option, value]), "OK", "{option} {value}");
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
            .args(["5", "redis-cli", "-p", &self.port.to_string()])
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

/// A primary with two replicas, watched by three sentinels.
pub struct Trio {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Server>,
}

impl Trio {
    pub fn start() -> Self {
        let primary = Server::start(&[]);
        let replicas = [primary.replica(), primary.replica()];
        let sentinels: Vec<_> = (0..3).map(|_| Server::sentinel(primary.port, 2)).collect();
        let servers = std::iter::once(primary).chain(replicas).collect();
        let trio = Self { servers, sentinels };
        trio.settled();
        trio
    }

    /// Waits until every sentinel that runs knows the two others and both replicas, and both follow.
    pub fn settled(&self) {
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.runs()) {
            until("the sentinels know each other and the replicas", || {
                let text = sentinel.ask(&["INFO", "sentinel"]);
                text.contains("status=ok") && text.contains("slaves=2,sentinels=3")
            });
        }
        until("both replicas follow", || {
            let at = self.primary();
            at.is_some_and(|at| self.servers[at].ask(&["INFO", "replication"]).matches("state=online").count() == 2)
        });
    }

    /// Which server the first sentinel calls the primary.
    pub fn primary(&self) -> Option<usize> {
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.runs())?;
        let text = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        let port: u16 = text.lines().nth(1)?.trim().parse().ok()?;
        self.servers.iter().position(|server: &Server| server.port == port)
    }

    pub fn url(&self) -> String {
        let list: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/main", list.join(","))
    }
}

/// Three primaries with a replica each.
pub struct Cluster {
    pub servers: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        let servers: Vec<_> = (0..6).map(|_| Server::start(&options)).collect();
        let places: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&places)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { servers };
        cluster.settled();
        cluster
    }

    /// Waits until every node agrees that all slots are served and every replica follows.
    pub fn settled(&self) {
        for server in &self.servers {
            until("the cluster is whole", || {
                let nodes = server.ask(&["CLUSTER", "NODES"]);
                let role = server.ask(&["INFO", "replication"]);
                server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
                    && nodes.matches("slave").count() == 3
                    && !nodes.contains("fail")
                    && (role.contains("master_link_status:up") || role.contains("state=online"))
            });
        }
    }

    pub fn primaries(&self) -> Vec<usize> {
        let is = |server: &Server| server.runs() && server.ask(&["ROLE"]).starts_with("master");
        (0..self.servers.len()).filter(|at| is(&self.servers[*at])).collect()
    }

    pub fn url(&self) -> String {
        let list: Vec<_> = self.servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("redis+cluster://{}", list.join(","))
    }
}
