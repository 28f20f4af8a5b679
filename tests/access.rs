//! Who may ask: every call of the contract by every role, another tenant's things, credentials that are wrong, old or
//! revoked, certificates and their reload, and what floods, silence and slowness do to the others.
//!
//! `RINGFENCE_BLESS=1 cargo test --test access` writes the grids anew; the difference is then read in review.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "access/certificates.rs"]
mod certificates;
#[path = "access/credentials.rs"]
mod credentials;
#[path = "access/expired.rs"]
mod expired;
#[path = "service/faulty.rs"]
mod faulty;
#[path = "access/floods.rs"]
mod floods;
#[path = "access/grid.rs"]
mod grid;
#[path = "access/guessing.rs"]
mod guessing;
#[path = "access/health.rs"]
mod health;
#[path = "access/house.rs"]
mod house;
#[path = "access/issued.rs"]
mod issued;
#[path = "access/limited.rs"]
mod limited;
#[path = "access/own_lists.rs"]
mod own_lists;
#[path = "support/redis.rs"]
mod redis;
#[path = "access/refusals.rs"]
mod refusals;
#[path = "access/reloads.rs"]
mod reloads;
#[path = "access/revocations.rs"]
mod revocations;
#[path = "access/streams.rs"]
mod streams;
mod support;
#[path = "access/tenants.rs"]
mod tenants;
#[path = "access/weight.rs"]
mod weight;

use std::path::Path;

/// Compares a text with its frozen form in `tests/access/`, or writes it there when `RINGFENCE_BLESS` is set.
#[track_caller]
fn frozen(file: &str, text: &str) {
    println!("{text}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/access").join(file);
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let line = kept.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    assert!(
        kept == text,
        "tests/access/{file} differs from line {} on:\n  kept: {}\n  now:  {}\nIf meant, run again with RINGFENCE_BLESS=1.",
        line + 1,
        kept.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}
