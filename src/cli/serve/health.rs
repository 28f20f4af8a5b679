//! Whether the server can answer: looked at each second, by nothing else than this, and told to whoever asks.
//!
//! Promises: once the server is stopping it says so and never again that it serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::MissedTickBehavior;
use tonic_health::ServingStatus;

use super::{TICK, told};
use crate::engine::Engine;
use crate::service::{HEALTH_NAMES, HealthReporter, Readiness};

/// A look that takes longer finds the server not ready: store and log give up earlier by themselves.
const LONGEST: Duration = Duration::from_secs(3);

/// What is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing yet.
    Nothing,
    Serving,
    NotServing,
    Stopping,
}

/// See the module.
pub(super) struct Health {
    reporter: HealthReporter,
    readiness: Arc<Readiness>,
    told: Mutex<Told>,
}

impl Health {
    /// Tells these, from the first look on.
    pub fn new(reporter: HealthReporter, readiness: Arc<Readiness>) -> Self {
        Self { reporter, readiness, told: Mutex::new(Told::Nothing) }
    }

    /// Looks once.
    pub async fn look(&self, engine: &Engine) {
        let looked = tokio::time::timeout(LONGEST, engine.not_ready()).await;
        let faults =
            looked.unwrap_or_else(|_| vec![("server", "a look at its parts does not come to an end".to_owned())]);
        let told = if faults.is_empty() { Told::Serving } else { Told::NotServing };
        let parts = faults.iter().map(|(part, _)| *part).collect::<Vec<_>>().join(", ");
        self.readiness.note(faults);
        let mut before = self.told.lock().await;
        if *before != told && *before != Told::Stopping {
            if *before != Told::Nothing || told != Told::Serving {
                tracing::warn!(serving = told == Told::Serving, parts, "health changed");
            }
            *before = told;
            self.tell(told).await;
        }
    }

    /// Looks again and again until it is told to stop.
    pub async fn keep(self: Arc<Self>, engine: Arc<Engine>, stopping: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = Box::pin(told(stopping));
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = tick.tick() => self.look(&engine).await,
            }
        }
    }

    /// Says that the server is stopping.
    pub async fn stop(&self) {
        let mut before = self.told.lock().await;
        *before = Told::Stopping;
        self.readiness.stop();
        self.tell(Told::Stopping).await;
    }

    async fn tell(&self, told: Told) {
        let status = if told == Told::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in HEALTH_NAMES {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
