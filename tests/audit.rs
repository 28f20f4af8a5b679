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

#[path = "audit/altered.rs"]
mod altered;
#[path = "audit/append.rs"]
mod append;
#[path = "audit/packed.rs"]
mod packed;
#[path = "audit/power.rs"]
mod power;
#[path = "support/power.rs"]
mod power_cut;
#[path = "audit/pressure.rs"]
mod pressure;
#[path = "audit/selected.rs"]
mod selected;
#[path = "audit/step.rs"]
mod step;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence::audit::{
    Anchor, BodyKey, DecisionId, Encoded, Entry, Expect, Fault, Head, Log, LogError, Openings, Report, SegmentFile,
    Settings, anchors, open, verify,
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
        campaign: n.is_multiple_of(3).then_some([(n % 7) as u8; 16]),
        open: (n % 3 == 1).then_some(Openings { mark: [1; 4], name: [2; 16], plain: [3; 32] }),
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
