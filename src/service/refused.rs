//! Requests that are refused: each counted and told once, under the tenant whose it is, where that is known.
//!
//! Promises: what is told holds no secret and nothing of a request but what the server knows by itself. Guarded by
//! `tests/access/refusals.rs`.

use std::fmt::Display;
use std::sync::Arc;

use super::Calls;
use super::incoming::Incoming;
use super::names;
use super::status;
use crate::engine::Failure;
use crate::telemetry::{Meter, Refusal};

impl Calls {
    /// A request was refused, for this reason; `call` names what was called, and holds nothing of it.
    pub fn refused(&self, incoming: &Incoming, call: &dyn Display, reason: &'static str, why: &dyn Display) {
        tell(self.meter(incoming), incoming, call, reason, why);
    }

    /// The same of one whose caller is not known yet, or never will be.
    pub fn refused_unread(&self, asked: &http::Extensions, path: &str, reason: &'static str, why: &dyn Display) {
        self.refused(&self.incoming(asked, None), &names::told(path), reason, why);
    }

    /// What is counted of whoever asks.
    pub(super) fn meter<'a>(&'a self, incoming: &'a Incoming) -> &'a Arc<Meter> {
        incoming.meter.as_ref().unwrap_or_else(|| self.server().meter())
    }

    /// A call, or a row of one, failed: that is told here where it was refused.
    pub(super) fn failed(&self, incoming: &Incoming, call: &'static str, failure: &Failure) {
        failed(self.meter(incoming), incoming, call, failure);
    }
}

/// See [`Calls::failed`].
pub(super) fn failed(meter: &Meter, incoming: &Incoming, call: &'static str, failure: &Failure) {
    let Some((reason, why)) = reason(failure) else { return };
    tell(meter, incoming, &call, reason, &why);
}

/// See [`Calls::refused`].
pub(super) fn tell(meter: &Meter, incoming: &Incoming, call: &dyn Display, reason: &'static str, why: &dyn Display) {
    meter.refused(&Refusal { reason, why, call, caller: incoming.caller.name(), from: incoming.from });
}

/// The reason of a refusal, and its words; `None`: the failure is none.
fn reason(failure: &Failure) -> Option<(&'static str, String)> {
    match failure {
        // Which field it is stands in the answer: what it is called may be what somebody wrote.
        Failure::Invalid(_) => Some(("INVALID_REQUEST", "a field is missing, or is not what it must be".to_owned())),
        Failure::Refused(refused) => Some(("ROLE_MISSING", refused.to_string())),
        Failure::Exhausted(exhausted) => {
            let (reason, message) = status::words(*exhausted);
            Some((reason, message.to_owned()))
        }
        _ => None,
    }
}
