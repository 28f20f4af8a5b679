//! `ringfence registry`: the do-not-call lists and the tenant's own.

pub(super) mod age;
mod import;
mod inspect;

use serde_json::json;

use super::{Error, Exit, Global, output};
use crate::registry::ids::OFFICIAL;

/// Do-not-call lists.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a list from the files its keeper hands out, and put it in force
    Import(import::ImportArgs),
    /// What a list holds, how old it is, and when it is too old
    Inspect(inspect::InspectArgs),
    /// The official lists that are known, by their ids
    List(ListArgs),
}

/// Every id that a rule, a file or a question may name.
#[derive(Debug, clap::Args)]
#[command(about = "The official lists that are known, by their ids")]
pub struct ListArgs {}

/// Runs it.
///
/// # Errors
/// A file cannot be read or written, or is refused.
pub fn run(command: Command, global: &Global, now: crate::time::Instant) -> Result<Exit, Error> {
    match command {
        Command::Import(args) => import::run(&args, global, now),
        Command::Inspect(args) => inspect::run(&args, global, now),
        Command::List(ListArgs {}) => list(global),
    }
}

fn list(global: &Global) -> Result<Exit, Error> {
    if global.json {
        let lists = OFFICIAL.iter().map(|list| json!({ "id": list.id, "title": list.title, "place": list.place }));
        output::say_json(&json!({ "registries": lists.collect::<Vec<_>>() }))?;
    } else {
        let lines = OFFICIAL.iter().map(|list| format!("{:<20} {:<6} {}\n", list.id, list.place, list.title));
        output::say(&lines.collect::<String>())?;
    }
    Ok(Exit::Yes)
}
