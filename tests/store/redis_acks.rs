//! Replicas: who is told of a write, and when.

use std::time::{Duration, Instant};

use ringfence::store::redis::{Acks, RedisStore};
use ringfence::store::{Store, Swapped, Version};

use super::redis::{Server, until};
use super::redis_faults::{impatient, open, recovered, refused};
use super::suite::{key, shard, won, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_told_only_once_the_replica_has_it() {
    let primary = Server::start(&[]);
    let replica = primary.replica();
    let store = open(impatient(&primary.url())).await;
    for n in 0..20 {
        won(&store, write(key(1), n, "x")).await;
        let length = replica.ask(&["KEYS", "*}e"]);
        assert_eq!(replica.ask(&["XLEN", &length]), (n + 1).to_string(), "told before the replica had it");
    }
    replica.freeze();
    let error = refused(&store, 20).await;
    assert!(error.contains("0 of the 1 replicas") && error.contains("acks"), "{error}");
    // It is there, on the primary alone: nobody may be told so until the replica has it.
    let found = store.load(&key(1)).await.unwrap().unwrap();
    assert_eq!(found.version, Version(21));
    assert!(store.confirm(shard(1)).await.unwrap_err().retry());
    assert!(matches!(store.swap(write(key(1), 20, "again")).await.unwrap(), Swapped::Lost(Some(_))));
    replica.thaw();
    recovered(&store).await;
    assert_eq!(replica.ask(&["XLEN", &replica.ask(&["KEYS", "*}e"])]), "21");
    won(&store, write(key(1), 21, "on")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_replica_missing_nothing_is_even_written() {
    let primary = Server::start(&[]);
    let mut replica = primary.replica();
    let store = open(impatient(&primary.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    replica.kill();
    until("the primary has noticed", || primary.ask(&["INFO", "replication"]).contains("connected_slaves:0"));
    // The first may find out; from then on there is no trace.
    let _ = store.swap(write(key(2), 0, "lost")).await;
    let before = store.last_event(shard(1)).await.unwrap();
    refused(&store, 1).await;
    refused(&store, 1).await;
    assert_eq!(store.last_event(shard(1)).await.unwrap(), before);
    assert!(store.ready().await.is_err());
    let mut settings = impatient(&primary.url());
    settings.acks = Acks::AtLeast(0);
    let reckless = open(settings).await;
    won(&reckless, write(key(1), 1, "two")).await;
    replica.run();
    recovered(&store).await;
    won(&store, write(key(1), 2, "three")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_joins_is_waited_for() {
    let primary = Server::start(&[]);
    // One that has just joined says what it has once a second only.
    let mut settings = impatient(&primary.url());
    settings.timing.replicas = Duration::from_secs(3);
    let store = open(settings).await;
    won(&store, write(key(1), 0, "alone")).await;
    let replica = primary.replica();
    // The first write after it came learns of it, and waits for it as well.
    won(&store, write(key(1), 1, "two")).await;
    assert_eq!(replica.ask(&["XLEN", &replica.ask(&["KEYS", "*}e"])]), "2");
    replica.freeze();
    let error = store.swap(write(key(1), 2, "refused")).await.unwrap_err();
    assert!(error.to_string().contains("0 of the 1"), "{error}");
    replica.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_acknowledgements_than_replicas_are_told_of_at_the_start() {
    let primary = Server::start(&[]);
    let replicas = [primary.replica(), primary.replica()];
    let mut settings = impatient(&primary.url());
    settings.acks = Acks::AtLeast(1);
    settings.timing.replicas = Duration::from_secs(20);
    let (store, findings) = RedisStore::open(settings.clone()).await.unwrap();
    let said: String = findings.iter().map(|found| format!("{}\n", found.text)).collect();
    assert!(said.contains("acks 1, 2 replicas") && said.contains("min-replicas-to-write"), "{said}");
    replicas[0].freeze();
    let begun = Instant::now();
    won(&store, write(key(1), 0, "one of two has it")).await;
    assert!(begun.elapsed() < settings.timing.replicas);
    replicas[0].thaw();
}
