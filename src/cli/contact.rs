//! `ringfence contact`: what is stored about a number, and opting it out.

mod copy;
pub(super) mod import;
mod place;
mod rights;

use std::fmt::Write as _;

use super::output::{say, say_json};
use super::source::{self, Kept, NO_LISTS};
use super::terms::{instant, number, stamp, word};
use super::{Error, Exit, Global, now, remote};
use crate::access::{Caller, Permit, Role};
use crate::contact::{Channel, OptOutSource, Purpose, Term};
use crate::engine::{Clock, Failure};
use crate::place::Number;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// A contact.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show what is stored about a number
    Show(ShowArgs),
    /// Record that a person wants no more contacts, or none of a kind
    OptOut(Box<OptOutArgs>),
    /// Copy every record into another store
    Copy(copy::CopyArgs),
    /// Put every record into the store of the region where it belongs, after regions were changed
    Place(place::PlaceArgs),
    /// Export everything kept about a number, as JSON or as a page for people
    Export(Box<rights::ExportArgs>),
    /// Erase a contact: its own key is destroyed, and with it all that it sealed
    Erase(Box<rights::EraseArgs>),
    /// Say that a part of what is kept about a number must be kept, whoever asks for its erasure
    Hold(Box<rights::HoldArgs>),
    /// Release a hold
    Release(Box<rights::ReleaseArgs>),
    /// Record consents and opt-outs from a file, CSV or JSON lines
    Import(Box<import::ImportArgs>),
}

/// Whose contact.
#[derive(Debug, clap::Args)]
pub struct Whose {
    /// The number: E.164 (+12025550143), or national with --default-region
    #[arg(allow_hyphen_values = true)]
    number: String,
    /// The country in whose national form the number may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    #[command(flatten)]
    kept: Kept,
}

/// What is stored about a number?
#[derive(Debug, clap::Args)]
#[command(
    about = "Show what is stored about a number",
    after_help = "Exit status: 0 something is, 1 nothing is, 2 error."
)]
pub struct ShowArgs {
    #[command(flatten)]
    whose: Whose,
}

/// An opt-out. At least one option must say what it reaches; those given together must all be met.
#[derive(Debug, clap::Args)]
#[command(
    about = "Record that a person wants no more contacts, or none of a kind",
    after_help = "Once it has returned, every check sees the opt-out. What --purpose, --channel, --seller, --subject and \
                  --campaign say together must all be met; each may be given more than once.\n\n\
                  Example: ringfence contact opt-out +12025550143 --seller acme --everything"
)]
pub struct OptOutArgs {
    #[command(flatten)]
    whose: Whose,
    /// Every contact but emergencies and notices that the law itself demands
    #[arg(long)]
    everything: bool,
    /// Contacts for this purpose
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Vec<Purpose>,
    /// Contacts by this channel
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Vec<Channel>,
    /// Contacts for this seller
    #[arg(long, value_name = "NAME")]
    seller: Vec<String>,
    /// Contacts about this subject
    #[arg(long, value_name = "NAME")]
    subject: Vec<String>,
    /// Contacts of this campaign, and those that name none
    #[arg(long, value_name = "NAME")]
    campaign: Vec<String>,
    /// How it came in
    #[arg(long, value_name = "SOURCE", value_parser = word::<OptOutSource>(), ignore_case = true)]
    source: Option<OptOutSource>,
    /// When the person said so; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    at: Option<Instant>,
    /// What the person said or wrote
    #[arg(long, value_name = "TEXT")]
    wording: Option<String>,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Nothing could be read or recorded.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Show(args) => show(args.whose, global).await,
        Command::OptOut(args) => opt_out(*args, global).await,
        Command::Copy(args) => copy::run(args, global).await,
        Command::Place(args) => place::run(args, global).await,
        Command::Export(args) => rights::export(*args, global).await,
        Command::Erase(args) => rights::erase(*args, global).await,
        Command::Hold(args) => rights::hold(*args, global).await,
        Command::Release(args) => rights::release(*args, global).await,
        Command::Import(args) => import::run(*args, global).await,
    }
}

fn permit(role: Role, global: &Global) -> Result<Permit, Error> {
    Ok(Caller::local_of(&global.tenant).permit(role).map_err(Failure::from)?)
}

async fn show(whose: Whose, global: &Global) -> Result<Exit, Error> {
    let request =
        v1::GetContactRequest { number: whose.number, default_region: whose.default_region.unwrap_or_default() };
    let found = match &whose.kept.server {
        Some(server) => {
            let mut client = remote::contacts(server).await?;
            match client.get_contact(request).await {
                Ok(response) => response.into_inner().contact,
                Err(status) if status.code() == tonic::Code::NotFound => None,
                Err(status) => return Err(remote::refused(&status)),
            }
        }
        None => {
            let opened = source::opened(Some(whose.kept.existing_folder()?), &whose.kept, &NO_LISTS, global).await?;
            let found = match opened.engine.contact(&permit(Role::ReadContacts, global)?, &request, now()).await {
                Ok(contact) => Some(contact),
                Err(Failure::NotFound(_)) => None,
                Err(other) => return Err(other.into()),
            };
            // That it was read is in the log before it is shown.
            opened.settle(now()).await?;
            found
        }
    };
    match (&found, global.json) {
        (Some(contact), true) => say_json(contact)?,
        (Some(contact), false) => say(&human(contact))?,
        (None, true) => say_json(&serde_json::Value::Null)?,
        (None, false) => say("Nothing is stored about this number.\n")?,
    }
    Ok(Exit::when(found.is_some()))
}

async fn opt_out(args: OptOutArgs, global: &Global) -> Result<Exit, Error> {
    let request = args.request();
    if request.scope == Some(v1::OptOutScope::default()) {
        let ways = "--everything, or --purpose, --channel, --seller, --subject, --campaign";
        return Err(Error::said(format!("what the opt-out reaches is not said: name {ways}")));
    }
    let request_id = request.request_id.clone();
    let response = match &args.whose.kept.server {
        Some(server) => {
            let mut client = remote::contacts(server).await?;
            let response = client.record_opt_out(request).await;
            response.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened =
                source::opened(Some(args.whose.kept.existing_folder()?), &args.whose.kept, &NO_LISTS, global).await?;
            let clock = Clock::at(now());
            let recorded = opened.engine.record_opt_out(&permit(Role::WriteConsent, global)?, request, clock).await;
            let recorded = recorded.map_err(Error::from)?;
            opened.settle(now()).await?;
            recorded
        }
    };
    if global.json {
        let mut value = serde_json::to_value(&response).map_err(|error| Error::said(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("requestId".to_owned(), request_id.into());
        }
        say_json(&value)?;
    } else {
        say(&format!(
            "Opted out: {}, recorded at {}.\nrequest {request_id}\nreceipt {}\n",
            masked(&response.number),
            at(response.recorded_at.as_ref()),
            response.receipt_id
        ))?;
    }
    Ok(Exit::Yes)
}

/// A request that got no answer may have been recorded: the same again does no harm.
fn again(error: &Error, request_id: &str) -> Error {
    Error::said(format!("{error}\n       to ask the same again: --request-id {request_id}"))
}

impl OptOutArgs {
    fn request(&self) -> v1::RecordOptOutRequest {
        let scope = v1::OptOutScope {
            channels: self.channel.iter().map(|term| number(Some(*term))).collect(),
            purposes: self.purpose.iter().map(|term| number(Some(*term))).collect(),
            sellers: self.seller.clone(),
            subjects: self.subject.clone(),
            everything: self.everything,
            campaigns: self.campaign.clone(),
        };
        v1::RecordOptOutRequest {
            number: self.whose.number.clone(),
            default_region: self.whose.default_region.clone().unwrap_or_default(),
            request_id: self.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            scope: Some(scope),
            source: number(self.source),
            at: stamp(self.at),
            wording: self.wording.clone().unwrap_or_default(),
            opt_out_id: String::new(),
        }
    }
}

fn masked(number: &str) -> String {
    match Number::parse(number, None) {
        Ok(number) => number.to_string(),
        Err(_) if number.contains('•') => number.to_owned(),
        Err(_) => "?".to_owned(),
    }
}

fn at(stamp: Option<&Timestamp>) -> String {
    stamp
        .and_then(|stamp| stamp.to_millis())
        .map_or_else(|| "no known instant".to_owned(), |millis| Instant::from_millis(millis).to_string())
}

fn words<T: Term>(numbers: &[i32]) -> Vec<String> {
    numbers.iter().map(|number| T::from_number(*number).map_or("?", Term::word).to_owned()).collect()
}

fn human(contact: &v1::Contact) -> String {
    let mut out = format!(
        "{}  version {}, first recorded {}\n",
        masked(&contact.number),
        contact.version,
        at(contact.created_at.as_ref())
    );
    // Writing to a string cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "  {text}");
    };
    if let Some(erased) = &contact.erased_at {
        line(format!("erased     {}", at(Some(erased))));
    }
    if let Some(restricted) = &contact.restricted_at {
        line(format!("restricted since {}: kept, and used for no contact", at(Some(restricted))));
    }
    for recorded in &contact.opt_outs {
        line(format!("opt-out    {}", opted_out(recorded)));
    }
    for entry in &contact.list_entries {
        line(format!("list       {}, since {}", entry.list, at(entry.recorded_at.as_ref())));
    }
    for recorded in &contact.consents {
        line(format!("consent    {}", consented(recorded)));
    }
    for recorded in &contact.attempts {
        let attempt = recorded.attempt.clone().unwrap_or_default();
        let outcome = crate::contact::Outcome::from_number(attempt.outcome).map_or("not reported", Term::word);
        let when = attempt.at.or(recorded.granted_at);
        line(format!("attempt    {} for {} at {}: {outcome}", attempt.attempt_id, attempt.seller, at(when.as_ref())));
    }
    for told in contact.reassigned_before.iter().chain(&contact.reassigned) {
        line(format!("reassigned {}", answered(told)));
    }
    let facts = contact.dated_facts.len()
        + contact.relationships.len()
        + contact.inconvenient_times.len()
        + contact.registry_checks.len();
    if facts > 0 {
        line(format!("{facts} further facts: see --json"));
    }
    out
}

fn opted_out(recorded: &v1::RecordedOptOut) -> String {
    let opt_out = recorded.opt_out.clone().unwrap_or_default();
    let scope = opt_out.scope.clone().unwrap_or_default();
    let mut reach = Vec::new();
    if scope.everything {
        reach.push("everything".to_owned());
    }
    for (title, names) in [
        ("purpose", words::<Purpose>(&scope.purposes)),
        ("channel", words::<Channel>(&scope.channels)),
        ("seller", scope.sellers),
        ("subject", scope.subjects),
        ("campaign", scope.campaigns),
    ] {
        if !names.is_empty() {
            reach.push(format!("{title} {}", names.join(" or ")));
        }
    }
    let source = OptOutSource::from_number(opt_out.source).map(|s| format!(", by {}", s.word())).unwrap_or_default();
    format!("{}{source}, recorded {}", reach.join(", "), at(recorded.recorded_at.as_ref()))
}

fn answered(told: &v1::Reassigned) -> String {
    let answer = told.answer().as_str_name().trim_start_matches("REASSIGNED_ANSWER_").to_lowercase();
    let about = if told.since_date.is_empty() { "an unknown date" } else { told.since_date.as_str() };
    let source = if told.source.is_empty() { String::new() } else { format!(", by {}", told.source.escape_debug()) };
    format!("{answer} about {about}, asked {}{source}", at(told.checked_at.as_ref()))
}

fn consented(recorded: &v1::RecordedConsent) -> String {
    let consent = recorded.consent.clone().unwrap_or_default();
    let grade = consent.grade().as_str_name().trim_start_matches("CONSENT_GRADE_").to_lowercase();
    let purposes = words::<Purpose>(&consent.purposes);
    let channels = words::<Channel>(&consent.channels);
    let any =
        |names: Vec<String>, what: &str| if names.is_empty() { format!("any {what}") } else { names.join(" or ") };
    let withdrawn = match &consent.withdrawn_at {
        Some(stamp) => format!(", withdrawn {}", at(Some(stamp))),
        None => String::new(),
    };
    format!(
        "{grade} for {} of {} by {}, given {}{withdrawn}",
        any(purposes, "purpose"),
        any(consent.sellers, "seller"),
        any(channels, "channel"),
        at(consent.given_at.as_ref())
    )
}
