//! The index of a closed segment, on disk beside it: which of its entries are about a contact, or in a campaign.
//!
//! ```text
//! "RFLOOKUP" · format u32 · number u64 · first seq u64 · entries u32
//! · for contacts, then for campaigns: rows u32, then for each first byte of a tag: rows until its end u32, the first
//!   four bytes of the SHA-256 of its rows
//! · SHA-256 of all before 32
//! · the rows of contacts, then those of campaigns: the first eight bytes of the tag, then the entry's place after the
//!   segment's first u32; sorted
//! ```
//!
//! A look-up reads the head and one bucket of rows, both checked. What is missing or damaged is made anew from the
//! segment. It says where to read, never what stands there; and nothing that the segment does not show.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::super::entry::Outside;
use super::super::index::{Index, Segment};
use super::super::{LogError, frame, segment};
use crate::store::sha256;

const MAGIC: &[u8; 8] = b"RFLOOKUP";
const FORMAT: u32 = 1;
const BUCKETS: usize = 256;
const ROW: usize = 12;
const FIXED: usize = 8 + 4 + 8 + 8 + 4;
const PART: usize = 4 + BUCKETS * 8;
/// What is read and checked before any row is looked for.
const HEAD: usize = FIXED + 2 * PART + 32;

type Row = ([u8; 8], u32);

/// Makes the index of all frames of a segment; `None` if one of them is not whole.
pub(in crate::audit) fn build(number: u64, first_seq: u64, frames: &[u8]) -> Option<Vec<u8>> {
    let (mut contacts, mut campaigns, mut entries, mut rest) = (Vec::new(), Vec::new(), 0_u32, frames);
    while !rest.is_empty() {
        let frame = frame::at(rest).ok()?;
        rest = rest.get(frame.length..)?;
        let (outside, _) = Outside::read(frame.content)?;
        contacts.extend(outside.tag.as_ref().and_then(|tag| tag.first_chunk()).map(|tag| (*tag, entries)));
        campaigns.extend(outside.campaign.as_ref().and_then(|tag| tag.first_chunk()).map(|tag| (*tag, entries)));
        entries = entries.saturating_add(1);
    }
    let mut out = Vec::with_capacity(HEAD + ROW * (contacts.len() + campaigns.len()));
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&first_seq.to_le_bytes());
    out.extend_from_slice(&entries.to_le_bytes());
    let mut rows = Vec::new();
    for mut part in [contacts, campaigns] {
        part.sort_unstable();
        part_head(&mut out, &mut rows, &part);
    }
    out.extend_from_slice(&sha256(&out));
    out.extend_from_slice(&rows);
    Some(out)
}

fn part_head(out: &mut Vec<u8>, rows: &mut Vec<u8>, part: &[Row]) {
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut end = 0_usize;
    for bucket in 0..=u8::MAX {
        let start = rows.len();
        for (tag, ordinal) in part.iter().skip(end).take_while(|(tag, _)| tag.first() == Some(&bucket)) {
            rows.extend_from_slice(tag);
            rows.extend_from_slice(&ordinal.to_le_bytes());
        }
        let bytes = rows.get(start..).unwrap_or_default();
        end += bytes.len() / ROW;
        out.extend_from_slice(&u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&check(bytes));
    }
}

fn check(rows: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(rows);
    [a, b, c, d]
}

/// An index, its head read and checked.
pub(super) struct Lookup {
    head: Vec<u8>,
    rows: Rows,
}

enum Rows {
    File(PathBuf),
    /// Just made, and perhaps not to be kept.
    Here(Vec<u8>),
}

impl Lookup {
    /// The places of entries about the contact with this tag; `None` if the index is damaged.
    pub(super) fn contact(&self, tag: &[u8; 32]) -> Option<Vec<u32>> {
        self.ordinals(0, tag.first_chunk()?)
    }

    /// The places of entries in the campaign with this tag; `None` if the index is damaged.
    pub(super) fn campaign(&self, tag: &[u8; 16]) -> Option<Vec<u32>> {
        self.ordinals(1, tag.first_chunk()?)
    }

    fn ordinals(&self, part: usize, tag: &[u8; 8]) -> Option<Vec<u32>> {
        let head = self.head.get(FIXED + part * PART..)?;
        let bucket = usize::from(*tag.first()?);
        let end_of = |bucket: usize| word(head, 4 + bucket * 8);
        let start = if bucket == 0 { 0 } else { end_of(bucket - 1)? };
        let end = end_of(bucket)?;
        let before = if part == 0 { 0 } else { word(&self.head, FIXED)? };
        let count = end.checked_sub(start)?;
        let bytes = self.rows(u64::from(before) + u64::from(start), count)?;
        if head.get(8 + bucket * 8..12 + bucket * 8)? != check(&bytes) {
            return None;
        }
        let rows = bytes.chunks_exact(ROW).filter(|row| row.starts_with(tag));
        Some(rows.filter_map(|row| word(row, 8)).collect())
    }

    fn rows(&self, first: u64, count: u32) -> Option<Vec<u8>> {
        let (offset, length) = (first * ROW as u64, count as usize * ROW);
        match &self.rows {
            Rows::Here(rows) => {
                let start = usize::try_from(offset).ok()?;
                rows.get(start..start.checked_add(length)?).map(<[u8]>::to_vec)
            }
            Rows::File(path) => {
                let mut file = fs::File::open(path).ok()?;
                file.seek(SeekFrom::Start(HEAD as u64 + offset)).ok()?;
                let mut bytes = Vec::new();
                file.take(length as u64).read_to_end(&mut bytes).ok()?;
                (bytes.len() == length).then_some(bytes)
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// The index of a closed segment, made where there is none that holds.
pub(super) fn read_or_make(index: &Index, one: &Segment) -> Result<Lookup, LogError> {
    let path = segment::lookup_path(index.folder(), one.number);
    let mut head = Vec::with_capacity(HEAD);
    // Whatever is wrong with the file, a new one is made.
    let read = fs::File::open(&path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    match read {
        Ok(_) if holds(&head, one) => Ok(Lookup { head, rows: Rows::File(path) }),
        _ => make(index, one),
    }
}

fn holds(head: &[u8], one: &Segment) -> bool {
    let Some((said, hash)) = head.split_last_chunk::<32>().filter(|_| head.len() == HEAD) else { return false };
    let fixed = [MAGIC.as_slice(), &FORMAT.to_le_bytes(), &one.number.to_le_bytes(), &one.first_seq.to_le_bytes()];
    said.starts_with(&fixed.concat()) && sha256(said) == *hash
}

/// Makes the index of a closed segment from its entries, and keeps it.
pub(super) fn make(index: &Index, one: &Segment) -> Result<Lookup, LogError> {
    let bytes = build(one.number, one.first_seq, &index.whole(one)?).ok_or_else(|| LogError::Corrupt {
        path: segment::path(index.folder(), one.number),
        why: "an entry was altered; run `ringfence audit verify`".into(),
    })?;
    if let Err(error) = keep(index.folder(), one.number, &bytes) {
        // Looking up goes on without it; the next look-up makes it again.
        tracing::warn!(segment = one.number, %error, "the index of a segment of the audit log cannot be kept");
    }
    let mut head = bytes;
    let rows = head.split_off(HEAD.min(head.len()));
    Ok(Lookup { head, rows: Rows::Here(rows) })
}

/// Writes an index beside its segment. Not synced: what a crash leaves of it does not hold, and is made anew.
pub(in crate::audit) fn keep(folder: &std::path::Path, number: u64, bytes: &[u8]) -> Result<(), LogError> {
    let path = segment::lookup_path(folder, number);
    // Two look-ups may make it at once.
    let new = path.with_extension(format!("idx.{:?}.new", std::thread::current().id()));
    let written =
        fs::File::create(&new).and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&new, &path));
    written.map_err(|error| LogError::from_io(&path, "writing", &error))
}
