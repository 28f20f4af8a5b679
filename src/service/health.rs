//! Health, which anybody may ask: so that nobody can use the server up by it, nor keep it from stopping.
//!
//! Promises: a request is as small as the name of a service; of peers that are not known few are open at once, counted by
//! connection and by address, and none for long; all end when the server stops, told before that it no longer serves.
//! Guarded by `tests/access.rs` and `tests/faults.rs`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use http_body_util::BodyExt as _;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};
use tower::Service;

use super::{Calls, status};
use crate::access::{Line, Peer, network};

/// The longest message: the name of a service is much shorter.
const MESSAGE_BYTES: usize = 1_024;
/// How long a request may take to come, and to be answered for the first time.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// How long somebody who is not known may follow health at once; then they ask again.
const LONGEST: Duration = Duration::from_secs(300);
/// Calls open at once of peers that are not known: on one connection, and from one address.
const OF_A_LINE: u32 = 8;
const OF_AN_ADDRESS: u32 = 256;
/// The reason of what is refused beyond them.
const TOO_MANY: &str = "HEALTH_CALLS";

/// Health as it is told.
#[must_use]
pub(super) fn service(calls: &Calls) -> (HealthReporter, Bounded<HealthServer<Told>>) {
    let reporter = HealthReporter::new();
    let inner = HealthService::from_health_reporter(reporter.clone());
    let told = Told { inner: Arc::new(inner), calls: calls.clone() };
    let server = HealthServer::new(told).max_decoding_message_size(MESSAGE_BYTES);
    // Without authentication whoever is on this machine is known.
    let places = calls.access().is_some().then(Arc::default);
    (reporter, Bounded { inner: server, places, calls: calls.clone() })
}

/// Whoever asks has shown that they may ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known;

/// Health, each time for a while.
#[derive(Debug)]
pub(super) struct Told {
    inner: Arc<HealthService>,
    calls: Calls,
}

type Watched = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Told {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.inner.check(request).await
    }

    type WatchStream = Watched;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Watched>, Status> {
        let known = self.calls.access().is_none() || request.extensions().get::<Known>().is_some();
        let stop = Box::pin(self.calls.server().stopping());
        let told = Box::pin(self.inner.watch(request).await?.into_inner());
        let end = (!known).then(|| Box::pin(tokio::time::sleep(LONGEST)));
        Ok(Response::new(Box::pin(Following { told, stop, end })))
    }
}

/// What is told until it must end.
struct Following<S> {
    told: Pin<Box<S>>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    end: Option<Pin<Box<Sleep>>>,
}

impl<S: Stream> Stream for Following<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        // What there is to tell comes first: of a server that stops, that it does not serve.
        if let Poll::Ready(told) = self.told.as_mut().poll_next(context) {
            return Poll::Ready(told);
        }
        let ends = self.end.as_mut().is_some_and(|end| end.as_mut().poll(context).is_ready());
        if ends || self.stop.as_mut().poll(context).is_ready() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// How many calls of peers that are not known are open.
#[derive(Debug, Default)]
pub(super) struct Places {
    of: Mutex<HashMap<IpAddr, u32>>,
}

/// A call of somebody who is not known, counted until it is dropped.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    from: IpAddr,
    line: Option<Arc<Line>>,
}

impl Places {
    /// Takes one, if there is any.
    fn take(self: &Arc<Self>, extensions: &http::Extensions) -> Option<Place> {
        let peer = extensions.get::<Peer>();
        let from = network(peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address.ip()));
        let line = extensions.get::<Arc<Line>>().cloned();
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let here = of.get(&from).copied().unwrap_or(0);
        if here >= OF_AN_ADDRESS || !line.as_ref().is_none_or(|line| line.opens(OF_A_LINE)) {
            return None;
        }
        of.insert(from, here + 1);
        Some(Place { places: Arc::clone(self), from, line })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.closes();
        }
        let mut of = self.places.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = of.get_mut(&self.from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                of.remove(&self.from);
            }
        }
    }
}

/// The service behind its bounds; without any where everybody is known.
#[derive(Clone, Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    places: Option<Arc<Places>>,
    calls: Calls,
}

impl<S: NamedService> NamedService for Bounded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Bounded<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let known = request.extensions().get::<Known>().is_some();
        let place = match self.places.as_ref().filter(|_| !known).map(|places| places.take(request.extensions())) {
            Some(None) => {
                let why = "more calls of health are open than are answered without credentials";
                self.calls.refused_unread(request.extensions(), request.uri().path(), TOO_MANY, &why);
                return Box::pin(std::future::ready(Ok(too_many().into_http())));
            }
            Some(place) => place,
            None => None,
        };
        let (incoming, calls) = (self.calls.incoming(request.extensions(), None), self.calls.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let Ok(response) = tokio::time::timeout(ASKED_WITHIN, answer).await else {
                calls.refused(&incoming, &"Health", "INCOMPLETE_REQUEST", &"it did not come in time");
                return Ok(Status::deadline_exceeded("the request did not come in time").into_http());
            };
            let response = response?;
            // Held until the answer has gone.
            Ok(match place {
                None => response,
                Some(place) => response.map(|body| Body::new(body.map_err(move |error| drop_with(&place, error)))),
            })
        })
    }
}

/// The error as it is; what is held goes with the body.
const fn drop_with(_: &Place, error: Status) -> Status {
    error
}

fn too_many() -> Status {
    let message = "more calls of health are open on this connection, or from this address, than are answered without \
                   credentials: end some, or show a key";
    status::refused(Code::ResourceExhausted, TOO_MANY, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream::{self, pending};

    use super::*;

    #[tokio::test]
    async fn what_is_told_comes_before_the_end() {
        let stopped = || -> Pin<Box<dyn Future<Output = ()> + Send>> { Box::pin(std::future::ready(())) };
        let told = Box::pin(stream::iter([1, 2]).chain(pending()));
        assert_eq!(Following { told, stop: stopped(), end: None }.collect::<Vec<_>>().await, [1, 2]);
        let never = Box::pin(std::future::pending());
        let end = Some(Box::pin(tokio::time::sleep(Duration::from_millis(1))));
        let told = Box::pin(stream::iter([1]).chain(pending()));
        assert_eq!(Following { told, stop: never, end }.collect::<Vec<_>>().await, [1]);
    }

    #[test]
    fn those_who_are_not_known_have_few_places_on_a_connection_and_from_an_address() {
        let places = Arc::<Places>::default();
        let of = |last: u8, line: &Arc<Line>| {
            let mut extensions = http::Extensions::new();
            let address = ([198, 51, 100, last], 4_000).into();
            extensions.insert(Peer { address, certificate: None });
            extensions.insert(Arc::clone(line));
            extensions
        };
        let one = Arc::<Line>::default();
        let mut held: Vec<_> = (0..OF_A_LINE).map(|_| places.take(&of(1, &one)).unwrap()).collect();
        assert!(places.take(&of(1, &one)).is_none());
        while held.len() < usize::try_from(OF_AN_ADDRESS).unwrap() {
            held.push(places.take(&of(1, &Arc::default())).unwrap());
        }
        assert!(places.take(&of(1, &Arc::default())).is_none());
        assert!(places.take(&of(2, &Arc::default())).is_some());
        drop(held);
        assert!(places.take(&of(1, &one)).is_some());
        assert!(places.of.lock().unwrap().is_empty());
    }
}
