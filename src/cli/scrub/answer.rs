//! Who answers a row, and the answer as it is written.

use std::sync::Arc;
use std::time::Duration;

use csv::ByteRecord;

use super::classes::{Class, class};
use super::row::Rows;
use crate::access::Permit;
use crate::cli::remote::Wire;
use crate::cli::{Error, now, remote};
use crate::contact::wire::Violation;
use crate::decision::Decision;
use crate::engine::{Clock, Engine, Failure, Forecast, Hours, Judged};
use crate::place::Jurisdiction;
use crate::proto::rpc::Status;
use crate::proto::v1;
use crate::proto::v1::check_service_client::CheckServiceClient;
use crate::time::{Instant, ZoneId};

/// The reason of a row that could not be judged because of what is in it.
pub(super) const INVALID: &str = "INVALID_ARGUMENT";
/// Rows decided together where the store is in this process and a trip to it costs nothing: all that is known of so many
/// stays in the processor's cache from one step to the next.
const TOGETHER: usize = 128;
/// How often a server that is away is asked again.
const TRIES: u32 = 5;

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
    /// A server, by a stream for some rows at a time.
    Remote(CheckServiceClient<Wire>),
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
    /// Answers rows, in their order; `first` is the place of the first of them in the file.
    pub(super) async fn answer(
        &self,
        rows: Rows<'_>,
        records: &[ByteRecord],
        first: u64,
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
            Self::Remote(client) => {
                let requests = requests(rows, records, first).into_iter();
                asked(client, requests.map(|check| v1::CheckStreamRequest { check: Some(check) }).collect()).await
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

/// Asks a server, again where it was away for a moment: a dry run counts nothing, and an attempt_id counts once.
async fn asked(client: &CheckServiceClient<Wire>, rows: Vec<v1::CheckStreamRequest>) -> Result<Vec<Answer>, Error> {
    let mut tries = 0;
    loop {
        match stream(client, rows.clone()).await? {
            Ok(answers) => return Ok(answers),
            Err(status) if tries == TRIES => return Err(remote::refused(&status)),
            Err(_) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(tries)).await;
            }
        }
    }
}

/// One stream for these rows. What passes by itself is handed back as the status to ask again by.
async fn stream(
    client: &CheckServiceClient<Wire>,
    rows: Vec<v1::CheckStreamRequest>,
) -> Result<Result<Vec<Answer>, tonic::Status>, Error> {
    let wanted = rows.len();
    let told = |status: tonic::Status| match status.code() {
        // A connection that breaks is told as unknown.
        tonic::Code::Unavailable | tonic::Code::Unknown => Ok(Err(status)),
        _ => Err(remote::refused(&status)),
    };
    let mut answered = match client.clone().check_stream(tokio_stream::iter(rows)).await {
        Ok(answered) => answered.into_inner(),
        Err(status) => return told(status),
    };
    let mut answers = Vec::with_capacity(wanted);
    loop {
        match answered.message().await {
            Ok(Some(answer)) => match of_result(answer.result.unwrap_or_default())? {
                Ok(answer) => answers.push(answer),
                Err(status) => return Ok(Err(status)),
            },
            Ok(None) if answers.len() == wanted => return Ok(Ok(answers)),
            Ok(None) => return Err(Error::said("the server answered another number of rows than it was asked")),
            Err(status) => return told(status),
        }
    }
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
    let zones = decision.zones.iter().copied();
    Answer {
        class: class(decision.allows(), &families, decision.retry_at, decision.evaluated_at, zones),
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

fn invalid(message: String) -> Answer {
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

fn of_result(result: v1::CheckResult) -> Result<Result<Answer, tonic::Status>, Error> {
    use v1::check_result::Result as Wire;
    match result.result {
        Some(Wire::Decision(decision)) => Ok(Ok(of_message(&decision))),
        // The row is at fault, and the next one need not be; any other error is the server's, and ends the file unless it
        // passes.
        Some(Wire::Error(Status { code, message, .. })) if code == tonic::Code::InvalidArgument as i32 => {
            Ok(Ok(invalid(message)))
        }
        Some(Wire::Error(Status { code, message, .. })) => match tonic::Code::from_i32(code) {
            tonic::Code::Unavailable => Ok(Err(tonic::Status::unavailable(message))),
            code => Err(Error::said(format!("the server could not answer a row ({code:?}): {message}"))),
        },
        None => Err(Error::said("the server answered a row with nothing")),
    }
}

fn of_message(decision: &v1::Decision) -> Answer {
    let mut families: Vec<&'static str> = Vec::new();
    for reason in &decision.reasons {
        let name = reason.family().as_str_name();
        let name = name.strip_prefix("RULE_FAMILY_").unwrap_or(name);
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
    Answer {
        class: class(allowed, &families, retry_at, at, zones),
        families,
        retry_at,
        message,
        country: country(decision.jurisdictions.iter().filter_map(|code| code.parse().ok())),
        warnings: decision.warnings.iter().map(|warning| warning.code.clone()).collect(),
        hours: None,
    }
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
