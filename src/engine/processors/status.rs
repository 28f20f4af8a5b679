//! Who has confirmed what, and who has not.

use std::collections::BTreeMap;

use super::{Delivery, Registered, UNKNOWN};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::engine::answer::stamp;
use crate::engine::find::Record;
use crate::engine::watch::{Place, REWIND, Told, kept_from, seek};
use crate::engine::{Engine, Failure, consent};
use crate::proto::store::{DeliveredEvent, audited_write};
use crate::proto::v1::{self, OptOutEventKind, ProcessorState};
use crate::store::{Key, StoredEvent};
use crate::time::{Instant, Millis};

/// Pending events are counted so far, and events looked through for them.
const PENDING: u32 = 10_000;
const LOOKED_THROUGH: usize = 100_000;
const PAGE: usize = 512;
/// Where the event of an opt-out is looked for, around the instant of its recording.
const AROUND: Millis = Millis::seconds(60);
const NEAR: usize = 5_000;
/// Opt-outs of a number whose events are looked up: the newest.
const OPT_OUTS: usize = 20;

/// What is not confirmed yet.
#[derive(Default)]
struct Pending {
    count: u32,
    since: Option<Instant>,
    /// The newest event of all that is confirmed.
    confirmed: Option<Instant>,
}

impl Engine {
    /// How far each processor has confirmed.
    ///
    /// # Errors
    /// A faulty request; an unknown name; the store cannot be asked.
    pub async fn processor_status(
        &self,
        permit: &Permit,
        request: &v1::GetProcessorStatusRequest,
        now: Instant,
    ) -> Result<v1::GetProcessorStatusResponse, Failure> {
        self.is_of(permit)?;
        self.one_store_only(crate::engine::watch::ONE_STORE)?;
        let events = match request.number.as_str() {
            "" => Vec::new(),
            text => {
                let mut reader = Reader::new();
                let number = consent::number(&mut reader, text, &request.default_region);
                let number = consent::finish(reader, number)?;
                let key = self.main.key(&self.keys, number);
                // That opt-outs of this number were passed on says something of the person.
                let asked = v1::GetProcessorStatusRequest { number: String::new(), ..request.clone() };
                let asked = audited_write::Request::GetProcessorStatus(asked);
                self.note_reading(permit, &self.main, Some(*key.tag()), asked, now).await?;
                self.events_of(key).await?
            }
        };
        let mut found = self.registered(now).await?;
        if !request.name.is_empty() {
            found.retain(|one| one.processor.name == request.name);
            if found.is_empty() {
                return Err(UNKNOWN);
            }
        }
        let mut statuses = Vec::with_capacity(found.len());
        for one in &found {
            statuses.push(self.status_of(one, &events, now).await?);
        }
        Ok(v1::GetProcessorStatusResponse { statuses })
    }

    async fn status_of(&self, one: &Registered, events: &[Told], now: Instant) -> Result<v1::ProcessorStatus, Failure> {
        let delivery = self.delivery(one).await?;
        let pending = self.pending(one, &delivery).await?;
        let missed = delivery.noted_missed().and(self.missed(one, &delivery, None, now).await?);
        let state = &delivery.state;
        let watches = one.processor.url.is_empty();
        let disabled = delivery.is_disabled(one);
        let stands = match () {
            () if watches => ProcessorState::Watching,
            () if disabled => ProcessorState::Disabled,
            () if state.failures > 0 => ProcessorState::Failing,
            () => ProcessorState::Delivering,
        };
        Ok(v1::ProcessorStatus {
            processor: Some(one.processor.clone()),
            state: stands.into(),
            confirmed_until: pending.confirmed.map(stamp),
            pending: pending.count,
            pending_since: pending.since.map(stamp),
            failures: state.failures,
            last_error: state.last_error.clone(),
            tried_at: (state.tried_at != 0 && !watches).then(|| stamp(Instant::from_millis(state.tried_at))),
            given_up: state.given_up.iter().map(given_up).collect(),
            events: events.iter().map(|told| confirmation(one, &delivery, told)).collect(),
            missed: missed.events,
            missed_until: missed.until.map(stamp),
        })
    }

    async fn pending(&self, one: &Registered, delivery: &Delivery) -> Result<Pending, Failure> {
        let mut pending = Pending::default();
        let mut left = LOOKED_THROUGH;
        let starts = match delivery.places() {
            Some(places) => places,
            None => self.places_since(one.since).await?,
        };
        for (shard, place) in (0..).zip(starts) {
            let at = self.main.tenant.shard(shard);
            let mut after = place.seq.saturating_sub(1);
            while left > 0 && pending.count < PENDING {
                let page = kept_from(&*self.main.store, at, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.id.seq;
                left = left.saturating_sub(page.len());
                for event in page.iter().filter(|event| event.kind != 0) {
                    let given_up = state_holds(&delivery.state.given_up, shard, event);
                    if event.id.seq <= place.seq || state_holds(&delivery.state.beyond, shard, event) {
                        pending.confirmed = pending.confirmed.max(Some(event.at));
                    } else if event.at >= one.since && !given_up {
                        pending.count += 1;
                        pending.since = Some(pending.since.map_or(event.at, |since| since.min(event.at)));
                    }
                }
            }
        }
        let moved = Instant::from_millis(delivery.state.moved_at);
        let known = pending.confirmed.or((delivery.state.moved_at != 0).then_some(moved));
        // Something older is open: up to there alone all is confirmed.
        pending.confirmed = match (known, pending.since) {
            (Some(known), Some(open)) => Some(known.min(open.minus(Millis(1)))),
            (known, _) => known,
        };
        Ok(pending)
    }

    /// The places before what was recorded at an instant.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn places_since(&self, at: Instant) -> Result<Vec<Place>, Failure> {
        let shards = (0..self.main.store.shard_count().max(1)).map(|index| self.main.tenant.shard(index));
        let places = shards.map(|shard| seek(&*self.main.store, shard, at.minus(REWIND)));
        futures_util::future::try_join_all(places).await
    }

    /// The events about one contact that are kept, oldest first.
    async fn events_of(&self, key: Key) -> Result<Vec<Told>, Failure> {
        let Some(Record::Here(loaded)) = self.load(&self.main, &key).await? else { return Ok(Vec::new()) };
        let record = loaded.contact.into_stored();
        let written = |write: Option<&crate::proto::store::StoredWrite>| write.map(|write| write.recorded_at);
        let closed = record.opt_outs.iter().filter_map(|kept| written(kept.write.as_ref()));
        let mut instants: Vec<i64> =
            closed.chain(record.consents.iter().filter_map(|kept| written(kept.write.as_ref()))).collect();
        instants.sort_unstable();
        let mut found: BTreeMap<u64, StoredEvent> = BTreeMap::new();
        for at in instants.into_iter().rev().take(OPT_OUTS).map(Instant::from_millis) {
            let mut after = seek(&*self.main.store, key.shard(), at.minus(AROUND)).await?.seq;
            let mut left = NEAR;
            while left > 0 {
                let page = kept_from(&*self.main.store, key.shard(), after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.id.seq;
                left = left.saturating_sub(page.len());
                let done = last.at > at.plus(AROUND);
                found.extend(
                    page.into_iter()
                        .filter(|event| event.key == key && event.kind != 0)
                        .map(|event| (event.id.seq, event)),
                );
                if done {
                    break;
                }
            }
        }
        let found: Vec<StoredEvent> = found.into_values().collect();
        self.told(&found).await
    }
}

fn state_holds(list: &[DeliveredEvent], shard: u16, event: &StoredEvent) -> bool {
    list.iter().any(|one| one.shard == u32::from(shard) && one.seq == event.id.seq)
}

fn given_up(one: &DeliveredEvent) -> v1::EventConfirmation {
    v1::EventConfirmation {
        event_id: one.event_id.clone(),
        recorded_at: Some(stamp(Instant::from_millis(one.recorded_at))),
        why: one.why.clone(),
        ..v1::EventConfirmation::default()
    }
}

fn confirmation(one: &Registered, delivery: &Delivery, told: &Told) -> v1::EventConfirmation {
    let holds = |list: &[DeliveredEvent]| {
        list.iter().find(|kept| kept.shard == u32::from(told.shard) && kept.seq == told.place.seq).cloned()
    };
    let gone = holds(&delivery.state.given_up);
    let reached = delivery.state.places.get(usize::from(told.shard)).is_some_and(|seq| *seq >= told.place.seq);
    // Who watches is told of an event whose contact was erased since; to others it is not sent.
    let concerned = if one.processor.url.is_empty() { one.concerns(told) } else { one.is_sent(told) };
    v1::EventConfirmation {
        event_id: told.event.event_id.clone(),
        kind: told.event.kind,
        recorded_at: told.event.recorded_at,
        confirmed: concerned && gone.is_none() && (reached || holds(&delivery.state.beyond).is_some()),
        not_concerned: !concerned,
        why: gone.map(|gone| gone.why).unwrap_or_default(),
    }
}

impl Registered {
    /// Whether an event is passed on to it.
    #[must_use]
    pub fn concerns(&self, told: &Told) -> bool {
        let sellers: Vec<String> = self.processor.sellers.iter().map(|seller| seller.to_lowercase()).collect();
        told.recorded_at() >= self.since && told.concerns(&sellers) && told.reaches(&self.processor.channels)
    }

    /// Whether an event is sent to it, or given up if it cannot be. Once its contact was erased one is of no use to
    /// anybody: the event of the erasure names the number. A changed policy is about none.
    #[must_use]
    pub fn is_sent(&self, told: &Told) -> bool {
        let says = !told.event.number.is_empty() || told.event.kind() == OptOutEventKind::PolicyChanged;
        (says || told.is_unreadable()) && self.concerns(told)
    }
}
