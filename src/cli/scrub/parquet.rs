//! Parquet, read: the columns that are asked about and no others. How it is written stands in [`super::assemble`].

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, StringRecord};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::data_type::{AsBytes as _, ByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};

use super::columns::Columns;
use super::input::LOOKED_AT;
use super::pages::{Pages, caught};
use crate::cli::Error;

/// Rows that are decoded at a time.
const BATCH: usize = 4_096;
/// What has wider values, all of one width, holds none that is asked about, and is not read.
const WIDEST: i32 = 1_024;

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
        caught(path, || Self::opened(path))
    }

    fn opened(path: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::at(path, "reading", &error);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let reader = SerializedFileReader::new(file).map_err(|error| broken(path, &error))?;
        let about = reader.metadata().file_metadata();
        let rows = u64::try_from(about.num_rows()).unwrap_or(0);
        let columns = about.schema_descr().columns().iter().enumerate();
        let columns = columns.filter(|(_, column)| column.max_rep_level() == 0 && column.type_length() <= WIDEST);
        let leaves = columns.map(|(index, column)| Leaf {
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
        caught(&self.path, || self.first_rows())
    }

    fn first_rows(&self) -> Result<(StringRecord, Vec<StringRecord>), Error> {
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
            let mut column = self.column(&*group, leaf).map_err(failed)?;
            let mut rows = rows.iter_mut();
            let push =
                |cell: &[u8]| rows.next().into_iter().for_each(|row| row.push_field(&String::from_utf8_lossy(cell)));
            cells(&mut column, leaf.defined, count, push).map_err(failed)?;
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
            if !self.more()? {
                return Ok(false);
            }
        }
    }

    /// Decodes more rows; `false` at the end.
    fn more(&mut self) -> Result<bool, Error> {
        let path = self.path.clone();
        caught(&path, || {
            let some = self.left > 0 || self.begin_group()?;
            if some {
                self.decode()?;
            }
            Ok(some)
        })
    }

    /// Rows handed out so far.
    pub(super) const fn row(&self) -> u64 {
        self.row
    }

    /// Goes on after so many rows.
    pub(super) fn go_to(&mut self, row: u64) -> Result<(), Error> {
        let path = self.path.clone();
        caught(&path, || self.skip_to(row))
    }

    fn skip_to(&mut self, row: u64) -> Result<(), Error> {
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

    fn column(&self, group: &dyn RowGroupReader, leaf: &Leaf) -> Result<ColumnReader, ParquetError> {
        let about = self.reader.metadata().file_metadata().schema_descr().column(leaf.index);
        let pages = Pages::new(group.get_column_page_reader(leaf.index)?, leaf.defined);
        Ok(get_column_reader(about, Box::new(pages)))
    }

    /// Begins the next row group that has rows.
    fn begin_group(&mut self) -> Result<bool, Error> {
        let failed = |error| broken(&self.path, &error);
        while self.left == 0 {
            if self.group >= self.reader.num_row_groups() {
                return Ok(false);
            }
            let group = self.reader.get_row_group(self.group).map_err(failed)?;
            let columns = self.leaves.iter().map(|leaf| self.column(&*group, leaf));
            self.columns = columns.collect::<Result<_, _>>().map_err(failed)?;
            self.left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            self.group += 1;
        }
        Ok(true)
    }

    fn decode(&mut self) -> Result<(), Error> {
        let count = self.left.min(BATCH);
        // A number and a code or two: what is longer finds room for itself.
        let empty = || ByteRecord::with_capacity(32, self.leaves.len());
        let mut decoded: VecDeque<_> = std::iter::repeat_with(empty).take(count).collect();
        for (column, leaf) in self.columns.iter_mut().zip(&self.leaves) {
            let mut rows = decoded.iter_mut();
            let push = |cell: &[u8]| rows.next().into_iter().for_each(|row| row.push_field(cell));
            cells(column, leaf.defined, count, push).map_err(|error| broken(&self.path, &error))?;
        }
        self.left -= count;
        self.decoded = decoded;
        let done = u128::from(self.row) + count as u128;
        let read = u128::from(self.bytes) * done / u128::from(self.rows.max(1));
        self.read.store(u64::try_from(read).unwrap_or(self.bytes), Ordering::Relaxed);
        Ok(())
    }
}

/// Why a file cannot be read.
pub(super) fn broken(path: &Path, error: &ParquetError) -> Error {
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

/// Hands out the next cells of a column, as text; what is not there is empty.
fn cells(
    column: &mut ColumnReader,
    defined: i16,
    count: usize,
    mut push: impl FnMut(&[u8]),
) -> Result<(), ParquetError> {
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
        let mut text = Vec::new();
        let mut values = values.iter();
        let all = std::iter::repeat_n(&defined, if defined == 0 { values.len() } else { 0 });
        for level in all.chain(&levels) {
            text.clear();
            if *level == defined && let Some(value) = values.next() {
                value.put(&mut text);
            }
            push(&text);
        }
        Ok(())
    })
}

/// A value as it would stand in a CSV file.
trait Text {
    fn put(&self, text: &mut Vec<u8>);
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl Text for $type {
            fn put(&self, text: &mut Vec<u8>) {
                text.extend_from_slice(self.to_string().as_bytes());
            }
        }
    )*};
}

// A column of whole numbers with a gap becomes one of fractions in some tools: those are written without a point.
plain!(bool, i32, i64, f32, f64);

impl Text for parquet::data_type::Int96 {
    /// An instant of old files: none of what is asked about.
    fn put(&self, _text: &mut Vec<u8>) {}
}

impl Text for ByteArray {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.data());
    }
}

impl Text for parquet::data_type::FixedLenByteArray {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.as_bytes());
    }
}
