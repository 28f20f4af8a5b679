//! Duties to keep records: what is kept, until when, and why. What the law says of them stands in `law::retention`.

use super::{Seller, is_one_name};
use crate::place::Jurisdiction;
use crate::time::Instant;

/// A kind of record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordClass {
    /// Consents with their proof.
    Consent,
    /// Opt-outs: what was said, when, how it came in.
    OptOut,
    /// Calls and texts.
    Attempt,
    /// Entries of the log.
    Decision,
    /// Dealings with a seller.
    Relationship,
    /// Recordings, notes, and what people wrote.
    Notes,
    /// Requests under data-protection law.
    RightsRequest,
    /// The bare fact that somebody is not to be contacted.
    Suppression,
    /// Facts that newer ones took the place of.
    SupersededFact,
}

impl RecordClass {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Consent,
        Self::OptOut,
        Self::Attempt,
        Self::Decision,
        Self::Relationship,
        Self::Notes,
        Self::RightsRequest,
        Self::Suppression,
        Self::SupersededFact,
    ];

    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Consent => "consents",
            Self::OptOut => "opt_outs",
            Self::Attempt => "attempts",
            Self::Decision => "decisions",
            Self::Relationship => "relationships",
            Self::Notes => "notes",
            Self::RightsRequest => "rights_requests",
            Self::Suppression => "suppression",
            Self::SupersededFact => "superseded_facts",
        }
    }

    /// Its number in the contract.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Consent => 1,
            Self::OptOut => 2,
            Self::Attempt => 3,
            Self::Decision => 4,
            Self::Relationship => 5,
            Self::Notes => 6,
            Self::RightsRequest => 7,
            Self::Suppression => 8,
            Self::SupersededFact => 9,
        }
    }

    /// From its number in the contract.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
}

/// A duty to keep what is stored of a contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordDuty {
    /// What is kept.
    pub class: RecordClass,
    /// Until when; `None`: without term.
    pub until: Option<Instant>,
    /// What demands it: the id of a rule, or `hold.` and that of a hold.
    pub reason: Box<str>,
    /// Where it is written; empty: it rests on no law.
    pub citation: Box<str>,
}

/// A tenant's own duty to keep records, of one contact or of many: litigation, or a law that no pack knows. What is to be
/// kept of one contact whoever asks for its erasure stands in its record ([`super::holds`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionHold {
    /// Names it.
    pub id: Box<str>,
    /// The digits of the number whose records it keeps; `None`: anybody's.
    pub number: Option<u64>,
    /// The seller that records must concern; `None`: any.
    pub seller: Option<Seller>,
    /// The place the contact must plausibly be in; `None`: anywhere.
    pub place: Option<Jurisdiction>,
    /// What it keeps; empty: everything.
    pub classes: Vec<RecordClass>,
    /// When it ends; `None`: when it is released.
    pub until: Option<Instant>,
    /// Calendar months from the last purchase, where that is its term.
    pub months_from_purchase: Option<i32>,
    /// Why.
    pub why: Box<str>,
}

impl RetentionHold {
    /// Whether it keeps this kind.
    #[must_use]
    pub fn keeps(&self, class: RecordClass) -> bool {
        // What was said is part of an opt-out.
        let said = class == RecordClass::Notes && self.classes.contains(&RecordClass::OptOut);
        self.classes.is_empty() || self.classes.contains(&class) || said
    }

    /// Whether it reaches a record of a contact with this number that may be in these places, and that concerns these
    /// sellers. A record that names no seller may concern any; one without its number, as after an erasure, may be of any
    /// number, and where no place is known, of any place.
    #[must_use]
    pub fn reaches(&self, number: Option<u64>, places: &[Jurisdiction], sellers: &[&str]) -> bool {
        let within =
            |held: Jurisdiction| places.is_empty() || places.iter().any(|place| *place == held || place.root() == held);
        self.number.is_none_or(|held| number.is_none_or(|number| number == held))
            && self.place.is_none_or(within)
            && self.seller.as_ref().is_none_or(|held| {
                sellers.is_empty() || sellers.iter().any(|seller| is_one_name(seller, held.as_str()))
            })
    }
}
