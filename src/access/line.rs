//! A connection, as those know it who answer on it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Line {
    known: AtomicBool,
    open: AtomicU32,
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
