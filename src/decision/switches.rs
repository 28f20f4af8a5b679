//! What people switched: contacts that were frozen, and states of emergency. Dated facts, given with a question like any
//! other.
//!
//! Promises: in a live check a freeze holds from its recording to its end or lifting, whatever the clocks say; in a
//! question about an instant it holds from its date on. Whoever may be in a frozen place is reached (I5).

use std::sync::Arc;

use smallvec::SmallVec;

use super::attempt::Attempt;
use super::scene::{InPlay, Scene};
use super::stretch::Stretch;
use crate::contact::{Campaign, Purpose, Seller, is_one_name};
use crate::law::{Declared, Law, Rule, within};
use crate::place::Jurisdiction;
use crate::time::Instant;

/// What a freeze stops.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// All contacts of the tenant.
    Everything,
    /// Contacts for a seller.
    Seller(Seller),
    /// Contacts of a campaign.
    Campaign(Campaign),
    /// Contacts with whoever may be in a place.
    Place(Jurisdiction),
}

/// As in a sentence.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Seller(seller) => write!(f, "seller {seller}"),
            Self::Campaign(campaign) => write!(f, "campaign {campaign}"),
            Self::Place(place) => write!(f, "place {place}"),
        }
    }
}

/// Contacts that are stopped, or were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Freeze {
    /// Names it.
    pub id: Box<str>,
    /// What it stops.
    pub target: Target,
    /// Who froze.
    pub who: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// When it was recorded.
    pub from: Instant,
    /// When it ends by itself; [`Instant::FAR`]: when it is lifted.
    pub until: Instant,
    /// When it was lifted.
    pub lifted_at: Option<Instant>,
}

impl Freeze {
    /// Whether it holds at `at`.
    pub(super) fn holds(&self, live: bool, at: Instant) -> Stretch {
        match self.lifted_at {
            // Lifted is lifted, whichever clock said when.
            Some(_) if live => Stretch::always(false),
            _ if live => Stretch::before(self.until, at),
            lifted => {
                Stretch::since(self.from, at).and(Stretch::before(lifted.unwrap_or(Instant::FAR).min(self.until), at))
            }
        }
    }

    /// Whether an attempt at whoever may be in these places is what it stops.
    fn reaches(&self, attempt: &Attempt, law: &Law, places: &[Jurisdiction]) -> bool {
        match &self.target {
            Target::Everything => true,
            Target::Seller(seller) => seller.stops_as(&attempt.seller),
            Target::Campaign(campaign) => {
                attempt.campaign.as_ref().is_some_and(|named| is_one_name(campaign.as_str(), named.as_str()))
            }
            Target::Place(frozen) => places.iter().any(|place| within(*place, *frozen) || is_law(law, *frozen, *place)),
        }
    }
}

/// Whether the pack of one jurisdiction, such as `EU`, is law in another.
fn is_law(law: &Law, wider: Jurisdiction, place: Jurisdiction) -> bool {
    let packs = law.chain(place).packs.iter().filter_map(|index| law.pack(*index));
    packs.filter(|pack| !pack.is_policy()).any(|pack| pack.jurisdiction() == wider)
}

/// Every switch of a tenant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Switches<'a> {
    /// Freezes, those lifted included as far as they are remembered.
    pub freezes: &'a [Arc<Freeze>],
    /// States of emergency that were recorded.
    pub emergencies: &'a [Arc<Declared>],
    /// States of emergency of a file.
    pub fed: &'a [Arc<Declared>],
}

impl<'a> Switches<'a> {
    /// No switch was ever thrown.
    pub const NONE: Self = Self { freezes: &[], emergencies: &[], fed: &[] };

    /// The states of emergency that may be where the person is, as far as this rule goes: `pack` is its pack, `places` are
    /// those the person may be in.
    pub(super) fn reaching(
        &self,
        scene: &Scene<'_>,
        rule: &Rule,
        pack: u16,
        places: &[Jurisdiction],
    ) -> Vec<&'a Arc<Declared>> {
        if self.emergencies.is_empty() && self.fed.is_empty() {
            return Vec::new();
        }
        let under = |place: &&Jurisdiction| scene.law.chain(**place).packs.contains(&pack);
        let places: SmallVec<[Jurisdiction; 4]> = places.iter().filter(under).copied().collect();
        let reaches = |state: &&Arc<Declared>| {
            let there = state.jurisdiction == rule.jurisdiction || places.iter().any(|place| state.concerns(*place));
            there && scene.may_be_in_county(state)
        };
        self.emergencies.iter().chain(self.fed).filter(reaches).collect()
    }

    /// The freezes that reach an attempt at whoever may be in these places.
    pub(super) fn freezing(
        &self,
        attempt: &Attempt,
        law: &Law,
        places: &[Jurisdiction],
        live: bool,
    ) -> SmallVec<[&'a Arc<Freeze>; 1]> {
        if self.freezes.is_empty() || spared(attempt) {
            return SmallVec::new();
        }
        let freezes = self.freezes.iter().filter(|freeze| !(live && freeze.lifted_at.is_some()));
        freezes.filter(|freeze| freeze.reaches(attempt, law, places)).collect()
    }

    /// The freezes of campaigns that hold at `now`, where the attempt names no campaign.
    pub(super) fn unnamed(&self, attempt: &Attempt, live: bool, now: Instant) -> SmallVec<[&'a Arc<Freeze>; 1]> {
        if self.freezes.is_empty() || attempt.campaign.is_some() || spared(attempt) {
            return SmallVec::new();
        }
        let of_campaigns = self.freezes.iter().filter(|freeze| matches!(freeze.target, Target::Campaign(_)));
        of_campaigns.filter(|freeze| freeze.holds(live, now).holds).collect()
    }

    /// Every state of emergency that some rule in play looked at, once, in the order given: that order may show in an
    /// answer, and whoever judges again must have it.
    pub(super) fn looked_at(&self, plays: &[InPlay<'_>]) -> Vec<Arc<Declared>> {
        let seen = |state: &&Arc<Declared>| {
            plays.iter().flat_map(|play| &play.declared).any(|other| Arc::ptr_eq(other, state))
        };
        self.emergencies.iter().chain(self.fed).filter(seen).cloned().collect()
    }
}

/// No freeze stops what saves lives, or what the law itself demands.
fn spared(attempt: &Attempt) -> bool {
    attempt.purpose == Purpose::Emergency || attempt.legally_required
}
