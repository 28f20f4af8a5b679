//! `ringfence request`: requests under data-protection law, their clocks and their answers.

use std::fmt::Write as _;

use super::output::{folded, say, say_json};
use super::source::{self, Kept, Lists, NO_LISTS};
use super::terms::{instant, number, stamp, word};
use super::{Error, Exit, Global, now, open, remote};
use crate::access::{Caller, Permit, Role};
use crate::contact::{Channel, Purpose, Refusal, Requester, RightsKind, RightsState, RightsStep, Term};
use crate::engine::{Clock, Failure};
use crate::place::Number;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, Millis};

/// A request of a person about the data kept about a number.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Open a request: says when it is due, and stops at once what must stop
    Open(Box<OpenArgs>),
    /// List requests, the one due first, first
    List(ListArgs),
    /// Show a request, and what may be written to the person
    Show(ShowArgs),
    /// Take a request a step further
    Resolve(Box<ResolveArgs>),
}

/// A request to open.
#[derive(Debug, clap::Args)]
#[command(
    about = "Open a request: says when it is due, and stops at once what must stop",
    after_help = "An objection, no_sharing and a restriction hold for every check as soon as this has returned, and need \
                  nothing but the number. What reveals or changes data waits for proof of identity.\n\n\
                  Example: ringfence request open +12025550143 --kind access"
)]
pub struct OpenArgs {
    /// The number: E.164 (+12025550143), or national with --default-region
    #[arg(allow_hyphen_values = true)]
    number: String,
    /// The country in whose national form the number may be, such as US
    #[arg(long, value_name = "COUNTRY")]
    default_region: Option<String>,
    /// The right that is exercised
    #[arg(long, value_name = "KIND", value_parser = word::<RightsKind>(), ignore_case = true)]
    kind: RightsKind,
    /// Who asks; left out: the person
    #[arg(long, value_name = "WHO", value_parser = word::<Requester>(), ignore_case = true)]
    requester: Option<Requester>,
    /// When it was received; left out: now
    #[arg(long, alias = "received-at", value_name = "INSTANT", value_parser = instant)]
    received: Option<Instant>,
    /// How and by whom identity was checked, if it was
    #[arg(long, alias = "identity-verified-by", value_name = "TEXT")]
    verified_by: Option<String>,
    /// What is asked, in the person's words
    #[arg(long, value_name = "TEXT")]
    details: Option<String>,
    /// Of an objection: every contact but emergencies and notices that the law itself demands; left out: marketing
    #[arg(long)]
    everything: bool,
    /// Of an objection: contacts for this purpose
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Vec<Purpose>,
    /// Of an objection: contacts by this channel
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true)]
    channel: Vec<Channel>,
    /// Of an objection: contacts for this seller
    #[arg(long, value_name = "NAME")]
    seller: Vec<String>,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Where the requests are, and by which packs their clocks are told.
#[derive(Clone, Debug, clap::Args)]
pub struct At {
    #[command(flatten)]
    kept: Kept,
    /// A folder of packs that replace those built in, or add to them
    #[arg(long, value_name = "DIR", env = "RINGFENCE_PACKS", hide_env_values = true)]
    packs: Option<std::path::PathBuf>,
}

/// Which requests.
#[derive(Debug, clap::Args)]
#[command(
    about = "List requests, the one due first, first",
    after_help = "Exit status: 0 nothing is overdue, 1 something is, 2 error."
)]
pub struct ListArgs {
    /// Only requests in this state; left out: all that are not closed
    #[arg(long, value_name = "STATE", value_parser = word::<RightsState>(), ignore_case = true)]
    state: Option<RightsState>,
    /// Closed ones as well
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only requests due within this long from now, such as 3d or 12h, overdue ones among them
    #[arg(long, value_name = "SPAN", value_parser = span)]
    due: Option<Millis>,
    #[command(flatten)]
    at: At,
}

/// Which request.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The request, as `ringfence request list` names it
    rights_request_id: String,
    /// Show the number whole
    #[arg(long)]
    whole_number: bool,
    #[command(flatten)]
    at: At,
}

/// A step.
#[derive(Debug, clap::Args)]
#[command(
    about = "Take a request a step further",
    after_help = "Steps: verify_identity (--note says how), extend (--note is the reason, told to the person while the \
                  first period runs), complete, refuse (--why), lift_restriction (--note says why).\n\n\
                  Example: ringfence request resolve 019… --step refuse --why excessive --who ann"
)]
pub struct ResolveArgs {
    /// The request, as `ringfence request list` names it
    rights_request_id: String,
    /// The step
    #[arg(long, value_name = "STEP", value_parser = word::<RightsStep>(), ignore_case = true)]
    step: RightsStep,
    /// Who takes it: a person or a system
    #[arg(long, value_name = "NAME")]
    who: String,
    /// See the steps
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Why it is refused
    #[arg(long, alias = "refusal-reason", value_name = "REASON", value_parser = word::<Refusal>(), ignore_case = true)]
    why: Option<Refusal>,
    /// When identity was shown; left out: now
    #[arg(long, alias = "at", value_name = "INSTANT", value_parser = instant)]
    shown: Option<Instant>,
    /// The id of this step: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    #[command(flatten)]
    at: At,
}

/// Runs it.
///
/// # Errors
/// Nothing could be read or recorded.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Open(args) => open_one(*args, global).await,
        Command::List(args) => list(&args, global).await,
        Command::Show(args) => show(args, global).await,
        Command::Resolve(args) => resolve(*args, global).await,
    }
}

/// Leave to do it, where no server asks.
pub(super) fn permit(global: &Global) -> Result<Permit, Error> {
    Ok(Caller::local_of(&global.tenant).permit(Role::Privacy).map_err(Failure::from)?)
}

async fn opened(at: &At, global: &Global) -> Result<open::Opened, Error> {
    let lists = Lists { packs: at.packs.clone(), ..NO_LISTS };
    source::opened(Some(at.kept.existing_folder()?), &at.kept, &lists, global).await
}

async fn open_one(args: OpenArgs, global: &Global) -> Result<Exit, Error> {
    let request = args.request();
    let request_id = request.request_id.clone();
    let response = match &args.at.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.open_request(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.at, global).await?;
            let answer = opened.engine.open_request(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    let request = masked(response.request.unwrap_or_default(), false);
    told(global, &request, &request_id)
}

impl OpenArgs {
    fn request(&self) -> v1::OpenRequestRequest {
        let scope = v1::OptOutScope {
            channels: self.channel.iter().map(|term| number(Some(*term))).collect(),
            purposes: self.purpose.iter().map(|term| number(Some(*term))).collect(),
            sellers: self.seller.clone(),
            everything: self.everything,
            ..v1::OptOutScope::default()
        };
        v1::OpenRequestRequest {
            number: self.number.clone(),
            default_region: self.default_region.clone().unwrap_or_default(),
            request_id: self.request_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            kind: number(Some(self.kind)),
            requester: number(self.requester),
            received_at: stamp(self.received),
            identity_verified_by: self.verified_by.clone().unwrap_or_default(),
            identity_verified_at: None,
            details: self.details.clone().unwrap_or_default(),
            scope: Some(scope).filter(|scope| *scope != v1::OptOutScope::default()),
        }
    }
}

async fn resolve(args: ResolveArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::ResolveRequestRequest {
        rights_request_id: args.rights_request_id,
        request_id: args.request_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        step: number(Some(args.step)),
        who: args.who,
        note: args.note.unwrap_or_default(),
        refusal_reason: number(args.why),
        at: stamp(args.shown),
    };
    let request_id = request.request_id.clone();
    let response = match &args.at.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.resolve_request(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.at, global).await?;
            let answer = opened.engine.resolve_request(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    let request = masked(response.request.unwrap_or_default(), false);
    told(global, &request, &request_id)
}

async fn show(args: ShowArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::GetRequestRequest { rights_request_id: args.rights_request_id };
    let found = match &args.at.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.get_request(request).await;
            answer.map_err(|status| remote::refused(&status))?.into_inner().request.unwrap_or_default()
        }
        None => opened(&args.at, global).await?.engine.get_request(&permit(global)?, &request, now()).await?,
    };
    let found = masked(found, args.whole_number);
    match global.json {
        true => say_json(&found)?,
        false => say(&human(&found))?,
    }
    Ok(Exit::Yes)
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let mut client = match &args.at.kept.server {
        Some(server) => Some(remote::privacy(server).await?),
        None => None,
    };
    let local = if client.is_none() { Some(opened(&args.at, global).await?) } else { None };
    let mut all = v1::ListRequestsResponse::default();
    loop {
        let request = v1::ListRequestsRequest {
            state: number(args.state),
            due_before: stamp(args.due.map(|due| now().plus(due))),
            page_size: PAGE,
            page_token: std::mem::take(&mut all.next_page_token),
        };
        let page = match (&mut client, &local) {
            (Some(client), _) => {
                client.list_requests(request).await.map_err(|status| remote::refused(&status))?.into_inner()
            }
            (None, Some(opened)) => opened.engine.list_requests(&permit(global)?, &request, Clock::at(now())).await?,
            (None, None) => break,
        };
        all.requests.extend(page.requests);
        (all.overdue, all.due_soon) = (page.overdue, page.due_soon);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    if let Some(opened) = &local {
        opened.settle(now()).await?;
    }
    if args.state.is_none() && !args.all {
        all.requests.retain(|request| request.closed_at.is_none());
    }
    let overdue = all.overdue > 0;
    match global.json {
        true => say_json(&all)?,
        false => say(&lines(&all))?,
    }
    Ok(Exit::when(!overdue))
}

/// Entries asked for at a time.
const PAGE: u32 = 1_000;

fn lines(all: &v1::ListRequestsResponse) -> String {
    if all.requests.is_empty() {
        return "No such request.\n".to_owned();
    }
    let mut out = String::new();
    for request in &all.requests {
        let late =
            request.closed_at.is_none() && millis(request.due_at.as_ref()).is_some_and(|due| due <= now().millis());
        let due = match &request.closed_at {
            Some(closed) => format!("closed {}", at(Some(closed))),
            None if late => format!("OVERDUE since {}", at(request.due_at.as_ref())),
            None => format!("due before {}", at(request.due_at.as_ref())),
        };
        let law = if request.rule_id.is_empty() { String::new() } else { format!(" ({})", request.rule_id) };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}  {} {}, {due}{law}", request.rights_request_id, kind(request), state(request));
    }
    let _ = writeln!(out, "{} overdue, {} due within seven days.", all.overdue, all.due_soon);
    out
}

fn human(request: &v1::RightsRequest) -> String {
    let mut out = format!("{}  {}, {}\n", request.rights_request_id, kind(request), state(request));
    // Writing to a string cannot fail.
    let mut line = |title: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "  {title:<11}{}", folded(text, 13, 13));
        }
    };
    line("number", &request.number);
    line("received", &at(request.received_at.as_ref()));
    if let Some(closed) = &request.closed_at {
        line("closed", &at(Some(closed)));
    }
    let identity = match (&request.identity_verified_at, request.identity_needed) {
        (Some(shown), _) => format!("shown {}: {}", at(Some(shown)), request.identity_verified_by),
        (None, true) => "needed, and not shown yet".to_owned(),
        (None, false) => "not needed".to_owned(),
    };
    line("identity", &identity);
    for clock in &request.clocks {
        let moves = match clock.latest_due_on == clock.due_on {
            true => String::new(),
            false => format!(" ({} where it moves off a weekend)", clock.latest_due_on),
        };
        let law = if clock.rule_id.is_empty() { "own promise" } else { &clock.rule_id };
        let more =
            if clock.extendable_by.is_empty() { String::new() } else { format!("; by {} more", clock.extendable_by) };
        line("due", &format!("{}{moves}: {}, {law} {}{more}", clock.due_on, clock.counted, clock.citation));
    }
    line("asked", &request.details);
    line("by", &request.who);
    line("note", &request.note);
    out.push_str("\nWhat may be written to the person:\n\n");
    for paragraph in request.reply.split("\n\n") {
        let _ = writeln!(out, "  {}\n", folded(paragraph, 2, 2));
    }
    out
}

fn kind(request: &v1::RightsRequest) -> &'static str {
    RightsKind::from_number(request.kind).map_or("?", Term::word)
}

fn state(request: &v1::RightsRequest) -> &'static str {
    RightsState::from_number(request.state).map_or("?", Term::word)
}

fn millis(stamp: Option<&Timestamp>) -> Option<i64> {
    stamp.and_then(|stamp| stamp.to_millis())
}

fn at(stamp: Option<&Timestamp>) -> String {
    millis(stamp).map_or_else(|| "no known instant".to_owned(), |millis| Instant::from_millis(millis).to_string())
}

fn masked(mut request: v1::RightsRequest, whole: bool) -> v1::RightsRequest {
    if !whole && let Ok(number) = Number::parse(&request.number, None) {
        request.number = number.to_string();
    }
    request
}

/// Prints the request as it is now, with the id of the write.
fn told(global: &Global, request: &v1::RightsRequest, request_id: &str) -> Result<Exit, Error> {
    if global.json {
        let mut value = serde_json::to_value(request).map_err(|error| Error::said(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("requestId".to_owned(), request_id.into());
        }
        say_json(&value)?;
    } else {
        say(&format!("{}request {request_id}\n", human(request)))?;
    }
    Ok(Exit::Yes)
}

/// A request that got no answer may have been recorded: the same again does no harm.
pub(super) fn again(error: &Error, request_id: &str) -> Error {
    Error::said(format!("{error}\n       to ask the same again: --request-id {request_id}"))
}

/// Reads `3d` or `12h`.
fn span(text: &str) -> Result<Millis, String> {
    let bad = || format!("`{text}` is no span such as 3d or 12h");
    let (count, hours) = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (_, Some(hours)) => (hours, 1),
        _ => return Err(bad()),
    };
    let count: u16 = count.parse().map_err(|_| bad())?;
    Ok(Millis::hours(i64::from(count) * hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_of_days_or_hours() {
        assert_eq!(span("3d"), Ok(Millis::days(3)));
        assert_eq!(span("12h"), Ok(Millis::hours(12)));
        for bad in ["", "d", "3", "-1d", "3w", "1.5d", "99999d"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
