//! A decision in the words of the contract.

use crate::contact::Purpose;
use crate::decision::{Decision, Postures, Verdict};
use crate::law::{Confidence, Family, Law};
use crate::place::{LocationPosture, Number, NumberType};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, ZoneId};

/// What only the engine knows of an answer.
#[derive(Debug)]
pub struct Granted {
    /// The id of the decision.
    pub decision_id: uuid::Uuid,
    /// The attempt, where it has an id.
    pub attempt_id: String,
    /// Until when a reservation is to be used.
    pub use_by: Option<Instant>,
    /// Answered without a store.
    pub degraded: bool,
}

/// The message of a decision.
#[must_use]
pub fn message(
    decision: &Decision,
    number: Option<Number>,
    law: &Law,
    postures: &Postures,
    granted: Granted,
) -> v1::Decision {
    v1::Decision {
        decision_id: granted.decision_id.hyphenated().to_string(),
        verdict: match decision.verdict {
            Verdict::Allow => v1::Verdict::Allow,
            Verdict::Deny => v1::Verdict::Deny,
        }
        .into(),
        reasons: decision.reasons.iter().map(reason).collect(),
        obligations: decision
            .obligations
            .iter()
            .map(|duty| v1::Obligation {
                code: duty.code.to_string(),
                message: duty.rule.summary.to_string(),
                rule_id: duty.rule.id.to_string(),
                citation: duty.rule.citation.to_string(),
            })
            .collect(),
        retry_at: decision.retry_at.map(stamp),
        valid_until: decision.valid_until.map(stamp),
        use_by: granted.use_by.map(stamp),
        attempt_id: granted.attempt_id,
        number: number.map(|number| number.reveal_e164().as_str().to_owned()).unwrap_or_default(),
        number_type: number_type(decision.number_type).into(),
        jurisdictions: decision.jurisdictions.iter().map(ToString::to_string).collect(),
        local_times: local_times(decision),
        rules_version: law.version().to_owned(),
        evaluated_at: Some(stamp(decision.evaluated_at)),
        degraded: granted.degraded,
        warnings: decision
            .warnings
            .iter()
            .map(|warning| v1::Warning {
                code: warning.code.to_owned(),
                message: warning.message.clone(),
                rule_id: warning.rule_id.as_deref().unwrap_or_default().to_owned(),
            })
            .collect(),
        postures: self::postures(postures),
        registry_copies: decision
            .lists
            .iter()
            .filter(|list| list.in_force)
            .map(|list| v1::RegistryCopy {
                registry: list.registry.to_string(),
                version: list.look.as_ref().map(|look| look.version.to_string()).unwrap_or_default(),
                as_of: list.look.as_ref().map(|look| stamp(look.as_of)),
                listed: list.listed,
            })
            .collect(),
    }
}

/// An instant of the contract.
#[must_use]
pub fn stamp(at: Instant) -> Timestamp {
    Timestamp::from_millis(at.millis())
}

/// One reason.
#[must_use]
pub fn reason(reason: &crate::decision::Reason) -> v1::Reason {
    v1::Reason {
        family: family(reason.family).into(),
        rule_id: reason.rule_id().to_owned(),
        jurisdiction: reason.jurisdiction().map(|place| place.to_string()).unwrap_or_default(),
        message: reason.message(),
        citation: reason.citation().to_owned(),
        clears_at: reason.clears_at.map(stamp),
        remedy: reason.remedy().to_owned(),
        confidence: confidence(reason.confidence()).into(),
    }
}

fn local_times(decision: &Decision) -> Vec<v1::LocalTime> {
    let only = match decision.jurisdictions.as_slice() {
        [place] => place.to_string(),
        _ => String::new(),
    };
    let zones = decision.zones.iter();
    zones
        .map(|zone| v1::LocalTime {
            time_zone: zone.name().to_owned(),
            local: local(*zone, decision.evaluated_at),
            jurisdiction: only.clone(),
        })
        .collect()
}

/// `2026-11-18T21:30:00-05:00`, to the second.
#[must_use]
pub fn local(zone: ZoneId, at: Instant) -> String {
    let regime = zone.regime(at);
    let civil = regime.civil(at);
    let seconds = civil.millis / 1_000;
    let offset = regime.offset_millis / 1_000;
    let (sign, east) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    format!(
        "{}T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
        civil.date().map(|date| date.to_string()).unwrap_or_default(),
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        east / 3_600,
        east / 60 % 60
    )
}

/// The readings a tenant chose, where they differ from those shipped.
#[must_use]
pub fn postures(postures: &Postures) -> Vec<v1::Posture> {
    let mut said = Vec::new();
    let mut add = |name: &str, value: &str| {
        said.push(v1::Posture { name: name.to_owned(), value: value.to_owned(), jurisdiction: String::new() });
    };
    if postures.location == LocationPosture::Residence {
        add("location", "residence");
    }
    if postures.stored_facts_only {
        add("trust", "stored");
    }
    if postures.verified_only {
        add("verified_only", "true");
    }
    for name in &postures.chosen {
        add(name, "on");
    }
    said
}

/// The family in the contract.
#[must_use]
pub fn family(family: Family) -> v1::RuleFamily {
    use v1::RuleFamily as Wire;
    match family {
        Family::Number => Wire::Number,
        Family::Jurisdiction => Wire::Jurisdiction,
        Family::Ban => Wire::Ban,
        Family::OptOut => Wire::OptOut,
        Family::Objection => Wire::Objection,
        Family::Minor => Wire::Minor,
        Family::CrossBorder => Wire::CrossBorder,
        Family::Reassigned => Wire::Reassigned,
        Family::Consent => Wire::Consent,
        Family::Registry => Wire::Registry,
        Family::CallerId => Wire::CallerId,
        Family::Abandonment => Wire::Abandonment,
        Family::Policy => Wire::Policy,
        Family::Cap => Wire::Cap,
        Family::Holiday => Wire::Holiday,
        Family::QuietHours => Wire::QuietHours,
    }
}

/// The confidence in the contract.
#[must_use]
pub fn confidence(confidence: Confidence) -> v1::Confidence {
    match confidence {
        Confidence::Verified => v1::Confidence::Verified,
        Confidence::Secondary => v1::Confidence::Secondary,
        Confidence::Policy => v1::Confidence::Policy,
        Confidence::Memory => v1::Confidence::Memory,
        Confidence::Disputed => v1::Confidence::Disputed,
    }
}

fn number_type(kind: Option<NumberType>) -> v1::NumberType {
    use v1::NumberType as Wire;
    match kind {
        None => Wire::Unspecified,
        Some(NumberType::Mobile) => Wire::Mobile,
        Some(NumberType::Fixed) => Wire::Fixed,
        Some(NumberType::FixedOrMobile) => Wire::FixedOrMobile,
        Some(NumberType::Voip) => Wire::Voip,
        Some(NumberType::TollFree) => Wire::TollFree,
        Some(NumberType::Premium) => Wire::Premium,
        Some(NumberType::SharedCost) => Wire::SharedCost,
        Some(NumberType::Personal) => Wire::Personal,
        Some(NumberType::Pager) => Wire::Pager,
        Some(NumberType::Uan) => Wire::Uan,
        Some(NumberType::Voicemail) => Wire::Voicemail,
        Some(NumberType::Global) => Wire::Global,
        Some(NumberType::Unknown) => Wire::Unknown,
    }
}

/// Whether a purpose is asked about so rarely and weighs so much that it is counted apart.
#[must_use]
pub const fn is_exceptional(purpose: Purpose, legally_required: bool) -> bool {
    matches!(purpose, Purpose::Emergency) || legally_required
}
