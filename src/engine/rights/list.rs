//! Requests as they are listed, and what presses.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::index::{self, tag_of};
use super::{is_closed, read};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{Contact, RightsState, Term as _};
use crate::engine::control::fault;
use crate::engine::find::Record;
use crate::engine::region::Kept;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::store::{IndexedRequest, audited_write};
use crate::proto::v1;
use crate::time::{Instant, Millis};

/// Requests on a page where the caller does not say, and the most there are.
const PAGE: usize = 100;
const MOST_ON_PAGE: u32 = 1_000;
/// How long before it is due a request presses.
const SOON: Millis = Millis::days(7);
/// After this long, an entry without its request is what a crash left between the two.
const ORPHAN: Millis = Millis::hours(1);

/// How many requests that are not closed press.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pressing {
    /// Late already.
    pub overdue: u32,
    /// Due within seven days.
    pub due_soon: u32,
    /// Due later, or without a clock.
    pub later: u32,
}

impl Pressing {
    fn of<'a>(all: impl IntoIterator<Item = &'a IndexedRequest>, now: Instant) -> Self {
        let mut pressing = Self::default();
        for entry in all.into_iter().filter(|entry| !closed(entry)) {
            let slot = match entry.due_at {
                due if due != 0 && due <= now.millis() => &mut pressing.overdue,
                due if due != 0 && due <= now.plus(SOON).millis() => &mut pressing.due_soon,
                _ => &mut pressing.later,
            };
            *slot = slot.saturating_add(1);
        }
        pressing
    }
}

fn closed(entry: &IndexedRequest) -> bool {
    RightsState::from_number(entry.state).is_some_and(RightsState::is_closed)
}

/// The order of the list: due first, first; those without a clock last.
fn order(entry: &IndexedRequest) -> (i64, &[u8]) {
    (if entry.due_at == 0 { i64::MAX } else { entry.due_at }, &entry.rights_request_id)
}

fn token(entry: &IndexedRequest) -> String {
    let (due, id) = order(entry);
    format!("{due:016x}{}", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

impl Engine {
    /// Requests, the one due first, first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_requests(
        &self,
        permit: &Permit,
        request: &v1::ListRequestsRequest,
        clock: Clock,
    ) -> Result<v1::ListRequestsResponse, Failure> {
        self.is_of(permit)?;
        let mut reader = Reader::new();
        let state = read::known::<RightsState>(&mut reader, "state", request.state);
        let due_before = reader.instant("due_before", request.due_before.as_ref());
        let violations = reader.violations();
        if !violations.is_empty() {
            return Err(Failure::Invalid(violations));
        }
        if request.page_size > MOST_ON_PAGE {
            return Err(fault("page_size", "is more than 1,000"));
        }
        if !request.page_token.is_empty() && !is_token(&request.page_token) {
            return Err(fault("page_token", "is of no list that is known: begin with the first page"));
        }
        let size = if request.page_size == 0 { PAGE } else { usize::try_from(request.page_size).unwrap_or(PAGE) };
        let mut all = self.indexed_all().await?;
        all.sort_by(|(_, one), (_, other)| order(one).cmp(&order(other)));
        let pressing = Pressing::of(all.iter().map(|(_, entry)| entry), clock.now);
        let wanted = |(_, entry): &&(&Kept, IndexedRequest)| {
            state.is_none_or(|state| i32::from(state.number()) == entry.state)
                && due_before.is_none_or(|before| entry.due_at != 0 && entry.due_at < before.millis())
                && (request.page_token.is_empty() || token(entry) > request.page_token)
        };
        let mut rest = all.iter().filter(wanted);
        let page: Vec<&(&Kept, IndexedRequest)> = rest.by_ref().take(size).collect();
        let next_page_token = match (rest.next(), page.last()) {
            (Some(_), Some((_, last))) => token(last),
            _ => String::new(),
        };
        let requests = self.of_records(permit, &page, clock).await?;
        let (overdue, due_soon) = (pressing.overdue, pressing.due_soon);
        Ok(v1::ListRequestsResponse { requests, next_page_token, overdue, due_soon })
    }

    /// The requests of these entries as their records have them; what the index says otherwise is put right.
    async fn of_records<'a>(
        &'a self,
        permit: &Permit,
        page: &[&(&'a Kept, IndexedRequest)],
        clock: Clock,
    ) -> Result<Vec<v1::RightsRequest>, Failure> {
        let opened = self.contacts_of(page).await?;
        let mut listed = Vec::with_capacity(page.len());
        for (listed_in, entry) in page {
            let tag = tag_of(entry)?;
            let id = uuid::Uuid::from_slice(&entry.rights_request_id).unwrap_or_default().hyphenated().to_string();
            let found = opened.get(&tag).and_then(|(kept, contact)| Some((*kept, contact.request(&id)?)));
            let (kept, right) = match found {
                Some((kept, request)) => {
                    listed.push(in_list(request.clone()));
                    (kept, index::entry(request, tag, clock.now))
                }
                None if entry.written_at > clock.now.minus(ORPHAN).millis() => continue,
                None => (*listed_in, index::none(entry)),
            };
            if !index::agree(entry, &right) || !std::ptr::eq(kept, *listed_in) {
                self.index_move(permit, (*listed_in, kept), right, clock).await?;
            }
        }
        Ok(listed)
    }

    /// The records of these entries, by tag, each with the region that has it now.
    async fn contacts_of<'a>(
        &'a self,
        page: &[&(&'a Kept, IndexedRequest)],
    ) -> Result<HashMap<[u8; 32], (&'a Kept, Contact)>, Failure> {
        let mut opened = HashMap::new();
        if !self.regions.is_empty() {
            for (listed_in, entry) in page {
                let tag = tag_of(entry)?;
                if let Entry::Vacant(place) = opened.entry(tag) {
                    let found = self.find_tagged(listed_in, tag, None).await?;
                    if let Some(loaded) = found.loaded {
                        place.insert((found.kept, loaded.contact));
                    }
                }
            }
            return Ok(opened);
        }
        let kept = &self.main;
        let tags = page.iter().map(|(_, entry)| tag_of(entry)).collect::<Result<Vec<_>, _>>()?;
        let ring = self.keys.now();
        let keys: Vec<_> = tags.iter().map(|tag| ring.key_of(&kept.tenant, *tag)).collect();
        for ((key, tag), stored) in keys.iter().zip(tags).zip(kept.store.load_many(&keys).await?) {
            if let (Some(stored), Entry::Vacant(place)) = (stored, opened.entry(tag)) {
                match self.open(key, &stored).await? {
                    Record::Here(loaded) => {
                        place.insert((kept, loaded.contact));
                    }
                    Record::Elsewhere(_, to) | Record::Arriving(_, to) => {
                        self.kept(&to.region)?;
                    }
                }
            }
        }
        Ok(opened)
    }

    /// One request with its number and what may be written to the person.
    ///
    /// # Errors
    /// A faulty request, no such request, store unavailable.
    pub async fn get_request(
        &self,
        permit: &Permit,
        request: &v1::GetRequestRequest,
        now: Instant,
    ) -> Result<v1::RightsRequest, Failure> {
        const NONE: Failure = Failure::NotFound("no request of this rights_request_id is known");
        self.is_of(permit)?;
        let mut reader = Reader::new();
        let id = read::rights_request_id(&mut reader, &request.rights_request_id);
        let violations = reader.violations();
        let Some(id) = id else { return Err(Failure::Invalid(violations)) };
        let (kept, entry) = self.indexed(id).await?.ok_or(NONE)?;
        let found = self.find_tagged(kept, tag_of(&entry)?, None).await?;
        let asked = audited_write::Request::GetRequest(request.clone());
        self.note_reading(permit, found.kept, Some(tag_of(&entry)?), asked, now).await?;
        let loaded = found.loaded.ok_or(NONE)?;
        let found = loaded.contact.request(&id.hyphenated().to_string()).cloned().ok_or(NONE)?;
        Ok(self.whole(found, loaded.contact.digits()))
    }

    /// How many requests press; also told to the metrics.
    ///
    /// # Errors
    /// Store unavailable.
    pub async fn pressing(&self, now: Instant) -> Result<Pressing, Failure> {
        let all = self.indexed_all().await?;
        let pressing = Pressing::of(all.iter().map(|(_, entry)| entry), now);
        self.meter.requests_open([
            ("overdue", pressing.overdue),
            ("due_soon", pressing.due_soon),
            ("later", pressing.later),
        ]);
        Ok(pressing)
    }
}

fn is_token(token: &str) -> bool {
    token.len() == 48 && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Without what only whoever asks for the one request is shown.
fn in_list(mut request: v1::RightsRequest) -> v1::RightsRequest {
    debug_assert!(request.number.is_empty() && request.reply.is_empty());
    request.details.clear();
    request.note.clear();
    request.who.clear();
    request.identity_verified_by.clear();
    if is_closed(&request) {
        request.clocks.clear();
    }
    request
}
