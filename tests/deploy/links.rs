//! Documents: every link leads somewhere, and every command line is one that the program takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{program, read, root};

/// The front page and everything in `deploy/` of this folder.
fn documents(base: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(base.join(&folder)).unwrap().map(|entry| entry.unwrap()) {
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
    let (prose, _) = split(&std::fs::read_to_string(path).unwrap());
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
    kept.map(|name| name.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()).collect()
}

/// Where the links of a text lead.
fn links(prose: &str) -> Vec<String> {
    let found = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned);
    found.filter(|link| !link.starts_with("http://") && !link.starts_with("https://")).collect()
}

/// Links of the documents in a folder that lead nowhere within it, and how many lead somewhere.
pub fn dead(base: &Path) -> (Vec<String>, usize) {
    let (mut dead, mut good) = (Vec::new(), 0);
    for document in documents(base) {
        let (prose, _) = split(&std::fs::read_to_string(base.join(&document)).unwrap());
        for link in links(&prose) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => base.join(&document),
                path => base.join(document.parent().unwrap()).join(path),
            };
            if target.exists() && (anchor.is_empty() || anchors(&target).contains(anchor)) {
                good += 1;
            } else {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    (dead, good)
}

#[test]
fn every_link_leads_somewhere() {
    let (dead, good) = dead(root());
    assert!(dead.is_empty() && good > 60, "{good} links; these lead nowhere:\n{}", dead.join("\n"));
}

/// Where they are looked for by the usual names, they are found.
#[test]
fn the_front_page_names_the_usual_documents() {
    let readme = read("README.md");
    for link in [
        "[SECURITY (security policy)](deploy/security.md)",
        "[CONTRIBUTING](deploy/contributing.md)",
        "[CHANGELOG](deploy/changes.md)",
    ] {
        assert!(readme.contains(link), "{link}");
    }
    let policy = read("deploy/security.md");
    let lines = policy.lines().filter(|line| line.starts_with("Contact:")).count();
    assert_eq!(lines, 1, "deploy/release.sh looks for that line");
    assert!(policy.contains("working days") && policy.contains("**What is supported.**"));
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

/// What a command cannot do without, by its line of usage: of each of these, one of the flags.
fn required(help: &str) -> Vec<Vec<String>> {
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or_default();
    let (mut all, mut depth, mut word) = (Vec::new(), 0, String::new());
    for c in usage.chars().chain([' ']) {
        match c {
            '[' | '<' => depth += 1,
            ']' | '>' => depth -= 1,
            _ => {}
        }
        if c != ' ' || depth > 0 {
            word.push(c);
            continue;
        }
        let choice = word.strip_prefix('<').unwrap_or(&word);
        let flags = choice.split('|').filter(|one| one.starts_with("--"));
        let flags: Vec<_> = flags.map(|one| one.split([' ', '>']).next().unwrap().to_owned()).collect();
        all.extend(Some(flags).filter(|flags| !flags.is_empty()));
        word.clear();
    }
    all
}

#[test]
fn what_is_required_is_read_off_the_usage() {
    let usage = "Usage: x freeze [OPTIONS] --why <TEXT> <NUMBER> <--all|--seller <NAME>|--place <CODE>> [--or]\n";
    let flags = |all: &[&str]| all.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    assert_eq!(required(usage), [flags(&["--why"]), flags(&["--all", "--seller", "--place"])]);
    let freeze = program().args(["control", "freeze", "--help"]).output().unwrap();
    assert_eq!(required(&String::from_utf8(freeze.stdout).unwrap()).len(), 3);
}

#[test]
fn every_command_line_is_one_that_the_program_takes() {
    let (mut helps, mut faults, mut seen) = (BTreeMap::new(), Vec::new(), 0);
    for document in documents(root()) {
        let (prose, code) = split(&read(&document.display().to_string()));
        // In fences each line, in prose what stands in backquotes.
        let quoted = prose.split('`').skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        let code = code.replace("\\\n", " ");
        for (fenced, line) in code.lines().map(|line| (true, line)).chain(quoted.lines().map(|line| (false, line))) {
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
            let given = |flag: &String| words.iter().any(|word| word.split('=').next() == Some(flag.as_str()));
            // Prose may name a command; what is shown with flags, or to be typed, is whole.
            let whole = (fenced || words.iter().any(|word| word.starts_with("--"))) && !words.contains(&"--help");
            for flags in required(&help).iter().filter(|flags| whole && !flags.iter().any(given)) {
                let flags = flags.join(" or ");
                faults.push(format!("{}: `ringfence {line}` wants {flags}", document.display()));
            }
            seen += 1;
        }
    }
    assert!(faults.is_empty() && seen > 60, "{seen} command lines:\n{}", faults.join("\n"));
}
