//! The rows of one batch. Their contacts are found together; where there are regions, the rows of one that is down must not
//! keep the others waiting, nor let the whole batch come too late.

use std::collections::BTreeMap;
use std::time::Instant as Monotonic;

use futures_util::future::join_all;

use super::calls::result;
use crate::access::Permit;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::v1;
use crate::store::StoreError;

/// Answers every row, in their order; `failed` is told of each that failed. Where there are regions each is asked for itself, and a row that has no answer when
/// four fifths of the time are gone gets none.
///
/// # Errors
/// There are no regions, and every row came too late.
pub(super) async fn answer(
    engine: &Engine,
    permit: &Permit,
    checks: Vec<v1::CheckRequest>,
    clock: Clock,
    failed: &(impl Fn(&Failure) + Sync),
) -> Result<Vec<v1::CheckResult>, Failure> {
    if !engine.has_regions() {
        let answers = Box::pin(engine.check_many(permit, checks, clock)).await;
        if !answers.is_empty() && answers.iter().all(|answer| matches!(answer, Err(Failure::TooLate))) {
            return Err(Failure::TooLate);
        }
        answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(failed);
        return Ok(answers.into_iter().map(result).collect());
    }
    let mut regions: BTreeMap<&str, (Vec<usize>, Vec<v1::CheckRequest>)> = BTreeMap::new();
    for (row, check) in checks.into_iter().enumerate() {
        let (places, rows) = regions.entry(engine.region_of_text(&check.number, &check.default_region)).or_default();
        places.push(row);
        rows.push(check);
    }
    let earlier = |deadline: Monotonic| {
        let now = Monotonic::now();
        now + deadline.saturating_duration_since(now) * 4 / 5
    };
    let clock = Clock { deadline: clock.deadline.map(earlier), ..clock };
    let answers = regions.into_values().map(|(places, rows)| async move {
        let answers = Box::pin(engine.check_many(permit, rows, clock)).await;
        places.into_iter().zip(answers).collect::<Vec<_>>()
    });
    let mut answers: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(row, _)| *row);
    answers.iter().filter_map(|(_, answer)| answer.as_ref().err()).for_each(failed);
    let told = |answer| match answer {
        Err(Failure::TooLate) => Err(late()),
        other => other,
    };
    Ok(answers.into_iter().map(|(_, answer)| result(told(answer))).collect())
}

/// Whoever asks again does no harm: what was counted meanwhile is counted once by its `attempt_id`.
fn late() -> Failure {
    let why = "no answer while the rest of the batch could still be told".to_owned();
    StoreError::Unavailable { place: "the region of a contact".to_owned(), doing: "asking", why }.into()
}
