//! Every entry of a log, in order, read from its folder without opening it for writing: a copy on another machine will do.

use std::path::{Path, PathBuf};
use std::vec::IntoIter;

use super::frame::{self, HEADER_LEN, Header, NoFrame};
use super::{Entry, Found, LogError, segment};

/// The entries of a folder, oldest first; one segment at a time is in memory. That the chain holds is for
/// [`super::verify`] to say: here an entry must match its own hash, and follow the one before by its number.
#[derive(Debug)]
pub struct Entries {
    segments: IntoIter<PathBuf>,
    /// Bytes of all segments.
    total: u64,
    path: PathBuf,
    bytes: Vec<u8>,
    offset: usize,
    /// The number of the entry before.
    seq: u64,
}

impl Entries {
    /// Begins at the first entry.
    ///
    /// # Errors
    /// The folder cannot be read, or a segment is missing.
    pub fn open(folder: &Path) -> Result<Self, LogError> {
        let listing = segment::list(folder)?;
        let mut total = 0;
        for (number, expected) in listing.numbers.iter().zip(1..) {
            if *number != expected {
                let path = segment::path(folder, expected);
                let why = "a segment of the audit log; restore it from a backup".into();
                return Err(LogError::Missing { path, why });
            }
            let path = segment::path(folder, *number);
            let about = path.metadata().map_err(|error| LogError::from_io(&path, "reading the audit log", &error))?;
            total += about.len();
        }
        let segments: Vec<_> = listing.numbers.iter().map(|number| segment::path(folder, *number)).collect();
        Ok(Self { segments: segments.into_iter(), total, path: folder.into(), bytes: Vec::new(), offset: 0, seq: 0 })
    }

    /// Bytes of the log.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.total
    }

    /// The next entry and how many bytes it takes; `None` at the end, or where the newest one is just being written.
    ///
    /// # Errors
    /// A file cannot be read, or an entry was altered: what stands behind it is not to be relied on.
    pub fn next_entry(&mut self) -> Result<Option<(Found, u64)>, LogError> {
        while self.offset >= self.bytes.len() {
            let Some(path) = self.segments.next() else { return Ok(None) };
            self.bytes = segment::read(&path)?;
            // A crash, or a copy made at this moment, may leave the newest segment without its header.
            if self.bytes.len() < HEADER_LEN && self.segments.len() == 0 {
                return Ok(None);
            }
            Header::decode(&self.bytes).map_err(|bad| segment::bad_header(&path, bad))?;
            (self.path, self.offset) = (path, HEADER_LEN);
        }
        let frame = match frame::at(self.bytes.get(self.offset..).unwrap_or_default()) {
            Ok(frame) => frame,
            Err(NoFrame::Short) if self.segments.len() == 0 => {
                self.offset = self.bytes.len();
                return Ok(None);
            }
            Err(_) => return Err(self.altered("was altered")),
        };
        if frame.seq != self.seq + 1 {
            return Err(self.altered(&format!("is missing: entry {} stands in its place", frame.seq)));
        }
        let Some(entry) = Entry::decode(frame.content) else { return Err(self.altered("does not read as an entry")) };
        self.seq = frame.seq;
        self.offset += frame.length;
        Ok(Some((Found { seq: frame.seq, entry }, frame.length as u64)))
    }

    fn altered(&self, what: &str) -> LogError {
        let why = format!("entry {} at byte {} {what}; run `ringfence audit verify`", self.seq + 1, self.offset);
        LogError::Corrupt { path: self.path.clone(), why }
    }
}
