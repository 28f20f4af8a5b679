//! `ringfence audit export`: decisions as a file that a notebook opens as it is.
//!
//! Promises: an output that is there is complete; the memory needed does not grow with it; numbers are masked. Guarded by
//! `tests/cli.rs`, and by `tests/archive.rs` with a reader that is not ours.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use super::super::output::{say, say_json};
use super::super::progress::{Progress, grouped};
use super::super::source::Kept;
use super::super::{Error, Exit, Global, replace};
use super::Archived;
use super::list::{Filters, Pages};
use super::rows::{COLUMNS, Cell, Kind, row};
use crate::proto::v1;
use crate::time::Instant;

/// Decisions asked for at a time.
const PAGE: u32 = 1_000;
/// Rows of a Parquet row group: what is held in memory.
const GROUP: usize = 20_000;

/// In which format. Its values have no help of their own: with it the whole page would be spread out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    Ndjson,
    Parquet,
}

/// Exports decisions.
#[derive(Debug, clap::Args)]
#[command(
    about = "Write decisions to a file for a notebook, the oldest first, their numbers masked",
    after_help = "The columns are the same in every format. Instants are UTC, to the millisecond. The file\n\
                  appears once it is whole.\n\
                  Exit status: 0 written, though it may have no row, 2 error.\n\n\
                  Example: ringfence audit export --format parquet --output all.parquet --dry-runs"
)]
pub struct ExportArgs {
    /// A line of JSON for each decision, or Apache Parquet
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    archived: Archived,
}

/// Runs it.
///
/// # Errors
/// Data, server or output fail. Then no output is left behind.
pub(super) async fn run(args: ExportArgs, global: &Global) -> Result<Exit, Error> {
    let output = Unfinished::begin(&args.output, args.force)?;
    let mut pages = Pages::open(&args.kept, &args.archived, global).await?;
    let mut sink = Sink::new(args.format, output.file()?, &args.output)?;
    let progress = Progress::new(None, "export");
    let mut request = args.filters.request(v1::ListOrder::OldestFirst, PAGE);
    while let Some(page) = pages.next(&mut request).await? {
        let rows = page.len() as u64;
        for record in page {
            sink.push(row(record))?;
        }
        progress.advance(0, rows);
    }
    let rows = progress.rows();
    sink.finish()?;
    output.publish(args.force)?;
    progress.finish(&format!("{} decisions", grouped(rows)));
    let name = args.output.display().to_string();
    match global.json {
        true => say_json(&json!({ "output": name, "decisions": rows }))?,
        false => say(&format!("{} decisions written to {name}\n", grouped(rows)))?,
    }
    Ok(Exit::Yes)
}

/// A file that is not there until it is whole.
struct Unfinished {
    beside: PathBuf,
    place: PathBuf,
}

impl Unfinished {
    fn begin(place: &Path, force: bool) -> Result<Self, Error> {
        let name = place.display();
        let file_name = place.file_name().ok_or_else(|| Error::said(format!("{name}: not the name of a file")))?;
        let place = &replace::place(place)?;
        if !force && place.exists() {
            return Err(taken(place));
        }
        let hidden = format!(".{}.{}.part", file_name.to_string_lossy(), std::process::id());
        Ok(Self { beside: place.with_file_name(hidden), place: place.to_owned() })
    }

    fn file(&self) -> Result<File, Error> {
        let opened = OpenOptions::new().write(true).create_new(true).open(&self.beside);
        opened.map_err(|error| Error::at(&self.beside, "making the file", &error))
    }

    fn publish(self, force: bool) -> Result<(), Error> {
        // A link refuses a name that is taken, whoever took it meanwhile; not every file system has links.
        let placed = match fs::hard_link(&self.beside, &self.place) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && !force => {
                return Err(taken(&self.place));
            }
            Err(_) => fs::rename(&self.beside, &self.place),
        };
        placed.map_err(|error| Error::at(&self.place, "putting the file in its place", &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Not there where it was put in its place.
        let _ = fs::remove_file(&self.beside);
    }
}

fn taken(place: &Path) -> Error {
    Error::said(format!("{}: is there already: name another file, or replace it with --force", place.display()))
}

/// What takes the rows.
enum Sink<'p> {
    Ndjson(BufWriter<File>, &'p Path),
    Parquet(Box<SerializedFileWriter<File>>, Vec<Vec<Cell>>, &'p Path),
}

impl<'p> Sink<'p> {
    fn new(format: Format, file: File, place: &'p Path) -> Result<Self, Error> {
        match format {
            Format::Ndjson => Ok(Self::Ndjson(BufWriter::with_capacity(1 << 16, file), place)),
            Format::Parquet => {
                let failed = |error: ParquetError| failed(place, &error);
                let schema = Arc::new(parse_message_type(&schema()).map_err(failed)?);
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_created_by(format!("ringfence {}", env!("CARGO_PKG_VERSION")))
                    .build();
                let writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
                Ok(Self::Parquet(Box::new(writer), Vec::new(), place))
            }
        }
    }

    fn push(&mut self, row: Vec<Cell>) -> Result<(), Error> {
        match self {
            Self::Ndjson(out, place) => {
                let mut line = ndjson(&row);
                line.push('\n');
                out.write_all(line.as_bytes()).map_err(|error| Error::at(place, "writing", &error))
            }
            Self::Parquet(out, rows, place) => {
                rows.push(row);
                if rows.len() < GROUP {
                    return Ok(());
                }
                group(out, &std::mem::take(rows)).map_err(|error| failed(place, &error))
            }
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self {
            Self::Ndjson(mut out, place) => {
                let synced = out.flush().and_then(|()| out.get_ref().sync_all());
                synced.map_err(|error| Error::at(place, "writing", &error))
            }
            Self::Parquet(mut out, rows, place) => {
                let done = if rows.is_empty() { Ok(()) } else { group(&mut out, &rows) };
                done.and_then(|()| out.finish().map(drop)).map_err(|error| failed(place, &error))?;
                out.inner().sync_all().map_err(|error| Error::at(place, "writing", &error))
            }
        }
    }
}

fn failed(place: &Path, error: &ParquetError) -> Error {
    Error::said(format!("{}: writing failed: {error}", place.display()))
}

/// A row as JSON, in the order of the columns. What is not there is null.
fn ndjson(row: &[Cell]) -> String {
    let fields = COLUMNS.iter().zip(row).map(|((name, _), cell)| {
        let value = match cell {
            Cell::Text(text) => json!(text),
            Cell::Time(at) => json!(at.map(|at| Instant::from_millis(at).to_string())),
            Cell::Flag(flag) => json!(flag),
            Cell::Number(number) => json!(number),
            Cell::List(texts) => json!(texts),
        };
        format!("\"{name}\":{value}")
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The schema, in the words of Parquet.
fn schema() -> String {
    let fields = COLUMNS.iter().map(|(name, kind)| match kind {
        Kind::Text => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
        Kind::Time => format!("OPTIONAL INT64 {name} (TIMESTAMP(MILLIS,true));"),
        Kind::Flag => format!("REQUIRED BOOLEAN {name};"),
        Kind::Number => format!("REQUIRED INT64 {name};"),
        Kind::List => {
            format!(
                "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED BYTE_ARRAY element (STRING); }} }}"
            )
        }
    });
    format!("message decisions {{ {} }}", fields.collect::<Vec<_>>().join(" "))
}

/// Writes a row group.
fn group(out: &mut SerializedFileWriter<File>, rows: &[Vec<Cell>]) -> Result<(), ParquetError> {
    let mut group = out.next_row_group()?;
    let mut at = 0;
    while let Some(mut column) = group.next_column()? {
        column_of(&mut column, rows.iter().filter_map(|row| row.get(at)))?;
        column.close()?;
        at += 1;
    }
    group.close().map(drop)
}

/// Writes one column of a row group: its values, and where the format asks for it, which rows have one and which values
/// begin a row.
fn column_of<'c>(
    column: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = &'c Cell>,
) -> Result<(), ParquetError> {
    let (mut texts, mut numbers, mut flags) = (Vec::new(), Vec::new(), Vec::new());
    let (mut defined, mut repeated) = (Vec::new(), Vec::new());
    for cell in cells {
        match cell {
            Cell::Text(text) => {
                defined.push(i16::from(text.is_some()));
                texts.extend(text.as_deref().map(ByteArray::from));
            }
            Cell::Time(at) => {
                defined.push(i16::from(at.is_some()));
                numbers.extend(*at);
            }
            Cell::Flag(flag) => flags.push(*flag),
            Cell::Number(number) => numbers.push(*number),
            Cell::List(list) if list.is_empty() => {
                defined.push(0);
                repeated.push(0);
            }
            Cell::List(list) => {
                for (at, text) in list.iter().enumerate() {
                    defined.push(1);
                    repeated.push(i16::from(at > 0));
                    texts.push(ByteArray::from(text.as_str()));
                }
            }
        }
    }
    let defined = (!defined.is_empty()).then_some(defined.as_slice());
    let repeated = (!repeated.is_empty()).then_some(repeated.as_slice());
    if !flags.is_empty() {
        column.typed::<BoolType>().write_batch(&flags, defined, repeated)?;
    } else if matches!(column.untyped(), ColumnWriter::ByteArrayColumnWriter(_)) {
        column.typed::<ByteArrayType>().write_batch(&texts, defined, repeated)?;
    } else {
        column.typed::<Int64Type>().write_batch(&numbers, defined, repeated)?;
    }
    Ok(())
}
