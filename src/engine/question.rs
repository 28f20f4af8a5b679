//! A check as asked becomes the question to decide, or every fault of it at once.

use std::ops::Range;

use crate::contact::wire::{self, Reader, Violation};
use crate::contact::{
    AttemptId, Campaign, Channel, ExemptionGround, Facts, Purpose, Seller, Set, Subject, Technology, Term,
};
use crate::decision::Attempt;
use crate::place::{Jurisdiction, Number, NumberError};
use crate::proto::v1;
use crate::time::{Instant, ZoneId};

/// Questions are about these years: outside them neither zone data nor packs mean anything.
const YEARS: Range<Instant> = Instant::from_millis(946_684_800_000)..Instant::from_millis(4_102_444_800_000);
/// The longest text that is looked at as a number.
pub(super) const NUMBER_BYTES: usize = 250;

/// A check, read.
#[derive(Debug)]
pub struct Checked {
    /// The number, or why it is none: that is a DENY, not an error.
    pub number: Result<Number, NumberError>,
    /// What is about to happen.
    pub attempt: Attempt,
    /// What the caller says is known.
    pub facts: Facts,
    /// The caller's id of the attempt.
    pub attempt_id: Option<AttemptId>,
    /// Count nothing.
    pub dry_run: bool,
    /// Another instant to answer for.
    pub at: Option<Instant>,
}

/// Reads a check.
///
/// # Errors
/// Every fault, each with its field.
pub fn read(request: &v1::CheckRequest, server_region: Option<Jurisdiction>) -> Result<Checked, Vec<Violation>> {
    let mut reader = Reader::new();
    let number = number(&mut reader, &request.number, &request.default_region);
    let channel = required::<Channel>(&mut reader, "channel", request.channel);
    let purpose = required::<Purpose>(&mut reader, "purpose", request.purpose);
    let seller = reader.name("seller", &request.seller, Seller::new);
    if request.seller.is_empty() {
        reader.fault("seller", "is required: on whose behalf the contact is made");
    }
    let technologies = match reader.term::<Technology>("technology", request.technology) {
        Some(technology) => Set::one(technology),
        None => Set::all(),
    };
    let mut facts = match &request.evidence {
        None => Facts::default(),
        Some(evidence) => reader.within("evidence", |reader| wire::evidence(reader, evidence)),
    };
    facts.recipients = reader.term("recipient", request.recipient).into_iter().collect();
    facts.line_types = reader.term("line_type", request.line_type).into_iter().collect();
    facts.legal_forms = reader.term("legal_form", request.legal_form).into_iter().collect();
    let location = request.location.clone().unwrap_or_default();
    facts.residences.extend(reader.within("location", |reader| residence(reader, &location.residence)));
    let attempt = Attempt {
        channel: channel.unwrap_or(Channel::Call),
        technologies,
        purpose: purpose.unwrap_or(Purpose::Marketing),
        seller: seller.clone().or_else(|| Seller::new("?")).ok_or_else(Vec::new)?,
        subject: reader.name("subject", &request.subject, Subject::new),
        campaign: reader.name("campaign", &request.campaign, Campaign::new),
        offer: reader.term("offer_category", request.offer_category),
        caller_id: caller_id(&mut reader, request, number.as_ref().ok()),
        legally_required: request.legally_required,
        county: reader.within("location", |r| r.name("county", &location.county, some)),
        postal_code: reader.within("location", |r| r.name("postal_code", &location.postal_code, some)),
        time_zone: reader.within("location", |reader| zone(reader, "time_zone", &location.time_zone)),
        processing_regions: reader
            .jurisdiction("processing_region", &request.processing_region)
            .into_iter()
            .chain(server_region)
            .collect(),
    };
    for (field, text) in [("person", &request.person), ("household", &request.household)] {
        let _: Option<String> = reader.name(field, text, some);
    }
    postal_code(&mut reader, &number, &attempt, &facts);
    let at = instant(&mut reader, request);
    if attempt.legally_required && attempt.purpose == Purpose::Marketing {
        reader.fault("legally_required", "no law requires marketing: leave it out or state the real purpose");
    }
    if let Some(claim) = &request.exemption {
        reader.within("exemption", |reader| exemption(reader, claim));
        if purpose == Some(Purpose::Marketing) {
            reader.fault("exemption", "no exemption opens marketing: leave it out or state the real purpose");
        }
    }
    let attempt_id = reader.name("attempt_id", &request.attempt_id, AttemptId::new);
    // What is asked again does not stand in its own way, whoever tells of it.
    facts.attempts.retain(|past| past.outcome.is_some() || past.id.is_none() || past.id != attempt_id);
    let violations = reader.violations();
    match violations.is_empty() {
        true => Ok(Checked { number, attempt, facts, attempt_id, dry_run: request.dry_run, at }),
        false => Err(violations),
    }
}

/// Reads the number of any request. Only a `default_region` that is no region is a fault; the rest is a finding.
pub fn number(reader: &mut Reader, text: &str, default_region: &str) -> Result<Number, NumberError> {
    if text.len() > NUMBER_BYTES {
        return Err(NumberError::TooLong);
    }
    let number = Number::parse(text, Some(default_region));
    if number == Err(NumberError::BadRegion) {
        reader.fault("default_region", "is not an ISO 3166 country such as FR");
    }
    number
}

fn required<T: Term>(reader: &mut Reader, field: &str, value: i32) -> Option<T> {
    let term = reader.term(field, value);
    if value == 0 {
        let all: Vec<_> = T::ALL.iter().map(|term| term.word().to_uppercase()).collect();
        reader.fault(field, format!("is required: one of {}", all.join(", ")));
    }
    term
}

/// An exemption is claimed with its reason and its proof, or not at all.
fn exemption(reader: &mut Reader, claim: &v1::ExemptionClaim) {
    reader.term::<ExemptionGround>("ground", claim.ground);
    if claim.ground == 0 {
        reader.fault("ground", "is required: which exemption it is");
    }
    for (field, text) in [("reason", &claim.reason), ("evidence_ref", &claim.evidence_ref)] {
        if reader.text(field, text).is_none() && text.is_empty() {
            reader.fault(field, "is required beside the ground of an exemption");
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn residence(reader: &mut Reader, code: &str) -> Option<Jurisdiction> {
    let residence = reader.jurisdiction("residence", code)?;
    let location = crate::place::Location { residences: [residence].into_iter().collect(), ..Default::default() };
    // The number does not matter to whether a country exists.
    let probe = Number::from_digits(4_930_231_250)?;
    match crate::place::resolve(probe, &location, crate::place::LocationPosture::Strictest) {
        Ok(_) => Some(residence),
        Err(error) => {
            reader.fault("residence", error.to_string());
            None
        }
    }
}

fn postal_code(reader: &mut Reader, number: &Result<Number, NumberError>, attempt: &Attempt, facts: &Facts) {
    let Ok(number) = number else { return };
    if attempt.postal_code.is_none() {
        return;
    }
    let location = crate::place::Location {
        residences: facts.residences.iter().copied().collect(),
        county: None,
        postal_code: attempt.postal_code.clone(),
        time_zone: None,
    };
    if let Err(error) = crate::place::resolve(*number, &location, crate::place::LocationPosture::Strictest) {
        reader.fault(error.field(), error.to_string());
    }
}

/// An IANA zone; empty is `None`.
pub fn zone(reader: &mut Reader, field: &str, name: &str) -> Option<ZoneId> {
    if name.is_empty() {
        return None;
    }
    let zone = if name.len() > 64 { None } else { ZoneId::by_name(name) };
    if zone.is_none() {
        reader.fault(field, "is not an IANA time zone such as America/Phoenix");
    }
    zone
}

/// The number shown, as digits of its E.164 form where it is a number: international, or national in the region told or
/// that of the number called. A name stays as it is.
fn caller_id(reader: &mut Reader, request: &v1::CheckRequest, called: Option<&Number>) -> Option<Box<str>> {
    let text: String = reader.name("caller_id", &request.caller_id, some)?;
    let region = match request.default_region.as_str() {
        "" => called.and_then(|number| {
            let location = crate::place::Location::default();
            let found = crate::place::resolve(*number, &location, crate::place::LocationPosture::Strictest).ok()?;
            found.plausible.iter().next().map(|place| crate::place::country_group(place.jurisdiction).to_string())
        }),
        told => Some(told.to_owned()),
    };
    match Number::parse(&text, region.as_deref()) {
        Ok(number) => Some(number.reveal_digits().to_string().into()),
        Err(_) => Some(text.strip_prefix('+').unwrap_or(&text).replace([' ', '-', '(', ')', '.'], "").into()),
    }
}

fn instant(reader: &mut Reader, request: &v1::CheckRequest) -> Option<Instant> {
    let stamp = request.at.as_ref()?;
    if !request.dry_run {
        reader.fault("at", "goes only with dry_run: a live check is about now");
    }
    match stamp.to_millis().map(Instant::from_millis) {
        Some(at) if YEARS.contains(&at) => Some(at),
        _ => {
            reader.fault("at", "lies outside the years 2000 to 2099");
            None
        }
    }
}
