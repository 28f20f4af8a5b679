//! QUIET_HOURS and HOLIDAY: is it a closed time, in any plausible zone.

use crate::contact::InconvenientTime;
use crate::law::{Calendar, DateWindows, Week, open_in};
use crate::place::Zones;
use crate::time::{Civil, Instant, Regime, ZoneId};

use super::stretch::Stretch;

const MILLIS_PER_MINUTE: i32 = 60_000;
const MILLIS_PER_DAY: i32 = 86_400_000;

/// Whether the week is closed at `at` in any of the zones.
pub(crate) fn closed(week: &Week, dates: &[DateWindows], zones: &[ZoneId], at: Instant) -> Stretch {
    in_any(zones, at, |civil| {
        let special = dates.iter().find(|dates| dates.calendar.contains(civil.day.saturating_add(dates.days_before)));
        let (open, changes) = match special {
            Some(dates) => open_in(&dates.windows, civil),
            None => week.open_at(civil),
        };
        (!open, civil.day, changes)
    })
}

/// Whether the local date is in the calendar in any of the zones.
pub(crate) fn on_holiday(calendar: &Calendar, zones: &[ZoneId], at: Instant) -> Stretch {
    in_any(zones, at, |civil| {
        // A run of open days is one stretch: the next closed day may be months away.
        let day = calendar.next_change(civil.day).map_or(i32::MAX, |day| day.saturating_sub(1));
        (calendar.contains(civil.day), day, MILLIS_PER_DAY)
    })
}

/// Whether the local time was called inconvenient, in any of the zones.
pub(crate) fn inconvenient(times: &[InconvenientTime], zones: &Zones, at: Instant) -> Stretch {
    in_any(zones, at, |civil| {
        let mut hit = false;
        let mut changes = MILLIS_PER_DAY;
        for time in times {
            for (day, start, end) in pieces(*time) {
                if day != civil.weekday() {
                    continue;
                }
                let (start, end) = (i32::from(start) * MILLIS_PER_MINUTE, i32::from(end) * MILLIS_PER_MINUTE);
                hit |= (start..end).contains(&civil.millis);
                for edge in [start, end] {
                    if edge > civil.millis {
                        changes = changes.min(edge);
                    }
                }
            }
        }
        (hit, civil.day, changes)
    })
}

/// The parts of a weekly window that lie within one weekday each, in minutes.
fn pieces(time: InconvenientTime) -> impl Iterator<Item = (u8, u16, u16)> {
    (0..7u8).filter(move |day| time.weekdays & (1 << day) != 0).flat_map(move |day| {
        if time.end > time.start {
            [Some((day, time.start, time.end)), None]
        } else {
            [Some((day, time.start, 1440)), (time.end > 0).then_some(((day + 1) % 7, 0, time.end))]
        }
        .into_iter()
        .flatten()
    })
}

/// Asks the wall clock of each zone. `ask` answers yes or no and the local day and time of day at which that changes.
/// A change of the clock itself ends a stretch too, so that skipped and repeated hours need no rule of their own.
fn in_any(zones: &[ZoneId], at: Instant, ask: impl Fn(Civil) -> (bool, i32, i32)) -> Stretch {
    let mut any = Stretch::always(false);
    for zone in zones {
        let regime: Regime = zone.regime(at);
        let (holds, day, millis) = ask(regime.civil(at));
        any = any.or(Stretch::new(holds, regime.instant_of(day, millis).min(regime.until)));
    }
    any
}
