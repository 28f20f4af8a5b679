//! Documents: every link leads somewhere, and every command line is one that the program takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{read, root};

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
            // Written with access control, which the program may not have yet.
            let coming = path.ends_with("access.md") && !read("tests/cli/help.txt").contains("$ ringfence access");
            if !found && !coming {
                dead.push(format!("{}: {link}", document.display()));
            }
            seen += 1;
        }
    }
    assert!(dead.is_empty() && seen > 60, "{seen} links; these lead nowhere:\n{}", dead.join("\n"));
}

/// The help text of each command, by its words.
fn helps() -> BTreeMap<String, String> {
    let text = read("tests/cli/help.txt");
    let parts = text.split("$ ringfence ").skip(1).map(|part| part.split_once("--help\n").unwrap());
    parts.map(|(words, help)| (words.trim().to_owned(), help.to_owned())).collect()
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let (helps, mut faults, mut seen) = (helps(), Vec::new(), 0);
    let has_access = helps.contains_key("access");
    for document in documents() {
        let (prose, code) = split(&read(&document.display().to_string()));
        // In fences each line, in prose what stands in backquotes.
        let quoted = prose.split('`').skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        for line in code.replace("\\\n", " ").lines().chain(quoted.lines()) {
            let line = line.trim_start().trim_start_matches("$ ");
            let Some(line) = line.strip_prefix("ringfence ").or_else(|| line.strip_prefix("cargo run -- ")) else {
                continue;
            };
            let words: Vec<_> = line.split(" #").next().unwrap().split_whitespace().collect();
            let depth = (1..=3).rev().find(|n| words.len() >= *n && helps.contains_key(&words[..*n].join(" ")));
            let is_word = words.first().is_some_and(|word| word.chars().all(|c| c.is_ascii_lowercase()));
            let Some(depth) = depth else {
                // `ringfence 0.1.0 is serving`, `ringfence law lint|test`
                if is_word && !(words[0] == "access" && !has_access) {
                    faults.push(format!("{}: no such command: ringfence {line}", document.display()));
                }
                continue;
            };
            let help = &helps[&words[..depth].join(" ")];
            for flag in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let flag: String = flag.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                let known = help.split_whitespace().any(|word| word.trim_end_matches([',', '=']) == flag);
                let later = flag == "--tenant" || flag == "--role";
                if !known && !(later && !has_access) {
                    faults.push(format!("{}: no such flag: {flag} in `ringfence {line}`", document.display()));
                }
            }
            seen += 1;
        }
    }
    assert!(faults.is_empty() && seen > 60, "{seen} command lines:\n{}", faults.join("\n"));
}
