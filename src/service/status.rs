//! The only place where a failure becomes a status. What only the operator may read goes to the log and no further.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::access::{Exhausted, Unrecognised};
use crate::contact::wire::Violation;
use crate::engine::Failure;
use crate::engine::replay::Unfit;
use crate::proto::rpc;
use crate::store::StoreError;
use crate::telemetry::trouble;

/// The domain of `ErrorInfo`.
const DOMAIN: &str = "ringfence";
/// When to ask again after something that passes by itself.
const RETRY: Duration = Duration::from_millis(500);
/// The most bytes of violations told: a status travels in headers, of which clients take 8 KiB, and there it grows by a
/// third. A client that gets more sees a broken connection instead of its faults.
const DETAIL_BYTES: usize = 4_000;

/// The status of a failure.
#[must_use]
pub fn of(failure: Failure) -> Status {
    match failure {
        Failure::Invalid(violations) => {
            let mut details = info("INVALID_REQUEST");
            let first = violations.first().map(|v| format!("{}: {}", v.field, v.message)).unwrap_or_default();
            let more = violations.len().saturating_sub(1);
            let mut room = DETAIL_BYTES;
            for violation in violations {
                // The first is always told.
                room = room.saturating_sub(violation.field.len() + violation.message.len() + 8);
                if room == 0 && details.bad_request().is_some() {
                    break;
                }
                details.add_bad_request_violation(violation.field, violation.message);
            }
            let and_more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            Status::with_error_details(Code::InvalidArgument, format!("{first}{and_more}"), details)
        }
        Failure::NotFound(what) => Status::with_error_details(Code::NotFound, what, info("NOT_FOUND")),
        Failure::AlreadyExists(what) => Status::with_error_details(Code::AlreadyExists, what, info("ALREADY_EXISTS")),
        Failure::Refused(refused) => {
            Status::with_error_details(Code::PermissionDenied, refused.to_string(), info("ROLE_MISSING"))
        }
        Failure::Exhausted(exhausted) => self::exhausted(exhausted),
        Failure::Aborted => Status::with_error_details(
            Code::Aborted,
            "others kept changing this contact until the deadline; nothing was counted: ask again",
            retry(info("LOST_RACES")),
        ),
        Failure::TooLate => Status::with_error_details(
            Code::DeadlineExceeded,
            "the deadline passed before the question could be answered",
            info("DEADLINE_EXCEEDED"),
        ),
        // The path of a library is for the operator.
        Failure::Unfit(Unfit::Library(inner)) => {
            trouble("the library of past law cannot be read", &inner);
            let message = "the decision cannot be judged again: the library of past law cannot be read";
            Status::with_error_details(Code::FailedPrecondition, message, info("NOT_REPRODUCIBLE"))
        }
        Failure::Unfit(why) => {
            let message = format!("the decision cannot be judged again: {why}");
            Status::with_error_details(Code::FailedPrecondition, message, info("NOT_REPRODUCIBLE"))
        }
        Failure::Store(error) => store(&error),
        Failure::TooOld(what) => Status::with_error_details(Code::OutOfRange, what, info("TOO_OLD")),
        Failure::Precondition(unmet, what) => {
            Status::with_error_details(Code::FailedPrecondition, what, info(unmet.reason()))
        }
        Failure::Stopping => Status::with_error_details(
            Code::Unavailable,
            "the server is stopping: go on with the last resume_token",
            retry(info("STOPPING")),
        ),
        Failure::Internal(inner) => {
            trouble("internal error", &inner);
            let message = "an internal error, described in the server's log; whatever is not an ALLOW is a no";
            Status::with_error_details(Code::Internal, message, info("INTERNAL"))
        }
    }
}

fn store(error: &StoreError) -> Status {
    trouble("store or audit log unavailable", error);
    match error {
        StoreError::TooLarge { .. } => {
            Status::with_error_details(Code::ResourceExhausted, error.for_clients(), info("RECORD_TOO_LARGE"))
        }
        StoreError::Trimmed { .. } => {
            Status::with_error_details(Code::OutOfRange, error.for_clients(), info("EVENTS_TRIMMED"))
        }
        _ => Status::with_error_details(Code::Unavailable, error.for_clients(), retry(info("STORE_UNAVAILABLE"))),
    }
}

/// The status of a request that cannot be read: by its field, where that is known.
#[must_use]
pub fn unreadable(field: Option<&str>, why: &str) -> Status {
    let why = without_numbers(why);
    match field {
        Some(field) => {
            let violation = Violation { field: field.to_owned(), message: format!("cannot be read: {why}") };
            of(Failure::Invalid(vec![violation]))
        }
        None => refused(Code::InvalidArgument, "MALFORMED_REQUEST", format!("the request cannot be read: {why}")),
    }
}

/// A decoder says what it met: bytes in the wrong place may be somebody's number.
fn without_numbers(why: &str) -> String {
    let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let runs = why.split_inclusive(|c: char| !c.is_ascii_digit());
    let shown = runs.map(|run| match run.trim_end_matches(|c: char| !c.is_ascii_digit()) {
        digits if is_digit(digits) && digits.len() >= 7 => run.replacen(digits, "•••", 1),
        _ => run.to_owned(),
    });
    shown.collect()
}

/// The status of a request that no call was made for.
#[must_use]
pub fn refused(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, info(reason))
}

/// The reason for which a tenant has nothing left, and its words.
pub(super) const fn words(exhausted: Exhausted) -> (&'static str, &'static str) {
    match exhausted {
        Exhausted::Rate(_) => ("RATE_LIMITED", "the tenant asks more calls a second than it may"),
        Exhausted::AtOnce => ("TOO_MANY_AT_ONCE", "the tenant has more calls under way at once than it may"),
    }
}

/// The status of a call for which the tenant has nothing left.
#[must_use]
pub fn exhausted(exhausted: Exhausted) -> Status {
    let (reason, message) = words(exhausted);
    let wait = match exhausted {
        Exhausted::Rate(wait) => wait,
        Exhausted::AtOnce => RETRY,
    };
    let mut details = info(reason);
    details.set_retry_info(Some(wait));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The status of what is refused since more comes than is answered in time.
#[must_use]
pub fn overloaded(after: Duration) -> Status {
    let message = "more is under way than is answered in time; nothing was done: ask again later, or another instance";
    passing(Code::ResourceExhausted, "OVERLOADED", message, after)
}

/// The status of a request of nobody who is known.
#[must_use]
pub fn unrecognised(why: &Unrecognised) -> Status {
    refused(Code::Unauthenticated, why.reason(), why.to_string())
}

/// The status of what passes by itself: ask again after so long.
#[must_use]
pub fn passing(code: Code, reason: &str, message: impl Into<String>, after: Duration) -> Status {
    let mut details = info(reason);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

fn info(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

fn retry(mut details: ErrorDetails) -> ErrorDetails {
    details.set_retry_info(Some(RETRY));
    details
}

/// The status as a message, for one row of many and for HTTP.
#[must_use]
pub fn message(status: &Status) -> rpc::Status {
    match rpc::Status::decode(status.details()) {
        Ok(message) if message.code != 0 => message,
        _ => rpc::Status { code: i32::from(status.code()), message: status.message().to_owned(), details: Vec::new() },
    }
}

/// The name of a code, as in the contract of gRPC.
#[must_use]
pub const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
