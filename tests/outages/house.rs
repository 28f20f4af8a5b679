//! A service over a Redis, and the law of every outage.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::access::Role;
use ringfence::engine::{Clock, Engine, Failure, Parts};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{Keys, Store, Version};
use ringfence::telemetry::Metrics;

use super::support::{self, DAY, at, families, florida, opt_out, permit};

/// Impatient, so that tests are not long.
pub fn impatient(url: &str) -> Settings {
    let mut settings = Settings::from_url(url).unwrap();
    settings.timing.connect = Duration::from_millis(500);
    settings.timing.answer = Duration::from_millis(500);
    settings.timing.replicas = Duration::from_millis(500);
    settings.timing.patience = Duration::from_millis(1_200);
    settings.timing.look = Duration::from_millis(200);
    settings
}

/// The longest that anybody waits with these settings: the patience of a call, and the last attempt within it; for a read
/// and a write.
const BOUND: Duration = Duration::from_millis(6_000);

/// A number of which attempts are made; one that is opted out before; one that is opted out meanwhile.
const ASKED: usize = 1;
const OPTED_OUT: usize = 2;
const OPTING_OUT: usize = 3;

fn number(index: usize) -> String {
    format!("+1305{:07}", 2_340_000 + index)
}

pub struct House {
    pub store: Arc<RedisStore>,
    engine: Arc<Engine>,
}

/// What must be heard while the harm lasts.
pub enum Heard<'a> {
    /// Every write is refused, with these words for the operator.
    Refused(&'a [&'a str]),
    /// Nothing: callers are answered as if all were well.
    Nothing,
    /// It may pass unnoticed.
    Anything,
}

impl House {
    pub async fn over(settings: Settings) -> Self {
        let begun = Instant::now();
        let store = loop {
            match RedisStore::open(settings.clone()).await {
                Ok((store, _)) => break Arc::new(store),
                Err(error) => assert!(error.retry() && begun.elapsed() < Duration::from_secs(30), "{error}"),
            }
        };
        let engine = Arc::new(Engine::new(Parts {
            store: Arc::clone(&store) as Arc<dyn Store>,
            keys: Keys::ephemeral().unwrap(),
            log: None,
            registries: Arc::new(Registries::fixed(Vec::new())),
            law: support::law(),
            settings: ringfence::engine::Settings::default(),
            metrics: Arc::new(Metrics::default()),
        }));
        Self { store, engine }
    }

    /// Whether this attempt is allowed, in bounded time.
    async fn check(&self, index: usize, attempt: &str) -> Result<v1::Decision, String> {
        let request = v1::CheckRequest { attempt_id: attempt.to_owned(), ..florida(&number(index)) };
        bounded(self.engine.check(&permit(Role::Check), request, clock())).await
    }

    async fn opt_out(&self, index: usize, id: &str) -> Result<(), String> {
        let request = opt_out(&number(index), id);
        bounded(self.engine.record_opt_out(&permit(Role::WriteConsent), request, clock())).await.map(drop)
    }

    async fn contact(&self, index: usize) -> v1::Contact {
        let request = v1::GetContactRequest { number: number(index), ..Default::default() };
        self.engine.contact(&permit(Role::ReadContacts), &request).await.unwrap()
    }

    /// The law: whatever is done, callers are answered in bounded time; nobody is allowed what an opt-out forbids; what
    /// was refused can be asked again by the same id and counts once; what was acknowledged is there; and it works again
    /// without a restart once the cause is gone.
    pub async fn endures(&self, heard: Heard<'_>, harm: impl AsyncFnOnce(), heal: impl AsyncFnOnce()) {
        assert!(allowed(&self.check(ASKED, "before").await.unwrap()));
        self.opt_out(OPTED_OUT, "before").await.unwrap();
        harm().await;
        let (asked, opting) = (self.check(ASKED, "during").await, self.opt_out(OPTING_OUT, "during").await);
        let forbidden = self.check(OPTED_OUT, "forbidden").await;
        assert!(!forbidden.as_ref().is_ok_and(allowed), "allowed after an opt-out: {forbidden:?}");
        match heard {
            Heard::Refused(words) => {
                let error = asked.as_ref().map(allowed).expect_err("nobody could have been told this");
                assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
                assert!(opting.is_err(), "nobody could have been told this");
            }
            Heard::Nothing => assert!(asked.is_ok() && opting.is_ok() && forbidden.is_ok(), "{asked:?} {opting:?}"),
            Heard::Anything => {}
        }
        heal().await;
        let again = self.until_answered("during").await;
        assert!(allowed(&again), "{:?}", again.reasons);
        self.nothing_is_lost_or_doubled().await;
    }

    async fn until_answered(&self, attempt: &str) -> v1::Decision {
        let begun = Instant::now();
        loop {
            // Both: reads may come back before writes do.
            match (self.check(ASKED, attempt).await, self.opt_out(OPTING_OUT, "during").await) {
                (Ok(decision), Ok(())) => return decision,
                (decision, opted_out) => {
                    let waited = begun.elapsed();
                    assert!(waited < Duration::from_secs(60), "it does not come back: {decision:?} {opted_out:?}");
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Florida allows three a day: the third slot is the last, so one counted twice would show, and one not counted too.
    async fn nothing_is_lost_or_doubled(&self) {
        assert!(allowed(&self.check(ASKED, "during").await.unwrap()));
        assert!(allowed(&self.check(ASKED, "third").await.unwrap()), "one was counted twice");
        let fourth = self.check(ASKED, "fourth").await.unwrap();
        assert_eq!(families(&fourth), ["RULE_FAMILY_CAP"], "one was not counted");
        let contact = self.contact(ASKED).await;
        let attempts = contact.attempts.iter().filter_map(|recorded| recorded.attempt.as_ref());
        let attempts: Vec<_> = attempts.map(|attempt| attempt.attempt_id.as_str()).collect();
        assert_eq!(attempts.iter().copied().collect::<BTreeSet<_>>(), ["before", "during", "third"].into());
        assert_eq!(attempts.len(), 3);
        self.opt_out(OPTING_OUT, "during").await.unwrap();
        for index in [OPTED_OUT, OPTING_OUT] {
            assert_eq!(self.contact(index).await.opt_outs.len(), 1);
            assert!(!allowed(&self.check(index, "after").await.unwrap()));
        }
        self.every_event_has_its_write().await;
    }

    /// Record and event appear together or not at all.
    async fn every_event_has_its_write(&self) {
        for shard in self.store.shards().await.unwrap() {
            let mut versions = std::collections::HashMap::<_, u64>::new();
            for event in self.store.events(shard, 0, 1_000).await.unwrap() {
                let version = versions.entry(event.key).or_default();
                *version += 1;
                assert_eq!(event.version, Version(*version), "an event of no write");
            }
            for (key, version) in versions {
                assert_eq!(self.store.load(&key).await.unwrap().unwrap().version, Version(version));
            }
        }
    }
}

fn clock() -> Clock {
    Clock { now: at(DAY), deadline: Some(Instant::now() + BOUND) }
}

pub fn allowed(decision: &v1::Decision) -> bool {
    decision.verdict() == v1::Verdict::Allow
}

async fn bounded<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, String> {
    let begun = Instant::now();
    let answer = asking.await;
    // Who waits to the end of the caller's patience is told just after it.
    assert!(begun.elapsed() < BOUND + Duration::from_secs(1), "{:?}", begun.elapsed());
    answer.map_err(|error| error.to_string())
}
