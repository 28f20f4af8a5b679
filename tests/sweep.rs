//! Hours and holidays minute by minute: for every US state and territory, Canadian province and European country, the
//! minutes at which a contact is allowed are those the tables beside this file open, and no other.
//!
//! `sweep/windows.tsv` holds the windows and `sweep/places.tsv` the places, both written by hand from statutes and
//! regulators' pages and never from the packs; the civil time here is the time library's own. Whom every consent was
//! given and every list is clear for, only the clock can deny.
//!
//! Every minute is compared. At each half hour, around every edge of the tables and whenever its last answer has run
//! out the product is asked; in between it is held to what it said (`valid_until`, `retry_at`). `RINGFENCE_SWEEP=every`
//! asks at every minute: `RINGFENCE_SWEEP=every cargo test --release --test sweep`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "sweep/ask.rs"]
mod ask;
#[path = "sweep/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringfence::decision::Decision;
use ringfence::law::{BUILT_IN, Law};

use ask::{Asker, Contact};
use tables::{Place, Row, Week};

#[test]
fn the_allowed_minutes_are_the_windows_of_the_tables() {
    let law = Law::read(BUILT_IN.iter().copied()).expect("the built-in packs load");
    let (places, rows) = (tables::places(), tables::rows());
    let weeks: Vec<(&Place, Date)> =
        places.iter().flat_map(|place| place.weeks.iter().map(move |week| (place, *week))).collect();
    let every = std::env::var_os("RINGFENCE_SWEEP").is_some_and(|mode| mode == "every");
    let (next, compared, asked) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some((place, first)) = weeks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let week = Week::new(place, *first);
            for contact in &place.asked {
                let mut sweep = Sweep { law: &law, place, week: &week, contact: *contact, asked: 0 };
                let failure = sweep.run(&rows, every).err();
                compared.fetch_add(week.minutes.len() as u64, Ordering::Relaxed);
                asked.fetch_add(sweep.asked, Ordering::Relaxed);
                failures.lock().unwrap().extend(failure);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let (compared, asked) = (compared.into_inner(), asked.into_inner());
    eprintln!("{} places, {compared} minutes compared, {asked} of them asked", places.len());
    assert!(compared > 10_000_000, "{compared}");
    assert!(failures.is_empty(), "{} weeks differ:\n{}", failures.len(), failures.join("\n"));
}

/// One contact of one place through one week.
struct Sweep<'a> {
    law: &'a Law,
    place: &'a Place,
    week: &'a Week,
    contact: Contact,
    asked: u64,
}

impl Sweep<'_> {
    /// Compares every minute; fails at the first that differs.
    fn run(&mut self, rows: &[Row], every: bool) -> Result<(), String> {
        let about = |row: &&Row| row.is_about(&self.place.key, self.contact.kind) && !row.is_lifted(self.contact.known);
        let rows: Vec<&Row> = rows.iter().filter(about).collect();
        let by_row: Vec<Vec<bool>> = rows.iter().map(|row| self.week.open(self.place, row)).collect();
        let open: Vec<bool> = (0..self.week.minutes.len()).map(|i| by_row.iter().all(|row| row[i])).collect();
        let edge = |i: usize| i > 0 && open.get(i).is_some_and(|now| *now != open[i - 1]);
        let mut asker = Asker::new(self.law, self.place, self.contact, self.week.minutes[0]);
        let mut said = (!open[0], Timestamp::MIN);
        for (i, at) in self.week.minutes.iter().enumerate() {
            let due = every || at.as_second() % 1_800 == 0 || edge(i) || edge(i + 1) || *at >= said.1;
            if !due && said.0 == open[i] {
                continue;
            }
            self.asked += 1;
            let decision = asker.decide(*at);
            if decision.allows() != open[i] || !decision.reasons.iter().all(|reason| ask::is_of_time(reason.family)) {
                let closing: Vec<_> =
                    rows.iter().zip(&by_row).filter(|(_, open)| !open[i]).map(|(row, _)| *row).collect();
                return Err(self.difference(*at, &closing, &decision));
            }
            if !due {
                return Err(format!(
                    "{}; an earlier answer promised otherwise until {}",
                    self.difference(*at, &[], &decision),
                    said.1
                ));
            }
            said = (decision.allows(), ask::stands_until(&decision));
        }
        Ok(())
    }

    fn difference(&self, at: Timestamp, closing: &[&Row], decision: &Decision) -> String {
        let clock = |zone: &TimeZone| at.to_zoned(zone.clone()).strftime("%a %F %H:%M %Q").to_string();
        let clocks: Vec<_> = self.place.zones.iter().map(clock).collect();
        let table = match closing {
            [] => "open".to_owned(),
            rows => format!("closed by {}", rows.iter().map(|row| row.source.as_str()).collect::<Vec<_>>().join(", ")),
        };
        let denying = decision.reasons.iter().map(|reason| format!("{} {}", reason.family.name(), reason.rule_id()));
        let product = match decision.allows() {
            true => "allowed".to_owned(),
            false => format!("denied by {}", denying.collect::<Vec<_>>().join(", ")),
        };
        format!("{} {} at {}: table {table}; product {product}", self.place.key, self.contact, clocks.join(" = "))
    }
}

#[test]
fn every_state_province_and_country_is_swept() {
    let places = tables::places();
    let swept: BTreeSet<&str> = places.iter().map(|place| place.jurisdiction()).collect();
    let missing: Vec<_> = tables::EVERYWHERE.split_whitespace().filter(|place| !swept.contains(place)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for place in &places {
        let kinds: BTreeSet<_> = place.asked.iter().map(|contact| contact.kind).collect();
        assert!(kinds.contains("call") && kinds.contains("text"), "{}: {kinds:?}", place.key);
        assert!(place.weeks.len() >= 2, "{}: a week with a change of clocks and one with a holiday", place.key);
    }
}

/// A row that is about nobody tests nothing.
#[test]
fn every_row_of_the_tables_is_asked_about() {
    let (places, rows) = (tables::places(), tables::rows());
    for row in &rows {
        for named in &row.places {
            let asked = places.iter().filter(|place| place.is_in(named)).flat_map(|place| &place.asked);
            let mut kinds = asked.map(|contact| contact.kind);
            assert!(kinds.any(|kind| row.contacts.iter().any(|about| about == kind)), "{named} {}", row.source);
        }
    }
}

/// The weeks are what they claim to be: one in which the clocks of every zone that changes them this year change.
#[test]
fn a_week_with_a_change_of_clocks_has_one() {
    for place in tables::places() {
        for zone in &place.zones {
            let offset = |day: Date| day.to_zoned(zone.clone()).unwrap().offset();
            let changes =
                |from: Date, days: i64| offset(from) != offset(from.checked_add(jiff::Span::new().days(days)).unwrap());
            let year_changes = (0..13).any(|month| {
                let from = jiff::civil::date(2026, 10, 1).checked_add(jiff::Span::new().months(month)).unwrap();
                changes(from, 31)
            });
            let swept = place.weeks.iter().any(|week| changes(*week, 7));
            assert_eq!(swept, year_changes, "{} {:?}", place.key, zone.iana_name());
        }
    }
}
