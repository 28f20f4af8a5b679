//! The events that are on their way to one processor: which may be sent now, and up to where all is confirmed.
//!
//! Promises: two events of one contact are never on their way at once, and go in order; the places it tells are such that
//! every event up to them was confirmed or given up. Knows no clock and no network.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::watch::{Place, Step, Told};
use crate::proto::store::DeliveredEvent;
use crate::store::Key;

/// Events that are waited for at once, over all contacts.
const WAITING: usize = 256;
/// Events confirmed beyond one that is not: so far others are sent past it.
const BEYOND: usize = 2_048;

/// An event on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub told: Arc<Told>,
    pub tries: u32,
    /// Not before this.
    pub due: Instant,
    /// When it was first tried.
    pub first: Option<Instant>,
    /// It had been given up before.
    pub again: bool,
    sending: bool,
}

#[derive(Debug)]
struct Passed {
    place: Place,
    /// The item that is waited for; `None`: none is.
    item: Option<u64>,
    told: Option<Arc<Told>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    items: BTreeMap<u64, Item>,
    next: u64,
    places: Vec<Place>,
    passed: Vec<VecDeque<Passed>>,
}

impl Window {
    pub(super) fn new(places: &[Place]) -> Self {
        let passed = places.iter().map(|_| VecDeque::new()).collect();
        Self { items: BTreeMap::new(), next: 0, places: places.to_vec(), passed }
    }

    /// Whether this one had been given up before.
    pub(super) fn is_again(&self, id: u64) -> bool {
        self.items.get(&id).is_some_and(|item| item.again)
    }

    /// Whether more may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.items.len() < WAITING && self.passed.iter().map(VecDeque::len).sum::<usize>() < BEYOND
    }

    /// Takes in what comes next; `concerned` says what is to be sent. `done` (of a run before) needs no more.
    pub(super) fn take(
        &mut self,
        step: Step,
        now: Instant,
        concerned: impl Fn(&Told) -> bool,
        done: impl Fn(&Told) -> bool,
    ) {
        let at = usize::from(step.shard);
        let mut last = None;
        for told in step.events {
            last = Some(told.place);
            let wanted = concerned(&told) && !done(&told);
            let item = wanted.then(|| self.add(Arc::clone(&told), now, false));
            let place = told.place;
            if let Some(passed) = self.passed.get_mut(at) {
                passed.push_back(Passed { place, item, told: concerned(&told).then_some(told) });
            }
        }
        if let Some(passed) = self.passed.get_mut(at).filter(|_| last != Some(step.to)) {
            passed.push_back(Passed { place: step.to, item: None, told: None });
        }
        self.advance(at);
    }

    /// Takes in an event that had been given up.
    pub(super) fn take_again(&mut self, told: Arc<Told>, now: Instant) {
        self.add(told, now, true);
    }

    fn add(&mut self, told: Arc<Told>, due: Instant, again: bool) -> u64 {
        let id = self.next;
        self.next += 1;
        self.items.insert(id, Item { told, tries: 0, due, first: None, again, sending: false });
        id
    }

    /// The next to send, which is then on its way: due, and the first of its contact.
    pub(super) fn send(&mut self, now: Instant, at_once: usize) -> Option<(u64, Arc<Told>)> {
        if self.items.values().filter(|item| item.sending).count() >= at_once {
            return None;
        }
        let mut met: HashSet<Key> = HashSet::new();
        for (id, item) in &mut self.items {
            if met.insert(item.told.key) && !item.sending && item.due <= now {
                item.sending = true;
                item.first.get_or_insert(now);
                return Some((*id, Arc::clone(&item.told)));
            }
        }
        None
    }

    /// When the next may be sent of those that wait for nothing but their time.
    pub(super) fn due(&self, at_once: usize) -> Option<Instant> {
        if self.items.values().filter(|item| item.sending).count() >= at_once {
            return None;
        }
        let mut met: HashSet<Key> = HashSet::new();
        let first = self.items.values().filter(|item| met.insert(item.told.key));
        first.filter(|item| !item.sending).map(|item| item.due).min()
    }

    /// It is not on its way any more; it will be tried again.
    pub(super) fn failed(&mut self, id: u64) -> Option<&mut Item> {
        let item = self.items.get_mut(&id)?;
        item.sending = false;
        item.tries = item.tries.saturating_add(1);
        Some(item)
    }

    /// It was confirmed, or given up.
    pub(super) fn done(&mut self, id: u64) -> Option<Item> {
        let item = self.items.remove(&id)?;
        let at = usize::from(item.told.shard);
        for passed in self.passed.get_mut(at)?.iter_mut().filter(|passed| passed.item == Some(id)) {
            passed.item = None;
        }
        self.advance(at);
        Some(item)
    }

    fn advance(&mut self, at: usize) {
        let (Some(passed), Some(place)) = (self.passed.get_mut(at), self.places.get_mut(at)) else { return };
        while passed.front().is_some_and(|first| first.item.is_none())
            && let Some(first) = passed.pop_front()
        {
            *place = first.place;
        }
    }

    /// The places up to which all is confirmed.
    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What was confirmed beyond them.
    pub(super) fn beyond(&self) -> Vec<DeliveredEvent> {
        let done = self.passed.iter().flatten().filter(|passed| passed.item.is_none());
        done.filter_map(|passed| passed.told.as_deref()).map(|told| delivered(told, "")).collect()
    }
}

/// An event, as noted in the store.
pub(super) fn delivered(told: &Told, why: &str) -> DeliveredEvent {
    DeliveredEvent {
        shard: u32::from(told.shard),
        seq: told.place.seq,
        event_id: told.event.event_id.clone(),
        recorded_at: told.recorded_at().millis(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::proto::v1;
    use crate::store::Shard;

    fn told(seq: u64, contact: u8) -> Arc<Told> {
        let event = v1::OptOutEvent { event_id: seq.to_string(), ..v1::OptOutEvent::default() };
        let key = Key::new(Shard::new([0; 8], 0), [contact; 32]);
        Arc::new(Told::bare(0, Place { seq, mark: 1 }, key, event))
    }

    fn filled(contacts: &[u8]) -> (Window, Instant) {
        let now = Instant::now();
        let mut window = Window::new(&[Place::default()]);
        let events = (1..).zip(contacts).map(|(seq, contact)| told(seq, *contact)).collect();
        let to = Place { seq: 10, mark: 1 };
        window.take(Step { shard: 0, to, events }, now, |told| told.key.tag() != &[9; 32], |_| false);
        (window, now)
    }

    fn sent(window: &mut Window, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| window.send(now, 8).map(|(id, _)| id)).collect()
    }

    #[test]
    fn the_next_event_of_a_contact_waits_for_the_one_before_and_no_other_does() {
        let (mut window, now) = filled(&[1, 2, 1, 3]);
        assert_eq!(sent(&mut window, now), [0, 1, 3]);
        window.failed(0).unwrap().due = now + std::time::Duration::from_secs(5);
        assert_eq!(sent(&mut window, now), Vec::<u64>::new(), "neither it nor the one after it");
        assert_eq!(window.due(8), Some(now + std::time::Duration::from_secs(5)));
        assert_eq!(sent(&mut window, now + std::time::Duration::from_secs(5)), [0]);
        window.done(0).unwrap();
        assert_eq!(sent(&mut window, now), [2]);
    }

    #[test]
    fn places_move_only_past_what_is_confirmed() {
        let (mut window, now) = filled(&[1, 9, 2, 3]);
        assert_eq!(sent(&mut window, now), [0, 1, 2], "what does not concern it is not sent");
        assert_eq!(window.places().first().unwrap().seq, 0);
        window.done(2).unwrap();
        window.done(1).unwrap();
        assert_eq!(window.places().first().unwrap().seq, 0, "the first is still out");
        let beyond: Vec<u64> = window.beyond().iter().map(|event| event.seq).collect();
        assert_eq!(beyond, [3, 4]);
        window.done(0).unwrap();
        assert_eq!(window.places().first().unwrap().seq, 10, "and with it all that was read");
        assert!(window.beyond().is_empty() && window.due(8).is_none());
    }

    #[test]
    fn no_more_is_on_its_way_than_may_be() {
        let (mut window, now) = filled(&[1, 2, 3, 4]);
        assert!(window.send(now, 1).is_some());
        assert!(window.send(now, 1).is_none());
        assert_eq!(window.due(1), None);
        assert!(window.has_room());
    }
}
