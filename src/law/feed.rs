//! States of emergency from text: a file, or a case of a pack.
//!
//! Promises: a date alone is read as the whole local day, in the zone that makes it longest; a file is taken whole or
//! refused with every fault of it. Must never read a file: its text is given.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use super::emergency::{Declared, WORDS_BYTES};
use super::{Law, PackFault};
use crate::place::{self, Jurisdiction};
use crate::time::{Instant, day_of};

/// The most declarations of one file.
const MOST: usize = 10_000;

/// A declaration as written in a file, or beside a case.
#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredText {
    id: Option<String>,
    jurisdiction: Option<String>,
    #[serde(default)]
    counties: Vec<String>,
    title: Option<String>,
    source: Option<String>,
    from: Option<Datetime>,
    until: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedText {
    #[serde(default)]
    emergency: Vec<Spanned<DeclaredText>>,
}

/// A row of a file of comma-separated values; counties are separated by semicolons.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    jurisdiction: String,
    #[serde(default)]
    counties: String,
    title: String,
    source: String,
    from: String,
    #[serde(default)]
    until: String,
}

/// Reads the declarations of a file: `[[emergency]]` tables, or comma-separated values where its name ends so.
///
/// # Errors
/// Every fault, with its line.
pub fn read_declared(file: &str, text: &str, law: &Law) -> Result<Vec<Declared>, Vec<PackFault>> {
    let rows = if file.to_ascii_lowercase().ends_with(".csv") { rows(text) } else { tables(text) };
    let fault = |(line, message): (usize, String)| PackFault { file: file.to_owned(), line, message };
    let rows = rows.map_err(|faults| faults.into_iter().map(fault).collect::<Vec<_>>())?;
    let (mut found, mut faults, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    if rows.len() > MOST {
        faults.push(fault((1, format!("{} declarations; at most {MOST} are accepted", rows.len()))));
    }
    for (line, row) in rows {
        match declared(&row, law, None) {
            Ok(declared) => {
                if let Some(other) = seen.insert(declared.id.clone(), line) {
                    faults.push(fault((line, format!("`id` {} is that of line {other}", declared.id))));
                }
                found.push(declared);
            }
            Err(message) => faults.push(fault((line, message))),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

type Rows = Result<Vec<(usize, DeclaredText)>, Vec<(usize, String)>>;

fn tables(text: &str) -> Rows {
    let line = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
    let parsed: FeedText = toml::from_str(text)
        .map_err(|error| vec![(error.span().map_or(1, |span| line(span.start)), error.message().to_owned())])?;
    Ok(parsed.emergency.into_iter().map(|one| (line(one.span().start), one.into_inner())).collect())
}

fn rows(text: &str) -> Rows {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| vec![(1, error.to_string())])?.clone();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let line = |position: Option<&csv::Position>| {
            position.map_or(1, |position| usize::try_from(position.line()).unwrap_or(usize::MAX))
        };
        let read = record.map_err(|error| (line(error.position()), error.to_string())).and_then(|record| {
            let line = line(record.position());
            let row: Row = record.deserialize(Some(&headers)).map_err(|error| (line, error.to_string()))?;
            row.text().map(|text| (line, text)).map_err(|message| (line, message))
        });
        match read {
            Ok(row) => found.push(row),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

impl Row {
    fn text(self) -> Result<DeclaredText, String> {
        let date = |field: &str, text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("`{field}` is no date or instant")),
        };
        let counties = self.counties.split(';').map(str::trim).filter(|name| !name.is_empty());
        Ok(DeclaredText {
            id: Some(self.id),
            jurisdiction: Some(self.jurisdiction),
            counties: counties.map(str::to_owned).collect(),
            title: Some(self.title),
            source: Some(self.source),
            from: date("from", &self.from)?,
            until: date("until", &self.until)?,
        })
    }
}

/// Reads one declaration; `of` is the place where it names none.
pub(super) fn declared(text: &DeclaredText, law: &Law, of: Option<Jurisdiction>) -> Result<Declared, String> {
    let jurisdiction = match (&text.jurisdiction, of) {
        (Some(code), _) => {
            code.parse::<Jurisdiction>().map_err(|error| format!("`jurisdiction` `{code}` is {error}"))?
        }
        (None, Some(place)) => place,
        (None, None) => return Err("`jurisdiction` is missing: an ISO 3166 code such as US-NY".to_owned()),
    };
    let Some(jurisdiction) = place::known_as(jurisdiction) else {
        return Err(format!("`jurisdiction` {jurisdiction} is no place that is known"));
    };
    let words = |field: &str, text: Option<&String>| match text.map(|text| text.trim()) {
        Some(text) if text.len() > WORDS_BYTES => Err(format!("`{field}` is longer than {WORDS_BYTES} bytes")),
        Some(text) if text.chars().any(char::is_control) => Err(format!("`{field}` holds a control character")),
        Some(text) if !text.is_empty() => Ok(text.into()),
        _ if of.is_some() => Ok("Example".into()),
        _ => Err(format!("`{field}` is missing")),
    };
    let day = |date: &Datetime, last: bool| day(date, jurisdiction, last);
    let from = text.from.as_ref().map(|date| day(date, false)).transpose().map_err(|what| format!("`from` {what}"))?;
    let until =
        text.until.as_ref().map(|date| day(date, true)).transpose().map_err(|what| format!("`until` {what}"))?;
    if from.is_none() && of.is_none() {
        return Err("`from` is missing: a date, or an instant with its offset".to_owned());
    }
    let (from, until) = (from.unwrap_or(Instant::NEVER), until.unwrap_or(Instant::FAR));
    if until <= from {
        return Err("`until` is not later than `from`".to_owned());
    }
    Ok(Declared {
        id: words("id", text.id.as_ref())?,
        jurisdiction,
        counties: law.counties(jurisdiction, &text.counties).map_err(|what| format!("`counties`: {what}"))?,
        title: words("title", text.title.as_ref())?,
        source: words("source", text.source.as_ref())?,
        from,
        until,
        declared_at: Instant::NEVER,
    })
}

/// An instant; or where a local day begins first, or ends last, among the zones of a place.
fn day(date: &Datetime, place: Jurisdiction, last: bool) -> Result<Instant, String> {
    const WRONG: &str = "is neither a date nor an instant with its offset";
    match (date.date, date.time, date.offset) {
        (Some(date), None, None) => {
            let zones = place::zones_of(place).ok_or("is a date, and the place has no clock: give an instant")?;
            let date = jiff::civil::Date::new(
                i16::try_from(date.year).map_err(|_| WRONG)?,
                i8::try_from(date.month).map_err(|_| WRONG)?,
                i8::try_from(date.day).map_err(|_| WRONG)?,
            );
            let day = day_of(date.map_err(|_| WRONG)?);
            let starts = zones.iter().map(|zone| zone.day_start(if last { day.saturating_add(1) } else { day }));
            let found = if last { starts.max() } else { starts.min() };
            found.ok_or_else(|| WRONG.to_owned())
        }
        (Some(_), Some(_), Some(Offset::Z | Offset::Custom { .. })) => {
            Instant::from_rfc3339(&date.to_string()).ok_or_else(|| WRONG.to_owned())
        }
        _ => Err(WRONG.to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::law::BUILT_IN;

    fn read(file: &str, text: &str) -> Result<Vec<Declared>, Vec<PackFault>> {
        static LAW: std::sync::OnceLock<Law> = std::sync::OnceLock::new();
        read_declared(file, text, LAW.get_or_init(|| Law::read(BUILT_IN.iter().copied()).unwrap()))
    }

    fn at(text: &str) -> Instant {
        Instant::from_rfc3339(text).unwrap()
    }

    /// Alaska keeps two clocks: a day there begins with the first of them and ends with the last.
    #[test]
    fn a_date_is_the_whole_local_day_by_whichever_clock() {
        let text = "id,jurisdiction,title,source,from,until\na,US-AK,t,s,2026-11-18,2026-11-18\n";
        let declared = &read("e.csv", text).unwrap()[0];
        assert_eq!((declared.from, declared.until), (at("2026-11-18T09:00:00Z"), at("2026-11-19T10:00:00Z")));
        let text = "[[emergency]]\nid=\"a\"\njurisdiction=\"US-LA\"\ntitle=\"t\"\nsource=\"s\"\nfrom=2026-11-18T01:00:00-06:00\n";
        let declared = &read("e.toml", text).unwrap()[0];
        assert_eq!((declared.from, declared.until), (at("2026-11-18T07:00:00Z"), Instant::FAR));
    }

    #[test]
    fn both_forms_say_the_same_and_nothing_is_an_empty_list() {
        let toml = "[[emergency]]\nid=\"a\"\njurisdiction=\"US-NY\"\ncounties=[\"erie\",\"Kings\"]\ntitle=\"t\"\n\
                    source=\"s\"\nfrom=2026-11-18\nuntil=2026-11-20\n";
        let csv = "# as of today\nid,jurisdiction,counties,title,source,from,until\n\
                   a,US-NY,Erie; Kings County,t,s,2026-11-18,2026-11-20\n";
        assert_eq!(read("e.toml", toml).unwrap(), read("e.CSV", csv).unwrap());
        assert!(read("e.toml", "").unwrap().is_empty() && read("e.csv", "").unwrap().is_empty());
    }

    #[test]
    fn every_fault_of_a_file_is_told_with_its_line() {
        let rows = "id,jurisdiction,title,source,from\na,US-QQ,t,s,2026-11-18\n,US-NY,t,s,2026-11-18\n\
                    c,US-NY,t,s,2026-02-30\nd,US-NY,t,s,2026-11-18T10:00:00\n";
        let faults = read("e.csv", rows).unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        // A date that is none is found while reading rows; the rest is not looked at then.
        assert_eq!(lines, [4], "{faults:?}");
        let faults = read("e.csv", &rows.replace("2026-02-30", "2026-02-28")).unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 5], "{told:?}");
        assert!(told[0].contains("US-QQ") && told[1].contains("`id`") && told[2].contains("offset"), "{told:?}");
    }

    #[test]
    fn each_fault_of_a_table_is_told() {
        let good = "[[emergency]]\nid=\"a\"\njurisdiction=\"US-NY\"\ncounties=[\"Erie\"]\ntitle=\"t\"\nsource=\"s\"\n\
                    from=2026-11-18\n";
        for (from, to, line, word) in [
            ("Erie", "Eerie", 1, "Eerie"),
            ("US-NY", "New York", 1, "New York"),
            ("title=\"t\"", "title=\" \"", 1, "`title`"),
            ("source=\"s\"\n", "", 1, "`source`"),
            ("from=2026-11-18", "until=2026-11-18", 1, "`from`"),
            ("from=2026-11-18", "from=2026-11-18T10:00:00", 1, "offset"),
            ("from=2026-11-18", "from=2026-11-18\nuntil=2026-11-17", 1, "`until`"),
            ("from=2026-11-18", "form=2026-11-18", 7, "form"),
        ] {
            let faults = read("e.toml", &good.replace(from, to)).unwrap_err();
            assert_eq!((faults.len(), faults[0].line), (1, line), "{faults:?}");
            assert!(faults[0].message.contains(word), "{faults:?}");
        }
        let twice = read("e.toml", &format!("{good}{good}")).unwrap_err();
        assert_eq!((twice[0].line, twice[0].message.as_str()), (8, "`id` a is that of line 1"));
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in
            ["[[emergency]]", "[emergency]\n", "emergency = 1", "\u{0}", "a,b\n1", "id\n\"", "[[emergency]]\nfrom=1"]
        {
            for file in ["e.toml", "e.csv"] {
                let _ = read(file, text);
            }
        }
    }
}
