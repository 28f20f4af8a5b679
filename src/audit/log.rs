//! The log as its users see it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Monotonic};

use tokio::sync::oneshot;

use super::archive::Archive;
use super::counts::{Counts, TOLD};
use super::disk::{SegmentOpener, open_segment};
use super::entry::Ids;
use super::flights::{Claim, Flight, Flights};
use super::frame::MAX_CONTENT;
use super::index::Index;
use super::lost::Lost;
use super::opening::{End, find_end, random};
use super::writer::{Job, Writer, now};
use super::{Anchor, DecisionId, Encoded, Head, LogError, segment};
use crate::store::queue::{Queue, Room};
use crate::store::{Digest, EventId, Held, WriterId, make_folder};
use crate::time::Instant;

/// How a log uses its volume.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A segment that has grown to this many bytes is closed and a new one begun.
    pub segment_bytes: u64,
    /// A segment that has entries is closed after this long too.
    pub segment_age: Duration,
    /// How long entries that nobody waits for may stay in memory.
    pub linger: Duration,
    /// Once entries wait for the disk longer than this, everybody waits until theirs is safe: what was answered before
    /// its entry was safe is never older.
    pub patience: Duration,
    /// Once they wait longer than this, nobody waits: the log is not ready, and says so at once.
    pub limit: Duration,
    /// How many entries may wait in memory before callers wait for room. An entry of more than 16 KiB counts as several.
    pub room: usize,
    /// Which kinds of entries come from a swap, so that the store has an event for each. A log that is opened beside
    /// a store which lacks one is refused ([`super::open`]).
    pub swapped: fn(u8) -> bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(86_400),
            linger: Duration::from_millis(250),
            patience: Duration::from_millis(500),
            limit: Duration::from_secs(5),
            room: 8_192,
            swapped: |_| false,
        }
    }
}

/// Bytes of an entry for each place that it takes in the queue.
const PLACE_BYTES: usize = 16 << 10;

/// Proof that an entry is safe: on disk, and part of the chain. Only the log makes one.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub struct Receipt(());

/// An unfinished write that was cut off when the log was opened: what a crash leaves, never acknowledged to anybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recovered {
    /// The file.
    pub segment: String,
    /// Where it was cut.
    pub offset: u64,
    /// How much was cut off.
    pub bytes: u64,
}

/// What users, the writer thread and the index share.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) queue: Queue<Job>,
    pub(super) head: Mutex<Head>,
    pub(super) index: Index,
    pub(super) flights: Flights,
    /// Why the last write failed, until one succeeds.
    pub(super) failing: Mutex<Option<LogError>>,
    /// When the oldest entry came that the writer has in hand and that is not safe.
    pub(super) in_hand: Mutex<Option<Monotonic>>,
    pub(super) counts: Arc<Counts>,
    pub(super) lost: Mutex<Lost>,
}

impl Shared {
    fn failing(&self) -> Option<LogError> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how long entries have been waiting for the disk.
    fn lag(&self) -> Duration {
        let since = *self.in_hand.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed()).unwrap_or_default()
    }

    pub(super) fn closed(&self) -> LogError {
        LogError::Closed { place: self.folder.display().to_string() }
    }
}

/// The audit log of one process. See the module above.
pub struct Log {
    pub(super) shared: Arc<Shared>,
    ids: Ids,
    recovered: Option<Recovered>,
    /// Digests of the swapped entries that stood behind the anchor when the log was opened.
    unanchored: Vec<Digest>,
    settings: Settings,
    archive: OnceLock<Arc<Archive>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    opened: Monotonic,
    _held: Held,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("folder", &self.shared.folder).field("head", &self.head()).finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the log in this folder, or begins one. `anchors` are what the store remembers ([`super::anchors`]): what
    /// they name must be there.
    ///
    /// # Errors
    /// When another process holds the folder, it cannot be written, or the log was altered or cut.
    pub fn open(folder: &Path, settings: Settings, anchors: &[Anchor]) -> Result<Self, LogError> {
        Self::open_with(folder, settings, anchors, Box::new(open_segment))
    }

    /// The same with another way of opening files.
    ///
    /// # Errors
    /// See [`Log::open`].
    pub fn open_with(
        folder: &Path,
        settings: Settings,
        anchors: &[Anchor],
        opener: Box<SegmentOpener>,
    ) -> Result<Self, LogError> {
        make_folder(folder)?;
        let held = Held::take(folder)?;
        segment::sweep(folder);
        let index = Index::new(folder);
        let End { open, head, recovered, unanchored } = find_end(folder, anchors, &index, &opener)?;
        let swapped = unanchored.into_iter().filter(|(kind, _)| (settings.swapped)(*kind));
        let unanchored = swapped.map(|(_, digest)| digest).collect();
        let id = open.header.writer;
        let lost = Lost::open(folder, now());
        let counts = Counts::default();
        counts.lost(lost.before(), lost.at());
        if lost.before() > 0 {
            tracing::error!(entries = lost.before(), "audit entries were lost when this log was closed: note the gap");
        }
        let shared = Arc::new(Shared {
            folder: folder.into(),
            queue: Queue::new(settings.room),
            head: Mutex::new(head),
            index,
            flights: Flights::default(),
            failing: Mutex::new(None),
            in_hand: Mutex::new(None),
            counts: Arc::new(counts),
            lost: Mutex::new(lost),
        });
        let writer = Writer { shared: Arc::clone(&shared), settings, opener, open, head, stale: false };
        let thread = std::thread::Builder::new()
            .name("audit-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| LogError::from_io(folder, "starting the writer", &error))?;
        let ids = Ids::new(id, u64::from_le_bytes(random(folder)?));
        let writer = Mutex::new(Some(thread));
        let (archive, opened) = (OnceLock::new(), Monotonic::now());
        Ok(Self { shared, ids, recovered, unanchored, settings, archive, writer, opened, _held: held })
    }

    /// Names this log.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        self.next_id(Instant::from_millis(0)).writer()
    }

    /// A new id for a decision or a write made now.
    #[must_use]
    pub fn next_id(&self, now: Instant) -> DecisionId {
        self.ids.next(now)
    }

    /// The newest entry that is safe.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The unfinished write that was cut off when the log was opened, if there was one.
    #[must_use]
    pub const fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Appends an entry and returns once it is safe. `event` is the event that carries it in its outbox, if a swap was
    /// made: its entry is appended once, whoever asks.
    ///
    /// A caller that goes away leaves the entry to be appended or not; with an event, it will be.
    ///
    /// # Errors
    /// When the disk refuses. The entry is not in the log then, and may be appended again; one with an event will be
    /// appended from the outbox.
    pub async fn append(&self, entry: Encoded, event: Option<EventId>) -> Result<Receipt, LogError> {
        self.check(&entry)?;
        let Some(event) = event else { return self.append_flight(entry, None).await };
        loop {
            match self.shared.flights.claim(event) {
                Claim::Yours(flight) => return self.append_flight(entry, Some(flight)).await,
                Claim::Landed => return Ok(Receipt(())),
                // From the outbox. Rare, and short.
                Claim::UnderWay => {
                    let _ = self.sync().await?;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Appends an entry from an outbox, unless its caller does.
    pub(super) async fn adopt(&self, entry: Encoded, event: EventId) -> Result<(), LogError> {
        self.check(&entry)?;
        match self.shared.flights.adopt(event) {
            Some(flight) => self.append_flight(entry, Some(flight)).await.map(drop),
            None => Ok(()),
        }
    }

    async fn append_flight(&self, entry: Encoded, flight: Option<Flight<'_>>) -> Result<Receipt, LogError> {
        let (reply, answer) = oneshot::channel();
        let room = self.room(&entry).await?;
        let event = flight.map(Flight::hand_over);
        let job = Job::Append { entry, event, reply: Some(reply), since: Monotonic::now() };
        if self.shared.queue.put(job, room, true).is_err() {
            event.into_iter().for_each(|event| self.shared.flights.failed(event));
            return Err(self.shared.closed());
        }
        answer.await.unwrap_or_else(|_| Err(self.shared.closed())).map(Receipt)
    }

    /// Appends an entry that nobody waits for: safe within a second. Waits only for room; but while the disk does not keep
    /// up, until the entry is safe. Once taken it is never dropped.
    ///
    /// # Errors
    /// When the log is failing, or has not kept up for too long: the entry was not taken.
    pub async fn append_soon(&self, entry: Encoded) -> Result<(), LogError> {
        self.check(&entry)?;
        let patient = |log: &Self| log.shared.lag() <= log.settings.patience;
        if patient(self) {
            let room = self.room(&entry).await?;
            // Room may have been long in coming.
            if patient(self) {
                let job = Job::Append { entry, event: None, reply: None, since: Monotonic::now() };
                return self.shared.queue.put(job, room, false).map_err(|_| self.shared.closed());
            }
        }
        self.shared.counts.waited();
        let _ = self.append_flight(entry, None).await?;
        Ok(())
    }

    async fn room(&self, entry: &Encoded) -> Result<Room, LogError> {
        let places = 1 + entry.content().len() / PLACE_BYTES;
        self.shared.queue.room_for(places).await.map_err(|_| self.shared.closed())
    }

    fn check(&self, entry: &Encoded) -> Result<(), LogError> {
        let size = entry.content().len();
        if size > MAX_CONTENT {
            return Err(LogError::TooLarge { size, limit: MAX_CONTENT });
        }
        self.ready().inspect_err(|_| self.shared.counts.refused())
    }

    /// Returns once everything that was appended before is safe.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn sync(&self) -> Result<Receipt, LogError> {
        let (reply, answer) = oneshot::channel();
        let room = self.shared.queue.room().await.map_err(|_| self.shared.closed())?;
        self.shared.queue.put(Job::Sync(reply), room, true).map_err(|_| self.shared.closed())?;
        answer.await.unwrap_or_else(|_| Err(self.shared.closed())).map(Receipt)
    }

    /// Entries of swaps that the store must still have in its outbox: it drops one only after an anchor that covers it.
    pub(super) fn unanchored(&self) -> &[Digest] {
        &self.unanchored
    }

    pub(super) fn folder(&self) -> &Path {
        &self.shared.folder
    }

    pub(super) fn flights(&self) -> &Flights {
        &self.shared.flights
    }

    /// Whether entries can be expected to get in now; if not, why. Ask before a swap whose entry must follow.
    ///
    /// # Errors
    /// Why the last write failed, until one succeeds; that the disk has not kept up for too long; that the log is closed.
    pub fn ready(&self) -> Result<(), LogError> {
        if let Some(error) = self.shared.failing() {
            return Err(error);
        }
        if self.shared.queue.is_closed() {
            return Err(self.shared.closed());
        }
        let lag = self.shared.lag();
        if lag > self.settings.limit {
            return Err(LogError::Unavailable {
                place: self.shared.folder.display().to_string(),
                doing: "writing the audit log",
                why: format!("entries have been waiting for the disk for {} s", lag.as_secs()),
            });
        }
        Ok(())
    }

    /// What is counted.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Looks how much is free on its volume, for [`Counts::volume_free`], and forgets what was lost before once that was told
    /// for long enough. It blocks, and as long as the volume does.
    pub fn look_at_volume(&self) {
        self.look_at_volume_after(self.opened.elapsed());
    }

    /// The same, so long after the log was opened.
    pub fn look_at_volume_after(&self, opened: Duration) {
        if opened >= TOLD {
            // Else it is told once more by the next start.
            if self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).told().is_ok() {
                self.shared.counts.lost_told();
            }
        }
        let volume = rustix::fs::statvfs(&*self.shared.folder).ok();
        // What the system keeps for itself is not ours to fill.
        self.shared.counts.free(volume.map(|volume| volume.f_bavail.saturating_mul(volume.f_frsize)));
    }

    /// Entries in memory that are not safe yet, about: large ones count as several.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queue.taken()
    }

    /// Has closed segments read from this archive where they are not here any more.
    pub(super) fn set_archive(&self, archive: Archive) {
        let archive = Arc::new(archive);
        self.shared.index.set_archive(Arc::clone(&archive));
        // Set once, where a log is opened.
        let _ = self.archive.set(archive);
    }

    pub(super) fn archive(&self) -> Option<Arc<Archive>> {
        self.archive.get().cloned()
    }

    pub(super) fn index(&self) -> &Index {
        &self.shared.index
    }

    /// Writes what is queued and closes the files. Everything asked later is answered with [`LogError::Closed`].
    pub fn close(&self) {
        self.shared.queue.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A writer thread that panicked has nothing left to say.
        let _ = thread.map(JoinHandle::join);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}
