//! What an erasure, or a move to another region, leaves on disk: the bytes that its swap replaced, until the store gets rid
//! of them.

use crate::engine::region::Kept;
use crate::engine::{Engine, Failure};
use crate::store::{MetaSwapped, Version};

/// Says whether bytes that were replaced so are still to go: one byte, 1 or 0.
const DUE: &str = "erasure/replaced";

impl Engine {
    /// Notes that replaced bytes are to go. Written anew each time, so that whoever sees to it now does not strike out
    /// what came meanwhile.
    pub(in crate::engine) async fn drop_later(&self, kept: &Kept) -> Result<(), Failure> {
        let mut expected = kept.store.meta_get(DUE).await?.map_or(Version::ABSENT, |value| value.version);
        loop {
            match kept.store.meta_swap(DUE, expected, vec![1]).await? {
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
        let (mut done, mut fault) = (false, None);
        // One region that is away keeps none of the others waiting.
        for kept in self.all_kept() {
            let dropped = match kept {
                Ok(kept) => self.drop_erased_in(kept, patient).await,
                Err(failure) => Err(failure),
            };
            match dropped {
                Ok(dropped) => done |= dropped,
                Err(failure) => fault = Some(failure),
            }
        }
        fault.map_or(Ok(done), Err)
    }

    async fn drop_erased_in(&self, kept: &Kept, patient: bool) -> Result<bool, Failure> {
        let Some(due) = kept.ask(|store| store.meta_get(DUE)).await?.filter(|due| due.bytes == [1]) else {
            return Ok(false);
        };
        if !kept.store.drop_replaced(patient).await? {
            return Ok(false);
        }
        // Lost: another erasure came meanwhile, and is due still.
        let _ = kept.store.meta_swap(DUE, due.version, vec![0]).await?;
        Ok(true)
    }
}
