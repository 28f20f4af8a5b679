//! Forgetting old events, so that a store does not grow for ever; and telling a reader that some were forgotten.

use super::{Shard, Store, StoreError, StoredEvent};
use crate::time::Instant;

/// Events of each shard that stay however old they are: who follows a quiet stream need not begin anew.
pub const KEEP_EVENTS: u64 = 1_000;

/// Events that one call takes at most, so that nobody waits long behind it.
pub(super) const PAGE: usize = 1_000;

/// Forgets the events of every shard that were made before that instant, are settled, and are not among the `keep` newest
/// of their shard. Returns how many went. Any number of instances may do this at a time.
///
/// # Errors
/// The first that a shard gave; the next call takes up where this one stopped.
pub async fn trim(store: &dyn Store, before: Instant, keep: u64) -> Result<u64, StoreError> {
    trim_by_shard(store, |_| before, keep).await
}

/// The same, where that instant is another for each shard.
///
/// # Errors
/// As [`trim`].
pub async fn trim_by_shard(
    store: &dyn Store,
    before: impl Fn(Shard) -> Instant + Send,
    keep: u64,
) -> Result<u64, StoreError> {
    let mut gone = 0;
    for shard in store.shards().await? {
        loop {
            let page = store.trim_events(shard, before(shard), keep).await?;
            gone += page;
            if page == 0 {
                break;
            }
        }
    }
    Ok(gone)
}

/// Passes on what was read after a place, unless what should be the first of it was trimmed. Events stand without gaps, so
/// the first one tells.
pub(super) fn whole(shard: Shard, after: u64, found: Vec<StoredEvent>) -> Result<Vec<StoredEvent>, StoreError> {
    match found.first().map(|event| event.id.seq) {
        Some(first) if first > after.saturating_add(1) => Err(StoreError::Trimmed { shard, first }),
        _ => Ok(found),
    }
}

/// The last place that may go so that `keep` events stay, the newest of all in any case: it says how far the stream came.
pub(super) fn last_to_go(newest: u64, keep: u64) -> u64 {
    newest.saturating_sub(keep.max(1))
}
