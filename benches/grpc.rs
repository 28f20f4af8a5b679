//! Check over gRPC beside an empty tonic call with messages of the same size, under the same load, in one run: dry run,
//! and with reservation on the embedded store, beside that store's raw durable commits.
//!
//! Server and load generator share the machine, so the generator does the same little for either call: it sends bytes
//! made beforehand and takes bytes back, of which it reads every sixty-fourth answer. `RINGFENCE_BENCH_SECONDS` sets the
//! length of each round (default 3); a name (`empty`, `dry`, `reserve`) as argument runs that one alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Clock};

use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes};
use ringfence::access::{Caller, Role};
use ringfence::proto::v1;
use ringfence::service::{Calls, now, routes};
use ringfence::store::{Event, Key, Shard, Version, Write, WriterId};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_prost::ProstCodec;

#[path = "../tests/support/mod.rs"]
mod support;

const CONNECTIONS: usize = 8;
const IN_FLIGHT: usize = 16;
const ROUNDS: usize = 3;

/// A message of nothing but bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct Blob {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

/// The empty call: reads one blob, answers another.
#[derive(Clone)]
struct Empty(Blob);

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

struct Measured {
    per_second: f64,
    p50: f64,
    p99: f64,
}

/// Calls as often as the connections allow, for so long.
async fn load<F, Fut>(channels: &[Channel], seconds: f64, call: F) -> Measured
where
    F: Fn(Channel, u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let start = Clock::now();
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
    let took = start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Measured { per_second: times.len() as f64 / took, p50: at(0.5), p99: at(0.99) }
}

async fn connect(address: SocketAddr) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().tcp_nodelay(true);
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

async fn listen() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn incoming(listener: tokio::net::TcpListener) -> tokio_stream::wrappers::TcpListenerStream {
    tokio_stream::wrappers::TcpListenerStream::new(listener)
}

fn request(number: u64, dry_run: bool) -> v1::CheckRequest {
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
struct Raw;

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

async fn ask(channel: Channel, path: &'static str, message: Bytes) -> Bytes {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    grpc.unary(tonic::Request::new(message), path, Raw).await.unwrap().into_inner()
}

async fn check(channel: Channel, template: &[u8], number: u64) {
    // `number` is field 1: tag, length, then twelve characters whose last seven tell the numbers apart.
    let mut message = template.to_vec();
    message[7..14].copy_from_slice(format!("{:07}", 2_000_000 + number % 1_000_000).as_bytes());
    let answer = ask(channel, "/ringfence.v1.CheckService/Check", message.into()).await;
    if number % 64 == 0 {
        let answer = v1::CheckResponse::decode(answer).unwrap();
        let decision = answer.decision.unwrap();
        assert_eq!(decision.verdict(), v1::Verdict::Allow);
        assert!(decision.number.ends_with(&format!("{:07}", 2_000_000 + number % 1_000_000)));
    }
}

/// Durable compare-and-sets a second of the bare store, as many writers as the load has calls in flight.
async fn commits(store: &Arc<dyn ringfence::store::Store>, seconds: f64) -> f64 {
    let (start, done) = (Clock::now(), Arc::new(AtomicU64::new(0)));
    let end = start + Duration::from_secs_f64(seconds);
    let writers: Vec<_> = (0..CONNECTIONS * IN_FLIGHT)
        .map(|writer| {
            let (store, done) = (Arc::clone(store), Arc::clone(&done));
            tokio::spawn(async move {
                let mut count = 0u64;
                while Clock::now() < end {
                    let mut tag = [0u8; 32];
                    tag[..8].copy_from_slice(&(writer as u64).to_le_bytes());
                    tag[8..16].copy_from_slice(&count.to_le_bytes());
                    let event = Event {
                        writer: WriterId(1),
                        kind: 0,
                        at: now(),
                        digest: [0; 32],
                        entry: vec![0; 900],
                        payload: Vec::new(),
                    };
                    let key = Key::new(Shard::new([1; 8], 0), tag);
                    let write = Write { key, expected: Version::ABSENT, bytes: vec![0; 300], expires: None, event };
                    store.swap(write).await.unwrap();
                    count += 1;
                }
                done.fetch_add(count, Ordering::Relaxed);
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn line(what: &str, measured: &Measured, beside: Option<&Measured>) {
    let ratio = beside.map_or(String::new(), |empty| {
        format!(
            "   {:.2} of the empty call, p99 x {:.2}",
            measured.per_second / empty.per_second,
            measured.p99 / empty.p99
        )
    });
    println!(
        "{what:<34} {:>8.0}/s   p50 {:>6.0} us   p99 {:>6.0} us{ratio}",
        measured.per_second, measured.p50, measured.p99
    );
}

/// Whether the arguments ask for this load: all, where they name none.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| word == name)
}

fn main() {
    let seconds: f64 = std::env::var("RINGFENCE_BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3.0);
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let durable = server.block_on(support::durable(folder.path()));
    let sample = {
        let permit = Caller::local().permit(Role::Check).unwrap();
        let clock = ringfence::engine::Clock::at(now());
        server.block_on(durable.engine.check(&permit, request(0, true), clock)).unwrap()
    };
    let answer_bytes = v1::CheckResponse { decision: Some(sample) }.encoded_len();
    let asked_bytes = request(0, true).encoded_len();
    println!(
        "messages: {asked_bytes} bytes asked, {answer_bytes} answered; {CONNECTIONS} connections x {IN_FLIGHT} in flight"
    );
    let (routes, _) = routes(Calls::new(Arc::clone(&durable.engine))).unwrap();
    let (address, empty_address) = server.block_on(async {
        let (ours, address) = listen().await;
        let (theirs, empty_address) = listen().await;
        tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming(ours)));
        let blob = Empty(Blob { bytes: vec![7; answer_bytes] });
        tokio::spawn(Server::builder().add_service(blob).serve_with_incoming(incoming(theirs)));
        (address, empty_address)
    });
    let reconciler = durable.reconciler;
    server.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            reconciler.tick(now()).await.unwrap();
        }
    });
    client.block_on(async {
        let (ours, theirs) = (connect(address).await, connect(empty_address).await);
        let blob = Bytes::from(Blob { bytes: vec![7; asked_bytes] }.encode_to_vec());
        let template = |dry_run| -> Arc<[u8]> { request(0, dry_run).encode_to_vec().into() };
        let (dry_run, reserve) = (template(true), template(false));
        for round in 1..=ROUNDS {
            println!("round {round}");
            let (blob, dry_run, reserve) = (blob.clone(), Arc::clone(&dry_run), Arc::clone(&reserve));
            let base = load(&theirs, seconds, move |channel, _| {
                let blob = blob.clone();
                async move {
                    std::hint::black_box(ask(channel, "/bench.Empty/Call", blob).await);
                }
            });
            let base = if wanted("empty") { Some(base.await) } else { None };
            base.iter().for_each(|base| line("empty call", base, None));
            if wanted("dry") {
                let ask = move |channel, number| {
                    let template = Arc::clone(&dry_run);
                    async move { check(channel, &template, number).await }
                };
                line("Check, dry run", &load(&ours, seconds, ask).await, base.as_ref());
            }
            if wanted("reserve") {
                let offset = round as u64 * 200_000;
                let ask = move |channel, number| {
                    let template = Arc::clone(&reserve);
                    async move { check(channel, &template, number + offset).await }
                };
                line("Check with reservation, embedded", &load(&ours, seconds, ask).await, base.as_ref());
            }
        }
        let raw = commits(&durable.store, seconds).await;
        println!("raw durable commits of the store  {raw:>8.0}/s");
    });
    client.shutdown_background();
    server.shutdown_background();
}
