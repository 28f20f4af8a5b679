//! The keys file on disk: made, read, and changed so that it is whole at every instant.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Keys;
use super::text::Written;
use crate::store::{DayKeyError, SealError, StoreError, sync_folder};
use crate::time::Instant;

/// More than anybody's file of keys; a larger file is something else.
const MAX_FILE: u64 = 1 << 20;

/// Why there are no usable keys. Names the file and what to do; never any of its content.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// No such file.
    #[error("{}: no keys file: make one with `ringfence keys new`, or name the right one with --keys", .0.display())]
    Missing(PathBuf),
    /// No such file, but a store that was made with one.
    #[error("{}: no keys file, but the store is not empty: put back the keys file it was made with, or name it with --keys; without it nothing in the store can be read", .0.display())]
    MissingBesideStore(PathBuf),
    /// The file belongs to another store.
    #[error("{}: not the keys that this store was made with: name the right file with --keys", .0.display())]
    Wrong(PathBuf),
    /// The store, or a record in it, is sealed under a key that the file does not have.
    #[error("{}: has no key {key}, which this store needs: bring the file up to date from the host where `ringfence keys rotate` ran, or put back the copy of it that has the key", .path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
        /// The number of the key.
        key: u32,
    },
    /// Another hash key than the one in use.
    #[error("{}: has another hash key than the one in use: a store keeps its hash key; `ringfence contact copy --to-keys` moves records into a new store under another", .0.display())]
    OtherHash(PathBuf),
    /// Another process is changing the file.
    #[error("{}: another process is changing this file: wait until it is done", .0.display())]
    Busy(PathBuf),
    /// The store has records but does not know its keys.
    #[error("{}: the store holds records but no key check: it was damaged, or another program wrote to it", .0.display())]
    Unchecked(PathBuf),
    /// There is one already.
    #[error("{}: exists already: keys are never overwritten, since a store would be lost with them", .0.display())]
    Exists(PathBuf),
    /// The file is inside the data folder.
    #[error("{}: keys must not lie inside the data folder: whoever copies the data would have the keys too", .0.display())]
    InsideData(PathBuf),
    /// Others may read or change it.
    #[error("{}: others may read or change this file (mode {mode:03o}): run `chmod 600` on it", .path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not read as a keys file.
    #[error("{}: line {line}: {why}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be read or written.
    #[error("{}: {doing} failed: {why}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        why: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store could not be asked which keys it was made with.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DayKeyError> for KeysError {
    fn from(error: DayKeyError) -> Self {
        match error {
            DayKeyError::Store(error) => Self::Store(error),
            DayKeyError::Seal(error) => Self::Seal(error),
        }
    }
}

impl Keys {
    /// Makes a keys file with new random keys, readable by its owner only.
    ///
    /// # Errors
    /// When the file exists already or cannot be written.
    pub fn generate(path: &Path) -> Result<Self, KeysError> {
        let io = |doing| move |why| KeysError::Io { path: path.into(), doing, why };
        if path.symlink_metadata().is_ok() {
            return Err(KeysError::Exists(path.into()));
        }
        let text = Written::random(Some(super::now()))?.text();
        // Under its name it is whole or not there: a crash, or a full disk, would leave a file that nothing opens and
        // nothing may overwrite.
        let new = beside(path);
        let placed = write_new(&new, text.as_bytes()).and_then(|()| place(&new, path));
        // It may be gone already; what is left of it is removed by the next one.
        let _ = fs::remove_file(&new);
        match placed {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(KeysError::Exists(path.into()));
            }
            placed => placed.map_err(io("making the file"))?,
        }
        sync_folder(parent(path)).map_err(io("making the file"))?;
        Self::open(path)
    }

    /// New random keys that are never written down: for a store that forgets too.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn ephemeral() -> Result<Self, KeysError> {
        let keys = Self::of("(in memory)".into(), &Written::random(None)?)?;
        Ok(Self { ephemeral: true, ..keys })
    }

    /// Reads a keys file.
    ///
    /// A file that everybody may read, or that others may write, is refused; reading by its group is left to the
    /// operator, since mounted secrets often come so.
    ///
    /// # Errors
    /// When the file is missing, unreadable, open to others, or malformed (naming the line).
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        Ok(Self::of(path.into(), &read(path)?.written)?)
    }
}

/// A file as it was read.
struct Found {
    written: Written,
    /// Its inode is locked while this lives, if it was asked for.
    file: File,
    about: fs::Metadata,
}

fn read(path: &Path) -> Result<Found, KeysError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeysError::Missing(path.into())),
        opened => opened.map_err(|why| KeysError::Io { path: path.into(), doing: "opening", why })?,
    };
    read_open(path, file)
}

fn read_open(path: &Path, mut file: File) -> Result<Found, KeysError> {
    let io = |doing| move |why| KeysError::Io { path: path.into(), doing, why };
    let about = file.metadata().map_err(io("opening"))?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        if mode & 0o027 != 0 {
            return Err(KeysError::TooOpen { path: path.into(), mode });
        }
    }
    let malformed = |(line, why)| KeysError::Malformed { path: path.into(), line, why };
    if about.len() > MAX_FILE {
        return Err(malformed((1, "far too long for a keys file")));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1));
    file.read_to_end(&mut bytes).map_err(io("reading"))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed((1, "not text")))?;
    let written = Written::parse(text).map_err(malformed)?;
    Ok(Found { written, file, about })
}

/// A keys file held for changing: nobody else who goes by this changes it meanwhile. Each change is on disk, whole, when
/// its function returns; who reads the file at any instant sees it before or after.
pub struct KeysFile {
    path: PathBuf,
    written: Written,
    about: fs::Metadata,
    /// The lock is on the file that has the name now.
    held: File,
}

impl std::fmt::Debug for KeysFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeysFile").field("path", &self.path).field("sealing", &self.written.sealing()).finish()
    }
}

impl KeysFile {
    /// Takes the file.
    ///
    /// # Errors
    /// As [`Keys::open`]; another process holds it.
    pub fn hold(path: &Path) -> Result<Self, KeysError> {
        // The file itself, not a link to it: a link would be replaced by the file.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        loop {
            let Found { written, file, about } = read(&real)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(KeysError::Busy(real)),
                Err(TryLockError::Error(why)) => return Err(KeysError::Io { path: real, doing: "locking", why }),
            }
            // Whoever changed it put another file in its place: then that lock is on one without a name.
            if same_file(&about, &real) {
                return Ok(Self { path: real, written, about, held: file });
            }
        }
    }

    /// The keys in it.
    ///
    /// # Errors
    /// The system's cryptography fails.
    pub fn keys(&self) -> Result<Keys, KeysError> {
        Ok(Keys::of(self.path.clone(), &self.written)?)
    }

    /// Adds a key that does not seal yet, numbered above `floor`: its number.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, floor: u32, now: Instant) -> Result<u32, KeysError> {
        let id = self.written.add(floor, now)?;
        self.save()?;
        Ok(id)
    }

    /// Lets this key seal. Whether anything changed.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn seal_with(&mut self, id: u32, now: Instant) -> Result<bool, KeysError> {
        let changed = self.written.seal_with(id, now);
        if changed {
            self.save()?;
        }
        Ok(changed)
    }

    /// Drops the keys that only open and of which nothing in the store needs any: their numbers.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn drop_all_but(&mut self, needed: &[u32]) -> Result<Vec<u32>, KeysError> {
        let gone = self.written.drop_all_but(needed);
        if !gone.is_empty() {
            self.save()?;
        }
        Ok(gone)
    }

    fn save(&mut self) -> Result<(), KeysError> {
        let path = self.path.clone();
        let io = |doing| {
            let path = path.clone();
            move |why| KeysError::Io { path, doing, why }
        };
        let new = beside(&self.path);
        let replaced = replacement(&new, self.written.text().as_bytes(), &self.about).and_then(|file| {
            // Locked before it has the name, so that nobody comes between.
            file.try_lock().map_err(std::io::Error::from)?;
            fs::rename(&new, &self.path)?;
            Ok(file)
        });
        let file = replaced.inspect_err(|_| {
            // What is left of it is removed by the next one.
            let _ = fs::remove_file(&new);
        });
        let file = file.map_err(io("writing (as the file's owner, into a folder that may be written)"))?;
        sync_folder(parent(&self.path)).map_err(io("writing"))?;
        self.about = file.metadata().map_err(io("writing"))?;
        self.held = file;
        Ok(())
    }
}

/// Whether this is the file that has the name now.
fn same_file(about: &fs::Metadata, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == (about.dev(), about.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = about;
        path.exists()
    }
}

/// A file that may take the place of one like this: whoever could read that one can read it, and nobody else.
fn replacement(path: &Path, bytes: &[u8], like: &fs::Metadata) -> std::io::Result<File> {
    write_new(path, bytes)?;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
            std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
    }
    file.set_permissions(like.permissions())?;
    file.sync_all()?;
    Ok(file)
}

/// Where a file is written before it takes its name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Writes a file for its owner only, in place of what a crash may have left there.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file its name, unless something has that name.
fn place(new: &Path, path: &Path) -> std::io::Result<()> {
    match fs::hard_link(new, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
        // Some volumes know no links. Nobody else makes keys at this very moment.
        Err(_) if path.symlink_metadata().is_err() => fs::rename(new, path),
        linked => linked,
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file is inside a folder, whichever way both are written.
pub(crate) fn lies_inside(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    match (real(parent(path)), real(folder)) {
        (Ok(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}
