//! What is found out about servers, replicas and sentinels before it matters, and sentinels that ask who we are.

use std::time::Duration;

use ringfence::store::redis::{AckedFrom, Files, Finding, Login, RedisStore, Secret, Settings, Weight};

use super::groups::Trio;
use super::redis::{Server, until};
use super::redis_faults::{impatient, open};
use super::suite::{key, won, write};

async fn findings(settings: Settings) -> Vec<Finding> {
    RedisStore::connect(settings).await.unwrap().survey().await.unwrap()
}

fn text(found: &[Finding]) -> String {
    found.iter().map(|found| format!("{:?} {} {}\n", found.weight, found.server, found.text)).collect()
}

/// The findings that are not fine, of the server with this port.
fn amiss(found: &[Finding], port: u16) -> Vec<&Finding> {
    let of = |finding: &&Finding| finding.server.ends_with(&format!(":{port}")) && finding.weight != Weight::Fine;
    found.iter().filter(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_looked_at_as_primaries_are() {
    let primary = Server::start(&[]);
    let replica = primary.replica();
    for server in [&primary, &replica] {
        server.set("min-replicas-to-write", "1");
    }
    let found = findings(impatient(&primary.url())).await;
    assert!(found.iter().all(|one| one.weight == Weight::Fine), "{}", text(&found));
    assert!(found.iter().any(|one| one.server.ends_with(&format!(":{}", replica.port))), "{}", text(&found));
    for (option, bad, good, weight, says) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction", Weight::Refused, "would drop opt-outs"),
        ("maxmemory", "0", "512mb", Weight::Warning, "maxmemory 0"),
        ("appendonly", "no", "yes", Weight::Refused, "appendonly no"),
        ("appendfsync", "everysec", "always", Weight::Warning, "appendfsync everysec"),
        ("replica-priority", "0", "100", Weight::Warning, "never promoted"),
        ("min-replicas-to-write", "0", "1", Weight::Warning, "min-replicas-to-write 0"),
    ] {
        replica.set(option, bad);
        let found = findings(impatient(&primary.url())).await;
        let [one] = amiss(&found, replica.port)[..] else { panic!("{option}: {}", text(&found)) };
        assert!(one.weight == weight && one.text.contains(says), "{option}: {}", text(&found));
        assert!(amiss(&found, primary.port).is_empty(), "{}", text(&found));
        // What may be promoted is as binding as what is the primary now.
        let opened = RedisStore::open(impatient(&primary.url())).await;
        assert_eq!(opened.is_err(), weight == Weight::Refused, "{opened:?}");
        replica.set(option, good);
    }
    replica.freeze();
    let found = findings(impatient(&primary.url())).await;
    assert!(text(&found).contains("cannot be looked at"), "{}", text(&found));
    replica.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_looked_at() {
    let mut trio = Trio::start();
    for server in &trio.servers {
        server.set("min-replicas-to-write", "1");
    }
    let found = findings(impatient(&trio.url())).await;
    assert!(found.iter().all(|one| one.weight == Weight::Fine), "{}", text(&found));
    assert_eq!(found.iter().filter(|one| one.server.starts_with("sentinel ")).count(), 3, "{}", text(&found));
    let named = format!("redis+sentinel://127.0.0.1:{}/main", trio.sentinels[0].port);
    let found = findings(impatient(&named)).await;
    assert!(text(&found).contains("knows 3 sentinels, the URL names 1"), "{}", text(&found));
    assert_eq!(trio.sentinels[0].ask(&["SENTINEL", "SET", "main", "quorum", "1"]), "OK");
    let found = findings(impatient(&trio.url())).await;
    let [one] = amiss(&found, trio.sentinels[0].port)[..] else { panic!("{}", text(&found)) };
    assert!(one.text.contains("quorum 1 of 3"), "{}", text(&found));
    assert_eq!(trio.sentinels[0].ask(&["SENTINEL", "SET", "main", "quorum", "3"]), "OK");
    trio.sentinels[2].kill();
    until("it is missed", || trio.sentinels[0].ask(&["SENTINEL", "CKQUORUM", "main"]).contains("NOQUORUM"));
    let replica = (trio.primary().unwrap() + 1) % 3;
    trio.servers[replica].kill();
    let found = findings(impatient(&trio.url())).await;
    let said = text(&found);
    assert!(said.contains("could not fail over now") && said.contains("cannot be asked"), "{said}");
    assert_eq!(amiss(&found, trio.servers[replica].port).len(), 1, "a replica that is down is known of: {said}");
}

/// A primary and a sentinel that wants to know who asks.
fn guarded(more: &str) -> (Server, Server) {
    let primary = Server::start(&[]);
    let sentinel = Server::sentinel_at("127.0.0.1", super::redis::free_port(), ("127.0.0.1", primary.port), 1, more);
    (primary, sentinel)
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_have_users_and_passwords_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "for-sentinels\n").unwrap();
    for (more, user) in [
        ("requirepass for-sentinels\n", None),
        ("user fence on >for-sentinels ~* &* +@all\nuser default off\n", Some("fence".to_owned())),
    ] {
        let (primary, sentinel) = guarded(more);
        primary.set("requirepass", "for-the-store");
        let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
        let mut settings = impatient(&url);
        settings.login.password = Some(Secret::new("for-the-store"));
        let refused = RedisStore::open(settings.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("sentinel_password_file") && !refused.contains("store_password"), "{refused}");
        settings.sentinel_login = Login { user: user.clone(), password: Some(Secret::new("wrong-one")), file: None };
        let refused = RedisStore::open(settings.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("sentinel_password_file") && !refused.contains("wrong-one"), "{refused}");
        settings.load(&Files { sentinel_password: Some(file.clone()), ..Files::default() }).unwrap();
        let store = open(settings).await;
        won(&store, write(key(1), 0, "one")).await;
        assert!(!format!("{store:?}").contains("for-"));
    }
}

/// Sentinels are asked over TLS as the servers are, with the same certificates.
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_are_asked_over_tls() {
    let file = |name: &str| std::path::absolute(format!("tests/store/tls/{name}")).unwrap();
    let [authority, certificate, private] =
        ["authority.pem", "server.pem", "server.key"].map(|name| file(name).display().to_string());
    let [port, sentinel_port] = [(); 2].map(|()| super::redis::free_port());
    let options = ["--tls-port", &port.to_string(), "--tls-ca-cert-file", &authority, "--tls-cert-file", &certificate];
    let _primary = Server::start(&[&options[..], &["--tls-key-file", &private]].concat());
    let more = format!(
        "tls-port {sentinel_port}\ntls-replication yes\ntls-ca-cert-file {authority}\ntls-cert-file {certificate}\n\
         tls-key-file {private}\n"
    );
    let place = ("127.0.0.1", port);
    let _sentinel = Server::sentinel_at("127.0.0.1", super::redis::free_port(), place, 1, &more);
    let mut settings = impatient(&format!("rediss+sentinel://localhost:{sentinel_port}/main"));
    let ours = Files {
        authority: Some(file("authority.pem")),
        certificate: Some(file("client.pem")),
        key: Some(file("client.key")),
        ..Files::default()
    };
    settings.load(&ours).unwrap();
    settings.timing.connect = Duration::from_secs(5);
    settings.timing.patience = Duration::from_secs(10);
    let store = open(settings).await;
    won(&store, write(key(1), 0, "one")).await;
    let plain = RedisStore::open(impatient(&format!("redis+sentinel://localhost:{sentinel_port}/main"))).await;
    assert!(plain.is_err(), "it was asked for TLS");
}

/// Whether this server has `WAITAOF`.
fn has_waitaof(server: &Server) -> bool {
    !server.ask(&["WAITAOF", "0", "0", "1"]).contains("unknown command")
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_are_waited_for_where_the_server_can() {
    let primary = Server::start(&[]);
    let mut settings = impatient(&primary.url());
    settings.acked_from = AckedFrom::Disk;
    if !has_waitaof(&primary) {
        let refused = RedisStore::open(settings).await.unwrap_err().to_string();
        assert!(refused.contains("needs Redis 7.2 or newer"), "{refused}");
        return;
    }
    settings.timing.disks = Duration::from_secs(5);
    for policy in ["always", "everysec"] {
        primary.set("appendfsync", policy);
        let store = open(settings.clone()).await;
        won(&store, write(key(if policy == "always" { 1 } else { 2 }), 0, "one")).await;
    }
    primary.set("appendfsync", "always");
    let replica = primary.replica();
    let store = open(settings.clone()).await;
    won(&store, write(key(3), 0, "on both")).await;
    // One that has it in memory only has not got it.
    replica.set("appendonly", "no");
    settings.timing.disks = Duration::from_millis(500);
    let impatient = RedisStore::connect(settings).await.unwrap();
    let error = ringfence::store::Store::swap(&impatient, write(key(4), 0, "not on its disk")).await.unwrap_err();
    assert!(error.to_string().contains("0 of the 1 replicas"), "{error}");
}

/// What the documents give as the least that the user of the store must be allowed.
#[tokio::test(flavor = "multi_thread")]
async fn the_least_access_that_the_documents_name_is_enough() {
    let documents = std::fs::read_to_string("deploy/redis.md").unwrap();
    let rule = documents.lines().find(|line| line.starts_with("ACL SETUSER fence ")).unwrap();
    let rule = rule.replace("PASSWORD", "hush");
    let server = Server::start(&[]);
    assert_eq!(server.ask(&rule.split_whitespace().collect::<Vec<_>>()), "OK");
    let mut settings = impatient(&server.url());
    settings.login = Login { user: Some("fence".to_owned()), password: Some(Secret::new("hush")), file: None };
    let (store, found) = RedisStore::open(settings).await.unwrap();
    assert!(found.iter().all(|one| one.weight == Weight::Fine), "{}", text(&found));
    let store: &dyn ringfence::store::Store = &store;
    let (_, id) = won(store, write(key(1), 0, "one")).await;
    won(store, ringfence::store::Write { expires: Some(ringfence::time::Instant::FAR), ..write(key(1), 1, "two") })
        .await;
    store.settle(super::suite::WRITER, vec![id]).await.unwrap();
    assert_eq!(store.trim_events(id.shard, ringfence::time::Instant::FAR, 1).await.unwrap(), 1);
    store.confirm(id.shard).await.unwrap();
    store.meta_swap("name", ringfence::store::Version::ABSENT, vec![1]).await.unwrap();
    assert_eq!(store.meta_list("n").await.unwrap().len(), 1);
    assert_eq!(store.scan(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.load_many(&[key(1), key(2)]).await.unwrap().len(), 2);
    assert_eq!(store.unsettled(super::suite::WRITER, None, 10).await.unwrap().len(), 1);
    store.ready().await.unwrap();
}
