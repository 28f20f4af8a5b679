//! `ringfence audit bundle`: decisions for another machine, without the store and its keys.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::replay::{Origin, Which};
use crate::audit::Library;
use crate::cli::open::{AUDIT, LIBRARY};
use crate::cli::progress::{Progress, grouped};
use crate::cli::{Error, Exit, Global, output};
use crate::engine::replay::{Bundled, Laws, Source, bundle};
use crate::store::Keys;

/// Which decisions, and where to.
#[derive(Debug, clap::Args)]
#[command(
    about = "Take decisions to another machine: their entries under new keys, and the law they were made by",
    after_help = "Makes a folder and a keys file that `ringfence audit replay --data DIR --keys FILE` judges again:\n\
                  neither the store nor its keys are needed for that. The entries hold whole numbers, sealed\n\
                  under the new keys alone: hand the keys over by another way than the folder.\n\
                  Exit status: 0 all of it is there, 1 something could not be taken along, 2 error."
)]
pub struct Args {
    #[command(flatten)]
    from: Origin,
    #[command(flatten)]
    which: Which,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The keys file to make; not in that folder
    #[arg(long, value_name = "FILE")]
    to_keys: PathBuf,
}

/// Runs it.
///
/// # Errors
/// Folder, store or keys cannot be opened; the log was altered; the new folder or keys file is there, or cannot be made.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let folder = args.from.folder()?;
    let vault = args.from.vault(&folder, global).await?;
    if args.to.symlink_metadata().is_ok() {
        return Err(Error::said(format!("{}: is there already: name a folder to make with --to", args.to.display())));
    }
    let parent = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if parent(&args.to_keys).starts_with(parent(&args.to)) {
        let what = "lies inside the folder that it opens: name another place with --to-keys";
        return Err(Error::said(format!("{}: {what}", args.to_keys.display())));
    }
    let filter = args.which.filter(&vault)?;
    let keys = Keys::generate(&args.to_keys)?;
    let log = folder.join(AUDIT);
    let laws = Laws::new(Library::at(&folder.join(LIBRARY)));
    let entries = args.from.entries(&log)?;
    let progress = Progress::new(Some(entries.total_bytes()), "bundle");
    let told = |bytes, rows| progress.advance(bytes, rows);
    let source = Source { entries, vault: &vault, laws: &laws };
    let library = Library::at(&args.to.join(LIBRARY));
    let bundled = bundle(source, &filter, &keys, &args.to.join(AUDIT), &library, told).await?;
    drop(progress);
    say(&bundled, &args, global)?;
    Ok(Exit::when(bundled.missing.is_empty()))
}

fn say(bundled: &Bundled, args: &Args, global: &Global) -> Result<(), Error> {
    let Bundled { decisions, laws, missing } = bundled;
    if global.json {
        let missing: Vec<_> = missing
            .iter()
            .map(|(why, unfits)| json!({ "why": why, "count": unfits.count, "decisionIds": unfits.decision_ids }))
            .collect();
        return output::say_json(&json!({ "decisions": decisions, "laws": laws, "missing": missing }));
    }
    let (to, keys) = (args.to.display(), args.to_keys.display());
    let count = grouped(*decisions);
    let mut text = format!("{count} decisions in {to}, with the {laws} sets of packs they were made by.\n");
    text.push_str(&format!("Replay: ringfence audit replay --data {to} --keys {keys}\n"));
    for (why, unfits) in missing {
        text.push_str(&format!("{} missing: {why}: {}\n", unfits.count, unfits.decision_ids.join(", ")));
    }
    output::say(&text)
}
