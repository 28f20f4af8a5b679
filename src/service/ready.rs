//! What is not ready, as it was when it was last looked at: whoever asks makes nobody look.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Monotonic};

/// A look that is older tells nothing of now.
const OLD: Duration = Duration::from_secs(5);

/// Each part that is not ready, and why.
pub type Faults = Vec<(&'static str, String)>;

/// See the module.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<(Monotonic, Faults)>,
    stopping: bool,
}

impl Readiness {
    /// What was found just now.
    pub fn note(&self, faults: Faults) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = Some((Monotonic::now(), faults));
    }

    /// The server is stopping: from now on it is not ready.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
    }

    /// What is not ready, and how long ago that was found.
    #[must_use]
    pub fn now(&self) -> (Faults, Duration) {
        self.at(Monotonic::now())
    }

    fn at(&self, now: Monotonic) -> (Faults, Duration) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut faults, age) = match &state.last {
            None => (vec![("server", "its parts were not looked at yet".to_owned())], Duration::ZERO),
            Some((at, faults)) => (faults.clone(), now.saturating_duration_since(*at)),
        };
        if state.stopping {
            faults.push(("server", "it is stopping".to_owned()));
        } else if age > OLD {
            faults.push(("server", format!("its parts were last looked at {} seconds ago", age.as_secs())));
        }
        (faults, age)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_long_ago_or_never_is_not_ready() {
        let readiness = Readiness::default();
        assert_eq!(readiness.now().0[0].0, "server");
        readiness.note(Vec::new());
        let now = Monotonic::now();
        assert_eq!(readiness.at(now).0, []);
        let (faults, age) = readiness.at(now + OLD + Duration::from_secs(1));
        assert!(age > OLD && faults[0].1.contains("seconds ago"), "{faults:?}");
        readiness.note(vec![("store", "away".to_owned())]);
        assert_eq!(readiness.now().0, [("store", "away".to_owned())]);
        readiness.note(Vec::new());
        readiness.stop();
        assert_eq!(readiness.now().0, [("server", "it is stopping".to_owned())]);
    }
}
