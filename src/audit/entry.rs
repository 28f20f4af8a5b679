//! One entry: a clear envelope and a sealed body, in one canonical form of bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::proof::{Public, rest_of, veil, witness};
use crate::store::{Digest, Event, WriterId, sha256};
use crate::time::Instant;

/// The id of a decision or a write: a UUID version 7 (RFC 9562) whose last 32 bits name the writer of the log that
/// holds its entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId([u8; 16]);

impl DecisionId {
    /// From its sixteen bytes; `None` if they are no UUID version 7.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        (uuid::Uuid::from_bytes(bytes).get_version_num() == 7).then_some(Self(bytes))
    }

    /// Its sixteen bytes.
    #[must_use]
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// Reads the usual text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().and_then(|uuid| Self::from_bytes(uuid.into_bytes()))
    }

    /// Whose log holds the entry.
    #[must_use]
    pub const fn writer(&self) -> WriterId {
        let [.., a, b, c, d] = self.0;
        WriterId(u32::from_be_bytes([a, b, c, d]))
    }

    /// When the id was made: milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// The usual text form of a UUID.
impl std::fmt::Display for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl std::fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Makes ids. Two of one process never collide, since they count; two processes with one writer id cannot run at once.
#[derive(Debug)]
pub(super) struct Ids {
    writer: WriterId,
    /// Starts at random, so that a restart within a millisecond does not repeat.
    count: AtomicU64,
}

impl Ids {
    pub(super) fn new(writer: WriterId, start: u64) -> Self {
        Self { writer, count: AtomicU64::new(start) }
    }

    pub(super) fn next(&self, at: Instant) -> DecisionId {
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // 42 bits of the count, the higher ones where a version 7 sorts by.
        let (high, low) = ((count >> 30) & 0xfff, count & 0x3fff_ffff);
        let first = (millis << 16) | 0x7000 | high;
        let second = (0b10 << 62) | (low << 32) | u64::from(self.writer.0);
        DecisionId(((u128::from(first) << 64) | u128::from(second)).to_be_bytes())
    }
}

/// Which key an entry's body is sealed under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyKey {
    /// None: the body is clear, and says nothing about anybody.
    Clear,
    /// The contact's own, found in the record with the entry's tag.
    Contact,
    /// The key of this day (days since 1970-01-01, UTC), found in the store's named values.
    Day(i32),
    /// The sealing key with this id.
    Sealing(u32),
}

/// One entry of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What kind of thing happened; the numbers are the caller's.
    pub kind: u8,
    /// When.
    pub at: Instant,
    /// The decision or write.
    pub id: DecisionId,
    /// The tenant it belongs to.
    pub tenant: String,
    /// The keyed tag of the contact, where there is one.
    pub tag: Option<[u8; 32]>,
    /// The keyed tag of the campaign, where there is one: entries of a campaign can be found, its name cannot be read.
    pub campaign: Option<[u8; 16]>,
    /// What lets it be shown to others piece by piece; `None`: as the first releases wrote it, to be shown whole or not
    /// at all.
    pub open: Option<Openings>,
    /// The key that opens the body.
    pub key: BodyKey,
    /// The sealed body.
    pub body: Vec<u8>,
}

/// What an entry holds so that a part of it can be shown, and checked, without the rest ([`super::proof`]). None of it says
/// anything to whoever has not been told what opens it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Openings {
    /// Of the hash key that made the tag. Zeros: there is no tag.
    pub mark: [u8; 4],
    /// Binds the number to the tag ([`super::proof::naming`]). Zeros: it says no number.
    pub name: [u8; 16],
    /// Binds the body as it was before it was sealed ([`super::proof::shown_body`]).
    pub plain: Digest,
}

/// An entry as bytes, with their digest: made once, by the caller, before it is known where in the log it will stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encoded {
    pub(super) content: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) id: DecisionId,
}

/// Without a campaign, as the first release wrote all entries.
const PLAIN: u8 = 1;
/// With the tag of a campaign.
const WITH_CAMPAIGN: u8 = 2;
/// As 1, with openings.
const OPENABLE: u8 = 3;
/// As 2, with openings.
const OPENABLE_WITH_CAMPAIGN: u8 = 4;

/// The kind of an encoded entry.
pub(super) fn kind_of(content: &[u8]) -> Option<u8> {
    content.get(1).copied()
}

impl Entry {
    /// The canonical bytes: format, kind, instant, id, tag (after a byte that says whether there is one), in format 2 the
    /// tag of the campaign, key (kind and number), tenant (after its length), body (after its length). Format 2 exactly
    /// where there is a campaign. Formats 3 and 4 are 1 and 2 with the openings (mark, name, plain) before the key.
    /// Numbers are little-endian.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let tenant = self.tenant.as_bytes();
        let mut out = Vec::with_capacity(138 + tenant.len() + self.body.len());
        out.push(match (self.campaign.is_some(), self.open.is_some()) {
            (false, false) => PLAIN,
            (true, false) => WITH_CAMPAIGN,
            (false, true) => OPENABLE,
            (true, true) => OPENABLE_WITH_CAMPAIGN,
        });
        out.push(self.kind);
        out.extend_from_slice(&self.at.millis().to_le_bytes());
        out.extend_from_slice(&self.id.bytes());
        out.push(u8::from(self.tag.is_some()));
        out.extend_from_slice(self.tag.as_ref().map_or(&[][..], |tag| tag));
        out.extend_from_slice(self.campaign.as_ref().map_or(&[][..], |tag| tag));
        if let Some(open) = &self.open {
            out.extend_from_slice(&open.mark);
            out.extend_from_slice(&open.name);
            out.extend_from_slice(&open.plain);
        }
        let (key, number) = match self.key {
            BodyKey::Clear => (0, [0; 4]),
            BodyKey::Contact => (1, [0; 4]),
            BodyKey::Day(day) => (2, day.to_le_bytes()),
            BodyKey::Sealing(id) => (3, id.to_le_bytes()),
        };
        out.push(key);
        out.extend_from_slice(&number);
        for part in [tenant, &self.body] {
            // An entry too long for this is too long to be appended.
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(part);
        }
        Encoded { digest: digest_of(&out), content: out, id: self.id }
    }

    /// Reads the canonical bytes; `None` for anything else.
    #[must_use]
    pub fn decode(content: &[u8]) -> Option<Self> {
        let (Outside { kind, at, id, tag, campaign, open }, rest) = Outside::read(content)?;
        let (key, rest) = rest.split_first()?;
        let (number, rest) = rest.split_first_chunk()?;
        let key = match key {
            0 => BodyKey::Clear,
            1 => BodyKey::Contact,
            2 => BodyKey::Day(i32::from_le_bytes(*number)),
            3 => BodyKey::Sealing(u32::from_le_bytes(*number)),
            _ => return None,
        };
        let (length, rest) = rest.split_first_chunk()?;
        let (tenant, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let (length, body) = rest.split_first_chunk()?;
        if u32::from_le_bytes(*length) as usize != body.len() {
            return None;
        }
        Some(Self {
            kind,
            at,
            id,
            tenant: std::str::from_utf8(tenant).ok()?.to_owned(),
            tag,
            campaign,
            open,
            key,
            body: body.to_vec(),
        })
    }
}

/// What stands first in an entry: enough to find it by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outside {
    pub(super) kind: u8,
    at: Instant,
    pub(super) id: DecisionId,
    pub(super) tag: Option<[u8; 32]>,
    pub(super) campaign: Option<[u8; 16]>,
    pub(super) open: Option<Openings>,
}

impl Outside {
    /// Reads it from canonical bytes, with the bytes that follow.
    pub(super) fn read(content: &[u8]) -> Option<(Self, &[u8])> {
        let (&[format, kind], rest) = content.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (tag, rest) = match rest.split_first()? {
            (0, rest) => (None, rest),
            (1, rest) => rest.split_first_chunk::<32>().map(|(tag, rest)| (Some(*tag), rest))?,
            _ => return None,
        };
        let (campaign, rest) = match format {
            PLAIN | OPENABLE => (None, rest),
            WITH_CAMPAIGN | OPENABLE_WITH_CAMPAIGN => {
                rest.split_first_chunk::<16>().map(|(tag, rest)| (Some(*tag), rest))?
            }
            _ => return None,
        };
        let (open, rest) = match format {
            OPENABLE | OPENABLE_WITH_CAMPAIGN => {
                let (mark, rest) = rest.split_first_chunk()?;
                let (name, rest) = rest.split_first_chunk()?;
                let (plain, rest) = rest.split_first_chunk()?;
                (Some(Openings { mark: *mark, name: *name, plain: *plain }), rest)
            }
            _ => (None, rest),
        };
        let at = Instant::from_millis(i64::from_le_bytes(*at));
        Some((Self { kind, at, id: DecisionId::from_bytes(*id)?, tag, campaign, open }, rest))
    }

    /// What is shown of the entry to everybody; `None`: it is shown whole or not at all.
    pub(super) fn public(&self) -> Option<Public> {
        let open = self.open?;
        let id = self.id.bytes();
        let veil = self.tag.map_or([0; 16], |tag| veil(&witness(&tag), &id));
        Some(Public { kind: self.kind, id, veil, mark: open.mark })
    }
}

/// What the chain and the store know an entry by: of formats 1 and 2 SHA-256 of its bytes; of 3 and 4 a hash over hashes,
/// so that its parts can be shown one without the other.
pub(super) fn digest_of(content: &[u8]) -> Digest {
    let whole = sha256(content);
    let outside = match content.first() {
        Some(&(OPENABLE | OPENABLE_WITH_CAMPAIGN)) => Outside::read(content).map(|(outside, _)| outside),
        _ => None,
    };
    match outside.and_then(|outside| Some((outside.public()?, outside.open?))) {
        Some((public, open)) => public.digest(&rest_of(&open.name, &open.plain, &whole)),
        None => whole,
    }
}

impl Encoded {
    /// The bytes.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// What the chain and the store know it by: the hash of the bytes, or over hashes of their parts.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The event that a swap writes together with the record, carrying this entry in its outbox.
    #[must_use]
    pub fn event(&self, kind: u8, at: Instant, payload: Vec<u8>) -> Event {
        Event { writer: self.id.writer(), kind, at, digest: self.digest, entry: self.content.clone(), payload }
    }

    /// Bytes from an outbox; `None` if they are no entry.
    pub(super) fn from_content(content: Vec<u8>) -> Option<Self> {
        let id = Entry::decode(&content)?.id;
        Some(Self { digest: digest_of(&content), content, id })
    }
}

/// The id within canonical bytes, without reading the rest.
pub(super) fn id_of(content: &[u8]) -> Option<DecisionId> {
    content.get(10..26).and_then(|bytes| bytes.try_into().ok()).and_then(DecisionId::from_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> Ids {
        Ids::new(WriterId(0xdead_beef), u64::MAX - 2)
    }

    #[test]
    fn an_id_names_its_writer_and_its_time() {
        let at = Instant::from_millis(1_795_000_000_123);
        let id = ids().next(at);
        assert_eq!((id.writer(), id.millis()), (WriterId(0xdead_beef), 1_795_000_000_123));
        assert_eq!(DecisionId::parse(&id.to_string()), Some(id));
        assert_eq!(uuid::Uuid::from_bytes(id.bytes()).get_variant(), uuid::Variant::RFC4122);
        assert_eq!(DecisionId::parse("3f6a3f3e-5f0e-4b52-9e2f-000000000000"), None, "a version 4");
    }

    #[test]
    fn ids_of_one_millisecond_differ() {
        let (ids, at) = (ids(), Instant::from_millis(7));
        let made: std::collections::BTreeSet<_> = (0..1_000).map(|_| ids.next(at)).collect();
        assert_eq!(made.len(), 1_000);
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let key = prop_oneof![
            Just(BodyKey::Clear),
            Just(BodyKey::Contact),
            any::<i32>().prop_map(BodyKey::Day),
            any::<u32>().prop_map(BodyKey::Sealing),
        ];
        let open = any::<Option<([u8; 4], [u8; 16], [u8; 32])>>();
        let open = open.prop_map(|open| open.map(|(mark, name, plain)| Openings { mark, name, plain }));
        (any::<(u8, i64, String, Option<[u8; 32]>, Option<[u8; 16]>, Vec<u8>)>(), 0_i64..1 << 48, key, open).prop_map(
            |((kind, at, tenant, tag, campaign, body), made, key, open)| {
                let id = ids().next(Instant::from_millis(made));
                Entry { kind, at: Instant::from_millis(at), id, tenant, tag, campaign, open, key, body }
            },
        )
    }

    proptest! {
        #[test]
        fn an_entry_reads_back_and_nothing_shorter_or_longer_does(entry in entry(), cut: prop::sample::Index) {
            let encoded = entry.encode();
            prop_assert_eq!(Entry::decode(encoded.content()), Some(entry.clone()));
            prop_assert_eq!(id_of(encoded.content()), Some(entry.id));
            prop_assert_eq!(Entry::decode(&encoded.content()[..cut.index(encoded.content().len())]), None);
            let mut longer = encoded.content;
            longer.push(0);
            prop_assert_eq!(Entry::decode(&longer), None);
        }

        #[test]
        fn any_bytes_decode_to_nothing_or_to_what_encodes_to_them(bytes: Vec<u8>) {
            if let Some(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode().content, bytes);
            }
        }
    }
}
