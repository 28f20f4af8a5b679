//! Hosts whose keys files are behind, at fault, or gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ringfence::proto::v1;
use tonic::Code;

use super::clients::{Client, notice, number, opt_out};
use super::redis::{Server as Redis, until};
use super::server::House;
use super::{keys_beside, on};

fn private(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn ask(n: usize) -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, ..notice(&number(n), "acme", "") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_know_the_key_answers_no_and_heals_by_itself() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let (one, two) = (on(&redis), on(&redis));
    let first = one.start();
    fs::copy(one.keys(), two.keys()).unwrap();
    let second = two.start();
    let (mut here, mut there) = (Client::new(first.address()), Client::new(second.address()));
    here.opt_out(opt_out(&number(1), "a")).await.unwrap();
    assert_eq!(there.check(ask(1)).await.unwrap().verdict(), v1::Verdict::Deny);

    // Somebody says that the other host is gone, which it is not.
    let (_, listed) = keys_beside(&one, &["list", "--store", &url]).await;
    let processes = listed["store"]["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2, "{listed}");
    for process in processes {
        let gone = process["writer"].as_str().unwrap();
        keys_beside(&one, &["rotate", "--stage", "add", "--gone", gone, "--store", &url]).await;
    }
    let (code, said) = keys_beside(&one, &["rotate", "--stage", "seal", "--store", &url]).await;
    assert_eq!((code, &said["sealing"]), (Some(0), &2.into()), "{said}");
    until("the first host seals with the new key", || one.said().contains("keys changed sealing=2"));
    here.opt_out(opt_out(&number(2), "b")).await.unwrap();

    // What it cannot read is not allowed; what it can read, it reads.
    let unknown = there.check(ask(2)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unavailable, "{unknown:?}");
    assert_eq!(there.opt_out(opt_out(&number(2), "c")).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(there.check(ask(1)).await.unwrap().verdict(), v1::Verdict::Deny);
    until("it is told", || two.said().contains("key 2"));
    // It cannot be started so, and while it runs nothing it seals with is retired.
    let behind = {
        let mut other = on(&redis);
        other.data = two.path().join("elsewhere");
        fs::copy(two.keys(), other.keys()).unwrap();
        other.refused()
    };
    assert!(behind.contains("has no key 2"), "{behind}");
    until("it is heard of again", || two.said().contains("key 2"));

    fs::copy(one.keys(), two.keys()).unwrap();
    let mut healed = there.check(ask(2)).await;
    for _ in 0..100 {
        if healed.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        healed = there.check(ask(2)).await;
    }
    assert_eq!(healed.unwrap().verdict(), v1::Verdict::Deny);
    let (code, said) = keys_beside(&one, &["rotate", "--store", &url]).await;
    assert_eq!((code, &said["dropped"]), (Some(0), &vec![1].into()), "{said}");
    for client in [&mut here, &mut there] {
        assert_eq!(client.contact(&number(1)).await.opt_outs.len(), 1);
        assert_eq!(client.contact(&number(2)).await.opt_outs.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_at_fault_changes_nothing_while_it_is_served() {
    let house = House::new();
    let server = house.start();
    let mut client = Client::new(server.address());
    client.opt_out(opt_out(&number(1), "a")).await.unwrap();
    let good = fs::read_to_string(house.keys()).unwrap();
    let hash = good.split_whitespace().find(|word| word.len() == 64).unwrap();
    let bad = [
        ("expected a number above 0", good.replace("seal 1", "seal one")),
        ("no `seal` key", good.replace("\nseal 1", "\nopen 1")),
        ("has another hash key", good.replacen(hash, &"5a".repeat(32), 1)),
        // A new key in place of the one that is needed.
        (
            "has no key 1",
            good.lines().filter(|line| !line.starts_with("seal")).map(|line| format!("{line}\n")).collect::<String>()
                + &format!("seal 2 {}\n", "5a".repeat(32)),
        ),
        (
            "not the keys that this store was made with",
            good.lines().filter(|line| !line.starts_with("seal")).map(|line| format!("{line}\n")).collect::<String>()
                + &format!("seal 1 {}\n", "5a".repeat(32)),
        ),
    ];
    for (why, text) in bad {
        private(&house.keys(), &text);
        until(&format!("it is refused: {why}"), || house.said().contains(why));
        assert_eq!(client.check(ask(1)).await.unwrap().verdict(), v1::Verdict::Deny);
        client.opt_out(opt_out(&number(2), why)).await.unwrap();
    }
    fs::remove_file(house.keys()).unwrap();
    until("its loss is told", || house.said().contains("no keys file"));
    client.opt_out(opt_out(&number(3), "b")).await.unwrap();
    private(&house.keys(), &good);
    let told = house.said().matches("the keys in use stay in force").count();
    assert!(told <= 8, "each is told once: {}", house.said());
    assert!(server.stop().success());
    let server = house.start();
    let mut client = Client::new(server.address());
    for n in 1..4 {
        assert!(!client.contact(&number(n)).await.opt_outs.is_empty());
    }
}
