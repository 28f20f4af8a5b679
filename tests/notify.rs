//! Opt-outs passed on to processors: receivers that fail, hang, answer twice, are gone, or show a wrong certificate; the
//! instance that delivers killed; signatures; who has confirmed what.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "notify/instances.rs"]
mod instances;
#[path = "notify/lost.rs"]
mod lost;
#[path = "notify/process.rs"]
mod process;
#[path = "notify/receiver.rs"]
mod receiver;
#[path = "support/redis.rs"]
mod redis;
#[path = "notify/registry.rs"]
mod registry;
mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use receiver::{Answer, Receiver};
use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::notify::{self, Client, Reach, Settings, signatures};
use ringfence::proto::v1::{self, ProcessorState};
use ringfence::service::now;
use support::{engine, opt_out, permit};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Far longer than any wait takes.
const LONG: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The delivery of one instance; stopped when dropped.
struct Delivering {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Delivering {
    async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// Gone in the middle, nothing noted: what `kill -9` does to the tasks of a process.
    fn kill(self) {
        self.task.abort();
    }
}

fn quick() -> Settings {
    Settings {
        answer_within: Duration::from_millis(400),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(100),
        look: Duration::from_millis(20),
        note: Duration::from_millis(20),
        take_over_after: Duration::from_millis(400),
        ..Settings::default()
    }
}

fn authority() -> &'static Path {
    Path::new("tests/store/tls/authority.pem")
}

fn private() -> Reach {
    Reach { private: true, loopback: None }
}

fn deliver(engine: &Arc<Engine>, settings: Settings) -> Delivering {
    let client = Client::new(Some(authority()), private()).unwrap();
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(notify::run(Arc::clone(engine), client, settings, now, stopping));
    Delivering { stop, task }
}

fn processor(name: &str, url: &str) -> v1::Processor {
    v1::Processor {
        name: name.to_owned(),
        url: url.to_owned(),
        purpose: "Sales calls".to_owned(),
        contract_ref: "C-17".to_owned(),
        assessed_on: "2026-05-04".to_owned(),
        ..Default::default()
    }
}

async fn put(engine: &Engine, processor: v1::Processor) -> v1::PutProcessorResponse {
    let secret = if processor.url.is_empty() { String::new() } else { SECRET.to_owned() };
    let request = v1::PutProcessorRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        processor: Some(processor),
        secret,
        who: "ann".to_owned(),
        ..Default::default()
    };
    engine.put_processor(&permit(Role::Control), request, Clock::at(now())).await.unwrap()
}

async fn resume(engine: &Engine, name: &str) {
    let request = v1::ResumeProcessorRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        who: "ann".to_owned(),
    };
    engine.resume_processor(&permit(Role::Control), request, Clock::at(now())).await.unwrap();
}

fn number(n: usize) -> String {
    format!("+1305555{n:04}")
}

async fn say_stop(engine: &Engine, n: usize) -> String {
    let request = opt_out(&number(n), &uuid::Uuid::new_v4().to_string());
    engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap().receipt_id
}

async fn status(engine: &Engine, name: &str, of: Option<usize>) -> v1::ProcessorStatus {
    let request = v1::GetProcessorStatusRequest {
        name: name.to_owned(),
        number: of.map(number).unwrap_or_default(),
        ..Default::default()
    };
    let answer = engine.processor_status(&permit(Role::Audit), &request, now()).await.unwrap();
    answer.statuses.into_iter().next().unwrap()
}

/// Asks again and again until it is so.
async fn until(
    engine: &Engine,
    name: &str,
    what: &str,
    so: impl Fn(&v1::ProcessorStatus) -> bool,
) -> v1::ProcessorStatus {
    let begun = std::time::Instant::now();
    loop {
        let status = status(engine, name, None).await;
        if so(&status) {
            return status;
        }
        assert!(begun.elapsed() < LONG, "not in time: {what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_processor_is_told_signed_and_who_has_confirmed_is_known() {
    let engine = engine();
    let receiver = Receiver::start(|_| Answer::Status(204)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    let id = say_stop(&engine, 1).await;
    let got = receiver.next().await;
    assert_eq!(got.id, id);
    assert_eq!(got.header("webhook-signature"), {
        let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &SECRET[6..]).unwrap();
        signatures(&[key], &id, got.header("webhook-timestamp").parse().unwrap(), got.body.as_bytes())
    });
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["type"], "opt_out.closed");
    assert_eq!(body["data"]["number"], number(1), "the number whole: it is the point");
    assert_eq!(body["data"]["eventId"], id);
    // One leaves out the zeros at the end of a fraction.
    let instant = |text: &serde_json::Value| ringfence::time::Instant::from_rfc3339(text.as_str().unwrap()).unwrap();
    assert_eq!(instant(&body["timestamp"]), instant(&body["data"]["recordedAt"]));
    until(&engine, "dialer", "confirmed", |status| status.pending == 0 && status.confirmed_until.is_some()).await;
    let of_number = status(&engine, "dialer", Some(1)).await;
    assert_eq!(of_number.events.len(), 1);
    assert!(of_number.events[0].confirmed && of_number.events[0].event_id == id);
    delivering.stop().await;
    // Nobody delivers: the next is pending, and known to be.
    let id = say_stop(&engine, 1).await;
    let open = status(&engine, "dialer", Some(1)).await;
    assert_eq!(open.pending, 1);
    assert!(open.pending_since.is_some());
    let confirmed: Vec<_> = open.events.iter().map(|event| (event.event_id == id, event.confirmed)).collect();
    assert_eq!(confirmed, [(false, true), (true, false)]);
    let delivering = deliver(&engine, quick());
    assert_eq!(receiver.next().await.id, id, "and is told by whoever comes next");
    delivering.stop().await;
}

/// Of one contact's events the next waits for the one before; others are not kept waiting.
#[tokio::test]
async fn a_receiver_that_fails_is_asked_again_and_each_contact_in_order() {
    let engine = engine();
    let failing = number(1);
    // Everything about one number fails three times; the others never.
    let receiver = Receiver::start(move |got| {
        let fails = got.body.contains(&failing) && got.seen_before < 3;
        if fails { Answer::Status(500) } else { Answer::Status(200) }
    })
    .await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    let first = say_stop(&engine, 1).await;
    let second = say_stop(&engine, 1).await;
    for n in 2..30 {
        say_stop(&engine, n).await;
    }
    until(&engine, "dialer", "all confirmed", |status| status.pending == 0).await;
    let got = receiver.all();
    let of_it: Vec<_> = got.iter().filter(|got| got.body.contains(&number(1))).map(|got| got.id.clone()).collect();
    assert_eq!(of_it, [vec![first; 4], vec![second; 4]].concat(), "three times refused, then confirmed; then the next");
    let ids: HashSet<_> = got.iter().map(|got| &got.id).collect();
    assert_eq!(ids.len(), 30);
    let signed: HashSet<_> = got.iter().map(|got| got.header("webhook-timestamp").to_owned()).collect();
    assert!(!signed.is_empty());
    delivering.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_or_says_nonsense_confirms_nothing() {
    let engine = engine();
    let receiver = Receiver::start(|got| match got.seen_before {
        0 => Answer::Hang,
        1 => Answer::Close,
        2 => Answer::Raw("nonsense\r\n\r\n"),
        3 => Answer::Raw("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
        4 => Answer::Raw("HTTP/1.1 100 Continue\r\n\r\n"),
        _ => Answer::Status(200),
    })
    .await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    let id = say_stop(&engine, 1).await;
    let failing = until(&engine, "dialer", "failing", |status| status.state() == ProcessorState::Failing).await;
    assert!(!failing.last_error.is_empty() && failing.pending == 1);
    assert!(!failing.last_error.contains("305555"), "{}", failing.last_error);
    let done = until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    assert_eq!((done.state(), done.last_error.as_str()), (ProcessorState::Delivering, ""));
    let got = receiver.all();
    assert_eq!(got.len(), 6);
    assert!(got.iter().all(|got| got.id == id), "the same id each time");
    delivering.stop().await;
}

/// The second answer to one request is not taken for the answer to another.
#[tokio::test]
async fn a_receiver_that_answers_twice_confirms_once() {
    let engine = engine();
    let twice = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let receiver = Receiver::start(move |got| match got.body.contains(&number(1)) {
        true => Answer::Raw(twice),
        false if got.seen_before < 2 => Answer::Status(503),
        false => Answer::Status(200),
    })
    .await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    say_stop(&engine, 1).await;
    let second = say_stop(&engine, 2).await;
    until(&engine, "dialer", "both confirmed", |status| status.pending == 0).await;
    let of_second = receiver.all().iter().filter(|got| got.id == second).count();
    assert_eq!(of_second, 3, "refused twice whatever came after the first answer");
    delivering.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_no_more_until_somebody_resumes_it() {
    let engine = engine();
    let receiver = Receiver::start(|got| Answer::Status(if got.seen_before == 0 { 410 } else { 200 })).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, quick());
    say_stop(&engine, 1).await;
    let off = until(&engine, "dialer", "off", |status| status.state() == ProcessorState::Disabled).await;
    assert!(off.last_error.contains("410") && off.pending == 1);
    assert_eq!(receiver.all().len(), 1);
    assert!(engine.metrics().text().contains("result=\"disabled\""));
    resume(&engine, "dialer").await;
    let on = until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    assert_eq!(on.state(), ProcessorState::Delivering);
    delivering.stop().await;
}

/// One event that is never taken keeps none of the others waiting, and is not forgotten.
#[tokio::test]
async fn what_is_never_confirmed_is_given_up_listed_and_tried_again_when_asked() {
    let engine = engine();
    let poison = number(1);
    let receiver = Receiver::start(move |got| {
        let refused = got.body.contains(&poison) && got.lenient == 0;
        Answer::Status(if refused { 422 } else { 200 })
    })
    .await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let delivering = deliver(&engine, Settings { give_up_after: Duration::from_millis(200), ..quick() });
    let id = say_stop(&engine, 1).await;
    for n in 2..10 {
        say_stop(&engine, n).await;
    }
    let after = until(&engine, "dialer", "given up", |status| status.given_up.len() == 1 && status.pending == 0).await;
    assert_eq!(after.given_up[0].event_id, id);
    assert!(after.given_up[0].why.contains("422"));
    let of_number = status(&engine, "dialer", Some(1)).await;
    assert!(!of_number.events[0].confirmed, "given up is not confirmed");
    assert!(of_number.events[0].why.contains("422"));
    receiver.be_lenient();
    resume(&engine, "dialer").await;
    until(&engine, "dialer", "confirmed after all", |status| status.given_up.is_empty()).await;
    assert!(status(&engine, "dialer", Some(1)).await.events[0].confirmed);
    delivering.stop().await;
}

#[tokio::test]
async fn a_certificate_is_verified_and_a_private_address_needs_leave() {
    let engine = engine();
    let receiver = Receiver::start_tls(|_| Answer::Status(200)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    // The system's authorities did not issue it.
    let (stop, stopping) = watch::channel(false);
    let client = Client::new(None, private()).unwrap();
    let task = tokio::spawn(notify::run(Arc::clone(&engine), client, quick(), now, stopping));
    say_stop(&engine, 1).await;
    let failing = until(&engine, "dialer", "refused", |status| status.failures > 0).await;
    assert!(failing.last_error.contains("TLS"), "{}", failing.last_error);
    Delivering { stop, task }.stop().await;
    // The right authority, but nothing is sent to the loopback over the wire of a public service.
    let (stop, stopping) = watch::channel(false);
    let client = Client::new(Some(authority()), Reach::default()).unwrap();
    let task = tokio::spawn(notify::run(Arc::clone(&engine), client, quick(), now, stopping));
    until(&engine, "dialer", "no leave", |status| status.last_error.contains("webhook_private")).await;
    Delivering { stop, task }.stop().await;
    // Another name than the certificate's.
    put(&engine, processor("dialer", &receiver.url.replace("localhost", "127.0.0.2"))).await;
    let delivering = deliver(&engine, quick());
    until(&engine, "dialer", "another name", |status| status.last_error.contains("TLS")).await;
    assert!(receiver.all().is_empty(), "nothing was said to anybody");
    put(&engine, processor("dialer", &receiver.url)).await;
    until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    delivering.stop().await;
}

/// The file of authorities changes under a server: what it sends from then on goes by the new ones, and by the old while the
/// new do not read.
#[tokio::test]
async fn authorities_that_change_hold_for_what_is_sent_from_then_on() {
    let engine = engine();
    let receiver = Receiver::start_tls(|_| Answer::Status(200)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("processors.pem");
    std::fs::copy(authority(), &file).unwrap();
    put(&engine, processor("dialer", &receiver.url)).await;
    let (stop, stopping) = watch::channel(false);
    let client = Client::new(Some(&file), private()).unwrap();
    let task = tokio::spawn(notify::run(Arc::clone(&engine), client.clone(), quick(), now, stopping));
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
    assert!(client.reload().unwrap_err().to_string().contains("processors.pem"));
    say_stop(&engine, 1).await;
    until(&engine, "dialer", "the old ones stay", |status| status.pending == 0 && status.failures == 0).await;
    std::fs::copy("tests/access/tls/authority.pem", &file).unwrap();
    client.reload().unwrap();
    say_stop(&engine, 2).await;
    let failing = until(&engine, "dialer", "another authority", |status| status.failures > 0).await;
    assert!(failing.last_error.contains("TLS"), "{}", failing.last_error);
    std::fs::copy(authority(), &file).unwrap();
    client.reload().unwrap();
    until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    Delivering { stop, task }.stop().await;
}

/// Where callers are told apart, none of them has the server post to what listens beside it.
#[tokio::test]
async fn a_port_of_this_machine_needs_leave() {
    let engine = engine();
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    let begin = |ports: Vec<u16>| {
        let (stop, stopping) = watch::channel(false);
        let client = Client::new(None, Reach { private: true, loopback: Some(ports) }).unwrap();
        let task = tokio::spawn(notify::run(Arc::clone(&engine), client, quick(), now, stopping));
        Delivering { stop, task }
    };
    let delivering = begin(vec![]);
    say_stop(&engine, 1).await;
    until(&engine, "dialer", "no leave", |status| status.last_error.contains("webhook_loopback")).await;
    delivering.stop().await;
    assert!(receiver.all().is_empty(), "nothing was said to anybody");
    let port = receiver.url.parse::<http::Uri>().unwrap().port_u16().unwrap();
    let delivering = begin(vec![port]);
    until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    delivering.stop().await;
}

/// It names no number, and is posted all the same: consents given before it do not cover what they did.
#[tokio::test]
async fn a_material_change_of_the_policy_is_posted_and_a_cosmetic_one_is_not() {
    let engine = engine();
    let receiver = Receiver::start(|got| Answer::Status(if got.seen_before == 0 { 503 } else { 200 })).await;
    let narrow = v1::Processor { sellers: vec!["acme".into()], ..processor("dialer", &receiver.url) };
    put(&engine, narrow).await;
    let delivering = deliver(&engine, quick());
    for (version, kind) in [("1", v1::PolicyChangeKind::Cosmetic), ("2", v1::PolicyChangeKind::Material)] {
        let material = kind == v1::PolicyChangeKind::Material;
        let request = v1::PublishPolicyRequest {
            request_id: version.to_owned(),
            version: version.to_owned(),
            effective_at: Some(ringfence::proto::well_known::Timestamp::from_millis(now().millis() + 60_000)),
            kind: kind.into(),
            reasons: if material { vec![v1::PolicyChangeReason::Recipients.into()] } else { Vec::new() },
            texts: vec![v1::PolicyText { language: "en".into(), text: version.into(), ..Default::default() }],
            summary: "Partners may call you.".to_owned(),
            who: "ann".to_owned(),
            ..Default::default()
        };
        engine.publish_policy(&permit(Role::Control), request, Clock::at(now())).await.unwrap();
    }
    until(&engine, "dialer", "confirmed", |status| status.pending == 0 && status.confirmed_until.is_some()).await;
    let got = receiver.all();
    assert_eq!(got.len(), 2, "refused once, then confirmed");
    let body: serde_json::Value = serde_json::from_str(&got[1].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["policyVersion"]), (&"policy.changed".into(), &"2".into()));
    assert!(body["data"].get("number").is_none_or(|number| number == ""));
    delivering.stop().await;
}

#[tokio::test]
async fn only_what_concerns_a_processor_is_passed_on_to_it() {
    let engine = engine();
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    let narrow = v1::Processor {
        sellers: vec!["acme".into()],
        channels: vec![v1::Channel::Call.into()],
        ..processor("dialer", &receiver.url)
    };
    put(&engine, narrow).await;
    let delivering = deliver(&engine, quick());
    let scopes = [
        (vec!["other"], vec![]),
        (vec!["Acme"], vec![v1::Channel::Text]),
        (vec!["Acme"], vec![v1::Channel::Call]),
        (vec![], vec![]),
    ];
    for (n, (sellers, channels)) in scopes.into_iter().enumerate() {
        let mut request = opt_out(&number(n), &n.to_string());
        let scope = request.scope.as_mut().unwrap();
        scope.sellers = sellers.into_iter().map(str::to_owned).collect();
        scope.channels = channels.into_iter().map(Into::into).collect();
        engine.record_opt_out(&permit(Role::WriteConsent), request, Clock::at(now())).await.unwrap();
    }
    until(&engine, "dialer", "all dealt with", |status| status.pending == 0).await;
    let got = receiver.all();
    assert_eq!(got.len(), 2);
    assert!(got[0].body.contains(&number(2)) && got[1].body.contains(&number(3)) || got[0].body.contains(&number(3)));
    let other = status(&engine, "dialer", Some(0)).await;
    assert!(other.events[0].not_concerned && !other.events[0].confirmed);
    delivering.stop().await;
}
