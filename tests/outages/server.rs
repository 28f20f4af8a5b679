//! What a real server does when it fails.

use std::process::{Command, Stdio};

use ringfence::store::redis::Files;

use super::house::{Heard, House, impatient};
use super::redis::{Server, until};

/// A server that fails one way, and how it is mended.
async fn fails(server: &mut Server, heard: Heard<'_>, harm: impl FnOnce(&mut Server), heal: impl FnOnce(&mut Server)) {
    let house = House::over(impatient(&server.url())).await;
    let server = std::cell::RefCell::new(server);
    let harmed = async || tokio::task::block_in_place(|| harm(*server.borrow_mut()));
    house.endures(heard, harmed, async || tokio::task::block_in_place(|| heal(*server.borrow_mut()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed() {
    let heard = Heard::Refused(&["Connection refused"]);
    fails(&mut Server::start(&[]), heard, Server::kill, Server::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen() {
    fails(&mut Server::start(&[]), Heard::Refused(&[]), |server| server.freeze(), |server| server.thaw()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_connections_killed() {
    let kill = |server: &mut Server| drop(server.ask(&["CLIENT", "KILL", "TYPE", "normal"]));
    fails(&mut Server::start(&[]), Heard::Anything, kill, |_| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loading() {
    let mut server = Server::start(&[]);
    let fill = "for n = 1, 60000 do redis.call('SET', '{other}' .. n, 'x') end";
    server.ask(&["EVAL", fill, "0"]);
    server.add(&["--key-load-delay", "100"]);
    let harm = |server: &mut Server| {
        server.kill();
        server.run();
        assert!(server.ask(&["PING"]).contains("LOADING"), "it is through already");
    };
    let heal = |server: &mut Server| server.set("key-load-delay", "0");
    fails(&mut server, Heard::Refused(&["LOADING"]), harm, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn made_a_replica() {
    let other = Server::start(&[]);
    // It never answers, so nothing is copied from it.
    other.freeze();
    let harm = |server: &mut Server| {
        assert_eq!(server.ask(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]), "OK");
    };
    let heal = |server: &mut Server| assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    fails(&mut Server::start(&[]), Heard::Refused(&["no primary took it"]), harm, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn made_a_replica_that_does_not_answer_reads() {
    let other = Server::start(&[]);
    other.freeze();
    let harm = |server: &mut Server| {
        server.set("replica-serve-stale-data", "no");
        assert_eq!(server.ask(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]), "OK");
        assert!(server.ask(&["GET", "x"]).contains("MASTERDOWN"));
    };
    let heal = |server: &mut Server| assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    fails(&mut Server::start(&[]), Heard::Refused(&["no primary took it"]), harm, heal).await;
}

/// Made a replica while a write waits for its own replicas: `WAIT` is broken off, and nothing is known of the write.
#[tokio::test(flavor = "multi_thread")]
async fn made_a_replica_while_writes_wait() {
    let (other, server) = (Server::start(&[]), Server::start(&[]));
    other.freeze();
    let replica = server.replica();
    let mut settings = impatient(&server.url());
    settings.timing.replicas = std::time::Duration::from_millis(2_000);
    let house = House::over(settings).await;
    // Demotes it as soon as somebody waits.
    let script = format!(
        "until redis-cli -p {port} CLIENT LIST | grep -q cmd=wait; do :; done; redis-cli -p {port} REPLICAOF 127.0.0.1 {to}",
        port = server.port,
        to = other.port
    );
    let demoted = || Command::new("timeout").args(["20", "sh", "-c", &script]).stdout(Stdio::null()).spawn().unwrap();
    let mut watching = None;
    let harm = async || {
        replica.freeze();
        watching = Some(demoted());
    };
    let heal = async || {
        tokio::task::block_in_place(|| {
            until("it was demoted", || server.ask(&["ROLE"]).starts_with("slave"));
            assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
            replica.thaw();
        });
    };
    house.endures(Heard::Refused(&[]), harm, heal).await;
    let _ = watching.map(|mut child| child.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory() {
    let heard = Heard::Refused(&["OOM", "raise maxmemory"]);
    let [harm, heal] = ["1", "512mb"].map(|limit| move |server: &mut Server| server.set("maxmemory", limit));
    fails(&mut Server::start(&[]), heard, harm, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_that_fails() {
    let dumped = |server: &Server, status: &str| {
        server.ask(&["BGSAVE"]);
        let text = format!("rdb_last_bgsave_status:{status}");
        until("the dump ended", || server.ask(&["INFO", "persistence"]).contains(&text));
    };
    let harm = move |server: &mut Server| {
        // Where the dump should be there is a folder.
        std::fs::create_dir_all(server.folder().join("dump.rdb/x")).unwrap();
        dumped(server, "err");
    };
    let heal = move |server: &mut Server| {
        std::fs::remove_dir_all(server.folder().join("dump.rdb")).unwrap();
        dumped(server, "ok");
    };
    let heard = Heard::Refused(&["MISCONF", "make room"]);
    fails(&mut Server::start(&["--save", "3600 1"]), heard, harm, heal).await;
}

/// Makes its append-only file, and no other, larger than the limit it will get.
fn fill(server: &Server) {
    server.ask(&["EVAL", "redis.call('SET', '{other}', string.rep('x', 200000))", "0"]);
}

/// The limit on the size of files is met as a full disk is.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_everysec() {
    let mut server = Server::start(&["--appendfsync", "everysec"]);
    let harm = |server: &mut Server| {
        fill(server);
        server.limit_files("100000");
        until("a write to the disk failed", || {
            server.ask(&["SET", "other", "x"]);
            server.ask(&["INFO", "persistence"]).contains("aof_last_write_status:err")
        });
    };
    let heal = |server: &mut Server| server.limit_files("unlimited");
    fails(&mut server, Heard::Refused(&["MISCONF", "make room"]), harm, heal).await;
}

/// With `appendfsync always` the server ends itself rather than to answer for what it could not write.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_always() {
    let mut server = Server::start(&[]);
    let harm = |server: &mut Server| {
        fill(server);
        server.limit_files("100000");
    };
    let heal = |server: &mut Server| {
        assert!(server.log().contains("AOF"), "{}", server.log());
        server.restart();
    };
    fails(&mut server, Heard::Refused(&[]), harm, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_for_its_own_taste() {
    let heard = Heard::Refused(&["NOREPLICAS", "bring the replicas back"]);
    let [harm, heal] = ["1", "0"].map(|least| move |server: &mut Server| server.set("min-replicas-to-write", least));
    fails(&mut Server::start(&[]), heard, harm, heal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_with_the_script_of_somebody_else() {
    let mut server = Server::start(&["--busy-reply-threshold", "20"]);
    let mut busy = None;
    let harm = |server: &mut Server| {
        let port = server.port.to_string();
        let script = ["-p", &port, "EVAL", "while true do end", "0"];
        busy = Some(Command::new("redis-cli").args(script).stdout(Stdio::null()).spawn().unwrap());
        until("it is busy", || server.ask(&["GET", "x"]).contains("BUSY"));
    };
    let heal = |server: &mut Server| assert_eq!(server.ask(&["SCRIPT", "KILL"]), "OK");
    fails(&mut server, Heard::Refused(&["BUSY"]), harm, heal).await;
    let _ = busy.unwrap().wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_scripts() {
    let flush = |server: &mut Server| assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
    fails(&mut Server::start(&[]), Heard::Anything, flush, flush).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_of_clients() {
    let mut server = Server::start(&[]);
    let harm = |server: &mut Server| {
        server.set("maxclients", "1");
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    };
    // Nobody but one client gets in: the limit is lifted from within the folder, by a restart.
    let heal = |server: &mut Server| server.restart();
    fails(&mut server, Heard::Anything, harm, heal).await;
}

/// The access list may forbid a part of what a script does: nothing of it is done then.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_list_that_forbids_something() {
    for forbidden in ["-set", "-evalsha", "-xadd", "-@all"] {
        let mut server = Server::start(&["--user", "admin", "on", "nopass", "~*", "&*", "+@all"]);
        let as_admin = |server: &Server, rule: &str| {
            let said = server.ask(&["--user", "admin", "--pass", "x", "ACL", "SETUSER", "default", rule]);
            assert!(said.contains("OK"), "{said}");
        };
        let harm = |server: &mut Server| as_admin(server, forbidden);
        let heal = |server: &mut Server| as_admin(server, "+@all");
        fails(&mut server, Heard::Refused(&["access list forbids it"]), harm, heal).await;
    }
}

/// A password that was changed on the server: the new one is read from its file, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn another_password() {
    let mut server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "the first\n").unwrap();
    server.set("requirepass", "the first");
    let mut settings = impatient(&server.url());
    settings.load(&Files { password: Some(file.clone()), ..Files::default() }).unwrap();
    let house = House::over(settings).await;
    let server = &mut server;
    let harm = async || {
        let with = ["-a", "the first", "CONFIG", "SET", "requirepass", "the second"];
        assert_eq!(server.ask(&with), "OK");
        server.ask(&["-a", "the second", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"]);
    };
    let heal = async || std::fs::write(&file, "the second\n").unwrap();
    house.endures(Heard::Refused(&["WRONGPASS", "store_password_file"]), harm, heal).await;
}
