//! Refusals in the log: each once, and a flood of them in few lines. The same for failures of ours, which many calls meet at once.
//!
//! Promises: of each kind, which is a reason and a tenant, the first [`LINES`] within a minute have a line each; those after
//! them are counted, and told by one line once the minute is over. Lines and counts add up to what was refused, and so does the
//! metric.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use prometheus_client::metrics::counter::Counter;

/// How many of a kind have a line of their own, within how long.
const LINES: u32 = 10;
const WITHIN: Duration = Duration::from_secs(60);

/// A request that was refused, as the log tells it: no secret, and no number.
#[derive(Clone, Copy)]
pub struct Refusal<'a> {
    /// The reason, as its caller was told it.
    pub reason: &'static str,
    /// The same in words. Must hold nothing of the request.
    pub why: &'a dyn Display,
    /// What was called. Must hold nothing of the request but what the server knows, or no digit.
    pub call: &'a dyn Display,
    /// The name of the key or certificate; empty: not known.
    pub caller: &'a str,
    /// From where it came, where that is known.
    pub from: Option<IpAddr>,
}

/// How many more there were of a kind than were told, and within how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct More {
    pub count: u64,
    pub within: Duration,
}

impl More {
    /// Whole seconds, and never none.
    pub fn seconds(self) -> u64 {
        self.within.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX)
    }
}

/// What became of those of one kind since the first of them.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Option<Monotonic>,
    told: u32,
    held: u64,
}

impl Window {
    /// One more: what is to be told of those before it, and whether it has a line of its own.
    fn note(&mut self, now: Monotonic) -> (Option<More>, bool) {
        let more = self.over(now);
        self.since.get_or_insert(now);
        let tell = self.told < LINES;
        if tell {
            self.told += 1;
        } else {
            self.held += 1;
        }
        (more, tell)
    }

    /// What is to be told once the time is over.
    fn over(&mut self, now: Monotonic) -> Option<More> {
        let since = self.since?;
        if now.saturating_duration_since(since) < WITHIN { None } else { self.end(now) }
    }

    /// What is to be told now; the next one is the first again.
    fn end(&mut self, now: Monotonic) -> Option<More> {
        let before = std::mem::take(self);
        let within = now.saturating_duration_since(before.since?);
        (before.held > 0).then_some(More { count: before.held, within })
    }
}

/// What is known of one reason.
#[derive(Debug)]
struct Kind {
    reason: &'static str,
    counter: Counter,
    window: Window,
}

/// The kinds of one tenant, or of connections: as many as there are reasons.
#[derive(Debug, Default)]
pub(super) struct Kinds(Mutex<Vec<Kind>>);

impl Kinds {
    /// Counts one. `counter` is made with the first of its kind.
    pub fn note(
        &self,
        reason: &'static str,
        now: Monotonic,
        counter: impl FnOnce() -> Counter,
    ) -> (Option<More>, bool) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kinds.iter().position(|kind| kind.reason == reason).unwrap_or_else(|| {
            kinds.push(Kind { reason, counter: counter(), window: Window::default() });
            kinds.len() - 1
        });
        let Some(kind) = kinds.get_mut(at) else { return (None, true) };
        kind.counter.inc();
        kind.window.note(now)
    }

    /// What is to be told of those whose time is over; of all, where nothing comes after it.
    pub fn over(&self, now: Monotonic, last: bool) -> Vec<(&'static str, More)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |kind: &mut Kind| {
            let more = if last { kind.window.end(now) } else { kind.window.over(now) };
            Some((kind.reason, more?))
        };
        kinds.iter_mut().filter_map(of).collect()
    }
}

/// Failures of ours, by what failed: a store that is away fails every call.
static TROUBLES: Kinds = Kinds(Mutex::new(Vec::new()));

/// Something of ours failed, which is told as refusals are.
pub fn trouble(what: &'static str, error: &dyn Display) {
    let (more, tell) = TROUBLES.note(what, Monotonic::now(), Counter::default);
    if let Some(more) = more {
        tell_more_trouble(what, more);
    }
    if tell {
        tracing::error!(%error, "{what}");
    }
}

pub(super) fn tell_troubles(now: Monotonic, last: bool) {
    for (what, more) in TROUBLES.over(now, last) {
        tell_more_trouble(what, more);
    }
}

fn tell_more_trouble(what: &'static str, more: More) {
    let (count, seconds) = (more.count, more.seconds());
    tracing::error!(count, seconds, "{what}: {count} more like it in {seconds} seconds");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes whenever: nothing is told twice or not at all, and no minute has more lines than it may.
        #[test]
        fn lines_and_counts_add_up(
            gaps in prop::collection::vec((0_u64..20_000, 1_usize..40, any::<bool>()), 1..60),
        ) {
            let (mut window, mut now, begun) = (Window::default(), Monotonic::now(), Monotonic::now());
            let (mut all, mut held, mut told) = (0_u64, 0, Vec::new());
            for (gap, count, look) in gaps {
                now += Duration::from_millis(gap);
                if look {
                    held += window.over(now).map_or(0, |more| more.count);
                }
                for _ in 0..count {
                    let (more, tell) = window.note(now);
                    held += more.map_or(0, |more| more.count);
                    told.extend(tell.then_some(now));
                    all += 1;
                }
            }
            held += window.end(now).map_or(0, |more| more.count);
            prop_assert_eq!(told.len() as u64 + held, all);
            prop_assert_eq!(window.end(now), None);
            // A minute may hold the end of one window and the beginning of the next.
            for at in &told {
                let within = told.iter().filter(|other| **other >= *at && **other < *at + WITHIN).count();
                prop_assert!(within <= 2 * LINES as usize, "{:?}", at.saturating_duration_since(begun));
            }
        }
    }

    #[test]
    fn the_first_are_told_and_the_others_together_once_their_time_is_over() {
        let (mut window, now) = (Window::default(), Monotonic::now());
        let told = (0..25).filter(|_| window.note(now).1).count();
        assert_eq!((told, window.over(now + WITHIN / 2)), (10, None));
        let more = window.over(now + WITHIN + Duration::from_millis(1));
        assert_eq!(more.map(|more| (more.count, more.seconds())), Some((15, 61)));
        assert_eq!(window.note(now + WITHIN), (None, true), "the next is the first again");
    }
}
