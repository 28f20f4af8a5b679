//! The self-check: quiet while opt-outs deny, loud when one does not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::{consent, number, say_stop};
use crate::forwarded::forwarded;
use crate::support::{engine, engine_over, opt_out, permit};
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::proto::v1;
use ringfence::service::now;
use ringfence::store::{
    Answer, EventId, Key, MemoryStore, MetaSwapped, Shard, Store, StoredEvent, Swapped, Unsettled, Version, Versioned,
    Write, WriterId,
};

/// The purposes that an opt-out can close.
const EVERY: u64 = 7;

/// A store that, asked for one record, says that there is none, or shows what was before: the planted fault.
#[derive(Default)]
struct Hiding {
    inner: MemoryStore,
    hides: AtomicBool,
    shows: Mutex<BTreeMap<Key, Versioned>>,
}

impl Hiding {
    fn shown(&self, key: &Key, found: Option<Versioned>) -> Option<Versioned> {
        let hides = self.hides.load(Ordering::Relaxed);
        found.filter(|_| !hides).map(|found| self.shows.lock().unwrap().get(key).cloned().unwrap_or(found))
    }
}

impl Store for Hiding {
    forwarded!();

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        Answer::waiting(async move { Ok(self.shown(key, self.inner.load(key).await?)) })
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        Answer::waiting(async move {
            let found = self.inner.load_many(keys).await?;
            Ok(keys.iter().zip(found).map(|(key, found)| self.shown(key, found)).collect())
        })
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.inner.swap(write)
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.inner.reseal(key, found, bytes)
    }
}

async fn scoped(engine: &Engine, n: usize, scope: v1::OptOutScope) {
    let request = v1::RecordOptOutRequest { scope: Some(scope), ..opt_out(&number(n), &format!("scoped-{n}")) };
    engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap();
}

async fn restrict(engine: &Engine, n: usize) {
    let request = v1::OpenRequestRequest {
        number: number(n),
        request_id: format!("restricted-{n}"),
        kind: v1::RightsRequestKind::Restriction.into(),
        ..Default::default()
    };
    engine.open_request(&permit(Role::Privacy), request, Clock::at(now())).await.unwrap();
}

#[tokio::test]
async fn while_every_opt_out_denies_a_round_is_quiet() {
    let engine = engine();
    for n in 0..50 {
        say_stop(&engine, n).await;
    }
    let text = vec![v1::Channel::Text.into()];
    scoped(&engine, 200, v1::OptOutScope { channels: text.clone(), ..Default::default() }).await;
    let debt = vec![v1::Purpose::DebtCollection.into(), v1::Purpose::Emergency.into()];
    scoped(&engine, 201, v1::OptOutScope { purposes: debt, channels: text, ..Default::default() }).await;
    scoped(&engine, 202, v1::OptOutScope { sellers: vec!["acme".into()], ..Default::default() }).await;
    scoped(&engine, 203, v1::OptOutScope { subjects: vec!["loan".into()], ..Default::default() }).await;
    consent(&engine, 300, "only a consent", |_| {}).await;
    // Somebody who came back: no alarm, whatever the answer is.
    say_stop(&engine, 301).await;
    consent(&engine, 301, "back", |_| {}).await;
    // Restricted, with no opt-out beside it.
    restrict(&engine, 400).await;
    let report = engine.self_check_now(now).await.unwrap();
    assert_eq!(report.alarms, 0, "{report:?}");
    // The requests about rights are found by a record of their own.
    assert_eq!((report.contacts, report.unreadable), (57, 0));
    let all = 2 * EVERY;
    let asked = 50 * all + 1 + 1 + all + all + all + all;
    assert_eq!(report.questions, asked, "both channels, or the one that is closed; every purpose, or what is");
    assert_eq!(report.denied + report.reopened, report.questions);
    let told = engine.self_check_report(&permit(Role::Audit)).await.unwrap();
    assert_eq!(told.finished, Some(report));
    assert_eq!(told.current, None);
}

#[tokio::test]
async fn an_opt_out_that_does_not_deny_is_an_alarm_that_shows_no_number() {
    let store = Arc::new(Hiding::default());
    let engine = engine_over(store.clone());
    say_stop(&engine, 1).await;
    assert_eq!(engine.self_check_now(now).await.unwrap().alarms, 0);
    store.hides.store(true, Ordering::Relaxed);
    let report = engine.self_check_now(now).await.unwrap();
    assert_eq!((report.alarms, report.questions), (2 * EVERY, 2 * EVERY));
    assert_eq!(report.examples.len(), 14);
    assert!(!format!("{report:?}").contains("3055550"), "{report:?}");
    assert!(report.examples[0].contact.contains("••"), "{report:?}");
    assert_eq!(engine.metrics().self_check_alarms(), 14);
    assert!(engine.metrics().text().contains("ringfence_self_check_alarms_total{tenant=\"default\"} 14"));
}

/// A read that is behind shows marketing closed and nothing else: whatever closes every purpose is asked about with every
/// purpose.
#[tokio::test]
async fn what_closes_every_purpose_is_asked_about_with_every_purpose() {
    let store = Arc::new(Hiding::default());
    let engine = engine_over(store.clone());
    for n in [1, 2] {
        let purposes = vec![v1::Purpose::Marketing.into()];
        scoped(&engine, n, v1::OptOutScope { purposes, ..Default::default() }).await;
    }
    let before = store.inner.scan(None, 100).await.unwrap();
    say_stop(&engine, 1).await;
    restrict(&engine, 2).await;
    assert_eq!(engine.self_check_now(now).await.unwrap().alarms, 0);
    store.shows.lock().unwrap().extend(before);
    let report = engine.self_check_now(now).await.unwrap();
    assert_eq!(report.alarms, 2 * 2 * (EVERY - 1), "all but marketing, for both: {report:?}");
    store.shows.lock().unwrap().clear();
    assert_eq!(engine.self_check_now(now).await.unwrap().alarms, 0);
}
