//! A clock that was set back. What was recorded under the later time still holds: opt-outs, caps, ids.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::{Clock, Engine, Failure};
use ringfence::proto::v1::{self, Verdict};
use ringfence::proto::well_known::Timestamp;
use ringfence::time::{Instant, Millis};

use super::support::{DAY, at, durable, engine, families, florida, opt_out, permit, stamp};

const NUMBER: &str = "+13055550123";
/// How far the clock is set back: summer time by hand, a zone mistaken for another, a wrong day, month, year.
const STEPS: [i64; 5] = [1, 9, 25, 24 * 40, 24 * 365];

fn hours(hours: i64) -> Millis {
    Millis(hours * 3_600_000)
}

/// Asks; both lists were looked at this very moment.
async fn check(engine: &Engine, mut request: v1::CheckRequest, now: Instant) -> v1::Decision {
    for look in &mut request.evidence.as_mut().unwrap().registry_checks {
        look.checked_at = Some(Timestamp::from_millis(now.millis()));
    }
    engine.check(&permit(Role::Check), request, Clock::at(now)).await.unwrap()
}

fn named(id: &str) -> v1::CheckRequest {
    v1::CheckRequest { attempt_id: id.to_owned(), ..florida(NUMBER) }
}

async fn contact(engine: &Engine) -> v1::Contact {
    let request = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await.unwrap()
}

fn consent(given: Instant, request_id: &str) -> v1::RecordConsentRequest {
    v1::RecordConsentRequest {
        number: NUMBER.to_owned(),
        request_id: request_id.to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::ExpressWritten.into(),
            given_at: Some(Timestamp::from_millis(given.millis())),
            evidence_ref: "form-7".to_owned(),
            method: v1::ConsentMethod::WebForm.into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_opt_out_recorded_at_a_later_time_is_seen_now() {
    for step in STEPS {
        let engine = engine();
        let later = at(DAY).plus(hours(step));
        let write = permit(Role::WriteConsent);
        let first = engine.record_opt_out(&write, opt_out(NUMBER, "stop"), Clock::at(later)).await.unwrap();
        let decision = check(&engine, florida(NUMBER), at(DAY)).await;
        assert!(families(&decision).contains(&"RULE_FAMILY_OPT_OUT"), "{step} h: {:?}", decision.reasons);
        assert_eq!(decision.retry_at, None, "{step} h");
        // The same request again is the same write, whatever the clock says.
        let again = engine.record_opt_out(&write, opt_out(NUMBER, "stop"), Clock::at(at(DAY))).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(contact(&engine).await.opt_outs.len(), 1);
    }
}

#[tokio::test]
async fn reservations_of_a_later_time_count_now() {
    // Calls are open at each of these times.
    for step in [1, 24, 24 * 40, 24 * 365] {
        let engine = engine();
        let later = at(DAY).plus(hours(step));
        for id in ["a", "b", "c"] {
            assert_eq!(check(&engine, named(id), later).await.verdict(), Verdict::Allow, "{step} h");
        }
        let denied = check(&engine, named("d"), at(DAY)).await;
        assert_eq!(families(&denied), ["RULE_FAMILY_CAP"], "{step} h");
        // Asked again, one of the three is renewed and counts once; it does not make room for a fourth.
        assert_eq!(check(&engine, named("b"), at(DAY)).await.verdict(), Verdict::Allow, "{step} h");
        assert_eq!(contact(&engine).await.attempts.len(), 3);
        assert_eq!(check(&engine, named("d"), at(DAY)).await.verdict(), Verdict::Deny, "{step} h");
        if step <= 24 {
            assert_eq!(check(&engine, named("d"), later).await.verdict(), Verdict::Deny, "{step} h");
        }
        // Reported under the earlier time: the outcome is kept, and made or not it counts as told.
        report(&engine, "a", v1::Outcome::NoAnswer).await.unwrap();
        assert_eq!(check(&engine, named("d"), at(DAY)).await.verdict(), Verdict::Deny, "{step} h");
        let used = engine.check(&permit(Role::Check), named("a"), Clock::at(at(DAY))).await;
        assert!(matches!(used, Err(Failure::AlreadyExists(_))), "{used:?}");
        assert!(report(&engine, "c", v1::Outcome::NotAttempted).await.unwrap().released);
        assert_eq!(check(&engine, named("d"), at(DAY)).await.verdict(), Verdict::Allow, "{step} h");
    }
}

async fn report(engine: &Arc<Engine>, id: &str, outcome: v1::Outcome) -> Result<v1::ReportOutcomeResponse, Failure> {
    let request = v1::ReportOutcomeRequest {
        number: NUMBER.to_owned(),
        attempt_id: id.to_owned(),
        outcome: outcome.into(),
        started_at: stamp(DAY),
        ..Default::default()
    };
    engine.report_outcome(&permit(Role::Check), request, Clock::at(at(DAY))).await
}

/// A consent recorded under the wrong, later time must not seem to answer an opt-out that came after it.
#[tokio::test]
async fn an_opt_out_after_a_consent_of_a_later_time_stands() {
    for step in STEPS {
        for said_at in [None, stamp(DAY)] {
            let engine = engine();
            let write = permit(Role::WriteConsent);
            let wrong = at(DAY).plus(hours(step));
            engine.record_consent(&write, consent(wrong.minus(Millis(60_000)), "yes"), Clock::at(wrong)).await.unwrap();
            let right = at(DAY).plus(Millis(300_000));
            let mut stop = opt_out(NUMBER, "stop");
            stop.at = said_at;
            let first = engine.record_opt_out(&write, stop.clone(), Clock::at(right)).await.unwrap();
            for later in [right, wrong, wrong.plus(hours(24))] {
                let decision = check(&engine, florida(NUMBER), later).await;
                assert!(families(&decision).contains(&"RULE_FAMILY_OPT_OUT"), "{step} h: {:?}", decision.reasons);
            }
            let again = engine.record_opt_out(&write, stop, Clock::at(wrong)).await.unwrap();
            assert_eq!(first, again);
        }
    }
}

/// A consent given "later than now" covers nothing yet.
#[tokio::test]
async fn a_consent_of_a_later_time_covers_nothing_before_it() {
    let engine = engine();
    let wrong = at(DAY).plus(hours(2));
    let write = permit(Role::WriteConsent);
    engine.record_consent(&write, consent(wrong, "yes"), Clock::at(wrong)).await.unwrap();
    let mut machine = florida(NUMBER);
    machine.technology = v1::Technology::Prerecorded.into();
    let decision = check(&engine, machine, at(DAY)).await;
    assert!(families(&decision).contains(&"RULE_FAMILY_CONSENT"), "{:?}", decision.reasons);
}

/// With log and store on disk: ids of the later time are found under the earlier one, across a restart, and the log
/// stays whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_and_store_go_on_under_an_earlier_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut answered, mut read) = (Vec::new(), 0);
    for step in [0_i64, 25, 1, -3, 9_000, 0] {
        let durable = durable(folder.path()).await;
        let now = at(DAY).plus(hours(step));
        for index in 0..3 {
            let request = florida(&format!("+1305555{:04}", 1_000 + step.rem_euclid(1_000) * 3 + index));
            answered.push(check(&durable.engine, request, now).await);
        }
        for decision in &answered {
            let record = durable
                .engine
                .decision(&permit(Role::Audit), &decision.decision_id, crate::support::READ_AT)
                .await
                .unwrap();
            assert_eq!(record.decision.unwrap(), *decision);
            read += 1;
        }
        durable.reconciler.tick(now).await.unwrap();
    }
    let store = durable(folder.path()).await.store;
    let anchors = ringfence::audit::anchors(&*store).await.unwrap();
    let expect = ringfence::audit::Expect { anchors, digests: Vec::new() };
    let report = ringfence::audit::verify(&folder.path().join("data/audit"), &expect).unwrap();
    assert!(report.sound(), "{report:?}");
    // A reading has its entry too.
    assert_eq!(report.head.seq, answered.len() as u64 + read);
}
