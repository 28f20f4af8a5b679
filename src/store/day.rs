//! Keys of the day: what seals the audit bodies of decisions about which there is no record to hold a key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{DataKey, Keys, MetaSwapped, SealError, Store, StoreError, Version, key_id};
use crate::time::Instant;

const MILLIS_PER_DAY: i64 = 86_400_000;
/// Days whose keys stay in memory: today's is all that traffic needs; a look back reads the store again.
const REMEMBERED: usize = 8;

/// What the names of the keys begin with.
const PREFIX: &str = "audit/day/";

/// Why there is no key of a day.
#[derive(Debug, thiserror::Error)]
pub enum DayKeyError {
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is there but does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The keys of the days, random, sealed in the store's named values. To erase a day's bodies, its value is swapped for
/// an empty one.
#[derive(Default, Debug)]
pub struct DayKeys {
    /// Whose they are; empty: of the first tenant. One tenant's holds keep none of another's.
    tenant: Box<str>,
    remembered: Mutex<BTreeMap<i32, Arc<DataKey>>>,
}

impl DayKeys {
    /// Those of a tenant that is not the first.
    #[must_use]
    pub fn of(tenant: &str) -> Self {
        Self { tenant: tenant.into(), remembered: Mutex::default() }
    }

    /// The day of an instant: days since 1970-01-01, UTC.
    #[must_use]
    pub fn day(at: Instant) -> i32 {
        i32::try_from(at.millis().div_euclid(MILLIS_PER_DAY)).unwrap_or_default()
    }

    /// The key of this day if it is in memory: what a check asks first, without waiting.
    #[must_use]
    pub fn remembered(&self, day: i32) -> Option<Arc<DataKey>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&day).cloned()
    }

    /// The key of this day, made if there is none yet.
    ///
    /// # Errors
    /// When the store cannot be asked, or its value does not open.
    pub async fn make(&self, store: &dyn Store, keys: &Keys, day: i32) -> Result<Arc<DataKey>, DayKeyError> {
        if let Some(key) = self.find(store, keys, day).await? {
            return Ok(key);
        }
        let name = self.name(day);
        let key = DataKey::random()?;
        let sealed = keys.wrap(name.as_bytes(), &key)?;
        match store.meta_swap(&name, Version::ABSENT, sealed).await? {
            MetaSwapped::Won(_) => Ok(self.remember(day, key)),
            // Another instance made it meanwhile.
            MetaSwapped::Lost(_) => Ok(self.find(store, keys, day).await?.ok_or(SealError::Damaged)?),
        }
    }

    /// The key of this day; `None` if none was made, or it was destroyed.
    ///
    /// # Errors
    /// When the store cannot be asked, or its value does not open.
    pub async fn find(&self, store: &dyn Store, keys: &Keys, day: i32) -> Result<Option<Arc<DataKey>>, DayKeyError> {
        if let Some(key) = self.remembered(day) {
            return Ok(Some(key));
        }
        let name = self.name(day);
        match store.meta_get(&name).await? {
            Some(value) if !value.bytes.is_empty() => {
                let key = keys.unwrap(name.as_bytes(), &value.bytes)?;
                Ok(Some(self.remember(day, key)))
            }
            _ => Ok(None),
        }
    }

    /// The first instant after this day.
    #[must_use]
    pub fn end(day: i32) -> Instant {
        Instant::from_millis((i64::from(day) + 1).saturating_mul(MILLIS_PER_DAY))
    }

    /// The days that have a key of this tenant in this store, in no order.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn kept(&self, store: &dyn Store) -> Result<Vec<i32>, StoreError> {
        let named = store.meta_list(PREFIX).await?.into_iter().filter(|(_, value)| !value.bytes.is_empty());
        let day = |(name, _): (String, _)| {
            let (day, tenant) = name.strip_prefix(PREFIX).map(|rest| rest.split_once('/').unwrap_or((rest, "")))?;
            day.parse().ok().filter(|_| *tenant == *self.tenant)
        };
        Ok(named.filter_map(day).collect())
    }

    /// Destroys the key of this day, and with it what it sealed. None is made for it again.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn destroy(&self, store: &dyn Store, day: i32) -> Result<(), StoreError> {
        let name = self.name(day);
        let mut found = store.meta_get(&name).await?;
        while let Some(value) = found.take().filter(|value| !value.bytes.is_empty()) {
            // Lost to a rotation that sealed it anew.
            if let MetaSwapped::Lost(there) = store.meta_swap(&name, value.version, Vec::new()).await? {
                found = there;
            }
        }
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(&day);
        Ok(())
    }

    /// Copies the keys of all days from one store into another, sealed anew under its keys: how many were written, and
    /// how many days have another key there, or none any more on one side. Those are left as they are.
    ///
    /// # Errors
    /// A store cannot be asked, or a value does not open.
    pub async fn copy(from: (&dyn Store, &Keys), to: (&dyn Store, &Keys)) -> Result<(u64, u64), DayKeyError> {
        let (mut copied, mut parted) = (0, 0);
        for (name, value) in from.0.meta_list(PREFIX).await? {
            let context = name.as_bytes();
            // Destroyed: that goes along.
            let key = (!value.bytes.is_empty()).then(|| from.1.unwrap(context, &value.bytes)).transpose()?;
            let sealed = key.as_ref().map(|key| to.1.wrap(context, key)).transpose()?.unwrap_or_default();
            match to.0.meta_swap(&name, Version::ABSENT, sealed).await? {
                MetaSwapped::Won(_) => copied += 1,
                MetaSwapped::Lost(there) => {
                    let there = there.map(|there| there.bytes).unwrap_or_default();
                    let there = (!there.is_empty()).then(|| to.1.unwrap(context, &there)).transpose()?;
                    parted += u64::from(key.as_ref().map(DataKey::raw) != there.as_ref().map(DataKey::raw));
                }
            }
        }
        Ok((copied, parted))
    }

    /// Seals the keys of all days anew under the key that seals: how many there are, and how many were sealed anew.
    ///
    /// # Errors
    /// The store cannot be asked, or a value does not open.
    pub(super) async fn rewrap(store: &dyn Store, keys: &Keys) -> Result<(u64, u64), DayKeyError> {
        let (mut met, mut anew) = (0, 0);
        for (name, value) in store.meta_list(PREFIX).await? {
            let mut found = Some(value);
            met += 1;
            // A destroyed one is empty, and stays so.
            while let Some(value) = found.take().filter(|value| !value.bytes.is_empty()) {
                if key_id(&value.bytes) >= keys.sealing_id() {
                    break;
                }
                let sealed = keys.wrap(name.as_bytes(), &keys.unwrap(name.as_bytes(), &value.bytes)?)?;
                match store.meta_swap(&name, value.version, sealed).await? {
                    MetaSwapped::Won(_) => anew += 1,
                    MetaSwapped::Lost(there) => found = there,
                }
            }
        }
        Ok((met, anew))
    }

    /// The keys of the days as they are sealed, without those that were destroyed.
    pub(super) async fn sealed(store: &dyn Store) -> Result<Vec<Vec<u8>>, StoreError> {
        let all = store.meta_list(PREFIX).await?.into_iter().map(|(_, value)| value.bytes);
        Ok(all.filter(|bytes| !bytes.is_empty()).collect())
    }

    fn name(&self, day: i32) -> String {
        match &*self.tenant {
            "" => format!("{PREFIX}{day}"),
            tenant => format!("{PREFIX}{day}/{tenant}"),
        }
    }

    fn remember(&self, day: i32, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.insert(day, Arc::clone(&key));
        while remembered.len() > REMEMBERED {
            remembered.pop_first();
        }
        key
    }
}
