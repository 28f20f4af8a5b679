//! Moving every record into another store, while the one that it leaves may still be written.
//!
//! Promises: a record appears in the target by compare-and-set, with its audit entry, as every write does; one that was
//! written in the target since is never overwritten; whatever was interrupted is taken up by copying again. A copied
//! record carries a mark ([`store::CopyMark`]) by which later copies tell what either side wrote since. The contact's
//! own key goes along, so that audit entries about it still open. Guarded by `tests/cli/copy.rs`.
//!
//! A copy is no fence: what a server still writes to the source after the last pass stays there. So the last pass runs
//! once nothing serves from the source any more.

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message as _;
use tokio::task::JoinSet;

use super::audited::{Kind, Sealed};
use super::control::FORMAT as CONTROL_FORMAT;
use super::incidents::LOTS;
use super::layout::Layout;
use super::policies::ARCHIVE;
use super::rights::INDEX_SHARES;
use super::{Failure, known};
use crate::audit::{self, BodyKey, Encoded, Entry, Log};
use crate::contact::Stored;
use crate::proto::store;
use crate::store::{
    DataKey, DayKeys, Key, Keys, MetaSwapped, Shard, Store, Swapped, Tenant, Version, Versioned, Write,
};
use crate::time::Instant;

/// Records that are on their way at once: enough to share commits, little enough to stall nobody.
const PAGE: usize = 256;
/// The named value that tells stores apart in marks: random, made when a store is first copied from.
const NAME: &str = "copy/name";

/// A store with the keys that open it.
pub struct Side {
    /// Where records are.
    pub store: Arc<dyn Store>,
    /// What seals and finds them.
    pub keys: Keys,
}

impl Side {
    fn tenant(&self, shards: u16) -> Tenant {
        self.keys.tenant(crate::access::DEFAULT_TENANT, shards)
    }
}

/// What became of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// Written into the target.
    pub copied: u64,
    /// In the target already, as they are in the source.
    pub same: u64,
    /// Copied earlier, and written in the target since: left as they are there.
    pub ahead: u64,
    /// Written on both sides, or in the target alone: left as they are there. What the source has of them is not in the
    /// target.
    pub parted: u64,
}

impl Copied {
    /// All records that were looked at.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.copied + self.same + self.ahead + self.parted
    }

    /// Adds what became of others.
    pub const fn add(&mut self, other: Self) {
        self.copied += other.copied;
        self.same += other.same;
        self.ahead += other.ahead;
        self.parted += other.parted;
    }
}

/// What became of all that is no record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// Days whose key was written into the target.
    pub days: u64,
    /// Days for which the target has a key of its own: audit bodies that the source's key sealed open only with the source.
    pub days_parted: u64,
    /// Logs beside the source with events whose audit entries are not known to be safe yet. They are not copied: their
    /// instances, or the next start of one, append them.
    pub waiting: u64,
}

/// How a record of the target stands to one of the source.
enum Standing {
    Behind,
    Same,
    Ahead,
    Parted,
}

/// A record with the place for its mark.
enum Opened {
    Contact(Box<store::ContactRecord>),
    Control(Box<store::ControlRecord>),
    /// A share of the index of requests; which.
    Index(u8, Box<store::RequestIndex>),
}

/// What kind of record stands under a key.
#[derive(Clone, Copy)]
enum Sort {
    Contact,
    Control,
    Index(u8),
}

impl Sort {
    fn of(side: &Side, tenant: &Tenant, key: &Key) -> Self {
        if *key == side.keys.control(tenant) {
            return Self::Control;
        }
        let share = (0..INDEX_SHARES).find(|share| *key == side.keys.requests(tenant, *share));
        share.map_or(Self::Contact, Self::Index)
    }
}

impl Opened {
    fn read(sort: Sort, plain: &[u8]) -> Result<Self, Failure> {
        match sort {
            Sort::Contact => return Ok(Self::Contact(Box::new(Stored::from_bytes(plain)?.into_stored()))),
            Sort::Index(share) => {
                let index = store::RequestIndex::decode(plain).map_err(|error| Failure::Internal(error.to_string()))?;
                return Ok(Self::Index(share, Box::new(index)));
            }
            Sort::Control => {}
        }
        let record = store::ControlRecord::decode(plain).map_err(|error| Failure::Internal(error.to_string()))?;
        if record.format > CONTROL_FORMAT {
            let why = format!("the record of switches has form {}: run the newer build", record.format);
            return Err(Failure::Internal(why));
        }
        Ok(Self::Control(Box::new(record)))
    }

    const fn mark(&self) -> Option<store::CopyMark> {
        match self {
            Self::Contact(record) => record.copied,
            Self::Control(record) => record.copied,
            Self::Index(_, record) => record.copied,
        }
    }

    fn marked(&mut self, mark: store::CopyMark) -> Vec<u8> {
        match self {
            Self::Contact(record) => {
                record.copied = Some(mark);
                record.encode_to_vec()
            }
            Self::Control(record) => {
                record.copied = Some(mark);
                record.encode_to_vec()
            }
            Self::Index(_, record) => {
                record.copied = Some(mark);
                record.encode_to_vec()
            }
        }
    }
}

/// Copies the records of one store into another.
pub struct Copier {
    ends: Arc<Ends>,
    /// Where records were found in the target that somebody else may have put there.
    met: HashSet<Shard>,
}

struct Ends {
    from: Side,
    from_tenant: Tenant,
    to: Side,
    to_tenant: Tenant,
    log: Arc<Log>,
    source: u64,
}

impl std::fmt::Debug for Copier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier").field("from", &self.ends.from.keys).finish_non_exhaustive()
    }
}

impl Copier {
    /// Between these two; `log` is a log beside the target, which gets an entry for each record.
    ///
    /// # Errors
    /// The source cannot be asked or given its name.
    pub async fn new(from: Side, to: Side, log: Arc<Log>) -> Result<Self, Failure> {
        let source = name_of(&*from.store).await?;
        let (from_tenant, to_tenant) = (from.tenant(from.store.shard_count()), to.tenant(to.store.shard_count()));
        let ends = Arc::new(Ends { from, from_tenant, to, to_tenant, log, source });
        Ok(Self { ends, met: HashSet::new() })
    }

    /// Whether both sides find records by the same hash key. If not, tags change, and logs beside the source can no
    /// longer be read with the target.
    #[must_use]
    pub fn same_hash_key(&self) -> bool {
        self.ends.same_hash_key()
    }

    /// Copies up to some hundred records after this one (`None`: from the first), and says where to go on; `None`: there
    /// are no more.
    ///
    /// # Errors
    /// A store or the log fails; a record does not open, or is no record of this tenant. Going on from the same place
    /// repeats nothing.
    pub async fn page(&mut self, after: Option<Key>, now: Instant) -> Result<(Option<Key>, Copied), Failure> {
        self.ends.log.ready()?;
        let records = self.ends.from.store.scan(after, PAGE).await?;
        let last = records.last().map(|(key, _)| *key);
        let mut under_way = JoinSet::new();
        for (key, record) in records {
            let ends = Arc::clone(&self.ends);
            under_way.spawn(async move { ends.copy(key, record, now).await });
        }
        let mut done = Copied::default();
        while let Some(joined) = under_way.join_next().await {
            let (shard, became) = joined.map_err(|error| Failure::Internal(error.to_string()))??;
            if became.copied == 0 {
                self.met.insert(shard);
            }
            done.add(became);
        }
        Ok((last, done))
    }

    /// After a pass over all pages: makes sure that what was found in the target is safe there, and copies the keys of the
    /// days and the anchors of the logs.
    ///
    /// # Errors
    /// A store fails; a key of a day does not open.
    pub async fn finish(&mut self) -> Result<Rest, Failure> {
        let (from, to) = (&self.ends.from, &self.ends.to);
        for shard in &self.met {
            to.store.confirm(*shard).await?;
        }
        self.met.clear();
        let (days, days_parted) = DayKeys::copy((&*from.store, &from.keys), (&*to.store, &to.keys)).await?;
        let mut waiting = 0;
        for anchor in audit::anchors(&*from.store).await? {
            waiting += u64::from(!from.store.unsettled(anchor.writer, None, 1).await?.is_empty());
        }
        audit::carry_anchors(&*from.store, &*to.store).await?;
        // Sealed under the key of the record of switches, which came along with it.
        for kind in [ARCHIVE, LOTS] {
            for (name, value) in from.store.meta_list(&format!("{kind}/")).await? {
                let _ = to.store.meta_swap(&name, Version::ABSENT, value.bytes).await?;
            }
        }
        // The target takes the place of the source among the regions.
        if let Some(layout) = Layout::of(&*from.store).await? {
            layout.write(&*to.store).await?;
        }
        known::carry(&*from.store, &*to.store).await?;
        Ok(Rest { days, days_parted, waiting })
    }
}

impl Ends {
    fn same_hash_key(&self) -> bool {
        self.from_tenant.shard(0).tenant() == self.to_tenant.shard(0).tenant()
    }

    /// Copies one record, unless it is there: the shard it belongs to in the target, and what became of it.
    async fn copy(&self, from: Key, record: Versioned, now: Instant) -> Result<(Shard, Copied), Failure> {
        let unreadable = |error: &dyn std::fmt::Display| Failure::Internal(format!("{from:?} of the source: {error}"));
        if from.shard().tenant() != self.from_tenant.shard(0).tenant() {
            return Err(unreadable(&"a record of another tenant: a store that several tenants use is not copied"));
        }
        let sort = Sort::of(&self.from, &self.from_tenant, &from);
        let (own, plain) = self.from.keys.open_record(&from, &record.bytes).map_err(|error| unreadable(&error))?;
        let mut opened = Opened::read(sort, &plain).map_err(|error| unreadable(&error))?;
        if let Opened::Index(_, index) = &mut opened {
            self.find_again(index).await?;
        }
        let to = self.key(&from, &opened)?;
        let mut found = self.to.store.load(&to).await?;
        loop {
            let expected = match &found {
                None => Version::ABSENT,
                Some(there) => match self.standing(&to, sort, there, record.version)? {
                    Standing::Behind => there.version,
                    Standing::Same => return Ok((to.shard(), Copied { same: 1, ..Copied::default() })),
                    Standing::Ahead => return Ok((to.shard(), Copied { ahead: 1, ..Copied::default() })),
                    Standing::Parted => return Ok((to.shard(), Copied { parted: 1, ..Copied::default() })),
                },
            };
            let version = expected.next().0;
            let mark = store::CopyMark { source: self.source, source_version: record.version.0, version };
            let bytes = self.to.keys.seal_record(&to, &own, &opened.marked(mark))?;
            let entry = self.entry(&from, &to, &own, mark, now)?;
            let event = entry.event(0, now, Vec::new());
            match self.to.store.swap(Write { key: to, expected, bytes, expires: record.expires, event }).await? {
                Swapped::Won { event, .. } => {
                    let _ = self.log.append(entry, Some(event)).await?;
                    return Ok((to.shard(), Copied { copied: 1, ..Copied::default() }));
                }
                Swapped::Lost(winner) => found = winner,
            }
        }
    }

    /// The key in the target. Another hash key makes another tag, from the number that the record holds.
    fn key(&self, from: &Key, opened: &Opened) -> Result<Key, Failure> {
        let record = match opened {
            _ if self.same_hash_key() => return Ok(self.to.keys.key_of(&self.to_tenant, *from.tag())),
            Opened::Control(_) => return Ok(self.to.keys.control(&self.to_tenant)),
            Opened::Index(share, _) => return Ok(self.to.keys.requests(&self.to_tenant, *share)),
            Opened::Contact(record) => record,
        };
        let number = format!("+{}", record.number);
        if self.from.keys.tag(&self.from_tenant, &number) != *from {
            let why = "holds no number of its own (erased, or moved to another store), so it gets no tag under another \
                       hash key: copy it into a store with the same keys file";
            return Err(Failure::Internal(format!("{from:?} of the source {why}")));
        }
        Ok(self.to.keys.tag(&self.to_tenant, &number))
    }

    /// Names the contacts of an index by their tags in the target. Another hash key makes others, from their numbers.
    async fn find_again(&self, index: &mut store::RequestIndex) -> Result<(), Failure> {
        if self.same_hash_key() {
            return Ok(());
        }
        for entry in &mut index.requests {
            let Ok(tag) = <[u8; 32]>::try_from(entry.contact_tag.as_slice()) else { continue };
            let key = self.from.keys.key_of(&self.from_tenant, tag);
            let Some(found) = self.from.store.load(&key).await? else { continue };
            let (_, plain) = self.from.keys.open_record(&key, &found.bytes)?;
            let contact = Opened::Contact(Box::new(Stored::from_bytes(&plain)?.into_stored()));
            entry.contact_tag = self.key(&key, &contact)?.tag().to_vec();
        }
        Ok(())
    }

    fn standing(&self, to: &Key, sort: Sort, there: &Versioned, newest: Version) -> Result<Standing, Failure> {
        let (_, plain) = self.to.keys.open_record(to, &there.bytes)?;
        let mark = Opened::read(sort, &plain)?.mark();
        let Some(mark) = mark.filter(|mark| mark.source == self.source) else { return Ok(Standing::Parted) };
        let (untouched, current) = (mark.version == there.version.0, mark.source_version >= newest.0);
        Ok(match (untouched, current) {
            (true, true) => Standing::Same,
            (true, false) => Standing::Behind,
            (false, true) => Standing::Ahead,
            (false, false) => Standing::Parted,
        })
    }

    fn entry(
        &self,
        from: &Key,
        to: &Key,
        own: &DataKey,
        mark: store::CopyMark,
        now: Instant,
    ) -> Result<Encoded, Failure> {
        let copy = store::AuditedCopy {
            source: mark.source,
            source_version: mark.source_version,
            source_tag: from.tag().to_vec(),
        };
        let write = store::AuditedWrite {
            request: Some(store::audited_write::Request::Copy(copy)),
            recorded_at: now.millis(),
            version: mark.version,
            ..store::AuditedWrite::default()
        };
        let plain = store::AuditBody { body: Some(store::audit_body::Body::Write(write)) }.encode_to_vec();
        let id = self.log.next_id(now);
        let sealed = Sealed::by(own, &id.bytes(), &plain)?;
        let tag = Some(*to.tag());
        let entry = Entry {
            kind: Kind::Write as u8,
            at: now,
            id,
            tenant: self.to_tenant.name().to_owned(),
            tag,
            campaign: None,
            open: Some(sealed.openings(&self.to.keys, tag, &id.bytes(), None)),
            key: BodyKey::Contact,
            body: sealed.body,
        };
        Ok(entry.encode())
    }
}

/// The random name of a store, given to it where it has none.
async fn name_of(store: &dyn Store) -> Result<u64, Failure> {
    let damaged = || Failure::Internal(format!("the value {NAME} of the source is none that a copy wrote"));
    let read = |value: Versioned| value.bytes.as_slice().try_into().map(u64::from_le_bytes).map_err(|_| damaged());
    if let Some(value) = store.meta_get(NAME).await? {
        return read(value);
    }
    let (_, name) = uuid::Uuid::new_v4().as_u64_pair();
    match store.meta_swap(NAME, Version::ABSENT, name.to_le_bytes().to_vec()).await? {
        MetaSwapped::Won(_) => Ok(name),
        MetaSwapped::Lost(value) => value.map_or_else(|| Err(damaged()), read),
    }
}
