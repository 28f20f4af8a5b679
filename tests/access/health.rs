//! Health, which anybody may ask: it cannot be used to fill the memory, to hold the connections, or to keep others out.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus::Serving;
use tonic_health::pb::health_client::HealthClient;

use super::credentials::{Folder, Server, ask, check, until, written};

async fn connected(server: &Server) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// The most that a process had in memory so far, in KiB; the system counts it in steps, and may say less later.
pub fn resident(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_of_health_are_refused_unread() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    let before = resident(&server);
    let large = "x".repeat((4 << 20) - 64);
    let mut asked = Vec::new();
    for _ in 0..4 {
        let client = connected(&server).await;
        for _ in 0..8 {
            let (mut client, request) = (client.clone(), of(&large));
            asked.push(tokio::spawn(async move { client.check(request).await }));
        }
    }
    for one in asked {
        let refused = one.await.unwrap().unwrap_err();
        // The connection may end under those that are still being sent.
        assert!(!matches!(refused.code(), Code::NotFound | Code::Ok), "{refused:?}");
    }
    let refused = connected(&server).await.check(of(&"x".repeat(2_000))).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
    let grown = resident(&server).saturating_sub(before);
    println!("{grown} KiB more");
    assert!(grown < 64 << 10, "{grown} KiB");
    assert_eq!(connected(&server).await.check(of("")).await.unwrap().into_inner().status(), Serving);
    assert_eq!(check(server.http, Some(&key)).0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_calls_of_health_are_open_on_a_connection_of_somebody_who_is_not_known() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = folder.serve(&[]);
    let mut client = connected(&server).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(client.watch(of("")).await.unwrap().into_inner());
    }
    assert_eq!(client.watch(of("")).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(client.check(of("")).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(connected(&server).await.check(of("")).await.unwrap().into_inner().status(), Serving);
    // Who shows a key may.
    let mut shown = tonic::Request::new(of(""));
    shown.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    assert_eq!(client.check(shown).await.unwrap().into_inner().status(), Serving);
    drop(held);
    let mut again = None;
    while again.is_none() {
        // Its places are free once the server has heard that they were given up.
        again = client.check(of("")).await.ok();
    }
}

/// A check is answered on a connection that stays open.
fn answered(on: &mut TcpStream, key: &str) {
    let question =
        written("POST", "/v1/check", Some(key), super::credentials::QUESTION).replace("connection: close\r\n", "");
    on.write_all(question.as_bytes()).unwrap();
    on.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = Vec::new();
    let whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        length.is_some_and(|length| body.len() >= length.parse().unwrap())
    };
    while !whole(&answer) {
        let mut bytes = [0; 4_096];
        let read = on.read(&mut bytes).unwrap();
        assert!(read > 0, "the connection was ended: {}", String::from_utf8_lossy(&answer));
        answer.extend(&bytes[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_hold_connections_unknown_make_room_for_others() {
    let folder = Folder::new();
    let (key, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let server = folder.serve(&[("connections", "8"), ("connections_per_address", "0")]);
    // On the listener that orchestrators ask, one of them known.
    let http = server.http;
    let mut known = TcpStream::connect(http).unwrap();
    answered(&mut known, &key);
    let held: Vec<_> = (0..40).map(|_| TcpStream::connect(http).unwrap()).collect();
    for _ in 0..5 {
        assert_eq!(ask(http, "GET", "/livez", None, "").0, 200, "a probe is answered");
        assert_eq!(check(http, Some(&key)).0, 200, "and so is a new caller");
    }
    answered(&mut known, &key);
    let metrics = || ask(http, "GET", "/metrics", Some(&operator), "").1;
    until("it is counted", || metrics().to_string().contains("made_room"));
    drop(held);
    // The other listener: those who follow health and show nothing hold it no more than that.
    let mut following = Vec::new();
    for _ in 0..30 {
        let mut client = connected(&server).await;
        following.push((client.watch(of("")).await.unwrap().into_inner(), client));
    }
    assert_eq!(connected(&server).await.check(of("")).await.unwrap().into_inner().status(), Serving);
}

#[test]
fn a_probe_gets_in_where_known_callers_hold_every_place() {
    // All places; and all places of the address from which the probes come, too.
    for (connections, per_address) in [("6", "0"), ("100", "6"), ("6", "6")] {
        let folder = Folder::new();
        let key = folder.admit("dialer", "acme", "check");
        let server = folder.serve(&[("connections", connections), ("connections_per_address", per_address)]);
        let connect = || TcpStream::connect(server.http).unwrap();
        let mut known: Vec<_> = (0..6).map(|_| connect()).collect();
        known.iter_mut().for_each(|one| answered(one, &key));
        // More than there are places, of callers as well.
        let mut more: Vec<_> = (0..10).map(|_| connect()).collect();
        more.iter_mut().for_each(|one| answered(one, &key));
        let silent: Vec<_> = (0..10).map(|_| connect()).collect();
        for _ in 0..20 {
            assert_eq!(ask(server.http, "GET", "/livez", None, "").0, 200, "a probe is answered");
            assert_eq!(check(server.http, Some(&key)).0, 200, "and so is a new caller");
        }
        known.iter_mut().for_each(|one| answered(one, &key));
        drop((more, silent));
    }
}
