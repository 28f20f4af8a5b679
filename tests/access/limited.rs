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
    let (small, big) = (house.admit("small", "acme", [Role::Audit]), house.admit("big", "beta", [Role::Audit]));
    house.put(format!("{}\n[[limit]]\ntenant = \"acme\"\nrate = 2\n", house.text()));
    let path = "/v1/processors:list";
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

/// An answer of a call under way that takes its tenant's one place: events that nobody ends.
async fn watching(house: &House, key: &str) -> axum::body::Body {
    use tower::ServiceExt as _;
    let path = "/ringfence.v1.ConsentService/WatchOptOuts";
    let mut watch = request(path, Some(key), axum::body::Bytes::from_static(&[0; 5]));
    watch.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    house.grpc.clone().oneshot(watch).await.unwrap().into_body()
}

/// Records opt-outs, freezes, and asks in an emergency; each must be done.
async fn tightens(house: &House, key: &str) {
    let frozen = json!({"requestId": "f", "target": {"seller": "z"}, "who": "ann", "why": "Wrong prices."});
    assert_eq!(house.ask("/v1/control:freeze", Some(key), &frozen).await.0, StatusCode::OK);
    for at in 0..20 {
        let number = format!("+130555501{at:02}");
        let scope = json!({ "everything": true });
        let stop = json!({"number": number, "requestId": "o", "scope": scope, "source": "OPT_OUT_SOURCE_PHONE"});
        let (code, body) = house.ask("/v1/opt-outs:record", Some(key), &stop).await;
        assert_eq!(code, StatusCode::OK, "{body}");
        let text = json!({"number": number, "requestId": "i", "text": "STOP", "seller": "acme"});
        let (code, body) = house.ask("/v1/inbound:process", Some(key), &text).await;
        assert_eq!(code, StatusCode::OK, "{body}");
        let erased = json!({"number": number, "requestId": "e", "who": "ann"});
        let (code, body) = house.ask("/v1/contacts:erase", Some(key), &erased).await;
        assert_ne!(code, StatusCode::TOO_MANY_REQUESTS, "{body}");
    }
}

fn asked(purpose: &str) -> Value {
    json!({
        "number": "+13055550123", "channel": "CHANNEL_CALL", "purpose": purpose, "seller": "acme",
        "technology": "TECHNOLOGY_MANUAL", "dryRun": true,
    })
}

#[tokio::test]
async fn what_tightens_is_not_refused_for_the_checks_of_its_tenant() {
    let mut house = House::limited(engine(), Limits::NONE);
    let may =
        [Role::Check, Role::AssertExceptional, Role::WriteConsent, Role::Control, Role::Privacy, Role::ReadContacts];
    let (may, plain) = (house.admit("may", "acme", may), house.admit("plain", "acme", [Role::Check]));
    let limits = |limit: &str| format!("\n[[limit]]\ntenant = \"acme\"\n{limit}\n");
    let text = house.text().to_owned();
    house.put(format!("{text}{}", limits("rate = 1")));
    let (emergency, survey) = (asked("PURPOSE_EMERGENCY"), asked("PURPOSE_SURVEY"));
    let refused = async |house: &House, key: &str, path: &str, question: &Value| {
        let (code, body) = house.ask(path, Some(key), question).await;
        (code == StatusCode::TOO_MANY_REQUESTS).then(|| told(&body).0)
    };
    // Whatever comes up to here is refused: as many as it takes, however slow the machine is.
    let exhausted = async |house: &House| {
        while refused(house, &may.key, "/v1/check", &survey).await.is_none() {}
    };
    for _ in 0..20 {
        exhausted(&house).await;
        assert_eq!(house.ask("/v1/check", Some(&may.key), &emergency).await.0, StatusCode::OK);
        let batch = json!({ "checks": [survey, emergency, survey] });
        assert_eq!(house.ask("/v1/check:batch", Some(&may.key), &batch).await.0, StatusCode::OK);
    }
    // The word of others does not count, and of a batch without one nothing passes.
    let rows = json!({ "checks": vec![survey.clone(); 100] });
    assert_eq!(refused(&house, &may.key, "/v1/check:batch", &rows).await.as_deref(), Some("RATE_LIMITED"));
    while refused(&house, &plain.key, "/v1/check", &emergency).await.is_none() {}
    tightens(&house, &may.key).await;

    house.put(format!("{text}{}", limits("at_once = 1")));
    let held = watching(&house, &may.key).await;
    assert_eq!(refused(&house, &may.key, "/v1/check", &survey).await.as_deref(), Some("TOO_MANY_AT_ONCE"));
    assert_eq!(house.ask("/v1/check", Some(&may.key), &emergency).await.0, StatusCode::OK);
    assert_eq!(refused(&house, &plain.key, "/v1/check", &emergency).await.as_deref(), Some("TOO_MANY_AT_ONCE"));
    let again = json!({"requestId": "g", "target": {"seller": "y"}, "who": "ann", "why": "Wrong prices."});
    assert_eq!(house.ask("/v1/control:freeze", Some(&may.key), &again).await.0, StatusCode::OK);
    drop(held);
}

/// A call whose message never comes.
fn begun(house: &House, key: &str, path: &str) -> tokio::task::JoinHandle<StatusCode> {
    use tower::ServiceExt as _;
    let mut call = request(path, Some(key), axum::body::Bytes::new());
    let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::convert::Infallible>>();
    *call.body_mut() = axum::body::Body::from_stream(never);
    let http = house.http.clone();
    tokio::spawn(async move { http.oneshot(call).await.unwrap().status() })
}

#[tokio::test]
async fn whoever_may_not_tighten_takes_no_place_of_those_who_do_and_is_charged() {
    let mut house = House::limited(engine(), Limits::NONE);
    let may = [Role::Check, Role::WriteConsent, Role::Control, Role::Privacy];
    let (may, plain) = (house.admit("may", "acme", may), house.admit("plain", "acme", [Role::Check]));
    let text = house.text().to_owned();
    house.put(format!("{text}\n[[limit]]\ntenant = \"acme\"\nat_once = 1\n"));
    for path in ["/v1/opt-outs:record", "/v1/control:freeze"] {
        let held = begun(&house, &plain.key, path);
        while house.access.quotas.of("acme").under_way() == 0 {
            tokio::task::yield_now().await;
        }
        let (code, body) = house.ask("/v1/check", Some(&may.key), &asked("PURPOSE_SURVEY")).await;
        assert_eq!((code, told(&body).0.as_str()), (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_AT_ONCE"), "{path}");
        tightens(&house, &may.key).await;
        held.abort();
        assert!(held.await.unwrap_err().is_cancelled());
    }
    house.put(format!("{text}\n[[limit]]\ntenant = \"acme\"\nrate = 1\n"));
    for path in ["/v1/opt-outs:record", "/v1/control:freeze"] {
        let mut codes = Vec::new();
        for _ in 0..50 {
            codes.push(house.ask(path, Some(&plain.key), &json!({})).await.0);
        }
        assert!(codes.contains(&StatusCode::TOO_MANY_REQUESTS), "{path}: {codes:?}");
        tightens(&house, &may.key).await;
    }
}

/// Where its tenant may ask one check a second, sixty rows take a minute; not those before an emergency.
#[tokio::test]
async fn an_emergency_in_a_stream_waits_for_no_rate() {
    use prost::Message as _;
    use ringfence::proto::v1;
    let mut house = House::limited(engine(), Limits::NONE);
    let may = house.admit("may", "acme", [Role::Check, Role::AssertExceptional]);
    house.put(format!("{}\n[[limit]]\ntenant = \"acme\"\nrate = 1\n", house.text()));
    let row = |purpose: v1::Purpose| {
        let check = super::support::florida("+13055550123");
        let check = v1::CheckRequest { purpose: purpose.into(), dry_run: true, ..check };
        let bytes = v1::CheckStreamRequest { check: Some(check) }.encode_to_vec();
        [&[0], &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
    };
    let mut body = row(v1::Purpose::Survey).repeat(60);
    body.extend(row(v1::Purpose::Emergency));
    let mut asked = request("/ringfence.v1.CheckService/CheckStream", Some(&may.key), body.into());
    asked.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    let begun = std::time::Instant::now();
    let answers = super::house::send(&house.grpc, asked).await.2;
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    let (mut rest, mut count) = (&answers[..], 0);
    while let Some((head, after)) = rest.split_at_checked(5) {
        rest = &after[usize::try_from(u32::from_be_bytes(head[1..].try_into().unwrap())).unwrap()..];
        count += 1;
    }
    assert_eq!(count, 61);
}

/// An alert sees the first refusal only where there was a zero before it.
#[tokio::test]
async fn refusals_of_what_tightens_are_counted_by_themselves_from_zero_on() {
    let mut house = House::limited(engine(), Limits::NONE);
    let may = house.admit("may", "acme", [Role::WriteConsent, Role::Operate]);
    house.put(format!("{}\n[[limit]]\ntenant = \"acme\"\nat_once = 1\n", house.text()));
    let exposed = async |house: &House| {
        let mut request = request("/metrics", Some(&may.key), axum::body::Bytes::new());
        *request.method_mut() = http::Method::GET;
        String::from_utf8(super::house::send(&house.http, request).await.2.to_vec()).unwrap()
    };
    let counted =
        |count: u32| format!("ringfence_refusals_total{{tenant=\"acme\",reason=\"EXHAUSTED_OPT_OUT\"}} {count}\n");
    assert!(exposed(&house).await.contains(&counted(0)));
    let held = house.access.quotas.of("acme").begin(ringfence::access::Errand::OptOut).unwrap();
    let stop = json!({"number": "+13055550123", "requestId": "o", "scope": {"everything": true}});
    assert_eq!(house.ask("/v1/opt-outs:record", Some(&may.key), &stop).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert!(exposed(&house).await.contains(&counted(1)));
    drop(held);
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
    let mut house = House::limited(engine(), Limits { rate: 0, at_once: 1 });
    let (watcher, other) =
        (house.admit("watcher", "acme", [Role::ReadContacts]), house.admit("other", "beta", [Role::ReadContacts]));
    let mut events = watching(&house, &watcher.key).await.into_data_stream();
    assert!(events.next().await.unwrap().is_ok(), "the stream has begun");
    let ask = json!({ "number": "+13055550123" });
    let (code, body) = house.ask("/v1/contacts:get", Some(&watcher.key), &ask).await;
    assert_eq!((code, told(&body).0.as_str()), (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_AT_ONCE"), "{body}");
    assert_ne!(house.ask("/v1/contacts:get", Some(&other.key), &ask).await.0, StatusCode::TOO_MANY_REQUESTS);
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
