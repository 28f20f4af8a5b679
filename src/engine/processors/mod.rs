//! Who holds numbers on the tenant's behalf: registered with contract, purpose and assessment; each change audited.
//!
//! Processors stand in the tenant's record of switches, so that a change of the list is swapped with its audit entry in
//! one atomic step, sealed, copied and rotated like everything else. What a processor was told stands apart
//! ([`delivery`]): it moves with every event, and is nothing that anybody decided.

mod delivery;
mod kept;
mod read;
mod status;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use delivery::{Delivery, PATIENCE};
pub use kept::{Held, Missed};
pub use read::{Target, target};

use super::answer::stamp;
use super::consent::{receipt_text, request_id};
use super::control::{fault, wire, write_id};
use super::watch::{ONE_STORE, REWIND};
use super::{Clock, Engine, Failure};
use crate::access::Permit;
use crate::contact::WriteId;
use crate::contact::wire::Reader;
use crate::proto::store::{ControlRecord, StoredProcessor, StoredSecret, audited_write};
use crate::proto::v1;
use crate::time::{Instant, Millis};

/// The most processors at once.
const MOST: usize = 100;
/// The most writes that are remembered of one.
const WRITES: usize = 64;
/// For how long the secret before signs too.
const BOTH_SIGN: Millis = Millis::days(1);
/// How a secret begins.
const PREFIX: &str = "whsec_";
const UNKNOWN: Failure = Failure::NotFound("no processor of this name is registered");

/// A processor that is told, or watches.
#[derive(Clone, Debug)]
pub struct Registered {
    /// It.
    pub processor: v1::Processor,
    /// The keys that sign now.
    pub keys: Vec<Vec<u8>>,
    /// What was recorded before is not passed on: some minutes before the instant asked for, so that no clock that is
    /// behind, and no write that was on its way, keeps anything back.
    pub since: Instant,
    /// When delivery was last asked to go on; zero: never.
    pub resumed_at: i64,
}

impl Registered {
    fn of(kept: StoredProcessor, now: Instant) -> Option<Self> {
        let processor = kept.processor?;
        let newest = kept.secrets.last().map_or(0, |secret| secret.since);
        let both = now.millis() < newest.saturating_add(BOTH_SIGN.0);
        let last = kept.secrets.len().saturating_sub(1);
        let good = kept.secrets.iter().enumerate().filter(|(index, _)| both || *index == last);
        let keys = good.filter_map(|(_, secret)| key_of(&secret.secret)).collect();
        // By another clock than this, and at the latest when the write was asked for.
        let since = Instant::from_millis(kept.since).minus(REWIND);
        Some(Self { processor, keys, since, resumed_at: kept.resumed_at })
    }

    /// When it was registered: what tells it from an earlier one of its name.
    #[must_use]
    pub fn registered_at(&self) -> i64 {
        self.processor.registered_at.as_ref().and_then(|at| at.to_millis()).unwrap_or_default()
    }
}

/// The key within the text of a secret.
fn key_of(secret: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

fn new_secret() -> Result<String, Failure> {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| Failure::Internal("the system gave no random bytes".to_owned()))?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(key)))
}

impl Engine {
    /// Registers a processor, or changes one.
    ///
    /// # Errors
    /// A faulty request, a `request_id` used for something else, store or log unavailable, races outlasted.
    pub async fn put_processor(
        &self,
        permit: &Permit,
        request: v1::PutProcessorRequest,
        clock: Clock,
    ) -> Result<v1::PutProcessorResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::who(&mut reader, &request.who);
        let processor = reader.within("processor", |reader| read::processor(reader, request.processor.as_ref(), clock));
        let since = reader.instant("since", request.since.as_ref());
        if !request.secret.is_empty() && key_of(&request.secret).is_none() {
            reader.fault("secret", "is not `whsec_` and the base64 of 24 to 64 bytes");
        }
        if !request.secret.is_empty() && processor.url.is_empty() {
            reader.fault("secret", "signs nothing: the processor has no url");
        }
        wire::sound(reader)?;
        let id = write_id(&request.request_id, &audited_write::Request::PutProcessor(request.clone()))?;
        // The log must hold no secret.
        let asked = v1::PutProcessorRequest { secret: String::new(), ..request.clone() };
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            put(record, &processor, since, &request.secret, id, receipt, now)
        };
        let asked = audited_write::Request::PutProcessor(asked);
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let kept = of_write(&record, receipt).cloned().unwrap_or_default();
        let told = kept.secrets.iter().find(|secret| secret.made_here && secret.receipt_id == receipt);
        Ok(v1::PutProcessorResponse {
            secret: told.map(|secret| secret.secret.clone()).unwrap_or_default(),
            processor: kept.processor,
            receipt_id: receipt_text(receipt),
        })
    }

    /// Ends the registration of a processor.
    ///
    /// # Errors
    /// As [`Engine::put_processor`]; it is unknown.
    pub async fn remove_processor(
        &self,
        permit: &Permit,
        request: v1::RemoveProcessorRequest,
        clock: Clock,
    ) -> Result<v1::RemoveProcessorResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sound(reader)?;
        let asked = audited_write::Request::RemoveProcessor(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let kept = standing(record, &request.name).ok_or(UNKNOWN)?;
            kept.removed_at = now.millis();
            kept.secrets.clear();
            if let Some(processor) = &mut kept.processor {
                processor.removed_at = Some(stamp(now));
            }
            note(kept, id, receipt, now);
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let processor = of_write(&record, receipt).and_then(|kept| kept.processor.clone());
        Ok(v1::RemoveProcessorResponse { processor, receipt_id: receipt_text(receipt) })
    }

    /// Lets delivery to a processor go on.
    ///
    /// # Errors
    /// As [`Engine::remove_processor`].
    pub async fn resume_processor(
        &self,
        permit: &Permit,
        request: v1::ResumeProcessorRequest,
        clock: Clock,
    ) -> Result<v1::ResumeProcessorResponse, Failure> {
        self.one_store_only(ONE_STORE)?;
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::who(&mut reader, &request.who);
        wire::sound(reader)?;
        let asked = audited_write::Request::ResumeProcessor(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            let kept = standing(record, &request.name).ok_or(UNKNOWN)?;
            // Later than whatever was noted in the same millisecond.
            kept.resumed_at = now.millis().max(kept.resumed_at.saturating_add(1));
            note(kept, id, receipt, now);
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let processor = of_write(&record, receipt).and_then(|kept| kept.processor.clone());
        Ok(v1::ResumeProcessorResponse { processor, receipt_id: receipt_text(receipt) })
    }

    /// Processors by name.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn list_processors(
        &self,
        permit: &Permit,
        request: &v1::ListProcessorsRequest,
    ) -> Result<v1::ListProcessorsResponse, Failure> {
        self.is_of(permit)?;
        let record = self.control(&self.main).await?.map(|(.., record)| record).unwrap_or_default();
        let kept = record.processors.into_iter().filter(|kept| request.history || kept.removed_at == 0);
        let mut processors: Vec<_> = kept.filter_map(|kept| kept.processor).collect();
        processors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(v1::ListProcessorsResponse { processors })
    }

    /// Those registered, with what signs.
    ///
    /// # Errors
    /// There are regions; the store cannot be asked.
    pub async fn registered(&self, now: Instant) -> Result<Vec<Registered>, Failure> {
        self.one_store_only(ONE_STORE)?;
        let record = self.control(&self.main).await?.map(|(.., record)| record).unwrap_or_default();
        let kept = record.processors.into_iter().filter(|kept| kept.removed_at == 0);
        let mut found: Vec<_> = kept.filter_map(|kept| Registered::of(kept, now)).collect();
        found.sort_by(|a, b| a.processor.name.cmp(&b.processor.name));
        Ok(found)
    }
}

/// The processor of this name that is registered.
fn standing<'a>(record: &'a mut ControlRecord, name: &str) -> Option<&'a mut StoredProcessor> {
    let named = |kept: &&mut StoredProcessor| {
        kept.removed_at == 0 && kept.processor.as_ref().is_some_and(|processor| processor.name == name)
    };
    record.processors.iter_mut().find(named)
}

fn of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<&StoredProcessor> {
    record.processors.iter().find(|kept| kept.writes.iter().any(|write| write.receipt_id == receipt))
}

fn note(kept: &mut StoredProcessor, id: WriteId, receipt: [u8; 16], now: Instant) {
    kept.writes.push(id.stored(receipt, now));
    let over = kept.writes.len().saturating_sub(WRITES);
    kept.writes.drain(..over);
}

fn put(
    record: &mut ControlRecord,
    asked: &v1::Processor,
    since: Option<Instant>,
    secret: &str,
    id: WriteId,
    receipt: [u8; 16],
    now: Instant,
) -> Result<(), Failure> {
    if standing(record, &asked.name).is_none() {
        if record.processors.iter().filter(|kept| kept.removed_at == 0).count() >= MOST {
            return Err(fault("processor", "so many are registered that no more are taken: remove some"));
        }
        let processor = v1::Processor { registered_at: Some(stamp(now)), ..asked.clone() };
        let since = since.unwrap_or(now).millis();
        record.processors.push(StoredProcessor { processor: Some(processor), since, ..StoredProcessor::default() });
    }
    let Some(kept) = standing(record, &asked.name) else { return Ok(()) };
    let registered_at = kept.processor.as_ref().and_then(|processor| processor.registered_at);
    kept.processor = Some(v1::Processor { registered_at, removed_at: None, ..asked.clone() });
    if asked.url.is_empty() {
        kept.secrets.clear();
    } else if !secret.is_empty() || kept.secrets.is_empty() {
        let made_here = secret.is_empty();
        let secret = if made_here { new_secret()? } else { secret.to_owned() };
        if kept.secrets.last().is_none_or(|last| last.secret != secret) {
            let since = now.millis();
            kept.secrets.push(StoredSecret { receipt_id: receipt.to_vec(), secret, since, made_here });
            let over = kept.secrets.len().saturating_sub(2);
            kept.secrets.drain(..over);
        }
    }
    note(kept, id, receipt, now);
    Ok(())
}
