//! Erasure on a real Redis: nothing readable in its append-only file, its snapshot, or the log beside it.

use std::path::Path;
use std::sync::Arc;

use ringfence::access::Role;
use ringfence::audit;
use ringfence::engine::{Engine, Parts, Settings};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::store::{Keys, RedisStore, Store, redis};
use ringfence::telemetry::Metrics;

use super::erasure::{contains, erase, erased, files, live, spellings};
use super::redis_server::Server;
use super::support::{DAY, at, law, permit};
use super::{NUMBER, check, dry, kept};

async fn over(url: &str, folder: &Path) -> Arc<Engine> {
    let (store, _) = RedisStore::open(redis::Settings::from_url(url).unwrap()).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let keys = Keys::for_store(&folder.join("keys"), None, &*store).await.unwrap();
    let log = audit::Settings::default();
    let opened = audit::open(&folder.join("audit"), log, Arc::clone(&store), at(DAY)).await.unwrap();
    Arc::new(Engine::new(Parts {
        store,
        keys,
        log: Some(opened.log),
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

#[tokio::test]
async fn nothing_readable_is_left_in_what_redis_writes() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let engine = over(&server.url(), folder.path()).await;
    let decisions = live(&engine, NUMBER).await;
    let answer = erased(&engine, erase(NUMBER, "x-1")).await;
    assert!(answer.erased_at.is_some());
    assert!(engine.drop_erased(true).await.unwrap());
    assert_eq!(check(&engine, dry(NUMBER)).await.verdict(), v1::Verdict::Deny);
    assert!(kept(&engine, NUMBER).await.unwrap().consents.is_empty());
    let record = engine.decision(&permit(Role::Audit), &decisions[0], crate::support::READ_AT).await.unwrap();
    assert!(record.erased && record.request.is_none());
    assert_eq!(server.ask(&["SAVE"]), "OK");
    for place in [server.folder(), folder.path()] {
        let mut found = Vec::new();
        files(place, &mut found);
        assert!(found.iter().any(|(_, bytes)| bytes.len() > 1_000), "{}", place.display());
        for (path, bytes) in found {
            for spelling in spellings(NUMBER) {
                assert!(!contains(&bytes, &spelling), "{path} holds {spelling:?}");
            }
        }
    }
}
