//! The store of many instances: Redis 7 or newer, or Valkey; standalone, under Sentinel, or as Cluster.
//!
//! Promises what every store promises. How far an acknowledged write survives the loss of servers is the deployment's:
//! `deploy/redis.md` says it line by line. What was written is told only once as many replicas have it as `acks` says;
//! a write whose answer was lost is recognised when it is asked again, and confirmed before it is told. A server that has
//! forgotten what it acknowledged is found out and refused. Every call ends in bounded time, and the store comes back
//! without a restart. Holds no lock of its own on the server: any number of instances share it.

mod address;
mod certificates;
mod cluster;
mod events;
mod judge;
mod lane;
mod link;
mod named;
mod node;
mod record;
mod reply;
mod script;
mod sentinel;
mod shape;
mod survey;
mod trouble;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock};

use ::redis::{Pipeline, Value};
use tokio::task::JoinHandle;

pub use self::address::{AckedFrom, Acks, Address, Deployment, Files, Login, Secret, Settings, Timing};
pub use self::certificates::Tls;
pub use self::survey::{Finding, Weight};

use self::link::Link;
use self::trouble::Trouble;
use self::walk::Walk;
use super::{
    Answer, Beside, EventId, Key, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled, Version,
    Versioned, Write, WriterId,
};
use crate::time::Instant;

/// The named value that says over how many shards a tenant spreads.
const SHARD_COUNT: &str = "store/shards";

/// Keys asked for in one command.
const CHUNK: usize = 500;

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
        move |trouble| {
            if matches!(trouble, Trouble::Odd(_)) {
                self.link.start_anew();
            }
            trouble.error(self.link.place(), doing)
        }
    }

    fn sound(&self) -> Result<(), StoreError> {
        self.forgot.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn value_of(&self, answer: Option<Value>) -> Result<Option<Versioned>, StoreError> {
        let bytes = reply::bytes(answer.unwrap_or(Value::Nil)).map_err(self.trouble("reading"))?;
        bytes.map(|bytes| shape::parse_value(&bytes).ok_or_else(|| self.corrupt("record"))).transpose()
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
                reply::Role::Primary { replicas } if replicas.len() >= need => continue,
                reply::Role::Primary { replicas } => Trouble::FewReplicas { have: replicas.len(), need },
                reply::Role::Other(role) => {
                    node.shared.new_era();
                    Trouble::Elsewhere(format!("a {role} answers"))
                }
            };
            return Err(trouble.error(self.link.place(), doing));
        }
        Ok(())
    }
}

impl Store for RedisStore {
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        Answer::waiting(self.load_one(key))
    }

    fn load_beside<'a>(
        &'a self,
        key: &'a Key,
        beside: &'a Key,
        known: Version,
    ) -> Answer<'a, (Option<Versioned>, Beside)> {
        Answer::waiting(self.load_with(key, beside, known))
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

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        Answer::waiting(self.reseal_record(key, found, bytes))
    }

    fn is_shared(&self) -> bool {
        true
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

    fn trim_events(&self, shard: Shard, before: Instant, keep: u64) -> Answer<'_, u64> {
        Answer::waiting(self.trim_oldest(shard, before, keep))
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
