//! What cannot be passed on is never taken for confirmed: events that do not open.

use std::sync::Arc;

use super::receiver::{Answer, Receiver};
use super::{deliver, number, processor, put, quick, resume, say_stop, status, until};
use crate::support::{engine_over, permit};
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::proto::v1::{self, OptOutEventKind};
use ringfence::service::now;
use ringfence::store::{Key, MemoryStore, Store, Versioned};

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
