//! Heads of chains as they are published: a line of JSON each time, which names every log that is known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::line::{hex, unhex, writer};
use crate::audit::frame::{self, HEADER_LEN, Header};
use crate::audit::{Head, LogError, segment};
use crate::store::{Held, WriterId};
use crate::time::Instant;

const NAME: &str = "audit heads";
const FORM: u64 = 1;

/// Heads as they are published at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// When.
    pub at: Instant,
    /// Of every log that is known, its newest entry that is safe.
    pub logs: BTreeMap<WriterId, Head>,
}

impl Published {
    /// The line to publish, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let log = |(writer, head): (&WriterId, &Head)| json!({ "writer": writer.to_string(), "seq": head.seq, "hash": hex(&head.hash) });
        let logs: Vec<_> = self.logs.iter().map(log).collect();
        json!({ "ringfence": NAME, "form": FORM, "at": self.at.to_string(), "logs": logs }).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(text).ok()?;
        if line.get("ringfence")?.as_str()? != NAME || line.get("form")?.as_u64()? != FORM {
            return None;
        }
        let at = instant(line.get("at")?)?;
        let mut logs = BTreeMap::new();
        for log in line.get("logs")?.as_array()? {
            let head = Head { seq: log.get("seq")?.as_u64()?, hash: unhex(log.get("hash")?.as_str()?)? };
            if logs.insert(writer(log.get("writer")?.as_str()?)?, head).is_some() {
                return None;
            }
        }
        (!logs.is_empty()).then_some(Self { at, logs })
    }
}

/// An instant in the one text that it has.
pub(super) fn instant(value: &Value) -> Option<Instant> {
    let text = value.as_str()?;
    Instant::from_rfc3339(text).filter(|at| at.to_string() == text)
}

/// A head that was published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// When.
    pub at: Instant,
    /// The newest entry then.
    pub head: Head,
}

/// What was published of each log, the earliest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heads {
    /// Neither instants nor entries of a log go back: [`Heads::read`] sees to it. At least one, none of them empty.
    logs: BTreeMap<WriterId, Vec<Point>>,
}

/// Why a file of heads cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadHeads {
    /// Where, from 1; 0: the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Heads {
    /// Reads a file of heads: a line each, in any order; empty lines are nothing.
    ///
    /// # Errors
    /// A line is none; two of them contradict each other.
    pub fn read(text: &str) -> Result<Self, BadHeads> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let what = "no line of published heads, as `ringfence audit head` prints them";
            let read = Published::read(line).ok_or(BadHeads { line: number + 1, what: what.to_owned() })?;
            all.push((number + 1, read));
        }
        all.sort_by_key(|(_, published)| published.at);
        if all.is_empty() {
            return Err(BadHeads { line: 0, what: "no head is in it".to_owned() });
        }
        let mut logs: BTreeMap<WriterId, Vec<Point>> = BTreeMap::new();
        for (line, published) in all {
            for (writer, head) in published.logs {
                let points = logs.entry(writer).or_default();
                let before = points.last().map_or(Head::default(), |point: &Point| point.head);
                if head.seq < before.seq || head.seq == before.seq && head.hash != before.hash {
                    let what = format!(
                        "the head of the log of writer {writer} contradicts the one published before: it was cut or \
                         rewritten in between"
                    );
                    return Err(BadHeads { line, what });
                }
                points.push(Point { at: published.at, head });
            }
        }
        Ok(Self { logs })
    }

    /// The log whose newest head is the oldest, and when that was published: nothing is known of all logs together later
    /// than that.
    #[must_use]
    pub fn least(&self) -> (WriterId, Instant) {
        let last = self.logs.iter().filter_map(|(writer, points)| Some((*writer, points.last()?.at)));
        last.min_by_key(|(_, at)| *at).unwrap_or((WriterId(0), Instant::from_millis(i64::MIN)))
    }

    /// The logs that were ever published.
    pub fn writers(&self) -> impl Iterator<Item = WriterId> {
        self.logs.keys().copied()
    }

    /// What was published of a log, the earliest first.
    #[must_use]
    pub fn of(&self, writer: WriterId) -> &[Point] {
        self.logs.get(&writer).map_or(&[], Vec::as_slice)
    }

    /// From where to where a log must be shown for what happened after an instant: from the last head published until
    /// then, or the log's beginning; to the last one published.
    #[must_use]
    pub fn reach(&self, writer: WriterId, after: Instant) -> (Head, Head) {
        let points = self.of(writer);
        let until = points.partition_point(|point| point.at <= after);
        let from = until.checked_sub(1).and_then(|last| points.get(last)).map_or(Head::default(), |point| point.head);
        (from, points.last().map_or(from, |point| point.head))
    }

    /// The place of a log behind which everything was recorded after this instant, whatever it says itself.
    pub(super) fn surely_after(&self, writer: WriterId, after: Instant) -> Option<u64> {
        let points = self.of(writer);
        points.get(points.partition_point(|point| point.at < after)).map(|point| point.head.seq)
    }

    /// Whether a span may begin or end here: where the log begins, or with a head that was published.
    pub(super) fn knows(&self, writer: WriterId, head: Head) -> bool {
        head == Head::default() || self.at(writer, head.seq).is_some_and(|point| point.head == head)
    }

    /// The first time that the head of the entry at this place was published, if it was. Asked for each entry of a proof,
    /// with heads of years.
    pub(super) fn at(&self, writer: WriterId, seq: u64) -> Option<&Point> {
        let points = self.of(writer);
        points.get(points.partition_point(|point| point.head.seq < seq)).filter(|point| point.head.seq == seq)
    }
}

/// The newest entry of the log in this folder that is on disk for good, whether or not a server writes to it; `None`: there
/// is no log.
///
/// # Errors
/// The folder or its newest file cannot be read, or was altered.
pub fn newest(folder: &Path) -> Result<Option<(WriterId, Head)>, LogError> {
    newest_beside(folder, &BTreeMap::new())
}

/// The same where it is known from elsewhere what is on disk of some logs: what the store remembers.
///
/// # Errors
/// As [`newest`]; the log lacks what the store remembers of it, or has something else in its place.
pub fn newest_beside(folder: &Path, known: &BTreeMap<WriterId, Head>) -> Result<Option<(WriterId, Head)>, LogError> {
    let live = Held::is_taken(folder);
    for number in segment::list(folder)?.segments.keys().rev() {
        let path = segment::path(folder, *number);
        let bytes = segment::read(&path)?;
        // Just being made: then the one before is whole.
        if bytes.len() < HEADER_LEN && *number > 1 {
            continue;
        }
        let (header, _) = Header::decode(&bytes).map_err(|bad| segment::bad_header(&path, bad))?;
        if !live {
            // Nobody else will: what is read now must not be gone later.
            let synced = fs::File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(|error| LogError::from_io(&path, "making sure of the audit log", &error))?;
        }
        let before = Head { seq: header.first_seq.saturating_sub(1), hash: header.before };
        let (mut heads, mut offset) = (vec![before], HEADER_LEN);
        let mut safe = before.seq;
        while let Ok(frame) = frame::at(bytes.get(offset..).unwrap_or_default()) {
            heads.push(Head { seq: frame.seq, hash: frame.hash });
            // Of an entry that a server is just writing, only what was on disk before is known to be there.
            safe = if live { frame.safe } else { frame.seq };
            offset += frame.length;
        }
        if let Some(known) = known.get(&header.writer) {
            let there = heads.iter().find(|head| head.seq == known.seq);
            if heads.last().is_some_and(|last| last.seq < known.seq) || there.is_some_and(|there| there != known) {
                let why = format!(
                    "it does not lead to entry {} as the store remembers it: it was cut or rewritten, or is an older copy; \
                     run `ringfence audit verify`",
                    known.seq
                );
                return Err(LogError::Corrupt { path, why });
            }
            safe = safe.max(known.seq);
        }
        let head = heads.iter().rev().find(|head| head.seq <= safe).copied().unwrap_or(before);
        return Ok(Some((header.writer, head)));
    }
    Ok(None)
}
