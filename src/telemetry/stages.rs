//! Where the time of a check goes: one look at the clock a stage, and nothing allocated.

use std::sync::Arc;
use std::time::Instant as Monotonic;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use crate::time::Tally;

/// A stage of a check, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The question is read, and the number placed.
    Read,
    /// Contact and switches are found and opened.
    Find,
    /// It is decided. Again after each lost race.
    Decide,
    /// Answer, record and log entry are made and sealed.
    Compose,
    /// The record is written, and as safe as it must be. Also where the race is lost.
    Write,
    /// The entry is in the log, and as safe as it must be.
    Log,
}

impl Stage {
    /// Its word in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Find => "find",
            Self::Decide => "decide",
            Self::Compose => "compose",
            Self::Write => "write",
            Self::Log => "log",
        }
    }
}

/// A way to the store and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trip {
    /// Records are read.
    Read,
    /// A record is written.
    Write,
}

/// A tally as Prometheus has it: a histogram.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Tally>);

impl TypedMetric for Told {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Told {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> std::fmt::Result {
        let counts = self.0.counts();
        let count = counts.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<[(String, String); 0]>(self.0.seconds(), count, &counts, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct TripLabels {
    trip: &'static str,
}

/// Tallies of everything that takes a part of a check's time.
#[derive(Debug)]
pub struct Stages {
    read: Arc<Tally>,
    find: Arc<Tally>,
    decide: Arc<Tally>,
    compose: Arc<Tally>,
    write: Arc<Tally>,
    log: Arc<Tally>,
    trip_read: Arc<Tally>,
    trip_write: Arc<Tally>,
    /// Commits of an embedded store, each with its sync.
    pub commits: Arc<Tally>,
    /// Syncs of the audit log.
    pub syncs: Arc<Tally>,
}

impl Stages {
    /// Under names of its own in the registry.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let stages = Family::<StageLabels, Told>::default();
        let of = |stage: Stage| Arc::clone(&stages.get_or_create(&StageLabels { stage: stage.word() }).0);
        let trips = Family::<TripLabels, Told>::default();
        let by = |trip: &'static str| Arc::clone(&trips.get_or_create(&TripLabels { trip }).0);
        let (commits, syncs) = (Told::default(), Told::default());
        let told = Self {
            read: of(Stage::Read),
            find: of(Stage::Find),
            decide: of(Stage::Decide),
            compose: of(Stage::Compose),
            write: of(Stage::Write),
            log: of(Stage::Log),
            trip_read: by("read"),
            trip_write: by("write"),
            commits: Arc::clone(&commits.0),
            syncs: Arc::clone(&syncs.0),
        };
        let help = "Time of each stage of a check, in seconds: read, find, decide, compose, write, log; of checks in streams \
                    one in sixteen";
        registry.register("stage_seconds", help, stages);
        registry.register("store_seconds", "Round trips to the store, in seconds, by what for: read, write", trips);
        let help = "Commits of the embedded store with their syncs, in seconds; many writes share one";
        registry.register("store_commit_seconds", help, commits);
        let help = "Writes of the audit log with their syncs, in seconds; many entries share one";
        registry.register("audit_sync_seconds", help, syncs);
        told
    }

    fn stage(&self, stage: Stage) -> &Tally {
        match stage {
            Stage::Read => &self.read,
            Stage::Find => &self.find,
            Stage::Decide => &self.decide,
            Stage::Compose => &self.compose,
            Stage::Write => &self.write,
            Stage::Log => &self.log,
        }
    }

    /// A round trip to the store ended that began then.
    pub fn trip(&self, trip: Trip, began: Monotonic) {
        let tally = match trip {
            Trip::Read => &self.trip_read,
            Trip::Write => &self.trip_write,
        };
        tally.add(began.elapsed());
    }

    /// Begins to take the time of a check's stages; where it is not wanted, nothing is.
    #[must_use]
    pub fn begin(&self, wanted: bool) -> Laps<'_> {
        Laps { stages: self, since: wanted.then(Monotonic::now) }
    }
}

/// The time of one check's stages, as they end.
#[derive(Debug)]
pub struct Laps<'a> {
    stages: &'a Stages,
    since: Option<Monotonic>,
}

impl Laps<'_> {
    /// A stage ended, and the next begins.
    pub fn end(&mut self, stage: Stage) {
        let Some(since) = &mut self.since else { return };
        let now = Monotonic::now();
        self.stages.stage(stage).add(now.saturating_duration_since(*since));
        *since = now;
        super::traces::stage(stage.word());
    }
}
