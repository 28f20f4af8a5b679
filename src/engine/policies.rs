//! The tenant's privacy policy: published, archived, read; the consents it overtakes; sellers that pass to others.
//!
//! Versions and transfers stand in the record of switches, which every check reads beside its contact: what was published
//! is seen by every check sent later, on any instance, without another trip. Texts stand beside that record, each under its
//! digest, sealed under the record's key.

use super::answer::stamp;
use super::consent::{receipt_text, request_id};
use super::control::{Beside, fault, page, wire, write_id};
use super::marks::Marks;
use super::retention::{Met, Walk, walk_page};
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{Purpose, Set, Term, is_settled, overtaking};
use crate::proto::store::{ContactEvent, ControlRecord, StoredPolicy, StoredTransfer, audited_write};
use crate::proto::v1;
use crate::store::sha256;
use crate::time::Instant;

/// The most versions, and the most transfers: each check looks through them.
const MOST: usize = 1_000;
/// The longest text, and the most of them.
const TEXT_BYTES: usize = 256 << 10;
const TEXTS: usize = 32;
/// What the names of archived texts begin with.
pub(super) const ARCHIVE: &str = "policy";

impl Engine {
    /// Publishes a version of the privacy policy. Once this has returned, every check sees it.
    ///
    /// # Errors
    /// A faulty request; the version is there already; a `request_id` used for something else; store or log unavailable;
    /// races outlasted.
    pub async fn publish_policy(
        &self,
        permit: &Permit,
        request: v1::PublishPolicyRequest,
        clock: Clock,
    ) -> Result<v1::PublishPolicyResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "version", &request.version);
        let effective_at = reader.instant("effective_at", request.effective_at.as_ref());
        check_change(&mut reader, &request);
        wire::sentence(&mut reader, "summary", &request.summary);
        reader.name("assessment_ref", &request.assessment_ref, |text| Some(text.len()));
        wire::who(&mut reader, &request.who);
        check_texts(&mut reader, &request.texts);
        wire::sound(reader)?;
        let archived: Vec<(v1::PolicyText, String)> = request.texts.iter().map(|text| self.archived(text)).collect();
        let attachments: Vec<(String, Vec<u8>)> = archived
            .iter()
            .zip(&request.texts)
            .map(|((_, name), text)| (name.clone(), text.text.clone().into_bytes()))
            .collect();
        let texts: Vec<v1::PolicyText> = archived.into_iter().map(|(text, _)| text).collect();
        // The log names the texts by their digests.
        let asked = v1::PublishPolicyRequest { texts: texts.clone(), ..request.clone() };
        let asked = audited_write::Request::PublishPolicy(asked);
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let versions = || record.policies.iter().filter_map(|kept| kept.policy.as_ref());
            if versions().any(|policy| policy.version == request.version) {
                return Err(Failure::AlreadyExists("a policy of this version was published before"));
            }
            if versions().count() >= MOST {
                return Err(fault("version", "is one too many: 1,000 versions are kept"));
            }
            let effective_at = effective_at.unwrap_or(now);
            let last = versions().filter_map(|policy| policy.effective_at.as_ref()?.to_millis()).max();
            if last.is_some_and(|last| effective_at.millis() < last) {
                return Err(fault("effective_at", "lies before that of the version published last"));
            }
            let policy = v1::PolicyVersion {
                version: request.version.clone(),
                effective_at: Some(stamp(effective_at)),
                kind: request.kind,
                reasons: request.reasons.clone(),
                purposes: request.purposes.clone(),
                texts: texts.clone(),
                summary: request.summary.clone(),
                assessment_ref: request.assessment_ref.clone(),
                who: request.who.clone(),
                published_at: Some(stamp(now)),
            };
            record.policies.push(StoredPolicy { policy: Some(policy), write: Some(id.stored(receipt, now)) });
            Ok(())
        };
        let beside = Beside { attachments: &attachments, event: told_of(&request, effective_at, clock.now) };
        let (record, receipt) = self.switch_with(permit, clock, id, asked, beside, &mut { made }).await?;
        let by = |kept: &&StoredPolicy| kept.write.as_ref().is_some_and(|write| write.receipt_id == receipt);
        let policy = record.policies.iter().find(by).and_then(|kept| kept.policy.clone());
        Ok(v1::PublishPolicyResponse { policy, receipt_id: receipt_text(receipt) })
    }

    /// One version with its texts.
    ///
    /// # Errors
    /// No such version or language; store unavailable.
    pub async fn policy(
        &self,
        _permit: &Permit,
        request: &v1::GetPolicyRequest,
        now: Instant,
    ) -> Result<v1::PolicyVersion, Failure> {
        const NONE: Failure = Failure::NotFound("no policy of this version was published");
        let Some((own, record)) = self.control_beside().await? else { return Err(NONE) };
        let mut versions = record.policies.into_iter().filter_map(|kept| kept.policy);
        let in_force = |policy: &v1::PolicyVersion| {
            policy.effective_at.as_ref().and_then(|at| at.to_millis()).is_some_and(|at| at <= now.millis())
        };
        let found = match request.version.as_str() {
            "" => versions.rfind(in_force),
            version => versions.find(|policy| policy.version == version),
        };
        let mut policy = found.ok_or(NONE)?;
        if !request.language.is_empty() {
            policy.texts.retain(|text| text.language.eq_ignore_ascii_case(&request.language));
            if policy.texts.is_empty() {
                return Err(Failure::NotFound("this version has no text in this language"));
            }
        }
        for text in &mut policy.texts {
            let name = self.name_of(ARCHIVE, &text.digest);
            let plain = self.attached(&own, &name).await?;
            let plain = plain.ok_or_else(|| Failure::Internal(format!("{name}: the archived text is gone")))?;
            text.text = String::from_utf8(plain).map_err(|error| Failure::Internal(error.to_string()))?;
        }
        Ok(policy)
    }

    /// Versions, the one published last first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_policies(
        &self,
        _permit: &Permit,
        request: &v1::ListPoliciesRequest,
    ) -> Result<v1::ListPoliciesResponse, Failure> {
        let record = self.switches().await?;
        let all = record.policies.into_iter().rev().filter_map(|kept| kept.policy).collect();
        let (policies, next_page_token) =
            page(all, request.page_size, &request.page_token, |policy: &v1::PolicyVersion| &policy.version)?;
        Ok(v1::ListPoliciesResponse { policies, next_page_token })
    }

    /// The consents that a version overtakes: whom to ask again. Not who has consented anew, or opted out since.
    ///
    /// # Errors
    /// A faulty request, no such version, store unavailable.
    pub async fn overtaken_consents(
        &self,
        permit: &Permit,
        request: &v1::ListOvertakenConsentsRequest,
        now: Instant,
    ) -> Result<v1::ListOvertakenConsentsResponse, Failure> {
        let standing = self.standing(&self.main).await?;
        let policies = standing.policies();
        if !request.version.is_empty() && !policies.iter().any(|policy| *policy.version == *request.version) {
            return Err(Failure::NotFound("no policy of this version was published"));
        }
        let Walk { records, next, seen, .. } =
            walk_page(self, request.page_size, &request.page_token).await?.whole()?;
        let mut consents = Vec::new();
        for Met { loaded, .. } in &records {
            let Some(number) = loaded.contact.digits().map(|digits| format!("+{digits}")) else { continue };
            let facts = loaded.contact.facts(None);
            for consent in &facts.consents {
                let over = consent.withdrawn_at.is_some() || consent.grade.is_none();
                let mut ends = overtaking(policies, consent)
                    .filter(|end| request.version.is_empty() || *end.policy.version == *request.version);
                let Some(end) = ends.next().filter(|_| !over) else { continue };
                if is_settled(&facts, policies, (consent, end), now) {
                    continue;
                }
                consents.push(v1::OvertakenConsent {
                    number: number.clone(),
                    consent_id: consent.id.as_deref().unwrap_or_default().to_owned(),
                    given_under: consent.policy_version.as_deref().unwrap_or_default().to_owned(),
                    overtaken_by: end.policy.version.to_string(),
                    overtaken_at: Some(stamp(end.policy.effective_at)),
                    purposes: numbers(end.purposes),
                });
            }
        }
        let asked = audited_write::Request::ListOvertakenConsents(request.clone());
        self.note_reading(permit, &self.main, None, asked, now).await?;
        Ok(v1::ListOvertakenConsentsResponse { consents, records_seen: seen, next_page_token: next })
    }

    /// Records that a seller passed to another.
    ///
    /// # Errors
    /// As [`Engine::publish_policy`]; the transfer was recorded before.
    pub async fn transfer_seller(
        &self,
        permit: &Permit,
        request: v1::TransferSellerRequest,
        clock: Clock,
    ) -> Result<v1::TransferSellerResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::id(&mut reader, "from_seller", &request.from_seller);
        wire::id(&mut reader, "to_seller", &request.to_seller);
        if request.from_seller == request.to_seller {
            reader.fault("to_seller", "is the seller that was");
        }
        wire::sentence(&mut reader, "recipient_name", &request.recipient_name);
        wire::sentence(&mut reader, "recipient_contact", &request.recipient_contact);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let asked = audited_write::Request::TransferSeller(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let mut known = record.transfers.iter().filter_map(|kept| kept.transfer.as_ref());
            if known.any(|one| one.from_seller == request.from_seller && one.to_seller == request.to_seller) {
                return Err(Failure::AlreadyExists("this transfer was recorded before"));
            }
            if record.transfers.len() >= MOST {
                return Err(fault("from_seller", "is one too many: 1,000 transfers are kept"));
            }
            let transfer = v1::SellerTransfer {
                transfer_id: receipt_text(receipt),
                from_seller: request.from_seller.clone(),
                to_seller: request.to_seller.clone(),
                recipient_name: request.recipient_name.clone(),
                recipient_contact: request.recipient_contact.clone(),
                keeps_terms: request.keeps_terms,
                at: Some(stamp(now)),
                who: request.who.clone(),
                why: request.why.clone(),
            };
            record.transfers.push(StoredTransfer { transfer: Some(transfer), write: Some(id.stored(receipt, now)) });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let by = |kept: &&StoredTransfer| kept.write.as_ref().is_some_and(|write| write.receipt_id == receipt);
        let transfer = record.transfers.iter().find(by).and_then(|kept| kept.transfer.clone());
        Ok(v1::TransferSellerResponse { transfer, receipt_id: receipt_text(receipt) })
    }

    /// Transfers of sellers, newest first.
    ///
    /// # Errors
    /// A faulty request, store unavailable.
    pub async fn list_seller_transfers(
        &self,
        _permit: &Permit,
        request: &v1::ListSellerTransfersRequest,
    ) -> Result<v1::ListSellerTransfersResponse, Failure> {
        let record = self.switches().await?;
        let all = record.transfers.into_iter().rev().filter_map(|kept| kept.transfer).collect();
        let (transfers, next_page_token) =
            page(all, request.page_size, &request.page_token, |one: &v1::SellerTransfer| &one.transfer_id)?;
        Ok(v1::ListSellerTransfersResponse { transfers, next_page_token })
    }

    /// What marks in contacts what became of their consents.
    pub(super) async fn marks(&self) -> Result<Marks, Failure> {
        Ok(Marks::of(&self.switches().await?))
    }

    /// The text as the record names it, and where it is archived.
    fn archived(&self, text: &v1::PolicyText) -> (v1::PolicyText, String) {
        let digest = hex(&sha256(text.text.as_bytes()));
        let name = self.name_of(ARCHIVE, &digest);
        (v1::PolicyText { language: text.language.clone(), text: String::new(), digest }, name)
    }
}

/// What those who follow opt-outs are told of a version: which consents a material change ends, and from when on.
fn told_of(request: &v1::PublishPolicyRequest, effective_at: Option<Instant>, now: Instant) -> Option<ContactEvent> {
    let material = request.kind == i32::from(v1::PolicyChangeKind::Material);
    material.then(|| ContactEvent {
        format: 1,
        kind: v1::OptOutEventKind::PolicyChanged.into(),
        scope: Some(v1::OptOutScope { purposes: request.purposes.clone(), ..v1::OptOutScope::default() }),
        policy_version: request.version.clone(),
        effective_at: effective_at.unwrap_or(now).millis(),
        ..ContactEvent::default()
    })
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A set as the contract writes it: empty where it is all.
fn numbers(purposes: Set<Purpose>) -> Vec<i32> {
    if purposes == Set::all() { Vec::new() } else { purposes.iter().map(|one| i32::from(one.number())).collect() }
}

fn check_change(reader: &mut Reader, request: &v1::PublishPolicyRequest) {
    use v1::{PolicyChangeKind as Kind, PolicyChangeReason as Reason};
    let reasons: Vec<Option<Reason>> = request.reasons.iter().map(|number| Reason::try_from(*number).ok()).collect();
    if reasons.iter().any(|reason| matches!(reason, None | Some(Reason::Unspecified))) {
        reader.fault("reasons", "holds a value that is not one of PolicyChangeReason");
    }
    match Kind::try_from(request.kind) {
        Ok(Kind::Material) if reasons.is_empty() => {
            reader.fault("reasons", "is required for a material change: what makes it material");
        }
        Ok(Kind::Cosmetic) if !reasons.is_empty() => {
            reader.fault("reasons", "makes the change material: leave it out, or say MATERIAL");
        }
        Ok(Kind::Cosmetic) if !request.purposes.is_empty() => {
            reader.fault("purposes", "are changed by no cosmetic change: leave it out, or say MATERIAL");
        }
        Ok(Kind::Material | Kind::Cosmetic) => {}
        Ok(Kind::Unspecified) | Err(_) => reader.fault("kind", "is required: MATERIAL or COSMETIC"),
    }
    if reasons.contains(&Some(Reason::HighRisk)) && request.assessment_ref.is_empty() {
        reader.fault("assessment_ref", "is required where an assessment found a high risk: where it is");
    }
    reader.set::<Purpose>("purposes", &request.purposes);
}

fn check_texts(reader: &mut Reader, texts: &[v1::PolicyText]) {
    if texts.is_empty() || texts.len() > TEXTS {
        reader.fault("texts", format!("is required: from 1 to {TEXTS} texts, each language once"));
    }
    for (index, text) in texts.iter().enumerate() {
        let tag = &text.language;
        let sound = (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let again = texts.iter().take(index).any(|other| other.language.eq_ignore_ascii_case(tag));
        if !sound {
            reader.fault(&format!("texts[{index}].language"), "is no BCP 47 tag such as en or zh-Hans");
        } else if again {
            reader.fault(&format!("texts[{index}].language"), "is there twice");
        }
        if text.text.trim().is_empty() {
            reader.fault(&format!("texts[{index}].text"), "is required");
        } else if text.text.len() > TEXT_BYTES {
            reader.fault(&format!("texts[{index}].text"), format!("is longer than {TEXT_BYTES} bytes"));
        }
    }
}
