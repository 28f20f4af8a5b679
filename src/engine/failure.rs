//! Why a use case gave no answer. A refusal to contact is no failure: it travels as a decision.

use crate::access::{Exhausted, Refused};
use crate::contact::RecordError;
use crate::contact::wire::Violation;
use crate::store::{DayKeyError, SealError, StoreError};

/// What kept a use case from answering. Only [`crate::service::status`] turns one into a status.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request is wrong; every fault of it.
    #[error("the request has {} faults", .0.len())]
    Invalid(Vec<Violation>),
    /// What it names is not there.
    #[error("{0}")]
    NotFound(&'static str),
    /// The id was used for something else.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// The caller lacks a role.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The tenant uses as much as it may.
    #[error("the tenant asks more than it may")]
    Exhausted(Exhausted),
    /// Races for the record outlasted the deadline.
    #[error("others kept changing the record until the deadline")]
    Aborted,
    /// The deadline passed before an answer.
    #[error("the deadline passed")]
    TooLate,
    /// Store or audit log cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A past decision cannot be judged again.
    #[error("the decision cannot be judged again: {0}")]
    Unfit(#[from] super::replay::Unfit),
    /// What is asked for is no longer kept.
    #[error("{0}")]
    TooOld(&'static str),
    /// What is asked for does not go with how this server is set up, or with what the tenant has done before.
    #[error("{1}")]
    Precondition(Unmet, &'static str),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
    /// Something that should not be.
    #[error("{0}")]
    Internal(String),
}

/// What stands in the way, for programs to tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unmet {
    /// There are regions, each with a store of its own.
    SeveralStores,
    /// The tenant's service has ended.
    ServiceEnded,
    /// Incidents take up all the room they have.
    NoRoom,
    /// A file says what is on the list, and what is not.
    KeptInFile,
    /// More rows of an import were refused than its answer can name.
    TooManyRefused,
}

impl Unmet {
    /// The reason of an `ErrorInfo`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SeveralStores => "SEVERAL_STORES",
            Self::ServiceEnded => "SERVICE_ENDED",
            Self::NoRoom => "NO_ROOM",
            Self::KeptInFile => "KEPT_IN_FILE",
            Self::TooManyRefused => "TOO_MANY_REFUSED",
        }
    }
}

impl From<Exhausted> for Failure {
    fn from(exhausted: Exhausted) -> Self {
        Self::Exhausted(exhausted)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        match error {
            // The key may come with the next look at the file: what cannot be read now is not allowed now.
            SealError::UnknownKey(key) => Self::Store(StoreError::UnknownKey { key }),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<DayKeyError> for Failure {
    fn from(error: DayKeyError) -> Self {
        match error {
            DayKeyError::Store(error) => Self::Store(error),
            DayKeyError::Seal(error) => error.into(),
        }
    }
}
