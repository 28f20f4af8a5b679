//! Store and log in step: what was committed has its entry, whatever happened in between.

use ringfence::audit::{Archive, ArchiveAt, ArchiveSettings, Keeper, open_with, verify_with};

use super::*;

#[tokio::test]
async fn swapped_segments_are_named() {
    let (folder, files, first, _) = several().await;
    let aside = folder.path().join("aside");
    fs::rename(&files[1], &aside).unwrap();
    fs::rename(&files[2], &files[1]).unwrap();
    fs::rename(&aside, &files[2]).unwrap();
    let report = plain(folder.path());
    let writer = report.writer.unwrap();
    first_bad(&report, "0000000002.log", first[1], Fault::SegmentMoved { number: 3, writer });
}

fn shard() -> Shard {
    Shard::new([1; 8], 0)
}

/// Swaps the record of `n` as the engine does, without appending the entry.
async fn swap(store: &dyn Store, log: &Log, n: u8) -> (Encoded, EventId) {
    let key = Key::new(shard(), [n; 32]);
    let version = store.load(&key).await.unwrap().map_or(Version::ABSENT, |record| record.version);
    let encoded = entry(log.next_id(now()), usize::from(n));
    let event = encoded.event(1, now(), Vec::new());
    let write = Write { key, expected: version, bytes: vec![n], expires: None, event };
    match store.swap(write).await.unwrap() {
        Swapped::Won { event, .. } => (encoded, event),
        Swapped::Lost(winner) => panic!("{winner:?}"),
    }
}

async fn expect(store: &dyn Store) -> Expect {
    let events = store.events(shard(), 0, usize::MAX).await.unwrap();
    Expect { anchors: anchors(store).await.unwrap(), digests: events.iter().map(|event| event.digest).collect() }
}

#[tokio::test]
async fn what_was_committed_is_appended_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let opened = open(folder.path(), small(), Arc::clone(&store), now()).await.unwrap();
    let mut lost = Vec::new();
    for n in 0..10 {
        let (encoded, event) = swap(&*store, &opened.log, n).await;
        if n % 3 == 0 {
            lost.push(encoded.digest());
        } else {
            let _ = opened.log.append(encoded, Some(event)).await.unwrap();
        }
    }
    drop(opened);
    let report = verify(folder.path(), &expect(&*store).await).unwrap();
    assert_eq!(report.missing, lost);

    let opened = open(folder.path(), small(), Arc::clone(&store), now()).await.unwrap();
    assert_eq!((opened.reconciled.appended, opened.reconciled.settled), (4, 6));
    assert!(opened.reconciled.others.is_empty());
    assert!(store.unsettled(opened.log.writer(), None, 100).await.unwrap().is_empty());
    drop(opened);
    let report = verify(folder.path(), &expect(&*store).await).unwrap();
    assert!(report.sound(), "{report:?}");
    assert_eq!(report.head.seq, 10, "each once");

    let again = open(folder.path(), small(), Arc::clone(&store), now()).await.unwrap();
    assert_eq!((again.reconciled.appended, again.reconciled.settled), (0, 0));
}

#[tokio::test]
async fn a_tick_anchors_and_settles() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let opened = open(folder.path(), small(), Arc::clone(&store), now()).await.unwrap();
    for n in 0..5 {
        let (encoded, event) = swap(&*store, &opened.log, n).await;
        let _ = opened.log.append(encoded, Some(event)).await.unwrap();
    }
    assert_eq!(store.unsettled(opened.log.writer(), None, 100).await.unwrap().len(), 5);
    opened.reconciler.tick(now()).await.unwrap();
    assert!(store.unsettled(opened.log.writer(), None, 100).await.unwrap().is_empty());
    let kept = anchors(&*store).await.unwrap();
    assert_eq!(kept, [Anchor { writer: opened.log.writer(), head: opened.log.head(), at: now() }]);
    assert_eq!(kept[0].head.seq, 5);
}

#[tokio::test]
async fn an_entry_left_behind_is_appended_once_even_if_its_caller_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let opened = open(folder.path(), small(), Arc::clone(&store), now()).await.unwrap();
    let (encoded, event) = swap(&*store, &opened.log, 1).await;
    opened.reconciler.tick(now()).await.unwrap();
    assert_eq!(opened.log.head().seq, 0, "its caller may still be on the way");
    opened.reconciler.tick(now()).await.unwrap();
    assert_eq!(opened.log.head().seq, 1);
    let _ = opened.log.append(encoded, Some(event)).await.unwrap();
    assert_eq!(opened.log.head().seq, 1);
    opened.reconciler.tick(now()).await.unwrap();
    opened.reconciler.tick(now()).await.unwrap();
    assert!(store.unsettled(opened.log.writer(), None, 100).await.unwrap().is_empty());
    drop(opened);
    let report = verify(folder.path(), &expect(&*store).await).unwrap();
    assert!(report.sound());
    assert_eq!(report.head.seq, 1);
}

#[tokio::test]
async fn a_lost_log_is_reported() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let opened = open(first.path(), small(), Arc::clone(&store), now()).await.unwrap();
    let (encoded, event) = swap(&*store, &opened.log, 1).await;
    let _ = opened.log.append(encoded, Some(event)).await.unwrap();
    opened.reconciler.tick(now()).await.unwrap();
    let lost = opened.log.writer();
    drop(opened);
    let opened = open(second.path(), small(), Arc::clone(&store), now()).await.unwrap();
    assert_eq!(opened.reconciled.others, [lost]);
    drop(opened);
    assert_eq!(verify(second.path(), &expect(&*store).await).unwrap().elsewhere, [lost]);
}

const FOLDER: &str = "RINGFENCE_TEST_AUDIT_FOLDER";

fn archive(folder: &Path) -> ArchiveSettings {
    ArchiveSettings::new(ArchiveAt::Folder(folder.join("archive")))
}

/// Not a test by itself: swaps, appends and ticks until it is killed, if started by the test below.
#[tokio::test(flavor = "multi_thread")]
async fn child_decides_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder, embedded::Settings::default()).unwrap());
    let settings = Settings { segment_bytes: 8_000, ..small() };
    let archive = archive(&folder);
    let opened = open_with(&folder.join("audit"), settings, Arc::clone(&store), now(), Some(&archive)).await.unwrap();
    let opened = Arc::new(opened);
    let keeper = Keeper::new(Arc::clone(&opened.log), Duration::ZERO);
    for n in 0..8 {
        let (store, opened) = (Arc::clone(&store), Arc::clone(&opened));
        tokio::spawn(async move {
            loop {
                let (encoded, event) = swap(&*store, &opened.log, n).await;
                let id = Entry::decode(encoded.content()).unwrap().id;
                let _ = opened.log.append(encoded, Some(event)).await.unwrap();
                let denied = entry(opened.log.next_id(now()), 1);
                opened.log.append_soon(denied).await.unwrap();
                // One write, so that lines of several tasks do not mix.
                io::stdout().write_all(format!("\ntold {id}\n").as_bytes()).unwrap();
            }
        });
    }
    loop {
        opened.reconciler.tick(now()).await.unwrap();
        keeper.tick(now()).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_told_is_missing_after_kill_9_and_the_chain_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut told: BTreeMap<String, ()> = BTreeMap::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "step::child_decides_until_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut count = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some(id) = line.unwrap().strip_prefix("told ").filter(|id| id.len() == 36) {
                told.insert(id.into(), ());
                count += 1;
            }
            if count == 30 + 23 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(count >= 30 + 23 * round, "the child ended by itself");
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(folder.path(), embedded::Settings::default()).unwrap());
        let audit = folder.path().join("audit");
        let archive = archive(folder.path());
        let settings = Settings::default();
        let opened = open_with(&audit, settings, Arc::clone(&store), now(), Some(&archive)).await.unwrap();
        let writer = opened.log.writer();
        for id in told.keys() {
            let id = DecisionId::parse(id).unwrap();
            assert!(opened.log.find(id).await.unwrap().is_some(), "{id} was told and is gone");
        }
        drop(opened);
        let expect = expect(&*store).await;
        let archive = Archive::open(&archive, writer).unwrap();
        let walked = tokio::task::spawn_blocking(move || verify_with(&audit, &expect, Some(&archive)));
        let report = walked.await.unwrap().unwrap();
        assert!(report.sound(), "{:?} {} missing", report.bad, report.missing.len());
        if round == 5 {
            assert!(report.archived > 0, "segments were compressed and archived between the kills: {report:?}");
        }
    }
}
