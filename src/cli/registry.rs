//! `ringfence registry`: the do-not-call lists and the tenants' own.

pub(super) mod age;
pub(super) mod all;
mod import;
mod inspect;
mod list;
mod own;

use super::{Error, Exit, Global, now};

/// Do-not-call lists.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a list from the files its keeper hands out, and put it in force
    Import(Box<import::ImportArgs>),
    /// What a list holds, how old it is, and when it is too old
    Inspect(inspect::InspectArgs),
    /// The official lists that are known, by their ids; or those that are loaded
    List(Box<list::ListArgs>),
    /// Begin a list of your own that is kept by API, or change what is said of it
    Put(Box<own::PutArgs>),
    /// Put numbers on a list of your own, at once on every instance
    Add(Box<own::AddArgs>),
    /// Take numbers off a list of your own that were put on by `add`
    Remove(Box<own::RemoveArgs>),
    /// What the lists say of one number
    LookUp(Box<own::LookUpArgs>),
}

/// Runs it.
///
/// # Errors
/// A file cannot be read or written, or is refused; a server or data folder cannot be asked.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Import(args) => apart(global, move |global| import::run(&args, global, now())).await,
        Command::Inspect(args) => apart(global, move |global| inspect::run(&args, global, now())).await,
        Command::List(args) => list::run(*args, global).await,
        Command::Put(args) => own::put(*args, global).await,
        Command::Add(args) => own::add(*args, global).await,
        Command::Remove(args) => own::remove(*args, global).await,
        Command::LookUp(args) => own::look_up(*args, global).await,
    }
}

/// Does what waits for files on a thread of its own.
async fn apart(
    global: &Global,
    work: impl FnOnce(&Global) -> Result<Exit, Error> + Send + 'static,
) -> Result<Exit, Error> {
    let global = global.clone();
    let done = tokio::task::spawn_blocking(move || work(&global)).await;
    done.map_err(|error| Error::said(format!("the import broke off: {error}")))?
}
