//! Closed segments, compressed and kept elsewhere: in a folder, or in an object store that speaks S3.
//!
//! Promises: nothing is removed here before its copy was read back and found equal; a copy that is not as it should be is
//! made again; while the archive cannot be reached everything stays here. It must never change what it archived.
//! Guarded by `tests/audit.rs` and `tests/archive.rs`.

mod keeper;
mod pack;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::runtime::Handle;

pub use keeper::{Keep, Keeper, Step};
pub(super) use pack::{Footer, NotPacked, TAIL, pack, unpack, unpack_block};
pub use settings::{ArchiveAt, ArchiveSettings, Credentials};

use super::LogError;
use crate::store::{WriterId, make_folder};

/// For how long a request may go without a connection, and in all: a segment has to get through a slow line.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(120);
/// For how long a request that failed is tried again before the archive counts as out of reach.
const RETRY: Duration = Duration::from_secs(10);
const RETRIES: usize = 3;

/// Where closed segments are kept. Of one log: the writer's name is part of every object's name.
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    prefix: Name,
    place: String,
    handle: Handle,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Archive {
    /// The archive of this writer's log. A folder is made where it is absent; an object store is not asked yet. To be
    /// called within the runtime that its requests are to run on.
    ///
    /// # Errors
    /// The settings are faulty, the folder cannot be made, the file of credentials cannot be read.
    pub fn open(settings: &ArchiveSettings, writer: WriterId) -> Result<Self, LogError> {
        let place = settings.at.to_string();
        let fault = |why: String| LogError::Unavailable { place: place.clone(), doing: "opening the archive", why };
        let handle = Handle::try_current().map_err(|error| fault(error.to_string()))?;
        let (store, under): (Arc<dyn ObjectStore>, &str) = match &settings.at {
            ArchiveAt::Folder(folder) => {
                make_folder(folder)?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| fault(error.to_string()))?;
                (Arc::new(store.with_fsync(true)), "")
            }
            ArchiveAt::Bucket { bucket, prefix } => {
                let store = s3(settings, bucket).map_err(fault)?;
                (Arc::new(store), prefix)
            }
        };
        let prefix = Name::parse(under).map_err(|error| fault(error.to_string()))?.join(writer.to_string());
        Ok(Self { store, prefix, place, handle })
    }

    /// Its address, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    fn name(&self, name: &str) -> Name {
        self.prefix.clone().join(name)
    }

    fn failed(&self, doing: &'static str, error: &Error) -> LogError {
        // The library's words name the whole request; the innermost say what happened.
        let mut why: &dyn std::error::Error = error;
        while let Some(inner) = why.source() {
            why = inner;
        }
        LogError::Unavailable { place: self.place.clone(), doing, why: format!("{why}") }
    }

    /// Writes an object, whole or not at all.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), LogError> {
        let put = self.store.put(&self.name(name), bytes.into()).await;
        put.map(drop).map_err(|error| self.failed("writing to the archive", &error))
    }

    /// All of an object; `None` if there is none.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        let failed = |error| self.failed("reading from the archive", &error);
        match self.store.get(&self.name(name)).await {
            Ok(object) => Ok(Some(object.bytes().await.map_err(failed)?.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// How long an object is; `None` if there is none.
    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, LogError> {
        match self.store.head(&self.name(name)).await {
            Ok(about) => Ok(Some(about.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("asking the archive", &error)),
        }
    }

    /// A part of an object: offset and length. Waits; for threads that may.
    pub(super) fn block(&self, name: &str, (offset, length): (u64, u64)) -> Result<Vec<u8>, LogError> {
        let read = async { self.store.get_range(&self.name(name), offset..offset + length).await };
        match self.handle.block_on(read) {
            Ok(bytes) => Ok(bytes.into()),
            Err(Error::NotFound { .. }) => Err(LogError::Missing {
                path: format!("{}/{}", self.place, self.name(name)).into(),
                why: "a segment of the audit log that was moved there; restore it from a backup".into(),
            }),
            Err(error) => Err(self.failed("reading from the archive", &error)),
        }
    }

    /// As [`Archive::get`]. Waits; for threads that may.
    pub(super) fn get_waiting(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        self.handle.block_on(self.get(name))
    }
}

fn s3(settings: &ArchiveSettings, bucket: &str) -> Result<object_store::aws::AmazonS3, String> {
    // The variables that every tool for S3 reads (AWS_ACCESS_KEY_ID and the like), then what the settings say.
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(region) = &settings.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(Credentials { id, secret, token }) = settings.credentials()? {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
    }
    let plain = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = ClientOptions::new().with_connect_timeout(CONNECT).with_timeout(REQUEST).with_allow_http(plain);
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY, ..RetryConfig::default() };
    let builder = builder
        .with_client_options(client)
        .with_retry(retry)
        .with_virtual_hosted_style_request(settings.virtual_hosts)
        .with_checksum_algorithm(object_store::aws::Checksum::SHA256);
    builder.build().map_err(|error| error.to_string())
}
