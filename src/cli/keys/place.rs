//! Where the records are whose keys are looked at or changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cli::source::Kept;
use crate::cli::{Error, Global, settings};
use crate::store::redis::RedisStore;
use crate::store::{EmbeddedStore, Store, StoreError, embedded};

/// Where a server that holds a data folder writes down how far it is with its keys.
const STATUS: &str = "rotation.json";

/// Where the records are.
#[derive(Debug, clap::Args)]
pub struct Where {
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    pub store: Option<String>,
    /// The data folder [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    pub data: Option<PathBuf>,
    /// The server's file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

impl Where {
    /// The keys file.
    pub(super) fn keys(&self, global: &Global) -> Result<PathBuf, Error> {
        settings::keys_of_server(self.config.as_deref(), global)
    }
}

/// A store as it was found.
pub(super) enum Place {
    /// Ours to ask: a Redis, or a folder that no server holds.
    Open(Arc<dyn Store>),
    /// A folder that a server holds: it does the work, and tells how far it is.
    Served(PathBuf, Option<u32>),
    /// There are no records yet.
    Nothing,
}

impl Place {
    pub(super) async fn find(place: &Where) -> Result<Self, Error> {
        let kept = Kept { server: None, store: place.store.clone(), data: place.data.clone() };
        let config = place.config.as_deref();
        if let Some(redis) = kept.redis_by(config)? {
            return Ok(Self::Open(Arc::new(RedisStore::open(redis).await?.0)));
        }
        let Some(folder) = kept.folder_by(config)?.filter(|folder| folder.join("store.id").exists()) else {
            return Ok(Self::Nothing);
        };
        match EmbeddedStore::open(&folder, embedded::Settings::default()) {
            Ok(store) => Ok(Self::Open(Arc::new(store))),
            Err(StoreError::Locked { process, .. }) => Ok(Self::Served(folder, process)),
            Err(error) => Err(error.into()),
        }
    }
}

/// How far a server is with its keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    /// The server.
    pub(super) process: u32,
    /// The keys it knows.
    pub(super) known: Vec<u32>,
    /// The one that seals.
    pub(super) sealing: u32,
    /// Those under which something may be stored.
    pub(super) needed: Vec<u32>,
    /// What it has sealed anew since it was started.
    pub(super) anew: u64,
    /// Whether it has regions, and so seals nothing anew.
    #[serde(default)]
    pub(super) regions: bool,
}

impl Status {
    /// What the server wrote down last; `None`: nothing yet.
    pub(super) fn read(folder: &Path, process: Option<u32>) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(STATUS)).ok()?;
        let status: Self = serde_json::from_str(&text).ok()?;
        Some(status).filter(|status| process.is_none_or(|process| process == status.process))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        crate::store::write_whole(&folder.join(STATUS), &text)
    }
}
