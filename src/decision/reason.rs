//! The answer: verdict, reasons, duties, warnings, timing.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::law::{Body, Confidence, Declared, Family, Rule};
use crate::place::{Jurisdiction, NumberType};
use crate::time::{Instant, ZoneId};

/// Whether the contact may be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No rule denies, and nothing needed is unknown.
    Allow,
    /// At least one rule denies.
    Deny,
}

/// A rule of the service itself, where no pack speaks.
#[derive(PartialEq, Eq, Debug)]
pub struct BuiltIn {
    /// Its id.
    pub id: &'static str,
    /// Its family.
    pub family: Family,
    /// One plain sentence.
    pub summary: &'static str,
    /// What it rests on.
    pub citation: &'static str,
    /// What would cure it.
    pub remedy: &'static str,
}

/// Where a reason, duty or warning comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A rule of a pack.
    Rule(Arc<Rule>),
    /// A rule of the service itself, about a place where there is one.
    BuiltIn(&'static BuiltIn, Option<Jurisdiction>),
}

/// One rule that denies.
#[derive(Clone, Debug)]
pub struct Reason {
    /// Its family; may differ from the rule's own where a promised frequency is what stands in the way (CAP).
    pub family: Family,
    /// Which rule.
    pub source: Source,
    /// What it found in this case, as a sentence; may be empty.
    pub detail: String,
    /// When this rule alone stops denying; `None`: not by time, within 400 days.
    pub clears_at: Option<Instant>,
}

impl Reason {
    /// The rule's id.
    #[must_use]
    pub fn rule_id(&self) -> &str {
        match &self.source {
            Source::Rule(rule) => &rule.id,
            Source::BuiltIn(built_in, _) => built_in.id,
        }
    }

    /// Whose law it is; `None` where the reason is about no place.
    #[must_use]
    pub fn jurisdiction(&self) -> Option<Jurisdiction> {
        match &self.source {
            Source::Rule(rule) => Some(rule.jurisdiction),
            Source::BuiltIn(_, place) => *place,
        }
    }

    /// What the rule says, then what it found.
    #[must_use]
    pub fn message(&self) -> String {
        let summary = match &self.source {
            Source::Rule(rule) => &*rule.summary,
            Source::BuiltIn(built_in, _) => built_in.summary,
        };
        if self.detail.is_empty() { summary.to_owned() } else { format!("{summary} {}", self.detail) }
    }

    /// Where it stands written.
    #[must_use]
    pub fn citation(&self) -> &str {
        match &self.source {
            Source::Rule(rule) => &rule.citation,
            Source::BuiltIn(built_in, _) => built_in.citation,
        }
    }

    /// How sure the rule is.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        match &self.source {
            Source::Rule(rule) => rule.confidence,
            Source::BuiltIn(..) => Confidence::Policy,
        }
    }

    /// What would cure it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match &self.source {
            Source::BuiltIn(built_in, _) => built_in.remedy,
            Source::Rule(rule) => rule.remedy.as_deref().unwrap_or(match &rule.body {
                Body::Hours { .. } | Body::Inconvenient | Body::Holidays(_) => "Wait until retry_at.",
                Body::Cap { .. } | Body::CoolOff { .. } => "Wait until an earlier attempt no longer counts.",
                Body::Consent(_) => "Record a consent that covers this contact.",
                Body::OptOut { .. } => "Do not contact, unless the person gives a new express consent.",
                Body::Registry { .. } => "Load a fresh copy of the list; contact a listed number only on an exemption.",
                Body::Minor { .. } => "Record a guardian's consent.",
                Body::Reassigned => "Drop the number, or obtain consent from its new holder.",
                Body::CrossBorder { .. } => "Judge the contact inside the person's country, or record the mechanism.",
                Body::CallerId { .. } => "Show a number from a permitted range.",
                _ => "None: do not make this contact.",
            }),
        }
    }
}

/// Something an allowed contact must still do.
#[derive(Clone, Debug)]
pub struct Obligation {
    /// A short code for machines.
    pub code: Box<str>,
    /// The rule behind it.
    pub rule: Arc<Rule>,
}

/// Something the caller should know about an answer that stands all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// A short code for machines.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
    /// The rule it is about, where there is one.
    pub rule_id: Option<Box<str>>,
}

/// A loaded list a decision rested on, or a list it missed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListUsed {
    /// The registry's id.
    pub registry: Box<str>,
    /// What the loaded copy said; `None` where none is loaded.
    pub look: Option<super::Look>,
    /// What it said with what was added to it by API, where that alone is the list.
    pub listed: Option<bool>,
    /// Whether a rule in force asks for it; of one that is not, only `retry_at` and `valid_until` may rest on it.
    pub in_force: bool,
}

/// The answer to one question.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// Every rule that denies, strongest first.
    pub reasons: Vec<Reason>,
    /// What an allowed contact must still do.
    pub obligations: Vec<Obligation>,
    /// What the caller should know.
    pub warnings: Vec<Warning>,
    /// Of a DENY: the earliest instant within 400 days that allows on the same evidence.
    pub retry_at: Option<Instant>,
    /// Of an ALLOW: the first later instant that denies on the same evidence; `None`: none within 400 days.
    pub valid_until: Option<Instant>,
    /// The class of the number; `None` where it is no number.
    pub number_type: Option<NumberType>,
    /// Every plausible place, narrowest known.
    pub jurisdictions: SmallVec<[Jurisdiction; 4]>,
    /// Every plausible zone, once each.
    pub zones: SmallVec<[ZoneId; 4]>,
    /// The lists it looked into, loaded or not.
    pub lists: Vec<ListUsed>,
    /// The freezes that were looked at: those that reach the attempt, and those it is warned of.
    pub freezes: Vec<Arc<super::Freeze>>,
    /// The states of emergency that were looked at: those that reach a rule in play.
    pub emergencies: Vec<Arc<Declared>>,
    /// The instant judged.
    pub evaluated_at: Instant,
}

impl Decision {
    /// Whether the contact is allowed.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}
