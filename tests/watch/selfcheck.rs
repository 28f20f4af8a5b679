//! The self-check: quiet while opt-outs deny, loud when one does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// A store that, asked for one record, says that there is none: the planted fault.
#[derive(Default)]
struct Hiding {
    inner: MemoryStore,
    hides: AtomicBool,
}

impl Store for Hiding {
    forwarded!();

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        if self.hides.load(Ordering::Relaxed) { Answer::ready(Ok(None)) } else { self.inner.load(key) }
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        if self.hides.load(Ordering::Relaxed) {
            return Answer::ready(Ok(vec![None; keys.len()]));
        }
        self.inner.load_many(keys)
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

#[tokio::test]
async fn while_every_opt_out_denies_a_round_is_quiet() {
    let engine = engine();
    for n in 0..100 {
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
    let report = engine.self_check_now(now).await.unwrap();
    assert_eq!(report.alarms, 0, "{report:?}");
    assert_eq!((report.contacts, report.unreadable), (106, 0));
    assert_eq!(report.questions, 2 * 100 + 1 + 1 + 2 + 2 + 2, "both channels, or the one that is closed");
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
    assert_eq!((report.alarms, report.questions), (2, 2));
    assert_eq!(report.examples.len(), 2);
    assert!(!format!("{report:?}").contains("3055550"), "{report:?}");
    assert!(report.examples[0].contact.contains("••"), "{report:?}");
    assert_eq!(engine.metrics().self_check_alarms(), 2);
    assert!(engine.metrics().text().contains("ringfence_self_check_alarms_total 2"));
}
