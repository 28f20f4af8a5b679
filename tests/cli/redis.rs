//! Instances that share a Redis, and `ringfence doctor`.

use std::fs;

use super::redis::Server;
use super::{ALLOWED, Home, with};

#[test]
fn two_instances_share_a_redis_that_learns_no_number() {
    let server = Server::start(&[]);
    let url = server.url();
    let (one, two) = (Home::new(), Home::new());
    let at = ["--store", url.as_str()];
    one.run(&with(&ALLOWED, &at)).quietly(0).says(&["ALLOWED"]);
    one.run(&with(&ALLOWED, &with(&at, &["--reserve"]))).quietly(0);
    // Another instance with keys of its own would find nobody: it is refused.
    two.run(&["keys", "new"]).quietly(0);
    two.run(&with(&ALLOWED, &at)).refused(&["not the keys that this store was made with"]);
    fs::copy(one.path("ringfence-keys"), two.path("ringfence-keys")).unwrap();
    two.run(&with(&["contact", "opt-out", "+4930231250", "--everything"], &at)).quietly(0);
    one.run(&with(&ALLOWED, &at)).quietly(1).says(&["DENIED", "OBJECTION"]);
    one.run(&with(&["contact", "show", "+4930231250"], &at)).quietly(0);
    let kept = fs::read_dir(server.folder().join("appendonlydir")).unwrap();
    for file in kept {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        for digits in ["30231250", "acme"] {
            let shows = bytes.windows(digits.len()).any(|part| part == digits.as_bytes());
            assert!(!shows, "{digits} stands in the append-only file");
        }
    }
}

#[test]
fn a_log_beside_a_redis_is_compared_with_it() {
    let server = Server::start(&[]);
    let url = server.url();
    let (one, two) = (Home::new(), Home::new());
    let at = ["--store", url.as_str()];
    for number in ["+4930231250", "+4930231251", "+4930231252"] {
        let ask = with(&["check", number], &ALLOWED[2..]);
        one.run(&with(&ask, &with(&at, &["--reserve"]))).quietly(0);
    }
    // Another instance's log is its own affair.
    fs::copy(one.path("ringfence-keys"), two.path("ringfence-keys")).unwrap();
    two.run(&with(&ALLOWED, &with(&at, &["--reserve"]))).quietly(0);
    let verify = with(&["audit", "verify"], &at);
    one.run(&verify).quietly(0).says(&["SOUND", "3 entries", "compared with what the store remembers"]);
    two.run(&verify).quietly(0).says(&["SOUND", "1 entries"]);
    one.run(&["audit", "verify"]).quietly(0).says(&["NOT compared"]);
    let log = one.path("ringfence-data/audit/0000000001.log");
    let whole = fs::read(&log).unwrap();
    let length = |at: usize| u32::from_le_bytes(whole[at..at + 4].try_into().unwrap()) as usize + 4;
    let second = 120 + length(120);
    fs::write(&log, &whole[..second]).unwrap();
    one.run(&verify).quietly(1).says(&["NOT SOUND", "cut off", "entry 3"]);
    one.run(&["audit", "verify"]).quietly(0);
}

#[test]
fn a_store_that_cannot_be_reached_is_no_allow() {
    let home = Home::new();
    let url = format!("redis://127.0.0.1:{}", super::redis::free_port());
    home.run(&with(&ALLOWED, &["--store", &url])).refused(&["127.0.0.1", "refused"]);
    home.run(&with(&ALLOWED, &["--store", "redis://me:hush@host"])).refused(&["must not carry"]);
}

#[test]
fn doctor_says_what_a_server_would_lose() {
    let server = Server::start(&[]);
    let url = server.url();
    let home = Home::new();
    home.run(&["keys", "new"]).quietly(0);
    home.run(&["doctor", "--store", &url]).quietly(0).says(&["noeviction", "appendfsync always", "clocks agree"]);
    server.set("appendfsync", "everysec");
    home.run(&["doctor", "--store", &url]).quietly(1).says(&["warning", "appendfsync everysec"]);
    server.set("maxmemory-policy", "allkeys-lru");
    let ran = home.run(&["doctor", "--store", &url, "--json"]).quietly(1);
    assert!(ran.json().as_array().unwrap().iter().any(|row| row["weight"] == "refused"), "{}", ran.out);
    home.run(&with(&ALLOWED, &["--store", &url])).refused(&["would lose what was acknowledged", "noeviction"]);
    home.run(&["doctor"]).quietly(1).says(&["holds no store yet"]);
}
