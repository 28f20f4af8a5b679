//! Tags while they are gathered: ten bytes each, sorted now and then, since a map of as many takes three times the room.

use std::collections::BTreeMap;

use super::layout::Day;

/// Sorted for the first time at so many.
const FEW: usize = 1 << 12;

/// A tag and its day, the highest byte first, so that they sort as bytes do.
type Entry = [u8; 10];

/// Tags in any order, repeated or taken out again.
#[derive(Default)]
pub struct Tags {
    entries: Vec<Entry>,
    /// So many of the entries ascend, each tag once.
    tidy: usize,
    /// What was said once one was taken out: its day, or that it is gone.
    changes: Option<BTreeMap<u64, Option<Day>>>,
}

fn entry(tag: u64, day: Day) -> Entry {
    let mut entry = [0; 10];
    for (to, from) in entry.iter_mut().zip(tag.to_be_bytes().into_iter().chain(day.0.to_be_bytes())) {
        *to = from;
    }
    entry
}

fn parts(entry: &Entry) -> (u64, Day) {
    let Some((tag, day)) = entry.split_first_chunk::<8>() else { return (0, Day::NONE) };
    (u64::from_be_bytes(*tag), Day(day.first_chunk().map_or(0, |day| u16::from_be_bytes(*day))))
}

impl Tags {
    /// Puts one in; one that is given twice, with two days, has none: see [`Day::merged`].
    pub fn add(&mut self, tag: u64, day: Day) {
        if self.changes.is_some() {
            let known = self.find(tag);
            if let Some(changes) = &mut self.changes {
                changes.insert(tag, Some(known.map_or(day, |known| known.merged(day))));
            }
            return;
        }
        self.entries.push(entry(tag, day));
        // Each time the repeats may be half of them, so that sorting costs little and room is never more than twofold.
        if self.entries.len() >= FEW.max(2 * self.tidy) {
            self.sort();
        }
    }

    /// Takes one out; says whether it was in.
    pub fn remove(&mut self, tag: u64) -> bool {
        if self.changes.is_none() {
            self.sort();
            self.changes = Some(BTreeMap::new());
        }
        let was = self.find(tag).is_some();
        if let Some(changes) = &mut self.changes {
            changes.insert(tag, None);
        }
        was
    }

    /// Where changes have begun.
    fn find(&self, tag: u64) -> Option<Day> {
        if let Some(changed) = self.changes.as_ref().and_then(|changes| changes.get(&tag)) {
            return *changed;
        }
        let at = self.entries.binary_search_by_key(&tag, |entry| parts(entry).0).ok()?;
        self.entries.get(at).map(|entry| parts(entry).1)
    }

    fn sort(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup_by(|again, known| {
            let ((tag, day), (found, first)) = (parts(again), parts(known));
            if tag == found {
                *known = entry(tag, first.merged(day));
            }
            tag == found
        });
        self.tidy = self.entries.len();
    }

    /// The body of a set of tags, how many there are, and how many of them have a date.
    pub fn finish(mut self) -> (Vec<u8>, u64, u64) {
        if let Some(changes) = self.changes.take() {
            self.entries.retain(|entry| !changes.contains_key(&parts(entry).0));
            self.entries.extend(changes.into_iter().filter_map(|(tag, day)| Some(entry(tag, day?))));
        }
        self.sort();
        self.entries.shrink_to_fit();
        let all = || self.entries.iter().map(parts);
        let (count, dated) = (self.entries.len(), all().filter(|(_, day)| *day != Day::NONE).count());
        let mut bytes = Vec::with_capacity(if dated > 0 { 10 * count } else { 8 * count });
        all().for_each(|(tag, _)| bytes.extend(tag.to_le_bytes()));
        if dated > 0 {
            all().for_each(|(_, day)| bytes.extend(day.0.to_le_bytes()));
        }
        let size = |count| u64::try_from(count).unwrap_or(u64::MAX);
        (bytes, size(count), size(dated))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn tags_are_what_a_map_of_them_would_hold() {
        let (mut tags, mut oracle) = (Tags::default(), BTreeMap::<u64, Day>::new());
        let mut random = 7_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for step in 0..60_000 {
            let (tag, day) = (next(9_000).wrapping_mul(0x9E37_79B9_7F4A_7C15), Day(u16::try_from(next(4)).unwrap()));
            if step > 40_000 && next(2) == 0 {
                assert_eq!(tags.remove(tag), oracle.remove(&tag).is_some());
            } else {
                tags.add(tag, day);
                oracle
                    .entry(tag)
                    .and_modify(|known| *known = if *known == day { day } else { Day::NONE })
                    .or_insert(day);
            }
        }
        let (bytes, count, dated) = tags.finish();
        let tags: Vec<u8> = oracle.keys().flat_map(|tag| tag.to_le_bytes()).collect();
        let days: Vec<u8> = oracle.values().flat_map(|day| day.0.to_le_bytes()).collect();
        assert_eq!((bytes, count), ([tags, days].concat(), oracle.len() as u64));
        assert_eq!(dated, oracle.values().filter(|day| **day != Day::NONE).count() as u64);
        assert_eq!(Tags::default().finish(), (Vec::new(), 0, 0));
    }
}
