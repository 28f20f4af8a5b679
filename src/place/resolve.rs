//! A number and a location become every place the person may be in.
//!
//! Promises: what the location leaves open stays open (I5); ordinary questions borrow from the tables and allocate
//! nothing. The rules for where residence and number differ stand at [`resolve`].

use std::ops::Deref;

use smallvec::SmallVec;

use super::number::Number;
use super::plan::{self, Finding, Origin, Settled};
use super::region::{Known, country_group, unite};
use super::{Jurisdiction, LineType, NumberType, Place, Zones, postal, region};
use crate::time::ZoneId;

/// What is known of where a person lives. Nothing at all is a valid answer.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Location {
    /// Where the person lives; of several, each is plausible.
    pub residences: SmallVec<[Jurisdiction; 2]>,
    /// County or similar, for rules and holidays of that level. Says nothing about zones here.
    pub county: Option<String>,
    /// Postal code; read as a ZIP code where the residence (or, without one, the number) is in the United States, and
    /// ignored elsewhere.
    pub postal_code: Option<String>,
    /// The zone the person is in. Settles the clock of every place.
    pub time_zone: Option<ZoneId>,
}

/// How the number's own place counts beside a residence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum LocationPosture {
    /// The law and the zones of both.
    #[default]
    Strictest,
    /// The residence alone, where one is given.
    Residence,
}

/// Why a location cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LocationError {
    /// A residence in no country of ISO 3166-1.
    #[error("{0} is not in a known country")]
    UnknownCountry(Jurisdiction),
    /// A US postal code that is not 3, 5 or 9 digits.
    #[error("a US postal code has 5 digits, or 9, or its first 3")]
    BadPostalCode,
}

impl LocationError {
    /// The field of the request at fault.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::UnknownCountry(_) => "location.residence",
            Self::BadPostalCode => "location.postal_code",
        }
    }
}

/// All that number and location say of the line and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolution {
    /// The class of the number in its plan.
    pub number_type: NumberType,
    /// Whether the number lies in a range known to be given out.
    pub assigned: bool,
    /// The kind of line, where the plan makes it certain.
    pub certain_line: Option<LineType>,
    /// Where the person may be.
    pub plausible: Plausible,
}

/// Every place a person may be in, or that the number has none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plausible {
    /// All of these are plausible. Never empty, sorted by code, no code twice.
    Places(Places),
    /// The number is tied to no place.
    Nowhere(NoPlaceReason),
}

impl Plausible {
    /// The places; none for a number without one.
    pub fn iter(&self) -> std::slice::Iter<'_, Place> {
        match self {
            Self::Places(places) => places.iter(),
            Self::Nowhere(_) => [].iter(),
        }
    }
}

impl<'a> IntoIterator for &'a Plausible {
    type Item = &'a Place;
    type IntoIter = std::slice::Iter<'a, Place>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Why a number has no place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NoPlaceReason {
    /// Free to the caller.
    TollFree,
    /// Follows a person.
    Personal,
    /// Of a satellite or other network without a country.
    Global,
    /// Charged above the ordinary rate: not to be contacted at all.
    Premium,
    /// Of government or carriers among themselves.
    Service,
}

/// A list of places: from the tables where nothing had to be joined, else its own.
#[derive(Clone, Debug)]
pub enum Places {
    /// As the tables have it.
    Static(&'static [Place]),
    /// Put together for one question.
    Owned(SmallVec<[Place; 2]>),
}

impl Deref for Places {
    type Target = [Place];

    fn deref(&self) -> &[Place] {
        match self {
            Self::Static(places) => places,
            Self::Owned(places) => places,
        }
    }
}

impl PartialEq for Places {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Places {}

/// Every place the user of a number may be in.
///
/// - A residence adds its place to those of the number. A country that holds the number's own place adds nothing (`US`
///   to an area code of Ohio); a part of the country that the number leaves open takes its place (`DE-BY` for `DE`).
/// - Under [`LocationPosture::Strictest`] the zones of residence and number together count in every place; where the
///   digits say no more than the country, a residence within it settles the zones. Border customs count only without
///   residence and zone. Of an unknown +1 area code, each place keeps its own zones.
/// - Under [`LocationPosture::Residence`] the residence replaces the number's places.
/// - A US postal code acts as a residence, or narrows the zones of a residence it agrees with.
/// - An explicit zone is the only zone of every place.
///
/// # Errors
/// Where a residence is in no known country, or a US postal code is malformed.
pub fn resolve(number: Number, location: &Location, posture: LocationPosture) -> Result<Resolution, LocationError> {
    let found = look_up(number);
    let number_places = match found.origin {
        Origin::Places(settled) => Some(settled),
        Origin::Nowhere(_) => None,
    };
    let homes = homes(location, number_places)?;
    let plausible = match found.origin {
        Origin::Nowhere(reason) => Plausible::Nowhere(reason),
        Origin::Places(settled) => {
            let mut places = match posture {
                _ if homes.is_empty() => undirected(settled, location, posture),
                LocationPosture::Strictest => joined(settled, homes),
                LocationPosture::Residence => at_home(settled, homes),
            };
            if let Some(zone) = location.time_zone {
                places = in_zone(places, zone);
            }
            Plausible::Places(places)
        }
    };
    let certain_line = certain_line(&found);
    Ok(Resolution { number_type: found.number_type, assigned: found.assigned, certain_line, plausible })
}

fn look_up(number: Number) -> Finding {
    let (digits, len) = number.digits();
    let unknown =
        Finding { number_type: NumberType::Unknown, assigned: false, origin: Origin::Nowhere(NoPlaceReason::Global) };
    // A number is only ever made with a known calling code.
    plan::split(digits.get(..len).unwrap_or(&[])).map_or(unknown, |(code, national)| code.find(national))
}

fn certain_line(found: &Finding) -> Option<LineType> {
    match found.number_type {
        NumberType::Mobile => Some(LineType::Mobile),
        NumberType::Fixed => Some(LineType::Landline),
        NumberType::Voip => Some(LineType::Voip),
        _ => None,
    }
}

/// Places and zones where nothing is known of a residence.
fn undirected(settled: Settled, location: &Location, posture: LocationPosture) -> Places {
    let custom = posture == LocationPosture::Strictest && location.time_zone.is_none();
    Places::Static(if custom { settled.with_custom } else { settled.places })
}

/// One place that the location names.
enum Home {
    Part(Place),
    /// A country given without its part.
    Whole(Jurisdiction),
}

/// The places that residences and postal code name. A country that merely repeats the number's own is left out, so that
/// an empty answer means that the location says nothing new.
fn homes(location: &Location, number: Option<Settled>) -> Result<SmallVec<[Home; 2]>, LocationError> {
    let mut homes: SmallVec<[Home; 2]> = SmallVec::new();
    for code in &location.residences {
        homes.push(match region::look_up(*code).map_err(|_| LocationError::UnknownCountry(*code))? {
            Known::Whole(country) => Home::Whole(country),
            Known::Part(jurisdiction, zones) => Home::Part(Place { jurisdiction, zones: zones.clone() }),
        });
    }
    if let Some(zip) = location.postal_code.as_deref().filter(|zip| !zip.trim().is_empty()) {
        postal(&mut homes, zip, number)?;
    }
    Ok(homes)
}

/// Adds what a ZIP code says, where it is one.
fn postal(homes: &mut SmallVec<[Home; 2]>, zip: &str, number: Option<Settled>) -> Result<(), LocationError> {
    let american = |place: &Place| country_group(place.jurisdiction) == Jurisdiction::US;
    let here = |home: &Home| match home {
        Home::Part(place) => american(place),
        Home::Whole(country) => country_group(*country) == Jurisdiction::US,
    };
    let applies = match homes.is_empty() {
        true => number.is_some_and(|settled| settled.places.iter().all(american)),
        false => homes.iter().any(here),
    };
    if !applies {
        return Ok(());
    }
    let places = match postal::places(zip) {
        Ok(places) => places,
        // With homes in several countries the code may be another's.
        Err(_) if !homes.iter().all(here) => return Ok(()),
        Err(_) => return Err(LocationError::BadPostalCode),
    };
    let mut agreed = places.is_empty();
    for home in homes.iter_mut() {
        let Home::Part(home) = home else { continue };
        if let Some(same) = places.iter().find(|place| place.jurisdiction == home.jurisdiction) {
            agreed = true;
            home.zones.clone_from(&same.zones);
        }
    }
    // A territory is a country to ISO, and has one zone: nothing to narrow.
    let named = |code: Jurisdiction| places.iter().any(|place| place.jurisdiction == code);
    agreed |= homes.iter().any(|home| matches!(home, Home::Whole(code) if named(*code)));
    if !agreed {
        homes.retain(|home| !matches!(home, Home::Whole(code) if *code == Jurisdiction::US));
        homes.extend(places.iter().cloned().map(Home::Part));
    }
    Ok(())
}

/// Posture `Strictest`: the law and zones of number and residence together.
fn joined(settled: Settled, homes: SmallVec<[Home; 2]>) -> Places {
    let own = settled.places;
    if homes.iter().all(|home| adds_nothing(own, home)) {
        // A country alone says nothing of the border towns either.
        let vague = homes.iter().all(|home| matches!(home, Home::Whole(_)));
        return Places::Static(if vague { settled.with_custom } else { own });
    }
    let mut places: SmallVec<[Place; 2]> = own.iter().cloned().collect();
    let mut zones = Zones::new();
    for home in homes.into_iter().filter(|home| !adds_nothing(own, home)) {
        match home {
            Home::Whole(country) => {
                for part in region::places(country) {
                    add(&mut places, part.clone());
                }
            }
            Home::Part(home) => {
                let country = home.jurisdiction.root();
                if let Some(open) = own.iter().find(|place| place.jurisdiction == country) {
                    places.retain(|place| place.jurisdiction != country);
                    if settled.pinned {
                        unite(&mut zones, &open.zones);
                    }
                }
                add(&mut places, home);
            }
        }
    }
    if own.len() <= MANY {
        for place in &places {
            unite(&mut zones, &place.zones);
        }
        for place in &mut places {
            place.zones.clone_from(&zones);
        }
    }
    Places::Owned(places)
}

/// A number with more places than this says next to nothing of where it is: uniting all their zones in each would
/// multiply, and every one of them has to be open anyway.
const MANY: usize = 40;

/// Whether a home is among the places of a number already, with the zones they have.
fn adds_nothing(own: &[Place], home: &Home) -> bool {
    match home {
        Home::Part(home) => (own.len() == 1 || own.len() > MANY) && own.contains(home),
        Home::Whole(country) => own.iter().any(|place| within(place.jurisdiction, *country)),
    }
}

/// Whether a place is a country or lies in it.
fn within(place: Jurisdiction, country: Jurisdiction) -> bool {
    place == country || place.root() == country || country_group(place) == country
}

/// Adds a place to a sorted list, or its zones to the same place.
fn add(places: &mut SmallVec<[Place; 2]>, new: Place) {
    match places.binary_search_by_key(&new.jurisdiction, |place| place.jurisdiction) {
        Ok(at) => {
            if let Some(known) = places.get_mut(at) {
                unite(&mut known.zones, &new.zones);
            }
        }
        Err(at) => places.insert(at, new),
    }
}

/// Posture `Residence`: the homes alone. Of a country given whole, those places of the number that lie in it, if any.
fn at_home(settled: Settled, homes: SmallVec<[Home; 2]>) -> Places {
    let mut places: SmallVec<[Place; 2]> = SmallVec::new();
    for home in homes {
        match home {
            Home::Part(home) => add(&mut places, home),
            Home::Whole(country) => {
                let inside = || settled.places.iter().filter(|place| within(place.jurisdiction, country));
                let all = if inside().next().is_none() { region::places(country) } else { &[] };
                for place in inside().chain(all) {
                    add(&mut places, place.clone());
                }
            }
        }
    }
    Places::Owned(places)
}

/// The same places, all on one clock.
fn in_zone(places: Places, zone: ZoneId) -> Places {
    if places.iter().all(|place| place.zones.as_slice() == [zone]) {
        return places;
    }
    let on = |place: &Place| Place { jurisdiction: place.jurisdiction, zones: std::iter::once(zone).collect() };
    Places::Owned(places.iter().map(on).collect())
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
