//! Goes over a history once it is whole.

use std::collections::{BTreeMap, BTreeSet};

use ringfence::access::Role;
use ringfence::engine::Engine;
use ringfence::proto::v1;

use super::clients::{Asked, History, Operation, number};
use super::support::permit;

/// Florida allows three calls a day about one matter.
const CAP: usize = 3;

/// Panics at the first promise that was broken.
pub async fn check(history: &History, engine: &Engine) {
    let mut by_number: BTreeMap<usize, Vec<Operation>> = BTreeMap::new();
    for operation in std::mem::take(&mut *history.operations.lock().unwrap()) {
        by_number.entry(operation.number).or_default().push(operation);
    }
    let (mut all, mut allowed, mut opted_out, mut unknown) = (0, 0, 0, 0);
    for (index, operations) in &by_number {
        all += operations.len();
        unknown += operations.iter().filter(|operation| operation.answer.is_none()).count();
        let granted = granted(operations);
        allowed += granted.len();
        assert!(granted.len() <= CAP, "{index}: {} allowed, the cap is {CAP}: {operations:#?}", granted.len());
        let acknowledged = acknowledged(operations);
        opted_out += usize::from(acknowledged.is_some());
        if let Some(acknowledged) = acknowledged {
            let late = operations.iter().find(|operation| {
                operation.began > acknowledged
                    && operation.answer == Some(true)
                    && matches!(operation.asked, Asked::Check { .. })
            });
            assert!(
                late.is_none(),
                "{index}: allowed after an opt-out that was acknowledged: {late:?} in {operations:#?}"
            );
        }
        if acknowledged.is_some() || !granted.is_empty() {
            kept(engine, *index, acknowledged.is_some(), &granted).await;
        }
    }
    println!("{all} operations, {unknown} without an answer, {allowed} allowed, {opted_out} numbers opted out");
    assert!(allowed > 0 && opted_out > 0, "a history in which nothing happens proves nothing");
}

/// The attempts that were allowed, each once however often it was asked.
fn granted(operations: &[Operation]) -> BTreeSet<String> {
    let attempt = |operation: &Operation| match &operation.asked {
        Asked::Check { attempt } if operation.answer == Some(true) => Some(attempt.clone()),
        _ => None,
    };
    operations.iter().filter_map(attempt).collect()
}

/// When the first opt-out was acknowledged.
fn acknowledged(operations: &[Operation]) -> Option<u64> {
    let ended = |operation: &Operation| match operation.asked {
        Asked::OptOut { .. } if operation.answer == Some(true) => Some(operation.ended),
        _ => None,
    };
    operations.iter().filter_map(ended).min()
}

/// What was acknowledged is in the record, read anew.
async fn kept(engine: &Engine, index: usize, opted_out: bool, granted: &BTreeSet<String>) {
    let request = v1::GetContactRequest { number: number(index), ..Default::default() };
    let begun = std::time::Instant::now();
    let contact = loop {
        match engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await {
            Ok(contact) => break contact,
            Err(error) => assert!(begun.elapsed().as_secs() < 60, "{index}: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(opted_out, opted_out && !contact.opt_outs.is_empty(), "{index}: an acknowledged opt-out is gone");
    let attempts = contact.attempts.iter().filter_map(|recorded| recorded.attempt.as_ref());
    let known: BTreeSet<_> = attempts.map(|attempt| attempt.attempt_id.clone()).collect();
    assert!(granted.is_subset(&known), "{index}: {granted:?} were allowed, {known:?} are recorded");
}
