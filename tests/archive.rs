//! What others keep and read: the audit log in an object store that speaks S3, and exports in a notebook's own reader.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ringfence::audit::{
    Archive, ArchiveAt, ArchiveSettings, BodyKey, DecisionId, Entry, Expect, Fault, Keeper, Log, LogError, Report,
    Settings, open_with, verify_with, writer_of,
};
use ringfence::store::{MemoryStore, Store};
use ringfence::time::Instant;
use serde_json::Value;

fn python() -> Command {
    let python = std::env::var_os("RINGFENCE_PYTHON").expect(
        "RINGFENCE_PYTHON names no Python with moto and pyarrow: run the tests with tests/run, which makes one",
    );
    let mut command = Command::new(python);
    // A proxy of the machine must not come between us and the loopback.
    command.args(["-B", "-X", "utf8"]).env("NO_PROXY", "*").env("no_proxy", "*");
    command
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// An object store of our own. It ends with its standard input, so with this process.
struct S3 {
    child: Child,
    port: u16,
    said: BufReader<ChildStdout>,
    told: Option<ChildStdin>,
}

impl S3 {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(port)
    }

    fn start_on(port: u16) -> Self {
        let mut child = python()
            .arg(script("s3.py"))
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (said, told) = (BufReader::new(child.stdout.take().unwrap()), child.stdin.take());
        let mut server = Self { child, port, said, told };
        assert_eq!(server.line(), "ready", "the S3 server did not start");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn tell(&mut self, words: &str) -> String {
        writeln!(self.told.as_mut().unwrap(), "{words}").unwrap();
        self.line()
    }

    /// Keys and lengths of the objects.
    fn objects(&mut self) -> Vec<(String, usize)> {
        let line = self.tell("list");
        let mut found: Vec<_> = line
            .split_whitespace()
            .map(|one| one.split_once('=').unwrap())
            .map(|(key, length)| (key.to_owned(), length.parse().unwrap()))
            .collect();
        found.sort();
        found
    }

    fn stop(mut self) -> u16 {
        drop(self.told.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.port
    }

    fn settings(&self, folder: &Path) -> ArchiveSettings {
        let credentials = folder.join("credentials");
        std::fs::write(&credentials, "[default]\naws_access_key_id = tests\naws_secret_access_key = none\n").unwrap();
        ArchiveSettings {
            at: ArchiveAt::parse("s3://logs/ringfence/audit").unwrap(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.port)),
            region: Some("us-east-1".into()),
            credentials: Some(credentials),
            virtual_hosts: false,
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.told.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> Instant {
    Instant::from_rfc3339("2026-11-21T12:00:00Z").unwrap()
}

fn later() -> Instant {
    Instant::from_millis(now().millis() + 400 * 86_400_000)
}

fn small() -> Settings {
    Settings { segment_bytes: 600, ..Settings::default() }
}

async fn opened(folder: &Path, archive: &ArchiveSettings) -> (Arc<Log>, Keeper) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let opened = open_with(&folder.join("audit"), small(), store, now(), Some(archive)).await.unwrap();
    let keeper = Keeper::new(Arc::clone(&opened.log), Duration::ZERO);
    (opened.log, keeper)
}

async fn filled(log: &Log, count: usize) -> Vec<DecisionId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let id = log.next_id(Instant::from_millis(now().millis() + n as i64));
        let body = format!("sealed body {n}").into_bytes();
        let entry = Entry {
            kind: 1,
            at: now(),
            id,
            tenant: "acme".into(),
            tag: Some([n as u8; 32]),
            campaign: None,
            open: None,
            key: BodyKey::Contact,
            body,
        };
        let _ = log.append(entry.encode(), None).await.unwrap();
        ids.push(id);
    }
    ids
}

async fn verified(folder: &Path, settings: &ArchiveSettings) -> Result<Report, LogError> {
    let log = folder.join("audit");
    let archive = Archive::open(settings, writer_of(&log).unwrap().unwrap()).unwrap();
    tokio::task::spawn_blocking(move || verify_with(&log, &Expect::default(), Some(&archive))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_archived_in_s3_and_read_back() {
    let (mut s3, folder) = (S3::start(), tempfile::tempdir().unwrap());
    let settings = s3.settings(folder.path());
    let (log, keeper) = opened(folder.path(), &settings).await;
    let ids = filled(&log, 20).await;
    let done = keeper.tick(later()).await.unwrap();
    assert!(done.moved >= 4 && done.waiting == 0, "{done:?}");
    let objects = s3.objects();
    assert_eq!(objects.len(), done.moved);
    let prefix = format!("ringfence/audit/{}/0000000001.log.zst", log.writer());
    assert_eq!(objects[0].0, prefix);
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(log.find(*id).await.unwrap().unwrap().seq, n as u64 + 1);
    }
    drop((log, keeper));
    let report = verified(folder.path(), &settings).await.unwrap();
    assert!(report.sound() && report.unread == 0 && report.head.seq == 20, "{report:?}");
    // Every class of place of an object, and what else may be done to it.
    let (key, length) = objects[1].clone();
    for at in [0, 5, length / 3, length / 2, length - 120, length - 40, length - 34, length - 1] {
        s3.tell(&format!("flip {key} {at}"));
        assert!(!verified(folder.path(), &settings).await.unwrap().sound(), "byte {at} of {length}");
        s3.tell(&format!("flip {key} {at}"));
    }
    assert!(verified(folder.path(), &settings).await.unwrap().sound());
    s3.tell(&format!("cut {} {}", objects[2].0, objects[2].1 / 2));
    assert!(!verified(folder.path(), &settings).await.unwrap().sound());
    s3.tell(&format!("drop {key}"));
    assert_eq!(verified(folder.path(), &settings).await.unwrap().bad.unwrap().fault, Fault::NotArchived);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_s3_is_away_nothing_leaves_the_disk() {
    let (s3, folder) = (S3::start(), tempfile::tempdir().unwrap());
    let settings = s3.settings(folder.path());
    let (log, keeper) = opened(folder.path(), &settings).await;
    let ids = filled(&log, 12).await;
    let port = s3.stop();
    let error = keeper.tick(later()).await.unwrap_err();
    assert!(error.to_string().contains("s3://logs/ringfence/audit"), "{error}");
    let counted = log.counts().read();
    assert!(counted.archive_failures == 1 && counted.waiting >= 2 && counted.moved == 0, "{counted:?}");
    for id in &ids {
        assert!(log.find(*id).await.unwrap().is_some());
    }
    let mut s3 = S3::start_on(port);
    let done = keeper.tick(later()).await.unwrap();
    assert!(done.moved >= 2 && done.waiting == 0);
    assert_eq!(s3.objects().len(), done.moved);
    // Gone once more: what is there alone cannot be read, which is said, and is no loss.
    s3.stop();
    let refused = log.find(ids[0]).await.unwrap_err();
    assert!(refused.retry(), "{refused}");
}

/// The program in a folder of its own.
fn ringfence(folder: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ringfence")).current_dir(folder).env_clear().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 2), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_notebook_opens_both_exports_and_finds_the_same_in_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("ringfence-data")).unwrap();
    let check = ["--channel=call", "--purpose=informational", "--technology=manual", "--recipient=consumer"];
    for (number, more) in
        [("+4930231250", vec!["--reserve", "--campaign", "spring"]), ("+12025550143", vec![]), ("911", vec![])]
    {
        let asked = [&["check", number, "--line-type=landline", "--seller", "acme ä", "--json"], &check[..], &more[..]];
        ringfence(folder.path(), &asked.concat());
    }
    for format in ["parquet", "ndjson"] {
        let output = format!("decisions.{format}");
        let said =
            ringfence(folder.path(), &["audit", "export", "--format", format, "--output", &output, "--dry-runs"]);
        assert!(said.contains("3 decisions"), "{said}");
    }
    let read = python().arg(script("notebook.py")).arg(folder.path()).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let found: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(found["rows"], 3);
    assert_eq!(found["numbers"][0], "+493023••50");
    let text = std::fs::read_to_string(folder.path().join("decisions.ndjson")).unwrap();
    assert!(text.contains("acme ä") && !text.contains("30231250") && !text.contains("2025550143"), "{text}");
}
