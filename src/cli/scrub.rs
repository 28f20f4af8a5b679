//! `ringfence scrub`: a CSV file in, the same file out, with a verdict for every row.
//!
//! Promises: every row is answered, in the order of the input, whatever is in it; its own fields stay as they were; the
//! memory needed does not grow with the file; an output that is there is complete and logged, as one entry. Nothing is
//! counted against any cap. Guarded by `tests/cli.rs`.

mod answer;
mod columns;
mod input;
mod output;
mod pipeline;
mod row;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::answer::Judge;
use self::columns::Wanted;
pub(super) use self::columns::delimiter;
use self::input::Input;
use self::output::Output;
use self::pipeline::Scrubbed;
use super::open::Opened;
use super::question::Question;
use super::source::{self, Kept, Lists};
use super::{Error, Exit, Global, now, output as terminal, remote};
use crate::access::{Caller, Role};
use crate::engine::{Clock, Failure};
use crate::proto::store::AuditedBatch;
use crate::proto::v1;

/// How long an interrupt waits for the rows under way. A read of standard input may never end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The columns that are added.
pub(super) const ADDED: [&str; 4] =
    ["ringfence_verdict", "ringfence_reasons", "ringfence_retry_at", "ringfence_message"];

/// Who of these may be called or texted now?
#[derive(Debug, clap::Args)]
#[command(
    about = "Filter a CSV file: every row gets a verdict, its reasons, and when to try again",
    after_help = "Adds the columns ringfence_verdict (ALLOW or DENY), ringfence_reasons (families, strongest first),\n\
                  ringfence_retry_at and ringfence_message. A row whose number is none is answered DENY, NUMBER; one\n\
                  whose other cells cannot be read is answered DENY, INVALID_ARGUMENT. Only ALLOW is a yes.\n\
                  Reads UTF-8 (or any code that agrees with it in ASCII); finds the separator and the columns by itself.\n\
                  Exit status: 0 every row is answered, 2 error; then no output is left behind.\n\n\
                  Example: ringfence scrub leads.csv --output clean.csv --channel call --purpose marketing --seller acme"
)]
pub struct Args {
    /// The CSV file to read; - is standard input
    file: PathBuf,
    /// The CSV file to write; - is standard output
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    columns: Named,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    lists: Lists,
}

/// Columns by name, where they are not found by themselves.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Columns")]
struct Named {
    /// The column with the numbers, by its title or its place (1 is the first)
    #[arg(long, value_name = "NAME")]
    number_column: Option<String>,
    /// The column with the country of numbers in national form
    #[arg(long, value_name = "NAME")]
    country_column: Option<String>,
    /// The column with the state or province of residence
    #[arg(long, value_name = "NAME")]
    state_column: Option<String>,
    /// The column with the postal code of the residence
    #[arg(long, value_name = "NAME")]
    postal_code_column: Option<String>,
    /// The column with the time zone
    #[arg(long, value_name = "NAME")]
    time_zone_column: Option<String>,
}

impl Named {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            number: self.number_column.as_deref(),
            country: self.country_column.as_deref(),
            state: self.state_column.as_deref(),
            postal_code: self.postal_code_column.as_deref(),
            time_zone: self.time_zone_column.as_deref(),
        }
    }
}

/// Runs it.
///
/// # Errors
/// Input, output, data or server fail, or no column holds numbers. Then no output file is left behind.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    if global.json && is_standard(&args.output) {
        return Err(Error::said("--json and --output - cannot be used together: both write to standard output"));
    }
    let template = args.question.request()?;
    let input = Input::open(&args.file, args.columns.wanted())?;
    let output = Output::create(&args.output, &args.file, args.force)?;
    for note in &input.columns.notes {
        terminal::note(&format!("note: {note}"));
    }
    if !input.columns.has_header {
        terminal::note(
            "note: the first row is no header; it is answered like the others, and the output has no header",
        );
    }
    let clock = Clock::at(now());
    let (judge, opened) = judge(&args, global, clock).await?;
    let scrubbed = work(input, output, template.clone(), judge).await?;
    let rules = scrubbed.rules.clone();
    let entry = match &opened {
        Some(opened) => log(opened, &args.file, template, &scrubbed, clock).await?,
        None => None,
    };
    // Only now: what is handed out is in the log.
    let (tally, place) = (scrubbed.tally, scrubbed.output.publish(args.force)?);
    scrubbed.progress.finish(&format!("{} rows", super::progress::grouped(tally.rows)));
    let summary = summary::Summary {
        tally: &tally,
        output: &place,
        rules: &rules,
        entry,
        by_server: opened.is_none(),
        at: args.question.at().unwrap_or(clock.now),
    };
    match global.json {
        true => terminal::say_json(&summary.machine())?,
        false => terminal::note(summary.human().trim_end()),
    }
    Ok(Exit::Yes)
}

/// Whether a path stands for standard input or output.
fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

async fn judge(args: &Args, global: &Global, clock: Clock) -> Result<(Judge, Option<Opened>), Error> {
    if let Some(server) = &args.kept.server {
        let client = remote::checks(server).await?;
        return Ok((Judge::Remote(client), None));
    }
    let opened = source::opened(args.kept.folder()?, &args.kept, &args.lists, global).await?;
    let permit = Caller::local().permit(Role::Check).map_err(Failure::from)?;
    let judge = Judge::Local { engine: Arc::clone(&opened.engine), permit, clock };
    Ok((judge, Some(opened)))
}

/// Does the work on threads of its own; an interrupt ends it and leaves nothing behind.
async fn work(input: Input, output: Output, template: v1::CheckRequest, judge: Judge) -> Result<Scrubbed, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let handle = tokio::runtime::Handle::current();
    let mut work =
        tokio::task::spawn_blocking(move || pipeline::run(input, output, &template, &judge, &handle, &stopped));
    let done = tokio::select! {
        done = &mut work => done,
        Ok(()) = tokio::signal::ctrl_c() => {
            stop.store(true, Ordering::Relaxed);
            match tokio::time::timeout(PATIENCE, work).await {
                Ok(done) => done,
                Err(_) => return Err(Error::said("interrupted while waiting for input")),
            }
        }
    };
    done.unwrap_or_else(|error| Err(Error::said(format!("a thread ended early: {error}"))))
}

async fn log(
    opened: &Opened,
    file: &Path,
    question: v1::CheckRequest,
    scrubbed: &Scrubbed,
    clock: Clock,
) -> Result<Option<uuid::Uuid>, Error> {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let permit = Caller::local().permit(Role::Check).map_err(Failure::from)?;
    let batch = AuditedBatch {
        operation: "scrub".to_owned(),
        name,
        input_digest: scrubbed.input_digest.to_vec(),
        output_digest: scrubbed.output.digest().to_vec(),
        rows: scrubbed.tally.rows,
        accepted: scrubbed.tally.allowed,
        rules_version: scrubbed.rules.clone(),
        question: Some(question),
    };
    let entry = opened.engine.log_batch(&permit, batch, clock).await?;
    opened.settle(now()).await?;
    Ok(entry)
}
