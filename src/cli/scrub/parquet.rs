//! Parquet: the columns that are asked about are read, all others pass as the bytes they are.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ReaderBuilder, StringRecord};
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{AsBytes as _, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::columns::Columns;
use super::input::LOOKED_AT;
use crate::cli::Error;
use crate::time::Instant;

/// Rows that are decoded at a time.
const BATCH: usize = 4_096;
/// The columns that are added, in the words of Parquet.
const SCHEMA: &str = "message added {
    REQUIRED BYTE_ARRAY ringfence_verdict (STRING);
    OPTIONAL BYTE_ARRAY ringfence_reasons (STRING);
    OPTIONAL INT64 ringfence_retry_at (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY ringfence_message (STRING);
}";
/// What Arrow keeps of its own schema: it lacks the columns that are added, and readers do without it.
const ARROW: &str = "ARROW:schema";

/// A column that can be read as text: one value a row at most.
#[derive(Clone)]
struct Leaf {
    title: String,
    index: usize,
    /// The definition level of a value that is there.
    defined: i16,
}

/// The rows of a Parquet file, each with the columns that are asked about.
pub(super) struct Table {
    reader: SerializedFileReader<File>,
    path: PathBuf,
    leaves: Vec<Leaf>,
    /// The columns of the row group that is read.
    columns: Vec<ColumnReader>,
    group: usize,
    /// Rows of it that were not decoded.
    left: usize,
    decoded: VecDeque<ByteRecord>,
    /// Rows handed out.
    row: u64,
    rows: u64,
    bytes: u64,
    /// About how many bytes were read.
    pub read: Arc<AtomicU64>,
}

impl Table {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::at(path, "reading", &error);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let reader = SerializedFileReader::new(file).map_err(|error| broken(path, &error))?;
        let about = reader.metadata().file_metadata();
        let rows = u64::try_from(about.num_rows()).unwrap_or(0);
        let columns = about.schema_descr().columns().iter().enumerate();
        let leaves = columns.filter(|(_, column)| column.max_rep_level() == 0).map(|(index, column)| Leaf {
            title: column.path().string(),
            index,
            defined: column.max_def_level(),
        });
        let leaves = leaves.collect();
        Ok(Self {
            reader,
            path: path.to_owned(),
            leaves,
            columns: Vec::new(),
            group: 0,
            left: 0,
            decoded: VecDeque::new(),
            row: 0,
            rows,
            bytes,
            read: Arc::default(),
        })
    }

    /// The titles, and some rows as text.
    pub(super) fn looked_at(&self) -> Result<(StringRecord, Vec<StringRecord>), Error> {
        let titles: StringRecord = self.leaves.iter().map(|leaf| leaf.title.as_str()).collect();
        let mut rows = vec![StringRecord::new(); LOOKED_AT];
        if self.reader.num_row_groups() == 0 {
            return Ok((titles, Vec::new()));
        }
        let failed = |error| broken(&self.path, &error);
        let group = self.reader.get_row_group(0).map_err(failed)?;
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0).min(LOOKED_AT);
        rows.truncate(count);
        for leaf in &self.leaves {
            let mut column = group.get_column_reader(leaf.index).map_err(failed)?;
            let cells = cells(&mut column, leaf.defined, count).map_err(failed)?;
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push_field(&String::from_utf8_lossy(&cell));
            }
        }
        Ok((titles, rows))
    }

    /// The same with nothing but these columns, and where they stand then.
    pub(super) fn only(mut self, columns: &Columns) -> (Self, Columns) {
        let mut picked: Vec<usize> = Vec::new();
        let mut place = |column: usize| {
            picked.iter().position(|known| *known == column).unwrap_or_else(|| {
                picked.push(column);
                picked.len() - 1
            })
        };
        let columns = Columns {
            has_header: true,
            number: place(columns.number),
            country: columns.country.map(&mut place),
            state: columns.state.map(&mut place),
            postal_code: columns.postal_code.map(&mut place),
            time_zone: columns.time_zone.map(&mut place),
            notes: columns.notes.clone(),
        };
        self.leaves = picked.into_iter().filter_map(|column| self.leaves.get(column).cloned()).collect();
        (self, columns)
    }

    /// The next row; `false` at the end.
    pub(super) fn next(&mut self, record: &mut ByteRecord) -> Result<bool, Error> {
        loop {
            if let Some(next) = self.decoded.pop_front() {
                *record = next;
                self.row += 1;
                return Ok(true);
            }
            if self.left == 0 && !self.begin_group()? {
                return Ok(false);
            }
            self.decode()?;
        }
    }

    /// Rows handed out so far.
    pub(super) const fn row(&self) -> u64 {
        self.row
    }

    /// Goes on after so many rows.
    pub(super) fn go_to(&mut self, row: u64) -> Result<(), Error> {
        (self.group, self.left, self.row) = (0, 0, 0);
        self.decoded.clear();
        while self.row < row {
            if !self.begin_group()? {
                return Err(Error::said(format!("{}: it is shorter than it was", self.path.display())));
            }
            let skipped = self.left.min(usize::try_from(row - self.row).unwrap_or(usize::MAX));
            for column in &mut self.columns {
                skip(column, skipped).map_err(|error| broken(&self.path, &error))?;
            }
            self.left -= skipped;
            self.row += skipped as u64;
        }
        Ok(())
    }

    /// Begins the next row group that has rows.
    fn begin_group(&mut self) -> Result<bool, Error> {
        let failed = |error| broken(&self.path, &error);
        while self.left == 0 {
            if self.group >= self.reader.num_row_groups() {
                return Ok(false);
            }
            let group = self.reader.get_row_group(self.group).map_err(failed)?;
            let columns = self.leaves.iter().map(|leaf| group.get_column_reader(leaf.index));
            self.columns = columns.collect::<Result<_, _>>().map_err(failed)?;
            self.left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            self.group += 1;
        }
        Ok(true)
    }

    fn decode(&mut self) -> Result<(), Error> {
        let count = self.left.min(BATCH);
        let mut rows = vec![ByteRecord::new(); count];
        for (column, leaf) in self.columns.iter_mut().zip(&self.leaves) {
            let cells = cells(column, leaf.defined, count).map_err(|error| broken(&self.path, &error))?;
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push_field(&cell);
            }
        }
        self.left -= count;
        self.decoded.extend(rows);
        let done = u128::from(self.row) + count as u128;
        let read = u128::from(self.bytes) * done / u128::from(self.rows.max(1));
        self.read.store(u64::try_from(read).unwrap_or(self.bytes), Ordering::Relaxed);
        Ok(())
    }
}

fn broken(path: &Path, error: &ParquetError) -> Error {
    Error::said(format!("{}: not a Parquet file that can be read: {error}", path.display()))
}

/// Does the same with a column of whatever type.
macro_rules! of_any {
    ($column:expr, $inner:ident => $done:expr) => {
        match $column {
            ColumnReader::BoolColumnReader($inner) => $done,
            ColumnReader::Int32ColumnReader($inner) => $done,
            ColumnReader::Int64ColumnReader($inner) => $done,
            ColumnReader::Int96ColumnReader($inner) => $done,
            ColumnReader::FloatColumnReader($inner) => $done,
            ColumnReader::DoubleColumnReader($inner) => $done,
            ColumnReader::ByteArrayColumnReader($inner) => $done,
            ColumnReader::FixedLenByteArrayColumnReader($inner) => $done,
        }
    };
}

fn skip(column: &mut ColumnReader, rows: usize) -> Result<(), ParquetError> {
    let skipped = of_any!(column, inner => inner.skip_records(rows))?;
    if skipped == rows { Ok(()) } else { Err(ParquetError::General("a column is shorter than its row group".into())) }
}

/// The next cells of a column, as text; what is not there is empty.
fn cells(column: &mut ColumnReader, defined: i16, count: usize) -> Result<Vec<Vec<u8>>, ParquetError> {
    of_any!(column, inner => {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut got = 0;
        while got < count {
            let levels = (defined > 0).then_some(&mut levels);
            let (records, ..) = inner.read_records(count - got, levels, None, &mut values)?;
            if records == 0 {
                return Err(ParquetError::General("a column is shorter than its row group".into()));
            }
            got += records;
        }
        let mut values = values.iter().map(Text::text);
        Ok(match defined {
            0 => values.collect(),
            _ => levels.iter().map(|level| if *level == defined { values.next() } else { None }.unwrap_or_default()).collect(),
        })
    })
}

/// A value as it would stand in a CSV file.
trait Text {
    fn text(&self) -> Vec<u8>;
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn text(&self) -> Vec<u8> {
                self.to_string().into_bytes()
            }
        }
    )*};
}

plain!(bool, i32, i64, f32);

impl Text for f64 {
    /// A column of whole numbers with a gap becomes one of fractions in some tools.
    fn text(&self) -> Vec<u8> {
        format!("{self}").into_bytes()
    }
}

impl Text for parquet::data_type::Int96 {
    /// An instant of old files: none of what is asked about.
    fn text(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl Text for ByteArray {
    fn text(&self) -> Vec<u8> {
        self.data().to_vec()
    }
}

impl Text for parquet::data_type::FixedLenByteArray {
    fn text(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

/// Writes the file anew with the answers beside each row: its own columns pass as the bytes they are.
pub(super) fn assemble(input: &Path, answers: &Path, output: &Path) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::at(output, "writing", &error);
    let odd = |error: ParquetError| Error::said(format!("{}: writing failed: {error}", output.display()));
    let source = File::open(input).map_err(|error| Error::at(input, "reading", &error))?;
    let reader = SerializedFileReader::new(source.try_clone().map_err(failed)?).map_err(|e| broken(input, &e))?;
    let answers = File::open(answers).map_err(|error| Error::at(answers, "reading", &error))?;
    let mut answers = ReaderBuilder::new().has_headers(false).from_reader(BufReader::with_capacity(1 << 20, answers));
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
        let mut texts: Vec<csv::StringRecord> = Vec::with_capacity(rows);
        for answer in answers.records().take(rows) {
            texts.push(answer.map_err(|error| Error::said(format!("{}: {error}", output.display())))?);
        }
        if texts.len() < rows {
            return Err(Error::said(format!("{}: answers are missing", output.display())));
        }
        add(&mut to, &texts).map_err(odd)?;
        to.close().map_err(odd)?;
    }
    writer.finish().map_err(odd)?;
    writer.inner().sync_all().map_err(failed)
}

/// Writes the columns that are added.
fn add(to: &mut SerializedRowGroupWriter<'_, File>, answers: &[StringRecord]) -> Result<(), ParquetError> {
    let mut at = 0;
    while let Some(mut column) = to.next_column()? {
        let cells = answers.iter().map(|answer| answer.get(at).unwrap_or_default());
        let levels: Vec<i16> = cells.clone().map(|cell| i16::from(!cell.is_empty())).collect();
        match at {
            0 => {
                let texts: Vec<_> = cells.map(ByteArray::from).collect();
                column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
            }
            2 => {
                let instants = cells.filter(|cell| !cell.is_empty());
                let instants: Vec<i64> =
                    instants.map(|cell| Instant::from_rfc3339(cell).map_or(0, Instant::millis)).collect();
                column.typed::<Int64Type>().write_batch(&instants, Some(&levels), None)?;
            }
            _ => {
                let texts: Vec<_> = cells.filter(|cell| !cell.is_empty()).map(ByteArray::from).collect();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
            }
        }
        column.close()?;
        at += 1;
    }
    Ok(())
}
