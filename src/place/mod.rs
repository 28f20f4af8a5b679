//! A number, and what is known of where its user lives, become every place the person may be in.
//!
//! Promises: never fewer places or zones than are plausible (I5), and no I/O. Must never guess: what the numbering
//! plan does not settle stays a set. Guarded by `tests/place.rs` and the unit tests here.

mod jurisdiction;
mod number;
mod plan;
mod postal;
mod region;
mod resolve;

pub use jurisdiction::{BadJurisdiction, Jurisdiction};
pub use number::{E164, Number, NumberError};
pub use plan::TABLES;
pub use region::country_group;
pub use resolve::{
    Location, LocationError, LocationPosture, NoPlaceReason, Places, Plausible, Resolution, resolve,
};

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
