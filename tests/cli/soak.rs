//! An hour under load: memory stays flat, and no entry is lost. Run by itself, with its own command:
//!
//! `RINGFENCE_SOAK_MINUTES=60 cargo test --release --test cli -- --ignored --nocapture soak`
//!
//! What is refused for load, or because the disk stood still, is counted and asked again as a caller would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringfence::proto::v1;
use ringfence::proto::v1::audit_service_client::AuditServiceClient;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Home;
use super::server::{Server, serve_with};

/// Callers at once.
const CALLERS: u64 = 16;
/// Numbers that are asked about, so that records come to an end of growing: each keeps what its caps need.
const NUMBERS: u64 = 20_000;
/// Of so many reservations the entry of one is looked for by its id; all are counted in the log.
const ONE_IN: u64 = 15;
/// What memory may grow by in an hour, by the slope of the second half: less than what a leak of some bytes a call takes.
const GROWS: f64 = 16.0 * (1 << 20) as f64;

/// What was acknowledged.
#[derive(Default, Debug)]
struct Done {
    checks: AtomicU64,
    /// Reservations, their outcomes, opt-outs: each an entry that no crash may lose.
    entries: AtomicU64,
    opted_out: AtomicU64,
    shed: AtomicU64,
    unavailable: AtomicU64,
}

impl Done {
    /// Counts a refusal, and waits as it says; anything else that is no answer ends the test.
    async fn refused(&self, status: Status) {
        let count = match status.code() {
            Code::ResourceExhausted => &self.shed,
            Code::Unavailable => &self.unavailable,
            _ => panic!("{status:?}"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let hint = status.get_details_retry_info().and_then(|hint| hint.retry_delay);
        tokio::time::sleep(hint.expect("a refusal says when to ask again")).await;
    }
}

fn number(n: u64) -> String {
    format!("+49302{:07}", 2_000_000 + n % NUMBERS)
}

fn check(n: u64, dry_run: bool) -> v1::CheckRequest {
    v1::CheckRequest {
        number: number(n),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Informational.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: "acme".to_owned(),
        dry_run,
        ..v1::CheckRequest::default()
    }
}

/// One caller: mostly dry runs, reservations with their outcomes, now and then an opt-out, which every later check must
/// see. The decisions to be looked for.
async fn call(channel: Channel, caller: u64, until: Instant, done: Arc<Done>) -> Vec<String> {
    let (mut checks, mut consents) = (CheckServiceClient::new(channel.clone()), ConsentServiceClient::new(channel));
    let (mut kept, mut n) = (Vec::new(), 0u64);
    while Instant::now() < until {
        n += 1;
        // Each has numbers of its own, so that it knows who opted out.
        let about = (n * CALLERS + caller) % NUMBERS;
        let opted_out = about % 1_024 < CALLERS;
        if opted_out && n <= NUMBERS / CALLERS {
            let request = v1::RecordOptOutRequest {
                number: number(about),
                request_id: format!("soak-{about}"),
                scope: Some(v1::OptOutScope { everything: true, ..v1::OptOutScope::default() }),
                source: v1::OptOutSource::Phone.into(),
                ..v1::RecordOptOutRequest::default()
            };
            while let Err(status) = consents.record_opt_out(request.clone()).await {
                done.refused(status).await;
            }
            done.opted_out.fetch_add(1, Ordering::Relaxed);
            done.entries.fetch_add(1, Ordering::Relaxed);
        }
        let decision = match checks.check(check(about, n % 4 != 0)).await {
            Ok(answer) => answer.into_inner().decision.unwrap(),
            Err(status) => {
                done.refused(status).await;
                continue;
            }
        };
        done.checks.fetch_add(1, Ordering::Relaxed);
        assert!(!opted_out || decision.verdict() == v1::Verdict::Deny, "an opt-out was missed");
        if !decision.attempt_id.is_empty() && decision.use_by.is_some() {
            let report = v1::ReportOutcomeRequest {
                number: number(about),
                attempt_id: decision.attempt_id.clone(),
                outcome: v1::Outcome::NotAttempted.into(),
                ..v1::ReportOutcomeRequest::default()
            };
            while let Err(status) = checks.report_outcome(report.clone()).await {
                done.refused(status).await;
            }
            if (done.entries.fetch_add(2, Ordering::Relaxed) / 2).is_multiple_of(ONE_IN) {
                kept.push(decision.decision_id);
            }
        }
    }
    kept
}

async fn load(server: &Server, minutes: f64, done: &Arc<Done>) -> (Vec<u64>, Vec<String>) {
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
        callers.push(tokio::spawn(call(channel, caller, until, Arc::clone(done))));
    }
    let mut memory = Vec::new();
    let mut look = tokio::time::interval(Duration::from_secs_f64((minutes * 60.0 / 60.0).max(0.1)));
    while Instant::now() < until {
        look.tick().await;
        memory.push(server.memory());
    }
    let mut kept = Vec::new();
    for caller in callers {
        kept.extend(caller.await.unwrap());
    }
    (memory, kept)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: see the head of the file"]
async fn soak() {
    let minutes: f64 = std::env::var("RINGFENCE_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(60.0);
    let home = Home::new();
    let server = tokio::task::block_in_place(|| serve_with(&home, &[]));
    let done = Arc::new(Done::default());
    let (memory, kept) = load(&server, minutes, &done).await;
    let mut audit = AuditServiceClient::connect(server.url.clone()).await.unwrap();
    for decision_id in &kept {
        let request = v1::GetDecisionRequest { decision_id: decision_id.clone() };
        audit.get_decision(request).await.unwrap_or_else(|status| panic!("{decision_id} was lost: {status:?}"));
    }
    drop(audit);
    assert!(tokio::task::block_in_place(|| server.stopped()), "it drains");
    let verified = home.run(&["audit", "verify", "--json"]).code(0).json();
    assert_eq!(verified["sound"], true, "{verified}");
    let (logged, acknowledged) = (verified["entries"].as_u64().unwrap(), done.entries.load(Ordering::Relaxed));
    assert!(logged >= acknowledged, "{acknowledged} entries were acknowledged, and {logged} are in the log");
    // Until half of the time records are still made, and caches filled.
    let late = &memory[memory.len() / 2..];
    let grows = slope(late) * late.len() as f64 * 2.0 / (minutes / 60.0);
    println!(
        "{minutes} minutes: {done:?}; {logged} entries in the log, {} of {} looked for by id and found; memory {} MiB at \
         first, {} MiB after a half, {} MiB at the end, {:.1} MiB at most; in the second half it grows by {:.1} MiB an hour",
        kept.len(),
        acknowledged / 2,
        memory.first().unwrap_or(&0) >> 20,
        late.first().unwrap_or(&0) >> 20,
        late.last().unwrap_or(&0) >> 20,
        *memory.iter().max().unwrap_or(&0) as f64 / (1 << 20) as f64,
        grows / (1 << 20) as f64,
    );
    // Minutes tell nothing of a slope.
    assert!(minutes < 30.0 || grows < GROWS, "memory grows: {memory:?}");
}

/// By how much a look is higher than the one before: the median of the slopes between all pairs (Theil, 1950), which a few
/// looks out of the line do not move.
fn slope(looks: &[u64]) -> f64 {
    let mut slopes = Vec::new();
    for (at, look) in looks.iter().enumerate() {
        for (later, other) in looks.iter().enumerate().skip(at + 1) {
            slopes.push((*other as f64 - *look as f64) / (later - at) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or(0.0)
}
