//! `retry_at` and `valid_until`: the next instant at which the answer changes.
//!
//! Every rule says until when its word stands. A denial stands until the last of the rules that deny now has changed its
//! word; an allowance until the first rule that allows now has. Only rules whose word has run out are asked again, so the
//! search visits instants at which something changes and no other, and is exact to the millisecond.

use crate::time::{Instant, Millis};

use super::judge;
use super::scene::{InPlay, Scene};
use super::stretch::Stretch;

/// How far ahead is looked.
pub(crate) const HORIZON: Millis = Millis::days(400);
/// More changes than any real set of rules shows in 400 days: a guard, not a limit anyone should meet.
const MOST_STEPS: usize = 200_000;

/// The first instant from `now` on, within the horizon, at which none of the rules denies. `words` is what each rule
/// says at `now`.
pub(crate) fn first_allowed(
    scene: &Scene<'_>,
    plays: &[InPlay<'_>],
    words: &[Stretch],
    now: Instant,
) -> Option<Instant> {
    let mut words: smallvec::SmallVec<[Stretch; 24]> = words.into();
    let mut at = now;
    for _ in 0..MOST_STEPS {
        let Some(next) = words.iter().filter(|word| word.holds).map(|word| word.until).max() else {
            return Some(at);
        };
        if next > now.plus(HORIZON) || next <= at {
            return None;
        }
        at = next;
        ask_again(scene, plays, &mut words, at);
    }
    None
}

/// The first instant after `now`, within the horizon, at which some rule denies.
pub(crate) fn first_denied(
    scene: &Scene<'_>,
    plays: &[InPlay<'_>],
    words: &[Stretch],
    now: Instant,
) -> Option<Instant> {
    let mut words: smallvec::SmallVec<[Stretch; 24]> = words.into();
    let mut at = now;
    for _ in 0..MOST_STEPS {
        let next = words.iter().map(|word| word.until).min()?;
        if next > now.plus(HORIZON) {
            return None;
        }
        // A word that has run out without being renewed cannot be built on: nothing is promised beyond it.
        if next <= at {
            return Some(at);
        }
        at = next;
        ask_again(scene, plays, &mut words, at);
        if words.iter().any(|word| word.holds) {
            return Some(at);
        }
    }
    Some(at)
}

fn ask_again(scene: &Scene<'_>, plays: &[InPlay<'_>], words: &mut [Stretch], at: Instant) {
    for (play, word) in plays.iter().zip(words) {
        if word.until <= at {
            *word = judge::denies(scene, play, at);
        }
    }
}
