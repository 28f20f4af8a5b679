//! Whose turn it is: whoever sends slowly takes no place, and a tenant that has fewer places than its share is let in beside
//! one that asks for all of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use prost::Message;
use ringfence::access::{Access, ApiKey, Callers, EACH, Gate, GateSettings, Limits, NewCaller, Role, appended_caller};
use ringfence::engine::Tenants;
use ringfence::proto::v1::{self, Verdict};
use ringfence::proto::weigh::{ENTRIES, FREE, Weighed as _};
use ringfence::service::{Calls, TIMEOUT_HEADER, now};
use ringfence::store::Store;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};
use tower::Service as _;

use super::faulty::{Fault, Faulty};
use super::overload::{MOST, QUESTION, about, behind_a_gate, emergency, overloaded, until};
use super::support::{engine_over, opt_out};
use super::{Served, serve_calls};

type Sent<Q, A> = (oneshot::Sender<Q>, JoinHandle<Result<A, Status>>);

/// A call whose headers are sent, and its message once it is given.
fn begun<Q, A>(served: &Served, path: &'static str) -> Sent<Q, A>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let (give, given) = oneshot::channel::<Q>();
    let mut client = tonic::client::Grpc::new(served.channel.clone());
    let answer = async move {
        client.ready().await.unwrap();
        let messages = stream::once(given).filter_map(|given| std::future::ready(given.ok()));
        let (path, codec) = (PathAndQuery::from_static(path), tonic_prost::ProstCodec::<Q, A>::default());
        client.client_streaming(Request::new(messages), path, codec).await.map(Response::into_inner)
    };
    (give, tokio::spawn(answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_slowly_takes_no_place_and_is_answered_once_all_has_come() {
    let (store, _engine, calls, served) = behind_a_gate().await;
    let arriving = || calls.gate().state().arriving.0;
    let slow = |_| begun::<_, v1::CheckResponse>(&served, "/ringfence.v1.CheckService/Check");
    let mut checks: Vec<_> = (0..4 * MOST).map(slow).collect();
    let path = "/ringfence.v1.ConsentService/RecordOptOut";
    let (give_opt_out, opted_out) = begun::<_, v1::RecordOptOutResponse>(&served, path);
    until(|| arriving() == 4 * MOST + 1).await;
    assert!(calls.gate().state().lanes.iter().all(|(_, under_way, _)| *under_way == 0));
    for number in 100..120 {
        assert_eq!(served.decide(about(number)).await.verdict(), Verdict::Allow);
    }

    // What has come is a call like any other.
    let decision = |answer: v1::CheckResponse| answer.decision.unwrap().verdict();
    let (give, answer) = checks.pop().unwrap();
    give.send(about(50)).unwrap();
    assert_eq!(decision(answer.await.unwrap().unwrap()), Verdict::Allow);
    store.set(Fault::Held);
    let ask = |number| {
        let mut client = served.check();
        tokio::spawn(async move { client.check(about(number)).await })
    };
    let held: Vec<_> = (0..MOST).map(ask).collect();
    until(|| store.waiting() == 4).await;
    let (give, answer) = checks.pop().unwrap();
    give.send(about(51)).unwrap();
    overloaded(&answer.await.unwrap().unwrap_err());
    let (give, answer) = checks.pop().unwrap();
    give.send(emergency()).unwrap();
    assert_eq!(decision(answer.await.unwrap().unwrap()), Verdict::Allow);
    give_opt_out.send(opt_out("+13055550007", "o-1")).unwrap();
    until(|| store.waiting() == 5).await;
    store.set(Fault::None);
    opted_out.await.unwrap().unwrap();
    for held in held {
        assert_eq!(decision(held.await.unwrap().unwrap().into_inner()), Verdict::Allow);
    }

    // Whoever goes away is waited for no longer.
    assert_eq!(usize::try_from(arriving()).unwrap(), checks.len());
    checks.iter().for_each(|(_, answer)| answer.abort());
    until(|| arriving() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_counts_from_the_headers() {
    let (_store, _engine, calls, _served) = behind_a_gate().await;
    let (give, given) = oneshot::channel::<&str>();
    let body = stream::once(given).map(|given| Ok::<_, Infallible>(given.unwrap()));
    let request = http::Request::post("/v1/check").header(TIMEOUT_HEADER, "20").body(Body::from_stream(body)).unwrap();
    let answer = tokio::spawn(ringfence::http::router(calls.clone()).call(request));
    until(|| calls.gate().state().arriving.0 == 1).await;
    let begun = Instant::now();
    until(|| begun.elapsed() > Duration::from_millis(20)).await;
    give.send(QUESTION).unwrap();
    assert_eq!(answer.await.unwrap().unwrap().status(), http::StatusCode::GATEWAY_TIMEOUT);
}

/// A batch that is short on the wire and takes megabytes once it is read.
fn heavy(check: v1::CheckRequest) -> v1::CheckBatchRequest {
    let consents = vec![v1::Consent::default(); ENTRIES];
    let evidence = v1::Evidence { consents, ..v1::Evidence::default() };
    v1::CheckBatchRequest { checks: vec![check, v1::CheckRequest { evidence: Some(evidence), ..about(1) }] }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_take_once_they_are_read_is_bounded_until_they_are_answered() {
    let store = Arc::new(Faulty::new());
    let calls = Calls::new(engine_over(Arc::clone(&store) as Arc<dyn Store>)).behind(Arc::new(Gate::default()));
    let served = serve_calls(calls.clone()).await;
    let weight = v1::CheckBatchRequest::LAYOUT.unwrap().weigh(&heavy(about(0)).encode_to_vec(), FREE).unwrap();
    let each = weight - EACH;
    let fit = (256 << 20) / each;
    println!("{fit} of {weight} bytes");
    store.set(Fault::Held);
    let ask = |batch| {
        let mut client = served.check();
        tokio::spawn(async move { client.check_batch(batch).await.map(Response::into_inner) })
    };
    let held: Vec<_> = (0..u32::try_from(fit).unwrap()).map(|number| ask(heavy(about(100 + number)))).collect();
    until(|| calls.gate().state().arriving == (0, u64::try_from(fit * each).unwrap())).await;
    overloaded(&ask(heavy(about(50))).await.unwrap().unwrap_err());
    let body = serde_json::to_vec(&heavy(about(51))).unwrap();
    let request = http::Request::post("/v1/check:batch").body(Body::from(body)).unwrap();
    let refused = ringfence::http::router(calls.clone()).call(request).await.unwrap();
    assert_eq!(refused.status(), http::StatusCode::TOO_MANY_REQUESTS);

    // There is room for what is small, and for an emergency whatever it takes.
    let small = ask(v1::CheckBatchRequest { checks: vec![about(52)] });
    until(|| usize::try_from(calls.gate().state().lanes[0].1).unwrap() == fit + 1).await;
    assert_eq!(ask(heavy(emergency())).await.unwrap().unwrap().results.len(), 2);
    store.set(Fault::None);
    for held in held.into_iter().chain([small]) {
        // On a slow machine it is too late for some.
        let _ = held.await.unwrap();
    }
    until(|| calls.gate().state().arriving == (0, 0)).await;
    ask(heavy(about(53))).await.unwrap().unwrap();
}

/// Two tenants behind a gate, and the key of each.
async fn two_tenants(store: &Arc<Faulty>) -> (Calls, Served, [String; 2]) {
    let tenants = Tenants::new(engine_over(Arc::clone(store) as Arc<dyn Store>));
    let mut text = String::new();
    let keys = ["greedy", "modest"].map(|name| {
        let key = ApiKey::generate().unwrap();
        let roles = [Role::Check].into_iter().collect();
        let digest = Some(key.digest());
        let new =
            NewCaller { name, tenant: name, roles, key: digest, certificate: None, created: now(), expires: None };
        text = appended_caller(&text, &new);
        tenants.open(name, None).unwrap();
        format!("Bearer {}", key.reveal())
    });
    let access = Access::new(Callers::read(&text, Limits::NONE).unwrap(), Limits::NONE);
    let gate = Gate::new(GateSettings { checks: MOST, ..GateSettings::default() });
    let calls = Calls::guarded(Arc::new(tenants), Arc::new(access)).behind(Arc::new(gate));
    (calls.clone(), serve_calls(calls).await, keys)
}

fn shown<T>(message: T, key: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", key.parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_below_its_share_gets_in_beside_one_that_asks_for_everything() {
    let store = Arc::new(Faulty::new());
    let (calls, served, [greedy, modest]) = two_tenants(&store).await;
    store.set(Fault::Held);
    let ask = |key: &str, number| {
        let (mut client, request) = (served.check(), shown(about(number), key));
        tokio::spawn(async move { client.check(request).await.map(|answer| answer.into_inner().decision.unwrap()) })
    };
    let mut held: Vec<_> = (0..MOST).map(|number| ask(&greedy, number)).collect();
    until(|| store.waiting() == 4).await;
    overloaded(&ask(&greedy, 8).await.unwrap().unwrap_err());
    // The half of four places is the share of each.
    held.push(ask(&modest, 0));
    until(|| store.waiting() == 5).await;
    let asked = v1::CheckStreamRequest { check: Some(about(1)) };
    let mut client = served.check();
    let burst = shown(stream::iter([asked]), &modest);
    let burst = tokio::spawn(async move { client.check_stream(burst).await.unwrap().into_inner().message().await });
    until(|| store.waiting() == 6).await;
    overloaded(&ask(&modest, 8).await.unwrap().unwrap_err());
    overloaded(&ask(&greedy, 8).await.unwrap().unwrap_err());
    // An emergency that its caller may not declare opens no door.
    let mut client = served.check();
    overloaded(&client.check(shown(emergency(), &greedy)).await.unwrap_err());
    let batch = v1::CheckBatchRequest { checks: vec![about(8), emergency()] };
    overloaded(&client.check_batch(shown(batch, &greedy)).await.unwrap_err());

    store.set(Fault::None);
    for held in held {
        assert_eq!(held.await.unwrap().unwrap().verdict(), Verdict::Allow);
    }
    let Some(v1::check_result::Result::Decision(decision)) =
        burst.await.unwrap().unwrap().unwrap().result.unwrap().result
    else {
        panic!("a burst within the share is answered")
    };
    assert_eq!(decision.verdict(), Verdict::Allow);
    until(|| calls.gate().state().lanes[0].1 == 0).await;
    // Whoever is alone has all places.
    assert_eq!(ask(&greedy, 8).await.unwrap().unwrap().verdict(), Verdict::Allow);
}
