//! Asking the body of a set file, wherever its bytes are.

use super::layout::{BLOCK, BLOCKS, Day, Form, PREFIX, Parts, RECORD, Record, Shape, THOUSAND, WORDS, unword};

/// What a set says of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is in the set, since this day where there is one.
    In(Day),
    Out,
    /// The bytes make no sense: not what was checked when the file was opened.
    Broken,
}

/// The table of prefixes, as read from the head of a body and checked; and how to find one in it fast.
pub struct Table {
    records: Vec<Record>,
    /// Where each section ends, by prefix.
    ends: Vec<usize>,
    /// By the upper bits of a prefix, counted from the first: where in `records` those with them begin.
    buckets: Vec<u32>,
    shift: u32,
}

/// More of them than this would be no faster.
const BUCKETS: u32 = 1 << 16;

impl Table {
    /// Reads `count` records from the head of a body. The text says what is wrong.
    pub fn read(body: &[u8], count: usize) -> Result<Self, String> {
        let head = count.checked_mul(RECORD).filter(|head| *head <= body.len());
        let head = head.ok_or("it is too short for the prefixes it names")?;
        let records: Option<Vec<Record>> = body.get(..head).unwrap_or_default().chunks_exact(RECORD).map(Record::read).collect();
        let records = records.ok_or("its table of prefixes cannot be read")?;
        let begins = records.iter().map(|record| usize::try_from(record.at));
        let begins = begins.collect::<Result<Vec<_>, _>>().map_err(|_| "it is larger than this machine's memory")?;
        let ends: Vec<usize> = begins.iter().copied().skip(1).chain([body.len()]).collect();
        if begins.first().copied().unwrap_or(body.len()) != head {
            return Err("its first section does not follow its table of prefixes".to_owned());
        }
        for ((record, begin), end) in records.iter().zip(&begins).zip(&ends) {
            let least = match record.shape {
                Shape::Few => usize::try_from(record.count).unwrap_or(usize::MAX).saturating_mul(6),
                Shape::Blocks => WORDS,
            };
            let long = end.checked_sub(*begin);
            let fits = long.is_some_and(|long| if record.shape == Shape::Few { long == least } else { long >= least });
            if !fits || record.count == 0 {
                return Err(format!("the section of prefix {} does not fit", record.prefix));
            }
        }
        if !records.is_sorted_by(|a, b| a.prefix < b.prefix) {
            return Err("its prefixes are not in order".to_owned());
        }
        Ok(Self::of(records, ends))
    }

    fn of(records: Vec<Record>, ends: Vec<usize>) -> Self {
        let first = records.first().map_or(0, |record| record.prefix);
        let span = records.last().map_or(0, |record| record.prefix - first);
        let mut shift = 0;
        while span >> shift >= BUCKETS {
            shift += 1;
        }
        let bucket = |record: &Record| (record.prefix - first) >> shift;
        let mut buckets = vec![0; usize::try_from(span >> shift).unwrap_or(0) + 2];
        for record in &records {
            if let Some(count) = buckets.get_mut(usize::try_from(bucket(record)).unwrap_or(0) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for begin in &mut buckets {
            sum += *begin;
            *begin = sum;
        }
        Self { records, ends, buckets, shift }
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    #[inline]
    fn find(&self, prefix: u32) -> Option<(Record, usize)> {
        let first = self.records.first()?.prefix;
        let bucket = usize::try_from(prefix.checked_sub(first)? >> self.shift).ok()?;
        let from = usize::try_from(*self.buckets.get(bucket)?).ok()?;
        let to = usize::try_from(*self.buckets.get(bucket + 1)?).ok()?;
        let within = self.records.get(from..to)?.iter().position(|record| record.prefix == prefix)?;
        Some((*self.records.get(from + within)?, *self.ends.get(from + within)?))
    }

    /// Whether a number is in the set.
    #[inline]
    pub fn look_up(&self, body: &[u8], number: u64) -> Found {
        let Some(parts) = Parts::of(number) else { return Found::Out };
        let Some((record, end)) = self.find(parts.prefix) else { return Found::Out };
        let begin = usize::try_from(record.at).unwrap_or(usize::MAX);
        let Some(section) = body.get(begin..end) else { return Found::Broken };
        match record.shape {
            Shape::Few => among_few(section, record.count, parts.rest),
            Shape::Blocks => in_blocks(section, parts).unwrap_or(Found::Broken),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(2 * at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(4 * at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Where the first of `count` that is not less stands.
#[inline]
fn lower_bound<N: Ord>(count: usize, wanted: &N, at: impl Fn(usize) -> Option<N>) -> Option<usize> {
    let (mut from, mut left) = (0, count);
    while left > 0 {
        let half = left / 2;
        if at(from + half)? < *wanted {
            from += half + 1;
            left -= half + 1;
        } else {
            left = half;
        }
    }
    Some(from)
}

fn among_few(section: &[u8], count: u32, rest: u32) -> Found {
    let count = usize::try_from(count).unwrap_or(0);
    let Some(at) = lower_bound(count, &rest, |at| u32_at(section, at)) else { return Found::Broken };
    if at == count || u32_at(section, at) != Some(rest) {
        return Found::Out;
    }
    let day = section.get(4 * count..).and_then(|days| u16_at(days, at));
    day.map_or(Found::Broken, |day| Found::In(Day(day)))
}

#[inline]
fn in_blocks(section: &[u8], parts: Parts) -> Option<Found> {
    let (words, blocks) = section.split_at_checked(WORDS)?;
    let (from, form) = unword(u32_at(words, parts.block())?)?;
    let (to, _) = unword(u32_at(words, parts.block() + 1)?)?;
    let block = blocks.get(from..to)?;
    match form {
        Form::List => listed(block, block.len() / 2, parts.low()),
        Form::Dated => listed(block, block.len() / 4, parts.low()),
        Form::Bits => in_bits(block, parts.low()),
    }
}

/// In a list of so many, with dates behind it if there are more bytes.
#[inline]
fn listed(block: &[u8], count: usize, low: u16) -> Option<Found> {
    let at = lower_bound(count, &low, |at| u16_at(block, at))?;
    if at == count || u16_at(block, at)? != low {
        return Some(Found::Out);
    }
    let days = block.get(2 * count..)?;
    Some(Found::In(if days.is_empty() { Day::NONE } else { Day(u16_at(days, at)?) }))
}

#[inline]
fn in_bits(block: &[u8], low: u16) -> Option<Found> {
    let (mask, bits) = block.split_first_chunk()?;
    let mask = u16::from_le_bytes(*mask);
    let thousand = 1_u16 << (low / 1_000);
    if mask & thousand == 0 {
        return Some(Found::Out);
    }
    let before = usize::try_from((mask & (thousand - 1)).count_ones()).ok()?;
    let place = usize::from(low % 1_000);
    let byte = bits.get(before * THOUSAND + place / 8)?;
    Some(if byte >> (place % 8) & 1 == 1 { Found::In(Day::NONE) } else { Found::Out })
}

/// Every number of a body, ascending, with its day; `None` once where the bytes make no sense, and nothing after it.
pub fn numbers<'b>(table: &'b Table, body: &'b [u8]) -> impl Iterator<Item = Option<(u64, Day)>> + 'b {
    let sections = table.records.iter().zip(&table.ends).flat_map(move |(record, end)| {
        let begin = usize::try_from(record.at).unwrap_or(usize::MAX);
        let numbers = body.get(begin..*end).and_then(|section| section_numbers(section, *record));
        let failed = numbers.is_none().then_some(None);
        let first = u64::from(record.prefix) * PREFIX;
        let numbers = numbers.unwrap_or_default().into_iter();
        numbers.map(move |(rest, day)| Some((first + u64::from(rest), day))).chain(failed)
    });
    let mut broken = false;
    sections.take_while(move |number| !std::mem::replace(&mut broken, number.is_none()))
}

/// The last seven digits of each number of a section. `None` unless it is in order, complete, and has no byte besides.
fn section_numbers(section: &[u8], record: Record) -> Option<Vec<(u32, Day)>> {
    let count = usize::try_from(record.count).ok()?;
    let mut numbers = Vec::with_capacity(count.min(10_000_000));
    match record.shape {
        Shape::Few => {
            let days = section.get(4 * count..)?;
            for at in 0..count {
                numbers.push((u32_at(section, at)?, Day(u16_at(days, at)?)));
            }
        }
        Shape::Blocks => {
            let (words, blocks) = section.split_at_checked(WORDS)?;
            let mut from = 0;
            for at in 0..BLOCKS {
                let (begin, form) = unword(u32_at(words, at)?)?;
                let (to, _) = unword(u32_at(words, at + 1)?)?;
                let first = u32::try_from(at).ok()?.checked_mul(u32::try_from(BLOCK).ok()?)?;
                if begin != from {
                    return None;
                }
                block_numbers(blocks.get(begin..to)?, form, |low, day| numbers.push((first + u32::from(low), day)))?;
                from = to;
            }
            if from != blocks.len() {
                return None;
            }
        }
    }
    let whole = numbers.len() == count && numbers.is_sorted_by(|a, b| a.0 < b.0);
    let possible = numbers.last().is_none_or(|last| u64::from(last.0) < PREFIX);
    (whole && possible).then_some(numbers)
}

fn block_numbers(block: &[u8], form: Form, mut take: impl FnMut(u16, Day)) -> Option<()> {
    let bytes = if form == Form::Dated { 4 } else { 2 };
    match form {
        Form::List | Form::Dated => {
            if block.len() % bytes != 0 {
                return None;
            }
            let count = block.len() / bytes;
            for at in 0..count {
                let low = u16_at(block, at).filter(|low| *low < 10_000)?;
                let day = if form == Form::Dated { Day(u16_at(block.get(2 * count..)?, at)?) } else { Day::NONE };
                take(low, day);
            }
        }
        Form::Bits => {
            let (mask, mut bits) = block.split_first_chunk()?;
            let mask = u16::from_le_bytes(*mask);
            if mask >> 10 != 0 {
                return None;
            }
            for thousand in (0..10_u16).filter(|thousand| mask >> thousand & 1 == 1) {
                let (these, rest) = bits.split_at_checked(THOUSAND)?;
                bits = rest;
                for (byte, at) in these.iter().zip(0_u16..) {
                    for bit in (0..8).filter(|bit| byte >> bit & 1 == 1) {
                        take(thousand * 1_000 + at * 8 + bit, Day::NONE);
                    }
                }
            }
            if !bits.is_empty() {
                return None;
            }
        }
    }
    Some(())
}
