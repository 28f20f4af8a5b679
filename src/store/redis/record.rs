//! Records: reading them, and the compare-and-set that knows its own write again.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;

use ::redis::{Cmd, Pipeline, Value};

use super::link::Done;
use super::script::{Command, Script};
use super::{CHUNK, RedisStore, reply, shape};
use crate::store::memory::{check_size, check_write};
use crate::store::{Beside, EventId, Key, Shard, StoreError, Swapped, Version, Versioned, Write};

/// Events read at a time when looking for a write of ours.
const PAGE: usize = 200;
/// Pages read so: writes of others that may lie above ours.
const PAGES: usize = 50;

impl RedisStore {
    /// After a reconnect, makes sure that the server still has what was told of this shard.
    pub(super) async fn still_there(&self, shard: Shard) -> Result<(), StoreError> {
        self.sound()?;
        let reconnects = self.link.reconnects();
        {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.0 == reconnects && seen.1.contains(&shard) {
                return Ok(());
            }
        }
        let told = self.told(shard);
        if told > 0 {
            let found = self.newest_event(shard).await?;
            if found < told && self.link.has_one_server() {
                return Err(self.went_back(shard, found, told));
            }
            if found < told {
                // A deposed primary that does not know it yet, named by a sentinel or node that does not either; or writes
                // were lost: then the next write that is acknowledged there shows it.
                self.link.look_elsewhere(shape::slot(&shape::events_key(shard)));
                let why =
                    format!("this primary is at event {found} of {told} that were acknowledged: another is looked for");
                let place = self.link.place().to_owned();
                return Err(StoreError::Unavailable { place, doing: "looking for the primary", why });
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != reconnects {
            *seen = (reconnects, HashSet::new());
        }
        seen.1.insert(shard);
        Ok(())
    }

    pub(super) async fn load_one(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.sound()?;
        let stored = shape::record_key(key);
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("GET").arg(stored.as_slice());
        let answers = self.link.read(shape::slot(&stored), &pipe, "reading a record").await?;
        // Afterwards: the connection may have been made for this very read.
        self.still_there(key.shard()).await?;
        self.value_of(answers.into_iter().next())
    }

    /// Both at once; of the second only its head while that is the one known.
    pub(super) async fn load_with(
        &self,
        key: &Key,
        beside: &Key,
        known: Version,
    ) -> Result<(Option<Versioned>, Beside), StoreError> {
        let (record, head) = tokio::try_join!(self.load_one(key), self.head_of(beside))?;
        let unchanged = match known {
            Version::ABSENT => head.is_empty(),
            known => head.starts_with(&shape::head(known)),
        };
        Ok((record, if unchanged { Beside::Unchanged } else { Beside::Now(self.load_one(beside).await?) }))
    }

    /// What a record begins with: its version, and a little more. Empty where there is none.
    async fn head_of(&self, key: &Key) -> Result<Vec<u8>, StoreError> {
        self.sound()?;
        let doing = "reading a version";
        let stored = shape::record_key(key);
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("GETRANGE").arg(stored.as_slice()).arg(0).arg(shape::HEAD_BYTES);
        let answers = self.link.read(shape::slot(&stored), &pipe, doing).await?;
        self.still_there(key.shard()).await?;
        let head = reply::bytes(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        Ok(head.unwrap_or_default())
    }

    /// One trip for each shard, all at once.
    pub(super) async fn load_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut by_shard: BTreeMap<Shard, Vec<usize>> = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            by_shard.entry(key.shard()).or_default().push(index);
        }
        let trips = by_shard.into_iter().map(|(shard, indexes)| {
            let wanted: Vec<_> = indexes.iter().filter_map(|index| keys.get(*index)).map(shape::record_key).collect();
            async move { self.load_slot(shard, &wanted).await.map(|values| (indexes, values)) }
        });
        let mut found = vec![None; keys.len()];
        for trip in futures_util::future::join_all(trips).await {
            let (indexes, values) = trip?;
            for (index, value) in indexes.into_iter().zip(values) {
                if let Some(place) = found.get_mut(index) {
                    *place = self.value_of(Some(value))?;
                }
            }
        }
        Ok(found)
    }

    /// The records under these keys, which share a slot.
    pub(super) async fn load_slot(&self, shard: Shard, wanted: &[Vec<u8>]) -> Result<Vec<Value>, StoreError> {
        self.sound()?;
        let doing = "reading records";
        let slot = wanted.first().map_or(0, |key| shape::slot(key));
        let mut pipe = Pipeline::new();
        for chunk in wanted.chunks(CHUNK) {
            let command = pipe.cmd("MGET");
            chunk.iter().for_each(|key| {
                command.arg(key.as_slice());
            });
        }
        let mut values = Vec::with_capacity(wanted.len());
        for answer in self.link.read(slot, &pipe, doing).await? {
            values.extend(reply::list(answer).map_err(self.trouble(doing))?);
        }
        self.still_there(shard).await?;
        Ok(values)
    }

    /// Makes sure that the server knows this shard to have events, before it has any.
    pub(super) async fn introduce(&self, shard: Shard) -> Result<(), StoreError> {
        let reconnects = self.link.reconnects();
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.0 == reconnects && known.1.contains(&shard) {
                return Ok(());
            }
        }
        let mut command = Cmd::new();
        command.arg("SADD").arg(shape::SHARDS).arg(shard.to_bytes().as_slice());
        self.link.write(shape::slot(shape::SHARDS), Command::Plain(command), "writing").await?;
        // As of now, not as of before: this very write may have been the first on a connection.
        let reconnects = self.link.reconnects();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 != reconnects {
            *known = (reconnects, HashSet::new());
        }
        known.1.insert(shard);
        Ok(())
    }

    pub(super) async fn swap_record(&self, write: Write) -> Result<Swapped, StoreError> {
        check_write(&write)?;
        let shard = write.key.shard();
        self.still_there(shard).await?;
        self.introduce(shard).await?;
        let told = self.told(shard);
        let version = write.expected.next();
        let value = shape::value(version, write.expires, &write.bytes);
        let record = shape::record_key(&write.key);
        let slot = shape::slot(&record);
        let keys = vec![record, shape::events_key(shard), shape::outbox_key(shard, write.event.writer)];
        let event = shape::event(&write);
        let arguments = vec![
            shape::head(write.expected),
            value.clone(),
            shape::drop_at(write.expires),
            event.clone(),
            write.event.entry,
        ];
        let command = Command::Script { script: Script::Swap, keys, arguments };
        let Done { value: answer, again } = self.link.write(slot, command, "writing a record").await?;
        if let Value::Int(seq) = answer {
            let seq = u64::try_from(seq).unwrap_or(0);
            self.remember(shard, seq, told)?;
            return Ok(Swapped::Won { version, event: EventId { shard, seq } });
        }
        let winner = self.value_of(Some(answer))?;
        if again
            && winner.as_ref().is_some_and(|winner| winner.version >= version)
            && let Some(seq) = self.find(shard, version, &write.key, &event).await?
        {
            // Ours, of the time before the answer was lost. The replicas were never waited for.
            self.confirm_shard(shard).await?;
            self.remember(shard, seq, told)?;
            return Ok(Swapped::Won { version, event: EventId { shard, seq } });
        }
        Ok(Swapped::Lost(winner))
    }

    pub(super) async fn reseal_record(&self, key: &Key, found: &Versioned, bytes: Vec<u8>) -> Result<bool, StoreError> {
        check_size(bytes.len())?;
        self.still_there(key.shard()).await?;
        let record = shape::record_key(key);
        let slot = shape::slot(&record);
        let [old, new] = [&found.bytes, &bytes].map(|bytes| shape::value(found.version, found.expires, bytes));
        let command = Command::Script { script: Script::Reseal, keys: vec![record], arguments: vec![old, new] };
        let Done { value, again } = self.link.write(slot, command, "sealing a record anew").await?;
        if matches!(value, Value::Int(_)) {
            return Ok(true);
        }
        if again && self.load_one(key).await?.is_some_and(|now| now.version == found.version && now.bytes == bytes) {
            // Ours, of the time before the answer was lost. The replicas were never waited for.
            self.confirm_shard(key.shard()).await?;
            return Ok(true);
        }
        Ok(false)
    }

    pub(super) fn told(&self, shard: Shard) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&shard).copied().unwrap_or(0)
    }

    /// Notes the newest event that somebody is told of. One that is not newer than what had been told before it was asked
    /// for means that the server went back in time.
    pub(super) fn remember(&self, shard: Shard, seq: u64, before: u64) -> Result<(), StoreError> {
        if seq <= before {
            return Err(self.went_back(shard, seq, before));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = told.entry(shard).or_default();
        *newest = seq.max(*newest);
        Ok(())
    }

    pub(super) fn went_back(&self, shard: Shard, found: u64, told: u64) -> StoreError {
        let error = StoreError::Forgot { place: self.link.place().to_owned(), shard, found, told };
        tracing::error!(%error, "nothing is answered any more");
        self.forgot.get_or_init(|| error).clone()
    }

    /// The place of this very event, if it is in the stream: the record was written once with this version.
    pub(super) async fn find(
        &self,
        shard: Shard,
        version: Version,
        key: &Key,
        event: &[u8],
    ) -> Result<Option<u64>, StoreError> {
        let stream = shape::events_key(shard);
        let mut end = "+".to_owned();
        for _ in 0..PAGES {
            let mut pipe = Pipeline::new();
            pipe.cmd("XREVRANGE").arg(stream.as_slice()).arg(&end).arg("-").arg("COUNT").arg(PAGE);
            let page = self.entries(&stream, &pipe).await?;
            let Some((oldest, _)) = page.last() else { return Ok(None) };
            end = format!("(0-{oldest}");
            for (seq, bytes) in page {
                if bytes == event {
                    return Ok(Some(seq));
                }
                let other = shape::parse_event(EventId { shard, seq }, &bytes);
                if other.is_some_and(|other| other.key == *key && other.version <= version) {
                    return Ok(None);
                }
            }
        }
        let why = "whether a write happened could not be told: too much was written since".to_owned();
        Err(StoreError::Unavailable { place: self.link.place().to_owned(), doing: "writing a record", why })
    }

    /// Writes something of no meaning into the shard, and waits for it as for any write: what is safe covers all before.
    pub(super) async fn confirm_shard(&self, shard: Shard) -> Result<(), StoreError> {
        self.sound()?;
        let key = shape::barrier_key(shard);
        let mut command = Cmd::new();
        command.arg("SET").arg(key.as_slice()).arg("");
        self.link.write(shape::slot(&key), Command::Plain(command), "confirming").await.map(drop)
    }
}
