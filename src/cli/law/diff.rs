//! `ringfence law diff`: what changed between two days, or from one set of packs to another.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_json::{Value, json};

use super::super::output::{folded, say, say_json};
use super::super::{Error, Exit, Global, open, packs};
use super::{Packs, names};
use crate::law::{Change, Difference, Event, Field, Law, Pack, Rule, between, sets};
use crate::place::Jurisdiction;
use crate::time::day_of;

/// What `--before` calls the packs of the program.
const BUILT_IN: &str = "built-in";

/// What to compare.
#[derive(Debug, clap::Args)]
#[command(
    about = "Show what changed between two days, or from one set of packs to another",
    override_usage = "ringfence law diff [OPTIONS] FROM TO [PLACE]...\n       ringfence law diff [OPTIONS] --before DIR [PLACE]...",
    after_help = "Two days: the rules that began, were replaced or ended after FROM and until TO, the last one included, each \
                  with its first day.\n\
                  Two sets: the rules added, taken out or changed, field by field.\n\
                  Exit status: 0 whether anything changed or not, 2 error.\n\n\
                  Examples: ringfence law diff 2026-08-10 2026-08-11 FR\n          \
                  ringfence law diff --before built-in --packs my-packs"
)]
pub struct Args {
    /// The earlier day and the later one, then places such as FR or US-FL; no place: everywhere. With --before: places only
    #[arg(value_name = "FROM TO [PLACE]")]
    what: Vec<String>,
    /// Compare with the packs of this folder, put in place of those built in, instead of two days; `built-in`: with
    /// those of the program alone
    #[arg(long, value_name = "DIR")]
    before: Option<PathBuf>,
    #[command(flatten)]
    packs: Packs,
}

/// Runs it.
///
/// # Errors
/// The packs cannot be read; a place has none; a day is no day, or the later one is given first.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Error> {
    let law = args.packs.read()?;
    match &args.before {
        Some(before) => {
            let before = match before.as_path() {
                path if path == Path::new(BUILT_IN) => packs::read(None),
                path => packs::read(Some(path)),
            };
            let before = before.map_err(open::OpenError::from)?;
            two_sets(&before, &law, &args.what, global)
        }
        None => two_days(&law, &args.what, global),
    }?;
    Ok(Exit::Yes)
}

fn two_days(law: &Law, what: &[String], global: &Global) -> Result<(), Error> {
    let [from, to, places @ ..] = what else {
        return Err(Error::said(
            "two days are needed, such as `ringfence law diff 2026-08-10 2026-08-11 FR`, or --before DIR to compare packs",
        ));
    };
    let day = |name: &str, typed: &str| names::day(typed).map_err(|why| Error::said(format!("{name} {typed}: {why}")));
    let (from, to) = (day("FROM", from)?, day("TO", to)?);
    if from > to {
        return Err(Error::said(format!("FROM {from} lies after TO {to}: give the earlier day first")));
    }
    let places = places.iter().map(|typed| names::place(law, typed)).collect::<Result<Vec<_>, _>>()?;
    let packs: Vec<_> = law.packs().iter().filter(|pack| concerns(law, &places, pack)).collect();
    let changes = between(packs.iter().copied(), from, to);
    if global.json {
        let list: Vec<_> = changes.iter().map(change_json).collect();
        return say_json(&json!({"from": from.to_string(), "to": to.to_string(), "changes": list}));
    }
    say(&told(&changes, &packs, from, to))
}

/// Whether a pack is part of the law of one of the places; of any where none is named.
fn concerns(law: &Law, places: &[Jurisdiction], pack: &Pack) -> bool {
    let holds = |place: &Jurisdiction| {
        law.chain(*place).packs.iter().filter_map(|index| law.pack(*index)).any(|other| other.file == pack.file)
    };
    places.is_empty() || places.iter().any(holds)
}

fn told(changes: &[Change<'_>], packs: &[&Pack], from: Date, to: Date) -> String {
    let mut out = String::new();
    let mut heading = String::new();
    let (mut began, mut replaced, mut ended) = (0, 0, 0);
    for change in changes {
        let title = format!("{}  {}  {}", change.day, change.pack.jurisdiction(), change.pack.title());
        if title != heading {
            let apart = if heading.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{apart}{title}\n"));
            heading = title;
        }
        let (line, rule) = match change.event {
            Event::Began(rule) => {
                began += 1;
                (format!("began     {}", rule.id), rule)
            }
            Event::Replaced { before, after } => {
                replaced += 1;
                (format!("replaced  {} by {}", before.id, after.id), after)
            }
            Event::Ended(rule) => {
                ended += 1;
                (format!("ended     {}", rule.id), rule)
            }
        };
        out.push_str(&format!("\n  {line}\n"));
        for text in [Some(&*rule.summary), Some(&*rule.citation), why(change.event)].into_iter().flatten() {
            out.push_str(&format!("            {}\n", folded(text, 12, 12)));
        }
    }
    if !changes.is_empty() {
        out.push('\n');
    }
    let count = |day: Date| -> usize { packs.iter().map(|pack| in_force(pack, day)).sum() };
    let (one, other) = (count(from), count(to));
    out.push_str(&format!(
        "{began} began, {replaced} replaced, {ended} ended; {one} rules in force on {from}, {other} on {to}\n"
    ));
    out
}

/// What the pack says of a seam in its series.
fn why(event: Event<'_>) -> Option<&str> {
    match event {
        Event::Ended(rule) => rule.series.ends.as_deref(),
        Event::Began(rule) => rule.series.gap.as_deref().or(rule.series.overlap.as_deref()),
        Event::Replaced { .. } => None,
    }
}

fn in_force(pack: &Pack, day: Date) -> usize {
    let at = pack.zone().day_start(day_of(day));
    pack.rules.iter().filter(|rule| rule.in_force(at)).count()
}

fn change_json(change: &Change<'_>) -> Value {
    let (event, rule, before) = match change.event {
        Event::Began(rule) => ("began", rule, None),
        Event::Replaced { before, after } => ("replaced", after, Some(before)),
        Event::Ended(rule) => ("ended", rule, None),
    };
    let rule_json = |rule: &Rule| json!({"ruleId": rule.id, "summary": rule.summary, "citation": rule.citation});
    json!({
        "day": change.day.to_string(),
        "jurisdiction": change.pack.jurisdiction().to_string(),
        "event": event,
        "rule": rule_json(rule),
        "replaces": before.map(rule_json),
        "why": why(change.event),
    })
}

fn two_sets(before: &Law, after: &Law, places: &[String], global: &Global) -> Result<(), Error> {
    let place = |typed: &String| names::known(before, typed).map_or_else(|| names::place(after, typed), Ok);
    let places = places.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let wanted = |pack: &Pack| {
        let named = |law: &Law| concerns(law, &places, pack);
        named(before) || named(after)
    };
    let differences = sets(before, after, wanted);
    if global.json {
        let list: Vec<_> = differences.iter().map(difference_json).collect();
        return say_json(&json!({"before": before.version(), "after": after.version(), "differences": list}));
    }
    let mut out = String::new();
    for difference in &differences {
        let (verb, what, fields) = parts(difference);
        out.push_str(&format!("{verb:<7}  {what}\n"));
        for field in fields {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not given)".to_owned());
            for (sign, value) in [('-', side(&field.before)), ('+', side(&field.after))] {
                out.push_str(&format!("    {sign} {}\n", folded(&format!("{} = {value}", field.name), 6, 8)));
            }
        }
    }
    let same = if differences.is_empty() { "nothing differs\n" } else { "\n" };
    out.push_str(&format!("{same}before {}\nafter  {}\n", before.version(), after.version()));
    say(&out)
}

fn parts(difference: &Difference) -> (&'static str, String, &[Field]) {
    let pack = |name: &str| format!("pack {name}");
    match difference {
        Difference::PackAdded(name) => ("added", pack(name), &[]),
        Difference::PackRemoved(name) => ("removed", pack(name), &[]),
        Difference::PackChanged(name, fields) => ("changed", pack(name), fields),
        Difference::RuleAdded(id) => ("added", id.clone(), &[]),
        Difference::RuleRemoved(id) => ("removed", id.clone(), &[]),
        Difference::RuleChanged(id, fields) => ("changed", id.clone(), fields),
    }
}

fn difference_json(difference: &Difference) -> Value {
    let (event, _, fields) = parts(difference);
    let fields: Vec<_> =
        fields.iter().map(|field| json!({"name": field.name, "before": field.before, "after": field.after})).collect();
    match difference {
        Difference::PackAdded(name) | Difference::PackRemoved(name) | Difference::PackChanged(name, _) => {
            json!({"event": event, "jurisdiction": name, "fields": fields})
        }
        Difference::RuleAdded(id) | Difference::RuleRemoved(id) | Difference::RuleChanged(id, _) => {
            json!({"event": event, "ruleId": id, "fields": fields})
        }
    }
}
