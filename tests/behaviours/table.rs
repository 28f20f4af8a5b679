//! The table is whole and true: every behaviour once, every place and test it names exists, and no state lacks its reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "tests/behaviours/table.md";
/// B01 to B80.
const BEHAVIOURS: usize = 80;

struct Row {
    id: String,
    behaviour: String,
    places: Vec<String>,
    /// What the second but last cell names.
    tests: Vec<String>,
    state: String,
    /// What the last cell says after the state.
    reason: String,
}

/// What stands between backticks.
fn ticked(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(TABLE).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| B"));
    lines
        .map(|line| {
            let line = line.split("<!--").next().unwrap().trim_end();
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [id, behaviour, places, tests, last] = cells[..] else { panic!("not five cells: {line}") };
            let (state, reason) = last.split_once(": ").unwrap_or((last, ""));
            Row {
                id: id.to_owned(),
                behaviour: behaviour.to_owned(),
                places: ticked(places),
                tests: ticked(tests),
                state: state.to_owned(),
                reason: reason.to_owned(),
            }
        })
        .collect()
}

/// What is wrong with a place: a file, an RPC, a command, a rule, a name of the contract, or a setting.
fn misplaced(place: &str, sources: &Sources) -> Option<String> {
    let found = match place {
        file if file.contains('/') || file.ends_with(".md") => Path::new(file).exists(),
        command if command.starts_with("ringfence ") => {
            sources.help.lines().any(|line| line == format!("$ {command} --help"))
        }
        name if name.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
            sources.proto.contains(&format!(" {name} ="))
        }
        setting if setting.starts_with("--") => {
            sources.config.contains(&format!("(\"{}\",", setting.trim_start_matches("--")))
        }
        name => match name.split_once('.') {
            Some((service, rpc)) if service.ends_with("Service") => sources.proto.contains(&format!("  rpc {rpc}(")),
            Some(_) => sources.packs.contains(&format!("\nid = \"{name}\"\n")),
            None => sources.proto.contains(&format!("\nmessage {name} {{")),
        },
    };
    (!found).then(|| format!("`{place}` is not there"))
}

struct Sources {
    proto: String,
    packs: String,
    help: String,
    config: String,
}

fn all(folder: &str, extension: &str) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let files = files.iter().filter(|path| path.extension().is_some_and(|found| found == extension));
    files.map(|path| fs::read_to_string(path).unwrap()).collect()
}

impl Sources {
    fn read() -> Self {
        Self {
            proto: all("proto/ringfence/v1", "proto"),
            packs: all("src/law/packs", "toml") + &fs::read_to_string("src/law/rights/table.toml").unwrap(),
            help: fs::read_to_string("tests/cli/help.txt").unwrap(),
            config: fs::read_to_string("src/config.rs").unwrap(),
        }
    }
}

/// What is wrong with a test, named `file::function` below `tests/`, or below `src/` if the file begins so.
fn untested(test: &str) -> Option<String> {
    let Some((file, name)) = test.split_once("::") else { return Some(format!("`{test}` is not file::function")) };
    let path = if file.starts_with("src/") { file.to_owned() } else { format!("tests/{file}") };
    let Ok(text) = fs::read_to_string(&path) else { return Some(format!("{path} is not there")) };
    // A file in a folder is a test only where a file beside the folders takes it in.
    if !file.starts_with("src/") && file.contains('/') && !all("tests", "rs").contains(&format!("#[path = \"{file}\"]"))
    {
        return Some(format!("no test takes in {path}"));
    }
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let begins = |line: &&str| {
        let line = line.trim_start_matches("async ");
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(begins) else { return Some(format!("{path} has no fn {name}")) };
    let above: Vec<_> =
        lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//")).collect();
    if !above.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) {
        return Some(format!("{path}: {name} is no test"));
    }
    above.iter().any(|line| line.starts_with("#[ignore")).then(|| format!("{path}: {name} is ignored"))
}

/// Whether the state of a row has what it needs.
fn unreasoned(row: &Row) -> Option<String> {
    let documents = || ticked(&row.reason).into_iter().filter(|file| file.ends_with(".md")).count();
    match row.state.as_str() {
        "shown" if row.tests.is_empty() => Some("shown by nothing".to_owned()),
        "shown" => None,
        "documentation" if documents() == 0 => Some("documentation without the document".to_owned()),
        "documentation" if !row.reason.contains(", since ") => Some("documentation: say why, `since …`".to_owned()),
        "owed" if row.reason.len() < 20 => Some("owed: say what is missing".to_owned()),
        "documentation" | "owed" => ticked(&row.reason)
            .iter()
            .filter(|place| place.ends_with(".md"))
            .find(|file| !Path::new(file.as_str()).exists())
            .map(|file| format!("{file} is not there")),
        other => Some(format!("`{other}` is neither shown, documentation nor owed")),
    }
}

#[test]
fn every_behaviour_is_shown_documented_or_owed_in_the_open() {
    let (rows, sources) = (rows(), Sources::read());
    let mut problems = Vec::new();
    for wanted in (1..=BEHAVIOURS).map(|number| format!("B{number:02}")) {
        match rows.iter().filter(|row| row.id == wanted).count() {
            1 => {}
            0 => problems.push(format!("{wanted} is missing")),
            times => problems.push(format!("{wanted} is there {times} times")),
        }
    }
    problems.extend((rows.len() > BEHAVIOURS).then(|| format!("{} rows, of {BEHAVIOURS}", rows.len())));
    let mut counts = BTreeMap::new();
    for row in &rows {
        *counts.entry(row.state.as_str()).or_insert(0) += 1;
        let found = row.places.iter().filter_map(|place| misplaced(place, &sources));
        let found = found.chain(row.tests.iter().filter_map(|test| untested(test))).chain(unreasoned(row));
        problems.extend(found.map(|what| format!("{}: {what}", row.id)));
        if row.behaviour.is_empty() || (row.places.is_empty() && row.state == "shown") {
            problems.push(format!("{}: says neither what nor where", row.id));
        }
    }
    assert!(problems.is_empty(), "{TABLE}:\n{}", problems.join("\n"));
    eprintln!("behaviours owed to people: {counts:?}");
    for row in rows.iter().filter(|row| row.state == "owed") {
        eprintln!("{} is owed: {}", row.id, row.reason);
    }
}
