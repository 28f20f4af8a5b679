//! How the audit log does.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::Region;
use super::{Count, Metrics, Seconds, seconds};

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

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Audit {
    head: Count,
    queued: Count,
    waits: Counter,
    refusals: Counter,
    lost: Counter,
    lost_at: Family<Region, Seconds>,
    segments_waiting: Count,
    archive_failures: Counter,
    volume_free: Family<Region, Count>,
    anchored: Family<Region, Seconds>,
}

impl Audit {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let audit = Self::default();
        registry.register(
            "audit_head",
            "Number of the newest safe entry of the audit log; of several regions, these added up",
            audit.head.clone(),
        );
        let help = "Entries of the audit log in memory that are not safe yet; large ones count as several";
        registry.register("audit_queued", help, audit.queued.clone());
        let help = "Answers that waited for their audit entry because the disk did not keep up";
        registry.register("audit_waits", help, audit.waits.clone());
        let help = "Audit entries that were not taken, so that nothing was answered";
        registry.register("audit_refusals", help, audit.refusals.clone());
        let help = "Audit entries that were taken and that the disk refused until the log was closed: the start after that counts \
                    them";
        registry.register("audit_lost", help, audit.lost.clone());
        let help = "When the newest loss of audit entries was noted, by region, in seconds since 1970; only after a loss, until \
                    one start has told it for an hour";
        registry.register("audit_lost_timestamp_seconds", help, audit.lost_at.clone());
        let help = "Closed segments of the audit log that are not compressed or not archived yet";
        registry.register("audit_segments_waiting", help, audit.segments_waiting.clone());
        let help = "Attempts to archive the audit log that failed";
        registry.register("audit_archive_failures", help, audit.archive_failures.clone());
        let help = "Bytes that are free for the audit log on its volume, by region";
        registry.register("audit_volume_free_bytes", help, audit.volume_free.clone());
        let help = "When the store last held the newest entry of the audit log as its anchor, by region, in seconds since 1970";
        registry.register("audit_anchored_timestamp_seconds", help, audit.anchored.clone());
        audit
    }
}

impl Metrics {
    /// How many bytes are free on the volume of a region's audit log; `None`: nobody knows, and nothing is told.
    pub fn audit_volume(&self, region: &str, free: Option<u64>) {
        let labels = Region { region: region.to_owned() };
        match free {
            Some(free) => {
                self.audit.volume_free.get_or_create(&labels).set(free);
            }
            None => {
                self.audit.volume_free.remove(&labels);
            }
        }
    }

    /// When the store last held the newest entry of a region's audit log as its anchor; `None`: it never did, and nothing is
    /// told.
    pub fn audit_anchored(&self, region: &str, millis: Option<i64>) {
        if let Some(millis) = millis {
            self.audit.anchored.get_or_create(&Region { region: region.to_owned() }).set(seconds(millis));
        }
    }

    /// When the newest loss of a region's audit log was noted; `None`: nothing was lost, or that was told for long enough, and
    /// nothing is told.
    pub fn audit_lost_at(&self, region: &str, millis: Option<i64>) {
        let labels = Region { region: region.to_owned() };
        match millis {
            Some(millis) => {
                self.audit.lost_at.get_or_create(&labels).set(seconds(millis));
            }
            None => {
                self.audit.lost_at.remove(&labels);
            }
        }
    }

    /// How the audit log is.
    pub fn audit(&self, state: AuditState) {
        let audit = &self.audit;
        audit.head.set(state.head);
        audit.queued.set(state.queued);
        audit.segments_waiting.set(state.segments_waiting);
        // Counted by the log itself.
        for (counter, value) in [
            (&audit.waits, state.waits),
            (&audit.refusals, state.refusals),
            (&audit.lost, state.lost),
            (&audit.archive_failures, state.archive_failures),
        ] {
            counter.inner().store(value, Ordering::Relaxed);
        }
    }
}
