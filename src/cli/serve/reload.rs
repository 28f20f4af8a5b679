//! Packs and states of emergency of the server, looked at until what they say is in force.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::open::OpenError;
use super::super::{feed, packs};
use super::again::{Found, Refused, fingerprint};
use crate::config::Config;
use crate::engine::Engine;
use crate::registry::Registries;

/// Which packs are read again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    InForce,
    Shadow,
}

/// A folder of packs.
struct Packs {
    which: Which,
    folder: PathBuf,
    /// As it was when its packs were taken.
    taken: Vec<Found>,
    refused: Refused,
}

/// How the folders of packs were before they were read: what changes from then on, also while the server starts, is looked
/// at again.
pub(super) struct Before {
    packs: Vec<Found>,
    shadow_packs: Vec<Found>,
}

impl Before {
    /// To be taken before anything is opened.
    pub fn of(config: &Config) -> Self {
        let seen = |folder: &Option<PathBuf>| folder.as_deref().map(fingerprint).unwrap_or_default();
        Self { packs: seen(&config.packs), shadow_packs: seen(&config.shadow_packs) }
    }
}

/// What is read again while serving, but for what says who may ask.
pub(super) struct Reloads {
    engine: Arc<Engine>,
    packs: Vec<Packs>,
    emergencies: Option<(PathBuf, Refused)>,
}

impl Reloads {
    /// What the server was opened with is in force.
    pub fn new(config: &Config, before: Before, engine: &Arc<Engine>) -> Self {
        let metrics = engine.metrics();
        let folders = [
            (Which::InForce, "packs", config.packs.as_ref(), before.packs),
            (Which::Shadow, "shadow_packs", config.shadow_packs.as_ref(), before.shadow_packs),
        ];
        let packs = folders.into_iter().filter_map(|(which, what, folder, taken)| {
            Some(Packs { which, taken, folder: folder?.clone(), refused: Refused::none(what, metrics) })
        });
        let emergencies = config.emergencies.clone().map(|path| (path, Refused::none("emergencies", metrics)));
        Self { engine: Arc::clone(engine), packs: packs.collect(), emergencies }
    }

    /// Takes what changed, or keeps the old state and says what is wrong with the new one.
    pub async fn look(&mut self, lists: &Registries) {
        for packs in &mut self.packs {
            packs.look(&self.engine).await;
        }
        if let Some((path, refused)) = &mut self.emergencies {
            look_at(&self.engine, path, refused).await;
        }
        // Told where they are read.
        self.engine.metrics().reload_refused("registries", lists.faults().len());
    }
}

impl Packs {
    async fn look(&mut self, engine: &Arc<Engine>) {
        let found = fingerprint(&self.folder);
        if found == self.taken {
            return self.refused.clear("");
        }
        let (folder, changing, which) = (self.folder.clone(), Arc::clone(engine), self.which);
        let changed = tokio::task::spawn_blocking(move || -> Result<String, OpenError> {
            let law = Arc::new(packs::read(Some(&folder))?);
            let version = law.version().to_owned();
            match which {
                Which::InForce => changing.change_law(law)?,
                Which::Shadow => changing.shadow_by(law)?,
            }
            Ok(version)
        });
        let why = match changed.await {
            Ok(Ok(rules_version)) => {
                tracing::info!(rules_version, ?which, "packs changed");
                self.taken = found;
                return self.refused.clear("");
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => format!("they could not be read: {error}"),
        };
        if self.refused.note("", why.clone()) {
            tracing::error!(error = why, ?which, "the changed packs are refused; the old ones stay in force");
        }
    }
}

/// Puts changed states of emergency in force.
async fn look_at(engine: &Arc<Engine>, file: &std::path::Path, refused: &mut Refused) {
    let (law, path, in_force) = (engine.law(), file.to_owned(), engine.feed().digest.clone());
    let why = match tokio::task::spawn_blocking(move || feed::look(&path, &in_force, &law)).await {
        Ok(Ok(changed)) => {
            if let Some(feed) = changed {
                let (emergencies, version) = (feed.emergencies.len(), &feed.digest);
                tracing::info!(emergencies, version, "states of emergency changed");
                engine.change_feed(Arc::new(feed));
            }
            return refused.clear("");
        }
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("it could not be read: {error}"),
    };
    if refused.note("", why.clone()) {
        tracing::warn!(error = why, "the changed states of emergency are refused; the old ones stay in force");
    }
}
