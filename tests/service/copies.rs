//! Copies of lists as decisions and metrics see them: what a part of a list does not cover, when one goes stale, what is
//! told of one that is gone.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence::access::Role;
use ringfence::engine::{ListTags, Tenants};
use ringfence::proto::v1::{self, Listing, Verdict};
use ringfence::registry::import::{Import, Order};
use ringfence::registry::set::{Areas, Builder, Day, Header, write};
use ringfence::registry::{List, Mark, Registries, Tagger, tenant_folder};
use ringfence::store::Keys;

use super::support::{
    DAY, HOUSE_RULES, OWN_LIST, at, clock, durable_with, florida, law_with, notice, permit, stamp, told_by_own_list,
};

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

#[tokio::test]
async fn what_a_copy_covers_and_when_it_was_whole_is_told() {
    let (keys, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let new = |id, as_of: &str| Header::new(id, at(as_of), "", false);
    let copies = [
        Header {
            areas: Some(Areas::read("202-203,305").unwrap()),
            full_as_of: Some(at("2026-11-01T06:00:00Z")),
            ..new("us.dnc.national", "2026-11-18T06:00:00Z")
        },
        new("us.dnc.fl", "2026-11-17T06:00:00Z"),
        // Of the form that did not say.
        Header { areas: None, full_as_of: None, ..new("ca.dncl", "2026-11-16T06:00:00Z") },
    ];
    for copy in copies {
        let mut builder = Builder::default();
        builder.add(12_025_550_143, Day::NONE);
        write(&lists.path().join(format!("{}.set", copy.registry)), copy, builder).unwrap();
    }
    let durable = durable_with(keys.path(), Registries::open(Some(lists.path())).unwrap()).await;
    let all = durable.engine.list_registries(&permit(Role::ManageLists), at(DAY)).await.unwrap().registries;
    let told = |id| {
        let one = all.iter().find(|one| one.registry == id).unwrap();
        (one.loaded, one.areas.as_str(), one.full_as_of)
    };
    assert_eq!(told("us.dnc.national"), (true, "202-203,305", stamp("2026-11-01T06:00:00Z")));
    assert_eq!(told("us.dnc.fl"), (true, "all", stamp("2026-11-17T06:00:00Z")));
    assert_eq!(told("ca.dncl"), (true, "202", None));
    assert!(all.iter().any(|one| !one.loaded), "some are asked for and missing");
    assert!(all.iter().all(|one| one.loaded || (one.areas.is_empty() && one.full_as_of.is_none())));
}

#[tokio::test]
async fn an_own_list_goes_stale_by_the_law_of_its_tenant() {
    let (keys, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tenants = ["beta", "gamma"].map(|tenant| tenant_folder(lists.path(), tenant));
    for folder in [lists.path()].into_iter().chain(tenants.iter().map(|folder| folder.as_path())) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(format!("{OWN_LIST}.txt")), "# as_of=2026-11-18T06:00:00Z\n+12025550100\n").unwrap();
    }
    let durable = durable_with(keys.path(), Registries::open(Some(lists.path())).unwrap()).await;
    durable.engine.change_law(law_with(HOUSE_RULES)).unwrap();
    let tenants = Tenants::new(Arc::clone(&durable.engine));
    tenants.open("beta", Some(law_with(&HOUSE_RULES.replace("2 days", "5 days")))).unwrap();
    tenants.open("gamma", None).unwrap();
    tenants.measure(at(DAY));
    let text = durable.engine.metrics().text();
    let as_of = at("2026-11-18T06:00:00Z").millis() / 1_000;
    for (tenant, days) in [("default", 2), ("beta", 5), ("gamma", 2)] {
        let labels = format!("{{registry=\"{OWN_LIST}\",tenant=\"{tenant}\"}}");
        let line = format!("ringfence_registry_stale_timestamp_seconds{labels} {}.001\n", as_of + days * 86_400);
        assert!(text.contains(&line), "{line} in {text}");
    }
}

/// Counts the tags that it makes.
struct Counted(ListTags, Arc<AtomicUsize>);

impl Tagger for Counted {
    fn mark(&self) -> Mark {
        self.0.mark()
    }

    fn tag(&self, list: &str, e164_digits: u64) -> u64 {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.tag(list, e164_digits)
    }

    fn of_tenant(&self, name: &str) -> Arc<dyn Tagger> {
        self.0.of_tenant(name)
    }
}

/// Whichever rule asks, and however often: a tag is not free.
#[tokio::test]
async fn a_check_makes_one_tag_for_each_own_list() {
    let (keys, lists) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = Arc::new(AtomicUsize::new(0));
    let tags: Arc<dyn Tagger> = Arc::new(Counted(ListTags::new(Keys::ephemeral().unwrap()), Arc::clone(&made)));
    for id in [OWN_LIST, "tenant.deceased", "tenant.wrong-numbers"] {
        let order = Order::new(id, at("2026-11-18T06:00:00Z"));
        let mut import = Import::begin(order, lists.path(), Some(Arc::clone(&tags))).unwrap();
        import.read("numbers", format!("{MIAMI}\n").as_bytes(), &mut |_| {}).unwrap();
        import.finish().unwrap();
    }
    let registries = Registries::open(Some(lists.path())).unwrap();
    registries.know_tags(tags);
    let durable = durable_with(keys.path(), registries).await;
    durable.engine.change_law(law_with(HOUSE_RULES)).unwrap();
    for (number, listed) in [(DC, false), (MIAMI, true)] {
        let before = made.load(Ordering::Relaxed);
        let question = v1::CheckRequest { dry_run: true, ..notice(number) };
        let decision = durable.engine.check(&permit(Role::Check), question, clock(DAY)).await.unwrap();
        assert_eq!(told_by_own_list(&decision).is_some(), listed);
        assert!(decision.registry_copies.iter().any(|copy| copy.registry == OWN_LIST && copy.listed == Some(listed)));
        assert_eq!(made.load(Ordering::Relaxed) - before, 3, "{number}");
    }
}
