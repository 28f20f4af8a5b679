//! The contract over gRPC, a Rust client against a server on the loopback: every method, every refusal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "service/copies.rs"]
mod copies;
#[path = "service/decisions.rs"]
mod decisions;
#[path = "service/entries.rs"]
mod entries;
#[path = "service/faults.rs"]
mod faults;
#[path = "service/faulty.rs"]
mod faulty;
#[path = "service/import.rs"]
mod import;
#[path = "service/overload.rs"]
mod overload;
#[path = "service/places.rs"]
mod places;
#[path = "service/pressure.rs"]
mod pressure;
#[path = "service/refusals.rs"]
mod refusals;
#[path = "service/registries.rs"]
mod registries;
#[path = "service/rights.rs"]
mod rights;
#[path = "service/sizes.rs"]
mod sizes;
#[path = "service/stream.rs"]
mod stream;
mod support;

use std::sync::Arc;

use ringfence::engine::Engine;
use ringfence::proto::v1::audit_service_client::AuditServiceClient;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use ringfence::proto::v1::control_service_client::ControlServiceClient;
use ringfence::proto::v1::law_service_client::LawServiceClient;
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::{Calls, HEALTH_NAMES, HealthReporter, MESSAGE_BYTES, routes};
use support::{DAY, durable, engine, families, florida, opt_out, stamp};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_types::StatusExt as _;

/// The number of most questions.
const NUMBER: &str = "+13055550123";

/// A served engine and a way to it.
struct Served {
    channel: Channel,
    health: HealthReporter,
}

async fn serve(engine: Arc<Engine>) -> Served {
    serve_calls(Calls::new(engine)).await
}

async fn serve_calls(calls: Calls) -> Served {
    let (routes, health) = routes(calls).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    Served { channel, health }
}

impl Served {
    fn check(&self) -> CheckServiceClient<Channel> {
        CheckServiceClient::new(self.channel.clone()).max_encoding_message_size(2 * MESSAGE_BYTES)
    }

    fn consent(&self) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::new(self.channel.clone())
    }

    fn control(&self) -> ControlServiceClient<Channel> {
        ControlServiceClient::new(self.channel.clone())
    }

    fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    fn law(&self) -> LawServiceClient<Channel> {
        LawServiceClient::new(self.channel.clone())
    }

    async fn decide(&self, request: v1::CheckRequest) -> v1::Decision {
        self.check().check(request).await.unwrap().into_inner().decision.unwrap()
    }

    async fn refused(&self, request: v1::CheckRequest) -> Status {
        refusal(self.check().check(request).await)
    }
}

/// A status that is not OK, and that gives no number away.
#[track_caller]
fn refusal<T: std::fmt::Debug>(answer: Result<T, Status>) -> Status {
    let status = answer.expect_err("a refusal");
    assert_ne!(status.code(), Code::Ok);
    let told = format!("{status:?} {:?}", status.get_error_details());
    for number in ["3055550", "12125550"] {
        assert!(!told.contains(number), "a whole number in {told}");
    }
    assert!(!told.contains(faulty::PLACE), "a path in {told}");
    status
}

/// The fields at fault, in the order told.
fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request();
    bad.map(|bad| bad.field_violations.iter().map(|one| one.field.clone()).collect()).unwrap_or_default()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// A pinned question, whatever the hour.
fn pinned() -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, at: stamp(DAY), ..florida(NUMBER) }
}

/// A live question that no hour closes: a notice about an order.
fn notice() -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Informational.into(), evidence: None, ..florida(NUMBER) }
}

#[tokio::test]
async fn check_reserve_report_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let served = serve(durable.engine).await;
    let decision = served.decide(notice()).await;
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
    assert_eq!(decision.number, NUMBER);
    let (use_by, now) =
        (decision.use_by.unwrap().to_millis().unwrap(), decision.evaluated_at.unwrap().to_millis().unwrap());
    assert_eq!(use_by, now + 300_000);

    let request = v1::GetDecisionRequest { decision_id: decision.decision_id.clone() };
    let record = served.audit().get_decision(request).await.unwrap().into_inner().record.unwrap();
    assert_eq!(record.decision.as_ref(), Some(&decision));
    assert_eq!(record.request.unwrap().seller, "acme");
    assert_eq!(record.position.unwrap().sequence, 1);

    let request = v1::ReplayRequest { decision_ids: vec![decision.decision_id.clone()], ..Default::default() };
    let results = served.audit().replay(request).await.unwrap().into_inner().results;
    let Some(v1::replay_result::Result::Replayed(replayed)) = &results[0].result else { panic!("{results:?}") };
    assert!(replayed.identical && !replayed.flipped && replayed.unknown_registries.is_empty());
    assert_eq!((replayed.original.as_ref(), replayed.decision.as_ref()), (Some(&decision), Some(&decision)));
    let request = v1::ReplayRequest { decision_ids: vec![String::new(); 1_001], law: 9, facts: 9 };
    assert_eq!(fields(&refusal(served.audit().replay(request).await)), ["decision_ids", "law", "facts"]);

    let report = v1::ReportOutcomeRequest {
        number: NUMBER.to_owned(),
        attempt_id: decision.attempt_id.clone(),
        outcome: v1::Outcome::NotAttempted.into(),
        ..Default::default()
    };
    assert!(served.check().report_outcome(report).await.unwrap().into_inner().released);
    let contact = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    let contact = served.consent().get_contact(contact).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(contact.attempts.len(), 1);
    assert_eq!(contact.attempts[0].decision_id, decision.decision_id);
}

/// I1 over the wire.
#[tokio::test]
async fn an_opt_out_once_answered_is_seen_and_a_later_recorded_consent_reopens() {
    let served = serve(engine()).await;
    assert_eq!(served.decide(notice()).await.verdict(), Verdict::Allow);
    let receipt = served.consent().record_opt_out(opt_out(NUMBER, "s-1")).await.unwrap().into_inner();
    assert_eq!(receipt.number, NUMBER);
    assert_eq!(families(&served.decide(notice()).await), ["RULE_FAMILY_OPT_OUT"]);
    let mut given_at = receipt.recorded_at;
    if let Some(stamp) = &mut given_at {
        stamp.nanos += 1_000_000;
        if stamp.nanos >= 1_000_000_000 {
            (stamp.seconds, stamp.nanos) = (stamp.seconds + 1, 0);
        }
    }
    // The clock must have reached the instant of the consent: one in the future is refused.
    while ringfence::service::now().millis() < given_at.unwrap().to_millis().unwrap() {
        tokio::task::yield_now().await;
    }
    let consent = v1::Consent {
        grade: v1::ConsentGrade::Express.into(),
        given_at,
        evidence_ref: "call-9".to_owned(),
        ..Default::default()
    };
    let request = v1::RecordConsentRequest {
        number: NUMBER.to_owned(),
        request_id: "c-1".to_owned(),
        consent: Some(consent),
        ..Default::default()
    };
    let receipt = served.consent().record_consent(request).await.unwrap().into_inner();
    assert_eq!(receipt.consent_id, receipt.receipt_id, "an id is given where none was");
    assert_eq!(served.decide(notice()).await.verdict(), Verdict::Allow);
}

/// I1 by text: what the person wrote is in force once it is answered.
#[tokio::test]
async fn a_text_that_says_stop_is_recorded_and_confirmed() {
    let served = serve(engine()).await;
    assert_eq!(served.decide(notice()).await.verdict(), Verdict::Allow);
    let request = v1::ProcessInboundRequest {
        number: NUMBER.to_owned(),
        request_id: "sms-1".to_owned(),
        text: "please stop texting me".to_owned(),
        seller: "acme".to_owned(),
        ..Default::default()
    };
    let answer = served.consent().process_inbound(request.clone()).await.unwrap().into_inner();
    assert_eq!((answer.meaning(), answer.number.as_str()), (v1::InboundMeaning::Stop, NUMBER));
    let (recorded, reply) = (answer.recorded_at.unwrap().to_millis().unwrap(), answer.reply.clone().unwrap());
    assert_eq!(reply.send_by.unwrap().to_millis().unwrap(), recorded + 300_000);
    assert_eq!(families(&served.decide(notice()).await), ["RULE_FAMILY_OPT_OUT"]);
    assert_eq!(served.consent().process_inbound(request.clone()).await.unwrap().into_inner(), answer);

    let other = v1::ProcessInboundRequest { text: "HELP".to_owned(), ..request.clone() };
    assert_eq!(refusal(served.consent().process_inbound(other).await).code(), Code::AlreadyExists);
    let faulty = v1::ProcessInboundRequest { text: "s".repeat(8_193), request_id: String::new(), ..request };
    let status = refusal(served.consent().process_inbound(faulty).await);
    assert_eq!(
        (status.code(), fields(&status)),
        (Code::InvalidArgument, vec!["request_id".to_owned(), "text".to_owned()])
    );
}

/// The stop button over the wire.
#[tokio::test]
async fn a_freeze_once_answered_is_seen_and_a_lifted_one_is_not() {
    let served = serve(engine()).await;
    let target = v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) };
    let request = v1::FreezeRequest {
        request_id: "f-1".to_owned(),
        target: Some(target.clone()),
        who: "ann".to_owned(),
        why: "Wrong prices.".to_owned(),
        until: None,
    };
    let answer = served.control().freeze(request).await.unwrap().into_inner();
    let frozen = answer.freeze.unwrap();
    assert_eq!((frozen.freeze_id.as_str(), frozen.target), (answer.receipt_id.as_str(), Some(target)));
    assert_eq!(families(&served.decide(notice()).await), ["RULE_FAMILY_POLICY"]);
    let listed = served.control().list_freezes(v1::ListFreezesRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.freezes.len(), 1);
    let request = v1::UnfreezeRequest {
        request_id: "u-1".to_owned(),
        freeze_id: frozen.freeze_id,
        who: "bob".to_owned(),
        why: "Corrected.".to_owned(),
    };
    let lifted = served.control().unfreeze(request).await.unwrap().into_inner().freeze.unwrap();
    assert_eq!(lifted.lifted_by, "bob");
    assert_eq!(served.decide(notice()).await.verdict(), Verdict::Allow);
    let refused = refusal(served.control().freeze(v1::FreezeRequest::default()).await);
    assert_eq!(fields(&refused), ["request_id", "target", "who", "why"]);
    let refused = refusal(served.control().declare_emergency(v1::DeclareEmergencyRequest::default()).await);
    assert_eq!(fields(&refused), ["request_id", "jurisdiction", "title", "source", "who"]);
    let refused = refusal(served.control().end_emergency(v1::EndEmergencyRequest::default()).await);
    assert_eq!(fields(&refused), ["request_id", "emergency_id", "who", "why"]);
}

#[tokio::test]
async fn facts_are_updated_and_the_law_is_shown() {
    let served = serve(engine()).await;
    let request = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u-1".to_owned(),
        facts: Some(v1::ContactFacts { residence: "US-TX".to_owned(), ..Default::default() }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    };
    assert_eq!(served.consent().update_contact(request).await.unwrap().into_inner().version, 1);
    let decision = served.decide(notice()).await;
    assert!(decision.jurisdictions.contains(&"US-TX".to_owned()), "{:?}", decision.jurisdictions);

    let packs = served.law().list_packs(v1::ListPacksRequest {}).await.unwrap().into_inner();
    assert_eq!(packs.rules_version, decision.rules_version);
    for rule_id in packs.packs.iter().flat_map(|pack| &pack.rule_ids) {
        let request = v1::GetRuleRequest { rule_id: rule_id.clone() };
        let rule = served.law().get_rule(request).await.unwrap().into_inner().rule.unwrap();
        assert_eq!(&rule.rule_id, rule_id);
        assert!(!rule.summary.is_empty() && !rule.citation.is_empty() && !rule.toml.is_empty(), "{rule_id}");
    }
    let request = v1::CalendarRequest {
        place: "US-FL".to_owned(),
        time_zone: "America/New_York".to_owned(),
        purpose: v1::Purpose::Marketing.into(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        from: stamp(DAY),
        days: 1,
        evidence: florida(NUMBER).evidence,
        ..Default::default()
    };
    let calendar = served.law().calendar(request).await.unwrap().into_inner();
    assert_eq!(calendar.windows.last().unwrap().ends_at, stamp("2026-11-19T01:00:00Z"));
}

#[tokio::test]
async fn health_answers_for_every_service_and_changes() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Said;
    use tonic_health::pb::health_client::HealthClient;
    let served = serve(engine()).await;
    let mut client = HealthClient::new(served.channel.clone());
    for (status, said) in [(ServingStatus::Serving, Said::Serving), (ServingStatus::NotServing, Said::NotServing)] {
        for name in HEALTH_NAMES {
            served.health.set_service_status(name, status).await;
            let request = HealthCheckRequest { service: name.to_owned() };
            assert_eq!(client.check(request).await.unwrap().into_inner().status(), said, "{name}");
        }
    }
    let unknown = HealthCheckRequest { service: "ringfence.v1.NoService".to_owned() };
    assert_eq!(refusal(client.check(unknown).await).code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_serves_the_contract_and_the_details_of_errors() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let served = serve(engine()).await;
    let mut client = ServerReflectionClient::new(served.channel.clone());
    let questions = ["ringfence.v1.CheckService", "google.rpc.BadRequest", "google.rpc.Status"];
    let questions: Vec<_> = questions
        .into_iter()
        .map(|symbol| MessageRequest::FileContainingSymbol(symbol.to_owned()))
        .chain([MessageRequest::ListServices(String::new())])
        .map(|question| ServerReflectionRequest { host: String::new(), message_request: Some(question) })
        .collect();
    let asked = questions.len();
    let mut answers = client.server_reflection_info(tokio_stream::iter(questions)).await.unwrap().into_inner();
    let mut services = Vec::new();
    for _ in 0..asked {
        match answers.message().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(files) => assert!(!files.file_descriptor_proto.is_empty()),
            MessageResponse::ListServicesResponse(list) => {
                services.extend(list.service.into_iter().map(|one| one.name))
            }
            other => panic!("{other:?}"),
        }
    }
    for name in HEALTH_NAMES.into_iter().filter(|name| !name.is_empty()) {
        assert!(services.iter().any(|service| service == name), "{name} among {services:?}");
    }
    assert!(!services.iter().any(|name| name.contains(".store.")), "what is stored is nobody's business");
}

#[tokio::test]
async fn what_is_unknown_or_taken_says_so() {
    let served = serve(engine()).await;
    let mut consent = served.consent();
    let contact = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    let decision = v1::GetDecisionRequest { decision_id: "01a1ffff-0000-7000-8000-000000000000".to_owned() };
    let report = v1::ReportOutcomeRequest {
        number: NUMBER.to_owned(),
        attempt_id: "a-1".to_owned(),
        outcome: v1::Outcome::Busy.into(),
        ..Default::default()
    };
    for status in [
        refusal(consent.get_contact(contact).await),
        refusal(served.audit().get_decision(decision).await),
        refusal(served.law().get_rule(v1::GetRuleRequest { rule_id: "us.nothing".to_owned() }).await),
        refusal(served.check().report_outcome(report).await),
    ] {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NOT_FOUND"), "{status:?}");
    }

    let named = v1::CheckRequest { attempt_id: "a-1".to_owned(), ..notice() };
    assert_eq!(served.decide(named.clone()).await.verdict(), Verdict::Allow);
    let other = v1::CheckRequest { subject: "another".to_owned(), ..named };
    consent.record_opt_out(opt_out(NUMBER, "s-1")).await.unwrap();
    let reworded = v1::RecordOptOutRequest { wording: "stop".to_owned(), ..opt_out(NUMBER, "s-1") };
    for status in [served.refused(other).await, refusal(consent.record_opt_out(reworded).await)] {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "ALREADY_EXISTS"), "{status:?}");
    }
}
