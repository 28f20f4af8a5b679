//! One who follows: first from the store, from wherever it begins; then with everybody else; and from the store again
//! when it was too slow.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::place::{self, Place, REWIND, TOO_OLD, kept_from, oldest, read_on, seek};
use super::{Batch, Now, PAGE, Told};
use crate::engine::{Engine, Failure};
use crate::time::Instant;

/// Where to begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// With what is recorded from now on.
    Now,
    /// With the oldest event kept.
    Oldest,
    /// With what was recorded at this instant.
    Since(Instant),
    /// After these places, as they were told at this instant.
    After(Vec<Place>, Instant),
}

/// Some events of one shard, in order; may be none.
#[derive(Debug)]
pub struct Step {
    /// The shard.
    pub shard: u16,
    /// The place after them.
    pub to: Place,
    /// The events.
    pub events: VecDeque<Arc<Told>>,
}

/// One who follows.
pub struct Follower {
    engine: Arc<Engine>,
    live: broadcast::Receiver<Arc<Batch>>,
    stopping: watch::Receiver<bool>,
    places: Vec<Place>,
    /// Shards to be read from the store.
    behind: BTreeSet<u16>,
    /// How far back a history that changed is read again.
    since: Option<Instant>,
    /// Events recorded before are not told.
    not_before: Instant,
    now: Now,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("places", &self.places).finish_non_exhaustive()
    }
}

impl Engine {
    /// Follows what is recorded. What is acknowledged after this has returned is told, wherever it begins.
    ///
    /// # Errors
    /// What is asked for is no longer kept; the store cannot be asked.
    pub async fn follow(self: &Arc<Self>, start: Start, now: Now) -> Result<Follower, Failure> {
        self.one_store_only(super::ONE_STORE)?;
        // Before the first look into the store: so nothing falls between that and what is told to all.
        let live = self.hub.live.subscribe();
        let stopping = self.hub.stopping.subscribe();
        let not_before = if let Start::Since(at) = &start { *at } else { Instant::NEVER };
        let (places, since) = match start {
            Start::After(places, told_at) => {
                let since = told_at.minus(REWIND);
                // Whoever comes too late is told so at once.
                let looks = self
                    .shards()
                    .zip(&places)
                    .map(|(shard, place)| read_on(&*self.main.store, shard, *place, since, 1));
                futures_util::future::try_join_all(looks).await?;
                (places, Some(since))
            }
            Start::Now => (self.heads().await?, None),
            Start::Oldest => (self.oldest().await?, None),
            Start::Since(at) => (self.since(at).await?, None),
        };
        self.keep_reading(now);
        let behind = self.shards().map(|shard| shard.index()).collect();
        Ok(Follower { engine: Arc::clone(self), live, stopping, places, behind, since, not_before, now })
    }

    async fn oldest(&self) -> Result<Vec<Place>, Failure> {
        futures_util::future::try_join_all(self.shards().map(|shard| oldest(&*self.main.store, shard))).await
    }

    async fn since(&self, at: Instant) -> Result<Vec<Place>, Failure> {
        let store = &*self.main.store;
        let places = self.shards().map(|shard| async move {
            let place = seek(store, shard, at.minus(REWIND)).await?;
            // Before the oldest event that is kept there were others.
            let first = oldest(store, shard).await?;
            let trimmed = first.seq > 0 && place == first && {
                let found = kept_from(store, shard, first.seq, 1).await?;
                found.first().is_some_and(|event| event.at > at)
            };
            if trimmed { Err(Failure::TooOld(TOO_OLD)) } else { Ok(place) }
        });
        futures_util::future::try_join_all(places).await
    }
}

impl Follower {
    /// Where it stands, by shard.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What comes next; waits until there is something. May be dropped at any instant and asked again: nothing is lost.
    ///
    /// # Errors
    /// What comes next is no longer kept; the store cannot be asked (ask again); the server is stopping.
    pub async fn next(&mut self) -> Result<Step, Failure> {
        loop {
            if *self.stopping.borrow() {
                return Err(Failure::Stopping);
            }
            if let Some(shard) = self.behind.first().copied() {
                if let Some(step) = self.read_from_store(shard).await? {
                    return Ok(step);
                }
                continue;
            }
            let heard = tokio::select! {
                _ = self.stopping.wait_for(|stop| *stop) => return Err(Failure::Stopping),
                heard = self.live.recv() => heard,
            };
            match heard {
                Ok(batch) => {
                    if let Some(step) = self.accept(&batch) {
                        return Ok(step);
                    }
                }
                // Too slow: what fell out of the ring is in the store.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.behind = (0..).take(self.places.len()).collect();
                }
                Err(broadcast::error::RecvError::Closed) => return Err(Failure::Stopping),
            }
        }
    }

    async fn read_from_store(&mut self, shard: u16) -> Result<Option<Step>, Failure> {
        let Some(place) = self.places.get(usize::from(shard)).copied() else {
            self.behind.remove(&shard);
            return Ok(None);
        };
        let (engine, at) = (&self.engine, self.engine.main.tenant.shard(shard));
        let since = self.since.unwrap_or_else(|| (self.now)().minus(REWIND));
        let place::Read { events, place, rewound } = read_on(&*engine.main.store, at, place, since, PAGE).await?;
        let told = engine.told(&events).await?;
        if !told.is_empty() {
            engine.main.store.confirm(at).await?;
        }
        // Nothing is awaited from here on.
        if events.is_empty() && !rewound {
            self.behind.remove(&shard);
            if self.behind.is_empty() {
                self.since = None;
            }
            return Ok(None);
        }
        Ok(Some(self.step(shard, place, told.into_iter().map(Arc::new))))
    }

    /// What of a batch is new to this one; `None` where nothing is, or the store has to be asked first.
    fn accept(&mut self, batch: &Batch) -> Option<Step> {
        let place = self.places.get(usize::from(batch.shard)).copied()?;
        if place.seq < batch.from.seq {
            self.behind.insert(batch.shard);
            return None;
        }
        if !batch.rewound && place.seq >= batch.to.seq {
            return None;
        }
        let new = batch.events.iter().filter(|told| batch.rewound || told.place.seq > place.seq).cloned();
        Some(self.step(batch.shard, batch.to, new))
    }

    fn step(&mut self, shard: u16, to: Place, events: impl Iterator<Item = Arc<Told>>) -> Step {
        let not_before = self.not_before;
        if let Some(place) = self.places.get_mut(usize::from(shard)) {
            *place = to;
        }
        Step { shard, to, events: events.filter(|told| told.recorded_at() >= not_before).collect() }
    }
}
