//! Single decisions judged again, for whoever asks the service.

use std::sync::Arc;

use super::{Change, Known, Past, Recorded, Under, Unfit};
use crate::access::Permit;
use crate::audit::DecisionId;
use crate::contact::wire::{Violation, plain};
use crate::engine::{Engine, Failure};
use crate::proto::store::audited_write;
use crate::proto::v1;
use crate::time::Instant;

/// The most decisions of one request.
const MOST: usize = 1_000;

impl Engine {
    /// Judges past decisions again; one result for each id, in order.
    ///
    /// # Errors
    /// A faulty request. What keeps one decision from being judged is its result.
    pub async fn replay(
        &self,
        permit: &Permit,
        request: &v1::ReplayRequest,
        now: Instant,
    ) -> Result<Vec<(String, Result<v1::Replayed, Failure>)>, Failure> {
        self.is_of(permit)?;
        let mut violations = Vec::new();
        let mut fault = |field: &str, message: String| violations.push(Violation { field: field.to_owned(), message });
        if request.decision_ids.len() > MOST {
            fault("decision_ids", format!("has {} ids; at most {MOST} are accepted", request.decision_ids.len()));
        }
        let law_now = match v1::ReplayLaw::try_from(request.law) {
            Ok(law) => law == v1::ReplayLaw::AsKnownNow,
            Err(_) => {
                fault("law", format!("{} is not a value of it", plain(request.law.into())));
                false
            }
        };
        let known_now = match v1::ReplayFacts::try_from(request.facts) {
            Ok(facts) => facts == v1::ReplayFacts::AsKnownNow,
            Err(_) => {
                fault("facts", format!("{} is not a value of it", plain(request.facts.into())));
                false
            }
        };
        if !violations.is_empty() {
            return Err(Failure::Invalid(violations));
        }
        let asked = audited_write::Request::Replay(request.clone());
        self.note_reading(permit, &self.main, None, asked, now).await?;
        let mut results = Vec::with_capacity(request.decision_ids.len());
        for id in &request.decision_ids {
            results.push((id.clone(), self.replay_one(permit, id, law_now, known_now).await));
        }
        Ok(results)
    }

    async fn replay_one(
        &self,
        permit: &Permit,
        id: &str,
        law_now: bool,
        known_now: bool,
    ) -> Result<v1::Replayed, Failure> {
        const NONE: Failure = Failure::NotFound("no decision of this id is known here");
        let id = DecisionId::parse(id).ok_or(NONE)?;
        let kept = self.kept_of(id)?;
        let log = kept.log.as_ref().ok_or(NONE)?;
        let entry = log.find(id).await?.filter(|found| found.entry.tenant == permit.tenant()).ok_or(NONE)?.entry;
        let Recorded::Decision(past) = Past::read(&entry, &self.open_body(kept, &entry).await??)? else {
            return Err(NONE);
        };
        let law = if law_now { self.law() } else { self.law_of(&past).await? };
        let contact = match entry.tag.filter(|_| known_now) {
            None => None,
            Some(tag) => self.find_tagged(kept, tag, None).await?.loaded.map(|loaded| loaded.contact),
        };
        let known = if known_now { Known::Now(contact.as_ref()) } else { Known::Then };
        let judged = past.judge(Under { law: &law, known, lists: None, switches: None })?;
        Ok(v1::Replayed {
            identical: past.is_original(&judged.decision),
            flipped: Change::between(past.original(), &judged.decision).is_some(),
            original: Some(past.original().clone()),
            decision: Some(judged.decision),
            unknown_registries: judged.unasked,
        })
    }

    /// The law that a decision was made by: the one in force, or that of the library.
    async fn law_of(&self, past: &Past) -> Result<Arc<crate::law::Law>, Failure> {
        let basis = past.basis().ok_or(Unfit::Unnamed)?;
        let law = self.law();
        if *law.basis() == basis {
            return Ok(law);
        }
        let laws = self.laws.get().cloned().ok_or_else(|| Unfit::Lacking("a library".to_owned()))?;
        let read = tokio::task::spawn_blocking(move || laws.get(&basis)).await;
        Ok(read.map_err(|error| Failure::Internal(error.to_string()))??)
    }
}
