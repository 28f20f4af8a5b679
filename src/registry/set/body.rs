//! Asking the body of a set file, wherever its bytes are.

use super::layout::{BITS, BLOCK, BLOCKS, Day, Form, PREFIX, Parts, RECORD, Record, WORDS, Word};

/// What a set says of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is in the set, since this day where there is one.
    In(Day),
    /// It is not in the set.
    Out,
    /// The bytes make no sense: not what was checked when the file was opened.
    Broken,
}

/// The table of prefixes, as read from the head of a body and checked; and how to find one in it fast.
#[derive(Default)]
pub struct Table {
    sections: Vec<Section>,
    /// By the upper bits of a prefix, counted from the first: where in `sections` those with them begin.
    buckets: Vec<u32>,
    shift: u32,
}

/// A prefix and the bytes of its section.
#[derive(Clone, Copy)]
pub struct Section {
    pub record: Record,
    begin: usize,
    end: usize,
}

impl Section {
    pub fn of<'b>(&self, body: &'b [u8]) -> Option<&'b [u8]> {
        body.get(self.begin..self.end)
    }
}

/// More of them than this would be no faster.
const BUCKETS: u32 = 1 << 16;

impl Table {
    /// Reads `count` records from the head of a body. The text says what is wrong.
    pub fn read(body: &[u8], count: usize) -> Result<Self, String> {
        let head = count.checked_mul(RECORD).filter(|head| *head <= body.len());
        let head = head.ok_or("it is too short for the prefixes it names")?;
        let records = body.get(..head).unwrap_or_default().chunks_exact(RECORD).map(Record::read);
        let records: Vec<Record> = records.collect::<Option<_>>().ok_or("its table of prefixes cannot be read")?;
        let begins = records.iter().map(|record| usize::try_from(record.at));
        let begins = begins.collect::<Result<Vec<_>, _>>().map_err(|_| "it is larger than this machine's memory")?;
        let ends = begins.iter().copied().skip(1).chain([body.len()]);
        if begins.first().copied().unwrap_or(body.len()) != head {
            return Err("its first section does not follow its table of prefixes".to_owned());
        }
        let sections = records.iter().zip(&begins).zip(ends);
        let sections: Vec<_> =
            sections.map(|((record, begin), end)| Section { record: *record, begin: *begin, end }).collect();
        for Section { record, begin, end } in &sections {
            let count = usize::try_from(record.count).unwrap_or(usize::MAX);
            let least = match (record.shape.blocks, record.shape.dated) {
                (false, false) => count.saturating_mul(4),
                (false, true) => count.saturating_mul(6),
                (true, false) => WORDS,
                (true, true) => count.saturating_mul(4).saturating_add(WORDS),
            };
            if end.checked_sub(*begin).is_none_or(|long| long < least || long % RECORD != 0) || count == 0 {
                return Err(format!("the section of prefix {} does not fit", record.prefix));
            }
        }
        if !records.is_sorted_by(|a, b| a.prefix < b.prefix) {
            return Err("its prefixes are not in order".to_owned());
        }
        Ok(Self::of(sections))
    }

    fn of(sections: Vec<Section>) -> Self {
        let first = sections.first().map_or(0, |section| section.record.prefix);
        let span = sections.last().map_or(0, |section| section.record.prefix - first);
        let mut shift = 0;
        while span >> shift >= BUCKETS {
            shift += 1;
        }
        let mut buckets = vec![0; usize::try_from(span >> shift).unwrap_or(0) + 2];
        for section in &sections {
            let bucket = (section.record.prefix - first) >> shift;
            if let Some(count) = buckets.get_mut(usize::try_from(bucket).unwrap_or(0) + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for begin in &mut buckets {
            sum += *begin;
            *begin = sum;
        }
        Self { sections, buckets, shift }
    }

    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    #[inline]
    fn find(&self, prefix: u32) -> Option<&Section> {
        let first = self.sections.first()?.record.prefix;
        let bucket = usize::try_from(prefix.checked_sub(first)? >> self.shift).ok()?;
        let from = usize::try_from(*self.buckets.get(bucket)?).ok()?;
        let to = usize::try_from(*self.buckets.get(bucket + 1)?).ok()?;
        let among = self.sections.get(from..to)?;
        among
            .get(among.partition_point(|section| section.record.prefix < prefix))
            .filter(|section| section.record.prefix == prefix)
    }

    /// Whether a number is in the set.
    #[inline]
    pub fn look_up(&self, body: &[u8], number: u64) -> Found {
        let Some(parts) = Parts::of(number) else { return Found::Out };
        let Some(section) = self.find(parts.prefix) else { return Found::Out };
        let Some(bytes) = section.of(body) else { return Found::Broken };
        let found = match (section.record.shape.blocks, section.record.shape.dated) {
            (true, false) => in_blocks(bytes, parts),
            (true, true) => in_dated_blocks(bytes, parts),
            (false, dated) => among_few(bytes, section.record.count, dated, parts.rest),
        };
        found.unwrap_or(Found::Broken)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(2 * at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(4 * at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(8 * at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Where `wanted` stands among `count` that ascend, if it does. The outer `None` is a place outside the bytes.
fn search<N: Ord>(count: usize, wanted: &N, at: impl Fn(usize) -> Option<N>) -> Option<Option<usize>> {
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
    Some((from < count && at(from)? == *wanted).then_some(from))
}

fn among_few(section: &[u8], count: u32, dated: bool, rest: u32) -> Option<Found> {
    let count = usize::try_from(count).ok()?;
    let Some(at) = search(count, &rest, |at| u32_at(section, at))? else { return Some(Found::Out) };
    Some(Found::In(if dated { Day(u16_at(section.get(4 * count..)?, at)?) } else { Day::NONE }))
}

fn in_dated_blocks(section: &[u8], parts: Parts) -> Option<Found> {
    let (counts, blocks) = section.split_at_checked(WORDS)?;
    let from = usize::try_from(u32_at(counts, parts.block())?).ok()?;
    let to = usize::try_from(u32_at(counts, parts.block() + 1)?).ok()?;
    let block = blocks.get(4 * from..4 * to)?;
    let Some(at) = search(to - from, &parts.low(), |at| u16_at(block, at))? else { return Some(Found::Out) };
    Some(Found::In(Day(u16_at(block, to - from + at)?)))
}

#[inline]
fn in_blocks(section: &[u8], parts: Parts) -> Option<Found> {
    let (words, blocks) = section.split_at_checked(WORDS)?;
    let Word { at, thousands, form } = Word::read(u32_at(words, parts.block())?);
    let (thousand, place) = (parts.low() / 1_000, parts.low() % 1_000);
    if thousands >> thousand & 1 == 0 {
        return Some(Found::Out);
    }
    let is_in = match form {
        Form::Bits => {
            let before = usize::try_from((thousands & ((1 << thousand) - 1)).count_ones()).ok()?;
            let begin = 2 * (at + before * BITS);
            blocks.get(begin + usize::from(place / 8))? >> (place % 8) & 1 == 1
        }
        Form::List => {
            let end = Word::read(u32_at(words, parts.block() + 1)?).at;
            among(blocks.get(2 * at..2 * end)?, parts.low())
        }
    };
    Some(if is_in { Found::In(Day::NONE) } else { Found::Out })
}

/// All are compared: that is one wait for memory, a search by halves would be several.
#[inline]
fn among(list: &[u8], wanted: u16) -> bool {
    list.as_chunks().0.iter().fold(false, |found, low| found | (u16::from_le_bytes(*low) == wanted))
}

/// Whether a tag is in a set of tags of this size.
pub fn look_up_tag(body: &[u8], count: usize, tag: u64) -> Found {
    let found = search(count, &tag, |at| u64_at(body, at));
    match found {
        None => Found::Broken,
        Some(None) => Found::Out,
        Some(Some(at)) => tag_day(body, count, at).map_or(Found::Broken, Found::In),
    }
}

fn tag_day(body: &[u8], count: usize, at: usize) -> Option<Day> {
    let days = body.get(8 * count..)?;
    if days.is_empty() { Some(Day::NONE) } else { u16_at(days, at).map(Day) }
}

/// Every tag of a body, ascending, with its day; `None` once where the bytes make no sense, and nothing after it.
pub fn tags(body: &[u8], count: usize) -> impl Iterator<Item = Option<(u64, Day)>> + '_ {
    let mut last = None;
    let all = (0..count).map(move |at| {
        let tag = u64_at(body, at).filter(|tag| last.is_none_or(|last| last < *tag));
        last = tag;
        tag.zip(tag_day(body, count, at))
    });
    let mut broken = false;
    all.take_while(move |tag| !std::mem::replace(&mut broken, tag.is_none()))
}

/// Every number of a body, ascending, with its day; `None` once where the bytes make no sense, and nothing after it.
pub fn numbers<'b>(table: &'b Table, body: &'b [u8]) -> impl Iterator<Item = Option<(u64, Day)>> + 'b {
    let sections = table.sections.iter().flat_map(move |section| {
        let numbers = section.of(body).and_then(|bytes| section_numbers(bytes, section.record));
        let failed = numbers.is_none().then_some(None);
        let first = u64::from(section.record.prefix) * PREFIX;
        let numbers = numbers.unwrap_or_default().into_iter();
        numbers.map(move |(rest, day)| Some((first + u64::from(rest), day))).chain(failed)
    });
    let mut broken = false;
    sections.take_while(move |number| !std::mem::replace(&mut broken, number.is_none()))
}

type Numbers = Vec<(u32, Day)>;

/// The last seven digits of each number of a section. `None` unless it is in order, complete, and has no byte besides.
fn section_numbers(section: &[u8], record: Record) -> Option<Numbers> {
    let count = usize::try_from(record.count).ok()?;
    let mut numbers = Vec::with_capacity(count.min(10_000_000));
    let end = match (record.shape.blocks, record.shape.dated) {
        (true, false) => blocks_numbers(section, &mut numbers)?,
        (true, true) => dated_numbers(section, &mut numbers)?,
        (false, dated) => {
            for at in 0..count {
                let day = if dated { Day(u16_at(section.get(4 * count..)?, at)?) } else { Day::NONE };
                numbers.push((u32_at(section, at)?, day));
            }
            if dated { 6 * count } else { 4 * count }
        }
    };
    let filled = section.get(end..)?.iter().all(|byte| *byte == 0) && section.len() - end < RECORD;
    let ordered = numbers.len() == count && numbers.is_sorted_by(|a, b| a.0 < b.0);
    let possible = numbers.last().is_none_or(|last| u64::from(last.0) < PREFIX);
    (filled && ordered && possible).then_some(numbers)
}

/// Where a block or a thousand begins, by its place among all.
fn first(at: usize, of: u32) -> Option<u32> {
    u32::try_from(at).ok()?.checked_mul(of)
}

fn blocks_numbers(section: &[u8], numbers: &mut Numbers) -> Option<usize> {
    let (words, blocks) = section.split_at_checked(WORDS)?;
    let mut next = 0;
    for block in 0..BLOCKS {
        let Word { at, thousands, form } = Word::read(u32_at(words, block)?);
        let end = Word::read(u32_at(words, block + 1)?).at;
        let (first, before) = (first(block, BLOCK)?, numbers.len());
        let bytes = blocks.get(2 * at..2 * end)?;
        let mut take = |low| numbers.push((first + low, Day::NONE));
        match form {
            _ if at != next => return None,
            Form::List => bytes.as_chunks().0.iter().for_each(|low| take(u32::from(u16::from_le_bytes(*low)))),
            Form::Bits => {
                let present = (0..10).filter(|thousand| thousands >> thousand & 1 == 1);
                let mut parts = bytes.chunks(2 * BITS);
                for thousand in present {
                    for (byte, at) in parts.next()?.iter().zip((thousand * 1_000..).step_by(8)) {
                        (0..8).filter(|bit| byte >> bit & 1 == 1).for_each(|bit| take(at + bit));
                    }
                }
                if parts.next().is_some() {
                    return None;
                }
            }
        }
        let mut seen = 0;
        for (number, _) in numbers.get(before..)? {
            let thousand = number.checked_sub(first).filter(|low| *low < BLOCK)? / 1_000;
            seen |= 1 << thousand;
        }
        if seen != thousands {
            return None;
        }
        next = end;
    }
    Some(WORDS + 2 * next)
}

fn dated_numbers(section: &[u8], numbers: &mut Numbers) -> Option<usize> {
    let (counts, blocks) = section.split_at_checked(WORDS)?;
    let mut from = usize::try_from(u32_at(counts, 0)?).ok().filter(|from| *from == 0)?;
    for block in 0..BLOCKS {
        let to = usize::try_from(u32_at(counts, block + 1)?).ok()?;
        let bytes = blocks.get(4 * from..4 * to)?;
        for at in 0..to - from {
            let low = u16_at(bytes, at).map(u32::from).filter(|low| *low < BLOCK)?;
            numbers.push((first(block, BLOCK)? + low, Day(u16_at(bytes, to - from + at)?)));
        }
        from = to;
    }
    Some(WORDS + 4 * from)
}
