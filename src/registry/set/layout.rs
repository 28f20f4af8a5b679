//! Where things stand in the body of a set file, and how a number falls into parts.
//!
//! A number is the digits of its E.164 form. Its last seven digits say where it stands in its *prefix* (country and area
//! code: all that comes before); of these the first three name one of the prefix's thousand *blocks* (in North America:
//! exchanges), the last four its place in the block.
//!
//! All integers are little-endian. The body is a [`Record`] of 16 bytes for each prefix that has numbers, ascending, and
//! for each of them, in the same order, its section, filled up with zeros to a multiple of 16 bytes. By [`Shape`]:
//!
//! - *few*: the last seven digits of each number, ascending, four bytes each; where they are dated, then as many dates;
//! - *blocks*: 1,001 [`Word`]s of four bytes, one a block and one for the end, then what they point to. A word says which
//!   of its block's ten thousands have numbers, at which two-byte unit behind the words they begin, and in which [`Form`].
//!   Bits are 63 units for each of these thousands: a bit a number, the lowest first, and a zero at the end. A list is the
//!   last four digits, ascending, two bytes each;
//! - *dated blocks*: 1,001 counts of four bytes, which say how many numbers stand before each block and in all, then block
//!   by block their last four digits, ascending, two bytes each, and as many dates.
//!
//! So one number of a great list is asked for in its word, which is among a megabyte that the processor keeps near, and
//! then waits for memory far away once: a list is compared with it as a whole, since a search by halves would wait for
//! each half.
//!
//! A set of tags has no prefixes: its body is the tags, ascending, eight bytes each, and, where any is dated, as many
//! dates.
//!
//! The digest in the header is SHA-256 over all sections and then the table of prefixes, which is known last.
//!
//! A date is two bytes: days since 1 January 2000, or 0 for a number without one. Days are those of UTC, cut off and not
//! rounded, so that an entry is never younger than it was.

use crate::time::Instant;

/// Numbers of one prefix.
pub const PREFIX: u64 = 10_000_000;
/// Numbers of one block.
pub const BLOCK: u32 = 10_000;
/// Blocks of one prefix.
pub const BLOCKS: usize = 1_000;
/// Bytes of a [`Record`], and of what each section is a multiple of.
pub const RECORD: usize = 16;
/// Bytes of all words at the head of a section of blocks, and of the counts at the head of one of dated blocks.
pub const WORDS: usize = 4 * (BLOCKS + 1);
/// A prefix with fewer numbers than this is written as few, which is no longer than the words alone.
pub const FEW: usize = 1_000;
/// The numbers of one thousand, as bits, are so many units of two bytes.
pub const BITS: usize = 63;
/// A block is a list if that takes at most these parts of what bits take: bits are faster to ask.
pub const LIST: (usize, usize) = (1, 2);

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
pub struct Shape {
    /// In blocks; otherwise few.
    pub blocks: bool,
    /// With a date beside each.
    pub dated: bool,
}

/// How the numbers of a block are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Bits,
    List,
}

/// What a section of blocks says of one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Where it begins, in units behind the words.
    pub at: usize,
    /// Bit `t` says that it has numbers `t000` to `t999`.
    pub thousands: u32,
    pub form: Form,
}

impl Word {
    const AT: u32 = (1 << 20) - 1;

    /// 20 bits of the place, ten of the thousands, one of the form. `None` for a place that no section reaches.
    pub fn bytes(self) -> Option<[u8; 4]> {
        let form = u32::from(self.form == Form::List);
        let at = u32::try_from(self.at).ok().filter(|at| *at <= Self::AT)?;
        Some((at | self.thousands << 20 | form << 30).to_le_bytes())
    }

    #[inline]
    pub fn read(word: u32) -> Self {
        let form = if word >> 30 & 1 == 1 { Form::List } else { Form::Bits };
        Self { at: usize::try_from(word & Self::AT).unwrap_or(usize::MAX), thousands: word >> 20 & 0x3ff, form }
    }
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
    /// Eight bytes of the place, four of the prefix, four of the count, whose two highest bits are the shape.
    pub fn bytes(self) -> [u8; RECORD] {
        let shape = u32::from(self.shape.blocks) << 31 | u32::from(self.shape.dated) << 30;
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
        let shape = Shape { blocks: count >> 31 == 1, dated: count >> 30 & 1 == 1 };
        let (prefix, at) = (u32::from_le_bytes(*prefix), u64::from_le_bytes(*at));
        Some(Self { prefix, shape, count: count & !(3 << 30), at })
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

    /// In a file of answers, beside a number that was asked about and is not on the register.
    pub const CLEAR: Self = Self(u16::MAX);

    /// The day of an instant in UTC. One before 2 January 2000 is none, which is no younger.
    #[must_use]
    pub fn of(instant: Instant) -> Self {
        let days = instant.millis().saturating_sub(FIRST).div_euclid(DAY);
        Self(u16::try_from(days.clamp(0, i64::from(u16::MAX) - 1)).unwrap_or(0))
    }

    /// What counts of two days of one number: none where they differ. Neither the earlier nor the later is the stricter one:
    /// by the earlier an entry binds sooner (`bites_after`), by the later a consent is older than the entry
    /// (`after_listing`). An entry of an unknown day does both.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        if self == other { self } else { Self::NONE }
    }

    /// Its first instant in UTC, where there is a day.
    #[must_use]
    pub fn begin(self) -> Option<Instant> {
        (self != Self::NONE).then(|| Instant::from_millis(FIRST + i64::from(self.0) * DAY))
    }
}
