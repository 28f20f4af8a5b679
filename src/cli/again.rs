//! Asking a server again where what it refused passes by itself: it is busy, away, or a moment behind.
//!
//! Promises: as long as it answers something now and then, it is asked on; where it answers nothing for [`PATIENCE`], or for
//! several times as long as one answer may take, it is not; it is never asked sooner than it wants to be (`RetryInfo`).

use std::time::{Duration, Instant as Monotonic};

use futures_util::future::BoxFuture;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// For how long a server may answer nothing: more than a restart, a failover or a crowd takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// So many answers may fail to come in their time, at least.
const ANSWERS: u32 = 5;
/// The first pause; each that follows is twice as long.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause, but where the server itself asks for a longer one.
const LONGEST: Duration = Duration::from_secs(10);
/// Waiting that is shorter is not worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(3);
/// Why a write is refused that will be refused each time.
const TOO_LARGE: &str = "RECORD_TOO_LARGE";

/// Whether the same, asked later, may be answered.
pub(super) fn passes(status: &Status) -> bool {
    match status.code() {
        Code::ResourceExhausted => status.get_details_error_info().is_none_or(|info| info.reason != TOO_LARGE),
        // A connection that breaks is told as unknown, and an answer that took too long as cancelled.
        Code::Aborted | Code::DeadlineExceeded | Code::Unavailable | Code::Unknown | Code::Cancelled => true,
        _ => false,
    }
}

/// Who is told what is waited for; nothing is waited for any more where it is empty.
pub(super) type Tell<'a> = &'a (dyn Fn(&str) + Sync);

/// The patience with one question.
pub(super) struct Again<'a> {
    tell: Tell<'a>,
    patience: Duration,
    sleep: fn(Duration) -> BoxFuture<'static, ()>,
    /// When the server last began to answer nothing, and how often it was asked since.
    since: Option<(Monotonic, u32)>,
    told: bool,
}

impl<'a> Again<'a> {
    /// With patience as yet untried.
    pub(super) fn new(tell: Tell<'a>) -> Self {
        let sleep = |pause| -> BoxFuture<'static, ()> { Box::pin(tokio::time::sleep(pause)) };
        Self { tell, patience: PATIENCE, sleep, since: None, told: false }
    }

    /// The same where one answer may take so long: then it is asked several times before patience ends, too.
    pub(super) fn within(tell: Tell<'a>, answer: Duration) -> Self {
        Self { patience: PATIENCE.max(answer.saturating_mul(ANSWERS)), ..Self::new(tell) }
    }

    /// The same where no time passes.
    #[cfg(test)]
    pub(super) fn at_once(tell: Tell<'a>) -> Self {
        Self { sleep: |_| Box::pin(std::future::ready(())), ..Self::new(tell) }
    }

    /// Something was answered: patience begins anew.
    pub(super) fn answered(&mut self) {
        self.since = None;
        if std::mem::take(&mut self.told) {
            (self.tell)("");
        }
    }

    /// How long to wait before asking again; `None`: it was long enough, or does not pass.
    fn pause(&mut self, refused: &Status, now: Monotonic) -> Option<Duration> {
        if !passes(refused) {
            return None;
        }
        let (since, tries) = self.since.unwrap_or((now, 0));
        self.since = Some((since, tries.saturating_add(1)));
        let wanted = refused.get_details_retry_info().and_then(|info| info.retry_delay).unwrap_or_default();
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(tries)).min(LONGEST).max(wanted);
        (now.saturating_duration_since(since).saturating_add(pause) <= self.patience).then_some(pause)
    }

    /// Waits until it is time to ask again.
    ///
    /// # Errors
    /// What was refused: it does not pass, or has not passed for too long.
    pub(super) async fn wait(&mut self, refused: Status) -> Result<(), Status> {
        let now = Monotonic::now();
        let Some(pause) = self.pause(&refused, now) else { return Err(refused) };
        let waited = self.since.map_or(Duration::ZERO, |(since, _)| now.saturating_duration_since(since));
        if !self.told && waited + pause >= WORTH_A_WORD {
            self.told = true;
            let (code, minutes) = (refused.code(), self.patience.as_secs() / 60);
            (self.tell)(&format!("the server is busy or away ({code:?}): waiting, for up to {minutes} minutes"));
        }
        (self.sleep)(pause).await;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code) -> Status {
        Status::new(code, "no")
    }

    #[test]
    fn what_passes_by_itself_is_asked_again() {
        for code in [
            Code::ResourceExhausted,
            Code::Aborted,
            Code::DeadlineExceeded,
            Code::Unavailable,
            Code::Unknown,
            Code::Cancelled,
        ] {
            assert!(passes(&refused(code)), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::PermissionDenied, Code::Unauthenticated, Code::Internal] {
            assert!(!passes(&refused(code)), "{code:?}");
        }
        let mut details = ErrorDetails::new();
        details.set_error_info(TOO_LARGE, "ringfence", std::collections::HashMap::new());
        assert!(!passes(&Status::with_error_details(Code::ResourceExhausted, "no", details)));
    }

    #[test]
    fn pauses_grow_until_patience_ends_and_begin_anew_with_an_answer() {
        let quiet = |_: &str| {};
        let mut again = Again::at_once(&quiet);
        let begun = Monotonic::now();
        let mut waited = Duration::ZERO;
        let mut pauses = Vec::new();
        while let Some(pause) = again.pause(&refused(Code::Unavailable), begun + waited) {
            waited += pause;
            pauses.push(pause);
        }
        assert_eq!(pauses.iter().take(3).copied().collect::<Vec<_>>(), [FIRST, FIRST * 2, FIRST * 4]);
        assert!(pauses.iter().is_sorted() && *pauses.last().unwrap() == LONGEST);
        assert!(waited <= PATIENCE && waited + LONGEST > PATIENCE, "{waited:?}");
        again.answered();
        assert_eq!(again.pause(&refused(Code::Aborted), begun + waited), Some(FIRST));
        assert_eq!(again.pause(&refused(Code::Internal), begun + waited), None);
    }

    #[test]
    fn patience_is_longer_than_several_answers() {
        let quiet = |_: &str| {};
        let begun = Monotonic::now();
        for (answer, asked_on) in [(60, false), (600, true)] {
            let mut again = Again::within(&quiet, Duration::from_secs(answer));
            again.pause(&refused(Code::DeadlineExceeded), begun);
            let later = again.pause(&refused(Code::DeadlineExceeded), begun + Duration::from_secs(4 * 600));
            assert_eq!(later.is_some(), asked_on, "{answer}");
        }
    }

    #[test]
    fn it_is_asked_no_sooner_than_it_wants_to_be() {
        let quiet = |_: &str| {};
        let wanting = |seconds| {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
            Status::with_error_details(Code::ResourceExhausted, "no", details)
        };
        let mut again = Again::at_once(&quiet);
        let now = Monotonic::now();
        assert_eq!(again.pause(&wanting(30), now), Some(Duration::from_secs(30)));
        assert_eq!(again.pause(&wanting(0), now), Some(FIRST * 2));
        assert_eq!(again.pause(&wanting(PATIENCE.as_secs() + 1), now), None, "longer than we have");
    }
}
