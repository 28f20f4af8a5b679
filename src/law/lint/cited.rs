//! Every rule cited, told in a sentence, and shown by cases.

use super::Found;
use crate::law::words::is_recognisable;
use crate::law::{Body, Pack, Rule};

pub(super) fn look(pack: &Pack, found: &mut Found<'_>) {
    for rule in &pack.rules {
        words(rule, found);
        cases(pack, rule, found);
    }
}

fn words(rule: &Rule, found: &mut Found<'_>) {
    if rule.citation.trim().is_empty() {
        found.of(rule, "no citation: name the article it stands in");
    }
    let sentence = rule.summary.trim();
    if sentence.is_empty() || !sentence.ends_with('.') {
        found.of(rule, "`summary` must be one plain sentence, ending in a full stop");
    }
    for exemption in &rule.unless {
        if exemption.note.trim().is_empty() {
            found.of(rule, "an `unless` entry has no `note` saying what it is");
        }
    }
    if let Body::Keywords { stop, help, start, .. } = &rule.body {
        for word in stop.iter().chain(help).chain(start).filter(|word| !is_recognisable(word)) {
            found.of(rule, &format!("`{word}` holds no letter, digit or sign: no text would ever match it"));
        }
    }
}

fn cases(pack: &Pack, rule: &Rule, found: &mut Found<'_>) {
    // These say nothing about a single contact that a case could show.
    if matches!(rule.body, Body::Retention { .. } | Body::Keywords { .. }) {
        return;
    }
    let mut allows = false;
    let mut denies = false;
    for case in pack.cases.iter().filter(|case| case.rule == rule.id) {
        if case.denies { denies = true } else { allows = true }
    }
    let duty = matches!(rule.body, Body::Obligation { .. } | Body::Abandonment);
    if duty && denies {
        found.of(rule, "a duty denies nothing: its cases can only say allow");
    }
    if !allows {
        found.of(rule, "no case that allows: add a [[rule.case]] with `says = \"allow\"`");
    }
    if !duty && !denies {
        found.of(rule, "no case that denies: add a [[rule.case]] with `says = \"deny\"`");
    }
}
