//! What happens to servers, done to one: frozen, killed, full, demoted, forgetful, cut off in the middle of an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringfence::store::redis::{Files, RedisStore, Settings};
use ringfence::store::{EventId, Store, StoreError, Swapped, Version, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::redis::Server;
use super::suite::{key, shard, won, write};

/// Impatient, so that tests are not long.
pub fn impatient(url: &str) -> Settings {
    let mut settings = Settings::from_url(url).unwrap();
    settings.timing.connect = Duration::from_millis(500);
    settings.timing.answer = Duration::from_millis(1_000);
    settings.timing.replicas = Duration::from_millis(500);
    settings.timing.patience = Duration::from_millis(1_500);
    settings.timing.look = Duration::from_millis(300);
    settings
}

/// Everything may take as long as this at most, whatever the server does: patience, and the last attempt within it, are three
/// seconds; the rest is for a busy machine, and still far from a wait without end.
const BOUND: Duration = Duration::from_secs(8);

pub async fn open(settings: Settings) -> RedisStore {
    RedisStore::open(settings).await.unwrap().0
}

/// Fails soon, in a way that may pass, without saying anything that is not so.
pub async fn refused(store: &dyn Store, expected: u64) -> String {
    let begun = Instant::now();
    let error = store.swap(write(key(1), expected, "refused")).await.unwrap_err();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert!(error.retry(), "{error}");
    error.to_string()
}

/// Asks until it answers again.
pub async fn recovered(store: &dyn Store) {
    let begun = Instant::now();
    while let Err(error) = store.load(&key(1)).await.map(drop).and(store.confirm(shard(1)).await) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_answered_for_in_time_and_nothing_is_lost() {
    let server = Server::start(&[]);
    let store = open(impatient(&server.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    server.freeze();
    refused(&store, 1).await;
    let begun = Instant::now();
    assert!(store.load(&key(1)).await.unwrap_err().retry());
    assert!(store.ready().await.is_err());
    assert!(begun.elapsed() < BOUND * 2);
    server.thaw();
    recovered(&store).await;
    // What was refused may have happened once it woke, or not; whoever asks again learns which.
    let found = store.load(&key(1)).await.unwrap().unwrap();
    assert!([Version(1), Version(2)].contains(&found.version));
    won(&store, write(key(1), found.version.0, "next")).await;
    let events = store.events(shard(1), 0, 100).await.unwrap();
    assert_eq!(events.len() as u64, found.version.0 + 1, "an event for each version, no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9_and_the_store_comes_back_by_itself() {
    let mut server = Server::start(&[]);
    let store = Arc::new(open(impatient(&server.url())).await);
    let mut told = 0;
    for round in 0..4 {
        let writer = {
            let store = Arc::clone(&store);
            let mut version = told;
            tokio::spawn(async move {
                // Until the first failure.
                while let Ok(Swapped::Won { version: won, .. }) = store.swap(write(key(1), version, "x")).await {
                    version = won.0;
                }
                version
            })
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.kill();
        let acknowledged = writer.await.unwrap();
        let error = refused(&*store, acknowledged).await;
        assert!(error.contains("redis://127.0.0.1"), "{error}");
        server.run();
        recovered(&*store).await;
        let found = store.load(&key(1)).await.unwrap().map_or(0, |record| record.version.0);
        assert!(found >= acknowledged && found <= acknowledged + 1, "round {round}: {acknowledged}, found {found}");
        told = found;
    }
    let events = store.events(shard(1), 0, usize::MAX).await.unwrap();
    assert!(events.iter().map(|event| event.version.0).eq(1..=told));
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_refuses_without_a_trace_and_passes() {
    let server = Server::start(&[]);
    let store = open(impatient(&server.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    server.set("maxmemory", "1");
    let error = refused(&store, 1).await;
    assert!(error.contains("OOM") && error.contains("raise maxmemory"), "{error}");
    assert_eq!(store.load(&key(1)).await.unwrap().unwrap().bytes, b"one", "reads go on");
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 1);
    server.set("maxmemory", "512mb");
    assert_eq!(won(&store, write(key(1), 1, "two")).await.1.seq, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_refuses_without_a_trace_and_passes() {
    let server = Server::start(&["--save", "3600 1"]);
    let store = open(impatient(&server.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    // Where the dump should be there is a folder.
    std::fs::create_dir_all(server.folder().join("dump.rdb/x")).unwrap();
    server.ask(&["BGSAVE"]);
    super::redis::until("the dump failed", || {
        server.ask(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    });
    let error = refused(&store, 1).await;
    assert!(error.contains("MISCONF") && error.contains("make room"), "{error}");
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 1);
    std::fs::remove_dir_all(server.folder().join("dump.rdb")).unwrap();
    server.ask(&["BGSAVE"]);
    super::redis::until("the dump was written", || {
        server.ask(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:ok")
    });
    won(&store, write(key(1), 1, "two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_becomes_a_replica_grants_nothing_and_is_used_again_once_it_is_one_no_more() {
    let (server, other) = (Server::start(&[]), Server::start(&[]));
    let store = open(impatient(&server.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    // Not synchronised yet, so that it keeps its own data: only its role changes.
    other.freeze();
    assert_eq!(server.ask(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]), "OK");
    let error = refused(&store, 1).await;
    assert!(error.contains("READONLY") || error.contains("replica"), "{error}");
    assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]), "OK");
    recovered(&store).await;
    won(&store, write(key(1), 1, "two")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_are_loaded_again() {
    let server = Server::start(&[]);
    let store = open(impatient(&server.url())).await;
    for n in 0..3 {
        assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
        won(&store, write(key(1), n, "x")).await;
        assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "OK");
        store.meta_swap("name", Version(n), vec![]).await.unwrap();
    }
    assert_eq!(store.last_event(shard(1)).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_takes_few_bytes() {
    let server = Server::start(&[]);
    let store = open(impatient(&server.url())).await;
    // As long as the sealed record of a contact with one attempt.
    won(&store, Write { bytes: vec![7; 158], ..write(key(1), 0, "") }).await;
    let used = server.ask(&["EVAL", "return redis.call('MEMORY', 'USAGE', redis.call('KEYS', '*}r*')[1])", "0"]);
    assert!(used.parse::<usize>().unwrap() <= 300, "{used} bytes");
}

/// Between store and server: answers can be swallowed, and the connection cut in their place; or nothing passes any more
/// in either direction and nobody is told, as in a partition.
struct Proxy {
    url: String,
    swallow: Arc<AtomicBool>,
    hole: Arc<AtomicBool>,
}

impl Proxy {
    async fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let swallow = Arc::new(AtomicBool::new(false));
        let hole = Arc::new(AtomicBool::new(false));
        let (port, flag, dark) = (server.port, Arc::clone(&swallow), Arc::clone(&hole));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&flag), Arc::clone(&dark)));
            }
        });
        Self { url, swallow, hole }
    }
}

async fn pass(client: TcpStream, server: TcpStream, swallow: Arc<AtomicBool>, hole: Arc<AtomicBool>) {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let asked = Arc::new(AtomicBool::new(false));
    let (seen, dark) = (Arc::clone(&asked), Arc::clone(&hole));
    let up = tokio::spawn(async move {
        let mut bytes = [0; 65_536];
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            // A swap that was sent: of its answer nothing is heard.
            seen.fetch_or(bytes[..read].windows(7).any(|part| part == b"EVALSHA"), Ordering::SeqCst);
            if dark.load(Ordering::SeqCst) {
                continue;
            }
            if to_server.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = [0; 65_536];
    while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
        if asked.load(Ordering::SeqCst) && swallow.swap(false, Ordering::SeqCst) {
            break;
        }
        if hole.load(Ordering::SeqCst) {
            continue;
        }
        if to_client.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    up.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_was_lost_is_recognised_and_happens_once() {
    let server = Server::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = open(impatient(&proxy.url)).await;
    let direct = open(impatient(&server.url())).await;
    for n in 0..5 {
        proxy.swallow.store(true, Ordering::SeqCst);
        let (version, event) = won(&store, write(key(1), n, &format!("x{n}"))).await;
        assert!(!proxy.swallow.load(Ordering::SeqCst), "an answer was swallowed");
        assert_eq!((version, event), (Version(n + 1), EventId { shard: shard(1), seq: n + 1 }));
        proxy.swallow.store(true, Ordering::SeqCst);
        let swapped = store.meta_swap("name", Version(n), format!("{n}").into_bytes()).await.unwrap();
        assert_eq!(swapped, ringfence::store::MetaSwapped::Won(Version(n + 1)));
    }
    assert_eq!(direct.events(shard(1), 0, 100).await.unwrap().len(), 5);
    assert_eq!(direct.load(&key(1)).await.unwrap().unwrap().bytes, b"x4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_answered_for_in_time_and_what_others_wrote_meanwhile_wins() {
    let server = Server::start(&[]);
    let proxy = Proxy::before(&server).await;
    let store = open(impatient(&proxy.url)).await;
    let other = open(impatient(&server.url())).await;
    won(&store, write(key(1), 0, "one")).await;
    proxy.hole.store(true, Ordering::SeqCst);
    refused(&store, 1).await;
    assert!(store.load(&key(1)).await.unwrap_err().retry());
    won(&other, write(key(1), 1, "opted out on the other side")).await;
    proxy.hole.store(false, Ordering::SeqCst);
    recovered(&store).await;
    match store.swap(write(key(1), 1, "a grant that knows nothing of it")).await.unwrap() {
        Swapped::Lost(Some(winner)) => assert_eq!(winner.bytes, b"opted out on the other side"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_what_it_acknowledged_is_found_out() {
    let mut server = Server::start(&["--appendonly", "no"]);
    let refused = RedisStore::open(impatient(&server.url())).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unsafe { why, .. } if why.contains("appendonly yes")), "{refused}");
    assert!(!refused.retry());
    let store = RedisStore::connect(impatient(&server.url())).await.unwrap();
    for n in 0..5 {
        won(&store, write(key(1), n, "x")).await;
    }
    server.restart();
    let begun = Instant::now();
    loop {
        match store.load(&key(1)).await {
            Err(error @ StoreError::Forgot { .. }) => {
                assert!(error.to_string().contains("lost writes"), "{error}");
                break;
            }
            Err(error) => assert!(error.retry() && begun.elapsed() < Duration::from_secs(30), "{error}"),
            Ok(found) => panic!("an opt-out would be missed: {found:?}"),
        }
    }
    let error = store.swap(write(key(1), 0, "x")).await.unwrap_err();
    assert!(matches!(error, StoreError::Forgot { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_would_lose_writes_are_refused_and_what_they_give_away_is_said() {
    let server = Server::start(&[]);
    let findings = async || RedisStore::connect(impatient(&server.url())).await.unwrap().survey().await.unwrap();
    let text = |found: &[ringfence::store::redis::Finding]| {
        found.iter().map(|found| format!("{:?} {}\n", found.weight, found.text)).collect::<String>()
    };
    let found = findings().await;
    assert!(found.iter().all(|one| one.weight == ringfence::store::redis::Weight::Fine), "{}", text(&found));
    for (option, bad, good, says) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction", "Refused maxmemory-policy allkeys-lru"),
        ("appendonly", "no", "yes", "Refused appendonly no"),
        ("appendfsync", "everysec", "always", "Warning appendfsync everysec"),
        ("maxmemory", "0", "512mb", "Warning noeviction, but maxmemory 0"),
    ] {
        server.set(option, bad);
        let said = text(&findings().await);
        assert!(said.contains(says), "{said}");
        let opened = RedisStore::open(impatient(&server.url())).await;
        assert_eq!(opened.is_err(), says.starts_with("Refused"), "{opened:?}");
        server.set(option, good);
    }
    let replica = server.replica();
    let refused = RedisStore::open(impatient(&replica.url())).await.unwrap_err();
    assert!(refused.to_string().contains("replica"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_asked_for_and_never_shown() {
    let server = Server::start(&[]);
    assert_eq!(server.ask(&["ACL", "SETUSER", "fence", "on", ">hush-hush", "~*", "&*", "+@all"]), "OK");
    server.set("requirepass", "for-the-default-user");
    let refused = RedisStore::open(impatient(&server.url())).await.unwrap_err();
    assert!(refused.to_string().contains("store_password_file"), "{refused}");
    let mut settings = impatient(&server.url());
    settings.login.user = Some("fence".to_owned());
    settings.login.password = Some(ringfence::store::redis::Secret::new("wrong-wrong"));
    let refused = RedisStore::open(settings.clone()).await.unwrap_err();
    assert!(!refused.to_string().contains("wrong-wrong"), "{refused}");
    settings.login.password = Some(ringfence::store::redis::Secret::new("hush-hush"));
    let store = open(settings).await;
    won(&store, write(key(1), 0, "one")).await;
    assert!(!format!("{store:?}").contains("hush"));
}

/// The certificates in `tests/store/tls` are for this test alone; their keys are no secrets.
#[tokio::test(flavor = "multi_thread")]
async fn tls_asks_for_the_right_authority_and_for_our_certificate() {
    let file = |name: &str| std::path::absolute(format!("tests/store/tls/{name}")).unwrap();
    let [authority, certificate, private] =
        ["authority.pem", "server.pem", "server.key"].map(|name| file(name).display().to_string());
    let port = super::redis::free_port();
    let server = Server::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-ca-cert-file",
        &authority,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &private,
    ]);
    let settings = |files: &Files| {
        let mut settings = impatient(&format!("rediss://localhost:{port}"));
        settings.load(files).unwrap();
        settings
    };
    let ours = Files {
        password: None,
        sentinel_password: None,
        authority: Some(file("authority.pem")),
        certificate: Some(file("client.pem")),
        key: Some(file("client.key")),
    };
    let store = open(settings(&ours)).await;
    won(&store, write(key(1), 0, "one")).await;
    assert_eq!(server.ask(&["GET", "none"]), "");
    let without_ours = Files { certificate: None, key: None, ..ours.clone() };
    assert!(RedisStore::open(settings(&without_ours)).await.is_err(), "the server asks for a certificate");
    let other_authority = Files { authority: None, ..ours.clone() };
    assert!(RedisStore::open(settings(&other_authority)).await.is_err(), "nobody we trust vouches for the server");
    let half = Files { key: None, ..ours.clone() };
    assert!(impatient("rediss://localhost").load(&half).unwrap_err().contains("belong together"));
    assert!(impatient("redis://localhost").load(&ours).unwrap_err().contains("rediss"));
}
