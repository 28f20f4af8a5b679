//! Following what is recorded: every watcher gets every opt-out, in time, whatever happens to it or to the store; tokens
//! are good for what they were made for; the self-check finds an opt-out that does not deny.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "watch/cutoff.rs"]
mod cutoff;
#[path = "support/forwarded.rs"]
mod forwarded;
#[path = "watch/latency.rs"]
mod latency;
#[path = "watch/on_redis.rs"]
mod on_redis;
#[path = "support/redis.rs"]
mod redis;
#[path = "watch/selfcheck.rs"]
mod selfcheck;
mod support;

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine, Failure};
use ringfence::proto::v1::{self, OptOutEventKind};
use ringfence::service::now;
use support::{engine, opt_out, permit};

type Events = Pin<Box<dyn Stream<Item = Result<v1::WatchOptOutsResponse, Failure>> + Send>>;

/// Far longer than any wait takes; a test that hangs ends.
const LONG: Duration = Duration::from_secs(30);

async fn try_watch(engine: &Arc<Engine>, request: v1::WatchOptOutsRequest) -> Result<Events, Failure> {
    let beat = Duration::from_millis(100);
    let events = engine.watch_opt_outs(&permit(Role::ReadContacts), request, now, beat).await?;
    Ok(Box::pin(events))
}

async fn watch(engine: &Arc<Engine>, request: v1::WatchOptOutsRequest) -> Events {
    try_watch(engine, request).await.unwrap()
}

fn resume(token: &str) -> v1::WatchOptOutsRequest {
    v1::WatchOptOutsRequest { resume_token: token.to_owned(), ..Default::default() }
}

/// From the oldest event kept.
fn oldest() -> v1::WatchOptOutsRequest {
    let from = Some(ringfence::proto::well_known::Timestamp::from_millis(0));
    v1::WatchOptOutsRequest { from, ..Default::default() }
}

async fn heard(events: &mut Events) -> v1::WatchOptOutsResponse {
    tokio::time::timeout(LONG, events.next()).await.expect("in time").expect("no end").unwrap()
}

/// The next event, signs of life left out; and the token after it.
async fn event(events: &mut Events) -> (v1::OptOutEvent, String) {
    loop {
        let response = heard(events).await;
        if let Some(event) = response.event {
            return (event, response.resume_token);
        }
    }
}

fn number(n: usize) -> String {
    format!("+1305555{n:04}")
}

async fn say_stop(engine: &Engine, n: usize) -> v1::RecordOptOutResponse {
    let request = opt_out(&number(n), &format!("stop-{n}"));
    engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap()
}

async fn consent(engine: &Engine, n: usize, id: &str, change: impl FnOnce(&mut v1::Consent)) {
    let mut consent = v1::Consent {
        consent_id: "c".to_owned(),
        grade: v1::ConsentGrade::Express.into(),
        given_at: Some(ringfence::proto::well_known::Timestamp::from_millis(now().millis() - 1_000)),
        evidence_ref: "form".to_owned(),
        ..Default::default()
    };
    change(&mut consent);
    let request = v1::RecordConsentRequest {
        number: number(n),
        request_id: id.to_owned(),
        consent: Some(consent),
        ..Default::default()
    };
    engine.record_consent(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap();
}

#[tokio::test]
async fn a_watcher_is_told_of_each_opt_out_with_all_that_it_says() {
    let engine = engine();
    say_stop(&engine, 1).await;
    let mut events = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    let first = heard(&mut events).await;
    assert!(first.event.is_none() && !first.resume_token.is_empty(), "where it stands comes first");
    let receipt = say_stop(&engine, 2).await;
    let (told, _) = event(&mut events).await;
    assert_eq!(told.event_id, receipt.receipt_id);
    assert_eq!(told.kind(), OptOutEventKind::Closed);
    assert_eq!(told.number, number(2), "what was recorded before is not told, and this one whole");
    assert_eq!(told.recorded_at, receipt.recorded_at);
    let said = told.opt_out.unwrap();
    assert_eq!((said.opt_out_id, said.at), (receipt.opt_out_id, receipt.recorded_at));
    assert!(said.scope.unwrap().everything);
    let text = format!("{:?}", event(&mut watch(&engine, oldest()).await).await.0);
    assert!(!text.contains("3055550"), "a whole number in {text}");
}

#[tokio::test]
async fn withdrawals_and_what_reopens_are_told_and_other_consents_are_not() {
    let engine = engine();
    let mut events = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    consent(&engine, 1, "r1", |_| {}).await;
    say_stop(&engine, 1).await;
    consent(&engine, 1, "r2", |consent| consent.grade = v1::ConsentGrade::Implied.into()).await;
    consent(&engine, 1, "r3", |consent| consent.sellers = vec!["acme".into()]).await;
    consent(&engine, 1, "r4", |consent| consent.withdrawn_at = consent.given_at).await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let (told, _) = event(&mut events).await;
        kinds.push((told.kind(), told.scope.map(|scope| scope.sellers)));
    }
    let expected = [
        (OptOutEventKind::Closed, None),
        (OptOutEventKind::Reopened, Some(vec!["acme".to_owned()])),
        (OptOutEventKind::Withdrawn, Some(vec![])),
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_token_goes_on_where_it_was_taken_and_a_sign_of_life_brings_a_newer_one() {
    let engine = engine();
    let mut events = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    let mut token = heard(&mut events).await.resume_token;
    for n in 0..5 {
        say_stop(&engine, n).await;
        drop(events);
        events = watch(&engine, resume(&token)).await;
        let (told, after) = event(&mut events).await;
        assert_eq!(told.number, number(n));
        // Gone in the middle of it, and back with the token before: told again.
        drop(events);
        events = watch(&engine, resume(&token)).await;
        assert_eq!(event(&mut events).await.0, told);
        token = after;
    }
    let idle = heard(&mut events).await;
    assert!(idle.event.is_none());
    assert_ne!(idle.resume_token, token);
    say_stop(&engine, 9).await;
    let mut events = watch(&engine, resume(&idle.resume_token)).await;
    assert_eq!(event(&mut events).await.0.number, number(9));
}

#[tokio::test]
async fn only_what_concerns_the_sellers_asked_for_is_told() {
    let engine = engine();
    let request = v1::WatchOptOutsRequest { sellers: vec!["ACME".into()], ..Default::default() };
    let mut events = watch(&engine, request.clone()).await;
    for (n, sellers) in [vec!["other"], vec!["acme"], vec![], vec!["x", "Acme"]].into_iter().enumerate() {
        let mut asked = opt_out(&number(n), &n.to_string());
        asked.scope.as_mut().unwrap().sellers = sellers.into_iter().map(str::to_owned).collect();
        engine.record_opt_out(&permit(Role::WriteConsent), asked, Clock::at(now())).await.unwrap();
    }
    let mut token = String::new();
    for n in 1..4 {
        let (told, after) = event(&mut events).await;
        assert_eq!(told.number, number(n));
        token = after;
    }
    let others = v1::WatchOptOutsRequest { sellers: vec!["other".into()], ..resume(&token) };
    let refused = try_watch(&engine, others).await.err().unwrap();
    assert!(matches!(refused, Failure::Invalid(_)), "{refused:?}");
    drop(watch(&engine, v1::WatchOptOutsRequest { sellers: vec!["acme".into()], ..resume(&token) }).await);
}

#[tokio::test]
async fn a_token_forged_foreign_or_beside_an_instant_is_refused() {
    let engine = engine();
    let token = heard(&mut watch(&engine, oldest()).await).await.resume_token;
    let elsewhere = support::engine();
    for (wrong, at) in [(format!("{token}A"), &engine), ("AAAA".into(), &engine), (token.clone(), &elsewhere)] {
        let refused = try_watch(at, resume(&wrong)).await.err().unwrap();
        assert!(matches!(&refused, Failure::Invalid(faults) if faults[0].field == "resume_token"), "{refused:?}");
    }
    let both = v1::WatchOptOutsRequest { from: oldest().from, ..resume(&token) };
    assert!(matches!(try_watch(&engine, both).await.err(), Some(Failure::Invalid(_))));
    let unknown = v1::WatchOptOutsRequest { watcher: "nobody".into(), ..Default::default() };
    assert!(matches!(try_watch(&engine, unknown).await.err(), Some(Failure::NotFound(_))));
}

#[tokio::test]
async fn from_an_instant_on_nothing_older_is_told() {
    let engine = engine();
    say_stop(&engine, 1).await;
    let between = now().millis() + 1;
    while now().millis() <= between {
        tokio::task::yield_now().await;
    }
    say_stop(&engine, 2).await;
    let from = Some(ringfence::proto::well_known::Timestamp::from_millis(between));
    let mut events = watch(&engine, v1::WatchOptOutsRequest { from, ..Default::default() }).await;
    assert_eq!(event(&mut events).await.0.number, number(2));
}

/// A reader that stands still holds no memory, and gets everything once it reads on.
#[tokio::test]
async fn a_watcher_that_was_too_slow_reads_from_the_store() {
    let engine = engine();
    let mut slow = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    let mut fast = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    const COUNT: usize = 2_000;
    for n in 0..COUNT {
        say_stop(&engine, n).await;
        assert_eq!(event(&mut fast).await.0.number, number(n));
    }
    for n in 0..COUNT {
        assert_eq!(event(&mut slow).await.0.number, number(n));
    }
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams() {
    let engine = engine();
    let mut events = watch(&engine, v1::WatchOptOutsRequest::default()).await;
    heard(&mut events).await;
    engine.stop_following();
    let end = loop {
        match events.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Failure::Stopping));
    assert!(events.next().await.is_none());
}

/// The history: 10,000 opt-outs of many clients, watchers that come, go and come back; each gets each at least once, and
/// those of one contact in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_watcher_gets_each_of_ten_thousand_opt_outs() {
    const CLIENTS: usize = 20;
    const EACH: usize = 500;
    /// Each number opts out so often: in scopes that differ.
    const TIMES: usize = 5;
    let engine = engine();
    let start = heard(&mut watch(&engine, v1::WatchOptOutsRequest::default()).await).await.resume_token;
    let watchers: Vec<_> = (0..8)
        .map(|watcher| {
            let (engine, mut token) = (Arc::clone(&engine), start.clone());
            tokio::spawn(async move {
                let mut met: HashSet<String> = HashSet::new();
                let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
                while met.len() < CLIENTS * EACH {
                    let mut events = watch(&engine, resume(&token)).await;
                    // The first stays; the others leave after a while and go on with the token before the last.
                    let stay = if watcher == 0 { usize::MAX } else { 97 * watcher };
                    for _ in 0..stay {
                        let (told, after) = event(&mut events).await;
                        if met.insert(told.event_id) {
                            let said = told.opt_out.unwrap().opt_out_id;
                            order.entry(told.number).or_default().push(said);
                        }
                        token = after;
                        if met.len() == CLIENTS * EACH {
                            break;
                        }
                    }
                }
                order
            })
        })
        .collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                for n in 0..EACH {
                    let mut request = opt_out(&number(client * 100 + n / TIMES), &format!("{client}-{n}"));
                    request.opt_out_id = format!("{:03}", n % TIMES);
                    engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let wanted: Vec<String> = (0..TIMES).map(|n| format!("{n:03}")).collect();
    for watcher in watchers {
        let order = tokio::time::timeout(4 * LONG, watcher).await.expect("in time").unwrap();
        assert_eq!(order.len(), CLIENTS * EACH / TIMES);
        assert!(order.values().all(|said| *said == wanted), "out of order");
    }
}
