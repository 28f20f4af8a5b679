//! Parquet, written: the answers beside each row. What was in the file passes as the bytes it is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::FileMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::parquet::{BATCH, broken};
use crate::cli::Error;
use crate::time::Instant;

/// The columns that are added, in the words of Parquet.
const SCHEMA: &str = "message added {
    REQUIRED BYTE_ARRAY ringfence_verdict (STRING);
    OPTIONAL BYTE_ARRAY ringfence_reasons (STRING);
    OPTIONAL INT64 ringfence_retry_at (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY ringfence_message (STRING);
}";
/// The place of [`SCHEMA`]'s one column that is always there, and of its one instant.
const VERDICT: usize = 0;
const RETRY_AT: usize = 2;
/// What Arrow keeps of its own schema: it lacks the columns that are added, and readers do without it.
const ARROW: &str = "ARROW:schema";

/// Writes the file anew with the answers, which are CSV, beside each row.
pub(super) fn assemble(input: &Path, answers: &Path, output: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::at(output, "writing", &error);
    let odd = |error: ParquetError| Error::said(format!("{}: writing failed: {error}", output.display()));
    let source = File::open(input).map_err(|error| Error::at(input, "reading", &error))?;
    let reader = SerializedFileReader::new(source.try_clone().map_err(failed)?).map_err(|e| broken(input, &e))?;
    let answers = File::open(answers).map_err(|error| Error::at(answers, "reading", &error))?;
    let out = File::create(output).map_err(failed)?;
    let (schema, properties) = wider(reader.metadata().file_metadata()).map_err(odd)?;
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(odd)?;
    let groups = reader.metadata().row_groups();
    thread::scope(|scope| {
        // The answers to the next row group are read while those to one are written.
        let (to_writer, read) = sync_channel(0);
        scope.spawn(move || {
            let mut answers =
                ReaderBuilder::new().has_headers(false).from_reader(BufReader::with_capacity(1 << 20, answers));
            for group in groups {
                let read = Answers::read(&mut answers, usize::try_from(group.num_rows()).unwrap_or(0));
                if to_writer.send(read).is_err() {
                    return;
                }
            }
        });
        for (group, answers) in groups.iter().zip(read) {
            let answers = answers.map_err(|error| Error::said(format!("{}: {error}", output.display())))?;
            let mut to = writer.next_row_group().map_err(odd)?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size()).unwrap_or(0),
                    rows_written: answers.rows.len() as u64,
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                to.append_column(&source, close).map_err(odd)?;
            }
            answers.write(&mut to).map_err(odd)?;
            to.close().map_err(odd)?;
        }
        Ok::<(), Error>(())
    })?;
    writer.finish().map_err(odd)?;
    writer.inner().sync_all().map_err(failed)
}

/// The schema of a file with the columns that are added, and how it is written.
fn wider(about: &FileMetaData) -> Result<(Type, WriterProperties), ParquetError> {
    let added = parse_message_type(SCHEMA)?;
    let root = about.schema();
    let fields = root.get_fields().iter().chain(added.get_fields()).cloned().collect();
    let schema = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    let kept = about.key_value_metadata().map(|pairs| pairs.iter().filter(|pair| pair.key != ARROW).cloned().collect());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(format!("ringfence {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(kept)
        .build();
    Ok((schema, properties))
}

/// The answers to one row group. Each that differs is held once: millions of rows are answered in some hundred ways.
struct Answers {
    /// Which of them each row has.
    rows: Vec<usize>,
    different: Vec<StringRecord>,
}

impl Answers {
    fn read(from: &mut csv::Reader<impl Read>, count: usize) -> Result<Self, String> {
        let mut answers = Self { rows: Vec::with_capacity(count), different: Vec::new() };
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        let (mut record, mut key) = (ByteRecord::new(), Vec::new());
        while answers.rows.len() < count {
            if !from.read_byte_record(&mut record).map_err(|error| error.to_string())? {
                return Err("answers are missing".to_owned());
            }
            key.clear();
            for cell in &record {
                key.extend_from_slice(cell);
                // No byte of UTF-8.
                key.push(0xff);
            }
            let which = match known.get(key.as_slice()) {
                Some(which) => *which,
                None => {
                    let text = StringRecord::from_byte_record(record.clone()).map_err(|error| error.to_string())?;
                    answers.different.push(text);
                    known.insert(key.clone(), known.len());
                    known.len() - 1
                }
            };
            answers.rows.push(which);
        }
        Ok(answers)
    }

    /// Writes the columns that are added.
    fn write(&self, to: &mut SerializedRowGroupWriter<'_, File>) -> Result<(), ParquetError> {
        let instant = |cell: &str| Instant::from_rfc3339(cell).map_or(0, Instant::millis);
        let mut at = 0;
        while let Some(mut column) = to.next_column()? {
            match at {
                RETRY_AT => self.write_column::<Int64Type>(&mut column, at, instant)?,
                _ => self.write_column::<ByteArrayType>(&mut column, at, |cell| ByteArray::from(cell))?,
            }
            column.close()?;
            at += 1;
        }
        Ok(())
    }

    fn write_column<T: DataType>(
        &self,
        column: &mut SerializedColumnWriter<'_>,
        at: usize,
        value: impl Fn(&str) -> T::T,
    ) -> Result<(), ParquetError> {
        let cells = self.different.iter().map(|answer| answer.get(at).unwrap_or_default());
        let values = cells.map(|cell| (at == VERDICT || !cell.is_empty()).then(|| value(cell)));
        let values: Vec<Option<T::T>> = values.collect();
        for rows in self.rows.chunks(BATCH) {
            let cells = rows.iter().map(|row| values.get(*row).and_then(Option::as_ref));
            let levels: Vec<i16> = cells.clone().map(|cell| i16::from(cell.is_some())).collect();
            let levels = (at != VERDICT).then_some(levels.as_slice());
            column.typed::<T>().write_batch(&cells.flatten().cloned().collect::<Vec<_>>(), levels, None)?;
        }
        Ok(())
    }
}
