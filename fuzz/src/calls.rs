//! Every call of the contract: the message that it is asked with, and the ways to ask it. In process, over the same routes
//! as `serve` has.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message;
use ringfence::access::{Gate, GateSettings};
use ringfence::proto::{json, rpc, v1};
use ringfence::service::{Calls, routes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tower::ServiceExt as _;

use super::house;

/// What every message of the contract is.
pub trait Asked: Message + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned {}

impl<M: Message + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned> Asked for M {}

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// `CheckService/Check`.
    pub method: &'static str,
    /// Where it is asked over HTTP by POST; empty: nowhere.
    pub path: &'static str,
    /// The message of these bytes comes back from its own bytes; `None`: they are none.
    pub read: fn(&[u8]) -> Option<()>,
    /// The message of this JSON comes back from its own JSON and its own bytes; or the field at fault, where one is known.
    pub read_json: fn(&[u8]) -> Result<(), Option<String>>,
    /// A message made of JSON, as bytes.
    pub bytes_of: fn(&Value) -> Vec<u8>,
}

impl Call {
    const fn of<M: Asked>(method: &'static str, path: &'static str) -> Self {
        Self { method, path, read: read::<M>, read_json: read_json::<M>, bytes_of: bytes_of::<M> }
    }

    /// The call of this method.
    pub fn named(method: &str) -> Self {
        *CALLS.iter().find(|call| call.method == method).expect("a call of the contract")
    }
}

fn read<M: Asked>(bytes: &[u8]) -> Option<()> {
    let message = M::decode(bytes).ok()?;
    house::round_trip(&message);
    // What JSON cannot say (an instant of no year, a term of no name) it does not write.
    if let Ok(text) = serde_json::to_vec(&message)
        && let Ok(again) = json::read::<M>(&text)
    {
        house::round_trip(&again);
    }
    Some(())
}

fn read_json<M: Asked>(text: &[u8]) -> Result<(), Option<String>> {
    match json::read::<M>(text) {
        Ok(message) => {
            house::round_trip(&message);
            let written = serde_json::to_vec(&message).expect("what was JSON is JSON again");
            let again = json::read::<M>(&written);
            assert!(again.is_ok_and(|again| again == message), "{message:?}");
            Ok(())
        }
        Err(error) => {
            house::said(&error.to_string());
            Err(error.field().map(str::to_owned))
        }
    }
}

fn bytes_of<M: Asked>(json: &Value) -> Vec<u8> {
    serde_json::from_value::<M>(json.clone()).expect("a message of the contract").encode_to_vec()
}

macro_rules! calls {
    ($($request:ident $method:literal $path:literal,)*) => {
        &[$(Call::of::<v1::$request>($method, $path),)*]
    };
}

/// All of them; a test holds them to the descriptors.
pub const CALLS: &[Call] = calls! {
    GetDecisionRequest "AuditService/GetDecision" "",
    ListDecisionsRequest "AuditService/ListDecisions" "/v1/decisions:list",
    ReplayRequest "AuditService/Replay" "/v1/decisions:replay",
    GetSelfCheckRequest "AuditService/GetSelfCheck" "",
    CheckRequest "CheckService/Check" "/v1/check",
    CheckBatchRequest "CheckService/CheckBatch" "/v1/check:batch",
    CheckStreamRequest "CheckService/CheckStream" "",
    ReportOutcomeRequest "CheckService/ReportOutcome" "/v1/outcomes:report",
    RecordConsentRequest "ConsentService/RecordConsent" "/v1/consents:record",
    RecordOptOutRequest "ConsentService/RecordOptOut" "/v1/opt-outs:record",
    GetContactRequest "ConsentService/GetContact" "/v1/contacts:get",
    UpdateContactRequest "ConsentService/UpdateContact" "/v1/contacts:update",
    ProcessInboundRequest "ConsentService/ProcessInbound" "/v1/inbound:process",
    ImportContactsRequest "ConsentService/ImportContacts" "",
    WatchOptOutsRequest "ConsentService/WatchOptOuts" "",
    FreezeRequest "ControlService/Freeze" "/v1/control:freeze",
    UnfreezeRequest "ControlService/Unfreeze" "/v1/control:unfreeze",
    ListFreezesRequest "ControlService/ListFreezes" "/v1/control:listFreezes",
    DeclareEmergencyRequest "ControlService/DeclareEmergency" "/v1/control:declareEmergency",
    EndEmergencyRequest "ControlService/EndEmergency" "/v1/control:endEmergency",
    ListEmergenciesRequest "ControlService/ListEmergencies" "/v1/control:listEmergencies",
    OpenIncidentRequest "IncidentService/OpenIncident" "/v1/incidents:open",
    UpdateIncidentRequest "IncidentService/UpdateIncident" "/v1/incidents:update",
    AddAffectedContactsRequest "IncidentService/AddAffectedContacts" "/v1/incidents:addAffected",
    MarkContactsToldRequest "IncidentService/MarkContactsTold" "/v1/incidents:markTold",
    GetIncidentRequest "IncidentService/GetIncident" "/v1/incidents:get",
    ListIncidentsRequest "IncidentService/ListIncidents" "/v1/incidents:list",
    ListNoticesRequest "IncidentService/ListNotices" "/v1/incidents:listNotices",
    ListPacksRequest "LawService/ListPacks" "",
    GetRuleRequest "LawService/GetRule" "",
    CalendarRequest "LawService/Calendar" "/v1/law/calendar",
    PublishPolicyRequest "PolicyService/PublishPolicy" "/v1/policies:publish",
    GetPolicyRequest "PolicyService/GetPolicy" "/v1/policies:get",
    ListPoliciesRequest "PolicyService/ListPolicies" "/v1/policies:list",
    ListOvertakenConsentsRequest "PolicyService/ListOvertakenConsents" "/v1/policies:listOvertakenConsents",
    TransferSellerRequest "PolicyService/TransferSeller" "/v1/sellers:transfer",
    ListSellerTransfersRequest "PolicyService/ListSellerTransfers" "/v1/sellers:listTransfers",
    OpenRequestRequest "PrivacyService/OpenRequest" "/v1/requests:open",
    ExportContactRequest "PrivacyService/ExportContact" "/v1/contacts:export",
    EraseContactRequest "PrivacyService/EraseContact" "/v1/contacts:erase",
    ListRequestsRequest "PrivacyService/ListRequests" "/v1/requests:list",
    GetRequestRequest "PrivacyService/GetRequest" "/v1/requests:get",
    ResolveRequestRequest "PrivacyService/ResolveRequest" "/v1/requests:resolve",
    PlaceHoldRequest "PrivacyService/PlaceHold" "/v1/contacts:placeHold",
    LiftHoldRequest "PrivacyService/LiftHold" "/v1/contacts:liftHold",
    PutProcessorRequest "ProcessorService/PutProcessor" "/v1/processors:put",
    RemoveProcessorRequest "ProcessorService/RemoveProcessor" "/v1/processors:remove",
    ResumeProcessorRequest "ProcessorService/ResumeProcessor" "/v1/processors:resume",
    ListProcessorsRequest "ProcessorService/ListProcessors" "/v1/processors:list",
    GetProcessorStatusRequest "ProcessorService/GetProcessorStatus" "/v1/processors:status",
    ConfirmOptOutsRequest "ProcessorService/ConfirmOptOuts" "/v1/opt-outs:confirm",
    ListRegistriesRequest "RegistryService/ListRegistries" "/v1/registries:list",
    LookUpRequest "RegistryService/LookUp" "/v1/registries:lookUp",
    PutListRequest "RegistryService/PutList" "/v1/lists:put",
    AddToListRequest "RegistryService/AddToList" "/v1/lists:add",
    RemoveFromListRequest "RegistryService/RemoveFromList" "/v1/lists:remove",
    SweepContactsRequest "RetentionService/SweepContacts" "/v1/retention:sweep",
    PlaceRetentionHoldRequest "RetentionService/PlaceRetentionHold" "/v1/retention:placeHold",
    ReleaseRetentionHoldRequest "RetentionService/ReleaseRetentionHold" "/v1/retention:releaseHold",
    ListRetentionHoldsRequest "RetentionService/ListRetentionHolds" "/v1/retention:listHolds",
    OffBoardRequest "RetentionService/OffBoard" "/v1/retention:offBoard",
    ExportContactsRequest "RetentionService/ExportContacts" "/v1/retention:export",
};

/// A server in this process, without a socket.
pub struct Server {
    grpc: Router,
    http: Router,
}

impl Server {
    /// With nothing in its store.
    pub fn new() -> Self {
        Self::of(Calls::new(house::engine()))
    }

    /// The same, of which so much is asked already that a further check is one too many.
    pub fn full() -> Self {
        let gate = Arc::new(Gate::new(GateSettings { checks: 1, ..GateSettings::default() }));
        // Never ends.
        std::mem::forget(gate.enter_anyway(ringfence::access::Lane::Check, None));
        Self::of(Calls::new(house::engine()).behind(gate))
    }

    fn of(calls: Calls) -> Self {
        let (grpc, _) = routes(calls.clone()).expect("descriptors that load");
        Self { grpc: grpc.prepare().into_axum_router(), http: ringfence::http::router(calls) }
    }

    /// Sends a body over gRPC, and hands back status and message bytes of the answers.
    pub fn send(&self, method: &str, body: Vec<u8>) -> Answered {
        let request = Request::post(format!("/ringfence.v1.{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(body))
            .expect("a request");
        let endless = method.ends_with("/WatchOptOuts");
        house::wait(async {
            let (head, body) = self.grpc.clone().oneshot(request).await.expect("an answer").into_parts();
            assert_eq!(head.status, StatusCode::OK);
            if let Some(status) = status(&head.headers) {
                return Answered { status, messages: Vec::new() };
            }
            if endless {
                return Answered { status: tonic::Status::ok(""), messages: Vec::new() };
            }
            let body = tokio::time::timeout(Duration::from_secs(60), body.collect()).await.expect("an end");
            let body = body.expect("a whole body");
            let status = body.trailers().and_then(status).expect("a status");
            Answered { status, messages: unframed(&body.to_bytes()) }
        })
    }

    /// Sends JSON over HTTP.
    pub fn post(&self, path: &str, text: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::post(path).body(Body::from(text)).expect("a request");
        house::wait(async {
            let (head, body) = self.http.clone().oneshot(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("a whole body").to_bytes();
            (head.status, serde_json::from_slice(&body).expect("an answer in JSON"))
        })
    }
}

/// What came back over gRPC.
pub struct Answered {
    pub status: tonic::Status,
    /// The messages, without their frames.
    pub messages: Vec<Bytes>,
}

impl Answered {
    /// The one message of a call that went well, and `None` of one that was refused; whatever is the server's own fault is
    /// neither.
    pub fn sound<M: Message + Default>(&self) -> Option<M> {
        refusal(&self.status);
        if self.status.code() != tonic::Code::Ok {
            return None;
        }
        let [message] = self.messages.as_slice() else { panic!("{} answers to one call", self.messages.len()) };
        Some(M::decode(message.clone()).expect("a message"))
    }
}

/// What holds of every status: it is nobody's secret, and no fault of the server's.
pub fn refusal(status: &tonic::Status) {
    use tonic::Code::{DataLoss, DeadlineExceeded, Internal, Ok, Unavailable, Unimplemented, Unknown};
    assert!(
        !matches!(status.code(), Unknown | Internal | DataLoss | Unimplemented | Unavailable | DeadlineExceeded),
        "{status:?}"
    );
    if status.code() != Ok {
        house::said(status.message());
        let details = rpc::Status::decode(status.details()).expect("details");
        assert_eq!((details.code, details.message.as_str()), (status.code() as i32, status.message()));
        assert!(!details.details.is_empty(), "a refusal without its reason: {status:?}");
    }
}

fn status(headers: &HeaderMap) -> Option<tonic::Status> {
    tonic::Status::from_header_map(headers)
}

/// A message in its frame: not compressed.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

fn unframed(mut body: &[u8]) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let Some(([0, length @ ..], rest)) = body.split_first_chunk::<5>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(Bytes::copy_from_slice(message));
        body = rest;
    }
    assert!(body.is_empty(), "whole frames");
    messages
}
