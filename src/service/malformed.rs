//! A message that does not decode (text that is not UTF-8, a cut message) is the caller's fault, not the server's: tonic
//! says INTERNAL, the contract says INVALID_ARGUMENT, with the field.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::{Calls, names, status};

/// Wraps a service.
#[derive(Clone, Debug)]
pub(super) struct Refuse<S> {
    pub inner: S,
    pub calls: Arc<Calls>,
}

/// What the log says of a message that does not decode, whatever is wrong with it: that stands in the answer.
pub(super) const REASON: &str = "MALFORMED_REQUEST";
pub(super) const WHY: &str = "the message does not decode";

impl<S: NamedService> NamedService for Refuse<S> {
    const NAME: &'static str = S::NAME;
}

/// How prost begins the message of bytes that do not decode.
const UNREADABLE: &str = "failed to decode Protobuf message: ";

/// The status of a message that does not decode, with its field; `None` of any other status.
fn unreadable(headers: &http::HeaderMap) -> Option<Status> {
    let status = Status::from_header_map(headers).filter(|status| status.code() == Code::Internal)?;
    status.message().starts_with(UNREADABLE).then(|| of(status.message()))
}

/// How tonic begins what it says of a message that it does not read for its length.
const TOO_LONG: &str = "Error, decoded message length too large";

fn is_too_long(headers: &http::HeaderMap) -> bool {
    let status = headers.get("grpc-status").and_then(|_| Status::from_header_map(headers));
    status.is_some_and(|status| status.code() == Code::OutOfRange && status.message().starts_with(TOO_LONG))
}

/// The status of a message that came in a stream: that of one that does not decode says so.
pub(super) fn told(status: Status) -> Status {
    let unread = status.code() == Code::Internal && status.message().starts_with(UNREADABLE);
    if unread { of(status.message()) } else { status }
}

/// The status of bytes that do not decode, by the words in which prost says why.
pub(super) fn of(why: &str) -> Status {
    let mut why = why.strip_prefix(UNREADABLE).unwrap_or(why);
    let mut path = Vec::new();
    // Innermost first: `CheckRequest.seller: CheckBatchRequest.checks: invalid string value: …`
    while let Some((step, rest)) = why.split_once(": ") {
        let Some((_, field)) = step.split_once('.').filter(|_| !step.contains(' ')) else { break };
        path.insert(0, field);
        why = rest;
    }
    let path = path.join(".");
    status::unreadable((!path.is_empty()).then_some(path.as_str()), why)
}

impl<S> Service<http::Request<Body>> for Refuse<S>
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
        let (incoming, uri) = (self.calls.incoming(request.extensions(), None), request.uri().clone());
        let (answer, calls) = (self.inner.call(request), Arc::clone(&self.calls));
        Box::pin(async move {
            let response = answer.await?;
            let refused = |reason, why: &dyn Display| calls.refused(&incoming, &names::told(uri.path()), reason, why);
            if let Some(status) = unreadable(response.headers()) {
                refused(REASON, &WHY);
                return Ok(status.into_http());
            }
            if is_too_long(response.headers()) {
                refused("TOO_LARGE", &"the message is longer than is read");
            }
            Ok(response)
        })
    }
}
