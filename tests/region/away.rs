//! A region whose store is away, frozen or killed: its contacts are answered by nobody, the others as ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::access::Role;
use ringfence::engine::Failure;
use ringfence::proto::v1;
use ringfence::service::{Calls, Incoming};
use ringfence::store::{MemoryStore, RedisStore, redis};

use super::house::{CHINA, FLORIDA, House, NOON, allows, notice};
use super::support::{clock, permit};
use super::{check, stop, update};
use crate::faulty::{Fault, Faulty};
use crate::redis::{Server, until};

/// Far longer than an answer from memory takes, far shorter than waiting for a server that does not answer.
const USUAL: Duration = Duration::from_millis(400);

#[tokio::test]
async fn one_that_did_not_answer_is_left_alone_for_a_moment_and_then_asked_again() {
    let faulty = Arc::new(Faulty::new());
    let house = House::over(Arc::new(MemoryStore::new()), faulty.clone());
    let engine = &house.engine;
    // A contact that lives there by its residence goes with the region, not with its number.
    update(engine, FLORIDA, "CN", "u").await.unwrap();
    faulty.set(Fault::Away);
    let asked = async |number: &str| engine.check(&permit(Role::Check), notice(number, ""), clock(NOON)).await;
    for number in [CHINA, FLORIDA, CHINA] {
        assert!(matches!(asked(number).await, Err(Failure::Store(_))));
    }
    assert!(matches!(stop(engine, CHINA, "s").await, Err(Failure::Store(_))));
    assert!(allows(&asked("+13055550199").await.unwrap()));
    assert_eq!(engine.regions_down().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["cn"]);
    assert_eq!(engine.not_ready().await, [], "the server serves");
    faulty.set(Fault::None);
    until("it answers again", || {
        std::thread::sleep(Duration::from_millis(20));
        futures_util::FutureExt::now_or_never(asked(CHINA)).is_some_and(|answer| answer.is_ok())
    });
    assert_eq!(engine.regions_down(), []);
    assert!(allows(&check(engine, notice(FLORIDA, "x")).await));
}

/// A Redis that is stopped, or killed: rows about its contacts fail alone, and it is used again without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_about_a_region_that_is_frozen_or_killed_fail_alone() {
    let mut server = Server::start(&[]);
    let settings = redis::Settings::from_url(&server.url()).unwrap();
    let cn = Arc::new(RedisStore::open(settings).await.unwrap().0);
    let house = House::over(Arc::new(MemoryStore::new()), cn);
    update(&house.engine, FLORIDA, "CN", "u").await.unwrap();
    let calls = Calls::new(Arc::clone(&house.engine));
    let batch = |rows: usize| {
        let dry = |number: String| v1::CheckRequest { dry_run: true, ..notice(&number, "") };
        let mut checks: Vec<_> = (0..rows).map(|row| dry(format!("+86138{:08}", row))).collect();
        checks.push(dry(FLORIDA.to_owned()));
        checks.extend((0..200).map(|row| dry(format!("+1212555{row:04}"))));
        v1::CheckBatchRequest { checks }
    };
    let ask = async |rows| {
        let incoming = Incoming::local(Some(Duration::from_secs(3)));
        let results = calls.check_batch(incoming, batch(rows)).await.unwrap().results;
        let answered = |result: &v1::CheckResult| matches!(result.result, Some(v1::check_result::Result::Decision(_)));
        let there = results.iter().take(rows + 1).filter(|result| answered(result)).count();
        let here = results.iter().skip(rows + 1).filter(|result| answered(result)).count();
        (there, here)
    };
    assert_eq!(ask(300).await, (301, 200));
    for frozen in [true, false] {
        if frozen {
            server.freeze()
        } else {
            server.kill()
        }
        assert_eq!(ask(300).await, (0, 200), "frozen: {frozen}");
        // By now it is known to be away: who asks about others does not wait, nor who asks about it.
        let begun = Instant::now();
        assert_eq!(ask(20).await, (0, 200));
        for row in 0..20 {
            let request = notice(&format!("+1212555{row:04}"), "");
            house.engine.check(&permit(Role::Check), request, clock(NOON)).await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(3) + USUAL, "{:?}", begun.elapsed());
        assert_eq!(house.engine.regions_down().len(), 1);
        if frozen {
            server.thaw()
        } else {
            server.run()
        }
        let begun = Instant::now();
        while ask(5).await != (6, 200) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it never came back");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
