//! `ringfence processor`: who holds numbers on our behalf, and who has confirmed which opt-outs.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::control::{again, at, told};
use super::output::{say, say_json, table};
use super::source::{self, Kept, NO_LISTS};
use super::terms::{instant, stamp, word};
use super::{Error, Exit, Global, now, open, remote};
use crate::access::{Caller, Permit, Role};
use crate::contact::{Channel, Term as _};
use crate::engine::{Clock, Failure};
use crate::proto::v1;
use crate::time::Instant;

/// Processors.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register a processor, or change one
    Add(Box<AddArgs>),
    /// List processors: who holds numbers, for what, under which contract
    List(ListArgs),
    /// End the registration of a processor
    Remove(RemoveArgs),
    /// Let delivery go on that was switched off, and try again what was given up
    Resume(ResumeArgs),
    /// How far each processor has confirmed, and which opt-outs of a number
    Status(StatusArgs),
}

/// Who does it, and how it is asked again.
#[derive(Debug, clap::Args)]
pub struct By {
    /// Who does it: a person or a system
    #[arg(long, value_name = "NAME")]
    who: String,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

impl By {
    fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }
}

/// A processor.
#[derive(Debug, clap::Args)]
#[command(
    about = "Register a processor, or change one",
    after_help = "What is not given is taken away, but for the secret. A processor with a --url is sent every opt-out as \
                  a signed webhook until it confirms; one without watches (WatchOptOuts). A secret that was made here is \
                  printed once.\n\n\
                  Example: ringfence processor add dialer --url https://dialer.example/opt-outs --purpose \"Sales calls\" \
                  --contract-ref C-17 --assessed-on 2026-05-04 --who ann"
)]
pub struct AddArgs {
    /// Its name: lower-case letters, digits, dots, underscores and hyphens
    name: String,
    /// Where it is told: https, or http on the loopback; left out: it watches
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Only what concerns this seller; may be given more than once
    #[arg(long, value_name = "NAME")]
    seller: Vec<String>,
    /// Only what concerns this channel
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Vec<Channel>,
    /// For what it processes numbers
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// The contract that binds it to honour opt-outs
    #[arg(long, value_name = "REF")]
    contract_ref: String,
    /// The day of its last assessment
    #[arg(long, value_name = "YYYY-MM-DD")]
    assessed_on: String,
    /// Whom to reach there
    #[arg(long, value_name = "TEXT")]
    contact: Option<String>,
    /// A file with the secret that signs: whsec_ and base64; or RINGFENCE_PROCESSOR_SECRET in the environment; left out:
    /// the one there is stays, or one is made and printed
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Pass on what was recorded from this instant on; left out: from now on
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    since: Option<Instant>,
    #[command(flatten)]
    by: By,
}

/// What to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Those removed in the last 400 days as well
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    kept: Kept,
}

/// A processor to remove.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// Its name
    name: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: By,
}

/// A processor to deliver to again.
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    by: By,
}

/// Whose status.
#[derive(Debug, clap::Args)]
#[command(
    about = "How far each processor has confirmed, and which opt-outs of a number",
    after_help = "Exit status: 0 everything is confirmed, 1 something is not, 2 error."
)]
pub struct StatusArgs {
    /// One processor; left out: all
    name: Option<String>,
    /// Which opt-outs of this number each has confirmed
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    number: Option<String>,
    /// The country in whose national form the number may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

/// The variable that may hold a secret.
const SECRET: &str = "RINGFENCE_PROCESSOR_SECRET";

/// Runs it.
///
/// # Errors
/// Nothing could be recorded or read.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Add(args) => add(*args, global).await,
        Command::List(args) => list(&args, global).await,
        Command::Remove(args) => remove(args, global).await,
        Command::Resume(args) => resume(args, global).await,
        Command::Status(args) => status(args, global).await,
    }
}

fn permit(role: Role, global: &Global) -> Result<Permit, Error> {
    Ok(Caller::local_of(&global.tenant).permit(role).map_err(Failure::from)?)
}

async fn opened(kept: &Kept, global: &Global) -> Result<open::Opened, Error> {
    source::opened(Some(kept.existing_folder()?), kept, &NO_LISTS, global).await
}

/// Asks a server, or the engine over the data folder.
macro_rules! ask {
    ($kept:expr, $global:expr, $request:expr, $method:ident, |$engine:ident| $local:expr) => {
        match &$kept.server {
            Some(server) => {
                let answer = remote::processors(server).await?.$method($request).await;
                answer.map_err(|status| remote::refused(&status)).map(tonic::Response::into_inner)
            }
            None => {
                let opened = opened($kept, $global).await?;
                let $engine = &opened.engine;
                let answer = $local.map_err(Error::from);
                if answer.is_ok() {
                    opened.settle(now()).await?;
                }
                answer
            }
        }
    };
}

fn secret(file: Option<&PathBuf>) -> Result<String, Error> {
    let text = match file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| Error::io("reading", &path.display().to_string(), &error))?
        }
        None => std::env::var(SECRET).unwrap_or_default(),
    };
    Ok(text.trim().to_owned())
}

async fn add(args: AddArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::PutProcessorRequest {
        request_id: args.by.request_id(),
        secret: secret(args.secret_file.as_ref())?,
        processor: Some(v1::Processor {
            name: args.name,
            url: args.url.unwrap_or_default(),
            sellers: args.seller,
            channels: args.channel.into_iter().map(|channel| channel.number().into()).collect(),
            purpose: args.purpose,
            contract_ref: args.contract_ref,
            assessed_on: args.assessed_on,
            contact: args.contact.unwrap_or_default(),
            ..v1::Processor::default()
        }),
        since: stamp(args.since),
        who: args.by.who.clone(),
    };
    let request_id = request.request_id.clone();
    let asked = request.clone();
    let answer = ask!(&args.by.kept, global, asked, put_processor, |engine| {
        engine.put_processor(&permit(Role::Control, global)?, request, Clock::at(now())).await
    });
    let answer = answer.map_err(|error| again(&error, &request_id))?;
    told(global, &answer, &request_id, || {
        let mut out = format!("Registered: {}.\n", line(&answer.processor.clone().unwrap_or_default()));
        if !answer.secret.is_empty() {
            let _ = writeln!(out, "secret  {}\nIt is not shown again.", answer.secret);
        }
        out
    })
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::ListProcessorsRequest { history: args.history };
    let answer = ask!(&args.kept, global, request, list_processors, |engine| {
        engine.list_processors(&permit(Role::Audit, global)?, &request).await
    })?;
    if global.json {
        say_json(&answer)?;
    } else if answer.processors.is_empty() {
        say("No processor is registered.\n")?;
    } else {
        say(&answer.processors.iter().map(|one| format!("{}\n", line(one))).collect::<String>())?;
    }
    Ok(Exit::Yes)
}

async fn remove(args: RemoveArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::RemoveProcessorRequest {
        request_id: args.by.request_id(),
        name: args.name,
        who: args.by.who.clone(),
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let asked = request.clone();
    let answer = ask!(&args.by.kept, global, asked, remove_processor, |engine| {
        engine.remove_processor(&permit(Role::Control, global)?, request, Clock::at(now())).await
    });
    let answer = answer.map_err(|error| again(&error, &request_id))?;
    told(global, &answer, &request_id, || {
        format!("Removed: {}.\n", line(&answer.processor.clone().unwrap_or_default()))
    })
}

async fn resume(args: ResumeArgs, global: &Global) -> Result<Exit, Error> {
    let request =
        v1::ResumeProcessorRequest { request_id: args.by.request_id(), name: args.name, who: args.by.who.clone() };
    let request_id = request.request_id.clone();
    let asked = request.clone();
    let answer = ask!(&args.by.kept, global, asked, resume_processor, |engine| {
        engine.resume_processor(&permit(Role::Control, global)?, request, Clock::at(now())).await
    });
    let answer = answer.map_err(|error| again(&error, &request_id))?;
    told(global, &answer, &request_id, || {
        format!("Resumed: {}.\n", line(&answer.processor.clone().unwrap_or_default()))
    })
}

async fn status(args: StatusArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::GetProcessorStatusRequest {
        name: args.name.unwrap_or_default(),
        number: args.number.unwrap_or_default(),
        default_region: args.default_region.unwrap_or_default(),
    };
    let asked = request.clone();
    let answer = ask!(&args.kept, global, asked, get_processor_status, |engine| {
        engine.processor_status(&permit(Role::Audit, global)?, &request, now()).await
    })?;
    let open = |one: &v1::ProcessorStatus| {
        let of_number = one.events.iter().any(|event| !event.confirmed && !event.not_concerned);
        let any = if request.number.is_empty() { one.pending > 0 || !one.given_up.is_empty() } else { of_number };
        // What was missed may be of any number.
        any || one.missed > 0
    };
    let all = !answer.statuses.iter().any(open);
    if global.json {
        say_json(&answer)?;
    } else if answer.statuses.is_empty() {
        say("No processor is registered.\n")?;
    } else {
        let mut out = String::new();
        for one in &answer.statuses {
            describe(&mut out, one);
        }
        say(&out)?;
    }
    Ok(Exit::when(all))
}

fn describe(out: &mut String, one: &v1::ProcessorStatus) {
    let name = one.processor.as_ref().map_or("", |processor| processor.name.as_str());
    let stands = match one.state() {
        v1::ProcessorState::Delivering => "delivering".to_owned(),
        v1::ProcessorState::Watching => "watching".to_owned(),
        v1::ProcessorState::Failing => format!("failing, {} times in a row: {}", one.failures, one.last_error),
        v1::ProcessorState::Disabled => format!("switched off: {}; resume it once that is put right", one.last_error),
        v1::ProcessorState::Unspecified => "what a newer build knows".to_owned(),
    };
    let since = one.pending_since.as_ref().map(|since| format!(" since {}", at(Some(since)))).unwrap_or_default();
    let confirmed = one.confirmed_until.as_ref().map_or_else(|| "nothing yet".to_owned(), |until| at(Some(until)));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name}: {stands}\n  confirmed until {confirmed}; pending {}{since}", one.pending);
    for event in &one.given_up {
        let _ = writeln!(out, "  given up: {} of {}: {}", event.event_id, at(event.recorded_at.as_ref()), event.why);
    }
    if one.missed > 0 {
        let until = at(one.missed_until.as_ref());
        let _ = writeln!(
            out,
            "  MISSED: up to {} events recorded before {until} went before it confirmed them: give it the list of who opted \
             out, then remove it and register it anew",
            one.missed
        );
    }
    let rows: Vec<Vec<String>> = one.events.iter().map(row).collect();
    for line in table(&rows).lines() {
        let _ = writeln!(out, "  {line}");
    }
}

fn row(event: &v1::EventConfirmation) -> Vec<String> {
    let word = match (event.confirmed, event.not_concerned) {
        (true, _) => "confirmed",
        (_, true) => "not concerned",
        _ => "NOT CONFIRMED",
    };
    let kind = event.kind().as_str_name().trim_start_matches("OPT_OUT_EVENT_KIND_").to_lowercase();
    vec![word.to_owned(), kind, at(event.recorded_at.as_ref()), event.event_id.clone()]
}

fn line(one: &v1::Processor) -> String {
    let told = if one.url.is_empty() { "watches" } else { one.url.as_str() };
    let removed = one.removed_at.as_ref().map(|at_| format!("; removed {}", at(Some(at_)))).unwrap_or_default();
    format!(
        "{}  {told}  for {}, contract {}, assessed {}{removed}",
        one.name, one.purpose, one.contract_ref, one.assessed_on
    )
}
