//! The log as its users see it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::Ids;
use super::flights::{Claim, Flight, Flights};
use super::frame::{HEADER_LEN, MAX_CONTENT};
use super::index::{self, Index};
use super::writer::{Job, Open, Writer};
use super::{Anchor, DecisionId, Encoded, Found, Head, LogError, segment};
use crate::store::queue::Queue;
use crate::store::{Digest, EventId, Held, WriterId, make_folder};
use crate::time::Instant;

/// How a log uses its volume.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A segment that has grown to this many bytes is closed and a new one begun.
    pub segment_bytes: u64,
    /// How long entries that nobody waits for may stay in memory.
    pub linger: Duration,
    /// How many entries may wait in memory before callers wait for room.
    pub room: usize,
    /// Which kinds of entries come from a swap, so that the store has an event for each. A log that is opened beside
    /// a store which lacks one is refused ([`super::open`]).
    pub swapped: fn(u8) -> bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, linger: Duration::from_millis(250), room: 8_192, swapped: |_| false }
    }
}

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

/// The file of a segment. Another one than [`File`] is for tests that break the disk.
pub trait SegmentFile: Send {
    /// Writes these bytes at this place, the end of the file.
    ///
    /// # Errors
    /// What the system says. Some of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything written is on disk.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Drops everything from this place on.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&mut self, offset: u64) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, offset: u64) -> io::Result<()> {
        self.set_len(offset)
    }
}

/// Opens a segment's file; the flag says whether to make it, empty.
pub type SegmentOpener = dyn Fn(&Path, bool) -> io::Result<Box<dyn SegmentFile>> + Send;

fn open_segment(path: &Path, make: bool) -> io::Result<Box<dyn SegmentFile>> {
    let file = OpenOptions::new().read(true).write(true).create(make).truncate(make).open(path)?;
    Ok(Box::new(file))
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
}

impl Shared {
    fn failing(&self) -> Option<LogError> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn closed(&self) -> LogError {
        LogError::Closed { place: self.folder.display().to_string() }
    }
}

/// The audit log of one process. See the module above.
pub struct Log {
    shared: Arc<Shared>,
    ids: Ids,
    recovered: Option<Recovered>,
    /// Digests of the swapped entries that stood behind the anchor when the log was opened.
    unanchored: Vec<Digest>,
    writer: Mutex<Option<JoinHandle<()>>>,
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
        let index = Index::default();
        let End { open, head, recovered, unanchored } = find_end(folder, anchors, &index, &opener)?;
        let swapped = unanchored.into_iter().filter(|(kind, _)| (settings.swapped)(*kind));
        let unanchored = swapped.map(|(_, digest)| digest).collect();
        let id = open.header.writer;
        let shared = Arc::new(Shared {
            folder: folder.into(),
            queue: Queue::new(settings.room),
            head: Mutex::new(head),
            index,
            flights: Flights::default(),
            failing: Mutex::new(None),
        });
        let writer = Writer { shared: Arc::clone(&shared), settings, opener, open, head, stale: false };
        let thread = std::thread::Builder::new()
            .name("audit-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| LogError::from_io(folder, "starting the writer", &error))?;
        let ids = Ids::new(id, u64::from_le_bytes(random(folder)?));
        Ok(Self { shared, ids, recovered, unanchored, writer: Mutex::new(Some(thread)), _held: held })
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
        let room = self.shared.queue.room().await.map_err(|_| self.shared.closed())?;
        let event = flight.map(Flight::hand_over);
        let job = Job::Append { entry, event, reply: Some(reply) };
        if self.shared.queue.put(job, room, true).is_err() {
            event.into_iter().for_each(|event| self.shared.flights.failed(event));
            return Err(self.shared.closed());
        }
        answer.await.unwrap_or_else(|_| Err(self.shared.closed())).map(Receipt)
    }

    /// Appends an entry that nobody waits for: safe within a second. Waits only for room.
    ///
    /// # Errors
    /// When the log is failing: the entry was not taken.
    pub async fn append_soon(&self, entry: Encoded) -> Result<(), LogError> {
        self.check(&entry)?;
        let room = self.shared.queue.room().await.map_err(|_| self.shared.closed())?;
        let job = Job::Append { entry, event: None, reply: None };
        self.shared.queue.put(job, room, false).map_err(|_| self.shared.closed())
    }

    fn check(&self, entry: &Encoded) -> Result<(), LogError> {
        let size = entry.content().len();
        if size > MAX_CONTENT {
            return Err(LogError::TooLarge { size, limit: MAX_CONTENT });
        }
        self.shared.failing().map_or(Ok(()), Err)
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

    /// The entry with this id, if it stands in this log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn find(&self, id: DecisionId) -> Result<Option<Found>, LogError> {
        if id.writer() != self.writer() {
            return Ok(None);
        }
        // A reader may come for a decision that was answered a moment ago.
        let _ = self.sync().await?;
        self.reading(move |index| index.find(id)).await
    }

    /// Up to `limit` entries about the contact of this tag, of the kinds wanted, that stand before the place `before`;
    /// newest first. Reads the whole log in the worst case.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn about(
        &self,
        tag: [u8; 32],
        before: u64,
        limit: usize,
        wanted: fn(u8) -> bool,
    ) -> Result<Vec<Found>, LogError> {
        // A reader may come for a decision that was answered a moment ago.
        let _ = self.sync().await?;
        self.reading(move |index| index.about(&tag, before, limit, &wanted)).await
    }

    /// The digests of all entries whose id is not older than this, and of some that are.
    pub(super) async fn digests_since(&self, millis: u64) -> Result<std::collections::HashSet<Digest>, LogError> {
        self.reading(move |index| index.digests_since(millis)).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Index) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read(&shared.index)).await;
        read.unwrap_or_else(|_| Err(self.shared.closed()))
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
    /// Why the last write failed, until one succeeds.
    pub fn ready(&self) -> Result<(), LogError> {
        self.shared.failing().map_or(Ok(()), Err)
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

fn random<const N: usize>(folder: &Path) -> Result<[u8; N], LogError> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).map_err(|_| {
        let error = io::Error::other("the system gave no random bytes");
        LogError::from_io(folder, "beginning the audit log", &error)
    })?;
    Ok(out)
}

/// Where a log goes on.
struct End {
    open: Open,
    head: Head,
    recovered: Option<Recovered>,
    /// See [`segment::Tail::unanchored`].
    unanchored: Vec<(u8, Digest)>,
}

/// Finds where the log goes on, or begins it.
fn find_end(folder: &Path, anchors: &[Anchor], index: &Index, opener: &SegmentOpener) -> Result<End, LogError> {
    let mut listing = segment::list(folder)?;
    if let Some(stranger) = listing.strangers.first() {
        return Err(LogError::Foreign { path: stranger.clone(), why: "no segment of an audit log".into() });
    }
    let mut recovered = drop_unborn(folder, &mut listing.numbers)?;
    for (number, expected) in listing.numbers.iter().zip(1..) {
        if *number != expected {
            let path = segment::path(folder, expected);
            return Err(LogError::Missing { path, why: "a segment of the audit log; restore it from a backup".into() });
        }
    }
    let Some(newest) = listing.numbers.last().copied() else {
        let writer = WriterId(u32::from_le_bytes(random(folder)?));
        let open = Open::first(folder, writer, index, opener)?;
        return Ok(End { open, head: Head::default(), recovered, unanchored: Vec::new() });
    };
    for number in 1..newest {
        let after = segment::read_header(&segment::path(folder, number + 1))?;
        index.push_closed(segment::path(folder, number), after.ids_before);
    }
    let path = segment::path(folder, newest);
    let io = |error: io::Error| LogError::from_io(&path, "opening the audit log", &error);
    let tail = segment::read_tail(&path, anchors)?;
    let mut file = opener(&path, false).map_err(io)?;
    if let Some(torn) = tail.torn {
        file.cut(tail.offset).and_then(|()| file.sync()).map_err(io)?;
        tracing::warn!(segment = torn.segment, offset = torn.offset, bytes = torn.bytes, "cut off an unfinished write");
        recovered = Some(torn);
    }
    let span = index::span(&tail.blocks);
    index.push_open(path, tail.blocks);
    let open = Open { file, header: tail.header, offset: tail.offset, link: tail.link, span };
    Ok(End { open, head: tail.head, recovered, unanchored: tail.unanchored })
}

/// Removes the newest segment if a crash came before its header was whole: no entry can have been in it.
fn drop_unborn(folder: &Path, numbers: &mut Vec<u64>) -> Result<Option<Recovered>, LogError> {
    let Some(newest) = numbers.last() else { return Ok(None) };
    let path = segment::path(folder, *newest);
    let io = |error: io::Error| LogError::from_io(&path, "opening the audit log", &error);
    let bytes = path.metadata().map_err(io)?.len();
    if bytes > HEADER_LEN as u64 || segment::read_header(&path).is_ok() {
        return Ok(None);
    }
    std::fs::remove_file(&path).map_err(io)?;
    numbers.pop();
    let segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::warn!(segment, "removed a segment that a crash left without its header");
    Ok(Some(Recovered { segment, offset: 0, bytes }))
}
