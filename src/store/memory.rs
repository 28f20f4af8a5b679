//! The model: the smallest right store. The suite's reference, and `check` without a server. Forgets when dropped.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{
    Answer, EventId, Key, MAX_BYTES, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version,
    Versioned, Write, WriterId, trim,
};
use crate::time::Instant;

/// A store in memory.
#[derive(Default, Debug)]
pub struct MemoryStore(Mutex<Kept>);

#[derive(Default, Debug)]
struct Kept {
    records: BTreeMap<Key, Versioned>,
    events: BTreeMap<EventId, StoredEvent>,
    outbox: BTreeMap<(WriterId, EventId), Vec<u8>>,
    meta: BTreeMap<String, Versioned>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn last_event(&self, shard: Shard) -> u64 {
        let all = EventId { shard, seq: 0 }..=EventId { shard, seq: u64::MAX };
        self.events.range(all).next_back().map_or(0, |(id, _)| id.seq)
    }

    fn swap(&mut self, write: Write) -> Swapped {
        let current = self.records.get(&write.key);
        if current.map_or(Version::ABSENT, |record| record.version) != write.expected {
            return Swapped::Lost(current.cloned());
        }
        let version = write.expected.next();
        let shard = write.key.shard();
        let id = EventId { shard, seq: self.last_event(shard) + 1 };
        let event = write.event;
        self.outbox.insert((event.writer, id), event.entry);
        let stored = StoredEvent {
            id,
            key: write.key,
            version,
            writer: event.writer,
            kind: event.kind,
            at: event.at,
            digest: event.digest,
            payload: event.payload,
        };
        self.events.insert(id, stored);
        self.records.insert(write.key, Versioned { version, bytes: write.bytes, expires: write.expires });
        Swapped::Won { version, event: id }
    }

    fn trim(&mut self, shard: Shard, before: Instant, keep: u64) -> u64 {
        let last = trim::last_to_go(self.last_event(shard), keep);
        let may_go = self.events.range(EventId { shard, seq: 0 }..=EventId { shard, seq: last });
        let settled = |event: &StoredEvent| !self.outbox.contains_key(&(event.writer, event.id));
        let going = may_go.take_while(|(_, event)| event.at < before && settled(event)).take(trim::PAGE);
        let going: Vec<_> = going.map(|(id, _)| *id).collect();
        going.iter().filter(|id| self.events.remove(id).is_some()).map(|_| 1).sum()
    }
}

/// Refuses what no store takes.
pub(super) fn check_size(size: usize) -> Result<(), StoreError> {
    if size > MAX_BYTES { Err(StoreError::TooLarge { size, limit: MAX_BYTES }) } else { Ok(()) }
}

pub(super) fn check_write(write: &Write) -> Result<(), StoreError> {
    check_size(write.bytes.len())?;
    check_size(write.event.entry.len())?;
    check_size(write.event.payload.len())
}

impl Store for MemoryStore {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        Answer::ready(Ok(self.kept().records.get(key).cloned()))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        let kept = self.kept();
        Answer::ready(Ok(keys.iter().map(|key| kept.records.get(key).cloned()).collect()))
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        Answer::ready(check_write(&write).map(|()| self.kept().swap(write)))
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        if let Err(error) = check_size(bytes.len()) {
            return Answer::ready(Err(error));
        }
        let mut kept = self.kept();
        let same = kept.records.get_mut(key).filter(|record| *record == found);
        Answer::ready(Ok(same.map(|record| record.bytes = bytes).is_some()))
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        let range = EventId { shard, seq: after.saturating_add(1) }..=EventId { shard, seq: u64::MAX };
        let kept = self.kept();
        let found = kept.events.range(range).take(limit).map(|(_, event)| event.clone()).collect();
        Answer::ready(trim::whole(shard, after, found))
    }

    fn trim_events(&self, shard: Shard, before: Instant, keep: u64) -> Answer<'_, u64> {
        Answer::ready(Ok(self.kept().trim(shard, before, keep)))
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        Answer::ready(Ok(self.kept().last_event(shard)))
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        let mut shards: Vec<_> = self.kept().events.keys().map(|id| id.shard).collect();
        shards.dedup();
        Answer::ready(Ok(shards))
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        let first = EventId { shard: Shard::new([0; 8], 0), seq: 0 };
        let range = (Excluded((writer, after.unwrap_or(first))), Unbounded);
        let kept = self.kept();
        let of_writer = kept.outbox.range(range).take_while(|((of, _), _)| *of == writer);
        let found = of_writer.take(limit).map(|((_, id), entry)| Unsettled { id: *id, entry: entry.clone() });
        Answer::ready(Ok(found.collect()))
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        let mut kept = self.kept();
        for id in events {
            kept.outbox.remove(&(writer, id));
        }
        Answer::ready(Ok(()))
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        let kept = self.kept();
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        Answer::ready(Ok(kept.records.range(range).take(limit).map(|(key, record)| (*key, record.clone())).collect()))
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        Answer::ready(Ok(self.kept().meta.get(name).cloned()))
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        if let Err(error) = check_size(bytes.len()) {
            return Answer::ready(Err(error));
        }
        let mut kept = self.kept();
        let current = kept.meta.get(name);
        if current.map_or(Version::ABSENT, |value| value.version) != expected {
            return Answer::ready(Ok(MetaSwapped::Lost(current.cloned())));
        }
        let version = expected.next();
        kept.meta.insert(name.into(), Versioned { version, bytes, expires: None });
        Answer::ready(Ok(MetaSwapped::Won(version)))
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        let kept = self.kept();
        let from = kept.meta.range::<str, _>((std::ops::Bound::Included(prefix), Unbounded));
        let found =
            from.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, value)| (name.clone(), value.clone()));
        Answer::ready(Ok(found.collect()))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Answer::ready(Ok(()))
    }
}
