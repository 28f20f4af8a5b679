//! `request` and `contact export|erase|hold|release`: by hand, beside a data folder and against a server.

use std::fs;

use super::server::serve_with;
use super::{ALLOWED, Home, with};

const NUMBER: &str = "+4930231250";

/// A folder with data in it: one decision.
fn asked() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    home.run(&ALLOWED).quietly(0);
    home
}

#[test]
fn access_is_opened_proven_exported_and_closed() {
    let home = asked();
    let opened =
        home.run(&["request", "open", NUMBER, "--kind=access", "--request-id=r-1", "--json"]).quietly(0).json();
    assert_eq!(opened["number"], "+493023••50", "{opened}");
    assert_eq!(opened["state"], "RIGHTS_REQUEST_STATE_AWAITING_IDENTITY");
    let id = opened["rightsRequestId"].as_str().unwrap();
    home.run(&["request", "list"]).quietly(0).says(&[id, "access awaiting_identity", "eu.gdpr.art12_3", "0 overdue"]);
    let export = ["contact", "export", NUMBER, "--request", id];
    home.run(&export).refused(&["--rights-request-id", "verify_identity"]);
    home.run(&["request", "resolve", id, "--step=verify_identity", "--who=ann"]).refused(&["note"]);
    let verify = ["request", "resolve", id, "--step=verify_identity", "--who=ann", "--note=called back"];
    home.run(&verify).quietly(0).says(&["access, open", "shown", "called back", "We will answer by"]);
    let shown = home.run(&["request", "show", id]).quietly(0);
    shown.says(&["+493023••50", "GDPR art. 12(3)", "1 month from receipt", "2 months more"]);
    home.run(&["request", "show", id, "--whole-number"]).quietly(0).says(&[NUMBER]);
    let page = with(&export, &["--html", "--output=copy.html", "--request-id=e-1"]);
    home.run(&page).code(0);
    let text = home.read("copy.html");
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("allowed") && !text.contains("30231250"), "{text}");
    assert!(text.contains("data protection authority"), "{text}");
    home.run(&["request", "list"]).quietly(0).says(&["No such request."]);
    home.run(&["request", "list", "--all"]).quietly(0).says(&[id, "access done"]);
    home.run(&["contact", "export", NUMBER, "--output=copy.html"]).refused(&["copy.html"]);
    let json = home.run(&["contact", "export", NUMBER]).quietly(0);
    assert!(!json.out.contains("4930231250"), "{}", json.out);
    assert_eq!(json.json()["decisions"].as_array().unwrap().len(), 1);
    let whole = home.run(&["contact", "export", NUMBER, "--whole-number"]).quietly(0).json();
    assert_eq!(whole["contact"]["number"], NUMBER);
    assert_eq!(whole["decisions"][0]["request"]["number"], NUMBER);
}

#[test]
fn what_presses_is_told_by_the_exit_status() {
    let home = asked();
    let late = ["request", "open", NUMBER, "--kind=complaint", "--received=2020-01-01T00:00:00Z"];
    home.run(&late).quietly(0);
    home.run(&["request", "list", "--due=3d"]).quietly(1).says(&["OVERDUE", "1 overdue"]);
    home.run(&["request", "list", "--due=3w"]).refused(&["3d"]);
    home.run(&["request", "open", NUMBER, "--kind=pigeon"]).refused(&["access", "erasure", "no_sharing"]);
    home.run(&["request", "show", "x"]).refused(&["rights-request-id"]);
    Home::new().run(&["request", "list"]).refused(&["--data", "--server"]);
}

#[test]
fn a_contact_is_held_released_and_erased() {
    let home = asked();
    let erase = ["contact", "erase", NUMBER, "--reason=account_closed"];
    let hold = ["contact", "hold", NUMBER, "--class=everything", "--why=A claim.", "--who=legal", "--json"];
    let held = home.run(&hold).quietly(0).json();
    let id = held["hold"]["holdId"].as_str().unwrap();
    home.run(&with(&erase, &["--dry-run"])).quietly(1).says(&["Would not be erased", "A claim."]);
    home.run(&with(&erase, &["--request-id=x-1"])).quietly(1).says(&["Not erased", "held", "A claim."]);
    home.run(&ALLOWED).quietly(1).says(&["ringfence.restriction"]);
    let release = ["contact", "release", NUMBER, "--hold", id, "--why=Settled.", "--who=legal"];
    home.run(&release).quietly(0).says(&["Released"]);
    home.run(&release).refused(&["hold_id"]);
    home.run(&with(&erase, &["--dry-run"])).quietly(0).says(&["Would be erased"]);
    home.run(&with(&erase, &["--request-id=x-2"])).quietly(0).says(&["Erased: +493023••50", "stays"]);
    home.run(&with(&erase, &["--request-id=x-2"])).quietly(0).says(&["Erased"]);
    home.run(&["contact", "show", NUMBER]).quietly(0).says(&["erased"]);
    home.run(&["audit", "verify"]).code(0);
    home.run(&["contact", "erase", NUMBER, "--reason=requested"]).refused(&["--identity-verified-by"]);
}

#[test]
fn the_same_against_a_server() {
    let home = Home::new();
    let server = serve_with(&home, &[]);
    let at = ["--server", server.url.as_str()];
    let open = ["request", "open", NUMBER, "--kind=erasure", "--verified-by=called back", "--json"];
    let opened = home.run(&with(&open, &at)).quietly(0).json();
    let id = opened["rightsRequestId"].as_str().unwrap();
    home.run(&with(&["request", "list"], &at)).quietly(0).says(&[id, "erasure open"]);
    home.run(&with(&["request", "show", id], &at)).quietly(0).says(&["+493023••50"]);
    let erase = ["contact", "erase", NUMBER, "--reason=requested", "--request", id];
    home.run(&with(&erase, &at)).quietly(0).says(&["Erased"]);
    home.run(&with(&["contact", "export", NUMBER], &at)).quietly(0).says(&["erasedAt"]);
    let resolve = ["request", "resolve", id, "--step=complete", "--who=ann"];
    home.run(&with(&resolve, &at)).refused(&["closed"]);
}
