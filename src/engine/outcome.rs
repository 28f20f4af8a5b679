//! What became of an attempt.

use super::answer::stamp;
use super::consent::{Change, Described, finish, number, releases};
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{AttemptId, NoReport, Outcome, Report};
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::time::Millis;

/// How far a caller's clock may be ahead of ours.
const SKEW: Millis = Millis::seconds(300);

impl Engine {
    /// Records an outcome, or releases the reservation. Late reports are accepted; the same report again is harmless.
    ///
    /// # Errors
    /// A faulty request, an unknown attempt, another outcome already reported, store or log unavailable.
    pub async fn report_outcome(
        &self,
        permit: &Permit,
        request: v1::ReportOutcomeRequest,
        clock: Clock,
    ) -> Result<v1::ReportOutcomeResponse, Failure> {
        const UNKNOWN: Failure = Failure::NotFound("no attempt of this attempt_id is known for this number");
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        let id = reader.name("attempt_id", &request.attempt_id, AttemptId::new);
        if request.attempt_id.is_empty() {
            reader.fault("attempt_id", "is required: that of the decision");
        }
        let outcome = reader.term::<Outcome>("outcome", request.outcome);
        if request.outcome == 0 {
            reader.fault("outcome", "is required: what became of the attempt");
        }
        let started_at = reader.instant("started_at", request.started_at.as_ref());
        let ended_at = reader.instant("ended_at", request.ended_at.as_ref());
        if started_at.zip(ended_at).is_some_and(|(started, ended)| ended < started) {
            reader.fault("ended_at", "lies before started_at");
        }
        if started_at.is_some_and(|started| started > clock.now.plus(SKEW)) {
            reader.fault("started_at", "lies in the future");
        }
        let number = finish(reader, number)?;
        let (Some(id), Some(outcome)) = (id, outcome) else { return Err(UNKNOWN) };
        let report = Report { outcome, started_at, ended_at };
        let described = Described { request: audited_write::Request::ReportOutcome(request), event: None };
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                let earlier = contact.reported_at(&id);
                match contact.report(&id, &report, clock.now) {
                    Ok(true) => Ok(Change::Changed(clock.now)),
                    Ok(false) => Ok(Change::Stands { receipt, recorded_at: earlier.unwrap_or(clock.now) }),
                    Err(NoReport::Unknown) => Err(UNKNOWN),
                    Err(NoReport::Reported) => {
                        Err(Failure::AlreadyExists("another outcome of this attempt was already reported"))
                    }
                }
            })
            .await?;
        Ok(v1::ReportOutcomeResponse {
            recorded_at: Some(stamp(written.recorded_at)),
            number: number.reveal_e164().as_str().to_owned(),
            released: releases(outcome),
        })
    }
}
