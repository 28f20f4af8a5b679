//! The files of a log: their names, and opening the newest one after whatever happened.

use std::fs;
use std::path::{Path, PathBuf};

use super::entry::kind_of;
use super::frame::{self, BadHeader, FORMAT, HEADER_LEN, Header};
use super::index::{Block, blocks_push};
use super::{Anchor, Head, LogError, Recovered};
use crate::store::Digest;

const EXTENSION: &str = "log";

/// The file of segment `number`.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.{EXTENSION}"))
}

/// What a folder of a log holds.
#[derive(Default, Debug)]
pub(super) struct Listing {
    /// The numbers of the segments, rising.
    pub(super) numbers: Vec<u64>,
    /// Files that look like segments by their ending, not by their name.
    pub(super) strangers: Vec<PathBuf>,
}

pub(super) fn list(folder: &Path) -> Result<Listing, LogError> {
    let io = |error: std::io::Error| LogError::from_io(folder, "listing the audit log", &error);
    let mut listing = Listing::default();
    for file in fs::read_dir(folder).map_err(io)? {
        let file = file.map_err(io)?.path();
        if file.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match stem.parse() {
            Ok(number) if path(folder, number) == file => listing.numbers.push(number),
            _ => listing.strangers.push(file),
        }
    }
    listing.numbers.sort_unstable();
    listing.strangers.sort();
    Ok(listing)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, LogError> {
    fs::read(path).map_err(|error| LogError::from_io(path, "reading the audit log", &error))
}

/// The header of a file, without reading the rest.
pub(super) fn read_header(path: &Path) -> Result<Header, LogError> {
    use std::io::Read as _;
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
