//! The store of many instances: Redis 7 or newer, or Valkey; standalone, under Sentinel, or as Cluster.
//!
//! Promises what every store promises. How far an acknowledged write survives the loss of servers is the deployment's:
//! `deploy/redis.md` says it line by line. What was written is told only once as many replicas have it as `acks` says;
//! a write whose answer was lost is recognised when it is asked again, and confirmed before it is told. A server that has
//! forgotten what it acknowledged is found out and refused. Every call ends in bounded time, and the store comes back
//! without a restart. Holds no lock of its own on the server: any number of instances share it.

mod address;
mod cluster;
mod lane;
mod link;
mod node;
mod reply;
mod script;
mod sentinel;
mod shape;
mod survey;
mod trouble;
mod walk;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ::redis::{Cmd, Pipeline, Value};
use tokio::task::JoinHandle;

pub use self::address::{Acks, Address, Deployment, Files, Secret, Settings, Timing, Tls};
pub use self::survey::{Finding, Weight};

use self::link::{Done, Link};
use self::script::{Command, Script};
use self::trouble::Trouble;
use self::walk::Walk;
use super::memory::{check_size, check_write};
use super::{
    Answer, EventId, Key, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version, Versioned,
    Write, WriterId,
};

/// The named value that says over how many shards a tenant spreads.
const SHARD_COUNT: &str = "store/shards";
/// Keys asked for in one command.
const CHUNK: usize = 500;
/// Events read at a time when looking for a write of ours.
const PAGE: usize = 200;
/// Pages read so: writes of others that may lie above ours.
const PAGES: usize = 50;

/// See the module.
pub struct RedisStore {
    link: Arc<Link>,
    shards: u16,
    /// Shards that the server knows to have events, as of so many reconnects.
    known: Mutex<(u64, HashSet<Shard>)>,
    /// The newest event of each shard that somebody was told of.
    told: Mutex<HashMap<Shard, u64>>,
    /// Shards that were seen to have what was told, as of so many reconnects.
    seen: Mutex<(u64, HashSet<Shard>)>,
    forgot: OnceLock<StoreError>,
    walk: tokio::sync::Mutex<Option<Walk>>,
    keeper: JoinHandle<()>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("place", &self.link.place()).finish_non_exhaustive()
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl RedisStore {
    /// Connects, and makes sure that the servers are set up so that they can keep what they acknowledge. Returns what is
    /// worth a warning besides.
    ///
    /// # Errors
    /// No connection within the patience of the settings; settings of a server that would lose acknowledged writes.
    pub async fn open(settings: Settings) -> Result<(Self, Vec<Finding>), StoreError> {
        let store = Self::connect(settings).await?;
        let findings = store.survey().await?;
        if let Some(refused) = survey::refusal(store.link.place(), &findings) {
            return Err(refused);
        }
        Ok((store, findings))
    }

    /// Connects without looking at the servers' settings: for looking at them.
    ///
    /// # Errors
    /// No connection within the patience of the settings.
    pub async fn connect(settings: Settings) -> Result<Self, StoreError> {
        let link = Arc::new(Link::open(settings).await?);
        let keeper = tokio::spawn(link::keep_drawn(Arc::clone(&link)));
        let mut store = Self {
            link,
            shards: 1,
            known: Mutex::default(),
            told: Mutex::default(),
            seen: Mutex::default(),
            forgot: OnceLock::new(),
            walk: tokio::sync::Mutex::default(),
            keeper,
        };
        store.shards = store.agree_on_shards().await?;
        Ok(store)
    }

    /// What the servers' live settings mean for what is stored.
    ///
    /// # Errors
    /// A server does not answer.
    pub async fn survey(&self) -> Result<Vec<Finding>, StoreError> {
        survey::survey(&self.link).await
    }

    /// The address, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        self.link.place()
    }

    async fn agree_on_shards(&self) -> Result<u16, StoreError> {
        let read = |value: &Versioned| value.bytes.as_slice().try_into().ok().map(u16::from_be_bytes);
        let wanted = self.link.settings.shards.max(1);
        let found = match self.meta_read(SHARD_COUNT).await? {
            Some(found) => found,
            None => match self.meta_write(SHARD_COUNT, Version::ABSENT, &wanted.to_be_bytes()).await? {
                MetaSwapped::Won(_) | MetaSwapped::Lost(None) => return Ok(wanted),
                MetaSwapped::Lost(Some(found)) => found,
            },
        };
        read(&found).filter(|shards| *shards > 0).ok_or_else(|| self.corrupt(SHARD_COUNT))
    }

    fn corrupt(&self, what: &str) -> StoreError {
        let path = format!("{} {what}", self.link.place()).into();
        StoreError::Corrupt { path, why: "bytes that this store did not write".into() }
    }

    fn trouble(&self, doing: &'static str) -> impl Fn(Trouble) -> StoreError {
        move |trouble| trouble.error(self.link.place(), doing)
    }

    fn sound(&self) -> Result<(), StoreError> {
        self.forgot.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// After a reconnect, makes sure that the server still has what was told of this shard.
    async fn still_there(&self, shard: Shard) -> Result<(), StoreError> {
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
            if found < told {
                return Err(self.went_back(shard, found, told));
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != reconnects {
            *seen = (reconnects, HashSet::new());
        }
        seen.1.insert(shard);
        Ok(())
    }

    async fn load_one(&self, key: &Key) -> Result<Option<Versioned>, StoreError> {
        self.sound()?;
        let stored = shape::record_key(key);
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("GET").arg(stored.as_slice());
        let answers = self.link.read(shape::slot(&stored), &pipe, "reading a record").await?;
        // Afterwards: the connection may have been made for this very read.
        self.still_there(key.shard()).await?;
        self.value_of(answers.into_iter().next())
    }

    fn value_of(&self, answer: Option<Value>) -> Result<Option<Versioned>, StoreError> {
        let bytes = reply::bytes(answer.unwrap_or(Value::Nil)).map_err(self.trouble("reading"))?;
        bytes.map(|bytes| shape::parse_value(&bytes).ok_or_else(|| self.corrupt("record"))).transpose()
    }

    /// One trip for each shard, all at once.
    async fn load_all(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
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
    async fn load_slot(&self, shard: Shard, wanted: &[Vec<u8>]) -> Result<Vec<Value>, StoreError> {
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
    async fn introduce(&self, shard: Shard) -> Result<(), StoreError> {
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

    async fn swap_record(&self, write: Write) -> Result<Swapped, StoreError> {
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

    fn told(&self, shard: Shard) -> u64 {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&shard).copied().unwrap_or(0)
    }

    /// Notes the newest event that somebody is told of. One that is not newer than what had been told before it was asked
    /// for means that the server went back in time.
    fn remember(&self, shard: Shard, seq: u64, before: u64) -> Result<(), StoreError> {
        if seq <= before {
            return Err(self.went_back(shard, seq, before));
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = told.entry(shard).or_default();
        *newest = seq.max(*newest);
        Ok(())
    }

    fn went_back(&self, shard: Shard, found: u64, told: u64) -> StoreError {
        let error = StoreError::Forgot { place: self.link.place().to_owned(), shard, found, told };
        tracing::error!(%error, "nothing is answered any more");
        self.forgot.get_or_init(|| error).clone()
    }

    /// The place of this very event, if it is in the stream: the record was written once with this version.
    async fn find(&self, shard: Shard, version: Version, key: &Key, event: &[u8]) -> Result<Option<u64>, StoreError> {
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

    async fn entries(&self, stream: &[u8], pipe: &Pipeline) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let doing = "reading events";
        let answers = self.link.read(shape::slot(stream), pipe, doing).await?;
        let list = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        list.into_iter().map(reply::stream_entry).collect::<Result<_, _>>().map_err(self.trouble(doing))
    }

    /// Writes something of no meaning into the shard, and waits for it as for any write: what is safe covers all before.
    async fn confirm_shard(&self, shard: Shard) -> Result<(), StoreError> {
        self.sound()?;
        let key = shape::barrier_key(shard);
        let mut command = Cmd::new();
        command.arg("SET").arg(key.as_slice()).arg("");
        self.link.write(shape::slot(&key), Command::Plain(command), "confirming").await.map(drop)
    }

    async fn events_of(&self, shard: Shard, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let stream = shape::events_key(shard);
        let mut pipe = Pipeline::new();
        pipe.cmd("XRANGE").arg(stream.as_slice()).arg(format!("0-{first}")).arg("+").arg("COUNT").arg(count(limit));
        let entries = self.entries(&stream, &pipe).await?.into_iter().take(limit);
        entries
            .map(|(seq, bytes)| shape::parse_event(EventId { shard, seq }, &bytes).ok_or_else(|| self.corrupt("event")))
            .collect()
    }

    async fn newest_event(&self, shard: Shard) -> Result<u64, StoreError> {
        let stream = shape::events_key(shard);
        let mut pipe = Pipeline::new();
        pipe.cmd("XREVRANGE").arg(stream.as_slice()).arg("+").arg("-").arg("COUNT").arg(1);
        Ok(self.entries(&stream, &pipe).await?.first().map_or(0, |(seq, _)| *seq))
    }

    async fn known_shards(&self) -> Result<Vec<Shard>, StoreError> {
        let doing = "reading the list of shards";
        let mut pipe = Pipeline::new();
        pipe.cmd("SMEMBERS").arg(shape::SHARDS);
        let answers = self.link.read(shape::slot(shape::SHARDS), &pipe, doing).await?;
        let members = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        let mut shards = Vec::with_capacity(members.len());
        for member in members {
            let bytes = reply::bytes(member).map_err(self.trouble(doing))?.unwrap_or_default();
            let bytes = bytes.as_slice().try_into().map_err(|_| self.corrupt("list of shards"))?;
            shards.push(Shard::from_bytes(bytes));
        }
        shards.sort_unstable();
        Ok(shards)
    }

    async fn shards_with_events(&self) -> Result<Vec<Shard>, StoreError> {
        let mut shards = self.known_shards().await?;
        let lengths = self.lengths(shards.iter().map(|shard| shape::events_key(*shard)).collect()).await?;
        let mut lengths = lengths.into_iter();
        shards.retain(|_| lengths.next().is_some_and(|length| length > 0));
        Ok(shards)
    }

    /// How long these streams are.
    async fn lengths(&self, streams: Vec<Vec<u8>>) -> Result<Vec<usize>, StoreError> {
        let trips = streams.into_iter().map(|stream| async move { self.length(&stream).await });
        futures_util::future::join_all(trips).await.into_iter().collect()
    }

    async fn length(&self, stream: &[u8]) -> Result<usize, StoreError> {
        let doing = "reading the length of a stream";
        let mut pipe = Pipeline::new();
        pipe.cmd("XLEN").arg(stream);
        let answers = self.link.read(shape::slot(stream), &pipe, doing).await?;
        reply::count(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))
    }

    async fn open_entries(
        &self,
        writer: WriterId,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<Unsettled>, StoreError> {
        let mut shards = self.known_shards().await?;
        shards.retain(|shard| after.is_none_or(|after| *shard >= after.shard));
        let lengths = self.lengths(shards.iter().map(|shard| shape::outbox_key(*shard, writer)).collect()).await?;
        let mut found = Vec::new();
        for (shard, _) in shards.into_iter().zip(lengths).filter(|(_, length)| *length > 0) {
            if found.len() >= limit {
                break;
            }
            let after = after.filter(|after| after.shard == shard).map_or(0, |after| after.seq);
            let Some(first) = after.checked_add(1) else { continue };
            let stream = shape::outbox_key(shard, writer);
            let room = limit - found.len();
            let mut pipe = Pipeline::new();
            pipe.cmd("XRANGE").arg(stream.as_slice()).arg(format!("0-{first}")).arg("+").arg("COUNT").arg(count(room));
            let entries = self.entries(&stream, &pipe).await?.into_iter();
            found.extend(entries.map(|(seq, entry)| Unsettled { id: EventId { shard, seq }, entry }));
        }
        Ok(found)
    }

    async fn drop_entries(&self, writer: WriterId, events: Vec<EventId>) -> Result<(), StoreError> {
        self.sound()?;
        let mut by_shard: BTreeMap<Shard, Vec<u64>> = BTreeMap::new();
        for id in events {
            by_shard.entry(id.shard).or_default().push(id.seq);
        }
        for (shard, places) in by_shard {
            let stream = shape::outbox_key(shard, writer);
            for chunk in places.chunks(CHUNK) {
                let mut command = Cmd::new();
                command.arg("XDEL").arg(stream.as_slice());
                chunk.iter().for_each(|seq| {
                    command.arg(format!("0-{seq}"));
                });
                self.link.write(shape::slot(&stream), Command::Plain(command), "settling").await?;
            }
        }
        Ok(())
    }

    async fn meta_read(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(shape::META).arg(name);
        let answers = self.link.read(shape::slot(shape::META), &pipe, "reading a named value").await?;
        self.value_of(answers.into_iter().next())
    }

    async fn meta_write(&self, name: &str, expected: Version, bytes: &[u8]) -> Result<MetaSwapped, StoreError> {
        check_size(bytes.len())?;
        let version = expected.next();
        let value = shape::value(version, None, bytes);
        let arguments = vec![name.as_bytes().to_vec(), shape::head(expected), value];
        let command = Command::Script { script: Script::Meta, keys: vec![shape::META.to_vec()], arguments };
        let done = self.link.write(shape::slot(shape::META), command, "writing a named value").await?;
        if matches!(done.value, Value::Int(_)) {
            return Ok(MetaSwapped::Won(version));
        }
        let there = self.value_of(Some(done.value))?;
        if done.again && there.as_ref().is_some_and(|there| there.version == version && there.bytes == bytes) {
            let mut command = Cmd::new();
            command.arg("SET").arg(shape::META_BARRIER).arg("");
            self.link.write(shape::slot(shape::META_BARRIER), Command::Plain(command), "confirming").await?;
            return Ok(MetaSwapped::Won(version));
        }
        Ok(MetaSwapped::Lost(there))
    }

    async fn meta_find(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        let doing = "reading named values";
        let mut pipe = Pipeline::new();
        pipe.cmd("HGETALL").arg(shape::META);
        let answers = self.link.read(shape::slot(shape::META), &pipe, doing).await?;
        let all = reply::list(answers.into_iter().next().unwrap_or(Value::Nil)).map_err(self.trouble(doing))?;
        let mut found = Vec::new();
        let mut all = all.into_iter();
        while let (Some(name), Some(value)) = (all.next(), all.next()) {
            let name = reply::text(name).map_err(self.trouble(doing))?;
            if name.starts_with(prefix) {
                found.extend(self.value_of(Some(value))?.map(|value| (name, value)));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }

    async fn is_ready(&self) -> Result<(), StoreError> {
        self.sound()?;
        let doing = "asking whether it is ready";
        for node in self.link.nodes() {
            let mut pipe = Pipeline::new();
            pipe.cmd("ROLE");
            let answers = self.link.read_node(&node, &pipe, doing).await?;
            let role = reply::role(answers.first().unwrap_or(&Value::Nil)).map_err(self.trouble(doing))?;
            let need = node.shared.need();
            let trouble = match role {
                reply::Role::Primary { replicas } if replicas >= need => continue,
                reply::Role::Primary { replicas } => Trouble::FewReplicas { have: replicas, need },
                reply::Role::Other(role) => Trouble::Elsewhere(format!("a {role} answers")),
            };
            return Err(trouble.error(self.link.place(), doing));
        }
        Ok(())
    }
}

/// A limit as Redis takes it.
fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Store for RedisStore {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        Answer::waiting(self.load_one(key))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        Answer::waiting(self.load_all(keys))
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        Answer::waiting(self.swap_record(write))
    }

    fn confirm(&self, shard: Shard) -> Answer<'_, ()> {
        Answer::waiting(self.confirm_shard(shard))
    }

    fn shard_count(&self) -> u16 {
        self.shards
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        Answer::waiting(self.events_of(shard, after, limit))
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        Answer::waiting(self.newest_event(shard))
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        Answer::waiting(self.shards_with_events())
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        Answer::waiting(self.open_entries(writer, after, limit))
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        Answer::waiting(self.drop_entries(writer, events))
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        Answer::waiting(self.walk_on(after, limit))
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        Answer::waiting(self.meta_read(name))
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        Answer::waiting(async move { self.meta_write(name, expected, &bytes).await })
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        Answer::waiting(self.meta_find(prefix))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Answer::waiting(self.is_ready())
    }
}
