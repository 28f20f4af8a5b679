//! What becomes of the closed segments of the audit log while serving, and how much room its volume has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::super::now;
use super::told;
use crate::audit;

/// How often they are looked after.
const TEND: Duration = Duration::from_secs(5);

/// Looks after the closed segments of the audit log, and at its volume. Told to stop it stops wherever it is, as a crash
/// would: the next start takes it up.
pub(in crate::cli) async fn tend(log: Option<Arc<audit::Log>>, keep: Duration, stopping: watch::Receiver<bool>) {
    let Some(log) = log else { return };
    // Apart: an archive that is slow must not hide that the volume fills.
    tokio::join!(look_at_volume(Arc::clone(&log), stopping.clone()), tend_closed(log, keep, stopping));
}

async fn look_at_volume(log: Arc<audit::Log>, stopping: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(TEND);
    let looking = async {
        loop {
            look.tick().await;
            let log = Arc::clone(&log);
            // A volume that hangs keeps one thread, not the server.
            let _ = tokio::task::spawn_blocking(move || log.look_at_volume()).await;
        }
    };
    tokio::select! {
        () = told(stopping) => {}
        () = looking => {}
    }
}

async fn tend_closed(log: Arc<audit::Log>, keep: Duration, stopping: watch::Receiver<bool>) {
    let keeper = audit::Keeper::new(log, keep);
    let mut look = tokio::time::interval(TEND);
    let mut well = true;
    let mut stop = Box::pin(told(stopping));
    loop {
        let work = async {
            look.tick().await;
            keeper.tick(now()).await
        };
        let done = tokio::select! {
            () = &mut stop => return,
            done = work => done,
        };
        match done {
            Err(error) if well => {
                tracing::warn!(%error, "closed parts of the audit log are not archived; they stay in the data folder");
                well = false;
            }
            Err(_) => {}
            Ok(done) => {
                if !well {
                    tracing::info!("the audit log is archived again");
                    well = true;
                }
                if done.packed + done.archived + done.moved > 0 {
                    let audit::Keep { packed, archived, moved, waiting } = done;
                    tracing::info!(packed, archived, moved, waiting, "closed parts of the audit log");
                }
            }
        }
    }
}
