//! A number, and what is known of where its user lives, become every place the person may be in.
//!
//! Promises: never fewer places or zones than are plausible (I5), and no I/O. Must never guess: what the numbering
//! plan does not settle stays a set. Guarded by `tests/place.rs` and the unit tests here.

mod home;
mod jurisdiction;
pub mod lines;
mod number;
mod plan;
mod postal;
mod region;
mod resolve;

pub use home::{countries, country_of, is_country, shares_calling_code};
pub use jurisdiction::{BadJurisdiction, Jurisdiction};
pub use number::{E164, Number, NumberError};
pub use plan::{TABLES, install_tables, tables, warm_up};
pub use region::country_group;
pub use resolve::{Location, LocationError, LocationPosture, NoPlaceReason, Places, Plausible, Resolution, resolve};

use smallvec::SmallVec;

use crate::time::ZoneId;

/// What kind of line a number reaches, as asserted or as the numbering plan makes certain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LineType {
    /// A mobile line.
    Mobile,
    /// A fixed line.
    Landline,
    /// A line of an internet telephony service, of no fixed place.
    Voip,
}

/// The numbering-plan class of a number, as reported in a decision.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NumberType {
    /// The range is given out to mobile lines only.
    Mobile,
    /// The range is given out to fixed lines only.
    Fixed,
    /// The range holds fixed and mobile lines alike (all of +1).
    FixedOrMobile,
    /// Internet telephony.
    Voip,
    /// Free to the caller; of no place.
    TollFree,
    /// Charged above the ordinary rate.
    Premium,
    /// Cost shared between caller and called.
    SharedCost,
    /// Follows a person; of no place.
    Personal,
    /// A pager.
    Pager,
    /// A company-wide number.
    Uan,
    /// A voicemail access number.
    Voicemail,
    /// Satellite and other networks without a country.
    Global,
    /// Possible, but not known to be given out.
    Unknown,
}

/// One place the person may be in: a leaf jurisdiction and the zones its people keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The narrowest jurisdiction known, such as `US-FL`, `FR` or `GP`; its parents are implied.
    pub jurisdiction: Jurisdiction,
    /// Every plausible zone in that place. Never empty.
    pub zones: Zones,
}

/// A small set of zones.
pub type Zones = SmallVec<[ZoneId; 4]>;

/// Names the exact numbering tables: the first half of the SHA-256 over all of them, in hexadecimal.
#[must_use]
pub fn numbering_version() -> &'static str {
    static VERSION: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    VERSION.get_or_init(|| {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for (name, text) in tables() {
            hash.update(format!("{name} {}\n", text.len()).as_bytes());
            hash.update(text.as_bytes());
        }
        hash.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    })
}

/// A place under its one name (`PR` for `US-PR`); `None` for one that is not known. Of the United States and Canada every
/// part is known; elsewhere any part of a country is.
#[must_use]
pub fn known_as(code: Jurisdiction) -> Option<Jurisdiction> {
    if code == Jurisdiction::EU {
        return Some(code);
    }
    match region::look_up(code).ok()? {
        region::Known::Whole(code) => Some(code),
        region::Known::Part(code, _) => {
            let siblings = region::places(code.root());
            (siblings.len() < 2 || siblings.iter().any(|place| place.jurisdiction == code)).then_some(code)
        }
    }
}

/// The zones people keep in a country or a part of one; `None` for a code of no known country.
#[must_use]
pub fn zones_of(place: Jurisdiction) -> Option<Zones> {
    let of_country = region::places(place);
    match region::place(place) {
        _ if !of_country.is_empty() => {
            let mut zones = Zones::new();
            of_country.iter().for_each(|part| region::unite(&mut zones, &part.zones));
            Some(zones)
        }
        found => found.ok().map(|place| place.zones),
    }
}
