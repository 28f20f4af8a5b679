//! Sealed bytes with a version: all that is kept about a contact, and the events of its changes.
//!
//! Promises of every [`Store`]: a swap compares before it writes anything; record, event and outbox entry appear in one
//! atomic step or not at all; what was answered as won survives a crash (as far as the deployment's documents say);
//! versions of one key and events of one shard are consecutive; a lost swap names the record that won. A store knows
//! bytes, not law: neither numbers nor consents nor caps ever reach it. Guarded by `tests/store.rs`, which runs one list
//! of promises on every backend.

mod answer;
mod day;
pub mod embedded;
mod error;
mod folder;
mod keys;
pub mod memory;
pub(crate) mod queue;
pub mod redis;
mod seal;
pub mod trim;

pub use answer::Answer;
pub use day::{DayKeyError, DayKeys};
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub(crate) use folder::{Held, make_folder, sync_folder, write_whole};
use keys::key_id;
pub(crate) use keys::lies_inside;
pub use keys::{
    Instance, KeyAbout, KeyChange, KeyRing, KeyState, Keys, KeysError, KeysFile, Ledger, Mark, Rewrap, Tenant, Walked,
    counted, instances, withdraw,
};
pub use memory::MemoryStore;
pub use redis::RedisStore;
pub use seal::{DataKey, Purpose, SealError};

use crate::time::{Instant, Tally};

/// SHA-256 of something.
pub type Digest = [u8; 32];

/// The shortest way to SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    out.copy_from_slice(digest.as_ref());
    out
}

/// The most bytes that a record, an audit entry or a named value may have: 16 MiB. Far above what a contact needs, far
/// below what would stall the others that share a commit.
pub const MAX_BYTES: usize = 16 << 20;

/// Which slice of which tenant a record and its events belong to. Record and events of one shard stay together, on one
/// hash slot where the store has slots.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    tenant: [u8; 8],
    index: u16,
}

impl Shard {
    /// Bytes of [`Shard::to_bytes`].
    pub const LEN: usize = 10;

    /// The slice `index` of the tenant with this keyed tag.
    #[must_use]
    pub const fn new(tenant: [u8; 8], index: u16) -> Self {
        Self { tenant, index }
    }

    /// The tenant's keyed tag.
    #[must_use]
    pub const fn tenant(&self) -> [u8; 8] {
        self.tenant
    }

    /// Which slice of the tenant it is.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Ten bytes whose order is the order of shards.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let (tenant, index) = out.split_at_mut(8);
        tenant.copy_from_slice(&self.tenant);
        index.copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// Reads [`Shard::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = *bytes;
        Self { tenant: [a, b, c, d, e, f, g, h], index: u16::from_be_bytes([i, j]) }
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}.{}", u64::from_be_bytes(self.tenant), self.index)
    }
}

/// The name of one contact record: a keyed hash of tenant and number, made by [`Keys::tag`]. Without the hash key it
/// says nothing about either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    shard: Shard,
    tag: [u8; 32],
}

impl Key {
    /// Bytes of [`Key::to_bytes`].
    pub const LEN: usize = Shard::LEN + 32;

    /// The record with this tag in this shard.
    #[must_use]
    pub const fn new(shard: Shard, tag: [u8; 32]) -> Self {
        Self { shard, tag }
    }

    /// Where the record lives.
    #[must_use]
    pub const fn shard(&self) -> Shard {
        self.shard
    }

    /// The keyed hash alone: the contact tag of audit entries.
    #[must_use]
    pub const fn tag(&self) -> &[u8; 32] {
        &self.tag
    }

    /// Shard and tag; their order is the order of keys.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let (shard, tag) = out.split_at_mut(Shard::LEN);
        shard.copy_from_slice(&self.shard.to_bytes());
        tag.copy_from_slice(&self.tag);
        out
    }

    /// Reads [`Key::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (shard, tag) = bytes.split_first_chunk::<{ Shard::LEN }>()?;
        Some(Self { shard: Shard::from_bytes(shard), tag: tag.try_into().ok()? })
    }
}

/// The first four bytes: enough to tell records apart in a log line.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, ..] = self.tag;
        write!(f, "Key({:?}/{:08x}…)", self.shard, u32::from_be_bytes([a, b, c, d]))
    }
}

/// How often a record was written: 1 is the first. Consecutive for each key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Version(pub u64);

impl Version {
    /// What a swap expects of a record that is not there yet.
    pub const ABSENT: Self = Self(0);

    /// The version that a swap which expects this one makes.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A record as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Versioned {
    /// Which writing of it this is.
    pub version: Version,
    /// The sealed bytes.
    pub bytes: Vec<u8>,
    /// When the store may forget it. A store that drops nothing is within its rights; none drops earlier.
    pub expires: Option<Instant>,
}

/// Names the writer of an audit log, and through it every decision made beside that log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriterId(pub u32);

/// Eight hexadecimal digits.
impl std::fmt::Display for WriterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What a swap says to the world besides the record: written in the same atomic step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Whose audit log gets the entry.
    pub writer: WriterId,
    /// What happened; the numbers are the caller's.
    pub kind: u8,
    /// When it happened.
    pub at: Instant,
    /// SHA-256 of the audit entry's content, which the log must come to hold.
    pub digest: Digest,
    /// The audit entry's content itself, kept until [`Store::settle`]: should the process die between swap and append,
    /// the entry is appended from here.
    pub entry: Vec<u8>,
    /// Sealed bytes that stay with the event for those who follow the stream. May be empty.
    pub payload: Vec<u8>,
}

/// One compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Which record.
    pub key: Key,
    /// The version it must still have; [`Version::ABSENT`] for one that must not exist yet.
    pub expected: Version,
    /// The new sealed bytes.
    pub bytes: Vec<u8>,
    /// When the store may forget the record, if ever.
    pub expires: Option<Instant>,
    /// The event of this write.
    pub event: Event,
}

/// Names one event: consecutive from 1 within its shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId {
    /// The stream.
    pub shard: Shard,
    /// Its place in the stream.
    pub seq: u64,
}

/// An event as stored, without its outbox entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// Its place.
    pub id: EventId,
    /// The record that was written.
    pub key: Key,
    /// The version that was made.
    pub version: Version,
    /// See [`Event::writer`].
    pub writer: WriterId,
    /// See [`Event::kind`].
    pub kind: u8,
    /// See [`Event::at`].
    pub at: Instant,
    /// See [`Event::digest`].
    pub digest: Digest,
    /// See [`Event::payload`].
    pub payload: Vec<u8>,
}

/// An event whose audit entry is not known to be safe yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsettled {
    /// Which event.
    pub id: EventId,
    /// The content of its audit entry.
    pub entry: Vec<u8>,
}

/// How a compare-and-set ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Swapped {
    /// Written, durably.
    Won {
        /// The record's version now.
        version: Version,
        /// The event that was written with it.
        event: EventId,
    },
    /// Nothing was written: the record is another one than expected. This one; `None` if there is none.
    Lost(Option<Versioned>),
}

/// How a compare-and-set of a named value ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetaSwapped {
    /// Written, durably, with this version.
    Won(Version),
    /// Nothing was written: this is the value there.
    Lost(Option<Versioned>),
}

/// What a look at a record beside another found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Beside {
    /// It has the version that was known.
    Unchanged,
    /// It is another one; this. `None` if there is none.
    Now(Option<Versioned>),
}

/// Keeps sealed bytes. See the module for what every store promises.
///
/// An error of [`Store::swap`], [`Store::meta_swap`] or [`Store::settle`] that says `retry` may hide a write that did
/// happen: whoever asks again must recognise its own write. No error ever hides a write that was answered as won.
/// A caller that goes away after asking leaves the write to happen or not.
pub trait Store: Send + Sync {
    /// The record, if there is one.
    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>>;

    /// The record of `key`; and that of `beside`, unless it still has the version `known`: what every check looks at beside
    /// its contact. Both as they are now, in one trip; a store that is far away should not send what is known.
    fn load_beside<'a>(
        &'a self,
        key: &'a Key,
        beside: &'a Key,
        known: Version,
    ) -> Answer<'a, (Option<Versioned>, Beside)> {
        Answer::waiting(async move {
            let mut both = self.load_many(&[*key, *beside]).await?.into_iter();
            let (record, other) = (both.next().flatten(), both.next().flatten());
            let version = other.as_ref().map_or(Version::ABSENT, |other| other.version);
            Ok((record, if version == known { Beside::Unchanged } else { Beside::Now(other) }))
        })
    }

    /// The records of all these keys, in their order.
    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>>;

    /// How long commits with their syncs took, where this process does them.
    fn commits(&self) -> Option<&Tally> {
        None
    }

    /// Writes record and event if the record still has the expected version.
    fn swap(&self, write: Write) -> Answer<'_, Swapped>;

    /// Returns once all that reads and lost swaps have shown of this shard so far is as safe as what was answered as
    /// won. Whoever finds that what it was to write is there already, and answers so, must ask this first: that write may
    /// have been made by somebody who was never told that it is safe.
    fn confirm(&self, shard: Shard) -> Answer<'_, ()> {
        // Where a write shows to others only once it is safe there is nothing to wait for.
        let _ = shard;
        Answer::ready(Ok(()))
    }

    /// Puts other bytes in place of those of a record, if it still is exactly as it was found: for sealing the same content
    /// under another key, and for nothing else. Version, expiry and events stay as they are, since nothing was said anew.
    /// Whether it was done; as safe then as what a swap answers as won.
    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool>;

    /// Whether other processes may use the same store at the same time.
    fn is_shared(&self) -> bool {
        false
    }

    /// Over how many shards each tenant's records spread. Fixed when the store was made.
    fn shard_count(&self) -> u16 {
        1
    }

    /// Up to `limit` events of a shard after `after` (0: from the first), in order. [`StoreError::Trimmed`] if the first of
    /// them was trimmed: a reader learns that it missed something, and from where on it could read.
    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>>;

    /// The place of a shard's newest event; 0 if it has none.
    fn last_event(&self, shard: Shard) -> Answer<'_, u64>;

    /// Forgets the oldest events of a shard, from the first on: those made before that instant whose audit entries are
    /// settled. Stops at the first that is not so; the `keep` newest stay, and the newest of all in any case. Takes so many
    /// at most and returns how many went; 0: none are left to take. A store that keeps all is within its rights.
    fn trim_events(&self, shard: Shard, before: Instant, keep: u64) -> Answer<'_, u64> {
        let _ = (shard, before, keep);
        Answer::ready(Ok(0))
    }

    /// The shards that have events.
    fn shards(&self) -> Answer<'_, Vec<Shard>>;

    /// Up to `limit` events of this writer that were not settled, after `after`, in the order of [`EventId`].
    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>>;

    /// Says that the audit entries of these events are safe in the log: the store drops their outbox entries.
    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()>;

    /// Up to `limit` records after `after`, in the order of [`Key`]; for key rotation, copying and counting. Writes may
    /// happen meanwhile: what is written behind the walk is not met.
    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>>;

    /// A small named value.
    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>>;

    /// Writes a small named value if it still has the expected version.
    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped>;

    /// The named values whose name begins so, by name.
    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>>;

    /// Gets rid of bytes that were replaced before, as far as the store itself keeps them: after an erasure, what the old
    /// key was kept in must go too. Whether it is done, also where there is nothing that the store itself could do; unless
    /// `patient`, it may decline what would keep writers waiting. What is beyond its reach stands in `deploy/guide.md`.
    fn drop_replaced(&self, patient: bool) -> Answer<'_, bool> {
        let _ = patient;
        Answer::ready(Ok(true))
    }

    /// Whether reads and writes can be expected to work now; if not, why.
    fn ready(&self) -> Answer<'_, ()>;
}
