//! Writing a proof from the log.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::json;

use super::check::{FORM, NAME};
use super::heads::Heads;
use super::line::{Line, hex};
use super::{Whom, rest_of, witness};
use crate::audit::entries::Step;
use crate::audit::entry::Outside;
use crate::audit::{Entries, Entry, Head, LogError};
use crate::store::{WriterId, sha256};
use crate::time::Instant;

/// Entries that are shown at most only to tie the number to the proof.
const MOST_TO_LINK: u64 = 200_000;

/// What to prove.
#[derive(Clone, Copy, Debug)]
pub struct Proving<'a> {
    /// The heads that were published.
    pub heads: &'a Heads,
    /// The instant.
    pub after: Instant,
    /// The contact, under the hash key of now and those of before.
    pub whom: &'a [Whom],
}

/// Why no proof can be made.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The proof cannot be written.
    #[error("writing the proof failed: {0}")]
    Io(#[from] io::Error),
    /// No head of a log was published since the instant.
    #[error(
        "no head of the log of writer {writer} was published since {after}, so nothing can be proven of what was recorded in it after that: publish one that names it with `ringfence audit head`, with the embedded store while no server runs (its newest is of {newest})"
    )]
    NoHead {
        /// Whose log.
        writer: WriterId,
        /// The instant.
        after: Instant,
        /// When its newest head was published.
        newest: Instant,
    },
    /// The log is another one than was published.
    #[error(
        "entry {seq} of the log of writer {writer} is not the one whose hash was published: the log was rewritten since, or these heads are of another one"
    )]
    NotPublished {
        /// Whose log.
        writer: WriterId,
        /// The entry.
        seq: u64,
    },
    /// The log ends before the published head.
    #[error(
        "the log of writer {writer} ends before entry {seq}, whose hash was published: its end was cut off, or this is an older copy"
    )]
    TooShort {
        /// Whose log.
        writer: WriterId,
        /// The entry.
        seq: u64,
    },
    /// An entry that cannot be shown in part.
    #[error(
        "entry {seq} of the log of writer {writer} was written by an earlier release, in a form that cannot be shown without showing whom else it is about: a proof can begin with a head published after it"
    )]
    OldForm {
        /// Whose log.
        writer: WriterId,
        /// The entry.
        seq: u64,
    },
}

/// Writes the proof, whatever it proves: [`super::check`] says that. `open` opens the log of a writer from its beginning.
///
/// # Errors
/// See [`Unproven`].
pub fn write(
    proving: Proving<'_>,
    open: &dyn Fn(WriterId) -> Result<Entries, LogError>,
    out: &mut dyn Write,
) -> Result<(), Unproven> {
    let Proving { heads, after, whom } = proving;
    let (writer, newest) = heads.least();
    if newest < after {
        return Err(Unproven::NoHead { writer, after, newest });
    }
    let opens = |whom: &Whom| json!([hex(&whom.mark), hex(&witness(&whom.tag)), hex(&whom.name_key)]);
    let witnesses: Vec<_> = whom.iter().map(opens).collect();
    let first = json!({ "ringfence": NAME, "form": FORM, "after": after.to_string(), "witnesses": witnesses });
    writeln!(out, "{first}")?;
    let mut marks = Marks::default();
    for writer in heads.writers() {
        let (from, to) = heads.reach(writer, after);
        span(writer, (from, to), whom, (open(writer)?, &mut marks), out)?;
    }
    let ours: BTreeSet<_> = whom.iter().map(|whom| whom.mark).collect();
    // Where nobody at all is in it, an entry under any of them says whose proof it is.
    let wanting = if marks.met.is_empty() { &ours } else { &marks.met };
    let mut linked = Marks::default();
    for mark in wanting.difference(&marks.named).filter(|mark| ours.contains(*mark)) {
        if !linked.named.contains(mark)
            && let Some((linking, shown)) = link(proving, *mark, open)?
        {
            out.write_all(&linking)?;
            linked.named.extend(shown.named);
        }
    }
    writeln!(out, "{}", Line::Done)?;
    Ok(out.flush()?)
}

/// Hash keys, by their marks.
#[derive(Default)]
struct Marks {
    /// Of entries about contacts.
    met: BTreeSet<[u8; 4]>,
    /// Of entries that name the number of the contact.
    named: BTreeSet<[u8; 4]>,
}

/// Writes a span, and notes the hash keys of its entries.
fn span(
    writer: WriterId,
    (from, to): (Head, Head),
    whom: &[Whom],
    (mut entries, marks): (Entries, &mut Marks),
    out: &mut dyn Write,
) -> Result<(), Unproven> {
    entries.skip_to(from.seq)?;
    writeln!(out, "{}", Line::Span(writer, from))?;
    let mut at = (from.seq == 0).then_some(from);
    while at != Some(to) {
        let step = entries.next_step()?.ok_or(Unproven::TooShort { writer, seq: to.seq })?;
        match step {
            Step::Segment(header) if at.is_some() => writeln!(out, "{}", Line::Segment(header))?,
            Step::Segment(_) => {}
            Step::Frame(frame) => {
                let head = Head { seq: frame.seq, hash: frame.hash };
                let published = if head.seq == from.seq { from } else { to };
                if head.seq == published.seq && head != published || head.seq > to.seq {
                    return Err(Unproven::NotPublished { writer, seq: head.seq });
                }
                if at.is_some() {
                    let old = Unproven::OldForm { writer, seq: frame.seq };
                    let line = line(frame.safe, &frame.content, whom).ok_or(old)?;
                    marks.note(&line);
                    writeln!(out, "{line}")?;
                }
                if head.seq >= from.seq {
                    at = Some(head);
                }
            }
        }
    }
    writeln!(out, "{}", Line::End(to))?;
    Ok(())
}

impl Marks {
    fn note(&mut self, line: &Line) {
        let (public, name) = match line {
            Line::Other { public, .. } => (public, [0; 16]),
            Line::Ours { public, name, .. } => (public, *name),
            _ => return,
        };
        if public.veil != [0; 16] {
            self.met.insert(public.mark);
        }
        if name != [0; 16] {
            self.named.insert(public.mark);
        }
    }
}

/// What is shown of an entry.
fn line(safe: u64, content: &[u8], whom: &[Whom]) -> Option<Line> {
    let (outside, _) = Outside::read(content)?;
    let (public, open, content) = (outside.public()?, outside.open?, sha256(content));
    if !outside.tag.is_some_and(|tag| whom.iter().any(|whom| whom.tag == tag)) {
        return Some(Line::Other { safe, public, rest: rest_of(&open.name, &open.plain, &content) });
    }
    Some(Line::Ours { safe, public, name: open.name, plain: open.plain, content })
}

/// The last entry before the proof that names the number of the contact under this hash key, between the heads published
/// around it: so that the log itself says whose proof it is. `None` where there is none, or it takes too much to show.
fn link(
    Proving { heads, after, whom }: Proving<'_>,
    mark: [u8; 4],
    open: &dyn Fn(WriterId) -> Result<Entries, LogError>,
) -> Result<Option<(Vec<u8>, Marks)>, Unproven> {
    let names = |entry: &Entry| {
        let named = entry.open.is_some_and(|open| open.mark == mark && open.name != [0; 16]);
        named && entry.tag.is_some_and(|tag| whom.iter().any(|whom| whom.tag == tag))
    };
    for writer in heads.writers() {
        let (reached, _) = heads.reach(writer, after);
        let (mut entries, mut last) = (open(writer)?, None);
        while let Some((found, _)) = entries.next_entry()?.filter(|(found, _)| found.seq <= reached.seq) {
            last = names(&found.entry).then_some(found.seq).or(last);
        }
        let Some(last) = last else { continue };
        let points = || heads.of(writer).iter().map(|point| point.head);
        let from = points().filter(|head| head.seq < last).max_by_key(|head| head.seq).unwrap_or_default();
        let to = points().filter(|head| head.seq >= last).min_by_key(|head| head.seq).unwrap_or(reached);
        if to.seq - from.seq > MOST_TO_LINK {
            continue;
        }
        let (mut linking, mut marks) = (Vec::new(), Marks::default());
        match span(writer, (from, to), whom, (open(writer)?, &mut marks), &mut linking) {
            Ok(()) => return Ok(Some((linking, marks))),
            Err(Unproven::OldForm { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
