//! `ringfence registry inspect`: what a list holds, and until when it may be used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::progress::grouped;
use super::super::{Error, Exit, Global, output};
use crate::law::{BUILT_IN, Body, Freshness, Law};
use crate::registry::set::{Header, Set};
use crate::registry::{List, ids};
use crate::time::Instant;

/// What a list holds.
#[derive(Debug, clap::Args)]
#[command(
    about = "What a list holds, how old it is, and when it is too old",
    after_help = "Every byte is read and compared with the digest in the file, every number is counted. Exit status 1 if \
                  a rule finds the list too old."
)]
pub struct InspectArgs {
    /// A set file, or a list as text
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read, or is no list.
pub fn run(args: &InspectArgs, global: &Global, now: Instant) -> Result<Exit, Error> {
    let (header, areas) = looked_at(&args.file)?;
    let stale = staleness(&header, now);
    let fresh = stale.iter().all(|stale| !stale.is_stale);
    if global.json {
        let areas: BTreeMap<_, _> = areas.iter().map(|(area, count)| (area.to_string(), *count)).collect();
        let rules = stale.iter().map(|one| {
            json!({ "rule": one.rule, "fresh": one.fresh, "stale": one.is_stale, "until": one.until.map(|at| at.to_string()) })
        });
        output::say_json(&json!({
            "registry": header.registry,
            "as_of": header.as_of.to_string(),
            "age_seconds": (now.millis() - header.as_of.millis()) / 1_000,
            "version": header.version(),
            "source": header.source,
            "sample": header.sample,
            "built_by": header.built_by,
            "numbers": header.count,
            "with_date": header.dated,
            "bytes": header.length,
            "by_area": areas,
            "rules": rules.collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::when(fresh));
    }
    output::say(&text(&header, &areas, &stale, now))?;
    Ok(Exit::when(fresh))
}

fn looked_at(path: &Path) -> Result<(Header, BTreeMap<u32, u64>), Error> {
    let refused = |why: &dyn std::fmt::Display| Error::said(format!("{}: {why}", path.display()));
    if path.extension().is_some_and(|extension| extension == "txt") {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = std::fs::File::open(path).map_err(|error| Error::at(path, "reading", &error))?;
        let list = List::read(&id, path, file).map_err(|fault| Error::said(fault.to_string()))?;
        return counted(list.set()).map_err(|why| refused(&why));
    }
    let set = Set::map(path).and_then(|set| set.verify().map(|()| set)).map_err(|why| refused(&why))?;
    counted(&set).map_err(|why| refused(&why))
}

/// Numbers by area: the first digits, without the last seven.
fn counted(set: &Set) -> Result<(Header, BTreeMap<u32, u64>), crate::registry::set::SetFault> {
    let mut areas = BTreeMap::new();
    for number in set.numbers() {
        let (number, _) = number?;
        *areas.entry(u32::try_from(number / 10_000_000).unwrap_or(u32::MAX)).or_insert(0) += 1;
    }
    Ok((set.header().clone(), areas))
}

/// What one rule makes of the age of a list.
struct Stale {
    rule: String,
    fresh: String,
    is_stale: bool,
    until: Option<Instant>,
}

fn staleness(header: &Header, now: Instant) -> Vec<Stale> {
    let Ok(law) = Law::built_in() else { return Vec::new() };
    let mut found = Vec::new();
    for rule in law.rules() {
        let Body::Registry { list, fresh, .. } = &rule.body else { continue };
        if list.as_ref() != header.registry {
            continue;
        }
        let (until, is_stale) = match fresh {
            Freshness::Age(age) => (Some(header.as_of.plus(*age)), now > header.as_of.plus(*age)),
            Freshness::Month | Freshness::SinceDay(_) => (None, false),
        };
        let fresh = match fresh {
            Freshness::Age(age) => format!("{} days", age.0 / 86_400_000),
            Freshness::Month => "of the current month".to_owned(),
            Freshness::SinceDay(days) => format!("since day {days:?} of the month"),
        };
        found.push(Stale { rule: rule.id.to_string(), fresh, is_stale, until });
    }
    let _ = (BUILT_IN, ids::OFFICIAL);
    found
}

fn text(header: &Header, areas: &BTreeMap<u32, u64>, stale: &[Stale], now: Instant) -> String {
    let days = (now.millis() - header.as_of.millis()) / 86_400_000;
    let mut text = format!(
        "{}: {} numbers, {} with a date of entry\nas of     {} ({days} days ago)\nversion   {}\nsource    {}\nbuilt by  {}\nbytes     {}{}\n",
        header.registry,
        grouped(header.count),
        grouped(header.dated),
        header.as_of,
        header.version(),
        if header.source.is_empty() { "not said" } else { &header.source },
        header.built_by,
        grouped(header.length),
        if header.sample { "\nsample    yes: the numbers are made up" } else { "" },
    );
    for one in stale {
        let word = if one.is_stale { "TOO OLD" } else { "fresh" };
        let until = one.until.map(|at| format!(", until {at}")).unwrap_or_default();
        text += &format!("{word:<9} for {} ({}{until})\n", one.rule, one.fresh);
    }
    if stale.is_empty() {
        text += "no rule of the built-in packs asks for this list\n";
    }
    text += "\narea      numbers\n";
    for (area, count) in areas {
        text += &format!("+{area:<8} {:>12}\n", grouped(*count));
    }
    text
}
