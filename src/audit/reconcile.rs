//! Keeping store and log in step: what was committed gets its entry, whatever happened in between; what has its entry
//! is settled; the head of the log is anchored.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::entry::digest_of;
use super::{Anchor, Archive, ArchiveSettings, Encoded, Head, Log, LogError, Settings, anchors};
use crate::store::{EventId, MetaSwapped, Store, StoreError, Unsettled, Version, WriterId};
use crate::time::Instant;

/// Events read or settled at a time.
const PAGE: usize = 1_000;

/// What [`open`] found and did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    /// Entries that were committed in the store and missing in the log, appended from the outbox.
    pub appended: usize,
    /// Events whose entry was in the log already.
    pub settled: usize,
    /// Other logs that wrote beside this store. Beside a store that only this process writes to, they are lost.
    pub others: Vec<WriterId>,
}

/// A log that is in step with its store.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Arc<Log>,
    /// What keeps it in step; to be asked every second.
    pub reconciler: Reconciler,
    /// What was done at the start.
    pub reconciled: Reconciled,
}

/// Opens the log in this folder and brings it in step with the store.
///
/// # Errors
/// When the log cannot be opened or was altered (see [`Log::open`]), or the store cannot be asked.
pub async fn open(folder: &Path, settings: Settings, store: Arc<dyn Store>, now: Instant) -> Result<Opened, LogError> {
    open_with(folder, settings, store, now, None).await
}

/// The same for a log whose closed segments are kept in this archive.
///
/// # Errors
/// As [`open`]; and faulty settings of the archive. An archive that cannot be reached is no error.
pub async fn open_with(
    folder: &Path,
    settings: Settings,
    store: Arc<dyn Store>,
    now: Instant,
    archive: Option<&ArchiveSettings>,
) -> Result<Opened, LogError> {
    let anchors = anchors(&*store).await?;
    let log = Arc::new(Log::open(folder, settings, &anchors)?);
    if let Some(archive) = archive {
        log.set_archive(Archive::open(archive, log.writer())?);
    }
    knows_its_log(&*store, &log).await?;
    let (mut reconciled, in_log) = reconcile(&*store, &log).await?;
    reconciled.others = anchors.iter().map(|anchor| anchor.writer).filter(|writer| *writer != log.writer()).collect();
    let reconciler = Reconciler::new(Arc::clone(&store), Arc::clone(&log));
    // The anchor first, here as ever: see [`Reconciler::tick`].
    reconciler.tick(now).await?;
    for page in in_log.chunks(PAGE) {
        store.settle(log.writer(), page.to_vec()).await?;
    }
    Ok(Opened { log, reconciler, reconciled })
}

/// Refuses a store that lacks writes which its log has: an older copy put back, or one that lost its newest commit. It
/// would have forgotten opt-outs that were acknowledged.
async fn knows_its_log(store: &dyn Store, log: &Arc<Log>) -> Result<(), LogError> {
    if log.unanchored().is_empty() {
        return Ok(());
    }
    let mut waiting = HashSet::new();
    let mut after = None;
    loop {
        let page = store.unsettled(log.writer(), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        waiting.extend(page.iter().map(|unsettled| digest_of(&unsettled.entry)));
    }
    match log.unanchored().iter().filter(|digest| !waiting.contains(*digest)).count() {
        0 => Ok(()),
        writes => Err(LogError::Behind { path: log.folder().into(), writes }),
    }
}

/// Appends what the outbox holds and the log does not, and returns the events whose entries are in the log now. Before the first swap of this process: it must not meet entries
/// that are on their way.
async fn reconcile(store: &dyn Store, log: &Arc<Log>) -> Result<(Reconciled, Vec<EventId>), LogError> {
    let mut done = Reconciled::default();
    let mut in_log = Vec::new();
    let mut after = None;
    let (mut known, mut known_since) = (HashSet::new(), u64::MAX);
    loop {
        let page = store.unsettled(log.writer(), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let entries = page.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        // Entries stand in the log by the time of their ids, so only its end is read.
        let oldest = entries.iter().map(|(_, entry)| entry.id.millis()).min().unwrap_or(u64::MAX);
        if oldest < known_since {
            (known, known_since) = (log.digests_since(oldest).await?, oldest);
        }
        done.settled += entries.len();
        in_log.extend(entries.iter().map(|(event, _)| *event));
        let missing: Vec<_> = entries.into_iter().filter(|(_, entry)| !known.contains(&entry.digest())).collect();
        done.appended += missing.len();
        done.settled -= missing.len();
        adopt_all(log, missing).await?;
    }
    Ok((done, in_log))
}

/// Appends these together, so that they share an fsync.
async fn adopt_all(log: &Arc<Log>, entries: Vec<(EventId, Encoded)>) -> Result<(), LogError> {
    let mut appends = JoinSet::new();
    for (event, entry) in entries {
        let log = Arc::clone(log);
        appends.spawn(async move { log.adopt(entry, event).await });
    }
    while let Some(done) = appends.join_next().await {
        done.unwrap_or_else(|error| {
            Err(StoreError::Unavailable { place: "outbox".into(), doing: "appending", why: error.to_string() })
        })?;
    }
    Ok(())
}

fn decode(unsettled: Unsettled) -> Result<(EventId, Encoded), StoreError> {
    let id = unsettled.id;
    let entry = Encoded::from_content(unsettled.entry);
    entry.map(|entry| (id, entry)).ok_or_else(|| StoreError::Corrupt {
        path: "outbox".into(),
        why: format!("event {} of shard {:?} carries no audit entry", id.seq, id.shard),
    })
}

/// Keeps store and log in step while both are in use.
pub struct Reconciler {
    store: Arc<dyn Store>,
    log: Arc<Log>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The anchor's version in the store, once known.
    version: Option<Version>,
    anchored: Option<Head>,
    /// Events without an entry on its way, as of the last tick. One that is still so at the next has been left behind.
    suspects: HashSet<EventId>,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Reconciler {
    fn new(store: Arc<dyn Store>, log: Arc<Log>) -> Self {
        Self { store, log, state: Mutex::default() }
    }

    /// Once a second: anchors the head of the log, settles the events whose entries are safe, and appends the entries
    /// of those whose callers left before they did (a client that hung up, a disk that was full).
    ///
    /// # Errors
    /// When store or log cannot be asked or written; the next call takes up where this one stopped.
    pub async fn tick(&self, now: Instant) -> Result<(), LogError> {
        let mut state = self.state.lock().await;
        // In this order: an event is settled only after an anchor that covers its entry, so a cut log always lacks
        // something that the store still knows.
        let landed = self.log.flights().to_settle();
        self.anchor(&mut state, now).await?;
        for page in landed.chunks(PAGE) {
            self.store.settle(self.log.writer(), page.to_vec()).await?;
            self.log.flights().settled(page);
        }
        self.adopt(&mut state).await
    }

    async fn anchor(&self, state: &mut State, now: Instant) -> Result<(), StoreError> {
        let (head, writer) = (self.log.head(), self.log.writer());
        if state.anchored == Some(head) {
            self.log.counts().anchored(now);
            return Ok(());
        }
        let name = Anchor::name(writer);
        let bytes = Anchor { writer, head, at: now }.encode();
        loop {
            let expected = match state.version {
                Some(version) => version,
                None => self.store.meta_get(&name).await?.map_or(Version::ABSENT, |value| value.version),
            };
            match self.store.meta_swap(&name, expected, bytes.clone()).await? {
                MetaSwapped::Won(version) => {
                    state.version = Some(version);
                    state.anchored = Some(head);
                    self.log.counts().anchored(now);
                    return Ok(());
                }
                // Our own write of before, whose answer was lost: nobody else anchors this log.
                MetaSwapped::Lost(value) => state.version = value.map(|value| value.version),
            }
        }
    }

    async fn adopt(&self, state: &mut State) -> Result<(), LogError> {
        let unsettled = self.store.unsettled(self.log.writer(), None, PAGE).await?;
        let left: Vec<_> = unsettled.into_iter().filter(|one| !self.log.flights().knows(one.id)).collect();
        let before = std::mem::replace(&mut state.suspects, left.iter().map(|one| one.id).collect());
        let behind =
            left.into_iter().filter(|one| before.contains(&one.id)).map(decode).collect::<Result<Vec<_>, _>>()?;
        if !behind.is_empty() {
            tracing::warn!(entries = behind.len(), "appending audit entries that their callers left behind");
        }
        adopt_all(&self.log, behind).await
    }
}
