//! Lists as their keepers hand them out, made into set files.
//!
//! Promises: a file is taken as a whole or not at all; each line that is not understood is named with its number and
//! never quoted; memory follows the numbers of the list, not the lines read; the copy in force stays until the new one is
//! complete on disk.

mod line;
mod source;

use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

pub use line::{Line, Reading};
pub use source::{Lines, Opened, open};

use super::ids::{self, Kind};
use super::set::{self, Builder, Header, Set, SetFault};
use super::{Fault, SET};
use crate::time::Instant;

/// Lines between two words of how far it is.
const OFTEN: u64 = 10_000;
/// Rejected lines that are named; the others are counted.
const NAMED: usize = 20;

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
    pub rejected: u64,
    /// The first of them: file, line, reason.
    pub named: Vec<Rejected>,
    /// Deleted numbers that were not there.
    pub missed: u64,
    /// The copy before, if there was one.
    pub before: Option<Header>,
    /// The new copy.
    pub header: Header,
    /// Its file.
    pub path: PathBuf,
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

/// An import under way: make it, let it read each file, finish it.
pub struct Import {
    order: Order,
    reading: Reading,
    builder: Builder,
    /// Of a list of changes: what happened, in the order of the files.
    changes: Vec<Change>,
    before: Option<Set>,
    path: PathBuf,
    read: u64,
    rejected: u64,
    named: Vec<Rejected>,
}

#[derive(Clone, Copy)]
struct Change {
    at: Option<Instant>,
    number: u64,
    added: bool,
}

impl Import {
    /// Begins an import into a folder of lists.
    ///
    /// # Errors
    /// The id is of no list; the copy in force is younger, or unreadable, or missing though it is to be changed.
    pub fn begin(order: Order, folder: &Path) -> Result<Self, Fault> {
        let path = folder.join(format!("{}.{SET}", order.id));
        let kind = ids::kind(&order.id)
            .map_err(|why| Fault::new(&path, why, "give the id of a registry, as `ringfence registry list` shows them"))?;
        if !folder.is_dir() {
            return Err(Fault::new(folder, "is no folder", "make it, or name another one with --registries"));
        }
        let before = previous(&path, order.changes)?;
        if let Some(before) = before.as_ref().map(Set::header).filter(|before| before.as_of > order.as_of) {
            let what = format!("holds a copy of {}, which is younger than {}", before.as_of, order.as_of);
            return Err(Fault::new(&path, what, "import the newest copy, or remove this file first"));
        }
        let mut builder = Builder::default();
        if let Some(before) = before.as_ref().filter(|_| order.changes) {
            for number in before.numbers() {
                let (number, day) = number.map_err(|fault| broken(&path, &fault))?;
                builder.add(number, day);
            }
        }
        let official = match kind {
            Kind::Official(list) => Some(list),
            Kind::Tenant => None,
        };
        let reading = Reading::of(official);
        let (changes, named) = (Vec::new(), Vec::new());
        Ok(Self { order, reading, builder, changes, before, path, read: 0, rejected: 0, named })
    }

    /// Reads one text, to its end. `name` is what it is called in the report; `told` hears of bytes and lines now and then.
    ///
    /// # Errors
    /// The text cannot be read, is no list, or has too many lines that are not understood.
    pub fn read(&mut self, name: &str, text: impl Read, told: &mut dyn FnMut(u64, u64)) -> Result<(), Fault> {
        if let Some(columns) = self.order.columns.clone() {
            return self.read_columns(name, text, &columns, told);
        }
        let place = PathBuf::from(name);
        let mut lines = Lines::new(text);
        let (mut bytes, mut since) = (0, 0);
        while let Some((number, line)) = lines.next().map_err(|error| Fault::unreadable(&place, &error))? {
            let Some(line) = line else {
                self.reject(name, number, "the line is not text, or has more than 4,096 bytes")?;
                continue;
            };
            (bytes, since) = (bytes + u64::try_from(line.len()).unwrap_or(0), since + 1);
            if since == OFTEN {
                told(bytes, since);
                (bytes, since) = (0, 0);
            }
            let line = line.trim();
            if line.starts_with('<') {
                return Err(Fault::new(&place, "is XML", "download the flat file (comma-separated text) instead"));
            }
            // A first line without any number is a header, which needs no names to be passed over.
            let header = self.read == 0 && !line.bytes().any(|byte| byte.is_ascii_digit());
            if line.is_empty() || line.starts_with('#') || header {
                continue;
            }
            let understood = self.reading.line(line.split(delimiter(line)));
            self.judge(name, number, understood)?;
        }
        told(bytes, since);
        Ok(())
    }

    /// A file of which the columns are named, with quotes and line ends within fields as such files may have them.
    fn read_columns(
        &mut self,
        name: &str,
        text: impl Read,
        wanted: &Columns,
        told: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Fault> {
        let place = PathBuf::from(name);
        let unreadable = |error: csv::Error| Fault::unreadable(&place, &error.into());
        let mut text = BufReader::with_capacity(1 << 20, text);
        let head = text.fill_buf().map_err(|error| Fault::unreadable(&place, &error))?;
        let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = u8::try_from(delimiter(&String::from_utf8_lossy(first))).unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
        let header = reader.headers().map_err(unreadable)?;
        let column = |wanted: &str| {
            let mut names = header.iter().map(|name| name.trim_start_matches('\u{feff}').trim());
            names.position(|name| name.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
                let what = format!("no column is called `{wanted}`");
                Fault::at_line(&place, 1, what, "name the columns as the first line of the file has them")
            })
        };
        let number_at = column(&wanted.number)?;
        let date_at = wanted.date.as_deref().map(column).transpose()?;
        let mut row = csv::StringRecord::new();
        let (mut done, mut rows) = (0, 0);
        while reader.read_record(&mut row).map_err(unreadable)? {
            let field = |at: usize| row.get(at).map(str::trim).ok_or("the line has fewer fields than the first one");
            let understood = field(number_at).and_then(|number| {
                let number = self.reading.number(number)?;
                let date = date_at.map(field).transpose()?.filter(|field| !field.is_empty());
                Ok(Line { number, date: date.map(|field| self.reading.date(field)).transpose()?, added: None })
            });
            self.judge(name, row.position().map_or(0, csv::Position::line), understood)?;
            rows += 1;
            if rows == OFTEN {
                let position = reader.position().byte();
                told(position - done, rows);
                (done, rows) = (position, 0);
            }
        }
        told(0, rows);
        Ok(())
    }

    fn judge(&mut self, name: &str, number: u64, understood: Result<Line, &'static str>) -> Result<(), Fault> {
        self.read += 1;
        match understood {
            Ok(line) => self.take(line).map_err(|what| {
                let remedy = "import a full list without --changes, a list of changes with it";
                Fault::at_line(Path::new(name), number, what, remedy)
            }),
            Err(why) => self.reject(name, number, why),
        }
    }

    fn take(&mut self, line: Line) -> Result<(), &'static str> {
        match (self.order.changes, line.added) {
            (false, None) => {
                let date = line.date.filter(|_| self.order.dates);
                self.builder.add(line.number, Reading::day(date));
            }
            (true, Some(added)) => self.changes.push(Change { at: line.date, number: line.number, added }),
            (false, Some(_)) => return Err("this is a line of changes (A or D), and a full list was expected"),
            (true, None) => return Err("this line says neither A nor D, and changes were expected"),
        }
        Ok(())
    }

    fn reject(&mut self, file: &str, line: u64, why: &'static str) -> Result<(), Fault> {
        self.rejected += 1;
        if self.named.len() < NAMED {
            self.named.push(Rejected { file: file.to_owned(), line, why });
        }
        if self.rejected <= self.order.most_rejected {
            return Ok(());
        }
        let what = format!("{why} ({} lines were not understood, {} may be)", self.rejected, self.order.most_rejected);
        let remedy = "nothing was imported; look at the line, or allow more with --most-rejected";
        Err(Fault::at_line(Path::new(file), line, what, remedy))
    }

    /// Writes the new copy in place of the one in force.
    ///
    /// # Errors
    /// Nothing was read; the file cannot be written. The copy in force stays.
    pub fn finish(mut self) -> Result<Report, Fault> {
        if self.read == self.rejected && !self.order.changes {
            let remedy = "a list without numbers protects nobody: look at the files that were given";
            return Err(Fault::new(&self.path, "would become empty", remedy));
        }
        let missed = self.apply();
        let header = Header::new(&self.order.id, self.order.as_of, &self.order.source, self.order.sample);
        let header = set::write(&self.path, header, self.builder).map_err(|fault| broken(&self.path, &fault))?;
        let new = Set::map(&self.path).and_then(|new| new.verify().map(|()| new));
        let new = new.map_err(|fault| broken(&self.path, &fault))?;
        let (added, removed) = match &self.before {
            None => (header.count, 0),
            Some(before) => compared(before, &new).map_err(|fault| broken(&self.path, &fault))?,
        };
        Ok(Report {
            read: self.read,
            added,
            removed,
            rejected: self.rejected,
            named: self.named,
            missed,
            before: self.before.map(|before| before.header().clone()),
            header,
            path: self.path,
        })
    }

    /// Changes in the order of their dates, those of one instant in the order of the files. Says how many numbers were
    /// deleted that were not there.
    fn apply(&mut self) -> u64 {
        let mut changes = std::mem::take(&mut self.changes);
        if changes.iter().all(|change| change.at.is_some()) {
            changes.sort_by_key(|change| change.at);
        }
        let mut missed = 0;
        for Change { at, number, added } in changes {
            if added {
                self.builder.add(number, Reading::day(at.filter(|_| self.order.dates)));
            } else if !self.builder.remove(number) {
                missed += 1;
            }
        }
        missed
    }
}

/// The copy that is there, which must be sound where it is to be changed.
fn previous(path: &Path, needed: bool) -> Result<Option<Set>, Fault> {
    match Set::map(path).and_then(|set| set.verify().map(|()| set)) {
        Ok(set) => Ok(Some(set)),
        Err(SetFault::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            let remedy = "import the full list first, without --changes";
            if needed { Err(Fault::new(path, "does not exist, so there is nothing to change", remedy)) } else { Ok(None) }
        }
        // A broken copy is no reason not to replace it.
        Err(SetFault::Refused(_)) if !needed => Ok(None),
        Err(fault) => Err(broken(path, &fault)),
    }
}

fn broken(path: &Path, fault: &SetFault) -> Fault {
    match fault {
        SetFault::Io(error) => Fault::unreadable(path, error),
        SetFault::Refused(why) => Fault::new(path, why.clone(), "import the full list anew"),
    }
}

/// How many numbers are new, and how many are gone.
fn compared(before: &Set, after: &Set) -> Result<(u64, u64), SetFault> {
    let (mut added, mut removed) = (0, 0);
    let (mut before, mut after) = (before.numbers(), after.numbers());
    let (mut old, mut new) = (before.next().transpose()?, after.next().transpose()?);
    loop {
        let order = match (old, new) {
            (None, None) => return Ok((added, removed)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(&new),
        };
        if order.is_le() {
            removed += u64::from(order.is_lt());
            old = before.next().transpose()?;
        }
        if order.is_ge() {
            added += u64::from(order.is_gt());
            new = after.next().transpose()?;
        }
    }
}

/// What parts the fields of a line.
fn delimiter(line: &str) -> char {
    line.chars().find(|c| matches!(c, ',' | ';' | '\t' | '|')).unwrap_or(',')
}

