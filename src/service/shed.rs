//! What is refused where more comes than is answered in time: once it is known who asks and all of the request has come,
//! and before anything of it is read, since a refusal that costs as much as an answer saves nothing.
//!
//! Promises: health, the switches of control and EMERGENCY are never refused (a message of more than a mebibyte is where there is no
//! room for it, see [`crate::access::Arrival`]), nor charged to what their tenant may ask in a
//! second; streams are, each burst of checks by itself;
//! whoever sends slowly takes nobody's place; a refusal says when to ask again, and nothing was done of what it was about.
//! Guarded by `tests/service/overload.rs` and `tests/access/floods.rs`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Monotonic};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument as _;

use super::gather::{Message, gather};
use super::guard::{self, Admitted, Overdrawn};
use super::holding::Holding;
use super::incoming::Incoming;
use super::names::{self, Names};
use super::{CLIENT_STREAMS, CONTROL_BYTES, Calls, MESSAGE_BYTES, apart, grpc, peek, status};
use crate::access::{Arrival, Arrived, Busy, Errand, Gate, Lane, Role, Ticket};
use crate::proto::room::{self, Room};
use crate::proto::weigh::LIGHT;
use crate::telemetry::Traces;

/// How a service is spoken to.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Grpc,
    /// With what makes an answer of a refusal.
    Json(fn(&Status) -> Response<Body>),
}

/// What a path is to the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Path {
    /// It goes on whatever happens, and its messages are bounded where they are read.
    Always,
    /// A switch of control: it goes on once it has come.
    Switch,
    /// What ends when its caller likes, by one message: it goes on once that has come.
    Watch,
    /// A check, or several, among which may be one in an emergency.
    Checks {
        /// A batch of them.
        many: bool,
    },
    /// What else is asked.
    Of(Lane),
    /// The same, whose messages come over time: it is not waited for.
    Stream(Lane),
}

impl Path {
    /// Of a method's full name.
    pub fn of_method(path: &str) -> Self {
        match path.strip_prefix("/ringfence.v1.") {
            Some("CheckService/Check") => Self::Checks { many: false },
            Some("CheckService/CheckBatch") => Self::Checks { many: true },
            // They end when their callers like; the bursts of the first are counted by themselves.
            Some("CheckService/CheckStream" | "ConsentService/ImportContacts") => Self::Always,
            Some("ConsentService/WatchOptOuts") => Self::Watch,
            Some("ConsentService/RecordOptOut" | "ConsentService/ProcessInbound") => Self::Of(Lane::OptOut),
            Some("ProcessorService/ConfirmOptOuts" | "RegistryService/AddToList") => Self::Of(Lane::OptOut),
            Some("PrivacyService/OpenRequest" | "PrivacyService/EraseContact") => Self::Of(Lane::OptOut),
            Some("CheckService/ReportOutcome" | "ConsentService/RecordConsent" | "ConsentService/UpdateContact") => {
                Self::Of(Lane::Fact)
            }
            Some(path) if path.starts_with("ControlService/") => Self::Switch,
            Some(_) => Self::Of(Lane::Other),
            None if path.starts_with("/grpc.health.") => Self::Always,
            None if CLIENT_STREAMS.contains(&path) => Self::Stream(Lane::Other),
            None => Self::Of(Lane::Other),
        }
    }

    /// Of a path over HTTP.
    pub fn of_route(path: &str) -> Self {
        match path {
            "/v1/check" => Self::Checks { many: false },
            "/v1/check:batch" => Self::Checks { many: true },
            "/v1/opt-outs:record" | "/v1/inbound:process" | "/v1/opt-outs:confirm" => Self::Of(Lane::OptOut),
            "/v1/lists:add" | "/v1/requests:open" | "/v1/contacts:erase" => Self::Of(Lane::OptOut),
            "/v1/outcomes:report" | "/v1/consents:record" | "/v1/contacts:update" => Self::Of(Lane::Fact),
            "/livez" | "/readyz" | "/metrics" => Self::Always,
            path if path.starts_with("/v1/control:") => Self::Switch,
            _ => Self::Of(Lane::Other),
        }
    }

    /// What it is to the limits of its tenant. A check that may be one in an emergency is found to be one later.
    pub const fn errand(self) -> Errand {
        match self {
            Self::Switch => Errand::Switch,
            Self::Of(Lane::OptOut) => Errand::OptOut,
            _ => Errand::Usual,
        }
    }

    /// The role without which a call that tightens is refused, and takes none of the places that are kept for such.
    pub fn role(path: &str) -> Option<Role> {
        Some(match path.strip_prefix("/ringfence.v1.").unwrap_or(path) {
            "ConsentService/RecordOptOut" | "/v1/opt-outs:record" => Role::WriteConsent,
            "ConsentService/ProcessInbound" | "/v1/inbound:process" => Role::WriteConsent,
            "ProcessorService/ConfirmOptOuts" | "/v1/opt-outs:confirm" => Role::ReadContacts,
            "RegistryService/AddToList" | "/v1/lists:add" => Role::ManageLists,
            "PrivacyService/OpenRequest" | "/v1/requests:open" => Role::Privacy,
            "PrivacyService/EraseContact" | "/v1/contacts:erase" => Role::Privacy,
            path if path.starts_with("ControlService/") || path.starts_with("/v1/control:") => Role::Control,
            _ => return None,
        })
    }

    /// The most bytes of its message.
    const fn most(self) -> usize {
        if matches!(self, Self::Switch) { CONTROL_BYTES } else { MESSAGE_BYTES }
    }
}

/// The services of gRPC behind a gate.
#[must_use]
pub fn gated(routes: Routes, calls: &Calls) -> Routes {
    shed(routes.prepare().into_axum_router(), Names::of_methods(), calls, Wire::Grpc).into()
}

/// The routes of HTTP, whose paths these are, behind a gate.
pub fn gated_http(
    router: Router,
    paths: &[&'static str],
    calls: &Calls,
    refuse: fn(&Status) -> Response<Body>,
) -> Router {
    shed(router, Names::of_routes(paths), calls, Wire::Json(refuse))
}

fn shed(inner: Router, names: Names, calls: &Calls, wire: Wire) -> Router {
    let refusals = (0..Busy::WAITS).map(refusal).collect();
    let (gate, calls) = (Arc::clone(calls.gate()), calls.clone());
    // No route of its own: whatever the path, it is asked.
    Router::new().fallback_service(Shed { inner, desk: Arc::new(Desk { gate, calls, names, wire, refusals }) })
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
    desk: Arc<Desk>,
}

/// Who asked what.
struct Asked {
    incoming: Incoming,
    uri: Uri,
}

/// A call that was let in, until it is answered: if nobody waits for that any more it is counted as given up.
struct Going<'a> {
    desk: &'a Desk,
    asked: &'a Asked,
    answered: bool,
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let name = self.desk.names.of(self.asked.uri.path());
        // Health and what lists the services are no work of ours.
        let ours = name.strip_prefix("/ringfence.v1.").and_then(|name| name.split_once('/'));
        let method = ours.map_or(name, |(_, method)| method);
        if ours.is_some() || name.starts_with("/v1/") {
            self.desk.calls.given_up(method, &self.asked.incoming);
        }
    }
}

/// What a call was given, until it is answered.
#[derive(Default)]
struct Place {
    ticket: Option<Ticket>,
    /// What its message takes.
    room: Option<Arc<dyn Room>>,
}

/// What all requests share.
struct Desk {
    gate: Arc<Gate>,
    calls: Calls,
    names: Names,
    wire: Wire,
    refusals: Vec<HeaderMap>,
}

impl Desk {
    fn path(&self, path: &str) -> Path {
        match self.wire {
            Wire::Grpc => Path::of_method(path),
            Wire::Json(_) => Path::of_route(path),
        }
    }

    fn refuse(&self, asked: &Asked, busy: Busy) -> Response<Body> {
        self.calls.refused(&asked.incoming, &self.names.of(asked.uri.path()), "OVERLOADED", &busy.why.word());
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

    /// Whether a check is one in an emergency.
    fn is_urgent(&self, message: &mut Message, many: bool) -> bool {
        let Some(bytes) = message.whole() else { return false };
        match self.wire {
            Wire::Grpc => peek::in_frame(bytes, many),
            Wire::Json(_) => peek::in_json(bytes, many),
        }
    }

    /// Waits until all of a request has come, and gives it its place; or refuses it.
    #[allow(clippy::result_large_err, reason = "the refusal is the answer itself, handed on once")]
    async fn let_in(
        &self,
        mut request: Request,
        asked: &Asked,
        path: Path,
    ) -> Result<(Request, Place), Response<Body>> {
        let refuse = |busy| self.refuse(asked, busy);
        let Arrived(arrived) = *request.extensions_mut().get_or_insert_with(|| Arrived(Monotonic::now()));
        let waited = arrived.elapsed();
        let (lane, many) = match path {
            Path::Always => return Ok((request, Place::default())),
            Path::Stream(lane) => {
                let ticket = self.gate.enter(lane, None, self.patience(request.headers()));
                return Ok((request, Place { ticket: Some(ticket.map_err(refuse)?), room: None }));
            }
            Path::Checks { many } => (Lane::Check, Some(many)),
            Path::Switch | Path::Watch => (Lane::Other, None),
            Path::Of(lane) => (lane, None),
        };
        let share = request.extensions().get::<Arc<Admitted>>().map(|admitted| Arc::clone(admitted.quota.share()));
        let share = share.as_ref();
        // A check may be one in an emergency, whatever is under way: that is seen once it has come.
        if matches!(path, Path::Of(_))
            && let Some(busy) = self.gate.refuses(lane, share)
        {
            if matches!(self.wire, Wire::Json(_)) {
                guard::read_off(request.body_mut()).await;
            }
            return Err(refuse(busy));
        }
        let body = std::mem::take(request.body_mut());
        let framed = matches!(self.wire, Wire::Grpc);
        let arrival = || self.gate.arrival(lane, share);
        let gathered = gather(body, framed, path.most(), arrival).await;
        let mut message = gathered.map_err(refuse)?;
        if let Some(why) = message.broken() {
            self.calls.refused(&asked.incoming, &self.names.of(asked.uri.path()), "INCOMPLETE_REQUEST", &why);
        }
        let patience = self.patience(request.headers());
        let patience = patience.map(|patience| patience.saturating_sub(arrived.elapsed()));
        // What is short takes little once it is read, whatever it holds.
        let is_long = message.bytes() > LIGHT;
        let mut is_urgent = || many.is_some_and(|many| may_declare(&request) && self.is_urgent(&mut message, many));
        if let Some(Overdrawn(exhausted)) = request.extensions().get()
            && !is_urgent()
        {
            let status = guard::exhausted(&request, *exhausted, Errand::Usual);
            return Err(self.tell(&status));
        }
        let ticket = match path {
            Path::Switch | Path::Watch => None,
            _ => Some(match self.gate.enter(lane, share, patience) {
                Ok(ticket) => ticket.waited(waited),
                Err(_) if is_urgent() => self.gate.enter_anyway(lane, share),
                Err(busy) => return Err(refuse(busy)),
            }),
        };
        let first = is_long && (matches!(path, Path::Switch) || is_urgent());
        let room = is_long.then(|| {
            let arrival = message.arrival.take().unwrap_or_else(|| arrival().come());
            self.room(asked, arrival, first)
        });
        *request.body_mut() = message.into_body();
        Ok((request, Place { ticket, room }))
    }

    fn room(&self, asked: &Asked, arrival: Arrival, first: bool) -> Arc<dyn Room> {
        let (calls, incoming) = (self.calls.clone(), asked.incoming.clone());
        let call = self.names.of(asked.uri.path()).to_owned();
        Arc::new(Holding { calls, incoming, call, first, arrival: Mutex::new(arrival) })
    }

    /// The threads that answer are gone.
    fn stops(&self) -> Response<Body> {
        self.tell(&super::stream::stopped())
    }

    fn tell(&self, status: &Status) -> Response<Body> {
        match self.wire {
            Wire::Grpc => status.clone().into_http(),
            Wire::Json(refuse) => refuse(status),
        }
    }
}

fn may_declare(request: &Request) -> bool {
    let admitted = request.extensions().get::<Arc<Admitted>>();
    admitted.is_none_or(|admitted| guard::may_declare(&admitted.caller))
}

impl Shed {
    /// Has the request answered, with a span of its own where it is traced.
    async fn go_on(mut self, request: Request) -> Response<Body> {
        let begin = |traces: &Arc<Traces>| {
            let name = self.desk.names.of(request.uri().path()).to_owned();
            let system = if matches!(self.desk.wire, Wire::Grpc) { "grpc" } else { "http" };
            traces.begin(name, system, request.headers())
        };
        let traced = self.desk.calls.traces().and_then(begin);
        let answering = self.inner.call(request);
        let Some(traced) = traced else { return answer(answering.await) };
        let answer = answer(traced.around(answering).await);
        let (status, fault) = outcome(&answer);
        traced.ended(status, fault);
        answer
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

/// Whether nothing serves this method of gRPC.
fn is_unknown(answer: &Response<Body>) -> bool {
    answer.headers().get("grpc-status").is_some_and(|status| status == "12")
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
        let (this, desk, path) = (self.clone(), Arc::clone(&self.desk), self.desk.path(request.uri().path()));
        let incoming = desk.calls.incoming(request.extensions(), None);
        let (span, asked) = (desk.calls.meter(&incoming).span(), Asked { incoming, uri: request.uri().clone() });
        let answering = async move {
            match desk.let_in(request, &asked, path).await {
                Err(refusal) => Ok(refusal),
                Ok((request, Place { ticket, room })) => {
                    let mut going = Going { desk: &desk, asked: &asked, answered: false };
                    let answering = room::within(room, this.go_on(request));
                    // What takes no place, such as health, has nothing to wait behind.
                    let answer = match ticket.as_ref().and_then(|_| desk.calls.elsewhere()) {
                        None => answering.await,
                        Some(there) => apart::answer(there, answering).await.unwrap_or_else(|| desk.stops()),
                    };
                    going.answered = true;
                    drop(ticket);
                    if is_unknown(&answer) {
                        let (call, why) = (names::told(asked.uri.path()), "there is no such method");
                        desk.calls.refused(&asked.incoming, &call, "NO_SUCH_METHOD", &why);
                    }
                    Ok(answer)
                }
            }
        };
        Box::pin(answering.instrument(span))
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
        assert_eq!(of["Always"], ["CheckService.CheckStream", "ConsentService.ImportContacts"]);
        assert_eq!(of["Watch"], ["ConsentService.WatchOptOuts"]);
        assert!(of["Switch"].iter().all(|name| name.starts_with("ControlService.")), "{of:?}");
        assert!(of.keys().all(|lane| lane == "Switch" || !of[lane].iter().any(|name| name.starts_with("Control"))));
    }

    /// Held against what callers of each role are told.
    #[test]
    fn what_tightens_has_the_role_that_it_demands_on_both_wires() {
        for (text, of) in [
            (include_str!("../../tests/access/calls.txt"), Path::of_method as fn(&str) -> Path),
            (include_str!("../../tests/access/paths.txt"), Path::of_route),
        ] {
            let mut lines = text.lines().filter(|line| !line.starts_with('#'));
            let columns: Vec<_> = lines.next().unwrap().split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
            let mut tighten = 0;
            for line in lines {
                let mut cells: Vec<_> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
                let call = cells.remove(0);
                let path = call.split(' ').next_back().unwrap();
                let path = if path.starts_with('/') {
                    path.to_owned()
                } else {
                    format!("/ringfence.v1.{}", path.replace('.', "/"))
                };
                if of(&path).errand() != Errand::Usual {
                    let may = columns.iter().zip(&cells).filter(|(_, cell)| **cell == "yes").map(|(column, _)| *column);
                    assert_eq!(may.collect::<Vec<_>>(), [Path::role(&path).unwrap().word()], "{path}");
                    tighten += 1;
                }
            }
            assert_eq!(tighten, 12, "six that are opt-outs, and six switches");
        }
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
