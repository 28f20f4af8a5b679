//! Reading, answering and writing at once: one thread reads, some answer, one writes in the order of the input. Only so
//! many rows are on their way at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant as Monotonic};

use csv::{ByteRecord, QuoteStyle, WriterBuilder};
use tokio::runtime::Handle;

use super::ADDED;
use super::answer::{Answer, Judge};
use super::input::{Form, Input, Place};
use super::output::{Output, Reading};
use super::row::Rows;
use super::state::{Run, State};
use super::summary::Tally;
use crate::cli::Error;
use crate::cli::packed::Packing;
use crate::cli::progress::Progress;
use crate::proto::v1;
use crate::store::Digest;

/// Rows answered together. Where a file is cut into pieces follows from nothing but its rows and their places: compressed
/// piece by piece, it is the same bytes however often it was begun again.
const CHUNK: usize = 2_000;
/// Bytes of their fields after which fewer are answered together: rows may be wide.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes that an answer usually adds to a row.
const ADDED_BYTES: usize = 128;
/// Chunks on their way for each thread that answers.
const AHEAD: usize = 3;
/// Bytes by which a row may be longer than the one before it and still find room at once.
const ROOM: usize = 16;
/// How often it is said how far the work has come.
const OFTEN: Duration = Duration::from_secs(1);

/// What is to be done.
pub(super) struct Work {
    /// What is asked of every row, but for its number and location.
    pub template: v1::CheckRequest,
    /// Who answers.
    pub judge: Judge,
    /// How the output is compressed.
    pub packing: Packing,
    /// What the run is.
    pub run: Run,
    /// How far an earlier run came.
    pub from: Option<State>,
}

/// What came of a file.
pub(super) struct Scrubbed {
    /// Counts.
    pub tally: Tally,
    /// SHA-256 of what was read.
    pub input_digest: Digest,
    /// What was written, not yet in its place.
    pub output: Output,
    /// The bar.
    pub progress: Progress,
}

/// Some rows on their way.
struct Chunk {
    records: Vec<ByteRecord>,
    /// The place of the first among the rows of the file.
    first: u64,
    bytes: u64,
    /// Where the next row begins.
    after: Option<Place>,
    /// Where the answer goes: the writer waits at the other ends, in the order of the input.
    done: SyncSender<Result<Done, Error>>,
}

/// Some rows, answered.
struct Done {
    text: Vec<u8>,
    tally: Tally,
    bytes: u64,
    after: Option<Place>,
}

/// What all threads share.
struct Shared<'a> {
    work: &'a Work,
    columns: super::columns::Columns,
    width: usize,
    form: Form,
    handle: &'a Handle,
    stop: &'a AtomicBool,
    progress: &'a Progress,
}

/// Answers a file.
pub(super) fn run(
    mut input: Input,
    mut output: Output,
    mut work: Work,
    handle: &Handle,
    stop: &AtomicBool,
) -> Result<Scrubbed, Error> {
    let progress = Progress::new(input.bytes, "scrub");
    let resumable = input.is_file() && output.can_resume();
    let mut tally = Tally::default();
    let from = work.from.take();
    let begun = output.begin(from.as_ref().map(|state| state.written))?;
    let head = match from.filter(|_| begun) {
        Some(state) => {
            input.go_to(state.place)?;
            progress.advance(input.advanced(), state.tally.rows());
            tally = state.tally;
            None
        }
        None => Some(head(input.form, input.width, input.header.as_ref())?),
    };
    let columns = input.columns.clone();
    let (width, form) = (input.width, input.form);
    let shared = Shared { work: &work, columns, width, form, handle, stop, progress: &progress };
    let mut reading = match head {
        Some(head) => output.write(&packed(shared.work.packing, head)?)?,
        None => Reading::On,
    };
    let mut marker = Marker { last: Monotonic::now(), place: None };
    if work.run.attempts.is_some() && resumable {
        // Attempts are counted under the ids of this run, from the first row on.
        let place = input.place();
        output.mark(&state(&work.run, place, &output, &tally)?)?;
        marker.place = Some(place);
    }
    if reading == Reading::On {
        let first = tally.rows();
        answer_all(&shared, &mut input, first, |done| {
            reading = output.write(&done.text)?;
            progress.advance(done.bytes, done.tally.rows());
            tally.add(done.tally);
            if let (Some(place), true) = (done.after, resumable) {
                marker.place = Some(place);
                if marker.last.elapsed() >= OFTEN {
                    output.mark(&state(&work.run, place, &output, &tally)?)?;
                    marker.last = Monotonic::now();
                }
            }
            Ok(reading)
        })?;
    }
    if stop.load(Ordering::Relaxed) {
        let Some(place) = marker.place else {
            return Err(Error::said("interrupted: no output was left behind"));
        };
        output.mark(&state(&work.run, place, &output, &tally)?)?;
        return Err(Error::said("interrupted: within the hour, the same command goes on where it stopped"));
    }
    output.sync()?;
    Ok(Scrubbed { tally, input_digest: input.digest()?, output, progress })
}

/// When it was last said how far the work has come, and how far it has.
struct Marker {
    last: Monotonic,
    place: Option<Place>,
}

fn state(run: &Run, place: Place, output: &Output, tally: &Tally) -> Result<String, Error> {
    let state = State::new(run, place, output.written(), tally);
    serde_json::to_string(&state).map_err(|error| Error::said(error.to_string()))
}

fn answer_all(
    shared: &Shared<'_>,
    input: &mut Input,
    first: u64,
    mut write: impl FnMut(Done) -> Result<Reading, Error>,
) -> Result<(), Error> {
    // What counts attempts is done in the order of the rows: of one number on several rows, the first is the first asked.
    let threads = match shared.work.run.attempts {
        Some(_) => 1,
        None => thread::available_parallelism().map_or(2, usize::from),
    };
    let (to_threads, jobs) = sync_channel::<Chunk>(threads);
    let (to_writer, in_order) = sync_channel(threads * AHEAD);
    let jobs = Arc::new(Mutex::new(jobs));
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(shared, input, first, to_threads, to_writer));
        for _ in 0..threads {
            let jobs = Arc::clone(&jobs);
            scope.spawn(move || work(shared, &jobs));
        }
        // The reader must find nobody waiting once the threads or the writer gave up.
        drop(jobs);
        let written = write_all(in_order, &mut write);
        let read = reader.join().unwrap_or_else(|_| Err(Error::said("the reading thread ended early")));
        written.and(read)
    })
}

/// Hands out chunks until the input ends, or nobody takes them any more.
fn read_all(
    shared: &Shared<'_>,
    input: &mut Input,
    mut first: u64,
    to_threads: SyncSender<Chunk>,
    to_writer: SyncSender<Receiver<Result<Done, Error>>>,
) -> Result<(), Error> {
    let mut room = (0, 0);
    loop {
        let mut records = Vec::with_capacity(CHUNK);
        let (mut fault, mut last, mut bytes) = (None, false, 0);
        while records.len() < CHUNK && bytes < CHUNK_BYTES {
            // Rows are about as long as each other: grown from nothing, each would be allocated several times.
            let mut record = ByteRecord::with_capacity(room.0, room.1);
            match input.next(&mut record) {
                Ok(true) => {
                    bytes += record.as_slice().len();
                    if !shared.form.parquet {
                        room = (record.as_slice().len() + ROOM, record.len() + 1);
                    }
                    records.push(record);
                }
                Ok(false) => {
                    last = true;
                    break;
                }
                Err(error) => {
                    (fault, last) = (Some(error), true);
                    break;
                }
            }
        }
        let count = records.len() as u64;
        let (done, answer) = sync_channel(1);
        // Also after the last row: an interrupt then has nothing but the rest to do, and that is nothing.
        let after = fault.is_none().then(|| input.place());
        let chunk = Chunk { records, first, bytes: input.advanced(), after, done };
        first += count;
        if to_writer.send(answer).is_err() || to_threads.send(chunk).is_err() {
            return Ok(());
        }
        match fault {
            Some(fault) => return Err(fault),
            None if last || shared.stop.load(Ordering::Relaxed) => return Ok(()),
            None => {}
        }
    }
}

fn write_all(
    in_order: Receiver<Receiver<Result<Done, Error>>>,
    write: &mut impl FnMut(Done) -> Result<Reading, Error>,
) -> Result<(), Error> {
    for answer in in_order {
        let done = answer.recv().unwrap_or_else(|_| Err(Error::said("a thread that answers ended early")))?;
        if write(done)? == Reading::Ended {
            break;
        }
    }
    Ok(())
}

/// Answers chunks until there are no more.
fn work(shared: &Shared<'_>, jobs: &Mutex<Receiver<Chunk>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = next else { return };
        let answered = answer(shared, &chunk);
        // Nobody waits where an earlier chunk failed.
        let _ = chunk.done.send(answered);
    }
}

fn answer(shared: &Shared<'_>, chunk: &Chunk) -> Result<Done, Error> {
    let Work { template, judge, packing, run, .. } = shared.work;
    let rows = Rows { columns: &shared.columns, template, attempts: run.attempts.as_deref() };
    let answers =
        shared.handle.block_on(judge.answer(rows, &chunk.records, chunk.first, &|what| shared.progress.waits(what)))?;
    let mut tally = Tally::default();
    // Of one size, and so of one place: grown by doubling, each chunk would leave room behind that no other fits.
    let own = if shared.form.parquet {
        0
    } else {
        chunk.records.iter().map(|record| record.as_slice().len() + record.len()).sum()
    };
    let room = own + chunk.records.len() * ADDED_BYTES;
    let mut writer = writer(shared.form, room);
    for (record, answer) in chunk.records.iter().zip(&answers) {
        let written = if shared.form.parquet {
            tally.count(answer, 0, 0);
            added(answer, |added| writer.write_record(added).map_err(io::Error::from))
        } else {
            tally.count(answer, record.len(), shared.width);
            added(answer, |added| write_row(&mut writer, record, shared.width, &added))
        };
        written.map_err(|error| broken(&error))?;
    }
    let text = writer.into_inner().map_err(|error| broken(&error.into_error()))?;
    Ok(Done { text: packed(*packing, text)?, tally, bytes: chunk.bytes, after: chunk.after })
}

fn packed(packing: Packing, text: Vec<u8>) -> Result<Vec<u8>, Error> {
    packing.piece(text).map_err(|error| Error::io("compressing rows", "memory", &error))
}

fn broken(error: &io::Error) -> Error {
    Error::io("writing a row", "memory", error)
}

fn writer(form: Form, room: usize) -> csv::Writer<Vec<u8>> {
    WriterBuilder::new()
        .delimiter(form.delimiter)
        .terminator(form.terminator)
        .quote_style(QuoteStyle::Necessary)
        .flexible(true)
        .from_writer(Vec::with_capacity(room))
}

/// What stands before the rows.
pub(super) fn head(form: Form, width: usize, header: Option<&ByteRecord>) -> Result<Vec<u8>, Error> {
    let mut text = if form.bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    if let Some(header) = header {
        let mut writer = writer(form, 0);
        write_row(&mut writer, header, width, &ADDED).map_err(|error| broken(&error))?;
        text.extend(writer.into_inner().map_err(|error| broken(&error.into_error()))?);
    }
    Ok(text)
}

/// One row with its answer, as it is written.
pub(super) fn row(form: Form, width: usize, record: &ByteRecord, answer: &Answer) -> Result<Vec<u8>, Error> {
    let mut writer = writer(form, 0);
    added(answer, |added| write_row(&mut writer, record, width, &added)).map_err(|error| broken(&error))?;
    writer.into_inner().map_err(|error| broken(&error.into_error()))
}

/// What is added to a row, in the order of [`ADDED`].
fn added<T>(answer: &Answer, write: impl FnOnce([&str; 4]) -> T) -> T {
    let (families, retry_at) = (answer.families.join(" "), answer.retry_at.map(|at| at.to_string()));
    let verdict = if answer.allowed() { "ALLOW" } else { "DENY" };
    write([verdict, &families, retry_at.as_deref().unwrap_or_default(), &answer.message])
}

/// A row, then the answer under its titles: a row that is short is filled up, and what a long one has too much comes
/// last.
fn write_row(
    writer: &mut csv::Writer<Vec<u8>>,
    record: &ByteRecord,
    width: usize,
    added: &[&str; 4],
) -> io::Result<()> {
    let empty = std::iter::repeat_n(b"".as_slice(), width.saturating_sub(record.len()));
    let added = added.iter().map(|cell| cell.as_bytes());
    let fields = record.iter().take(width).chain(empty).chain(added).chain(record.iter().skip(width));
    writer.write_record(fields).map_err(io::Error::from)
}
