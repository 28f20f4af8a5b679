//! Lines that were not understood: each is somebody whom the list does not protect.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::registry::Fault;

/// Rejected lines that are named; the others are counted, and stand in the file that was asked for.
const NAMED: usize = 1_000;
/// Those of them that an error names.
const SAID: usize = 20;
/// So many more than are allowed, and the file is of another kind: it is not read further.
const STOP: u64 = 1_000;

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
    /// The first thousand of them.
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
        let others = self.named.get(1..).unwrap_or_default().iter().take(SAID);
        let others: Vec<String> = others.map(|reject| format!("{}:{}", reject.file, reject.line)).collect();
        let more = if others.is_empty() { String::new() } else { format!("; so too {}", others.join(", ")) };
        let stopped = if self.count > allowed.saturating_add(STOP) { "at least " } else { "" };
        let what = format!("{} ({stopped}{} lines were not understood, {allowed} may be{more})", first.why, self.count);
        let remedy = "nothing was imported; look at the lines, name the column of the numbers with --column, or allow \
                      more with --most-rejected";
        Err(Fault::at_line(Path::new(&first.file), first.line, what, remedy))
    }
}

/// The file of the lines that were not understood.
pub struct Sink {
    path: PathBuf,
    file: csv::Writer<Arc<File>>,
    begun: bool,
}

impl Sink {
    pub fn new((path, file): (PathBuf, Arc<File>)) -> Self {
        Self { path, file: csv::Writer::from_writer(file), begun: false }
    }

    pub fn write(&mut self, name: &str, number: u64, why: &str, text: &[u8]) -> Result<(), Fault> {
        let Self { path, file, begun } = self;
        let number = number.to_string();
        let row = [name.as_bytes(), number.as_bytes(), why.as_bytes(), text];
        let head =
            if std::mem::replace(begun, true) { Ok(()) } else { file.write_record(["file", "line", "why", "text"]) };
        head.and_then(|()| file.write_record(row)).map_err(|error| Fault::unwritable(path, &error.into()))
    }

    pub fn finish(&mut self) -> Result<(), Fault> {
        self.file.flush().map_err(|error| Fault::unwritable(&self.path, &error))
    }
}
