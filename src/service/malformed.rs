//! A message that does not decode (text that is not UTF-8, a cut message) is the caller's fault, not the server's: tonic
//! says INTERNAL, the contract says INVALID_ARGUMENT.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

/// Wraps a service.
#[derive(Clone, Debug)]
pub(super) struct Refuse<S>(pub S);

impl<S: NamedService> NamedService for Refuse<S> {
    const NAME: &'static str = S::NAME;
}

/// How tonic begins the message of a status about bytes that do not decode, as it stands in the header.
const UNREADABLE: &[u8] = b"failed%20to%20decode";
const UNREADABLE_PLAIN: &[u8] = b"failed to decode";

impl<S> Service<http::Request<Body>> for Refuse<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            let headers = response.headers_mut();
            let unreadable = headers.get("grpc-status").is_some_and(|status| status == "13")
                && headers.get("grpc-message").is_some_and(|message| {
                    message.as_bytes().starts_with(UNREADABLE) || message.as_bytes().starts_with(UNREADABLE_PLAIN)
                });
            if unreadable {
                headers.insert("grpc-status", http::HeaderValue::from_static("3"));
            }
            Ok(response)
        })
    }
}
