//! Consents, opt-outs and facts by the million, each row a write like any other.
//!
//! Promises: a row is one write of one record, so none is ever half applied; it is recorded whole or refused with its
//! reason, and what is wrong with one is nothing to the others; rows of one number are recorded in their order; sent again
//! after whatever ended it, an import records nothing twice. Guarded by `tests/service/import.rs` and
//! `tests/cli/import.rs`.

use std::collections::HashMap;

use aws_lc_rs::digest::{Context, SHA256};
use futures_util::StreamExt as _;
use prost::Message as _;
use v1::import_contacts_request::Entry;

use super::consent::{Written, receipt_text};
use super::control::wire;
use super::{Clock, Engine, Failure, Unmet, question};
use crate::access::Permit;
use crate::contact::wire::{Reader, Violation};
use crate::place::Number;
use crate::proto::store::AuditedBatch;
use crate::proto::v1;
use crate::store::StoreError;

/// How many numbers are written at once: enough for their writes to share a commit.
const AT_ONCE: usize = 256;
/// The longest name of an import, in bytes: with a row's number it is still an id.
const NAME_BYTES: usize = 100;
/// How many refused rows are told of.
const TOLD: usize = 10_000;
/// How many stretches of refused rows are named: some 1.5 MB of a response, which a client takes up to 4 MB of.
const STRETCHES: usize = 100_000;

/// An import under way.
pub struct Import {
    name: String,
    last_row: u64,
    digest: Context,
    told: v1::ImportContactsResponse,
}

/// What became of one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Imported {
    /// Recorded now.
    Accepted,
    /// An earlier run of this import had recorded it.
    Repeated,
    /// Refused: nothing of it was recorded.
    Rejected(v1::ImportRejection),
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("name", &self.name).field("last_row", &self.last_row).finish_non_exhaustive()
    }
}

impl Import {
    /// Begins an import of this name.
    ///
    /// # Errors
    /// The name is empty, too long, or holds a control character.
    pub fn new(name: &str) -> Result<Self, Failure> {
        let mut reader = Reader::new();
        reader.name("import_id", name, |name| Some(name.len()));
        match name.len() {
            0 => reader
                .fault("import_id", "is required in the first message: it makes the same import sent again harmless"),
            long if long > NAME_BYTES => {
                reader.fault("import_id", format!("is {long} bytes long; at most {NAME_BYTES} are accepted"));
            }
            _ => {}
        }
        wire::sound(reader)?;
        let told = v1::ImportContactsResponse { import_id: name.to_owned(), ..v1::ImportContactsResponse::default() };
        Ok(Self { name: name.to_owned(), last_row: 0, digest: Context::new(&SHA256), told })
    }

    /// Takes rows up: their order and the import they belong to.
    fn take(&mut self, rows: &[v1::ImportContactsRequest]) -> Result<(), Failure> {
        if self.told.rejected_rows.len() > STRETCHES {
            return Err(Failure::Precondition(
                Unmet::TooManyRefused,
                "more rows were refused than can be named: mend them, or send fewer at a time",
            ));
        }
        for row in rows {
            if !row.import_id.is_empty() && row.import_id != self.name {
                return Err(fault("import_id", "names another import than the first message: begin another stream"));
            }
            if row.row <= self.last_row {
                let after = self.last_row;
                return Err(fault(
                    "row",
                    format!("is {}, after {after}: rows are numbered from 1, ascending", row.row),
                ));
            }
            self.last_row = row.row;
            self.digest.update(&row.encode_length_delimited_to_vec());
        }
        Ok(())
    }

    fn count(&mut self, became: &Imported) {
        match became {
            Imported::Accepted => self.told.accepted += 1,
            Imported::Repeated => self.told.repeated_rows += 1,
            Imported::Rejected(why) => {
                self.told.rejected += 1;
                match self.told.rejected_rows.last_mut() {
                    Some(stretch) if stretch.last.checked_add(1) == Some(why.row) => stretch.last = why.row,
                    _ => self.told.rejected_rows.push(v1::RowRange { first: why.row, last: why.row }),
                }
                if self.told.rejections.len() < TOLD {
                    self.told.rejections.push(why.clone());
                }
            }
        }
    }
}

/// A row on its way.
struct Row {
    place: usize,
    row: u64,
    entry: Entry,
}

impl Engine {
    /// Records rows, and says what became of each, in their order. After a failure some may have been recorded: the import
    /// is sent again.
    ///
    /// # Errors
    /// Rows out of order or of another import; store or log unavailable; the deadline passed.
    pub async fn import_rows(
        &self,
        permit: &Permit,
        import: &mut Import,
        rows: Vec<v1::ImportContactsRequest>,
        clock: Clock,
    ) -> Result<Vec<Imported>, Failure> {
        import.take(&rows)?;
        let mut became: Vec<Option<Imported>> = Vec::with_capacity(rows.len());
        let mut lines: Vec<Vec<Row>> = Vec::with_capacity(rows.len());
        let mut of_number: HashMap<Number, usize> = HashMap::with_capacity(rows.len());
        for (place, message) in rows.into_iter().enumerate() {
            let row = message.row;
            let Some(mut entry) = message.entry else {
                let why = "records nothing: one of consent, opt_out and facts is required";
                became.push(Some(rejected(row, "", why)));
                continue;
            };
            became.push(None);
            name(&mut entry, &import.name, row);
            let number = number_of(&entry);
            let line = number.map_or(lines.len(), |number| *of_number.entry(number).or_insert(lines.len()));
            let row = Row { place, row, entry };
            match lines.get_mut(line) {
                None => lines.push(vec![row]),
                Some(line) => line.push(row),
            }
        }
        let lines: Vec<_> = lines.into_iter().map(|line| self.import_line(permit, line, clock)).collect();
        let mut lines = futures_util::stream::iter(lines).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some((done, failure)) = lines.next().await {
            for (place, what) in done {
                if let Some(slot) = became.get_mut(place) {
                    *slot = Some(what);
                }
            }
            // The others are under way, and are seen to their end.
            failed = failed.or(failure);
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        let became: Option<Vec<_>> = became.into_iter().collect();
        let became = became.ok_or_else(|| Failure::Internal("a row was left undone".to_owned()))?;
        became.iter().for_each(|what| import.count(what));
        Ok(became)
    }

    /// Records the rows of one number, one after the other, up to the first that fails for a reason of ours.
    async fn import_line(
        &self,
        permit: &Permit,
        line: Vec<Row>,
        clock: Clock,
    ) -> (Vec<(usize, Imported)>, Option<Failure>) {
        let mut done = Vec::with_capacity(line.len());
        for Row { place, row, entry } in line {
            let written = match entry {
                Entry::Consent(request) => self.write_consent(permit, request, clock).await,
                Entry::OptOut(request) => self.write_opt_out(permit, request, clock).await,
                Entry::Facts(request) => self.write_facts(permit, request, clock).await,
            };
            match became(row, written) {
                Ok(what) => done.push((place, what)),
                Err(failure) => return (done, Some(failure)),
            }
        }
        (done, None)
    }

    /// Ends an import: what became of it, and the entry of the whole, safe in the log.
    ///
    /// # Errors
    /// Store or log unavailable: its rows are recorded, and it is sent again for its entry.
    pub async fn finish_import(
        &self,
        permit: &Permit,
        import: Import,
        clock: Clock,
    ) -> Result<v1::ImportContactsResponse, Failure> {
        let Import { name, digest, mut told, .. } = import;
        let batch = AuditedBatch {
            operation: "import".to_owned(),
            name,
            input_digest: digest.finish().as_ref().to_vec(),
            rows: told.accepted + told.repeated_rows + told.rejected,
            accepted: told.accepted,
            ..AuditedBatch::default()
        };
        let entry = self.log_batch(permit, batch, clock).await?;
        told.receipt_id = entry.map_or_else(|| receipt_text(*uuid::Uuid::now_v7().as_bytes()), |id| id.to_string());
        Ok(told)
    }
}

/// What became of a row; a failure that is not the row's own is handed back.
fn became(row: u64, written: Result<(Number, Written), Failure>) -> Result<Imported, Failure> {
    match written {
        Ok((_, written)) if written.repeated => Ok(Imported::Repeated),
        Ok(_) => Ok(Imported::Accepted),
        Err(Failure::Invalid(faults)) => {
            let fault = faults.into_iter().next();
            let (field, message) = fault.map_or_else(Default::default, |fault| (fault.field, fault.message));
            Ok(rejected(row, &field, message))
        }
        Err(Failure::AlreadyExists(_)) => {
            let why =
                "was recorded before under this id with other content: another import, or another id, is another row";
            Ok(rejected(row, "request_id", why))
        }
        Err(Failure::Store(StoreError::TooLarge { .. })) => {
            Ok(rejected(row, "", "the record of this number would be larger than a record may be"))
        }
        Err(failure) => Err(failure),
    }
}

fn rejected(row: u64, field: &str, message: impl Into<String>) -> Imported {
    Imported::Rejected(v1::ImportRejection { row, field: field.to_owned(), message: message.into() })
}

/// Gives a row without a request_id the one that follows from import and row.
fn name(entry: &mut Entry, import: &str, row: u64) {
    let id = match entry {
        Entry::Consent(request) => &mut request.request_id,
        Entry::OptOut(request) => &mut request.request_id,
        Entry::Facts(request) => &mut request.request_id,
    };
    if id.is_empty() {
        *id = format!("{import}#{row}");
    }
}

/// The number that a row is about, where it is one.
fn number_of(entry: &Entry) -> Option<Number> {
    let (text, region) = match entry {
        Entry::Consent(request) => (&request.number, &request.default_region),
        Entry::OptOut(request) => (&request.number, &request.default_region),
        Entry::Facts(request) => (&request.number, &request.default_region),
    };
    question::number(&mut Reader::new(), text, region).ok()
}

fn fault(field: &str, message: impl Into<String>) -> Failure {
    Failure::Invalid(vec![Violation { field: field.to_owned(), message: message.into() }])
}
