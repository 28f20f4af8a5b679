//! What a check costs behind the transport: one thread, one question after the other, over the in-memory store without a
//! log, then over the durable one with its log. Tells what of a call is ours and what is the transport's. At the end what
//! the tenant's own lists in files add, of which each is looked into for every check: `-- own` does that alone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant as Clock;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::engine::{Engine, ListTags, Parts, Settings};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::registry::import::{Import, Order};
use ringfence::service::now;
use ringfence::store::{Keys, MemoryStore};
use ringfence::telemetry::Metrics;

mod load;
#[path = "../tests/support/mod.rs"]
mod support;

/// Numbers that are asked about by turns.
const NUMBERS: u64 = 20_000;
/// How many lists of its own a tenant has, and how many numbers each of them: none of those that are asked about.
const OWN: [usize; 4] = [0, 1, 4, 16];
const ON_A_LIST: u64 = 100_000;

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

/// An engine whose tenant has so many lists of its own, as set files of tags.
fn with_own_lists(folder: &Path, count: usize) -> Engine {
    let keys = Keys::ephemeral().unwrap();
    let tags = Arc::new(ListTags::new(keys.clone()));
    let numbers: String = (0..ON_A_LIST).map(|n| format!("+1202{:07}\n", 5_550_000 + n * 3)).collect();
    for list in 0..count {
        let order = Order { source: "made up".to_owned(), ..Order::new(&format!("tenant.list-{list}"), now()) };
        let mut import = Import::begin(order, folder, Some(tags.clone())).unwrap();
        import.read("made up", numbers.as_bytes(), &mut |_| {}).unwrap();
        import.finish().unwrap();
    }
    let registries = Registries::open(Some(folder)).unwrap();
    registries.know_tags(tags);
    assert_eq!(registries.snapshot().own().count(), count);
    Engine::new(Parts {
        store: Arc::new(MemoryStore::new()),
        keys,
        log: None,
        registries: Arc::new(registries),
        law: support::law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    })
}

async fn own() {
    for count in OWN {
        let folder = tempfile::tempdir().unwrap();
        let engine = with_own_lists(folder.path(), count);
        for _ in 0..load::ROUNDS {
            run(&format!("dry run, nobody known, {count} own lists"), &engine, true, 500_000).await;
        }
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "own") {
        return runtime.block_on(own());
    }
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
        own().await;
    });
}
