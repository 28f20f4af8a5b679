//! `ringfence law show`: packs and rules as they are in force.

use super::super::open::{self, OpenSettings};
use super::super::output::{folded, say, say_json, table};
use super::super::{Error, Exit, Global, now};
use super::Packs;
use crate::access::{Caller, Permit, Role};
use crate::engine::{Engine, Failure};
use crate::place::Jurisdiction;
use crate::proto::v1;

/// What to show.
#[derive(Debug, clap::Args)]
#[command(about = "Show the packs, one pack, or one rule")]
pub struct Args {
    /// A jurisdiction such as FR or US-FL, or the id of a rule such as us.fl.cap; left out: every pack
    #[arg(value_name = "JURISDICTION|RULE_ID")]
    what: Option<String>,
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
        None => every_pack(&engine.packs(&permit), global),
        Some(id) if law.rule(id).is_some() => one_rule(&engine.rule(&permit, id)?, global),
        Some(code) => {
            let place: Option<Jurisdiction> = code.to_ascii_uppercase().parse().ok();
            match place.filter(|place| !law.chain(*place).packs.is_empty()) {
                Some(place) => one_place(&engine, &permit, place, global),
                None => Err(Error::said(format!(
                    "{code}: neither a jurisdiction with a pack nor the id of a rule; `ringfence law show` lists the packs, \
                     and `ringfence law show US` the rules of one"
                ))),
            }
        }
    }?;
    Ok(Exit::Yes)
}

fn every_pack(response: &v1::ListPacksResponse, global: &Global) -> Result<(), Error> {
    if global.json {
        return say_json(response);
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
fn one_place(engine: &Engine, permit: &Permit, place: Jurisdiction, global: &Global) -> Result<(), Error> {
    let law = engine.law();
    let chain = law.chain(place);
    let packs: Vec<_> = chain.packs.iter().filter_map(|index| law.pack(*index)).collect();
    if global.json {
        let all = engine.packs(permit).packs;
        let named = |pack: &&v1::Pack| packs.iter().any(|p| p.digest() == pack.digest);
        return say_json(&all.iter().filter(named).collect::<Vec<_>>());
    }
    let mut out = String::new();
    for pack in packs {
        let reviewed = pack.reviewed().map_or_else(|| "never reviewed".to_owned(), |date| format!("reviewed {date}"));
        out.push_str(&format!("{}  {} ({}, {reviewed})\n\n", pack.jurisdiction(), pack.title(), pack.file));
        for rule in &pack.rules {
            let summary = folded(&rule.summary, 6, 6);
            out.push_str(&format!("  {}  {}\n      {summary}\n", rule.id, rule.family.name()));
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

fn one_rule(rule: &v1::Rule, global: &Global) -> Result<(), Error> {
    if global.json {
        return say_json(rule);
    }
    let word = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_lowercase();
    let row = |title: &str, text: String| vec![title.to_owned(), text];
    let mut rows = vec![
        row("rule", rule.rule_id.clone()),
        row("place", rule.jurisdiction.clone()),
        row("family", word(rule.family().as_str_name(), "RULE_FAMILY_")),
        row("says", rule.summary.clone()),
        row("law", rule.citation.clone()),
        row("checked", word(rule.confidence().as_str_name(), "CONFIDENCE_")),
    ];
    if !rule.effective_from.is_empty() {
        rows.push(row("from", rule.effective_from.clone()));
    }
    if !rule.effective_until.is_empty() {
        rows.push(row("until", format!("{} (last day)", rule.effective_until)));
    }
    for exemption in &rule.exemptions {
        let checked = word(exemption.confidence().as_str_name(), "CONFIDENCE_");
        rows.push(row("unless", format!("{} ({checked})", exemption.summary)));
    }
    say(&format!("{}\n{}\n", table(&rows), rule.toml))
}
