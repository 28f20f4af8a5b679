//! The folder with a folder of packs for each tenant that has some.
//!
//! Promises: that a tenant has no folder is said only where it was seen: a folder that is not there, is empty where it was
//! not before, or cannot be read is one of which nothing is known. Rules must not go out of force because a volume did.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::access::DEFAULT_TENANT;

/// See the module.
pub(super) struct OwnPacks {
    folder: PathBuf,
    /// The device and inode of the folder when something was last seen in it: a mount point whose volume is gone has others.
    proven: Option<(u64, u64)>,
}

/// What a tenant has of its own.
pub(super) enum Own {
    /// Packs, in this folder.
    Folder(PathBuf),
    /// Nothing, which was seen.
    Nothing,
}

impl OwnPacks {
    /// Looks at the folder.
    ///
    /// # Errors
    /// It cannot be read, or holds nothing.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut own = Self { folder: folder.to_owned(), proven: None };
        own.names()?;
        Ok(own)
    }

    /// What this tenant has now.
    ///
    /// # Errors
    /// It is not known: then what was in force must stay so.
    pub fn of(&mut self, tenant: &str) -> Result<Own, Error> {
        // No name of a tenant leads out of the folder: see `is_name`. One that is dots alone does not begin with a letter.
        let path = self.folder.join(tenant);
        match fs::symlink_metadata(&path) {
            // What it leads to may be away, though the name is there.
            Ok(_) => match fs::metadata(&path) {
                Ok(about) if about.is_dir() => Ok(Own::Folder(path)),
                Ok(_) => Err(Error::said(format!("{}: is no folder: make it one, with packs in it", path.display()))),
                Err(error) => Err(unseen(&path, &error)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => match self.names()?.contains(tenant) {
                true => Err(Error::said(format!("{}: came and went while it was looked at", path.display()))),
                false => Ok(Own::Nothing),
            },
            Err(error) => Err(unseen(&path, &error)),
        }
    }

    /// The folders in it that are of none of these tenants, and so hold for nobody.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_nobody(&mut self, tenants: &BTreeSet<Arc<str>>) -> Result<Vec<String>, Error> {
        let has_own = |name: &str| name != DEFAULT_TENANT && tenants.iter().any(|tenant| **tenant == *name);
        Ok(self.names()?.into_iter().filter(|name| !has_own(name) && self.folder.join(name).is_dir()).collect())
    }

    /// The names in the folder.
    fn names(&mut self) -> Result<BTreeSet<String>, Error> {
        let folder = &self.folder;
        let read = || -> io::Result<_> {
            let about = fs::metadata(folder)?;
            let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            Ok(((about.dev(), about.ino()), names.collect::<io::Result<BTreeSet<_>>>()?))
        };
        let (which, mut names) = read().map_err(|error| unseen(folder, &error))?;
        names.retain(|name| !name.starts_with('.'));
        if !names.is_empty() {
            self.proven = Some(which);
        } else if self.proven != Some(which) {
            return Err(Error::said(format!(
                "{}: is empty, so that no tenant would have its own rules: is its volume mounted? If no tenant has any, take \
                 tenant_packs out of the settings",
                folder.display()
            )));
        }
        Ok(names)
    }
}

fn unseen(path: &Path, error: &io::Error) -> Error {
    Error::said(format!(
        "{}: cannot be seen: {error}: tenants' own rules are there; make it readable, or take tenant_packs out of the \
         settings",
        path.display()
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn said(own: &mut OwnPacks, tenant: &str) -> String {
        match own.of(tenant) {
            Ok(Own::Folder(_)) => "folder".to_owned(),
            Ok(Own::Nothing) => "nothing".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn nothing_is_said_only_where_it_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tenants");
        assert!(OwnPacks::open(&root).is_err_and(|error| error.to_string().contains("cannot be seen")));
        fs::create_dir(&root).unwrap();
        assert!(OwnPacks::open(&root).is_err_and(|error| error.to_string().contains("mounted")));
        fs::create_dir(root.join("acme")).unwrap();
        let mut own = OwnPacks::open(&root).unwrap();
        assert_eq!([said(&mut own, "acme"), said(&mut own, "beta")], ["folder", "nothing"]);
        // Away, as a volume that is not mounted: nothing there, an empty mount point, something else in its place.
        let away = folder.path().join("away");
        fs::rename(&root, &away).unwrap();
        assert!(said(&mut own, "acme").contains("cannot be seen"));
        fs::create_dir(&root).unwrap();
        assert!(said(&mut own, "acme").contains("mounted"));
        fs::remove_dir(&root).unwrap();
        fs::write(&root, "").unwrap();
        assert!(said(&mut own, "acme").contains("cannot be seen"));
        fs::remove_file(&root).unwrap();
        fs::rename(&away, &root).unwrap();
        assert_eq!(said(&mut own, "acme"), "folder");
        // A name that leads nowhere, and one that is no folder.
        std::os::unix::fs::symlink(folder.path().join("gone"), root.join("beta")).unwrap();
        fs::write(root.join("gamma"), "").unwrap();
        assert!(said(&mut own, "beta").contains("cannot be seen") && said(&mut own, "gamma").contains("no folder"));
        let tenants = BTreeSet::from(["beta".into(), "default".into()]);
        fs::create_dir(root.join("default")).unwrap();
        assert_eq!(own.of_nobody(&tenants).unwrap(), ["acme", "default"]);
        // Emptied, and the same folder as before: that is a removal.
        for name in ["acme", "default"] {
            fs::remove_dir(root.join(name)).unwrap();
        }
        fs::remove_file(root.join("beta")).unwrap();
        fs::remove_file(root.join("gamma")).unwrap();
        assert_eq!(said(&mut own, "acme"), "nothing");
    }
}
