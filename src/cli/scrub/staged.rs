//! A page on its way: beside its place from before the run begins, so that a folder that is not there or cannot be written is
//! told at once and not after hours; in its place only whole, and only where the output is in its own.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::output;
use crate::cli::Error;
use crate::cli::replace::is_same;

/// A page that is not in its place yet. Dropped before, it is gone.
pub(super) struct Staged {
    file: File,
    beside: Beside,
    place: PathBuf,
    force: bool,
}

/// What lies beside the place, removed when dropped.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Gone already where it was put in its place.
        let _ = fs::remove_file(&self.0);
    }
}

/// A page in its place, taken away again unless it is kept.
#[must_use]
pub(super) struct Placed(Option<PathBuf>);

impl Placed {
    /// It stays.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some(place) = &self.0 {
            let _ = fs::remove_file(place);
        }
    }
}

impl Staged {
    /// Begins a page beside its place, which must be neither of these.
    ///
    /// # Errors
    /// Its folder is not there or cannot be written; it is there already, and not to be replaced.
    pub(super) fn create(page: &Path, others: [&Path; 2], force: bool) -> Result<Self, Error> {
        let name = page.display();
        let place = fs::canonicalize(page).or_else(|_| whole(page));
        let place = place.map_err(|error| Error::at(page, "naming the file", &error))?;
        if others.iter().any(|other| is_same(page, other) || whole(other).is_ok_and(|other| other == place)) {
            return Err(Error::said(format!("{name}: is the input or the output: name another file with --report")));
        }
        match fs::metadata(&place) {
            Ok(about) if !about.is_file() => {
                return Err(Error::said(format!("{name}: a folder or device: name a file with --report")));
            }
            Ok(_) if !force => return Err(output::exists(&name.to_string())),
            _ => {}
        }
        let file_name = place.file_name().ok_or_else(|| Error::said(format!("{name}: not the name of a file")))?;
        let part = place.with_file_name(format!(".{}.part", file_name.to_string_lossy()));
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&part);
        let file = file.map_err(|error| Error::at(&part, "making the file", &error))?;
        if file.try_lock().is_err() {
            return Err(Error::said(format!("{name}: another scrub is writing it: wait for it, or name another file")));
        }
        Ok(Self { file, beside: Beside(part), place, force })
    }

    /// Writes the page, and makes it safe.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Error> {
        let file = &mut self.file;
        let written = file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).and_then(|()| file.sync_all());
        written.map_err(|error| Error::at(&self.beside.0, "writing", &error))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// A file of this name was made meanwhile, and is not to be replaced; the folder takes it no more.
    pub(super) fn publish(self) -> Result<Placed, Error> {
        let Self { file: _file, beside, place, force } = self;
        let placed = match fs::hard_link(&beside.0, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !force => {
                return Err(output::exists(&place.display().to_string()));
            }
            Err(_) => fs::rename(&beside.0, &place),
            linked => linked,
        };
        placed.map_err(|error| Error::at(&place, "putting the file in its place", &error))?;
        Ok(Placed(Some(place)))
    }
}

/// The whole path of a file that need not be there.
fn whole(file: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(file)?;
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => Ok(folder.join(name)),
        _ => Ok(path),
    }
}
