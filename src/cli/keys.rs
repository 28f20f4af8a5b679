//! `ringfence keys`: the keys of the data.

use std::path::Path;

use serde_json::json;

use super::{Error, Exit, Global, output};
use crate::store::{Keys, KeysError};

/// Keys of the data.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a new keys file, for data that do not exist yet
    New(NewArgs),
}

/// A new keys file is written to the place that --keys names.
#[derive(Debug, clap::Args)]
#[command(
    about = "Make a new keys file, for data that do not exist yet",
    after_help = "Keep a copy of the file apart from the data: without it nothing stored can be read again, no opt-out \
                  found; with it and the data, everybody in it."
)]
pub struct NewArgs {}

/// Runs it.
///
/// # Errors
/// The file is there already, or cannot be written.
pub fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    let Command::New(NewArgs {}) = command;
    let path = &global.keys;
    if lies_in_data(path) {
        return Err(KeysError::InsideData(path.clone()).into());
    }
    Keys::generate(path)?;
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
