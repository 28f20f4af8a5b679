//! What becomes of a closed segment: compressed, indexed, copied to the archive, and after a while removed here.
//!
//! Each step leaves a log that verifies and that the next start goes on with, whenever the process is killed: what is
//! removed was read back from where it was put, and found equal, before.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::super::frame::HEADER_LEN;
use super::super::{Log, LogError, lookup, segment};
use super::{Archive, NotPacked, pack, unpack};
use crate::store::{sha256, sync_folder};
use crate::time::Instant;

/// What was just done to a segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The compressed copy was written, not synced, under another name.
    Written,
    /// It is on disk, and gave back the segment.
    Proved,
    /// It has its name.
    Named,
    /// The index was written.
    Indexed,
    /// The segment as it was written is gone.
    Removed,
    /// The copy in the archive was written.
    Uploaded,
    /// It was read back and is the same.
    Compared,
    /// What stays here of it has been written.
    Noted,
    /// The compressed copy here is gone.
    Moved,
}

/// What one look after the segments came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Keep {
    /// Segments compressed.
    pub packed: usize,
    /// Segments copied to the archive.
    pub archived: usize,
    /// Segments removed here, being in the archive.
    pub moved: usize,
    /// Closed segments that are not in the archive yet, or not compressed.
    pub waiting: usize,
}

/// Looks after the closed segments of a log.
pub struct Keeper {
    log: Arc<Log>,
    archive: Option<Arc<Archive>>,
    /// For how long a segment stays here after its newest entry, once it is in the archive.
    keep: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Known to be in the archive, by their length.
    archived: BTreeSet<u64>,
    /// Not whole, so left as they are: for `verify` to name.
    unsound: BTreeSet<u64>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("log", &self.log).field("archive", &self.archive).finish_non_exhaustive()
    }
}

/// Asked after each step with the segment's number; an error ends the work there, as a crash would.
type Watch<'w> = &'w (dyn Fn(Step, u64) -> Result<(), LogError> + Sync);

impl Keeper {
    /// For this log, and its archive if it has one ([`super::super::open_with`]).
    #[must_use]
    pub fn new(log: Arc<Log>, keep: Duration) -> Self {
        let archive = log.archive();
        Self { log, archive, keep, state: Mutex::default() }
    }

    /// Does what is to be done by now.
    ///
    /// # Errors
    /// The disk or the archive refused, or a segment is not whole. Everything else was done; the next call takes up what
    /// was not.
    pub async fn tick(&self, now: Instant) -> Result<Keep, LogError> {
        self.tick_watched(now, &|_, _| Ok(())).await
    }

    /// The same, watched: for tests that stop it in the middle.
    ///
    /// # Errors
    /// As [`Keeper::tick`], and what the watcher says.
    pub async fn tick_watched(&self, now: Instant, watch: Watch<'_>) -> Result<Keep, LogError> {
        let mut state = self.state.lock().await;
        let mut done = Keep::default();
        let packed = self.pack_all(&mut state, &mut done, watch);
        let archived = match &self.archive {
            Some(archive) => self.archive_all(archive, &mut state, &mut done, now, watch).await,
            None => Ok(()),
        };
        self.log.counts().kept(&done, archived.is_err());
        packed.and(archived).map(|()| done)
    }

    /// Segments that get no more entries, with the forms they are here in.
    fn closed(&self) -> Result<Vec<(u64, segment::Forms)>, LogError> {
        let open = self.log.index().segments().last().map_or(1, |segment| segment.number);
        let listed = segment::list(self.log.folder())?.segments;
        Ok(listed.into_iter().filter(|(number, _)| *number < open).collect())
    }

    fn pack_all(&self, state: &mut State, done: &mut Keep, watch: Watch<'_>) -> Result<(), LogError> {
        let mut failed = Ok(());
        for (number, _) in self.closed()?.into_iter().filter(|(_, forms)| forms.plain) {
            if state.unsound.contains(&number) {
                done.waiting += 1;
                continue;
            }
            // On this thread, told to the runtime: the work is minutes apart and a tenth of a second long.
            match blocking(|| self.pack(number, watch)) {
                Ok(true) => done.packed += 1,
                Ok(false) => {
                    state.unsound.insert(number);
                    done.waiting += 1;
                }
                Err(error) => {
                    done.waiting += 1;
                    failed = Err(error);
                    break;
                }
            }
        }
        failed
    }

    /// Compresses a segment; `false` if it is not whole.
    fn pack(&self, number: u64, watch: Watch<'_>) -> Result<bool, LogError> {
        let folder = self.log.folder();
        let (plain_path, path) = (segment::path(folder, number), segment::packed_path(folder, number));
        let io = |error: std::io::Error| LogError::from_io(&path, "compressing the audit log", &error);
        let plain = segment::read(&plain_path)?;
        let there = path.exists() && gives(&segment::read(&path)?, &plain);
        if !there {
            let bytes = match pack(&plain) {
                Ok((bytes, _)) => bytes,
                Err(NotPacked::Failed(why)) => return Err(io(std::io::Error::other(why))),
                Err(NotPacked::Unsound(entry, why)) => {
                    let segment = segment::packed_name(number);
                    tracing::error!(
                        segment,
                        entry,
                        why,
                        "a closed segment of the audit log is not whole and stays as it is: run `ringfence audit verify`"
                    );
                    return Ok(false);
                }
            };
            let new = folder.join(format!("{}.new", segment::packed_name(number)));
            let mut file = File::create(&new).map_err(io)?;
            file.write_all(&bytes).map_err(io)?;
            watch(Step::Written, number)?;
            file.sync_all().map_err(io)?;
            drop(file);
            if !gives(&segment::read(&new)?, &plain) {
                return Err(io(std::io::Error::other("what was written does not read back")));
            }
            watch(Step::Proved, number)?;
            fs::rename(&new, &path).and_then(|()| sync_folder(folder)).map_err(io)?;
            watch(Step::Named, number)?;
        }
        let first_seq = self.log.index().segments().iter().find(|one| one.number == number).map(|one| one.first_seq);
        let frames = plain.get(HEADER_LEN..).unwrap_or_default();
        if let Some(bytes) = first_seq.and_then(|first_seq| lookup::build(number, first_seq, frames)) {
            lookup::keep(folder, number, &bytes)?;
        }
        watch(Step::Indexed, number)?;
        fs::remove_file(&plain_path).and_then(|()| sync_folder(folder)).map_err(io)?;
        self.log.index().forget(number);
        watch(Step::Removed, number)?;
        Ok(true)
    }

    async fn archive_all(
        &self,
        archive: &Archive,
        state: &mut State,
        done: &mut Keep,
        now: Instant,
        watch: Watch<'_>,
    ) -> Result<(), LogError> {
        let packed: Vec<_> = self.closed()?.into_iter().filter(|(_, forms)| forms.packed && !forms.plain).collect();
        let due = now.millis().saturating_sub(i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX));
        for (at, (number, _)) in packed.iter().enumerate() {
            let archived = self.archive_one(archive, state, done, (*number, due), watch).await;
            if let Err(error) = archived {
                let behind = packed.iter().skip(at).filter(|(number, _)| !state.archived.contains(number));
                done.waiting += behind.count();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn archive_one(
        &self,
        archive: &Archive,
        state: &mut State,
        done: &mut Keep,
        (number, due): (u64, i64),
        watch: Watch<'_>,
    ) -> Result<(), LogError> {
        let (folder, name) = (self.log.folder(), segment::packed_name(number));
        let path = segment::packed_path(folder, number);
        let footer = segment::read_footer(&path)?;
        if !state.archived.contains(&number) {
            if archive.length(&name).await? != Some(footer.packed_length()) {
                self.upload(archive, number, &path, watch).await?;
                done.archived += 1;
            }
            state.archived.insert(number);
        }
        if i64::try_from(footer.span.1).unwrap_or(i64::MAX) > due {
            return Ok(());
        }
        // Once more, at the last moment: what is removed here is there now, to the byte.
        let there = archive.get(&name).await?.map(|bytes| sha256(&bytes));
        let here = segment::read(&path)?;
        if there != Some(sha256(&here)) {
            tracing::warn!(segment = number, "the copy in the archive is not the one made; it is made again");
            state.archived.remove(&number);
            self.upload(archive, number, &path, watch).await?;
            state.archived.insert(number);
        }
        let io = |error: std::io::Error| LogError::from_io(&path, "moving the audit log to its archive", &error);
        if !sound(&here) {
            return Err(io(std::io::Error::other("it is damaged; run `ringfence audit verify`")));
        }
        let (away, new) = (segment::away_path(folder, number), folder.join(format!("{number:010}.away.new")));
        let mut file = File::create(&new).map_err(io)?;
        file.write_all(&footer.bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&new, &away).and_then(|()| sync_folder(folder)).map_err(io)?;
        watch(Step::Noted, number)?;
        fs::remove_file(&path).and_then(|()| sync_folder(folder)).map_err(io)?;
        self.log.index().forget(number);
        done.moved += 1;
        watch(Step::Moved, number)
    }

    async fn upload(&self, archive: &Archive, number: u64, path: &Path, watch: Watch<'_>) -> Result<(), LogError> {
        let name = segment::packed_name(number);
        let bytes = segment::read(path)?;
        if !sound(&bytes) {
            let why = "it is damaged, and was not archived; run `ringfence audit verify`".into();
            return Err(LogError::Corrupt { path: path.into(), why });
        }
        let hash = sha256(&bytes);
        archive.put(&name, bytes).await?;
        watch(Step::Uploaded, number)?;
        let there = archive.get(&name).await?.map(|bytes| sha256(&bytes));
        if there != Some(hash) {
            let why = format!("{name} reads back otherwise than it was written");
            return Err(LogError::Unavailable { place: archive.place().into(), doing: "archiving", why });
        }
        watch(Step::Compared, number)
    }
}

/// Runs what blocks, where the runtime can be told.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Whether a compressed segment gives back exactly this.
fn gives(packed: &[u8], plain: &[u8]) -> bool {
    let unpacked = unpack(packed);
    unpacked.fault.is_none() && unpacked.plain == plain
}

/// Whether a compressed segment is as it was made.
fn sound(packed: &[u8]) -> bool {
    unpack(packed).fault.is_none()
}
