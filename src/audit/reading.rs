//! Reading a log that is written to: what was answered a moment ago is found.

use std::collections::HashSet;
use std::sync::Arc;

use super::index::Index;
use super::lookup::{self, Order, Select, Selected};
use super::{DecisionId, Found, Log, LogError};
use crate::store::Digest;

impl Log {
    /// The entry with this id, if it stands in this log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn find(&self, id: DecisionId) -> Result<Option<Found>, LogError> {
        if id.writer() != self.writer() {
            return Ok(None);
        }
        // A reader may come for a decision that was answered a moment ago.
        let _ = self.sync().await?;
        self.reading(move |index| index.find(id)).await
    }

    /// Up to `limit` entries about the contact of this tag, of these kinds, that stand before the place `before`; newest
    /// first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn about(&self, tag: [u8; 32], before: u64, limit: usize, kinds: &[u8]) -> Result<Vec<Found>, LogError> {
        let mut found = Vec::new();
        let mut after = Some(before);
        while let Some(place) = after.filter(|_| found.len() < limit) {
            let page = Select {
                tag: Some(tag),
                campaign: None,
                millis: 0..=u64::MAX,
                kinds: kinds.to_vec(),
                order: Order::NewestFirst,
                after: Some(place),
                most: limit - found.len(),
            };
            let selected = self.select(page).await?;
            found.extend(selected.found);
            after = selected.resume;
        }
        Ok(found)
    }

    /// The entries wanted, in order, a page at a time.
    ///
    /// # Errors
    /// When the log cannot be read, or an entry of it was altered.
    pub async fn select(&self, select: Select) -> Result<Selected, LogError> {
        // A reader may come for a decision that was answered a moment ago.
        let _ = self.sync().await?;
        self.reading(move |index| lookup::select(index, &select)).await
    }

    /// The digests of all entries whose id is not older than this, and of some that are.
    pub(super) async fn digests_since(&self, millis: u64) -> Result<HashSet<Digest>, LogError> {
        self.reading(move |index| index.digests_since(millis)).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Index) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read(&shared.index)).await;
        read.unwrap_or_else(|_| Err(self.shared.closed()))
    }
}
