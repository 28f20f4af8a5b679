//! What came of a file, counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, Country};
use super::classes::Class;
use crate::cli::output::{folded, table};
use crate::cli::progress::grouped;
use crate::cli::source::FROM_NOTHING;
use crate::proto::store::ListInForce;
use crate::time::Instant;

/// Countries shown one by one.
const COUNTRIES: usize = 12;
/// Hours shown one by one.
const HOURS: usize = 24;
/// Hours ahead in which the opening of a row is counted by the hour.
const OPENS: i64 = 7 * 24;
/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// The width of the longest bar.
const BAR: u64 = 30;

/// Rows of each class.
pub(super) type Classes = [u64; Class::ALL.len()];

/// Counts of rows.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    /// By class.
    pub classes: Classes,
    /// Those that a family denies; a row may be denied by several.
    pub families: BTreeMap<String, u64>,
    /// By country and class.
    pub countries: BTreeMap<Country, Classes>,
    /// Those that are denied now and open in this hour, counted from the epoch.
    pub opens: BTreeMap<i64, u64>,
    /// Those that may be contacted in each hour of the forecast.
    pub hours: Vec<u64>,
    /// Those with fewer fields than the first row.
    pub short: u64,
    /// Those with more.
    pub long: u64,
    /// Those with a warning, by its code.
    pub warnings: BTreeMap<String, u64>,
}

fn raise(counts: &mut BTreeMap<String, u64>, name: &str, rows: u64) {
    match counts.get_mut(name) {
        Some(count) => *count += rows,
        None => {
            counts.insert(name.to_owned(), rows);
        }
    }
}

fn raise_class(classes: &mut Classes, class: Class, rows: u64) {
    if let Some(count) = classes.get_mut(class as usize) {
        *count += rows;
    }
}

impl Tally {
    /// All.
    pub(super) fn rows(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Those of a class.
    pub(super) fn of(&self, class: Class) -> u64 {
        self.classes.get(class as usize).copied().unwrap_or(0)
    }

    /// Those allowed.
    pub(super) fn allowed(&self) -> u64 {
        self.of(Class::Now)
    }

    /// Counts one row of so many fields.
    pub(super) fn count(&mut self, answer: &Answer, fields: usize, width: usize) {
        self.short += u64::from(fields < width);
        self.long += u64::from(fields > width);
        for family in &answer.families {
            raise(&mut self.families, family, 1);
        }
        for warning in &answer.warnings {
            raise(&mut self.warnings, warning, 1);
        }
        raise_class(&mut self.classes, answer.class, 1);
        raise_class(self.countries.entry(answer.country).or_default(), answer.class, 1);
        if let Some(retry_at) = answer.retry_at {
            *self.opens.entry(retry_at.millis().div_euclid(HOUR)).or_default() += 1;
        }
        if let Some(hours) = &answer.hours {
            self.hours.resize(self.hours.len().max(hours.len() * 64), 0);
            for (count, hour) in self.hours.iter_mut().zip(0..) {
                let word = hours.get(hour / 64).copied().unwrap_or(0);
                *count += (word >> (hour % 64)) & 1;
            }
        }
    }

    /// Adds the counts of other rows.
    pub(super) fn add(&mut self, other: Self) {
        self.short += other.short;
        self.long += other.long;
        other.families.iter().for_each(|(family, rows)| raise(&mut self.families, family, *rows));
        other.warnings.iter().for_each(|(warning, rows)| raise(&mut self.warnings, warning, *rows));
        add_classes(&mut self.classes, &other.classes);
        for (country, classes) in other.countries {
            add_classes(self.countries.entry(country).or_default(), &classes);
        }
        for (hour, rows) in other.opens {
            *self.opens.entry(hour).or_default() += rows;
        }
        self.hours.resize(self.hours.len().max(other.hours.len()), 0);
        for (count, more) in self.hours.iter_mut().zip(other.hours) {
            *count += more;
        }
    }
}

fn add_classes(to: &mut Classes, from: &Classes) {
    to.iter_mut().zip(from).for_each(|(count, more)| *count += more);
}

/// All there is to say of a file.
pub(super) struct Summary<'a> {
    /// Counts.
    pub tally: &'a Tally,
    /// Where the answers are.
    pub output: &'a str,
    /// The rules in force; empty where a server answered.
    pub rules: &'a str,
    /// The copies of lists in force; `None` where a server answered, which names them in each decision.
    pub lists: Option<Vec<ListInForce>>,
    /// The entry of the log.
    pub entry: Option<uuid::Uuid>,
    /// A server answered, and logged each row; or each row was counted.
    pub by_row: bool,
    /// The instant judged.
    pub at: Instant,
    /// The first hour of the forecast, and how many there are.
    pub forecast: Option<(Instant, usize)>,
    /// An earlier run was gone on with.
    pub resumed: bool,
    /// What the ids of attempts begin with, where they are counted; the place of the row follows, the first is 0.
    pub attempts: Option<&'a str>,
}

impl Summary<'_> {
    /// In words.
    pub(super) fn human(&self) -> String {
        let tally = self.tally;
        let (rows, allowed) = (grouped(tally.rows()), grouped(tally.allowed()));
        let denied = grouped(tally.rows().saturating_sub(tally.allowed()));
        let mut out = format!("{rows} rows: {allowed} allowed, {denied} denied; written to {}\n", self.output);
        if self.resumed {
            out.push_str("An earlier run was gone on with.\n");
        }
        out.push_str("\nmay be contacted\n");
        let row = |class: Class| vec![format!("  {}", class.words()), right(&grouped(tally.of(class)), 11)];
        out.push_str(&table(&Class::ALL.map(row)));
        if !tally.families.is_empty() {
            out.push_str("\ndenied for (a row may have several reasons)\n");
            let row = |(name, rows): (&str, u64)| vec![format!("  {name}"), right(&grouped(rows), 11)];
            out.push_str(&table(&self.families().into_iter().map(row).collect::<Vec<_>>()));
        }
        out.push_str(&self.countries_table());
        out.push_str(&bars("\nopen by themselves, by the hour (UTC)", &self.opens()));
        if self.forecast.is_some() {
            out.push_str(&bars("\nmay be contacted, by the hour (UTC)", &self.hours()));
        }
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
            None if self.by_row => "logged row by row".to_owned(),
            None => "not logged".to_owned(),
        };
        let rules = if self.rules.is_empty() { String::new() } else { format!(", rules {}", self.rules) };
        out.push('\n');
        let judged = if self.by_row {
            format!("judged row by row from {} on", self.at)
        } else {
            format!("judged for {}", self.at)
        };
        out.push_str(&folded(&format!("{judged}{rules}, {entry}"), 0, 2));
        out.push('\n');
        if let Some(attempts) = self.attempts {
            let what = format!(
                "attempts are counted under {attempts}-0 for the first row, {attempts}-1 for the next, and so on"
            );
            out.push_str(&folded(&what, 0, 2));
            out.push('\n');
        }
        for list in self.lists.iter().flatten() {
            let as_of = Instant::from_millis(list.as_of);
            out.push_str(&folded(&format!("list {}, copy {} as of {as_of}", list.registry, list.version), 0, 2));
            out.push('\n');
        }
        if self.entry.is_none() && !self.by_row {
            out.push_str(FROM_NOTHING);
        }
        out
    }

    /// Families that deny, the most frequent first.
    pub(super) fn families(&self) -> Vec<(&str, u64)> {
        let mut families: Vec<_> = self.tally.families.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        families.sort_by_key(|(name, rows)| (std::cmp::Reverse(*rows), *name));
        families
    }

    /// Countries, those with the most rows first.
    pub(super) fn countries(&self) -> Vec<(String, Classes)> {
        let mut countries: Vec<_> = self.tally.countries.iter().collect();
        countries.sort_by_key(|(country, classes)| (std::cmp::Reverse(classes.iter().sum::<u64>()), **country));
        countries.into_iter().map(|(country, classes)| (country.name(), *classes)).collect()
    }

    /// In which hours rows open by themselves.
    pub(super) fn opens(&self) -> Vec<(Instant, u64)> {
        let now = self.at.millis().div_euclid(HOUR);
        let near = self.tally.opens.iter().filter(|(hour, _)| **hour < now + OPENS);
        near.map(|(hour, rows)| (Instant::from_millis(hour * HOUR), *rows)).collect()
    }

    /// How many may be contacted in each hour of the forecast.
    pub(super) fn hours(&self) -> Vec<(Instant, u64)> {
        let Some((from, hours)) = self.forecast else { return Vec::new() };
        let rows = self.tally.hours.iter().copied().chain(std::iter::repeat(0));
        let at = |hour: i64| Instant::from_millis(from.millis() + hour * HOUR);
        (0..).map(at).zip(rows).take(hours).collect()
    }

    fn countries_table(&self) -> String {
        let countries = self.countries();
        let cells = |name: String, classes: &Classes| {
            let [now, today, later, consent, unknown, stopped, _] = *classes;
            let all: u64 = classes.iter().sum();
            let counts = [all, now, today, later, consent, unknown, stopped].map(|count| right(&grouped(count), 10));
            std::iter::once(format!("  {name}")).chain(counts).collect::<Vec<_>>()
        };
        let titles = ["rows", "now", "today", "later", "consent", "no list", "stopped"].map(|title| right(title, 10));
        let mut lines = vec![std::iter::once("\ncountry".to_owned()).chain(titles).collect::<Vec<_>>()];
        lines.extend(countries.iter().take(COUNTRIES).map(|(name, classes)| cells(name.clone(), classes)));
        let others: Vec<_> = countries.iter().skip(COUNTRIES).collect();
        if !others.is_empty() {
            let mut sum = Classes::default();
            others.iter().for_each(|(_, classes)| add_classes(&mut sum, classes));
            lines.push(cells(format!("{} others", others.len()), &sum));
        }
        table(&lines)
    }

    /// For machines.
    pub(super) fn machine(&self) -> Value {
        let tally = self.tally;
        let countries: serde_json::Map<_, _> = tally
            .countries
            .iter()
            .map(|(country, classes)| {
                let mut counts = by_class(classes);
                counts.insert("rows".to_owned(), classes.iter().sum::<u64>().into());
                counts.insert("allowed".to_owned(), classes.first().copied().into());
                (country.name(), Value::Object(counts))
            })
            .collect();
        let hours = |hours: Vec<(Instant, u64)>| {
            let hours = hours.into_iter().map(|(hour, rows)| json!({ "hour": hour.to_string(), "rows": rows }));
            hours.collect::<Vec<_>>()
        };
        json!({
            "rows": tally.rows(),
            "allowed": tally.allowed(),
            "denied": tally.rows().saturating_sub(tally.allowed()),
            "callable": by_class(&tally.classes),
            "reasons": tally.families,
            "countries": countries,
            "opens": hours(self.opens()),
            "forecast": self.forecast.map(|_| hours(self.hours())),
            "warnings": tally.warnings,
            "rowsTooShort": tally.short,
            "rowsTooLong": tally.long,
            "output": self.output,
            "evaluatedAt": self.at.to_string(),
            "rulesVersion": self.rules,
            "lists": self.lists.as_ref().map(|lists| lists.iter().map(list).collect::<Vec<_>>()),
            "auditEntry": self.entry.map(|entry| entry.to_string()),
            "resumed": self.resumed,
            "attempts": self.attempts,
        })
    }
}

fn list(list: &ListInForce) -> Value {
    let as_of = Instant::from_millis(list.as_of).to_string();
    json!({ "registry": list.registry, "version": list.version, "asOf": as_of })
}

fn by_class(classes: &Classes) -> serde_json::Map<String, Value> {
    Class::ALL.iter().zip(classes).map(|(class, rows)| (class.name().to_owned(), Value::from(*rows))).collect()
}

/// Hours with a bar each, as many as are shown.
fn bars(title: &str, hours: &[(Instant, u64)]) -> String {
    if hours.iter().all(|(_, rows)| *rows == 0) {
        return String::new();
    }
    let most = hours.iter().map(|(_, rows)| *rows).max().unwrap_or(1).max(1);
    let bar = |rows: u64| "#".repeat(usize::try_from((rows * BAR).div_ceil(most)).unwrap_or(0));
    let line =
        |(hour, rows): &(Instant, u64)| vec![format!("  {}", short(*hour)), right(&grouped(*rows), 11), bar(*rows)];
    let mut out = format!("{title}\n{}", table(&hours.iter().take(HOURS).map(line).collect::<Vec<_>>()));
    if let Some(more) = hours.len().checked_sub(HOURS).filter(|more| *more > 0) {
        out.push_str(&format!("  and {more} more hours: --json, --report\n"));
    }
    out
}

/// `2026-11-18 16:00`.
pub(super) fn short(hour: Instant) -> String {
    let text = hour.to_string().replace('T', " ");
    text.get(..16).unwrap_or(&text).to_owned()
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
