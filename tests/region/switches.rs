//! Switches hold in every region, and are answered only once they do.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1;
use ringfence::store::{MemoryStore, Store};

use super::check;
use super::house::{CHINA, FLORIDA, House, NOON, allows, notice};
use super::support::{at, clock, permit};
use crate::faulty::{Fault, Faulty};

fn everything(id: &str) -> v1::FreezeRequest {
    v1::FreezeRequest {
        request_id: id.to_owned(),
        target: Some(v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) }),
        who: "ann".to_owned(),
        why: "Wrong prices were quoted.".to_owned(),
        until: None,
    }
}

async fn freeze(engine: &Engine, id: &str) -> Result<v1::FreezeResponse, Failure> {
    engine.freeze(&permit(Role::Control), everything(id), clock(NOON)).await
}

async fn unfreeze(engine: &Engine, freeze: &v1::FreezeResponse, id: &str) -> Result<v1::UnfreezeResponse, Failure> {
    let request = v1::UnfreezeRequest {
        request_id: id.to_owned(),
        freeze_id: freeze.freeze.as_ref().unwrap().freeze_id.clone(),
        who: "bob".to_owned(),
        why: "Right again.".to_owned(),
    };
    engine.unfreeze(&permit(Role::Control), request, clock(NOON)).await
}

async fn frozen(engine: &Engine) -> (bool, bool) {
    let asked = [CHINA, FLORIDA].map(|number| v1::CheckRequest { dry_run: true, ..notice(number, "") });
    let [there, here] = asked.map(|request| check(engine, request));
    (!allows(&there.await), !allows(&here.await))
}

async fn listed(engine: &Engine) -> usize {
    let request = v1::ListFreezesRequest::default();
    engine.list_freezes(&permit(Role::Control), &request, at(NOON)).await.unwrap().freezes.len()
}

#[tokio::test]
async fn a_freeze_holds_in_every_region_and_so_does_its_end() {
    let house = House::new();
    let other = house.another(house.main.store.clone(), house.cn.store.clone());
    assert_eq!(frozen(&other).await, (false, false));
    let first = freeze(&house.engine, "f").await.unwrap();
    assert_eq!(freeze(&other, "f").await.unwrap(), first, "asked again it is the same");
    assert_eq!(frozen(&other).await, (true, true));
    assert_eq!(listed(&other).await, 1);
    unfreeze(&other, &first, "u").await.unwrap();
    assert_eq!(frozen(&house.engine).await, (false, false));
    assert_eq!(listed(&house.engine).await, 0);
}

#[tokio::test]
async fn a_freeze_that_a_region_does_not_have_yet_is_not_answered_and_asking_again_finishes_it() {
    for away in ["default", "cn"] {
        let faulty = Arc::new(Faulty::new());
        let (whole, broken): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(MemoryStore::new()), faulty.clone());
        let (main, cn) = if away == "cn" { (whole, broken) } else { (broken, whole) };
        let house = House::over(main, cn);
        faulty.set(Fault::Away);
        assert!(matches!(freeze(&house.engine, "f").await, Err(Failure::Store(_))), "{away}");
        // Whom nobody can answer for is called by nobody; the others are frozen.
        let (there, here) = (notice(CHINA, ""), notice(FLORIDA, ""));
        let (stopped, unknown) = if away == "cn" { (here, there) } else { (there, here) };
        assert!(!allows(&check(&house.engine, stopped).await), "{away}");
        let refused = house.engine.check(&permit(Role::Check), unknown, clock(NOON)).await;
        assert!(matches!(refused, Err(Failure::Store(_))), "{away}: {refused:?}");
        assert_eq!(listed(&house.engine).await, 1);
        faulty.set(Fault::None);
        // A region that did not answer is tried again a moment later; another instance asks at once.
        let other = house.another(house.main.store.clone(), house.cn.store.clone());
        let done = freeze(&other, "f").await.unwrap();
        assert_eq!(frozen(&other).await, (true, true), "{away}");
        assert_eq!(listed(&other).await, 1, "{away}: one freeze, not two");
        unfreeze(&other, &done, "u").await.unwrap();
        assert_eq!(frozen(&other).await, (false, false));
    }
}

#[tokio::test]
async fn regions_that_differ_come_to_agree() {
    let faulty = Arc::new(Faulty::new());
    let house = House::over(Arc::new(MemoryStore::new()), faulty.clone());
    faulty.set(Fault::Away);
    assert!(freeze(&house.engine, "f").await.is_err());
    faulty.set(Fault::None);
    let other = house.another(house.main.store.clone(), house.cn.store.clone());
    assert_eq!(frozen(&other).await, (false, true), "not everywhere, and it was not said to be");
    other.agree_on_switches(at(NOON)).await.unwrap();
    assert_eq!(frozen(&other).await, (true, true));
    other.agree_on_switches(at(NOON)).await.unwrap();
}

/// What was frozen before the region was there, or while it was not open, is frozen in it from its first answer on.
#[tokio::test]
async fn a_region_that_comes_later_has_every_switch_before_it_answers() {
    let house = House::closed();
    assert!(freeze(&house.engine, "f").await.is_err(), "it is not everywhere");
    house.engine.join_region("cn", house.cn.store.clone(), None, at(NOON)).await.unwrap();
    assert_eq!(frozen(&house.engine).await, (true, true));
    let done = freeze(&house.engine, "f").await.unwrap();
    unfreeze(&house.engine, &done, "u").await.unwrap();
    assert_eq!(frozen(&house.engine).await, (false, false));
    // Where the switches cannot be read or written it stays closed.
    for away in ["default", "cn"] {
        let faulty = Arc::new(Faulty::new());
        let (whole, broken): (Arc<dyn Store>, Arc<dyn Store>) = (Arc::new(MemoryStore::new()), faulty.clone());
        let (main, cn) = if away == "cn" { (whole, broken) } else { (broken, whole) };
        let house = House::closed_over(main, cn);
        assert!(freeze(&house.engine, "f").await.is_err());
        faulty.set(Fault::Away);
        let joined = house.engine.join_region("cn", house.cn.store.clone(), None, at(NOON)).await;
        assert!(matches!(joined, Err(Failure::Store(_))), "{away}: {joined:?}");
        assert_eq!(house.engine.regions_down().len(), 1, "{away}");
    }
}
