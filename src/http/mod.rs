//! The same calls as JSON over HTTP, for those who speak it before gRPC; and what an operator asks.
//!
//! Promises: the JSON of an answer is the proto3 mapping of the message gRPC would send; an error is a `google.rpc.Status`
//! with the HTTP status that belongs to it. Must never hold logic of its own. Guarded by `tests/http.rs`.

mod json;
mod ops;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::service::{Calls, MESSAGE_BYTES};

/// Every route.
pub fn router(calls: Calls) -> Router {
    Router::new()
        .route("/v1/check", post(json::check))
        .route("/v1/check:batch", post(json::check_batch))
        .route("/v1/outcomes:report", post(json::report_outcome))
        .route("/v1/consents:record", post(json::record_consent))
        .route("/v1/opt-outs:record", post(json::record_opt_out))
        .route("/v1/contacts:get", post(json::get_contact))
        .route("/v1/contacts:update", post(json::update_contact))
        .route("/v1/inbound:process", post(json::process_inbound))
        .route("/v1/control:freeze", post(json::freeze))
        .route("/v1/control:unfreeze", post(json::unfreeze))
        .route("/v1/control:listFreezes", post(json::list_freezes))
        .route("/v1/control:declareEmergency", post(json::declare_emergency))
        .route("/v1/control:endEmergency", post(json::end_emergency))
        .route("/v1/control:listEmergencies", post(json::list_emergencies))
        .route("/v1/processors:put", post(json::put_processor))
        .route("/v1/processors:remove", post(json::remove_processor))
        .route("/v1/processors:resume", post(json::resume_processor))
        .route("/v1/processors:list", post(json::list_processors))
        .route("/v1/processors:status", post(json::get_processor_status))
        .route("/v1/opt-outs:confirm", post(json::confirm_opt_outs))
        .route("/v1/selfcheck", get(json::get_self_check))
        .route("/v1/decisions/{decision_id}", get(json::get_decision))
        .route("/v1/decisions:list", post(json::list_decisions))
        .route("/v1/law/packs", get(json::list_packs))
        .route("/v1/law/rules/{rule_id}", get(json::get_rule))
        .route("/v1/law/calendar", post(json::calendar))
        .route("/v1/decisions:replay", post(json::replay))
        .route("/v1/shadow", get(json::shadow))
        .route("/v1/requests:open", post(json::open_request))
        .route("/v1/requests:list", post(json::list_requests))
        .route("/v1/requests:get", post(json::get_request))
        .route("/v1/requests:resolve", post(json::resolve_request))
        .route("/v1/contacts:export", post(json::export_contact))
        .route("/v1/contacts:erase", post(json::erase_contact))
        .route("/v1/contacts:placeHold", post(json::place_hold))
        .route("/v1/contacts:liftHold", post(json::lift_hold))
        .route("/livez", get(ops::alive))
        .route("/readyz", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .fallback(json::no_such_path)
        .method_not_allowed_fallback(json::no_such_method)
        .layer(axum::middleware::from_fn(json::refuse_browsers))
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES))
        .with_state(calls)
}
