//! Goes over a history once it is whole.

use std::collections::{BTreeMap, BTreeSet};

use ringfence::access::Role;
use ringfence::engine::Engine;
use ringfence::proto::v1;

use super::clients::{Answer, Asked, History, Operation, number};
use super::support::permit;

/// Florida allows three calls a day about one matter.
const CAP: usize = 3;

/// Panics at the first promise that was broken.
pub async fn check(history: &History, engine: &Engine) {
    let mut by_number: BTreeMap<usize, Vec<Operation>> = BTreeMap::new();
    for operation in std::mem::take(&mut *history.operations.lock().unwrap()) {
        by_number.entry(operation.number).or_default().push(operation);
    }
    let (mut all, mut allowed, mut opted_out, mut recorded, mut unknown) = (0, 0, 0, 0, 0);
    for (index, operations) in &by_number {
        all += operations.len();
        unknown += operations.iter().filter(|operation| operation.answer.is_none()).count();
        let told = Told::of(operations);
        allowed += told.granted.len();
        recorded += told.consents.len() + told.outcomes.len();
        let granted = told.granted.len();
        assert!(granted <= CAP, "{index}: {granted} allowed, the cap is {CAP}: {operations:#?}");
        let acknowledged = acknowledged(operations);
        opted_out += usize::from(acknowledged.is_some());
        if let Some(acknowledged) = acknowledged {
            let late = operations
                .iter()
                .find(|operation| operation.began > acknowledged && operation.answer == Some(Answer::Allowed));
            assert!(
                late.is_none(),
                "{index}: allowed after an opt-out that was acknowledged: {late:?} in {operations:#?}"
            );
        }
        kept(engine, *index, &told).await;
    }
    println!(
        "{all} operations, {unknown} without an answer, {allowed} allowed, {opted_out} numbers opted out, {recorded} \
         consents and outcomes"
    );
    assert!(allowed > 0 && opted_out > 0 && recorded > 0, "a history in which nothing happens proves nothing");
}

/// What somebody was told of a number, each once however often it was asked: it must be there for good.
struct Told {
    /// Attempts that were allowed.
    granted: BTreeSet<String>,
    /// Receipts.
    opt_outs: BTreeSet<String>,
    consents: BTreeSet<String>,
    /// Attempts whose outcome was taken.
    outcomes: BTreeSet<String>,
}

impl Told {
    fn of(operations: &[Operation]) -> Self {
        let of = |pick: fn(&Asked, &Answer) -> Option<String>| {
            operations.iter().filter_map(|operation| pick(&operation.asked, operation.answer.as_ref()?)).collect()
        };
        Self {
            granted: of(|asked, answer| match (asked, answer) {
                (Asked::Check { attempt }, Answer::Allowed) => Some(attempt.clone()),
                _ => None,
            }),
            opt_outs: of(|asked, answer| match (asked, answer) {
                (Asked::OptOut { .. }, Answer::Recorded(receipt)) => Some(receipt.clone()),
                _ => None,
            }),
            consents: of(|asked, answer| match (asked, answer) {
                (Asked::Consent { .. }, Answer::Recorded(receipt)) => Some(receipt.clone()),
                _ => None,
            }),
            outcomes: of(|asked, answer| match (asked, answer) {
                (Asked::Outcome { attempt }, Answer::Recorded(_)) => Some(attempt.clone()),
                _ => None,
            }),
        }
    }

    fn is_empty(&self) -> bool {
        [&self.granted, &self.opt_outs, &self.consents, &self.outcomes].iter().all(|told| told.is_empty())
    }
}

/// When the first opt-out was acknowledged.
fn acknowledged(operations: &[Operation]) -> Option<u64> {
    let ended = |operation: &Operation| match operation.asked {
        Asked::OptOut { .. } if operation.answer.is_some() => Some(operation.ended),
        _ => None,
    };
    operations.iter().filter_map(ended).min()
}

/// What was acknowledged is in the record, read anew.
async fn kept(engine: &Engine, index: usize, told: &Told) {
    if told.is_empty() {
        return;
    }
    let request = v1::GetContactRequest { number: number(index), ..Default::default() };
    let begun = std::time::Instant::now();
    let contact = loop {
        match engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await {
            Ok(contact) => break contact,
            Err(error) => assert!(begun.elapsed().as_secs() < 60, "{index}: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let there = |what: &str, told: &BTreeSet<String>, known: BTreeSet<String>| {
        assert!(told.is_subset(&known), "{index}: {what} that were acknowledged: {told:?}; recorded are {known:?}");
    };
    there("opt-outs", &told.opt_outs, contact.opt_outs.iter().map(|opt_out| opt_out.receipt_id.clone()).collect());
    there("consents", &told.consents, contact.consents.iter().map(|consent| consent.receipt_id.clone()).collect());
    let attempts = || contact.attempts.iter().filter_map(|recorded| recorded.attempt.as_ref());
    there("attempts", &told.granted, attempts().map(|attempt| attempt.attempt_id.clone()).collect());
    let connected = attempts().filter(|attempt| attempt.outcome() == v1::Outcome::Connected);
    there("outcomes", &told.outcomes, connected.map(|attempt| attempt.attempt_id.clone()).collect());
}
