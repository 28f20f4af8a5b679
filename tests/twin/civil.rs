//! Civil time a second time: offsets straight from the library, dates by arithmetic of our own.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use ringfence::law::Span;
use ringfence::time::{Instant, ZoneId};

pub const MINUTE: i64 = 60_000;
pub const DAY: i64 = 86_400_000;

/// A wall clock: days since 1970-01-01 and milliseconds since midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    pub day: i64,
    pub millis: i64,
}

thread_local! {
    static ZONES: RefCell<HashMap<&'static str, TimeZone>> = RefCell::default();
    static STARTS: RefCell<HashMap<(&'static str, i64), i64>> = RefCell::default();
}

fn zone(id: ZoneId) -> TimeZone {
    ZONES.with_borrow_mut(|zones| {
        zones.entry(id.name()).or_insert_with(|| TimeZoneDatabase::bundled().get(id.name()).unwrap()).clone()
    })
}

pub fn local(id: ZoneId, at: Instant) -> Local {
    let stamp = Timestamp::from_millisecond(at.millis()).unwrap();
    let shown = at.millis() + i64::from(zone(id).to_offset(stamp).seconds()) * 1000;
    Local { day: shown.div_euclid(DAY), millis: shown.rem_euclid(DAY) }
}

/// The first instant of a local day: of two midnights the first, of none the first instant after the gap.
pub fn day_start(id: ZoneId, day: i64) -> Instant {
    let known = STARTS.with_borrow(|starts| starts.get(&(id.name(), day)).copied());
    let millis = known.unwrap_or_else(|| {
        let zone = zone(id);
        let (year, month, date) = date_of(day);
        let midnight = Date::new(year.try_into().unwrap(), month, date).unwrap().at(0, 0, 0, 0);
        let ambiguous = zone.to_ambiguous_timestamp(midnight);
        let stamp = match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                let before = after.to_timestamp(midnight).unwrap() - jiff::SignedDuration::from_hours(30);
                zone.following(before).find(|change| change.offset() == after).unwrap().timestamp()
            }
            _ => ambiguous.earlier().unwrap(),
        };
        STARTS.with_borrow_mut(|starts| starts.insert((id.name(), day), stamp.as_millisecond()));
        stamp.as_millisecond()
    });
    Instant::from_millis(millis)
}

/// Monday is 0. 1970-01-01 was a Thursday.
pub fn weekday(day: i64) -> u8 {
    u8::try_from((day + 3).rem_euclid(7)).unwrap()
}

/// Counts days by whole years and months from the epoch.
pub fn day_of(year: i64, month: i8, date: i8) -> i64 {
    let years_before = |y: i64| 365 * y + (y - 1).div_euclid(4) - (y - 1).div_euclid(100) + (y - 1).div_euclid(400);
    let months: i64 = (1..month).map(|m| i64::from(length(year, m))).sum();
    years_before(year) - years_before(1970) + months + i64::from(date) - 1
}

pub fn date_of(day: i64) -> (i64, i8, i8) {
    let mut year = 1970 + day.div_euclid(366);
    while day_of(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && day_of(year, month + 1, 1) <= day {
        month += 1;
    }
    (year, month, i8::try_from(day - day_of(year, month, 1) + 1).unwrap())
}

fn length(year: i64, month: i8) -> i8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The same date so many months on (the last of the month where there is no such date), then so many days.
pub fn moved(day: i64, span: Span) -> i64 {
    let (year, month, date) = date_of(day);
    let months = year * 12 + i64::from(month) - 1 + i64::from(span.months);
    let (year, month) = (months.div_euclid(12), i8::try_from(months.rem_euclid(12) + 1).unwrap());
    day_of(year, month, date.min(length(year, month))) + i64::from(span.days)
}

/// Full years lived on a day by somebody born on another. Who was born on 29 February is a year older on 1 March.
pub fn age(born: i64, day: i64) -> i64 {
    let ((year, month, date), (by, bm, bd)) = (date_of(day), date_of(born));
    year - by - i64::from((month, date) < (bm, bd))
}
