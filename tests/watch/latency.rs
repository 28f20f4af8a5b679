//! How fast an opt-out reaches everybody: `cargo test --release --test watch -- --ignored --nocapture latency`.

use std::time::{Duration, Instant};

use super::{event, heard, say_stop, watch};
use crate::support::durable;
use ringfence::proto::v1;

const WATCHERS: usize = 50;
const OPT_OUTS: usize = 400;
/// The bar: propagation to every connected watcher, p99, on one machine.
const BAR: Duration = Duration::from_millis(100);

/// From the answer to `RecordOptOut` until the last of fifty watchers has the event, on a durable store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: takes a quiet machine, see the head of the file"]
async fn latency_of_fifty_watchers() {
    let folder = tempfile::tempdir().unwrap();
    let engine = durable(folder.path()).await.engine;
    let (sender, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..WATCHERS {
        let mut events = watch(&engine, v1::WatchOptOutsRequest::default()).await;
        heard(&mut events).await;
        let sender = sender.clone();
        tokio::spawn(async move {
            for _ in 0..OPT_OUTS {
                event(&mut events).await;
                sender.send(Instant::now()).unwrap();
            }
        });
    }
    let mut each = Vec::new();
    for n in 0..OPT_OUTS {
        say_stop(&engine, n).await;
        let answered = Instant::now();
        for _ in 0..WATCHERS {
            each.push(arrived.recv().await.unwrap().saturating_duration_since(answered));
        }
    }
    each.sort();
    let at = |percent: usize| each[(each.len() * percent / 100).min(each.len() - 1)];
    println!("{WATCHERS} watchers, {OPT_OUTS} opt-outs: p50 {:?}, p99 {:?}, all {:?}", at(50), at(99), at(100));
    assert!(at(99) <= BAR, "p99 {:?}", at(99));
}
