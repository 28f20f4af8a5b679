//! The lists of a server with these settings, of every tenant that it would have.

use std::path::Path;
use std::sync::Arc;

use super::super::access;
use crate::access::DEFAULT_TENANT;
use crate::config::Config;
use crate::engine::ListTags;
use crate::registry::{Fault, Registries};
use crate::store::Keys;

/// Reads them as the server would. Where its keys cannot be read, lists of tags are faults; where those who may ask cannot,
/// only the first tenant's lists are known, and no folder is said to be nobody's.
///
/// # Errors
/// The folder cannot be read.
pub(in super::super) fn read(config: &Config, folder: &Path) -> Result<Registries, Fault> {
    let registries = Registries::open(Some(folder))?;
    if let Ok(keys) = Keys::open(&config.keys) {
        registries.know_tags(Arc::new(ListTags::new(keys)));
    }
    let callers = config.exposed.access.as_deref().map(|path| access::read(path, config.exposed.tenant)).transpose();
    let Ok(callers) = callers else { return Ok(registries) };
    for tenant in callers.iter().flat_map(crate::access::Callers::tenants).filter(|tenant| **tenant != *DEFAULT_TENANT)
    {
        let _ = registries.of(&tenant);
    }
    registries.know_tenants();
    Ok(registries)
}
