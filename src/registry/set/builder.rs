//! Numbers in any order, repeated or taken out again, gathered into what a set file holds.
//!
//! Memory follows the numbers that are different, not the lines read: some 1.3 bytes a number where they stand close.

use std::collections::BTreeMap;

use super::layout::{BITS, BLOCKS, Day, FEW, Form, LIST, Parts, RECORD, Record, Shape, WORDS, Word};
use super::tags::Tags;

/// A list of so many is looked over for repeats, and becomes bits if it is no shorter then.
const CROWDED: usize = 626;
const WHOLE: usize = 10_000 / 64 + 1;

/// The numbers of a list while it is built.
#[derive(Default)]
pub struct Builder {
    prefixes: BTreeMap<u32, Prefix>,
    tags: Tags,
}

/// What [`Builder::add`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// The number is in the set now, and was perhaps before.
    Taken,
    /// It has more than fifteen digits.
    NoNumber,
}

impl Builder {
    /// Puts a number in. Of a number given twice the strictest entry counts: one without a date, which may be of any age,
    /// before the earliest date.
    pub fn add(&mut self, number: u64, day: Day) -> Added {
        let Some(parts) = Parts::of(number) else { return Added::NoNumber };
        self.prefixes.entry(parts.prefix).or_default().add(parts, day);
        Added::Taken
    }

    /// Takes a number out; says whether it was in.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some(parts) = Parts::of(number) else { return false };
        self.prefixes.get_mut(&parts.prefix).is_some_and(|prefix| prefix.remove(parts))
    }

    /// Puts a tag in, in a set of tags.
    pub fn add_tag(&mut self, tag: u64, day: Day) {
        self.tags.add(tag, day);
    }

    /// Takes a tag out; says whether it was in.
    pub fn remove_tag(&mut self, tag: u64) -> bool {
        self.tags.remove(tag)
    }

    /// The prefixes that have numbers (all but the last seven digits), ascending, and how many numbers each has.
    pub fn counts(&mut self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.prefixes.retain(|_, numbers| !numbers.is_empty());
        self.prefixes.iter_mut().map(|(prefix, numbers)| (*prefix, numbers.count()))
    }

    /// The body of a set of tags, how many there are, and how many of them have a date.
    pub(super) fn finish_tags(self) -> (Vec<u8>, u64, u64) {
        self.tags.finish()
    }

    /// What is to be written.
    pub(super) fn finish(mut self) -> Finished<impl Iterator<Item = Section>> {
        self.prefixes.retain(|_, numbers| !numbers.is_empty());
        let prefixes = self.prefixes.len();
        Finished {
            prefixes,
            sections: self.prefixes.into_iter().filter_map(|(prefix, numbers)| numbers.section(prefix)),
        }
    }
}

/// A list that is ready to be written.
pub(super) struct Finished<S> {
    /// How many sections there are.
    pub prefixes: usize,
    /// The prefixes that have numbers, ascending, each with its section. They are made one at a time, and what they were
    /// made of is gone after it.
    pub sections: S,
}

/// What is written of one prefix.
pub(super) struct Section {
    /// With `at` still 0.
    pub record: Record,
    pub bytes: Vec<u8>,
    /// How many of its numbers have a date.
    pub dated: u64,
}

enum Prefix {
    Few(Vec<(u32, Day)>),
    Blocks(Box<[Block]>),
}

impl Default for Prefix {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

/// Merges repeats: a number without a date is of any age.
fn tidy<N: Ord + Copy>(numbers: &mut Vec<(N, Day)>) {
    numbers.sort_unstable();
    numbers.dedup_by_key(|(number, _)| *number);
}

impl Prefix {
    fn add(&mut self, parts: Parts, day: Day) {
        match self {
            Self::Few(numbers) => {
                numbers.push((parts.rest, day));
                if numbers.len() >= 2 * FEW {
                    tidy(numbers);
                    if numbers.len() >= FEW {
                        let numbers = std::mem::take(numbers);
                        self.spread(numbers);
                    }
                }
            }
            Self::Blocks(blocks) => {
                if let Some(block) = blocks.get_mut(parts.block()) {
                    block.add(parts.low(), day);
                }
            }
        }
    }

    fn remove(&mut self, parts: Parts) -> bool {
        match self {
            Self::Few(numbers) => {
                let before = numbers.len();
                numbers.retain(|(rest, _)| *rest != parts.rest);
                numbers.len() < before
            }
            Self::Blocks(blocks) => blocks.get_mut(parts.block()).is_some_and(|block| block.remove(parts.low())),
        }
    }

    fn count(&mut self) -> u64 {
        let count = match self {
            Self::Few(numbers) => {
                tidy(numbers);
                numbers.len()
            }
            Self::Blocks(blocks) => blocks.iter_mut().map(Block::count).sum(),
        };
        u64::try_from(count).unwrap_or(0)
    }

    fn is_empty(&mut self) -> bool {
        match self {
            Self::Few(numbers) => numbers.is_empty(),
            Self::Blocks(blocks) => blocks.iter_mut().all(|block| block.count() == 0),
        }
    }

    fn spread(&mut self, numbers: Vec<(u32, Day)>) {
        let mut blocks: Vec<Block> = Vec::new();
        blocks.resize_with(BLOCKS, Block::default);
        *self = Self::Blocks(blocks.into_boxed_slice());
        for (rest, day) in numbers {
            self.add(Parts { prefix: 0, rest }, day);
        }
    }

    fn section(self, prefix: u32) -> Option<Section> {
        match self {
            Self::Few(mut numbers) => {
                tidy(&mut numbers);
                if numbers.len() < FEW {
                    return few(prefix, &numbers);
                }
                let mut spread = Self::default();
                spread.spread(numbers);
                spread.section(prefix)
            }
            Self::Blocks(mut blocks) => {
                let count: usize = blocks.iter_mut().map(Block::count).sum();
                if count < FEW {
                    let low = |block: usize, low: u16| u32::try_from(block).unwrap_or(0) * 10_000 + u32::from(low);
                    let numbers = blocks.into_vec().into_iter().enumerate();
                    let numbers =
                        numbers.flat_map(|(at, block)| block.numbers().map(move |(n, day)| (low(at, n), day)));
                    return few(prefix, &numbers.collect::<Vec<_>>());
                }
                let dated = blocks.iter().map(Block::dated).sum();
                let bytes = if dated == 0 { in_thousands(blocks)? } else { with_dates(blocks)? };
                section(prefix, count, true, dated, bytes)
            }
        }
    }
}

fn section(prefix: u32, count: usize, blocks: bool, dated: u64, mut bytes: Vec<u8>) -> Option<Section> {
    bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
    let shape = Shape { blocks, dated: dated > 0 };
    let record = Record { prefix, shape, count: u32::try_from(count).ok()?, at: 0 };
    Some(Section { record, bytes, dated })
}

fn dates<'d>(days: impl Iterator<Item = &'d Day>) -> u64 {
    days.map(|day| u64::from(*day != Day::NONE)).sum()
}

fn few(prefix: u32, numbers: &[(u32, Day)]) -> Option<Section> {
    let dated = dates(numbers.iter().map(|(_, day)| day));
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|(rest, _)| rest.to_le_bytes()).collect();
    if dated > 0 {
        bytes.extend(numbers.iter().flat_map(|(_, day)| day.0.to_le_bytes()));
    }
    section(prefix, numbers.len(), false, dated, bytes)
}

fn in_thousands(blocks: Box<[Block]>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; WORDS];
    let mut words = Vec::with_capacity(WORDS);
    let units = |bytes: &Vec<u8>| (bytes.len() - WORDS) / 2;
    for block in blocks.into_vec() {
        let at = units(&bytes);
        let (thousands, form) = block.write(&mut bytes);
        words.extend(Word { at, thousands, form }.bytes()?);
    }
    words.extend(Word { at: units(&bytes), thousands: 0, form: Form::Bits }.bytes()?);
    bytes.get_mut(..WORDS)?.copy_from_slice(&words);
    Some(bytes)
}

fn with_dates(blocks: Box<[Block]>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; WORDS];
    for (block, at) in blocks.into_vec().into_iter().zip((4..).step_by(4)) {
        let numbers: Vec<(u16, Day)> = block.numbers().collect();
        bytes.extend(numbers.iter().flat_map(|(low, _)| low.to_le_bytes()));
        bytes.extend(numbers.iter().flat_map(|(_, day)| day.0.to_le_bytes()));
        let count = u32::try_from((bytes.len() - WORDS) / 4).ok()?;
        *bytes.get_mut(at..)?.first_chunk_mut()? = count.to_le_bytes();
    }
    Some(bytes)
}

/// Numbers of one block.
enum Block {
    /// In any order, perhaps repeated, never crowded.
    List(Vec<u16>),
    Bits(Box<[u64; WHOLE]>),
    /// Ascending, each once.
    Dated(Vec<(u16, Day)>),
}

impl Default for Block {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

fn bit(low: u16) -> (usize, u64) {
    (usize::from(low / 64), 1 << (low % 64))
}

fn place(days: &[(u16, Day)], low: u16) -> Result<usize, usize> {
    days.binary_search_by_key(&low, |(low, _)| *low)
}

impl Block {
    fn add(&mut self, low: u16, day: Day) {
        match self {
            Self::List(lows) if day == Day::NONE => {
                lows.push(low);
                if lows.len() >= CROWDED {
                    lows.sort_unstable();
                    lows.dedup();
                    if lows.len() >= CROWDED - CROWDED / 8 {
                        *self = Self::Bits(bits(lows));
                    }
                }
            }
            Self::Bits(words) if day == Day::NONE => {
                let (at, bit) = bit(low);
                if let Some(word) = words.get_mut(at) {
                    *word |= bit;
                }
            }
            Self::Dated(days) => match place(days, low) {
                Ok(at) => {
                    if let Some((_, known)) = days.get_mut(at) {
                        *known = day.min(*known);
                    }
                }
                Err(at) => days.insert(at, (low, day)),
            },
            Self::List(_) | Self::Bits(_) => {
                *self = Self::Dated(std::mem::take(self).numbers().collect());
                self.add(low, day);
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Self::List(lows) => {
                let before = lows.len();
                lows.retain(|known| *known != low);
                lows.len() < before
            }
            Self::Bits(words) => {
                let (at, bit) = bit(low);
                let Some(word) = words.get_mut(at) else { return false };
                let was = *word & bit != 0;
                *word &= !bit;
                was
            }
            Self::Dated(days) => place(days, low).map(|at| days.remove(at)).is_ok(),
        }
    }

    fn count(&mut self) -> usize {
        match self {
            Self::List(lows) => {
                lows.sort_unstable();
                lows.dedup();
                lows.len()
            }
            Self::Bits(words) => words.iter().map(|word| usize::try_from(word.count_ones()).unwrap_or(0)).sum(),
            Self::Dated(days) => days.len(),
        }
    }

    /// How many of its numbers have a date.
    fn dated(&self) -> u64 {
        match self {
            Self::List(_) | Self::Bits(_) => 0,
            Self::Dated(days) => dates(days.iter().map(|(_, day)| day)),
        }
    }

    /// Ascending, each once.
    fn numbers(mut self) -> Box<dyn Iterator<Item = (u16, Day)>> {
        let _ = self.count();
        match self {
            Self::List(lows) => Box::new(lows.into_iter().map(|low| (low, Day::NONE))),
            Self::Bits(words) => Box::new(ones(words)),
            Self::Dated(days) => Box::new(days.into_iter()),
        }
    }

    /// Says which thousands it has, and in which form they are written.
    fn write(self, bytes: &mut Vec<u8>) -> (u32, Form) {
        let lows: Vec<u16> = self.numbers().map(|(low, _)| low).collect();
        let thousands = lows.iter().fold(0, |seen, low| seen | 1 << (low / 1_000));
        let units = BITS * usize::try_from(u32::count_ones(thousands)).unwrap_or(0);
        if lows.len() * LIST.1 <= units * LIST.0 {
            bytes.extend(lows.into_iter().flat_map(u16::to_le_bytes));
            return (thousands, Form::List);
        }
        for thousand in lows.chunk_by(|a, b| a / 1_000 == b / 1_000) {
            let mut bits = [0; 2 * BITS];
            for place in thousand.iter().map(|low| low % 1_000) {
                if let Some(byte) = bits.get_mut(usize::from(place / 8)) {
                    *byte |= 1_u8 << (place % 8);
                }
            }
            bytes.extend(bits);
        }
        (thousands, Form::Bits)
    }
}

fn bits(lows: &[u16]) -> Box<[u64; WHOLE]> {
    let mut words = Box::new([0; WHOLE]);
    for low in lows {
        let (at, bit) = bit(*low);
        if let Some(word) = words.get_mut(at) {
            *word |= bit;
        }
    }
    words
}

fn ones(words: Box<[u64; WHOLE]>) -> impl Iterator<Item = (u16, Day)> {
    let is_in = move |low: &u16| {
        let (at, bit) = bit(*low);
        words.get(at).is_some_and(|word| word & bit != 0)
    };
    (0..10_000_u16).filter(is_in).map(|low| (low, Day::NONE))
}
