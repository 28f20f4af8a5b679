//! The part of a country that a copy of a list speaks for, where its keeper hands it out in parts.

use std::fmt;

/// Area codes have three digits.
const CODES: u16 = 1_000;
/// A bit for each of them.
const WORDS: usize = 16;
/// The numbers of the North American plan begin with this before their area code.
const PLAN: u64 = 1_000;

/// The area codes of the North American plan that a copy speaks for. Of a number elsewhere it says nothing: not that it is
/// not listed.
///
/// Written `all`, `none`, or area codes and spans of them that ascend: `202-205,305`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Areas(Option<Box<[u64; WORDS]>>);

impl Areas {
    /// The whole list.
    pub const ALL: Self = Self(None);

    /// These area codes; what has not three digits is left out.
    pub fn of(codes: impl IntoIterator<Item = u16>) -> Self {
        let mut words = Box::new([0; WORDS]);
        for code in codes.into_iter().filter(|code| (100..CODES).contains(code)) {
            if let Some(word) = words.get_mut(usize::from(code / 64)) {
                *word |= 1 << (code % 64);
            }
        }
        Self(Some(words))
    }

    /// Those of these prefixes (all but the last seven digits of a number) that lie in the plan.
    pub fn of_prefixes(prefixes: impl IntoIterator<Item = u32>) -> Self {
        let codes = prefixes.into_iter().filter(|prefix| u64::from(*prefix) / PLAN == 1);
        Self::of(codes.filter_map(|prefix| u16::try_from(u64::from(prefix) % PLAN).ok()))
    }

    /// Of prefixes and how many numbers each has, the area codes of which there are enough to be all of an area: `least`, and
    /// a hundredth of what the middle one has. Few beside many are no list of their area: a wrong digit, or a line that somebody
    /// added.
    #[must_use]
    pub fn of_enough(counts: &[(u32, u64)], least: u64) -> Self {
        let mut sorted: Vec<u64> = counts.iter().map(|(_, count)| *count).collect();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        let enough = |count: u64| count >= least && count.saturating_mul(100) >= middle;
        Self::of_prefixes(counts.iter().filter(|(_, count)| enough(*count)).map(|(prefix, _)| *prefix))
    }

    /// Whether this is the whole list.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it speaks for a number: the digits of its E.164 form.
    #[inline]
    #[must_use]
    pub fn cover(&self, e164_digits: u64) -> bool {
        self.cover_prefix(e164_digits / 10_000_000)
    }

    /// Whether it speaks for the numbers of a prefix.
    #[inline]
    #[must_use]
    pub fn cover_prefix(&self, prefix: u64) -> bool {
        let Some(words) = &self.0 else { return true };
        let code = prefix % PLAN;
        let word = usize::try_from(code / 64).ok().and_then(|at| words.get(at));
        prefix / PLAN == 1 && word.is_some_and(|word| word >> (code % 64) & 1 == 1)
    }

    /// The area codes, ascending; none where it is the whole list.
    pub fn codes(&self) -> impl Iterator<Item = u16> + '_ {
        let some = !self.is_all();
        (100..CODES).filter(move |code| some && self.cover_prefix(PLAN + u64::from(*code)))
    }

    /// Reads what [`fmt::Display`] writes, and lists in any order.
    ///
    /// # Errors
    /// Something else, in words.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "area codes are written 202,305 or 202-205, the whole list is `all`";
        let code = |text: &str| {
            let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten().filter(|code| *code >= 200).ok_or(FORM)
        };
        match text {
            "all" => return Ok(Self::ALL),
            "none" => return Ok(Self::of([])),
            _ => {}
        }
        let mut codes = Vec::new();
        for part in text.split(',') {
            let (from, to) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (from, to) = (code(from)?, code(to)?);
            if from > to {
                return Err(FORM);
            }
            codes.extend(from..=to);
        }
        Ok(Self::of(codes))
    }
}

impl fmt::Display for Areas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("all");
        }
        let mut codes = self.codes().peekable();
        if codes.peek().is_none() {
            return f.write_str("none");
        }
        let mut separator = "";
        while let Some(from) = codes.next() {
            let mut to = from;
            while let Some(next) = codes.next_if(|next| *next == to + 1) {
                to = next;
            }
            if from == to {
                write!(f, "{separator}{from}")?
            } else {
                write!(f, "{separator}{from}-{to}")?
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn areas_are_read_as_they_are_written() {
        for text in ["all", "none", "202", "202,305", "202-205,305", "200-999", "201-202,204-205,999"] {
            assert_eq!(Areas::read(text).unwrap().to_string(), text);
        }
        assert_eq!(Areas::read("305, 202,203").unwrap().to_string(), "202-203,305");
        for wrong in ["", "20", "2025", "202,", "305-202", "ALL", "102", "20a", "202;305", "+1202"] {
            assert!(Areas::read(wrong).is_err(), "{wrong}");
        }
        // However many there are, they have room in the page of a header.
        let most = Areas::of((200..1_000).filter(|code| code % 3 > 0));
        assert!(most.to_string().len() < 2_400, "{}", most.to_string().len());
    }

    #[test]
    fn few_numbers_beside_many_are_no_list_of_their_area() {
        let of = |counts: &[(u32, u64)], least| Areas::of_enough(counts, least).to_string();
        assert_eq!(of(&[], 0), "none");
        assert_eq!(of(&[(1202, 2)], 0), "202");
        assert_eq!(of(&[(1202, 2)], 3), "none");
        assert_eq!(of(&[(1202, 2_000), (1305, 1)], 0), "202");
        assert_eq!(of(&[(1202, 2_000), (1305, 19), (1415, 2_000)], 0), "202,415");
        assert_eq!(of(&[(1202, 2_000), (1305, 20), (1415, 2_000), (442, 9_000)], 0), "202,305,415");
        assert_eq!(of(&[(1202, 2_000), (1305, 1_000), (1415, 999)], 1_000), "202,305");
    }

    #[test]
    fn a_number_is_covered_by_its_own_area_alone() {
        let areas = Areas::read("202,305").unwrap();
        for (number, covered) in [
            (12_020_000_000, true),
            (12_029_999_999, true),
            (12_030_000_000, false),
            (12_019_999_999, false),
            (13_055_550_100, true),
            (442_025_550_143, false),
            (2_025_550_143, false),
            (112_025_550_143, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!((areas.cover(number), Areas::ALL.cover(number)), (covered, true), "{number}");
        }
        assert_eq!(Areas::of_prefixes([1202, 442, 1305, 2202]), areas);
        assert_eq!(areas.codes().collect::<Vec<_>>(), [202, 305]);
    }
}
