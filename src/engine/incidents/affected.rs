//! Whom an incident touches: named, or found in what is stored; and what each is told.

use std::ops::Bound::{Excluded, Unbounded};

use super::super::answer::stamp;
use super::super::consent::{receipt_text, request_id};
use super::super::control::{fault, wire, write_id};
use super::super::retention::{Walk, walk_page};
use super::super::{Clock, Engine, Failure, notices, question};
use super::{NONE, of_id};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::place::{self, Location, LocationPosture, Number, country_group};
use crate::proto::store::{IncidentLot, audited_write};
use crate::proto::v1;
use crate::time::Instant;

/// Why contacts of an incident are not listed where there are regions.
const ONE_STORE: &str = "the contacts of an incident are kept in one store: with regions list them outside";
/// The most numbers of one call.
const NUMBERS: usize = 10_000;
/// Records looked at for one page.
const RECORDS: u32 = 1_000;
/// Notices on a page where the caller does not say.
const PAGE: usize = 100;

fn numbers(reader: &mut Reader, texts: &[String]) -> Vec<u64> {
    if texts.len() > NUMBERS {
        reader.fault("numbers", format!("are {}; at most {NUMBERS} are accepted", texts.len()));
        return Vec::new();
    }
    let mut digits = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match question::number(reader, text, "") {
            Ok(number) => digits.push(number.reveal_digits()),
            Err(error) => reader.fault("numbers", format!("entry {}: {error}", index + 1)),
        }
    }
    digits.sort_unstable();
    digits.dedup();
    digits
}

impl Engine {
    /// Adds contacts that an incident touches.
    ///
    /// # Errors
    /// A faulty request; the incident is unknown; a `request_id` used for something else; store or log unavailable.
    pub async fn add_affected_contacts(
        &self,
        permit: &Permit,
        request: v1::AddAffectedContactsRequest,
        clock: Clock,
    ) -> Result<v1::AddAffectedContactsResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "incident_id", &request.incident_id);
        let named = numbers(&mut reader, &request.numbers);
        let from = reader.instant("from", request.from.as_ref());
        let until = reader.instant("until", request.until.as_ref());
        reader.name("campaign", &request.campaign, |text| Some(text.len()));
        let sought = !request.campaign.is_empty() || from.is_some() || until.is_some() || request.everybody;
        if request.numbers.is_empty() && !sought {
            reader.fault("numbers", "is required, or campaign, from, until or everybody");
        } else if !request.numbers.is_empty() && sought {
            reader.fault("numbers", "goes with none of campaign, from, until and everybody: ask twice");
        }
        wire::sound(reader)?;
        let (digits, seen, next) = if request.numbers.is_empty() {
            let Walk { records, next, seen, .. } = walk_page(self, RECORDS, &request.page_token).await?.whole()?;
            let campaign = Some(request.campaign.as_str()).filter(|name| !name.is_empty());
            let (from, until) = (from.unwrap_or(Instant::NEVER), until.unwrap_or(Instant::FAR));
            let all = records.iter().map(|met| &met.loaded.contact);
            let touched = all.filter(|one| request.everybody || one.is_touched(campaign, from, until));
            let mut digits: Vec<u64> = touched.filter_map(crate::contact::Contact::digits).collect();
            digits.sort_unstable();
            (digits, seen, next)
        } else {
            (named, 0, String::new())
        };
        // The log holds that contacts were added; who they are stands in the lot.
        let asked = v1::AddAffectedContactsRequest { numbers: Vec::new(), ..request.clone() };
        let id = write_id(&request.request_id, &audited_write::Request::AddAffectedContacts(request.clone()))?;
        let added = u32::try_from(digits.len()).unwrap_or(u32::MAX);
        let lot = IncidentLot { numbers: digits, told_at: 0 };
        let asked = audited_write::Request::AddAffectedContacts(asked);
        let (incident, receipt) = self.add_lot(permit, clock, id, asked, &request.incident_id, lot).await?;
        Ok(v1::AddAffectedContactsResponse {
            added,
            records_seen: seen,
            next_page_token: next,
            incident: Some(incident),
            receipt_id: receipt_text(receipt),
        })
    }

    /// Notes that contacts were told.
    ///
    /// # Errors
    /// As [`Engine::add_affected_contacts`]; a number the incident does not touch.
    pub async fn mark_contacts_told(
        &self,
        permit: &Permit,
        request: v1::MarkContactsToldRequest,
        clock: Clock,
    ) -> Result<v1::MarkContactsToldResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "incident_id", &request.incident_id);
        if request.numbers.is_empty() {
            reader.fault("numbers", "is required: who was told");
        }
        let digits = numbers(&mut reader, &request.numbers);
        let told = reader.instant("told_at", request.told_at.as_ref());
        if told.is_some_and(|at| at > clock.now) {
            reader.fault("told_at", "lies in the future");
        }
        wire::sound(reader)?;
        let (own, mut record) = self.control_beside().await?.ok_or(NONE)?;
        let kept = of_id(&mut record, &request.incident_id).ok_or(NONE)?;
        let touched = self.touched(&own, &request.incident_id, &kept.lots).await?;
        if let Some(index) = digits.iter().position(|number| !touched.contains_key(number)) {
            let masked = digits.get(index).and_then(|digits| Number::from_digits(*digits));
            let masked = masked.map(|number| number.to_string()).unwrap_or_default();
            return Err(fault("numbers", &format!("holds {masked}, which this incident does not touch: add it first")));
        }
        let asked = v1::MarkContactsToldRequest { numbers: Vec::new(), ..request.clone() };
        let id = write_id(&request.request_id, &audited_write::Request::MarkContactsTold(request.clone()))?;
        let lot = IncidentLot { numbers: digits, told_at: told.unwrap_or(clock.now).millis() };
        let asked = audited_write::Request::MarkContactsTold(asked);
        let (incident, receipt) = self.add_lot(permit, clock, id, asked, &request.incident_id, lot).await?;
        Ok(v1::MarkContactsToldResponse { incident: Some(incident), receipt_id: receipt_text(receipt) })
    }

    /// The notices to send, by number.
    ///
    /// # Errors
    /// A faulty request; the incident is unknown; store unavailable.
    pub async fn list_notices(
        &self,
        permit: &Permit,
        request: &v1::ListNoticesRequest,
        now: Instant,
    ) -> Result<v1::ListNoticesResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        if request.page_size > 1_000 {
            return Err(fault("page_size", "is more than 1,000"));
        }
        let size = if request.page_size == 0 { PAGE } else { usize::try_from(request.page_size).unwrap_or(PAGE) };
        let (own, mut record) = self.control_beside().await?.ok_or(NONE)?;
        let kept = of_id(&mut record, &request.incident_id).ok_or(NONE)?;
        let incident = kept.incident.clone().unwrap_or_default();
        let touched = self.touched(&own, &request.incident_id, &kept.lots).await?;
        // A token says where without saying who.
        let token = |digits: u64| {
            let number = Number::from_digits(digits)?;
            let tag = self.keys.now().tag(&self.main.tenant, number.reveal_e164().as_str());
            tag.tag().get(..16).map(super::super::policies::hex)
        };
        let after = match request.page_token.as_str() {
            "" => Unbounded,
            known => {
                let last = touched.keys().find(|digits| token(**digits).is_some_and(|token| token == known));
                let unknown = || fault("page_token", "is of no list that is known: begin with the first page");
                Excluded(*last.ok_or_else(unknown)?)
            }
        };
        let wanted = touched.range((after, Unbounded)).filter(|(_, told)| request.history || told.is_none());
        let mut page: Vec<(u64, Option<Instant>)> =
            wanted.take(size + 1).map(|(number, told)| (*number, *told)).collect();
        let more = page.len() > size;
        page.truncate(size);
        let next_page_token = page.last().filter(|_| more).and_then(|(number, _)| token(*number)).unwrap_or_default();
        let mut notices = Vec::with_capacity(page.len());
        for (digits, told) in page {
            let Some(number) = Number::from_digits(digits) else { continue };
            let loaded = self.find(permit, number, None).await?.loaded;
            let minor = loaded.is_some_and(|loaded| notices::may_be_minor(&loaded.contact, now));
            let place = country(number);
            let language = notices::language_of(&place);
            notices.push(v1::IncidentNotice {
                number: number.reveal_e164().as_str().to_owned(),
                language: language.to_owned(),
                to_guardian: minor,
                text: notices::of_incident(&incident, language, minor),
                told_at: told.map(stamp),
                place,
            });
        }
        let asked = audited_write::Request::ListNotices(request.clone());
        self.note_reading(permit, &self.main, None, asked, now).await?;
        Ok(v1::ListNoticesResponse { notices, next_page_token })
    }
}

/// The one country of a number; empty where it may be in several.
fn country(number: Number) -> String {
    let Ok(found) = place::resolve(number, &Location::default(), LocationPosture::Strictest) else {
        return String::new();
    };
    let mut countries: Vec<String> =
        found.plausible.iter().map(|place| country_group(place.jurisdiction).to_string()).collect();
    countries.sort_unstable();
    countries.dedup();
    match countries.as_slice() {
        [one] => one.clone(),
        _ => String::new(),
    }
}
