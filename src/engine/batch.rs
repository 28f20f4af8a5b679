//! Many rows as one: each is decided like a dry run, and the log gets one entry for all of them.

use super::audited::Kind;
use super::check::{Asked, Turned, decide};
use super::forecast::Forecast;
use super::many::Met;
use super::question::Checked;
use super::{Clock, Engine, Failure, forecast, question};
use crate::access::Permit;
use crate::decision::{self, Decision};
use crate::law::Law;
use crate::proto::store::{AuditedBatch, audited_write};
use crate::proto::v1;
use crate::registry::Snapshot;

/// A row that was decided.
#[derive(Debug)]
pub struct Judged {
    /// The decision.
    pub decision: Decision,
    /// The hours in which the contact may be made, where a forecast was asked for.
    pub hours: Option<forecast::Hours>,
}

impl Engine {
    /// Decides rows of many, each by itself: counts nothing and logs nothing. Whoever asks so logs the whole with
    /// [`Engine::log_batch`].
    ///
    /// # Errors
    /// Of a row: it is faulty, or the store cannot be read.
    pub async fn judge_rows(
        &self,
        permit: &Permit,
        requests: &[v1::CheckRequest],
        clock: Clock,
        forecast: Option<&Forecast>,
    ) -> Vec<Result<Judged, Failure>> {
        let (law, lists) = (self.law.load_full(), self.lists.snapshot());
        let read = |request| {
            let checked = question::read(request, self.settings.server_region).map_err(Failure::Invalid)?;
            self.count_exceptional(permit, &checked).map(|()| checked)
        };
        let checked: Vec<Result<Checked, Failure>> = requests.iter().map(read).collect();
        let wanted = checked.iter().enumerate();
        let wanted: Vec<_> =
            wanted.filter_map(|(row, checked)| Some((row, checked.as_ref().ok()?.number.ok()?))).collect();
        let mut met: Vec<Option<Met<'_>>> = requests.iter().map(|_| None).collect();
        for (row, found) in self.meet(wanted.into_iter(), None).await {
            if let Some(slot) = met.get_mut(row) {
                *slot = Some(found);
            }
        }
        let mut judged = Vec::with_capacity(requests.len());
        for ((checked, met), request) in checked.into_iter().zip(met).zip(requests) {
            let row = async { self.judge(permit, &checked?, request, met, (&law, &lists), clock, forecast).await };
            judged.push(row.await);
        }
        judged
    }

    #[allow(clippy::too_many_arguments, reason = "one step of one caller, with all that it has at hand")]
    async fn judge(
        &self,
        permit: &Permit,
        checked: &Checked,
        request: &v1::CheckRequest,
        met: Option<Met<'_>>,
        (law, lists): (&Law, &Snapshot),
        clock: Clock,
        forecast: Option<&Forecast>,
    ) -> Result<Judged, Failure> {
        let now = checked.at.unwrap_or(clock.now);
        let number = match checked.number {
            Ok(number) => number,
            Err(error) => return Ok(Judged { decision: decision::unusable(error, now), hours: None }),
        };
        let (found, standing) = match met {
            Some(met) => met?,
            None => self.find_with_switches(permit, number, Some(clock.now)).await?,
        };
        let asked = |now| {
            let lists = Turned::new(lists, number);
            Asked { checked, number, law, lists, now }
        };
        let decide_at = |now| decide(self, &asked(now), &standing, &found);
        let decision = decide_at(now);
        let hours = forecast.map(|forecast| {
            // Of whom nothing is stored, whoever is alike in all that a decision is made from has the same hours.
            let alike = found.loaded.is_none();
            let among = (&*standing.name(), &*found.kept.name);
            let key = alike.then(|| forecast::key(&asked(now), request, among, &self.settings.postures));
            forecast.of(key, &decision, decide_at)
        });
        Ok(Judged { decision, hours })
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
        self.is_of(permit)?;
        let Some(log) = &self.main.log else { return Ok(None) };
        let id = self.main.next_id(clock.now);
        let body = Self::write_body(permit, audited_write::Request::Batch(batch), 0, clock.now);
        let entry = self.day_entry(&self.main, Kind::Batch, id, clock.now, None, &body).await?;
        let _ = log.append(entry, None).await?;
        Ok(Some(uuid::Uuid::from_bytes(id)))
    }
}
