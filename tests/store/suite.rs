//! The list of promises. Each is a function over a backend; `tests/store.rs` says who runs which.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringfence::store::{
    Beside, Event, EventId, Key, MAX_BYTES, MetaSwapped, Shard, Store, StoreError, Swapped, Version, Versioned, Write,
    WriterId,
};
use ringfence::time::Instant;

use super::Backend;

pub const WRITER: WriterId = WriterId(7);

pub fn shard(n: u8) -> Shard {
    Shard::new([n; 8], 0)
}

pub fn key(n: u16) -> Key {
    let mut tag = [0; 32];
    tag[..2].copy_from_slice(&n.to_be_bytes());
    Key::new(shard(1), tag)
}

pub fn event(n: u64) -> Event {
    let entry = format!("entry {n}").into_bytes();
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_le_bytes());
    Event { writer: WRITER, kind: 3, at: Instant::from_millis(1_000), digest, entry, payload: b"payload".to_vec() }
}

pub fn write(key: Key, expected: u64, text: &str) -> Write {
    let event = event(expected);
    Write { key, expected: Version(expected), bytes: text.as_bytes().to_vec(), expires: None, event }
}

pub async fn won(store: &dyn Store, write: Write) -> (Version, EventId) {
    match store.swap(write).await.unwrap() {
        Swapped::Won { version, event } => (version, event),
        Swapped::Lost(winner) => panic!("lost to {winner:?}"),
    }
}

pub async fn nothing_is_there_at_first(backend: &impl Backend) {
    let store = backend.open();
    store.ready().await.unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 0);
    assert_eq!(store.events(shard(1), 0, 10).await.unwrap(), []);
    assert_eq!(store.events(shard(1), u64::MAX, 10).await.unwrap(), []);
    assert_eq!(store.unsettled(WRITER, None, 10).await.unwrap(), []);
    assert!(store.shards().await.unwrap().is_empty());
    assert!(store.scan(None, 10).await.unwrap().is_empty());
    assert_eq!(store.meta_get("no such name").await.unwrap(), None);
}

pub async fn a_first_write_is_read_back(backend: &impl Backend) {
    let store = backend.open();
    // Far off: a store may drop what has expired.
    let expires = Some(Instant::from_millis(4_102_444_800_000));
    let (version, event) = won(&*store, Write { expires, ..write(key(1), 0, "one") }).await;
    assert_eq!((version, event), (Version(1), EventId { shard: shard(1), seq: 1 }));
    let expected = Versioned { version: Version(1), bytes: b"one".to_vec(), expires };
    assert_eq!(store.load(&key(1)).await.unwrap(), Some(expected));
    assert_eq!(store.load(&key(2)).await.unwrap(), None);
    let empty = won(&*store, Write { bytes: Vec::new(), ..write(key(3), 0, "") }).await;
    assert_eq!(empty.0, Version(1));
    assert_eq!(store.load(&key(3)).await.unwrap().unwrap().bytes, b"");
}

pub async fn a_lost_swap_changes_nothing_and_names_the_winner(backend: &impl Backend) {
    let store = backend.open();
    assert_eq!(store.swap(write(key(1), 4, "from nowhere")).await.unwrap(), Swapped::Lost(None));
    won(&*store, write(key(1), 0, "one")).await;
    won(&*store, write(key(1), 1, "two")).await;
    for stale in [0, 1, 3, u64::MAX] {
        match store.swap(write(key(1), stale, "stale")).await.unwrap() {
            Swapped::Lost(Some(winner)) => assert_eq!((winner.version, winner.bytes), (Version(2), b"two".to_vec())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.load(&key(1)).await.unwrap().unwrap().bytes, b"two");
    assert_eq!(store.events(shard(1), 0, 10).await.unwrap().len(), 2, "a lost swap leaves no event");
    assert_eq!(store.unsettled(WRITER, None, 10).await.unwrap().len(), 2, "a lost swap leaves no entry");
}

/// I2 rests on this one.
pub async fn racing_swaps_lose_nothing_and_versions_are_consecutive(backend: &impl Backend) {
    const RACERS: u64 = 64;
    const EACH: u64 = 5;
    let store = backend.open();
    let racers = (0..RACERS).map(|racer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut versions = Vec::new();
            let mut current = store.load(&key(1)).await.unwrap();
            while (versions.len() as u64) < EACH {
                let (expected, before) = current
                    .clone()
                    .map_or((0, String::new()), |record| (record.version.0, String::from_utf8(record.bytes).unwrap()));
                let mine = format!("{racer}.{} ", versions.len());
                match store.swap(write(key(1), expected, &(before.clone() + &mine))).await.unwrap() {
                    Swapped::Won { version, .. } => {
                        versions.push(version.0);
                        let bytes = (before + &mine).into_bytes();
                        current = Some(Versioned { version, bytes, expires: None });
                    }
                    Swapped::Lost(winner) => {
                        assert!(winner.as_ref().map_or(0, |winner| winner.version.0) > expected);
                        current = winner;
                    }
                }
            }
            versions
        })
    });
    let mut versions = BTreeSet::new();
    for racer in racers.collect::<Vec<_>>() {
        for version in racer.await.unwrap() {
            assert!(versions.insert(version), "version {version} was won twice");
        }
    }
    assert!(versions.into_iter().eq(1..=RACERS * EACH));
    let last = String::from_utf8(store.load(&key(1)).await.unwrap().unwrap().bytes).unwrap();
    let marks: BTreeSet<_> = last.split_whitespace().collect();
    assert_eq!(marks.len() as u64, RACERS * EACH, "every won write is still there");
    let events = store.events(shard(1), 0, 10_000).await.unwrap();
    assert!(events.iter().map(|event| event.version.0).eq(1..=RACERS * EACH), "events stand in the order of versions");
}

pub async fn every_write_leaves_its_event_in_order(backend: &impl Backend) {
    let store = backend.open();
    for n in 0..30 {
        won(&*store, Write { event: event(n), ..write(key(n as u16 % 3), n / 3, "x") }).await;
    }
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 30);
    assert_eq!(store.shards().await.unwrap(), [shard(1)]);
    let events = store.events(shard(1), 0, 1_000).await.unwrap();
    for (n, stored) in (0_u64..).zip(&events) {
        assert_eq!(stored.id, EventId { shard: shard(1), seq: n + 1 });
        assert_eq!((stored.key, stored.version), (key(n as u16 % 3), Version(n / 3 + 1)));
        let made = event(n);
        assert_eq!((stored.kind, stored.at, stored.writer), (made.kind, made.at, made.writer));
        assert_eq!((stored.digest, &stored.payload), (made.digest, &made.payload));
    }
    assert_eq!(events.len(), 30);
    assert_eq!(store.events(shard(1), 10, 5).await.unwrap(), events[10..15]);
    assert_eq!(store.events(shard(1), 30, 5).await.unwrap(), []);
}

pub async fn streams_of_shards_are_apart(backend: &impl Backend) {
    let store = backend.open();
    let shards = [Shard::new([1; 8], 0), Shard::new([1; 8], 1), Shard::new([2; 8], 0)];
    for round in 0..3 {
        for (n, shard) in shards.into_iter().enumerate() {
            let (_, id) = won(&*store, write(Key::new(shard, [n as u8; 32]), round, "x")).await;
            assert_eq!(id, EventId { shard, seq: round + 1 });
        }
    }
    for (n, shard) in shards.into_iter().enumerate() {
        let events = store.events(shard, 0, 100).await.unwrap();
        assert_eq!(events.len(), 3);
        assert!(events.iter().all(|event| event.id.shard == shard && event.key.tag() == &[n as u8; 32]));
    }
    assert_eq!(store.shards().await.unwrap(), shards);
    assert_eq!(store.load(&Key::new(shards[0], [1; 32])).await.unwrap(), None, "a tag is found in its shard only");
}

pub async fn many_records_load_in_the_order_asked(backend: &impl Backend) {
    let store = backend.open();
    for n in 0..10 {
        won(&*store, write(key(n), 0, &n.to_string())).await;
    }
    let keys = [key(7), key(99), key(0), key(7)];
    let loaded = store.load_many(&keys).await.unwrap();
    let texts: Vec<_> = loaded.into_iter().map(|found| found.map(|record| record.bytes)).collect();
    assert_eq!(texts, [Some(b"7".to_vec()), None, Some(b"0".to_vec()), Some(b"7".to_vec())]);
    assert!(store.load_many(&[]).await.unwrap().is_empty());
}

/// What every check looks at beside its contact: as it is now, and not again while it is as it was known.
pub async fn a_record_beside_another_is_told_when_it_changed(backend: &impl Backend) {
    let store = backend.open();
    let beside = async |known: u64| store.load_beside(&key(1), &key(2), Version(known)).await.unwrap();
    assert_eq!(beside(0).await, (None, Beside::Unchanged));
    assert_eq!(beside(3).await, (None, Beside::Now(None)), "gone is not unchanged");
    won(&*store, write(key(1), 0, "one")).await;
    for version in 0..3 {
        won(&*store, write(key(2), version, &format!("two {version}"))).await;
        let (record, other) = beside(version).await;
        assert_eq!(record.unwrap().bytes, b"one");
        let Beside::Now(Some(other)) = other else { panic!("{other:?}") };
        assert_eq!((other.version, other.bytes), (Version(version + 1), format!("two {version}").into_bytes()));
        assert_eq!(beside(version + 1).await.1, Beside::Unchanged);
        assert!(matches!(beside(version + 2).await.1, Beside::Now(Some(_))), "an older one is not unchanged");
    }
}

pub async fn a_walk_meets_every_record_once(backend: &impl Backend) {
    let store = backend.open();
    let keys: Vec<_> = (0..25).map(|n| Key::new(shard((n % 3) as u8), [n as u8 * 7; 32])).collect();
    for key in &keys {
        won(&*store, write(*key, 0, "x")).await;
    }
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(after, 4).await.unwrap();
        assert!(page.len() <= 4);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        met.extend(page.into_iter().map(|(key, _)| key));
    }
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(met, sorted);
}

pub async fn named_values_are_compared_and_set(backend: &impl Backend) {
    let store = backend.open();
    let swap = |expected: u64, text: &'static str| store.meta_swap("name", Version(expected), text.into());
    assert_eq!(swap(3, "early").await.unwrap(), MetaSwapped::Lost(None));
    assert_eq!(swap(0, "one").await.unwrap(), MetaSwapped::Won(Version(1)));
    let one = Versioned { version: Version(1), bytes: b"one".to_vec(), expires: None };
    assert_eq!(swap(0, "again").await.unwrap(), MetaSwapped::Lost(Some(one.clone())));
    assert_eq!(store.meta_get("name").await.unwrap(), Some(one));
    assert_eq!(swap(1, "").await.unwrap(), MetaSwapped::Won(Version(2)));
    assert_eq!(store.meta_get("name").await.unwrap().unwrap().bytes, b"");
}

pub async fn named_values_are_listed_by_prefix(backend: &impl Backend) {
    let store = backend.open();
    for name in ["walk/b", "walk/a", "wal", "walk", "walz", "x"] {
        store.meta_swap(name, Version::ABSENT, name.into()).await.unwrap();
    }
    let names = |found: Vec<(String, Versioned)>| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(store.meta_list("walk/").await.unwrap()), ["walk/a", "walk/b"]);
    assert_eq!(names(store.meta_list("walk").await.unwrap()), ["walk", "walk/a", "walk/b"]);
    assert!(store.meta_list("none").await.unwrap().is_empty());
}

pub async fn settling_empties_the_outbox_and_keeps_the_event(backend: &impl Backend) {
    let store = backend.open();
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(won(&*store, Write { event: event(n), ..write(key(n as u16), 0, "x") }).await.1);
    }
    let open = store.unsettled(WRITER, None, 100).await.unwrap();
    assert!(open.iter().map(|one| one.id).eq(ids.iter().copied()));
    assert_eq!(open[4].entry, event(4).entry);
    assert_eq!(store.unsettled(WRITER, Some(ids[1]), 2).await.unwrap(), open[2..4]);
    store.settle(WRITER, vec![ids[0], ids[3]]).await.unwrap();
    store.settle(WRITER, vec![ids[3]]).await.unwrap();
    let left: Vec<_> = store.unsettled(WRITER, None, 100).await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(left, [ids[1], ids[2], ids[4], ids[5]]);
    let events = store.events(shard(1), 0, 100).await.unwrap();
    assert_eq!(events.len(), 6);
    assert_eq!((events[3].digest, &events[3].payload), (event(3).digest, &event(3).payload));
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 6);
}

pub async fn outboxes_of_writers_are_apart(backend: &impl Backend) {
    let store = backend.open();
    let other = WriterId(WRITER.0 + 1);
    let (_, mine) = won(&*store, write(key(1), 0, "x")).await;
    let theirs = Write { event: Event { writer: other, ..event(9) }, ..write(key(1), 1, "y") };
    let (_, theirs) = won(&*store, theirs).await;
    store.settle(other, vec![mine]).await.unwrap();
    let open = |writer| store.unsettled(writer, None, 10);
    assert!(open(WRITER).await.unwrap().iter().map(|one| one.id).eq([mine]));
    assert!(open(other).await.unwrap().iter().map(|one| one.id).eq([theirs]));
}

/// Nobody needs old events for ever; who comes too late for them is told so and not given a stream with a hole.
pub async fn old_events_are_trimmed_and_a_late_reader_is_told(backend: &impl Backend) {
    let store = backend.open();
    let other = Shard::new([9; 8], 0);
    won(&*store, write(Key::new(other, [1; 32]), 0, "x")).await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let event = Event { at: Instant::from_millis(n * 1_000), ..event(n as u64) };
        ids.push(won(&*store, Write { event, ..write(key(n as u16), 0, "x") }).await.1);
    }
    let trim = async |before: i64, keep| store.trim_events(shard(1), Instant::from_millis(before), keep).await.unwrap();
    let places = async |after| {
        let read = store.events(shard(1), after, 100).await;
        read.map(|events| events.iter().map(|event| event.id.seq).collect::<Vec<_>>())
    };
    let trimmed = |first| Err(StoreError::Trimmed { shard: shard(1), first });
    assert_eq!(trim(i64::MAX, 0).await, 0, "not one is settled");
    store.settle(WRITER, [&ids[..3], &ids[4..6]].concat()).await.unwrap();
    assert_eq!(trim(i64::MAX, 0).await, 3, "the fourth is not settled");
    assert_eq!(places(0).await, trimmed(4));
    assert_eq!(places(2).await, trimmed(4));
    assert_eq!(places(3).await.unwrap(), (4..=12).collect::<Vec<_>>());
    assert_eq!(places(11).await.unwrap(), [12]);
    assert!(places(12).await.unwrap().is_empty());
    assert_eq!(store.unsettled(WRITER, None, 1).await.unwrap()[0].id.shard, shard(1));
    store.settle(WRITER, ids.clone()).await.unwrap();
    assert_eq!(trim(4_000, 0).await, 1, "the fifth is not older");
    assert_eq!(trim(i64::MAX, 5).await, 3, "five stay");
    assert_eq!(places(7).await.unwrap(), (8..=12).collect::<Vec<_>>());
    let error = store.events(shard(1), 6, 1).await.unwrap_err();
    assert!(!error.retry() && error.to_string().contains("before 8 were trimmed"), "{error}");
    let all = ringfence::store::trim::trim(&*store, Instant::FAR, 0).await.unwrap();
    assert_eq!(all, 4, "the newest stays: it says how far the stream came");
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 12);
    assert_eq!(store.shards().await.unwrap(), [shard(1), other]);
    assert_eq!(store.events(other, 0, 10).await.unwrap().len(), 1, "unsettled, so it stays");
    assert_eq!(won(&*store, write(key(1), 1, "on")).await.1.seq, 13);
    assert_eq!(places(11).await.unwrap(), [12, 13]);
    assert_eq!(store.load(&key(0)).await.unwrap().unwrap().bytes, b"x", "records are not events");
}

/// Writers, those who settle, who trim and who follow, all at once: a follower misses nothing without being told.
pub async fn trimming_races_with_everything_and_hides_nothing(backend: &impl Backend) {
    const WRITES: u64 = 120;
    let store = backend.open();
    let writing = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for n in 0..WRITES {
                let (_, id) = won(&*store, write(key(1), n, "x")).await;
                // The last one stays unsettled, so it must stay.
                if n + 1 < WRITES {
                    store.settle(WRITER, vec![id]).await.unwrap();
                }
            }
        })
    };
    let trimming = (0..2).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut gone = 0;
            while store.last_event(shard(1)).await.unwrap() < WRITES {
                gone += store.trim_events(shard(1), Instant::FAR, 3).await.unwrap();
                let open = store.unsettled(WRITER, None, 100).await.unwrap();
                if let Some(first) = open.first() {
                    match store.events(shard(1), first.id.seq - 1, 1).await {
                        Ok(found) => assert_eq!(found[0].id, first.id),
                        // Settled and trimmed since.
                        Err(StoreError::Trimmed { first: oldest, .. }) => assert!(oldest > first.id.seq),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            gone
        })
    });
    let trimming: Vec<_> = trimming.collect();
    let (mut at, mut missed) = (0, 0);
    while at < WRITES {
        match store.events(shard(1), at, 7).await {
            Ok(events) => {
                assert!(events.iter().map(|event| event.id.seq).eq(at + 1..=at + events.len() as u64), "a hole");
                at += events.len() as u64;
            }
            Err(StoreError::Trimmed { first, .. }) => {
                assert!(first > at + 1);
                missed += first - 1 - at;
                at = first - 1;
            }
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    let mut gone = 0;
    for one in trimming {
        gone += one.await.unwrap();
    }
    let left = ringfence::store::trim::trim(&*store, Instant::FAR, 0).await.unwrap();
    assert!(missed <= gone + left && gone + left == WRITES - 1, "{missed} {gone} {left}");
}

pub async fn what_is_too_large_is_refused(backend: &impl Backend) {
    let store = backend.open();
    let large = Write { bytes: vec![0; MAX_BYTES + 1], ..write(key(1), 0, "") };
    let refused = store.swap(large).await.unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    assert!(!refused.retry());
    assert_eq!(store.load(&key(1)).await.unwrap(), None);
    won(&*store, Write { bytes: vec![1; 1 << 20], ..write(key(1), 0, "") }).await;
    assert_eq!(store.load(&key(1)).await.unwrap().unwrap().bytes.len(), 1 << 20);
}

pub async fn a_caller_that_goes_away_breaks_nothing(backend: &impl Backend) {
    let store = backend.open();
    for n in 0..20 {
        let mut swap = store.swap(write(key(n), 0, "gone"));
        // Asked once and dropped: the write may happen or not.
        let _ =
            std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut swap).poll(context))).await;
    }
    won(&*store, write(key(100), 0, "stayed")).await;
    let events = store.events(shard(1), 0, 100).await.unwrap();
    assert!(events.iter().map(|event| event.id.seq).eq(1..=events.len() as u64));
    for event in events {
        assert_eq!(store.load(&event.key).await.unwrap().unwrap().version, event.version);
    }
}

pub async fn a_restart_keeps_everything(backend: &impl Backend) {
    let store = backend.open();
    for n in 0..50 {
        won(&*store, Write { event: event(n), ..write(key(n as u16 % 10), n / 10, &n.to_string()) }).await;
    }
    store.settle(WRITER, vec![EventId { shard: shard(1), seq: 1 }]).await.unwrap();
    store.meta_swap("name", Version::ABSENT, b"value".to_vec()).await.unwrap();
    let all = async |store: &dyn Store| {
        (
            store.scan(None, 1_000).await.unwrap(),
            store.events(shard(1), 0, 1_000).await.unwrap(),
            store.unsettled(WRITER, None, 1_000).await.unwrap(),
            store.meta_list("").await.unwrap(),
            store.shards().await.unwrap(),
        )
    };
    let before = all(&*store).await;
    drop(store);
    let store = backend.open();
    assert_eq!(all(&*store).await, before);
    assert_eq!(won(&*store, write(key(1), 5, "on")).await.1.seq, 51, "the stream goes on where it ended");
}

pub async fn other_bytes_for_a_record_change_nothing_else(backend: &impl Backend) {
    let store = backend.open();
    let expires = Some(Instant::from_millis(4_102_444_800_000));
    won(&*store, write(key(1), 0, "one")).await;
    won(&*store, Write { expires, ..write(key(1), 1, "under the old key") }).await;
    let found = store.load(&key(1)).await.unwrap().unwrap();
    assert!(store.reseal(&key(1), &found, b"under the new key".to_vec()).await.unwrap());
    let expected = Versioned { bytes: b"under the new key".to_vec(), ..found.clone() };
    assert_eq!(store.load(&key(1)).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 2);
    assert_eq!(store.unsettled(WRITER, None, 10).await.unwrap().len(), 2);
    // The version is as it was, but the bytes are not; and the other way round.
    assert!(!store.reseal(&key(1), &found, b"too late".to_vec()).await.unwrap());
    let newer = Versioned { version: Version(3), ..expected.clone() };
    assert!(!store.reseal(&key(1), &newer, b"never was".to_vec()).await.unwrap());
    let lasting = Versioned { expires: None, ..expected.clone() };
    assert!(!store.reseal(&key(1), &lasting, b"never was".to_vec()).await.unwrap());
    assert!(!store.reseal(&key(2), &found, b"is not there".to_vec()).await.unwrap());
    assert_eq!(store.load(&key(2)).await.unwrap(), None);
    // Whoever read the record before writes on as if nothing had happened.
    let (version, event) = won(&*store, write(key(1), 2, "three")).await;
    assert_eq!((version, event.seq), (Version(3), 3));
    assert!(!store.reseal(&key(1), &expected, b"too late".to_vec()).await.unwrap());
    assert_eq!(store.load(&key(1)).await.unwrap().unwrap().bytes, b"three");
    let large = store.reseal(&key(1), &expected, vec![0; MAX_BYTES + 1]).await;
    assert!(matches!(large, Err(StoreError::TooLarge { .. })), "{large:?}");
}
