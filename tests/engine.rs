//! The use cases over real stores: I1, I2, idempotency, outcomes, what the record keeps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

#[path = "engine/forecast.rs"]
mod forecast;
#[path = "engine/readings.rs"]
mod readings;
mod support;

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::audit::Entries;
use ringfence::engine::replay::Vault;
use ringfence::engine::{Engine, Failure};
use ringfence::place::Number;
use ringfence::proto::store::{AuditBody, audit_body, audited_write::Request as Asked};
use ringfence::proto::v1::{self, Verdict};
use ringfence::store::Keys;
use support::{DAY, at, clock, durable, engine, families, florida, opt_out, permit, stamp};

const NUMBER: &str = "+13055550123";

/// What the log says of a reading, in the clear.
const READING: u8 = 5;

async fn check(engine: &Engine, request: v1::CheckRequest, now: &str) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(now)).await.unwrap()
}

fn dry(mut request: v1::CheckRequest) -> v1::CheckRequest {
    request.dry_run = true;
    request
}

fn named(mut request: v1::CheckRequest, id: &str) -> v1::CheckRequest {
    request.attempt_id = id.to_owned();
    request
}

#[tokio::test]
async fn an_allow_reserves_until_the_cap_is_full_and_then_says_when() {
    let engine = engine();
    for _ in 0..3 {
        let decision = check(&engine, florida(NUMBER), DAY).await;
        assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
        assert!(!decision.attempt_id.is_empty());
        assert_eq!(decision.use_by.unwrap().to_millis().unwrap(), at(DAY).millis() + 300_000);
    }
    let denied = check(&engine, florida(NUMBER), DAY).await;
    assert_eq!(families(&denied), ["RULE_FAMILY_CAP"]);
    // The oldest reservation counts as made at its use_by, so its slot frees a day after that.
    assert_eq!(denied.retry_at.unwrap().to_millis().unwrap(), at("2026-11-19T16:05:00Z").millis());
}

#[tokio::test]
async fn dry_runs_count_nothing() {
    let engine = engine();
    for _ in 0..5 {
        assert_eq!(check(&engine, dry(florida(NUMBER)), DAY).await.verdict(), Verdict::Allow);
    }
}

/// I2: sixty-four callers, one slot.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_callers_get_exactly_the_cap_in_memory() {
    race(engine()).await;
}

/// I2, on disk: the same with a group commit and a log between the racers.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_callers_get_exactly_the_cap_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    race(durable(folder.path()).await.engine).await;
}

async fn race(engine: Arc<Engine>) {
    for _ in 0..2 {
        check(&engine, florida(NUMBER), DAY).await;
    }
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { check(&engine, florida(NUMBER), DAY).await })
        })
        .collect();
    let mut granted = 0;
    let mut ids = HashSet::new();
    for racer in racers {
        let decision = racer.await.unwrap();
        granted += usize::from(decision.verdict() == Verdict::Allow);
        assert!(ids.insert(decision.decision_id));
    }
    assert_eq!(granted, 1, "one slot was left of three");
}

/// I1, and the scope of an opt-out.
#[tokio::test]
async fn a_recorded_opt_out_is_seen_by_the_next_check_whatever_its_date_says() {
    let engine = engine();
    let mut request = opt_out(NUMBER, "stop-1");
    // A skewed clock dates it into the future; it still counts at once.
    request.at = stamp("2026-12-24T00:00:00Z");
    engine.record_opt_out(&permit(Role::WriteConsent), request, clock(DAY)).await.unwrap();
    let decision = check(&engine, florida(NUMBER), DAY).await;
    assert!(families(&decision).contains(&"RULE_FAMILY_OPT_OUT"), "{:?}", decision.reasons);
    assert_eq!(decision.retry_at, None);
    // An asserted consent does not reopen a recorded opt-out, however new it says it is.
    let mut asserted = florida(NUMBER);
    asserted.evidence.as_mut().unwrap().consents = vec![consent("2026-11-18T15:59:00Z")];
    assert!(families(&check(&engine, asserted, DAY).await).contains(&"RULE_FAMILY_OPT_OUT"));
}

fn consent(given_at: &str) -> v1::Consent {
    v1::Consent {
        grade: v1::ConsentGrade::ExpressWritten.into(),
        given_at: stamp(given_at),
        evidence_ref: "form-7".to_owned(),
        method: v1::ConsentMethod::WebForm.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn only_a_consent_recorded_later_with_its_evidence_reopens() {
    let engine = engine();
    let write = permit(Role::WriteConsent);
    engine.record_opt_out(&write, opt_out(NUMBER, "stop-1"), clock(DAY)).await.unwrap();
    let later = "2026-11-18T17:00:00Z";
    let record = |consent: v1::Consent, id: &str| v1::RecordConsentRequest {
        number: NUMBER.to_owned(),
        request_id: id.to_owned(),
        consent: Some(consent),
        ..Default::default()
    };
    // Given before the stop: recording it later changes nothing.
    engine.record_consent(&write, record(consent("2026-11-18T15:00:00Z"), "c1"), clock(later)).await.unwrap();
    assert_eq!(check(&engine, dry(florida(NUMBER)), later).await.verdict(), Verdict::Deny);
    // Given after it, without evidence.
    let mut bare = consent("2026-11-18T16:30:00Z");
    bare.evidence_ref.clear();
    engine.record_consent(&write, record(bare, "c2"), clock(later)).await.unwrap();
    assert_eq!(check(&engine, dry(florida(NUMBER)), later).await.verdict(), Verdict::Deny);
    engine.record_consent(&write, record(consent("2026-11-18T16:30:00Z"), "c3"), clock(later)).await.unwrap();
    let decision = check(&engine, dry(florida(NUMBER)), later).await;
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
}

#[tokio::test]
async fn the_same_attempt_asked_again_is_renewed_and_counts_once() {
    let engine = engine();
    let first = check(&engine, named(florida(NUMBER), "a-1"), DAY).await;
    let again = check(&engine, named(florida(NUMBER), "a-1"), "2026-11-18T16:02:00Z").await;
    assert_eq!((first.verdict(), again.verdict()), (Verdict::Allow, Verdict::Allow));
    assert_eq!(again.use_by.unwrap().to_millis().unwrap(), at("2026-11-18T16:07:00Z").millis());
    for _ in 0..2 {
        assert_eq!(check(&engine, florida(NUMBER), "2026-11-18T16:03:00Z").await.verdict(), Verdict::Allow);
    }
    // Two others and itself are the three: asked again it does not stand in its own way.
    assert_eq!(check(&engine, named(florida(NUMBER), "a-1"), "2026-11-18T16:04:00Z").await.verdict(), Verdict::Allow);
    assert_eq!(check(&engine, florida(NUMBER), "2026-11-18T16:04:00Z").await.verdict(), Verdict::Deny);
    // An opt-out since then wins.
    engine
        .record_opt_out(&permit(Role::WriteConsent), opt_out(NUMBER, "s"), clock("2026-11-18T16:05:00Z"))
        .await
        .unwrap();
    assert_eq!(check(&engine, named(florida(NUMBER), "a-1"), "2026-11-18T16:05:00Z").await.verdict(), Verdict::Deny);
}

#[tokio::test]
async fn a_reported_or_different_attempt_is_not_asked_again() {
    let engine = engine();
    check(&engine, named(florida(NUMBER), "a-1"), DAY).await;
    let mut other = named(florida(NUMBER), "a-1");
    other.subject = "another".to_owned();
    let refused = engine.check(&permit(Role::Check), other, clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::AlreadyExists(_))), "{refused:?}");
    report(&engine, "a-1", v1::Outcome::NoAnswer, DAY).await.unwrap();
    let refused = engine.check(&permit(Role::Check), named(florida(NUMBER), "a-1"), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::AlreadyExists(_))), "{refused:?}");
}

async fn report(
    engine: &Engine,
    id: &str,
    outcome: v1::Outcome,
    now: &str,
) -> Result<v1::ReportOutcomeResponse, Failure> {
    let request = v1::ReportOutcomeRequest {
        number: NUMBER.to_owned(),
        attempt_id: id.to_owned(),
        outcome: outcome.into(),
        started_at: stamp(now),
        ..Default::default()
    };
    engine.report_outcome(&permit(Role::Check), request, clock(now)).await
}

#[tokio::test]
async fn an_outcome_sets_the_instant_or_releases_and_is_idempotent() {
    let engine = engine();
    for id in ["a", "b", "c"] {
        check(&engine, named(florida(NUMBER), id), DAY).await;
    }
    assert!(report(&engine, "b", v1::Outcome::NotAttempted, DAY).await.unwrap().released);
    assert_eq!(check(&engine, dry(florida(NUMBER)), DAY).await.verdict(), Verdict::Allow, "the slot was released");
    let first = report(&engine, "a", v1::Outcome::Voicemail, "2026-11-18T16:01:00Z").await.unwrap();
    let again = report(&engine, "a", v1::Outcome::Voicemail, "2026-11-18T16:01:00Z").await.unwrap();
    assert_eq!(first.recorded_at, again.recorded_at);
    assert!(matches!(report(&engine, "a", v1::Outcome::Busy, DAY).await, Err(Failure::AlreadyExists(_))));
    assert!(matches!(report(&engine, "zzz", v1::Outcome::Busy, DAY).await, Err(Failure::NotFound(_))));
    // Reported late, it counts at its real instant: 24 hours after 16:01 the slot is free again.
    check(&engine, florida(NUMBER), DAY).await;
    let denied = check(&engine, florida(NUMBER), "2026-11-18T16:10:00Z").await;
    assert_eq!(denied.retry_at.unwrap().to_millis().unwrap(), at("2026-11-19T16:01:00Z").millis());
}

#[tokio::test]
async fn a_write_asked_again_is_the_same_write_and_its_id_serves_nothing_else() {
    let engine = engine();
    let write = permit(Role::WriteConsent);
    let first = engine.record_opt_out(&write, opt_out(NUMBER, "id-1"), clock(DAY)).await.unwrap();
    let again = engine.record_opt_out(&write, opt_out(NUMBER, "id-1"), clock("2026-11-20T00:00:00Z")).await.unwrap();
    assert_eq!(first, again);
    let mut other = opt_out(NUMBER, "id-1");
    other.wording = "stop it".to_owned();
    assert!(matches!(engine.record_opt_out(&write, other, clock(DAY)).await, Err(Failure::AlreadyExists(_))));
    let request = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await.unwrap();
    assert_eq!(contact.opt_outs.len(), 1);
}

#[tokio::test]
async fn facts_are_superseded_not_lost_and_only_the_mask_changes() {
    let engine = engine();
    let write = permit(Role::WriteConsent);
    let update = |residence: &str, id: &str| v1::UpdateContactRequest {
        number: "+12125550123".to_owned(),
        request_id: id.to_owned(),
        facts: Some(v1::ContactFacts {
            residence: residence.to_owned(),
            line_type: v1::LineType::Landline.into(),
            ..Default::default()
        }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    };
    engine.update_contact(&write, update("US-FL", "u1"), clock(DAY)).await.unwrap();
    engine.update_contact(&write, update("US-TX", "u2"), clock("2026-11-18T16:01:00Z")).await.unwrap();
    let request = v1::GetContactRequest { number: "+12125550123".to_owned(), ..Default::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await.unwrap();
    assert_eq!(contact.dated_facts.len(), 2, "both residences, no line type");
    assert_eq!(contact.dated_facts.iter().filter(|fact| fact.superseded_at.is_some()).count(), 1);
    let decision = check(&engine, dry(florida("+12125550123")), DAY).await;
    assert_eq!(decision.jurisdictions, ["US-NY", "US-TX"], "the number's own place and the residence that holds");
}

/// The log has every answer, sealed, and gives it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_is_found_again_in_the_log_as_it_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    let asked = [
        check(engine, florida(NUMBER), DAY).await,
        check(engine, dry(florida(NUMBER)), DAY).await,
        check(engine, dry(florida("+13055550199")), DAY).await,
        check(engine, dry(florida("not a number")), DAY).await,
    ];
    for decision in asked {
        let record =
            engine.decision(&permit(Role::Audit), &decision.decision_id, crate::support::READ_AT).await.unwrap();
        assert_eq!(record.decision.unwrap(), decision);
        assert!(record.request.is_some() && record.position.unwrap().sequence > 0);
    }
    let unknown =
        engine.decision(&permit(Role::Audit), "0190a5c6-0000-7000-8000-000000000000", crate::support::READ_AT).await;
    assert!(matches!(unknown, Err(Failure::NotFound(_))));
}

/// Who read what, and when, is in the log; the number is not, not even sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reading_leaves_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    let decision = check(engine, florida(NUMBER), DAY).await;
    let (reads, audits) = (permit(Role::ReadContacts), permit(Role::Audit));
    for number in [NUMBER, "+13055550199"] {
        let asked = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
        let found = engine.contact(&reads, &asked, support::READ_AT).await;
        assert_eq!(found.is_ok(), number == NUMBER);
    }
    engine.decision(&audits, &decision.decision_id, support::READ_AT).await.unwrap();
    let list = v1::ListDecisionsRequest { number: NUMBER.to_owned(), ..Default::default() };
    assert_eq!(engine.decisions(&audits, &list, clock(DAY)).await.unwrap().records.len(), 1);
    // What was asked for comes behind all that was written before.
    engine.decision(&audits, &decision.decision_id, support::READ_AT).await.unwrap();
    let vault = Vault::new(Some(Arc::clone(&durable.store)), Keys::open(&folder.path().join("keys")).unwrap());
    let mut entries = Entries::open(&folder.path().join("data/audit"), None).unwrap();
    let (mut readings, tag) = (Vec::new(), vault.tag(Number::parse(NUMBER, None).unwrap()));
    while let Some((found, _)) = entries.next_entry().unwrap() {
        if found.entry.kind != READING {
            continue;
        }
        let body = AuditBody::decode(&*vault.open(&found.entry).await.unwrap().unwrap()).unwrap();
        let Some(audit_body::Body::Write(write)) = body.body else { panic!("a reading tells who read") };
        readings.push((write.request.unwrap(), found.entry.tag == Some(tag)));
    }
    let expected = [
        (Asked::GetContact(v1::GetContactRequest::default()), true),
        (Asked::GetContact(v1::GetContactRequest::default()), false),
        (Asked::GetDecision(v1::GetDecisionRequest { decision_id: decision.decision_id.clone() }), true),
        (Asked::ListDecisions(v1::ListDecisionsRequest::default()), true),
    ];
    assert_eq!(readings[..4], expected);
}

/// A seller is one in whichever spelling where that stops contacts; a consent covers the one it names to the letter.
#[tokio::test]
async fn a_seller_is_stopped_in_whichever_spelling() {
    let (write, scope) = (permit(Role::WriteConsent), |seller: &str| {
        Some(v1::OptOutScope { sellers: vec![seller.to_owned()], ..Default::default() })
    });
    for (spelling, stops) in
        [("acme", true), ("ACME", true), (" Acme  ", true), ("acm\u{c9}", false), ("ac me", false), ("borealis", false)]
    {
        let engine = engine();
        let said = v1::RecordOptOutRequest { scope: scope(spelling), ..opt_out(NUMBER, "o") };
        engine.record_opt_out(&write, said, clock(DAY)).await.unwrap();
        let denied = check(&engine, dry(florida(NUMBER)), DAY).await;
        assert_eq!(families(&denied).contains(&"RULE_FAMILY_OPT_OUT"), stops, "{spelling:?}: {:?}", denied.reasons);
    }
    // Three calls in one spelling leave none for another.
    let engine = engine();
    for _ in 0..3 {
        let asked = v1::CheckRequest { seller: "ACME".to_owned(), ..florida(NUMBER) };
        assert_eq!(check(&engine, asked, DAY).await.verdict(), Verdict::Allow);
    }
    assert_eq!(families(&check(&engine, florida(NUMBER), DAY).await), ["RULE_FAMILY_CAP"]);
    let other = v1::CheckRequest { seller: "borealis".to_owned(), ..florida(NUMBER) };
    assert_eq!(check(&engine, other, DAY).await.verdict(), Verdict::Allow);
    // What allows is compared as it is.
    let automatic = |seller: &str| v1::CheckRequest {
        technology: v1::Technology::Prerecorded.into(),
        line_type: v1::LineType::Mobile.into(),
        seller: seller.to_owned(),
        evidence: Some(v1::Evidence {
            consents: vec![v1::Consent {
                grade: v1::ConsentGrade::ExpressWritten.into(),
                sellers: vec!["ACME".to_owned()],
                given_at: stamp("2026-11-01T00:00:00Z"),
                evidence_ref: "form".to_owned(),
                flags: vec![v1::ConsentFlag::Separate.into()],
                obtained_from: "person".to_owned(),
                method: v1::ConsentMethod::WebForm.into(),
                wording: "Yes, ACME may call me by machine.".to_owned(),
                notice_given: Some(true),
                forced: Some(false),
                ..Default::default()
            }],
            ..florida(NUMBER).evidence.unwrap()
        }),
        ..dry(florida("+13055550177"))
    };
    let lacks = async |seller| families(&check(&engine, automatic(seller), DAY).await).contains(&"RULE_FAMILY_CONSENT");
    assert_eq!((lacks("ACME").await, lacks("acme").await), (false, true));
}

/// The futures that a server keeps for each request under way.
#[tokio::test]
async fn requests_under_way_are_small() {
    let engine = engine();
    let (reads, writes, checks) = (permit(Role::ReadContacts), permit(Role::WriteConsent), permit(Role::Check));
    let get = v1::GetContactRequest::default();
    let sizes = [
        ("check", size_of_val(&engine.check(&checks, florida(NUMBER), clock(DAY)))),
        ("record_opt_out", size_of_val(&engine.record_opt_out(&writes, opt_out(NUMBER, "o"), clock(DAY)))),
        ("contact", size_of_val(&engine.contact(&reads, &get, support::READ_AT))),
        (
            "record_consent",
            size_of_val(&engine.record_consent(&writes, v1::RecordConsentRequest::default(), clock(DAY))),
        ),
        ("check_many", size_of_val(&engine.check_many(&checks, Vec::new(), clock(DAY)))),
    ];
    println!("{sizes:?}");
    assert!(sizes.iter().all(|(_, size)| *size <= 48 << 10), "{sizes:?}");
}
