//! One who follows: first from the store, from wherever it begins; then with everybody else; and from the store again
//! when it was too slow.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant as Monotonic;

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
    /// By shard.
    known: Vec<Known>,
    /// Told, but not from a place that we know: the store is asked first whether it still has ours.
    doubted: Option<Arc<Batch>>,
    /// Events recorded before are not told.
    not_before: Instant,
    now: Now,
}

/// What is known of the history of a shard beside the place.
#[derive(Clone, Copy)]
struct Known {
    /// When all of it had last been told to us: so far back a history that changed is read again.
    current: Instant,
    /// When we last began to read it ourselves.
    looked: Option<Monotonic>,
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
        let begun = now();
        let (places, current) = match start {
            Start::After(places, told_at) => {
                let since = told_at.minus(REWIND);
                // Whoever comes too late is told so at once.
                let looks = self
                    .shards()
                    .zip(&places)
                    .map(|(shard, place)| read_on(&*self.main.store, shard, *place, since, 1));
                futures_util::future::try_join_all(looks).await?;
                (places, told_at)
            }
            Start::Now => (self.heads().await?, begun),
            Start::Oldest => (self.oldest().await?, Instant::NEVER),
            Start::Since(at) => (self.since(at).await?, at),
        };
        let known = vec![Known { current, looked: None }; places.len()];
        self.keep_reading(now);
        let behind = self.shards().map(|shard| shard.index()).collect();
        Ok(Follower { engine: Arc::clone(self), live, stopping, places, behind, known, doubted: None, not_before, now })
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
            if let Some(batch) = self.doubted.clone() {
                let step = self.verified(&batch).await?;
                self.doubted = None;
                match step {
                    Some(step) => return Ok(step),
                    None => continue,
                }
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
        let at = usize::from(shard);
        let (Some(place), Some(known)) = (self.places.get(at).copied(), self.known.get(at).copied()) else {
            self.behind.remove(&shard);
            return Ok(None);
        };
        let (begun, looked) = ((self.now)(), Monotonic::now());
        let (engine, at) = (&self.engine, self.engine.main.tenant.shard(shard));
        let since = known.current.minus(REWIND);
        let place::Read { events, place, rewound } = read_on(&*engine.main.store, at, place, since, PAGE).await?;
        let told = engine.told(&events).await?;
        if !told.is_empty() {
            engine.main.store.confirm(at).await?;
        }
        // Nothing is awaited from here on.
        let done = events.is_empty() && !rewound;
        self.learn(shard, |known| {
            known.looked = Some(looked);
            known.current = if done { begun } else { known.current };
        });
        if done {
            self.behind.remove(&shard);
            return Ok(None);
        }
        Ok(Some(self.step(shard, place, told.into_iter().map(Arc::new))))
    }

    /// Up to when all of every shard had been told to us.
    pub fn current(&self) -> Instant {
        self.known.iter().map(|known| known.current).min().unwrap_or(Instant::NEVER)
    }

    fn learn(&mut self, shard: u16, what: impl FnOnce(&mut Known)) {
        if let Some(known) = self.known.get_mut(usize::from(shard)) {
            what(known);
        }
    }

    /// What of a batch is new to this one; `None` where nothing is, or the store has to be asked first.
    fn accept(&mut self, batch: &Arc<Batch>) -> Option<Step> {
        let at = usize::from(batch.shard);
        let (place, known) = (self.places.get(at).copied()?, self.known.get(at).copied()?);
        match stands(place, known.looked, batch) {
            Stands::Behind => {
                self.behind.insert(batch.shard);
                None
            }
            Stands::Doubted => {
                self.doubted = Some(Arc::clone(batch));
                None
            }
            Stands::Knows => {
                self.learn(batch.shard, |known| known.current = known.current.max(batch.current));
                None
            }
            Stands::Old => None,
            Stands::Takes => Some(self.take(batch, |seq| batch.rewound || seq > place.seq)),
        }
    }

    fn take(&mut self, batch: &Batch, new: impl Fn(u64) -> bool) -> Step {
        self.learn(batch.shard, |known| known.current = known.current.max(batch.current));
        self.step(batch.shard, batch.to, batch.events.iter().filter(|told| new(told.place.seq)).cloned())
    }

    /// What of a doubted batch is new, once the store has our place still; `None`: it has to be read.
    async fn verified(&mut self, batch: &Batch) -> Result<Option<Step>, Failure> {
        let at = usize::from(batch.shard);
        let (Some(place), Some(known)) = (self.places.get(at).copied(), self.known.get(at).copied()) else {
            return Ok(None);
        };
        let (engine, shard) = (&self.engine, self.engine.main.tenant.shard(batch.shard));
        let since = known.current.minus(REWIND);
        if read_on(&*engine.main.store, shard, place, since, 1).await?.rewound {
            self.behind.insert(batch.shard);
            return Ok(None);
        }
        Ok(Some(self.take(batch, |seq| seq > place.seq)))
    }

    fn step(&mut self, shard: u16, to: Place, events: impl Iterator<Item = Arc<Told>>) -> Step {
        let not_before = self.not_before;
        if let Some(place) = self.places.get_mut(usize::from(shard)) {
            *place = to;
        }
        Step { shard, to, events: events.filter(|told| told.recorded_at() >= not_before).collect() }
    }
}

/// How somebody stands to what is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stands {
    /// Something lies between, or this history is another: the store has to be read.
    Behind,
    /// It was read before they read themselves: it tells nothing that they have not seen.
    Old,
    /// They are where it ends.
    Knows,
    /// What comes after their place is new.
    Takes,
    /// It passes their place without naming it: the store has to be asked whether it still has that.
    Doubted,
}

/// Whoever is ahead of what was read later stands in a history that is no more, and so does who has another event in the
/// same place: what a failover put there must not be taken for known.
fn stands(place: Place, looked: Option<Monotonic>, batch: &Batch) -> Stands {
    if place.seq < batch.from.seq {
        return Stands::Behind;
    }
    if batch.rewound {
        return Stands::Takes;
    }
    if looked.is_some_and(|looked| batch.read_at <= looked) {
        return Stands::Old;
    }
    let mut theirs = [batch.from, batch.to].into_iter().chain(batch.events.iter().map(|told| told.place));
    match theirs.find(|theirs| theirs.seq == place.seq) {
        Some(same) if same.mark != place.mark && same.mark != 0 && place.mark != 0 => Stands::Behind,
        Some(_) if place.seq == batch.to.seq => Stands::Knows,
        Some(_) => Stands::Takes,
        None if place.seq < batch.to.seq => Stands::Doubted,
        None => Stands::Behind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;
    use crate::store::{Key, Shard};

    const fn at(seq: u64, mark: u32) -> Place {
        Place { seq, mark }
    }

    fn batch(from: Place, to: Place, events: &[Place]) -> Batch {
        let told = |place: &Place| {
            let key = Key::new(Shard::new([0; 8], 0), [1; 32]);
            Arc::new(Told::bare(0, *place, key, v1::OptOutEvent::default()))
        };
        let (events, read_at) = (events.iter().map(told).collect(), Monotonic::now());
        Batch { shard: 0, from, to, rewound: false, events, read_at, current: Instant::NEVER }
    }

    #[test]
    fn what_another_history_put_in_a_place_is_not_taken_for_known() {
        let told = batch(at(5, 1), at(9, 9), &[at(7, 7), at(9, 9)]);
        for (place, stands_so) in [
            (at(4, 1), Stands::Behind),
            (at(5, 1), Stands::Takes),
            (at(5, 0), Stands::Takes),
            (at(5, 2), Stands::Behind),
            (at(7, 7), Stands::Takes),
            (at(7, 2), Stands::Behind),
            (at(8, 8), Stands::Doubted),
            (at(9, 9), Stands::Knows),
            (at(9, 2), Stands::Behind),
            (at(12, 12), Stands::Behind),
        ] {
            assert_eq!(stands(place, None, &told), stands_so, "{place:?}");
        }
        let later = Some(told.read_at + std::time::Duration::from_millis(1));
        assert_eq!(stands(at(12, 12), later, &told), Stands::Old, "read before we looked");
        let rewound = Batch { rewound: true, ..batch(at(5, 1), at(4, 4), &[at(4, 4)]) };
        assert_eq!(stands(at(12, 12), None, &rewound), Stands::Takes);
    }
}
