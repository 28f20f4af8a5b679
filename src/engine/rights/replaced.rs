//! What an erasure leaves on disk: the bytes that its swap replaced, until it gets rid of them.

use crate::engine::{Engine, Failure};
use crate::store::{MetaSwapped, Version};

/// Says whether bytes that were replaced by an erasure are still to go: one byte, 1 or 0.
const DUE: &str = "erasure/replaced";

impl Engine {
    /// Notes that replaced bytes are to go. Written anew each time, so that whoever sees to it now does not strike out
    /// what came meanwhile.
    pub(in crate::engine) async fn drop_later(&self) -> Result<(), Failure> {
        let mut expected = self.store.meta_get(DUE).await?.map_or(Version::ABSENT, |value| value.version);
        loop {
            match self.store.meta_swap(DUE, expected, vec![1]).await? {
                MetaSwapped::Won(_) => return Ok(()),
                MetaSwapped::Lost(value) => expected = value.map_or(Version::ABSENT, |value| value.version),
            }
        }
    }

    /// Gets rid of what erasures replaced, if any did since this was done last; whether it did. Unless `patient`, a large
    /// store puts it off until it can be done without keeping writers waiting: at the next start.
    ///
    /// # Errors
    /// Store unavailable; it is asked again then.
    pub async fn drop_erased(&self, patient: bool) -> Result<bool, Failure> {
        let Some(due) = self.store.meta_get(DUE).await?.filter(|due| due.bytes == [1]) else { return Ok(false) };
        if !self.store.drop_replaced(patient).await? {
            return Ok(false);
        }
        // Lost: another erasure came meanwhile, and is due still.
        let _ = self.store.meta_swap(DUE, due.version, vec![0]).await?;
        Ok(true)
    }
}
