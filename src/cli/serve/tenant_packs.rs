//! The law of each tenant: the packs of all, with its own beside them.
//!
//! Promises: a tenant's own packs go out of force only once two looks in a row have seen that they were removed; whatever
//! cannot be seen, or is at fault, stays as it was.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use tokio::task::JoinHandle;

use super::super::open::OpenError;
use super::super::own_packs::{Own, OwnPacks};
use super::super::{Error, packs};
use super::again::{Found, Refused, fingerprint};
use crate::engine::{Engine, Tenants};
use crate::law::Law;
use crate::telemetry::Metrics;

/// A reading that takes longer is one that hangs.
const HANGS: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct TenantPacks {
    all: Option<PathBuf>,
    /// `None`: no tenant has packs of its own.
    own: Option<OwnPacks>,
    /// As the folders were when the law of a tenant was taken from them.
    taken: HashMap<Arc<str>, [Vec<Found>; 2]>,
    /// Tenants whose packs the last look saw removed.
    missed: BTreeSet<Arc<str>>,
    refused: Refused,
    /// Folders that were told to be nobody's.
    of_nobody: Vec<String>,
}

impl TenantPacks {
    /// Looks at the folder of tenants' packs, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or holds nothing.
    pub fn open(all: Option<PathBuf>, own: Option<&Path>, metrics: &Arc<Metrics>) -> Result<Self, Error> {
        Ok(Self {
            all,
            own: own.map(OwnPacks::open).transpose()?,
            taken: HashMap::new(),
            missed: BTreeSet::new(),
            refused: Refused::none("tenant_packs", metrics),
            of_nobody: Vec::new(),
        })
    }

    fn own(&mut self, tenant: &str) -> Result<Own, Error> {
        self.own.as_mut().map_or(Ok(Own::Nothing), |own| own.of(tenant))
    }

    /// What a tenant's law is made of, as it is now.
    fn found(&self, own: &Path) -> [Vec<Found>; 2] {
        [self.all.as_deref().map(fingerprint).unwrap_or_default(), fingerprint(own)]
    }

    /// The law of a tenant that is about to be opened; `None`: that of all.
    ///
    /// # Errors
    /// Whether it has packs of its own is not known; they are at fault.
    pub fn law(&mut self, tenant: &Arc<str>) -> Result<Option<Arc<Law>>, Error> {
        let Own::Folder(own) = self.own(tenant)? else { return Ok(None) };
        let found = self.found(&own);
        let law = packs::read_with(self.all.as_deref(), &own).map_err(OpenError::from)?;
        self.taken.insert(Arc::clone(tenant), found);
        Ok(Some(Arc::new(law)))
    }

    /// Gives a tenant the law it should have now, if that changed, or says why it keeps the one it has.
    fn refresh(&mut self, engine: &Engine, all: &Arc<Law>) {
        let tenant = engine.tenant();
        match self.changed(engine, all) {
            Ok(()) => self.refused.clear(tenant),
            Err(error) => {
                let why = error.to_string();
                if self.refused.note(tenant, why.clone()) {
                    tracing::error!(
                        tenant,
                        error = why,
                        "the packs of this tenant are refused; its old ones stay in force"
                    );
                }
            }
        }
    }

    fn changed(&mut self, engine: &Engine, all: &Arc<Law>) -> Result<(), Error> {
        let tenant: Arc<str> = engine.tenant().into();
        let had_own = self.taken.contains_key(&tenant);
        let own = self.own(&tenant);
        if !matches!(own, Ok(Own::Nothing)) {
            self.missed.remove(&tenant);
        }
        if own.is_err() && !had_own && !Arc::ptr_eq(&engine.law(), all) {
            // One that has none of its own answers by the law of all meanwhile: it has no rules to lose.
            engine.change_law(Arc::clone(all))?;
        }
        let (law, found) = match own? {
            Own::Folder(own) => {
                let found = self.found(&own);
                if self.taken.get(&tenant) == Some(&found) {
                    return Ok(());
                }
                (Arc::new(packs::read_with(self.all.as_deref(), &own).map_err(OpenError::from)?), Some(found))
            }
            // Somebody may be about to put others in their place.
            Own::Nothing if had_own && self.missed.insert(Arc::clone(&tenant)) => return Ok(()),
            Own::Nothing if Arc::ptr_eq(&engine.law(), all) => return Ok(()),
            Own::Nothing => (Arc::clone(all), None),
        };
        engine.change_law(law)?;
        self.missed.remove(&tenant);
        let rules_version = engine.law().version().to_owned();
        match found {
            None if had_own => {
                self.taken.remove(&tenant);
                tracing::warn!(tenant = &*tenant, rules_version, "this tenant has no packs of its own any more");
            }
            found => {
                self.taken.extend(found.map(|found| (Arc::clone(&tenant), found)));
                tracing::info!(tenant = &*tenant, rules_version, "packs of this tenant changed");
            }
        }
        Ok(())
    }

    /// Says which folders are of no tenant, once: of a name that was misspelt no rule holds.
    fn tell_of_nobody(&mut self, tenants: &BTreeSet<Arc<str>>) {
        // That it cannot be read is told where a tenant's packs are looked for.
        let Some(Ok(found)) = self.own.as_mut().map(|own| own.of_nobody(tenants)) else { return };
        for folder in found.iter().filter(|folder| !self.of_nobody.contains(folder)) {
            tracing::warn!(folder, "tenant_packs: no caller has a tenant of this name, so these rules hold for nobody");
        }
        self.of_nobody = found;
    }
}

/// Tenants that were opened, and those that could not be.
pub(super) type Opened = (Vec<Arc<Engine>>, Vec<(Arc<str>, Error)>);

/// Packs of tenants, read beside everything else: a volume that hangs holds up nothing but itself.
pub(super) struct Reading {
    packs: Arc<Mutex<TenantPacks>>,
    job: Option<JoinHandle<Opened>>,
    since: Monotonic,
    told: bool,
}

impl Reading {
    /// Of these, none of them yet.
    pub fn of(packs: TenantPacks) -> Self {
        Self { packs: Arc::new(Mutex::new(packs)), job: None, since: Monotonic::now(), told: false }
    }

    /// Begins to open these tenants, and to give every other the law it should have, unless that is going on.
    pub fn begin(&mut self, tenants: &Arc<Tenants>, wanted: BTreeSet<Arc<str>>) {
        if self.job.is_some() {
            if self.since.elapsed() > HANGS && !std::mem::replace(&mut self.told, true) {
                tracing::error!(
                    "the packs of tenants cannot be read to their end; what is in force stays: is a volume hanging?"
                );
                tenants.main().metrics().reload_refused("tenant_packs", 1);
            }
            return;
        }
        (self.since, self.told) = (Monotonic::now(), false);
        let (packs, tenants) = (Arc::clone(&self.packs), Arc::clone(tenants));
        self.job = Some(tokio::task::spawn_blocking(move || {
            let mut packs = packs.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut new, mut shut) = (Vec::new(), Vec::new());
            for tenant in wanted {
                match packs.law(&tenant).and_then(|law| Ok(tenants.open(&tenant, law)?)) {
                    Ok(engine) => new.extend(engine),
                    Err(error) => shut.push((tenant, error)),
                }
            }
            // The first has its law from the server.
            let (all, engines) = (tenants.main().law(), tenants.all());
            for engine in engines.iter().skip(1) {
                packs.refresh(engine, &all);
            }
            packs.tell_of_nobody(&engines.iter().map(|engine| engine.tenant().into()).collect());
            packs.refused.tell();
            (new, shut)
        }));
    }

    /// What came of it, once it is done; never where nothing was begun.
    pub async fn done(&mut self) -> Opened {
        let Some(job) = &mut self.job else { return std::future::pending().await };
        let done = job.await;
        self.job = None;
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "the packs of tenants could not be read");
            Opened::default()
        })
    }
}
