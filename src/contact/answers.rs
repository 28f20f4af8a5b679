//! What a database of reassigned numbers answered: read from messages, kept in the record, asked for again.
//!
//! Promises: an answer that is recorded is not taken away by another; a date is read so that nothing given before it counts
//! as given on it, whatever clock it was written by.

use crate::proto::v1;
use crate::time::{Instant, Millis, date_of, day_of};

use super::wire::{Reader, plain, short};
use super::{Reassigned, ReassignedAnswer};

/// No clock of the North American plan is further behind: from then on a day has begun everywhere.
const BEGUN_EVERYWHERE: Millis = Millis::hours(12);

/// Answers of one message beside the newest: each is weighed against each.
const MOST: usize = 200;

/// The answers of a message: the newest, and those before it.
pub fn read(reader: &mut Reader, newest: Option<&v1::Reassigned>, before: &[v1::Reassigned]) -> Vec<Reassigned> {
    if before.len() > MOST {
        reader.fault("reassigned_before", format!("has {} entries: at most {MOST} are taken", before.len()));
        return Vec::new();
    }
    let mut all = if before.is_empty() { Vec::new() } else { reader.each("reassigned_before", before, answer) };
    all.extend(newest.and_then(|message| reader.within("reassigned", |reader| answer(reader, message))));
    all
}

/// One answer; `None`: never asked.
pub fn answer(reader: &mut Reader, message: &v1::Reassigned) -> Option<Reassigned> {
    use v1::ReassignedAnswer as Wire;
    let answer = match Wire::try_from(message.answer) {
        Ok(Wire::Yes) => ReassignedAnswer::Yes,
        Ok(Wire::No) => ReassignedAnswer::No,
        Ok(Wire::NoData) => ReassignedAnswer::NoData,
        Ok(Wire::Unspecified) => return None,
        Err(_) => {
            reader.fault("answer", format!("{} is not an answer of this contract", plain(message.answer.into())));
            return None;
        }
    };
    reader.text("source", &message.source);
    let checked_at = reader.instant("checked_at", message.checked_at.as_ref());
    Some(Reassigned { checked_at, since: since(reader, &message.since_date), answer })
}

fn since(reader: &mut Reader, text: &str) -> Option<Instant> {
    if text.is_empty() {
        return None;
    }
    let date = text.parse::<jiff::civil::Date>().ok().filter(|date| (1980..2200).contains(&date.year()));
    // Dates are compared and shown as they were written: in one form.
    let date = date.filter(|date| date.to_string() == text);
    if date.is_none() {
        reader.fault("since_date", format!("`{}` is not a date such as 2026-12-31", short(text)));
    }
    date.map(|date| Instant::from_millis(0).plus(Millis::days(i64::from(day_of(date)))).plus(BEGUN_EVERYWHERE))
}

/// The date to ask about for what was given at an instant: the day it was by the clock that is furthest behind.
#[must_use]
pub fn date_to_ask_about(given: Instant) -> Option<String> {
    let day = given.minus(BEGUN_EVERYWHERE).millis().div_euclid(Millis::days(1).0);
    i32::try_from(day).ok().and_then(date_of).map(|date| date.to_string())
}

/// Adds the answers of a message to those recorded; one that is there already is there once. Without any, all are cleared.
pub(super) fn join(known: &mut Vec<v1::Reassigned>, facts: &v1::ContactFacts) {
    if facts.reassigned.is_none() && facts.reassigned_before.is_empty() {
        known.clear();
    }
    for answer in facts.reassigned_before.iter().chain(&facts.reassigned) {
        if answer.answer() != v1::ReassignedAnswer::Unspecified && !known.contains(answer) {
            known.push(answer.clone());
        }
    }
    // One that does not say when it was asked counts as the newest.
    known.sort_by_key(|answer| {
        let asked = answer.checked_at.and_then(|stamp| stamp.to_millis()).unwrap_or(i64::MAX);
        (asked, answer.answer() == v1::ReassignedAnswer::Yes)
    });
}

/// The newest of those recorded.
pub(super) fn newest(known: &[v1::Reassigned]) -> Option<v1::Reassigned> {
    known.last().cloned()
}

/// The others, oldest first.
pub(super) fn before(known: &[v1::Reassigned]) -> Vec<v1::Reassigned> {
    known.split_last().map(|(_, before)| before.to_vec()).unwrap_or_default()
}

/// What stays when the contact is erased: that the number was given up.
pub(super) fn denying(known: &[v1::Reassigned]) -> Vec<v1::Reassigned> {
    let yes = known.iter().filter(|answer| answer.answer() == v1::ReassignedAnswer::Yes);
    yes.map(|answer| v1::Reassigned { source: String::new(), ..answer.clone() }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::proto::well_known::Timestamp;

    fn told(answer: v1::ReassignedAnswer, checked: Option<i64>, since_date: &str) -> v1::Reassigned {
        v1::Reassigned {
            checked_at: checked.map(Timestamp::from_millis),
            answer: answer.into(),
            since_date: since_date.to_owned(),
            source: "june.csv".to_owned(),
        }
    }

    fn one(answer: v1::Reassigned) -> v1::ContactFacts {
        v1::ContactFacts { reassigned: Some(answer), ..v1::ContactFacts::default() }
    }

    #[test]
    fn an_answer_takes_none_away_and_is_kept_once() {
        use v1::ReassignedAnswer::{No, NoData, Unspecified, Yes};
        let mut known = Vec::new();
        for answer in [told(Yes, Some(20), "2024-01-02"), told(No, Some(10), ""), told(NoData, Some(20), "")] {
            join(&mut known, &one(answer.clone()));
            join(&mut known, &one(answer));
        }
        join(&mut known, &one(told(Unspecified, Some(30), "")));
        assert_eq!(known.iter().map(v1::Reassigned::answer).collect::<Vec<_>>(), [No, NoData, Yes]);
        assert_eq!((newest(&known).unwrap().answer(), before(&known).len(), denying(&known).len()), (Yes, 2, 1));
        join(&mut known, &v1::ContactFacts::default());
        assert!(known.is_empty() && newest(&known).is_none() && before(&known).is_empty());
    }

    #[test]
    fn a_date_that_was_asked_about_reaches_what_it_was_asked_for() {
        for given in
            ["2024-02-29T00:00:00Z", "2024-02-29T11:59:59.999Z", "2024-02-29T12:00:00Z", "2024-12-31T23:00:00Z"]
        {
            let given = Instant::from_rfc3339(given).unwrap();
            let mut reader = Reader::new();
            let asked = since(&mut reader, &date_to_ask_about(given).unwrap()).unwrap();
            assert!(reader.violations().is_empty() && asked <= given && given < asked.plus(Millis::days(1)));
        }
        assert_eq!(date_to_ask_about(Instant::from_rfc3339("2024-03-01T11:00:00Z").unwrap()).unwrap(), "2024-02-29");
        let mut reader = Reader::new();
        assert!(["2024-02-30", "01/02/2024", "1870-01-01"].iter().all(|text| since(&mut reader, text).is_none()));
        assert_eq!(reader.violations().len(), 3);
    }
}
