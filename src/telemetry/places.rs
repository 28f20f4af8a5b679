//! Decisions and their reasons by place: of all tenants together, since those of each would be too many.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::{Place, PlaceVerdict};
use crate::proto::v1;

/// The place of decisions for which none is known: of what was no number, above all.
const NONE: &str = "none";
/// The place of decisions by the law of more countries than one.
const SEVERAL: &str = "several";
/// Says nothing of where somebody is: the countries beside it do.
const UNION: &str = "EU";

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    decisions: Family<PlaceVerdict, Counter>,
    reasons: Family<Place, Counter>,
}

impl Places {
    /// Under their names in the registry.
    pub fn new(registry: &mut Registry) -> Self {
        let places = Self::default();
        let help = "Decisions by place, verdict and channel. The place is the narrowest whose law was applied; its country, \
                    where several parts of one are plausible; several, of more countries; none, where none is known";
        registry.register("place_decisions", help, places.decisions.clone());
        let help = "Reasons of denials by family, jurisdiction and channel";
        registry.register("reasons", help, places.reasons.clone());
        places
    }

    /// A decision was made.
    pub fn decided(&self, decision: &v1::Decision, verdict: &'static str, channel: &'static str) {
        let place = bounded(place(&decision.jurisdictions)).to_owned();
        self.decisions.get_or_create_owned(&PlaceVerdict { place, verdict, channel }).inc();
    }

    /// This was a reason of it.
    pub fn denied(&self, family: &'static str, jurisdiction: &str, channel: &'static str) {
        let labels = Place { family, jurisdiction: bounded(jurisdiction).to_owned(), channel };
        self.reasons.get_or_create_owned(&labels).inc();
    }
}

/// Callers say where people live, and so may make parts of countries up: only states and provinces are told apart, of which
/// there can be no more than their two letters allow.
fn bounded(place: &str) -> &str {
    match place.split_once('-') {
        Some(("US" | "CA", part)) if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_uppercase()) => place,
        Some((country, _)) => country,
        None => place,
    }
}

/// The label of these jurisdictions, which are ISO 3166 codes and `EU`, narrowest last.
fn place(jurisdictions: &[String]) -> &str {
    let mut places = jurisdictions.iter().map(String::as_str).filter(|place| *place != UNION);
    let Some(first) = places.next() else { return NONE };
    let country = |place| str::split_once(place, '-').map_or(place, |(country, _)| country);
    let root = country(first);
    let mut narrowest = first;
    for next in places {
        if country(next) != root {
            return SEVERAL;
        }
        // Beside its own country it is the narrower one; beside another part of it neither is.
        narrowest = if narrowest == root { next } else { root };
        if narrowest == root {
            return root;
        }
    }
    narrowest
}

#[cfg(test)]
mod tests {
    use super::{bounded, place};

    #[test]
    fn a_place_is_the_narrowest_that_is_sure() {
        for (jurisdictions, label) in [
            (&[][..], "none"),
            (&["EU"], "none"),
            (&["FR"], "FR"),
            (&["EU", "FR"], "FR"),
            (&["US", "US-FL"], "US-FL"),
            (&["US-FL"], "US-FL"),
            (&["US", "US-FL", "US-GA"], "US"),
            (&["US-FL", "US-GA"], "US"),
            (&["US", "US-FL", "US-GA", "US-TX"], "US"),
            (&["EU", "DE", "FR"], "several"),
            (&["US", "US-FL", "CA", "CA-ON"], "several"),
        ] {
            let given: Vec<String> = jurisdictions.iter().map(|place| (*place).to_owned()).collect();
            assert_eq!(place(&given), label, "{jurisdictions:?}");
        }
    }

    #[test]
    fn parts_of_countries_that_somebody_makes_up_are_no_series() {
        for (place, label) in
            [("US-FL", "US-FL"), ("FR-ABC", "FR"), ("US-Z9", "US"), ("CA-ON", "CA-ON"), ("none", "none")]
        {
            assert_eq!(bounded(place), label);
        }
    }
}
