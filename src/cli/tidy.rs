//! What a server forgets in time: events that nobody follows any more. What a processor has still to confirm stays.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, interval};

use super::now;
use crate::engine::Tenants;
use crate::store::trim;
use crate::time::Millis;

/// Between two looks. Every instance beside a store looks; that costs some questions for each shard.
const LOOK: Duration = Duration::from_secs(600);

/// Trims events older than `keep` until it is told to stop.
pub(super) async fn trim_events(tenants: Arc<Tenants>, keep: Millis, told: impl Future<Output = ()> + Send) {
    let mut ticks = interval(LOOK);
    let mut told = Box::pin(told);
    loop {
        // What is broken off is taken up by whoever looks next.
        tokio::select! {
            () = &mut told => return,
            () = look(&tenants, keep, &mut ticks) => {}
        }
    }
}

/// Looks at the store of every region that is open.
async fn look(tenants: &Tenants, keep: Millis, ticks: &mut Interval) {
    let _ = ticks.tick().await;
    let held = match tenants.held_events(now()).await {
        Ok(held) => held,
        Err(error) => {
            return tracing::warn!(%error, "who is still to be told cannot be read: no old events are trimmed");
        }
    };
    for (region, store) in tenants.main().open_stores() {
        let before = now().minus(keep);
        match trim::trim_by_shard(&*store, |shard| held.before(shard, before), trim::KEEP_EVENTS).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, region, "old events were trimmed"),
            Err(error) => tracing::warn!(%error, region, "old events could not be trimmed"),
        }
    }
}
