//! In which hours of the coming days a contact may be made.
//!
//! Promises: an hour counts exactly where some instant of it allows, by the same decisions that a check gets, on the
//! evidence of now. Decisions are made at the instants where the answer changes and nowhere else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::check::Asked;
use crate::decision::{Decision, Lists as _, Postures};
use crate::place::lines::area_of;
use crate::place::{self, Location};
use crate::proto::v1;
use crate::time::{Instant, Millis};

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// More changes than any real set of rules shows in two weeks: a guard.
const MOST_STEPS: usize = 2_000;
/// How many kinds of contact are remembered.
const MOST_KNOWN: usize = 100_000;
/// The furthest hour that is looked at: two weeks.
pub const MOST_HOURS: usize = 14 * 24;

/// A bit for each hour, the first lowest.
pub type Hours = Arc<[u64]>;

/// A forecast over many contacts.
pub struct Forecast {
    from: Instant,
    hours: usize,
    known: Mutex<HashMap<String, Hours>>,
}

impl std::fmt::Debug for Forecast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forecast").field("from", &self.from).field("hours", &self.hours).finish_non_exhaustive()
    }
}

impl Forecast {
    /// Of so many hours, from the one that `now` lies in; [`MOST_HOURS`] at most.
    #[must_use]
    pub fn new(now: Instant, hours: usize) -> Self {
        let from = Instant::from_millis(now.millis().div_euclid(HOUR).saturating_mul(HOUR));
        Self { from, hours: hours.min(MOST_HOURS), known: Mutex::default() }
    }

    /// Where the first hour begins.
    #[must_use]
    pub const fn from(&self) -> Instant {
        self.from
    }

    /// How many hours there are.
    #[must_use]
    pub const fn hours(&self) -> usize {
        self.hours
    }

    /// The hours of one contact, of whom this was decided. With a key, those of whoever is alike.
    pub(super) fn of(&self, key: Option<String>, first: &Decision, decide_at: impl Fn(Instant) -> Decision) -> Hours {
        let Some(key) = key else { return self.walk(first, decide_at) };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hours) = known().get(&key) {
            return Arc::clone(hours);
        }
        let hours = self.walk(first, decide_at);
        let mut known = known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(key, Arc::clone(&hours));
        hours
    }

    fn walk(&self, first: &Decision, decide_at: impl Fn(Instant) -> Decision) -> Hours {
        let mut bits = vec![0_u64; self.hours.div_ceil(64)];
        let end = self.from.plus(Millis::hours(i64::try_from(self.hours).unwrap_or(0)));
        let mut at = first.evaluated_at;
        let (mut allows, mut until) = stretch(first);
        for _ in 0..MOST_STEPS {
            if allows {
                self.mark(&mut bits, at, until.unwrap_or(Instant::FAR).min(end));
            }
            // A denial without an end, or an answer beyond the last hour.
            let Some(next) = until.filter(|next| *next < end && *next > at) else { break };
            at = next;
            (allows, until) = stretch(&decide_at(at));
        }
        bits.into()
    }

    /// Marks every hour that has an instant between these.
    fn mark(&self, bits: &mut [u64], at: Instant, until: Instant) {
        let hour = |instant: i64| usize::try_from((instant - self.from.millis()).div_euclid(HOUR)).unwrap_or(0);
        let (first, last) = (hour(at.millis()), hour(until.millis().saturating_sub(1)));
        for hour in first..=last.min(self.hours.saturating_sub(1)) {
            if let Some(word) = bits.get_mut(hour / 64) {
                *word |= 1 << (hour % 64);
            }
        }
    }
}

/// What a decision says, and until when.
fn stretch(decision: &Decision) -> (bool, Option<Instant>) {
    match decision.allows() {
        true => (true, decision.valid_until),
        false => (false, decision.retry_at),
    }
}

/// All that the decisions about a contact of whom nothing is stored are made from: what place the number is of, the
/// attempt, its location, what the lists say of it, the switches, the region that would store it. What is the same for a whole file (law, lists, asserted
/// evidence) is not in it: a forecast is about one file.
pub(super) fn key(
    asked: &Asked<'_>,
    request: &v1::CheckRequest,
    (switches, region): (&str, &str),
    postures: &Postures,
) -> String {
    let attempt = &asked.checked.attempt;
    let location = Location {
        residences: asked.checked.facts.residences.iter().copied().collect(),
        county: attempt.county.clone(),
        postal_code: attempt.postal_code.clone(),
        time_zone: attempt.time_zone,
    };
    let mut key = String::with_capacity(512);
    // Writing to a string cannot fail.
    let _ = match place::resolve(asked.number, &location, postures.location) {
        Ok(resolution) => write!(key, "{resolution:?}"),
        Err(error) => write!(key, "{error:?}"),
    };
    let _ = write!(key, "|{attempt:?}|{:?}|{:?}|{switches}|{region}", request.location, asked.checked.facts);
    for list in asked.lists.lists.iter() {
        if let Some(look) = asked.lists.look_up(&list.id)
            && look.listed != Some(false)
        {
            let _ = write!(key, "|{}{:?}{:?}", list.id, look.listed, look.listed_at);
            if look.listed.is_none() {
                // Reasons name the area.
                let _ = write!(key, "{:?}", area_of(asked.lists.digits));
            }
        }
    }
    key
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::decision;
    use crate::place::NumberError;

    fn at(text: &str) -> Instant {
        Instant::from_rfc3339(text).unwrap()
    }

    fn said(now: Instant, allows: bool, until: Option<&str>) -> Decision {
        let mut decision = decision::unusable(NumberError::TooLong, now);
        let until = until.map(at);
        if allows {
            decision.verdict = decision::Verdict::Allow;
            decision.valid_until = until;
        } else {
            decision.retry_at = until;
        }
        decision
    }

    fn bits(hours: &Hours) -> Vec<usize> {
        (0..hours.len() * 64).filter(|hour| (hours[hour / 64] >> (hour % 64)) & 1 == 1).collect()
    }

    #[test]
    fn an_hour_counts_where_some_instant_of_it_allows() {
        let forecast = Forecast::new(at("2026-11-18T16:20:00Z"), 72);
        assert_eq!(forecast.from(), at("2026-11-18T16:00:00Z"));
        let decide = |now: Instant| match () {
            () if now < at("2026-11-18T18:30:00Z") => said(now, true, Some("2026-11-18T18:30:00Z")),
            () if now < at("2026-11-19T15:59:00Z") => said(now, false, Some("2026-11-19T15:59:00Z")),
            () if now < at("2026-11-19T17:00:00Z") => said(now, true, Some("2026-11-19T17:00:00Z")),
            () => said(now, false, None),
        };
        let first = decide(at("2026-11-18T16:20:00Z"));
        assert_eq!(bits(&forecast.of(None, &first, decide)), [0, 1, 2, 23, 24]);
    }

    #[test]
    fn what_never_changes_fills_all_or_nothing() {
        let now = at("2026-11-18T16:20:00Z");
        let forecast = Forecast::new(now, 100);
        let never = |_| unreachable!("the answer never changes");
        assert_eq!(bits(&forecast.of(None, &said(now, true, None), never)).len(), 100);
        assert!(bits(&forecast.of(None, &said(now, false, None), never)).is_empty());
        assert_eq!(Forecast::new(now, 10_000).hours(), MOST_HOURS);
    }
}
