//! How many entries were lost when a log was closed, told to whoever opens it next: the process that lost them is not asked
//! any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use super::disk::SegmentFile as _;

/// Its name beside the segments.
const NAME: &str = "lost";

/// The note beside the segments of a log. It is made when the log is opened and written over in place, so that a full volume
/// has room for it.
#[derive(Debug)]
pub(super) struct Lost {
    /// `None`: it could not be made, and only the line in the log tells.
    file: Option<File>,
    before: u64,
}

impl Lost {
    /// Reads what was noted, or makes room for it.
    pub(super) fn open(folder: &Path) -> Self {
        Self::read(folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "no room to note what a log loses that is closed while its disk refuses");
            Self { file: None, before: 0 }
        })
    }

    fn read(folder: &Path) -> io::Result<Self> {
        let path = folder.join(NAME);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        let _ = (&mut file).take(64).read_to_end(&mut text)?;
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        let before = match number {
            Some(before) => before,
            // Made, and not written yet.
            None if text.is_empty() => 0,
            // Torn while it was written over, which only a loss does.
            None => 1,
        };
        let mut lost = Self { file: Some(file), before };
        if text.is_empty() {
            lost.write(0)?;
        }
        Ok(lost)
    }

    /// How many are noted.
    pub(super) const fn before(&self) -> u64 {
        self.before
    }

    /// Notes these besides those of before.
    pub(super) fn add(&mut self, entries: usize) -> io::Result<()> {
        self.write(self.before.saturating_add(entries as u64))
    }

    /// Those of before were told.
    pub(super) fn told(&mut self) -> io::Result<()> {
        if self.before > 0 { self.write(0) } else { Ok(()) }
    }

    fn write(&mut self, entries: u64) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        // Always as long, so that nothing of the one before is left.
        file.write_at(0, format!("{entries:020}\n").as_bytes())?;
        file.sync()?;
        self.before = entries;
        Ok(())
    }
}
