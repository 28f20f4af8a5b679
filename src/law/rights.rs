//! Clocks of requests under data-protection law, and where people may complain: a table beside the packs.
//!
//! Promises: every clock that may run is told, each by its strictest reading, so that the earliest of them is never later
//! than what the law wants; what is counted, from where and how, is said with it. No decision reads any of this, so it is
//! no part of `rules_version`. Must never read a clock: instants are given. Guarded by `tests/rights.rs`.

mod count;
mod text;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::civil::Date;

use super::Law;
use super::rule::Confidence;
use crate::contact::RightsKind;
use crate::place::Jurisdiction;
use crate::time::{Instant, ZoneId, date_of, day_of};

pub use count::{Period, WorkingDays};

/// The table as compiled into the binary.
const TABLE: &str = include_str!("rights/table.toml");

/// One clock that a law sets.
#[derive(Clone, Debug)]
pub struct ClockRule {
    /// Its id, such as `eu.gdpr.art12_3`.
    pub id: Box<str>,
    /// Whose law it is.
    pub jurisdiction: Jurisdiction,
    /// Only for these places of it; empty: for all.
    pub places: Vec<Jurisdiction>,
    /// The rights it is about; empty: all.
    pub kinds: Vec<RightsKind>,
    /// Within which an answer is due.
    pub answer: Period,
    /// By how much it may be extended once.
    pub extend: Option<Period>,
    /// Whether it starts when identity was shown.
    pub from_identity: bool,
    /// Whether the day of receipt is the first of the days counted.
    pub counts_receipt: bool,
    /// Whether a period that ends on a day of rest ends on the next working day.
    pub rolls: bool,
    /// The first day of receipt that it is about.
    pub from: Option<Date>,
    /// The last.
    pub until: Option<Date>,
    /// Where it stands written.
    pub citation: Box<str>,
    /// One plain sentence.
    pub summary: Box<str>,
    /// How sure it is.
    pub confidence: Confidence,
}

/// Where people may complain.
#[derive(Clone, Debug)]
struct Complaint {
    jurisdiction: Jurisdiction,
    route: Box<str>,
    authorities: BTreeMap<Jurisdiction, Box<str>>,
}

/// The table.
#[derive(Debug)]
pub struct Rights {
    clocks: Vec<ClockRule>,
    calendars: BTreeMap<Jurisdiction, WorkingDays>,
    complaints: Vec<Complaint>,
}

/// What is asked of the clocks.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The right exercised.
    pub kind: RightsKind,
    /// When it was received.
    pub received: Instant,
    /// When identity was shown, if it was.
    pub identity: Option<Instant>,
    /// Whether more time was taken.
    pub extended: bool,
    /// The tenant's own promise, in days; `None`: it promised nothing, and [`USUAL_DAYS`] count where no law sets a clock.
    pub own_days: Option<u16>,
}

/// Within how many days a request is answered where neither a law nor the tenant says.
pub const USUAL_DAYS: u16 = 30;

/// One clock of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Clock {
    /// The rule's id; empty: the tenant's own promise.
    pub rule_id: Box<str>,
    /// Whose law it is; `None`: the tenant's own promise.
    pub jurisdiction: Option<Jurisdiction>,
    /// The first instant at which an answer is late, by the strictest reading.
    pub due_at: Instant,
    /// The last local day for an answer.
    pub due_on: Date,
    /// The last local day where it moves off a weekend.
    pub latest_on: Date,
    /// How it is counted, in plain words.
    pub counted: String,
    /// By how much it may still be extended.
    pub extendable_by: Option<Period>,
    /// Where it stands written; empty: nowhere.
    pub citation: Box<str>,
    /// How sure that is.
    pub confidence: Confidence,
}

impl Rights {
    /// The table compiled in.
    ///
    /// # Errors
    /// What is wrong with it, which a test rules out.
    pub fn built_in() -> Result<&'static Self, &'static str> {
        static TABLE_READ: OnceLock<Result<Rights, String>> = OnceLock::new();
        TABLE_READ.get_or_init(|| Self::read(TABLE)).as_ref().map_err(String::as_str)
    }

    /// Reads a table.
    ///
    /// # Errors
    /// The first fault.
    pub fn read(text: &str) -> Result<Self, String> {
        text::read(text)
    }

    /// Every clock that laws set.
    #[must_use]
    pub fn rules(&self) -> &[ClockRule] {
        &self.clocks
    }

    /// The working days of a country; of one without a list, Monday to Friday.
    #[must_use]
    pub fn working_days(&self, place: Jurisdiction) -> WorkingDays {
        self.calendars.get(&place.root()).cloned().unwrap_or_default()
    }

    /// Every clock that runs for whoever may be in these places, the earliest first. The tenant's own promise is one of
    /// them until more time is taken; where there is no other it always is, so that no request is without a clock.
    #[must_use]
    pub fn clocks(&self, law: &Law, places: &[Jurisdiction], asked: &Asked) -> Vec<Clock> {
        let mut clocks: Vec<Clock> = Vec::new();
        for place in places {
            let about = laws_of(law, *place);
            for rule in self.clocks.iter().filter(|rule| about.contains(&rule.jurisdiction)) {
                if !rule.places.is_empty() && !rule.places.contains(place) {
                    continue;
                }
                let clock = [zone_of(law, rule.jurisdiction), zone_of(law, *place)];
                let clock = clock.into_iter().flatten().filter_map(|zone| self.clock(rule, zone, asked));
                if let Some(clock) = clock.min_by_key(|clock| clock.due_at) {
                    add(&mut clocks, clock);
                }
            }
        }
        if clocks.is_empty() || asked.own_days.is_some() && !asked.extended {
            let zones: Vec<ZoneId> = places.iter().filter_map(|place| zone_of(law, *place)).collect();
            let zones = if zones.is_empty() { vec![ZoneId::utc()] } else { zones };
            zones.into_iter().for_each(|zone| add(&mut clocks, own_promise(zone, asked)));
        }
        clocks.sort_by(|one, other| (one.due_at, &one.rule_id).cmp(&(other.due_at, &other.rule_id)));
        clocks
    }

    fn clock(&self, rule: &ClockRule, zone: ZoneId, asked: &Asked) -> Option<Clock> {
        if !rule.kinds.is_empty() && !rule.kinds.contains(&asked.kind) {
            return None;
        }
        let received = local_date(zone, asked.received)?;
        if rule.from.is_some_and(|from| received < from) || rule.until.is_some_and(|until| received > until) {
            return None;
        }
        let by_identity = asked.identity.filter(|_| rule.from_identity).filter(|shown| *shown > asked.received);
        let start = local_date(zone, by_identity.unwrap_or(asked.received))?;
        let start = if rule.counts_receipt { start.yesterday().ok()? } else { start };
        let days = self.working_days(rule.jurisdiction);
        let extension = rule.extend.filter(|_| asked.extended);
        let due_on = count::end(start, rule.answer, extension, &days)?;
        let latest_on = if rule.rolls { days.on_or_after(due_on)? } else { due_on };
        let since = if by_identity.is_some() { "the proof of identity" } else { "receipt" };
        let provisional = if days.knows(due_on) || !rule.answer.is_of_working_days() {
            ""
        } else {
            "; the days of rest of that year are provisional"
        };
        let more = extension.map(|more| format!(", extended by {more}")).unwrap_or_default();
        Some(Clock {
            rule_id: rule.id.clone(),
            jurisdiction: Some(rule.jurisdiction),
            due_at: zone.day_start(day_of(due_on.tomorrow().ok()?)),
            due_on,
            latest_on,
            counted: format!("{} from {since}{more}{provisional}", rule.answer),
            extendable_by: rule.extend.filter(|_| !asked.extended),
            citation: rule.citation.clone(),
            confidence: rule.confidence,
        })
    }

    /// Where people in these places may complain, in plain words; empty where the table says nothing.
    #[must_use]
    pub fn complaint_route(&self, law: &Law, places: &[Jurisdiction]) -> String {
        let mut said: Vec<String> = Vec::new();
        for place in places {
            let about = laws_of(law, *place);
            let narrowest = about.iter().find_map(|law| self.complaints.iter().find(|c| c.jurisdiction == *law));
            let Some(complaint) = narrowest else { continue };
            let authority = about.iter().find_map(|law| complaint.authorities.get(law));
            let text = match authority {
                Some(authority) => format!("{} The authority there: {authority}.", complaint.route),
                None => complaint.route.to_string(),
            };
            if !said.contains(&text) && said.len() < MOST_ROUTES {
                said.push(text);
            }
        }
        said.join(" ")
    }
}

/// Of a number that could be anywhere, so many routes are told.
const MOST_ROUTES: usize = 4;

/// Clocks of one rule from several places are one: the earliest.
fn add(clocks: &mut Vec<Clock>, clock: Clock) {
    match clocks.iter_mut().find(|other| other.rule_id == clock.rule_id) {
        Some(other) if clock.due_at < other.due_at => *other = clock,
        Some(_) => {}
        None => clocks.push(clock),
    }
}

/// The tenant's own promise; more time is once as much again.
fn own_promise(zone: ZoneId, asked: &Asked) -> Clock {
    let days = i32::from(asked.own_days.unwrap_or(USUAL_DAYS));
    let period = Period::Calendar(super::Span { months: 0, days });
    let received = local_date(zone, asked.received).unwrap_or(Date::MIN);
    let extension = Some(period).filter(|_| asked.extended);
    let due_on = count::end(received, period, extension, &WorkingDays::default()).unwrap_or(received);
    let promised = if asked.own_days.is_some() { "as we promise" } else { "since no law is known to set a period" };
    let more = extension.map(|more| format!(", extended by {more}")).unwrap_or_default();
    Clock {
        rule_id: "".into(),
        jurisdiction: None,
        due_at: zone.day_start(day_of(due_on.tomorrow().unwrap_or(due_on))),
        due_on,
        latest_on: due_on,
        counted: format!("{period} from receipt{more}, {promised}"),
        extendable_by: Some(period).filter(|_| !asked.extended),
        citation: "".into(),
        confidence: Confidence::Policy,
    }
}

/// The place itself, its country, and the wider laws that hold there (`EU`), narrowest first.
fn laws_of(law: &Law, place: Jurisdiction) -> Vec<Jurisdiction> {
    let mut about = vec![place];
    let wider = law.chain(place).packs.iter().filter_map(|index| law.pack(*index));
    for jurisdiction in wider.filter(|pack| !pack.is_policy()).map(super::Pack::jurisdiction).chain(place.country()) {
        if !about.contains(&jurisdiction) {
            about.push(jurisdiction);
        }
    }
    about
}

fn zone_of(law: &Law, place: Jurisdiction) -> Option<ZoneId> {
    law.pack_of(place).or_else(|| law.pack_of(place.country()?)).map(super::Pack::zone)
}

fn local_date(zone: ZoneId, at: Instant) -> Option<Date> {
    date_of(zone.civil(at).day)
}
