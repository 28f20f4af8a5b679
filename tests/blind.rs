//! Blind at rest: whoever copies the data folder, the files of a Redis or the log of a server learns no number, no seller,
//! no wording, no policy, no evidence: however it is spelt, in text or in binary. Everything that can be recorded is recorded
//! here, with words that are found again.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[allow(dead_code, reason = "shared with the tests of faults")]
#[path = "faults/clients.rs"]
mod clients;
#[path = "support/redis.rs"]
mod redis;
#[path = "blind/rest.rs"]
mod rest;
#[allow(dead_code, reason = "shared with the tests of faults")]
#[path = "faults/server.rs"]
mod server;

use std::net::SocketAddr;
use std::path::Path;

use ringfence::proto::v1;
use ringfence::proto::well_known::FieldMask;

use self::clients::{Client, consent, notice, opt_out, report};
use self::redis::Server as Redis;
use self::server::House;

const NUMBER: &str = "+13055550177";
const DIGITS: u64 = 13_055_550_177;

/// Words that stand in what is recorded, and must stand nowhere else.
const WORDS: [&str; 22] = [
    "zyx-seller",
    "zyx-wording",
    "zyx-policy",
    "zyx-evidence",
    "zyx-source",
    "zyx-product",
    "zyx-consent",
    "zyx-campaign",
    "zyx-language",
    "zyx-url",
    "zyx-device",
    "zyx-given-by",
    "zyx-stop",
    "zyx-subject",
    "zyx-person",
    "zyx-household",
    "zyx-attempt",
    "zyx-request",
    "zyx-who",
    "zyx-why",
    "1961-07-23",
    "STOP zyx",
];

/// The number as it could be written down.
fn spellings() -> Vec<(String, Vec<u8>)> {
    let digits = DIGITS.to_string();
    let national = &digits[1..];
    let texts = [
        NUMBER.to_owned(),
        digits.clone(),
        national.to_owned(),
        format!("({}) {}-{}", &national[..3], &national[3..6], &national[6..]),
        format!("{}-{}-{}", &national[..3], &national[3..6], &national[6..]),
        format!("{} {} {}", &national[..3], &national[3..6], &national[6..]),
        digits.chars().rev().collect(),
        national.chars().rev().collect(),
        format!("{DIGITS:x}"),
        format!("{DIGITS:X}"),
    ];
    let mut all: Vec<_> = texts.iter().map(|text| (text.clone(), text.clone().into_bytes())).collect();
    // Two bytes for each character, and packed decimals.
    all.push(("UTF-16".to_owned(), national.encode_utf16().flat_map(u16::to_le_bytes).collect()));
    let packed = |text: &str| text.as_bytes().chunks(2).map(|two| ((two[0] - 48) << 4) | (two[1] - 48)).collect();
    all.push(("packed decimals".to_owned(), packed(national)));
    for number in [DIGITS, national.parse().unwrap()] {
        let wide = number.to_be_bytes();
        let significant = wide.iter().position(|byte| *byte != 0).unwrap();
        all.push((format!("{number}, binary"), wide[significant..].to_vec()));
        all.push((format!("{number}, binary, reversed"), wide[significant..].iter().rev().copied().collect()));
        let (mut varint, mut rest) = (Vec::new(), number);
        while rest >= 0x80 {
            varint.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        varint.push(rest as u8);
        all.push((format!("{number}, as protobuf writes it"), varint));
    }
    // Shorter ones would be met by chance; four bytes are, in a hundred kilobytes of noise, once in ten thousand runs.
    assert!(all.iter().all(|(_, bytes)| bytes.len() >= 4));
    all
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// Neither names nor contents of what stands in this folder show anything.
fn assert_blind(folder: &Path, least: usize) {
    let mut found = Vec::new();
    files(folder, &mut found);
    assert!(found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > least, "hardly anything stands there");
    let words = WORDS.iter().chain(&rest::WORDS).map(|word| ((*word).to_owned(), word.as_bytes().to_vec()));
    for (what, needle) in words.chain(spellings()) {
        for (file, bytes) in &found {
            let shown = bytes.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(&needle));
            assert!(!shown && !file.contains(&what), "{what} stands in {file}");
        }
    }
}

/// Records all there is to record.
async fn record_everything(address: SocketAddr) {
    let mut client = Client::new(address);
    let mut given = consent(NUMBER, "zyx-request-1", "zyx-wording: yes, call me");
    let facts = given.consent.as_mut().unwrap();
    facts.consent_id = "zyx-consent".to_owned();
    facts.sellers = vec!["zyx-seller".to_owned()];
    facts.products = vec!["zyx-product".to_owned()];
    facts.policy_version = "zyx-policy-1".to_owned();
    facts.obtained_from = "zyx-source".to_owned();
    facts.evidence_ref = "zyx-evidence".to_owned();
    facts.capture = Some(v1::ConsentCapture {
        source: "zyx-source".to_owned(),
        campaign: "zyx-campaign".to_owned(),
        language: "zyx-language".to_owned(),
        wording_version: "zyx-wording-7".to_owned(),
        policy_url: "https://zyx-url".to_owned(),
        given_by: "zyx-given-by".to_owned(),
        device: "zyx-device".to_owned(),
    });
    given.person = "zyx-person".to_owned();
    client.consent(given).await.unwrap();
    let mut asked = notice(NUMBER, "zyx-seller", "zyx-attempt");
    asked.subject = "zyx-subject".to_owned();
    asked.campaign = "zyx-campaign".to_owned();
    asked.person = "zyx-person".to_owned();
    asked.household = "zyx-household".to_owned();
    let decision = client.check(asked.clone()).await.unwrap();
    assert_eq!(decision.verdict(), v1::Verdict::Allow, "{decision:?}");
    client.report(report(NUMBER, "zyx-attempt", v1::Outcome::Connected)).await.unwrap();
    // Denials and dry runs are logged too, also of numbers of which nothing is stored.
    asked.number = "+1 (305) 555-0177".to_owned();
    asked.dry_run = true;
    client.check(asked.clone()).await.unwrap();
    asked.number = format!("{DIGITS} is no number");
    client.check(asked).await.unwrap();
    let changed = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "zyx-request-2".to_owned(),
        facts: Some(v1::ContactFacts {
            birth_date: "1961-07-23".to_owned(),
            policy: Some(v1::Policy { current_version: "zyx-policy-2".to_owned(), ..Default::default() }),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["birth_date".to_owned(), "policy".to_owned()] }),
        ..Default::default()
    };
    client.consent.update_contact(changed).await.unwrap();
    let text = v1::ProcessInboundRequest {
        number: NUMBER.to_owned(),
        request_id: "zyx-request-3".to_owned(),
        text: "STOP zyx".to_owned(),
        seller: "zyx-seller".to_owned(),
        ..Default::default()
    };
    client.consent.process_inbound(text).await.unwrap();
    let mut stop = opt_out(NUMBER, "zyx-request-4");
    stop.wording = "zyx-stop calling me".to_owned();
    client.opt_out(stop).await.unwrap();
    let freeze = v1::FreezeRequest {
        request_id: "zyx-request-5".to_owned(),
        target: Some(v1::FreezeTarget { target: Some(v1::freeze_target::Target::Seller("zyx-seller".to_owned())) }),
        who: "zyx-who".to_owned(),
        why: "zyx-why".to_owned(),
        until: None,
    };
    client.control.freeze(freeze).await.unwrap();
    // It is all there for those who hold the keys.
    let contact = client.contact(NUMBER).await;
    let kept = contact.consents[0].consent.as_ref().unwrap();
    assert_eq!((kept.wording.as_str(), kept.evidence_ref.as_str()), ("zyx-wording: yes, call me", "zyx-evidence"));
    assert_eq!((&kept.sellers[..], kept.policy_version.as_str()), (&["zyx-seller".to_owned()][..], "zyx-policy-1"));
    assert_eq!(contact.policy.unwrap().current_version, "zyx-policy-2");
    assert_eq!(
        contact.opt_outs.iter().map(|kept| kept.wording.as_str()).collect::<Vec<_>>(),
        ["STOP zyx", "zyx-stop calling me"]
    );
    assert_eq!(contact.attempts[0].attempt.as_ref().unwrap().subject, "zyx-subject");
}

fn assert_silent(house: &House) {
    let said = house.said();
    for (what, needle) in spellings() {
        assert!(!said.as_bytes().windows(needle.len()).any(|part| part == needle), "{what} stands in the server's log");
    }
    assert!(WORDS.iter().chain(&rest::WORDS).all(|word| !said.contains(word)), "{said}");
}

fn keys(house: &House, arguments: &[&str]) {
    let done = house.program().arg("keys").args(arguments).arg("--keys").arg(house.keys()).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_shows_nothing() {
    let house = House::new();
    let server = house.start();
    record_everything(server.address()).await;
    rest::record(server.address()).await;
    // As it is while it is served, as it is stopped, and after a rotation.
    assert_blind(&house.data, 10_000);
    assert!(server.stop().success());
    assert_blind(&house.data, 10_000);
    keys(&house, &["rotate", "--data", house.data.to_str().unwrap()]);
    assert_blind(&house.data, 10_000);
    assert_silent(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_redis_show_nothing() {
    // Uncompressed: what is packed could not be searched.
    let redis = Redis::start(&["--rdbcompression", "no", "--aof-use-rdb-preamble", "no"]);
    let mut house = House::new();
    house.more = vec!["--store".to_owned(), redis.url()];
    let server = house.start();
    record_everything(server.address()).await;
    rest::record(server.address()).await;
    keys_beside(&house, &redis.url()).await;
    assert_eq!(redis.ask(&["SAVE"]), "OK");
    assert!(redis.folder().join("dump.rdb").exists() && redis.folder().join("appendonlydir").exists());
    assert_blind(redis.folder(), 10_000);
    assert!(server.stop().success());
    assert_blind(&house.data, 1_000);
    assert_silent(&house);
}

async fn keys_beside(house: &House, url: &str) {
    tokio::task::block_in_place(|| keys(house, &["rotate", "--store", url]));
}
