//! States of emergency as declared: dated facts about places, fed in while serving.
//!
//! Promises: one that is declared for counties reaches everybody whose county is not known; a date alone is read as the
//! whole local day, in the zone that makes it longest; a file is taken whole or refused with every fault of it.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use super::{Law, Pack, PackFault};
use crate::place::{self, Jurisdiction};
use crate::time::{Instant, day_of};

/// The longest title or source, in bytes.
pub const WORDS_BYTES: usize = 1_024;
/// The most counties of one declaration.
pub const MOST_COUNTIES: usize = 1_000;
/// The most declarations of one file.
const MOST: usize = 10_000;

/// A state of emergency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Names it.
    pub id: Box<str>,
    /// Where.
    pub jurisdiction: Jurisdiction,
    /// The counties it is declared for, by the names of the pack; empty: all.
    pub counties: Vec<Box<str>>,
    /// What it is called.
    pub title: Box<str>,
    /// Where it is written.
    pub source: Box<str>,
    /// First instant.
    pub from: Instant,
    /// First instant after it; [`Instant::FAR`] where no end is known.
    pub until: Instant,
    /// When it was recorded; [`Instant::NEVER`] where nobody recorded it: it stands in a file.
    pub declared_at: Instant,
}

impl Declared {
    /// From when on it counts. What was declared as of its recording holds in a live check at once: the clock of another
    /// instance may be behind.
    #[must_use]
    pub fn begins(&self, live: bool) -> Instant {
        if live && self.from <= self.declared_at { Instant::NEVER } else { self.from }
    }

    /// Whether somebody who may be in `place` may be where it is declared.
    #[must_use]
    pub fn concerns(&self, place: Jurisdiction) -> bool {
        within(place, self.jurisdiction)
    }
}

/// Whether a place is, lies in, or holds another: what is known of the one may be true of the other.
#[must_use]
pub fn within(place: Jurisdiction, wider: Jurisdiction) -> bool {
    place == wider || place::country_group(place) == wider || wider.country() == Some(place)
}

/// A county's name without what its spellings differ in: case, spaces, points, `Saint` for `St.`, a closing `County` or
/// `Parish`.
pub(super) fn county_key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    let mut words: Vec<String> = words.map(|word| if word == "saint" { "st".to_owned() } else { word }).collect();
    if words.len() > 1 && words.last().is_some_and(|last| last == "county" || last == "parish") {
        words.pop();
    }
    words.concat()
}

impl Pack {
    /// The county of this name, as the pack spells it; `None` where it knows none.
    #[must_use]
    pub fn county(&self, name: &str) -> Option<&str> {
        let key = county_key(name);
        self.head.counties.iter().find(|(known, _)| *known == key).map(|(_, name)| &**name)
    }
}

impl Law {
    /// The counties named, as the pack of the place spells them.
    ///
    /// # Errors
    /// Which one is unknown, and what to do.
    pub fn counties(&self, place: Jurisdiction, names: &[String]) -> Result<Vec<Box<str>>, String> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        if names.len() > MOST_COUNTIES {
            return Err(format!("{} counties; at most {MOST_COUNTIES} are accepted", names.len()));
        }
        let pack = self.pack_of(place).filter(|pack| pack.jurisdiction() == place && !pack.head.counties.is_empty());
        let Some(pack) = pack else {
            return Err(format!("no pack knows the counties of {place}: leave them out, and all of {place} counts"));
        };
        let mut found = Vec::new();
        for name in names {
            match pack.county(name) {
                Some(county) if found.iter().any(|other: &Box<str>| **other == *county) => {}
                Some(county) => found.push(county.into()),
                None => {
                    let shown: String = name.chars().take(48).flat_map(char::escape_debug).collect();
                    return Err(format!("`{shown}` is no county of {place} that its pack knows"));
                }
            }
        }
        Ok(found)
    }

    /// The ids of the rules that speak because of a state of emergency there.
    #[must_use]
    pub fn emergency_rules(&self, jurisdiction: Jurisdiction) -> Vec<&str> {
        let rules = self.packs().iter().flat_map(|pack| &pack.rules);
        let speaks = |about: Jurisdiction| {
            within(jurisdiction, about)
                || within(about, jurisdiction)
                || self
                    .chain(jurisdiction)
                    .packs
                    .iter()
                    .any(|i| self.pack(*i).is_some_and(|p| p.jurisdiction() == about))
        };
        let of_kind = rules.filter(|rule| matches!(rule.body, super::Body::Emergency) && speaks(rule.jurisdiction));
        of_kind.map(|rule| &*rule.id).collect()
    }
}

/// A declaration as written in a file, or beside a case.
#[derive(Deserialize, Debug)]
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
