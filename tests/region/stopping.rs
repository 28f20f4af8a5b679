//! A store that answers so many times and then never again, as a process that is killed no longer asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::forwarded::forwarded;
use ringfence::store::{
    Answer, EventId, Key, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version, Versioned,
    Write, WriterId,
};

/// Steps that are left, of all stores of one process together.
#[derive(Clone)]
pub struct Steps(Arc<AtomicI64>);

impl Steps {
    pub fn of(steps: i64) -> Self {
        Self(Arc::new(AtomicI64::new(steps)))
    }

    /// Whether they sufficed.
    pub fn sufficed(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= 0
    }
}

/// Stops after so many reads and writes.
pub struct Stopping {
    pub inner: Arc<dyn Store>,
    pub steps: Steps,
    /// Whether the write at which it stops still happens, its answer lost.
    pub after: bool,
    /// What was written is never known to be safe.
    pub unsafe_yet: bool,
}

fn gone() -> StoreError {
    StoreError::Unavailable { place: "test".to_owned(), doing: "asking", why: "killed".to_owned() }
}

impl Stopping {
    fn step<'a, T: Send + 'a>(&'a self, answer: impl FnOnce() -> Answer<'a, T>) -> Answer<'a, T> {
        match self.steps.0.fetch_sub(1, Ordering::SeqCst) {
            1.. => answer(),
            0 if self.after => {
                let answer = answer();
                Answer::waiting(async move {
                    let _ = answer.await;
                    Err(gone())
                })
            }
            _ => Answer::ready(Err(gone())),
        }
    }
}

impl Store for Stopping {
    forwarded!();

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.step(|| self.inner.load(key))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.step(|| self.inner.load_many(keys))
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.step(|| self.inner.swap(write))
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.step(|| self.inner.reseal(key, found, bytes))
    }

    fn confirm(&self, shard: Shard) -> Answer<'_, ()> {
        if self.unsafe_yet {
            return Answer::ready(Err(gone()));
        }
        self.step(|| self.inner.confirm(shard))
    }

    fn shard_count(&self) -> u16 {
        self.inner.shard_count()
    }
}
