//! The self-check: quiet while opt-outs deny, loud when one does not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{consent, number, say_stop};
use crate::forwarded::forwarded;
use crate::support::{engine, engine_over, law, opt_out, permit};
use ringfence::access::Role;
use ringfence::engine::selfcheck::Settings as Rounds;
use ringfence::engine::{Clock, Engine, Parts, Settings};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::service::now;
use ringfence::store::{
    Answer, EventId, Key, Keys, MemoryStore, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled,
    Version, Versioned, Write, WriterId,
};
use ringfence::telemetry::Metrics;
use ringfence::time::Instant;

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

/// A store whose records cannot be listed for a while: no round ends.
#[derive(Default)]
struct Endless {
    inner: MemoryStore,
    lists: AtomicBool,
}

impl Store for Endless {
    forwarded!(all but scan);

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        if self.lists.load(Ordering::Relaxed) {
            return self.inner.scan(after, limit);
        }
        let (place, why) = ("here".to_owned(), "it was planted".to_owned());
        Answer::waiting(async move { Err(StoreError::Unavailable { place, doing: "listing", why }) })
    }

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        self.inner.load(key)
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        self.inner.load_many(keys)
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        self.inner.swap(write)
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        self.inner.reseal(key, found, bytes)
    }
}

const DAY: i64 = 86_400_000;

fn first_day() -> Instant {
    Instant::from_millis(20_000 * DAY)
}

fn fifth_day() -> Instant {
    Instant::from_millis(20_004 * DAY)
}

fn sixth_day() -> Instant {
    Instant::from_millis(20_005 * DAY)
}

/// An instance that was started just now.
fn instance(store: &Arc<Endless>, keys: &Keys) -> Arc<Engine> {
    let store: Arc<dyn Store> = Arc::<Endless>::clone(store);
    Arc::new(Engine::new(Parts {
        store,
        keys: keys.clone(),
        log: None,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

/// What the metrics say of the last round of a tenant.
fn told(engine: &Engine, tenant: &str) -> Option<Instant> {
    let series = format!("ringfence_self_check_finished_timestamp_seconds{{tenant=\"{tenant}\"}} ");
    let text = engine.metrics().text();
    let seconds = text.lines().find_map(|line| line.strip_prefix(&series))?.split('.').next().unwrap();
    Some(Instant::from_millis(seconds.parse::<i64>().unwrap() * 1_000))
}

#[tokio::test]
async fn every_instance_tells_when_a_round_last_ended_and_a_start_forgets_nothing() {
    let (store, keys) = (Arc::new(Endless::default()), Keys::ephemeral().unwrap());
    let rounds = Rounds { every: Duration::from_secs(86_400), pause: Duration::ZERO };
    // Rounds begin and do not end, and the instance is started again and again.
    let first = instance(&store, &keys);
    assert_eq!(told(&first, "default"), None);
    assert!(first.self_check_if_due(rounds, first_day).await.is_err());
    assert_eq!(told(&first, "default"), Some(first_day()));
    let again = instance(&store, &keys);
    assert!(again.self_check_if_due(rounds, fifth_day).await.is_err());
    assert_eq!(told(&again, "default"), Some(first_day()), "the start hides nothing");
    // One ends, on one of two.
    store.lists.store(true, Ordering::Relaxed);
    again.self_check_if_due(rounds, sixth_day).await.unwrap();
    assert_eq!((told(&again, "default"), told(&first, "default")), (Some(sixth_day()), Some(first_day())));
    first.self_check_if_due(rounds, sixth_day).await.unwrap();
    assert_eq!(told(&first, "default"), Some(sixth_day()), "the other tells of it without a round of its own");
    let fresh = instance(&store, &keys);
    fresh.self_check_if_due(rounds, sixth_day).await.unwrap();
    assert_eq!(told(&fresh, "default"), Some(sixth_day()), "and so does one that was started since");
    // Of another tenant nothing ended.
    store.lists.store(false, Ordering::Relaxed);
    let other = fresh.for_tenant("beta").unwrap();
    assert!(other.self_check_if_due(rounds, fifth_day).await.is_err());
    assert_eq!((told(&fresh, "beta"), told(&fresh, "default")), (Some(fifth_day()), Some(sixth_day())));
}
