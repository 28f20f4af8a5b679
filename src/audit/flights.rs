//! Which events have their entry on its way into the log, and which have it there.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::EventId;

/// More events than could be on their way at once; what is beyond was given up by its callers long ago.
const MOST_ADOPTED: usize = 65_536;

#[derive(Default, Debug)]
pub(super) struct Flights(Mutex<State>);

#[derive(Default, Debug)]
struct State {
    under_way: HashSet<EventId>,
    /// Safe in the log, not settled in the store yet.
    landed: HashSet<EventId>,
    /// Appended from the outbox because their caller did not; it may still come.
    adopted: HashSet<EventId>,
}

impl Flights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the caller that made the event.
    pub(super) fn claim(&self, event: EventId) -> Claim<'_> {
        let mut state = self.state();
        if state.under_way.contains(&event) {
            Claim::UnderWay
        } else if state.landed.contains(&event) || state.adopted.remove(&event) {
            Claim::Landed
        } else {
            state.under_way.insert(event);
            Claim::Yours(Flight { flights: self, event, handed_over: false })
        }
    }

    /// For the outbox: `None` if the caller sees to it.
    pub(super) fn adopt(&self, event: EventId) -> Option<Flight<'_>> {
        let Claim::Yours(flight) = self.claim(event) else { return None };
        let mut state = self.state();
        if state.adopted.len() >= MOST_ADOPTED {
            state.adopted.clear();
        }
        state.adopted.insert(event);
        drop(state);
        Some(flight)
    }

    pub(super) fn landed(&self, events: impl Iterator<Item = EventId>) {
        let mut state = self.state();
        for event in events {
            state.under_way.remove(&event);
            state.landed.insert(event);
        }
    }

    pub(super) fn failed(&self, event: EventId) {
        let mut state = self.state();
        state.under_way.remove(&event);
        state.adopted.remove(&event);
    }

    pub(super) fn to_settle(&self) -> Vec<EventId> {
        self.state().landed.iter().copied().collect()
    }

    /// Forgets what the store has settled.
    pub(super) fn settled(&self, events: &[EventId]) {
        let mut state = self.state();
        for event in events {
            state.landed.remove(event);
        }
    }

    pub(super) fn knows(&self, event: EventId) -> bool {
        let state = self.state();
        state.under_way.contains(&event) || state.landed.contains(&event)
    }
}

/// What a caller that wants to append an event's entry finds.
pub(super) enum Claim<'f> {
    /// Nobody has: go on.
    Yours(Flight<'f>),
    /// Somebody is about to.
    UnderWay,
    /// It is safe in the log.
    Landed,
}

/// An entry on its way from the caller to the writer. A caller that goes away before it arrives ends the flight.
pub(super) struct Flight<'f> {
    flights: &'f Flights,
    event: EventId,
    handed_over: bool,
}

impl Flight<'_> {
    /// From here on the writer says how it ends.
    pub(super) fn hand_over(mut self) -> EventId {
        self.handed_over = true;
        self.event
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.flights.failed(self.event);
        }
    }
}
