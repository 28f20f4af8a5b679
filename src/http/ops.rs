//! What an operator and an orchestrator ask.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderValue, StatusCode, header};

use super::json::{Asked, refusal};
use crate::access::Role;
use crate::service::{Calls, now};

type Answer = http::Response<Body>;

fn answer(code: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Answer::new(Body::from(text));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// `GET /livez`: the process runs.
pub(super) async fn alive() -> Answer {
    answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".to_owned())
}

/// `GET /readyz`: whether answers can be given; names what is not ready.
pub(super) async fn ready(State(calls): State<Calls>, Asked(incoming): Asked) -> Answer {
    let engine = calls.server();
    // Asked by anybody, as often as they like: the store is not asked for it.
    let (faults, age) = calls.not_ready().await;
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let ready = faults.is_empty();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if incoming.caller.permit(Role::Operate).is_err() {
        let parts: Vec<_> = faults.iter().map(|(part, _)| *part).collect();
        let body = serde_json::json!({ "ready": ready, "notReady": parts, "ageMs": age });
        return answer(code, "application/json", format!("{body}\n"));
    }
    let faults: serde_json::Map<_, _> = faults.into_iter().map(|(part, why)| (part.to_owned(), why.into())).collect();
    let lists = engine.registries().faults();
    let alarms = engine.metrics().self_check_alarms();
    let body = serde_json::json!({
        "ready": ready,
        "notReady": faults,
        // How long ago that was found, in milliseconds.
        "ageMs": age,
        "rulesVersion": engine.law().version(),
        // A list that could not be read does not make the server unready: its rule denies.
        // Nor does a region: the others are answered.
        "regionsDown": engine.regions_down().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "registryFaults": lists.iter().map(ToString::to_string).collect::<Vec<_>>(),
        // Opted-out contacts that the self-check found not denied for it since the start. See /v1/selfcheck.
        "selfCheckAlarms": alarms,
    });
    answer(code, "application/json", format!("{body}\n"))
}

/// `GET /metrics`: OpenMetrics text.
pub(super) async fn metrics(State(calls): State<Calls>, Asked(incoming): Asked) -> Answer {
    if let Err(status) = calls.may_operate("Metrics", &incoming) {
        return refusal(&status);
    }
    let engine = calls.server();
    let (faults, _) = calls.not_ready().await;
    engine.metrics().ready(faults.iter().map(|(part, _)| *part));
    calls.measure_tenants(now());
    calls.measure();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    answer(StatusCode::OK, kind, engine.metrics().text())
}
