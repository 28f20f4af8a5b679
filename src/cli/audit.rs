//! `ringfence audit`: the log of decisions and writes.

mod bundle;
mod replay;
mod replayed;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::open::AUDIT;
use super::output::{folded, say, say_json};
use super::source::Kept;
use super::{Error, Exit, Global};
use crate::audit::{self, Expect, Report};
use crate::store::{EmbeddedStore, EventId, Store, StoreError, WriterId, embedded};

/// Events read at a time.
const PAGE: usize = 10_000;

/// The log of decisions.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Walk the log and name the first entry that was altered, removed or cut off
    Verify(VerifyArgs),
    /// Judge past decisions again: as they were made, under changed packs, or by what is known now
    Replay(Box<replay::Args>),
    /// Take decisions to another machine: their entries under new keys, and the law they were made by
    Bundle(Box<bundle::Args>),
}

/// Is the log whole, in order, and unaltered?
#[derive(Debug, clap::Args)]
#[command(
    about = "Walk the log and name the first entry that was altered, removed or cut off",
    after_help = "Needs no keys. Beside the data it also compares the log with what the store remembers of it, so that a\n\
                  log cut at its end is found; while a server holds the data only the chain is walked.\n\
                  Exit status: 0 sound, 1 not, 2 error."
)]
pub struct VerifyArgs {
    /// The data folder [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Folder or store cannot be read. A bad log is no error but an answer.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    let args = match command {
        Command::Verify(args) => args,
        Command::Replay(args) => return replay::run(*args, global).await,
        Command::Bundle(args) => return bundle::run(*args, global).await,
    };
    let folder = Kept { server: None, store: None, data: args.data }.existing_folder()?;
    let log = folder.join(AUDIT);
    if !log.is_dir() {
        return Err(Error::said(format!("{}: no audit log there", log.display())));
    }
    let compared = compare(&folder).await?;
    let report = audit::verify(&log, &compared.expect)?;
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
    let anchors = audit::anchors(&store).await?;
    let mut compared = Compared { expect: Expect { anchors, digests: Vec::new() }, ..Compared::default() };
    let waiting = waiting(&store, &compared.expect).await?;
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
            let (left, safe): (Vec<_>, Vec<_>) = page.into_iter().partition(|event| waiting.contains(&event.id));
            compared.waiting += left.len();
            compared.expect.digests.extend(safe.into_iter().map(|event| event.digest));
        }
    }
    Ok(compared)
}

/// Events whose entries may not be in the log yet.
async fn waiting(store: &EmbeddedStore, expect: &Expect) -> Result<HashSet<EventId>, Error> {
    let mut waiting = HashSet::new();
    for writer in expect.anchors.iter().map(|anchor| anchor.writer) {
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
        "firstBad": bad,
        "missing": report.missing.len(),
        "waitingInStore": compared.waiting,
        "unfinishedBytes": report.unfinished,
        "otherWriters": report.elsewhere.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "comparedWithStore": compared.not.is_none(),
    })
}
