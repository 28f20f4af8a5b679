//! What an operator sees: the metrics, each with its help; the log; traces.
//!
//! Promises: no label, log line or error carries a whole number, and no log line a secret; what is counted or logged of a
//! request is so under its tenant, where that is known; neither ever waits. Guarded by `tests/contract.rs` and
//! `tests/access/refusals.rs`.

mod audit;
mod checks;
mod labels;
mod load;
mod log;
mod places;
mod refusals;
mod stages;
mod standing;
mod tenant;
mod traces;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant as Monotonic;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

pub use self::audit::AuditState;
pub use self::log::{Log, start_log};
pub use self::refusals::{Refusal, trouble};
pub use self::stages::{Laps, Stage, Stages, Trip};
pub use self::standing::ListState;
pub use self::tenant::{Meter, Way};
pub use self::traces::{Traced, Traces};
use crate::contact;

/// A whole number that goes up and down.
type Count = Gauge<u64, AtomicU64>;
/// Seconds that do.
type Seconds = Gauge<f64, AtomicU64>;

/// Everything counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    checks: checks::Checks,
    load: load::Load,
    standing: standing::Standing,
    audit: audit::Audit,
    stages: Stages,
    of_tenants: tenant::OfTenants,
    meters: tenant::Meters,
    nobody: Arc<Meter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ringfence");
        let of_tenants = tenant::OfTenants::new(&mut registry);
        Self {
            checks: checks::Checks::new(&mut registry),
            load: load::Load::new(&mut registry),
            standing: standing::Standing::new(&mut registry),
            audit: audit::Audit::new(&mut registry),
            stages: Stages::new(&mut registry),
            nobody: Arc::new(Meter::new("", &of_tenants)),
            of_tenants,
            meters: tenant::Meters::default(),
            registry,
        }
    }
}

impl Metrics {
    /// What is counted of a tenant. Only for tenants that are configured: each is remembered.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Arc<Meter> {
        if tenant.is_empty() { Arc::clone(&self.nobody) } else { self.meters.of(tenant, &self.of_tenants) }
    }

    /// What is counted of those who are not known.
    #[must_use]
    pub const fn nobody(&self) -> &Arc<Meter> {
        &self.nobody
    }

    /// Opted-out contacts of whatever tenant that were not denied for it, since the start.
    #[must_use]
    pub fn self_check_alarms(&self) -> u64 {
        self.meters.all().iter().map(|meter| meter.self_check_alarms()).sum()
    }

    /// Where the time of a check goes.
    #[must_use]
    pub const fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Tells the log of refusals and connections that had no line of their own, once their time is over; of all, where nothing
    /// comes after it.
    pub fn tell_refusals(&self, last: bool) {
        let now = Monotonic::now();
        refusals::tell_troubles(now, last);
        self.tell_cuts(now, last);
        for meter in self.meters.all().iter().chain([&self.nobody]) {
            meter.tell_refusals(now, last);
        }
    }

    /// The text a scraper reads.
    #[must_use]
    pub fn text(&self) -> String {
        self.log_dropped(log::dropped());
        let mut text = String::new();
        // Writing into a String cannot fail; an empty page would show at once.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 need no 53 bits")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}
