//! Imports point one way, and the pure modules stay pure. Read off the text of the sources, so that a new file is held to
//! it as well.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module, with what stands below it: what it may use. Adapters use each other only where it is written here.
const MAY_USE: [(&str, &[&str]); 18] = [
    ("time", &[]),
    ("proto", &[]),
    ("place", &["time"]),
    ("contact", &["place", "proto", "time"]),
    ("law", &["contact", "place", "time"]),
    ("decision", &["law", "contact", "place", "time"]),
    ("store", &["time"]),
    // The log reconciles itself with the store's outbox.
    ("audit", &["store", "time"]),
    ("registry", &["place", "time"]),
    ("telemetry", &["contact", "proto", "time"]),
    ("access", &["time"]),
    ("listen", &["access", "telemetry", "time"]),
    (
        "engine",
        &["access", "store", "registry", "audit", "telemetry", "decision", "law", "contact", "place", "proto", "time"],
    ),
    ("service", &["engine", "access", "telemetry", "store", "contact", "proto", "time"]),
    ("http", &["service", "engine", "access", "proto"]),
    ("notify", &["engine", "store", "proto", "time"]),
    ("config", &["engine", "store", "audit", "access", "listen", "decision", "place", "time"]),
    (
        "cli",
        &[
            "config",
            "http",
            "service",
            "listen",
            "notify",
            "engine",
            "access",
            "store",
            "registry",
            "audit",
            "telemetry",
            "decision",
            "law",
            "contact",
            "place",
            "proto",
            "time",
        ],
    ),
];

/// What the pure modules must not name.
const IMPURE: [&str; 8] =
    ["tokio", "std::fs", "std::net", "std::env", "SystemTime", "Timestamp::now", "Instant::now", "Zoned::now"];
const PURE: [&str; 5] = ["time", "place", "contact", "law", "decision"];

fn sources(module: &str) -> Vec<PathBuf> {
    fn walk(path: &Path, found: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_owned());
        }
    }
    let mut found = Vec::new();
    walk(Path::new(&format!("src/{module}")), &mut found);
    walk(Path::new(&format!("src/{module}.rs")), &mut found);
    found.retain(|path| path.exists());
    found
}

/// The part of a source that ships: what comes before its unit tests, comments left out.
fn shipped(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_module_is_in_the_list() {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let mut declared: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut listed: Vec<_> = MAY_USE.iter().map(|(module, _)| *module).collect();
    declared.sort_unstable();
    listed.sort_unstable();
    assert_eq!(declared, listed);
}

#[test]
fn imports_point_one_way() {
    let may_use: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    let mut wrong = Vec::new();
    for (module, allowed) in &may_use {
        for path in sources(module) {
            let text = shipped(&path);
            for other in may_use.keys() {
                let named =
                    text.contains(&format!("crate::{other}::")) || text.contains(&format!("use crate::{other};"));
                // `use crate::{a, b}` at the top of a file.
                let grouped = text.lines().any(|line| {
                    line.strip_prefix("use crate::{").is_some_and(|rest| {
                        rest.split([',', '}', ' ']).any(|word| word.split("::").next() == Some(*other))
                    })
                });
                if (named || grouped) && other != module && !allowed.contains(other) {
                    wrong.push(format!("{} uses {other}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_modules_do_no_io_and_read_no_clock() {
    let mut wrong = Vec::new();
    for module in PURE {
        for path in sources(module) {
            let text = shipped(&path);
            wrong
                .extend(IMPURE.iter().filter(|word| text.contains(**word)).map(|w| format!("{}: {w}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unfinished_ships() {
    let marks = ["todo!(", "unimplemented!(", "FIXME", "TODO", "XXX"];
    for (module, _) in MAY_USE {
        for path in sources(module) {
            let text = shipped(&path);
            let found = marks.iter().find(|mark| text.contains(**mark));
            assert!(found.is_none(), "{}: {found:?}", path.display());
        }
    }
}
