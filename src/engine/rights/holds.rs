//! Holds of the tenant's own: placed and lifted, each a write like any other.

use super::read;
use crate::access::Permit;
use crate::contact::holds::CLASSES;
use crate::contact::wire::{self, Reader};
use crate::engine::answer::stamp;
use crate::engine::consent::{Change, Described, already, finish, number, receipt_text, request_id};
use crate::engine::control::{self, fault};
use crate::engine::{Clock, Engine, Failure};
use crate::proto::store::audited_write;
use crate::proto::v1;

/// The most holds of one contact that stand at once.
const MOST: usize = 100;

impl Engine {
    /// Says that a part of what is kept must be kept, whoever asks for its erasure.
    ///
    /// # Errors
    /// As [`Engine::open_request`].
    pub async fn place_hold(
        &self,
        permit: &Permit,
        request: v1::PlaceHoldRequest,
        clock: Clock,
    ) -> Result<v1::PlaceHoldResponse, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        if !CLASSES.contains(&request.record_class.as_str()) {
            let class = wire::short(&request.record_class);
            reader.fault("record_class", format!("`{class}` is not one of {}", CLASSES.join(", ")));
        }
        let until = reader.instant("until", request.until.as_ref());
        if until.is_some_and(|until| until <= clock.now) {
            reader.fault("until", "is not later than now");
        }
        read::required(&mut reader, "reason", &request.reason, "why it must be kept");
        read::text(&mut reader, "citation", &request.citation);
        read::required(&mut reader, "who", &request.who, "a person or a system");
        let number = finish(reader, number)?;
        let asked = audited_write::Request::PlaceHold(request.clone());
        let id = control::write_id(&request.request_id, &asked)?;
        let hold = v1::Hold {
            record_class: request.record_class.clone(),
            until: request.until,
            citation: request.citation.clone(),
            reason: request.reason.clone(),
            who: request.who.clone(),
            ..v1::Hold::default()
        };
        let described = Described { request: asked, event: None };
        let mut answer = None;
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                let change = match already(contact, Some(id))? {
                    Some(stands) => stands,
                    None if contact.holds(clock.now).len() >= MOST => {
                        return Err(fault("number", "so many holds stand already that no more are taken: lift some"));
                    }
                    None => Change::Changed(contact.place_hold(hold.clone(), Some(id), receipt, clock.now)),
                };
                let placed = if let Change::Stands { receipt, .. } = &change { *receipt } else { receipt };
                answer = contact.hold_of(placed).cloned();
                Ok(change)
            })
            .await?;
        Ok(v1::PlaceHoldResponse { hold: answer, receipt_id: receipt_text(written.receipt) })
    }

    /// Ends a hold.
    ///
    /// # Errors
    /// As [`Engine::open_request`]; no such hold stands.
    pub async fn lift_hold(
        &self,
        permit: &Permit,
        request: v1::LiftHoldRequest,
        clock: Clock,
    ) -> Result<v1::LiftHoldResponse, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        if uuid::Uuid::try_parse(&request.hold_id).is_err() {
            reader.fault("hold_id", "is no id of a hold");
        }
        read::required(&mut reader, "who", &request.who, "a person or a system");
        read::required(&mut reader, "why", &request.why, "why it ends");
        let number = finish(reader, number)?;
        let asked = audited_write::Request::LiftHold(request.clone());
        let id = control::write_id(&request.request_id, &asked)?;
        let described = Described { request: asked, event: None };
        let written = self
            .change(permit, number, clock, described, &mut |contact, receipt| {
                if let Some(stands) = already(contact, Some(id))? {
                    return Ok(stands);
                }
                let lifted = contact.lift_hold(&request.hold_id, Some(id), receipt, clock.now);
                lifted.map(Change::Changed).ok_or(Failure::NotFound("no hold of this hold_id stands for this number"))
            })
            .await?;
        let receipt_id = receipt_text(written.receipt);
        Ok(v1::LiftHoldResponse { receipt_id, recorded_at: Some(stamp(written.recorded_at)) })
    }
}
