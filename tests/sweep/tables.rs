//! The hand-written tables, read, and what they say of one minute.

use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use ringfence::place::Jurisdiction;
use ringfence::time::ZoneId;

use super::ask::{Contact, Known};

/// Every place the sweep owes: states, the District and the territories; provinces; the Union, the EEA, the United
/// Kingdom and Switzerland.
pub const EVERYWHERE: &str = "US-AL US-AK US-AZ US-AR US-CA US-CO US-CT US-DE US-DC US-FL US-GA US-HI US-ID US-IL US-IN \
    US-IA US-KS US-KY US-LA US-ME US-MD US-MA US-MI US-MN US-MS US-MO US-MT US-NE US-NV US-NH US-NJ US-NM US-NY US-NC \
    US-ND US-OH US-OK US-OR US-PA US-RI US-SC US-SD US-TN US-TX US-UT US-VT US-VA US-WA US-WV US-WI US-WY PR VI GU AS MP \
    CA-AB CA-BC CA-MB CA-NB CA-NL CA-NS CA-NT CA-NU CA-ON CA-PE CA-QC CA-SK CA-YT AT BE BG HR CY CZ DK EE FI FR DE GR HU \
    IE IT LV LT LU MT NL PL PT RO SK SI ES SE NO IS LI GB CH";

/// A number somewhere, and the weeks in which it is asked about.
pub struct Place {
    /// The jurisdiction, and after a slash which part of it.
    pub key: String,
    pub number: String,
    pub residence: Option<Jurisdiction>,
    /// Every clock the person may keep: a contact must be inside the windows on each.
    pub zones: Vec<TimeZone>,
    /// The zone, where it is told and not inferred.
    pub asserted_zone: Option<ZoneId>,
    /// The first days of the weeks.
    pub weeks: Vec<Date>,
    /// Named dates in those weeks: closed days.
    pub holidays: Vec<Date>,
    /// Dates with an evening or a window of their own.
    pub eves: Vec<Date>,
    pub asked: Vec<Contact>,
}

impl Place {
    pub fn jurisdiction(&self) -> &str {
        self.key.split('/').next().unwrap()
    }

    /// Whether a name of the table of windows means this place: its jurisdiction, its country, or itself.
    pub fn is_in(&self, named: &str) -> bool {
        in_place(&self.key, named)
    }
}

fn in_place(key: &str, named: &str) -> bool {
    let rest = key.strip_prefix(named);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '/']))
}

/// Windows in minutes after local midnight; `None`: this column says nothing.
type Windows = Option<Vec<(i16, i16)>>;

/// One row of the windows: outside them, these contacts are closed.
pub struct Row {
    pub places: Vec<String>,
    pub contacts: Vec<String>,
    weekday: Windows,
    saturday: Windows,
    sunday: Windows,
    holiday: Windows,
    eve: Windows,
    /// A clock that counts instead of the person's.
    clock: Option<TimeZone>,
    lifted_by: String,
    /// Where the figures stand written.
    pub source: String,
}

impl Row {
    pub fn is_about(&self, key: &str, kind: &str) -> bool {
        self.contacts.iter().any(|contact| contact == kind) && self.places.iter().any(|named| in_place(key, named))
    }

    pub fn is_lifted(&self, known: Known) -> bool {
        match self.lifted_by.as_str() {
            "-" => false,
            "consent" => known >= Known::Written,
            "night" => known >= Known::Night,
            other => panic!("lifted by {other}?"),
        }
    }

    fn open_at(&self, clock: &Clock) -> bool {
        let column = match clock.weekday {
            Weekday::Saturday => &self.saturday,
            Weekday::Sunday => &self.sunday,
            _ => &self.weekday,
        };
        let said = |windows: &Windows| {
            // Half-open: the first minute is in, the last is out.
            let inside = |(start, end): &(i16, i16)| (*start..*end).contains(&clock.minute);
            windows.as_ref().is_none_or(|windows| windows.iter().any(inside))
        };
        said(column) && (!clock.holiday || said(&self.holiday)) && (!clock.eve || said(&self.eve))
    }
}

/// What a wall clock and a calendar show at one minute.
struct Clock {
    weekday: Weekday,
    /// Minutes since local midnight.
    minute: i16,
    holiday: bool,
    eve: bool,
}

impl Clock {
    fn read(place: &Place, zone: &TimeZone, at: Timestamp) -> Self {
        let local = zone.to_datetime(at);
        let (date, hour, minute) = (local.date(), i16::from(local.hour()), i16::from(local.minute()));
        let (holiday, eve) = (place.holidays.contains(&date), place.eves.contains(&date));
        Self { weekday: date.weekday(), minute: hour * 60 + minute, holiday, eve }
    }
}

/// Seven local days of a place, minute by minute.
pub struct Week {
    pub minutes: Vec<Timestamp>,
    /// For every zone of the place, what its clock shows at each minute.
    person: Vec<Vec<Clock>>,
}

impl Week {
    pub fn new(place: &Place, first: Date) -> Self {
        let midnight = |date: Date| date.to_zoned(place.zones[0].clone()).unwrap().timestamp().as_second();
        let end = midnight(first.checked_add(Span::new().days(7)).unwrap());
        let minutes: Vec<_> =
            (midnight(first)..end).step_by(60).map(|second| Timestamp::from_second(second).unwrap()).collect();
        let clocks = |zone: &TimeZone| minutes.iter().map(|at| Clock::read(place, zone, *at)).collect();
        Self { person: place.zones.iter().map(clocks).collect(), minutes }
    }

    /// Whether a row is open at each minute, on every clock that counts.
    pub fn open(&self, place: &Place, row: &Row) -> Vec<bool> {
        match &row.clock {
            Some(zone) => self.minutes.iter().map(|at| row.open_at(&Clock::read(place, zone, *at))).collect(),
            None => (0..self.minutes.len())
                .map(|minute| self.person.iter().all(|clocks| row.open_at(&clocks[minute])))
                .collect(),
        }
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

fn list<T>(cell: &str, read: impl Fn(&str) -> T) -> Vec<T> {
    if cell == "-" { Vec::new() } else { cell.split(' ').map(read).collect() }
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn places() -> Vec<Place> {
    let date = |text: &str| text.parse::<Date>().unwrap_or_else(|error| panic!("{text}: {error}"));
    let read = |row: Vec<&str>| {
        let [key, number, residence, zones, weeks, holidays, eves, asked, _note] = row[..] else { panic!("{row:?}") };
        let told = zones.strip_prefix('=');
        Place {
            key: key.to_owned(),
            number: number.to_owned(),
            residence: (residence != "-").then(|| residence.parse().unwrap()),
            zones: list(told.unwrap_or(zones), zone),
            asserted_zone: told.map(|name| ZoneId::by_name(name).unwrap()),
            weeks: list(weeks, date),
            holidays: list(holidays, date),
            eves: list(eves, date),
            asked: list(asked, Contact::read),
        }
    };
    lines(include_str!("places.tsv")).map(read).collect()
}

pub fn rows() -> Vec<Row> {
    let read = |row: Vec<&str>| {
        let [places, contacts, weekday, saturday, sunday, holiday, eve, clock, lifted_by, source] = row[..] else {
            panic!("{row:?}")
        };
        Row {
            places: list(places, str::to_owned),
            contacts: list(contacts, str::to_owned),
            weekday: windows(weekday),
            saturday: windows(saturday),
            sunday: windows(sunday),
            holiday: windows(holiday),
            eve: windows(eve),
            clock: (clock != "-").then(|| zone(clock)),
            lifted_by: lifted_by.to_owned(),
            source: source.to_owned(),
        }
    };
    lines(include_str!("windows.tsv")).map(read).collect()
}

/// Reads `10:00-13:00 14:00-20:00`, `none` (closed all day) or `-` (the row says nothing of such days).
fn windows(cell: &str) -> Windows {
    let minute = |text: &str| {
        let (hour, minute) = text.split_once(':').unwrap_or_else(|| panic!("no time of day: {text}"));
        hour.parse::<i16>().unwrap() * 60 + minute.parse::<i16>().unwrap()
    };
    let window = |text: &str| {
        let (start, end) = text.split_once('-').unwrap_or_else(|| panic!("no window: {text}"));
        (minute(start), minute(end))
    };
    match cell {
        "-" => None,
        "none" => Some(Vec::new()),
        _ => Some(cell.split(' ').map(window).collect()),
    }
}
