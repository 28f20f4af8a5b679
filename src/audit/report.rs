//! What verifying a log says.

use super::{Anchor, Head};
use crate::store::{Digest, WriterId};

/// What is known of the log from elsewhere: from the store beside it. Without it, a log cut at its end is as good as
/// a whole one.
#[derive(Clone, Default, Debug)]
pub struct Expect {
    /// The anchors that the store keeps ([`super::anchors`]).
    pub anchors: Vec<Anchor>,
    /// Digests of entries that must be in the log, such as those of the store's events.
    pub digests: Vec<Digest>,
}

/// What is wrong with an entry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// A file that is no segment stands among the segments.
    #[error("not a segment of an audit log")]
    Foreign,
    /// Written by a later release.
    #[error("written in format {0}, which this release does not know")]
    Newer(u32),
    /// The segment's header was altered.
    #[error("the segment's header was altered")]
    HeaderChanged,
    /// A whole segment is not there.
    #[error("the segment is missing")]
    SegmentMissing,
    /// The file holds another segment than its name says, or one of another log.
    #[error("the file holds segment {number} of the log of writer {writer}")]
    SegmentMoved {
        /// What its header says.
        number: u64,
        /// What its header says.
        writer: WriterId,
    },
    /// The entry's bytes do not match its hash.
    #[error("the entry was altered")]
    Changed,
    /// Later entries follow where this one should be.
    #[error("the entry was removed or moved: entry {found} stands in its place")]
    Removed {
        /// The one that stands there.
        found: u64,
    },
    /// An earlier entry stands where this one should be.
    #[error("entry {found} stands in its place, for the second time or moved from elsewhere")]
    Repeated {
        /// The one that stands there.
        found: u64,
    },
    /// Its own hash is right, but it does not follow on the entry before.
    #[error("the entry was replaced or inserted: it does not follow on the one before")]
    Replaced,
    /// It is whole and in place, but not the one that the store remembers.
    #[error("the log was rewritten: this is not the entry that the store remembers")]
    NotTheAnchored,
    /// A compressed segment is not as it was made. What can be read of it was walked; its bytes count from the start of
    /// the compressed file.
    #[error("the compressed segment was altered: {0}")]
    Packing(&'static str),
    /// A segment was moved to the archive, and is not there.
    #[error("the segment was moved to the archive and is not there")]
    NotArchived,
    /// The archive holds something else than the segment here.
    #[error("the copy in the archive is not that of the segment here")]
    ArchivedOther,
    /// Its hash is right, but its content does not read as an entry.
    #[error("the content does not read as an entry")]
    Unreadable,
    /// The bytes end within the entry.
    #[error(
        "the entry is cut short; at the end of the newest segment a crash does this too, and the next start cuts it off"
    )]
    Torn,
    /// The log ends, but the store remembers later entries.
    #[error("the end of the log was cut off: the store remembers entry {anchored}")]
    Cut {
        /// The newest entry that the store remembers.
        anchored: u64,
    },
}

/// The first bad place of a log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{segment}, byte {offset}, entry {seq}: {fault}")]
pub struct Bad {
    /// The file.
    pub segment: String,
    /// Where in it.
    pub offset: u64,
    /// The place of the entry that should be there: all before it are whole.
    pub seq: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What [`super::verify`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Whose log; `None` if there is none.
    pub writer: Option<WriterId>,
    /// Segments walked.
    pub segments: u64,
    /// Of those, compressed ones.
    pub packed: u64,
    /// Segments whose copy in the archive was read: walked where there is none here, else compared with it.
    pub archived: u64,
    /// Segments that are in the archive alone and were not read, so that nothing is known of their entries but how many
    /// there should be. The links on both sides were walked.
    pub unread: u64,
    /// The newest entry that is whole, as all before it are.
    pub head: Head,
    /// The first bad place, if there is one. What is behind it was not looked at.
    pub bad: Option<Bad>,
    /// Of the expected digests, those without an entry. After a crash these may be entries that the next start appends
    /// from the store's outbox; otherwise they were removed.
    pub missing: Vec<Digest>,
    /// Bytes at the end that a running service is just writing.
    pub unfinished: u64,
    /// Anchors of logs that are not in this folder.
    pub elsewhere: Vec<WriterId>,
}

impl Report {
    /// Whether nothing is wrong and nothing missing.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.bad.is_none() && self.missing.is_empty()
    }
}
