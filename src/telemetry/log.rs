//! The log of the process: lines to standard error, by a thread of its own.
//!
//! Promises: whoever logs never waits for whoever reads the log. What they do not keep up with is dropped beyond a megabyte,
//! counted, and told by a line once they do; the rest is written before the process ends, unless nobody reads it for two
//! seconds.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Bytes that wait to be written.
const MOST: usize = 1 << 20;
/// How long the last of them may take.
const FLUSH: Duration = Duration::from_secs(2);

/// The queue of this process's log, for the metric.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Lines that were dropped so far.
pub(super) fn dropped() -> u64 {
    QUEUE.get().map_or(0, |queue| queue.dropped.load(Ordering::Relaxed))
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: u64,
    /// Whether some are being written.
    writing: bool,
    /// Whether none come any more.
    ended: bool,
}

// Not a crate: tracing-appender brings nine others for files that it rolls, counts no line that could not be written, and its
// end prints to standard output.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    dropped: AtomicU64,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.ended || waiting.bytes.len() + line.len() > MOST {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.lines += 1;
        drop(waiting);
        self.changed.notify_all();
    }

    /// Waits for lines, and takes all there are: how many. `None`: none come any more.
    fn take(&self, into: &mut Vec<u8>) -> Option<u64> {
        let waiting = self.lock();
        let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.ended;
        let mut waiting = self.changed.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes.is_empty() {
            return None;
        }
        std::mem::swap(&mut waiting.bytes, into);
        waiting.writing = true;
        Some(std::mem::take(&mut waiting.lines))
    }

    /// Writes what comes until none does.
    fn write_on(&self, to: &mut impl Write) {
        let (mut batch, mut told) = (Vec::new(), 0);
        while let Some(lines) = self.take(&mut batch) {
            let written = to.write_all(&batch).and_then(|()| to.flush());
            batch.clear();
            if written.is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
            }
            self.lock().writing = false;
            self.changed.notify_all();
            let dropped = self.dropped.load(Ordering::Relaxed);
            if written.is_ok() && dropped > told {
                tracing::warn!(
                    lines = dropped - told,
                    "lines of this log were dropped: whoever reads it did not keep up"
                );
                told = dropped;
            }
        }
    }

    /// Nothing comes any more: waits until all is written, and not for ever.
    fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        self.changed.notify_all();
        let left = |waiting: &mut Waiting| waiting.writing || !waiting.bytes.is_empty();
        drop(self.changed.wait_timeout_while(waiting, FLUSH, left));
    }
}

/// One line.
struct Line(Arc<Queue>);

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log, until this is dropped: then what waits is written.
#[derive(Debug)]
#[must_use = "what waits is written when this is dropped"]
pub struct Log(Arc<Queue>);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Sends the log to standard error: text on a terminal, JSON for machines. `RINGFENCE_LOG_FILTER` filters it, in
/// the words of `tracing_subscriber`'s `EnvFilter`.
///
/// # Errors
/// No thread can be had for it.
pub fn start_log(json: bool) -> io::Result<Log> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RINGFENCE_LOG_FILTER")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("ringfence=info,warn"));
    // Colours are for terminals: in a file or a journal they are noise that no search gets through.
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let queue = Arc::new(Queue::default());
    let written = Arc::clone(&queue);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || written.write_on(&mut io::stderr()))?;
    let line = Arc::clone(&queue);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(move || Line(Arc::clone(&line)));
    // Tests start more than one log in a process; the first stays.
    let started = if json { builder.json().with_span_list(false).try_init() } else { builder.try_init() };
    if started.is_ok() {
        let _ = QUEUE.set(Arc::clone(&queue));
    }
    Ok(Log(queue))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    /// Takes something each time it is let.
    struct Slow {
        began: Sender<()>,
        may: Receiver<bool>,
        took: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.began.send(()).unwrap();
            if !self.may.recv().unwrap_or(true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.took.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_logs_waits_for_nobody_and_what_is_lost_is_counted() {
        let queue = Arc::new(Queue::default());
        let took = Arc::<Mutex<Vec<u8>>>::default();
        let ((began, begins), (let_it, may)) = (mpsc::channel(), mpsc::channel());
        let (written, mut slow) = (Arc::clone(&queue), Slow { began, may, took: Arc::clone(&took) });
        let thread = std::thread::spawn(move || written.write_on(&mut slow));
        queue.push(b"first\n");
        begins.recv().unwrap();
        // Nobody reads: more than fits comes, and none of it waits.
        let line = [&[b'x'; 99][..], b"\n"].concat();
        let count = 2 * MOST / line.len();
        (0..count).for_each(|_| queue.push(&line));
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert_eq!(dropped, (count - MOST / line.len()) as u64);
        let_it.send(true).unwrap();
        begins.recv().unwrap();
        // A write that fails loses its lines, and they count.
        let_it.send(false).unwrap();
        queue.push(b"last\n");
        begins.recv().unwrap();
        let_it.send(true).unwrap();
        queue.end();
        thread.join().unwrap();
        assert_eq!(*took.lock().unwrap(), b"first\nlast\n");
        assert_eq!(queue.dropped.load(Ordering::Relaxed), count as u64);
        queue.push(b"after\n");
        assert_eq!(queue.dropped.load(Ordering::Relaxed), count as u64 + 1);
    }
}
