//! Rules and exemptions that can never say anything, or that say what another one says already.

use super::Found;
use crate::contact::{Set, Term};
use crate::law::{Applies, Band, Body, Exemption, Needs, Pack, Rule, Week, purposes_of};
use crate::time::{Instant, ZoneId};

/// Questions are refused outside 2000 to 2099.
const FIRST_DAY: i32 = 10_957;
const LAST_DAY: i32 = 47_481;

pub(super) fn look(pack: &Pack, found: &mut Found<'_>) {
    for (index, rule) in pack.rules.iter().enumerate() {
        if let Some(why) = never_in_force(rule).map(str::to_owned).or_else(|| never_denies(rule)) {
            found.of(rule, &format!("it can never be reached: {why}"));
        }
        exemptions(rule, found);
        let shadow = pack.rules.iter().enumerate().find(|(other_index, other)| {
            // Of two that are the same in everything, the second one is too many.
            *other_index != index && shadows(other, rule) && (!shadows(rule, other) || *other_index < index)
        });
        if let Some((_, other)) = shadow {
            found.of(rule, &format!("it can never be reached: `{}` says the same of all it is about", other.id));
        }
    }
}

fn never_in_force(rule: &Rule) -> Option<&'static str> {
    let utc = ZoneId::utc();
    // A day of slack for the zones.
    if rule.until < utc.day_start(FIRST_DAY - 1) {
        return Some("it ended before 2000, and no question is about a day before");
    }
    if rule.from > utc.day_start(LAST_DAY + 2) {
        return Some("it begins after 2099, and no question is about a day after");
    }
    if rule.until != Instant::FAR && rule.until <= rule.from {
        return Some("its `effective.until` lies before its `effective.from`");
    }
    (rule.posture.is_some() && rule.posture == rule.off_posture)
        .then_some("the posture that switches it on switches it off too")
}

fn never_denies(rule: &Rule) -> Option<String> {
    let said = |why: &str| Some(why.to_owned());
    match &rule.body {
        Body::Hours { week, dates, .. } => {
            let open = |windows: &[(u16, u16)]| is_whole_day(windows);
            let always = (0..7).all(|day| open(week.day(day))) && dates.iter().all(|dates| open(&dates.windows));
            if always { said("its `windows` are open day and night, so it never denies") } else { None }
        }
        Body::Holidays(calendar) if calendar.dates().next().is_none() => {
            Some(format!("its calendar `{}` holds no date", calendar.name))
        }
        Body::Cap { counts, .. }
            if !counts.only.is_empty() && counts.only.iter().all(|o| counts.except.contains(o)) =>
        {
            said("`only` and `except` leave no outcome to count")
        }
        Body::Minor { under: 0 } => said("nobody is under 0"),
        Body::CrossBorder { bands } => free_band(bands),
        Body::CallerId { allowed, denied } if allowed.is_empty() && denied.is_empty() => None,
        Body::Keywords { stop, help, start, confirm_within: None, stops_everything }
            if [stop, help, start].iter().all(|list| list.is_empty()) && stops_everything.is_empty() =>
        {
            said("it lists no word: fill `stop`, `help` or `start`")
        }
        _ => None,
    }
}

fn is_whole_day(windows: &[(u16, u16)]) -> bool {
    // Windows are in order and disjoint.
    let mut reached = 0;
    for (start, end) in windows {
        if *start != reached {
            return false;
        }
        reached = *end;
    }
    reached == 1440
}

fn free_band(bands: &[Band]) -> Option<String> {
    let mut last = 0;
    for (index, band) in bands.iter().enumerate() {
        match band.below {
            None if index + 1 < bands.len() => {
                return Some(format!("band {} has no ceiling, so the bands after it are never read", index + 1));
            }
            Some(below) if below <= last => {
                return Some(format!("band {} does not lie above the one before it", index + 1));
            }
            below => last = below.unwrap_or(last),
        }
    }
    match bands {
        [only] if only.mechanisms.is_empty() && only.below.is_none() => {
            Some("its only band needs no mechanism, so it never denies".to_owned())
        }
        _ => None,
    }
}

fn exemptions(rule: &Rule, found: &mut Found<'_>) {
    for (index, exemption) in rule.unless.iter().enumerate() {
        let named = if exemption.note.is_empty() {
            format!("number {}", index + 1)
        } else {
            format!("“{}”", exemption.note)
        };
        if always(rule, exemption) {
            found.of(
                rule,
                &format!("the exemption {named} always applies, so the rule is never reached: narrow one of them"),
            );
        } else if let Some(why) = never(rule, exemption) {
            found.of(rule, &format!("the exemption {named} can never apply: {why}"));
        }
        let same = |other: &Exemption| Exemption { note: "".into(), ..other.clone() };
        if rule.unless.iter().take(index).any(|earlier| same(earlier) == same(exemption)) {
            found.of(rule, &format!("the exemption {named} stands there twice: take one out"));
        }
    }
}

/// Whether an exemption holds for everything its rule is about.
fn always(rule: &Rule, exemption: &Exemption) -> bool {
    let conditional = exemption.consent.is_some()
        || exemption.tie.is_some()
        || exemption.related
        || exemption.legally_required
        || exemption.posture.is_some();
    let holds = |own: bool, given: bool, all: bool| !given || (own && all);
    let (applies, x) = (&rule.applies, exemption);
    !conditional
        && holds(true, !x.purposes.is_empty(), purposes_of(applies.purposes).within(x.purposes))
        && holds(!applies.offers.is_empty(), !x.offers.is_empty(), applies.offers.within(x.offers))
        && holds(!applies.legal_forms.is_empty(), !x.legal_forms.is_empty(), applies.legal_forms.within(x.legal_forms))
}

/// Why an exemption holds for nothing that its rule is about.
fn never(rule: &Rule, exemption: &Exemption) -> Option<String> {
    fn apart<T: Term>(one: Set<T>, other: Set<T>) -> bool {
        !one.is_empty() && !other.is_empty() && one.and(other).is_empty()
    }
    let applies = &rule.applies;
    let said = |what: &str| Some(format!("the rule is about other {what}"));
    if apart(exemption.purposes, purposes_of(applies.purposes)) {
        return said("purposes");
    }
    if apart(exemption.offers, applies.offers) {
        return said("offers");
    }
    if apart(exemption.legal_forms, applies.legal_forms) {
        return said("legal forms");
    }
    if exemption.posture.is_some() && exemption.posture == rule.off_posture {
        return Some("its posture switches the rule off before".to_owned());
    }
    match (&rule.body, &exemption.consent) {
        (Body::Consent(needed), Some(given)) if is_as_strong(given, needed) => {
            Some("a consent such as it wants satisfies the rule itself".to_owned())
        }
        _ => None,
    }
}

/// Whether every consent that satisfies one satisfies the other.
fn is_as_strong(given: &Needs, needed: &Needs) -> bool {
    let flag = |given: bool, needed: bool| given || !needed;
    given.grade >= needed.grade
        && needed.flags.within(given.flags)
        && flag(given.technology_named, needed.technology_named)
        && flag(given.evidence, needed.evidence)
        && flag(given.third_party_flagged, needed.third_party_flagged)
        && flag(given.current_policy, needed.current_policy)
        && flag(given.after_listing, needed.after_listing)
        && flag(given.after_reassignment, needed.after_reassignment)
        && flag(given.slot, needed.slot)
        && (needed.max_age.is_none() || (given.max_age, given.unless_dated) == (needed.max_age, needed.unless_dated))
        && (needed.max_unused.is_none() || given.max_unused == needed.max_unused)
        && (needed.given_from.is_none() || given.given_from >= needed.given_from)
}

/// Whether one rule says all that the other says, of all that it is about, whenever it is in force.
fn shadows(one: &Rule, other: &Rule) -> bool {
    covers(&one.applies, &other.applies)
        // Of two versions of one provision the time axis is told, not this.
        && !one.series.replaces.contains(&other.id)
        && one.from <= other.from
        && other.until <= one.until
        && one.posture == other.posture
        && one.off_posture == other.off_posture
        && one.family == other.family
        && one.unless == other.unless
        && same_body(&one.body, &other.body)
        // Two laws that ask for one duty are told as two: a duty denies nothing, so its citation is what it says.
        && (!matches!(one.body, Body::Obligation { .. } | Body::Abandonment) || one.citation == other.citation)
}

fn covers(one: &Applies, other: &Applies) -> bool {
    fn within<T: Term>(other: Set<T>, one: Set<T>) -> bool {
        one.is_empty() || (!other.is_empty() && other.within(one))
    }
    within(other.channels, one.channels)
        && within(other.technologies, one.technologies)
        && purposes_of(other.purposes).within(purposes_of(one.purposes))
        && within(other.line_types, one.line_types)
        && within(other.recipients, one.recipients)
        && within(other.offers, one.offers)
        && within(other.legal_forms, one.legal_forms)
}

fn same_body(one: &Body, other: &Body) -> bool {
    match (one, other) {
        (Body::Hours { week, dates, zone }, Body::Hours { week: w, dates: d, zone: z }) => {
            same_week(week, w) && dates == d && zone == z
        }
        // A calendar is the same when it closes the same days, whatever it is called.
        (Body::Holidays(calendar), Body::Holidays(other)) => calendar.dates().eq(other.dates()),
        // What stays is plain data: its text is the same when it is the same.
        _ => format!("{one:?}") == format!("{other:?}"),
    }
}

fn same_week(one: &Week, other: &Week) -> bool {
    (0..7).all(|day| one.day(day) == other.day(day))
}
