//! What changed: in one set of packs between two days, or from one set to another.
//!
//! Promises: every first and every last day of a rule between the two days is told, and nothing else; of two sets, every
//! rule added, taken out or changed, field by field. Guarded by `tests/law/diff.rs` and `tests/cli/law.rs`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Law, Pack, Rule};
use crate::time::{Instant, day_of};

/// What became of a rule on a day.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// It began, and replaced nothing.
    Began(&'a Rule),
    /// It began in place of another.
    Replaced {
        /// The version before.
        before: &'a Rule,
        /// The version from now on.
        after: &'a Rule,
    },
    /// It ended, and nothing stepped in its place on that day.
    Ended(&'a Rule),
}

/// A change of the law of one jurisdiction.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Whose law.
    pub pack: &'a Pack,
    /// The first local day of the new state: of a rule that ended, the day after its last.
    pub day: Date,
    /// What changed.
    pub event: Event<'a>,
}

/// What changes after one day and until another, that one included, in these packs; by day, then in their order.
pub fn between<'a>(packs: impl IntoIterator<Item = &'a Pack>, from: Date, to: Date) -> Vec<Change<'a>> {
    let mut changes: Vec<_> = packs.into_iter().flat_map(|pack| of_pack(pack, from, to)).collect();
    changes.sort_by_key(|change| change.day);
    changes
}

fn of_pack(pack: &Pack, from: Date, to: Date) -> Vec<Change<'_>> {
    let zone = pack.zone();
    let (start, end) = (zone.day_start(day_of(from)), zone.day_start(day_of(to)));
    let within = |at: Instant| start < at && at <= end;
    let day = |at: Instant| zone.civil(at).date();
    let mut changes = Vec::new();
    for rule in &pack.rules {
        if let (true, Some(day)) = (within(rule.from), day(rule.from)) {
            let meets = |earlier: &&Rule| earlier.until == rule.from;
            let before: Vec<_> = pack.replaced_by(rule).filter(meets).collect();
            changes.extend(before.iter().map(|&before| Change {
                pack,
                day,
                event: Event::Replaced { before, after: rule },
            }));
            if before.is_empty() {
                changes.push(Change { pack, day, event: Event::Began(rule) });
            }
        }
        if let (true, Some(day)) = (within(rule.until), day(rule.until)) {
            let followed = pack.successors(rule).any(|next| next.from == rule.until);
            if !followed {
                changes.push(Change { pack, day, event: Event::Ended(rule) });
            }
        }
    }
    changes
}

/// A field whose value differs; the values as TOML spells them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name; `cases` for the examples, whose number is told.
    pub name: String,
    /// The value before; `None` where the field was not given.
    pub before: Option<String>,
    /// The value after; `None` where it is no longer given.
    pub after: Option<String>,
}

/// A difference between two sets of packs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// A jurisdiction, or a policy, has a pack now.
    PackAdded(String),
    /// It no longer has one.
    PackRemoved(String),
    /// Its head or its calendars differ.
    PackChanged(String, Vec<Field>),
    /// There is a new rule.
    RuleAdded(String),
    /// A rule is gone.
    RuleRemoved(String),
    /// A rule differs.
    RuleChanged(String, Vec<Field>),
}

/// What differs between two sets, by jurisdiction; only packs that `wanted` names, by jurisdiction.
#[must_use]
pub fn sets(before: &Law, after: &Law, wanted: impl Fn(&Pack) -> bool) -> Vec<Difference> {
    let named = |law: &Law| -> BTreeMap<String, PackFields> {
        let packs = law.packs().iter().filter(|pack| wanted(pack));
        packs.map(|pack| (name_of(pack), PackFields::of(pack))).collect()
    };
    let (before, after) = (named(before), named(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut found = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, Some(pack)) => {
                found.push(Difference::PackAdded(name.clone()));
                found.extend(pack.rules.keys().cloned().map(Difference::RuleAdded));
            }
            (Some(pack), None) => {
                found.push(Difference::PackRemoved(name.clone()));
                found.extend(pack.rules.keys().cloned().map(Difference::RuleRemoved));
            }
            (Some(one), Some(other)) => one.against(name, other, &mut found),
            (None, None) => {}
        }
    }
    found
}

/// A jurisdiction has one pack of law, and policies that go by their files.
fn name_of(pack: &Pack) -> String {
    let place = pack.jurisdiction();
    if pack.is_policy() { format!("{place} (policy {})", pack.file) } else { place.to_string() }
}

struct PackFields {
    head: BTreeMap<String, String>,
    rules: BTreeMap<String, BTreeMap<String, String>>,
}

impl PackFields {
    fn of(pack: &Pack) -> Self {
        // The text was read once already.
        let table: toml::Table = toml::from_str(&pack.text).unwrap_or_default();
        let mut head = fields(table.get("pack"));
        for (name, calendar) in table.get("calendar").and_then(toml::Value::as_table).into_iter().flatten() {
            head.insert(format!("calendar.{name}"), calendar.to_string());
        }
        let rules = table.get("rule").and_then(toml::Value::as_array).into_iter().flatten();
        let rules = rules.filter_map(|rule| Some((rule.get("id")?.as_str()?.to_owned(), fields(Some(rule)))));
        Self { head, rules: rules.collect() }
    }

    fn against(&self, name: &str, other: &Self, found: &mut Vec<Difference>) {
        let head = changed(&self.head, &other.head);
        if !head.is_empty() {
            found.push(Difference::PackChanged(name.to_owned(), head));
        }
        let ids: BTreeSet<&String> = self.rules.keys().chain(other.rules.keys()).collect();
        for id in ids {
            match (self.rules.get(id), other.rules.get(id)) {
                (None, _) => found.push(Difference::RuleAdded(id.clone())),
                (_, None) => found.push(Difference::RuleRemoved(id.clone())),
                (Some(one), Some(other)) => {
                    let fields = changed(one, other);
                    if !fields.is_empty() {
                        found.push(Difference::RuleChanged(id.clone(), fields));
                    }
                }
            }
        }
    }
}

/// The fields of a table as their TOML text; cases as one text, which is told by their number.
fn fields(value: Option<&toml::Value>) -> BTreeMap<String, String> {
    let table = value.and_then(toml::Value::as_table);
    table.into_iter().flatten().map(|(key, value)| (key.clone(), value.to_string())).collect()
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Field> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differing
        .map(|name| {
            let told = |fields: &BTreeMap<String, String>| {
                let text = fields.get(name)?;
                Some(if name == "case" { format!("{} of them", text.matches("says = ").count()) } else { text.clone() })
            };
            let shown = if name == "case" { "cases".to_owned() } else { name.clone() };
            Field { name: shown, before: told(before), after: told(after) }
        })
        .collect()
}
