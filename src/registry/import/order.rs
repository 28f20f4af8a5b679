//! What is asked of an import, and what it says it did.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::registry::Fault;
use crate::registry::set::Header;
use crate::time::Instant;

/// Rejected lines that are named; the others are counted.
const NAMED: usize = 20;
/// So many more than are allowed, and the file is of another kind: it is not read further.
const STOP: u64 = 1_000;

/// What is asked of an import.
#[derive(Clone, Debug)]
pub struct Order {
    /// The canonical id of the list.
    pub id: String,
    /// When the keeper made this copy.
    pub as_of: Instant,
    /// Where it comes from, in words.
    pub source: String,
    /// The numbers are made up.
    pub sample: bool,
    /// The files change the copy in force, by lines of numbers added and deleted.
    pub changes: bool,
    /// Dates of entry are kept.
    pub dates: bool,
    /// The columns of number and date in files with a header.
    pub columns: Option<Columns>,
    /// More lines that are not understood than this, and nothing is imported.
    pub most_rejected: u64,
    /// The new copy may be empty, or hold less than half of the one before.
    pub fewer: bool,
}

/// Columns by the names in the header of a CSV file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Columns {
    /// Of the number.
    pub number: String,
    /// Of the date of entry.
    pub date: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Lines read, those of headers and empty ones apart.
    pub read: u64,
    /// Numbers that the copy before had not.
    pub added: u64,
    /// Numbers of the copy before that are gone.
    pub removed: u64,
    /// Lines that were not understood.
    pub rejects: Rejects,
    /// Lines that could be read as two numbers: both were taken.
    pub ambiguous: u64,
    /// Deleted numbers that were not there.
    pub missed: u64,
    /// The copy before, if there was one.
    pub before: Option<Header>,
    /// The new copy.
    pub header: Header,
    /// Its file.
    pub path: PathBuf,
    /// A list of the same id as text, which the new copy takes the place of.
    pub superseded: Option<PathBuf>,
}

/// A line that was not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// The file, and within an archive the member.
    pub file: String,
    /// Counted from 1.
    pub line: u64,
    /// Why; the line is not quoted.
    pub why: &'static str,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// The lines that were not understood.
#[derive(Clone, Debug, Default)]
pub struct Rejects {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub named: Vec<Rejected>,
}

impl Rejects {
    /// Takes one down. An error once there are so many that the file must be of another kind.
    pub(super) fn add(&mut self, file: &str, line: u64, why: &'static str, allowed: u64) -> Result<(), Fault> {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(Rejected { file: file.to_owned(), line, why });
        }
        if self.count > allowed.saturating_add(STOP) { self.within(allowed) } else { Ok(()) }
    }

    /// An error that names the first of them where there are more than are allowed.
    pub(super) fn within(&self, allowed: u64) -> Result<(), Fault> {
        let Some(first) = self.named.first().filter(|_| self.count > allowed) else { return Ok(()) };
        let others = self.named.get(1..).unwrap_or_default().iter();
        let others: Vec<String> = others.map(|reject| format!("{}:{}", reject.file, reject.line)).collect();
        let more = if others.is_empty() { String::new() } else { format!("; so too {}", others.join(", ")) };
        let stopped = if self.count > allowed.saturating_add(STOP) { "at least " } else { "" };
        let what = format!("{} ({stopped}{} lines were not understood, {allowed} may be{more})", first.why, self.count);
        let remedy = "nothing was imported; look at the lines, name the column of the numbers with --column, or allow \
                      more with --most-rejected";
        Err(Fault::at_line(Path::new(&first.file), first.line, what, remedy))
    }
}
