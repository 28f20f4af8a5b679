//! The rights of a person whose data are pinned, or moved; and what refuses where there are several stores.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::audit::Entries;
use ringfence::engine::replay::Vault;
use ringfence::engine::{Failure, Unmet};
use ringfence::proto::store::ContactRecord;
use ringfence::proto::v1::{self, RightsRequestKind as Kind, RightsRequestStep as Step};
use ringfence::store::{Key, Keys, MemoryStore, Store};
use ringfence::time::Instant;

use super::house::{CHINA, FLORIDA, House, NOON, notice};
use super::stopping::{Steps, Stopping};
use super::support::{at, clock, permit};
use super::{check, stop, update};

/// What the log says of a write, in the clear.
const WRITE: u8 = 3;

fn noon() -> Instant {
    at(NOON)
}

fn request(number: &str, kind: Kind, id: &str) -> v1::OpenRequestRequest {
    v1::OpenRequestRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        kind: kind.into(),
        ..v1::OpenRequestRequest::default()
    }
}

async fn opened(house: &House, number: &str, id: &str) -> v1::RightsRequest {
    let asked = request(number, Kind::Access, id);
    house.engine.open_request(&permit(Role::Privacy), asked, clock(NOON)).await.unwrap().request.unwrap()
}

fn erase(number: &str, id: &str) -> v1::EraseContactRequest {
    v1::EraseContactRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        reason: v1::ErasureReason::Requested.into(),
        identity_verified_by: "ann, passport".to_owned(),
        ..v1::EraseContactRequest::default()
    }
}

async fn listed(house: &House) -> Vec<String> {
    let asked = v1::ListRequestsRequest::default();
    let answer = house.engine.list_requests(&permit(Role::Privacy), &asked, clock(NOON)).await.unwrap();
    answer.requests.into_iter().map(|request| request.rights_request_id).collect()
}

/// The keys of a store that are not of its switches.
async fn keys(house: &House, store: &dyn Store) -> Vec<Key> {
    super::records(store, &house.keys).await.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test]
async fn requests_of_pinned_people_are_in_their_region_with_the_index_that_finds_them() {
    let house = House::new();
    let there = opened(&house, CHINA, "r1").await;
    assert_eq!(keys(&house, &*house.main.store).await, [], "not even a tag leaves the region");
    let here = opened(&house, FLORIDA, "r2").await;
    // The contact moves, and is found by the old entry.
    update(&house.engine, FLORIDA, "CN", "u").await.unwrap();
    let mut ids = [there.rights_request_id.clone(), here.rights_request_id.clone()];
    ids.sort();
    let mut found = listed(&house).await;
    found.sort();
    assert_eq!(found, ids);
    for (id, number) in [(&there.rights_request_id, CHINA), (&here.rights_request_id, FLORIDA)] {
        let asked = v1::GetRequestRequest { rights_request_id: id.clone() };
        let one = house.engine.get_request(&permit(Role::Privacy), &asked, noon()).await.unwrap();
        assert_eq!(one.number, number);
        let step = v1::ResolveRequestRequest {
            rights_request_id: id.clone(),
            request_id: format!("verify {id}"),
            step: Step::VerifyIdentity.into(),
            who: "ann".to_owned(),
            note: "passport".to_owned(),
            ..v1::ResolveRequestRequest::default()
        };
        house.engine.resolve_request(&permit(Role::Privacy), step, clock(NOON)).await.unwrap();
    }
    assert_eq!(listed(&house).await.len(), 2, "none is listed twice");
    let house = House::closed();
    let asked = v1::ListRequestsRequest::default();
    let answer = house.engine.list_requests(&permit(Role::Privacy), &asked, clock(NOON)).await;
    assert!(matches!(answer, Err(Failure::Store(_))), "a list that may lack one is none");
    assert!(house.engine.pressing(noon()).await.is_err());
    let answer = house.engine.erase_contact(&permit(Role::Privacy), erase(FLORIDA, "e"), clock(NOON)).await;
    assert!(matches!(answer, Err(Failure::Store(_))), "a copy may be there: {answer:?}");
}

/// A move that was stopped anywhere leaves a copy with the contact's own key; an erasure leaves none.
#[tokio::test]
async fn an_erasure_destroys_what_an_interrupted_move_left_behind() {
    for (first, then) in [("US-FL", "CN"), ("CN", "US-FL")] {
        let mut steps = 0;
        loop {
            let left = Steps::of(steps);
            let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
            let house = House::over(stores[0].clone(), stores[1].clone());
            stop(&house.engine, FLORIDA, "s").await.unwrap();
            update(&house.engine, FLORIDA, first, "u1").await.unwrap();
            let [main, cn] = stores.clone().map(|inner| -> Arc<dyn Store> {
                Arc::new(Stopping { inner, steps: left.clone(), after: steps % 2 == 0, unsafe_yet: false })
            });
            let _ = update(&house.another(main, cn), FLORIDA, then, "u2").await;
            let answer = house.engine.erase_contact(&permit(Role::Privacy), erase(FLORIDA, "e"), clock(NOON)).await;
            assert!(answer.unwrap().erased_at.is_some());
            for store in &stores {
                for (key, stored) in store.scan(None, 100).await.unwrap() {
                    let plain = house.keys.open_record(&key, &stored.bytes).unwrap().1;
                    let record = ContactRecord::decode(&*plain).unwrap();
                    let bare = !record.moved_to.is_empty() || record.erased_at != 0;
                    assert!(bare && record.number == 0, "{first} to {then}, {steps} steps: a copy is left");
                }
            }
            let denied = check(&house.engine, notice(FLORIDA, "")).await;
            assert_eq!(denied.verdict(), v1::Verdict::Deny, "{first} to {then}, {steps} steps: it is suppressed");
            if left.sufficed() {
                break;
            }
            steps += 1;
            assert!(steps < 60, "it never ends");
        }
        assert!(steps > 3, "{steps} steps only: nothing was interrupted");
    }
}

#[tokio::test]
async fn what_reads_one_store_refuses() {
    let house = House::new();
    let engine = &house.engine;
    let reads = permit(Role::ReadContacts);
    let watched = engine.watch_opt_outs(&reads, v1::WatchOptOutsRequest::default(), noon_now, SOON).await;
    assert!(matches!(watched.err(), Some(Failure::Precondition(Unmet::SeveralStores, _))));
    let put = engine.put_processor(&permit(Role::Privacy), v1::PutProcessorRequest::default(), clock(NOON)).await;
    assert!(matches!(put, Err(Failure::Precondition(Unmet::SeveralStores, _))));
    assert!(matches!(engine.registered(noon()).await, Err(Failure::Precondition(Unmet::SeveralStores, _))));
}

const SOON: Duration = Duration::from_secs(1);

fn noon_now() -> Instant {
    noon()
}

/// The round is done once every region was asked.
#[tokio::test]
async fn the_self_check_asks_about_everybody_wherever_they_are() {
    let house = House::new();
    for number in [CHINA, FLORIDA, "+13055550199"] {
        stop(&house.engine, number, "s").await.unwrap();
    }
    update(&house.engine, FLORIDA, "CN", "u").await.unwrap();
    let report = house.engine.self_check_now(noon_now).await.unwrap();
    assert_eq!((report.contacts, report.alarms, report.unreadable), (3, 0, 0), "{report:?}");
    assert!(report.questions >= 3 && report.finished_at.is_some());
    let house = House::closed();
    stop(&house.engine, FLORIDA, "s").await.unwrap();
    assert!(house.engine.self_check_now(noon_now).await.is_err(), "one region was not asked");
}

/// A decision about a pinned contact was judged by where its record is, and is again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_decision_comes_out_the_same_again() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::durable(folder.path()).await;
    let mut ids = Vec::new();
    for number in [CHINA, FLORIDA] {
        ids.push(check(&house.engine, notice(number, "")).await.decision_id);
    }
    // Entries from before a move open with the key that went along.
    assert!(!house.engine.drop_erased(true).await.unwrap(), "nothing was replaced yet");
    update(&house.engine, FLORIDA, "CN", "u").await.unwrap();
    assert!(house.engine.drop_erased(true).await.unwrap(), "what the pointer replaced does not stay in the file");
    ids.push(check(&house.engine, notice(FLORIDA, "")).await.decision_id);
    let asked = v1::ReplayRequest { decision_ids: ids.clone(), ..v1::ReplayRequest::default() };
    for (id, replayed) in house.engine.replay(&permit(Role::Audit), &asked, noon()).await.unwrap() {
        assert!(replayed.unwrap().identical, "{id}");
    }
    // Of a region that is not open nobody can say that there is no such decision.
    let keys = Keys::open(&folder.path().join("keys")).unwrap();
    let other = super::house::engine(house.main.store.clone(), house.main.log.clone(), keys);
    let asked = v1::ReplayRequest { decision_ids: ids.clone(), ..v1::ReplayRequest::default() };
    let there = other.decision(&permit(Role::Audit), &ids[0], crate::support::READ_AT).await;
    assert!(matches!(there, Err(Failure::Store(_))), "{there:?}");
    let replayed = other.replay(&permit(Role::Audit), &asked, noon()).await.unwrap();
    let unknown = replayed.iter().filter(|(_, one)| matches!(one, Err(Failure::Store(_)))).count();
    assert_eq!(unknown, 3, "the entry of the contact that moved does not open either: {replayed:?}");
    // The pointer that a move left behind, and its key, are gone when the contact is back: entries of moves open all the same.
    update(&house.engine, FLORIDA, "US-NY", "v").await.unwrap();
    let vault = Vault::new(Some(house.main.store.clone()), Keys::open(&folder.path().join("keys")).unwrap());
    let mut entries = Entries::open(&folder.path().join("default/audit"), None).unwrap();
    let mut moves = 0;
    while let Some((found, _)) = entries.next_entry().unwrap() {
        let opened = vault.open(&found.entry).await.unwrap();
        moves += usize::from(found.entry.kind == WRITE);
        assert!(opened.is_ok(), "{:?} {}: {:?}", found.entry.kind, found.entry.id, opened.err());
    }
    assert!(moves >= 3, "{moves} writes: of a move there and back there are more");
}
