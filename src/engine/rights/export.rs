//! Everything kept about one number, for access and portability, page by page. Each export leaves an entry in the log.

use super::index;
use super::resolve::{close, shown};
use super::{is_closed, read};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{Contact, RightsKind, RightsState, Term as _};
use crate::engine::audited::{DECISIONS, Kind};
use crate::engine::consent::{Change, Described, Target, already, finish, number, receipt_text, request_id};
use crate::engine::control::{self, fault};
use crate::engine::find::Found;
use crate::engine::region::Kept;
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

/// The decisions that an export is of.
#[derive(Default)]
struct Covered {
    from: Option<Instant>,
    until: Option<Instant>,
    decisions_only: bool,
}

impl Covered {
    fn read(reader: &mut Reader, disclosure: &v1::Disclosure) -> Self {
        let v1::Disclosure { authority, paper, covers, from, until, decisions_only } = disclosure;
        for (field, text) in [("authority", authority), ("paper", paper), ("covers", covers)] {
            if reader.text(field, text).is_none_or(|text| text.trim().is_empty()) {
                reader.fault(field, "is missing: data go to an authority against a legal paper alone");
            }
        }
        let (from, until) = (reader.instant("from", from.as_ref()), reader.instant("until", until.as_ref()));
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            reader.fault("until", "lies before from");
        }
        Self { from, until, decisions_only: *decisions_only }
    }

    fn has(&self, at: Instant) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

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
        let covered = match &request.disclosure {
            None => Covered::default(),
            Some(disclosure) => {
                if named.is_some() {
                    reader.fault("disclosure", "is for an authority: an export that answers the person names no paper");
                }
                reader.within("disclosure", |reader| Covered::read(reader, disclosure))
            }
        };
        let place = self.export_place(&request.page_token);
        if place.is_none() {
            reader.fault("page_token", "is of no export that is known: begin with the first page");
        }
        let number = finish(reader, number)?;
        let first = request.page_token.is_empty();
        let found = self.find(permit, number, Some(clock.now)).await?;
        let (kept, tag) = (found.kept, *found.key.tag());
        let receipt_id = self.log_export(permit, number, found, named, &request, clock).await?;
        let size = if request.page_size == 0 { PAGE } else { request.page_size };
        let (decisions, next) = self.decisions_of(tag, place.unwrap_or((0, u64::MAX)), size, &covered).await?;
        if let Some(named) = named.filter(|_| next.is_none()) {
            self.close_answered(permit, (kept, tag), named, &request.request_id, clock).await?;
        }
        let mut response = v1::ExportContactResponse {
            decisions,
            next_page_token: next.unwrap_or_default(),
            receipt_id,
            ..v1::ExportContactResponse::default()
        };
        if first
            && !covered.decisions_only
            && let Some(loaded) = self.find(permit, number, None).await?.loaded
        {
            let mut contact = loaded.contact.message(number, loaded.version.0);
            self.marks().await?.put(&mut contact);
            response.contact = Some(contact);
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
        found: Found<'_>,
        named: Option<uuid::Uuid>,
        request: &v1::ExportContactRequest,
        clock: Clock,
    ) -> Result<String, Failure> {
        let whole = v1::ExportContactRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let asked = audited_write::Request::ExportContact(whole);
        let id = control::write_id(&request.request_id, &asked)?;
        let (kept, key) = (found.kept, found.key);
        if found.loaded.is_none() {
            if named.is_some() {
                return Err(Failure::NotFound("no request of this rights_request_id is known for this number"));
            }
            return self.log_reading(permit, kept, &key, asked, clock).await;
        }
        let described = Described { request: asked, event: None };
        let target = Target { tag: *key.tag(), number: Some(number), found };
        let written = self
            .change_as(permit, target, None, clock, described, &mut |contact, receipt| {
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
        kept: &Kept,
        key: &Key,
        asked: audited_write::Request,
        clock: Clock,
    ) -> Result<String, Failure> {
        self.is_of(permit)?;
        let id = kept.next_id(clock.now);
        let body = Self::write_body(permit, asked, 0, clock.now);
        let entry = self.day_entry(kept, Kind::Reading, id, clock.now, Some(*key.tag()), &body).await?;
        if let Some(log) = &kept.log {
            let _ = log.append(entry, None).await?;
        }
        Ok(receipt_text(id))
    }

    /// The log and the place in it that a token names: with regions, each has one.
    fn export_place(&self, token: &str) -> Option<(usize, u64)> {
        if token.is_empty() {
            return Some((0, u64::MAX));
        }
        let Some((name, seq)) = token.rsplit_once('.') else {
            return token.parse().ok().filter(|_| !self.has_regions()).map(|seq| (0, seq));
        };
        let at = self.regions().position(|region| *region.name == *name)?;
        Some((at, seq.parse().ok()?))
    }

    /// Decisions about this contact, newest first within each region's log, and where to go on. A contact that moved has
    /// some in every region where it was.
    async fn decisions_of(
        &self,
        tag: [u8; 32],
        (at, before): (usize, u64),
        size: u32,
        covered: &Covered,
    ) -> Result<(Vec<v1::DecisionRecord>, Option<String>), Failure> {
        let mut left = usize::try_from(size).unwrap_or(usize::MAX);
        let (mut before, mut decisions) = (before, Vec::new());
        let token = |kept: &Kept, seq: u64| match self.has_regions() {
            true => format!("{}.{seq}", kept.name),
            false => seq.to_string(),
        };
        for kept in self.all_kept().into_iter().skip(at) {
            let kept = kept?;
            let Some(log) = &kept.log else { continue };
            let mut found = log.about(tag, before, left.saturating_add(1), &DECISIONS).await?;
            let more = found.len() > left;
            found.truncate(left);
            left -= found.len();
            let next = found.last().map_or(before, |last| last.seq);
            for one in found.into_iter().filter(|one| covered.has(one.entry.at)) {
                decisions.extend(self.decision_of(kept, one).await?);
            }
            if more {
                return Ok((decisions, Some(token(kept, next))));
            }
            before = u64::MAX;
        }
        Ok((decisions, None))
    }

    /// Closes the request that was answered. The same export again finds it closed.
    async fn close_answered(
        &self,
        permit: &Permit,
        (kept, tag): (&Kept, [u8; 32]),
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
        let found = self.find_tagged(kept, tag, Some((permit, clock.now))).await?;
        let kept = found.kept;
        let target = Target { tag, number: None, found };
        self.change_as(permit, target, None, clock, described, &mut |contact, receipt| {
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
            Some(closed) => self.index_put(permit, kept, index::entry(&closed, tag, clock.now), clock).await,
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
