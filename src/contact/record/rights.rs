//! The record and the rights of its person: requests, restriction, holds, and what erasure leaves.

use super::{Contact, Seen, UUID_BYTES, WriteId, uuid_text, write_of};
use crate::contact::holds::{self, Hold, Reach};
use crate::contact::{Outcome, RightsKind, RightsState, Term, answers};
use crate::place::Number;
use crate::proto::store;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// What erasure left of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Opt-outs, that of the erasure included.
    pub opt_outs: usize,
    /// Attempts that a cap may look back on.
    pub attempts: usize,
}

impl Contact {
    /// When the contact was erased, the last time.
    #[must_use]
    pub fn erased_at(&self) -> Option<Instant> {
        super::instant(self.record.erased_at)
    }

    /// Writes the number again into a record that erasure left without: the person gave it anew.
    pub fn name(&mut self, number: Number) {
        self.record.number = number.reveal_digits();
    }

    /// The number, where the record still has it.
    #[must_use]
    pub fn digits(&self) -> Option<u64> {
        Some(self.record.number).filter(|digits| *digits != 0)
    }

    /// The facts that a mask names, as they stand: what a correction is about to replace. `seller` says with whom the
    /// dealings are.
    #[must_use]
    pub fn standing_facts(&self, mask: &[String], seller: &str) -> v1::ContactFacts {
        let record = &self.record;
        let stamp = |millis: i64| (millis != 0).then(|| Timestamp::from_millis(millis));
        let mut facts = v1::ContactFacts::default();
        let dated = record.facts.iter().filter(|fact| fact.superseded_at == 0).filter_map(|fact| fact.fact.as_ref());
        let named = |path: &str| mask.iter().any(|named| named == path);
        for fact in dated {
            use store::stored_fact::Fact;
            match fact {
                Fact::Residence(code) if named("residence") => facts.residence.clone_from(code),
                Fact::Recipient(number) if named("recipient") => facts.recipient = *number,
                Fact::LegalForm(number) if named("legal_form") => facts.legal_form = *number,
                Fact::LineType(number) if named("line_type") => facts.line_type = *number,
                Fact::Age(years) if named("age") => facts.age = Some(*years),
                Fact::BirthDate(text) if named("birth_date") => facts.birth_date.clone_from(text),
                _ => {}
            }
        }
        for path in mask {
            match path.as_str() {
                "relationship" => {
                    facts.relationship = record.relationships.iter().find(|tie| tie.seller == seller).cloned();
                }
                "inconvenient_times" => facts.inconvenient_times.clone_from(&record.inconvenient_times),
                "policy" => facts.policy.clone_from(&record.policy),
                "transfer" => facts.transfer.clone_from(&record.transfer),
                "reassigned" => {
                    facts.reassigned = answers::newest(&record.reassigned);
                    facts.reassigned_before = answers::before(&record.reassigned);
                }
                "registry_checks" => facts.registry_checks.clone_from(&record.registry_checks),
                "last_conversation_at" => facts.last_conversation_at = stamp(record.last_conversation_at),
                "first_notice_at" => facts.first_notice_at = stamp(record.first_notice_at),
                "no_sharing" => facts.no_sharing = record.no_sharing,
                _ => {}
            }
        }
        facts
    }

    /// Since when the data are kept but not used.
    #[must_use]
    pub fn restricted_at(&self) -> Option<Instant> {
        super::instant(self.record.restricted_at)
    }

    /// Every request ever made, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = &v1::RightsRequest> {
        self.record.requests.iter().filter_map(|stored| stored.request.as_ref())
    }

    /// One request.
    #[must_use]
    pub fn request(&self, id: &str) -> Option<&v1::RightsRequest> {
        self.requests().find(|request| request.rights_request_id == id)
    }

    /// The request that a write opened or changed.
    #[must_use]
    pub fn request_of(&self, receipt: [u8; UUID_BYTES]) -> Option<&v1::RightsRequest> {
        let by = |stored: &&store::StoredRequest| stored.writes.iter().any(|write| write.receipt_id == receipt);
        self.record.requests.iter().find(by)?.request.as_ref()
    }

    /// Adds a request. Returns when it was recorded.
    pub fn add_request(
        &mut self,
        request: v1::RightsRequest,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Instant {
        let now = self.recording(now);
        let writes = vec![write_of(id, receipt, now)];
        self.record.requests.push(store::StoredRequest { request: Some(request), writes });
        self.form();
        now
    }

    /// Puts a request in the place of the one of its id. Returns when it was recorded; `None`: there is none.
    pub fn change_request(
        &mut self,
        request: v1::RightsRequest,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Option<Instant> {
        let now = self.recording(now);
        let named = |stored: &&mut store::StoredRequest| {
            stored.request.as_ref().is_some_and(|other| other.rights_request_id == request.rights_request_id)
        };
        let stored = self.record.requests.iter_mut().find(named)?;
        stored.request = Some(request);
        stored.writes.push(write_of(id, receipt, now));
        Some(now)
    }

    /// From now on the data are kept but not used.
    pub fn restrict(&mut self, now: Instant) {
        if self.record.restricted_at == 0 {
            self.record.restricted_at = self.recording(now).millis();
            self.form();
        }
    }

    /// The data may be used again, unless an erasure waits for the end of a hold.
    pub fn lift_restriction(&mut self) {
        if self.record.put_off.is_empty() {
            self.record.restricted_at = 0;
        }
    }

    /// A hold forbids an erasure: until it is done, the data are kept and not used. `request` is the one that it is to
    /// answer, if one asked for it.
    pub fn put_off_erasure(&mut self, request: Option<uuid::Uuid>, reason: i32, now: Instant) {
        self.restrict(now);
        let named = request.map(|id| id.into_bytes().to_vec()).unwrap_or_default();
        if self.record.put_off.iter().all(|waits| waits.rights_request_id != named) {
            let at = self.recording(now).millis();
            self.record.put_off.push(store::PutOffErasure { at, rights_request_id: named, reason });
        }
        self.form();
    }

    /// The request that an erasure was to answer asks for it no more. Whether the data may be used again is another matter.
    pub fn withdraw_erasure(&mut self, request: uuid::Uuid) {
        self.record.put_off.retain(|waits| waits.rights_request_id != request.as_bytes());
    }

    /// The erasures that wait for the end of a hold: of which open request, if one asked for it, and for which reason, as the
    /// number of an `ErasureReason`.
    pub fn erasures_waiting(&self) -> impl Iterator<Item = (Option<uuid::Uuid>, i32)> {
        self.record.put_off.iter().map(|waits| (uuid::Uuid::from_slice(&waits.rights_request_id).ok(), waits.reason))
    }

    /// Whether nothing but erasures that waited for the end of a hold keeps the data restricted.
    fn is_restricted_by_waiting(&self) -> bool {
        let stands = |request: &v1::RightsRequest| {
            RightsKind::from_number(request.kind) == Some(RightsKind::Restriction)
                && request.lifted_at.is_none()
                && RightsState::from_number(request.state) != Some(RightsState::Refused)
        };
        !self.record.put_off.is_empty() && !self.requests().any(stands)
    }

    /// Notes that the person's data are to be passed on to nobody.
    pub fn refuse_sharing(&mut self) {
        self.record.no_sharing = Some(true);
    }

    /// Adds a hold. Returns when it was recorded.
    pub fn place_hold(
        &mut self,
        mut hold: v1::Hold,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Instant {
        let now = self.recording(now);
        hold.hold_id = uuid_text(&receipt);
        hold.placed_at = Some(Timestamp::from_millis(now.millis()));
        let write = Some(write_of(id, receipt, now));
        self.record.holds.push(store::StoredHold { hold: Some(hold), write, lifting: None });
        self.form();
        now
    }

    /// The hold that a write placed.
    #[must_use]
    pub fn hold_of(&self, receipt: [u8; UUID_BYTES]) -> Option<&v1::Hold> {
        let by = |stored: &&store::StoredHold| stored.write.as_ref().is_some_and(|write| write.receipt_id == receipt);
        self.record.holds.iter().find(by)?.hold.as_ref()
    }

    /// Ends a hold. Returns when it was recorded; `None`: there is none of this id that was not lifted before.
    pub fn lift_hold(
        &mut self,
        hold_id: &str,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Option<Instant> {
        let now = self.recording(now);
        let named = |stored: &&mut store::StoredHold| {
            stored.lifting.is_none() && stored.hold.as_ref().is_some_and(|hold| hold.hold_id == hold_id)
        };
        self.record.holds.iter_mut().find(named)?.lifting = Some(write_of(id, receipt, now));
        Some(now)
    }

    /// The holds in force: those that were placed, neither over nor lifted.
    #[must_use]
    pub fn holds(&self, now: Instant) -> Vec<Hold> {
        let standing = self.record.holds.iter().filter(|stored| stored.lifting.is_none());
        let holds = standing.filter_map(|stored| stored.hold.as_ref()).map(hold_of);
        holds.filter(|hold| hold.in_force(now)).collect()
    }

    /// The same in the words of the contract.
    #[must_use]
    pub fn hold_messages(&self, now: Instant) -> Vec<v1::Hold> {
        let standing = self.record.holds.iter().filter(|stored| stored.lifting.is_none());
        let holds = standing.filter_map(|stored| stored.hold.as_ref());
        holds.filter(|hold| hold_of(hold).in_force(now)).cloned().collect()
    }

    /// Every write of requests and holds, for telling one that is asked again.
    pub(super) fn rights_writes(&self) -> impl Iterator<Item = &store::StoredWrite> {
        let record = &self.record;
        let of_requests = record.requests.iter().flat_map(|stored| &stored.writes);
        of_requests.chain(record.holds.iter().flat_map(|stored| [&stored.write, &stored.lifting]).flatten())
    }

    /// What erasure leaves, to be sealed under a new key: nothing that tells who the person is or what was said.
    ///
    /// Opt-outs stay, without words and wider rather than narrower where a name would tell something; `suppression` joins
    /// them. Attempts stay as bare instants as long as a cap may look back on them: without a seller they count against
    /// every seller's. What else forbids contact and names nobody stays too: list entries, a number that changed hands,
    /// inconvenient times, the last conversation; the tenant's own lists have the number still. Requests stay without their words, writes as hashes of their ids. Whatever `kept` reaches stays as
    /// it is, but covers nothing any more.
    #[must_use]
    pub fn erased(
        &self,
        suppression: v1::OptOutScope,
        kept: &[Reach],
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> (Self, Instant, Left) {
        let keeps = |reach: Reach| kept.contains(&reach);
        let now = self.recording(now);
        let old = &self.record;
        let mut record = store::ContactRecord {
            format: super::FORMAT,
            created_at: now.millis(),
            erased_at: now.millis(),
            // What waited is done.
            restricted_at: if self.is_restricted_by_waiting() { 0 } else { old.restricted_at },
            copied: old.copied,
            opt_outs: old.opt_outs.clone(),
            attempts: old.attempts.clone(),
            writes: old.writes.clone(),
            holds: old.holds.clone(),
            registry_checks: old.registry_checks.iter().filter(|check| check.listed != Some(false)).cloned().collect(),
            // A no proves what consents that stay were good for.
            reassigned: if keeps(Reach::Consents) { old.reassigned.clone() } else { answers::denying(&old.reassigned) },
            inconvenient_times: old.inconvenient_times.clone(),
            last_conversation_at: old.last_conversation_at,
            list_entries: old.list_entries.clone(),
            ..store::ContactRecord::default()
        };
        record.requests = old.requests.iter().map(bare_request).collect();
        if keeps(Reach::Consents) {
            record.consents.clone_from(&old.consents);
        } else {
            record.writes.extend(old.consents.iter().filter_map(|stored| stored.write.clone()));
        }
        if !keeps(Reach::OptOuts) {
            record.opt_outs.iter_mut().for_each(strip_opt_out);
        }
        if keeps(Reach::Attempts) {
            record.words.clone_from(&old.words);
        } else {
            // A released reservation counts against nothing, and its id is gone.
            record.attempts.retain(|stored| Outcome::from_number(stored.outcome) != Some(Outcome::NotAttempted));
            record.attempts.iter_mut().for_each(strip_attempt);
        }
        let opt_out = v1::OptOut {
            scope: Some(suppression),
            source: v1::OptOutSource::RightsRequest.into(),
            ..v1::OptOut::default()
        };
        let write = Some(write_of(id, receipt, now));
        record.opt_outs.push(store::StoredOptOut { opt_out: Some(opt_out), write, wording: String::new() });
        record.writes.sort_by_key(|write| write.recorded_at);
        let mut erased = Self { record };
        erased.prune(now);
        if !keeps(Reach::Attempts) {
            erased.prune_attempts(now);
        }
        let left = Left { opt_outs: erased.record.opt_outs.len(), attempts: erased.record.attempts.len() };
        (erased, now, left)
    }

    /// What there is of opt-outs and attempts.
    #[must_use]
    pub fn left(&self) -> Left {
        Left { opt_outs: self.record.opt_outs.len(), attempts: self.record.attempts.len() }
    }

    /// Whether a write was done before, among those of requests and holds.
    pub(super) fn rights_seen(&self, id: WriteId) -> Option<Seen> {
        self.rights_writes().find_map(|write| id.seen(write))
    }
}

fn hold_of(hold: &v1::Hold) -> Hold {
    let until = hold.until.as_ref().map(|until| until.to_millis().map_or(Instant::FAR, Instant::from_millis));
    Hold {
        id: hold.hold_id.as_str().into(),
        class: hold.record_class.as_str().into(),
        until,
        reason: hold.reason.as_str().into(),
        rule_id: hold.rule_id.as_str().into(),
        citation: hold.citation.as_str().into(),
    }
}

/// What of a request proves that it was dealt with, and says nothing of the person.
fn bare_request(stored: &store::StoredRequest) -> store::StoredRequest {
    let mut stored = stored.clone();
    if let Some(request) = &mut stored.request {
        request.details.clear();
        request.note.clear();
        request.identity_verified_by.clear();
        request.who.clear();
    }
    stored
}

/// Drops words and names. Where a name narrowed the opt-out, it is wider without: it never reaches less.
fn strip_opt_out(stored: &mut store::StoredOptOut) {
    stored.wording.clear();
    let Some(opt_out) = &mut stored.opt_out else { return };
    opt_out.opt_out_id.clear();
    let Some(scope) = &mut opt_out.scope else { return };
    if !scope.subjects.is_empty() || !scope.campaigns.is_empty() {
        scope.subjects.clear();
        scope.campaigns.clear();
        // One that named nothing but these blocked for them what `everything` blocks.
        if scope.purposes.is_empty() && scope.sellers.is_empty() {
            scope.everything = true;
        }
    }
}

/// Leaves when, how and what for, and how it went. What is missing of an attempt counts against the contact.
fn strip_attempt(stored: &mut store::StoredAttempt) {
    stored.attempt_id = None;
    stored.decision_id.clear();
    (stored.seller, stored.subject, stored.campaign) = (0, 0, 0);
}

/// What the holds of a record keep at `now`.
#[must_use]
pub fn kept(contact: &Contact, now: Instant) -> Vec<Reach> {
    holds::kept(&contact.holds(now), now)
}
