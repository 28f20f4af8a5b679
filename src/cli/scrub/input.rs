//! The CSV file that is read: its separator, its columns, its rows one by one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Terminator};

use super::columns::{self, Columns, Wanted};
use super::{ADDED, is_standard};
use crate::cli::Error;
use crate::store::Digest;

/// Looked at to find the separator.
const HEAD: usize = 64 << 10;
/// Looked at to find the columns.
const LOOKED_AT: usize = 100;
/// The longest row, in bytes. A quote that is never closed would otherwise read the whole file as one.
const LONGEST_ROW: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A CSV file, opened and understood.
pub(super) struct Input {
    /// Which columns hold what.
    pub columns: Columns,
    /// Fields of the first record; every row is answered as if it had so many.
    pub width: usize,
    /// The header, where there is one.
    pub header: Option<ByteRecord>,
    /// How the output is to be written.
    pub form: Form,
    /// Its bytes; `None` where that is not known.
    pub bytes: Option<u64>,
    name: String,
    reader: csv::Reader<Metered>,
    /// Rows already read to find the columns.
    held: VecDeque<ByteRecord>,
    since_row: Arc<AtomicU64>,
    taken: u64,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Parts fields.
    pub delimiter: u8,
    /// Ends rows.
    pub terminator: Terminator,
    /// Begins with the mark that some programs want before UTF-8.
    pub bom: bool,
}

impl Input {
    /// Opens a file and finds its columns.
    pub(super) fn open(path: &Path, wanted: Wanted<'_>) -> Result<Self, Error> {
        let name = if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error: io::Error| Error::io("reading", &name, &error);
        let (source, bytes): (Box<dyn Read + Send>, _) = if is_standard(path) {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if about.is_dir() {
                return Err(Error::said(format!("{name}: a folder, not a CSV file")));
            }
            let bytes = about.is_file().then_some(about.len());
            (Box::new(file), bytes)
        };
        Self::read(source, name, bytes, wanted)
    }

    fn read(
        mut source: Box<dyn Read + Send>,
        name: String,
        bytes: Option<u64>,
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let mut head = Vec::new();
        source.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Error::io("reading", &name, &e))?;
        if let Some(other) = other_format(&head) {
            return Err(Error::said(format!("{name}: {other}: save it as CSV in UTF-8")));
        }
        let bom = head.starts_with(BOM);
        let start = if bom { BOM.len() } else { 0 };
        let form = form(head.get(start..).unwrap_or_default(), bom);
        let since_row = Arc::new(AtomicU64::new(0));
        let mut cursor = Cursor::new(head);
        let mut digest = Context::new(&SHA256);
        if bom {
            digest.update(BOM);
            cursor.set_position(BOM.len() as u64);
        }
        let metered = Metered { source: Box::new(cursor.chain(source)), digest, since_row: Arc::clone(&since_row) };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(form.delimiter)
            .buffer_capacity(BUFFER)
            .from_reader(metered);
        let mut held = VecDeque::new();
        while held.len() <= LOOKED_AT {
            let mut record = ByteRecord::new();
            if !next(&mut reader, &mut record, &since_row, &name)? {
                break;
            }
            held.push_back(record);
        }
        let texts: Vec<_> = held.iter().map(|record| StringRecord::from_byte_record_lossy(record.clone())).collect();
        let (first, rows) =
            texts.split_first().map_or((StringRecord::new(), texts.as_slice()), |(f, r)| (f.clone(), r));
        let columns = columns::detect(&first, rows, wanted).map_err(|error| Error::said(format!("{name}: {error}")))?;
        if let Some(taken) = first.iter().map(str::trim).find(|title| columns.has_header && ADDED.contains(title)) {
            return Err(Error::said(format!(
                "{name}: it has a column {taken} already: scrub the file it was made from, or drop that column"
            )));
        }
        let header = if columns.has_header { held.pop_front() } else { None };
        Ok(Self { width: first.len(), columns, header, form, bytes, name, reader, held, since_row, taken: 0 })
    }

    /// The next row; `false` at the end.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, Error> {
        match self.held.pop_front() {
            Some(held) => {
                *record = held;
                Ok(true)
            }
            None => next(&mut self.reader, record, &self.since_row, &self.name),
        }
    }

    /// How many bytes were read since this was last asked.
    pub(super) fn advanced(&mut self) -> u64 {
        let position = self.reader.position().byte();
        let advanced = position.saturating_sub(self.taken);
        self.taken = position;
        advanced
    }

    /// SHA-256 of the bytes read.
    pub(super) fn digest(self) -> Digest {
        let mut out = [0; 32];
        out.copy_from_slice(self.reader.into_inner().digest.finish().as_ref());
        out
    }
}

fn next(
    reader: &mut csv::Reader<Metered>,
    record: &mut ByteRecord,
    since_row: &AtomicU64,
    name: &str,
) -> Result<bool, Error> {
    // What the reader holds in its buffer was counted before: so much the longer may a row be.
    since_row.store(0, Ordering::Relaxed);
    let line = reader.position().line();
    reader.read_byte_record(record).map_err(|error| match error.kind() {
        csv::ErrorKind::Io(error) => Error::said(format!("{name}:{line}: {error}")),
        _ => Error::said(format!("{name}:{line}: {error}")),
    })
}

/// What a file is that is not CSV, by its first bytes.
fn other_format(head: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "an Excel or ZIP file, not CSV"),
        (b"\xd0\xcf\x11\xe0", "an old Excel file, not CSV"),
        (b"\xff\xfe", "UTF-16, not UTF-8"),
        (b"\xfe\xff", "UTF-16, not UTF-8"),
        (b"\x1f\x8b", "compressed, not CSV"),
        (b"%PDF", "a PDF, not CSV"),
    ];
    KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

fn form(head: &[u8], bom: bool) -> Form {
    let delimiter = columns::delimiter(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    let crlf = end.and_then(|end| head.get(end.checked_sub(1)?)) == Some(&b'\r');
    Form { delimiter, terminator: if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') }, bom }
}

/// Hashes what passes, and refuses a row without end.
struct Metered {
    source: Box<dyn Read + Send>,
    digest: Context,
    since_row: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.digest.update(buffer.get(..read).unwrap_or_default());
        let since = self.since_row.fetch_add(read as u64, Ordering::Relaxed) + read as u64;
        if since > LONGEST_ROW {
            let why = format!("this row is longer than {LONGEST_ROW} bytes: is a quote opened in it and never closed?");
            return Err(io::Error::other(why));
        }
        Ok(read)
    }
}
