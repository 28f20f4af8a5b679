//! Who asks: found out before anything of a request but its headers is read.
//!
//! Promises: without a valid credential nothing is answered but whether the server runs; a wrong key waits for its answer,
//! or ends the connection on which nobody but guessers was heard, a right one never waits; every refusal is in the log with
//! where it came from, and no secret is. Guarded by `tests/access.rs`.

use std::fmt::Display;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Monotonic};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use hyper::body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::service::Routes;

use super::calls::Calls;
use super::health::Known;
use super::incoming::now;
use super::names;
use super::shed::Path;
use super::status;
use crate::access::{self, Access, Caller, Credentials, Errand, Exhausted, Guesses, Line, Pass, Peer, Quota, Role};
use crate::telemetry::{Meter, Refusal};

/// Health is asked by those who have no key: orchestrators and balancers. It says of each service whether it is served.
const OPEN: &str = "/grpc.health.v1.Health/";

/// The most bytes that are let come of a request that is refused, and for how long they are waited for.
const SHORT: u64 = 64 << 10;
const COMES: Duration = Duration::from_millis(100);

/// What was found out about a request.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who asks.
    pub caller: Caller,
    /// By what it was recognised.
    pub credentials: Credentials,
    /// From where it asks.
    pub from: IpAddr,
    /// What its tenant uses.
    pub quota: Arc<Quota>,
    /// What is counted of its tenant.
    pub meter: Arc<Meter>,
}

/// The services behind a guard.
#[must_use]
pub fn guarded(routes: Routes, calls: Calls) -> Routes {
    let router = routes.prepare().into_axum_router();
    router.layer(axum::middleware::from_fn_with_state(calls, grpc)).into()
}

async fn grpc(State(calls): State<Calls>, mut request: Request, next: Next) -> http::Response<Body> {
    let Some(access) = calls.access() else { return next.run(request).await };
    // Whoever shows nothing, or an old key, is answered all the same: a probe must not end the server. Who is known may ask
    // more at once.
    if request.uri().path().starts_with(OPEN) {
        let peer = request.extensions().get::<Peer>();
        if access.callers().recognise(access::Shown { headers: request.headers(), peer }, now()).is_ok() {
            known(&request);
            request.extensions_mut().insert(Known);
        }
        return next.run(request).await;
    }
    let path = Path::of_method(request.uri().path());
    match admit(access, &calls, request, path, false).await {
        Ok((request, pass)) => held(next.run(request).await, pass),
        Err(status) => status.into_http(),
    }
}

/// The same of a request of HTTP.
///
/// # Errors
/// See [`admit`].
pub async fn admit_route(
    access: &Access,
    calls: &Calls,
    request: Request,
    open: bool,
) -> Result<(Request, Option<Pass>), Status> {
    let path = Path::of_route(request.uri().path());
    admit(access, calls, request, path, open).await
}

/// Finds out who asks, and begins a call of their tenant. What is open is answered to anybody, and to somebody who is known
/// it may say more; then nothing is counted.
///
/// # Errors
/// Nobody who may ask; a tenant that asks too much.
async fn admit(
    access: &Access,
    calls: &Calls,
    mut request: Request,
    path: Path,
    open: bool,
) -> Result<(Request, Option<Pass>), Status> {
    // A body is not to be shared between threads, and so nothing of the request is held while anything is waited for.
    let (recognised, from) = {
        let peer = request.extensions().get::<Peer>();
        let from = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip());
        let shown = access::Shown { headers: request.headers(), peer }.read();
        (shown.and_then(|shown| Ok((access.callers().caller_of(&shown, now())?, shown))), from)
    };
    let metrics = calls.server().metrics();
    let told = |meter: &Meter, request: &Request, caller: &str, reason, why: &dyn Display| {
        let call: &dyn Display = &names::told(request.uri().path());
        meter.refused(&Refusal { reason, why, call, caller, from: Some(from) });
    };
    let (caller, credentials) = match recognised {
        Ok(recognised) => {
            known(&request);
            recognised
        }
        // A wrong key is a guess wherever it is shown.
        Err(why) if open && !why.is_guess() => return Ok((request, None)),
        Err(why) => {
            // Whose time is over, or who was revoked, has a tenant all the same.
            let tenant = why.name().and_then(|name| access.callers().tenant_of(name)).unwrap_or_default();
            told(&metrics.of(&tenant), &request, why.name().unwrap_or_default(), why.reason(), &why);
            read_off(request.body_mut()).await;
            if why.is_guess() {
                // What was sent with it is let go of first.
                let line = request.extensions().get::<Arc<Line>>().cloned();
                drop(request);
                delay(&access.guesses, from, line.as_deref()).await;
            }
            return Err(status::unrecognised(&why));
        }
    };
    let quota = access.quotas.of(caller.tenant());
    let meter = metrics.of(caller.tenant());
    let errand = errand(path, request.uri().path(), &caller);
    let begun = if open { Ok(Begun::default()) } else { begin(&quota, path, errand, &caller) };
    request.extensions_mut().insert(Arc::new(Admitted { caller, credentials, from, quota, meter }));
    match begun {
        Ok(Begun { pass, overdrawn }) => {
            if let Some(overdrawn) = overdrawn {
                request.extensions_mut().insert(overdrawn);
            }
            Ok((request, pass))
        }
        Err((exhausted, errand)) => {
            let refusal = self::exhausted(&request, exhausted, errand);
            read_off(request.body_mut()).await;
            Err(refusal)
        }
    }
}

/// Lets a short message come of which nothing is read: an answer that goes out before it has come ends with a reset over
/// HTTP/2, which some clients take for a broken stream and not for the refusal that it is.
pub(super) async fn read_off(body: &mut Body) {
    if body.size_hint().upper().is_none_or(|bytes| bytes > SHORT) {
        return;
    }
    let all = async { while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {} };
    let _ = tokio::time::timeout(COMES, all).await;
}

/// Tells the log and the metrics that a tenant has nothing left for a request.
pub(super) fn exhausted(request: &Request, exhausted: Exhausted, errand: Errand) -> Status {
    if let Some(admitted) = request.extensions().get::<Arc<Admitted>>() {
        let Admitted { caller, from, meter, .. } = &**admitted;
        let (usual, why) = status::words(exhausted);
        let (reason, call) = (errand.exhausted().unwrap_or(usual), names::told(request.uri().path()));
        meter.refused(&Refusal { reason, why: &why, call: &call, caller: caller.name(), from: Some(*from) });
    }
    status::exhausted(exhausted)
}

/// Lets the answer to a wrong key wait. Where too many do, the connection ends in place of an answer that did not wait; but not
/// one on which somebody was recognised: what else comes on it may be others', as behind a proxy.
async fn delay(guesses: &Guesses, from: IpAddr, line: Option<&Line>) {
    let wait = guesses.wrong(from, Monotonic::now());
    let waiting = guesses.waits(from);
    match line {
        Some(line) if waiting.is_none() && line.is_known() => return,
        Some(line) if waiting.is_none() => line.end("guessing"),
        _ => {}
    }
    tokio::time::sleep(wait).await;
}

/// Somebody was recognised on this connection: it is not ended to make room for others.
fn known(request: &Request) {
    if let Some(line) = request.extensions().get::<Arc<Line>>() {
        line.recognised();
    }
}

/// A call that was begun.
#[derive(Default)]
struct Begun {
    pass: Option<Pass>,
    overdrawn: Option<Overdrawn>,
}

/// The tenant has nothing left, so this is answered only if it is found to be an emergency.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overdrawn(pub Exhausted);

/// Whether something is an opt-out or a switch is in its path. Of whoever may do neither it is a call like any other: it
/// takes none of the places that are kept for those, and is charged.
fn errand(path: Path, call: &str, caller: &Caller) -> Errand {
    let may = || Path::role(call).is_some_and(|role| caller.permit(role).is_ok());
    match path.errand() {
        Errand::Usual => Errand::Usual,
        errand if may() => errand,
        _ => Errand::Usual,
    }
}

/// Whether a check is one in an emergency is seen once it has come, and for that it is let come.
fn begin(quota: &Arc<Quota>, path: Path, errand: Errand, caller: &Caller) -> Result<Begun, (Exhausted, Errand)> {
    let pass = quota.begin(errand).and_then(|pass| {
        if errand == Errand::Usual {
            quota.charge(1, Monotonic::now())?;
        }
        Ok(pass)
    });
    match pass {
        Ok(pass) => Ok(Begun { pass: Some(pass), overdrawn: None }),
        Err(exhausted) if matches!(path, Path::Checks { .. }) && may_declare(caller) => {
            let pass = quota.begin(Errand::Emergency).map_err(|exhausted| (exhausted, Errand::Emergency))?;
            Ok(Begun { pass: Some(pass), overdrawn: Some(Overdrawn(exhausted)) })
        }
        Err(exhausted) => Err((exhausted, errand)),
    }
}

/// Whether the caller's word that something is an emergency counts: whose does not is refused like anybody else.
pub(super) fn may_declare(caller: &Caller) -> bool {
    caller.permit(Role::Check).is_ok_and(|permit| permit.may_assert_exceptional())
}

/// The call is under way until its answer has gone.
#[must_use]
pub fn held(response: http::Response<Body>, pass: Option<Pass>) -> http::Response<Body> {
    match pass {
        None => response,
        Some(pass) => response.map(|body| Body::new(Held { body, _pass: pass })),
    }
}

struct Held {
    body: Body,
    _pass: Pass,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
