//! Everything kept about one number, for access and portability, page by page. Each export leaves an entry in the log.

use super::index;
use super::resolve::{close, shown};
use super::{is_closed, read};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{Contact, RightsKind, RightsState, Term as _};
use crate::engine::audited::{Kind, is_decision};
use crate::engine::consent::{Change, Described, Target, already, finish, number, receipt_text, request_id};
use crate::engine::control::{self, fault};
use crate::engine::{Clock, Engine, Failure};
use crate::place::Number;
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::store::Key;
use crate::time::Instant;

/// Decisions on a page where the caller does not say, and the most there are.
const PAGE: u32 = 100;
const MOST_ON_PAGE: u32 = 1_000;

/// The kinds of request that an export answers.
const ANSWERED: [RightsKind; 3] = [RightsKind::Access, RightsKind::Portability, RightsKind::Explanation];

impl Engine {
    /// Returns what is kept about a number. With its last page the request that it answers is closed.
    ///
    /// Decisions come from the log of this instance; rows of files that were filtered leave no entry of their own.
    ///
    /// # Errors
    /// A faulty request; the request that it is to answer is of another number or kind, closed, or waits for identity;
    /// store or log unavailable.
    pub async fn export_contact(
        &self,
        permit: &Permit,
        request: v1::ExportContactRequest,
        clock: Clock,
    ) -> Result<v1::ExportContactResponse, Failure> {
        let mut reader = Reader::new();
        let number = number(&mut reader, &request.number, &request.default_region);
        request_id(&mut reader, &request.request_id);
        let named = match request.rights_request_id.as_str() {
            "" => None,
            id => read::rights_request_id(&mut reader, id),
        };
        if request.page_size > MOST_ON_PAGE {
            reader.fault("page_size", "is more than 1,000");
        }
        let before = match request.page_token.as_str() {
            "" => Some(u64::MAX),
            token => token.parse::<u64>().ok(),
        };
        if before.is_none() {
            reader.fault("page_token", "is of no export that is known: begin with the first page");
        }
        let number = finish(reader, number)?;
        let first = request.page_token.is_empty();
        let key = self.key(permit, number);
        let receipt_id = self.log_export(permit, number, &key, named, &request, clock).await?;
        let size = if request.page_size == 0 { PAGE } else { request.page_size };
        let (decisions, next) = self.decisions_of(&key, before.unwrap_or(u64::MAX), size).await?;
        if let Some(named) = named.filter(|_| next.is_none()) {
            self.close_answered(permit, &key, named, &request.request_id, clock).await?;
        }
        let mut response = v1::ExportContactResponse {
            decisions,
            next_page_token: next.map(|next| next.to_string()).unwrap_or_default(),
            receipt_id,
            ..v1::ExportContactResponse::default()
        };
        if first && let Some(loaded) = self.load(&key).await? {
            response.contact = Some(loaded.contact.message(number, loaded.version.0));
            let digits = Some(number.reveal_digits());
            response.requests = loaded.contact.requests().map(|request| self.whole(request.clone(), digits)).collect();
            response.holds = loaded.contact.hold_messages(clock.now);
        }
        Ok(response)
    }

    /// Leaves the entry of an export, one for all its pages. Its request must be one that an export answers.
    async fn log_export(
        &self,
        permit: &Permit,
        number: Number,
        key: &Key,
        named: Option<uuid::Uuid>,
        request: &v1::ExportContactRequest,
        clock: Clock,
    ) -> Result<String, Failure> {
        let whole = v1::ExportContactRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let asked = audited_write::Request::ExportContact(whole);
        let id = control::write_id(&request.request_id, &asked)?;
        if self.load(key).await?.is_none() {
            if named.is_some() {
                return Err(Failure::NotFound("no request of this rights_request_id is known for this number"));
            }
            return self.log_reading(permit, key, asked, clock).await;
        }
        let described = Described { request: asked, event: None };
        let target = Target { key: *key, number: Some(number) };
        let receipt = self.next_id(clock.now);
        let written = self
            .change_as(permit, target, receipt, clock, described, &mut |contact, receipt| {
                if let Some(stands) = already(contact, Some(id))? {
                    return Ok(stands);
                }
                if let Some(named) = named {
                    answerable(contact, named)?;
                }
                Ok(Change::Changed(contact.note(Some(id), receipt, clock.now)))
            })
            .await?;
        Ok(receipt_text(written.receipt))
    }

    /// Nobody gets a record by asking whether there is one.
    async fn log_reading(
        &self,
        permit: &Permit,
        key: &Key,
        asked: audited_write::Request,
        clock: Clock,
    ) -> Result<String, Failure> {
        let id = self.next_id(clock.now);
        let body = Self::write_body(permit, asked, 0, clock.now);
        let entry = self.day_entry(Kind::Reading, id, clock.now, Some(*key.tag()), &body).await?;
        if let Some(log) = &self.log {
            let _ = log.append(entry, None).await?;
        }
        Ok(receipt_text(id))
    }

    /// Decisions about this contact, newest first, and where to go on.
    async fn decisions_of(
        &self,
        key: &Key,
        before: u64,
        size: u32,
    ) -> Result<(Vec<v1::DecisionRecord>, Option<u64>), Failure> {
        let Some(log) = &self.log else { return Ok((Vec::new(), None)) };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let tag = *key.tag();
        let mut found = log.about(tag, before, size.saturating_add(1), is_decision).await?;
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().map(|last| last.seq).filter(|_| more);
        let mut decisions = Vec::with_capacity(found.len());
        for one in found {
            decisions.extend(self.decision_of(one).await?);
        }
        Ok((decisions, next))
    }

    /// Closes the request that was answered. The same export again finds it closed.
    async fn close_answered(
        &self,
        permit: &Permit,
        key: &Key,
        named: uuid::Uuid,
        request_id: &str,
        clock: Clock,
    ) -> Result<(), Failure> {
        let named = named.hyphenated().to_string();
        let step = v1::ResolveRequestRequest {
            rights_request_id: named.clone(),
            request_id: format!("export {request_id}"),
            step: v1::RightsRequestStep::Complete.into(),
            who: permit.name().to_owned(),
            ..v1::ResolveRequestRequest::default()
        };
        let asked = audited_write::Request::ResolveRequest(step.clone());
        let id = control::write_id(&step.request_id, &asked)?;
        let described = Described { request: asked, event: None };
        let mut closed = None;
        let target = Target { key: *key, number: None };
        let receipt = self.next_id(clock.now);
        self.change_as(permit, target, receipt, clock, described, &mut |contact, receipt| {
            if let Some(stands) = already(contact, Some(id))? {
                return Ok(stands);
            }
            let mut request = answerable(contact, uuid::Uuid::try_parse(&named).unwrap_or_default())?;
            close(&mut request, RightsState::Done, clock.now);
            closed = Some(request.clone());
            changed(contact, request, id, receipt, clock.now)
        })
        .await?;
        match closed {
            Some(closed) => self.index_put(permit, index::entry(&closed, *key.tag(), clock.now), clock).await,
            None => Ok(()),
        }
    }
}

fn changed(
    contact: &mut Contact,
    request: v1::RightsRequest,
    id: crate::contact::WriteId,
    receipt: [u8; 16],
    now: Instant,
) -> Result<Change, Failure> {
    let at = contact.change_request(request, Some(id), receipt, now);
    at.map(Change::Changed).ok_or_else(|| Failure::Internal("a request that was found is not there".to_owned()))
}

/// The request, if an export may answer it.
fn answerable(contact: &Contact, named: uuid::Uuid) -> Result<v1::RightsRequest, Failure> {
    const NONE: Failure = Failure::NotFound("no request of this rights_request_id is known for this number");
    let request = contact.request(&named.hyphenated().to_string()).cloned().ok_or(NONE)?;
    if !RightsKind::from_number(request.kind).is_some_and(|kind| ANSWERED.contains(&kind)) {
        return Err(fault("rights_request_id", "is of a request that no export answers"));
    }
    if is_closed(&request) {
        return Err(fault("rights_request_id", "is of a request that is closed"));
    }
    shown(&request, "rights_request_id")?;
    Ok(request)
}
