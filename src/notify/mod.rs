//! Opt-outs passed on to processors: each event posted, signed, tried again until it is confirmed.
//!
//! Promises: an event that a processor did not confirm is tried for three days, later and later, and is then on the list
//! of what was given up, never silently dropped; events of one contact are sent in order; of several instances on one
//! store one delivers to a processor at a time, and what it had confirmed is in the store within a second, so that a
//! crash repeats and never skips. Must never log a number, a secret, or a url beyond its host. Guarded by
//! `tests/notify.rs`.

mod deliver;
mod post;
mod sign;
mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

pub use post::{Client, NoClient, PostError, Reach, is_public};
pub use sign::signatures;

use crate::engine::Engine;
use crate::engine::processors::{PATIENCE, Registered};
use crate::time::Instant;

/// How patient delivery is.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long one request may take, connecting included.
    pub answer_within: Duration,
    /// The pause after the first failure in a row; it doubles with each.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// For how long an event is tried before it is given up.
    pub give_up_after: Duration,
    /// Requests to one processor at once, while it answers.
    pub at_once: usize,
    /// How often it is looked who is registered.
    pub look: Duration,
    /// How often what was confirmed is written to the store.
    pub note: Duration,
    /// For how long another instance may be silent before this one takes over.
    pub take_over_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            answer_within: Duration::from_secs(15),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(600),
            give_up_after: Duration::from_secs(3 * 86_400),
            at_once: 8,
            look: Duration::from_secs(1),
            note: Duration::from_secs(1),
            take_over_after: PATIENCE,
        }
    }
}

/// The wall clock, as its caller reads it.
pub type Now = fn() -> Instant;

/// What all deliveries share.
#[derive(Clone)]
pub(crate) struct Common {
    engine: Arc<Engine>,
    client: Arc<Client>,
    settings: Settings,
    now: Now,
    stopping: watch::Receiver<bool>,
    /// Tells this instance from the others; random.
    holder: u64,
}

/// Names a registration: a processor registered anew is another one.
type Name = (String, i64);

/// Delivers to every processor that is registered with a url, until it is told to stop.
pub async fn run(engine: Arc<Engine>, client: Client, settings: Settings, now: Now, stopping: watch::Receiver<bool>) {
    let (holder, _) = uuid::Uuid::new_v4().as_u64_pair();
    let client = Arc::new(client);
    let mut stop = stopping.clone();
    let common = Common { engine, client, settings, now, stopping, holder: holder.max(1) };
    let mut running: HashMap<Name, Running> = HashMap::new();
    let mut troubled = false;
    while !*stop.borrow() {
        match common.engine.registered((common.now)()).await {
            Ok(registered) => {
                troubled = false;
                keep_up(&common, registered, &mut running);
            }
            Err(error) => {
                if !std::mem::replace(&mut troubled, true) {
                    tracing::warn!(%error, "the list of processors cannot be read; those known go on");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(settings.look) => {}
            () = told(&mut stop) => {}
        }
    }
    // Each ends by itself once it has noted what was confirmed; all of them within the same time.
    futures_util::future::join_all(running.into_values().map(ended)).await;
}

/// Waits until a delivery has ended, and no longer than it may take.
async fn ended(mut running: Running) {
    let _ = tokio::time::timeout(Duration::from_secs(5), &mut running.task).await;
}

/// The delivery to one processor; it ends when this is dropped.
struct Running {
    changed: watch::Sender<Registered>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns once it is time to stop.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    // The sender lives as long as the server; its end is a signal as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Ends what is told to nobody any more, tells changes, and begins what is new.
fn keep_up(common: &Common, registered: Vec<Registered>, running: &mut HashMap<Name, Running>) {
    let told: HashMap<Name, Registered> = registered
        .into_iter()
        .filter(|one| !one.processor.url.is_empty())
        .map(|one| ((one.processor.name.clone(), one.registered_at()), one))
        .collect();
    running.retain(|name, one| told.contains_key(name) && !one.task.is_finished());
    for (name, one) in told {
        match running.get(&name) {
            Some(running) => {
                running.changed.send_if_modified(|known| {
                    let changed = known.processor != one.processor
                        || known.keys != one.keys
                        || known.resumed_at != one.resumed_at;
                    if changed {
                        *known = one;
                    }
                    changed
                });
            }
            None => {
                let (changed, receiver) = watch::channel(one);
                let task = tokio::spawn(deliver::deliver(common.clone(), receiver).in_current_span());
                running.insert(name, Running { changed, task });
            }
        }
    }
}
