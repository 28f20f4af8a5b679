//! A question as text that can be kept as a case: the request in the contract's JSON, and beside it what no request
//! carries.

use ringfence::contact::{
    Age, Consent, Facts, OptOut, PastAttempt, Period, ReassignedAnswer, RegistryCheck, Relationship, Set, Term,
};
use ringfence::place::LocationPosture;
use ringfence::time::Instant;
use serde_json::{Map, Value, json};

use super::questions::Asked;

pub fn json(asked: &Asked) -> String {
    let attempt = &asked.attempt;
    let (recipients, lines) = (asked.asserted.recipients, asked.asserted.line_types);
    let request = tidy(json!({
        "number": asked.number.reveal_e164().as_str(),
        "channel": name("CHANNEL", attempt.channel),
        "technology": names("TECHNOLOGY", attempt.technologies),
        "purpose": name("PURPOSE", attempt.purpose),
        "recipient": names("RECIPIENT", recipients),
        "lineType": names("LINE_TYPE", lines),
        "legalForm": names("LEGAL_FORM", asked.asserted.legal_forms),
        "offerCategory": attempt.offer.map(|o| name("OFFER_CATEGORY", o)),
        "seller": attempt.seller.as_str(),
        "subject": attempt.subject.as_ref().map(|s| s.as_str()),
        "campaign": attempt.campaign.as_ref().map(|s| s.as_str()),
        "callerId": attempt.caller_id,
        "legallyRequired": attempt.legally_required.then_some(true),
        "processingRegion": list(&attempt.processing_regions, |p| json!(p.to_string())),
        "location": tidy(json!({
            "residence": list(&asked.asserted.residences, |p| json!(p.to_string())),
            "postalCode": attempt.postal_code,
            "timeZone": attempt.time_zone.map(|z| z.name()),
            "county": attempt.county,
        })),
        "at": at(Some(asked.now)),
        "dryRun": true,
        "evidence": evidence(&asked.asserted),
    }));
    let stored = &asked.stored;
    let beside = tidy(json!({
        "live": asked.live,
        "stored": evidence(stored),
        "storedRecipients": names("RECIPIENT", stored.recipients),
        "storedLineTypes": names("LINE_TYPE", stored.line_types),
        "storedLegalForms": names("LEGAL_FORM", stored.legal_forms),
        "storedResidences": list(&stored.residences, |p| json!(p.to_string())),
        "postures": asked.postures.chosen,
        "storedFactsOnly": asked.postures.stored_facts_only.then_some(true),
        "verifiedOnly": asked.postures.verified_only.then_some(true),
        "residenceOnly": (asked.postures.location == LocationPosture::Residence).then_some(true),
        "freezes": list(&asked.freezes, |freeze| json!(format!("{freeze:?}"))),
        "declared": list(&asked.declared, |state| json!(format!("{state:?}"))),
        "lists": asked.lists.0.iter().map(|(id, look)| {
            (id.clone(), tidy(json!({"listed": look.listed, "listedAt": at(look.listed_at), "asOf": at(Some(look.as_of))})))
        }).collect::<Map<_, _>>(),
    }));
    let packs: String = asked.packs.iter().map(|(_, text)| text.as_str()).collect();
    format!("{}\n{packs}", json!({"id": "twin", "request": request, "beside": beside}))
}

fn evidence(facts: &Facts) -> Value {
    tidy(json!({
        "consents": list(&facts.consents, consent),
        "optOuts": list(&facts.opt_outs, opt_out),
        "attempts": list(&facts.attempts, attempt),
        "registryChecks": list(&facts.registry_checks, registry_check),
        "relationship": facts.relationships.first().map(relationship),
        "lastConversationAt": at(facts.last_conversation_at),
        "firstNoticeAt": at(facts.first_notice_at),
        "age": facts.ages.iter().find_map(|age| match age { Age::Years(years) => Some(years), Age::BornOn(_) => None }),
        "birthDate": facts.ages.iter().find_map(|age| match age {
            Age::BornOn(day) => Some(born(*day)),
            Age::Years(_) => None,
        }),
        "inconvenientTimes": list(&facts.inconvenient_times, |time| json!({
            "weekdays": (0..7).filter(|d| time.weekdays >> d & 1 == 1).map(|d| d + 1).collect::<Vec<_>>(),
            "start": format!("{:02}:{:02}", time.start / 60, time.start % 60),
            "end": format!("{:02}:{:02}", time.end / 60, time.end % 60),
        })),
        "policy": facts.policy.as_ref().map(|p| tidy(json!({
            "currentVersion": p.current_version, "material": p.material, "effectiveAt": at(p.effective_at),
        }))),
        "transfer": facts.transfer.map(|t| tidy(json!({
            "to": t.to.map(|to| to.to_string()),
            "mechanism": t.mechanism.map(|m| name("TRANSFER_MECHANISM", m)),
            "personsSinceJanuary": t.persons_since_january,
        }))),
        "reassignedBefore": list(&facts.reassigned, |fact| json!({
            "checkedAt": at(fact.checked_at),
            // As a date it is coarser than it is judged here.
            "sinceDate": fact.since.map(|since| since.to_string()[..10].to_owned()),
            "answer": match fact.answer {
                ReassignedAnswer::Yes => "REASSIGNED_ANSWER_YES",
                ReassignedAnswer::No => "REASSIGNED_ANSWER_NO",
                ReassignedAnswer::NoData => "REASSIGNED_ANSWER_NO_DATA",
            },
        })),
    }))
}

fn consent(c: &Consent) -> Value {
    tidy(json!({
        "consentId": c.id,
        "grade": c.grade.map(|g| name("CONSENT_GRADE", g)),
        "flags": each("CONSENT_FLAG", c.flags),
        "channels": each("CHANNEL", c.channels),
        "technologies": each("TECHNOLOGY", c.technologies),
        "purposes": each("PURPOSE", c.purposes),
        "sellers": list(&c.sellers, |s| json!(s.as_str())),
        "products": list(&c.products, |s| json!(s.as_str())),
        "givenAt": at(c.given_at),
        "expiresAt": at(c.expires_at),
        "withdrawnAt": at(c.withdrawn_at),
        "lastUsedAt": at(c.last_used_at),
        "preferredSlot": c.preferred_slot.map(|s| json!({"startsAt": at(Some(s.starts_at)), "endsAt": at(Some(s.ends_at))})),
        "policyVersion": c.policy_version,
        "obtainedFrom": c.obtained_from,
        "frequencyCap": c.frequency_cap.map(|f| json!({"count": f.count, "period": match f.period {
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
        }})),
        "method": c.method.map(|m| name("CONSENT_METHOD", m)),
        "noticeGiven": c.notice_given,
        "forced": c.forced,
        "evidenceRef": c.evidence_ref,
        "recordedAt": at(c.recorded_at),
    }))
}

fn opt_out(o: &OptOut) -> Value {
    let scope = &o.scope;
    tidy(json!({
        "optOutId": o.id,
        "at": at(o.at),
        "recordedAt": at(o.recorded_at),
        "scope": tidy(json!({
            "channels": each("CHANNEL", scope.channels),
            "purposes": each("PURPOSE", scope.purposes),
            "sellers": list(&scope.sellers, |s| json!(s.as_str())),
            "subjects": list(&scope.subjects, |s| json!(s.as_str())),
            "everything": scope.everything.then_some(true),
            "campaigns": list(&scope.campaigns, |c| json!(c.as_str())),
        })),
    }))
}

fn attempt(a: &PastAttempt) -> Value {
    tidy(json!({
        "attemptId": a.id.as_ref().map(|id| id.as_str()),
        "at": at(Some(a.earliest)),
        "until": at((a.latest != a.earliest).then_some(a.latest)),
        "endedAt": at(a.ended_at),
        "channel": a.channel.map(|c| name("CHANNEL", c)),
        "technology": a.technology.map(|t| name("TECHNOLOGY", t)),
        "purpose": a.purpose.map(|p| name("PURPOSE", p)),
        "outcome": a.outcome.map(|o| name("OUTCOME", o)),
        "seller": a.seller.as_ref().map(|s| s.as_str()),
        "subject": a.subject.as_ref().map(|s| s.as_str()),
        "campaign": a.campaign.as_ref().map(|s| s.as_str()),
    }))
}

fn registry_check(check: &RegistryCheck) -> Value {
    tidy(json!({
        "registry": check.registry,
        "listed": check.listed,
        "checkedAt": at(check.checked_at),
        "asOf": at(check.as_of),
        "listedAt": at(check.listed_at),
    }))
}

fn relationship(tie: &Relationship) -> Value {
    tidy(json!({
        "seller": tie.seller.as_ref().map(|s| s.as_str()),
        "lastPurchaseAt": at(tie.last_purchase_at),
        "lastInquiryAt": at(tie.last_inquiry_at),
        "lastDonationAt": at(tie.last_donation_at),
        "contractActive": tie.contract_active,
        "contractEndedAt": at(tie.contract_ended_at),
        "offerRelated": tie.offer_related,
        "personal": tie.personal,
    }))
}

fn born(day: i32) -> String {
    let (year, month, date) = super::civil::date_of(day.into());
    format!("{year:04}-{month:02}-{date:02}")
}

fn at(instant: Option<Instant>) -> Option<String> {
    instant.and_then(Instant::to_rfc3339)
}

fn name<T: Term>(prefix: &str, term: T) -> String {
    format!("{prefix}_{}", term.word().to_ascii_uppercase())
}

fn each<T: Term>(prefix: &str, set: Set<T>) -> Option<Vec<String>> {
    (!set.is_empty()).then(|| set.iter().map(|term| name(prefix, term)).collect())
}

/// One value as the contract has it; several, which no request can say, as a list.
fn names<T: Term>(prefix: &str, set: Set<T>) -> Value {
    match each(prefix, set).unwrap_or_default().as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    }
}

fn list<T>(all: &[T], show: impl Fn(&T) -> Value) -> Option<Vec<Value>> {
    (!all.is_empty()).then(|| all.iter().map(show).collect())
}

/// Without what is not said.
fn tidy(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, v)| {
                !v.is_null()
                    && v.as_object().is_none_or(|m| !m.is_empty())
                    && v.as_array().is_none_or(|a| !a.is_empty())
            })
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}
