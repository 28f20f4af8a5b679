//! Whose law applies in which zones, and what stands against a contact before any rule is asked.
//!
//! An unknown area code has nearly ninety places and some fifty packs in play, so nothing here may cost places times
//! zones: what was met before is told by a bit.

use smallvec::SmallVec;

use crate::contact::Purpose;
use crate::place::{self, NumberType, Place, Plausible, Resolution, Zones};
use crate::time::ZoneId;

use super::reason::Reason;
use super::scene::Scene;
use super::{builtin, own};

/// Whose law applies in which zones, and what stands against the contact before any rule is asked.
pub(crate) struct Grounds {
    pub jurisdictions: SmallVec<[place::Jurisdiction; 4]>,
    /// Every plausible zone, as the answer shows them.
    pub zones: SmallVec<[ZoneId; 4]>,
    /// Packs in play, each with the zones of all places under it: of several that show one clock the first.
    pub packs: SmallVec<[(u16, Zones); 4]>,
    pub reasons: Vec<Reason>,
}

impl Grounds {
    pub fn of(scene: &Scene<'_>, resolution: &Resolution, recorded: Option<&Resolution>) -> Self {
        let mut grounds = Self {
            jurisdictions: SmallVec::new(),
            zones: SmallVec::new(),
            packs: SmallVec::new(),
            reasons: Vec::new(),
        };
        let emergency = scene.attempt.purpose == Purpose::Emergency;
        if resolution.number_type == NumberType::Premium {
            grounds.reasons.push(own(&builtin::PREMIUM, String::new()));
        }
        let places = match &resolution.plausible {
            Plausible::Nowhere(why) => {
                if !emergency && grounds.reasons.is_empty() {
                    grounds.reasons.push(own(&builtin::NO_PLACE, no_place(*why).to_owned()));
                }
                return grounds;
            }
            places => places,
        };
        let mut missing: SmallVec<[place::Jurisdiction; 4]> = SmallVec::new();
        let mut unreviewed: SmallVec<[place::Jurisdiction; 4]> = SmallVec::new();
        grounds.jurisdictions.extend(places.iter().map(|place| place.jurisdiction));
        let also = recorded.iter().flat_map(|recorded| recorded.plausible.iter());
        for place in also.clone() {
            if !grounds.jurisdictions.contains(&place.jurisdiction) {
                grounds.jurisdictions.push(place.jurisdiction);
            }
        }
        let mut met = Met::default();
        for place in places.iter().chain(also) {
            let chain = scene.law.chain(place.jurisdiction);
            if !chain.covered {
                missing.push(place.jurisdiction);
            } else if !chain.reviewed {
                unreviewed.push(place.jurisdiction);
            }
            grounds.add(place, &chain.packs, &mut met);
        }
        if !missing.is_empty() && !emergency {
            grounds.reasons.push(own(&builtin::NO_PACK, format!("Without rules: {}.", listed(&missing))));
        }
        if !unreviewed.is_empty() && scene.attempt.purpose == Purpose::Marketing {
            grounds.reasons.push(own(&builtin::UNREVIEWED, format!("Never reviewed: {}.", listed(&unreviewed))));
        }
        grounds
    }

    fn add(&mut self, place: &Place, packs: &[u16], met: &mut Met) {
        let clocks: SmallVec<[(ZoneId, u16); 4]> = place.zones.iter().map(|zone| (*zone, zone.clock())).collect();
        for zone in &place.zones {
            if met.zones.insert(zone.number()) {
                self.zones.push(*zone);
            }
        }
        for pack in packs {
            let known =
                if met.packs.insert(*pack) { None } else { self.packs.iter().position(|(index, _)| index == pack) };
            let position = known.unwrap_or_else(|| {
                self.packs.push((*pack, Zones::new()));
                met.clocks.push(ZoneBits::default());
                self.packs.len().saturating_sub(1)
            });
            if let (Some((_, zones)), Some(met)) = (self.packs.get_mut(position), met.clocks.get_mut(position)) {
                zones.extend(clocks.iter().filter(|(_, clock)| met.insert(*clock)).map(|(zone, _)| *zone));
            }
        }
    }
}

/// What was met while places were gone through.
#[derive(Default)]
struct Met {
    zones: ZoneBits,
    packs: PackBits,
    /// By pack in play, beside [`Grounds::packs`].
    clocks: SmallVec<[ZoneBits; 4]>,
}

/// A set of zones. One beyond its 640 (the database has fewer than 600) would be met twice, to no harm.
#[derive(Default)]
struct ZoneBits([u64; 10]);

impl ZoneBits {
    /// Whether the number was not in the set yet; it is now.
    #[inline]
    fn insert(&mut self, number: u16) -> bool {
        self.0.get_mut(usize::from(number >> 6)).is_none_or(|word| set_bit(word, number))
    }
}

/// A set of packs, as large as needed.
#[derive(Default)]
struct PackBits(SmallVec<[u64; 4]>);

impl PackBits {
    /// Whether the number was not in the set yet; it is now.
    #[inline]
    fn insert(&mut self, number: u16) -> bool {
        let word = usize::from(number >> 6);
        if self.0.len() <= word {
            self.0.resize(word.saturating_add(1), 0);
        }
        self.0.get_mut(word).is_none_or(|word| set_bit(word, number))
    }
}

#[inline]
const fn set_bit(word: &mut u64, number: u16) -> bool {
    let bit = 1u64 << (number & 63);
    let new = *word & bit == 0;
    *word |= bit;
    new
}

/// At most a dozen names, and how many more.
fn listed(places: &[place::Jurisdiction]) -> String {
    let mut names: Vec<_> = places.iter().take(12).map(ToString::to_string).collect();
    if places.len() > names.len() {
        names.push(format!("and {} more", places.len() - names.len()));
    }
    names.join(", ")
}

const fn no_place(why: place::NoPlaceReason) -> &'static str {
    match why {
        place::NoPlaceReason::TollFree => "It is toll-free.",
        place::NoPlaceReason::Personal => "It is a personal number, which follows its user.",
        place::NoPlaceReason::Global => "It is of a satellite or other network without a country.",
        place::NoPlaceReason::Premium => "It is a premium-rate number.",
        place::NoPlaceReason::Service => "It is of government or carriers among themselves.",
    }
}
