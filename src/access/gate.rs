//! How much of the server all together may use: what is under way at once, and what is refused before anything is done.
//!
//! Promises: what is refused is refused at once and told when to ask again; opt-outs, consents and outcomes have shares of
//! their own, which checks cannot use up; a check is refused only while others are under way, and one of a tenant that has
//! less than its fair share of them is not refused for those of tenants that have more. Must never wait.
//!
//! Checks may be under way up to a limit that follows what the server keeps up with: see [`super::follower`].

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Monotonic};

use super::arrivals::{Arrival, Arrivals};
use super::follower::{Follower, Seen};
use super::share::{Share, Sharers};

/// What is asked, by what it is refused after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Checks, and whole bursts of a stream and batches as one each.
    Check,
    /// Opt-outs: refused last.
    OptOut,
    /// Consents, outcomes and other facts.
    Fact,
    /// Everything else that ends by itself.
    Other,
}

impl Lane {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Check, Self::OptOut, Self::Fact, Self::Other];

    /// Its word in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::OptOut => "opt_out",
            Self::Fact => "fact",
            Self::Other => "other",
        }
    }

    /// The most under way at once; of checks, see [`GateSettings`]. They bound memory: a store takes that many in one commit.
    const fn most(self) -> u32 {
        match self {
            Self::Check => u32::MAX,
            Self::OptOut => 4_096,
            Self::Fact => 1_024,
            Self::Other => 256,
        }
    }
}

/// Why something is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// As many are under way as there ever may be.
    Full,
    /// As many are under way as are answered in time.
    Slow,
    /// It would not be answered before its deadline.
    Deadline,
}

impl Why {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Full, Self::Slow, Self::Deadline];

    /// Its word in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Slow => "slow",
            Self::Deadline => "deadline",
        }
    }
}

/// A refusal, and after how long to ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy {
    /// Why.
    pub why: Why,
    /// Which of the [`Busy::WAITS`] it is: they differ, so that those refused together do not come back together.
    pub wait: usize,
}

impl Busy {
    /// How many waits there are.
    pub const WAITS: usize = 16;

    /// After how long to ask again.
    #[must_use]
    pub fn after(wait: usize) -> Duration {
        Duration::from_millis(250 + 16 * u64::try_from(wait % Self::WAITS).unwrap_or(0))
    }
}

/// How much may be under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GateSettings {
    /// Checks under way at once, whatever they take; 0: as many as come. Tenants below their share enter beyond it, up to
    /// twice as many.
    pub checks: u32,
    /// Checks that take longer than this are too many at once, whatever they take at ease.
    pub slow: Duration,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self { checks: 1_024, slow: Duration::from_millis(100) }
    }
}

/// What is looked at together: so long, or longer until this many ended, or until that long.
const WINDOW: Duration = Duration::from_millis(100);
const ENOUGH: u64 = 16;
const LONGEST: Duration = Duration::from_secs(1);

/// What is counted of a lane.
#[derive(Debug, Default)]
struct Count {
    under_way: AtomicU32,
    full: AtomicU64,
    slow: AtomicU64,
    deadline: AtomicU64,
}

impl Count {
    const fn refused(&self, why: Why) -> &AtomicU64 {
        match why {
            Why::Full => &self.full,
            Why::Slow => &self.slow,
            Why::Deadline => &self.deadline,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    began: Monotonic,
    check: Count,
    opt_out: Count,
    fact: Count,
    other: Count,
    sharers: Sharers,
    arrivals: Arrivals,
    /// Checks that may be under way.
    limit: AtomicU32,
    most: u32,
    reached: AtomicBool,
    /// Whether it was in the last window.
    crowded: AtomicBool,
    /// Checks that ended in this window, and what they took together, in microseconds.
    ended: AtomicU64,
    took: AtomicU64,
    /// What they waited before they came here, together.
    waited: AtomicU64,
    /// When to look next, in microseconds since it began.
    look: AtomicU64,
    /// What a check took in the last window, and takes at ease, in microseconds.
    expected: AtomicU64,
    ease: AtomicU64,
    follower: Mutex<(u64, Follower)>,
}

/// How often something was refused, by why.
pub type Refused = [(Why, u64); 3];

/// How much is under way now, and was refused so far.
#[derive(Clone, Debug)]
pub struct GateState {
    /// Of each lane: how many, and the refusals by why.
    pub lanes: Vec<(Lane, u32, Refused)>,
    /// Checks that may be under way.
    pub limit: u32,
    /// What a check took in the last window.
    pub took: Duration,
    /// What a check takes at ease.
    pub ease: Duration,
    /// Requests that are waited for; and the bytes held of all, also of those under way, beyond a mebibyte each.
    pub arriving: (u32, u64),
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(GateSettings::default())
    }
}

impl Gate {
    /// With nothing under way.
    #[must_use]
    pub fn new(settings: GateSettings) -> Self {
        let follower = Follower::new(settings);
        Self {
            began: Monotonic::now(),
            check: Count::default(),
            opt_out: Count::default(),
            fact: Count::default(),
            other: Count::default(),
            sharers: Sharers::default(),
            arrivals: Arrivals::default(),
            limit: AtomicU32::new(follower.limit()),
            most: follower.most,
            reached: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            ended: AtomicU64::new(0),
            took: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            look: AtomicU64::new(micros(WINDOW)),
            expected: AtomicU64::new(0),
            ease: AtomicU64::new(0),
            follower: Mutex::new((0, follower)),
        }
    }

    const fn count(&self, lane: Lane) -> &Count {
        match lane {
            Lane::Check => &self.check,
            Lane::OptOut => &self.opt_out,
            Lane::Fact => &self.fact,
            Lane::Other => &self.other,
        }
    }

    /// Begins a call, which is under way until the ticket is dropped. `share` is that of its tenant, where it has one;
    /// `patience` is for how long its caller waits.
    ///
    /// # Errors
    /// More is under way than is answered in time.
    pub fn enter(
        self: &Arc<Self>,
        lane: Lane,
        share: Option<&Arc<Share>>,
        patience: Option<Duration>,
    ) -> Result<Ticket, Busy> {
        let ticket = self.enter_anyway(lane, share);
        let below = |limit| ticket.share.is_some() && self.sharers.is_below(ticket.had, limit);
        match self.why(lane, ticket.before, below, patience) {
            None => Ok(ticket),
            Some(why) => {
                ticket.refused();
                Err(self.refused(lane, why))
            }
        }
    }

    /// Begins a call that is never refused.
    #[must_use]
    pub fn enter_anyway(self: &Arc<Self>, lane: Lane, share: Option<&Arc<Share>>) -> Ticket {
        let share = share.filter(|_| lane == Lane::Check).map(Arc::clone);
        let had = share.as_ref().map_or(0, |share| self.sharers.begins(share));
        let before = self.count(lane).under_way.fetch_add(1, Ordering::AcqRel);
        let began = Some(Monotonic::now());
        Ticket { gate: Arc::clone(self), lane, share, before, had, began, waited: Duration::ZERO }
    }

    /// The refusal of a call that comes now, where it would be refused; else nothing happens.
    #[must_use]
    pub fn refuses(&self, lane: Lane, share: Option<&Arc<Share>>) -> Option<Busy> {
        let below = |limit| share.is_some_and(|share| self.sharers.would_be_below(share, limit));
        let why = self.why(lane, self.count(lane).under_way.load(Ordering::Acquire), below, None)?;
        Some(self.refused(lane, why))
    }

    /// Why a call is refused before which so many are under way, if it is. `below`: whether its tenant has less than its
    /// share of this limit.
    fn why(&self, lane: Lane, taken: u32, below: impl Fn(u32) -> bool, patience: Option<Duration>) -> Option<Why> {
        if lane != Lane::Check {
            return (taken >= lane.most()).then_some(Why::Full);
        }
        let limit = self.limit.load(Ordering::Relaxed);
        if taken >= limit && !(taken < self.most.saturating_mul(2) && below(limit)) {
            return Some(if taken >= self.most { Why::Full } else { Why::Slow });
        }
        // Whether the deadline can be kept is asked where there is something to wait behind.
        let expected = || Duration::from_micros(self.expected.load(Ordering::Relaxed));
        let late = taken >= limit / 2 && patience.is_some_and(|patience| patience < expected());
        late.then_some(Why::Deadline)
    }

    fn refused(&self, lane: Lane, why: Why) -> Busy {
        if lane == Lane::Check && why != Why::Deadline {
            self.reached.store(true, Ordering::Relaxed);
        }
        self.counted(lane, why)
    }

    fn counted(&self, lane: Lane, why: Why) -> Busy {
        let count = self.count(lane).refused(why).fetch_add(1, Ordering::Relaxed);
        Busy { why, wait: usize::try_from(count % 16).unwrap_or(0) }
    }

    /// A request is waited for that has not arrived whole: it has no place yet.
    #[must_use]
    pub fn arrival(self: &Arc<Self>, lane: Lane, share: Option<&Arc<Share>>) -> Arrival {
        Arrival::new(Arc::clone(self), lane, share.map(Arc::clone))
    }

    pub(super) const fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// There is no room for a request. That says nothing of how many may be under way.
    pub(super) fn has_no_room(&self, lane: Lane) -> Busy {
        self.counted(lane, Why::Full)
    }

    fn left(&self, took: Duration, waited: Duration, now: Duration) {
        // One that hangs says nothing of what the others take.
        self.took.fetch_add(micros(took.min(LONGEST)), Ordering::Relaxed);
        self.waited.fetch_add(micros(waited.min(LONGEST)), Ordering::Relaxed);
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let at = micros(now);
        let look = self.look.load(Ordering::Relaxed);
        if at >= look && (ended >= ENOUGH || at >= look + micros(LONGEST - WINDOW)) {
            self.look(at);
        }
    }

    fn look(&self, at: u64) {
        // Whoever comes second has nothing to do.
        let Ok(mut held) = self.follower.try_lock() else { return };
        let (since, follower) = &mut *held;
        if at < self.look.load(Ordering::Relaxed) {
            return;
        }
        let (ended, took) = (self.ended.swap(0, Ordering::Relaxed), self.took.swap(0, Ordering::Relaxed));
        let waited = self.waited.swap(0, Ordering::Relaxed);
        let reached = self.reached.swap(false, Ordering::Relaxed);
        self.crowded.store(reached, Ordering::Relaxed);
        let passed = at.saturating_sub(*since).max(1);
        *since = at;
        self.look.store(at + micros(WINDOW), Ordering::Relaxed);
        if ended == 0 {
            return;
        }
        let (took, waited) = (took as f64, waited as f64 / ended as f64);
        follower.step(Seen { took: took / ended as f64, waited, under_way: took / passed as f64, ended, reached });
        self.limit.store(follower.limit(), Ordering::Relaxed);
        self.expected.store((took / ended as f64) as u64, Ordering::Relaxed);
        self.ease.store(follower.ease.unwrap_or(0.0) as u64, Ordering::Relaxed);
    }

    /// Whether checks are refused, or were lately.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed) || self.reached.load(Ordering::Relaxed)
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> GateState {
        let lanes = Lane::ALL.into_iter().map(|lane| {
            let count = self.count(lane);
            let refused = Why::ALL.map(|why| (why, count.refused(why).load(Ordering::Relaxed)));
            (lane, count.under_way.load(Ordering::Acquire), refused)
        });
        GateState {
            lanes: lanes.collect(),
            limit: self.limit.load(Ordering::Relaxed),
            took: Duration::from_micros(self.expected.load(Ordering::Relaxed)),
            ease: Duration::from_micros(self.ease.load(Ordering::Relaxed)),
            arriving: self.arrivals.state(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A call under way.
#[derive(Debug)]
pub struct Ticket {
    gate: Arc<Gate>,
    lane: Lane,
    /// That of its tenant, of a check.
    share: Option<Arc<Share>>,
    /// How many were under way before it, and of its tenant.
    before: u32,
    had: u32,
    /// `None`: it was refused, and says nothing of what calls take.
    began: Option<Monotonic>,
    waited: Duration,
}

impl Ticket {
    /// So long it had waited for a processor before it came here.
    #[must_use]
    pub const fn waited(mut self, waited: Duration) -> Self {
        self.waited = waited;
        self
    }

    fn refused(mut self) {
        self.began = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.count(self.lane).under_way.fetch_sub(1, Ordering::AcqRel);
        if let Some(share) = &self.share {
            self.gate.sharers.ends(share);
        }
        if let (Some(began), Lane::Check) = (self.began, self.lane) {
            let now = Monotonic::now();
            let passed = now.saturating_duration_since(self.gate.began);
            self.gate.left(now.saturating_duration_since(began), self.waited, passed);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::follower::FEWEST;
    use super::*;

    #[test]
    fn lanes_have_shares_of_their_own_and_a_refusal_says_when_to_ask_again() {
        let gate = Arc::new(Gate::new(GateSettings { checks: 2, ..GateSettings::default() }));
        let held: Vec<_> = (0..2).map(|_| gate.enter(Lane::Check, None, None).unwrap()).collect();
        let waits: Vec<_> = (0..20).map(|_| gate.enter(Lane::Check, None, None).unwrap_err()).collect();
        assert!(waits.iter().all(|busy| busy.why == Why::Full && Busy::after(busy.wait) >= Duration::from_millis(250)));
        assert_ne!(waits.first(), waits.get(1));
        let others: Vec<_> =
            [Lane::OptOut, Lane::Fact, Lane::Other].map(|lane| gate.enter(lane, None, None).unwrap()).into();
        drop(gate.enter_anyway(Lane::Check, None));
        let state = gate.state();
        let of = |lane: Lane| state.lanes.iter().find(|(of, ..)| *of == lane).unwrap();
        assert_eq!((of(Lane::Check).1, of(Lane::OptOut).1, of(Lane::Check).2.first()), (2, 1, Some(&(Why::Full, 20))));
        drop((held, others));
        assert!(gate.enter(Lane::Check, None, None).is_ok());
        assert!(gate.state().lanes.iter().all(|(_, under_way, _)| *under_way == 0));
    }

    #[test]
    fn what_would_come_too_late_is_not_begun() {
        let gate = Arc::new(Gate::new(GateSettings { checks: 4, ..GateSettings::default() }));
        let _held: Vec<_> = (0..2).map(|_| gate.enter(Lane::Check, None, None).unwrap()).collect();
        gate.expected.store(10_000, Ordering::Relaxed);
        let busy = gate.enter(Lane::Check, None, Some(Duration::from_millis(5))).unwrap_err();
        assert_eq!(busy.why, Why::Deadline);
        assert!(gate.enter(Lane::Check, None, Some(Duration::from_millis(50))).is_ok());
        assert!(gate.enter(Lane::OptOut, None, Some(Duration::from_millis(5))).is_ok());
    }

    #[test]
    fn what_is_waited_for_before_the_gate_lets_fewer_in_and_delays_nobody_behind_it() {
        let gate = Arc::new(Gate::default());
        let mut now = Duration::ZERO;
        let mut window = |waited: Duration, refuses: bool| {
            now += WINDOW;
            gate.reached.store(refuses, Ordering::Relaxed);
            (0..ENOUGH).for_each(|_| gate.left(Duration::from_millis(2), waited, now));
        };
        (0..50).for_each(|_| window(Duration::ZERO, false));
        assert_eq!((gate.state().limit, gate.state().ease.as_millis()), (GateSettings::default().checks, 2));
        (0..10).for_each(|_| window(Duration::from_millis(3), true));
        assert_eq!(gate.state().limit, GateSettings::default().checks, "no longer than three times as at ease");
        window(Duration::from_millis(30), true);
        assert_eq!((gate.state().limit, gate.state().took.as_millis()), (FEWEST, 2));
        (0..100).for_each(|_| window(Duration::ZERO, true));
        assert_eq!(gate.state().limit, GateSettings::default().checks);
    }
}
