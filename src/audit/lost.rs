//! How many entries were lost when a log was closed, told to whoever opens it next: the process that lost them is not asked
//! any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use super::disk::SegmentFile as _;
use crate::time::Instant;

/// Its name beside the segments.
const NAME: &str = "lost";

/// Bytes of a note: how many, and at which millisecond since 1970 the newest of them were noted.
const LEN: usize = 2 * (DIGITS + 1);
const DIGITS: usize = 20;

/// The note beside the segments of a log. It is made when the log is opened and written over in place, so that a full volume
/// has room for it.
#[derive(Debug)]
pub(super) struct Lost {
    /// `None`: it could not be made, and only the line in the log tells.
    file: Option<File>,
    before: u64,
    /// When the newest of them were noted.
    at: Instant,
}

impl Lost {
    /// Reads what was noted, or makes room for it. A note that does not say when counts as of now.
    pub(super) fn open(folder: &Path, now: Instant) -> Self {
        Self::read(folder, now).unwrap_or_else(|error| {
            tracing::warn!(%error, "no room to note what a log loses that is closed while its disk refuses");
            Self { file: None, before: 0, at: now }
        })
    }

    fn read(folder: &Path, now: Instant) -> io::Result<Self> {
        let path = folder.join(NAME);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        let _ = (&mut file).take(64).read_to_end(&mut text)?;
        let mut words = std::str::from_utf8(&text).unwrap_or_default().split_ascii_whitespace();
        let number = words.next().and_then(|word| word.parse().ok());
        let at = words.next().and_then(|word| word.parse().ok()).map(Instant::from_millis);
        let before = match number {
            Some(before) => before,
            // Made, and not written yet.
            None if text.is_empty() => 0,
            // Torn while it was written over, which only a loss does.
            None => 1,
        };
        let mut lost = Self { file: Some(file), before, at: at.unwrap_or(now) };
        if text.is_empty() {
            lost.write(0, now)?;
        } else if at.is_none() || text.len() != LEN {
            // So that later starts do not take it for news; what it says is told now in any case.
            let _ = lost.write(before, lost.at);
        }
        Ok(lost)
    }

    /// How many are noted.
    pub(super) const fn before(&self) -> u64 {
        self.before
    }

    /// When the newest of them were.
    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    /// Notes these besides those of before.
    pub(super) fn add(&mut self, entries: usize, now: Instant) -> io::Result<()> {
        self.write(self.before.saturating_add(entries as u64), now)
    }

    /// Those of before were told.
    pub(super) fn told(&mut self) -> io::Result<()> {
        if self.before > 0 { self.write(0, self.at) } else { Ok(()) }
    }

    fn write(&mut self, entries: u64, at: Instant) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        // Always as long, so that nothing of the one before is left.
        file.write_at(0, format!("{entries:0DIGITS$} {:0DIGITS$}\n", at.millis()).as_bytes())?;
        file.sync()?;
        (self.before, self.at) = (entries, at);
        Ok(())
    }
}
