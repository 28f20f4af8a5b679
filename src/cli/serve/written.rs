//! The settings as they are written now, beside those in force: what a restart would change is told, and never taken.
//!
//! Promises: a change of the file is told within seconds, by the names of the settings alone; what would keep a server from
//! starting with it is told in the words of the start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::super::Global;
use super::super::config::look;
use super::super::settings::Flags;
use super::again::{Refused, Stamp};
use super::{LOOK, told};
use crate::config::{Resolved, Setting};
use crate::telemetry::Metrics;

/// How often settings at fault are looked at where their file did not change: what they name may have been mended.
const AGAIN: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Written {
    flags: Flags,
    global: Global,
    in_force: Vec<Setting>,
    metrics: Arc<Metrics>,
    refused: Refused,
    /// What differs, as it was told last.
    differing: Vec<String>,
}

/// What there is to say of the settings as they are written.
struct Seen {
    /// Where each that differs is written.
    differing: Vec<String>,
    faults: Vec<String>,
}

impl Written {
    /// With these a server was started.
    pub fn new(flags: &Flags, global: &Global, in_force: Vec<Setting>, metrics: &Arc<Metrics>) -> Self {
        let refused = Refused::none("settings", metrics);
        metrics.settings_changed(false);
        let (flags, global, metrics) = (flags.clone(), global.clone(), Arc::clone(metrics));
        Self { flags, global, in_force, metrics, refused, differing: Vec::new() }
    }

    /// Looks at them until it is told to stop.
    pub async fn keep(mut self, stopping: watch::Receiver<bool>) {
        tokio::select! {
            () = self.look() => {}
            () = told(stopping) => {}
        }
    }

    async fn look(&mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Not as it was when it was read: it may have changed since.
        let mut taken: Option<Option<Stamp>> = None;
        let mut looked = tokio::time::Instant::now();
        loop {
            look.tick().await;
            let found = Stamp::of(self.flags.file());
            let is_due = self.refused.is_any() && looked.elapsed() >= AGAIN;
            if taken.as_ref() == Some(&found) && !is_due {
                continue;
            }
            let (flags, global, in_force) = (self.flags.clone(), self.global.clone(), self.in_force.clone());
            if let Ok(seen) = tokio::task::spawn_blocking(move || see(&flags.resolved_all(&global), &in_force)).await {
                (taken, looked) = (Some(found), tokio::time::Instant::now());
                self.tell(seen);
            }
        }
    }

    fn tell(&mut self, seen: Seen) {
        self.metrics.settings_changed(!(seen.differing.is_empty() && seen.faults.is_empty()));
        if seen.faults.is_empty() {
            self.refused.clear("");
        } else {
            let why = seen.faults.join("\n");
            if self.refused.note("", why.clone()) {
                tracing::error!(error = why, "no server would start with the settings as they are written now");
            }
        }
        if seen.differing == self.differing {
            return;
        }
        let settings = seen.differing.join(", ");
        match seen.differing.is_empty() {
            true => tracing::info!("the settings are written as they are in force again"),
            false => tracing::warn!(settings, "these settings were changed: a restart puts that in force"),
        }
        self.differing = seen.differing;
    }
}

fn see(now: &Resolved, in_force: &[Setting]) -> Seen {
    let differing = differing(&now.settings, in_force);
    let mut faults = now.faults.clone();
    // What files they name say is looked at where other files may be named.
    if faults.is_empty() && !differing.is_empty() {
        faults = look::look(&now.config, &now.settings).faults;
    }
    Seen { differing, faults }
}

/// The settings that are written otherwise than they are in force, by where that is.
fn differing(now: &[Setting], in_force: &[Setting]) -> Vec<String> {
    let before: BTreeMap<_, _> = in_force.iter().map(|setting| (&setting.key, &setting.value)).collect();
    let changed = now.iter().filter(|setting| before.get(&setting.key) != Some(&&setting.value)).map(Setting::place);
    let gone = in_force.iter().filter(|setting| now.iter().all(|other| other.key != setting.key));
    changed.chain(gone.map(|setting| format!("{}, which was taken out", setting.key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn setting(key: &str, value: &str, line: u32) -> Setting {
        let origin = Origin::File(format!("r.toml:{line}"));
        Setting { key: key.to_owned(), value: value.to_owned(), origin, what: "" }
    }

    #[test]
    fn what_differs_is_named_by_its_place_and_never_by_its_value() {
        let in_force = [setting("data", "here", 1), setting("log", "text", 2), setting("pinned[1].name", "cn", 3)];
        // A line further down it is the same.
        let now = [setting("data", "here", 2), setting("log", "json", 3), setting("pinned[2].name", "eu", 4)];
        let told = differing(&now, &in_force);
        assert_eq!(told, ["r.toml:3: log", "r.toml:4: pinned[2].name", "pinned[1].name, which was taken out"]);
        assert!(differing(&in_force, &in_force).is_empty());
    }
}
