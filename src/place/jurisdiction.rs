//! The code of a jurisdiction.

use std::fmt;
use std::str::FromStr;

/// An ISO 3166-1 country (`FR`), an ISO 3166-2 subdivision (`US-FL`), or `EU`. Copies freely; at most eight letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Jurisdiction([u8; 8]);

impl Jurisdiction {
    /// The European Union (and, for these rules, the EEA): a parent of its members, not a country.
    pub const EU: Self = Self(*b"EU\0\0\0\0\0\0");
    /// The United States, whose pack alone covers its territories.
    pub const US: Self = Self(*b"US\0\0\0\0\0\0");

    /// Canada, whose provinces have laws of their own.
    pub const CANADA: Self = Self(*b"CA\0\0\0\0\0\0");

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// The country of a subdivision (`US` of `US-FL`); `None` for a country.
    #[must_use]
    pub const fn country(self) -> Option<Self> {
        // A code is made by `from_str` alone: two letters, then nothing or a dash and the part.
        match self.0 {
            [first, second, b'-', ..] => Some(Self([first, second, 0, 0, 0, 0, 0, 0])),
            _ => None,
        }
    }

    /// The country this lies in: itself, or the country of a subdivision.
    #[must_use]
    pub fn root(self) -> Self {
        self.country().unwrap_or(self)
    }
}

impl FromStr for Jurisdiction {
    type Err = BadJurisdiction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (country, part) = text.split_once('-').map_or((text, None), |(c, p)| (c, Some(p)));
        let country_ok = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        let part_ok = part.is_none_or(|part| {
            (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        });
        let mut code = [0; 8];
        match code.get_mut(..text.len()) {
            Some(slot) if country_ok && part_ok => slot.copy_from_slice(text.as_bytes()),
            _ => return Err(BadJurisdiction),
        }
        Ok(Self(code))
    }
}

/// One word to a hasher.
impl std::hash::Hash for Jurisdiction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from_le_bytes(self.0));
    }
}

/// The text is not an ISO 3166 code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an ISO 3166 code such as FR or US-FL")]
pub struct BadJurisdiction;

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_and_printed_and_others_refused() {
        for code in ["FR", "US-FL", "GB-SCT", "PT-20", "FR-971", "EU"] {
            assert_eq!(code.parse::<Jurisdiction>().unwrap().to_string(), code);
        }
        for bad in ["", "fr", "F", "FRA", "US-", "US-FLOR", "US_FL", "US-fl", "ÄÖ", "US-FL-X"] {
            assert!(bad.parse::<Jurisdiction>().is_err(), "{bad}");
        }
        assert_eq!("US-FL".parse::<Jurisdiction>().unwrap().root(), Jurisdiction::US);
        assert_eq!(Jurisdiction::US.country(), None);
    }
}
