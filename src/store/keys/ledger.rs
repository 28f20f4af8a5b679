//! What a store remembers of its keys: which hash key it was made with, which key seals, and which others it needs.
//!
//! It is one named value, changed by compare-and-set: a MAC under the hash key, then the numbers of the keys under which
//! something may be stored, sealed under the key that seals. So it opens only with the right file, and tells one that is
//! behind.

use std::path::Path;

use aws_lc_rs::hmac;

use super::file::lies_inside;
use super::{Keys, KeysError, key_id};
use crate::store::{MetaSwapped, Purpose, SealError, Store, Version, Versioned};

const NAME: &str = "keys/check";

/// What a store remembers of its sealing keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ledger {
    version: Version,
    /// The number of the key that seals. It only rises.
    pub sealing: u32,
    /// The numbers of all keys under which something may be stored, rising; the last one seals. A number that has left
    /// never comes back.
    pub needed: Vec<u32>,
}

impl Ledger {
    /// The numbers of keys that are needed and do not seal.
    #[must_use]
    pub fn old(&self) -> Vec<u32> {
        self.needed.iter().copied().filter(|id| *id < self.sealing).collect()
    }
}

impl Keys {
    /// Opens the keys of this store, or makes them for a store that is new; then makes sure they belong together.
    ///
    /// `data` is the folder that must not contain the keys, where there is one.
    ///
    /// # Errors
    /// When the keys are missing although the store is not empty, belong to another store, lack one that it needs, lie
    /// inside the data folder, or cannot be read.
    pub async fn for_store(path: &Path, data: Option<&Path>, store: &dyn Store) -> Result<Self, KeysError> {
        if data.is_some_and(|data| lies_inside(path, data)) {
            return Err(KeysError::InsideData(path.into()));
        }
        let known = store.meta_get(NAME).await?;
        let keys = match Self::open(path) {
            Err(KeysError::Missing(_)) if known.is_some() => {
                return Err(KeysError::MissingBesideStore(path.into()));
            }
            Err(KeysError::Missing(_)) => Self::generate(path)?,
            opened => opened?,
        };
        Ok(keys.admitted(store).await?.0)
    }

    /// Makes sure that this store was made with these keys; an empty one takes them as its own.
    ///
    /// # Errors
    /// When it was made with others, needs one that is not here, or cannot be asked.
    pub async fn check(&self, store: &dyn Store) -> Result<(), KeysError> {
        self.clone().admitted(store).await.map(drop)
    }

    /// The keys as this store wants them, and what it remembers of them: where it has gone on to a later key than the file
    /// seals with, that one seals; where the file has gone on, the store is told so before anything is sealed.
    ///
    /// # Errors
    /// As [`Keys::check`].
    pub async fn admitted(self, store: &dyn Store) -> Result<(Self, Ledger), KeysError> {
        self.admit(store, true).await
    }

    /// The same while the store is in use: one that has forgotten its keys has lost what it held, and is not a new one.
    pub(super) async fn admitted_again(self, store: &dyn Store) -> Result<(Self, Ledger), KeysError> {
        self.admit(store, false).await
    }

    async fn admit(self, store: &dyn Store, may_be_new: bool) -> Result<(Self, Ledger), KeysError> {
        loop {
            let Some(found) = store.meta_get(NAME).await? else {
                if !may_be_new || !store.scan(None, 1).await?.is_empty() {
                    return Err(KeysError::Unchecked(self.path.clone()));
                }
                let needed = vec![self.sealing_id()];
                if let Some(ledger) = self.put_ledger(store, Version::ABSENT, needed).await? {
                    return Ok((self, ledger));
                }
                // Another instance was first; its keys must be ours.
                continue;
            };
            let ledger = self.ledger_of(&found)?;
            if self.sealing_id() <= ledger.sealing {
                return Ok((self.sealing_with(ledger.sealing)?, ledger));
            }
            let mut needed = ledger.needed;
            needed.push(self.sealing_id());
            if let Some(ledger) = self.put_ledger(store, found.version, needed).await? {
                return Ok((self, ledger));
            }
        }
    }

    /// What a store remembers of its keys; `None`: it has none yet.
    ///
    /// # Errors
    /// As [`Keys::check`].
    pub async fn ledger(&self, store: &dyn Store) -> Result<Option<Ledger>, KeysError> {
        store.meta_get(NAME).await?.map(|found| self.ledger_of(&found)).transpose()
    }

    /// Tells the store that nothing is under these keys any more. What it remembers now; keys that seal, or later ones,
    /// stay.
    ///
    /// # Errors
    /// As [`Keys::check`].
    pub(super) async fn release(&self, store: &dyn Store, free: &[u32]) -> Result<Ledger, KeysError> {
        loop {
            let found = store.meta_get(NAME).await?.ok_or_else(|| KeysError::Unchecked(self.path.clone()))?;
            let ledger = self.ledger_of(&found)?;
            let kept = |id: &u32| *id >= self.sealing_id() || !free.contains(id);
            let needed: Vec<u32> = ledger.needed.iter().copied().filter(kept).collect();
            if needed == ledger.needed {
                return Ok(ledger);
            }
            // Under the ledger's own key, which may be later than ours.
            let keys = self.clone().sealing_with(ledger.sealing)?;
            if let Some(ledger) = keys.put_ledger(store, found.version, needed).await? {
                return Ok(ledger);
            }
        }
    }

    fn ledger_of(&self, found: &Versioned) -> Result<Ledger, KeysError> {
        let wrong = || KeysError::Wrong(self.path.clone());
        let (mac, sealed) = found.bytes.split_first_chunk::<32>().ok_or_else(wrong)?;
        hmac::verify(&self.hash, NAME.as_bytes(), mac).map_err(|_| wrong())?;
        let sealing = key_id(sealed);
        let lacks = |key| KeysError::Lacks { path: self.path.clone(), key };
        let plain = self.open_bytes(Purpose::Meta, NAME.as_bytes(), sealed).map_err(|error| match error {
            SealError::UnknownKey(id) => lacks(id),
            _ => wrong(),
        })?;
        let (ids, []) = plain.as_chunks::<4>() else { return Err(wrong()) };
        let mut needed: Vec<u32> = ids.iter().map(|id| u32::from_le_bytes(*id)).collect();
        if needed.is_empty() {
            // Written by a build that did not remember them.
            needed.extend(self.seals.iter().map(|key| key.about.id).filter(|id| *id <= sealing));
        }
        match needed.iter().find(|id| !self.knows(**id)) {
            Some(id) => Err(lacks(*id)),
            None => Ok(Ledger { version: found.version, sealing, needed }),
        }
    }

    async fn put_ledger(
        &self,
        store: &dyn Store,
        expected: Version,
        needed: Vec<u32>,
    ) -> Result<Option<Ledger>, KeysError> {
        let mut value = hmac::sign(&self.hash, NAME.as_bytes()).as_ref().to_vec();
        let plain: Vec<u8> = needed.iter().flat_map(|id| id.to_le_bytes()).collect();
        value.extend(self.seal_bytes(Purpose::Meta, NAME.as_bytes(), &plain)?);
        match store.meta_swap(NAME, expected, value).await? {
            MetaSwapped::Won(version) => Ok(Some(Ledger { version, sealing: self.sealing_id(), needed })),
            MetaSwapped::Lost(_) => Ok(None),
        }
    }
}
