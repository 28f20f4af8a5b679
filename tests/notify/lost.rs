//! What cannot be passed on is never taken for confirmed: events that do not open, and those that are no longer kept.

use std::sync::Arc;

use super::receiver::{Answer, Receiver};
use super::{deliver, number, processor, put, quick, resume, say_stop, status, until};
use crate::support::{engine_over, permit};
use futures_util::StreamExt as _;
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine, Tenants};
use ringfence::proto::v1::{self, OptOutEventKind};
use ringfence::proto::well_known::Timestamp;
use ringfence::service::now;
use ringfence::store::trim::trim_by_shard;
use ringfence::store::{Key, MemoryStore, Store, StoreError, Versioned};
use ringfence::time::Millis;

/// The record that a number has since it opted out in here.
async fn record_of(store: &MemoryStore, engine: &Engine, n: usize) -> (Key, Versioned, String) {
    let before = store.scan(None, 100).await.unwrap();
    let id = say_stop(engine, n).await;
    let after = store.scan(None, 100).await.unwrap();
    let (key, record) = after.into_iter().find(|(key, _)| before.iter().all(|(known, _)| known != key)).unwrap();
    (key, record, id)
}

async fn erase(engine: &Engine, n: usize) {
    let request = v1::EraseContactRequest {
        number: number(n),
        request_id: uuid::Uuid::new_v4().to_string(),
        reason: v1::ErasureReason::Unlawful.into(),
        ..Default::default()
    };
    engine.erase_contact(&permit(Role::Privacy), request, Clock::at(now())).await.unwrap();
}

#[tokio::test]
async fn an_event_that_does_not_open_is_listed_and_sent_once_it_does() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine_over(store.clone());
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let (key, sound, id) = record_of(&store, &engine, 1).await;
    let mut bytes = sound.bytes.clone();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = Versioned { bytes: bytes.clone(), ..sound.clone() };
    assert!(store.reseal(&key, &sound, bytes).await.unwrap());
    // Of somebody who was erased nothing is owed but the event of the erasure.
    say_stop(&engine, 2).await;
    erase(&engine, 2).await;
    say_stop(&engine, 3).await;
    let delivering = deliver(&engine, quick());
    let listed = until(&engine, "dialer", "listed", |status| status.pending == 0 && !status.given_up.is_empty()).await;
    assert_eq!(listed.given_up.len(), 1, "{listed:?}");
    assert!(listed.given_up[0].why.contains("does not open"), "{listed:?}");
    let got = receiver.all();
    assert!(got.len() == 2 && got.iter().all(|got| got.id != id), "{got:?}");
    let of_erased = status(&engine, "dialer", Some(2)).await.events;
    let said: Vec<_> = of_erased.iter().map(|event| (event.kind(), event.confirmed, event.not_concerned)).collect();
    assert_eq!(said, [(OptOutEventKind::Closed, false, true), (OptOutEventKind::Erased, true, false)]);
    // Asked for in vain it stays listed; mended it is sent.
    resume(&engine, "dialer").await;
    say_stop(&engine, 4).await;
    let still = until(&engine, "dialer", "the fourth", |status| status.pending == 0).await;
    assert_eq!(still.given_up.len(), 1);
    assert!(store.reseal(&key, &damaged, sound.bytes).await.unwrap());
    resume(&engine, "dialer").await;
    until(&engine, "dialer", "sent after all", |status| status.given_up.is_empty()).await;
    assert!(receiver.all().iter().any(|got| got.id == id && got.body.contains(&number(1))));
    delivering.stop().await;
}

/// Says of every event that it is in the log, and forgets what may go so many days from now.
async fn trim(store: &MemoryStore, tenants: &Tenants, days: i64) -> u64 {
    for shard in store.shards().await.unwrap() {
        let events = match store.events(shard, 0, 1_000).await {
            Err(StoreError::Trimmed { first, .. }) => store.events(shard, first - 1, 1_000).await,
            found => found,
        };
        for event in events.unwrap() {
            store.settle(event.writer, vec![event.id]).await.unwrap();
        }
    }
    let later = now().plus(Millis::days(days));
    let held = tenants.held_events(later).await.unwrap();
    trim_by_shard(store, |shard| held.before(shard, later.minus(Millis::days(7))), 1).await.unwrap()
}

#[tokio::test]
async fn what_was_not_confirmed_is_kept_and_where_it_goes_all_the_same_nobody_calls_it_confirmed() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine_over(store.clone());
    let tenants = Tenants::new(Arc::clone(&engine));
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    say_stop(&engine, 1).await;
    until(&engine, "dialer", "the first", |status| status.pending == 0).await;
    delivering.stop().await;
    for n in 2..5 {
        say_stop(&engine, n).await;
    }
    assert_eq!(trim(&store, &tenants, 8).await, 2, "the registration, and what was confirmed");
    assert_eq!(status(&engine, "dialer", None).await.pending, 3);
    let delivering = deliver(&engine, quick());
    until(&engine, "dialer", "the others", |status| status.pending == 0).await;
    delivering.stop().await;
    assert_eq!(receiver.all().len(), 4);
    assert_eq!(status(&engine, "dialer", None).await.missed, 0);
    // Not for ever: but then it is known, before somebody delivers again and after.
    say_stop(&engine, 5).await;
    say_stop(&engine, 6).await;
    assert_eq!(trim(&store, &tenants, 80).await, 3);
    assert_eq!(trim(&store, &tenants, 91).await, 1);
    let known = status(&engine, "dialer", None).await;
    assert_eq!((known.pending, known.missed), (1, 1), "{known:?}");
    let delivering = deliver(&engine, quick());
    let after = until(&engine, "dialer", "what is left", |status| status.pending == 0).await;
    assert_eq!((after.missed, after.missed_until), (1, known.missed_until), "{after:?}");
    assert!(after.missed_until.is_some());
    delivering.stop().await;
    let got = receiver.all();
    assert!(got.len() == 5 && got[4].body.contains(&number(6)), "nothing twice: {got:?}");
    assert!(engine.metrics().text().contains("result=\"given_up\""));
}

/// What went before somebody was registered was never owed to him.
#[tokio::test]
async fn what_went_before_the_registration_is_not_missed() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine_over(store.clone());
    let tenants = Tenants::new(Arc::clone(&engine));
    say_stop(&engine, 1).await;
    say_stop(&engine, 2).await;
    assert_eq!(trim(&store, &tenants, 8).await, 1);
    put(&engine, processor("gateway", "")).await;
    say_stop(&engine, 3).await;
    let status_in = async |days: i64| {
        let request = v1::GetProcessorStatusRequest::default();
        let later = now().plus(Millis::days(days));
        engine.processor_status(&permit(Role::Audit), &request, later).await.unwrap().statuses.remove(0)
    };
    assert_eq!(trim(&store, &tenants, 8).await, 0, "held for ten minutes and more before the registration");
    assert_eq!((status_in(8).await.missed, status_in(8).await.pending), (0, 2));
    assert_eq!(trim(&store, &tenants, 91).await, 2);
    assert_eq!(status_in(91).await.missed, 3, "at most: nobody knows any more what those were");
}

/// The same of one that watches, and comes back too late.
#[tokio::test]
async fn a_watcher_that_comes_too_late_has_not_confirmed_what_it_missed() {
    let store = Arc::new(MemoryStore::new());
    let engine = engine_over(store.clone());
    let tenants = Tenants::new(Arc::clone(&engine));
    put(&engine, processor("gateway", "")).await;
    let reader = permit(Role::ReadContacts);
    let confirm_last = async |n: usize| {
        let from = Some(Timestamp::from_millis(0));
        let request = v1::WatchOptOutsRequest { from, ..Default::default() };
        let beat = std::time::Duration::from_secs(5);
        let mut events = Box::pin(engine.watch_opt_outs(&reader, request, now, beat).await.unwrap());
        let resume_token = loop {
            let heard = events.next().await.unwrap().unwrap();
            if heard.event.is_some_and(|event| event.number == number(n)) {
                break heard.resume_token;
            }
        };
        let request = v1::ConfirmOptOutsRequest { watcher: "gateway".into(), resume_token, ..Default::default() };
        engine.confirm_opt_outs(&reader, &request, now()).await.unwrap();
    };
    say_stop(&engine, 1).await;
    confirm_last(1).await;
    // Events of one millisecond go together.
    let said = now();
    while now() <= said {
        tokio::task::yield_now().await;
    }
    for n in 2..5 {
        say_stop(&engine, n).await;
    }
    assert_eq!(trim(&store, &tenants, 80).await, 2);
    assert_eq!(trim(&store, &tenants, 91).await, 2);
    confirm_last(4).await;
    let after = status(&engine, "gateway", None).await;
    assert_eq!((after.pending, after.missed), (0, 2), "{after:?}");
}
