//! What a proof is checked by, and what it says.

use super::heads::Heads;
use crate::audit::DecisionId;
use crate::store::{Digest, WriterId};
use crate::time::Instant;

/// What a proof is checked by.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The heads that were published: all that is trusted.
    pub heads: &'a Heads,
    /// The number that it is to be about, E.164. `None`: it is not asked.
    pub number: Option<&'a str>,
    /// The instant that it is to be of. `None`: the one it says.
    pub after: Option<Instant>,
    /// Whether it is taken at the word of who made it that it is about the number, where nothing shown names that.
    pub unnamed: bool,
}

/// Why a proof proves nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Faulty {
    /// Where, from 1; 0: it as a whole.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// What an entry of the log is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Matter {
    /// A contact was allowed.
    Allowed,
    /// An answer that allowed no contact: a denial, or a dry run.
    Answered,
    /// Something was recorded: a consent, an opt-out, the outcome of an attempt.
    Recorded,
    /// Many rows as one, none of them named: an import, or a file that was filtered. Neither allows a contact.
    Rows,
    /// Somebody asked what is known.
    Read,
    /// What this release does not know: held to be an allowed contact.
    Unknown(u8),
}

impl Matter {
    /// The numbers that the engine writes ([`crate::audit::Entry::kind`]).
    pub(super) const fn of(kind: u8) -> Self {
        match kind {
            1 => Self::Allowed,
            2 => Self::Answered,
            3 => Self::Recorded,
            4 => Self::Rows,
            5 => Self::Read,
            other => Self::Unknown(other),
        }
    }

    pub(super) const fn may_allow(self) -> bool {
        matches!(self, Self::Allowed | Self::Unknown(_))
    }
}

/// An entry about the contact of a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Whose log.
    pub writer: WriterId,
    /// Its place there.
    pub seq: u64,
    /// The id of the decision or write, which says when it was made.
    pub id: DecisionId,
    /// What it is about.
    pub matter: Matter,
    /// SHA-256 of its bytes in the log.
    pub content: Digest,
    /// What binds its body as it was before it was sealed.
    pub plain: Digest,
}

impl Seen {
    /// When it was made, as it says itself.
    #[must_use]
    pub fn at(&self) -> Instant {
        Instant::from_millis(i64::try_from(self.id.millis()).unwrap_or(i64::MAX))
    }
}

/// What is known of the number that a proof is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// The log itself recorded something about this very number, under each hash key that entries shown were written by.
    Named,
    /// Under one of them, or all, nothing in what is shown names it: that what opens there is all there is about it is the
    /// word of who made the proof.
    Unnamed,
    /// No number was given to check.
    NotAsked,
}

/// A log that a proof covers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedLog {
    /// Whose.
    pub writer: WriterId,
    /// The first entry shown, and the last.
    pub entries: (u64, u64),
    /// When the head was published that it begins with; `None`: it begins with the log.
    pub begins: Option<Instant>,
    /// When the head was published that it ends with.
    pub ends: Instant,
}

/// What a proof says, all of whose hashes are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The instant it is of.
    pub after: Instant,
    /// Until when: the first instant at which one of the logs is shown no further.
    pub until: Instant,
    /// The logs it covers: every one that was published.
    pub logs: Vec<CheckedLog>,
    /// Contacts allowed after the instant, or what may be one: any of them breaks the proof.
    pub allowed: Vec<Seen>,
    /// All other entries about the contact that are shown.
    pub seen: Vec<Seen>,
    /// Entries that stand for many rows, of whoever: they allow nothing.
    pub rows: u64,
    /// What is known of the number.
    pub link: Link,
    /// Whether that is to be taken at its word where nothing shown names it.
    pub unnamed: bool,
}

impl Checked {
    /// Whether no contact was allowed to the number that was asked about; without one, to whomever it is about.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.allowed.is_empty() && (self.unnamed || self.link != Link::Unnamed)
    }
}
