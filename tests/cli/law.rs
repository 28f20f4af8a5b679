//! `law`: lint, test, show, diff, calendar; and packs of one's own.

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
fn a_day_leaves_out_what_is_not_in_force() {
    let home = Home::new();
    let ran = home.run(&["law", "show", "fr", "--at=2026-08-10"]).quietly(0);
    let ran = ran.says(&["fr.voice.bloctel", "rules in force on 2026-08-10", "inherited by FR"]);
    assert!(!ran.out.contains("fr.voice.opt_in"), "{}", ran.out);
    home.run(&["law", "show", "FR"]).quietly(0).says(&[
        "fr.voice.hours_2023",
        "2023-03-01 to 2026-08-10",
        "fr_local_holidays",
    ]);
    home.run(&["law", "show", "gp"]).quietly(0).says(&["the law of GP too"]);
    let rule = home.run(&["law", "show", "fr.voice.hours_2023", "--at=2026-08-11"]).quietly(0);
    rule.says(&["2026-08-11: no longer in force", "fr.voice.hours  from 2026-08-11", "also in GP"]);
    let packs = home.run(&["law", "show", "FR", "--at=2026-08-10", "--json"]).quietly(0).json();
    let france = packs.as_array().unwrap().iter().find(|pack| pack["jurisdiction"] == "FR").unwrap();
    let ids = france["ruleIds"].as_array().unwrap();
    assert!(ids.contains(&"fr.voice.bloctel".into()) && !ids.contains(&"fr.voice.opt_in".into()));
}

#[test]
fn what_was_mistyped_is_told_with_what_was_meant() {
    let home = Home::new();
    let meant = [
        ("us.fl.cpa", "did you mean us.fl.cap?"),
        ("UK", "did you mean GB?"),
        ("FL", "did you mean US-FL?"),
        ("Germny", "did you mean DE (Germany)?"),
        ("US-FLA", "did you mean US-FL?"),
        ("FR --at=2026-8-11", "not a date such as 2026-08-11"),
        ("FR --at=1999-08-11", "outside 2000 to 2099"),
    ];
    for (typed, words) in meant {
        let arguments: Vec<_> = ["law", "show"].into_iter().chain(typed.split(' ')).collect();
        home.run(&arguments).refused(&[words]);
    }
    home.run(&["law", "calendar", "UK", "--purpose=marketing"]).refused(&["UK", "did you mean GB?"]);
    home.run(&["law", "show", "FR", "--overview"]).refused(&["--overview"]);
}

#[test]
fn the_overview_has_a_row_a_jurisdiction() {
    let home = Home::new();
    home.run(&["law", "show", "--overview"])
        .quietly(0)
        .says(&["| [US-FL](us-fl.toml) | Florida | 08:00-20:00 |", "On 20"]);
    let ran = home.run(&["law", "show", "--overview", "--at=2026-08-10", "--json"]).quietly(0);
    let json = ran.json();
    assert_eq!(json["day"], "2026-08-10");
    let rows = json["rows"].as_array().unwrap();
    let france = rows.iter().find(|row| row["jurisdiction"] == "FR").unwrap();
    assert_eq!((&france["lists"], &france["hours"]["saturday"]), (&"fr.bloctel".into(), &"closed".into()));
}

#[test]
fn what_changed_between_two_days_is_told() {
    let home = Home::new();
    let ran = home.run(&["law", "diff", "2026-08-10", "2026-08-11", "fr"]).quietly(0);
    let ran = ran.says(&[
        "2026-08-11  FR  France",
        "replaced  fr.voice.bloctel by fr.voice.opt_in",
        "C. conso art. L.223-1",
        "ended     fr.voice.refusal_60d",
        "recorded as an opt-out",
        "began     fr.consent.copy",
    ]);
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("2 began, 3 replaced, 1 ended; ") && last.ends_with(" on 2026-08-11"), "{last}");
    let nothing = home.run(&["law", "diff", "2026-08-11", "2026-08-11"]).quietly(0);
    assert!(nothing.out.starts_with("0 began, 0 replaced, 0 ended; "), "{}", nothing.out);
    let json = home.run(&["law", "diff", "2026-08-10", "2026-08-11", "FR", "--json"]).quietly(0).json();
    let changes = json["changes"].as_array().unwrap();
    let hours = changes.iter().find(|change| change["rule"]["ruleId"] == "fr.voice.hours").unwrap();
    assert_eq!((&hours["event"], &hours["day"]), (&"replaced".into(), &"2026-08-11".into()));
    assert_eq!(hours["replaces"]["ruleId"], "fr.voice.hours_2023");
}

#[test]
fn days_and_places_that_are_none_are_refused() {
    let home = Home::new();
    home.run(&["law", "diff"]).refused(&["two days", "2026-08-10"]);
    home.run(&["law", "diff", "2026-08-10"]).refused(&["two days"]);
    home.run(&["law", "diff", "2026-08-11", "2026-08-10"]).refused(&["FROM 2026-08-11 lies after TO 2026-08-10"]);
    home.run(&["law", "diff", "2026-02-30", "2026-08-10"]).refused(&["FROM 2026-02-30: not a date"]);
    home.run(&["law", "diff", "2026-02-20", "tomorrow"]).refused(&["TO tomorrow: not a date"]);
    home.run(&["law", "diff", "2026-02-20", "2026-03-01", "florida"]).refused(&["did you mean US-FL (Florida)?"]);
    home.run(&["law", "diff", "--before=gone"]).refused(&["gone"]);
}

#[test]
fn two_sets_of_packs_are_compared_field_by_field() {
    let home = Home::new();
    let florida = fs::read_to_string("src/law/packs/us-fl.toml").unwrap().replace("limit = 3", "limit = 2");
    home.write("packs/us-fl.toml", florida);
    home.write("packs/policy.toml", POLICY);
    let ran = home.run(&["law", "diff", "--before=built-in", "--packs=packs"]).quietly(0);
    ran.says(&[
        "changed  us.fl.cap\n    - limit = 3\n    + limit = 2",
        "added    pack ZZ",
        "added    policy.no_information",
    ]);
    let ran = home.run(&["law", "diff", "--before=packs", "US-FL", "--json"]).quietly(0).json();
    let differences = ran["differences"].as_array().unwrap();
    let cap = differences.iter().find(|difference| difference["ruleId"] == "us.fl.cap").unwrap();
    assert_eq!(cap["fields"][0], serde_json::json!({"name": "limit", "before": "2", "after": "3"}));
    let ran = home.run(&["law", "diff", "--before=packs", "--packs=packs"]).quietly(0);
    assert!(ran.out.starts_with("nothing differs\n"), "{}", ran.out);
    home.run(&["law", "diff", "--before=built-in", "--packs=packs", "FR"]).quietly(0);
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
fn the_lint_names_file_line_rule_and_what_to_do() {
    let home = Home::new();
    let florida = fs::read_to_string("src/law/packs/us-fl.toml").unwrap();
    let line = florida.lines().position(|line| line == "id = \"us.fl.dnc\"").unwrap();
    home.write("packs/us-fl.toml", florida.replace("us.dnc.fl", "us.dnc.fla"));
    home.run(&["law", "lint", "--packs=packs"]).quietly(1).says(&[&format!(
        "packs/us-fl.toml:{line}: rule `us.fl.dnc`: no registry is called `us.dnc.fla`; did you mean `us.dnc.fl`?"
    )]);
    home.write(
        "packs/us-fl.toml",
        format!("{florida}\n[calendar.unread]\ndays = [{{ name = \"A\", on = \"01-01\" }}]\n"),
    );
    let json = home.run(&["law", "lint", "--packs=packs", "--json"]).quietly(1).json();
    assert!(
        json[0]["message"].as_str().unwrap().contains("[calendar.unread] is declared but no rule reads it"),
        "{json}"
    );
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
