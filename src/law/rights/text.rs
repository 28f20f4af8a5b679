//! The table as it stands in its TOML file. Unknown keys are refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;
use toml::value::Datetime;

use super::{ClockRule, Complaint, Period, Rights, WorkingDays};
use crate::contact::{RightsKind, Term as _};
use crate::law::Confidence;
use crate::place::Jurisdiction;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    clock: Vec<ClockText>,
    calendar: BTreeMap<String, CalendarText>,
    complaint: Vec<ComplaintText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockText {
    id: String,
    jurisdiction: String,
    #[serde(default)]
    places: Vec<String>,
    #[serde(default)]
    kinds: Vec<String>,
    answer: String,
    extend: Option<String>,
    #[serde(default)]
    from_identity: bool,
    #[serde(default)]
    counts_receipt: bool,
    #[serde(default)]
    rolls: bool,
    from: Option<Datetime>,
    until: Option<Datetime>,
    citation: String,
    confidence: String,
    summary: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarText {
    known_until: Option<Datetime>,
    off: Vec<String>,
    work: Vec<String>,
    #[serde(rename = "citation")]
    _citation: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComplaintText {
    jurisdiction: String,
    route: String,
    #[serde(rename = "citation")]
    _citation: String,
    #[serde(default)]
    authorities: BTreeMap<String, String>,
}

pub(super) fn read(text: &str) -> Result<Rights, String> {
    let table: TableText = toml::from_str(text).map_err(|error| error.to_string())?;
    let clocks = table.clock.iter().map(|text| clock(text).map_err(|why| format!("clock `{}`: {why}", text.id)));
    let clocks = clocks.collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = clocks.iter().find(|one| clocks.iter().filter(|other| other.id == one.id).count() > 1) {
        return Err(format!("clock `{}` stands there twice", twice.id));
    }
    let mut calendars = BTreeMap::new();
    for (place, text) in &table.calendar {
        calendars.insert(code(place)?, working_days(text).map_err(|why| format!("calendar `{place}`: {why}"))?);
    }
    let mut complaints = Vec::new();
    for text in &table.complaint {
        let authorities = text.authorities.iter().map(|(place, name)| Ok((code(place)?, name.as_str().into())));
        complaints.push(Complaint {
            jurisdiction: code(&text.jurisdiction)?,
            route: text.route.as_str().into(),
            authorities: authorities.collect::<Result<_, String>>()?,
        });
    }
    Ok(Rights { clocks, calendars, complaints })
}

fn clock(text: &ClockText) -> Result<ClockRule, String> {
    let period =
        |text: &str| Period::parse(text).ok_or_else(|| format!("`{text}` is no period such as 15 working days"));
    let kind = |word: &String| RightsKind::from_word(word).ok_or_else(|| format!("`{word}` is no kind of request"));
    let all =
        [Confidence::Verified, Confidence::Secondary, Confidence::Policy, Confidence::Memory, Confidence::Disputed];
    let confidence = all.into_iter().find(|confidence| confidence.word() == text.confidence);
    Ok(ClockRule {
        id: text.id.as_str().into(),
        jurisdiction: code(&text.jurisdiction)?,
        places: text.places.iter().map(|place| code(place)).collect::<Result<_, _>>()?,
        kinds: text.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        answer: period(&text.answer)?,
        extend: text.extend.as_deref().map(period).transpose()?,
        from_identity: text.from_identity,
        counts_receipt: text.counts_receipt,
        rolls: text.rolls,
        from: text.from.as_ref().map(date).transpose()?,
        until: text.until.as_ref().map(date).transpose()?,
        citation: text.citation.as_str().into(),
        summary: text.summary.as_str().into(),
        confidence: confidence.ok_or_else(|| format!("`{}` is no confidence", text.confidence))?,
    })
}

fn working_days(text: &CalendarText) -> Result<WorkingDays, String> {
    Ok(WorkingDays {
        off: days(&text.off)?,
        work: days(&text.work)?,
        known_until: text.known_until.as_ref().map(date).transpose()?,
    })
}

/// Reads days and ranges of days, both ends included.
fn days(texts: &[String]) -> Result<BTreeSet<Date>, String> {
    let mut days = BTreeSet::new();
    for text in texts {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let bad = || format!("`{text}` is neither a day nor a range such as 2026-10-01..2026-10-07");
        let (mut day, last): (Date, Date) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
        if last < day || day.year() != last.year() {
            return Err(bad());
        }
        while day <= last {
            days.insert(day);
            day = day.tomorrow().map_err(|_| bad())?;
        }
    }
    Ok(days)
}

fn date(text: &Datetime) -> Result<Date, String> {
    text.to_string().parse().map_err(|_| format!("`{text}` is no day"))
}

fn code(text: &str) -> Result<Jurisdiction, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}
