//! The log and its proof: whatever is done to the files is found and named, a crash loses nothing that was safe, and
//! store and log come back into step by themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence::audit::{
    Anchor, BodyKey, DecisionId, Encoded, Entry, Expect, Fault, Head, Log, LogError, Report, SegmentFile, Settings,
    anchors, open, verify,
};
use ringfence::store::{
    Digest, EmbeddedStore, EventId, Key, MemoryStore, Shard, Store, Swapped, Version, Write, WriterId, embedded,
};
use ringfence::time::Instant;

const HEADER: usize = 120;

/// Small segments, so that a few entries make several.
fn small() -> Settings {
    Settings { segment_bytes: 600, ..Settings::default() }
}

fn now() -> Instant {
    Instant::from_rfc3339("2026-11-21T12:00:00Z").unwrap()
}

fn entry(id: DecisionId, n: usize) -> Encoded {
    let entry = Entry {
        kind: (n % 5) as u8,
        at: now(),
        id,
        tenant: "acme".into(),
        tag: n.is_multiple_of(2).then_some([n as u8; 32]),
        key: if n.is_multiple_of(2) { BodyKey::Contact } else { BodyKey::Day(20_778) },
        body: format!("sealed body number {n}").into_bytes(),
    };
    entry.encode()
}

/// A log of `count` entries in this folder; their ids.
async fn fill(folder: &Path, settings: Settings, count: usize) -> Vec<DecisionId> {
    let log = Log::open(folder, settings, &[]).unwrap();
    let mut ids = Vec::new();
    for n in 0..count {
        let id = log.next_id(Instant::from_millis(now().millis() + n as i64));
        let _ = log.append(entry(id, n), None).await.unwrap();
        ids.push(id);
    }
    ids
}

fn plain(folder: &Path) -> Report {
    verify(folder, &Expect::default()).unwrap()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    found.sort();
    found
}

/// Where the frames of a segment begin, read from the documented layout alone; the last one is the end.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![HEADER];
    while let Some(length) = bytes.get(starts[starts.len() - 1]..).and_then(|rest| rest.first_chunk::<4>()) {
        starts.push(starts[starts.len() - 1] + 4 + u32::from_le_bytes(*length) as usize);
    }
    starts
}

fn seq_at(bytes: &[u8], start: usize) -> u64 {
    u64::from_le_bytes(bytes[start + 4..start + 12].try_into().unwrap())
}

#[track_caller]
fn first_bad(report: &Report, segment: &str, seq: u64, fault: Fault) {
    let bad = report.bad.clone().expect("nothing bad was found");
    assert!(!report.sound());
    assert_eq!((bad.segment.as_str(), bad.seq, &bad.fault), (segment, seq, &fault), "{bad}");
    assert_eq!(report.head.seq, seq - 1, "all before it are whole");
}

/// One segment with five entries, to be changed by the caller.
async fn five() -> (tempfile::TempDir, PathBuf, Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), Settings::default(), 5).await;
    let path = segments(folder.path())[0].clone();
    let bytes = fs::read(&path).unwrap();
    let starts = frames(&bytes);
    assert_eq!(starts.len(), 6);
    (folder, path, bytes, starts)
}

#[tokio::test]
async fn an_untouched_log_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), small(), 20).await;
    let report = plain(folder.path());
    assert!(report.sound(), "{report:?}");
    assert_eq!(report.head.seq, 20);
    assert!(report.segments > 3);
    let log = Log::open(folder.path(), small(), &[]).unwrap();
    assert_eq!(log.head(), report.head);
    assert_eq!(Some(log.writer()), report.writer);
    assert!(log.recovered().is_none());
}

#[tokio::test]
async fn every_flipped_byte_is_found_and_the_first_bad_entry_named() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), small(), 10).await;
    let files = segments(folder.path());
    assert!(files.len() >= 3);
    for path in files {
        let whole = fs::read(&path).unwrap();
        let starts = frames(&whole);
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                fs::write(&path, &bytes).unwrap();
                let report = plain(folder.path());
                let bad = report.bad.unwrap_or_else(|| panic!("byte {at} of {path:?} changed unnoticed"));
                let frame = starts.iter().rev().find(|start| **start <= at).copied();
                assert_eq!(bad.segment, path.file_name().unwrap().to_str().unwrap());
                assert_eq!(bad.offset, frame.unwrap_or(0) as u64, "{bad}");
                assert_eq!(bad.seq, seq_at(&whole, frame.unwrap_or(HEADER)), "{bad}");
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(plain(folder.path()).sound());
}

#[tokio::test]
async fn a_removed_entry_is_named() {
    let (folder, path, bytes, at) = five().await;
    fs::write(&path, [&bytes[..at[2]], &bytes[at[3]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Removed { found: 4 });
}

#[tokio::test]
async fn a_repeated_entry_is_named() {
    let (folder, path, bytes, at) = five().await;
    fs::write(&path, [&bytes[..at[3]], &bytes[at[2]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 4, Fault::Repeated { found: 3 });
}

#[tokio::test]
async fn reordered_entries_are_named() {
    let (folder, path, bytes, at) = five().await;
    let swapped = [&bytes[..at[1]], &bytes[at[2]..at[3]], &bytes[at[1]..at[2]], &bytes[at[3]..]].concat();
    fs::write(&path, swapped).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 2, Fault::Removed { found: 3 });
}

#[tokio::test]
async fn an_entry_from_another_log_is_named() {
    let (folder, path, bytes, at) = five().await;
    let (_other_folder, _, other, other_at) = five().await;
    fs::write(&path, [&bytes[..at[2]], &other[other_at[2]..other_at[3]], &bytes[at[3]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Replaced);
    fs::write(&path, [&bytes[..at[2]], &other[other_at[2]..]].concat()).unwrap();
    first_bad(&plain(folder.path()), "0000000001.log", 3, Fault::Replaced);
}

#[tokio::test]
async fn a_cut_end_is_named_by_the_anchor() {
    let (folder, path, bytes, at) = five().await;
    let whole = plain(folder.path());
    let anchor = Anchor { writer: whole.writer.unwrap(), head: whole.head, at: now() };
    let expect = Expect { anchors: vec![anchor], ..Expect::default() };
    assert!(verify(folder.path(), &expect).unwrap().sound());
    fs::write(&path, &bytes[..at[3]]).unwrap();
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 4, Fault::Cut { anchored: 5 });
    assert!(plain(folder.path()).sound(), "nobody can know without the anchor");
    let refused = Log::open(folder.path(), small(), &[anchor]).unwrap_err();
    assert!(refused.to_string().contains("entry 3") && refused.to_string().contains("entry 5"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), &bytes[..at[3]], "nothing was repaired");
    fs::write(&path, &bytes[..at[4] + 9]).unwrap();
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 5, Fault::Torn);
}

#[tokio::test]
async fn a_cut_end_is_named_by_the_events_of_the_store() {
    let (folder, path, bytes, at) = five().await;
    let digest = |n: usize| -> Digest {
        let content = &bytes[at[n] + 52..at[n + 1] - 32];
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref().try_into().unwrap()
    };
    let expect = Expect { digests: vec![digest(1), digest(3), digest(4)], ..Expect::default() };
    assert!(verify(folder.path(), &expect).unwrap().sound());
    fs::write(&path, &bytes[..at[3]]).unwrap();
    let report = verify(folder.path(), &expect).unwrap();
    assert_eq!(report.missing, [digest(3), digest(4)]);
    assert!(!report.sound());
}

#[tokio::test]
async fn a_rewritten_log_is_not_the_one_the_store_remembers() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(one.path(), small(), 6).await;
    for path in segments(one.path()) {
        fs::copy(&path, two.path().join(path.file_name().unwrap())).unwrap();
    }
    // The same log going two ways, both whole in themselves.
    let _ = fill(one.path(), small(), 3).await;
    let other = fill(two.path(), small(), 3).await;
    assert_eq!(other[0].writer(), plain(one.path()).writer.unwrap());
    let truth = plain(one.path());
    let anchor = Anchor { writer: truth.writer.unwrap(), head: truth.head, at: now() };
    let expect = Expect { anchors: vec![anchor], ..Expect::default() };
    assert!(verify(one.path(), &expect).unwrap().sound());
    assert!(plain(two.path()).sound());
    let report = verify(two.path(), &expect).unwrap();
    assert_eq!(report.bad.unwrap().fault, Fault::NotTheAnchored);
    Log::open(two.path(), small(), &[anchor]).unwrap_err();
}

/// A log of several segments, and what the store remembers of it.
async fn several() -> (tempfile::TempDir, Vec<PathBuf>, Vec<u64>, Expect) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), small(), 14).await;
    let files = segments(folder.path());
    assert!(files.len() >= 4);
    let first_seqs = files.iter().map(|path| seq_at(&fs::read(path).unwrap(), HEADER)).collect();
    let whole = plain(folder.path());
    let anchors = vec![Anchor { writer: whole.writer.unwrap(), head: whole.head, at: now() }];
    (folder, files, first_seqs, Expect { anchors, ..Expect::default() })
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    for gone in 0..3 {
        let (folder, files, first, _) = several().await;
        fs::remove_file(&files[gone]).unwrap();
        let name = format!("{:010}.log", gone + 1);
        first_bad(&plain(folder.path()), &name, first[gone], Fault::SegmentMissing);
        let refused = Log::open(folder.path(), small(), &[]).unwrap_err();
        assert!(matches!(refused, LogError::Missing { .. }) && refused.to_string().contains(&name), "{refused}");
    }
    let (folder, files, first, expect) = several().await;
    fs::remove_file(files.last().unwrap()).unwrap();
    let report = verify(folder.path(), &expect).unwrap();
    let last = files[files.len() - 2].file_name().unwrap().to_str().unwrap().to_owned();
    first_bad(&report, &last, *first.last().unwrap(), Fault::Cut { anchored: 14 });
    Log::open(folder.path(), small(), &expect.anchors).unwrap_err();
}

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

#[tokio::test]
async fn a_segment_of_another_log_is_named() {
    let (folder, files, first, _) = several().await;
    let (_other, others, ..) = several().await;
    fs::copy(&others[2], &files[2]).unwrap();
    let report = plain(folder.path());
    let bad = report.bad.clone().unwrap();
    assert_eq!((bad.segment.as_str(), bad.seq), ("0000000003.log", first[2]));
    assert!(matches!(bad.fault, Fault::SegmentMoved { number: 3, writer } if Some(writer) != report.writer));
}

#[tokio::test]
async fn an_emptied_folder_is_named_by_the_anchor() {
    let (folder, files, _, expect) = several().await;
    files.iter().for_each(|path| fs::remove_file(path).unwrap());
    first_bad(&verify(folder.path(), &expect).unwrap(), "0000000001.log", 1, Fault::Cut { anchored: 14 });
    assert!(plain(folder.path()).sound(), "an empty log is a log");
    verify(&folder.path().join("nowhere"), &expect).unwrap_err();
}

#[tokio::test]
async fn foreign_files_are_named() {
    let (folder, files, first, _) = several().await;
    let stranger = folder.path().join("notes.log");
    fs::write(&stranger, "dear diary").unwrap();
    let bad = plain(folder.path()).bad.unwrap();
    assert_eq!((bad.segment.as_str(), bad.fault), ("notes.log", Fault::Foreign));
    assert!(matches!(Log::open(folder.path(), small(), &[]).unwrap_err(), LogError::Foreign { .. }));
    fs::remove_file(&stranger).unwrap();
    fs::write(folder.path().join("lost+found.txt"), "no business of ours").unwrap();
    assert!(plain(folder.path()).sound());
    fs::write(&files[1], "x".repeat(500)).unwrap();
    first_bad(&plain(folder.path()), "0000000002.log", first[1], Fault::Foreign);
}

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

#[test]
fn an_anchor_reads_back() {
    let anchor = Anchor { writer: WriterId(7), head: Head { seq: 9, hash: [3; 32] }, at: now() };
    assert_eq!(Anchor::decode(&anchor.encode()), Some(anchor));
    assert_eq!(Anchor::decode(&anchor.encode()[1..]), None);
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

/// Not a test by itself: swaps, appends and ticks until it is killed, if started by the test below.
#[tokio::test(flavor = "multi_thread")]
async fn child_decides_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&folder, embedded::Settings::default()).unwrap());
    let settings = Settings { segment_bytes: 8_000, ..small() };
    let opened = Arc::new(open(&folder.join("audit"), settings, Arc::clone(&store), now()).await.unwrap());
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
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_told_is_missing_after_kill_9_and_the_chain_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut told: BTreeMap<String, ()> = BTreeMap::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_decides_until_killed", "--nocapture"])
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
        let opened = open(&audit, Settings::default(), Arc::clone(&store), now()).await.unwrap();
        for id in told.keys() {
            let id = DecisionId::parse(id).unwrap();
            assert!(opened.log.find(id).await.unwrap().is_some(), "{id} was told and is gone");
        }
        drop(opened);
        let report = verify(&audit, &expect(&*store).await).unwrap();
        assert!(report.sound(), "{:?} {} missing", report.bad, report.missing.len());
    }
}
