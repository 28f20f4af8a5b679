//! The same commands against a running server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{ALLOWED, Home, with};

/// A server on a port of its own; ended when dropped.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Bytes of memory that it has.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
    }

    /// Tells it to stop, and waits until it has: whether all went well.
    pub fn stopped(mut self) -> bool {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        told.success() && self.child.wait().unwrap().success()
    }
}

fn serve(home: &Home) -> Server {
    serve_with(home, &[])
}

pub fn serve_with(home: &Home, more: &[&str]) -> Server {
    serve_at(home, "127.0.0.1:0", more)
}

/// The same at an address of its own.
pub fn serve_at(home: &Home, address: &str, more: &[&str]) -> Server {
    let mut command = home.command();
    command.args(["serve", "--grpc", address, "--http=off"]).args(more).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_whitespace().find_map(|word| word.parse::<std::net::SocketAddr>().ok()))
        .expect("the server says where it listens");
    Server { child, url: format!("http://{address}") }
}

#[test]
fn a_server_answers_check_contact_and_scrub() {
    let home = Home::new();
    let server = serve(&home);
    let at = ["--server", server.url.as_str()];
    home.run(&with(&ALLOWED, &at)).quietly(0).says(&["ALLOWED", "+493023••50"]);
    home.run(&with(&["contact", "show", "+4930231250"], &at)).quietly(1).says(&["Nothing is stored"]);
    let opt_out = with(&["contact", "opt-out", "+4930231250", "--seller=acme"], &at);
    home.run(&opt_out).quietly(0).says(&["Opted out: +493023••50"]);
    home.run(&with(&["contact", "show", "+4930231250"], &at)).quietly(0).says(&["seller acme"]);
    home.run(&with(&ALLOWED, &at)).quietly(1).says(&["OBJECTION"]);
    home.write(
        "in.csv",
        format!("phone,tz\n+4930231250,\nabc,\n{}+4930231251,Nowhere/X\n", "+4930231251,\n".repeat(1_200)),
    );
    let scrub = ["scrub", "in.csv", "--output=out.csv", "--time-zone-column=tz", "--json"];
    let summary = home.run(&with(&with(&scrub, &ALLOWED[2..]), &at)).code(0).json();
    assert_eq!((&summary["rows"], &summary["allowed"]), (&1_203.into(), &1_200.into()));
    for (family, rows) in [("OBJECTION", 1), ("NUMBER", 1), ("INVALID_ARGUMENT", 1)] {
        assert_eq!(summary["reasons"][family], rows, "{summary}");
    }
    home.run(&with(&with(&ALLOWED, &["--time-zone=Mars"]), &at)).refused(&["--time-zone", "America/Phoenix"]);
    // Its folder is its own while it runs, and the hint says what to do.
    home.run(&ALLOWED).refused(&["in use", "--server"]);
    home.run(&["audit", "verify"]).quietly(0).says(&["NOT compared"]);
    drop(server);
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND", "compared"]);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    home.run(&with(&ALLOWED, &["--server", &url])).refused(&[&url, "no answer", "serve"]);
    for bad in ["localhost:50051", "ftp://127.0.0.1:50051", "http://", "nonsense"] {
        home.run(&with(&ALLOWED, &["--server", bad])).refused(&["--server", "http://127.0.0.1:50051"]);
    }
    fs::create_dir(home.path("d")).unwrap();
    home.run(&with(&ALLOWED, &["--server", &url, "--data=d"])).refused(&["--server", "--data"]);
    // Of variables, the server is asked before the folder.
    let variables = [("RINGFENCE_SERVER", url.as_str()), ("RINGFENCE_DATA", "d")];
    home.run_with(&ALLOWED, b"", &variables).refused(&["no answer"]);
}
