//! The file of those who may ask, read at each look until it is taken.
//!
//! Promises: a revocation and an end of time in a file that reads take effect at the next look, whatever else is wrong; a
//! tenant is open before anybody of it is recognised; a file that does not read changes nothing, and is tried again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::{Error, access, now};
use super::again::Refused;
use super::tenant_packs::TenantPacks;
use crate::access::{Access, Callers, Limits, State};
use crate::engine::{Engine, Tenants};
use crate::telemetry::Metrics;

/// See the module.
pub(super) struct CallersFile {
    path: PathBuf,
    usual: Limits,
    access: Arc<Access>,
    /// The text in force.
    text: String,
    /// Whether every tenant that it names is open.
    whole: bool,
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
        let callers = access::parsed(&path, &text, usual)?;
        let (new, shut) = opened(tenants, &callers, packs);
        if let Some((_, error)) = shut.into_iter().next() {
            return Err(error);
        }
        tell(&callers);
        let access = Arc::new(Access::new(callers, usual));
        let refused = Refused::none("access", metrics);
        Ok((Self { path, usual, access, text, whole: true, refused }, new))
    }

    /// Those who may ask now.
    pub const fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Takes the file as it is now, as far as it can be; the tenants that are new with it.
    pub fn look(&mut self, tenants: &Tenants, packs: &mut TenantPacks) -> Vec<Arc<Engine>> {
        // Read at each look, and not only where it seems to have changed: it is short, and a mode or a text that no time
        // tells of counts.
        let read = access::text(&self.path).and_then(|text| match text == self.text && self.whole {
            true => Ok(None),
            false => Ok(Some((access::parsed(&self.path, &text, self.usual)?, text))),
        });
        let (callers, text) = match read {
            Ok(Some(read)) => read,
            Ok(None) => {
                self.refused.clear("");
                return Vec::new();
            }
            Err(error) => {
                let why = error.to_string();
                if self.refused.note("", why.clone()) {
                    tracing::error!(
                        error = why,
                        "the file of those who may ask is refused; the old one stays in force"
                    );
                }
                return Vec::new();
            }
        };
        let changed = text != self.text;
        if changed {
            tell(&callers);
            // Before anything that can take its time or fail: who was revoked is so from here on.
            let closed = callers.tenants().into_iter().filter(|tenant| !tenants.is_open(tenant)).collect();
            self.access.change(callers.clone().without(closed));
        }
        let (new, shut) = opened(tenants, &callers, packs);
        self.whole = shut.is_empty();
        if !new.is_empty() {
            self.access.change(callers.without(shut.iter().map(|(tenant, _)| Arc::clone(tenant)).collect()));
        }
        self.text = text;
        if self.whole {
            self.refused.clear("");
        } else {
            let why = shut.iter().map(|(tenant, error)| format!("{tenant}: {error}")).collect::<Vec<_>>().join("\n");
            if self.refused.note("", why.clone()) {
                tracing::error!(
                    error = why,
                    "tenants that cannot be opened: their callers are refused, all others are known"
                );
            }
        }
        new
    }
}

/// Opens every tenant that is named: those that are new, and those that cannot be opened.
fn opened(tenants: &Tenants, callers: &Callers, packs: &mut TenantPacks) -> (Vec<Arc<Engine>>, Vec<(Arc<str>, Error)>) {
    let (mut new, mut shut) = (Vec::new(), Vec::new());
    for tenant in callers.tenants() {
        if tenants.is_open(&tenant) {
            continue;
        }
        match packs.law(&tenant).and_then(|law| Ok(tenants.open(&tenant, law)?)) {
            Ok(engine) => new.extend(engine),
            Err(error) => shut.push((tenant, error)),
        }
    }
    (new, shut)
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
