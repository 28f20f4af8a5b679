//! A set of numbers, sorted and cut into blocks that share their upper digits.
//!
//! Two bytes a number and two short searches a question. Files of this size are text; the compressed, memory-mapped
//! format will stand behind the same two methods.

/// Numbers of one list, immutable, exact.
#[derive(Default)]
pub(super) struct NumberSet {
    /// The upper bits of each block, ascending.
    blocks: Vec<u64>,
    /// Where each block begins in `lows`; one more entry marks the end.
    starts: Vec<u32>,
    /// The lower 16 bits of every number, ascending within a block.
    lows: Vec<u16>,
}

impl NumberSet {
    /// From numbers in ascending order; a number given twice is kept once. `None` for more than four billion.
    pub(super) fn from_sorted(numbers: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut set = Self::default();
        let mut last = None;
        for number in numbers {
            if last == Some(number) {
                continue;
            }
            last = Some(number);
            if set.blocks.last() != Some(&(number >> 16)) {
                set.blocks.push(number >> 16);
                set.starts.push(u32::try_from(set.lows.len()).ok()?);
            }
            set.lows.push(low_bits(number));
        }
        set.starts.push(u32::try_from(set.lows.len()).ok()?);
        set.lows.shrink_to_fit();
        Some(set)
    }

    /// The rank of a number in ascending order, if it is in the set.
    pub(super) fn position(&self, number: u64) -> Option<usize> {
        let block = self.blocks.binary_search(&(number >> 16)).ok()?;
        let from = usize::try_from(*self.starts.get(block)?).ok()?;
        let to = usize::try_from(*self.starts.get(block + 1)?).ok()?;
        let within = self.lows.get(from..to)?.binary_search(&low_bits(number)).ok()?;
        Some(from + within)
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.lows.len()
    }
}

fn low_bits(number: u64) -> u16 {
    u16::try_from(number & 0xFFFF).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_holds_nothing() {
        let set = NumberSet::from_sorted([]).unwrap();
        assert_eq!((set.len(), set.position(0), set.position(u64::MAX)), (0, None, None));
    }

    #[test]
    fn ranks_run_on_across_blocks_and_repeats_count_once() {
        let numbers = [0, 0xFFFF, 0xFFFF, 0x1_0000, 0x1_0001, 999_999_999_999_999, u64::MAX];
        let set = NumberSet::from_sorted(numbers).unwrap();
        assert_eq!(set.len(), 6);
        let ranks = [0, 0xFFFF, 0x1_0000, 0x1_0001, 999_999_999_999_999, u64::MAX].map(|n| set.position(n));
        assert_eq!(ranks, [0, 1, 2, 3, 4, 5].map(Some));
        assert_eq!([1, 0xFFFE, 0x1_0002, 0x2_0000].map(|n| set.position(n)), [None; 4]);
    }
}
