//! Offered load from a tenth to three times the capacity: what is answered, what is refused, and how long the answered take.
//!
//! Server and generator are processes of their own, each on one processor (`taskset`): what the generator takes is not taken
//! from the server. The generator sends at its times whatever comes back, so that latency counts from when a call should
//! have been sent. It speaks HTTP/2 with bytes made beforehand, since it must send three times what the server answers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Clock};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use prost::bytes::Bytes;
use ringfence::access::Gate;
use ringfence::listen::{Listener, Protocol, Settings};
use ringfence::service::{Apart, Calls, now, routes};
use tokio::runtime::Handle;

use super::{request, support};

/// What tells the generator, in its environment: address, calls a second, seconds.
const ORDER: &str = "RINGFENCE_BENCH_GENERATOR";
const CONNECTIONS: usize = 16;
/// Calls that the generator lets wait before it sends no more: it then says that it could not.
const MOST: u64 = 20_000;
/// What is offered, as shares of the capacity.
const SHARES: [f64; 8] = [0.1, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0];
/// From when on a round is measured: until then the server follows the change.
const WARM: f64 = 1.0;

/// What came of a round.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    offered: f64,
    answered: f64,
    refused: f64,
    failed: f64,
    p50: f64,
    p99: f64,
    /// How late the generator itself was with 99 of 100 calls, and which share of its processor it used: near 1 it measures
    /// itself.
    late: f64,
    busy: f64,
}

impl Round {
    fn told(&self) -> String {
        let Self { offered, answered, refused, failed, p50, p99, late, busy } = self;
        format!("{offered} {answered} {refused} {failed} {p50} {p99} {late} {busy}")
    }

    fn read(line: &str) -> Self {
        let mut parts = line.split_whitespace().map(|part| part.parse().unwrap());
        let mut next = || parts.next().unwrap();
        let [offered, answered, refused, failed] = [(); 4].map(|()| next());
        let [p50, p99, late, busy] = [(); 4].map(|()| next());
        Self { offered, answered, refused, failed, p50, p99, late, busy }
    }
}

/// Whether this process is the generator; then it has done its work.
pub fn is_generator() -> bool {
    let Ok(order) = std::env::var(ORDER) else { return false };
    let mut parts = order.split_whitespace();
    let address: SocketAddr = parts.next().unwrap().parse().unwrap();
    let rate: f64 = parts.next().unwrap().parse().unwrap();
    let seconds: f64 = parts.next().unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{}", runtime.block_on(generate(address, rate, seconds)).told());
    true
}

#[derive(Default)]
struct Counted {
    under_way: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    times: Mutex<Vec<f64>>,
    late: Mutex<Vec<f64>>,
}

/// What this process took of processors so far.
fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// The one at this share, once they are sorted.
fn at_share(times: &Mutex<Vec<f64>>, shares: [f64; 2]) -> [f64; 2] {
    let mut times = std::mem::take(&mut *times.lock().unwrap());
    times.sort_by(f64::total_cmp);
    shares.map(|share| times.get((times.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(0.0))
}

async fn generate(address: SocketAddr, rate: f64, seconds: f64) -> Round {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        senders.push(sender);
    }
    let message = request(0, false).encode_to_vec();
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let digits = framed.windows(5).position(|bytes| bytes == b"+1305").unwrap() + 5;
    // Each round asks about numbers of its own.
    let first = u64::from(std::process::id()) * 7_919;
    let counted = Arc::new(Counted::default());
    let (start, mut sent, mut held_back) = (Clock::now(), 0u64, 0u64);
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    while start.elapsed().as_secs_f64() < seconds + WARM {
        tick.tick().await;
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        while sent + held_back < due {
            if counted.under_way.load(Ordering::Relaxed) >= MOST {
                held_back += due - sent - held_back;
                break;
            }
            let mut bytes = framed.clone();
            bytes[digits..digits + 7]
                .copy_from_slice(format!("{:07}", 2_000_000 + (first + sent) % 7_000_000).as_bytes());
            let at = Duration::from_secs_f64((sent + held_back) as f64 / rate);
            let sender = senders[sent as usize % CONNECTIONS].clone();
            counted.under_way.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(one(sender, bytes.into(), start + at, at.as_secs_f64() >= WARM, Arc::clone(&counted)));
            sent += 1;
        }
    }
    let (ended, busy) = (Clock::now(), used().as_secs_f64() / start.elapsed().as_secs_f64());
    while counted.under_way.load(Ordering::Relaxed) > 0 && ended.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answered = counted.times.lock().unwrap().len() as f64 / seconds;
    let ([p50, p99], [late, _]) = (at_share(&counted.times, [0.5, 0.99]), at_share(&counted.late, [0.99; 2]));
    let counter = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64 / seconds;
    let (refused, failed) = (counter(&counted.refused), counter(&counted.failed));
    Round { offered: answered + refused + failed, answered, refused, failed, p50, p99, late, busy }
}

async fn one(mut sender: SendRequest<Full<Bytes>>, body: Bytes, due: Clock, counts: bool, counted: Arc<Counted>) {
    if counts {
        counted.late.lock().unwrap().push(due.elapsed().as_secs_f64() * 1e6);
    }
    let request = Request::post("http://server/ringfence.v1.CheckService/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .unwrap();
    let code = match sender.send_request(request).await {
        Err(_) => None,
        Ok(answer) => match answer.headers().get("grpc-status").cloned() {
            Some(code) => Some(code),
            None => {
                answer.into_body().collect().await.ok().and_then(|body| body.trailers()?.get("grpc-status").cloned())
            }
        },
    };
    counted.under_way.fetch_sub(1, Ordering::Relaxed);
    if !counts {
        return;
    }
    match code.as_ref().map(http::HeaderValue::as_bytes) {
        Some(b"0") => counted.times.lock().unwrap().push(due.elapsed().as_secs_f64() * 1e6),
        Some(b"8") => {
            counted.refused.fetch_add(1, Ordering::Relaxed);
        }
        _ => {
            counted.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn round(address: SocketAddr, rate: f64, seconds: f64) -> Round {
    let order = format!("{address} {rate} {seconds}");
    let program = std::env::current_exe().unwrap();
    let output = Command::new("taskset").args(["-c", "1"]).arg(program).env(ORDER, order).output().unwrap();
    assert!(output.status.success(), "the generator failed: {}", String::from_utf8_lossy(&output.stderr));
    Round::read(String::from_utf8(output.stdout).unwrap().lines().last().unwrap())
}

/// The most that is answered: more and more is offered until clearly less comes back, and then about that much again.
fn capacity(address: SocketAddr, seconds: f64) -> f64 {
    let (mut offered, mut best) = (500.0, 0.0f64);
    while offered < 100_000.0 {
        let seen = round(address, offered, seconds.min(3.0));
        best = best.max(seen.answered);
        if seen.answered < 0.8 * offered {
            break;
        }
        offered *= 2.0;
    }
    [1.0, 1.2, 1.4].map(|more| round(address, best * more, seconds).answered).into_iter().fold(best, f64::max)
}

/// Measures it, and says whether what is promised holds here.
pub fn run(seconds: f64) {
    let pinned = Command::new("taskset").args(["-cp", "0", &std::process::id().to_string()]).output();
    assert!(pinned.is_ok_and(|output| output.status.success()), "`taskset` (util-linux) and two processors are needed");
    let folder = tempfile::tempdir().unwrap();
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let apart = Apart::start().unwrap();
    let (address, gate) = server.block_on(serve(folder.path(), apart.handle()));
    let capacity = capacity(address, seconds);
    println!("server on processor 0, generator on processor 1; capacity {capacity:.0} reservations a second");
    println!(
        "{:>9} {:>8} {:>8} {:>9} {:>8} {:>10} {:>10} {:>6} {:>10} {:>9} {:>5}",
        "offered", "sent/s", "ok/s", "refused/s", "failed/s", "p50", "p99", "limit", "at ease", "sent late", "busy"
    );
    let mut rounds = Vec::new();
    for share in SHARES {
        let seen = round(address, capacity * share, seconds);
        let state = gate.state();
        println!(
            "{:>8.0}% {:>8.0} {:>8.0} {:>9.0} {:>8.0} {:>7.0} us {:>7.0} us {:>6} {:>7} us {:>6.0} us {:>4.0}%",
            share * 100.0,
            seen.offered,
            seen.answered,
            seen.refused,
            seen.failed,
            seen.p50,
            seen.p99,
            state.limit,
            state.ease.as_micros(),
            seen.late,
            seen.busy * 100.0,
        );
        rounds.push((share, seen));
    }
    let at = |share: f64| rounds.iter().find(|(of, _)| (of - share).abs() < 1e-9).map(|(_, round)| *round).unwrap();
    let peak = rounds.iter().map(|(_, round)| round.answered).fold(0.0, f64::max);
    let (calm, crowd) = (at(0.7), at(3.0));
    let (later, goodput) = (crowd.p99 / calm.p99, crowd.answered / peak);
    if crowd.offered < 2.7 * capacity {
        println!("the generator sent {:.1} times the capacity only: what follows is of that", crowd.offered / capacity);
    }
    println!("at three times the capacity: p99 x {later:.2} of that at 70 % (promised: at most 3)");
    println!("                             goodput {goodput:.2} of the peak (promised: at least 0.8)");
    server.shutdown_background();
}

async fn serve(folder: &Path, apart: Option<Handle>) -> (SocketAddr, Arc<Gate>) {
    let durable = support::durable(folder).await;
    let (metrics, reconciler) = (Arc::clone(durable.engine.metrics()), durable.reconciler);
    let calls = Calls::new(Arc::clone(&durable.engine)).apart(apart);
    let gate = Arc::clone(calls.gate());
    let (routes, _) = routes(calls).unwrap();
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let listener = Listener { tcp, protocol: Protocol::Grpc, tls: None, settings: Settings::default(), metrics };
    let (stop, stopping) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let _stop = stop;
        listener.serve(routes.prepare().into_axum_router(), stopping).await;
    });
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            reconciler.tick(now()).await.unwrap();
        }
    });
    (address, gate)
}
