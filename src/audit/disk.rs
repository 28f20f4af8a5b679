//! The files that are written to, so that tests can break the disk below them.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// The file of a segment. Another one than [`File`] is for tests that break the disk.
pub trait SegmentFile: Send {
    /// Writes these bytes at this place, the end of the file.
    ///
    /// # Errors
    /// What the system says. Some of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written is on disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Drops everything from this place on.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, offset: u64) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.set_len(offset)
    }
}

/// Opens a segment's file; the flag says whether to make it, empty.
pub type SegmentOpener = dyn Fn(&Path, bool) -> io::Result<Box<dyn SegmentFile>> + Send;

pub(super) fn open_segment(path: &Path, make: bool) -> io::Result<Box<dyn SegmentFile>> {
    let file = OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
    Ok(Box::new(file))
}
