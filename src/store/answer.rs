//! The future that a store's methods return.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::StoreError;

/// A store's answer, ready at once or after waiting. A plain boxed future would cost an allocation on every read of the
/// embedded store, which always has its answer at once.
pub struct Answer<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<Result<T, StoreError>>),
    Waiting(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>),
}

// Nothing is pinned within: a value that is ready is moved out, and the box pins its own future.
impl<T> Unpin for Answer<'_, T> {}

impl<'a, T> Answer<'a, T> {
    /// An answer that is there.
    #[must_use]
    pub const fn ready(result: Result<T, StoreError>) -> Self {
        Self(State::Ready(Some(result)))
    }

    /// An answer to wait for.
    #[must_use]
    pub fn waiting(future: impl Future<Output = Result<T, StoreError>> + Send + 'a) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }
}

impl<T> Future for Answer<'_, T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            // Polled again after it was ready: a future may do anything then; waiting for ever is the harmless thing.
            State::Ready(result) => result.take().map_or(Poll::Pending, Poll::Ready),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl<T> std::fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}
