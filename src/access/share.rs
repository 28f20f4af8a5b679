//! What one tenant uses of what all share: places of checks, and room for long requests.
//!
//! Promises: whoever has fewer places than its fair share is told from those who have more, in a few steps and without a
//! lock. Only for tenants that were recognised, so there are as many as the access file names.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What one tenant uses.
#[derive(Debug, Default)]
pub struct Share {
    /// Its checks under way.
    checks: AtomicU32,
    /// Bytes held of its requests: see [`super::arrivals`].
    pub(super) held: AtomicU64,
    pub(super) held_first: AtomicU64,
}

/// How many tenants have checks under way. Whoever has none needs nothing kept: it is below its share once it comes.
#[derive(Debug, Default)]
pub(super) struct Sharers(AtomicU32);

impl Sharers {
    /// A check of this tenant begins: how many it had under way.
    pub fn begins(&self, share: &Share) -> u32 {
        let had = share.checks.fetch_add(1, Ordering::AcqRel);
        if had == 0 {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
        had
    }

    /// One that began has ended.
    pub fn ends(&self, share: &Share) {
        if share.checks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether a tenant that has so many checks under way, and begins one, has fewer places than its fair share of this
    /// limit. Then somebody else has more than theirs where the limit is reached. One that is alone has no share.
    pub fn is_below(&self, had: u32, limit: u32) -> bool {
        is_below(had, limit, self.0.load(Ordering::Acquire))
    }

    /// The same of one whose next check has not begun.
    pub fn would_be_below(&self, share: &Share, limit: u32) -> bool {
        let had = share.checks.load(Ordering::Acquire);
        is_below(had, limit, self.0.load(Ordering::Acquire).saturating_add(u32::from(had == 0)))
    }
}

/// Where there are more tenants than places nobody has a share: else each would get in, and all be slow.
const fn is_below(had: u32, limit: u32, tenants: u32) -> bool {
    tenants > 1 && had < limit / tenants
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::access::{Gate, GateSettings, Lane, Ticket};

    #[test]
    fn a_share_is_of_those_who_have_checks_under_way() {
        let (sharers, one, two) = (Sharers::default(), Share::default(), Share::default());
        assert_eq!((sharers.begins(&one), sharers.begins(&one)), (0, 1));
        assert!(!sharers.is_below(0, 8), "alone");
        assert!(sharers.would_be_below(&two, 8) && !sharers.would_be_below(&one, 8));
        assert_eq!(sharers.begins(&two), 0);
        assert!(sharers.is_below(3, 8) && !sharers.is_below(4, 8) && !sharers.is_below(0, 1));
        sharers.ends(&two);
        assert!(!sharers.is_below(0, 8));
        sharers.ends(&one);
        sharers.ends(&one);
        assert_eq!(sharers.0.load(Ordering::Relaxed), 0);
    }

    /// Tenants at a gate, and what they have under way, the oldest first.
    struct Crowd {
        gate: Arc<Gate>,
        shares: Vec<Arc<Share>>,
        held: VecDeque<(usize, Ticket)>,
    }

    impl Crowd {
        /// Few places: then their limit stays as it is, whatever calls take.
        fn new(places: u32, tenants: usize) -> Self {
            let gate = Arc::new(Gate::new(GateSettings { checks: places, ..GateSettings::default() }));
            Self { gate, shares: (0..tenants).map(|_| Arc::default()).collect(), held: VecDeque::new() }
        }

        fn asks(&mut self, tenant: usize) -> bool {
            let entered = self.gate.enter(Lane::Check, Some(&self.shares[tenant]), None);
            let is_in = entered.is_ok();
            self.held.extend(entered.ok().map(|ticket| (tenant, ticket)));
            is_in
        }

        fn has(&self, tenant: usize) -> usize {
            self.held.iter().filter(|(of, _)| *of == tenant).count()
        }
    }

    proptest! {
        /// One asks ten times as often as the other, and more than is answered: a few in each round, those who wait longest.
        #[test]
        fn whoever_asks_little_is_let_in_beside_one_who_asks_much(
            places in 8_u32..=64,
            rounds in prop::collection::vec(4_usize..=8, 50..200),
        ) {
            let mut crowd = Crowd::new(places, 2);
            let mut greedy_refused = 0;
            for answered in rounds {
                greedy_refused += (0..10).filter(|_| !crowd.asks(0)).count();
                prop_assert!(crowd.asks(1), "{} of {places}", crowd.has(1));
                crowd.held.drain(..answered.min(crowd.held.len()));
                prop_assert!(crowd.held.len() <= places as usize, "what it took past the limit is given back");
            }
            prop_assert!(greedy_refused > 0);
        }

        /// Whatever several do, whoever is below its share gets in, within twice the places; and all end.
        #[test]
        fn whoever_is_below_its_share_gets_in(
            places in 1_u32..=64,
            steps in prop::collection::vec((0_usize..5, 0_u8..4), 1..400),
        ) {
            let mut crowd = Crowd::new(places, 5);
            for (tenant, step) in steps {
                if step == 0 {
                    if let Some(at) = crowd.held.iter().position(|(of, _)| *of == tenant) {
                        crowd.held.remove(at);
                    }
                    continue;
                }
                let (had, all) = (crowd.has(tenant), crowd.held.len());
                let others = (0..5).filter(|other| *other != tenant && crowd.has(*other) > 0).count();
                let below = others > 0 && had < places as usize / (others + 1);
                let may = all < places as usize || (below && all < 2 * places as usize);
                let asked = crowd.gate.refuses(Lane::Check, Some(&crowd.shares[tenant]));
                prop_assert_eq!(asked.is_none(), may);
                prop_assert_eq!(crowd.asks(tenant), may, "{} of {} at {}", had, all, places);
                if below && all >= places as usize {
                    let share = places as usize / (others + 1);
                    prop_assert!((0..5).any(|other| crowd.has(other) >= share), "somebody has theirs");
                }
            }
            crowd.held.clear();
            prop_assert_eq!(crowd.gate.state().lanes[0].1, 0);
        }
    }
}
