//! What a log counts, for whoever looks after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Keep;
use crate::time::{Instant, Tally};

/// For how long what was lost before a log was opened is told before it is forgotten: whoever watches has seen it by then.
pub(super) const TOLD: Duration = Duration::from_secs(3_600);

/// Counters of a log since it was opened.
#[derive(Debug)]
pub struct Counts {
    waited: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    /// Milliseconds since 1970; [`UNKNOWN`]: nothing was, or all was told for [`TOLD`].
    lost_at: AtomicU64,
    packed: AtomicU64,
    archived: AtomicU64,
    moved: AtomicU64,
    archive_failures: AtomicU64,
    waiting: AtomicU64,
    /// [`UNKNOWN`] until it was looked at.
    free: AtomicU64,
    /// Milliseconds since 1970; [`UNKNOWN`] until there was an anchor.
    anchored: AtomicU64,
    syncs: Tally,
}

/// No volume has so many bytes.
const UNKNOWN: u64 = u64::MAX;

impl Default for Counts {
    fn default() -> Self {
        Self {
            waited: AtomicU64::default(),
            refused: AtomicU64::default(),
            lost: AtomicU64::default(),
            lost_at: AtomicU64::new(UNKNOWN),
            packed: AtomicU64::default(),
            archived: AtomicU64::default(),
            moved: AtomicU64::default(),
            archive_failures: AtomicU64::default(),
            waiting: AtomicU64::default(),
            free: AtomicU64::new(UNKNOWN),
            anchored: AtomicU64::new(UNKNOWN),
            syncs: Tally::default(),
        }
    }
}

/// Counters as they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Answers that waited for the disk although they need not have, had it kept up.
    pub waited: u64,
    /// Entries that were not taken, so that nothing was answered.
    pub refused: u64,
    /// Entries that were taken and never written, because the disk refused them until the log was closed: now, and when it
    /// was closed before, until that was told for [`TOLD`].
    pub lost: u64,
    /// Segments compressed.
    pub packed: u64,
    /// Segments copied to the archive.
    pub archived: u64,
    /// Segments removed here, being in the archive.
    pub moved: u64,
    /// Looks after the archive that failed.
    pub archive_failures: u64,
    /// Closed segments that wait to be compressed or archived, at the last look.
    pub waiting: u64,
}

impl Counts {
    pub(super) fn waited(&self) {
        self.waited.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// These were lost, the newest of them noted at this instant.
    pub(super) fn lost(&self, entries: u64, at: Instant) {
        self.lost.fetch_add(entries, Ordering::Relaxed);
        if entries > 0 {
            self.lost_at.store(u64::try_from(at.millis()).unwrap_or(UNKNOWN), Ordering::Relaxed);
        }
    }

    /// What was lost was told for long enough.
    pub(super) fn lost_told(&self) {
        self.lost_at.store(UNKNOWN, Ordering::Relaxed);
    }

    /// When the newest loss was noted; `None`: nothing was lost, or all was told for [`TOLD`].
    #[must_use]
    pub fn lost_at(&self) -> Option<Instant> {
        instant(&self.lost_at)
    }

    pub(super) fn kept(&self, keep: &Keep, failed: bool) {
        self.packed.fetch_add(keep.packed as u64, Ordering::Relaxed);
        self.archived.fetch_add(keep.archived as u64, Ordering::Relaxed);
        self.moved.fetch_add(keep.moved as u64, Ordering::Relaxed);
        self.archive_failures.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.waiting.store(keep.waiting as u64, Ordering::Relaxed);
    }

    /// `None`: it is not known.
    pub(super) fn free(&self, bytes: Option<u64>) {
        self.free.store(bytes.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Bytes that were free on its volume when that was last looked at ([`super::Log::look_at_volume`]); `None`: it was not,
    /// or could not be.
    #[must_use]
    pub fn volume_free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed)).filter(|bytes| *bytes != UNKNOWN)
    }

    /// At this instant the anchor in the store was that of the newest entry.
    pub(super) fn anchored(&self, at: Instant) {
        self.anchored.store(u64::try_from(at.millis()).unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// When the store was last known to hold the newest entry as the anchor of this log; `None`: never since it was opened.
    #[must_use]
    pub fn anchored_at(&self) -> Option<Instant> {
        instant(&self.anchored)
    }

    /// How long writes with their syncs took.
    #[must_use]
    pub const fn syncs(&self) -> &Tally {
        &self.syncs
    }

    /// The counters now.
    #[must_use]
    pub fn read(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            waited: read(&self.waited),
            refused: read(&self.refused),
            lost: read(&self.lost),
            packed: read(&self.packed),
            archived: read(&self.archived),
            moved: read(&self.moved),
            archive_failures: read(&self.archive_failures),
            waiting: read(&self.waiting),
        }
    }
}

fn instant(millis: &AtomicU64) -> Option<Instant> {
    // What is unknown is beyond any.
    i64::try_from(millis.load(Ordering::Relaxed)).ok().map(Instant::from_millis)
}
