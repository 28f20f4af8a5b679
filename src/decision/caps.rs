//! CAP: how many attempts lie in a window, and when a slot frees; cool-offs after a conversation or refusal.

use smallvec::SmallVec;

use crate::contact::{Outcome, PastAttempt, Period};
use crate::law::{Counts, Trigger, Window};
use crate::place::Zones;
use crate::time::{Instant, Millis, ZoneId, date_of, day_of};

use super::scene::Scene;
use super::stretch::Stretch;

/// Whether as many attempts as the limit lie in any of the windows at `at`.
pub(crate) fn used_up(
    scene: &Scene<'_>,
    limit: u32,
    windows: &[Window],
    counts: &Counts,
    zones: &Zones,
    at: Instant,
) -> Stretch {
    let counted: SmallVec<[&PastAttempt; 8]> =
        scene.evidence.attempts().filter(|past| scene.counts(counts, past)).collect();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if counted.len() < limit {
        return Stretch::always(false);
    }
    let mut full = Stretch::always(false);
    for window in windows {
        match window {
            Window::Rolling(span) => {
                full = full.or(filled(scene, limit, &counted, at, |past| past.latest.plus(*span)));
            }
            Window::Days(days) => {
                for zone in zones {
                    let leaves = |past: &PastAttempt| zone.day_start(zone.civil(past.latest).day.saturating_add(*days));
                    full = full.or(filled(scene, limit, &counted, at, leaves));
                }
            }
            Window::Calendar(period) => {
                for zone in zones {
                    full = full.or(filled(scene, limit, &counted, at, |past| period_end(*zone, *period, past.latest)));
                }
            }
        }
    }
    full
}

/// Whether `limit` of the attempts have been made at `at` and not yet left the window.
fn filled(
    scene: &Scene<'_>,
    limit: usize,
    counted: &[&PastAttempt],
    at: Instant,
    leaves: impl Fn(&PastAttempt) -> Instant,
) -> Stretch {
    let mut leaving: SmallVec<[Instant; 8]> = SmallVec::new();
    let mut entering = Instant::FAR;
    for past in counted {
        match scene.exists(Some(past.earliest)) {
            Some(made) if made > at => entering = entering.min(made),
            _ => leaving.push(leaves(past)),
        }
    }
    leaving.retain(|leaves| *leaves > at);
    if leaving.len() < limit {
        return Stretch::new(false, entering);
    }
    leaving.sort_unstable();
    // The window is full until so many have left that one slot is free; with a limit of nothing it never frees.
    Stretch::new(true, leaving.get(leaving.len() - limit).copied().unwrap_or(Instant::FAR))
}

/// The first instant after the local week or month that holds `at`.
fn period_end(zone: ZoneId, period: Period, at: Instant) -> Instant {
    let civil = zone.civil(at);
    match period {
        Period::Day => zone.day_start(civil.day.saturating_add(1)),
        Period::Week => zone.day_start(civil.day.saturating_add(7 - i32::from(civil.weekday()))),
        Period::Month => date_of(civil.day)
            .and_then(|date| date.last_of_month().tomorrow().ok())
            .map_or(Instant::FAR, |first| zone.day_start(day_of(first))),
    }
}

/// Whether a cool-off runs at `at`: from its trigger until the start of the local day so many days after.
///
/// Only a known conversation or refusal starts one. An attempt whose outcome was not reported counts in every cap, and
/// the decision warns where it may hide a trigger.
pub(crate) fn cooling(
    scene: &Scene<'_>,
    after: Trigger,
    days: Option<i32>,
    counts: &Counts,
    zones: &Zones,
    at: Instant,
) -> Stretch {
    let mut cooling = Stretch::always(false);
    let mut trigger = |when: Instant| {
        let begun = scene.exists(Some(when)).map_or(Stretch::always(true), |from| Stretch::since(from, at));
        for zone in zones {
            let ends = days.map_or(Instant::FAR, |days| zone.day_start(zone.civil(when).day.saturating_add(days)));
            cooling = cooling.or(begun.and(Stretch::before(ends, at)));
        }
    };
    let wanted = match after {
        Trigger::Conversation => Outcome::Conversation,
        Trigger::Refusal => Outcome::Refused,
    };
    for past in scene.evidence.attempts().filter(|past| scene.counts(counts, past)) {
        // A refusal is a conversation too.
        let hit =
            past.outcome == Some(wanted) || after == Trigger::Conversation && past.outcome == Some(Outcome::Refused);
        if hit {
            trigger(past.ended_at.map_or(past.latest, |ended| ended.max(past.latest)));
        }
    }
    if after == Trigger::Conversation {
        scene.evidence.last_conversations().for_each(trigger);
    }
    cooling
}

/// Whether an attempt without a reported outcome lies so near that it may have started a cool-off.
pub(crate) fn may_hide_trigger(scene: &Scene<'_>, days: i32, counts: &Counts, at: Instant) -> bool {
    let near = Millis::days(i64::from(days));
    let silent = |past: &PastAttempt| past.outcome.is_none() && past.latest.plus(near) > at;
    scene.evidence.attempts().any(|past| silent(past) && scene.counts(counts, past))
}
