//! `kill -9`: a child process writes and tells each write it was told of; whatever it told must be there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use ringfence::store::{EmbeddedStore, Store, StoreError, Swapped, embedded};

use super::suite::{WRITER, key, shard, write};

const FOLDER: &str = "RINGFENCE_TEST_CHILD_FOLDER";
const WRITERS: u16 = 8;

fn open(folder: &Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(folder, embedded::Settings::default())
}

/// This test binary again, running only [`child_writes_until_killed`].
fn child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_writes_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test by itself: does nothing unless [`child`] started it.
#[tokio::test(flavor = "multi_thread")]
async fn child_writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = Arc::new(open(Path::new(&folder)).unwrap());
    println!("ready");
    let writers = (0..WRITERS).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut version = store.load(&key(n)).await.unwrap().map_or(0, |record| record.version.0);
            while store.ready().await.is_ok() {
                match store.swap(write(key(n), version, &format!("{n}:{}", version + 1))).await.unwrap() {
                    Swapped::Won { version: won, .. } => version = won.0,
                    Swapped::Lost(winner) => panic!("nobody else writes: {winner:?}"),
                }
                println!("wrote {n} {version}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut told: BTreeMap<u16, u64> = BTreeMap::new();
    for round in 0..8 {
        let mut child = child(folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut writes = 0;
        for line in lines {
            let line = line.unwrap();
            // The test harness prints lines of its own, and the last one may be cut short.
            if let Some((n, version)) = line.split_once("wrote ").and_then(|(_, rest)| rest.split_once(' ')) {
                if let (Ok(n), Ok(version)) = (n.parse(), version.parse()) {
                    told.insert(n, version);
                }
                writes += 1;
            }
            if writes == 20 + round * 17 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(writes >= 20 + round * 17, "the child ended by itself");

        let store = open(folder.path()).unwrap();
        for (n, version) in &told {
            let record = store.load(&key(*n)).await.unwrap().expect("a record that was acknowledged");
            assert!(record.version.0 >= *version, "acknowledged {version}, found {:?}", record.version);
            assert_eq!(String::from_utf8(record.bytes).unwrap(), format!("{n}:{}", record.version.0));
        }
        // Record, event and outbox entry are one step: none without the other.
        let events = store.events(shard(1), 0, usize::MAX).await.unwrap();
        assert!(events.iter().map(|event| event.id.seq).eq(1..=events.len() as u64));
        assert_eq!(store.last_event(shard(1)).await.unwrap(), events.len() as u64);
        assert_eq!(store.unsettled(WRITER, None, usize::MAX).await.unwrap().len(), events.len());
        let newest: BTreeMap<_, _> = events.iter().map(|event| (event.key, event.version)).collect();
        let records = store.scan(None, usize::MAX).await.unwrap();
        assert!(records.iter().map(|(key, record)| (*key, record.version)).eq(newest));
    }
}

#[tokio::test]
async fn a_second_process_gets_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = child(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    let refused = open(folder.path()).unwrap_err();
    let text = refused.to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(refused, StoreError::Locked { .. }), "{text}");
    assert!(!refused.retry());
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert!(text.contains(&format!("process {}", child.id())), "{text}");
    assert!(text.contains("--data") && text.contains("--server"), "{text}");
    open(folder.path()).unwrap();
}
