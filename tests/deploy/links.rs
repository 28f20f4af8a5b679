//! Documents: every link leads somewhere, and every command line is one that the program takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{program, read, root};

/// The front page and everything in `deploy/`.
fn documents() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap().map(|entry| entry.unwrap()) {
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The text outside of fences, and that inside.
fn split(text: &str) -> (String, String) {
    let (mut prose, mut code, mut fenced) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else {
            let into = if fenced { &mut code } else { &mut prose };
            into.push_str(line);
            into.push('\n');
        }
    }
    assert!(!fenced, "a fence is not closed");
    (prose, code)
}

/// The anchors of a document, as the usual viewers make them from headings.
fn anchors(path: &Path) -> BTreeSet<String> {
    let (prose, _) = split(&read(&path.display().to_string()));
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
    kept.map(|name| name.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()).collect()
}

/// Where the links of a text lead.
fn links(prose: &str) -> Vec<String> {
    let found = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned);
    found.filter(|link| !link.starts_with("http://") && !link.starts_with("https://")).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let (mut dead, mut seen) = (Vec::new(), 0);
    for document in documents() {
        let (prose, _) = split(&read(&document.display().to_string()));
        for link in links(&prose) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            let there = root().join(&target).exists();
            let found = there && (anchor.is_empty() || anchors(&target).contains(anchor));
            if !found {
                dead.push(format!("{}: {link}", document.display()));
            }
            seen += 1;
        }
    }
    assert!(dead.is_empty() && seen > 60, "{seen} links; these lead nowhere:\n{}", dead.join("\n"));
}

/// The help of the longest command that begins a line, as the program tells it.
fn help(words: &[&str], seen: &mut BTreeMap<String, Option<String>>) -> Option<String> {
    let is_word = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let most = words.iter().take_while(is_word).count().min(3);
    (1..=most).rev().find_map(|n| {
        let ask = || {
            let output = program().args(&words[..n]).arg("--help").output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        };
        seen.entry(words[..n].join(" ")).or_insert_with(ask).clone()
    })
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let (mut helps, mut faults, mut seen) = (BTreeMap::new(), Vec::new(), 0);
    for document in documents() {
        let (prose, code) = split(&read(&document.display().to_string()));
        // In fences each line, in prose what stands in backquotes.
        let quoted = prose.split('`').skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        for line in code.replace("\\\n", " ").lines().chain(quoted.lines()) {
            let line = line.trim_start().trim_start_matches("$ ");
            let begins = ["ringfence ", "cargo run -- ", "cargo run -q -- "];
            let Some(line) = begins.iter().find_map(|begins| line.strip_prefix(begins)) else { continue };
            let words: Vec<_> = line.split(" #").next().unwrap().split_whitespace().collect();
            let is_word = words.first().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            let Some(help) = help(&words, &mut helps) else {
                // `ringfence 0.1.0 is serving` is no command line.
                if is_word {
                    faults.push(format!("{}: no such command: ringfence {line}", document.display()));
                }
                continue;
            };
            for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let flag: String = flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                let known = help.split_whitespace().any(|word| word.trim_end_matches([',', '=']) == flag);
                if !known {
                    faults.push(format!("{}: no such flag: {flag} in `ringfence {line}`", document.display()));
                }
            }
            seen += 1;
        }
    }
    assert!(faults.is_empty() && seen > 60, "{seen} command lines:\n{}", faults.join("\n"));
}
