//! The countries that a number or a residence counts to, where it matters in which store the record is.

use smallvec::SmallVec;

use super::{Jurisdiction, Location, LocationPosture, Number, known_as, plan, resolve};

/// Every country that a number may be of, sorted. Where its calling code has one country alone, that one, whatever the
/// rest of the digits say; else the countries of its plausible places, or all that share the code. Empty only for a number
/// of no country.
///
/// Hong Kong, Macao and Taiwan are countries of their own here, as in ISO 3166-1.
#[must_use]
pub fn countries(number: Number) -> SmallVec<[Jurisdiction; 4]> {
    let (digits, len) = number.digits();
    let mut all: SmallVec<[Jurisdiction; 4]> = plan::countries_of_code(digits.get(..len).unwrap_or(&[])).collect();
    if all.len() > 1
        && let Ok(found) = resolve(number, &Location::default(), LocationPosture::Strictest)
    {
        let plausible: SmallVec<[Jurisdiction; 4]> =
            found.plausible.iter().map(|place| country_of(place.jurisdiction)).collect();
        if !plausible.is_empty() {
            all = plausible;
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The country of a place, under its one name: `FR` of `FR-75`, but `GP` of `FR-971` and `HK` of `CN-HK`.
#[must_use]
pub fn country_of(place: Jurisdiction) -> Jurisdiction {
    known_as(place).unwrap_or(place).root()
}

/// Whether a code is that of a country, under its one name.
#[must_use]
pub fn is_country(code: Jurisdiction) -> bool {
    code != Jurisdiction::EU && code.country().is_none() && known_as(code) == Some(code)
}

/// Whether numbers of this country share their calling code with those of another, so that only the numbering tables tell
/// them apart.
#[must_use]
pub fn shares_calling_code(country: Jurisdiction) -> bool {
    plan::is_shared(country)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(number: &str) -> Vec<String> {
        countries(Number::parse(number, None).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_number_is_of_the_country_of_its_calling_code_whatever_else_its_digits_say() {
        assert_eq!(of("+8613812345678"), ["CN"]);
        assert_eq!(of("+864008123123"), ["CN"], "a number without a place is still one of that country");
        assert_eq!(of("+85291234567"), ["HK"]);
        assert_eq!(of("+886912345678"), ["TW"]);
        assert_eq!(of("+85366123456"), ["MO"]);
    }

    #[test]
    fn where_countries_share_a_code_the_tables_tell_them_apart_or_all_count() {
        assert_eq!(of("+13055550123"), ["US"]);
        assert_eq!(of("+14165550123"), ["CA"]);
        assert_eq!(of("+77012345678"), ["KZ"]);
        assert!(of("+18005550123").len() > 10, "of no place: every country that shares the code");
        let shares = |code: &str| shares_calling_code(code.parse().unwrap());
        assert!(shares("US") && shares("RU") && !shares("CN") && !shares("HK"));
    }

    #[test]
    fn a_part_counts_to_its_country_unless_it_is_one() {
        let of = |code: &str| country_of(code.parse().unwrap()).to_string();
        assert_eq!(
            (of("CN-GD"), of("CN-HK"), of("CN-TW"), of("US-FL")),
            ("CN".into(), "HK".into(), "TW".into(), "US".into())
        );
        assert_eq!((of("US-PR"), of("FR-971")), ("PR".into(), "GP".into()));
    }
}
