//! A decision in words for a terminal.

use std::fmt::Write as _;

use super::output::folded;
use crate::contact::{Channel, Purpose, Technology, Term};
use crate::place::Number;
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, ZoneId};

/// Zones named one by one; of a number that could be anywhere, more would only fill the screen.
const ZONES: usize = 4;

/// The answer to a question, explained.
#[must_use]
pub fn decision(request: &v1::CheckRequest, decision: &v1::Decision) -> String {
    let mut out = String::new();
    let allowed = decision.verdict() == v1::Verdict::Allow;
    let verdict = if allowed { "ALLOWED" } else { "DENIED" };
    line(&mut out, 0, &format!("{verdict}  {}", asked(request, decision)));
    line(&mut out, 0, "");
    let zones = zones(decision);
    for (title, text) in about(decision, &zones) {
        out.push_str(&format!("  {title:<12}"));
        out.push_str(&folded(&text, 14, 14));
        out.push('\n');
    }
    if !decision.reasons.is_empty() {
        line(&mut out, 0, "\nWhy not:");
        for (index, reason) in decision.reasons.iter().enumerate() {
            why(&mut out, index + 1, reason, &zones);
        }
    }
    when(&mut out, allowed, decision, &zones);
    if !decision.obligations.is_empty() {
        line(&mut out, 0, "\nWhoever makes this contact must:");
        for duty in &decision.obligations {
            item(&mut out, &format!("{} [{}]", duty.message, duty.citation));
        }
    }
    if !decision.warnings.is_empty() {
        line(&mut out, 0, "\nWarnings:");
        for warning in &decision.warnings {
            item(&mut out, &warning.message);
        }
    }
    out
}

fn line(out: &mut String, indent: usize, text: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(text);
    out.push('\n');
}

fn item(out: &mut String, text: &str) {
    out.push_str("  - ");
    line(out, 0, &folded(text, 4, 4));
}

/// `marketing call to +1202555••43 for acme`
fn asked(request: &v1::CheckRequest, decision: &v1::Decision) -> String {
    let purpose = Purpose::from_number(request.purpose).map_or("", Term::word).replace('_', " ");
    let channel = Channel::from_number(request.channel).map_or("contact", Term::word);
    let technology = Technology::from_number(request.technology).map(|t| format!("{} ", t.word())).unwrap_or_default();
    let to = match Number::parse(&decision.number, None) {
        Ok(number) => number.to_string(),
        Err(_) => "what is no number".to_owned(),
    };
    format!("{purpose} {technology}{channel} to {to} for {}", request.seller)
}

/// What the answer rests on.
fn about(decision: &v1::Decision, zones: &[ZoneId]) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(at) = decision.evaluated_at.and_then(instant) {
        let there = match zones {
            [] => String::new(),
            _ => format!("; there: {}", locally(at, zones)),
        };
        rows.push(("judged for", format!("{at}{there}")));
    }
    if !decision.jurisdictions.is_empty() {
        const SHOWN: usize = 12;
        let shown: Vec<_> = decision.jurisdictions.iter().take(SHOWN).map(String::as_str).collect();
        let more = decision.jurisdictions.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        rows.push(("law of", format!("{}{more}", shown.join(", "))));
    }
    if decision.degraded {
        rows.push(("degraded", "answered without the store, which no stored fact could change".to_owned()));
    }
    if decision.use_by.is_some() {
        rows.push(("attempt", decision.attempt_id.clone()));
    }
    rows.push(("decision", decision.decision_id.clone()));
    rows.push(("rules", decision.rules_version.clone()));
    rows
}

fn why(out: &mut String, place: usize, reason: &v1::Reason, zones: &[ZoneId]) {
    let family = reason.family().as_str_name();
    let family = family.strip_prefix("RULE_FAMILY_").unwrap_or(family);
    line(out, 2, format!("{place}. {family}  {}", reason.rule_id).trim_end());
    let mut say = |text: &str| {
        out.push_str("     ");
        line(out, 0, &folded(text, 5, 5));
    };
    say(&reason.message);
    if !reason.citation.is_empty() {
        say(&format!("Law: {}", reason.citation));
    }
    if !reason.remedy.is_empty() {
        say(&format!("Remedy: {}", reason.remedy));
    }
    if let Some(at) = reason.clears_at.and_then(instant) {
        say(&format!("Clears: {}", both(at, zones)));
    }
}

fn when(out: &mut String, allowed: bool, decision: &v1::Decision, zones: &[ZoneId]) {
    let mut say = |title: &str, text: &str| {
        out.push('\n');
        line(out, 0, &folded(&format!("{title} {text}"), 0, 2));
    };
    match (allowed, decision.retry_at.and_then(instant), decision.valid_until.and_then(instant)) {
        (false, Some(at), _) => say("Allowed from:", &both(at, zones)),
        (false, None, _) => say("Allowed from:", "no time within 400 days; waiting alone changes nothing."),
        (true, _, Some(at)) => say("Allowed until:", &both(at, zones)),
        (true, _, None) => say("Allowed until:", "no end within 400 days, as far as is known now."),
    }
    if let Some(at) = decision.use_by.and_then(instant) {
        say("Reserved: start before", &format!("{}, then report the outcome.", both(at, zones)));
    }
}

fn instant(stamp: Timestamp) -> Option<Instant> {
    stamp.to_millis().map(Instant::from_millis)
}

fn zones(decision: &v1::Decision) -> Vec<ZoneId> {
    decision.local_times.iter().filter_map(|local| ZoneId::by_name(&local.time_zone)).collect()
}

/// `2026-11-22T13:00:00Z (Sun 22 Nov 08:00 in America/New_York)`
fn both(at: Instant, zones: &[ZoneId]) -> String {
    match zones {
        [] => at.to_string(),
        _ => format!("{at} ({})", locally(at, zones)),
    }
}

/// The wall clock of each zone; those that show the same are told together.
fn locally(at: Instant, zones: &[ZoneId]) -> String {
    let mut told: Vec<(String, Vec<&str>)> = Vec::new();
    for zone in zones {
        let clock = clock(at, *zone);
        match told.iter_mut().find(|(same, _)| *same == clock) {
            Some((_, names)) => names.push(zone.name()),
            None => told.push((clock, vec![zone.name()])),
        }
    }
    let more = told.len().saturating_sub(ZONES);
    let mut text = String::new();
    for (clock, names) in told.iter().take(ZONES) {
        let separator = if text.is_empty() { "" } else { ", " };
        let others = names.len().saturating_sub(1);
        let others = if others > 0 { format!(" and {others} like it") } else { String::new() };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{clock} in {}{others}", names.first().copied().unwrap_or_default());
    }
    if more > 0 {
        let _ = write!(text, ", and {more} other times of day");
    }
    text
}

/// `Sun 22 Nov 08:00`
#[must_use]
pub fn clock(at: Instant, zone: ZoneId) -> String {
    let civil = zone.civil(at);
    let minutes = civil.millis / 60_000;
    let seconds = civil.millis / 1_000 % 60;
    let day = civil.date().map(|date| date.strftime("%a %-d %b").to_string()).unwrap_or_default();
    let seconds = if seconds > 0 { format!(":{seconds:02}") } else { String::new() };
    format!("{day} {:02}:{:02}{seconds}", minutes / 60, minutes % 60)
}
