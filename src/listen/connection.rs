//! One connection: its protocol, its calls, and how it ends.

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Monotonic};

use axum::Router;
use axum::body::{Body, Bytes};
use http::{Request, Response};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Sleep;
use tower::Service as _;

use super::pace::{Pace, Paced, UnderWay, Verdict, WINDOW, WINDOW_OF_ONE};
use super::{Protocol, Settings, Shared};
use crate::access::{Arrived, Line, Peer};

/// Pings on connections where nothing comes, so that a peer that went away is noticed.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);
/// Calls reset before they were looked at, and resets of ours that a peer provoked.
const RESETS: usize = 100;
/// How long a connection that was told to end may take to do so.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of a body for which a second is given to arrive.
const A_SECOND: u64 = 16 << 10;
/// The least that HTTP/1 is read into.
const LEAST_BUFFER: usize = 8_192;

pub(super) struct Connection {
    router: Router,
    protocol: Protocol,
    settings: Settings,
    peer: Peer,
    line: Arc<Line>,
    pace: Arc<Pace>,
}

impl Connection {
    pub fn new(shared: &Shared, peer: Peer, line: Arc<Line>) -> Self {
        let (settings, router) = (shared.settings, shared.router.clone());
        Self { router, protocol: shared.protocol, settings, peer, line, pace: Pace::new(settings) }
    }

    /// Serves it until it ends, or must: then why.
    pub async fn run<T>(self, stream: T, mut stopping: watch::Receiver<bool>) -> Result<(), &'static str>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pace = Arc::clone(&self.pace);
        let builder = self.builder();
        let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace)));
        let mut serving = pin!(builder.serve_connection(io, self));
        let mut look = tokio::time::interval(pace.look());
        let mut ending: Option<Monotonic> = None;
        loop {
            let told = tokio::select! {
                done = serving.as_mut() => {
                    let fault = done.err().and_then(|error| fault(&*error));
                    return if pace.is_flooded() { Err("flood") } else { fault.map_or(Ok(()), Err) };
                }
                _ = stopping.wait_for(|stop| *stop), if ending.is_none() => true,
                _ = look.tick() => false,
                () = pace.changed.notified() => false,
            };
            let idle = match pace.verdict(Monotonic::now()) {
                Verdict::Cut(why) => return Err(why),
                _ if pace.is_resting() && ending.is_some_and(|since| since.elapsed() > GRACE) => return Ok(()),
                verdict => verdict == Verdict::Idle,
            };
            if (told || idle) && ending.is_none() {
                ending = Some(Monotonic::now());
                serving.as_mut().graceful_shutdown();
            }
        }
    }

    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        if self.protocol == Protocol::Grpc {
            builder = builder.http2_only();
        }
        let header_bytes = self.settings.header_bytes;
        // That would also run between requests: headers that begin and do not come are cut by [`Pace`].
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(usize::try_from(header_bytes).unwrap_or(LEAST_BUFFER).max(LEAST_BUFFER));
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .max_concurrent_streams(self.settings.streams)
            .max_header_list_size(header_bytes)
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW_OF_ONE)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS);
        builder
    }
}

/// Why the server gave a connection up that did not keep to its protocol. How else a peer goes away is its own affair.
fn fault(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse_too_large() {
        return Some("headers_too_large");
    }
    // So h2 says that it was the one who found the fault; it has no other word for it outside.
    let detected = error.source().is_some_and(|cause| cause.to_string().starts_with("connection error detected"));
    (error.is_parse() || detected).then_some("malformed")
}

impl hyper::service::Service<Request<Incoming>> for Connection {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        let mut call = self.pace.begins(headers.saturating_add(request.uri().path().len()));
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Arrived(Monotonic::now()));
        parts.extensions.insert(self.peer.clone());
        parts.extensions.insert(Arc::clone(&self.line));
        // What may take its time is told by its path; a body that is whole needs no clock.
        let slow = self.settings.slow.contains(&parts.uri.path());
        let timer = (!slow && !body.is_end_stream()).then(|| Box::pin(tokio::time::sleep(self.settings.receive)));
        let pace = Arc::clone(&self.pace);
        let body = Body::new(Arriving { body, pace, timer, receive: self.settings.receive, ended: false });
        let mut router = self.router.clone();
        Box::pin(async move {
            let response = router.call(Request::from_parts(parts, body)).await?;
            call.answered();
            Ok(response.map(|body| Answer { id: call.pace().answer(), body, call }))
        })
    }
}

/// A request as it comes in.
struct Arriving {
    body: Incoming,
    pace: Arc<Pace>,
    /// When it is too late; `None`: never.
    timer: Option<Pin<Box<Sleep>>>,
    receive: Duration,
    ended: bool,
}

/// The rest of a request did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("the request did not arrive in time")]
struct TooSlow;

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.pace.received(bytes);
                if let Some(timer) = &mut this.timer {
                    // Each part buys the time that its size explains, and no more than a fresh start.
                    let bought = Duration::from_millis(u64::try_from(bytes).unwrap_or(0) * 1_000 / A_SECOND);
                    let now = tokio::time::Instant::now();
                    let until = timer.deadline().checked_add(bought).unwrap_or(now).min(now + this.receive);
                    timer.as_mut().reset(until);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => {
                this.ended = true;
                Poll::Ready(other.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => match this.timer.as_mut().map(|timer| timer.as_mut().poll(context)) {
                Some(Poll::Ready(())) => Poll::Ready(Some(Err(TooSlow.into()))),
                _ => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.pace.unread();
        }
    }
}

/// An answer as it goes out.
pub(super) struct Answer {
    id: u64,
    body: Body,
    call: UnderWay,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.call.pace().has_room(this.id);
        let polled = Pin::new(&mut this.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.call.pace().hands(this.id, frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.call.pace().has_room(self.id);
    }
}
