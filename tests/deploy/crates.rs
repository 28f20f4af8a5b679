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
    let ran = cargo.current_dir(root()).output().unwrap();
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
    if !deny().arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        return not_run(what, "there is no cargo-deny here, which fetches the database of advisories");
    }
    let ran = deny().args(["check", "--config", "deploy/deny.toml", "advisories", "bans", "sources"]).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    if said.contains("failed to fetch") {
        return not_run(what, "the database of advisories cannot be fetched");
    }
    assert!(ran.status.success(), "{said}");
}

#[test]
fn unsafe_code_is_counted() {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                let code = read(&name);
                let lines = code.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
                let blocks = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
                let count: usize =
                    lines.map(|line| blocks.iter().map(|block| line.matches(block).count()).sum::<usize>()).sum();
                if count > 0 {
                    found.insert(name, count);
                }
            }
        }
    }
    let known: BTreeMap<_, _> = UNSAFE.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(found, known, "`unsafe` is counted: a new one needs its argument, a review, and its place in this list");
}
