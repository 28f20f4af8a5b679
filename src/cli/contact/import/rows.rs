//! The rows of a file, each with the line where it begins.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use csv::{ByteRecord, ReaderBuilder};
use serde_json::Value;
use v1::import_contacts_request::Entry;

use super::Columns;
use super::cells::{Cells, Column, Defaults, Fault, fault, folded};
use crate::cli::{Error, packed};
use crate::proto::{json, v1};
use crate::registry::import::may_hold_number;

/// The longest row, in bytes. A quote that is never closed would otherwise read the whole file as one.
const LONGEST_ROW: u64 = 1 << 20;
/// Looked at to find the separator.
const HEAD: u64 = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// What a line end within a cell may come from.
pub(in crate::cli) const OPEN_QUOTE: &str = "holds a line end: is a quote opened on this line and never closed? The rows after it are then read as part of this one";
/// What is added to refused rows.
pub(in crate::cli) const ADDED: [&str; 3] = ["ringfence_line", "ringfence_field", "ringfence_reason"];

/// The form of a file. Its values have no help of their own: with it the whole page would be spread out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Form {
    Csv,
    Jsonl,
}

impl Form {
    /// What a name says, compressed or not.
    pub(super) fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let name = [".gz", ".gzip", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" | "tsv" | "txt" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// The rows of a file, whatever it holds.
pub(in crate::cli) trait Source {
    /// The next row; `None` at the end.
    fn next(&mut self) -> Result<Option<Row>, Error>;

    /// Bytes of the file read so far.
    fn read(&self) -> u64;

    /// What stands before the first refused row.
    fn refused_head(&self) -> Vec<u8>;

    /// A refused row, with why.
    fn refused(&self, text: &Text, why: &v1::ImportRejection) -> Vec<u8>;
}

/// A row as it stands in the file.
pub(in crate::cli) enum Text {
    Csv(ByteRecord),
    Json(Vec<u8>),
}

impl Text {
    /// How long it is.
    pub(in crate::cli) fn bytes(&self) -> usize {
        match self {
            Self::Csv(record) => record.as_slice().len(),
            Self::Json(text) => text.len(),
        }
    }
}

/// A row, or why it is none.
pub(in crate::cli) struct Row {
    pub line: u64,
    pub entry: Result<Entry, Fault>,
    pub text: Text,
}

/// The rows of a file.
pub(super) struct Rows {
    reader: Reader,
    defaults: Defaults,
    name: String,
    read: Arc<AtomicU64>,
}

enum Reader {
    Csv {
        reader: Box<csv::Reader<Limited>>,
        lines: Lines,
        header: ByteRecord,
        columns: Vec<Column>,
        /// Where the columns stand that were added when the rows of this file were refused before.
        added: Vec<usize>,
        delimiter: u8,
    },
    Json {
        reader: BufReader<Box<dyn Read + Send>>,
        line: u64,
    },
}

impl Rows {
    /// Opens a file; of CSV, its columns must all be known.
    pub(super) fn open(path: &Path, form: Form, defaults: Defaults, named: &Columns) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Error::io("reading", &name, &error);
        let (mut source, read) = packed::open(path).map_err(failed)?;
        let mut head = Vec::new();
        source.by_ref().take(HEAD).read_to_end(&mut head).map_err(failed)?;
        let bom = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let delimiter = crate::cli::scrub::delimiter(head.get(bom..).unwrap_or_default());
        let mut lines = Lines::of(&head);
        let mut head = io::Cursor::new(head);
        head.set_position(bom as u64);
        let source: Box<dyn Read + Send> = Box::new(head.chain(source));
        let reader = match form {
            Form::Jsonl => Reader::Json { reader: BufReader::new(source), line: 0 },
            Form::Csv => {
                let mut reader = ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .delimiter(delimiter)
                    .from_reader(Limited { source, since_row: 0 });
                let mut header = ByteRecord::new();
                if !reader.read_byte_record(&mut header).map_err(|error| broken(&name, 1, &error))? {
                    return Err(Error::said(format!("{name}: the file is empty")));
                }
                if header.iter().any(has_line_end) {
                    return Err(Error::said(format!("{name}:1: the name of a column {OPEN_QUOTE}")));
                }
                lines.begun(&header);
                let columns = columns(&header, named).map_err(|why| Error::said(format!("{name}: {why}")))?;
                let added = header.iter().enumerate().filter(|(_, title)| is_added(title)).map(|(at, _)| at).collect();
                Reader::Csv { reader: Box::new(reader), lines, header, columns, added, delimiter }
            }
        };
        Ok(Self { reader, defaults, name, read })
    }
}

impl Source for Rows {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        match &mut self.reader {
            Reader::Csv { reader, lines, header, columns, delimiter, .. } => {
                let mut record = ByteRecord::new();
                reader.get_mut().since_row = 0;
                let at = reader.position().line();
                if !reader.read_byte_record(&mut record).map_err(|error| broken(&self.name, at, &error))? {
                    return Ok(None);
                }
                let line = lines.begun(&record);
                let whole = whole(&record, header, columns, *delimiter);
                let entry = whole.and_then(|()| of_record(&record, columns, &self.defaults));
                Ok(Some(Row { line, entry, text: Text::Csv(record) }))
            }
            Reader::Json { reader, line } => loop {
                *line += 1;
                let at = *line;
                let failed = |error: io::Error| Error::said(format!("{}:{at}: {error}", self.name));
                let mut text = Vec::new();
                reader.take(LONGEST_ROW + 1).read_until(b'\n', &mut text).map_err(failed)?;
                if text.is_empty() {
                    return Ok(None);
                }
                if text.len() as u64 > LONGEST_ROW {
                    return Err(Error::said(format!(
                        "{}:{at}: this line is longer than {LONGEST_ROW} bytes",
                        self.name
                    )));
                }
                let text = unwrapped(text.trim_ascii());
                if !text.is_empty() {
                    return Ok(Some(Row { line: at, entry: of_json(&text, &self.defaults), text: Text::Json(text) }));
                }
            },
        }
    }

    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn refused_head(&self) -> Vec<u8> {
        match &self.reader {
            Reader::Json { .. } => Vec::new(),
            Reader::Csv { header, added, delimiter, .. } => {
                let header = without(header, added);
                written(&header, header.len(), ADDED.map(str::to_owned), *delimiter)
            }
        }
    }

    fn refused(&self, text: &Text, why: &v1::ImportRejection) -> Vec<u8> {
        match (text, &self.reader) {
            (Text::Csv(record), Reader::Csv { columns, added, delimiter, .. }) => {
                let told = [why.row.to_string(), why.field.clone(), why.message.clone()];
                written(&without(record, added), columns.len() - added.len(), told, *delimiter)
            }
            (Text::Csv(_), Reader::Json { .. }) => Vec::new(),
            (Text::Json(text), _) => {
                // What would read otherwise once it was written anew is written as the text that it is.
                let row = json::value(text).unwrap_or_else(|_| Value::from(&*String::from_utf8_lossy(text)));
                let line = serde_json::json!({
                    "line": why.row, "field": why.field, "reason": why.message, "row": row,
                });
                format!("{line}\n").into_bytes()
            }
        }
    }
}

/// A row of as many fields as the first line names, then what is added. One that has another number is written so that it
/// has still: unless somebody mends it, it is refused again.
pub(in crate::cli) fn written(record: &ByteRecord, width: usize, added: [String; 3], delimiter: u8) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
    let empty = std::iter::repeat_n(b"".as_slice(), width.saturating_sub(record.len()));
    let short = std::iter::repeat_n(b"".as_slice(), usize::from(record.len() < width));
    let fields = record.iter().take(width).chain(empty).chain(added.iter().map(String::as_bytes));
    // Written to memory, which takes all.
    let _ = writer.write_record(fields.chain(record.iter().skip(width)).chain(short));
    writer.into_inner().unwrap_or_default()
}

fn broken(name: &str, line: u64, error: &csv::Error) -> Error {
    Error::said(format!("{name}:{line}: {error}"))
}

fn columns(header: &ByteRecord, named: &Columns) -> Result<Vec<Column>, String> {
    let titles: Vec<String> = header.iter().map(|title| String::from_utf8_lossy(title).trim().to_owned()).collect();
    let all = || titles.iter().map(|title| shown(title)).collect::<Vec<_>>().join(", ");
    let is = |title: &str, name: &str| folded(title) == folded(name) && !folded(name).is_empty();
    for name in named.ignore_column.iter().chain(&named.number_column) {
        if !titles.iter().any(|title| is(title, name)) {
            return Err(format!("there is no column `{}`; the columns are: {}", shown(name), all()));
        }
    }
    let mut columns: Vec<Column> = Vec::with_capacity(titles.len());
    for title in &titles {
        let column = if named.ignore_column.iter().any(|name| is(title, name)) || is_added(title.as_bytes()) {
            Column::Ignored
        } else if named.number_column.as_ref().is_some_and(|name| is(title, name)) {
            Column::Number
        } else {
            Column::of_title(title).ok_or_else(|| {
                let title = shown(title);
                format!(
                    "the column `{title}` is not known, and what it says might matter: --ignore-column if it does not"
                )
            })?
        };
        if column != Column::Ignored && columns.contains(&column) {
            let title = shown(title);
            return Err(format!("two columns are called like `{title}`: leave one out with --ignore-column"));
        }
        columns.push(column);
    }
    match columns.contains(&Column::Number) {
        true => Ok(columns),
        false => Err(format!("no column is called number; name it with --number-column, of {}", all())),
    }
}

/// A title as it may be shown: a file without titles begins with somebody's number.
fn shown(title: &str) -> String {
    let masked = title.chars().filter(char::is_ascii_digit).count() > 6;
    let safe = |c: char| match c {
        c if c.is_control() => ' ',
        c if masked && c.is_ascii_digit() => '•',
        c => c,
    };
    title.chars().take(40).map(safe).collect()
}

/// Whether a column says why its rows were refused before.
fn is_added(title: &[u8]) -> bool {
    let title = folded(&String::from_utf8_lossy(title));
    ADDED.iter().any(|added| folded(added) == title)
}

/// A record without the fields at these places.
fn without(record: &ByteRecord, places: &[usize]) -> ByteRecord {
    record.iter().enumerate().filter(|(at, _)| !places.contains(at)).map(|(_, field)| field).collect()
}

pub(in crate::cli) fn has_line_end(field: &[u8]) -> bool {
    field.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Refuses a record that may be several rows of which a quote made one: an opt-out among them would be lost in silence. A
/// wording may have several lines, none of which is taken for a row.
fn whole(record: &ByteRecord, header: &ByteRecord, columns: &[Column], delimiter: u8) -> Result<(), Fault> {
    for (at, cell) in record.iter().enumerate().filter(|(_, cell)| has_line_end(cell)) {
        let is_wording = columns.get(at) == Some(&Column::Wording);
        if !is_wording || record.len() != header.len() || may_hold_rows(cell, delimiter) {
            let title = header.get(at).map(|title| shown(&String::from_utf8_lossy(title))).unwrap_or_default();
            return Err(fault(&title, OPEN_QUOTE));
        }
    }
    if record.len() != header.len() {
        let (has, of) = (record.len(), header.len());
        return Err(fault("", format!("has {has} fields, and the first line {of}: one for each, be it empty")));
    }
    Ok(())
}

/// Whether there may be rows in a cell: between its separators something stands alone that may be a number, or the kind of
/// a row. Every row that a quote can swallow has its number in the cell.
fn may_hold_rows(cell: &[u8], delimiter: u8) -> bool {
    let mut parts = cell.split(|byte| *byte == delimiter || matches!(byte, b'\n' | b'\r'));
    let is_kind = |part: &[u8]| matches!(folded(&String::from_utf8_lossy(part)).as_str(), "consent" | "optout");
    may_hold_number(cell, delimiter) || parts.any(is_kind)
}

/// A row of JSON as it stood before it was refused: the file of refused rows may be imported once they are mended.
fn unwrapped(text: &[u8]) -> Vec<u8> {
    let is_wrapped = text.windows(5).any(|word| word == b"\"row\"");
    let value = if is_wrapped { json::value(text).ok() } else { None };
    let Some(Value::Object(mut members)) = value else { return text.to_vec() };
    let ours = ["line", "field", "reason", "row"];
    if !members.keys().all(|key| ours.contains(&key.as_str())) {
        return text.to_vec();
    }
    match members.remove("row") {
        // It was no JSON.
        Some(Value::String(row)) => row.trim().as_bytes().to_vec(),
        Some(row @ Value::Object(_)) => row.to_string().into_bytes(),
        _ => text.to_vec(),
    }
}

fn of_record(record: &ByteRecord, columns: &[Column], defaults: &Defaults) -> Result<Entry, Fault> {
    let mut cells = Vec::with_capacity(record.len());
    for cell in record {
        cells.push(std::str::from_utf8(cell).map_err(|_| fault("", "holds bytes that are not UTF-8"))?);
    }
    Cells { columns, cells: &cells }.entry(defaults)
}

/// A row of JSON: what it records, in the words of the contract. Only its region and its scope are filled up, where all is
/// silent.
fn of_json(text: &[u8], defaults: &Defaults) -> Result<Entry, Fault> {
    let row: v1::ImportContactsRequest =
        json::read(text).map_err(|error| fault(error.field().unwrap_or_default(), error.to_string()))?;
    if row.row != 0 || !row.import_id.is_empty() {
        return Err(fault("", "names its import or row: the file and the line do; leave both out"));
    }
    let mut entry =
        row.entry.ok_or_else(|| fault("", "records nothing: one of consent, optOut and facts is required"))?;
    let (number, region) = match &mut entry {
        Entry::Consent(request) => (&request.number, &mut request.default_region),
        Entry::OptOut(request) => (&request.number, &mut request.default_region),
        Entry::Facts(request) => (&request.number, &mut request.default_region),
    };
    if region.is_empty() && !number.starts_with('+') {
        region.clone_from(&defaults.default_region);
    }
    Ok(entry)
}

/// The lines on which rows begin. Rows go by them, so no two have the same.
pub(in crate::cli) struct Lines {
    /// Whether lines end as Windows ends them.
    crlf: bool,
    last: u64,
}

impl Lines {
    /// Of a file that begins so.
    pub(in crate::cli) fn of(head: &[u8]) -> Self {
        let end = head.iter().position(|byte| *byte == b'\n');
        let crlf = end.and_then(|end| head.get(end.checked_sub(1)?)) == Some(&b'\r');
        Self { crlf, last: 0 }
    }

    /// The line on which the next row begins. To the reader a row ends with its `\r`, so that the `\n` after it is still
    /// before the next one, a line too early; and where `\r` alone ends rows, it counts no lines.
    pub(in crate::cli) fn begun(&mut self, record: &ByteRecord) -> u64 {
        let told = record.position().map_or(1, |at| at.line() + u64::from(self.crlf && at.byte() > 0));
        self.last = told.max(self.last + 1);
        self.last
    }
}

/// Refuses a row without end.
pub(in crate::cli) struct Limited {
    pub source: Box<dyn Read + Send>,
    pub since_row: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.since_row += read as u64;
        if self.since_row > LONGEST_ROW {
            let why = format!("this row is longer than {LONGEST_ROW} bytes: is a quote opened in it and never closed?");
            return Err(io::Error::other(why));
        }
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_on_lines_however_lines_end() {
        for (text, lines) in [
            ("a\nb\nc\n", [1, 2, 3]),
            ("a\r\nb\r\nc\r\n", [1, 2, 3]),
            ("a\rb\rc\r", [1, 2, 3]),
            ("a\r\n\"b\r\nb\"\r\nc\r\n", [1, 2, 4]),
            ("a\nb\r\nc\n", [1, 2, 3]),
        ] {
            let mut found = Lines::of(text.as_bytes());
            let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let begun: Vec<_> = reader.byte_records().map(|record| found.begun(&record.unwrap())).collect();
            assert_eq!(begun, lines, "{text:?}");
        }
    }
}
