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
    /// Nobody knows: a list that must be looked into is missing or stale.
    NotKnown,
    /// Never: the person asked not to be contacted.
    Stopped,
    /// Never, on what is known.
    Never,
}

impl Class {
    /// All, in the order shown.
    pub(super) const ALL: [Self; 7] =
        [Self::Now, Self::LaterToday, Self::Later, Self::NeedsConsent, Self::NotKnown, Self::Stopped, Self::Never];

    /// For machines.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::LaterToday => "laterToday",
            Self::Later => "later",
            Self::NeedsConsent => "needsConsent",
            Self::NotKnown => "notKnown",
            Self::Stopped => "stopped",
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
            Self::NotKnown => "not known: a list is missing or stale",
            Self::Stopped => "stopped: asked not to be contacted",
            Self::Never => "not at all",
        }
    }
}

/// Families that a consent of the person answers.
const ANSWERED: [&str; 2] = ["CONSENT", "REGISTRY"];
/// Families by which the person said no. A consent given later would reopen some of it, but nobody may be asked for one.
const STOPPED: [&str; 2] = ["OPT_OUT", "OBJECTION"];
/// Families that pass by themselves.
const PASSING: [&str; 3] = ["QUIET_HOURS", "HOLIDAY", "CAP"];

/// One reason, as far as it tells when a contact may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Why<'a> {
    /// Its family.
    pub family: &'a str,
    /// It is that no fresh copy of a list is at hand, and not that the number is on it.
    pub no_list: bool,
}

/// The class of a decision made for `at`.
pub(super) fn class<'a>(
    allowed: bool,
    reasons: impl Iterator<Item = Why<'a>> + Clone,
    retry_at: Option<Instant>,
    at: Instant,
    zones: impl Iterator<Item = ZoneId>,
) -> Class {
    if allowed {
        return Class::Now;
    }
    let Some(retry_at) = retry_at else { return by_itself_never(reasons) };
    let mut zones = zones.peekable();
    let known = zones.peek().is_some();
    let today = zones.all(|zone| zone.civil(at).day == zone.civil(retry_at).day);
    if known && today { Class::LaterToday } else { Class::Later }
}

/// The class of what no passing of time allows: what the person said comes first, then what no consent answers; and where a
/// consent is wanting whatever the missing lists would say, that is what is said.
fn by_itself_never<'a>(reasons: impl Iterator<Item = Why<'a>> + Clone) -> Class {
    if reasons.clone().any(|why| STOPPED.contains(&why.family)) {
        return Class::Stopped;
    }
    let mut standing = reasons.filter(|why| !PASSING.contains(&why.family)).peekable();
    if standing.peek().is_none() {
        return Class::Never;
    }
    let mut class = Class::NotKnown;
    for why in standing {
        match ANSWERED.contains(&why.family) {
            false => return Class::Never,
            true if why.no_list => {}
            true => class = Class::NeedsConsent,
        }
    }
    class
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
            let why = [Why { family: "QUIET_HOURS", no_list: false }];
            class(false, why.into_iter(), Some(at(retry_at)), at("2026-11-18T22:00:00Z"), zones.iter().copied())
        };
        assert_eq!(of("2026-11-19T04:00:00Z", &[new_york]), Class::LaterToday);
        assert_eq!(of("2026-11-19T06:00:00Z", &[new_york]), Class::Later);
        assert_eq!(of("2026-11-19T06:00:00Z", &[los_angeles]), Class::LaterToday);
        assert_eq!(of("2026-11-19T06:00:00Z", &[los_angeles, new_york]), Class::Later);
        assert_eq!(of("2026-11-18T23:00:00Z", &[]), Class::Later, "where no clock is known, no day is");
    }

    /// A REGISTRY with a question mark: no fresh copy of it is at hand.
    fn of(families: &[&str]) -> Class {
        let why = families.iter().map(|family| match family.strip_suffix('?') {
            Some(family) => Why { family, no_list: true },
            None => Why { family, no_list: false },
        });
        class(false, why, None, Instant::NEVER, std::iter::empty())
    }

    #[test]
    fn only_what_consent_answers_needs_consent() {
        assert_eq!(of(&["CONSENT"]), Class::NeedsConsent);
        assert_eq!(of(&["REGISTRY", "QUIET_HOURS"]), Class::NeedsConsent);
        assert_eq!(of(&["NUMBER"]), Class::Never);
        assert_eq!(of(&["CONSENT", "BAN"]), Class::Never);
        assert_eq!(of(&["QUIET_HOURS"]), Class::Never, "hours that never open");
        assert_eq!(of(&[]), Class::Never);
        assert_eq!(class(true, std::iter::empty(), None, Instant::NEVER, std::iter::empty()), Class::Now);
    }

    #[test]
    fn what_a_missing_list_would_say_is_not_known() {
        assert_eq!(of(&["REGISTRY?"]), Class::NotKnown);
        assert_eq!(of(&["REGISTRY?", "REGISTRY?", "QUIET_HOURS"]), Class::NotKnown);
        assert_eq!(of(&["REGISTRY?", "REGISTRY"]), Class::NeedsConsent, "it is on another");
        assert_eq!(of(&["CONSENT", "REGISTRY?"]), Class::NeedsConsent, "whatever the list says, a consent is wanting");
        assert_eq!(of(&["REGISTRY?", "BAN"]), Class::Never);
    }

    #[test]
    fn who_said_no_is_not_one_to_ask_for_a_consent() {
        for families in [["OPT_OUT", "CONSENT"], ["OBJECTION", "REGISTRY?"], ["BAN", "OPT_OUT"]] {
            assert_eq!(of(&families), Class::Stopped);
        }
    }
}
