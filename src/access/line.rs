//! A connection, as those know it who answer on it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

/// See the module.
#[derive(Debug, Default)]
pub struct Line {
    known: AtomicBool,
    open: AtomicU32,
    /// Why it must end.
    why: OnceLock<&'static str>,
    must_end: Notify,
}

impl Line {
    /// Somebody was recognised on it.
    pub fn recognised(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Whether somebody was.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// It must end, for this reason: at once, with whatever is under way on it.
    pub fn end(&self, why: &'static str) {
        // The first reason is as good as any.
        let _ = self.why.set(why);
        self.must_end.notify_one();
    }

    /// Comes once it must, with why. For whoever serves it.
    pub async fn must_end(&self) -> &'static str {
        loop {
            self.must_end.notified().await;
            if let Some(why) = self.why.get() {
                return why;
            }
        }
    }

    /// A call of somebody who is not known begins on it, unless so many are open; whether it does.
    #[must_use]
    pub fn opens(&self, most: u32) -> bool {
        let more = |open: u32| (open < most).then_some(open.saturating_add(1));
        self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// One of them ended.
    pub fn closes(&self) {
        let fewer = |open: u32| Some(open.saturating_sub(1));
        let _ = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}
