//! Registries, and the tenant's own lists kept by API: what is answered is seen by the next check on any instance, unknown
//! stays unknown, and nothing but the tenant takes a number off.

use std::path::Path;
use std::sync::Arc;

use ringfence::access::{Caller, Permit, Role};
use ringfence::engine::{Engine, Failure, Parts, Settings};
use ringfence::law::Law;
use ringfence::proto::v1::registry_service_client::RegistryServiceClient;
use ringfence::proto::v1::{self, ListChangeOutcome as Outcome, Listing, Verdict};
use ringfence::proto::well_known::FieldMask;
use ringfence::registry::{List, Registries, tenant_folder};
use ringfence::store::{Keys, MemoryStore, Store};
use ringfence::telemetry::Metrics;
use tonic::Code;
use tonic::transport::Channel;

use super::support::{
    DAY, HOUSE_RULES, OWN_LIST as LIST, OWN_RULE as RULE, READ_AT, at, clock, durable, durable_with, law_with, notice,
    permit, stamp, told_by_own_list,
};
use super::{NUMBER, fields, reason, refusal, serve};

const OTHER: &str = "+13055550124";

fn law() -> Arc<Law> {
    static LAW: std::sync::OnceLock<Arc<Law>> = std::sync::OnceLock::new();
    Arc::clone(LAW.get_or_init(|| law_with(HOUSE_RULES)))
}

async fn instance(store: &Arc<dyn Store>, keys: &Path, lists: Registries) -> Arc<Engine> {
    Arc::new(Engine::new(Parts {
        store: Arc::clone(store),
        keys: Keys::for_store(keys, None, &**store).await.unwrap(),
        log: None,
        registries: Arc::new(lists),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

/// Two instances over one store, of which the second has the files.
async fn pair(folder: &Path, lists: Vec<List>) -> [Arc<Engine>; 2] {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keys = folder.join("keys");
    [
        instance(&store, &keys, Registries::fixed(Vec::new())).await,
        instance(&store, &keys, Registries::fixed(lists)).await,
    ]
}

fn file(as_of: &str, number: &str) -> List {
    let text = format!("# as_of={as_of} source=counsel\n{number}\n");
    List::read(LIST, Path::new("tenant.litigators.txt"), text.as_bytes()).unwrap()
}

/// A notice that no law of the place forbids.
fn question(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, ..notice(number) }
}

async fn ask_as(engine: &Engine, permit: &Permit, number: &str) -> v1::Decision {
    engine.check(permit, question(number), clock(DAY)).await.unwrap()
}

async fn ask(engine: &Engine, number: &str) -> v1::Decision {
    ask_as(engine, &permit(Role::Check), number).await
}

/// What the list says of a number, as a check has it: `None` where the check is allowed.
async fn told(engine: &Engine, number: &str) -> Option<String> {
    told_by_own_list(&ask(engine, number).await)
}

fn put(id: &str, complete: bool) -> v1::PutListRequest {
    v1::PutListRequest {
        request_id: id.to_owned(),
        list: LIST.to_owned(),
        title: "Those who sue".to_owned(),
        complete,
        who: "ann".to_owned(),
        why: "Counsel keeps it.".to_owned(),
        file: v1::ListFile::Unspecified.into(),
    }
}

async fn keep(engine: &Engine, id: &str, complete: bool) -> Result<v1::PutListResponse, Failure> {
    engine.put_list(&permit(Role::ManageLists), put(id, complete), clock(DAY)).await
}

fn adding(id: &str, numbers: &[&str]) -> v1::AddToListRequest {
    v1::AddToListRequest {
        request_id: id.to_owned(),
        list: LIST.to_owned(),
        numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
        ..Default::default()
    }
}

async fn add(engine: &Engine, id: &str, numbers: &[&str]) -> Vec<v1::ListChange> {
    engine.add_to_list(&permit(Role::ManageLists), &adding(id, numbers), clock(DAY)).await.unwrap().changes
}

async fn remove(engine: &Engine, id: &str, numbers: &[&str]) -> Vec<v1::ListChange> {
    let v1::AddToListRequest { request_id, list, numbers, .. } = adding(id, numbers);
    let request = v1::RemoveFromListRequest { request_id, list, numbers, ..Default::default() };
    engine.remove_from_list(&permit(Role::ManageLists), &request, clock(DAY)).await.unwrap().changes
}

fn outcomes(changes: &[v1::ListChange]) -> Vec<Outcome> {
    changes.iter().map(v1::ListChange::outcome).collect()
}

async fn look_up(engine: &Engine, number: &str, registries: &[&str]) -> Vec<v1::RegistryAnswer> {
    let registries = registries.iter().map(|id| (*id).to_owned()).collect();
    let request = v1::LookUpRequest { number: number.to_owned(), registries, ..Default::default() };
    engine.look_up_number(&permit(Role::ManageLists), &request, at(DAY)).await.unwrap().answers
}

#[tokio::test]
async fn a_number_that_is_added_is_denied_at_once_on_every_instance_until_it_is_taken_off() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = pair(folder.path(), Vec::new()).await;
    assert!(told(&other, NUMBER).await.unwrap().contains("none is loaded"), "unknown is never a yes");
    // A rule asks for it, so that it is no misspelling; what is not on it stays unknown.
    assert_eq!(outcomes(&add(&one, "a-0", &[NUMBER]).await), [Outcome::Done]);
    assert!(told(&other, NUMBER).await.unwrap().contains("The number is on tenant.litigators, entered 2026-11-18"));
    assert!(told(&other, OTHER).await.unwrap().contains("none is loaded"));
    let kept = keep(&one, "p-1", true).await.unwrap();
    assert_eq!(kept, keep(&other, "p-1", true).await.unwrap(), "asked again");
    assert_eq!(told(&other, OTHER).await, None, "what was not added is not on a list that is complete");
    assert!(ask(&other, OTHER).await.warnings.iter().all(|warning| warning.rule_id != RULE), "nor does it grow old");
    assert!(told(&other, NUMBER).await.is_some());

    let removed = remove(&one, "r-1", &[NUMBER]).await;
    assert_eq!(outcomes(&removed), [Outcome::Done]);
    assert_eq!(told(&other, NUMBER).await, None);
    assert_eq!(remove(&other, "r-1", &[NUMBER]).await, removed, "asked again");
    assert_eq!(outcomes(&remove(&other, "r-2", &[NUMBER]).await), [Outcome::Unchanged]);
    add(&other, "a-0", &[NUMBER]).await;
    assert_eq!(told(&one, NUMBER).await, None, "the request that was answered before its end comes too late");

    let sent = ["+1 305 555 0123", OTHER, NUMBER, "+1305555", "no number 3055550199", "911"];
    let changes = add(&other, "a-1", &sent).await;
    use Outcome::{Done, Rejected};
    assert_eq!(outcomes(&changes), [Done, Done, Done, Rejected, Rejected, Rejected]);
    assert_eq!((changes[0].number.as_str(), &changes[0]), (NUMBER, &changes[2]));
    assert!(changes[3..].iter().all(|one| !one.message.is_empty() && one.receipt_id.is_empty()), "{changes:?}");
    assert_eq!(add(&one, "a-1", &sent).await, changes, "asked again");
    assert_eq!(outcomes(&add(&one, "a-2", &[OTHER]).await), [Outcome::Unchanged]);
    for number in [NUMBER, OTHER] {
        assert!(told(&one, number).await.is_some() && told(&other, number).await.is_some());
    }
    // Of one number the id was used before for something else.
    let changes = remove(&one, "a-1", &[NUMBER, "+13055550125"]).await;
    assert_eq!(outcomes(&changes), [Rejected, Outcome::Unchanged]);
    // Said to be incomplete again, what was added stays, and all else is unknown.
    keep(&one, "p-2", false).await.unwrap();
    assert!(told(&other, "+13055550125").await.unwrap().contains("none is loaded"));
    assert!(told(&other, NUMBER).await.unwrap().contains("entered"));
}

#[tokio::test]
async fn a_list_that_stands_in_a_file_is_never_fresher_or_smaller_than_its_file() {
    const LISTED: &str = "+13055550150";
    let folder = tempfile::tempdir().unwrap();
    let [bare, other] = pair(folder.path(), vec![file("2026-11-18T06:00:00Z", LISTED)]).await;
    let refused = keep(&other, "p-1", true).await;
    assert!(matches!(refused, Err(Failure::Precondition(_, why)) if why.contains("a file of this list is there")));
    assert_eq!(told(&other, NUMBER).await, None);
    let changes = add(&other, "a-1", &[NUMBER, LISTED]).await;
    assert_eq!(changes.iter().map(|one| one.listed_by_file).collect::<Vec<_>>(), [false, true]);
    assert!(told(&other, NUMBER).await.is_some());
    let changes = remove(&other, "r-1", &[NUMBER, LISTED]).await;
    assert_eq!(outcomes(&changes), [Outcome::Done, Outcome::Done]);
    assert!(changes[1].listed_by_file && changes[1].message.contains("stays listed"), "{changes:?}");
    assert_eq!(told(&other, NUMBER).await, None);
    assert!(told(&other, LISTED).await.is_some());
    // Said where no file was: beside a file it makes nothing fresh.
    keep(&bare, "p-2", true).await.unwrap();
    let late = engine_at(&other, "2026-11-21T16:00:00Z").await;
    assert!(late.contains("the newest is as of 2026-11-18"), "{late}");
    // Nor may an instance that lacks the file go on to take it for empty.
    assert_eq!(bare.declare_files(at(DAY)).await.unwrap().recorded, Vec::<String>::new(), "it sees no file");
    assert_eq!(other.declare_files(at(DAY)).await.unwrap().recorded, [LIST]);
    assert!(told(&bare, LISTED).await.unwrap().contains("none is loaded"));
    assert_eq!(other.declare_files(at(DAY)).await.unwrap().recorded, Vec::<String>::new(), "done once");
}

/// What the service's own rule says of a number.
async fn own_rule(engine: &Engine, number: &str) -> Option<String> {
    let decision = ask(engine, number).await;
    let why = decision.reasons.iter().find(|reason| reason.rule_id == "ringfence.own_list");
    assert_eq!(why.is_none(), decision.verdict() == Verdict::Allow, "{:?}", decision.reasons);
    why.map(|reason| reason.message.clone())
}

#[tokio::test]
async fn whoever_is_on_a_list_that_no_rule_names_is_contacted_for_emergencies_alone() {
    const WRONG: &str = "tenant.wrong-numbers";
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let durable = durable_with(folder.path(), Registries::open(Some(&lists)).unwrap()).await;
    durable.engine.change_law(law()).unwrap();
    let engine = &durable.engine;
    const SMALL: &str = "tenant.small";
    for (list, put) in [(WRONG, put("p-1", true)), (SMALL, put("p-3", false))] {
        let put = v1::PutListRequest { list: list.to_owned(), ..put };
        engine.put_list(&permit(Role::ManageLists), put, clock(DAY)).await.unwrap();
    }
    keep(engine, "p-2", true).await.unwrap();
    assert_eq!(own_rule(engine, NUMBER).await, None, "nobody is on it");
    // Every list of the tenant's own that an answer rests on is named, and says what it said.
    let said = async |list: &str, number: &str| {
        let decision = engine.check(&permit(Role::Check), question(number), clock(DAY)).await.unwrap();
        let copy = decision.registry_copies.iter().find(|copy| copy.registry == list).unwrap().clone();
        ((copy.version, copy.listed), decision.decision_id)
    };
    let here = |listed| ("api".to_owned(), Some(listed));
    let (clear, allowed) = said(WRONG, NUMBER).await;
    assert_eq!(clear, here(false));
    let order = v1::AddToListRequest { list: WRONG.to_owned(), ..adding("a-1", &[NUMBER]) };
    engine.add_to_list(&permit(Role::ManageLists), &order, clock(DAY)).await.unwrap();
    assert!(own_rule(engine, NUMBER).await.unwrap().contains("The number is on tenant.wrong-numbers."));
    assert_eq!(own_rule(engine, OTHER).await, None);
    let (added, denied) = said(WRONG, NUMBER).await;
    assert_eq!(added, here(true), "what was added stands in the record");
    let order = v1::AddToListRequest { list: SMALL.to_owned(), ..adding("a-3", &["+13055550166"]) };
    engine.add_to_list(&permit(Role::ManageLists), &order, clock(DAY)).await.unwrap();
    let (small, denied_too) = said(SMALL, "+13055550166").await;
    assert_eq!(small, (String::new(), Some(true)), "no copy, and who is not on it is not known");
    let urgent = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..question(NUMBER) };
    let decision = engine.check(&permit(Role::AssertExceptional), urgent, clock(DAY)).await.unwrap();
    assert_eq!(decision.verdict(), Verdict::Allow, "{:?}", decision.reasons);
    let known = engine.list_registries(&permit(Role::ManageLists), READ_AT).await.unwrap().registries;
    assert_eq!(known.iter().find(|one| one.registry == WRONG).unwrap().rule_ids, ["ringfence.own_list"]);

    // The same of a file; and of one that says nothing.
    let path = lists.join("tenant.deceased.txt");
    std::fs::write(&path, format!("# as_of=2019-11-18T06:00:00Z source=family\n{OTHER}\n")).unwrap();
    engine.registries().refresh();
    assert!(own_rule(engine, OTHER).await.unwrap().contains("The number is on tenant.deceased."));
    let on_file = engine.check(&permit(Role::Check), question(OTHER), clock(DAY)).await.unwrap();
    assert!(on_file.registry_copies.iter().any(|copy| copy.registry == "tenant.deceased" && copy.listed == Some(true)));
    let ((version, listed), off_file) = said("tenant.deceased", "+13055550177").await;
    assert_eq!((version.len(), listed), (16, Some(false)), "the exact copy");
    std::fs::remove_file(&path).unwrap();
    engine.registries().refresh();
    assert_eq!(own_rule(engine, OTHER).await, None);
    std::fs::write(&path, "no list").unwrap();
    engine.registries().refresh();
    assert!(own_rule(engine, OTHER).await.unwrap().contains("tenant.deceased cannot be read"));
    let unread = engine.check(&permit(Role::Check), question(OTHER), clock(DAY)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    engine.registries().refresh();
    let ids = vec![on_file.decision_id, unread.decision_id, allowed, denied, denied_too, off_file];
    let request = v1::ReplayRequest { decision_ids: ids, ..Default::default() };
    for (id, replayed) in engine.replay(&permit(Role::Audit), &request, READ_AT).await.unwrap() {
        assert!(replayed.unwrap().identical, "{id}");
    }
}

#[tokio::test]
async fn a_list_that_no_rule_names_is_not_lost_with_its_file() {
    const DECEASED: &str = "tenant.deceased";
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let path = lists.join("tenant.deceased.txt");
    let text = format!("# as_of=2019-11-18T06:00:00Z source=family\n{OTHER}\n");
    std::fs::write(&path, &text).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let keys = folder.path().join("keys");
    let one = instance(&store, &keys, Registries::open(Some(&lists)).unwrap()).await;
    keep(&one, "p-1", true).await.unwrap();
    assert_eq!(one.declare_files(at(DAY)).await.unwrap().recorded, [DECEASED]);
    assert_eq!(one.declare_files(at(DAY)).await.unwrap().recorded, Vec::<String>::new(), "done once");
    assert_eq!(own_rule(&one, NUMBER).await, None);
    let gone = "The file of tenant.deceased cannot be read or is gone";
    // An instance that was started without the volume, and one that loses it.
    let bare = instance(&store, &keys, Registries::fixed(Vec::new())).await;
    assert!(own_rule(&bare, OTHER).await.unwrap().contains(gone));
    assert!(own_rule(&bare, NUMBER).await.unwrap().contains(gone), "nobody knows who is on it");
    std::fs::remove_file(&path).unwrap();
    one.registries().refresh();
    assert!(own_rule(&one, NUMBER).await.unwrap().contains(gone));
    let later = at("2030-01-01T00:00:00Z");
    assert_eq!(one.declare_files(later).await.unwrap().missing, [DECEASED]);
    std::fs::write(&path, &text).unwrap();
    one.registries().refresh();
    assert_eq!(own_rule(&one, NUMBER).await, None, "it is back");

    let put = |id: &str, complete, file: v1::ListFile| v1::PutListRequest {
        list: DECEASED.to_owned(),
        file: file.into(),
        ..put(id, complete)
    };
    let keeper = permit(Role::ManageLists);
    let refused = one.put_list(&keeper, put("w-1", false, v1::ListFile::Withdrawn), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Precondition(_, why)) if why.contains("a file of this list is there")));
    // Said anew without a word of the file: it is missed as before.
    bare.put_list(&keeper, put("w-2", false, v1::ListFile::Unspecified), clock(DAY)).await.unwrap();
    let refused = bare.put_list(&keeper, put("w-3", true, v1::ListFile::Unspecified), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Precondition(_, _))), "{refused:?}");
    assert!(own_rule(&bare, NUMBER).await.unwrap().contains(gone));
    std::fs::remove_file(&path).unwrap();
    one.registries().refresh();
    let list =
        one.put_list(&keeper, put("w-4", false, v1::ListFile::Withdrawn), clock(DAY)).await.unwrap().list.unwrap();
    assert!(!list.in_file && !list.complete);
    for engine in [&one, &bare] {
        assert_eq!(own_rule(engine, OTHER).await, None, "it was said to be gone for good");
    }
    // Withdrawn once is not withdrawn for ever.
    std::fs::write(&path, &text).unwrap();
    one.registries().refresh();
    assert_eq!(one.declare_files(at(DAY)).await.unwrap().recorded, [DECEASED]);
    assert!(own_rule(&bare, OTHER).await.unwrap().contains(gone));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_a_list_unknown_though_it_was_called_complete() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = instance(&store, &folder.path().join("keys"), Registries::open(Some(&lists)).unwrap()).await;
    keep(&engine, "p-1", true).await.unwrap();
    assert_eq!(told(&engine, NUMBER).await, None);
    for name in ["tenant.litigators.txt", "tenant.litigators", "tenant.litigators.csv"] {
        let path = lists.join(name);
        std::fs::write(&path, "no list").unwrap();
        engine.registries().refresh();
        assert!(told(&engine, NUMBER).await.unwrap().contains("none is loaded"), "{name}");
        assert!(matches!(keep(&engine, "p-2", true).await, Err(Failure::Precondition(_, _))));
        std::fs::remove_file(&path).unwrap();
        engine.registries().refresh();
        assert_eq!(told(&engine, NUMBER).await, None);
    }
}

#[tokio::test]
async fn a_file_of_one_tenant_takes_back_what_it_called_complete_and_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let engine = instance(&store, &folder.path().join("keys"), Registries::open(Some(&lists)).unwrap()).await;
    let beta = engine.for_tenant("beta").unwrap();
    let of_beta = |role| Caller::local_of("beta").permit(role).unwrap();
    keep(&engine, "p-1", true).await.unwrap();
    beta.put_list(&of_beta(Role::ManageLists), put("p-1", true), clock(DAY)).await.unwrap();
    let own = tenant_folder(&lists, "beta");
    std::fs::create_dir_all(&own).unwrap();
    let text = format!("# as_of=2026-11-18T06:00:00Z\n{OTHER}\n");
    std::fs::write(own.join("tenant.litigators.txt"), text).unwrap();
    engine.registries().refresh();
    assert_eq!(engine.declare_files(at(DAY)).await.unwrap().recorded, Vec::<String>::new());
    assert_eq!(beta.declare_files(at(DAY)).await.unwrap().recorded, [LIST]);
    assert_eq!(told(&engine, OTHER).await, None, "complete still, and no file of it");
    keep(&engine, "p-2", true).await.unwrap();
    let refused = beta.put_list(&of_beta(Role::ManageLists), put("p-2", true), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Precondition(_, _))), "{refused:?}");
    let denied = ask_as(&beta, &of_beta(Role::Check), OTHER).await;
    assert!(denied.reasons.iter().any(|one| one.rule_id == RULE && one.message.contains("The number is on")));
    assert_eq!(ask_as(&beta, &of_beta(Role::Check), NUMBER).await.verdict(), Verdict::Allow);
}

async fn engine_at(engine: &Engine, now: &str) -> String {
    let decision = engine.check(&permit(Role::Check), question(OTHER), clock(now)).await.unwrap();
    let reason = decision.reasons.iter().find(|reason| reason.rule_id == RULE);
    reason.map(|reason| reason.message.clone()).unwrap_or_default()
}

#[tokio::test]
async fn a_list_of_one_tenant_is_nothing_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = pair(folder.path(), Vec::new()).await;
    keep(&one, "p-1", true).await.unwrap();
    add(&one, "a-1", &[NUMBER]).await;
    let beta = one.for_tenant("beta").unwrap();
    let permit = |role| Caller::local_of("beta").permit(role).unwrap();
    let decision = ask_as(&beta, &permit(Role::Check), OTHER).await;
    assert!(decision.reasons.iter().any(|one| one.rule_id == RULE && one.message.contains("none is loaded")));
    let lists = permit(Role::ManageLists);
    let request =
        v1::LookUpRequest { number: NUMBER.to_owned(), registries: vec![LIST.to_owned()], ..Default::default() };
    let answers = beta.look_up_number(&lists, &request, READ_AT).await.unwrap().answers;
    assert_eq!((answers[0].listing(), answers[0].added_here), (Listing::Unknown, false));
    let known = beta.list_registries(&lists, READ_AT).await.unwrap().registries;
    assert!(
        known.iter().any(|one| one.registry == LIST && !one.complete && one.title.is_empty()),
        "a rule asks for it"
    );
    let refused = beta.add_to_list(&self::permit(Role::ManageLists), &adding("a-1", &[NUMBER]), clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::Internal(_))), "{refused:?}");
}

#[tokio::test]
async fn an_entry_outlasts_corrections_sweeps_and_erasure() {
    let folder = tempfile::tempdir().unwrap();
    let [engine, _] = pair(folder.path(), Vec::new()).await;
    keep(&engine, "p-1", true).await.unwrap();
    add(&engine, "a-1", &[NUMBER, OTHER]).await;
    let cleared = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u-1".to_owned(),
        facts: Some(v1::ContactFacts::default()),
        update_mask: Some(FieldMask { paths: vec!["registry_checks".to_owned()] }),
        ..Default::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), cleared, clock(DAY)).await.unwrap();
    let erase = v1::EraseContactRequest {
        number: OTHER.to_owned(),
        request_id: "e-1".to_owned(),
        reason: v1::ErasureReason::Requested.into(),
        identity_verified_by: "called back on this number, by ann".to_owned(),
        ..Default::default()
    };
    engine.erase_contact(&permit(Role::Privacy), erase, clock(DAY)).await.unwrap();
    for now in ["2028-11-18T16:00:00Z", "2040-11-18T16:00:00Z"] {
        engine.sweep_contacts(&permit(Role::Control), &Default::default(), clock(now)).await.unwrap();
    }
    for number in [NUMBER, OTHER] {
        assert!(engine_reasons(&engine, number).await.contains(&RULE.to_owned()), "{number}");
        let request = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
        let contact = engine.contact(&permit(Role::ReadContacts), &request, READ_AT).await.unwrap();
        assert_eq!(contact.list_entries.len(), 1);
        assert_eq!((contact.list_entries[0].list.as_str(), contact.list_entries[0].recorded_at), (LIST, stamp(DAY)));
        let answers = look_up(&engine, number, &[]).await;
        assert_eq!((answers.len(), answers[0].listing(), answers[0].added_here), (1, Listing::Listed, true));
    }
    // What erasure left is taken off like any other.
    assert_eq!(outcomes(&remove(&engine, "r-1", &[OTHER]).await), [Outcome::Done]);
    assert_eq!(look_up(&engine, OTHER, &[LIST]).await[0].listing(), Listing::NotListed);
}

async fn engine_reasons(engine: &Engine, number: &str) -> Vec<String> {
    ask(engine, number).await.reasons.into_iter().map(|reason| reason.rule_id).collect()
}

fn client(channel: &Channel) -> RegistryServiceClient<Channel> {
    RegistryServiceClient::new(channel.clone())
}

#[tokio::test]
async fn decisions_that_rest_on_a_list_kept_here_are_judged_again_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    durable.engine.change_law(law()).unwrap();
    let served = serve(Arc::clone(&durable.engine)).await;
    let mut lists = client(&served.channel);
    lists.put_list(put("p-1", true)).await.unwrap();
    lists.add_to_list(adding("a-1", &[OTHER])).await.unwrap();
    let (allowed, denied) = (served.decide(question(NUMBER)).await, served.decide(question(OTHER)).await);
    assert_eq!((allowed.verdict(), denied.verdict()), (Verdict::Allow, Verdict::Deny), "{:?}", allowed.reasons);
    let copy = allowed.registry_copies.iter().find(|copy| copy.registry == LIST).unwrap();
    assert_eq!((copy.version.as_str(), copy.listed, copy.as_of), ("api", Some(false), allowed.evaluated_at));
    // What is said of the list now changes nothing of what was answered then.
    lists.put_list(put("p-2", false)).await.unwrap();
    let ids = vec![allowed.decision_id, denied.decision_id];
    let request = v1::ReplayRequest { decision_ids: ids, ..Default::default() };
    for result in served.audit().replay(request).await.unwrap().into_inner().results {
        let Some(v1::replay_result::Result::Replayed(replayed)) = &result.result else { panic!("{result:?}") };
        assert!(replayed.identical && replayed.unknown_registries.is_empty(), "{replayed:?}");
    }
    let asked = v1::LookUpRequest { number: OTHER.to_owned(), ..Default::default() };
    let before = served.decide(question(NUMBER)).await.decision_id;
    let answer = lists.look_up(asked).await.unwrap().into_inner();
    assert_eq!((answer.number.as_str(), answer.answers.len()), (OTHER, 1));
    let after = served.decide(question(NUMBER)).await.decision_id;
    let mut places = Vec::new();
    for decision_id in [before, after] {
        let record = served.audit().get_decision(v1::GetDecisionRequest { decision_id }).await.unwrap().into_inner();
        places.push(record.record.unwrap().position.unwrap().sequence);
    }
    assert_eq!(places[1], places[0] + 2, "that somebody was looked up is in the log");
}

#[tokio::test]
async fn lists_are_told_with_their_age_and_the_rules_that_ask() {
    let folder = tempfile::tempdir().unwrap();
    let [bare, other] = pair(folder.path(), vec![file("2026-11-18T06:00:00Z", NUMBER)]).await;
    keep(&bare, "p-1", false).await.unwrap();
    let served = serve(other).await;
    let mut lists = client(&served.channel);
    let all = lists.list_registries(v1::ListRegistriesRequest {}).await.unwrap().into_inner().registries;
    assert!(all.windows(2).all(|pair| pair[0].registry < pair[1].registry));
    let one = |id: &str| all.iter().find(|one| one.registry == id).unwrap();
    let own = one(LIST);
    assert_eq!(
        (own.title.as_str(), own.loaded, own.numbers, own.source.as_str()),
        ("Those who sue", true, 1, "counsel")
    );
    assert_eq!((own.version.len(), own.sample, own.complete), (16, false, false));
    assert_eq!((own.as_of, own.stale_at), (stamp("2026-11-18T06:00:00Z"), stamp("2026-11-20T06:00:00.001Z")));
    assert_eq!(own.rule_ids, [RULE]);
    // Not loaded, and asked for.
    let national = one("us.dnc.national");
    assert_eq!((national.title.as_str(), national.loaded), ("National Do Not Call Registry", false));
    assert!(national.rule_ids.iter().any(|rule| rule == "us.dnc.national") && national.as_of.is_none());
    assert!(national.version.is_empty() && national.stale_at.is_none() && national.numbers == 0);

    let asked = ["us.dnc.national", LIST, "no.such"].map(str::to_owned).to_vec();
    let request =
        v1::LookUpRequest { number: "(305) 555-0123".to_owned(), default_region: "US".to_owned(), registries: asked };
    let answer = lists.look_up(request).await.unwrap().into_inner();
    assert_eq!(answer.number, NUMBER);
    let said: Vec<_> = answer.answers.iter().map(|one| (one.registry.as_str(), one.listing())).collect();
    assert_eq!(said, [("us.dnc.national", Listing::Unknown), (LIST, Listing::Listed), ("no.such", Listing::Unknown)]);
    assert_eq!((&answer.answers[1].version, answer.answers[1].as_of), (&own.version, own.as_of));
    let clean = v1::LookUpRequest { number: OTHER.to_owned(), ..Default::default() };
    let answer = lists.look_up(clean).await.unwrap().into_inner();
    assert_eq!((answer.answers.len(), answer.answers[0].listing()), (1, Listing::NotListed));
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let [engine, _] = pair(folder.path(), Vec::new()).await;
    let served = serve(engine).await;
    let mut lists = client(&served.channel);
    let many = vec![NUMBER; 1_001];
    let adds: [(&str, v1::AddToListRequest); 8] = [
        ("request_id", adding("", &[NUMBER])),
        ("numbers", adding("a", &[])),
        ("numbers", adding("a", &many)),
        ("list", v1::AddToListRequest { list: String::new(), ..adding("a", &[NUMBER]) }),
        ("list", v1::AddToListRequest { list: "tenant.A/b".to_owned(), ..adding("a", &[NUMBER]) }),
        ("list", v1::AddToListRequest { list: "us.dnc.national".to_owned(), ..adding("a", &[NUMBER]) }),
        ("default_region", v1::AddToListRequest { default_region: "QQ".to_owned(), ..adding("a", &["3055550123"]) }),
        ("why", v1::AddToListRequest { why: "x".repeat(100_000), ..adding("a", &[NUMBER]) }),
    ];
    for (field, request) in adds {
        let v1::AddToListRequest { request_id, list, numbers, default_region, why } = request.clone();
        let refused = refusal(lists.add_to_list(request).await);
        assert_eq!((refused.code(), fields(&refused)), (Code::InvalidArgument, vec![field.to_owned()]));
        let request = v1::RemoveFromListRequest { request_id, list, numbers, default_region, why };
        assert_eq!(fields(&refusal(lists.remove_from_list(request).await)), [field]);
    }
    // A misspelt list protects nobody.
    let misspelt = v1::AddToListRequest { list: "tenant.litigatros".to_owned(), ..adding("a", &[NUMBER]) };
    let refused = refusal(lists.add_to_list(misspelt).await);
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert!(refused.message().contains("PutList"), "{refused:?}");
    let wrong = v1::PutListRequest { title: "x\u{7}".to_owned(), ..v1::PutListRequest::default() };
    assert_eq!(fields(&refusal(lists.put_list(wrong).await)), ["request_id", "list", "title", "who", "why"]);
    lists.put_list(put("p-1", true)).await.unwrap();
    let other = refusal(lists.put_list(put("p-1", false)).await);
    assert_eq!(other.code(), Code::AlreadyExists);
    let looks = [
        ("number", v1::LookUpRequest { number: "3055550123".to_owned(), ..Default::default() }),
        (
            "registries",
            v1::LookUpRequest {
                number: NUMBER.to_owned(),
                registries: vec!["a".to_owned(); 101],
                ..Default::default()
            },
        ),
        (
            "registries[0]",
            v1::LookUpRequest { number: NUMBER.to_owned(), registries: vec![String::new()], ..Default::default() },
        ),
    ];
    for (field, request) in looks {
        assert_eq!(fields(&refusal(lists.look_up(request).await)), [field]);
    }
}
