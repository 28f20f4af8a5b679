//! One question with everything it rests on, as the rules see it.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::contact::{LegalForm, OptOut, PastAttempt, Purpose, Recipient, Scope, Set, Technology};
use crate::law::{Applies, Counts, Declared, Freshness, Law, Rule, Span};
use crate::place::{LineType, Zones};
use crate::time::{Instant, Millis, ZoneId, date_of, day_of};

use super::attempt::{Attempt, Postures};
use super::evidence::{Evidence, Listing};
use super::switches::Freeze;

/// What every rule is judged against.
pub(crate) struct Scene<'a> {
    pub attempt: &'a Attempt,
    pub evidence: Evidence<'a>,
    pub law: &'a Law,
    pub postures: &'a Postures,
    /// The area code, of a number of the North American plan.
    pub area: Option<u16>,
    /// The instant of the question; registries are frozen at it.
    pub now: Instant,
    pub recipients: Set<Recipient>,
    pub line_types: Set<LineType>,
    /// Every form anybody named.
    pub legal_forms: Set<LegalForm>,
    /// Whether any consent promised a frequency.
    pub promised: bool,
    /// Whether the form may be none of them: nobody named one, or only an untrusted word did.
    pub form_open: bool,
}

/// A rule in play: what narrows it to this question, worked out once.
pub(crate) struct InPlay<'a> {
    pub rule: &'a Arc<Rule>,
    /// Every plausible zone of the places whose law it is: of several that show one clock the first.
    pub zones: &'a Zones,
    /// The technologies for which it must let the attempt pass.
    pub technologies: Set<Technology>,
    /// What is known of its registry, where it is about one.
    pub listing: Option<Listing>,
    /// The legal forms that count for its ways out; `None` where the form may be one nobody named.
    pub forms: Option<Set<LegalForm>>,
    /// The states of emergency it is about, where it is about any.
    pub declared: Vec<&'a Arc<Declared>>,
    /// The freeze it stands for, where it is the service's own rule about freezes.
    pub freeze: Option<&'a Arc<Freeze>>,
    /// Since when the person's data are restricted, where it is the service's own rule about that.
    pub restricted: Option<Instant>,
    /// The tenant's own lists that have the number or cannot be read, where it is the service's own rule about those.
    pub own_lists: SmallVec<[Box<str>; 1]>,
}

impl<'a> Scene<'a> {
    /// The technologies for which a rule is about this attempt; empty where it is not.
    pub fn reach(&self, applies: &Applies) -> Set<Technology> {
        fn meets<T: crate::contact::Term>(selector: Set<T>, plausible: Set<T>) -> bool {
            selector.is_empty() || !selector.and(plausible).is_empty()
        }
        let attempt = self.attempt;
        let reached = meets(applies.channels, Set::one(attempt.channel))
            && crate::law::purposes_of(applies.purposes).contains(attempt.purpose)
            && meets(applies.line_types, self.line_types)
            && meets(applies.recipients, self.recipients)
            && (applies.offers.is_empty() || attempt.offer.is_some_and(|offer| applies.offers.contains(offer)))
            // A form nobody named is not the form a rule singles out.
            && (applies.legal_forms.is_empty() || !applies.legal_forms.and(self.legal_forms).is_empty());
        match reached {
            false => Set::EMPTY,
            true if applies.technologies.is_empty() => attempt.technologies,
            true => applies.technologies.and(attempt.technologies),
        }
    }

    /// Whether the tenant's postures leave a rule in force.
    pub fn chosen(&self, rule: &Rule) -> bool {
        rule.posture.as_ref().is_none_or(|name| self.postures.chose(name))
            && !rule.off_posture.as_ref().is_some_and(|name| self.postures.chose(name))
    }

    /// Whether a cap or cool-off counts an attempt. A missing field counts against it.
    pub fn counts(&self, counts: &Counts, past: &PastAttempt) -> bool {
        fn agrees<T: crate::contact::Term>(selector: Set<T>, value: Option<T>) -> bool {
            selector.is_empty() || value.is_none_or(|value| selector.contains(value))
        }
        fn same<T: PartialEq>(wanted: bool, past: Option<&T>, now: Option<&T>) -> bool {
            // A question without a subject may be about any, so attempts on every subject count.
            !wanted || past.zip(now).is_none_or(|(past, now)| past == now)
        }
        agrees(counts.channels, past.channel)
            && agrees(counts.technologies, past.technology)
            && agrees(counts.purposes, past.purpose)
            && !past.outcome.is_some_and(|outcome| counts.except.contains(&outcome))
            && (counts.only.is_empty() || past.outcome.is_none_or(|outcome| counts.only.contains(&outcome)))
            && (!counts.per_seller || past.seller.as_ref().is_none_or(|seller| seller.stops_as(&self.attempt.seller)))
            && same(counts.per_subject, past.subject.as_ref(), self.attempt.subject.as_ref())
            && same(counts.per_campaign, past.campaign.as_ref(), self.attempt.campaign.as_ref())
    }

    /// Whether an opt-out, by its scope alone, is about this attempt.
    pub fn blocks(&self, opt_out: &OptOut) -> bool {
        let (scope, attempt) = (&opt_out.scope, self.attempt);
        if attempt.purpose == Purpose::Emergency || attempt.legally_required {
            return false;
        }
        let channel = scope.channels.is_empty() || scope.channels.contains(attempt.channel);
        let seller = self.names_seller(scope);
        let subject = scope.subjects.is_empty()
            || attempt.subject.as_ref().is_none_or(|subject| scope.subjects.contains(subject));
        let campaign = scope.campaigns.is_empty()
            || attempt.campaign.as_ref().is_none_or(|campaign| scope.campaigns.contains(campaign));
        let purpose = if scope.everything {
            true
        } else if !scope.purposes.is_empty() {
            scope.purposes.contains(attempt.purpose)
        } else if scope.sellers.is_empty() && scope.subjects.is_empty() && scope.campaigns.is_empty() {
            // Only a channel was named: it stops marketing there.
            attempt.purpose == Purpose::Marketing
        } else {
            true
        };
        channel && seller && subject && campaign && purpose
    }

    /// Whether an opt-out of this scope is about the seller of the attempt, in whichever spelling.
    pub fn names_seller(&self, scope: &Scope) -> bool {
        scope.sellers.is_empty() || scope.sellers.iter().any(|seller| seller.stops_as(&self.attempt.seller))
    }

    /// Whether the person may be in one of the counties of a state of emergency. A county that is not told, not told of
    /// that place, not known to its pack, or told by somebody who is not trusted to narrow, may be any.
    pub fn may_be_in_county(&self, state: &Declared) -> bool {
        let (stored, asserted) = (&self.evidence.stored.residences, &self.evidence.asserted.residences);
        let residences = if asserted.is_empty() { stored } else { asserted };
        let there = !residences.is_empty() && residences.iter().all(|residence| *residence == state.jurisdiction);
        let told = self.attempt.county.as_deref().filter(|_| there && !self.postures.stored_facts_only);
        let Some(pack) = self.law.pack_of(state.jurisdiction) else { return true };
        let Some(here) = told.and_then(|name| pack.county(name)) else { return true };
        state.counties.is_empty() || state.counties.iter().any(|name| pack.county(name).is_none_or(|name| name == here))
    }

    /// Whether a dated fact of the past exists at `at`: always in a live check, from its date on otherwise.
    pub fn exists(&self, dated: Option<Instant>) -> Option<Instant> {
        if self.evidence.live { None } else { dated }
    }
}

/// The instant at which something dated from `start` ends: the start of the local day this span after the local day of
/// `start`. Months keep the day of the month, or take the last day of a shorter one.
pub(crate) fn span_end(zone: ZoneId, start: Instant, span: Span) -> Instant {
    let Some(date) = date_of(zone.civil(start).day) else { return Instant::NEVER };
    let span = jiff::Span::new().try_months(span.months).and_then(|s| s.try_days(span.days));
    match span.and_then(|span| date.checked_add(span)) {
        Ok(end) => zone.day_start(day_of(end)),
        // Beyond the calendar: never within reach of a question.
        Err(_) => Instant::FAR,
    }
}

/// The age a copy of a registry may have at `now`: the strictest of the zones.
pub(crate) fn oldest(fresh: &Freshness, zones: &Zones, now: Instant) -> Instant {
    let days: &[u8] = match fresh {
        Freshness::Age(age) => return now.minus(*age),
        Freshness::Month => &[1],
        Freshness::SinceDay(days) => days,
    };
    let since = |zone: &ZoneId| {
        let today = date_of(zone.civil(now).day)?;
        let of_month = |day: &u8| i8::try_from(*day).is_ok_and(|day| day <= today.day());
        let (date, day) = match days.iter().rfind(|day| of_month(day)) {
            Some(day) => (today, *day),
            None => (today.first_of_month().yesterday().ok()?, *days.last()?),
        };
        let date = date.with().day(i8::try_from(day).ok()?).build().ok()?;
        Some(zone.day_start(day_of(date)))
    };
    // Without a zone, or beyond the calendar, no copy is young enough.
    zones.iter().map(|zone| since(zone).unwrap_or(Instant::FAR)).max().unwrap_or(Instant::FAR)
}

/// From when on a copy of a registry is too old; `None` if it never is within the calendar.
pub fn stale_from(fresh: &Freshness, zones: &Zones, as_of: Instant) -> Option<Instant> {
    if let Freshness::Age(age) = fresh {
        return Some(as_of.plus(*age).plus(Millis(1)));
    }
    // A fixed day of the month comes at least every second month.
    let starts = |zone: &ZoneId| {
        let (zone, first) = (*zone, zone.civil(as_of).day);
        (first..first + 70).map(move |day| zone.day_start(day))
    };
    zones.iter().flat_map(starts).filter(|at| *at > as_of && oldest(fresh, zones, *at) > as_of).min()
}

/// When an entry of this date begins to count: the earliest of the zones.
pub(crate) fn entry_counts(after: Option<Span>, zones: &Zones, entered: Instant) -> Instant {
    let Some(after) = after else { return Instant::NEVER };
    zones.iter().map(|zone| span_end(*zone, entered, after)).min().unwrap_or(Instant::NEVER)
}
