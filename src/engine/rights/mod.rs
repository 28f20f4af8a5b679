//! The rights of the person behind a number: requests and their clocks, export, erasure, restriction, objection, holds.
//!
//! Promises: what only tightens (an objection, a refusal of sharing, a restriction) holds for every check as soon as the
//! request is answered, without proof of identity; what reveals or changes data waits for it. A request stands in the
//! record of its contact, so that it changes in one atomic step with what it brings about; where to find it is written
//! before ([`index`]), so that none is ever missing from the list. Guarded by `tests/rights.rs`.

mod erase;
mod export;
mod holds;
mod index;
mod lifted;
mod list;
mod put_off;
mod read;
mod replaced;
mod reply;
mod resolve;

pub(super) use index::{KEPT as REQUESTS_KEPT, SHARES as INDEX_SHARES, key_for as index_key, tag_in};
pub use list::Pressing;

use super::answer::stamp;
use super::consent::{Change, Described, Target, already, receipt_text};
use super::{Clock, Engine, Failure, control};
use crate::access::Permit;
use crate::contact::{Contact, Requester, RightsKind, RightsState, Term, WriteId};
use crate::law::rights::{Asked, Rights};
use crate::place::{self, Jurisdiction, Location, LocationPosture, Number};
use crate::proto::store::{ContactEvent, audited_write};
use crate::proto::v1;
use crate::time::Instant;

/// What the tenant says of itself to those who ask.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The person or team in charge of personal data.
    pub officer: String,
    /// How they are reached.
    pub contact: String,
    /// Within how many days every request is answered, whatever the law allows; `None`: as the law says.
    pub days: Option<u16>,
}

/// The name of the state, as a number of the contract.
fn state_of(request: &v1::RightsRequest) -> Option<RightsState> {
    RightsState::from_number(request.state)
}

fn is_closed(request: &v1::RightsRequest) -> bool {
    state_of(request).is_some_and(RightsState::is_closed)
}

fn millis(stamp: Option<&crate::proto::well_known::Timestamp>) -> i64 {
    stamp.and_then(|stamp| stamp.to_millis()).unwrap_or(0)
}

/// What an objection to direct marketing reaches: the packs of Europe count political and charitable contacts among it.
fn marketing() -> v1::OptOutScope {
    let purposes = [v1::Purpose::Marketing, v1::Purpose::Political, v1::Purpose::Charity];
    v1::OptOutScope { purposes: purposes.into_iter().map(Into::into).collect(), ..v1::OptOutScope::default() }
}

/// Everything of everybody: what a restriction means to those who follow opt-outs.
fn everything() -> v1::OptOutScope {
    v1::OptOutScope { everything: true, ..v1::OptOutScope::default() }
}

impl Engine {
    /// Opens a request. What it tightens holds for every check sent after this has returned (I1).
    ///
    /// # Errors
    /// A faulty request, a `request_id` used for something else, store or log unavailable, races outlasted.
    pub async fn open_request(
        &self,
        permit: &Permit,
        request: v1::OpenRequestRequest,
        clock: Clock,
    ) -> Result<v1::OpenRequestResponse, Failure> {
        let opening = read::opening(&request, clock.now)?;
        let asked = audited_write::Request::OpenRequest(request.clone());
        let id = control::write_id(&request.request_id, &asked)?;
        let found = self.find(permit, opening.number, Some(clock.now)).await?;
        let (kept, key) = (found.kept, found.key);
        let receipt = kept.next_id(clock.now);
        let before = found.loaded.as_ref().map(|loaded| &loaded.contact);
        let known = before.is_some_and(|contact| contact.seen(Some(id)).is_some());
        let mut noted = None;
        if !known {
            let empty = Contact::new(opening.number, clock.now);
            let draft = self.draft(&opening, before.unwrap_or(&empty), receipt, clock.now)?;
            let entry = index::entry(&draft, *key.tag(), clock.now);
            self.index_put(permit, kept, entry.clone(), clock).await?;
            noted = Some(entry);
        }
        let event = opening.closes().map(|scope| ContactEvent {
            format: 1,
            recorded_at: clock.now.millis(),
            kind: v1::OptOutEventKind::Closed.into(),
            number: opening.number.reveal_digits(),
            opt_out: Some(v1::OptOut {
                scope: Some(scope),
                source: v1::OptOutSource::RightsRequest.into(),
                at: Some(stamp(opening.received_at)),
                ..v1::OptOut::default()
            }),
            ..ContactEvent::default()
        });
        let described = Described { request: asked, event };
        let mut answer = None;
        let target = Target { tag: *key.tag(), number: Some(opening.number), found };
        let written = self
            .change_as(permit, target, Some(receipt), clock, described, &mut |contact, receipt| {
                if let Some(stands) = already(contact, Some(id))? {
                    if let Change::Stands { receipt, .. } = &stands {
                        answer = contact.request_of(*receipt).cloned();
                    }
                    return Ok(stands);
                }
                let draft = self.draft(&opening, contact, receipt, clock.now)?;
                answer = Some(draft.clone());
                contact.name(opening.number);
                Ok(Change::Changed(opening.apply(contact, draft, id, receipt, clock.now)))
            })
            .await?;
        let request = answer.ok_or_else(|| Failure::Internal("a request that was written is not there".to_owned()))?;
        let entry = index::entry(&request, *key.tag(), clock.now);
        match noted {
            // The same request, asked at the same time, was opened under another id.
            Some(noted) if noted.rights_request_id != entry.rights_request_id => {
                self.index_put(permit, kept, index::none(&noted), clock).await?;
            }
            // Another write came between, and with it perhaps another residence and clock.
            Some(noted) if !index::agree(&noted, &entry) => self.index_put(permit, kept, entry, clock).await?,
            _ => {}
        }
        let request = self.whole(request, Some(opening.number.reveal_digits()));
        Ok(v1::OpenRequestResponse { request: Some(request), receipt_id: receipt_text(written.receipt) })
    }

    /// The request as it would be recorded now.
    fn draft(
        &self,
        opening: &read::Opening<'_>,
        contact: &Contact,
        receipt: [u8; 16],
        now: Instant,
    ) -> Result<v1::RightsRequest, Failure> {
        let asked = opening.asked;
        let identity_needed = opening.kind.needs_identity(opening.requester);
        let verified = opening.identity_at;
        let state = if identity_needed && verified.is_none() {
            RightsState::AwaitingIdentity
        } else if opening.kind.is_done_at_once() && asked.details.is_empty() {
            RightsState::Done
        } else {
            RightsState::Open
        };
        let mut request = v1::RightsRequest {
            rights_request_id: receipt_text(receipt),
            kind: opening.kind.number().into(),
            requester: opening.requester.number().into(),
            state: state.number().into(),
            received_at: Some(stamp(opening.received_at)),
            identity_verified_at: verified.map(stamp),
            identity_verified_by: asked.identity_verified_by.clone(),
            identity_needed,
            closed_at: state.is_closed().then(|| stamp(now)),
            details: asked.details.clone(),
            jurisdictions: places(opening.number, contact).iter().map(ToString::to_string).collect(),
            ..v1::RightsRequest::default()
        };
        self.wind(&mut request)?;
        Ok(request)
    }

    /// Works out the clocks of a request from what it says of itself.
    fn wind(&self, request: &mut v1::RightsRequest) -> Result<(), Failure> {
        let rights = Rights::built_in().map_err(|why| Failure::Internal(why.to_owned()))?;
        let law = self.law();
        let places: Vec<Jurisdiction> = request.jurisdictions.iter().filter_map(|code| code.parse().ok()).collect();
        let clocks = rights.clocks(&law, &places, &asked(request, self.settings.rights.days));
        let first = clocks.first();
        request.due_at = first.map(|clock| stamp(clock.due_at));
        request.rule_id = first.map(|clock| clock.rule_id.to_string()).unwrap_or_default();
        request.clocks = clocks.iter().map(read::clock_message).collect();
        Ok(())
    }

    /// A request with what is worked out when it is read: number, route of complaint, and the words for the person.
    fn whole(&self, mut request: v1::RightsRequest, digits: Option<u64>) -> v1::RightsRequest {
        let places: Vec<Jurisdiction> = request.jurisdictions.iter().filter_map(|code| code.parse().ok()).collect();
        if let Ok(rights) = Rights::built_in() {
            request.complaint_route = rights.complaint_route(&self.law(), &places);
        }
        request.number = digits.map(|digits| format!("+{digits}")).unwrap_or_default();
        request.reply = reply::text(&request, &self.settings.rights);
        request
    }
}

/// What a request asks of the clocks.
fn asked(request: &v1::RightsRequest, own_days: Option<u16>) -> Asked {
    let at = |stamp: Option<&crate::proto::well_known::Timestamp>| {
        stamp.and_then(|stamp| stamp.to_millis()).map(Instant::from_millis)
    };
    Asked {
        kind: RightsKind::from_number(request.kind).unwrap_or(RightsKind::Complaint),
        received: at(request.received_at.as_ref()).unwrap_or(Instant::NEVER),
        identity: at(request.identity_verified_at.as_ref()),
        extended: request.extended_at.is_some(),
        own_days,
    }
}

/// Every place whose law may bind: of the number, and of the residence that is recorded.
fn places(number: Number, contact: &Contact) -> Vec<Jurisdiction> {
    let residences = contact.facts(None).residences.into_iter().collect();
    let location = Location { residences, ..Location::default() };
    let resolved = place::resolve(number, &location, LocationPosture::Strictest);
    resolved.map(|found| found.plausible.iter().map(|place| place.jurisdiction).collect()).unwrap_or_default()
}

impl read::Opening<'_> {
    /// What the request closes for followers of opt-outs.
    fn closes(&self) -> Option<v1::OptOutScope> {
        match self.kind {
            RightsKind::Objection => Some(self.asked.scope.clone().unwrap_or_else(marketing)),
            RightsKind::Restriction => Some(everything()),
            _ => None,
        }
    }

    /// Records the request with what it brings about at once.
    fn apply(
        &self,
        contact: &mut Contact,
        draft: v1::RightsRequest,
        id: WriteId,
        receipt: [u8; 16],
        now: Instant,
    ) -> Instant {
        match self.kind {
            RightsKind::Objection => {
                let opt_out = v1::RecordOptOutRequest {
                    scope: self.closes(),
                    at: Some(stamp(self.received_at)),
                    source: v1::OptOutSource::RightsRequest.into(),
                    wording: self.asked.details.clone(),
                    ..v1::RecordOptOutRequest::default()
                };
                contact.add_opt_out(&opt_out, None, receipt, now);
            }
            RightsKind::Restriction => contact.restrict(now),
            RightsKind::NoSharing => contact.refuse_sharing(),
            _ => {}
        }
        contact.add_request(draft, Some(id), receipt, now)
    }
}

/// Who may ask for whom: a person for himself, where nobody is named.
fn requester(number: i32) -> Requester {
    Requester::from_number(number).unwrap_or(Requester::Person)
}
