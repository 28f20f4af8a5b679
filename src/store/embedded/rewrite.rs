//! Writing the file anew: a copy of what is in force, without the pages that hold what was replaced.
//!
//! redb copies on write and never cleans a page that it gives up, so the bytes of an erased contact, its sealed old key
//! among them, stay in the file until chance overwrites them. A new file holds none of them. It takes the place of the old
//! one by its name, whole or not at all. The blocks that the old file had on the disk are the file system's.

use std::fs;
use std::path::{Path, PathBuf};

use redb::{Database, Durability, Key, ReadableDatabase, ReadableTable, TableDefinition, Value, WriteTransaction};

use super::tables::{EVENTS, META, OUTBOX, RECORDS, SHARDS};
use super::{Opener, guarded, open_file};
use crate::store::{StoreError, folder};

/// Where the new file is until it is whole.
pub(super) fn beside(path: &Path) -> PathBuf {
    path.with_extension("redb.new")
}

/// Writes the file anew and opens it. On an error the file at `path` is still the old one.
pub(super) fn rewrite(opener: &Opener, path: &Path, old: &Database) -> Result<Database, StoreError> {
    let io = |error: std::io::Error| StoreError::from_io(path, "writing the store anew", &error);
    let new = beside(path);
    // What a crash left of an earlier attempt.
    if new.exists() {
        fs::remove_file(&new).map_err(io)?;
    }
    let database = open_file(opener, &new, true)?;
    guarded(&new, "writing the store anew", || {
        let read = old.begin_read()?;
        let mut write = database.begin_write()?;
        write.set_durability(Durability::Immediate)?;
        copy(&read, &write, RECORDS)?;
        copy(&read, &write, EVENTS)?;
        copy(&read, &write, OUTBOX)?;
        copy(&read, &write, SHARDS)?;
        copy(&read, &write, META)?;
        write.commit()?;
        Ok(())
    })?;
    guarded(&new, "writing the store anew", || Ok(database.close()?))?;
    fs::rename(&new, path).map_err(io)?;
    folder::sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    open_file(opener, path, false)
}

fn copy<K: Key + 'static, V: Value + 'static>(
    read: &redb::ReadTransaction,
    write: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let from = read.open_table(definition)?;
    let mut to = write.open_table(definition)?;
    for row in from.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}
