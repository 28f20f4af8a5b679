//! Prefixes outside +1 that say more than the country: the Canaries, the Azores, Brazil's states.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Jurisdiction, NumberType, Place, Settled, rows};
use crate::place::region;

struct Prefix {
    digits: &'static [u8],
    /// Whether mobile lines are tied to it as well.
    mobile_too: bool,
    places: Vec<Place>,
}

/// What a national number's prefix says beyond its country; `None` where it says nothing.
pub(super) fn find(
    code: u16,
    national: &[u8],
    number_type: NumberType,
    assigned: bool,
    region: Option<Jurisdiction>,
) -> Option<Settled> {
    let list = prefixes().get(&code)?;
    let prefix = list.iter().find(|prefix| national.starts_with(prefix.digits))?;
    let geographic = matches!(number_type, NumberType::Fixed | NumberType::FixedOrMobile)
        || prefix.mobile_too && number_type == NumberType::Mobile;
    let same = prefix.places.first().is_some_and(|place| Some(place.jurisdiction.root()) == region);
    let places = prefix.places.as_slice();
    (assigned && geographic && same).then_some(Settled { places, with_custom: places, pinned: true })
}

fn prefixes() -> &'static BTreeMap<u16, Vec<Prefix>> {
    static PREFIXES: OnceLock<BTreeMap<u16, Vec<Prefix>>> = OnceLock::new();
    PREFIXES.get_or_init(read)
}

fn read() -> BTreeMap<u16, Vec<Prefix>> {
    let mut codes: BTreeMap<u16, Vec<Prefix>> = BTreeMap::new();
    for mut row in rows("prefixes.tsv") {
        let (Some(Ok(code)), Some(digits), Some(scope), Some(places)) =
            (row.next().map(str::parse), row.next().map(str::as_bytes), row.next(), row.next())
        else {
            continue;
        };
        let places = region::read_places(places);
        let list = codes.entry(code).or_default();
        match list.iter_mut().find(|prefix| prefix.digits == digits) {
            Some(known) => known.places.extend(places),
            None => list.push(Prefix { digits, mobile_too: scope == "any", places }),
        }
    }
    for list in codes.values_mut() {
        list.sort_by_key(|prefix| std::cmp::Reverse(prefix.digits.len()));
        for prefix in list {
            prefix.places.sort_by_key(|place| place.jurisdiction);
        }
    }
    codes
}
