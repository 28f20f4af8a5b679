//! JSON to message, the same call as over gRPC, message to JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::proto::weigh::{FREE, LIGHT, Weighed};
use crate::proto::{json, room, v1};
use crate::service::{CONTROL_BYTES, Calls, Incoming, MESSAGE_BYTES, TIMEOUT_HEADER, guard, status};

type Answer = http::Response<Body>;
type Sent = Result<Bytes, BytesRejection>;
type Segment = Result<Path<String>, PathRejection>;

/// What is wrong with a path that does not read.
const NOT_TEXT: &str = "the path is not UTF-8";

/// The reason for what does not read, in the log.
const MALFORMED: &str = "MALFORMED_REQUEST";

/// A request with who asks.
pub(super) struct Asked(pub Incoming);

impl FromRequestParts<Calls> for Asked {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, calls: &Calls) -> Result<Self, Self::Rejection> {
        let told = match parts.headers.get(TIMEOUT_HEADER) {
            None => None,
            Some(value) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
                Some(millis) => Some(millis),
                // Answered without it, a caller would wait for longer than it meant to.
                None => {
                    let why = "not a whole number of milliseconds";
                    return Err(refusal(&status::unreadable(Some(TIMEOUT_HEADER), why)));
                }
            },
        };
        Ok(Self(calls.incoming(&parts.extensions, told.map(Duration::from_millis))))
    }
}

#[allow(clippy::result_large_err, reason = "the refusal is the answer itself, handed on once")]
fn read<T: DeserializeOwned + Weighed>(
    calls: &Calls,
    incoming: &Incoming,
    call: &str,
    sent: Sent,
) -> Result<T, Answer> {
    // What is wrong with it stands in the answer alone: it may be somebody's.
    let refused = |reason, why: &'static str| calls.refused(incoming, &call, reason, &why);
    let bytes = sent.map_err(|rejected| match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            refused("TOO_LARGE", "the body is longer than is read");
            let message = format!(
                "the body is longer than the {MESSAGE_BYTES} bytes that are accepted, of a switch of control {CONTROL_BYTES}"
            );
            let mut answer = refusal(&status::refused(Code::OutOfRange, "TOO_LARGE", message));
            *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            answer
        }
        // It did not come whole, which was told by whoever waited for it.
        _ => refusal(&status::unreadable(None, &rejected.body_text())),
    })?;
    if let Some(layout) = T::LAYOUT.filter(|_| bytes.len() > LIGHT) {
        let weighed = layout.weigh_json(&bytes, FREE);
        let weight = weighed.map_err(|heavy| {
            refused("TOO_LARGE", "the body would take more memory than a message may");
            let field = heavy.field();
            refusal(&status::unreadable(Some(field.as_str()).filter(|field| !field.is_empty()), heavy.why()))
        })?;
        room::take(weight).map_err(|status| refusal(&status))?;
    }
    json::read(&bytes).map_err(|error| {
        refused(MALFORMED, "the body does not read as the message");
        refusal(&status::unreadable(error.field(), &error.to_string()))
    })
}

fn answer<T: Serialize>(result: Result<T, Status>) -> Answer {
    match result {
        Ok(message) => body(StatusCode::OK, &message),
        Err(status) => refusal(&status),
    }
}

fn body<T: Serialize>(code: StatusCode, message: &T) -> Answer {
    let (code, text) = match serde_json::to_vec(message) {
        Ok(text) => (code, text),
        Err(error) => {
            tracing::error!(%error, "an answer does not write as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut answer = Answer::new(Body::from(text));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A status with the HTTP code that belongs to it (google.rpc.Code).
pub(super) fn refusal(status: &Status) -> Answer {
    let code = match status.code() {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut answer = body(code, &status::message(status));
    if matches!(status.code(), Code::Unavailable | Code::Aborted | Code::ResourceExhausted) {
        // In whole seconds, and never too early.
        let wait = status.get_details_retry_info().and_then(|retry| retry.retry_delay).unwrap_or_default();
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status.code() == Code::Unauthenticated {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        pub(super) async fn $name(State(calls): State<Calls>, Asked(incoming): Asked, sent: Sent) -> Answer {
            match read(&calls, &incoming, stringify!($name), sent) {
                Ok(request) => answer(calls.$name(incoming, request).await),
                Err(refused) => refused,
            }
        }
    )*};
}

calls! {
    /// `POST /v1/check`
    check,
    /// `POST /v1/check:batch`
    check_batch,
    /// `POST /v1/outcomes:report`
    report_outcome,
    /// `POST /v1/consents:record`
    record_consent,
    /// `POST /v1/opt-outs:record`
    record_opt_out,
    /// `POST /v1/contacts:get`
    get_contact,
    /// `POST /v1/contacts:update`
    update_contact,
    /// `POST /v1/inbound:process`
    process_inbound,
    /// `POST /v1/control:freeze`
    freeze,
    /// `POST /v1/control:unfreeze`
    unfreeze,
    /// `POST /v1/control:listFreezes`
    list_freezes,
    /// `POST /v1/control:declareEmergency`
    declare_emergency,
    /// `POST /v1/control:endEmergency`
    end_emergency,
    /// `POST /v1/control:listEmergencies`
    list_emergencies,
    /// `POST /v1/decisions:list`
    list_decisions,
    /// `POST /v1/decisions:replay`
    replay,
    /// `POST /v1/processors:put`
    put_processor,
    /// `POST /v1/processors:remove`
    remove_processor,
    /// `POST /v1/processors:resume`
    resume_processor,
    /// `POST /v1/processors:list`
    list_processors,
    /// `POST /v1/processors:status`
    get_processor_status,
    /// `POST /v1/opt-outs:confirm`
    confirm_opt_outs,
    /// `POST /v1/requests:open`
    open_request,
    /// `POST /v1/requests:list`
    list_requests,
    /// `POST /v1/requests:get`
    get_request,
    /// `POST /v1/requests:resolve`
    resolve_request,
    /// `POST /v1/contacts:export`
    export_contact,
    /// `POST /v1/contacts:erase`
    erase_contact,
    /// `POST /v1/contacts:placeHold`
    place_hold,
    /// `POST /v1/contacts:liftHold`
    lift_hold,
    /// `POST /v1/policies:publish`
    publish_policy,
    /// `POST /v1/policies:get`
    get_policy,
    /// `POST /v1/policies:list`
    list_policies,
    /// `POST /v1/policies:listOvertakenConsents`
    list_overtaken_consents,
    /// `POST /v1/sellers:transfer`
    transfer_seller,
    /// `POST /v1/sellers:listTransfers`
    list_seller_transfers,
    /// `POST /v1/retention:sweep`
    sweep_contacts,
    /// `POST /v1/retention:placeHold`
    place_retention_hold,
    /// `POST /v1/retention:releaseHold`
    release_retention_hold,
    /// `POST /v1/retention:listHolds`
    list_retention_holds,
    /// `POST /v1/retention:offBoard`
    off_board,
    /// `POST /v1/retention:export`
    export_contacts,
    /// `POST /v1/incidents:open`
    open_incident,
    /// `POST /v1/incidents:update`
    update_incident,
    /// `POST /v1/incidents:addAffected`
    add_affected_contacts,
    /// `POST /v1/incidents:markTold`
    mark_contacts_told,
    /// `POST /v1/incidents:get`
    get_incident,
    /// `POST /v1/incidents:list`
    list_incidents,
    /// `POST /v1/incidents:listNotices`
    list_notices,
    /// `POST /v1/registries:list`
    list_registries,
    /// `POST /v1/registries:lookUp`
    look_up,
    /// `POST /v1/lists:put`
    put_list,
    /// `POST /v1/lists:add`
    add_to_list,
    /// `POST /v1/lists:remove`
    remove_from_list,
}

fn not_text(calls: &Calls, incoming: &Incoming, field: &str) -> Answer {
    calls.refused(incoming, &"a look-up", MALFORMED, &NOT_TEXT);
    refusal(&status::unreadable(Some(field), NOT_TEXT))
}

/// `GET /v1/decisions/{decision_id}`
pub(super) async fn get_decision(State(calls): State<Calls>, path: Segment, Asked(incoming): Asked) -> Answer {
    let Ok(Path(decision_id)) = path else { return not_text(&calls, &incoming, "decision_id") };
    answer(calls.get_decision(incoming, v1::GetDecisionRequest { decision_id }).await)
}

/// `GET /v1/shadow`
pub(super) async fn shadow(State(calls): State<Calls>, Asked(incoming): Asked) -> Answer {
    answer(calls.shadow(&incoming))
}

/// `GET /v1/selfcheck`
pub(super) async fn get_self_check(State(calls): State<Calls>, Asked(incoming): Asked) -> Answer {
    answer(calls.get_self_check(incoming).await)
}

/// `GET /v1/law/packs`
pub(super) async fn list_packs(State(calls): State<Calls>, Asked(incoming): Asked) -> Answer {
    answer(calls.list_packs(&incoming))
}

/// `GET /v1/law/rules/{rule_id}`
pub(super) async fn get_rule(State(calls): State<Calls>, path: Segment, Asked(incoming): Asked) -> Answer {
    let Ok(Path(rule_id)) = path else { return not_text(&calls, &incoming, "rule_id") };
    answer(calls.get_rule(&incoming, &v1::GetRuleRequest { rule_id }))
}

/// `POST /v1/law/calendar`
pub(super) async fn calendar(State(calls): State<Calls>, Asked(incoming): Asked, sent: Sent) -> Answer {
    match read(&calls, &incoming, "calendar", sent) {
        Ok(request) => answer(calls.calendar(&incoming, &request)),
        Err(refused) => refused,
    }
}

/// Anything else.
pub(super) async fn no_such_path(State(calls): State<Calls>, request: Request) -> Answer {
    let (reason, why) = ("NO_SUCH_PATH", "there is nothing at this path");
    calls.refused_unread(request.extensions(), request.uri().path(), reason, &why);
    let path: String = request.uri().path().chars().take(64).collect();
    // A number may have been put into the path by mistake: digits are not said back.
    let path: String = path.chars().map(|c| if c.is_ascii_digit() { '•' } else { c }).collect();
    let message = format!("there is nothing at {path}; checks go to POST /v1/check");
    refusal(&status::refused(Code::NotFound, reason, message))
}

/// The right path, the wrong method.
pub(super) async fn no_such_method(State(calls): State<Calls>, request: Request) -> Answer {
    let (reason, message) = ("NO_SUCH_METHOD", "this path takes another method: calls are POST, look-ups GET");
    calls.refused_unread(request.extensions(), request.uri().path(), reason, &message);
    let mut answer = refusal(&status::refused(Code::Unimplemented, reason, message));
    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    answer
}

/// Lets those through who may ask, and those who ask what anybody may know.
pub(super) async fn admit(State(calls): State<Calls>, request: Request, next: Next) -> Answer {
    let Some(access) = calls.access() else { return next.run(request).await };
    // Nothing that is shown makes a difference there, so nothing is looked at.
    if request.uri().path() == super::ALIVE {
        return next.run(request).await;
    }
    let open = request.uri().path() == super::READY;
    match guard::admit_route(access, &calls, request, open).await {
        Ok((request, pass)) => guard::held(next.run(request).await, pass),
        Err(status) => refusal(&status),
    }
}

/// A page in somebody's browser must not reach a server that trusts whoever reaches it: the API is for programs, which
/// send no `Origin`.
pub(super) async fn refuse_browsers(State(calls): State<Calls>, request: Request, next: Next) -> Answer {
    if request.headers().contains_key(header::ORIGIN) {
        let (reason, message) = ("WEB_PAGE", "this API is for programs: requests from web pages are refused");
        calls.refused_unread(request.extensions(), request.uri().path(), reason, &message);
        return refusal(&status::refused(Code::PermissionDenied, reason, message));
    }
    next.run(request).await
}
