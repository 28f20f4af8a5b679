//! How the server stands: what is measured when it is asked for, or told when it changes.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{File, List, Part, Region, What};
use super::{Count, Metrics, Seconds};

/// What may not be ready.
const PARTS: [&str; 5] = ["server", "store", "audit", "keys", "regions"];

/// How old a loaded list is.
#[derive(Clone, Debug)]
pub struct ListState {
    /// Its id.
    pub id: String,
    /// Whose own it is. `None`: an official one.
    pub tenant: Option<String>,
    /// In seconds, of the copy that its keeper made.
    pub age: f64,
    /// When the first rule stops believing it, in seconds since 1970; `None`: no rule asks for it.
    pub stale_from: Option<f64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Standing {
    ready: Gauge,
    not_ready: Family<Part, Gauge>,
    list_age: Family<List, Seconds>,
    list_stale: Family<List, Seconds>,
    lists_told: Mutex<BTreeSet<(String, Option<String>)>>,
    lists_refused: Count,
    region_up: Family<Region, Gauge>,
    sealing_key: Count,
    certificate_expires: Family<File, Gauge<i64>>,
    reload_refused: Family<What, Count>,
    settings_changed: Count,
    traces_failed: Counter,
    log_dropped: Counter,
}

impl Standing {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let standing = Self::default();
        registry.register("ready", "Whether the server can answer: 1 or 0", standing.ready.clone());
        let help = "Which part is not ready, 1, or is, 0: server, store, audit, keys, regions; /readyz says why";
        registry.register("not_ready", help, standing.not_ready.clone());
        let help = "Age of each loaded list, in seconds; of a tenant's own, with the tenant";
        registry.register("registry_age_seconds", help, standing.list_age.clone());
        let help = "When the first rule that asks for a loaded list stops believing this copy, in seconds since 1970";
        registry.register("registry_stale_timestamp_seconds", help, standing.list_stale.clone());
        let help = "What is wrong with the folder of lists: files that are not used, or not taken up";
        registry.register("registry_refused", help, standing.lists_refused.clone());
        let help = "Whether contacts of a pinned region are answered: 1 or 0";
        registry.register("region_up", help, standing.region_up.clone());
        registry.register("sealing_key", "Number of the key that seals records", standing.sealing_key.clone());
        let help = "When the first certificate, or revocation list, in use of a file of TLS expires, in seconds since 1970, by \
                    the setting that names it";
        registry.register("certificate_expires_timestamp_seconds", help, standing.certificate_expires.clone());
        let help = "Files read again while serving of which the newest state is refused, the one before staying in force, by \
                    what: access, packs, shadow_packs, tenant_packs, tls, store_tls, webhook_ca, registries, emergencies, settings; \
                    list_files: own lists whose file was in force and is gone";
        registry.register("reload_refused", help, standing.reload_refused.clone());
        let help = "Whether the settings are written otherwise than they are in force, which a restart changes: 1 or 0";
        registry.register("settings_changed", help, standing.settings_changed.clone());
        let help = "Spans that the collector of traces did not take";
        registry.register("traces_failed", help, standing.traces_failed.clone());
        let help = "Lines of the log that were dropped, since whoever reads it did not keep up";
        registry.register("log_dropped", help, standing.log_dropped.clone());
        standing
    }
}

impl Metrics {
    /// Which parts are not ready; none: the server is.
    pub fn ready<'a>(&self, faults: impl IntoIterator<Item = &'a str>) {
        let faults: Vec<_> = faults.into_iter().collect();
        self.standing.ready.set(i64::from(faults.is_empty()));
        for part in PARTS {
            self.standing.not_ready.get_or_create(&Part { part }).set(i64::from(faults.contains(&part)));
        }
    }

    /// How old the loaded lists are, all of them, and how many faults their folder has. One that is not among them any more
    /// is not told any more.
    pub fn lists(&self, lists: &[ListState], refused: usize) {
        let Standing { list_age, list_stale, lists_told, lists_refused, .. } = &self.standing;
        let label =
            |registry: &str, tenant: &Option<String>| List { registry: registry.to_owned(), tenant: tenant.clone() };
        let mut told = lists_told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(id, tenant)| {
            let stays = lists.iter().any(|list| list.id == *id && list.tenant == *tenant);
            if !stays {
                list_age.remove(&label(id, tenant));
                list_stale.remove(&label(id, tenant));
            }
            stays
        });
        for ListState { id, tenant, age, stale_from } in lists {
            list_age.get_or_create(&label(id, tenant)).set(*age);
            match stale_from {
                Some(at) => {
                    list_stale.get_or_create(&label(id, tenant)).set(*at);
                }
                None => {
                    list_stale.remove(&label(id, tenant));
                }
            }
            told.insert((id.clone(), tenant.clone()));
        }
        lists_refused.set(u64::try_from(refused).unwrap_or(u64::MAX));
    }

    /// Whether contacts of a pinned region are answered.
    pub fn region_up(&self, region: &str, up: bool) {
        self.standing.region_up.get_or_create(&Region { region: region.to_owned() }).set(i64::from(up));
    }

    /// The key that seals.
    pub fn sealing_key(&self, id: u32) {
        self.standing.sealing_key.set(id.into());
    }

    /// When the first certificate, or revocation list, of a file expires, in seconds since 1970.
    pub fn certificate_expires(&self, file: &str, seconds: i64) {
        self.standing.certificate_expires.get_or_create(&File { file: file.to_owned() }).set(seconds);
    }

    /// Whether the settings are written otherwise than they are in force.
    pub fn settings_changed(&self, changed: bool) {
        self.standing.settings_changed.set(changed.into());
    }

    /// How many of a kind of files are refused as they are now.
    pub fn reload_refused(&self, what: &'static str, how_many: usize) {
        let how_many = u64::try_from(how_many).unwrap_or(u64::MAX);
        self.standing.reload_refused.get_or_create(&What { what }).set(how_many);
    }

    /// Spans that the collector did not take so far.
    pub fn traces_failed(&self, spans: u64) {
        // Counted where they are sent.
        self.standing.traces_failed.inner().store(spans, Ordering::Relaxed);
    }

    /// Lines of the log that were dropped so far.
    pub(super) fn log_dropped(&self, lines: u64) {
        self.standing.log_dropped.inner().store(lines, Ordering::Relaxed);
    }
}
