//! Where rows are recorded: in the data folder, or by a server.

use crate::access::{Caller, Permit, Role};
use crate::cli::again::{Again, Tell};
use crate::cli::open::Opened;
use crate::cli::remote::Wire;
use crate::cli::source::{self, Kept, NO_LISTS};
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
        /// The entries of its log.
        receipts: Vec<String>,
    },
}

impl Target {
    /// Opens the data folder, or connects.
    pub(super) async fn open(kept: &Kept, import_id: &str, global: &Global) -> Result<Self, Error> {
        let import = Box::new(Import::new(import_id)?);
        if let Some(server) = &kept.server {
            let client = Box::new(remote::contacts(server).await?);
            return Ok(Self::Remote { client, import_id: import_id.to_owned(), receipts: Vec::new() });
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
            Self::Remote { client, import_id, receipts } => {
                let mut rows = rows;
                if let Some(first) = rows.first_mut() {
                    first.import_id.clone_from(import_id);
                }
                let send = async || {
                    let mut client = client.clone();
                    client.import_contacts(tokio_stream::iter(rows.clone())).await.map(tonic::Response::into_inner)
                };
                let told = sent(send, Again::new(tell)).await?;
                receipts.push(told.receipt_id);
                of_each(&rows, told.rejections, told.accepted, told.repeated_rows)
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

/// Sends rows, again where what refused them passes by itself: that records nothing twice. A server answers for all of them
/// together, so that all are sent again.
async fn sent(
    send: impl AsyncFn() -> Result<v1::ImportContactsResponse, tonic::Status>,
    mut again: Again<'_>,
) -> Result<v1::ImportContactsResponse, Error> {
    loop {
        match send().await {
            Ok(told) => {
                again.answered();
                return Ok(told);
            }
            Err(status) => again.wait(status).await.map_err(|status| {
                let refused = remote::refused(&status);
                Error::said(format!("{refused}\n       to go on where it stopped: run the same again"))
            })?,
        }
    }
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
    use std::cell::Cell;

    use tonic::{Code, Status};

    use super::*;

    #[tokio::test]
    async fn what_passes_by_itself_is_sent_again_and_nothing_else() {
        let passing =
            [Code::Unavailable, Code::ResourceExhausted, Code::Aborted, Code::DeadlineExceeded, Code::Unknown];
        let turn = Cell::new(0);
        let send = async || {
            turn.set(turn.get() + 1);
            match passing.get(turn.get() - 1) {
                Some(code) => Err(Status::new(*code, "not now")),
                None => Ok(v1::ImportContactsResponse { accepted: 3, ..Default::default() }),
            }
        };
        assert_eq!(sent(send, Again::at_once(&|_| {})).await.unwrap().accepted, 3);
        assert_eq!(turn.get(), passing.len() + 1);
        let error = sent(async || Err(Status::permission_denied("no")), Again::at_once(&|_| {})).await.unwrap_err();
        assert!(error.to_string().contains("run the same again"), "{error}");
    }
}
