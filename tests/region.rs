//! Regions over real stores: where records, events and entries are; moves, raced and interrupted; a region that is away;
//! switches that hold everywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "region/away.rs"]
mod away;
#[path = "faults/clients.rs"]
#[allow(dead_code, reason = "the faults use the rest")]
mod clients;
#[path = "service/faulty.rs"]
mod faulty;
#[path = "support/forwarded.rs"]
mod forwarded;
#[path = "region/gated.rs"]
mod gated;
#[path = "region/house.rs"]
mod house;
#[path = "region/listed.rs"]
mod listed;
#[path = "region/mended.rs"]
mod mended;
#[path = "region/moving.rs"]
mod moving;
#[path = "support/redis.rs"]
mod redis;
#[path = "region/rights.rs"]
mod rights;
#[path = "region/served.rs"]
mod served;
#[path = "faults/server.rs"]
#[allow(dead_code, reason = "the faults use the rest")]
mod server;
#[path = "region/stopping.rs"]
mod stopping;
#[path = "region/stores.rs"]
mod stores;
mod support;
#[path = "region/switches.rs"]
mod switches;

use house::{CHINA, FLORIDA, House, NOON, allows, notice, reside};
use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1;
use ringfence::store::{Key, Keys, Store, Versioned};
use support::{at, clock, opt_out, permit};

async fn check(engine: &Engine, request: v1::CheckRequest) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(NOON)).await.unwrap()
}

async fn stop(engine: &Engine, number: &str, id: &str) -> Result<v1::RecordOptOutResponse, Failure> {
    engine.record_opt_out(&permit(Role::WriteConsent), opt_out(number, id), clock(NOON)).await
}

async fn update(
    engine: &Engine,
    number: &str,
    residence: &str,
    id: &str,
) -> Result<v1::UpdateContactResponse, Failure> {
    engine.update_contact(&permit(Role::WriteConsent), reside(number, residence, id), clock(NOON)).await
}

async fn contact(engine: &Engine, number: &str) -> v1::Contact {
    let request = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
    engine.contact(&permit(Role::ReadContacts), &request).await.unwrap()
}

/// All that a store has but its switches.
async fn records(store: &dyn Store, keys: &Keys) -> Vec<(Key, Versioned)> {
    let control = keys.control(&keys.tenant("default", store.shard_count()));
    store.scan(None, 1_000).await.unwrap().into_iter().filter(|(key, _)| *key != control).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_contact_is_in_its_region_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::durable(folder.path()).await;
    let engine = &house.engine;
    let (there, here) = (check(engine, notice(CHINA, "")).await, check(engine, notice(FLORIDA, "")).await);
    assert!(allows(&there) && allows(&here), "{there:?} {here:?}");
    stop(engine, CHINA, "s1").await.unwrap();
    assert!(!allows(&check(engine, notice(CHINA, "")).await));
    let cn = records(&*house.cn.store, &house.keys).await;
    let default = records(&*house.main.store, &house.keys).await;
    assert_eq!((cn.len(), default.len()), (1, 1));
    assert_eq!(house.opens(&cn[0]).number, 8_613_812_345_678);
    assert_eq!(house.opens(&default[0]).number, 13_055_550_123);
    // Its events and entries too: the reservation, the stop, and a denial from the key of the contact.
    for (side, entries, events) in [(&house.cn, 3, 2), (&house.main, 1, 1)] {
        side.log.as_ref().unwrap().sync().await.map(drop).unwrap();
        assert_eq!(side.log.as_ref().unwrap().head().seq, entries);
        let shards = side.store.shards().await.unwrap();
        assert_eq!(side.store.events(shards[0], 0, 10).await.unwrap().len(), events);
        side.reconciler.as_ref().unwrap().tick(at(NOON)).await.unwrap();
    }
    // A decision is found in the log of its region, and what was never recorded is sealed under a key of its day there.
    for decision in [&there, &here] {
        let record = engine.decision(&permit(Role::Audit), &decision.decision_id).await.unwrap();
        assert_eq!(record.decision.as_ref(), Some(decision));
    }
    check(engine, v1::CheckRequest { dry_run: true, ..notice("+8613812345679", "") }).await;
    let days = |store: std::sync::Arc<dyn Store>| async move { store.meta_list("audit/day/").await.unwrap().len() };
    assert_eq!((days(house.cn.store.clone()).await, days(house.main.store.clone()).await), (1, 0));
}

#[tokio::test]
async fn places_are_countries_and_only_those_that_are_pinned() {
    let house = House::new();
    for (number, region) in [
        (CHINA, "cn"),
        ("+864008123123", "cn"),
        ("+85291234567", "default"),
        ("+886912345678", "default"),
        (FLORIDA, "default"),
    ] {
        stop(&house.engine, number, "s").await.unwrap();
        let number = ringfence::place::Number::parse(number, None).unwrap();
        assert_eq!(house.engine.region_of(number), region, "{number}");
    }
    let count = async |store: &dyn Store| records(store, &house.keys).await.len();
    assert_eq!((count(&*house.cn.store).await, count(&*house.main.store).await), (2, 3));
}

/// Stored in mainland China is processed there: the law of a person elsewhere may have something to say, and that of China
/// has nothing against it.
#[tokio::test]
async fn where_a_record_is_stored_is_where_its_data_are_processed() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::durable(folder.path()).await;
    let inputs = async |decision: &v1::Decision| {
        house.engine.decision(&permit(Role::Audit), &decision.decision_id).await.unwrap().inputs.unwrap()
    };
    let there = check(&house.engine, notice(CHINA, "")).await;
    assert_eq!(inputs(&there).await.store_region, "CN");
    assert!(!there.warnings.iter().any(|warning| warning.code == "cross_border_not_judged"), "{:?}", there.warnings);
    let here = check(&house.engine, notice(FLORIDA, "")).await;
    assert_eq!(inputs(&here).await.store_region, "");
    // Asked from another place, the person's data leave China.
    let abroad = v1::CheckRequest { processing_region: "US".to_owned(), ..notice(CHINA, "") };
    let denied = check(&house.engine, abroad).await;
    let families = support::families(&denied);
    assert!(families.contains(&"RULE_FAMILY_CROSS_BORDER"), "{families:?}");
}

#[tokio::test]
async fn a_region_that_is_not_open_answers_nothing_and_the_others_do() {
    let house = House::closed();
    let refused = house.engine.check(&permit(Role::Check), notice(CHINA, ""), clock(NOON)).await;
    assert!(matches!(&refused, Err(Failure::Store(error)) if error.to_string().contains("region cn")), "{refused:?}");
    assert!(matches!(stop(&house.engine, CHINA, "s").await, Err(Failure::Store(_))));
    assert!(matches!(update(&house.engine, FLORIDA, "CN", "u").await, Err(Failure::Store(_))));
    assert!(allows(&check(&house.engine, notice(FLORIDA, "")).await));
    assert_eq!(house.engine.regions_down().len(), 1);
    // An emergency needs no stored fact.
    let emergency = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..notice(CHINA, "") };
    assert!(check(&house.engine, emergency).await.degraded);
    house.engine.open_region("cn", house.cn.store.clone(), None);
    assert!(allows(&check(&house.engine, notice(CHINA, "")).await));
    assert_eq!(house.engine.regions_down(), []);
}

/// Each store says by which regions it was filled; what one says holds for its contacts, whether or not the others can be
/// asked.
#[tokio::test]
async fn a_region_that_was_placed_anew_answers_nothing_to_who_goes_by_the_old_regions() {
    let house = House::new();
    for region in ["default", "cn"] {
        let store = if region == "cn" { &house.cn.store } else { &house.main.store };
        house.engine.layout(region).write(&**store).await.unwrap();
    }
    assert!(house.engine.look_at_layout().await.unwrap() && house.engine.look_at_layout_of("cn").await.unwrap());
    assert!(allows(&check(&house.engine, notice(CHINA, "a")).await));
    house.engine.layout("cn").under_way().write(&*house.cn.store).await.unwrap();
    assert!(!house.engine.look_at_layout_of("cn").await.unwrap());
    let refused = house.engine.check(&permit(Role::Check), notice(CHINA, "b"), clock(NOON)).await;
    assert!(matches!(refused, Err(Failure::Store(_))), "{refused:?}");
    assert!(matches!(stop(&house.engine, CHINA, "s").await, Err(Failure::Store(_))));
    assert_eq!(house.engine.regions_down().len(), 1);
    assert!(allows(&check(&house.engine, notice(FLORIDA, "a")).await), "of the others their own store has not said so");
    house.engine.layout("default").under_way().write(&*house.main.store).await.unwrap();
    house.engine.layout("cn").write(&*house.cn.store).await.unwrap();
    assert!(!house.engine.look_at_layout().await.unwrap() && house.engine.look_at_layout_of("cn").await.unwrap());
    for number in [CHINA, FLORIDA] {
        let refused = house.engine.check(&permit(Role::Check), notice(number, "c"), clock(NOON)).await;
        assert!(matches!(refused, Err(Failure::Store(_))), "{refused:?}");
    }
}
