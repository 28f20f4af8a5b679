//! A second set of packs judged beside the first: counted to the last one, and without any effect on an answer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "twin/random.rs"]
#[allow(dead_code, reason = "each test uses its own part of this")]
mod random;
mod support;
#[path = "replay/traffic.rs"]
#[allow(dead_code, reason = "each test uses its own part of this")]
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::access::Role;
use ringfence::engine::{Clock, Engine, Settings, ShadowReport};
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::{Calls, Incoming};
use support::{DAY, at, florida, permit};
use traffic::{POLICY, built_in, open};

const CHECKS: usize = 60;

fn shadow_packs() -> Arc<Law> {
    let policy = POLICY.replace("purpose = \"informational\"", "purpose = \"marketing\", channel = \"call\"");
    Arc::new(Law::read(BUILT_IN.iter().copied().chain([("policy.toml", policy.as_str())])).unwrap())
}

/// The report, once it has so many; the thread of the shadow needs a moment.
fn report(engine: &Engine, judged: u64) -> ShadowReport {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let report = engine.shadow_report(&permit(Role::Audit)).unwrap();
        if report.tally.judged >= judged || Instant::now() > patience {
            return report;
        }
        std::thread::yield_now();
    }
}

async fn ask(engine: &Engine) -> Vec<v1::Decision> {
    let mut answers = Vec::new();
    for index in 0..CHECKS {
        let request = v1::CheckRequest {
            attempt_id: format!("a-{index}"),
            campaign: if index % 2 == 0 { "spring".to_owned() } else { String::new() },
            ..florida(&format!("+130555501{:02}", index % 12))
        };
        let decision = engine.check(&permit(Role::Check), request, Clock::at(at(DAY))).await.unwrap();
        answers.push(v1::Decision { decision_id: String::new(), ..decision });
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shadow_counts_every_flip_and_changes_no_answer() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (alone, _kept) = open(one.path(), built_in(), Settings::default()).await;
    let (shadowed, _kept_too) = open(other.path(), built_in(), Settings::default()).await;
    let calls = Calls::new(Arc::clone(&shadowed));
    assert_eq!(calls.shadow(&Incoming::local(None)).unwrap_err().code(), tonic::Code::NotFound);
    shadowed.shadow_by(shadow_packs()).unwrap();
    let answers = ask(&shadowed).await;
    assert_eq!(answers, ask(&alone).await);
    let allowed = answers.iter().filter(|answer| answer.verdict() == Verdict::Allow).count();
    assert!(allowed > 20 && allowed < CHECKS, "{allowed}");

    let found = report(&shadowed, CHECKS as u64);
    assert_eq!((found.tally.judged, found.tally.unfits(), found.dropped), (CHECKS as u64, 0, 0));
    assert_ne!(found.rules_version, found.shadow_rules_version);
    let json = serde_json::to_value(calls.shadow(&Incoming::local(None)).unwrap()).unwrap();
    let flips = &json["flips"]["allow_to_deny"];
    assert_eq!(
        (flips["count"].as_u64(), json["flips"].as_object().unwrap().len()),
        (Some(allowed as u64), 1),
        "{json}"
    );
    assert_eq!(flips["rules"]["policy.no_information"]["count"], allowed);
    assert_eq!(flips["places"]["US-FL"], allowed);
    assert!(!json.to_string().contains("+1305555010"), "a whole number in {json}");
    let metrics = shadowed.metrics().text();
    let line = format!("ringfence_shadow_judgements_total{{outcome=\"allow_to_deny\"}} {allowed}");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(metrics.contains("ringfence_shadow_flips_total{change=\"allow_to_deny\",family=\"POLICY\""), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_shadow_packs_begin_anew_and_what_is_too_large_is_counted_as_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _kept) = open(folder.path(), built_in(), Settings::default()).await;
    engine.shadow_by(shadow_packs()).unwrap();
    ask(&engine).await;
    assert!(report(&engine, CHECKS as u64).tally.flipped() > 0);
    engine.shadow_by(built_in()).unwrap();
    assert_eq!(engine.shadow_report(&permit(Role::Audit)).unwrap().tally.judged, 0);
    let mut large = florida("+13055550177");
    let evidence = large.evidence.as_mut().unwrap();
    let check = evidence.registry_checks[0].clone();
    evidence.registry_checks.extend(std::iter::repeat_n(check, 1_000));
    let decision = engine.check(&permit(Role::Check), large, Clock::at(at(DAY))).await.unwrap();
    assert_eq!(decision.verdict(), Verdict::Allow);
    engine.check(&permit(Role::Check), florida("+13055550178"), Clock::at(at(DAY))).await.unwrap();
    let found = report(&engine, 1);
    // The packs are those in force: to the byte.
    assert_eq!((found.tally.judged, found.tally.identical, found.dropped), (1, 1, 1));
}
