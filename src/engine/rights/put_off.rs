//! Erasures that a hold has put off, done once none forbids them: nobody has to remember them.

use super::is_closed;
use crate::access::Permit;
use crate::contact::holds::{self, Reach};
use crate::contact::{Contact, ErasureReason, RightsKind, Term as _};
use crate::engine::region::Kept;
use crate::engine::{Clock, Engine, Failure};
use crate::place::Number;
use crate::proto::v1;
use crate::time::Instant;

/// What is noted of the identity of who asked: nobody asks anew.
const SHOWN: &str = "when the erasure was asked for, before a hold put it off";

impl Engine {
    /// Whether an erasure of this contact waits that no hold forbids any more.
    ///
    /// # Errors
    /// Store unavailable.
    pub(in crate::engine) async fn can_be_erased_now(
        &self,
        kept: &Kept,
        contact: &Contact,
        now: Instant,
    ) -> Result<bool, Failure> {
        if contact.erasures_waiting().next().is_none() || contact.digits().is_none() {
            return Ok(false);
        }
        let others = self.held_from_erasure(kept, contact, now).await?;
        Ok(!holds::kept(&[contact.holds(now), others].concat(), now).contains(&Reach::Everything))
    }

    /// Does the erasures of a contact that wait; whether it is erased now. A hold that came meanwhile puts them off again.
    ///
    /// # Errors
    /// Store or log unavailable; races outlasted.
    pub(in crate::engine) async fn finish_erasures(
        &self,
        permit: &Permit,
        contact: &Contact,
        clock: Clock,
    ) -> Result<bool, Failure> {
        let Some(number) = contact.digits().and_then(Number::from_digits) else { return Ok(false) };
        let mut erased = false;
        for (named, reason) in contact.erasures_waiting() {
            let named = named.filter(|id| waits_for_erasure(contact, *id));
            let reason = ErasureReason::from_number(reason).unwrap_or(ErasureReason::Requested);
            let request = v1::EraseContactRequest {
                number: number.reveal_e164().as_str().to_owned(),
                // Each try is a write of its own: one that a hold puts off again must not count as done.
                request_id: uuid::Uuid::new_v4().hyphenated().to_string(),
                rights_request_id: named.map(|id| id.hyphenated().to_string()).unwrap_or_default(),
                reason: reason.number().into(),
                identity_verified_by: SHOWN.to_owned(),
                ..v1::EraseContactRequest::default()
            };
            erased |= self.erase_contact(permit, request, clock).await?.erased_at.is_some();
        }
        Ok(erased)
    }
}

/// Whether an erasure still answers this request.
fn waits_for_erasure(contact: &Contact, id: uuid::Uuid) -> bool {
    contact.request(&id.hyphenated().to_string()).is_some_and(|request| {
        RightsKind::from_number(request.kind) == Some(RightsKind::Erasure)
            && !is_closed(request)
            && !(request.identity_needed && request.identity_verified_at.is_none())
    })
}
