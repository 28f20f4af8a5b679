//! `ringfence control emergency`: states of emergency, declared and ended by hand.

use std::fmt::Write as _;

use super::{By, ListArgs, PAGE, again, at, opened, permit, told};
use crate::cli::output::{say, say_json};
use crate::cli::terms::{instant, stamp};
use crate::cli::{Error, Exit, Global, now, remote};
use crate::engine::Clock;
use crate::proto::v1;
use crate::time::Instant;

/// States of emergency.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Say that one is declared, or will be
    Declare(Box<DeclareArgs>),
    /// End one
    End(EndArgs),
    /// List them, those of the server's file included
    List(ListArgs),
}

/// A state of emergency.
#[derive(Debug, clap::Args)]
#[command(
    about = "Say that one is declared, or will be",
    after_help = "Once it has returned, every check sees it. A person whose county is not known is held to be in one of \
                  those named.\n\n\
                  Example: ringfence control emergency declare US-NY --county Erie --title \"Lake snow\" \\\n  \
                  --source \"Executive Order 60\" --until 2026-12-01T05:00:00Z --who ann"
)]
pub struct DeclareArgs {
    /// Where, as an ISO 3166 code such as US-NY
    place: String,
    /// A county or parish it is declared for; may be given more than once; left out: all of the place
    #[arg(long, value_name = "NAME")]
    county: Vec<String>,
    /// What it is called; it is told with every denial
    #[arg(long, value_name = "TEXT")]
    title: String,
    /// Where it is written: the order, its number, a URL
    #[arg(long, value_name = "TEXT")]
    source: String,
    /// When it begins; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// When it ends; left out: when it is ended
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
    #[command(flatten)]
    by: By,
}

/// The end of a state of emergency.
#[derive(Debug, clap::Args)]
pub struct EndArgs {
    /// Which, as `ringfence control emergency list` names it
    emergency_id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: By,
}

pub(super) async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Declare(args) => declare(*args, global).await,
        Command::End(args) => end(args, global).await,
        Command::List(args) => list(&args, global).await,
    }
}

async fn declare(args: DeclareArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::DeclareEmergencyRequest {
        request_id: args.by.request_id(),
        jurisdiction: args.place,
        counties: args.county,
        title: args.title,
        source: args.source,
        from: stamp(args.from),
        until: stamp(args.until),
        who: args.by.who.clone(),
    };
    let request_id = request.request_id.clone();
    let response = match &args.by.kept.server {
        Some(server) => {
            let answer = remote::control(server).await?.declare_emergency(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.by.kept, global).await?;
            let answer = opened.engine.declare_emergency(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    told(global, &response, &request_id, || {
        let state = response.emergency.clone().unwrap_or_default();
        format!("Declared: {}.\n{}emergency {}\n", line(&state), speaking(&state), state.emergency_id)
    })
}

async fn end(args: EndArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::EndEmergencyRequest {
        request_id: args.by.request_id(),
        emergency_id: args.emergency_id,
        who: args.by.who.clone(),
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let response = match &args.by.kept.server {
        Some(server) => {
            let answer = remote::control(server).await?.end_emergency(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.by.kept, global).await?;
            let answer = opened.engine.end_emergency(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    told(global, &response, &request_id, || {
        let state = response.emergency.clone().unwrap_or_default();
        format!("Ended: {}.\nemergency {}\n", line(&state), state.emergency_id)
    })
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let (mut emergencies, mut token) = (Vec::new(), String::new());
    let mut client = match &args.kept.server {
        Some(server) => Some(remote::control(server).await?),
        None => None,
    };
    let local = if client.is_none() { Some(opened(&args.kept, global).await?) } else { None };
    loop {
        let request = v1::ListEmergenciesRequest { history: args.history, page_size: PAGE, page_token: token };
        let page = match (&mut client, &local) {
            (Some(client), _) => {
                client.list_emergencies(request).await.map_err(|status| remote::refused(&status))?.into_inner()
            }
            (None, Some(opened)) => opened.engine.list_emergencies(&permit(global)?, &request, now()).await?,
            (None, None) => break,
        };
        emergencies.extend(page.emergencies);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if global.json {
        say_json(&v1::ListEmergenciesResponse { emergencies, next_page_token: String::new() })?;
    } else if emergencies.is_empty() {
        say("No state of emergency is declared or announced.\n")?;
    } else {
        let mut out = String::new();
        for state in &emergencies {
            // Writing to a string cannot fail.
            let _ = write!(out, "{}  {}\n{}", state.emergency_id, line(state), speaking(state));
        }
        say(&out)?;
    }
    Ok(Exit::Yes)
}

fn line(state: &v1::Emergency) -> String {
    let counties =
        if state.counties.is_empty() { String::new() } else { format!(" for {}", state.counties.join(", ")) };
    let head = format!("{} in {}{counties} ({})", state.title, state.jurisdiction, state.source);
    let until = state.until.as_ref().map(|until| format!("; until {}", at(Some(until)))).unwrap_or_default();
    let who = if state.who.is_empty() { "the server's file" } else { &state.who };
    let ended = match &state.ended_at {
        Some(ended) => format!("; ended {} by {}: {}", at(Some(ended)), state.ended_by, state.ended_why),
        None => String::new(),
    };
    format!("{head}, from {} by {who}{until}{ended}", at(state.from.as_ref()))
}

/// Which rules it wakes. One that wakes none would stop nothing, and whoever declares it must know.
fn speaking(state: &v1::Emergency) -> String {
    match state.rule_ids.as_slice() {
        [] => "  It stops nothing: no rule of the packs in force speaks of emergencies there.\n".to_owned(),
        rules => format!("  rules {}\n", rules.join(", ")),
    }
}
