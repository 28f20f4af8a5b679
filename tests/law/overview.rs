//! The overview beside the packs is the one they give. `RINGFENCE_BLESS=1 cargo test --test law` writes it anew.

use ringfence::law::{Law, Overview};

const COMMITTED: &str = "src/law/packs/OVERVIEW.md";

#[test]
fn the_overview_beside_the_packs_is_up_to_date() {
    let text = Overview::of(&super::built_in(), None).markdown();
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write(COMMITTED, &text).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    let first = text.lines().zip(committed.lines()).find(|(now, then)| now != then);
    assert!(
        text == committed,
        "{COMMITTED} is not what the packs give; `RINGFENCE_BLESS=1 cargo test --test law` writes it anew. First \
         difference:\n{first:#?}"
    );
}

#[test]
fn figures_are_read_off_the_rules_in_force() {
    let law = super::built_in();
    let row = |day: &str, code: &str| {
        let overview = Overview::of(&law, Some(day.parse().unwrap()));
        overview.rows.into_iter().find(|row| row.jurisdiction == code).unwrap()
    };
    let florida = row("2026-11-21", "US-FL");
    assert_eq!(florida.hours, ["08:00-20:00", "08:00-20:00", "08:00-20:00", "as any day"]);
    assert_eq!(
        (florida.caps.as_str(), florida.lists.as_str()),
        ("3 in 24 h, one subject", "us.dnc.fl, us.dnc.national")
    );
    assert_eq!(florida.consent, ["none", "express written", "express written"]);
    // Before the state's act the federal hours stand.
    assert_eq!(row("2021-06-30", "US-FL").hours[0], "08:00-21:00");
    let france = row("2026-11-21", "FR");
    assert_eq!(france.hours, ["10:00-13:00, 14:00-20:00", "closed", "closed", "closed"]);
    assert_eq!(france.consent, ["express*", "express", "express*"]);
    assert_eq!((row("2026-08-10", "FR").lists.as_str(), france.lists.as_str()), ("fr.bloctel", ""));
    assert_eq!(row("2026-11-21", "US-MS").hours[2], "closed");
}

#[test]
fn a_change_that_is_announced_stands_at_the_end() {
    let overview = Overview::of(&super::built_in(), Some("2026-08-10".parse().unwrap()));
    let france: Vec<_> = overview.ahead.iter().filter(|[_, place, ..]| place == "FR").collect();
    assert!(france.iter().any(|[day, _, rule, _]| day == "2026-08-11" && rule.contains("`fr.voice.hours` replaces")));
    assert!(overview.markdown().contains("| 2026-08-11 | FR | `fr.voice.refusal_60d` ends |"));
}

#[test]
fn a_set_without_packs_has_an_overview_too() {
    let law = Law::read([]).unwrap();
    assert!(Overview::of(&law, None).markdown().contains("None of the packs announces a later day."));
}
