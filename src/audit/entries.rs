//! Every entry of a log, in order, read from its folder without opening it for writing: a copy on another machine will do.

use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::archive::{Archive, unpack};
use super::frame::{self, Frame, HEADER_LEN, Header, NoFrame};
use super::segment::{self, Forms};
use super::{Entry, Found, LogError};
use crate::store::Digest;

/// The entries of a folder, oldest first, whichever form its segments are in; one segment at a time is in memory. That the
/// chain holds is for [`super::verify`] to say: here an entry must match its own hash, and follow the one before by its
/// number.
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    archive: Option<Archive>,
    segments: IntoIter<u64>,
    /// Bytes of all segments, uncompressed.
    total: u64,
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
    /// The number of the entry before.
    seq: u64,
    /// The header of the segment was not given yet.
    fresh: bool,
}

/// What the chain consists of, one after the other.
pub(super) enum Step {
    /// A segment begins: its header without the hash.
    Segment(Box<[u8; HEADER_LEN - 32]>),
    /// An entry.
    Frame(OwnFrame),
}

/// A frame with its content.
pub(super) struct OwnFrame {
    pub(super) seq: u64,
    pub(super) safe: u64,
    pub(super) hash: Digest,
    pub(super) content: Vec<u8>,
}

impl Entries {
    /// Begins at the first entry. Segments that are not here any more are read from this archive.
    ///
    /// # Errors
    /// The folder cannot be read, or a segment is missing.
    pub fn open(folder: &Path, archive: Option<Archive>) -> Result<Self, LogError> {
        let listing = segment::list(folder)?;
        let mut total = 0;
        for ((number, forms), expected) in listing.segments.iter().zip(1..) {
            if *number != expected {
                return Err(missing(segment::path(folder, expected)));
            }
            if forms.away && !forms.packed && !forms.plain && archive.is_none() {
                return Err(segment::nowhere(folder, *number));
            }
            total += length(folder, *number, *forms)?;
        }
        if let Some((newest, Forms { plain: false, .. })) = listing.segments.iter().next_back() {
            // A segment is compressed only once the next one is there.
            return Err(missing(segment::path(folder, newest + 1)));
        }
        let segments: Vec<_> = listing.segments.keys().copied().collect();
        Ok(Self {
            folder: folder.into(),
            archive,
            segments: segments.into_iter(),
            total,
            path: folder.into(),
            bytes: Vec::new(),
            offset: 0,
            seq: 0,
            fresh: false,
        })
    }

    /// Begins with the segment that the entry of this place is in.
    pub(super) fn skip_to(&mut self, seq: u64) -> Result<(), LogError> {
        let (mut from, mut before) = (0, 0);
        for (at, number) in self.segments.as_slice().iter().enumerate() {
            let first = match first_seq(&self.folder, *number) {
                // The newest one is just being made.
                Err(_) if at + 1 == self.segments.len() => break,
                first => first?,
            };
            if first > seq {
                break;
            }
            (from, before) = (at, first.saturating_sub(1));
        }
        self.segments.by_ref().take(from).for_each(drop);
        self.seq = before;
        Ok(())
    }

    /// Bytes of the log, uncompressed.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total
    }

    /// The next entry and how many bytes it takes; `None` at the end, or where the newest one is just being written. Waits
    /// for the archive: for threads that may.
    ///
    /// # Errors
    /// A file cannot be read, or an entry was altered: what stands behind it is not to be relied on.
    pub fn next_entry(&mut self) -> Result<Option<(Found, u64)>, LogError> {
        while self.offset >= self.bytes.len() {
            if !self.load()? {
                return Ok(None);
            }
        }
        let Some(frame) = self.frame()? else { return Ok(None) };
        let (seq, length) = (frame.seq, frame.length);
        let Some(entry) = Entry::decode(frame.content) else { return Err(self.altered("does not read as an entry")) };
        self.seq = seq;
        self.offset += length;
        Ok(Some((Found { seq, entry }, length as u64)))
    }

    /// The same with the headers of the segments in between.
    pub(super) fn next_step(&mut self) -> Result<Option<Step>, LogError> {
        if !self.fresh {
            while self.offset >= self.bytes.len() {
                if !self.load()? {
                    return Ok(None);
                }
                if self.fresh {
                    break;
                }
            }
        }
        if std::mem::take(&mut self.fresh) {
            let header = self.bytes.first_chunk().copied().map(|header| Step::Segment(Box::new(header)));
            return Ok(header);
        }
        let Some(frame) = self.frame()? else { return Ok(None) };
        let own = OwnFrame { seq: frame.seq, safe: frame.safe, hash: frame.hash, content: frame.content.to_vec() };
        let length = frame.length;
        self.seq = own.seq;
        self.offset += length;
        Ok(Some(Step::Frame(own)))
    }

    /// Takes the next segment; `false`: there is none, or it is just being made.
    fn load(&mut self) -> Result<bool, LogError> {
        let Some(number) = self.segments.next() else { return Ok(false) };
        let (path, bytes) = self.read(number)?;
        self.bytes = bytes;
        // A crash, or a copy made at this moment, may leave the newest segment without its header.
        if self.bytes.len() < HEADER_LEN && self.segments.len() == 0 {
            self.offset = self.bytes.len();
            return Ok(false);
        }
        Header::decode(&self.bytes).map_err(|bad| segment::bad_header(&path, bad))?;
        (self.path, self.offset, self.fresh) = (path, HEADER_LEN, true);
        Ok(true)
    }

    /// The frame that comes next, of a segment that is not at its end; `None`: it is just being written.
    fn frame(&self) -> Result<Option<Frame<'_>>, LogError> {
        match frame::at(self.bytes.get(self.offset..).unwrap_or_default()) {
            Ok(frame) if frame.seq == self.seq + 1 => Ok(Some(frame)),
            Ok(frame) => Err(self.altered(&format!("is missing: entry {} stands in its place", frame.seq))),
            Err(NoFrame::Short) if self.segments.len() == 0 => Ok(None),
            Err(_) => Err(self.altered("was altered")),
        }
    }

    /// The bytes of a segment, uncompressed. A running service may be changing its form: then once more.
    fn read(&self, number: u64) -> Result<(PathBuf, Vec<u8>), LogError> {
        let read = || {
            let (plain, packed) = (segment::path(&self.folder, number), segment::packed_path(&self.folder, number));
            let away = segment::away_path(&self.folder, number);
            if plain.exists() {
                return segment::read(&plain).map(|bytes| (plain, bytes));
            }
            if packed.exists() {
                return unpacked(&packed, &segment::read(&packed)?).map(|bytes| (packed, bytes));
            }
            if !away.exists() {
                return Err(missing(plain));
            }
            let archive = self.archive.as_ref().ok_or_else(|| segment::nowhere(&self.folder, number))?;
            let name = segment::packed_name(number);
            let object = archive.get_waiting(&name)?.ok_or_else(|| LogError::Missing {
                path: format!("{}/{name}", archive.place()).into(),
                why: "a segment of the audit log that was moved there; restore it from a backup".into(),
            })?;
            unpacked(&away, &object).map(|bytes| (away, bytes))
        };
        match read() {
            Err(LogError::Unavailable { .. } | LogError::Missing { .. }) => read(),
            done => done,
        }
    }

    fn altered(&self, what: &str) -> LogError {
        let why = format!("entry {} at byte {} {what}; run `ringfence audit verify`", self.seq + 1, self.offset);
        LogError::Corrupt { path: self.path.clone(), why }
    }
}

/// The place of the first entry of a segment, whichever form it is in.
fn first_seq(folder: &Path, number: u64) -> Result<u64, LogError> {
    let (plain, packed) = (segment::path(folder, number), segment::packed_path(folder, number));
    let read = || match () {
        () if plain.exists() => segment::read_header(&plain),
        () if packed.exists() => segment::read_footer(&packed).map(|footer| footer.header),
        () => segment::read_footer(&segment::away_path(folder, number)).map(|footer| footer.header),
    };
    // A running service may be changing its form: then once more.
    read().or_else(|_| read()).map(|header| header.first_seq)
}

fn missing(path: PathBuf) -> LogError {
    LogError::Missing { path, why: "a segment of the audit log; restore it from a backup or the archive".into() }
}

/// Bytes of a segment, uncompressed.
fn length(folder: &Path, number: u64, forms: Forms) -> Result<u64, LogError> {
    if forms.plain {
        let path = segment::path(folder, number);
        return match path.metadata() {
            Ok(about) => Ok(about.len()),
            // Compressed a moment ago, by a running service.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                length(folder, number, Forms { plain: false, packed: true, away: false })
            }
            Err(error) => Err(LogError::from_io(&path, "reading the audit log", &error)),
        };
    }
    let path = if forms.packed { segment::packed_path } else { segment::away_path };
    let footer = segment::read_footer(&path(folder, number))?;
    Ok(footer.blocks.last().map_or(HEADER_LEN as u64, |block| block.offset + block.length))
}

fn unpacked(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, LogError> {
    let unpacked = unpack(bytes);
    match unpacked.fault {
        None => Ok(unpacked.plain),
        Some((offset, why)) => {
            let why = format!("at byte {offset}: {why}; run `ringfence audit verify`");
            Err(LogError::Corrupt { path: path.into(), why })
        }
    }
}
