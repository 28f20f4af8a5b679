//! A store whose writes are done and, while it is shut, not answered: so that others come between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::forwarded::forwarded;
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
    forwarded!();

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
}
