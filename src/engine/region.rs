//! Regions: which store a contact belongs to, and what is open of each.
//!
//! Promises: which region a number belongs to follows from the number and the configuration alone; a region whose store is
//! away or not open answers nothing about its contacts, and costs those of the others nothing. Guarded by
//! `tests/region.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant as Monotonic;

use arc_swap::ArcSwap;

use super::breaker::Breaker;
use super::control::Recorded;
use super::keeping::Lacks;
use super::layout::Seen;
use super::{Engine, Failure, Unmet};
use crate::audit::{Library, Log};
use crate::contact::Contact;
use crate::place::{self, Jurisdiction, Number};
use crate::store::{Answer, DayKeys, Key, KeyRing, Keys, Store, StoreError, Tenant};
use crate::time::Instant;

/// The name of the region that has everything which is pinned to no other.
pub const DEFAULT_REGION: &str = "default";
/// Why nothing is said of contacts whose records may be where they are not looked for.
const CHANGED: &str = "the regions were changed under this server: give it the new configuration";
/// Why nothing is said while nobody knows whether they were.
const UNSEEN: &str =
    "its store could not be asked for some seconds whether its records are still placed by these regions";

/// Why nothing is said of contacts of a region whose store was never opened.
const CLOSED: &str = "its store is not open here: ask a server that has every region, with --server";

/// A region, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// Its name; [`DEFAULT_REGION`] for the one that pins nothing.
    pub name: Box<str>,
    /// The countries pinned to it.
    pub places: Vec<Jurisdiction>,
    /// Where its store is; `None`: not known, or where the server is.
    pub at: Option<Jurisdiction>,
}

/// What is open of a region: its store, its log, and what belongs to them.
pub(super) struct Kept {
    pub name: Box<str>,
    /// Where the store of a pinned region is.
    pub at: Option<Jurisdiction>,
    pub store: Arc<dyn Store>,
    /// `None` where nothing is kept: a question asked without a data folder.
    pub log: Option<Arc<Log>>,
    /// Where the law of every decision in that log is kept.
    pub library: Arc<OnceLock<Library>>,
    pub days: Arc<DayKeys>,
    pub tenant: Tenant,
    /// Where the switches are, and those as they were last read.
    pub control_key: Key,
    pub recorded: ArcSwap<Recorded>,
    /// Its records were placed by other regions than the engine's; said of the engine's own store, it holds for all.
    pub displaced: Arc<AtomicBool>,
    /// When that was last looked at.
    pub seen: Arc<Seen>,
    /// The law that could not be kept beside its log, and why.
    pub lacks: Arc<Lacks>,
    /// Spares those who ask a pinned region that does not answer the wait. `None`: it is the engine's own store, of which a
    /// part alone may be away, and which nearly every request needs.
    breaker: Option<Breaker>,
}

impl Kept {
    pub fn new(name: &str, store: Arc<dyn Store>, log: Option<Arc<Log>>, keys: &Keys) -> Self {
        let tenant = keys.tenant(crate::access::DEFAULT_TENANT, store.shard_count());
        Self {
            name: name.into(),
            at: None,
            control_key: keys.control(&tenant),
            store,
            log,
            library: Arc::default(),
            days: Arc::default(),
            tenant,
            recorded: ArcSwap::default(),
            displaced: Arc::default(),
            seen: Arc::new(Seen::new()),
            lacks: Arc::default(),
            breaker: None,
        }
    }

    /// The same store, log and library, for another tenant: what it has lies apart.
    pub fn of_tenant(&self, name: &str, keys: &Keys) -> Self {
        let tenant = keys.tenant(name, self.store.shard_count());
        Self {
            name: self.name.clone(),
            at: self.at,
            store: Arc::clone(&self.store),
            log: self.log.clone(),
            library: Arc::clone(&self.library),
            days: Arc::new(super::tenants::day_keys(name)),
            control_key: keys.control(&tenant),
            tenant,
            recorded: ArcSwap::default(),
            displaced: Arc::clone(&self.displaced),
            seen: Arc::clone(&self.seen),
            lacks: Arc::clone(&self.lacks),
            breaker: None,
        }
    }

    /// Whether this is the key of something of this tenant.
    pub fn has(&self, key: &Key) -> bool {
        key.shard().tenant() == self.tenant.shard(0).tenant()
    }

    /// The key of the record about a number in this store.
    pub fn key(&self, keys: &KeyRing, number: Number) -> Key {
        keys.now().tag(&self.tenant, number.reveal_e164().as_str())
    }

    /// Asks the store; where it did not answer a moment ago, says so at once.
    pub async fn ask<'a, T>(&'a self, answer: impl FnOnce(&'a dyn Store) -> Answer<'a, T>) -> Result<T, StoreError> {
        match &self.breaker {
            None => answer(&*self.store).await,
            Some(breaker) => {
                breaker.pass()?;
                let answered = answer(&*self.store).await;
                breaker.heard(answered.as_ref().err());
                answered
            }
        }
    }

    /// Waits until all that was read of this contact's shard is safe.
    pub async fn confirm(&self, key: &Key) -> Result<(), StoreError> {
        self.store.confirm(key.shard()).await
    }

    /// Whether the log takes entries.
    pub fn log_ready(&self) -> Result<(), StoreError> {
        self.log.as_ref().map_or(Ok(()), |log| log.ready())
    }

    /// Whether its records are still placed by the engine's regions, and the law by which it would answer is kept.
    fn in_place(&self) -> Result<(), Failure> {
        self.out().map_or(Ok(()), |why| Err(away(&self.name, &why)))
    }

    /// Why nothing is answered from it, though its store may well answer.
    pub fn out(&self) -> Option<String> {
        if self.displaced.load(Ordering::Relaxed) {
            return Some(CHANGED.to_owned());
        }
        if self.seen.lapsed(Monotonic::now()) {
            return Some(UNSEEN.to_owned());
        }
        self.lacks.why()
    }

    /// Why it cannot answer, as of the last that asked it.
    fn fault(&self) -> Option<String> {
        if let Some(why) = self.out() {
            return Some(why);
        }
        let broken = self.breaker.as_ref().and_then(Breaker::broken);
        let fault = broken.or_else(|| self.log_ready().err());
        fault.map(|error| error.for_clients().to_owned())
    }
}

/// A region of an engine.
pub(super) struct Slot {
    pub region: Region,
    /// `None`: it is the engine's own store.
    other: Option<Other>,
}

/// A store beside the engine's own, which may come to be open later.
#[derive(Default)]
struct Other {
    kept: OnceLock<Kept>,
    /// Why it is not open.
    why: Mutex<String>,
}

impl Engine {
    /// The same engine with regions; the store that it was made with is that of the region of this name. The others are
    /// closed, which is to say that nothing is answered about their contacts, until [`Engine::open_region`].
    #[must_use]
    pub fn in_regions(mut self, own: &str, mut regions: Vec<Region>) -> Self {
        regions.sort_by(|one, other| one.name.cmp(&other.name));
        self.main.name = own.into();
        let slot = |region: Region| {
            let other =
                (*region.name != *own).then(|| Other { why: Mutex::new(CLOSED.to_owned()), ..Other::default() });
            Slot { region, other }
        };
        self.regions = regions.into_iter().map(slot).collect();
        self.main.at = self.regions.iter().find(|slot| slot.other.is_none()).and_then(|slot| slot.region.at);
        self
    }

    /// The key of the record of switches in the engine's own store.
    #[must_use]
    pub const fn control_key(&self) -> Key {
        self.main.control_key
    }

    /// Opens a region: from now on its contacts are answered. A region that is open stays as it is. Its store must have
    /// every switch: see [`Engine::join_region`].
    pub fn open_region(&self, name: &str, store: Arc<dyn Store>, log: Option<Arc<Log>>) {
        if let Some((other, kept)) = self.begun(name, store, log) {
            // Opened twice, the first stays: it may be in use.
            let _ = other.kept.set(kept);
        }
    }

    /// The same for a store that may not have all switches yet: it gets them before it answers anything.
    ///
    /// # Errors
    /// They cannot be read or written: the region stays closed.
    pub async fn join_region(
        &self,
        name: &str,
        store: Arc<dyn Store>,
        log: Option<Arc<Log>>,
        now: Instant,
    ) -> Result<(), Failure> {
        if let Some((other, kept)) = self.begun(name, store, log) {
            self.bring_switches(&kept, now).await?;
            let _ = other.kept.set(kept);
        }
        Ok(())
    }

    fn begun(&self, name: &str, store: Arc<dyn Store>, log: Option<Arc<Log>>) -> Option<(&Other, Kept)> {
        let slot = self.slot(name)?;
        let other = slot.other.as_ref()?;
        let mut kept = Kept::new(name, store, log, &self.keys.now());
        kept.at = slot.region.at;
        kept.breaker = Some(Breaker::default());
        Some((other, kept))
    }

    /// The stores that are open, with the names of their regions.
    #[must_use]
    pub fn open_stores(&self) -> Vec<(String, Arc<dyn Store>)> {
        let open = self.all_kept().into_iter().flatten();
        open.map(|kept| (kept.name.to_string(), Arc::clone(&kept.store))).collect()
    }

    /// Refuses what looks at one store alone, where there are several: what is recorded in the others would be left out
    /// without a word.
    pub(super) fn one_store_only(&self, what: &'static str) -> Result<(), Failure> {
        if self.regions.is_empty() { Ok(()) } else { Err(Failure::Precondition(Unmet::SeveralStores, what)) }
    }

    /// Says why a region is not open.
    pub fn region_is_closed(&self, name: &str, why: &str) {
        if let Some(other) = self.slot(name).and_then(|slot| slot.other.as_ref()) {
            why.clone_into(&mut other.why.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Whether there is more than one store.
    #[must_use]
    pub const fn has_regions(&self) -> bool {
        !self.regions.is_empty()
    }

    /// The regions; empty where there is one store only.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.iter().map(|slot| &slot.region)
    }

    /// Asks a pinned region that was not heard of well whether it answers again, and one that was whether it still
    /// do: so that what is down is known before anybody has to wait for it.
    pub async fn look_at_region(&self, name: &str) {
        if let Ok(kept) = self.kept(name) {
            // What it finds out is remembered by the breaker.
            let _ = kept.ask(|store| store.ready()).await;
        }
    }

    /// Pinned regions whose contacts are not answered now, each with the reason.
    #[must_use]
    pub fn regions_down(&self) -> Vec<(String, String)> {
        let others = self.regions.iter().filter_map(|slot| slot.other.as_ref().map(|other| (slot, other)));
        let why = |other: &Other| match other.kept.get() {
            Some(kept) => kept.fault(),
            None => Some(other.why.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        };
        others.filter_map(|(slot, other)| why(other).map(|why| (slot.region.name.to_string(), why))).collect()
    }

    /// Brings up to date which regions answer.
    pub(super) fn measure_regions(&self) {
        let down = self.regions_down();
        for slot in self.regions.iter().filter(|slot| slot.other.is_some()) {
            let up = down.iter().all(|(name, _)| **name != *slot.region.name);
            self.metrics.region_up(&slot.region.name, up);
        }
    }

    /// Which region a number belongs to while nothing else is known of it: that of a country that it may be of; of several,
    /// the first by name. A number that may be of a pinned place is kept as one that is.
    pub(super) fn home(&self, number: Number) -> Result<&Kept, Failure> {
        self.in_place()?;
        if self.regions.is_empty() {
            return Ok(&self.main);
        }
        self.kept_in(self.pins(&place::countries(number)))
    }

    /// Whether records are still placed by these regions.
    pub(super) fn in_place(&self) -> Result<(), Failure> {
        self.main.in_place()
    }

    /// Where a record of this region belongs by what it says: to the region of a recorded residence that is pinned, else to
    /// that of its number. One that was erased says nothing any more, and stays.
    pub(super) fn belongs<'a>(&'a self, contact: &Contact, number: Number, kept: &'a Kept) -> &'a str {
        if self.regions.is_empty() || contact.digits().is_none() {
            return &kept.name;
        }
        let residence = contact.country_of_residence();
        let by_residence = residence.and_then(|country| self.pins(&[country]));
        let slot = by_residence.or_else(|| self.pins(&place::countries(number)));
        slot.map_or(DEFAULT_REGION, |slot| &slot.region.name)
    }

    /// The same of a number as written. What is no number is answered without a store.
    #[must_use]
    pub fn region_of_text(&self, number: &str, default_region: &str) -> &str {
        Number::parse(number, Some(default_region)).map_or(DEFAULT_REGION, |number| self.region_of(number))
    }

    fn pins(&self, countries: &[Jurisdiction]) -> Option<&Slot> {
        self.regions.iter().find(|slot| slot.region.places.iter().any(|place| countries.contains(place)))
    }

    /// The region of a number while nothing else is known of it.
    #[must_use]
    pub fn region_of(&self, number: Number) -> &str {
        self.pins(&place::countries(number)).map_or(DEFAULT_REGION, |slot| &slot.region.name)
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.regions.iter().find(|slot| *slot.region.name == *name)
    }

    /// What is open of the region of this name.
    pub(super) fn kept(&self, name: &str) -> Result<&Kept, Failure> {
        if *self.main.name == *name {
            return Ok(&self.main);
        }
        let slot = self.slot(name).ok_or_else(|| away(name, "no region of this name is configured"))?;
        self.kept_in(Some(slot))
    }

    /// What is open of a region; `None`: of the default one.
    fn kept_in<'a>(&'a self, slot: Option<&'a Slot>) -> Result<&'a Kept, Failure> {
        let Some(slot) = slot.or_else(|| self.slot(DEFAULT_REGION)) else { return Ok(&self.main) };
        let Some(other) = &slot.other else { return Ok(&self.main) };
        let why = || other.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let kept = other.kept.get().ok_or_else(|| away(&slot.region.name, &why()))?;
        kept.in_place().map(|()| kept)
    }

    /// A pinned region that was opened, whatever became of it since.
    pub(super) fn opened_region(&self, name: &str) -> Option<&Kept> {
        self.slot(name)?.other.as_ref()?.kept.get()
    }

    /// Every region, with what is open of it.
    pub(super) fn all_kept(&self) -> Vec<Result<&Kept, Failure>> {
        match self.regions.is_empty() {
            true => vec![Ok(&self.main)],
            false => self.regions.iter().map(|slot| self.kept_in(Some(slot))).collect(),
        }
    }
}

/// A region cannot answer: its contacts alone go without.
pub(super) fn away(region: &str, why: &str) -> Failure {
    StoreError::Unavailable { place: format!("region {region}"), doing: "asking", why: why.to_owned() }.into()
}
