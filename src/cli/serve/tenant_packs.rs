//! The law of each tenant: the packs of all, with its own beside them.
//!
//! Promises: a tenant's own packs go out of force only once two looks in a row have seen that they were removed; whatever
//! cannot be seen, or is at fault, stays as it was.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::open::OpenError;
use super::super::own_packs::{Own, OwnPacks};
use super::super::{Error, packs};
use super::again::{Found, Refused, fingerprint};
use crate::engine::Engine;
use crate::law::Law;
use crate::telemetry::Metrics;

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
    pub fn refresh(&mut self, engine: &Engine, all: &Arc<Law>) {
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
        let own = match self.own(&tenant) {
            // One that has none of its own answers by the law of all meanwhile: it has no rules to lose.
            Err(error) if !self.taken.contains_key(&tenant) && !Arc::ptr_eq(&engine.law(), all) => {
                engine.change_law(Arc::clone(all))?;
                return Err(error);
            }
            own => own?,
        };
        let (law, found) = match own {
            Own::Folder(own) => {
                self.missed.remove(&tenant);
                let found = self.found(&own);
                if self.taken.get(&tenant) == Some(&found) {
                    return Ok(());
                }
                (Arc::new(packs::read_with(self.all.as_deref(), &own).map_err(OpenError::from)?), Some(found))
            }
            // Somebody may be about to put others in their place.
            Own::Nothing if self.taken.contains_key(&tenant) && self.missed.insert(Arc::clone(&tenant)) => {
                return Ok(());
            }
            Own::Nothing if Arc::ptr_eq(&engine.law(), all) => return Ok(()),
            Own::Nothing => (Arc::clone(all), None),
        };
        engine.change_law(law)?;
        self.missed.remove(&tenant);
        match found {
            Some(found) => drop(self.taken.insert(Arc::clone(&tenant), found)),
            None => drop(self.taken.remove(&tenant)),
        }
        let rules_version = engine.law().version().to_owned();
        match self.taken.contains_key(&tenant) {
            true => tracing::info!(tenant = &*tenant, rules_version, "packs of this tenant changed"),
            false => tracing::warn!(tenant = &*tenant, rules_version, "this tenant has no packs of its own"),
        }
        Ok(())
    }

    /// Says which folders are of no tenant, once: of a name that was misspelt no rule holds.
    pub fn tell_of_nobody(&mut self, tenants: &BTreeSet<Arc<str>>) {
        // That it cannot be read is told where a tenant's packs are looked for.
        let Some(Ok(found)) = self.own.as_mut().map(|own| own.of_nobody(tenants)) else { return };
        for folder in found.iter().filter(|folder| !self.of_nobody.contains(folder)) {
            tracing::warn!(folder, "tenant_packs: no caller has a tenant of this name, so these rules hold for nobody");
        }
        self.of_nobody = found;
    }
}
