//! The question put to the product at one minute, with evidence that satisfies every rule but those of the clock.

use std::fmt;

use jiff::Timestamp;
use ringfence::contact::{
    Channel, Consent, Facts, Flag, Grade, OfferCategory, Purpose, Recipient, RegistryCheck, Relationship, Seller, Set,
    Subject, Technology, Term,
};
use ringfence::decision::{Attempt, Decision, Evidence, NoLists, Postures, Question, Switches, decide};
use ringfence::law::{Body, Family, Law};
use ringfence::place::Number;
use ringfence::time::{Instant, Millis};

use super::tables::Place;

/// Kinds of contact, as the tables name them.
const KINDS: [(&str, Purpose, Channel, Technology); 9] = [
    ("call", Purpose::Marketing, Channel::Call, Technology::Manual),
    ("recorded", Purpose::Marketing, Channel::Call, Technology::Prerecorded),
    ("text", Purpose::Marketing, Channel::Text, Technology::Autodialer),
    ("finance", Purpose::Marketing, Channel::Call, Technology::Manual),
    ("charity", Purpose::Charity, Channel::Call, Technology::Manual),
    ("survey", Purpose::Survey, Channel::Call, Technology::Manual),
    ("debt", Purpose::DebtCollection, Channel::Call, Technology::Manual),
    ("debt_recorded", Purpose::DebtCollection, Channel::Call, Technology::Prerecorded),
    ("debt_text", Purpose::DebtCollection, Channel::Text, Technology::Autodialer),
];

/// What is known of the person.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Known {
    /// No consent; every list is clear.
    Nothing,
    /// Express written consent with every flag but NIGHT; every list is clear.
    Written,
    /// The same with NIGHT.
    Night,
}

/// A kind of contact with a person of whom so much is known.
#[derive(Clone, Copy, Debug)]
pub struct Contact {
    /// A kind of the tables.
    pub kind: &'static str,
    /// What is known.
    pub known: Known,
}

impl Contact {
    /// Reads `call`, `call+nothing` or `call+night`.
    pub fn read(text: &str) -> Self {
        let (kind, known) = match text.split_once('+') {
            None => (text, Known::Written),
            Some((kind, "nothing")) => (kind, Known::Nothing),
            Some((kind, "night")) => (kind, Known::Night),
            Some(_) => panic!("what is known? {text}"),
        };
        let kind =
            KINDS.iter().find(|(name, ..)| *name == kind).unwrap_or_else(|| panic!("no kind of contact: {text}"));
        Self { kind: kind.0, known }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known {
            Known::Written => f.write_str(self.kind),
            Known::Nothing => write!(f, "{}+nothing", self.kind),
            Known::Night => write!(f, "{}+night", self.kind),
        }
    }
}

/// Whether only the clock and the calendar speak.
pub fn is_of_time(family: Family) -> bool {
    matches!(family, Family::QuietHours | Family::Holiday)
}

/// One question, ready to be put at any minute of its week.
pub struct Asker<'a> {
    law: &'a Law,
    number: Number,
    attempt: Attempt,
    asserted: Facts,
    stored: Facts,
    postures: Postures,
}

impl<'a> Asker<'a> {
    /// `from`: the first minute that will be asked about.
    pub fn new(law: &'a Law, place: &Place, contact: Contact, from: Timestamp) -> Self {
        let (_, purpose, channel, technology) = *KINDS.iter().find(|(name, ..)| *name == contact.kind).unwrap();
        let attempt = Attempt {
            channel,
            technologies: Set::one(technology),
            purpose,
            seller: Seller::new("acme").unwrap(),
            subject: Subject::new("renewal"),
            campaign: None,
            offer: (contact.kind == "finance").then_some(OfferCategory::Finance),
            caller_id: None,
            legally_required: false,
            postal_code: None,
            county: None,
            time_zone: place.asserted_zone,
            processing_regions: Vec::new(),
        };
        let month_ago = instant(from).minus(Millis::days(30));
        let asserted = Facts {
            consents: consent(contact.known, month_ago).into_iter().collect(),
            registry_checks: clear(law),
            relationships: vec![Relationship { last_purchase_at: Some(month_ago), ..Relationship::default() }],
            recipients: Set::one(Recipient::Consumer),
            residences: place.residence.into_iter().collect(),
            ..Facts::default()
        };
        let number = Number::parse(&place.number, None).unwrap();
        Self { law, number, attempt, asserted, stored: Facts::default(), postures: Postures::default() }
    }

    /// The answer at one minute, in which every list has just been looked up.
    pub fn decide(&mut self, at: Timestamp) -> Decision {
        for check in &mut self.asserted.registry_checks {
            check.checked_at = Some(instant(at));
        }
        let evidence = Evidence { asserted: &self.asserted, stored: &self.stored, lists: &NoLists, live: false };
        decide(&Question {
            number: self.number,
            attempt: &self.attempt,
            evidence,
            law: self.law,
            switches: Switches::NONE,
            postures: &self.postures,
            now: instant(at),
        })
    }
}

fn instant(at: Timestamp) -> Instant {
    Instant::from_millis(at.as_millisecond())
}

/// The first instant at which the answer is another, as the decision itself says.
pub fn stands_until(decision: &Decision) -> Timestamp {
    let until = if decision.allows() { decision.valid_until } else { decision.retry_at };
    until.map_or(Timestamp::MAX, |until| Timestamp::from_millisecond(until.millis()).unwrap())
}

fn consent(known: Known, given_at: Instant) -> Option<Consent> {
    let flags = match known {
        Known::Nothing => return None,
        Known::Written => Flag::ALL.iter().copied().filter(|flag| *flag != Flag::Night).collect(),
        Known::Night => Set::all(),
    };
    Some(Consent {
        grade: Some(Grade::ExpressWritten),
        flags,
        technologies: Set::all(),
        given_at: Some(given_at),
        notice_given: Some(true),
        forced: Some(false),
        evidence_ref: Some("form-1".into()),
        ..Consent::default()
    })
}

/// Every list there is, and clear.
fn clear(law: &Law) -> Vec<RegistryCheck> {
    let mut lists: Vec<&str> = Vec::new();
    for rule in law.packs().iter().flat_map(|pack| &pack.rules) {
        if let Body::Registry { list, .. } = &rule.body
            && !lists.contains(&&**list)
        {
            lists.push(list);
        }
    }
    let look = |list: &&str| RegistryCheck {
        registry: (*list).into(),
        listed: Some(false),
        checked_at: None,
        as_of: None,
        listed_at: None,
    };
    lists.iter().map(look).collect()
}
