//! Tenants: an engine each, over the same store, log, law and official lists.
//!
//! Promises: what one tenant records is found by no other, since everything an engine reads or writes lies under keys made
//! with its tenant's name; it sees the lists of its tenant alone; an engine refuses a permit of another tenant, so that a
//! mistake in routing answers nothing rather than something of somebody else's. Guarded by `tests/access.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;

use super::{Engine, Failure, Unmet, region, watch};
use crate::access::{DEFAULT_TENANT, Permit};
use crate::law::Law;
use crate::registry::{Registries, TenantLists};
use crate::store::DayKeys;
use crate::time::Instant;

/// Why there is one tenant only.
const ONE_TENANT: &str = "regions are configured ([[pinned]]), and with them there is one tenant, `default`: give callers \
     that tenant, or take the regions out";

/// The keys of a tenant's days.
pub(super) fn day_keys(name: &str) -> DayKeys {
    if name == DEFAULT_TENANT { DayKeys::default() } else { DayKeys::of(name) }
}

/// The lists that a tenant sees.
pub(super) fn lists_of(registries: &Registries, name: &str) -> Arc<TenantLists> {
    if name == DEFAULT_TENANT { registries.first() } else { registries.of(name) }
}

impl Engine {
    /// For whom it answers.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.main.tenant.name()
    }

    /// An engine for another tenant over all that this one has: store, log, keys, official lists and metrics. It answers by the
    /// law of this one as it is now, until it is given another. Where the lists of its own are files, they are read: that
    /// blocks.
    ///
    /// # Errors
    /// There are regions: with them there is one tenant.
    pub fn for_tenant(&self, name: &str) -> Result<Self, Failure> {
        if self.has_regions() {
            return Err(Failure::Precondition(Unmet::SeveralStores, ONE_TENANT));
        }
        let meter = self.metrics.of(name);
        meter.opened();
        meter.law(self.law.load().version());
        Ok(Self {
            meter,
            main: self.main.of_tenant(name, &self.keys.now()),
            regions: Vec::<region::Slot>::new(),
            keys: Arc::clone(&self.keys),
            lists: lists_of(&self.registries, name),
            registries: Arc::clone(&self.registries),
            law: ArcSwap::new(self.law()),
            feed: Arc::clone(&self.feed),
            settings: self.settings.clone(),
            metrics: Arc::clone(&self.metrics),
            laws: Arc::clone(&self.laws),
            shadow: Arc::clone(&self.shadow),
            hub: watch::Hub::default(),
        })
    }

    /// Whether anything was ever recorded for this tenant: each write leaves an event, of which the newest stays.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn has_data(&self) -> Result<bool, Failure> {
        let own = self.main.tenant.shard(0).tenant();
        Ok(self.main.store.shards().await?.iter().any(|shard| shard.tenant() == own))
    }

    /// Refuses a permit of another tenant: only a fault of this program can bring one here.
    pub(super) fn is_of(&self, permit: &Permit) -> Result<(), Failure> {
        if permit.tenant() == self.tenant() {
            return Ok(());
        }
        Err(Failure::Internal("a request of one tenant came to the engine of another".to_owned()))
    }
}

/// The engines of all tenants.
#[derive(Debug)]
pub struct Tenants {
    main: Arc<Engine>,
    others: RwLock<BTreeMap<Box<str>, Arc<Engine>>>,
}

impl Tenants {
    /// With this one, which is of the tenant that its data were opened for.
    #[must_use]
    pub const fn new(main: Arc<Engine>) -> Self {
        Self { main, others: RwLock::new(BTreeMap::new()) }
    }

    /// The engine they were made with: what is of the server and of no tenant is asked of it.
    #[must_use]
    pub const fn main(&self) -> &Arc<Engine> {
        &self.main
    }

    /// The engine of a permit's tenant.
    ///
    /// # Errors
    /// Nobody opened it: tenants are opened before anybody of them is recognised.
    pub fn of(&self, permit: &Permit) -> Result<Arc<Engine>, Failure> {
        self.named(permit.tenant()).ok_or_else(|| Failure::Internal("this tenant is not open".to_owned()))
    }

    fn named(&self, name: &str) -> Option<Arc<Engine>> {
        if name == self.main.tenant() {
            return Some(Arc::clone(&self.main));
        }
        self.others.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Brings up to date what is measured rather than counted, of all.
    pub fn measure(&self, now: Instant) {
        self.main.measure_by(&|name| self.named(name).map(|engine| engine.law()), now);
    }

    /// Whether a tenant is open.
    #[must_use]
    pub fn is_open(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// Opens a tenant, which answers by the law of the first, or by this one; `None`: it is open already.
    ///
    /// # Errors
    /// There are regions: with them there is one tenant. The law cannot be kept beside the log.
    pub fn open(&self, name: &str, law: Option<Arc<Law>>) -> Result<Option<Arc<Engine>>, Failure> {
        if self.named(name).is_some() {
            return Ok(None);
        }
        let engine = Arc::new(self.main.for_tenant(name)?);
        if let Some(law) = law {
            engine.change_law(law)?;
        }
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        let opened = Arc::clone(others.entry(name.into()).or_insert_with(|| Arc::clone(&engine)));
        Ok(Arc::ptr_eq(&opened, &engine).then_some(engine))
    }

    /// Every engine.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Engine>> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.main).chain(others.values()).cloned().collect()
    }
}
