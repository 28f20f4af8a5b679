//! Appending, crashing, a full disk, and finding again.

use super::*;

#[tokio::test]
async fn an_unfinished_write_is_cut_off_wherever_it_broke() {
    let (folder, path, bytes, at) = five().await;
    let writer = plain(folder.path()).writer.unwrap();
    for length in at[4] + 1..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        first_bad(&plain(folder.path()), "0000000001.log", 5, Fault::Torn);
        let log = Log::open(folder.path(), Settings::default(), &[]).unwrap();
        let recovered = log.recovered().unwrap();
        assert_eq!((recovered.offset, recovered.bytes), (at[4] as u64, (length - at[4]) as u64));
        assert_eq!((log.head().seq, log.writer()), (4, writer));
        drop(log);
        assert_eq!(fs::read(&path).unwrap(), &bytes[..at[4]]);
        assert!(plain(folder.path()).sound());
    }
    // Garbage in place of what was being written, as after a power cut.
    for garbage in [vec![0; 300], vec![0xff; 300]] {
        fs::write(&path, [&bytes[..at[4]], &garbage].concat()).unwrap();
        let log = Log::open(folder.path(), Settings::default(), &[]).unwrap();
        assert_eq!(log.head().seq, 4);
        let _ = log.append(entry(log.next_id(now()), 9), None).await.unwrap();
        drop(log);
        assert_eq!(plain(folder.path()).head.seq, 5);
        assert!(plain(folder.path()).sound());
    }
}

#[tokio::test]
async fn damage_that_is_no_unfinished_write_is_never_repaired() {
    let (folder, path, bytes, at) = five().await;
    for damaged in at[0]..at[4] {
        let mut changed = bytes.clone();
        changed[damaged] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        let refused = Log::open(folder.path(), Settings::default(), &[]).unwrap_err();
        assert!(matches!(refused, LogError::Corrupt { .. }), "byte {damaged}: {refused}");
        assert!(refused.to_string().contains("0000000001.log") && refused.to_string().contains("audit verify"));
        assert_eq!(fs::read(&path).unwrap(), changed);
    }
    // The last entry: only the anchor tells damage from a crash.
    let whole = plain_of(&path, &bytes, folder.path());
    let mut changed = bytes.clone();
    changed[at[4] + 60] ^= 1;
    fs::write(&path, &changed).unwrap();
    Log::open(folder.path(), Settings::default(), &[whole]).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), changed);
}

fn plain_of(path: &Path, bytes: &[u8], folder: &Path) -> Anchor {
    fs::write(path, bytes).unwrap();
    let report = plain(folder);
    Anchor { writer: report.writer.unwrap(), head: report.head, at: now() }
}

#[tokio::test]
async fn a_crash_while_a_segment_is_begun_leaves_no_trace() {
    let (folder, files, ..) = several().await;
    let unborn = folder.path().join(format!("{:010}.log", files.len() + 1));
    let header = fs::read(files.last().unwrap()).unwrap()[..HEADER].to_vec();
    for half in [&header[..0], &header[..60], &[0; HEADER]] {
        fs::write(&unborn, half).unwrap();
        let log = Log::open(folder.path(), small(), &[]).unwrap();
        assert_eq!(log.head().seq, 14);
        assert_eq!(log.recovered().unwrap().bytes, half.len() as u64);
        drop(log);
        assert!(!unborn.exists());
    }
    fill(folder.path(), small(), 5).await;
    assert_eq!(plain(folder.path()).head.seq, 19);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_appends_at_once_share_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::open(folder.path(), Settings { segment_bytes: 20_000, ..small() }, &[]).unwrap());
    let tasks = (0..64).map(|task| {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for n in 0..20 {
                let encoded = entry(log.next_id(now()), task * 100 + n);
                if n % 4 == 0 {
                    log.append_soon(encoded).await.unwrap();
                } else {
                    let before = log.head().seq;
                    let _ = log.append(encoded, None).await.unwrap();
                    assert!(log.head().seq > before, "safe means part of the head");
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    drop(log);
    let report = plain(folder.path());
    assert!(report.sound(), "{report:?}");
    assert_eq!(report.head.seq, 64 * 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_becomes_safe_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), small(), &[]).unwrap();
    let began = std::time::Instant::now();
    log.append_soon(entry(log.next_id(now()), 1)).await.unwrap();
    while log.head().seq == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "the log forgot it");
        tokio::task::yield_now().await;
    }
    // A reader sees it whether it was written or not.
    let id = log.next_id(now());
    log.append_soon(entry(id, 2)).await.unwrap();
    assert_eq!(log.find(id).await.unwrap().unwrap().seq, 2);
    log.append_soon(entry(log.next_id(now()), 3)).await.unwrap();
    log.close();
    assert!(matches!(log.append_soon(entry(id, 4)).await, Err(LogError::Closed { .. })));
    assert_eq!(plain(folder.path()).head.seq, 3, "closing writes what is queued");
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait_and_drops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), Settings { room: 4, ..small() }, &[]).unwrap();
    for n in 0..200 {
        log.append_soon(entry(log.next_id(now()), n)).await.unwrap();
    }
    drop(log);
    assert_eq!(plain(folder.path()).head.seq, 200);
}

#[tokio::test]
async fn every_entry_is_found_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut ids = fill(folder.path(), small(), 40).await;
    ids.extend(fill(folder.path(), small(), 10).await);
    let log = Log::open(folder.path(), small(), &[]).unwrap();
    // Younger than what follows it: clocks step back.
    let late = log.next_id(Instant::from_millis(now().millis() + 3_600_000));
    let _ = log.append(entry(late, 50), None).await.unwrap();
    let early = log.next_id(Instant::from_millis(now().millis() - 3_600_000));
    let _ = log.append(entry(early, 51), None).await.unwrap();
    ids.extend([late, early]);
    for (n, id) in ids.iter().enumerate() {
        let found = log.find(*id).await.unwrap().unwrap();
        assert_eq!((found.seq, found.entry.id), (n as u64 + 1, *id));
        let number = if n < 40 {
            n
        } else if n < 50 {
            n - 40
        } else {
            n
        };
        assert_eq!(found.entry.encode(), entry(*id, number));
    }
    assert_eq!(log.find(log.next_id(now())).await.unwrap(), None);
    let mut other = ids[0].bytes();
    other[15] ^= 1;
    let other = DecisionId::from_bytes(other).unwrap();
    assert_eq!(log.find(other).await.unwrap(), None, "another log's");
}

#[tokio::test]
async fn a_second_opening_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _log = Log::open(folder.path(), small(), &[]).unwrap();
    let refused = Log::open(folder.path(), small(), &[]).unwrap_err();
    assert!(matches!(refused, LogError::Locked { .. }));
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
}

/// A file on a disk that can fill up in the middle of a write.
struct Disk(fs::File, Arc<AtomicBool>);

impl SegmentFile for Disk {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            SegmentFile::write_at(&mut self.0, offset, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        SegmentFile::write_at(&mut self.0, offset, bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.sync_data()
    }
    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.0.set_len(offset)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_drops_nothing_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&full);
    let opener = move |path: &Path, make: bool| {
        let file = fs::OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
        Ok(Box::new(Disk(file, Arc::clone(&state))) as Box<dyn SegmentFile>)
    };
    let log = Log::open_with(folder.path(), small(), &[], Box::new(opener)).unwrap();
    let _ = log.append(entry(log.next_id(now()), 0), None).await.unwrap();
    full.store(true, Ordering::SeqCst);
    let waiting = log.next_id(now());
    let soon = log.next_id(now());
    // Taken while nobody knew that the disk is full: it must not be lost.
    log.append_soon(entry(soon, 1)).await.unwrap();
    let refused = log.append(entry(waiting, 2), None).await.unwrap_err();
    assert!(matches!(&refused, LogError::Full { path } if path.starts_with(folder.path())), "{refused}");
    assert!(refused.retry() && log.ready().is_err());
    log.append_soon(entry(waiting, 3)).await.unwrap_err();
    assert_eq!(log.head().seq, 1);
    full.store(false, Ordering::SeqCst);
    while log.ready().is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.find(soon).await.unwrap().unwrap().seq, 2);
    assert_eq!(log.find(waiting).await.unwrap(), None, "its caller was told that it is not there");
    let _ = log.append(entry(waiting, 2), None).await.unwrap();
    drop(log);
    let report = plain(folder.path());
    assert!(report.sound());
    assert_eq!(report.head.seq, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_refused_until_the_end_is_counted_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let disk = || {
        let state = Arc::clone(&full);
        Box::new(move |path: &Path, make: bool| {
            let file = fs::OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
            Ok(Box::new(Disk(file, Arc::clone(&state))) as Box<dyn SegmentFile>)
        })
    };
    let settings = Settings { linger: Duration::from_millis(1), limit: Duration::from_millis(20), ..small() };
    let open = || Log::open_with(folder.path(), settings, &[], disk()).unwrap();
    let lost = |log: &Log| log.counts().read().lost;
    let at = |log: &Log| log.counts().lost_at().map(Instant::millis);
    let note = folder.path().join("lost");
    let put = |text: &str| {
        assert!(fs::metadata(&note).is_ok_and(|about| about.len() == 42), "room for all of it from the start");
        fs::write(&note, text).unwrap();
    };
    let (old, mut newest) = (1_000, None);
    for (before, after) in [(0, 1), (1, 2)] {
        let log = open();
        assert_eq!((lost(&log), at(&log)), (before, newest));
        full.store(true, Ordering::SeqCst);
        log.append_soon(entry(log.next_id(now()), 0)).await.unwrap();
        log.close();
        assert_eq!(lost(&log), after);
        assert!(at(&log).is_some_and(|at| at > old), "when it was closed");
        drop(log);
        full.store(false, Ordering::SeqCst);
        // As if long ago: a start that takes it over does not make it new.
        put(&format!("{after:020} {old:020}\n"));
        newest = Some(old);
    }
    let log = open();
    log.look_at_volume();
    drop(log);
    let log = open();
    assert_eq!((lost(&log), at(&log)), (2, newest), "told by every start until it was told for an hour");
    log.look_at_volume_after(Duration::from_secs(3_600));
    assert_eq!((lost(&log), at(&log)), (2, None), "a counter never goes down");
    drop(log);
    let log = open();
    assert_eq!((lost(&log), at(&log)), (0, None));
    drop(log);
    // Without its instant, or torn: of the start that found it so, and of no later one.
    for (text, count) in [("00000000000000000003\n", 3), ("\0\0\0", 1)] {
        put(text);
        let log = open();
        let found = at(&log).unwrap();
        assert!(lost(&log) == count && found > old);
        drop(log);
        let log = open();
        assert_eq!((lost(&log), at(&log)), (count, Some(found)));
    }
    assert!(plain(folder.path()).sound(), "the note is no part of the chain");
}

#[test]
fn an_anchor_reads_back() {
    let anchor = Anchor { writer: WriterId(7), head: Head { seq: 9, hash: [3; 32] }, at: now() };
    assert_eq!(Anchor::decode(&anchor.encode()), Some(anchor));
    assert_eq!(Anchor::decode(&anchor.encode()[1..]), None);
}
