//! The real program: keys made, shown once, used, expired, revoked; what a wrong one costs; what the log says.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A folder with a server's data and the file of those who may ask.
pub struct Folder {
    folder: tempfile::TempDir,
}

/// A running server. Ends with the value.
pub struct Server {
    child: Child,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    /// Held, so that the server never writes into a closed pipe.
    _stdout: std::io::BufReader<std::process::ChildStdout>,
}

impl Server {
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Folder {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.env_clear().current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command that must succeed; what it says.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.program().args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must be refused; why.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.program().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Lets somebody ask; the key.
    pub fn admit(&self, name: &str, tenant: &str, roles: &str) -> String {
        self.run(&["access", "new", name, "--tenant", tenant, "--role", roles]).trim().to_owned()
    }

    /// Everything the servers of this folder said on standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Starts `serve` with these settings beside the usual ones, and waits until it serves.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Server {
        use std::io::BufRead as _;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.program();
        command.args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--access", "ringfence-access.toml"]);
        for (key, text) in settings {
            command.env(format!("RINGFENCE_{}", key.to_uppercase()), text);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        let (mut grpc, mut http, mut line) = (None, None, String::new());
        while http.is_none() {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "the server ended:\n{}", self.said());
            let last = line.split_whitespace().last().unwrap_or_default().trim_start_matches("http://");
            let last = last.trim_start_matches("https://");
            if line.trim().starts_with("gRPC") {
                let address = line.split_whitespace().nth(1).unwrap();
                grpc = address.parse().ok();
            } else if line.trim().starts_with("HTTP") {
                http = last.parse().ok();
            }
        }
        Server { child, grpc: grpc.unwrap(), http: http.unwrap(), _stdout: stdout }
    }
}

/// The status and the body of an answer.
pub fn parse(answer: &str) -> (u16, Value) {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (code, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
}

/// An HTTP request, the connection to be closed after its answer.
pub fn written(method: &str, path: &str, key: Option<&str>, body: &str) -> String {
    let key = key.map_or(String::new(), |key| format!("authorization: Bearer {key}\r\n"));
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{key}content-length: {length}\r\n\r\n{body}")
}

pub fn ask(server: SocketAddr, method: &str, path: &str, key: Option<&str>, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.write_all(written(method, path, key, body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    parse(&answer)
}

pub const QUESTION: &str = r#"{"number":"+13055550123","channel":"CHANNEL_CALL","purpose":"PURPOSE_SURVEY","seller":"acme",
    "technology":"TECHNOLOGY_MANUAL","dryRun":true}"#;

pub fn check(server: SocketAddr, key: Option<&str>) -> (u16, Value) {
    ask(server, "POST", "/v1/check", key, QUESTION)
}

fn reason(body: &Value) -> &str {
    body["details"].as_array().and_then(|all| all.iter().find_map(|one| one["reason"].as_str())).unwrap_or_default()
}

/// Asks again and again until it is so, and not for ever.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
    }
}

#[test]
fn a_key_is_shown_once_used_and_revoked_while_serving() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    assert!(
        key.starts_with("rfk_") && !fs::read_to_string(folder.path("ringfence-access.toml")).unwrap().contains(&key)
    );
    let server = folder.serve(&[]);
    assert_eq!(check(server.http, Some(&key)).0, 200);
    let (code, body) = check(server.http, None);
    assert_eq!((code, reason(&body)), (401, "CREDENTIALS_MISSING"), "{body}");
    let wrong = format!("rfk_{}", "B".repeat(43));
    let (code, body) = check(server.http, Some(&wrong));
    assert_eq!((code, reason(&body)), (401, "CREDENTIALS_UNKNOWN"), "{body}");
    let (code, body) = ask(server.http, "POST", "/v1/contacts:get", Some(&key), r#"{"number":"+13055550123"}"#);
    assert_eq!((code, reason(&body)), (403, "ROLE_MISSING"), "{body}");
    // Somebody of a new tenant, while serving.
    let second = folder.admit("gateway", "beta", "check,write-consent");
    until("the new caller is known", || check(server.http, Some(&second)).0 == 200);
    folder.run(&["access", "revoke", "dialer"]);
    until("the key is revoked", || check(server.http, Some(&key)).0 == 401);
    assert_eq!(reason(&check(server.http, Some(&key)).1), "CREDENTIALS_REVOKED");
    assert_eq!(check(server.http, Some(&second)).0, 200);
    for word in ["CREDENTIALS_MISSING", "CREDENTIALS_UNKNOWN", "CREDENTIALS_REVOKED", "lacks the role", "127.0.0.1"] {
        until(word, || folder.said().contains(word));
    }
    let said = folder.said();
    for secret in [&key, &second, &wrong] {
        assert!(!said.contains(&secret[4..]), "a secret is in the log");
    }
    // The names of those who were revoked are never given again.
    let refused = folder.refused(&["access", "new", "dialer", "--tenant", "acme", "--role", "check"]);
    assert!(refused.contains("taken"), "{refused}");
}

#[test]
fn who_is_revoked_is_so_in_the_file_that_the_settings_name() {
    let folder = Folder::new();
    let stray = folder.path("ringfence-access.toml");
    folder.admit("dialer", "acme", "check");
    fs::rename(&stray, folder.path("own.toml")).unwrap();
    folder.admit("dialer", "acme", "check");
    let before = fs::read_to_string(&stray).unwrap();
    fs::write(folder.path("ringfence.toml"), "access = \"own.toml\"\n").unwrap();
    let told = folder.run(&["access", "revoke", "dialer"]);
    assert!(told.contains("own.toml"), "{told}");
    assert!(fs::read_to_string(folder.path("own.toml")).unwrap().contains("[[revoked]]"));
    assert_eq!(fs::read_to_string(&stray).unwrap(), before, "the file that no server has is as it was");
    assert!(folder.run(&["access", "list"]).contains("revoked"));
    // From elsewhere it is not known which file that is.
    fs::create_dir(folder.path("etc")).unwrap();
    fs::write(folder.path("etc/s.toml"), "access = \"own.toml\"\n").unwrap();
    let refused = folder.refused(&["access", "list", "--config", "etc/s.toml"]);
    assert!(refused.contains("own.toml") && refused.contains("--access"), "{refused}");
    // What is named wins, and settings at fault name nothing.
    assert!(!folder.run(&["access", "list", "--access", "ringfence-access.toml"]).contains("revoked"));
    fs::write(folder.path("ringfence.toml"), "acess = \"own.toml\"\n").unwrap();
    let refused = folder.refused(&["access", "revoke", "dialer"]);
    assert!(refused.contains("acess") && refused.contains("--access"), "{refused}");
    assert_eq!(fs::read_to_string(&stray).unwrap(), before);
}

#[test]
fn what_has_expired_is_nobodys_and_a_bad_file_changes_nothing() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let path = folder.path("ringfence-access.toml");
    let server = folder.serve(&[]);
    assert_eq!(check(server.http, Some(&key)).0, 200);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{good}\n[[caller]]\nname = \"x\"\n")).unwrap();
    until("the fault is told", || folder.said().contains("refused; the old one stays in force"));
    assert_eq!(check(server.http, Some(&key)).0, 200);
    fs::write(&path, format!("{good}expires = \"2026-01-01T00:00:00Z\"\n")).unwrap();
    until("the key has expired", || check(server.http, Some(&key)).0 == 401);
    assert_eq!(reason(&check(server.http, Some(&key)).1), "CREDENTIALS_EXPIRED");
    let listed = folder.run(&["access", "list"]);
    assert!(listed.contains("expired") && listed.contains("dialer"), "{listed}");
}

#[test]
fn a_wrong_key_waits_and_a_right_one_never() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    let http = server.http;
    // Each waits twice as long as the one before; the seventh 3.2 seconds.
    for _ in 0..6 {
        assert_eq!(check(http, Some("rfk_wrong")).0, 401);
    }
    let guessing = std::thread::spawn(move || check(http, Some("rfk_wrong")).0);
    until("the guess is under way", || folder.said().matches("CREDENTIALS_UNKNOWN").count() >= 7);
    for _ in 0..5 {
        assert_eq!(check(http, Some(&key)).0, 200);
    }
    assert!(!guessing.is_finished(), "the guess is still waiting while right keys were answered");
    assert_eq!(guessing.join().unwrap(), 401);
}

#[test]
fn what_anybody_may_ask_says_nothing_of_the_server() {
    let folder = Folder::new();
    let (dialer, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let server = folder.serve(&[]);
    let get = |path: &str, key: Option<&str>| ask(server.http, "GET", path, key, "");
    assert_eq!(get("/livez", None).0, 200);
    let (code, body) = get("/readyz", None);
    let names: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((code, names, &body["ready"]), (200, vec!["ageMs", "notReady", "ready"], &Value::Bool(true)), "{body}");
    assert_eq!(body["notReady"].as_array().unwrap().len(), 0, "{body}");
    assert_eq!(get("/readyz", Some(&dialer)).1.get("rulesVersion"), None);
    assert!(get("/readyz", Some(&operator)).1.get("rulesVersion").is_some());
    assert_eq!((get("/metrics", None).0, get("/metrics", Some(&dialer)).0), (401, 403));
    let (code, metrics) = get("/metrics", Some(&operator));
    assert!(code == 200 && metrics.as_str().unwrap().contains("ringfence_refusals_total"), "{metrics}");
    assert_eq!(get("/readyz", Some("rfk_wrong")).0, 401, "a wrong key is a guess wherever it is shown");
}

#[test]
fn other_addresses_need_authentication_and_tls() {
    let folder = Folder::new();
    let refused = folder.refused(&["serve", "--grpc", "0.0.0.0:0", "--http", "off"]);
    assert!(refused.contains("no authentication"), "{refused}");
    folder.admit("dialer", "acme", "check");
    let access = "ringfence-access.toml";
    let refused = folder.refused(&["serve", "--grpc", "0.0.0.0:0", "--http", "off", "--access", access]);
    assert!(refused.contains("no TLS"), "{refused}");
    let refused = folder.refused(&["serve", "--grpc", "127.0.0.1:0", "--access", "elsewhere.toml"]);
    assert!(refused.contains("elsewhere.toml") && refused.contains("access new"), "{refused}");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.path(access), fs::Permissions::from_mode(0o666)).unwrap();
    let refused = folder.refused(&["serve", "--grpc", "127.0.0.1:0", "--http", "off", "--access", access]);
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn the_command_line_shows_its_key() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    let address = format!("http://{}", server.grpc);
    let question =
        ["check", "+13055550123", "--channel=call", "--purpose=survey", "--seller=acme", "--server", &address];
    let run = |key: Option<&str>| {
        let mut command = folder.program();
        command.args(question);
        if let Some(key) = key {
            command.env("RINGFENCE_API_KEY", key);
        }
        command.output().unwrap()
    };
    let refused = run(None);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no credentials"));
    let answered = run(Some(&key));
    assert!(matches!(answered.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&answered.stderr));
}

#[test]
fn data_of_a_tenant_are_found_under_its_name_alone() {
    let folder = Folder::new();
    let key = folder.admit("gateway", "acme", "write-consent");
    let server = folder.serve(&[]);
    let said =
        r#"{"number":"+13055550123","requestId":"o","scope":{"everything":true},"source":"OPT_OUT_SOURCE_PHONE"}"#;
    let (code, body) = ask(server.http, "POST", "/v1/opt-outs:record", Some(&key), said);
    assert_eq!(code, 200, "{body}");
    drop(server);
    let show = ["contact", "show", "+13055550123", "--json"];
    let shown = folder.run(&[&show[..], &["--tenant", "acme"]].concat());
    assert!(shown.contains("optOuts"), "{shown}");
    let output = folder.program().args(show).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains("optOuts"), "of the tenant `default` nothing is kept");
}

pub const HOUSE_RULES: &str = r#"
[pack]
jurisdiction = "ZZ"
title = "House rules of acme"
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

#[test]
fn packs_of_a_tenant_hold_for_it_alone_and_are_read_again() {
    let folder = Folder::new();
    let (acme, beta) = (folder.admit("a", "acme", "check"), folder.admit("b", "beta", "check"));
    let own = folder.path("packs-of/acme");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("house.toml"), HOUSE_RULES).unwrap();
    let server = folder.serve(&[("tenant_packs", "packs-of")]);
    let law = |key: &str| ask(server.http, "GET", "/v1/law/packs", Some(key), "").1;
    let has = |key: &str| law(key).to_string().contains("House rules of acme");
    assert!(has(&acme) && !has(&beta));
    // The metrics name the law of each, and no law that was.
    let operator = folder.admit("ops", "beta", "operate");
    until("the operator is known", || ask(server.http, "GET", "/metrics", Some(&operator), "").0 == 200);
    let in_force = |tenant: &str| {
        let metrics = ask(server.http, "GET", "/metrics", Some(&operator), "").1;
        let text = metrics.as_str().unwrap();
        assert!(text.contains(&format!("ringfence_law_loaded_timestamp_seconds{{tenant=\"{tenant}\"}} ")), "{text}");
        let begin = format!("ringfence_law_in_force{{tenant=\"{tenant}\",rules_version=\"");
        let versions = text.lines().filter_map(|line| line.strip_prefix(&begin)?.strip_suffix("\"} 1"));
        versions.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = in_force("acme");
    assert_eq!(first, [law(&acme)["rulesVersion"].as_str().unwrap()]);
    assert_eq!(in_force("beta"), [law(&beta)["rulesVersion"].as_str().unwrap()]);
    assert_ne!(law(&acme)["rulesVersion"], law(&beta)["rulesVersion"]);
    fs::write(own.join("house.toml"), "[pack]\n").unwrap();
    until("the fault is told", || folder.said().contains("packs of this tenant are refused"));
    assert!(has(&acme), "the old ones stay");
    fs::remove_dir_all(&own).unwrap();
    until("they are gone", || !has(&acme));
    until("the metrics say so, and name no law that was", || in_force("acme") == in_force("beta"));
    assert_ne!(in_force("acme"), first);
    assert_eq!(law(&acme)["rulesVersion"], law(&beta)["rulesVersion"]);
    assert_eq!(check(server.http, Some(&acme)).0, 200);
}

#[test]
fn data_that_nobody_may_ask_for_and_names_that_have_none_are_told() {
    let folder = Folder::new();
    let key = folder.admit("gateway", "default", "write-consent");
    let server = folder.serve(&[]);
    let said =
        r#"{"number":"+13055550123","requestId":"o","scope":{"everything":true},"source":"OPT_OUT_SOURCE_PHONE"}"#;
    assert_eq!(ask(server.http, "POST", "/v1/opt-outs:record", Some(&key), said).0, 200);
    drop(server);
    fs::remove_file(folder.path("ringfence-access.toml")).unwrap();
    let other = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    until("data of nobody are told", || folder.said().contains("no caller has it"));
    until("an empty tenant is told", || folder.said().contains("nothing is stored of this tenant yet"));
    assert_eq!(check(server.http, Some(&other)).0, 200);
    drop(server);
    let refused = folder.refused(&["contact", "show", "+13055550123", "--tenant", "acmee"]);
    assert!(refused.contains("nothing is stored of this tenant"), "{refused}");
}
