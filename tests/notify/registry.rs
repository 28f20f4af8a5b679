//! The list of processors: what is refused, what is audited, secrets, and those who watch.

use super::receiver::{Answer, Receiver};
use super::{SECRET, deliver, number, processor, put, quick, say_stop, status, until};
use crate::support::{clock, durable, engine, opt_out, permit};
use futures_util::StreamExt as _;
use ringfence::access::Role;
use ringfence::engine::{Clock, Failure};
use ringfence::proto::v1::{self, ProcessorState};
use ringfence::service::now;
use ringfence::time::Instant;

fn request(id: &str, processor: v1::Processor) -> v1::PutProcessorRequest {
    v1::PutProcessorRequest {
        request_id: id.to_owned(),
        processor: Some(processor),
        who: "ann".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_processor_without_contract_assessment_or_purpose_is_not_registered() {
    let engine = engine();
    let none = v1::Processor { name: "Dialer 1".into(), url: "http://example.com".into(), ..Default::default() };
    let refused = engine.put_processor(&permit(Role::Control), request("r", none), clock("2026-05-04T12:00:00Z")).await;
    let Err(Failure::Invalid(faults)) = refused else { panic!("{refused:?}") };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    let wanted = ["name", "url", "purpose", "contract_ref", "assessed_on"].map(|field| format!("processor.{field}"));
    assert_eq!(fields, wanted);
    let late = v1::Processor { assessed_on: "2026-05-06".into(), ..processor("a", "") };
    let refused = engine.put_processor(&permit(Role::Control), request("r", late), clock("2026-05-04T12:00:00Z")).await;
    assert!(matches!(refused, Err(Failure::Invalid(_))));
    let short =
        v1::PutProcessorRequest { secret: "whsec_QUJD".into(), ..request("r", processor("a", "https://a.example")) };
    let refused = engine.put_processor(&permit(Role::Control), short, Clock::at(now())).await;
    assert!(matches!(refused, Err(Failure::Invalid(_))));
}

#[tokio::test]
async fn a_secret_is_made_once_told_once_and_stands_in_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let engine = durable(folder.path()).await.engine;
    let permit_ = permit(Role::Control);
    let asked = request("r-1", processor("dialer", "https://dialer.example/x"));
    let first = engine.put_processor(&permit_, asked.clone(), Clock::at(now())).await.unwrap();
    assert!(first.secret.starts_with("whsec_"));
    let again = engine.put_processor(&permit_, asked, Clock::at(now())).await.unwrap();
    assert_eq!(again, first, "the same request is one write with one answer");
    let changed = v1::Processor { purpose: "Other calls".into(), ..processor("dialer", "https://dialer.example/x") };
    let kept = engine.put_processor(&permit_, request("r-2", changed), Clock::at(now())).await.unwrap();
    assert_eq!(kept.secret, "", "the one there is stays");
    assert_eq!(kept.processor.unwrap().registered_at, first.processor.clone().unwrap().registered_at);
    let signing = |engine: std::sync::Arc<ringfence::engine::Engine>| async move {
        engine.registered(now()).await.unwrap()[0].keys.len()
    };
    assert_eq!(signing(engine.clone()).await, 1);
    put(&engine, processor("dialer", "https://dialer.example/x")).await;
    assert_eq!(signing(engine.clone()).await, 2, "the one before signs too for a day");
    let audit = std::fs::read_dir(folder.path().join("data/audit")).unwrap();
    for file in audit.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(file).unwrap();
        for secret in [&first.secret[6..], &SECRET[6..]] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
        }
    }
    let shown = format!("{first:?}");
    assert!(!shown.contains(&first.secret), "{shown}");
}

#[tokio::test]
async fn one_that_was_removed_is_remembered_and_its_name_is_free() {
    let engine = engine();
    put(&engine, processor("dialer", "https://dialer.example/x")).await;
    let remove = |id: &str| v1::RemoveProcessorRequest {
        request_id: id.to_owned(),
        name: "dialer".to_owned(),
        who: "bob".to_owned(),
        why: "The contract ended.".to_owned(),
    };
    let removed = engine.remove_processor(&permit(Role::Control), remove("x"), Clock::at(now())).await.unwrap();
    assert!(removed.processor.unwrap().removed_at.is_some());
    let twice = engine.remove_processor(&permit(Role::Control), remove("y"), Clock::at(now())).await;
    assert!(matches!(twice, Err(Failure::NotFound(_))));
    put(&engine, processor("dialer", "https://dialer.example/y")).await;
    let list = async |history| {
        let request = v1::ListProcessorsRequest { history };
        engine.list_processors(&permit(Role::Audit), &request).await.unwrap().processors.len()
    };
    assert_eq!((list(false).await, list(true).await), (1, 2));
}

/// A processor that asks for itself confirms by the tokens that it brings back.
#[tokio::test]
async fn one_that_watches_confirms_by_its_tokens() {
    let engine = engine();
    put(&engine, processor("gateway", "")).await;
    say_stop(&engine, 1).await;
    let reader = permit(Role::ReadContacts);
    let from = Some(ringfence::proto::well_known::Timestamp::from_millis(0));
    let first = v1::WatchOptOutsRequest { from, watcher: "gateway".into(), ..Default::default() };
    let beat = std::time::Duration::from_secs(5);
    let mut events = Box::pin(engine.watch_opt_outs(&reader, first, now, beat).await.unwrap());
    let token = loop {
        let response = events.next().await.unwrap().unwrap();
        if response.event.is_some() {
            break response.resume_token;
        }
    };
    let before = status(&engine, "gateway", Some(1)).await;
    assert_eq!((before.state(), before.pending), (ProcessorState::Watching, 1), "told is not confirmed");
    assert!(!before.events[0].confirmed);
    let confirm =
        v1::ConfirmOptOutsRequest { watcher: "gateway".into(), resume_token: token.clone(), ..Default::default() };
    engine.confirm_opt_outs(&reader, &confirm, now()).await.unwrap();
    let after = status(&engine, "gateway", Some(1)).await;
    assert_eq!(after.pending, 0);
    assert!(after.events[0].confirmed);
    let other = v1::ConfirmOptOutsRequest { watcher: "nobody".into(), ..confirm };
    assert!(matches!(engine.confirm_opt_outs(&reader, &other, now()).await, Err(Failure::NotFound(_))));
    say_stop(&engine, 2).await;
    assert_eq!(status(&engine, "gateway", None).await.pending, 1);
}

/// Whoever recorded it may have a clock that is behind, or have been slow: what is on its way around the registration is
/// told, and what was long before is not.
#[tokio::test]
async fn an_opt_out_dated_just_before_the_registration_is_told() {
    let engine = engine();
    let receiver = Receiver::start(|_| Answer::Status(200)).await;
    put(&engine, processor("dialer", &receiver.url)).await;
    for (n, before) in [(1, 5_000), (2, 3_600_000)] {
        let at = Clock::at(Instant::from_millis(now().millis() - before));
        let request = opt_out(&number(n), &n.to_string());
        engine.record_opt_out(&permit(Role::WriteConsent), request, at).await.unwrap();
    }
    assert_eq!(status(&engine, "dialer", None).await.pending, 1);
    let delivering = deliver(&engine, quick());
    until(&engine, "dialer", "confirmed", |status| status.pending == 0).await;
    delivering.stop().await;
    let got = receiver.all();
    assert!(got.len() == 1 && got[0].body.contains(&number(1)), "{got:?}");
    let [near, long_ago] = [1, 2].map(|n| status(&engine, "dialer", Some(n)));
    assert!(near.await.events[0].confirmed);
    assert!(long_ago.await.events[0].not_concerned);
}
