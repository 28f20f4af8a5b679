//! Facts to and from the messages of the contract. Every fault is collected, each with the path of its field.
//!
//! What a caller sends is judged here once; what a record holds passed here when it was recorded, so that reading it
//! again cannot fault: a fact that no longer reads is dropped to the strictest reading (it covers nothing).

use crate::place::Jurisdiction;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, Millis, day_of};

use super::{
    Age, AttemptId, Campaign, Consent, Facts, FrequencyCap, InconvenientTime, OptOut, PastAttempt, Period, Policy,
    RegistryCheck, Relationship, Scope, Seller, Set, Slot, Subject, Term, Transfer,
};

/// The longest name (seller, subject, campaign, id) accepted, in bytes.
pub const NAME_BYTES: usize = 128;
/// The longest free text accepted, in bytes.
pub const TEXT_BYTES: usize = 16 * 1024;
/// The most entries of one list of evidence.
pub const LIST_ENTRIES: usize = crate::proto::weigh::ENTRIES;

/// One fault of a request: which field, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The path, such as `evidence.consents[0].given_at`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Collects faults while a message is read, so that a caller learns of all of them at once.
#[derive(Debug, Default)]
pub struct Reader {
    path: String,
    violations: Vec<Violation>,
}

impl Reader {
    /// Starts at the top of a message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was found.
    #[must_use]
    pub fn violations(self) -> Vec<Violation> {
        self.violations
    }

    /// Notes a fault of a field of the message being read.
    pub fn fault(&mut self, field: &str, message: impl Into<String>) {
        let dot = if self.path.is_empty() || field.is_empty() { "" } else { "." };
        self.violations.push(Violation { field: format!("{}{dot}{field}", self.path), message: message.into() });
    }

    /// Reads a message within a field.
    pub fn within<T>(&mut self, field: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(field);
        let value = read(self);
        self.path.truncate(length);
        value
    }

    /// Reads each message of a list.
    pub fn each<M, T>(&mut self, field: &str, list: &[M], mut read: impl FnMut(&mut Self, &M) -> Option<T>) -> Vec<T> {
        if list.len() > LIST_ENTRIES {
            self.fault(field, format!("has {} entries; at most {LIST_ENTRIES} are accepted", list.len()));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(list.len());
        for (index, message) in list.iter().enumerate() {
            // The path is only built where a fault may need it: most lists are short and clean.
            values.extend(self.within(&format!("{field}[{index}]"), |reader| read(reader, message)));
        }
        values
    }

    /// A term: unspecified is `None`, a number the contract does not have is a fault.
    pub fn term<T: Term>(&mut self, field: &str, number: i32) -> Option<T> {
        let term = T::from_number(number);
        if term.is_none() && number != 0 {
            self.fault(field, format!("{} is not a {} of this contract", plain(number.into()), T::WHAT));
        }
        term
    }

    /// A set of terms: an unspecified member is a fault, since a list that names nothing would mean any.
    pub fn set<T: Term>(&mut self, field: &str, numbers: &[i32]) -> Set<T> {
        let mut set = Set::EMPTY;
        for number in numbers {
            match T::from_number(*number) {
                Some(term) => set = set.with(term),
                None => self.fault(field, format!("{} is not a {} of this contract", plain((*number).into()), T::WHAT)),
            }
        }
        set
    }

    /// An instant of a fact: years 1900 to 2199.
    pub fn instant(&mut self, field: &str, stamp: Option<&Timestamp>) -> Option<Instant> {
        const FIRST: i64 = -2_208_988_800_000;
        const LAST: i64 = 7_258_118_400_000;
        match stamp?.to_millis() {
            Some(millis) if (FIRST..LAST).contains(&millis) => Some(Instant::from_millis(millis)),
            _ => {
                self.fault(field, "is not an instant of the years 1900 to 2199");
                None
            }
        }
    }

    /// A name that something goes by; empty is `None`.
    pub fn name<T>(&mut self, field: &str, text: &str, make: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if text.len() > NAME_BYTES {
            self.fault(field, format!("is {} bytes long; at most {NAME_BYTES} are accepted", text.len()));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.fault(field, "holds a control character");
            return None;
        }
        make(text)
    }

    /// Names, none of them empty.
    fn names<T>(&mut self, field: &str, texts: &[String], make: impl Fn(&str) -> Option<T>) -> Vec<T> {
        self.each(field, texts, |reader, text| {
            if text.is_empty() {
                reader.fault("", "is empty");
            }
            reader.name("", text, &make)
        })
    }

    /// Free text; empty is `None`.
    pub fn text(&mut self, field: &str, text: &str) -> Option<Box<str>> {
        if text.len() > TEXT_BYTES {
            self.fault(field, format!("is {} bytes long; at most {TEXT_BYTES} are accepted", text.len()));
            return None;
        }
        (!text.is_empty()).then(|| text.into())
    }

    /// A jurisdiction; empty is `None`.
    pub fn jurisdiction(&mut self, field: &str, code: &str) -> Option<Jurisdiction> {
        if code.is_empty() {
            return None;
        }
        match code.parse() {
            Ok(jurisdiction) => Some(jurisdiction),
            Err(error) => {
                self.fault(field, format!("`{}` is {error}", short(code)));
                None
            }
        }
    }
}

/// A count or term that a caller wrote. One so long that it may be a number in the wrong field is not said back.
pub(crate) fn plain(number: i64) -> String {
    if (-999_999..=999_999).contains(&number) { number.to_string() } else { "what stands there".to_owned() }
}

/// What a caller wrote, cut to a length fit for a message. Digits that could be of a number are not said back.
pub fn short(text: &str) -> String {
    let many = text.bytes().filter(u8::is_ascii_digit).count() > 8;
    let shown = text.chars().take(32).map(|c| if many && c.is_ascii_digit() { '•' } else { c });
    shown.flat_map(char::escape_debug).collect()
}

/// Evidence asserted with a check.
pub fn evidence(reader: &mut Reader, message: &v1::Evidence) -> Facts {
    let mut facts = Facts {
        consents: reader.each("consents", &message.consents, |r, m| Some(consent(r, m))),
        opt_outs: reader.each("opt_outs", &message.opt_outs, |r, m| Some(opt_out(r, m))),
        relationships: message
            .relationship
            .as_ref()
            .map(|m| reader.within("relationship", |r| relationship(r, m)))
            .into_iter()
            .collect(),
        registry_checks: reader.each("registry_checks", &message.registry_checks, registry_check),
        attempts: reader.each("attempts", &message.attempts, attempt),
        last_conversation_at: reader.instant("last_conversation_at", message.last_conversation_at.as_ref()),
        first_notice_at: reader.instant("first_notice_at", message.first_notice_at.as_ref()),
        inconvenient_times: reader.each("inconvenient_times", &message.inconvenient_times, weekly_window),
        policy: message.policy.as_ref().and_then(|m| reader.within("policy", |r| policy(r, m))),
        transfer: message.transfer.as_ref().map(|m| reader.within("transfer", |r| transfer(r, m))),
        reassigned: super::answers::read(reader, message.reassigned.as_ref(), &message.reassigned_before),
        ..Facts::default()
    };
    facts.ages.extend(message.age.and_then(|years| age(reader, years)));
    facts.ages.extend(birth_date(reader, &message.birth_date));
    facts
}

/// An age in full years.
pub fn age(reader: &mut Reader, years: u32) -> Option<Age> {
    let known = u16::try_from(years).ok().filter(|years| *years <= 150).map(Age::Years);
    if known.is_none() {
        reader.fault("age", format!("{} is not an age in full years, 0 to 150", plain(years.into())));
    }
    known
}

/// A day of birth; empty is `None`.
pub fn birth_date(reader: &mut Reader, text: &str) -> Option<Age> {
    if text.is_empty() {
        return None;
    }
    let date = text.parse::<jiff::civil::Date>().ok().filter(|date| (1850..2200).contains(&date.year()));
    if date.is_none() {
        reader.fault("birth_date", format!("`{}` is not a date such as 1990-12-31", short(text)));
    }
    date.map(|date| Age::BornOn(day_of(date)))
}

/// A consent.
pub fn consent(reader: &mut Reader, message: &v1::Consent) -> Consent {
    let frequency_cap = message.frequency_cap.as_ref().and_then(|cap| {
        let period = match cap.period.as_str() {
            "day" => Some(Period::Day),
            "week" => Some(Period::Week),
            "month" => Some(Period::Month),
            other => {
                let message = format!("`{}` is not a period; one of day, week, month", short(other));
                reader.fault("frequency_cap.period", message);
                None
            }
        };
        period.map(|period| FrequencyCap { count: cap.count, period })
    });
    let preferred_slot = message.preferred_slot.as_ref().and_then(|slot| {
        reader.within("preferred_slot", |reader| {
            let starts_at = reader.instant("starts_at", slot.starts_at.as_ref());
            let told = reader.instant("ends_at", slot.ends_at.as_ref());
            let ends_at = told.or_else(|| starts_at.map(|start| start.plus(Millis::seconds(60))));
            let slot = starts_at.zip(ends_at).map(|(starts_at, ends_at)| Slot { starts_at, ends_at });
            if slot.is_none_or(|slot| slot.ends_at <= slot.starts_at) {
                reader.fault("", "needs starts_at, and ends_at later than it");
            }
            slot
        })
    });
    Consent {
        id: reader.name("consent_id", &message.consent_id, |t| (!t.is_empty()).then(|| t.into())),
        grade: reader.term("grade", message.grade),
        flags: reader.set("flags", &message.flags),
        channels: reader.set("channels", &message.channels),
        technologies: reader.set("technologies", &message.technologies),
        purposes: reader.set("purposes", &message.purposes),
        sellers: reader.names("sellers", &message.sellers, Seller::new),
        products: reader.names("products", &message.products, Subject::new),
        given_at: reader.instant("given_at", message.given_at.as_ref()),
        expires_at: reader.instant("expires_at", message.expires_at.as_ref()),
        withdrawn_at: reader.instant("withdrawn_at", message.withdrawn_at.as_ref()),
        last_used_at: reader.instant("last_used_at", message.last_used_at.as_ref()),
        preferred_slot,
        policy_version: reader.text("policy_version", &message.policy_version),
        obtained_from: reader.text("obtained_from", &message.obtained_from),
        frequency_cap,
        method: reader.term("method", message.method),
        wording: reader.text("wording", &message.wording),
        notice_given: message.notice_given,
        forced: message.forced,
        evidence_ref: reader.text("evidence_ref", &message.evidence_ref),
        recorded_at: None,
        overtaken_at: None,
    }
}

/// An opt-out. A scope that names nothing is a fault: it would reach nothing, and nobody says stop meaning that.
pub fn opt_out(reader: &mut Reader, message: &v1::OptOut) -> OptOut {
    OptOut {
        id: reader.name("opt_out_id", &message.opt_out_id, |t| (!t.is_empty()).then(|| t.into())),
        scope: reader.within("scope", |r| scope(r, message.scope.as_ref())),
        at: reader.instant("at", message.at.as_ref()),
        source: reader.term("source", message.source),
        recorded_at: None,
    }
}

/// The scope of an opt-out.
pub fn scope(reader: &mut Reader, message: Option<&v1::OptOutScope>) -> Scope {
    let default = v1::OptOutScope::default();
    let message = message.unwrap_or(&default);
    let scope = Scope {
        channels: reader.set("channels", &message.channels),
        purposes: reader.set("purposes", &message.purposes),
        sellers: reader.names("sellers", &message.sellers, Seller::new),
        subjects: reader.names("subjects", &message.subjects, Subject::new),
        everything: message.everything,
        campaigns: reader.names("campaigns", &message.campaigns, Campaign::new),
    };
    if *message == default {
        reader.fault("", "is empty: name channels, purposes, sellers, subjects or campaigns, or set everything");
    }
    scope
}

/// A relationship with a seller.
pub fn relationship(reader: &mut Reader, message: &v1::Relationship) -> Relationship {
    Relationship {
        seller: reader.name("seller", &message.seller, Seller::new),
        last_purchase_at: reader.instant("last_purchase_at", message.last_purchase_at.as_ref()),
        last_inquiry_at: reader.instant("last_inquiry_at", message.last_inquiry_at.as_ref()),
        last_donation_at: reader.instant("last_donation_at", message.last_donation_at.as_ref()),
        contract_active: message.contract_active,
        contract_ended_at: reader.instant("contract_ended_at", message.contract_ended_at.as_ref()),
        offer_related: message.offer_related,
        personal: message.personal,
    }
}

/// A look at a registry.
pub fn registry_check(reader: &mut Reader, message: &v1::RegistryCheck) -> Option<RegistryCheck> {
    let registry = reader.name("registry", &message.registry, |t| (!t.is_empty()).then(|| t.into()));
    if registry.is_none() {
        reader.fault("registry", "is missing: name the list, such as us.dnc.national");
    }
    Some(RegistryCheck {
        registry: registry?,
        listed: message.listed,
        checked_at: reader.instant("checked_at", message.checked_at.as_ref()),
        as_of: reader.instant("as_of", message.as_of.as_ref()),
        listed_at: reader.instant("listed_at", message.listed_at.as_ref()),
    })
}

/// An earlier attempt. It needs its instant: one that happened at no time cannot be counted, nor left uncounted.
pub fn attempt(reader: &mut Reader, message: &v1::Attempt) -> Option<PastAttempt> {
    let at = reader.instant("at", message.at.as_ref());
    if message.at.is_none() {
        reader.fault("at", "is missing: an attempt needs its instant");
    }
    let past = PastAttempt {
        id: reader.name("attempt_id", &message.attempt_id, AttemptId::new),
        earliest: at?,
        latest: at?,
        ended_at: reader.instant("ended_at", message.ended_at.as_ref()),
        channel: reader.term("channel", message.channel),
        technology: reader.term("technology", message.technology),
        purpose: reader.term("purpose", message.purpose),
        outcome: reader.term("outcome", message.outcome),
        seller: reader.name("seller", &message.seller, Seller::new),
        subject: reader.name("subject", &message.subject, Subject::new),
        campaign: reader.name("campaign", &message.campaign, Campaign::new),
    };
    // What was never made counts against nothing.
    (past.outcome != Some(super::Outcome::NotAttempted)).then_some(past)
}

/// A weekly window.
pub fn weekly_window(reader: &mut Reader, message: &v1::WeeklyWindow) -> Option<InconvenientTime> {
    let mut weekdays = 0u8;
    for number in &message.weekdays {
        match number {
            1..=7 => weekdays |= 1 << (number - 1),
            _ => reader.fault("weekdays", format!("{} is not a weekday of this contract", plain((*number).into()))),
        }
    }
    let clock = |text: &str, empty: u16| {
        if text.is_empty() {
            return Some(empty);
        }
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60 || hour == 24 && minute == 0).then_some(hour * 60 + minute)
    };
    let (start, end) = (clock(&message.start, 0), clock(&message.end, 1440));
    if start.is_none_or(|start| start == 1440) {
        reader.fault("start", format!("`{}` is not a time of day such as 17:30", short(&message.start)));
    }
    if end.is_none() {
        reader.fault("end", format!("`{}` is not a time of day such as 17:30", short(&message.end)));
    }
    let weekdays = if message.weekdays.is_empty() { 0x7f } else { weekdays };
    Some(InconvenientTime { weekdays, start: start.filter(|start| *start < 1440)?, end: end? })
}

/// The tenant's policy.
pub fn policy(reader: &mut Reader, message: &v1::Policy) -> Option<Policy> {
    let current_version = reader.text("current_version", &message.current_version);
    if current_version.is_none() {
        reader.fault("current_version", "is missing");
    }
    let effective_at = reader.instant("effective_at", message.effective_at.as_ref());
    Some(Policy { current_version: current_version?, material: message.material, effective_at })
}

/// Where data goes.
pub fn transfer(reader: &mut Reader, message: &v1::Transfer) -> Transfer {
    Transfer {
        to: reader.jurisdiction("to", &message.to),
        mechanism: reader.term("mechanism", message.mechanism),
        persons_since_january: message.persons_since_january.map(u64::from),
    }
}
