//! The file that is read: CSV, compressed or not, or Parquet; its columns, its rows one by one.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{Context, SHA256};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Terminator};

use super::columns::{self, Columns, Wanted};
use super::parquet::Table;
use super::{ADDED, is_standard};
use crate::cli::{Error, packed};
use crate::store::Digest;

/// Looked at to find the separator.
const HEAD: usize = 64 << 10;
/// Looked at to find the columns.
pub(super) const LOOKED_AT: usize = 100;
/// The longest row, in bytes. A quote that is never closed would otherwise read the whole file as one.
const LONGEST_ROW: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file, opened and understood.
pub(super) struct Input {
    /// Which columns hold what.
    pub columns: Columns,
    /// Fields of the first record; every row is answered as if it had so many.
    pub width: usize,
    /// The header, where there is one.
    pub header: Option<ByteRecord>,
    /// How the output is to be written.
    pub form: Form,
    /// Its bytes, as they lie on disk; `None` where that is not known.
    pub bytes: Option<u64>,
    path: PathBuf,
    name: String,
    source: Source,
    /// Bytes read as they lie on disk, and those that were told of.
    read: Arc<AtomicU64>,
    told: u64,
}

enum Source {
    Csv(Box<Text>),
    Parquet(Box<Table>),
}

/// CSV.
struct Text {
    reader: csv::Reader<Metered>,
    /// Rows already read to find the columns, each with where it begins.
    held: VecDeque<(Place, ByteRecord)>,
    since_row: Arc<AtomicU64>,
    /// Where the reader began: bytes and lines.
    base: Place,
}

/// A place between two rows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Place {
    /// Of CSV: bytes, after decompression, from the first row on. Of Parquet: rows.
    pub offset: u64,
    /// Of CSV: lines.
    pub line: u64,
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
    /// Parquet: what is written beside it are the answers alone.
    pub parquet: bool,
}

impl Input {
    /// Opens a file and finds its columns.
    pub(super) fn open(path: &Path, wanted: Wanted<'_>) -> Result<Self, Error> {
        let name = if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |error: io::Error| Error::io("reading", &name, &error);
        if is_standard(path) {
            let (source, read) = packed::unpacked(io::stdin()).map_err(failed)?;
            return Self::read_csv(source, path, name, None, read, wanted);
        }
        let about = std::fs::metadata(path).map_err(failed)?;
        if about.is_dir() {
            return Err(Error::said(format!("{name}: a folder, not a CSV file")));
        }
        let bytes = about.is_file().then_some(about.len());
        let mut head = Vec::new();
        if about.is_file() {
            File::open(path).and_then(|file| file.take(4).read_to_end(&mut head)).map_err(failed)?;
        }
        if head == b"PAR1" {
            return Self::read_parquet(path, name, bytes, wanted);
        }
        let (source, read) = packed::open(path).map_err(failed)?;
        Self::read_csv(source, path, name, bytes, read, wanted)
    }

    fn read_parquet(path: &Path, name: String, bytes: Option<u64>, wanted: Wanted<'_>) -> Result<Self, Error> {
        let table = Table::open(path)?;
        let (first, rows) = table.looked_at()?;
        let columns = columns::detect_named(&first, &rows, wanted);
        let columns = columns.map_err(|error| Error::said(format!("{name}: {error}")))?;
        if let Some(taken) = first.iter().find(|title| ADDED.contains(title)) {
            return Err(already(&name, taken));
        }
        let (table, columns) = table.only(&columns);
        let form = Form { delimiter: b',', terminator: Terminator::Any(b'\n'), bom: false, parquet: true };
        let read = Arc::clone(&table.read);
        let source = Source::Parquet(Box::new(table));
        Ok(Self { columns, width: 0, header: None, form, bytes, path: path.to_owned(), name, source, read, told: 0 })
    }

    fn read_csv(
        mut source: Box<dyn Read + Send>,
        path: &Path,
        name: String,
        bytes: Option<u64>,
        read: Arc<AtomicU64>,
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let mut head = Vec::new();
        source.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(|e| Error::io("reading", &name, &e))?;
        if let Some(other) = other_format(&head) {
            return Err(Error::said(format!("{name}: {other}: save it as CSV in UTF-8")));
        }
        let bom = head.starts_with(BOM);
        let form = form(head.get(if bom { BOM.len() } else { 0 }..).unwrap_or_default(), bom);
        let source = Box::new(Cursor::new(head).chain(source));
        let mut text = Text::begin(source, form, Place::default()).map_err(|e| Error::io("reading", &name, &e))?;
        while text.held.len() <= LOOKED_AT {
            let mut record = ByteRecord::new();
            let place = text.place();
            if !text.read(&mut record, &name)? {
                break;
            }
            text.held.push_back((place, record));
        }
        let texts = text.held.iter().map(|(_, record)| StringRecord::from_byte_record_lossy(record.clone()));
        let texts: Vec<_> = texts.collect();
        let (first, rows) =
            texts.split_first().map_or((StringRecord::new(), texts.as_slice()), |(f, r)| (f.clone(), r));
        let columns = columns::detect(&first, rows, wanted).map_err(|error| Error::said(format!("{name}: {error}")))?;
        if let Some(taken) = first.iter().map(str::trim).find(|title| columns.has_header && ADDED.contains(title)) {
            return Err(already(&name, taken));
        }
        let header = if columns.has_header { text.held.pop_front().map(|(_, header)| header) } else { None };
        let (width, source) = (first.len(), Source::Csv(Box::new(text)));
        Ok(Self { columns, width, header, form, bytes, path: path.to_owned(), name, source, read, told: 0 })
    }

    /// The next row; `false` at the end.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, Error> {
        match &mut self.source {
            Source::Parquet(table) => table.next(record),
            Source::Csv(text) => match text.held.pop_front() {
                Some((_, held)) => {
                    *record = held;
                    Ok(true)
                }
                None => text.read(record, &self.name),
            },
        }
    }

    /// Where the next row begins.
    pub(super) fn place(&self) -> Place {
        match &self.source {
            Source::Parquet(table) => Place { offset: table.row(), line: 0 },
            Source::Csv(text) => text.held.front().map_or_else(|| text.place(), |(place, _)| *place),
        }
    }

    /// Goes on at a place that an earlier run came to.
    pub(super) fn go_to(&mut self, place: Place) -> Result<(), Error> {
        let failed = |error: io::Error| Error::io("reading", &self.name, &error);
        match &mut self.source {
            Source::Parquet(table) => table.go_to(place.offset),
            Source::Csv(text) => {
                let (source, read) = packed::open(&self.path).map_err(failed)?;
                **text = Text::begin(source, self.form, place).map_err(failed)?;
                self.read = read;
                Ok(())
            }
        }
    }

    /// How many bytes were read since this was last asked, as they lie on disk.
    pub(super) fn advanced(&mut self) -> u64 {
        let read = self.read.load(Ordering::Relaxed);
        let advanced = read.saturating_sub(self.told);
        self.told = read;
        advanced
    }

    /// SHA-256 of the rows as read: of CSV after decompression, of Parquet of the file.
    pub(super) fn digest(self) -> Result<Digest, Error> {
        match self.source {
            Source::Csv(text) => {
                let mut out = [0; 32];
                out.copy_from_slice(text.reader.into_inner().digest.finish().as_ref());
                Ok(out)
            }
            Source::Parquet(_) => super::output::digest_of(&self.path),
        }
    }

    /// Whether the rows lie in a file that can be opened again.
    pub(super) fn is_file(&self) -> bool {
        self.bytes.is_some()
    }
}

fn already(name: &str, taken: &str) -> Error {
    Error::said(format!(
        "{name}: it has a column {taken} already: scrub the file it was made from, or drop that column"
    ))
}

impl Text {
    /// Begins at a place, which everything before is read up to: it belongs to what is hashed.
    fn begin(mut source: Box<dyn Read + Send>, form: Form, base: Place) -> io::Result<Self> {
        let since_row = Arc::new(AtomicU64::new(0));
        let mut digest = Context::new(&SHA256);
        if form.bom {
            let mut bom = [0; BOM.len()];
            source.read_exact(&mut bom)?;
            digest.update(&bom);
        }
        let mut metered = Metered { source, digest, since_row: Arc::clone(&since_row) };
        let mut buffer = vec![0; BUFFER];
        let mut left = base.offset;
        while left > 0 {
            let most = usize::try_from(left).map_or(BUFFER, |left| left.min(BUFFER));
            since_row.store(0, Ordering::Relaxed);
            match metered.read(buffer.get_mut(..most).unwrap_or_default())? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was")),
                read => left -= read as u64,
            }
        }
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(form.delimiter)
            .buffer_capacity(BUFFER)
            .from_reader(metered);
        Ok(Self { reader, held: VecDeque::new(), since_row, base })
    }

    fn place(&self) -> Place {
        let at = self.reader.position();
        Place { offset: self.base.offset + at.byte(), line: self.base.line + at.line() - 1 }
    }

    fn read(&mut self, record: &mut ByteRecord, name: &str) -> Result<bool, Error> {
        // What the reader holds in its buffer was counted before: so much the longer may a row be.
        self.since_row.store(0, Ordering::Relaxed);
        let line = self.place().line + 1;
        self.reader.read_byte_record(record).map_err(|error| match error.kind() {
            csv::ErrorKind::Io(error) => Error::said(format!("{name}:{line}: {error}")),
            _ => Error::said(format!("{name}:{line}: {error}")),
        })
    }
}

/// What a file is that is not CSV, by its first bytes.
fn other_format(head: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 6] = [
        (b"PK\x03\x04", "an Excel or ZIP file, not CSV"),
        (b"\xd0\xcf\x11\xe0", "an old Excel file, not CSV"),
        (b"\xff\xfe", "UTF-16, not UTF-8"),
        (b"\xfe\xff", "UTF-16, not UTF-8"),
        (b"PAR1", "compressed Parquet (Parquet compresses by itself), not CSV"),
        (b"%PDF", "a PDF, not CSV"),
    ];
    KNOWN.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

fn form(head: &[u8], bom: bool) -> Form {
    let delimiter = columns::delimiter(head);
    let end = head.iter().position(|byte| *byte == b'\n');
    let crlf = end.and_then(|end| head.get(end.checked_sub(1)?)) == Some(&b'\r');
    let terminator = if crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
    Form { delimiter, terminator, bom, parquet: false }
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
