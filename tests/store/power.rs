//! Power loss, played again: the embedded store on every state that a disk may be left in.

use std::fs;
use std::io;
use std::ops::Bound;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, Database, StorageBackend};
use ringfence::store::{EmbeddedStore, Store, embedded};

use super::power_cut::{Dice, Op, Record, lost_at};
use super::suite::{WRITER, key, shard, won, write};

/// A file of which everything is recorded.
#[derive(Debug)]
struct Recorded {
    file: FileBackend,
    record: Record,
}

impl StorageBackend for Recorded {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.record.note(Op::Length(len));
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.record.note(Op::Synced);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)?;
        self.record.note(Op::Write { offset, bytes: data.to_vec() });
        Ok(())
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

const WRITES: u64 = 40;

/// Writes one record again and again beside others, settles and trims, and records what happened to the file.
async fn recorded(folder: &Path) -> Vec<Op> {
    // Made whole before anything is recorded: how a store is made is tested elsewhere.
    drop(EmbeddedStore::open(folder, embedded::Settings::default()).unwrap());
    let record = Record::default();
    record.note(Op::Write { offset: 0, bytes: fs::read(folder.join("store.redb")).unwrap() });
    record.note(Op::Synced);
    let noted = record.clone();
    let opener = move |path: &Path, _| {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Database::builder().create_with_backend(Recorded { file: FileBackend::new(file)?, record: noted.clone() })
    };
    let store = EmbeddedStore::open_with(folder, Box::new(opener)).unwrap();
    for n in 0..WRITES {
        let (version, id) = won(&store, write(key(1), n, &format!("{n} {}", "x".repeat(n as usize * 40)))).await;
        record.note(Op::Told(version.0));
        if n % 5 == 4 {
            store.settle(WRITER, vec![id]).await.unwrap();
        }
    }
    record.ops()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_a_loss_of_power() {
    let made = tempfile::tempdir().unwrap();
    let ops = recorded(made.path()).await;
    let (mut dice, mut states, mut unacknowledged) = (Dice(7), 0, 0);
    // The first two are the making of it.
    for moment in (2..=ops.len()).step_by(1.max(ops.len() / 120)) {
        let (file, told) = lost_at(&ops, moment, &mut dice);
        let folder = tempfile::tempdir().unwrap();
        fs::copy(made.path().join("store.id"), folder.path().join("store.id")).unwrap();
        fs::write(folder.path().join("store.redb"), file).unwrap();
        let store = EmbeddedStore::open(folder.path(), embedded::Settings::default())
            .unwrap_or_else(|error| panic!("after {moment} of {} operations: {error}", ops.len()));
        let found = store.load(&key(1)).await.unwrap().map_or(0, |record| record.version.0);
        assert!((told..=told + 1).contains(&found), "after {moment}: {told} was told, {found} found");
        let events = store.events(shard(1), 0, usize::MAX).await.unwrap();
        assert!(events.iter().map(|event| event.version.0).eq(1..=found), "record and events are of one commit");
        assert_eq!(store.last_event(shard(1)).await.unwrap(), found);
        unacknowledged += u64::from(found > told);
        states += 1;
        let _ = won(&store, write(key(1), found, "it goes on")).await;
    }
    assert!(states >= 100 && unacknowledged > 0, "{states} states, {unacknowledged} with a write nobody was told of");
}
