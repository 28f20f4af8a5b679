//! What stands in the file: five tables, and how their values are laid out.
//!
//! A change of any layout here is a new [`FORMAT`], and the old one must still be read.

use redb::{AccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, TableError};

use crate::store::{Digest, EventId, Key, Shard, StoredEvent, Version, Versioned, WriterId};
use crate::time::Instant;

/// The format of the tables, kept in [`META`] under [`FORMAT_NAME`].
pub(super) const FORMAT: u32 = 1;
pub(super) const FORMAT_NAME: &str = "format";
/// The random id of this store, kept in [`META`].
pub(super) const ID_NAME: &str = "store/id";

pub(super) type Bytes = &'static [u8];
type RecordKey = &'static [u8; Key::LEN];
type EventKey = &'static [u8; EVENT_LEN];
type OutboxKey = &'static [u8; OUTBOX_LEN];
type ShardKey = &'static [u8; Shard::LEN];

pub(super) const EVENT_LEN: usize = Shard::LEN + 8;
pub(super) const OUTBOX_LEN: usize = 4 + EVENT_LEN;

/// Key -> version, expiry, sealed bytes.
pub(super) const RECORDS: TableDefinition<'_, RecordKey, Bytes> = TableDefinition::new("records");
/// Shard and place -> event.
pub(super) const EVENTS: TableDefinition<'_, EventKey, Bytes> = TableDefinition::new("events");
/// Writer, shard and place -> audit entry that is not known to be in the log.
pub(super) const OUTBOX: TableDefinition<'_, OutboxKey, Bytes> = TableDefinition::new("outbox");
/// Shard -> place of its newest event.
pub(super) const SHARDS: TableDefinition<'_, ShardKey, u64> = TableDefinition::new("shards");
/// Name -> version, value.
pub(super) const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");

/// All tables as they stood after one commit. Readers share it; the writer puts a new one in its place.
pub(super) struct Snapshot {
    pub(super) records: ReadOnlyTable<RecordKey, Bytes>,
    pub(super) events: ReadOnlyTable<EventKey, Bytes>,
    pub(super) outbox: ReadOnlyTable<OutboxKey, Bytes>,
    pub(super) shards: ReadOnlyTable<ShardKey, u64>,
    pub(super) meta: ReadOnlyTable<&'static str, Bytes>,
}

impl Snapshot {
    pub(super) fn of(read: &ReadTransaction) -> Result<Self, TableError> {
        Ok(Self {
            records: read.open_table(RECORDS)?,
            events: read.open_table(EVENTS)?,
            outbox: read.open_table(OUTBOX)?,
            shards: read.open_table(SHARDS)?,
            meta: read.open_table(META)?,
        })
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make(write: &redb::WriteTransaction) -> Result<(), TableError> {
    write.open_table(RECORDS)?;
    write.open_table(EVENTS)?;
    write.open_table(OUTBOX)?;
    write.open_table(SHARDS)?;
    write.open_table(META)?;
    Ok(())
}

pub(super) fn event_key(id: EventId) -> [u8; EVENT_LEN] {
    let mut out = [0; EVENT_LEN];
    let (shard, seq) = out.split_at_mut(Shard::LEN);
    shard.copy_from_slice(&id.shard.to_bytes());
    seq.copy_from_slice(&id.seq.to_be_bytes());
    out
}

fn event_id(key: &[u8; EVENT_LEN]) -> Option<EventId> {
    let (shard, seq) = key.split_first_chunk::<{ Shard::LEN }>()?;
    Some(EventId { shard: Shard::from_bytes(shard), seq: u64::from_be_bytes(seq.try_into().ok()?) })
}

pub(super) fn outbox_key(writer: WriterId, id: EventId) -> [u8; OUTBOX_LEN] {
    let mut out = [0; OUTBOX_LEN];
    let (of, event) = out.split_at_mut(4);
    of.copy_from_slice(&writer.0.to_be_bytes());
    event.copy_from_slice(&event_key(id));
    out
}

pub(super) fn outbox_id(key: &[u8; OUTBOX_LEN]) -> Option<EventId> {
    event_id(key.split_first_chunk::<4>()?.1.try_into().ok()?)
}

/// The range of a writer's outbox.
pub(super) fn outbox_of(writer: WriterId) -> ([u8; OUTBOX_LEN], [u8; OUTBOX_LEN]) {
    let end = |shard, seq| outbox_key(writer, EventId { shard, seq });
    (end(Shard::new([0; 8], 0), 0), end(Shard::new([u8::MAX; 8], u16::MAX), u64::MAX))
}

/// No expiry, as stored.
const NEVER: i64 = i64::MAX;
const RECORD_HEAD: usize = 16;

pub(super) fn record_value(version: Version, expires: Option<Instant>, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_HEAD + bytes.len());
    out.extend_from_slice(&version.0.to_le_bytes());
    out.extend_from_slice(&expires.map_or(NEVER, Instant::millis).to_le_bytes());
    out.extend_from_slice(bytes);
    out
}

pub(super) fn record(value: &[u8]) -> Option<Versioned> {
    let (version, rest) = value.split_first_chunk::<8>()?;
    let (expires, bytes) = rest.split_first_chunk::<8>()?;
    let expires = match i64::from_le_bytes(*expires) {
        NEVER => None,
        millis => Some(Instant::from_millis(millis)),
    };
    Some(Versioned { version: Version(u64::from_le_bytes(*version)), bytes: bytes.to_vec(), expires })
}

/// The version alone.
pub(super) fn version(value: &[u8]) -> Option<Version> {
    value.first_chunk::<8>().map(|bytes| Version(u64::from_le_bytes(*bytes)))
}

pub(super) fn event_value(write: &crate::store::Write, version: Version) -> Vec<u8> {
    let event = &write.event;
    let mut out = Vec::with_capacity(85 + event.payload.len());
    out.push(event.kind);
    out.extend_from_slice(&event.at.millis().to_le_bytes());
    out.extend_from_slice(&event.writer.0.to_le_bytes());
    out.extend_from_slice(&version.0.to_le_bytes());
    out.extend_from_slice(&event.digest);
    out.extend_from_slice(write.key.tag());
    out.extend_from_slice(&event.payload);
    out
}

pub(super) fn event(key: &[u8; EVENT_LEN], value: &[u8]) -> Option<StoredEvent> {
    let id = event_id(key)?;
    let (kind, rest) = value.split_first()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (writer, rest) = rest.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let (digest, rest): (&Digest, _) = rest.split_first_chunk()?;
    let (tag, payload) = rest.split_first_chunk::<32>()?;
    Some(StoredEvent {
        id,
        key: Key::new(id.shard, *tag),
        version: Version(u64::from_le_bytes(*version)),
        writer: WriterId(u32::from_le_bytes(*writer)),
        kind: *kind,
        at: Instant::from_millis(i64::from_le_bytes(*at)),
        digest: *digest,
        payload: payload.to_vec(),
    })
}

/// Reads one value and turns it into something.
pub(super) fn read<T>(
    guard: Option<AccessGuard<'_, Bytes>>,
    turn: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, redb::StorageError> {
    guard.map(|guard| turn(guard.value()).ok_or_else(short)).transpose()
}

/// A value that is shorter than its layout.
pub(super) fn short() -> redb::StorageError {
    redb::StorageError::Corrupted("a value is shorter than its layout".into())
}

/// The format a file says it has.
pub(super) fn format(meta: &impl ReadableTable<&'static str, Bytes>) -> Result<Option<u32>, redb::StorageError> {
    let value = read(meta.get(FORMAT_NAME)?, record)?;
    Ok(value.and_then(|value| value.bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))))
}
