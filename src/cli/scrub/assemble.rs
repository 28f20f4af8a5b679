//! Parquet out: the file anew with the answers beside each row, its own columns as the bytes they are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::ADDED;
use super::pages::caught;
use super::parquet::broken;
use crate::cli::Error;
use crate::time::Instant;

/// The columns that are added, in the words of Parquet.
const SCHEMA: &str = "message added {
    REQUIRED BYTE_ARRAY ringfence_verdict (STRING);
    OPTIONAL BYTE_ARRAY ringfence_reasons (STRING);
    OPTIONAL INT64 ringfence_retry_at (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY ringfence_message (STRING);
}";
/// Rows of a column that is added, held while they are written.
const SLICE: usize = 32 << 10;
/// What Arrow keeps of its own schema: it lacks the columns that are added, and readers do without it.
const ARROW: &str = "ARROW:schema";

/// Writes the file anew with the answers beside each row: its own columns pass as the bytes they are.
pub(super) fn assemble(input: &Path, answers: &Path, output: &Path) -> Result<(), Error> {
    caught(input, || write_anew(input, answers, output))
}

fn write_anew(input: &Path, answers: &Path, output: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::at(output, "writing", &error);
    let odd = |error: ParquetError| Error::said(format!("{}: writing failed: {error}", output.display()));
    let source = File::open(input).map_err(|error| Error::at(input, "reading", &error))?;
    let reader = SerializedFileReader::new(source.try_clone().map_err(failed)?).map_err(|e| broken(input, &e))?;
    let mut answers = Answers::open(answers)?;
    let out = File::create(output).map_err(failed)?;
    let about = reader.metadata().file_metadata();
    let added = parse_message_type(SCHEMA).map_err(odd)?;
    let root = about.schema();
    let fields = root.get_fields().iter().chain(added.get_fields()).cloned().collect();
    let schema = Type::group_type_builder(root.name()).with_fields(fields).build().map_err(odd)?;
    let kept = about.key_value_metadata().map(|pairs| pairs.iter().filter(|pair| pair.key != ARROW).cloned().collect());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(format!("ringfence {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(kept)
        .build();
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(odd)?;
    for group in reader.metadata().row_groups() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let mut to = writer.next_row_group().map_err(odd)?;
        for column in group.columns() {
            let close = ColumnCloseResult {
                bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                rows_written: rows as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            to.append_column(&source, close).map_err(odd)?;
        }
        answers.add(&mut to, rows)?;
        to.close().map_err(odd)?;
    }
    writer.finish().map_err(odd)?;
    writer.inner().sync_all().map_err(failed)
}

/// The answers, from which a column is written after the other: each is read for itself, so that no more of a row group is
/// held than is written at a time.
struct Answers {
    path: PathBuf,
    /// One for each column, all of the same file, and each as far as its column was written.
    columns: [csv::Reader<File>; ADDED.len()],
}

impl Answers {
    fn open(path: &Path) -> Result<Self, Error> {
        let open = || -> Result<_, Error> {
            let file = File::open(path).map_err(|error| Error::at(path, "reading", &error))?;
            Ok(ReaderBuilder::new().has_headers(false).buffer_capacity(256 << 10).from_reader(file))
        };
        Ok(Self { path: path.to_owned(), columns: [open()?, open()?, open()?, open()?] })
    }

    /// Adds the columns of the next rows to their row group.
    fn add(&mut self, to: &mut SerializedRowGroupWriter<'_, File>, rows: usize) -> Result<(), Error> {
        let path = &self.path;
        let odd = |error: ParquetError| Error::said(format!("{}: writing failed: {error}", path.display()));
        for (at, answers) in self.columns.iter_mut().enumerate() {
            let Some(mut column) = to.next_column().map_err(odd)? else {
                return Err(odd(ParquetError::General("a column is missing".into())));
            };
            let mut left = rows;
            while left > 0 {
                let count = left.min(SLICE);
                let cells =
                    read(answers, at, count).map_err(|why| Error::said(format!("{}: {why}", path.display())))?;
                write(&mut column, at, cells).map_err(odd)?;
                left -= count;
            }
            column.close().map_err(odd)?;
        }
        Ok(())
    }
}

/// The next cells of a column.
fn read(answers: &mut csv::Reader<File>, at: usize, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut cells = Vec::with_capacity(count);
    let mut record = ByteRecord::new();
    while cells.len() < count {
        if !answers.read_byte_record(&mut record).map_err(|error| error.to_string())? {
            return Err("answers are missing".to_owned());
        }
        cells.push(record.get(at).unwrap_or_default().to_vec());
    }
    Ok(cells)
}

/// Writes cells of a column that is added.
fn write(column: &mut SerializedColumnWriter<'_>, at: usize, cells: Vec<Vec<u8>>) -> Result<(), ParquetError> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_empty())).collect();
    let there = cells.into_iter().filter(|cell| at == 0 || !cell.is_empty());
    if at == 2 {
        let instant = |cell: Vec<u8>| {
            let instant = std::str::from_utf8(&cell).ok().and_then(Instant::from_rfc3339);
            instant.map(Instant::millis).ok_or_else(|| ParquetError::General("an answer has no instant".into()))
        };
        let instants = there.map(instant).collect::<Result<Vec<i64>, _>>()?;
        column.typed::<Int64Type>().write_batch(&instants, Some(&levels), None)?;
    } else {
        let texts: Vec<ByteArray> = there.map(ByteArray::from).collect();
        // The verdict is always there.
        let levels = (at > 0).then_some(levels.as_slice());
        column.typed::<ByteArrayType>().write_batch(&texts, levels, None)?;
    }
    Ok(())
}
