//! The regions of a server: their stores and logs opened, and opened again where one was away.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::open::{self, AUDIT, LIBRARY, OpenError, OpenSettings};
use super::{Error, now, source};
use crate::audit::{self, Library, Log, Reconciler};
use crate::config::{Config, Pinned};
use crate::engine::layout::{Layout, default_region};
use crate::engine::{self, DEFAULT_REGION, Engine, Failure, Region};
use crate::store::redis;
use crate::store::{Key, Keys, KeysError, Store, StoreError};
use crate::time::Instant;

/// A region to open.
#[derive(Clone, Debug)]
pub struct PinnedSettings {
    /// Its name, and what is pinned to it.
    pub region: Region,
    /// The Redis that holds its records; `None`: a file in its data folder.
    pub redis: Option<redis::Settings>,
    /// Its data folder.
    pub data: PathBuf,
}

/// The regions that are configured, with what their files hold.
pub(super) fn loaded(config: &Config) -> Result<Vec<PinnedSettings>, Error> {
    let one = |pinned: &Pinned| {
        let redis = source::loaded_without_environment(&pinned.store)?;
        Ok(PinnedSettings { region: pinned.region.clone(), redis, data: pinned.data.clone() })
    };
    config.pinned.iter().map(one).collect()
}

/// Keeps a region open until it is told to stop. Each on its own: one that hangs must not hold up the others.
pub(super) async fn keep(keeper: Arc<RegionKeeper>, engine: Arc<Engine>, stop: impl Future<Output = ()>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stop);
    let mut fault = String::new();
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = tick.tick() => {
                let done = match keeper.tick(now()).await {
                    Ok(()) => engine.agree_on_switches(now()).await.map_err(|failure| failure.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let found = done.err().unwrap_or_default();
                if found != fault {
                    match found.is_empty() {
                        true => tracing::warn!(region = keeper.name(), "this region answers again"),
                        false => tracing::error!(region = keeper.name(), error = found, "this region is not in step"),
                    }
                    fault = found;
                }
            }
        }
    }
}

/// How often a region is looked after.
const TICK: Duration = Duration::from_secs(1);

const MISPLACED: &str = "the records of this store were placed by other regions than are configured now, or by other numbering tables, so some \
     would not be found: put the regions back as they were; or stop every server and run `ringfence contact place`";

const PROCESSORS: &str = "processors are registered, who are told of opt-outs out of one store: with [[pinned]] regions those of the others \
     would not reach them. Take the [[pinned]] tables out, or start without them once more and remove the processors \
     (`ringfence processor remove`)";

/// Gives an engine its regions and opens what can be opened of them.
///
/// # Errors
/// The records were placed by other regions; a region has a fault that does not pass by itself.
pub(super) async fn add(
    engine: Engine,
    store: &dyn Store,
    settings: &OpenSettings,
) -> Result<(Arc<Engine>, Vec<Arc<RegionKeeper>>), OpenError> {
    let said = Layout::of(store).await.map_err(wrong)?;
    let Some(pinned) = &settings.pinned else {
        // A command that looks at one store: of contacts of the others it can say nothing.
        let Some(layout) = said else { return Ok((Arc::new(engine), Vec::new())) };
        if !Layout::new(&layout.name, layout.regions.clone()).agrees(&layout) {
            return Err(OpenError::Regions(MISPLACED.to_owned()));
        }
        return Ok((Arc::new(engine.in_regions(&layout.name, layout.regions)), Vec::new()));
    };
    let regions = all(pinned);
    let layout = Layout::new(DEFAULT_REGION, regions.clone());
    let control = engine.control_key();
    match said {
        None if pinned.is_empty() && !settings.placing => return Ok((Arc::new(engine), Vec::new())),
        said => agree(store, &layout, said, (control, settings.placing)).await?,
    }
    if pinned.is_empty() && !settings.placing {
        return Ok((Arc::new(engine), Vec::new()));
    }
    if !pinned.is_empty() && !engine.registered(settings.now).await.map_err(wrong)?.is_empty() {
        return Err(OpenError::Regions(PROCESSORS.to_owned()));
    }
    let engine = Arc::new(engine.in_regions(DEFAULT_REGION, regions));
    let mut keepers = Vec::new();
    for pinned in pinned {
        let keeper = Arc::new(RegionKeeper {
            settings: pinned.clone(),
            keys: settings.keys.clone(),
            open: settings.clone(),
            engine: Arc::clone(&engine),
            kept: Mutex::default(),
        });
        match keeper.open(settings.now).await {
            Ok(()) => {}
            // It passes by itself: the others are not kept from being answered.
            Err(OpenError::Store(error) | OpenError::Keys(KeysError::Store(error))) if error.retry() => {
                keeper.is_closed(&error);
            }
            Err(other) => return Err(other),
        }
        keepers.push(keeper);
    }
    Ok((engine, keepers))
}

/// Every region: those pinned, and the one that has the rest.
pub(super) fn all(pinned: &[PinnedSettings]) -> Vec<Region> {
    std::iter::once(default_region()).chain(pinned.iter().map(|pinned| pinned.region.clone())).collect()
}

/// Makes sure that a store is of this region, and has its records by these regions; an empty one takes them as its own.
async fn agree(
    store: &dyn Store,
    own: &Layout,
    said: Option<Layout>,
    (control, placing): (Key, bool),
) -> Result<(), OpenError> {
    match said {
        Some(said) if said.name != own.name => Err(OpenError::Regions(format!(
            "the store that is configured for region {} is that of region {}: give each its own store and folder",
            own.name, said.name
        ))),
        _ if placing => Ok(()),
        Some(said) if said.agrees(own) => Ok(()),
        None if store.scan(None, 2).await?.iter().all(|(key, _)| *key == control) => {
            own.write(store).await.map_err(wrong)
        }
        _ => Err(OpenError::Regions(MISPLACED.to_owned())),
    }
}

fn wrong(failure: Failure) -> OpenError {
    match failure {
        Failure::Store(error) => OpenError::Store(error),
        other => OpenError::Regions(other.to_string()),
    }
}

/// Keeps one pinned region open, and its log in step with its store.
pub struct RegionKeeper {
    settings: PinnedSettings,
    keys: PathBuf,
    open: OpenSettings,
    engine: Arc<Engine>,
    kept: Mutex<Option<(Arc<Log>, Reconciler)>>,
}

impl std::fmt::Debug for RegionKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionKeeper").field("region", &self.settings.region).finish_non_exhaustive()
    }
}

impl RegionKeeper {
    /// The region's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.region.name
    }

    /// Once a second: opens the region if it is not, notices whether it answers, and puts its log in step.
    ///
    /// # Errors
    /// It cannot be opened, or does not answer.
    pub async fn tick(&self, now: Instant) -> Result<(), OpenError> {
        if self.kept.lock().await.is_none() {
            return self.open(now).await.inspect_err(|error| self.is_closed(error));
        }
        self.engine.look_at_region(self.name()).await;
        if !self.engine.look_at_layout_of(self.name()).await.map_err(wrong)? {
            return Err(OpenError::Regions(MISPLACED.to_owned()));
        }
        if let Some((_, reconciler)) = &*self.kept.lock().await {
            reconciler.tick(now).await?;
        }
        Ok(())
    }

    /// Makes everything written safe, and anchors the head of its log.
    ///
    /// # Errors
    /// Log or store cannot be written.
    pub async fn settle(&self, now: Instant) -> Result<(), StoreError> {
        if let Some((log, reconciler)) = &*self.kept.lock().await {
            let _ = log.sync().await?;
            reconciler.tick(now).await?;
        }
        Ok(())
    }

    async fn open(&self, now: Instant) -> Result<(), OpenError> {
        let PinnedSettings { region, redis, data } = &self.settings;
        let store = open::open_store(data, redis.as_ref(), self.open.store).await?;
        let keys = Keys::for_store(&self.keys, Some(data), &*store).await?;
        let control = keys.control(&keys.tenant(crate::access::DEFAULT_TENANT, store.shard_count()));
        let said = Layout::of(&*store).await.map_err(wrong)?;
        agree(&*store, &self.engine.layout(&region.name), said, (control, self.open.placing)).await?;
        let log = audit::Settings { swapped: engine::is_swapped, ..self.open.log };
        let opened = audit::open(&data.join(AUDIT), log, Arc::clone(&store), now).await?;
        // Before it has a decision, and once more: the law may change just then.
        let library = Library::at(&data.join(LIBRARY));
        self.engine.keep_law_of_region_in(&region.name, &library)?;
        self.engine.join_region(&region.name, store, Some(Arc::clone(&opened.log)), now).await.map_err(wrong)?;
        if let Err(error) = self.engine.keep_law_of_region_in(&region.name, &library) {
            tracing::error!(%error, region = %region.name, "the law in force could not be kept beside this region's log");
        }
        *self.kept.lock().await = Some((opened.log, opened.reconciler));
        tracing::info!(region = %region.name, data = %data.display(), "region open");
        Ok(())
    }

    fn is_closed(&self, why: &dyn std::fmt::Display) {
        tracing::debug!(region = self.name(), %why, "this region is not open: nothing is answered about its contacts");
        self.engine.region_is_closed(self.name(), "its store cannot be reached");
    }
}
