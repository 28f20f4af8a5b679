//! Real clients against the built program: gRPC from generated stubs and through reflection alone, and plain HTTP, all
//! three in Python. And what only the program itself can show: refusing a public address, stopping when told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long anything here may take: far above what it takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program in a folder of its own, with nothing of our environment but the path: variables that look like settings
/// are refused by name.
fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(folder).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command
}

/// A server with sample data on ports of its own choice; killed when dropped.
struct Server {
    child: Child,
    grpc: String,
    http: String,
    /// What it says on standard error, line by line.
    log: Receiver<String>,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = program(folder)
            .args(["serve", "--sample", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        let mut server = Self { child, grpc: String::new(), http: String::new(), log };
        while server.grpc.is_empty() || server.http.is_empty() {
            let line = said.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("the server announced no address: {}", server.log.try_iter().collect::<Vec<_>>().join("\n"))
            });
            match line.trim().split_once("  ") {
                Some(("gRPC", address)) => server.grpc = address.to_owned(),
                Some(("HTTP", address)) => server.http = address.to_owned(),
                _ => {}
            }
        }
        server
    }

    fn terminate(&self) {
        // By way of the shell: small systems have no kill beside it.
        let kill = format!("kill -s TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Its exit status, once it has one, and what it logged until then.
    fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let mut log = Vec::new();
        // The pipe ends with the process.
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => log.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", log.join("\n")),
            }
        }
        (self.child.wait().unwrap().code(), log)
    }
}

/// Reads to the end, so that the writer never waits for a full pipe.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    lines
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All cases of `tests/clients/*.py`. `tests/run` says which Python.
#[test]
fn python_clients_get_the_same_right_answers() {
    let python = std::env::var_os("RINGFENCE_PYTHON")
        .expect("RINGFENCE_PYTHON names no Python with grpcio: run the tests with tests/run, which makes one");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Output { status, stdout, stderr } = Command::new(python)
        .args(["-B", "-X", "utf8"])
        .arg(root.join("tests/clients/run.py"))
        .args(["--grpc", &server.grpc, "--http", &server.http])
        .arg("--proto")
        .arg(root.join("proto"))
        // A proxy of the machine must not come between us and the loopback.
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .output()
        .unwrap();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    let summary = stdout.lines().last().unwrap_or_default();
    // For the last line of tests/run: what a passing test prints is not shown.
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-summary.txt"), format!("{summary}\n")).unwrap();
    println!("{stdout}\n{stderr}");
    assert!(status.success(), "{summary}");
    server.terminate();
    let (status, log) = server.ended();
    assert_eq!(status, Some(0), "told to stop, it finishes and says so");
    let log = log.join("\n");
    println!("{log}");
    assert!(!log.contains('\u{1b}'), "colours in a log that nobody sees on a terminal");
    for number in ["3055550", "612345678", "2079460123", "3023125012", "13800138006"] {
        assert!(!log.contains(number), "a whole number in the log");
    }
}

#[test]
fn a_public_address_is_refused_by_its_flag() {
    for (flag, address) in [("--grpc", "0.0.0.0:0"), ("--http", "[::]:0"), ("--grpc", "192.0.2.1:50051")] {
        let folder = tempfile::tempdir().unwrap();
        let output = program(folder.path()).args(["serve", flag, address]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(flag) && said.contains(address) && said.contains("authentication"), "{said}");
        assert!(output.stdout.is_empty(), "nothing was announced");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    }
}

#[test]
fn a_variable_that_is_no_setting_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = program(folder.path()).arg("serve").env("RINGFENCE_GPRC", "127.0.0.1:0").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("RINGFENCE_GPRC"), "{}", text(&output.stderr));
}

#[test]
fn an_address_in_use_is_refused_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program(folder.path()).args(["serve", "--http", "off", "--grpc", &address]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--grpc") && said.contains(&address), "{said}");
}

/// Told to stop while one request is half sent and another connection idles: the idle one is closed, the request is
/// answered, and the exit status is 0.
#[test]
fn told_to_stop_it_answers_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let address = server.http.strip_prefix("http://").unwrap().to_owned();
    let connect = || {
        let wire = TcpStream::connect(&address).unwrap();
        wire.set_read_timeout(Some(PATIENCE)).unwrap();
        wire
    };
    let mut idle = connect();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    let mut wire = connect();
    let body = r#"{"number":"911","channel":"CHANNEL_CALL","purpose":"PURPOSE_MARKETING","seller":"acme"}"#;
    let length = body.len();
    let head = format!(
        "POST /v1/check HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    wire.write_all(head.as_bytes()).unwrap();
    let mut answer = BufReader::new(wire.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 100"), "it waits for the body: {line}");
    server.terminate();
    while !server.log.recv_timeout(PATIENCE).unwrap().contains("stopping") {}
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    wire.write_all(body.as_bytes()).unwrap();
    let mut said = String::new();
    answer.read_to_string(&mut said).unwrap();
    assert!(said.contains("HTTP/1.1 200") && said.contains("RULE_FAMILY_NUMBER"), "{said}");
    let (status, log) = server.ended();
    assert_eq!(status, Some(0), "{log:?}");
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}
