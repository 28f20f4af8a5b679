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
#[path = "twin/evidence.rs"]
mod evidence;
#[path = "twin/found.rs"]
mod found;
#[path = "twin/known.rs"]
mod known;
#[path = "twin/naive.rs"]
mod naive;
#[path = "twin/packs.rs"]
mod packs;
#[path = "twin/properties.rs"]
mod properties;
#[path = "twin/questions.rs"]
mod questions;
#[path = "twin/random.rs"]
mod random;
#[path = "twin/show.rs"]
mod show;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ringfence::decision::decide;
use ringfence::law::{BUILT_IN, Body, Law};

use compare::{disagreement, shrunk};
use questions::{Asked, Choices};
use random::Random;

fn built_in() -> Arc<Law> {
    Arc::new(Law::read(BUILT_IN.iter().copied()).expect("the built-in packs load"))
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// Asks questions on all cores, and stops at the first few faults.
fn ask(what: &str, default: u64, make: impl Fn(u64) -> Asked + Sync, fault: impl Fn(&Asked) -> Option<String> + Sync) {
    let (first, count) = (setting("RINGFENCE_TWIN_SEED", 1), setting("RINGFENCE_TWIN_QUESTIONS", default));
    let (next, faults) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    eprintln!("{what}: {count} questions from seed {first}");
    let work = || {
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
                faults.lock().unwrap().push(format!("seed {seed}: {found}\n{}\n", show::json(&small)));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{what}: {} faults, first seed {first}:\n{}", faults.len(), faults.join("\n"));
}

fn on_built_in_packs() -> impl Fn(u64) -> Asked + Sync {
    on(built_in())
}

fn on(law: Arc<Law>) -> impl Fn(u64) -> Asked + Sync {
    let choices = Choices::default();
    move |seed| questions::question(&mut Random::new(seed), &law, &choices)
}

fn on_made_up_packs(seed: u64) -> Asked {
    let mut r = Random::new(seed ^ 0x00c0_ffee << 32);
    let (law, choices, packs) = packs::law(&mut r);
    Asked { packs, ..questions::question(&mut r, &Arc::new(law), &choices) }
}

#[test]
fn twins_agree_on_the_built_in_packs() {
    ask("twins, built-in packs", 600, on_built_in_packs(), disagreement);
}

#[test]
fn twins_agree_on_made_up_packs() {
    ask("twins, made-up packs", 600, on_made_up_packs, disagreement);
}

/// The questions are worth asking: every kind of answer comes up often.
#[test]
fn the_questions_meet_every_kind_of_answer() {
    // Aimed at the law of the numbers that are asked about: few of a thousand other rules would come up by chance.
    let file = |jurisdiction: &str| format!("{}.toml", jurisdiction.to_lowercase());
    let files: Vec<_> = ASKED_ABOUT.iter().map(|jurisdiction| file(jurisdiction)).collect();
    let packs = BUILT_IN.iter().copied().filter(|(name, _)| files.iter().any(|file| file == name));
    let law = Arc::new(Law::read(packs).expect("the first packs load"));
    let make = on(Arc::clone(&law));
    let mut told = [("allowed for good", 0), ("allowed until", 0), ("denied until", 0), ("denied for good", 0)];
    let mut rules = std::collections::BTreeSet::new();
    for seed in 1..=2_000 {
        for asked in [make(seed), on_made_up_packs(seed)] {
            let decision = decide(&asked.question());
            let index = match (decision.allows(), decision.valid_until, decision.retry_at) {
                (true, None, _) => 0,
                (true, Some(_), _) => 1,
                (false, _, Some(_)) => 2,
                (false, _, None) => 3,
            };
            told[index].1 += 1;
            rules.extend(decision.reasons.iter().map(|reason| reason.rule_id().to_owned()));
        }
    }
    let all = law.packs().iter().flat_map(|pack| &pack.rules).filter(|rule| can_deny(&rule.body));
    let (met, never): (Vec<_>, Vec<_>) = all.map(|rule| &*rule.id).partition(|id| rules.contains(*id));
    eprintln!("{told:?}; never denied: {never:?}");
    assert!(told.iter().all(|(_, count)| *count >= 120), "{told:?}");
    assert!(met.len() >= 5 * never.len(), "of {} rules never denied: {never:?}", met.len() + never.len());
    assert!(rules.contains("ringfence.freeze") && rules.contains("us.ny.emergency"), "{rules:?}");
}

const ASKED_ABOUT: [&str; 11] = ["US", "US-FL", "US-TX", "US-NY", "US-OH", "US-CA", "EU", "FR", "DE", "GB", "CN"];

fn can_deny(body: &Body) -> bool {
    !matches!(body, Body::Abandonment | Body::Retention { .. } | Body::Obligation { .. } | Body::Keywords { .. })
}
