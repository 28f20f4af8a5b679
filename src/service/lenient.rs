//! A stream of which one message does not decode is not at its end: tonic would end it there, the contract answers that
//! message with an error and goes on.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use prost::Message as _;
use prost::bytes::Buf as _;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::server::{NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstEncoder;
use tower::Service;

use super::grpc::{Answers, Grpc};
use super::stream::Asked;
use super::{Calls, MESSAGE_BYTES, malformed};
use crate::proto::v1;

/// The method whose messages are read so.
const PATH: &str = "/ringfence.v1.CheckService/CheckStream";

/// Serves `CheckStream`, and leaves every other method to the service within.
#[derive(Clone, Debug)]
pub(super) struct Lenient<S> {
    pub(super) inner: S,
    pub(super) calls: Calls,
}

impl<S: NamedService> NamedService for Lenient<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Lenient<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(self.inner.call(request));
        }
        let method = Method(self.calls.clone());
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ReadEach).max_decoding_message_size(MESSAGE_BYTES);
            Ok(grpc.streaming(method, request).await)
        })
    }
}

struct Method(Calls);

impl StreamingService<Asked> for Method {
    type Response = v1::CheckStreamResponse;
    type ResponseStream = Answers<v1::CheckStreamResponse>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Asked>>) -> Self::Future {
        let incoming = Grpc(self.0.clone()).incoming(&request);
        let answers = self.0.check_stream(&incoming, request.into_inner());
        Box::pin(async move { Ok(Response::new(answers?.boxed())) })
    }
}

/// Decodes each message by itself.
#[derive(Clone, Copy, Default)]
struct ReadEach;

impl Codec for ReadEach {
    type Encode = v1::CheckStreamResponse;
    type Decode = Asked;
    type Encoder = ProstEncoder<v1::CheckStreamResponse>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Decoder for ReadEach {
    type Item = Asked;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Asked>, Status> {
        let bytes = source.remaining();
        let message = v1::CheckStreamRequest::decode(&mut *source);
        // What was not read of a faulty message must not be taken for the next one.
        source.advance(source.remaining());
        Ok(Some(Asked { message: message.map_err(|error| malformed::of(&error.to_string())), bytes }))
    }
}
