//! Decisions listed: each region has a log of its own, and a list of some of them never passes for all.

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1;
use ringfence::store::Keys;

use super::house::{CHINA, FLORIDA, House, NOON, notice};
use super::support::{clock, permit};
use super::{check, update};

/// All pages, so many on each.
async fn list(engine: &Engine, number: &str, page_size: u32) -> Result<Vec<String>, Failure> {
    let number = number.to_owned();
    let mut asked = v1::ListDecisionsRequest { number, page_size, ..v1::ListDecisionsRequest::default() };
    let mut found = Vec::new();
    loop {
        let page = engine.decisions(&permit(Role::Audit), &asked, clock(NOON)).await?;
        found.extend(page.records.into_iter().map(|record| record.decision.unwrap().decision_id));
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        asked.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_listed_region_by_region_and_not_while_one_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::durable(folder.path()).await;
    let engine = &house.engine;
    let there = check(engine, notice(CHINA, "")).await.decision_id;
    let before = check(engine, notice(FLORIDA, "")).await.decision_id;
    update(engine, FLORIDA, "CN", "u").await.unwrap();
    let after = check(engine, notice(FLORIDA, "")).await.decision_id;
    for side in [&house.cn, &house.main] {
        side.log.as_ref().unwrap().sync().await.map(drop).unwrap();
    }
    // The entry from before the move opens with the key that went along.
    for size in [1, 2, 100] {
        assert_eq!(list(engine, "", size).await.unwrap(), [after.clone(), there.clone(), before.clone()], "{size}");
        assert_eq!(list(engine, FLORIDA, size).await.unwrap(), [after.clone(), before.clone()], "{size}");
        assert_eq!(list(engine, CHINA, size).await.unwrap(), std::slice::from_ref(&there), "{size}");
    }
    let keys = Keys::open(&folder.path().join("keys")).unwrap();
    let other = super::house::engine(house.main.store.clone(), house.main.log.clone(), keys);
    assert!(matches!(list(&other, "", 100).await, Err(Failure::Store(_))), "one region is not open");
}
