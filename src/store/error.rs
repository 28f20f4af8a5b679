//! What can go wrong below the engine, said once for store and audit log.

use std::io;
use std::path::{Path, PathBuf};

/// Why a store or an audit log could not do what it was asked.
///
/// `Display` is for the operator: it names the path and what to do. What a client may see is
/// [`StoreError::for_clients`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// It may work again later. A write may or may not have happened.
    #[error("{place}: {doing} failed: {why}")]
    Unavailable {
        /// Path or address.
        place: String,
        /// What was tried.
        doing: &'static str,
        /// What came back.
        why: String,
    },
    /// No space is left. Nothing that was answered is lost; writes work again once there is space.
    #[error("{}: the disk is full: make room; writes resume by themselves", .path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The file or folder may not be written.
    #[error("{}: cannot be written ({why}): give this user write permission, or name another folder with --data", .path.display())]
    ReadOnly {
        /// What may not be written.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another process holds it.
    #[error("{}: in use by another ringfence process{}: stop that process, name another folder with --data, or ask it with --server", .path.display(), holder(.process))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process id it left in the lock file, if it could be read.
        process: Option<u32>,
    },
    /// The bytes are not what was written.
    #[error("{}: damaged: {why}: do not delete it; restore the folder from a backup", .path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// A file of something else stands where ours should be.
    #[error("{}: not a file of ringfence ({why}): move it away, or name another folder with --data", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        why: String,
    },
    /// Written by a later release.
    #[error("{}: written in format {found}, this release knows formats up to {known}: use the release that wrote it, or a later one", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// What should be there is gone.
    #[error("{}: missing: {why}", .path.display())]
    Missing {
        /// What is missing.
        path: PathBuf,
        /// How we know that it was there, and what to do.
        why: String,
    },
    /// The audit log has writes that the store beside it does not know.
    #[error("{}: {writes} writes of this audit log are not in the store beside it: the store is an older copy, or was damaged: put back the store that belongs to this log; only if those writes may be forgotten, opt-outs among them, move the log's folder away", .path.display())]
    Behind {
        /// The folder of the log.
        path: PathBuf,
        /// How many, of those that the store does not remember having anchored.
        writes: usize,
    },
    /// A server's settings would lose what was acknowledged.
    #[error("{place}: this server would lose what was acknowledged: {why}")]
    Unsafe {
        /// The address.
        place: String,
        /// Which settings, and what to set.
        why: String,
    },
    /// A server no longer has what it acknowledged.
    #[error(
        "{place}: shard {shard:?} is back at event {found}, {told} was acknowledged: the server lost writes, opt-outs among them: stop all instances, restore the newest copy (append-only file or replica), then start again"
    )]
    Forgot {
        /// The address.
        place: String,
        /// Where.
        shard: super::Shard,
        /// The place of the newest event now.
        found: u64,
        /// The place of the newest one that somebody was told of.
        told: u64,
    },
    /// Something is sealed under a key that is not known here. It may come: the keys file is read again by itself.
    #[error(
        "something in the store is sealed under key {key}, which the keys file does not have: bring the file up to date from the host where `ringfence keys rotate` ran; it is read again by itself"
    )]
    UnknownKey {
        /// The number of the key.
        key: u32,
    },
    /// Events were asked for that the store keeps no longer. What was read before is still right, but something was missed.
    #[error(
        "the events of shard {shard:?} before {first} were trimmed: read what they changed anew, then go on from there"
    )]
    Trimmed {
        /// Whose events.
        shard: super::Shard,
        /// The oldest that is kept: reading after the one before it works, until it is trimmed too.
        first: u64,
    },
    /// One value is larger than a store takes.
    #[error("{size} bytes are more than the {limit} that one record may have")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// The most allowed.
        limit: usize,
    },
    /// Asked after it was closed.
    #[error("{place}: closed, the process is shutting down")]
    Closed {
        /// Path or address.
        place: String,
    },
}

fn holder(process: &Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

impl StoreError {
    /// Whether asking again, after a moment, can help.
    #[must_use]
    pub const fn retry(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Full { .. } | Self::Closed { .. } | Self::UnknownKey { .. })
    }

    /// What a client may be told: neither paths nor addresses.
    #[must_use]
    pub const fn for_clients(&self) -> &'static str {
        match self {
            Self::Full { .. } | Self::ReadOnly { .. } => "the service cannot write its data at the moment",
            Self::TooLarge { .. } => "the facts about this contact exceed what one record may hold",
            Self::Closed { .. } => "the service is shutting down",
            Self::Trimmed { .. } => "the events asked for are not kept any longer",
            _ => "the service cannot reach its data at the moment",
        }
    }

    /// What an I/O error at this path means.
    #[must_use]
    pub fn from_io(path: &Path, doing: &'static str, error: &io::Error) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full { path: path.into() },
            PermissionDenied | ReadOnlyFilesystem => Self::ReadOnly { path: path.into(), why: error.to_string() },
            _ => Self::Unavailable { place: path.display().to_string(), doing, why: error.to_string() },
        }
    }
}
