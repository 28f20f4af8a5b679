//! What we depend on: its licences, its advisories; and how much of our own code the compiler cannot check.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::{not_run, read, root};

/// Where `unsafe` stands, and how often. Each has its argument beside it.
const UNSAFE: &[(&str, usize)] = &[("src/registry/set/file.rs", 1)];

fn allowed() -> Vec<String> {
    let rules: toml::Value = toml::from_str(&read("deploy/deny.toml")).unwrap();
    let names = rules["licenses"]["allow"].as_array().unwrap();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Whether a choice of licences leaves one that is allowed. SPDX, and the older `A/B`.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let words = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, allowed);
    assert_eq!(at, words.len(), "{expression}");
    met
}

fn any_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let word = words[*at];
    *at += 1;
    if word == "(" {
        let met = any_of(words, at, allowed);
        assert_eq!(words[*at], ")");
        *at += 1;
        return met;
    }
    let mut name = word.to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{word} WITH {}", words[*at + 1]);
        *at += 2;
    }
    allowed.contains(&name)
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for met in ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "ISC AND (GPL-3.0 OR MIT)", "Apache-2.0 WITH LLVM-exception"] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "ISC AND GPL-3.0", "Apache-2.0", "(GPL-3.0 OR MIT) AND AGPL-3.0"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn every_licence_is_one_that_may_be_shipped() {
    // Of this platform alone: of others nothing need be here.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", &platform]);
    let ran = cargo.current_dir(root()).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let metadata: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let allowed = allowed();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "these are not all");
    let refused: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| is_met(licence, &allowed)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "not allowed by deploy/deny.toml: {refused:#?}");
}

#[test]
fn no_advisory_concerns_what_is_locked() {
    let deny = || {
        let mut deny = Command::new(env!("CARGO"));
        deny.arg("deny").current_dir(root());
        deny
    };
    let what = "cargo deny check advisories";
    let skipped = |why: &str| {
        // Nothing is released on a check that did not run.
        let must = std::env::var_os("RINGFENCE_ADVISORIES").is_some_and(|value| value == "must");
        assert!(!must, "{what}: {why}, and RINGFENCE_ADVISORIES=must demands it");
        not_run(what, why);
    };
    if !deny().arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        return skipped("no cargo-deny is installed (cargo install --locked cargo-deny)");
    }
    let ran = deny().args(["check", "--config", "deploy/deny.toml", "advisories", "bans", "sources"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("failed to fetch") {
        return skipped("the database of advisories cannot be fetched");
    }
    assert!(ran.status.success(), "{said}");
}

#[test]
fn a_release_does_not_rest_on_a_check_that_did_not_run() {
    let nothing = tempfile::tempdir().unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "crates::no_advisory_concerns_what_is_locked"]).env("RINGFENCE_ADVISORIES", "must");
    let ran = again.env("PATH", nothing.path()).env("CARGO_HOME", nothing.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(!ran.status.success() && said.contains("RINGFENCE_ADVISORIES=must demands it"), "{said}");
}

/// Everything that is compiled for us: what ships, what makes it, and what tries it.
const OURS: [&str; 5] = ["src", "tests", "benches", "fuzz", "build.rs"];

/// Apart from what follows it, so that this file counts none.
const WORD: &str = "unsafe";

/// How often `unsafe` begins something in this code.
fn unsafe_in(code: &str) -> usize {
    let blocks = ["{", "fn", "impl", "extern", "trait"].map(|what| format!("{WORD} {what}"));
    let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    lines.map(|line| blocks.iter().map(|block| line.matches(block.as_str()).count()).sum::<usize>()).sum()
}

#[test]
fn unsafe_code_is_counted() {
    let mut found = BTreeMap::new();
    let mut left: Vec<_> = OURS.iter().map(|name| root().join(name)).collect();
    let mut files = 0;
    while let Some(path) = left.pop() {
        if path.is_dir() {
            // What fuzzing builds lies beside its sources.
            let inside = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            left.extend(inside.filter(|path| !path.ends_with("fuzz/target")));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let count = unsafe_in(&read(&name));
            files += 1;
            if count > 0 {
                found.insert(name, count);
            }
        }
    }
    assert!(files > 300, "{files} files: these are not all");
    let known: BTreeMap<_, _> = UNSAFE.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(found, known, "`unsafe` is counted: a new one needs its argument, a review, and its place in this list");
    // That each has its argument beside it, clippy asks.
    let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).unwrap();
    let lints = &manifest["lints"];
    assert_eq!(lints["clippy"]["undocumented_unsafe_blocks"].as_str(), Some("deny"));
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("deny"));
    let block = format!("let a = {WORD} {{ x() }};");
    assert_eq!((unsafe_in(&block), unsafe_in(&format!("// {block}"))), (1, 0));
}
