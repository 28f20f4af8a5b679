//! How much one tenant may use, and that the others do not notice.

use futures_util::StreamExt as _;
use http::StatusCode;
use ringfence::access::{Limits, Role};
use serde_json::{Value, json};

use super::house::{House, request};
use super::support::engine;

/// What a refusal says: its reason, and in how many seconds to ask again, as gRPC says it.
fn told(body: &Value) -> (String, f64) {
    let details = body["details"].as_array().unwrap();
    let reason = details.iter().find_map(|one| one["reason"].as_str()).unwrap().to_owned();
    let delay = details.iter().find_map(|one| one["retryDelay"].as_str()).unwrap();
    (reason, delay.trim_end_matches('s').parse().unwrap())
}

#[tokio::test]
async fn a_tenant_that_asks_too_fast_is_told_when_and_the_others_are_answered() {
    let mut house = House::limited(engine(), Limits::NONE);
    let (small, big) = (house.admit("small", "acme", [Role::Control]), house.admit("big", "beta", [Role::Control]));
    house.put(format!("{}\n[[limit]]\ntenant = \"acme\"\nrate = 2\n", house.text()));
    let path = "/v1/control:listFreezes";
    let mut refused = Vec::new();
    for _ in 0..20 {
        let (code, body) = house.ask(path, Some(&small.key), &json!({})).await;
        if code != StatusCode::OK {
            assert_eq!(code, StatusCode::TOO_MANY_REQUESTS, "{body}");
            refused.push(told(&body));
        }
        assert_eq!(house.ask(path, Some(&big.key), &json!({})).await.0, StatusCode::OK);
    }
    assert!(refused.len() >= 10, "{refused:?}");
    assert!(
        refused.iter().all(|(reason, wait)| reason == "RATE_LIMITED" && *wait > 0.0 && *wait <= 0.5),
        "{refused:?}"
    );
    // Who is not known is told so, however much the tenant asked.
    assert_eq!(house.ask(path, None, &json!({})).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_batch_counts_as_its_rows() {
    let mut house = House::limited(engine(), Limits::NONE);
    let caller = house.admit("dialer", "acme", [Role::Check]);
    house.put(format!("{}\n[[limit]]\ntenant = \"acme\"\nrate = 50\n", house.text()));
    let row = json!({
        "number": "+13055550123", "channel": "CHANNEL_CALL", "purpose": "PURPOSE_SURVEY", "seller": "acme", "dryRun": true,
    });
    let batch = |rows: usize| json!({ "checks": vec![row.clone(); rows] });
    assert_eq!(house.ask("/v1/check:batch", Some(&caller.key), &batch(40)).await.0, StatusCode::OK);
    let (code, body) = house.ask("/v1/check:batch", Some(&caller.key), &batch(40)).await;
    assert_eq!(code, StatusCode::TOO_MANY_REQUESTS, "{body}");
    assert_eq!(told(&body).0, "RATE_LIMITED");
}

#[tokio::test]
async fn calls_under_way_are_counted_until_their_answers_have_gone() {
    use tower::ServiceExt as _;
    let mut house = House::limited(engine(), Limits { rate: 0, at_once: 1 });
    let (watcher, other) =
        (house.admit("watcher", "acme", [Role::ReadContacts]), house.admit("other", "beta", [Role::Control]));
    let path = "/ringfence.v1.ConsentService/WatchOptOuts";
    let mut watch = request(path, Some(&watcher.key), axum::body::Bytes::from_static(&[0; 5]));
    watch.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let watching = house.grpc.clone().oneshot(watch).await.unwrap();
    let mut events = watching.into_body().into_data_stream();
    assert!(events.next().await.unwrap().is_ok(), "the stream has begun");
    let ask = json!({ "number": "+13055550123" });
    let (code, body) = house.ask("/v1/contacts:get", Some(&watcher.key), &ask).await;
    assert_eq!((code, told(&body).0.as_str()), (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_AT_ONCE"), "{body}");
    assert_eq!(house.ask("/v1/control:listFreezes", Some(&other.key), &json!({})).await.0, StatusCode::OK);
    drop(events);
    let code = house.ask("/v1/contacts:get", Some(&watcher.key), &ask).await.0;
    assert_ne!(code, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(house.access.quotas.of("acme").under_way(), 0);
}

#[tokio::test]
async fn more_headers_or_a_longer_body_than_may_be_are_refused_in_words() {
    let mut house = House::new(engine());
    let caller = house.admit("dialer", "acme", [Role::Check]);
    let long = json!({ "number": "1".repeat(17 << 20) });
    let (code, body) = house.ask("/v1/check", Some(&caller.key), &long).await;
    assert_eq!(code, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
    // Nobody's body is read before they are known.
    assert_eq!(house.ask("/v1/check", None, &long).await.0, StatusCode::UNAUTHORIZED);
}
