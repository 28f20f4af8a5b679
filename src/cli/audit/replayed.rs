//! What a replay brought, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::cli::output::{folded, say, say_json};
use crate::cli::progress::grouped;
use crate::cli::{Error, Global};
use crate::engine::replay::{Change, Example, Flips, Tally};
use crate::law::Law;

/// The most lines of a table for people; the JSON has them all.
const LINES: usize = 20;

/// A replay that came to its end.
pub(super) struct Replayed<'a> {
    pub(super) log: &'a Path,
    pub(super) tally: &'a Tally,
    /// The packs judged by; `None`: those of then.
    pub(super) law: Option<&'a Law>,
    pub(super) known_now: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Machine<'a> {
    as_expected: bool,
    log: String,
    rules: &'a str,
    known: &'static str,
    flipped: u64,
    unfits: u64,
    #[serde(flatten)]
    tally: &'a Tally,
}

impl Replayed<'_> {
    /// Whether the same bytes must result.
    const fn is_as_then(&self) -> bool {
        self.law.is_none() && !self.known_now
    }

    /// As then: all the same to the byte. Otherwise: no verdict flips. Either way, all were judged.
    pub(super) fn is_as_expected(&self) -> bool {
        let same =
            if self.is_as_then() { self.tally.identical == self.tally.judged } else { self.tally.flipped() == 0 };
        same && self.tally.unfits() == 0
    }

    pub(super) fn say(&self, global: &Global) -> Result<(), Error> {
        if !global.json {
            return say(&self.human());
        }
        say_json(&Machine {
            as_expected: self.is_as_expected(),
            log: self.log.display().to_string(),
            rules: self.law.map_or("those of then", Law::version),
            known: if self.known_now { "now" } else { "then" },
            flipped: self.tally.flipped(),
            unfits: self.tally.unfits(),
            tally: self.tally,
        })
    }

    fn human(&self) -> String {
        let tally = self.tally;
        let verdict = match (self.is_as_then(), self.is_as_expected()) {
            (true, true) => "REPRODUCED",
            (true, false) => "NOT REPRODUCED",
            (false, true) => "NO FLIPS",
            (false, false) if tally.flipped() > 0 => "FLIPS",
            (false, false) => "NOT ALL JUDGED",
        };
        let mut out = format!("{verdict}  {}\n", self.log.display());
        let under = match self.law {
            None => "under the packs of then".to_owned(),
            Some(law) => format!("under packs {}", law.version()),
        };
        let known = if self.known_now { "by what is known now" } else { "by what was known then" };
        line(&mut out, 2, &format!("{} decisions judged again {under}, {known}", grouped(tally.judged)));
        let same = tally.identical + tally.renamed;
        match self.law {
            None => line(&mut out, 2, &format!("{} the same to the byte", grouped(tally.identical))),
            Some(_) => line(&mut out, 2, &format!("{} answered alike", grouped(same))),
        }
        if tally.altered > 0 {
            line(&mut out, 2, &format!("{} of the same verdict, but otherwise different", grouped(tally.altered)));
            tally.altered_examples.iter().for_each(|example| shown(&mut out, example));
        }
        for (change, flips) in &tally.flips {
            flips_shown(&mut out, *change, flips);
        }
        for (why, unfits) in &tally.unfit {
            line(&mut out, 2, &format!("{} could not be judged: {why}", grouped(unfits.count)));
            unfits.decision_ids.iter().for_each(|id| line(&mut out, 4, id));
        }
        for (registry, count) in &tally.unasked {
            let what = "a rule asks for it, and the entries say nothing of it, so it counted as not loaded";
            line(&mut out, 2, &format!("{} decisions rest on {registry}: {what}", grouped(*count)));
        }
        if tally.rows > 0 {
            let rows = grouped(tally.rows);
            line(&mut out, 2, &format!("{rows} rows of files were recorded as a whole and are not judged again"));
        }
        out
    }
}

fn flips_shown(out: &mut String, change: Change, flips: &Flips) {
    let what = match change {
        Change::AllowToDeny => "allowed then, denied now",
        Change::DenyToAllow => "denied then, allowed now",
    };
    line(out, 2, &format!("{} {what}", grouped(flips.count)));
    let mut rules: Vec<_> = flips.rules.iter().collect();
    rules.sort_by(|a, b| (b.1.count, a.0).cmp(&(a.1.count, b.0)));
    for (rule, of_rule) in rules.iter().take(LINES) {
        line(out, 4, &format!("{}  {rule}", grouped(of_rule.count)));
        of_rule.examples.iter().for_each(|example| shown(out, example));
    }
    if rules.len() > LINES {
        line(out, 4, &format!("and {} rules more: see --json", rules.len() - LINES));
    }
    counts(out, "by campaign", &flips.campaigns);
    counts(out, "by place", &flips.places);
}

fn counts(out: &mut String, what: &str, counts: &BTreeMap<String, u64>) {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    let mut list: Vec<_> =
        counts.iter().take(LINES).map(|(name, count)| format!("{name} {}", grouped(**count))).collect();
    if counts.len() > LINES {
        list.push(format!("and {} more", counts.len() - LINES));
    }
    line(out, 4, &format!("{what}: {}", list.join(", ")));
}

fn shown(out: &mut String, example: &Example) {
    let Example { decision_id, evaluated_at, number, seller, campaign, what } = example;
    let campaign = if campaign.is_empty() { String::new() } else { format!(", campaign {campaign}") };
    line(out, 6, &format!("{decision_id}  {evaluated_at}  {number} for {seller}{campaign}: {what}"));
}

fn line(out: &mut String, indent: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}{}", " ".repeat(indent), folded(text, indent, indent + 2));
}
