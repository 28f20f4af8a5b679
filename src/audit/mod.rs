//! What was answered, and why: an append-only, chained log that nobody alters unnoticed.
//!
//! Promises: an entry for which there is a [`Receipt`] survives a crash; entries that nobody waits for are safe within a
//! second, or the log says that it is not ready; nothing is dropped in silence; after `kill -9` only what was never
//! safe is cut off, and what the store knows to be committed is appended from its outbox; a changed, removed, moved,
//! repeated, inserted or cut entry is found without any key, the first bad one by name. It must never repair anything
//! but an unfinished tail. Bodies are sealed before they come here: the chain runs over sealed bytes, so erasing a key
//! leaves it whole. Closed segments are compressed and kept elsewhere ([`Keeper`]); what was removed here was read back
//! from there before. Guarded by `tests/audit.rs` and `tests/archive.rs`.
//!
//! What the chain alone cannot show: who owns the volume can write a whole new log. The store keeps the head of the log
//! ([`Anchor`], once a second) and every event the digest of its entry, so such a log must also match the store.

mod anchor;
mod archive;
mod counts;
mod disk;
mod entries;
mod entry;
mod flights;
mod frame;
mod index;
mod library;
mod log;
mod lookup;
mod lost;
mod opening;
pub mod proof;
mod reading;
mod reconcile;
mod report;
mod segment;
mod verify;
mod writer;

pub use anchor::{Anchor, anchors, carry_anchors};
pub use archive::{Archive, ArchiveAt, ArchiveSettings, Credentials, Keep, Keeper, Step};
pub use counts::{Counted, Counts};
pub use disk::{SegmentFile, SegmentOpener};
pub use entries::Entries;
pub use entry::{BodyKey, DecisionId, Encoded, Entry, Openings};
pub use index::Found;
pub use library::Library;
pub use log::{Log, Receipt, Recovered, Settings};
pub use lookup::{Order, Select, Selected};
pub use reconcile::{Opened, Reconciled, Reconciler, open, open_with};
pub use report::{Bad, Expect, Fault, Report};
pub use verify::{verify, verify_with, writer_of};

/// What goes wrong with a log is what goes wrong with a store: disks.
pub use crate::store::StoreError as LogError;

/// The newest entry that is safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Its place, counted from 1; 0 for an empty log.
    pub seq: u64,
    /// Its hash, which commits to everything before it; zeros for an empty log.
    pub hash: crate::store::Digest,
}
