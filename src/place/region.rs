//! Countries and their parts, and the zones their people keep.
//!
//! Promises: every country of ISO 3166-1 has its zones, one name a distinct clock; a part that the tables do not know
//! has all the zones of its country. Guarded by the unit tests here.

use std::sync::OnceLock;

use super::plan::rows;
use super::{Jurisdiction, Place, Zones};
use crate::time::ZoneId;

/// The code names no country.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct UnknownCountry;

struct Country {
    code: Jurisdiction,
    zones: Zones,
    /// The country as one place; of the United States and Canada, whose parts have laws of their own, every part.
    places: Vec<Place>,
}

enum Part {
    Zones(Zones),
    /// A place that ISO lists as a country of its own too.
    Alias(Jurisdiction),
}

struct Regions {
    countries: Vec<Country>,
    parts: Vec<(Jurisdiction, Part)>,
}

/// The country that a place lies under for the purposes of law: `US` for its territories and states, else the country.
#[must_use]
pub fn country_group(place: Jurisdiction) -> Jurisdiction {
    match place.country() {
        Some(country) => country,
        None if matches!(place.as_str(), "PR" | "VI" | "GU" | "AS" | "MP" | "UM") => Jurisdiction::US,
        None => place,
    }
}

/// Every place of a country: one, or for the United States and Canada every state, territory and province. Empty for
/// an unknown country.
pub(super) fn places(country: Jurisdiction) -> &'static [Place] {
    find(country).map_or(&[], |country| &country.places)
}

/// What a code names.
pub(super) enum Known {
    /// A country.
    Whole(Jurisdiction),
    /// A part of one, with its zones.
    Part(Jurisdiction, &'static Zones),
}

/// What a code names, under its one name where it has two: `GP` for `FR-971`. A part that is not in the tables has the
/// zones of its country.
pub(super) fn look_up(code: Jurisdiction) -> Result<Known, UnknownCountry> {
    match part(code) {
        Some(Part::Zones(zones)) => Ok(Known::Part(code, zones)),
        Some(Part::Alias(country)) => Ok(Known::Whole(*country)),
        None => {
            let country = find(code.root()).ok_or(UnknownCountry)?;
            Ok(if country.code == code { Known::Whole(code) } else { Known::Part(code, &country.zones) })
        }
    }
}

/// A place with all its zones.
pub(super) fn place(code: Jurisdiction) -> Result<Place, UnknownCountry> {
    let (jurisdiction, zones) = match look_up(code)? {
        Known::Part(code, zones) => (code, zones),
        Known::Whole(code) => (code, &find(code).ok_or(UnknownCountry)?.zones),
    };
    Ok(Place { jurisdiction, zones: zones.clone() })
}

/// Adds zones to a set, keeping it sorted and without repetition.
pub(super) fn unite(into: &mut Zones, more: &[ZoneId]) {
    for zone in more {
        if let Err(at) = into.binary_search(zone) {
            into.insert(at, *zone);
        }
    }
}

/// Reads `America/Denver,America/Phoenix`.
pub(super) fn read_zones(text: &str) -> Zones {
    let mut zones = Zones::new();
    unite(&mut zones, &text.split(',').filter_map(ZoneId::by_name).collect::<Zones>());
    zones
}

/// Reads `US-AZ=America/Denver,America/Phoenix;US-NM=America/Denver`.
pub(super) fn read_places(text: &str) -> Vec<Place> {
    let pairs = text.split(';').filter_map(|entry| entry.split_once('='));
    pairs
        .filter_map(|(code, zones)| Some(Place { jurisdiction: code.parse().ok()?, zones: read_zones(zones) }))
        .collect()
}

fn find(country: Jurisdiction) -> Option<&'static Country> {
    let countries = &regions().countries;
    countries.get(countries.binary_search_by_key(&country, |known| known.code).ok()?)
}

fn part(code: Jurisdiction) -> Option<&'static Part> {
    let parts = &regions().parts;
    parts.get(parts.binary_search_by_key(&code, |known| known.0).ok()?).map(|(_, part)| part)
}

fn regions() -> &'static Regions {
    static REGIONS: OnceLock<Regions> = OnceLock::new();
    REGIONS.get_or_init(read)
}

fn read() -> Regions {
    let mut parts: Vec<(Jurisdiction, Part)> = Vec::new();
    for mut row in rows("subdivisions.tsv") {
        let (Some(Ok(code)), Some(zones)) = (row.next().map(str::parse), row.next()) else { continue };
        let part = match zones.strip_prefix('=').and_then(|alias| alias.parse().ok()) {
            Some(country) => Part::Alias(country),
            None => Part::Zones(read_zones(zones)),
        };
        parts.push((code, part));
    }
    parts.sort_by_key(|(code, _)| *code);
    let mut countries: Vec<Country> = Vec::new();
    for mut row in rows("countries.tsv") {
        let (Some(Ok(code)), Some(zones)) = (row.next().map(str::parse), row.next().map(read_zones)) else { continue };
        countries.push(Country { code, zones: zones.clone(), places: vec![Place { jurisdiction: code, zones }] });
    }
    countries.sort_by_key(|country| country.code);
    for whole in [Jurisdiction::US, Jurisdiction::CANADA] {
        let mut places: Vec<Place> = parts
            .iter()
            .filter(|(code, _)| code.country() == Some(whole))
            .filter_map(|(code, part)| match part {
                Part::Zones(zones) => Some(Place { jurisdiction: *code, zones: zones.clone() }),
                Part::Alias(alias) => countries.iter().find(|country| country.code == *alias)?.places.first().cloned(),
            })
            .collect();
        // The Minor Outlying Islands have no residents.
        places.retain(|place| place.jurisdiction.as_str() != "UM");
        places.sort_by_key(|place| place.jurisdiction);
        if let Some(country) = countries.iter_mut().find(|country| country.code == whole) {
            country.places = places;
        }
    }
    Regions { countries, parts }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn zones(code: &str) -> Vec<&'static str> {
        place(code.parse().unwrap()).unwrap().zones.iter().map(|zone| zone.name()).collect()
    }

    #[test]
    fn every_row_of_the_tables_is_read_and_names_known_zones() {
        let regions = regions();
        assert_eq!(regions.countries.len(), rows("countries.tsv").count());
        assert_eq!(regions.parts.len(), rows("subdivisions.tsv").count());
        assert!(regions.countries.len() >= 249);
        for name in ["countries.tsv", "subdivisions.tsv", "nanp.tsv", "prefixes.tsv", "zip3.tsv"] {
            for row in rows(name) {
                for zone in row.flat_map(|cell| cell.split([';', '=', ','])).filter(|text| text.contains('/')) {
                    assert!(ZoneId::by_name(zone).is_some(), "{name}: {zone}");
                }
            }
        }
        assert!(regions.countries.iter().all(|country| !country.zones.is_empty() && !country.places.is_empty()));
    }

    #[test]
    fn split_states_keep_both_clocks() {
        assert_eq!(zones("US-FL"), ["America/Chicago", "America/New_York"]);
        assert_eq!(zones("US-AZ"), ["America/Denver", "America/Phoenix"]);
        assert_eq!(zones("US-GA"), ["America/New_York"]);
        assert_eq!(zones("PT-20"), ["Atlantic/Azores"]);
        assert_eq!(zones("PT-30"), ["Europe/Lisbon"]);
        assert_eq!(zones("ES-GC"), ["Atlantic/Canary"]);
        assert_eq!(zones("CN"), ["Asia/Shanghai"]);
    }

    #[test]
    fn an_unknown_part_has_the_zones_of_its_country_and_an_unknown_country_none() {
        assert_eq!(zones("ES-XX"), zones("ES"));
        assert_eq!(zones("DE-BY"), ["Europe/Berlin"]);
        assert_eq!(zones("US-ZZ").len(), 9);
        for code in ["XX", "EU", "ZZ-01"] {
            assert_eq!(place(code.parse().unwrap()), Err(UnknownCountry), "{code}");
        }
    }

    #[test]
    fn overseas_parts_are_the_countries_iso_also_lists() {
        for (code, country) in
            [("FR-971", "GP"), ("FR-RE", "RE"), ("FR-974", "RE"), ("US-PR", "PR"), ("US-GU", "GU"), ("FI-01", "AX")]
        {
            assert_eq!(place(code.parse().unwrap()).unwrap().jurisdiction.as_str(), country);
        }
        for (code, group) in [("PR", "US"), ("US-FL", "US"), ("MP", "US"), ("GP", "GP"), ("DE-BY", "DE")] {
            assert_eq!(country_group(code.parse().unwrap()).as_str(), group);
        }
    }

    #[test]
    fn the_united_states_are_fifty_states_the_capital_and_five_territories() {
        let places = places(Jurisdiction::US);
        assert_eq!(places.len(), 56);
        assert!(places.iter().all(|place| country_group(place.jurisdiction) == Jurisdiction::US));
        assert_eq!(super::places(Jurisdiction::CANADA).len(), 13);
    }
}
