//! `ringfence retention`: what has passed its period goes, what must be kept stays.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::keeper::{By, Keeper, again, ask, at, told, when};
use super::output::{say, say_json, table};
use super::source::Kept;
use super::terms::stamp;
use super::{Error, Exit, Global, now};
use crate::contact::RecordClass;
use crate::engine::{Engine, Periods, Sweeper, SweeperSettings, Turn};
use crate::proto::v1;
use crate::time::Instant;

/// How often a server asks whether it is its turn to sweep, and how it rests between two pages.
const LOOK: Duration = Duration::from_secs(60);
const BREATH: Duration = Duration::from_millis(250);

/// Retention.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Remove what has passed its period, or say what would go
    Sweep(SweepArgs),
    /// Keep records whatever their period: for litigation, for a duty that no pack knows
    Hold(Box<HoldArgs>),
    /// End such a hold
    Release(ReleaseArgs),
    /// List holds
    Holds(ListArgs),
}

/// A sweep.
#[derive(Debug, clap::Args)]
#[command(
    about = "Remove what has passed its period, or say what would go",
    after_help = "The law of every place a person may be in says how long at least; holds add to it; the longest wins. \
                  What denies contacts stays: opt-outs, withdrawals, ages, entries in registries.\n\n\
                  Example: ringfence retention sweep --dry-run"
)]
pub struct SweepArgs {
    /// Say what would go; remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Without a server, and required there to remove something: months for which is kept what no law speaks of, once it is
    /// of no use
    #[arg(long, value_name = "MONTHS", env = "RINGFENCE_KEEP_MONTHS", hide_env_values = true,
        value_parser = clap::value_parser!(i32).range(0..=1_200))]
    keep_months: Option<i32>,
    #[command(flatten)]
    kept: Kept,
}

/// A hold.
#[derive(Debug, clap::Args)]
#[command(
    about = "Keep records whatever their period: for litigation, for a duty that no pack knows",
    after_help = "Example, for a law on e-commerce that wants dealings kept for three years after the last purchase:\n  \
                  ringfence retention hold --place CN --class relationships --months-from-purchase 36 \\\n    \
                  --why \"E-Commerce Law\" --who ann"
)]
pub struct HoldArgs {
    /// The records of this number alone
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    number: String,
    /// Records that concern this seller alone
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    seller: String,
    /// Contacts that may be in this place alone
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    place: String,
    /// A kind of record; may be given more than once; left out: all
    #[arg(long, value_name = "CLASS", value_parser = RecordClass::ALL.map(RecordClass::word))]
    class: Vec<String>,
    /// When it ends by itself; left out: when it is released
    #[arg(long, value_name = "INSTANT", value_parser = when)]
    until: Option<Instant>,
    /// Months from the last purchase for which it keeps; left out: for as long as it lasts
    #[arg(long, value_name = "MONTHS", default_value = "0", hide_default_value = true)]
    months_from_purchase: u32,
    /// Why: the case, the order, the law
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: By,
}

/// The end of a hold.
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// The hold, as `ringfence retention holds` names it
    hold_id: String,
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
/// Nothing could be removed or read.
pub async fn run(command: Command, global: &Global) -> Result<Exit, Error> {
    match command {
        Command::Sweep(args) => {
            if args.keep_months.is_none() && args.kept.server.is_none() && !args.dry_run {
                let how =
                    "say --keep-months, as keep_months of the configuration has it, or ask the server with --server";
                return Err(Error::said(format!(
                    "how long records are kept is not said, and what goes is gone: {how}"
                )));
            }
            let periods = args.keep_months.map_or_else(Periods::default, |months| Periods { months });
            let keeper = Keeper::open_with(&args.kept, global, periods).await?;
            let all = sweep(&keeper, args.dry_run, false).await?;
            keeper.settle().await?;
            if global.json {
                say_json(&all)?
            } else {
                say(&report(&all, args.dry_run))?
            }
            Ok(Exit::Yes)
        }
        Command::Hold(args) => hold(*args, global).await,
        Command::Release(args) => release(args, global).await,
        Command::Holds(args) => list(&args, global).await,
    }
}

/// Sweeps page by page, and puts the pages together.
pub(super) async fn sweep(
    keeper: &Keeper,
    dry_run: bool,
    all_periods_over: bool,
) -> Result<v1::SweepContactsResponse, Error> {
    let mut all = v1::SweepContactsResponse::default();
    let mut token = String::new();
    loop {
        let request = v1::SweepContactsRequest { dry_run, all_periods_over, page_size: 256, page_token: token };
        let page = ask!(keeper, retention, sweep_contacts, request)?;
        token = page.next_page_token.clone();
        add(&mut all, page);
        if token.is_empty() {
            return Ok(all);
        }
    }
}

fn add(all: &mut v1::SweepContactsResponse, page: v1::SweepContactsResponse) {
    all.records_seen += page.records_seen;
    all.records_changed += page.records_changed;
    all.records_anonymised += page.records_anonymised;
    all.records_passed_over += page.records_passed_over;
    all.keys_destroyed += page.keys_destroyed;
    all.log_days += page.log_days;
    all.erasures_done += page.erasures_done;
    for row in page.swept {
        let same = |known: &&mut v1::SweptRows| {
            (known.record_class, &known.place, &known.rule_id) == (row.record_class, &row.place, &row.rule_id)
        };
        match all.swept.iter_mut().find(same) {
            Some(known) => {
                known.count += row.count;
                let room = 3_usize.saturating_sub(known.examples.len());
                known.examples.extend(row.examples.into_iter().take(room));
            }
            None => all.swept.push(row),
        }
    }
    for row in page.held {
        let same = |known: &&mut v1::HeldRows| {
            (known.record_class, &known.place, &known.rule_id) == (row.record_class, &row.place, &row.rule_id)
        };
        match all.held.iter_mut().find(same) {
            Some(known) => {
                known.count += row.count;
                // Absent is without term: the longest.
                known.until = known.until.zip(row.until).map(|(known, row)| later_of(known, row));
            }
            None => all.held.push(row),
        }
    }
}

fn later_of(
    one: crate::proto::well_known::Timestamp,
    other: crate::proto::well_known::Timestamp,
) -> crate::proto::well_known::Timestamp {
    if one.to_millis() >= other.to_millis() { one } else { other }
}

fn class(number: i32) -> &'static str {
    RecordClass::from_number(number).map_or("of a newer build", RecordClass::word)
}

/// What a sweep came to, for people.
pub(super) fn report(all: &v1::SweepContactsResponse, dry_run: bool) -> String {
    let verb = if dry_run { "would go" } else { "went" };
    let mut out = format!("{} records looked at; of {} something {verb}.\n", all.records_seen, all.records_changed);
    let head = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if !all.swept.is_empty() {
        let mut rows = vec![head(&["WHAT", "PLACE", "RULE", "COUNT", "SUCH AS"])];
        rows.extend(all.swept.iter().map(|row| {
            let place = if row.place.is_empty() { "-" } else { row.place.as_str() };
            let count = row.count.to_string();
            vec![
                class(row.record_class).to_owned(),
                place.to_owned(),
                row.rule_id.clone(),
                count,
                row.examples.join(" "),
            ]
        }));
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{}", table(&rows));
    }
    if !all.held.is_empty() {
        let mut rows = vec![head(&["KEPT", "PLACE", "RULE", "COUNT", "UNTIL"])];
        rows.extend(all.held.iter().map(|row| {
            let place = if row.place.is_empty() { "-" } else { row.place.as_str() };
            let until = row.until.as_ref().map_or_else(|| "released".to_owned(), |until| at(Some(until)));
            vec![
                class(row.record_class).to_owned(),
                place.to_owned(),
                row.rule_id.clone(),
                row.count.to_string(),
                until,
            ]
        }));
        let _ = write!(out, "\n{}", table(&rows));
    }
    if all.records_anonymised > 0 {
        let _ = write!(out, "\n{} records {verb} but for a keyed entry without the number.\n", all.records_anonymised);
    }
    if all.keys_destroyed > 0 {
        let _ =
            write!(out, "\n{} contacts' keys {verb}, and with them what the log holds sealed.\n", all.keys_destroyed);
    }
    if all.erasures_done > 0 {
        let _ = write!(
            out,
            "\n{} contacts, whose erasure a hold had put off and none forbids any more, {verb}.\n",
            all.erasures_done
        );
    }
    if all.log_days > 0 {
        let _ = write!(
            out,
            "\n{} days of the log {verb}: what was decided about numbers without a record.\n",
            all.log_days
        );
    }
    if all.records_passed_over > 0 {
        let _ = write!(out, "\n{} records kept changing and wait for the next sweep.\n", all.records_passed_over);
    }
    out
}

async fn hold(args: HoldArgs, global: &Global) -> Result<Exit, Error> {
    let number =
        |word: &String| RecordClass::ALL.iter().find(|class| class.word() == word).map_or(0, |one| one.number());
    let request = v1::PlaceRetentionHoldRequest {
        request_id: args.by.request_id(),
        number: args.number,
        seller: args.seller,
        place: args.place,
        record_classes: args.class.iter().map(number).collect(),
        until: stamp(args.until),
        months_from_purchase: args.months_from_purchase,
        why: args.why,
        who: args.by.who.clone(),
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let answer = ask!(keeper, retention, place_retention_hold, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || {
        let hold = answer.hold.clone().unwrap_or_default();
        format!("Kept: {}.\nhold    {}\n", line(&hold), hold.hold_id)
    })
}

async fn release(args: ReleaseArgs, global: &Global) -> Result<Exit, Error> {
    let request = v1::ReleaseRetentionHoldRequest {
        request_id: args.by.request_id(),
        hold_id: args.hold_id,
        who: args.by.who.clone(),
        why: args.why,
    };
    let request_id = request.request_id.clone();
    let keeper = Keeper::open(&args.by.kept, global).await?;
    let answer =
        ask!(keeper, retention, release_retention_hold, request).map_err(|error| again(&error, &request_id))?;
    keeper.settle().await?;
    told(global, &answer, &request_id, || {
        let hold = answer.hold.clone().unwrap_or_default();
        format!("Released: {}.\nhold    {}\n", line(&hold), hold.hold_id)
    })
}

fn line(hold: &v1::RetentionHold) -> String {
    let classes: Vec<&str> = hold.record_classes.iter().map(|number| class(*number)).collect();
    let mut text = if classes.is_empty() { "all records".to_owned() } else { classes.join(", ") };
    if !hold.number.is_empty() {
        let masked = crate::place::Number::parse(&hold.number, None).map(|number| number.to_string());
        let _ = write!(text, " of {}", masked.unwrap_or_default());
    }
    if !hold.seller.is_empty() {
        let _ = write!(text, " that concern seller {}", hold.seller);
    }
    if !hold.place.is_empty() {
        let _ = write!(text, " of who may be in {}", hold.place);
    }
    if hold.months_from_purchase > 0 {
        let _ = write!(text, ", {} months from the last purchase", hold.months_from_purchase);
    }
    let _ = write!(text, ", since {} by {}: {}", at(hold.placed_at.as_ref()), hold.who, hold.why);
    if hold.until.is_some() {
        let _ = write!(text, "; until {}", at(hold.until.as_ref()));
    }
    if hold.released_at.is_some() {
        let _ = write!(text, "; released {} by {}", at(hold.released_at.as_ref()), hold.released_by);
    }
    text
}

async fn list(args: &ListArgs, global: &Global) -> Result<Exit, Error> {
    let keeper = Keeper::open(&args.kept, global).await?;
    let (mut holds, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListRetentionHoldsRequest { history: args.history, page_size: 1_000, page_token: token };
        let page = ask!(keeper, retention, list_retention_holds, request)?;
        holds.extend(page.holds);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    if global.json {
        say_json(&v1::ListRetentionHoldsResponse { holds, next_page_token: String::new() })?;
    } else if holds.is_empty() {
        say("Nothing is held.\n")?;
    } else {
        say(&holds.iter().map(|hold| format!("{}  {}\n", hold.hold_id, line(hold))).collect::<String>())?;
    }
    Ok(Exit::Yes)
}

/// Sweeps while a server runs: a page at a time, resting between pages, when it is this instance's turn.
pub(super) async fn sweep_by_turns(engine: Arc<Engine>, settings: SweeperSettings, stopping: watch::Receiver<bool>) {
    let Some(sweeper) = Sweeper::new(settings) else { return };
    let mut rest = LOOK;
    loop {
        let mut stop = stopping.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(rest) => {}
        }
        rest = match sweeper.turn(&engine, now()).await {
            Ok(Turn::Page(_)) => BREATH,
            Ok(Turn::Last(page)) => {
                tracing::info!(
                    records = page.records_seen,
                    changed = page.records_changed,
                    "sweep: the last page is done"
                );
                LOOK
            }
            Ok(Turn::Idle) => LOOK,
            Err(error) => {
                tracing::error!(%error, "sweep: tried again later");
                LOOK
            }
        };
    }
}
