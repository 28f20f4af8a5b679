//! The rows of a file of answers.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use csv::{ByteRecord, ReaderBuilder};
use v1::import_contacts_request::Entry;

use crate::cli::contact::import::cells::{Fault, fault, folded};
use crate::cli::contact::import::rows::{ADDED, Limited, Lines, OPEN_QUOTE, Row, Source, Text, has_line_end, written};
use crate::cli::{Error, packed, scrub};
use crate::place::Number;
use crate::proto::v1::{self, ReassignedAnswer};
use crate::proto::well_known::{FieldMask, Timestamp};
use crate::time::Instant;

/// Looked at to find the separator.
const HEAD: u64 = 64 << 10;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// What the columns are, in this order.
const COLUMNS: [&str; 3] = ["number", "date", "answer"];
/// Names of columns, folded.
const NAMES: [&[&str]; 3] = [
    &["number", "phone", "phonenumber", "telephonenumber", "tn", "msisdn"],
    &["date", "sincedate", "consentdate", "querydate", "lastcontactdate", "contactdate"],
    &["answer", "response", "result", "status", "disconnected", "permanentlydisconnected"],
];

/// What holds for every row.
pub(super) struct Given {
    pub checked_at: Instant,
    pub source: String,
    /// The columns named, as [`COLUMNS`].
    pub titles: [Option<String>; 3],
}

impl Given {
    /// The same text for the same, in every release.
    pub(super) fn canonical(&self) -> String {
        serde_json::json!(["reassigned", self.checked_at.millis(), self.source, self.titles]).to_string()
    }
}

/// How often each answer was read.
#[derive(Clone, Copy, Default)]
pub(super) struct Answers {
    pub yes: u64,
    pub no: u64,
    pub no_data: u64,
}

/// The rows.
pub(super) struct Rows {
    reader: csv::Reader<Limited>,
    lines: Lines,
    /// The first line, where it names the columns.
    header: Option<ByteRecord>,
    /// The first line, where it does not.
    first: Option<ByteRecord>,
    /// Fields of the first line, and of every other.
    width: usize,
    /// Where number, date and answer stand.
    at: [usize; 3],
    delimiter: u8,
    given: Given,
    name: String,
    answers: Answers,
    bytes: Arc<AtomicU64>,
}

impl Rows {
    /// Opens a file, and finds its columns.
    pub(super) fn open(path: &Path, given: Given) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Error::io("reading", &name, &error);
        let (mut source, bytes) = packed::open(path).map_err(failed)?;
        let mut head = Vec::new();
        source.by_ref().take(HEAD).read_to_end(&mut head).map_err(failed)?;
        let bom = if head.starts_with(BOM) { BOM.len() } else { 0 };
        let delimiter = scrub::delimiter(head.get(bom..).unwrap_or_default());
        let mut lines = Lines::of(&head);
        let mut head = io::Cursor::new(head);
        head.set_position(bom as u64);
        let source = Limited { source: Box::new(head.chain(source)), since_row: 0 };
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(source);
        let mut first = ByteRecord::new();
        if !reader.read_byte_record(&mut first).map_err(|error| broken(&name, 1, &error))? {
            return Err(Error::said(format!("{name}: the file is empty")));
        }
        if first.iter().any(has_line_end) {
            return Err(Error::said(format!("{name}:1: a field {OPEN_QUOTE}")));
        }
        let width = first.len();
        let found = match by_title(&first, &given.titles) {
            Ok(Some(at)) => (at, true),
            Ok(None) => (by_content(&first).map_err(|why| Error::said(format!("{name}: {why}")))?, false),
            Err(why) => return Err(Error::said(format!("{name}: {why}"))),
        };
        let (at, titled) = found;
        if titled {
            lines.begun(&first);
        }
        let (header, first) = if titled { (Some(first), None) } else { (None, Some(first)) };
        Ok(Self { reader, lines, header, first, width, at, delimiter, given, name, answers: Answers::default(), bytes })
    }

    /// How often each answer was read.
    pub(super) fn read_so_far(&self) -> Answers {
        self.answers
    }

    fn entry(&mut self, record: &ByteRecord) -> Result<Entry, Fault> {
        // Several answers that a quote made one row of: a yes among them would be lost in silence.
        if record.iter().any(has_line_end) {
            return Err(fault("", OPEN_QUOTE));
        }
        if record.len() != self.width {
            let (has, of) = (record.len(), self.width);
            return Err(fault("", format!("has {has} fields, and the first line {of}: one for each, be it empty")));
        }
        let cell = |which: usize| {
            let cell = self.at.get(which).and_then(|at| record.get(*at)).unwrap_or_default();
            std::str::from_utf8(cell).map(str::trim).map_err(|_| fault("", "holds bytes that are not UTF-8"))
        };
        let (number, date, word) = (cell(0)?, cell(1)?, cell(2)?);
        let why = "is none of yes, no and no_data";
        let answer = answer(word).ok_or_else(|| fault("answer", if word.is_empty() { "is empty" } else { why }))?;
        let american = Number::parse(number, Some("US")).map(|number| number.reveal_e164().as_str().starts_with("+1"));
        match american {
            Ok(true) => {}
            Ok(false) => return Err(fault("number", "is no number of the North American plan")),
            Err(error) => return Err(fault("number", error.to_string())),
        }
        let since_date = match date {
            // It tightens with or without.
            "" if answer == ReassignedAnswer::Yes => String::new(),
            "" => return Err(fault("date", "is empty: an answer of no, or none, is one about a date")),
            text => {
                let date =
                    self::date(text).ok_or_else(|| fault("date", "is not a date such as 2024-05-01 or 5/1/2024"))?;
                if self.given.checked_at < Instant::from_rfc3339(&format!("{date}T00:00:00Z")).unwrap_or(Instant::FAR) {
                    return Err(fault("date", "is after --checked-at: the database is asked about days that were"));
                }
                date.to_string()
            }
        };
        match answer {
            ReassignedAnswer::Yes => self.answers.yes += 1,
            ReassignedAnswer::No => self.answers.no += 1,
            _ => self.answers.no_data += 1,
        }
        let reassigned = v1::Reassigned {
            checked_at: Some(Timestamp::from_millis(self.given.checked_at.millis())),
            answer: answer.into(),
            since_date,
            source: self.given.source.clone(),
        };
        let facts = v1::ContactFacts { reassigned: Some(reassigned), ..v1::ContactFacts::default() };
        Ok(Entry::Facts(v1::UpdateContactRequest {
            number: number.to_owned(),
            default_region: if number.starts_with('+') { String::new() } else { "US".to_owned() },
            facts: Some(facts),
            update_mask: Some(FieldMask { paths: vec!["reassigned".to_owned()] }),
            ..v1::UpdateContactRequest::default()
        }))
    }
}

impl Source for Rows {
    fn next(&mut self) -> Result<Option<Row>, Error> {
        let record = match self.first.take() {
            Some(first) => first,
            None => {
                let mut record = ByteRecord::new();
                self.reader.get_mut().since_row = 0;
                let at = self.reader.position().line();
                let more = self.reader.read_byte_record(&mut record);
                if !more.map_err(|error| broken(&self.name, at, &error))? {
                    return Ok(None);
                }
                record
            }
        };
        let line = self.lines.begun(&record);
        let entry = self.entry(&record);
        Ok(Some(Row { line, entry, text: Text::Csv(record) }))
    }

    fn read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn refused_head(&self) -> Vec<u8> {
        let titled = |header| written(header, header.len(), ADDED.map(str::to_owned), self.delimiter);
        self.header.as_ref().map(titled).unwrap_or_default()
    }

    fn refused(&self, text: &Text, why: &v1::ImportRejection) -> Vec<u8> {
        let Text::Csv(record) = text else { return Vec::new() };
        let added = [why.row.to_string(), why.field.clone(), why.message.clone()];
        written(record, self.width, added, self.delimiter)
    }
}

fn broken(name: &str, line: u64, error: &csv::Error) -> Error {
    Error::said(format!("{name}:{line}: {error}"))
}

/// Where the columns stand by the titles of the first line; `None`: it has none.
fn by_title(first: &ByteRecord, named: &[Option<String>; 3]) -> Result<Option<[usize; 3]>, String> {
    let titles: Vec<_> = first.iter().map(|title| folded(&String::from_utf8_lossy(title))).collect();
    let untitled = first.iter().any(|cell| std::str::from_utf8(cell).is_ok_and(|cell| is_number(cell.trim())));
    if untitled {
        let none = "the first line names no columns: leave out --number-column, --date-column and --answer-column";
        return if named.iter().any(Option::is_some) { Err(none.to_owned()) } else { Ok(None) };
    }
    let mut at = [0; 3];
    for (((slot, names), named), what) in at.iter_mut().zip(NAMES).zip(named).zip(COLUMNS) {
        let is = |title: &String| match named {
            Some(name) => *title == folded(name),
            None => names.contains(&title.as_str()),
        };
        let mut found = titles.iter().enumerate().filter(|(_, title)| is(title)).map(|(at, _)| at);
        *slot = match (found.next(), found.next()) {
            (Some(at), None) => at,
            (None, _) => return Err(format!("no column is known to be the {what}: name it with --{what}-column")),
            (Some(_), Some(_)) => {
                return Err(format!("two columns may be the {what}: name one with --{what}-column"));
            }
        };
    }
    Ok(Some(at))
}

/// Where the columns stand by what the first row holds.
fn by_content(first: &ByteRecord) -> Result<[usize; 3], String> {
    let tests: [&dyn Fn(&str) -> bool; 3] = [&is_number, &|cell| date(cell).is_some(), &|cell| answer(cell).is_some()];
    let mut at = [0; 3];
    for ((slot, is), what) in at.iter_mut().zip(tests).zip(COLUMNS) {
        let cells = first.iter().enumerate().filter(|(_, cell)| std::str::from_utf8(cell).is_ok_and(|c| is(c.trim())));
        let found: Vec<_> = cells.map(|(at, _)| at).collect();
        let [one] = found.as_slice() else {
            let count = found.len();
            return Err(format!(
                "the first line names no columns, and {count} of its fields may be the {what}: give the file a first line \
                 such as number,date,answer"
            ));
        };
        *slot = *one;
    }
    Ok(at)
}

fn is_number(cell: &str) -> bool {
    cell.bytes().filter(u8::is_ascii_digit).count() >= 10 && Number::parse(cell, Some("US")).is_ok()
}

/// A date as the database takes it: of two digits the year is of this century.
fn date(text: &str) -> Option<jiff::civil::Date> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty();
    if let Some((year, rest)) = text.split_once('-') {
        let whole = year.len() == 4 && digits(year) && rest.len() == 5;
        return whole.then(|| text.parse().ok()).flatten();
    }
    let mut parts = text.split('/');
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || ![month, day, year].iter().all(|part| digits(part)) {
        return None;
    }
    let year: i16 = match year.len() {
        2 => year.parse::<i16>().ok()? + 2000,
        4 => year.parse().ok()?,
        _ => return None,
    };
    jiff::civil::Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

/// An answer in the words of the database, or of those who pass it on.
fn answer(word: &str) -> Option<ReassignedAnswer> {
    match folded(word).as_str() {
        "yes" | "y" | "true" => Some(ReassignedAnswer::Yes),
        "no" | "n" | "false" => Some(ReassignedAnswer::No),
        "nodata" | "null" => Some(ReassignedAnswer::NoData),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_the_database_takes_them() {
        for text in ["2024-05-01", "05/01/2024", "5/1/2024", "5/1/24"] {
            assert_eq!(date(text).unwrap().to_string(), "2024-05-01", "{text}");
        }
        for text in [
            "",
            "2024-5-1",
            "24-05-01",
            "13/01/2024",
            "5/1/124",
            "2024-02-30",
            "1.5.2024",
            "2024-05-01T00:00",
            "/1/2024",
        ] {
            assert!(date(text).is_none(), "{text}");
        }
    }

    #[test]
    fn answers_are_read_in_the_words_of_the_database() {
        for word in ["no_data", "no data", "No Data", "NO-DATA", "null"] {
            assert_eq!(answer(word), Some(ReassignedAnswer::NoData), "{word}");
        }
        assert_eq!([answer("Yes"), answer("FALSE")], [Some(ReassignedAnswer::Yes), Some(ReassignedAnswer::No)]);
        assert!(["", "1", "maybe", "yes!no"].iter().all(|word| answer(word).is_none()));
    }

    #[test]
    fn columns_are_found_by_titles_or_by_content() {
        let none = [None, None, None];
        let of = |cells: &[&str]| ByteRecord::from(cells.to_vec());
        assert_eq!(by_title(&of(&["Phone Number", "Ref", "Date", "Response"]), &none), Ok(Some([0, 2, 3])));
        let named = [None, None, Some("verdict".to_owned())];
        assert_eq!(by_title(&of(&["tn", "date", "status", "Verdict"]), &named), Ok(Some([0, 1, 3])));
        assert!(by_title(&of(&["tn", "date", "status", "result"]), &none).unwrap_err().contains("--answer-column"));
        let row = of(&["5/1/2024", "(202) 555-0143", "no_data"]);
        assert_eq!(by_title(&row, &none), Ok(None));
        assert_eq!(by_content(&row), Ok([1, 0, 2]));
        assert!(by_content(&of(&["2025550143", "no", "yes"])).is_err());
    }
}
