//! What goes on over one connection, and whether it may go on.
//!
//! A peer may read and write as it likes as long as that has to do with calls. What it sends beyond is counted in bytes:
//! pings, settings, window updates, empty frames, resets. So one account covers every flood of HTTP/2 frames, known and
//! unknown; those that a client sends in earnest are a small part of what its calls take.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant as Monotonic};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::Settings;

/// How much of all requests of a connection, and of one of them, the peer may send before it is read.
pub(super) const WINDOW: u32 = 1 << 20;
pub(super) const WINDOW_OF_ONE: u32 = 1 << 20;
/// Bytes beyond those of calls that a connection may send at once, and in each second. What is on its way to a call that
/// has not read it yet is not known to be of a call.
const BEYOND: i64 = WINDOW as i64 + (64 << 10);
const BEYOND_A_SECOND: u64 = 128;
/// Bytes that a call may bring beyond its headers and body: frame heads, a reset, window updates.
const BESIDE_CALL: i64 = 512;
/// Bytes that the peer may send for each frame of an answer: two updates of windows, and a ping to measure the way.
const BESIDE_FRAME: i64 = 64;
/// Bytes of answers for which the peer sends one more, to make room for the next.
const FOR_ROOM: usize = 256;
/// Whoever gives a call up later than this has waited for it, as those do who have a deadline.
const WAITED: Duration = Duration::from_millis(50);
/// Calls that a peer may give up sooner, at once and in each second; beside one for each that it waited for.
const GIVEN_UP: i64 = 200;
const GIVEN_UP_A_SECOND: i64 = 50;
/// The preface of HTTP/2: whoever has not sent that much has sent nothing, and whoever begins otherwise speaks HTTP/1.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    settings: Settings,
    began: Monotonic,
    under_way: AtomicU64,
    /// Bytes read.
    read: AtomicU64,
    /// It is HTTP/1, where nothing is sent between requests.
    is_http1: AtomicBool,
    /// Since when a request of HTTP/1 comes whose headers are not whole, in milliseconds since it began, and one; 0: none.
    coming: AtomicU64,
    /// Bytes that may be read still, but for the seconds that passed.
    allowance: AtomicI64,
    /// Thousandths of calls that may be given up still, and as of when.
    patience: Mutex<(i64, u64)>,
    /// When something last went on, in milliseconds since it began.
    last: AtomicU64,
    /// Since when the peer takes nothing, in milliseconds since it began, and one; 0: it does.
    blocked: AtomicU64,
    /// Answers of which a part waits for the peer, and since when.
    handed: Mutex<HashMap<u64, u64>>,
    answers: AtomicU64,
    /// More was read than calls account for.
    over: AtomicBool,
    /// Calls were given up faster than anybody does who wants answers.
    resets: AtomicBool,
    /// Told when a call is given up too much.
    pub changed: Notify,
}

/// Whether a connection may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Fine,
    /// Nothing goes on: it may end.
    Idle,
    /// It must end, for this reason.
    Cut(&'static str),
}

impl Pace {
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            began: Monotonic::now(),
            under_way: AtomicU64::new(0),
            read: AtomicU64::new(0),
            is_http1: AtomicBool::new(false),
            coming: AtomicU64::new(0),
            allowance: AtomicI64::new(BEYOND),
            patience: Mutex::new((1_000 * GIVEN_UP, 0)),
            last: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            handed: Mutex::default(),
            answers: AtomicU64::new(0),
            over: AtomicBool::new(false),
            resets: AtomicBool::new(false),
            changed: Notify::new(),
        })
    }

    fn millis(&self, now: Monotonic) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    fn moved(&self) {
        self.last.fetch_max(self.millis(Monotonic::now()), Ordering::Relaxed);
    }

    /// So many more bytes may be read.
    fn allow(&self, bytes: usize, beside: i64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.allowance.fetch_add(bytes.saturating_add(beside), Ordering::Relaxed);
    }

    /// A call begins, with headers of so many bytes.
    pub fn begins(self: &Arc<Self>, headers: usize) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.coming.store(0, Ordering::Relaxed);
        self.allow(headers, BESIDE_CALL);
        UnderWay { pace: Arc::clone(self), began: Monotonic::now(), answered: false }
    }

    /// These bytes were read: how many before them.
    fn reads(&self, bytes: &[u8]) -> u64 {
        let before = self.read.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
        let expected = usize::try_from(before).ok().and_then(|before| PREFACE.get(before..)).unwrap_or_default();
        if bytes.iter().zip(expected).any(|(byte, expected)| byte != expected) {
            self.is_http1.store(true, Ordering::Relaxed);
        }
        if !bytes.is_empty() && self.is_http1.load(Ordering::Relaxed) && self.is_resting() {
            let since = self.millis(Monotonic::now()).saturating_add(1);
            let _ = self.coming.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        }
        before
    }

    /// A part of a request came.
    pub fn received(&self, bytes: usize) {
        if bytes > 0 {
            // As much again, for a sender of small frames.
            self.allow(bytes.saturating_mul(2), BESIDE_FRAME);
            self.moved();
        }
    }

    /// A request was not read to its end: what was on its way is of a call all the same.
    pub fn unread(&self) {
        self.allow(0, WINDOW_OF_ONE.into());
    }

    fn is_over(&self, read: u64) -> bool {
        let seconds = self.millis(Monotonic::now()) / 1_000;
        let allowed = self.allowance.load(Ordering::Relaxed);
        let allowed = u64::try_from(allowed).unwrap_or(0).saturating_add(seconds.saturating_mul(BEYOND_A_SECOND));
        read > allowed
    }

    /// A call ended. Whoever waits for answers may give up more of them.
    fn ends(&self, gave_up: bool) {
        let now = self.millis(Monotonic::now());
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *patience;
        let passed = i64::try_from(now.saturating_sub(since)).unwrap_or(i64::MAX);
        let earned = passed.saturating_mul(GIVEN_UP_A_SECOND);
        let change = if gave_up { -1_000 } else { 1_000 };
        let left = left.saturating_add(earned).min(1_000 * GIVEN_UP).saturating_add(change).min(1_000 * GIVEN_UP);
        *patience = (left, now);
        if left < 0 {
            self.resets.store(true, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }

    /// Whether it may go on now.
    pub fn verdict(&self, now: Monotonic) -> Verdict {
        let (now, since) = (self.millis(now), self.last.load(Ordering::Relaxed));
        let over = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
        if self.resets.load(Ordering::Relaxed) {
            return Verdict::Cut("rapid_reset");
        }
        let blocked = self.blocked.load(Ordering::Relaxed);
        if blocked != 0 && over(blocked - 1, self.settings.unread) {
            return Verdict::Cut("unread");
        }
        let oldest = self.handed.lock().unwrap_or_else(PoisonError::into_inner).values().min().copied();
        if oldest.is_some_and(|since| over(since, self.settings.unread)) {
            return Verdict::Cut("unread");
        }
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return Verdict::Fine;
        }
        if self.read.load(Ordering::Relaxed) < PREFACE.len() as u64 && over(0, self.settings.receive) {
            return Verdict::Cut("silent");
        }
        let coming = self.coming.load(Ordering::Relaxed);
        if coming != 0 && over(coming - 1, self.settings.receive) {
            return Verdict::Cut("slow_headers");
        }
        if over(since, self.settings.idle) { Verdict::Idle } else { Verdict::Fine }
    }

    /// Whether no call is under way.
    pub fn is_resting(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Whether it was ended because of what came beside its calls.
    pub fn is_flooded(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// How often to look.
    pub fn look(&self) -> Duration {
        let least = self.settings.idle.min(self.settings.unread).min(self.settings.receive);
        (least / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// The name of an answer, by which its parts are known.
    pub fn answer(&self) -> u64 {
        self.answers.fetch_add(1, Ordering::Relaxed)
    }

    /// A part of an answer was handed over, and the next is asked for once the peer has room.
    pub fn hands(&self, answer: u64, bytes: usize) {
        let now = self.millis(Monotonic::now());
        self.allow(bytes / FOR_ROOM, BESIDE_FRAME);
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).insert(answer, now);
    }

    /// The next part is asked for, or there is none.
    pub fn has_room(&self, answer: u64) {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner).remove(&answer);
    }
}

/// A call, until its answer has gone.
pub(super) struct UnderWay {
    pace: Arc<Pace>,
    began: Monotonic,
    answered: bool,
}

impl UnderWay {
    /// It was answered: if the peer goes away now, it has waited for that.
    pub const fn answered(&mut self) {
        self.answered = true;
    }

    pub const fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.pace.moved();
        self.pace.under_way.fetch_sub(1, Ordering::Relaxed);
        if self.answered || self.began.elapsed() < WAITED {
            self.pace.ends(!self.answered);
        }
    }
}

/// The bytes of a connection, counted.
pub(super) struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
}

impl<T> Paced<T> {
    pub const fn new(inner: T, pace: Arc<Pace>) -> Self {
        Self { inner, pace }
    }

    fn wrote<V>(&self, done: Poll<V>) -> Poll<V> {
        match done {
            Poll::Ready(_) => self.pace.blocked.store(0, Ordering::Relaxed),
            Poll::Pending => {
                let since = self.pace.millis(Monotonic::now()).saturating_add(1);
                let _ = self.pace.blocked.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        done
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let done = Pin::new(&mut self.inner).poll_read(context, into);
        if matches!(done, Poll::Ready(Ok(()))) {
            let read = self.pace.reads(into.filled().get(before..).unwrap_or_default());
            // A whole message may be read before its call is known of: what is looked at is what came before.
            if self.pace.is_over(read) {
                self.pace.over.store(true, Ordering::Relaxed);
                return Poll::Ready(Err(std::io::Error::other("more came than its calls account for")));
            }
        }
        done
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.wrote(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
        self.wrote(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(context);
        self.wrote(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn pace() -> Arc<Pace> {
        Pace::new(Settings::default())
    }

    #[test]
    fn bytes_beside_calls_run_out_and_those_of_calls_do_not() {
        let pace = pace();
        let much = u64::try_from(BEYOND).unwrap();
        assert!(!pace.is_over(much) && pace.is_over(much + 1_000));
        let mut call = pace.begins(700);
        pace.received(10_000_000);
        call.answered();
        assert!(!pace.is_over(much + 10_000_700));
    }

    #[test]
    fn a_silent_one_is_cut_an_idle_one_may_end_and_one_at_work_stays() {
        let (pace, settings) = (pace(), Settings::default());
        let second = Duration::from_secs(1);
        assert_eq!(pace.verdict(pace.began + settings.receive), Verdict::Fine);
        assert_eq!(pace.verdict(pace.began + settings.receive + second), Verdict::Cut("silent"));
        pace.read.store(PREFACE.len() as u64, Ordering::Relaxed);
        assert_eq!(pace.verdict(pace.began + settings.idle), Verdict::Fine);
        assert_eq!(pace.verdict(pace.began + settings.idle + second), Verdict::Idle);
        let call = pace.begins(0);
        assert_eq!(pace.verdict(pace.began + 100 * settings.idle), Verdict::Fine);
        drop(call);
    }

    fn read(pace: &Arc<Pace>, bytes: &[u8]) {
        use tokio::io::AsyncReadExt as _;
        let mut paced = Paced::new(bytes, Arc::clone(pace));
        let read = paced.read_exact(&mut vec![0; bytes.len()]).now_or_never().unwrap().unwrap();
        assert_eq!(read, bytes.len());
    }

    #[test]
    fn headers_are_waited_for_once_they_began_and_the_next_request_as_long_as_the_connection_may_idle() {
        let (pace, settings) = (pace(), Settings::default());
        let second = Duration::from_secs(1);
        let idle = |pace: &Pace| pace.verdict(Monotonic::now() + settings.idle);
        let late = |pace: &Pace| pace.verdict(Monotonic::now() + settings.receive + second);
        for _ in 0..2 {
            read(&pace, b"POST /v1/check HTTP/1.1\r\nho");
            assert_eq!(pace.verdict(Monotonic::now() + settings.receive - second), Verdict::Fine);
            assert_eq!(late(&pace), Verdict::Cut("slow_headers"));
            read(&pace, b"st: x\r\n\r\n");
            let mut call = pace.begins(0);
            read(&pace, b"the body");
            assert_eq!(late(&pace), Verdict::Fine);
            call.answered();
            drop(call);
            assert_eq!((late(&pace), idle(&pace)), (Verdict::Fine, Verdict::Fine));
        }
        assert_eq!(pace.verdict(Monotonic::now() + settings.idle + second), Verdict::Idle);
        // Over HTTP/2 there are frames beside requests.
        let pace = self::pace();
        read(&pace, &PREFACE[..3]);
        read(&pace, &PREFACE[3..]);
        read(&pace, &[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        assert_eq!(idle(&pace), Verdict::Fine);
    }

    #[test]
    fn answers_that_nobody_reads_are_cut() {
        let (pace, limit) = (pace(), Settings::default().unread);
        let (answer, second) = (pace.answer(), Duration::from_secs(1));
        let _call = pace.begins(0);
        pace.hands(answer, 10);
        assert_eq!(pace.verdict(pace.began + limit), Verdict::Fine);
        assert_eq!(pace.verdict(pace.began + limit + second), Verdict::Cut("unread"));
        pace.has_room(answer);
        assert_eq!(pace.verdict(pace.began + limit + second), Verdict::Fine);
    }

    #[test]
    fn calls_given_up_at_once_are_cut_and_those_answered_are_not() {
        let pace = pace();
        for _ in 0..2 * GIVEN_UP {
            pace.begins(0).answered();
        }
        assert_eq!(pace.verdict(pace.began), Verdict::Fine);
        for _ in 0..2 * GIVEN_UP {
            drop(pace.begins(0));
        }
        assert_eq!(pace.verdict(pace.began), Verdict::Cut("rapid_reset"));
    }
}
