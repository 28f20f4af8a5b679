//! The holiday calendars of the packs, day by day, against an independent library: `holidays/reference.tsv` is what PyPI
//! `holidays` says (written by `holidays/generate.py`), `holidays/differences.tsv` why a pack's calendar is another.
//! A difference without an explanation fails, and so does an explanation without its difference.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use ringfence::law::Law;

const YEARS: std::ops::RangeInclusive<i16> = 2022..=2028;

/// A calendar: pack and name.
type Id = (String, String);

/// Calendars of days that no public holiday is: nothing to compare with.
const NO_COUNTERPART: [(&str, &str, &str); 2] = [
    ("NL", "nl_evenings", "working days whose evenings the telemarketing code closes"),
    ("US-AL", "rosa_parks", "a commemoration that counties may observe, off by default"),
];

/// Calendars of one pack that the library does not tell apart.
const TOGETHER: [(&str, &str, &str); 2] = [("US-LA", "core", "core+extra"), ("US-LA", "extra", "core+extra")];

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn theirs() -> BTreeMap<Id, BTreeMap<Date, String>> {
    let mut all: BTreeMap<Id, BTreeMap<Date, String>> = BTreeMap::new();
    for row in rows(include_str!("holidays/reference.tsv")) {
        let [pack, calendar, date, name] = row[..] else { panic!("{row:?}") };
        all.entry((pack.to_owned(), calendar.to_owned())).or_default().insert(date.parse().unwrap(), name.to_owned());
    }
    all
}

fn ours(law: &Law) -> BTreeMap<Id, BTreeMap<Date, String>> {
    let mut all: BTreeMap<Id, BTreeMap<Date, String>> = BTreeMap::new();
    for pack in law.packs() {
        let place = pack.jurisdiction().to_string();
        for (name, calendar) in &pack.calendars {
            if NO_COUNTERPART.iter().any(|(of, calendar, _)| *of == place && calendar == name) {
                continue;
            }
            let whole = TOGETHER.iter().find(|(of, part, _)| *of == place && part == name);
            let name = whole.map_or(name.as_str(), |(_, _, whole)| whole).to_owned();
            let dates = calendar.dates().filter(|(date, _)| YEARS.contains(&date.year()));
            all.entry((place.clone(), name)).or_default().extend(dates.map(|(date, day)| (date, day.to_owned())));
        }
    }
    all
}

/// Every row is one sort of day: whose it is alone, its dates, and why.
fn explained() -> BTreeMap<(Id, &'static str, Date), &'static str> {
    let mut all = BTreeMap::new();
    for row in rows(include_str!("holidays/differences.tsv")) {
        let [pack, calendar, whose, dates, reason] = row[..] else { panic!("{row:?}") };
        assert!(whose == "ours" || whose == "theirs", "{row:?}");
        assert!(reason.len() > 10, "a reason is a sentence: {row:?}");
        for pack in pack.split(' ') {
            for date in dates.split(' ') {
                let day = ((pack.to_owned(), calendar.to_owned()), whose, date.parse().unwrap());
                assert!(all.insert(day, reason).is_none(), "{pack} {calendar} {date} is explained twice");
            }
        }
    }
    all
}

#[test]
fn the_calendars_agree_with_the_library_but_where_it_is_explained() {
    let (ours, theirs, mut explained) = (ours(&super::built_in()), theirs(), explained());
    let both: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let mut failures = Vec::new();
    for id in both {
        let (Some(ours), Some(theirs)) = (ours.get(id), theirs.get(id)) else {
            failures.push(format!("{}\t{}: only one side has this calendar; see holidays/generate.py", id.0, id.1));
            continue;
        };
        for (whose, these, others) in [("ours", ours, theirs), ("theirs", theirs, ours)] {
            for (date, name) in these.iter().filter(|(date, _)| !others.contains_key(*date)) {
                if explained.remove(&(id.clone(), whose, *date)).is_none() {
                    failures.push(format!("{}\t{}\t{whose}\t{date}\t{name} ({})", id.0, id.1, date.strftime("%a")));
                }
            }
        }
    }
    let stale = explained.iter().map(|((id, whose, date), why)| {
        format!("{}\t{}\t{whose}\t{date}: explains a difference that is none: {why}", id.0, id.1)
    });
    failures.extend(stale);
    assert!(failures.is_empty(), "{} unexplained:\n{}", failures.len(), failures.join("\n"));
}
