//! An instance that cannot reach the store for long, while the store fails over and loses what had been told: nothing
//! that was recorded meanwhile is passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::{event, heard, number};
use crate::support::{engine_over, opt_out, permit};
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::proto::v1;
use ringfence::store::{
    Answer, EventId, Key, MemoryStore, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version,
    Versioned, Write, WriterId,
};
use ringfence::time::{Instant, Millis};

/// A store whose events cannot be read for a while, and which has another history after that.
#[derive(Default)]
struct Deposed {
    before: MemoryStore,
    after: MemoryStore,
    failed_over: AtomicBool,
    cut_off: AtomicBool,
}

impl Deposed {
    fn there(&self) -> &MemoryStore {
        if self.failed_over.load(Ordering::Relaxed) { &self.after } else { &self.before }
    }

    fn heard<'a, T>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if !self.cut_off.load(Ordering::Relaxed) {
            return answer;
        }
        let (place, why) = ("redis://test".to_owned(), "no answer".to_owned());
        Answer::ready(Err(StoreError::Unavailable { place, doing: "reading events", why }))
    }
}

impl Store for Deposed {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.there().load(key)
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.there().load_many(keys)
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.there().swap(write)
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.there().reseal(key, found, bytes)
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        self.heard(self.there().events(shard, after, limit))
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        self.heard(self.there().last_event(shard))
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        self.there().shards()
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        self.there().unsettled(writer, after, limit)
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        self.there().settle(writer, events)
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        self.there().scan(after, limit)
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        self.there().meta_get(name)
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        self.there().meta_swap(name, expected, bytes)
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        self.there().meta_list(prefix)
    }

    fn ready(&self) -> Answer<'_, ()> {
        self.there().ready()
    }
}

static CLOCK: AtomicI64 = AtomicI64::new(1_795_017_600_000);

fn clock() -> Instant {
    Instant::from_millis(CLOCK.load(Ordering::Relaxed))
}

async fn say_stop(engine: &Engine, n: usize, at: Instant) {
    let request = opt_out(&number(n), &format!("stop-{n}"));
    engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(at)).await.unwrap();
}

#[tokio::test]
async fn after_a_cut_longer_than_the_rewind_nothing_of_the_new_history_is_passed_over() {
    let store = Arc::new(Deposed::default());
    let engine = engine_over(store.clone());
    let beat = Duration::from_secs(60);
    let request = v1::WatchOptOutsRequest::default();
    let watched = engine.watch_opt_outs(&permit(Role::ReadContacts), request, clock, beat).await.unwrap();
    let mut events: super::Events = Box::pin(watched);
    assert!(heard(&mut events).await.event.is_none());
    for n in 0..3 {
        say_stop(&engine, n, clock()).await;
        assert_eq!(event(&mut events).await.0.number, number(n));
    }
    store.cut_off.store(true, Ordering::Relaxed);
    // What this instance had told was lost; the others go on without it.
    store.failed_over.store(true, Ordering::Relaxed);
    for (n, minutes) in [(11, 1), (12, 24)] {
        say_stop(&engine, n, clock().plus(Millis::seconds(60 * minutes))).await;
    }
    CLOCK.fetch_add(25 * 60_000, Ordering::Relaxed);
    store.cut_off.store(false, Ordering::Relaxed);
    for n in [11, 12] {
        assert_eq!(event(&mut events).await.0.number, number(n));
    }
}
