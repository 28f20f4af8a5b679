//! What changed: between two days, and from one set of packs to another.

use jiff::civil::date;
use ringfence::law::{Change, Difference, Event, Field, Law, between, sets};

use super::lint_of_bad_packs::pack;

fn told(changes: &[Change<'_>]) -> Vec<String> {
    let word = |change: &Change<'_>| match change.event {
        Event::Began(rule) => format!("{} began {}", change.day, rule.id),
        Event::Replaced { before, after } => format!("{} {} by {}", change.day, before.id, after.id),
        Event::Ended(rule) => format!("{} ended {}", change.day, rule.id),
    };
    changes.iter().map(word).collect()
}

/// A ban in force on some days.
fn ban(id: &str, more: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"ban\"\ncitation = \"Art. 1\"\nconfidence = \"verified\"\nsummary = \"No.\"\n{more}\n"
    )
}

#[test]
fn each_first_and_last_day_is_told_once_and_a_new_version_as_one_change() {
    let text = [
        ban("x.old", "effective = { until = 2025-12-31 }"),
        ban("x.new", "effective = { from = 2026-01-01, until = 2026-06-30 }\nreplaces = \"x.old\""),
        ban("x.last", "effective = { from = 2026-07-02 }\nreplaces = \"x.new\"\ngap = \"a day\""),
        ban("x.ever", ""),
    ];
    let law = Law::read([("x.toml", pack(&text.join("\n")).as_str())]).unwrap();
    let changed = |from, to| told(&between(law.packs(), from, to));
    assert_eq!(changed(date(2025, 12, 31), date(2026, 1, 1)), ["2026-01-01 x.old by x.new"]);
    // The day FROM itself is the state before, the day TO the state after.
    assert_eq!(changed(date(2026, 1, 1), date(2026, 6, 30)), [""; 0]);
    assert_eq!(changed(date(2026, 6, 30), date(2026, 7, 1)), ["2026-07-01 ended x.new"]);
    assert_eq!(changed(date(2026, 7, 1), date(2026, 7, 2)), ["2026-07-02 began x.last"]);
    assert_eq!(
        changed(date(2020, 1, 1), date(2030, 1, 1)),
        ["2026-01-01 x.old by x.new", "2026-07-01 ended x.new", "2026-07-02 began x.last"]
    );
}

#[test]
fn france_changed_on_the_eleventh_of_august() {
    let law = super::built_in();
    let france = law.packs().iter().filter(|pack| &*pack.file == "fr.toml");
    let changes = told(&between(france, date(2026, 8, 10), date(2026, 8, 11)));
    assert!(changes.contains(&"2026-08-11 fr.voice.bloctel by fr.voice.opt_in".to_owned()), "{changes:?}");
    assert!(changes.contains(&"2026-08-11 ended fr.voice.refusal_60d".to_owned()), "{changes:?}");
}

#[test]
fn two_sets_differ_rule_by_rule_and_field_by_field() {
    let read = |texts: &[(&str, &str)]| Law::read(texts.iter().copied()).unwrap();
    let (before, after) = (
        pack(&[ban("x.a", ""), ban("x.b", "")].join("\n")),
        pack(&[ban("x.b", "effective = { from = 2026-01-01 }"), ban("x.c", "")].join("\n"))
            .replace("2026-11-21", "2026-12-01"),
    );
    let (before, after) = (read(&[("x.toml", before.as_str())]), read(&[("other.toml", after.as_str())]));
    let field = |name: &str, before: Option<&str>, after: Option<&str>| Field {
        name: name.to_owned(),
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    };
    let found = sets(&before, &after, |_| true);
    let expected = [
        Difference::PackChanged("XX".to_owned(), vec![field("reviewed", Some("2026-11-21"), Some("2026-12-01"))]),
        Difference::RuleRemoved("x.a".to_owned()),
        Difference::RuleChanged("x.b".to_owned(), vec![field("effective", None, Some("{ from = 2026-01-01 }"))]),
        Difference::RuleAdded("x.c".to_owned()),
    ];
    assert_eq!(found, expected);
    assert_eq!(sets(&before, &before, |_| true), []);
    assert_eq!(sets(&before, &after, |_| false), []);
    let nothing = read(&[]);
    assert_eq!(sets(&nothing, &before, |_| true)[0], Difference::PackAdded("XX".to_owned()));
    assert_eq!(sets(&before, &nothing, |_| true)[0], Difference::PackRemoved("XX".to_owned()));
}
