//! The real program where the store or log of a region is not what it was: unmounted, damaged, forgotten, left out.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::proto::v1;
use ringfence::proto::v1::privacy_service_client::PrivacyServiceClient;
use tonic::Code;

use super::clients::{Client, opt_out};
use super::house::{CHINA, FLORIDA, allows};
use super::served::{ask, code, configure, get, run};
use super::server::{House, refusal};
use crate::redis::{Server, free_port, until};

fn with_http() -> (House, std::net::SocketAddr) {
    let mut house = House::new();
    let http = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    house.http = format!("{http}");
    (house, http)
}

/// A volume that is not mounted looks like a store that is new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_store_is_not_taken_for_that_of_its_region() {
    let (house, http) = with_http();
    configure(&house, "embedded");
    let running = house.start();
    let mut client = Client::new(running.address());
    client.opt_out(opt_out(CHINA, "s")).await.unwrap();
    running.stop();
    let (there, away) = (house.path().join("cn-data"), house.path().join("cn-away"));
    fs::rename(&there, &away).unwrap();
    let running = house.start();
    let mut client = Client::new(running.address());
    assert_eq!(code(client.check(ask(CHINA)).await), Code::Unavailable);
    assert_eq!(code(client.opt_out(opt_out(CHINA, "t")).await.map(|_| v1::Decision::default())), Code::Unavailable);
    assert_eq!(code(client.check(ask(FLORIDA)).await), Code::Ok);
    let down = get(http, "/readyz").1["regionsDown"]["cn"].as_str().unwrap().to_owned();
    assert!(down.contains("not the store that it had"), "{down}");
    running.stop();
    let config = "data = \"data\"\n".to_owned() + &fs::read_to_string(house.path().join("ringfence.toml")).unwrap();
    fs::write(house.path().join("ringfence.toml"), config).unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(2) && text.contains("--new-store cn") && text.contains("Nothing was moved"), "{text}");
    // Mounted again it is answered from; nothing was written beside it.
    fs::remove_dir_all(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    let running = house.start();
    let mut client = Client::new(running.address());
    assert!(!allows(&client.check(ask(CHINA)).await.unwrap()));
    running.stop();
    // Given up for good, by who says so.
    fs::remove_dir_all(&there).unwrap();
    let (status, text) = run(&house, &["contact", "place", "--new-store", "cn"]);
    assert_eq!(status, Some(0), "{text}");
    let running = house.start();
    assert!(allows(&Client::new(running.address()).check(ask(CHINA)).await.unwrap()));
}

/// What does not pass by itself closes its region all the same, and no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_with_a_lasting_fault_keeps_no_server_from_starting() {
    let (house, http) = with_http();
    configure(&house, "embedded");
    house.start().stop();
    fs::rename(house.path().join("cn-data/audit"), house.path().join("cn-audit")).unwrap();
    fs::write(house.path().join("cn-data/audit"), "no folder").unwrap();
    let running = house.start();
    let mut client = Client::new(running.address());
    assert_eq!(code(client.check(ask(CHINA)).await), Code::Unavailable);
    assert_eq!(code(client.check(ask(FLORIDA)).await), Code::Ok);
    let down = get(http, "/readyz").1["regionsDown"]["cn"].as_str().unwrap().to_owned();
    assert!(!down.is_empty() && !down.contains("cn-data"), "{down}");
    until("the log says where", || house.said().contains("cn-data/audit"));
    running.stop();
    fs::remove_file(house.path().join("cn-data/audit")).unwrap();
    fs::rename(house.path().join("cn-audit"), house.path().join("cn-data/audit")).unwrap();
    let running = house.start();
    assert_eq!(code(Client::new(running.address()).check(ask(CHINA)).await), Code::Ok);
}

/// Where somebody was erased no regions are changed, and nothing is begun that could not be ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_regions_is_refused_before_it_begins_where_somebody_was_erased() {
    let house = House::new();
    let running = house.start();
    let mut client = Client::new(running.address());
    client.opt_out(opt_out(CHINA, "s")).await.unwrap();
    let mut privacy = PrivacyServiceClient::connect(format!("http://{}", running.address())).await.unwrap();
    let erase = v1::EraseContactRequest {
        number: CHINA.to_owned(),
        request_id: "e".to_owned(),
        reason: v1::ErasureReason::AccountClosed.into(),
        ..Default::default()
    };
    privacy.erase_contact(erase).await.unwrap();
    running.stop();
    fs::write(house.path().join("ringfence.toml"), "data = \"data\"\n").unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(0) && text.contains("stay where they lay"), "{text}");
    configure(&house, "embedded");
    let config = "data = \"data\"\n".to_owned() + &fs::read_to_string(house.path().join("ringfence.toml")).unwrap();
    fs::write(house.path().join("ringfence.toml"), config).unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(2) && text.contains("were erased") && text.contains("Nothing was moved"), "{text}");
    assert!(refusal(house.serve()).contains("placed by other regions"));
    fs::remove_file(house.path().join("ringfence.toml")).unwrap();
    let running = house.start();
    assert!(!allows(&Client::new(running.address()).check(ask(CHINA)).await.unwrap()));
}

/// Whatever a server that was forgotten acknowledges while records are placed is found by those that are started then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_forgotten_server_acknowledges_while_records_are_placed_is_found() {
    let redis = Server::start(&[]);
    let house = House::new();
    let mut serve = house.serve();
    serve.args(["--store", &redis.url()]);
    let forgotten = house.start_as(serve);
    let client = Client::new(forgotten.address());
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (mut client, done) = (client.clone(), Arc::clone(&done));
        async move {
            let mut told = Vec::new();
            for row in 0.. {
                let number = format!("+86138{row:08}");
                if client.opt_out(opt_out(&number, "s")).await.is_ok() {
                    told.push(number);
                } else if done.load(Ordering::SeqCst) {
                    return told;
                }
                // Not so many that looking for them takes long.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            told
        }
    });
    let text = format!(
        "store = \"{}\"\ndata = \"other\"\n[[pinned]]\nname = \"cn\"\nplaces = [\"CN\"]\ndata = \"cn-data\"\n",
        redis.url()
    );
    fs::write(house.path().join("ringfence.toml"), text).unwrap();
    let (status, text) = tokio::task::block_in_place(|| run(&house, &["contact", "place"]));
    assert_eq!(status, Some(0), "{text}");
    done.store(true, Ordering::SeqCst);
    let told = writer.await.unwrap();
    assert!(!told.is_empty());
    forgotten.kill();
    let mut serve = house.serve_with(&house.path().join("other"), &house.keys());
    serve.args(["--store", &redis.url()]);
    let running = house.start_as(serve);
    let mut client = Client::new(running.address());
    for number in &told {
        assert!(!allows(&client.check(ask(number)).await.unwrap()), "{number} of {}", told.len());
    }
}

/// Each region has a log of its own: nothing is proven by some of them, and no report passes for that of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_proven_without_the_logs_of_all_regions() {
    let house = House::new();
    configure(&house, "embedded");
    let running = house.start();
    let mut client = Client::new(running.address());
    for number in [CHINA, FLORIDA] {
        client.opt_out(opt_out(number, "s")).await.unwrap();
    }
    running.stop();
    let (status, text) = run(&house, &["audit", "head", "--data", "data", "--append", "heads"]);
    assert!(status == Some(0) && text.contains("publish those of the others") && text.contains("cn"), "{text}");
    let prove = |also: &[&str]| {
        let _ = fs::remove_file(house.path().join("proof"));
        let made = ["audit", "prove-absence", FLORIDA, "--after", "2026-01-01T00:00:00Z", "--heads", "heads"];
        run(&house, &[&made[..], &["--out", "proof", "--data", "data"], also].concat())
    };
    let (status, text) = prove(&[]);
    assert!(status == Some(2) && text.contains("region cn has a log of its own"), "{text}");
    let (status, text) = prove(&["--also", "cn-data"]);
    assert!(status == Some(2) && text.contains("no head of this log"), "{text}");
    assert_eq!(run(&house, &["audit", "head", "--data", "cn-data", "--append", "heads"]).0, Some(0));
    let (status, text) = prove(&["--also", "cn-data"]);
    assert!(status == Some(0) && text.contains("PROVEN"), "{text}");
    // A report is of one region, and says so.
    let (status, text) = run(&house, &["audit", "evidence", CHINA, "--data", "data", "--out", "e"]);
    assert!(status == Some(2) && text.contains("belongs to region cn"), "{text}");
    let mixed = ["audit", "evidence", FLORIDA, "--data", "data", "--also", "cn-data", "--out", "e"];
    let (status, text) = run(&house, &mixed);
    assert!(status == Some(2) && text.contains("is of region cn"), "{text}");
    let (status, text) = run(&house, &["audit", "evidence", FLORIDA, "--data", "data", "--out", "e"]);
    assert!(status == Some(0) && text.contains("not looked at: cn"), "{text}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(house.path().join("e/report.json")).unwrap()).unwrap();
    assert_eq!(report["regionsNotLookedAt"], serde_json::json!(["cn"]));
}
