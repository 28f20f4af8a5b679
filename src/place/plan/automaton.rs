//! A numbering plan's patterns as one table walked digit by digit.
//!
//! The regular expressions of one calling code become one multi-pattern DFA (by `regex-automata`); what is kept of it is
//! ten successors and one class a state. Walking it takes a table look-up a digit and allocates nothing.

use std::collections::HashMap;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

/// A state without a way out.
const DEAD: u16 = 0;

/// The table. State 0 is dead, state 1 the start.
pub(super) struct Table {
    next: Vec<[u16; 10]>,
    class: Vec<u16>,
}

/// Where a walk ended.
pub(super) struct Walk {
    /// The class of the whole string; 0 where no pattern matches it.
    pub class: u16,
    /// The last state before the walk died, or the final one.
    pub last: u16,
    /// How many digits were read up to there.
    pub depth: usize,
}

impl Table {
    /// Compiles the patterns, each to be matched against a whole digit string. `class_of` is told which patterns match
    /// (by index, ascending) and names the class; 0 is "none". `None` where a pattern is no regular expression.
    pub(super) fn build(patterns: &[&str], mut class_of: impl FnMut(&[usize]) -> u16) -> Option<Self> {
        let dfa = dense::Builder::new()
            .configure(dense::Config::new().match_kind(MatchKind::All).start_kind(StartKind::Anchored))
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .build_many(patterns)
            .ok()?;
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let mut numbers: HashMap<StateID, u16> = HashMap::from([(start, 1)]);
        let mut queue = vec![start];
        let mut table = Self { next: vec![[DEAD; 10]], class: vec![0] };
        let mut done = 0;
        while let Some(state) = queue.get(done).copied() {
            done += 1;
            let mut row = [DEAD; 10];
            for (digit, slot) in (b'0'..=b'9').zip(row.iter_mut()) {
                let to = dfa.next_state(state, digit);
                if dfa.is_dead_state(to) || dfa.is_quit_state(to) {
                    continue;
                }
                let fresh = u16::try_from(queue.len()).ok()?.checked_add(1)?;
                *slot = *numbers.entry(to).or_insert_with(|| {
                    queue.push(to);
                    fresh
                });
            }
            table.next.push(row);
            let end = dfa.next_eoi_state(state);
            let matched: Vec<usize> = match dfa.is_match_state(end) {
                true => (0..dfa.match_len(end)).map(|i| dfa.match_pattern(end, i).as_usize()).collect(),
                false => Vec::new(),
            };
            table.class.push(if matched.is_empty() { 0 } else { class_of(&matched) });
        }
        Some(table)
    }

    /// Reads ASCII digits.
    pub(super) fn walk(&self, digits: &[u8]) -> Walk {
        let mut last = 1;
        for (depth, digit) in digits.iter().enumerate() {
            let row = self.next.get(usize::from(last));
            let to = row.and_then(|row| row.get(usize::from(digit.wrapping_sub(b'0')))).copied().unwrap_or(DEAD);
            if to == DEAD {
                return Walk { class: 0, last, depth };
            }
            last = to;
        }
        let class = self.class.get(usize::from(last)).copied().unwrap_or(0);
        Walk { class, last, depth: digits.len() }
    }

    /// For each state, the union of `mark` over the classes reachable from it.
    pub(super) fn reachable(&self, mark: impl Fn(u16) -> u16) -> Vec<u16> {
        let mut marks: Vec<u16> = self.class.iter().map(|class| mark(*class)).collect();
        loop {
            let mut changed = false;
            for (state, row) in self.next.iter().enumerate().rev() {
                let joined = row
                    .iter()
                    .filter(|to| **to != DEAD)
                    .fold(0, |sum, to| sum | marks.get(usize::from(*to)).copied().unwrap_or(0));
                if let Some(slot) = marks.get_mut(state)
                    && *slot | joined != *slot
                {
                    *slot |= joined;
                    changed = true;
                }
            }
            if !changed {
                return marks;
            }
        }
    }

    /// How many states there are, the dead one included.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.next.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends_in_the_class_of_all_patterns_that_match_whole() {
        let seen = std::cell::RefCell::new(Vec::new());
        let table = Table::build(&["[2-9]\\d{2}", "2\\d{2}", "2\\d{3}"], |matched| {
            let mut seen = seen.borrow_mut();
            seen.push(matched.to_vec());
            u16::try_from(seen.len()).unwrap()
        })
        .unwrap();
        let class = |digits: &str| match table.walk(digits.as_bytes()).class {
            0 => Vec::new(),
            class => seen.borrow().get(usize::from(class) - 1).cloned().unwrap(),
        };
        assert_eq!(class("345"), [0]);
        assert_eq!(class("234"), [0, 1]);
        assert_eq!(class("2345"), [2]);
        for none in ["", "2", "23", "23456", "134", "3456"] {
            assert!(class(none).is_empty(), "{none}");
        }
        assert!(table.len() < 12);
    }

    #[test]
    fn what_may_still_follow_is_known_of_every_state() {
        let table = Table::build(&["80\\d{2}", "90\\d{2}"], |matched| if matched == [0] { 1 } else { 2 }).unwrap();
        let marks = table.reachable(|class| class);
        let mark = |digits: &str| marks.get(usize::from(table.walk(digits.as_bytes()).last)).copied();
        assert_eq!(mark("80"), Some(1));
        assert_eq!(mark("8012"), Some(1));
        assert_eq!(mark("9"), Some(2));
        assert_eq!(mark(""), Some(3));
    }

    #[test]
    fn a_broken_pattern_builds_nothing() {
        assert!(Table::build(&["(("], |_| 1).is_none());
    }
}
