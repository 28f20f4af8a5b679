//! Whoever floods, stays silent or is slow is cut off, known or not, and the others are answered meanwhile.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::certificates::{self, hello, question, serve};
use super::credentials::{Folder, QUESTION, Server, ask, check, until, written};

/// A server with short limits, and two who may ask it.
pub struct Target {
    pub folder: Folder,
    pub server: Server,
    pub key: String,
    operator: String,
}

impl Target {
    pub fn new(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let (key, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
        let server = folder.serve(settings);
        Self { folder, server, key, operator }
    }

    /// Does this while others ask; each of them must be answered, and in time.
    pub fn while_others_ask<T>(&self, attack: impl FnOnce() -> T) -> T {
        let done = Arc::new(AtomicBool::new(false));
        let (stop, http, key) = (Arc::clone(&done), self.server.http, self.key.clone());
        let others = std::thread::spawn(move || {
            let (mut asked, mut slowest) = (0, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) || asked < 3 {
                let begun = Instant::now();
                assert_eq!(check(http, Some(&key)).0, 200);
                slowest = slowest.max(begun.elapsed());
                asked += 1;
            }
            (asked, slowest)
        });
        let outcome = attack();
        done.store(true, Ordering::Relaxed);
        let (asked, slowest) = others.join().unwrap();
        println!("{asked} others were answered meanwhile, the slowest in {slowest:?}");
        assert!(slowest < Duration::from_secs(5), "{slowest:?}");
        outcome
    }

    /// Whether connections were ended for this reason.
    pub fn cut(&self, why: &str) -> bool {
        let metrics = ask(self.server.http, "GET", "/metrics", Some(&self.operator), "").1;
        metrics.as_str().unwrap().contains(&format!("ringfence_cut_connections_total{{reason=\"{why}\"}}"))
    }

    pub fn assert_cut(&self, why: &str) {
        until(why, || self.cut(why));
        until("it is told", || self.folder.said().contains(why));
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const HEADERS: u8 = 1;
const RESET: u8 = 3;
const WINDOW: u8 = 8;
const DATA: u8 = 0;
const CONTINUATION: u8 = 9;

pub const CHECK: &str = "/ringfence.v1.CheckService/Check";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// HEADERS of a call, without indexing.
pub fn call(stream: u32, path: &str, key: Option<&str>, flags: u8) -> Vec<u8> {
    // :method POST and :scheme http, by their places in the static table.
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &str, value: &str| {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    };
    literal(":path", path);
    literal(":authority", "x");
    literal("content-type", "application/grpc");
    literal("te", "trailers");
    if let Some(key) = key {
        literal("authorization", &format!("Bearer {key}"));
    }
    frame(HEADERS, flags, stream, &block)
}

/// A connection on which HTTP/2 has begun.
pub fn begun(server: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(PREFACE).unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    stream
}

/// Reads whatever comes, so that nothing waits for us; ends with the connection.
pub fn swallow(stream: &TcpStream) -> std::thread::JoinHandle<()> {
    let mut stream = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while matches!(stream.read(&mut bytes), Ok(1..)) {}
    })
}

/// Sends the same again and again until the server has enough of it.
fn flood(mut stream: TcpStream, mut next: impl FnMut(u32) -> Vec<u8>) -> u32 {
    let reader = swallow(&stream);
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    for n in 0..3_000_000 {
        if stream.write_all(&next(n)).is_err() || reader.is_finished() {
            return n;
        }
    }
    panic!("the server took three million frames");
}

#[test]
fn a_flood_of_pings_is_cut() {
    let target = Target::new(&[]);
    let sent = target.while_others_ask(|| {
        let pings: Vec<u8> = (0..100).flat_map(|_| frame(PING, 0, 0, &[7; 8])).collect();
        flood(begun(target.server.grpc), |_| pings.clone())
    });
    println!("{sent} hundred pings");
    target.assert_cut("flood");
}

#[test]
fn a_flood_of_settings_is_cut() {
    let target = Target::new(&[]);
    target.while_others_ask(|| {
        let settings: Vec<u8> = (0..100).flat_map(|n| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 1, n])).collect();
        flood(begun(target.server.grpc), |_| settings.clone())
    });
    target.assert_cut("flood");
}

#[test]
fn a_flood_of_window_updates_is_cut_on_the_other_listener_too() {
    let target = Target::new(&[]);
    target.while_others_ask(|| {
        let (more, empty) = (frame(WINDOW, 0, 0, &[0, 0, 0, 1]), frame(DATA, 0, 1, &[]));
        let mut stream = begun(target.server.http);
        stream.write_all(&call(1, "/v1/check", Some(&target.key), 4)).unwrap();
        let some: Vec<u8> = (0..100).flat_map(|_| [more.clone(), empty.clone()].concat()).collect();
        flood(stream, |_| some.clone())
    });
}

#[test]
fn calls_reset_as_fast_as_they_are_made_are_cut() {
    let target = Target::new(&[]);
    let sent = target.while_others_ask(|| {
        flood(begun(target.server.grpc), |n| {
            let stream = 2 * n + 1;
            let mut bytes = call(stream, CHECK, Some(&target.key), 4);
            bytes.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
            bytes
        })
    });
    println!("{sent} calls were reset");
    assert!(sent < 100_000, "{sent}");
}

#[test]
fn headers_that_never_end_are_cut() {
    let target = Target::new(&[]);
    // A field of 100 bytes in each; and nothing in any, which adds nothing to what is kept.
    let field = [&[0, 1, b'a', 100][..], &[b'a'; 100]].concat();
    for part in [field, Vec::new()] {
        let sent = target.while_others_ask(|| {
            let mut stream = begun(target.server.grpc);
            stream.write_all(&call(1, CHECK, Some(&target.key), 0)).unwrap();
            let some: Vec<u8> = (0..100).flat_map(|_| frame(CONTINUATION, 0, 1, &part)).collect();
            flood(stream, |_| some.clone())
        });
        println!("{sent} hundred continuations of {} bytes", part.len());
        assert!(sent < 100_000, "{sent}");
    }
}

/// The connection must be ended by the server: nothing more is sent on it.
pub fn ended(mut stream: TcpStream) -> Duration {
    let begun = Instant::now();
    stream.set_read_timeout(Some(Duration::from_secs(50))).unwrap();
    let mut bytes = [0; 4_096];
    loop {
        match stream.read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server keeps the connection")
            }
            Ok(0) | Err(_) => return begun.elapsed(),
        }
    }
}

#[test]
fn silence_and_slowness_are_cut() {
    let target = Target::new(&[("receive_seconds", "1"), ("idle_seconds", "2")]);
    let (grpc, http) = (target.server.grpc, target.server.http);
    let key = &target.key;
    target.while_others_ask(|| {
        let send = |server, bytes: &[u8]| {
            let mut stream = TcpStream::connect(server).unwrap();
            stream.write_all(bytes).unwrap();
            stream
        };
        let head = format!("POST /v1/check HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
        let mut half = PREFACE.to_vec();
        half.extend(frame(SETTINGS, 0, 0, &[]));
        half.extend(call(1, CHECK, Some(key), 4));
        half.extend(frame(DATA, 0, 1, &[0, 0, 0, 1]));
        for (what, stream) in [
            ("nothing at all", send(grpc, b"")),
            ("nothing at all, in HTTP", send(http, b"")),
            ("half of the preface", send(grpc, &PREFACE[..10])),
            ("the preface and nothing else", send(grpc, PREFACE)),
            ("half of the headers", send(http, head.as_bytes())),
            ("half of a body", send(http, format!("{head}content-length: 100\r\n\r\n{{").as_bytes())),
            ("half of a message", send(grpc, &half)),
        ] {
            println!("{what}: ended after {:?}", ended(stream));
        }
    });
    target.assert_cut("silent");
    target.assert_cut("slow_headers");
    until("what did not come whole is told", || {
        let said = target.folder.said();
        let told = said.lines().filter(|line| line.contains("INCOMPLETE_REQUEST") && line.contains("tenant=acme"));
        told.filter(|line| line.contains("did not arrive in time")).count() == 2
    });
}

/// Between requests of HTTP/1.1 a connection may rest for longer than headers may take; a request that begins may not.
#[test]
fn a_connection_is_used_again_after_it_has_rested() {
    let target = Target::new(&[("receive_seconds", "1")]);
    let asked = written("POST", "/v1/check", Some(&target.key), QUESTION).replace("connection: close\r\n", "");
    let mut stream = TcpStream::connect(target.server.http).unwrap();
    for _ in 0..2 {
        stream.write_all(asked.as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = [0; 16_384];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
        // Nothing comes, no end either, though it rests for longer than headers may take.
        stream.set_read_timeout(Some(Duration::from_millis(2_500))).unwrap();
        while let Ok(read) = stream.read(&mut answer) {
            assert_ne!(read, 0, "the connection was ended");
        }
    }
    assert!(!target.cut("slow_headers"));
    stream.write_all(&asked.as_bytes()[..40]).unwrap();
    ended(stream);
    target.assert_cut("slow_headers");
}

/// Waits until the server has read all that was sent so far: then it answers a ping.
pub fn read_by_the_server(stream: &mut TcpStream) {
    stream.write_all(&frame(PING, 0, 0, &[7; 8])).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        stream.read_exact(&mut vec![0_u8; usize::try_from(length).unwrap()]).unwrap();
        if (head[3], head[4]) == (PING, 1) {
            return;
        }
    }
}

#[test]
fn checks_that_come_a_byte_at_a_time_take_nobodys_place() {
    const PLACES: u32 = 2;
    let target = Target::new(&[("checks_at_once", &PLACES.to_string())]);
    let message = [[0; 4].as_slice(), &[100], &[0x0a; 100]].concat();
    let others = || {
        for _ in 0..5 {
            assert_eq!(check(target.server.http, Some(&target.key)).0, 200);
        }
    };
    // One other asks all the while, so there are two at most that have a place.
    target.while_others_ask(|| {
        let mut grpc = begun(target.server.grpc);
        let streams: Vec<u32> = (0..20 * PLACES).map(|n| 2 * n + 1).collect();
        for stream in &streams {
            grpc.write_all(&call(*stream, CHECK, Some(&target.key), 4)).unwrap();
        }
        let body = r#"{"number":"+13055550123""#;
        let head = written("POST", "/v1/check", Some(&target.key), &body.repeat(10));
        let head = head.split_inclusive("\r\n\r\n").next().unwrap();
        let mut http: Vec<_> = (0..4 * PLACES).map(|_| TcpStream::connect(target.server.http).unwrap()).collect();
        for stream in &mut http {
            stream.write_all(head.as_bytes()).unwrap();
        }
        read_by_the_server(&mut grpc);
        others();
        for at in 0..10 {
            for stream in &streams {
                grpc.write_all(&frame(DATA, 0, *stream, &message[at..=at])).unwrap();
            }
            for stream in &mut http {
                stream.write_all(&body.as_bytes()[at..=at]).unwrap();
            }
            read_by_the_server(&mut grpc);
            others();
        }
    });
    let metrics = ask(target.server.http, "GET", "/metrics", Some(&target.operator), "").1;
    assert!(metrics.as_str().unwrap().contains("ringfence_shed_total{lane=\"check\",why=\"full\"} 0"), "{metrics}");
}

/// Sends these, and then others, a byte at a time, for as long as they are taken.
fn drip(mut to: TcpStream, bytes: &[u8]) {
    let gap = Duration::from_millis(50);
    let (lock, never) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
    for byte in bytes.iter().chain(std::iter::repeat(&b'a')) {
        let _ = never.wait_timeout(lock.lock().unwrap(), gap).unwrap();
        if to.write_all(&[*byte]).is_err() {
            return;
        }
    }
}

#[test]
fn tls_that_is_not_agreed_on_is_cut_and_others_agree_meanwhile() {
    let folder = Folder::new();
    let key = folder.admit("dialer", "acme", "check");
    let server = serve(&folder, true);
    let hello = hello();
    let mut held = Vec::new();
    let mut drops = Vec::new();
    for listener in [server.grpc, server.http] {
        for begun in [0, 10] {
            let mut stream = TcpStream::connect(listener).unwrap();
            stream.write_all(&hello[..begun]).unwrap();
            held.push(stream);
        }
        let stream = TcpStream::connect(listener).unwrap();
        let (to, bytes) = (stream.try_clone().unwrap(), hello.clone());
        drops.push(std::thread::spawn(move || drip(to, &bytes)));
        held.push(stream);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..5 {
        let answer = runtime.block_on(certificates::ask(server.http, None, &question(Some(&key))));
        assert_eq!(answer.unwrap().0, 200);
    }
    let many = held.len();
    for stream in held {
        println!("ended after {:?} more", ended(stream));
    }
    until("each was cut for that", || folder.said().matches("slow_handshake").count() == many);
    for one in drops {
        one.join().unwrap();
    }
}

/// Nothing of it is held: neither of what is never refused for a place, nor of streams, which have no clock.
#[test]
fn a_long_message_of_a_switch_or_a_stream_is_refused_by_its_head() {
    let target = Target::new(&[]);
    for path in ["ControlService/Freeze", "CheckService/CheckStream", "ConsentService/ImportContacts"] {
        let mut stream = begun(target.server.grpc);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&call(1, &format!("/ringfence.v1.{path}"), Some(&target.key), 4)).unwrap();
        // Sixteen megabytes are announced, of which these are all that comes.
        stream.write_all(&frame(DATA, 0, 1, &[0, 1, 0, 0, 0, 7, 7, 7])).unwrap();
        let (mut head, mut ended) = ([0; 9], false);
        while !ended {
            stream.read_exact(&mut head).unwrap_or_else(|error| panic!("{path} is waited for: {error}"));
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            stream.read_exact(&mut vec![0_u8; usize::try_from(length).unwrap()]).unwrap();
            // Headers that are the last of a stream: the status, and nothing before it.
            ended = head[3] == HEADERS && head[4] & 1 == 1;
        }
    }
}

#[test]
fn headers_that_come_a_byte_at_a_time_are_cut() {
    let target = Target::new(&[("receive_seconds", "1")]);
    target.while_others_ask(|| {
        let stream = TcpStream::connect(target.server.http).unwrap();
        let mut writer = stream.try_clone().unwrap();
        writer.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
        let dripping = std::thread::spawn(move || drip(writer, &[]));
        ended(stream);
        dripping.join().unwrap();
    });
}

#[test]
fn more_connections_than_may_be_from_one_address_end() {
    let target = Target::new(&[("connections_per_address", "8")]);
    let held: Vec<_> = (0..6).map(|_| begun(target.server.grpc)).collect();
    // The oldest of them end for those that are more, on this listener alone.
    let extra: Vec<_> = (0..40).map(|_| TcpStream::connect(target.server.grpc).unwrap()).collect();
    until("some end", || target.cut("too_many_of_one_address"));
    assert_eq!(check(target.server.http, Some(&target.key)).0, 200);
    drop((held, extra));
    until("there is room again", || {
        let mut stream = begun(target.server.grpc);
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        matches!(stream.read(&mut [0; 64]), Ok(1..))
    });
}

#[test]
fn headers_that_are_too_large_are_refused() {
    let target = Target::new(&[("header_bytes", "8192")]);
    let long = "a".repeat(100_000);
    let mut stream = TcpStream::connect(target.server.http).unwrap();
    let _ = stream.write_all(format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(ask(target.server.http, "GET", "/livez", None, "").0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_caller_with_many_calls_at_once_is_not_taken_for_a_flood() {
    use futures_util::StreamExt as _;
    use ringfence::proto::v1::check_service_client::CheckServiceClient;
    let target = Target::new(&[]);
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", target.server.grpc)).unwrap();
    let pinging = endpoint.http2_keep_alive_interval(Duration::from_millis(20)).keep_alive_while_idle(true);
    let channel = pinging.connect().await.unwrap();
    let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {}", target.key).parse().unwrap();
    let client = CheckServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let question = super::support::florida("+13055550123");
    let question = ringfence::proto::v1::CheckRequest { dry_run: true, ..question };
    let asked = (0..5_000).map(|_| {
        let (mut client, question) = (client.clone(), question.clone());
        async move { client.check(question).await }
    });
    let answers: Vec<_> = futures_util::stream::iter(asked).buffer_unordered(200).collect().await;
    // On a busy machine more may be under way than is answered in time: that is said, and is no flood either.
    let (busy, failed): (Vec<_>, Vec<_>) = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .partition(|status| status.code() == tonic::Code::ResourceExhausted);
    assert!(failed.is_empty(), "{} of 5,000 failed, the first with {:?}", failed.len(), failed[0]);
    assert!(busy.len() < 2_500, "{} of 5,000 were refused, the first with {:?}", busy.len(), busy[0]);
    assert!(!target.cut("flood") && !target.cut("rapid_reset"));
}
