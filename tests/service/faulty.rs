//! A store that fails when told to.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence::store::{
    Answer, EventId, Key, MemoryStore, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version,
    Versioned, Write, WriterId,
};
use ringfence::time::Instant;
use tokio::sync::watch;

/// How it fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Not at all.
    None,
    /// Nothing can be read or written.
    Away,
    /// Reading works, writing finds the disk full.
    Full,
    /// What was written is written, and the answer to it lost.
    LostAnswer,
    /// No answer ever comes.
    Hang,
    /// The record is too large.
    TooLarge,
    /// What is to be written waits until there is another fault, or none, and is written then.
    Held,
}

/// The model, with a fault.
pub struct Faulty {
    inner: MemoryStore,
    fault: Mutex<Fault>,
    held: watch::Sender<bool>,
    waiting: AtomicUsize,
    wrote: Mutex<String>,
}

/// Where it says that it is: no client may be told.
pub const PLACE: &str = "/srv/secret-place";

impl Faulty {
    pub fn new() -> Self {
        let held = watch::Sender::new(false);
        Self {
            inner: MemoryStore::new(),
            fault: Mutex::new(Fault::None),
            held,
            waiting: AtomicUsize::new(0),
            wrote: Mutex::default(),
        }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.held.send_replace(fault == Fault::Held);
    }

    /// How many writes were held since the first.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The thread of the last write.
    pub fn wrote(&self) -> String {
        self.wrote.lock().unwrap().clone()
    }

    fn read<'a, T: Send + 'a>(&'a self, answer: impl FnOnce() -> Answer<'a, T>) -> Answer<'a, T> {
        match *self.fault.lock().unwrap() {
            Fault::Away => Answer::ready(Err(away())),
            Fault::Hang => Answer::waiting(std::future::pending()),
            _ => answer(),
        }
    }

    fn write<'a, T: Send + 'a>(&'a self, answer: impl FnOnce() -> Answer<'a, T> + Send + 'a) -> Answer<'a, T> {
        let fault = *self.fault.lock().unwrap();
        *self.wrote.lock().unwrap() = std::thread::current().name().unwrap_or_default().to_owned();
        match fault {
            Fault::Full => Answer::ready(Err(StoreError::Full { path: PLACE.into() })),
            Fault::TooLarge => Answer::ready(Err(StoreError::TooLarge { size: 17 << 20, limit: 16 << 20 })),
            Fault::Held => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let mut held = self.held.subscribe();
                Answer::waiting(async move {
                    held.wait_for(|held| !*held).await.unwrap();
                    answer().await
                })
            }
            Fault::LostAnswer => {
                drop(answer());
                Answer::ready(Err(away()))
            }
            _ => self.read(answer),
        }
    }
}

fn away() -> StoreError {
    StoreError::Unavailable { place: PLACE.to_owned(), doing: "asking", why: "connection refused".to_owned() }
}

impl Store for Faulty {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.read(|| self.inner.load(key))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.read(|| self.inner.load_many(keys))
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.write(move || self.inner.swap(write))
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.write(move || self.inner.reseal(key, found, bytes))
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        self.read(|| self.inner.events(shard, after, limit))
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        self.read(|| self.inner.last_event(shard))
    }

    fn trim_events(&self, shard: Shard, before: Instant, keep: u64) -> Answer<'_, u64> {
        self.write(move || self.inner.trim_events(shard, before, keep))
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        self.read(|| self.inner.shards())
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        self.read(|| self.inner.unsettled(writer, after, limit))
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        self.write(move || self.inner.settle(writer, events))
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        self.read(|| self.inner.scan(after, limit))
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        self.read(|| self.inner.meta_get(name))
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        self.write(move || self.inner.meta_swap(name, expected, bytes))
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        self.read(|| self.inner.meta_list(prefix))
    }

    fn ready(&self) -> Answer<'_, ()> {
        self.read(|| self.inner.ready())
    }
}
