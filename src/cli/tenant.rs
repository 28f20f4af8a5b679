//! `ringfence tenant`: the end of a tenant's service.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use super::keeper::{By, Keeper, again, ask, at, told};
use super::output::say;
use super::retention::{report, sweep};
use super::{Error, Exit, Global};
use crate::proto::v1;

/// Tenants.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// End the service: stop every contact for good, and remove all that no duty keeps
    OffBoard(Box<OffBoardArgs>),
}

/// The end of a service.
#[derive(Debug, clap::Args)]
#[command(
    about = "End the service: stop every contact for good, and remove all that no duty keeps",
    after_help = "Without --yes it only says what would go. With it: every check is denied from then on, for good; the \
                  contacts are exported where --export names a file; then all goes that no law and no hold keeps. What \
                  they keep goes later, by asking again or, from 30 days on, by the server's own sweeps."
)]
pub struct OffBoardArgs {
    /// Do it. It cannot be undone
    #[arg(long)]
    yes: bool,
    /// Why; it is told with every denial
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// How people reach whoever answers for their data from now on; it stands in the notices
    #[arg(long, value_name = "TEXT")]
    contact: String,
    /// Write all contacts to this file before they go, one line of JSON each; must not exist
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    #[command(flatten)]
    by: By,
}

/// Runs it.
///
/// # Errors
/// The service could not be ended; what was done until then stays done, and asking again goes on.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    let Command::OffBoard(args) = command;
    let keeper = Keeper::open(&args.by.kept, global).await?;
    if !args.yes {
        let all = sweep(&keeper, true, true).await?;
        if global.json {
            super::output::say_json(&all)?;
        } else {
            say(&format!("{}\nNothing was done. To do it: --yes\n", report(&all, true)))?;
        }
        return Ok(Exit::Yes);
    }
    let request_id = args.by.request_id();
    let request = v1::OffBoardRequest {
        request_id: request_id.clone(),
        who: args.by.who.clone(),
        why: args.why.clone(),
        contact: args.contact.clone(),
    };
    let ended = ask!(keeper, retention, off_board, request).map_err(|error| again(&error, &request_id))?;
    let exported = match &args.export {
        Some(path) => Some(export(&keeper, path).await.map_err(|error| again(&error, &request_id))?),
        None => None,
    };
    let all = sweep(&keeper, false, true).await.map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    if global.json {
        let value = serde_json::json!({ "ended": ended, "exported": exported, "sweep": all });
        return told(global, &value, &request_id, String::new);
    }
    told(global, &ended, &request_id, || {
        let mut out =
            format!("The service ended {}. No contact is allowed any more.\n", at(ended.off_boarded_at.as_ref()));
        // Writing to a string cannot fail.
        if let (Some(count), Some(path)) = (exported, &args.export) {
            let _ = writeln!(out, "{count} contacts were exported to {}.", path.display());
        }
        let _ = write!(out, "\n{}", report(&all, false));
        if !ended.log_writer.is_empty() {
            let _ = write!(out, "\nlog     {} entry {} {}\n", ended.log_writer, ended.log_sequence, ended.log_digest);
        }
        let _ = writeln!(out, "\nNotices to people, and to the parents or guardians of minors: with --json.");
        out
    })
}

/// Writes all contacts to a new file, readable by its owner alone. Until it is whole it has another name, so that it can be
/// begun anew.
async fn export(keeper: &Keeper, path: &std::path::Path) -> Result<u64, Error> {
    let failed = |error: &std::io::Error| Error::io("writing", &path.display().to_string(), error);
    if path.exists() {
        return Err(Error::said(format!("{}: is there already; name another file", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // Readable by its owner alone, and gone if this fails.
    let part = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mut file = std::io::BufWriter::new(part);
    let (mut count, mut token) = (0, String::new());
    loop {
        let request = v1::ExportContactsRequest { page_size: 256, page_token: token, why: "off-boarding".to_owned() };
        let page = ask!(keeper, retention, export_contacts, request)?;
        for contact in &page.contacts {
            let line = serde_json::to_string(contact).map_err(|error| Error::said(error.to_string()))?;
            writeln!(file, "{line}").map_err(|error| failed(&error))?;
            count += 1;
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let part = file.into_inner().map_err(|error| failed(error.error()))?;
    part.as_file().sync_all().map_err(|error| failed(&error))?;
    part.persist_noclobber(path).map_err(|error| failed(&error.error))?;
    Ok(count)
}
