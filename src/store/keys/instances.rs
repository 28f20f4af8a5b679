//! Which processes use a store that several share, and how far each has come with its keys.
//!
//! Each says so in a named value of its own, under the name of its audit log: before it seals anything, whenever its keys
//! change, and now and then; and takes it back when it ends. One that was killed leaves it behind until it is started
//! again beside the same log, or until an operator who knows that it is gone says so.

use super::{Keys, Mark};
use crate::store::{MetaSwapped, Store, StoreError, Version, WriterId};
use crate::time::Instant;

const PREFIX: &str = "keys/at/";
const FORMAT: u8 = 1;

/// What a process said of its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// The audit log it writes.
    pub writer: WriterId,
    /// The oldest key with which something may still be sealed there; 0: it is starting.
    pub sealing: u32,
    /// The keys it can open with, and their marks.
    pub knows: Vec<(u32, Mark)>,
    /// When it said so last.
    pub at: Instant,
}

impl Instance {
    pub(super) fn of(writer: WriterId, sealing: u32, keys: &Keys, at: Instant) -> Self {
        let knows = keys.seals.iter().map(|key| (key.about.id, key.about.mark)).collect();
        Self { writer, sealing, knows, at }
    }

    /// Whether it can open what this key of ours seals.
    #[must_use]
    pub fn has(&self, keys: &Keys, id: u32) -> bool {
        keys.seals.iter().any(|key| key.about.id == id && self.knows.contains(&(id, key.about.mark)))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.sealing.to_le_bytes());
        out.extend_from_slice(&self.at.millis().to_le_bytes());
        for (id, mark) in &self.knows {
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(mark);
        }
        out
    }

    fn decode(name: &str, bytes: &[u8]) -> Option<Self> {
        let writer = u32::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok()?;
        let (&[FORMAT], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (sealing, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (keys, []) = rest.as_chunks::<12>() else { return None };
        let knows = keys.iter().map(|key| {
            let [a, b, c, d, mark @ ..] = *key;
            (u32::from_le_bytes([a, b, c, d]), mark)
        });
        Some(Self {
            writer: WriterId(writer),
            sealing: u32::from_le_bytes(*sealing),
            knows: knows.collect(),
            at: Instant::from_millis(i64::from_le_bytes(*at)),
        })
    }
}

/// The processes that use a store.
///
/// # Errors
/// When the store cannot be asked, or holds something else under such a name.
pub async fn instances(store: &dyn Store) -> Result<Vec<Instance>, StoreError> {
    let said = store.meta_list(PREFIX).await?.into_iter().filter(|(_, value)| !value.bytes.is_empty());
    let damaged = |name: String| StoreError::Corrupt { path: name.into(), why: "no word of a process".into() };
    said.map(|(name, value)| Instance::decode(&name, &value.bytes).ok_or_else(|| damaged(name))).collect()
}

pub(super) async fn announce(store: &dyn Store, instance: &Instance) -> Result<(), StoreError> {
    put(store, instance.writer, instance.encode()).await
}

/// Takes back what a process said: it has ended.
///
/// # Errors
/// When the store cannot be asked.
pub async fn withdraw(store: &dyn Store, writer: WriterId) -> Result<(), StoreError> {
    put(store, writer, Vec::new()).await
}

async fn put(store: &dyn Store, writer: WriterId, bytes: Vec<u8>) -> Result<(), StoreError> {
    let name = format!("{PREFIX}{writer}");
    let mut expected = store.meta_get(&name).await?.map_or(Version::ABSENT, |there| there.version);
    loop {
        match store.meta_swap(&name, expected, bytes.clone()).await? {
            MetaSwapped::Won(_) => return Ok(()),
            MetaSwapped::Lost(there) => expected = there.map_or(Version::ABSENT, |there| there.version),
        }
    }
}
