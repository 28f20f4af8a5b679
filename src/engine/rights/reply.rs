//! What may be written to the person as a request stands: plain words, with the law, the reason and the way to complain.

use super::{Settings, requester, state_of};
use crate::contact::{Refusal, Requester, RightsKind, RightsState, Term};
use crate::proto::v1;

/// The words.
pub(super) fn text(request: &v1::RightsRequest, settings: &Settings) -> String {
    let mut said = vec![opening(request)];
    let state = state_of(request).unwrap_or(RightsState::Open);
    said.push(match state {
        RightsState::AwaitingIdentity => {
            "Before we can answer we have to know that it is you who asks. Please show us \
                                          that you use this number, in the way we describe to you; we ask for no more \
                                          than we need for that, and keep it no longer."
                .to_owned()
        }
        RightsState::Open => due(request, "We will answer"),
        RightsState::Extended => {
            let why = some(&request.note).map(|note| format!(" Why: {note}")).unwrap_or_default();
            format!("We need more time than usual.{why} {}", due(request, "We will answer"))
        }
        RightsState::Done => done(request),
        RightsState::Refused => refused(request),
    });
    said.extend(at_once(request, state));
    if state.is_closed() || state == RightsState::Extended {
        said.extend(some(&request.complaint_route).map(str::to_owned));
    }
    said.extend(officer(settings));
    said.retain(|sentence| !sentence.is_empty());
    said.join("\n\n")
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn opening(request: &v1::RightsRequest) -> String {
    let asked = match RightsKind::from_number(request.kind) {
        Some(RightsKind::Access) => "to see the data that we keep about this number",
        Some(RightsKind::Correction) => "to have the data about this number corrected or completed",
        Some(RightsKind::Portability) => "to take along the data about this number",
        Some(RightsKind::Erasure) => "to have the data about this number erased",
        Some(RightsKind::Restriction) => "to have the data about this number kept but not used",
        Some(RightsKind::Objection) => "not to be contacted for marketing",
        Some(RightsKind::Explanation) => "to be told why a decision about this number was made",
        Some(RightsKind::NoSharing) => "that the data about this number be passed on to nobody",
        Some(RightsKind::Complaint) | None => "to have your complaint looked into",
    };
    let who = match requester(request.requester) {
        Requester::Person => "You asked",
        Requester::Guardian => "As parent or guardian you asked",
        Requester::Relative => "As a close relative you asked",
        Requester::Representative => "On behalf of the person you asked",
    };
    let received = request.received_at.as_ref().and_then(|at| at.to_millis());
    let on = received.and_then(|at| crate::time::ZoneId::utc().civil(crate::time::Instant::from_millis(at)).date());
    let on = on.map(|date| format!(" on {date}")).unwrap_or_default();
    format!("{who}{on} {asked}.")
}

fn due(request: &v1::RightsRequest, promise: &str) -> String {
    let Some(clock) = request.clocks.first() else { return format!("{promise} as soon as we can.") };
    let law = some(&clock.citation).map(|law| format!(" ({law})")).unwrap_or_default();
    format!("{promise} by {} at the latest{law}. It costs you nothing.", clock.due_on)
}

/// What holds already, whatever becomes of the rest.
fn at_once(request: &v1::RightsRequest, state: RightsState) -> Option<String> {
    let kind = RightsKind::from_number(request.kind)?;
    let said = match kind {
        RightsKind::Objection if state != RightsState::Done => "Marketing to this number has stopped already.",
        RightsKind::NoSharing if state != RightsState::Done => "Nothing is passed on any more already.",
        RightsKind::Restriction if request.lifted_at.is_some() => "The restriction has since been lifted.",
        RightsKind::Restriction if state != RightsState::Done => {
            "Until then the data are kept and used for no contact."
        }
        _ => return None,
    };
    Some(said.to_owned())
}

fn done(request: &v1::RightsRequest) -> String {
    let done = match RightsKind::from_number(request.kind) {
        Some(RightsKind::Access) => "You have been given a copy of them, with the decisions made about the number.",
        Some(RightsKind::Correction) => "They have been corrected. What they were before stays in our protected log.",
        Some(RightsKind::Portability) => "You have been given them in a form that machines read.",
        Some(RightsKind::Erasure) => {
            "They have been erased: the key that they were kept under is destroyed. What stays is an entry without your \
             number that keeps us from contacting you again without a new consent of yours."
        }
        Some(RightsKind::Restriction) => "They are kept and used for no contact. We tell you before that ends.",
        Some(RightsKind::Objection) => "You will not be contacted for marketing any more, as from now.",
        Some(RightsKind::Explanation) => "You have been told the decisions, with every rule that made them.",
        Some(RightsKind::NoSharing) => "They will not be passed on, as from now.",
        Some(RightsKind::Complaint) | None => "We have looked into it.",
    };
    match some(&request.note) {
        Some(note) => format!("{done} {note}"),
        None => done.to_owned(),
    }
}

fn refused(request: &v1::RightsRequest) -> String {
    let why = match Refusal::from_number(request.refusal_reason) {
        Some(Refusal::Identity) => "we could not make sure that it is you who asks",
        Some(Refusal::Excessive) => "you asked for the same so often that it goes beyond all measure",
        Some(Refusal::RetentionDuty) => "a law demands that we keep the data; they are kept for that alone",
        Some(Refusal::LegalClaim) => "the data are needed for a legal claim",
        Some(Refusal::RightsOfOthers) => "it would harm the rights of others",
        Some(Refusal::NothingKept) => "we keep nothing about this number",
        Some(Refusal::TradeSecret) => "it would give away a trade secret",
        Some(Refusal::PublicInterest) => {
            "national security, public safety, public health or a criminal investigation stands against it"
        }
        Some(Refusal::NotGivenByLaw) => "the law does not give this right in your case",
        Some(Refusal::NotEntitled) => "we could not see that you may ask for this person",
        None => "of what is told below",
    };
    let more = some(&request.note).map(|note| format!(" {note}")).unwrap_or_default();
    format!("We cannot do so, because {why}.{more}")
}

fn officer(settings: &Settings) -> Option<String> {
    let (name, contact) = (some(&settings.officer), some(&settings.contact));
    match (name, contact) {
        (None, None) => None,
        (Some(name), Some(contact)) => Some(format!("In charge of personal data here: {name}, {contact}.")),
        (Some(only), None) | (None, Some(only)) => Some(format!("In charge of personal data here: {only}.")),
    }
}
