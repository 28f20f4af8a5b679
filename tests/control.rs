//! Switches over real stores: what was thrown is seen by the next check, on any instance and after a restart; who and
//! why; what is said while it holds and when it ends; what cannot be read stops everything but emergencies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "control/emergency.rs"]
mod emergency;
#[path = "service/faulty.rs"]
mod faulty;
mod support;

use std::collections::HashSet;
use std::sync::Arc;

use faulty::{Fault, Faulty};
use ringfence::access::Role;
use ringfence::engine::{Engine, Failure, Parts, Settings};
use ringfence::proto::v1::freeze_target::Target;
use ringfence::proto::v1::{self, Verdict};
use ringfence::registry::Registries;
use ringfence::store::{Event, Keys, MemoryStore, Store, Swapped, Version, Write, WriterId};
use ringfence::telemetry::Metrics;
use support::{DAY, at, clock, durable, engine, families, florida, law, permit, stamp};

const NUMBER: &str = "+13055550123";
const NEW_YORK: &str = "+12125550123";

fn seller(name: &str) -> Target {
    Target::Seller(name.to_owned())
}

fn place(code: &str) -> Target {
    Target::Place(code.to_owned())
}

fn stop(target: Target, id: &str) -> v1::FreezeRequest {
    v1::FreezeRequest {
        request_id: id.to_owned(),
        target: Some(v1::FreezeTarget { target: Some(target) }),
        who: "ann".to_owned(),
        why: "Wrong prices were quoted.".to_owned(),
        until: None,
    }
}

async fn freeze(engine: &Engine, request: v1::FreezeRequest) -> v1::Freeze {
    engine.freeze(&permit(Role::Control), request, clock(DAY)).await.unwrap().freeze.unwrap()
}

async fn unfreeze(engine: &Engine, id: &str, request_id: &str) -> Result<v1::UnfreezeResponse, Failure> {
    let request = v1::UnfreezeRequest {
        request_id: request_id.to_owned(),
        freeze_id: id.to_owned(),
        who: "bob".to_owned(),
        why: "Prices are right again.".to_owned(),
    };
    engine.unfreeze(&permit(Role::Control), request, clock("2026-11-18T16:30:00Z")).await
}

fn snow(id: &str, counties: &[&str]) -> v1::DeclareEmergencyRequest {
    v1::DeclareEmergencyRequest {
        request_id: id.to_owned(),
        jurisdiction: "US-NY".to_owned(),
        counties: counties.iter().map(|name| (*name).to_owned()).collect(),
        title: "Lake snow".to_owned(),
        source: "Executive Order 60".to_owned(),
        who: "ann".to_owned(),
        ..Default::default()
    }
}

async fn declare(engine: &Engine, request: v1::DeclareEmergencyRequest) -> v1::Emergency {
    engine.declare_emergency(&permit(Role::Control), request, clock(DAY)).await.unwrap().emergency.unwrap()
}

async fn check(engine: &Engine, request: v1::CheckRequest, now: &str) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(now)).await.unwrap()
}

fn dry(mut request: v1::CheckRequest) -> v1::CheckRequest {
    request.dry_run = true;
    request
}

fn new_york() -> v1::CheckRequest {
    dry(florida(NEW_YORK))
}

fn rules(decision: &v1::Decision) -> Vec<&str> {
    decision.reasons.iter().map(|reason| reason.rule_id.as_str()).collect()
}

async fn stopped(engine: &Engine, request: v1::CheckRequest) -> bool {
    rules(&check(engine, dry(request), DAY).await).contains(&"ringfence.freeze")
}

fn millis(stamp: Option<ringfence::proto::well_known::Timestamp>) -> i64 {
    stamp.unwrap().to_millis().unwrap()
}

/// Two engines over one store and with the same keys, as two instances are.
async fn pair(store: &Arc<dyn Store>, keys: &std::path::Path) -> [Arc<Engine>; 2] {
    let engine = async || {
        Arc::new(Engine::new(Parts {
            store: Arc::clone(store),
            keys: Keys::for_store(keys, None, &**store).await.unwrap(),
            log: None,
            registries: Arc::new(Registries::fixed(Vec::new())),
            law: law(),
            settings: Settings::default(),
            metrics: Arc::new(Metrics::default()),
        }))
    };
    [engine().await, engine().await]
}

#[tokio::test]
async fn a_freeze_is_seen_by_the_next_check_on_another_instance_and_so_is_its_lifting() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let [one, other] = pair(&store, &folder.path().join("keys")).await;
    assert_eq!(check(&other, dry(florida(NUMBER)), DAY).await.verdict(), Verdict::Allow);
    let frozen = freeze(&one, stop(seller("acme"), "f-1")).await;
    for engine in [&one, &other] {
        // A clock that is behind is no way around it.
        let denied = check(engine, florida(NUMBER), "2026-11-18T15:59:00Z").await;
        assert_eq!(families(&denied), ["RULE_FAMILY_POLICY"], "{:?}", denied.reasons);
        assert_eq!(denied.retry_at, None);
        let message = &denied.reasons[0].message;
        for said in ["seller acme", "2026-11-18T16:00:00Z", "ann", "Wrong prices were quoted."] {
            assert!(message.contains(said), "{said} is not in {message}");
        }
    }
    unfreeze(&other, &frozen.freeze_id, "u-1").await.unwrap();
    for engine in [&one, &other] {
        assert_eq!(check(engine, florida(NUMBER), DAY).await.verdict(), Verdict::Allow, "lifted is lifted");
    }
}

#[tokio::test]
async fn a_freeze_stops_what_it_names_and_nothing_else() {
    for (target, reached, spared) in [
        (Target::Everything(true), vec![NUMBER, NEW_YORK], vec![]),
        (seller("ACME"), vec![NUMBER], vec![]),
        (seller("borealis"), vec![], vec![NUMBER]),
        (place("US-FL"), vec![NUMBER], vec![NEW_YORK]),
        (place("US"), vec![NUMBER, NEW_YORK, "+17875550123"], vec!["+33612345678"]),
        (place("EU"), vec!["+33612345678", "+590690123456"], vec![NUMBER, "+447400123456"]),
        (place("GB"), vec!["+447400123456", "+441534123456"], vec!["+33612345678"]),
        // An area code nobody knows may be anywhere under +1.
        (place("US-WY"), vec!["+12325550100"], vec![NUMBER]),
    ] {
        let engine = engine();
        freeze(&engine, stop(target.clone(), "f")).await;
        for number in reached {
            assert!(stopped(&engine, florida(number)).await, "{target:?} reaches {number}");
        }
        for number in spared {
            assert!(!stopped(&engine, florida(number)).await, "{target:?} spares {number}");
        }
    }
}

/// No campaign is in none that could be frozen: said aloud where it is allowed.
#[tokio::test]
async fn a_frozen_campaign_is_stopped_and_a_check_without_one_is_warned() {
    let engine = engine();
    freeze(&engine, stop(Target::Campaign("Spring".to_owned()), "f")).await;
    let of = |campaign: &str| v1::CheckRequest { campaign: campaign.to_owned(), ..dry(florida(NUMBER)) };
    assert!(stopped(&engine, of("spring")).await);
    let autumn = check(&engine, of("autumn"), DAY).await;
    assert_eq!(autumn.verdict(), Verdict::Allow);
    let codes = |decision: &v1::Decision| decision.warnings.iter().map(|w| w.code.clone()).collect::<Vec<_>>();
    assert!(!codes(&autumn).contains(&"campaign_not_named".to_owned()));
    let unnamed = check(&engine, of(""), DAY).await;
    assert_eq!(unnamed.verdict(), Verdict::Allow);
    let warning = unnamed.warnings.iter().find(|warning| warning.code == "campaign_not_named").unwrap();
    assert!(warning.message.contains("campaign Spring") && warning.message.contains("ann"), "{warning:?}");
}

#[tokio::test]
async fn no_freeze_stops_an_emergency_or_what_the_law_demands() {
    let engine = engine();
    freeze(&engine, stop(Target::Everything(true), "f")).await;
    let emergency = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..florida(NUMBER) };
    assert_eq!(check(&engine, emergency, DAY).await.verdict(), Verdict::Allow);
    let notice = v1::CheckRequest { purpose: v1::Purpose::Informational.into(), ..florida(NUMBER) };
    assert!(stopped(&engine, notice.clone()).await);
    assert!(!stopped(&engine, v1::CheckRequest { legally_required: true, ..notice }).await);
}

#[tokio::test]
async fn a_freeze_with_an_end_says_when_and_every_freeze_that_stops_is_named() {
    let engine = engine();
    let until = v1::FreezeRequest { until: stamp("2026-11-18T18:00:00Z"), ..stop(seller("acme"), "f-1") };
    freeze(&engine, until).await;
    let denied = check(&engine, dry(florida(NUMBER)), DAY).await;
    assert_eq!(millis(denied.retry_at), at("2026-11-18T18:00:00Z").millis());
    assert_eq!(check(&engine, dry(florida(NUMBER)), "2026-11-18T18:00:00Z").await.verdict(), Verdict::Allow);
    freeze(&engine, stop(seller("Acme"), "f-2")).await;
    freeze(&engine, stop(place("US-FL"), "f-3")).await;
    let denied = check(&engine, dry(florida(NUMBER)), DAY).await;
    assert_eq!(rules(&denied), ["ringfence.freeze"; 3]);
    assert_eq!(denied.retry_at, None, "two have no end");
    // Asked about an instant before any of them was recorded, none of them was.
    let notice = v1::CheckRequest { purpose: v1::Purpose::Informational.into(), ..dry(florida(NUMBER)) };
    let before = v1::CheckRequest { at: stamp("2026-11-18T15:00:00Z"), ..notice };
    let allowed = check(&engine, before, DAY).await;
    assert_eq!(allowed.verdict(), Verdict::Allow);
    assert_eq!(millis(allowed.valid_until), at(DAY).millis());
}

#[tokio::test]
async fn a_switch_asked_for_again_is_the_same_and_its_id_serves_nothing_else() {
    let engine = engine();
    let first = freeze(&engine, stop(seller("acme"), "id")).await;
    assert_eq!(freeze(&engine, stop(seller("acme"), "id")).await, first);
    let other = engine.freeze(&permit(Role::Control), stop(seller("other"), "id"), clock(DAY)).await;
    assert!(matches!(other, Err(Failure::AlreadyExists(_))), "{other:?}");
    let other = engine.declare_emergency(&permit(Role::Control), snow("id", &[]), clock(DAY)).await;
    assert!(matches!(other, Err(Failure::AlreadyExists(_))), "{other:?}");
    let lifted = unfreeze(&engine, &first.freeze_id, "lift").await.unwrap();
    assert_eq!(unfreeze(&engine, &first.freeze_id, "lift").await.unwrap(), lifted);
    let again = unfreeze(&engine, &first.freeze_id, "lift-2").await;
    assert!(matches!(again, Err(Failure::AlreadyExists(_))), "{again:?}");
    assert!(matches!(unfreeze(&engine, "nobody", "lift-3").await, Err(Failure::NotFound(_))));
    // The freeze asked for again after it was lifted is the lifted one: it does not freeze anew.
    let again = freeze(&engine, stop(seller("acme"), "id")).await;
    assert!(again.lifted_at.is_some());
    let request = v1::ListFreezesRequest::default();
    let listed = engine.list_freezes(&permit(Role::Control), &request, at(DAY)).await.unwrap();
    assert!(listed.freezes.is_empty());
    let request = v1::ListFreezesRequest { history: true, ..request };
    let listed = engine.list_freezes(&permit(Role::Control), &request, at(DAY)).await.unwrap();
    assert_eq!((listed.freezes[0].lifted_by.as_str(), listed.freezes.len()), ("bob", 1));
}

/// Two instances, many hands: every switch that was answered is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_switches_are_all_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let pair = pair(&store, &folder.path().join("keys")).await;
    let hands: Vec<_> = (0..24)
        .map(|n| {
            let engine = Arc::clone(&pair[n % 2]);
            tokio::spawn(async move { freeze(&engine, stop(seller(&format!("s{n}")), &format!("f{n}"))).await })
        })
        .collect();
    let mut made = HashSet::new();
    for hand in hands {
        made.insert(hand.await.unwrap().freeze_id);
    }
    let all = v1::ListFreezesRequest::default();
    let listed = pair[0].list_freezes(&permit(Role::Control), &all, at(DAY)).await.unwrap().freezes;
    assert_eq!(listed.into_iter().map(|freeze| freeze.freeze_id).collect::<HashSet<_>>(), made);
    assert_eq!(made.len(), 24);
}

#[tokio::test]
async fn lists_come_by_pages_newest_first() {
    let engine = engine();
    for n in 0..5 {
        freeze(&engine, stop(seller(&format!("s{n}")), &format!("f{n}"))).await;
    }
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = v1::ListFreezesRequest { page_size: 2, page_token: token, ..Default::default() };
        let page = engine.list_freezes(&permit(Role::Control), &request, at(DAY)).await.unwrap();
        seen.extend(page.freezes.into_iter().map(|freeze| freeze.target.unwrap().target.unwrap()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["s4", "s3", "s2", "s1", "s0"].map(seller));
    for (page_size, page_token) in [(1_001, ""), (1, "nonsense")] {
        let request = v1::ListFreezesRequest { page_size, page_token: page_token.to_owned(), ..Default::default() };
        let refused = engine.list_freezes(&permit(Role::Control), &request, at(DAY)).await;
        assert!(matches!(refused, Err(Failure::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_every_fault() {
    let engine = engine();
    let fields = |failure: Failure| match failure {
        Failure::Invalid(violations) => violations.into_iter().map(|v| v.field).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let control = permit(Role::Control);
    let nothing = engine.freeze(&control, v1::FreezeRequest::default(), clock(DAY)).await.unwrap_err();
    assert_eq!(fields(nothing), ["request_id", "target", "who", "why"]);
    for (request, field) in [
        (stop(Target::Everything(false), "f"), "target.everything"),
        (stop(seller(" "), "f"), "target.seller"),
        (stop(seller(&"x".repeat(129)), "f"), "target.seller"),
        (stop(place("US-QQ"), "f"), "target.place"),
        (stop(place("Florida"), "f"), "target.place"),
        (v1::FreezeRequest { why: "x".repeat(1_025), ..stop(seller("a"), "f") }, "why"),
        (v1::FreezeRequest { who: "a\nb".to_owned(), ..stop(seller("a"), "f") }, "who"),
        (v1::FreezeRequest { until: stamp(DAY), ..stop(seller("a"), "f") }, "until"),
    ] {
        let refused = engine.freeze(&control, request, clock(DAY)).await.unwrap_err();
        assert_eq!(fields(refused), [field]);
    }
    let (later, sooner) = (stamp("2026-12-02T00:00:00Z"), stamp("2026-12-01T00:00:00Z"));
    for (request, field) in [
        (v1::DeclareEmergencyRequest { jurisdiction: "US-ZZ".to_owned(), ..snow("e", &[]) }, "jurisdiction"),
        (v1::DeclareEmergencyRequest { jurisdiction: String::new(), ..snow("e", &[]) }, "jurisdiction"),
        (snow("e", &["Erie", "Brooklyn"]), "counties"),
        (v1::DeclareEmergencyRequest { jurisdiction: "US-FL".to_owned(), ..snow("e", &["Dade"]) }, "counties"),
        (v1::DeclareEmergencyRequest { title: String::new(), ..snow("e", &[]) }, "title"),
        (v1::DeclareEmergencyRequest { from: later, until: sooner, ..snow("e", &[]) }, "until"),
    ] {
        let refused = engine.declare_emergency(&control, request, clock(DAY)).await.unwrap_err();
        assert_eq!(fields(refused), [field]);
    }
}

/// I8: each switch leaves an entry, a decision names what it looked at, and all of it is there after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switches_survive_a_restart_and_the_log_has_what_a_decision_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    {
        let durable = durable(folder.path()).await;
        freeze(&durable.engine, stop(seller("acme"), "f-1")).await;
        declare(&durable.engine, snow("e-1", &[])).await;
    }
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    let denied = check(engine, new_york(), DAY).await;
    assert_eq!(rules(&denied), ["us.ny.emergency", "ringfence.freeze"]);
    let inputs = async |decision: &v1::Decision| {
        engine
            .decision(&permit(Role::Audit), &decision.decision_id, crate::support::READ_AT)
            .await
            .unwrap()
            .inputs
            .unwrap()
    };
    let seen = inputs(&denied).await;
    assert_eq!(seen.feed_version, "control.2");
    assert_eq!((seen.freezes.len(), seen.emergencies.len()), (1, 1));
    assert_eq!((&*seen.freezes[0].who, &*seen.emergencies[0].title), ("ann", "Lake snow"));
    // What reaches nothing of the question is not part of it.
    let other = v1::CheckRequest { seller: "other".to_owned(), ..dry(florida(NUMBER)) };
    let seen = inputs(&check(engine, other, DAY).await).await;
    assert_eq!((seen.freezes.len(), seen.emergencies.len()), (0, 0));
    durable.reconciler.tick(at(DAY)).await.unwrap();
}

#[tokio::test]
async fn without_the_switches_nothing_but_an_emergency_is_answered() {
    let store: Arc<Faulty> = Arc::new(Faulty::new());
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let whole: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
    let [engine, other] = pair(&whole, &keys).await;
    freeze(&engine, stop(seller("borealis"), "f-1")).await;
    assert_eq!(check(&engine, dry(florida(NUMBER)), DAY).await.verdict(), Verdict::Allow);
    let emergency = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..florida(NUMBER) };
    let refuses = async |engine: &Engine| {
        let refused = engine.check(&permit(Role::Check), florida(NUMBER), clock(DAY)).await;
        assert!(matches!(refused, Err(Failure::Store(_))), "{refused:?}");
        assert!(check(engine, emergency.clone(), DAY).await.degraded);
    };
    store.set(Fault::Away);
    refuses(&engine).await;
    store.set(Fault::None);
    // A record that cannot be opened is no reason to think that nothing is frozen: whether it was read before or not.
    let keys = Keys::for_store(&keys, None, &*whole).await.unwrap();
    let key = keys.control(&keys.tenant("default", 1));
    let event =
        Event { writer: WriterId(1), kind: 0, at: at(DAY), digest: [0; 32], entry: Vec::new(), payload: Vec::new() };
    let write = Write { key, expected: Version(1), bytes: vec![7; 200], expires: None, event };
    assert!(matches!(whole.swap(write).await.unwrap(), Swapped::Won { .. }));
    refuses(&engine).await;
    refuses(&other).await;
    let refused = engine.freeze(&permit(Role::Control), stop(seller("acme"), "f-2"), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Store(_))), "{refused:?}");
}
