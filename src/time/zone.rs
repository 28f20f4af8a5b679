//! Time zones as tables of offset changes, read once from the zone database.
//!
//! Deciding needs two things of a zone, often: the wall clock at an instant, and the next instant at which the offset
//! changes. A sorted table answers both with one search; the rules behind it stay the library's.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Instant, source};

const MILLIS_PER_DAY: i64 = 86_400_000;
/// The tables hold the changes of these years; questions are refused outside 2000 to 2099.
const TABLE_FROM: &str = "1990-01-01T00:00:00Z";
const TABLE_UNTIL: &str = "2102-01-01T00:00:00Z";

/// A zone of the bundled database. Copies freely; equal ids are equal names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(u16);

impl ZoneId {
    /// UTC, for rules and questions without a place.
    #[must_use]
    pub fn utc() -> Self {
        Self::by_name("UTC").unwrap_or(Self(0))
    }

    /// The zone of this IANA name (any case, links included), or `None` where the bundled database has none.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let zones = zones();
        let id = match zones.by_name.get(name) {
            Some(id) => Some(*id),
            None => zones.by_name.get(*zones.folded.get(&name.to_ascii_lowercase())?).copied(),
        };
        id.map(Self)
    }

    /// A number of its own for each zone, from 0 without gaps.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The same number for zones that show the same time at every instant that is looked at (`America/Detroit` and
    /// `America/New_York`), and different ones for all others.
    #[must_use]
    pub fn clock(self) -> u16 {
        zones().list.get(usize::from(self.0)).map_or(self.0, |zone| zone.table().clock)
    }

    /// The IANA name.
    #[must_use]
    pub fn name(self) -> &'static str {
        zones().list.get(usize::from(self.0)).map_or("UTC", |zone| zone.name)
    }

    /// The stretch of constant offset that `at` falls into.
    #[must_use]
    pub fn regime(self, at: Instant) -> Regime {
        zones().list.get(usize::from(self.0)).map_or(Regime::UTC, |zone| zone.regime(at))
    }

    /// The wall clock at `at`.
    #[must_use]
    pub fn civil(self, at: Instant) -> Civil {
        self.regime(at).civil(at)
    }

    /// The first instant of a local day: local midnight, or where the clock skips it the first instant after the gap;
    /// where midnight comes twice, the first.
    #[must_use]
    pub fn day_start(self, day: i32) -> Instant {
        let local = i64::from(day).saturating_mul(MILLIS_PER_DAY);
        // Offsets lie within 26 hours, so the day begins within the regimes around its UTC midnight.
        let mut regime = self.regime(Instant::from_millis(local.saturating_sub(26 * 3_600_000)));
        loop {
            let candidate = Instant::from_millis(local.saturating_sub(regime.offset_millis));
            if candidate < regime.until {
                return candidate.max(regime.from);
            }
            if regime.until == Instant::FAR {
                return candidate;
            }
            regime = self.regime(regime.until);
        }
    }
}

/// Prints the IANA name.
impl std::fmt::Debug for ZoneId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A stretch of time in which a zone keeps one offset: from `from`, until just before `until`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Regime {
    /// Local time minus UTC, in milliseconds.
    pub offset_millis: i64,
    /// The first instant of the stretch.
    pub from: Instant,
    /// The first instant after it ([`Instant::FAR`] where no change is known).
    pub until: Instant,
}

impl Regime {
    const UTC: Self = Self { offset_millis: 0, from: Instant::NEVER, until: Instant::FAR };

    /// The wall clock at `at`, which must lie within the stretch for the answer to be right.
    #[must_use]
    pub fn civil(self, at: Instant) -> Civil {
        let local = at.millis().saturating_add(self.offset_millis);
        Civil {
            day: i32::try_from(local.div_euclid(MILLIS_PER_DAY)).unwrap_or(i32::MAX),
            millis: i32::try_from(local.rem_euclid(MILLIS_PER_DAY)).unwrap_or(0),
        }
    }

    /// The instant at which this offset shows `millis` after the midnight that begins `day`.
    #[must_use]
    pub fn instant_of(self, day: i32, millis: i32) -> Instant {
        let local = i64::from(day).saturating_mul(MILLIS_PER_DAY).saturating_add(i64::from(millis));
        Instant::from_millis(local.saturating_sub(self.offset_millis))
    }
}

/// A wall-clock reading: a local day and the time since its midnight by the clock on the wall.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Civil {
    /// Days since 1970-01-01, local.
    pub day: i32,
    /// Milliseconds shown since local midnight, 0 to 86,399,999.
    pub millis: i32,
}

impl Civil {
    /// Day of the week, Monday 0 to Sunday 6.
    #[must_use]
    pub fn weekday(self) -> u8 {
        weekday(self.day)
    }

    /// The calendar date, `None` outside the years the library knows.
    #[must_use]
    pub fn date(self) -> Option<jiff::civil::Date> {
        date_of(self.day)
    }
}

/// Day of the week of a day number, Monday 0 to Sunday 6.
pub(crate) fn weekday(day: i32) -> u8 {
    // 1970-01-01 was a Thursday.
    u8::try_from((i64::from(day) + 3).rem_euclid(7)).unwrap_or(0)
}

/// The date of a day number.
pub(crate) fn date_of(day: i32) -> Option<jiff::civil::Date> {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    epoch.checked_add(jiff::Span::new().try_days(i64::from(day)).ok()?).ok()
}

/// The day number of a date.
pub(crate) fn day_of(date: jiff::civil::Date) -> i32 {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    epoch.until(date).map_or(0, |span| span.get_days())
}

struct Zone {
    name: &'static str,
    number: u16,
    table: OnceLock<Table>,
}

/// The stretches of a zone, and the number of the first zone read that has the very same.
struct Table {
    regimes: Vec<Regime>,
    clock: u16,
}

impl Zone {
    fn table(&self) -> &Table {
        self.table.get_or_init(|| {
            let regimes = regimes(self.name);
            let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
            let clock = *clocks.entry(regimes.clone()).or_insert(self.number);
            Table { regimes, clock }
        })
    }

    fn regime(&self, at: Instant) -> Regime {
        let table = &self.table().regimes;
        let index = table.partition_point(|regime| regime.until <= at);
        table.get(index).or(table.last()).copied().unwrap_or(Regime::UTC)
    }
}

/// By its stretches, the number of the first zone read that has them.
static CLOCKS: Mutex<BTreeMap<Vec<Regime>, u16>> = Mutex::new(BTreeMap::new());

/// Reads one zone's stretches from the library. An unreadable zone cannot occur: names come from the same database.
fn regimes(name: &str) -> Vec<Regime> {
    let Some(zone) = source::read(name) else { return vec![Regime::UTC] };
    let (Ok(first), Ok(last)) = (TABLE_FROM.parse::<jiff::Timestamp>(), TABLE_UNTIL.parse::<jiff::Timestamp>()) else {
        return vec![Regime::UTC];
    };
    let mut table = Vec::new();
    let mut from = Instant::NEVER;
    let mut offset = zone.to_offset(first);
    for change in zone.following(first).take_while(|change| change.timestamp() < last) {
        let next = zone.to_offset(change.timestamp());
        if next != offset {
            let until = Instant::from_millis(change.timestamp().as_millisecond());
            table.push(Regime { offset_millis: i64::from(offset.seconds()) * 1_000, from, until });
            from = until;
            offset = next;
        }
    }
    table.push(Regime { offset_millis: i64::from(offset.seconds()) * 1_000, from, until: Instant::FAR });
    table
}

struct Zones {
    list: Vec<Zone>,
    by_name: BTreeMap<&'static str, u16>,
    folded: BTreeMap<String, &'static str>,
}

static ZONES: OnceLock<Zones> = OnceLock::new();

/// Whether a zone was looked at.
pub(super) fn in_use() -> bool {
    ZONES.get().is_some()
}

fn zones() -> &'static Zones {
    ZONES.get_or_init(|| {
        let names: Vec<&'static str> = source::zone_files().into_iter().map(|(name, _)| name).collect();
        let index = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
        Zones {
            by_name: names.iter().enumerate().map(|(i, name)| (*name, index(i))).collect(),
            folded: names.iter().map(|name| (name.to_ascii_lowercase(), *name)).collect(),
            list: names
                .into_iter()
                .zip(0..)
                .map(|(name, number)| Zone { name, number, table: OnceLock::new() })
                .collect(),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn local(zone: &str, at: &str) -> String {
        let zone = ZoneId::by_name(zone).unwrap();
        let civil = zone.civil(Instant::from_rfc3339(at).unwrap());
        format!("{} {:02}:{:02}", civil.date().unwrap(), civil.millis / 3_600_000, civil.millis / 60_000 % 60)
    }

    #[test]
    fn the_bundled_database_is_recent_enough_for_western_canada() {
        assert!(source::tzdata_version() >= "2026e", "{}", source::tzdata_version());
        assert_eq!(local("America/Vancouver", "2026-12-15T12:00:00Z"), "2026-12-15 05:00");
        assert_eq!(local("America/Edmonton", "2026-12-15T12:00:00Z"), "2026-12-15 06:00");
        assert_eq!(local("America/Winnipeg", "2026-12-15T12:00:00Z"), "2026-12-15 07:00");
    }

    #[test]
    fn every_zone_agrees_with_the_library_hour_by_hour() {
        let days = [("2026-03-27", 4), ("2026-10-23", 12), ("2027-03-10", 6), ("2024-01-01", 1)];
        for zone in &zones().list {
            let id = ZoneId::by_name(zone.name).unwrap();
            let library = jiff::tz::TimeZoneDatabase::bundled().get(zone.name).unwrap();
            for (start, count) in days {
                let start = Instant::from_rfc3339(&format!("{start}T00:00:00Z")).unwrap();
                for half_hour in 0..count * 48 {
                    let at = start.plus(super::super::Millis(half_hour * 1_800_000));
                    let stamp = jiff::Timestamp::from_millisecond(at.millis()).unwrap();
                    let theirs = library.to_datetime(stamp);
                    let ours = id.civil(at);
                    assert_eq!(ours.date().unwrap(), theirs.date(), "{} {at}", zone.name);
                    assert_eq!(ours.millis / 60_000, i32::from(theirs.hour()) * 60 + i32::from(theirs.minute()));
                    assert_eq!(ours.weekday(), u8::try_from(theirs.weekday().to_monday_zero_offset()).unwrap());
                }
            }
        }
    }

    #[test]
    fn one_clock_is_one_number() {
        let clock = |name: &str| ZoneId::by_name(name).unwrap().clock();
        assert_eq!(clock("America/Detroit"), clock("America/New_York"));
        assert_eq!(clock("Europe/Berlin"), clock("Europe/Stockholm"));
        // Indiana changed its clocks only from 2006 on; Phoenix never did.
        assert_ne!(clock("America/Indiana/Indianapolis"), clock("America/New_York"));
        assert_ne!(clock("America/Phoenix"), clock("America/Denver"));
    }

    #[test]
    fn a_day_starts_after_a_skipped_midnight_and_at_the_first_of_two() {
        // Beirut springs forward at midnight; Havana falls back at 01:00, so its midnight comes twice.
        let beirut = ZoneId::by_name("Asia/Beirut").unwrap();
        let day = day_of(jiff::civil::date(2026, 3, 29));
        assert_eq!(beirut.day_start(day), Instant::from_rfc3339("2026-03-28T22:00:00Z").unwrap());
        let havana = ZoneId::by_name("America/Havana").unwrap();
        let day = day_of(jiff::civil::date(2026, 11, 1));
        assert_eq!(havana.day_start(day), Instant::from_rfc3339("2026-11-01T04:00:00Z").unwrap());
    }
}
