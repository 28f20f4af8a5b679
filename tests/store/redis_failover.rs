//! Primaries that are lost for good: another one is promoted, and what was acknowledged is there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::store::{Key, Shard, Store, Swapped};

use super::groups::{Cluster, Trio};
use super::redis::{Server, until};
use super::redis_faults::{impatient, open, recovered, refused};
use super::suite::{key, shard, won, write};

/// Writes one record again and again, through failures, and returns the last version that was acknowledged.
async fn write_through(store: Arc<dyn Store>, key: Key, stop: Arc<std::sync::atomic::AtomicBool>) -> u64 {
    let (mut acknowledged, mut expected) = (0, 0);
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        match store.swap(write(key, expected, "x")).await {
            Ok(Swapped::Won { version, .. }) => (acknowledged, expected) = (version.0, version.0),
            // Ours of before, whose end nobody told.
            Ok(Swapped::Lost(Some(winner))) => expected = winner.version.0,
            Ok(Swapped::Lost(None)) => expected = 0,
            Err(error) => {
                assert!(error.retry(), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    acknowledged
}

async fn wait_for_progress(store: &dyn Store, shard: Shard) {
    let begun = Instant::now();
    let mut before = None;
    loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "no progress");
        if let Ok(now) = store.last_event(shard).await {
            if before.is_some_and(|before| now > before + 5) {
                return;
            }
            before = before.or(Some(now));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_failovers_under_sentinel() {
    let mut trio = Trio::start();
    let store: Arc<dyn Store> = Arc::new(open(impatient(&trio.url())).await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> =
        (0..8).map(|n| tokio::spawn(write_through(Arc::clone(&store), key(n), Arc::clone(&stop)))).collect();
    for _ in 0..2 {
        wait_for_progress(&*store, shard(1)).await;
        let old = trio.primary().unwrap();
        trio.servers[old].kill();
        until("another primary was promoted", || trio.primary().is_some_and(|now| now != old));
        // All replicas are waited for, the lost one too: it comes back as one.
        trio.servers[old].run();
        trio.settled();
        wait_for_progress(&*store, shard(1)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for (n, writer) in writers.into_iter().enumerate() {
        let acknowledged = writer.await.unwrap();
        let found = store.load(&key(n as u16)).await.unwrap().unwrap();
        assert!(found.version.0 >= acknowledged, "{n}: {acknowledged} acknowledged, {:?} found", found.version);
        assert!(acknowledged > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_failovers_in_a_cluster() {
    let mut cluster = Cluster::start();
    let store: Arc<dyn Store> = Arc::new(open(impatient(&cluster.url())).await);
    assert_eq!(store.shard_count(), 64);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    // Spread over the slots of all three.
    let shards: Vec<_> = (0..9).map(|index| Shard::new([3; 8], index)).collect();
    let writers: Vec<_> = shards
        .iter()
        .map(|shard| tokio::spawn(write_through(Arc::clone(&store), Key::new(*shard, [1; 32]), Arc::clone(&stop))))
        .collect();
    for shard in &shards {
        wait_for_progress(&*store, *shard).await;
    }
    let old = cluster.primaries()[0];
    cluster.servers[old].kill();
    until("its replica was promoted", || cluster.primaries().len() == 3);
    // The one that replaced it has no replica now: what it took alone, the loss of it would lose.
    let begun = Instant::now();
    let mut tried = shards.iter().cycle();
    loop {
        let key = Key::new(*tried.next().unwrap(), [2; 32]);
        let version = store.load(&key).await.ok().flatten().map_or(0, |record| record.version.0);
        match store.swap(write(key, version, "x")).await {
            Err(error) if error.to_string().contains("0 of the 1 replicas") => break,
            _ => assert!(begun.elapsed() < Duration::from_secs(60), "it goes on without its replica"),
        }
    }
    cluster.servers[old].run();
    cluster.settled();
    for shard in &shards {
        wait_for_progress(&*store, *shard).await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for (shard, writer) in shards.iter().zip(writers) {
        let acknowledged = writer.await.unwrap();
        let found = store.load(&Key::new(*shard, [1; 32])).await.unwrap().unwrap();
        assert!(found.version.0 >= acknowledged, "{shard:?}: {acknowledged} acknowledged, {:?} found", found.version);
    }
}

/// MOVED, ASK and TRYAGAIN, as they come: slots go from one primary to another while records in them are written.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_while_they_are_written_take_everything_along() {
    let cluster = Cluster::start();
    let store: Arc<dyn Store> = Arc::new(open(impatient(&cluster.url())).await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let shards: Vec<_> = (0..24).map(|index| Shard::new([5; 8], index)).collect();
    let writers: Vec<_> = shards
        .iter()
        .map(|shard| tokio::spawn(write_through(Arc::clone(&store), Key::new(*shard, [1; 32]), Arc::clone(&stop))))
        .collect();
    for shard in &shards {
        wait_for_progress(&*store, *shard).await;
    }
    let primaries = cluster.primaries();
    let id = |at: usize| cluster.servers[at].ask(&["CLUSTER", "MYID"]);
    let place = format!("127.0.0.1:{}", cluster.servers[primaries[0]].port);
    let (from, to) = (id(primaries[0]), id(primaries[1]));
    let moved = std::process::Command::new("redis-cli")
        .args(["--cluster", "reshard", &place, "--cluster-from", &from, "--cluster-to", &to])
        .args(["--cluster-slots", "3000", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stdout));
    for shard in &shards {
        wait_for_progress(&*store, *shard).await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for (shard, writer) in shards.iter().zip(writers) {
        let acknowledged = writer.await.unwrap();
        let found = store.load(&Key::new(*shard, [1; 32])).await.unwrap().unwrap();
        assert!(found.version.0 >= acknowledged, "{shard:?}: {acknowledged} acknowledged, {:?} found", found.version);
        let events = store.events(*shard, 0, usize::MAX).await.unwrap();
        assert!(events.iter().map(|event| event.version.0).eq(1..=found.version.0), "{shard:?}");
    }
}

/// ASK: a slot without keys, on its way to a primary that has no slot at all yet. One key at a time can be asked for
/// there; a swap, which has three, only once the slot has come.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_its_way_to_a_new_primary_is_asked_there() {
    let (cluster, elsewhere) = (Cluster::small(), Server::start(&[]));
    let key = Key::new(shard(2), [1; 32]);
    won(&open(impatient(&elsewhere.url())).await, write(key, 0, "tells the name of the stream")).await;
    let [here, there] = &cluster.servers[..] else { panic!("two of them") };
    let slot = here.ask(&["CLUSTER", "KEYSLOT", &elsewhere.ask(&["KEYS", "*}e"])]);
    let store = open(impatient(&cluster.url())).await;
    let [from, to] = [here, there].map(|server| server.ask(&["CLUSTER", "MYID"]));
    assert_eq!(there.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]), "OK");
    assert_eq!(here.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");
    assert_eq!(store.load(&key).await.unwrap(), None);
    store.confirm(shard(2)).await.unwrap();
    assert_eq!(there.ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), "1", "what confirms was written there");
    let begun = Instant::now();
    assert!(store.swap(write(key, 0, "too early")).await.unwrap_err().retry());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for server in [there, here] {
        assert_eq!(server.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]), "OK");
    }
    won(&store, write(key, 0, "one")).await;
    assert_eq!(store.events(shard(2), 0, 10).await.unwrap().len(), 1);
}

/// TRYAGAIN and CLUSTERDOWN for as long as it pleases: a slot of which some keys are there and some are not yet anywhere,
/// and a cluster of which a slot belongs to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_stuck_and_a_slot_of_nobody_refuse_and_pass() {
    let cluster = Cluster::small();
    let store = open(impatient(&cluster.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    let [here, there] = &cluster.servers[..] else { panic!("two of them") };
    let stream = here.ask(&["KEYS", "*}e"]);
    let slot = here.ask(&["CLUSTER", "KEYSLOT", &stream]);
    let [from, to] = [here, there].map(|server| server.ask(&["CLUSTER", "MYID"]));
    assert_eq!(there.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]), "OK");
    assert_eq!(here.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");
    let begun = Instant::now();
    let error = store.swap(write(key(2), 0, "where?")).await.unwrap_err();
    assert!(error.retry() && error.to_string().contains("TRYAGAIN"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    won(&store, write(key(1), 1, "all of its keys are here")).await;
    let place = format!("127.0.0.1:{}", here.port);
    let fixed = std::process::Command::new("redis-cli").args(["--cluster", "fix", &place]).output().unwrap();
    assert!(fixed.status.success(), "{}", String::from_utf8_lossy(&fixed.stdout));
    won(&store, write(key(2), 0, "two")).await;
    assert_eq!(store.events(shard(1), 0, 10).await.unwrap().len(), 3);

    let nobodys = if slot == "0" { "1" } else { "0" };
    for server in &cluster.servers {
        assert_eq!(server.ask(&["CLUSTER", "DELSLOTS", nobodys]), "OK");
    }
    until("the cluster is down", || {
        cluster.servers.iter().all(|server| server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:fail"))
    });
    let error = refused(&store, 2).await;
    assert!(error.contains("CLUSTERDOWN"), "{error}");
    assert!(store.load(&key(1)).await.unwrap_err().retry());
    assert_eq!(here.ask(&["CLUSTER", "ADDSLOTS", nobodys]), "OK");
    recovered(&store).await;
    won(&store, write(key(1), 2, "three")).await;
}
