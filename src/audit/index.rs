//! Finding an entry by its id: by the time within the id, down to a block of a segment, then by reading the block.

use std::collections::HashSet;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::entry::{DecisionId, Entry, id_of, tag_of};
use super::frame::{self, Frame, HEADER_LEN};
use super::{LogError, segment};
use crate::store::Digest;

/// Bytes of a block, about: what one look-up reads.
const BLOCK: u64 = 128 << 10;

/// A run of frames, and the earliest and latest id among them in milliseconds. Ids are nearly sorted, not quite: a
/// decision's entry may be overtaken by a later one's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    offset: u64,
    length: u64,
    earliest: u64,
    latest: u64,
}

impl Block {
    fn may_hold(&self, times: &RangeInclusive<u64>) -> bool {
        self.earliest <= *times.end() && self.latest >= *times.start()
    }
}

/// Adds a frame at this offset to the blocks of its segment.
pub(super) fn blocks_push(blocks: &mut Vec<Block>, offset: u64, frame: &Frame<'_>) {
    add(blocks, offset, frame.length as u64, id_of(frame.content).map_or(0, |id| id.millis()));
}

fn add(blocks: &mut Vec<Block>, offset: u64, length: u64, millis: u64) {
    match blocks.last_mut() {
        Some(block) if block.length < BLOCK => {
            block.length += length;
            block.earliest = block.earliest.min(millis);
            block.latest = block.latest.max(millis);
        }
        _ => blocks.push(Block { offset, length, earliest: millis, latest: millis }),
    }
}

/// The earliest and latest id of these blocks.
pub(super) fn span(blocks: &[Block]) -> (u64, u64) {
    let earliest = blocks.iter().map(|block| block.earliest).min().unwrap_or(u64::MAX);
    (earliest, blocks.iter().map(|block| block.latest).max().unwrap_or(0))
}

/// An entry as found in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its place in the log.
    pub seq: u64,
    /// The entry, its body sealed as ever.
    pub entry: Entry,
}

struct Segment {
    path: PathBuf,
    /// The earliest and latest id, in milliseconds.
    span: (u64, u64),
    /// Of a segment closed before this start: read when first needed.
    blocks: Option<Vec<Block>>,
}

/// Where to look. Grows with the log; some 40 bytes a block of 128 KiB.
#[derive(Default)]
pub(super) struct Index(Mutex<Vec<Segment>>);

impl Index {
    fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment that was closed before this start.
    pub(super) fn push_closed(&self, path: PathBuf, span: (u64, u64)) {
        self.segments().push(Segment { path, span, blocks: None });
    }

    /// The segment that is written to from now on.
    pub(super) fn push_open(&self, path: PathBuf, blocks: Vec<Block>) {
        self.segments().push(Segment { path, span: span(&blocks), blocks: Some(blocks) });
    }

    /// Says that a frame was written to the open segment.
    pub(super) fn written(&self, offset: u64, length: u64, millis: u64) {
        if let Some(segment) = self.segments().last_mut() {
            segment.span = (segment.span.0.min(millis), segment.span.1.max(millis));
            add(segment.blocks.get_or_insert_default(), offset, length, millis);
        }
    }

    /// The blocks that may hold ids of these times, newest first.
    fn candidates(&self, times: &RangeInclusive<u64>) -> Result<Vec<(PathBuf, Block)>, LogError> {
        let mut found = Vec::new();
        let count = self.segments().len();
        for index in (0..count).rev() {
            let unread = match self.segments().get(index) {
                Some(one) if one.span.0 <= *times.end() && one.span.1 >= *times.start() => {
                    one.blocks.is_none().then(|| one.path.clone())
                }
                _ => continue,
            };
            // Read without the lock: the writer must not wait for it.
            let blocks = unread.as_deref().map(read_blocks).transpose()?;
            if let Some(one) = self.segments().get_mut(index) {
                if blocks.is_some() {
                    one.blocks = blocks;
                }
                let fitting = one.blocks.iter().flatten().filter(|block| block.may_hold(times));
                found.extend(fitting.rev().map(|block| (one.path.clone(), *block)));
            }
        }
        Ok(found)
    }

    /// The entry with this id.
    pub(super) fn find(&self, id: DecisionId) -> Result<Option<Found>, LogError> {
        for (path, block) in self.candidates(&(id.millis()..=id.millis()))? {
            let bytes = read_block(&path, block)?;
            let mut rest = bytes.as_slice();
            while let Ok(frame) = frame::at(rest) {
                if id_of(frame.content) == Some(id) {
                    return Ok(Entry::decode(frame.content).map(|entry| Found { seq: frame.seq, entry }));
                }
                rest = rest.get(frame.length..).unwrap_or_default();
            }
        }
        Ok(None)
    }

    /// Up to `limit` entries about this contact, before the place `before` in the log, newest first. Reads the log from its
    /// end, block by block, until it has enough.
    pub(super) fn about(
        &self,
        tag: &[u8; 32],
        before: u64,
        limit: usize,
        wanted: &dyn Fn(u8) -> bool,
    ) -> Result<Vec<Found>, LogError> {
        let mut found = Vec::new();
        for (path, block) in self.candidates(&(0..=u64::MAX))? {
            let bytes = read_block(&path, block)?;
            let mut rest = bytes.as_slice();
            let mut here = Vec::new();
            while let Ok(frame) = frame::at(rest) {
                if frame.seq < before
                    && tag_of(frame.content) == Some(tag)
                    && let Some(entry) = Entry::decode(frame.content).filter(|entry| wanted(entry.kind))
                {
                    here.push(Found { seq: frame.seq, entry });
                }
                rest = rest.get(frame.length..).unwrap_or_default();
            }
            found.extend(here.into_iter().rev());
            if found.len() >= limit {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The digests of all entries whose id is not older than this, and of some that are.
    pub(super) fn digests_since(&self, millis: u64) -> Result<HashSet<Digest>, LogError> {
        let mut digests = HashSet::new();
        for (path, block) in self.candidates(&(millis..=u64::MAX))? {
            let bytes = read_block(&path, block)?;
            let mut rest = bytes.as_slice();
            while let Ok(frame) = frame::at(rest) {
                digests.insert(frame.digest);
                rest = rest.get(frame.length..).unwrap_or_default();
            }
        }
        Ok(digests)
    }
}

fn read_blocks(path: &Path) -> Result<Vec<Block>, LogError> {
    let bytes = segment::read(path)?;
    let mut blocks = Vec::new();
    let mut offset = HEADER_LEN;
    // What is altered is for `verify` to name; here the rest of the segment is not found.
    while let Ok(frame) = frame::at(bytes.get(offset..).unwrap_or_default()) {
        blocks_push(&mut blocks, offset as u64, &frame);
        offset += frame.length;
    }
    Ok(blocks)
}

fn read_block(path: &Path, block: Block) -> Result<Vec<u8>, LogError> {
    let io = |error: std::io::Error| LogError::from_io(path, "reading the audit log", &error);
    let mut file = std::fs::File::open(path).map_err(io)?;
    file.seek(SeekFrom::Start(block.offset)).map_err(io)?;
    let mut bytes = Vec::with_capacity(usize::try_from(block.length).unwrap_or(0));
    file.take(block.length).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
