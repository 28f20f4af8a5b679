//! `check`: an explained answer, and clear words for whatever is wrong.

use std::fs;

use super::{ALLOWED, Home, with};

const DENIED: [&str; 7] =
    ["check", "+12025550143", "--channel=call", "--purpose=marketing", "--seller", "acme", "--sample"];

#[test]
fn an_allowed_contact_ends_with_0_and_is_explained() {
    let home = Home::new();
    let ran = home.run(&ALLOWED).quietly(0);
    let ran =
        ran.says(&["ALLOWED", "informational manual call to +493023••50 for acme", "Europe/Berlin", "DE", "rules"]);
    assert!(ran.out.contains("Nothing stored was looked at") && ran.out.contains("--data"), "{}", ran.out);
    assert!(home.names().is_empty(), "an answer from nothing stored leaves nothing behind");
}

#[test]
fn a_denied_contact_ends_with_1_and_names_every_reason_with_its_law() {
    let ran = Home::new().run(&DENIED).quietly(1);
    let ran =
        ran.says(&["DENIED", "marketing call to +1202555••43", "1. ", "2. ", "CONSENT", "Law: 47 CFR", "Remedy:"]);
    assert!(!ran.out.contains("2025550143"), "people see masked numbers");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
}

#[test]
fn when_it_is_allowed_again_is_told_in_local_time() {
    let night = ["check", "+13055550123", "--channel=call", "--purpose=marketing", "--technology=manual"];
    let more = ["--recipient=business", "--seller=acme", "--at=2026-11-19T03:00:00Z"];
    let ran = Home::new().run(&with(&night, &more)).quietly(1);
    ran.says(&["QUIET_HOURS", "Allowed from: 2026-11-19T13:00:00Z (Thu 19 Nov 08:00 in America/New_York)"]);
    let day = ["--recipient=business", "--seller=acme", "--at=2026-11-18T20:00:00-05:00", "--time-zone=America/Denver"];
    let ran = Home::new().run(&with(&night, &day)).quietly(0);
    ran.says(&["Allowed until: 2026-11-19T03:00:00Z (Wed 18 Nov 20:00 in America/Denver)"]);
}

#[test]
fn json_is_the_decision_of_the_contract() {
    let home = Home::new();
    let answer = home.run(&with(&DENIED, &["--json"])).quietly(1).json();
    assert_eq!(answer["verdict"], "VERDICT_DENY");
    assert_eq!(answer["number"], "+12025550143");
    assert!(
        answer["reasons"].as_array().unwrap().iter().all(|reason| !reason["citation"].as_str().unwrap().is_empty())
    );
    assert_eq!(home.run(&with(&ALLOWED, &["--json"])).quietly(0).json()["verdict"], "VERDICT_ALLOW");
}

#[test]
fn what_is_no_number_is_denied_and_no_error() {
    let digits = "1".repeat(40);
    for number in ["", "abc", "911", "+19005550142", digits.as_str(), "+999123456789", "2025550143", "-5", "٠١٢٣"] {
        let question = ["check", number, "--channel=call", "--purpose=marketing", "--seller=acme", "--json"];
        let answer = Home::new().run(&question).quietly(1).json();
        assert_eq!(answer["reasons"][0]["family"], "RULE_FAMILY_NUMBER", "{number}");
    }
}

#[test]
fn a_national_number_is_read_in_its_region() {
    let question = ["check", "020 7946 0018", "--default-region=GB", "--channel=call", "--purpose=informational"];
    let answer = Home::new().run(&with(&question, &["--seller=acme", "--json"])).json();
    assert_eq!(answer["number"], "+442079460018");
}

#[test]
fn without_a_registry_a_sales_call_to_the_us_misses_one() {
    let question = ["check", "+13055550123", "--channel=call", "--purpose=marketing", "--technology=manual"];
    let facts = ["--recipient=consumer", "--line-type=landline", "--seller=acme", "--at=2026-11-18T17:00:00Z"];
    let ran = Home::new().run(&with(&question, &facts)).quietly(1);
    ran.says(&["REGISTRY", "no fresh registry copy"]);
}

#[test]
fn bad_options_are_refused_by_name() {
    let home = Home::new();
    let bad = |more: &[&str], words: &[&str]| {
        let others = ALLOWED.iter().copied().filter(|option| !option.starts_with(&format!("{}=", more[0])));
        drop(home.run(&with(&others.collect::<Vec<_>>(), more)).refused(words));
    };
    bad(&["--channel", "fax"], &["fax", "--channel", "call, text"]);
    bad(&["--purpose", "sales"], &["sales", "--purpose", "debt_collection"]);
    bad(&["--technology", "robot"], &["robot", "--technology", "prerecorded"]);
    bad(&["--at", "yesterday"], &["yesterday", "--at", "2026-11-18T21:30:00-05:00"]);
    bad(&["--at", "2026-11-18"], &["--at"]);
    bad(&["--at", "1969-07-20T20:17:40Z"], &["--at", "2000 to 2099"]);
    bad(&["--at", "9999-01-01T00:00:00Z"], &["--at", "2000 to 2099"]);
    bad(&["--at", "2026-11-18T20:00:00Z", "--reserve"], &["--at", "--reserve"]);
    bad(&["--time-zone", "Mars/Base"], &["--time-zone", "America/Phoenix"]);
    bad(&["--residence", "Florida"], &["--residence", "US-FL"]);
    bad(&["--residence", "US-FL", "--postal-code", "ABC"], &["--postal-code"]);
    bad(&["--default-region", "XX"], &["--default-region"]);
    bad(&["--processing-region", "moon"], &["--processing-region"]);
    bad(&["--nonsense"], &["--nonsense"]);
    bad(&["--subject", &"s".repeat(10_000)], &["--subject", "10000 bytes"]);
    home.run(&with(&ALLOWED[..7], &["--seller", ""])).refused(&["--seller", "required"]);
    home.run(&ALLOWED[..7]).refused(&["--seller"]);
    home.run(&["check"]).refused(&["NUMBER", "--channel"]);
}

#[test]
fn all_faults_are_told_at_once() {
    let more = ["--time-zone=Mars", "--residence=Florida", "--at=1969-01-01T00:00:00Z"];
    Home::new().run(&with(&ALLOWED, &more)).refused(&["--time-zone", "--residence", "--at"]);
}

#[test]
fn evidence_comes_from_a_file() {
    let home = Home::new();
    let question = ["check", "+13055550123", "--channel=text", "--purpose=informational", "--technology=autodialer"];
    let facts = ["--recipient=consumer", "--line-type=mobile", "--seller=acme", "--at=2026-11-18T17:00:00Z"];
    let question = with(&question, &facts);
    home.run(&question).quietly(1).says(&["CONSENT"]);
    let consent = r#"{"consents": [{"grade": "CONSENT_GRADE_EXPRESS", "givenAt": "2026-01-05T12:00:00Z"}]}"#;
    home.write("evidence.json", consent);
    home.run(&with(&question, &["--evidence", "evidence.json"])).quietly(0);
    home.write("typo.json", r#"{"consent": []}"#);
    home.run(&with(&question, &["--evidence", "typo.json"])).refused(&["typo.json", "consent"]);
    home.write("number.json", r#"{"age": "+12025550143"}"#);
    home.run(&with(&question, &["--evidence", "number.json"])).refused(&["number.json"]);
    home.write("value.json", r#"{"age": 900}"#);
    home.run(&with(&question, &["--evidence", "value.json"])).refused(&["--evidence", "age"]);
    home.run(&with(&question, &["--evidence", "gone.json"])).refused(&["gone.json"]);
}

#[test]
fn a_reservation_counts_once_for_each_attempt_id() {
    let home = Home::new();
    home.run(&with(&ALLOWED, &["--reserve"])).refused(&["ringfence-data", "--data"]);
    fs::create_dir(home.path("ringfence-data")).unwrap();
    for _ in 0..2 {
        home.run(&with(&ALLOWED, &["--reserve", "--attempt-id=a-1"]))
            .quietly(0)
            .says(&["Reserved: start before", "a-1"]);
    }
    let stored = home.run(&["contact", "show", "+4930231250", "--json"]).quietly(0).json();
    assert_eq!(stored["attempts"].as_array().unwrap().len(), 1);
    home.run(&ALLOWED).quietly(0);
    let stored = home.run(&["contact", "show", "+4930231250", "--json"]).quietly(0).json();
    assert_eq!(stored["attempts"].as_array().unwrap().len(), 1, "a dry run counts nothing");
}

#[test]
fn sample_lists_and_a_folder_of_lists_are_used() {
    let home = Home::new();
    let question = ["check", "+13055550123", "--channel=call", "--purpose=marketing", "--technology=manual"];
    let facts = ["--recipient=consumer", "--line-type=landline", "--seller=acme", "--json"];
    let question = with(&question, &facts);
    let families = |more: &[&str]| {
        let answer = home.run(&with(&question, more)).json();
        answer["registryCopies"].as_array().cloned().unwrap_or_default().len()
    };
    assert!(families(&["--sample"]) >= 2);
    home.write("lists/us.dnc.national.txt", "# as_of=2026-11-20T00:00:00Z\n+12025550199\n");
    home.run(&with(&question, &["--registries", "lists"])).code(1);
    home.run(&with(&question, &["--registries", "gone"])).refused(&["gone", "--registries"]);
    home.run(&with(&question, &["--registries", "lists", "--sample"])).refused(&["--sample", "--registries"]);
    home.write("lists/us.dnc.fl.txt", "+12025550199\n");
    let ran = home.run(&with(&question, &["--registries", "lists"])).code(1);
    assert!(ran.err.contains("us.dnc.fl.txt") && ran.err.contains("as_of"), "{}", ran.err);
}
