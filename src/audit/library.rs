//! What decisions were made by, kept beside the log: packs, zone data, numbering tables, each under its SHA-256.
//!
//! Promises: what was kept is on disk when [`Library::keep`] returns, under a name that only its own bytes have; what is
//! read was checked against that name. It must never change or remove anything. Guarded by `tests/replay.rs`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::LogError;
use crate::store::{Digest, make_folder, sha256, sync_folder};

/// A folder of objects, each named by its digest in hexadecimal.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
}

impl Library {
    /// The library in this folder, which is made when something is kept.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps objects, in this order, those that are there already left alone. One that does not match its name is written
    /// anew: what is given is what must be found.
    ///
    /// # Errors
    /// The disk refuses. What came before may be there.
    pub fn keep<'a>(&self, objects: impl IntoIterator<Item = &'a (Digest, Vec<u8>)>) -> Result<(), LogError> {
        make_folder(&self.folder)?;
        let mut written = false;
        for (digest, bytes) in objects {
            let path = self.path(digest);
            if fs::read(&path).is_ok_and(|kept| sha256(&kept) == *digest) {
                continue;
            }
            write(&path, bytes).map_err(|error| LogError::from_io(&path, "writing", &error))?;
            written = true;
        }
        if written {
            sync_folder(&self.folder).map_err(|error| LogError::from_io(&self.folder, "writing", &error))?;
        }
        Ok(())
    }

    /// An object; `None` where it was never kept.
    ///
    /// # Errors
    /// It cannot be read, or is not what was kept.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) if sha256(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => Err(LogError::Corrupt { path, why: "the bytes are not those that its name stands for".into() }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::from_io(&path, "reading", &error)),
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// There whole or not at all; its name becomes durable with the folder's.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_what_was_altered_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::at(&folder.path().join("library"));
        let object = (sha256(b"law"), b"law".to_vec());
        assert_eq!(library.get(&object.0), Ok(None));
        library.keep([&object]).unwrap();
        assert_eq!(library.get(&object.0).unwrap().unwrap(), b"law");
        fs::write(library.path(&object.0), "lax").unwrap();
        assert!(matches!(library.get(&object.0), Err(LogError::Corrupt { .. })));
        // Kept again, it is mended.
        library.keep([&object]).unwrap();
        assert_eq!(library.get(&object.0).unwrap().unwrap(), b"law");
    }
}
