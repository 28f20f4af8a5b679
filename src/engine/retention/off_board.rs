//! The end of a tenant's service: nothing is allowed any more, and what no duty keeps goes.

use super::super::answer::stamp;
use super::super::consent::{receipt_text, request_id};
use super::super::control::{fault, wire, write_id};
use super::super::{Clock, Engine, Failure, notices};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::proto::store::{ControlRecord, StoredFreeze, StoredOffBoarding, audited_write};
use crate::proto::v1;
use crate::time::Instant;

impl Engine {
    /// Ends the tenant's service. Once this has returned, no check is answered with ALLOW but what no freeze stops.
    ///
    /// # Errors
    /// A faulty request; the service has ended already; a `request_id` used for something else; store or log unavailable.
    pub async fn off_board(
        &self,
        permit: &Permit,
        request: v1::OffBoardRequest,
        clock: Clock,
    ) -> Result<v1::OffBoardResponse, Failure> {
        let mut reader = Reader::new();
        request_id(&mut reader, &request.request_id);
        wire::who(&mut reader, &request.who);
        wire::sentence(&mut reader, "why", &request.why);
        wire::sentence(&mut reader, "contact", &request.contact);
        wire::sound(reader)?;
        let asked = audited_write::Request::OffBoard(request.clone());
        let id = write_id(&request.request_id, &asked)?;
        let made = |record: &mut ControlRecord, receipt: [u8; 16], now: Instant| {
            if record.off_boarding.is_some() {
                return Err(Failure::AlreadyExists("the tenant's service has ended before"));
            }
            if record.freezes.iter().any(|kept| kept.freeze.is_none()) {
                return Err(fault("request_id", "a freeze of a newer build stands: run the newer build"));
            }
            let everything = v1::FreezeTarget { target: Some(v1::freeze_target::Target::Everything(true)) };
            let freeze = v1::Freeze {
                freeze_id: receipt_text(receipt),
                target: Some(everything),
                who: request.who.clone(),
                why: request.why.clone(),
                from: Some(stamp(now)),
                ..v1::Freeze::default()
            };
            let write = Some(id.stored(receipt, now));
            record.freezes.push(StoredFreeze { freeze: Some(freeze), write: write.clone(), lifting: None });
            record.off_boarding = Some(StoredOffBoarding {
                at: now.millis(),
                freeze_id: receipt_text(receipt),
                request: Some(request.clone()),
                write,
            });
            Ok(())
        };
        let (record, receipt) = self.switch(permit, clock, id, asked, &mut { made }).await?;
        let ended = record.off_boarding.unwrap_or_default();
        let head = self.main.log.as_ref().map(|log| (log.writer().to_string(), log.head()));
        let (log_writer, log_sequence, log_digest) = match head {
            Some((writer, head)) => (writer, head.seq, super::super::policies::hex(&head.hash)),
            None => Default::default(),
        };
        Ok(v1::OffBoardResponse {
            off_boarded_at: Some(stamp(Instant::from_millis(ended.at))),
            freeze_id: ended.freeze_id,
            receipt_id: receipt_text(receipt),
            notices: notices::of_the_end(&request.contact),
            log_writer,
            log_sequence,
            log_digest,
        })
    }
}
