//! Proof of absence: that no contact to one number was allowed after an instant, for somebody who has nothing of ours but
//! heads of the chain that were published.
//!
//! Promises: whoever checks a proof learns of other contacts nothing but that there are entries, when, and of which kind;
//! what an entry in the log says about this number cannot be left out, altered or said to be another's, or the hashes do
//! not lead to the published head. It must never call absent what it does not know: an entry of an unknown kind, one
//! that names nobody, one under another hash key, a log that is missing. What it cannot show is written in
//! `deploy/evidence.md`. Guarded by `tests/evidence.rs`, by this program and by `deploy/verify/absence.py`.
//!
//! Hashes are SHA-256, `·` joins bytes, numbers are little-endian:
//!
//! ```text
//! witness  H("ringfence witness 1\0" · tag 32)                      told of one contact, it opens what is about that one
//! veil     H("ringfence veil 1\0" · witness · id 16), first 16      zeros: the entry has no tag
//! name     H("ringfence name 1\0" · name key 32 · id · number), first 16; zeros: the entry names no number
//! plain    H("ringfence body 1\0" · salt 32 · body before sealing)
//! rest     H("ringfence rest 3\0" · name · plain · H(content))
//! digest   H("ringfence entry 3\0" · kind u8 · id · veil · mark 4 · rest)
//! frame    H("ringfence audit 1\0" · seq u64 · safe u64 · hash before · digest)
//! ```

mod check;
mod heads;
mod line;
mod told;
mod write;

pub use check::check;
pub use heads::{BadHeads, Heads, Point, Published, newest, newest_beside};
pub use told::{Checked, CheckedLog, Faulty, Link, Matter, Seen, Wanted};
pub use write::{Proving, Unproven, write};

use crate::store::{Digest, sha256};

const WITNESS: &[u8] = b"ringfence witness 1\0";
const VEIL: &[u8] = b"ringfence veil 1\0";
const NAME: &[u8] = b"ringfence name 1\0";
const BODY: &[u8] = b"ringfence body 1\0";
const REST: &[u8] = b"ringfence rest 3\0";
const ENTRY: &[u8] = b"ringfence entry 3\0";

/// What opens the entries about one contact and no others: to be given to those who check a proof about it. The tag, by
/// which its record is found, does not follow from it.
#[must_use]
pub fn witness(tag: &[u8; 32]) -> Digest {
    sha256(&[WITNESS, tag].concat())
}

/// By what an entry shows to who holds its witness that it is about that contact.
#[must_use]
pub fn veil(witness: &Digest, id: &[u8; 16]) -> [u8; 16] {
    half(sha256(&[VEIL, witness, id].concat()))
}

/// Binds a number (E.164) to a contact, as the entry of this id recorded it. The key is a keyed hash of the contact's tag,
/// which stands in no log: numbers are few enough to be tried one by one, and by the tag alone they must not be found.
#[must_use]
pub fn naming(name_key: &[u8; 32], id: &[u8; 16], number: &str) -> [u8; 16] {
    half(sha256(&[NAME, name_key, id, number.as_bytes()].concat()))
}

/// A contact as a proof about it opens what is about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Whom {
    /// The mark of the hash key that made the tag.
    pub mark: [u8; 4],
    /// Its tag.
    pub tag: [u8; 32],
    /// What its number is bound with ([`naming`]).
    pub name_key: [u8; 32],
}

/// Shows nothing of it.
impl std::fmt::Debug for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Whom(…)")
    }
}

/// Binds the body of an entry as it was before it was sealed. The salt is of the key that seals it, and goes with it.
#[must_use]
pub fn shown_body(salt: &[u8; 32], body: &[u8]) -> Digest {
    sha256(&[BODY, salt, body].concat())
}

/// What an entry hides from those who are not told of its contact.
pub(super) fn rest_of(name: &[u8; 16], plain: &Digest, content: &Digest) -> Digest {
    sha256(&[REST, name, plain, content].concat())
}

/// What of an entry is shown to everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Public {
    pub(super) kind: u8,
    pub(super) id: [u8; 16],
    pub(super) veil: [u8; 16],
    pub(super) mark: [u8; 4],
}

impl Public {
    pub(super) fn digest(&self, rest: &Digest) -> Digest {
        sha256(&[ENTRY, &[self.kind], &self.id, &self.veil, &self.mark, rest].concat())
    }
}

fn half([a @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _]: Digest) -> [u8; 16] {
    a
}
