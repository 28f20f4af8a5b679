//! What the audit log gets: an envelope in the clear, and a body sealed under the contact's own key, or a key of the day
//! where there is no record.

use prost::Message;

use super::control::{Standing, wire};
use super::{Engine, Failure};
use crate::access::Permit;
use crate::audit::{BodyKey, DecisionId, Encoded, Entry};
use crate::contact::{Contact, Seller, Term, leading_to};
use crate::decision::Decision;
use crate::law::Law;
use crate::proto::{store, v1};
use crate::store::{DataKey, DayKeys, Key, Purpose, Version};
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
}

/// Whether entries of this kind are the entries of swaps, which the store has an event for.
#[must_use]
pub const fn is_swapped(kind: u8) -> bool {
    kind == Kind::Reservation as u8 || kind == Kind::Write as u8
}

impl Engine {
    /// The id of a decision or write made now. It names the writer of the log, where there is one.
    pub(super) fn next_id(&self, now: Instant) -> [u8; 16] {
        match &self.log {
            Some(log) => log.next_id(now).bytes(),
            None => *uuid::Uuid::now_v7().as_bytes(),
        }
    }

    /// The body of a decision.
    pub(super) fn decision_body(
        &self,
        request: v1::CheckRequest,
        before: Option<(Contact, Version)>,
        law: &Law,
        standing: &Standing,
        decision: &Decision,
        answer: &v1::Decision,
    ) -> Vec<u8> {
        let readings = decision.lists.iter().map(|list| store::RegistryReading {
            registry: list.registry.to_string(),
            version: list.look.as_ref().map(|look| look.version.to_string()).unwrap_or_default(),
            as_of: list.look.as_ref().map_or(0, |look| look.as_of.millis()),
            listed: list.look.as_ref().map(|look| look.listed),
            listed_at: list.look.as_ref().and_then(|look| look.listed_at).map_or(0, Instant::millis),
            sample: list.look.as_ref().is_some_and(|look| look.sample),
        });
        let settings = &self.settings;
        let leading = judged_transfers(standing, &request.seller);
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
            stored_facts_only: settings.postures.stored_facts_only,
            postures: chosen.collect(),
            feed_version: standing.name(),
            freezes: decision.freezes.iter().map(|freeze| wire::freeze_message(freeze)).collect(),
            emergencies: decision.emergencies.iter().map(|state| wire::emergency_message(state)).collect(),
            reserve_for: u32::try_from(settings.reserve_for.0).unwrap_or(u32::MAX),
            decision: answer.encode_to_vec(),
            policies: judged_policies(standing),
            transfers: leading,
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
        Self::write_body_with(permit, request, version, now, None)
    }

    /// The body of a write, with what an inbound text was found to mean and by which packs.
    pub(super) fn write_body_with(
        permit: &Permit,
        request: store::audited_write::Request,
        version: u64,
        now: Instant,
        inbound: Option<(v1::ProcessInboundResponse, String)>,
    ) -> Vec<u8> {
        let (inbound, rules_version) = inbound.unzip();
        let body = store::AuditedWrite {
            request: Some(request),
            recorded_at: now.millis(),
            version,
            caller: permit.name().to_owned(),
            inbound,
            rules_version: rules_version.unwrap_or_default(),
        };
        store::AuditBody { body: Some(store::audit_body::Body::Write(body)) }.encode_to_vec()
    }

    /// Seals a body under the contact's own key.
    pub(super) fn contact_entry(
        &self,
        kind: Kind,
        id: [u8; 16],
        now: Instant,
        key: &Key,
        own: &DataKey,
        body: &[u8],
    ) -> Result<Encoded, Failure> {
        let body = own.seal(Purpose::AuditBody, &id, body)?;
        self.entry(kind, id, now, Some(*key.tag()), BodyKey::Contact, body)
    }

    /// Seals a body under the key of the day.
    pub(super) async fn day_entry(
        &self,
        kind: Kind,
        id: [u8; 16],
        now: Instant,
        tag: Option<[u8; 32]>,
        body: &[u8],
    ) -> Result<Encoded, Failure> {
        let day = DayKeys::day(now);
        let key = match self.days.remembered(day) {
            Some(key) => key,
            None => self.days.make(&*self.store, &self.keys, day).await?,
        };
        let body = key.seal(Purpose::AuditBody, &id, body)?;
        self.entry(kind, id, now, tag, BodyKey::Day(day), body)
    }

    fn entry(
        &self,
        kind: Kind,
        id: [u8; 16],
        at: Instant,
        tag: Option<[u8; 32]>,
        key: BodyKey,
        body: Vec<u8>,
    ) -> Result<Encoded, Failure> {
        let id = DecisionId::from_bytes(id).ok_or_else(|| Failure::Internal("an id is no UUIDv7".to_owned()))?;
        let tenant = self.tenant.name().to_owned();
        Ok(Entry { kind: kind as u8, at, id, tenant, tag, key, body }.encode())
    }

    /// Writes an entry that nobody waits for: safe within a second, or an error now.
    pub(super) async fn log_soon(&self, entry: Encoded) -> Result<(), Failure> {
        match &self.log {
            Some(log) => Ok(log.append_soon(entry).await?),
            None => Ok(()),
        }
    }

    /// One decision of the log.
    ///
    /// # Errors
    /// No such decision for this tenant; the log or its keys cannot be read.
    pub async fn decision(&self, permit: &Permit, id: &str) -> Result<v1::DecisionRecord, Failure> {
        const NONE: Failure = Failure::NotFound("no decision of this id is known here");
        let (Some(id), Some(log)) = (DecisionId::parse(id), &self.log) else { return Err(NONE) };
        let found = log.find(id).await?.ok_or(NONE)?;
        let entry = found.entry;
        if entry.tenant != permit.tenant() {
            return Err(NONE);
        }
        let position = Some(v1::LogPosition {
            writer: log.writer().to_string(),
            sequence: found.seq,
            digest: entry.encode().digest().to_vec(),
            recorded_at: Some(super::answer::stamp(entry.at)),
        });
        let opened = self.open_body(&entry).await?;
        let Some(plain) = opened else {
            return Ok(v1::DecisionRecord { position, erased: true, ..v1::DecisionRecord::default() });
        };
        let body = store::AuditBody::decode(plain.as_slice()).map_err(|e| Failure::Internal(e.to_string()))?;
        let Some(store::audit_body::Body::Decision(body)) = body.body else { return Err(NONE) };
        let decision = v1::Decision::decode(body.decision.as_slice()).map_err(|e| Failure::Internal(e.to_string()))?;
        Ok(record(body, decision, position))
    }

    /// Opens a body; `None` where its key was destroyed.
    async fn open_body(&self, entry: &Entry) -> Result<Option<Vec<u8>>, Failure> {
        let context = entry.id.bytes();
        let key = match (entry.key, entry.tag) {
            (BodyKey::Clear, _) => return Ok(Some(entry.body.clone())),
            (BodyKey::Contact, Some(tag)) => {
                let key = self.keys.key_of(&self.tenant, tag);
                match self.store.load(&key).await? {
                    // Whatever the record is: an entry about switches is sealed under the key of theirs.
                    Some(stored) => {
                        let (own, _) = self.keys.open_record(&key, &stored.bytes)?;
                        own.open(Purpose::AuditBody, &context, &entry.body)?
                    }
                    None => return Ok(None),
                }
            }
            (BodyKey::Day(day), _) => match self.days.find(&*self.store, &self.keys, day).await? {
                Some(key) => key.open(Purpose::AuditBody, &context, &entry.body)?,
                None => return Ok(None),
            },
            (BodyKey::Contact | BodyKey::Sealing(_), _) => {
                return Err(Failure::Internal("an audit body names a key that no decision has".to_owned()));
            }
        };
        Ok(Some(key))
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

fn record(
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
