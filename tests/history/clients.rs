//! The clients: each does one thing after the other and writes down when it asked, when it was answered, and what.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Monotonic};

use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::proto::v1;
use tokio::task::JoinHandle;

use crate::support::{DAY, at, florida, opt_out, permit, stamp};

const CLIENTS: usize = 48;
/// Operations about one number, before the clients go on to the next ones: caps and opt-outs are met while they matter.
const EACH: usize = 25;
/// Numbers in use at a time: few, so that clients meet.
const TOGETHER: usize = 40;

/// What was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    Check {
        attempt: String,
    },
    OptOut {
        request: String,
    },
    /// One given before all opt-outs, so that it reopens nothing.
    Consent {
        request: String,
    },
    /// What became of an attempt that this client was allowed.
    Outcome {
        attempt: String,
    },
}

/// One operation. The instants are places in one order that all clients share.
#[derive(Clone, Debug)]
pub struct Operation {
    pub number: usize,
    pub asked: Asked,
    pub began: u64,
    pub ended: u64,
    /// `None`: an error, so nothing is known.
    pub answer: Option<Answer>,
}

/// What was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Allowed,
    Denied,
    /// It is recorded, by this receipt. An outcome has none.
    Recorded(String),
}

/// All that happened.
#[derive(Default)]
pub struct History {
    pub operations: Mutex<Vec<Operation>>,
    pub failed: AtomicUsize,
    order: AtomicU64,
    next: AtomicUsize,
    round: AtomicUsize,
}

impl History {
    fn now(&self) -> u64 {
        self.order.fetch_add(1, Ordering::SeqCst)
    }
}

/// The number with this index, in Florida.
pub fn number(index: usize) -> String {
    format!("+1305{:07}", 2_340_000 + index)
}

pub struct Run {
    pub history: Arc<History>,
    clients: Vec<JoinHandle<()>>,
}

impl Run {
    pub fn start(engines: &[Arc<Engine>], operations: usize) -> Self {
        Self::go(Arc::new(History::default()), engines, operations)
    }

    /// Goes on with a history that has ended: other operations, about the same numbers.
    #[allow(dead_code, reason = "one history has a single round")]
    pub fn again(history: Arc<History>, engines: &[Arc<Engine>], operations: usize) -> Self {
        history.next.store(0, Ordering::SeqCst);
        history.round.fetch_add(1, Ordering::SeqCst);
        Self::go(history, engines, operations)
    }

    fn go(history: Arc<History>, engines: &[Arc<Engine>], operations: usize) -> Self {
        let clients = (0..CLIENTS).map(|client| {
            let (history, engines) = (Arc::clone(&history), engines.to_vec());
            tokio::spawn(act(history, engines, client, operations))
        });
        Self { clients: clients.collect(), history }
    }

    pub fn through(&self) -> bool {
        self.clients.iter().all(JoinHandle::is_finished)
    }

    pub async fn end(self) -> Arc<History> {
        for client in self.clients {
            client.await.unwrap();
        }
        self.history
    }
}

async fn act(history: Arc<History>, engines: Vec<Arc<Engine>>, client: usize, operations: usize) {
    let mut tries = client;
    let mut allowed: Option<(usize, String)> = None;
    let round = history.round.load(Ordering::SeqCst);
    loop {
        let turn = history.next.fetch_add(1, Ordering::SeqCst);
        if turn >= operations {
            return;
        }
        // A small generator: what is chosen need not be random, only different.
        let dice = ((turn + round * 0x1000_0000) as u64 ^ 0x9e37_79b9).wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        let number = turn / (EACH * TOGETHER) * TOGETHER + dice as usize % TOGETHER;
        let id = format!("{round}-{client}-{turn}");
        let (number, asked) = match ((dice >> 8) % 16, allowed.take()) {
            (0, _) => (number, Asked::OptOut { request: id }),
            (1, _) => (number, Asked::Consent { request: id }),
            (2..8, Some((number, attempt))) => (number, Asked::Outcome { attempt }),
            (_, kept) => {
                allowed = kept;
                (number, Asked::Check { attempt: id })
            }
        };
        // What failed is asked again, elsewhere, by the same id, as a client should.
        loop {
            tries += 1;
            let began = history.now();
            let answer = ask(&engines[tries % engines.len()], number, &asked).await;
            let ended = history.now();
            if let (Asked::Check { attempt }, Some(Answer::Allowed)) = (&asked, &answer) {
                allowed = Some((number, attempt.clone()));
            }
            let known = answer.is_some();
            let asked = asked.clone();
            history.operations.lock().unwrap().push(Operation { number, asked, began, ended, answer });
            if known {
                break;
            }
            history.failed.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn ask(engine: &Engine, index: usize, asked: &Asked) -> Option<Answer> {
    let clock = Clock { now: at(DAY), deadline: Some(Monotonic::now() + Duration::from_secs(2)) };
    let number = number(index);
    match asked {
        Asked::Check { attempt } => {
            let request = v1::CheckRequest { attempt_id: attempt.clone(), ..florida(&number) };
            let decision = engine.check(&permit(Role::Check), request, clock).await.ok()?;
            Some(if decision.verdict() == v1::Verdict::Allow { Answer::Allowed } else { Answer::Denied })
        }
        Asked::OptOut { request } => {
            let request = opt_out(&number, request);
            let recorded = engine.record_opt_out(&permit(Role::WriteConsent), request, clock).await;
            recorded.ok().map(|recorded| Answer::Recorded(recorded.receipt_id))
        }
        Asked::Consent { request } => {
            let recorded = engine.record_consent(&permit(Role::WriteConsent), consent(number, request), clock).await;
            recorded.ok().map(|recorded| Answer::Recorded(recorded.receipt_id))
        }
        Asked::Outcome { attempt } => {
            let request = v1::ReportOutcomeRequest {
                number,
                attempt_id: attempt.clone(),
                outcome: v1::Outcome::Connected.into(),
                ..Default::default()
            };
            let reported = engine.report_outcome(&permit(Role::Check), request, clock).await;
            reported.ok().map(|_| Answer::Recorded(String::new()))
        }
    }
}

fn consent(number: String, request: &str) -> v1::RecordConsentRequest {
    let consent = v1::Consent {
        grade: v1::ConsentGrade::Express.into(),
        given_at: stamp("2026-11-17T16:00:00Z"),
        evidence_ref: request.to_owned(),
        method: v1::ConsentMethod::WebForm.into(),
        sellers: vec!["another".to_owned()],
        ..Default::default()
    };
    v1::RecordConsentRequest { number, request_id: request.to_owned(), consent: Some(consent), ..Default::default() }
}
