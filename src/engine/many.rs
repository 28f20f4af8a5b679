//! Many checks at once: their contacts are found in one trip, and each check is then answered as if it had come alone.
//!
//! Promises: what holds of one check holds of each of many, and no fault of one is a fault of another; checks of one number
//! are answered in their order, each in the light of what those before it counted; what cannot be found for all together is
//! looked for one by one, so that a part of the store which is away takes only its own contacts along. Guarded by
//! `tests/service/stream.rs`.

use std::collections::HashMap;
use std::time::Instant as Monotonic;

use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::control::Standing;
use super::find::{Found, Record};
use super::question::Checked;
use super::region::Kept;
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::law::Law;
use crate::place::Number;
use crate::proto::v1;
use crate::registry::Snapshot;
use crate::store::{Key, Versioned};

/// How many numbers whose checks may write are under way at once: enough for their writes to share a commit.
const AT_ONCE: usize = 128;

/// A check and its place among the others.
struct Row {
    place: usize,
    checked: Checked,
    request: v1::CheckRequest,
}

/// What is known of a contact, and the switches; or why that is not known.
pub(super) type Met<'a> = Result<(Found<'a>, Standing), Failure>;

/// All checks of one number, in their order.
struct Line<'a> {
    /// `None`: what was given as a number is none.
    number: Option<Number>,
    rows: Vec<Row>,
    /// `None`: to be looked for when it is asked about.
    met: Option<Met<'a>>,
}

/// What all checks of one call are judged by.
#[derive(Clone, Copy)]
struct Common<'a> {
    permit: &'a Permit,
    law: &'a Law,
    lists: &'a Snapshot,
    clock: Clock,
}

impl Engine {
    /// Answers many checks, each as [`Engine::check`] would, in the order asked. An answer that the deadline overtook is
    /// [`Failure::TooLate`]; the others stand.
    pub async fn check_many(
        &self,
        permit: &Permit,
        requests: Vec<v1::CheckRequest>,
        clock: Clock,
    ) -> Vec<Result<v1::Decision, Failure>> {
        if self.is_of(permit).is_err() {
            return requests.iter().map(|_| self.is_of(permit).and(Err(Failure::TooLate))).collect();
        }
        let (law, lists) = (self.law.load_full(), self.lists.snapshot());
        let common = Common { permit, law: &law, lists: &lists, clock };
        let mut answers: Vec<Option<Result<v1::Decision, Failure>>> = Vec::with_capacity(requests.len());
        let mut lines = Vec::with_capacity(requests.len());
        let mut of_number: HashMap<Number, usize> = HashMap::with_capacity(requests.len());
        for (place, request) in requests.into_iter().enumerate() {
            let checked = match self.read(permit, &request, clock) {
                Ok(checked) => checked,
                Err(failure) => {
                    answers.push(Some(Err(failure)));
                    continue;
                }
            };
            answers.push(None);
            let number = checked.number.ok();
            let line = number.map_or(lines.len(), |number| *of_number.entry(number).or_insert(lines.len()));
            let row = Row { place, checked, request };
            match lines.get_mut(line) {
                None => lines.push(Line { number, rows: vec![row], met: None }),
                Some(line) => line.rows.push(row),
            }
        }
        let wanted = lines.iter().enumerate().filter_map(|(place, line)| Some((place, line.number?)));
        let wanted: Vec<_> = wanted.collect();
        for (place, met) in self.meet(wanted.into_iter(), half(clock.deadline)).await {
            if let Some(line) = lines.get_mut(place) {
                line.met = Some(met);
            }
        }
        // What writes nothing and has its contact waits for nobody: one after the other it costs least.
        let (plain, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(Line::is_plain);
        let plain = async {
            let mut done = Vec::with_capacity(plain.len());
            for line in plain {
                self.answer_line(common, line, &mut done).await;
            }
            done
        };
        let others: Vec<_> = others.into_iter().map(|line| self.answer_whole(common, line)).collect();
        let others = futures_util::stream::iter(others).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let (plain, others) = tokio::join!(plain, others);
        for (place, answer) in plain.into_iter().chain(others.into_iter().flatten()) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some(answer);
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(unanswered()))).collect()
    }

    /// Answers the checks of one number, one after the other.
    async fn answer_line(
        &self,
        common: Common<'_>,
        line: Line<'_>,
        done: &mut Vec<(usize, Result<v1::Decision, Failure>)>,
    ) {
        let Common { permit, law, lists, clock } = common;
        let mut met = line.met;
        for Row { place, checked, request } in line.rows {
            // Only the first is answered by what was found for all: it may count something.
            let answer = self.check_read(permit, &checked, request, clock, (law, lists), met.take());
            done.push((place, in_time(clock.deadline, answer).await));
        }
    }

    async fn answer_whole(&self, common: Common<'_>, line: Line<'_>) -> Vec<(usize, Result<v1::Decision, Failure>)> {
        let mut done = Vec::with_capacity(line.rows.len());
        self.answer_line(common, line, &mut done).await;
        done
    }

    /// Finds contacts, a trip for each region. Of those that are not among what is found, each may still be found alone.
    pub(super) async fn meet<'a>(
        &'a self,
        wanted: impl Iterator<Item = (usize, Number)>,
        until: Option<Monotonic>,
    ) -> Vec<(usize, Met<'a>)> {
        let mut found = Vec::new();
        let mut homes: Vec<(&'a Kept, Vec<(usize, Number)>)> = Vec::new();
        for (place, number) in wanted {
            match self.home(number) {
                Err(failure) => found.push((place, Err(failure))),
                Ok(home) => match homes.iter_mut().find(|(kept, _)| std::ptr::eq(*kept, home)) {
                    Some((_, there)) => there.push((place, number)),
                    None => homes.push((home, vec![(place, number)])),
                },
            }
        }
        let trips = homes.into_iter().map(|(kept, wanted)| async move {
            let met = in_time(until, self.meet_in(kept, &wanted)).await;
            (wanted, met)
        });
        for (wanted, met) in join_all(trips).await {
            let Ok(met) = met else { continue };
            found.extend(wanted.into_iter().zip(met).filter_map(|((place, _), met)| Some((place, met?))));
        }
        found
    }

    /// The contacts of these numbers in their own region; `None` of one that is elsewhere, or on its way.
    async fn meet_in<'a>(
        &'a self,
        kept: &'a Kept,
        wanted: &[(usize, Number)],
    ) -> Result<Vec<Option<Met<'a>>>, Failure> {
        let keys: Vec<Key> = wanted.iter().map(|(_, number)| kept.key(&self.keys, *number)).collect();
        let (stored, standing) = self.load_many_with_switches(kept, &keys).await?;
        let mut met = Vec::with_capacity(wanted.len());
        for (((_, number), key), stored) in wanted.iter().zip(keys).zip(stored) {
            met.push(self.met(kept, *number, key, stored, &standing).await);
        }
        Ok(met)
    }

    async fn met<'a>(
        &'a self,
        kept: &'a Kept,
        number: Number,
        key: Key,
        stored: Option<Versioned>,
        standing: &Standing,
    ) -> Option<Met<'a>> {
        let loaded = match stored {
            None => None,
            Some(stored) => match self.open(&key, &stored).await {
                Ok(Record::Here(loaded)) if self.lies_right(kept, &loaded.contact, number) => Some(loaded),
                Ok(_) => return None,
                Err(failure) => return Some(Err(failure)),
            },
        };
        Some(Ok((Found { kept, key, loaded, arriving: false }, standing.clone())))
    }
}

impl Line<'_> {
    /// Whether it is one check that writes nothing, of which all is known.
    fn is_plain(&self) -> bool {
        let [row] = self.rows.as_slice() else { return false };
        row.checked.dry_run && (self.number.is_none() || matches!(self.met, Some(Ok(_))))
    }
}

/// Half of the time: what does not come so is asked for one by one in the other.
fn half(deadline: Option<Monotonic>) -> Option<Monotonic> {
    deadline.map(|deadline| {
        let now = Monotonic::now();
        now + deadline.saturating_duration_since(now) / 2
    })
}

/// The answer, unless the deadline comes first.
async fn in_time<T>(
    deadline: Option<Monotonic>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match deadline {
        None => answer.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await.unwrap_or(Err(Failure::TooLate)),
    }
}

fn unanswered() -> Failure {
    Failure::Internal("a check was left without an answer".to_owned())
}
