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

async fn over(url: &str, folder: &Path) -> (Arc<Engine>, Arc<dyn Store>) {
    let (store, _) = RedisStore::open(redis::Settings::from_url(url).unwrap()).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let keys = Keys::for_store(&folder.join("keys"), None, &*store).await.unwrap();
    let log = audit::Settings::default();
    let opened = audit::open(&folder.join("audit"), log, Arc::clone(&store), at(DAY)).await.unwrap();
    let engine = Engine::new(Parts {
        store: Arc::clone(&store),
        keys,
        log: Some(opened.log),
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    });
    (Arc::new(engine), store)
}

/// The files of the server in which these bytes stand.
fn places(server: &Server, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    files(server.folder(), &mut found);
    found.into_iter().filter(|(_, file)| contains(file, bytes)).map(|(path, _)| path).collect()
}

#[tokio::test]
async fn nothing_readable_is_left_in_what_redis_writes() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (engine, store) = over(&server.url(), folder.path()).await;
    let decisions = live(&engine, NUMBER).await;
    // The sealed key of the contact alone, as the server has it now.
    let records = store.scan(None, 10).await.unwrap();
    let wrapped: Vec<_> = records.iter().map(|(_, record)| record.bytes[..65].to_vec()).collect();
    assert!(
        !wrapped.is_empty() && wrapped.iter().all(|key| !places(&server, key).is_empty()),
        "it is looked for rightly"
    );
    let answer = erased(&engine, erase(NUMBER, "x-1")).await;
    assert!(answer.erased_at.is_some());
    assert!(engine.drop_erased(true).await.unwrap());
    assert_eq!(check(&engine, dry(NUMBER)).await.verdict(), v1::Verdict::Deny);
    assert!(kept(&engine, NUMBER).await.unwrap().consents.is_empty());
    let record = engine.decision(&permit(Role::Audit), &decisions[0], crate::support::READ_AT).await.unwrap();
    assert!(record.erased && record.request.is_none());
    assert_eq!(server.ask(&["SAVE"]), "OK");
    // What was appended before goes when the file is written anew, as it does by itself when it has grown.
    server.ask(&["BGREWRITEAOF"]);
    super::redis_server::until("the append-only file was written anew", || {
        server.ask(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:0")
            && wrapped.iter().all(|key| places(&server, key).is_empty())
    });
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
