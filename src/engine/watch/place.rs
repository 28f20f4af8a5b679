//! How far somebody has followed the events of one shard, and going on from there.
//!
//! Promises: no event after a place is passed over. A store that failed over may have lost its newest events and given
//! their places to others: so a place carries a mark of the event it was taken from, and where that event is not there
//! any more, reading begins anew [`REWIND`] before.

use crate::engine::Failure;
use crate::store::{Digest, Shard, Store, StoreError, StoredEvent};
use crate::time::{Instant, Millis};

/// How far is gone back after a failover, and how far instants of events may be out of the order of their places: clocks
/// of instances differ, and a write carries the instant of its request.
pub(in crate::engine) const REWIND: Millis = Millis(600_000);

/// What is said where events were asked for that are no longer kept.
pub(super) const TOO_OLD: &str = "the events that were asked for are no longer kept: begin anew at 1970-01-01T00:00:00Z \
                                  for the oldest ones there are, and ask GetContact about what is older";

/// How far the events of one shard were followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The place of the newest event dealt with; 0: none was.
    pub seq: u64,
    /// The first bytes of its digest, never 0; 0: not known, so that nobody can tell whether it is still there.
    pub mark: u32,
}

impl Place {
    pub(super) fn of(event: &StoredEvent) -> Self {
        Self { seq: event.id.seq, mark: mark(&event.digest) }
    }
}

/// The first bytes of a digest, never 0.
fn mark(digest: &Digest) -> u32 {
    let [a, b, c, d, ..] = *digest;
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// What comes after a place.
#[derive(Debug)]
pub(super) struct Read {
    /// In order.
    pub events: Vec<StoredEvent>,
    /// The place of the last of them; the one asked about where there are none.
    pub place: Place,
    /// The place asked about was of events that the store lost: these begin before it.
    pub rewound: bool,
}

/// Up to `limit` events after a place; where the store lost what was there, those from `since` on.
///
/// # Errors
/// Events after the place are no longer kept; the store cannot be asked.
pub(super) async fn read_on(
    store: &dyn Store,
    shard: Shard,
    place: Place,
    since: Instant,
    limit: usize,
) -> Result<Read, Failure> {
    // The event at the place comes along, to see whether it is still the same.
    let marked = place.seq > 0 && place.mark != 0;
    let from = if marked { place.seq - 1 } else { place.seq };
    let found = match find(store, shard, from, limit.saturating_add(usize::from(marked))).await? {
        // It alone is no longer kept: nothing after it was missed.
        Found::From(first) if marked && first <= place.seq.saturating_add(1) => {
            find(store, shard, place.seq, limit).await?
        }
        found => found,
    };
    let Found::All(mut events) = found else { return Err(Failure::TooOld(TOO_OLD)) };
    let lost = match events.first() {
        Some(first) => marked && first.id.seq == place.seq && Place::of(first) != place,
        None if place.seq == 0 => false,
        None => (1..place.seq).contains(&store.last_event(shard).await?),
    };
    if lost {
        let back = seek(store, shard, since).await?;
        events = kept_from(store, shard, back.seq, limit).await?;
        let place = events.last().map_or(back, Place::of);
        return Ok(Read { events, place, rewound: true });
    }
    events.retain(|event| event.id.seq > place.seq);
    let place = events.last().map_or(place, Place::of);
    Ok(Read { events, place, rewound: false })
}

/// The place before the first event of this instant or later, in a stream whose instants rise. They rise but for
/// [`REWIND`] or so: whoever must not miss one asks for an earlier instant.
pub(in crate::engine) async fn seek(store: &dyn Store, shard: Shard, at: Instant) -> Result<Place, Failure> {
    let mut before = oldest(store, shard).await?.seq;
    let mut last = store.last_event(shard).await?;
    while before < last {
        let middle = before + (last - before).div_ceil(2);
        match find(store, shard, middle - 1, 1).await? {
            // Forgotten since the search began: older than all that is kept.
            Found::From(_) => before = middle,
            Found::All(found) if found.first().is_some_and(|event| event.at < at) => before = middle,
            Found::All(_) => last = middle - 1,
        }
    }
    Ok(Place { seq: before, mark: 0 })
}

/// The place before the oldest event kept.
pub(in crate::engine) async fn oldest(store: &dyn Store, shard: Shard) -> Result<Place, Failure> {
    let seq = match find(store, shard, 0, 1).await? {
        Found::From(first) => first.saturating_sub(1),
        Found::All(_) => 0,
    };
    Ok(Place { seq, mark: 0 })
}

/// What there is after a place.
enum Found {
    /// All of it.
    All(Vec<StoredEvent>),
    /// The first events after it are no longer kept; the oldest that is.
    From(u64),
}

/// The one place that asks for events, and knows how a store says that they are no longer kept.
async fn find(store: &dyn Store, shard: Shard, after: u64, limit: usize) -> Result<Found, Failure> {
    let events = match store.events(shard, after, limit).await {
        Err(StoreError::Trimmed { first, .. }) => return Ok(Found::From(first)),
        found => found?,
    };
    let gap = events.first().map(|first| first.id.seq).filter(|first| *first > after.saturating_add(1));
    Ok(gap.map_or(Found::All(events), Found::From))
}

/// Up to `limit` events after a place, or the oldest ones where those are no longer kept.
///
/// # Errors
/// The store cannot be asked.
pub(in crate::engine) async fn kept_from(
    store: &dyn Store,
    shard: Shard,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEvent>, Failure> {
    let mut after = after;
    loop {
        match find(store, shard, after, limit).await? {
            Found::All(events) => return Ok(events),
            Found::From(first) => after = first.saturating_sub(1),
        }
    }
}

/// The place of the newest event.
pub(super) async fn newest(store: &dyn Store, shard: Shard) -> Result<Place, Failure> {
    let seq = store.last_event(shard).await?;
    if seq == 0 {
        return Ok(Place::default());
    }
    let found = kept_from(store, shard, seq - 1, 1).await?;
    Ok(found.first().map_or(Place { seq, mark: 0 }, Place::of))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::{Event, Key, MemoryStore, Version, Write, WriterId};

    fn shard() -> Shard {
        Shard::new([1; 8], 0)
    }

    async fn put(store: &MemoryStore, n: u8, at: i64) {
        let event = Event {
            writer: WriterId(1),
            kind: 1,
            at: Instant::from_millis(at),
            digest: [n; 32],
            entry: Vec::new(),
            payload: Vec::new(),
        };
        let key = Key::new(shard(), [n; 32]);
        let write = Write { key, expected: Version::ABSENT, bytes: vec![n], expires: None, event };
        store.swap(write).await.unwrap();
    }

    async fn filled(digests: &[u8]) -> MemoryStore {
        let store = MemoryStore::new();
        for n in digests {
            put(&store, *n, i64::from(*n) * 1_000).await;
        }
        store
    }

    async fn seqs(store: &MemoryStore, place: Place, since: i64) -> (Vec<u64>, bool) {
        let read = read_on(store, shard(), place, Instant::from_millis(since), 100).await.unwrap();
        (read.events.iter().map(|event| event.id.seq).collect(), read.rewound)
    }

    #[tokio::test]
    async fn reading_goes_on_after_the_place_and_no_event_is_passed_over() {
        let store = filled(&[1, 2, 3]).await;
        assert_eq!(seqs(&store, Place::default(), 0).await, (vec![1, 2, 3], false));
        let two = read_on(&store, shard(), Place::default(), Instant::NEVER, 2).await.unwrap().place;
        assert_eq!(seqs(&store, two, 0).await, (vec![3], false));
        let newest = newest(&store, shard()).await.unwrap();
        assert_eq!(seqs(&store, newest, 0).await, (vec![], false));
    }

    /// The newest events were lost, and their places given to others.
    #[tokio::test]
    async fn a_history_that_changed_is_read_again_from_before() {
        let before = filled(&[1, 2, 3, 4]).await;
        let place = newest(&before, shard()).await.unwrap();
        for after in [&[1, 2, 3, 9, 10][..], &[1, 2, 3, 9], &[1, 2, 3], &[1, 2]] {
            let after = filled(after).await;
            let (seqs, rewound) = seqs(&after, place, 2_000).await;
            assert!(rewound, "{seqs:?}");
            assert_eq!(seqs.first(), Some(&2), "from the instant asked for");
            assert_eq!(seqs.last(), Some(&after.last_event(shard()).await.unwrap()));
        }
    }

    #[tokio::test]
    async fn an_instant_is_found_among_events() {
        let store = filled(&[10, 20, 30, 40, 50]).await;
        for (at, seq) in [(0, 0), (10_000, 0), (10_001, 1), (30_000, 2), (50_000, 4), (50_001, 5)] {
            assert_eq!(seek(&store, shard(), Instant::from_millis(at)).await.unwrap().seq, seq, "{at}");
        }
        assert_eq!(seek(&MemoryStore::new(), shard(), Instant::NEVER).await.unwrap().seq, 0);
    }
}
