//! What is counted of one tenant, and said of it: found once, and then without a look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant as Monotonic, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tracing::Span;

use super::labels::{Asked, Code, Delivery, Denial, Law, Purpose, Refused, Tenant, Urgency, Verdict};
use super::places::Places;
use super::refusals::{Kinds, More, Refusal};
use super::{Seconds, contact, seconds};
use crate::contact::Term as _;
use crate::proto::v1;

/// Room for the numbers of channels, families and codes: all are smaller.
const CHANNELS: usize = 4;
const FAMILIES: usize = 32;
const CODES: usize = 17;

/// The metrics that have a tenant.
#[derive(Clone, Debug)]
pub(super) struct OfTenants {
    decisions: Family<Verdict, Counter>,
    denials: Family<Denial, Counter>,
    places: Places,
    exceptional: Family<Purpose, Counter>,
    answered: Family<Code, Counter>,
    seconds: Family<Asked, Histogram, fn() -> Histogram>,
    refusals: Family<Refused, Counter>,
    law: Family<Law, Gauge>,
    law_since: Family<Tenant, Seconds>,
    deliveries: Family<Delivery, Counter>,
    alarms: Family<Tenant, Counter>,
    self_checked: Family<Tenant, Seconds>,
    requests: Family<Urgency, Gauge>,
}

fn check_seconds() -> Histogram {
    // Powers of two from 62.5 microseconds to 2 seconds: the bars are about microseconds, the alarms about seconds.
    Histogram::new((0..16).map(|i| 0.000_062_5 * f64::from(1u32 << i)))
}

impl OfTenants {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let of = Self {
            decisions: Family::default(),
            denials: Family::default(),
            places: Places::new(registry),
            exceptional: Family::default(),
            answered: Family::default(),
            seconds: Family::new_with_constructor(check_seconds),
            refusals: Family::default(),
            law: Family::default(),
            law_since: Family::default(),
            deliveries: Family::default(),
            alarms: Family::default(),
            self_checked: Family::default(),
            requests: Family::default(),
        };
        registry.register("decisions", "Decisions by tenant, verdict and channel", of.decisions.clone());
        registry.register("tenant_reasons", "Reasons of denials by tenant and family", of.denials.clone());
        let help = "Checks that asserted an emergency or a notice required by law, by tenant and purpose";
        registry.register("exceptional_checks", help, of.exceptional.clone());
        registry.register("tenant_requests", "Requests by tenant and gRPC status code", of.answered.clone());
        let help = "Time to answer one check by tenant and method, in seconds: of a row of CheckBatch, from when the batch came \
                    until all of it was answered; of one of CheckStream, from when it was asked with those that waited beside it";
        registry.register("check_seconds", help, of.seconds.clone());
        let help = "Requests refused, by tenant where one is known, and reason: credentials missing, unknown, expired, …; a \
                    role that is lacking; more than the tenant may ask, or than is answered in time; what does not read. Each \
                    is in the log, the first ten of a kind in a minute by themselves";
        registry.register("refusals", help, of.refusals.clone());
        let help = "The packs in force for each tenant, by rules_version: 1";
        registry.register("law_in_force", help, of.law.clone());
        let help = "Since when a tenant is answered by these packs, in seconds since 1970";
        registry.register("law_loaded_timestamp_seconds", help, of.law_since.clone());
        let help =
            "Opt-outs sent to processors, by tenant, processor and result: confirmed, failed, given_up, disabled";
        registry.register("deliveries", help, of.deliveries.clone());
        let help = "Opted-out contacts that the self-check found not denied for it, by tenant";
        registry.register("self_check_alarms", help, of.alarms.clone());
        let help = "When a round of the self-check of a tenant last ended, on any instance, in seconds since 1970; while none ever \
                    has: when the first began";
        registry.register("self_check_finished_timestamp_seconds", help, of.self_checked.clone());
        let help = "Requests under data-protection law that are not closed, by tenant and urgency: overdue, due within seven \
                    days, later";
        registry.register("rights_requests", help, of.requests.clone());
        of
    }
}

/// How a check was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// By itself.
    Check,
    /// As a row of a batch.
    Batch,
    /// As a row of a stream.
    Stream,
}

const WAYS: usize = 3;

impl Way {
    const fn method(self) -> &'static str {
        match self {
            Self::Check => "Check",
            Self::Batch => "CheckBatch",
            Self::Stream => "CheckStream",
        }
    }
}

/// What is counted of one tenant; of whoever is not known, where its name is empty.
#[derive(Debug)]
pub struct Meter {
    name: Arc<str>,
    of: OfTenants,
    /// What is logged within it is of this tenant.
    span: Span,
    decisions: [[OnceLock<Counter>; CHANNELS]; 2],
    denials: [OnceLock<Counter>; FAMILIES],
    answered: [OnceLock<Counter>; CODES],
    seconds: [OnceLock<Histogram>; WAYS],
    refusals: Kinds,
    law: Mutex<Option<String>>,
}

/// Refusals that an alert looks for: it sees the first only where there was a zero before.
const FORESEEN: [&str; 3] = ["EXHAUSTED_OPT_OUT", "EXHAUSTED_EMERGENCY", "EXHAUSTED_SWITCH"];

impl Meter {
    pub(super) fn new(name: &str, of: &OfTenants) -> Self {
        for reason in FORESEEN {
            let _ = of.refusals.get_or_create_owned(&Refused { tenant: name.into(), reason });
        }
        // Of the highest level, so that it stays whatever the log leaves out.
        let span = if name.is_empty() { Span::none() } else { tracing::error_span!("of", tenant = %name) };
        Self {
            name: name.into(),
            of: of.clone(),
            span,
            decisions: Default::default(),
            denials: Default::default(),
            answered: Default::default(),
            seconds: Default::default(),
            refusals: Kinds::default(),
            law: Mutex::default(),
        }
    }

    fn tenant(&self) -> Tenant {
        Tenant { tenant: self.name() }
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// What is logged within it is of this tenant.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// A tenant is open: what must be seen to go up begins at nothing.
    pub fn opened(&self) {
        drop(self.of.alarms.get_or_create(&self.tenant()));
    }

    /// A decision was made.
    pub fn decided(&self, decision: &v1::Decision, channel: contact::Channel) {
        let allow = decision.verdict() == v1::Verdict::Allow;
        let (verdict, word) = (if allow { "allow" } else { "deny" }, channel.word());
        let counter =
            || self.of.decisions.get_or_create_owned(&Verdict { tenant: self.name(), verdict, channel: word });
        let [deny, allowed] = &self.decisions;
        let of_verdict = if allow { allowed } else { deny };
        match of_verdict.get(usize::from(channel.number())) {
            Some(known) => known.get_or_init(counter).inc(),
            None => counter().inc(),
        };
        self.of.places.decided(decision, verdict, word);
        for reason in &decision.reasons {
            self.denied(reason, word);
        }
    }

    fn denied(&self, reason: &v1::Reason, channel: &'static str) {
        let family = reason.family();
        let word = || {
            let name = family.as_str_name();
            name.strip_prefix("RULE_FAMILY_").unwrap_or(name)
        };
        let counter = || self.of.denials.get_or_create_owned(&Denial { tenant: self.name(), family: word() });
        match usize::try_from(reason.family).ok().and_then(|family| self.denials.get(family)) {
            Some(known) => known.get_or_init(counter).inc(),
            None => counter().inc(),
        };
        self.of.places.denied(word(), &reason.jurisdiction, channel);
    }

    /// An emergency or a notice required by law was asserted.
    pub fn exceptional(&self, purpose: contact::Purpose) {
        self.of.exceptional.get_or_create(&Purpose { tenant: self.name(), purpose: purpose.word() }).inc();
    }

    /// A request was answered, with this code of gRPC.
    pub fn answered(&self, number: i32, code: &'static str) {
        let counter = || self.of.answered.get_or_create_owned(&Code { tenant: self.name(), code });
        match usize::try_from(number).ok().and_then(|number| self.answered.get(number)) {
            Some(known) => known.get_or_init(counter).inc(),
            None => counter().inc(),
        };
    }

    /// So many checks were asked together in this way, and took so long.
    pub fn took(&self, way: Way, checks: usize, took: Duration) {
        let made = || self.of.seconds.get_or_create_owned(&Asked { tenant: self.name(), method: way.method() });
        let [check, batch, stream] = &self.seconds;
        let known = match way {
            Way::Check => check,
            Way::Batch => batch,
            Way::Stream => stream,
        };
        let seconds = known.get_or_init(made);
        (0..checks).for_each(|_| seconds.observe(took.as_secs_f64()));
    }

    /// A request was refused: counted, and told.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        self.tell("refused", refusal);
    }

    /// An open stream was ended for what a new request would be refused for.
    pub fn ended(&self, refusal: &Refusal<'_>) {
        self.tell("an open stream is ended", refusal);
    }

    fn tell(&self, what: &str, refusal: &Refusal<'_>) {
        let Refusal { reason, why, call, caller, from } = *refusal;
        let counter = || self.of.refusals.get_or_create_owned(&Refused { tenant: self.name(), reason });
        let (more, tell) = self.refusals.note(reason, Monotonic::now(), counter);
        if let Some(more) = more {
            self.tell_more(reason, more);
        }
        if tell {
            let (from, caller) = (from.map(tracing::field::display), (!caller.is_empty()).then_some(caller));
            tracing::warn!(parent: &self.span, reason, caller, from, %call, "{what}: {why}");
        }
    }

    fn tell_more(&self, reason: &'static str, more: More) {
        let (count, seconds) = (more.count, more.seconds());
        tracing::warn!(parent: &self.span, reason, count, seconds, "refused: {count} more like it in {seconds} seconds");
    }

    /// Tells how many more were refused than were told; of all kinds, where nothing comes after it.
    pub(super) fn tell_refusals(&self, now: Monotonic, last: bool) {
        for (reason, more) in self.refusals.over(now, last) {
            self.tell_more(reason, more);
        }
    }

    /// The tenant is answered by these packs from now on.
    pub fn law(&self, rules_version: &str) {
        let label = |rules_version: &str| Law { tenant: self.name(), rules_version: rules_version.to_owned() };
        let mut before = self.law.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before.replace(rules_version.to_owned()).filter(|before| before != rules_version) {
            self.of.law.remove(&label(&before));
        }
        self.of.law.get_or_create(&label(rules_version)).set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.of.law_since.get_or_create(&self.tenant()).set(now.as_secs_f64());
    }

    /// An opt-out was passed on to a processor, or could not be.
    pub fn delivered(&self, processor: &str, result: &'static str) {
        let labels = Delivery { tenant: self.name(), processor: processor.to_owned(), result };
        self.of.deliveries.get_or_create(&labels).inc();
    }

    /// An opted-out contact was not denied for it.
    pub fn self_check_alarm(&self) {
        self.of.alarms.get_or_create(&self.tenant()).inc();
    }

    /// How many such alarms there were since the start.
    #[must_use]
    pub fn self_check_alarms(&self) -> u64 {
        self.of.alarms.get_or_create(&self.tenant()).get()
    }

    /// A round of the self-check ended, on whatever instance, at this many milliseconds since 1970.
    pub fn self_checked(&self, millis: i64) {
        self.of.self_checked.get_or_create(&self.tenant()).set(seconds(millis));
    }

    /// None ever ended, as far as is known: it is told from here on, unless more is known already.
    pub fn self_check_begun(&self, millis: i64) {
        let gauge = self.of.self_checked.get_or_create(&self.tenant());
        if gauge.get() == 0.0 {
            gauge.set(seconds(millis));
        }
    }

    /// How many requests under data-protection law are open, by urgency.
    pub fn requests_open(&self, counts: [(&'static str, u32); 3]) {
        for (urgency, count) in counts {
            self.of.requests.get_or_create(&Urgency { tenant: self.name(), urgency }).set(count.into());
        }
    }
}

/// The meters of all tenants.
#[derive(Debug, Default)]
pub(super) struct Meters(std::sync::RwLock<HashMap<Arc<str>, Arc<Meter>>>);

impl Meters {
    /// That of a tenant. Only for tenants that are configured: each is remembered.
    pub fn of(&self, name: &str, of: &OfTenants) -> Arc<Meter> {
        if let Some(meter) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(meter);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.into()).or_insert_with(|| Arc::new(Meter::new(name, of))))
    }

    /// Every one.
    pub fn all(&self) -> Vec<Arc<Meter>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
