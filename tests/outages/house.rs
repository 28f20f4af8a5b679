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
use tokio::sync::Semaphore;

use super::support::{self, DAY, at, families, florida, opt_out, permit};

/// Impatient, so that tests are not long.
pub fn impatient(url: &str) -> Settings {
    let mut settings = Settings::from_url(url).unwrap();
    settings.timing.connect = Duration::from_millis(500);
    // Long enough for a server among many on a machine of two processors.
    settings.timing.answer = Duration::from_millis(1_000);
    settings.timing.replicas = Duration::from_millis(1_000);
    settings.timing.patience = Duration::from_millis(1_800);
    settings.timing.look = Duration::from_millis(200);
    settings
}

/// The longest that anybody waits with these settings: the patience of a call, and the last attempt within it; for a read
/// and a write.
const BOUND: Duration = Duration::from_millis(6_000);

/// What a busy machine may add to that before a wait is taken for one without end.
const SLACK: Duration = Duration::from_secs(12);

/// How many outages are played at a time in this process: more would be late for want of a processor, not of an answer.
pub static STAGE: Semaphore = Semaphore::const_new(6);

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
        // Many of them within one future would be too much for the stack.
        bounded(Box::pin(self.engine.check(&permit(Role::Check), request, clock()))).await
    }

    /// A dry run about a number.
    pub async fn asks(&self, index: usize) {
        let request = v1::CheckRequest { dry_run: true, ..florida(&number(index)) };
        let decision = self.engine.check(&permit(Role::Check), request, clock()).await.unwrap();
        assert!(allowed(&decision), "{:?}", decision.reasons);
    }

    /// The first attempt at a number, which counts.
    pub async fn reserves(&self, index: usize) {
        assert!(allowed(&self.check(index, "first").await.unwrap()));
    }

    /// Dry runs of many at a time, as a batch has them.
    pub async fn asks_many(&self, indexes: std::ops::Range<usize>) {
        futures_util::future::join_all(indexes.map(|index| self.asks(index))).await;
    }

    async fn opt_out(&self, index: usize, id: &str) -> Result<(), String> {
        let request = opt_out(&number(index), id);
        bounded(Box::pin(self.engine.record_opt_out(&permit(Role::WriteConsent), request, clock()))).await.map(drop)
    }

    async fn contact(&self, index: usize) -> v1::Contact {
        let request = v1::GetContactRequest { number: number(index), ..Default::default() };
        Box::pin(self.engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT)).await.unwrap()
    }

    /// The law: whatever is done, callers are answered in bounded time; nobody is allowed what an opt-out forbids; what
    /// was refused can be asked again by the same id and counts once; what was acknowledged is there; and it works again
    /// without a restart once the cause is gone.
    pub async fn endures(&self, heard: Heard<'_>, harm: impl AsyncFnOnce(), heal: impl AsyncFnOnce()) {
        assert!(allowed(&self.answered(ASKED, "before").await));
        until(async || self.opt_out(OPTED_OUT, "before").await).await;
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
        // Both: reads may come back before writes do.
        until(async || {
            let decision = self.check(ASKED, attempt).await?;
            self.opt_out(OPTING_OUT, "during").await.map(|()| decision)
        })
        .await
    }

    /// The answer of a store that is well, were it late; asked again by the same id, which counts once.
    async fn answered(&self, index: usize, attempt: &str) -> v1::Decision {
        until(async || self.check(index, attempt).await).await
    }

    /// Florida allows three a day: the third slot is the last, so one counted twice would show, and one not counted too.
    async fn nothing_is_lost_or_doubled(&self) {
        assert!(allowed(&self.answered(ASKED, "during").await));
        assert!(allowed(&self.answered(ASKED, "third").await), "one was counted twice");
        let fourth = self.answered(ASKED, "fourth").await;
        assert_eq!(families(&fourth), ["RULE_FAMILY_CAP"], "one was not counted");
        let contact = self.contact(ASKED).await;
        let attempts = contact.attempts.iter().filter_map(|recorded| recorded.attempt.as_ref());
        let attempts: Vec<_> = attempts.map(|attempt| attempt.attempt_id.as_str()).collect();
        assert_eq!(attempts.iter().copied().collect::<BTreeSet<_>>(), ["before", "during", "third"].into());
        assert_eq!(attempts.len(), 3);
        until(async || self.opt_out(OPTING_OUT, "during").await).await;
        for index in [OPTED_OUT, OPTING_OUT] {
            assert_eq!(self.contact(index).await.opt_outs.len(), 1);
            assert!(!allowed(&self.answered(index, "after").await));
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

/// Asks until there is an answer.
async fn until<T>(ask: impl AsyncFn() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "it does not come back: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
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
    assert!(begun.elapsed() < BOUND + SLACK, "{:?}", begun.elapsed());
    answer.map_err(|error| error.to_string())
}
