//! By when a breach must be reported to the regulator of a place. What no table here knows has no date: the duty to ask
//! is then said, not a date made up.

use super::super::answer::stamp;
use crate::law::Law;
use crate::place::{Jurisdiction, country_group};
use crate::proto::v1;
use crate::time::{Instant, Millis};

/// Hours from its discovery, and where they are written.
fn term(law: &Law, country: Jurisdiction) -> (Option<i64>, &'static str) {
    let packs = law.chain(country).packs.iter().filter_map(|index| law.pack(*index));
    let in_union = country == Jurisdiction::EU || packs.into_iter().any(|pack| pack.jurisdiction() == Jurisdiction::EU);
    match country.as_str() {
        _ if in_union => (Some(72), "GDPR art. 33(1): without undue delay, at most 72 hours after becoming aware"),
        "GB" => (Some(72), "UK GDPR art. 33(1): without undue delay, at most 72 hours after becoming aware"),
        // Graded by gravity: the shortest of the grades.
        "CN" => (Some(1), "PIPL art. 57: at once; the 2025 measures on incident reports: 1 to 4 hours (from memory)"),
        "CH" => (None, "FADP art. 24(1): as soon as possible, where the risk is high (from memory)"),
        _ => (None, ""),
    }
}

/// Adds a report to the regulator of a place, unless it is there. Its place in the list.
pub(super) fn add(
    reports: &mut Vec<v1::RegulatorReport>,
    law: &Law,
    place: Jurisdiction,
    discovered_at: Instant,
) -> usize {
    let code = place.to_string();
    if let Some(known) = reports.iter().position(|report| report.place == code) {
        return known;
    }
    let (hours, citation) = term(law, country_group(place));
    reports.push(v1::RegulatorReport {
        place: code,
        due_at: hours.map(|hours| stamp(discovered_at.plus(Millis::hours(hours)))),
        citation: citation.to_owned(),
        ..v1::RegulatorReport::default()
    });
    reports.len().saturating_sub(1)
}
