//! Writing the record of switches: into the store, or into that of every region.
//!
//! Promises: a switch is answered as recorded only once every region has it; one that is away does not keep the others from
//! having it, but the answer is then that it is not recorded everywhere, and asking again finishes it. Each region has all
//! switches, so that a check reads them beside its contact; regions that differ are brought to agree, and what any of them
//! knows to be frozen stays frozen until one knows it to be lifted.

use futures_util::future::join_all;
use prost::Message as _;

use super::beside::Beside;
use super::record;
use crate::access::Permit;
use crate::contact::WriteId;
use crate::engine::audited::Kind;
use crate::engine::region::Kept;
use crate::engine::{Clock, DEFAULT_REGION, Engine, Failure};
use crate::proto::store::{
    AuditBody, AuditedCarried, AuditedWrite, ContactEvent, ControlRecord, audit_body, audited_write,
};
use crate::store::{DataKey, Swapped, Version, Write};
use crate::time::Instant;

/// Changes the record of switches, given the receipt and the instant of the recording.
pub(in crate::engine) type Make<'a> =
    dyn FnMut(&mut ControlRecord, [u8; 16], Instant) -> Result<(), Failure> + Send + 'a;

/// What a record of switches comes to, given the id of the entry.
type Next<'a> = dyn FnMut(&mut ControlRecord, [u8; 16]) -> Result<Thrown, Failure> + Send + 'a;

/// The body of the entry about a write, given the version it makes and the instant.
type Body<'a> = dyn Fn(u64, Instant) -> Vec<u8> + Send + Sync + 'a;

/// What became of a record, with the receipt of the write it is about.
enum Thrown {
    Changed([u8; 16]),
    /// It holds that write already.
    Stands([u8; 16]),
}

impl Engine {
    /// Makes the next record of switches and writes it with its entry, again and again until it wins or nobody waits any
    /// more. The record as it is then, and the receipt: of an earlier write, if this one was done before.
    pub(in crate::engine) async fn switch(
        &self,
        permit: &Permit,
        clock: Clock,
        id: WriteId,
        asked: audited_write::Request,
        make: &mut Make<'_>,
    ) -> Result<(ControlRecord, [u8; 16]), Failure> {
        self.switch_with(permit, clock, id, asked, Beside::default(), make).await
    }

    /// As [`Engine::switch`], with what goes beside the record.
    pub(in crate::engine) async fn switch_with(
        &self,
        permit: &Permit,
        clock: Clock,
        id: WriteId,
        asked: audited_write::Request,
        beside: Beside<'_>,
        make: &mut Make<'_>,
    ) -> Result<(ControlRecord, [u8; 16]), Failure> {
        if !beside.attachments.is_empty() {
            self.settle_key(permit, clock, &asked).await?;
        }
        self.is_of(permit)?;
        let body = |version, now| Self::write_body(permit, asked.clone(), version, now);
        let (seen, mut fault) = self.seen().await;
        let (all, first) = (merged(&seen), seen.first().map(|(kept, _)| *kept));
        // What is attached goes with the default region: without it nothing that needs it is recorded anywhere.
        let first = first.filter(|kept| beside.attachments.is_empty() || *kept.name == *DEFAULT_REGION);
        let Some(first) = first else { return Err(fault.unwrap_or(Failure::Aborted)) };
        let mut next = |record: &mut ControlRecord, entry: [u8; 16]| {
            if let Some(receipt) = record::done_before(record, id)? {
                return Ok(Thrown::Stands(receipt));
            }
            record::merge(record, &all);
            let now = record::recording(record, clock.now);
            // Another region may have it from an attempt that did not reach them all.
            let receipt = record::done_before(record, id)?;
            if receipt.is_none() {
                make(record, entry, now)?;
            }
            record::prune(record, now);
            Ok(Thrown::Changed(receipt.unwrap_or(entry)))
        };
        let (record, receipt) = self.write_switches(first, clock, &body, &beside, &mut next).await?;
        for (kept, _) in seen.iter().skip(1) {
            if let Err(failure) = self.carry(kept, &record, clock, &body).await {
                fault.get_or_insert(failure);
            }
        }
        match fault {
            None => Ok((record, receipt)),
            Some(failure) => {
                tracing::error!(%failure, "a switch is recorded, but not in every region: ask the same again");
                Err(failure)
            }
        }
    }

    /// Every switch that any region has of which the store answers.
    pub(in crate::engine) async fn switches(&self) -> Result<ControlRecord, Failure> {
        match self.seen().await {
            (seen, Some(failure)) if seen.is_empty() => Err(failure),
            (seen, _) => Ok(merged(&seen)),
        }
    }

    /// Brings regions that differ in their switches to agree, as after one was away.
    ///
    /// # Errors
    /// A region is away.
    pub async fn agree_on_switches(&self, now: Instant) -> Result<(), Failure> {
        let (seen, fault) = self.seen().await;
        let all = merged(&seen);
        for (kept, record) in &seen {
            let mut agreed = record.clone();
            record::merge(&mut agreed, &all);
            record::prune(&mut agreed, now);
            if agreed != *record {
                self.carry(kept, &all, Clock::at(now), &carried(kept)).await?;
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Writes what the engine's own store has of switches into that of a region which is not open yet: a check there must
    /// not miss one that was answered as recorded before the region was.
    pub(in crate::engine) async fn bring_switches(&self, kept: &Kept, now: Instant) -> Result<(), Failure> {
        match self.control(&self.main).await? {
            Some((.., record)) => self.carry(kept, &record, Clock::at(now), &carried(kept)).await,
            None => Ok(()),
        }
    }

    /// The switches of every region that answers, the default region first; and why one does not, if one does not.
    async fn seen(&self) -> (Vec<(&Kept, ControlRecord)>, Option<Failure>) {
        let mut fault = None;
        let read = |kept| async move { (kept, self.control(kept).await) };
        let open = self.all_kept().into_iter().filter_map(|kept| kept.map_err(|failure| fault = Some(failure)).ok());
        let asked = join_all(open.map(read)).await;
        let mut seen = Vec::with_capacity(asked.len());
        for (kept, found) in asked {
            match found {
                Ok(found) => seen.push((kept, found.map(|(.., record)| record).unwrap_or_default())),
                Err(failure) => fault = Some(failure),
            }
        }
        seen.sort_by_key(|(kept, _)| *kept.name != *DEFAULT_REGION);
        (seen, fault)
    }

    /// Writes into the record of one region what another has.
    async fn carry(&self, kept: &Kept, from: &ControlRecord, clock: Clock, body: &Body<'_>) -> Result<(), Failure> {
        let mut next = |record: &mut ControlRecord, entry| {
            let before = record.clone();
            record::merge(record, from);
            record::prune(record, clock.now);
            Ok(if *record == before { Thrown::Stands(entry) } else { Thrown::Changed(entry) })
        };
        self.write_switches(kept, clock, body, &Beside::default(), &mut next).await.map(drop)
    }

    /// The record of switches of a region as it is; `None`: no switch was ever thrown.
    pub(in crate::engine) async fn control(
        &self,
        kept: &Kept,
    ) -> Result<Option<(Version, DataKey, ControlRecord)>, Failure> {
        let Some(found) = kept.ask(|store| store.load(&kept.control_key)).await? else { return Ok(None) };
        let (own, record) = self.opened_control(kept, &found).await?;
        Ok(Some((found.version, own, record)))
    }

    async fn write_switches(
        &self,
        kept: &Kept,
        clock: Clock,
        body: &Body<'_>,
        beside: &Beside<'_>,
        next: &mut Next<'_>,
    ) -> Result<(ControlRecord, [u8; 16]), Failure> {
        let key = kept.control_key;
        let mut found = self.control(kept).await?;
        kept.log_ready()?;
        let id = kept.next_id(clock.now);
        let mut lost = false;
        let mut attached = false;
        loop {
            if clock.passed() {
                return Err(if lost { Failure::Aborted } else { Failure::TooLate });
            }
            let (expected, own, mut record) = match found {
                Some(found) => found,
                None => (Version::ABSENT, DataKey::random()?, ControlRecord { format: 1, ..ControlRecord::default() }),
            };
            let receipt = match next(&mut record, id)? {
                Thrown::Changed(receipt) => receipt,
                Thrown::Stands(receipt) => {
                    // Whoever wrote it may never have been told that it is safe.
                    kept.confirm(&key).await?;
                    return Ok((record, receipt));
                }
            };
            record.format = record::form(&record);
            // Beside the record, and before it: it must not name what is not there.
            if !attached {
                for (name, plain) in beside.attachments {
                    self.attach(&own, name, plain).await?;
                }
                attached = true;
            }
            let now = record::recording(&record, clock.now);
            let entry = self.contact_entry(Kind::Write, id, clock.now, &key, &own, &body(expected.next().0, now))?;
            let keys = self.keys.now();
            let bytes = keys.seal_record(&key, &own, &record.encode_to_vec())?;
            let told = beside.event.clone().map(|told| ContactEvent { recorded_at: now.millis(), ..told });
            let (kind, payload) = self.event_payload(kept, told, &key, &own, (id, entry.digest()), clock.now).await?;
            let event = entry.event(kind, clock.now, payload);
            match self.swap(kept, Write { key, expected, bytes, expires: None, event }).await? {
                Swapped::Won { event, .. } => {
                    if kind != 0 {
                        self.hub.nudge();
                    }
                    kept.log_swapped(entry, event).await?;
                    return Ok((record, receipt));
                }
                Swapped::Lost(winner) => {
                    self.metrics.lost_race();
                    lost = true;
                    found = match winner {
                        None => None,
                        Some(winner) => {
                            let (own, record) = self.opened_control(kept, &winner).await?;
                            Some((winner.version, own, record))
                        }
                    };
                }
            }
        }
    }
}

/// The body of the entry about switches that a region got from others.
fn carried(kept: &Kept) -> impl Fn(u64, Instant) -> Vec<u8> + Send + Sync + use<> {
    let carried = AuditedCarried { region: kept.name.to_string() };
    move |version, now| {
        let write = AuditedWrite {
            request: Some(audited_write::Request::Carried(carried.clone())),
            recorded_at: now.millis(),
            version,
            ..AuditedWrite::default()
        };
        AuditBody { body: Some(audit_body::Body::Write(write)) }.encode_to_vec()
    }
}

fn merged(seen: &[(&Kept, ControlRecord)]) -> ControlRecord {
    let mut all = ControlRecord { format: 1, ..ControlRecord::default() };
    seen.iter().for_each(|(_, record)| record::merge(&mut all, record));
    all
}
