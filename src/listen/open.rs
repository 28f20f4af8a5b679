//! The connections that are open, and which of them ends where there is no room for another.
//!
//! Promises: as many connections as the limits say have a place of their own once somebody was recognised on them, and are
//! never ended for others. [`SPARE`] more are taken: so whoever is not known yet, such as a probe, gets in whoever holds the
//! rest, known or not. Without `make_room` the limits are the limits.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use super::{Settings, Shared};
use crate::access::Line;

/// Connections taken beyond the limits: of all, and of one address. Probes of an orchestrator are a few at a time.
const SPARE: u32 = 16;

/// See the module.
#[derive(Default)]
pub(super) struct Open {
    /// By age: the oldest first.
    places: BTreeMap<u64, (IpAddr, Arc<Line>)>,
    from: HashMap<IpAddr, u32>,
    next: u64,
}

/// An open connection, counted until it is dropped.
pub(super) struct Counted {
    pub shared: Arc<Shared>,
    pub id: u64,
    pub line: Arc<Line>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).leave(self.id);
    }
}

impl Open {
    /// Takes one in, if need be by ending another.
    ///
    /// # Errors
    /// There is no room: why.
    pub fn take(&mut self, from: IpAddr, settings: &Settings) -> Result<(u64, Arc<Line>), &'static str> {
        let spare = if settings.make_room { SPARE } else { 0 };
        let here = self.from.get(&from).copied().unwrap_or(0);
        if settings.per_address != 0 && here >= settings.per_address.saturating_add(spare) {
            self.make_room(settings, Some(from)).ok_or("too_many_of_one_address")?.end("too_many_of_one_address");
        }
        if self.places.len() >= usize::try_from(settings.connections.saturating_add(spare)).unwrap_or(usize::MAX) {
            self.make_room(settings, None).ok_or("too_many")?.end("made_room");
        }
        let (id, line) = (self.next, Arc::<Line>::default());
        self.next = id.wrapping_add(1);
        self.places.insert(id, (from, Arc::clone(&line)));
        *self.from.entry(from).or_default() += 1;
        Ok((id, line))
    }

    /// The connection that is to end for another; `of`: one of this address.
    fn make_room(&mut self, settings: &Settings, of: Option<IpAddr>) -> Option<Arc<Line>> {
        let ends = settings.make_room.then(|| self.dispensable(settings, of)).flatten()?;
        self.leave(ends)
    }

    /// Of those that have no place of their own, the oldest from the address that has most of them; `of`: from this one.
    fn dispensable(&self, settings: &Settings, of: Option<IpAddr>) -> Option<u64> {
        let mut without = self.without_place(settings);
        without.retain(|(_, from)| of.is_none_or(|of| of == *from));
        let mut counts = HashMap::<IpAddr, u32>::new();
        for (_, from) in &without {
            *counts.entry(*from).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        without.iter().find(|(_, from)| counts.get(from) == Some(&most)).map(|(id, _)| *id)
    }

    /// Those on which nobody was recognised, and those that are more than the limits say; the oldest first.
    fn without_place(&self, settings: &Settings) -> Vec<(u64, IpAddr)> {
        let (mut all, mut of) = (0, HashMap::<IpAddr, u32>::new());
        let has_none = |(_, (from, line)): &(&u64, &(IpAddr, Arc<Line>))| {
            let here = of.entry(*from).or_default();
            let is_within = all < settings.connections && (settings.per_address == 0 || *here < settings.per_address);
            let has_one = line.is_known() && is_within;
            if has_one {
                all += 1;
                *here += 1;
            }
            !has_one
        };
        self.places.iter().filter(has_none).map(|(id, (from, _))| (*id, *from)).collect()
    }

    /// It is open no longer, or is about to end.
    fn leave(&mut self, id: u64) -> Option<Arc<Line>> {
        let (from, line) = self.places.remove(&id)?;
        if let Some(here) = self.from.get_mut(&from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.from.remove(&from);
            }
        }
        Some(line)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    /// Takes so many from this address; the first and the last of them.
    fn takes(open: &mut Open, settings: &Settings, last: u8, many: u32) -> [(u64, Arc<Line>); 2] {
        let taken: Vec<_> = (0..many).map(|_| open.take(address(last), settings).unwrap()).collect();
        [taken[0].clone(), taken[taken.len() - 1].clone()]
    }

    #[test]
    fn room_is_made_at_the_cost_of_whoever_holds_most_and_is_not_known() {
        let settings = Settings { connections: 4, per_address: 0, make_room: true, ..Settings::default() };
        let mut open = Open::default();
        let caller = open.take(address(1), &settings).unwrap();
        caller.1.recognised();
        let probe = open.take(address(2), &settings).unwrap();
        let [first, _] = takes(&mut open, &settings, 3, SPARE + 2);
        let is_open = |open: &Open, one: &(u64, Arc<Line>)| open.places.contains_key(&one.0);
        assert!(is_open(&open, &first), "there is room for all of them");
        takes(&mut open, &settings, 4, 1);
        assert!(!is_open(&open, &first) && is_open(&open, &probe) && is_open(&open, &caller));
        // Of as many each, the oldest; and never one that is known.
        takes(&mut open, &settings, 5, 40);
        assert!(is_open(&open, &caller) && open.places.len() == 20);
    }

    #[test]
    fn whoever_holds_all_places_there_is_one_for_a_probe() {
        let settings = Settings { connections: 4, per_address: 2, make_room: true, ..Settings::default() };
        for last in 1..=4 {
            let mut open = Open::default();
            // Four that are known have all the places, and more are known beyond that.
            for known in [1, 1, 2, 2, 3, 3, 3].into_iter().chain([4; 30]) {
                open.take(address(known), &settings).unwrap().1.recognised();
            }
            let probe = open.take(address(last), &settings).unwrap();
            for others in [4, last] {
                takes(&mut open, &settings, others, SPARE / 4);
            }
            assert!(open.places.contains_key(&probe.0), "{last}: some more may come before it must end");
            takes(&mut open, &settings, 4, 40);
            assert_eq!(open.places.keys().copied().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
            assert_eq!(open.places.len(), usize::try_from(4 + SPARE).unwrap());
        }
    }

    #[test]
    fn an_address_has_its_share_and_what_is_more_ends_for_what_comes_from_there() {
        let settings = Settings { connections: 900, per_address: 2, make_room: true, ..Settings::default() };
        let mut open = Open::default();
        let [known, _] = takes(&mut open, &settings, 1, 1);
        known.1.recognised();
        let [other, _] = takes(&mut open, &settings, 2, 1);
        let [first, _] = takes(&mut open, &settings, 1, 2 + SPARE);
        assert!(!open.places.contains_key(&first.0), "the oldest of this address that is not known");
        assert!(open.places.contains_key(&known.0) && open.places.contains_key(&other.0));
        assert_eq!(open.from[&address(1)], 2 + SPARE);
    }

    #[test]
    fn where_no_room_is_made_the_limits_are_the_limits_and_what_ended_is_forgotten() {
        let settings = Settings { connections: 3, per_address: 2, make_room: false, ..Settings::default() };
        let mut open = Open::default();
        let [first, second] = takes(&mut open, &settings, 1, 2);
        assert_eq!(open.take(address(1), &settings).err(), Some("too_many_of_one_address"));
        takes(&mut open, &settings, 2, 1);
        assert_eq!(open.take(address(3), &settings).err(), Some("too_many"));
        open.leave(first.0);
        assert!(open.take(address(1), &settings).is_ok());
        open.leave(second.0);
        assert!(open.leave(second.0).is_none());
        assert_eq!(open.from[&address(1)], 1);
    }
}
