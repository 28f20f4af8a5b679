//! Finding entries: by the time within an id down to a block of a segment, then by reading the block, wherever and in
//! whichever form the segment is.
//!
//! In memory is a line for each segment, the blocks of the one that is written to, and the blocks of some that were
//! looked at lately: at a hundred million entries some megabytes. Nothing found is told before the entry itself was read
//! and its hash was right.

use std::collections::HashSet;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::archive::{Archive, Footer, unpack_block};
use super::entry::{DecisionId, Entry, id_of};
use super::frame::{self, Frame, HEADER_LEN, Header};
use super::{LogError, segment};
use crate::store::Digest;

/// Bytes of a block, about: what one look-up reads.
const BLOCK: u64 = 128 << 10;
/// Closed segments whose blocks stay in memory; some 28 KiB each.
const REMEMBERED: usize = 64;

/// A run of frames, and the earliest and latest id among them in milliseconds. Ids are nearly sorted, not quite: a
/// decision's entry may be overtaken by a later one's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// Where it is in the segment.
    pub(super) offset: u64,
    pub(super) length: u64,
    /// The place of its first entry.
    pub(super) first_seq: u64,
    pub(super) earliest: u64,
    pub(super) latest: u64,
    /// Where it is in the compressed segment, and its bytes there.
    pub(super) stored: (u64, u64),
}

impl Block {
    pub(super) fn may_hold(&self, times: &RangeInclusive<u64>) -> bool {
        self.earliest <= *times.end() && self.latest >= *times.start()
    }
}

/// Adds a frame at this offset to the blocks of its segment.
pub(super) fn blocks_push(blocks: &mut Vec<Block>, offset: u64, frame: &Frame<'_>) {
    let millis = id_of(frame.content).map_or(0, |id| id.millis());
    add(blocks, Written { offset, length: frame.length as u64, seq: frame.seq, millis });
}

/// Where a frame went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) seq: u64,
    pub(super) millis: u64,
}

fn add(blocks: &mut Vec<Block>, written: Written) {
    let Written { offset, length, seq, millis } = written;
    match blocks.last_mut() {
        Some(block) if block.length < BLOCK => {
            block.length += length;
            block.earliest = block.earliest.min(millis);
            block.latest = block.latest.max(millis);
        }
        _ => blocks.push(Block { offset, length, first_seq: seq, earliest: millis, latest: millis, stored: (0, 0) }),
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

/// A segment of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// The place of its first entry.
    pub(super) first_seq: u64,
    /// The earliest and latest id, in milliseconds.
    pub(super) span: (u64, u64),
    /// Nothing more will be written to it.
    pub(super) closed: bool,
}

/// In which form the bytes of a segment are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Plain,
    Packed,
    Away,
}

/// The blocks of a segment.
#[derive(Debug)]
pub(super) struct Table {
    form: Form,
    pub(super) blocks: Vec<Block>,
}

#[derive(Default)]
struct State {
    segments: Vec<Segment>,
    /// Of the last segment.
    open: Vec<Block>,
    /// Those looked at lately, the latest last.
    tables: Vec<(u64, Arc<Table>)>,
}

/// Where to look. Grows with the log by a line a segment.
pub(super) struct Index {
    folder: PathBuf,
    state: Mutex<State>,
    archive: OnceLock<Arc<Archive>>,
}

impl Index {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), state: Mutex::default(), archive: OnceLock::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where segments are read from that are not here any more.
    pub(super) fn set_archive(&self, archive: Arc<Archive>) {
        // Set once, where a log is opened.
        let _ = self.archive.set(archive);
    }

    /// A segment that was closed before this start.
    pub(super) fn push_closed(&self, number: u64, first_seq: u64, span: (u64, u64)) {
        self.state().segments.push(Segment { number, first_seq, span, closed: true });
    }

    /// The segment that is written to from now on.
    pub(super) fn push_open(&self, number: u64, first_seq: u64, blocks: Vec<Block>) {
        let mut state = self.state();
        if let Some(before) = state.segments.last_mut() {
            before.closed = true;
        }
        let open = Segment { number, first_seq, span: span(&blocks), closed: false };
        state.segments.push(open);
        state.open = blocks;
    }

    /// Says that a frame was written to the open segment.
    pub(super) fn written(&self, written: Written) {
        let mut state = self.state();
        add(&mut state.open, written);
        if let Some(segment) = state.segments.last_mut() {
            segment.span = (segment.span.0.min(written.millis), segment.span.1.max(written.millis));
        }
    }

    /// Every segment, in order.
    pub(super) fn segments(&self) -> Vec<Segment> {
        self.state().segments.clone()
    }

    /// Says that a segment changed its form.
    pub(super) fn forget(&self, number: u64) {
        self.state().tables.retain(|(known, _)| *known != number);
    }

    /// The blocks of a segment.
    pub(super) fn table(&self, segment: &Segment) -> Result<Arc<Table>, LogError> {
        {
            let mut state = self.state();
            if state.segments.last().is_some_and(|last| last.number == segment.number) {
                return Ok(Arc::new(Table { form: Form::Plain, blocks: state.open.clone() }));
            }
            if let Some(at) = state.tables.iter().position(|(number, _)| *number == segment.number) {
                let known = state.tables.remove(at);
                let table = Arc::clone(&known.1);
                state.tables.push(known);
                return Ok(table);
            }
        }
        // Read without the lock: the writer must not wait for it.
        let table = Arc::new(read_table(&self.folder, segment.number)?);
        let mut state = self.state();
        state.tables.push((segment.number, Arc::clone(&table)));
        if state.tables.len() > REMEMBERED {
            state.tables.remove(0);
        }
        Ok(table)
    }

    /// The frames of a block of a segment. The segment may change its form meanwhile: then it is looked for again.
    pub(super) fn read(&self, segment: &Segment, table: &Table, block: &Block) -> Result<Vec<u8>, LogError> {
        match self.read_as(segment.number, table.form, block)? {
            Some(bytes) => Ok(bytes),
            None => {
                self.forget(segment.number);
                let table = self.table(segment)?;
                let same = table.blocks.iter().find(|other| other.first_seq == block.first_seq);
                let bytes = same.map(|same| self.read_as(segment.number, table.form, same)).transpose()?.flatten();
                bytes.ok_or_else(|| gone(&self.folder, segment.number))
            }
        }
    }

    /// `None` if the segment is not there in this form any more.
    fn read_as(&self, number: u64, form: Form, block: &Block) -> Result<Option<Vec<u8>>, LogError> {
        let path = match form {
            Form::Plain => segment::path(&self.folder, number),
            Form::Packed => segment::packed_path(&self.folder, number),
            Form::Away => {
                let stored = self.archive(number)?.block(&segment::packed_name(number), block.stored)?;
                return unpacked(&segment::away_path(&self.folder, number), &stored, block).map(Some);
            }
        };
        let (offset, length) = if form == Form::Plain { (block.offset, block.length) } else { block.stored };
        let Some(bytes) = read_part(&path, offset, length)? else { return Ok(None) };
        if form == Form::Plain { Ok(Some(bytes)) } else { unpacked(&path, &bytes, block).map(Some) }
    }

    fn archive(&self, number: u64) -> Result<&Archive, LogError> {
        self.archive.get().map(AsRef::as_ref).ok_or_else(|| segment::nowhere(&self.folder, number))
    }

    /// All bytes of a segment, decompressed.
    pub(super) fn whole(&self, segment: &Segment) -> Result<Vec<u8>, LogError> {
        let table = self.table(segment)?;
        let mut out = Vec::new();
        for block in &table.blocks {
            out.extend_from_slice(&self.read(segment, &table, block)?);
        }
        Ok(out)
    }

    /// The blocks that may hold ids of these times, newest first.
    fn candidates(&self, times: &RangeInclusive<u64>) -> Result<Vec<(Segment, Arc<Table>, Block)>, LogError> {
        let mut found = Vec::new();
        let segments = self.segments();
        for one in segments.iter().rev().filter(|one| one.span.0 <= *times.end() && one.span.1 >= *times.start()) {
            let table = self.table(one)?;
            let fitting = table.blocks.iter().filter(|block| block.may_hold(times)).rev();
            found.extend(fitting.map(|block| (*one, Arc::clone(&table), *block)));
        }
        Ok(found)
    }

    /// The entry with this id.
    pub(super) fn find(&self, id: DecisionId) -> Result<Option<Found>, LogError> {
        for (one, table, block) in self.candidates(&(id.millis()..=id.millis()))? {
            let bytes = self.read(&one, &table, &block)?;
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

    /// The digests of all entries whose id is not older than this, and of some that are.
    pub(super) fn digests_since(&self, millis: u64) -> Result<HashSet<Digest>, LogError> {
        let mut digests = HashSet::new();
        for (one, table, block) in self.candidates(&(millis..=u64::MAX))? {
            let bytes = self.read(&one, &table, &block)?;
            let mut rest = bytes.as_slice();
            while let Ok(frame) = frame::at(rest) {
                digests.insert(frame.digest);
                rest = rest.get(frame.length..).unwrap_or_default();
            }
        }
        Ok(digests)
    }
}

/// The blocks of a closed segment, from the form that costs least to read. Forms change while we look: once more then.
fn read_table(folder: &Path, number: u64) -> Result<Table, LogError> {
    for _ in 0..2 {
        let (packed, away) = (segment::packed_path(folder, number), segment::away_path(folder, number));
        if packed.exists() {
            match segment::read_footer(&packed) {
                Ok(footer) => return Ok(Table { form: Form::Packed, blocks: blocks_of(&packed, number, footer)? }),
                Err(LogError::Unavailable { .. }) if !packed.exists() => {}
                Err(error) => return Err(error),
            }
        }
        if away.exists() {
            let footer = segment::read_footer(&away)?;
            return Ok(Table { form: Form::Away, blocks: blocks_of(&away, number, footer)? });
        }
        let plain = segment::path(folder, number);
        if plain.exists() {
            match read_blocks(&plain) {
                Ok(blocks) => return Ok(Table { form: Form::Plain, blocks }),
                Err(LogError::Unavailable { .. }) if !plain.exists() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Err(gone(folder, number))
}

fn gone(folder: &Path, number: u64) -> LogError {
    let path = segment::path(folder, number);
    LogError::Missing { path, why: "a segment of the audit log; restore it from a backup or the archive".into() }
}

fn blocks_of(path: &Path, number: u64, footer: Footer) -> Result<Vec<Block>, LogError> {
    if footer.header.number == number {
        return Ok(footer.blocks);
    }
    let why = format!("it holds segment {}; run `ringfence audit verify`", footer.header.number);
    Err(LogError::Corrupt { path: path.into(), why })
}

fn read_blocks(path: &Path) -> Result<Vec<Block>, LogError> {
    let bytes = segment::read(path)?;
    let mut blocks = Vec::new();
    let mut offset = HEADER_LEN;
    let (header, _) = Header::decode(&bytes).map_err(|bad| segment::bad_header(path, bad))?;
    let mut seq = header.first_seq;
    while let Ok(frame) = frame::at(bytes.get(offset..).unwrap_or_default()) {
        blocks_push(&mut blocks, offset as u64, &frame);
        offset += frame.length;
        seq = frame.seq + 1;
    }
    if offset < bytes.len() {
        // What is altered is for `verify` to name. It may be of any time: whoever lists entries must come upon it.
        let length = (bytes.len() - offset) as u64;
        let altered =
            Block { offset: offset as u64, length, first_seq: seq, earliest: 0, latest: u64::MAX, stored: (0, 0) };
        blocks.push(altered);
    }
    Ok(blocks)
}

/// `None` where there is no such file.
fn read_part(path: &Path, offset: u64, length: u64) -> Result<Option<Vec<u8>>, LogError> {
    let io = |error: std::io::Error| LogError::from_io(path, "reading the audit log", &error);
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io)?,
    };
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(1 << 20));
    file.take(length).read_to_end(&mut bytes).map_err(io)?;
    Ok(Some(bytes))
}

fn unpacked(path: &Path, stored: &[u8], block: &Block) -> Result<Vec<u8>, LogError> {
    unpack_block(stored, block.length).ok_or_else(|| LogError::Corrupt {
        path: path.into(),
        why: format!("the entries from {} on do not decompress; run `ringfence audit verify`", block.first_seq),
    })
}
