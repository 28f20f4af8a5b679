//! `ringfence reassigned`: the US Reassigned Numbers Database: what to ask it, and what it answered.

mod import;
mod query;
mod rows;

use super::{Error, Exit, Global};

/// Reassigned numbers.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the file of numbers and dates of consent that the database is asked with
    Query(query::QueryArgs),
    /// Record what the database answered
    Import(Box<import::ImportArgs>),
}

/// Runs it.
///
/// # Errors
/// The data or the server cannot be asked; a file cannot be read or written.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Query(args) => query::run(args, global).await,
        Command::Import(args) => import::run(*args, global).await,
    }
}
