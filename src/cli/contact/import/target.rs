//! Where rows are recorded: in the data folder, or by a server.

use std::time::Duration;

use tonic::{Code, Status};

use crate::access::{Caller, Permit, Role};
use crate::cli::again::{Again, Tell};
use crate::cli::open::Opened;
use crate::cli::remote::Wire;
use crate::cli::source::{self, Kept, NO_LISTS, Within};
use crate::cli::{Error, Global, now, remote};
use crate::engine::{Clock, Failure, Import, Imported};
use crate::proto::v1;
use crate::proto::v1::consent_service_client::ConsentServiceClient;

/// Rows that are recorded together: of so many, a server tells of each that it refuses.
pub(super) const CHUNK: usize = 2_000;
/// Bytes of rows after which fewer are recorded together: a row may be a mebibyte.
pub(super) const CHUNK_BYTES: usize = 4 << 20;

/// See the module.
pub(super) enum Target {
    /// The engine of this process.
    Local {
        /// All that is open.
        opened: Box<Opened>,
        /// Leave to write.
        permit: Permit,
        /// The import.
        import: Box<Import>,
    },
    /// A server.
    Remote {
        /// The way there.
        client: Box<ConsentServiceClient<Wire>>,
        /// The name of the import.
        import_id: String,
        /// How long it may take for the rows that are sent together.
        answer: Duration,
        /// How many are.
        together: Together,
        /// The entries of its log.
        receipts: Vec<String>,
    },
}

impl Target {
    /// Opens the data folder, or connects.
    pub(super) async fn open((kept, within): (&Kept, Within), import_id: &str, global: &Global) -> Result<Self, Error> {
        let import = Box::new(Import::new(import_id)?);
        if let Some(server) = &kept.server {
            let (answer, import_id) = (within.time(), import_id.to_owned());
            let client = Box::new(remote::contacts_within(server, answer).await?);
            return Ok(Self::Remote { client, import_id, answer, together: Together::default(), receipts: Vec::new() });
        }
        let opened = Box::new(source::opened(Some(kept.existing_folder()?), kept, &NO_LISTS, global).await?);
        let permit = Caller::local_of(opened.engine.tenant()).permit(Role::WriteConsent).map_err(Failure::from)?;
        Ok(Self::Local { opened, permit, import })
    }

    /// Records rows, and says what became of each. Where a server is waited for, it is told.
    pub(super) async fn record(
        &mut self,
        rows: Vec<v1::ImportContactsRequest>,
        tell: Tell<'_>,
    ) -> Result<Vec<Imported>, Error> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Local { opened, permit, import } => {
                let became = opened.engine.import_rows(permit, import, rows, Clock::at(now())).await?;
                Ok(became)
            }
            Self::Remote { client, import_id, answer, together, receipts } => {
                let send = async |mut rows: Vec<v1::ImportContactsRequest>| {
                    if let Some(first) = rows.first_mut() {
                        first.import_id.clone_from(import_id);
                    }
                    let mut request = tonic::Request::new(tokio_stream::iter(rows));
                    // So that the server ends when nobody waits for it any more.
                    request.set_timeout(*answer);
                    client.clone().import_contacts(request).await.map(tonic::Response::into_inner)
                };
                sent(&rows, send, together, receipts, Again::within(tell, *answer)).await
            }
        }
    }

    /// Ends the import, and says which entries of the log tell of it.
    pub(super) async fn finish(self) -> Result<Vec<String>, Error> {
        match self {
            Self::Remote { receipts, .. } => Ok(receipts),
            Self::Local { opened, permit, import } => {
                let told = opened.engine.finish_import(&permit, *import, Clock::at(now())).await?;
                opened.settle(now()).await?;
                Ok(vec![told.receipt_id])
            }
        }
    }
}

/// How many rows are sent together. A server that is slow, or that a limit holds up, answers as many as it can in the time
/// that it has: what it recorded of more, it need not record again.
pub(super) struct Together(usize);

impl Default for Together {
    fn default() -> Self {
        Self(CHUNK)
    }
}

impl Together {
    fn answered(&mut self) {
        self.0 = self.0.saturating_mul(2).min(CHUNK);
    }

    /// Of so many.
    fn refused(&mut self, sent: usize, why: &Status) {
        // The server says so, or this program, whichever clock is ahead.
        if matches!(why.code(), Code::DeadlineExceeded | Code::Cancelled) {
            self.0 = (sent / 2).max(1);
        }
    }
}

/// Sends rows, again where what refused them passes by itself: that records nothing twice. A server answers for all that
/// are sent together, so that all of those are sent again.
async fn sent(
    rows: &[v1::ImportContactsRequest],
    send: impl AsyncFn(Vec<v1::ImportContactsRequest>) -> Result<v1::ImportContactsResponse, Status>,
    together: &mut Together,
    receipts: &mut Vec<String>,
    mut again: Again<'_>,
) -> Result<Vec<Imported>, Error> {
    let mut became = Vec::with_capacity(rows.len());
    let mut rest = rows;
    while !rest.is_empty() {
        let (now, later) = rest.split_at_checked(together.0).unwrap_or((rest, &[]));
        match send(now.to_vec()).await {
            Ok(told) => {
                again.answered();
                together.answered();
                receipts.push(told.receipt_id);
                became.extend(of_each(now, told.rejections, told.accepted, told.repeated_rows)?);
                rest = later;
            }
            Err(status) => {
                together.refused(now.len(), &status);
                again.wait(status).await.map_err(|status| {
                    let refused = remote::refused(&status);
                    Error::said(format!("{refused}\n       to go on where it stopped: run the same again"))
                })?;
            }
        }
    }
    Ok(became)
}

/// What became of each row. Which of the others were recorded before, the server does not tell row by row.
fn of_each(
    rows: &[v1::ImportContactsRequest],
    rejections: Vec<v1::ImportRejection>,
    accepted: u64,
    repeated: u64,
) -> Result<Vec<Imported>, Error> {
    if accepted + repeated + rejections.len() as u64 != rows.len() as u64 {
        return Err(Error::said("the server answered for another number of rows than it was sent"));
    }
    let mut refused = rejections.into_iter().peekable();
    let mut left = accepted;
    let each = rows.iter().map(|row| match refused.next_if(|why| why.row == row.row) {
        Some(why) => Imported::Rejected(why),
        None if left > 0 => {
            left -= 1;
            Imported::Accepted
        }
        None => Imported::Repeated,
    });
    let each: Vec<_> = each.collect();
    match refused.next() {
        None => Ok(each),
        Some(_) => Err(Error::said("the server refused a row that it was not sent")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn rows(count: u64) -> Vec<v1::ImportContactsRequest> {
        (1..=count).map(|row| v1::ImportContactsRequest { row, ..Default::default() }).collect()
    }

    /// What becomes of rows that a script answers: turn by turn, of so many.
    async fn by(
        count: u64,
        script: impl Fn(usize, usize) -> Result<(), Status>,
    ) -> (Result<Vec<Imported>, Error>, Vec<usize>, Vec<String>) {
        let turns = RefCell::new(Vec::new());
        let send = async |rows: Vec<v1::ImportContactsRequest>| {
            turns.borrow_mut().push(rows.len());
            let turn = turns.borrow().len();
            script(turn, rows.len())?;
            // One in ten is refused.
            let refused = rows.iter().filter(|row| row.row % 10 == 0);
            let rejections: Vec<_> =
                refused.map(|row| v1::ImportRejection { row: row.row, ..Default::default() }).collect();
            let accepted = (rows.len() - rejections.len()) as u64;
            let receipt_id = turn.to_string();
            Ok(v1::ImportContactsResponse { accepted, rejections, receipt_id, ..Default::default() })
        };
        let (mut together, mut receipts) = (Together::default(), Vec::new());
        let quiet = |_: &str| {};
        let became = sent(&rows(count), send, &mut together, &mut receipts, Again::at_once(&quiet)).await;
        (became, turns.into_inner(), receipts)
    }

    #[tokio::test]
    async fn what_passes_by_itself_is_sent_again_and_nothing_else() {
        let passing = [Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::Unknown];
        let script = |turn: usize, _| passing.get(turn - 1).map_or(Ok(()), |code| Err(Status::new(*code, "not now")));
        let (became, turns, receipts) = by(3, script).await;
        assert_eq!((became.unwrap().len(), turns, receipts), (3, vec![3; 5], vec!["5".to_owned()]));
        let (became, ..) = by(3, |_, _| Err(Status::permission_denied("no"))).await;
        let error = became.unwrap_err();
        assert!(error.to_string().contains("run the same again"), "{error}");
    }

    /// A file is no longer than its server is slow.
    #[tokio::test]
    async fn fewer_are_sent_together_where_the_server_takes_too_long_for_more() {
        for code in [Code::DeadlineExceeded, Code::Cancelled] {
            let slow = |_, rows| if rows > 30 { Err(Status::new(code, "too slow")) } else { Ok(()) };
            let (became, turns, receipts) = by(200, slow).await;
            let became = became.unwrap();
            assert_eq!(became.len(), 200);
            for (row, became) in (1_u64..).zip(&became) {
                assert_eq!(matches!(became, Imported::Rejected(why) if why.row == row), row % 10 == 0, "{row}");
            }
            assert_eq!(turns.get(..4).unwrap(), [200, 100, 50, 25]);
            assert_eq!(receipts.len(), turns.iter().filter(|rows| **rows <= 30).count());
        }
    }
}
