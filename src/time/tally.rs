//! How long something took, counted by powers of two.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many sizes are told apart; each holds twice as long as the one before, the last whatever is longer.
pub const SIZES: usize = 22;
/// The first holds what took at most so many microseconds, as a power of two.
const FIRST: usize = 2;

/// Counts what took so long, without a lock: two additions a time.
#[derive(Debug, Default)]
pub struct Tally {
    counts: [AtomicU64; SIZES],
    nanos: AtomicU64,
}

impl Tally {
    /// Something took so long.
    pub fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let micros = nanos.div_ceil(1_000).max(1);
        let bits = usize::try_from(64 - (micros - 1).leading_zeros()).unwrap_or(SIZES);
        let size = bits.saturating_sub(FIRST).min(SIZES - 1);
        if let Some(count) = self.counts.get(size) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// How often each size came; what it holds at most, in seconds, infinite for the last.
    #[must_use]
    pub fn counts(&self) -> [(f64, u64); SIZES] {
        let mut counts = [(f64::INFINITY, 0); SIZES];
        let mut most = f64::from(1u32 << FIRST) / 1e6;
        for (count, told) in self.counts.iter().zip(&mut counts) {
            *told = (most, count.load(Ordering::Relaxed));
            most *= 2.0;
        }
        if let Some(last) = counts.last_mut() {
            last.0 = f64::INFINITY;
        }
        counts
    }

    /// All of it together, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "seconds need no 53 bits of nanoseconds")]
        let nanos = self.nanos.load(Ordering::Relaxed) as f64;
        nanos / 1e9
    }

    /// Becomes all of these together: they only grow, and so does it.
    pub fn become_all<'a>(&self, all: impl Iterator<Item = &'a Self>) {
        let (mut counts, mut nanos) = ([0u64; SIZES], 0u64);
        for one in all {
            for (sum, count) in counts.iter_mut().zip(&one.counts) {
                *sum += count.load(Ordering::Relaxed);
            }
            nanos = nanos.wrapping_add(one.nanos.load(Ordering::Relaxed));
        }
        for (count, sum) in self.counts.iter().zip(counts) {
            count.store(sum, Ordering::Relaxed);
        }
        self.nanos.store(nanos, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_falls_into_the_size_that_holds_it() {
        for (nanos, most) in [(0, 4e-6), (4_000, 4e-6), (4_001, 8e-6), (1_000_000, 1.024e-3), (1_025_000, 2.048e-3)] {
            let tally = Tally::default();
            tally.add(Duration::from_nanos(nanos));
            let found = tally.counts().into_iter().find(|(_, count)| *count == 1).map(|(most, _)| most);
            assert!(found.is_some_and(|found| (found - most).abs() < 1e-9), "{nanos}: {found:?}");
        }
        let tally = Tally::default();
        tally.add(Duration::from_secs(60));
        tally.add(Duration::MAX);
        assert_eq!(tally.counts().last(), Some(&(f64::INFINITY, 2)));
    }

    #[test]
    fn several_are_told_as_one() {
        let (one, other, all) = (Tally::default(), Tally::default(), Tally::default());
        one.add(Duration::from_millis(1));
        other.add(Duration::from_millis(2));
        for _ in 0..2 {
            all.become_all([&one, &other].into_iter());
        }
        assert_eq!(all.counts().iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert!((all.seconds() - 0.003).abs() < 1e-9);
    }
}
