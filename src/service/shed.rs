//! What is refused where more comes than is answered in time: once it is known who asks, and before anything of the request
//! is looked at but its path, since a refusal that costs as much as an answer saves nothing.
//!
//! Promises: health, the switches of control and EMERGENCY are never refused; streams are, each burst of checks by itself;
//! a refusal says when to ask again, and nothing was done of what it was about. Guarded by `tests/service/overload.rs`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::{Calls, grpc, guard, peek, status};
use crate::access::{Busy, Gate, Lane};
use crate::telemetry::Traces;

/// The most bytes of a check that is about to be refused that are looked into: what is refused must stay cheap.
const LOOKED_INTO: usize = 1 << 20;

/// How a service is spoken to.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Grpc,
    /// With what makes an answer of a refusal.
    Json(fn(&Status) -> Response<Body>),
}

/// What a path is to the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    /// It goes on whatever happens.
    Always,
    /// A check, or several, among which may be one in an emergency.
    Checks {
        /// A batch of them.
        many: bool,
    },
    /// What else is asked.
    Of(Lane),
}

impl Path {
    /// Of a method's full name.
    fn of_method(path: &str) -> Self {
        match path.strip_prefix("/ringfence.v1.") {
            Some("CheckService/Check") => Self::Checks { many: false },
            Some("CheckService/CheckBatch") => Self::Checks { many: true },
            // They end when their callers like; the bursts of the first are counted by themselves.
            Some("CheckService/CheckStream" | "ConsentService/ImportContacts" | "ConsentService/WatchOptOuts") => {
                Self::Always
            }
            Some("ConsentService/RecordOptOut" | "ConsentService/ProcessInbound") => Self::Of(Lane::OptOut),
            Some("ProcessorService/ConfirmOptOuts" | "RegistryService/AddToList") => Self::Of(Lane::OptOut),
            Some("PrivacyService/OpenRequest" | "PrivacyService/EraseContact") => Self::Of(Lane::OptOut),
            Some("CheckService/ReportOutcome" | "ConsentService/RecordConsent" | "ConsentService/UpdateContact") => {
                Self::Of(Lane::Fact)
            }
            Some(path) if path.starts_with("ControlService/") => Self::Always,
            Some(_) => Self::Of(Lane::Other),
            None if path.starts_with("/grpc.health.") => Self::Always,
            None => Self::Of(Lane::Other),
        }
    }

    /// Of a path over HTTP.
    fn of_route(path: &str) -> Self {
        match path {
            "/v1/check" => Self::Checks { many: false },
            "/v1/check:batch" => Self::Checks { many: true },
            "/v1/opt-outs:record" | "/v1/inbound:process" | "/v1/opt-outs:confirm" => Self::Of(Lane::OptOut),
            "/v1/lists:add" | "/v1/requests:open" | "/v1/contacts:erase" => Self::Of(Lane::OptOut),
            "/v1/outcomes:report" | "/v1/consents:record" | "/v1/contacts:update" => Self::Of(Lane::Fact),
            "/livez" | "/readyz" | "/metrics" => Self::Always,
            path if path.starts_with("/v1/control:") => Self::Always,
            _ => Self::Of(Lane::Other),
        }
    }
}

/// The services of gRPC behind a gate.
#[must_use]
pub fn gated(routes: Routes, calls: &Calls) -> Routes {
    shed(routes.prepare().into_axum_router(), calls, Wire::Grpc).into()
}

/// The routes of HTTP behind a gate.
pub fn gated_http(router: Router, calls: &Calls, refuse: fn(&Status) -> Response<Body>) -> Router {
    shed(router, calls, Wire::Json(refuse))
}

fn shed(inner: Router, calls: &Calls, wire: Wire) -> Router {
    let refusals = Arc::new((0..Busy::WAITS).map(refusal).collect());
    // No route of its own: whatever the path, it is asked.
    let (gate, traces) = (Arc::clone(calls.gate()), calls.traces().cloned());
    Router::new().fallback_service(Shed { inner, gate, traces, wire, refusals })
}

/// Refusals of gRPC, made once: headers alone, one for each wait.
fn refusal(wait: usize) -> HeaderMap {
    let after = Busy::after(wait);
    let (mut parts, ()) = status::overloaded(after).into_http::<()>().into_parts();
    // What clients of gRPC with a retry policy go by.
    let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    parts.headers.insert("grpc-retry-pushback-ms", HeaderValue::from(millis));
    parts.headers
}

#[derive(Clone)]
struct Shed {
    inner: Router,
    gate: Arc<Gate>,
    traces: Option<Arc<Traces>>,
    wire: Wire,
    refusals: Arc<Vec<HeaderMap>>,
}

impl Shed {
    fn refuse(&self, busy: Busy) -> Response<Body> {
        match self.wire {
            Wire::Grpc => {
                let mut response = Response::new(Body::empty());
                if let Some(headers) = self.refusals.get(busy.wait) {
                    response.headers_mut().clone_from(headers);
                }
                response
            }
            Wire::Json(refuse) => refuse(&status::overloaded(Busy::after(busy.wait))),
        }
    }

    /// For how long the caller waits, where it says so.
    fn patience(&self, headers: &HeaderMap) -> Option<Duration> {
        match self.wire {
            Wire::Grpc => grpc::timeout(headers.get("grpc-timeout")?.to_str().ok()?),
            Wire::Json(_) => {
                let told = headers.get(super::TIMEOUT_HEADER)?.to_str().ok()?.parse().ok()?;
                Some(Duration::from_millis(told))
            }
        }
    }

    /// Goes on with a check in an emergency, and refuses every other.
    async fn unless_emergency(mut self, request: Request, busy: Busy, many: bool) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(bytes) = axum::body::to_bytes(body, LOOKED_INTO).await else { return self.refuse(busy) };
        let urgent = match self.wire {
            Wire::Grpc => peek::in_frame(&bytes, many),
            Wire::Json(_) => peek::in_json(&bytes, many),
        };
        if !urgent {
            return self.refuse(busy);
        }
        let _ticket = self.gate.enter_anyway(Lane::Check);
        answer(self.go_on(Request::from_parts(parts, Body::from(bytes))).await)
    }

    /// Has the request answered, with a span of its own where it is traced.
    fn go_on(&mut self, request: Request) -> Answering {
        let begin = |traces: &Arc<Traces>| {
            // Without what a number may have been put into by mistake.
            let path = request.uri().path();
            let known =
                ["/ringfence.v1.", "/grpc.health.v1.", "/v1/"].into_iter().find(|known| path.starts_with(known));
            let known = known.unwrap_or_default();
            let name = format!("{known}{}", guard::shown_path(path.strip_prefix(known).unwrap_or(path)));
            let system = if matches!(self.wire, Wire::Grpc) { "grpc" } else { "http" };
            traces.begin(name, system, request.headers())
        };
        let traced = self.traces.as_ref().and_then(begin);
        let answering = self.inner.call(request);
        let Some(traced) = traced else { return Box::pin(answering) };
        Box::pin(async move {
            let answer = traced.around(answering).await;
            if let Ok(answer) = &answer {
                let (status, fault) = outcome(answer);
                traced.ended(status, fault);
            }
            answer
        })
    }
}

/// The status of an answer by its number, that of gRPC where it says one; and whether the server is at fault.
fn outcome(answer: &Response<Body>) -> (i64, bool) {
    match Status::from_header_map(answer.headers()) {
        Some(status) => {
            let fault = matches!(status.code(), Code::Unknown | Code::Internal | Code::Unavailable | Code::DataLoss);
            (i64::from(status.code() as i32), fault)
        }
        None if answer.status() == StatusCode::OK => (0, false),
        None => (answer.status().as_u16().into(), answer.status().is_server_error()),
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

fn answer(answered: Result<Response<Body>, Infallible>) -> Response<Body> {
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl Service<Request> for Shed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let path = request.uri().path();
        let path = match self.wire {
            Wire::Grpc => Path::of_method(path),
            Wire::Json(_) => Path::of_route(path),
        };
        let (lane, many) = match path {
            Path::Always => return self.go_on(request),
            Path::Checks { many } => (Lane::Check, Some(many)),
            Path::Of(lane) => (lane, None),
        };
        match (self.gate.enter(lane, self.patience(request.headers())), many) {
            (Ok(ticket), _) => {
                let answer = self.go_on(request);
                Box::pin(async move {
                    let answer = answer.await;
                    drop(ticket);
                    answer
                })
            }
            (Err(busy), Some(many)) => {
                let this = self.clone();
                Box::pin(async move { Ok(this.unless_emergency(request, busy, many).await) })
            }
            (Err(busy), None) => Box::pin(std::future::ready(Ok(self.refuse(busy)))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn nothing_that_a_lane_names_is_missing_from_the_contract() {
        let files = FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap().file;
        let services = files.iter().flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
        let mut of = std::collections::BTreeMap::<String, Vec<String>>::new();
        for (package, service) in services.filter(|(package, _)| *package == "ringfence.v1") {
            for method in &service.method {
                let path = format!("/{package}.{}/{}", service.name(), method.name());
                let lane = format!("{:?}", Path::of_method(&path));
                of.entry(lane).or_default().push(format!("{}.{}", service.name(), method.name()));
            }
        }
        of.values_mut().for_each(|names| names.sort());
        let last = [
            "ConsentService.ProcessInbound",
            "ConsentService.RecordOptOut",
            "PrivacyService.EraseContact",
            "PrivacyService.OpenRequest",
            "ProcessorService.ConfirmOptOuts",
            "RegistryService.AddToList",
        ];
        assert_eq!(of["Of(OptOut)"], last);
        assert_eq!(of["Of(Fact)"].len(), 3);
        assert_eq!((of["Checks { many: false }"].len(), of["Checks { many: true }"].len()), (1, 1));
        // Control, and what ends when its caller likes.
        let always = of["Always"].iter().filter(|name| !name.starts_with("ControlService.")).count();
        assert_eq!(always, 3, "{of:?}");
    }

    #[test]
    fn gates_of_both_wires_stand_before_the_same() {
        let routes = include_str!("../http/mod.rs");
        for route in [
            "/v1/check",
            "/v1/check:batch",
            "/v1/opt-outs:record",
            "/v1/inbound:process",
            "/v1/opt-outs:confirm",
            "/v1/outcomes:report",
            "/v1/consents:record",
            "/v1/contacts:update",
            "/livez",
            "/readyz",
            "/metrics",
        ] {
            assert!(routes.contains(&format!("\"{route}\"")), "{route}");
            assert_ne!(Path::of_route(route), Path::Of(Lane::Other), "{route}");
        }
    }
}
