//! A store whose writes are done and, while it is shut, not answered: so that others come between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::store::{
    Answer, EventId, Key, MetaSwapped, Shard, Store, StoredEvent, Swapped, Unsettled, Version, Versioned, Write,
    WriterId,
};
use tokio::sync::Notify;

/// Holds back the answers of writes.
pub struct Gated {
    inner: Arc<dyn Store>,
    shut: AtomicBool,
    /// Somebody waits.
    pub met: Notify,
    open: Notify,
}

impl Gated {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, shut: AtomicBool::new(false), met: Notify::new(), open: Notify::new() }
    }

    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
        self.open.notify_one();
    }
}

impl Store for Gated {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.inner.load(key)
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.inner.load_many(keys)
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        let swapped = self.inner.swap(write);
        Answer::waiting(async move {
            let swapped = swapped.await;
            if self.shut.load(Ordering::SeqCst) {
                self.met.notify_one();
                self.open.notified().await;
            }
            swapped
        })
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.inner.reseal(key, found, bytes)
    }

    fn confirm(&self, shard: Shard) -> Answer<'_, ()> {
        self.inner.confirm(shard)
    }

    fn shard_count(&self) -> u16 {
        self.inner.shard_count()
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        self.inner.events(shard, after, limit)
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        self.inner.last_event(shard)
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        self.inner.shards()
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        self.inner.unsettled(writer, after, limit)
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        self.inner.settle(writer, events)
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        self.inner.scan(after, limit)
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        self.inner.meta_get(name)
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        self.inner.meta_swap(name, expected, bytes)
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        self.inner.meta_list(prefix)
    }

    fn ready(&self) -> Answer<'_, ()> {
        self.inner.ready()
    }
}
