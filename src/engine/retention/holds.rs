//! A tenant's own holds: placed, released, listed. They stand in the record of switches.

use super::super::answer::stamp;
use super::super::consent::{receipt_text, request_id};
use super::super::control::{fault, page, wire, write_id};
use super::super::region::Kept;
use super::super::{Clock, Engine, Failure, question};
use crate::access::Permit;
use crate::contact::holds::Hold;
use crate::contact::wire::Reader;
use crate::contact::{Contact, RecordClass, RecordDuty};
use crate::law;
use crate::place::Number;
use crate::proto::store::{ControlRecord, StoredRetentionHold, audited_write};
use crate::proto::v1;
use crate::time::Instant;

/// The most holds that hold at once.
const MOST: usize = 1_000;
/// The longest term from a purchase: a century.
const MONTHS: u32 = 1_200;

fn holds(hold: &v1::RetentionHold, now: Instant) -> bool {
    let over = hold.until.as_ref().and_then(|until| until.to_millis()).is_some_and(|until| until <= now.millis());
    hold.released_at.is_none() && !over
}

impl Engine {
    /// Places a hold. Once this has returned, no sweep and no erasure that begins removes what it reaches.
    ///
    /// # Errors
    /// A faulty request; a `request_id` used for something else; store or log unavailable; races outlasted.
    pub async fn place_retention_hold(
        &self,
        permit: &Permit,
        request: v1::PlaceRetentionHoldRequest,
        clock: Clock,
    ) -> Result<v1::PlaceRetentionHoldResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        let number = match request.number.as_str() {
            "" => None,
            text => match question::number(&mut reader, text, "") {
                Ok(number) => Some(number),
                Err(error) => {
                    reader.fault("number", error.to_string());
                    None
                }
            },
        };
        if number.is_some() && self.has_regions() {
            // The switches are in every region, and whose records they are would be told to each.
            let why = "is not told to every region: place a hold in its own record, by PrivacyService.PlaceHold";
            reader.fault("number", why);
        }
        reader.name("seller", &request.seller, |text| Some(text.len()));
        let place = match request.place.as_str() {
            "" => None,
            code => wire::known_place(&mut reader, "place", code),
        };
        let known = |class: &i32| RecordClass::from_number(*class).is_some();
        if !request.record_classes.iter().all(known) {
            reader.fault("record_classes", "holds a value that is not one of RecordClass");
        }
        let until = reader.instant("until", request.until.as_ref());
        if request.months_from_purchase > MONTHS {
            reader.fault("months_from_purchase", "is more than 1,200");
        }
        wire::sentence(&mut reader, "why", &request.why);
        wire::who(&mut reader, &request.who);
        wire::sound(reader)?;
        let asked = audited_write::Request::PlaceRetentionHold(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            if until.is_some_and(|until| until <= now) {
                return Err(fault("until", "is not later than now"));
            }
            let standing = record.holds.iter().filter_map(|kept| kept.hold.as_ref());
            if standing.filter(|hold| holds(hold, now)).count() >= MOST {
                return Err(fault("record_classes", "so many holds stand that no more are taken: place a wider one"));
            }
            let hold = v1::RetentionHold {
                hold_id: receipt_text(receipt),
                number: number.map(|number| number.reveal_e164().as_str().to_owned()).unwrap_or_default(),
                seller: request.seller.clone(),
                place: place.map(|place| place.to_string()).unwrap_or_default(),
                record_classes: request.record_classes.clone(),
                until: request.until,
                months_from_purchase: request.months_from_purchase,
                why: request.why.clone(),
                who: request.who.clone(),
                placed_at: Some(stamp(now)),
                ..v1::RetentionHold::default()
            };
            record.holds.push(StoredRetentionHold {
                hold: Some(hold),
                write: Some(id.stored(receipt, now)),
                release: None,
            });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let hold = of_write(&record, receipt);
        Ok(v1::PlaceRetentionHoldResponse { hold, receipt_id: receipt_text(receipt) })
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// As [`Engine::place_retention_hold`]; the hold is unknown, or was released.
    pub async fn release_retention_hold(
        &self,
        permit: &Permit,
        request: v1::ReleaseRetentionHoldRequest,
        clock: Clock,
    ) -> Result<v1::ReleaseRetentionHoldResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "hold_id", &request.hold_id);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let asked = audited_write::Request::ReleaseRetentionHold(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let named = |kept: &&mut StoredRetentionHold| {
                kept.hold.as_ref().is_some_and(|hold| hold.hold_id == request.hold_id)
            };
            let kept = record.holds.iter_mut().find(named);
            let kept = kept.ok_or(Failure::NotFound("no hold of this hold_id is remembered"))?;
            let Some(hold) = kept.hold.as_mut().filter(|hold| hold.released_at.is_none()) else {
                return Err(Failure::AlreadyExists("this hold was released before"));
            };
            hold.released_at = Some(stamp(now));
            hold.released_by.clone_from(&request.who);
            hold.released_why.clone_from(&request.why);
            kept.release = Some(id.stored(receipt, now));
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let hold = of_write(&record, receipt);
        Ok(v1::ReleaseRetentionHoldResponse { hold, receipt_id: receipt_text(receipt) })
    }

    /// Holds, newest first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_retention_holds(
        &self,
        permit: &Permit,
        request: &v1::ListRetentionHoldsRequest,
        now: Instant,
    ) -> Result<v1::ListRetentionHoldsResponse, Failure> {
        let record = self.switches().await?;
        let all = record.holds.into_iter().rev().filter_map(|kept| kept.hold);
        let wanted = all.filter(|hold| request.history || holds(hold, now)).collect();
        let (holds, next_page_token) =
            page(wanted, request.page_size, &request.page_token, |hold: &v1::RetentionHold| &hold.hold_id)?;
        let asked = audited_write::Request::ListRetentionHolds(request.clone());
        self.note_reading(permit, &self.main, None, asked, now).await?;
        Ok(v1::ListRetentionHoldsResponse { holds, next_page_token })
    }

    /// What the tenant's holds keep of a contact, whoever asks for its erasure.
    ///
    /// # Errors
    /// Store unavailable.
    pub(in crate::engine) async fn held_from_erasure(
        &self,
        kept: &Kept,
        contact: &Contact,
        now: Instant,
    ) -> Result<Vec<Hold>, Failure> {
        let standing = self.standing(kept).await?;
        Ok(law::held_from_erasure(contact, &super::places(contact), &self.law(), standing.holds(), now))
    }

    /// What must be kept of a number, by the law of every place the person may be in and by the tenant's holds; empty where
    /// nothing is stored.
    ///
    /// # Errors
    /// Store unavailable.
    pub async fn record_duties(
        &self,
        permit: &Permit,
        number: Number,
        now: Instant,
    ) -> Result<Vec<RecordDuty>, Failure> {
        let (found, standing) = self.find_with_switches(permit, number, None).await?;
        let Some(loaded) = found.loaded else { return Ok(Vec::new()) };
        let places = super::places(&loaded.contact);
        Ok(law::record_duties(&loaded.contact, &places, &self.law(), standing.holds(), now))
    }
}

fn of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<v1::RetentionHold> {
    let made = |kept: &&StoredRetentionHold| {
        let writes = [&kept.write, &kept.release];
        writes.into_iter().flatten().any(|write| write.receipt_id == receipt)
    };
    record.holds.iter().find(made).and_then(|kept| kept.hold.clone())
}
