//! The file of those who may ask, read at each look until it is taken.
//!
//! Promises: a revocation and an end of time in a file that reads take effect at the next look, whatever else is wrong or
//! hangs, and stays until this process ends, whatever the file loses; a tenant is open before anybody of it is recognised; a file that does not read changes nothing, and is tried
//! again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Error, access, now};
use super::again::Refused;
use super::tenant_packs::TenantPacks;
use crate::access::{Access, Callers, Limits, State};
use crate::engine::{Engine, Tenants};
use crate::telemetry::Metrics;
use crate::time::Instant;

/// See the module.
pub(super) struct CallersFile {
    path: PathBuf,
    usual: Limits,
    access: Arc<Access>,
    /// The text in force.
    text: String,
    /// Those it names, while tenants of theirs are not open.
    waiting: Option<Callers>,
    /// Whoever was revoked since this process began.
    revoked: HashMap<Arc<str>, Instant>,
    refused: Refused,
}

impl CallersFile {
    /// Reads it, and opens every tenant that it names: also those.
    ///
    /// # Errors
    /// It cannot be read or is at fault; it names tenants that cannot be opened.
    pub fn open(
        path: PathBuf,
        usual: Limits,
        (tenants, packs): (&Tenants, &mut TenantPacks),
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Vec<Arc<Engine>>), Error> {
        let text = access::text(&path)?;
        let mut revoked = HashMap::new();
        let (callers, _) = access::parsed(&path, &text, usual)?.still_revoked(&mut revoked);
        let mut new = Vec::new();
        for tenant in closed(&callers, tenants) {
            new.extend(tenants.open(&tenant, packs.law(&tenant)?)?);
        }
        tell(&callers);
        let access = Arc::new(Access::new(callers, usual));
        let refused = Refused::none("access", metrics);
        Ok((Self { path, usual, access, text, waiting: None, revoked, refused }, new))
    }

    /// Those who may ask now.
    pub const fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Takes the file as it is now; the tenants that are to be opened for it.
    pub fn look(&mut self, tenants: &Tenants) -> BTreeSet<Arc<str>> {
        match self.read() {
            Ok(None) if self.waiting.is_none() => self.refused.clear(""),
            Ok(None) => {}
            Ok(Some((callers, text))) => {
                let (callers, forgotten) = callers.still_revoked(&mut self.revoked);
                if !forgotten.is_empty() {
                    let names = forgotten.join(", ");
                    tracing::error!(
                        names,
                        "the file of those who may ask has lost revocations, which stay in force until this server ends: \
                         revoke them anew"
                    );
                }
                tell(&callers);
                let closed: HashSet<_> = closed(&callers, tenants).into_iter().collect();
                if closed.is_empty() {
                    self.refused.clear("");
                }
                self.waiting = (!closed.is_empty()).then(|| callers.clone());
                // Before anything that can take its time or fail: who was revoked is so from here on.
                self.access.change(callers.without(closed));
                self.text = text;
            }
            Err(error) => {
                let why = error.to_string();
                if self.refused.note("", why.clone()) {
                    tracing::error!(
                        error = why,
                        "the file of those who may ask is refused; the old one stays in force"
                    );
                }
            }
        }
        self.waiting.as_ref().map(|callers| closed(callers, tenants)).unwrap_or_default()
    }

    /// What it says, if that is not in force. Read at each look, and not only where the file seems to have changed: it is
    /// short, and a mode or a text that no time tells of counts.
    fn read(&self) -> Result<Option<(Callers, String)>, Error> {
        let text = access::text(&self.path)?;
        if text == self.text {
            return Ok(None);
        }
        Ok(Some((access::parsed(&self.path, &text, self.usual)?, text)))
    }

    /// Lets in those whose tenants were opened, and says which could not be.
    pub fn opened(&mut self, tenants: &Tenants, new: bool, shut: &[(Arc<str>, Error)]) {
        let Some(callers) = &self.waiting else { return };
        let closed = closed(callers, tenants);
        if new {
            self.access.change(callers.clone().without(closed.iter().cloned().collect()));
        }
        if closed.is_empty() {
            self.waiting = None;
            return self.refused.clear("");
        }
        let shut = shut.iter().filter(|(tenant, _)| closed.contains(tenant));
        let why = shut.map(|(tenant, error)| format!("{tenant}: {error}")).collect::<Vec<_>>().join("\n");
        if !why.is_empty() && self.refused.note("", why.clone()) {
            tracing::error!(
                error = why,
                "tenants that cannot be opened: their callers are refused, all others are known"
            );
        }
    }
}

/// The tenants that are named and not open.
fn closed(callers: &Callers, tenants: &Tenants) -> BTreeSet<Arc<str>> {
    callers.tenants().into_iter().filter(|tenant| !tenants.is_open(tenant)).collect()
}

fn tell(callers: &Callers) {
    let now = now();
    let valid: Vec<_> = callers.entries().iter().filter(|entry| entry.state(now) == State::Valid).collect();
    let tenants: HashSet<_> = valid.iter().map(|entry| &entry.tenant).collect();
    tracing::info!(callers = valid.len(), tenants = tenants.len(), "those who may ask are known");
    if valid.is_empty() {
        tracing::warn!("nobody may ask: `ringfence access new` lets somebody");
    }
}
