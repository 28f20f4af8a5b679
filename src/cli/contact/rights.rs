//! `ringfence contact export`, `erase`, `hold` and `release`: what the person may ask for, done. Where an option is called
//! otherwise than its field of the contract, it goes by that name too: faults are told by it.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::{Whose, at, human, masked};
use crate::cli::output::{note, say, say_json};
use crate::cli::request::{again, permit};
use crate::cli::source::{self, NO_LISTS};
use crate::cli::terms::{instant, number, stamp, word};
use crate::cli::{Error, Exit, Global, now, open, remote};
use crate::contact::holds::CLASSES;
use crate::contact::{ErasureReason, RightsKind, RightsState, Term};
use crate::engine::Clock;
use crate::place::Number;
use crate::proto::v1;
use crate::time::Instant;

/// Everything kept about a number.
#[derive(Debug, clap::Args)]
#[command(
    about = "Export everything kept about a number, as JSON or as a page for people",
    after_help = "Each export leaves an entry in the log. With --request it answers that request, and closes it."
)]
pub struct ExportArgs {
    #[command(flatten)]
    whose: Whose,
    /// The request that it answers, as `ringfence request list` names it
    #[arg(long, alias = "rights-request-id", value_name = "ID")]
    request: Option<String>,
    /// The authority that gets it, by a legal paper
    #[arg(long, value_name = "NAME", requires = "paper", requires = "covers", conflicts_with = "request")]
    authority: Option<String>,
    /// The paper: what it is, its number, its date
    #[arg(long, value_name = "TEXT", requires = "authority")]
    paper: Option<String>,
    /// What the paper covers, in its own words
    #[arg(long, value_name = "TEXT", requires = "authority")]
    covers: Option<String>,
    /// It covers decisions alone
    #[arg(long, requires = "authority")]
    decisions_only: bool,
    /// Show numbers whole; left out: masked
    #[arg(long)]
    whole_number: bool,
    /// A page for people (HTML) instead of JSON
    #[arg(long)]
    html: bool,
    /// The file to write, which must not be there; left out: standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The id of this export: the same again is recorded once; left out: a new one
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// An erasure.
#[derive(Debug, clap::Args)]
#[command(
    about = "Erase a contact: its own key is destroyed, and with it all that it sealed",
    after_help = "What suppresses further contact stays, under a keyed tag without the number. Holds are respected and \
                  named.\n\nExit status: 0 erased (or would be), 1 a hold forbids it, 2 error."
)]
pub struct EraseArgs {
    #[command(flatten)]
    whose: Whose,
    /// Why
    #[arg(long, value_name = "REASON", value_parser = word::<ErasureReason>(), ignore_case = true)]
    reason: ErasureReason,
    /// The request that it answers, as `ringfence request list` names it
    #[arg(long, alias = "rights-request-id", value_name = "ID")]
    request: Option<String>,
    /// How and by whom identity was checked, where the person asked and no request says so
    #[arg(long, alias = "identity-verified-by", value_name = "TEXT")]
    verified_by: Option<String>,
    /// Say what would go and what would stay; erase nothing
    #[arg(long)]
    dry_run: bool,
    /// The id of this erasure: the same again is done once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// A hold.
#[derive(Debug, clap::Args)]
#[command(about = "Say that a part of what is kept about a number must be kept, whoever asks for its erasure")]
pub struct HoldArgs {
    #[command(flatten)]
    whose: Whose,
    /// What must be kept
    #[arg(long, alias = "record-class", value_name = "CLASS", value_parser = CLASSES)]
    class: String,
    /// Until when; left out: until it is released
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    until: Option<Instant>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Where it is written
    #[arg(long, value_name = "TEXT")]
    citation: Option<String>,
    /// Who places it: a person or a system
    #[arg(long, value_name = "NAME")]
    who: String,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// The end of a hold.
#[derive(Debug, clap::Args)]
#[command(about = "Release a hold")]
pub struct ReleaseArgs {
    #[command(flatten)]
    whose: Whose,
    /// The hold, as `ringfence contact export` names it
    #[arg(long, alias = "hold-id", value_name = "ID")]
    hold: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who releases it: a person or a system
    #[arg(long, value_name = "NAME")]
    who: String,
    /// The id of this request: the same again is recorded once; left out: a new one, which is printed
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

async fn opened(whose: &Whose, global: &Global) -> Result<open::Opened, Error> {
    source::opened(Some(whose.kept.existing_folder()?), &whose.kept, &NO_LISTS, global).await
}

fn id_or_new(id: Option<String>) -> String {
    id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

pub(super) async fn export(args: ExportArgs, global: &Global) -> Result<Exit, Error> {
    let whole = args.whole_number;
    let mut request = v1::ExportContactRequest {
        number: args.whose.number.clone(),
        default_region: args.whose.default_region.clone().unwrap_or_default(),
        request_id: id_or_new(args.request_id),
        rights_request_id: args.request.unwrap_or_default(),
        page_size: PAGE,
        page_token: String::new(),
        disclosure: args.authority.map(|authority| v1::Disclosure {
            authority,
            paper: args.paper.unwrap_or_default(),
            covers: args.covers.unwrap_or_default(),
            decisions_only: args.decisions_only,
            ..v1::Disclosure::default()
        }),
    };
    let mut client = match &args.whose.kept.server {
        Some(server) => Some(remote::privacy(server).await?),
        None => None,
    };
    let local = if client.is_none() { Some(opened(&args.whose, global).await?) } else { None };
    let mut all = v1::ExportContactResponse::default();
    loop {
        let page = match (&mut client, &local) {
            (Some(client), _) => {
                client.export_contact(request.clone()).await.map_err(|status| remote::refused(&status))?.into_inner()
            }
            (None, Some(opened)) => {
                opened.engine.export_contact(&permit(global)?, request.clone(), Clock::at(now())).await?
            }
            (None, None) => break,
        };
        request.page_token.clone_from(&page.next_page_token);
        if all.receipt_id.is_empty() {
            all = page;
        } else {
            all.decisions.extend(page.decisions);
        }
        if request.page_token.is_empty() {
            break;
        }
    }
    all.next_page_token.clear();
    if let Some(opened) = &local {
        opened.settle(now()).await?;
    }
    if !whole {
        mask(&mut all);
    }
    let text = if args.html { page(&all) } else { json(&all)? };
    match args.output {
        None => say(&text)?,
        Some(path) => {
            write_new(&path, &text)?;
            note(&format!("written: {}", path.display()));
        }
    }
    Ok(Exit::when(all.contact.is_some() || !all.decisions.is_empty()))
}

/// Decisions asked for at a time.
const PAGE: u32 = 1_000;

fn json(all: &v1::ExportContactResponse) -> Result<String, Error> {
    serde_json::to_string_pretty(all).map_err(|error| Error::said(error.to_string()))
}

/// For its owner only, and never in the place of another file.
fn write_new(path: &std::path::Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| Error::io("writing", path.display().to_string().as_str(), &error))
}

fn mask(all: &mut v1::ExportContactResponse) {
    if let Some(contact) = &mut all.contact {
        contact.number = masked(&contact.number);
    }
    for request in &mut all.requests {
        request.number = masked(&request.number);
    }
    for record in &mut all.decisions {
        if let Some(decision) = &mut record.decision {
            decision.number = masked(&decision.number);
        }
        if let Some(request) = &mut record.request {
            request.number = Number::parse(&request.number, Some(&request.default_region))
                .map_or_else(|_| "?".to_owned(), |number| number.to_string());
        }
    }
}

/// A page that a person can read and print: no script, nothing fetched from elsewhere.
fn page(all: &v1::ExportContactResponse) -> String {
    let mut out = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>What we keep about this \
         number</title>\n<style>body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
         table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;\
         vertical-align:top}pre{white-space:pre-wrap}</style>\n</head>\n<body>\n<h1>What we keep about this number</h1>\n",
    );
    // Writing to a string cannot fail.
    match &all.contact {
        None => out.push_str("<p>There is no record of this number.</p>\n"),
        Some(contact) => {
            let _ = writeln!(out, "<h2>The record</h2>\n<pre>{}</pre>", escaped(&human(contact)));
            for recorded in &contact.consents {
                let consent = recorded.consent.clone().unwrap_or_default();
                if !consent.wording.is_empty() {
                    let given = at(consent.given_at.as_ref());
                    let _ = writeln!(out, "<p>Consent of {given}, in these words: “{}”</p>", escaped(&consent.wording));
                }
            }
            for recorded in contact.opt_outs.iter().filter(|recorded| !recorded.wording.is_empty()) {
                let when = at(recorded.recorded_at.as_ref());
                let _ = writeln!(out, "<p>Opt-out of {when}, in these words: “{}”</p>", escaped(&recorded.wording));
            }
        }
    }
    if !all.holds.is_empty() {
        out.push_str("<h2>What must be kept</h2>\n<ul>\n");
        for hold in &all.holds {
            let _ = writeln!(out, "<li>{}</li>", escaped(&held(hold)));
        }
        out.push_str("</ul>\n");
    }
    if !all.requests.is_empty() {
        out.push_str("<h2>Requests</h2>\n<table><tr><th>Received</th><th>Right</th><th>State</th></tr>\n");
        for request in &all.requests {
            let kind = RightsKind::from_number(request.kind).map_or("?", Term::word);
            let state = RightsState::from_number(request.state).map_or("?", Term::word);
            let _ =
                writeln!(out, "<tr><td>{}</td><td>{kind}</td><td>{state}</td></tr>", at(request.received_at.as_ref()));
        }
        out.push_str("</table>\n");
    }
    out.push_str("<h2>Decisions</h2>\n<p>Each answers the question whether the number may be contacted.</p>\n");
    out.push_str("<table><tr><th>When</th><th>For</th><th>Answer</th><th>Why</th></tr>\n");
    for record in &all.decisions {
        let Some(decision) = &record.decision else { continue };
        let seller = record.request.as_ref().map(|request| request.seller.clone()).unwrap_or_default();
        let verdict = if decision.verdict() == v1::Verdict::Allow { "allowed" } else { "denied" };
        let mut why = String::new();
        for reason in &decision.reasons {
            let _ = write!(why, "{} <small>{}</small><br>", escaped(&reason.message), escaped(&reason.citation));
        }
        let when = at(decision.evaluated_at.as_ref());
        let _ = writeln!(out, "<tr><td>{when}</td><td>{}</td><td>{verdict}</td><td>{why}</td></tr>", escaped(&seller));
    }
    let route = all.requests.last().map(|request| request.complaint_route.clone()).unwrap_or_default();
    let _ = writeln!(out, "</table>\n<p>{}</p>\n</body>\n</html>", escaped(&route));
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) async fn erase(args: EraseArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::EraseContactRequest {
        number: args.whose.number.clone(),
        default_region: args.whose.default_region.clone().unwrap_or_default(),
        request_id: id_or_new(args.request_id),
        reason: number(Some(args.reason)),
        rights_request_id: args.request.unwrap_or_default(),
        dry_run: args.dry_run,
        identity_verified_by: args.verified_by.unwrap_or_default(),
    };
    let request_id = request.request_id.clone();
    let answer = match &args.whose.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.erase_contact(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.whose, global).await?;
            let answer = opened.engine.erase_contact(&permit(global)?, request, Clock::at(now())).await?;
            // Nobody else waits for the store.
            opened.engine.drop_erased(true).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    let done = answer.erased_at.is_some() || (args.dry_run && !forbids(&answer.holds));
    if global.json {
        let mut value = serde_json::to_value(&answer).map_err(|error| Error::said(error.to_string()))?;
        if let Some(members) = value.as_object_mut() {
            members.insert("number".to_owned(), masked(&answer.number).into());
            members.insert("requestId".to_owned(), request_id.into());
        }
        say_json(&value)?;
    } else {
        say(&said(&answer, args.dry_run, &request_id))?;
    }
    Ok(Exit::when(done))
}

fn forbids(holds: &[v1::Hold]) -> bool {
    use crate::contact::holds::Reach;
    holds.iter().any(|hold| Reach::of(&hold.record_class) == Reach::Everything)
}

fn said(answer: &v1::EraseContactResponse, dry_run: bool, request_id: &str) -> String {
    let whom = masked(&answer.number);
    let mut out = match &answer.erased_at {
        Some(erased) => format!("Erased: {whom}, at {}.\n", at(Some(erased))),
        None if dry_run && !forbids(&answer.holds) => format!("Would be erased: {whom}.\n"),
        None if dry_run => format!("Would not be erased: {whom}.\n"),
        None => {
            format!("Not erased: {whom}. From now on the data are kept for what holds them, and used for nothing.\n")
        }
    };
    // Writing to a string cannot fail.
    for hold in &answer.holds {
        let _ = writeln!(out, "  held   {}", held(hold));
    }
    let _ = writeln!(
        out,
        "  stays  {} opt-outs and {} bare attempts, under a keyed tag",
        answer.kept_opt_outs, answer.kept_attempts
    );
    if !dry_run {
        let _ = writeln!(out, "request {request_id}\nreceipt {}", answer.receipt_id);
    }
    out
}

fn held(hold: &v1::Hold) -> String {
    let until = hold
        .until
        .as_ref()
        .map_or_else(|| "until it is released".to_owned(), |until| format!("until {}", at(Some(until))));
    let law = if hold.citation.is_empty() { String::new() } else { format!(" ({})", hold.citation) };
    let id = if hold.hold_id.is_empty() { String::new() } else { format!(" [{}]", hold.hold_id) };
    format!("{}, {until}: {}{law}{id}", hold.record_class, hold.reason)
}

pub(super) async fn hold(args: HoldArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::PlaceHoldRequest {
        number: args.whose.number.clone(),
        default_region: args.whose.default_region.clone().unwrap_or_default(),
        request_id: id_or_new(args.request_id),
        record_class: args.class,
        until: stamp(args.until),
        reason: args.why,
        citation: args.citation.unwrap_or_default(),
        who: args.who,
    };
    let request_id = request.request_id.clone();
    let answer = match &args.whose.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.place_hold(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.whose, global).await?;
            let answer = opened.engine.place_hold(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    match global.json {
        true => say_json(&answer)?,
        false => say(&format!(
            "Held: {}\nrequest {request_id}\nreceipt {}\n",
            held(&answer.hold.unwrap_or_default()),
            answer.receipt_id
        ))?,
    }
    Ok(Exit::Yes)
}

pub(super) async fn release(args: ReleaseArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::LiftHoldRequest {
        number: args.whose.number.clone(),
        default_region: args.whose.default_region.clone().unwrap_or_default(),
        request_id: id_or_new(args.request_id),
        hold_id: args.hold,
        who: args.who,
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let answer = match &args.whose.kept.server {
        Some(server) => {
            let answer = remote::privacy(server).await?.lift_hold(request).await;
            answer.map_err(|status| again(&remote::refused(&status), &request_id))?.into_inner()
        }
        None => {
            let opened = opened(&args.whose, global).await?;
            let answer = opened.engine.lift_hold(&permit(global)?, request, Clock::at(now())).await?;
            opened.settle(now()).await?;
            answer
        }
    };
    match global.json {
        true => say_json(&answer)?,
        false => say(&format!("Released.\nrequest {request_id}\nreceipt {}\n", answer.receipt_id))?,
    }
    Ok(Exit::Yes)
}
