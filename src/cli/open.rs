//! Data folder, keys, audit log, lists and rules, put together as an engine: for commands that answer by themselves,
//! and for `serve`.
//!
//! Layout of a data folder: the embedded store's own files, if it is there, `audit/` with the log, and `library/` with the
//! law that its decisions were made by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::RuntimeFlavor;

use super::feed;
use super::packs::{self, PacksError};
use super::regions::{self, PinnedSettings, RegionKeeper};
use crate::access;
use crate::audit::{self, ArchiveSettings, Library, Log, Reconciled, Reconciler};
use crate::engine::{self, Engine, Failure, ListTags, Parts};
use crate::registry::{self, Registries, sample};
use crate::store::redis::{self, RedisStore, Weight};
use crate::store::{EmbeddedStore, Keys, KeysError, MemoryStore, Store, StoreError, embedded};
use crate::telemetry::Metrics;
use crate::time::Instant;

/// The folder of the audit log within the data folder.
pub const AUDIT: &str = "audit";
/// The folder of past law within the data folder.
pub const LIBRARY: &str = "library";

/// What to open, and how.
#[derive(Clone, Debug)]
pub struct OpenSettings {
    /// The data folder, made where it is absent; `None`: nothing is stored and nothing logged.
    pub data: Option<PathBuf>,
    /// The keys file; made where store and file are both new.
    pub keys: PathBuf,
    /// The folder of lists; `None`: no lists.
    pub registries: Option<PathBuf>,
    /// The sample lists in memory, in place of a folder.
    pub sample: bool,
    /// A folder of packs that replace or add to those built in.
    pub packs: Option<PathBuf>,
    /// A folder with a folder of packs for each tenant that has some.
    pub tenant_packs: Option<PathBuf>,
    /// The file of states of emergency.
    pub emergencies: Option<PathBuf>,
    /// A folder of packs to judge by beside those in force, without effect.
    pub shadow_packs: Option<PathBuf>,
    /// How the engine reads doubt and time.
    pub engine: engine::Settings,
    /// A Redis that holds the records; `None`: a file in the data folder.
    pub redis: Option<redis::Settings>,
    /// Regions beside that store. `None`: those that the store itself knows of, all but its own closed.
    pub pinned: Option<Vec<PinnedSettings>>,
    /// Records are about to be placed anew: what the stores say of regions does not hold.
    pub placing: bool,
    /// How the embedded store uses the machine.
    pub store: embedded::Settings,
    /// How the audit log uses its volume.
    pub log: audit::Settings,
    /// Where its closed segments are kept; `None`: nowhere else.
    pub archive: Option<ArchiveSettings>,
    /// The present instant.
    pub now: Instant,
}

impl OpenSettings {
    /// Nothing stored, no lists, the packs built in.
    #[must_use]
    pub fn nothing(now: Instant) -> Self {
        Self {
            data: None,
            keys: PathBuf::from("ringfence-keys"),
            registries: None,
            sample: false,
            packs: None,
            tenant_packs: None,
            emergencies: None,
            shadow_packs: None,
            engine: engine::Settings::default(),
            redis: None,
            pinned: None,
            placing: false,
            store: embedded::Settings::default(),
            log: audit::Settings::default(),
            archive: None,
            now,
        }
    }
}

/// Why it cannot be opened. Each names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store or the audit log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The folder of lists as a whole. A single bad list is no error: see [`Registries::faults`].
    #[error("{0}")]
    Registries(#[from] registry::Fault),
    /// The packs, or the states of emergency.
    #[error(transparent)]
    Packs(#[from] PacksError),
    /// The regions: the store has its records by others than are configured.
    #[error("{0}")]
    Regions(String),
    /// One pinned region has another store than it had.
    #[error("{0}")]
    OtherStore(&'static str),
    /// The library of past law, the shadow, or a tenant beside regions.
    #[error(transparent)]
    Engine(#[from] Failure),
    /// A tenant of which nothing is stored.
    #[error("--tenant: nothing is stored of this tenant; a server that admits it makes it")]
    NoData,
    /// A tenant of no name.
    #[error("--tenant is not 1 to 64 of a-z, 0-9, `-`, `_` and `.`, beginning with a letter or a digit")]
    Tenant,
}

/// All that is open.
pub struct Opened {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// The lists, to be refreshed while serving.
    pub registries: Arc<Registries>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The audit log; `None` where nothing is stored.
    pub log: Option<Arc<Log>>,
    /// Keeps log and store in step; to be asked every second while serving.
    pub reconciler: Option<Reconciler>,
    /// What was put in step at the start.
    pub reconciled: Reconciled,
    /// What keeps each pinned region open and its log in step; to be asked every second while serving.
    pub regions: Vec<Arc<RegionKeeper>>,
    /// Tells the keys file from others, by which stored facts and the tenant's own lists are found; `None`: there is none.
    pub keys_mark: Option<[u8; 4]>,
    /// Where what is stored lies; empty: nowhere.
    pub place: String,
    packs: Option<PathBuf>,
    tenant_packs: Option<PathBuf>,
    _leaves: Leaves,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("engine", &self.engine).field("log", &self.log).finish_non_exhaustive()
    }
}

/// Takes back what this process said to a shared store, also where a command ends half way.
struct Leaves(Arc<Engine>);

impl Drop for Leaves {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.0.store().is_shared() && runtime.runtime_flavor() == RuntimeFlavor::MultiThread {
            let left = tokio::task::block_in_place(|| runtime.block_on(self.0.keys().leave()));
            if let Err(error) = left {
                tracing::warn!(%error, "the store was not told that this process has ended");
            }
        }
    }
}

impl Opened {
    /// Has the engine answer for this tenant, by its own packs where it has some. Something must be stored of it: of one that
    /// was mistyped no opt-out would be found.
    ///
    /// # Errors
    /// It is no name of one; nothing is stored of it; there are regions; its packs are at fault.
    pub async fn for_tenant(&mut self, name: &str) -> Result<(), OpenError> {
        if name == self.engine.tenant() {
            return Ok(());
        }
        if !access::is_name(name) {
            return Err(OpenError::Tenant);
        }
        let engine = self.engine.for_tenant(name)?;
        if !engine.has_data().await? {
            return Err(OpenError::NoData);
        }
        if let Some(law) = packs::read_own(self.packs.as_deref(), self.tenant_packs.as_deref(), name)? {
            engine.change_law(Arc::new(law))?;
        }
        self.engine = Arc::new(engine);
        Ok(())
    }

    /// Makes everything written safe, anchors the head of the log, and tells a shared store that this process seals nothing
    /// more. The files close when the value is dropped.
    ///
    /// # Errors
    /// Log or store cannot be written.
    pub async fn settle(&self, now: Instant) -> Result<(), StoreError> {
        for region in &self.regions {
            // What it did not take is appended from its outbox at the next start; the default region's own matters more.
            if let Err(error) = region.settle(now).await {
                tracing::warn!(region = region.name(), %error, "this region could not be settled");
            }
        }
        if let Some(log) = &self.log {
            let _ = log.sync().await?;
        }
        if let Some(reconciler) = &self.reconciler {
            reconciler.tick(now).await?;
        }
        self.engine.keys().leave().await
    }
}

/// Opens everything. Rules and lists first: they are most often what is wrong, and then nothing was made or locked.
///
/// # Errors
/// The first thing that cannot be opened.
pub async fn open(settings: &OpenSettings) -> Result<Opened, OpenError> {
    let law = Arc::new(packs::read(settings.packs.as_deref())?);
    let emergencies = settings.emergencies.as_deref().map(|file| feed::read(file, &law)).transpose()?;
    let registries = Arc::new(match (settings.sample, &settings.registries) {
        (true, None) => Registries::fixed(sample::lists(settings.now)?),
        (_, dir) => Registries::open(dir.as_deref())?,
    });
    let metrics = Arc::new(Metrics::default());
    let kept = keep(settings).await?;
    // Without a store the keys are made up, and those of the tenant's own lists are in the file.
    let listed = match &settings.data {
        Some(_) => Some(kept.keys.clone()),
        None => Keys::open(&settings.keys).ok(),
    };
    let keys_mark = listed.as_ref().map(Keys::hash_mark);
    if let Some(keys) = listed {
        registries.know_tags(Arc::new(ListTags::new(keys)));
    }
    let store = Arc::clone(&kept.store);
    let engine = Engine::new(Parts {
        store: kept.store,
        keys: kept.keys,
        log: kept.audit.as_ref().map(|audit| Arc::clone(&audit.log)),
        registries: Arc::clone(&registries),
        law,
        settings: settings.engine.clone(),
        metrics: Arc::clone(&metrics),
    });
    if let Some(data) = &settings.data {
        engine.keep_law_in(Library::at(&data.join(LIBRARY)))?;
    }
    if let Some(packs) = &settings.shadow_packs {
        engine.shadow_by(Arc::new(packs::read(Some(packs))?))?;
    }
    let (engine, regions) = regions::add(engine, &*store, settings).await?;
    if let Some(emergencies) = emergencies {
        engine.change_feed(Arc::new(emergencies));
    }
    if let Some(audit) = &kept.audit {
        engine.keys().join(audit.log.writer(), settings.now).await?;
    }
    let (log, reconciler, reconciled) = match kept.audit {
        Some(audit) => (Some(audit.log), Some(audit.reconciler), audit.reconciled),
        None => (None, None, Reconciled::default()),
    };
    let leaves = Leaves(Arc::clone(&engine));
    let folder = settings.data.as_deref().map(|data| std::fs::canonicalize(data).unwrap_or_else(|_| data.to_owned()));
    let place = match (&settings.redis, folder) {
        (Some(redis), _) => redis.place(),
        (None, folder) => folder.unwrap_or_default().display().to_string(),
    };
    let (packs, tenant_packs) = (settings.packs.clone(), settings.tenant_packs.clone());
    Ok(Opened {
        engine,
        registries,
        metrics,
        log,
        reconciler,
        reconciled,
        regions,
        keys_mark,
        place,
        packs,
        tenant_packs,
        _leaves: leaves,
    })
}

/// A store with what belongs to it, without lists or rules.
pub(super) struct Kept {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: Keys,
    pub(super) audit: Option<audit::Opened>,
}

/// Opens store, keys and log alone.
pub(super) async fn keep(settings: &OpenSettings) -> Result<Kept, OpenError> {
    let Some(data) = &settings.data else {
        return Ok(Kept { store: Arc::new(MemoryStore::new()), keys: Keys::ephemeral()?, audit: None });
    };
    let store = open_store(data, settings.redis.as_ref(), settings.store).await?;
    let keys = Keys::for_store(&settings.keys, Some(data), &*store).await?;
    let log = audit::Settings { swapped: engine::is_swapped, ..settings.log };
    let archive = settings.archive.as_ref();
    let audit = audit::open_with(&data.join(AUDIT), log, Arc::clone(&store), settings.now, archive).await?;
    Ok(Kept { store, keys, audit: Some(audit) })
}

/// Opens a store: the file in this data folder, or a Redis.
pub(super) async fn open_store(
    data: &Path,
    redis: Option<&redis::Settings>,
    settings: embedded::Settings,
) -> Result<Arc<dyn Store>, StoreError> {
    let Some(redis) = redis else { return Ok(Arc::new(EmbeddedStore::open(data, settings)?)) };
    let (store, findings) = RedisStore::open(redis.clone()).await?;
    for finding in findings.iter().filter(|finding| finding.weight == Weight::Warning) {
        tracing::warn!(server = finding.server, "{}", finding.text);
    }
    Ok(Arc::new(store))
}
