//! How far a processor was told, and which instance tells it: a named value of the store, sealed, changed by
//! compare-and-set alone.
//!
//! One instance delivers at a time. It writes the value at least every few seconds; another takes over once the value has
//! stood still for [`PATIENCE`] by its own clock, so that clocks that differ matter to nobody. The one it was taken from
//! notices with its next write. What both sent meanwhile was sent twice; nothing is passed over.

use std::time::Duration;

use prost::Message as _;

use super::{Registered, UNKNOWN};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::engine::control::wire;
use crate::engine::watch::{Place, Token, watched_sellers};
use crate::engine::{Engine, Failure};
use crate::proto::store::DeliveryState;
use crate::proto::v1;
use crate::store::{MetaSwapped, Purpose, Version};
use crate::time::Instant;

/// For how long the value stands still before another instance takes over.
pub const PATIENCE: Duration = Duration::from_secs(12);
const FORM: u32 = 1;
/// The form of one with events that were missed: a build that does not know them must not write them away.
const FORM_MISSED: u32 = 2;

/// How far a processor was told, as the store has it.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Which writing of it.
    pub version: Version,
    /// It; of a processor that was never told anything, empty.
    pub state: DeliveryState,
}

impl Delivery {
    /// The places up to which all is confirmed; `None`: nothing was ever told.
    #[must_use]
    pub fn places(&self) -> Option<Vec<Place>> {
        let (places, marks) = (&self.state.places, &self.state.marks);
        (!places.is_empty())
            .then(|| places.iter().zip(marks).map(|(seq, mark)| Place { seq: *seq, mark: *mark }).collect())
    }

    /// Whether an event beyond the places was confirmed or given up.
    #[must_use]
    pub fn is_settled(&self, shard: u16, seq: u64) -> bool {
        let state = &self.state;
        state.beyond.iter().chain(&state.given_up).any(|one| one.shard == u32::from(shard) && one.seq == seq)
    }

    /// Whether nothing is sent until somebody asks for it anew.
    #[must_use]
    pub const fn is_disabled(&self, of: &Registered) -> bool {
        self.state.disabled_at != 0 && self.state.resumed_at == of.resumed_at
    }

    /// Moves the places.
    pub fn move_to(&mut self, places: &[Place], now: Instant) {
        self.state.places = places.iter().map(|place| place.seq).collect();
        self.state.marks = places.iter().map(|place| place.mark).collect();
        self.state.moved_at = now.millis();
    }
}

impl Engine {
    fn delivery_name(&self, processor: &str) -> String {
        format!("deliver/{}/{processor}", self.main.tenant.name())
    }

    /// How far a processor was told. What an earlier one of the same name was told says nothing.
    ///
    /// # Errors
    /// The store cannot be asked, or holds what no build wrote.
    pub async fn delivery(&self, of: &Registered) -> Result<Delivery, Failure> {
        let name = self.delivery_name(&of.processor.name);
        let found = self.main.store.meta_get(&name).await?;
        let fresh = DeliveryState { format: FORM, registered_at: of.registered_at(), ..DeliveryState::default() };
        let Some(found) = found else { return Ok(Delivery { version: Version::ABSENT, state: fresh }) };
        let plain = self.keys.open_bytes(Purpose::Meta, name.as_bytes(), &found.bytes).await?;
        let state = DeliveryState::decode(plain.as_slice()).map_err(|error| Failure::Internal(error.to_string()))?;
        if state.format > FORM_MISSED {
            return Err(Failure::Internal(format!("{name} has form {}: run the newer build", state.format)));
        }
        let shards = usize::from(self.main.store.shard_count().max(1));
        let usable =
            state.registered_at == of.registered_at() && matches!(state.places.len(), n if n == 0 || n == shards);
        Ok(Delivery { version: found.version, state: if usable { state } else { fresh } })
    }

    /// Writes how far a processor was told, if nobody did meanwhile; whether it was written.
    ///
    /// # Errors
    /// The store cannot be asked: it may have been written.
    pub async fn save_delivery(&self, of: &Registered, delivery: &mut Delivery) -> Result<bool, Failure> {
        let name = self.delivery_name(&of.processor.name);
        delivery.state.format = if delivery.noted_missed().is_any() { FORM_MISSED } else { FORM };
        delivery.state.beat = delivery.state.beat.wrapping_add(1);
        let keys = self.keys.now();
        let sealed = keys.seal_bytes(Purpose::Meta, name.as_bytes(), &delivery.state.encode_to_vec())?;
        match self.main.store.meta_swap(&name, delivery.version, sealed).await? {
            MetaSwapped::Won(version) => {
                delivery.version = version;
                Ok(true)
            }
            MetaSwapped::Lost(_) => Ok(false),
        }
    }

    async fn watching(&self, name: &str, now: Instant) -> Result<Registered, Failure> {
        let found = self.registered(now).await?.into_iter().find(|one| one.processor.name == name).ok_or(UNKNOWN)?;
        if found.processor.url.is_empty() {
            return Ok(found);
        }
        Err(super::fault("watcher", "is a processor with a url: it confirms by answering"))
    }

    /// Whether somebody of this name may watch.
    pub(in crate::engine) async fn watcher_is_known(&self, name: &str) -> Result<(), Failure> {
        self.watching(name, Instant::NEVER).await.map(drop)
    }

    /// Notes that a processor which watches has dealt with all before a token.
    pub(in crate::engine) async fn confirm_watched(
        &self,
        name: &str,
        token: &Token,
        now: Instant,
    ) -> Result<(), Failure> {
        let of = self.watching(name, now).await?;
        loop {
            let mut delivery = self.delivery(&of).await?;
            // An older token brought again takes nothing back.
            if delivery.state.tried_at >= token.issued_at.millis() {
                return Ok(());
            }
            let missed = self.missed(&of, &delivery, Some(&token.places), now).await?;
            delivery.note_missed(missed);
            delivery.move_to(&token.places, now);
            delivery.state.tried_at = token.issued_at.millis();
            if self.save_delivery(&of, &mut delivery).await? {
                return Ok(());
            }
        }
    }

    /// Notes what a processor which watches has dealt with.
    ///
    /// # Errors
    /// A faulty request; an unknown watcher; the store cannot be asked.
    pub async fn confirm_opt_outs(
        &self,
        permit: &Permit,
        request: &v1::ConfirmOptOutsRequest,
        now: Instant,
    ) -> Result<v1::ConfirmOptOutsResponse, Failure> {
        let mut reader = Reader::new();
        watched_sellers(&mut reader, &request.sellers);
        if request.watcher.is_empty() {
            reader.fault("watcher", "is required");
        }
        wire::sound(reader)?;
        let token = self.open_token(permit, &request.resume_token, &request.sellers).await?;
        self.confirm_watched(&request.watcher, &token, now).await?;
        Ok(v1::ConfirmOptOutsResponse {})
    }
}
