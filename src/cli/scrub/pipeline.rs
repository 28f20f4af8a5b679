//! Reading, answering and writing at once: one thread reads, some answer, one writes in the order of the input. Only so
//! many rows are on their way at a time.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use csv::{ByteRecord, QuoteStyle, WriterBuilder};
use tokio::runtime::Handle;

use super::ADDED;
use super::answer::{Answer, Judge};
use super::input::{Form, Input};
use super::output::{Output, Read};
use super::row::Rows;
use super::summary::Tally;
use crate::cli::Error;
use crate::cli::progress::Progress;
use crate::proto::v1;
use crate::store::Digest;

/// Rows answered together: half of what a server takes at once, so that its answer, too, is of a size it may have.
const CHUNK: usize = crate::engine::BATCH / 2;
/// Chunks on their way for each thread that answers.
const AHEAD: usize = 3;

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
    /// The rules in force; empty where a server answered.
    pub rules: String,
}

/// Some rows on their way.
struct Chunk {
    records: Vec<ByteRecord>,
    bytes: u64,
    /// Where the answer goes: the writer waits at the other ends, in the order of the input.
    done: SyncSender<Result<Done, Error>>,
}

/// Some rows, answered.
struct Done {
    text: Vec<u8>,
    tally: Tally,
    bytes: u64,
}

/// What all threads share.
struct Shared<'a> {
    judge: &'a Judge,
    template: &'a v1::CheckRequest,
    columns: super::columns::Columns,
    width: usize,
    form: Form,
    handle: &'a Handle,
    stop: &'a AtomicBool,
}

/// Answers a file.
pub(super) fn run(
    mut input: Input,
    mut output: Output,
    template: &v1::CheckRequest,
    judge: &Judge,
    handle: &Handle,
    stop: &AtomicBool,
) -> Result<Scrubbed, Error> {
    let progress = Progress::new(input.bytes, "scrub");
    let columns = input.columns.clone();
    let shared = Shared { judge, template, columns, width: input.width, form: input.form, handle, stop };
    let head = head(&shared, input.header.as_ref())?;
    let mut tally = Tally::default();
    let mut read = output.write(&head)?;
    if read == Read::On {
        let answered = answer_all(&shared, &mut input, |done| {
            read = output.write(&done.text)?;
            progress.advance(done.bytes, done.tally.rows);
            tally.add(done.tally);
            Ok(read)
        });
        answered?;
    }
    if stop.load(Ordering::Relaxed) {
        return Err(Error::said("interrupted: no output was left behind"));
    }
    output.sync()?;
    let rules = judge.rules().unwrap_or_default();
    Ok(Scrubbed { tally, input_digest: input.digest(), output, progress, rules })
}

fn answer_all(
    shared: &Shared<'_>,
    input: &mut Input,
    mut write: impl FnMut(Done) -> Result<Read, Error>,
) -> Result<(), Error> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let (to_threads, jobs) = sync_channel::<Chunk>(threads);
    let (to_writer, in_order) = sync_channel(threads * AHEAD);
    let jobs = Arc::new(Mutex::new(jobs));
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(shared, input, to_threads, to_writer));
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
    to_threads: SyncSender<Chunk>,
    to_writer: SyncSender<Receiver<Result<Done, Error>>>,
) -> Result<(), Error> {
    loop {
        let mut records = Vec::with_capacity(CHUNK);
        let mut fault = None;
        while records.len() < CHUNK {
            let mut record = ByteRecord::new();
            match input.next(&mut record) {
                Ok(true) => records.push(record),
                Ok(false) => break,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        let last = records.len() < CHUNK;
        let (done, answer) = sync_channel(1);
        let chunk = Chunk { records, bytes: input.advanced(), done };
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
    write: &mut impl FnMut(Done) -> Result<Read, Error>,
) -> Result<(), Error> {
    for answer in in_order {
        let done = answer.recv().unwrap_or_else(|_| Err(Error::said("a thread that answers ended early")))?;
        if write(done)? == Read::Ended {
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
    let rows = Rows { columns: &shared.columns, template: shared.template };
    let answers = shared.handle.block_on(shared.judge.answer(rows, &chunk.records))?;
    let mut tally = Tally::default();
    let mut writer = writer(shared.form);
    for (record, answer) in chunk.records.iter().zip(&answers) {
        tally.count(answer, record.len(), shared.width);
        write_row(&mut writer, record, shared.width, &fields(answer)).map_err(|error| broken(&error))?;
    }
    let text = writer.into_inner().map_err(|error| broken(&error.into_error()))?;
    Ok(Done { text, tally, bytes: chunk.bytes })
}

fn broken(error: &io::Error) -> Error {
    Error::io("writing a row", "memory", error)
}

fn writer(form: Form) -> csv::Writer<Vec<u8>> {
    WriterBuilder::new()
        .delimiter(form.delimiter)
        .terminator(form.terminator)
        .quote_style(QuoteStyle::Necessary)
        .flexible(true)
        .from_writer(Vec::new())
}

fn head(shared: &Shared<'_>, header: Option<&ByteRecord>) -> Result<Vec<u8>, Error> {
    let mut text = if shared.form.bom { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    if let Some(header) = header {
        let mut writer = writer(shared.form);
        write_row(&mut writer, header, shared.width, &ADDED.map(str::to_owned)).map_err(|error| broken(&error))?;
        text.extend(writer.into_inner().map_err(|error| broken(&error.into_error()))?);
    }
    Ok(text)
}

fn fields(answer: &Answer) -> [String; 4] {
    [
        if answer.allowed { "ALLOW" } else { "DENY" }.to_owned(),
        answer.families.join(" "),
        answer.retry_at.map(|at| at.to_string()).unwrap_or_default(),
        answer.message.clone(),
    ]
}

/// A row, then the answer under its titles: a row that is short is filled up, and what a long one has too much comes
/// last.
fn write_row(
    writer: &mut csv::Writer<Vec<u8>>,
    record: &ByteRecord,
    width: usize,
    added: &[String; 4],
) -> io::Result<()> {
    let empty = std::iter::repeat_n(b"".as_slice(), width.saturating_sub(record.len()));
    let added = added.iter().map(String::as_bytes);
    let fields = record.iter().take(width).chain(empty).chain(added).chain(record.iter().skip(width));
    writer.write_record(fields).map_err(io::Error::from)
}
