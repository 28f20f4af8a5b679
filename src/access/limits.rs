//! How much of the server one tenant may use.
//!
//! Promises: a tenant that asks more than it may is refused and told when to ask again, and the others are answered; what is
//! under way is counted until its answer has gone, also where the caller goes away. Must never wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant as Monotonic};

use super::Share;

/// What a tenant may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Calls a second; a batch counts as its rows, what is no [`Errand::Usual`] not at all. 0: as many as the server can
    /// answer.
    pub rate: u32,
    /// Calls of each errand under way at once, streams among the usual ones; 0: as many as come.
    pub at_once: u32,
}

impl Limits {
    /// None.
    pub const NONE: Self = Self { rate: 0, at_once: 0 };
}

/// Why a call is not taken now, and after how long to ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exhausted {
    /// Too many calls in this second.
    Rate(Duration),
    /// Too many under way.
    AtOnce,
}

/// What a call is to the limits of its tenant. What tightens is not refused for the checks of the same tenant: it has as
/// many places of its own, and is not charged to the rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errand {
    /// Anything else.
    Usual,
    /// An opt-out, or what is as urgent as one.
    OptOut,
    /// A check in an emergency, by a caller whose word that it is one counts.
    Emergency,
    /// A switch of control.
    Switch,
}

impl Errand {
    /// All.
    pub const ALL: [Self; 4] = [Self::Usual, Self::OptOut, Self::Emergency, Self::Switch];

    /// The word for a refusal of it in metrics and the log; `None`: the limit's own.
    #[must_use]
    pub const fn exhausted(self) -> Option<&'static str> {
        match self {
            Self::Usual => None,
            Self::OptOut => Some("EXHAUSTED_OPT_OUT"),
            Self::Emergency => Some("EXHAUSTED_EMERGENCY"),
            Self::Switch => Some("EXHAUSTED_SWITCH"),
        }
    }
}

/// Calls under way, each errand by itself.
#[derive(Debug, Default)]
struct UnderWay {
    usual: AtomicU32,
    opt_out: AtomicU32,
    emergency: AtomicU32,
    switch: AtomicU32,
}

impl UnderWay {
    const fn of(&self, errand: Errand) -> &AtomicU32 {
        match errand {
            Errand::Usual => &self.usual,
            Errand::OptOut => &self.opt_out,
            Errand::Emergency => &self.emergency,
            Errand::Switch => &self.switch,
        }
    }
}

/// What one tenant uses.
#[derive(Debug)]
pub struct Quota {
    limits: Mutex<Limits>,
    under_way: UnderWay,
    /// What may still be asked now, in millionths of a call, and as of when.
    left: Mutex<Option<(u64, Monotonic)>>,
    /// What it uses of what all tenants share.
    share: Arc<Share>,
}

/// In which tokens are counted: a millionth of a call.
const CALL: u64 = 1_000_000;

/// What is left at an instant, in millionths of a call.
struct Left {
    /// What a second brings.
    most: u64,
    have: u64,
    /// From when on more comes: what is owed for a large one sets the clock forward.
    from: Monotonic,
    owes: Duration,
}

impl Left {
    fn now(left: Option<(u64, Monotonic)>, rate: u64, now: Monotonic) -> Self {
        let most = rate.saturating_mul(CALL);
        let (had, since) = left.unwrap_or((most, now));
        let passed = u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(u64::MAX);
        let have = had.saturating_add(passed.saturating_mul(rate)).min(most);
        Self { most, have, from: since.max(now), owes: since.saturating_duration_since(now) }
    }
}

impl Quota {
    /// Within these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Mutex::new(limits),
            under_way: UnderWay::default(),
            left: Mutex::default(),
            share: Arc::default(),
        }
    }

    fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes so many calls from what may be asked in a second. A second's worth may come at once; what is larger than that
    /// is taken when a whole second's worth is left, and the next wait for it: else a large batch could never be asked.
    ///
    /// # Errors
    /// Too many were asked.
    pub fn charge(&self, calls: u32, now: Monotonic) -> Result<(), Exhausted> {
        let rate = u64::from(self.limits().rate);
        if rate == 0 {
            return Ok(());
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Left { most, have, from, owes } = Left::now(*left, rate, now);
        let need = u64::from(calls).saturating_mul(CALL);
        let (needs, lacks) = (need.min(most), need.min(most).saturating_sub(have));
        if lacks > 0 {
            *left = Some((have, from));
            return Err(Exhausted::Rate(owes.saturating_add(Duration::from_micros(lacks.div_ceil(rate)))));
        }
        let owed = Duration::from_micros((need - needs).div_ceil(rate));
        *left = Some((have - needs, from.checked_add(owed).unwrap_or(from)));
        Ok(())
    }

    /// Takes as many of these calls as something is left for, one at least: for a stream, which asks the others later. What
    /// it leaves to others meanwhile is theirs, so a stream that waits keeps no single call of its tenant waiting.
    ///
    /// # Errors
    /// Nothing is left: after so long ask again. Then there may be enough for all, or for a tenth of a second.
    pub fn charge_some(&self, calls: u32, now: Monotonic) -> Result<u32, Duration> {
        let rate = u64::from(self.limits().rate);
        if rate == 0 {
            return Ok(calls);
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Left { have, from, owes, .. } = Left::now(*left, rate, now);
        let some = calls.min(u32::try_from(have / CALL).unwrap_or(u32::MAX));
        *left = Some((have - u64::from(some) * CALL, from));
        if some > 0 || calls == 0 {
            return Ok(some);
        }
        let lacks = (u64::from(calls).min((rate / 10).max(1)) * CALL).saturating_sub(have);
        Err(owes.saturating_add(Duration::from_micros(lacks.div_ceil(rate))))
    }

    /// Gives back calls that were charged and turned out to be none.
    pub fn refund(&self, calls: u32, now: Monotonic) {
        let rate = u64::from(self.limits().rate);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((had, since)), true) = (left.as_mut(), rate > 0) {
            let back = u64::from(calls).saturating_mul(CALL);
            let owes = u64::try_from(since.saturating_duration_since(now).as_micros()).unwrap_or(u64::MAX);
            let paid = back.min(owes.saturating_mul(rate));
            *since = since.checked_sub(Duration::from_micros(paid / rate)).unwrap_or(*since);
            *had = had.saturating_add(back - paid).min(rate.saturating_mul(CALL));
        }
    }

    /// Begins a call, which is under way until the pass is dropped.
    ///
    /// # Errors
    /// Too many are under way.
    pub fn begin(self: &Arc<Self>, errand: Errand) -> Result<Pass, Exhausted> {
        let most = self.limits().at_once;
        let taken = self.under_way.of(errand).fetch_add(1, Ordering::AcqRel);
        let pass = Pass(Arc::clone(self), errand);
        if most != 0 && taken >= most { Err(Exhausted::AtOnce) } else { Ok(pass) }
    }

    /// What the tenant uses of what all share.
    #[must_use]
    pub const fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Calls under way.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        Errand::ALL.iter().map(|errand| self.under_way.of(*errand).load(Ordering::Acquire)).sum()
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Pass(Arc<Quota>, Errand);

impl Pass {
    /// What it is counted in.
    #[must_use]
    pub const fn quota(&self) -> &Arc<Quota> {
        &self.0
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.under_way.of(self.1).fetch_sub(1, Ordering::AcqRel);
    }
}

/// What every tenant uses.
#[derive(Debug)]
pub struct Quotas {
    usual: Limits,
    of: RwLock<HashMap<Arc<str>, Arc<Quota>>>,
    own: RwLock<HashMap<Arc<str>, Limits>>,
}

impl Quotas {
    /// Each tenant within these limits.
    #[must_use]
    pub fn new(usual: Limits) -> Self {
        Self { usual, of: RwLock::default(), own: RwLock::default() }
    }

    /// Some within limits of their own, from now on; all others within the usual ones.
    pub fn limit(&self, own: HashMap<Arc<str>, Limits>) {
        for (tenant, quota) in self.of.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let limits = own.get(tenant).copied().unwrap_or(self.usual);
            *quota.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
        }
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// What this tenant uses. Only for tenants that were recognised: each is remembered.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Arc<Quota> {
        if let Some(quota) = self.of.read().unwrap_or_else(PoisonError::into_inner).get(tenant) {
            return Arc::clone(quota);
        }
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        let mut of = self.of.write().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Quota::new(own.unwrap_or(self.usual)));
        Arc::clone(of.entry(tenant.into()).or_insert_with(made))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_so_many_calls_and_says_when_the_next_may_come() {
        let (quota, now) = (Quota::new(Limits { rate: 10, at_once: 0 }), Monotonic::now());
        for _ in 0..10 {
            quota.charge(1, now).unwrap();
        }
        let wait = Duration::from_millis(100);
        assert_eq!(quota.charge(1, now), Err(Exhausted::Rate(wait)));
        assert_eq!(quota.charge(1, now + wait), Ok(()));
        assert!(quota.charge(1, now + wait).is_err());
        // A long silence saves up one second, not more.
        let later = now + Duration::from_secs(60);
        assert!((0..10).all(|_| quota.charge(1, later).is_ok()) && quota.charge(1, later).is_err());
    }

    #[test]
    fn a_batch_larger_than_a_second_is_taken_and_owed() {
        let (quota, now) = (Quota::new(Limits { rate: 10, at_once: 0 }), Monotonic::now());
        quota.charge(25, now).unwrap();
        let (owed, first) = (Duration::from_millis(1_500), Duration::from_millis(100));
        assert_eq!(quota.charge(1, now), Err(Exhausted::Rate(owed + first)), "one and a half seconds are owed");
        assert_eq!(quota.charge(1, now + owed), Err(Exhausted::Rate(first)));
        assert!(quota.charge(1, now + Duration::from_millis(1_600)).is_ok());
        assert!(Quota::new(Limits::NONE).charge(u32::MAX, now).is_ok());
    }

    #[test]
    fn a_stream_takes_what_there_is_and_leaves_what_comes_to_others() {
        let (quota, now) = (Quota::new(Limits { rate: 50, at_once: 0 }), Monotonic::now());
        assert_eq!(quota.charge_some(512, now), Ok(50), "a second's worth may come at once");
        // Nothing is owed for what was not taken: a tenth of a second later there is a tenth of a second's worth.
        let tenth = Duration::from_millis(100);
        assert_eq!(quota.charge_some(462, now), Err(tenth));
        assert!(quota.charge(1, now + Duration::from_millis(20)).is_ok(), "a single call in between is answered");
        assert_eq!(quota.charge_some(462, now + tenth), Ok(4));
        assert_eq!(quota.charge_some(2, now + tenth), Err(Duration::from_millis(40)), "few rows wait for few");
        // Behind a batch that owes it waits for that.
        let (quota, second) = (Quota::new(Limits { rate: 10, at_once: 0 }), Duration::from_secs(1));
        quota.charge(20, now).unwrap();
        assert_eq!(quota.charge_some(5, now), Err(second + tenth));
        assert_eq!(quota.charge_some(5, now + second + tenth), Ok(1));
        assert_eq!(quota.charge_some(0, now), Ok(0));
        assert_eq!(Quota::new(Limits::NONE).charge_some(512, now), Ok(512));
    }

    #[test]
    fn what_is_given_back_is_there_again_and_no_more() {
        let (quota, now) = (Quota::new(Limits { rate: 10, at_once: 0 }), Monotonic::now());
        quota.refund(5, now);
        assert_eq!(quota.charge_some(20, now), Ok(10), "nothing was charged, so nothing came back");
        quota.refund(4, now);
        assert_eq!(quota.charge_some(20, now), Ok(4));
        quota.refund(40, now);
        assert_eq!(quota.charge_some(20, now), Ok(10), "a second's worth at most");
        // What is owed is paid first.
        quota.refund(10, now);
        quota.charge(15, now).unwrap();
        quota.refund(5, now);
        let tenth = Duration::from_millis(100);
        assert_eq!(quota.charge(1, now), Err(Exhausted::Rate(tenth)));
        assert!(quota.charge(1, now + tenth).is_ok());
        let free = Quota::new(Limits::NONE);
        free.refund(5, now);
        assert_eq!(free.charge_some(7, now), Ok(7));
    }

    #[test]
    fn what_is_under_way_is_counted_until_it_ends() {
        let quota = Arc::new(Quota::new(Limits { rate: 0, at_once: 2 }));
        let (one, _two) = (quota.begin(Errand::Usual).unwrap(), quota.begin(Errand::Usual).unwrap());
        assert_eq!(quota.begin(Errand::Usual).unwrap_err(), Exhausted::AtOnce);
        assert_eq!(quota.under_way(), 2, "what is refused is not under way");
        for errand in [Errand::OptOut, Errand::Emergency, Errand::Switch] {
            let held = (quota.begin(errand).unwrap(), quota.begin(errand).unwrap());
            assert_eq!(quota.begin(errand).unwrap_err(), Exhausted::AtOnce, "{errand:?}");
            drop(held);
        }
        drop(one);
        assert!(quota.begin(Errand::Usual).is_ok());
    }

    #[test]
    fn tenants_have_each_their_own_and_limits_change_while_serving() {
        let (quotas, now) = (Quotas::new(Limits { rate: 1, at_once: 1 }), Monotonic::now());
        quotas.limit(HashMap::from([("big".into(), Limits { rate: 2, at_once: 2 })]));
        let (big, small) = (quotas.of("big"), quotas.of("small"));
        assert!(small.charge(1, now).is_ok() && small.charge(1, now).is_err());
        assert!(big.charge(1, now).is_ok() && big.charge(1, now).is_ok() && big.charge(1, now).is_err());
        quotas.limit(HashMap::new());
        let _held = big.begin(Errand::Usual).unwrap();
        assert!(quotas.of("big").begin(Errand::Usual).is_err(), "back to the usual");
    }
}
