//! Many rows as one: each is decided like a dry run, and the log gets one entry for all of them.

use super::audited::Kind;
use super::check::{Asked, Turned, decide};
use super::{Clock, Engine, Failure, question};
use crate::access::Permit;
use crate::decision::{self, Decision};
use crate::proto::store::{AuditedBatch, audited_write};
use crate::proto::v1;

impl Engine {
    /// Decides one row of many: counts nothing and logs nothing. Whoever asks so logs the whole with
    /// [`Engine::log_batch`].
    ///
    /// # Errors
    /// A faulty request; the store cannot be read.
    pub async fn judge_row(
        &self,
        permit: &Permit,
        request: &v1::CheckRequest,
        clock: Clock,
    ) -> Result<Decision, Failure> {
        let checked = question::read(request, self.settings.server_region).map_err(Failure::Invalid)?;
        self.count_exceptional(permit, &checked)?;
        let now = checked.at.unwrap_or(clock.now);
        let number = match checked.number {
            Ok(number) => number,
            Err(error) => return Ok(decision::unusable(error, now)),
        };
        let law = self.law.load();
        let snapshot = self.registries.snapshot();
        let lists = Turned { lists: &snapshot, digits: number.reveal_digits() };
        let (found, standing) = self.find_with_switches(permit, number, Some(clock.now)).await?;
        let asked = Asked { checked: &checked, number, law: &law, lists, now };
        Ok(decide(self, &asked, &standing, &found))
    }

    /// Writes one entry for many rows, and returns its id once it is safe; `None` where no log is kept.
    ///
    /// # Errors
    /// Store or log unavailable: then nothing was logged, and the rows must not be handed out.
    pub async fn log_batch(
        &self,
        permit: &Permit,
        batch: AuditedBatch,
        clock: Clock,
    ) -> Result<Option<uuid::Uuid>, Failure> {
        let Some(log) = &self.main.log else { return Ok(None) };
        let id = self.main.next_id(clock.now);
        let body = Self::write_body(permit, audited_write::Request::Batch(batch), 0, clock.now);
        let entry = self.day_entry(&self.main, Kind::Batch, id, clock.now, None, &body).await?;
        let _ = log.append(entry, None).await?;
        Ok(Some(uuid::Uuid::from_bytes(id)))
    }
}
