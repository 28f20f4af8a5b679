//! Checking a proof with nothing but published heads.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::Value;

use super::heads::instant;
use super::line::{HEAD, Line, unhex};
use super::told::{Checked, CheckedLog, Faulty, Link, Matter, Seen, Wanted};
use super::{Public, naming, veil};
use crate::audit::frame::{FORMAT, MAGIC, chain};
use crate::audit::{DecisionId, Head};
use crate::store::{Digest, WriterId, sha256};
use crate::time::Instant;

pub(super) const NAME: &str = "proof of absence";
pub(super) const FORM: u64 = 1;

struct Span {
    writer: WriterId,
    from: Head,
    to: Head,
    rows: u64,
    /// The hash keys under which its entries about contacts were written.
    marks: BTreeSet<[u8; 4]>,
    /// The first entry under a hash key that the proof opens nothing of.
    strange: Option<u64>,
}

/// Where within a span the reading is.
struct At {
    span: Span,
    link: Digest,
    /// The number of the segment, once one began.
    segment: Option<u64>,
    /// Whether the chain may go on with an entry: at the log's beginning a header comes first.
    begun: bool,
}

/// What opens the entries about the contact, under one hash key.
#[derive(Clone, Copy)]
struct Witness {
    mark: [u8; 4],
    opens: Digest,
    name_key: [u8; 32],
}

struct Reading<'a> {
    wanted: Wanted<'a>,
    after: Instant,
    witnesses: Vec<Witness>,
    spans: Vec<Span>,
    seen: BTreeMap<(WriterId, u64), Seen>,
    /// An ALLOW that names nobody.
    nameless: Vec<(WriterId, u64)>,
    /// The hash keys under which an entry names the number.
    named: BTreeSet<[u8; 4]>,
    at: Option<At>,
    done: bool,
}

/// Checks a proof, given line by line: in flat memory, but for what is about the contact itself.
///
/// # Errors
/// It cannot be read; it is altered, incomplete, of another log or number; it does not reach the published heads. A contact
/// that was allowed is no error: see [`Checked::proven`].
pub fn check(lines: impl Iterator<Item = io::Result<String>>, wanted: Wanted<'_>) -> Result<Checked, Faulty> {
    let mut reading = None;
    for (line, number) in lines.zip(1..) {
        let fault = |what: String| Faulty { line: number, what };
        let line = line.map_err(|error| fault(format!("it cannot be read: {error}")))?;
        match &mut reading {
            None => reading = Some(Reading::begin(&line, wanted).map_err(fault)?),
            Some(reading) => reading.line(&line).map_err(fault)?,
        }
    }
    let whole = |what: &str| Faulty { line: 0, what: what.to_owned() };
    let reading = reading.ok_or_else(|| whole("it is empty"))?;
    if !reading.done {
        return Err(whole("its end is missing: it was cut"));
    }
    reading.finish().map_err(|what| whole(&what))
}

impl<'a> Reading<'a> {
    fn begin(line: &str, wanted: Wanted<'a>) -> Result<Self, String> {
        let read = || {
            let header: Value = serde_json::from_str(line).ok()?;
            let fields = header.as_object()?;
            let mine = fields.len() == 4 && fields.get("ringfence")?.as_str()? == NAME;
            if !mine || fields.get("form")?.as_u64()? != FORM {
                return None;
            }
            let after = instant(fields.get("after")?)?;
            let witness = |one: &Value| match one.as_array()?.as_slice() {
                [mark, opens, name_key] => Some(Witness {
                    mark: unhex(mark.as_str()?)?,
                    opens: unhex(opens.as_str()?)?,
                    name_key: unhex(name_key.as_str()?)?,
                }),
                _ => None,
            };
            let witnesses: Option<Vec<_>> = fields.get("witnesses")?.as_array()?.iter().map(witness).collect();
            Some((after, witnesses.filter(|witnesses| !witnesses.is_empty())?))
        };
        let (after, witnesses) = read().ok_or("this is no proof of absence of form 1")?;
        if let Some(wanted) = wanted.after.filter(|wanted| *wanted != after) {
            return Err(format!("it is of {after}, not of {wanted}"));
        }
        let (writer, newest) = wanted.heads.least();
        if newest < after {
            return Err(format!(
                "it is of {after}, and no head of the log of writer {writer} was published since: its newest is of {newest}"
            ));
        }
        Ok(Self {
            wanted,
            after,
            witnesses,
            spans: Vec::new(),
            seen: BTreeMap::new(),
            nameless: Vec::new(),
            named: BTreeSet::new(),
            at: None,
            done: false,
        })
    }

    fn line(&mut self, text: &str) -> Result<(), String> {
        let line = Line::read(text).ok_or("no line of a proof")?;
        if self.done {
            return Err("nothing may follow its end".to_owned());
        }
        match (&line, self.at.take()) {
            (Line::Span(writer, from), None) => self.span(*writer, *from),
            (Line::Segment(header), Some(mut at)) => {
                at.segment(header)?;
                self.at = Some(at);
                Ok(())
            }
            (Line::Other { .. } | Line::Ours { .. }, Some(mut at)) => {
                self.entry(&mut at, &line)?;
                self.at = Some(at);
                Ok(())
            }
            (Line::End(to), Some(at)) => self.end(at, *to),
            (Line::Done, None) => {
                self.done = true;
                Ok(())
            }
            _ => Err("this line does not belong here".to_owned()),
        }
    }

    fn span(&mut self, writer: WriterId, from: Head) -> Result<(), String> {
        if !self.wanted.heads.knows(writer, from) {
            return Err(format!("it begins with a head of the log of writer {writer} that was never published"));
        }
        let span = Span { writer, from, to: from, rows: 0, marks: BTreeSet::new(), strange: None };
        self.at = Some(At { span, link: from.hash, segment: None, begun: from.seq > 0 });
        Ok(())
    }

    fn entry(&mut self, at: &mut At, line: &Line) -> Result<(), String> {
        let (safe, public, digest) = line.digest().ok_or("no entry")?;
        if !at.begun {
            return Err("a log begins with the header of its first segment".to_owned());
        }
        let seq = at.span.to.seq + 1;
        at.link = chain(seq, safe, &at.link, &digest);
        at.span.to = Head { seq, hash: at.link };
        let writer = at.span.writer;
        if self.wanted.heads.at(writer, seq).is_some_and(|point| point.head.hash != at.link) {
            return Err(format!("the chain does not lead to the head of entry {seq} that was published"));
        }
        let id = DecisionId::from_bytes(public.id).ok_or("an id that is none")?;
        let matter = Matter::of(public.kind);
        let opened = self.witness(&public);
        match (line, opened) {
            (Line::Ours { name, plain, content, .. }, Some(witness)) => {
                self.name(&witness, &public, name)?;
                let seen = Seen { writer, seq, id, matter, content: *content, plain: *plain };
                self.seen.insert((writer, seq), seen);
            }
            (Line::Ours { .. }, None) => {
                return Err("an entry about somebody else is said to be of this contact".to_owned());
            }
            (_, Some(_)) => return Err("an entry about this contact is not shown".to_owned()),
            (_, None) => {}
        }
        if public.veil == [0; 16] {
            at.span.rows += u64::from(matter == Matter::Rows);
            if matter.may_allow() {
                self.nameless.push((writer, seq));
            }
        } else {
            at.span.marks.insert(public.mark);
            if !self.witnesses.iter().any(|witness| witness.mark == public.mark) {
                at.span.strange.get_or_insert(seq);
            }
        }
        Ok(())
    }

    /// What opens this entry, if it is about the contact.
    fn witness(&self, public: &Public) -> Option<Witness> {
        self.witnesses.iter().find(|witness| veil(&witness.opens, &public.id) == public.veil).copied()
    }

    fn name(&mut self, witness: &Witness, public: &Public, name: &[u8; 16]) -> Result<(), String> {
        let Some(number) = self.wanted.number.filter(|_| *name != [0; 16]) else { return Ok(()) };
        if naming(&witness.name_key, &public.id, number) != *name {
            return Err("it is about another number than the one given".to_owned());
        }
        // Of what was written under another hash key it says nothing: the same number has another tag there.
        self.named.insert(public.mark);
        Ok(())
    }

    fn end(&mut self, at: At, to: Head) -> Result<(), String> {
        let writer = at.span.writer;
        if at.span.to != to {
            return Err(format!("the chain leads to another head than the one said, of entry {}", to.seq));
        }
        if !self.wanted.heads.knows(writer, to) {
            return Err(format!("it ends with a head of the log of writer {writer} that was never published"));
        }
        self.spans.push(at.span);
        Ok(())
    }

    fn finish(self) -> Result<Checked, String> {
        let (heads, after) = (self.wanted.heads, self.after);
        let (mut logs, mut rows, mut marks) = (Vec::new(), 0, BTreeSet::new());
        for writer in heads.writers() {
            let (from, to) = heads.reach(writer, after);
            let covers = |span: &&Span| span.writer == writer && span.from.seq <= from.seq && span.to == to;
            let span = self.spans.iter().find(covers);
            let span = span.ok_or_else(|| {
                format!("the log of writer {writer} is not shown from entry {} to entry {}", from.seq + 1, to.seq)
            })?;
            if let Some(seq) = span.strange {
                return Err(format!(
                    "entry {seq} of the log of writer {writer} was written under another hash key, and nothing here opens \
                     what is about this contact under that one"
                ));
            }
            rows += span.rows;
            marks.extend(&span.marks);
            let published = |head: Head| heads.at(writer, head.seq).filter(|point| point.head == head);
            logs.push(CheckedLog {
                writer,
                entries: (span.from.seq + 1, span.to.seq),
                begins: published(span.from).map(|point| point.at),
                ends: heads.of(writer).last().map_or(after, |point| point.at),
            });
        }
        if let Some((writer, seq)) = self.nameless.first() {
            return Err(format!("entry {seq} of the log of writer {writer} allows a contact and names nobody"));
        }
        let late = |seen: &Seen| {
            seen.at() >= after || heads.surely_after(seen.writer, after).is_some_and(|place| seen.seq > place)
        };
        let (allowed, seen) = self.seen.into_values().partition(|seen| seen.matter.may_allow() && late(seen));
        let named = !self.named.is_empty() && marks.is_subset(&self.named);
        let link = match (self.wanted.number, named) {
            (None, _) => Link::NotAsked,
            (Some(_), true) => Link::Named,
            (Some(_), false) => Link::Unnamed,
        };
        let (unnamed, (_, until)) = (self.wanted.unnamed, heads.least());
        Ok(Checked { after, until, logs, allowed, seen, rows, link, unnamed })
    }
}

impl At {
    /// Goes on with the header of a segment, without its hash: see [`crate::audit`].
    fn segment(&mut self, header: &[u8; HEAD]) -> Result<(), String> {
        let field = |from: usize, to: usize| header.get(from..to).unwrap_or_default();
        let number = |from: usize| field(from, from + 8).try_into().map(u64::from_le_bytes).unwrap_or_default();
        let segment = number(16);
        let follows = field(0, 8) == MAGIC
            && field(8, 12) == FORMAT.to_le_bytes()
            && field(12, 16) == self.span.writer.0.to_le_bytes()
            && self.segment.map_or(segment > 0, |before| segment == before + 1)
            && (self.begun || segment == 1)
            && number(24) == self.span.to.seq + 1
            && field(32, 64) == self.link;
        if !follows {
            return Err("a segment's header does not follow on what stands before it".to_owned());
        }
        (self.segment, self.begun) = (Some(segment), true);
        self.link = sha256(header);
        Ok(())
    }
}
