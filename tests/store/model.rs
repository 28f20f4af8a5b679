//! Random work on a store and on the model: the same answers, step by step, and across restarts.

use std::sync::{LazyLock, Mutex, PoisonError};

use proptest::prelude::*;
use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{EmbeddedStore, EventId, Key, MemoryStore, Shard, Store, Version, Write, WriterId, embedded};

use ringfence::time::Instant;

use super::redis::Server;
use super::suite::event;

#[derive(Clone, Debug)]
enum Step {
    Swap { shard: u8, tag: u8, expected: u64, writer: u32, bytes: Vec<u8> },
    Settle { shard: u8, seq: u64, writer: u32 },
    Meta { name: String, expected: u64, bytes: Vec<u8> },
    Trim { shard: u8, before: i64, keep: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        8 => (0..3_u8, 0..4_u8, 0..3_u64, 0..2_u32, bytes())
            .prop_map(|(shard, tag, expected, writer, bytes)| Step::Swap { shard, tag, expected, writer, bytes }),
        2 => (0..3_u8, 1..6_u64, 0..2_u32).prop_map(|(shard, seq, writer)| Step::Settle { shard, seq, writer }),
        2 => ("[ab]{0,2}", 0..3_u64, bytes()).prop_map(|(name, expected, bytes)| Step::Meta { name, expected, bytes }),
        2 => (0..3_u8, 999..1_003_i64, 0..4_u64).prop_map(|(shard, before, keep)| Step::Trim { shard, before, keep }),
        1 => Just(Step::Restart),
    ]
}

fn shard(n: u8) -> Shard {
    Shard::new([n; 8], u16::from(n))
}

/// Does one step and tells the answer in words, so that two stores compare.
async fn apply(store: &dyn Store, step: &Step) -> String {
    match step.clone() {
        Step::Swap { shard: s, tag, expected, writer, bytes } => {
            let mut event = event(u64::from(tag));
            event.writer = WriterId(writer);
            let write =
                Write { key: Key::new(shard(s), [tag; 32]), expected: Version(expected), bytes, expires: None, event };
            format!("{:?}", store.swap(write).await)
        }
        Step::Settle { shard: s, seq, writer } => {
            format!("{:?}", store.settle(WriterId(writer), vec![EventId { shard: shard(s), seq }]).await)
        }
        Step::Meta { name, expected, bytes } => {
            format!("{:?}", store.meta_swap(&format!("test/{name}"), Version(expected), bytes).await)
        }
        Step::Trim { shard: s, before, keep } => {
            format!("{:?}", store.trim_events(shard(s), Instant::from_millis(before), keep).await)
        }
        Step::Restart => String::new(),
    }
}

/// Everything that can be read.
async fn all(store: &dyn Store) -> String {
    let mut text = format!("{:?}", store.scan(None, 1_000).await);
    for n in 0..3 {
        text += &format!("{:?} {:?}", store.last_event(shard(n)).await, store.events(shard(n), 0, 1_000).await);
    }
    for writer in [0, 1] {
        text += &format!("{:?}", store.unsettled(WriterId(writer), None, 1_000).await);
    }
    text + &format!("{:?} {:?}", store.meta_list("test/").await, store.shards().await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_embedded_store_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let open = || EmbeddedStore::open(folder.path(), embedded::Settings::default()).unwrap();
            let model = MemoryStore::new();
            let mut store = open();
            for step in &steps {
                if matches!(step, Step::Restart) {
                    drop(store);
                    store = open();
                }
                assert_eq!(apply(&store, step).await, apply(&model, step).await, "{step:?}");
            }
            assert_eq!(all(&store).await, all(&model).await);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_on_redis_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        static SERVER: LazyLock<Mutex<Server>> = LazyLock::new(|| Mutex::new(Server::start(&[])));
        let server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(server.ask(&["FLUSHALL"]), "OK");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let settings = Settings::from_url(&server.url()).unwrap();
            let open = async || RedisStore::open(settings.clone()).await.unwrap().0;
            let model = MemoryStore::new();
            let mut store = open().await;
            for step in &steps {
                if matches!(step, Step::Restart) {
                    store = open().await;
                }
                assert_eq!(apply(&store, step).await, apply(&model, step).await, "{step:?}");
            }
            assert_eq!(all(&store).await, all(&model).await);
        });
    }
}
