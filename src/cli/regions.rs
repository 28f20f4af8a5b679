//! The regions of a server: their stores and logs opened, and opened again where one was away.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::open::{self, AUDIT, LIBRARY, OpenError, OpenSettings};
use super::regions_beside::Beside;
use super::{Error, now, source};
use crate::audit::{self, Library, Log, Reconciler};
use crate::cli::serve::tend;
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

/// Looks after the closed segments of a region's log, from when it is first open. They stay in its folder: an archive is
/// in one place, which need not be that of the region.
pub(super) async fn tend_log(keeper: Arc<RegionKeeper>, stopping: watch::Receiver<bool>) {
    let mut look = tokio::time::interval(TICK);
    let mut stop = stopping.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = look.tick() => {}
        }
        let log = keeper.kept.lock().await.as_ref().map(|(log, _)| Arc::clone(log));
        if log.is_some() {
            return tend::tend(log, Duration::MAX, stopping).await;
        }
    }
}

/// Looks every second whether the records of a region's store, that of the server among them, are still placed by the regions
/// of this server; until it is told to stop. By itself, so that nothing else that takes long keeps it from looking.
pub(super) async fn look(engine: Arc<Engine>, region: String, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let (mut in_place, mut rest) = (true, Duration::ZERO);
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(rest) => {}
        }
        let looked = engine.keep_looking_at_layout_of(&region).await;
        rest = if looked.is_ok() { TICK } else { AGAIN };
        match looked {
            Ok(agrees) if agrees != in_place => {
                in_place = agrees;
                match agrees {
                    true => tracing::warn!(region, "the records are placed by the regions of this server again"),
                    false => tracing::error!(region, "the regions were changed under this server: nothing is answered"),
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(region, %error, "the regions of the store cannot be looked at"),
        }
    }
}

/// How soon it is looked again where it could not be: what answers again is answered from again.
const AGAIN: Duration = Duration::from_millis(250);
/// How often a region is looked after.
const TICK: Duration = Duration::from_secs(1);

const MISPLACED: &str = "the records of this store were placed by other regions than are configured now, or by other numbering tables, so some \
     would not be found: put the regions back as they were; or stop every server and run `ringfence contact place`";

/// Why a store is not taken for that of its region.
pub(super) const OTHER_STORE: &str = "this is not the store that it had: it is empty, or another. A volume that is not mounted and a Redis that came back empty \
     look so; put the store back.";

const PROCESSORS: &str = "processors are registered, who are told of opt-outs out of one store: with [[pinned]] regions those of the others \
     would not reach them. Take the [[pinned]] tables out, or start without them once more and remove the processors \
     (`ringfence processor remove`)";

/// Gives an engine its regions and opens what can be opened of them.
///
/// # Errors
/// The records were placed by other regions. Whatever else is wrong with a pinned region closes that one alone.
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
    if let Some(data) = &settings.data {
        Beside::write(data, DEFAULT_REGION, regions.iter().map(|region| &*region.name))?;
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
            fault: std::sync::Mutex::default(),
        });
        match keeper.open(settings.now).await {
            Ok(()) => {}
            Err(error @ OpenError::Regions(_)) => return Err(error),
            // Of this region alone, whether or not it passes by itself: the others are not kept from being answered.
            Err(error) => keeper.is_closed(&error),
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
        other => OpenError::Engine(other),
    }
}

/// What is wrong with a region, for whoever may see neither its paths nor its addresses.
fn reason(error: &OpenError) -> &'static str {
    match error {
        OpenError::Store(error) | OpenError::Keys(KeysError::Store(error)) => stopped_by(error),
        OpenError::Keys(_) => "the keys do not fit its store: the log of the server says why",
        OpenError::OtherStore(why) => why,
        OpenError::Regions(_) => "its store was filled by other regions: the log of the server says more",
        OpenError::Engine(Failure::Store(_)) => "the law in force cannot be written beside its log",
        _ => "the log of the server says why",
    }
}

const fn stopped_by(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unsafe { .. } => {
            "its server would lose what was acknowledged: the log of this one says by which settings"
        }
        StoreError::Behind { .. } | StoreError::Forgot { .. } => "its store is behind its log: it lost writes",
        StoreError::Corrupt { .. } | StoreError::Missing { .. } => {
            "its log or store is damaged: the log of the server says where"
        }
        StoreError::Foreign { .. } => "something else stands where its log or store should be",
        StoreError::Locked { .. } => "another process has it open",
        StoreError::ReadOnly { .. } => "its folder cannot be written",
        StoreError::Full { .. } => "its disk is full",
        StoreError::Newer { .. } => "a later release wrote it",
        _ => "its store cannot be reached",
    }
}

/// Keeps one pinned region open, and its log in step with its store.
pub struct RegionKeeper {
    settings: PinnedSettings,
    keys: PathBuf,
    open: OpenSettings,
    engine: Arc<Engine>,
    kept: Mutex<Option<(Arc<Log>, Reconciler)>>,
    /// Why it is not open, whole: for the operator's eyes.
    fault: std::sync::Mutex<Option<String>>,
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
        let (engine, name) = (Arc::clone(&self.engine), self.name().to_owned());
        // Its disk may hang; the rest of the region's keeping waits with it, and nothing else.
        let kept = tokio::task::spawn_blocking(move || engine.keep_lacking_law_of(&name)).await;
        kept.unwrap_or(Ok(false))?;
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
        // Where records are placed anew it is asked for before anything is begun.
        if !self.open.placing && !self.engine.recognises(&region.name, &*store).await.map_err(wrong)? {
            return Err(OpenError::OtherStore(OTHER_STORE));
        }
        agree(&*store, &self.engine.layout(&region.name), said, (control, self.open.placing)).await?;
        let first = !self.open.placing && !region.places.is_empty();
        if first && !self.engine.remember(&region.name, &*store).await.map_err(wrong)? {
            return Err(OpenError::OtherStore(OTHER_STORE));
        }
        let log = audit::Settings { swapped: engine::is_swapped, ..self.open.log };
        let opened = audit::open(&data.join(AUDIT), log, Arc::clone(&store), now).await?;
        Beside::write(data, &region.name, self.engine.regions().map(|region| &*region.name))?;
        // Before it has a decision, and once more: the law may change just then.
        let library = Library::at(&data.join(LIBRARY));
        self.engine.keep_law_for(&library)?;
        self.engine.join_region(&region.name, store, Some(Arc::clone(&opened.log)), now).await.map_err(wrong)?;
        self.engine.keep_law_of_region_in(&region.name, &library);
        self.note(None);
        *self.kept.lock().await = Some((opened.log, opened.reconciler));
        tracing::info!(region = %region.name, data = %data.display(), "region open");
        Ok(())
    }

    /// Why it is not open; `None`: it is.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn is_closed(&self, error: &OpenError) {
        self.engine.region_is_closed(self.name(), reason(error));
        self.note(Some(error.to_string()));
    }
}
