//! Whatever pieces of whatever record go: what was denied stays denied, then and later.

use ringfence::contact::holds::Reach;
use ringfence::contact::{
    Age, AttemptId, Consent, Contact, Facts, OptOut, Outcome, PastAttempt, Period, Relationship, Report, Reservation,
    Set, Term, WriteId,
};
use ringfence::decision::decide;
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::v1;
use ringfence::proto::well_known::Timestamp;
use ringfence::time::{Instant, Millis};

use super::evidence::Maker;
use super::questions::{self, Choices, REGISTRIES};
use super::random::Random;

fn stamp(at: Option<Instant>) -> Option<Timestamp> {
    at.map(|at| Timestamp::from_millis(at.millis()))
}

fn numbers<T: Term>(set: Set<T>) -> Vec<i32> {
    set.iter().map(|one| i32::from(one.number())).collect()
}

fn number<T: Term>(term: Option<T>) -> i32 {
    term.map_or(0, |term| i32::from(term.number()))
}

fn text(text: &Option<Box<str>>) -> String {
    text.as_deref().unwrap_or_default().to_owned()
}

fn consent(c: &Consent) -> v1::Consent {
    v1::Consent {
        consent_id: text(&c.id),
        grade: number(c.grade),
        flags: numbers(c.flags),
        channels: numbers(c.channels),
        technologies: numbers(c.technologies),
        purposes: numbers(c.purposes),
        sellers: c.sellers.iter().map(ToString::to_string).collect(),
        products: c.products.iter().map(ToString::to_string).collect(),
        given_at: stamp(c.given_at),
        expires_at: stamp(c.expires_at),
        withdrawn_at: stamp(c.withdrawn_at),
        last_used_at: stamp(c.last_used_at),
        preferred_slot: c
            .preferred_slot
            .map(|slot| v1::Slot { starts_at: stamp(Some(slot.starts_at)), ends_at: stamp(Some(slot.ends_at)) }),
        policy_version: text(&c.policy_version),
        obtained_from: text(&c.obtained_from),
        frequency_cap: c.frequency_cap.map(|cap| v1::FrequencyCap {
            count: cap.count,
            period: match cap.period {
                Period::Day => "day",
                Period::Week => "week",
                Period::Month => "month",
            }
            .to_owned(),
        }),
        method: number(c.method),
        notice_given: c.notice_given,
        forced: c.forced,
        evidence_ref: text(&c.evidence_ref),
        ..v1::Consent::default()
    }
}

fn opt_out(o: &OptOut) -> v1::RecordOptOutRequest {
    v1::RecordOptOutRequest {
        opt_out_id: text(&o.id),
        scope: Some(v1::OptOutScope {
            channels: numbers(o.scope.channels),
            purposes: numbers(o.scope.purposes),
            campaigns: Vec::new(),
            sellers: o.scope.sellers.iter().map(ToString::to_string).collect(),
            subjects: o.scope.subjects.iter().map(ToString::to_string).collect(),
            everything: o.scope.everything,
        }),
        at: stamp(o.at),
        wording: "Leave me alone.".to_owned(),
        ..v1::RecordOptOutRequest::default()
    }
}

fn tie(tie: &Relationship) -> v1::Relationship {
    v1::Relationship {
        seller: tie.seller.as_ref().map(ToString::to_string).unwrap_or_default(),
        last_purchase_at: stamp(tie.last_purchase_at),
        last_inquiry_at: stamp(tie.last_inquiry_at),
        last_donation_at: stamp(tie.last_donation_at),
        contract_active: tie.contract_active,
        contract_ended_at: stamp(tie.contract_ended_at),
        offer_related: tie.offer_related,
        personal: tie.personal,
    }
}

fn receipt(r: &mut Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&r.next().to_le_bytes());
    bytes
}

fn attempt(contact: &mut Contact, past: &PastAttempt, index: usize) {
    let id = past.id.clone().unwrap_or_else(|| AttemptId::new(&format!("a-{index}")).unwrap());
    let request = v1::CheckRequest {
        channel: number(past.channel),
        technology: number(past.technology),
        purpose: number(past.purpose),
        seller: past.seller.as_ref().map(ToString::to_string).unwrap_or_default(),
        subject: past.subject.as_ref().map(ToString::to_string).unwrap_or_default(),
        campaign: past.campaign.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..v1::CheckRequest::default()
    };
    let use_by = past.latest.plus(Millis(1));
    contact.reserve(&Reservation { id: &id, request: &request, decision: [7; 16], use_by }, past.earliest);
    if let Some(outcome) = past.outcome {
        let report = Report { outcome, started_at: Some(past.earliest), ended_at: past.ended_at };
        let _ = contact.report(&id, &report, past.latest);
    }
}

/// A record with these facts in it, each recorded when it was told.
fn recorded(r: &mut Random, facts: &Facts, number: ringfence::place::Number, now: Instant) -> Contact {
    let mut contact = Contact::new(number, now.minus(Millis::days(2_000)));
    let mut attempts = facts.attempts.clone();
    attempts.sort_by_key(|past| past.earliest);
    for (index, past) in attempts.iter().filter(|past| past.earliest <= now).enumerate() {
        attempt(&mut contact, past, index);
    }
    let mut told: Vec<(Instant, Option<&Consent>, Option<&OptOut>)> = facts
        .consents
        .iter()
        .map(|c| (c.recorded_at.unwrap_or(now).min(now), Some(c), None))
        .chain(facts.opt_outs.iter().map(|o| (o.recorded_at.unwrap_or(now).min(now), None, Some(o))))
        .collect();
    told.sort_by_key(|(at, ..)| *at);
    for (index, (at, given, said)) in told.into_iter().enumerate() {
        let id = WriteId::new(&format!("w-{index}"), b"x");
        if let Some(given) = given {
            contact.add_consent(&consent(given), "", id, receipt(r), at);
        }
        if let Some(said) = said {
            contact.add_opt_out(&opt_out(said), id, receipt(r), at);
        }
    }
    for known in &facts.relationships {
        let changed = v1::ContactFacts { relationship: Some(tie(known)), ..v1::ContactFacts::default() };
        contact.update(&changed, &["relationship".to_owned()], None, receipt(r), now.minus(Millis::days(900)));
    }
    for age in facts.ages.iter().chain(&facts.ages) {
        let age = match age {
            Age::Years(years) => Some(u32::from(*years)),
            Age::BornOn(_) => Some(13),
        };
        contact.update(&v1::ContactFacts { age, ..Default::default() }, &["age".to_owned()], None, receipt(r), now);
    }
    if let Some(residence) = facts.residences.first() {
        let changed = v1::ContactFacts { residence: residence.to_string(), ..Default::default() };
        contact.update(&changed, &["residence".to_owned()], None, receipt(r), now);
    }
    contact
}

#[test]
fn no_removal_turns_a_denial_into_leave() {
    let law = std::sync::Arc::new(Law::read(BUILT_IN.iter().copied()).unwrap());
    let choices = Choices::default();
    let count: u64 = std::env::var("RINGFENCE_TWIN_QUESTIONS").ok().map_or(1_000, |text| text.parse().unwrap());
    let (mut removed, mut tightened, mut denied) = (0_usize, 0_usize, 0_usize);
    for seed in 1..=count {
        let r = &mut Random::new(seed ^ 0x5eed << 24);
        let mut asked = questions::question(r, &law, &choices);
        let maker = Maker { now: asked.now, registries: REGISTRIES };
        let mut facts = maker.facts(r, true);
        facts.consents.extend(super::evidence::more(r, asked.now, true).consents);
        facts.residences.clone_from(&asked.stored.residences);
        // Callers assert under the ids that are stored: what is gone must not make room for them.
        if r.chance(50) {
            asked.asserted.consents.extend(super::evidence::more(r, asked.now, false).consents);
        }
        let mut before = recorded(r, &facts, asked.number, asked.now);
        // An erasure leaves what forbids contact, and of consents what a hold keeps: a sweep opens neither.
        if r.chance(15) {
            let scope = v1::OptOutScope { purposes: vec![v1::Purpose::Marketing.into()], ..Default::default() };
            before = before.erased(scope, &[Reach::Consents], None, receipt(r), asked.now).0;
        }
        let mut after = before.clone();
        let scraps: Vec<_> = after.scraps(&[], asked.now).into_iter().filter(|one| one.is_removable()).collect();
        let gone: Vec<_> = scraps.into_iter().filter(|_| r.chance(70)).collect();
        removed += gone.len();
        after.remove(&gone);
        let _ = after.settle(asked.now, true, true);
        // Removing twice is removing once, and the stored form reads back.
        assert_eq!(Contact::from_bytes(&after.to_bytes()).unwrap(), after);
        for delta in [0, r.between(0, 86_400_000), 86_400_000 * r.between(0, 450)] {
            let later = asked.now.plus(Millis(delta));
            let answer = |contact: &Contact| {
                let mut then = asked.clone();
                (then.now, then.stored) = (later, contact.facts(None));
                decide(&then.question())
            };
            let (with, without) = (answer(&before), answer(&after));
            denied += usize::from(!with.allows());
            tightened += usize::from(with.allows() && !without.allows());
            let rules: Vec<_> = with.reasons.iter().map(|reason| reason.rule_id().to_owned()).collect();
            assert!(with.allows() || !without.allows(), "seed {seed}: {later}: opened what {rules:?} closed");
        }
    }
    assert!(removed > 1_000 && denied > 1_000 && tightened > 0, "{removed} {denied} {tightened}");
    let _ = Outcome::ALL;
}
