//! Spares those who ask a store that does not answer the wait.
//!
//! Promises: right after a store did not answer, it is not asked; one at a time tries again. Guarded by `tests/region.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Monotonic};

use crate::store::StoreError;

/// How long a store that did not answer is left alone before one request tries it again.
const REST: Duration = Duration::from_millis(500);

/// Remembers that a store did not answer.
#[derive(Default)]
pub(super) struct Breaker {
    open: AtomicBool,
    broken: Mutex<Option<(Monotonic, StoreError)>>,
}

impl Breaker {
    /// Whether to ask: not right after it did not answer. One at a time tries again.
    pub fn pass(&self) -> Result<(), StoreError> {
        if !self.open.load(Ordering::Acquire) {
            return Ok(());
        }
        match &mut *self.lock() {
            Some((since, error)) if since.elapsed() < REST => Err(error.clone()),
            Some((since, _)) => {
                *since = Monotonic::now();
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub fn heard(&self, error: Option<&StoreError>) {
        match error {
            Some(error) if error.retry() => {
                *self.lock() = Some((Monotonic::now(), error.clone()));
                self.open.store(true, Ordering::Release);
            }
            _ if self.open.load(Ordering::Acquire) => {
                self.open.store(false, Ordering::Release);
                *self.lock() = None;
            }
            _ => {}
        }
    }

    pub fn broken(&self) -> Option<StoreError> {
        self.open.load(Ordering::Acquire).then(|| self.lock().as_ref().map(|(_, error)| error.clone())).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Monotonic, StoreError)>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
