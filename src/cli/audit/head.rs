//! `ringfence audit head`: the head of the chain, to be published.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::super::open::AUDIT;
use super::super::output::{note, say};
use super::super::regions_beside::Beside;
use super::super::source::Kept;
use super::super::{Error, Exit, Global, now};
use crate::audit::{self, Head, proof};
use crate::store::{EmbeddedStore, RedisStore, Store, StoreError, WriterId, embedded};

/// What to publish, and where to.
#[derive(Debug, clap::Args)]
#[command(
    about = "Print the heads of the logs, to be published where nobody can take them back",
    after_help = "One line of JSON: every log that is known, with the hash of its newest entry, which commits to\n\
                  all before it. It says nothing of anybody. Whoever has the line can tell later whether the log\n\
                  was altered, cut or rewritten since, and can check a proof of absence. Do it daily, and put\n\
                  the line where it gets a date that you do not control: deploy/evidence.md says how.\n\
                  Needs no keys. With a Redis, names the logs of all instances; without, that of the data folder.\n\n\
                  Example: ringfence audit head --append heads.jsonl"
)]
pub struct HeadArgs {
    /// The data folder [default: ringfence-data]
    #[arg(long, value_name = "DIR", env = "RINGFENCE_DATA", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where records are: embedded, a file in the data folder (the default), or redis://host:port and the like
    #[arg(long, value_name = "URL", env = "RINGFENCE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Also write the line at the end of this file
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Folder, store or file cannot be read or written; there is no log.
pub(super) async fn run(args: HeadArgs, _global: &Global) -> Result<Exit, Error> {
    let kept = Kept { server: None, store: args.store, data: args.data };
    let folder = kept.existing_folder()?;
    let mut logs = match kept.redis()? {
        Some(redis) => remembered(&RedisStore::connect(redis).await?).await?,
        // Opening would make a store where there is none.
        None if !folder.join("store.id").exists() => BTreeMap::new(),
        None => match EmbeddedStore::open(&folder, embedded::Settings::default()) {
            // A server holds it: the log of the folder is what it writes.
            Err(StoreError::Locked { .. }) => BTreeMap::new(),
            opened => remembered(&opened?).await?,
        },
    };
    let log = folder.join(AUDIT);
    if log.is_dir()
        && let Some((writer, head)) = proof::newest_beside(&log, &logs)?
    {
        logs.insert(writer, head);
    }
    if logs.is_empty() {
        return Err(Error::said(format!("{}: no audit log there: name a data folder with --data", log.display())));
    }
    let line = proof::Published { at: now(), logs }.line();
    if let Some(file) = &args.append {
        append(file, &line)?;
    }
    say(&line)?;
    let others = Beside::read(&folder)?.map(|beside| beside.others().join(", ")).unwrap_or_default();
    if !others.is_empty() {
        note(&format!("these are the logs of one region; publish those of the others as well: {others}"));
    }
    Ok(Exit::Yes)
}

async fn remembered(store: &dyn Store) -> Result<BTreeMap<WriterId, Head>, Error> {
    Ok(audit::anchors(store).await?.into_iter().map(|anchor| (anchor.writer, anchor.head)).collect())
}

fn append(file: &Path, line: &str) -> Result<(), Error> {
    let opened = OpenOptions::new().append(true).create(true).open(file);
    let written = opened.and_then(|mut opened| {
        writeln!(opened, "{line}")?;
        opened.sync_all()
    });
    written.map_err(|error| Error::at(file, "writing", &error))
}
