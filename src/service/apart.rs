//! Where calls are answered while others are refused: on threads of their own. What is refused must be read first, and a
//! thread that reads behind a crowd of answers lets everything wait, also what will be answered. Threads that read and
//! refuse need less than their share of the processors, so the system gives them one at once (`man 7 sched`).
//!
//! Promises: a call that nobody waits for any more ends, as it does elsewhere. While nothing is refused, calls are answered
//! where they were read: another thread would have to be woken for each.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// The threads, until this is dropped: what is still answered then is given up.
#[derive(Debug)]
pub struct Apart(Option<Runtime>);

impl Apart {
    /// As many as there are processors.
    ///
    /// # Errors
    /// They cannot be started.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().thread_name("ringfence-apart").build()?;
        Ok(Self(Some(runtime)))
    }

    /// What hands calls to them.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A call that ends once nobody waits for it.
struct Waited<T>(JoinHandle<T>);

impl<T> Drop for Waited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers a call there; `None`: the threads are gone.
pub(super) async fn answer<T: Send + 'static>(
    there: &Handle,
    answering: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let mut waited = Waited(there.spawn(answering.in_current_span()));
    match (&mut waited.0).await {
        Ok(answer) => Some(answer),
        // As if it had been answered here.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_call_is_answered_there_and_ends_with_whoever_waits_for_it() {
        let apart = Apart::start().unwrap();
        let there = apart.handle().unwrap();
        let name = answer(&there, async { std::thread::current().name().map(str::to_owned) }).await.unwrap();
        assert_eq!(name.as_deref(), Some("ringfence-apart"));
        let (begins, begun) = oneshot::channel();
        let (held, gone) = oneshot::channel::<()>();
        let hangs = async move {
            begins.send(()).unwrap();
            pending::<()>().await;
            drop(held);
        };
        let mut waits = Box::pin(answer(&there, hangs));
        assert!(waits.as_mut().now_or_never().is_none());
        begun.await.unwrap();
        drop(waits);
        assert!(gone.await.is_err(), "nobody waits for it any more");
    }

    #[tokio::test]
    async fn what_fails_there_fails_here_and_what_is_stopped_is_not_answered() {
        let apart = Apart::start().unwrap();
        let there = apart.handle().unwrap();
        let fails = std::panic::AssertUnwindSafe(answer::<()>(&there, async { panic!("told") })).catch_unwind().await;
        assert_eq!(*fails.unwrap_err().downcast::<&str>().unwrap(), "told");
        drop(apart);
        assert_eq!(answer(&there, async { 1 }).await, None);
    }
}
