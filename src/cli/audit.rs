//! `ringfence audit`: the log of decisions and writes.

mod absence;
mod bundle;
mod evidence;
mod export;
mod head;
mod list;
mod replay;
mod replayed;
mod rows;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::open::AUDIT;
use super::output::{folded, say, say_json};
use super::source::{self, Kept};
use super::{Error, Exit, Global};
use crate::audit::{self, Archive, ArchiveSettings, Expect, Report};
use crate::engine::layout::Layout;
use crate::store::{EmbeddedStore, EventId, RedisStore, Store, StoreError, WriterId, embedded};

/// Events read at a time.
const PAGE: usize = 10_000;
/// Where help lists the options of the archive. Of each option: a heading of all would go on over what follows them.
const ARCHIVE: &str = "Archive";

/// The log of decisions.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Walk the log and name the first entry that was altered, removed or cut off
    Verify(VerifyArgs),
    /// List decisions, the newest first, their numbers masked
    List(Box<list::ListArgs>),
    /// Write decisions to a file for a notebook, the oldest first, their numbers masked
    Export(Box<export::ExportArgs>),
    /// Judge past decisions again: as they were made, under changed packs, or by what is known now
    Replay(Box<replay::Args>),
    /// Take decisions to another machine: their entries under new keys, and the law they were made by
    Bundle(Box<bundle::Args>),
    /// Print the heads of the logs, to be published where nobody can take them back
    Head(head::HeadArgs),
    /// Write a report of all that is known of one number, or about one complaint
    Evidence(Box<evidence::EvidenceArgs>),
    /// Prove that no contact to a number was allowed after an instant
    ProveAbsence(Box<absence::ProveArgs>),
    /// Check a proof that no contact was allowed, with nothing but published heads
    CheckProof(absence::CheckArgs),
}

/// Where closed parts of the log are, besides the data folder.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Archived {
    /// Where closed parts of the log are kept: a folder, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", env = "RINGFENCE_AUDIT_ARCHIVE", hide_env_values = true, help_heading = ARCHIVE)]
    archive: Option<String>,
    /// The address of an object store that is not AWS
    #[arg(long, value_name = "URL", env = "RINGFENCE_AUDIT_ARCHIVE_ENDPOINT", hide_env_values = true, help_heading = ARCHIVE)]
    archive_endpoint: Option<String>,
    /// The region of the object store
    #[arg(long, value_name = "REGION", env = "RINGFENCE_AUDIT_ARCHIVE_REGION", hide_env_values = true, help_heading = ARCHIVE)]
    archive_region: Option<String>,
    /// A file with the keys of the object store, as ~/.aws/credentials has them
    #[arg(long, value_name = "FILE", env = "RINGFENCE_AUDIT_ARCHIVE_CREDENTIALS", hide_env_values = true, help_heading = ARCHIVE)]
    archive_credentials: Option<String>,
}

impl Archived {
    fn settings(&self) -> Result<Option<ArchiveSettings>, Error> {
        source::archive(&|key| match key {
            "audit_archive" => self.archive.clone(),
            "audit_archive_endpoint" => self.archive_endpoint.clone(),
            "audit_archive_region" => self.archive_region.clone(),
            "audit_archive_credentials" => self.archive_credentials.clone(),
            _ => None,
        })
    }

    /// The archive of this writer's log, if one is named.
    fn open(&self, writer: Option<WriterId>) -> Result<Option<Archive>, Error> {
        match (self.settings()?, writer) {
            (Some(settings), Some(writer)) => Ok(Some(Archive::open(&settings, writer)?)),
            _ => Ok(None),
        }
    }

    /// As arguments for another run of this program.
    fn arguments(&self) -> Vec<String> {
        let flags = [
            ("archive", &self.archive),
            ("archive-endpoint", &self.archive_endpoint),
            ("archive-region", &self.archive_region),
            ("archive-credentials", &self.archive_credentials),
        ];
        flags.into_iter().filter_map(|(flag, text)| Some(format!("--{flag}={}", text.as_ref()?))).collect()
    }
}

/// Is the log whole, in order, and unaltered?
#[derive(Debug, clap::Args)]
#[command(
    about = "Walk the log and name the first entry that was altered, removed or cut off",
    after_help = "Needs no keys. Also compares the log with what the store remembers of it, so that a log cut at\n\
                  its end is found: with a Redis at any time, with the embedded store while no server holds it.\n\
                  Parts that are in the archive alone are read only where it is named; then the copies of all\n\
                  others are compared as well.\n\
                  Exit status: 0 sound, 1 not, 2 error."
)]
pub struct VerifyArgs {
    /// The data folder [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    store: Option<String>,
    #[command(flatten)]
    archived: Archived,
}

/// Runs it.
///
/// # Errors
/// Folder, store, archive or server cannot be read. A bad log is no error but an answer.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Verify(args) => verify(args, global).await,
        Command::List(args) => list::run(*args, global).await,
        Command::Export(args) => export::run(*args, global).await,
        Command::Replay(args) => replay::run(*args, global).await,
        Command::Bundle(args) => bundle::run(*args, global).await,
        Command::Head(args) => head::run(args, global).await,
        Command::Evidence(args) => evidence::run(*args, global).await,
        Command::ProveAbsence(args) => absence::prove(*args, global).await,
        Command::CheckProof(args) => absence::check(&args, global),
    }
}

async fn verify(args: VerifyArgs, global: &Global) -> Result<Exit, Error> {
    let kept = Kept { server: None, store: args.store, data: args.data };
    let folder = kept.existing_folder()?;
    let log = folder.join(AUDIT);
    if !log.is_dir() {
        return Err(Error::said(format!("{}: no audit log there", log.display())));
    }
    let writer = audit::writer_of(&log)?;
    let compared = match kept.redis()? {
        None => compare(&folder).await?,
        // Instances share it, each with a log of its own.
        Some(redis) => compared_with(&RedisStore::connect(redis).await?, writer).await?,
    };
    let archive = args.archived.open(writer)?;
    let (place, expect) = (log.clone(), compared.expect.clone());
    let walked = tokio::task::spawn_blocking(move || audit::verify_with(&place, &expect, archive.as_ref())).await;
    let report = walked.map_err(|error| Error::said(error.to_string()))??;
    match global.json {
        true => say_json(&machine(&log, &report, &compared))?,
        false => say(&human(&log, &report, &compared))?,
    }
    Ok(Exit::when(report.sound()))
}

/// What the store says of the log.
#[derive(Default)]
struct Compared {
    expect: Expect,
    /// Why the store was not asked; `None` where it was.
    not: Option<String>,
    /// Entries that a crash left in the store; the next start appends them.
    waiting: usize,
    /// The region of the store, and the others; empty where there are none.
    regions: Vec<String>,
}

async fn compare(folder: &Path) -> Result<Compared, Error> {
    // Opening would make a store where there is none.
    if !folder.join("store.id").exists() {
        let not = Some(format!("{} holds no store", folder.display()));
        return Ok(Compared { not, ..Compared::default() });
    }
    let store = match EmbeddedStore::open(folder, embedded::Settings::default()) {
        Err(StoreError::Locked { .. }) => {
            let not = Some("a running server holds it; stop the server and verify again to compare".to_owned());
            return Ok(Compared { not, ..Compared::default() });
        }
        opened => opened?,
    };
    compared_with(&store, None).await
}

/// What this store remembers, of this writer's log or of all.
async fn compared_with(store: &dyn Store, writer: Option<WriterId>) -> Result<Compared, Error> {
    let layout = Layout::of(store).await?;
    let regions = layout.map(|layout| {
        let others = layout.regions.iter().filter(|region| region.name != layout.name);
        std::iter::once(layout.name.to_string()).chain(others.map(|region| region.name.to_string())).collect()
    });
    let mut anchors = audit::anchors(store).await?;
    if let Some(writer) = writer {
        anchors.retain(|anchor| anchor.writer == writer);
    }
    let mut compared = Compared {
        expect: Expect { anchors, digests: Vec::new() },
        regions: regions.unwrap_or_default(),
        ..Compared::default()
    };
    let mut writers: HashSet<_> = compared.expect.anchors.iter().map(|anchor| anchor.writer).collect();
    writers.extend(writer);
    let waiting = waiting(store, writers).await?;
    for shard in store.shards().await? {
        let mut after = 0;
        loop {
            let page = match store.events(shard, after, PAGE).await {
                // What was trimmed was in the log by then, and an anchor covers it.
                Err(StoreError::Trimmed { first, .. }) => {
                    after = first.saturating_sub(1);
                    continue;
                }
                page => page?,
            };
            let Some(last) = page.last() else { break };
            after = last.id.seq;
            let ours = page.into_iter().filter(|event| writer.is_none_or(|writer| event.writer == writer));
            let (left, safe): (Vec<_>, Vec<_>) = ours.partition(|event| waiting.contains(&event.id));
            compared.waiting += left.len();
            compared.expect.digests.extend(safe.into_iter().map(|event| event.digest));
        }
    }
    Ok(compared)
}

/// Events whose entries may not be in the log yet.
async fn waiting(store: &dyn Store, writers: HashSet<WriterId>) -> Result<HashSet<EventId>, Error> {
    let mut waiting = HashSet::new();
    for writer in writers {
        let mut after = None;
        loop {
            let page = store.unsettled(writer, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            waiting.extend(page.into_iter().map(|one| one.id));
        }
    }
    Ok(waiting)
}

fn writer(writer: Option<WriterId>) -> String {
    writer.map_or_else(|| "none".to_owned(), |writer| writer.to_string())
}

fn human(log: &Path, report: &Report, compared: &Compared) -> String {
    let mut lines = Vec::new();
    let verdict = if report.sound() { "SOUND" } else { "NOT SOUND" };
    lines.push(format!("{verdict}  {}", log.display()));
    if let Some(bad) = &report.bad {
        lines.push(format!("  first bad entry: {bad}"));
        lines.push(
            "  What stands behind it was not looked at. Restore the log from a copy, and ask who changed it."
                .to_owned(),
        );
    }
    let (entries, segments) = (report.head.seq, report.segments);
    lines.push(format!(
        "  {entries} entries whole and in order, in {segments} files, of writer {}",
        writer(report.writer)
    ));
    if report.packed > 0 {
        lines.push(format!("  {} of the files are compressed", report.packed));
    }
    if report.archived > 0 {
        lines.push(format!("  {} of them were read in the archive", report.archived));
    }
    if report.unread > 0 {
        let unread = report.unread;
        lines.push(format!(
            "  {unread} more are in the archive alone and were NOT read, and no removed entry can be told: name it with --archive"
        ));
    }
    // Behind a bad entry nothing was looked at, so nothing is known to be missing.
    if !report.missing.is_empty() && report.bad.is_none() {
        let missing = report.missing.len();
        lines.push(format!("  {missing} entries that the store remembers are not in the log: they were removed"));
    }
    if report.unfinished > 0 {
        lines.push(format!("  {} bytes at the end are just being written", report.unfinished));
    }
    if compared.waiting > 0 {
        let waiting = compared.waiting;
        lines.push(format!(
            "  {waiting} entries wait in the store, as after a crash: the next start appends those that are missing"
        ));
    }
    for other in &report.elsewhere {
        lines.push(format!("  the store also remembers the log of writer {other}, which is not in this folder"));
    }
    if let [own, others @ ..] = compared.regions.as_slice() {
        let others = others.join(", ");
        lines.push(format!("  this is the log of region {own} alone; other regions, each with its own: {others}"));
    }
    lines.push(match &compared.not {
        None => "  compared with what the store remembers of it".to_owned(),
        Some(why) => format!("  NOT compared with the store: {why}. A log cut at its end would look whole."),
    });
    lines.iter().map(|line| format!("{}\n", folded_line(line))).collect()
}

fn folded_line(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    format!("{}{}", " ".repeat(indent), folded(line.trim_start(), indent, indent + 2))
}

fn machine(log: &Path, report: &Report, compared: &Compared) -> serde_json::Value {
    let bad = report.bad.as_ref().map(
        |bad| json!({ "segment": bad.segment, "offset": bad.offset, "entry": bad.seq, "fault": bad.fault.to_string() }),
    );
    json!({
        "sound": report.sound(),
        "log": log.display().to_string(),
        "writer": writer(report.writer),
        "entries": report.head.seq,
        "segments": report.segments,
        "compressed": report.packed,
        "archived": report.archived,
        "unread": report.unread,
        "firstBad": bad,
        "missing": report.missing.len(),
        "waitingInStore": compared.waiting,
        "unfinishedBytes": report.unfinished,
        "otherWriters": report.elsewhere.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "comparedWithStore": compared.not.is_none(),
        "region": compared.regions.first(),
    })
}
