//! `ringfence law show`: packs and rules as they are in force.

use jiff::civil::Date;

use super::super::open::{self, OpenSettings};
use super::super::output::{folded, say, say_json, table};
use super::super::{Error, Exit, Global, now};
use super::{Packs, names};
use crate::access::{Caller, Permit, Role};
use crate::engine::{Engine, Failure};
use crate::law::{Law, Overview, Pack, Rule};
use crate::place::Jurisdiction;
use crate::proto::v1;
use crate::time::{Instant, Millis, day_of};

/// More places than this are counted, not listed.
const MOST_PLACES: usize = 12;

/// What to show.
#[derive(Debug, clap::Args)]
#[command(
    about = "Show the packs, one pack, or one rule",
    after_help = "Examples: ringfence law show FR --at 2026-08-11\n          \
                  ringfence law show us.fl.cap\n          \
                  ringfence law show --overview"
)]
pub struct Args {
    /// A jurisdiction such as FR or US-FL, or the id of a rule such as us.fl.cap; left out: every pack
    #[arg(value_name = "JURISDICTION|RULE_ID")]
    what: Option<String>,
    /// Only what is in force on this day; left out: every rule, with its days
    #[arg(long, value_name = "DAY", value_parser = names::day)]
    at: Option<Date>,
    /// Every jurisdiction in a row, as Markdown: hours, caps, lists, consent; of the day of the latest review, or of --at
    #[arg(long, conflicts_with = "what")]
    overview: bool,
    #[command(flatten)]
    packs: Packs,
}

/// Runs it.
///
/// # Errors
/// The packs cannot be read, or hold no such thing.
pub async fn run(args: &Args, global: &Global) -> Result<Exit, Error> {
    let settings = OpenSettings { packs: args.packs.packs.clone(), ..OpenSettings::nothing(now()) };
    let engine = open::open(&settings).await?.engine;
    let permit = Caller::local().permit(Role::ReadLaw).map_err(Failure::from)?;
    let law = engine.law();
    match args.what.as_deref() {
        None if args.overview => overview(&law, args.at, global),
        None => every_pack(&law, engine.packs(&permit), args.at, global),
        Some(id) => match (law.rule(id), names::known(&law, id)) {
            (Some((pack, rule)), _) => one_rule(&law, pack, rule, &engine.rule(&permit, id)?, args.at, global),
            (None, Some(place)) => one_place(&engine, &permit, place, args.at, global),
            (None, None) => Err(Error::said(format!(
                "{id}: neither a jurisdiction with a pack nor the id of a rule{}; `ringfence law show` lists the packs, and \
                 `ringfence law show US` the rules of one",
                names::meant(&law, id, true)
            ))),
        },
    }?;
    Ok(Exit::Yes)
}

fn overview(law: &Law, at: Option<Date>, global: &Global) -> Result<(), Error> {
    let overview = Overview::of(law, at);
    if !global.json {
        return say(&overview.markdown());
    }
    let row = |row: &crate::law::Row| {
        let [weekdays, saturday, sunday, holidays] = &row.hours;
        let [call, recorded, text] = &row.consent;
        serde_json::json!({
            "jurisdiction": row.jurisdiction, "file": row.file, "name": row.name,
            "hours": {"mondayToFriday": weekdays, "saturday": saturday, "sunday": sunday, "holidays": holidays},
            "caps": row.caps, "lists": row.lists,
            "consent": {"callByHand": call, "recordedCall": recorded, "textByMachine": text},
            "reviewed": row.reviewed, "leastConfidence": row.confidence, "rules": row.rules,
        })
    };
    let rows: Vec<_> = overview.rows.iter().map(row).collect();
    say_json(&serde_json::json!({"day": overview.day.to_string(), "rows": rows}))
}

/// Whether a rule of a pack is in force on a day; on any where none is named.
fn holds(pack: &Pack, rule: &Rule, at: Option<Date>) -> bool {
    at.is_none_or(|day| rule.in_force(pack.zone().day_start(day_of(day))))
}

/// Takes the rules out of a pack's message that are not in force on the day.
fn of_day(law: &Law, mut packs: Vec<v1::Pack>, at: Option<Date>) -> Vec<v1::Pack> {
    for pack in &mut packs {
        pack.rule_ids.retain(|id| law.rule(id).is_none_or(|(pack, rule)| holds(pack, rule, at)));
    }
    packs
}

fn every_pack(law: &Law, mut response: v1::ListPacksResponse, at: Option<Date>, global: &Global) -> Result<(), Error> {
    response.packs = of_day(law, response.packs, at);
    if global.json {
        return say_json(&response);
    }
    let mut rows = vec![["place", "rules", "reviewed", "title"].map(str::to_owned).to_vec()];
    for pack in &response.packs {
        let covers = if pack.covers.is_empty() { String::new() } else { format!(" (also {})", pack.covers.join(", ")) };
        let reviewed = if pack.reviewed.is_empty() { "never" } else { &pack.reviewed };
        let rules = pack.rule_ids.len().to_string();
        rows.push(vec![pack.jurisdiction.clone(), rules, reviewed.to_owned(), format!("{}{covers}", pack.title)]);
    }
    say(&format!("{}\nrules {}, numbering {}\n", table(&rows), response.rules_version, response.numbering_version))
}

/// Every rule that holds in a place, its own first.
fn one_place(
    engine: &Engine,
    permit: &Permit,
    place: Jurisdiction,
    at: Option<Date>,
    global: &Global,
) -> Result<(), Error> {
    let law = engine.law();
    let chain = law.chain(place);
    let packs: Vec<_> = chain.packs.iter().filter_map(|index| law.pack(*index)).collect();
    let mut messages = engine.packs(permit).packs;
    messages.retain(|message| packs.iter().any(|pack| pack.digest() == message.digest));
    if global.json {
        return say_json(&of_day(&law, messages, at));
    }
    let mut out = String::new();
    for pack in packs {
        out.push_str(&heading(place, pack, at));
        for rule in pack.rules.iter().filter(|rule| holds(pack, rule, at)) {
            let summary = folded(&rule.summary, 6, 6);
            out.push_str(&format!("  {}  {}{}\n      {summary}\n", rule.id, rule.family.name(), dates(pack, rule)));
        }
        let message = messages.iter().find(|message| message.digest == pack.digest());
        let postures: Vec<_> =
            message.into_iter().flat_map(|m| &m.postures).map(|choice| choice.name.as_str()).collect();
        if !postures.is_empty() {
            out.push_str(&format!("  Postures to choose: {}\n", folded(&postures.join(", "), 22, 6)));
        }
        out.push('\n');
    }
    if !chain.covered {
        let text = format!(
            "{place} alone is not law enough: its parts need packs of their own, and nothing is allowed without."
        );
        out.push_str(&folded(&text, 0, 0));
        out.push('\n');
    }
    say(&out)
}

fn heading(place: Jurisdiction, pack: &Pack, at: Option<Date>) -> String {
    let reviewed = pack.reviewed().map_or_else(|| "never reviewed".to_owned(), |date| format!("reviewed {date}"));
    let whose = match pack.jurisdiction() == place {
        true => String::new(),
        false if pack.covers().contains(&place) => format!(", the law of {place} too"),
        false if pack.is_policy() => ", a policy".to_owned(),
        false => format!(", inherited by {place}"),
    };
    let count = pack.rules.iter().filter(|rule| holds(pack, rule, at)).count();
    let rules = match (pack.rules.len(), at) {
        (0, _) => "no rule of its own".to_owned(),
        (all, Some(day)) => format!("{count} of {all} rules in force on {day}"),
        (1, None) => "1 rule".to_owned(),
        (all, None) => format!("{all} rules"),
    };
    format!("{}  {} ({}, {reviewed}){whose}: {rules}\n\n", pack.jurisdiction(), pack.title(), pack.file)
}

/// The first and the last day, where a rule has them: `  2023-03-01 to 2026-08-10`.
fn dates(pack: &Pack, rule: &Rule) -> String {
    match (first_day(pack, rule), last_day(pack, rule)) {
        (None, None) => String::new(),
        (Some(from), None) => format!("  from {from}"),
        (None, Some(until)) => format!("  until {until}"),
        (Some(from), Some(until)) => format!("  {from} to {until}"),
    }
}

fn first_day(pack: &Pack, rule: &Rule) -> Option<Date> {
    (rule.from != Instant::NEVER).then(|| pack.zone().civil(rule.from).date())?
}

fn last_day(pack: &Pack, rule: &Rule) -> Option<Date> {
    (rule.until != Instant::FAR).then(|| pack.zone().civil(rule.until.minus(Millis(1))).date())?
}

fn one_rule(
    law: &Law,
    pack: &Pack,
    rule: &Rule,
    message: &v1::Rule,
    at: Option<Date>,
    global: &Global,
) -> Result<(), Error> {
    if global.json {
        return say_json(message);
    }
    let word = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
    let row = |title: &str, text: String| vec![title.to_owned(), text];
    let mut rows = vec![
        row("rule", message.rule_id.clone()),
        row("place", format!("{} {}{}", message.jurisdiction, pack.title(), reach(law, pack))),
        row("family", word(message.family().as_str_name(), "RULE_FAMILY_")),
        row("says", message.summary.clone()),
        row("law", message.citation.clone()),
        row("checked", word(message.confidence().as_str_name(), "CONFIDENCE_")),
    ];
    let from = first_day(pack, rule)
        .map_or_else(|| "no first day in the pack: every earlier instant too".to_owned(), |d| d.to_string());
    rows.push(row("from", from));
    if let Some(day) = last_day(pack, rule) {
        rows.push(row("until", format!("{day} (last day)")));
    }
    rows.extend(pack.replaced_by(rule).map(|earlier| row("replaces", earlier.id.to_string())));
    rows.extend(pack.successors(rule).map(|next| row("then", format!("{}{}", next.id, dates(pack, next)))));
    let reasons = [("gap", &rule.series.gap), ("overlap", &rule.series.overlap), ("ends", &rule.series.ends)];
    rows.extend(reasons.iter().filter_map(|(title, why)| Some(row(title, why.as_ref()?.to_string()))));
    if let Some(day) = at {
        rows.push(row("on the day", format!("{day}: {}", standing(pack, rule, day))));
    }
    for exemption in &message.exemptions {
        let checked = word(exemption.confidence().as_str_name(), "CONFIDENCE_");
        rows.push(row("unless", format!("{} ({checked})", exemption.summary)));
    }
    say(&format!("{}\n{}\n", table(&rows), message.toml))
}

fn standing(pack: &Pack, rule: &Rule, day: Date) -> &'static str {
    let at = pack.zone().day_start(day_of(day));
    match () {
        () if at < rule.from => "not yet in force",
        () if rule.until <= at => "no longer in force",
        () => "in force",
    }
}

/// The further places a pack's rules hold in.
fn reach(law: &Law, pack: &Pack) -> String {
    let under = |other: &&Pack| {
        let chain = law.chain(other.jurisdiction());
        other.jurisdiction() != pack.jurisdiction()
            && chain.packs.iter().filter_map(|index| law.pack(*index)).any(|wider| wider.file == pack.file)
    };
    let covered = pack.covers().iter().map(ToString::to_string);
    let under = law.packs().iter().filter(|other| !other.is_policy()).filter(under);
    let places: Vec<_> = covered.chain(under.map(|other| other.jurisdiction().to_string())).collect();
    match places.len() {
        0 => String::new(),
        1..=MOST_PLACES => format!("; also in {}", places.join(", ")),
        many => format!("; also in {many} places under it"),
    }
}
