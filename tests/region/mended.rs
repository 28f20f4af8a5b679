//! Where a record may be written, and what a fault of one region or of the engine's own store costs the others.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::audit::Library;
use ringfence::engine::{Engine, Failure};
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::store::ContactRecord;
use ringfence::proto::v1;
use ringfence::store::{Key, Keys, MemoryStore, Store};

use super::gated::Gated;
use super::house::{CHINA, FLORIDA, House, NOON, allows, engine_in, notice, region};
use super::support::{at, clock, permit};
use super::{check, contact, records, stop, update};
use crate::faulty::{Fault, Faulty};

/// An engine with two regions beside its own, and its stores: default, cn, hk.
struct Three {
    stores: [Arc<dyn Store>; 3],
    engine: Engine,
    keys: Keys,
    folder: tempfile::TempDir,
}

impl Three {
    fn new() -> Self {
        let stores: [Arc<dyn Store>; 3] = [(); 3].map(|()| -> Arc<dyn Store> { Arc::new(MemoryStore::new()) });
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::generate(&folder.path().join("keys")).unwrap();
        let engine = Self::over(&folder, stores.clone());
        Self { stores, engine, keys, folder }
    }

    fn over(folder: &tempfile::TempDir, [main, cn, hk]: [Arc<dyn Store>; 3]) -> Engine {
        let keys = Keys::open(&folder.path().join("keys")).unwrap();
        let engine = engine_in(main, None, keys, &[region("cn", &["CN"]), region("hk", &["HK"])]);
        engine.open_region("cn", cn, None);
        engine.open_region("hk", hk, None);
        engine
    }

    /// Version and record of a number in each store.
    async fn of(&self, number: &str) -> Vec<Option<(u64, ContactRecord)>> {
        let key = self.keys.tag(&self.keys.tenant("default", 1), number);
        let mut found = Vec::new();
        for store in &self.stores {
            found.push(store.load(&key).await.unwrap().map(|stored| {
                let plain = self.keys.open_record(&key, &stored.bytes).unwrap().1;
                (stored.version.0, prost::Message::decode(&*plain).unwrap())
            }));
        }
        found
    }
}

/// What pins a contact to another region is written there alone, from whichever region it comes.
#[tokio::test]
async fn from_one_pinned_region_to_another_nothing_new_is_written_in_the_one_that_is_left() {
    let three = Three::new();
    // The first that is known of it: a pointer from the beginning.
    update(&three.engine, CHINA, "HK", "u1").await.unwrap();
    let found = three.of(CHINA).await;
    let [None, Some((1, pointer)), Some((_, record))] = &found[..] else {
        panic!("not where it belongs");
    };
    assert!(pointer.moved_to == "hk" && pointer.number == 0 && record.number != 0);
    // One that was in China by its residence: copied, written once, left.
    update(&three.engine, FLORIDA, "CN", "u1").await.unwrap();
    let before = three.of(FLORIDA).await[1].as_ref().unwrap().0;
    update(&three.engine, FLORIDA, "HK", "u2").await.unwrap();
    let after = three.of(FLORIDA).await;
    let (version, pointer) = after[1].as_ref().unwrap();
    assert_eq!((*version, pointer.moved_to.as_str()), (before + 1, "hk"), "the pointer is the only write there");
    assert_eq!(contact(&three.engine, FLORIDA).await.dated_facts.len(), 2);
    // And back to where its number belongs.
    update(&three.engine, CHINA, "US", "u2").await.unwrap();
    assert_eq!(three.of(CHINA).await[2].as_ref().unwrap().1.moved_to, "cn");
    assert_eq!(contact(&three.engine, CHINA).await.dated_facts.len(), 2);
}

/// A copy that is on its way between two pinned regions, by a process that ended before it wrote what pins it there.
#[tokio::test]
async fn what_was_carried_into_a_region_for_nothing_goes_back_before_it_is_answered_about() {
    for steps in 0..24 {
        let three = Three::new();
        stop(&three.engine, CHINA, "s").await.unwrap();
        let left = super::stopping::Steps::of(steps);
        let dying = |inner| -> Arc<dyn Store> {
            let steps = left.clone();
            Arc::new(super::stopping::Stopping { inner, steps, after: false, unsafe_yet: false })
        };
        let dead = Three::over(&three.folder, three.stores.clone().map(dying));
        let done = update(&dead, CHINA, "HK", "u").await;
        assert!(!allows(&check(&three.engine, notice(CHINA, "a")).await));
        // A check that reserves nothing moves it all the same: it was asked with an instant.
        let written = !contact(&three.engine, CHINA).await.dated_facts.is_empty();
        let found = three.of(CHINA).await;
        let whole = |at: usize| found[at].as_ref().is_some_and(|(_, record)| record.moved_to.is_empty());
        match written {
            true => assert!(whole(2) && !whole(1), "{steps}: {done:?}"),
            false => assert!(whole(1), "{steps}: {done:?}"),
        }
    }
}

/// Between the write that unpins a contact and the move that follows, another pins it again: then it stays.
#[tokio::test]
async fn a_mover_that_is_late_leaves_what_is_pinned_where_it_is() {
    let (main, cn): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let house = House::over(main.clone(), cn.clone());
    update(&house.engine, FLORIDA, "CN", "u1").await.unwrap();
    let gated = Arc::new(Gated::new(cn.clone()));
    let slow = house.another(main.clone(), gated.clone());
    gated.shut();
    let first = tokio::spawn(async move { update(&slow, FLORIDA, "US-NY", "u2").await });
    gated.met.notified().await;
    update(&house.engine, FLORIDA, "CN", "u3").await.unwrap();
    gated.open();
    first.await.unwrap().unwrap();
    let there = records(&*cn, &house.keys).await;
    let here = records(&*main, &house.keys).await;
    assert_eq!(house.opens(&here[0]).moved_to, "cn", "what is pinned to China stays there");
    assert_ne!(house.opens(&there[0]).number, 0);
    assert_eq!(contact(&house.engine, FLORIDA).await.dated_facts.len(), 3);
}

/// The store of all others is asked each time: a part of it may be away alone.
#[tokio::test]
async fn the_store_of_the_engine_is_not_left_alone_for_what_one_contact_met() {
    let faulty = Arc::new(Faulty::new());
    let house = House::over(faulty.clone(), Arc::new(MemoryStore::new()));
    let asked = async || house.engine.check(&permit(Role::Check), notice(FLORIDA, ""), clock(NOON)).await;
    faulty.set(Fault::Away);
    assert!(matches!(asked().await, Err(Failure::Store(_))));
    faulty.set(Fault::None);
    assert!(allows(&asked().await.unwrap()), "at once");
}

/// A law that one region's disk cannot keep is in force for all others, and nothing is decided by it there.
#[tokio::test]
async fn a_region_that_cannot_keep_the_law_is_out_and_keeps_it_from_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new();
    house.engine.keep_law_in(Library::at(&folder.path().join("main"))).unwrap();
    let place = folder.path().join("cn");
    house.engine.keep_law_of_region_in("cn", &Library::at(&place));
    assert!(allows(&check(&house.engine, notice(CHINA, "a")).await));
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "no folder").unwrap();
    let newer = Arc::new(Law::read(BUILT_IN.iter().copied()).unwrap());
    house.engine.change_law(Arc::clone(&newer)).unwrap();
    assert_eq!(house.engine.law().version(), newer.version());
    let asked = async |number: &str| house.engine.check(&permit(Role::Check), notice(number, "b"), clock(NOON)).await;
    assert!(matches!(asked(CHINA).await, Err(Failure::Store(_))));
    assert_eq!(asked(FLORIDA).await.unwrap().rules_version, newer.version());
    let down = house.engine.regions_down();
    assert!(down.len() == 1 && down[0].0 == "cn" && down[0].1.contains("law"), "{down:?}");
    assert!(house.engine.keep_lacking_law_of("cn").is_err());
    std::fs::remove_file(&place).unwrap();
    assert!(house.engine.keep_lacking_law_of("cn").unwrap());
    assert_eq!(house.engine.regions_down(), []);
    assert_eq!(asked(CHINA).await.unwrap().rules_version, newer.version());
    assert!(place.is_dir());
}

/// A store has a name, and the engine's own knows it.
#[tokio::test]
async fn a_store_that_is_empty_is_not_taken_for_the_one_a_region_had() {
    let house = House::new();
    let (own, empty) = (&house.cn.store, MemoryStore::new());
    assert!(house.engine.recognises("cn", &empty).await.unwrap(), "it had none");
    assert!(house.engine.remember("cn", &**own).await.unwrap());
    assert!(house.engine.remember("cn", &**own).await.unwrap() && house.engine.recognises("cn", &**own).await.unwrap());
    assert!(!house.engine.recognises("cn", &empty).await.unwrap());
    assert!(!house.engine.remember("cn", &empty).await.unwrap(), "nor is it remembered");
    assert_eq!(house.engine.with_other_stores().await.unwrap(), Vec::<String>::new());
    let other = house.another(house.main.store.clone(), Arc::new(MemoryStore::new()));
    assert_eq!(other.with_other_stores().await.unwrap(), ["cn"]);
    assert!(other.begin_placing().await.is_err(), "it would be filled, and the rest forgotten");
    house.engine.forget("cn").await.unwrap();
    assert!(house.engine.recognises("cn", &empty).await.unwrap());
}

async fn walked(engine: &Engine) -> ringfence::engine::Placed {
    let mut all = ringfence::engine::Placed::default();
    for region in engine.regions() {
        let mut after: Option<Key> = None;
        loop {
            let (last, done) = engine.place_page(&region.name, after, at(NOON)).await.unwrap();
            all.add(done);
            if last.is_none() {
                break;
            }
            after = last;
        }
    }
    all
}

async fn nameless(engine: &Engine) -> u64 {
    let mut all = 0;
    for region in engine.regions() {
        all += engine.count_nameless(&region.name, None).await.unwrap().1;
    }
    all
}

/// Nothing tells where the record of somebody who was erased belongs: where it lay it lies right, by other regions not.
#[tokio::test]
async fn erased_records_lie_right_only_by_the_regions_they_came_by() {
    let house = House::new();
    house.engine.begin_placing().await.unwrap();
    house.engine.end_placing().await.unwrap();
    for number in [CHINA, FLORIDA] {
        stop(&house.engine, number, "s").await.unwrap();
        let erase = v1::EraseContactRequest {
            number: number.to_owned(),
            request_id: "e".to_owned(),
            reason: v1::ErasureReason::AccountClosed.into(),
            ..Default::default()
        };
        house.engine.erase_contact(&permit(Role::Privacy), erase, clock(NOON)).await.unwrap();
    }
    let keys = Keys::open(&house.keys_file()).unwrap();
    let pins = [region("cn", &["CN"]), region("hk", &["HK"])];
    let changed = engine_in(house.main.store.clone(), None, keys, &pins);
    changed.open_region("cn", house.cn.store.clone(), None);
    changed.open_region("hk", Arc::new(MemoryStore::new()), None);
    assert!(!changed.unmoved().await.unwrap());
    assert_eq!(nameless(&changed).await, 2);
    // Begun all the same, it is not complete, and can be taken back.
    changed.begin_placing().await.unwrap();
    let placed = walked(&changed).await;
    assert!(placed.nameless == 2 && !placed.complete(false), "{placed:?}");
    assert!(!house.engine.look_at_layout().await.unwrap());
    assert!(house.engine.unmoved().await.unwrap());
    house.engine.begin_placing().await.unwrap();
    let placed = walked(&house.engine).await;
    assert!(placed.complete(house.engine.unmoved().await.unwrap()), "{placed:?}");
    house.engine.end_placing().await.unwrap();
    assert!(house.engine.look_at_layout().await.unwrap() && house.engine.look_at_layout_of("cn").await.unwrap());
    for number in [CHINA, FLORIDA] {
        assert!(!allows(&check(&house.engine, notice(number, "z")).await));
    }
}
