//! Incidents: what happened, whom it touches, who was told, and by when whom it must be reported to.
//!
//! The record of an incident stands in that of the switches: it has its audit entry, its order and its idempotency from
//! there. The contacts stand beside it in lots, sealed under its key; a lot is only ever added.

mod affected;
mod due;

use std::collections::BTreeMap;

use prost::Message as _;

use super::answer::stamp;
use super::consent::{receipt_text, request_id};
use super::control::record::INCIDENTS;
use super::control::{Beside, fault, page, wire, write_id};
use super::{Clock, Engine, Failure, Unmet};
use crate::access::Permit;
use crate::contact::WriteId;
use crate::contact::wire::Reader;
use crate::proto::store::{ControlRecord, IncidentLot, StoredIncident, audited_write};
use crate::proto::v1;
use crate::store::DataKey;
use crate::time::Instant;

/// The longest text of an incident.
const TEXT_BYTES: usize = 4 << 10;
/// The size of the record of switches beyond which nothing is added to an incident; the store takes four times as much.
const MOST_BYTES: usize = 4 << 20;
/// What the names of lots begin with.
pub(super) const LOTS: &str = "incident";

const NONE: Failure = Failure::NotFound("no incident of this incident_id is remembered");

/// A text that people are told.
fn told(reader: &mut Reader, field: &str, text: &str, required: bool) {
    if required && text.trim().is_empty() {
        reader.fault(field, "is required: people are told");
    } else if text.len() > TEXT_BYTES {
        reader.fault(field, format!("is {} bytes long; at most {TEXT_BYTES} are accepted", text.len()));
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        reader.fault(field, "holds a control character");
    }
}

/// The incident of this id.
fn of_id<'a>(record: &'a mut ControlRecord, id: &str) -> Option<&'a mut StoredIncident> {
    let named = |kept: &&mut StoredIncident| kept.incident.as_ref().is_some_and(|one| one.incident_id == id);
    record.incidents.iter_mut().find(named)
}

/// The incident that a write made or changed, as it is now.
fn of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<v1::Incident> {
    let made = |kept: &&StoredIncident| kept.writes.iter().any(|write| write.receipt_id == receipt);
    record.incidents.iter().find(made).and_then(|kept| kept.incident.clone())
}

impl Engine {
    /// Opens the record of an incident.
    ///
    /// # Errors
    /// A faulty request; a `request_id` used for something else; store or log unavailable; races outlasted.
    pub async fn open_incident(
        &self,
        permit: &Permit,
        request: v1::OpenIncidentRequest,
        clock: Clock,
    ) -> Result<v1::OpenIncidentResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::sentence(&mut reader, "title", &request.title);
        told(&mut reader, "what_happened", &request.what_happened, true);
        told(&mut reader, "possible_effects", &request.possible_effects, true);
        told(&mut reader, "measures", &request.measures, true);
        told(&mut reader, "advice", &request.advice, true);
        told(&mut reader, "remedies", &request.remedies, false);
        wire::sentence(&mut reader, "contact", &request.contact);
        reader.instant("occurred_at", request.occurred_at.as_ref());
        let discovered = reader.instant("discovered_at", request.discovered_at.as_ref());
        if discovered.is_some_and(|at| at > clock.now) {
            reader.fault("discovered_at", "lies in the future");
        }
        let places: Vec<_> =
            request.places.iter().filter_map(|code| wire::known_place(&mut reader, "places", code)).collect();
        wire::who(&mut reader, &request.who);
        wire::sound(reader)?;
        let law = self.law();
        let asked = audited_write::Request::OpenIncident(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let mut forgotten = None;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            forgotten = make_room(record)?;
            let discovered = discovered.unwrap_or(now);
            let mut reports: Vec<v1::RegulatorReport> = Vec::new();
            for place in &places {
                due::add(&mut reports, &law, *place, discovered);
            }
            let incident = v1::Incident {
                incident_id: receipt_text(receipt),
                title: request.title.clone(),
                what_happened: request.what_happened.clone(),
                possible_effects: request.possible_effects.clone(),
                measures: request.measures.clone(),
                advice: request.advice.clone(),
                remedies: request.remedies.clone(),
                contact: request.contact.clone(),
                occurred_at: request.occurred_at,
                discovered_at: Some(stamp(discovered)),
                reports,
                state: v1::IncidentState::Open.into(),
                who: request.who.clone(),
                opened_at: Some(stamp(now)),
                ..v1::Incident::default()
            };
            let writes = vec![id.stored(receipt, now)];
            record.incidents.push(StoredIncident { incident: Some(incident), writes, lots: Vec::new() });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        if let Some(forgotten) = forgotten {
            self.forget_lots(&forgotten).await?;
        }
        Ok(v1::OpenIncidentResponse { incident: of_write(&record, receipt), receipt_id: receipt_text(receipt) })
    }

    /// Changes what the record says, adds a report, closes it.
    ///
    /// # Errors
    /// As [`Engine::open_incident`]; the incident is unknown.
    pub async fn update_incident(
        &self,
        permit: &Permit,
        request: v1::UpdateIncidentRequest,
        clock: Clock,
    ) -> Result<v1::UpdateIncidentResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "incident_id", &request.incident_id);
        let texts = [
            ("what_happened", &request.what_happened),
            ("possible_effects", &request.possible_effects),
            ("measures", &request.measures),
            ("advice", &request.advice),
            ("remedies", &request.remedies),
        ];
        for (field, text) in texts {
            told(&mut reader, field, text, false);
        }
        let report = request.report.as_ref();
        let place = report.and_then(|report| {
            reader.name("report.reference", &report.reference, |text| Some(text.len()));
            wire::known_place(&mut reader, "report.place", &report.place)
        });
        let reported = report.and_then(|report| reader.instant("report.reported_at", report.reported_at.as_ref()));
        if reported.is_some_and(|at| at > clock.now) {
            reader.fault("report.reported_at", "lies in the future");
        }
        wire::who(&mut reader, &request.who);
        wire::sound(reader)?;
        let law = self.law();
        let asked = audited_write::Request::UpdateIncident(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let kept = of_id(record, &request.incident_id).ok_or(NONE)?;
            let incident = kept.incident.get_or_insert_default();
            let fields = [
                (&mut incident.what_happened, &request.what_happened),
                (&mut incident.possible_effects, &request.possible_effects),
                (&mut incident.measures, &request.measures),
                (&mut incident.advice, &request.advice),
                (&mut incident.remedies, &request.remedies),
            ];
            for (field, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
                field.clone_from(text);
            }
            if let (Some(place), Some(report)) = (place, &request.report) {
                let discovered = incident.discovered_at.as_ref().and_then(|at| at.to_millis()).unwrap_or(now.millis());
                let known = due::add(&mut incident.reports, &law, place, Instant::from_millis(discovered));
                if let Some(known) = incident.reports.get_mut(known) {
                    known.reported_at = report.reported_at.or(known.reported_at);
                    if !report.reference.is_empty() {
                        known.reference.clone_from(&report.reference);
                    }
                }
            }
            if request.close && incident.closed_at.is_none() {
                incident.state = v1::IncidentState::Closed.into();
                incident.closed_at = Some(stamp(now));
            }
            kept.writes.push(id.stored(receipt, now));
            has_room(record)
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        Ok(v1::UpdateIncidentResponse { incident: of_write(&record, receipt), receipt_id: receipt_text(receipt) })
    }

    /// One incident.
    ///
    /// # Errors
    /// No such incident, store unavailable.
    pub async fn incident(&self, _permit: &Permit, id: &str) -> Result<v1::Incident, Failure> {
        let mut record = self.switches().await?;
        of_id(&mut record, id).and_then(|kept| kept.incident.clone()).ok_or(NONE)
    }

    /// Incidents, newest first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_incidents(
        &self,
        _permit: &Permit,
        request: &v1::ListIncidentsRequest,
    ) -> Result<v1::ListIncidentsResponse, Failure> {
        let record = self.switches().await?;
        let all = record.incidents.into_iter().rev().filter_map(|kept| kept.incident);
        let wanted = all.filter(|one| request.state == 0 || one.state == request.state).collect();
        let (incidents, next_page_token) =
            page(wanted, request.page_size, &request.page_token, |one: &v1::Incident| &one.incident_id)?;
        Ok(v1::ListIncidentsResponse { incidents, next_page_token })
    }

    /// The lots of an incident, put together: each number, and when it was told.
    async fn touched(
        &self,
        own: &DataKey,
        id: &str,
        lots: &[Vec<u8>],
    ) -> Result<BTreeMap<u64, Option<Instant>>, Failure> {
        let mut touched: BTreeMap<u64, Option<Instant>> = BTreeMap::new();
        for lot in lots {
            let name = self.lot_name(id, lot);
            let plain = self.attached(own, &name).await?;
            let plain = plain.ok_or_else(|| Failure::Internal(format!("{name}: a lot of contacts is gone")))?;
            let lot = IncidentLot::decode(plain.as_slice()).map_err(|error| Failure::Internal(error.to_string()))?;
            for number in lot.numbers {
                let known = touched.entry(number).or_default();
                let told = (lot.told_at != 0).then(|| Instant::from_millis(lot.told_at));
                *known = known.iter().copied().chain(told).min();
            }
        }
        Ok(touched)
    }

    /// Destroys the lots of an incident that is remembered no more: nobody can say any more whom they are of.
    async fn forget_lots(&self, forgotten: &StoredIncident) -> Result<(), Failure> {
        let id = forgotten.incident.as_ref().map(|one| one.incident_id.clone()).unwrap_or_default();
        for lot in &forgotten.lots {
            self.detach(&self.lot_name(&id, lot)).await?;
        }
        Ok(())
    }

    fn lot_name(&self, id: &str, lot: &[u8]) -> String {
        self.name_of(LOTS, &format!("{id}/{}", super::policies::hex(lot)))
    }

    /// Adds a lot to an incident, and counts anew.
    async fn add_lot(
        &self,
        permit: &Permit,
        clock: Clock,
        id: WriteId,
        asked: audited_write::Request,
        incident_id: &str,
        lot: IncidentLot,
    ) -> Result<(v1::Incident, [u8; 16]), Failure> {
        let (own, mut record) = self.control_beside().await?.ok_or(NONE)?;
        let kept = of_id(&mut record, incident_id).ok_or(NONE)?;
        let mut touched = self.touched(&own, incident_id, &kept.lots).await?;
        let told = (lot.told_at != 0).then(|| Instant::from_millis(lot.told_at));
        for number in &lot.numbers {
            let known = touched.entry(*number).or_default();
            *known = known.iter().copied().chain(told).min();
        }
        let name = *uuid::Uuid::new_v4().as_bytes();
        let mut attachments = vec![(self.lot_name(incident_id, &name), lot.encode_to_vec())];
        attachments.retain(|_| !lot.numbers.is_empty());
        let seen = kept.lots.clone();
        let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let kept = of_id(record, incident_id).ok_or(NONE)?;
            // Counted from these lots: another that came meanwhile makes the caller ask again.
            if kept.lots != seen {
                return Err(Failure::Aborted);
            }
            kept.writes.push(id.stored(receipt, now));
            if !lot.numbers.is_empty() {
                kept.lots.push(name.to_vec());
            }
            let incident = kept.incident.get_or_insert_default();
            incident.affected = count(touched.len());
            incident.told = count(touched.values().filter(|told| told.is_some()).count());
            has_room(record)
        };
        let beside = Beside { attachments: &attachments, event: None };
        let written = self.switch_with(permit, clock, id, asked, beside, &mut { made }).await;
        if let Err(Failure::Aborted) = written {
            // Nothing names it.
            for (name, _) in &attachments {
                self.detach(name).await?;
            }
        }
        let (record, receipt) = written?;
        let incident = of_write(&record, receipt).ok_or(NONE)?;
        Ok((incident, receipt))
    }
}

/// Incidents leave room for what must always be thrown: a freeze.
fn has_room(record: &ControlRecord) -> Result<(), Failure> {
    match record.encoded_len() <= MOST_BYTES {
        true => Ok(()),
        false => Err(Failure::Precondition(
            Unmet::NoRoom,
            "incidents take up all the room they have: name more numbers at a time, close some",
        )),
    }
}

/// Forgets the oldest closed incident where there are too many, and says which.
fn make_room(record: &mut ControlRecord) -> Result<Option<StoredIncident>, Failure> {
    if record.incidents.len() < INCIDENTS {
        return Ok(None);
    }
    let closed = |kept: &StoredIncident| kept.incident.as_ref().is_some_and(|one| one.closed_at.is_some());
    match record.incidents.iter().position(closed) {
        Some(oldest) => Ok(Some(record.incidents.remove(oldest))),
        None => Err(fault("title", "so many incidents are open that no more are taken: close some")),
    }
}
