//! Whose key must not go yet: of whom somebody has yet to be told what an event says, or of whom another region has a copy.

use std::collections::BTreeSet;

use super::super::find::Record;
use super::super::region::Kept;
use super::super::watch::kept_from;
use super::super::{Engine, Failure};
use super::Met;
use crate::place::Number;
use crate::store::Key;
use crate::time::Instant;

/// Events looked through for one page of a sweep; behind more of them, nobody of the page counts as told.
const LOOKED_THROUGH: usize = 100_000;
const PAGE: usize = 512;

impl Engine {
    /// Those of these contacts of one region of whom a processor has not confirmed every event, neither told nor given up;
    /// or of whom a move left a copy elsewhere, under the same key.
    pub(super) async fn untold(&self, kept: &Kept, records: &[Met], now: Instant) -> Result<BTreeSet<Key>, Failure> {
        if self.has_regions() {
            // With regions there are no processors.
            return self.copied_elsewhere(kept, records).await;
        }
        let all: BTreeSet<Key> = records.iter().map(|met| met.key).collect();
        let shards: BTreeSet<u16> = all.iter().map(|key| key.shard().index()).collect();
        let mut untold = BTreeSet::new();
        let mut left = LOOKED_THROUGH;
        for one in self.registered(now).await? {
            let delivery = self.delivery(&one).await?;
            let places = delivery.places().unwrap_or_default();
            for shard in &shards {
                let mut after = places.get(usize::from(*shard)).map_or(0, |place| place.seq);
                loop {
                    let page = kept_from(&*kept.store, kept.tenant.shard(*shard), after, PAGE).await?;
                    let Some(last) = page.last().filter(|last| last.id.seq > after) else { break };
                    after = last.id.seq;
                    if left < page.len() {
                        return Ok(all);
                    }
                    left -= page.len();
                    let open = page.iter().filter(|event| {
                        event.kind != 0
                            && event.at >= one.since
                            && all.contains(&event.key)
                            && !delivery.is_settled(*shard, event.id.seq)
                    });
                    untold.extend(open.map(|event| event.key));
                }
            }
        }
        Ok(untold)
    }

    async fn copied_elsewhere(&self, kept: &Kept, records: &[Met]) -> Result<BTreeSet<Key>, Failure> {
        let mut copied = BTreeSet::new();
        for Met { key, loaded } in records {
            let Some(number) = loaded.contact.digits().and_then(Number::from_digits) else { continue };
            for other in self.all_kept() {
                let other = other?;
                if std::ptr::eq(other, kept) {
                    continue;
                }
                if let Some(Record::Arriving(..)) = self.load(other, &other.key(&self.keys, number)).await? {
                    copied.insert(*key);
                }
            }
        }
        Ok(copied)
    }
}
