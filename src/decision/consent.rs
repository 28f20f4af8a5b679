//! CONSENT, OPT_OUT and OBJECTION: does a consent cover this attempt, and is it good enough for a rule.

use crate::contact::{Consent, FrequencyCap, Grade, Method, OptOut, Period, Technology};
use crate::law::{Counts, Needs, Window};
use crate::place::Zones;
use crate::time::Instant;

use super::caps;
use super::evidence::Listing;
use super::scene::{InPlay, Scene, span_end};
use super::stretch::Stretch;

/// Whether a frequency promised with a consent still binds, or is looked past to tell why nothing covers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    Kept,
    LookedPast,
}

/// Whether any consent satisfies `needs` for this technology at `at`.
pub(crate) fn any(
    scene: &Scene<'_>,
    play: &InPlay<'_>,
    needs: &Needs,
    technology: Technology,
    promise: Promise,
    at: Instant,
) -> Stretch {
    let mut found = Stretch::always(false);
    for consent in scene.evidence.consents(scene.postures.stored_facts_only) {
        if !is_fit(scene, consent, needs, technology, play.listing) {
            continue;
        }
        let mut covers = lasts(scene, consent, at);
        covers = covers.and(aged(scene, consent, needs, play.zones, at));
        if promise == Promise::Kept
            && let Some(cap) = consent.frequency_cap
        {
            covers = covers.and(promised(scene, consent, cap, play.zones, at).not());
        }
        found = found.or(covers);
    }
    found
}

/// What of a consent does not change with time: scope, validity, grade, flags, provenance.
fn is_fit(
    scene: &Scene<'_>,
    consent: &Consent,
    needs: &Needs,
    technology: Technology,
    listing: Option<Listing>,
) -> bool {
    let named = technology != Technology::Prerecorded || consent.technologies.contains(technology);
    let flagged = consent.obtained_from.as_deref().is_none_or(|from| from == "person")
        || consent.flags.contains(crate::contact::Flag::ThirdParty);
    let after_listing = || match listing {
        Some(Listing::Listed { by, .. }) => by.zip(consent.given_at).is_some_and(|(entry, given)| given > entry),
        // Where no fresh copy says otherwise, the number may have been entered since the consent.
        Some(Listing::Unknown { .. }) => false,
        Some(Listing::Clear { .. }) | None => true,
    };
    covers_scope(scene, consent, technology)
        && consent.grade.is_some_and(|grade| grade >= needs.grade)
        && needs.flags.within(consent.flags)
        && (!needs.technology_named || named)
        && (!needs.evidence || consent.evidence_ref.is_some())
        && (!needs.third_party_flagged || flagged)
        && (!needs.after_listing || after_listing())
        && needs.given_from.is_none_or(|from| consent.given_at.is_some_and(|given| given >= from))
        && (!needs.slot || consent.preferred_slot.is_some())
}

/// Whether it was bought or handed on, or comes from where nobody can tell: such a consent covers only whom it names (47 CFR 64.1200(f)(9): the agreement
/// names the seller; GDPR art. 4(11): specific).
fn handed_on(consent: &Consent) -> bool {
    consent.obtained_from.as_deref().is_some_and(|from| !matches!(from, "person" | "directory"))
}

/// Whether a consent is one at all and its scope holds this attempt.
fn covers_scope(scene: &Scene<'_>, consent: &Consent, technology: Technology) -> bool {
    let attempt = scene.attempt;
    let valid = consent.grade.is_some()
        && consent.forced != Some(true)
        && consent.notice_given != Some(false)
        && consent.method.is_none_or(Method::can_consent);
    valid
        && (consent.channels.is_empty() || consent.channels.contains(attempt.channel))
        && (consent.technologies.is_empty() || consent.technologies.contains(technology))
        && (consent.purposes.is_empty() || consent.purposes.contains(attempt.purpose))
        && (consent.sellers.is_empty() && !handed_on(consent) || consent.sellers.contains(&attempt.seller))
        && (consent.products.is_empty()
            || attempt.subject.as_ref().is_some_and(|subject| consent.products.contains(subject)))
}

/// Given by whoever holds the number now, and neither expired, withdrawn, nor overtaken by a policy that changed what was
/// agreed to.
fn lasts<'a>(scene: &Scene<'a>, consent: &'a Consent, at: Instant) -> Stretch {
    let Some(given) = consent.given_at else { return Stretch::always(false) };
    let mut lasts = Stretch::since(given, at).and(is_the_holders(scene, given, at));
    for end in consent.expires_at.into_iter().chain(consent.overtaken_at) {
        lasts = lasts.and(Stretch::before(end, at));
    }
    for withdrawn in scene.evidence.withdrawals(consent) {
        // In a live check a withdrawal counts whatever its date says.
        let stays = scene.exists(Some(withdrawn)).map_or(Stretch::always(false), |from| Stretch::before(from, at));
        lasts = lasts.and(stays);
    }
    lasts
}

/// Whether what was given at an instant was given by whoever holds the number now, as far as is known.
fn is_the_holders(scene: &Scene<'_>, given: Instant, at: Instant) -> Stretch {
    let (given_up, until) = scene.evidence.given_up(scene.postures.stored_facts_only, at);
    Stretch::new(given_up.is_none_or(|given_up| given > given_up), until)
}

/// What a rule adds about time: ages in every plausible zone, policy and reassignment as they stand, the agreed slot.
fn aged(scene: &Scene<'_>, consent: &Consent, needs: &Needs, zones: &Zones, at: Instant) -> Stretch {
    let mut good = Stretch::always(true);
    let Some(given) = consent.given_at else { return Stretch::always(false) };
    for zone in zones {
        if let Some(span) = needs.max_age
            && !(needs.unless_dated && consent.expires_at.is_some())
        {
            good = good.and(Stretch::before(span_end(*zone, given, span), at));
        }
        if let Some(span) = needs.max_unused {
            let mut fresh = Stretch::before(span_end(*zone, given, span), at);
            if let Some(used) = consent.last_used_at {
                let since_use = Stretch::before(span_end(*zone, used, span), at);
                fresh = fresh.or(Stretch::since(used, at).and(since_use));
            }
            good = good.and(fresh);
        }
    }
    if needs.current_policy {
        good = good.and(current(scene, consent, given, at));
    }
    if needs.after_reassignment {
        good = good.and(is_the_holders(scene, given, at));
    }
    if needs.slot {
        let slot = consent.preferred_slot.map_or(Stretch::always(false), |slot| {
            Stretch::since(slot.starts_at, at).and(Stretch::before(slot.ends_at, at))
        });
        good = good.and(slot);
    }
    good
}

/// Whether a material change of policy has overtaken the consent (PIPL art. 14(2)). What is unknown of the policy counts
/// as material and as old.
fn current(scene: &Scene<'_>, consent: &Consent, given: Instant, at: Instant) -> Stretch {
    let mut current = Stretch::always(true);
    for policy in scene.evidence.policies(scene.postures.stored_facts_only) {
        let same = consent.policy_version.as_deref() == Some(&*policy.current_version);
        current = current.and(match policy.effective_at {
            _ if same || policy.material == Some(false) => Stretch::always(true),
            Some(effective) if given >= effective => Stretch::always(true),
            Some(effective) => Stretch::before(effective, at),
            None => Stretch::always(false),
        });
    }
    current
}

/// Whether the frequency promised with the consent is used up. It counts the seller's attempts in the consent's scope.
fn promised(scene: &Scene<'_>, consent: &Consent, cap: FrequencyCap, zones: &Zones, at: Instant) -> Stretch {
    let window = match cap.period {
        Period::Day => Window::Days(1),
        period => Window::Calendar(period),
    };
    let counts = Counts {
        channels: consent.channels,
        technologies: consent.technologies,
        purposes: consent.purposes,
        per_seller: true,
        ..Counts::default()
    };
    caps::used_up(scene, cap.count, &[window], &counts, zones, at)
}

/// Whether an opt-out stands against this technology at `at`: said, in scope, and not reopened since.
pub(crate) fn opted_out(
    scene: &Scene<'_>,
    whatever_scope_since: Option<Instant>,
    technology: Technology,
    at: Instant,
) -> Stretch {
    let mut stands = Stretch::always(false);
    for opt_out in scene.evidence.opt_outs() {
        let blocks = match whatever_scope_since {
            None => scene.blocks(opt_out),
            Some(since) => {
                opt_out.at.is_none_or(|at| at >= since)
                    && !scene.attempt.legally_required
                    && scene.names_seller(&opt_out.scope)
            }
        };
        if blocks {
            stands = stands.or(stands_against(scene, opt_out, technology, at));
        }
    }
    stands
}

fn stands_against(scene: &Scene<'_>, opt_out: &OptOut, technology: Technology, at: Instant) -> Stretch {
    let said = scene.exists(opt_out.at).map_or(Stretch::always(true), |from| Stretch::since(from, at));
    let mut reopened = Stretch::always(false);
    for consent in scene.evidence.consents(scene.postures.stored_facts_only) {
        if reopens(consent, opt_out) && covers_scope(scene, consent, technology) {
            reopened = reopened.or(lasts(scene, consent, at));
        }
    }
    said.and(reopened.not())
}

/// Express or stronger, given strictly later; against a recorded opt-out also recorded later, with its evidence.
fn reopens(consent: &Consent, opt_out: &OptOut) -> bool {
    let later = consent.given_at.zip(opt_out.at).is_some_and(|(given, said)| given > said);
    let strong = consent.grade.is_some_and(|grade| grade >= Grade::Express);
    let recorded = match opt_out.recorded_at {
        None => true,
        Some(recorded) => {
            consent.recorded_at.is_some_and(|consented| consented > recorded) && consent.evidence_ref.is_some()
        }
    };
    later && strong && recorded
}
