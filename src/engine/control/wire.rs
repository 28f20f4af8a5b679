//! Freezes and states of emergency between the contract and the decision; and what is asked of them, read.

use crate::contact::wire::{Reader, Violation};
use crate::contact::{Campaign, PublishedPolicy, RecordClass, RetentionHold, Seller, SellerTransfer, Term};
use crate::decision::{Freeze, Target};
use crate::engine::Failure;
use crate::engine::answer::stamp;
use crate::law::{Declared, Law, WORDS_BYTES};
use crate::place::{self, Jurisdiction};
use crate::proto::store::{JudgedPolicy, JudgedTransfer};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// A freeze as kept, for a decision; `None` where a newer build wrote it.
pub(in crate::engine) fn freeze_of(message: &v1::Freeze) -> Option<Freeze> {
    Some(Freeze {
        id: message.freeze_id.as_str().into(),
        target: target_of(message.target.as_ref()?)?,
        who: message.who.as_str().into(),
        why: message.why.as_str().into(),
        from: instant(message.from.as_ref())?,
        until: at_or(message.until.as_ref(), Instant::FAR)?,
        lifted_at: message.lifted_at.as_ref().map(|at| instant(Some(at)).unwrap_or(Instant::FAR)),
    })
}

fn target_of(target: &v1::FreezeTarget) -> Option<Target> {
    use v1::freeze_target::Target as Wire;
    match target.target.as_ref()? {
        Wire::Everything(_) => Some(Target::Everything),
        Wire::Seller(name) => Seller::new(name).map(Target::Seller),
        Wire::Campaign(name) => Campaign::new(name).map(Target::Campaign),
        Wire::Place(code) => code.parse().ok().map(Target::Place),
    }
}

/// A freeze that a decision looked at.
pub(in crate::engine) fn freeze_message(freeze: &Freeze) -> v1::Freeze {
    use v1::freeze_target::Target as Wire;
    let target = match &freeze.target {
        Target::Everything => Wire::Everything(true),
        Target::Seller(seller) => Wire::Seller(seller.as_str().to_owned()),
        Target::Campaign(campaign) => Wire::Campaign(campaign.as_str().to_owned()),
        Target::Place(place) => Wire::Place(place.to_string()),
    };
    v1::Freeze {
        freeze_id: freeze.id.to_string(),
        target: Some(v1::FreezeTarget { target: Some(target) }),
        who: freeze.who.to_string(),
        why: freeze.why.to_string(),
        from: Some(stamp(freeze.from)),
        until: bounded(freeze.until),
        lifted_at: freeze.lifted_at.map(stamp),
        ..v1::Freeze::default()
    }
}

/// A state of emergency as kept, for a decision; `None` where a newer build wrote it.
pub(in crate::engine) fn emergency_of(message: &v1::Emergency) -> Option<Declared> {
    let until = at_or(message.until.as_ref(), Instant::FAR)?;
    let ended = at_or(message.ended_at.as_ref(), Instant::FAR)?;
    Some(Declared {
        id: message.emergency_id.as_str().into(),
        jurisdiction: message.jurisdiction.parse().ok()?,
        counties: message.counties.iter().map(|name| name.as_str().into()).collect(),
        title: message.title.as_str().into(),
        source: message.source.as_str().into(),
        from: at_or(message.from.as_ref(), Instant::NEVER)?,
        until: until.min(ended),
        declared_at: at_or(message.declared_at.as_ref(), Instant::NEVER)?,
    })
}

/// A state of emergency that a decision looked at, or one of a file.
pub(in crate::engine) fn emergency_message(state: &Declared) -> v1::Emergency {
    v1::Emergency {
        emergency_id: state.id.to_string(),
        jurisdiction: state.jurisdiction.to_string(),
        counties: state.counties.iter().map(ToString::to_string).collect(),
        title: state.title.to_string(),
        source: state.source.to_string(),
        from: bounded(state.from),
        until: bounded(state.until),
        declared_at: bounded(state.declared_at),
        ..v1::Emergency::default()
    }
}

/// A published policy as kept, for a decision; `None` where a newer build wrote it.
pub(in crate::engine) fn policy_of(message: &v1::PolicyVersion) -> Option<PublishedPolicy> {
    let material = match v1::PolicyChangeKind::try_from(message.kind).ok()? {
        v1::PolicyChangeKind::Material => true,
        v1::PolicyChangeKind::Cosmetic => false,
        v1::PolicyChangeKind::Unspecified => return None,
    };
    Some(PublishedPolicy {
        version: message.version.as_str().into(),
        effective_at: instant(message.effective_at.as_ref())?,
        material,
        purposes: message.purposes.iter().map(|number| Term::from_number(*number)).collect::<Option<_>>()?,
    })
}

/// A transfer as kept, for a decision; `None` where a newer build wrote it.
pub(in crate::engine) fn transfer_of(message: &v1::SellerTransfer) -> Option<SellerTransfer> {
    Some(SellerTransfer {
        from: Seller::new(&message.from_seller)?,
        to: Seller::new(&message.to_seller)?,
        keeps_terms: message.keeps_terms,
        at: instant(message.at.as_ref())?,
    })
}

/// A policy as a decision looked at it; `None` where a newer build wrote it.
pub(in crate::engine) fn judged_policy(judged: &JudgedPolicy) -> Option<PublishedPolicy> {
    Some(PublishedPolicy {
        version: judged.version.as_str().into(),
        effective_at: Instant::from_millis(judged.effective_at),
        material: judged.material,
        purposes: judged.purposes.iter().map(|number| Term::from_number(*number)).collect::<Option<_>>()?,
    })
}

/// A transfer as a decision looked at it; `None` where a newer build wrote it.
pub(in crate::engine) fn judged_transfer(judged: &JudgedTransfer) -> Option<SellerTransfer> {
    Some(SellerTransfer {
        from: Seller::new(&judged.from_seller)?,
        to: Seller::new(&judged.to_seller)?,
        keeps_terms: judged.keeps_terms,
        at: Instant::from_millis(judged.at),
    })
}

/// A hold as kept; `None` where a newer build wrote it.
pub(in crate::engine) fn hold_of(message: &v1::RetentionHold) -> Option<RetentionHold> {
    let number = match message.number.strip_prefix('+') {
        None if message.number.is_empty() => None,
        digits => Some(digits?.parse().ok()?),
    };
    let place = match message.place.as_str() {
        "" => None,
        code => Some(code.parse().ok()?),
    };
    Some(RetentionHold {
        id: message.hold_id.as_str().into(),
        number,
        seller: Seller::new(&message.seller),
        place,
        classes: message.record_classes.iter().map(|n| RecordClass::from_number(*n)).collect::<Option<_>>()?,
        until: message.until.as_ref().map(|at| instant(Some(at))).unwrap_or_default(),
        months_from_purchase: (message.months_from_purchase > 0)
            .then(|| i32::try_from(message.months_from_purchase).unwrap_or(i32::MAX)),
        why: message.why.as_str().into(),
    })
}

fn bounded(at: Instant) -> Option<Timestamp> {
    (at != Instant::FAR && at != Instant::NEVER).then(|| stamp(at))
}

fn instant(stamp: Option<&Timestamp>) -> Option<Instant> {
    stamp?.to_millis().map(Instant::from_millis)
}

fn at_or(stamp: Option<&Timestamp>, otherwise: Instant) -> Option<Instant> {
    if stamp.is_none() { Some(otherwise) } else { instant(stamp) }
}

/// What is to be frozen, as it will be kept.
pub(in crate::engine) fn target(reader: &mut Reader, message: Option<&v1::FreezeTarget>) -> Option<v1::FreezeTarget> {
    use v1::freeze_target::Target as Wire;
    let Some(target) = message.and_then(|message| message.target.as_ref()) else {
        reader.fault("target", "is required: everything, seller, campaign or place");
        return None;
    };
    let mut name = |field: &str, text: &String| {
        if text.trim().is_empty() {
            reader.fault(field, "is empty");
        }
        reader.name(field, text, |text| Some(text.to_owned()))
    };
    let target = match target {
        Wire::Everything(true) => Wire::Everything(true),
        Wire::Everything(false) => {
            reader.fault("target.everything", "is false: leave it out, or name a seller, campaign or place");
            return None;
        }
        Wire::Seller(text) => Wire::Seller(name("target.seller", text)?),
        Wire::Campaign(text) => Wire::Campaign(name("target.campaign", text)?),
        Wire::Place(code) => Wire::Place(known_place(reader, "target.place", code)?.to_string()),
    };
    Some(v1::FreezeTarget { target: Some(target) })
}

/// A place that some contact may be in: a switch with a mistyped code would reach nobody.
pub(in crate::engine) fn known_place(reader: &mut Reader, field: &str, code: &str) -> Option<Jurisdiction> {
    if code.is_empty() {
        reader.fault(field, "is required: an ISO 3166 code such as FR or US-NY");
    }
    let place = reader.jurisdiction(field, code)?;
    let known = place::known_as(place);
    if known.is_none() {
        reader.fault(field, format!("{place} is no place that is known"));
    }
    known
}

/// Counties of a place, as its pack spells them.
pub(in crate::engine) fn counties(
    reader: &mut Reader,
    law: &Law,
    place: Option<Jurisdiction>,
    names: &[String],
) -> Vec<String> {
    match place.map(|place| law.counties(place, names)) {
        Some(Ok(counties)) => counties.iter().map(ToString::to_string).collect(),
        Some(Err(what)) => {
            reader.fault("counties", what);
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// A required word of who did something.
pub(in crate::engine) fn who(reader: &mut Reader, text: &str) {
    if text.trim().is_empty() {
        reader.fault("who", "is required: the person or system that does it");
    }
    reader.name("who", text, |text| Some(text.len()));
}

/// A required sentence.
pub(in crate::engine) fn sentence(reader: &mut Reader, field: &str, text: &str) {
    if text.trim().is_empty() {
        reader.fault(field, "is required");
    } else if text.len() > WORDS_BYTES {
        reader.fault(field, format!("is {} bytes long; at most {WORDS_BYTES} are accepted", text.len()));
    } else if text.chars().any(char::is_control) {
        reader.fault(field, "holds a control character");
    }
}

/// An id of something to be lifted or ended.
pub(in crate::engine) fn id(reader: &mut Reader, field: &str, text: &str) {
    if text.is_empty() {
        reader.fault(field, "is required: see the list");
    }
    reader.name(field, text, |text| Some(text.len()));
}

/// Nothing, or every fault.
pub(in crate::engine) fn sound(reader: Reader) -> Result<(), Failure> {
    let violations: Vec<Violation> = reader.violations();
    if violations.is_empty() { Ok(()) } else { Err(Failure::Invalid(violations)) }
}
