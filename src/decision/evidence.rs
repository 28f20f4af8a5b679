//! Asserted and stored facts, seen as one.
//!
//! Promises: what tightens counts from every source; what loosens counts from the sources the tenant trusts; nothing is
//! copied. How the two meet stands in this file and nowhere else.

use smallvec::SmallVec;

use super::lines::Lines;
use crate::contact::{
    Age, Consent, Facts, InconvenientTime, LegalForm, OptOut, PastAttempt, Policy, Recipient, Relationship, Seller,
    Set, Transfer,
};
use crate::law::{Law, OWN_LIST};
use crate::place::{Jurisdiction, LineType};
use crate::time::{Instant, Millis};

/// What a loaded list says of the number asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Whether the number is on it; `None` where the copy does not speak for the number's area.
    pub listed: Option<bool>,
    /// When it was entered, where the list says.
    pub listed_at: Option<Instant>,
    /// How old the copy is.
    pub as_of: Instant,
    /// The exact copy; [`Look::HERE`] of a list that needs none.
    pub version: Box<str>,
    /// A made-up list, for trying things out.
    pub sample: bool,
}

impl Look {
    /// The version of a list of the tenant's own of which no file is loaded, and of which what is in the records is all there
    /// is: it is as fresh as the record. No file has it: theirs are 16 hex digits.
    pub const HERE: &'static str = "api";

    /// Whether it is as fresh as the record, so that it never goes stale.
    #[must_use]
    pub fn is_here(&self) -> bool {
        &*self.version == Self::HERE
    }
}

/// The lists loaded here, already turned to the number asked about.
pub trait Lists {
    /// What the list of this id says; `None` where no such list is loaded.
    fn look_up(&self, registry: &str) -> Option<Look>;

    /// The lists of the tenant's own that have the number, or that are there and cannot be read, by id.
    fn own_hits(&self) -> Vec<Box<str>>;

    /// Tells each list of the tenant's own that speaks for the number and does not have it.
    fn own_clear(&self, tell: &mut dyn FnMut(&str));
}

/// No list at all.
#[derive(Clone, Copy, Debug)]
pub struct NoLists;

impl Lists for NoLists {
    fn look_up(&self, _registry: &str) -> Option<Look> {
        None
    }

    fn own_hits(&self) -> Vec<Box<str>> {
        Vec::new()
    }

    fn own_clear(&self, _tell: &mut dyn FnMut(&str)) {}
}

/// How far another's clock may be ahead of ours.
const SKEW: Millis = Millis::seconds(300);

/// Every fact a decision rests on.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What the caller says.
    pub asserted: &'a Facts,
    /// What the record holds.
    pub stored: &'a Facts,
    /// Loaded lists.
    pub lists: &'a dyn Lists,
    /// A live check: recorded opt-outs, withdrawals and attempts count whatever their date, since a wrong clock must
    /// not hide them. Otherwise the question is about an instant, and what is dated later does not exist yet.
    pub live: bool,
}

/// What is known of a number's entry in a registry, frozen at the instant of the question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listing {
    /// Some source has it, whatever that source's age.
    Listed {
        /// The latest entry date known; `None`: unknown, the newest of all.
        since: Option<Instant>,
        /// When it was made at the latest: where only a day is known, the day may have ended far west of here.
        by: Option<Instant>,
        /// From when on the entry counts, where it does not yet and a fresh look says so.
        bites_at: Option<Instant>,
    },
    /// A fresh source does not have it.
    Clear {
        /// As of when that source is.
        as_of: Instant,
    },
    /// No source, or none that is fresh; the age of the newest.
    Unknown {
        /// As of when the newest copy is.
        newest: Option<Instant>,
        /// As of when the loaded copy is, where it does not speak for the number's area.
        elsewhere: Option<Instant>,
    },
}

impl<'a> Evidence<'a> {
    /// Both sources of what tightens, stored first.
    fn both(&self) -> [&'a Facts; 2] {
        [self.stored, self.asserted]
    }

    /// Consents that may cover; an asserted one whose id is stored is the stored one.
    pub(crate) fn consents(&self, stored_only: bool) -> impl Iterator<Item = &'a Consent> + use<'a> {
        let stored = &self.stored.consents;
        let asserted = if stored_only { &[][..] } else { &self.asserted.consents };
        let known = move |c: &Consent| c.id.is_some() && stored.iter().any(|other| other.id == c.id);
        stored.iter().chain(asserted.iter().filter(move |consent| !known(consent)))
    }

    /// Whether any consent promised a frequency.
    pub(crate) fn promised(&self) -> bool {
        self.both().into_iter().flat_map(|facts| &facts.consents).any(|consent| consent.frequency_cap.is_some())
    }

    /// Every withdrawal told of a consent: its own, and one asserted under the same id.
    pub(crate) fn withdrawals(&self, consent: &'a Consent) -> impl Iterator<Item = Instant> + use<'a> {
        let told = self.asserted.consents.iter();
        let told = told.filter(move |other| consent.id.is_some() && other.id == consent.id);
        consent.withdrawn_at.into_iter().chain(told.filter_map(|other| other.withdrawn_at))
    }

    /// Opt-outs, from every source. One told twice is one that stands if either does, so no id needs comparing.
    pub(crate) fn opt_outs(&self) -> impl Iterator<Item = &'a OptOut> + use<'a> {
        self.both().into_iter().flat_map(|facts| &facts.opt_outs)
    }

    /// Attempts, from every source; an asserted one whose id is stored is the stored one.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = &'a PastAttempt> + use<'a> {
        let stored = &self.stored.attempts;
        let known = move |id| stored.iter().any(|other| other.id.as_ref() == Some(id));
        let asserted = &self.asserted.attempts;
        let repeated = move |index: usize, past: &PastAttempt| {
            past.id.is_some() && asserted.iter().take(index).any(|earlier| earlier.id == past.id)
        };
        let told = asserted.iter().enumerate();
        let told = told.filter(move |(i, a)| !a.id.as_ref().is_some_and(known) && !repeated(*i, a));
        stored.iter().chain(told.map(|(_, past)| past))
    }

    /// What ties the person to this seller: asserted if given, else stored.
    pub(crate) fn relationship(&self, seller: &Seller, stored_only: bool) -> Option<&'a Relationship> {
        let with = |facts: &'a Facts| {
            facts.relationships.iter().find(|tie| tie.seller.as_ref().is_none_or(|other| other == seller))
        };
        let asserted = if stored_only { None } else { with(self.asserted) };
        asserted.or_else(|| with(self.stored))
    }

    /// Asserted if given, else stored; both where an asserted one is not trusted to take the stored one's place.
    pub(crate) fn policies(&self, stored_only: bool) -> impl Iterator<Item = &'a Policy> + use<'a> {
        let asserted = self.asserted.policy.as_ref();
        let stored = self.stored.policy.as_ref().filter(|_| stored_only || asserted.is_none());
        asserted.into_iter().chain(stored)
    }

    /// Asserted if given, else stored.
    pub(crate) fn transfer(&self, stored_only: bool) -> Option<&'a Transfer> {
        self.asserted.transfer.as_ref().filter(|_| !stored_only).or(self.stored.transfer.as_ref())
    }

    /// Every destination anybody named, whoever is trusted: it can only tighten.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = Jurisdiction> + use<'a> {
        self.both().into_iter().filter_map(|facts| facts.transfer.as_ref()?.to)
    }

    /// The last conversation by either source. Not the later of the two alone: to a question about another instant the
    /// later one may not exist yet.
    pub(crate) fn last_conversations(&self) -> impl Iterator<Item = Instant> + use<'a> {
        self.both().into_iter().filter_map(|facts| facts.last_conversation_at)
    }

    /// Every plausible age.
    pub(crate) fn ages(&self) -> impl Iterator<Item = Age> + use<'a> {
        self.both().into_iter().flat_map(|facts| facts.ages.iter().copied())
    }

    /// Times called inconvenient, to anybody.
    pub(crate) fn inconvenient_times(&self) -> impl Iterator<Item = InconvenientTime> + use<'a> {
        self.both().into_iter().flat_map(|facts| facts.inconvenient_times.iter().copied())
    }

    /// Every plausible capacity; all where nothing is known. A business that is a natural person in trade, or a partnership
    /// of such, is a sole trader as well, whatever it is called: the laws that protect firms of persons ask what they are.
    pub(crate) fn recipients(&self, stored_only: bool) -> Set<Recipient> {
        let said = plausible(self.asserted.recipients, self.stored.recipients, stored_only);
        let of_persons = self.legal_forms().iter().any(LegalForm::is_of_persons);
        if of_persons && said.contains(Recipient::Business) { said.with(Recipient::SoleTrader) } else { said }
    }

    /// Every legal form said.
    pub(crate) fn legal_forms(&self) -> Set<LegalForm> {
        self.asserted.legal_forms.or(self.stored.legal_forms)
    }

    /// Whether the form may be none of those named: a bare assertion narrows nothing for a tenant that trusts the record.
    pub(crate) fn form_open(&self, stored_only: bool) -> bool {
        self.stored.legal_forms.is_empty() && (stored_only || self.asserted.legal_forms.is_empty())
    }

    /// Every plausible line type: what the plan makes certain adds to what is said, and so does a list that says otherwise;
    /// all where nothing is known.
    pub(crate) fn line_types(&self, certain: Option<LineType>, lines: &Lines, stored_only: bool) -> Set<LineType> {
        let certain: Set<LineType> = certain.into_iter().collect();
        let own = self.stored.line_types.or(certain);
        // For a tenant that trusts the record alone, a bare assertion narrows no more than what a list tells.
        let listed = if lines.alone && (own.is_empty() && (stored_only || self.asserted.line_types.is_empty())) {
            lines.told
        } else {
            Set::EMPTY
        };
        let mut all = plausible(self.asserted.line_types, own.or(listed), stored_only);
        // A fixed line and an internet line are one to the lists; a mobile they tell apart.
        let wireline = Set::one(LineType::Landline).with(LineType::Voip);
        for kind in [Set::one(LineType::Mobile), wireline].map(|kind| kind.and(lines.told)) {
            if all.and(kind).is_empty() {
                all = all.or(kind);
            }
        }
        all
    }

    /// Whether a copy is no older than this. One that says it was made later than now was not made: a mistyped year must not
    /// keep a list fresh for ever; in a question about another instant a loaded list counts as of then.
    pub(super) fn is_fresh(&self, as_of: Instant, oldest: Instant, now: Instant) -> bool {
        (!self.live || as_of <= now.plus(SKEW)) && as_of.min(now) >= oldest
    }

    /// Every plausible residence.
    pub(crate) fn residences(&self) -> SmallVec<[Jurisdiction; 2]> {
        let mut residences = SmallVec::new();
        for residence in self.both().into_iter().flat_map(|facts| &facts.residences) {
            if !residences.contains(residence) {
                residences.push(*residence);
            }
        }
        residences
    }

    /// The tenant's own lists that any source says the number is on, or that cannot be read, sorted; but for those that
    /// `law` asks for, about which its rules decide.
    pub(crate) fn own_lists(&self, law: &Law, now: Instant) -> SmallVec<[Box<str>; 1]> {
        let mut hits: SmallVec<[Box<str>; 1]> = self.lists.own_hits().into();
        let checks = self.both().into_iter().flat_map(|facts| &facts.registry_checks);
        let exists = |checked: Option<Instant>| self.live || checked.is_none_or(|checked| checked <= now);
        let told = checks.filter(|check| {
            check.listed == Some(true) && check.registry.starts_with(OWN_LIST) && exists(check.checked_at)
        });
        hits.extend(told.map(|check| check.registry.clone()));
        hits.retain(|list| !law.asks_for_own_list(list));
        hits.sort_unstable();
        hits.dedup();
        hits
    }

    /// Whether any source but the loaded copies says that the number is on a list.
    pub(crate) fn is_told_of(&self, list: &str, now: Instant) -> bool {
        let exists = |checked: Option<Instant>| self.live || checked.is_none_or(|checked| checked <= now);
        let mut checks = self.both().into_iter().flat_map(|facts| &facts.registry_checks);
        checks.any(|check| check.listed == Some(true) && &*check.registry == list && exists(check.checked_at))
    }

    /// Whether any source says something of a list.
    pub(crate) fn is_read(&self, list: &str) -> bool {
        let told = self.both().into_iter().flat_map(|facts| &facts.registry_checks);
        self.lists.look_up(list).is_some() || told.into_iter().any(|check| &*check.registry == list)
    }

    /// What is known of the number in a registry at `now`: a hit counts from any source and at any age; "not listed"
    /// needs one fresh source. A look dated after `now` (by more than clocks may differ) keeps nothing fresh in a live
    /// check; in a question about another instant a loaded list counts as of then, and a check dated later does not exist.
    ///
    /// `oldest` is how old a source may be; `bites` tells from when on an entry of a known date counts.
    pub(crate) fn listing(
        &self,
        registry: &str,
        oldest: Instant,
        bites: &dyn Fn(Instant) -> Instant,
        now: Instant,
        stored_only: bool,
    ) -> Listing {
        let mut seen = Seen { bites_at: Instant::FAR, ..Seen::default() };
        // A look that says it was made later than now was not made: a mistyped year must not keep a list fresh for ever.
        let made = |as_of: Instant| !self.live || as_of <= now.plus(SKEW);
        let look = self.lists.look_up(registry);
        seen.elsewhere = look.as_ref().filter(|look| look.listed.is_none()).map(|look| look.as_of);
        if let Some(look) = look
            && let Some(listed) = look.listed
            && (listed || made(look.as_of))
        {
            let counts = look.listed_at.map_or(Instant::NEVER, bites);
            // What is read with the record has no age to run out. Where no copy is young enough, it is not either.
            let aged = if look.is_here() { Instant::FAR.minus(Millis(1)) } else { look.as_of.min(now) };
            let as_of = Some(aged).filter(|_| made(look.as_of));
            seen.add(listed, look.listed_at, look.listed_at.map(day_ends), counts, as_of);
        }
        for (facts, trusted) in [(self.stored, true), (self.asserted, !stored_only)] {
            for check in facts.registry_checks.iter().filter(|check| &*check.registry == registry) {
                let aged = check.checked_at.map(|checked| check.as_of.map_or(checked, |as_of| as_of.min(checked)));
                let aged = aged.filter(|_| check.checked_at.is_some_and(made));
                let exists = self.live || check.checked_at.is_none_or(|checked| checked <= now);
                match check.listed {
                    // An untrusted word that an entry does not count yet would loosen; that there is one tightens.
                    Some(true) if exists => {
                        let counts = check.listed_at.filter(|_| trusted).map_or(Instant::NEVER, bites);
                        seen.add(true, check.listed_at, check.listed_at, counts, aged.map(|a| a.min(now)));
                    }
                    Some(false) if exists && trusted => {
                        seen.add(false, None, None, Instant::FAR, aged.map(|a| a.min(now)));
                    }
                    _ => {}
                }
            }
        }
        seen.listing(oldest, now)
    }
}

fn plausible<T: crate::contact::Term>(asserted: Set<T>, stored: Set<T>, stored_only: bool) -> Set<T> {
    // A bare assertion narrows "could be any", so a tenant that trusts the record alone does not take it.
    let said = if stored_only && stored.is_empty() { Set::EMPTY } else { asserted.or(stored) };
    if said.is_empty() { Set::all() } else { said }
}

/// When an entry of a list was made at the latest. Lists know days, as midnights in UTC: of which clock is not said, and
/// the westernmost is twelve hours behind.
fn day_ends(listed_at: Instant) -> Instant {
    const DAY: Millis = Millis::days(1);
    if listed_at.millis().rem_euclid(DAY.0) == 0 { listed_at.plus(DAY).plus(Millis::hours(12)) } else { listed_at }
}

#[derive(Default)]
struct Seen {
    listed: bool,
    /// The latest known entry; `Some(None)` once one is unknown.
    since: Option<Option<Instant>>,
    /// The same, by the latest instant each may have been made at.
    by: Option<Option<Instant>>,
    /// When the first of the entries counts.
    bites_at: Instant,
    /// The youngest look that found the number.
    hit: Option<Instant>,
    /// The youngest look that did not.
    clear: Option<Instant>,
    /// How old the loaded copy is, where it does not speak for the number.
    elsewhere: Option<Instant>,
}

impl Seen {
    fn add(
        &mut self,
        listed: bool,
        listed_at: Option<Instant>,
        by: Option<Instant>,
        bites_at: Instant,
        as_of: Option<Instant>,
    ) {
        let later = |known: Option<Option<Instant>>, other: Option<Instant>| match known {
            None => other,
            Some(earlier) => earlier.zip(other).map(|(a, b)| a.max(b)),
        };
        if listed {
            self.listed = true;
            self.since = Some(later(self.since, listed_at));
            self.by = Some(later(self.by, by));
            self.bites_at = self.bites_at.min(bites_at);
            self.hit = self.hit.max(as_of);
        } else {
            self.clear = self.clear.max(as_of);
        }
    }

    fn listing(self, oldest: Instant, now: Instant) -> Listing {
        if self.listed {
            let not_yet = self.bites_at > now && self.hit.is_some_and(|as_of| as_of >= oldest);
            let bites_at = not_yet.then_some(self.bites_at);
            return Listing::Listed { since: self.since.flatten(), by: self.by.flatten(), bites_at };
        }
        match self.clear {
            Some(as_of) if as_of >= oldest => Listing::Clear { as_of },
            newest => Listing::Unknown { newest: newest.map(|as_of| as_of.min(now)), elsewhere: self.elsewhere },
        }
    }
}
