//! The service's own rules, for what no pack can say.

use std::sync::{Arc, OnceLock};

use crate::law::{Applies, Body, Confidence, Family, Rule, Series};
use crate::place::Jurisdiction;
use crate::time::Instant;

use super::reason::BuiltIn;

/// The string is no number that can be contacted.
pub static UNUSABLE: BuiltIn = BuiltIn {
    id: "ringfence.number.unusable",
    family: Family::Number,
    summary: "This is not a number that can be called or texted.",
    citation: "ITU-T E.164; the numbering plan of the country",
    remedy: "Correct the number.",
};

/// A number charged above the ordinary rate.
pub static PREMIUM: BuiltIn = BuiltIn {
    id: "ringfence.number.premium",
    family: Family::Number,
    summary: "Premium-rate numbers are services, not people, and are never contacted.",
    citation: "The numbering plan of the country",
    remedy: "Use the person's own number.",
};

/// A number that belongs to no place.
pub static NO_PLACE: BuiltIn = BuiltIn {
    id: "ringfence.jurisdiction.no_place",
    family: Family::Jurisdiction,
    summary: "This number belongs to no place, so no law can be found for it.",
    citation: "ITU-T E.164; the numbering plan of the country",
    remedy: "Use a geographic or mobile number of the person.",
};

/// A place without a pack.
pub static NO_PACK: BuiltIn = BuiltIn {
    id: "ringfence.jurisdiction.no_pack",
    family: Family::Jurisdiction,
    summary: "No rules are loaded for every place the person may be in.",
    citation: "Ringfence never allows what it has no law for",
    remedy: "State the person's residence if it narrows the places, or load a pack for them.",
};

/// A pack nobody reviewed.
pub static UNREVIEWED: BuiltIn = BuiltIn {
    id: "ringfence.jurisdiction.unreviewed",
    family: Family::Jurisdiction,
    summary: "The rules of a place the person may be in were never reviewed, so no marketing rests on them.",
    citation: "Ringfence never allows marketing on unreviewed law",
    remedy: "Have the pack reviewed and dated.",
};

/// What is said of the person's whereabouts cannot be read.
pub static BAD_LOCATION: BuiltIn = BuiltIn {
    id: "ringfence.jurisdiction.location",
    family: Family::Jurisdiction,
    summary: "What is known of the person's location cannot be read.",
    citation: "Ringfence never allows what it has no law for",
    remedy: "Correct the residence or postal code.",
};

/// A frequency promised with the only consents that cover.
pub static PROMISE: BuiltIn = BuiltIn {
    id: "ringfence.consent.promised_frequency",
    family: Family::Cap,
    summary: "The consents that cover this contact promised a frequency, and it is used up.",
    citation: "The terms of the consent itself; GDPR art. 7, PIPL art. 14",
    remedy: "Wait for the next period, or obtain a consent without that promise.",
};

/// The id of the service's own rule about opt-outs.
pub(crate) const OPT_OUT: &str = "ringfence.opt_out";

/// An opt-out is honoured whatever the packs of a place say, or fail to say.
pub(crate) fn opt_out() -> &'static Arc<Rule> {
    static RULE: OnceLock<Arc<Rule>> = OnceLock::new();
    RULE.get_or_init(|| {
        Arc::new(Rule {
            id: OPT_OUT.into(),
            jurisdiction: "ZZ".parse().unwrap_or(Jurisdiction::EU),
            family: Family::OptOut,
            applies: Applies::default(),
            from: Instant::NEVER,
            until: Instant::FAR,
            series: Series::default(),
            posture: None,
            off_posture: None,
            body: Body::OptOut { whatever_scope_since: None },
            unless: Vec::new(),
            citation: "Ringfence honours an opt-out everywhere".into(),
            summary: "The person asked not to be contacted.".into(),
            remedy: None,
            confidence: Confidence::Policy,
            line: 0,
        })
    })
}
