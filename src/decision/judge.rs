//! One rule, one instant: does it deny, and until when is that so.

use smallvec::SmallVec;

use crate::contact::{Age, Grade, InconvenientTime, Relationship, Technology};
use crate::law::{Band, Body, Exemption, Tie};
use crate::place::Zones;
use crate::time::{Instant, date_of, day_of};

use super::consent::{self, Promise};
use super::evidence::Listing;
use super::scene::{InPlay, Scene, span_end};
use super::stretch::Stretch;
use super::{caps, hours};

/// Whether the rule denies at `at`: in force, saying no to some technology, with no way out for it.
pub(crate) fn denies(scene: &Scene<'_>, play: &InPlay<'_>, at: Instant) -> Stretch {
    denies_if(scene, play, Promise::Kept, &|_| true, at)
}

/// [`denies`], with a say in which exemptions are honoured and whether promised frequencies bind.
pub(crate) fn denies_if(
    scene: &Scene<'_>,
    play: &InPlay<'_>,
    promise: Promise,
    honoured: &dyn Fn(&Exemption) -> bool,
    at: Instant,
) -> Stretch {
    let rule = play.rule;
    if at < rule.from {
        return Stretch::new(false, rule.from);
    }
    if at >= rule.until {
        return Stretch::always(false);
    }
    let mut denied = Stretch::always(false);
    for technology in play.technologies.iter() {
        let mut says = says_no(scene, play, technology, promise, at);
        if says.holds {
            for exemption in rule.unless.iter().filter(|exemption| honoured(exemption)) {
                says = says.and(exempts(scene, play, exemption, technology, promise, at).not());
            }
        }
        denied = denied.or(says);
        if denied.holds && denied.until == Instant::FAR {
            break;
        }
    }
    denied.no_later_than(rule.until)
}

/// Whether a rule that asks for something rather than denying is in force, and not lifted for every technology.
pub(crate) fn asks(scene: &Scene<'_>, play: &InPlay<'_>, at: Instant) -> bool {
    let rule = play.rule;
    let lifted = |technology| {
        rule.unless.iter().any(|exemption| exempts(scene, play, exemption, technology, Promise::Kept, at).holds)
    };
    rule.from <= at && at < rule.until && play.technologies.iter().any(|technology| !lifted(technology))
}

/// What the rule says of one technology, its exemptions aside.
fn says_no(scene: &Scene<'_>, play: &InPlay<'_>, technology: Technology, promise: Promise, at: Instant) -> Stretch {
    let zones = &play.zones;
    if let Some(freeze) = play.freeze {
        return freeze.holds(scene.evidence.live, at);
    }
    if let Some(since) = play.restricted {
        return scene.exists(Some(since)).map_or(Stretch::always(true), |from| Stretch::since(from, at));
    }
    match &play.rule.body {
        Body::Hours { week, dates, zone: Some(zone) } => hours::closed(week, dates, &[*zone], at),
        Body::Hours { week, dates, zone: None } => hours::closed(week, dates, zones, at),
        Body::Inconvenient => {
            let times: SmallVec<[InconvenientTime; 4]> = scene.evidence.inconvenient_times().collect();
            if times.is_empty() { Stretch::always(false) } else { hours::inconvenient(&times, zones, at) }
        }
        Body::Holidays(calendar) => hours::on_holiday(calendar, zones, at),
        Body::Consent(needs) => consent::any(scene, play, needs, technology, promise, at).not(),
        Body::OptOut { whatever_scope_since } => consent::opted_out(scene, *whatever_scope_since, technology, at),
        Body::Registry { .. } => match play.listing {
            Some(Listing::Clear { .. }) => Stretch::always(false),
            Some(Listing::Listed { bites_at: Some(bites_at), .. }) => Stretch::since(bites_at, at),
            _ => Stretch::always(true),
        },
        Body::Cap { limit, windows, counts } => caps::used_up(scene, *limit, windows, counts, zones, at),
        Body::CoolOff { after, resumes_after_days, counts } => {
            caps::cooling(scene, *after, *resumes_after_days, counts, zones, at)
        }
        Body::Ban => Stretch::always(true),
        Body::Emergency => emergency(scene, play, at),
        Body::Minor { under } => too_young(scene, *under, zones, at),
        Body::Reassigned => {
            let (given_up, until) = scene.evidence.given_up(scene.postures.stored_facts_only, at);
            Stretch::new(given_up.is_some(), until)
        }
        Body::CrossBorder { bands } => Stretch::always(leaves(scene, play) && !carried(scene, bands)),
        Body::CallerId { allowed, denied } => Stretch::always(shows_wrong(scene, allowed, denied)),
        Body::Abandonment | Body::Retention { .. } | Body::Obligation { .. } | Body::Keywords { .. } => {
            Stretch::always(false)
        }
    }
}

/// Whether an exemption lifts the rule for one technology: all its conditions at once.
fn exempts(
    scene: &Scene<'_>,
    play: &InPlay<'_>,
    exemption: &Exemption,
    technology: Technology,
    promise: Promise,
    at: Instant,
) -> Stretch {
    let attempt = scene.attempt;
    let fits = (exemption.offers.is_empty() || attempt.offer.is_some_and(|offer| exemption.offers.contains(offer)))
        && (exemption.legal_forms.is_empty() || play.forms.is_some_and(|forms| forms.within(exemption.legal_forms)))
        && (exemption.purposes.is_empty() || exemption.purposes.contains(attempt.purpose))
        && (!exemption.legally_required || attempt.legally_required)
        && exemption.posture.as_ref().is_none_or(|name| scene.postures.chose(name))
        && (!scene.postures.verified_only || exemption.confidence.is_firm());
    if !fits {
        return Stretch::always(false);
    }
    let soft = exemption.consent.as_ref().is_some_and(|needs| needs.grade == Grade::SoftOptIn);
    if soft && said_unrelated(scene) {
        return Stretch::always(false);
    }
    let mut lifts = Stretch::always(true);
    if exemption.tie.is_some() || exemption.related {
        lifts = lifts.and(tied(scene, exemption, play.zones, at));
    }
    if let Some(needs) = &exemption.consent {
        lifts = lifts.and(consent::any(scene, play, needs, technology, promise, at));
    }
    lifts
}

/// Whether the offer is said to have nothing to do with the relationship: a soft opt-in is for own similar goods
/// (Directive 2002/58 art. 13(2)).
fn said_unrelated(scene: &Scene<'_>) -> bool {
    let relationship = scene.evidence.relationship(&scene.attempt.seller, scene.postures.stored_facts_only);
    relationship.is_some_and(|relationship| relationship.offer_related == Some(false))
}

/// Whether the relationship is what an exemption asks for. What is unknown is not.
fn tied(scene: &Scene<'_>, exemption: &Exemption, zones: &Zones, at: Instant) -> Stretch {
    let Some(relationship) = scene.evidence.relationship(&scene.attempt.seller, scene.postures.stored_facts_only)
    else {
        return Stretch::always(false);
    };
    if exemption.related && relationship.offer_related != Some(true) {
        return Stretch::always(false);
    }
    let Relationship { last_purchase_at, last_inquiry_at, last_donation_at, contract_ended_at, .. } = *relationship;
    // Dealings with whoever had the number before are none with whoever has it now.
    let (given_up, until) = scene.evidence.given_up(scene.postures.stored_facts_only, at);
    let undated = Stretch::new(given_up.is_none(), until);
    let dated = match exemption.tie {
        None => return Stretch::always(true),
        Some(Tie::Personal) => return Stretch::always(relationship.personal == Some(true)).and(undated),
        Some(Tie::Contract) => return contract_runs(relationship, at).and(undated),
        Some(Tie::Purchase) => last_purchase_at,
        Some(Tie::Inquiry) => last_inquiry_at,
        Some(Tie::Donation) => last_donation_at,
        Some(Tie::EndedContract) => contract_ended_at,
    };
    let (Some(start), Some(span)) = (dated, exemption.within) else { return Stretch::always(false) };
    let theirs = Stretch::new(given_up.is_none_or(|given_up| start > given_up), until);
    let mut young = Stretch::since(start, at).and(theirs);
    for zone in zones {
        young = young.and(Stretch::before(span_end(*zone, start, span), at));
    }
    young
}

/// A running contract: said to run, and not ended by its own date.
fn contract_runs(relationship: &Relationship, at: Instant) -> Stretch {
    match (relationship.contract_active, relationship.contract_ended_at) {
        (Some(true), None) => Stretch::always(true),
        (Some(true), Some(ended)) => Stretch::before(ended, at),
        _ => Stretch::always(false),
    }
}

fn emergency(scene: &Scene<'_>, play: &InPlay<'_>, at: Instant) -> Stretch {
    let mut declared = Stretch::always(false);
    for state in &play.declared {
        let begun = Stretch::since(state.begins(scene.evidence.live), at);
        declared = declared.or(begun.and(Stretch::before(state.until, at)));
    }
    declared
}

/// Whether any plausible age lies under the limit. A birthday begins at local midnight; one born on 29 February is a
/// year older on 1 March where there is no such day.
fn too_young(scene: &Scene<'_>, under: u16, zones: &Zones, at: Instant) -> Stretch {
    let mut young = Stretch::always(false);
    for age in scene.evidence.ages() {
        match age {
            Age::Years(years) => young = young.or(Stretch::always(years < under)),
            Age::BornOn(day) => {
                let birthday = date_of(day).and_then(|born| {
                    let year = born.year().checked_add(i16::try_from(under).ok()?)?;
                    let same = jiff::civil::Date::new(year, born.month(), born.day());
                    same.or_else(|_| jiff::civil::Date::new(year, 3, 1)).ok()
                });
                for zone in zones {
                    let grown = birthday.map_or(Instant::FAR, |date| zone.day_start(day_of(date)));
                    young = young.or(Stretch::before(grown, at));
                }
            }
        }
    }
    young
}

/// Whether the question, or what feeds it, takes the person's data out of the rule's jurisdiction.
fn leaves(scene: &Scene<'_>, play: &InPlay<'_>) -> bool {
    let home = play.rule.jurisdiction.root();
    let asked_from = scene.attempt.processing_regions.iter().copied();
    asked_from.chain(scene.evidence.destinations()).any(|place| place.root() != home)
}

/// Whether the mechanism on file suffices for the number of persons exported. Where the number is unknown, it must
/// suffice whatever the number is (I5).
fn carried(scene: &Scene<'_>, bands: &[Band]) -> bool {
    let transfer = scene.evidence.transfer(scene.postures.stored_facts_only);
    let mechanism = transfer.and_then(|transfer| transfer.mechanism);
    let suffices = |band: &Band| {
        band.mechanisms.is_empty() || mechanism.is_some_and(|mechanism| band.mechanisms.contains(&mechanism))
    };
    match transfer.and_then(|transfer| transfer.persons_since_january) {
        Some(persons) => bands.iter().find(|band| band.below.is_none_or(|below| persons < below)).is_some_and(suffices),
        // Without a band that has no ceiling there are numbers for which nothing suffices.
        None => bands.last().is_some_and(|band| band.below.is_none()) && bands.iter().all(suffices),
    }
}

fn shows_wrong(scene: &Scene<'_>, allowed: &[Box<str>], denied: &[Box<str>]) -> bool {
    scene.attempt.caller_id.as_deref().is_some_and(|shown| {
        let begins = |prefixes: &[Box<str>]| prefixes.iter().any(|prefix| shown.starts_with(&**prefix));
        begins(denied) || !allowed.is_empty() && !begins(allowed)
    })
}
