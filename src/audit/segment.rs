//! The files of a log: their names, and opening the newest one after whatever happened.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::{Footer, TAIL};
use super::entry::kind_of;
use super::frame::{self, BadHeader, FORMAT, HEADER_LEN, Header};
use super::index::{Block, blocks_push};
use super::{Anchor, Head, LogError, Recovered};
use crate::store::Digest;

/// A segment as it is written.
const PLAIN: &str = "log";
/// A closed segment, compressed.
const PACKED: &str = "log.zst";
/// The footer of a segment that stands in the archive.
const AWAY: &str = "away";
/// Where to look into a closed segment.
const LOOKUP: &str = "idx";

/// The file of segment `number`, as it is written.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    named(folder, number, PLAIN)
}

/// The compressed file of segment `number`.
pub(super) fn packed_path(folder: &Path, number: u64) -> PathBuf {
    named(folder, number, PACKED)
}

/// What stays of segment `number` once it stands in the archive alone.
pub(super) fn away_path(folder: &Path, number: u64) -> PathBuf {
    named(folder, number, AWAY)
}

/// The index of segment `number`.
pub(super) fn lookup_path(folder: &Path, number: u64) -> PathBuf {
    named(folder, number, LOOKUP)
}

/// The name of compressed segment `number`, here and in the archive.
pub(super) fn packed_name(number: u64) -> String {
    format!("{number:010}.{PACKED}")
}

fn named(folder: &Path, number: u64, ending: &str) -> PathBuf {
    folder.join(format!("{number:010}.{ending}"))
}

/// That a segment is in an archive which is not known here.
pub(super) fn nowhere(folder: &Path, number: u64) -> LogError {
    LogError::Missing {
        path: packed_path(folder, number),
        why: "this segment of the audit log was moved to the archive, and none is configured here: name it with \
              audit_archive (a command: with --archive)"
            .into(),
    }
}

/// In which forms a segment is here. More than one after a crash, or while the better one is being made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Forms {
    pub(super) plain: bool,
    pub(super) packed: bool,
    pub(super) away: bool,
}

/// What a folder of a log holds.
#[derive(Default, Debug)]
pub(super) struct Listing {
    /// The segments by number.
    pub(super) segments: BTreeMap<u64, Forms>,
    /// Files that look like segments by their ending, not by their name.
    pub(super) strangers: Vec<PathBuf>,
}

pub(super) fn list(folder: &Path) -> Result<Listing, LogError> {
    let io = |error: std::io::Error| LogError::from_io(folder, "listing the audit log", &error);
    let mut listing = Listing::default();
    for file in fs::read_dir(folder).map_err(io)? {
        let file = file.map_err(io)?.path();
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((stem, ending)) = name.split_once('.') else { continue };
        if ![PLAIN, PACKED, AWAY].iter().any(|known| name.ends_with(&format!(".{known}"))) {
            continue;
        }
        match stem.parse() {
            Ok(number) if named(folder, number, ending) == file => {
                let forms = listing.segments.entry(number).or_default();
                match ending {
                    PLAIN => forms.plain = true,
                    PACKED => forms.packed = true,
                    _ => forms.away = true,
                }
            }
            _ => listing.strangers.push(file),
        }
    }
    listing.strangers.sort();
    Ok(listing)
}

/// Removes what a crash left half written beside the segments: of everything there, what it was made from is still here.
pub(super) fn sweep(folder: &Path) {
    let left = |name: &str| {
        name.ends_with(".new")
            && name.as_bytes().first_chunk::<10>().is_some_and(|stem| stem.iter().all(u8::is_ascii_digit))
    };
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        if file.file_name().to_str().is_some_and(left) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(file.path());
        }
    }
}

/// The footer of a compressed segment, without reading the rest.
pub(super) fn read_footer(path: &Path) -> Result<Footer, LogError> {
    let io = |error: std::io::Error| LogError::from_io(path, "reading the audit log", &error);
    let mut file = fs::File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut last = |count: u64| -> Result<Vec<u8>, LogError> {
        let mut out = Vec::new();
        file.seek(SeekFrom::Start(bytes.saturating_sub(count))).map_err(io)?;
        file.read_to_end(&mut out).map_err(io)?;
        Ok(out)
    };
    let tail = last(TAIL as u64)?;
    let length = tail.first_chunk().and_then(Footer::length);
    let footer = length.map(|length| last(length as u64)).transpose()?.and_then(|bytes| Footer::decode(&bytes));
    footer.ok_or_else(|| LogError::Corrupt { path: path.into(), why: "its footer was altered or cut off".into() })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(|error| LogError::from_io(path, "reading the audit log", &error))
}

/// The header of a file, without reading the rest.
pub(super) fn read_header(path: &Path) -> Result<Header, LogError> {
    let io = |error: std::io::Error| LogError::from_io(path, "reading the audit log", &error);
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    fs::File::open(path).map_err(io)?.take(HEADER_LEN as u64).read_to_end(&mut bytes).map_err(io)?;
    Header::decode(&bytes).map(|(header, _)| header).map_err(|bad| bad_header(path, bad))
}

pub(super) fn bad_header(path: &Path, bad: BadHeader) -> LogError {
    let path = path.to_path_buf();
    match bad {
        BadHeader::Foreign => LogError::Foreign { path, why: "no segment of an audit log".into() },
        BadHeader::Newer(found) => LogError::Newer { path, found, known: FORMAT },
        BadHeader::Damaged => LogError::Corrupt { path, why: "the segment's header was altered".into() },
    }
}

/// The newest segment as it was found.
pub(super) struct Tail {
    pub(super) header: Header,
    /// Where the next frame goes.
    pub(super) offset: u64,
    /// The hash it follows on.
    pub(super) link: Digest,
    pub(super) head: Head,
    pub(super) blocks: Vec<Block>,
    /// Kind and digest of every entry that is newer than the anchor.
    pub(super) unanchored: Vec<(u8, Digest)>,
    /// An unfinished write after `offset`, to be cut off.
    pub(super) torn: Option<Recovered>,
}

/// Reads the newest segment of a log whose anchor is this.
///
/// # Errors
/// When what is wrong with it is no unfinished write: nothing is repaired then.
pub(super) fn read_tail(path: &Path, anchors: &[Anchor]) -> Result<Tail, LogError> {
    let bytes = read(path)?;
    let (header, hash) = Header::decode(&bytes).map_err(|bad| bad_header(path, bad))?;
    let anchor = anchors.iter().find(|anchor| anchor.writer == header.writer).map(|anchor| anchor.head);
    let tampered =
        |why: String| Err(LogError::Corrupt { path: path.into(), why: format!("{why}; run `ringfence audit verify`") });
    let head = Head { seq: header.first_seq.saturating_sub(1), hash: header.before };
    let mut tail = Tail {
        header,
        offset: HEADER_LEN as u64,
        link: hash,
        head,
        blocks: Vec::new(),
        unanchored: Vec::new(),
        torn: None,
    };
    let mut rest = bytes.get(HEADER_LEN..).unwrap_or_default();
    while !rest.is_empty() {
        let seq = tail.head.seq + 1;
        let Ok(frame) = frame::at(rest) else {
            if anchor.is_some_and(|anchor| anchor.seq >= seq) || frame::proof_of_safety(rest, seq).is_some() {
                return tampered(format!("entry {seq} at byte {} was altered after it was safe", tail.offset));
            }
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            tail.torn = Some(Recovered { segment: file, offset: tail.offset, bytes: rest.len() as u64 });
            break;
        };
        if frame.seq != seq || frame.before != tail.link {
            return tampered(format!(
                "entry {} at byte {} does not follow on entry {}",
                frame.seq,
                tail.offset,
                seq - 1
            ));
        }
        if anchor.is_some_and(|anchor| anchor.seq == seq && anchor.hash != frame.hash) {
            return tampered(format!("entry {seq} is not the one that the store remembers"));
        }
        blocks_push(&mut tail.blocks, tail.offset, &frame);
        if anchor.is_none_or(|anchor| anchor.seq < seq) {
            tail.unanchored.extend(kind_of(frame.content).map(|kind| (kind, frame.digest)));
        }
        tail.offset += frame.length as u64;
        tail.link = frame.hash;
        tail.head = Head { seq, hash: frame.hash };
        rest = rest.get(frame.length..).unwrap_or_default();
    }
    match anchor {
        Some(anchor) if anchor.seq > tail.head.seq => tampered(format!(
            "the log ends with entry {}, but the store remembers entry {}: the end was cut off, or an old copy put in its place",
            tail.head.seq, anchor.seq
        )),
        _ => Ok(tail),
    }
}
