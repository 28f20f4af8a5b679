//! Which store each region has: remembered in the engine's own store, so that an empty one never passes for it.
//!
//! A volume that is not mounted, or a Redis that came back empty, looks like a new store. Were it taken for one, what the
//! region had would be forgotten, opt-outs too, and written anew in whatever place it is. So each store of a region has a
//! random name, and the default store knows it. Guarded by `tests/region.rs`.

use super::{DEFAULT_REGION, Engine, Failure};
use crate::store::{MetaSwapped, Store, Version};

/// The random name of a pinned region's store.
const OWN: &str = "region/name";
/// In the engine's own store: the name of each region's. Empty: that region was given up.
const KNOWN: &str = "region/known/";

impl Engine {
    /// Whether a store is the one that the region had; of a region that had none, any store is.
    ///
    /// # Errors
    /// One of the two cannot be asked.
    pub async fn recognises(&self, region: &str, store: &dyn Store) -> Result<bool, Failure> {
        let known = self.main.store.meta_get(&format!("{KNOWN}{region}")).await?;
        let Some(known) = known.filter(|known| !known.bytes.is_empty()) else { return Ok(true) };
        Ok(store.meta_get(OWN).await?.is_some_and(|own| own.bytes == known.bytes))
    }

    /// Remembers that a region has this store; `false`: it has another.
    ///
    /// # Errors
    /// One of the two cannot be asked or written.
    pub async fn remember(&self, region: &str, store: &dyn Store) -> Result<bool, Failure> {
        let mut name = store.meta_get(OWN).await?.map(|own| own.bytes);
        while name.is_none() {
            let made = uuid::Uuid::new_v4().as_bytes().to_vec();
            name = match store.meta_swap(OWN, Version::ABSENT, made.clone()).await? {
                MetaSwapped::Won(_) => Some(made),
                MetaSwapped::Lost(found) => found.map(|found| found.bytes),
            };
        }
        let name = name.unwrap_or_default();
        let known = format!("{KNOWN}{region}");
        let mut found = self.main.store.meta_get(&known).await?;
        loop {
            let expected = match &found {
                Some(found) if !found.bytes.is_empty() => return Ok(found.bytes == name),
                found => found.as_ref().map_or(Version::ABSENT, |found| found.version),
            };
            match self.main.store.meta_swap(&known, expected, name.clone()).await? {
                MetaSwapped::Won(_) => return Ok(true),
                MetaSwapped::Lost(winner) => found = winner,
            }
        }
    }

    /// Forgets which store a region has: it has no contacts any more, or is to begin with another.
    ///
    /// # Errors
    /// The engine's own store cannot be asked or written.
    pub async fn forget(&self, region: &str) -> Result<(), Failure> {
        let known = format!("{KNOWN}{region}");
        let mut found = self.main.store.meta_get(&known).await?;
        while let Some(there) = found.filter(|there| !there.bytes.is_empty()) {
            found = match self.main.store.meta_swap(&known, there.version, Vec::new()).await? {
                MetaSwapped::Won(_) => return Ok(()),
                MetaSwapped::Lost(winner) => winner,
            };
        }
        Ok(())
    }

    /// Regions that are open with another store than they had.
    ///
    /// # Errors
    /// A store cannot be asked.
    pub async fn with_other_stores(&self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        for (name, store) in self.open_stores() {
            if name != DEFAULT_REGION && !self.recognises(&name, &*store).await? {
                found.push(name);
            }
        }
        Ok(found)
    }
}

/// Gives what a store is named, and knows of the names of others, to the one that takes its place.
pub(super) async fn carry(from: &dyn Store, to: &dyn Store) -> Result<(), Failure> {
    let mut values = from.meta_list(KNOWN).await?;
    values.extend(from.meta_get(OWN).await?.map(|own| (OWN.to_owned(), own)));
    for (name, value) in values {
        let mut there = to.meta_get(&name).await?;
        while there.as_ref().is_none_or(|there| there.bytes != value.bytes) {
            let expected = there.map_or(Version::ABSENT, |there| there.version);
            there = match to.meta_swap(&name, expected, value.bytes.clone()).await? {
                MetaSwapped::Won(_) => break,
                MetaSwapped::Lost(winner) => winner,
            };
        }
    }
    Ok(())
}
