//! The head of a log, kept in the store, so that a log that was cut is found out.

use super::Head;
use crate::store::{MetaSwapped, Store, StoreError, Version, WriterId};
use crate::time::Instant;

const PREFIX: &str = "audit/anchor/";
const LEN: usize = 4 + 8 + 32 + 8;

/// What the store remembers of a log: an entry that was safe at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Whose log.
    pub writer: WriterId,
    /// Its newest entry then.
    pub head: Head,
    /// When.
    pub at: Instant,
}

impl Anchor {
    /// The name under which the store keeps the anchor of this writer.
    #[must_use]
    pub fn name(writer: WriterId) -> String {
        format!("{PREFIX}{writer}")
    }

    /// The bytes that the store keeps.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.extend_from_slice(&self.writer.0.to_le_bytes());
        out.extend_from_slice(&self.head.seq.to_le_bytes());
        out.extend_from_slice(&self.head.hash);
        out.extend_from_slice(&self.at.millis().to_le_bytes());
        out
    }

    /// Reads [`Anchor::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (writer, rest) = bytes.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (hash, at) = rest.split_first_chunk()?;
        Some(Self {
            writer: WriterId(u32::from_le_bytes(*writer)),
            head: Head { seq: u64::from_le_bytes(*seq), hash: *hash },
            at: Instant::from_millis(i64::from_le_bytes(at.try_into().ok()?)),
        })
    }
}

/// The anchors of all logs that ever wrote beside this store.
///
/// # Errors
/// When the store cannot be asked, or holds something else under such a name.
pub async fn anchors(store: &dyn Store) -> Result<Vec<Anchor>, StoreError> {
    let listed = store.meta_list(PREFIX).await?;
    let damaged = |name: &str| StoreError::Corrupt { path: name.into(), why: "no anchor of an audit log".into() };
    listed.iter().map(|(name, value)| Anchor::decode(&value.bytes).ok_or_else(|| damaged(name))).collect()
}

/// Writes the anchors of one store into another, but for those that are further there: so that a log whose instance
/// moves to that store goes on beside it.
///
/// # Errors
/// As [`anchors`].
pub async fn carry_anchors(from: &dyn Store, to: &dyn Store) -> Result<(), StoreError> {
    for anchor in anchors(from).await? {
        let name = Anchor::name(anchor.writer);
        let mut there = to.meta_get(&name).await?;
        loop {
            let further = there.as_ref().and_then(|there| Anchor::decode(&there.bytes));
            if further.is_some_and(|there| there.head.seq >= anchor.head.seq) {
                break;
            }
            let expected = there.map_or(Version::ABSENT, |there| there.version);
            match to.meta_swap(&name, expected, anchor.encode()).await? {
                MetaSwapped::Won(_) => break,
                MetaSwapped::Lost(other) => there = other,
            }
        }
    }
    Ok(())
}
