//! Which regions there are beside that of a data folder, written into it: for what reads logs without their stores.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::store::{StoreError, write_whole};

/// The file, in the data folder of each region.
const NAME: &str = "regions.json";

/// What a data folder says of regions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beside {
    /// Its own.
    pub region: String,
    /// All that there ever were, its own among them: the log of one that was given up tells of then.
    pub all: BTreeSet<String>,
}

impl Beside {
    /// What this folder says; `None`: it was never one of several.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::at(&path, "reading", &error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Error::said(format!(
                    "{}: {error}: it says which regions have logs of their own; start the server once, which writes it anew",
                    path.display()
                ))
            }),
        }
    }

    /// Says so in this folder, for good.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write<'a>(folder: &Path, region: &str, all: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
        let path = folder.join(NAME);
        let before = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let mut beside = Self { region: region.to_owned(), all: all.into_iter().map(str::to_owned).collect() };
        beside.all.extend(before.iter().flat_map(|before| before.all.iter().cloned()));
        if before.as_ref() == Some(&beside) {
            return Ok(());
        }
        let text = serde_json::to_string(&beside)
            .map_err(|error| StoreError::from_io(&path, "writing", &std::io::Error::from(error)))?;
        write_whole(&path, &text)
    }

    /// The others, in the order of their names.
    #[must_use]
    pub fn others(&self) -> Vec<&str> {
        self.all.iter().map(String::as_str).filter(|name| *name != self.region).collect()
    }
}

/// The regions that have a log of their own of which none of these folders is one.
///
/// # Errors
/// What a folder says cannot be read.
pub fn missing<'a>(folders: impl IntoIterator<Item = &'a Path>) -> Result<Vec<String>, Error> {
    let (mut all, mut here) = (BTreeSet::new(), BTreeSet::new());
    for folder in folders {
        if let Some(beside) = Beside::read(folder)? {
            all.extend(beside.all);
            here.insert(beside.region);
        }
    }
    Ok(all.difference(&here).cloned().collect())
}
