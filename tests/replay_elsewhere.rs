//! Decisions made with other zone data and other numbering tables than those of the program that judges them again: it
//! loads them from the library. A file of its own, since a process has one set of either.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "twin/random.rs"]
#[allow(dead_code, reason = "each test uses its own part of this")]
mod random;
mod support;
#[path = "replay/traffic.rs"]
#[allow(dead_code, reason = "each test uses its own part of this")]
mod traffic;

use std::collections::BTreeMap;

use ringfence::access::Role;
use ringfence::engine::{Clock, Settings};
use ringfence::place::{TABLES, install_tables};
use ringfence::time::{install_zones, zone_files};
use support::{DAY, at, florida, permit};
use traffic::{built_in, open, replay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_zone_data_and_tables_are_loaded_from_the_library() {
    // New York keeps the clock of Chicago here, and a row of the postal codes is gone.
    let mut zones: BTreeMap<String, Vec<u8>> =
        zone_files().into_iter().map(|(name, data)| (name.to_owned(), data.to_vec())).collect();
    zones.insert("America/New_York".to_owned(), zones["America/Chicago"].clone());
    install_zones("2031z", zones).unwrap();
    let shorter = |(name, text): (&str, &str)| {
        let keep = |line: &&str| name != "zip3.tsv" || !line.starts_with("331");
        (name.to_owned(), text.lines().filter(keep).map(|line| format!("{line}\n")).collect::<String>())
    };
    install_tables(TABLES.into_iter().map(shorter).collect()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (engine, reconciler) = open(folder.path(), built_in(), Settings::default()).await;
    assert!(engine.law().version().ends_with("+tzdata2031z"));
    for number in ["+13055550123", "+12125550123", "+4930231250", "911"] {
        let decision = engine.check(&permit(Role::Check), florida(number), Clock::at(at(DAY))).await.unwrap();
        if number == "+12125550123" {
            assert_eq!(decision.local_times[0].local, "2026-11-18T10:00:00-06:00");
        }
    }
    reconciler.tick(at(DAY)).await.unwrap();
    drop((engine, reconciler));
    let ran = replay(folder.path(), &["--json"]);
    let json = ran.json();
    assert_eq!((json["judged"].as_u64(), json["identical"].as_u64(), ran.code), (Some(4), Some(4), Some(0)), "{json}");
    // Under the packs of now, the clocks are those of now.
    let now = replay(folder.path(), &["--json", "--now"]).json();
    assert_eq!((now["judged"].as_u64(), now["identical"].as_u64()), (Some(4), Some(0)));
    // Without them in the library, each is named with the reason.
    for file in traffic::library(folder.path()) {
        if std::fs::read(&file).unwrap().starts_with(b"Africa/") {
            std::fs::remove_file(file).unwrap();
        }
    }
    let ran = replay(folder.path(), &["--json"]);
    let json = ran.json();
    assert_eq!((json["judged"].as_u64(), json["unfits"].as_u64(), ran.code), (Some(0), Some(4), Some(1)), "{json}");
}
