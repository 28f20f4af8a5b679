//! US ZIP codes: the states and zones of their first three digits.
//!
//! Promises: a prefix that touches two zones or two states has both. Must never narrow on a guess: a prefix that the
//! table does not know (military post, new ones) says nothing.

use std::sync::OnceLock;

use super::plan::rows;
use super::{Place, region};

/// The text is no ZIP code: not 3, 5 or 9 digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadZip;

/// The places of a ZIP code (3, 5 or 9 digits, `12345-6789`). Empty where the prefix is not known.
pub(super) fn places(zip: &str) -> Result<&'static [Place], BadZip> {
    let zip = zip.trim();
    let (area, more) = zip.split_at_checked(5).unwrap_or((zip, ""));
    let more = more.strip_prefix(['-', ' ']).unwrap_or(more);
    let digits = area.bytes().chain(more.bytes()).all(|byte| byte.is_ascii_digit());
    if !digits || !matches!((area.len(), more.len()), (3, 0) | (5, 0 | 4)) {
        return Err(BadZip);
    }
    let find = |prefix: &str| {
        let table = table();
        let at = table.binary_search_by(|(known, _)| (*known).cmp(prefix)).ok()?;
        table.get(at).map(|(_, places)| places.as_slice())
    };
    Ok(find(area).or_else(|| find(area.get(..3)?)).unwrap_or(&[]))
}

fn table() -> &'static [(&'static str, Vec<Place>)] {
    static TABLE: OnceLock<Vec<(&'static str, Vec<Place>)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let row = |mut row: std::str::Split<'static, char>| Some((row.next()?, region::read_places(row.next()?)));
        let mut table: Vec<_> = rows("zip3.tsv").filter_map(row).collect();
        table.sort_unstable_by_key(|(prefix, _)| *prefix);
        table
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn shown(zip: &str) -> String {
        let place = |place: &Place| format!("{} {:?}", place.jurisdiction, place.zones);
        places(zip).unwrap().iter().map(place).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn zip_codes_give_states_and_zones() {
        assert_eq!(shown("33101"), "US-FL [America/New_York]");
        assert_eq!(shown("325"), "US-FL [America/Chicago]");
        assert_eq!(shown("32501-1234"), "US-FL [America/Chicago]");
        assert_eq!(shown("325011234"), "US-FL [America/Chicago]");
        assert_eq!(shown("79901"), "US-TX [America/Denver]");
        assert_eq!(shown("86503"), "US-AZ [America/Denver, America/Phoenix]");
        assert_eq!(shown("85001"), "US-AZ [America/Phoenix]");
        assert_eq!(shown("00901"), "PR [America/Puerto_Rico]");
        assert_eq!(shown("96799"), "AS [Pacific/Pago_Pago]");
        assert_eq!(shown("96701"), "US-HI [Pacific/Honolulu]");
        assert_eq!(shown("06390"), "US-CT [America/New_York]; US-NY [America/New_York]");
    }

    #[test]
    fn military_and_unknown_prefixes_say_nothing() {
        assert_eq!(shown("09012"), "");
        assert_eq!(shown("000"), "");
    }

    #[test]
    fn other_texts_are_refused() {
        for zip in ["", "1", "1234", "123456", "12345-678", "K1A 0B1", "12345-67890", "１２３４５", "12 345"] {
            assert_eq!(places(zip), Err(BadZip), "{zip}");
        }
    }
}
