//! What is held of requests, from their first byte until they are answered: first as they came, then also as they were read.
//!
//! Promises: each request may bring a mebibyte, and take one once it is read, whatever the others do; beyond that all together
//! hold no more than [`MOST`], and no tenant more than it leaves free for others. What is answered before all else has as much
//! again, by the same rule, and takes nothing from the others. Must never wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant as Monotonic;

use super::{Busy, Gate, Lane, Share};

/// Bytes that a request may bring whatever else is held.
pub const EACH: usize = 1 << 20;
/// Bytes held beyond those, of all requests together. One tenant alone can take the half of it.
const MOST: u64 = 256 << 20;

/// When the headers of a request came: as its connection says, which then asks for a processor for it.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub Monotonic);

/// What is held of all.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    requests: AtomicU32,
    usual: AtomicU64,
    first: AtomicU64,
}

/// Of which bytes.
#[derive(Clone, Copy)]
enum Of {
    Usual,
    /// Those of what is answered before all else.
    First,
}

impl Arrivals {
    /// How many requests are waited for, and the bytes that all hold beyond what each may.
    pub fn state(&self) -> (u32, u64) {
        let bytes = self.usual.load(Ordering::Acquire) + self.first.load(Ordering::Acquire);
        (self.requests.load(Ordering::Acquire), bytes)
    }

    const fn sum(&self, of: Of) -> &AtomicU64 {
        match of {
            Of::Usual => &self.usual,
            Of::First => &self.first,
        }
    }

    /// Whether there is room for so many bytes more, so that a tenant leaves as much free as it holds with them; then they are held.
    fn hold(&self, of: Of, share: Option<&Share>, bytes: u64) -> bool {
        let all = self.sum(of).fetch_add(bytes, Ordering::AcqRel);
        let own = share.map(|share| share.held(of).fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes));
        let fits = MOST.checked_sub(all.saturating_add(bytes)).is_some_and(|free| own.is_none_or(|own| own <= free));
        if !fits {
            self.let_go(of, share, bytes);
        }
        fits
    }

    fn let_go(&self, of: Of, share: Option<&Share>, bytes: u64) {
        self.sum(of).fetch_sub(bytes, Ordering::AcqRel);
        if let Some(share) = share {
            share.held(of).fetch_sub(bytes, Ordering::AcqRel);
        }
    }
}

impl Share {
    const fn held(&self, of: Of) -> &AtomicU64 {
        match of {
            Of::Usual => &self.held,
            Of::First => &self.held_first,
        }
    }
}

/// A request that is waited for, and what is held of it until this is dropped.
#[derive(Debug)]
pub struct Arrival {
    gate: Arc<Gate>,
    lane: Lane,
    share: Option<Arc<Share>>,
    held: u64,
    /// The same of what is answered before all else.
    held_first: u64,
    has_come: bool,
}

impl Arrival {
    pub(super) fn new(gate: Arc<Gate>, lane: Lane, share: Option<Arc<Share>>) -> Self {
        gate.arrivals().requests.fetch_add(1, Ordering::AcqRel);
        Self { gate, lane, share, held: 0, held_first: 0, has_come: false }
    }

    /// So many bytes of it have come so far.
    ///
    /// # Errors
    /// There is no room for them; or it is long, and would be refused if it were there: the rest need not come.
    pub fn brought(&mut self, bytes: usize) -> Result<(), Busy> {
        let beyond = u64::try_from(bytes.saturating_sub(EACH)).unwrap_or(u64::MAX);
        let more = beyond.saturating_sub(self.held);
        if more == 0 {
            return Ok(());
        }
        if self.held == 0
            && let Some(busy) = self.gate.refuses(self.lane, self.share.as_ref())
        {
            return Err(busy);
        }
        if !self.gate.arrivals().hold(Of::Usual, self.share.as_deref(), more) {
            return Err(self.gate.has_no_room(self.lane));
        }
        self.held = beyond;
        Ok(())
    }

    /// It is waited for no longer. What is held of it stays so.
    #[must_use]
    pub fn come(mut self) -> Self {
        self.comes();
        self
    }

    fn comes(&mut self) {
        if !std::mem::replace(&mut self.has_come, true) {
            self.gate.arrivals().requests.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// It will take so many bytes more once it is read. What is answered `first` of all has room of its own where that of the
    /// others is taken.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn is_read(&mut self, bytes: usize, first: bool) -> Result<(), Busy> {
        let beyond = u64::try_from(bytes.saturating_sub(EACH)).unwrap_or(u64::MAX);
        if beyond == 0 {
            return Ok(());
        }
        let (arrivals, share) = (self.gate.arrivals(), self.share.as_deref());
        if arrivals.hold(Of::Usual, share, beyond) {
            self.held = self.held.saturating_add(beyond);
        } else if first && arrivals.hold(Of::First, share, beyond) {
            self.held_first = self.held_first.saturating_add(beyond);
        } else {
            return Err(self.gate.has_no_room(self.lane));
        }
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.comes();
        let (arrivals, share) = (self.gate.arrivals(), self.share.as_deref());
        arrivals.let_go(Of::Usual, share, self.held);
        arrivals.let_go(Of::First, share, self.held_first);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::access::{GateSettings, Why};

    #[test]
    fn what_is_short_always_has_room_and_no_tenant_takes_all_of_what_is_long() {
        let gate = Arc::new(Gate::default());
        let long = 16 << 20;
        let fill = |share: Option<&Arc<Share>>| {
            let mut held = Vec::new();
            loop {
                let mut arrival = gate.arrival(Lane::Check, share);
                if let Err(busy) = arrival.brought(long) {
                    assert_eq!(busy.why, Why::Full);
                    return held;
                }
                held.push(arrival);
            }
        };
        let tenants: Vec<_> = (0..3).map(|_| Arc::new(Share::default())).collect();
        let held: Vec<_> = tenants.iter().map(|share| fill(Some(share))).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [8, 4, 2], "half of what is free, each");
        assert!(gate.arrival(Lane::Check, Some(&tenants[0])).brought(EACH).is_ok());
        let (requests, bytes) = gate.state().arriving;
        assert_eq!((requests, bytes), (14, 14 * (15 << 20)));
        drop(held);
        assert_eq!(gate.state().arriving, (0, 0));
        assert_eq!(fill(None).len(), 17, "without tenants all of it");
        assert_eq!(gate.state().arriving, (0, 0));
        assert!(tenants.iter().all(|share| share.held.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn what_was_read_is_held_until_it_is_answered() {
        let gate = Arc::new(Gate::default());
        let share = Arc::new(Share::default());
        let come = |bytes| {
            let mut arrival = gate.arrival(Lane::Check, Some(&share));
            arrival.brought(bytes).map(|()| arrival.come())
        };
        let held: Vec<_> = (0..3).map(|_| come(16 << 20).unwrap()).collect();
        assert_eq!(gate.state().arriving, (0, 45 << 20));
        let mut read = held.into_iter().map(|mut arrival| {
            let fits = arrival.is_read(41 << 20, false).is_ok();
            (arrival, fits)
        });
        let (first, second, third) = (read.next().unwrap(), read.next().unwrap(), read.next().unwrap());
        assert!(first.1 && second.1 && !third.1, "125 of 256 MiB: no room for 40 more of one tenant");
        assert!(come(16 << 20).is_err() && come(EACH).unwrap().is_read(EACH, false).is_ok());
        // What is urgent takes nothing from the others, and is bounded as well.
        let mut urgent = [come(EACH).unwrap(), come(EACH).unwrap()];
        let fits = urgent.each_mut().map(|urgent| urgent.is_read(100 << 20, true).is_ok());
        assert!(fits == [true, false] && come(EACH + 1).is_ok());
        assert_eq!(gate.state().arriving.1, (45 + 80 + 99) << 20);
        drop((first, second, third, urgent));
        assert_eq!((gate.state().arriving, share.held.load(Ordering::Relaxed)), ((0, 0), 0));
    }

    #[test]
    fn what_is_long_and_would_be_refused_need_not_come() {
        let gate = Arc::new(Gate::new(GateSettings { checks: 1, ..GateSettings::default() }));
        let mut arrival = gate.arrival(Lane::Check, None);
        let held = gate.enter(Lane::Check, None, None).unwrap();
        assert!(arrival.brought(EACH).is_ok());
        assert_eq!(arrival.brought(EACH + 1).unwrap_err().why, Why::Full);
        drop(held);
        assert!(arrival.brought(EACH + 1).is_ok());
    }
}
