//! The steps of a request: identity shown, extended, answered, refused, a restriction lifted.

use super::index::{self, tag_of};
use super::{is_closed, lifted, read, state_of};
use crate::access::Permit;
use crate::contact::wire::{Reader, Violation};
use crate::contact::{Contact, Refusal, RightsKind, RightsState, RightsStep, Term, WriteId};
use crate::engine::answer::stamp;
use crate::engine::consent::{Change, Described, Target, already, receipt_text, request_id};
use crate::engine::control::{self, fault};
use crate::engine::region::Kept;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::time::Instant;

/// A step, read.
struct Step<'a> {
    asked: &'a v1::ResolveRequestRequest,
    step: RightsStep,
    at: Instant,
}

impl Engine {
    /// Takes a request a step further.
    ///
    /// # Errors
    /// A faulty request or a step that the request does not allow; no such request; a `request_id` used for something
    /// else; store or log unavailable; races outlasted.
    pub async fn resolve_request(
        &self,
        permit: &Permit,
        request: v1::ResolveRequestRequest,
        clock: Clock,
    ) -> Result<v1::ResolveRequestResponse, Failure> {
        let (named, step) = read_step(&request, clock.now)?;
        let step = Step { asked: &request, step, at: step_at(&request, clock.now) };
        let asked = audited_write::Request::ResolveRequest(request.clone());
        let id = control::write_id(&request.request_id, &asked)?;
        let (listed_in, tag) = self.request_of(named).await?;
        let found = self.find_tagged(listed_in, tag, Some((permit, clock.now))).await?;
        let kept = found.kept;
        let receipt = kept.next_id(clock.now);
        let described = Described { request: asked, event: None };
        let mut answer = None;
        let target = Target { tag, number: None, found };
        let written = self
            .change_as(permit, target, Some(receipt), clock, described, &mut |contact, receipt| {
                let change = match already(contact, Some(id))? {
                    Some(stands) => stands,
                    None => {
                        let restricted = contact.restricted_at().is_some();
                        let at = self.step(contact, named, &step, id, receipt, clock.now)?;
                        let ended = restricted && contact.restricted_at().is_none();
                        match ended.then(|| lifted::event(contact)).flatten() {
                            Some(event) => Change::Told(at, Box::new(event)),
                            None => Change::Changed(at),
                        }
                    }
                };
                let found = contact.request(&named.hyphenated().to_string()).cloned();
                answer = found.map(|found| (found, contact.digits()));
                Ok(change)
            })
            .await?;
        let (request, digits) =
            answer.ok_or_else(|| Failure::Internal("a request that was changed is not there".to_owned()))?;
        self.index_move(permit, (listed_in, kept), index::entry(&request, tag, clock.now), clock).await?;
        let request = self.whole(request, digits);
        Ok(v1::ResolveRequestResponse { request: Some(request), receipt_id: receipt_text(written.receipt) })
    }

    /// The region that lists a request, and the tag of the record that holds it.
    async fn request_of(&self, id: uuid::Uuid) -> Result<(&Kept, [u8; 32]), Failure> {
        let found = self.indexed(id).await?;
        let (kept, entry) = found.ok_or(Failure::NotFound("no request of this rights_request_id is known"))?;
        Ok((kept, tag_of(&entry)?))
    }

    fn step(
        &self,
        contact: &mut Contact,
        named: uuid::Uuid,
        step: &Step<'_>,
        id: WriteId,
        receipt: [u8; 16],
        now: Instant,
    ) -> Result<Instant, Failure> {
        const NONE: Failure = Failure::NotFound("no request of this rights_request_id is known");
        let mut request = contact.request(&named.hyphenated().to_string()).cloned().ok_or(NONE)?;
        if is_closed(&request) && step.step != RightsStep::LiftRestriction {
            return Err(fault("step", "the request is closed"));
        }
        match step.step {
            RightsStep::VerifyIdentity => self.verify(&mut request, step)?,
            RightsStep::Extend => self.extend(&mut request, now)?,
            RightsStep::Complete => complete(contact, &mut request, now)?,
            RightsStep::Refuse => {
                request.refusal_reason = step.asked.refusal_reason;
                contact.withdraw_erasure(named);
                close(&mut request, RightsState::Refused, now);
            }
            RightsStep::LiftRestriction => lift(contact, (named, &mut request), now)?,
        }
        request.who.clone_from(&step.asked.who);
        if step.step != RightsStep::VerifyIdentity && !step.asked.note.is_empty() {
            request.note.clone_from(&step.asked.note);
        }
        contact.change_request(request, Some(id), receipt, now).ok_or(NONE)
    }

    fn verify(&self, request: &mut v1::RightsRequest, step: &Step<'_>) -> Result<(), Failure> {
        if request.identity_verified_at.is_some() {
            return Err(fault("step", "identity was shown before"));
        }
        request.identity_verified_at = Some(stamp(step.at));
        request.identity_verified_by.clone_from(&step.asked.note);
        if state_of(request) == Some(RightsState::AwaitingIdentity) {
            let state = if request.extended_at.is_some() { RightsState::Extended } else { RightsState::Open };
            request.state = state.number().into();
        }
        self.wind(request)
    }

    /// Takes more time, once, while the first period runs. Where one of several laws gives none, there is none.
    fn extend(&self, request: &mut v1::RightsRequest, now: Instant) -> Result<(), Failure> {
        if request.extended_at.is_some() {
            return Err(fault("step", "more time was taken before, and may be taken once"));
        }
        let due = super::millis(request.due_at.as_ref());
        if due != 0 && now.millis() >= due {
            return Err(fault(
                "step",
                "it is overdue: more time is taken, and the person told why, while the first period runs",
            ));
        }
        let by = request.rule_id.clone();
        request.extended_at = Some(stamp(now));
        self.wind(request)?;
        if super::millis(request.due_at.as_ref()) <= due {
            let why = format!("{by} gives no more time, so it stays due when it is");
            return Err(fault("step", if by.is_empty() { "what was promised gives no more time" } else { &why }));
        }
        if state_of(request) == Some(RightsState::Open) {
            request.state = RightsState::Extended.number().into();
        }
        Ok(())
    }
}

fn read_step(asked: &v1::ResolveRequestRequest, now: Instant) -> Result<(uuid::Uuid, RightsStep), Failure> {
    let mut reader = Reader::new();
    let named = read::rights_request_id(&mut reader, &asked.rights_request_id);
    request_id(&mut reader, &asked.request_id);
    read::required(&mut reader, "who", &asked.who, "a person or a system");
    let step = reader.term::<RightsStep>("step", asked.step);
    if asked.step == 0 {
        reader.fault("step", "is required: what is to be done with the request");
    }
    let noted = read::text(&mut reader, "note", &asked.note);
    let needed = match step {
        Some(RightsStep::VerifyIdentity) => Some("how identity was checked"),
        Some(RightsStep::Extend) => Some("the reason, which the person is told"),
        Some(RightsStep::LiftRestriction) => Some("why, and how the person was told"),
        _ => None,
    };
    if let Some(what) = needed.filter(|_| !noted) {
        reader.fault("note", format!("is required: {what}"));
    }
    let refusal = reader.term::<Refusal>("refusal_reason", asked.refusal_reason);
    match (step, refusal) {
        (Some(RightsStep::Refuse), None) if asked.refusal_reason == 0 => {
            reader.fault("refusal_reason", "is required: the person is told why");
        }
        (Some(RightsStep::Refuse), _) | (_, None) => {}
        _ => reader.fault("refusal_reason", "belongs to a refusal: leave it out"),
    }
    let at = reader.instant("at", asked.at.as_ref());
    if at.is_some() && step != Some(RightsStep::VerifyIdentity) {
        reader.fault("at", format!("belongs to the proof of identity; this step is taken now, at {now}"));
    }
    let violations: Vec<Violation> = reader.violations();
    match (named, step) {
        (Some(named), Some(step)) if violations.is_empty() => Ok((named, step)),
        _ => Err(Failure::Invalid(violations)),
    }
}

fn step_at(asked: &v1::ResolveRequestRequest, now: Instant) -> Instant {
    let told = asked.at.as_ref().and_then(|at| at.to_millis()).map(Instant::from_millis);
    told.unwrap_or(now).min(now)
}

/// Closes a request.
pub(super) fn close(request: &mut v1::RightsRequest, state: RightsState, now: Instant) {
    request.state = state.number().into();
    request.closed_at = Some(stamp(now));
}

/// What may be answered: identity was shown where it must be.
pub(super) fn shown(request: &v1::RightsRequest, field: &str) -> Result<(), Failure> {
    match request.identity_needed && request.identity_verified_at.is_none() {
        true => Err(fault(field, "identity was not shown yet: take the step verify_identity first")),
        false => Ok(()),
    }
}

fn complete(contact: &Contact, request: &mut v1::RightsRequest, now: Instant) -> Result<(), Failure> {
    shown(request, "step")?;
    let kind = RightsKind::from_number(request.kind);
    let opened = super::millis(request.received_at.as_ref());
    if kind == Some(RightsKind::Erasure) && contact.erased_at().is_none_or(|erased| erased.millis() < opened) {
        return Err(fault("step", "nothing was erased yet: EraseContact does that, and closes the request"));
    }
    close(request, RightsState::Done, now);
    Ok(())
}

/// Ends the restriction, unless another request or an erasure that waits holds it up.
fn lift(
    contact: &mut Contact,
    (named, request): (uuid::Uuid, &mut v1::RightsRequest),
    now: Instant,
) -> Result<(), Failure> {
    if contact.restricted_at().is_none() || request.lifted_at.is_some() {
        return Err(fault("step", "no restriction of this request stands"));
    }
    let restricts =
        |kind: i32| matches!(RightsKind::from_number(kind), Some(RightsKind::Restriction | RightsKind::Erasure));
    if !restricts(request.kind) {
        return Err(fault("step", "a request of this kind restricts nothing"));
    }
    request.lifted_at = Some(stamp(now));
    contact.withdraw_erasure(named);
    let others = contact.requests().filter(|other| other.rights_request_id != request.rights_request_id);
    // An erasure that was done has nothing left to wait for.
    let done = |other: &v1::RightsRequest| {
        RightsKind::from_number(other.kind) == Some(RightsKind::Erasure) && is_closed(other)
    };
    let held_up = others
        .filter(|other| restricts(other.kind) && !done(other))
        .any(|other| other.lifted_at.is_none() && state_of(other) != Some(RightsState::Refused));
    if !held_up {
        contact.lift_restriction();
    }
    Ok(())
}
