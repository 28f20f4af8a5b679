//! Sealing keys rotate while the store is in use: with the real program, on a data folder and on a Redis, under load,
//! killed in the middle, with hosts whose files are behind. Nothing acknowledged may be lost, and nothing left under the
//! old key.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[allow(dead_code, reason = "shared with the tests of faults")]
#[path = "faults/clients.rs"]
mod clients;
#[path = "rotate/hosts.rs"]
mod hosts;
#[path = "rotate/killed.rs"]
mod killed;
#[path = "rotate/load.rs"]
mod load;
#[path = "support/redis.rs"]
mod redis;
#[allow(dead_code, reason = "shared with the tests of faults")]
#[path = "faults/server.rs"]
mod server;

use std::process::Output;

use ringfence::store::redis::{RedisStore, Settings};
use ringfence::store::{EmbeddedStore, Keys, Store, embedded};
use serde_json::Value;

use self::load::Load;
use self::redis::Server as Redis;
use self::server::House;

/// `ringfence keys …` in this house: exit status and what it printed as JSON.
pub fn keys(house: &House, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(house, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text + &said)))
}

fn run(house: &House, arguments: &[&str]) -> Output {
    let mut command = house.program();
    command.arg("keys").args(arguments).arg("--json").arg("--keys").arg(house.keys());
    command.output().unwrap()
}

/// The same without keeping the clients waiting.
pub async fn keys_beside(house: &House, arguments: &[&str]) -> (Option<i32>, Value) {
    tokio::task::block_in_place(|| keys(house, arguments))
}

/// Everything in the store must be under this key and open with the file as it is.
pub async fn assert_all_under(store: &dyn Store, house: &House, key: u32) {
    let keys = Keys::for_store(&house.keys(), None, store).await.unwrap();
    let about = keys.about();
    assert_eq!(about.iter().map(|key| key.id).collect::<Vec<_>>(), [key], "old keys are gone from the file");
    let records = store.scan(None, usize::MAX >> 1).await.unwrap();
    assert!(!records.is_empty());
    for (name, record) in &records {
        assert_eq!(record.bytes[..5], [[1].as_slice(), &key.to_le_bytes()].concat(), "{name:?} is under another key");
        keys.open_record(name, &record.bytes).unwrap();
    }
    for (name, day) in store.meta_list("audit/day/").await.unwrap() {
        keys.unwrap(name.as_bytes(), &day.bytes).unwrap();
    }
    // Whatever its name: a sealed value that the walks do not know of would be lost with the old key.
    for (name, value) in store.meta_list("").await.unwrap() {
        let old = (1..key).any(|old| value.bytes.starts_with(&[[1].as_slice(), &old.to_le_bytes()].concat()));
        assert!(!old, "{name} is still under an old key");
    }
    let under = ringfence::store::counted(store).await.unwrap();
    assert_eq!(under.keys().copied().collect::<Vec<_>>(), [key]);
}

/// The records of this Redis.
pub async fn redis_store(redis: &Redis) -> RedisStore {
    RedisStore::open(Settings::from_url(&redis.url()).unwrap()).await.unwrap().0
}

/// A house whose server keeps its records in this Redis.
pub fn on(redis: &Redis) -> House {
    let mut house = House::new();
    house.more = vec!["--store".to_owned(), redis.url()];
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_rotates_under_load() {
    let house = House::new();
    let server = house.start();
    let load = Load::start(&[server.address()]);
    load.goes_on().await;
    for key in [2, 3] {
        let (code, said) = keys_beside(&house, &["rotate", "--data", house.data.to_str().unwrap()]).await;
        assert_eq!((code, &said["complete"], &said["sealing"]), (Some(0), &true.into(), &key.into()), "{said}");
        assert_eq!((&said["added"], &said["dropped"]), (&key.into(), &Value::from(vec![key - 1])), "{said}");
        load.goes_on().await;
    }
    load.stop_and_check(&[server.address()]).await;
    assert!(server.stop().success(), "{}", house.said());
    house.assert_sound();
    let store = EmbeddedStore::open(&house.data, embedded::Settings::default()).unwrap();
    assert_all_under(&store, &house, 3).await;
    drop(store);
    let (code, listed) = keys(&house, &["list", "--data", house.data.to_str().unwrap()]);
    assert_eq!((code, &listed["keys"][0]["key"], &listed["store"]["needed"]), (Some(0), &3.into(), &vec![3].into()));
    assert!(listed["keys"][0]["records"].as_u64().unwrap() > 10, "{listed}");
    // With the new keys alone it is served on, the log from before included.
    let server = house.start();
    load.check(&[server.address()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_two_instances_rotates_under_load() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let (one, two) = (on(&redis), on(&redis));
    let first = one.start();
    std::fs::copy(one.keys(), two.keys()).unwrap();
    let second = two.start();
    let both = [first.address(), second.address()];
    let load = Load::start(&both);
    load.goes_on().await;

    // Not known on the other host yet: nothing seals with it.
    let (code, said) = keys_beside(&one, &["rotate", "--store", &url, "--patience", "3"]).await;
    assert_eq!((code, &said["sealing"], &said["next"]), (Some(1), &1.into(), &2.into()), "{said}");
    assert_eq!(said["waitingFor"].as_array().unwrap().len(), 1, "{said}");
    load.goes_on().await;

    std::fs::copy(one.keys(), two.keys()).unwrap();
    let (code, said) = keys_beside(&one, &["rotate", "--store", &url]).await;
    assert_eq!((code, &said["sealing"], &said["dropped"]), (Some(0), &2.into(), &vec![1].into()), "{said}");
    assert!(said["sealedAnew"].as_u64().unwrap() > 0, "{said}");
    load.goes_on().await;
    load.stop_and_check(&both).await;

    // The other host's file still has a key that nobody needs; it goes when that host is told.
    let (code, said) = keys_beside(&two, &["rotate", "--stage", "retire", "--store", &url]).await;
    assert_eq!((code, &said["dropped"], &said["sealing"]), (Some(0), &vec![1].into(), &2.into()), "{said}");
    let store = redis_store(&redis).await;
    assert_all_under(&store, &one, 2).await;
    assert_all_under(&store, &two, 2).await;
    for (server, house) in [(first, &one), (second, &two)] {
        assert!(server.stop().success());
        assert_eq!(house.verify().status, Some(0), "{}", house.verify().text);
    }
    let (_, listed) = keys(&one, &["list", "--store", &url]);
    assert_eq!(listed["store"]["processes"], Value::Array(Vec::new()), "who has ended is not waited for");
}

#[test]
fn what_cannot_be_rotated_is_refused() {
    let house = House::new();
    let refused = |arguments: &[&str], words: &[&str]| {
        let (code, said) = keys(&house, arguments);
        let said = said.as_str().unwrap().to_owned();
        assert_eq!(code, Some(2), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    };
    refused(&["rotate"], &["no keys file"]);
    assert_eq!(keys(&house, &["new"]).0, Some(0));
    refused(&["rotate"], &["--data", "--store"]);
    refused(&["rotate", "--gone", "xyz"], &["--gone"]);
    // A key can wait before there are any data, and is made once.
    let (code, said) = keys(&house, &["rotate", "--stage", "add"]);
    assert_eq!((code, &said["added"], &said["next"]), (Some(0), &2.into(), &2.into()), "{said}");
    let (code, said) = keys(&house, &["rotate", "--stage", "add"]);
    assert_eq!((code, &said["added"], &said["next"]), (Some(0), &Value::Null, &2.into()), "{said}");
    let (code, listed) = keys(&house, &["list"]);
    let states: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!((code, states.as_slice()), (Some(0), ["seal", "next"].as_slice()));
    let text = std::fs::read_to_string(house.keys()).unwrap();
    let secrets = text.split_whitespace().filter(|word| word.len() == 64);
    assert!(secrets.count() == 3 && !listed.to_string().split('"').any(|word| word.len() >= 32), "{listed}");
}
