//! Rules as data: packs, one a jurisdiction, compiled into one immutable set.
//!
//! Promises: a set is only ever whole (a bad pack refuses the set that would hold it); `rules_version` names the exact
//! texts, zone data and numbering tables; what applies to a place is found by index, whatever the number of packs. Must never read a
//! file or a clock: texts are given. Guarded by `tests/law.rs`.

mod basis;
mod built_in;
mod calendar;
mod compile;
mod diff;
mod emergency;
mod feed;
mod lint;
mod overview;
mod retention;
pub mod rights;
mod rule;
mod text;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, OnceLock};

use jiff::civil::Date;
use smallvec::SmallVec;

use crate::contact::{Channel, Purpose, Set, Term};
use crate::place::Jurisdiction;
use crate::time::ZoneId;

pub use basis::{Basis, Hash, Named, read_files};
pub use built_in::BUILT_IN;
pub use calendar::{Calendar, Entry, On, Week, open_in};
pub use diff::{Change, Difference, Event, Field, between, sets};
pub use emergency::{Declared, MOST_COUNTIES, WORDS_BYTES, within};
pub use feed::read_declared;
pub use lint::{Remark, lint, nearest};
pub use overview::{Overview, Row};
pub use retention::{Duties, Duty, Floor, held_from_erasure, record_duties};
pub use rule::{
    Applies, Band, Body, Confidence, Counts, DateWindows, Exemption, Family, Freshness, Needs, Rule, Series, Span, Tie,
    Trigger, Window,
};
pub use words::{Around, Heard, Meaning, StopTerms};

/// A fault of a pack's text: where it is and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct PackFault {
    /// The file, as given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// An example beside a rule.
#[derive(Clone, Debug)]
pub struct Case {
    /// The rule it is about.
    pub rule: Box<str>,
    /// Whether that rule denies.
    pub denies: bool,
    /// Why.
    pub why: Box<str>,
    /// Postures chosen.
    pub postures: Vec<String>,
    /// States of emergency declared, as its `emergencies` say.
    emergencies: Vec<feed::DeclaredText>,
    /// The question, in the words of the contract; what is left out is filled in from the rule.
    pub request: toml::Table,
    /// The line it begins on.
    pub line: usize,
}

impl Case {
    /// The states of emergency that its question is asked under; one that names no place is of `jurisdiction`.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn declared(&self, law: &Law, jurisdiction: Jurisdiction) -> Result<Vec<Declared>, String> {
        self.emergencies.iter().map(|text| feed::declared(text, law, Some(jurisdiction))).collect()
    }
}

/// The rules of one jurisdiction.
#[derive(Debug)]
pub struct Pack {
    /// The file it was read from.
    pub file: Box<str>,
    head: compile::Head,
    /// Every rule, in the order of the file.
    pub rules: Vec<Arc<Rule>>,
    /// Holiday calendars by name.
    pub calendars: BTreeMap<String, Arc<Calendar>>,
    /// Examples.
    pub cases: Vec<Case>,
    text: Box<str>,
    digest: Box<str>,
    /// Rules that may say something about a contact of this channel and purpose: `[channel][purpose]`.
    index: [[Vec<Arc<Rule>>; 9]; 3],
}

impl Pack {
    fn new(
        file: &str,
        text: &str,
        head: compile::Head,
        rules: Vec<Arc<Rule>>,
        calendars: BTreeMap<String, Arc<Calendar>>,
        cases: Vec<Case>,
    ) -> Self {
        let mut index: [[Vec<Arc<Rule>>; 9]; 3] = Default::default();
        for rule in rules.iter().filter(|rule| speaks_of_contacts(&rule.body)) {
            for channel in all_if_empty(rule.applies.channels).iter() {
                for purpose in purposes_of(rule.applies.purposes).iter() {
                    let row = index.get_mut(usize::from(channel.number()));
                    if let Some(cell) = row.and_then(|row| row.get_mut(usize::from(purpose.number()))) {
                        cell.push(Arc::clone(rule));
                    }
                }
            }
        }
        let digest = hex(&basis::sha256(text.as_bytes())).into();
        Self { file: file.into(), head, rules, calendars, cases, text: text.into(), digest, index }
    }

    /// Reads one pack from its text.
    ///
    /// # Errors
    /// Every fault, with file and line.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<PackFault>> {
        compile::compile(file, text)
    }

    /// Whose law it is.
    #[must_use]
    pub fn jurisdiction(&self) -> Jurisdiction {
        self.head.jurisdiction
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.head.title
    }

    /// When it was last reviewed; `None`: never, and no marketing rests on it.
    #[must_use]
    pub fn reviewed(&self) -> Option<Date> {
        self.head.reviewed
    }

    /// Further places it is the law of.
    #[must_use]
    pub fn covers(&self) -> &[Jurisdiction] {
        &self.head.covers
    }

    /// Wider packs whose rules apply too.
    #[must_use]
    pub fn inherits(&self) -> &[Jurisdiction] {
        &self.head.inherits
    }

    /// A tenant's own rules.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        self.head.policy
    }

    /// The zone in which its dates begin.
    #[must_use]
    pub fn zone(&self) -> ZoneId {
        self.head.zone
    }

    /// The number its cases use where they name none.
    #[must_use]
    pub fn example(&self) -> Option<&str> {
        self.head.example.as_deref()
    }

    /// SHA-256 of its text, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A rule of this pack as its text spells it.
    #[must_use]
    pub fn text_of(&self, rule: &Rule) -> &str {
        let line = |n: usize| self.text.split_inclusive('\n').take(n).map(str::len).sum::<usize>();
        let start = line(rule.line.saturating_sub(1));
        let rest = self.text.get(start..).unwrap_or("");
        let after = rest.get(2..).and_then(|rest| rest.find("\n[[rule]]\n")).map_or(rest.len(), |at| at + 3);
        rest.get(..after).unwrap_or(rest).trim_end()
    }

    /// The rules in whose place a rule of this pack stepped.
    pub fn replaced_by<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().map(AsRef::as_ref).filter(|earlier| rule.series.replaces.contains(&earlier.id))
    }

    /// The rules that stepped in the place of a rule of this pack.
    pub fn successors<'a>(&'a self, rule: &'a Rule) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().map(AsRef::as_ref).filter(|next| next.series.replaces.contains(&rule.id))
    }

    /// The line on which some words of its text stand first; 1 where they stand nowhere.
    pub(crate) fn line_of(&self, words: &str) -> usize {
        let before = self.text.find(words).and_then(|at| self.text.get(..at)).unwrap_or("");
        before.matches('\n').count() + 1
    }

    /// The rules that may say something about a contact of this channel and purpose.
    #[must_use]
    pub fn rules_for(&self, channel: Channel, purpose: Purpose) -> &[Arc<Rule>] {
        let row = self.index.get(usize::from(channel.number()));
        row.and_then(|row| row.get(usize::from(purpose.number()))).map_or(&[], Vec::as_slice)
    }
}

fn speaks_of_contacts(body: &Body) -> bool {
    !matches!(body, Body::Retention { .. } | Body::Keywords { .. })
}

fn all_if_empty<T: Term>(set: Set<T>) -> Set<T> {
    if set.is_empty() { Set::all() } else { set }
}

/// The purposes a selector means: an empty one means any but EMERGENCY, so that no rule reaches emergencies unsaid.
pub(crate) fn purposes_of(set: Set<Purpose>) -> Set<Purpose> {
    if set.is_empty() { Purpose::ALL.iter().copied().filter(|p| *p != Purpose::Emergency).collect() } else { set }
}

/// What the law of a place is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// Indices of packs, narrowest first.
    pub packs: SmallVec<[u16; 4]>,
    /// Whether the place has law of its own: without it nothing but EMERGENCY is allowed.
    pub covered: bool,
    /// Whether each pack was reviewed.
    pub reviewed: bool,
}

/// Hashes a jurisdiction, eight bytes that nobody outside chooses freely, by one multiplication.
#[derive(Clone, Copy, Default, Debug)]
struct ByCode;

impl BuildHasher for ByCode {
    type Hasher = CodeHasher;
    fn build_hasher(&self) -> CodeHasher {
        CodeHasher(0)
    }
}

struct CodeHasher(u64);

impl Hasher for CodeHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The golden ratio in 64 bits; the upper half goes where the table looks.
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One immutable set of packs.
#[derive(Debug)]
pub struct Law {
    packs: Vec<Pack>,
    by_jurisdiction: HashMap<Jurisdiction, u16>,
    policies: HashMap<Jurisdiction, Vec<u16>>,
    chains: HashMap<Jurisdiction, Chain, ByCode>,
    /// By country: the law of its parts that nothing names.
    chains_of_parts: HashMap<Jurisdiction, Chain, ByCode>,
    chain_of_nowhere: Chain,
    /// The tenant's own lists that some rule asks for, sorted.
    own_lists: Vec<Box<str>>,
    version: String,
    basis: Hash,
    /// Listed once something is to be understood: most sets never hear a text.
    words: OnceLock<words::Words>,
}

/// What the ids of a tenant's own lists begin with.
pub const OWN_LIST: &str = "tenant.";

fn own_lists(packs: &[Pack]) -> Vec<Box<str>> {
    let lists = packs.iter().flat_map(|pack| &pack.rules).filter_map(|rule| match &rule.body {
        Body::Registry { list, .. } if list.starts_with(OWN_LIST) => Some(list.clone()),
        _ => None,
    });
    let mut lists: Vec<Box<str>> = lists.collect();
    lists.sort_unstable();
    lists.dedup();
    lists
}

/// The jurisdiction code of a policy about every place (ISO 3166 leaves ZZ to users).
const EVERYWHERE: &str = "ZZ";

impl Law {
    /// Reads a set from texts, each with the name its faults go by.
    ///
    /// # Errors
    /// Every fault of every text; two packs for one jurisdiction; a rule id used twice; a wider pack that is missing.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<PackFault>> {
        Self::read_with(texts, basis::words())
    }

    /// The same, with the words of inbound texts that stood beside these packs when they were in force: an archived set
    /// goes by the name that it had.
    ///
    /// # Errors
    /// See [`Law::read`].
    pub fn read_with<'a>(
        texts: impl IntoIterator<Item = (&'a str, &'a str)>,
        words: Hash,
    ) -> Result<Self, Vec<PackFault>> {
        let (mut packs, mut faults, mut digest) = (Vec::new(), Vec::new(), Vec::new());
        for (file, text) in texts {
            match Pack::read(file, text) {
                Ok(pack) => {
                    digest.push((pack.jurisdiction(), pack.is_policy(), text));
                    packs.push(pack);
                }
                Err(found) => faults.extend(found),
            }
        }
        faults.extend(clashes(&packs));
        faults.extend(words::file().err().cloned());
        if !faults.is_empty() {
            return Err(faults);
        }
        let index = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
        let mut by_jurisdiction = HashMap::new();
        let mut policies: HashMap<Jurisdiction, Vec<u16>> = HashMap::new();
        for (i, pack) in packs.iter().enumerate() {
            if pack.is_policy() {
                policies.entry(pack.jurisdiction()).or_default().push(index(i));
                continue;
            }
            by_jurisdiction.insert(pack.jurisdiction(), index(i));
            for covered in pack.covers() {
                by_jurisdiction.entry(*covered).or_insert(index(i));
            }
        }
        let own_lists = own_lists(&packs);
        let version = basis::version_of(digest, &words);
        let basis = basis::Named::of(&packs, &version, words).digest();
        let mut law = Self {
            packs,
            by_jurisdiction,
            policies,
            chains: HashMap::default(),
            chains_of_parts: HashMap::default(),
            chain_of_nowhere: Chain::default(),
            own_lists,
            version,
            basis,
            words: OnceLock::new(),
        };
        law.work_out_chains();
        Ok(law)
    }

    /// The name of the exact set: the texts of its packs, zone data, numbering tables, and the words of inbound texts.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names the same by a whole digest, the order of the packs included: what an archive keeps it under.
    #[must_use]
    pub const fn basis(&self) -> &Hash {
        &self.basis
    }

    /// Whether some rule of some pack, whenever it is in force, asks for this list of the tenant's own.
    #[must_use]
    pub fn asks_for_own_list(&self, list: &str) -> bool {
        self.own_lists.binary_search_by(|known| (**known).cmp(list)).is_ok()
    }

    /// Every pack, in the order given.
    #[must_use]
    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// A pack of the set.
    #[must_use]
    pub fn pack(&self, index: u16) -> Option<&Pack> {
        self.packs.get(usize::from(index))
    }

    /// The pack of a jurisdiction, its own or one that covers it.
    #[must_use]
    pub fn pack_of(&self, jurisdiction: Jurisdiction) -> Option<&Pack> {
        self.by_jurisdiction.get(&jurisdiction).and_then(|index| self.pack(*index))
    }

    /// A rule by its id, with its pack.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<(&Pack, &Arc<Rule>)> {
        self.packs.iter().find_map(|pack| pack.rules.iter().find(|rule| &*rule.id == id).map(|rule| (pack, rule)))
    }

    /// The law of a place, its parents included: a child never loosens what a parent says, since rules only deny.
    #[must_use]
    pub fn chain(&self, place: Jurisdiction) -> &Chain {
        let of_country = || place.country().and_then(|country| self.chains_of_parts.get(&country));
        self.chains.get(&place).or_else(of_country).unwrap_or(&self.chain_of_nowhere)
    }

    /// Works out every chain once: a question about an unknown area code asks for nearly ninety.
    fn work_out_chains(&mut self) {
        let named = self.by_jurisdiction.keys().chain(self.policies.keys());
        let chains: Vec<_> = named.map(|place| (*place, self.work_out(*place))).collect();
        let countries = self.by_jurisdiction.keys().filter(|place| place.country().is_none());
        // A part that no pack and no policy names has the law of its country: ZZZ stands for all of them.
        let parts = countries.filter_map(|country| {
            let part = format!("{country}-ZZZ").parse().ok()?;
            Some((*country, self.work_out(part)))
        });
        let parts: Vec<_> = parts.collect();
        let nowhere = "QZ".parse().map(|place| self.work_out(place)).unwrap_or_default();
        self.chains.extend(chains);
        self.chains_of_parts.extend(parts);
        self.chain_of_nowhere = nowhere;
    }

    fn work_out(&self, place: Jurisdiction) -> Chain {
        let mut chain = Chain { reviewed: true, ..Chain::default() };
        let own = self.by_jurisdiction.get(&place).copied();
        let country = place.country().and_then(|country| self.by_jurisdiction.get(&country).copied());
        chain.covered = match (own.and_then(|i| self.pack(i)), country.and_then(|i| self.pack(i))) {
            // A pack whose parts need packs of their own is not law enough for the whole.
            (Some(pack), _) => pack.jurisdiction() != place || !pack.head.parts_need_packs,
            (None, Some(pack)) => !pack.head.parts_need_packs,
            (None, None) => false,
        };
        let mut queue: SmallVec<[u16; 4]> = own.into_iter().chain(country).collect();
        while let Some(index) = queue.first().copied() {
            queue.remove(0);
            if chain.packs.contains(&index) {
                continue;
            }
            chain.packs.push(index);
            if let Some(pack) = self.pack(index) {
                chain.reviewed &= pack.reviewed().is_some();
                queue.extend(pack.inherits().iter().filter_map(|wider| self.by_jurisdiction.get(wider).copied()));
            }
        }
        self.add_policies(place, &mut chain);
        chain
    }

    fn add_policies(&self, place: Jurisdiction, chain: &mut Chain) {
        if self.policies.is_empty() {
            return;
        }
        let wider: SmallVec<[Jurisdiction; 4]> =
            chain.packs.iter().filter_map(|i| self.pack(*i)).map(Pack::jurisdiction).collect();
        let all = EVERYWHERE.parse().ok();
        for jurisdiction in all.into_iter().chain(std::iter::once(place)).chain(wider) {
            for index in self.policies.get(&jurisdiction).into_iter().flatten() {
                if !chain.packs.contains(index) {
                    chain.packs.push(*index);
                }
            }
        }
    }
}

fn clashes(packs: &[Pack]) -> Vec<PackFault> {
    let mut faults = Vec::new();
    let (mut seen, mut ids) = (HashMap::new(), HashMap::new());
    for pack in packs {
        let fault = |line, message| PackFault { file: pack.file.to_string(), line, message };
        if !pack.is_policy()
            && let Some(other) = seen.insert(pack.jurisdiction(), &pack.file)
        {
            faults.push(fault(1, format!("{} already has a pack: {other}", pack.jurisdiction())));
        }
        for rule in &pack.rules {
            if let Some(other) = ids.insert(&rule.id, &pack.file) {
                faults.push(fault(rule.line, format!("rule `{}` already stands in {other}", rule.id)));
            }
        }
        for wider in pack.inherits() {
            if !packs.iter().any(|other| other.jurisdiction() == *wider && !other.is_policy()) {
                faults.push(fault(1, format!("it inherits from {wider}, which has no pack")));
            }
        }
        let country = pack.jurisdiction().country();
        if let Some(country) = country
            && !pack.is_policy()
            && !packs.iter().any(|other| other.jurisdiction() == country)
        {
            faults.push(fault(1, format!("it lies under {country}, which has no pack")));
        }
    }
    faults
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
