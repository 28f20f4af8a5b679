//! Whose events somebody has yet to be told: the key that opens them must not go before.

use std::collections::BTreeSet;

use super::super::watch::kept_from;
use super::super::{Engine, Failure, Loaded};
use crate::store::Key;
use crate::time::Instant;

/// Events looked through for one page of a sweep; behind more of them, nobody of the page counts as told.
const LOOKED_THROUGH: usize = 100_000;
const PAGE: usize = 512;

impl Engine {
    /// Those of these contacts of whom a processor has not confirmed every event: neither told nor given up.
    pub(super) async fn untold(&self, records: &[(Key, Loaded)], now: Instant) -> Result<BTreeSet<Key>, Failure> {
        let all: BTreeSet<Key> = records.iter().map(|(key, _)| *key).collect();
        let shards: BTreeSet<u16> = all.iter().map(|key| key.shard().index()).collect();
        let mut untold = BTreeSet::new();
        let mut left = LOOKED_THROUGH;
        for one in self.registered(now).await? {
            let delivery = self.delivery(&one).await?;
            let places = delivery.places().unwrap_or_default();
            for shard in &shards {
                let mut after = places.get(usize::from(*shard)).map_or(0, |place| place.seq);
                loop {
                    let page = kept_from(&*self.store, self.tenant.shard(*shard), after, PAGE).await?;
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
}
