//! Folders that no server may start on: each is refused with status 2 and one line that names the path, and nothing in
//! it is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::clients::{Client, number, opt_out};
use super::server::{House, refusal};

/// A folder that was served from: one opt-out in it.
async fn served() -> (House, String) {
    let house = House::new();
    let server = house.start();
    let receipt = Client::new(server.address()).opt_out(opt_out(&number(0), "stop")).await.unwrap().receipt_id;
    assert!(server.stop().success());
    (house, receipt)
}

async fn still_there(house: &House, receipt: &str) {
    let server = house.start();
    let contact = Client::new(server.address()).contact(&number(0)).await;
    assert_eq!(contact.opt_outs[0].receipt_id, receipt);
    assert!(server.stop().success());
}

fn names(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "no `{word}` in: {line}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_where_the_data_folder_should_be() {
    let house = House::new();
    fs::write(&house.data, "not a folder").unwrap();
    names(&house.refused(), &[text(&house.data), "--data"]);
    let deeper = house.data.join("deeper");
    names(&refusal(house.serve_with(&deeper, &house.keys())), &[text(&deeper), "--data"]);
    assert_eq!(fs::read_to_string(&house.data).unwrap(), "not a folder");
    assert!(!house.keys().exists(), "keys were made for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_without_write_permission() {
    let (house, receipt) = served().await;
    let modes = |folder: u32, file: u32| {
        fs::set_permissions(&house.data, fs::Permissions::from_mode(folder)).unwrap();
        for name in ["store.redb", "lock"] {
            fs::set_permissions(house.data.join(name), fs::Permissions::from_mode(file)).unwrap();
        }
    };
    modes(0o500, 0o400);
    if fs::write(house.data.join("probe"), "").is_ok() {
        // The superuser may write anywhere; `disk.rs` takes a read-only volume for that.
        fs::remove_file(house.data.join("probe")).unwrap();
    } else {
        names(&house.refused(), &[text(&house.data), "cannot be written", "--data"]);
    }
    modes(0o700, 0o600);
    still_there(&house, &receipt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_cut_lost_or_foreign_store() {
    let (house, receipt) = served().await;
    let file = house.data.join("store.redb");
    let whole = fs::read(&file).unwrap();
    let flipped = |places: &[usize]| {
        let mut bytes = whole.clone();
        places.iter().for_each(|place| bytes[*place] ^= 0xff);
        bytes
    };
    let cases: [(&str, Vec<u8>); 7] = [
        ("mark altered", flipped(&[0, 3])),
        ("layout altered", flipped(&[12, 13, 14, 15])),
        ("both commit slots altered", flipped(&[72, 80, 200, 208])),
        ("cut within the header", whole[..100].to_vec()),
        ("cut to one page", whole[..4_096].to_vec()),
        ("emptied", Vec::new()),
        ("a letter", b"Dear Sir or Madam, ".repeat(500)),
    ];
    for (case, bytes) in cases {
        fs::write(&file, &bytes).unwrap();
        let line = house.refused();
        names(&line, &[text(&file)]);
        assert!(line.contains("damaged") || line.contains("not a file of ringfence"), "{case}: {line}");
        assert_eq!(fs::read(&file).unwrap(), bytes, "{case}: the file was touched");
    }
    fs::remove_file(&file).unwrap();
    names(&house.refused(), &[text(&file), "missing", "backup"]);
    assert!(!file.exists());
    fs::write(&file, &whole).unwrap();
    still_there(&house, &receipt).await;
}

/// Whatever single byte of the header is wrong: refused, or everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_of_the_header_never_loses_an_opt_out_in_silence() {
    let house = House::new();
    let server = house.start();
    let receipt = Client::new(server.address()).opt_out(opt_out(&number(0), "stop")).await.unwrap().receipt_id;
    // Often nothing was committed after it: then one byte makes the commit before it the newest.
    server.kill();
    let file = house.data.join("store.redb");
    let log = house.data.join("audit/0000000001.log");
    let (whole, logged) = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    let mut refused = 0;
    for place in [0, 9, 12, 64, 70, 100, 192, 210] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x01;
        fs::write(&file, &bytes).unwrap();
        fs::write(&log, &logged).unwrap();
        match house.try_start() {
            Ok(server) => {
                let contact = Client::new(server.address()).contact(&number(0)).await;
                let found = contact.opt_outs.first().map(|one| one.receipt_id.clone());
                assert_eq!(found.as_deref(), Some(receipt.as_str()), "byte {place} lost an opt-out");
            }
            Err(status) => {
                assert_eq!(status.code(), Some(2));
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

/// An older copy of the store, put back beside a newer log, has forgotten what was acknowledged since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_store_beside_a_newer_log() {
    let (house, _) = served().await;
    let (file, audit) = (house.data.join("store.redb"), house.data.join("audit"));
    let older = fs::read(&file).unwrap();
    for last in ["stopped", "killed"] {
        let server = house.start();
        let id = format!("stop-{last}");
        let receipt = Client::new(server.address()).opt_out(opt_out(&number(1), &id)).await.unwrap().receipt_id;
        if last == "stopped" {
            assert!(server.stop().success())
        } else {
            server.kill()
        }
        let newer = fs::read(&file).unwrap();
        fs::write(&file, &older).unwrap();
        names(&house.refused(), &[text(&audit), "are not in the store beside it", "older copy", "opt-outs"]);
        fs::write(&file, &newer).unwrap();
        let server = house.start();
        let contact = Client::new(server.address()).contact(&number(1)).await;
        assert!(contact.opt_outs.iter().any(|one| one.receipt_id == receipt));
        assert!(server.stop().success());
        house.assert_sound();
    }
    // Who has nothing newer can go on, and every proof says what is missing.
    fs::write(&file, &older).unwrap();
    fs::rename(&audit, house.path().join("audit-of-before")).unwrap();
    assert!(house.start().stop().success());
    assert!(house.said().contains("audit logs that are not in this folder"));
    assert_eq!(house.verify().status, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_data() {
    let house = House::new();
    let mut first = house.start();
    let line = house.refused();
    names(&line, &[text(&house.data), &format!("process {}", first.id()), "--data", "--server"]);
    first.assert_alive();
    Client::new(first.address()).opt_out(opt_out(&number(0), "stop")).await.unwrap();
    // While it serves, the chain can still be walked.
    let verdict = house.verify();
    assert_eq!(verdict.status, Some(0), "{}", verdict.text);
    assert!(verdict.text.contains("NOT compared"), "{}", verdict.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_missing_wrong_open_to_others_or_in_the_wrong_place() {
    let (house, receipt) = served().await;
    let (other, _) = served().await;
    let keys = house.keys();
    let aside = house.path().join("aside");
    fs::rename(&keys, &aside).unwrap();
    names(&house.refused(), &[text(&keys), "the store is not empty", "--keys"]);
    assert!(!keys.exists(), "new keys were made beside a store that has others");

    fs::copy(other.keys(), &keys).unwrap();
    names(&house.refused(), &[text(&keys), "not the keys that this store was made with", "--keys"]);
    assert_eq!(fs::read(&keys).unwrap(), fs::read(other.keys()).unwrap());

    for (garbage, word) in [("", "line 1"), ("dear diary\n", "line 1"), ("ringfence-keys 1\nhash 12\n", "line 2")] {
        fs::write(&keys, garbage).unwrap();
        names(&house.refused(), &[text(&keys), word]);
        assert_eq!(fs::read_to_string(&keys).unwrap(), garbage);
    }
    fs::remove_file(&keys).unwrap();
    fs::create_dir(&keys).unwrap();
    names(&house.refused(), &[text(&keys)]);
    fs::remove_dir(&keys).unwrap();

    let inside = house.data.join("keys");
    fs::copy(&aside, &inside).unwrap();
    let refused = refusal(house.serve_with(&house.data, &inside));
    names(&refused, &[text(&inside), "must not lie inside the data folder"]);
    fs::remove_file(&inside).unwrap();

    fs::rename(&aside, &keys).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    names(&house.refused(), &[text(&keys), "chmod 600"]);
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    still_there(&house, &receipt).await;
}

/// Keys inside the data of a first start: refused, and not made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_never_made_inside_the_data() {
    let house = House::new();
    for inside in [house.data.join("keys"), house.data.join("deep/keys"), house.data.join("audit/../keys")] {
        let line = refusal(house.serve_with(&house.data, &inside));
        names(&line, &["keys"]);
        assert!(!inside.exists());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_folder_that_is_none_or_holds_strangers() {
    let (house, receipt) = served().await;
    let (audit, aside) = (house.data.join("audit"), house.data.join("aside"));
    fs::write(audit.join("notes.log"), "dear diary").unwrap();
    names(&house.refused(), &[text(&audit.join("notes.log"))]);
    fs::remove_file(audit.join("notes.log")).unwrap();
    fs::rename(&audit, &aside).unwrap();
    fs::write(&audit, "not a folder").unwrap();
    names(&house.refused(), &[text(&audit)]);
    fs::remove_file(&audit).unwrap();
    fs::rename(&aside, &audit).unwrap();
    still_there(&house, &receipt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packs_and_addresses_that_cannot_be_used() {
    let house = House::new();
    let pack = house.path().join("packs/house.toml");
    let good = fs::read_to_string(&pack).unwrap();
    fs::write(&pack, good.replace("limit = 3", "limt = 3")).unwrap();
    let line = house.refused();
    names(&line, &[text(&pack), "limt"]);
    assert!(!house.data.exists(), "nothing is made where the packs are at fault");
    fs::write(&pack, good).unwrap();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut serve = house.program();
    serve.arg("serve").arg("--data").arg(&house.data).arg("--keys").arg(house.keys());
    serve.args(["--http", "off", "--grpc", &address]).env("RINGFENCE_LOG_FILTER", "error");
    names(&refusal(serve), &["--grpc", &address, "in use"]);
}
