//! What a pack declares and nothing reads.

use std::collections::BTreeSet;

use super::{Found, nearest};
use crate::law::{Body, Calendar, Law, Pack, Rule};

pub(super) fn look(law: &Law, pack: &Pack, found: &mut Found<'_>) {
    calendars(pack, found);
    places(law, pack, found);
    postures(law, pack, found);
    lists(law, pack, found);
    example(pack, found);
    for rule in &pack.rules {
        parts(pack, rule, found);
    }
}

fn calendars(pack: &Pack, found: &mut Found<'_>) {
    for (name, calendar) in &pack.calendars {
        let line = pack.line_of(&format!("[calendar.{name}]"));
        let is = |calendar: &Calendar| &*calendar.name == name.as_str();
        let read = pack.rules.iter().any(|rule| match &rule.body {
            Body::Holidays(calendar) => is(calendar),
            Body::Hours { dates, .. } => dates.iter().any(|dates| is(&dates.calendar)),
            _ => false,
        });
        if !read {
            found.at(
                line,
                format!("[calendar.{name}] is declared but no rule reads it: name it in a rule or take it out"),
            );
        }
        for day in calendar.idle() {
            found.at(
                line,
                format!("[calendar.{name}] `{day}` never falls, or only on days already listed: take it out"),
            );
        }
    }
}

fn places(law: &Law, pack: &Pack, found: &mut Found<'_>) {
    if pack.rules.is_empty() && pack.covers().is_empty() && !pack.is_policy() {
        // A subdivision without a rule of its own still says that its law was looked at.
        if pack.jurisdiction().country().is_none() {
            found.at(1, "the pack has no rule".to_owned());
        }
    }
    for place in pack.covers() {
        let own = law.pack_of(*place).filter(|other| other.jurisdiction() != pack.jurisdiction());
        if let Some(own) = own {
            found.at(1, format!("`covers` names {place}, but {} is the law there: take it out", own.file));
        }
    }
    let mut seen = BTreeSet::new();
    for wider in pack.inherits() {
        let country = pack.jurisdiction().country();
        if country == Some(*wider) {
            found.at(1, format!("`inherits` names {wider}, which it lies in anyway: take it out"));
        } else if !seen.insert(*wider) {
            found.at(1, format!("`inherits` names {wider} twice: take one out"));
        }
    }
}

/// The postures that a rule or its exemptions name.
fn named(rule: &Rule) -> impl Iterator<Item = &str> {
    let of_exemptions = rule.unless.iter().filter_map(|exemption| exemption.posture.as_deref());
    rule.posture.as_deref().into_iter().chain(rule.off_posture.as_deref()).chain(of_exemptions)
}

fn postures(law: &Law, pack: &Pack, found: &mut Found<'_>) {
    let known: BTreeSet<&str> = law.packs().iter().flat_map(|pack| &pack.rules).flat_map(|rule| named(rule)).collect();
    for case in &pack.cases {
        for posture in case.postures.iter().filter(|posture| !known.contains(posture.as_str())) {
            let meant = nearest(posture, known.iter().copied());
            let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
            found.at(
                case.line,
                format!("a case of `{}` chooses the posture `{posture}`, which no rule mentions{meant}", case.rule),
            );
        }
    }
    for rule in &pack.rules {
        let names: BTreeSet<&str> = named(rule).collect();
        for name in names {
            let chosen = |case: &&crate::law::Case| case.rule == rule.id && case.postures.iter().any(|p| p == name);
            // Words and record terms have no cases that could choose it.
            let caseless = matches!(rule.body, Body::Retention { .. } | Body::Keywords { .. });
            if !caseless && !pack.cases.iter().any(|case| chosen(&case)) {
                found.of(
                    rule,
                    &format!("no case of it chooses its posture `{name}`: add one with `postures = [\"{name}\"]`"),
                );
            }
        }
    }
}

fn lists(law: &Law, pack: &Pack, found: &mut Found<'_>) {
    let chain = law.chain(pack.jurisdiction());
    let packs = chain.packs.iter().filter_map(|index| law.pack(*index)).chain(std::iter::once(pack));
    let read: BTreeSet<&str> = packs
        .flat_map(|pack| &pack.rules)
        .filter_map(|rule| match &rule.body {
            Body::Registry { list, .. } => Some(&**list),
            _ => None,
        })
        .collect();
    for case in &pack.cases {
        let checks = case.request.get("evidence").and_then(|evidence| evidence.get("registry_checks"));
        let given = checks.and_then(toml::Value::as_array).into_iter().flatten();
        for list in given.filter_map(|check| check.get("registry")?.as_str()) {
            if !read.contains(list) && !list.starts_with("tenant.") {
                let meant = nearest(list, read.iter().copied());
                let meant = meant.map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
                found.at(
                    case.line,
                    format!("a case of `{}` asks the list `{list}`, which no rule here reads{meant}", case.rule),
                );
            }
        }
    }
}

fn example(pack: &Pack, found: &mut Found<'_>) {
    let read = pack.cases.iter().any(|case| !case.request.contains_key("number"));
    if pack.example().is_some() && !read {
        found.at(1, "[pack] `example` is declared but no case uses it: take it out".to_owned());
    }
}

/// Parts of a rule that another part of it hides.
fn parts(pack: &Pack, rule: &Rule, found: &mut Found<'_>) {
    match &rule.body {
        Body::Hours { dates, .. } => {
            for (index, entry) in dates.iter().enumerate() {
                let same = |earlier: &&crate::law::DateWindows| {
                    earlier.calendar.name == entry.calendar.name && earlier.days_before == entry.days_before
                };
                if dates.iter().take(index).any(|earlier| same(&earlier)) {
                    let name = &entry.calendar.name;
                    found.of(
                        rule,
                        &format!("its second `dates` entry for `{name}` is never read: the first one decides"),
                    );
                }
            }
        }
        Body::Cap { windows, .. } => {
            for (index, window) in windows.iter().enumerate() {
                if windows.iter().take(index).any(|earlier| earlier == window) {
                    found.of(rule, "it names one `window` twice: take one out");
                }
            }
        }
        Body::CallerId { allowed, denied } if !allowed.is_empty() => {
            let meet = |one: &str, other: &str| one.starts_with(other) || other.starts_with(one);
            for prefix in denied.iter().filter(|prefix| !allowed.iter().any(|open| meet(prefix, open))) {
                found.of(rule, &format!("`denied` names +{prefix}, which `allowed` leaves out already: take it out"));
            }
        }
        Body::Keywords { stop, help, start, .. } => words(pack, rule, [stop, help, start], found),
        _ => {}
    }
}

/// A word means one thing: the first list that holds it decides.
fn words(pack: &Pack, rule: &Rule, lists: [&[Box<str>]; 3], found: &mut Found<'_>) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for earlier in pack.rules.iter().take_while(|other| other.id != rule.id) {
        let overlapping = earlier.from < rule.until && rule.from < earlier.until;
        let wider = earlier.applies.purposes.is_empty() || rule.applies.purposes.within(earlier.applies.purposes);
        if let (Body::Keywords { stop, help, start, .. }, true, true) = (&earlier.body, overlapping, wider) {
            seen.extend([stop, help, start].into_iter().flatten().map(|word| word.to_lowercase()));
        }
    }
    for word in lists.into_iter().flatten() {
        if !seen.insert(word.to_lowercase()) {
            found.of(
                rule,
                &format!("the word `{word}` is listed already, in this rule or an earlier one: take one out"),
            );
        }
    }
}
