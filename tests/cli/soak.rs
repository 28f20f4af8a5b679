//! An hour under load: memory stays flat, and no entry is lost. Run by itself, with its own command:
//!
//! `RINGFENCE_SOAK_MINUTES=60 cargo test --release --test cli -- --ignored --nocapture soak`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringfence::proto::v1;
use ringfence::proto::v1::audit_service_client::AuditServiceClient;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::Home;
use super::server::{Server, serve_with};

/// Callers at once.
const CALLERS: u64 = 16;
/// Numbers that are asked about, so that records come to an end of growing: each keeps what its caps need.
const NUMBERS: u64 = 20_000;
/// Of so many decisions the entry of one is looked for.
const ONE_IN: u64 = 60;

/// What was acknowledged.
#[derive(Default)]
struct Done {
    checks: AtomicU64,
    opted_out: AtomicU64,
    shed: AtomicU64,
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
            consents.record_opt_out(request).await.unwrap();
            done.opted_out.fetch_add(1, Ordering::Relaxed);
        }
        let decision = match checks.check(check(about, n % 4 != 0)).await {
            Ok(answer) => answer.into_inner().decision.unwrap(),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                done.shed.fetch_add(1, Ordering::Relaxed);
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
            checks.report_outcome(report).await.unwrap();
        }
        if n % ONE_IN == 0 && decision.use_by.is_some() {
            kept.push(decision.decision_id);
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
    home.run(&["audit", "verify"]).code(0).says(&["SOUND", "compared"]);
    // Until a third of the time records are still made, and caches filled.
    let (early, late) = memory.split_at(memory.len() / 3);
    let middle = |looks: &[u64]| {
        let mut looks = looks.to_vec();
        looks.sort_unstable();
        looks[looks.len() / 2]
    };
    let (first, last) = (middle(&late[..late.len() / 4]), middle(&late[late.len() * 3 / 4..]));
    let (checks, opted_out, shed) = (&done.checks, &done.opted_out, &done.shed);
    println!(
        "{minutes} minutes: {checks:?} checks, {opted_out:?} opt-outs, {shed:?} refused; {} entries found again; memory {} MiB \
         at first, {} MiB after a third, {} MiB at the end",
        kept.len(),
        early.first().unwrap_or(&0) >> 20,
        first >> 20,
        last >> 20
    );
    assert!(last < first + first / 5 + (16 << 20), "memory grows: {memory:?}");
}
