//! `decide` is right: a second, naive implementation answers the same on random questions (I10), and the promises that
//! need no second answer hold (I4, I5, I6).
//!
//! `RINGFENCE_TWIN_QUESTIONS` asks another number of questions than the default, `RINGFENCE_TWIN_SEED` begins
//! elsewhere: `RINGFENCE_TWIN_QUESTIONS=1000000 cargo test --release --test twin` is the long run. A disagreement prints
//! the smallest question found that shows it; its seed asks the original again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "twin/civil.rs"]
mod civil;
#[path = "twin/compare.rs"]
mod compare;
#[path = "twin/naive.rs"]
mod naive;
#[path = "twin/questions.rs"]
mod questions;
#[path = "twin/random.rs"]
mod random;
#[path = "twin/show.rs"]
mod show;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfence::law::{BUILT_IN, Law};

use compare::{disagreement, shrunk};
use questions::{Asked, Choices};
use random::Random;

fn built_in() -> Arc<Law> {
    Arc::new(Law::read(BUILT_IN.iter().copied()).expect("the built-in packs load"))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Asks questions on all cores; returns how many, and the first few faults.
fn ask(default: u64, make: impl Fn(u64) -> Asked + Sync, fault: impl Fn(&Asked) -> Option<String> + Sync) {
    let (first, count) = (setting("RINGFENCE_TWIN_SEED", 1), setting("RINGFENCE_TWIN_QUESTIONS", default));
    let (next, faults) = (AtomicU64::new(first), std::sync::Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || faults.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let asked = make(seed);
                    if let Some(found) = fault(&asked) {
                        let kind = found.split(' ').next().unwrap_or_default().to_owned();
                        let small = shrunk(&asked, |asked| fault(asked).is_some_and(|f| f.starts_with(&kind)));
                        let found = fault(&small).unwrap_or(found);
                        let text = format!("seed {seed}: {found}\n{}\n", show::json(&small));
                        faults.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults, first seed {first}:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn twins_agree_on_the_built_in_packs() {
    let law = built_in();
    let choices = Choices::default();
    ask(1_000, |seed| questions::question(&mut Random::new(seed), &law, &choices), disagreement);
}
