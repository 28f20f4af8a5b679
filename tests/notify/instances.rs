//! Several instances on one store: one delivers at a time; when it is killed another goes on, and nothing is missed.

use std::collections::HashSet;
use std::sync::Arc;

use super::receiver::{Answer, Receiver};
use super::{deliver, number, processor, put, quick, say_stop, until};
use crate::redis::Server;
use crate::support::law;
use ringfence::engine::{Engine, Parts, Settings};
use ringfence::registry::Registries;
use ringfence::store::{Keys, RedisStore, redis};
use ringfence::telemetry::Metrics;

async fn instance(server: &Server, keys: &std::path::Path) -> Arc<Engine> {
    let settings = redis::Settings::from_url(&server.url()).unwrap();
    let (store, _) = RedisStore::open(settings).await.unwrap();
    let keys = Keys::for_store(keys, None, &store).await.unwrap();
    Arc::new(Engine::new(Parts {
        store: Arc::new(store),
        keys,
        log: None,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_delivers_at_a_time_and_another_takes_over_when_it_is_killed() {
    const BEFORE: usize = 50;
    const ALL: usize = 150;
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let (one, two) = (instance(&server, &keys).await, instance(&server, &keys).await);
    put(&one, processor("dialer", &receiver.url)).await;
    let first = deliver(&one, quick());
    say_stop(&one, 0).await;
    until(&one, "dialer", "the first delivers", |status| status.pending == 0).await;
    let second = deliver(&two, quick());
    for n in 1..BEFORE {
        say_stop(if n % 2 == 0 { &one } else { &two }, n).await;
    }
    until(&one, "dialer", "all confirmed", |status| status.pending == 0).await;
    let ids: Vec<String> = receiver.all().iter().map(|got| got.id.clone()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<HashSet<_>>().len(), "both at once would tell things twice");
    first.kill();
    for n in BEFORE..ALL {
        say_stop(&two, n).await;
    }
    until(&two, "dialer", "the second took over", |status| status.pending == 0).await;
    let told = receiver.all();
    for n in 0..ALL {
        assert!(told.iter().any(|got| got.body.contains(&number(n))), "{n} was never told");
    }
    second.stop().await;
    // Released, not only silent: a third need not wait.
    say_stop(&one, ALL).await;
    let third = deliver(&one, super::Settings { take_over_after: super::LONG * 10, ..quick() });
    until(&one, "dialer", "the third delivers", |status| status.pending == 0).await;
    third.stop().await;
}
