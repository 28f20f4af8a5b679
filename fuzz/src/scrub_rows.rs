//! `scrub`: a CSV file of leads. Every row is answered in its order, whatever is in it; its own fields stay as they were; what
//! has no number is denied; and an interrupted run that goes on from any place it marked writes the same rows.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use ringfence::cli::look::{self, Leads, Mark};
use ringfence::cli::{Command, Error};
use ringfence::place::Number;

use super::house;

/// Places from which the rest is read again.
const MARKS: usize = 2;

pub fn run(text: &[u8]) {
    thread_local! {
        static COMMAND: Command = house::command(
            "leads",
            &["scrub", "FILE", "--output=-", "--channel=text", "--purpose=informational", "--seller=acme", "--default-region=US"],
        );
    }
    // See `scrub_parquet`.
    if text.starts_with(b"PAR1") {
        return;
    }
    COMMAND.with(|command| held(command, &house::file("leads", text)));
}

/// Holds a file to what is promised of it, whatever its form.
pub fn held(command: &Command, path: &Path) {
    let Some(leads) = answered(command, path, None) else { return };
    rows(&leads);
    if leads.broken.is_some() {
        return;
    }
    let marks = leads.rows.iter().enumerate().map(|(row, lead)| (row + 1, lead.after));
    for (row, mark) in marks.take(MARKS) {
        let rest = answered(command, path, Some(mark)).expect("the same file");
        let rest: Vec<_> = rest.rows.iter().map(|lead| &lead.written).collect();
        let whole: Vec<_> = leads.rows.iter().skip(row).map(|lead| &lead.written).collect();
        assert_eq!(rest, whole, "gone on with after row {row}");
    }
}

fn answered(command: &Command, path: &Path, from: Option<Mark>) -> Option<Leads> {
    let engine = house::engine();
    let said = |error: &Error| house::said_of(path, &error.to_string());
    let leads = house::wait(look::leads(command, &engine, house::clock(), from));
    let leads = leads.inspect_err(said).ok()?;
    leads.broken.iter().for_each(said);
    Some(leads)
}

/// What is written reads as what was read, with four fields more.
fn rows(leads: &Leads) {
    for lead in &leads.rows {
        // Not at the begin of a file, where a mark of the order of bytes would be left out.
        let text = [b"x\n".as_slice(), &lead.written].concat();
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(leads.delimiter)
            .from_reader(text.as_slice());
        let mut again = reader.byte_records().skip(1);
        let record: ByteRecord = again.next().expect("a row").expect("a row of CSV");
        assert!(again.next().is_none(), "one row is one row");
        let own = lead.fields.len().max(leads.width);
        assert_eq!(record.len(), own + 4);
        let (before, rest) = (leads.width.min(lead.fields.len()), leads.width);
        let fields: Vec<&[u8]> = record.iter().collect();
        let was: Vec<&[u8]> = lead.fields.iter().map(Vec::as_slice).collect();
        assert_eq!(fields.get(..before), was.get(..before), "its own fields stay");
        assert_eq!(fields.get(rest + 4..), was.get(rest..).or(Some(&[])), "and those that it had too many");
        let told = std::str::from_utf8(fields.get(rest).expect("a verdict")).expect("text");
        let reasons = fields.get(rest + 1).expect("reasons");
        assert_eq!(told == "ALLOW", reasons.is_empty(), "{told}: {}", String::from_utf8_lossy(reasons));
        assert!(["ALLOW", "DENY"].contains(&told), "{told}");
        let number = Number::parse(&lead.asked.number, Some(&lead.asked.default_region));
        assert!(number.is_ok() || told == "DENY", "an ALLOW without a number");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    // As many rows as are looked at to find the columns, and some after which there are marks.
    let long: String = (0..108).map(|row| format!("1202555{row:04}\r\n")).collect();
    let short = [
        "name,phone,country,state,zip,time zone\nAda,+12025550143,US,FL,33101,America/New_York\nBob,,,,,\n\"C, D\",\"(305) 555-0123\",,,2134,\n",
        "+12025550143\n+442079460000\nabc\n",
        "\u{feff}Telefon;Land\r\n030 231250;DE\r\n'+33123456789;FR;zu viel\r\n",
        "a\tmobile\tb\n\"x\"\"y\"\t+61491570156\t\n\t+61491570157\n",
    ]
    .map(|text| text.as_bytes().to_vec());
    short.into_iter().chain([format!("tel\r\n{long}").into_bytes()]).collect()
}
