//! Selecting entries in order: by contact, by campaign, by time, by kind; a page at a time, with bounded work.

mod file;

use std::collections::BTreeSet;

pub(super) use file::{build, keep};

use super::entry::Outside;
use super::frame::{self, Frame};
use super::index::{Block, Index, Segment, Table};
use super::{Entry, Found, LogError};

/// Blocks read for one page at most: 64 MiB of entries.
const MOST_BLOCKS: usize = 512;
/// Segments whose index is asked for one page at most.
const MOST_SEGMENTS: usize = 8_192;

/// In which order entries are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// By their place in the log, the last first.
    #[default]
    NewestFirst,
    /// By their place in the log.
    OldestFirst,
}

/// Which entries to list: every condition given must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    /// About the contact with this keyed tag.
    pub tag: Option<[u8; 32]>,
    /// In the campaign with this keyed tag.
    pub campaign: Option<[u8; 16]>,
    /// With an id made in these milliseconds since the Unix epoch.
    pub millis: std::ops::RangeInclusive<u64>,
    /// Of one of these kinds.
    pub kinds: Vec<u8>,
    /// In this order.
    pub order: Order,
    /// Only those behind this place, in that order.
    pub after: Option<u64>,
    /// So many at most.
    pub most: usize,
}

/// A page of entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selected {
    /// The entries, in the order asked for.
    pub found: Vec<Found>,
    /// The place behind which the next page begins; `None`: nothing is left. A page may be short, even empty, and still
    /// have a next one: the work for one is bounded.
    pub resume: Option<u64>,
}

impl Select {
    fn wants(&self, outside: &Outside) -> bool {
        self.tag.is_none_or(|tag| outside.tag == Some(tag))
            && self.campaign.is_none_or(|campaign| outside.campaign == Some(campaign))
            && self.kinds.contains(&outside.kind)
            && self.millis.contains(&outside.id.millis())
    }

    /// Whether this place comes behind the one to start from.
    fn is_behind(&self, seq: u64) -> bool {
        match (self.after, self.order) {
            (None, _) => true,
            (Some(after), Order::NewestFirst) => seq < after,
            (Some(after), Order::OldestFirst) => seq > after,
        }
    }

    fn ordered<T>(&self, mut all: Vec<T>) -> Vec<T> {
        if self.order == Order::NewestFirst {
            all.reverse();
        }
        all
    }
}

/// The entries wanted.
///
/// # Errors
/// A segment cannot be read, here or in the archive; an entry that is wanted was altered.
pub(super) fn select(index: &Index, select: &Select) -> Result<Selected, LogError> {
    let all = index.segments();
    // The place behind a segment's last entry: where the next begins.
    let ends = all.iter().skip(1).map(|next| next.first_seq).chain([u64::MAX]);
    let segments = all.iter().copied().zip(ends).collect();
    let mut page = Page { selected: Selected::default(), blocks: 0, behind: select.after };
    let mut asked = 0;
    for (segment, end) in select.ordered(segments) {
        let (first, last) = (segment.first_seq, end - 1);
        if !select.is_behind(if select.order == Order::NewestFirst { first } else { last }) {
            continue;
        }
        if segment.span.0 > *select.millis.end() || segment.span.1 < *select.millis.start() {
            continue;
        }
        asked += 1;
        let full = asked > MOST_SEGMENTS || !page.fill(index, select, &segment)?;
        if full {
            // Everything before this place was looked at.
            page.selected.resume = page.behind;
            return Ok(page.selected);
        }
        page.behind = Some(if select.order == Order::NewestFirst { first } else { last });
    }
    Ok(page.selected)
}

struct Page {
    selected: Selected,
    blocks: usize,
    /// Everything up to this place was looked at.
    behind: Option<u64>,
}

impl Page {
    /// Adds what a segment has; `false` if the page is full before the segment ends.
    fn fill(&mut self, index: &Index, select: &Select, segment: &Segment) -> Result<bool, LogError> {
        let table = index.table(segment)?;
        let seqs = if segment.closed { indexed(index, select, segment)? } else { None };
        let wanted: Vec<Block> = table
            .blocks
            .iter()
            .enumerate()
            .filter(|(at, block)| {
                let end = table.blocks.get(at + 1).map_or(u64::MAX, |next| next.first_seq);
                block.may_hold(&select.millis)
                    && (select.is_behind(block.first_seq) || select.is_behind(end - 1))
                    && seqs.as_ref().is_none_or(|seqs| seqs.range(block.first_seq..end).next().is_some())
            })
            .map(|(_, block)| *block)
            .collect();
        for block in select.ordered(wanted) {
            if self.blocks >= MOST_BLOCKS {
                return Ok(false);
            }
            self.blocks += 1;
            if !self.block(index, select, (segment, &table, &block))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn block(&mut self, index: &Index, select: &Select, at: (&Segment, &Table, &Block)) -> Result<bool, LogError> {
        let (segment, table, block) = at;
        let bytes = index.read(segment, table, block)?;
        let altered = |seq: u64| LogError::Corrupt {
            path: super::segment::path(index.folder(), segment.number),
            why: format!("entry {seq} was altered; run `ringfence audit verify`"),
        };
        let mut places = Vec::new();
        let (mut rest, mut seq) = (bytes.as_slice(), block.first_seq);
        while !rest.is_empty() {
            // Of all, not only of what is wanted: an altered one must not hide by saying that it is something else.
            let frame = frame::at(rest).ok().filter(|frame| frame.seq == seq).ok_or_else(|| altered(seq))?;
            let (outside, _) = Outside::read(frame.content).ok_or_else(|| altered(seq))?;
            if select.is_behind(seq) && select.wants(&outside) {
                places.push(frame);
            }
            rest = rest.get(frame.length..).unwrap_or_default();
            seq += 1;
        }
        for Frame { seq, content, .. } in select.ordered(places) {
            if self.selected.found.len() >= select.most {
                return Ok(false);
            }
            let entry = Entry::decode(content).ok_or_else(|| altered(seq))?;
            self.selected.found.push(Found { seq, entry });
            self.behind = Some(seq);
        }
        self.behind = Some(if select.order == Order::NewestFirst { block.first_seq } else { seq - 1 });
        Ok(true)
    }
}

/// The places at which a closed segment has what is wanted, by its index; `None` where nothing was asked for that an
/// index knows.
fn indexed(index: &Index, select: &Select, segment: &Segment) -> Result<Option<BTreeSet<u64>>, LogError> {
    if select.tag.is_none() && select.campaign.is_none() {
        return Ok(None);
    }
    let ask = |lookup: &file::Lookup| -> Option<[Option<Vec<u32>>; 2]> {
        let contact = select.tag.as_ref().map(|tag| lookup.contact(tag).ok_or(())).transpose().ok()?;
        let campaign = select.campaign.as_ref().map(|tag| lookup.campaign(tag).ok_or(())).transpose().ok()?;
        Some([contact, campaign])
    };
    let [contact, campaign] = match ask(&file::read_or_make(index, segment)?) {
        Some(asked) => asked,
        // A damaged part: made anew from the segment.
        None => ask(&file::make(index, segment)?).unwrap_or_default(),
    };
    let places = |ordinals: Vec<u32>| -> BTreeSet<u64> {
        ordinals.into_iter().map(|ordinal| segment.first_seq + u64::from(ordinal)).collect()
    };
    Ok(match (contact.map(places), campaign.map(places)) {
        (Some(one), Some(other)) => Some(one.intersection(&other).copied().collect()),
        (one, other) => one.or(other),
    })
}
