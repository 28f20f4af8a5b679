//! The answer to one question: a pure function of the attempt, the evidence, the law and an instant (I4).
//!
//! Promises: every rule that denies is named (and nothing is allowed that some plausible place, zone or fact denies: I5);
//! `retry_at` and `valid_until` are exact. Must never read a clock, a file or a store. Guarded by `tests/twin.rs`, which
//! answers the same questions a second time without any of this code.

mod attempt;
mod builtin;
mod caps;
mod consent;
mod evidence;
mod explain;
mod grounds;
mod hours;
mod judge;
mod lines;
mod reason;
mod reassigned;
mod scene;
mod stretch;
mod switches;
mod timing;
mod windows;

use std::sync::Arc;

use smallvec::SmallVec;

pub use attempt::{Attempt, Postures};
pub use builtin::OWN_LIST;
pub use evidence::{Evidence, Lists, Look, NoLists};
pub use explain::NO_FRESH_COPY;
pub use reason::{BuiltIn, Decision, ListUsed, Obligation, Reason, Source, Verdict, Warning};
pub use reassigned::given_up;
pub use scene::stale_from;
pub use switches::{Freeze, Switches, Target};
pub use windows::{Opening, openings};

use crate::law::{self, Body, Family, Law, Rule};
use crate::place::{self, Location, Number, NumberError, NumberType, Zones};
use crate::time::Instant;
use grounds::Grounds;
use scene::{InPlay, Scene};
use stretch::Stretch;

/// Everything a decision is made from.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Whom the contact reaches.
    pub number: Number,
    /// What is about to happen.
    pub attempt: &'a Attempt,
    /// What is known.
    pub evidence: Evidence<'a>,
    /// The rules.
    pub law: &'a Law,
    /// What people switched.
    pub switches: Switches<'a>,
    /// How doubt is read.
    pub postures: &'a Postures,
    /// The one now of this question.
    pub now: Instant,
}

/// Answers one question.
#[must_use]
pub fn decide(question: &Question<'_>) -> Decision {
    let Question { number, attempt, evidence, law, switches, postures, now } = *question;
    let location = Location {
        residences: evidence.residences(),
        county: attempt.county.clone(),
        postal_code: attempt.postal_code.clone(),
        time_zone: attempt.time_zone,
    };
    let resolution = match place::resolve(number, &location, postures.location) {
        Ok(resolution) => resolution,
        Err(error) => return refused(&builtin::BAD_LOCATION, error.to_string(), None, now),
    };
    // An untrusted word about the location adds places and zones; it takes none of the record's own away.
    let recorded = match postures.stored_facts_only {
        false => None,
        true => {
            let residences = evidence.stored.residences.iter().copied().collect();
            let location = Location { residences, ..Location::default() };
            match place::resolve(number, &location, postures.location) {
                Ok(resolution) => Some(resolution),
                Err(error) => return refused(&builtin::BAD_LOCATION, error.to_string(), None, now),
            }
        }
    };
    let lines = lines::Lines::of(number.reveal_digits(), &evidence, now);
    let scene = Scene {
        attempt,
        evidence,
        law,
        postures,
        area: place::lines::area_of(number.reveal_digits()),
        now,
        recipients: evidence.recipients(postures.stored_facts_only),
        line_types: evidence.line_types(resolution.certain_line, &lines, postures.stored_facts_only),
        legal_forms: evidence.legal_forms(),
        form_open: evidence.form_open(postures.stored_facts_only),
        promised: evidence.promised(),
    };
    let Grounds { jurisdictions, zones, packs, mut reasons } = Grounds::of(&scene, &resolution, recorded.as_ref());
    let nowhere = Zones::new();
    let plays = in_play(&scene, &packs, &jurisdictions, &switches, &nowhere);
    let unnamed = switches.unnamed(attempt, evidence.live, now);
    let words: SmallVec<[Stretch; 24]> = plays.iter().map(|play| judge::denies(&scene, play, now)).collect();

    let denying = plays.iter().zip(&words).filter(|(_, word)| word.holds);
    reasons.reserve(denying.clone().count());
    reasons.extend(denying.map(|(play, word)| explain::reason(&scene, play, *word)));
    let mut decision = Decision {
        verdict: if reasons.is_empty() { Verdict::Allow } else { Verdict::Deny },
        reasons: Vec::new(),
        obligations: Vec::new(),
        warnings: Vec::new(),
        retry_at: None,
        valid_until: None,
        number_type: Some(resolution.number_type),
        jurisdictions,
        zones,
        lists: lists_used(&scene, &plays, lines.used),
        freezes: plays.iter().filter_map(|play| play.freeze).chain(unnamed.iter().copied()).cloned().collect(),
        emergencies: switches.looked_at(&plays),
        evaluated_at: now,
    };
    if !resolution.assigned {
        let message = "The number lies in a range that does not look given out; it was judged by its prefix.";
        decision.warnings.push(Warning { code: "unassigned_number", message: message.to_owned(), rule_id: None });
    }
    let denied_for_consent = reasons.iter().any(|reason| reason.family == Family::Consent);
    if denied_for_consent
        && evidence.consents(postures.stored_facts_only).any(|c| c.overtaken_at.is_some_and(|t| t <= now))
    {
        let message =
            "A consent was given under an earlier privacy policy, which a material change has replaced: ask again.";
        decision.warnings.push(Warning { code: "consent_overtaken", message: message.to_owned(), rule_id: None });
    }
    for list in decision.lists.iter().filter(|list| list.in_force && list.look.as_ref().is_some_and(|look| look.sample))
    {
        let registry = &list.registry;
        let message = format!("{registry} is a made-up sample list: load the real one before you rely on this.");
        decision.warnings.push(Warning { code: "sample_registry", message, rule_id: None });
    }
    if reasons.is_empty() {
        decision.valid_until = timing::first_denied(&scene, &plays, &words, now);
        for play in &plays {
            explain::warnings(&scene, play, &mut decision.warnings);
            decision.obligations.extend(obligation(&scene, play));
        }
        decision.warnings.extend(unnamed.iter().map(|freeze| explain::unnamed(freeze)));
        // The same thing is said once, whichever rules it concerns.
        let mut said = std::collections::HashSet::new();
        decision.warnings.retain(|warning| said.insert((warning.code, warning.message.clone())));
    } else if reasons.iter().all(|reason| reason.clears_at.is_some()) {
        decision.retry_at = timing::first_allowed(&scene, &plays, &words, now);
    }
    // Where a pack's own rule says it, with its citation, the service need not.
    if reasons.iter().any(|reason| matches!(&reason.source, Source::Rule(rule) if names_opt_out(rule))) {
        reasons.retain(|reason| reason.rule_id() != builtin::OPT_OUT);
    }
    reasons.sort_by(|a, b| (a.family, a.rule_id()).cmp(&(b.family, b.rule_id())));
    reasons.dedup_by(|a, b| {
        let alike = a.family == b.family && a.rule_id() == b.rule_id() && a.jurisdiction() == b.jurisdiction();
        // Two freezes of one kind are two reasons.
        alike && (a.rule_id() != builtin::FREEZE.id || a.detail == b.detail)
    });
    decision.reasons = reasons;
    decision
}

/// A rule of a pack about opt-outs of its scope.
fn names_opt_out(rule: &Rule) -> bool {
    &*rule.id != builtin::OPT_OUT && matches!(rule.body, Body::OptOut { whatever_scope_since: None })
}

/// The answer where the string is no number at all: a DENY of family NUMBER, so that one bad row stops no batch.
#[must_use]
pub fn unusable(error: NumberError, now: Instant) -> Decision {
    let what = error.to_string();
    let mut letters = what.chars();
    let sentence = letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()));
    refused(&builtin::UNUSABLE, sentence.unwrap_or_default(), None, now)
}

fn refused(rule: &'static BuiltIn, detail: String, number_type: Option<NumberType>, now: Instant) -> Decision {
    Decision {
        verdict: Verdict::Deny,
        reasons: vec![own(rule, detail)],
        obligations: Vec::new(),
        warnings: Vec::new(),
        retry_at: None,
        valid_until: None,
        number_type,
        jurisdictions: SmallVec::new(),
        zones: SmallVec::new(),
        lists: Vec::new(),
        freezes: Vec::new(),
        emergencies: Vec::new(),
        evaluated_at: now,
    }
}

/// The reason that stands where a place has no law.
#[must_use]
pub fn no_pack(place: place::Jurisdiction) -> Reason {
    let detail = format!("Without rules: {place}.");
    Reason {
        family: Family::Jurisdiction,
        source: Source::BuiltIn(&builtin::NO_PACK, Some(place)),
        detail,
        clears_at: None,
    }
}

fn own(rule: &'static BuiltIn, detail: String) -> Reason {
    Reason { family: rule.family, source: Source::BuiltIn(rule, None), detail, clears_at: None }
}

/// The rules that are about this attempt, each narrowed to it.
fn in_play<'a>(
    scene: &Scene<'a>,
    packs: &'a [(u16, Zones)],
    places: &[place::Jurisdiction],
    switches: &Switches<'a>,
    nowhere: &'a Zones,
) -> Vec<InPlay<'a>> {
    let law: &'a Law = scene.law;
    let rules = |index: u16| {
        law.pack(index).map_or(&[][..], |pack| pack.rules_for(scene.attempt.channel, scene.attempt.purpose))
    };
    // Not beside the rest on the stack: two dozen of them are some kilobytes, which would be moved to whoever asks.
    let mut plays = Vec::with_capacity(packs.iter().map(|(index, _)| rules(*index).len()).sum::<usize>() + 1);
    for (index, zones) in packs {
        for rule in rules(*index) {
            let Some(mut play) = narrow(scene, rule, zones) else { continue };
            if matches!(rule.body, Body::Emergency) {
                play.declared = switches.reaching(scene, rule, *index, places);
            }
            plays.push(play);
        }
    }
    // Whatever the packs of a place say of opt-outs, or fail to say: one that stands is honoured.
    plays.extend(narrow(scene, builtin::opt_out(), nowhere));
    if let Some(since) = scene.evidence.stored.restricted_at.filter(|_| !scene.attempt.legally_required) {
        let play = narrow(scene, builtin::restriction(), nowhere);
        plays.extend(play.map(|play| InPlay { restricted: Some(since), ..play }));
    }
    let own_lists = scene.evidence.own_lists(law, scene.now);
    if !own_lists.is_empty() && !scene.attempt.legally_required {
        let play = narrow(scene, builtin::own_list(), nowhere);
        plays.extend(play.map(|play| InPlay { own_lists, ..play }));
    }
    for freeze in switches.freezing(scene.attempt, law, places, scene.evidence.live) {
        let play = narrow(scene, builtin::freeze(), nowhere);
        plays.extend(play.map(|play| InPlay { freeze: Some(freeze), ..play }));
    }
    plays
}

fn narrow<'a>(scene: &Scene<'_>, rule: &'a Arc<Rule>, zones: &'a Zones) -> Option<InPlay<'a>> {
    let technologies = scene.reach(&rule.applies);
    if technologies.is_empty() || !scene.chosen(rule) {
        return None;
    }
    let listing = match &rule.body {
        Body::Registry { list, fresh, bites_after } => {
            let oldest = scene::oldest(fresh, zones, scene.now);
            let bites = |entered| scene::entry_counts(*bites_after, zones, entered);
            Some(scene.evidence.listing(list, oldest, &bites, scene.now, scene.postures.stored_facts_only))
        }
        _ => None,
    };
    // A rule about some forms is about no other; one about any must let the unnamed pass as well.
    let forms = match rule.applies.legal_forms {
        about if !about.is_empty() => Some(about.and(scene.legal_forms)),
        _ if scene.form_open => None,
        _ => Some(scene.legal_forms),
    };
    let (declared, freeze, restricted, own_lists) = (Vec::new(), None, None, SmallVec::new());
    Some(InPlay { rule, zones, technologies, listing, forms, declared, freeze, restricted, own_lists })
}

fn obligation(scene: &Scene<'_>, play: &InPlay<'_>) -> Option<Obligation> {
    let code: Box<str> = match &play.rule.body {
        Body::Obligation { code, warning: false } => code.clone(),
        Body::Abandonment => "abandonment".into(),
        Body::CallerId { .. } if scene.attempt.caller_id.is_none() => "caller_id".into(),
        _ => return None,
    };
    judge::asks(scene, play, scene.now).then(|| Obligation { code, rule: Arc::clone(play.rule) })
}

/// A list that was looked into, and what it said.
fn list_used(scene: &Scene<'_>, list: &str, in_force: bool) -> ListUsed {
    let look = scene.evidence.lists.look_up(list);
    // What was added by API stands in the record: the look alone would say that nothing was.
    let added = || scene.evidence.is_told_of(list, scene.now);
    let listed = match &look {
        None => (list.starts_with(law::OWN_LIST) && added()).then_some(true),
        Some(look) if look.is_here() => look.listed.map(|listed| listed || added()),
        Some(look) => look.listed,
    };
    ListUsed { registry: list.into(), look, listed, in_force }
}

/// Every list looked into, those of rules in force first.
fn lists_used(scene: &Scene<'_>, plays: &[InPlay<'_>], lines: Vec<ListUsed>) -> Vec<ListUsed> {
    let mut used = lines;
    for wanted in [true, false] {
        for play in plays {
            let Body::Registry { list, .. } = &play.rule.body else { continue };
            let in_force = play.rule.from <= scene.now && scene.now < play.rule.until;
            if in_force == wanted && !used.iter().any(|known| known.registry == *list) {
                used.push(list_used(scene, list, in_force));
            }
        }
    }
    for list in plays.iter().flat_map(|play| &play.own_lists) {
        used.push(list_used(scene, list, true));
    }
    if !scene.attempt.legally_required {
        // An ALLOW rests on each that does not have the number. Of those that a rule asks for, the rule has told.
        scene.evidence.lists.own_clear(&mut |list| {
            if !scene.law.asks_for_own_list(list) && !used.iter().any(|known| &*known.registry == list) {
                used.push(list_used(scene, list, true));
            }
        });
    }
    used
}

/// The families a rule set can give, for documentation and metrics.
pub const FAMILIES: [Family; 16] = Family::ALL;
