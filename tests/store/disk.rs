//! The embedded store on a bad day: full disk, failing disk, foreign, damaged, missing and newer files.

use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend};
use ringfence::store::{EmbeddedStore, Store, StoreError, Swapped, Version, embedded};

use super::suite::{key, won, write};

fn open(folder: &Path) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open(folder, embedded::Settings::default())
}

const WELL: u8 = 0;
const FULL: u8 = 1;
const SYNC_FAILS: u8 = 2;

/// A file whose disk can be made to fail.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    state: Arc<AtomicU8>,
}

impl Disk {
    fn fails(&self, with: u8) -> io::Result<()> {
        let state = self.state.load(Ordering::SeqCst);
        if state != with {
            return Ok(());
        }
        Err(if state == FULL { io::ErrorKind::StorageFull.into() } else { io::Error::other("the cable fell out") })
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fails(FULL)?;
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.fails(SYNC_FAILS)?;
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.fails(FULL)?;
        self.file.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

fn on_disk(folder: &Path, state: &Arc<AtomicU8>) -> EmbeddedStore {
    let state = Arc::clone(state);
    let opener = move |path: &Path, make: bool| {
        let file = fs::OpenOptions::new().read(true).write(true).create(make).truncate(false).open(path)?;
        let disk = Disk { file: FileBackend::new(file)?, state: Arc::clone(&state) };
        Database::builder().create_with_backend(disk)
    };
    EmbeddedStore::open_with(folder, Box::new(opener)).unwrap()
}

/// Asks until it works again: the store opens its file anew by itself.
async fn won_in_the_end(store: &dyn Store, text: &str) -> Version {
    loop {
        let expected = match store.load(&key(1)).await {
            Ok(record) => record.map_or(0, |record| record.version.0),
            Err(error) => {
                assert!(error.retry(), "{error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        match store.swap(write(key(1), expected, text)).await {
            Ok(Swapped::Won { version, .. }) => return version,
            Ok(Swapped::Lost(_)) => {}
            Err(error) => assert!(error.retry(), "{error}"),
        }
    }
}

async fn fails_and_recovers(with: u8, expect: fn(&StoreError) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(AtomicU8::new(WELL));
    let store = on_disk(folder.path(), &state);
    won(&store, write(key(1), 0, "before")).await;
    state.store(with, Ordering::SeqCst);
    for _ in 0..3 {
        let refused = store.swap(write(key(1), 1, "during")).await.unwrap_err();
        assert!(expect(&refused) || matches!(refused, StoreError::Unavailable { .. }), "{refused}");
        assert!(refused.to_string().contains(folder.path().to_str().unwrap()), "{refused}");
        assert!(!refused.for_clients().contains('/'));
        assert!(refused.retry());
    }
    state.store(WELL, Ordering::SeqCst);
    let version = won_in_the_end(&store, "after").await;
    assert!(version >= Version(2));
    store.ready().await.unwrap();
    drop(store);
    let store = on_disk(folder.path(), &state);
    let record = store.load(&key(1)).await.unwrap().unwrap();
    assert_eq!((record.version, record.bytes), (version, b"after".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_recovers() {
    fails_and_recovers(FULL, |error| matches!(error, StoreError::Full { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_fsync_is_never_answered_as_won() {
    fails_and_recovers(SYNC_FAILS, |error| matches!(error, StoreError::Unavailable { .. })).await;
}

/// Makes a store with one record and closes it.
async fn made(folder: &Path) {
    let store = open(folder).unwrap();
    won(&store, write(key(1), 0, "one")).await;
}

fn refused(folder: &Path) -> (StoreError, String) {
    let error = open(folder).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(folder.to_str().unwrap()), "names no path: {text}");
    assert!(!error.retry());
    (error, text)
}

#[tokio::test]
async fn a_foreign_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    for content in ["somebody's letter, long enough to be anything at all".repeat(200), "x".into()] {
        fs::write(&file, &content).unwrap();
        let (error, text) = refused(folder.path());
        assert!(matches!(error, StoreError::Foreign { .. }), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn a_file_of_another_program_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    Database::create(folder.path().join("store.redb")).unwrap().close().unwrap();
    let (error, text) = refused(folder.path());
    assert!(matches!(error, StoreError::Foreign { .. }), "{text}");
}

#[tokio::test]
async fn a_file_cut_at_any_length_never_opens_as_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path()).await;
    let file = folder.path().join("store.redb");
    let whole = fs::read(&file).unwrap();
    for length in [0, 1, 8, 9, 64, 320, 4_096, 8_192, 50_000, whole.len() / 2, whole.len() - 4_096] {
        fs::write(&file, &whole[..length]).unwrap();
        match open(folder.path()) {
            Err(error) => assert!(error.to_string().contains("store.redb"), "{error}"),
            // What was cut was free space.
            Ok(store) => assert_eq!(store.load(&key(1)).await.unwrap().unwrap().bytes, b"one", "cut at {length}"),
        }
    }
}

#[tokio::test]
async fn damage_is_an_error_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path()).await;
    let file = folder.path().join("store.redb");
    let whole = fs::read(&file).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for start in (0..used).step_by(1_024) {
        let mut damaged = whole.clone();
        damaged[start..used.min(start + 64)].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(&file, &damaged).unwrap();
        if let Ok(store) = open(folder.path()) {
            // Free space, or a page that is read only later.
            let _ = store.load(&key(1)).await;
        }
    }
}

#[tokio::test]
async fn a_lost_file_is_not_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path()).await;
    fs::remove_file(folder.path().join("store.redb")).unwrap();
    let (error, text) = refused(folder.path());
    assert!(matches!(error, StoreError::Missing { .. }), "{text}");
    assert!(text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_crash_while_the_store_is_made_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("store.redb.new"), "half of a store").unwrap();
    made(folder.path()).await;
    assert_eq!(open(folder.path()).unwrap().load(&key(1)).await.unwrap().unwrap().bytes, b"one");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let format = store.meta_get("format").await.unwrap().unwrap();
    store.meta_swap("format", format.version, 2_u32.to_le_bytes().to_vec()).await.unwrap();
    drop(store);
    let (error, text) = refused(folder.path());
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{text}");
}

#[tokio::test]
async fn a_file_in_place_of_the_folder_is_named() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("data");
    fs::write(&folder, "not a folder").unwrap();
    let (error, text) = refused(&folder);
    assert!(matches!(error, StoreError::Foreign { .. }), "{text}");
    let (error, text) = refused(&folder.join("deeper"));
    assert!(matches!(error, StoreError::Foreign { .. }), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(folder.path().join("probe"), "").is_ok() {
        // The superuser may write anywhere: only the meaning of the error can be shown.
        let denied = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let error = StoreError::from_io(folder.path(), "making the store", &denied);
        assert!(matches!(error, StoreError::ReadOnly { .. }) && error.to_string().contains("--data"), "{error}");
        return;
    }
    let (error, text) = refused(folder.path());
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{text}");
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    won(&store, write(key(1), 0, "one")).await;
    store.close();
    assert!(matches!(store.load(&key(1)).await, Err(StoreError::Closed { .. })));
    assert!(matches!(store.swap(write(key(1), 1, "two")).await, Err(StoreError::Closed { .. })));
    drop(store);
    open(folder.path()).unwrap();
}
