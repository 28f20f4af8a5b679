//! What came of a file, counted.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answer::{Answer, Country};
use crate::cli::output::{folded, table};
use crate::cli::progress::grouped;
use crate::cli::source::FROM_NOTHING;
use crate::time::Instant;

/// Countries shown one by one.
const COUNTRIES: usize = 12;

/// Counts of rows.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    /// All.
    pub rows: u64,
    /// Those allowed.
    pub allowed: u64,
    /// Those that a family denies; a row may be denied by several.
    pub families: BTreeMap<&'static str, u64>,
    /// By country: all, and those allowed.
    pub countries: BTreeMap<Country, (u64, u64)>,
    /// Those with fewer fields than the first row.
    pub short: u64,
    /// Those with more.
    pub long: u64,
    /// Those with a warning, by its code.
    pub warnings: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one row of so many fields.
    pub(super) fn count(&mut self, answer: &Answer, fields: usize, width: usize) {
        self.rows += 1;
        self.allowed += u64::from(answer.allowed);
        self.short += u64::from(fields < width);
        self.long += u64::from(fields > width);
        for family in &answer.families {
            *self.families.entry(family).or_default() += 1;
        }
        for warning in &answer.warnings {
            *self.warnings.entry(warning.clone()).or_default() += 1;
        }
        let country = self.countries.entry(answer.country).or_default();
        country.0 += 1;
        country.1 += u64::from(answer.allowed);
    }

    /// Adds the counts of other rows.
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.allowed += other.allowed;
        self.short += other.short;
        self.long += other.long;
        for (family, rows) in other.families {
            *self.families.entry(family).or_default() += rows;
        }
        for (warning, rows) in other.warnings {
            *self.warnings.entry(warning).or_default() += rows;
        }
        for (country, (rows, allowed)) in other.countries {
            let sum = self.countries.entry(country).or_default();
            *sum = (sum.0 + rows, sum.1 + allowed);
        }
    }
}

/// All there is to say of a file.
pub(super) struct Summary<'a> {
    /// Counts.
    pub tally: &'a Tally,
    /// Where the answers are.
    pub output: &'a str,
    /// The rules in force; empty where a server answered.
    pub rules: &'a str,
    /// The entry of the log.
    pub entry: Option<uuid::Uuid>,
    /// A server answered, and logged each row.
    pub by_server: bool,
    /// The instant judged.
    pub at: Instant,
}

impl Summary<'_> {
    /// In words.
    pub(super) fn human(&self) -> String {
        let tally = self.tally;
        let (rows, allowed) = (grouped(tally.rows), grouped(tally.allowed));
        let denied = grouped(tally.rows.saturating_sub(tally.allowed));
        let mut out = format!("{rows} rows: {allowed} allowed, {denied} denied; written to {}\n", self.output);
        if !tally.families.is_empty() {
            let mut families: Vec<_> = tally.families.iter().collect();
            families.sort_by_key(|(name, rows)| (std::cmp::Reverse(**rows), **name));
            out.push_str("\ndenied for (a row may have several reasons)\n");
            let row = |(name, rows): (&&str, &u64)| vec![format!("  {name}"), right(&grouped(*rows), 11)];
            out.push_str(&table(&families.into_iter().map(row).collect::<Vec<_>>()));
        }
        out.push_str(&self.countries());
        for (count, what) in [(tally.short, "fewer"), (tally.long, "more")] {
            if count > 0 {
                let rows = if count == 1 { "1 row has".to_owned() } else { format!("{} rows have", grouped(count)) };
                out.push_str(&format!("\nnote: {rows} {what} fields than the first one\n"));
            }
        }
        for (code, count) in &tally.warnings {
            out.push_str(&format!("\nwarning: {code} in {} rows{}\n", grouped(*count), told(code)));
        }
        let entry = match self.entry {
            Some(entry) => format!("audit entry {entry}"),
            None if self.by_server => "logged by the server".to_owned(),
            None => "not logged".to_owned(),
        };
        let rules = if self.rules.is_empty() { String::new() } else { format!(", rules {}", self.rules) };
        out.push('\n');
        out.push_str(&folded(&format!("judged for {}{rules}, {entry}", self.at), 0, 2));
        out.push('\n');
        if self.entry.is_none() && !self.by_server {
            out.push_str(FROM_NOTHING);
        }
        out
    }

    fn countries(&self) -> String {
        let mut countries: Vec<_> = self.tally.countries.iter().collect();
        countries.sort_by_key(|(country, (rows, _))| (std::cmp::Reverse(*rows), **country));
        let mut lines = vec![vec!["\ncountry".to_owned(), right("rows", 11), right("allowed", 11)]];
        let row = |name: String, rows: u64, allowed: u64| {
            vec![format!("  {name}"), right(&grouped(rows), 11), right(&grouped(allowed), 11)]
        };
        lines.extend(
            countries.iter().take(COUNTRIES).map(|(country, (rows, allowed))| row(name(**country), *rows, *allowed)),
        );
        let others: Vec<_> = countries.iter().skip(COUNTRIES).map(|(_, counts)| **counts).collect();
        if !others.is_empty() {
            let (rows, allowed) = others.iter().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
            lines.push(row(format!("{} others", others.len()), rows, allowed));
        }
        table(&lines)
    }

    /// For machines.
    pub(super) fn machine(&self) -> Value {
        let tally = self.tally;
        let countries: serde_json::Map<_, _> = tally
            .countries
            .iter()
            .map(|(country, (rows, allowed))| (name(*country), json!({ "rows": rows, "allowed": allowed })))
            .collect();
        json!({
            "rows": tally.rows,
            "allowed": tally.allowed,
            "denied": tally.rows.saturating_sub(tally.allowed),
            "reasons": tally.families,
            "countries": countries,
            "warnings": tally.warnings,
            "rowsTooShort": tally.short,
            "rowsTooLong": tally.long,
            "output": self.output,
            "evaluatedAt": self.at.to_string(),
            "rulesVersion": self.rules,
            "auditEntry": self.entry.map(|entry| entry.to_string()),
        })
    }
}

fn name(country: Country) -> String {
    match country {
        Country::One(place) => place.to_string(),
        Country::Several => "several".to_owned(),
        Country::Unknown => "none".to_owned(),
    }
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

fn told(code: &str) -> &'static str {
    match code {
        "sample_registry" => ": answers rest on made-up sample lists; do not dial on them",
        "unassigned_number" => ": numbers that do not look given out",
        _ => "",
    }
}
