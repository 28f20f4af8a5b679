//! The contact record: all that is stored for one tenant and number, and how each write makes the next one.
//!
//! Promises: consents and opt-outs are only ever added (I8); an attempt counts once whatever is asked again; a reservation
//! counts from its grant on until it is reported. Must never read a clock: each change is given its instant.

mod elsewhere;
mod listed;
mod message;
mod rights;
mod sweep;

pub use rights::{Left, kept};

use prost::Message;

use crate::place::Number;
use crate::proto::store::{self, stored_attempt, stored_fact};
use crate::proto::v1;
use crate::time::{Instant, Millis};

use super::wire::{self, Reader};
pub use elsewhere::{Move, Stored};
pub use sweep::{Dated, Scrap};

use super::answers;
use super::holds::Reach;
use super::{Age, AttemptId, Facts, Outcome, PastAttempt, Seller, Set, Subject, Term};

/// The newest form of stored records that this build reads: that of one which erasure, a restriction, requests, holds or
/// list entries have touched. A build that knows of none of these would use what may not be used, and drop it with its
/// next write.
const FORMAT: u32 = 2;
/// The form of every other.
const PLAIN: u32 = 1;
/// How long a reservation lasts where the record does not say.
const DEFAULT_USE_WITHIN: u32 = 300_000;
/// Attempts and request ids are kept at least this long: longer than any cap looks back.
const KEEP: Millis = Millis::days(401);
/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    out
}

/// The record of one contact.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Contact {
    record: store::ContactRecord,
}

/// Stored bytes are no contact record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// They do not decode.
    #[error("the contact record does not decode: {0}")]
    Broken(String),
    /// A newer build wrote them.
    #[error("the contact record has form {0}; this build reads up to {FORMAT}: run the newer build")]
    Newer(u32),
}

/// A write as asked for: what makes it the same write when asked again.
#[derive(Clone, Copy, Debug)]
pub struct WriteId {
    request_hash: u64,
    content_hash: u32,
}

impl WriteId {
    /// From the caller's `request_id` and the encoded request. An empty id makes every request a new one.
    #[must_use]
    pub fn new(request_id: &str, content: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, ..] = sha256(request_id.as_bytes());
        let [w, x, y, z, ..] = sha256(content);
        (!request_id.is_empty()).then(|| Self {
            request_hash: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            content_hash: u32::from_le_bytes([w, x, y, z]),
        })
    }
}

impl WriteId {
    /// How the write is kept, beside what it made.
    #[must_use]
    pub fn stored(self, receipt: [u8; UUID_BYTES], now: Instant) -> store::StoredWrite {
        write_of(Some(self), receipt, now)
    }

    /// Whether a write that is kept is this one; `None`: it has another id.
    #[must_use]
    pub fn seen(self, write: &store::StoredWrite) -> Option<Seen> {
        if write.request_hash != self.request_hash {
            return None;
        }
        if write.content_hash != self.content_hash {
            return Some(Seen::Other);
        }
        let receipt = write.receipt_id.as_slice().try_into().unwrap_or_default();
        Some(Seen::Same { receipt, recorded_at: Instant::from_millis(write.recorded_at) })
    }
}

/// What became of an earlier write with the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The very same: its receipt and instant stand.
    Same {
        /// The receipt.
        receipt: [u8; UUID_BYTES],
        /// When it was recorded.
        recorded_at: Instant,
    },
    /// The id was used for something else.
    Other,
}

/// What is about to be reserved.
#[derive(Clone, Debug)]
pub struct Reservation<'a> {
    /// Its id.
    pub id: &'a AttemptId,
    /// The question's fields, as asked.
    pub request: &'a v1::CheckRequest,
    /// The decision that grants it.
    pub decision: [u8; UUID_BYTES],
    /// Until when it is to be used.
    pub use_by: Instant,
}

/// Where an attempt id stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// Never seen.
    New,
    /// Reserved and not reported, or released: it may be asked again.
    Open,
    /// Reported as made.
    Made,
    /// Used for an attempt of another channel, purpose, technology, seller or subject.
    Different,
}

/// Why an outcome cannot be recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoReport {
    /// No such attempt.
    Unknown,
    /// Already reported, otherwise.
    Reported,
}

/// An outcome, as reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What became of it.
    pub outcome: Outcome,
    /// When it really started.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
}

fn name_index(words: &[String], text: &str) -> Option<u32> {
    words.iter().position(|word| word == text).and_then(|index| u32::try_from(index + 1).ok())
}

fn stored_id(id: &str) -> stored_attempt::AttemptId {
    // Only the canonical text form comes back as it was.
    match uuid::Uuid::try_parse(id) {
        Ok(uuid) if uuid.hyphenated().to_string() == id => stored_attempt::AttemptId::Uuid(uuid.as_bytes().to_vec()),
        _ => stored_attempt::AttemptId::Other(id.to_owned()),
    }
}

fn id_text(id: Option<&stored_attempt::AttemptId>) -> String {
    match id {
        Some(stored_attempt::AttemptId::Uuid(bytes)) => uuid_text(bytes),
        Some(stored_attempt::AttemptId::Other(text)) => text.clone(),
        None => String::new(),
    }
}

fn uuid_text(bytes: &[u8]) -> String {
    uuid::Uuid::from_slice(bytes).map(|uuid| uuid.hyphenated().to_string()).unwrap_or_default()
}

fn granted(attempt: &store::StoredAttempt) -> Instant {
    Instant::from_millis(attempt.granted_at)
}

fn use_by(attempt: &store::StoredAttempt) -> Instant {
    let within = if attempt.use_within == 0 { DEFAULT_USE_WITHIN } else { attempt.use_within };
    granted(attempt).plus(Millis(i64::from(within)))
}

impl Contact {
    /// An empty record for a number.
    #[must_use]
    pub fn new(number: Number, now: Instant) -> Self {
        let record = store::ContactRecord {
            format: PLAIN,
            number: number.reveal_digits(),
            created_at: now.millis(),
            ..store::ContactRecord::default()
        };
        Self { record }
    }

    /// Reads stored bytes, already opened.
    ///
    /// # Errors
    /// They do not decode, or a newer build wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let record = store::ContactRecord::decode(bytes).map_err(|error| RecordError::Broken(error.to_string()))?;
        Self::from_stored(record)
    }

    /// From the stored form, as an audit entry has it.
    ///
    /// # Errors
    /// A newer build wrote it.
    pub fn from_stored(record: store::ContactRecord) -> Result<Self, RecordError> {
        if record.format > FORMAT { Err(RecordError::Newer(record.format)) } else { Ok(Self::formed(record)) }
    }

    /// In the form that its content asks for, whatever it says of itself.
    fn formed(record: store::ContactRecord) -> Self {
        let mut contact = Self { record };
        contact.form();
        contact
    }

    /// Puts it into that form.
    fn form(&mut self) {
        let record = &mut self.record;
        let (asked, held) = (!record.requests.is_empty(), !record.holds.is_empty() || !record.put_off.is_empty());
        let listed = !record.list_entries.is_empty();
        let touched = record.erased_at != 0 || record.restricted_at != 0 || asked || held || listed;
        record.format = if touched { FORMAT } else { PLAIN };
    }

    /// The bytes to seal and store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.record.encode_to_vec()
    }

    /// The stored form itself, for the audit entry.
    #[must_use]
    pub fn into_stored(self) -> store::ContactRecord {
        self.record
    }

    /// Everything it holds, as evidence. An attempt of the given id is left out: what is asked again does not stand in
    /// its own way.
    #[must_use]
    pub fn facts(&self, without: Option<&AttemptId>) -> Facts {
        let record = &self.record;
        let mut reader = Reader::new();
        let mut facts = Facts {
            consents: self.consents(),
            opt_outs: record.opt_outs.iter().filter_map(opt_out_of).collect(),
            relationships: record.relationships.iter().map(|m| wire::relationship(&mut reader, m)).collect(),
            registry_checks: record
                .registry_checks
                .iter()
                .filter_map(|m| wire::registry_check(&mut reader, m))
                .chain(self.list_checks())
                .collect(),
            attempts: record.attempts.iter().filter_map(|stored| self.attempt(stored, without)).collect(),
            last_conversation_at: instant(record.last_conversation_at),
            first_notice_at: instant(record.first_notice_at),
            inconvenient_times: record
                .inconvenient_times
                .iter()
                .filter_map(|m| wire::weekly_window(&mut reader, m))
                .collect(),
            policy: record.policy.as_ref().and_then(|m| wire::policy(&mut reader, m)),
            transfer: record.transfer.as_ref().map(|m| wire::transfer(&mut reader, m)),
            reassigned: record.reassigned.iter().filter_map(|m| answers::answer(&mut reader, m)).collect(),
            restricted_at: instant(record.restricted_at),
            ..Facts::default()
        };
        for fact in record.facts.iter().filter(|fact| fact.superseded_at == 0) {
            add_dated(&mut facts, fact);
        }
        facts
    }

    /// Of consents recorded under one id the latest: it supersedes the others, but for a withdrawal that it does not
    /// outlive.
    fn consents(&self) -> Vec<super::Consent> {
        let mut standing: Vec<super::Consent> = Vec::with_capacity(self.record.consents.len());
        // Of an erased contact a hold may keep the proof; it covers nothing any more.
        let gone = |consent: &super::Consent| {
            self.record.erased_at != 0
                && consent.recorded_at.is_none_or(|recorded| recorded.millis() <= self.record.erased_at)
        };
        for mut consent in self.record.consents.iter().filter_map(consent_of).filter(|consent| !gone(consent)) {
            if let Some(earlier) = standing.iter().position(|other| other.id.is_some() && other.id == consent.id) {
                let withdrawn = standing.remove(earlier).withdrawn_at;
                let outlived = |withdrawn: &Instant| consent.given_at.is_some_and(|given| given > *withdrawn);
                consent.withdrawn_at = consent.withdrawn_at.or(withdrawn.filter(|withdrawn| !outlived(withdrawn)));
            }
            standing.push(consent);
        }
        standing
    }

    fn attempt(&self, stored: &store::StoredAttempt, without: Option<&AttemptId>) -> Option<PastAttempt> {
        let id = AttemptId::new(&id_text(stored.attempt_id.as_ref()));
        let outcome = Outcome::from_number(stored.outcome);
        if outcome == Some(Outcome::NotAttempted) || id.is_some() && id.as_ref() == without {
            return None;
        }
        let started = stored.started_after.map(|after| granted(stored).plus(Millis(after)));
        let name = |index: u32| {
            let index = usize::try_from(index).ok()?.checked_sub(1)?;
            self.record.words.get(index).map(String::as_str)
        };
        Some(PastAttempt {
            id,
            earliest: started.unwrap_or_else(|| granted(stored)),
            latest: started.unwrap_or_else(|| use_by(stored)),
            ended_at: started.zip(stored.lasted).map(|(started, lasted)| started.plus(Millis(lasted))),
            channel: Term::from_number(stored.channel),
            technology: Term::from_number(stored.technology),
            purpose: Term::from_number(stored.purpose),
            outcome,
            seller: name(stored.seller).and_then(Seller::new),
            subject: name(stored.subject).and_then(Subject::new),
            campaign: name(stored.campaign).and_then(super::Campaign::new),
        })
    }

    fn find(&self, id: &str) -> Option<usize> {
        let wanted = stored_id(id);
        self.record.attempts.iter().position(|stored| stored.attempt_id.as_ref() == Some(&wanted))
    }

    /// Where an attempt id stands with regard to a request that asks about it.
    #[must_use]
    pub fn knows(&self, id: &AttemptId, request: &v1::CheckRequest) -> Known {
        let Some(stored) = self.find(id.as_str()).and_then(|index| self.record.attempts.get(index)) else {
            return Known::New;
        };
        let word = |text: &str| if text.is_empty() { Some(0) } else { name_index(&self.record.words, text) };
        let same = stored.channel == request.channel
            && stored.purpose == request.purpose
            && stored.technology == request.technology
            && word(&request.seller) == Some(stored.seller)
            && word(&request.subject) == Some(stored.subject);
        match Outcome::from_number(stored.outcome) {
            _ if !same => Known::Different,
            None | Some(Outcome::NotAttempted) => Known::Open,
            Some(_) => Known::Made,
        }
    }

    /// Reserves an attempt: already counted, from now until it is reported. Asked again it is renewed and still counts
    /// once, from its first grant on: it may have been made at any instant since.
    pub fn reserve(&mut self, reservation: &Reservation<'_>, now: Instant) {
        let request = reservation.request;
        let known = self.find(reservation.id.as_str());
        let reopened = known.and_then(|index| self.record.attempts.get(index)).filter(|old| old.outcome == 0);
        let since = reopened.map_or(now, granted).min(now);
        let within = u32::try_from(reservation.use_by.millis().saturating_sub(since.millis())).unwrap_or(u32::MAX);
        let stored = store::StoredAttempt {
            attempt_id: Some(stored_id(reservation.id.as_str())),
            granted_at: since.millis(),
            use_within: within.max(1),
            reported_after: None,
            started_after: None,
            lasted: None,
            channel: request.channel,
            technology: request.technology,
            purpose: request.purpose,
            outcome: 0,
            seller: self.word(&request.seller),
            subject: self.word(&request.subject),
            campaign: self.word(&request.campaign),
            decision_id: reservation.decision.to_vec(),
        };
        match known.and_then(|index| self.record.attempts.get_mut(index)) {
            Some(slot) => *slot = stored,
            None => self.record.attempts.push(stored),
        }
        self.prune(now);
    }

    fn word(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(index) = name_index(&self.record.words, text) {
            return index;
        }
        self.record.words.push(text.to_owned());
        u32::try_from(self.record.words.len()).unwrap_or(0)
    }

    /// Records what became of an attempt. The same report again changes nothing. Returns whether anything changed.
    ///
    /// # Errors
    /// The attempt is unknown, or was reported otherwise.
    pub fn report(&mut self, id: &AttemptId, report: &Report, now: Instant) -> Result<bool, NoReport> {
        let index = self.find(id.as_str()).ok_or(NoReport::Unknown)?;
        let stored = self.record.attempts.get_mut(index).ok_or(NoReport::Unknown)?;
        let since = granted(stored);
        let after = |at: Instant| at.millis().saturating_sub(since.millis());
        // It cannot have been made before it was granted: a clock that says so must not free a slot.
        let started_after = report.started_at.map(|started| after(started).max(0));
        // How long it lasted counts from its start; from the end of the reservation where no start was told.
        let begun = report.started_at.unwrap_or_else(|| use_by(stored));
        let lasted = report.ended_at.map(|ended| ended.millis().saturating_sub(begun.millis()).max(0));
        let outcome = i32::from(report.outcome.number());
        if stored.outcome != 0 {
            let same = stored.outcome == outcome && stored.started_after == started_after && stored.lasted == lasted;
            return if same { Ok(false) } else { Err(NoReport::Reported) };
        }
        stored.outcome = outcome;
        stored.reported_after = Some(after(now));
        stored.started_after = started_after;
        stored.lasted = lasted;
        Ok(true)
    }

    /// When an attempt was reported, if it was.
    #[must_use]
    pub fn reported_at(&self, id: &AttemptId) -> Option<Instant> {
        let stored = self.record.attempts.get(self.find(id.as_str())?)?;
        stored.reported_after.map(|after| granted(stored).plus(Millis(after)))
    }

    /// Whether a write was done before.
    #[must_use]
    pub fn seen(&self, id: Option<WriteId>) -> Option<Seen> {
        let id = id?;
        let record = &self.record;
        let consents = record.consents.iter().filter_map(|stored| stored.write.as_ref());
        let opt_outs = record.opt_outs.iter().filter_map(|stored| stored.write.as_ref());
        let mut writes = consents.chain(opt_outs).chain(&record.writes).chain(self.list_writes());
        writes.find_map(|write| id.seen(write)).or_else(|| self.rights_seen(id))
    }

    /// The instant at which a write is recorded: now, but never before what the record already holds. Instances whose
    /// clocks differ write one record, and the order of its writes is theirs, not that of their clocks.
    fn recording(&self, now: Instant) -> Instant {
        now.max(self.updated_at())
    }

    /// Adds a consent. Returns when it was recorded.
    pub fn add_consent(
        &mut self,
        consent: &v1::Consent,
        person: &str,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Instant {
        let now = self.recording(now);
        let write = Some(write_of(id, receipt, now));
        let stored = store::StoredConsent { consent: Some(consent.clone()), write, person: person.to_owned() };
        self.record.consents.push(stored);
        now
    }

    /// Adds an opt-out. It carries the instant of its recording at the latest. Returns when it was recorded.
    pub fn add_opt_out(
        &mut self,
        request: &v1::RecordOptOutRequest,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Instant {
        let now = self.recording(now);
        let at = request.at.filter(|at| at.to_millis().is_some_and(|millis| millis < now.millis()));
        let opt_out = v1::OptOut {
            opt_out_id: request.opt_out_id.clone(),
            scope: request.scope.clone(),
            at,
            source: request.source,
        };
        let write = Some(write_of(id, receipt, now));
        let wording = request.wording.clone();
        self.record.opt_outs.push(store::StoredOptOut { opt_out: Some(opt_out), write, wording });
        now
    }

    /// Notes a write that leaves nothing but itself. Returns when it was recorded.
    pub fn note(&mut self, id: Option<WriteId>, receipt: [u8; UUID_BYTES], now: Instant) -> Instant {
        let now = self.recording(now);
        self.record.writes.push(write_of(id, receipt, now));
        self.prune(now);
        now
    }

    /// Whether an opt-out was ever recorded.
    #[must_use]
    pub fn has_opt_outs(&self) -> bool {
        !self.record.opt_outs.is_empty()
    }

    /// The opt-out that a write recorded, if it recorded one: its place among all that were recorded, and itself.
    #[must_use]
    pub fn opt_out_of(&self, receipt: [u8; UUID_BYTES]) -> Option<(usize, v1::OptOut)> {
        let by = |stored: &store::StoredOptOut| stored.write.as_ref().is_some_and(|write| write.receipt_id == receipt);
        let place = self.record.opt_outs.iter().position(by)?;
        Some((place, message::recorded_opt_out(self.record.opt_outs.get(place)?).opt_out?))
    }

    /// Changes the facts named by the mask; dated facts are superseded, never lost. The mask was checked before. Returns
    /// when it was recorded.
    pub fn update(
        &mut self,
        facts: &v1::ContactFacts,
        mask: &[String],
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Instant {
        use stored_fact::Fact;
        let now = self.recording(now);
        for path in mask {
            let record = &mut self.record;
            match path.as_str() {
                "residence" => self.date(0, some_text(&facts.residence).map(Fact::Residence), now),
                "recipient" => self.date(1, some_number(facts.recipient).map(Fact::Recipient), now),
                "legal_form" => self.date(2, some_number(facts.legal_form).map(Fact::LegalForm), now),
                "line_type" => self.date(3, some_number(facts.line_type).map(Fact::LineType), now),
                "age" => self.date(4, facts.age.map(Fact::Age), now),
                "birth_date" => self.date(5, some_text(&facts.birth_date).map(Fact::BirthDate), now),
                "relationship" => {
                    if let Some(tie) = &facts.relationship {
                        record.relationships.retain(|other| other.seller != tie.seller);
                        record.relationships.push(tie.clone());
                    }
                }
                "inconvenient_times" => record.inconvenient_times.clone_from(&facts.inconvenient_times),
                "policy" => record.policy.clone_from(&facts.policy),
                "transfer" => record.transfer.clone_from(&facts.transfer),
                "reassigned" => answers::join(&mut record.reassigned, facts),
                "registry_checks" => record.registry_checks.clone_from(&facts.registry_checks),
                "last_conversation_at" => record.last_conversation_at = millis(facts.last_conversation_at),
                "first_notice_at" => record.first_notice_at = millis(facts.first_notice_at),
                "no_sharing" => record.no_sharing = facts.no_sharing,
                _ => {}
            }
        }
        self.record.writes.push(write_of(id, receipt, now));
        self.prune(now);
        now
    }

    /// Gives a dated fact its successor. `kind` tells the facts of one kind from the others.
    fn date(&mut self, kind: u8, fact: Option<stored_fact::Fact>, now: Instant) {
        for old in self.record.facts.iter_mut().filter(|old| old.superseded_at == 0) {
            if old.fact.as_ref().map(kind_of) == Some(kind) {
                old.superseded_at = now.millis();
            }
        }
        if fact.is_some() {
            self.record.facts.push(store::StoredFact { fact, recorded_at: now.millis(), superseded_at: 0 });
        }
    }

    /// Drops the ids of writes that no promise reaches any more. Attempts stay until a sweep, which knows every hold.
    fn prune(&mut self, now: Instant) {
        let oldest = now.minus(KEEP);
        self.record.writes.retain(|write| write.recorded_at >= oldest.millis());
    }

    /// Drops attempts that no window, no promise and no hold in the record reaches any more.
    fn prune_attempts(&mut self, now: Instant) {
        let oldest = now.minus(KEEP);
        let mut latest = self.record.pruned_attempt_at;
        let held = self.holds(now).iter().any(|hold| matches!(hold.reach(), Reach::Attempts | Reach::Everything));
        self.record.attempts.retain(|stored| {
            let made = stored.started_after.map_or_else(|| use_by(stored), |after| granted(stored).plus(Millis(after)));
            let stays = held || made.max(use_by(stored)) >= oldest;
            if !stays && stored.outcome != i32::from(Outcome::NotAttempted.number()) {
                latest = latest.max(made.millis());
            }
            stays
        });
        self.record.pruned_attempt_at = latest;
    }

    /// When the latest thing in it was recorded.
    #[must_use]
    pub fn updated_at(&self) -> Instant {
        Instant::from_millis(self.updated_millis())
    }

    /// The same, in milliseconds.
    fn updated_millis(&self) -> i64 {
        let record = &self.record;
        let consents = record.consents.iter().filter_map(|stored| stored.write.as_ref());
        let opt_outs = record.opt_outs.iter().filter_map(|stored| stored.write.as_ref());
        let writes =
            consents.chain(opt_outs).chain(&record.writes).chain(self.rights_writes()).chain(self.list_writes());
        let writes = writes.map(|write| write.recorded_at);
        let attempts = record.attempts.iter().map(|a| a.granted_at.saturating_add(a.reported_after.unwrap_or(0)));
        // What comes after an erasure is told from what went with it by its instant.
        let erased = if record.erased_at == 0 { i64::MIN } else { record.erased_at.saturating_add(1) };
        writes.chain(attempts).fold(record.created_at.max(erased), i64::max)
    }
}

fn write_of(id: Option<WriteId>, receipt: [u8; UUID_BYTES], now: Instant) -> store::StoredWrite {
    store::StoredWrite {
        request_hash: id.map_or(0, |id| id.request_hash),
        content_hash: id.map_or(0, |id| id.content_hash),
        recorded_at: now.millis(),
        receipt_id: receipt.to_vec(),
    }
}

/// A stored consent. A newer build may have written what this one cannot read in full; a channel that is left out would
/// make "only there" into "anywhere", so such a consent covers nothing.
fn consent_of(stored: &store::StoredConsent) -> Option<super::Consent> {
    let mut reader = Reader::new();
    let mut consent = wire::consent(&mut reader, stored.consent.as_ref()?);
    if !reader.violations().is_empty() {
        consent.grade = None;
    }
    let write = stored.write.as_ref();
    consent.recorded_at = write.map(|write| Instant::from_millis(write.recorded_at));
    if consent.id.is_none() {
        consent.id = write.map(|write| uuid_text(&write.receipt_id).into());
    }
    Some(consent)
}

/// A stored opt-out. What cannot be read in full reaches everything.
fn opt_out_of(stored: &store::StoredOptOut) -> Option<super::OptOut> {
    let mut reader = Reader::new();
    let mut opt_out = wire::opt_out(&mut reader, stored.opt_out.as_ref()?);
    if !reader.violations().is_empty() {
        opt_out.scope = super::Scope { everything: true, ..super::Scope::default() };
    }
    let recorded_at = stored.write.as_ref().map(|write| Instant::from_millis(write.recorded_at));
    opt_out.recorded_at = recorded_at;
    opt_out.at = opt_out.at.or(recorded_at);
    Some(opt_out)
}

fn add_dated(facts: &mut Facts, fact: &store::StoredFact) {
    use stored_fact::Fact;
    fn add<T: Term>(set: &mut Set<T>, number: i32) {
        *set = T::from_number(number).into_iter().fold(*set, Set::with);
    }
    match &fact.fact {
        Some(Fact::Residence(code)) => facts.residences.extend(code.parse::<crate::place::Jurisdiction>()),
        Some(Fact::Recipient(number)) => add(&mut facts.recipients, *number),
        Some(Fact::LegalForm(number)) => add(&mut facts.legal_forms, *number),
        Some(Fact::LineType(number)) => add(&mut facts.line_types, *number),
        Some(Fact::Age(years)) => facts.ages.extend(u16::try_from(*years).ok().map(Age::Years)),
        Some(Fact::BirthDate(text)) => facts.ages.extend(wire::birth_date(&mut Reader::new(), text)),
        None => {}
    }
}

const fn kind_of(fact: &stored_fact::Fact) -> u8 {
    use stored_fact::Fact;
    match fact {
        Fact::Residence(_) => 0,
        Fact::Recipient(_) => 1,
        Fact::LegalForm(_) => 2,
        Fact::LineType(_) => 3,
        Fact::Age(_) => 4,
        Fact::BirthDate(_) => 5,
    }
}

fn some_text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn some_number(number: i32) -> Option<i32> {
    (number != 0).then_some(number)
}

fn instant(millis: i64) -> Option<Instant> {
    (millis != 0).then(|| Instant::from_millis(millis))
}

fn millis(stamp: Option<crate::proto::well_known::Timestamp>) -> i64 {
    stamp.and_then(crate::proto::well_known::Timestamp::to_millis).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests;
