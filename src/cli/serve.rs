//! `serve`: settings, everything open, bound, announced, served; then drained within a limit, and whether it was.

mod again;
mod callers;
mod certificates;
mod files;
mod guard;
mod health;
mod list_files;
mod reload;
mod tenant_packs;
pub(super) mod tend;
mod written;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::sync::watch;
use tracing::Instrument as _;

use self::certificates::{Certificates, Users};
use self::health::Health;
use self::reload::{Before, Reloads};
use self::written::Written;
use super::open::{OpenSettings, Opened, open};
use super::settings::Flags;
use super::{Error, Exit, Global, explain, keys, now, output, regions, source, tidy};
use crate::config::{Config, Resolved, StoreAt};
use crate::listen::{self, Listener, Protocol};
use crate::proto::v1;
use crate::registry::Registries;
use crate::service::{Apart, CLIENT_STREAMS, Readiness, routes};
use crate::{engine, http, notify, service, telemetry};

/// How often lists and packs are looked at for changes.
const LOOK: Duration = Duration::from_secs(2);
/// How often log and store are put in step, and health is told.
const TICK: Duration = Duration::from_secs(1);
/// How often requests under data-protection law are looked at.
const REMIND: Duration = Duration::from_secs(60);
/// How long after the signal to stop processors may take to note what was confirmed, requests under way to finish, what
/// goes on beside them to end, and all of it. Service managers are told to wait a little longer than that.
const NOTED: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(30);
const ENDED: Duration = Duration::from_secs(35);
const STOPPED: Duration = Duration::from_secs(40);
/// A number of the sample data, in Florida.
const SAMPLE_NUMBER: &str = "+13055550123";

/// Flags of `serve`. What is not given comes from the environment, the file of settings, or the default.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its settings
    #[command(flatten)]
    pub settings: Flags,
    /// Load made-up lists as of now, ask one question, and print its answer: to try things out
    #[arg(long)]
    pub sample: bool,
}

/// Serves until it is told to stop.
///
/// # Errors
/// Faulty settings; something that does not open; an address in use.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let Resolved { config, settings, faults } = args.settings.resolved_all(global);
    if !faults.is_empty() {
        return Err(Error::said(faults.join("\n")));
    }
    let _log = telemetry::start_log(config.log_json).map_err(|error| Error::said(format!("the log: {error}")))?;
    files::raise(&config.exposed.listen);
    let certificates = Certificates::of(&config);
    let (redis, pinned) = (source::loaded(&config.store)?, regions::loaded(&config)?);
    let stores: Vec<_> =
        std::iter::once(redis.clone()).chain(pinned.iter().map(|pinned| pinned.redis.clone())).collect();
    let before = Before::of(&config);
    let opened = open(&OpenSettings {
        sample: args.sample,
        shadow_packs: config.shadow_packs.clone(),
        pinned: Some(pinned),
        ..source::of_config(&config, redis)
    })
    .await?;
    let _last = LastWords(Arc::clone(opened.engine.metrics()));
    let client = notify::Client::new(config.webhook_ca.as_deref(), guard::reach(&config))
        .map_err(|error| Error::said(format!("webhook_ca: {error}")))?;
    announce_state(&config, &opened);
    // While nobody waits for an answer yet.
    if let Err(error) = opened.engine.drop_erased(true).await {
        tracing::error!(%error, "what erasures replaced is not gone yet");
    }
    let guard = guard::Guard::open(&config, &opened.engine, client.clone())?;
    // Those that nobody may ask for have folders in vain.
    opened.registries.know_tenants();
    guard.look_at_what_is_left().await;
    let traces = match &config.exposed.traces {
        None => None,
        Some((endpoint, percent)) => Some(Arc::new(
            telemetry::Traces::start(endpoint, *percent)
                .map_err(|error| Error::said(format!("otlp_endpoint: {endpoint}: {error}")))?,
        )),
    };
    let readiness = Arc::<Readiness>::default();
    let apart = Apart::start().map_err(|error| Error::io("starting", "threads that answer", &error))?;
    let calls = guard.calls().traced(traces.clone()).looked_at(Arc::clone(&readiness)).apart(apart.handle());
    let (grpc, reporter) = routes(calls.clone()).map_err(|error| Error::said(error.to_string()))?;
    let health = Arc::new(Health::new(reporter, readiness));
    health.look(&opened.engine).await;
    let (stop, stopping) = watch::channel(false);
    let mut servers = tokio::task::JoinSet::new();
    let mut bound = Bound { tls: config.exposed.tls.is_some(), ..Bound::default() };
    let mut tls = Vec::new();
    let make_room = config.exposed.access.is_some();
    let limits = listen::Settings { slow: &CLIENT_STREAMS, make_room, ..config.exposed.listen };
    let router = |protocol| match protocol {
        Protocol::Grpc => grpc.clone().prepare().into_axum_router(),
        Protocol::Http => http::router(calls.clone()),
    };
    for (flag, address, protocol) in [("--grpc", config.grpc, Protocol::Grpc), ("--http", config.http, Protocol::Http)]
    {
        let Some(address) = address else { continue };
        let shown = guard.tls(protocol)?;
        tls.extend(shown.clone());
        let tcp = bind(flag, address).await?;
        let at = tcp.local_addr().ok();
        match protocol {
            Protocol::Grpc => bound.grpc = at,
            Protocol::Http => bound.http = at,
        }
        let metrics = Arc::clone(opened.engine.metrics());
        let listener = Listener { tcp, protocol, tls: shown, settings: limits, metrics };
        servers.spawn(listener.serve(router(protocol), stopping.clone()));
    }
    // Heard from before anybody is told that we serve: until then a signal would end the process undrained.
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(heard);
    announce(&bound, args.sample)?;
    let opened = Arc::new(opened);
    let reloads = Reloads::new(&config, before, &opened.engine);
    let tenants = Arc::clone(guard.tenants());
    let metrics = Arc::clone(opened.engine.metrics());
    let (access, processors) = (guard.access().cloned(), client.clone());
    let users = Users { listeners: tls, access, stores, processors, metrics };
    let certifying = tokio::spawn(certificates.keep(users, stopping.clone()));
    let written = Written::new(&args.settings, global, settings, opened.engine.metrics());
    let reading = tokio::spawn(written.keep(stopping.clone()));
    let guarding = tokio::spawn(guard.keep(stopping.clone()));
    let trimmed = Arc::clone(&tenants);
    let tidying = config.keep_events.map(|keep| tokio::spawn(tidy::trim_events(trimmed, keep, told(stopping.clone()))));
    let keeping_regions: Vec<_> = opened
        .regions
        .iter()
        .map(|region| {
            tokio::spawn(regions::keep(Arc::clone(region), Arc::clone(&opened.engine), told(stopping.clone())))
        })
        .collect();
    let looking: Vec<_> = std::iter::once(engine::DEFAULT_REGION)
        .chain(opened.regions.iter().map(|region| region.name()))
        .map(|name| tokio::spawn(regions::look(Arc::clone(&opened.engine), name.to_owned(), told(stopping.clone()))))
        .collect();
    let keeping = tokio::spawn(keep(Arc::clone(&opened), reloads, Arc::clone(&tenants), stopping.clone()));
    let telling = tokio::spawn(Arc::clone(&health).keep(Arc::clone(&opened.engine), stopping.clone()));
    let own = tend::tend(opened.log.clone(), config.audit.keep, stopping.clone());
    let others: Vec<_> =
        opened.regions.iter().map(|region| regions::tend_log(Arc::clone(region), stopping.clone())).collect();
    let archiving = tokio::spawn(async move { tokio::join!(own, join_all(others)) });
    let tending = tokio::spawn(keys::tend(Arc::clone(&opened), config.data.clone(), stopping.clone()));
    // With regions there are no processors: none is registered, and a store that has some is refused.
    let notifying = (!opened.engine.has_regions()).then(|| {
        let engine = Arc::clone(&opened.engine);
        let span = engine.meter().span();
        let telling = notify::run(engine, client, notify::Settings::default(), service::now, stopping.clone());
        tokio::spawn(telling.instrument(span))
    });
    let (engine, often, stopped) = (Arc::clone(&opened.engine), config.self_check, stopping.clone());
    let span = engine.meter().span();
    let sweeping = super::retention::sweep_by_turns(Arc::clone(&engine), config.sweeper, stopping.clone());
    let sweeping = tokio::spawn(sweeping.instrument(span.clone()));
    let checking = async move { engine.self_check(often, service::now, stopped).await };
    let checking = tokio::spawn(checking.instrument(span));
    // It is asked as anybody would, which is of use only where anybody may ask.
    let open = config.exposed.access.is_none() && config.exposed.tls.is_none();
    if let (true, Some(address)) = (args.sample && open, bound.grpc) {
        first_answer(address, bound.http).await?;
    }
    stop_signal(signals, &mut servers).await;
    let since = tokio::time::Instant::now();
    health.stop().await;
    tracing::info!("stopping: no new requests, those under way may finish");
    let _ = stop.send(true);
    // Processors first: what they confirmed is noted, so that the next one repeats nothing.
    let noting = async {
        if let Some(notifying) = notifying {
            let _ = notifying.await;
        }
        let _ = tokio::join!(checking, guarding);
    };
    in_time(since + NOTED, "processors and what goes on for tenants", noting).await;
    for engine in tenants.all() {
        engine.stop_following();
    }
    let drained = in_time(since + DRAIN, "requests under way", drain(&mut servers)).await.is_some();
    let rest = async {
        let _ = tokio::join!(keeping, telling, tending, sweeping, archiving, certifying, reading);
        join_all(keeping_regions.into_iter().chain(looking).chain(tidying)).await;
    };
    in_time(since + ENDED, "what goes on beside requests", rest).await;
    let settled = in_time(since + STOPPED, "log and store", opened.settle(now())).await;
    let settled = settled.transpose().map_err(|error| Error::said(error.to_string()))?.is_some();
    if let Some(traces) = traces {
        // It blocks until the rest is sent, or cannot be.
        let stopped = tokio::task::spawn_blocking(move || traces.stop());
        in_time(since + STOPPED, "traces", stopped).await;
    }
    tracing::info!(drained, "stopped");
    Ok(Exit::when(drained && settled))
}

/// Tells, however the server ends, of the refusals that had no line of their own.
struct LastWords(Arc<telemetry::Metrics>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.tell_refusals(true);
    }
}

/// Waits for something until an instant, and says so where that was not enough. What is left undone is as after a crash,
/// which loses nothing that was acknowledged.
async fn in_time<T>(until: tokio::time::Instant, what: &str, done: impl Future<Output = T>) -> Option<T> {
    let done = tokio::time::timeout_at(until, done).await.ok();
    if done.is_none() {
        tracing::warn!(what, "did not end in time");
    }
    done
}

#[derive(Default)]
struct Bound {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    tls: bool,
}

async fn bind(flag: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::said(format!("{flag} {address}: cannot be bound: {error}: stop what uses it, or give another port"))
    })
}

async fn told(mut stopping: watch::Receiver<bool>) {
    // The sender lives as long as the server; its end is a signal as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Returns when a signal says stop, or when a listener ends by itself.
async fn stop_signal(signals: [impl Future<Output = ()>; 2], servers: &mut tokio::task::JoinSet<()>) {
    let [interrupt, terminate] = signals;
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
        Some(ended) = servers.join_next() => {
            tracing::error!(?ended, "a listener ended by itself");
        }
    }
}

/// Hears a signal from this call on, not only once the future is awaited.
fn heard(kind: SignalKind) -> impl Future<Output = ()> {
    let signal = tokio::signal::unix::signal(kind);
    async move {
        match signal {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::error!(%error, ?kind, "this signal cannot be heard");
                std::future::pending().await
            }
        }
    }
}

async fn drain(servers: &mut tokio::task::JoinSet<()>) {
    while let Some(ended) = servers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a listener failed");
        }
    }
}

/// What goes on beside the requests: log and store are put in step, lists and packs looked at.
async fn keep(
    opened: Arc<Opened>,
    mut reloads: Reloads,
    tenants: Arc<engine::Tenants>,
    stopping: watch::Receiver<bool>,
) {
    let mut tick = tokio::time::interval(TICK);
    let mut missing = std::collections::BTreeSet::new();
    let mut look = tokio::time::interval(LOOK);
    let mut remind = tokio::time::interval(REMIND);
    let mut pressed = engine::rights::Pressing::default();
    let mut stop = Box::pin(told(stopping));
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = tick.tick() => {
                opened.engine.metrics().tell_refusals(false);
                if let Some(reconciler) = &opened.reconciler
                    && let Err(error) = reconciler.tick(now()).await
                {
                    tracing::error!(%error, "log and store are not in step");
                }
            }
            _ = remind.tick() => pressed = press(&opened.engine, pressed).await,
            _ = look.tick() => {
                refresh(Arc::clone(&opened.registries)).await;
                list_files::declare(&tenants, &mut missing).await;
                reloads.look(&opened.registries).await;
            }
        }
    }
}

/// Tells the metrics, and the log where it grew, how many requests press; and sees to what erasures replaced.
async fn press(engine: &engine::Engine, before: engine::rights::Pressing) -> engine::rights::Pressing {
    if let Err(error) = engine.drop_erased(false).await {
        tracing::warn!(%error, "what erasures replaced is not gone yet");
    }
    match engine.pressing(now()).await {
        Ok(pressing) => {
            if pressing.overdue > before.overdue || pressing.due_soon > before.due_soon {
                let (overdue, due_soon) = (pressing.overdue, pressing.due_soon);
                tracing::warn!(overdue, due_soon, "requests under data-protection law press: `ringfence request list`");
            }
            pressing
        }
        Err(error) => {
            tracing::warn!(%error, "the requests under data-protection law cannot be read");
            before
        }
    }
}

async fn refresh(registries: Arc<Registries>) {
    let changes = tokio::task::spawn_blocking(move || registries.refresh()).await;
    if let Ok(changes) = changes
        && !(changes.loaded.is_empty() && changes.removed.is_empty())
    {
        tracing::info!(loaded = ?changes.loaded, removed = ?changes.removed, "lists changed");
    }
}

fn announce_state(config: &Config, opened: &Opened) {
    for fault in opened.registries.faults().iter() {
        tracing::warn!(%fault, "a list is not loaded");
    }
    if opened.reconciled.appended > 0 {
        tracing::warn!(
            entries = opened.reconciled.appended,
            "audit entries were completed from the store after a crash"
        );
    }
    // Several instances share a Redis, each with a log of its own.
    if matches!(config.store, StoreAt::Embedded) && !opened.reconciled.others.is_empty() {
        tracing::warn!(logs = opened.reconciled.others.len(), "the store knows audit logs that are not in this folder");
    }
    let lists: Vec<_> =
        opened.registries.snapshot().iter().map(|list| format!("{} ({})", list.id, list.count)).collect();
    tracing::info!(
        data = %config.data.display(),
        rules_version = opened.engine.law().version(),
        lists = lists.join(", "),
        "open"
    );
}

/// Tells people, and whoever waits for the line, that requests are answered.
fn announce(bound: &Bound, sample: bool) -> Result<(), Error> {
    let mut lines = vec![format!("ringfence {} is serving.", env!("CARGO_PKG_VERSION"))];
    if let Some(address) = bound.grpc {
        lines.push(format!("  gRPC  {address}{}", if bound.tls { " (TLS)" } else { "" }));
    }
    if let Some(address) = bound.http {
        lines.push(format!("  HTTP  http{}://{address}", if bound.tls { "s" } else { "" }));
    }
    if sample {
        lines.push("  The do-not-call lists are made up: load real ones before you rely on an answer.".to_owned());
    }
    lines.push(String::new());
    output::say(&lines.join("\n"))
}

/// Asks one question over gRPC, as a dialer would, and prints the answer.
async fn first_answer(grpc: SocketAddr, http: Option<SocketAddr>) -> Result<(), Error> {
    let request = v1::CheckRequest {
        number: SAMPLE_NUMBER.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Marketing.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Mobile.into(),
        seller: "acme".to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    };
    let failed = |error: &dyn std::fmt::Display| Error::said(format!("the first question failed: {error}"));
    let mut client = v1::check_service_client::CheckServiceClient::connect(format!("http://{grpc}"))
        .await
        .map_err(|error| failed(&error))?;
    let answer = client.check(request.clone()).await.map_err(|status| failed(&status.message()))?.into_inner();
    let decision = answer.decision.unwrap_or_default();
    let mut text = format!("\nA first question: may acme call {SAMPLE_NUMBER} by hand, to sell something, now?\n\n");
    text.push_str(&explain::decision(&request, &decision));
    if let Some(http) = http {
        text.push_str(&format!(
            "\nAsk it yourself:\n  curl -s http://{http}/v1/check -d '{{\"number\":\"{SAMPLE_NUMBER}\",\
             \"channel\":\"CHANNEL_CALL\",\"purpose\":\"PURPOSE_MARKETING\",\"seller\":\"acme\",\"dryRun\":true}}'\n"
        ));
    }
    output::say(&format!("{}\n", text.trim_end()))
}
