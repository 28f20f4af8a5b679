//! Copies of lists as decisions and metrics see them: what a part of a list does not cover, when one goes stale, what is
//! told of one that is gone.

use std::fs;
use std::path::Path;

use ringfence::access::Role;
use ringfence::proto::v1::{self, Listing, Verdict};
use ringfence::registry::{List, Registries};

use super::support::{DAY, at, clock, durable_with, florida, permit};

const DC: &str = "+12025550143";
const MIAMI: &str = "+13055550123";

fn list(id: &str, header: &str, lines: &str) -> List {
    List::read(id, Path::new("x.txt"), format!("# {header}\n{lines}").as_bytes()).unwrap()
}

/// A sales call of which the caller says nothing of lists.
fn bare(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { number: number.to_owned(), evidence: None, ..florida(number) }
}

fn about<'d>(decision: &'d v1::Decision, list: &str) -> Vec<&'d str> {
    decision.reasons.iter().filter(|why| why.message.contains(list)).map(|why| why.message.as_str()).collect()
}

/// What was not handed out is not "not listed".
#[tokio::test]
async fn a_number_outside_the_areas_of_a_copy_is_denied_as_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let part = "as_of=2026-11-18T06:00:00Z areas=202";
    let lists = vec![
        list("us.dnc.national", part, "2025550100\n4155550100\n"),
        list("us.dnc.fl", "as_of=2026-11-18T06:00:00Z", "3055550199\n"),
    ];
    let durable = durable_with(folder.path(), Registries::fixed(lists)).await;
    let engine = &durable.engine;
    let check = async |question| engine.check(&permit(Role::Check), question, clock(DAY)).await.unwrap();

    let covered = check(bare(DC)).await;
    assert!(about(&covered, "us.dnc.national").is_empty(), "{:?}", covered.reasons);
    let denied = check(bare(MIAMI)).await;
    assert_eq!(denied.verdict(), Verdict::Deny);
    let why = about(&denied, "us.dnc.national");
    assert!(why.iter().all(|why| why.contains("does not cover area code 305")) && !why.is_empty(), "{why:?}");
    let copy = denied.registry_copies.iter().find(|copy| copy.registry == "us.dnc.national").unwrap();
    assert_eq!((copy.version.len(), copy.listed), (16, None));
    // A number that it has all the same is on it.
    let listed = check(bare("+14155550100")).await;
    assert!(!about(&listed, "The number is on us.dnc.national").is_empty(), "{:?}", listed.reasons);
    // Whoever looked elsewhere may say so.
    let checked = check(florida(MIAMI)).await;
    assert_eq!(checked.verdict(), Verdict::Allow, "{:?}", checked.reasons);

    let look = v1::LookUpRequest { number: MIAMI.to_owned(), ..Default::default() };
    let answers = engine.look_up_number(&permit(Role::ManageLists), &look, at(DAY)).await.unwrap().answers;
    let said: Vec<_> = answers.iter().map(|one| (one.registry.as_str(), one.listing())).collect();
    assert_eq!(said, [("us.dnc.fl", Listing::NotListed), ("us.dnc.national", Listing::Unknown)]);

    // Years later the same, with no list at hand.
    let ids = [covered, denied, listed, checked].map(|decision| decision.decision_id).to_vec();
    let request = v1::ReplayRequest { decision_ids: ids, ..Default::default() };
    for (id, replayed) in engine.replay(&permit(Role::Audit), &request, at(DAY)).await.unwrap() {
        let replayed = replayed.unwrap();
        assert!(replayed.identical && replayed.unknown_registries.is_empty(), "{id}: {replayed:?}");
    }
}

#[tokio::test]
async fn a_copy_that_goes_stale_within_three_days_is_warned_of() {
    for (as_of, warned) in [("2026-10-25T06:00:00Z", false), ("2026-10-20T06:00:00Z", true)] {
        let folder = tempfile::tempdir().unwrap();
        let header = format!("as_of={as_of} areas=all");
        let lists = ["us.dnc.national", "us.dnc.fl"].map(|id| list(id, &header, "2025550100\n")).into_iter().collect();
        let durable = durable_with(folder.path(), Registries::fixed(lists)).await;
        let decision = durable.engine.check(&permit(Role::Check), bare(MIAMI), clock(DAY)).await.unwrap();
        let said: Vec<_> = decision.warnings.iter().filter(|warning| warning.code == "registry_expiring").collect();
        assert_eq!((decision.verdict(), !said.is_empty()), (Verdict::Allow, warned), "{as_of}: {decision:?}");
        assert!(said.iter().all(|warning| warning.message.contains(&format!("as of {as_of}"))), "{said:?}");
    }
}

#[tokio::test]
async fn what_is_measured_of_a_list_goes_with_it() {
    let (keys, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let durable = durable_with(keys.path(), Registries::open(Some(lists.path())).unwrap()).await;
    let engine = &durable.engine;
    let measured = || {
        engine.registries().refresh();
        engine.measure(at(DAY));
        let text = engine.metrics().text();
        let lines = text.lines().filter(|line| line.starts_with("ringfence_registry_")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(measured(), ["ringfence_registry_refused 0"]);
    let path = lists.path().join("us.dnc.national.txt");
    fs::write(&path, "# as_of=2026-11-18T06:00:00Z\n2025550100\n").unwrap();
    fs::write(lists.path().join("tenant.x.txt"), "# as_of=2026-11-18T16:00:00Z\n+12025550100\n").unwrap();
    fs::write(lists.path().join("uk.tps.txt"), "no list").unwrap();
    let stale = at("2026-11-18T06:00:00Z").millis() / 1_000 + 31 * 86_400;
    let mut said = measured();
    said.sort();
    assert_eq!(
        said[..3],
        [
            "ringfence_registry_age_seconds{registry=\"tenant.x\",tenant=\"default\"} 0.0".to_owned(),
            "ringfence_registry_age_seconds{registry=\"us.dnc.national\"} 36000.0".to_owned(),
            "ringfence_registry_refused 1".to_owned(),
        ]
    );
    // No rule asks for the other.
    assert_eq!(
        said[3..],
        [format!("ringfence_registry_stale_timestamp_seconds{{registry=\"us.dnc.national\"}} {stale}.001")]
    );
    fs::remove_file(&path).unwrap();
    fs::remove_file(lists.path().join("uk.tps.txt")).unwrap();
    assert_eq!(
        measured(),
        [
            "ringfence_registry_age_seconds{registry=\"tenant.x\",tenant=\"default\"} 0.0",
            "ringfence_registry_refused 0"
        ]
    );
}
