//! The connections that are open, and which of them ends where there is no room for another.
//!
//! Promises: whoever holds connections and is not known keeps no place that somebody else needs: a probe, or a caller who is
//! about to be recognised, is taken in; a connection on which somebody was recognised is never ended for it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use tokio::sync::Notify;

use super::{Settings, Shared};
use crate::access::Line;

/// See the module.
#[derive(Default)]
pub(super) struct Open {
    /// By age: the oldest first.
    places: BTreeMap<u64, (IpAddr, Arc<Place>)>,
    from: HashMap<IpAddr, u32>,
    next: u64,
}

/// What is kept of one.
#[derive(Default)]
pub(super) struct Place {
    /// Who is on it.
    pub line: Arc<Line>,
    /// Told when it must end.
    pub end: Notify,
}

/// An open connection, counted until it is dropped.
pub(super) struct Counted {
    pub shared: Arc<Shared>,
    pub id: u64,
    pub place: Arc<Place>,
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
    pub fn take(&mut self, from: IpAddr, settings: &Settings) -> Result<(u64, Arc<Place>), &'static str> {
        let here = self.from.get(&from).copied().unwrap_or(0);
        if settings.per_address != 0 && here >= settings.per_address {
            return Err("too_many_of_one_address");
        }
        if self.places.len() >= usize::try_from(settings.connections).unwrap_or(usize::MAX) {
            let ends = settings.make_room.then(|| self.dispensable()).flatten().ok_or("too_many")?;
            if let Some(place) = self.leave(ends) {
                place.end.notify_one();
            }
        }
        let (id, place) = (self.next, Arc::<Place>::default());
        self.next = id.wrapping_add(1);
        self.places.insert(id, (from, Arc::clone(&place)));
        *self.from.entry(from).or_default() += 1;
        Ok((id, place))
    }

    /// Of those on which nobody was recognised, the oldest from the address that has most of them.
    fn dispensable(&self) -> Option<u64> {
        let unknown = || self.places.iter().filter(|(_, (_, place))| !place.line.is_known());
        let mut of = HashMap::<IpAddr, u32>::new();
        for (_, (from, _)) in unknown() {
            *of.entry(*from).or_default() += 1;
        }
        let most = of.values().copied().max()?;
        unknown().find(|(_, (from, _))| of.get(from) == Some(&most)).map(|(id, _)| *id)
    }

    /// It is open no longer, or is about to end.
    fn leave(&mut self, id: u64) -> Option<Arc<Place>> {
        let (from, place) = self.places.remove(&id)?;
        if let Some(here) = self.from.get_mut(&from) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.from.remove(&from);
            }
        }
        Some(place)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    #[test]
    fn room_is_made_at_the_cost_of_whoever_holds_most_and_is_not_known() {
        let settings = Settings { connections: 4, per_address: 3, make_room: true, ..Settings::default() };
        let mut open = Open::default();
        let caller = open.take(address(1), &settings).unwrap();
        caller.1.line.recognised();
        let probe = open.take(address(2), &settings).unwrap();
        let held: Vec<_> = (0..2).map(|_| open.take(address(3), &settings).unwrap()).collect();
        let new = open.take(address(4), &settings).unwrap();
        let left = |open: &Open| open.places.keys().copied().collect::<Vec<_>>();
        assert_eq!(left(&open), [caller.0, probe.0, held[1].0, new.0]);
        // Of as many each, the oldest; and never one that is known.
        for (from, gone) in [(5, probe.0), (6, held[1].0), (7, new.0)] {
            open.take(address(from), &settings).unwrap();
            assert!(!left(&open).contains(&gone) && left(&open).contains(&caller.0), "{:?}", left(&open));
        }
        let known: Vec<_> = open.places.values().map(|(_, place)| Arc::clone(&place.line)).collect();
        known.iter().for_each(|line| line.recognised());
        assert_eq!(open.take(address(8), &settings).err(), Some("too_many"));
        let last = Settings { make_room: false, ..settings };
        assert_eq!(Open::default().take(address(1), &last).map(|(id, _)| id).unwrap(), 0);
    }

    #[test]
    fn an_address_has_its_share_and_what_ended_is_forgotten() {
        let settings = Settings { connections: 9, per_address: 2, make_room: true, ..Settings::default() };
        let mut open = Open::default();
        let (first, _) = open.take(address(1), &settings).unwrap();
        let (second, _) = open.take(address(1), &settings).unwrap();
        assert_eq!(open.take(address(1), &settings).err(), Some("too_many_of_one_address"));
        open.leave(first);
        assert!(open.take(address(1), &settings).is_ok());
        open.leave(second);
        assert!(open.leave(second).is_none());
        assert_eq!(open.from[&address(1)], 1);
    }
}
