//! Requests about rights, read: every fault at once.

use crate::contact::wire::{self, Reader};
use crate::contact::{Requester, RightsKind, Term};
use crate::engine::consent::{finish, number, request_id};
use crate::engine::{Failure, answer};
use crate::law::rights::Clock;
use crate::place::Number;
use crate::proto::v1;
use crate::time::Instant;

/// The longest text of a person that is kept with a request, in bytes.
const DETAILS_BYTES: usize = 8 * 1024;

/// A request to open, read.
pub(super) struct Opening<'a> {
    pub asked: &'a v1::OpenRequestRequest,
    pub number: Number,
    pub kind: RightsKind,
    pub requester: Requester,
    pub received_at: Instant,
    pub identity_at: Option<Instant>,
}

pub(super) fn opening(asked: &v1::OpenRequestRequest, now: Instant) -> Result<Opening<'_>, Failure> {
    let mut reader = Reader::new();
    let number = number(&mut reader, &asked.number, &asked.default_region);
    request_id(&mut reader, &asked.request_id);
    let kind = reader.term::<RightsKind>("kind", asked.kind);
    if asked.kind == 0 {
        reader.fault("kind", "is required: the right that is exercised");
    }
    let requester = reader.term::<Requester>("requester", asked.requester);
    let received_at = reader.instant("received_at", asked.received_at.as_ref());
    let by = text(&mut reader, "identity_verified_by", &asked.identity_verified_by);
    let identity_at = reader.instant("identity_verified_at", asked.identity_verified_at.as_ref());
    if identity_at.is_some() && !by {
        reader.fault("identity_verified_by", "is required beside identity_verified_at: how and by whom it was checked");
    }
    if asked.details.len() > DETAILS_BYTES {
        let length = asked.details.len();
        reader.fault("details", format!("is {length} bytes long; at most {DETAILS_BYTES} are accepted"));
    }
    if let Some(scope) = &asked.scope {
        reader.within("scope", |reader| wire::scope(reader, Some(scope)));
        if kind.is_some_and(|kind| kind != RightsKind::Objection) {
            reader.fault("scope", "belongs to an objection: leave it out");
        }
    }
    let number = finish(reader, number)?;
    let Some(kind) = kind else { return Err(Failure::Internal("a request without a kind was read".to_owned())) };
    Ok(Opening {
        asked,
        number,
        kind,
        requester: requester.unwrap_or(Requester::Person),
        received_at: received_at.unwrap_or(now).min(now),
        identity_at: by.then(|| identity_at.unwrap_or(now).min(now)),
    })
}

/// A sentence or a name that somebody wrote; whether there is one.
pub(super) fn text(reader: &mut Reader, field: &str, text: &str) -> bool {
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        reader.fault(field, "holds a control character");
    }
    reader.text(field, text).is_some_and(|text| !text.trim().is_empty())
}

/// The same, which must be there.
pub(super) fn required(reader: &mut Reader, field: &str, given: &str, what: &str) {
    if !text(reader, field, given) {
        reader.fault(field, format!("is required: {what}"));
    }
}

/// The id of a request under data-protection law.
pub(super) fn rights_request_id(reader: &mut Reader, id: &str) -> Option<uuid::Uuid> {
    let read = uuid::Uuid::try_parse(id).ok();
    if read.is_none() {
        let what = if id.is_empty() { "is required: the id that OpenRequest gave" } else { "is no id of a request" };
        reader.fault("rights_request_id", what);
    }
    read
}

/// A clock in the words of the contract.
pub(super) fn clock_message(clock: &Clock) -> v1::RightsClock {
    v1::RightsClock {
        rule_id: clock.rule_id.to_string(),
        jurisdiction: clock.jurisdiction.map(|place| place.to_string()).unwrap_or_default(),
        due_at: Some(answer::stamp(clock.due_at)),
        due_on: clock.due_on.to_string(),
        latest_due_on: clock.latest_on.to_string(),
        counted: clock.counted.clone(),
        extendable_by: clock.extendable_by.map(|by| by.to_string()).unwrap_or_default(),
        citation: clock.citation.to_string(),
        confidence: answer::confidence(clock.confidence).into(),
    }
}

/// What reads as a kind; for filters.
pub(super) fn known<T: Term>(reader: &mut Reader, field: &str, number: i32) -> Option<T> {
    reader.term::<T>(field, number)
}
