//! A second set of packs, judged beside the first: what it would have answered, counted, and nothing else.
//!
//! Promises: no answer depends on it or waits for it. A decision's entry is handed over once the answer is made, into a
//! queue that never blocks: where it is full the judgement is dropped and counted. A thread of its own judges, from the
//! entry alone, as a replay does. Guarded by `tests/shadow.rs`.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prost::Message as _;
use serde::Serialize;

use super::control::Standing;
use super::replay::{Change, Known, Past, Tally, Under, Unfit, example, family};
use super::{Engine, Failure};
use crate::access::Permit;
use crate::audit::DecisionId;
use crate::law::Law;
use crate::proto::store;
use crate::registry::TenantLists;
use crate::telemetry::Metrics;
use crate::time::{Instant, Millis};

/// Judgements that may wait.
const ROOM: usize = 4_096;
/// Larger bodies are dropped and counted: the queue must stay small whatever callers send, at 64 MiB.
const MOST_BYTES: usize = 16 << 10;
/// Examples kept of each rule.
const EXAMPLES: usize = 5;
/// Flips written to the log in one minute of the decisions' own time.
const LOGGED: u32 = 10;
const MINUTE: Millis = Millis::seconds(60);

/// The shadow of an engine: packs, and the thread that judges by them.
pub(super) struct Shadow {
    law: Arc<ArcSwap<Law>>,
    sender: SyncSender<Job>,
    tally: Arc<Mutex<Tally>>,
    metrics: Arc<Metrics>,
}

/// An answered check, as its entry has it.
struct Job {
    id: [u8; 16],
    kind: u8,
    body: Vec<u8>,
    standing: Standing,
    /// Those of its tenant.
    lists: Arc<TenantLists>,
}

/// What the shadow brought so far.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowReport {
    /// The packs in force.
    pub rules_version: String,
    /// The packs of the shadow.
    pub shadow_rules_version: String,
    /// Judgements that were dropped because the queue was full.
    pub dropped: u64,
    /// The count, since these packs are judged by. What they answer alike is `renamed`, since each answer names its packs.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Shadow {
    fn start(law: Arc<Law>, metrics: Arc<Metrics>) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(ROOM);
        let law = Arc::new(ArcSwap::new(law));
        let tally = Arc::new(Mutex::new(Tally::new(EXAMPLES)));
        let worker = Worker {
            law: Arc::clone(&law),
            tally: Arc::clone(&tally),
            metrics: Arc::clone(&metrics),
            minute: Instant::NEVER,
            logged: 0,
        };
        std::thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || worker.run(&receiver))
            .map_err(|error| Failure::Internal(format!("the thread of the shadow does not start: {error}")))?;
        Ok(Self { law, sender, tally, metrics })
    }

    /// Hands an answered check over, if there is room.
    fn offer(&self, job: Job) {
        if job.body.len() > MOST_BYTES || self.sender.try_send(job).is_err() {
            self.metrics.shadow_dropped();
        }
    }
}

impl Engine {
    /// Judges every later check a second time, by these packs, with no effect on any answer; called again, by these from
    /// now on, and what was counted begins anew. Without an audit log nothing is judged: the shadow reads entries.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn shadow_by(&self, law: Arc<Law>) -> Result<(), Failure> {
        match self.shadow.get() {
            Some(shadow) => {
                let mut tally = shadow.tally.lock().unwrap_or_else(PoisonError::into_inner);
                shadow.law.store(law);
                *tally = Tally::new(EXAMPLES);
            }
            None => {
                let shadow = Shadow::start(law, Arc::clone(&self.metrics))?;
                // Started twice at once, the first stays: its thread ends with its sender.
                let _ = self.shadow.set(shadow);
            }
        }
        Ok(())
    }

    /// What the shadow brought so far.
    ///
    /// # Errors
    /// There is no shadow.
    pub fn shadow_report(&self, _permit: &Permit) -> Result<ShadowReport, Failure> {
        const NONE: &str = "no shadow packs are judged: set shadow_packs";
        let shadow = self.shadow.get().ok_or(Failure::NotFound(NONE))?;
        Ok(ShadowReport {
            rules_version: self.law().version().to_owned(),
            shadow_rules_version: shadow.law.load().version().to_owned(),
            dropped: self.metrics.shadows_dropped(),
            tally: shadow.tally.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    /// Hands an answered check to the shadow, if there is one.
    pub(super) fn to_shadow(&self, id: [u8; 16], kind: super::audited::Kind, body: Vec<u8>, standing: &Standing) {
        if let Some(shadow) = self.shadow.get() {
            let lists = Arc::clone(&self.lists);
            shadow.offer(Job { id, kind: kind as u8, body, standing: standing.clone(), lists });
        }
    }
}

struct Worker {
    law: Arc<ArcSwap<Law>>,
    tally: Arc<Mutex<Tally>>,
    metrics: Arc<Metrics>,
    /// The minute in which flips were last logged, and how many were.
    minute: Instant,
    logged: u32,
}

impl Worker {
    /// Until the engine is gone.
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let id = uuid::Uuid::from_bytes(job.id).to_string();
            if let Err(why) = self.judge(job) {
                self.metrics.shadow_judged("not_judged");
                self.tally.lock().unwrap_or_else(PoisonError::into_inner).add_unfit(id, &why);
            }
        }
    }

    fn judge(&mut self, job: Job) -> Result<(), Unfit> {
        let unread = |what: &str| Unfit::Unreadable(what.to_owned());
        let body = store::AuditBody::decode(job.body.as_slice()).map_err(|error| unread(&error.to_string()))?;
        let Some(store::audit_body::Body::Decision(body)) = body.body else { return Err(unread("no decision")) };
        let id = DecisionId::from_bytes(job.id).ok_or_else(|| unread("an id of no decision"))?;
        let past = Past::of(id, job.kind, body)?;
        let law = self.law.load_full();
        let lists = job.lists.snapshot();
        let under = Under { law: &law, known: Known::Then, lists: Some(&lists), switches: Some(&job.standing) };
        let judged = past.judge(under)?;
        {
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            // The packs may have changed meanwhile: what is counted then is of others.
            if Arc::ptr_eq(&law, &self.law.load()) {
                tally.add(&past, &judged);
            }
        }
        let (then, now) = (past.original(), &judged.decision);
        let Some(change) = Change::between(then, now) else {
            self.metrics.shadow_judged("same_verdict");
            return Ok(());
        };
        self.metrics.shadow_judged(change.word());
        for reason in change.reasons(then, now) {
            self.metrics.shadow_flip(change.word(), family(reason), &reason.rule_id, &reason.jurisdiction);
        }
        self.sample(&past, change, now);
        Ok(())
    }

    /// A few flips a minute, masked: enough to see what is going on.
    fn sample(&mut self, past: &Past, change: Change, now: &crate::proto::v1::Decision) {
        let at = now.evaluated_at.and_then(|at| at.to_millis()).map_or(Instant::NEVER, Instant::from_millis);
        if at >= self.minute.plus(MINUTE) || self.minute == Instant::NEVER {
            (self.minute, self.logged) = (at, 0);
        }
        self.logged = self.logged.saturating_add(1);
        if self.logged > LOGGED {
            return;
        }
        let rules: Vec<_> = change.reasons(past.original(), now).iter().map(|one| one.rule_id.as_str()).collect();
        let seen = example(past, String::new());
        tracing::info!(
            decision = seen.decision_id,
            number = seen.number,
            campaign = seen.campaign,
            change = change.word(),
            rules = rules.join(","),
            "the shadow packs answer otherwise"
        );
    }
}
