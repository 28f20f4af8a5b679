//! What judging many past decisions again brought, counted: how many are the same, who flips, by rule, campaign and
//! place, with a few examples of each rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Judged, Past, differing};
use crate::place::Number;
use crate::proto::v1::{self, Verdict};

/// Distinct names counted apart; what comes later goes under [`OTHERS`], so that memory stays flat.
const NAMES: usize = 1_000;
/// What else there is.
const OTHERS: &str = "(others)";
/// Where nothing is named.
const NONE: &str = "(none)";
/// A number whose place is not known could be in ninety: those are counted as one.
const PLACES: usize = 4;

/// How a verdict flips.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Allowed then, denied now.
    AllowToDeny,
    /// Denied then, allowed now.
    DenyToAllow,
}

impl Change {
    /// As in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllowToDeny => "allow_to_deny",
            Self::DenyToAllow => "deny_to_allow",
        }
    }

    /// From one answer to another; `None` where the verdict stays.
    #[must_use]
    pub fn between(then: &v1::Decision, now: &v1::Decision) -> Option<Self> {
        match (then.verdict() == Verdict::Allow, now.verdict() == Verdict::Allow) {
            (true, false) => Some(Self::AllowToDeny),
            (false, true) => Some(Self::DenyToAllow),
            _ => None,
        }
    }

    /// The reasons it is by: of the answer that denies.
    #[must_use]
    pub fn reasons<'a>(self, then: &'a v1::Decision, now: &'a v1::Decision) -> &'a [v1::Reason] {
        match self {
            Self::AllowToDeny => &now.reasons,
            Self::DenyToAllow => &then.reasons,
        }
    }
}

/// One decision, for people to look at; its number masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// Which.
    pub decision_id: String,
    /// When it was made, RFC 3339.
    pub evaluated_at: String,
    /// Whom it was about: `+1202555••43`.
    pub number: String,
    /// On whose behalf.
    pub seller: String,
    /// In which campaign; empty: none was named.
    pub campaign: String,
    /// What else is to be said: the reason of a flip, or what differs.
    pub what: String,
}

/// Flips by one rule.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleFlips {
    /// How many decisions.
    pub count: u64,
    /// The first few, by id, which is by time.
    pub examples: Vec<Example>,
}

/// Flips of one kind. A decision that several rules deny counts under each of them.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flips {
    /// How many decisions.
    pub count: u64,
    /// By rule.
    pub rules: BTreeMap<String, RuleFlips>,
    /// By family.
    pub families: BTreeMap<String, u64>,
    /// By campaign.
    pub campaigns: BTreeMap<String, u64>,
    /// By place.
    pub places: BTreeMap<String, u64>,
}

/// Decisions that could not be judged again, for one reason.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfits {
    /// How many.
    pub count: u64,
    /// The first few, by id.
    pub decision_ids: Vec<String>,
}

/// The count.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Decisions judged again.
    pub judged: u64,
    /// The same to the byte.
    pub identical: u64,
    /// The same but for the name of the packs, which are others.
    pub renamed: u64,
    /// The same verdict, otherwise different: other reasons, another `retry_at`.
    pub altered: u64,
    /// The first few of those, with what differs.
    pub altered_examples: Vec<Example>,
    /// Verdicts that flip, by how.
    pub flips: BTreeMap<Change, Flips>,
    /// Decisions that could not be judged again, by why.
    pub unfit: BTreeMap<String, Unfits>,
    /// Decisions that rest on a registry of which their entries say nothing, by registry.
    pub unasked: BTreeMap<String, u64>,
    /// Entries that are no decision.
    pub writes: u64,
    /// Rows of files that were recorded as a whole: of them only digests are kept.
    pub rows: u64,
    /// Decisions made with other zone data or numbering tables than are in use in this process, by the name of their law.
    pub elsewhere: BTreeMap<String, u64>,
    /// Examples to keep of each kind.
    #[serde(skip)]
    pub examples: usize,
}

impl Tally {
    /// Nothing yet; so many examples of each kind.
    #[must_use]
    pub fn new(examples: usize) -> Self {
        Self { examples, ..Self::default() }
    }

    /// Counts a decision that was judged again.
    pub fn add(&mut self, past: &Past, judged: &Judged) {
        let (then, now) = (past.original(), &judged.decision);
        self.judged += 1;
        for registry in &judged.unasked {
            count(&mut self.unasked, registry);
        }
        if past.is_original(now) {
            self.identical += 1;
            return;
        }
        if let Some(change) = Change::between(then, now) {
            return self.flip(change, past, now);
        }
        match differing(then, now).as_slice() {
            ["rules_version"] => self.renamed += 1,
            fields => {
                self.altered += 1;
                keep(&mut self.altered_examples, example(past, fields.join(", ")), self.examples);
            }
        }
    }

    fn flip(&mut self, change: Change, past: &Past, now: &v1::Decision) {
        let flips = self.flips.entry(change).or_default();
        flips.count += 1;
        let (mut rules, mut families) = (Vec::new(), Vec::new());
        for reason in change.reasons(past.original(), now) {
            if !rules.contains(&reason.rule_id.as_str()) {
                rules.push(&reason.rule_id);
                let entry = named(&mut flips.rules, &reason.rule_id);
                entry.count += 1;
                keep(&mut entry.examples, example(past, reason.message.clone()), self.examples);
            }
            if !families.contains(&reason.family) {
                families.push(reason.family);
                count(&mut flips.families, family(reason));
            }
        }
        let campaign = past.request().campaign.as_str();
        count(&mut flips.campaigns, if campaign.is_empty() { NONE } else { campaign });
        let places = if past.original().jurisdictions.is_empty() { now } else { past.original() };
        match places.jurisdictions.as_slice() {
            [] => count(&mut flips.places, NONE),
            some if some.len() <= PLACES => some.iter().for_each(|place| count(&mut flips.places, place)),
            _ => count(&mut flips.places, "(several)"),
        }
    }

    /// Counts one that could not be judged again.
    pub fn add_unfit(&mut self, decision_id: String, why: &super::Unfit) {
        let unfits = named(&mut self.unfit, &why.to_string());
        unfits.count += 1;
        keep(&mut unfits.decision_ids, decision_id, self.examples);
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        let examples = self.examples;
        self.judged += other.judged;
        self.identical += other.identical;
        self.renamed += other.renamed;
        self.altered += other.altered;
        self.writes += other.writes;
        self.rows += other.rows;
        other.altered_examples.into_iter().for_each(|one| keep(&mut self.altered_examples, one, examples));
        for (change, flips) in other.flips {
            let mine = self.flips.entry(change).or_default();
            mine.count += flips.count;
            for (rule, theirs) in flips.rules {
                let rule = named(&mut mine.rules, &rule);
                rule.count += theirs.count;
                theirs.examples.into_iter().for_each(|one| keep(&mut rule.examples, one, examples));
            }
            add(&mut mine.families, flips.families);
            add(&mut mine.campaigns, flips.campaigns);
            add(&mut mine.places, flips.places);
        }
        for (why, theirs) in other.unfit {
            let unfits = named(&mut self.unfit, &why);
            unfits.count += theirs.count;
            theirs.decision_ids.into_iter().for_each(|one| keep(&mut unfits.decision_ids, one, examples));
        }
        add(&mut self.unasked, other.unasked);
        add(&mut self.elsewhere, other.elsewhere);
    }

    /// How many flip.
    #[must_use]
    pub fn flipped(&self) -> u64 {
        self.flips.values().map(|flips| flips.count).sum()
    }

    /// How many could not be judged again.
    #[must_use]
    pub fn unfits(&self) -> u64 {
        self.unfit.values().map(|unfits| unfits.count).sum::<u64>() + self.elsewhere.values().sum::<u64>()
    }
}

/// The family without the prefix of its type.
pub(in crate::engine) fn family(reason: &v1::Reason) -> &'static str {
    let name = reason.family().as_str_name();
    name.strip_prefix("RULE_FAMILY_").unwrap_or(name)
}

/// The decision, its number masked.
pub(in crate::engine) fn example(past: &Past, what: String) -> Example {
    let then = past.original();
    let number = Number::parse(&then.number, None).map_or_else(|_| "(no number)".to_owned(), |it| it.to_string());
    let at = then.evaluated_at.and_then(|at| at.to_millis()).map(crate::time::Instant::from_millis);
    Example {
        decision_id: then.decision_id.clone(),
        evaluated_at: at.map(|at| at.to_string()).unwrap_or_default(),
        number,
        seller: past.request().seller.clone(),
        campaign: past.request().campaign.clone(),
        what,
    }
}

/// Keeps the smallest few: the same ones, whichever core counted first.
fn keep<T: Ord>(kept: &mut Vec<T>, one: T, most: usize) {
    let at = kept.partition_point(|other| *other < one);
    if at < most {
        kept.insert(at, one);
        kept.truncate(most);
    }
}

fn named<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    let name = if map.len() < NAMES || map.contains_key(name) { name } else { OTHERS };
    map.entry(name.to_owned()).or_default()
}

fn count(map: &mut BTreeMap<String, u64>, name: &str) {
    *named(map, name) += 1;
}

fn add(map: &mut BTreeMap<String, u64>, other: BTreeMap<String, u64>) {
    for (name, more) in other {
        *named(map, &name) += more;
    }
}
