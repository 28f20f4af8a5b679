//! Streams that callers send. One of checks of which one message does not decode is not at its end: tonic would end it
//! there, the contract answers that message with an error and goes on.
//!
//! Promises: each message is weighed before it is decoded, and has a limit of its own, since many wait at once.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _};
use prost::Message;
use prost::bytes::Buf as _;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::server::{ClientStreamingService, NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstEncoder;
use tower::Service;

use super::grpc::{Answers, Grpc};
use super::{Calls, malformed};
use crate::proto::v1;
use crate::proto::weigh::{FREE_IN_STREAM, Weighed};

/// The methods whose messages are read so.
const CHECKS: &str = "/ringfence.v1.CheckService/CheckStream";
const IMPORT: &str = "/ringfence.v1.ConsentService/ImportContacts";

/// The largest message of a stream: it is a row.
pub const STREAMED_BYTES: usize = 1 << 20;

/// A message of a stream, or why it is none.
#[derive(Debug)]
pub(super) struct Sent<T> {
    /// What it says.
    pub message: Result<T, Status>,
    /// What it takes in memory.
    pub weight: usize,
}

/// The messages of a stream that was decoded by others, who end it at the first that is none.
pub(super) fn sent<T: Message + 'static>(
    messages: Streaming<T>,
) -> impl Stream<Item = Result<Sent<T>, Status>> + Unpin + Send {
    messages.map(|message| message.map(|message| Sent { weight: message.encoded_len(), message: Ok(message) }))
}

/// Serves those methods, and leaves every other to the service within.
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
        let method = Method(self.calls.clone());
        match request.uri().path() {
            CHECKS => Box::pin(async move {
                let mut grpc = tonic::server::Grpc::new(ReadEach(PhantomData));
                grpc = grpc.max_decoding_message_size(STREAMED_BYTES);
                Ok(grpc.streaming(method, request).await)
            }),
            IMPORT => Box::pin(async move {
                let mut grpc = tonic::server::Grpc::new(ReadEach(PhantomData));
                grpc = grpc.max_decoding_message_size(STREAMED_BYTES);
                Ok(grpc.client_streaming(method, request).await)
            }),
            _ => Box::pin(self.inner.call(request)),
        }
    }
}

struct Method(Calls);

impl StreamingService<Sent<v1::CheckStreamRequest>> for Method {
    type Response = v1::CheckStreamResponse;
    type ResponseStream = Answers<v1::CheckStreamResponse>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::ResponseStream>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Sent<v1::CheckStreamRequest>>>) -> Self::Future {
        let incoming = Grpc(self.0.clone()).incoming(&request);
        let answers = self.0.check_stream(&incoming, request.into_inner());
        Box::pin(async move { Ok(Response::new(answers?.boxed())) })
    }
}

impl ClientStreamingService<Sent<v1::ImportContactsRequest>> for Method {
    type Response = v1::ImportContactsResponse;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Self::Response>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Sent<v1::ImportContactsRequest>>>) -> Self::Future {
        let calls = self.0.clone();
        let incoming = Grpc(calls.clone()).incoming(&request);
        Box::pin(async move { calls.import_contacts(incoming, request.into_inner()).await.map(Response::new) })
    }
}

/// Decodes each message by itself.
#[derive(Debug)]
struct ReadEach<T, A>(PhantomData<(T, A)>);

impl<T, A> Codec for ReadEach<T, A>
where
    T: Message + Weighed + Default + 'static,
    A: Message + Send + 'static,
{
    type Encode = A;
    type Decode = Sent<T>;
    type Encoder = ProstEncoder<A>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        Self(PhantomData)
    }
}

impl<T, A> Decoder for ReadEach<T, A>
where
    T: Message + Weighed + Default + 'static,
    A: Send + 'static,
{
    type Item = Sent<T>;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Sent<T>>, Status> {
        // All of it: what is not read of a faulty message must not be taken for the next one.
        let bytes = source.copy_to_bytes(source.remaining());
        let weighed = T::LAYOUT.map_or(Ok(bytes.len()), |layout| layout.weigh(&bytes, FREE_IN_STREAM));
        Ok(Some(match weighed {
            Err(heavy) => Sent { message: Err(malformed::of(&heavy.to_string())), weight: 0 },
            Ok(weight) => {
                let message = T::decode(bytes).map_err(|error| malformed::of(&error.to_string()));
                Sent { message, weight }
            }
        }))
    }
}
