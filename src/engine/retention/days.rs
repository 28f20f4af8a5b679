//! What the log holds of numbers without a record: a day's entries go together, with the key that seals them, once neither
//! law nor a hold wants any of them. The chain over the sealed bytes stays whole. What is sealed under a contact's own key
//! goes with that key.

use super::super::audited::Kind;
use super::super::region::Kept;
use super::{Engine, Failure, PERIOD, Rules};
use crate::access::Permit;
use crate::contact::RecordClass;
use crate::proto::store::{AuditedRemoval, AuditedSweep, audited_write};
use crate::store::DayKeys;
use crate::time::Instant;

/// Which days a sweep is of.
#[derive(Clone, Copy)]
pub(super) struct Days {
    /// Say what would go.
    pub dry_run: bool,
    /// The tenant's own period is over.
    pub all_over: bool,
    pub now: Instant,
}

impl Engine {
    /// Destroys the keys of days that nothing keeps any more, in every region that is open: how many, or how many would go.
    pub(super) async fn sweep_days(&self, permit: &Permit, which: Days) -> Result<u32, Failure> {
        let mut gone = 0;
        for kept in self.all_kept() {
            // A region that is away keeps its days until it is back.
            let Ok(kept) = kept else { continue };
            gone += self.sweep_days_of(permit, kept, which).await?;
        }
        Ok(gone)
    }

    async fn sweep_days_of(&self, permit: &Permit, kept: &Kept, which: Days) -> Result<u32, Failure> {
        let days = kept.days.kept(&*kept.store).await?;
        // Read after the days: a hold that was placed before is among these.
        let standing = self.standing(kept).await?;
        let (law, periods) = (self.law(), self.settings.periods);
        let rules = Rules { law: &law, standing: &standing, periods, all_over: which.all_over, now: which.now };
        let over = |day: &i32| rules.log_until(DayKeys::end(*day)) <= which.now;
        let over: Vec<i32> = days.into_iter().filter(over).collect();
        let count = u32::try_from(over.len()).unwrap_or(u32::MAX);
        if over.is_empty() || which.dry_run {
            return Ok(count);
        }
        kept.log_ready()?;
        let removal = AuditedRemoval {
            record_class: RecordClass::Decision.number(),
            rule_id: PERIOD.to_owned(),
            count: count.into(),
        };
        let sweep = AuditedSweep { removals: vec![removal], anonymised: true };
        let body = Self::write_body(permit, audited_write::Request::Sweep(sweep), 0, which.now);
        if let Some(log) = &kept.log {
            let id = kept.next_id(which.now);
            let entry = self.day_entry(kept, Kind::Batch, id, which.now, None, &body).await?;
            let _ = log.append(entry, None).await?;
        }
        // Said before, both: a crash in between leaves no key behind that nobody knows of.
        self.drop_later(kept).await?;
        for day in over {
            kept.days.destroy(&*kept.store, day).await?;
        }
        Ok(count)
    }
}
