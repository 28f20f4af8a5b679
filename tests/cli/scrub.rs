//! `scrub`: every row answered, in order, its own fields untouched; nothing half done.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Home, with, with_data};

pub const QUESTION: [&str; 8] = [
    "--channel=call",
    "--purpose=informational",
    "--technology=manual",
    "--recipient=consumer",
    "--line-type=landline",
    "--seller=acme",
    "--at=2026-11-18T17:00:00Z",
    "--json",
];

const ADDED: [&str; 4] = ["ringfence_verdict", "ringfence_reasons", "ringfence_retry_at", "ringfence_message"];

/// Scrubs a text, and gives back the rows of the output and the summary.
fn scrubbed(home: &Home, text: impl AsRef<[u8]>, more: &[&str]) -> (Vec<Vec<String>>, Value) {
    home.write("in.csv", text);
    let arguments = with(&with(&["scrub", "in.csv", "--output=out.csv", "--force"], &QUESTION), more);
    let ran = home.run(&arguments).code(0);
    (rows(&home.read("out.csv"), b','), ran.json())
}

fn rows(text: &str, delimiter: u8) -> Vec<Vec<String>> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn every_row_is_answered_and_keeps_its_fields() {
    let home = Home::new();
    let text = "name,phone\nAda,+4930231250\n\"O'Neil, \"\"Bo\"\"\",abc\nCy,\nDi,911\n";
    let (rows, summary) = scrubbed(&home, text, &[]);
    assert_eq!(rows[0], with(&["name", "phone"], &ADDED));
    assert_eq!(rows[1], ["Ada", "+4930231250", "ALLOW", "", "", ""]);
    assert_eq!(rows[2][..5], ["O'Neil, \"Bo\"", "abc", "DENY", "NUMBER", ""]);
    assert_eq!(rows[3][..4], ["Cy", "", "DENY", "NUMBER"]);
    assert_eq!(rows[4][..4], ["Di", "911", "DENY", "NUMBER"]);
    assert!(rows[2..].iter().all(|row| !row[5].is_empty()), "a refusal is explained");
    assert_eq!(
        (&summary["rows"], &summary["allowed"], &summary["reasons"]["NUMBER"]),
        (&4.into(), &1.into(), &3.into())
    );
    assert_eq!(summary["countries"]["DE"]["allowed"], 1);
    assert_eq!(home.names(), ["in.csv", "out.csv"], "nothing else is left behind");
}

#[test]
fn the_sample_leads_are_all_answered_in_order() {
    let home = Home::new();
    let leads = fs::read_to_string("deploy/sample/leads.csv").unwrap();
    let (answered, summary) = scrubbed(&home, &leads, &["--sample"]);
    let leads = rows(&leads, b',');
    assert!(leads.len() > 2_000 && answered.len() == leads.len());
    let width = leads[0].len();
    for (lead, row) in leads.iter().zip(&answered).skip(1) {
        assert_eq!((&lead[..], row.len()), (&row[..width], width + 4));
        assert!(["ALLOW", "DENY"].contains(&row[width].as_str()), "{row:?}");
        assert_eq!(row[width] == "ALLOW", row[width + 1].is_empty(), "a denial has a reason: {row:?}");
        // Toll-free and satellite numbers are numbers, of no place.
        let unusable = lead.last().unwrap().starts_with("unusable");
        assert!(!unusable || ["NUMBER", "JURISDICTION"].contains(&row[width + 1].as_str()), "{row:?}");
    }
    assert!(summary["allowed"].as_u64().unwrap() > 100, "{summary}");
    assert!(summary["countries"].as_object().unwrap().len() > 40);
}

#[test]
fn a_row_gets_what_check_says() {
    let home = Home::new();
    let text = "phone,country,state,zip,time_zone\n020 7946 0018,GB,,,\n+13055550123,US,NY,10001,America/Denver\n";
    let (rows, _) = scrubbed(&home, text, &[]);
    for (row, place) in [
        (&rows[1], ["--default-region=GB"].as_slice()),
        (&rows[2], &["--residence=US-NY", "--postal-code=10001", "--time-zone=America/Denver"]),
    ] {
        let check = with(&with(&["check", &row[0]], &QUESTION), place);
        let answer = home.run(&check).json();
        assert_eq!(row[5] == "ALLOW", answer["verdict"] == "VERDICT_ALLOW", "{answer}");
        assert_eq!(row[7], answer["retryAt"].as_str().unwrap_or_default());
        assert_eq!(row[8], answer["reasons"][0]["message"].as_str().unwrap_or_default());
    }
}

#[test]
fn rows_of_any_length_and_cells_of_any_kind_are_answered() {
    let home = Home::new();
    let text = "phone,name,tz\n+4930231250\n+4930231250,a,,x,y\n\n+4930231250,b,Nowhere/X\n+4930231250,c\n";
    let (rows, summary) = scrubbed(&home, text, &["--time-zone-column=tz"]);
    assert_eq!(rows[1], ["+4930231250", "", "", "ALLOW", "", "", ""]);
    assert_eq!(rows[2], ["+4930231250", "a", "", "ALLOW", "", "", "", "x", "y"], "what is too much comes last");
    assert_eq!(rows[3][..5], ["+4930231250", "b", "Nowhere/X", "DENY", "INVALID_ARGUMENT"]);
    assert!(rows[3][6].contains("time_zone"));
    assert_eq!(rows[4][3], "ALLOW");
    assert_eq!((&summary["rowsTooShort"], &summary["rowsTooLong"]), (&2.into(), &1.into()));
}

#[test]
fn the_form_of_the_file_is_kept() {
    let home = Home::new();
    home.write("in.csv", b"\xef\xbb\xbfTelefon;Name\r\n030 231250;M\xfcller\r\n");
    home.run(&with(&["scrub", "in.csv", "--output=out.csv", "--default-region=DE"], &QUESTION)).code(0);
    let out = fs::read(home.path("out.csv")).unwrap();
    assert!(out.starts_with(b"\xef\xbb\xbfTelefon;Name;ringfence_verdict;"), "mark, separator and header");
    assert!(out.windows(8).any(|bytes| bytes == b"M\xfcller;A"), "bytes that are no UTF-8 pass unchanged");
    assert!(out.ends_with(b"\r\n"));
}

#[test]
fn without_a_header_the_first_row_is_answered_too() {
    let home = Home::new();
    home.write("in.csv", "+4930231250,a\n+4930231250,b\n");
    let ran = home.run(&with(&["scrub", "in.csv", "--output=out.csv"], &QUESTION)).code(0);
    assert!(ran.err.contains("no header"));
    assert_eq!(rows(&home.read("out.csv"), b',').len(), 2);
}

#[test]
fn many_rows_keep_their_order() {
    let home = Home::new();
    let mut text = "id,phone\n".to_owned();
    for id in 0..5_000 {
        text.push_str(&format!("{id},{}\n", if id % 7 == 0 { "abc" } else { "+4930231250" }));
    }
    let (rows, summary) = scrubbed(&home, &text, &[]);
    assert_eq!(summary["rows"], 5_000);
    for (id, row) in rows[1..].iter().enumerate() {
        assert_eq!((row[0].as_str(), row[2] == "ALLOW"), (id.to_string().as_str(), id % 7 != 0));
    }
}

#[test]
fn standard_input_and_output_serve_too() {
    let home = Home::new();
    let question = &QUESTION[..7];
    let ran = home.run_with(&with(&["scrub", "-", "--output=-"], question), b"phone\n+4930231250\n", &[]).code(0);
    assert_eq!(rows(&ran.out, b',')[1], ["+4930231250", "ALLOW", "", "", ""]);
    assert!(
        ran.err.contains("1 rows: 1 allowed, 0 denied") || ran.err.contains("1 row: 1 allowed, 0 denied"),
        "{}",
        ran.err
    );
    home.run(&with(&["scrub", "-", "--output=-"], &QUESTION)).refused(&["--json", "--output"]);
}

#[test]
fn what_cannot_be_scrubbed_is_refused_and_leaves_nothing_behind() {
    let home = Home::new();
    let refused = |file: &str, more: &[&str], words: &[&str]| {
        let before = home.names();
        drop(home.run(&with(&with(&["scrub", file], &QUESTION), more)).refused(words));
        assert_eq!(home.names(), before);
    };
    let out = ["--output=out.csv"];
    refused("gone.csv", &out, &["gone.csv"]);
    home.write("none.csv", "name,city\nAda,Rome\n");
    refused("none.csv", &out, &["none.csv", "name, city", "--number-column"]);
    home.write("empty.csv", "");
    refused("empty.csv", &out, &["empty.csv", "empty"]);
    home.write("excel.xlsx", b"PK\x03\x04...");
    refused("excel.xlsx", &out, &["excel.xlsx", "Excel"]);
    home.write("wide.csv", b"\xff\xfep\0h\0o\0n\0e\0");
    refused("wide.csv", &out, &["wide.csv", "UTF-16"]);
    home.write("in.csv", "phone\n+4930231250\n");
    refused("in.csv", &["--output=in.csv", "--force"], &["in.csv", "output is the input"]);
    refused("in.csv", &["--output=./in.csv"], &["output is the input"]);
    refused("in.csv", &["--output=gone/out.csv"], &["gone"]);
    refused("in.csv", &["--output=out.csv", "--number-column=mobile"], &["in.csv", "mobile", "phone"]);
    refused("in.csv", &[], &["--output"]);
    fs::create_dir(home.path("folder")).unwrap();
    refused("folder", &out, &["folder"]);
    refused("in.csv", &["--output=folder"], &["folder"]);
    refused("in.csv", &["--output=/dev/null", "--force"], &["/dev/null", "device"]);
    home.write("twice.csv", "phone,ringfence_verdict\n+4930231250,ALLOW\n");
    refused("twice.csv", &out, &["twice.csv", "ringfence_verdict"]);
    let endless = format!("phone,note\n+4930231250,\"{}", "x".repeat(20 << 20));
    home.write("quote.csv", endless);
    refused("quote.csv", &out, &["quote.csv:2", "quote"]);
}

#[test]
fn an_output_that_is_there_is_kept_unless_forced() {
    let home = Home::new();
    home.write("in.csv", "phone\n+4930231250\n");
    home.write("out.csv", "precious");
    let scrub = with(&["scrub", "in.csv", "--output=out.csv"], &QUESTION);
    home.run(&scrub).refused(&["out.csv", "--force"]);
    assert_eq!(home.read("out.csv"), "precious");
    home.run(&with(&scrub, &["--force"])).code(0);
    assert_eq!(rows(&home.read("out.csv"), b',')[1][1], "ALLOW");
}

#[test]
fn stored_opt_outs_deny_and_the_log_gets_one_entry_a_file() {
    let home = with_data();
    home.run(&["contact", "opt-out", "+4930231250", "--everything"]).quietly(0);
    let entries = || home.run(&["audit", "verify", "--json"]).quietly(0).json()["entries"].as_u64().unwrap();
    let before = entries();
    // Without --at: about now, so that what is stored counts.
    home.write("in.csv", "phone\n+4930231250\n+4930231251\n+4930231250\n");
    let live: Vec<&str> = QUESTION.iter().copied().filter(|option| !option.starts_with("--at")).collect();
    let summary = home.run(&with(&["scrub", "in.csv", "--output=out.csv"], &live)).code(0).json();
    let verdicts: Vec<_> = rows(&home.read("out.csv"), b',').into_iter().skip(1).map(|row| row[2].clone()).collect();
    assert_eq!(verdicts, ["OBJECTION", "", "OBJECTION"]);
    assert_eq!(entries(), before + 1);
    assert!(summary["auditEntry"].as_str().unwrap().len() == 36);
    let stored = home.run(&["contact", "show", "+4930231250", "--json"]).quietly(0).json();
    assert!(stored["attempts"].as_array().is_none_or(Vec::is_empty), "nothing is counted");
}

#[test]
fn the_summary_for_people_counts_reasons_and_countries() {
    let home = Home::new();
    home.write("in.csv", "phone\n+4930231250\nabc\n+33123456789\n");
    let question = &QUESTION[..7];
    let ran = home.run(&with(&["scrub", "in.csv", "--output=out.csv"], question)).code(0);
    let words: BTreeSet<_> = ran.err.split_whitespace().collect();
    for word in ["allowed", "denied", "NUMBER", "DE", "FR", "none", "rules"] {
        assert!(words.contains(word) || ran.err.contains(word), "{word}: {}", ran.err);
    }
    assert!(ran.out.is_empty());
}
