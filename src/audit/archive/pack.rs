//! A closed segment, compressed: what `zstd -d` gives back is the segment to the byte.
//!
//! ```text
//! zstd frame of the segment's header · a zstd frame for each block of entries · footer
//! footer  zstd's skippable frame: 5D 2A 4D 18 · length u32 of what follows · "RFPACKED" · format u32 · the segment's
//!         header 120 · last seq u64 · its hash 32 · earliest and latest id u64 · SHA-256 of the segment 32
//!         · SHA-256 of all before the footer 32 · count u32 · per block: bytes u32, bytes compressed u32, first seq u64,
//!         earliest u64, latest u64 · bytes of the footer u32 · SHA-256 of the footer until here 32
//! ```
//!
//! The footer says which segment it is, whatever the file's name, and where each block begins, so that one entry is read
//! without decompressing the rest. It proves nothing by itself: the chain does, over what comes out.

use super::super::frame::{self, Frame, HEADER_LEN, Header, MAX_CONTENT};
use super::super::index::{Block, blocks_push, span};
use super::super::{Entry, Head};
use crate::store::{Digest, sha256};

const MAGIC: &[u8; 8] = b"RFPACKED";
const FORMAT: u32 = 1;
/// One of the sixteen marks of a skippable frame (RFC 8878, 3.1.2).
const SKIPPABLE: [u8; 4] = 0x184d_2a5d_u32.to_le_bytes();
const FIXED: usize = 8 + 8 + 4 + HEADER_LEN + 8 + 32 + 16 + 32 + 32 + 4;
const ROW: usize = 4 + 4 + 8 + 8 + 8;
/// What ends a footer: its length and its hash.
pub(in crate::audit) const TAIL: usize = 4 + 32;
/// A footer has a row for each 128 KiB of a segment: one that claims more than this is none of ours.
const MAX_FOOTER: usize = 64 << 20;
/// zstd's own default.
const LEVEL: i32 = 3;
/// No block is longer: blocks end with the entry that makes them long enough.
const MAX_BLOCK: usize = MAX_CONTENT + (1 << 20);

/// What the footer says of a compressed segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::audit) struct Footer {
    pub(in crate::audit) header: Header,
    /// The hash of the header, on which the first entry follows.
    pub(in crate::audit) header_hash: Digest,
    header_bytes: [u8; HEADER_LEN],
    pub(in crate::audit) head: Head,
    /// The earliest and latest id, in milliseconds.
    pub(in crate::audit) span: (u64, u64),
    plain: Digest,
    stored: Digest,
    /// Bytes of the compressed header.
    header_stored: u32,
    pub(in crate::audit) blocks: Vec<Block>,
}

/// Why a segment is not compressed: it is not whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::audit) enum NotPacked {
    /// Entry and what is wrong with it.
    Unsound(u64, &'static str),
    /// The compressor failed.
    Failed(String),
}

/// A segment's header with its hash, and its frames, each with where it begins.
type Whole<'b> = (Header, Digest, Vec<(usize, Frame<'b>)>);

/// Reads the entries of a whole segment in order, each checked against the one before; or says which is bad.
fn entries(plain: &[u8]) -> Result<Whole<'_>, (u64, &'static str)> {
    let (header, hash) = Header::decode(plain).map_err(|_| (0, "the header was altered"))?;
    let (mut frames, mut offset, mut link, mut seq) = (Vec::new(), HEADER_LEN, hash, header.first_seq);
    while let Some(rest) = plain.get(offset..).filter(|rest| !rest.is_empty()) {
        let frame = frame::at(rest).map_err(|_| (seq, "altered or cut short"))?;
        if frame.seq != seq || frame.before != link {
            return Err((seq, "not the one that follows"));
        }
        if Entry::decode(frame.content).is_none() {
            return Err((seq, "no entry"));
        }
        link = frame.hash;
        seq += 1;
        frames.push((offset, frame));
        offset += frame.length;
    }
    Ok((header, hash, frames))
}

/// Compresses a closed segment.
pub(in crate::audit) fn pack(plain: &[u8]) -> Result<(Vec<u8>, Footer), NotPacked> {
    let (header, header_hash, frames) = entries(plain).map_err(|(seq, why)| NotPacked::Unsound(seq, why))?;
    let mut blocks = Vec::new();
    for (offset, frame) in &frames {
        blocks_push(&mut blocks, *offset as u64, frame);
    }
    let failed = |error: std::io::Error| NotPacked::Failed(error.to_string());
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
    let header_bytes = *plain.first_chunk::<HEADER_LEN>().ok_or(NotPacked::Unsound(0, "the header was altered"))?;
    let mut out = compressor.compress(&header_bytes).map_err(failed)?;
    let header_stored = u32::try_from(out.len()).unwrap_or(u32::MAX);
    for block in &mut blocks {
        let bytes = part(plain, block.offset, block.length).unwrap_or_default();
        let packed = compressor.compress(bytes).map_err(failed)?;
        block.stored = (out.len() as u64, packed.len() as u64);
        out.extend_from_slice(&packed);
    }
    let head =
        frames.last().map_or(Head { seq: header.first_seq.saturating_sub(1), hash: header.before }, |(_, last)| Head {
            seq: last.seq,
            hash: last.hash,
        });
    let footer = Footer {
        header,
        header_hash,
        header_bytes,
        head,
        span: span(&blocks),
        plain: sha256(plain),
        stored: sha256(&out),
        header_stored,
        blocks,
    };
    out.extend_from_slice(&footer.encode());
    Ok((out, footer))
}

fn part(bytes: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

impl Footer {
    fn encode(&self) -> Vec<u8> {
        let length = FIXED + 4 + ROW * self.blocks.len() + TAIL;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&SKIPPABLE);
        out.extend_from_slice(&number(length - 8));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.header_bytes);
        out.extend_from_slice(&self.head.seq.to_le_bytes());
        out.extend_from_slice(&self.head.hash);
        out.extend_from_slice(&self.span.0.to_le_bytes());
        out.extend_from_slice(&self.span.1.to_le_bytes());
        out.extend_from_slice(&self.plain);
        out.extend_from_slice(&self.stored);
        out.extend_from_slice(&self.header_stored.to_le_bytes());
        out.extend_from_slice(&number(self.blocks.len()));
        for block in &self.blocks {
            out.extend_from_slice(&short(block.length));
            out.extend_from_slice(&short(block.stored.1));
            out.extend_from_slice(&block.first_seq.to_le_bytes());
            out.extend_from_slice(&block.earliest.to_le_bytes());
            out.extend_from_slice(&block.latest.to_le_bytes());
        }
        out.extend_from_slice(&number(length));
        out.extend_from_slice(&sha256(&out));
        out
    }

    /// The bytes of the footer alone: what stays here of a segment that stands in the archive.
    pub(in crate::audit) fn bytes(&self) -> Vec<u8> {
        self.encode()
    }

    /// How long the footer is whose last bytes these are.
    pub(in crate::audit) fn length(tail: &[u8; TAIL]) -> Option<usize> {
        let length = u32::from_le_bytes(*tail.first_chunk()?) as usize;
        (FIXED + 4 + TAIL..=MAX_FOOTER).contains(&length).then_some(length)
    }

    /// Reads a footer.
    pub(in crate::audit) fn decode(bytes: &[u8]) -> Option<Self> {
        let (said, hash) = bytes.split_last_chunk::<32>()?;
        if sha256(said) != *hash {
            return None;
        }
        let mut rest = said;
        let fixed = take::<4>(&mut rest)? == SKIPPABLE
            && u32::from_le_bytes(take(&mut rest)?) as usize == bytes.len() - 8
            && take::<8>(&mut rest)? == *MAGIC
            && u32::from_le_bytes(take(&mut rest)?) == FORMAT;
        if !fixed {
            return None;
        }
        let header_bytes = take::<HEADER_LEN>(&mut rest)?;
        let (header, header_hash) = Header::decode(&header_bytes).ok()?;
        let head = Head { seq: u64::from_le_bytes(take(&mut rest)?), hash: take(&mut rest)? };
        let span = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
        let (plain, stored) = (take(&mut rest)?, take(&mut rest)?);
        let header_stored = u32::from_le_bytes(take(&mut rest)?);
        let count = u32::from_le_bytes(take(&mut rest)?) as usize;
        if rest.len() != count.checked_mul(ROW)? + 4 {
            return None;
        }
        let (mut offset, mut at) = (HEADER_LEN as u64, u64::from(header_stored));
        let mut blocks = Vec::with_capacity(count);
        for _ in 0..count {
            let length = u64::from(u32::from_le_bytes(take(&mut rest)?));
            let packed = u64::from(u32::from_le_bytes(take(&mut rest)?));
            let first_seq = u64::from_le_bytes(take(&mut rest)?);
            let (earliest, latest) = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
            blocks.push(Block { offset, length, first_seq, earliest, latest, stored: (at, packed) });
            offset += length;
            at += packed;
        }
        let whole = u32::from_le_bytes(take(&mut rest)?) as usize == bytes.len();
        let footer = Self { header, header_hash, header_bytes, head, span, plain, stored, header_stored, blocks };
        whole.then_some(footer)
    }

    /// The footer at the end of a compressed segment.
    pub(in crate::audit) fn of(packed: &[u8]) -> Option<Self> {
        let length = Self::length(packed.last_chunk()?)?;
        Self::decode(packed.get(packed.len().checked_sub(length)?..)?)
    }

    /// Bytes of the compressed segment whose footer this is.
    pub(in crate::audit) fn packed_length(&self) -> u64 {
        let blocks: u64 = self.blocks.iter().map(|block| block.stored.1).sum();
        u64::from(self.header_stored) + blocks + (FIXED + 4 + ROW * self.blocks.len() + TAIL) as u64
    }
}

/// What comes out of a compressed segment.
pub(in crate::audit) struct Unpacked {
    /// The segment, as far as it can be had.
    pub(in crate::audit) plain: Vec<u8>,
    /// What is wrong with the compressed file, and at which of its bytes; `None` if it is as it was made.
    pub(in crate::audit) fault: Option<(u64, &'static str)>,
}

/// Decompresses a segment, as far as it goes.
pub(in crate::audit) fn unpack(packed: &[u8]) -> Unpacked {
    let nothing = |why| Unpacked { plain: Vec::new(), fault: Some((packed.len() as u64, why)) };
    let Some(footer) = Footer::of(packed) else {
        return nothing("its footer is damaged or cut off (`zstd -d` may still read the entries)");
    };
    let mut plain = footer.header_bytes.to_vec();
    if footer.packed_length() != packed.len() as u64 {
        return Unpacked { plain, fault: Some((0, "it is shorter or longer than its footer says")) };
    }
    for block in &footer.blocks {
        match part(packed, block.stored.0, block.stored.1).and_then(|stored| unpack_block(stored, block.length)) {
            Some(bytes) => plain.extend_from_slice(&bytes),
            None => return Unpacked { plain, fault: Some((block.stored.0, "it does not decompress")) },
        }
    }
    let body = packed.len().checked_sub(footer.encode().len()).and_then(|end| packed.get(..end)).unwrap_or_default();
    let fault = if sha256(body) != footer.stored {
        Some((0, "the compressed bytes were altered"))
    } else if sha256(&plain) != footer.plain {
        Some((0, "it holds something else than its footer says"))
    } else {
        None
    };
    Unpacked { plain, fault }
}

/// One block, which has so many bytes.
pub(in crate::audit) fn unpack_block(stored: &[u8], length: u64) -> Option<Vec<u8>> {
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BLOCK)?;
    let bytes = zstd::bulk::decompress(stored, length).ok()?;
    (bytes.len() == length).then_some(bytes)
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn short(value: u64) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*chunk)
}
