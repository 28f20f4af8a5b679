//! What a schema cannot say of a set of packs.

use super::{Body, Law, Pack, Rule};

/// Something a reviewer should mend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// The pack's file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every remark about a set: rules without a citation or summary, without a case that allows and one that denies,
/// calendars nobody reads, packs without a review date or an opt-out rule.
#[must_use]
pub fn lint(law: &Law) -> Vec<Remark> {
    law.packs().iter().flat_map(|pack| lint_pack(law, pack)).collect()
}

fn lint_pack(law: &Law, pack: &Pack) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut remark = |line: usize, message: String| {
        remarks.push(Remark { file: pack.file.to_string(), line, message });
    };
    if pack.reviewed().is_none() && !pack.is_policy() {
        remark(1, "[pack] has no `reviewed` date: no marketing contact will be allowed here".to_owned());
    }
    for rule in &pack.rules {
        for message in lint_rule(pack, rule) {
            remark(rule.line, format!("rule `{}`: {message}", rule.id));
        }
    }
    for name in pack.calendars.keys() {
        let is = |calendar: &super::Calendar| &*calendar.name == name.as_str();
        let read = pack.rules.iter().any(|rule| match &rule.body {
            Body::Holidays(calendar) => is(calendar),
            Body::Hours { dates, .. } => dates.iter().any(|dates| is(&dates.calendar)),
            _ => false,
        });
        if !read {
            remark(1, format!("[calendar.{name}] is declared but no rule reads it"));
        }
    }
    let chain = law.chain(pack.jurisdiction());
    let opt_out = chain
        .packs
        .iter()
        .filter_map(|i| law.pack(*i))
        .any(|pack| pack.rules.iter().any(|rule| matches!(rule.body, Body::OptOut { .. })));
    if !opt_out && !pack.is_policy() {
        remark(1, "neither this pack nor a wider one has an `opt_out` rule".to_owned());
    }
    remarks
}

fn lint_rule(pack: &Pack, rule: &Rule) -> Vec<String> {
    let mut found = Vec::new();
    if rule.citation.trim().is_empty() {
        found.push("no citation".to_owned());
    }
    let sentence = rule.summary.trim();
    if sentence.is_empty() || !sentence.ends_with('.') {
        found.push("`summary` must be one plain sentence, ending in a full stop".to_owned());
    }
    for exemption in &rule.unless {
        if exemption.note.is_empty() {
            found.push("an `unless` entry has no `note` saying what it is".to_owned());
        }
    }
    // These say nothing about a single contact that a case could show.
    if matches!(rule.body, Body::Retention { .. } | Body::Keywords { .. }) {
        return found;
    }
    let cases: Vec<_> = pack.cases.iter().filter(|case| case.rule == rule.id).collect();
    let duty = matches!(rule.body, Body::Obligation { .. } | Body::Abandonment);
    if duty && cases.iter().any(|case| case.denies) {
        found.push("a duty denies nothing: its cases can only say allow".to_owned());
    }
    if !cases.iter().any(|case| !case.denies) {
        found.push("no case that allows".to_owned());
    }
    if !duty && !cases.iter().any(|case| case.denies) {
        found.push("no case that denies".to_owned());
    }
    found
}
