//! What the audit log gets: an envelope in the clear, and a body sealed under the contact's own key, or a key of the day
//! where there is no record.

use std::sync::Arc;

use prost::Message;

use super::control::{Standing, wire};
use super::region::Kept;
use super::replay::{FORM, FORM_SUCCEEDED, Unfit, opened};
use super::{Engine, Failure};
use crate::access::Permit;
use crate::audit::{BodyKey, DecisionId, Encoded, Entry, Found, Openings, proof};
use crate::contact::{Contact, Seller, Term, leading_to};
use crate::decision::{Decision, Look};
use crate::law::Law;
use crate::place::{Jurisdiction, Number};
use crate::proto::{store, v1};
use crate::store::{DataKey, DayKeyError, DayKeys, Digest, EventId, Key, Keys, Purpose, SealError, Version};
use crate::time::{Instant, tzdata_version};

/// What an entry is about, in its envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A check that reserved an attempt.
    Reservation = 1,
    /// A check that counted nothing.
    Answer = 2,
    /// A write.
    Write = 3,
    /// Many rows as one.
    Batch = 4,
    /// A reading of what is kept.
    Reading = 5,
}

/// What only the record could tell of a write.
#[derive(Default)]
pub(super) struct Told {
    /// What an inbound text was found to mean, and by which packs.
    pub inbound: Option<(v1::ProcessInboundResponse, String)>,
    /// The facts that were corrected, as they were.
    pub replaced: Option<v1::ContactFacts>,
}

/// What an entry says in the clear besides whom it is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    kind: Kind,
    /// The keyed tag of the campaign.
    campaign: Option<[u8; 16]>,
    /// The number, which it says to those alone who are told what opens it.
    number: Option<Number>,
}

impl About {
    /// The same, bound to this number.
    pub(super) const fn of(self, number: Option<Number>) -> Self {
        Self { number, ..self }
    }
}

impl From<Kind> for About {
    fn from(kind: Kind) -> Self {
        Self { kind, campaign: None, number: None }
    }
}

/// A body, sealed, with what binds it as it was before.
pub(super) struct Sealed {
    pub(super) body: Vec<u8>,
    plain: Digest,
}

impl Sealed {
    pub(super) fn by(key: &DataKey, id: &[u8; 16], body: &[u8]) -> Result<Self, SealError> {
        Ok(Self { body: key.seal(Purpose::AuditBody, id, body)?, plain: proof::shown_body(&key.salt(id), body) })
    }

    /// What lets the entry be shown to others piece by piece.
    pub(super) fn openings(
        &self,
        keys: &Keys,
        tag: Option<[u8; 32]>,
        id: &[u8; 16],
        number: Option<Number>,
    ) -> Openings {
        let Some(tag) = tag else { return Openings { mark: [0; 4], name: [0; 16], plain: self.plain } };
        let name = |number: Number| proof::naming(&keys.name_key(&tag), id, number.reveal_e164().as_str());
        Openings { mark: keys.hash_mark(), name: number.map_or([0; 16], name), plain: self.plain }
    }
}

/// Whether entries of this kind are the entries of swaps, which the store has an event for.
#[must_use]
pub const fn is_swapped(kind: u8) -> bool {
    kind == Kind::Reservation as u8 || kind == Kind::Write as u8
}

/// The kinds of entries that are those of decisions.
pub(super) const DECISIONS: [u8; 2] = [Kind::Reservation as u8, Kind::Answer as u8];

impl Kept {
    /// The id of a decision or write made now. It names the writer of the log, where there is one.
    pub(super) fn next_id(&self, now: Instant) -> [u8; 16] {
        match &self.log {
            Some(log) => log.next_id(now).bytes(),
            None => *uuid::Uuid::now_v7().as_bytes(),
        }
    }

    /// Writes the entry of a swap that was won. Returns once it is safe in the log too: a store that loses its newest
    /// commit is found out by its log, and by nothing else.
    pub(super) async fn log_swapped(&self, entry: Encoded, event: EventId) -> Result<(), Failure> {
        match &self.log {
            Some(log) => Ok(log.append(entry, Some(event)).await.map(drop)?),
            None => Ok(()),
        }
    }

    /// Writes an entry that nobody waits for: safe within a second, or an error now.
    pub(super) async fn log_soon(&self, entry: Encoded) -> Result<(), Failure> {
        match &self.log {
            Some(log) => Ok(log.append_soon(entry).await?),
            None => Ok(()),
        }
    }
}

/// By what a question was judged: the law, the switches, and where the store of its region is.
type Judged<'a> = (&'a Law, &'a Standing, Option<Jurisdiction>);

impl Engine {
    /// The body of a decision.
    pub(super) fn decision_body(
        &self,
        request: v1::CheckRequest,
        before: Option<(Contact, Version)>,
        judged: Judged<'_>,
        decision: &Decision,
        answer: &v1::Decision,
    ) -> Vec<u8> {
        let (law, standing, stored_at) = judged;
        let readings = decision.lists.iter().map(|list| store::RegistryReading {
            registry: list.registry.to_string(),
            version: list.look.as_ref().map(|look| look.version.to_string()).unwrap_or_default(),
            as_of: list.look.as_ref().map_or(0, |look| look.as_of.millis()),
            listed: list.look.as_ref().and_then(|look| look.listed),
            listed_at: list.look.as_ref().and_then(|look| look.listed_at).map_or(0, Instant::millis),
            sample: list.look.as_ref().is_some_and(|look| look.sample),
        });
        let settings = &self.settings;
        let (policies, transfers) = (judged_policies(standing), judged_transfers(standing, &request.seller));
        // A build that knows of no lists kept by API would give what they say an age, one that knows of no copies of some
        // areas would say that none is loaded.
        let newer = |look: &Look| look.is_here() || look.listed.is_none();
        let own = decision.lists.iter().any(|list| list.look.as_ref().is_some_and(newer));
        let form = if policies.is_empty() && transfers.is_empty() && !own { FORM } else { FORM_SUCCEEDED };
        let basis = law.basis().to_vec();
        let chosen = answer.postures.iter().map(|posture| store::ChosenPosture {
            name: posture.name.clone(),
            value: posture.value.clone(),
            jurisdiction: posture.jurisdiction.clone(),
        });
        let body = store::AuditedDecision {
            request: Some(request),
            contact_version: before.as_ref().map_or(0, |(_, version)| version.0),
            contact: before.map(|(contact, _)| contact.into_stored()),
            registry_readings: readings.collect(),
            evaluated_at: decision.evaluated_at.millis(),
            rules_version: law.version().to_owned(),
            tzdata_version: tzdata_version().to_owned(),
            numbering_version: crate::place::numbering_version().to_owned(),
            server_region: settings.server_region.map(|place| place.to_string()).unwrap_or_default(),
            store_region: stored_at.map(|place| place.to_string()).unwrap_or_default(),
            stored_facts_only: settings.postures.stored_facts_only,
            postures: chosen.collect(),
            feed_version: standing.name(),
            freezes: decision.freezes.iter().map(|freeze| wire::freeze_message(freeze)).collect(),
            emergencies: decision.emergencies.iter().map(|state| wire::emergency_message(state)).collect(),
            reserve_for: u32::try_from(settings.reserve_for.0).unwrap_or(u32::MAX),
            decision: answer.encode_to_vec(),
            form,
            basis,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            policies,
            transfers,
        };
        store::AuditBody { body: Some(store::audit_body::Body::Decision(body)) }.encode_to_vec()
    }

    /// The body of a write.
    pub(super) fn write_body(
        permit: &Permit,
        request: store::audited_write::Request,
        version: u64,
        now: Instant,
    ) -> Vec<u8> {
        Self::write_body_with(permit, request, version, now, Told::default())
    }

    /// The body of a write, with what only the record could tell.
    pub(super) fn write_body_with(
        permit: &Permit,
        request: store::audited_write::Request,
        version: u64,
        now: Instant,
        told: Told,
    ) -> Vec<u8> {
        let (inbound, rules_version) = told.inbound.unzip();
        let body = store::AuditedWrite {
            request: Some(request),
            recorded_at: now.millis(),
            version,
            caller: permit.name().to_owned(),
            inbound,
            rules_version: rules_version.unwrap_or_default(),
            replaced: told.replaced,
        };
        store::AuditBody { body: Some(store::audit_body::Body::Write(body)) }.encode_to_vec()
    }

    /// What an entry about an attempt of this campaign says in the clear.
    pub(super) fn about(&self, kind: Kind, campaign: &str) -> About {
        let tag = || self.keys.now().campaign(&self.main.tenant, campaign);
        About { kind, campaign: (!campaign.is_empty()).then(tag), number: None }
    }

    /// Seals a body under the contact's own key.
    pub(super) fn contact_entry(
        &self,
        about: impl Into<About>,
        id: [u8; 16],
        now: Instant,
        key: &Key,
        own: &DataKey,
        body: &[u8],
    ) -> Result<Encoded, Failure> {
        let sealed = Sealed::by(own, &id, body)?;
        self.entry(about.into(), id, now, Some(*key.tag()), BodyKey::Contact, sealed)
    }

    /// Seals bytes under the key of the day.
    pub(super) async fn under_day_key(
        &self,
        kept: &Kept,
        now: Instant,
        purpose: Purpose,
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        Ok(self.key_of_day(kept, now).await?.seal(purpose, context, plain)?)
    }

    async fn key_of_day(&self, kept: &Kept, now: Instant) -> Result<Arc<DataKey>, Failure> {
        let day = DayKeys::day(now);
        match kept.days.remembered(day) {
            Some(key) => Ok(key),
            None => self.day_key(kept, day).await,
        }
    }

    /// Seals a body under the key of the day.
    pub(super) async fn day_entry(
        &self,
        kept: &Kept,
        about: impl Into<About>,
        id: [u8; 16],
        now: Instant,
        tag: Option<[u8; 32]>,
        body: &[u8],
    ) -> Result<Encoded, Failure> {
        let about = about.into();
        let sealed = Sealed::by(&*self.key_of_day(kept, now).await?, &id, body)?;
        self.entry(about, id, now, tag, BodyKey::Day(DayKeys::day(now)), sealed)
    }

    /// Notes that this was read, before it is answered: safe within a second, as a dry run is. The request says nothing
    /// personal; `tag`: about whom.
    pub(super) async fn note_reading(
        &self,
        permit: &Permit,
        kept: &Kept,
        tag: Option<[u8; 32]>,
        asked: store::audited_write::Request,
        now: Instant,
    ) -> Result<(), Failure> {
        if kept.log.is_none() {
            return Ok(());
        }
        let body = Self::write_body(permit, asked, 0, now);
        let entry = self.day_entry(kept, Kind::Reading, kept.next_id(now), now, tag, &body).await?;
        kept.log_soon(entry).await
    }

    /// The key of a day, made where there is none.
    pub(super) async fn day_key(&self, kept: &Kept, day: i32) -> Result<Arc<DataKey>, Failure> {
        // Held until the key is stored: it is sealed with these.
        let keys = self.keys.now();
        match kept.days.make(&*kept.store, &keys, day).await {
            Err(DayKeyError::Seal(SealError::UnknownKey(id))) => {
                let keys = self.keys.with_key(id).await?;
                Ok(kept.days.make(&*kept.store, &keys, day).await?)
            }
            made => Ok(made?),
        }
    }

    /// The key of a day, if there is one.
    pub(super) async fn find_day_key(&self, kept: &Kept, day: i32) -> Result<Option<Arc<DataKey>>, Failure> {
        match kept.days.find(&*kept.store, &self.keys.now(), day).await {
            Err(DayKeyError::Seal(SealError::UnknownKey(id))) => {
                let keys = self.keys.with_key(id).await?;
                Ok(kept.days.find(&*kept.store, &keys, day).await?)
            }
            found => Ok(found?),
        }
    }

    fn entry(
        &self,
        about: About,
        id: [u8; 16],
        at: Instant,
        tag: Option<[u8; 32]>,
        key: BodyKey,
        sealed: Sealed,
    ) -> Result<Encoded, Failure> {
        let open = Some(sealed.openings(&self.keys.now(), tag, &id, about.number));
        let id = DecisionId::from_bytes(id).ok_or_else(|| Failure::Internal("an id is no UUIDv7".to_owned()))?;
        let tenant = self.main.tenant.name().to_owned();
        let About { kind, campaign, number: _ } = about;
        Ok(Entry { kind: kind as u8, at, id, tenant, tag, campaign, open, key, body: sealed.body }.encode())
    }

    /// One decision of the log.
    ///
    /// # Errors
    /// No such decision for this tenant; the log or its keys cannot be read.
    pub async fn decision(&self, permit: &Permit, id: &str, now: Instant) -> Result<v1::DecisionRecord, Failure> {
        self.is_of(permit)?;
        const NONE: Failure = Failure::NotFound("no decision of this id is known here");
        let asked = v1::GetDecisionRequest { decision_id: id.to_owned() };
        let id = DecisionId::parse(id).ok_or(NONE)?;
        let kept = self.kept_of(id)?;
        let log = kept.log.as_ref().ok_or(NONE)?;
        let found = log.find(id).await?.ok_or(NONE)?;
        if found.entry.tenant != permit.tenant() {
            return Err(NONE);
        }
        let tag = found.entry.tag;
        let record = self.decision_of(kept, found).await?.ok_or(NONE)?;
        self.note_reading(permit, kept, tag, store::audited_write::Request::GetDecision(asked), now).await?;
        Ok(record)
    }

    /// The decision of an entry; `None`: it is the entry of something else.
    pub(super) async fn decision_of(&self, kept: &Kept, found: Found) -> Result<Option<v1::DecisionRecord>, Failure> {
        let Some(log) = &kept.log else { return Ok(None) };
        let entry = found.entry;
        let position = Some(v1::LogPosition {
            writer: log.writer().to_string(),
            sequence: found.seq,
            digest: entry.encode().digest().to_vec(),
            recorded_at: Some(super::answer::stamp(entry.at)),
        });
        let plain = match self.open_body(kept, &entry).await? {
            Ok(plain) => plain,
            Err(Unfit::Erased) => {
                return Ok(Some(v1::DecisionRecord { position, erased: true, ..v1::DecisionRecord::default() }));
            }
            Err(why) => return Err(Failure::Internal(why.to_string())),
        };
        let body = store::AuditBody::decode(plain.as_slice()).map_err(|e| Failure::Internal(e.to_string()))?;
        let Some(store::audit_body::Body::Decision(body)) = body.body else { return Ok(None) };
        let decision = v1::Decision::decode(body.decision.as_slice()).map_err(|e| Failure::Internal(e.to_string()))?;
        Ok(Some(record(body, decision, position)))
    }

    /// Opens a body. Where the contact moved, its key is in the region that has it now.
    pub(super) async fn open_body(&self, kept: &Kept, entry: &Entry) -> Result<Result<Vec<u8>, Unfit>, Failure> {
        let mut at = kept;
        for _ in 0..=2 * self.regions.len() {
            let done = match opened(&*at.store, &self.keys.now(), &at.tenant, &at.days, entry).await? {
                Err(Unfit::UnknownKey(id)) => {
                    let keys = self.keys.with_key(id).await?;
                    opened(&*at.store, &keys, &at.tenant, &at.days, entry).await?
                }
                done => done,
            };
            match (done, entry.key, entry.tag) {
                // The key of the day is here; whether the contact was erased is known where it is now.
                (Err(Unfit::Moved(_)), BodyKey::Day(day), Some(tag)) => {
                    let there = self.find_tagged(kept, tag, None).await?.loaded;
                    let erased = there.and_then(|loaded| loaded.contact.erased_at());
                    if erased.is_some_and(|erased| entry.at <= erased) {
                        return Ok(Err(Unfit::Erased));
                    }
                    let Some(key) = self.find_day_key(kept, day).await? else { return Ok(Err(Unfit::Erased)) };
                    let opened = key.open(Purpose::AuditBody, &entry.id.bytes(), &entry.body);
                    return Ok(opened.map_err(|error| Unfit::Sealed(error.to_string())));
                }
                (Err(Unfit::Moved(region)), ..) => at = self.kept(&region)?,
                (done, ..) => return Ok(done),
            }
        }
        Err(Failure::Aborted)
    }

    /// The region in whose log a decision is, by the writer that its id names: the engine's own where none is known.
    ///
    /// # Errors
    /// None that is open wrote it, and not all are open.
    pub(super) fn kept_of(&self, id: DecisionId) -> Result<&Kept, Failure> {
        if self.regions.is_empty() {
            return Ok(&self.main);
        }
        let mut closed = None;
        for kept in self.all_kept() {
            match kept {
                Ok(kept) if kept.log.as_ref().is_some_and(|log| log.writer() == id.writer()) => return Ok(kept),
                Ok(_) => {}
                Err(failure) => closed = Some(failure),
            }
        }
        closed.map_or(Ok(&self.main), Err)
    }
}

/// The policies, where some of them could overtake a consent.
fn judged_policies(standing: &Standing) -> Vec<store::JudgedPolicy> {
    let policies = standing.policies();
    if !policies.iter().any(|policy| policy.material) {
        return Vec::new();
    }
    let judged = policies.iter().map(|policy| store::JudgedPolicy {
        version: policy.version.to_string(),
        effective_at: policy.effective_at.millis(),
        material: policy.material,
        purposes: policy.purposes.iter().map(|purpose| i32::from(purpose.number())).collect(),
    });
    judged.collect()
}

/// The transfers that lead to the seller asked about.
fn judged_transfers(standing: &Standing, seller: &str) -> Vec<store::JudgedTransfer> {
    let Some(seller) = Seller::new(seller) else { return Vec::new() };
    let judged = leading_to(standing.transfers(), &seller).into_iter().map(|transfer| store::JudgedTransfer {
        from_seller: transfer.from.to_string(),
        to_seller: transfer.to.to_string(),
        keeps_terms: transfer.keeps_terms,
        at: transfer.at.millis(),
    });
    judged.collect()
}

pub(super) fn record(
    body: store::AuditedDecision,
    decision: v1::Decision,
    position: Option<v1::LogPosition>,
) -> v1::DecisionRecord {
    let stored = body.contact.as_ref().map(Contact::evidence_of);
    let postures = body.postures.into_iter().map(|posture| v1::Posture {
        name: posture.name,
        value: posture.value,
        jurisdiction: posture.jurisdiction,
    });
    let inputs = v1::Inputs {
        rules_version: body.rules_version,
        tzdata_version: body.tzdata_version,
        numbering_version: body.numbering_version,
        server_region: body.server_region,
        store_region: body.store_region,
        stored_facts_only: body.stored_facts_only,
        contact_version: body.contact_version,
        postures: postures.collect(),
        feed_version: body.feed_version,
        freezes: body.freezes,
        emergencies: body.emergencies,
    };
    v1::DecisionRecord {
        decision: Some(decision),
        request: body.request,
        stored,
        inputs: Some(inputs),
        position,
        erased: false,
    }
}
