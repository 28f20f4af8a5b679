//! Counting days: months by the day of the month, working days by their calendar.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

use crate::law::Span;

/// How long a clock runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    /// Calendar months and days.
    Calendar(Span),
    /// Working days.
    Working(u16),
}

impl Period {
    /// Reads `1 month`, `45 days` or `15 working days`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = text.split_once(' ')?;
        let count: u16 = count.parse().ok().filter(|count| (1..=366).contains(count))?;
        let number = i32::from(count);
        match unit {
            "day" | "days" => Some(Self::Calendar(Span { months: 0, days: number })),
            "month" | "months" => Some(Self::Calendar(Span { months: number, days: 0 })),
            "working day" | "working days" => Some(Self::Working(count)),
            _ => None,
        }
    }

    /// Whether it counts working days.
    #[must_use]
    pub const fn is_of_working_days(self) -> bool {
        matches!(self, Self::Working(_))
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, unit) = match self {
            Self::Calendar(Span { months: 0, days }) => (*days, "day"),
            Self::Calendar(Span { months, .. }) => (*months, "month"),
            Self::Working(days) => (i32::from(*days), "working day"),
        };
        write!(f, "{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

/// The working days of a country: Monday to Friday, but for the days of rest listed, and the weekend days worked instead.
#[derive(Clone, Default, Debug)]
pub struct WorkingDays {
    pub(super) off: BTreeSet<Date>,
    pub(super) work: BTreeSet<Date>,
    /// Up to this day the list is the announced one; `None`: there is no list to be announced.
    pub(super) known_until: Option<Date>,
}

impl WorkingDays {
    /// Whether people work on this day.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        self.work.contains(&day) || (!weekend && !self.off.contains(&day))
    }

    /// Whether the list for this day is the announced one.
    #[must_use]
    pub fn knows(&self, day: Date) -> bool {
        self.known_until.is_none_or(|until| day <= until)
    }

    /// This day, or the first working day after it; `None` beyond the calendar.
    #[must_use]
    pub fn on_or_after(&self, mut day: Date) -> Option<Date> {
        while !self.contains(day) {
            day = day.tomorrow().ok()?;
        }
        Some(day)
    }

    /// The nth working day after this one, which is not counted itself.
    #[must_use]
    pub fn after(&self, mut day: Date, count: u16) -> Option<Date> {
        for _ in 0..count {
            day = self.on_or_after(day.tomorrow().ok()?)?;
        }
        Some(day)
    }
}

/// The last day of a period that starts on this day, which is not counted itself. A month ends on the same day of the next
/// one, or on its last (Regulation 1182/71 art. 3(2)(c)). An extension is counted from the start together with the period,
/// or from the end of it: the earlier.
pub(super) fn end(start: Date, answer: Period, extend: Option<Period>, days: &WorkingDays) -> Option<Date> {
    let first = add(start, answer, days)?;
    let Some(extend) = extend else { return Some(first) };
    let after = add(first, extend, days)?;
    match (answer, extend) {
        (Period::Calendar(one), Period::Calendar(more)) => {
            let whole = Span { months: one.months + more.months, days: one.days + more.days };
            Some(after.min(add(start, Period::Calendar(whole), days)?))
        }
        _ => Some(after),
    }
}

fn add(start: Date, period: Period, days: &WorkingDays) -> Option<Date> {
    match period {
        Period::Calendar(Span { months, days }) => start.checked_add(months.months().days(days)).ok(),
        Period::Working(count) => days.after(start, count),
    }
}
