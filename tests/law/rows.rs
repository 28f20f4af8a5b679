//! Every row of the fact tables became a rule, or stands in `src/law/packs/NOT_RULES.md` with what became of it.

use std::collections::BTreeSet;

use ringfence::law::Body;
use ringfence::registry::ids::OFFICIAL;

const LIST: &str = include_str!("../../src/law/packs/NOT_RULES.md");
const ROWS: &str = include_str!("rows.txt");

/// The ids between backticks in a cell.
fn ids(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of the tables under a heading of the second rank: their cells.
fn tables(heading: &str) -> Vec<Vec<&'static str>> {
    let text = LIST.split("\n## ").find(|part| part.starts_with(heading)).expect(heading);
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn every_row_became_a_rule_or_is_listed_once() {
    let law = super::built_in();
    let (carried, left_out) = (tables("Rows that stand in a rule"), tables("Rows that are no rule"));
    let listed: Vec<&str> = carried.iter().chain(&left_out).flat_map(|cells| ids(cells[0])).collect();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for id in &listed {
        if !seen.insert(*id) {
            problems.push(format!("{id} is listed twice"));
        }
        if law.rule(id).is_some() {
            problems.push(format!("{id} is a rule: take it off the list"));
        }
    }
    for row in ROWS.lines().filter(|row| !seen.contains(row) && law.rule(row).is_none()) {
        problems.push(format!("{row} is neither a rule nor listed: say in NOT_RULES.md what became of it"));
    }
    assert!(ROWS.lines().count() > 400 && problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_rule_named_there_exists_and_every_reason_is_given() {
    let law = super::built_in();
    for cells in tables("Rows that stand in a rule") {
        let rules = ids(cells[1]);
        assert!(!rules.is_empty(), "{cells:?}");
        for rule in rules {
            assert!(law.rule(rule).is_some(), "{} is said to stand in {rule}, which is no rule", cells[0]);
        }
    }
    for cells in tables("Rows that are no rule").iter().chain(&tables("Lists that no rule reads")) {
        assert!(cells.len() == 2 && cells[1].ends_with('.'), "{cells:?}");
    }
}

#[test]
fn every_official_list_is_read_by_a_rule_or_listed() {
    let law = super::built_in();
    let read: BTreeSet<&str> = law
        .packs()
        .iter()
        .flat_map(|pack| &pack.rules)
        .filter_map(|rule| match &rule.body {
            Body::Registry { list, .. } => Some(&**list),
            _ => None,
        })
        .collect();
    let listed: BTreeSet<&str> = tables("Lists that no rule reads").iter().flat_map(|cells| ids(cells[0])).collect();
    let known: BTreeSet<&str> = OFFICIAL.iter().map(|list| list.id).collect();
    let unread: BTreeSet<&str> = known.difference(&read).copied().collect();
    assert_eq!(unread, listed, "lists the service knows and no rule reads");
    assert!(read.is_subset(&known), "a rule reads a list the service does not know: {:?}", read.difference(&known));
}
