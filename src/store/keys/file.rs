//! The keys file on disk, and whether it belongs to the store.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{Keys, SealingKey, key_id};
use crate::store::seal::{Cipher, random};
use crate::store::{MetaSwapped, Purpose, SealError, Store, StoreError, Version, sync_folder};

const FORMAT: &str = "ringfence-keys 1";
const CHECK: &str = "keys/check";
/// More than anybody's file of keys; a larger file is something else.
const MAX_FILE: u64 = 1 << 20;

const INTRODUCTION: &str = "\
# The keys of a Ringfence store. KEEP THIS FILE SECRET, AND KEEP A COPY OF IT APART FROM THE STORE.
#
# Without it nothing in the store or the audit log can be read again, and no opt-out found. With it and a copy of the
# store, every number in it can be found by trying. Keep it out of the data folder and out of the data's backups.
#
# `hash` finds records; it can never be changed within a store. Of the `seal` keys, the last one seals; the others only
# open what they sealed before. Both are 256 random bits in hexadecimal.
";

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
        let (hash, seal) = (Zeroizing::new(random::<32>()?), Zeroizing::new(random::<32>()?));
        let text = Zeroizing::new(format!("{INTRODUCTION}{FORMAT}\nhash {}\nseal 1 {}\n", *hex(&hash), *hex(&seal)));
        // Under its name it is whole or not there: a crash, or a full disk, would leave a file that nothing opens and
        // nothing may overwrite.
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
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
        let (hash, seal) = (Zeroizing::new(random::<32>()?), Zeroizing::new(random::<32>()?));
        let hash = hmac::Key::new(hmac::HMAC_SHA256, &*hash);
        let seals = vec![SealingKey { id: 1, cipher: Cipher::new(&seal)? }];
        Ok(Self { path: "(in memory)".into(), hash, seals })
    }

    /// Reads a keys file.
    ///
    /// A file that everybody may read, or that others may write, is refused; reading by its group is left to the
    /// operator, since mounted secrets often come so.
    ///
    /// # Errors
    /// When the file is missing, unreadable, open to others, or malformed (naming the line).
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        let io = |doing| move |why| KeysError::Io { path: path.into(), doing, why };
        let mut file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeysError::Missing(path.into())),
            opened => opened.map_err(io("opening"))?,
        };
        let about = file.metadata().map_err(io("opening"))?;
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
            if mode & 0o027 != 0 {
                return Err(KeysError::TooOpen { path: path.into(), mode });
            }
        }
        if about.len() > MAX_FILE {
            return Err(KeysError::Malformed { path: path.into(), line: 1, why: "far too long for a keys file" });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1));
        file.read_to_end(&mut bytes).map_err(io("reading"))?;
        let malformed = |(line, why)| KeysError::Malformed { path: path.into(), line, why };
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed((1, "not text")))?;
        Self::parse(path, text).map_err(malformed)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, (usize, &'static str)> {
        let mut hash = None;
        let mut seals: Vec<SealingKey> = Vec::new();
        let mut began = false;
        let mut last = 0;
        for (index, line) in text.lines().enumerate() {
            let at = |why| (index + 1, why);
            last = index + 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if !began {
                began = line == FORMAT;
                if !began {
                    return Err(at("expected `ringfence-keys 1`: not a keys file, or one of a later release"));
                }
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let (kind, rest): (_, Vec<_>) = (words.next().unwrap_or_default(), words.collect());
            match (kind, rest.as_slice()) {
                ("hash", [key]) if hash.is_none() => {
                    let raw = unhex(key).ok_or(at("expected 64 hexadecimal digits after `hash`"))?;
                    hash = Some(hmac::Key::new(hmac::HMAC_SHA256, &*raw));
                }
                ("hash", [_]) => return Err(at("a second `hash` key: a store has exactly one")),
                ("seal", [id, key]) => {
                    let id = id.parse().map_err(|_| at("expected a number after `seal`"))?;
                    if seals.last().is_some_and(|before| before.id >= id) {
                        return Err(at("the numbers of the `seal` keys must rise"));
                    }
                    let raw = unhex(key).ok_or(at("expected 64 hexadecimal digits after the key's number"))?;
                    let cipher = Cipher::new(&raw).map_err(|_| at("the system's cryptography failed"))?;
                    seals.push(SealingKey { id, cipher });
                }
                _ => return Err(at("expected `hash KEY` or `seal NUMBER KEY`")),
            }
        }
        let hash = hash.ok_or((last + 1, "no `hash` key"))?;
        if seals.is_empty() {
            return Err((last + 1, "no `seal` key"));
        }
        Ok(Self { path: path.into(), hash, seals })
    }

    /// Opens the keys of this store, or makes them for a store that is new; then makes sure they belong together.
    ///
    /// `data` is the folder that must not contain the keys, where there is one.
    ///
    /// # Errors
    /// When the keys are missing although the store is not empty, belong to another store, lie inside the data folder,
    /// or cannot be read.
    pub async fn for_store(path: &Path, data: Option<&Path>, store: &dyn Store) -> Result<Self, KeysError> {
        if data.is_some_and(|data| lies_inside(path, data)) {
            return Err(KeysError::InsideData(path.into()));
        }
        let known = store.meta_get(CHECK).await?;
        let keys = match Self::open(path) {
            Err(KeysError::Missing(_)) if known.is_some() => {
                return Err(KeysError::MissingBesideStore(path.into()));
            }
            Err(KeysError::Missing(_)) => Self::generate(path)?,
            opened => opened?,
        };
        keys.check(store).await?;
        Ok(keys)
    }

    /// Makes sure that this store was made with these keys; an empty one takes them as its own.
    ///
    /// # Errors
    /// When it was made with others, or cannot be asked.
    pub async fn check(&self, store: &dyn Store) -> Result<(), KeysError> {
        let wrong = || KeysError::Wrong(self.path.clone());
        let known = match store.meta_get(CHECK).await? {
            Some(known) => known,
            None => {
                if !store.scan(None, 1).await?.is_empty() {
                    return Err(KeysError::Unchecked(self.path.clone()));
                }
                match store.meta_swap(CHECK, Version::ABSENT, self.check_value()?).await? {
                    MetaSwapped::Won(_) | MetaSwapped::Lost(None) => return Ok(()),
                    // Another instance was first; its keys must be ours.
                    MetaSwapped::Lost(Some(known)) => known,
                }
            }
        };
        let (mac, sealed) = known.bytes.split_first_chunk::<32>().ok_or_else(wrong)?;
        hmac::verify(&self.hash, CHECK.as_bytes(), mac).map_err(|_| wrong())?;
        self.open_bytes(Purpose::Meta, CHECK.as_bytes(), sealed).map_err(|_| wrong())?;
        if key_id(sealed) != self.newest_id() {
            // Sealed anew, so that the old sealing key can go one day. Losing this race is as good as winning it.
            store.meta_swap(CHECK, known.version, self.check_value()?).await?;
        }
        Ok(())
    }

    fn check_value(&self) -> Result<Vec<u8>, SealError> {
        let mut value = hmac::sign(&self.hash, CHECK.as_bytes()).as_ref().to_vec();
        value.extend(self.seal_bytes(Purpose::Meta, CHECK.as_bytes(), &[])?);
        Ok(value)
    }
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

fn lies_inside(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    match (real(parent(path)), real(folder)) {
        (Ok(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

fn hex(bytes: &[u8; 32]) -> Zeroizing<String> {
    use std::fmt::Write as _;
    // Room for all of it at once: growing would leave a copy behind.
    let mut out = Zeroizing::new(String::with_capacity(64));
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}
