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

/// Somebody pressed the stop button.
pub static FREEZE: BuiltIn = BuiltIn {
    id: "ringfence.freeze",
    family: Family::Policy,
    summary: "A freeze stops these contacts.",
    citation: "The tenant's own freeze",
    remedy: "Ask whoever froze them; a freeze is lifted by Unfreeze, or by `ringfence control unfreeze`.",
};

/// What stands in play for one freeze; who asks it finds the freeze beside it.
pub(crate) fn freeze() -> &'static Arc<Rule> {
    static RULE: OnceLock<Arc<Rule>> = OnceLock::new();
    RULE.get_or_init(|| Arc::new(own(FREEZE.id, FREEZE.family, FREEZE.summary, FREEZE.citation, Body::Ban)))
}

/// The id of the service's own rule about restricted data.
pub(crate) const RESTRICTION: &str = "ringfence.restriction";

/// Data that the person wants kept but not used are used for no contact.
pub(crate) fn restriction() -> &'static Arc<Rule> {
    static RULE: OnceLock<Arc<Rule>> = OnceLock::new();
    RULE.get_or_init(|| {
        let summary = "The person's data are restricted: they are kept, and used for no contact.";
        let citation = "GDPR art. 18(2); UK GDPR art. 18(2); PIPL art. 44 and 47";
        let mut rule = own(RESTRICTION, Family::Objection, summary, citation, Body::Ban);
        rule.remedy = Some("Lift the restriction once its ground is gone and the person was told.".into());
        Arc::new(rule)
    })
}

/// The id of the service's own rule about the tenant's own lists.
pub const OWN_LIST: &str = "ringfence.own_list";

/// Whoever the tenant put on a list of its own is not contacted, where no pack says what that list is for.
pub(crate) fn own_list() -> &'static Arc<Rule> {
    static RULE: OnceLock<Arc<Rule>> = OnceLock::new();
    RULE.get_or_init(|| {
        let summary = "The number is on a list of your own that no pack has a rule for.";
        let mut rule = own(OWN_LIST, Family::Registry, summary, "The tenant's own list", Body::Ban);
        rule.remedy = Some(
            "Take the number off the list, or write a rule of kind `registry` that says whom the list keeps from what."
                .into(),
        );
        Arc::new(rule)
    })
}

/// A rule of the service itself, about every contact but those of purpose EMERGENCY.
fn own(id: &str, family: Family, summary: &str, citation: &str, body: Body) -> Rule {
    Rule {
        id: id.into(),
        jurisdiction: "ZZ".parse().unwrap_or(Jurisdiction::EU),
        family,
        applies: Applies::default(),
        from: Instant::NEVER,
        until: Instant::FAR,
        series: Series::default(),
        posture: None,
        off_posture: None,
        body,
        unless: Vec::new(),
        citation: citation.into(),
        summary: summary.into(),
        remedy: None,
        confidence: Confidence::Policy,
        line: 0,
    }
}

/// The id of the service's own rule about opt-outs.
pub(crate) const OPT_OUT: &str = "ringfence.opt_out";

/// An opt-out is honoured whatever the packs of a place say, or fail to say.
pub(crate) fn opt_out() -> &'static Arc<Rule> {
    static RULE: OnceLock<Arc<Rule>> = OnceLock::new();
    RULE.get_or_init(|| {
        let (summary, citation) = ("The person asked not to be contacted.", "Ringfence honours an opt-out everywhere");
        Arc::new(own(OPT_OUT, Family::OptOut, summary, citation, Body::OptOut { whatever_scope_since: None }))
    })
}
