//! Holding a folder: one process at a time, said by a lock of the operating system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;

const LOCK: &str = "lock";
/// Far longer than asking whether a folder is taken takes.
const GLANCE: Duration = Duration::from_millis(20);

/// A folder that this process holds until the value is dropped. The lock is the system's, so it ends with the process,
/// however that ends; the file itself may stay.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

impl Held {
    /// Takes the folder, or says who has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK);
        let io = |doing| move |error: io::Error| StoreError::from_io(folder, doing, &error);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("making the lock file"))?;
        let mut taken = lock.try_lock();
        if matches!(taken, Err(TryLockError::WouldBlock)) {
            // Perhaps only somebody asking `is_taken`.
            std::thread::sleep(GLANCE);
            taken = lock.try_lock();
        }
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the message: a holder that cannot be read is still a holder.
                let _ = lock.read_to_string(&mut text);
                return Err(StoreError::Locked { path: folder.into(), process: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(io("locking the folder")(error)),
        }
        // The process id is a courtesy to the next one's error message: on a full disk it may be missing.
        let _ = lock
            .set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| lock.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { _lock: lock })
    }

    /// Whether some process holds the folder now. `false` also where that cannot be found out.
    pub(crate) fn is_taken(folder: &Path) -> bool {
        File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// Makes a folder, readable by its owner only, unless it is there.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists) => {
            Err(StoreError::Foreign { path: path.into(), why: "a file stands where the folder should be".into() })
        }
        Err(error) => Err(StoreError::from_io(path, "making the folder", &error)),
    }
}

/// Makes the names of a folder's files durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    // Other systems have no such thing, or need none.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), StoreError> {
    let io = |error: io::Error| StoreError::from_io(path, "writing", &error);
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::create(&new).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&new, path).map_err(io)?;
    sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io)
}
