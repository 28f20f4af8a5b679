//! Who answers a row, and the answer as it is written.

use std::sync::Arc;

use csv::ByteRecord;

use super::row::Rows;
use crate::access::Permit;
use crate::cli::remote::Wire;
use crate::cli::{Error, remote};
use crate::contact::wire::Violation;
use crate::decision::Decision;
use crate::engine::{Clock, Engine, Failure};
use crate::place::Jurisdiction;
use crate::proto::rpc::Status;
use crate::proto::v1;
use crate::proto::v1::check_service_client::CheckServiceClient;
use crate::time::Instant;

/// The reason of a row that could not be judged because of what is in it.
const INVALID: &str = "INVALID_ARGUMENT";

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
    },
    /// A server, in batches.
    Remote(CheckServiceClient<Wire>),
}

/// The country a row is counted under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Country {
    /// This one.
    One(Jurisdiction),
    /// Any of several.
    Several,
    /// None is known.
    Unknown,
}

/// The answer to one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// The verdict.
    pub allowed: bool,
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
}

impl Judge {
    /// The name of the rules in force, where they are those of this process.
    pub(super) fn rules(&self) -> Option<String> {
        match self {
            Self::Local { engine, .. } => Some(engine.law().version().to_owned()),
            Self::Remote(_) => None,
        }
    }

    /// Answers rows, in their order.
    pub(super) async fn answer(&self, rows: Rows<'_>, records: &[ByteRecord]) -> Result<Vec<Answer>, Error> {
        match self {
            Self::Local { engine, permit, clock } => {
                let mut request = rows.template.clone();
                let mut answers = Vec::with_capacity(records.len());
                for record in records {
                    rows.fill(record, &mut request);
                    answers.push(match engine.judge_row(permit, &request, *clock).await {
                        Ok(decision) => of_decision(&decision),
                        Err(Failure::Invalid(violations)) => of_violations(&violations),
                        Err(other) => return Err(other.into()),
                    });
                }
                Ok(answers)
            }
            Self::Remote(client) => {
                let request = |record| {
                    let mut request = rows.template.clone();
                    rows.fill(record, &mut request);
                    request
                };
                let batch = v1::CheckBatchRequest { checks: records.iter().map(request).collect() };
                let response = client.clone().check_batch(batch).await.map_err(|status| remote::refused(&status))?;
                let results = response.into_inner().results;
                if results.len() != records.len() {
                    return Err(Error::said("the server answered another number of rows than it was asked"));
                }
                results.into_iter().map(of_result).collect()
            }
        }
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
    Answer {
        allowed: decision.allows(),
        families,
        retry_at: decision.retry_at,
        message,
        country: country(decision.jurisdictions.iter().copied()),
        warnings: decision.warnings.iter().map(|warning| warning.code.to_owned()).collect(),
    }
}

fn of_violations(violations: &[Violation]) -> Answer {
    let faults: Vec<_> = violations.iter().map(|fault| format!("{} {}", fault.field, fault.message)).collect();
    invalid(faults.join("; "))
}

fn invalid(message: String) -> Answer {
    Answer {
        allowed: false,
        families: vec![INVALID],
        retry_at: None,
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        country: Country::Unknown,
        warnings: Vec::new(),
    }
}

fn of_result(result: v1::CheckResult) -> Result<Answer, Error> {
    use v1::check_result::Result as Wire;
    match result.result {
        Some(Wire::Decision(decision)) => Ok(of_message(&decision)),
        // The row is at fault, and the next one need not be; any other error is the server's, and ends the file.
        Some(Wire::Error(Status { code, message, .. })) if code == tonic::Code::InvalidArgument as i32 => {
            Ok(invalid(message))
        }
        Some(Wire::Error(Status { code, message, .. })) => {
            let code = tonic::Code::from_i32(code);
            Err(Error::said(format!("the server could not answer a row ({code:?}): {message}")))
        }
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
    Answer {
        allowed: decision.verdict() == v1::Verdict::Allow,
        families,
        retry_at: decision.retry_at.and_then(|stamp| stamp.to_millis()).map(Instant::from_millis),
        message,
        country: country(decision.jurisdictions.iter().filter_map(|code| code.parse().ok())),
        warnings: decision.warnings.iter().map(|warning| warning.code.clone()).collect(),
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
