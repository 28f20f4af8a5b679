//! What a wrong key costs whoever shows it: time.
//!
//! Promises: each further wrong key from one address waits longer for its answer, to five seconds; nobody can have so many
//! wait that further ones do not, their own or others'; a right key never waits, whoever else guesses from the same address;
//! memory is fixed, however many addresses guess. It is no defence that
//! anything rests on, since a key has 256 random bits: it keeps guessing from costing the server more than the guesser, and
//! makes it stand out in the log.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

/// Addresses remembered at once: [`GROUPS`] times [`IN_GROUP`].
const GROUPS: usize = 1_024;
const IN_GROUP: usize = 4;
/// What the first wrong key waits; each further one twice as long.
const FIRST: Duration = Duration::from_millis(50);
/// Answers that wait at once, of one address and of all: each takes memory meanwhile.
const WAITING_OF_ONE: u32 = 32;
const WAITING: u32 = 1_024;
/// The longest wait.
const MOST: Duration = Duration::from_secs(5);
/// An address from which nothing wrong came for so long is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// Addresses from which wrong keys came.
pub struct Guesses {
    groups: Mutex<Vec<[Option<Guesser>; IN_GROUP]>>,
    hasher: RandomState,
    waiting: Mutex<Answers>,
}

/// How many answers wait.
#[derive(Default)]
struct Answers {
    all: u32,
    of: HashMap<IpAddr, u32>,
}

/// An answer that waits.
#[derive(Debug)]
pub struct Waiting<'a> {
    guesses: &'a Guesses,
    from: IpAddr,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.guesses.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all = waiting.all.saturating_sub(1);
        if let Some(of) = waiting.of.get_mut(&self.from) {
            *of = of.saturating_sub(1);
            if *of == 0 {
                waiting.of.remove(&self.from);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Guesser {
    from: IpAddr,
    wrong: u32,
    last: Monotonic,
}

impl std::fmt::Debug for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guesses")
    }
}

impl Default for Guesses {
    fn default() -> Self {
        // Which addresses share a group is not for a guesser to know.
        Self {
            groups: Mutex::new(vec![[None; IN_GROUP]; GROUPS]),
            hasher: RandomState::new(),
            waiting: Mutex::default(),
        }
    }
}

impl Guesses {
    /// Room for an answer to this address that waits; `None`: so many do already, of its own or of all.
    #[must_use]
    pub fn waits(&self, from: IpAddr) -> Option<Waiting<'_>> {
        let from = network(from);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let of = waiting.of.get(&from).copied().unwrap_or(0);
        if of >= WAITING_OF_ONE || waiting.all >= WAITING {
            return None;
        }
        waiting.all += 1;
        waiting.of.insert(from, of + 1);
        Some(Waiting { guesses: self, from })
    }

    /// A wrong key came from this address: how long its answer is to wait.
    #[must_use]
    pub fn wrong(&self, from: IpAddr, now: Monotonic) -> Duration {
        let from = network(from);
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let at = usize::try_from(self.hasher.hash_one(from) % GROUPS as u64).unwrap_or(0);
        let Some(group) = groups.get_mut(at) else { return MOST };
        let known = group.iter().position(|one| one.is_some_and(|one| one.from == from));
        // In place of the one heard of longest ago, or of none.
        let oldest = || (0..IN_GROUP).min_by_key(|at| group.get(*at).copied().flatten().map(|one| one.last));
        let Some(place) = known.or_else(oldest).and_then(|at| group.get_mut(at)) else { return MOST };
        let before = place.filter(|one| one.from == from && now.saturating_duration_since(one.last) < FORGET);
        let wrong = before.map_or(1, |one| one.wrong.saturating_add(1));
        *place = Some(Guesser { from, wrong, last: now });
        FIRST.saturating_mul(1 << (wrong - 1).min(16)).min(MOST)
    }
}

/// What is one to whoever counts addresses: an address of IPv4, a /64 of IPv6. Whoever has one address of it has all 2^64.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_key_waits_twice_as_long_up_to_a_limit_and_is_forgotten_in_time() {
        let (guesses, now) = (Guesses::default(), Monotonic::now());
        let from: IpAddr = "192.0.2.7".parse().unwrap();
        let waits: Vec<_> = (0..9).map(|_| guesses.wrong(from, now).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(guesses.wrong("192.0.2.8".parse().unwrap(), now), FIRST, "another address");
        assert_eq!(guesses.wrong(from, now + FORGET), FIRST);
    }

    #[test]
    fn a_network_of_ipv6_is_one_guesser_and_a_mapped_address_is_what_it_maps() {
        let (guesses, now) = (Guesses::default(), Monotonic::now());
        let wrong = |text: &str| guesses.wrong(text.parse().unwrap(), now);
        assert_eq!((wrong("2001:db8::1"), wrong("2001:db8::2")), (FIRST, 2 * FIRST));
        assert_eq!((wrong("::ffff:192.0.2.9"), wrong("192.0.2.9")), (FIRST, 2 * FIRST));
    }

    #[test]
    fn one_address_has_few_that_wait_and_those_of_others_wait_all_the_same() {
        let guesses = Guesses::default();
        let of = |n: u32| guesses.waits(IpAddr::V4(n.into()));
        let own: Vec<_> = (0..WAITING_OF_ONE).map(|_| of(1).unwrap()).collect();
        assert!(of(1).is_none() && of(2).is_some());
        let others: Vec<_> = (2..).map_while(of).collect();
        assert_eq!(own.len() + others.len(), 1_024);
        drop(own);
        assert!(of(1).is_some());
        drop(others);
        let waiting = guesses.waiting.lock().unwrap();
        assert!(waiting.all == 0 && waiting.of.is_empty());
    }

    #[test]
    fn memory_is_fixed_however_many_guess() {
        let (guesses, now) = (Guesses::default(), Monotonic::now());
        for n in 0..100_000_u32 {
            let wait = guesses.wrong(IpAddr::V4(n.into()), now);
            assert!(wait <= MOST);
        }
        assert_eq!(guesses.groups.lock().unwrap().len(), GROUPS);
    }
}
