//! Entries in lists of the tenant's own that are kept by API.
//!
//! An entry is a fact about the contact: every check reads it with the record, in the same trip, and its registry answers
//! "listed" whatever a file says. Like an opt-out it outlasts erasure and every sweep, under the keyed tag alone; only the
//! tenant takes it off. What was said with it stands in the log and nowhere else.

use super::{Contact, UUID_BYTES, WriteId, uuid_text, write_of};
use crate::contact::RegistryCheck;
use crate::proto::store;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

fn entered(entry: &store::StoredListEntry) -> i64 {
    entry.write.as_ref().map_or(0, |write| write.recorded_at)
}

impl Contact {
    /// When it was put on a list, if it is on it.
    #[must_use]
    pub fn entered_at(&self, list: &str) -> Option<Instant> {
        let entry = self.record.list_entries.iter().find(|entry| entry.list == list)?;
        Some(Instant::from_millis(entered(entry)))
    }

    /// The lists that it is on.
    pub fn lists(&self) -> impl Iterator<Item = &str> {
        self.record.list_entries.iter().map(|entry| entry.list.as_str())
    }

    /// Puts it on a list that it is not on. Returns when that was recorded.
    pub fn put_on_list(&mut self, list: &str, id: Option<WriteId>, receipt: [u8; UUID_BYTES], now: Instant) -> Instant {
        let now = self.recording(now);
        let write = Some(write_of(id, receipt, now));
        self.record.list_entries.push(store::StoredListEntry { list: list.to_owned(), write });
        self.form();
        now
    }

    /// Takes it off a list. Returns when that was recorded; `None`: it is not on it.
    pub fn take_off_list(
        &mut self,
        list: &str,
        id: Option<WriteId>,
        receipt: [u8; UUID_BYTES],
        now: Instant,
    ) -> Option<Instant> {
        let place = self.record.list_entries.iter().position(|entry| entry.list == list)?;
        let now = self.recording(now);
        let gone = self.record.list_entries.remove(place);
        // The request that put it on, asked again, must not put it on again.
        self.record.writes.extend(gone.write);
        self.record.writes.push(write_of(id, receipt, now));
        self.record.writes.sort_by_key(|write| write.recorded_at);
        self.prune(now);
        self.form();
        Some(now)
    }

    /// The entries as evidence: a hit counts from any source and at any age.
    pub(super) fn list_checks(&self) -> impl Iterator<Item = RegistryCheck> {
        self.record.list_entries.iter().map(|entry| {
            let at = Some(Instant::from_millis(entered(entry)));
            RegistryCheck {
                registry: entry.list.as_str().into(),
                listed: Some(true),
                checked_at: at,
                as_of: None,
                listed_at: at,
            }
        })
    }

    /// The same in the words of the contract.
    pub(super) fn list_check_messages(&self) -> impl Iterator<Item = v1::RegistryCheck> {
        self.record.list_entries.iter().map(|entry| {
            let at = Some(Timestamp::from_millis(entered(entry)));
            v1::RegistryCheck {
                registry: entry.list.clone(),
                listed: Some(true),
                checked_at: at,
                as_of: None,
                listed_at: at,
            }
        })
    }

    /// The entries in the words of the contract.
    pub(super) fn list_entry_messages(&self) -> Vec<v1::ListEntry> {
        let message = |entry: &store::StoredListEntry| v1::ListEntry {
            list: entry.list.clone(),
            recorded_at: Some(Timestamp::from_millis(entered(entry))),
            receipt_id: entry.write.as_ref().map(|write| uuid_text(&write.receipt_id)).unwrap_or_default(),
        };
        self.record.list_entries.iter().map(message).collect()
    }

    /// Every write that put it on a list, for telling one that is asked again.
    pub(super) fn list_writes(&self) -> impl Iterator<Item = &store::StoredWrite> {
        self.record.list_entries.iter().filter_map(|entry| entry.write.as_ref())
    }
}
