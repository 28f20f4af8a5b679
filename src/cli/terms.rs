//! Words of the closed vocabularies, and instants, as values of options.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::contact::Term;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// Reads a word of a vocabulary: those of the packs, in any case. An unknown one is refused with the list of all.
pub(super) fn word<T: Term + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::ALL.iter().map(|term| PossibleValue::new(term.word())))
        .try_map(|word| T::from_word(&word.to_ascii_lowercase()).ok_or("no such word"))
}

/// The number of a term in the contract; 0 where none is given.
pub(super) fn number<T: Term>(term: Option<T>) -> i32 {
    term.map_or(0, |term| i32::from(term.number()))
}

/// Reads an instant.
pub(super) fn instant(text: &str) -> Result<Instant, String> {
    Instant::from_rfc3339(text)
        .ok_or_else(|| "not an instant in RFC 3339 with its offset, such as 2026-11-18T21:30:00-05:00".to_owned())
}

/// An instant in the contract.
pub(super) fn stamp(at: Option<Instant>) -> Option<Timestamp> {
    at.map(|at| Timestamp::from_millis(at.millis()))
}
