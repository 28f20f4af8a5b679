//! The whole history of many clients through three instances over one Redis, while its servers are killed and frozen, and
//! cut off from each other, from the sentinels and from the instances, one way and both: a checker goes over all of it.
//! No ALLOW after an acknowledged opt-out, no cap exceeded, no acknowledged write lost.
//!
//! `RINGFENCE_REDIS_OPERATIONS` sets how many operations each history has (54000; two thirds or a quarter of it where
//! failovers take their time); a long run is `RINGFENCE_REDIS_OPERATIONS=2000000 cargo test --release --test history`.
#![cfg(target_os = "linux")]
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
#[path = "history/partition.rs"]
mod partition;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringfence::access::Role;
use ringfence::engine::{Engine, Parts};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{Keys, Store};
use ringfence::telemetry::Metrics;

use self::clients::Run;
use self::groups::{Cluster, Trio};
use self::net::{Net, Party};
use self::redis::{Server, until};

fn operations() -> usize {
    std::env::var("RINGFENCE_REDIS_OPERATIONS").map_or(54_000, |text| text.parse().expect("a number"))
}

/// Three instances with keys of one file, each with connections of its own.
async fn instances(urls: [String; 3]) -> Vec<Arc<Engine>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let mut engines = Vec::new();
    for url in urls {
        let mut settings = Settings::from_url(&url).unwrap();
        settings.timing.patience = Duration::from_millis(500);
        settings.timing.answer = Duration::from_millis(500);
        settings.timing.connect = Duration::from_millis(500);
        settings.timing.look = Duration::from_millis(300);
        let store: Arc<dyn Store> = Arc::new(RedisStore::open(settings).await.unwrap().0);
        let keys = Keys::for_store(&path, None, &*store).await.unwrap();
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

/// Does something to the servers, again and again with so much peace between, until the clients are through.
async fn disturb(run: &Run, peace: Duration, mut harm: impl FnMut(usize) + Send) {
    let mut round = 0;
    tokio::time::sleep(Duration::from_millis(500)).await;
    while !run.through() {
        let begun = std::time::Instant::now();
        tokio::task::block_in_place(|| harm(round));
        println!("disturbance {round} took {:?}", begun.elapsed());
        round += 1;
        tokio::time::sleep(peace).await;
    }
    assert!(round > 0, "nothing was tried: more operations are needed");
    println!("{round} disturbances");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_standalone_server_that_is_killed_frozen_and_cut_off_keeps_every_promise() {
    let (net, port) = (Net::new(3), redis::free_port());
    let mut server = Server::start_at(&Party::Server(0).home(), port, &[]);
    net.join(Party::Server(0), port);
    let urls = [0, 1, 2].map(|service| format!("redis://{}:{port}", Party::Server(0).door_for(service)));
    let engines = instances(urls).await;
    let run = Run::start(&engines, operations());
    disturb(&run, Duration::from_millis(1_500), |round| match round % 5 {
        0 => server.restart(),
        1 => {
            server.freeze();
            std::thread::sleep(Duration::from_millis(900));
            server.thaw();
        }
        // Answers are not heard; questions arrive late.
        2 => {
            net.cut(&[Party::Server(0)], &[Party::Service(0), Party::Service(1)]);
            partition::cut_for_a_while(&net);
        }
        3 => {
            net.cut(&[Party::Service(1), Party::Service(2)], &[Party::Server(0)]);
            partition::cut_for_a_while(&net);
        }
        _ => {
            server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
            server.ask(&["SCRIPT", "FLUSH"]);
        }
    })
    .await;
    let history = run.end().await;
    checker::check(&history, &engines[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failovers_and_partitions_under_sentinel_keep_every_promise() {
    let net = Net::new(3);
    let mut trio = tokio::task::block_in_place(|| Trio::on(&net));
    let engines = instances([0, 1, 2].map(|service| trio.url_for(service))).await;
    let run = Run::start(&engines, operations() * 2 / 3);
    disturb(&run, Duration::from_secs(3), |round| partition::harm(&mut trio, &net, round)).await;
    let history = run.end().await;
    assert!(run_was_disturbed(&history), "no operation failed: nothing was tried");
    checker::check(&history, &engines[0]).await;
}

/// I1 where it is hardest: a primary that was deposed still answers, and knows nothing of what was acknowledged since.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposed_primary_that_still_answers_grants_nothing() {
    let net = Net::new(3);
    let trio = tokio::task::block_in_place(|| Trio::on(&net));
    let engines = instances([0, 1, 2].map(|service| trio.url_for(service))).await;
    partition::deposed(&trio, &net, &engines).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn failovers_in_a_cluster_keep_every_promise() {
    let mut cluster = Cluster::start();
    let engines = instances([(); 3].map(|()| cluster.url())).await;
    let run = Run::start(&engines, operations() / 4);
    disturb(&run, Duration::from_secs(4), |round| {
        let primaries = cluster.primaries();
        let old = primaries[round % primaries.len()];
        if round % 2 == 0 {
            cluster.servers[old].kill();
            until("its replica was promoted", || cluster.primaries().len() == 3);
            cluster.servers[old].run();
        } else {
            cluster.servers[old].restart();
        }
        cluster.settled();
    })
    .await;
    let history = run.end().await;
    checker::check(&history, &engines[0]).await;
}

/// I1: whoever asks again by the same id must not be told of an opt-out that a failover would forget.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_finds_its_opt_out_there_still_waits_for_the_replica() {
    let primary = Server::start(&[]);
    let replica = primary.replica();
    let engines = instances([(); 3].map(|()| primary.url())).await;
    let (clock, writes) = (support::clock(support::DAY), support::permit(Role::WriteConsent));
    let ask = async |engine: usize, number: usize| {
        let request = support::opt_out(&clients::number(number), "the same id");
        engines[engine].record_opt_out(&writes, request, clock).await
    };
    // The first write of an instance also makes its shard known, before anything else.
    for engine in 0..3 {
        ask(engine, 10 + engine).await.unwrap();
    }
    replica.freeze();
    for engine in [0, 0, 1] {
        let error = ask(engine, 1).await.unwrap_err();
        assert!(error.to_string().contains("0 of the 1 replicas"), "{error}");
    }
    // Told or not, it stands in the way from the first.
    let request = support::florida(&clients::number(1));
    let decision = engines[2].check(&support::permit(Role::Check), request, clock).await.unwrap();
    assert!(support::families(&decision).contains(&"RULE_FAMILY_OPT_OUT"), "{:?}", decision.reasons);
    replica.thaw();
    until("the replica acknowledges", || {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(ask(1, 1))).is_ok()
    });
}

/// The same of a freeze: one that was told of must not be forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_finds_its_freeze_there_still_waits_for_the_replica() {
    let primary = Server::start(&[]);
    let replica = primary.replica();
    let engines = instances([(); 3].map(|()| primary.url())).await;
    let (clock, control) = (support::clock(support::DAY), support::permit(Role::Control));
    let ask = async |engine: usize, id: &str| {
        let target = v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) };
        let request = v1::FreezeRequest {
            request_id: id.to_owned(),
            target: Some(target),
            who: "ann".to_owned(),
            why: "Wrong prices.".to_owned(),
            until: None,
        };
        engines[engine].freeze(&control, request, clock).await
    };
    // The first write of an instance also makes its shard known, before anything else.
    for engine in 0..3 {
        ask(engine, &format!("first {engine}")).await.unwrap();
    }
    replica.freeze();
    for engine in [0, 0, 1] {
        let error = ask(engine, "the same id").await.unwrap_err();
        assert!(error.to_string().contains("0 of the 1 replicas"), "{error}");
    }
    replica.thaw();
    until("the replica acknowledges", || {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(ask(1, "the same id"))).is_ok()
    });
}

fn run_was_disturbed(history: &clients::History) -> bool {
    history.failed.load(Ordering::SeqCst) > 0
}
