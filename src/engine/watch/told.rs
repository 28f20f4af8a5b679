//! Events as they are told: opened, and whom they concern.
//!
//! An event is sealed under the contact's own key, so that erasing the contact erases what its events say. What can still
//! be said of one whose key is gone is said: what happened to somebody, and when. The event of the erasure itself is sealed
//! under the key of its day, and names the number once more, so that all who hold it can be told to delete it.

use std::collections::BTreeMap;

use prost::Message as _;

use crate::contact::{Grade, Stored, Term as _, is_one_name};
use crate::engine::answer::stamp;
use crate::engine::region::Kept;
use crate::engine::{Engine, Failure};
use crate::place::Number;
use crate::proto::store::ContactEvent;
use crate::proto::v1::{self, OptOutEventKind};
use crate::store::{DataKey, DayKeys, Digest, Key, Purpose, SealError, StoredEvent, Versioned};
use crate::time::Instant;

use super::place::{Place, kept_from};

/// An event, opened.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// Its shard.
    pub shard: u16,
    /// Its place there.
    pub place: Place,
    /// The record it is about: events of one key are told in order.
    pub key: Key,
    /// What is told.
    pub event: v1::OptOutEvent,
    /// Whom it concerns. Empty: every seller.
    sellers: Vec<String>,
    /// It should open, and does not.
    unreadable: bool,
    digest: Digest,
}

/// What there is to open the events of one record with.
enum Opener {
    /// Nothing: the store has forgotten the record, once nothing was left in it.
    Gone,
    /// Nothing that opens: the record is damaged.
    Damaged,
    /// The contact's own key, and the record that it was found in.
    Own(DataKey, Vec<u8>),
}

impl Opener {
    /// Whether what was sealed at that instant was given up on purpose, with the key of then.
    fn was_erased(&self, at: Instant) -> bool {
        match self {
            Self::Gone => true,
            Self::Damaged => false,
            Self::Own(_, plain) => match Stored::from_bytes(plain) {
                Ok(Stored::Here(contact) | Stored::Arriving(contact, _)) => {
                    contact.digits().is_none() || contact.erased_at().is_some_and(|erased| at <= erased)
                }
                Ok(Stored::Elsewhere(_)) | Err(_) => false,
            },
        }
    }
}

impl Told {
    /// An event that concerns everybody.
    #[cfg(test)]
    pub(crate) const fn bare(shard: u16, place: Place, key: Key, event: v1::OptOutEvent) -> Self {
        Self { shard, place, key, event, sellers: Vec::new(), unreadable: false, digest: [0; 32] }
    }

    /// Whether nobody can say what it says, though its contact was not erased.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Whether it is the event of this id: its own, or the one it goes by as long as it does not open.
    #[must_use]
    pub fn goes_by(&self, event_id: &str) -> bool {
        self.event.event_id == event_id || bare_id(&self.digest) == event_id
    }

    /// Whether it concerns one of these sellers, in whichever spelling; of none named, always.
    #[must_use]
    pub fn concerns(&self, sellers: &[String]) -> bool {
        let named = |seller: &String| sellers.iter().any(|one| is_one_name(one, seller));
        sellers.is_empty() || self.sellers.is_empty() || self.sellers.iter().any(named)
    }

    /// Whether it concerns one of these channels; of none named, always.
    #[must_use]
    pub fn reaches(&self, channels: &[i32]) -> bool {
        let scope = self.event.opt_out.as_ref().and_then(|opt_out| opt_out.scope.as_ref());
        let named = scope.or(self.event.scope.as_ref()).map(|scope| scope.channels.as_slice()).unwrap_or_default();
        channels.is_empty() || named.is_empty() || named.iter().any(|channel| channels.contains(channel))
    }

    /// When it was recorded.
    #[must_use]
    pub fn recorded_at(&self) -> Instant {
        let millis = self.event.recorded_at.as_ref().and_then(|at| at.to_millis());
        millis.map_or(Instant::NEVER, Instant::from_millis)
    }
}

/// The event of a recorded consent: a withdrawal; or what may reopen what was closed. `None`: of no interest.
pub(in crate::engine) fn consent_event(number: Number, consent: &v1::Consent) -> Option<ContactEvent> {
    let kind = match (&consent.withdrawn_at, Grade::from_number(consent.grade)) {
        (Some(_), _) => OptOutEventKind::Withdrawn,
        (None, Some(grade)) if grade >= Grade::Express => OptOutEventKind::Reopened,
        _ => return None,
    };
    let scope = v1::OptOutScope {
        channels: consent.channels.clone(),
        purposes: consent.purposes.clone(),
        sellers: consent.sellers.clone(),
        subjects: consent.products.clone(),
        ..v1::OptOutScope::default()
    };
    Some(ContactEvent {
        format: 1,
        kind: kind.into(),
        number: number.reveal_digits(),
        sellers: consent.sellers.clone(),
        scope: Some(scope),
        ..ContactEvent::default()
    })
}

fn kind_of(event: &StoredEvent) -> Option<OptOutEventKind> {
    OptOutEventKind::try_from(i32::from(event.kind)).ok().filter(|kind| *kind != OptOutEventKind::Unspecified)
}

impl Engine {
    /// The kind and the sealed payload of an event; `entry` is the id and the digest of its audit entry.
    pub(in crate::engine) async fn event_payload(
        &self,
        kept: &Kept,
        event: Option<ContactEvent>,
        key: &Key,
        own: &DataKey,
        (id, digest): ([u8; 16], [u8; 32]),
        now: Instant,
    ) -> Result<(u8, Vec<u8>), Failure> {
        let Some(event) = event else { return Ok((0, Vec::new())) };
        let event = ContactEvent { entry_id: id.to_vec(), entry_digest: digest.to_vec(), ..event };
        let kind = u8::try_from(event.kind).unwrap_or(0);
        let (context, plain) = (key.to_bytes(), event.encode_to_vec());
        let payload = if event.kind == i32::from(OptOutEventKind::Erased) {
            let day = self.day_key(kept, DayKeys::day(now)).await?;
            day.seal(Purpose::Payload, &context, &plain)?
        } else {
            own.seal(Purpose::Payload, &context, &plain)?
        };
        Ok((kind, payload))
    }

    /// The event at a place, opened; `None`: it is no longer kept, or nobody is told of it.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn event_at(&self, shard: u16, seq: u64) -> Result<Option<Told>, Failure> {
        let found = kept_from(&*self.main.store, self.main.tenant.shard(shard), seq.saturating_sub(1), 1).await?;
        let found: Vec<_> = found.into_iter().filter(|event| event.id.seq == seq).collect();
        Ok(self.told(&found).await?.pop())
    }

    /// Opens those of these events that somebody is told of.
    pub(in crate::engine) async fn told(&self, events: &[StoredEvent]) -> Result<Vec<Told>, Failure> {
        let wanted: Vec<_> = events.iter().filter_map(|event| Some((event, kind_of(event)?))).collect();
        let keys: Vec<Key> = wanted.iter().map(|(event, _)| event.key).collect();
        let mut openers: BTreeMap<Key, Opener> = BTreeMap::new();
        let records = if keys.is_empty() { Vec::new() } else { self.main.store.load_many(&keys).await? };
        for (key, record) in keys.iter().zip(records) {
            if !openers.contains_key(key) {
                openers.insert(*key, self.opener(key, record).await?);
            }
        }
        let mut told = Vec::with_capacity(wanted.len());
        for (event, kind) in wanted {
            let opener = openers.get(&event.key).unwrap_or(&Opener::Gone);
            told.push(self.tell(event, kind, opener).await?);
        }
        Ok(told)
    }

    /// What opens the events of a record. A sealing key that is missing is no erasure: nothing is passed over for it.
    async fn opener(&self, key: &Key, record: Option<Versioned>) -> Result<Opener, Failure> {
        let Some(record) = record else { return Ok(Opener::Gone) };
        match self.keys.open_record(key, &record.bytes).await {
            Ok((own, plain)) => Ok(Opener::Own(own, plain)),
            Err(error @ SealError::UnknownKey(_)) => Err(error.into()),
            Err(error) => {
                tracing::error!(?key, %error, "a record does not open: its events are told without their number");
                Ok(Opener::Damaged)
            }
        }
    }

    async fn tell(&self, stored: &StoredEvent, kind: OptOutEventKind, opener: &Opener) -> Result<Told, Failure> {
        let context = stored.key.to_bytes();
        let own = if let Opener::Own(own, _) = opener { Some(own) } else { None };
        let plain = if kind == OptOutEventKind::Erased {
            let day = self.find_day_key(&self.main, DayKeys::day(stored.at)).await?;
            day.and_then(|day| day.open(Purpose::Payload, &context, &stored.payload).ok())
        } else {
            own.and_then(|own| own.open(Purpose::Payload, &context, &stored.payload).ok())
        };
        let opened = plain.and_then(|plain| ContactEvent::decode(plain.as_slice()).ok());
        // That of an erasure goes with the key of its day; then nobody was told to forget the number.
        let unreadable = opened.is_none() && (kind == OptOutEventKind::Erased || !opener.was_erased(stored.at));
        let (event, sellers) = match opened {
            Some(opened) => message(kind, opened),
            None => (bare(stored, kind), Vec::new()),
        };
        let (shard, place, key, digest) = (stored.id.shard.index(), Place::of(stored), stored.key, stored.digest);
        Ok(Told { shard, place, key, event, sellers, unreadable, digest })
    }
}

fn message(kind: OptOutEventKind, opened: ContactEvent) -> (v1::OptOutEvent, Vec<String>) {
    let event_id = uuid::Uuid::from_slice(&opened.entry_id).map(|id| id.hyphenated().to_string()).unwrap_or_default();
    let recorded_at = Some(stamp(Instant::from_millis(opened.recorded_at)));
    let number = Number::from_digits(opened.number).map(|number| number.reveal_e164().as_str().to_owned());
    let opt_out = opened.opt_out.map(|mut opt_out| {
        if opt_out.opt_out_id.is_empty() {
            opt_out.opt_out_id.clone_from(&event_id);
        }
        // Recorded opt-outs carry the instant of their recording at the latest.
        let recorded = opened.recorded_at;
        opt_out.at = opt_out.at.filter(|at| at.to_millis().is_some_and(|at| at < recorded)).or(recorded_at);
        opt_out
    });
    let event = v1::OptOutEvent {
        event_id,
        kind: kind.into(),
        number: number.unwrap_or_default(),
        opt_out,
        recorded_at,
        scope: opened.scope,
        policy_version: opened.policy_version,
        effective_at: (opened.effective_at != 0).then(|| stamp(Instant::from_millis(opened.effective_at))),
    };
    (event, opened.sellers)
}

/// What can be said without a key.
fn bare(stored: &StoredEvent, kind: OptOutEventKind) -> v1::OptOutEvent {
    let (event_id, recorded_at) = (bare_id(&stored.digest), Some(stamp(stored.at)));
    v1::OptOutEvent { event_id, kind: kind.into(), recorded_at, ..v1::OptOutEvent::default() }
}

/// What an event goes by whose own id cannot be read.
fn bare_id(digest: &Digest) -> String {
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
