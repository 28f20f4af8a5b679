//! Past decisions judged again: on a copy of the data, on a machine of another clock and language, to the byte; and under
//! changed packs, where exactly those flip that must.
//!
//! `RINGFENCE_REPLAY_DECISIONS` asks for another number of decisions than the default:
//! `RINGFENCE_REPLAY_DECISIONS=1000000 cargo test --release --test replay` is the long run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "twin/random.rs"]
#[allow(dead_code, reason = "each test uses its own part of this")]
mod random;
mod support;
#[path = "replay/traffic.rs"]
mod traffic;

use std::sync::OnceLock;

use ringfence::access::Role;
use ringfence::audit::{DecisionId, Library};
use ringfence::engine::replay::{Laws, Past, Unfit};
use ringfence::engine::{Clock, Settings};
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::{Calls, Incoming};
use support::{DAY, at, florida, opt_out, permit, stamp};
use traffic::{Built, build, built_in, changed_packs, copy, flipped, library, open, planted, replay, run, with_policy};

const NUMBER: &str = "+13055550123";

fn decisions() -> usize {
    let name = "RINGFENCE_REPLAY_DECISIONS";
    std::env::var(name).ok().map_or(21_000, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// One folder for the tests that only read it.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(build(decisions()))
    })
}

/// A copy of it, as another machine would have it.
fn copied() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(built().folder.path(), folder.path());
    folder
}

#[test]
fn every_decision_is_the_same_to_the_byte_elsewhere() {
    let there = copied();
    let ran = replay(there.path(), &["--json"]);
    let json = ran.json();
    let count = built().decided.len();
    eprintln!("{count} decisions replayed");
    assert_eq!(
        (json["judged"].as_u64(), json["identical"].as_u64()),
        (Some(count as u64), Some(count as u64)),
        "{json}"
    );
    assert_eq!((ran.code, json["unfits"].as_u64(), json["asExpected"].as_bool()), (Some(0), Some(0), Some(true)));
    // Worth doing: both verdicts, reservations, and every kind of question come up often.
    let decided = &built().decided;
    let allowed = decided.iter().filter(|one| one.allows).count();
    let reserved = decided.iter().filter(|one| one.reserves).count();
    let families: std::collections::HashSet<_> = decided.iter().flat_map(|one| &one.families).collect();
    assert!(
        allowed > count / 20 && reserved > count / 200 && families.len() >= 10,
        "{allowed} {reserved} {families:?}"
    );
}

#[test]
fn under_changed_packs_exactly_those_flip_that_must() {
    let there = copied();
    let packs = changed_packs();
    let folder = packs.path().display().to_string();
    let ran = replay(there.path(), &["--json", "--examples=1000000", "--packs", &folder]);
    let json = ran.json();
    let [to_deny, to_allow] = planted(&built().decided);
    assert!(to_deny.len() > 10 && to_allow.len() > 10, "{} {}", to_deny.len(), to_allow.len());
    assert_eq!(flipped(&json, "allow_to_deny"), to_deny);
    assert_eq!(flipped(&json, "deny_to_allow"), to_allow);
    assert_eq!(json["flips"]["allow_to_deny"]["count"], to_deny.len());
    assert_eq!(json["flipped"], to_deny.len() + to_allow.len());
    assert_eq!(
        (ran.code, json["unfits"].as_u64(), json["judged"].as_u64()),
        (Some(1), Some(0), Some(built().decided.len() as u64))
    );
    let campaigns = json["flips"]["allow_to_deny"]["campaigns"].as_object().unwrap();
    assert_eq!(campaigns.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), to_deny.len() as u64);
    // The same for people, masked.
    let ran = replay(there.path(), &["--packs", &folder, "--seller=lux"]);
    assert!(
        ran.out.starts_with("FLIPS") && ran.out.contains("policy.no_texts") && ran.out.contains("by campaign"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("••"), "{}", ran.out);
    let mut whole = built().decided.iter().filter(|one| one.number.len() > 9);
    assert!(!whole.any(|one| ran.out.contains(&one.number)));
}

#[test]
fn what_is_asked_for_is_judged_and_nothing_else() {
    let there = copied();
    let decided = &built().decided;
    let one = decided.iter().find(|one| one.number == "+13055550100").unwrap();
    let only = format!("--decision={}", one.id);
    assert_eq!(replay(there.path(), &["--json", &only]).json()["judged"], 1);
    let of_number = decided.iter().filter(|other| other.number == one.number).count();
    let asked = format!("--number={}", one.number);
    assert_eq!(replay(there.path(), &["--json", &asked]).json()["judged"], of_number);
    let spring = decided.iter().filter(|one| &*one.campaign == "spring" && &*one.seller == "lux").count();
    assert_eq!(replay(there.path(), &["--json", "--campaign=spring", "--seller=lux"]).json()["judged"], spring);
    let none = replay(there.path(), &["--json", "--until=2020-01-01T00:00:00Z"]).json();
    assert_eq!(none["judged"], 0);
    let unknown = replay(there.path(), &["--decision=0190a5c6-0000-7000-8000-000000000000"]);
    assert_eq!((unknown.code, unknown.err.contains("not in this log")), (Some(2), true), "{}", unknown.err);
}

/// A bundle is replayed with its own keys, and neither the store nor its keys; it holds what was chosen and no more.
#[test]
fn a_bundle_is_replayed_without_the_store() {
    let there = copied();
    let bundle = tempfile::tempdir().unwrap();
    let (to, keys) = (bundle.path().join("data"), bundle.path().join("keys"));
    let arguments = ["--seller=lux", "--campaign=spring", "--json"];
    let into = [format!("--to={}", to.display()), format!("--to-keys={}", keys.display())];
    let ran = run("bundle", there.path(), &[&arguments[..], &[&into[0], &into[1]]].concat());
    let count = built().decided.iter().filter(|one| &*one.campaign == "spring" && &*one.seller == "lux").count();
    let json = ran.json();
    assert_eq!((ran.code, json["decisions"].as_u64(), json["laws"].as_u64()), (Some(0), Some(count as u64), Some(2)));
    assert!(!to.join("store.id").exists());
    std::fs::remove_dir_all(there.path()).unwrap();
    let ran = replay(bundle.path(), &["--json"]);
    let json = ran.json();
    assert_eq!((ran.code, json["identical"].as_u64(), json["unfits"].as_u64()), (Some(0), Some(count as u64), Some(0)));
    let one = built().decided.iter().find(|one| &*one.campaign == "spring" && &*one.seller == "lux").unwrap();
    let of_number = replay(bundle.path(), &["--json", &format!("--number={}", one.number)]).json();
    assert!(of_number["judged"].as_u64() > Some(0), "{of_number}");
    // What is known now is in no bundle.
    assert_eq!(replay(bundle.path(), &["--json", "--known=now"]).json()["unfits"], count);
    // It is made once, and its keys never lie in it.
    assert_eq!(run("bundle", bundle.path(), &[&into[0], &into[1]]).code, Some(2));
    let inside = [format!("--to={}/new", to.display()), format!("--to-keys={}/new/keys", to.display())];
    assert!(run("bundle", bundle.path(), &[&inside[0], &inside[1]]).err.contains("lies inside"));
}

/// A small folder: one allowed call by a server with a house pack, which another replaces.
async fn small() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (engine, reconciler) = open(folder.path(), with_policy(), Settings::default()).await;
    let decision = engine.check(&permit(Role::Check), florida(NUMBER), Clock::at(at(DAY))).await.unwrap();
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
    reconciler.tick(at(DAY)).await.unwrap();
    (folder, decision.decision_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_cannot_be_judged_is_named_with_the_reason() {
    let (folder, id) = small().await;
    assert_eq!(replay(folder.path(), &[]).code, Some(0));
    let told = |why: &str| {
        let ran = replay(folder.path(), &["--json"]);
        let json = ran.json();
        let (reason, unfits) = json["unfit"].as_object().unwrap().iter().next().unwrap();
        assert!(reason.contains(why), "{reason}");
        assert_eq!(
            (ran.code, unfits["decisionIds"][0].as_str(), json["judged"].as_u64()),
            (Some(1), Some(id.as_str()), Some(0))
        );
    };
    for file in library(folder.path()) {
        let kept = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        // The words of inbound texts decide nothing: their name is enough.
        if kept.starts_with(b"# ") || replay(folder.path(), &[]).code == Some(0) {
            std::fs::write(&file, kept).unwrap();
            continue;
        }
        told("the library lacks");
        let mut altered = kept.clone();
        altered.push(b'\n');
        std::fs::write(&file, altered).unwrap();
        told("the library cannot be read");
        std::fs::write(&file, kept).unwrap();
    }
    assert_eq!(replay(folder.path(), &[]).code, Some(0));
    // Keys of another store open nothing, and are refused.
    std::fs::remove_file(folder.path().join("keys")).unwrap();
    let refused = replay(folder.path(), &[]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
}

#[test]
fn an_entry_of_an_earlier_release_is_not_judged() {
    use prost::Message as _;
    use ringfence::proto::store::{AuditBody, AuditedDecision, audit_body::Body};
    let id = DecisionId::parse("0190a5c6-0000-7000-8000-000000000000").unwrap();
    let entry = |form: u32| {
        let body = AuditBody { body: Some(Body::Decision(AuditedDecision { form, ..Default::default() })) };
        let entry = ringfence::audit::Entry {
            kind: 2,
            at: at(DAY),
            id,
            tenant: "default".to_owned(),
            tag: None,
            campaign: None,
            open: None,
            key: ringfence::audit::BodyKey::Clear,
            body: Vec::new(),
        };
        Past::read(&entry, &body.encode_to_vec()).err()
    };
    assert_eq!((entry(0), entry(9)), (Some(Unfit::Older), Some(Unfit::Newer(9))));
}

/// What was known then, and what is known now of then, are two questions with two answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fact_that_was_entered_late_changes_what_is_known_now_and_not_what_was_known_then() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, reconciler) = open(folder.path(), built_in(), Settings::default()).await;
    let check = permit(Role::Check);
    let first = engine.check(&check, florida(NUMBER), Clock::at(at(DAY))).await.unwrap();
    let other = engine.check(&check, florida("+13055550124"), Clock::at(at(DAY))).await.unwrap();
    assert_eq!((first.verdict(), other.verdict()), (Verdict::Allow, Verdict::Allow));
    // Said before the calls, entered a day after; of the other number it was said after the call.
    let later = Clock::at(at("2026-11-19T16:00:00Z"));
    for (number, said, id) in [(NUMBER, "2026-11-17T12:00:00Z", "s1"), ("+13055550124", "2026-11-18T16:00:01Z", "s2")] {
        let request = v1::RecordOptOutRequest { at: stamp(said), ..opt_out(number, id) };
        engine.record_opt_out(&permit(Role::WriteConsent), request, later).await.unwrap();
    }
    let calls = Calls::new(engine.clone());
    let ask = async |law: v1::ReplayLaw, facts: v1::ReplayFacts| {
        let request = v1::ReplayRequest {
            decision_ids: vec![first.decision_id.clone(), other.decision_id.clone(), "x".to_owned()],
            law: law.into(),
            facts: facts.into(),
        };
        let results = calls.replay(Incoming::local(None), request).await.unwrap().results;
        assert!(matches!(&results[2].result, Some(v1::replay_result::Result::Error(status)) if status.code == 5));
        let replayed = |index: usize| match results[index].result.clone() {
            Some(v1::replay_result::Result::Replayed(replayed)) => replayed,
            other => panic!("{other:?}"),
        };
        [replayed(0), replayed(1)]
    };
    let flips = |replayed: &[v1::Replayed; 2]| replayed.each_ref().map(|one| (one.identical, one.flipped));
    let then = ask(v1::ReplayLaw::AsThen, v1::ReplayFacts::AsThen).await;
    assert_eq!(flips(&then), [(true, false), (true, false)]);
    assert_eq!(then[0].original.as_ref(), Some(&first));
    let now = ask(v1::ReplayLaw::AsThen, v1::ReplayFacts::AsKnownNow).await;
    assert_eq!(flips(&now), [(false, true), (false, false)], "{now:?}");
    // What was said a second after the call denies from then on.
    assert_eq!(now[1].decision.as_ref().unwrap().valid_until, stamp("2026-11-18T16:00:01Z"));
    // Other packs are in force by now: those of then come from the library.
    engine.change_law(with_policy()).unwrap();
    assert_eq!(flips(&ask(v1::ReplayLaw::AsThen, v1::ReplayFacts::AsThen).await), [(true, false), (true, false)]);
    let law_now = ask(v1::ReplayLaw::AsKnownNow, v1::ReplayFacts::AsThen).await;
    assert_eq!(flips(&law_now), [(false, false), (false, false)], "another set by name, the same verdicts");
    reconciler.tick(at(DAY)).await.unwrap();
    drop((calls, engine, reconciler));
    assert_eq!(replay(folder.path(), &[]).code, Some(0));
    let ran = replay(folder.path(), &["--known=now", "--json"]);
    assert_eq!((ran.code, flipped(&ran.json(), "allow_to_deny")), (Some(1), vec![first.decision_id.clone()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_that_cannot_be_kept_do_not_come_into_force() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _reconciler) = open(folder.path(), built_in(), Settings::default()).await;
    let before = engine.law().version().to_owned();
    let library = folder.path().join("data/library");
    std::fs::remove_dir_all(&library).unwrap();
    std::fs::write(&library, "no folder").unwrap();
    assert!(engine.change_law(with_policy()).is_err());
    assert_eq!(engine.law().version(), before);
    assert!(matches!(Laws::new(Library::at(&library)).get(engine.law().basis()), Err(Unfit::Library(_))));
}
