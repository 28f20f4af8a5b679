//! The North American plan: +1, shared by the United States, Canada and the Caribbean.
//!
//! Area codes, not libphonenumber's regions, decide the place: codes newer than its data exist, and one that nobody
//! knows may be anywhere under +1.

use std::sync::OnceLock;

use super::{Finding, NoPlaceReason, NumberType, Origin, Place, Settled, nowhere, rows};
use crate::place::region;

#[derive(Default)]
enum Area {
    #[default]
    Unknown,
    Geographic {
        places: Vec<Place>,
        with_custom: Vec<Place>,
    },
    /// All of one country.
    Country(&'static [Place]),
    NoPlace(NumberType, NoPlaceReason),
}

struct Plan {
    /// By area code, from 0.
    areas: Vec<Area>,
    /// Every place under +1, each with its own zones.
    everywhere: Vec<Place>,
}

/// What the ten digits after +1 say, given the kind that the patterns found.
pub(super) fn find(national: &[u8], number_type: NumberType, assigned: bool) -> Finding {
    let plan = plan();
    let area = national.iter().take(3).fold(0, |n, digit| n * 10 + usize::from(digit.wrapping_sub(b'0')));
    let everywhere = Settled { places: &plan.everywhere, with_custom: &plan.everywhere, pinned: false };
    let settled = match plan.areas.get(area) {
        Some(Area::NoPlace(kind, reason)) => {
            let number_type = if number_type == NumberType::Unknown { *kind } else { number_type };
            return Finding { number_type, assigned, origin: Origin::Nowhere(*reason) };
        }
        Some(Area::Geographic { places, with_custom }) => {
            let with_custom = if with_custom.is_empty() { places } else { with_custom };
            Settled { places, with_custom, pinned: true }
        }
        Some(Area::Country(places)) => Settled { places, with_custom: places, pinned: false },
        Some(Area::Unknown) | None => everywhere,
    };
    match nowhere(number_type) {
        Some(reason) => Finding { number_type, assigned, origin: Origin::Nowhere(reason) },
        None => Finding { number_type, assigned, origin: Origin::Places(settled) },
    }
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(read)
}

fn read() -> Plan {
    let mut areas: Vec<Area> = Vec::new();
    areas.resize_with(1000, Area::default);
    let mut everywhere: Vec<Place> = Vec::new();
    for mut row in rows("nanp.tsv") {
        let (code, class) = (row.next().and_then(|code| code.parse::<usize>().ok()), row.next().unwrap_or(""));
        let (places, custom) = (row.next().unwrap_or(""), row.next().unwrap_or(""));
        let area = match class {
            "geo" => geographic(places, custom),
            "toll_free" => Area::NoPlace(NumberType::TollFree, NoPlaceReason::TollFree),
            "premium" => Area::NoPlace(NumberType::Premium, NoPlaceReason::Premium),
            "personal" => Area::NoPlace(NumberType::Personal, NoPlaceReason::Personal),
            _ => Area::NoPlace(NumberType::Unknown, NoPlaceReason::Service),
        };
        if let Area::Geographic { places, .. } = &area {
            for place in places {
                let known = everywhere.iter().any(|known| known.jurisdiction == place.jurisdiction);
                if let (false, Ok(whole)) = (known, region::place(place.jurisdiction)) {
                    everywhere.push(whole);
                }
            }
        }
        if let Some(slot) = code.and_then(|code| areas.get_mut(code)) {
            *slot = area;
        }
    }
    everywhere.sort_by_key(|place| place.jurisdiction);
    Plan { areas, everywhere }
}

fn geographic(places: &str, custom: &str) -> Area {
    if let Ok(country) = places.parse() {
        return Area::Country(region::places(country));
    }
    let places = region::read_places(places);
    let mut with_custom = Vec::new();
    if !custom.is_empty() {
        with_custom.clone_from(&places);
        for place in &mut with_custom {
            region::unite(&mut place.zones, &region::read_zones(custom));
        }
    }
    Area::Geographic { places, with_custom }
}
