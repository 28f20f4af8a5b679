//! Where things stand in the body of a set file, and how a number falls into parts.
//!
//! A number is the digits of its E.164 form. Its last seven digits say where it stands in its *prefix* (country and area
//! code: all that comes before); of these the first three name one of the prefix's thousand *blocks* (in North America:
//! exchanges), the last four its place in the block.
//!
//! All integers are little-endian. The body is:
//!
//! 1. a [`Record`] of 16 bytes for each prefix that has numbers, ascending;
//! 2. for each of them, in the same order, its section. A section with few numbers ([`Shape::Few`]) is their last seven
//!    digits, ascending, four bytes each, then as many dates. Any other ([`Shape::Blocks`]) is
//!    1,001 words of four bytes, then the blocks. Word `i` holds in its lower 30 bits where block `i` begins, counted from
//!    the end of the words, and in its upper two bits the [`Form`] of it; the last word is where the blocks end.
//!
//! The digest in the header is SHA-256 over all sections and then the table of prefixes, which is known last.
//!
//! A date is two bytes: days since 1 January 2000, or 0 for a number without one. Days are those of UTC, cut off and not
//! rounded, so that an entry is never younger than it was.

use crate::time::Instant;

/// Numbers of one prefix.
pub const PREFIX: u64 = 10_000_000;
/// Numbers of one block.
pub const BLOCK: u64 = 10_000;
/// Blocks of one prefix.
pub const BLOCKS: usize = 1_000;
/// Bytes of the words at the head of a section of blocks.
pub const WORDS: usize = 4 * (BLOCKS + 1);
/// Bytes of a [`Record`].
pub const RECORD: usize = 16;
/// A prefix with fewer numbers than this is written as [`Shape::Few`].
pub const FEW: usize = 1_000;
/// Numbers of one thousand, as bits, are so many bytes.
pub const THOUSAND: usize = 125;

const AT: u32 = (1 << 30) - 1;

/// A number in its parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// All but the last seven digits.
    pub prefix: u32,
    /// The last seven digits.
    pub rest: u32,
}

impl Parts {
    /// `None` for what has more than fifteen digits, which is no number.
    pub fn of(number: u64) -> Option<Self> {
        if number >= 1_000_000_000_000_000 {
            return None;
        }
        Some(Self { prefix: u32::try_from(number / PREFIX).ok()?, rest: u32::try_from(number % PREFIX).ok()? })
    }

    pub fn block(self) -> usize {
        usize::try_from(self.rest / 10_000).unwrap_or(0)
    }

    pub fn low(self) -> u16 {
        u16::try_from(self.rest % 10_000).unwrap_or(0)
    }
}

/// How the numbers of a prefix are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Few,
    Blocks,
}

/// How the numbers of a block are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The last four digits, ascending, two bytes each.
    List,
    /// Two bytes whose bit `t` says that there are numbers `t000` to `t999`; for each such thousand 125 bytes, a bit a
    /// number, the lowest first.
    Bits,
    /// As a list, then as many dates.
    Dated,
}

/// A word at the head of a section of blocks.
pub fn word(at: usize, form: Form) -> Option<u32> {
    let tag = match form {
        Form::List => 0,
        Form::Bits => 1,
        Form::Dated => 2,
    };
    u32::try_from(at).ok().filter(|at| *at <= AT).map(|at| at | tag << 30)
}

/// Where a block begins, and its form.
pub fn unword(word: u32) -> Option<(usize, Form)> {
    let form = match word >> 30 {
        0 => Form::List,
        1 => Form::Bits,
        2 => Form::Dated,
        _ => return None,
    };
    usize::try_from(word & AT).ok().map(|at| (at, form))
}

/// One prefix in the table at the head of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    pub prefix: u32,
    pub shape: Shape,
    /// How many numbers there are, at most ten million.
    pub count: u32,
    /// Where its section begins, counted from the begin of the body.
    pub at: u64,
}

impl Record {
    /// Eight bytes of the place, four of the prefix, four of the count, whose highest bit says [`Shape::Blocks`].
    pub fn bytes(self) -> [u8; RECORD] {
        let shape = if self.shape == Shape::Blocks { 1 << 31 } else { 0 };
        let mut bytes = [0; RECORD];
        let parts = self.at.to_le_bytes().into_iter().chain(self.prefix.to_le_bytes());
        let parts = parts.chain((self.count | shape).to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk::<8>()?;
        let (prefix, rest) = rest.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        let shape = if count >> 31 == 1 { Shape::Blocks } else { Shape::Few };
        let (prefix, at) = (u32::from_le_bytes(*prefix), u64::from_le_bytes(*at));
        Some(Self { prefix, shape, count: count & !(1 << 31), at })
    }
}

/// A date as it is written: days since 1 January 2000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Day(pub u16);

/// 1 January 2000, 0:00 UTC.
const FIRST: i64 = 946_684_800_000;
const DAY: i64 = 86_400_000;

impl Day {
    /// No date: of any age.
    pub const NONE: Self = Self(0);

    /// The day of an instant in UTC. One before 2 January 2000 is none, which is no younger.
    #[must_use]
    pub fn of(instant: Instant) -> Self {
        let days = instant.millis().saturating_sub(FIRST).div_euclid(DAY);
        Self(u16::try_from(days.clamp(0, i64::from(u16::MAX))).unwrap_or(0))
    }

    /// Its first instant in UTC, where there is a day.
    #[must_use]
    pub fn begin(self) -> Option<Instant> {
        (self != Self::NONE).then(|| Instant::from_millis(FIRST + i64::from(self.0) * DAY))
    }
}
