//! `ImportContacts`: rows are taken as they come, recorded together, and answered at the end.
//!
//! Promises: a tenant that sends faster than it may is held up and not refused, and what an earlier run recorded costs it
//! nothing, so that an import that is sent again comes further; nothing is recorded for somebody who may no longer write.
//! Guarded by `tests/service/import.rs` and `tests/access/streams.rs`.

use std::pin::Pin;
use std::time::{Duration, Instant as Monotonic};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tonic::{Code, Status};

use super::incoming::{Incoming, now};
use super::leave::{Leave, Losing};
use super::lenient::Sent;
use super::{Calls, malformed, status};
use crate::access::Role;
use crate::engine::{Clock, Failure, Import, Imported};
use crate::proto::v1;

/// The most rows that are recorded together.
const MOST: usize = 512;
/// The most bytes that rows take which are recorded together, of more than one.
const MOST_BYTES: usize = 1 << 20;
/// How long the rows of one go may take: a slow disk ends no import.
const PATIENCE: Duration = Duration::from_secs(60);

type Row = Sent<v1::ImportContactsRequest>;

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
    /// import is sent again; by somebody else, where its caller may no longer write.
    pub(super) async fn import_contacts(
        &self,
        incoming: Incoming,
        rows: impl Stream<Item = Result<Row, Status>> + Unpin,
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
        self.count("ImportContacts", &incoming, code);
        answer
    }

    async fn import_all(
        &self,
        incoming: &Incoming,
        mut rows: impl Stream<Item = Result<Row, Status>> + Unpin,
        until: Option<Monotonic>,
    ) -> Result<v1::ImportContactsResponse, Status> {
        let failed = |failure: Failure| {
            self.failed(incoming, "ImportContacts", &failure);
            status::of(failure)
        };
        let leave = Leave::of(self, "ImportContacts", incoming, Role::WriteConsent).map_err(failed)?;
        let engine = self.of(leave.begun()).map_err(failed)?;
        let clock = || {
            let each = Monotonic::now().checked_add(PATIENCE);
            Clock { now: now(), deadline: until.map_or(each, |until| each.map(|each| each.min(until))) }
        };
        let mut ending = Ending { stopping: Box::pin(engine.stopping()), losing: leave.lost() };
        let mut import = None;
        loop {
            let taken = ending.unless(take(&mut rows)).await?;
            if let (None, Some(first)) = (&import, taken.rows.first()) {
                import = Some(Import::new(&first.import_id).map_err(failed)?);
            }
            let mut left = taken.rows;
            while let (Some(import), false) = (&mut import, left.is_empty()) {
                let rest = left.split_off(ending.unless(may_send(incoming, left.len())).await?);
                let clock = clock();
                let permit = leave.permit(clock.now)?;
                let became = engine.import_rows(&permit, import, left, clock).await.map_err(failed)?;
                incoming.give_back(became.iter().filter(|became| **became == Imported::Repeated).count());
                left = rest;
            }
            if !taken.more? {
                break;
            }
        }
        // Sent without a row it has no name.
        let import = import.map_or_else(|| Import::new(""), Ok).map_err(failed)?;
        // The rows are recorded: the entry of the whole is written, whoever may no longer write by now.
        engine.finish_import(leave.begun(), import, clock()).await.map_err(failed)
    }
}

/// What ends an import before its sender does.
struct Ending {
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    losing: Losing,
}

impl Ending {
    /// Comes with why. Not to be asked again then.
    async fn comes(&mut self) -> Status {
        tokio::select! {
            biased;
            why = &mut self.losing => why,
            () = &mut self.stopping => stopped(),
        }
    }

    /// What comes of this, unless the end comes first.
    async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Status> {
        tokio::select! {
            biased;
            why = self.comes() => Err(why),
            done = work => Ok(done),
        }
    }
}

/// How many of so many rows the tenant may send now: waits until it may send one. Nothing is read meanwhile, and nothing
/// held.
async fn may_send(incoming: &Incoming, rows: usize) -> usize {
    loop {
        match incoming.take(rows) {
            Ok(some) => return some,
            Err(wait) => tokio::time::sleep(wait).await,
        }
    }
}

/// Waits for a row, and takes those that came with it.
async fn take(rows: &mut (impl Stream<Item = Result<Row, Status>> + Unpin)) -> Taken {
    let mut taken = Taken { rows: Vec::new(), more: Ok(true) };
    let mut bytes = 0;
    let mut next = Some(rows.next().await);
    while let Some(came) = next {
        match came {
            Some(Ok(Sent { message: Ok(row), weight })) => {
                bytes += weight;
                taken.rows.push(row);
            }
            Some(Ok(Sent { message: Err(status), .. }) | Err(status)) => taken.more = Err(malformed::told(status)),
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
