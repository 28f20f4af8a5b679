//! The one thread that writes: it takes all that wait, commits once, and answers them all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, Table};
use tokio::sync::oneshot;

use super::tables::{self, Bytes, EVENTS, META, OUTBOX, RECORDS, SHARDS, Snapshot};
use super::{Shared, guarded};
use crate::store::queue::{Queued, Serving};
use crate::store::{EventId, Key, MetaSwapped, Shard, StoreError, Swapped, Version, Versioned, Write, WriterId, trim};
use crate::time::Instant;

/// Writes that share a commit, at most: more only makes the first of them wait longer.
const MOST: usize = 1_024;
/// How long a store that failed waits before it tries to open its file again.
const PATIENCE: Duration = Duration::from_millis(500);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What callers queue.
pub(super) enum Job {
    Swap(Box<Write>, Reply<Swapped>),
    Meta {
        name: String,
        expected: Version,
        bytes: Vec<u8>,
        reply: Reply<MetaSwapped>,
    },
    Settle(WriterId, Vec<EventId>, Reply<()>),
    Reseal {
        key: Key,
        found: Box<Versioned>,
        bytes: Vec<u8>,
        reply: Reply<bool>,
    },
    Trim {
        shard: Shard,
        before: Instant,
        keep: u64,
        reply: Reply<u64>,
    },
    /// Writes the file anew; see [`super::rewrite`].
    Rewrite(Reply<bool>),
}

impl Job {
    fn refuse(self, error: StoreError) {
        // Whoever asked may have gone away; the answer is then for nobody.
        match self {
            Self::Swap(_, reply) => drop(reply.send(Err(error))),
            Self::Meta { reply, .. } => drop(reply.send(Err(error))),
            Self::Settle(.., reply) => drop(reply.send(Err(error))),
            Self::Reseal { reply, .. } => drop(reply.send(Err(error))),
            Self::Trim { reply, .. } => drop(reply.send(Err(error))),
            Self::Rewrite(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// What a job came to, to be told once it is durable.
enum Outcome {
    Swap(Swapped),
    Meta(MetaSwapped),
    Settled,
    Resealed(bool),
    Trimmed(u64),
    /// To be done once the others of its commit are.
    Rewrite,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// `None` after a failure, until the file could be opened again.
    pub(super) database: Option<Database>,
    pub(super) newest: HashMap<Shard, u64>,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _serving = Serving(&shared.queue);
        loop {
            let taken = self.shared.queue.take(MOST, PATIENCE);
            if self.database.is_none() {
                self.reopen();
            }
            if !taken.jobs.is_empty() {
                self.serve(taken.jobs);
            }
            if taken.closed {
                break;
            }
        }
        self.shared.close();
    }

    fn serve(&mut self, jobs: Vec<Queued<Job>>) {
        // A damaged file can make redb panic; one answer then goes to all, and the thread lives on.
        let done = match &self.database {
            None => Err(self.shared.trouble_now()),
            Some(database) => guarded(&self.shared.path, "writing", || {
                let began = std::time::Instant::now();
                let outcomes = commit(database, &mut self.newest, &jobs)?;
                self.shared.commits.add(began.elapsed());
                Ok((outcomes, snapshot(database)?))
            }),
        };
        match done {
            Ok((outcomes, snapshot)) => {
                // Before the answers: who was told of a write must read it.
                self.shared.publish(snapshot);
                let mut asked = Vec::new();
                for (queued, outcome) in jobs.into_iter().zip(outcomes) {
                    match queued.job {
                        Job::Rewrite(reply) => asked.push(reply),
                        job => answer(job, outcome),
                    }
                }
                self.rewrite_for(asked);
            }
            Err(error) => {
                jobs.into_iter().for_each(|queued| queued.job.refuse(error.clone()));
                if self.database.is_some() {
                    tracing::error!(%error, "the store cannot write");
                    self.fail(error);
                }
            }
        }
    }

    /// Writes the file anew for those who asked. Until it is done the old one is read and nothing is written.
    fn rewrite_for(&mut self, asked: Vec<Reply<bool>>) {
        if asked.is_empty() {
            return;
        }
        let path = &self.shared.path;
        let rewritten = match &self.database {
            None => Err(self.shared.trouble_now()),
            Some(database) => super::rewrite::rewrite(&*self.shared.opener, path, database),
        };
        let done = rewritten.and_then(|database| {
            let snapshot = guarded(path, "reading", || snapshot(&database))?;
            Ok((database, snapshot))
        });
        let told = match done {
            Ok((database, snapshot)) => {
                self.database = Some(database);
                self.shared.publish(snapshot);
                Ok(true)
            }
            Err(error) => {
                tracing::error!(%error, "the store could not be written anew");
                // While the new file does not bear the name, the one that is open is the store.
                if std::fs::remove_file(super::rewrite::beside(path)).is_err() {
                    self.fail(error.clone());
                }
                Err(error)
            }
        };
        // Whoever asked may have gone away.
        asked.into_iter().for_each(|reply| drop(reply.send(told.clone())));
    }

    /// After an I/O error redb refuses everything until the file is opened anew, and so do we.
    fn fail(&mut self, error: StoreError) {
        self.shared.fail(error);
        self.database = None;
        self.newest.clear();
        self.reopen();
    }

    fn reopen(&mut self) {
        let opened = self.shared.open_database().and_then(|database| {
            let snapshot = guarded(&self.shared.path, "reading", || snapshot(&database))?;
            Ok((database, snapshot))
        });
        match opened {
            Ok((database, snapshot)) => {
                tracing::info!(path = %self.shared.path.display(), "the store was opened again");
                self.database = Some(database);
                self.shared.publish(snapshot);
            }
            Err(error) => {
                tracing::debug!(%error, "the store cannot be opened again yet");
                self.shared.fail(error);
            }
        }
    }
}

fn answer(job: Job, outcome: Outcome) {
    match (job, outcome) {
        (Job::Swap(_, reply), Outcome::Swap(swapped)) => drop(reply.send(Ok(swapped))),
        (Job::Meta { reply, .. }, Outcome::Meta(swapped)) => drop(reply.send(Ok(swapped))),
        (Job::Settle(.., reply), Outcome::Settled) => drop(reply.send(Ok(()))),
        (Job::Reseal { reply, .. }, Outcome::Resealed(done)) => drop(reply.send(Ok(done))),
        (Job::Trim { reply, .. }, Outcome::Trimmed(gone)) => drop(reply.send(Ok(gone))),
        // Outcomes are made from the jobs, in order. Dropping the reply tells the caller that nothing is known.
        _ => {}
    }
}

pub(super) fn snapshot(database: &Database) -> Result<Snapshot, redb::Error> {
    Ok(Snapshot::of(&database.begin_read()?)?)
}

type RecordTable<'t> = Table<'t, &'static [u8; Key::LEN], Bytes>;

/// All jobs in one transaction: on disk when this returns, or not at all.
fn commit(
    database: &Database,
    newest: &mut HashMap<Shard, u64>,
    jobs: &[Queued<Job>],
) -> Result<Vec<Outcome>, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_quick_repair(true);
    let mut changed = false;
    let mut touched: HashMap<Shard, u64> = HashMap::new();
    let mut outcomes = Vec::with_capacity(jobs.len());
    {
        let mut records = transaction.open_table(RECORDS)?;
        let mut events = transaction.open_table(EVENTS)?;
        let mut outbox = transaction.open_table(OUTBOX)?;
        let mut shards = transaction.open_table(SHARDS)?;
        let mut meta = transaction.open_table(META)?;
        for queued in jobs {
            outcomes.push(match &queued.job {
                Job::Swap(write, _) => match compare(&mut records, write)? {
                    Err(lost) => Outcome::Swap(lost),
                    Ok(version) => {
                        let shard = write.key.shard();
                        let before = match touched.get(&shard).or(newest.get(&shard)) {
                            Some(seq) => *seq,
                            None => shards.get(&shard.to_bytes())?.map_or(0, |seq| seq.value()),
                        };
                        let id = EventId { shard, seq: before + 1 };
                        touched.insert(shard, id.seq);
                        events.insert(&tables::event_key(id), tables::event_value(write, version).as_slice())?;
                        let entry = write.event.entry.as_slice();
                        outbox.insert(&tables::outbox_key(write.event.writer, id), entry)?;
                        changed = true;
                        Outcome::Swap(Swapped::Won { version, event: id })
                    }
                },
                Job::Meta { name, expected, bytes, .. } => {
                    let current = tables::read(meta.get(name.as_str())?, tables::record)?;
                    if current.as_ref().map_or(Version::ABSENT, |value| value.version) == *expected {
                        let value = tables::record_value(expected.next(), None, bytes);
                        meta.insert(name.as_str(), value.as_slice())?;
                        changed = true;
                        Outcome::Meta(MetaSwapped::Won(expected.next()))
                    } else {
                        Outcome::Meta(MetaSwapped::Lost(current))
                    }
                }
                Job::Settle(writer, ids, _) => {
                    for id in ids {
                        changed |= outbox.remove(&tables::outbox_key(*writer, *id))?.is_some();
                    }
                    Outcome::Settled
                }
                Job::Reseal { key, found, bytes, .. } => {
                    let same = tables::read(records.get(&key.to_bytes())?, tables::record)?.as_ref() == Some(&**found);
                    if same {
                        let value = tables::record_value(found.version, found.expires, bytes);
                        records.insert(&key.to_bytes(), value.as_slice())?;
                        changed = true;
                    }
                    Outcome::Resealed(same)
                }
                Job::Trim { shard, before, keep, .. } => {
                    let newest = match touched.get(shard).or(newest.get(shard)) {
                        Some(seq) => *seq,
                        None => shards.get(&shard.to_bytes())?.map_or(0, |seq| seq.value()),
                    };
                    let last = EventId { shard: *shard, seq: trim::last_to_go(newest, *keep) };
                    let gone = trim_to(&mut events, &outbox, last, *before)?;
                    changed |= gone > 0;
                    Outcome::Trimmed(gone)
                }
                Job::Rewrite(_) => Outcome::Rewrite,
            });
        }
        for (shard, seq) in &touched {
            shards.insert(&shard.to_bytes(), seq)?;
        }
    }
    if changed {
        transaction.commit()?;
        newest.extend(touched);
    } else {
        // Only lost races: nothing to make durable.
        transaction.abort()?;
    }
    Ok(outcomes)
}

/// Writes the record if it has the expected version: its new version, or what was there.
fn compare(records: &mut RecordTable<'_>, write: &Write) -> Result<Result<Version, Swapped>, redb::Error> {
    let key = write.key.to_bytes();
    {
        let current = records.get(&key)?;
        let version = tables::read(current, tables::version)?.unwrap_or(Version::ABSENT);
        if version != write.expected {
            return Ok(Err(Swapped::Lost(tables::read(records.get(&key)?, tables::record)?)));
        }
    }
    let version = write.expected.next();
    records.insert(&key, tables::record_value(version, write.expires, &write.bytes).as_slice())?;
    Ok(Ok(version))
}

/// Removes events up to this place: from the first on, as long as they are older and settled.
fn trim_to(
    events: &mut Table<'_, &'static [u8; tables::EVENT_LEN], Bytes>,
    outbox: &Table<'_, &'static [u8; tables::OUTBOX_LEN], Bytes>,
    last: EventId,
    before: Instant,
) -> Result<u64, redb::Error> {
    let [from, to] = [EventId { seq: 0, ..last }, last].map(tables::event_key);
    let mut going = Vec::new();
    for row in events.range::<&[u8; tables::EVENT_LEN]>(&from..=&to)?.take(trim::PAGE) {
        let (key, value) = row?;
        let event = tables::event(key.value(), value.value()).ok_or_else(tables::short)?;
        if event.at >= before || outbox.get(&tables::outbox_key(event.writer, event.id))?.is_some() {
            break;
        }
        going.push(*key.value());
    }
    let mut gone = 0;
    for key in going {
        gone += u64::from(events.remove(&key)?.is_some());
    }
    Ok(gone)
}
