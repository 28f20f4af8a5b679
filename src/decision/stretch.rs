//! A yes or no that holds for a while: the arithmetic behind `retry_at` and `valid_until`.

use crate::time::Instant;

/// An answer at some instant, and until when it is known to stay the same. It may stay the same longer; it never
/// changes sooner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub holds: bool,
    pub until: Instant,
}

impl Stretch {
    pub const fn new(holds: bool, until: Instant) -> Self {
        Self { holds, until }
    }

    /// The same answer at every later instant.
    pub const fn always(holds: bool) -> Self {
        Self::new(holds, Instant::FAR)
    }

    /// Yes from `from` on.
    pub fn since(from: Instant, at: Instant) -> Self {
        if at < from { Self::new(false, from) } else { Self::always(true) }
    }

    /// Yes until just before `until`.
    pub fn before(until: Instant, at: Instant) -> Self {
        if at < until { Self::new(true, until) } else { Self::always(false) }
    }

    pub const fn not(self) -> Self {
        Self::new(!self.holds, self.until)
    }

    /// Whether either holds. While one that holds lasts, the other does not matter.
    pub fn or(self, other: Self) -> Self {
        let until = match (self.holds, other.holds) {
            (true, true) => self.until.max(other.until),
            (true, false) => self.until,
            (false, true) => other.until,
            (false, false) => self.until.min(other.until),
        };
        Self::new(self.holds || other.holds, until)
    }

    /// Whether both hold.
    pub fn and(self, other: Self) -> Self {
        self.not().or(other.not()).not()
    }

    /// The same answer, looked at again by `latest` at the latest.
    pub fn no_later_than(self, latest: Instant) -> Self {
        Self::new(self.holds, self.until.min(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(n: i64) -> Instant {
        Instant::from_millis(n)
    }

    #[test]
    fn either_and_both_last_as_long_as_their_deciding_side() {
        let (yes5, yes9) = (Stretch::new(true, at(5)), Stretch::new(true, at(9)));
        let (no5, no9) = (Stretch::new(false, at(5)), Stretch::new(false, at(9)));
        assert_eq!(yes5.or(yes9), yes9);
        assert_eq!(yes5.or(no9), yes5);
        assert_eq!(no5.or(no9), no5);
        assert_eq!(yes5.and(yes9), yes5);
        assert_eq!(no9.and(yes5), no9);
        assert_eq!(no5.and(no9), no9);
    }
}
