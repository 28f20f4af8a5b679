//! The file of the rows that an import refuses.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Error, replace};

/// How often it is opened anew: each time another import has ended between the opening and the taking.
const TRIES: usize = 8;

/// Until all rows are read it stands beside its place, so that an import that was killed leaves none there, and begun again
/// writes its own anew.
pub(super) struct RefusedFile {
    file: Arc<File>,
    path: PathBuf,
    /// `None`: it is in its place; or is no file, and is written to as it stands.
    place: Option<PathBuf>,
}

impl RefusedFile {
    /// Makes it, for this import alone. It takes the place of none of the inputs, and of what is there only where it is forced.
    ///
    /// # Errors
    /// It would take the place of something else, another import writes it, or it cannot be made.
    pub(super) fn create(path: &Path, inputs: &[&Path], force: bool) -> Result<Self, Error> {
        Self::create_by(path, inputs, force, &mut private)
    }

    fn create_by(
        path: &Path,
        inputs: &[&Path],
        force: bool,
        open: &mut dyn FnMut(&Path) -> io::Result<File>,
    ) -> Result<Self, Error> {
        if replace::is_stream(path) {
            let file = OpenOptions::new().write(true).open(path).map_err(|error| Error::at(path, "opening", &error))?;
            return Ok(Self { file: Arc::new(file), path: path.to_owned(), place: None });
        }
        let place = replace::place(path)?;
        if !force {
            is_free(path, &place)?;
        }
        let part = replace::beside(&place, ".part");
        // A run that was cut leaves such a part, which may be mended and read: emptied, its rows would be lost.
        let is_over = |input: &&&Path| [&place, &part].into_iter().any(|path| replace::is_same(path, input));
        if let Some(input) = inputs.iter().find(is_over) {
            return Err(Error::said(format!(
                "{}: refused rows would be written over it while it is read: name another file with --rejected",
                input.display()
            )));
        }
        let file = Arc::new(taken(&part, path, open)?);
        let made = Self { file, path: part, place: Some(place) };
        // The import that had it before may have put its own there since.
        if let Some(place) = made.place.as_deref().filter(|_| !force) {
            is_free(path, place)?;
        }
        made.file.set_len(0).map_err(|error| Error::at(&made.path, "making the file", &error))?;
        Ok(made)
    }

    /// What is written to.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Where that is now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// It cannot be written, or put there.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let Some(place) = &self.place else { return Ok(()) };
        self.file.sync_all().map_err(|error| Error::at(&self.path, "writing", &error))?;
        fs::rename(&self.path, place).map_err(|error| Error::at(place, "putting the file in its place", &error))?;
        self.place = None;
        Ok(())
    }

    /// The same where there is something in it. Of an import that is done and refused nothing none stays, nor that of one before:
    /// its rows would be taken for refused now.
    ///
    /// # Errors
    /// As [`Self::finish`]; or what is there cannot be removed.
    pub(super) fn finish_if_any(&mut self, done: bool) -> Result<(), Error> {
        let length = |about: io::Result<fs::Metadata>| about.map_or(0, |about| about.len());
        if length(self.file.metadata()) > 0 {
            return self.finish();
        }
        match &self.place {
            Some(place) if done && length(fs::metadata(place)) > 0 => {
                fs::remove_file(place).map_err(|error| Error::at(place, "removing", &error))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for RefusedFile {
    fn drop(&mut self) {
        // Of an import that failed: begun again it meets these rows again.
        if self.place.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses to replace what somebody may have begun to mend. One with nothing in it is what an import leaves that refused nothing.
fn is_free(path: &Path, place: &Path) -> Result<(), Error> {
    if fs::metadata(place).is_ok_and(|about| about.len() > 0) {
        let name = path.display();
        return Err(Error::said(format!("{name}: is there already: name another file, or replace it with --force")));
    }
    Ok(())
}

/// The part, locked. Between its opening and its locking the import that held it may have put it in its place: what is open then
/// is that finished file.
fn taken(part: &Path, path: &Path, open: &mut dyn FnMut(&Path) -> io::Result<File>) -> Result<File, Error> {
    for _ in 0..TRIES {
        let file = open(part).map_err(|error| Error::at(part, "making the file", &error))?;
        if file.try_lock().is_err() {
            break;
        }
        if replace::is_named(&file, part) {
            return Ok(file);
        }
    }
    let name = path.display();
    Err(Error::said(format!("{name}: another import is writing it: wait for it, or name another file")))
}

/// A file for its owner alone: it holds whole numbers.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        // Nor is one opened that somebody put there as a link.
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(path)?;
        // One that was left there keeps the mode that it had.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const FIRST: &str = "rows of the first";

    #[test]
    fn what_an_import_finished_between_opening_and_locking_stays_whole() {
        for force in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let [path, part] = ["bad.csv", "bad.csv.part"].map(|name| folder.path().join(name));
            let mut opened = 0;
            let mut open = |part: &Path| {
                let file = private(part);
                opened += 1;
                if opened == 1 {
                    fs::write(part, FIRST).unwrap();
                    fs::rename(part, &path).unwrap();
                }
                file
            };
            let made = RefusedFile::create_by(&path, &[], force, &mut open);
            assert_eq!((opened, made.is_ok()), (2, force));
            assert_eq!(fs::read_to_string(&path).unwrap(), FIRST);
            if let Err(error) = &made {
                assert!(error.to_string().contains("bad.csv: is there already"), "{error}");
            }
            drop(made);
            assert!(!part.exists());
            assert_eq!(fs::read_to_string(&path).unwrap(), FIRST);
        }
    }

    #[test]
    fn one_that_others_hold_or_take_away_each_time_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.csv");
        let refused = |made: Result<RefusedFile, Error>| {
            let error = made.err().unwrap().to_string();
            assert!(error.contains("bad.csv: another import is writing it"), "{error}");
        };
        let mut opened = 0;
        let mut open = |part: &Path| {
            let file = private(part);
            opened += 1;
            fs::remove_file(part).unwrap();
            file
        };
        refused(RefusedFile::create_by(&path, &[], true, &mut open));
        assert_eq!(opened, TRIES);
        let first = RefusedFile::create(&path, &[], false).unwrap();
        refused(RefusedFile::create(&path, &[], true));
        drop(first);
        assert!(RefusedFile::create(&path, &[], false).is_ok());
    }
}
