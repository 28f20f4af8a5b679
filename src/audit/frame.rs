//! How entries stand in a segment, and how each is chained to the one before.
//!
//! A segment is one header and then frames. Numbers are little-endian.
//!
//! ```text
//! header  "RFAUDIT\n" · format u32 · writer u32 · number u64 · first seq u64 · hash before 32 · made at i64
//!         · ids before: earliest u64, latest u64 · hash 32
//! frame   length u32 of what follows · seq u64 · safe u64 · hash before 32 · content · hash 32
//! ```
//!
//! A header's hash is SHA-256 over its bytes; a frame's is SHA-256 over a label, seq, safe, the hash before and the
//! digest of its content (SHA-256, or over hashes of its parts: see [`super::proof`]). The hash before is that of the frame or, for a segment's first frame, of the header
//! before it; a header's that of the last frame of the segment before, zeros for the first. `safe` is the newest entry
//! known to be on disk when this one was written: damage below it is no crash.

use super::entry::digest_of;
use crate::store::{Digest, MAX_BYTES, WriterId, sha256};

pub(super) const MAGIC: &[u8; 8] = b"RFAUDIT\n";
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_LEN: usize = 120;
/// What a frame has besides its content.
const AROUND: usize = 8 + 8 + 32 + 32;
/// The most bytes of an entry's content: what the store takes in its outbox.
pub(super) const MAX_CONTENT: usize = MAX_BYTES;
const LABEL: &[u8; 18] = b"ringfence audit 1\0";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) writer: WriterId,
    /// Counted from 1; also the file's name.
    pub(super) number: u64,
    pub(super) first_seq: u64,
    pub(super) before: Digest,
    pub(super) made_at: i64,
    /// The earliest and latest id (in milliseconds) of the segment before.
    pub(super) ids_before: (u64, u64),
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    /// Not even the mark: something else's file.
    Foreign,
    Newer(u32),
    Damaged,
}

impl Header {
    pub(super) fn encode(&self) -> ([u8; HEADER_LEN], Digest) {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.writer.0.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first_seq.to_le_bytes());
        out.extend_from_slice(&self.before);
        out.extend_from_slice(&self.made_at.to_le_bytes());
        out.extend_from_slice(&self.ids_before.0.to_le_bytes());
        out.extend_from_slice(&self.ids_before.1.to_le_bytes());
        let hash = sha256(&out);
        out.extend_from_slice(&hash);
        let mut bytes = [0; HEADER_LEN];
        bytes.iter_mut().zip(out).for_each(|(to, from)| *to = from);
        (bytes, hash)
    }

    /// The header and its hash.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, Digest), BadHeader> {
        let mut rest = bytes;
        if take::<8>(&mut rest) != Some(*MAGIC) {
            return Err(BadHeader::Foreign);
        }
        let parse = |mut rest: &[u8]| {
            let format = u32::from_le_bytes(take(&mut rest)?);
            let header = Self {
                writer: WriterId(u32::from_le_bytes(take(&mut rest)?)),
                number: u64::from_le_bytes(take(&mut rest)?),
                first_seq: u64::from_le_bytes(take(&mut rest)?),
                before: take(&mut rest)?,
                made_at: i64::from_le_bytes(take(&mut rest)?),
                ids_before: (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?)),
            };
            Some((format, header, take::<32>(&mut rest)?))
        };
        let (format, header, hash) = parse(rest).ok_or(BadHeader::Damaged)?;
        let hashed = bytes.get(..HEADER_LEN - 32).map(sha256);
        match (hashed == Some(hash), format) {
            (true, FORMAT) => Ok((header, hash)),
            (true, newer) => Err(BadHeader::Newer(newer)),
            (false, _) => Err(BadHeader::Damaged),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*chunk)
}

pub(super) fn chain(seq: u64, safe: u64, before: &Digest, digest: &Digest) -> Digest {
    let text = [LABEL.as_slice(), &seq.to_le_bytes(), &safe.to_le_bytes(), before, digest].concat();
    sha256(&text)
}

/// Appends a frame to `out` and returns its hash.
pub(super) fn push(out: &mut Vec<u8>, seq: u64, safe: u64, before: &Digest, content: &[u8], digest: &Digest) -> Digest {
    let hash = chain(seq, safe, before, digest);
    // Contents are bounded when they are accepted.
    let length = u32::try_from(AROUND + content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&safe.to_le_bytes());
    out.extend_from_slice(before);
    out.extend_from_slice(content);
    out.extend_from_slice(&hash);
    hash
}

/// A frame whose hash is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame<'b> {
    pub(super) seq: u64,
    pub(super) safe: u64,
    pub(super) before: Digest,
    pub(super) content: &'b [u8],
    pub(super) digest: Digest,
    pub(super) hash: Digest,
    /// Bytes from its start to the next frame's.
    pub(super) length: usize,
}

/// Why there is no frame at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoFrame {
    /// The bytes end before the frame does.
    Short,
    /// The hash does not match, or the length is impossible.
    Bad,
}

/// The frame at the start of these bytes.
pub(super) fn at(bytes: &[u8]) -> Result<Frame<'_>, NoFrame> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(NoFrame::Short)?;
    let length = u32::from_le_bytes(*length) as usize;
    if !(AROUND..=AROUND + MAX_CONTENT).contains(&length) {
        return Err(NoFrame::Bad);
    }
    let mut head = rest.get(..length).ok_or(NoFrame::Short)?;
    let parse = |rest: &mut &[u8]| {
        let (seq, safe) = (u64::from_le_bytes(take(rest)?), u64::from_le_bytes(take(rest)?));
        Some((seq, safe, take::<32>(rest)?))
    };
    let (seq, safe, before) = parse(&mut head).ok_or(NoFrame::Bad)?;
    let (content, hash) = head.split_last_chunk::<32>().ok_or(NoFrame::Bad)?;
    let digest = digest_of(content);
    if chain(seq, safe, &before, &digest) != *hash {
        return Err(NoFrame::Bad);
    }
    Ok(Frame { seq, safe, before, content, digest, hash: *hash, length: 4 + length })
}

/// An intact frame anywhere in these bytes, later than `seq` and written when `seq` was already safe: proof that damage
/// at `seq` is no unfinished write.
pub(super) fn proof_of_safety(bytes: &[u8], seq: u64) -> Option<Frame<'_>> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut head = rest.get(4..).unwrap_or_default();
        let numbers = take(&mut head).zip(take(&mut head));
        // Hashing at every byte would take quadratic time: most places are ruled out by their numbers.
        if let Some((at_seq, safe)) = numbers.map(|(a, b)| (u64::from_le_bytes(a), u64::from_le_bytes(b)))
            && (seq..at_seq).contains(&safe)
            && let Ok(frame) = at(rest)
        {
            return Some(frame);
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    None
}
