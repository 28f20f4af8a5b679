//! The switches that people throw: freezes and states of emergency.
//!
//! All of a tenant's are one record, kept like a contact's: swapped with its audit entry in one atomic step, sealed, and
//! safe before it is answered. Which of them a check sees, and how fast, stands in [`standing`]; where there are regions, each
//! has all of them: see [`everywhere`].

mod beside;
mod everywhere;
pub(super) mod record;
mod standing;
pub(super) mod wire;

use prost::Message;

pub(super) use beside::Beside;
pub(super) use record::list_of_write;
pub use standing::Feed;
pub(super) use standing::{FORMAT, Recorded, Standing};

use super::answer::stamp;
use super::consent::{receipt_text, request_id};
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::contact::WriteId;
use crate::contact::wire::Reader;
use crate::proto::store::{AuditedWrite, ControlRecord, StoredEmergency, StoredFreeze, audited_write};
use crate::proto::v1;
use crate::time::Instant;

/// Entries on a page where the caller does not say, and the most there are.
const PAGE: usize = 100;
const MOST_ON_PAGE: u32 = 1_000;

impl Engine {
    /// Freezes contacts. Once this has returned, every check sees it.
    ///
    /// # Errors
    /// A faulty request, a `request_id` used for something else, store or log unavailable, races outlasted.
    pub async fn freeze(
        &self,
        permit: &Permit,
        request: v1::FreezeRequest,
        clock: Clock,
    ) -> Result<v1::FreezeResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        let target = wire::target(&mut reader, request.target.as_ref());
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        let until = reader.instant("until", request.until.as_ref());
        wire::sound(reader)?;
        let everything = Some(v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) });
        let asked = audited_write::Request::Freeze(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            // Judged by the clock only where the freeze is new: asked again later, the first answer stands.
            if until.is_some_and(|until| until <= now) {
                return Err(fault("until", "is not later than now"));
            }
            let holding = record.freezes.iter().filter_map(|kept| kept.freeze.as_ref());
            let holding = holding.filter(|freeze| record::freeze_holds(freeze, now)).count();
            if holding >= record::MOST && target != everything {
                return Err(fault("target", "so many freezes hold already that no more are taken: freeze everything"));
            }
            let freeze = v1::Freeze {
                freeze_id: receipt_text(receipt),
                target: target.clone(),
                who: request.who.clone(),
                why: request.why.clone(),
                from: Some(stamp(now)),
                until: request.until,
                ..v1::Freeze::default()
            };
            let write = Some(id.stored(receipt, now));
            record.freezes.push(StoredFreeze { freeze: Some(freeze), write, lifting: None });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let freeze = record::freeze_of_write(&record, receipt).cloned();
        Ok(v1::FreezeResponse { freeze, receipt_id: receipt_text(receipt) })
    }

    /// Lifts a freeze.
    ///
    /// # Errors
    /// As [`Engine::freeze`]; the freeze is unknown, or was lifted.
    pub async fn unfreeze(
        &self,
        permit: &Permit,
        request: v1::UnfreezeRequest,
        clock: Clock,
    ) -> Result<v1::UnfreezeResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "freeze_id", &request.freeze_id);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let asked = audited_write::Request::Unfreeze(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let named = |kept: &&mut StoredFreeze| {
                kept.freeze.as_ref().is_some_and(|freeze| freeze.freeze_id == request.freeze_id)
            };
            let ended = record.off_boarding.as_ref().is_some_and(|kept| kept.freeze_id == request.freeze_id);
            let kept = record.freezes.iter_mut().find(named);
            let kept = kept.ok_or(Failure::NotFound("no freeze of this freeze_id is remembered"))?;
            if ended {
                return Err(fault("freeze_id", "stops a tenant whose service has ended: it is never lifted"));
            }
            let Some(freeze) = kept.freeze.as_mut().filter(|freeze| freeze.lifted_at.is_none()) else {
                return Err(Failure::AlreadyExists("this freeze was lifted before"));
            };
            freeze.lifted_at = Some(stamp(now));
            freeze.lifted_by.clone_from(&request.who);
            freeze.lifted_why.clone_from(&request.why);
            kept.lifting = Some(id.stored(receipt, now));
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let freeze = record::freeze_of_write(&record, receipt).cloned();
        Ok(v1::UnfreezeResponse { freeze, receipt_id: receipt_text(receipt) })
    }

    /// Freezes, newest first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_freezes(
        &self,
        permit: &Permit,
        request: &v1::ListFreezesRequest,
        now: Instant,
    ) -> Result<v1::ListFreezesResponse, Failure> {
        self.is_of(permit)?;
        let record = self.switches().await?;
        let all = record.freezes.into_iter().rev().filter_map(|kept| kept.freeze);
        let wanted = all.filter(|freeze| request.history || record::freeze_holds(freeze, now));
        let (freezes, next_page_token) =
            page(wanted.collect(), request.page_size, &request.page_token, |freeze: &v1::Freeze| &freeze.freeze_id)?;
        Ok(v1::ListFreezesResponse { freezes, next_page_token })
    }

    /// Takes note of a state of emergency. Once this has returned, every check sees it.
    ///
    /// # Errors
    /// As [`Engine::freeze`].
    pub async fn declare_emergency(
        &self,
        permit: &Permit,
        request: v1::DeclareEmergencyRequest,
        clock: Clock,
    ) -> Result<v1::DeclareEmergencyResponse, Failure> {
        let law = self.law();
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        let place = wire::known_place(&mut reader, "jurisdiction", &request.jurisdiction);
        let counties = wire::counties(&mut reader, &law, place, &request.counties);
        wire::sentence(&mut reader, "title", &request.title);
        wire::sentence(&mut reader, "source", &request.source);
        let from = reader.instant("from", request.from.as_ref());
        let until = reader.instant("until", request.until.as_ref());
        wire::who(&mut reader, &request.who);
        wire::sound(reader)?;
        let asked = audited_write::Request::DeclareEmergency(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            if until.is_some_and(|until| until <= now.max(from.unwrap_or(now))) {
                return Err(fault("until", "is not later than now, or than it begins"));
            }
            let holding = record.emergencies.iter().filter_map(|kept| kept.emergency.as_ref());
            if holding.filter(|state| record::emergency_holds(state, now)).count() >= record::MOST {
                return Err(fault("jurisdiction", "so many states of emergency hold that no more are taken: end some"));
            }
            let emergency = v1::Emergency {
                emergency_id: receipt_text(receipt),
                jurisdiction: place.map(|place| place.to_string()).unwrap_or_default(),
                counties: counties.clone(),
                title: request.title.clone(),
                source: request.source.clone(),
                from: Some(stamp(from.unwrap_or(now))),
                until: request.until,
                who: request.who.clone(),
                declared_at: Some(stamp(now)),
                ..v1::Emergency::default()
            };
            let write = Some(id.stored(receipt, now));
            record.emergencies.push(StoredEmergency { emergency: Some(emergency), write, ending: None });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let emergency = record::emergency_of_write(&record, receipt).map(|state| self.with_rules(state.clone()));
        Ok(v1::DeclareEmergencyResponse { emergency, receipt_id: receipt_text(receipt) })
    }

    /// Ends a state of emergency.
    ///
    /// # Errors
    /// As [`Engine::freeze`]; it is unknown, was ended, or stands in a file.
    pub async fn end_emergency(
        &self,
        permit: &Permit,
        request: v1::EndEmergencyRequest,
        clock: Clock,
    ) -> Result<v1::EndEmergencyResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "emergency_id", &request.emergency_id);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let of_file = self.feed().emergencies.iter().any(|state| *state.id == *request.emergency_id);
        let asked = audited_write::Request::EndEmergency(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let named = |kept: &&mut StoredEmergency| {
                kept.emergency.as_ref().is_some_and(|state| state.emergency_id == request.emergency_id)
            };
            let kept = match record.emergencies.iter_mut().find(named) {
                Some(kept) => kept,
                None if of_file => return Err(fault("emergency_id", "stands in the file of the server: end it there")),
                None => return Err(Failure::NotFound("no state of emergency of this emergency_id is remembered")),
            };
            let Some(state) = kept.emergency.as_mut().filter(|state| state.ended_at.is_none()) else {
                return Err(Failure::AlreadyExists("this state of emergency was ended before"));
            };
            state.ended_at = Some(stamp(now));
            state.ended_by.clone_from(&request.who);
            state.ended_why.clone_from(&request.why);
            kept.ending = Some(id.stored(receipt, now));
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let emergency = record::emergency_of_write(&record, receipt).map(|state| self.with_rules(state.clone()));
        Ok(v1::EndEmergencyResponse { emergency, receipt_id: receipt_text(receipt) })
    }

    /// States of emergency, newest first; those of a file come last, in its order.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_emergencies(
        &self,
        permit: &Permit,
        request: &v1::ListEmergenciesRequest,
        now: Instant,
    ) -> Result<v1::ListEmergenciesResponse, Failure> {
        self.is_of(permit)?;
        let record = self.switches().await?;
        let recorded = record.emergencies.into_iter().rev().filter_map(|kept| kept.emergency);
        let feed = self.feed();
        let all = recorded.chain(feed.emergencies.iter().map(|state| wire::emergency_message(state)));
        let wanted = all.filter(|state| request.history || record::emergency_holds(state, now));
        let (states, next_page_token) =
            page(wanted.collect(), request.page_size, &request.page_token, |state: &v1::Emergency| {
                &state.emergency_id
            })?;
        let emergencies = states.into_iter().map(|state| self.with_rules(state)).collect();
        Ok(v1::ListEmergenciesResponse { emergencies, next_page_token })
    }

    fn with_rules(&self, mut state: v1::Emergency) -> v1::Emergency {
        let law = self.law();
        let rules = state.jurisdiction.parse().map(|place| law.emergency_rules(place)).unwrap_or_default();
        state.rule_ids = rules.into_iter().map(str::to_owned).collect();
        state
    }
}

/// What is compared is the request within its kind: one id serves one kind of write.
pub(in crate::engine) fn write_id(request_id: &str, asked: &audited_write::Request) -> Result<WriteId, Failure> {
    let content = AuditedWrite { request: Some(asked.clone()), ..AuditedWrite::default() }.encode_to_vec();
    WriteId::new(request_id, &content).ok_or_else(|| Failure::Internal("an empty request_id".to_owned()))
}

pub(in crate::engine) fn fault(field: &str, message: &str) -> Failure {
    let violation = crate::contact::wire::Violation { field: field.to_owned(), message: message.to_owned() };
    Failure::Invalid(vec![violation])
}

/// One page of a list; the token is the id of the last entry on the page before.
pub(in crate::engine) fn page<T>(
    all: Vec<T>,
    size: u32,
    token: &str,
    id: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, String), Failure> {
    if size > MOST_ON_PAGE {
        return Err(fault("page_size", "is more than 1,000"));
    }
    let size = if size == 0 { PAGE } else { usize::try_from(size).unwrap_or(PAGE) };
    let first = match token {
        "" => 0,
        token => match all.iter().position(|one| id(one) == token) {
            Some(last) => last + 1,
            None => return Err(fault("page_token", "is of no list that is known: begin with the first page")),
        },
    };
    let more = all.len() > first.saturating_add(size);
    let page: Vec<T> = all.into_iter().skip(first).take(size).collect();
    let next = page.last().filter(|_| more).map(|last| id(last).clone()).unwrap_or_default();
    Ok((page, next))
}
