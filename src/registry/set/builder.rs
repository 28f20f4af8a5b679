//! Numbers in any order, repeated or taken out again, gathered into what a set file holds.
//!
//! Memory follows the numbers that are different, not the lines read: some 1.3 bytes a number where they stand close.

use std::collections::BTreeMap;

use super::layout::{BLOCKS, Day, FEW, Form, Parts, Record, Shape, THOUSAND, WORDS, word};

/// A list of so many is looked over for repeats, and becomes bits if it is no shorter then.
const CROWDED: usize = 626;
const BITS: usize = 10_000 / 64 + 1;

/// The numbers of a list while it is built.
#[derive(Default)]
pub struct Builder {
    prefixes: BTreeMap<u32, Prefix>,
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

    /// What is to be written.
    pub(super) fn finish(mut self) -> Finished<impl Iterator<Item = Section>> {
        self.prefixes.retain(|_, numbers| !numbers.is_empty());
        let prefixes = self.prefixes.len();
        Finished { prefixes, sections: self.prefixes.into_iter().filter_map(|(prefix, numbers)| numbers.section(prefix)) }
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
                    let numbers = numbers.flat_map(|(at, block)| block.numbers().map(move |(n, day)| (low(at, n), day)));
                    return few(prefix, &numbers.collect::<Vec<_>>());
                }
                written(prefix, count, blocks)
            }
        }
    }
}

fn dates<'d>(days: impl Iterator<Item = &'d Day>) -> u64 {
    days.map(|day| u64::from(*day != Day::NONE)).sum()
}

fn few(prefix: u32, numbers: &[(u32, Day)]) -> Option<Section> {
    let count = u32::try_from(numbers.len()).ok().filter(|count| *count > 0)?;
    let dated = dates(numbers.iter().map(|(_, day)| day));
    let mut bytes: Vec<u8> = numbers.iter().flat_map(|(rest, _)| rest.to_le_bytes()).collect();
    bytes.extend(numbers.iter().flat_map(|(_, day)| day.0.to_le_bytes()));
    Some(Section { record: Record { prefix, shape: Shape::Few, count, at: 0 }, bytes, dated })
}

fn written(prefix: u32, count: usize, blocks: Box<[Block]>) -> Option<Section> {
    let mut bytes = vec![0; WORDS];
    let mut words = Vec::with_capacity(BLOCKS + 1);
    let mut dated = 0;
    for block in blocks.into_vec() {
        let at = bytes.len() - WORDS;
        if let Block::Dated(days) = &block {
            dated += dates(days.values());
        }
        let form = block.write(&mut bytes);
        words.push(word(at, form)?);
    }
    words.push(word(bytes.len() - WORDS, Form::List)?);
    for (to, from) in bytes.iter_mut().zip(words.into_iter().flat_map(u32::to_le_bytes)) {
        *to = from;
    }
    let record = Record { prefix, shape: Shape::Blocks, count: u32::try_from(count).ok()?, at: 0 };
    Some(Section { record, bytes, dated })
}

/// Numbers of one block.
enum Block {
    /// In any order, perhaps repeated, never crowded.
    List(Vec<u16>),
    Bits(Box<[u64; BITS]>),
    Dated(BTreeMap<u16, Day>),
}

impl Default for Block {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

fn bit(low: u16) -> (usize, u64) {
    (usize::from(low / 64), 1 << (low % 64))
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
            Self::Dated(days) => {
                days.entry(low).and_modify(|known| *known = day.min(*known)).or_insert(day);
            }
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
            Self::Dated(days) => days.remove(&low).is_some(),
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

    /// Ascending, each once.
    fn numbers(mut self) -> Box<dyn Iterator<Item = (u16, Day)>> {
        let _ = self.count();
        match self {
            Self::List(lows) => Box::new(lows.into_iter().map(|low| (low, Day::NONE))),
            Self::Bits(words) => Box::new(ones(words)),
            Self::Dated(days) => Box::new(days.into_iter()),
        }
    }

    /// In the form that takes least.
    fn write(mut self, bytes: &mut Vec<u8>) -> Form {
        let count = self.count();
        if let Self::Dated(days) = &self {
            if days.values().any(|day| *day != Day::NONE) {
                bytes.extend(days.keys().flat_map(|low| low.to_le_bytes()));
                bytes.extend(days.values().flat_map(|day| day.0.to_le_bytes()));
                return Form::Dated;
            }
        }
        let lows: Vec<u16> = self.numbers().map(|(low, _)| low).collect();
        let mut thousands = [[0u8; THOUSAND]; 10];
        let mut mask = 0u16;
        for low in &lows {
            let (thousand, place) = (usize::from(low / 1_000), usize::from(low % 1_000));
            mask |= 1 << thousand;
            if let Some(byte) = thousands.get_mut(thousand).and_then(|bytes| bytes.get_mut(place / 8)) {
                *byte |= 1 << (place % 8);
            }
        }
        let used = usize::try_from(mask.count_ones()).unwrap_or(10);
        if 2 * count <= 2 + THOUSAND * used {
            bytes.extend(lows.iter().flat_map(|low| low.to_le_bytes()));
            return Form::List;
        }
        bytes.extend(mask.to_le_bytes());
        let used = thousands.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
        bytes.extend(used.flat_map(|(_, thousand)| thousand));
        Form::Bits
    }
}

fn bits(lows: &[u16]) -> Box<[u64; BITS]> {
    let mut words = Box::new([0; BITS]);
    for low in lows {
        let (at, bit) = bit(*low);
        if let Some(word) = words.get_mut(at) {
            *word |= bit;
        }
    }
    words
}

fn ones(words: Box<[u64; BITS]>) -> impl Iterator<Item = (u16, Day)> {
    (0..10_000_u16).filter(move |low| {
        let (at, bit) = bit(*low);
        words.get(at).is_some_and(|word| word & bit != 0)
    }).map(|low| (low, Day::NONE))
}
