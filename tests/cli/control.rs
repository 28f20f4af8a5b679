//! `control`: the stop button and states of emergency, by hand and by file.

use std::fs;

use super::server::serve_with;
use super::{ALLOWED, Home, with, with_data};

const FILE: &str = "[[emergency]]\nid = \"eo-60\"\njurisdiction = \"US-NY\"\ncounties = [\"Erie\"]\n\
                    title = \"Lake snow\"\nsource = \"Executive Order 60\"\nfrom = 2026-11-18\n";
const NEW_YORK: [&str; 8] = [
    "check",
    "+12125550123",
    "--channel=call",
    "--technology=manual",
    "--purpose=marketing",
    "--seller=acme",
    "--at=2026-11-18T16:00:00Z",
    "--line-type=landline",
];

#[test]
fn a_freeze_stops_is_listed_and_is_lifted() {
    let home = with_data();
    let entries = || home.run(&["audit", "verify", "--json"]).quietly(0).json()["entries"].as_u64().unwrap();
    home.run(&["control", "list"]).quietly(0).says(&["Nothing is frozen."]);
    let before = entries();
    let freeze =
        ["control", "freeze", "--seller=acme", "--who=ann", "--why=Wrong prices.", "--request-id=r-1", "--json"];
    let frozen = home.run(&freeze).quietly(0).json();
    assert_eq!(home.run(&freeze).quietly(0).json(), frozen, "the same request is recorded once");
    assert_eq!(entries(), before + 1, "and has its entry once");
    let id = frozen["freeze"]["freezeId"].as_str().unwrap();
    // Asked about another instant, before it was frozen, nothing was.
    home.run(&with(&ALLOWED, &["--at=2026-11-18T16:00:00Z"])).quietly(0);
    home.run(&ALLOWED).quietly(1).says(&["POLICY", "ringfence.freeze", "seller acme", "by ann", "Wrong"]);
    home.run(&["control", "list"]).quietly(0).says(&[id, "seller acme", "by ann"]);
    let lift = ["control", "unfreeze", id, "--who=bob", "--why=Corrected."];
    home.run(&lift).quietly(0).says(&["Lifted: seller acme", "bob: Corrected."]);
    home.run(&lift).refused(&["lifted before"]);
    home.run(&["control", "list"]).quietly(0).says(&["Nothing is frozen."]);
    home.run(&["control", "list", "--history"]).quietly(0).says(&["lifted", "bob"]);
    assert_eq!(entries(), before + 4, "two checks and the lifting");
}

#[test]
fn what_is_switched_wrongly_is_refused() {
    let home = with_data();
    let by = ["--who=ann", "--why=x"];
    home.run(&with(&["control", "freeze"], &by)).refused(&["--everything", "--seller", "--campaign", "--place"]);
    home.run(&with(&["control", "freeze", "--everything", "--seller=a"], &by)).refused(&["cannot be used"]);
    home.run(&["control", "freeze", "--everything", "--why=x"]).refused(&["--who"]);
    home.run(&with(&["control", "freeze", "--place=US-QQ"], &by)).refused(&["US-QQ"]);
    home.run(&with(&["control", "freeze", "--seller=a", "--until=2020-01-01T00:00:00Z"], &by)).refused(&["until"]);
    home.run(&with(&["control", "unfreeze", "nobody"], &by)).refused(&["freeze_id"]);
    let declare = ["control", "emergency", "declare", "US-NY", "--title=Snow", "--source=EO 60", "--who=ann"];
    home.run(&with(&declare, &["--county=Brooklyn"])).refused(&["Brooklyn"]);
    Home::new().run(&with(&["control", "freeze", "--everything"], &by)).refused(&["--data", "--server"]);
}

#[test]
fn a_state_of_emergency_is_declared_listed_and_ended() {
    let home = with_data();
    let declare = ["control", "emergency", "declare", "US-NY", "--title=Snow", "--source=EO 60", "--who=ann"];
    let since = ["--county=erie county", "--from=2026-11-18T00:00:00Z", "--json"];
    let declared = home.run(&with(&declare, &since)).quietly(0).json();
    let id = declared["emergency"]["emergencyId"].as_str().unwrap();
    assert_eq!(declared["emergency"]["counties"][0], "Erie");
    home.run(&NEW_YORK).quietly(1).says(&["us.ny.emergency", "Snow (EO 60) for Erie"]);
    let elsewhere = ["--residence=US-NY", "--county=Kings"];
    assert!(!home.run(&with(&NEW_YORK, &elsewhere)).quietly(1).out.contains("us.ny.emergency"));
    home.run(&["control", "emergency", "list"]).quietly(0).says(&[id, "rules us.ny.emergency"]);
    home.run(&["control", "emergency", "end", id, "--who=bob", "--why=Clear."]).quietly(0).says(&["Ended: Snow"]);
    home.run(&["control", "emergency", "list"]).quietly(0).says(&["No state of emergency"]);
    let texas = ["control", "emergency", "declare", "US-TX", "--title=Heat", "--source=GA 1", "--who=ann"];
    home.run(&texas).quietly(0).says(&["It stops nothing"]);
}

#[test]
fn a_file_of_emergencies_is_taken_whole_or_refused_by_line() {
    let home = Home::new();
    home.write("e.toml", FILE);
    home.run(&with(&NEW_YORK, &["--emergencies=e.toml"])).says(&["us.ny.emergency", "Lake snow"]);
    home.write(
        "e.csv",
        "id,jurisdiction,counties,title,source,from,until\n\
                         eo-60,US-NY,Erie; St. Lawrence,Lake snow,EO 60,2026-11-18,2026-11-20\n",
    );
    home.run(&with(&NEW_YORK, &["--emergencies=e.csv"])).says(&["Lake snow (EO 60) for Erie, St. Lawrence"]);
    for (file, text, words) in [
        ("bad.toml", format!("{FILE}\n{FILE}"), ["bad.toml:9", "eo-60"]),
        ("bad.toml", FILE.replace("title", "titel"), ["bad.toml:5", "titel"]),
        ("bad.csv", "id,jurisdiction,title,source,from\nb,US-LA\n".to_owned(), ["bad.csv:2", "fields"]),
    ] {
        home.write(file, text);
        home.run(&with(&NEW_YORK, &[&format!("--emergencies={file}")])).refused(&words);
    }
    home.run(&["serve", "--grpc=127.0.0.1:0", "--http=off", "--emergencies=bad.csv"]).refused(&["bad.csv:2"]);
    home.run(&with(&NEW_YORK, &["--emergencies=none.toml"])).refused(&["none.toml", "cannot be read"]);
}

#[test]
fn a_server_throws_switches_and_reads_its_file_again() {
    let home = Home::new();
    home.write("e.toml", "");
    let server = serve_with(&home, &["--emergencies=e.toml"]);
    let at = ["--server", server.url.as_str()];
    let ask = || home.run(&with(&NEW_YORK, &at)).quietly(1).out;
    let until = |declared: bool| while ask().contains("us.ny.emergency") != declared {};
    until(false);
    home.write("e.toml", FILE);
    until(true);
    home.run(&with(&["control", "emergency", "list"], &at)).quietly(0).says(&["eo-60", "the server's file"]);
    let end = with(&["control", "emergency", "end", "eo-60", "--who=bob", "--why=x"], &at);
    home.run(&end).refused(&["file of the server"]);
    // Lost, the file stays in force as it was; told otherwise, it does not.
    fs::remove_file(home.path("e.toml")).unwrap();
    home.write("e.csv", "");
    assert!(ask().contains("us.ny.emergency"));
    home.write("e.toml", "# All over.\n");
    until(false);
    let by = ["--who=ann", "--why=Wrong prices."];
    let frozen =
        home.run(&with(&with(&["control", "freeze", "--campaign=spring", "--json"], &by), &at)).quietly(0).json();
    let live = ["check", "+4930231250", "--channel=call", "--purpose=survey", "--seller=acme", "--campaign=spring"];
    home.run(&with(&live, &at)).quietly(1).says(&["ringfence.freeze", "campaign spring"]);
    let id = frozen["freeze"]["freezeId"].as_str().unwrap();
    home.run(&with(&with(&["control", "unfreeze", id], &by), &at)).quietly(0).says(&["Lifted"]);
    home.run(&with(&["control", "unfreeze", id, "--who=ann", "--why=x"], &at))
        .refused(&["lifted before", "--request-id"]);
}
