//! The open hours of the coming days, for a place rather than a number.

use smallvec::SmallVec;

use crate::law::{Body, Law};
use crate::place::Place;
use crate::time::Instant;

use super::attempt::{Attempt, Postures};
use super::evidence::Evidence;
use super::scene::{InPlay, Scene};
use super::{judge, narrow};

/// From `starts_at` until just before `ends_at`, no rule of hours or holidays stands in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// First open instant.
    pub starts_at: Instant,
    /// First closed instant after it, or the end of the search.
    pub ends_at: Instant,
}

/// Every stretch between `from` and `until` that hours and holidays leave open in these places. Consent, lists and caps
/// are not looked at; `attempt` says which contacts are meant, `evidence` what may lift an hour (a consent to the night).
#[must_use]
pub fn openings(
    places: &[Place],
    attempt: &Attempt,
    evidence: Evidence<'_>,
    law: &Law,
    postures: &Postures,
    from: Instant,
    until: Instant,
) -> Vec<Opening> {
    let scene = Scene {
        attempt,
        evidence,
        law,
        postures,
        area: None,
        now: from,
        recipients: evidence.recipients(postures.stored_facts_only),
        line_types: evidence.line_types(None, &super::lines::Lines::default(), postures.stored_facts_only),
        legal_forms: evidence.legal_forms(),
        form_open: evidence.form_open(postures.stored_facts_only),
        promised: evidence.promised(),
    };
    let plays = clock_rules(&scene, places);
    let mut found: Vec<Opening> = Vec::new();
    let mut at = from;
    while at < until {
        let (mut closed, mut next) = (false, until);
        for play in &plays {
            let word = judge::denies(&scene, play, at);
            closed |= word.holds;
            next = next.min(word.until);
        }
        // A rule's word always reaches past the instant asked about; a millisecond keeps the search moving if not.
        next = next.max(at.plus(crate::time::Millis(1)));
        match found.last_mut() {
            _ if closed => {}
            Some(last) if last.ends_at == at => last.ends_at = next,
            _ => found.push(Opening { starts_at: at, ends_at: next }),
        }
        at = next;
    }
    found
}

fn clock_rules<'a>(scene: &Scene<'a>, places: &'a [Place]) -> SmallVec<[InPlay<'a>; 8]> {
    let mut plays: SmallVec<[InPlay<'a>; 8]> = SmallVec::new();
    let law: &'a Law = scene.law;
    for place in places {
        for index in &law.chain(place.jurisdiction).packs {
            let Some(pack) = law.pack(*index) else { continue };
            for rule in pack.rules_for(scene.attempt.channel, scene.attempt.purpose) {
                if matches!(rule.body, Body::Hours { .. } | Body::Holidays(_) | Body::Inconvenient) {
                    plays.extend(narrow(scene, rule, &place.zones));
                }
            }
        }
    }
    plays
}
