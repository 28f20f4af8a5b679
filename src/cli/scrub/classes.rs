//! When a contact may be made, if ever: what a list is worth to whoever plans calls.

use crate::time::{Instant, ZoneId};

/// When a row may be contacted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Class {
    /// Now.
    Now,
    /// Later on this day, as every place that the person may be in counts days.
    LaterToday,
    /// On another day, by itself.
    Later,
    /// Never, unless the person consents.
    NeedsConsent,
    /// Never, on what is known.
    Never,
}

impl Class {
    /// All, in the order shown.
    pub(super) const ALL: [Self; 5] = [Self::Now, Self::LaterToday, Self::Later, Self::NeedsConsent, Self::Never];

    /// For machines.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::LaterToday => "laterToday",
            Self::Later => "later",
            Self::NeedsConsent => "needsConsent",
            Self::Never => "never",
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::LaterToday => "later today",
            Self::Later => "another day",
            Self::NeedsConsent => "never without consent",
            Self::Never => "not at all",
        }
    }
}

/// Families that a consent of the person answers.
const ANSWERED: [&str; 4] = ["CONSENT", "OPT_OUT", "OBJECTION", "REGISTRY"];
/// Families that pass by themselves.
const PASSING: [&str; 3] = ["QUIET_HOURS", "HOLIDAY", "CAP"];

/// The class of a decision made for `at`.
pub(super) fn class(
    allowed: bool,
    families: &[&str],
    retry_at: Option<Instant>,
    at: Instant,
    zones: impl Iterator<Item = ZoneId>,
) -> Class {
    if allowed {
        return Class::Now;
    }
    let Some(retry_at) = retry_at else {
        let answered = families.iter().any(|family| ANSWERED.contains(family));
        let all = families.iter().all(|family| ANSWERED.contains(family) || PASSING.contains(family));
        return if answered && all { Class::NeedsConsent } else { Class::Never };
    };
    let mut zones = zones.peekable();
    let known = zones.peek().is_some();
    let today = zones.all(|zone| zone.civil(at).day == zone.civil(retry_at).day);
    if known && today { Class::LaterToday } else { Class::Later }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_every_place_the_person_may_be_in() {
        let at = |text: &str| Instant::from_rfc3339(text).unwrap();
        let zone = |name: &str| ZoneId::by_name(name).unwrap();
        let (new_york, los_angeles) = (zone("America/New_York"), zone("America/Los_Angeles"));
        let of = |retry_at: &str, zones: &[ZoneId]| {
            class(false, &["QUIET_HOURS"], Some(at(retry_at)), at("2026-11-18T22:00:00Z"), zones.iter().copied())
        };
        assert_eq!(of("2026-11-19T04:00:00Z", &[new_york]), Class::LaterToday);
        assert_eq!(of("2026-11-19T06:00:00Z", &[new_york]), Class::Later);
        assert_eq!(of("2026-11-19T06:00:00Z", &[los_angeles]), Class::LaterToday);
        assert_eq!(of("2026-11-19T06:00:00Z", &[los_angeles, new_york]), Class::Later);
        assert_eq!(of("2026-11-18T23:00:00Z", &[]), Class::Later, "where no clock is known, no day is");
    }

    #[test]
    fn only_what_consent_answers_needs_consent() {
        let of = |families: &[&str]| class(false, families, None, Instant::NEVER, std::iter::empty());
        assert_eq!(of(&["CONSENT"]), Class::NeedsConsent);
        assert_eq!(of(&["REGISTRY", "QUIET_HOURS"]), Class::NeedsConsent);
        assert_eq!(of(&["NUMBER"]), Class::Never);
        assert_eq!(of(&["CONSENT", "BAN"]), Class::Never);
        assert_eq!(of(&["QUIET_HOURS"]), Class::Never, "hours that never open");
        assert_eq!(class(true, &[], None, Instant::NEVER, std::iter::empty()), Class::Now);
    }
}
