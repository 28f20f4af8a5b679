//! PrivacyService over gRPC: the whole life of an erasure, and what is refused.

use ringfence::proto::v1::privacy_service_client::PrivacyServiceClient;
use ringfence::proto::v1::{self, RightsRequestKind as Kind, RightsRequestState as State, RightsRequestStep as Step};
use tonic::Code;
use tonic::transport::Channel;

use super::support::{durable, opt_out};
use super::{NUMBER, Served, fields, notice, reason, refusal, serve};

fn privacy(served: &Served) -> PrivacyServiceClient<Channel> {
    PrivacyServiceClient::new(served.channel.clone())
}

fn open(kind: Kind, id: &str) -> v1::OpenRequestRequest {
    v1::OpenRequestRequest {
        number: NUMBER.to_owned(),
        request_id: id.to_owned(),
        kind: kind.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_erasure_from_its_request_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(durable(folder.path()).await.engine).await;
    let mut privacy = privacy(&served);
    let decision = served.decide(notice()).await;
    served.consent().record_opt_out(opt_out(NUMBER, "s-1")).await.unwrap();
    let opened = privacy.open_request(open(Kind::Erasure, "r-1")).await.unwrap().into_inner();
    let request = opened.request.unwrap();
    assert_eq!((request.state(), request.number.as_str()), (State::AwaitingIdentity, NUMBER));
    assert!(request.due_at.is_some() && !opened.receipt_id.is_empty());
    let erase = v1::EraseContactRequest {
        number: NUMBER.to_owned(),
        request_id: "x-1".to_owned(),
        reason: v1::ErasureReason::Requested.into(),
        rights_request_id: request.rights_request_id.clone(),
        ..Default::default()
    };
    let early = refusal(privacy.erase_contact(erase.clone()).await);
    assert_eq!((early.code(), fields(&early)), (Code::InvalidArgument, vec!["rights_request_id".to_owned()]));
    let verify = v1::ResolveRequestRequest {
        rights_request_id: request.rights_request_id.clone(),
        request_id: "v-1".to_owned(),
        step: Step::VerifyIdentity.into(),
        who: "ann".to_owned(),
        note: "called back".to_owned(),
        ..Default::default()
    };
    let shown = privacy.resolve_request(verify).await.unwrap().into_inner().request.unwrap();
    assert_eq!(shown.state(), State::Open);
    let hold = v1::PlaceHoldRequest {
        number: NUMBER.to_owned(),
        request_id: "h-1".to_owned(),
        record_class: "attempts".to_owned(),
        reason: "A claim is pending.".to_owned(),
        who: "legal".to_owned(),
        ..Default::default()
    };
    let held = privacy.place_hold(hold).await.unwrap().into_inner().hold.unwrap();
    let lift = v1::LiftHoldRequest {
        number: NUMBER.to_owned(),
        request_id: "l-1".to_owned(),
        hold_id: held.hold_id,
        who: "legal".to_owned(),
        why: "Settled.".to_owned(),
        ..Default::default()
    };
    assert!(privacy.lift_hold(lift).await.unwrap().into_inner().recorded_at.is_some());
    let export =
        v1::ExportContactRequest { number: NUMBER.to_owned(), request_id: "e-1".to_owned(), ..Default::default() };
    let exported = privacy.export_contact(export).await.unwrap().into_inner();
    assert_eq!(exported.decisions[0].decision.as_ref().unwrap().decision_id, decision.decision_id);
    let erased = privacy.erase_contact(erase.clone()).await.unwrap().into_inner();
    assert!(erased.erased_at.is_some());
    assert_eq!(privacy.erase_contact(erase).await.unwrap().into_inner(), erased);
    let asked = v1::GetRequestRequest { rights_request_id: request.rights_request_id };
    let done = privacy.get_request(asked).await.unwrap().into_inner().request.unwrap();
    assert_eq!((done.state(), done.number.as_str()), (State::Done, ""));
    let listed = privacy.list_requests(v1::ListRequestsRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.requests.len(), listed.overdue), (1, 0));
    let asked = v1::GetDecisionRequest { decision_id: decision.decision_id };
    let record = served.audit().get_decision(asked).await.unwrap().into_inner().record.unwrap();
    assert!(record.erased && record.request.is_none());
    assert_eq!(served.decide(notice()).await.verdict(), v1::Verdict::Deny);
}

#[tokio::test]
async fn refusals_name_the_field_and_no_number() {
    let served = serve(super::engine()).await;
    let mut privacy = privacy(&served);
    let bad = refusal(privacy.open_request(v1::OpenRequestRequest::default()).await);
    assert_eq!(fields(&bad), ["number", "request_id", "kind"]);
    privacy.open_request(open(Kind::Complaint, "one")).await.unwrap();
    let other = refusal(privacy.open_request(open(Kind::Access, "one")).await);
    assert_eq!((other.code(), reason(&other).as_str()), (Code::AlreadyExists, "ALREADY_EXISTS"));
    let none = v1::GetRequestRequest { rights_request_id: uuid::Uuid::nil().to_string() };
    assert_eq!(refusal(privacy.get_request(none).await).code(), Code::NotFound);
    assert_eq!(fields(&refusal(privacy.get_request(v1::GetRequestRequest::default()).await)), ["rights_request_id"]);
    let step = refusal(privacy.resolve_request(v1::ResolveRequestRequest::default()).await);
    assert_eq!(fields(&step), ["rights_request_id", "request_id", "who", "step"]);
    let hold = refusal(privacy.place_hold(v1::PlaceHoldRequest::default()).await);
    assert_eq!(fields(&hold), ["number", "request_id", "record_class", "reason", "who"]);
    let lift = refusal(privacy.lift_hold(v1::LiftHoldRequest::default()).await);
    assert_eq!(fields(&lift), ["number", "request_id", "hold_id", "who", "why"]);
    let erase = refusal(privacy.erase_contact(v1::EraseContactRequest::default()).await);
    assert_eq!(fields(&erase), ["number", "request_id", "reason"]);
    let export = refusal(privacy.export_contact(v1::ExportContactRequest::default()).await);
    assert_eq!(fields(&export), ["number", "request_id"]);
}
