//! Check over gRPC beside an empty tonic call with messages of the same size, under the same load, in one run: dry run,
//! and with reservation on the embedded store, beside that store's raw durable commits; and CheckStream, dry run, beside
//! unary calls.
//!
//! Server and load generator share the machine, so the generator does the same little for either call: it sends bytes
//! made beforehand and takes bytes back, of which it reads every sixty-fourth answer. `RINGFENCE_BENCH_SECONDS` sets the
//! length of each round (default 3); a name (`empty`, `dry`, `stream`, `reserve`) as argument runs that one alone.
//! `overload` measures what is answered, and how late, where up to three times the capacity is offered: server and generator
//! then are two processes, each on a processor of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as Clock};

use prost::Message as _;
use prost::bytes::Bytes;
use ringfence::access::{Caller, Role};
use ringfence::proto::v1;
use ringfence::service::{Calls, now, routes};
use ringfence::store::{Event, Key, Shard, Version, Write, WriterId};
use tonic::transport::Server;

mod load;
#[path = "load/overload.rs"]
mod overload;
#[path = "../tests/support/mod.rs"]
mod support;

use load::{
    Blob, CONNECTIONS, Empty, IN_FLIGHT, ROUNDS, ask, check, connect, incoming, line, listen, load, request, streams,
    wanted,
};

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

fn main() {
    if overload::is_generator() {
        return;
    }
    let seconds: f64 = std::env::var("RINGFENCE_BENCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3.0);
    // Only where it is asked for: it takes a minute, and both processors.
    if std::env::args().any(|word| word == "overload") {
        return overload::run(seconds.max(5.0));
    }
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
        let stream = v1::CheckStreamRequest { check: Some(request(0, true)) };
        let stream: Arc<[u8]> = stream.encode_to_vec().into();
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
            let unary = if wanted("dry") {
                let ask = move |channel, number| {
                    let template = Arc::clone(&dry_run);
                    async move { check(channel, &template, number).await }
                };
                let unary = load(&ours, seconds, ask).await;
                line("Check, dry run", &unary, base.as_ref());
                Some(unary)
            } else {
                None
            };
            if wanted("stream") {
                let streamed = streams(&ours, seconds, Arc::clone(&stream)).await;
                line("CheckStream, dry run", &streamed, None);
                if let Some(unary) = unary {
                    println!("{:<36} {:>8.2} x the unary rate", "", streamed.per_second / unary.per_second);
                }
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
