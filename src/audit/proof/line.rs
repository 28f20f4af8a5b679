//! The lines of a proof, read and written. Hexadecimal is in lower case: one value has one text.

use super::{Public, rest_of};
use crate::audit::Head;
use crate::audit::frame::HEADER_LEN;
use crate::store::{Digest, WriterId};

/// Bytes of a segment's header without its hash.
pub(super) const HEAD: usize = HEADER_LEN - 32;

/// One line behind the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// What follows is of this log, behind this head.
    Span(WriterId, Head),
    /// A segment begins: its header.
    Segment(Box<[u8; HEAD]>),
    /// An entry about somebody else, or nobody.
    Other { safe: u64, public: Public, rest: Digest },
    /// An entry about the contact of the proof.
    Ours { safe: u64, public: Public, name: [u8; 16], plain: Digest, content: Digest },
    /// The span ends with this head.
    End(Head),
    /// The proof ends.
    Done,
}

/// What both kinds of entries give to the chain.
impl Line {
    pub(super) fn digest(&self) -> Option<(u64, Public, Digest)> {
        match self {
            Self::Other { safe, public, rest } => Some((*safe, *public, public.digest(rest))),
            Self::Ours { safe, public, name, plain, content } => {
                Some((*safe, *public, public.digest(&rest_of(name, plain, content))))
            }
            _ => None,
        }
    }

    /// Reads a line; `None` if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let line = match words.next()? {
            "span" => Self::Span(writer(words.next()?)?, head(&mut words)?),
            "h" => Self::Segment(Box::new(unhex(words.next()?)?)),
            "e" => {
                let (safe, public) = public(&mut words)?;
                Self::Other { safe, public, rest: unhex(words.next()?)? }
            }
            "m" => {
                let (safe, public) = public(&mut words)?;
                let (name, plain) = (unhex(words.next()?)?, unhex(words.next()?)?);
                Self::Ours { safe, public, name, plain, content: unhex(words.next()?)? }
            }
            "end" => Self::End(head(&mut words)?),
            "done" => Self::Done,
            _ => return None,
        };
        words.next().is_none().then_some(line)
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Span(writer, head) => write!(f, "span {writer} {} {}", head.seq, hex(&head.hash)),
            Self::Segment(header) => write!(f, "h {}", hex(&**header)),
            Self::Other { safe, public, rest } => {
                write!(f, "e {} {}", shown(*safe, public), hex(rest))
            }
            Self::Ours { safe, public, name, plain, content } => {
                write!(f, "m {} {} {} {}", shown(*safe, public), hex(name), hex(plain), hex(content))
            }
            Self::End(head) => write!(f, "end {} {}", head.seq, hex(&head.hash)),
            Self::Done => f.write_str("done"),
        }
    }
}

fn shown(safe: u64, public: &Public) -> String {
    format!("{} {safe} {} {} {}", public.kind, hex(&public.id), hex(&public.veil), hex(&public.mark))
}

fn public<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<(u64, Public)> {
    let kind = decimal(words.next()?)?;
    let safe = decimal(words.next()?)?;
    let (id, veil, mark) = (unhex(words.next()?)?, unhex(words.next()?)?, unhex(words.next()?)?);
    Some((safe, Public { kind: u8::try_from(kind).ok()?, id, veil, mark }))
}

fn head<'t>(words: &mut impl Iterator<Item = &'t str>) -> Option<Head> {
    Some(Head { seq: decimal(words.next()?)?, hash: unhex(words.next()?)? })
}

/// A number without sign, space or leading zero.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// A writer as its logs and heads name it.
pub(super) fn writer(text: &str) -> Option<WriterId> {
    let writer = WriterId(u32::from_str_radix(text, 16).ok()?);
    (writer.to_string() == text).then_some(writer)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// So many bytes, written as [`hex`] writes them.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != N {
        return None;
    }
    let mut out = [0; N];
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(out)
}
