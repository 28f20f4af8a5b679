//! `policy`, `retention`, `incident`, `tenant`: over a data folder, and against a server.

use std::fs;

use super::server::serve_with;
use super::{ALLOWED, Home, with, with_data};

const PUBLISH: [&str; 6] =
    ["policy", "publish", "2026-12", "--text=en=policy.txt", "--summary=Partners may call you.", "--who=ann"];

#[test]
fn a_policy_is_published_listed_and_shown() {
    let home = with_data();
    home.write("policy.txt", "We keep your number.\n");
    home.run(&["policy", "list"]).quietly(0).says(&["No policy was published."]);
    home.run(&PUBLISH).refused(&["--material"]);
    home.run(&with(&PUBLISH, &["--material"])).refused(&["reasons", "--request-id"]);
    let material = ["--material", "--reason=recipients", "--effective-at=2026-12-01T00:00:00Z", "--request-id=r-1"];
    let publish = with(&PUBLISH, &material);
    home.run(&publish).quietly(0).says(&["Published: 2026-12 (material", "2026-12-01T00:00:00Z", "request r-1"]);
    home.run(&publish).quietly(0);
    home.run(&with(&PUBLISH, &["--cosmetic"])).refused(&["published before"]);
    home.run(&["policy", "list"]).quietly(0).says(&["2026-12 (material", "en", "Partners may call you."]);
    home.run(&["policy", "show", "2026-12"]).quietly(0).says(&["[en] sha256", "We keep your number."]);
    home.run(&["policy", "show", "2026-12", "--language=fr"]).refused(&["language"]);
    home.run(&["keys", "rotate"]).quietly(0).says(&["Key 1 was dropped"]);
    home.run(&["policy", "show", "2026-12"]).quietly(0).says(&["We keep your number."]);
    home.run(&["policy", "overtaken"]).quietly(0).says(&["0 consents"]);
    let transfer = ["policy", "transfer", "acme", "borealis", "--recipient=Borealis GmbH", "--contact=x", "--who=ann"];
    home.run(&with(&transfer, &["--why=Merger."]))
        .quietly(0)
        .says(&["acme passed to borealis", "no consent goes along"]);
    assert!(home.run(&["audit", "verify", "--json"]).quietly(0).json()["entries"].as_u64().unwrap() >= 3);
}

#[test]
fn a_sweep_is_tried_and_a_hold_is_placed_and_released() {
    let home = with_data();
    home.run(&["retention", "sweep", "--dry-run"]).quietly(0).says(&["1 records looked at", "of 0 something would go"]);
    let hold = ["retention", "hold", "--number=+12025550143", "--why=Doe v. acme", "--who=ann", "--json"];
    let placed = home.run(&hold).quietly(0).json();
    let id = placed["hold"]["holdId"].as_str().unwrap();
    home.run(&["retention", "holds"]).quietly(0).says(&[id, "all records of +1202555••43", "by ann: Doe v. acme"]);
    home.run(&["retention", "release", id, "--why=Settled.", "--who=bob"]).quietly(0).says(&["Released"]);
    home.run(&["retention", "holds"]).quietly(0).says(&["Nothing is held."]);
    home.run(&["retention", "hold", "--class=letters", "--why=x", "--who=ann"]).refused(&["letters"]);
    home.run(&["retention", "sweep"]).refused(&["--keep-months", "--server"]);
    home.run(&["retention", "sweep", "--dry-run"]).quietly(0);
    let swept =
        home.run_with(&["retention", "sweep", "--json"], b"", &[("RINGFENCE_KEEP_MONTHS", "0")]).quietly(0).json();
    assert_eq!(swept["recordsSeen"], 1);
    // The opt-out stays, whatever its age.
    assert!(swept.get("recordsChanged").is_none(), "{swept}");
    let contact = home.run(&["contact", "show", "+12025550143", "--json"]).quietly(0).json();
    assert_eq!(contact["optOuts"].as_array().unwrap().len(), 1, "{contact}");
}

#[test]
fn an_incident_is_recorded_and_people_are_told() {
    let home = with_data();
    let open = [
        "incident",
        "open",
        "--title=Laptop",
        "--what-happened=A laptop was stolen.",
        "--effects=Unwanted calls.",
        "--measures=It was wiped.",
        "--advice=Be wary.",
        "--contact=privacy@example.com",
        "--place=DE",
        "--discovered-at=2026-01-10T10:00:00Z",
        "--who=ann",
        "--json",
    ];
    let opened = home.run(&open).quietly(0).json();
    let id = opened["incident"]["incidentId"].as_str().unwrap();
    home.run(&["incident", "show", id]).quietly(0).says(&["due 2026-01-13T10:00:00Z", "GDPR art. 33"]);
    home.write("numbers.txt", "+4930231250\n\n+12025550143\n");
    home.run(&["incident", "add", id, "--numbers=numbers.txt"]).quietly(0).says(&["touches 2"]);
    home.run(&["incident", "add", id, "--everybody"]).quietly(0).says(&["1 contacts were found", "touches 2"]);
    let notices = home.run(&["incident", "notices", id]).quietly(0).out;
    assert_eq!(notices.lines().count(), 2);
    assert!(notices.contains("Was geschehen ist: A laptop was stolen."), "{notices}");
    home.write("told.txt", "+4930231250\n");
    home.run(&["incident", "told", id, "--numbers=told.txt", "--who=ann"]).quietly(0).says(&["1 of 2"]);
    home.run(&["incident", "told", id, "--regulator=DE", "--reference=B-7", "--who=ann"])
        .quietly(0)
        .says(&["DE: reported"]);
    home.run(&["incident", "close", id, "--who=ann"]).quietly(0).says(&["closed"]);
    home.run(&["incident", "show"]).quietly(0).says(&["closed", "1 of 2 told", "Laptop"]);
    home.write("bad.txt", "+4930231250\nnobody\n");
    home.run(&["incident", "add", id, "--numbers=bad.txt"]).refused(&["--numbers", "entry 2"]);
}

#[test]
fn a_service_ends_only_when_it_is_meant() {
    let home = with_data();
    let off = ["tenant", "off-board", "--why=acme closes.", "--contact=privacy@example.com", "--who=ann"];
    home.run(&off).quietly(0).says(&["Nothing was done", "--yes"]);
    home.run(&ALLOWED).quietly(0);
    let yes = with(&off, &["--yes", "--export=all.jsonl", "--request-id=end"]);
    home.run(&yes).quietly(0).says(&["The service ended", "contacts were exported", "log "]);
    assert!(home.read("all.jsonl").lines().count() >= 1);
    home.run(&ALLOWED).quietly(1).says(&["ringfence.freeze", "by ann: acme"]);
    home.run(&yes).refused(&["all.jsonl"]);
    fs::remove_file(home.path("all.jsonl")).unwrap();
    home.run(&yes).quietly(0);
    home.run(&["audit", "verify"]).quietly(0);
}

#[test]
fn a_server_answers_the_same() {
    let home = Home::new();
    home.write("policy.txt", "We keep your number.\n");
    let server = serve_with(&home, &[]);
    let at = ["--server", server.url.as_str()];
    home.run(&with(&with(&PUBLISH, &["--cosmetic"]), &at)).quietly(0).says(&["Published"]);
    home.run(&with(&["policy", "show"], &at)).quietly(0).says(&["We keep your number."]);
    home.run(&with(&["retention", "sweep", "--dry-run"], &at)).quietly(0).says(&["0 records"]);
    home.run(&with(&["incident", "show"], &at)).quietly(0).says(&["No incident"]);
    let off = ["tenant", "off-board", "--why=x", "--contact=x", "--who=ann", "--yes"];
    home.run(&with(&off, &at)).quietly(0).says(&["The service ended"]);
    home.run(&with(&ALLOWED, &at)).quietly(1).says(&["ringfence.freeze"]);
}
