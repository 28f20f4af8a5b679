//! The importer of CSV files by the names of their columns, those of numbers and of dates: refused in words, or all that the
//! rows say and nothing else.

use ringfence::registry::import::{Columns, Line, Reading, may_hold_number};

use super::import_lines::order;
use super::import_oracle::{delimiter, taken};

pub fn run(text: &[u8]) {
    let columns = Columns { number: "n".to_owned(), date: Some("d".to_owned()) };
    taken(order("it.rpo", false, true, Some(columns)), text, understood);
}

/// What each row says; `None` of one that is not understood.
fn understood(reading: Reading, text: &[u8]) -> Vec<Option<Line>> {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = u8::try_from(delimiter(&String::from_utf8_lossy(first))).expect("one byte");
    let mut rows = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text);
    let header = rows.byte_headers().expect("it was read").clone();
    // What is no UTF-8 is Latin-1.
    let title = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect())
    };
    let at = |name: &str| {
        let is = |bytes: &[u8]| title(bytes).trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(name);
        header.iter().position(is)
    };
    let (number_at, date_at) = (at("n").expect("it was read"), at("d").expect("it was read"));
    let row = |row: csv::ByteRecord| {
        let swallows = |(at, cell): (usize, &[u8])| {
            let several = cell.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
            several && ([number_at, date_at].contains(&at) || may_hold_number(cell, delimiter))
        };
        let whole = row.len() == header.len() && !row.iter().enumerate().any(swallows);
        let field = |at: usize| std::str::from_utf8(row.get(at)?).ok().map(str::trim);
        let (number, other) = reading.number(field(number_at).filter(|_| whole)?).ok()?;
        let date = match field(date_at)? {
            "" => None,
            date => Some(reading.date(date).ok()?),
        };
        Some(Line { number, other, date, added: None })
    };
    rows.byte_records().map(|one| row(one.expect("it was read"))).collect()
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "id;n;d\n1;\"+39 06 6981 2345\";15/10/2026\n2;0669812346;\n3;0669812346;2026-01-01\n",
        "n,d,other\n+390669812345,2026-01-01,x\n\"0669812346\",,\n3906981234,2026-01-02,\n",
        "d\tn\n2026-01-01\t0669812345\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
