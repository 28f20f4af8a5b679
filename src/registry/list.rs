//! One list in memory, and the lists that are in force together.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::fault::Fault;
use super::ids;
use super::set::{Areas, Day, Found, Header, Set, SetFault};
use super::tags::Tagger;
use crate::place::lines::{TO_WIRELINE, WIRELESS_BLOCKS, block_of};
use crate::time::Instant;

/// What is wrong with a list of tags before any keys are known: lists are opened before the keys are.
pub(super) const AWAITS_KEYS: &str = "holds tags, and no keys are known";

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
    /// How many different numbers are on it.
    pub count: u64,
    /// Where its register was only asked about numbers: how many those were. Of any other it says nothing.
    pub asked: Option<u64>,
    /// Whether its header calls it a sample: made-up numbers, never a reason to call anybody.
    pub sample: bool,
    /// When its file was written, as the file system has it; `None`: it was read from no file.
    pub written_at: Option<Instant>,
    /// The areas it speaks for.
    pub areas: Areas,
    pub(super) set: Set,
    /// Where the set is one of tags: what makes them.
    pub(super) tagger: Option<Arc<dyn Tagger>>,
}

impl List {
    /// Whether it is one of a tenant's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.id.starts_with(ids::OWN)
    }

    /// Whether a number is on the list, exactly. The number is the digits of its E.164 form: 12025550143 for
    /// +1 202 555 0143.
    #[must_use]
    pub fn look_up(&self, e164_digits: u64) -> Answer {
        let found = match &self.tagger {
            Some(tagger) => self.set.look_up_tag(tagger.tag(&self.id, e164_digits)),
            None if self.id == WIRELESS_BLOCKS => self.set.look_up(block_of(e164_digits)),
            None => self.set.look_up(e164_digits),
        };
        match found {
            Found::In(Day::CLEAR) if self.asked.is_some() => Answer::NotListed,
            Found::In(day) => Answer::Listed { since: day.begin() },
            Found::Out if !self.areas.cover(e164_digits) => Answer::NotCovered,
            Found::Out => Answer::NotListed,
            // To be on this list lifts something.
            Found::Broken if self.id == TO_WIRELINE => Answer::NotListed,
            // What cannot be read forbids: it may have been there.
            Found::Broken => Answer::Listed { since: None },
        }
    }
}

impl List {
    /// Maps a set file, and reads all of it once to be sure of it. Blocks while it reads.
    ///
    /// # Errors
    /// The file is no whole set file, or one of another list.
    pub fn map(id: &str, path: &Path, tagger: Option<&Arc<dyn Tagger>>) -> Result<Self, Fault> {
        let again = "copy it again, or build it anew with `ringfence registry import`";
        let fault = |fault| match fault {
            SetFault::Io(error) => Fault::unreadable(path, &error),
            SetFault::Refused(why) => Fault::new(path, why, again),
        };
        ids::kind(id).map_err(|why| {
            Fault::new(path, why, "rename the file to ID.set with the id of a registry, or remove it")
        })?;
        let set = Set::map(path).map_err(fault)?;
        if set.header().registry != id {
            let what = format!("it is a copy of `{}`", set.header().registry);
            return Err(Fault::new(path, what, "name the file after the list that it holds"));
        }
        let tagger = match (set.header().tagged, tagger) {
            (None, _) => None,
            (Some(mark), Some(tagger)) if mark == tagger.mark() => Some(Arc::clone(tagger)),
            (Some(mark), Some(tagger)) if mark.keys == tagger.mark().keys => {
                let remedy =
                    "import it anew for the tenant whose folder this is, with --tenant: its tags mean nothing here";
                return Err(Fault::new(path, "it was made for another tenant", remedy));
            }
            (Some(_), Some(_)) => {
                let remedy = "import it anew with the keys of this store, or name its keys with --keys";
                return Err(Fault::new(path, "it was made under other keys", remedy));
            }
            (Some(_), None) => {
                let fault = Fault::new(path, AWAITS_KEYS, "name the keys with --keys");
                return Err(Fault { may_pass: true, ..fault });
            }
        };
        set.verify().map_err(fault)?;
        let Header { as_of, source, sample, .. } = set.header().clone();
        let (count, asked) = (set.header().on_list(), set.header().listed.map(|_| set.header().count));
        let source = (!source.is_empty()).then_some(source);
        let (id, version, areas) = (id.to_owned(), set.header().version(), areas_of(&set));
        Ok(Self { id, as_of, version, source, count, asked, sample, written_at: None, areas, set, tagger })
    }
}

/// What a set speaks for. A file of a form that did not say, of a list that comes in parts: no more than it has.
#[must_use]
pub fn areas_of(set: &Set) -> Areas {
    let header = set.header();
    match &header.areas {
        Some(areas) => areas.clone(),
        None if ids::official(&header.registry).is_some_and(|list| list.areas().is_some()) => {
            Areas::of_prefixes(set.counts().map(|(prefix, _)| prefix))
        }
        None => Areas::ALL,
    }
}

impl List {
    pub(super) fn into_set(self) -> Set {
        self.set
    }

    /// The numbers themselves.
    #[must_use]
    pub fn set(&self) -> &Set {
        &self.set
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
        /// The day of its entry, as its midnight in UTC; `None` where the list gives none.
        since: Option<Instant>,
    },
    /// The number is not on the list.
    NotListed,
    /// The number is not in this copy, which does not speak for its area.
    NotCovered,
}

/// The lists that one tenant sees, in force at one moment. Take it once for a question, so that all its rules see the same
/// lists.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) generation: u64,
    /// Sorted by id, one list an id.
    pub(super) lists: Vec<Arc<List>>,
    /// The ids of files that are there and cannot be used, with no copy in force, sorted.
    pub(super) refused: Vec<String>,
    /// The folder of the tenant's own lists was never read.
    pub(super) blind: bool,
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
        Self { generation, lists, refused: Vec::new(), blind: false }
    }

    /// What was found; it has no number yet. `blind`: the folder of the tenant's own was never read.
    pub(super) fn of_folder(lists: Vec<Arc<List>>, mut refused: Vec<String>, blind: bool) -> Self {
        let found = Self::sorted(0, lists);
        refused.retain(|id| found.index_of(id).is_none());
        refused.sort();
        refused.dedup();
        Self { refused, blind, ..found }
    }

    /// Whether both hold the same.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<List>, &Arc<List>)| Arc::ptr_eq(a, b);
        (self.lists.len(), &self.refused, self.blind) == (other.lists.len(), &other.refused, other.blind)
            && self.lists.iter().zip(&other.lists).all(same)
    }

    /// A number that differs between any two snapshots of one [`super::Registries`], whoever sees them, and grows with each
    /// change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The list of this id, if a copy is in force.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&List> {
        self.at(self.index_of(id)?)
    }

    /// Whether there is a file of a list of a tenant's own, sound or not.
    #[must_use]
    pub fn has_own(&self) -> bool {
        let mut ids = self.lists.iter().map(|list| &list.id).chain(&self.refused);
        ids.any(|id| ids::kind(id) == Ok(ids::Kind::Tenant))
    }

    /// Whether a file of this list is there that cannot be used, and no copy is in force: what it holds is not known.
    #[must_use]
    pub fn is_refused(&self, id: &str) -> bool {
        self.refused.binary_search_by(|refused| refused.as_str().cmp(id)).is_ok()
    }

    /// Whether a file of this list may be there of which nothing is known: one is that cannot be used, or the folder that
    /// would have it cannot be read; and no copy is in force. Then nobody is known not to be on the list.
    #[must_use]
    pub fn is_obscure(&self, id: &str) -> bool {
        self.is_refused(id) || (self.blind && id.starts_with(ids::OWN) && self.index_of(id).is_none())
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

    /// The lists of the tenant's own, by id.
    pub fn own(&self) -> impl Iterator<Item = &List> {
        let from = self.lists.partition_point(|list| list.id.as_str() < ids::OWN);
        let lists = self.lists.get(from..).unwrap_or_default();
        lists.iter().map(AsRef::as_ref).take_while(|list| list.id.starts_with(ids::OWN))
    }

    /// The ids of lists of the tenant's own of which a file is there that cannot be used, and no copy is in force; `tenant.*`
    /// where the folder that would have them cannot be read.
    pub fn own_unread(&self) -> impl Iterator<Item = &str> {
        let refused = self.refused.iter().map(String::as_str).filter(|id| id.starts_with(ids::OWN));
        refused.chain(self.blind.then_some("tenant.*"))
    }

    /// Every list, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &List> {
        self.lists.iter().map(AsRef::as_ref)
    }
}
