//! The record in the words of the contract: what `GetContact` and `GetDecision` show of it.

use super::{Contact, granted, id_text, instant, use_by, uuid_text};
use crate::contact::answers;
use crate::place::Number;
use crate::proto::store::{self, stored_fact};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, Millis};

impl Contact {
    /// What a record of the log holds of stored facts, in the words of the contract.
    #[must_use]
    pub fn evidence_of(record: &store::ContactRecord) -> v1::Evidence {
        let contact = Self { record: record.clone() };
        let attempts =
            record.attempts.iter().map(|stored| contact.recorded_attempt(stored).attempt.unwrap_or_default());
        let stamp = |at: Instant| Timestamp::from_millis(at.millis());
        v1::Evidence {
            consents: record.consents.iter().filter_map(|stored| recorded_consent(stored).consent).collect(),
            opt_outs: record.opt_outs.iter().filter_map(|stored| recorded_opt_out(stored).opt_out).collect(),
            relationship: record.relationships.first().cloned(),
            registry_checks: record.registry_checks.iter().cloned().chain(contact.list_check_messages()).collect(),
            attempts: attempts.collect(),
            last_conversation_at: instant(record.last_conversation_at).map(stamp),
            first_notice_at: instant(record.first_notice_at).map(stamp),
            age: record.facts.iter().filter(|fact| fact.superseded_at == 0).find_map(|fact| match fact.fact {
                Some(stored_fact::Fact::Age(years)) => Some(years),
                _ => None,
            }),
            birth_date: record
                .facts
                .iter()
                .filter(|fact| fact.superseded_at == 0)
                .find_map(|fact| match &fact.fact {
                    Some(stored_fact::Fact::BirthDate(text)) => Some(text.clone()),
                    _ => None,
                })
                .unwrap_or_default(),
            inconvenient_times: record.inconvenient_times.clone(),
            policy: record.policy.clone(),
            transfer: record.transfer.clone(),
            reassigned: answers::newest(&record.reassigned),
            reassigned_before: answers::before(&record.reassigned),
        }
    }

    /// The record in the words of the contract.
    #[must_use]
    pub fn message(&self, number: Number, version: u64) -> v1::Contact {
        let record = &self.record;
        let stamp = Timestamp::from_millis;
        v1::Contact {
            number: number.reveal_e164().as_str().to_owned(),
            version,
            created_at: Some(stamp(record.created_at)),
            updated_at: Some(stamp(self.updated_millis())),
            consents: record.consents.iter().map(recorded_consent).collect(),
            opt_outs: record.opt_outs.iter().map(recorded_opt_out).collect(),
            attempts: record.attempts.iter().map(|stored| self.recorded_attempt(stored)).collect(),
            relationships: record.relationships.clone(),
            dated_facts: record.facts.iter().map(dated_fact).collect(),
            inconvenient_times: record.inconvenient_times.clone(),
            policy: record.policy.clone(),
            transfer: record.transfer.clone(),
            reassigned: answers::newest(&record.reassigned),
            reassigned_before: answers::before(&record.reassigned),
            registry_checks: record.registry_checks.clone(),
            last_conversation_at: instant(record.last_conversation_at).map(|at| stamp(at.millis())),
            first_notice_at: instant(record.first_notice_at).map(|at| stamp(at.millis())),
            no_sharing: record.no_sharing,
            erased_at: instant(record.erased_at).map(|at| stamp(at.millis())),
            restricted_at: instant(record.restricted_at).map(|at| stamp(at.millis())),
            list_entries: self.list_entry_messages(),
        }
    }

    fn recorded_attempt(&self, stored: &store::StoredAttempt) -> v1::RecordedAttempt {
        let stamp = |at: Instant| Timestamp::from_millis(at.millis());
        let name = |index: u32| {
            let index = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
            index.and_then(|index| self.record.words.get(index)).cloned().unwrap_or_default()
        };
        let started = stored.started_after.map(|after| granted(stored).plus(Millis(after)));
        v1::RecordedAttempt {
            attempt: Some(v1::Attempt {
                attempt_id: id_text(stored.attempt_id.as_ref()),
                at: Some(stamp(started.unwrap_or_else(|| use_by(stored)))),
                ended_at: started.zip(stored.lasted).map(|(at, lasted)| stamp(at.plus(Millis(lasted)))),
                channel: stored.channel,
                technology: stored.technology,
                purpose: stored.purpose,
                outcome: stored.outcome,
                seller: name(stored.seller),
                subject: name(stored.subject),
                campaign: name(stored.campaign),
            }),
            granted_at: Some(stamp(granted(stored))),
            use_by: Some(stamp(use_by(stored))),
            reported_at: stored.reported_after.map(|after| stamp(granted(stored).plus(Millis(after)))),
            decision_id: uuid_text(&stored.decision_id),
        }
    }
}

fn recorded_consent(stored: &store::StoredConsent) -> v1::RecordedConsent {
    let write = stored.write.clone().unwrap_or_default();
    let receipt_id = uuid_text(&write.receipt_id);
    let mut consent = stored.consent.clone().unwrap_or_default();
    if consent.consent_id.is_empty() {
        consent.consent_id.clone_from(&receipt_id);
    }
    let recorded_at = Some(Timestamp::from_millis(write.recorded_at));
    v1::RecordedConsent {
        consent: Some(consent),
        recorded_at,
        receipt_id,
        person: stored.person.clone(),
        ..v1::RecordedConsent::default()
    }
}

pub(super) fn recorded_opt_out(stored: &store::StoredOptOut) -> v1::RecordedOptOut {
    let write = stored.write.clone().unwrap_or_default();
    let receipt_id = uuid_text(&write.receipt_id);
    let recorded_at = Some(Timestamp::from_millis(write.recorded_at));
    let mut opt_out = stored.opt_out.clone().unwrap_or_default();
    if opt_out.opt_out_id.is_empty() {
        opt_out.opt_out_id.clone_from(&receipt_id);
    }
    opt_out.at = opt_out.at.or(recorded_at);
    v1::RecordedOptOut { opt_out: Some(opt_out), recorded_at, receipt_id, wording: stored.wording.clone() }
}

fn dated_fact(stored: &store::StoredFact) -> v1::DatedFact {
    use stored_fact::Fact;
    use v1::dated_fact::Fact as Wire;
    let stamp = Timestamp::from_millis;
    let fact = stored.fact.clone().map(|fact| match fact {
        Fact::Residence(code) => Wire::Residence(code),
        Fact::Recipient(number) => Wire::Recipient(number),
        Fact::LegalForm(number) => Wire::LegalForm(number),
        Fact::LineType(number) => Wire::LineType(number),
        Fact::Age(years) => Wire::Age(years),
        Fact::BirthDate(text) => Wire::BirthDate(text),
    });
    v1::DatedFact {
        fact,
        recorded_at: Some(stamp(stored.recorded_at)),
        superseded_at: instant(stored.superseded_at).map(|at| stamp(at.millis())),
    }
}
