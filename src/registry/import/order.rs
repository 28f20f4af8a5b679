//! What is asked of an import, and what it says it did.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Answers, Dates, Rejects};
use crate::place::Jurisdiction;
use crate::registry::set::{Areas, Header};
use crate::time::Instant;

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
    /// The new copy may be empty, hold less than half of the one before, all of it or of an area, or be of fewer areas than
    /// its list has.
    pub fewer: bool,
    /// The area codes that the files are of, of a North American list. `None`: of a list that is handed out by area code,
    /// those that they have enough numbers of; otherwise the whole list. A list of changes leaves them as they are.
    pub areas: Option<Areas>,
    /// Of a list of changes: it has all since this instant, up to that of the copy.
    pub since: Option<Instant>,
    /// Of a list of changes: some between the copy in force and the new one may be missing.
    pub gap: bool,
    /// Of a list of the tenant's own: where numbers without a country code belong.
    pub region: Option<Jurisdiction>,
    /// Of a register that was asked about numbers: what its answer holds. The files are then the answer, and what was asked is
    /// read beside it.
    pub answers: Option<Answers>,
    /// The columns of what was asked, where it has a header.
    pub asked_columns: Option<Columns>,
    /// Of a list of the tenant's own: its tags may be under other keys, or another tenant's, than those of the copy in force.
    pub new_keys: bool,
    /// Where lines that are not understood are written to: a file for its owner alone, since it holds whole numbers, and its name.
    pub rejected: Option<(PathBuf, Arc<File>)>,
}

impl Order {
    /// A full copy of a list, nothing else said of it.
    #[must_use]
    pub fn new(id: &str, as_of: Instant) -> Self {
        Self {
            id: id.to_owned(),
            as_of,
            source: String::new(),
            sample: false,
            changes: false,
            dates: true,
            columns: None,
            most_rejected: 0,
            fewer: false,
            areas: None,
            since: None,
            gap: false,
            region: None,
            answers: None,
            asked_columns: None,
            new_keys: false,
            rejected: None,
        }
    }
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
    /// Numbers that were to be deleted before the day of the copy in force, and were left as they are in it.
    pub kept: u64,
    /// Of a list of changes: what their dates tell.
    pub dates: Dates,
    /// The copy before, if there was one.
    pub before: Option<Header>,
    /// The new copy.
    pub header: Header,
    /// Its file.
    pub path: PathBuf,
    /// A list of the same id as text, which the new copy takes the place of.
    pub superseded: Option<PathBuf>,
    /// Areas that it has numbers of and does not speak for.
    pub beside: Areas,
    /// Areas that the copy before spoke for, and it does not.
    pub given_up: Areas,
}
