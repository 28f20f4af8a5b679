//! More than is answered in time: checks are refused at once and told when to ask again; opt-outs, switches, health and
//! EMERGENCY go on; what was let in is answered, and of what was refused nothing was done.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ringfence::access::{Access, Callers, Gate, GateSettings, Lane, Limits};
use ringfence::engine::{Engine, Tenants};
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::{Apart, Calls};
use ringfence::store::Store;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use tower::Service as _;

use super::faulty::{Fault, Faulty};
use super::support::{engine, engine_over, opt_out};
use super::{Served, notice, reason, refusal, serve_calls};

/// Where calls are answered while others are refused.
static APART: LazyLock<Apart> = LazyLock::new(|| Apart::start().unwrap());

/// Checks that are let in at once.
pub const MOST: u32 = 4;

pub async fn behind_a_gate() -> (Arc<Faulty>, Arc<Engine>, Calls, Served) {
    let store = Arc::new(Faulty::new());
    let engine = engine_over(Arc::clone(&store) as Arc<dyn Store>);
    let gate = Gate::new(GateSettings { checks: MOST, ..GateSettings::default() });
    let calls = Calls::new(Arc::clone(&engine)).behind(Arc::new(gate)).apart(APART.handle());
    let served = serve_calls(calls.clone()).await;
    (store, engine, calls, served)
}

pub fn about(number: u32) -> v1::CheckRequest {
    v1::CheckRequest { number: format!("+1305555{number:04}"), ..notice() }
}

pub fn emergency() -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), dry_run: true, ..about(9) }
}

pub async fn until(what: impl Fn() -> bool) {
    let waited = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waited).await.expect("it came to pass");
}

/// RESOURCE_EXHAUSTED, with when to ask again.
#[track_caller]
pub fn overloaded(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "OVERLOADED"), "{status:?}");
    let after = status.get_error_details().retry_info().and_then(|info| info.retry_delay).unwrap();
    assert!(after >= Duration::from_millis(250), "{after:?}");
}

/// The same as JSON.
pub const QUESTION: &str =
    r#"{"number":"+13055550008","channel":"CHANNEL_CALL","purpose":"PURPOSE_INFORMATIONAL","seller":"acme"}"#;

async fn ask_over_http(calls: &Calls) -> http::Response<axum::body::Body> {
    let request = http::Request::post("/v1/check").body(axum::body::Body::from(QUESTION)).unwrap();
    ringfence::http::router(calls.clone()).call(request).await.unwrap()
}

/// Nobody learns what became of it: that is counted as such, also where the caller says nothing but goes away.
#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_callers_went_away_are_counted() {
    let (store, engine, calls, served) = behind_a_gate().await;
    store.set(Fault::Held);
    let mut client = served.check();
    let asked = tokio::spawn(async move { client.check(about(1)).await });
    until(|| store.waiting() == 1).await;
    let told = |line: &str| engine.metrics().text().lines().any(|found| found == line);
    assert!(!engine.metrics().text().contains("CANCELLED"));
    asked.abort();
    until(|| told("ringfence_requests_total{method=\"Check\",code=\"CANCELLED\"} 1")).await;
    store.set(Fault::Hang);
    let mut asking = Box::pin(ask_over_http(&calls));
    assert!(futures_util::poll!(asking.as_mut()).is_pending());
    drop(asking);
    assert!(told("ringfence_requests_total{method=\"/v1/check\",code=\"CANCELLED\"} 1"));
    assert!(told("ringfence_tenant_requests_total{tenant=\"default\",code=\"CANCELLED\"} 2"));
    store.set(Fault::None);
    assert_eq!(served.decide(about(2)).await.verdict(), Verdict::Allow);
    assert!(told("ringfence_requests_total{method=\"Check\",code=\"OK\"} 1"), "what is answered is not given up");
    assert!(told("ringfence_requests_total{method=\"Check\",code=\"CANCELLED\"} 1"));
}

/// Threads that read what is refused would not come to it behind a crowd of answers.
#[tokio::test(flavor = "multi_thread")]
async fn while_calls_are_refused_others_are_answered_on_threads_of_their_own() {
    let (store, _engine, calls, served) = behind_a_gate().await;
    served.decide(about(0)).await;
    assert!(!store.wrote().is_empty() && store.wrote() != "ringfence-apart", "{}", store.wrote());
    store.set(Fault::Held);
    let ask = |number| {
        let mut client = served.check();
        tokio::spawn(async move { client.check(about(number)).await })
    };
    let held: Vec<_> = (1..=MOST).map(ask).collect();
    until(|| store.waiting() == 4).await;
    overloaded(&served.refused(about(8)).await);
    let mut consents = served.consent();
    let goes_away = tokio::spawn(async move { consents.record_opt_out(opt_out("+13055550007", "o-1")).await });
    until(|| store.waiting() == 5).await;
    assert_eq!(store.wrote(), "ringfence-apart");
    goes_away.abort();
    until(|| calls.gate().state().lanes[1].1 == 0).await;
    // So is a burst of a stream; one with an emergency is let in.
    let asked = [v1::CheckRequest { dry_run: false, ..emergency() }, about(8)].map(Some);
    let mut asking = served.check();
    let burst = tokio::spawn(async move {
        let asked = asked.map(|check| v1::CheckStreamRequest { check });
        asking.check_stream(tokio_stream::iter(asked)).await.unwrap().into_inner().message().await
    });
    until(|| store.waiting() >= 6).await;
    assert_eq!(store.wrote(), "ringfence-apart");
    store.set(Fault::None);
    for held in held {
        held.await.unwrap().unwrap();
    }
    burst.await.unwrap().unwrap().unwrap();
    assert_eq!(served.decide(about(9)).await.verdict(), Verdict::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_at_once_and_opt_outs_still_enter() {
    let (store, engine, calls, served) = behind_a_gate().await;
    store.set(Fault::Held);
    let ask = |number| {
        let mut client = served.check();
        tokio::spawn(async move { client.check(about(number)).await })
    };
    let held: Vec<_> = (0..MOST).map(ask).collect();
    until(|| store.waiting() == 4).await;

    let status = served.refused(about(8)).await;
    overloaded(&status);
    assert!(status.metadata().get("grpc-retry-pushback-ms").is_some(), "{:?}", status.metadata());
    let batch = v1::CheckBatchRequest { checks: vec![about(8); 3] };
    overloaded(&refusal(served.check().check_batch(batch).await));
    let asked = v1::CheckStreamRequest { check: Some(about(8)) };
    let mut answers = served.check().check_stream(tokio_stream::iter([asked])).await.unwrap().into_inner();
    let Some(v1::check_result::Result::Error(error)) = answers.message().await.unwrap().unwrap().result.unwrap().result
    else {
        panic!("a burst is refused as its checks would be")
    };
    assert_eq!(error.code, Code::ResourceExhausted as i32);
    let answer = ask_over_http(&calls).await;
    assert_eq!(answer.status(), http::StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()[http::header::RETRY_AFTER], "1");

    // What is never refused.
    assert_eq!(served.decide(emergency()).await.verdict(), Verdict::Allow);
    let batch = v1::CheckBatchRequest { checks: vec![v1::CheckRequest { dry_run: true, ..about(8) }, emergency()] };
    assert_eq!(served.check().check_batch(batch).await.unwrap().into_inner().results.len(), 2);
    HealthClient::new(served.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    served.control().list_freezes(v1::ListFreezesRequest::default()).await.unwrap();
    let mut consents = served.consent();
    let opted_out = tokio::spawn(async move { consents.record_opt_out(opt_out("+13055550007", "o-1")).await });
    until(|| store.waiting() >= 5).await;

    calls.measure();
    let text = engine.metrics().text();
    for line in ["ringfence_under_way{lane=\"check\"} 4", "ringfence_under_way{lane=\"opt_out\"} 1"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("ringfence_shed_total{lane=\"check\",why=\"full\"} "), "{text}");
    assert!(
        !text.contains("lane=\"check\",why=\"full\"} 0") && text.contains("lane=\"opt_out\",why=\"full\"} 0"),
        "{text}"
    );

    store.set(Fault::None);
    for (number, held) in (0..MOST).zip(held) {
        let decision = held.await.unwrap().unwrap().into_inner().decision.unwrap();
        assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
        let attempts = attempts(&served, number).await;
        assert_eq!(attempts, [decision.decision_id], "counted once, and by what was answered");
    }
    opted_out.await.unwrap().unwrap();
    assert_eq!(attempts(&served, 8).await, [""; 0], "nothing was done of what was refused");
    assert_eq!(served.decide(about(8)).await.verdict(), Verdict::Allow, "what is done makes room");
    assert!(calls.gate().state().lanes.iter().all(|(_, under_way, _)| *under_way == 0));
    let text = engine.metrics().text();
    for stage in ["read", "find", "decide", "compose", "write"] {
        assert!(!text.contains(&format!("ringfence_stage_seconds_count{{stage=\"{stage}\"}} 0\n")), "{stage}: {text}");
    }
    assert!(!text.contains("ringfence_store_seconds_count{trip=\"write\"} 0\n"), "{text}");
}

/// By which decisions the attempts on a number were counted.
async fn attempts(served: &Served, number: u32) -> Vec<String> {
    let request = v1::GetContactRequest { number: about(number).number, ..v1::GetContactRequest::default() };
    match served.consent().get_contact(request).await {
        Ok(contact) => {
            let contact = contact.into_inner().contact.unwrap();
            contact.attempts.into_iter().map(|attempt| attempt.decision_id).collect()
        }
        Err(status) => {
            assert_eq!(status.code(), Code::NotFound, "{status:?}");
            Vec::new()
        }
    }
}

/// A key that is wrong waits for its answer: it must not wait in the place of a caller.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_unknown_takes_a_place() {
    let gate = Arc::new(Gate::new(GateSettings { checks: 1, ..GateSettings::default() }));
    let access = Access::new(Callers::read("", Limits::NONE).unwrap(), Limits::NONE);
    let calls = Calls::guarded(Arc::new(Tenants::new(engine())), Arc::new(access)).behind(Arc::clone(&gate));
    let served = serve_calls(calls.clone()).await;
    let held = gate.enter(Lane::Check, None, None).unwrap();
    assert_eq!(served.refused(about(8)).await.code(), Code::Unauthenticated);
    assert_eq!(ask_over_http(&calls).await.status(), http::StatusCode::UNAUTHORIZED);
    assert_eq!(gate.state().lanes[0].2.map(|(_, refused)| refused), [0; 3], "they did not come to the gate");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_makes_room() {
    let (store, _engine, calls, served) = behind_a_gate().await;
    store.set(Fault::Held);
    let under_way = || calls.gate().state().lanes[0].1;
    let held: Vec<_> = (0..MOST)
        .map(|number| {
            let mut client = served.check();
            tokio::spawn(async move { client.check(about(number)).await })
        })
        .collect();
    until(|| store.waiting() == 4).await;
    overloaded(&served.refused(about(8)).await);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    until(|| under_way() == 0).await;
    store.set(Fault::None);
    assert_eq!(served.decide(about(8)).await.verdict(), Verdict::Allow);
}
