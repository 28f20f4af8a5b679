//! A log that somebody altered after a real server wrote it: `audit verify` says so, names the first bad entry, and no
//! server starts on it.

use std::fs;
use std::path::{Path, PathBuf};

use super::clients::{Client, consent, notice, number, opt_out};
use super::server::House;

/// Bytes of a segment's header, and of a frame around its content: see `src/audit/frame.rs`.
const HEADER: usize = 120;

fn log(house: &House) -> PathBuf {
    house.data.join("audit/0000000001.log")
}

/// Where the frames of a segment begin.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut at = HEADER;
    let mut frames = Vec::new();
    while at < bytes.len() {
        frames.push(at);
        at += 4 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    frames
}

async fn served(house: &House) {
    let server = house.start();
    let mut client = Client::new(server.address());
    for index in 0..4 {
        client.check(notice(&number(index), "acme", "")).await.unwrap();
        client.consent(consent(&number(index), "yes", "Yes.")).await.unwrap();
        client.opt_out(opt_out(&number(index), "stop")).await.unwrap();
        client.check(notice(&number(index), "acme", "")).await.unwrap();
    }
    assert!(server.stop().success());
}

/// `verify` must find this fault first, at this entry, and the server must not start on it.
fn found(house: &House, seq: usize, fault: &str) {
    let verdict = house.verify();
    assert_eq!(verdict.status, Some(1), "{}", verdict.text);
    assert!(verdict.text.starts_with("NOT SOUND"), "{}", verdict.text);
    let text = verdict.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("first bad entry: 0000000001.log"), "{text}");
    assert!(text.contains(&format!("entry {seq}: ")), "not entry {seq}: {text}");
    assert!(text.contains(fault), "not `{fault}`: {text}");
}

fn refused(house: &House) {
    let line = house.refused();
    assert!(line.contains("0000000001.log"), "{line}");
}

fn write(path: &Path, parts: &[&[u8]]) {
    fs::write(path, parts.concat()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_log_of_a_real_server_is_found_out() {
    let house = House::new();
    served(&house).await;
    house.assert_sound();
    let path = log(&house);
    let whole = fs::read(&path).unwrap();
    let frames = frames(&whole);
    assert!(frames.len() >= 16, "{} entries", frames.len());
    let last = frames.len();

    // A byte, in the content of the first, a middle and the last entry, and in the header.
    for index in [0, frames.len() / 2, frames.len() - 1] {
        let mut bytes = whole.clone();
        bytes[frames[index] + 60] ^= 1;
        write(&path, &[&bytes]);
        found(&house, index + 1, "the entry was altered");
    }
    refused(&house);
    let mut bytes = whole.clone();
    bytes[40] ^= 1;
    write(&path, &[&bytes]);
    found(&house, 1, "header was altered");
    refused(&house);

    // An entry removed; two that changed places; one told twice.
    let (a, b, c) = (frames[5], frames[6], frames[7]);
    write(&path, &[&whole[..a], &whole[b..]]);
    found(&house, 6, "removed or moved: entry 7 stands in its place");
    refused(&house);
    write(&path, &[&whole[..a], &whole[b..c], &whole[a..b], &whole[c..]]);
    found(&house, 6, "removed or moved");
    write(&path, &[&whole[..b], &whole[a..]]);
    found(&house, 7, "for the second time");

    // The end cut off, between two entries and within one; and everything.
    write(&path, &[&whole[..frames[last - 2]]]);
    found(&house, last - 1, "the end of the log was cut off");
    refused(&house);
    write(&path, &[&whole[..whole.len() - 10]]);
    found(&house, last, "");
    refused(&house);
    write(&path, &[&whole[..HEADER]]);
    found(&house, 1, "the end of the log was cut off");
    fs::remove_file(&path).unwrap();
    found(&house, 1, "the end of the log was cut off");

    // Nothing was repaired behind our back.
    write(&path, &[&whole]);
    house.assert_sound();
    assert!(house.start().stop().success());
}

/// A log that is whole in itself but an older copy of this one, or another one's, or new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_in_its_place_is_found_out() {
    let (house, other) = (House::new(), House::new());
    served(&house).await;
    let older = fs::read(log(&house)).unwrap();
    served_more(&house).await;
    served(&other).await;
    let newer = fs::read(log(&house)).unwrap();
    fs::write(log(&house), &older).unwrap();
    found(&house, frames(&older).len() + 1, "the end of the log was cut off");
    refused(&house);

    fs::copy(log(&other), log(&house)).unwrap();
    not_this_stores(&house);
    assert!(house.refused().contains("are not in the store beside it"));

    // A store outlives a lost log, so such a server starts; but it says so, and every proof fails from then on.
    fs::remove_file(log(&house)).unwrap();
    not_this_stores(&house);
    assert!(house.start().stop().success());
    assert!(house.said().contains("audit logs that are not in this folder"), "{}", house.said());
    not_this_stores(&house);

    fs::write(log(&house), &newer).unwrap();
    assert_eq!(house.verify().status, Some(0), "{}", house.verify().text);
}

fn not_this_stores(house: &House) {
    let verdict = house.verify();
    assert_eq!(verdict.status, Some(1), "{}", verdict.text);
    assert!(verdict.text.starts_with("NOT SOUND"), "{}", verdict.text);
}

async fn served_more(house: &House) {
    let server = house.start();
    let mut client = Client::new(server.address());
    client.opt_out(opt_out(&number(20), "stop")).await.unwrap();
    assert!(server.stop().success());
}
