//! The answers of the database, recorded with the contacts.
//!
//! Promises: as `contact import`: a row is recorded whole or refused with its line and reason; begun again, the same file
//! records nothing twice. A yes is never left out for what only a no needs. Guarded by `tests/cli/reassigned.rs`.

use std::fs;
use std::path::PathBuf;

use super::rows::{Answers, Given, Rows};
use crate::cli::contact::import::rows::Source;
use crate::cli::contact::import::{Refusals, name_of, record};
use crate::cli::source::{Kept, Within};
use crate::cli::terms::instant;
use crate::cli::{Error, Exit, Global, now};
use crate::time::Instant;

/// Record the answers.
#[derive(Debug, clap::Args)]
#[command(
    about = "Record what the database answered",
    after_help = "A row has a number, the date it was asked about, and the answer: yes, no or no_data. The columns are known by \
                  their names, by the options, or, where no line names them, by what the first row holds; others are not \
                  read. Dates are 2024-05-01 or 5/1/2024. The file may be compressed, gzip or zstd.\n\n\
                  After a yes no consent covers anything that was given before the answer, or before the later date of a no. \
                  A no is kept as proof that the number was asked about: for which date, when, by which file. no_data changes \
                  nothing and proves nothing. No answer takes another away; they are shown by `ringfence contact show`.\n\n\
                  Interrupted, run it again: a row is recorded once.\n\n\
                  Exit status: 0 every row is recorded, 1 some were refused, 2 error: run it again.\n\n\
                  Example: ringfence reassigned import answers.csv --checked-at 2026-11-20T15:00:00Z"
)]
pub struct ImportArgs {
    /// The file to read
    file: PathBuf,
    /// When the database answered
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    checked_at: Instant,
    /// Where the answers come from, for those who look later; left out: the name of the file
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// The column with the numbers
    #[arg(long, value_name = "NAME")]
    number_column: Option<String>,
    /// The column with the dates asked about
    #[arg(long, value_name = "NAME")]
    date_column: Option<String>,
    /// The column with the answers
    #[arg(long, value_name = "NAME")]
    answer_column: Option<String>,
    /// Write refused rows to this file, each with its line, field and reason
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Replace the file of refused rows if it is there
    #[arg(long)]
    force: bool,
    /// The name of the import; left out: one that follows from the file and these options
    #[arg(long, value_name = "ID")]
    import_id: Option<String>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    within: Within,
}

impl ImportArgs {
    /// Opens the file, as the options say that it is to be read.
    ///
    /// # Errors
    /// As [`Rows::open`].
    pub(in crate::cli) fn rows(&self) -> Result<impl Source + use<>, Error> {
        Rows::open(&self.file, self.given())
    }

    fn given(&self) -> Given {
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Given {
            checked_at: self.checked_at,
            source: self.source.clone().unwrap_or(name),
            titles: [self.number_column.clone(), self.date_column.clone(), self.answer_column.clone()],
        }
    }
}

/// Runs it.
pub(super) async fn run(args: ImportArgs, global: &Global) -> Result<Exit, Error> {
    if args.checked_at > now() {
        let at = args.checked_at;
        return Err(Error::said(format!("--checked-at {at} lies in the future: give the instant of the answer")));
    }
    let bytes = fs::metadata(&args.file).map_err(|error| Error::at(&args.file, "reading", &error))?.len();
    let given = args.given();
    let import_id = match &args.import_id {
        Some(id) => id.clone(),
        None => name_of(&args.file, &given.canonical())?,
    };
    let mut rows = Rows::open(&args.file, given)?;
    let refusals = Refusals { input: &args.file, file: args.rejected.as_deref(), force: args.force };
    let outcome = record(&mut rows, bytes, (&args.kept, args.within), &import_id, &refusals, global).await?;
    let Answers { yes, no, no_data } = rows.read_so_far();
    outcome.tell(&refusals, &import_id, &[("yes", yes), ("no", no), ("no_data", no_data)], global)?;
    Ok(Exit::when(outcome.rejected == 0))
}
