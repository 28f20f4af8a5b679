//! One list in memory, and the lists that are in force together.

use std::fmt;
use std::sync::Arc;

use super::set::NumberSet;
use crate::time::Instant;

/// One list: what is known about it, and its numbers.
pub struct List {
    /// The canonical id, such as `us.dnc.national`.
    pub id: String,
    /// The instant at which the keeper of the list made this copy. Whether that is fresh enough, or in the future, is
    /// for a rule to say.
    pub as_of: Instant,
    /// The content this list was read from: the first 16 hex digits of the SHA-256 of its file.
    pub version: String,
    /// Where the copy came from, as its header says.
    pub source: Option<String>,
    /// How many different numbers it holds.
    pub count: u64,
    /// Whether its header calls it a sample: made-up numbers, never a reason to call anybody.
    pub sample: bool,
    pub(super) entries: Entries,
}

impl List {
    /// Whether a number is on the list, exactly. The number is the digits of its E.164 form: 12025550143 for
    /// +1 202 555 0143.
    #[must_use]
    pub fn look_up(&self, e164_digits: u64) -> Answer {
        self.entries.look_up(e164_digits)
    }
}

/// Shows everything but the numbers.
impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("id", &self.id)
            .field("as_of", &self.as_of)
            .field("version", &self.version)
            .field("count", &self.count)
            .field("sample", &self.sample)
            .finish_non_exhaustive()
    }
}

/// What a list says of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The number is on the list.
    Listed {
        /// When it was entered: midnight UTC where the list gives a date only; `None` where it gives nothing.
        since: Option<Instant>,
    },
    /// The number is not on the list.
    NotListed,
}

/// The numbers of a list: those without an entry date, and those with one.
#[derive(Default)]
pub(super) struct Entries {
    undated: NumberSet,
    dated: NumberSet,
    /// The entry date of each dated number, by rank.
    dates: Vec<Instant>,
}

impl Entries {
    /// From entries in any order. Of a number given twice the strictest entry counts: one without a date, which may
    /// be of any age, before the earliest date. `None` for more than four billion.
    pub(super) fn new(mut undated: Vec<u64>, mut dated: Vec<(u64, Instant)>) -> Option<Self> {
        undated.sort_unstable();
        let undated = NumberSet::from_sorted(undated)?;
        dated.sort_unstable();
        dated.dedup_by_key(|entry| entry.0);
        dated.retain(|entry| undated.position(entry.0).is_none());
        let dates = dated.iter().map(|entry| entry.1).collect();
        Some(Self { undated, dated: NumberSet::from_sorted(dated.into_iter().map(|entry| entry.0))?, dates })
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.undated.len() + self.dated.len()).unwrap_or(u64::MAX)
    }

    fn look_up(&self, number: u64) -> Answer {
        if self.undated.position(number).is_some() {
            return Answer::Listed { since: None };
        }
        match self.dated.position(number) {
            Some(rank) => Answer::Listed { since: self.dates.get(rank).copied() },
            None => Answer::NotListed,
        }
    }
}

/// The lists in force at one moment. Take it once for a question, so that all its rules see the same lists.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) generation: u64,
    /// Sorted by id, one list an id.
    pub(super) lists: Vec<Arc<List>>,
}

/// Where a list stands in one snapshot. Resolve it once for a set of rules and a snapshot; it means nothing in
/// another one (compare [`Snapshot::generation`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListIx(u16);

impl Snapshot {
    /// Lists that never change. Of two with one id the first counts.
    #[must_use]
    pub fn of(lists: Vec<List>) -> Self {
        Self::sorted(0, lists.into_iter().map(Arc::new).collect())
    }

    pub(super) fn sorted(generation: u64, mut lists: Vec<Arc<List>>) -> Self {
        lists.sort_by(|a, b| a.id.cmp(&b.id));
        lists.dedup_by(|b, a| a.id == b.id);
        Self { generation, lists }
    }

    /// A number that differs between any two snapshots of one [`super::Registries`] and grows with each change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The list of this id, if a copy is in force.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&List> {
        self.at(self.index_of(id)?)
    }

    /// Where the list of this id stands, if a copy is in force.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<ListIx> {
        let index = self.lists.binary_search_by(|list| list.id.as_str().cmp(id)).ok()?;
        u16::try_from(index).ok().map(ListIx)
    }

    /// The list at a place found by [`Self::index_of`] of this same snapshot.
    #[must_use]
    pub fn at(&self, index: ListIx) -> Option<&List> {
        self.lists.get(usize::from(index.0)).map(AsRef::as_ref)
    }

    /// Every list, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &List> {
        self.lists.iter().map(AsRef::as_ref)
    }
}
