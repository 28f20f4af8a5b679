//! The rows of one batch where there are regions: those of one that is down must not keep the others waiting, nor let the
//! whole batch come too late.

use std::collections::BTreeMap;
use std::time::Instant as Monotonic;

use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::calls::{AT_ONCE, result};
use crate::access::Permit;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::v1;
use crate::store::StoreError;

/// Answers every row, in their order. Each region has room of its own for rows that are under way, and a row that has no
/// answer when four fifths of the time are gone gets none.
pub(super) async fn by_region(
    engine: &Engine,
    permit: &Permit,
    checks: Vec<v1::CheckRequest>,
    clock: Clock,
) -> Vec<v1::CheckResult> {
    let mut regions: BTreeMap<&str, Vec<(usize, v1::CheckRequest)>> = BTreeMap::new();
    for (row, check) in checks.into_iter().enumerate() {
        let region = engine.region_of_text(&check.number, &check.default_region);
        regions.entry(region).or_default().push((row, check));
    }
    let last = clock.deadline.map(|deadline| {
        let now = Monotonic::now();
        now + deadline.saturating_duration_since(now) * 4 / 5
    });
    let answers = regions.into_values().map(|rows| {
        let asked = rows.into_iter().map(|(row, check)| async move {
            let answer = engine.check(permit, check, clock);
            let answer = match last {
                None => answer.await,
                Some(last) => tokio::time::timeout_at(last.into(), answer).await.unwrap_or_else(|_| Err(late())),
            };
            (row, answer)
        });
        futures_util::stream::iter(asked).buffer_unordered(AT_ONCE).collect::<Vec<_>>()
    });
    let mut answers: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    answers.sort_unstable_by_key(|(row, _)| *row);
    answers.into_iter().map(|(_, answer)| result(answer)).collect()
}

/// Whoever asks again does no harm: what was counted meanwhile is counted once by its `attempt_id`.
fn late() -> Failure {
    let why = "no answer while the rest of the batch could still be told".to_owned();
    StoreError::Unavailable { place: "the region of a contact".to_owned(), doing: "asking", why }.into()
}
