//! Who answers a row, and the answer as it is written.

use std::sync::Arc;
use std::time::Duration;

use csv::ByteRecord;

use super::asked::{asked, stream};
use super::classes::{Class, Why, class};
use super::row::Rows;
use crate::access::Permit;
use crate::cli::again::{Again, Tell};
use crate::cli::remote::Wire;
use crate::cli::{Error, now};
use crate::contact::wire::Violation;
use crate::decision::{Decision, NO_FRESH_COPY};
use crate::engine::{Clock, Engine, Failure, Forecast, Hours, Judged};
use crate::place::Jurisdiction;
use crate::proto::v1;
use crate::proto::v1::check_service_client::CheckServiceClient;
use crate::time::{Instant, ZoneId};

/// The reason of a row that could not be judged because of what is in it.
pub(super) const INVALID: &str = "INVALID_ARGUMENT";
/// Rows decided together where the store is in this process and a trip to it costs nothing: all that is known of so many
/// stays in the processor's cache from one step to the next.
const TOGETHER: usize = 128;

/// Who answers.
#[derive(Clone)]
pub(super) enum Judge {
    /// The engine of this process. Nothing is logged a row.
    Local {
        /// The engine.
        engine: Arc<Engine>,
        /// Leave to ask it.
        permit: Permit,
        /// The one now of the file.
        clock: Clock,
        /// The hours that are looked at.
        forecast: Option<Arc<Forecast>>,
    },
    /// The same, and what is allowed is counted, and logged row by row.
    Reserving {
        /// The engine.
        engine: Arc<Engine>,
        /// Leave to ask it.
        permit: Permit,
    },
    /// A server, by a stream for some rows at a time; and how long it may be silent.
    Remote(CheckServiceClient<Wire>, Duration),
}

/// The country a row is counted under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) enum Country {
    /// This one.
    One(Jurisdiction),
    /// Any of several.
    Several,
    /// None is known.
    Unknown,
}

impl Country {
    /// Its code; `several`, `none`.
    pub(super) fn name(self) -> String {
        match self {
            Self::One(place) => place.to_string(),
            Self::Several => "several".to_owned(),
            Self::Unknown => "none".to_owned(),
        }
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.name()
    }
}

impl TryFrom<String> for Country {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "several" => Ok(Self::Several),
            "none" => Ok(Self::Unknown),
            code => code.parse().map(Self::One).map_err(|_| format!("{code} is no country")),
        }
    }
}

/// The answer to one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// When it may be contacted, if ever.
    pub class: Class,
    /// The families that deny, strongest first, each once.
    pub families: Vec<&'static str>,
    /// When it would be allowed.
    pub retry_at: Option<Instant>,
    /// The strongest reason in words; of what is allowed, what to know.
    pub message: String,
    /// For the summary.
    pub country: Country,
    /// Codes of the warnings, for the summary.
    pub warnings: Vec<String>,
    /// The hours in which it may be contacted, where they are forecast.
    pub hours: Option<Hours>,
}

impl Answer {
    /// The verdict.
    pub(super) fn allowed(&self) -> bool {
        self.class == Class::Now
    }
}

impl Judge {
    /// Answers rows, in their order; `first` is the place of the first of them in the file. Where a server is waited for, it
    /// is told.
    pub(super) async fn answer(
        &self,
        rows: Rows<'_>,
        records: &[ByteRecord],
        first: u64,
        tell: Tell<'_>,
    ) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Local { engine, permit, clock, forecast } => {
                let shared = engine.open_stores().iter().any(|(_, store)| store.is_shared());
                let together = if shared { records.len().max(1) } else { TOGETHER };
                let mut answers = Vec::with_capacity(records.len());
                for (records, first) in records.chunks(together).zip((first..).step_by(together)) {
                    let requests = requests(rows, records, first);
                    let judged = engine.judge_rows(permit, &requests, *clock, forecast.as_deref()).await;
                    for row in judged {
                        answers.push(of_judged(row)?);
                    }
                }
                Ok(answers)
            }
            Self::Reserving { engine, permit } => {
                let clock = Clock::at(now());
                let requests = requests(rows, records, first);
                let decided = engine.check_many(permit, requests, clock).await;
                decided
                    .into_iter()
                    .map(|row| match row {
                        Ok(decision) => Ok(of_message(&decision)),
                        Err(Failure::Invalid(violations)) => Ok(of_violations(&violations)),
                        Err(other) => Err(other.into()),
                    })
                    .collect()
            }
            Self::Remote(client, silent) => {
                let requests = requests(rows, records, first).into_iter();
                let requests: Vec<_> = requests.map(|check| v1::CheckStreamRequest { check: Some(check) }).collect();
                asked(requests, |rows| stream(client, rows, *silent), Again::within(tell, *silent)).await
            }
        }
    }
}

/// Rows as questions; `first` is the place of the first of them in the file.
fn requests(rows: Rows<'_>, records: &[ByteRecord], first: u64) -> Vec<v1::CheckRequest> {
    let requests = records.iter().zip(first..).map(|(record, row)| {
        let mut request = rows.template.clone();
        rows.fill(record, row, &mut request);
        request
    });
    requests.collect()
}

fn of_judged(row: Result<Judged, Failure>) -> Result<Answer, Error> {
    match row {
        Ok(judged) => Ok(Answer { hours: judged.hours, ..of_decision(&judged.decision) }),
        Err(Failure::Invalid(violations)) => Ok(of_violations(&violations)),
        Err(other) => Err(other.into()),
    }
}

fn of_decision(decision: &Decision) -> Answer {
    let mut families: Vec<&'static str> = Vec::new();
    for reason in &decision.reasons {
        if !families.contains(&reason.family.name()) {
            families.push(reason.family.name());
        }
    }
    let message = match decision.reasons.first() {
        Some(reason) => reason.message(),
        None => joined(decision.warnings.iter().map(|warning| warning.message.as_str())),
    };
    let why = decision
        .reasons
        .iter()
        .map(|reason| Why { family: reason.family.name(), no_list: reason.detail.starts_with(NO_FRESH_COPY) });
    let zones = decision.zones.iter().copied();
    Answer {
        class: class(decision.allows(), why, decision.retry_at, decision.evaluated_at, zones),
        families,
        retry_at: decision.retry_at,
        message,
        country: country(decision.jurisdictions.iter().copied()),
        warnings: decision.warnings.iter().map(|warning| warning.code.to_owned()).collect(),
        hours: None,
    }
}

fn of_violations(violations: &[Violation]) -> Answer {
    let faults: Vec<_> = violations.iter().map(|fault| format!("{} {}", fault.field, fault.message)).collect();
    invalid(faults.join("; "))
}

/// The answer to a row that cannot be asked about.
pub(super) fn invalid(message: String) -> Answer {
    Answer {
        class: Class::Never,
        families: vec![INVALID],
        retry_at: None,
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        country: Country::Unknown,
        warnings: Vec::new(),
        hours: None,
    }
}

/// The answer that a decision of the contract is.
pub(super) fn of_message(decision: &v1::Decision) -> Answer {
    let mut families: Vec<&'static str> = Vec::new();
    for reason in &decision.reasons {
        let name = family(reason);
        if !families.contains(&name) {
            families.push(name);
        }
    }
    let message = match decision.reasons.first() {
        Some(reason) => reason.message.clone(),
        None => joined(decision.warnings.iter().map(|warning| warning.message.as_str())),
    };
    let instant = |stamp: Option<crate::proto::well_known::Timestamp>| {
        stamp.and_then(|stamp| stamp.to_millis()).map(Instant::from_millis)
    };
    let retry_at = instant(decision.retry_at);
    let at = instant(decision.evaluated_at).unwrap_or(Instant::NEVER);
    let zones = decision.local_times.iter().filter_map(|local| ZoneId::by_name(&local.time_zone));
    let allowed = decision.verdict() == v1::Verdict::Allow;
    // A reason does not say in a field of its own that a list is missing: its message does, after the words of the rule.
    let no_list = |reason: &v1::Reason| reason.message.contains(NO_FRESH_COPY);
    let why = decision.reasons.iter().map(|reason| Why { family: family(reason), no_list: no_list(reason) });
    Answer {
        class: class(allowed, why, retry_at, at, zones),
        families,
        retry_at,
        message,
        country: country(decision.jurisdictions.iter().filter_map(|code| code.parse().ok())),
        warnings: decision.warnings.iter().map(|warning| warning.code.clone()).collect(),
        hours: None,
    }
}

fn family(reason: &v1::Reason) -> &'static str {
    let name = reason.family().as_str_name();
    name.strip_prefix("RULE_FAMILY_").unwrap_or(name)
}

fn joined<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    messages.collect::<Vec<_>>().join(" ")
}

fn country(places: impl Iterator<Item = Jurisdiction>) -> Country {
    let mut roots = places.map(Jurisdiction::root).filter(|root| *root != Jurisdiction::EU);
    match roots.next() {
        None => Country::Unknown,
        Some(first) if roots.all(|root| root == first) => Country::One(first),
        Some(_) => Country::Several,
    }
}
