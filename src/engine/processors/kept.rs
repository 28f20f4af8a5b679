//! Events that processors have still to confirm: kept for them beyond what events are kept otherwise, and counted where they
//! went all the same.

use std::collections::BTreeMap;

use super::{Delivery, Registered};
use crate::engine::watch::{Place, REWIND, kept_from, oldest};
use crate::engine::{Engine, Failure, Tenants};
use crate::store::Shard;
use crate::time::{Instant, Millis};

/// For how long events wait for a processor. In Redis they take memory: one that nobody mends and nobody removes must not
/// fill it.
const PATIENT: Millis = Millis::days(90);

/// Events that were no longer kept before a processor confirmed them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Missed {
    /// How many at most: some of them may concern nobody.
    pub events: u64,
    /// They were recorded before this; `None`: there are none.
    pub until: Option<Instant>,
}

/// From when on the events of each shard are held.
#[derive(Debug)]
pub struct Held {
    /// Those who are open here; `None`: there are regions, and with them no processors.
    tenants: Option<Vec<[u8; 8]>>,
    shards: BTreeMap<Shard, Instant>,
    /// Nothing is held from before this.
    longest: Instant,
}

impl Held {
    /// Before when the events of a shard may go, where those of others go before `before`.
    #[must_use]
    pub fn before(&self, shard: Shard, before: Instant) -> Instant {
        let Some(tenants) = &self.tenants else { return before };
        match self.shards.get(&shard) {
            Some(held) => before.min(self.longest.max(*held)),
            None if tenants.contains(&shard.tenant()) => before,
            // Of a tenant that is not open here nobody knows who follows.
            None => before.min(self.longest),
        }
    }
}

impl Tenants {
    /// What of the events has to stay: no processor of any tenant has confirmed it yet, or it was given up and may be asked
    /// for again.
    ///
    /// # Errors
    /// The store cannot be asked: then nothing may go.
    pub async fn held_events(&self, now: Instant) -> Result<Held, Failure> {
        let (mut tenants, mut shards) = (Vec::new(), BTreeMap::new());
        let longest = now.minus(PATIENT);
        if self.main().has_regions() {
            return Ok(Held { tenants: None, shards, longest });
        }
        for engine in self.all() {
            tenants.push(engine.main.tenant.shard(0).tenant());
            for one in engine.registered(now).await? {
                let open = async { engine.open_from(&one, &engine.delivery(&one).await?).await };
                let open = match open.await {
                    Err(error @ Failure::Store(_)) => return Err(error),
                    Err(error) => {
                        let processor = &one.processor.name;
                        tracing::error!(processor, %error, "ALARM: up to where it was told cannot be read: its events stay 90 days");
                        engine.shards().map(|shard| (shard, longest)).collect()
                    }
                    Ok(open) => open,
                };
                for (shard, from) in open {
                    let known = shards.entry(shard).or_insert(from);
                    *known = from.min(*known);
                }
            }
        }
        Ok(Held { tenants: Some(tenants), shards, longest })
    }
}

impl Engine {
    /// By shard, the instant of the first event that a processor has still to confirm.
    async fn open_from(&self, one: &Registered, delivery: &Delivery) -> Result<Vec<(Shard, Instant)>, Failure> {
        let places = delivery.places();
        let looks = self.shards().map(|shard| {
            let place = places.as_ref().and_then(|places| places.get(usize::from(shard.index())));
            let given_up = delivery.state.given_up.iter().filter(move |gone| gone.shard == u32::from(shard.index()));
            let again = given_up.map(|gone| Instant::from_millis(gone.recorded_at).minus(REWIND)).min();
            async move {
                let open = match place {
                    // Instants may be out of order: what stops those who trim is this event, wherever those after it lie.
                    Some(place) => {
                        kept_from(&*self.main.store, shard, place.seq, 1).await?.first().map(|first| first.at)
                    }
                    None => Some(one.since.minus(REWIND)),
                };
                Ok::<_, Failure>(open.into_iter().chain(again).min().map(|from| (shard, from)))
            }
        });
        Ok(futures_util::future::try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// What went before this processor confirmed it, beyond what is noted of that; of events up to `to`, if that is given.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn missed(
        &self,
        one: &Registered,
        delivery: &Delivery,
        to: Option<&[Place]>,
        now: Instant,
    ) -> Result<Missed, Failure> {
        let places = delivery.places();
        let looks = self.shards().map(|shard| {
            let at = usize::from(shard.index());
            let place = places.as_ref().and_then(|places| places.get(at)).map(|place| place.seq);
            let to = to.map(|to| to.get(at).map_or(0, |place| place.seq));
            async move {
                let gone = oldest(&*self.main.store, shard).await?.seq;
                let gone = to.map_or(gone, |to| gone.min(to));
                let from = place.unwrap_or_default();
                if gone <= from {
                    return Ok(Missed::default());
                }
                let first = kept_from(&*self.main.store, shard, gone, 1).await?;
                let until = first.first().map_or(Instant::FAR, |first| first.at);
                // Of one that never confirmed anything: what was older than its registration was promised as far as it is
                // kept, and what is newer is held.
                let outlived = until.min(now.minus(PATIENT)).millis() >= one.registered_at();
                let promised = place.is_some() || outlived;
                let missed = promised.then_some(Missed { events: gone - from, until: Some(until) });
                Ok::<_, Failure>(missed.unwrap_or_default())
            }
        });
        let missed = futures_util::future::try_join_all(looks).await?;
        Ok(missed.into_iter().fold(Missed::default(), Missed::and))
    }

    /// Where to go on, where what comes next is no longer kept: after what was confirmed, or with the oldest there is.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn places_left(&self, delivery: &Delivery) -> Result<Vec<Place>, Failure> {
        let left = futures_util::future::try_join_all(self.shards().map(|shard| oldest(&*self.main.store, shard)));
        let places = delivery.places().unwrap_or_default().into_iter().map(Some).chain(std::iter::repeat(None));
        let left = left.await?.into_iter().zip(places);
        Ok(left.map(|(oldest, place)| place.filter(|place| place.seq >= oldest.seq).unwrap_or(oldest)).collect())
    }
}

impl Missed {
    pub(super) fn and(self, other: Self) -> Self {
        Self { events: self.events.saturating_add(other.events), until: self.until.max(other.until) }
    }

    /// Whether anything was.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.events > 0
    }
}

impl Delivery {
    /// What is noted of events that went before they were confirmed.
    #[must_use]
    pub const fn noted_missed(&self) -> Missed {
        let until = if self.state.missed > 0 { Some(Instant::from_millis(self.state.missed_until)) } else { None };
        Missed { events: self.state.missed, until }
    }

    /// Notes it, with the places that lie past it.
    pub fn note_missed(&mut self, missed: Missed) {
        let Missed { events, until } = self.noted_missed().and(missed);
        (self.state.missed, self.state.missed_until) = (events, until.map_or(0, Instant::millis));
    }
}
