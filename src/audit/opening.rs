//! Where a log goes on after whatever happened, or begins.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::SegmentOpener;
use super::frame::HEADER_LEN;
use super::index::{self, Index};
use super::segment::{self, Forms, Listing};
use super::writer::Open;
use super::{Anchor, Head, LogError, Recovered};
use crate::store::{Digest, WriterId};

pub(super) fn random<const N: usize>(folder: &Path) -> Result<[u8; N], LogError> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).map_err(|_| {
        let error = io::Error::other("the system gave no random bytes");
        LogError::from_io(folder, "beginning the audit log", &error)
    })?;
    Ok(out)
}

/// Where a log goes on.
pub(super) struct End {
    pub(super) open: Open,
    pub(super) head: Head,
    pub(super) recovered: Option<Recovered>,
    /// See [`segment::Tail::unanchored`].
    pub(super) unanchored: Vec<(u8, Digest)>,
}

/// Finds where the log goes on, or begins it.
pub(super) fn find_end(
    folder: &Path,
    anchors: &[Anchor],
    index: &Index,
    opener: &SegmentOpener,
) -> Result<End, LogError> {
    let mut listing = segment::list(folder)?;
    if let Some(stranger) = listing.strangers.first() {
        return Err(LogError::Foreign { path: stranger.clone(), why: "no segment of an audit log".into() });
    }
    let mut recovered = drop_unborn(folder, &mut listing)?;
    for (number, expected) in listing.segments.keys().zip(1..) {
        if *number != expected {
            return Err(missing(segment::path(folder, expected)));
        }
    }
    let Some((newest, forms)) = listing.segments.iter().next_back().map(|(number, forms)| (*number, *forms)) else {
        let writer = WriterId(u32::from_le_bytes(random(folder)?));
        let open = Open::first(folder, writer, index, opener)?;
        return Ok(End { open, head: Head::default(), recovered, unanchored: Vec::new() });
    };
    if forms.packed || forms.away {
        // A segment is compressed only once the next one is there.
        return Err(missing(segment::path(folder, newest + 1)));
    }
    for (number, forms) in listing.segments.range(..newest) {
        let (first_seq, span) = closed(folder, *number, *forms, listing.segments.get(&(number + 1)))?;
        index.push_closed(*number, first_seq, span);
    }
    let path = segment::path(folder, newest);
    let io = |error: io::Error| LogError::from_io(&path, "opening the audit log", &error);
    let tail = segment::read_tail(&path, anchors)?;
    let mut file = opener(&path, false).map_err(io)?;
    if let Some(torn) = tail.torn {
        file.cut(tail.offset).and_then(|()| file.sync()).map_err(io)?;
        tracing::warn!(segment = torn.segment, offset = torn.offset, bytes = torn.bytes, "cut off an unfinished write");
        recovered = Some(torn);
    }
    let span = index::span(&tail.blocks);
    index.push_open(newest, tail.header.first_seq, tail.blocks);
    let open = Open { file, header: tail.header, offset: tail.offset, link: tail.link, span };
    Ok(End { open, head: tail.head, recovered, unanchored: tail.unanchored })
}

fn missing(path: PathBuf) -> LogError {
    let why = "a segment of the audit log; restore it from a backup, or its compressed copy from the archive".into();
    LogError::Missing { path, why }
}

/// The first entry of a closed segment, and the earliest and latest id in it.
fn closed(folder: &Path, number: u64, forms: Forms, next: Option<&Forms>) -> Result<(u64, (u64, u64)), LogError> {
    if !forms.plain {
        let path = if forms.packed { segment::packed_path } else { segment::away_path };
        let footer = segment::read_footer(&path(folder, number))?;
        return Ok((footer.header.first_seq, footer.span));
    }
    let first_seq = segment::read_header(&segment::path(folder, number))?.first_seq;
    // The next one's header says it.
    let after = match next {
        Some(next) if next.plain => segment::read_header(&segment::path(folder, number + 1))?,
        Some(next) if next.packed => segment::read_footer(&segment::packed_path(folder, number + 1))?.header,
        _ => segment::read_footer(&segment::away_path(folder, number + 1))?.header,
    };
    Ok((first_seq, after.ids_before))
}

/// Removes the newest segment if a crash came before its header was whole: no entry can have been in it.
fn drop_unborn(folder: &Path, listing: &mut Listing) -> Result<Option<Recovered>, LogError> {
    let Some((newest, Forms { plain: true, packed: false, away: false })) = listing.segments.iter().next_back() else {
        return Ok(None);
    };
    let newest = *newest;
    let path = segment::path(folder, newest);
    let io = |error: io::Error| LogError::from_io(&path, "opening the audit log", &error);
    let bytes = path.metadata().map_err(io)?.len();
    if bytes > HEADER_LEN as u64 || segment::read_header(&path).is_ok() {
        return Ok(None);
    }
    std::fs::remove_file(&path).map_err(io)?;
    listing.segments.remove(&newest);
    let segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::warn!(segment, "removed a segment that a crash left without its header");
    Ok(Some(Recovered { segment, offset: 0, bytes }))
}
