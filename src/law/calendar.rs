//! Weekly windows and holiday calendars, as half-open stretches of local time.
//!
//! Promises: everything about which minute of which local day is open or closed is worked out here and nowhere else,
//! with dates from the civil-time library. Guarded by the unit tests here and the golden grid.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

use crate::time::{Civil, date_of, day_of};

/// The first and last year calendars are worked out for; questions are refused outside 2000 to 2099, and a search for
/// the next open day looks 400 days ahead.
const FIRST_YEAR: i16 = 1998;
const LAST_YEAR: i16 = 2102;
const MILLIS_PER_MINUTE: i32 = 60_000;
const MILLIS_PER_DAY: i32 = 86_400_000;

/// The open windows of a week, `[start, end)`, by local weekday.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Week {
    /// Monday to Sunday; each in rising order, disjoint, in minutes after local midnight.
    days: [Vec<(u16, u16)>; 7],
}

impl Week {
    /// From the windows of each day, Monday first, in minutes after midnight.
    ///
    /// # Errors
    /// A window that ends before it starts, runs past midnight, or overlaps another.
    pub fn new(mut days: [Vec<(u16, u16)>; 7]) -> Result<Self, String> {
        for windows in &mut days {
            windows.sort_unstable();
            let mut last = 0;
            for (start, end) in windows {
                if *start >= *end || *end > 1440 {
                    return Err(format!("window {} is empty or runs past midnight", show(*start, *end)));
                }
                if *start < last {
                    return Err(format!("window {} overlaps the one before", show(*start, *end)));
                }
                last = *end;
            }
        }
        Ok(Self { days })
    }

    /// The windows of a weekday (Monday 0), in minutes after midnight.
    #[must_use]
    pub fn day(&self, weekday: u8) -> &[(u16, u16)] {
        self.days.get(usize::from(weekday)).map_or(&[], Vec::as_slice)
    }

    /// Whether the clock shows an open time, and at how many milliseconds after the midnight of its day that changes
    /// (at the latest at the end of the day).
    #[must_use]
    pub fn open_at(&self, civil: Civil) -> (bool, i32) {
        open_in(self.day(civil.weekday()), civil)
    }
}

/// Whether the clock shows a time within the windows of its day, and when that changes: see [`Week::open_at`].
#[must_use]
pub fn open_in(windows: &[(u16, u16)], civil: Civil) -> (bool, i32) {
    for (start, end) in windows {
        let (start, end) = (i32::from(*start) * MILLIS_PER_MINUTE, i32::from(*end) * MILLIS_PER_MINUTE);
        if civil.millis < start {
            return (false, start);
        }
        if civil.millis < end {
            return (true, end);
        }
    }
    (false, MILLIS_PER_DAY)
}

fn show(start: u16, end: u16) -> String {
    format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
}

/// A set of closed dates, worked out for a century.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Calendar {
    /// Its name in the pack.
    pub name: Box<str>,
    /// Day numbers in rising order, each with the index of its name.
    days: Vec<(i32, u16)>,
    names: Vec<Box<str>>,
}

/// One entry of a calendar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What the day is called.
    pub name: Box<str>,
    /// When it falls.
    pub on: On,
    /// First year.
    pub from: Option<i16>,
    /// Last year.
    pub until: Option<i16>,
    /// By how many days it moves when it falls on a weekday (Monday first); zero stays.
    pub moves: [i8; 7],
    /// Whether the date itself stays closed when the day moves.
    pub keeps_date: bool,
}

/// When a holiday falls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// The same date each year.
    Fixed {
        /// 1 to 12.
        month: i8,
        /// 1 to 31.
        day: i8,
    },
    /// So many days after Easter Sunday (Gregorian computus).
    Easter(i16),
    /// The nth weekday of a month; -1 is the last.
    Nth {
        /// 1 to 5, or -1.
        nth: i8,
        /// Which weekday.
        weekday: Weekday,
        /// 1 to 12.
        month: i8,
    },
    /// Election Day: the Tuesday after the first Monday of November, in years divisible by `every`.
    Election {
        /// 1 each year, 2 even years, 4 presidential years.
        every: i16,
    },
    /// One date, once.
    Once(Date),
}

impl On {
    /// Reads `01-01`, `easter+39`, `3rd mon jan`, `last mon may`, `election/2` or `2026-06-19`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(offset) = text.strip_prefix("easter") {
            return if offset.is_empty() { Some(Self::Easter(0)) } else { offset.parse().ok().map(Self::Easter) };
        }
        if let Some(every) = text.strip_prefix("election/") {
            return every.parse().ok().filter(|n| *n > 0).map(|every| Self::Election { every });
        }
        if let Ok(date) = text.parse::<Date>() {
            return Some(Self::Once(date));
        }
        if let Some((month, day)) = text.split_once('-') {
            let (month, day) = (month.parse().ok()?, day.parse().ok()?);
            // A leap year, so that 29 February is a date.
            return Date::new(2024, month, day).is_ok().then_some(Self::Fixed { month, day });
        }
        let mut words = text.split(' ');
        let nth = match words.next()? {
            "1st" => 1,
            "2nd" => 2,
            "3rd" => 3,
            "4th" => 4,
            "5th" => 5,
            "last" => -1,
            _ => return None,
        };
        let weekday = weekday_of(words.next()?)?;
        let month = MONTHS.iter().position(|m| Some(*m) == text.rsplit(' ').next())?;
        Some(Self::Nth { nth, weekday, month: i8::try_from(month + 1).ok()? })
    }

    fn in_year(self, year: i16) -> Option<Date> {
        match self {
            Self::Fixed { month, day } => Date::new(year, month, day).ok(),
            Self::Easter(offset) => easter(year)?.checked_add(i64::from(offset).days()).ok(),
            Self::Nth { nth, weekday, month } => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
            Self::Election { every } => {
                let monday = Date::new(year, 11, 1).ok()?.nth_weekday_of_month(1, Weekday::Monday).ok()?;
                if year % every == 0 { monday.checked_add(1.days()).ok() } else { None }
            }
            Self::Once(date) => (date.year() == year).then_some(date),
        }
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A weekday of its three letters.
#[must_use]
pub(crate) fn weekday_of(word: &str) -> Option<Weekday> {
    Some(match word {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Easter Sunday of the Gregorian calendar (anonymous computus; J. Meeus, Astronomical Algorithms, ch. 8).
fn easter(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let f = (b + 8) / 25;
    let g = (b - f + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    Date::new(year, i8::try_from(n / 31).ok()?, i8::try_from(n % 31 + 1).ok()?).ok()
}

impl Calendar {
    /// Works out every date of the entries.
    #[must_use]
    pub fn new(name: &str, entries: &[Entry]) -> Self {
        let mut days = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            for year in FIRST_YEAR..=LAST_YEAR {
                if entry.from.is_some_and(|from| year < from) || entry.until.is_some_and(|until| year > until) {
                    continue;
                }
                let Some(date) = entry.on.in_year(year) else { continue };
                let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
                let moved = entry.moves.get(weekday).copied().unwrap_or(0);
                if moved == 0 || entry.keeps_date {
                    days.push((day_of(date), index));
                }
                if moved != 0
                    && let Ok(observed) = date.checked_add(Span::new().days(i64::from(moved)))
                {
                    days.push((day_of(observed), index));
                }
            }
        }
        days.sort_unstable();
        days.dedup_by_key(|(day, _)| *day);
        Self { name: name.into(), days, names: entries.iter().map(|entry| entry.name.clone()).collect() }
    }

    /// Whether a local day (days since 1970-01-01) is closed.
    #[must_use]
    pub fn contains(&self, day: i32) -> bool {
        self.days.binary_search_by_key(&day, |(day, _)| *day).is_ok()
    }

    /// What a closed day is called.
    #[must_use]
    pub fn name_of(&self, day: i32) -> Option<&str> {
        let at = self.days.binary_search_by_key(&day, |(day, _)| *day).ok()?;
        self.names.get(usize::from(self.days.get(at)?.1)).map(AsRef::as_ref)
    }

    /// The first day after `day` on which the calendar's answer differs from its answer for `day`.
    #[must_use]
    pub fn next_change(&self, day: i32) -> Option<i32> {
        let start = self.days.partition_point(|(closed, _)| *closed < day);
        let mut expected = day;
        for (closed, _) in self.days.get(start..)? {
            if *closed != expected {
                return Some(if expected == day { *closed } else { expected });
            }
            expected += 1;
        }
        (expected != day).then_some(expected)
    }

    /// The names of entries that close no date: they never fall, or every date of theirs is closed by another entry.
    pub fn idle(&self) -> impl Iterator<Item = &str> {
        let closes = |index: usize| self.days.iter().any(|(_, name)| usize::from(*name) == index);
        self.names.iter().enumerate().filter(move |(index, _)| !closes(*index)).map(|(_, name)| &**name)
    }

    /// Every closed date, in order.
    pub fn dates(&self) -> impl Iterator<Item = (Date, &str)> {
        self.days.iter().filter_map(|(day, name)| {
            Some((date_of(*day)?, self.names.get(usize::from(*name)).map_or("", AsRef::as_ref)))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn entry(on: &str) -> Entry {
        let on = On::parse(on).unwrap();
        Entry { name: "x".into(), on, from: None, until: None, moves: [0; 7], keeps_date: true }
    }

    fn closed(calendar: &Calendar, date: Date) -> bool {
        calendar.contains(day_of(date))
    }

    #[test]
    fn easter_falls_where_it_fell() {
        let known =
            [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28), (2028, 4, 16), (2029, 4, 1), (2030, 4, 21)];
        for (y, m, d) in known {
            assert_eq!(easter(y), Some(date(y, m, d)));
        }
    }

    #[test]
    fn every_form_of_entry_is_read_and_others_refused() {
        let calendar =
            Calendar::new("c", &[entry("01-01"), entry("easter+39"), entry("3rd mon jan"), entry("last mon may")]);
        for day in [date(2026, 1, 1), date(2026, 5, 14), date(2026, 1, 19), date(2026, 5, 25)] {
            assert!(closed(&calendar, day), "{day}");
        }
        assert!(!closed(&calendar, date(2026, 1, 2)));
        let election = Calendar::new("e", &[entry("election/2")]);
        assert!(closed(&election, date(2026, 11, 3)) && !closed(&election, date(2027, 11, 2)));
        for bad in ["", "13-01", "02-30", "easter+x", "6th mon jan", "1st day jan", "1st mon foo", "tomorrow"] {
            assert_eq!(On::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_moved_day_closes_the_observed_date_and_keeps_its_own_only_if_told() {
        let mut fourth = entry("07-04");
        fourth.moves = [0, 0, 0, 0, 0, -1, 1];
        let both = Calendar::new("both", std::slice::from_ref(&fourth));
        assert!(closed(&both, date(2026, 7, 3)) && closed(&both, date(2026, 7, 4)));
        fourth.keeps_date = false;
        let moved = Calendar::new("moved", &[fourth]);
        assert!(closed(&moved, date(2026, 7, 3)) && !closed(&moved, date(2026, 7, 4)));
    }

    #[test]
    fn next_change_finds_the_next_closed_day_and_the_end_of_a_run() {
        let calendar = Calendar::new("c", &[entry("12-25"), entry("12-26")]);
        let day = |d| day_of(d);
        assert_eq!(calendar.next_change(day(date(2026, 12, 1))), Some(day(date(2026, 12, 25))));
        assert_eq!(calendar.next_change(day(date(2026, 12, 25))), Some(day(date(2026, 12, 27))));
        assert_eq!(calendar.next_change(day(date(2026, 12, 26))), Some(day(date(2026, 12, 27))));
    }

    #[test]
    fn windows_are_half_open_and_bad_ones_refused() {
        let week = Week::new(std::array::from_fn(|_| vec![(840, 1200), (600, 780)])).unwrap();
        let at = |minute: i32| week.open_at(Civil { day: 0, millis: minute * 60_000 });
        assert_eq!(at(599), (false, 600 * 60_000));
        assert_eq!(at(600), (true, 780 * 60_000));
        assert_eq!(at(780), (false, 840 * 60_000));
        assert_eq!(at(1200), (false, MILLIS_PER_DAY));
        assert!(Week::new(std::array::from_fn(|_| vec![(600, 600)])).is_err());
        assert!(Week::new(std::array::from_fn(|_| vec![(600, 1500)])).is_err());
        assert!(Week::new(std::array::from_fn(|_| vec![(600, 700), (650, 800)])).is_err());
    }
}
