//! `ringfence keys`: the keys of the data.

mod list;
mod place;
mod rotate;
mod tend;

use std::path::Path;

use serde_json::json;

pub(super) use self::tend::tend;
use super::{Error, Exit, Global, output, settings};
use crate::store::{Keys, KeysError};

/// Keys of the data.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a new keys file, for data that do not exist yet
    New(NewArgs),
    /// Change the key that seals records, while they are in use
    Rotate(rotate::RotateArgs),
    /// The sealing keys of the file, and what is still under each; never the keys themselves
    List(list::ListArgs),
}

/// A new keys file is written to the place that --keys names, or that the settings do.
#[derive(Debug, clap::Args)]
#[command(
    about = "Make a new keys file, for data that do not exist yet",
    after_help = "Keep a copy of the file apart from the data: without it nothing stored can be read again, no opt-out \
                  found; with it and the data, everybody in it."
)]
pub struct NewArgs {
    #[command(flatten)]
    of_server: settings::OfServer,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read or written; the store cannot be asked.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::New(args) => new(&args, global),
        Command::Rotate(args) => rotate::run(args, global).await,
        Command::List(args) => list::run(args, global).await,
    }
}

fn new(args: &NewArgs, global: &Global) -> Result<Exit, Error> {
    let path = args.of_server.keys(global)?;
    if lies_in_data(&path) {
        return Err(KeysError::InsideData(path).into());
    }
    Keys::generate(&path)?;
    let shown = path.display().to_string();
    match global.json {
        true => output::say_json(&json!({ "keys": shown }))?,
        false => output::say(&format!(
            "New keys: {shown}, readable by you only.\nKeep a copy apart from the data: without it nothing stored can be read again.\n"
        ))?,
    }
    Ok(Exit::Yes)
}

/// Whether a folder above the file is a data folder: it holds a store.
fn lies_in_data(path: &Path) -> bool {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(folder) = std::fs::canonicalize(folder) else { return false };
    folder.ancestors().any(|above| above.join("store.id").exists())
}
