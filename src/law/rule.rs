//! A rule, ready to be judged. What a pack's text means stands here once, field by field.
//!
//! The second implementation of `decide` in `tests/twin` reads these types as well: they are the meaning of a pack.

use std::sync::Arc;

use crate::contact::{Channel, Flag, Grade, LegalForm, OfferCategory, Outcome, Purpose, Recipient, Set, Technology};
use crate::contact::{Period, TransferMechanism};
use crate::place::{Jurisdiction, LineType};
use crate::time::{Instant, Millis, ZoneId};

use super::calendar::{Calendar, Week};

/// The kind of reason a rule gives, in order of strength: the first is the hardest to cure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// The number cannot be contacted at all.
    Number,
    /// No reviewed law for a place the person may be in.
    Jurisdiction,
    /// Forbidden, whatever the person says.
    Ban,
    /// The person said stop.
    OptOut,
    /// The person objected to direct marketing (GDPR art. 21 and its like).
    Objection,
    /// The person is too young.
    Minor,
    /// The person's data may not leave the place.
    CrossBorder,
    /// The number has passed to somebody else.
    Reassigned,
    /// A consent is missing.
    Consent,
    /// On a do-not-call list, or no fresh copy of a list that must be consulted.
    Registry,
    /// The number shown breaks a rule.
    CallerId,
    /// Abandoned calls.
    Abandonment,
    /// The tenant's own rule.
    Policy,
    /// Too many attempts, or too soon after one.
    Cap,
    /// A closed date.
    Holiday,
    /// A closed hour or weekday.
    QuietHours,
}

impl Family {
    /// Every family, strongest first.
    pub const ALL: [Self; 16] = [
        Self::Number,
        Self::Jurisdiction,
        Self::Ban,
        Self::OptOut,
        Self::Objection,
        Self::Minor,
        Self::CrossBorder,
        Self::Reassigned,
        Self::Consent,
        Self::Registry,
        Self::CallerId,
        Self::Abandonment,
        Self::Policy,
        Self::Cap,
        Self::Holiday,
        Self::QuietHours,
    ];

    /// The name in the contract, without the enum's prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "NUMBER",
            Self::Jurisdiction => "JURISDICTION",
            Self::Ban => "BAN",
            Self::OptOut => "OPT_OUT",
            Self::Objection => "OBJECTION",
            Self::Minor => "MINOR",
            Self::CrossBorder => "CROSS_BORDER",
            Self::Reassigned => "REASSIGNED",
            Self::Consent => "CONSENT",
            Self::Registry => "REGISTRY",
            Self::CallerId => "CALLER_ID",
            Self::Abandonment => "ABANDONMENT",
            Self::Policy => "POLICY",
            Self::Cap => "CAP",
            Self::Holiday => "HOLIDAY",
            Self::QuietHours => "QUIET_HOURS",
        }
    }
}

/// How sure the text behind a rule or an exemption is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// Read in statute, regulation or official notice, or two independent practitioner sources.
    Verified,
    /// One practitioner source.
    Secondary,
    /// A convention or product default, not law.
    Policy,
    /// From recollection: an exemption resting on it allows only with a warning.
    Memory,
    /// Sources or courts disagree: as for memory.
    Disputed,
}

impl Confidence {
    /// The word in packs and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Secondary => "secondary",
            Self::Policy => "policy",
            Self::Memory => "memory",
            Self::Disputed => "disputed",
        }
    }

    /// Whether an exemption of this confidence may lift a rule without a warning (I7).
    #[must_use]
    pub const fn is_firm(self) -> bool {
        matches!(self, Self::Verified | Self::Secondary | Self::Policy)
    }
}

/// Which contacts a rule is about. An empty set means any; an empty set of purposes means any but EMERGENCY.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applies {
    /// Channels.
    pub channels: Set<Channel>,
    /// Technologies.
    pub technologies: Set<Technology>,
    /// Purposes.
    pub purposes: Set<Purpose>,
    /// Line types.
    pub line_types: Set<LineType>,
    /// Recipients.
    pub recipients: Set<Recipient>,
    /// Offer categories: the rule is only about these; a contact that names no category is not.
    pub offers: Set<OfferCategory>,
    /// Legal forms: the rule is only about these; a contact that names no form is not.
    pub legal_forms: Set<LegalForm>,
}

/// A calendar span: months first, then days. Never hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Calendar months.
    pub months: i32,
    /// Local days.
    pub days: i32,
}

/// What a consent must be to satisfy a rule or an exemption. It must also cover the attempt (scope and time).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needs {
    /// At least this strong.
    pub grade: Grade,
    /// With all of these flags.
    pub flags: Set<Flag>,
    /// A consent that names no technologies does not cover PRERECORDED.
    pub technology_named: bool,
    /// With a reference to its proof.
    pub evidence: bool,
    /// One obtained from a third party needs the THIRD_PARTY flag.
    pub third_party_flagged: bool,
    /// Given before a material policy change and under another version: no longer covers.
    pub current_policy: bool,
    /// Ends at the start of the local day this long after the local day it was given on.
    pub max_age: Option<Span>,
    /// That end is only of a consent that names none of its own.
    pub unless_dated: bool,
    /// Ends at the start of the local day this long after the local day it was given, or last used, on.
    pub max_unused: Option<Span>,
    /// Given at or after this instant.
    pub given_from: Option<Instant>,
    /// Given after the number entered the registry the rule is about; an unknown entry date is the newest of all.
    pub after_listing: bool,
    /// Given by whoever holds the number now, as the reassignment database tells. No other consent lasts anyway; a way out
    /// of a rule about reassigned numbers says so.
    pub after_reassignment: bool,
    /// Its agreed slot holds the instant of the contact.
    pub slot: bool,
}

/// A tie between person and seller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tie {
    /// A purchase or transaction, within the span.
    Purchase,
    /// An inquiry or application, within the span.
    Inquiry,
    /// A donation, within the span.
    Donation,
    /// A running contract.
    Contract,
    /// A contract that ended, within the span.
    EndedContract,
    /// Family, friend, acquaintance of the caller.
    Personal,
}

/// One way out of a rule. Every condition given must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exemption {
    /// A consent such as this covers the attempt. Where a SOFT_OPT_IN suffices, the offer must not be said to be unrelated
    /// (`offer_related` false): a soft opt-in is for own similar goods.
    pub consent: Option<Needs>,
    /// A tie such as this.
    pub tie: Option<Tie>,
    /// The tie must be this young: it ends at the start of the local day this long after the local day it dates from.
    pub within: Option<Span>,
    /// The offer must belong to the relationship (`offer_related`).
    pub related: bool,
    /// The offer is of one of these categories.
    pub offers: Set<OfferCategory>,
    /// The recipient has one of these legal forms.
    pub legal_forms: Set<LegalForm>,
    /// Any of these purposes.
    pub purposes: Set<Purpose>,
    /// The notice is required by law.
    pub legally_required: bool,
    /// Only under this posture of the tenant.
    pub posture: Option<Box<str>>,
    /// How sure this exemption is.
    pub confidence: Confidence,
    /// What it is, for the warning it may need.
    pub note: Box<str>,
}

/// What a cap or a cool-off must agree on to count an attempt. A missing field of the attempt agrees.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Channels counted; empty is any.
    pub channels: Set<Channel>,
    /// Technologies counted; empty is any.
    pub technologies: Set<Technology>,
    /// Purposes counted; empty is any.
    pub purposes: Set<Purpose>,
    /// Outcomes not counted.
    pub except: Vec<Outcome>,
    /// Where not empty, only these outcomes count (and attempts whose outcome is unknown).
    pub only: Vec<Outcome>,
    /// Same seller only.
    pub per_seller: bool,
    /// Same subject only.
    pub per_subject: bool,
    /// Same campaign only.
    pub per_campaign: bool,
}

/// The stretch of time a cap looks back over. Rolling and calendar windows are different things.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Window {
    /// Elapsed time: attempts strictly later than now minus this; a slot frees exactly this long after its attempt.
    Rolling(Millis),
    /// Local days, today being the last of them; judged in every plausible zone.
    Days(i32),
    /// The current local week (from Monday) or month; judged in every plausible zone.
    Calendar(Period),
}

/// The windows of some dates, in place of those of their weekday.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DateWindows {
    /// Which dates.
    pub calendar: Arc<Calendar>,
    /// 0: the dates themselves; 1: the days before them.
    pub days_before: i32,
    /// `[start, end)` in minutes after local midnight, in rising order, disjoint.
    pub windows: Vec<(u16, u16)>,
}

/// How old a copy of a registry may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// At most this old, the very span included.
    Age(Millis),
    /// Of the current local calendar month.
    Month,
    /// Of the latest of these days of the month, or younger; in rising order.
    SinceDay(Vec<u8>),
}

/// What starts a cool-off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// A conversation: an attempt with outcome CONVERSATION or REFUSED (who refused was spoken with), or
    /// `last_conversation_at`.
    Conversation,
    /// A refusal in the conversation: an attempt with outcome REFUSED.
    Refusal,
}

/// One band of a cross-border rule: up to so many persons, these mechanisms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Band {
    /// Fewer persons since 1 January than this; `None` is no ceiling.
    pub below: Option<u64>,
    /// Mechanisms that suffice; empty: none is needed.
    pub mechanisms: Vec<TransferMechanism>,
}

/// What a rule says, by kind.
#[derive(Clone, Debug)]
pub enum Body {
    /// Denies outside the windows of the local week, in any plausible zone (or in the fixed zone).
    Hours {
        /// The open windows.
        week: Week,
        /// Dates with windows of their own; the first that fits a day takes the place of the week.
        dates: Vec<DateWindows>,
        /// A fixed zone instead of the person's.
        zone: Option<ZoneId>,
    },
    /// Denies at the times the person called inconvenient, in any plausible zone.
    Inconvenient,
    /// Denies on the dates of a calendar, in any plausible zone.
    Holidays(Arc<Calendar>),
    /// Denies without a consent such as this.
    Consent(Needs),
    /// Denies what an opt-out covers and no later consent reopened.
    OptOut {
        /// Any opt-out of this seller since this instant, whatever its scope, blocks what the rule is about.
        whatever_scope_since: Option<Instant>,
    },
    /// Denies a listed number, and a number of which no fresh look says "not listed".
    Registry {
        /// The registry's canonical id.
        list: Box<str>,
        /// How old a copy may be.
        fresh: Freshness,
        /// An entry counts only from the local day this long after the local day it was made on; one of unknown date
        /// counts at once.
        bites_after: Option<Span>,
    },
    /// Denies when as many attempts as the limit lie in any of the windows.
    Cap {
        /// How many are allowed.
        limit: u32,
        /// Over which stretches; each counts by itself.
        windows: Vec<Window>,
        /// Which attempts.
        counts: Counts,
    },
    /// Denies until the start of the local day so many days after the day of the trigger.
    CoolOff {
        /// What starts it.
        after: Trigger,
        /// The first local day open again is the trigger's day plus this; `None`: it never ends.
        resumes_after_days: Option<i32>,
        /// Which triggers.
        counts: Counts,
    },
    /// Denies.
    Ban,
    /// Denies while a declared emergency covers the place.
    Emergency,
    /// Denies when a plausible age lies under this.
    Minor {
        /// Full years.
        under: u16,
    },
    /// Denies when the reassignment database said yes, and nothing undoes it.
    Reassigned,
    /// Denies a transfer out of the pack's jurisdiction without a mechanism its band accepts.
    CrossBorder {
        /// Bands in rising order; the first whose ceiling lies above the count decides. Empty: only the exemptions
        /// of the rule (a consent) let the data leave.
        bands: Vec<Band>,
    },
    /// Denies a shown number that breaks the rule; an obligation where none is given.
    CallerId {
        /// Where not empty, the number must begin with one of these (digits after `+`).
        allowed: Vec<Box<str>>,
        /// The number must begin with none of these.
        denied: Vec<Box<str>>,
    },
    /// An obligation of the campaign: the share of abandoned calls.
    Abandonment,
    /// How long records are kept; no part of a decision.
    Retention {
        /// The class of record.
        class: Box<str>,
        /// For how long.
        keep: Span,
    },
    /// Something an allowed contact must still do.
    Obligation {
        /// A short code for machines.
        code: Box<str>,
        /// A warning rather than a duty.
        warning: bool,
    },
    /// Words that mean stop, help or start in a text.
    Keywords {
        /// Stop words.
        stop: Vec<Box<str>>,
        /// Help words.
        help: Vec<Box<str>>,
        /// Start words.
        start: Vec<Box<str>>,
        /// A stop may be confirmed within this long, and not later.
        confirm_within: Option<Millis>,
        /// A stop in answer to a text of one of these purposes closes everything of the seller.
        stops_everything: Set<Purpose>,
    },
}

/// Where a rule stands in the series of versions of one provision. Nothing is decided by it: the lint holds the dates of a
/// series together, and a comparison of two dates tells a new version from a new rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// The rules of the same pack in whose place it stepped.
    pub replaces: Vec<Box<str>>,
    /// Why there are days between them that neither covers.
    pub gap: Option<Box<str>>,
    /// Why there are days that both cover.
    pub overlap: Option<Box<str>>,
    /// Why nothing follows it when it ends.
    pub ends: Option<Box<str>>,
}

/// One dated, cited provision.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id, such as `us.fl.cap`.
    pub id: Box<str>,
    /// Whose law it is.
    pub jurisdiction: Jurisdiction,
    /// The family of the reason it gives.
    pub family: Family,
    /// Which contacts it is about.
    pub applies: Applies,
    /// First instant it is in force.
    pub from: Instant,
    /// First instant it no longer is.
    pub until: Instant,
    /// What it followed, and what follows it.
    pub series: Series,
    /// Only under this posture of the tenant; and not under that one.
    pub posture: Option<Box<str>>,
    /// A posture of the tenant that switches it off.
    pub off_posture: Option<Box<str>>,
    /// What it says.
    pub body: Body,
    /// Ways out.
    pub unless: Vec<Exemption>,
    /// Where it stands written.
    pub citation: Box<str>,
    /// One plain sentence.
    pub summary: Box<str>,
    /// What would cure it, in plain words.
    pub remedy: Option<Box<str>>,
    /// How sure it is.
    pub confidence: Confidence,
    /// The line of its pack file on which it begins.
    pub line: usize,
}

impl Rule {
    /// Whether it is in force at an instant.
    #[must_use]
    pub fn in_force(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}
