//! A past decision judged again, from its entry in the log: as it was made, or with one thing changed, the packs or what
//! is known of the contact.
//!
//! Promises: as then, it is the very same bytes or it says why it cannot be; nothing is reserved, counted or written. An
//! input that the entry lacks is named, never made up. Guarded by `tests/replay.rs`.

mod bundle;
mod laws;
mod run;
mod service;
mod tally;
mod vault;

use std::cell::RefCell;

use prost::Message;

pub use bundle::{Bundled, Source, bundle};
pub use laws::{Laws, Unfit, install};
pub use run::{Filter, Plan, run};
pub use tally::{Change, Example, Flips, RuleFlips, Tally, Unfits};
pub(super) use tally::{example, family};
pub use vault::Vault;
pub(super) use vault::opened;

use super::answer::{self, Granted};
use super::audited::Kind;
use super::check::{Turned, unusable};
use super::control::{Standing, wire};
use super::listed::WithOwn;
use super::question;
use crate::audit::{DecisionId, Entry};
use crate::contact::{AttemptId, Contact, Facts, PublishedPolicy, SellerTransfer, Succession};
use crate::decision::{self, Evidence, Lists, Look, Postures, Question, Switches};
use crate::law::{Law, OWN_LIST};
use crate::place::LocationPosture;
use crate::place::lines::is_line_list;
use crate::proto::{store, v1};
use crate::registry::Snapshot;
use crate::time::{Instant, Millis};

/// The form of an [`store::AuditedDecision`] that no policy, no transfer and no list kept by API took part in: the first
/// that holds everything that decides.
pub(super) const FORM: u32 = 2;
/// The newest form: with them. An older build would judge without.
pub(super) const FORM_SUCCEEDED: u32 = 3;

/// What an entry of the log is about.
#[derive(Debug)]
pub enum Recorded {
    /// One decision.
    Decision(Box<Past>),
    /// Many rows as one: of them only digests are kept.
    Rows(u64),
    /// Anything else.
    Write,
}

/// A decision, with every input of it.
#[derive(Debug)]
pub struct Past {
    id: DecisionId,
    reservation: bool,
    request: v1::CheckRequest,
    body: store::AuditedDecision,
    /// The answer of then.
    original: v1::Decision,
}

/// What is known of the contact when a past decision is judged again.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// What was known when it was made.
    Then,
    /// What is known now of that instant: facts recorded since count as far as their own dates say. `None`: there is no
    /// record.
    Now(Option<&'a Contact>),
}

/// Under what a past decision is judged again.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    pub law: &'a Law,
    pub known: Known<'a>,
    /// Lists of now, for registries that were not looked into then.
    pub lists: Option<&'a Snapshot>,
    /// The switches as they were, those included that no rule looked at; `None`: those of the entry.
    pub switches: Option<&'a Standing>,
}

/// A past decision, judged again.
#[derive(Debug)]
pub struct Judged {
    /// The answer of now.
    pub decision: v1::Decision,
    /// Registries that a rule asks for and the entry says nothing of: they were held to be not loaded.
    pub unasked: Vec<String>,
}

impl Past {
    /// Reads an entry whose body was opened.
    ///
    /// # Errors
    /// It holds not everything that decides, or does not read.
    pub fn read(entry: &Entry, body: &[u8]) -> Result<Recorded, Unfit> {
        let unread = |error: prost::DecodeError| Unfit::Unreadable(error.to_string());
        let body = store::AuditBody::decode(body).map_err(unread)?;
        match body.body {
            Some(store::audit_body::Body::Decision(body)) => {
                Self::of(entry.id, entry.kind, body).map(|past| Recorded::Decision(Box::new(past)))
            }
            Some(store::audit_body::Body::Write(store::AuditedWrite {
                request: Some(store::audited_write::Request::Batch(batch)),
                ..
            })) => Ok(Recorded::Rows(batch.rows)),
            _ => Ok(Recorded::Write),
        }
    }

    pub(super) fn of(id: DecisionId, kind: u8, mut body: store::AuditedDecision) -> Result<Self, Unfit> {
        match body.form {
            FORM | FORM_SUCCEEDED => {}
            newer if newer > FORM_SUCCEEDED => return Err(Unfit::Newer(newer)),
            _ => return Err(Unfit::Older),
        }
        let original = v1::Decision::decode(body.decision.as_slice());
        let original = original.map_err(|error| Unfit::Unreadable(error.to_string()))?;
        let request = body.request.take().ok_or_else(|| Unfit::Unreadable("no question is in it".to_owned()))?;
        Ok(Self { id, reservation: kind == Kind::Reservation as u8, request, body, original })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> DecisionId {
        self.id
    }

    /// The answer of then.
    #[must_use]
    pub const fn original(&self) -> &v1::Decision {
        &self.original
    }

    /// The question of then.
    #[must_use]
    pub const fn request(&self) -> &v1::CheckRequest {
        &self.request
    }

    /// Names the law of then.
    #[must_use]
    pub fn basis(&self) -> Option<[u8; 32]> {
        self.body.basis.as_slice().try_into().ok()
    }

    /// Whether an answer is that of then, to the byte.
    #[must_use]
    pub fn is_original(&self, decision: &v1::Decision) -> bool {
        decision.encode_to_vec() == self.body.decision
    }

    /// Judges it again.
    pub(super) fn judge(&self, under: Under<'_>) -> Result<Judged, Unfit> {
        let body = &self.body;
        let region = match body.server_region.as_str() {
            "" => None,
            code => Some(code.parse().map_err(|_| Unfit::Unreadable(format!("{code} is no region")))?),
        };
        let mut checked = question::read(&self.request, region).map_err(|violations| {
            let fields: Vec<_> = violations.iter().map(|one| one.field.as_str()).collect();
            Unfit::Request(fields.join(", "))
        })?;
        // Where the record was stored is where its data were processed, beside where it was asked from.
        match body.store_region.as_str() {
            "" => {}
            code => {
                let place = code.parse().map_err(|_| Unfit::Unreadable(format!("{code} is no region")))?;
                checked.attempt.processing_regions.push(place);
            }
        }
        let now = Instant::from_millis(body.evaluated_at);
        let postures = postures(body)?;
        let number = match checked.number {
            Ok(number) => number,
            Err(error) => {
                let decision = decision::unusable(error, now);
                let granted = self.granted(&self.request.attempt_id, None);
                let decision = unusable(&decision, error, &self.request, under.law, &postures, granted);
                return Ok(Judged { decision, unasked: Vec::new() });
            }
        };
        let (stored, live) = match under.known {
            Known::Then => {
                let record = body.contact.clone().map(Contact::from_stored).transpose();
                let record = record.map_err(|error| Unfit::Unreadable(error.to_string()))?;
                (record.map(|contact| contact.facts(checked.attempt_id.as_ref())), checked.at.is_none())
            }
            // The attempt itself is in the record by now; it must not stand in its own way.
            Known::Now(contact) => (contact.map(|contact| contact.facts(self.attempt_id().as_ref())), false),
        };
        let mut stored = stored.unwrap_or_else(Facts::default);
        let beside = under.lists.map(|lists| Turned::new(lists, number));
        let own = under.switches.map(|standing| (standing, now));
        let lists = Readings { then: &body.registry_readings, beside, own, unasked: RefCell::default() };
        let kept = Kept::of(body)?;
        let about = (&checked.attempt.seller, checked.attempt.purpose);
        let asserted = kept.succession().apply(&mut stored, &checked.facts, about, now);
        let decision = decision::decide(&Question {
            number,
            attempt: &checked.attempt,
            evidence: Evidence { asserted: &asserted, stored: &stored, lists: &lists, live },
            law: under.law,
            switches: under.switches.map_or_else(|| kept.switches(), Standing::switches),
            postures: &postures,
            now,
        });
        let granted = self.reservation && decision.allows();
        let until = now.plus(Millis(i64::from(body.reserve_for)));
        let use_by = granted.then(|| decision.valid_until.unwrap_or(Instant::FAR).min(until));
        let attempt_id = match (&checked.attempt_id, granted) {
            (Some(given), true) => given.as_str().to_owned(),
            (None, true) => self.id.to_string(),
            (_, false) => self.request.attempt_id.clone(),
        };
        let granted = self.granted(&attempt_id, use_by);
        let decision = answer::message(&decision, Some(number), under.law, &postures, granted);
        Ok(Judged { decision, unasked: lists.unasked.into_inner() })
    }

    fn granted(&self, attempt_id: &str, use_by: Option<Instant>) -> Granted {
        Granted {
            decision_id: uuid::Uuid::from_bytes(self.id.bytes()),
            attempt_id: attempt_id.to_owned(),
            use_by,
            degraded: false,
        }
    }

    /// The attempt it was about, by the id that the record has.
    fn attempt_id(&self) -> Option<AttemptId> {
        AttemptId::new(&self.original.attempt_id)
    }
}

/// What differs between two answers, by the names of the contract.
#[must_use]
pub fn differing(then: &v1::Decision, now: &v1::Decision) -> Vec<&'static str> {
    let pairs = [
        ("verdict", then.verdict == now.verdict),
        ("reasons", then.reasons == now.reasons),
        ("obligations", then.obligations == now.obligations),
        ("retry_at", then.retry_at == now.retry_at),
        ("valid_until", then.valid_until == now.valid_until),
        ("use_by", then.use_by == now.use_by),
        ("number", then.number == now.number && then.number_type == now.number_type),
        ("jurisdictions", then.jurisdictions == now.jurisdictions),
        ("local_times", then.local_times == now.local_times),
        ("rules_version", then.rules_version == now.rules_version),
        ("warnings", then.warnings == now.warnings),
        ("registry_copies", then.registry_copies == now.registry_copies),
    ];
    let mut names: Vec<_> = pairs.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect();
    if names.is_empty() && then != now {
        names.push("other fields");
    }
    names
}

/// How doubt was read.
fn postures(body: &store::AuditedDecision) -> Result<Postures, Unfit> {
    let mut postures = Postures::default();
    for posture in &body.postures {
        match (posture.name.as_str(), posture.value.as_str()) {
            ("location", "residence") => postures.location = LocationPosture::Residence,
            ("trust", "stored") => postures.stored_facts_only = true,
            ("verified_only", "true") => postures.verified_only = true,
            (name, "on") => postures.chosen.push(name.into()),
            (name, value) => return Err(Unfit::Unreadable(format!("posture {name} = {value} is not known"))),
        }
    }
    Ok(postures)
}

/// The registries as they answered then.
struct Readings<'a> {
    then: &'a [store::RegistryReading],
    beside: Option<Turned<'a>>,
    /// What the tenant's own lists are, where that is known.
    own: Option<(&'a Standing, Instant)>,
    unasked: RefCell<Vec<String>>,
}

impl Lists for Readings<'_> {
    fn look_up(&self, registry: &str) -> Option<Look> {
        if let Some(reading) = self.then.iter().find(|reading| reading.registry == registry) {
            // One with a version and without a word: the copy did not speak for the number's area.
            return (reading.listed.is_some() || !reading.version.is_empty()).then(|| Look {
                listed: reading.listed,
                listed_at: (reading.listed_at != 0).then(|| Instant::from_millis(reading.listed_at)),
                as_of: Instant::from_millis(reading.as_of),
                version: reading.version.as_str().into(),
                sample: reading.sample,
            });
        }
        if let Some(files) = &self.beside {
            return match self.own {
                Some((standing, now)) => WithOwn { files, standing, now }.look_up(registry),
                None => files.look_up(registry),
            };
        }
        // These are asked of every number, and recorded where they were loaded.
        if is_line_list(registry) {
            return None;
        }
        let mut unasked = self.unasked.borrow_mut();
        if !unasked.iter().any(|known| known == registry) {
            unasked.push(registry.to_owned());
        }
        None
    }

    fn own_hits(&self) -> Vec<Box<str>> {
        // One that said nothing then could not be read.
        let then = self.then.iter().filter(|reading| reading.listed != Some(false));
        let own = then.filter(|reading| reading.registry.starts_with(OWN_LIST));
        let mut hits: Vec<Box<str>> = own.map(|reading| reading.registry.as_str().into()).collect();
        if let Some(files) = &self.beside {
            hits.extend(match self.own {
                Some((standing, now)) => WithOwn { files, standing, now }.own_hits(),
                None => files.own_hits(),
            });
        }
        hits
    }

    fn own_clear(&self, tell: &mut dyn FnMut(&str)) {
        let clear = self.then.iter().filter(|reading| reading.listed == Some(false));
        let own = clear.filter(|reading| reading.registry.starts_with(OWN_LIST));
        own.for_each(|reading| tell(&reading.registry));
        if let Some(files) = &self.beside {
            match self.own {
                Some((standing, now)) => WithOwn { files, standing, now }.own_clear(tell),
                None => files.own_clear(tell),
            }
        }
    }
}

/// The switches, policies and transfers that an entry holds.
struct Kept {
    policies: Vec<PublishedPolicy>,
    transfers: Vec<SellerTransfer>,
    freezes: Vec<std::sync::Arc<decision::Freeze>>,
    emergencies: Vec<std::sync::Arc<crate::law::Declared>>,
}

impl Kept {
    fn of(body: &store::AuditedDecision) -> Result<Self, Unfit> {
        let unread = |what: &str| Unfit::Unreadable(format!("{what} in it does not read"));
        let freezes = body.freezes.iter().map(|freeze| wire::freeze_of(freeze).map(Into::into));
        let states = body.emergencies.iter().map(|state| wire::emergency_of(state).map(Into::into));
        let policies = body.policies.iter().map(wire::judged_policy);
        let transfers = body.transfers.iter().map(wire::judged_transfer);
        Ok(Self {
            policies: policies.collect::<Option<_>>().ok_or_else(|| unread("a policy"))?,
            transfers: transfers.collect::<Option<_>>().ok_or_else(|| unread("a transfer"))?,
            freezes: freezes.collect::<Option<_>>().ok_or_else(|| unread("a freeze"))?,
            emergencies: states.collect::<Option<_>>().ok_or_else(|| unread("a state of emergency"))?,
        })
    }

    fn succession(&self) -> Succession<'_> {
        Succession { policies: &self.policies, transfers: &self.transfers }
    }

    fn switches(&self) -> Switches<'_> {
        Switches { freezes: &self.freezes, emergencies: &self.emergencies, fed: &[] }
    }
}
