//! Promises of `decide` that need no second answer: I4, I5, I6.

use std::sync::Arc;

use ringfence::contact::{AttemptId, Campaign, Recipient, RegistryCheck, Set, Subject, Technology, Term};
use ringfence::decision::{Decision, Target, decide};
use ringfence::law::{Body, Freshness};
use ringfence::place::{LineType, LocationPosture, NumberType};
use ringfence::time::{Instant, Millis};

use super::evidence;
use super::questions::Asked;
use super::random::Random;
use super::{ask, compare, on_built_in_packs, on_made_up_packs};

fn allows(asked: &Asked) -> bool {
    decide(&asked.question()).allows()
}

fn with(asked: &Asked, change: impl FnOnce(&mut Asked)) -> Asked {
    let mut changed = asked.clone();
    change(&mut changed);
    changed
}

/// Of both kinds of question, one after the other.
fn mixed() -> impl Fn(u64) -> Asked + Sync {
    let built_in = on_built_in_packs();
    move |seed| if seed % 2 == 0 { built_in(seed) } else { on_made_up_packs(seed) }
}

/// I4: the same inputs give the same bytes, whoever asks and however often.
#[test]
fn the_same_question_has_the_same_answer_to_the_byte() {
    let bytes = |asked: &Asked| format!("{:?}", decide(&asked.question()));
    ask("I4", 300, mixed(), |asked| {
        let here = bytes(asked);
        let copy = asked.clone();
        let there = std::thread::scope(|scope| scope.spawn(|| bytes(&copy)).join().unwrap());
        (here != there || here != bytes(asked)).then(|| "bytes differ".to_owned())
    });
}

/// I5: what is allowed while a fact is unknown is allowed whatever the fact.
#[test]
fn ignorance_widens_nothing() {
    ask("I5", 1_000, mixed(), |asked| {
        for (name, unknown, known) in doubts(asked) {
            if allows(&unknown)
                && let Some(worse) = known.iter().find(|known| !allows(known))
            {
                let reasons = decide(&worse.question()).reasons;
                let ids: Vec<_> = reasons.iter().map(|reason| reason.rule_id().to_owned()).collect();
                return Some(format!("{name} unknown allows, but some value is denied by {ids:?}"));
            }
        }
        None
    });
}

/// A fact, the question without it, and the question with each value it may have.
fn doubts(asked: &Asked) -> Vec<(&'static str, Asked, Vec<Asked>)> {
    let mut doubts = Vec::new();
    // What a list tells of the line is not open either.
    let asked = &with(asked, |a| a.lists.0.retain(|id, _| !id.starts_with("us.line.")));
    let recipients = |set: Set<Recipient>| with(asked, |a| (a.asserted.recipients, a.stored.recipients) = (set, set));
    doubts.push(("recipient", recipients(Set::EMPTY), each(&recipients)));
    let lines = |set: Set<LineType>| with(asked, |a| (a.asserted.line_types, a.stored.line_types) = (set, set));
    // What the plan makes certain is not open; an asserted line of another kind comes on top of it.
    let open = match decide(&asked.question()).number_type {
        Some(NumberType::Mobile | NumberType::Fixed | NumberType::Voip) => Vec::new(),
        _ => each(&lines),
    };
    doubts.push(("line type", lines(Set::EMPTY), open));
    let technologies = |set: Set<Technology>| with(asked, |a| a.attempt.technologies = set);
    doubts.push(("technology", technologies(Set::all()), each(&technologies)));

    let subject = |name: Option<&str>| with(asked, |a| a.attempt.subject = name.and_then(Subject::new));
    doubts.push(("subject", subject(None), vec![subject(Some("renewal")), subject(Some("boots"))]));
    // A check without a campaign is in none that could be frozen (the contract says so, and it is warned).
    let campaign = |name: Option<&str>| {
        with(asked, |a| {
            a.attempt.campaign = name.and_then(Campaign::new);
            a.freezes.retain(|freeze| !matches!(freeze.target, Target::Campaign(_)));
        })
    };
    doubts.push(("campaign", campaign(None), vec![campaign(Some("spring")), campaign(Some("autumn"))]));

    // A residence or a zone among those the number leaves open.
    let nowhere = with(asked, |a| {
        (a.asserted.residences, a.stored.residences, a.attempt.postal_code) = Default::default();
        (a.attempt.time_zone, a.postures.location) = (None, LocationPosture::Strictest);
    });
    let open = decide(&nowhere.question());
    // A home brings the clocks of its whole state along (they count beside the number's own): that is no ignorance.
    let same_clocks = |home: &Asked| decide(&home.question()).zones.iter().all(|zone| open.zones.contains(zone));
    let homes = open.jurisdictions.iter().map(|home| with(&nowhere, |a| a.asserted.residences = vec![*home]));
    let homes = homes.filter(same_clocks);
    doubts.push(("residence", nowhere.clone(), homes.collect()));
    let zones = open.zones.iter().map(|zone| with(&nowhere, |a| a.attempt.time_zone = Some(*zone)));
    doubts.push(("zone", nowhere.clone(), zones.collect()));

    // Nothing known of a list, against an entry of unknown date.
    let lists: Vec<Box<str>> = decide(&asked.question()).lists.into_iter().map(|used| used.registry).collect();
    // Of the tenant's own that no rule asks for nothing is expected: only who is on one is known.
    let asked_for = |list: &&str| !list.starts_with("tenant.") || asked.law.asks_for_own_list(list);
    for list in lists.iter().map(|list| &**list).filter(asked_for) {
        let blind = with(asked, |a| {
            a.lists.0.remove(list);
            a.asserted.registry_checks.retain(|check| &*check.registry != list);
            a.stored.registry_checks.retain(|check| &*check.registry != list);
        });
        let hit = with(&blind, |a| a.asserted.registry_checks.push(hit(list)));
        doubts.push(("registry", blind, vec![hit]));
    }
    // What an earlier attempt or an opt-out does not say. Only a known outcome starts a cool-off: that stays out.
    if !asked.asserted.attempts.is_empty() {
        let silent = with(asked, |a| {
            for past in &mut a.asserted.attempts {
                (past.channel, past.technology, past.purpose) = (None, None, None);
                (past.seller, past.subject, past.campaign) = (None, None, None);
            }
        });
        doubts.push(("field of an attempt", silent, vec![asked.clone()]));
    }
    if asked.asserted.opt_outs.iter().any(|opt_out| opt_out.at.is_some()) {
        let undated = with(asked, |a| a.asserted.opt_outs.iter_mut().for_each(|opt_out| opt_out.at = None));
        doubts.push(("date of an opt-out", undated, vec![asked.clone()]));
    }
    doubts
}

fn each<T: Term>(make: &impl Fn(Set<T>) -> Asked) -> Vec<Asked> {
    T::ALL.iter().map(|term| make(Set::one(*term))).collect()
}

fn hit(registry: &str) -> RegistryCheck {
    RegistryCheck { registry: registry.into(), listed: Some(true), checked_at: None, as_of: None, listed_at: None }
}

/// I6: an opt-out, a hit or an attempt more opens nothing; a consent more closes nothing.
#[test]
fn more_evidence_moves_one_way() {
    ask("I6, evidence", 1_000, mixed(), |asked| {
        let mut r = Random::new(asked.now.millis().unsigned_abs());
        let more = evidence::more(&mut r, asked.now, asked.law.packs().len() % 2 == 0);
        let before = allows(asked);
        let mut tightened = Vec::new();
        for (name, side) in [("asserted", false), ("stored", true)] {
            let facts = |a: &mut Asked, change: &dyn Fn(&mut ringfence::contact::Facts)| {
                change(if side { &mut a.stored } else { &mut a.asserted });
            };
            for opt_out in &more.opt_outs {
                tightened.push((name, "opt-out", with(asked, |a| facts(a, &|f| f.opt_outs.push(opt_out.clone())))));
            }
            for past in &more.attempts {
                let mut past = past.clone();
                past.id = AttemptId::new("one more");
                tightened.push((name, "attempt", with(asked, |a| facts(a, &|f| f.attempts.push(past.clone())))));
            }
            for used in decide(&asked.question()).lists {
                let found = hit(&used.registry);
                tightened.push((name, "hit", with(asked, |a| facts(a, &|f| f.registry_checks.push(found.clone())))));
            }
            for consent in &more.consents {
                let mut consent = consent.clone();
                consent.id = None;
                let loosened = with(asked, |a| facts(a, &|f| f.consents.push(consent.clone())));
                if before && !allows(&loosened) {
                    return Some(format!("an {name} consent more closes: {consent:?}"));
                }
            }
        }
        let opened = tightened.iter().find(|(_, _, tightened)| !before && allows(tightened));
        opened.map(|(side, what, _)| format!("an {side} {what} more opens"))
    });
}

/// I6: asked again at `retry_at`, the answer is yes, and at no instant before; until `valid_until` it stays yes.
#[test]
fn the_times_told_are_true() {
    ask("I6, times", 1_000, mixed(), |asked| {
        let decision = decide(&asked.question());
        if aged_by_calendar(asked, &decision) {
            return None;
        }
        let flip = if decision.allows() { decision.valid_until } else { decision.retry_at };
        let end = flip.unwrap_or(asked.now.plus(Millis(compare::HORIZON)));
        let mut r = Random::new(asked.now.millis().unsigned_abs());
        let mut before: Vec<Instant> = (0..12).filter_map(|_| compare::between(&mut r, asked.now, end)).collect();
        let near = |span: i64| Instant::from_millis(end.millis() - span);
        before.extend([1, 1_000, 60_000, 3_600_000].map(near).into_iter().filter(|at| *at > asked.now));
        if let Some(at) = before.into_iter().find(|at| allows(&later(asked, *at)) != decision.allows()) {
            return Some(format!("turns at {at}, before {flip:?}"));
        }
        let flip = flip?;
        (allows(&later(asked, flip)) == decision.allows()).then(|| format!("does not turn at {flip}"))
    });
}

/// Whether a list was looked up whose age counts by the calendar: it cannot be made as old at another instant as it is now.
fn aged_by_calendar(asked: &Asked, decision: &Decision) -> bool {
    let by_calendar = |registry: &str| {
        let rules = asked.law.packs().iter().flat_map(|pack| &pack.rules);
        let mut freshness = rules.filter_map(|rule| match &rule.body {
            Body::Registry { list, fresh, .. } if **list == *registry => Some(fresh),
            _ => None,
        });
        freshness.any(|fresh| !matches!(fresh, Freshness::Age(_)))
    };
    let looked_up = |registry: &str| {
        let facts = [&asked.asserted, &asked.stored];
        asked.lists.0.contains_key(registry)
            || facts.iter().any(|facts| facts.registry_checks.iter().any(|check| &*check.registry == registry))
    };
    decision.lists.iter().any(|list| by_calendar(&list.registry) && looked_up(&list.registry))
}

/// The same question at another instant, with what lists say as old then as now.
fn later(asked: &Asked, at: Instant) -> Asked {
    let span = Millis(at.millis() - asked.now.millis());
    let mut asked = with(asked, |a| a.now = at);
    asked.lists.0.values_mut().for_each(|look| look.as_of = look.as_of.plus(span));
    for facts in [&mut asked.asserted, &mut asked.stored] {
        for check in &mut facts.registry_checks {
            check.checked_at = check.checked_at.map(|at| at.plus(span));
            check.as_of = check.as_of.map(|at| at.plus(span));
        }
    }
    asked.law = Arc::clone(&asked.law);
    asked
}
