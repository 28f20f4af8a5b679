//! Erasure against opt-outs and reservations: whoever wins, I1 and the caps hold.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::Engine;
use ringfence::proto::v1::{self, RightsRequestKind as Kind, Verdict};

use super::erasure::{erase, erased};
use super::support::{DAY, clock, durable, engine, florida, opt_out, permit};
use super::{NUMBER, check, dry, notice, opened, request};

async fn race(engine: Arc<Engine>) {
    for round in 0..8 {
        let number = format!("+1305555{:04}", 100 + round);
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..8 {
            let (engine, number) = (Arc::clone(&engine), number.clone());
            tasks.spawn(async move {
                match index % 4 {
                    0 => drop(erased(&engine, erase(&number, &format!("x-{index}"))).await),
                    1 => {
                        let said = opt_out(&number, &format!("s-{index}"));
                        let write = permit(Role::WriteConsent);
                        engine.record_opt_out(&write, said, clock(DAY)).await.unwrap();
                        // I1: whatever became of the erasures, this opt-out is seen from now on.
                        assert_eq!(check(&engine, notice(&number)).await.verdict(), Verdict::Deny);
                    }
                    2 => drop(check(&engine, florida(&number)).await),
                    _ => drop(opened(&engine, request(&number, Kind::Objection, &format!("o-{index}"))).await),
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert_eq!(check(&engine, notice(&number)).await.verdict(), Verdict::Deny);
        assert_eq!(check(&engine, dry(&number)).await.verdict(), Verdict::Deny);
        assert!(super::kept(&engine, &number).await.unwrap().erased_at.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn erasures_opt_outs_and_reservations_race_in_memory() {
    race(engine()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn erasures_opt_outs_and_reservations_race_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = Arc::clone(&durable.engine);
    let rewriting = tokio::spawn(async move {
        // The file is written anew while all that goes on.
        for _ in 0..20 {
            let _ = engine.drop_erased(true).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    race(Arc::clone(&durable.engine)).await;
    rewriting.await.unwrap();
    durable.reconciler.tick(super::support::at(DAY)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_open_the_same_request_and_it_is_one() {
    let engine = engine();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let engine = Arc::clone(&engine);
        tasks.spawn(async move { opened(&engine, request(NUMBER, Kind::Complaint, "one")).await.rights_request_id });
    }
    let mut ids = std::collections::HashSet::new();
    while let Some(id) = tasks.join_next().await {
        ids.insert(id.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let all = super::listed(&engine, v1::ListRequestsRequest::default()).await;
    assert_eq!(all.requests.len(), 1, "entries of those that lost are of no request");
}
