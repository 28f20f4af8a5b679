//! The real program with a region beside its own store: what it says, what it answers while the region is away, what is
//! left after `kill -9`, and how regions are changed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringfence::proto::v1;
use serde_json::Value;
use tonic::Code;

use super::clients::{Client, notice, opt_out};
use super::house::{CHINA, FLORIDA, allows, reside};
use super::server::{House, refusal};
use crate::redis::{Server, free_port, until};

/// What others wait while a region is away: far less than its server takes to be given up.
const USUAL: Duration = Duration::from_millis(500);

pub fn configure(house: &House, store: &str) {
    let text = format!("[[pinned]]\nname = \"cn\"\nplaces = [\"CN\"]\nstore = \"{store}\"\ndata = \"cn-data\"\n");
    fs::write(house.path().join("ringfence.toml"), text).unwrap();
}

pub fn get(at: SocketAddr, path: &str) -> (String, Value) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let json = body.lines().find(|line| line.starts_with('{')).unwrap();
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(json).unwrap())
}

pub fn code(answer: Result<v1::Decision, tonic::Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

pub fn ask(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, ..notice(number, "acme", "") }
}

async fn comes_back(client: &mut Client) {
    let begun = Instant::now();
    while code(client.check(ask(CHINA)).await) != Code::Ok {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_away_is_named_and_its_contacts_alone_are_not_answered() {
    let house = House::new();
    let port = free_port();
    configure(&house, &format!("redis://127.0.0.1:{port}"));
    let http: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    // Away from the beginning, the server starts all the same.
    let mut house = house;
    house.http = http.to_string();
    let running = house.start();
    let mut client = Client::new(running.address());
    assert_eq!(code(client.check(ask(CHINA)).await), Code::Unavailable);
    assert_eq!(code(client.check(ask(FLORIDA)).await), Code::Ok);
    let (status, body) = get(http, "/readyz");
    assert!(status.contains("200") && body["ready"] == true, "{status} {body}");
    assert!(body["regionsDown"]["cn"].is_string(), "{body}");
    let mut server = Server::start_at("127.0.0.1", port, &[]);
    comes_back(&mut client).await;
    assert_eq!(get(http, "/readyz").1["regionsDown"], serde_json::json!({}));
    // One of Florida that lives there.
    client.consent.update_contact(reside(FLORIDA, "CN", "u")).await.unwrap();
    for frozen in [true, false] {
        if frozen {
            server.freeze()
        } else {
            server.kill()
        }
        for number in [CHINA, FLORIDA, CHINA] {
            assert_eq!(code(client.check(ask(number)).await), Code::Unavailable);
        }
        let begun = Instant::now();
        for row in 0..20 {
            assert_eq!(code(client.check(ask(&format!("+1212555{row:04}"))).await), Code::Ok);
        }
        assert!(begun.elapsed() < USUAL * 4, "{:?} for 20", begun.elapsed());
        until("readyz names it", || get(http, "/readyz").1["regionsDown"]["cn"].is_string());
        if frozen {
            server.thaw()
        } else {
            server.run()
        }
        comes_back(&mut client).await;
        assert_eq!(code(client.check(ask(FLORIDA)).await), Code::Ok);
    }
    assert_eq!(running.stop().code(), Some(0));
}

/// Whatever was answered before `kill -9` holds after it, wherever the contact was on its way; both logs are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_among_moves_nothing_that_was_answered_is_lost() {
    let house = House::new();
    configure(&house, "embedded");
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let running = house.start();
        let client = Client::new(running.address());
        let mut tasks = tokio::task::JoinSet::new();
        let (moves, opt_outs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for row in 0..24_usize {
            let mut client = client.clone();
            let (moves, opt_outs) = (Arc::clone(&moves), Arc::clone(&opt_outs));
            tasks.spawn(async move {
                let number = format!("+1305555{:04}", 200 + row);
                let mut told = None;
                for step in 0.. {
                    let place = if (step + row) % 2 == 0 { "CN" } else { "US-FL" };
                    let moved = client.consent.update_contact(reside(&number, place, &format!("{round}.{step}")));
                    if moved.await.is_err() {
                        break;
                    }
                    moves.fetch_add(1, Ordering::SeqCst);
                    if step == 1
                        && row % 3 == round % 3
                        && client.opt_out(opt_out(&number, &format!("s{round}"))).await.is_ok()
                    {
                        opt_outs.fetch_add(1, Ordering::SeqCst);
                        told = Some(number.clone());
                    }
                }
                told
            });
        }
        // In the middle of things: once so much was answered, whatever it takes, it is killed.
        let enough = 60 + 17 * round;
        until("moves and opt-outs are answered", || {
            moves.load(Ordering::SeqCst) >= enough && opt_outs.load(Ordering::SeqCst) > 0
        });
        running.kill();
        while let Some(told) = tasks.join_next().await {
            acknowledged.extend(told.unwrap());
        }
    }
    let running = house.start();
    let mut client = Client::new(running.address());
    assert!(!acknowledged.is_empty(), "nothing was done before it was killed");
    for number in &acknowledged {
        assert!(!allows(&client.check(ask(number)).await.unwrap()), "{number}");
        assert!(!client.contact(number).await.opt_outs.is_empty());
    }
    assert_eq!(running.stop().code(), Some(0));
    for data in ["data", "cn-data"] {
        let output = house.program().args(["audit", "verify", "--data", data]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        let region = if data == "data" { "region default alone" } else { "region cn alone" };
        assert!(text.contains("compared with what") && text.contains(region), "{text}");
    }
}

pub fn run(house: &House, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command: Command = house.program();
    let output = command.arg("--keys").arg(house.keys()).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_are_changed_only_with_their_records() {
    let house = House::new();
    let running = house.start();
    let mut client = Client::new(running.address());
    for number in [CHINA, FLORIDA, "+8613812345679"] {
        client.opt_out(opt_out(number, "s")).await.unwrap();
    }
    running.stop();
    configure(&house, "embedded");
    let refused = refusal(house.serve());
    assert!(refused.contains("placed by other regions") && refused.contains("contact place"), "{refused}");
    let config = "data = \"data\"\n".to_owned() + &fs::read_to_string(house.path().join("ringfence.toml")).unwrap();
    fs::write(house.path().join("ringfence.toml"), &config).unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(0) && text.contains("2 moved"), "{text}");
    let (status, text) = run(&house, &["contact", "place", "--json"]);
    assert!(status == Some(0) && text.contains("\"moved\":0") || text.contains("\"moved\": 0"), "{text}");
    // A command that looks at one folder says of the contacts of another that it cannot.
    let (status, text) = run(&house, &["contact", "show", CHINA, "--data", "data"]);
    assert!(status == Some(2) && text.contains("region cn") && text.contains("--server"), "{text}");
    assert_eq!(run(&house, &["contact", "show", CHINA, "--data", "cn-data"]).0, Some(0));
    assert_eq!(run(&house, &["contact", "show", FLORIDA, "--data", "data"]).0, Some(0));
    let check = ["check", CHINA, "--channel=call", "--purpose=informational", "--seller=acme", "--data", "data"];
    let (status, text) = run(&house, &check);
    assert!(status == Some(2) && text.contains("region cn"), "{text}");
    let (status, text) = run(&house, &["doctor"]);
    assert!(status == Some(0) && text.contains("region cn"), "{text}");
    // One walk sees one store; so does a server with regions, which says so.
    let keys = fs::read(house.keys()).unwrap();
    let (status, text) = run(&house, &["keys", "rotate", "--data", "cn-data"]);
    assert!(status == Some(2) && text.contains("[[pinned]]"), "{text}");
    let running = house.start();
    until("the server says that it has regions", || {
        fs::read_to_string(house.path().join("data/rotation.json")).is_ok_and(|text| text.contains("\"regions\":true"))
    });
    let (status, text) = run(&house, &["keys", "rotate", "--data", "data"]);
    assert!(status == Some(2) && text.contains("[[pinned]]"), "{text}");
    assert_eq!(fs::read(house.keys()).unwrap(), keys, "none was added");
    // With the regions taken out again it would not find what is there.
    running.stop();
    fs::remove_file(house.path().join("ringfence.toml")).unwrap();
    assert!(refusal(house.serve()).contains("placed by other regions"));
    fs::write(house.path().join("ringfence.toml"), "data = \"data\"\n").unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(2) && text.contains("places = []"), "{text}");
    // Swapped folders are noticed.
    let swapped = config.replace("cn-data", "x").replace("\"data\"", "\"cn-data\"").replace("\"x\"", "\"data\"");
    fs::write(house.path().join("ringfence.toml"), swapped).unwrap();
    let refused = refusal(house.serve_with(&house.path().join("cn-data"), &house.keys()));
    assert!(refused.contains("is that of region"), "{refused}");
    // Given up: first its contacts move back.
    fs::write(house.path().join("ringfence.toml"), config.replace("[\"CN\"]", "[]")).unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(0) && text.contains("2 moved"), "{text}");
    fs::remove_file(house.path().join("ringfence.toml")).unwrap();
    house.start().stop();
    assert_eq!(run(&house, &["contact", "show", CHINA, "--data", "data"]).0, Some(0));
}

/// A server that was not stopped when the regions were changed answers nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_under_which_the_regions_were_changed_answers_nothing() {
    let redis = Server::start(&[]);
    let house = House::new();
    let mut serve = house.serve();
    serve.args(["--store", &redis.url()]);
    let running = house.start_as(serve);
    let mut client = Client::new(running.address());
    client.opt_out(opt_out(CHINA, "s")).await.unwrap();
    let text = format!(
        "store = \"{}\"\ndata = \"other\"\n[[pinned]]\nname = \"cn\"\nplaces = [\"CN\"]\ndata = \"cn-data\"\n",
        redis.url()
    );
    fs::write(house.path().join("ringfence.toml"), text).unwrap();
    let (status, text) = run(&house, &["contact", "place"]);
    assert!(status == Some(0) && text.contains("1 moved"), "{text}");
    let begun = Instant::now();
    while code(client.check(ask(CHINA)).await) != Code::Unavailable
        || code(client.check(ask(FLORIDA)).await) != Code::Unavailable
    {
        assert!(begun.elapsed() < Duration::from_secs(20), "it still answers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
