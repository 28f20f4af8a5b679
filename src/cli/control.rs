//! `ringfence control`: the stop button, and states of emergency.

mod emergency;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::output::{say, say_json};
use super::source::{self, Kept, NO_LISTS};
use super::terms::{instant, stamp};
use super::{Error, Exit, Global, access, now, open, remote};
use crate::access::{Caller, DEFAULT_TENANT, Limits, Permit, Role};
use crate::engine::{Clock, Failure};
use crate::proto::v1;
use crate::proto::v1::freeze_target::Target;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// Switches.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Stop contacts at once: all of them, or those of a seller, a campaign or a place
    Freeze(Box<FreezeArgs>),
    /// Lift a freeze
    Unfreeze(UnfreezeArgs),
    /// List freezes
    List(ListArgs),
    /// States of emergency, during which some laws forbid contacts
    #[command(subcommand)]
    Emergency(emergency::Command),
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

/// A freeze.
#[derive(Debug, clap::Args)]
#[command(
    about = "Stop contacts at once: all of them, or those of a seller, a campaign or a place",
    after_help = "Once it has returned, every check it reaches is denied, with who and why. Emergencies and notices that \
                  the law itself demands are never stopped.\n\n\
                  Examples: ringfence control freeze --campaign spring --who ann --why \"Wrong prices\"\n          \
                  ringfence control freeze --everything --tenants-of FILE --who ann --why restore"
)]
pub struct FreezeArgs {
    #[command(flatten)]
    what: What,
    /// Why; it is told with every denial
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// When it ends by itself; left out: when it is lifted
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
    /// For every tenant that this file of callers names, revoked ones too, before a server starts; in place of --tenant
    #[arg(long, value_name = "FILE")]
    tenants_of: Option<PathBuf>,
    #[command(flatten)]
    by: By,
}

/// What is frozen.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// Everything of the tenant
    #[arg(long)]
    everything: bool,
    /// Contacts for this seller
    #[arg(long, value_name = "NAME")]
    seller: Option<String>,
    /// Contacts of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// Contacts with whoever may be in this place, such as US-NY, FR or EU
    #[arg(long, value_name = "CODE")]
    place: Option<String>,
}

impl What {
    fn target(&self) -> v1::FreezeTarget {
        let everything = self.everything.then_some(Target::Everything(true));
        let seller = self.seller.clone().map(Target::Seller);
        let campaign = self.campaign.clone().map(Target::Campaign);
        let place = self.place.clone().map(Target::Place);
        v1::FreezeTarget { target: everything.or(seller).or(campaign).or(place) }
    }
}

/// The end of a freeze.
#[derive(Debug, clap::Args)]
pub struct UnfreezeArgs {
    /// The freeze, as `ringfence control list` names it
    freeze_id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: By,
}

/// What to list.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Those that are over as well
    #[arg(long)]
    history: bool,
    #[command(flatten)]
    kept: Kept,
}

/// Runs it.
///
/// # Errors
/// Nothing could be switched or read.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Freeze(args) => freeze(*args, global).await,
        Command::Unfreeze(args) => unfreeze(args, global).await,
        Command::List(args) => list(&args, global).await,
        Command::Emergency(command) => emergency::run(command, global).await,
    }
}

fn permit(global: &Global) -> Result<Permit, Error> {
    Ok(Caller::local_of(&global.tenant).permit(Role::Control).map_err(Failure::from)?)
}

async fn opened(kept: &Kept, global: &Global) -> Result<open::Opened, Error> {
    source::opened(Some(kept.existing_folder()?), kept, &NO_LISTS, global).await
}

async fn freeze(args: FreezeArgs, global: &Global) -> Result<Exit, Error> {
    let tenants_of = args.tenants_of.clone();
    let request = v1::FreezeRequest {
        request_id: args.by.request_id(),
        target: Some(args.what.target()),
        who: args.by.who.clone(),
        why: args.why,
        until: stamp(args.until),
    };
    if let Some(file) = &tenants_of {
        return freeze_tenants(file, &request, &args.by.kept, global).await;
    }
    let request_id = request.request_id.clone();
    let response = match &args.by.kept.server {
        Some(server) => {
            let answer = remote::control(server).await?.freeze(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.by.kept, global).await?;
            let answer = opened.engine.freeze(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    told(global, &response, &request_id, || {
        let freeze = response.freeze.clone().unwrap_or_default();
        format!("Frozen: {}.\nfreeze  {}\n", line(&freeze), freeze.freeze_id)
    })
}

/// Freezes for every tenant of a file of callers, in data that no server holds. A tenant of which nothing is stored yet is
/// frozen as well: after a restore it may be one whose opt-outs are all newer than the copy.
async fn freeze_tenants(file: &Path, request: &v1::FreezeRequest, kept: &Kept, global: &Global) -> Result<Exit, Error> {
    let tenants = access::read(file, Limits::NONE)?.tenants();
    if tenants.is_empty() {
        return Err(Error::said(format!("{}: it names no tenant", file.display())));
    }
    let first = Global { tenant: DEFAULT_TENANT.to_owned(), ..global.clone() };
    let opened = opened(kept, &first).await?;
    let (mut lines, mut frozen) = (String::new(), serde_json::Map::new());
    for tenant in tenants {
        let own;
        let engine = if *tenant == *opened.engine.tenant() {
            &*opened.engine
        } else {
            own = opened.engine.for_tenant(&tenant)?;
            &own
        };
        let permit = Caller::local_of(&tenant).permit(Role::Control).map_err(Failure::from)?;
        let answer = engine.freeze(&permit, request.clone(), Clock::at(now())).await?;
        let freeze = answer.freeze.clone().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "Frozen for {tenant}: {}.\nfreeze  {}", line(&freeze), freeze.freeze_id);
        let answer = serde_json::to_value(&answer).map_err(|error| Error::said(error.to_string()))?;
        frozen.insert(tenant.to_string(), answer);
    }
    opened.settle(now()).await?;
    let frozen = serde_json::json!({ "tenants": frozen });
    told(global, &frozen, &request.request_id, || lines)
}

async fn unfreeze(args: UnfreezeArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::UnfreezeRequest {
        request_id: args.by.request_id(),
        freeze_id: args.freeze_id,
        who: args.by.who.clone(),
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let response = match &args.by.kept.server {
        Some(server) => {
            let answer = remote::control(server).await?.unfreeze(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.by.kept, global).await?;
            let answer = opened.engine.unfreeze(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    told(global, &response, &request_id, || {
        let freeze = response.freeze.clone().unwrap_or_default();
        format!("Lifted: {}.\nfreeze  {}\n", line(&freeze), freeze.freeze_id)
    })
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let (mut freezes, mut token) = (Vec::new(), String::new());
    let mut client = match &args.kept.server {
        Some(server) => Some(remote::control(server).await?),
        None => None,
    };
    let local = if client.is_none() { Some(opened(&args.kept, global).await?) } else { None };
    loop {
        let request = v1::ListFreezesRequest { history: args.history, page_size: PAGE, page_token: token };
        let page = match (&mut client, &local) {
            (Some(client), _) => {
                client.list_freezes(request).await.map_err(|status| remote::refused(&status))?.into_inner()
            }
            (None, Some(opened)) => opened.engine.list_freezes(&permit(global)?, &request, now()).await?,
            (None, None) => break,
        };
        freezes.extend(page.freezes);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if global.json {
        say_json(&v1::ListFreezesResponse { freezes, next_page_token: String::new() })?;
    } else if freezes.is_empty() {
        say("Nothing is frozen.\n")?;
    } else {
        let mut out = String::new();
        for freeze in &freezes {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}  {}", freeze.freeze_id, line(freeze));
        }
        say(&out)?;
    }
    Ok(Exit::Yes)
}

/// Entries asked for at a time.
const PAGE: u32 = 1_000;

/// Prints what was switched: the message with the id of its request, or a text for people.
pub(super) fn told(
    global: &Global,
    message: &impl serde::Serialize,
    request_id: &str,
    human: impl FnOnce() -> String,
) -> Result<Exit, Error> {
    if global.json {
        let mut value = serde_json::to_value(message).map_err(|error| Error::said(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("requestId".to_owned(), request_id.into());
        }
        say_json(&value)?;
    } else {
        say(&format!("{}request {request_id}\n", human()))?;
    }
    Ok(Exit::Yes)
}

/// A request that got no answer may have been recorded: the same again does no harm.
pub(super) fn again(error: &Error, request_id: &str) -> Error {
    Error::said(format!("{error}\n       to ask the same again: --request-id {request_id}"))
}

fn line(freeze: &v1::Freeze) -> String {
    let target = match freeze.target.as_ref().and_then(|target| target.target.as_ref()) {
        Some(Target::Everything(_)) => "everything".to_owned(),
        Some(Target::Seller(name)) => format!("seller {name}"),
        Some(Target::Campaign(name)) => format!("campaign {name}"),
        Some(Target::Place(code)) => format!("place {code}"),
        None => "what a newer build knows".to_owned(),
    };
    let since = format!("{target}, since {} by {}: {}", at(freeze.from.as_ref()), freeze.who, freeze.why);
    let until = freeze.until.as_ref().map(|until| format!("; until {}", at(Some(until)))).unwrap_or_default();
    let lifted = match &freeze.lifted_at {
        Some(lifted) => format!("; lifted {} by {}: {}", at(Some(lifted)), freeze.lifted_by, freeze.lifted_why),
        None => String::new(),
    };
    format!("{since}{until}{lifted}")
}

pub(super) fn at(stamp: Option<&Timestamp>) -> String {
    let millis = stamp.and_then(|stamp| stamp.to_millis());
    millis.map_or_else(|| "no known instant".to_owned(), |millis| Instant::from_millis(millis).to_string())
}
