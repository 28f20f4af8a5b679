//! What is recorded of a text, what may be replied, and what a check says afterwards.

use ringfence::access::Role;
use ringfence::contact::wire::Violation;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1::{self, InboundMeaning, Verdict};

use crate::support::{DAY, clock, durable, engine, families, florida, permit, stamp};

const FLORIDA: &str = "+13055550123";
const FRANCE: &str = "+33612345678";
const LATER: &str = "2026-11-18T16:02:00Z";

fn inbound(number: &str, id: &str, text: &str) -> v1::ProcessInboundRequest {
    v1::ProcessInboundRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        text: text.to_owned(),
        ..Default::default()
    }
}

async fn process(engine: &Engine, request: v1::ProcessInboundRequest, now: &str) -> v1::ProcessInboundResponse {
    engine.process_inbound(&permit(Role::WriteConsent), request, clock(now)).await.unwrap()
}

fn consent() -> v1::Consent {
    v1::Consent {
        grade: v1::ConsentGrade::ExpressWritten.into(),
        flags: vec![v1::ConsentFlag::Separate.into(), v1::ConsentFlag::Night.into()],
        given_at: stamp("2026-11-01T16:00:00Z"),
        method: v1::ConsentMethod::WebForm.into(),
        evidence_ref: "form-7".to_owned(),
        notice_given: Some(true),
        ..Default::default()
    }
}

fn text(number: &str, purpose: v1::Purpose, seller: &str) -> v1::CheckRequest {
    let mut request = florida(number);
    request.channel = v1::Channel::Text.into();
    request.purpose = purpose.into();
    request.line_type = v1::LineType::Mobile.into();
    request.seller = seller.to_owned();
    request.evidence.as_mut().unwrap().consents = vec![consent()];
    request
}

/// Sends a text: a check that allows, and so reserves.
async fn send(engine: &Engine, number: &str, purpose: v1::Purpose, seller: &str, now: &str) {
    let decision = engine.check(&permit(Role::Check), text(number, purpose, seller), clock(now)).await.unwrap();
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
}

async fn opted_out(engine: &Engine, number: &str, purpose: v1::Purpose, seller: &str) -> bool {
    let request = v1::CheckRequest { dry_run: true, ..text(number, purpose, seller) };
    let decision = engine.check(&permit(Role::Check), request, clock(LATER)).await.unwrap();
    assert_eq!(decision.verdict() == Verdict::Allow, decision.reasons.is_empty());
    families(&decision).contains(&"RULE_FAMILY_OPT_OUT") || families(&decision).contains(&"RULE_FAMILY_OBJECTION")
}

fn scope(answer: &v1::ProcessInboundResponse) -> v1::OptOutScope {
    answer.opt_out.clone().expect("an opt-out").scope.expect("its scope")
}

fn sellers(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// I1: what the last text was about, from its seller, and nothing else.
#[tokio::test]
async fn a_stop_takes_its_purpose_and_seller_from_the_last_text() {
    let engine = engine();
    send(&engine, FLORIDA, v1::Purpose::Informational, "other", "2026-11-18T15:00:00Z").await;
    send(&engine, FLORIDA, v1::Purpose::Marketing, "acme", DAY).await;
    let answer = process(&engine, inbound(FLORIDA, "m-1", "Stop"), LATER).await;
    assert_eq!((answer.meaning(), answer.number.as_str()), (InboundMeaning::Stop, FLORIDA));
    assert_eq!((answer.matched.as_str(), answer.rule_id.as_str()), ("stop", "us.keywords"));
    let marketing = vec![v1::Purpose::Marketing.into()];
    assert_eq!(
        scope(&answer),
        v1::OptOutScope { purposes: marketing, sellers: sellers(&["acme"]), ..Default::default() }
    );
    let opt_out = answer.opt_out.unwrap();
    assert_eq!((opt_out.source(), opt_out.at), (v1::OptOutSource::TextReply, stamp(LATER)));
    assert_eq!(opt_out.opt_out_id, answer.receipt_id);
    assert!(opted_out(&engine, FLORIDA, v1::Purpose::Marketing, "acme").await);
    assert!(!opted_out(&engine, FLORIDA, v1::Purpose::Informational, "acme").await);
    assert!(!opted_out(&engine, FLORIDA, v1::Purpose::Informational, "other").await);
    let contact = v1::GetContactRequest { number: FLORIDA.to_owned(), ..Default::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &contact, crate::support::READ_AT).await.unwrap();
    assert_eq!(contact.opt_outs[0].wording, "Stop");
}

#[tokio::test]
async fn where_the_last_text_is_unknown_a_stop_closes_everything() {
    let engine = engine();
    let mut named = inbound(FLORIDA, "m-1", "STOP");
    named.seller = "acme".to_owned();
    let answer = process(&engine, named, LATER).await;
    assert_eq!(scope(&answer), v1::OptOutScope { everything: true, sellers: sellers(&["acme"]), ..Default::default() });
    assert!(opted_out(&engine, FLORIDA, v1::Purpose::Informational, "acme").await);
    assert!(!opted_out(&engine, FLORIDA, v1::Purpose::Informational, "other").await);
    let answer = process(&engine, inbound(FLORIDA, "m-2", "STOP"), LATER).await;
    assert_eq!(scope(&answer), v1::OptOutScope { everything: true, ..Default::default() });
    assert!(opted_out(&engine, FLORIDA, v1::Purpose::Informational, "other").await);
}

#[tokio::test]
async fn words_and_law_may_widen_a_stop() {
    let engine = engine();
    let everything = v1::OptOutScope { everything: true, sellers: sellers(&["acme"]), ..Default::default() };
    send(&engine, FLORIDA, v1::Purpose::Marketing, "acme", DAY).await;
    for (id, words) in [("m-1", "STOP ALL"), ("m-2", "leave me alone"), ("m-3", "wrong number")] {
        assert_eq!(scope(&process(&engine, inbound(FLORIDA, id, words), LATER).await), everything, "{words}");
    }
    // The FCC's rule on exempt informational messages; elsewhere the purpose is that of the text.
    for (number, wide) in [("+13055550124", true), (FRANCE, false)] {
        send(&engine, number, v1::Purpose::Informational, "acme", DAY).await;
        let found = scope(&process(&engine, inbound(number, "m-1", "STOP"), LATER).await);
        assert_eq!(found == everything, wide, "{found:?}");
        let narrow: [i32; 2] = [v1::Purpose::Informational.into(), v1::Purpose::Marketing.into()];
        assert_eq!(found.purposes == narrow, !wide, "{found:?}");
    }
    // Of another seller nothing was sent.
    let mut other = inbound(FRANCE, "m-2", "STOP");
    other.seller = "other".to_owned();
    assert_eq!(scope(&process(&engine, other, LATER).await).sellers, ["other"]);
    // What was sent after the text came in is not what it answers.
    let mut late = inbound("+13055550125", "m-1", "STOP");
    late.received_at = stamp("2026-11-18T15:59:00Z");
    send(&engine, "+13055550125", v1::Purpose::Marketing, "acme", DAY).await;
    assert_eq!(scope(&process(&engine, late, LATER).await), v1::OptOutScope { everything: true, ..Default::default() });
}

#[tokio::test]
async fn the_same_request_again_is_one_write_with_one_answer() {
    let engine = engine();
    send(&engine, FLORIDA, v1::Purpose::Marketing, "acme", DAY).await;
    let mut answers = Vec::new();
    for (id, words) in [("a", "STOP"), ("b", "HELP"), ("c", "who is this"), ("d", "START"), ("e", "stop"), ("f", "yes")]
    {
        answers.push((inbound(FLORIDA, id, words), process(&engine, inbound(FLORIDA, id, words), LATER).await));
    }
    // Whatever else happened since.
    send(&engine, FLORIDA, v1::Purpose::Informational, "acme", "2026-11-18T17:00:00Z").await;
    process(&engine, inbound(FLORIDA, "g", "STOP"), "2026-11-18T18:00:00Z").await;
    for (request, first) in &answers {
        assert_eq!(&process(&engine, request.clone(), "2026-11-18T19:00:00Z").await, first, "{}", request.request_id);
    }
    let contact = v1::GetContactRequest { number: FLORIDA.to_owned(), ..Default::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &contact, crate::support::READ_AT).await.unwrap();
    assert_eq!(contact.opt_outs.len(), 3);
    let other = engine.process_inbound(&permit(Role::WriteConsent), inbound(FLORIDA, "c", "STOP"), clock(LATER)).await;
    assert!(matches!(other, Err(Failure::AlreadyExists(_))), "{other:?}");
    assert!(!opted_out(&engine, FRANCE, v1::Purpose::Informational, "acme").await);
}

#[tokio::test]
async fn a_stop_is_confirmed_once_and_in_time() {
    let engine = engine();
    send(&engine, FLORIDA, v1::Purpose::Marketing, "acme", DAY).await;
    let first = process(&engine, inbound(FLORIDA, "m-1", "STOP"), LATER).await.reply.expect("a confirmation");
    assert_eq!(first.send_by, stamp("2026-11-18T16:07:00Z"));
    assert!(first.text.starts_with("acme: ") && first.text.len() <= 160, "{}", first.text);
    assert_eq!(process(&engine, inbound(FLORIDA, "m-2", "STOP!!"), LATER).await.reply, None, "already confirmed");
    // One that a gateway recorded itself, and may have confirmed, counts too.
    let by_gateway = v1::RecordOptOutRequest {
        number: FRANCE.to_owned(),
        request_id: "g-1".to_owned(),
        scope: Some(v1::OptOutScope { sellers: sellers(&["acme"]), ..Default::default() }),
        source: v1::OptOutSource::TextReply.into(),
        ..Default::default()
    };
    engine.record_opt_out(&permit(Role::WriteConsent), by_gateway, clock(DAY)).await.unwrap();
    let mut again = inbound(FRANCE, "m-1", "STOP");
    again.seller = "acme".to_owned();
    assert_eq!(process(&engine, again, LATER).await.reply, None, "already confirmed");
    let wider = process(&engine, inbound(FLORIDA, "m-3", "STOP ALL"), LATER).await;
    assert!(wider.reply.is_some(), "more was closed than was confirmed");
    // After a new consent a stop is a new one.
    let request = v1::RecordConsentRequest {
        number: FLORIDA.to_owned(),
        request_id: "c-1".to_owned(),
        consent: Some(v1::Consent { given_at: stamp("2026-11-18T17:00:00Z"), ..consent() }),
        ..Default::default()
    };
    engine.record_consent(&permit(Role::WriteConsent), request, clock("2026-11-18T17:00:01Z")).await.unwrap();
    assert!(process(&engine, inbound(FLORIDA, "m-4", "STOP"), "2026-11-18T18:00:00Z").await.reply.is_some());
}

#[tokio::test]
async fn a_stop_processed_late_is_recorded_and_in_the_united_states_not_confirmed() {
    let engine = engine();
    for (number, now, confirmed) in [
        (FLORIDA, "2026-11-18T16:05:00.001Z", false),
        ("+13055550124", "2026-11-18T16:05:00Z", true),
        (FRANCE, "2026-11-18T16:30:00Z", true),
    ] {
        let mut request = inbound(number, "m-1", "STOP");
        request.received_at = stamp(DAY);
        let answer = process(&engine, request, now).await;
        assert_eq!(answer.meaning(), InboundMeaning::Stop);
        assert_eq!(answer.opt_out.as_ref().unwrap().at, stamp(DAY));
        assert_eq!(answer.reply.is_some(), confirmed, "{number}");
    }
    // It was not confirmed, so the next one may be.
    assert!(process(&engine, inbound(FLORIDA, "m-2", "STOP"), "2026-11-18T16:06:00Z").await.reply.is_some());
    // A clock that is ahead: taken as now.
    let mut ahead = inbound("+13055550125", "m-1", "STOP");
    ahead.received_at = stamp("2026-11-18T23:00:00Z");
    let answer = process(&engine, ahead, LATER).await;
    assert_eq!(answer.opt_out.unwrap().at, stamp(LATER));
    assert_eq!(answer.reply.unwrap().send_by, stamp("2026-11-18T16:07:00Z"));
}

#[tokio::test]
async fn a_reply_is_in_the_language_of_the_words_or_of_the_place() {
    let engine = engine();
    for (number, words, begins) in [
        (FLORIDA, "STOP", "Your request"),
        (FLORIDA, "désabonnez-moi", "Votre demande"),
        (FLORIDA, "退订", "您的退订"),
        (FRANCE, "STOP", "Votre demande"),
        ("+41791234567", "STOP", "Your request"),
        ("+41791234567", "ABMELDEN", "Ihr Wunsch"),
        ("+4915112345678", "wrong number", "Your request"),
        ("+8613812345678", "TD", "您的退订"),
        (FRANCE, "HELP", "Pour ne plus"),
        (FLORIDA, "HELP", "To get no more"),
    ] {
        let text = process(&engine, inbound(number, words, words), LATER).await.reply;
        // A second stop of one number is not confirmed: ask somebody else.
        let Some(reply) = text else { continue };
        assert!(reply.text.starts_with(begins), "{number} {words}: {}", reply.text);
    }
}

#[tokio::test]
async fn help_is_answered_whatever_else_holds_and_a_start_lifts_nothing() {
    let engine = engine();
    send(&engine, FLORIDA, v1::Purpose::Marketing, "acme", DAY).await;
    let meaning = async |id: &str, words: &str| process(&engine, inbound(FLORIDA, id, words), LATER).await;
    assert_eq!(meaning("m-0", "yes").await.meaning(), InboundMeaning::Nothing, "an answer to any question");
    meaning("m-1", "STOP").await;
    for id in ["m-2", "m-3"] {
        let help = meaning(id, "HELP").await;
        assert_eq!((help.meaning(), help.opt_out), (InboundMeaning::Help, None));
        let reply = help.reply.expect("an answer");
        assert!(reply.text.starts_with("acme: ") && reply.send_by.is_none(), "{reply:?}");
    }
    for (id, words) in [("m-4", "START"), ("m-5", "yes"), ("m-6", "UNSTOP")] {
        let start = meaning(id, words).await;
        assert_eq!((start.meaning(), start.opt_out, start.reply), (InboundMeaning::Start, None, None), "{words}");
    }
    assert!(opted_out(&engine, FLORIDA, v1::Purpose::Marketing, "acme").await);
    assert_eq!(meaning("m-7", "Yes, see you at five").await.meaning(), InboundMeaning::Nothing);
}

/// I8: also what means nothing leaves its entry, and is answered only once it is safe.
#[tokio::test]
async fn every_text_leaves_an_audit_entry() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    for (id, words) in [("m-1", "hello"), ("m-2", "STOP"), ("m-3", "HELP"), ("m-4", "START"), ("m-5", "")] {
        let answer = process(&durable.engine, inbound(FLORIDA, id, words), LATER).await;
        let receipt = uuid::Uuid::parse_str(&answer.receipt_id).unwrap();
        let logged = std::fs::read_dir(folder.path().join("data/audit")).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
            assert!(!bytes.windows(7).any(|window| window == b"5550123"), "a number in the log");
            bytes.windows(16).any(|window| window == receipt.as_bytes())
        });
        assert!(logged, "{words}");
    }
}

#[tokio::test]
async fn every_fault_of_a_request_is_told_by_its_field() {
    let engine = engine();
    type Spoil = fn(&mut v1::ProcessInboundRequest);
    let faults: [(&str, Spoil); 9] = [
        ("number", |r| r.number = "+1305".to_owned()),
        ("number", |r| r.number.clear()),
        ("default_region", |r| r.default_region = "XXX".to_owned()),
        ("request_id", |r| r.request_id.clear()),
        ("request_id", |r| r.request_id = "r".repeat(129)),
        ("text", |r| r.text = "s".repeat(8 * 1024 + 1)),
        ("received_at", |r| r.received_at = stamp("1234-01-01T00:00:00Z")),
        ("sent_to", |r| r.sent_to = "2".repeat(129)),
        ("seller", |r| r.seller = "acme\n".to_owned()),
    ];
    for (field, spoil) in faults {
        let mut request = inbound(FLORIDA, "m-1", "STOP");
        spoil(&mut request);
        let refused = engine.process_inbound(&permit(Role::WriteConsent), request, clock(LATER)).await;
        let Err(Failure::Invalid(violations)) = refused else { panic!("{field}: {refused:?}") };
        let fields: Vec<&str> = violations.iter().map(|Violation { field, .. }| field.as_str()).collect();
        assert_eq!(fields, [field]);
        assert!(violations.iter().all(|violation| !violation.message.contains("5550123")));
    }
    let mut longest = inbound(FLORIDA, "m-2", &"stop ".repeat(1639)[..8 * 1024]);
    longest.sent_to = "22000".to_owned();
    assert_eq!(process(&engine, longest, LATER).await.meaning(), InboundMeaning::Stop);
}

/// Two gateways hand in stops of one number at once: each is recorded, each is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_texts_are_each_recorded() {
    let engine = engine();
    let racers: Vec<_> = (0..16)
        .map(|id| {
            let engine = std::sync::Arc::clone(&engine);
            tokio::spawn(async move { process(&engine, inbound(FLORIDA, &format!("m-{id}"), "STOP"), LATER).await })
        })
        .collect();
    let mut confirmed = 0;
    for racer in racers {
        confirmed += usize::from(racer.await.unwrap().reply.is_some());
    }
    assert_eq!(confirmed, 1, "one confirmation, however many texts");
    let contact = v1::GetContactRequest { number: FLORIDA.to_owned(), ..Default::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &contact, crate::support::READ_AT).await.unwrap();
    assert_eq!(contact.opt_outs.len(), 16);
}
