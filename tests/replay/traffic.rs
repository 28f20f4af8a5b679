//! A data folder with decisions of every kind in it, and how the program replays a copy of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures_util::StreamExt as _;
use ringfence::access::Role;
use ringfence::audit::{self, Library};
use ringfence::decision::Postures;
use ringfence::engine::{Clock, Engine, Parts, Settings};
use ringfence::law::{BUILT_IN, Law};
use ringfence::place::LocationPosture;
use ringfence::proto::v1::{self, Verdict};
use ringfence::proto::well_known::Timestamp;
use ringfence::registry::{Registries, sample};
use ringfence::store::{EmbeddedStore, Keys, Store, embedded};
use ringfence::telemetry::Metrics;
use ringfence::time::{Instant, Millis};
use serde_json::Value;

use super::random::Random;
use super::support::{DAY, at, florida, opt_out, permit};

/// A house rule: no informational calls or texts anywhere.
pub const POLICY: &str = include_str!("../cli/policy.toml");
const AT_ONCE: usize = 64;
const PREFIXES: [&str; 22] = [
    "+1305555", "+1850555", "+1614555", "+1212555", "+1214555", "+1227555", "+1405555", "+1787555", "+1800555",
    "+1416555", "+3361234", "+3312345", "+5906901", "+4930123", "+4917139", "+4474001", "+4420712", "+8613800",
    "+5511987", "+8190123", "+6121234", "+8816123",
];
/// What is no number, or no ordinary one.
const ODD: [&str; 6] = ["911", "not a number", "+1", "+33 (0)6 12 34 56 78", "12", "+999123456789"];

/// An engine over a data folder, with its log and its library, as a server has it.
pub async fn open(folder: &Path, law: Arc<Law>, settings: Settings) -> (Arc<Engine>, audit::Reconciler) {
    let data = folder.join("data");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&data, embedded::Settings::default()).unwrap());
    let keys = Keys::for_store(&folder.join("keys"), Some(&data), &*store).await.unwrap();
    let log = audit::Settings { swapped: ringfence::engine::is_swapped, segment_bytes: 8 << 20, ..Default::default() };
    let opened = audit::open(&data.join("audit"), log, Arc::clone(&store), at(DAY)).await.unwrap();
    let engine = Arc::new(Engine::new(Parts {
        store,
        keys,
        log: Some(opened.log),
        registries: Arc::new(Registries::fixed(sample::lists(at("2026-11-10T00:00:00Z")).unwrap())),
        law,
        settings,
        metrics: Arc::new(Metrics::default()),
    }));
    engine.keep_law_in(Library::at(&data.join("library"))).unwrap();
    (engine, opened.reconciler)
}

pub fn built_in() -> Arc<Law> {
    Arc::new(Law::read(BUILT_IN.iter().copied()).unwrap())
}

pub fn with_policy() -> Arc<Law> {
    Arc::new(Law::read(BUILT_IN.iter().copied().chain([("own/policy.toml", POLICY)])).unwrap())
}

/// Decisions, and the folder that holds them.
pub struct Built {
    pub folder: tempfile::TempDir,
    pub decided: Vec<Decided>,
}

/// What the tests need of a decision and its question: a million of them are in memory.
pub struct Decided {
    pub id: String,
    pub number: String,
    pub allows: bool,
    pub reserves: bool,
    pub rules: Vec<Box<str>>,
    pub families: Vec<i32>,
    pub seller: Box<str>,
    pub campaign: Box<str>,
    /// An informational text.
    pub informs_by_text: bool,
}

impl Decided {
    fn of(request: &v1::CheckRequest, decision: v1::Decision) -> Self {
        Self {
            allows: decision.verdict() == Verdict::Allow,
            reserves: decision.use_by.is_some(),
            rules: decision.reasons.iter().map(|reason| reason.rule_id.as_str().into()).collect(),
            families: decision.reasons.iter().map(|reason| reason.family).collect(),
            seller: request.seller.as_str().into(),
            campaign: request.campaign.as_str().into(),
            informs_by_text: request.channel() == v1::Channel::Text && request.purpose() == v1::Purpose::Informational,
            id: decision.decision_id,
            number: decision.number,
        }
    }
}

/// Three servers after each other on one folder, each with settings and packs of its own, asked in all so many questions.
pub async fn build(count: usize) -> Built {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        Settings::default(),
        Settings {
            server_region: "DE".parse().ok(),
            postures: Postures {
                location: LocationPosture::Residence,
                stored_facts_only: false,
                verified_only: true,
                chosen: vec!["fl_exempt_seller".into(), "persistent_calls_cap".into()],
            },
            reserve_for: Millis::seconds(90),
            ..Settings::default()
        },
        Settings {
            server_region: None,
            postures: Postures { stored_facts_only: true, ..Postures::default() },
            reserve_for: Millis::seconds(300),
            ..Settings::default()
        },
    ];
    let mut decided = Vec::with_capacity(count);
    let mut random = Random::new(7);
    let phases = settings.len();
    for (phase, settings) in settings.into_iter().enumerate() {
        let law = if phase == 1 { with_policy() } else { built_in() };
        let (engine, reconciler) = open(folder.path(), law, settings).await;
        let begin = at(DAY).plus(Millis::days(2 * i64::try_from(phase).unwrap()));
        // The last has switches thrown, and its packs changed under way.
        let halves = [count / phases / 2, count / phases - count / phases / 2];
        for (half, share) in halves.into_iter().enumerate() {
            if (phase, half) == (2, 1) {
                switch(&engine, begin).await;
                engine.change_law(with_policy()).unwrap();
            }
            let from = begin.plus(Millis::hours(24 * i64::try_from(half).unwrap()));
            decided.extend(ask(&engine, &mut random, share, from).await);
        }
        reconciler.tick(begin).await.unwrap();
    }
    Built { folder, decided }
}

async fn switch(engine: &Engine, now: Instant) {
    let control = permit(Role::Control);
    let freeze = |target, id: &str| v1::FreezeRequest {
        request_id: id.to_owned(),
        target: Some(v1::FreezeTarget { target: Some(target) }),
        who: "ann".to_owned(),
        why: "Wrong prices".to_owned(),
        until: None,
    };
    use v1::freeze_target::Target;
    for (target, id) in [
        (Target::Campaign("spring".to_owned()), "f1"),
        (Target::Place("FR".to_owned()), "f2"),
        (Target::Seller("umbra".to_owned()), "f3"),
    ] {
        engine.freeze(&control, freeze(target, id), Clock::at(now)).await.unwrap();
    }
    let emergency = v1::DeclareEmergencyRequest {
        request_id: "e1".to_owned(),
        jurisdiction: "US-NY".to_owned(),
        title: "Lake snow".to_owned(),
        source: "Executive Order 60".to_owned(),
        who: "ann".to_owned(),
        ..Default::default()
    };
    engine.declare_emergency(&control, emergency, Clock::at(now)).await.unwrap();
}

async fn ask(engine: &Arc<Engine>, random: &mut Random, count: usize, from: Instant) -> Vec<Decided> {
    let write = permit(Role::WriteConsent);
    for index in 0..6 {
        let number = number(random);
        let stop = opt_out(&number, &format!("stop-{}-{index}", from.millis()));
        // Some of the texts are no number.
        let _ = engine.record_opt_out(&write, stop, Clock::at(from)).await;
    }
    let questions: Vec<_> = (0..count)
        .map(|index| {
            let now = from.plus(Millis(i64::try_from(index).unwrap() * 80_000_000 / i64::try_from(count).unwrap()));
            // Calls that run into the cap of Florida.
            let request = if index % 97 == 0 {
                florida(&format!("+130555501{:02}", index / 97 % 20))
            } else {
                question(random, now)
            };
            (request, now)
        })
        .collect();
    let answers = questions.into_iter().map(|(request, now)| {
        let engine = Arc::clone(engine);
        async move {
            let decision = engine.check(&permit(Role::Check), request.clone(), Clock::at(now)).await;
            Decided::of(&request, decision.unwrap_or_else(|failure| panic!("{failure}: {request:?}")))
        }
    });
    futures_util::stream::iter(answers).buffered(AT_ONCE).collect().await
}

fn number(r: &mut Random) -> String {
    if r.chance(2) {
        return r.pick(&ODD).to_owned();
    }
    if r.chance(1) {
        // Longer than what is looked at; its beginning alone would be a number.
        return format!("+13055550123{}", " ".repeat(300));
    }
    let prefix = r.pick(&PREFIXES);
    let length = if prefix.starts_with("+1") { 4 } else { 4 + r.below(2) };
    let digits: String = (0..length)
        .map(|at| if at == 0 { '0' } else { char::from(b'0' + u8::try_from(r.below(10)).unwrap()) })
        .collect();
    format!("{prefix}{digits}")
}

fn stamp(at: Instant) -> Option<Timestamp> {
    Some(Timestamp::from_millis(at.millis()))
}

fn question(r: &mut Random, now: Instant) -> v1::CheckRequest {
    let ago = |r: &mut Random, most: i64| stamp(now.minus(Millis(r.between(0, most))));
    const DAY_MILLIS: i64 = 86_400_000;
    let mut evidence = v1::Evidence::default();
    for registry in ["us.dnc.national", "us.dnc.fl", "fr.bloctel", "uk.tps"] {
        if r.chance(30) {
            evidence.registry_checks.push(v1::RegistryCheck {
                registry: registry.to_owned(),
                listed: Some(r.chance(20)),
                checked_at: ago(r, 40 * DAY_MILLIS),
                ..Default::default()
            });
        }
    }
    evidence.consents = r.some(2, |r| v1::Consent {
        consent_id: if r.chance(30) { format!("c{}", r.below(9)) } else { String::new() },
        grade: i32::try_from(1 + r.below(4)).unwrap(),
        given_at: ago(r, 700 * DAY_MILLIS),
        evidence_ref: if r.chance(50) { "form-7".to_owned() } else { String::new() },
        method: v1::ConsentMethod::WebForm.into(),
        notice_given: r.maybe(50, |r| r.chance(50)),
        ..Default::default()
    });
    if r.chance(10) {
        evidence.relationship =
            Some(v1::Relationship { last_purchase_at: ago(r, 800 * DAY_MILLIS), ..Default::default() });
        evidence.last_conversation_at = ago(r, 9 * DAY_MILLIS);
    }
    let dry_run = r.chance(80);
    v1::CheckRequest {
        number: number(r),
        channel: i32::try_from(1 + r.below(2)).unwrap(),
        technology: i32::try_from(r.below(4)).unwrap(),
        purpose: i32::try_from(1 + r.below(8)).unwrap(),
        seller: r.pick(&["acme", "umbra", "lux"]).to_owned(),
        subject: r.pick(&["", "renewal", "debt-7"]).to_owned(),
        campaign: r.pick(&["", "spring", "autumn"]).to_owned(),
        recipient: i32::try_from(r.below(4)).unwrap(),
        line_type: i32::try_from(r.below(4)).unwrap(),
        caller_id: r.pick(&["", "+12125550100", "ACME", "030 123456"]).to_owned(),
        location: r.maybe(20, |r| v1::Location {
            residence: r.pick(&["", "US-TX", "US-NY", "FR", "GB"]).to_owned(),
            time_zone: r.pick(&["", "America/Chicago", "Europe/Paris"]).to_owned(),
            county: r.pick(&["", "Erie"]).to_owned(),
            ..Default::default()
        }),
        evidence: Some(evidence),
        attempt_id: if r.chance(30) { format!("a-{:016x}", r.next()) } else { String::new() },
        dry_run,
        at: if dry_run && r.chance(20) { stamp(now.plus(Millis(r.between(-90, 90) * DAY_MILLIS))) } else { None },
        processing_region: r.pick(&["", "", "US", "DE", "CN"]).to_owned(),
        ..Default::default()
    }
}

/// Copies a folder with all in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { assert!(fs::copy(&path, &target).is_ok()) }
    }
}

/// How a replay ended.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// Runs `ringfence audit replay` on a folder, on a machine of another clock and another language.
pub fn replay(folder: &Path, more: &[&str]) -> Ran {
    run("replay", folder, more)
}

/// Runs a command of `ringfence audit` so.
pub fn run(name: &str, folder: &Path, more: &[&str]) -> Ran {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(nowhere.path()).env_clear();
    command.envs([("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8")]);
    command.args(["audit", name, "--data"]).arg(folder.join("data")).arg("--keys").arg(folder.join("keys")).args(more);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

/// A folder of packs: Florida without its cap, and a house rule against informational texts.
pub fn changed_packs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (_, florida) = BUILT_IN.iter().find(|(file, _)| *file == "us-fl.toml").unwrap();
    let begin = florida.find("[[rule]]\nid = \"us.fl.cap\"").unwrap();
    let end = begin + 1 + florida[begin + 1..].find("\n[[rule]]\n").unwrap();
    fs::write(folder.path().join("us-fl.toml"), format!("{}{}", &florida[..begin], &florida[end..])).unwrap();
    let texts = POLICY.replace("policy.no_information", "policy.no_texts");
    let texts = texts.replace("purpose = \"informational\"", "purpose = \"informational\", channel = \"text\"");
    fs::write(folder.path().join("house.toml"), texts).unwrap();
    folder
}

/// Ids of decisions that flip under [`changed_packs`], worked out from the answers of then: to DENY, and to ALLOW.
pub fn planted(decided: &[Decided]) -> [Vec<String>; 2] {
    let gone = |rule: &str| ["us.fl.cap", "policy.no_information"].contains(&rule);
    let ids = |flips: &dyn Fn(&Decided) -> bool| {
        let mut ids: Vec<_> = decided.iter().filter(|one| flips(one)).map(|one| one.id.clone()).collect();
        ids.sort();
        ids
    };
    [
        ids(&|one| one.allows && one.informs_by_text),
        ids(&|one| !one.allows && one.rules.iter().all(|rule| gone(rule)) && !one.informs_by_text),
    ]
}

/// Ids of the examples of one kind of flip.
pub fn flipped(json: &Value, change: &str) -> Vec<String> {
    let rules = json["flips"][change]["rules"].as_object().cloned().unwrap_or_default();
    let examples = rules.values().flat_map(|rule| rule["examples"].as_array().unwrap().clone());
    let mut ids: Vec<_> = examples.map(|one| one["decisionId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// The files of a library.
pub fn library(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.join("data/library")).unwrap().map(|one| one.unwrap().path()).collect();
    files.sort();
    files
}
