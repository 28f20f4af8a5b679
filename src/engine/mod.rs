//! The use cases, and the order of things within each: nowhere else is store, law, registries and audit brought
//! together.
//!
//! Promises: an ALLOW with reservation and every write are answered only once record and audit entry are safe; a lost
//! race is decided again on the record that won (I1, I2); whatever fails is not an ALLOW (I3). The instant of a question
//! is given by its caller, once. Guarded by `tests/service.rs` and `tests/faults.rs`.

pub mod answer;
mod audited;
mod batch;
mod breaker;
pub mod cases;
mod check;
mod consent;
mod control;
pub mod copy;
mod decisions;
pub mod evidence;
mod failure;
mod find;
mod forecast;
mod import;
mod inbound;
mod incidents;
mod keeping;
mod known;
mod law;
pub mod layout;
mod listed;
mod many;
mod marks;
mod notices;
mod outcome;
mod own_lists;
mod placing;
mod policies;
pub mod processors;
pub mod question;
mod region;
pub mod registries;
mod relocate;
pub mod replay;
mod retention;
pub mod rights;
pub mod selfcheck;
mod shadow;
mod tenants;
pub mod watch;

use std::sync::{Arc, OnceLock};
use std::time::Instant as Monotonic;

use arc_swap::ArcSwap;

pub use audited::is_swapped;
pub use batch::Judged;
pub use check::{BATCH, batch_too_long};
pub use control::Feed;
pub use failure::{Failure, Unmet};
pub use forecast::{Forecast, Hours, MOST_HOURS};
pub use import::{Import, Imported};
pub use listed::ListTags;
pub use marks::Marks;
pub use placing::Placed;
pub use region::{DEFAULT_REGION, Region};
pub use retention::{Periods, Sweeper, SweeperSettings, Turn};
pub use shadow::ShadowReport;
pub use tenants::Tenants;

use crate::access::DEFAULT_TENANT;
use crate::audit::{Library, Log};
use crate::contact::Contact;
use crate::decision::Postures;
use crate::law::{Basis, Law};
use crate::place::Jurisdiction;
use crate::registry::{Registries, TenantLists};
use crate::store::{DataKey, KeyRing, Keys, Store, StoreError, Swapped, Version};
use crate::telemetry::{AuditState, Meter, Metrics, Trip};
use crate::time::{Instant, Millis};

/// How the engine reads doubt and time.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where this server runs, for cross-border rules.
    pub server_region: Option<Jurisdiction>,
    /// How doubt is read.
    pub postures: Postures,
    /// How long a reservation may be used.
    pub reserve_for: Millis,
    /// What is said to those who exercise their rights.
    pub rights: rights::Settings,
    /// How long is kept what no law speaks of.
    pub periods: Periods,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_region: None,
            postures: Postures::default(),
            reserve_for: Millis::seconds(300),
            rights: rights::Settings::default(),
            periods: Periods::default(),
        }
    }
}

/// When a request came, and until when an answer is of use.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The one now of the request.
    pub now: Instant,
    /// After this nobody waits any more.
    pub deadline: Option<Monotonic>,
}

impl Clock {
    /// Now, without a deadline.
    #[must_use]
    pub const fn at(now: Instant) -> Self {
        Self { now, deadline: None }
    }

    fn passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| Monotonic::now() >= deadline)
    }
}

/// Everything a use case needs.
pub struct Engine {
    /// The store and the log it was made with; in one region, all there is.
    main: region::Kept,
    /// Every region, the engine's own among them; empty where there is one store only.
    regions: Vec<region::Slot>,
    keys: Arc<KeyRing>,
    /// Those of every tenant; nothing is asked of them here.
    registries: Arc<Registries>,
    /// Those that its tenant sees.
    lists: Arc<TenantLists>,
    law: ArcSwap<Law>,
    /// The switches of a file.
    feed: Arc<ArcSwap<Feed>>,
    settings: Settings,
    metrics: Arc<Metrics>,
    /// What is counted of its tenant.
    meter: Arc<Meter>,
    /// The law of past decisions.
    laws: Arc<OnceLock<Arc<replay::Laws>>>,
    shadow: Arc<OnceLock<shadow::Shadow>>,
    hub: watch::Hub,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("law", &self.law.load().version()).finish_non_exhaustive()
    }
}

/// What an engine is made of.
pub struct Parts {
    /// Where records are.
    pub store: Arc<dyn Store>,
    /// The keys of the store, which it admitted.
    pub keys: Keys,
    /// The audit log; `None` keeps nothing.
    pub log: Option<Arc<Log>>,
    /// Loaded lists.
    pub registries: Arc<Registries>,
    /// The law.
    pub law: Arc<Law>,
    /// Settings.
    pub settings: Settings,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
}

/// A record as loaded and opened.
struct Loaded {
    version: Version,
    contact: Contact,
    own: DataKey,
    /// When the store may forget it.
    expires: Option<Instant>,
}

impl Engine {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let meter = parts.metrics.of(DEFAULT_TENANT);
        meter.opened();
        meter.law(parts.law.version());
        Self {
            meter,
            main: region::Kept::new(DEFAULT_REGION, Arc::clone(&parts.store), parts.log, &parts.keys),
            regions: Vec::new(),
            feed: Arc::default(),
            keys: Arc::new(KeyRing::new(parts.keys, parts.store)),
            lists: tenants::lists_of(&parts.registries, DEFAULT_TENANT),
            registries: parts.registries,
            law: ArcSwap::new(parts.law),
            settings: parts.settings,
            metrics: parts.metrics,
            laws: Arc::default(),
            shadow: Arc::default(),
            hub: watch::Hub::default(),
        }
    }

    /// The law in force.
    #[must_use]
    pub fn law(&self) -> Arc<Law> {
        self.law.load_full()
    }

    /// Keeps the law in force in this library, and every later one before it is in force: a decision must never name
    /// packs that nobody has. To be called once, before anything is asked.
    ///
    /// # Errors
    /// The library cannot be written.
    pub fn keep_law_in(&self, library: Library) -> Result<(), Failure> {
        library.keep(&Basis::of(&self.law()).objects)?;
        let _ = self.laws.set(Arc::new(replay::Laws::new(library.clone())));
        let _ = self.main.library.set(library);
        Ok(())
    }

    /// The keys of the store, to be looked at while serving.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Where records are; with regions, those of the engine's own.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.main.store
    }

    /// What the folder of lists says, of every tenant.
    #[must_use]
    pub fn registries(&self) -> &Registries {
        &self.registries
    }

    /// The lists that its tenant sees.
    #[must_use]
    pub fn lists(&self) -> &TenantLists {
        &self.lists
    }

    /// Settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where it counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What is counted of its tenant.
    #[must_use]
    pub const fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// What is not ready, each with the reason; empty when all is. A pinned region that is down is not among them: see
    /// [`Engine::regions_down`].
    pub async fn not_ready(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if let Err(error) = self.main.store.ready().await {
            faults.push(("store", error.for_clients().to_owned()));
        }
        if let Some(Err(error)) = self.main.log.as_ref().map(|log| log.ready()) {
            faults.push(("audit", error.for_clients().to_owned()));
        }
        if let Some(error) = self.keys.lacks() {
            faults.push(("keys", error.for_clients().to_owned()));
        }
        if let (Some(why), true) = (self.main.out(), faults.is_empty()) {
            faults.push(("regions", why));
        }
        faults
    }

    /// Brings up to date what is measured rather than counted. With several tenants, see [`Tenants::measure`].
    pub fn measure(&self, now: Instant) {
        self.measure_by(&|_| None, now);
    }

    /// The same, where each tenant's own lists go stale by its own law; `None`: it is not known, and that of this one counts.
    fn measure_by(&self, law_of: &dyn Fn(&str) -> Option<Arc<Law>>, now: Instant) {
        let mut lists = registries::states(&self.law(), (DEFAULT_TENANT, &self.registries.snapshot()), now);
        for (tenant, of_tenant) in self.registries.others().iter() {
            let law = law_of(tenant).unwrap_or_else(|| self.law());
            let own = registries::states(&law, (tenant, &of_tenant.snapshot()), now);
            // Official lists are the same for all.
            lists.extend(own.into_iter().filter(|list| list.tenant.is_some()));
        }
        self.metrics.lists(&lists, self.registries.faults().len());
        self.measure_regions();
        self.measure_logs();
    }

    /// What the logs of all regions that are open count, together.
    fn measure_logs(&self) {
        if self.main.log.is_none() {
            return;
        }
        let mut state = AuditState::default();
        for log in self.all_kept().into_iter().flatten().filter_map(|kept| kept.log.as_ref()) {
            let counted = log.counts().read();
            // Decisions of all regions are counted together, and an alert compares: so are their entries.
            state.head += log.head().seq;
            state.queued += log.queued() as u64;
            state.waits += counted.waited;
            state.refusals += counted.refused;
            state.lost += counted.lost;
            state.segments_waiting += counted.waiting;
            state.archive_failures += counted.archive_failures;
        }
        self.metrics.audit(state);
        let kept = || self.all_kept().into_iter().flatten();
        for (kept, log) in kept().filter_map(|kept| Some((kept, kept.log.as_ref()?))) {
            self.metrics.audit_volume(&kept.name, log.counts().volume_free());
            self.metrics.audit_lost_at(&kept.name, log.counts().lost_at().map(Instant::millis));
            self.metrics.audit_anchored(&kept.name, log.counts().anchored_at().map(Instant::millis));
        }
        let stages = self.metrics.stages();
        stages.commits.become_all(kept().filter_map(|kept| kept.store.commits()));
        stages.syncs.become_all(kept().filter_map(|kept| kept.log.as_ref()).map(|log| log.counts().syncs()));
    }

    /// Writes a record, and takes the time.
    async fn swap(&self, kept: &region::Kept, write: crate::store::Write) -> Result<Swapped, StoreError> {
        let began = Monotonic::now();
        let swapped = kept.store.swap(write).await;
        self.metrics.stages().trip(Trip::Write, began);
        swapped
    }
}
