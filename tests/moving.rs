//! Moving a served store into another one: the history of clients who ask all the while, through `ringfence contact copy`
//! killed again and again, and on after the move. An opt-out told before the move is never missed after it, a cap that was
//! used up stays so, nothing acknowledged is lost.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "support/groups.rs"]
mod groups;
#[path = "support/net.rs"]
mod net;
#[path = "support/redis.rs"]
mod redis;
mod support;

#[path = "history/checker.rs"]
mod checker;
#[path = "history/clients.rs"]
mod clients;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use ringfence::engine::{Engine, Parts};
use ringfence::registry::Registries;
use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{Keys, Store};
use ringfence::telemetry::Metrics;

use self::clients::Run;
use self::groups::Cluster;
use self::redis::Server;

const OPERATIONS: usize = 8_000;

/// Two instances with these keys.
async fn instances(url: &str, keys: &Path) -> Vec<Arc<Engine>> {
    let mut engines = Vec::new();
    for _ in 0..2 {
        let settings = Settings::from_url(url).unwrap();
        let store: Arc<dyn Store> = Arc::new(RedisStore::open(settings).await.unwrap().0);
        let keys = Keys::for_store(keys, None, &*store).await.unwrap();
        engines.push(Arc::new(Engine::new(Parts {
            store,
            keys,
            log: None,
            registries: Arc::new(Registries::fixed(Vec::new())),
            law: support::law(),
            settings: ringfence::engine::Settings::default(),
            metrics: Arc::new(Metrics::default()),
        })));
    }
    engines
}

/// The command, as an operator gives it.
struct Copy<'a> {
    from: &'a str,
    to: &'a str,
    folder: &'a Path,
    new_keys: bool,
}

impl Copy<'_> {
    fn keys(&self) -> std::path::PathBuf {
        self.folder.join(if self.new_keys { "new-keys" } else { "keys" })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        command.args(["contact", "copy", "--json", "--from", self.from, "--to", self.to]);
        command.args(["--data", "log"]).arg("--keys").arg(self.folder.join("keys")).current_dir(self.folder);
        command.env_clear().stderr(Stdio::null()).stdout(Stdio::null());
        if self.new_keys {
            command.arg("--to-keys").arg(self.keys());
        }
        command
    }

    fn begin(&self) -> Child {
        self.command().spawn().unwrap()
    }

    /// Runs to the end: the status and what was said.
    fn run(&self) -> (Option<i32>, serde_json::Value) {
        let ran = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let said = serde_json::from_slice(&ran.stdout);
        (ran.status.code(), said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ran.stderr))))
    }
}

async fn moved(copy: &Copy<'_>) {
    let engines = instances(copy.from, &copy.folder.join("keys")).await;
    let run = Run::start(&engines, OPERATIONS);
    let mut kills = 0;
    while !run.through() {
        let mut child = copy.begin();
        // Each time it gets a little further.
        kills += 1;
        tokio::time::sleep(Duration::from_millis(100 + 60 * (kills % 10))).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 1, "the clients were through before anything was tried");
    let history = run.end().await;
    drop(engines);

    let (status, said) = copy.run();
    assert_eq!((status, &said["complete"], &said["parted"]), (Some(0), &true.into(), &0.into()), "{said}");
    let (status, said) = copy.run();
    assert_eq!((status, &said["copied"]), (Some(0), &0.into()), "nothing was left to copy: {said}");
    println!("{kills} copies killed; {said}");

    let engines = instances(copy.to, &copy.keys()).await;
    let history = Run::again(history, &engines, OPERATIONS / 2).end().await;
    checker::check(&history, &engines[0]).await;
    let mut verify = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    verify.args(["audit", "verify", "--data", "log"]).arg("--keys").arg(copy.keys()).current_dir(copy.folder);
    assert!(verify.env_clear().stdout(Stdio::null()).status().unwrap().success(), "the log of the copy is not whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn from_a_standalone_server_into_a_cluster() {
    let (server, cluster) = (Server::start(&[]), Cluster::start());
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (server.url(), cluster.url());
    moved(&Copy { from: &from, to: &to, folder: folder.path(), new_keys: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_another_hash_key() {
    let (from, to) = (Server::start(&[]), Server::start(&[]));
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (from.url(), to.url());
    moved(&Copy { from: &from, to: &to, folder: folder.path(), new_keys: true }).await;
}
