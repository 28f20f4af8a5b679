//! Both answers to one question, side by side.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringfence::decision::{Decision, Question, decide};
use ringfence::law::{Body, Family, Law, Window};
use ringfence::time::Instant;

use super::civil::{DAY, MINUTE};
use super::naive::Twin;
use super::questions::Asked;
use super::random::Random;

/// How far ahead `retry_at` and `valid_until` look.
pub const HORIZON: i64 = 400 * DAY;
/// How far ahead every minute is looked at; beyond, every hour.
const CLOSELY: i64 = 3 * DAY;

/// What a comparison can find.
pub fn disagreement(asked: &Asked) -> Option<String> {
    let question = asked.question();
    let decision = decide(&question);
    let twin = Twin::new(&question);
    let theirs: BTreeSet<(String, Family)> =
        decision.reasons.iter().map(|reason| (reason.rule_id().to_owned(), reason.family)).collect();
    let ours = twin.reasons(asked.now);
    if theirs != ours {
        return Some(format!(
            "reasons: only decide {:?}, only twin {:?}",
            theirs.difference(&ours).collect::<Vec<_>>(),
            ours.difference(&theirs).collect::<Vec<_>>()
        ));
    }
    if decision.allows() != ours.is_empty() {
        return Some(format!("verdict {:?} with {} reasons", decision.verdict, ours.len()));
    }
    let flip = if decision.allows() { decision.valid_until } else { decision.retry_at };
    let spare = if decision.allows() { decision.retry_at } else { decision.valid_until };
    if spare.is_some() {
        return Some("both retry_at and valid_until, or the wrong one".to_owned());
    }
    flips_there(asked, &twin, &decision, flip).err()
}

/// The verdict stays until just before `flip` and turns there; without one it stays to the horizon.
fn flips_there(asked: &Asked, twin: &Twin<'_>, decision: &Decision, flip: Option<Instant>) -> Result<(), String> {
    let (now, allowed) = (asked.now.millis(), decision.allows());
    let name = if allowed { "valid_until" } else { "retry_at" };
    let end = now + HORIZON;
    let stays = |at: i64| {
        if twin.allows(Instant::from_millis(at)) == allowed {
            return Ok(());
        }
        let reasons = twin.reasons(Instant::from_millis(at));
        let told = flip.map_or("none".to_owned(), |flip| flip.to_string());
        let there = decide(&Question { now: Instant::from_millis(at), ..asked.question() });
        let own: Vec<_> = there.reasons.iter().map(|reason| reason.rule_id().to_owned()).collect();
        Err(format!(
            "{name} is {told}, but the twin turns at {}: {reasons:?}; asked there, decide says {own:?}",
            Instant::from_millis(at)
        ))
    };
    if let Some(flip) = flip {
        if flip.millis() <= now || flip.millis() > end {
            return Err(format!("{name} {flip} lies outside the horizon"));
        }
        if twin.allows(flip) == allowed {
            return Err(format!("{name} {flip}, but there the twin says {:?}", twin.reasons(flip)));
        }
        stays(flip.millis() - 1)?;
    }
    let last = flip.map_or(end, |flip| flip.millis() - 1);
    for at in remarkable(asked).into_iter().filter(|at| now < *at && *at <= last) {
        stays(at)?;
    }
    let minute = |at: i64| (at.div_euclid(MINUTE) + 1) * MINUTE;
    let mut at = minute(now);
    while at <= last && at < now + CLOSELY {
        stays(at)?;
        at += MINUTE;
    }
    while at <= last {
        stays(at)?;
        at += 60 * MINUTE;
    }
    // And every minute of the hour before the claimed one.
    let mut at = minute(last - 60 * MINUTE).max(minute(now));
    while flip.is_some() && at <= last {
        stays(at)?;
        at += MINUTE;
    }
    Ok(())
}

/// Instants at which something may well turn: those of the evidence and the rules, and a window after each, give or
/// take a millisecond.
fn remarkable(asked: &Asked) -> BTreeSet<i64> {
    let mut all = BTreeSet::new();
    for facts in [&asked.asserted, &asked.stored] {
        for c in &facts.consents {
            let slot = c.preferred_slot.map(|slot| [slot.starts_at, slot.ends_at]);
            all.extend(
                [c.given_at, c.expires_at, c.overtaken_at, c.withdrawn_at, c.last_used_at].into_iter().flatten(),
            );
            all.extend(slot.into_iter().flatten());
        }
        all.extend(facts.opt_outs.iter().filter_map(|o| o.at));
        all.extend(facts.policy.iter().filter_map(|p| p.effective_at));
        all.extend(facts.reassigned.iter().filter_map(|p| p.checked_at));
        all.extend(facts.last_conversation_at);
        for tie in &facts.relationships {
            all.extend([tie.last_purchase_at, tie.last_inquiry_at, tie.contract_ended_at].into_iter().flatten());
        }
        all.extend(facts.attempts.iter().flat_map(|a| [a.earliest, a.latest].into_iter().chain(a.ended_at)));
    }
    all.extend(asked.declared.iter().flat_map(|declared| [declared.from, declared.until]));
    all.extend(asked.freezes.iter().flat_map(|f| [f.from, f.until].into_iter().chain(f.lifted_at)));
    for rule in asked.law.packs().iter().flat_map(|pack| &pack.rules) {
        all.extend([rule.from, rule.until]);
        if let Body::Cap { windows, .. } = &rule.body {
            for window in windows {
                if let Window::Rolling(span) = window {
                    let attempts = asked.asserted.attempts.iter().chain(&asked.stored.attempts);
                    all.extend(attempts.flat_map(|a| [a.earliest.plus(*span), a.latest.plus(*span)]));
                }
            }
        }
    }
    let near = |at: Instant| (-1..=1).map(move |by| at.millis().saturating_add(by));
    all.into_iter().flat_map(near).collect()
}

/// Takes away from a question whatever its fault does not need.
pub fn shrunk(asked: &Asked, mut still: impl FnMut(&Asked) -> bool) -> Asked {
    let mut smallest = asked.clone();
    loop {
        let before = smallest.clone();
        let mut tried = false;
        for step in 0.. {
            let mut smaller = smallest.clone();
            match take(&mut smaller, step) {
                None => break,
                Some(false) => continue,
                Some(true) => {}
            }
            if still(&smaller) {
                smallest = smaller;
                tried = true;
            }
        }
        let _ = before;
        if !tried {
            return smallest;
        }
    }
}

/// Applies one way of making a question smaller: `None` after the last, `false` where it changes nothing.
fn take(asked: &mut Asked, step: usize) -> Option<bool> {
    let (side, step) = (step % 2, step / 2);
    let facts = if side == 0 { &mut asked.asserted } else { &mut asked.stored };
    let drop_at = |len: usize, from: usize| (from..from + 8).contains(&step).then(|| step - from).filter(|i| *i < len);
    if let Some(i) = drop_at(facts.consents.len(), 0) {
        facts.consents.remove(i);
        return Some(true);
    }
    if let Some(i) = drop_at(facts.attempts.len(), 8) {
        facts.attempts.remove(i);
        return Some(true);
    }
    if let Some(i) = drop_at(facts.opt_outs.len(), 16) {
        facts.opt_outs.remove(i);
        return Some(true);
    }
    if let Some(i) = drop_at(facts.registry_checks.len(), 24) {
        facts.registry_checks.remove(i);
        return Some(true);
    }
    if let Some(i) = drop_at(facts.inconvenient_times.len(), 32) {
        facts.inconvenient_times.remove(i);
        return Some(true);
    }
    macro_rules! clear {
        ($($n:literal => $field:expr;)*) => {
            match step {
                $($n => {
                    let empty = Default::default();
                    let changed = $field != empty;
                    $field = empty;
                    return Some(changed);
                })*
                _ => {}
            }
        };
    }
    clear! {
        40 => facts.relationships; 41 => facts.last_conversation_at; 42 => facts.first_notice_at; 43 => facts.ages;
        44 => facts.policy; 45 => facts.transfer; 46 => facts.reassigned; 47 => facts.legal_forms;
        48 => facts.residences; 49 => asked.attempt.offer; 50 => asked.attempt.caller_id;
        51 => asked.attempt.campaign; 52 => asked.attempt.subject; 53 => asked.attempt.time_zone;
        54 => asked.attempt.postal_code; 55 => asked.attempt.processing_regions; 56 => asked.attempt.legally_required;
        57 => asked.postures.chosen; 58 => asked.postures.verified_only; 59 => asked.postures.stored_facts_only;
        60 => asked.postures.location;
    }
    if (61..=70).contains(&step) {
        let key = asked.lists.0.keys().nth(step - 61).cloned();
        return Some(key.is_some_and(|key| asked.lists.0.remove(&key).is_some()));
    }
    if (71..=78).contains(&step) {
        let Some(consent) = facts.consents.get_mut((step - 71) / 4) else { return Some(false) };
        let before = consent.clone();
        match (step - 71) % 4 {
            0 => (consent.method, consent.wording, consent.policy_version, consent.obtained_from) = Default::default(),
            1 => (consent.frequency_cap, consent.expires_at, consent.last_used_at) = Default::default(),
            2 => (consent.channels, consent.purposes, consent.sellers, consent.products) = Default::default(),
            _ => (consent.preferred_slot, consent.flags, consent.id, consent.withdrawn_at) = Default::default(),
        }
        return Some(*consent != before);
    }
    if let (Some(i), true) = (drop_at(asked.freezes.len(), 79), side == 0) {
        asked.freezes.remove(i);
        return Some(true);
    }
    if let (Some(i), true) = (drop_at(asked.declared.len(), 87), side == 0) {
        asked.declared.remove(i);
        return Some(true);
    }
    match step {
        0..100 => Some(false),
        _ => without_rule(asked, step - 100),
    }
}

/// Takes one rule out of made-up packs.
fn without_rule(asked: &mut Asked, index: usize) -> Option<bool> {
    let mut left = index;
    for (_, text) in &mut asked.packs {
        let rules: Vec<usize> = text.match_indices("[[rule]]").map(|(at, _)| at).collect();
        if let Some(start) = rules.get(left) {
            let end = rules.get(left + 1).copied().unwrap_or(text.len());
            text.replace_range(*start..end, "");
            let packs = asked.packs.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            asked.law = Arc::new(Law::read(packs).unwrap());
            return Some(true);
        }
        left -= rules.len();
    }
    None
}

/// A random instant strictly between two.
pub fn between(r: &mut Random, from: Instant, until: Instant) -> Option<Instant> {
    (until.millis() - from.millis() > 1).then(|| Instant::from_millis(r.between(from.millis() + 1, until.millis() - 1)))
}
