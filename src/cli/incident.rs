//! `ringfence incident`: breaches of security, whom they touch, and who was told.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::keeper::{By, Keeper, again, ask, at, new_id, read, told, when};
use super::output::{say, say_json};
use super::source::Kept;
use super::terms::stamp;
use super::{Error, Exit, Global};
use crate::proto::v1;
use crate::time::Instant;

/// The most numbers that one call takes.
const NUMBERS: usize = 10_000;

/// Incidents.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Open the record of an incident
    Open(Box<OpenArgs>),
    /// Add contacts that it touches: from a file, or from what is stored
    Add(Box<AddArgs>),
    /// Show one incident, or list all
    Show(ShowArgs),
    /// Print the notices to send, one line of JSON each
    Notices(NoticesArgs),
    /// Note who was told, or that a regulator was
    Told(Box<ToldArgs>),
    /// Close it
    Close(CloseArgs),
}

/// An incident.
#[derive(Debug, clap::Args)]
#[command(
    about = "Open the record of an incident",
    after_help = "A notice of a breach is asked about with purpose informational, and as legally required where the law \
                  demands it: no opt-out from marketing stops it."
)]
pub struct OpenArgs {
    /// What it is called; not told to people
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// What happened, and to which data
    #[arg(long, value_name = "TEXT")]
    what_happened: String,
    /// What it may lead to
    #[arg(long, value_name = "TEXT")]
    effects: String,
    /// What was done and will be
    #[arg(long, value_name = "TEXT")]
    measures: String,
    /// What people can do themselves
    #[arg(long, value_name = "TEXT")]
    advice: String,
    /// What is offered in remedy
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    remedies: String,
    /// How people reach whoever answers
    #[arg(long, value_name = "TEXT")]
    contact: String,
    /// When it happened, if that is known
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    occurred_at: Option<Instant>,
    /// When it was discovered; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    discovered_at: Option<Instant>,
    /// A place whose regulator must be told; may be given more than once
    #[arg(long, value_name = "CODE")]
    place: Vec<String>,
    #[command(flatten)]
    by: By,
}

/// Contacts.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Which incident
    incident_id: String,
    /// A file of numbers, E.164, one a line
    #[arg(long, value_name = "FILE")]
    numbers: Option<PathBuf>,
    /// Contacts with an attempt of this campaign
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    campaign: String,
    /// Contacts of whom something was recorded from this instant on
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    from: Option<Instant>,
    /// And before this one
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    until: Option<Instant>,
    /// Every contact that is stored
    #[arg(long)]
    everybody: bool,
    #[command(flatten)]
    kept: Kept,
}

/// What to show.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Which; left out: all, newest first
    incident_id: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

/// Which notices.
#[derive(Debug, clap::Args)]
pub struct NoticesArgs {
    /// Of which incident
    incident_id: String,
    /// Those already told as well
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    kept: Kept,
}

/// Who was told.
#[derive(Debug, clap::Args)]
pub struct ToldArgs {
    /// Of which incident
    incident_id: String,
    /// A file of the numbers that were told, E.164, one a line
    #[arg(long, value_name = "FILE", required_unless_present = "regulator", conflicts_with = "regulator")]
    numbers: Option<PathBuf>,
    /// The place whose regulator was told
    #[arg(long, value_name = "CODE")]
    regulator: Option<String>,
    /// The regulator's reference
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reference: String,
    /// When; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    at: Option<Instant>,
    #[command(flatten)]
    by: By,
}

/// The end of an incident.
#[derive(Debug, clap::Args)]
pub struct CloseArgs {
    /// Which
    incident_id: String,
    #[command(flatten)]
    by: By,
}

/// Runs it.
///
/// # Errors
/// Nothing could be recorded or read.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Open(args) => open(*args, global).await,
        Command::Add(args) => add(*args, global).await,
        Command::Show(args) => show(args, global).await,
        Command::Notices(args) => notices(args, global).await,
        Command::Told(args) => tell(*args, global).await,
        Command::Close(args) => {
            let by = &args.by;
            let request = v1::UpdateIncidentRequest {
                request_id: by.request_id(),
                incident_id: args.incident_id,
                close: true,
                who: by.who.clone(),
                ..v1::UpdateIncidentRequest::default()
            };
            update(request, by, global).await
        }
    }
}

async fn open(args: OpenArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::OpenIncidentRequest {
        request_id: args.by.request_id(),
        title: args.title,
        what_happened: args.what_happened,
        possible_effects: args.effects,
        measures: args.measures,
        advice: args.advice,
        remedies: args.remedies,
        contact: args.contact,
        occurred_at: stamp(args.occurred_at),
        discovered_at: stamp(args.discovered_at),
        places: args.place,
        who: args.by.who.clone(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let answer = ask!(keeper, incidents, open_incident, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || text(&answer.incident.clone().unwrap_or_default()))
}

async fn update(request: v1::UpdateIncidentRequest, by: &By, global: &Global) -> Result<Exit, Error> {
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&by.kept, global).await?;
    let answer = ask!(keeper, incidents, update_incident, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || text(&answer.incident.clone().unwrap_or_default()))
}

fn numbers(path: &std::path::Path) -> Result<Vec<String>, Error> {
    let text = read(path)?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

async fn add(args: AddArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let named = args.numbers.as_deref().map(numbers).transpose()?;
    let request = || v1::AddAffectedContactsRequest {
        request_id: new_id(),
        incident_id: args.incident_id.clone(),
        campaign: args.campaign.clone(),
        from: stamp(args.from),
        until: stamp(args.until),
        everybody: args.everybody,
        ..v1::AddAffectedContactsRequest::default()
    };
    let (mut added, mut incident) = (0_u64, None);
    if let Some(named) = named {
        for lot in named.chunks(NUMBERS) {
            let page = v1::AddAffectedContactsRequest { numbers: lot.to_vec(), ..request() };
            let answer = ask!(keeper, incidents, add_affected_contacts, page)?;
            added += u64::from(answer.added);
            incident = answer.incident;
        }
    } else {
        let mut token = String::new();
        loop {
            let page = v1::AddAffectedContactsRequest { page_token: token, ..request() };
            let answer = ask!(keeper, incidents, add_affected_contacts, page)?;
            added += u64::from(answer.added);
            incident = answer.incident;
            token = answer.next_page_token;
            if token.is_empty() {
                break;
            }
        }
    }
    keeper.settle().await?;
    let incident = incident.unwrap_or_default();
    if global.json {
        say_json(&incident)?;
    } else {
        say(&format!("{added} contacts were found; the incident touches {}.\n", incident.affected))?;
    }
    Ok(Exit::Yes)
}

async fn show(args: ShowArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    if let Some(incident_id) = args.incident_id {
        let answer = ask!(keeper, incidents, get_incident, v1::GetIncidentRequest { incident_id })?;
        if global.json {
            say_json(&answer)?
        } else {
            say(&text(&answer.incident.unwrap_or_default()))?
        }
        return Ok(Exit::Yes);
    }
    let request = v1::ListIncidentsRequest { page_size: 1_000, ..v1::ListIncidentsRequest::default() };
    let answer = ask!(keeper, incidents, list_incidents, request)?;
    if global.json {
        say_json(&answer)?;
    } else if answer.incidents.is_empty() {
        say("No incident is recorded.\n")?;
    } else {
        let line = |one: &v1::Incident| {
            let state = if one.closed_at.is_some() { "closed" } else { "open" };
            format!("{}  {state}  {} of {} told  {}\n", one.incident_id, one.told, one.affected, one.title)
        };
        say(&answer.incidents.iter().map(line).collect::<String>())?;
    }
    Ok(Exit::Yes)
}

async fn notices(args: NoticesArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let mut token = String::new();
    loop {
        let request = v1::ListNoticesRequest {
            incident_id: args.incident_id.clone(),
            history: args.history,
            page_size: 1_000,
            page_token: token,
        };
        let page = ask!(keeper, incidents, list_notices, request)?;
        for notice in &page.notices {
            let line = serde_json::to_string(notice).map_err(|error| Error::said(error.to_string()))?;
            say(&format!("{line}\n"))?;
        }
        token = page.next_page_token;
        if token.is_empty() {
            return Ok(Exit::Yes);
        }
    }
}

async fn tell(args: ToldArgs, global: &Global) -> Result<Exit, Error> {
    if let Some(place) = args.regulator {
        let report = v1::RegulatorReport {
            place,
            reported_at: stamp(args.at.or_else(|| Some(super::now()))),
            reference: args.reference,
            ..v1::RegulatorReport::default()
        };
        let request = v1::UpdateIncidentRequest {
            request_id: args.by.request_id(),
            incident_id: args.incident_id,
            report: Some(report),
            who: args.by.who.clone(),
            ..v1::UpdateIncidentRequest::default()
        };
        return update(request, &args.by, global).await;
    }
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let named = args.numbers.as_deref().map(numbers).transpose()?.unwrap_or_default();
    if named.is_empty() {
        return Err(Error::said("the file holds no number: nobody was told".to_owned()));
    }
    let mut incident = None;
    for lot in named.chunks(NUMBERS) {
        let request = v1::MarkContactsToldRequest {
            request_id: new_id(),
            incident_id: args.incident_id.clone(),
            numbers: lot.to_vec(),
            told_at: stamp(args.at),
        };
        incident = ask!(keeper, incidents, mark_contacts_told, request)?.incident;
    }
    keeper.settle().await?;
    let incident = incident.unwrap_or_default();
    if global.json {
        say_json(&incident)?;
    } else {
        say(&format!("{} of {} contacts were told.\n", incident.told, incident.affected))?;
    }
    Ok(Exit::Yes)
}

fn text(incident: &v1::Incident) -> String {
    let state = match incident.closed_at {
        Some(_) => format!("closed {}", at(incident.closed_at.as_ref())),
        None => "open".to_owned(),
    };
    let mut out = format!("{} ({state})\nincident   {}\n", incident.title, incident.incident_id);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "discovered {}", at(incident.discovered_at.as_ref()));
    let _ = writeln!(out, "told       {} of {} contacts", incident.told, incident.affected);
    for report in &incident.reports {
        let due = match (&report.reported_at, &report.due_at) {
            (Some(_), _) => format!("reported {}", at(report.reported_at.as_ref())),
            (None, Some(_)) => format!("due {}", at(report.due_at.as_ref())),
            (None, None) => "no term is known here: ask at once".to_owned(),
        };
        let citation = if report.citation.is_empty() { String::new() } else { format!(" ({})", report.citation) };
        let _ = writeln!(out, "regulator  {}: {due}{citation}", report.place);
    }
    out
}
