//! Killed at any instant, in any stage, a rotation goes on when it is run again.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ringfence::store::{EmbeddedStore, embedded};
use serde_json::Value;

use super::clients::{Client, Dice, opt_out};
use super::load::Load;
use super::redis::Server as Redis;
use super::server::{House, kill};
use super::{assert_all_under, keys, keys_beside, on, redis_store};

/// Runs `keys …` and kills it after a while; whether it had ended by then.
fn killed_after(house: &House, arguments: &[&str], after: Duration) -> bool {
    let mut command = house.program();
    command.arg("keys").args(arguments).arg("--keys").arg(house.keys()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < after {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    kill(&mut child);
    false
}

/// The file must read at every instant.
fn file_is_whole(house: &House) {
    let (code, listed) = keys(house, &["list"]);
    assert_eq!(code, Some(0), "{listed}");
    let seals = listed["keys"].as_array().unwrap().iter().filter(|key| key["state"] == "seal").count();
    assert_eq!(seals, 1, "{listed}");
}

async fn filled(address: std::net::SocketAddr, many: usize) {
    let mut client = Client::new(address);
    for n in 0..many {
        client.opt_out(opt_out(&format!("+1305556{n:04}"), &format!("f{n}"))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_redis_under_load() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let house = on(&redis);
    let server = house.start();
    filled(server.address(), 600).await;
    let load = Load::start(&[server.address()]);
    let mut dice = Dice::new(7);
    let rotate = ["rotate", "--store", &url, "--patience", "60"];
    let mut ended = 0;
    for round in 0..14 {
        // Some at the beginning, some while it waits, some during the walks and at the end.
        let after = Duration::from_millis(if round % 2 == 0 { dice.below(400) } else { dice.below(9_000) } as u64);
        ended += u32::from(tokio::task::block_in_place(|| killed_after(&house, &rotate, after)));
        file_is_whole(&house);
        load.goes_on().await;
    }
    let (code, said) = keys_beside(&house, &rotate).await;
    assert_eq!(code, Some(0), "{said}");
    let sealing = u32::try_from(said["sealing"].as_u64().unwrap()).unwrap();
    assert!(sealing >= 2 && sealing <= ended + 2, "each rotation was taken up, none begun beside it: {said}");
    load.stop_and_check(&[server.address()]).await;
    assert_all_under(&redis_store(&redis).await, &house, sealing).await;
    assert!(server.stop().success());
    assert_eq!(house.verify().status, Some(0), "{}", house.verify().text);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_data_folder_with_the_server_killed_too() {
    let house = House::new();
    let mut server = house.start();
    filled(server.address(), 600).await;
    let load = Load::start(&[server.address()]);
    let data = house.data.to_str().unwrap().to_owned();
    let rotate = ["rotate", "--data", &data, "--patience", "60"];
    let mut dice = Dice::new(11);
    load.excuse();
    let mut ended = 0;
    for _ in 0..8 {
        let after = Duration::from_millis(dice.below(3_000) as u64);
        ended += u32::from(tokio::task::block_in_place(|| killed_after(&house, &rotate, after)));
        server.kill();
        file_is_whole(&house);
        server = house.start();
        load.moved(&[server.address()]);
        load.goes_on().await;
    }
    let (code, said) = keys_beside(&house, &rotate).await;
    assert_eq!(code, Some(0), "{said}");
    let sealing = u32::try_from(said["sealing"].as_u64().unwrap()).unwrap();
    assert!(sealing >= 2 && sealing <= ended + 2, "each rotation was taken up, none begun beside it: {said}");
    load.stop_and_check(&[server.address()]).await;
    assert!(server.stop().success());
    house.assert_sound();
    let store = EmbeddedStore::open(&house.data, embedded::Settings::default()).unwrap();
    assert_all_under(&store, &house, sealing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_data_folder_that_nobody_serves_stage_by_stage() {
    let house = House::new();
    let server = house.start();
    filled(server.address(), 400).await;
    assert!(server.stop().success());
    let data = house.data.to_str().unwrap().to_owned();
    let mut dice = Dice::new(13);
    for stage in ["add", "seal", "rewrap", "retire"] {
        let arguments = ["rotate", "--stage", stage, "--data", &data];
        for _ in 0..6 {
            killed_after(&house, &arguments, Duration::from_millis(dice.below(120) as u64));
            file_is_whole(&house);
        }
        // Twice is as good as once.
        for _ in 0..2 {
            let (code, said) = keys(&house, &arguments);
            assert_eq!(code, Some(0), "{stage}: {said}");
        }
        let (_, listed) = keys(&house, &["list", "--data", &data]);
        let states: Vec<_> =
            listed["keys"].as_array().unwrap().iter().map(|key| (&key["key"], &key["state"])).collect();
        let (one, two) = (Value::from(1), Value::from(2));
        let [open, seal, next] = ["open", "seal", "next"].map(Value::from);
        let expected = match stage {
            "add" => vec![(&one, &seal), (&two, &next)],
            "seal" | "rewrap" => vec![(&one, &open), (&two, &seal)],
            _ => vec![(&two, &seal)],
        };
        assert_eq!(states, expected, "{stage}");
    }
    let store = EmbeddedStore::open(&house.data, embedded::Settings::default()).unwrap();
    assert_all_under(&store, &house, 2).await;
    drop(store);
    house.assert_sound();
}
