//! Facts about a person: what a caller may assert with a check, and what a contact record keeps.

use crate::place::{Jurisdiction, LineType};
use crate::time::Instant;

use super::terms::{Channel, Flag, Grade, Purpose, Recipient, Set, Technology};
use super::{LegalForm, Method, OptOutSource, Outcome, TransferMechanism};

/// Names of one kind, so that a seller is never compared with a subject.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Box<str>);

        impl $name {
            /// From text; `None` where it is empty.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                (!text.is_empty()).then(|| Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The brand or legal entity on whose behalf the contact is made.
    Seller
}
name_type! {
    /// The matter the contact is about: product line, programme, debt.
    Subject
}
name_type! {
    /// A tenant's campaign.
    Campaign
}
name_type! {
    /// The idempotency key of an attempt, per tenant and number.
    AttemptId
}

/// Whether two names are one wherever that stops contacts: in capitals or not, with spaces around them or doubled. People
/// and machines write one name in many ways, and what stops must not miss by a letter; what allows is compared as it is.
#[must_use]
pub fn is_one_name(one: &str, other: &str) -> bool {
    // By way of the capital: ß and ς come out as ss and σ.
    fn folded(word: &str) -> impl Iterator<Item = char> {
        word.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
    }
    let (mut ones, mut others) = (one.split_whitespace(), other.split_whitespace());
    one == other
        || loop {
            match (ones.next(), others.next()) {
                (None, None) => break true,
                (Some(one), Some(other)) if folded(one).eq(folded(other)) => {}
                _ => break false,
            }
        }
}

impl Seller {
    /// Whether both are one wherever that stops contacts ([`is_one_name`]).
    #[must_use]
    pub fn stops_as(&self, other: &Self) -> bool {
        is_one_name(&self.0, &other.0)
    }
}

/// A consent, as given. Empty sets and lists mean any.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Consent {
    /// Its id; equal ids are one consent.
    pub id: Option<Box<str>>,
    /// Its strength; `None` covers nothing.
    pub grade: Option<Grade>,
    /// What it says beyond its grade.
    pub flags: Set<Flag>,
    /// Channels it covers.
    pub channels: Set<Channel>,
    /// Technologies it covers; some places want recorded voices named.
    pub technologies: Set<Technology>,
    /// Purposes it covers.
    pub purposes: Set<Purpose>,
    /// Sellers it covers.
    pub sellers: Vec<Seller>,
    /// Subjects (product lines) it covers.
    pub products: Vec<Subject>,
    /// When it was given; `None` covers nothing.
    pub given_at: Option<Instant>,
    /// From when on it no longer covers.
    pub expires_at: Option<Instant>,
    /// From when on it was withdrawn.
    pub withdrawn_at: Option<Instant>,
    /// When it was last relied on.
    pub last_used_at: Option<Instant>,
    /// The precise slot agreed to, from its start until just before its end.
    pub preferred_slot: Option<Slot>,
    /// The privacy policy version the form linked to.
    pub policy_version: Option<Box<str>>,
    /// `person`, `third_party`, `directory` …; `None` is unknown.
    pub obtained_from: Option<Box<str>>,
    /// A frequency promised on the form.
    pub frequency_cap: Option<FrequencyCap>,
    /// How it was captured.
    pub method: Option<Method>,
    /// The wording shown, or its digest.
    pub wording: Option<Box<str>>,
    /// Whether the notice came first; `None` is unknown.
    pub notice_given: Option<bool>,
    /// Whether a deal was made to depend on it; `None` is unknown.
    pub forced: Option<bool>,
    /// Where the proof lies; `None` is none.
    pub evidence_ref: Option<Box<str>>,
    /// When the service recorded it; `None` for an asserted consent.
    pub recorded_at: Option<Instant>,
    /// From when on a material change of the tenant's published policy has overtaken it; `None`: none has.
    pub overtaken_at: Option<Instant>,
}

/// From `starts_at` until just before `ends_at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    /// First instant inside.
    pub starts_at: Instant,
    /// First instant after it.
    pub ends_at: Instant,
}

/// "At most `count` contacts a `period`", as promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrequencyCap {
    /// How many.
    pub count: u32,
    /// In each of which calendar period.
    pub period: Period,
}

/// A calendar period in local time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Period {
    /// A local day.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// What an opt-out reaches. Lists are ANDed; an empty list means any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    /// Channels.
    pub channels: Set<Channel>,
    /// Purposes.
    pub purposes: Set<Purpose>,
    /// Sellers.
    pub sellers: Vec<Seller>,
    /// Subjects.
    pub subjects: Vec<Subject>,
    /// Every purpose but emergencies and notices the law requires.
    pub everything: bool,
    /// Campaigns.
    pub campaigns: Vec<Campaign>,
}

/// A person's word that contact must stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptOut {
    /// Its id; equal ids are one opt-out.
    pub id: Option<Box<str>>,
    /// What it reaches.
    pub scope: Scope,
    /// When it was said; `None` makes it the newest fact of all.
    pub at: Option<Instant>,
    /// How it came in.
    pub source: Option<OptOutSource>,
    /// When the service recorded it; `None` for an asserted opt-out.
    pub recorded_at: Option<Instant>,
}

/// What binds person and seller. `None` is unknown, not "no".
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Relationship {
    /// With which seller; `None` is whichever seller the question is about.
    pub seller: Option<Seller>,
    /// The last purchase or transaction.
    pub last_purchase_at: Option<Instant>,
    /// The last inquiry or application.
    pub last_inquiry_at: Option<Instant>,
    /// The last donation.
    pub last_donation_at: Option<Instant>,
    /// Whether a contract runs.
    pub contract_active: Option<bool>,
    /// When the last contract ended.
    pub contract_ended_at: Option<Instant>,
    /// Whether the offer belongs to that contract or its like.
    pub offer_related: Option<bool>,
    /// Family, friend or acquaintance of the caller.
    pub personal: Option<bool>,
}

/// One look at a registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegistryCheck {
    /// The registry's canonical id.
    pub registry: Box<str>,
    /// What was found; `None` is unknown.
    pub listed: Option<bool>,
    /// When it was looked up.
    pub checked_at: Option<Instant>,
    /// How old the copy was.
    pub as_of: Option<Instant>,
    /// When the number was entered, where known.
    pub listed_at: Option<Instant>,
}

/// An earlier attempt, or a reservation not yet reported. A missing field counts against it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastAttempt {
    /// Its id, where it has one.
    pub id: Option<AttemptId>,
    /// The earliest instant at which it may have been made.
    pub earliest: Instant,
    /// The latest: later than `earliest` only for a reservation not yet reported, which ends at its `use_by`.
    pub latest: Instant,
    /// When a conversation ended.
    pub ended_at: Option<Instant>,
    /// Channel.
    pub channel: Option<Channel>,
    /// Technology.
    pub technology: Option<Technology>,
    /// Purpose.
    pub purpose: Option<Purpose>,
    /// How it went; `None` counts wherever any outcome would.
    pub outcome: Option<Outcome>,
    /// For whom.
    pub seller: Option<Seller>,
    /// About what.
    pub subject: Option<Subject>,
    /// In which campaign.
    pub campaign: Option<Campaign>,
}

/// How old the person is, as far as known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Full years at the time of the question.
    Years(u16),
    /// The day of birth, as days since 1970-01-01.
    BornOn(i32),
}

/// A weekly local window the person called inconvenient. `end` at or before `start` runs past midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InconvenientTime {
    /// Bit 0 Monday to bit 6 Sunday; never empty.
    pub weekdays: u8,
    /// Minutes after local midnight, 0 to 1439.
    pub start: u16,
    /// Minutes after local midnight, 0 to 1440.
    pub end: u16,
}

/// The tenant's privacy policy in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its version.
    pub current_version: Box<str>,
    /// Whether it changed purpose, way or class of processing; `None` is unknown.
    pub material: Option<bool>,
    /// When it took effect; `None` is unknown.
    pub effective_at: Option<Instant>,
}

/// Where the person's data goes for this contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The country it goes to.
    pub to: Option<Jurisdiction>,
    /// The legal mechanism on file.
    pub mechanism: Option<TransferMechanism>,
    /// Persons exported since 1 January; `None` is unknown.
    pub persons_since_january: Option<u64>,
}

/// An answer of a database of reassigned numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reassigned {
    /// When it was asked.
    pub checked_at: Option<Instant>,
    /// From when on the number was asked about: where the day asked about began last, so that what was given from then on
    /// was given on or after that day by every clock.
    pub since: Option<Instant>,
    /// What it said.
    pub answer: ReassignedAnswer,
}

/// What a database of reassigned numbers answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReassignedAnswer {
    /// Cannot say.
    NoData,
    /// Not disconnected since the date asked about.
    No,
    /// Permanently disconnected since the date asked about.
    Yes,
}

/// Everything a caller may assert, or a record may hold, apart from where the person lives.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// Consents.
    pub consents: Vec<Consent>,
    /// Opt-outs.
    pub opt_outs: Vec<OptOut>,
    /// Relationships, at most one a seller.
    pub relationships: Vec<Relationship>,
    /// Looks at registries.
    pub registry_checks: Vec<RegistryCheck>,
    /// Earlier attempts.
    pub attempts: Vec<PastAttempt>,
    /// The last telephone conversation.
    pub last_conversation_at: Option<Instant>,
    /// The first notice about the debt.
    pub first_notice_at: Option<Instant>,
    /// Every plausible age.
    pub ages: Vec<Age>,
    /// Times the person called inconvenient.
    pub inconvenient_times: Vec<InconvenientTime>,
    /// The tenant's policy.
    pub policy: Option<Policy>,
    /// Where data goes.
    pub transfer: Option<Transfer>,
    /// Every answer of a database of reassigned numbers.
    pub reassigned: Vec<Reassigned>,
    /// Plausible capacities; empty is unknown.
    pub recipients: Set<Recipient>,
    /// Plausible legal forms; empty is unknown.
    pub legal_forms: Set<LegalForm>,
    /// Plausible line types; empty is unknown.
    pub line_types: Set<LineType>,
    /// Plausible residences.
    pub residences: Vec<Jurisdiction>,
    /// Since when the data are kept but not used; only a record says so.
    pub restricted_at: Option<Instant>,
}
