//! The same calls as JSON over HTTP, for those who speak it before gRPC; and what an operator asks.
//!
//! Promises: the JSON of an answer is the proto3 mapping of the message gRPC would send; an error is a `google.rpc.Status`
//! with the HTTP status that belongs to it. Must never hold logic of its own. Guarded by `tests/http.rs`.

mod json;
mod local;
mod ops;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};

use crate::service::{CONTROL_BYTES, Calls, MESSAGE_BYTES, gated_http};

/// What anybody may ask: whether the process runs, and whether it can answer. Without the role `operate` the latter names what
/// is not ready, and not why.
const ALIVE: &str = "/livez";
const READY: &str = "/readyz";

/// Routes, and their paths: calls are named by them where they are traced.
#[derive(Default)]
struct Routes {
    router: Router<Calls>,
    paths: Vec<&'static str>,
}

impl Routes {
    fn route(mut self, path: &'static str, to: MethodRouter<Calls>) -> Self {
        self.paths.push(path);
        let to = if path.starts_with("/v1/control:") { to.layer(DefaultBodyLimit::max(CONTROL_BYTES)) } else { to };
        Self { router: Router::route(self.router, path, to), paths: self.paths }
    }
}

/// Every route.
pub fn router(calls: Calls) -> Router {
    let Routes { router, paths } = Routes::default()
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
        .route("/v1/policies:publish", post(json::publish_policy))
        .route("/v1/policies:get", post(json::get_policy))
        .route("/v1/policies:list", post(json::list_policies))
        .route("/v1/policies:listOvertakenConsents", post(json::list_overtaken_consents))
        .route("/v1/sellers:transfer", post(json::transfer_seller))
        .route("/v1/sellers:listTransfers", post(json::list_seller_transfers))
        .route("/v1/retention:sweep", post(json::sweep_contacts))
        .route("/v1/retention:placeHold", post(json::place_retention_hold))
        .route("/v1/retention:releaseHold", post(json::release_retention_hold))
        .route("/v1/retention:listHolds", post(json::list_retention_holds))
        .route("/v1/retention:offBoard", post(json::off_board))
        .route("/v1/retention:export", post(json::export_contacts))
        .route("/v1/incidents:open", post(json::open_incident))
        .route("/v1/incidents:update", post(json::update_incident))
        .route("/v1/incidents:addAffected", post(json::add_affected_contacts))
        .route("/v1/incidents:markTold", post(json::mark_contacts_told))
        .route("/v1/incidents:get", post(json::get_incident))
        .route("/v1/incidents:list", post(json::list_incidents))
        .route("/v1/incidents:listNotices", post(json::list_notices))
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
        .route("/v1/registries:list", post(json::list_registries))
        .route("/v1/registries:lookUp", post(json::look_up))
        .route("/v1/lists:put", post(json::put_list))
        .route("/v1/lists:add", post(json::add_to_list))
        .route("/v1/lists:remove", post(json::remove_from_list))
        .route("/livez", get(ops::alive))
        .route("/readyz", get(ops::ready))
        .route("/metrics", get(ops::metrics));
    let router =
        router.fallback(json::no_such_path).method_not_allowed_fallback(json::no_such_method).with_state(calls.clone());
    // Who asks is found out first: nobody who is unknown takes a place of those who are known.
    let alone = calls.access().is_none();
    let router = gated_http(router, &paths, &calls, json::refusal)
        .layer(axum::middleware::from_fn_with_state(calls.clone(), json::admit));
    let local = axum::middleware::from_fn_with_state(calls.clone(), local::refuse_other_names);
    let router = if alone { router.layer(local) } else { router };
    router
        .layer(axum::middleware::from_fn_with_state(calls, json::refuse_browsers))
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES))
}
