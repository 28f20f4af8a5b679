//! What a check costs behind the transport: one thread, one question after the other, over the in-memory store without a
//! log, then over the durable one with its log. Tells what of a call is ours and what is the transport's.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use std::sync::Arc;
use std::time::Instant as Clock;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::engine::Engine;
use ringfence::proto::v1;
use ringfence::service::now;

mod load;
#[path = "../tests/support/mod.rs"]
mod support;

/// Numbers that are asked about by turns.
const NUMBERS: u64 = 20_000;

async fn run(what: &str, engine: &Engine, dry_run: bool, from: u64) {
    let template = load::request(from, dry_run).encode_to_vec();
    let began = Clock::now();
    for turn in 0..NUMBERS {
        let mut request = v1::CheckRequest::decode(template.as_slice()).unwrap();
        request.number = format!("+1305{:07}", 2_000_000 + from + turn);
        let clock = ringfence::engine::Clock::at(now());
        let decision = engine.check(&support::permit(Role::Check), request, clock).await.unwrap();
        assert_eq!(decision.verdict(), v1::Verdict::Allow);
        std::hint::black_box(v1::CheckResponse { decision: Some(decision) }.encode_to_vec());
    }
    println!("{what:<44} {:>7.1} us", began.elapsed().as_secs_f64() * 1e6 / NUMBERS as f64);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let memory = support::engine();
        for _ in 0..load::ROUNDS {
            run("dry run, nobody known, no log", &memory, true, 500_000).await;
        }
        run("reservation, first, no log", &memory, false, 0).await;
        run("reservation, second, no log", &memory, false, 0).await;
        run("dry run, somebody known, no log", &memory, true, 0).await;
        let folder = tempfile::tempdir().unwrap();
        let durable: Arc<Engine> = support::durable(folder.path()).await.engine;
        for _ in 0..load::ROUNDS {
            run("dry run, nobody known, logged", &durable, true, 500_000).await;
        }
    });
}
