//! What lies where in Redis, to the byte. Instances of several releases may share it, so a change here is a new format.
//!
//! | key | type | holds |
//! |---|---|---|
//! | `{t.s}r` + 32 bytes of tag | string | head (version, expiry), sealed bytes |
//! | `{t.s}e` | stream | events, at `0-1`, `0-2`, … without gaps |
//! | `{t.s}o` + 4 bytes of writer | stream | entries not yet known to be in the log, at the places of their events |
//! | `{t.s}b` | string | nothing: written to have something to wait for |
//! | `{ringfence}m` | hash | name to head and value |
//! | `{ringfence}b` | string | nothing, as above |
//! | `{ringfence}s` | set | shards that may have events, ten bytes each |
//!
//! `t.s` names the shard: eleven digits of base 64, a dot, the index. It is the hash tag, so that Redis Cluster keeps
//! record, stream and outbox of a shard on one slot and one script may write all three.

use crate::store::{EventId, Key, Shard, StoredEvent, Version, Versioned, Write, WriterId};
use crate::time::Instant;

/// Named values, all in one hash: they are few and small.
pub(super) const META: &[u8] = b"{ringfence}m";
/// Written to have something to wait for where named values are.
pub(super) const META_BARRIER: &[u8] = b"{ringfence}b";
/// Shards that may have events.
pub(super) const SHARDS: &[u8] = b"{ringfence}s";
/// All records of all shards, as a pattern of SCAN.
pub(super) const RECORDS: &[u8] = b"{*}r*";
/// A server whose clock runs ahead must not drop a record early; a day is more than any clock is off that the start-up
/// check lets pass.
const EXPIRY_MARGIN_MS: i64 = 86_400_000;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn of_shard(shard: Shard, kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(20 + rest.len());
    key.push(b'{');
    let tag = u64::from_be_bytes(shard.tenant());
    for digit in 0..11 {
        let value = (tag >> (60 - digit * 6_u32)) & 63;
        key.push(DIGITS.get(usize::try_from(value).unwrap_or(0)).copied().unwrap_or(b'A'));
    }
    key.push(b'.');
    key.extend_from_slice(shard.index().to_string().as_bytes());
    key.extend_from_slice(&[b'}', kind]);
    key.extend_from_slice(rest);
    key
}

pub(super) fn record_key(key: &Key) -> Vec<u8> {
    of_shard(key.shard(), b'r', key.tag())
}

pub(super) fn events_key(shard: Shard) -> Vec<u8> {
    of_shard(shard, b'e', &[])
}

pub(super) fn outbox_key(shard: Shard, writer: WriterId) -> Vec<u8> {
    of_shard(shard, b'o', &writer.0.to_be_bytes())
}

pub(super) fn barrier_key(shard: Shard) -> Vec<u8> {
    of_shard(shard, b'b', &[])
}

/// Reads [`record_key`].
pub(super) fn parse_record_key(key: &[u8]) -> Option<Key> {
    let rest = key.strip_prefix(b"{")?;
    let (digits, rest) = rest.split_first_chunk::<11>()?;
    let mut tag = 0_u64;
    for digit in digits {
        let value = DIGITS.iter().position(|known| known == digit)?;
        tag = (tag << 6) | u64::try_from(value).ok()?;
    }
    let rest = rest.strip_prefix(b".")?;
    let end = rest.iter().position(|byte| *byte == b'}')?;
    let (index, rest) = rest.split_at_checked(end)?;
    let index = std::str::from_utf8(index).ok()?.parse().ok()?;
    let tag_bytes = rest.strip_prefix(b"}r")?.try_into().ok()?;
    Some(Key::new(Shard::new(tag.to_be_bytes(), index), tag_bytes))
}

/// The hash slot of a key: CRC-16/XMODEM of its hash tag, modulo 16384, as the specification of Redis Cluster says.
pub(super) fn slot(key: &[u8]) -> u16 {
    let tagged = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}').filter(|close| *close > 0)?;
        rest.get(..close)
    });
    let crc = tagged.unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % 16_384
}

fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

/// The longest [`head`], a LEB128 of 64 bits.
pub(super) const HEAD_BYTES: usize = 10;

/// What a record of this version begins with; empty for one that must not exist. LEB128 is a prefix-free code, so one
/// comparison of bytes compares versions.
pub(super) fn head(version: Version) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    if version != Version::ABSENT {
        push_number(&mut out, version.0);
    }
    out
}

/// A record or a named value: version, expiry (0: none), bytes. Two bytes of head for most.
pub(super) fn value(version: Version, expires: Option<Instant>, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 12);
    push_number(&mut out, version.0);
    let expires = expires.map_or(0, |at| at.millis().cast_unsigned().wrapping_shl(1) | 1);
    push_number(&mut out, expires);
    out.extend_from_slice(bytes);
    out
}

/// Reads [`value`].
pub(super) fn parse_value(stored: &[u8]) -> Option<Versioned> {
    let (version, rest) = take_number(stored)?;
    let (expires, bytes) = take_number(rest)?;
    let expires = (expires != 0).then(|| Instant::from_millis(expires.cast_signed() >> 1));
    Some(Versioned { version: Version(version), bytes: bytes.to_vec(), expires })
}

/// When the server may drop a record.
pub(super) fn drop_at(expires: Option<Instant>) -> Vec<u8> {
    // An instant before 1970 is one that is long past; Redis takes no negative ones.
    expires.map(|at| at.millis().saturating_add(EXPIRY_MARGIN_MS).max(1).to_string().into_bytes()).unwrap_or_default()
}

pub(super) fn event(write: &Write) -> Vec<u8> {
    let event = &write.event;
    let mut out = Vec::with_capacity(90 + event.payload.len());
    out.push(event.kind);
    out.extend_from_slice(&event.at.millis().to_le_bytes());
    out.extend_from_slice(&event.writer.0.to_le_bytes());
    push_number(&mut out, write.expected.next().0);
    out.extend_from_slice(&event.digest);
    out.extend_from_slice(write.key.tag());
    out.extend_from_slice(&event.payload);
    out
}

/// Reads [`event`].
pub(super) fn parse_event(id: EventId, stored: &[u8]) -> Option<StoredEvent> {
    let (kind, rest) = stored.split_first()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let (writer, rest) = rest.split_first_chunk::<4>()?;
    let (version, rest) = take_number(rest)?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let (tag, payload) = rest.split_first_chunk::<32>()?;
    Some(StoredEvent {
        id,
        key: Key::new(id.shard, *tag),
        version: Version(version),
        writer: WriterId(u32::from_le_bytes(*writer)),
        kind: *kind,
        at: Instant::from_millis(i64::from_le_bytes(*at)),
        digest: *digest,
        payload: payload.to_vec(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_share_a_slot() {
        for (tenant, index) in [([0; 8], 0), ([255; 8], u16::MAX), (*b"}{.r 789", 7)] {
            let shard = Shard::new(tenant, index);
            let key = Key::new(shard, [b'}'; 32]);
            let stored = record_key(&key);
            assert_eq!(parse_record_key(&stored), Some(key));
            for other in [events_key(shard), outbox_key(shard, WriterId(9)), barrier_key(shard)] {
                assert_eq!(slot(&stored), slot(&other));
                assert_eq!(parse_record_key(&other), None);
            }
        }
        assert_eq!(parse_record_key(META), None);
    }

    /// The reference values of the Redis Cluster specification, and what `CLUSTER KEYSLOT` says of the others.
    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(slot(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"{user1000}.followers"));
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
        assert_eq!(slot(b"foo{}{bar}"), slot(b"foo{}{bar}"));
        assert_ne!(slot(b"foo{}{bar}"), slot(b"bar"));
    }

    #[test]
    fn values_read_back_and_heads_tell_versions_apart() {
        for version in [1, 127, 128, 300, u64::MAX] {
            for expires in [None, Some(0), Some(-5), Some(1), Some(253_402_300_799_999)] {
                let expires = expires.map(Instant::from_millis);
                let stored = value(Version(version), expires, b"bytes");
                let read = parse_value(&stored).unwrap();
                assert_eq!(read, Versioned { version: Version(version), bytes: b"bytes".to_vec(), expires });
                for other in [1, 127, 128, 300, 38_400, u64::MAX] {
                    assert_eq!(stored.starts_with(&head(Version(other))), version == other);
                }
            }
        }
        assert_eq!(head(Version::ABSENT), b"");
        assert_eq!(value(Version(5), None, b"").len(), 2);
        assert_eq!(parse_value(&[0x80; 30]), None);
    }
}
