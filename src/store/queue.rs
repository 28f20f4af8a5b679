//! A queue between many asynchronous callers and one thread that writes for all that wait.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounded: a caller waits for room rather than being dropped or growing the queue without end.
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    wake: Condvar,
    room: Arc<Semaphore>,
    size: usize,
}

struct State<J> {
    jobs: VecDeque<Queued<J>>,
    /// Somebody waits for what is queued, or much is queued: the writer should not go on sleeping.
    urgent: bool,
    closed: bool,
}

/// A job and its place in the queue, which is free again when this is dropped.
pub(crate) struct Queued<J> {
    pub(crate) job: J,
    _room: Room,
}

/// A place in the queue.
pub(crate) struct Room(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// The queue was closed: its writer is gone or going.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed;

/// What [`Queue::take`] found.
pub(crate) struct Taken<J> {
    pub(crate) jobs: Vec<Queued<J>>,
    /// No further job will come.
    pub(crate) closed: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new(room: usize) -> Self {
        let state = State { jobs: VecDeque::new(), urgent: false, closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new(), room: Arc::new(Semaphore::new(room)), size: room }
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // No caller can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place in the queue.
    pub(crate) async fn room(&self) -> Result<Room, Closed> {
        Arc::clone(&self.room).acquire_owned().await.map(Room).map_err(|_| Closed)
    }

    /// Waits for so many places at once, for a job that takes more of the memory than others; all of them at most.
    pub(crate) async fn room_for(&self, places: usize) -> Result<Room, Closed> {
        let places = u32::try_from(places.clamp(1, self.size)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(places).await.map(Room).map_err(|_| Closed)
    }

    /// Whether no further job is let in.
    pub(crate) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.size.saturating_sub(self.room.available_permits())
    }

    /// Queues a job. Only an urgent one wakes the writer; the others wait for it to wake, or until the queue is half
    /// full.
    pub(crate) fn put(&self, job: J, room: Room, urgent: bool) -> Result<(), Closed> {
        let crowded = self.room.available_permits() < self.size / 2;
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        state.jobs.push_back(Queued { job, _room: room });
        if urgent || crowded {
            state.urgent = true;
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// For the writer: up to `most` jobs, as soon as one is urgent, at the latest after `patience`.
    pub(crate) fn take(&self, most: usize, patience: Duration) -> Taken<J> {
        let guard = self.lock();
        let waited = self.wake.wait_timeout_while(guard, patience, |state| !state.urgent && !state.closed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(most);
        let jobs = state.jobs.drain(..count).collect();
        if state.jobs.is_empty() {
            state.urgent = false;
        }
        Taken { jobs, closed: state.closed && state.jobs.is_empty() }
    }

    /// Lets no further job in. What is queued is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.wake.notify_all();
    }

    /// Closes, and drops what is queued: whoever waits for an answer learns that none will come.
    fn abandon(&self) {
        self.close();
        self.lock().jobs.clear();
    }
}

/// Held by the writer: however its thread ends, nobody waits for it afterwards.
pub(crate) struct Serving<'q, J>(pub(crate) &'q Queue<J>);

impl<J> Drop for Serving<'_, J> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
