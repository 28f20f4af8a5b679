//! What a server does about its keys while it serves: it looks at the file, and where it alone holds the data it seals
//! everything anew after a rotation, beside the requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use tokio::sync::watch;

use super::place::Status;
use crate::cli::now;
use crate::cli::open::Opened;
use crate::store::{KeysError, Rewrap};

/// How often file and store are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A page is rested from at least so long: requests come first.
const REST: Duration = Duration::from_millis(5);

/// Looks at the keys until the server stops.
pub(crate) async fn tend(opened: Arc<Opened>, data: PathBuf, mut stopping: watch::Receiver<bool>) {
    let mut tender = Tender { opened, data, refused: None, walk: None, told: None, anew: 0, kept: false };
    let mut looked: Option<Monotonic> = None;
    loop {
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            looked = Some(Monotonic::now());
            tender.look().await;
        }
        let rest = tender.step().await.unwrap_or(LOOK);
        if tokio::time::timeout(rest, stopping.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

struct Tender {
    opened: Arc<Opened>,
    data: PathBuf,
    /// Why the file was refused last: told once, not every other second.
    refused: Option<String>,
    walk: Option<Walk>,
    told: Option<Status>,
    anew: u64,
    /// Whether it was said that keys are kept, since there are regions.
    kept: bool,
}

struct Walk {
    rewrap: Rewrap,
    old: Vec<u32>,
    counted: u64,
}

impl Tender {
    async fn look(&mut self) {
        let engine = Arc::clone(&self.opened.engine);
        let keys = engine.keys();
        match keys.look(now()).await {
            Ok(change) => {
                self.refused = None;
                if let Some(change) = change {
                    tracing::info!(sealing = change.sealing, known = ?change.known, "keys changed");
                    self.walk = None;
                }
            }
            Err(error) => self.refuse(&error),
        }
        self.opened.metrics.sealing_key(keys.now().sealing_id());
        if engine.has_regions() {
            // Only the engine's own store would be walked: what the others need would be given up.
            if !std::mem::replace(&mut self.kept, true) {
                tracing::info!("regions are configured: sealing keys are not rotated, and none is given up");
            }
            self.tell().await;
            return;
        }
        if engine.store().is_shared() {
            // Others walk: several servers would do the same work.
            return;
        }
        if self.walk.is_none()
            && let Some(ledger) = keys.ledger().await
            && !ledger.old().is_empty()
            && keys.is_settled().await
        {
            let old = ledger.old();
            tracing::info!(?old, sealing = ledger.sealing, "everything under an older key is sealed anew");
            let rewrap = Rewrap::new(Arc::clone(engine.store()), keys.now());
            self.walk = Some(Walk { rewrap, old, counted: 0 });
        }
        self.tell().await;
    }

    fn refuse(&mut self, error: &KeysError) {
        let why = error.to_string();
        if self.refused.as_ref() != Some(&why) {
            tracing::error!(%error, "the keys file is refused; the keys in use stay in force");
            self.refused = Some(why);
        }
    }

    /// A page of the walk under way: how long to rest then. `None`: there is none.
    async fn step(&mut self) -> Option<Duration> {
        let walk = self.walk.as_mut()?;
        let begun = Monotonic::now();
        if let Err(error) = walk.rewrap.page().await {
            // Begun again with the next look.
            tracing::error!(%error, "sealing anew was interrupted");
            self.walk = None;
            return None;
        }
        let walked = walk.rewrap.walked();
        let more = walked.anew_in_all - walk.counted;
        walk.counted = walked.anew_in_all;
        self.anew += more;
        self.opened.metrics.sealed_anew(more);
        if walk.rewrap.is_done() {
            match walk.rewrap.release(&walk.old).await {
                Ok(ledger) => tracing::info!(
                    sealing = ledger.sealing,
                    anew = walked.anew_in_all,
                    walks = walked.walks,
                    "nothing in the store needs an older key any more"
                ),
                Err(error) => tracing::error!(%error, "the store was not told that it needs no older key"),
            }
            self.walk = None;
            return None;
        }
        // As long as the page took: half of what the disk can do is left to others.
        Some(begun.elapsed().max(REST))
    }

    /// Writes down how far this server is, for `ringfence keys`, which cannot ask a store that is held.
    async fn tell(&mut self) {
        let keys = self.opened.engine.keys();
        let Some(ledger) = keys.ledger().await else { return };
        let known = keys.now().about().iter().map(|key| key.id).collect();
        let (sealing, anew) = (keys.now().sealing_id(), self.anew);
        let regions = self.opened.engine.has_regions();
        let status = Status { process: std::process::id(), known, sealing, needed: ledger.needed, anew, regions };
        if self.told.as_ref() != Some(&status) {
            match write(&status, &self.data).await {
                Ok(()) => self.told = Some(status),
                Err(error) => tracing::warn!(%error, "how far the keys are cannot be written down"),
            }
        }
    }
}

async fn write(status: &Status, folder: &Path) -> Result<(), String> {
    let (status, folder) = (status.clone(), folder.to_owned());
    let written = tokio::task::spawn_blocking(move || status.write(&folder)).await;
    written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}
