//! The command line: one file a command, each with its `Args` and its `run`.
//!
//! Promises: exit status 0 for allowed, sound or done, 1 for denied or found wanting, 2 for a question that could not be
//! answered; answers on standard output and everything else on standard error; a reader that goes away ends the output
//! and is no error; no line on standard error carries a whole number. Guarded by `tests/cli.rs`, which freezes the help
//! texts too.

mod access;
mod again;
mod audit;
mod check;
mod config;
mod contact;
mod control;
mod doctor;
mod error;
mod explain;
mod feed;
mod incident;
mod keeper;
mod keys;
mod law;
pub mod look;
pub mod open;
pub mod output;
mod own_packs;
mod packed;
pub mod packs;
mod policy;
mod processor;
pub mod progress;
mod question;
mod ready;
mod reassigned;
mod refused;
pub mod regions;
mod regions_beside;
mod registry;
mod remote;
mod replace;
mod request;
mod retention;
mod scrub;
pub mod serve;
mod settings;
mod source;
mod tenant;
mod terms;
mod tidy;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use error::{Error, Exit};

use crate::law::{BUILT_IN, Law};
use crate::time::{Instant, tzdata_version};

/// May we call or text this number now?
///
/// Answers from consent, opt-outs, the law of every place the person may be in, and frequency caps, and says why.
#[derive(Debug, Parser)]
#[command(
    name = "ringfence",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 allowed (or done), 1 denied (or found wanting), 2 error.\n\
                  Ringfence states what its packs say; it is not legal advice."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Print JSON for machines instead of text for people
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// The keys of the data: never inside the data folder, and to be kept apart from it
    #[arg(
        long,
        global = true,
        display_order = 901,
        value_name = "FILE",
        env = "RINGFENCE_KEYS",
        hide_env_values = true,
        default_value = "ringfence-keys"
    )]
    pub keys: PathBuf,
    /// Whether that was typed: what is not, the file of settings may say otherwise.
    #[arg(skip)]
    pub keys_typed: bool,
    /// Whose data, where no server is asked: a server knows it by the API key
    #[arg(
        long,
        global = true,
        display_order = 902,
        value_name = "NAME",
        env = "RINGFENCE_TENANT",
        hide_env_values = true,
        default_value = crate::access::DEFAULT_TENANT
    )]
    pub tenant: String,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer checks over gRPC and HTTP
    Serve(serve::Args),
    /// Ask about one number, and have the answer explained
    Check(Box<check::Args>),
    /// Filter a file: every row gets a verdict, its reasons, and when to try again
    Scrub(Box<scrub::Args>),
    /// Look into the rules in force, and test them
    #[command(subcommand)]
    Law(law::Command),
    /// What is stored about a number, and opting it out
    #[command(subcommand)]
    Contact(contact::Command),
    /// Stop contacts at once, and say where a state of emergency is declared
    #[command(subcommand)]
    Control(control::Command),
    /// Who holds numbers on your behalf, and who has confirmed which opt-outs
    #[command(subcommand)]
    Processor(processor::Command),
    /// Prove that the log of decisions was not altered
    #[command(subcommand)]
    Audit(audit::Command),
    /// Keys of the data
    #[command(subcommand)]
    Keys(keys::Command),
    /// Whether the store is set up so that it keeps what it acknowledges
    Doctor(doctor::Args),
    /// Do-not-call lists and your own: made, looked into, put in force
    #[command(subcommand)]
    Registry(registry::Command),
    /// Requests of people about the data kept about them, and when they are due
    #[command(subcommand)]
    Request(request::Command),
    /// Publish versions of the privacy policy, and see which consents they overtake
    #[command(subcommand)]
    Policy(policy::Command),
    /// Remove what has passed its period, and keep what must be kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// Record a breach of security, whom it touches, and who was told
    #[command(subcommand)]
    Incident(incident::Command),
    /// End a tenant's service
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Whether the server on this machine answers
    Ready(ready::Args),
    /// Who may ask a server, and what
    #[command(subcommand)]
    Access(access::Command),
    /// The US Reassigned Numbers Database: what to ask it, and what it answered
    #[command(subcommand)]
    Reassigned(reassigned::Command),
    /// Whether settings are sound, and where each comes from
    #[command(subcommand)]
    Config(config::Command),
}

/// Reads the command line, runs the command, and says how it ended.
#[must_use]
pub fn main() -> Exit {
    let cli = match read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Exit::of(&Error::io("starting", "the runtime", &error)),
    };
    let exit = runtime.block_on(run(cli)).unwrap_or_else(|error| Exit::of(&error));
    // A thread that still waits for input must not keep the program.
    runtime.shutdown_background();
    exit
}

/// Runs a command.
///
/// # Errors
/// What kept it from answering.
pub async fn run(cli: Cli) -> Result<Exit, Error> {
    let global = &cli.global;
    match cli.command {
        Command::Serve(args) => serve::run(args, global).await,
        Command::Check(args) => check::run(*args, global).await,
        Command::Scrub(args) => scrub::run(*args, global).await,
        Command::Law(command) => law::run(command, global).await,
        Command::Contact(command) => contact::run(command, global).await,
        Command::Control(command) => control::run(command, global).await,
        Command::Processor(command) => processor::run(command, global).await,
        Command::Request(command) => request::run(command, global).await,
        Command::Audit(command) => audit::run(command, global).await,
        Command::Keys(command) => keys::run(command, global).await,
        Command::Registry(command) => registry::run(command, global).await,
        Command::Doctor(args) => doctor::run(args, global).await,
        Command::Policy(command) => policy::run(command, global).await,
        Command::Retention(command) => retention::run(command, global).await,
        Command::Incident(command) => incident::run(command, global).await,
        Command::Tenant(command) => tenant::run(command, global).await,
        Command::Ready(args) => ready::run(args, global).await,
        Command::Access(command) => access::run(command, global),
        Command::Reassigned(command) => reassigned::run(command, global).await,
        Command::Config(command) => config::run(command, global),
    }
}

/// The present instant: read once, where a command begins.
#[must_use]
pub fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Instant::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn read(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    contradiction(&matches).map_or(Ok(()), Err)?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let innermost = std::iter::successors(Some(&matches), |outer| outer.subcommand().map(|(_, inner)| inner)).last();
    cli.global.keys_typed =
        innermost.is_some_and(|matches| matches.value_source("keys") == Some(ValueSource::CommandLine));
    Ok(cli)
}

/// What a server has, the caller cannot bring. Only what was typed counts: an environment may hold both, and then the
/// server is asked.
fn contradiction(matches: &ArgMatches) -> Option<clap::Error> {
    let (mut innermost, mut name) = (matches, "");
    while let Some((called, inner)) = innermost.subcommand() {
        (innermost, name) = (inner, called);
    }
    let typed = |name: &str| {
        innermost.ids().any(|id| id.as_str() == name) && innermost.value_source(name) == Some(ValueSource::CommandLine)
    };
    let pairs = [
        ("server", "data"),
        ("server", "store"),
        ("server", "registries"),
        ("server", "sample"),
        ("server", "packs"),
        ("server", "emergencies"),
        ("server", "config"),
        ("server", "tenants_of"),
        ("tenant", "tenants_of"),
        ("sample", "registries"),
    ];
    // There it says that the numbers are made up, and not that lists are.
    let is_one = |pair: &(&str, &str)| *pair != ("sample", "registries") || name != "import";
    let (one, other) = pairs.into_iter().filter(is_one).find(|(one, other)| typed(one) && typed(other))?;
    let why = match (one, other) {
        ("server", "tenants_of") => ": a server knows the tenant by the key",
        ("server", _) => ": a server has its own",
        _ => "",
    };
    let other = other.replace('_', "-");
    let message = format!("--{one} and --{other} cannot be used together{why}\n");
    Some(Cli::command().error(ErrorKind::ArgumentConflict, message))
}

fn refuse(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayVersion => match output::say(&version()) {
            Ok(()) => Exit::Yes,
            Err(error) => Exit::of(&error),
        },
        ErrorKind::DisplayHelp => {
            // A reader that went away needs no help.
            let _ = error.print();
            Exit::Yes
        }
        _ => {
            let _ = error.print();
            Exit::Error
        }
    }
}

fn version() -> String {
    let rules =
        Law::read(BUILT_IN.iter().copied()).map_or_else(|_| "unreadable".to_owned(), |law| law.version().to_owned());
    let program = env!("CARGO_PKG_VERSION");
    format!("ringfence {program}\nrules     {rules}\ntzdata    {}\n", tzdata_version())
}
