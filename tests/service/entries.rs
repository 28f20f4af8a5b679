//! What the date of an entry does to a decision, and what is decided while there is no list to ask.

use std::fs;
use std::path::Path;

use ringfence::access::Role;
use ringfence::proto::v1::{self, Verdict};
use ringfence::registry::import::{Answers, Import, Order};
use ringfence::registry::set::{Builder, Day, Header, write};
use ringfence::registry::{List, Registries};

use super::support::{DAY, at, clock, durable_with, florida, permit, stamp};

const AS_OF: &str = "2026-11-18T06:00:00Z";

/// A sales call to somebody who consented to calls of acme on 1 June 2025, without proof.
fn call(number: &str) -> v1::CheckRequest {
    let consent = v1::Consent {
        grade: v1::ConsentGrade::Express.into(),
        channels: vec![v1::Channel::Call.into()],
        sellers: vec!["acme".to_owned()],
        given_at: stamp("2025-06-01T10:00:00Z"),
        ..Default::default()
    };
    let evidence = v1::Evidence { consents: vec![consent], ..Default::default() };
    v1::CheckRequest { number: number.to_owned(), evidence: Some(evidence), ..florida(number) }
}

fn about<'d>(decision: &'d v1::Decision, list: &str) -> Vec<&'d str> {
    decision.reasons.iter().filter(|why| why.message.contains(list)).map(|why| why.message.as_str()).collect()
}

/// In Belgium the later date is the stricter one (a consent must be newer than the entry), in Singapore the earlier (an entry
/// counts from its 21st day): of a number with both, neither is taken.
#[tokio::test]
async fn a_number_that_was_entered_twice_is_judged_by_the_strictest_of_both() {
    const BELGIAN: &str = "+32470123456";
    const SINGAPOREAN: &str = "+6591234567";
    let cases: &[(&str, &str, &[&str], bool)] = &[
        ("be.dncm", BELGIAN, &["2024-01-10"], false),
        ("be.dncm", BELGIAN, &["2026-10-01"], true),
        ("be.dncm", BELGIAN, &["2024-01-10", "2026-10-01"], true),
        ("be.dncm", BELGIAN, &["2026-10-01", "2024-01-10"], true),
        ("sg.dnc.voice", SINGAPOREAN, &["2026-11-10"], false),
        ("sg.dnc.voice", SINGAPOREAN, &["2026-01-10"], true),
        ("sg.dnc.voice", SINGAPOREAN, &["2026-11-10", "2026-01-10"], true),
        ("sg.dnc.voice", SINGAPOREAN, &["2026-01-10", "2026-11-10"], true),
    ];
    for (id, number, dates, denied) in cases {
        let lines: String = dates.iter().map(|date| format!("{number},{date}\n")).collect();
        let list = List::read(id, Path::new("x.txt"), format!("# as_of={AS_OF}\n{lines}").as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let durable = durable_with(folder.path(), Registries::fixed(vec![list])).await;
        let decision = durable.engine.check(&permit(Role::Check), call(number), clock(DAY)).await.unwrap();
        let why = about(&decision, id);
        assert_eq!(!why.is_empty(), *denied, "{id} {dates:?}: {:?}", decision.reasons);
        assert!(!*denied || decision.verdict() == Verdict::Deny, "{id} {dates:?}");
    }
}

/// The register of Italy answers about the numbers it is asked: who was not asked about is not "not listed".
#[tokio::test]
async fn whom_a_register_was_not_asked_about_is_denied() {
    let folder = tempfile::tempdir().unwrap();
    let lists = tempfile::tempdir().unwrap();
    let order = Order { answers: Some(Answers::Cleaned), fewer: true, ..Order::new("it.rpo", at(AS_OF)) };
    let mut import = Import::begin(order, lists.path(), None).unwrap();
    import.read_asked("sent", &b"+390455551231\n+390455551232\n"[..], &mut |_| {}).unwrap();
    import.read("cleaned", &b"+390455551232\n"[..], &mut |_| {}).unwrap();
    import.finish().unwrap();
    let durable = durable_with(folder.path(), Registries::open(Some(lists.path())).unwrap()).await;
    for (number, why) in [
        ("+390455551231", Some("The number is on it.rpo.")),
        ("+390455551232", None),
        ("+390455551233", Some("does not cover this number")),
    ] {
        let question = v1::CheckRequest { evidence: None, ..florida(number) };
        let decision = durable.engine.check(&permit(Role::Check), question, clock(DAY)).await.unwrap();
        let said = about(&decision, "it.rpo").join("; ");
        assert!(why.map_or(said.is_empty(), |why| said.contains(why)), "{number}: {said}; {:?}", decision.reasons);
    }
}

/// What stands in a folder of lists that may be written over.
fn put(folder: &Path, id: &str, numbers: &[u64]) {
    let mut builder = Builder::default();
    for number in numbers {
        builder.add(*number, Day::NONE);
    }
    write(&folder.join(format!("{id}.set")), Header::new(id, at(AS_OF), "a test", false), builder).unwrap();
}

/// `cp` writes into the very file that is mapped. As soon as that is seen there is no list, rather than one that answers from
/// other bytes than those that were checked; and without a list nobody is called.
#[tokio::test]
async fn a_set_file_that_is_written_over_in_place_denies() {
    const CLEAR: &str = "+12025550143";
    let (folder, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(lists.path(), "us.dnc.national", &[12_025_550_100]);
    let durable = durable_with(folder.path(), Registries::open(Some(lists.path())).unwrap()).await;
    let engine = &durable.engine;
    let why = async || {
        let question = v1::CheckRequest { evidence: None, ..florida(CLEAR) };
        let decision = engine.check(&permit(Role::Check), question, clock(DAY)).await.unwrap();
        about(&decision, "us.dnc.national").join("; ")
    };
    assert_eq!(why().await, "");
    let path = lists.path().join("us.dnc.national.set");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 0x40;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(engine.registries().refresh().removed, ["us.dnc.national"]);
    assert!(why().await.contains("none is loaded"), "{}", why().await);
    // Renamed into its place, a bad file leaves the good one in force.
    put(lists.path(), "us.dnc.national", &[12_025_550_100]);
    engine.registries().refresh();
    fs::write(lists.path().join(".new"), &bytes).unwrap();
    fs::rename(lists.path().join(".new"), &path).unwrap();
    assert_eq!(engine.registries().refresh().refused.len(), 1);
    assert_eq!(why().await, "");
}
