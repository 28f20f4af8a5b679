//! How many checks may be under way: as many as store, log and processors keep up with. By Little's law so many calls under
//! way as there are take that long; so once a window of calls took much longer than calls take at ease, the limit is set to
//! what would take only that. While those under way are fast it grows, and faster where calls are refused. What calls take at
//! ease is measured, since a fast disk and a slow one, dry runs and reservations differ by a hundred times. What a call waited
//! before it came to the gate counts as well: where processors are what lacks, all that came waits for them there, however few
//! are under way.
//!
//! Promises: never fewer than [`FEWEST`], nor more than there ever may be. Reads no clock.

use super::GateSettings;

/// Checks that may be under way at once however slow they are: a store commits many together, or none fast.
pub(super) const FEWEST: u32 = 32;
/// Checks under way that are no crowd yet: what they take is what a check takes at ease.
const FEW: f64 = 96.0;
/// How much longer than at ease checks may take.
const LONGER: f64 = 3.0;
/// Checks are never too slow within this, in microseconds: nobody notices, and at ease they take anything below.
const NOTICED: f64 = 4_000.0;

/// What ended within a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// What a call took on average from the gate on, in microseconds.
    pub took: f64,
    /// What it had waited before, on average.
    pub waited: f64,
    /// How many were under way on average.
    pub under_way: f64,
    /// How many ended.
    pub ended: u64,
    /// Whether the limit was reached.
    pub reached: bool,
}

/// Follows what the server keeps up with.
#[derive(Debug)]
pub(super) struct Follower {
    pub most: u32,
    slow: f64,
    limit: f64,
    /// What a call takes at ease, in microseconds.
    pub ease: Option<f64>,
}

impl Follower {
    pub fn new(settings: GateSettings) -> Self {
        let most = if settings.checks == 0 { u32::MAX } else { settings.checks };
        Self { most, slow: settings.slow.as_secs_f64() * 1e6, limit: f64::from(most), ease: None }
    }

    /// What calls may take.
    fn allowed(&self) -> f64 {
        self.ease.map_or(self.slow, |ease| (ease * LONGER).max(NOTICED).min(self.slow))
    }

    /// Checks that may be under way.
    pub fn limit(&self) -> u32 {
        // Between two numbers of 32 bits.
        self.limit as u32
    }

    /// Follows a window.
    pub fn step(&mut self, seen: Seen) {
        let (fewest, all) = (f64::from(FEWEST.min(self.most)), seen.took + seen.waited);
        if !seen.reached && seen.under_way <= FEW.min(self.limit / 3.0) {
            // A few calls say less of what they all take.
            let weight = (seen.ended as f64 / 128.0).min(0.125);
            let ease = self.ease.unwrap_or(all);
            self.ease = Some(ease + (all - ease) * weight);
        }
        let allowed = self.allowed();
        if self.most == u32::MAX {
            return;
        }
        if all > allowed {
            if self.limit <= fewest {
                // So few are no crowd: this is what a call takes now. Else a disk that became slow for good would leave the
                // server at its least for ever. What waits before the gate is a crowd.
                let took = seen.took.min(self.slow);
                self.ease = self.ease.map(|ease| ease + (took - ease).max(0.0) / 2.0);
            }
            let under_way = seen.under_way.min(self.limit).max(fewest);
            self.limit = (under_way * (allowed / all).max(0.5)).max(fewest);
        } else {
            // What was not tried out is only forgotten slowly: the disk that stopped for a moment goes on.
            let more = if seen.reached { 1.1 } else { 1.02 };
            self.limit = (self.limit * more).min(f64::from(self.most));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A server: what a call takes where so many are under way, in microseconds.
    type Server = fn(f64) -> f64;

    /// A store that commits what waits together: a sync of one millisecond, and 50 microseconds a write; each waits for the
    /// commit under way and for its own.
    fn disk(under_way: f64) -> f64 {
        2.0 * (1_000.0 + 50.0 * (under_way / 2.0).max(1.0))
    }

    /// A disk ten times slower.
    fn slow_disk(under_way: f64) -> f64 {
        2.0 * (10_000.0 + 50.0 * (under_way / 2.0).max(1.0))
    }

    /// One processor, 40 microseconds a call.
    fn processor(under_way: f64) -> f64 {
        (40.0 * under_way).max(120.0)
    }

    fn rate(server: Server, under_way: f64) -> f64 {
        under_way / server(under_way)
    }

    /// Offers so many calls a microsecond for so many windows; what a call took in the end, and how many were answered.
    fn offer(follower: &mut Follower, server: Server, offered: f64, windows: usize) -> (f64, f64) {
        let mut last = (0.0, 0.0);
        for _ in 0..windows {
            let limit = f64::from(follower.limit());
            // So many are under way as are needed to answer what comes, or as may be.
            let mut under_way = 1.0;
            while under_way < limit && rate(server, under_way) < offered {
                under_way += 1.0;
            }
            let (took, answered) = (server(under_way), rate(server, under_way).min(offered));
            let ended = (answered * 1e5) as u64;
            follower.step(Seen { took, waited: 0.0, under_way, ended, reached: answered < offered });
            last = (took, answered);
        }
        last
    }

    #[test]
    fn three_times_the_capacity_is_answered_as_fast_as_it_goes_and_not_much_later() {
        for (name, server) in
            [("disk", disk as Server), ("slow disk", slow_disk as Server), ("processor", processor as Server)]
        {
            let peak = rate(server, 1_024.0);
            let mut follower = Follower::new(GateSettings { slow: Duration::from_secs(1), ..GateSettings::default() });
            let (at_ease, _) = offer(&mut follower, server, 0.7 * peak, 100);
            let (took, answered) = offer(&mut follower, server, 3.0 * peak, 100);
            let allowed = (3.0 * at_ease).max(NOTICED);
            assert!(answered > 0.8 * peak, "{name}: {answered} of {peak}");
            assert!(took < 1.5 * allowed, "{name}: {took} after {at_ease}");
        }
    }

    #[test]
    fn what_is_slow_for_good_is_not_refused_for_ever() {
        let mut follower = Follower::new(GateSettings { slow: Duration::from_secs(1), ..GateSettings::default() });
        offer(&mut follower, disk, 0.5 * rate(disk, 512.0), 100);
        let peak = rate(slow_disk, 1_024.0);
        let (_, answered) = offer(&mut follower, slow_disk, 3.0 * peak, 300);
        assert!(answered > 0.6 * peak, "{answered} of {peak}: {follower:?}");
        // And what is fast again is fast again.
        let (took, answered) = offer(&mut follower, disk, 0.5 * rate(disk, 512.0), 100);
        assert!(answered >= 0.5 * rate(disk, 512.0) && took < 6_000.0, "{took}");
    }

    #[test]
    fn no_more_than_may_ever_be_is_let_in_and_few_calls_change_little() {
        let mut follower = Follower::new(GateSettings::default());
        offer(&mut follower, disk, 0.001, 50);
        assert_eq!(follower.limit(), GateSettings::default().checks);
        let ease = follower.ease.unwrap();
        follower.step(Seen { took: 90_000.0, waited: 0.0, under_way: 0.1, ended: 1, reached: false });
        assert!(follower.ease.unwrap() < 2.0 * ease);
        assert_eq!(Follower::new(GateSettings { checks: 8, ..GateSettings::default() }).limit(), 8);
        let mut free = Follower::new(GateSettings { checks: 0, ..GateSettings::default() });
        free.step(Seen { took: 9e6, waited: 0.0, under_way: 5_000.0, ended: 100, reached: false });
        assert_eq!(free.limit(), u32::MAX, "no limit is none");
    }
}
