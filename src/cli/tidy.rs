//! What a server forgets in time: events that nobody follows any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, interval};

use super::now;
use crate::engine::Engine;
use crate::store::trim;
use crate::time::Millis;

/// Between two looks. Every instance beside a store looks; that costs some questions for each shard.
const LOOK: Duration = Duration::from_secs(600);

/// Trims events older than `keep` until it is told to stop.
pub(super) async fn trim_events(engine: Arc<Engine>, keep: Millis, told: impl Future<Output = ()> + Send) {
    let mut ticks = interval(LOOK);
    let mut told = Box::pin(told);
    loop {
        // What is broken off is taken up by whoever looks next.
        tokio::select! {
            () = &mut told => return,
            () = look(&engine, keep, &mut ticks) => {}
        }
    }
}

/// Looks at the store of every region that is open.
async fn look(engine: &Engine, keep: Millis, ticks: &mut Interval) {
    let _ = ticks.tick().await;
    for (region, store) in engine.open_stores() {
        match trim::trim(&*store, now().minus(keep), trim::KEEP_EVENTS).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, region, "old events were trimmed"),
            Err(error) => tracing::warn!(%error, region, "old events could not be trimmed"),
        }
    }
}
