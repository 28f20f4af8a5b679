//! Moves: what goes along, what stays, who races, where it is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message as _;
use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::store::ContactRecord;
use ringfence::store::{EmbeddedStore, Keys, MemoryStore, RedisStore, Store, embedded, redis};

use super::house::{CAP, CHINA, FLORIDA, House, NOON, allows, engine_in, notice, region};
use super::stopping::{Steps, Stopping};
use super::support::{at, permit};
use super::{check, contact, records, stop, update};
use crate::redis::Server;

/// What each store has of the one contact there is.
async fn both(house: &House) -> (Option<ContactRecord>, Option<ContactRecord>) {
    let of = async |store: &dyn Store| records(store, &house.keys).await.first().map(|record| house.opens(record));
    (of(&*house.main.store).await, of(&*house.cn.store).await)
}

/// Nothing but the name of a region.
fn is_pointer(record: Option<ContactRecord>, to: &str) -> bool {
    record.is_some_and(|record| {
        let bare =
            ContactRecord { format: 3, moved_to: to.to_owned(), move_id: record.move_id, ..ContactRecord::default() };
        record == bare
    })
}

/// A record, whole, whether its next write is still to say that it arrived or not.
fn is_record(record: Option<ContactRecord>) -> bool {
    record.is_some_and(|record| record.moved_to.is_empty() && record.number != 0)
}

#[tokio::test]
async fn a_recorded_residence_takes_the_record_along_and_back() {
    let house = House::new();
    let engine = &house.engine;
    assert!(allows(&check(engine, notice(FLORIDA, "a")).await));
    stop(engine, FLORIDA, "s").await.unwrap();
    let before = contact(engine, FLORIDA).await;
    update(engine, FLORIDA, "CN-GD", "u1").await.unwrap();
    let (main, cn) = both(&house).await;
    assert!(is_pointer(main, "cn") && is_record(cn));
    let after = contact(engine, FLORIDA).await;
    assert_eq!((&after.opt_outs, &after.attempts), (&before.opt_outs, &before.attempts));
    assert!(!allows(&check(engine, notice(FLORIDA, "b")).await), "the opt-out went along");
    // Every write is made there now, and asked again is the same write.
    let first = stop(engine, FLORIDA, "s2").await.unwrap();
    assert_eq!(stop(engine, FLORIDA, "s2").await.unwrap(), first);
    update(engine, FLORIDA, "CN-GD", "u1").await.unwrap();
    assert_eq!(contact(engine, FLORIDA).await.opt_outs.len(), 2);
    // And back, when the person lives elsewhere.
    update(engine, FLORIDA, "US-NY", "u2").await.unwrap();
    let (main, cn) = both(&house).await;
    assert!(is_pointer(cn, "default") && is_record(main));
    assert_eq!(contact(engine, FLORIDA).await.opt_outs.len(), 2);
    assert!(!allows(&check(engine, notice(FLORIDA, "c")).await));
    for (residence, id) in [("CN", "u3"), ("", "u4"), ("CN", "u5"), ("HK", "u6")] {
        update(engine, FLORIDA, residence, id).await.unwrap();
    }
    let (main, cn) = both(&house).await;
    assert!(
        is_pointer(cn, "default") && is_record(main),
        "no residence, or one that is not pinned, leaves the number's"
    );
    assert_eq!(contact(engine, FLORIDA).await.dated_facts.len(), 5);
}

#[tokio::test]
async fn what_pins_a_contact_elsewhere_is_never_written_in_the_region_it_leaves() {
    let house = House::new();
    // The first that is known of it.
    update(&house.engine, FLORIDA, "CN", "u1").await.unwrap();
    let (main, cn) = both(&house).await;
    assert!(is_pointer(main, "cn") && is_record(cn));
    let (key, pointer) = records(&*house.main.store, &house.keys).await.remove(0);
    assert_eq!(pointer.version.0, 1, "a pointer from the beginning");
    // A number of a pinned place stays, wherever its person lives: only another region takes it.
    update(&house.engine, CHINA, "US-FL", "u1").await.unwrap();
    assert_eq!(records(&*house.main.store, &house.keys).await, [(key, pointer)]);
}

#[tokio::test]
async fn a_residence_that_is_only_asserted_moves_nothing() {
    let house = House::new();
    let mut request = notice(FLORIDA, "a");
    request.location = Some(ringfence::proto::v1::Location { residence: "CN".to_owned(), ..Default::default() });
    check(&house.engine, request).await;
    stop(&house.engine, FLORIDA, "s").await.unwrap();
    let (main, cn) = both(&house).await;
    assert!(is_record(main) && cn.is_none());
}

/// The key that opens what the old region's log says of the contact goes with the record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_log_says_of_a_contact_opens_only_with_its_new_region() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::durable(folder.path()).await;
    let decision = check(&house.engine, notice(FLORIDA, "a")).await;
    let key = |store: &dyn Store| house.keys.tag(&house.keys.tenant("default", store.shard_count()), FLORIDA);
    let own = async |store: &dyn Store| {
        let stored = store.load(&key(store)).await.unwrap().unwrap();
        (house.keys.open_record(&key(store), &stored.bytes).unwrap().0, stored)
    };
    let (_, old) = own(&*house.main.store).await;
    update(&house.engine, FLORIDA, "CN", "u1").await.unwrap();
    let found = house.main.log.as_ref().unwrap();
    let id = ringfence::audit::DecisionId::parse(&decision.decision_id).unwrap();
    let entry = found.find(id).await.unwrap().unwrap().entry;
    let opens = |key: &ringfence::store::DataKey| {
        key.open(ringfence::store::Purpose::AuditBody, &entry.id.bytes(), &entry.body).is_ok()
    };
    assert!(!opens(&own(&*house.main.store).await.0), "the pointer has a key of its own");
    assert!(opens(&own(&*house.cn.store).await.0));
    let record = house.engine.decision(&permit(Role::Audit), &decision.decision_id).await.unwrap();
    assert_eq!(record.decision.unwrap(), decision);
    // What the store hands out holds nothing of the record any more: neither its bytes nor its wrapped key.
    let part = &old.bytes[5..60];
    for (_, stored) in house.main.store.scan(None, 100).await.unwrap() {
        assert!(!stored.bytes.windows(part.len()).any(|window| window == part));
    }
    // Its files hold nothing in the clear, and nothing of the record as it is now.
    let new = own(&*house.cn.store).await.1.bytes;
    for file in files(&folder.path().join("default")) {
        let bytes = std::fs::read(&file).unwrap();
        for part in [&b"13055550123"[..], b"acme", &new[new.len() - 40..], &new[5..60]] {
            let holds = bytes.windows(part.len()).any(|window| window == part);
            assert!(!holds, "{} holds something of the contact", file.display());
        }
    }
    for side in [&house.main, &house.cn] {
        side.reconciler.as_ref().unwrap().tick(at(NOON)).await.unwrap();
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn embedded_pair(folder: &std::path::Path) -> (Arc<dyn Store>, Arc<dyn Store>) {
    let open = |name: &str| -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open(&folder.join(name), embedded::Settings::default()).unwrap())
    };
    (open("default"), open("cn"))
}

/// I1 and I2 while the record goes to and fro: the cap is exact, and who was told of an opt-out is never called.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_let_no_attempt_and_no_opt_out_slip_in_memory() {
    race(&House::new(), 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_let_no_attempt_and_no_opt_out_slip_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (main, cn) = embedded_pair(folder.path()).await;
    race(&House::over(main, cn), 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_let_no_attempt_and_no_opt_out_slip_between_a_file_and_a_redis() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&[]);
    let (main, _) = embedded_pair(folder.path()).await;
    let settings = redis::Settings::from_url(&server.url()).unwrap();
    let cn: Arc<dyn Store> = Arc::new(RedisStore::open(settings).await.unwrap().0);
    race(&House::over(main, cn), 4).await;
}

async fn race(house: &House, rounds: usize) {
    for round in 0..rounds {
        let number = format!("+1305555{:04}", 100 + round);
        // Another instance asks too.
        // Every other round nobody opts out, and the cap is reached.
        let stops = round % 2 == 0;
        let engines = [Arc::clone(&house.engine), house.another(house.main.store.clone(), house.cn.store.clone())];
        let granted = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicUsize::new(0));
        let mut racers = tokio::task::JoinSet::new();
        let mover = Arc::clone(&engines[0]);
        let moved = number.clone();
        racers.spawn(async move {
            for (step, residence) in ["CN", "US-FL", "CN", "US-NY", "CN"].into_iter().enumerate() {
                update(&mover, &moved, residence, &format!("u{step}")).await.unwrap();
            }
        });
        for racer in 0..32 {
            let engine = Arc::clone(&engines[racer % 2]);
            let (number, granted, stopped) = (number.clone(), Arc::clone(&granted), Arc::clone(&stopped));
            racers.spawn(async move {
                ask(&engine, &number, if stops { racer } else { 0 }, &granted, &stopped).await;
            });
        }
        while let Some(done) = racers.join_next().await {
            done.unwrap();
        }
        let found = contact(&engines[1], &number).await;
        assert_eq!(found.opt_outs.len(), if stops { 4 } else { 0 }, "every opt-out that was acknowledged");
        let granted = granted.load(Ordering::SeqCst);
        assert_eq!(found.attempts.len(), granted, "every grant that was answered, and no other");
        assert!(granted == CAP || stops && granted < CAP, "{granted}");
        assert!(!allows(&check(&engines[1], notice(&number, "z")).await));
    }
}

/// Many at once say for the first time that somebody lives there: one record begins, and all of it is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_record_that_begins_elsewhere_begins_once() {
    let house = House::new();
    for round in 0..20 {
        let number = format!("+1305555{:04}", 700 + round);
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..8 {
            let engine = house.another(house.main.store.clone(), house.cn.store.clone());
            let number = number.clone();
            racers.spawn(async move {
                let now = super::support::at("2026-11-18T01:30:00Z").plus(ringfence::time::Millis(racer));
                let request = super::house::reside(&number, "CN", &format!("u{racer}"));
                let clock = ringfence::engine::Clock::at(now);
                engine.update_contact(&permit(Role::WriteConsent), request, clock).await.unwrap();
            });
        }
        while let Some(done) = racers.join_next().await {
            done.unwrap();
        }
        assert_eq!(contact(&house.engine, &number).await.dated_facts.len(), 8);
    }
}

/// Reserves, or opts out: one in eight. What was asked after an opt-out was acknowledged is denied.
async fn ask(engine: &Engine, number: &str, racer: usize, granted: &AtomicUsize, stopped: &AtomicUsize) {
    if racer % 8 == 7 {
        stop(engine, number, &format!("s{racer}")).await.unwrap();
        stopped.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let before = stopped.load(Ordering::SeqCst);
    let decision = check(engine, notice(number, "")).await;
    if allows(&decision) {
        assert_eq!(before, 0, "an opt-out was acknowledged before this was asked");
        granted.fetch_add(1, Ordering::SeqCst);
    }
}

/// A pointer that a failover may still forget leads nobody to write: the old record would come back beside the new one.
#[tokio::test]
async fn nobody_writes_behind_a_pointer_that_is_not_known_to_be_safe() {
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
    let house = House::over(stores[0].clone(), stores[1].clone());
    stop(&house.engine, FLORIDA, "s").await.unwrap();
    let [main, cn] = stores.clone();
    // Read both, copy, point: there it stops.
    let left = Steps::of(6);
    let dying = |inner| -> Arc<dyn Store> {
        Arc::new(Stopping { inner, steps: left.clone(), after: false, unsafe_yet: false })
    };
    assert!(update(&house.another(dying(main), dying(cn)), FLORIDA, "CN", "u").await.is_err());
    let (pointer, copy) = both(&house).await;
    assert!(is_pointer(pointer, "cn") && copy.is_some_and(|copy| copy.arriving_from == "default"));
    let [main, cn] = stores;
    let lagging = Stopping { inner: main, steps: Steps::of(1_000), after: false, unsafe_yet: true };
    let engine = house.another(Arc::new(lagging), cn);
    assert!(matches!(stop(&engine, FLORIDA, "s2").await, Err(Failure::Store(_))));
    assert!(both(&house).await.1.is_some_and(|copy| copy.opt_outs.len() == 1));
    stop(&house.engine, FLORIDA, "s2").await.unwrap();
    // Now the record says plainly that it is here, which it could only once the pointer was safe.
    assert_eq!(both(&house).await.1.unwrap().arriving_from, "");
}

/// From one pinned region to another, by which way ever: the number's own region always leads to the record.
#[tokio::test]
async fn a_record_goes_from_one_pinned_region_to_another() {
    let stores: [Arc<dyn Store>; 3] = [(); 3].map(|()| -> Arc<dyn Store> { Arc::new(MemoryStore::new()) });
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::generate(&folder.path().join("keys")).unwrap();
    let house = |steps: Option<&Steps>, after: bool| {
        let [main, cn, hk] = stores.clone().map(|inner| match steps {
            None => inner,
            Some(steps) => Arc::new(Stopping { inner, steps: steps.clone(), after, unsafe_yet: false }),
        });
        let keys = Keys::open(&folder.path().join("keys")).unwrap();
        let pins = [region("cn", &["CN"]), region("hk", &["HK"])];
        let engine = engine_in(main, None, keys, &pins);
        engine.open_region("cn", cn, None);
        engine.open_region("hk", hk, None);
        engine
    };
    let whole = house(None, false);
    let mut write = 0;
    for number in [FLORIDA, CHINA] {
        stop(&whole, number, "s").await.unwrap();
        for residence in ["CN", "HK", "CN", "HK", "US", "HK", "CN"] {
            // Each interrupted everywhere before it is done.
            for steps in (0..24).chain([1_000]) {
                write += 1;
                let dying = house(Some(&Steps::of(steps)), steps % 2 == 0);
                let _ = update(&dying, number, residence, &format!("u{}", write - steps.min(24))).await;
                assert!(!allows(&check(&whole, notice(number, "")).await), "{number} to {residence}, {steps} steps");
            }
            let at = match (residence, number) {
                ("CN", _) | ("US", CHINA) => 1,
                ("HK", _) => 2,
                _ => 0,
            };
            assert_eq!(contact(&whole, number).await.opt_outs.len(), 1);
            let mut whole_records = Vec::new();
            for (index, store) in stores.iter().enumerate() {
                let key = keys.tag(&keys.tenant("default", 1), number);
                let Some(stored) = store.load(&key).await.unwrap() else { continue };
                let plain = keys.open_record(&key, &stored.bytes).unwrap().1;
                whole_records.extend((ContactRecord::decode(&*plain).unwrap().moved_to.is_empty()).then_some(index));
            }
            assert_eq!(whole_records, [at], "{number} lives in {residence}");
        }
    }
}

/// Stops the process between every two steps of a move, there and back, before and after what it did last; then another
/// goes on.
#[tokio::test]
async fn a_move_that_is_interrupted_anywhere_is_taken_up_by_the_next_request() {
    for after in [false, true] {
        for (first, then) in [("US-FL", "CN"), ("CN", "US-FL")] {
            let mut steps = 0;
            loop {
                let left = Steps::of(steps);
                interrupted(&left, after, first, then).await;
                if left.sufficed() {
                    break;
                }
                steps += 1;
                assert!(steps < 60, "it never ends");
            }
            assert!(steps > 5, "{steps} steps only: nothing was interrupted");
        }
    }
}

async fn interrupted(left: &Steps, after: bool, first: &str, then: &str) {
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
    let house = House::over(stores[0].clone(), stores[1].clone());
    update(&house.engine, FLORIDA, first, "u1").await.unwrap();
    for id in ["a", "b"] {
        assert!(allows(&check(&house.engine, notice(FLORIDA, id)).await));
    }
    let [main, cn] = stores
        .map(|inner| -> Arc<dyn Store> { Arc::new(Stopping { inner, steps: left.clone(), after, unsafe_yet: false }) });
    let dying = house.another(main, cn);
    let moved = update(&dying, FLORIDA, then, "u2").await;
    assert!(moved.is_ok() || !left.sufficed(), "{moved:?}");
    // The next request of whatever kind answers from all that was recorded. One slot was left of three.
    let found = contact(&house.engine, FLORIDA).await;
    assert_eq!(found.attempts.len(), 2);
    assert!(allows(&check(&house.engine, notice(FLORIDA, "c")).await));
    assert!(!allows(&check(&house.engine, notice(FLORIDA, "d")).await));
    // The same request asked again does what is left of it.
    update(&house.engine, FLORIDA, then, "u2").await.unwrap();
    assert!(!allows(&check(&house.engine, notice(FLORIDA, "d")).await));
    let (main, cn) = both(&house).await;
    match then {
        "CN" => assert!(is_pointer(main, "cn") && is_record(cn)),
        _ => assert!(is_pointer(cn, "default") && is_record(main)),
    }
    let found = contact(&house.engine, FLORIDA).await;
    assert_eq!((found.attempts.len(), found.dated_facts.len()), (3, 2));
}
