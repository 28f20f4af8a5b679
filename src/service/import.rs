//! `ImportContacts`: rows are taken as they come, recorded together, and answered at the end.

use std::time::{Duration, Instant as Monotonic};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use prost::Message as _;
use tonic::{Code, Status};

use super::calls::{Calls, Incoming, now};
use super::{malformed, status};
use crate::access::Role;
use crate::engine::{Clock, Failure, Import};
use crate::proto::v1;

/// The most rows that are recorded together.
const MOST: usize = 512;
/// The most bytes of rows that are recorded together, of more than one.
const MOST_BYTES: usize = 4 << 20;
/// How long the rows of one go may take: a slow disk ends no import.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows that were sent; and whether more may come.
struct Taken {
    rows: Vec<v1::ImportContactsRequest>,
    more: Result<bool, Status>,
}

impl Calls {
    /// `ConsentService.ImportContacts`.
    ///
    /// # Errors
    /// See [`Calls::check`]. What is wrong with a row is in the answer. Rows recorded before an error stay so, and the
    /// import is sent again.
    pub async fn import_contacts(
        &self,
        incoming: Incoming,
        rows: impl Stream<Item = Result<v1::ImportContactsRequest, Status>> + Unpin,
    ) -> Result<v1::ImportContactsResponse, Status> {
        let until = incoming.timeout.and_then(|timeout| incoming.arrived.checked_add(timeout));
        let all = self.import_all(&incoming, rows, until);
        let answer = match until {
            None => all.await,
            Some(until) => {
                let ended = tokio::time::timeout_at(until.into(), all).await;
                ended.unwrap_or_else(|_| Err(status::of(Failure::TooLate)))
            }
        };
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.server().metrics().answered("ImportContacts", status::name(code), None);
        answer
    }

    async fn import_all(
        &self,
        incoming: &Incoming,
        mut rows: impl Stream<Item = Result<v1::ImportContactsRequest, Status>> + Unpin,
        until: Option<Monotonic>,
    ) -> Result<v1::ImportContactsResponse, Status> {
        let permit = incoming.permit(Role::WriteConsent).map_err(status::of)?;
        let engine = self.of(&permit).map_err(status::of)?;
        let clock = || {
            let each = Monotonic::now().checked_add(PATIENCE);
            Clock { now: now(), deadline: until.map_or(each, |until| each.map(|each| each.min(until))) }
        };
        let mut stopping = Box::pin(engine.stopping());
        let mut import = None;
        loop {
            let taken = tokio::select! {
                biased;
                () = &mut stopping => return Err(stopped()),
                taken = take(&mut rows) => taken,
            };
            if let (None, Some(first)) = (&import, taken.rows.first()) {
                import = Some(Import::new(&first.import_id).map_err(status::of)?);
            }
            if let (Some(import), false) = (&mut import, taken.rows.is_empty()) {
                incoming.charge(u32::try_from(taken.rows.len()).unwrap_or(u32::MAX)).map_err(status::of)?;
                engine.import_rows(&permit, import, taken.rows, clock()).await.map_err(status::of)?;
            }
            if !taken.more? {
                break;
            }
        }
        // Sent without a row it has no name.
        let import = import.map_or_else(|| Import::new(""), Ok).map_err(status::of)?;
        engine.finish_import(&permit, import, clock()).await.map_err(status::of)
    }
}

/// Waits for a row, and takes those that came with it.
async fn take(rows: &mut (impl Stream<Item = Result<v1::ImportContactsRequest, Status>> + Unpin)) -> Taken {
    let mut taken = Taken { rows: Vec::new(), more: Ok(true) };
    let mut bytes = 0;
    let mut next = Some(rows.next().await);
    while let Some(came) = next {
        match came {
            Some(Ok(row)) => {
                bytes += row.encoded_len();
                taken.rows.push(row);
            }
            Some(Err(status)) => taken.more = Err(malformed::told(status)),
            None => taken.more = Ok(false),
        }
        let room = taken.rows.len() < MOST && bytes < MOST_BYTES && matches!(taken.more, Ok(true));
        next = if room { rows.next().now_or_never() } else { None };
    }
    taken
}

fn stopped() -> Status {
    let why = "the server is stopping: send the import again, to another; what it recorded is not recorded twice";
    status::passing(Code::Unavailable, "STOPPING", why, Duration::from_secs(1))
}
