//! I3: whatever fails is not an ALLOW. A store that fails in every way, deadlines, and what is told and logged of it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfence::engine::Engine;
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::{Calls, Incoming, routes};
use ringfence::store::Store;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

use super::faulty::{Fault, Faulty};
use super::support::{engine, engine_over, families, opt_out};
use super::{NUMBER, Served, notice, pinned, reason, refusal, serve};

fn over_faulty() -> (Arc<Faulty>, Arc<Engine>) {
    let store = Arc::new(Faulty::new());
    (Arc::clone(&store), engine_over(Arc::clone(&store) as Arc<dyn Store>))
}

fn emergency() -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..notice() }
}

/// UNAVAILABLE, to be asked again.
#[track_caller]
fn unavailable(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(reason(status), "STORE_UNAVAILABLE");
    let delay = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| delay > Duration::ZERO), "{status:?}");
}

async fn all_calls_with_state(served: &Served) -> Vec<Status> {
    let number = || NUMBER.to_owned();
    let (mut check, mut consent, mut control) = (served.check(), served.consent(), served.control());
    let report = v1::ReportOutcomeRequest {
        number: number(),
        attempt_id: "a".to_owned(),
        outcome: v1::Outcome::Busy.into(),
        ..Default::default()
    };
    let given = v1::RecordConsentRequest {
        number: number(),
        request_id: "c".to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::Express.into(),
            given_at: super::stamp("2026-01-01T00:00:00Z"),
            ..Default::default()
        }),
        ..Default::default()
    };
    let update = v1::UpdateContactRequest {
        number: number(),
        request_id: "u".to_owned(),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    };
    let by = || ("ann".to_owned(), "A test.".to_owned());
    let freeze = v1::FreezeRequest {
        request_id: "f".to_owned(),
        target: Some(v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) }),
        who: by().0,
        why: by().1,
        until: None,
    };
    let unfreeze =
        v1::UnfreezeRequest { request_id: "l".to_owned(), freeze_id: "f".to_owned(), who: by().0, why: by().1 };
    vec![
        refusal(control.freeze(freeze).await),
        refusal(control.unfreeze(unfreeze).await),
        refusal(control.list_freezes(v1::ListFreezesRequest::default()).await),
        refusal(control.list_emergencies(v1::ListEmergenciesRequest::default()).await),
        refusal(check.check(notice()).await),
        refusal(check.check(pinned()).await),
        refusal(check.report_outcome(report).await),
        refusal(consent.record_consent(given).await),
        refusal(consent.record_opt_out(opt_out(NUMBER, "s")).await),
        refusal(consent.update_contact(update).await),
        refusal(consent.get_contact(v1::GetContactRequest { number: number(), ..Default::default() }).await),
    ]
}

#[tokio::test]
async fn without_a_store_nothing_but_an_emergency_is_answered() {
    let (store, engine) = over_faulty();
    let served = serve(Arc::clone(&engine)).await;
    store.set(Fault::Away);
    for status in all_calls_with_state(&served).await {
        unavailable(&status);
    }
    let batch = v1::CheckBatchRequest { checks: vec![notice(), emergency(), pinned()] };
    let results = served.check().check_batch(batch).await.unwrap().into_inner().results;
    let verdict = |result: &v1::CheckResult| match result.result.as_ref().unwrap() {
        v1::check_result::Result::Decision(decision) => (decision.verdict(), decision.degraded),
        v1::check_result::Result::Error(status) => {
            assert_eq!(status.code, i32::from(Code::Unavailable));
            (Verdict::Unspecified, false)
        }
    };
    let verdicts: Vec<_> = results.iter().map(verdict).collect();
    assert_eq!(verdicts, [(Verdict::Unspecified, false), (Verdict::Allow, true), (Verdict::Unspecified, false)]);
    let decision = served.decide(emergency()).await;
    assert!(decision.verdict() == Verdict::Allow && decision.degraded && decision.use_by.is_none(), "{decision:?}");
    assert_eq!(engine.not_ready().await.len(), 1);
    // The law needs no store.
    served.law().list_packs(v1::ListPacksRequest {}).await.unwrap();

    store.set(Fault::None);
    let decision = served.decide(emergency()).await;
    assert!(decision.verdict() == Verdict::Allow && !decision.degraded, "{decision:?}");
    assert_eq!(served.decide(notice()).await.verdict(), Verdict::Allow);
    assert!(engine.not_ready().await.is_empty());
}

/// Nothing can be counted, so nothing is granted; what needs no writing is answered.
#[tokio::test]
async fn on_a_full_disk_denials_and_dry_runs_are_answered_and_nothing_is_granted() {
    let (store, engine) = over_faulty();
    let served = serve(engine).await;
    store.set(Fault::Full);
    unavailable(&served.refused(notice()).await);
    unavailable(&refusal(served.consent().record_opt_out(opt_out(NUMBER, "s")).await));
    assert_eq!(served.decide(pinned()).await.verdict(), Verdict::Allow);
    let mut denied = notice();
    denied.evidence.get_or_insert_default().opt_outs =
        vec![v1::OptOut { scope: opt_out(NUMBER, "").scope, ..Default::default() }];
    assert_eq!(families(&served.decide(denied).await), ["RULE_FAMILY_OPT_OUT"]);
    let decision = served.decide(emergency()).await;
    assert!(decision.verdict() == Verdict::Allow && decision.degraded, "{decision:?}");

    store.set(Fault::TooLarge);
    let status = refusal(served.consent().record_opt_out(opt_out(NUMBER, "s")).await);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "RECORD_TOO_LARGE"));
}

/// The write happened and its answer was lost: asked again, it is recognised as the same.
#[tokio::test]
async fn a_lost_answer_is_no_second_write() {
    let (store, engine) = over_faulty();
    let served = serve(engine).await;
    store.set(Fault::LostAnswer);
    let named = v1::CheckRequest { attempt_id: "a-1".to_owned(), ..notice() };
    unavailable(&served.refused(named.clone()).await);
    store.set(Fault::None);
    assert_eq!(served.decide(named).await.verdict(), Verdict::Allow);
    store.set(Fault::LostAnswer);
    unavailable(&refusal(served.consent().record_opt_out(opt_out(NUMBER, "s")).await));
    store.set(Fault::None);
    served.consent().record_opt_out(opt_out(NUMBER, "s")).await.unwrap();
    let request = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    let contact = served.consent().get_contact(request).await.unwrap().into_inner().contact.unwrap();
    assert_eq!((contact.attempts.len(), contact.opt_outs.len()), (1, 1));
}

/// A store that hangs keeps nobody waiting beyond the deadline.
#[tokio::test]
async fn a_store_that_hangs_is_given_up_at_the_deadline() {
    let (store, engine) = over_faulty();
    let calls = Calls::new(engine);
    store.set(Fault::Hang);
    let patient = || Incoming::local(Some(Duration::from_millis(20)));
    let status = refusal(calls.check(patient(), notice()).await);
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert_eq!(refusal(calls.record_opt_out(patient(), opt_out(NUMBER, "s")).await).code(), Code::DeadlineExceeded);
    let batch = v1::CheckBatchRequest { checks: vec![notice(), notice()] };
    assert_eq!(refusal(calls.check_batch(patient(), batch).await).code(), Code::DeadlineExceeded);
}

/// A message with the frame that gRPC puts around it.
fn framed(message: &impl prost::Message) -> Body {
    let bytes = message.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    Body::new(axum::body::Body::from([&[0], &length[..], &bytes].concat()))
}

/// No client library sends a deadline that has passed; this goes past them.
async fn at_once(engine: &Arc<Engine>, path: &str, message: &impl prost::Message, timeout: &str) -> Status {
    let (routes, _) = routes(Calls::new(Arc::clone(engine))).unwrap();
    let request = http::Request::post(format!("http://x{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(framed(message))
        .unwrap();
    let response = routes.prepare().call(request).await.unwrap();
    Status::from_header_map(response.headers()).unwrap_or_else(|| Status::ok(""))
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_told_and_nothing_is_reserved() {
    let engine = engine();
    for timeout in ["0n", "1n", "0S"] {
        let status = at_once(&engine, "/ringfence.v1.CheckService/Check", &notice(), timeout).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status:?}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    }
    let batch = v1::CheckBatchRequest { checks: vec![notice(); 3] };
    let status = at_once(&engine, "/ringfence.v1.CheckService/CheckBatch", &batch, "0n").await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    let status = at_once(&engine, "/ringfence.v1.ConsentService/RecordOptOut", &opt_out(NUMBER, "s"), "0n").await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    let request = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    let status = at_once(&engine, "/ringfence.v1.ConsentService/GetContact", &request, "10S").await;
    assert_eq!(status.code(), Code::NotFound, "nothing was written: {status:?}");
    // A deadline that cannot be read is none.
    let status = at_once(&engine, "/ringfence.v1.CheckService/Check", &notice(), "soon").await;
    assert_eq!(status.code(), Code::Ok, "{status:?}");
}

/// Everything logged by this process, for all its tests at once.
#[derive(Clone, Copy)]
struct Kept;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_the_operator_why_and_nobody_the_number() {
    let subscriber = tracing_subscriber::fmt().with_env_filter("ringfence=trace").with_ansi(false).with_writer(|| Kept);
    subscriber.init();
    let (store, engine) = over_faulty();
    let served = serve(engine).await;
    served.decide(notice()).await;
    served.refused(v1::CheckRequest { channel: 99, ..notice() }).await;
    store.set(Fault::Away);
    served.decide(emergency()).await;
    for status in all_calls_with_state(&served).await {
        unavailable(&status);
    }
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    assert!(log.contains(super::faulty::PLACE), "the operator is told where: {log}");
    assert!(log.contains("emergency answered without a store"), "{log}");
    assert!(log.contains("+1305555••23"), "masked: {log}");
    for number in ["3055550123", "12125550123"] {
        assert!(!log.contains(number), "a whole number in the log: {log}");
    }
}
