//! What an operator sees: the metrics, all named here with their help, and the log.
//!
//! Promises: no label, log line or error carries a whole number. Guarded by `tests/contract.rs`.

mod stages;
mod traces;

use std::collections::{BTreeSet, HashMap};
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use self::stages::{Laps, Stage, Stages, Trip};
pub use self::traces::{Traced, Traces};
use crate::contact::{Channel, Purpose, Term};
use crate::proto::v1;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct VerdictLabels {
    verdict: &'static str,
    channel: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ReasonLabels {
    family: &'static str,
    jurisdiction: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct PurposeLabels {
    purpose: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct MethodLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct ListLabels {
    registry: String,
    /// Whose own it is. `None`: an official one.
    tenant: Option<String>,
}

impl EncodeLabelSet for ListLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        ("registry", self.registry.as_str()).encode(encoder.encode_label())?;
        self.tenant.as_deref().map_or(Ok(()), |tenant| ("tenant", tenant).encode(encoder.encode_label()))
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RegionLabels {
    region: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct FlipLabels {
    change: &'static str,
    family: &'static str,
    rule: String,
    jurisdiction: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct DeliveryLabels {
    processor: String,
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RefusalLabels {
    reason: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
    code: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct FileLabels {
    file: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct WhatLabels {
    what: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ShedLabels {
    lane: &'static str,
    why: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct UrgencyLabels {
    urgency: &'static str,
}

/// Everything counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<VerdictLabels, Counter>,
    reasons: Family<ReasonLabels, Counter>,
    exceptional: Family<PurposeLabels, Counter>,
    lost_races: Counter,
    moves: Counter,
    requests: Family<MethodLabels, Counter>,
    seconds: Histogram,
    list_age: Family<ListLabels, Gauge<f64, AtomicU64>>,
    list_stale: Family<ListLabels, Gauge<f64, AtomicU64>>,
    lists_told: Mutex<BTreeSet<(String, Option<String>)>>,
    lists_refused: Gauge<u64, AtomicU64>,
    audit_head: Gauge<u64, AtomicU64>,
    audit_queued: Gauge<u64, AtomicU64>,
    audit_waits: Counter,
    audit_refusals: Counter,
    audit_lost: Counter,
    audit_segments_waiting: Gauge<u64, AtomicU64>,
    audit_archive_failures: Counter,
    region_up: Family<RegionLabels, Gauge>,
    shadow_judgements: Family<OutcomeLabels, Counter>,
    shadow_dropped: Counter,
    shadow_flips: Family<FlipLabels, Counter>,
    sealing_key: Gauge<u64, AtomicU64>,
    sealed_anew: Counter,
    deliveries: Family<DeliveryLabels, Counter>,
    self_check_alarms: Counter,
    self_check_finished: Gauge<f64, AtomicU64>,
    rights_requests: Family<UrgencyLabels, Gauge<u64, AtomicU64>>,
    rights_requests_of: Mutex<HashMap<String, [u32; 3]>>,
    refusals: Family<RefusalLabels, Counter>,
    tenant_requests: Family<TenantLabels, Counter>,
    cut_connections: Family<RefusalLabels, Counter>,
    under_way: Family<LaneLabels, Gauge<u64, AtomicU64>>,
    shed: Family<ShedLabels, Counter>,
    checks_limit: Gauge<u64, AtomicU64>,
    check_time: Gauge<f64, AtomicU64>,
    check_time_at_ease: Gauge<f64, AtomicU64>,
    stages: Stages,
    traces_failed: Counter,
    certificate_expires: Family<FileLabels, Gauge<i64>>,
    reload_refused: Family<WhatLabels, Gauge<u64, AtomicU64>>,
}

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

/// What an audit log has counted since it was opened, and what it holds now.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditState {
    /// The newest safe entry.
    pub head: u64,
    /// Places of its queue that are taken.
    pub queued: u64,
    /// Answers that waited for the disk.
    pub waits: u64,
    /// Entries refused.
    pub refusals: u64,
    /// Entries taken and never written.
    pub lost: u64,
    /// Closed segments not compressed or not archived yet.
    pub segments_waiting: u64,
    /// Looks after the archive that failed.
    pub archive_failures: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        // Powers of two from 62.5 microseconds to 2 seconds: the bars are about microseconds, the alarms about seconds.
        let buckets = (0..16).map(|i| 0.000_062_5 * f64::from(1u32 << i));
        let mut registry = Registry::with_prefix("ringfence");
        let mut metrics = Self {
            stages: Stages::new(&mut registry),
            registry,
            decisions: Family::default(),
            reasons: Family::default(),
            exceptional: Family::default(),
            lost_races: Counter::default(),
            moves: Counter::default(),
            requests: Family::default(),
            seconds: Histogram::new(buckets),
            list_age: Family::default(),
            list_stale: Family::default(),
            lists_told: Mutex::default(),
            lists_refused: Gauge::default(),
            audit_head: Gauge::default(),
            audit_queued: Gauge::default(),
            audit_waits: Counter::default(),
            audit_refusals: Counter::default(),
            audit_lost: Counter::default(),
            audit_segments_waiting: Gauge::default(),
            audit_archive_failures: Counter::default(),
            region_up: Family::default(),
            shadow_judgements: Family::default(),
            shadow_dropped: Counter::default(),
            shadow_flips: Family::default(),
            sealing_key: Gauge::default(),
            sealed_anew: Counter::default(),
            deliveries: Family::default(),
            self_check_alarms: Counter::default(),
            self_check_finished: Gauge::default(),
            rights_requests: Family::default(),
            rights_requests_of: Mutex::default(),
            refusals: Family::default(),
            tenant_requests: Family::default(),
            cut_connections: Family::default(),
            under_way: Family::default(),
            shed: Family::default(),
            checks_limit: Gauge::default(),
            check_time: Gauge::default(),
            check_time_at_ease: Gauge::default(),
            traces_failed: Counter::default(),
            certificate_expires: Family::default(),
            reload_refused: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("decisions", "Decisions by verdict and channel", metrics.decisions.clone());
        registry.register("reasons", "Reasons of denials by family and jurisdiction", metrics.reasons.clone());
        registry.register(
            "exceptional_checks",
            "Checks that asserted an emergency or a notice required by law, by purpose",
            metrics.exceptional.clone(),
        );
        registry.register("lost_races", "Writes that lost a race and were decided again", metrics.lost_races.clone());
        registry.register("moves", "Records moved from one region to another", metrics.moves.clone());
        registry.register("requests", "Requests by method and gRPC status code", metrics.requests.clone());
        registry.register("check_seconds", "Time to answer one check, in seconds", metrics.seconds.clone());
        registry.register(
            "registry_age_seconds",
            "Age of each loaded list, in seconds; of a tenant's own, with the tenant",
            metrics.list_age.clone(),
        );
        registry.register("audit_head", "Number of the newest safe entry of the audit log", metrics.audit_head.clone());
        registry.register(
            "audit_queued",
            "Entries of the audit log in memory that are not safe yet; large ones count as several",
            metrics.audit_queued.clone(),
        );
        registry.register(
            "audit_waits",
            "Answers that waited for their audit entry because the disk did not keep up",
            metrics.audit_waits.clone(),
        );
        registry.register(
            "audit_refusals",
            "Audit entries that were not taken, so that nothing was answered",
            metrics.audit_refusals.clone(),
        );
        registry.register(
            "audit_lost",
            "Audit entries that were taken and that the disk refused until the log was closed",
            metrics.audit_lost.clone(),
        );
        registry.register(
            "audit_segments_waiting",
            "Closed segments of the audit log that are not compressed or not archived yet",
            metrics.audit_segments_waiting.clone(),
        );
        registry.register(
            "audit_archive_failures",
            "Attempts to archive the audit log that failed",
            metrics.audit_archive_failures.clone(),
        );
        registry.register(
            "region_up",
            "Whether contacts of a pinned region are answered: 1 or 0",
            metrics.region_up.clone(),
        );
        registry.register(
            "shadow_judgements",
            "Checks judged a second time by the shadow packs, by outcome",
            metrics.shadow_judgements.clone(),
        );
        registry.register(
            "shadow_dropped",
            "Checks that the shadow packs did not judge since too many waited",
            metrics.shadow_dropped.clone(),
        );
        registry.register(
            "shadow_flips",
            "Reasons of the verdicts that the shadow packs would flip",
            metrics.shadow_flips.clone(),
        );
        registry.register("sealing_key", "Number of the key that seals records", metrics.sealing_key.clone());
        let help = "Records and keys of days that this process sealed anew under another key";
        registry.register("sealed_anew", help, metrics.sealed_anew.clone());
        registry.register(
            "deliveries",
            "Opt-outs sent to processors, by processor and result: confirmed, failed, given_up, disabled",
            metrics.deliveries.clone(),
        );
        registry.register(
            "self_check_alarms",
            "Opted-out contacts that the self-check found not denied for it",
            metrics.self_check_alarms.clone(),
        );
        registry.register(
            "self_check_finished_timestamp_seconds",
            "When this instance last finished a round of the self-check, in seconds since 1970",
            metrics.self_check_finished.clone(),
        );
        registry.register(
            "rights_requests",
            "Requests under data-protection law that are not closed, by urgency: overdue, due within seven days, later",
            metrics.rights_requests.clone(),
        );
        registry.register(
            "refusals",
            "Requests refused before they were read, by reason: credentials missing, unknown, expired, …, or a tenant that \
             asks more than it may",
            metrics.refusals.clone(),
        );
        registry.register(
            "tenant_requests",
            "Requests by tenant and gRPC status code",
            metrics.tenant_requests.clone(),
        );
        registry.register(
            "cut_connections",
            "Connections that the server ended or did not take, by reason: floods, silence, too many",
            metrics.cut_connections.clone(),
        );
        let help = "Calls under way, by lane: check (a batch or a burst of a stream is one), opt_out, fact, other";
        registry.register("under_way", help, metrics.under_way.clone());
        registry.register(
            "shed",
            "Calls refused since more came than is answered in time, by lane and why: full, slow, deadline",
            metrics.shed.clone(),
        );
        let help = "Checks that may be under way at once as things stand; 4294967295: as many as come";
        registry.register("checks_limit", help, metrics.checks_limit.clone());
        let help = "What a check took in the last tenth of a second, on average, in seconds";
        registry.register("check_time_seconds", help, metrics.check_time.clone());
        let help = "What a check takes where few are under way, on average, in seconds; 0: not known yet";
        registry.register("check_time_at_ease_seconds", help, metrics.check_time_at_ease.clone());
        let help = "Spans that the collector of traces did not take";
        registry.register("traces_failed", help, metrics.traces_failed.clone());
        let help =
            "When the first certificate of a file of TLS expires, in seconds since 1970, by the setting that names it";
        registry.register("certificate_expires_timestamp_seconds", help, metrics.certificate_expires.clone());
        registry.register(
            "reload_refused",
            "Files read again while serving of which the newest state is refused, the one before staying in force, by what: \
             access, packs, shadow_packs, tenant_packs, tls, registries, emergencies",
            metrics.reload_refused.clone(),
        );
        let help = "When the first rule that asks for a loaded list stops believing this copy, in seconds since 1970";
        registry.register("registry_stale_timestamp_seconds", help, metrics.list_stale.clone());
        let help = "What is wrong with the folder of lists: files that are not used, or not taken up";
        registry.register("registry_refused", help, metrics.lists_refused.clone());
        metrics
    }
}

impl Metrics {
    /// A decision was made.
    pub fn decided(&self, decision: &v1::Decision, channel: Channel) {
        let verdict = if decision.verdict() == v1::Verdict::Allow { "allow" } else { "deny" };
        self.decisions.get_or_create(&VerdictLabels { verdict, channel: channel.word() }).inc();
        for reason in &decision.reasons {
            let family = reason.family().as_str_name();
            let family = family.strip_prefix("RULE_FAMILY_").unwrap_or(family);
            self.reasons.get_or_create(&ReasonLabels { family, jurisdiction: reason.jurisdiction.clone() }).inc();
        }
    }

    /// An emergency or a notice required by law was asserted.
    pub fn exceptional(&self, purpose: Purpose) {
        self.exceptional.get_or_create(&PurposeLabels { purpose: purpose.word() }).inc();
    }

    /// A write lost a race.
    pub fn lost_race(&self) {
        self.lost_races.inc();
    }

    /// A record moved to another region.
    pub fn moved(&self) {
        self.moves.inc();
    }

    /// A request was answered.
    pub fn answered(&self, method: &'static str, code: &'static str, took: Option<Duration>) {
        self.requests.get_or_create(&MethodLabels { method, code }).inc();
        if let Some(took) = took {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    /// Nothing was refused for this reason so far: an alert sees the first only where there was a zero before.
    pub fn may_refuse(&self, reason: &'static str) {
        drop(self.refusals.get_or_create(&RefusalLabels { reason }));
    }

    /// A request was refused before it was read.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// A request of a tenant was answered. For tenants that were recognised only: each is remembered.
    pub fn answered_tenant(&self, tenant: &str, code: &'static str) {
        self.tenant_requests.get_or_create(&TenantLabels { tenant: tenant.to_owned(), code }).inc();
    }

    /// The server ended a connection, or did not take it.
    pub fn cut(&self, reason: &'static str) {
        self.cut_connections.get_or_create(&RefusalLabels { reason }).inc();
    }

    /// Where the time of a check goes.
    #[must_use]
    pub const fn stages(&self) -> &Stages {
        &self.stages
    }

    /// When the first certificate of a file expires, in seconds since 1970.
    pub fn certificate_expires(&self, file: &'static str, seconds: i64) {
        self.certificate_expires.get_or_create(&FileLabels { file }).set(seconds);
    }

    /// How many of a kind of files are refused as they are now.
    pub fn reload_refused(&self, what: &'static str, how_many: usize) {
        let how_many = u64::try_from(how_many).unwrap_or(u64::MAX);
        self.reload_refused.get_or_create(&WhatLabels { what }).set(how_many);
    }

    /// Spans that the collector did not take so far.
    pub fn traces_failed(&self, spans: u64) {
        // Counted where they are sent.
        self.traces_failed.inner().store(spans, Ordering::Relaxed);
    }

    /// How much is under way in a lane, and how much of it was refused so far.
    pub fn lane(&self, lane: &'static str, under_way: u32, refused: [(&'static str, u64); 3]) {
        self.under_way.get_or_create(&LaneLabels { lane }).set(under_way.into());
        for (why, count) in refused {
            // Counted where it is refused.
            self.shed.get_or_create(&ShedLabels { lane, why }).inner().store(count, Ordering::Relaxed);
        }
    }

    /// How many checks may be under way, and what they take.
    pub fn pace(&self, limit: u32, took: Duration, at_ease: Duration) {
        self.checks_limit.set(limit.into());
        self.check_time.set(took.as_secs_f64());
        self.check_time_at_ease.set(at_ease.as_secs_f64());
    }

    /// How old the loaded lists are, all of them, and how many faults their folder has. One that is not among them any more
    /// is not told any more.
    pub fn lists(&self, lists: &[ListState], refused: usize) {
        let labels = |registry: &str, tenant: &Option<String>| ListLabels {
            registry: registry.to_owned(),
            tenant: tenant.clone(),
        };
        let mut told = self.lists_told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(id, tenant)| {
            let stays = lists.iter().any(|list| list.id == *id && list.tenant == *tenant);
            if !stays {
                self.list_age.remove(&labels(id, tenant));
                self.list_stale.remove(&labels(id, tenant));
            }
            stays
        });
        for ListState { id, tenant, age, stale_from } in lists {
            self.list_age.get_or_create(&labels(id, tenant)).set(*age);
            match stale_from {
                Some(at) => {
                    self.list_stale.get_or_create(&labels(id, tenant)).set(*at);
                }
                None => {
                    self.list_stale.remove(&labels(id, tenant));
                }
            }
            told.insert((id.clone(), tenant.clone()));
        }
        self.lists_refused.set(u64::try_from(refused).unwrap_or(u64::MAX));
    }

    /// How the audit log is.
    pub fn audit(&self, state: AuditState) {
        self.audit_head.set(state.head);
        self.audit_queued.set(state.queued);
        self.audit_segments_waiting.set(state.segments_waiting);
        // Counted by the log itself.
        for (counter, value) in [
            (&self.audit_waits, state.waits),
            (&self.audit_refusals, state.refusals),
            (&self.audit_lost, state.lost),
            (&self.audit_archive_failures, state.archive_failures),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
    }

    /// Whether contacts of a pinned region are answered.
    pub fn region_up(&self, region: &str, up: bool) {
        self.region_up.get_or_create(&RegionLabels { region: region.to_owned() }).set(i64::from(up));
    }

    /// The shadow packs judged a check.
    pub fn shadow_judged(&self, outcome: &'static str) {
        self.shadow_judgements.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// The shadow packs did not judge a check: too many waited.
    pub fn shadow_dropped(&self) {
        self.shadow_dropped.inc();
    }

    /// Checks that the shadow packs did not judge.
    #[must_use]
    pub fn shadows_dropped(&self) -> u64 {
        self.shadow_dropped.get()
    }

    /// The shadow packs would flip a verdict, by this rule among others.
    pub fn shadow_flip(&self, change: &'static str, family: &'static str, rule: &str, jurisdiction: &str) {
        let labels = FlipLabels { change, family, rule: rule.to_owned(), jurisdiction: jurisdiction.to_owned() };
        self.shadow_flips.get_or_create(&labels).inc();
    }

    /// The key that seals.
    pub fn sealing_key(&self, id: u32) {
        self.sealing_key.set(id.into());
    }

    /// So many more were sealed anew.
    pub fn sealed_anew(&self, more: u64) {
        self.sealed_anew.inc_by(more);
    }

    /// A delivery to a processor ended: `confirmed`, `failed`, `given_up`, `disabled`.
    pub fn delivered(&self, processor: &str, result: &'static str) {
        self.deliveries.get_or_create(&DeliveryLabels { processor: processor.to_owned(), result }).inc();
    }

    /// An opted-out contact was not denied for it.
    pub fn self_check_alarm(&self) {
        self.self_check_alarms.inc();
    }

    /// How many such alarms there were since the start.
    #[must_use]
    pub fn self_check_alarms(&self) -> u64 {
        self.self_check_alarms.get()
    }

    /// A round of the self-check ended, at this many milliseconds since 1970.
    pub fn self_checked(&self, millis: i64) {
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 need no 53 bits")]
        self.self_check_finished.set(millis as f64 / 1_000.0);
    }

    /// How many requests under data-protection law a tenant has open, by urgency; shown is the sum over all.
    pub fn requests_open(&self, tenant: &str, counts: [(&'static str, u32); 3]) {
        let mut of = self.rights_requests_of.lock().unwrap_or_else(PoisonError::into_inner);
        let before = of.insert(tenant.to_owned(), counts.map(|(_, count)| count)).unwrap_or_default();
        for ((urgency, count), before) in counts.into_iter().zip(before) {
            let gauge = self.rights_requests.get_or_create(&UrgencyLabels { urgency });
            gauge.set(gauge.get().saturating_sub(u64::from(before)).saturating_add(u64::from(count)));
        }
    }

    /// The text a scraper reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail; an empty page would show at once.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Sends the log to standard error: text on a terminal, JSON for machines. `RINGFENCE_LOG_FILTER` filters it, in
/// the words of `tracing_subscriber`'s `EnvFilter`.
pub fn start_log(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RINGFENCE_LOG_FILTER")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("ringfence=info,warn"));
    // Colours are for terminals: in a file or a journal they are noise that no search gets through.
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // Tests start more than one log in a process; the first stays.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
