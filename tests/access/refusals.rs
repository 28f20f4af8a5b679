//! Every refusal has its line and its count, under its tenant and without a secret; a flood of them has few lines, and what
//! has none is told by its number. A log that nobody reads holds up nobody.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use prost::Message as _;
use ringfence::access::{Gate, GateSettings, Lane, Limits, Role};
use ringfence::proto::v1;
use ringfence::store::Store;
use serde_json::{Value, json};

use super::credentials::{Folder, QUESTION, ask, check, until};
use super::faulty::{Fault, Faulty};
use super::floods::{begun, call, swallow};
use super::house::{House, request, send};
use super::support::{engine, engine_over};

/// What is logged on this thread while this is held.
struct Heard {
    lines: Arc<Mutex<Vec<u8>>>,
    _while: tracing::subscriber::DefaultGuard,
}

struct Ear(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Heard {
    fn begin() -> Self {
        let lines = Arc::<Mutex<Vec<u8>>>::default();
        let ear = Arc::clone(&lines);
        let log = tracing_subscriber::fmt().json().with_span_list(false).with_max_level(tracing::Level::INFO);
        let log = log.with_writer(move || Ear(Arc::clone(&ear))).finish();
        Self { lines, _while: tracing::subscriber::set_default(log) }
    }

    /// The lines since the last look.
    fn lines(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.lines.lock().unwrap());
        read(&String::from_utf8(bytes).unwrap())
    }
}

fn read(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// Reason and tenant of each refusal among lines.
fn refusals(lines: &[Value]) -> Vec<(&str, &str)> {
    let told = lines.iter().filter(|line| line["fields"]["reason"].is_string());
    told.map(|line| (text(&line["fields"]["reason"]), text(&line["span"]["tenant"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `ringfence_refusals_total`, by reason and tenant.
fn counted(metrics: &str) -> BTreeMap<(String, String), u64> {
    let of = |line: &str| {
        let (tenant, rest) = line.strip_prefix("ringfence_refusals_total{tenant=\"")?.split_once("\",reason=\"")?;
        let (reason, count) = rest.split_once("\"} ")?;
        Some(((reason.to_owned(), tenant.to_owned()), count.parse().unwrap()))
    };
    metrics.lines().filter_map(of).collect()
}

fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}

fn grpc(path: &str, key: Option<&str>, body: Bytes) -> Request<axum::body::Body> {
    let mut request = request(path, key, body);
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    request
}

const GRPC: &str = "/ringfence.v1.CheckService/Check";
const SECRET: &str = "rfk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test]
async fn every_refusal_has_its_line_and_its_count() {
    let heard = Heard::begin();
    let mut house = House::limited(engine(), Limits::NONE);
    let dialer = house.admit("dialer", "acme", [Role::Check]);
    let late = house.admit_until("late", "beta", [Role::Check], Some(ringfence::time::Millis::seconds(-60)));
    let (slow, one) = (house.admit("slow", "slow", [Role::Check]), house.admit("one", "one", [Role::Check]));
    let limits = "[[limit]]\ntenant = \"slow\"\nrate = 1\n\n[[limit]]\ntenant = \"one\"\nat_once = 1\n";
    house.put(format!("{}\n{limits}", house.text()));
    let key = Some(dialer.key.as_str());
    let json = |path: &str, key: Option<&str>, body: String| request(path, key, Bytes::from(body));
    let with = |mut request: Request<axum::body::Body>, name: &'static str, value: &'static str| {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        request
    };
    let get = |mut request: Request<axum::body::Body>| {
        *request.method_mut() = Method::GET;
        request
    };
    let unread = Bytes::from_static(b"\0\0\0\0\x02\x0a\x7f");
    let too_long = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 0]);
    let emergency = QUESTION.replace("PURPOSE_SURVEY", "PURPOSE_EMERGENCY");
    let rows = json!({ "checks": [serde_json::from_str::<Value>(&emergency).unwrap()] }).to_string();
    let invalid = v1::CheckRequest::default().encode_to_vec();
    let long = format!("{{\"number\":\"{}\"}}", "1".repeat(17 << 20));
    // The slow one has its second's worth, the other its one call.
    assert_eq!(send(&house.http, json("/v1/check", Some(&slow.key), QUESTION.to_owned())).await.0, StatusCode::OK);
    let held = house.access.quotas.of("one").begin(ringfence::access::Errand::Usual).unwrap();
    for (over, request, reason, tenant) in [
        ("http", json("/v1/check", None, QUESTION.to_owned()), "CREDENTIALS_MISSING", ""),
        ("grpc", grpc(GRPC, None, framed(b"")), "CREDENTIALS_MISSING", ""),
        ("http", json("/v1/check", Some(SECRET), QUESTION.to_owned()), "CREDENTIALS_UNKNOWN", ""),
        ("grpc", with(grpc(GRPC, None, framed(b"")), "authorization", "Basic QTpi"), "CREDENTIALS_MALFORMED", ""),
        ("grpc", grpc(GRPC, Some(&late.key), framed(b"")), "CREDENTIALS_EXPIRED", "beta"),
        ("http", json("/v1/contacts:get", key, r#"{"number":"+13055550123"}"#.to_owned()), "ROLE_MISSING", "acme"),
        ("http", json("/v1/check", key, emergency.clone()), "ROLE_MISSING", "acme"),
        ("http", json("/v1/check:batch", key, rows), "ROLE_MISSING", "acme"),
        ("http", get(json("/metrics", key, String::new())), "ROLE_MISSING", "acme"),
        ("http", json("/v1/check", Some(&slow.key), QUESTION.to_owned()), "RATE_LIMITED", "slow"),
        ("http", json("/v1/check", Some(&one.key), QUESTION.to_owned()), "TOO_MANY_AT_ONCE", "one"),
        ("http", json("/v1/check", key, "{}".to_owned()), "INVALID_REQUEST", "acme"),
        ("grpc", grpc(GRPC, key, framed(&invalid)), "INVALID_REQUEST", "acme"),
        ("http", json("/v1/check", key, r#"{"number":13055550123"#.to_owned()), "MALFORMED_REQUEST", "acme"),
        ("grpc", grpc(GRPC, key, unread), "MALFORMED_REQUEST", "acme"),
        ("http", json("/v1/check", key, long), "TOO_LARGE", "acme"),
        ("grpc", grpc(GRPC, key, too_long), "TOO_LARGE", "acme"),
        ("http", json("/v1/call/+13055550123", key, String::new()), "NO_SUCH_PATH", "acme"),
        ("http", json(&format!("/v1/{SECRET}"), None, String::new()), "CREDENTIALS_MISSING", ""),
        ("http", json("/v1/contacts/ann.smith@example.org", key, String::new()), "NO_SUCH_PATH", "acme"),
        ("grpc", grpc(&format!("/ringfence.v1.CheckService/{SECRET}"), key, framed(b"")), "NO_SUCH_METHOD", "acme"),
        ("http", get(json("/v1/check", key, String::new())), "NO_SUCH_METHOD", "acme"),
        ("grpc", grpc("/ringfence.v1.CheckService/Chekc", key, framed(b"")), "NO_SUCH_METHOD", "acme"),
        ("grpc", grpc("/ringfence.v2.CheckService/Check", key, framed(b"")), "NO_SUCH_METHOD", "acme"),
        ("http", with(json("/v1/check", key, QUESTION.to_owned()), "origin", "https://x.example"), "WEB_PAGE", ""),
    ] {
        let what = format!("{} {reason}", request.uri());
        let kind = (reason.to_owned(), tenant.to_owned());
        let count = |metrics: &str| counted(metrics).get(&kind).copied().unwrap_or(0);
        let before = count(&house.calls.server().metrics().text());
        heard.lines();
        send(if over == "http" { &house.http } else { &house.grpc }, request).await;
        let lines = heard.lines();
        assert_eq!(refusals(&lines), [(reason, tenant)], "{what}: {lines:?}");
        let all = format!("{lines:?}");
        assert!(
            !all.contains("3055550") && !all.contains(&SECRET[4..]) && !all.contains(&dialer.key[4..]),
            "{what}: {all}"
        );
        assert!(!all.contains("ann.smith") && !all.contains("Chekc"), "{what}: {all}");
        let after = house.calls.server().metrics().text();
        assert_eq!(count(&after), before + 1, "{what}: {after}");
    }
    drop(held);
    // What is answered is no refusal, and whatever is logged of it is its tenant's.
    assert_eq!(send(&house.http, json("/v1/check", key, QUESTION.to_owned())).await.0, StatusCode::OK);
    assert_eq!(refusals(&heard.lines()), []);
}

/// A body of so many parts of a kibibyte, which says how long it is; and how many of them were taken.
struct Parts {
    left: usize,
    ends: bool,
    taken: Arc<AtomicUsize>,
}

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(hyper::body::Frame::data(vec![b' '; 1_024].into()))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact((self.left * 1_024) as u64)
    }
}

/// Over HTTP/2 an answer before all has come ends in a reset, which some clients take for a fault of the server.
#[tokio::test]
async fn what_is_short_has_come_before_its_refusal_goes_out() {
    let mut house = House::limited(engine(), Limits::NONE);
    let dialer = house.admit("dialer", "acme", [Role::Check]);
    let one = "[[limit]]\ntenant = \"acme\"\nat_once = 1\n";
    house.put(format!("{}\n{one}", house.text()));
    let _held = house.access.quotas.of("acme").begin(ringfence::access::Errand::Usual).unwrap();
    for (key, code) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(SECRET), StatusCode::UNAUTHORIZED),
        (Some(dialer.key.as_str()), StatusCode::TOO_MANY_REQUESTS),
    ] {
        for (parts, ends, expected) in [(64, true, 64), (65, true, 0), (3, false, 3)] {
            let taken = Arc::new(AtomicUsize::new(0));
            let body = Parts { left: parts, ends, taken: Arc::clone(&taken) };
            let mut asked = request("/v1/check", key, Bytes::new());
            *asked.body_mut() = axum::body::Body::new(body);
            assert_eq!(send(&house.http, asked).await.0, code);
            assert_eq!(taken.load(Ordering::Relaxed), expected, "{code} {parts}");
        }
    }
}

/// What goes wrong deep in a request is told under its tenant too.
#[tokio::test]
async fn whatever_is_logged_of_a_request_has_its_tenant() {
    let heard = Heard::begin();
    let store = Arc::new(Faulty::new());
    let mut house = House::new(engine_over(Arc::clone(&store) as Arc<dyn Store>));
    let dialer = house.admit("dialer", "acme", [Role::Check, Role::AssertExceptional]);
    let emergency = QUESTION.replace("PURPOSE_SURVEY", "PURPOSE_EMERGENCY");
    store.set(Fault::Away);
    for (question, code, told) in [
        (QUESTION, StatusCode::SERVICE_UNAVAILABLE, "store or audit log unavailable"),
        (emergency.as_str(), StatusCode::OK, "emergency answered without a store or a log entry"),
    ] {
        let asked = request("/v1/check", Some(&dialer.key), Bytes::from(question.to_owned()));
        assert_eq!(send(&house.http, asked).await.0, code);
        let lines = heard.lines();
        let of: Vec<_> =
            lines.iter().map(|line| (text(&line["fields"]["message"]), text(&line["span"]["tenant"]))).collect();
        assert_eq!(of, [(told, "acme")]);
    }
}

#[tokio::test]
async fn what_is_shed_is_told_under_its_tenant() {
    let heard = Heard::begin();
    let mut house = House::limited(engine(), Limits::NONE);
    let dialer = house.admit("dialer", "acme", [Role::Check]);
    let gate = Arc::new(Gate::new(GateSettings { checks: 1, ..GateSettings::default() }));
    let calls = house.calls.clone().behind(Arc::clone(&gate));
    let (grpc_routes, _) = ringfence::service::routes(calls.clone()).unwrap();
    let (grpc_routes, http) = (grpc_routes.prepare().into_axum_router(), ringfence::http::router(calls));
    let held = gate.enter(Lane::Check, None, None).unwrap();
    let asked = |path| request(path, Some(&dialer.key), Bytes::from_static(QUESTION.as_bytes()));
    assert_eq!(send(&http, asked("/v1/check")).await.0, StatusCode::TOO_MANY_REQUESTS);
    send(&grpc_routes, grpc(GRPC, Some(&dialer.key), framed(b""))).await;
    let lines = heard.lines();
    assert_eq!(refusals(&lines), [("OVERLOADED", "acme"); 2], "{lines:?}");
    assert_eq!((text(&lines[0]["fields"]["call"]), text(&lines[0]["fields"]["caller"])), ("/v1/check", "dialer"));
    assert!(text(&lines[0]["fields"]["message"]).ends_with("full"), "{lines:?}");
    drop(held);
    assert_eq!(send(&http, asked("/v1/check")).await.0, StatusCode::OK);
    assert_eq!(heard.lines(), [Value::Null; 0]);
}

#[tokio::test]
async fn a_flood_of_one_kind_leaves_lines_to_the_others_and_adds_up() {
    let heard = Heard::begin();
    let mut house = House::limited(engine(), Limits::NONE);
    let (acme, beta) = (house.admit("a", "acme", [Role::Audit]), house.admit("b", "beta", [Role::Audit]));
    for _ in 0..40 {
        house.ask("/v1/check", Some(&acme.key), &json!({})).await;
    }
    for _ in 0..3 {
        house.ask("/v1/check", Some(&beta.key), &json!({})).await;
        house.ask("/v1/check", None, &json!({})).await;
    }
    let lines = heard.lines();
    let of = |tenant: &str| refusals(&lines).iter().filter(|(_, of)| *of == tenant).count();
    assert_eq!((of("acme"), of("beta"), of("")), (10, 3, 3));
    let metrics = house.calls.server().metrics();
    metrics.tell_refusals(false);
    assert_eq!(heard.lines(), [Value::Null; 0], "their time is not over");
    metrics.tell_refusals(true);
    let lines = heard.lines();
    assert_eq!(refusals(&lines), [("ROLE_MISSING", "acme")], "{lines:?}");
    assert_eq!(lines[0]["fields"]["count"], 30);
    assert_eq!(counted(&metrics.text())[&("ROLE_MISSING".to_owned(), "acme".to_owned())], 40);
}

/// The real program: what its log says of a flood adds up to what was refused, when it has ended.
#[test]
fn the_log_of_a_server_adds_up_when_it_has_ended() {
    let folder = Folder::new();
    let (dialer, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "beta", "operate"));
    let server = folder.serve(&[("log", "json")]);
    for _ in 0..60 {
        assert_eq!(ask(server.http, "POST", "/v1/contacts:get", Some(&dialer), "{}").0, 403);
        assert_eq!(check(server.http, None).0, 401);
    }
    // Neither HTTP nor TLS: a connection that is given up, and told with its reason.
    let mut other = TcpStream::connect(server.grpc).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let _ = other.read_to_end(&mut Vec::new());
    let mut other = TcpStream::connect(server.http).unwrap();
    other.write_all(b"\x16\x03\x01 no request at all\r\n\r\n").unwrap();
    let _ = other.read_to_end(&mut Vec::new());
    let metrics = ask(server.http, "GET", "/metrics", Some(&operator), "").1;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("ringfence_cut_connections_total{reason=\"malformed\"} 2"), "{metrics}");
    let counted = counted(metrics);
    assert!(std::process::Command::new("kill").arg(server.id().to_string()).status().unwrap().success());
    until("it has said all", || {
        let said = folder.said();
        said.contains("\"stopped\"") && said.matches("more like it").count() >= 2
    });
    let said = folder.said();
    let lines = read(&said);
    let mut told = BTreeMap::<(String, String), (u64, u64)>::new();
    for line in lines.iter().filter(|line| text(&line["fields"]["message"]).starts_with("refused: ")) {
        let kind = (text(&line["fields"]["reason"]).to_owned(), text(&line["span"]["tenant"]).to_owned());
        let (single, more) = told.entry(kind).or_default();
        match line["fields"]["count"].as_u64() {
            None => *single += 1,
            Some(count) => *more += count,
        }
    }
    for kind in [("ROLE_MISSING", "acme"), ("CREDENTIALS_MISSING", "")] {
        let kind = (kind.0.to_owned(), kind.1.to_owned());
        let (single, more) = told[&kind];
        assert_eq!(single + more, counted[&kind], "{kind:?}: {said}");
        assert_eq!(counted[&kind], 60);
        // Twice the ten where a minute went by meanwhile.
        assert!(single <= 20 && more > 0, "{kind:?}: {single}, {more}");
    }
    let cut = |line: &&Value| line["fields"]["reason"] == "malformed" && line["fields"]["from"] == "127.0.0.1";
    assert_eq!(lines.iter().filter(cut).count(), 2, "{said}");
    assert!(!said.contains(&dialer[4..]) && !said.contains("3055550"));
}

/// A server that ends with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Standard error is a pipe that nobody reads, and everything is logged: answers come all the same, what is lost is counted,
/// and the server ends.
#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let folder = Folder::new();
    let (key, operator) = (folder.admit("dialer", "acme", "check"), folder.admit("ops", "acme", "operate"));
    let mut serve = folder.program();
    serve.args(["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--access", "ringfence-access.toml"]);
    serve.env("RINGFENCE_LOG_FILTER", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Ended(serve.spawn().unwrap());
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut address = |begin: &str| said.find_map(|line| line.trim().strip_prefix(begin)?.parse().ok()).unwrap();
    let (grpc, http) = (address("gRPC  "), address("HTTP  http://"));
    until("lines are dropped", || {
        // Each frame has lines of its own.
        let mut wire = begun(grpc);
        let reading = swallow(&wire);
        for stream in 0..100 {
            wire.write_all(&call(2 * stream + 1, GRPC, Some(&key), 5)).unwrap();
        }
        wire.shutdown(std::net::Shutdown::Write).unwrap();
        reading.join().unwrap();
        assert_eq!(check(http, Some(&key)).0, 200);
        let metrics = ask(http, "GET", "/metrics", Some(&operator), "").1;
        let text = metrics.as_str().unwrap();
        let dropped = text.lines().find_map(|line| line.strip_prefix("ringfence_log_dropped_total ")).unwrap();
        dropped.parse::<u64>().unwrap() > 100
    });
    assert!(std::process::Command::new("kill").arg(server.0.id().to_string()).status().unwrap().success());
    let mut ended = None;
    until("it ends", || {
        ended = server.0.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success(), "in good order");
}
