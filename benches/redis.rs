//! Check with reservation on Redis, in one run beside the empty call, the embedded store, and `redis-benchmark` with the
//! same script at the same pipelining: one, two and four instances; with the acknowledgement of one and two replicas.
//!
//! Servers, instances and load generator share the machine: what matters are the ratios. Each instance has an audit log
//! of its own, as in service. `RINGFENCE_BENCH_SECONDS` sets the length of each load (default 3).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a benchmark"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use prost::bytes::Bytes;
use ringfence::access::{Caller, Role};
use ringfence::audit;
use ringfence::engine::{Engine, Parts};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::service::{Calls, now, routes};
use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{Keys, Store};
use ringfence::telemetry::Metrics;
use tonic::transport::{Channel, Server};

mod load;
#[path = "../tests/support/redis.rs"]
mod redis;
#[path = "../tests/support/mod.rs"]
mod support;

use load::{Blob, CONNECTIONS, Empty, IN_FLIGHT, Measured, ask, check, connect, incoming, line, listen, load, request};

/// The script of a reservation, as the service sends it.
const SWAP: &str = include_str!("../src/store/redis/swap.lua");

/// A service over a store: its address, with its log reconciled each second.
async fn serve(store: Arc<dyn Store>, keys: &Path, folder: &Path) -> (Arc<Engine>, SocketAddr) {
    let keys = Keys::for_store(keys, None, &*store).await.unwrap();
    let opened = audit::open(folder, audit::Settings::default(), Arc::clone(&store), now()).await.unwrap();
    let engine = Arc::new(Engine::new(Parts {
        store,
        keys,
        log: Some(opened.log),
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: support::law(),
        settings: ringfence::engine::Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }));
    let (listener, address) = listen().await;
    let (routes, _) = routes(Calls::new(Arc::clone(&engine))).unwrap();
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming(listener)));
    let reconciler = opened.reconciler;
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // Without its replicas nothing is settled: tried again.
            let _ = reconciler.tick(now()).await;
        }
    });
    (engine, address)
}

/// Instances over one Redis, and the channels to all of them, by turns.
async fn instances(url: &str, count: usize, folder: &Path) -> Vec<Channel> {
    let keys = folder.join("keys");
    let mut channels = Vec::new();
    for index in 0..count {
        let settings = Settings::from_url(url).unwrap();
        let store: Arc<dyn Store> = Arc::new(RedisStore::open(settings).await.unwrap().0);
        let (_, address) = serve(store, &keys, &folder.join(format!("audit-{index}"))).await;
        channels.push(connect(address).await);
    }
    (0..CONNECTIONS).map(|index| channels[index % count][index].clone()).collect()
}

/// Reservations by the script alone, a second: `redis-benchmark` at the same number in flight.
fn script_alone(server: &redis::Server) -> f64 {
    let sha = server.ask(&["SCRIPT", "LOAD", SWAP]);
    let (record, event, entry) = ("r".repeat(300), "e".repeat(90), "a".repeat(900));
    let port = server.url().rsplit(':').next().unwrap().to_owned();
    let (clients, pipelined) = (CONNECTIONS.to_string(), IN_FLIGHT.to_string());
    let ran = Command::new("redis-benchmark")
        .args(["-p", &port, "-c", &clients, "-P", &pipelined, "-n", "200000", "-r", "1000000000", "--csv"])
        .args(["EVALSHA", &sha, "3", "{b.0}r__rand_int__", "{b.0}e", "{b.0}o", "", &record, "", &event, &entry])
        .output()
        .expect("redis-benchmark is missing: install redis-tools");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let cells: Vec<&str> = last.rsplit("\",\"").map(|cell| cell.trim_matches('"')).collect();
    // "test","rps","avg","min","p50","p95","p99","max", and the test's own name may hold commas.
    cells.get(6).and_then(|cell| cell.parse().ok()).unwrap_or(f64::NAN)
}

async fn reserved(channels: &[Channel], seconds: f64, from: u64) -> Measured {
    let template: Arc<[u8]> = request(0, false).encode_to_vec().into();
    load(channels, seconds, move |channel, number| {
        let template = Arc::clone(&template);
        async move { check(channel, &template, number + from).await }
    })
    .await
}

fn main() {
    let seconds: f64 = std::env::var("RINGFENCE_BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3.0);
    let threads = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, client) = (threads(), threads());
    let folder = tempfile::tempdir().unwrap();
    let durable = server.block_on(support::durable(folder.path()));
    let sample = {
        let permit = Caller::local().permit(Role::Check).unwrap();
        server.block_on(durable.engine.check(&permit, request(0, true), ringfence::engine::Clock::at(now()))).unwrap()
    };
    let answer_bytes = v1::CheckResponse { decision: Some(sample) }.encoded_len();
    let (empty_address, embedded_address) = server.block_on(async {
        let ((theirs, empty), (ours, embedded)) = (listen().await, listen().await);
        let blob = Empty(Blob { bytes: vec![7; answer_bytes] });
        tokio::spawn(Server::builder().add_service(blob).serve_with_incoming(incoming(theirs)));
        let (routes, _) = routes(Calls::new(Arc::clone(&durable.engine))).unwrap();
        tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming(ours)));
        (empty, embedded)
    });
    let blob = Bytes::from(Blob { bytes: vec![7; request(0, false).encoded_len()] }.encode_to_vec());
    println!("{CONNECTIONS} connections x {IN_FLIGHT} in flight, {seconds} s each");
    let base = client.block_on(async {
        let theirs = connect(empty_address).await;
        load(&theirs, seconds, move |channel, _| {
            let blob = blob.clone();
            async move { drop(ask(channel, "/bench.Empty/Call", blob).await) }
        })
        .await
    });
    line("empty call", &base, None);
    let measured = client.block_on(async { reserved(&connect(embedded_address).await, seconds, 0).await });
    line("embedded store", &measured, Some(&base));
    for count in [1, 2, 4] {
        let redis = redis::Server::start(&[]);
        let folder = tempfile::tempdir().unwrap();
        let channels = server.block_on(instances(&redis.url(), count, folder.path()));
        let measured = client.block_on(reserved(&channels, seconds, 0));
        line(&format!("Redis, {count} instances"), &measured, Some(&base));
    }
    {
        let redis = redis::Server::start(&["--appendfsync", "everysec"]);
        let folder = tempfile::tempdir().unwrap();
        let channels = server.block_on(instances(&redis.url(), 1, folder.path()));
        let measured = client.block_on(reserved(&channels, seconds, 0));
        line("Redis, 1 instance, everysec", &measured, Some(&base));
    }
    for replicas in [1, 2] {
        let redis = redis::Server::start(&[]);
        let _followers: Vec<_> = (0..replicas).map(|_| redis.replica()).collect();
        let folder = tempfile::tempdir().unwrap();
        let channels = server.block_on(instances(&redis.url(), 1, folder.path()));
        let measured = client.block_on(reserved(&channels, seconds, 0));
        line(&format!("Redis, 1 instance, acks of {replicas}"), &measured, Some(&base));
    }
    let alone = redis::Server::start(&[]);
    println!("redis-benchmark, the same script      {:>8.0}/s", script_alone(&alone));
    client.shutdown_background();
    server.shutdown_background();
}
