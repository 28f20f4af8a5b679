//! Erasure: the contact's own key is destroyed, and with it all that it sealed: record, events, entries of the log.
//!
//! Promises: what suppresses further contact stays, under the keyed tag alone, and checks go on denying; what a hold keeps
//! stays, and is used for nothing; the swap that puts the bare record in the place of the other is the erasure, so that
//! a crash leaves the one or the other. The entry about it is sealed under a key of the day and names nobody.

use super::resolve::{close, shown};
use super::{everything, index, is_closed, marketing, read};
use crate::access::Permit;
use crate::contact::holds::{self, Hold, Reach};
use crate::contact::wire::Reader;
use crate::contact::{Contact, ErasureReason, Left, Move, RightsKind, RightsState, Seen, Stored, Term as _, WriteId};
use crate::engine::answer::stamp;
use crate::engine::audited::{About, Kind};
use crate::engine::consent::{finish, number, receipt_text, request_id};
use crate::engine::control::{self, fault};
use crate::engine::find::{Record, Won};
use crate::engine::region::Kept;
use crate::engine::{Clock, Engine, Failure, Loaded};
use crate::place::Number;
use crate::proto::store::{AuditedMove, ContactEvent, audited_write};
use crate::proto::v1;
use crate::store::{DataKey, Key, Purpose, Swapped, Version, Versioned, Write};
use crate::time::Instant;

use prost::Message as _;

/// An erasure on its way: what does not change from one race to the next.
struct Erasing<'a> {
    permit: &'a Permit,
    request: &'a v1::EraseContactRequest,
    number: Number,
    kept: &'a Kept,
    key: Key,
    named: Option<uuid::Uuid>,
    id: WriteId,
    receipt: [u8; 16],
}

/// What one round came to.
enum Round {
    Done(Box<v1::EraseContactResponse>, Option<Box<v1::RightsRequest>>),
    Lost(Option<Box<Loaded>>),
}

impl Engine {
    /// Erases a contact, as far as no hold forbids it. Where one forbids it altogether, the data are restricted and
    /// marketing is stopped instead (PIPL art. 47; GDPR art. 17(3)): ask again once the hold is over.
    ///
    /// # Errors
    /// A faulty request; the request that it is to answer is of another number or kind, closed, or waits for identity; a
    /// `request_id` used for something else; store or log unavailable; races outlasted.
    pub async fn erase_contact(
        &self,
        permit: &Permit,
        request: v1::EraseContactRequest,
        clock: Clock,
    ) -> Result<v1::EraseContactResponse, Failure> {
        let (number, named) = read_erasure(&request)?;
        let asked = audited_write::Request::EraseContact(request.clone());
        let id = control::write_id(&request.request_id, &asked)?;
        let found = self.find(permit, number, Some(clock.now)).await?;
        let erasing = Erasing {
            permit,
            request: &request,
            number,
            kept: found.kept,
            key: found.key,
            named,
            id,
            receipt: found.kept.next_id(clock.now),
        };
        // A copy may be in any region: one that cannot be asked keeps the contact from being erased half.
        self.copies_of(&erasing).await?;
        let mut loaded = found.loaded;
        erasing.kept.log_ready()?;
        let mut lost = false;
        loop {
            if clock.passed() {
                return Err(if lost { Failure::Aborted } else { Failure::TooLate });
            }
            match self.erase_once(&erasing, loaded, clock).await? {
                Round::Done(answer, request) => {
                    self.destroy_copies(&erasing, clock.now).await?;
                    if let Some(request) = request {
                        let entry = index::entry(&request, *erasing.key.tag(), clock.now);
                        self.index_put(permit, erasing.kept, entry, clock).await?;
                    }
                    return Ok(*answer);
                }
                Round::Lost(winner) => {
                    self.metrics.lost_race();
                    lost = true;
                    loaded = winner.map(|winner| *winner);
                }
            }
        }
    }

    async fn erase_once(&self, erasing: &Erasing<'_>, loaded: Option<Loaded>, clock: Clock) -> Result<Round, Failure> {
        let Erasing { request, kept: at, key, number, .. } = *erasing;
        let (expected, before, own) = match loaded {
            Some(Loaded { version, contact, own, .. }) => (version, contact, Some(own)),
            None => (Version::ABSENT, Contact::new(number, clock.now), None),
        };
        match before.seen(Some(erasing.id)) {
            Some(Seen::Other) => return Err(Failure::AlreadyExists("this request_id was used for another request")),
            Some(Seen::Same { receipt, recorded_at }) => {
                // Whoever wrote it may never have been told that it is safe.
                at.confirm(&key).await?;
                return Ok(Round::Done(Box::new(erasing.again(&before, receipt, recorded_at, clock.now)), None));
            }
            None => {}
        }
        let answers = erasing.named.map(|named| erasable(&before, named)).transpose()?;
        let others = self.held_from_erasure(at, &before, clock.now).await?;
        let kept = holds::kept(&[before.holds(clock.now), others.clone()].concat(), clock.now);
        let forbidden = kept.contains(&Reach::Everything);
        if request.dry_run {
            let (.., left) = before.erased(marketing(), &kept, None, [0; 16], clock.now);
            let left = if forbidden { before.left() } else { left };
            return Ok(Round::Done(Box::new(erasing.answer(&before, &others, (None, None), left, clock.now)), None));
        }
        if forbidden {
            let own = own.map_or_else(DataKey::random, Ok)?;
            return self.put_off(erasing, (before, &others), expected, own, clock).await;
        }
        let (mut after, at, left) = before.erased(marketing(), &kept, Some(erasing.id), erasing.receipt, clock.now);
        let closed = answers.map(|mut request| {
            close(&mut request, RightsState::Done, at);
            request.details.clear();
            request.identity_verified_by.clear();
            request.note.clear();
            request.who.clear();
            request
        });
        if let Some(closed) = &closed {
            let bare = after.change_request(closed.clone(), None, erasing.receipt, at);
            debug_assert!(bare.is_some(), "the request stands in the record");
        }
        let answer = erasing.answer(&before, &others, (Some(erasing.receipt), Some(at)), left, clock.now);
        // A new key: the old one is in no record any more.
        match self.swap_erased(erasing, &after, expected, DataKey::random()?, clock).await? {
            None => Ok(Round::Done(Box::new(answer), closed.map(Box::new))),
            Some(winner) => Ok(Round::Lost(winner)),
        }
    }

    /// Puts the bare record in the place of the other: `None` when it won, else the record that did.
    async fn swap_erased(
        &self,
        erasing: &Erasing<'_>,
        after: &Contact,
        expected: Version,
        own: DataKey,
        clock: Clock,
    ) -> Result<Option<Option<Box<Loaded>>>, Failure> {
        let Erasing { permit, request, kept, key, number, receipt, .. } = *erasing;
        // Whoever copied the number must be told to forget it; so the event names it, under the key of the day.
        let nameless = v1::EraseContactRequest {
            number: String::new(),
            default_region: String::new(),
            identity_verified_by: String::new(),
            ..request.clone()
        };
        let asked = audited_write::Request::EraseContact(nameless);
        let body = Self::write_body(permit, asked, expected.next().0, clock.now);
        let entry = self.day_entry(kept, Kind::Write, receipt, clock.now, Some(*key.tag()), &body).await?;
        let event = ContactEvent {
            format: 1,
            entry_id: receipt.to_vec(),
            entry_digest: entry.digest().to_vec(),
            recorded_at: clock.now.millis(),
            kind: v1::OptOutEventKind::Erased.into(),
            number: number.reveal_digits(),
            ..ContactEvent::default()
        };
        let plain = event.encode_to_vec();
        let payload = self.under_day_key(kept, clock.now, Purpose::Payload, &key.to_bytes(), &plain).await?;
        let kind = u8::try_from(event.kind).unwrap_or(0);
        let keys = self.keys.now();
        let bytes = keys.seal_record(&key, &own, &after.to_bytes())?;
        let event = entry.event(kind, clock.now, payload);
        // Said before: a crash after the swap must not leave the old bytes behind unnoticed.
        self.drop_later(kept).await?;
        match self.swap(kept, Write { key, expected, bytes, expires: None, event }).await? {
            Swapped::Won { event, .. } => {
                self.hub.nudge();
                kept.log_swapped(entry, event).await?;
                Ok(None)
            }
            Swapped::Lost(winner) => Ok(Some(self.still_here(&key, winner).await?)),
        }
    }

    /// What won a race against an erasure. Where the contact moved meanwhile, whoever asked must ask again.
    async fn still_here(&self, key: &Key, winner: Option<Versioned>) -> Result<Option<Box<Loaded>>, Failure> {
        match self.winner(key, winner).await? {
            Won::Here(winner) => Ok(winner.map(Box::new)),
            Won::Elsewhere => Err(Failure::Aborted),
        }
    }

    /// Copies of the record that a move left on its way in other regions: they hold the contact's own key.
    async fn copies_of<'a>(&'a self, erasing: &Erasing<'a>) -> Result<Vec<(&'a Kept, Key, Loaded)>, Failure> {
        let mut copies = Vec::new();
        if !self.has_regions() {
            return Ok(copies);
        }
        for kept in self.all_kept() {
            let kept = kept?;
            if std::ptr::eq(kept, erasing.kept) {
                continue;
            }
            let key = kept.key(&self.keys, erasing.number);
            if let Some(Record::Arriving(copy, _)) = self.load(kept, &key).await? {
                copies.push((kept, key, copy));
            }
        }
        Ok(copies)
    }

    /// Puts a pointer in the place of every copy that is older than the erasure. No move can make such a copy the record any
    /// more: the record that it was copied from is not there. A copy made since is of the bare record, and is left alone.
    async fn destroy_copies(&self, erasing: &Erasing<'_>, now: Instant) -> Result<(), Failure> {
        if !self.has_regions() || erasing.request.dry_run {
            return Ok(());
        }
        let erased = match self.load(erasing.kept, &erasing.key).await? {
            Some(Record::Here(loaded) | Record::Arriving(loaded, _)) => loaded.contact.erased_at(),
            Some(Record::Elsewhere(..)) | None => return Err(Failure::Aborted),
        };
        let Some(erased) = erased else { return Ok(()) };
        for (kept, key, copy) in self.copies_of(erasing).await? {
            if copy.contact.erased_at().is_some_and(|at| at >= erased) {
                continue;
            }
            let id = uuid::Uuid::new_v4().as_u64_pair().1;
            let (from, to) = (kept.name.to_string(), erasing.kept.name.to_string());
            let pointer = Stored::Elsewhere(Move { region: to.clone(), id });
            let moved = AuditedMove { from, to, move_id: id };
            self.drop_later(kept).await?;
            let own = DataKey::random()?;
            if !self.write_move((kept, key, copy.version), (&pointer, &own), moved, now).await? {
                return Err(Failure::Aborted);
            }
        }
        Ok(())
    }

    /// A hold forbids the erasure: from now on the data are kept for the hold alone.
    async fn put_off(
        &self,
        erasing: &Erasing<'_>,
        (before, others): (Contact, &[Hold]),
        expected: Version,
        own: DataKey,
        clock: Clock,
    ) -> Result<Round, Failure> {
        let Erasing { permit, request, kept, key, number, receipt, .. } = *erasing;
        let mut after = before;
        let opt_out = v1::RecordOptOutRequest {
            scope: Some(marketing()),
            source: v1::OptOutSource::RightsRequest.into(),
            ..v1::RecordOptOutRequest::default()
        };
        after.put_off_erasure(erasing.named, request.reason, clock.now);
        after.add_opt_out(&opt_out, Some(erasing.id), receipt, clock.now);
        let asked = audited_write::Request::EraseContact(request.clone());
        let body = Self::write_body(permit, asked, expected.next().0, clock.now);
        let about = About::from(Kind::Write).of(Some(number));
        let entry = self.contact_entry(about, receipt, clock.now, &key, &own, &body)?;
        let told = ContactEvent {
            format: 1,
            recorded_at: clock.now.millis(),
            kind: v1::OptOutEventKind::Closed.into(),
            number: number.reveal_digits(),
            // The opt-out outlasts the restriction; until that ends nothing is allowed, and they have no other way to know.
            opt_out: Some(v1::OptOut {
                scope: Some(everything()),
                at: Some(stamp(clock.now)),
                source: opt_out.source,
                ..v1::OptOut::default()
            }),
            ..ContactEvent::default()
        };
        let (kind, payload) =
            self.event_payload(kept, Some(told), &key, &own, (receipt, entry.digest()), clock.now).await?;
        let keys = self.keys.now();
        let bytes = keys.seal_record(&key, &own, &after.to_bytes())?;
        let event = entry.event(kind, clock.now, payload);
        match self.swap(kept, Write { key, expected, bytes, expires: None, event }).await? {
            Swapped::Won { event, .. } => {
                self.hub.nudge();
                kept.log_swapped(entry, event).await?;
                let answer = erasing.answer(&after, others, (Some(receipt), None), after.left(), clock.now);
                Ok(Round::Done(Box::new(answer), None))
            }
            Swapped::Lost(winner) => Ok(Round::Lost(self.still_here(&key, winner).await?)),
        }
    }
}

impl Erasing<'_> {
    fn answer(
        &self,
        contact: &Contact,
        others: &[Hold],
        (receipt, erased_at): (Option<[u8; 16]>, Option<Instant>),
        left: Left,
        now: Instant,
    ) -> v1::EraseContactResponse {
        v1::EraseContactResponse {
            receipt_id: receipt.map(receipt_text).unwrap_or_default(),
            erased_at: erased_at.map(stamp),
            number: self.number.reveal_e164().as_str().to_owned(),
            holds: contact.hold_messages(now).into_iter().chain(others.iter().map(message)).collect(),
            kept_opt_outs: u32::try_from(left.opt_outs).unwrap_or(u32::MAX),
            kept_attempts: u32::try_from(left.attempts).unwrap_or(u32::MAX),
        }
    }

    /// The answer to the same request asked again.
    fn again(
        &self,
        contact: &Contact,
        receipt: [u8; 16],
        recorded_at: Instant,
        now: Instant,
    ) -> v1::EraseContactResponse {
        let erased = contact.erased_at().filter(|erased| *erased >= recorded_at);
        self.answer(contact, &[], (Some(receipt), erased.map(|_| recorded_at)), contact.left(), now)
    }
}

/// A hold of the tenant's that is not of this contact alone, in the words of the contract.
fn message(hold: &Hold) -> v1::Hold {
    v1::Hold {
        record_class: hold.class.to_string(),
        until: hold.until.map(stamp),
        hold_id: hold.id.to_string(),
        reason: hold.reason.to_string(),
        ..v1::Hold::default()
    }
}

fn read_erasure(request: &v1::EraseContactRequest) -> Result<(Number, Option<uuid::Uuid>), Failure> {
    let mut reader = Reader::new();
    let number = number(&mut reader, &request.number, &request.default_region);
    request_id(&mut reader, &request.request_id);
    let reason = reader.term::<ErasureReason>("reason", request.reason);
    if request.reason == 0 {
        reader.fault("reason", "is required: why the contact is erased");
    }
    let named = match request.rights_request_id.as_str() {
        "" => None,
        id => read::rights_request_id(&mut reader, id),
    };
    let shown = read::text(&mut reader, "identity_verified_by", &request.identity_verified_by);
    if reason == Some(ErasureReason::Requested) && request.rights_request_id.is_empty() && !shown {
        let why = "is required where the person asked and no request says so: how and by whom identity was checked";
        reader.fault("identity_verified_by", why);
    }
    Ok((finish(reader, number)?, named))
}

/// The request, if an erasure may answer it.
fn erasable(contact: &Contact, named: uuid::Uuid) -> Result<v1::RightsRequest, Failure> {
    const NONE: Failure = Failure::NotFound("no request of this rights_request_id is known for this number");
    let request = contact.request(&named.hyphenated().to_string()).cloned().ok_or(NONE)?;
    if RightsKind::from_number(request.kind) != Some(RightsKind::Erasure) {
        return Err(fault("rights_request_id", "is of a request for something else than erasure"));
    }
    if is_closed(&request) {
        return Err(fault("rights_request_id", "is of a request that is closed"));
    }
    shown(&request, "rights_request_id")?;
    Ok(request)
}
