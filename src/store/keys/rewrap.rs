//! Sealing anew what is under an older key.
//!
//! Of a record only the first bytes are sealed anew: the contact's own key. What the record says, its version, its events
//! and its log stay as they are, so nobody who reads, writes, copies or verifies notices. A record that is written
//! meanwhile is sealed by its writer, and wins.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Keys, KeysError, Ledger};
use crate::store::{DayKeyError, DayKeys, Key, SealError, Shard, Store, StoreError, Versioned, WriterId, key_id};

/// Records that are on their way at once: enough to share commits, little enough to stall nobody.
const PAGE: usize = 256;
/// Walks, at most: if the last of so many still found something, somebody seals with an old key.
const WALKS: u64 = 8;

/// What walks met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Walked {
    /// Finished walks.
    pub walks: u64,
    /// Records and keys of days that were looked at, in this walk.
    pub met: u64,
    /// Of these, sealed anew in this walk.
    pub anew: u64,
    /// Sealed anew in all walks.
    pub anew_in_all: u64,
}

/// Walks that go on until two have been made and the last found nothing to seal anew.
///
/// Whoever makes them must have made sure that nothing new comes under an older key: see the module above.
pub struct Rewrap {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    after: Option<Key>,
    shards: HashSet<Shard>,
    walked: Walked,
}

impl std::fmt::Debug for Rewrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rewrap").field("walked", &self.walked).finish_non_exhaustive()
    }
}

impl Rewrap {
    /// From the first record, under the key that seals of these.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keys: Arc<Keys>) -> Self {
        Self { store, keys, after: None, shards: HashSet::new(), walked: Walked::default() }
    }

    /// How far it is.
    #[must_use]
    pub const fn walked(&self) -> Walked {
        self.walked
    }

    /// Whether two walks were made and the last found all under the key that seals.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.walked.walks >= 2 && self.walked.anew == 0 && self.after.is_none()
    }

    /// Walks on by some hundred records. At the end of a walk that found something, or was the first, another begins.
    ///
    /// # Errors
    /// The store fails; a record opens with none of the keys; walk after walk finds something. Going on repeats nothing.
    pub async fn page(&mut self) -> Result<(), KeysError> {
        if self.after.is_none() {
            (self.walked.met, self.walked.anew) = (0, 0);
            // Behind all writes that wait in a queue: what a walk is to meet must be there when it begins.
            self.store.settle(WriterId(0), Vec::new()).await?;
        }
        let records = self.store.scan(self.after, PAGE).await?;
        let last = records.last().map(|(key, _)| *key);
        let mut under_way = JoinSet::new();
        for (key, record) in records {
            self.walked.met += 1;
            self.shards.insert(key.shard());
            if key_id(&record.bytes) < self.keys.sealing_id() {
                under_way.spawn(one(Arc::clone(&self.store), Arc::clone(&self.keys), key, record));
            }
        }
        while let Some(joined) = under_way.join_next().await {
            let failed = |error: tokio::task::JoinError| StoreError::Unavailable {
                place: "sealing anew".to_owned(),
                doing: "a task",
                why: error.to_string(),
            };
            self.count(0, u64::from(joined.map_err(failed)??));
        }
        if last.is_some() {
            self.after = last;
            return Ok(());
        }
        self.end_of_walk().await
    }

    async fn end_of_walk(&mut self) -> Result<(), KeysError> {
        let days = DayKeys::rewrap(&*self.store, &self.keys).await;
        let others = super::named::rewrap(&*self.store, &self.keys).await;
        for (what, sealed) in [("the key of a day", days), ("a named value", others)] {
            let (met, anew) = sealed.map_err(|error| match error {
                DayKeyError::Seal(error) => named(&self.keys, what, error),
                DayKeyError::Store(error) => error.into(),
            })?;
            self.count(met, anew);
        }
        // What was found under the right key may have been put there by somebody who was never told that it is safe.
        for shard in &self.shards {
            self.store.confirm(*shard).await?;
        }
        self.after = None;
        self.walked.walks += 1;
        if self.walked.walks >= WALKS && !self.is_done() {
            let why = format!("walk {} still found records under an older key", self.walked.walks);
            let place = self.keys.path().display().to_string();
            return Err(StoreError::Unavailable { place, doing: "sealing everything anew", why }.into());
        }
        Ok(())
    }

    const fn count(&mut self, met: u64, anew: u64) {
        self.walked.met += met;
        self.walked.anew += anew;
        self.walked.anew_in_all += anew;
    }

    /// Tells the store that it needs none of these keys any more, once [`Rewrap::is_done`]. What it remembers now.
    ///
    /// # Errors
    /// It is not done; the store cannot be asked.
    pub async fn release(&self, old: &[u32]) -> Result<Ledger, KeysError> {
        if !self.is_done() {
            let (place, why) = (self.keys.path().display().to_string(), "the walks have not ended".to_owned());
            return Err(StoreError::Unavailable { place, doing: "dropping keys", why }.into());
        }
        self.keys.release(&*self.store, old).await
    }
}

/// Seals one record anew; whether that was needed.
async fn one(store: Arc<dyn Store>, keys: Arc<Keys>, key: Key, record: Versioned) -> Result<bool, KeysError> {
    let mut found = record;
    loop {
        let anew = keys.rotate_record(&key, &found.bytes).map_err(|error| named(&keys, &format!("{key:?}"), error))?;
        let Some(bytes) = anew else { return Ok(false) };
        if store.reseal(&key, &found, bytes).await? {
            return Ok(true);
        }
        match store.load(&key).await? {
            Some(now) => found = now,
            None => return Ok(false),
        }
    }
}

/// What does not open keeps every key that it may be under: better an old key too many than a record lost.
fn named(keys: &Keys, what: &str, error: SealError) -> KeysError {
    match error {
        SealError::UnknownKey(key) => KeysError::Lacks { path: keys.path().into(), key },
        SealError::Damaged => StoreError::Corrupt { path: what.into(), why: error.to_string() }.into(),
        other => other.into(),
    }
}

/// How many records and keys of days are under each of the keys, by the key's number.
///
/// # Errors
/// The store fails.
pub async fn counted(store: &dyn Store) -> Result<BTreeMap<u32, u64>, StoreError> {
    let mut under = BTreeMap::new();
    let mut after = None;
    loop {
        let records = store.scan(after, PAGE).await?;
        let Some((last, _)) = records.last() else { break };
        after = Some(*last);
        for (_, record) in &records {
            *under.entry(key_id(&record.bytes)).or_default() += 1;
        }
    }
    for value in DayKeys::sealed(store).await?.into_iter().chain(super::named::sealed(store).await?) {
        *under.entry(key_id(&value)).or_default() += 1;
    }
    Ok(under)
}
