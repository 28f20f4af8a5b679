//! The lines of a list, gathered: what is read of its files, before anything is written.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use super::super::Fault;
use super::super::ids::{self, Kind};
use super::super::set::{Builder, Day};
use super::super::tags::Tagger;
use super::cells::{has_line_end, may_hold_number, title};
use super::changes::{Change, DAY, Dates, net};
use super::rejected::{Rejects, Sink};
use super::{Answers, Columns, Line, Lines, Order, Reading};
use crate::time::Instant;

/// Lines between two words of how far it is.
const OFTEN: u64 = 10_000;
/// No row of a CSV file, line ends within its fields included, has many more bytes.
const ROW: usize = 1 << 20;
/// A quote that is opened and never closed makes one row of many. A list that lacks those would look complete.
const SWALLOWED: &str = "a field of it holds a line end where none belongs: is a quote opened and never closed? the \
                         lines after it are read as part of it";
const OTHER_WIDTH: &str =
    "the line has another number of fields than the first one: is a quote opened in it and never closed?";

/// What was read so far.
pub struct Intake {
    pub(super) order: Order,
    reading: Reading,
    pub(super) builder: Builder,
    /// Where the list is one of tags.
    pub(super) tagger: Option<Arc<dyn Tagger>>,
    /// Of a list of changes: what happened, in the order of the files.
    changes: Vec<Change>,
    read: u64,
    ambiguous: u64,
    pub(super) rejects: Rejects,
    sink: Option<Sink>,
    /// Of a list of changes: the beginning of the day of the copy in force, in which what was before it is settled.
    pub(super) settled: Option<Instant>,
}

/// All that was read.
pub struct Taken {
    /// What was asked.
    pub order: Order,
    /// The numbers.
    pub builder: Builder,
    /// Lines, those of headers and empty ones apart.
    pub read: u64,
    /// Lines that could be read as two numbers.
    pub ambiguous: u64,
    /// Lines that were not understood.
    pub rejects: Rejects,
    /// Numbers that were to be deleted and were not there.
    pub missed: u64,
    /// Numbers that were to be deleted before the day of the copy in force, and were left as they are in it.
    pub kept: u64,
    /// Of a list of changes: what their dates tell.
    pub dates: Dates,
}

impl Intake {
    /// Nothing yet.
    ///
    /// # Errors
    /// The id is of no list, in words.
    pub fn new(order: Order, tagger: Option<Arc<dyn Tagger>>) -> Result<Self, String> {
        let official = match ids::kind(&order.id)? {
            Kind::Official(list) => Some(list),
            Kind::Tenant => None,
        };
        let (builder, rejects) = (Builder::default(), Rejects::default());
        let reading = Reading::of(official, order.region);
        let sink = order.rejected.clone().map(Sink::new);
        let changes = Vec::new();
        Ok(Self { order, reading, builder, tagger, changes, read: 0, ambiguous: 0, rejects, sink, settled: None })
    }

    /// Reads one text, to its end. `name` is what it is called in the report; `told` hears now and then of lines.
    ///
    /// # Errors
    /// The text cannot be read, is no list, or has too many lines that are not understood.
    pub fn read(&mut self, name: &str, text: impl Read, told: &mut dyn FnMut(u64)) -> Result<(), Fault> {
        if let Some(columns) = self.order.columns.clone() {
            return self.read_columns(name, text, &columns, told);
        }
        let place = PathBuf::from(name);
        let mut lines = Lines::new(text);
        let (mut since, mut first) = (0, true);
        while let Some((number, line)) = lines.next().map_err(|error| Fault::unreadable(&place, &error))? {
            let Some(line) = line else {
                // A header in another encoding.
                if std::mem::take(&mut first) && lines.has_no_digit() {
                    continue;
                }
                self.judge(name, number, Err("the line is not text, or has more than 4,096 bytes"), Vec::new)?;
                continue;
            };
            since += 1;
            if since == OFTEN {
                told(since);
                since = 0;
            }
            let line = line.trim();
            if line.starts_with('<') {
                return Err(Fault::new(&place, "is XML", "download the flat file (comma-separated text) instead"));
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // A first line without any digit is a header, which needs no names to be passed over.
            if std::mem::take(&mut first) && !line.chars().any(char::is_numeric) {
                continue;
            }
            let understood = self.reading.line(line.split(delimiter(line)));
            self.judge(name, number, understood, || line.as_bytes().to_vec())?;
        }
        told(since);
        Ok(())
    }

    /// A file of which the columns are named, with quotes as such files may have them. A row that has another number of fields
    /// than the first is not understood, nor one with a line end in its number or its date, or in a field that may hold another
    /// number: it may be several rows.
    fn read_columns(
        &mut self,
        name: &str,
        text: impl Read,
        wanted: &Columns,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Fault> {
        let place = PathBuf::from(name);
        let unreadable = |error: csv::Error| Fault::unreadable(&place, &error.into());
        let room = Rc::new(Cell::new(ROW));
        let mut text = BufReader::with_capacity(1 << 16, Roomed { text, room: Rc::clone(&room) });
        let head = text.fill_buf().map_err(|error| Fault::unreadable(&place, &error))?;
        let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = u8::try_from(delimiter(&String::from_utf8_lossy(first))).unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
        let header = reader.byte_headers().map_err(unreadable)?;
        if header.iter().any(has_line_end) {
            let what = "the name of a column holds a line end: a quote is opened and not closed";
            return Err(Fault::at_line(&place, 1, what, "close the quote, or take it out"));
        }
        let width = header.len();
        let column = |wanted: &str| {
            let is = |name: &[u8]| title(name).trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(wanted);
            let mut found = header.iter().enumerate().filter(|(_, name)| is(name)).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (Some(at), None) => Ok(at),
                (None, _) => {
                    let what = format!("no column is called `{wanted}`");
                    Err(Fault::at_line(&place, 1, what, "name the columns as the first line of the file has them"))
                }
                (Some(_), Some(_)) => {
                    let what = format!("two columns are called `{wanted}`, and which is meant is not known");
                    Err(Fault::at_line(&place, 1, what, "give one of them another name in the first line of the file"))
                }
            }
        };
        let number_at = column(&wanted.number)?;
        let date_at = wanted.date.as_deref().map(column).transpose()?;
        let mut row = csv::ByteRecord::new();
        let mut rows = 0;
        while reader.read_byte_record(&mut row).map_err(unreadable)? {
            room.set(ROW);
            let field = |at: usize| {
                let field = row.get(at).ok_or("the line has fewer fields than the first one")?;
                std::str::from_utf8(field).map(str::trim).map_err(|_| "the line is not text")
            };
            let read = |at: usize| at == number_at || Some(at) == date_at;
            let swallows =
                |(at, cell): (usize, &[u8])| has_line_end(cell) && (read(at) || may_hold_number(cell, delimiter));
            let whole = if row.iter().enumerate().any(swallows) {
                Err(SWALLOWED)
            } else if row.len() == width {
                field(number_at)
            } else {
                Err(OTHER_WIDTH)
            };
            let understood = whole.and_then(|number| {
                let (number, other) = self.reading.number(number)?;
                let date = date_at.map(field).transpose()?.filter(|field| !field.is_empty());
                Ok(Line { number, other, date: date.map(|field| self.reading.date(field)).transpose()?, added: None })
            });
            let line = row.position().map_or(0, csv::Position::line);
            let text = || row.iter().collect::<Vec<_>>().join(&[delimiter][..]);
            self.judge(name, line, understood, text)?;
            rows += 1;
            if rows == OFTEN {
                told(rows);
                rows = 0;
            }
        }
        told(rows);
        Ok(())
    }

    /// `text` is the line, for the file of those that are rejected.
    fn judge(
        &mut self,
        name: &str,
        number: u64,
        understood: Result<Line, &'static str>,
        text: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), Fault> {
        self.read += 1;
        match understood {
            Ok(line) => self.take(line).map_err(|what| {
                let remedy = "import a full list without --changes, a list of changes with it";
                Fault::at_line(Path::new(name), number, what, remedy)
            }),
            Err(why) => {
                if let Some(sink) = &mut self.sink {
                    sink.write(name, number, why, &text())?;
                }
                self.rejects.add(name, number, why, self.order.most_rejected)
            }
        }
    }

    /// Makes sure of the file of rejected lines.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        self.sink.as_mut().map_or(Ok(()), Sink::finish)
    }

    /// Whether a date of entry is none to come. One that is was misread, or written wrongly: by it the number would be listed
    /// in that far future alone, and without any it is from now on. The day of a keeper may have begun before that of UTC.
    fn was(&self, date: Instant) -> bool {
        date <= self.order.as_of.plus(DAY)
    }

    fn take(&mut self, line: Line) -> Result<(), &'static str> {
        self.ambiguous += u64::from(line.other.is_some());
        // Neither is known to have been asked about, nor to be free.
        if line.other.is_some() && self.order.answers == Some(Answers::Cleaned) {
            return Ok(());
        }
        let numbers = [Some(line.number), line.other].into_iter().flatten();
        match (self.order.changes, line.added) {
            (false, None) => {
                let day = Reading::day(line.date.filter(|date| self.order.dates && self.was(*date)));
                for number in numbers {
                    self.add(number, day);
                }
            }
            // Whoever may still be listed stays so.
            (true, Some(false)) if line.other.is_some() => {}
            (true, Some(added)) => {
                self.changes.extend(numbers.map(|number| Change::new(line.date, number, added)));
            }
            (false, Some(_)) => return Err("this is a line of changes (A or D), and a full list was expected"),
            (true, None) => return Err("this line says neither A nor D, and changes were expected"),
        }
        Ok(())
    }

    pub(super) fn add(&mut self, number: u64, day: Day) {
        match &self.tagger {
            Some(tagger) => self.builder.add_tag(tagger.tag(&self.order.id, number), day),
            None => {
                self.builder.add(number, day);
            }
        }
    }

    fn remove(&mut self, number: u64) -> bool {
        match &self.tagger {
            Some(tagger) => self.builder.remove_tag(tagger.tag(&self.order.id, number)),
            None => self.builder.remove(number),
        }
    }

    /// All of it, changes made: in the order of their dates where all have one, those of one instant deletions first,
    /// since which came last is not known; otherwise in the order of the files. See [`net`].
    #[must_use]
    pub fn taken(mut self) -> Taken {
        let dates = Dates::of(&self.changes);
        if !dates.missing {
            self.changes.sort_unstable();
        }
        let (mut missed, mut kept) = (0, 0);
        for change in net(std::mem::take(&mut self.changes), self.settled, &mut kept) {
            let number = change.number();
            if change.is_added() {
                let date = change.date().filter(|date| self.order.dates && self.was(*date));
                self.add(number, Reading::day(date));
            } else if !self.remove(number) {
                missed += 1;
            }
        }
        let Self { order, builder, read, ambiguous, rejects, .. } = self;
        Taken { order, builder, read, ambiguous, rejects, missed, kept, dates }
    }
}

/// A text that ends in an error once one row takes more room than rows do: what has no end of line must not fill memory.
struct Roomed<R> {
    text: R,
    room: Rc<Cell<usize>>,
}

impl<R: Read> Read for Roomed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.text.read(buffer)?;
        let left = self.room.get().checked_sub(count);
        self.room.set(left.ok_or_else(|| io::Error::other("a row of it has no end"))?);
        Ok(count)
    }
}

/// What parts the fields of a line.
fn delimiter(line: &str) -> char {
    line.chars().find(|c| matches!(c, ',' | ';' | '\t' | '|')).unwrap_or(',')
}
