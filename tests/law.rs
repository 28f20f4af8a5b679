//! The packs: every one loads and lints clean, every rule's own cases hold, and whole questions come out as they must.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "law/diff.rs"]
mod diff;
#[path = "law/duties.rs"]
mod duties;
#[path = "law/holidays.rs"]
mod holidays;
#[path = "law/lint.rs"]
mod lint_of_bad_packs;
#[path = "law/overview.rs"]
mod overview;
#[path = "law/rows.rs"]
mod rows;

use ringfence::engine::cases;
use ringfence::law::{BUILT_IN, Law, lint};

fn built_in() -> Law {
    Law::read(BUILT_IN.iter().copied()).unwrap_or_else(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        panic!("the built-in packs do not load:\n{}", faults.join("\n"))
    })
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let mut files: Vec<_> = std::fs::read_dir("src/law/packs")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // The overview and the list of rows that are no rule stand beside the packs.
    files.retain(|name| name.ends_with(".toml"));
    files.sort();
    let listed: Vec<_> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn the_packs_lint_clean() {
    let remarks: Vec<_> = lint(&built_in()).iter().map(|r| format!("{}:{}: {}", r.file, r.line, r.message)).collect();
    assert!(remarks.is_empty(), "{}", remarks.join("\n"));
}

#[test]
fn every_rule_says_what_its_cases_say() {
    let law = built_in();
    let outcomes: Vec<_> = law.packs().iter().flat_map(|pack| cases::of_pack(&law, pack)).collect();
    let failed: Vec<_> =
        outcomes.iter().filter_map(|o| Some(format!("{} ({}): {}", o.name, o.why, o.failure.as_ref()?))).collect();
    eprintln!("{} cases", outcomes.len());
    assert!(outcomes.len() > 400, "only {} cases ran", outcomes.len());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

const ACCEPTANCE: &str = "tests/law/acceptance.jsonl";

#[test]
fn whole_questions_come_out_as_they_must() {
    let law = built_in();
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    let text = [ACCEPTANCE, "tests/law/tables.jsonl", "tests/law/forms.jsonl"].map(read).concat();
    assert!(read(ACCEPTANCE).lines().count() >= 60);
    let outcomes: Vec<_> = text.lines().enumerate().map(|(i, line)| cases::acceptance(&law, line, i + 1)).collect();
    let failed: Vec<_> =
        outcomes.iter().filter_map(|o| Some(format!("{} ({}): {}", o.name, o.why, o.failure.as_ref()?))).collect();
    assert!(outcomes.len() >= 400, "only {} cases ran", outcomes.len());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
