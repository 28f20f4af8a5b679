//! Whose key must not go yet: of whom somebody has yet to be told what an event says, or of whom another region has a copy.

use std::collections::{BTreeMap, BTreeSet};

use super::super::find::Record;
use super::super::region::Kept;
use super::super::watch::kept_from;
use super::super::{Engine, Failure};
use super::Met;
use crate::place::Number;
use crate::store::Key;
use crate::time::{Instant, Millis};

/// Events looked through for one page of a sweep; behind more of them, nobody of the page counts as told.
const LOOKED_THROUGH: usize = 100_000;
const PAGE: usize = 512;
/// How long an event waits for who follows opt-outs: whoever has confirmed nothing for so long is given up, and keeps no key
/// any more.
const WAIT: Millis = Millis::days(90);

/// For whom a contact's key waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Waiting {
    /// The processors that have not confirmed, by name. None: another region has a copy.
    pub(super) who: BTreeSet<String>,
    /// Until when, if nobody confirms before; [`Instant::FAR`]: without term.
    pub(super) until: Instant,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { who: BTreeSet::new(), until: Instant::NEVER }
    }
}

impl Waiting {
    fn wait_for(&mut self, who: &str, until: Instant) {
        if !self.who.contains(who) {
            self.who.insert(who.to_owned());
        }
        self.until = self.until.max(until);
    }
}

impl Engine {
    /// Those of these contacts of one region of whom a processor has not confirmed every event, neither told nor given up;
    /// or of whom a move left a copy elsewhere, under the same key.
    pub(super) async fn untold(
        &self,
        kept: &Kept,
        records: &[Met],
        now: Instant,
    ) -> Result<BTreeMap<Key, Waiting>, Failure> {
        if self.has_regions() {
            // With regions there are no processors.
            return self.copied_elsewhere(kept, records).await;
        }
        let all: BTreeSet<Key> = records.iter().map(|met| met.key).collect();
        let shards: BTreeSet<u16> = all.iter().map(|key| key.shard().index()).collect();
        let mut untold = BTreeMap::<Key, Waiting>::new();
        let mut left = LOOKED_THROUGH;
        for one in self.registered(now).await? {
            let delivery = self.delivery(&one).await?;
            let places = delivery.places().unwrap_or_default();
            let (name, mut given_up) = (&one.processor.name, 0_u64);
            for shard in &shards {
                let mut after = places.get(usize::from(*shard)).map_or(0, |place| place.seq);
                loop {
                    let page = kept_from(&*kept.store, kept.tenant.shard(*shard), after, PAGE).await?;
                    let Some(last) = page.last().filter(|last| last.id.seq > after) else { break };
                    after = last.id.seq;
                    if left < page.len() {
                        all.iter().for_each(|key| untold.entry(*key).or_default().wait_for(name, Instant::FAR));
                        return Ok(untold);
                    }
                    left -= page.len();
                    let open = page.iter().filter(|event| {
                        event.kind != 0
                            && event.at >= one.since
                            && all.contains(&event.key)
                            && !delivery.is_settled(*shard, event.id.seq)
                    });
                    for event in open {
                        let until = event.at.plus(WAIT);
                        match until > now {
                            true => untold.entry(event.key).or_default().wait_for(name, until),
                            false => given_up += 1,
                        }
                    }
                }
            }
            if given_up > 0 {
                let days = WAIT.0 / Millis::days(1).0;
                tracing::warn!(
                    processor = %name,
                    events = given_up,
                    "confirmed nothing for {days} days: the contacts' keys wait for it no more, tell it by other means"
                );
            }
        }
        Ok(untold)
    }

    async fn copied_elsewhere(&self, kept: &Kept, records: &[Met]) -> Result<BTreeMap<Key, Waiting>, Failure> {
        let mut copied = BTreeMap::new();
        for Met { key, loaded } in records {
            let Some(number) = loaded.contact.digits().and_then(Number::from_digits) else { continue };
            for other in self.all_kept() {
                let other = other?;
                if std::ptr::eq(other, kept) {
                    continue;
                }
                if let Some(Record::Arriving(..)) = self.load(other, &other.key(&self.keys, number)).await? {
                    copied.insert(*key, Waiting { until: Instant::FAR, ..Waiting::default() });
                }
            }
        }
        Ok(copied)
    }
}
