//! How far a run came, kept beside what it wrote, so that a later one goes on there.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::input::Place;
use super::summary::Tally;
use crate::proto::v1;
use crate::time::{Instant, Millis};

/// The form of what is kept.
const FORM: u32 = 2;
/// What was answered longer ago is not gone on with: an opt-out since then would be in half of the file alone.
const FRESH: Millis = Millis::hours(1);

/// How far a run came.
#[derive(Serialize, Deserialize)]
pub(super) struct State {
    form: u32,
    /// Names everything that the answers follow from.
    made_from: String,
    /// The one now of the file, in milliseconds.
    now: i64,
    /// What the ids of attempts begin with; empty where none are counted.
    pub attempts: String,
    /// Where the next row begins.
    pub place: Place,
    /// Bytes written.
    pub written: u64,
    /// Counts of the rows before.
    pub tally: Tally,
}

impl State {
    /// How far a run has come.
    pub(super) fn new(run: &Run, place: Place, written: u64, tally: &Tally) -> Self {
        Self {
            form: FORM,
            made_from: run.made_from.clone(),
            now: run.now.millis(),
            attempts: run.attempts.clone().unwrap_or_default(),
            place,
            written,
            tally: tally.clone(),
        }
    }

    /// Reads what was left behind, where it is of this very work and not too old.
    pub(super) fn read(text: &str, made_from: &str, now: Instant) -> Option<Self> {
        let state: Self = serde_json::from_str(text).ok()?;
        let age = now.millis().checked_sub(state.now)?;
        let same = state.form == FORM && state.made_from == made_from && (0..=FRESH.0).contains(&age);
        same.then_some(state)
    }

    /// How many attempts a run of this or other work has counted at least: those after its last word are not in it.
    pub(super) fn counted(text: &str) -> Option<u64> {
        let state: Self = serde_json::from_str(text).ok()?;
        (!state.attempts.is_empty()).then(|| state.tally.allowed())
    }

    /// The one now of the file.
    pub(super) const fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }
}

/// What a run is, whatever it has done.
#[derive(Clone)]
pub(super) struct Run {
    /// Names everything that its answers follow from.
    pub made_from: String,
    /// The one now of the file.
    pub now: Instant,
    /// What the ids of attempts begin with, where they are counted.
    pub attempts: Option<String>,
}

/// Names everything that answers follow from.
pub(super) fn made_from(question: &v1::CheckRequest, parts: &[String]) -> String {
    let mut text = question.encode_length_delimited_to_vec();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    digest(&SHA256, &text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_other_work_or_too_old_is_not_gone_on_with() {
        let now = Instant::from_millis(1_795_000_000_000);
        let run = Run { made_from: "abc".to_owned(), now, attempts: None };
        let place = Place { offset: 7, line: 3 };
        let text = serde_json::to_string(&State::new(&run, place, 9, &Tally::default())).unwrap();
        let read = |made_from: &str, later| State::read(&text, made_from, now.plus(Millis(later)));
        let state = read("abc", 3_600_000).unwrap();
        assert_eq!((state.place, state.written, state.now()), (place, 9, now));
        assert!(read("abd", 0).is_none() && read("abc", 3_600_001).is_none() && read("abc", -1).is_none());
        assert!(State::read("{", "abc", now).is_none());
        assert_eq!(State::counted(&text), None, "nothing was counted");
        let mut tally = Tally::default();
        tally.classes[0] = 3;
        let run = Run { attempts: Some("scrub-1".to_owned()), ..run };
        let text = serde_json::to_string(&State::new(&run, place, 9, &tally)).unwrap();
        assert_eq!(State::counted(&text), Some(3));
        let text = serde_json::to_string(&State::new(&run, place, 9, &Tally::default())).unwrap();
        assert_eq!(State::counted(&text), Some(0), "some may have been, before it said so");
    }

    #[test]
    fn other_parts_have_another_name() {
        let question = v1::CheckRequest::default();
        let name =
            |parts: &[&str]| made_from(&question, &parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        assert_ne!(name(&["a", "b"]), name(&["ab", ""]));
    }
}
