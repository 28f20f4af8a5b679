//! What checks and writes run into, and what shadow packs would answer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::Metrics;
use super::labels::{Flip, Outcome};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Checks {
    lost_races: Counter,
    moves: Counter,
    sealed_anew: Counter,
    shadow_judgements: Family<Outcome, Counter>,
    shadow_dropped: Counter,
    shadow_flips: Family<Flip, Counter>,
}

impl Checks {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let checks = Self::default();
        registry.register("lost_races", "Writes that lost a race and were decided again", checks.lost_races.clone());
        registry.register("moves", "Records moved from one region to another", checks.moves.clone());
        let help = "Records and keys of days that this process sealed anew under another key";
        registry.register("sealed_anew", help, checks.sealed_anew.clone());
        let help = "Checks judged a second time by the shadow packs, by outcome";
        registry.register("shadow_judgements", help, checks.shadow_judgements.clone());
        let help = "Checks that the shadow packs did not judge since too many waited";
        registry.register("shadow_dropped", help, checks.shadow_dropped.clone());
        let help = "Reasons of the verdicts that the shadow packs would flip";
        registry.register("shadow_flips", help, checks.shadow_flips.clone());
        checks
    }
}

impl Metrics {
    /// A write lost a race.
    pub fn lost_race(&self) {
        self.checks.lost_races.inc();
    }

    /// A record moved to another region.
    pub fn moved(&self) {
        self.checks.moves.inc();
    }

    /// So many more were sealed anew.
    pub fn sealed_anew(&self, more: u64) {
        self.checks.sealed_anew.inc_by(more);
    }

    /// The shadow packs judged a check.
    pub fn shadow_judged(&self, outcome: &'static str) {
        self.checks.shadow_judgements.get_or_create(&Outcome { outcome }).inc();
    }

    /// The shadow packs did not judge a check: too many waited.
    pub fn shadow_dropped(&self) {
        self.checks.shadow_dropped.inc();
    }

    /// Checks that the shadow packs did not judge.
    #[must_use]
    pub fn shadows_dropped(&self) -> u64 {
        self.checks.shadow_dropped.get()
    }

    /// The shadow packs would flip a verdict, by this rule among others.
    pub fn shadow_flip(&self, change: &'static str, family: &'static str, rule: &str, jurisdiction: &str) {
        let labels = Flip { change, family, rule: rule.to_owned(), jurisdiction: jurisdiction.to_owned() };
        self.checks.shadow_flips.get_or_create(&labels).inc();
    }
}
