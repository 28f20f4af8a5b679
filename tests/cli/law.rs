//! `law`: lint, test, show, calendar; and packs of one's own.

use std::fs;

use super::{Home, with};

/// A tenant's own rule for everywhere.
const POLICY: &str = include_str!("policy.toml");

#[test]
fn the_packs_lint_clean_and_pass_their_own_cases() {
    let home = Home::new();
    home.run(&["law", "lint"]).quietly(0).says(&["no remarks"]);
    let ran = home.run(&["law", "test"]).quietly(0);
    let last = ran.out.lines().last().unwrap().to_owned();
    assert!(
        last.ends_with(" passed, 0 failed") && last.split(' ').next().unwrap().parse::<u32>().unwrap() > 400,
        "{last}"
    );
    assert_eq!(home.run(&["law", "test", "--json"]).quietly(0).json()["failed"], 0);
}

#[test]
fn acceptance_cases_fail_with_the_decision_beside_the_expectation() {
    let home = Home::new();
    let case = |id: &str, verdict: &str| {
        format!(
            r#"{{"id": "{id}", "why": "because", "request": {{"number": "+4930231250", "channel": "CHANNEL_CALL",
            "technology": "TECHNOLOGY_MANUAL", "purpose": "PURPOSE_INFORMATIONAL", "seller": "acme", "dryRun": true,
            "at": "2026-11-18T10:00:00Z"}}, "expect": {{"verdict": "{verdict}"}}}}"#
        )
        .replace('\n', " ")
    };
    home.write("good.jsonl", format!("{}\n\n", case("one", "VERDICT_ALLOW")));
    home.write("bad.jsonl", format!("{}\nnot json\n", case("two", "VERDICT_DENY")));
    assert_eq!(home.run(&["law", "test", "--cases", "good.jsonl"]).quietly(0).out, "1 passed, 0 failed\n");
    let ran = home.run(&["law", "test", "--cases", "good.jsonl", "--cases", "bad.jsonl"]).quietly(1);
    let ran = ran.says(&["bad.jsonl:1 two", "because", "expected VERDICT_DENY, got VERDICT_ALLOW", "bad.jsonl:2"]);
    assert!(
        ran.out.contains("\"verdict\": \"VERDICT_ALLOW\"") && ran.out.ends_with("\n1 passed, 2 failed\n"),
        "{}",
        ran.out
    );
    home.run(&["law", "test", "--cases", "gone.jsonl"]).refused(&["gone.jsonl"]);
    home.write("empty.jsonl", "\n");
    home.run(&["law", "test", "--cases", "empty.jsonl"]).refused(&["empty.jsonl", "no case"]);
    home.write("binary.jsonl", [0xff, 0xfe]);
    home.run(&["law", "test", "--cases", "binary.jsonl"]).refused(&["binary.jsonl"]);
}

#[test]
fn packs_places_and_rules_are_shown() {
    let home = Home::new();
    home.run(&["law", "show"]).quietly(0).says(&["US-FL", "Florida", "GB", "rules", "numbering"]);
    home.run(&["law", "show", "us-fl"]).quietly(0).says(&["us.fl.cap", "us.tcpa", "reviewed"]);
    let rule = home.run(&["law", "show", "us.fl.cap"]).quietly(0);
    rule.says(&["Fla. Stat.", "limit = 3", "verified"]);
    assert_eq!(home.run(&["law", "show", "us.fl.cap", "--json"]).quietly(0).json()["ruleId"], "us.fl.cap");
    assert!(home.run(&["law", "show", "--json"]).quietly(0).json()["packs"].as_array().unwrap().len() >= 11);
    home.run(&["law", "show", "XX"]).refused(&["XX", "law show"]);
}

#[test]
fn the_calendar_shows_each_day() {
    let home = Home::new();
    let question = ["law", "calendar", "FR", "--purpose=marketing", "--from=2026-11-18T00:00:00Z", "--days=5"];
    let ran = home.run(&question).quietly(0);
    let ran = ran.says(&["Wed 2026-11-18  10:00-13:00, 14:00-20:00", "Sat 2026-11-21  closed", "Europe/Paris"]);
    assert!(!ran.out.contains("2026-11-23"));
    let json = home.run(&with(&question, &["--json"])).quietly(0).json();
    assert_eq!(json["windows"][0]["localStartsAt"], "2026-11-18T10:00:00+01:00");
    home.run(&["law", "calendar", "us-fl", "--purpose=marketing"]).quietly(0).says(&["America/New_York"]);
    home.run(&["law", "calendar", "MA", "--purpose=marketing"]).quietly(1).says(&["MA"]);
    home.run(&["law", "calendar", "FR"]).refused(&["--purpose"]);
    home.run(&with(&question, &["--days=63"])).refused(&["--days"]);
    home.run(&["law", "calendar", "nowhere", "--purpose=marketing"]).refused(&["the place", "US-FL"]);
}

#[test]
fn a_pack_of_ones_own_replaces_or_adds() {
    let home = Home::new();
    home.write("packs/policy.toml", POLICY);
    home.run(&["law", "show", "--packs=packs"]).quietly(0).says(&["ZZ"]);
    let question = ["check", "+4930231250", "--channel=call", "--purpose=informational", "--technology=manual"];
    let question = with(&question, &["--seller=acme"]);
    home.run(&question).quietly(0);
    home.run(&with(&question, &["--packs=packs"])).quietly(1).says(&["POLICY", "policy.no_information"]);
    let variable = [("RINGFENCE_PACKS", "packs")];
    home.run_with(&question, b"", &variable).quietly(1);
    // A pack of a jurisdiction that has one built in takes its place.
    let florida = fs::read_to_string("src/law/packs/us-fl.toml").unwrap().replace("limit = 3", "limit = 2");
    home.write("packs/us-fl.toml", florida);
    home.run(&["law", "show", "us.fl.cap", "--packs=packs"]).quietly(0).says(&["limit = 2"]);
}

#[test]
fn a_typo_in_a_pack_names_file_and_line() {
    let home = Home::new();
    home.write("packs/policy.toml", POLICY.replace("citation", "citatoin"));
    let line = POLICY.lines().position(|line| line.starts_with("citation")).unwrap() + 1;
    let place = format!("packs/policy.toml:{line}");
    home.run(&["law", "test", "--packs=packs"]).refused(&[&place, "citatoin"]);
    home.run(&["law", "show", "--packs=packs"]).refused(&[&place]);
    home.run(&["law", "lint", "--packs=packs"]).quietly(1).says(&[&place, "citatoin"]);
    home.run(&["law", "test", "--packs=gone"]).refused(&["gone"]);
    fs::create_dir(home.path("empty")).unwrap();
    home.run(&["law", "test", "--packs=empty"]).refused(&["empty", "no pack"]);
}
