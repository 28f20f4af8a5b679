//! Where rows are recorded: in the data folder, or by a server.

use std::time::Duration;

use crate::access::{Caller, Permit, Role};
use crate::cli::open::Opened;
use crate::cli::remote::Wire;
use crate::cli::source::{self, Kept, NO_LISTS};
use crate::cli::{Error, Global, now, remote};
use crate::engine::{Clock, Failure, Import, Imported};
use crate::proto::v1;
use crate::proto::v1::consent_service_client::ConsentServiceClient;

/// Rows that are recorded together: of so many, a server tells of each that it refuses.
pub(super) const CHUNK: usize = 2_000;
/// How often a server that is away is asked again.
const TRIES: u32 = 5;

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

    /// Records rows, and says what became of each.
    pub(super) async fn record(&mut self, rows: Vec<v1::ImportContactsRequest>) -> Result<Vec<Imported>, Error> {
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
                let told = sent(client, &rows).await?;
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

/// Sends rows, again where the server was away for a moment: that records nothing twice.
async fn sent(
    client: &mut ConsentServiceClient<Wire>,
    rows: &[v1::ImportContactsRequest],
) -> Result<v1::ImportContactsResponse, Error> {
    let mut tries = 0;
    loop {
        let sent = client.import_contacts(tokio_stream::iter(rows.to_vec())).await;
        match sent {
            Ok(told) => return Ok(told.into_inner()),
            // A connection that breaks is told as unknown.
            Err(status) if is_away(status.code()) && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(tries)).await;
            }
            Err(status) => {
                let refused = remote::refused(&status);
                return Err(Error::said(format!("{refused}\n       to go on where it stopped: run the same again")));
            }
        }
    }
}

const fn is_away(code: tonic::Code) -> bool {
    matches!(code, tonic::Code::Unavailable | tonic::Code::Unknown)
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
