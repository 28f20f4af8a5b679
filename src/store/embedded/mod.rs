//! The durable store of one machine: a redb file in the data folder.
//!
//! Promises: readers at will, each on the newest committed state, without waiting for writers; one writer thread, one
//! commit and one fsync for all that wait; what was answered as won survives `kill -9` and power loss as far as the
//! disk keeps what it said it wrote (`tests/store/power.rs` plays losses of power from recorded writes); a second process on the same folder gets one clear error; a damaged, foreign or
//! missing file is an error that names it, never a panic and never an empty store in its place. After an I/O error
//! (a full disk) nothing is answered as won; the file is opened again, tried twice a second, and reads and writes resume
//! once the cause is gone. Until then reads are refused too: what cannot be recorded cannot be allowed.
//!
//! In the folder: `store.redb`, `store.id` (so that a lost file is not taken for a new store) and `lock`.
//! redb copies on write, so bytes that were replaced stay in free pages of the file until those are used again, or until
//! the file is written anew ([`rewrite`]): after an erasure, at once where it is small, else at the next start.

mod rewrite;
mod tables;
mod writer;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use redb::{Database, DatabaseError, ReadableTable, StorageError};
use tokio::sync::oneshot;

use self::tables::Snapshot;
use self::writer::{Job, Writer};
use super::memory::{check_size, check_write};
use super::queue::Queue;
use super::{
    Answer, Beside, EventId, Held, Key, MetaSwapped, Shard, Store, StoreError, StoredEvent, Swapped, Unsettled,
    Version, Versioned, Write, WriterId, folder, trim,
};
use crate::time::{Instant, Tally};

const FILE: &str = "store.redb";
const ID_FILE: &str = "store.id";
/// A file up to this size is written anew while it serves: that takes about as long as a slow disk takes to sync.
const SMALL: u64 = 64 << 20;
/// Writes that may wait in the queue before callers wait for room.
const ROOM: usize = 8_192;
const MISSING: &str = "this folder held a store (store.id says so): put the file back from a backup; only if everything \
                       in it may be forgotten, opt-outs included, move the whole folder away";

/// Opens the database file; the flag says whether it may be made. Another one than the default is for tests that
/// break the disk.
pub type Opener = dyn Fn(&Path, bool) -> Result<Database, DatabaseError> + Send + Sync;

/// How the embedded store uses the machine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Memory for pages of the file, in bytes.
    pub cache_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20 }
    }
}

/// What readers, writers and the writer thread share.
struct Shared {
    path: PathBuf,
    opener: Box<Opener>,
    queue: Queue<Job>,
    /// The newest committed state, or why there is none.
    now: ArcSwap<Result<Snapshot, StoreError>>,
    commits: Tally,
}

impl Shared {
    fn publish(&self, snapshot: Snapshot) {
        self.now.store(Arc::new(Ok(snapshot)));
    }

    fn fail(&self, error: StoreError) {
        self.now.store(Arc::new(Err(error)));
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { place: self.path.display().to_string() }
    }

    fn close(&self) {
        self.fail(self.closed());
    }

    fn trouble_now(&self) -> StoreError {
        match &**self.now.load() {
            Err(error) => error.clone(),
            Ok(_) => self.closed(),
        }
    }

    /// Opens the file, which must be there and ours.
    fn open_database(&self) -> Result<Database, StoreError> {
        open_file(&*self.opener, &self.path, false)
    }
}

/// See the module.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    _held: Held,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Shards of a tenant ([`super::Keys::tenant`]): there is one file, so nothing is gained by more.
    pub const SHARDS: u16 = 1;

    /// Opens the store in this folder, making both if they are not there.
    ///
    /// # Errors
    /// When another process holds the folder, or it cannot be written, or its file is damaged, missing, foreign or of
    /// a later release. Each names the path and what to do.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, StoreError> {
        let opener = move |path: &Path, make: bool| {
            let mut builder = Database::builder();
            builder.set_cache_size(settings.cache_bytes);
            if make { builder.create(path) } else { builder.open(path) }
        };
        Self::open_with(folder, Box::new(opener))
    }

    /// The same with another way of opening the file.
    ///
    /// # Errors
    /// See [`EmbeddedStore::open`].
    pub fn open_with(folder: &Path, opener: Box<Opener>) -> Result<Self, StoreError> {
        folder::make_folder(folder)?;
        let held = Held::take(folder)?;
        let path = folder.join(FILE);
        let id_path = folder.join(ID_FILE);
        if !path.exists() {
            if id_path.exists() {
                return Err(StoreError::Missing { path, why: MISSING.into() });
            }
            make_file(&*opener, &path)?;
        }
        let database = open_file(&*opener, &path, false)?;
        let snapshot = guarded(&path, "reading", || writer::snapshot(&database))?;
        check_format(&path, &snapshot)?;
        if !id_path.exists() {
            let id =
                guarded(&path, "reading", || Ok(tables::read(snapshot.meta.get(tables::ID_NAME)?, tables::record)?))?;
            let id = id.map_or_else(Vec::new, |value| value.bytes);
            folder::write_whole(&id_path, &String::from_utf8_lossy(&id))?;
        }
        let now = ArcSwap::from_pointee(Ok(snapshot));
        let shared = Arc::new(Shared { path, opener, queue: Queue::new(ROOM), now, commits: Tally::default() });
        let writer = Writer { shared: Arc::clone(&shared), database: Some(database), newest: Default::default() };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::from_io(&shared.path, "starting the writer", &error))?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)), _held: held })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Writes what is queued and closes the file. Everything asked later is answered with [`StoreError::Closed`].
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A writer thread that panicked has nothing left to say.
        let _ = thread.map(JoinHandle::join);
    }

    /// Reads from the newest committed state.
    fn read<T>(&self, reading: impl Fn(&Snapshot) -> Result<T, StorageError>) -> Result<T, StoreError> {
        match &**self.shared.now.load() {
            Ok(snapshot) => guarded(&self.shared.path, "reading", || Ok(reading(snapshot)?)),
            Err(error) => Err(error.clone()),
        }
    }

    async fn write<T>(&self, job: Job, reply: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        let room = self.shared.queue.room().await.map_err(|_| self.shared.closed())?;
        self.shared.queue.put(job, room, true).map_err(|_| self.shared.closed())?;
        reply.await.unwrap_or_else(|_| Err(self.shared.closed()))
    }

    async fn swap_queued(&self, write: Write) -> Result<Swapped, StoreError> {
        check_write(&write)?;
        // Versions only rise, so a newer one already there has won whatever is queued: no need to wait for a commit.
        let winner = self.read(|now| {
            let current = now.records.get(&write.key.to_bytes())?;
            let newer = current.filter(|value| tables::version(value.value()) > Some(write.expected));
            tables::read(newer, tables::record)
        })?;
        if winner.is_some() {
            return Ok(Swapped::Lost(winner));
        }
        let (reply, answer) = oneshot::channel();
        self.write(Job::Swap(Box::new(write), reply), answer).await
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for EmbeddedStore {
    fn commits(&self) -> Option<&Tally> {
        Some(&self.shared.commits)
    }

    fn load<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Versioned>> {
        Answer::ready(self.read(|now| tables::read(now.records.get(&key.to_bytes())?, tables::record)))
    }

    fn load_beside<'a>(
        &'a self,
        key: &'a Key,
        beside: &'a Key,
        known: Version,
    ) -> Answer<'a, (Option<Versioned>, Beside)> {
        Answer::ready(self.read(|now| {
            let record = tables::read(now.records.get(&key.to_bytes())?, tables::record)?;
            let other = now.records.get(&beside.to_bytes())?;
            let version = other.as_ref().map_or(Some(Version::ABSENT), |value| tables::version(value.value()));
            let same = version == Some(known);
            Ok((record, if same { Beside::Unchanged } else { Beside::Now(tables::read(other, tables::record)?) }))
        }))
    }

    fn load_many<'a>(&'a self, keys: &'a [Key]) -> Answer<'a, Vec<Option<Versioned>>> {
        Answer::ready(self.read(|now| {
            keys.iter().map(|key| tables::read(now.records.get(&key.to_bytes())?, tables::record)).collect()
        }))
    }

    fn swap(&self, write: Write) -> Answer<'_, Swapped> {
        Answer::waiting(self.swap_queued(write))
    }

    fn reseal<'a>(&'a self, key: &'a Key, found: &'a Versioned, bytes: Vec<u8>) -> Answer<'a, bool> {
        if let Err(error) = check_size(bytes.len()) {
            return Answer::ready(Err(error));
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::Reseal { key: *key, found: Box::new(found.clone()), bytes, reply };
        Answer::waiting(self.write(job, answer))
    }

    fn events(&self, shard: Shard, after: u64, limit: usize) -> Answer<'_, Vec<StoredEvent>> {
        let [from, to] = [after.saturating_add(1), u64::MAX].map(|seq| tables::event_key(EventId { shard, seq }));
        let found = self.read(|now| {
            let found = now.events.range::<&[u8; tables::EVENT_LEN]>(&from..=&to)?.take(limit);
            found
                .map(|row| {
                    row.and_then(|(key, value)| tables::event(key.value(), value.value()).ok_or_else(tables::short))
                })
                .collect()
        });
        Answer::ready(found.and_then(|found| trim::whole(shard, after, found)))
    }

    fn trim_events(&self, shard: Shard, before: Instant, keep: u64) -> Answer<'_, u64> {
        let (reply, answer) = oneshot::channel();
        Answer::waiting(self.write(Job::Trim { shard, before, keep, reply }, answer))
    }

    fn last_event(&self, shard: Shard) -> Answer<'_, u64> {
        Answer::ready(self.read(|now| Ok(now.shards.get(&shard.to_bytes())?.map_or(0, |seq| seq.value()))))
    }

    fn shards(&self) -> Answer<'_, Vec<Shard>> {
        Answer::ready(self.read(|now| now.shards.iter()?.map(|row| Ok(Shard::from_bytes(row?.0.value()))).collect()))
    }

    fn unsettled(&self, writer: WriterId, after: Option<EventId>, limit: usize) -> Answer<'_, Vec<Unsettled>> {
        let (first, last) = tables::outbox_of(writer);
        let from = after.map_or(first, |id| tables::outbox_key(writer, id));
        Answer::ready(self.read(|now| {
            let rows = now.outbox.range::<&[u8; tables::OUTBOX_LEN]>(&from..=&last)?;
            let mut found = Vec::new();
            for row in rows {
                let (key, entry) = row?;
                let id = tables::outbox_id(key.value()).ok_or_else(tables::short)?;
                if Some(id) == after {
                    continue;
                }
                if found.len() == limit {
                    break;
                }
                found.push(Unsettled { id, entry: entry.value().to_vec() });
            }
            Ok(found)
        }))
    }

    fn settle(&self, writer: WriterId, events: Vec<EventId>) -> Answer<'_, ()> {
        let (reply, answer) = oneshot::channel();
        Answer::waiting(self.write(Job::Settle(writer, events, reply), answer))
    }

    fn scan(&self, after: Option<Key>, limit: usize) -> Answer<'_, Vec<(Key, Versioned)>> {
        let from = after.map(|key| key.to_bytes());
        Answer::ready(self.read(|now| {
            let rows = match &from {
                Some(from) => now.records.range::<&[u8; Key::LEN]>(from..)?,
                None => now.records.iter()?,
            };
            let mut found = Vec::new();
            for row in rows {
                let (key, value) = row?;
                if Some(key.value()) == from.as_ref() {
                    continue;
                }
                if found.len() == limit {
                    break;
                }
                let pair = Key::from_bytes(key.value()).zip(tables::record(value.value()));
                found.push(pair.ok_or_else(tables::short)?);
            }
            Ok(found)
        }))
    }

    fn meta_get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Versioned>> {
        Answer::ready(self.read(|now| tables::read(now.meta.get(name)?, tables::record)))
    }

    fn meta_swap<'a>(&'a self, name: &'a str, expected: Version, bytes: Vec<u8>) -> Answer<'a, MetaSwapped> {
        if let Err(error) = check_size(bytes.len()) {
            return Answer::ready(Err(error));
        }
        let (reply, answer) = oneshot::channel();
        Answer::waiting(self.write(Job::Meta { name: name.into(), expected, bytes, reply }, answer))
    }

    fn meta_list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, Versioned)>> {
        Answer::ready(self.read(|now| {
            let mut found = Vec::new();
            for row in now.meta.range(prefix..)? {
                let (name, value) = row?;
                if !name.value().starts_with(prefix) {
                    break;
                }
                found.push((name.value().to_owned(), tables::record(value.value()).ok_or_else(tables::short)?));
            }
            Ok(found)
        }))
    }

    fn drop_replaced(&self, patient: bool) -> Answer<'_, bool> {
        let large = fs::metadata(&self.shared.path).is_ok_and(|about| about.len() > SMALL);
        if large && !patient {
            return Answer::ready(Ok(false));
        }
        let (reply, answer) = oneshot::channel();
        Answer::waiting(self.write(Job::Rewrite(reply), answer))
    }

    fn ready(&self) -> Answer<'_, ()> {
        Answer::ready(self.read(|_| Ok(())))
    }
}

/// Makes a new store beside its final name, so that a crash half way leaves nothing that looks like a store.
fn make_file(opener: &Opener, path: &Path) -> Result<(), StoreError> {
    let io = |error: std::io::Error| StoreError::from_io(path, "making the store", &error);
    let new = path.with_extension("redb.new");
    if new.exists() {
        fs::remove_file(&new).map_err(io)?;
    }
    let database = open_file(opener, &new, true)?;
    guarded(&new, "making the store", || {
        let transaction = database.begin_write()?;
        tables::make(&transaction)?;
        {
            let mut meta = transaction.open_table(tables::META)?;
            let mut put = |name, bytes: &[u8]| {
                meta.insert(name, tables::record_value(Version(1), None, bytes).as_slice()).map(drop)
            };
            put(tables::FORMAT_NAME, &tables::FORMAT.to_le_bytes())?;
            put(tables::ID_NAME, format!("{}\n", uuid::Uuid::new_v4()).as_bytes())?;
        }
        transaction.commit()?;
        Ok(())
    })?;
    guarded(&new, "making the store", || Ok(database.close()?))?;
    fs::rename(&new, path).map_err(io)?;
    folder::sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io)
}

fn open_file(opener: &Opener, path: &Path, make: bool) -> Result<Database, StoreError> {
    guarded(path, "opening", || Ok(opener(path, make)?))
}

/// redb may panic on a file that something else wrote into.
fn guarded<T>(
    path: &Path,
    doing: &'static str,
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("redb could not make sense of it".into())))
        .map_err(|error| trouble(path, doing, &error))
}

fn check_format(path: &Path, snapshot: &Snapshot) -> Result<(), StoreError> {
    match guarded(path, "reading", || Ok(tables::format(&snapshot.meta)?))? {
        Some(tables::FORMAT) => Ok(()),
        Some(found) if found > tables::FORMAT => {
            Err(StoreError::Newer { path: path.into(), found, known: tables::FORMAT })
        }
        _ => Err(StoreError::Corrupt { path: path.into(), why: "the store does not say its format".into() }),
    }
}

/// What an error of redb means for the operator.
fn trouble(path: &Path, doing: &'static str, error: &redb::Error) -> StoreError {
    let path = path.to_path_buf();
    let why = error.to_string();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
            StoreError::Locked { path, process: None }
        }
        redb::Error::Io(inner) => match inner.kind() {
            // What redb says of a file without its mark, or an empty one.
            std::io::ErrorKind::InvalidData => StoreError::Foreign { path, why: inner.to_string() },
            std::io::ErrorKind::UnexpectedEof => StoreError::Corrupt { path, why: "the file is cut short".into() },
            _ => StoreError::from_io(&path, doing, inner),
        },
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => {
            StoreError::Unavailable { place: path.display().to_string(), doing, why }
        }
        redb::Error::UpgradeRequired(_) => StoreError::Foreign { path, why },
        redb::Error::TableDoesNotExist(_) => StoreError::Foreign { path, why: "a redb file of another program".into() },
        _ => StoreError::Corrupt { path, why },
    }
}
