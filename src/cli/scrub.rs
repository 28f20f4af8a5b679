//! `ringfence scrub`: a file in, the same file out, with a verdict for every row.
//!
//! Promises: every row is answered, in the order of the input, whatever is in it; its own fields stay as they were; the
//! memory needed does not grow with the file; an output that is there is complete and logged, as one entry; killed and begun
//! again within the hour, it goes on, and what it makes is the same. Unless attempts are to be counted, nothing is counted
//! against any cap. Guarded by `tests/cli/scrub.rs` and `tests/cli/scrub_files.rs`.

mod answer;
mod asked;
mod assemble;
mod classes;
mod columns;
mod input;
mod leads;
mod output;
mod pages;
mod parquet;
mod pipeline;
mod report;
mod row;
mod staged;
mod state;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::answer::Judge;
use self::columns::Wanted;
pub(super) use self::columns::delimiter;
use self::input::Input;
pub use self::leads::{Lead, Leads, Mark};
use self::output::Output;
use self::pipeline::{Scrubbed, Work};
use self::staged::Staged;
use self::state::{Run, State};
use super::open::Opened;
use super::packed::Packing;
use super::question::Question;
use super::source::{self, Kept, Lists, Within};
use super::{Error, Exit, Global, now, output as terminal, remote};
use crate::access::{Caller, Role};
use crate::engine::{Clock, Failure, Forecast};
use crate::proto::store::{AuditedBatch, ListInForce};
use crate::proto::v1;
use crate::registry::List;
use crate::time::Instant;

/// How long an interrupt waits for the rows under way. A read of standard input may never end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The days of a forecast in a report, where no number is given.
const DAYS: u8 = 3;

/// The columns that are added.
pub(super) const ADDED: [&str; 4] =
    ["ringfence_verdict", "ringfence_reasons", "ringfence_retry_at", "ringfence_message"];

/// Who of these may be called or texted now?
#[derive(Debug, clap::Args)]
#[command(
    about = "Filter a file: every row gets a verdict, its reasons, and when to try again",
    after_help = "Adds the columns ringfence_verdict (ALLOW or DENY), ringfence_reasons (families, strongest first),\n\
                  ringfence_retry_at and ringfence_message. A row whose number is none is answered DENY, NUMBER; one\n\
                  whose other cells cannot be read is answered DENY, INVALID_ARGUMENT. Only ALLOW is a yes.\n\
                  CSV in UTF-8 (or any code that agrees with it in ASCII), compressed with gzip or zstd or not; finds\n\
                  the separator and the columns by itself; compresses the output as its name says (.gz, .zst).\n\
                  Parquet stays Parquet. Nothing is counted unless --reserve is given.\n\
                  Killed, the same command goes on within the hour, and makes the same file.\n\
                  Exit status: 0 every row is answered, 2 error; then no output is there.\n\n\
                  Example: ringfence scrub leads.csv --output clean.csv --channel call --purpose marketing --seller acme"
)]
pub struct Args {
    /// The file to read; - is standard input
    file: PathBuf,
    /// The file to write; - is standard output
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Replace the output if it is there
    #[arg(long)]
    force: bool,
    /// Count every ALLOW as an attempt about to be made, to be used within minutes
    #[arg(long)]
    reserve: bool,
    /// Also say how many may be contacted in each hour of so many days, 14 at most
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u8).range(1..=14))]
    forecast: Option<u8>,
    /// Write a page with figures and charts, HTML; with a forecast of three days where none is asked for
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    columns: Named,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    within: Within,
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
/// Input, output, data or server fail, or no column holds numbers. Then no output file is there.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    args.sound(global)?;
    let template = v1::CheckRequest { dry_run: !args.reserve, ..args.question.request()? };
    let input = Input::open(&args.file, args.columns.wanted())?;
    let packing = args.packing(&input)?;
    let output = Output::create(&args.output, &args.file, args.force)?;
    let mut page = args.page()?;
    for note in &input.columns.notes {
        terminal::note(&format!("note: {note}"));
    }
    if !input.columns.has_header {
        terminal::note(
            "note: the first row is no header; it is answered like the others, and the output has no header",
        );
    }
    let started = now();
    let opened = match &args.kept.server {
        Some(_) => None,
        None => Some(source::answering(&args.kept, &args.lists, args.reserve, global).await?.0),
    };
    let made_from = state::made_from(&template, &args.parts(&input, opened.as_ref(), global).await?);
    let left = output.left_behind();
    let from = left.as_deref().and_then(|text| State::read(text, &made_from, started));
    let from = from.filter(|_| input.is_file());
    if from.is_none() {
        args.may_begin_anew(left.as_deref())?;
    }
    let run = args.begun(made_from, from.as_ref(), started);
    let clock = Clock::at(run.now);
    let at = args.question.at().unwrap_or(clock.now);
    let forecast = args.hours().map(|hours| Arc::new(Forecast::new(at, hours)));
    let judge = args.judge(opened.as_ref(), clock, forecast.clone()).await?;
    let resumed = from.is_some();
    let attempts = run.attempts.clone();
    let work = Work { template: template.clone(), judge, packing, run, from };
    let is_parquet = input.form.parquet;
    let mut scrubbed = done(input, output, work).await?;
    if is_parquet {
        scrubbed.output.assemble(|answers, whole| assemble::assemble(&args.file, answers, whole))?;
    }
    let rules = opened.as_ref().map(|opened| opened.engine.law().version().to_owned()).unwrap_or_default();
    let entry = match &opened {
        Some(opened) => log(opened, &args.file, template, &scrubbed, &rules, at, clock).await?,
        None => None,
    };
    let tally = scrubbed.tally;
    let summary = summary::Summary {
        tally: &tally,
        lists: opened.as_ref().map(lists_in_force),
        output: scrubbed.output.name(),
        rules: &rules,
        entry,
        by_row: opened.is_none() || args.reserve,
        at,
        forecast: forecast.map(|forecast| (forecast.from(), forecast.hours())),
        resumed,
        attempts: attempts.as_deref(),
    };
    if let Some(page) = &mut page {
        page.write(&report::page(&summary, &name(&args.file)))?;
    }
    let said = if global.json { Ok(summary.machine()) } else { Err(summary.human()) };
    // Only now: what is handed out is in the log. Where the output cannot be put in its place, the page goes again.
    let page = page.map(Staged::publish).transpose()?;
    scrubbed.output.publish(args.force)?;
    if let Some(page) = page {
        page.keep();
    }
    scrubbed.progress.finish(&format!("{} rows", super::progress::grouped(tally.rows())));
    match said {
        Ok(json) => terminal::say_json(&json)?,
        Err(text) => terminal::note(text.trim_end()),
    }
    Ok(Exit::Yes)
}

/// Whether a path stands for standard input or output.
fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a file is called, without its folder.
fn name(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

impl Args {
    /// Refuses what does not go together.
    fn sound(&self, global: &Global) -> Result<(), Error> {
        let refused = |why: &str| Err(Error::said(why));
        if global.json && is_standard(&self.output) {
            return refused("--json and --output - cannot be used together: both write to standard output");
        }
        if self.reserve && self.question.at().is_some() {
            return refused("--reserve and --at cannot be used together: an attempt is counted now");
        }
        if self.reserve && (is_standard(&self.file) || is_standard(&self.output)) {
            let what = "cut short, it cannot be gone on with, and what it counted stays counted";
            terminal::note(&format!("note: --reserve from standard input or to standard output: {what}"));
        }
        if self.forecast.is_some() && self.kept.server.is_some() {
            return refused(
                "--forecast and --server cannot be used together: a forecast needs the data folder, --data",
            );
        }
        if self.forecast.is_some() && self.reserve {
            return refused("--forecast and --reserve cannot be used together: what is counted changes the forecast");
        }
        Ok(())
    }

    /// Refuses to count rows again in silence that an earlier run counted, which cannot be gone on with.
    fn may_begin_anew(&self, left: Option<&str>) -> Result<(), Error> {
        let counted = left.filter(|_| self.reserve && !self.force).and_then(State::counted);
        let Some(rows) = counted else { return Ok(()) };
        let (output, rows) = (self.output.display(), super::progress::grouped(rows));
        Err(Error::said(format!(
            "{output}: an earlier run was cut short after it had counted {rows} attempts or more, and cannot be gone on with: it is \
             more than an hour old, or question, file, packs, lists, switches or release are others. Those attempts stay counted. \
             --force begins anew and counts again whoever is allowed"
        )))
    }

    /// The page, begun.
    fn page(&self) -> Result<Option<Staged>, Error> {
        let others = [self.file.as_path(), self.output.as_path()];
        self.report.as_deref().map(|page| Staged::create(page, others, self.force)).transpose()
    }

    /// How the output is compressed.
    fn packing(&self, input: &Input) -> Result<Packing, Error> {
        let name = self.output.display();
        let is_parquet = self.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"));
        match (input.form.parquet, is_parquet) {
            (true, false) => Err(Error::said(format!("{name}: Parquet stays Parquet: name the output .parquet"))),
            (false, true) => Err(Error::said(format!("{name}: CSV stays CSV: name the output .csv"))),
            (true, true) => Ok(Packing::Plain),
            (false, false) => Ok(Packing::of_name(&self.output)),
        }
    }

    /// The hours of the forecast.
    fn hours(&self) -> Option<usize> {
        let by_itself = self.report.is_some() && self.kept.server.is_none() && !self.reserve;
        let days = self.forecast.or_else(|| by_itself.then_some(DAYS))?;
        Some(usize::from(days) * 24)
    }

    async fn judge(
        &self,
        opened: Option<&Opened>,
        clock: Clock,
        forecast: Option<Arc<Forecast>>,
    ) -> Result<Judge, Error> {
        let Some(opened) = opened else {
            let server = self.kept.server.as_deref().unwrap_or_default();
            let answer = self.within.time();
            return Ok(Judge::Remote(remote::checks_within(server, answer).await?, answer));
        };
        let permit = Caller::local_of(opened.engine.tenant()).permit(Role::Check).map_err(Failure::from)?;
        let engine = Arc::clone(&opened.engine);
        Ok(match self.reserve {
            true => Judge::Reserving { engine, permit },
            false => Judge::Local { engine, permit, clock, forecast },
        })
    }

    /// Everything that the answers follow from, but for the question and what is stored: for whom, by which keys, rules,
    /// lists and settings. What is stored lies under keys made of tenant and keys file, so that another of either is other data.
    async fn parts(&self, input: &Input, opened: Option<&Opened>, global: &Global) -> Result<Vec<String>, Error> {
        let about = std::fs::metadata(&self.file).ok();
        let modified = about.as_ref().and_then(|about| about.modified().ok());
        let mut parts = vec![
            std::fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone()).display().to_string(),
            format!("{:?}", about.map(|about| about.len())),
            format!("{modified:?}"),
            format!("{:?} {}", input.columns, input.width),
            format!("{:?} {}", self.hours(), env!("CARGO_PKG_VERSION")),
        ];
        match opened {
            None => {
                // A server knows the tenant by the key.
                parts.push(format!("server {}", self.kept.server.as_deref().unwrap_or_default()));
                parts.push(format!("asked by {}", remote::asker()?));
            }
            Some(opened) => {
                let engine = &opened.engine;
                parts.push(format!("rules {} of {}", engine.law().version(), opened.place));
                parts.push(format!("tenant {} {}", global.tenant, engine.tenant()));
                parts.push(format!("keys {:?}", opened.keys_mark));
                // Freezes and declared states of emergency as well: half a file from before a freeze is no answer.
                parts.push(format!("switches {}", engine.switches_in_force().await?));
                parts.push(format!("settings {:?}", engine.settings()));
                let lists = engine.lists().snapshot();
                parts.extend(lists.iter().map(|list| format!("{} {} {}", list.id, list.version, list.as_of)));
            }
        }
        Ok(parts)
    }

    /// What the run is: that of an earlier one, where it is gone on with.
    fn begun(&self, made_from: String, from: Option<&State>, started: Instant) -> Run {
        let attempts = match from {
            Some(state) => state.attempts.clone(),
            None => format!("scrub-{}", uuid::Uuid::new_v4().simple()),
        };
        Run { made_from, now: from.map_or(started, State::now), attempts: self.reserve.then_some(attempts) }
    }
}

/// Does the work on threads of its own; an interrupt ends it.
async fn done(input: Input, output: Output, work: Work) -> Result<Scrubbed, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let handle = tokio::runtime::Handle::current();
    let mut working = tokio::task::spawn_blocking(move || pipeline::run(input, output, work, &handle, &stopped));
    let done = tokio::select! {
        done = &mut working => done,
        Ok(()) = tokio::signal::ctrl_c() => {
            stop.store(true, Ordering::Relaxed);
            match tokio::time::timeout(PATIENCE, working).await {
                Ok(done) => done,
                Err(_) => return Err(Error::said("interrupted while waiting for input, or for the server")),
            }
        }
    };
    done.unwrap_or_else(|error| Err(Error::said(format!("a thread ended early: {error}"))))
}

/// The copies of lists that the answers rest on. A file is judged by one snapshot: a command loads its lists once.
fn lists_in_force(opened: &Opened) -> Vec<ListInForce> {
    let lists = opened.engine.lists().snapshot();
    let row = |list: &List| ListInForce {
        registry: list.id.clone(),
        version: list.version.clone(),
        as_of: list.as_of.millis(),
    };
    lists.iter().map(row).collect()
}

async fn log(
    opened: &Opened,
    file: &Path,
    question: v1::CheckRequest,
    scrubbed: &Scrubbed,
    rules: &str,
    at: Instant,
    clock: Clock,
) -> Result<Option<uuid::Uuid>, Error> {
    let permit = Caller::local_of(opened.engine.tenant()).permit(Role::Check).map_err(Failure::from)?;
    let counts = !question.dry_run;
    let batch = AuditedBatch {
        operation: "scrub".to_owned(),
        name: name(file),
        input_digest: scrubbed.input_digest.to_vec(),
        output_digest: scrubbed.output.digest()?.to_vec(),
        rows: scrubbed.tally.rows(),
        accepted: scrubbed.tally.allowed(),
        rules_version: rules.to_owned(),
        question: Some(question),
        judged_at: at.millis(),
        lists: lists_in_force(opened),
    };
    let entry = opened.engine.log_batch(&permit, batch, clock).await?;
    // A dry run may try a folder that no server has: recorded, every server would miss what is in it, and contact nobody.
    if entry.is_some() && counts {
        source::declare_files(opened).await;
    }
    opened.settle(now()).await?;
    Ok(entry)
}
