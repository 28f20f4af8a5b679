//! Cases: a question with the answer it must get. Those of the packs ask what one rule says; acceptance cases ask what
//! all of them say together.
//!
//! A case is always a question about another instant, with the shipped postures and no lists loaded.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{self, Granted};
use super::question;
use crate::contact::{Facts, Term};
use crate::decision::{self, Decision, Evidence, NoLists, Postures, Question, Switches};
use crate::law::{Case, Law, Pack, Rule};
use crate::proto::{json, v1};
use crate::time::Instant;

/// How a case came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its id, or file and line.
    pub name: String,
    /// Why it is so, as the case says.
    pub why: String,
    /// What was expected and what came instead; `None` where it passed.
    pub failure: Option<String>,
}

/// One acceptance case, a line of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    id: String,
    request: Value,
    expect: Expect,
    #[serde(default)]
    why: String,
    #[serde(default, rename = "source")]
    _source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expect {
    verdict: String,
    #[serde(default)]
    families: Vec<Vec<String>>,
    retry_at: Option<String>,
}

/// Runs one line of a file of acceptance cases.
#[must_use]
pub fn acceptance(law: &Law, line: &str, number: usize) -> Outcome {
    let case: Acceptance = match serde_json::from_str(line) {
        Ok(case) => case,
        Err(error) => {
            let failure = Some(format!("the case cannot be read: {error}"));
            return Outcome { name: format!("line {number}"), why: String::new(), failure };
        }
    };
    let failure = ask(law, &case.request, &Postures::default(), Switches::NONE)
        .and_then(|decision| compare(&case.expect, &decision).map_err(|what| shown(&what, &decision, law)));
    Outcome { name: case.id, why: case.why, failure: failure.err() }
}

/// Runs every case of a pack.
#[must_use]
pub fn of_pack(law: &Law, pack: &Pack) -> Vec<Outcome> {
    pack.cases.iter().map(|case| of_rule(law, pack, case)).collect()
}

fn of_rule(law: &Law, pack: &Pack, case: &Case) -> Outcome {
    let name = format!("{}:{} {}", pack.file, case.line, case.rule);
    let postures = postures_of(case);
    let failure = match law.rule(&case.rule) {
        None => Err("its rule is not in force".to_owned()),
        Some((_, rule)) => request_of(pack, rule, case).and_then(|request| {
            let declared = case.declared(law, pack.jurisdiction())?;
            let declared: Vec<_> = declared.into_iter().map(Arc::new).collect();
            let switches = Switches { emergencies: &declared, ..Switches::NONE };
            let decision = ask(law, &request, &postures, switches)?;
            let denied = decision.reasons.iter().any(|reason| names(reason, &case.rule));
            let said = |denies| if denies { "deny" } else { "allow" };
            match denied == case.denies {
                true => Ok(()),
                false => {
                    let what = format!("expected the rule to {}, it says {}", said(case.denies), said(denied));
                    Err(shown(&what, &decision, law))
                }
            }
        }),
    };
    Outcome { name, why: case.why.to_string(), failure: failure.err() }
}

/// Whether the answer to a case carries its rule as an obligation or a warning. Only an ALLOW carries any: to be asked of a
/// set without rules that deny.
///
/// # Errors
/// The case cannot be read, or the set denies it.
pub fn carries(law: &Law, pack: &Pack, case: &Case) -> Result<bool, String> {
    let (_, rule) = law.rule(&case.rule).ok_or_else(|| "its rule is not in the set".to_owned())?;
    let decision = ask(law, &request_of(pack, rule, case)?, &postures_of(case), Switches::NONE)?;
    if !decision.allows() {
        return Err(shown("the set denies it", &decision, law));
    }
    let warns = decision.warnings.iter().any(|warning| warning.rule_id.as_deref() == Some(&*case.rule));
    Ok(warns || decision.obligations.iter().any(|obligation| obligation.rule.id == case.rule))
}

fn postures_of(case: &Case) -> Postures {
    Postures { chosen: case.postures.iter().map(|name| name.as_str().into()).collect(), ..Postures::default() }
}

/// Whether a reason is this rule's: also where a promised frequency stands in its place.
fn names(reason: &decision::Reason, rule: &str) -> bool {
    reason.rule_id() == rule || reason.rule_id().starts_with("ringfence.consent") && reason.detail.contains(rule)
}

fn ask(law: &Law, request: &Value, postures: &Postures, switches: Switches<'_>) -> Result<Decision, String> {
    let text = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let request: v1::CheckRequest =
        json::read(&text).map_err(|error| format!("the request cannot be read: {error}"))?;
    decide(law, &request, postures, switches)
}

/// Answers a question from itself alone: no store, no lists.
///
/// # Errors
/// The faults of the request, in one line.
pub fn decide(
    law: &Law,
    request: &v1::CheckRequest,
    postures: &Postures,
    switches: Switches<'_>,
) -> Result<Decision, String> {
    let checked = question::read(request, None).map_err(|violations| {
        let all: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.message)).collect();
        format!("the request is refused: {}", all.join("; "))
    })?;
    let now = checked.at.ok_or_else(|| "the case needs `at` and `dryRun`".to_owned())?;
    let number = match checked.number {
        Ok(number) => number,
        Err(error) => return Ok(decision::unusable(error, now)),
    };
    let stored = Facts::default();
    let evidence = Evidence { asserted: &checked.facts, stored: &stored, lists: &NoLists, live: false };
    Ok(decision::decide(&Question { number, attempt: &checked.attempt, evidence, law, switches, postures, now }))
}

fn compare(expect: &Expect, decision: &Decision) -> Result<(), String> {
    let verdict = if decision.allows() { "VERDICT_ALLOW" } else { "VERDICT_DENY" };
    if expect.verdict != verdict {
        return Err(format!("expected {}, got {verdict}", expect.verdict));
    }
    for group in &expect.families {
        if !decision.reasons.iter().any(|reason| group.iter().any(|family| family == reason.family.name())) {
            return Err(format!("expected a reason of family {}", group.join(" or ")));
        }
    }
    if let Some(text) = &expect.retry_at {
        let expected = Instant::from_rfc3339(text).ok_or_else(|| format!("`{text}` is no instant"))?;
        let second = |at: Instant| at.millis().div_euclid(1_000);
        if decision.retry_at.map(second) != Some(second(expected)) {
            return Err(format!("expected retryAt {expected}"));
        }
    }
    Ok(())
}

/// The decision beside the expectation.
fn shown(what: &str, decision: &Decision, law: &Law) -> String {
    let granted = Granted { decision_id: uuid::Uuid::nil(), attempt_id: String::new(), use_by: None, degraded: false };
    let message = answer::message(decision, None, law, &Postures::default(), granted);
    let text = serde_json::to_string_pretty(&message).unwrap_or_default();
    format!("{what}; decision:\n{text}")
}

/// The request of a pack's case: its own words, the rest filled in from the rule.
fn request_of(pack: &Pack, rule: &Rule, case: &Case) -> Result<Value, String> {
    let value = serde_json::to_value(&case.request).map_err(|error| error.to_string())?;
    let Value::Object(mut request) = named(value)? else { return Err("a case is a table".to_owned()) };
    let applies = &rule.applies;
    let first = |word: Option<&str>, otherwise: &str| Value::String(word.unwrap_or(otherwise).to_owned());
    let fill = [
        ("channel", first(applies.channels.iter().next().map(Term::word), "call")),
        ("technology", first(applies.technologies.iter().next().map(Term::word), "manual")),
        ("purpose", first(applies.purposes.iter().next().map(Term::word), "marketing")),
        ("recipient", first(applies.recipients.iter().next().map(Term::word), "consumer")),
        ("line_type", first(applies.line_types.iter().next().map(Term::word), "mobile")),
    ];
    for (key, value) in fill {
        if !request.contains_key(key) {
            request.insert(key.to_owned(), enum_name(key, value)?);
        }
    }
    let example = pack.example().map(str::to_owned);
    if let (false, Some(number)) = (request.contains_key("number"), example) {
        request.insert("number".to_owned(), Value::String(number));
    }
    request.entry("seller").or_insert_with(|| Value::String("acme".to_owned()));
    request.entry("subject").or_insert_with(|| Value::String("renewal".to_owned()));
    request.insert("dry_run".to_owned(), Value::Bool(true));
    Ok(Value::Object(request))
}

/// Turns the words of enumerations into the names of the contract, wherever they stand.
fn named(value: Value) -> Result<Value, String> {
    match value {
        Value::Object(map) => {
            // A TOML date-time arrives wrapped; the contract wants its text.
            if let (1, Some(Value::String(text))) = (map.len(), map.get("$__toml_private_datetime")) {
                return Ok(Value::String(text.clone()));
            }
            let mut renamed = Map::new();
            for (key, value) in map {
                let value = match value {
                    Value::String(_) => enum_name(&key, value)?,
                    Value::Array(items) => Value::Array(
                        items
                            .into_iter()
                            .map(|item| if item.is_string() { enum_name(&key, item) } else { named(item) })
                            .collect::<Result<_, _>>()?,
                    ),
                    other => named(other)?,
                };
                renamed.insert(key, value);
            }
            Ok(Value::Object(renamed))
        }
        other => Ok(other),
    }
}

/// `call` under the key `channel` is `CHANNEL_CALL`.
fn enum_name(key: &str, value: Value) -> Result<Value, String> {
    let prefix = match key {
        "channel" | "channels" => "CHANNEL_",
        "technology" | "technologies" => "TECHNOLOGY_",
        "purpose" | "purposes" => "PURPOSE_",
        "recipient" => "RECIPIENT_",
        "line_type" => "LINE_TYPE_",
        "legal_form" => "LEGAL_FORM_",
        "offer_category" => "OFFER_CATEGORY_",
        "grade" => "CONSENT_GRADE_",
        "flags" => "CONSENT_FLAG_",
        "method" => "CONSENT_METHOD_",
        "outcome" => "OUTCOME_",
        "mechanism" => "TRANSFER_MECHANISM_",
        "source" => "OPT_OUT_SOURCE_",
        "answer" => "REASSIGNED_ANSWER_",
        "weekdays" => "WEEKDAY_",
        _ => return Ok(value),
    };
    match value.as_str() {
        Some(word) if word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
            Ok(Value::String(format!("{prefix}{}", word.to_uppercase())))
        }
        _ => Err(format!("`{key}`: write its words in lower case")),
    }
}
