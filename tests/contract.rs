//! Frozen texts: what others build against changes only when somebody means it to.
//!
//! `RINGFENCE_BLESS=1 cargo test --test contract` writes the texts anew; the difference is then read in review.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "contract/api.rs"]
mod api;
#[path = "contract/json.rs"]
mod json;
#[path = "contract/style.rs"]
mod style;

use std::path::Path;

/// Compares a text with its frozen form in `tests/contract/`, or writes it there when `RINGFENCE_BLESS` is set.
#[track_caller]
fn frozen(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(file);
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let line = kept.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    assert!(
        kept == text,
        "tests/contract/{file} differs from line {} on:\n  kept: {}\n  now:  {}\nIf meant, run again with RINGFENCE_BLESS=1.",
        line + 1,
        kept.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}
