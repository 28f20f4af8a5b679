//! States of emergency as declared: dated facts about places, fed in while serving.
//!
//! Promises: names of counties that differ in spelling alone are one, and one that no pack knows is refused rather than
//! kept to match nobody. Guarded by the unit tests here and by `tests/control.rs`.

use super::{Law, Pack};
use crate::place::{self, Jurisdiction};
use crate::time::Instant;

/// The longest title or source, in bytes.
pub const WORDS_BYTES: usize = 1_024;
/// The most counties of one declaration.
pub const MOST_COUNTIES: usize = 1_000;
/// A state of emergency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Names it.
    pub id: Box<str>,
    /// Where.
    pub jurisdiction: Jurisdiction,
    /// The counties it is declared for, by the names of the pack; empty: all.
    pub counties: Vec<Box<str>>,
    /// What it is called.
    pub title: Box<str>,
    /// Where it is written.
    pub source: Box<str>,
    /// First instant.
    pub from: Instant,
    /// First instant after it; [`Instant::FAR`] where no end is known.
    pub until: Instant,
    /// When it was recorded; [`Instant::NEVER`] where nobody recorded it: it stands in a file.
    pub declared_at: Instant,
}

impl Declared {
    /// From when on it counts. What was declared as of its recording holds in a live check at once: the clock of another
    /// instance may be behind.
    #[must_use]
    pub fn begins(&self, live: bool) -> Instant {
        if live && self.from <= self.declared_at { Instant::NEVER } else { self.from }
    }

    /// Whether somebody who may be in `place` may be where it is declared.
    #[must_use]
    pub fn concerns(&self, place: Jurisdiction) -> bool {
        within(place, self.jurisdiction)
    }
}

/// Whether a place is, lies in, or holds another: what is known of the one may be true of the other.
#[must_use]
pub fn within(place: Jurisdiction, wider: Jurisdiction) -> bool {
    place == wider || place::country_group(place) == wider || wider.country() == Some(place)
}

/// A county's name without what its spellings differ in: case, spaces, points, `Saint` for `St.`, a closing `County` or
/// `Parish`.
pub(super) fn county_key(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    let mut words: Vec<String> = words.map(|word| if word == "saint" { "st".to_owned() } else { word }).collect();
    if words.len() > 1 && words.last().is_some_and(|last| last == "county" || last == "parish") {
        words.pop();
    }
    words.concat()
}

impl Pack {
    /// The county of this name, as the pack spells it; `None` where it knows none.
    #[must_use]
    pub fn county(&self, name: &str) -> Option<&str> {
        let key = county_key(name);
        self.head.counties.iter().find(|(known, _)| *known == key).map(|(_, name)| &**name)
    }
}

impl Law {
    /// The counties named, as the pack of the place spells them.
    ///
    /// # Errors
    /// Which one is unknown, and what to do.
    pub fn counties(&self, place: Jurisdiction, names: &[String]) -> Result<Vec<Box<str>>, String> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        if names.len() > MOST_COUNTIES {
            return Err(format!("{} counties; at most {MOST_COUNTIES} are accepted", names.len()));
        }
        let pack = self.pack_of(place).filter(|pack| pack.jurisdiction() == place && !pack.head.counties.is_empty());
        let Some(pack) = pack else {
            return Err(format!("no pack knows the counties of {place}: leave them out, and all of {place} counts"));
        };
        let mut found: Vec<Box<str>> = Vec::new();
        for name in names {
            match pack.county(name) {
                Some(county) if found.iter().any(|other| **other == *county) => {}
                Some(county) => found.push(county.into()),
                None => {
                    let shown: String = name.chars().take(48).flat_map(char::escape_debug).collect();
                    return Err(format!("`{shown}` is no county of {place} that its pack knows"));
                }
            }
        }
        Ok(found)
    }

    /// The ids of the rules that speak because of a state of emergency there.
    #[must_use]
    pub fn emergency_rules(&self, jurisdiction: Jurisdiction) -> Vec<&str> {
        let rules = self.packs().iter().flat_map(|pack| &pack.rules);
        let speaks = |about: Jurisdiction| {
            within(jurisdiction, about)
                || within(about, jurisdiction)
                || self
                    .chain(jurisdiction)
                    .packs
                    .iter()
                    .any(|i| self.pack(*i).is_some_and(|p| p.jurisdiction() == about))
        };
        let of_kind = rules.filter(|rule| matches!(rule.body, super::Body::Emergency) && speaks(rule.jurisdiction));
        of_kind.map(|rule| &*rule.id).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::law::BUILT_IN;

    #[test]
    fn spellings_of_a_county_are_one_name() {
        for (one, other) in [
            ("St. Lawrence", "saint lawrence county"),
            ("LaSalle", "La Salle Parish"),
            ("St. John the Baptist", "ST JOHN THE BAPTIST"),
            ("De Soto", "DeSoto"),
        ] {
            assert_eq!(county_key(one), county_key(other));
        }
        assert_ne!(county_key("West Feliciana"), county_key("East Feliciana"));
        assert_eq!(county_key("County"), "county", "a name is never nothing");
    }

    #[test]
    fn counties_are_kept_as_the_pack_spells_them_and_strangers_are_refused() {
        let law = Law::read(BUILT_IN.iter().copied()).unwrap();
        let place = |code: &str| code.parse::<Jurisdiction>().unwrap();
        let named = |code: &str, names: &[&str]| {
            law.counties(place(code), &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            named("US-NY", &["erie", "Erie County", "kings"]).unwrap(),
            ["Erie".into(), "Kings".into()] as [Box<str>; 2]
        );
        assert!(named("US-NY", &["Brooklyn"]).unwrap_err().contains("`Brooklyn` is no county of US-NY"));
        assert!(named("US-TX", &["Harris"]).unwrap_err().contains("leave them out"));
        assert!(named("US", &["Erie"]).unwrap_err().contains("leave them out"));
        assert!(named("US-TX", &[]).unwrap().is_empty());
    }

    #[test]
    fn a_place_may_hold_or_lie_in_another() {
        let place = |code: &str| code.parse::<Jurisdiction>().unwrap();
        for (one, other) in [("US-NY", "US-NY"), ("US-NY", "US"), ("PR", "US"), ("DE", "DE-BY")] {
            assert!(within(place(one), place(other)), "{one} {other}");
        }
        assert!(!within(place("US-NJ"), place("US-NY")) && !within(place("FR"), place("DE")));
    }
}
