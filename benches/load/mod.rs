//! The load generator of the benchmarks over gRPC, and the empty call they are measured beside.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Clock};

use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use ringfence::proto::v1;
use ringfence::service::now;
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::support;

pub const CONNECTIONS: usize = 8;
pub const IN_FLIGHT: usize = 16;
pub const ROUNDS: usize = 3;

/// A message of nothing but bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Blob {
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// The empty call: reads one blob, answers another.
#[derive(Clone)]
pub struct Empty(pub Blob);

impl tonic::server::NamedService for Empty {
    const NAME: &'static str = "bench.Empty";
}

impl tonic::server::UnaryService<Blob> for Empty {
    type Response = Blob;
    type Future = BoxFuture<tonic::Response<Blob>, tonic::Status>;
    fn call(&mut self, request: tonic::Request<Blob>) -> Self::Future {
        std::hint::black_box(request.into_inner());
        let blob = self.0.clone();
        Box::pin(async move { Ok(tonic::Response::new(blob)) })
    }
}

impl tower::Service<http::Request<Body>> for Empty {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(tonic::server::Grpc::new(ProstCodec::default()).unary(service, request).await) })
    }
}

pub struct Measured {
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
    /// Processor time of this process for each call, in microseconds, both ends of it: what a busy machine blurs least.
    pub cpu: f64,
}

/// Seconds of processor time that this process has had; nothing where the system does not tell.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after_name.split_whitespace().skip(11).take(2).filter_map(|part| part.parse().ok()).collect();
    // USER_HZ is 100 on every Linux that tells.
    ticks.iter().sum::<f64>() / 100.0
}

/// Calls as often as the connections allow, for so long.
pub async fn load<F, Fut>(channels: &[Channel], seconds: f64, call: F) -> Measured
where
    F: Fn(Channel, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let (start, busy) = (Clock::now(), processor_seconds());
    let end = start + Duration::from_secs_f64(seconds);
    let mut tasks = Vec::new();
    for channel in channels {
        for _ in 0..IN_FLIGHT {
            let (channel, call, next) = (channel.clone(), call.clone(), Arc::clone(&next));
            tasks.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while Clock::now() < end {
                    let begun = Clock::now();
                    call(channel.clone(), next.fetch_add(1, Ordering::Relaxed)).await;
                    times.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                times
            }));
        }
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    measured(times, start, busy)
}

pub async fn connect(address: SocketAddr) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true);
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

pub async fn listen() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub fn incoming(listener: tokio::net::TcpListener) -> tokio_stream::wrappers::TcpListenerStream {
    tokio_stream::wrappers::TcpListenerStream::new(listener)
}

pub fn request(number: u64, dry_run: bool) -> v1::CheckRequest {
    // Look-alike numbers spread over a million; what is asked of each is the same.
    let number = format!("+1305{:07}", 2_000_000 + number % 1_000_000);
    let mut request = support::florida(&number);
    let fresh = Some(ringfence::proto::well_known::Timestamp::from_millis(now().millis()));
    for check in &mut request.evidence.as_mut().unwrap().registry_checks {
        check.checked_at = fresh;
    }
    // Informational, so that the answer is an ALLOW at any hour of the day the benchmark runs at.
    request.purpose = v1::Purpose::Informational.into();
    request.dry_run = dry_run;
    request
}

/// Messages as the bytes they are.
#[derive(Clone, Copy)]
pub struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}

impl tonic::codec::Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn encode(&mut self, item: Bytes, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), tonic::Status> {
        to.put(item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

pub async fn ask(channel: Channel, path: &'static str, message: Bytes) -> Bytes {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    grpc.unary(tonic::Request::new(message), path, Raw).await.unwrap().into_inner()
}

pub async fn check(channel: Channel, template: &[u8], number: u64) {
    // `number` is field 1: tag, length, then twelve characters whose last seven tell the numbers apart.
    let mut message = template.to_vec();
    message[7..14].copy_from_slice(format!("{:07}", 2_000_000 + number % 1_000_000).as_bytes());
    let answer = ask(channel, "/ringfence.v1.CheckService/Check", message.into()).await;
    if number.is_multiple_of(64) {
        let answer = v1::CheckResponse::decode(answer).unwrap();
        let decision = answer.decision.unwrap();
        assert_eq!(decision.verdict(), v1::Verdict::Allow);
        assert!(decision.number.ends_with(&format!("{:07}", 2_000_000 + number % 1_000_000)));
    }
}

/// Questions that each stream keeps under way.
pub const WINDOW: usize = 256;

/// As [`load`], by one stream on each connection that keeps [`WINDOW`] questions under way.
pub async fn streams(channels: &[Channel], seconds: f64, template: Arc<[u8]>) -> Measured {
    let next = Arc::new(AtomicU64::new(0));
    let (start, busy) = (Clock::now(), processor_seconds());
    let end = start + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = channels
        .iter()
        .map(|channel| tokio::spawn(one_stream(channel.clone(), end, Arc::clone(&template), Arc::clone(&next))))
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    measured(times, start, busy)
}

async fn one_stream(channel: Channel, end: Clock, template: Arc<[u8]>, next: Arc<AtomicU64>) -> Vec<f64> {
    let room = Arc::new(tokio::sync::Semaphore::new(WINDOW));
    let asked = Arc::new(Mutex::new(VecDeque::new()));
    // Where the digits of the number stand: `+1305` and seven that tell the numbers apart.
    let at = template.windows(5).position(|bytes| bytes == b"+1305").unwrap() + 5;
    let (window, begun) = (Arc::clone(&room), Arc::clone(&asked));
    let questions = futures_util::stream::unfold((), move |()| {
        let (window, begun, template, next) =
            (Arc::clone(&window), Arc::clone(&begun), Arc::clone(&template), Arc::clone(&next));
        async move {
            window.acquire().await.unwrap().forget();
            let now = Clock::now();
            if now >= end {
                return None;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            begun.lock().unwrap().push_back(now);
            let mut message = template.to_vec();
            message[at..at + 7].copy_from_slice(format!("{:07}", 2_000_000 + number % 1_000_000).as_bytes());
            Some((Bytes::from(message), ()))
        }
    });
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/ringfence.v1.CheckService/CheckStream");
    let mut answers = grpc.streaming(tonic::Request::new(questions), path, Raw).await.unwrap().into_inner();
    let mut times = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let begun = asked.lock().unwrap().pop_front().unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        room.add_permits(1);
        if times.len().is_multiple_of(64) {
            let answer = v1::CheckStreamResponse::decode(answer).unwrap().result.unwrap().result.unwrap();
            let allowed = matches!(&answer, v1::check_result::Result::Decision(decision) if decision.verdict() == v1::Verdict::Allow);
            assert!(allowed, "{answer:?}");
        }
    }
    times
}

fn measured(mut times: Vec<f64>, start: Clock, busy: f64) -> Measured {
    let took = start.elapsed().as_secs_f64();
    let cpu = (processor_seconds() - busy) * 1e6 / times.len() as f64;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Measured { per_second: times.len() as f64 / took, p50: at(0.5), p99: at(0.99), cpu }
}

pub fn line(what: &str, measured: &Measured, beside: Option<&Measured>) {
    let ratio = beside.map_or(String::new(), |empty| {
        format!(
            "   {:.2} of the empty call, p99 x {:.2}",
            measured.per_second / empty.per_second,
            measured.p99 / empty.p99
        )
    });
    println!(
        "{what:<36} {:>8.0}/s   p50 {:>6.0} us   p99 {:>6.0} us   cpu {:>4.0} us{ratio}",
        measured.per_second, measured.p50, measured.p99, measured.cpu
    );
}

/// Whether the arguments ask for this load: all, where they name none.
pub fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| word == name)
}
