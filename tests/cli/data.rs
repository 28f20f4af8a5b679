//! Data folder, keys and audit log: `contact`, `keys`, `audit verify`, and whatever can be wrong with a folder.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use ringfence::store::{EmbeddedStore, embedded};

use super::{ALLOWED, Home, segments, with, with_data};

#[test]
fn an_opt_out_is_shown_and_denies() {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    home.run(&["contact", "show", "+4930231250"]).quietly(1).says(&["Nothing is stored"]);
    home.run(&ALLOWED).quietly(0);
    let opt_out = ["contact", "opt-out", "+4930231250", "--seller=acme", "--purpose=informational", "--purpose=survey"];
    let more = ["--source=agent", "--at=2026-11-18T10:00:00Z", "--wording=no more"];
    let ran = home.run(&with(&opt_out, &more)).quietly(0);
    ran.says(&["Opted out: +493023••50", "request ", "receipt "]);
    home.run(&ALLOWED).quietly(1).says(&["OBJECTION"]);
    let shown = home.run(&["contact", "show", "+4930231250"]).quietly(0);
    shown.says(&["purpose informational or survey", "seller acme", "by agent"]);
    let json = home.run(&["contact", "show", "+4930231250", "--json"]).quietly(0).json();
    assert_eq!(json["optOuts"][0]["optOut"]["scope"]["sellers"][0], "acme");
    assert_eq!(json["number"], "+4930231250");
}

#[test]
fn the_same_request_is_recorded_once() {
    let home = with_data();
    let opt_out = ["contact", "opt-out", "+4930231250", "--everything", "--request-id=r-1", "--json"];
    let first = home.run(&opt_out).quietly(0).json();
    assert_eq!(first["requestId"], "r-1");
    assert_eq!(home.run(&opt_out).quietly(0).json(), first);
    let other = ["contact", "opt-out", "+4930231250", "--channel=text", "--request-id=r-1"];
    home.run(&other).refused(&["request_id"]);
    let json = home.run(&["contact", "show", "+4930231250", "--json"]).quietly(0).json();
    assert_eq!(json["optOuts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_faulty_opt_out_is_refused() {
    let home = with_data();
    let bad = |more: &[&str], words: &[&str]| {
        drop(home.run(&with(&["contact", "opt-out", "+4930231250"], more)).refused(words));
    };
    bad(&[], &["--everything", "--purpose", "--seller"]);
    bad(&["--purpose=sales"], &["--purpose", "marketing"]);
    bad(&["--everything", "--at=yesterday"], &["--at"]);
    bad(&["--everything", "--source=rumour"], &["--source", "agent"]);
    for number in ["", "abc", "911"] {
        home.run(&["contact", "opt-out", number, "--everything"]).refused(&["the number"]);
        home.run(&["contact", "show", number]).refused(&["the number"]);
    }
}

#[test]
fn writing_begins_no_store_where_a_path_was_mistyped() {
    let home = Home::new();
    home.run(&["contact", "opt-out", "+4930231250", "--everything"]).refused(&["ringfence-data", "--data", "--server"]);
    home.run(&["contact", "opt-out", "+4930231250", "--everything", "--data=dta"]).refused(&["dta: no such folder"]);
    home.run(&with(&ALLOWED, &["--data=dta"])).refused(&["dta: no such folder"]);
    home.run(&["audit", "verify"]).refused(&["ringfence-data"]);
    assert!(home.names().is_empty());
}

#[test]
fn a_folder_that_another_process_holds_is_refused_with_the_way_out() {
    let home = with_data();
    let held = EmbeddedStore::open(&home.path("ringfence-data"), embedded::Settings::default()).unwrap();
    let hint = ["ringfence-data", "in use", &std::process::id().to_string(), "--server"];
    home.run(&ALLOWED).refused(&hint);
    home.run(&["contact", "show", "+12025550143"]).refused(&hint);
    home.run(&["contact", "opt-out", "+12025550143", "--everything"]).refused(&hint);
    drop(held);
    home.run(&ALLOWED).quietly(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    // Not even root writes there.
    if std::path::Path::new("/sys/kernel").exists() {
        Home::new().run(&with(&ALLOWED, &["--data=/sys/kernel"])).refused(&["/sys/kernel", "permission", "--data"]);
    }
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let home = Home::new();
    home.write("ringfence-data/audit", "not a folder");
    home.run(&ALLOWED).refused(&["ringfence-data/audit"]);
    home.write("other/store.redb", "not a store");
    home.run(&with(&ALLOWED, &["--data=other"])).refused(&["other/store.redb"]);
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let home = Home::new();
    let ran = home.run(&["keys", "new"]).quietly(0).says(&["ringfence-keys", "Keep a copy"]);
    let text = home.read("ringfence-keys");
    let secrets: Vec<_> = text.split_whitespace().filter(|word| word.len() == 64).collect();
    assert!(secrets.len() == 2 && secrets.iter().all(|secret| !ran.out.contains(secret)));
    home.run(&["keys", "new"]).refused(&["ringfence-keys", "never overwritten"]);
    assert_eq!(home.read("ringfence-keys"), text);
    assert_eq!(home.run(&["keys", "new", "--keys=k2", "--json"]).quietly(0).json()["keys"], "k2");
    home.run(&["keys", "new", "--keys=gone/k"]).refused(&["gone/k"]);
}

#[test]
fn keys_never_lie_inside_the_data() {
    let home = with_data();
    let inside = ["--keys=ringfence-data/keys"];
    home.run(&with(&ALLOWED, &inside)).refused(&["ringfence-data/keys", "inside the data folder"]);
    home.run(&with(&["keys", "new"], &inside)).refused(&["ringfence-data/keys", "inside the data folder"]);
    home.run_with(&["keys", "new"], b"", &[("RINGFENCE_KEYS", "ringfence-data/keys")]).refused(&["inside"]);
    assert!(!home.path("ringfence-data/keys").exists());
}

#[test]
fn data_without_their_keys_are_refused() {
    let home = with_data();
    fs::rename(home.path("ringfence-keys"), home.path("elsewhere")).unwrap();
    home.run(&ALLOWED).refused(&["ringfence-keys", "not empty", "--keys"]);
    assert!(!home.path("ringfence-keys").exists(), "no new keys are made beside old data");
    home.run(&["keys", "new"]).quietly(0);
    home.run(&ALLOWED).refused(&["ringfence-keys", "not the keys"]);
    home.run(&with(&ALLOWED, &["--keys=elsewhere"])).quietly(0);
}

#[test]
fn a_sound_log_verifies() {
    let home = with_data();
    home.run(&ALLOWED).quietly(0);
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND", "2 entries", "compared with what the store remembers"]);
    let json = home.run(&["audit", "verify", "--json"]).quietly(0).json();
    assert_eq!((&json["sound"], &json["entries"], &json["comparedWithStore"]), (&true.into(), &2.into(), &true.into()));
    fs::remove_file(home.path("ringfence-keys")).unwrap();
    home.run(&["audit", "verify"]).quietly(0);
}

#[test]
fn an_altered_log_names_the_first_bad_entry() {
    let home = with_data();
    let path = segments(&home.path("ringfence-data")).remove(0);
    let middle = fs::metadata(&path).unwrap().len() + 100;
    for _ in 0..3 {
        home.run(&ALLOWED).quietly(0);
    }
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(middle)).unwrap();
    file.write_all(b"!").unwrap();
    let ran = home.run(&["audit", "verify"]).quietly(1);
    ran.says(&["NOT SOUND", "first bad entry: 0000000001.log", "entry 2", "altered"]);
    let json = home.run(&["audit", "verify", "--json"]).quietly(1).json();
    assert_eq!((&json["sound"], &json["firstBad"]["entry"]), (&false.into(), &2.into()));
}

#[test]
fn a_log_cut_at_its_end_is_found_beside_its_store() {
    let home = with_data();
    let path = segments(&home.path("ringfence-data")).remove(0);
    let one = fs::metadata(&path).unwrap().len();
    home.run(&ALLOWED).quietly(0);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(one).unwrap();
    home.run(&["audit", "verify"]).quietly(1).says(&["NOT SOUND", "cut off", "entry 2"]);
    let held = EmbeddedStore::open(&home.path("ringfence-data"), embedded::Settings::default()).unwrap();
    home.run(&["audit", "verify"]).quietly(0).says(&["NOT compared with the store", "running server"]);
    drop(held);
    fs::remove_dir_all(home.path("ringfence-data/audit")).unwrap();
    home.run(&["audit", "verify"]).refused(&["ringfence-data/audit"]);
}
