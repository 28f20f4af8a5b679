//! The one thread that writes the log: it takes all that wait, writes them in one go, syncs once, and answers them all.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Instant as Monotonic;

use tokio::sync::oneshot;

use super::disk::{SegmentFile, SegmentOpener};
use super::frame::{self, HEADER_LEN, Header};
use super::index::{self, Index, Written};
use super::log::Shared;
use super::{Encoded, Head, LogError, Settings, segment};
use crate::store::queue::{Queued, Serving};
use crate::store::{Digest, EventId, WriterId, sync_folder};
use crate::time::Instant;

/// Entries that share a write, at most.
const MOST: usize = 4_096;

type Reply = oneshot::Sender<Result<(), LogError>>;

/// What callers queue.
pub(super) enum Job {
    Append { entry: Encoded, event: Option<EventId>, reply: Option<Reply>, since: Monotonic },
    Sync(Reply),
}

/// The segment that is written to.
pub(super) struct Open {
    pub(super) file: Box<dyn SegmentFile>,
    pub(super) header: Header,
    /// Where the next frame goes: everything before is on disk.
    pub(super) offset: u64,
    /// The hash that the next frame follows on.
    pub(super) link: Digest,
    /// The earliest and latest id in it, in milliseconds.
    pub(super) span: (u64, u64),
}

impl Open {
    /// Begins a log.
    pub(super) fn first(
        folder: &Path,
        writer: WriterId,
        index: &Index,
        opener: &SegmentOpener,
    ) -> Result<Self, LogError> {
        let header = Header {
            writer,
            number: 1,
            first_seq: 1,
            before: [0; 32],
            made_at: now().millis(),
            ids_before: (u64::MAX, 0),
        };
        Self::make(folder, header, index, opener)
    }

    fn make(folder: &Path, header: Header, index: &Index, opener: &SegmentOpener) -> Result<Self, LogError> {
        let path = segment::path(folder, header.number);
        let (bytes, link) = header.encode();
        let made = opener(&path, true).and_then(|mut file| {
            file.write_at(0, &bytes)?;
            file.sync()?;
            sync_folder(folder)?;
            Ok(file)
        });
        let file = made.map_err(|error| LogError::from_io(&path, "beginning a segment", &error))?;
        index.push_open(header.number, header.first_seq, Vec::new());
        Ok(Self { file, header, offset: HEADER_LEN as u64, link, span: index::span(&[]) })
    }
}

/// The instant of a segment's making, or of a loss: for people who look at it; nothing is decided by it.
pub(super) fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Instant::from_millis(since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0))
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) settings: Settings,
    pub(super) opener: Box<SegmentOpener>,
    pub(super) open: Open,
    pub(super) head: Head,
    /// Whether bytes of a failed write may stand after `open.offset`.
    pub(super) stale: bool,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _serving = Serving(&shared.queue);
        // Entries that nobody waits for are kept here while the disk refuses them; their callers were told that they
        // will be written.
        let mut pending: Vec<Queued<Job>> = Vec::new();
        loop {
            let taken = self.shared.queue.take(MOST, self.settings.linger);
            pending.extend(taken.jobs);
            let failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).is_some();
            if !pending.is_empty() || failing || self.is_old() {
                self.write_all(&mut pending);
            }
            if taken.closed {
                break;
            }
        }
        // Those who were answered are owed their entries: a disk that is full now may not be so in a moment.
        let tries = self.settings.limit.as_millis() / self.settings.linger.as_millis().max(1);
        for _ in 0..tries {
            if pending.is_empty() {
                break;
            }
            std::thread::park_timeout(self.settings.linger);
            self.write_all(&mut pending);
        }
        if !pending.is_empty() {
            let now = now();
            shared.counts.lost(pending.len() as u64, now);
            tracing::error!(entries = pending.len(), "closed with audit entries that the disk refused: they are lost");
            if let Err(error) = shared.lost.lock().unwrap_or_else(PoisonError::into_inner).add(pending.len(), now) {
                tracing::error!(%error, "the next start cannot count them: nor did the disk take a note of that");
            }
        }
    }

    /// Whether the open segment has been open for long enough.
    fn is_old(&self) -> bool {
        let age = u128::try_from(now().millis().saturating_sub(self.open.header.made_at)).unwrap_or(0);
        self.open.offset > HEADER_LEN as u64 && age >= self.settings.segment_age.as_millis()
    }

    fn write_all(&mut self, pending: &mut Vec<Queued<Job>>) {
        let oldest = pending.iter().filter_map(|queued| since(&queued.job)).min();
        *self.shared.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
        let written = self.try_write(pending);
        *self.shared.in_hand.lock().unwrap_or_else(PoisonError::into_inner) = None;
        match written {
            Ok(head) => {
                *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
                if self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
                    tracing::info!("the audit log can be written again");
                }
                self.shared.flights.landed(pending.iter().filter_map(|queued| event(&queued.job)));
                for queued in pending.drain(..) {
                    // Whoever asked may have gone away; the answer is then for nobody.
                    let _ = reply(queued.job).map(|reply| reply.send(Ok(())));
                }
            }
            Err(error) => {
                let before = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).replace(error.clone());
                if before.is_none() {
                    tracing::error!(%error, "the audit log cannot be written");
                }
                // Who waits is told and asks again; the others stay.
                let (kept, told): (Vec<_>, Vec<_>) =
                    pending.drain(..).partition(|queued| matches!(queued.job, Job::Append { reply: None, .. }));
                *pending = kept;
                for queued in told {
                    event(&queued.job).into_iter().for_each(|event| self.shared.flights.failed(event));
                    let _ = reply(queued.job).map(|reply| reply.send(Err(error.clone())));
                }
            }
        }
    }

    /// Writes and syncs the entries among these jobs: all are safe when this returns, or none is in the log.
    fn try_write(&mut self, jobs: &[Queued<Job>]) -> Result<Head, LogError> {
        let folder = self.shared.folder.clone();
        let io = |number| {
            let path = segment::path(&folder, number);
            move |error: io::Error| LogError::from_io(&path, "writing the audit log", &error)
        };
        if self.stale {
            self.open.file.cut(self.open.offset).map_err(io(self.open.header.number))?;
            self.stale = false;
        }
        if self.open.offset >= self.settings.segment_bytes || self.is_old() {
            self.rotate()?;
        }
        let mut bytes = Vec::new();
        let mut placed = Vec::new();
        let (mut link, mut head) = (self.open.link, self.head);
        for queued in jobs {
            let Job::Append { entry, .. } = &queued.job else { continue };
            let start = bytes.len();
            head.seq += 1;
            link = frame::push(&mut bytes, head.seq, self.head.seq, &link, &entry.content, &entry.digest);
            head.hash = link;
            let length = (bytes.len() - start) as u64;
            let offset = self.open.offset + start as u64;
            placed.push(Written { offset, length, seq: head.seq, millis: entry.id.millis() });
        }
        let failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if placed.is_empty() && !failing {
            return Ok(head);
        }
        // Also with nothing to write, after a failure: to find out whether the disk is well again.
        let began = std::time::Instant::now();
        let written = self.open.file.write_at(self.open.offset, &bytes).and_then(|()| self.open.file.sync());
        self.shared.counts.syncs().add(began.elapsed());
        if let Err(error) = written {
            // After a failed sync nobody knows what is on disk: those entries are written anew, or not at all.
            self.stale = self.open.file.cut(self.open.offset).is_err();
            return Err(io(self.open.header.number)(error));
        }
        self.open.offset += bytes.len() as u64;
        self.open.link = link;
        self.head = head;
        for one in placed {
            self.open.span = (self.open.span.0.min(one.millis), self.open.span.1.max(one.millis));
            self.shared.index.written(one);
        }
        Ok(head)
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        let header = Header {
            writer: self.open.header.writer,
            number: self.open.header.number + 1,
            first_seq: self.head.seq + 1,
            before: self.head.hash,
            made_at: now().millis(),
            ids_before: self.open.span,
        };
        self.open = Open::make(&self.shared.folder, header, &self.shared.index, &self.opener)?;
        Ok(())
    }
}

fn since(job: &Job) -> Option<Monotonic> {
    match job {
        Job::Append { since, .. } => Some(*since),
        Job::Sync(_) => None,
    }
}

fn event(job: &Job) -> Option<EventId> {
    match job {
        Job::Append { event, .. } => *event,
        Job::Sync(_) => None,
    }
}

fn reply(job: Job) -> Option<Reply> {
    match job {
        Job::Append { reply, .. } => reply,
        Job::Sync(reply) => Some(reply),
    }
}
