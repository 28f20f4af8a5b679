//! What several tests need: a running engine, requests, a fixed day.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::Path;
use std::sync::Arc;

use ringfence::access::{Caller, Permit, Role};
use ringfence::audit;
use ringfence::engine::{Clock, Engine, Parts, Settings};
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::v1;
use ringfence::proto::well_known::Timestamp;
use ringfence::registry::Registries;
use ringfence::store::{EmbeddedStore, Keys, MemoryStore, Store, embedded};
use ringfence::telemetry::Metrics;
use ringfence::time::Instant;

/// A Wednesday, 11:00 in New York: every first pack is open, or nearly.
pub const DAY: &str = "2026-11-18T16:00:00Z";
/// When somebody reads what is kept: the same instant.
pub const READ_AT: Instant = Instant::from_millis(1_795_017_600_000);

pub fn at(text: &str) -> Instant {
    Instant::from_rfc3339(text).unwrap()
}

pub fn stamp(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_millis(at(text).millis()))
}

pub fn clock(text: &str) -> Clock {
    Clock::at(at(text))
}

pub fn law() -> Arc<Law> {
    static LAW: std::sync::OnceLock<Arc<Law>> = std::sync::OnceLock::new();
    Arc::clone(LAW.get_or_init(|| Arc::new(Law::read(BUILT_IN.iter().copied()).unwrap())))
}

pub fn permit(role: Role) -> Permit {
    Caller::local().permit(role).unwrap()
}

/// An engine over the in-memory model, nothing logged.
pub fn engine() -> Arc<Engine> {
    engine_over(Arc::new(MemoryStore::new()))
}

pub fn engine_over(store: Arc<dyn Store>) -> Arc<Engine> {
    Arc::new(Engine::new(Parts {
        store,
        keys: Keys::ephemeral().unwrap(),
        log: None,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

/// A durable engine in a folder, with its log; what keeps the log in step comes along.
pub struct Durable {
    pub engine: Arc<Engine>,
    pub reconciler: audit::Reconciler,
    pub store: Arc<dyn Store>,
}

pub async fn durable(folder: &Path) -> Durable {
    durable_with(folder, Registries::fixed(Vec::new())).await
}

/// The same, with these lists.
pub async fn durable_with(folder: &Path, registries: Registries) -> Durable {
    let data = folder.join("data");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&data, embedded::Settings::default()).unwrap());
    let keys = Keys::for_store(&folder.join("keys"), Some(&data), &*store).await.unwrap();
    let opened =
        audit::open(&data.join("audit"), audit::Settings::default(), Arc::clone(&store), at(DAY)).await.unwrap();
    let engine = Arc::new(Engine::new(Parts {
        store: Arc::clone(&store),
        keys,
        log: Some(opened.log),
        registries: Arc::new(registries),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }));
    Durable { engine, reconciler: opened.reconciler, store }
}

/// A sales call by hand to a landline in Florida, with a fresh clean look at both lists. Florida allows three a day.
pub fn florida(number: &str) -> v1::CheckRequest {
    let check = |registry: &str| v1::RegistryCheck {
        registry: registry.to_owned(),
        listed: Some(false),
        checked_at: stamp(DAY),
        ..Default::default()
    };
    v1::CheckRequest {
        number: number.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Marketing.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: "acme".to_owned(),
        subject: "renewal".to_owned(),
        evidence: Some(v1::Evidence {
            registry_checks: vec![check("us.dnc.national"), check("us.dnc.fl")],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A live question that no hour closes, and no law of the place: a notice about an order.
pub fn notice(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Informational.into(), evidence: None, ..florida(number) }
}

/// A list of a tenant's own, and the house rule that asks for it, with an age that only a file can outgrow.
pub const OWN_LIST: &str = "tenant.litigators";
pub const OWN_RULE: &str = "policy.litigators";
pub const HOUSE_RULES: &str = r#"
[pack]
jurisdiction = "ZZ"
title = "House rules"
policy = true
zone = "UTC"
example = "+4930231250"

[[rule]]
id = "policy.litigators"
kind = "registry"
list = "tenant.litigators"
fresh = "2 days"
citation = "House rules, 2026"
confidence = "policy"
summary = "Nobody who sues is called."
"#;

/// The law built in, and these house rules.
pub fn law_with(house: &str) -> Arc<Law> {
    let packs = BUILT_IN.iter().copied().chain([("own/policy.toml", house)]);
    Arc::new(Law::read(packs).unwrap())
}

/// What [`OWN_LIST`] says of the number of a question that nothing else denies; `None`: it is allowed.
pub fn told_by_own_list(decision: &v1::Decision) -> Option<String> {
    let why = decision.reasons.iter().find(|reason| reason.rule_id == OWN_RULE).map(|reason| reason.message.clone());
    assert_eq!(why.is_none(), decision.verdict() == v1::Verdict::Allow, "{:?}", decision.reasons);
    why
}

pub fn opt_out(number: &str, request_id: &str) -> v1::RecordOptOutRequest {
    v1::RecordOptOutRequest {
        number: number.to_owned(),
        request_id: request_id.to_owned(),
        scope: Some(v1::OptOutScope { everything: true, ..Default::default() }),
        source: v1::OptOutSource::Phone.into(),
        ..Default::default()
    }
}

pub fn families(decision: &v1::Decision) -> Vec<&'static str> {
    decision.reasons.iter().map(|reason| reason.family().as_str_name()).collect()
}
