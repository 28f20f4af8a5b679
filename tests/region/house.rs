//! An engine with mainland China as a region of its own.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use ringfence::audit::{self, Log, Reconciler};
use ringfence::engine::{DEFAULT_REGION, Engine, Parts, Region, Settings};
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::{store, v1, well_known};
use ringfence::registry::Registries;
use ringfence::store::{EmbeddedStore, Key, Keys, MemoryStore, Store, Versioned, embedded};
use ringfence::telemetry::Metrics;

use super::support::at;

/// Evening in Florida, the next morning in China.
pub const NOON: &str = "2026-11-18T01:30:00Z";
pub const CHINA: &str = "+8613812345678";
pub const FLORIDA: &str = "+13055550123";
/// How many notices the house rules allow.
pub const CAP: usize = 3;

const PACK: &str = r#"
[pack]
jurisdiction = "ZZ"
title = "House rules of the tests"
reviewed = 2026-11-21
zone = "UTC"
policy = true

[[rule]]
id = "house.cap"
kind = "cap"
applies = { channel = ["call", "text"], purpose = "informational" }
limit = 3
window = "24h"
counts = { per = ["seller"] }
citation = "House rule 1"
confidence = "policy"
summary = "At most three notices of one seller in any 24 hours."
"#;

/// One region.
pub struct Side {
    pub store: Arc<dyn Store>,
    pub log: Option<Arc<Log>>,
    pub reconciler: Option<Reconciler>,
}

pub struct House {
    pub engine: Arc<Engine>,
    pub main: Side,
    pub cn: Side,
    pub keys: Arc<Keys>,
    _folder: tempfile::TempDir,
}

fn law() -> Arc<Law> {
    static LAW: std::sync::OnceLock<Arc<Law>> = std::sync::OnceLock::new();
    Arc::clone(LAW.get_or_init(|| Arc::new(Law::read(BUILT_IN.iter().copied().chain([("house.toml", PACK)])).unwrap())))
}

pub fn region(name: &str, places: &[&str]) -> Region {
    let places: Vec<_> = places.iter().map(|code| code.parse().unwrap()).collect();
    Region { name: name.into(), at: places.first().copied(), places }
}

/// An engine over these stores, with `cn` closed yet.
pub fn engine(main: Arc<dyn Store>, log: Option<Arc<Log>>, keys: Keys) -> Engine {
    engine_in(main, log, keys, &[region("cn", &["CN"])])
}

/// The same with these regions beside the default one, all closed yet.
pub fn engine_in(main: Arc<dyn Store>, log: Option<Arc<Log>>, keys: Keys, pinned: &[Region]) -> Engine {
    let parts = Parts {
        store: main,
        keys,
        log,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    };
    Engine::new(parts).in_regions(
        DEFAULT_REGION,
        std::iter::once(region(DEFAULT_REGION, &[])).chain(pinned.iter().cloned()).collect(),
    )
}

impl House {
    /// In memory, nothing logged.
    pub fn new() -> Self {
        Self::over(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()))
    }

    /// The same with `cn` not open yet.
    pub fn closed() -> Self {
        Self::closed_over(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()))
    }

    pub fn closed_over(main: Arc<dyn Store>, cn: Arc<dyn Store>) -> Self {
        Self::build(main, cn, tempfile::tempdir().unwrap(), false)
    }

    pub fn over(main: Arc<dyn Store>, cn: Arc<dyn Store>) -> Self {
        Self::build(main, cn, tempfile::tempdir().unwrap(), true)
    }

    fn build(main: Arc<dyn Store>, cn: Arc<dyn Store>, folder: tempfile::TempDir, open: bool) -> Self {
        let path = folder.path().join("keys");
        let keys = Keys::generate(&path).unwrap();
        let engine = Arc::new(engine(Arc::clone(&main), None, Keys::open(&path).unwrap()));
        if open {
            engine.open_region("cn", Arc::clone(&cn), None);
        }
        let side = |store| Side { store, log: None, reconciler: None };
        Self { engine, main: side(main), cn: side(cn), keys: Arc::new(keys), _folder: folder }
    }

    /// Another instance over the same stores.
    pub fn another(&self, main: Arc<dyn Store>, cn: Arc<dyn Store>) -> Arc<Engine> {
        let keys = Keys::open(&self._folder.path().join("keys")).unwrap();
        let engine = Arc::new(engine(main, None, keys));
        engine.open_region("cn", cn, None);
        engine
    }

    /// The keys of the stores in memory.
    pub fn keys_file(&self) -> std::path::PathBuf {
        self._folder.path().join("keys")
    }

    /// On disk, each region with its log.
    pub async fn durable(folder: &Path) -> Self {
        let path = folder.join("keys");
        let side = async |name: &str| {
            let data = folder.join(name);
            let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&data, embedded::Settings::default()).unwrap());
            let keys = Keys::for_store(&path, Some(&data), &*store).await.unwrap();
            let opened =
                audit::open(&data.join("audit"), audit::Settings::default(), Arc::clone(&store), at(NOON)).await;
            let opened = opened.unwrap();
            (Side { store, log: Some(opened.log), reconciler: Some(opened.reconciler) }, keys)
        };
        let ((main, keys), (cn, _)) = (side("default").await, side("cn").await);
        let engine = Arc::new(engine(Arc::clone(&main.store), main.log.clone(), keys));
        engine.open_region("cn", Arc::clone(&cn.store), cn.log.clone());
        let keys = Arc::new(Keys::open(&path).unwrap());
        Self { engine, main, cn, keys, _folder: tempfile::tempdir().unwrap() }
    }

    /// What a record of either store holds.
    pub fn opens(&self, (key, stored): &(Key, Versioned)) -> store::ContactRecord {
        let (_, plain) = self.keys.open_record(key, &stored.bytes).unwrap();
        store::ContactRecord::decode(&*plain).unwrap()
    }
}

/// May acme call with a notice? Under the house rules: three times a day.
pub fn notice(number: &str, attempt_id: &str) -> v1::CheckRequest {
    v1::CheckRequest {
        number: number.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Informational.into(),
        recipient: v1::Recipient::Consumer.into(),
        seller: "acme".to_owned(),
        attempt_id: attempt_id.to_owned(),
        ..Default::default()
    }
}

pub fn reside(number: &str, residence: &str, id: &str) -> v1::UpdateContactRequest {
    v1::UpdateContactRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        facts: Some(v1::ContactFacts { residence: residence.to_owned(), ..Default::default() }),
        update_mask: Some(well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    }
}

pub fn allows(decision: &v1::Decision) -> bool {
    decision.verdict() == v1::Verdict::Allow
}
