//! `ringfence contact copy`: from a folder into a Redis, into a folder with keys of its own, and what it refuses.

use std::fs;

use super::redis::Server;
use super::{ALLOWED, Home, with, with_data};

const NUMBER: &str = "+4930231250";

fn opt_out(home: &Home, at: &[&str]) {
    home.run(&with(&["contact", "opt-out", NUMBER, "--everything"], at)).quietly(0);
}

fn opt_outs(home: &Home, at: &[&str]) -> usize {
    let json = home.run(&with(&["contact", "show", NUMBER, "--json"], at)).quietly(0).json();
    json["optOuts"].as_array().unwrap().len()
}

#[test]
fn a_folder_moves_into_a_redis_and_its_log_goes_on_there() {
    let server = Server::start(&[]);
    let url = server.url();
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    opt_out(&home, &[]);
    home.run(&["control", "freeze", "--seller=acme", "--who=ann", "--why=drill"]).quietly(0);
    let copy = ["contact", "copy", "--from=ringfence-data", "--to", &url];
    home.run(&copy).quietly(0).says(&["2 records copied", "Complete"]);
    let json = home.run(&with(&copy, &["--json"])).quietly(0).json();
    assert_eq!(
        (&json["copied"], &json["complete"]),
        (&0.into(), &true.into()),
        "copying again changes nothing: {json}"
    );

    // Written in the source since: only that is copied.
    opt_out(&home, &[]);
    let json = home.run(&with(&copy, &["--json"])).quietly(0).json();
    assert_eq!((&json["copied"], &json["complete"]), (&1.into(), &true.into()), "{json}");

    // The folder's own log goes on beside the Redis, and what is written there is never overwritten.
    let at = ["--store", url.as_str(), "--data", "ringfence-data"];
    home.run(&with(&ALLOWED, &at)).quietly(1).says(&["OBJECTION", "ringfence.freeze", "by ann"]);
    opt_out(&home, &at);
    assert_eq!(opt_outs(&home, &at), 3);
}

#[test]
fn what_was_written_in_the_target_stays() {
    let home = with_data();
    opt_out(&home, &[]);
    let copy = ["contact", "copy", "--from=ringfence-data", "--to=other", "--json"];
    home.run(&copy).quietly(0);
    let there = ["--data=other"];
    opt_out(&home, &there);
    let before = opt_outs(&home, &there);
    let json = home.run(&copy).quietly(0).json();
    assert_eq!(json["newerInTarget"], 1, "{json}");
    opt_out(&home, &[]);
    let json = home.run(&copy).quietly(1).json();
    assert_eq!((&json["parted"], &json["complete"]), (&1.into(), &false.into()), "{json}");
    assert_eq!(opt_outs(&home, &there), before);
    home.run(&with(&["audit", "verify"], &there)).quietly(0);
}

#[test]
fn another_hash_key_makes_other_tags() {
    let home = with_data();
    opt_out(&home, &[]);
    let copy = ["contact", "copy", "--from=ringfence-data", "--to=other", "--to-keys=new-keys"];
    let ran = home.run(&copy);
    assert!(ran.code == Some(0) && ran.err.contains("another hash key"), "{}{}", ran.out, ran.err);
    assert_eq!(opt_outs(&home, &["--data=other", "--keys=new-keys"]), opt_outs(&home, &[]));
    home.run(&with(&ALLOWED, &["--data=other", "--keys=new-keys"])).quietly(1).says(&["DENIED"]);
    home.run(&with(&ALLOWED, &["--data=other"])).refused(&["not the keys"]);
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let home = with_data();
    home.run(&["contact", "copy", "--from=nowhere", "--to=other"]).refused(&["nowhere", "holds no store"]);
    assert!(!home.path("nowhere").exists() && !home.path("other").exists());
    home.run(&["contact", "copy", "--from=ringfence-data", "--to=ringfence-data"]).refused(&["--to"]);
    home.run(&["contact", "copy", "--from=ringfence-data", "--to=./ringfence-data"]).refused(&["--to"]);
    let server = Server::start(&[]);
    home.run(&["contact", "copy", "--from", &server.url(), "--to=other"]).refused(&["holds no records"]);
}
