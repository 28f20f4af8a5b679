//! What the commands that take files of others make of them, row by row: read and understood, and nothing done with it. No
//! store is opened, nothing is recorded, and what is written stays in memory.
//!
//! For the fuzz targets (`fuzz/`) and their seeded runs (`tests/fuzzed.rs`), which hold every row to what is promised of
//! it: the commands themselves end in files, stores and exit statuses.

use std::sync::Arc;

use v1::import_contacts_request::Entry;

use super::contact::import::rows::Source;
use super::{Command, Error, contact, reassigned};
use crate::engine::{Clock, Engine};
use crate::proto::v1;

pub use super::scrub::{Lead, Leads, Mark};

/// A file of rows to record, read to its end or to where it breaks.
#[derive(Debug)]
pub struct Rows {
    /// What stands before the first refused row, where rows are handed back.
    pub head: Vec<u8>,
    /// The rows, in their order.
    pub rows: Vec<Row>,
    /// Why nothing could be read after them.
    pub broken: Option<Error>,
}

/// A row, as its reader understood it.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The line on which it begins.
    pub line: u64,
    /// What it records, or why it is refused.
    pub entry: Result<Entry, v1::ImportRejection>,
    /// The row as it is handed back where it is refused; of one that was understood, as if it were.
    pub refused: Vec<u8>,
}

/// Reads the file of a `contact import` or a `reassigned import`, as its options say.
///
/// # Errors
/// It is another command; the file cannot be opened, or its columns are not known.
pub fn rows(command: &Command) -> Result<Rows, Error> {
    match command {
        Command::Contact(contact::Command::Import(args)) => args.rows().map(all),
        Command::Reassigned(reassigned::Command::Import(args)) => args.rows().map(all),
        _ => Err(Error::said("this command records no rows of a file")),
    }
}

fn all(mut source: impl Source) -> Rows {
    let mut rows = Vec::new();
    let broken = loop {
        match source.next() {
            Ok(Some(row)) => {
                let why = |field: String, message| v1::ImportRejection { row: row.line, field, message };
                let entry = row.entry.map_err(|fault| why(fault.field, fault.message));
                let refused = match &entry {
                    Err(rejection) => source.refused(&row.text, rejection),
                    Ok(_) => source.refused(&row.text, &why(String::new(), String::new())),
                };
                rows.push(Row { line: row.line, entry, refused });
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    Rows { head: source.refused_head(), rows, broken }
}

/// Answers the file of a `scrub` by this engine, as a dry run; the rows after a mark alone, where one is given.
///
/// # Errors
/// It is another command; the file cannot be opened, no column holds numbers, or it is shorter than the mark.
pub async fn leads(command: &Command, engine: &Arc<Engine>, clock: Clock, from: Option<Mark>) -> Result<Leads, Error> {
    match command {
        Command::Scrub(args) => args.leads(engine, clock, from).await,
        _ => Err(Error::said("this command answers no file")),
    }
}
