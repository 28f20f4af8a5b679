//! The report as JSON. Its schema stands in `deploy/evidence.md`; the page is made from it.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Told, elsewhere_in_words};
use crate::audit::{BodyKey, Report};
use crate::cli::explain::clock;
use crate::engine::evidence::{Event, Said};
use crate::place::Number;
use crate::proto::v1;
use crate::store::WriterId;
use crate::time::{Instant, ZoneId};

const NAME: &str = "evidence";
const FORM: u64 = 1;

/// What no report can show; said in every one.
const LIMITS: [&str; 6] = [
    "It shows what was asked of this service and recorded by it. Contacts that somebody made without asking are not in it.",
    "While store or log cannot be reached, an emergency is answered without an entry; such an answer is in no log.",
    "A file that was filtered as a whole, or an import, is one entry that names nobody: it allows no contact.",
    "The instants are those of the clock of the server that recorded them.",
    "Who runs the service can keep a second log and show one of them. Heads that were published where they cannot be taken back are what forbids it.",
    "It states what the rules say that were in force here. It is not legal advice.",
];

/// The report.
pub(super) fn json(told: &Told<'_>, now: Instant) -> Value {
    let zones = zones(told);
    let mut decisions = Vec::new();
    let mut recorded = Vec::new();
    let mut sealed = Vec::new();
    for event in told.events {
        match &event.said {
            Said::Decision(record) => decisions.push(decision(event, record, &zones)),
            Said::Recorded(write) => {
                let mut one = about(event, &zones);
                one.insert("method".to_owned(), json!(write.method));
                one.insert("caller".to_owned(), json!(write.caller));
                one.insert("request".to_owned(), write.request.clone());
                one.insert("meaning".to_owned(), write.meaning.clone());
                one.insert("replaced".to_owned(), write.replaced.clone());
                recorded.push(Value::Object(one));
            }
            Said::Sealed(why) => {
                let mut one = about(event, &zones);
                one.insert("why".to_owned(), json!(why));
                one.insert("allowed".to_owned(), json!(event.found.entry.kind == 1));
                sealed.push(Value::Object(one));
            }
        }
    }
    let contact = told.held.as_ref().map(|held| serde_json::to_value(&held.contact).unwrap_or_default());
    let requests = told.held.as_ref().map(|held| serde_json::to_value(&held.requests).unwrap_or_default());
    let complaint = told.complaint.as_ref().and_then(|id| {
        let request = told.held.as_ref()?.requests.iter().find(|request| request.rights_request_id == *id)?;
        serde_json::to_value(request).ok()
    });
    let mut limits: Vec<_> = LIMITS.iter().map(|limit| (*limit).to_owned()).collect();
    limits.extend(elsewhere_in_words(&told.elsewhere));
    let mut report = json!({
        "ringfence": NAME,
        "form": FORM,
        "program": env!("CARGO_PKG_VERSION"),
        "madeAt": now.to_string(),
        "number": told.number.reveal_e164().as_str(),
        "numberShown": if told.whole { "whole" } else { "masked" },
        "timeZones": zones.iter().map(|zone| zone.name()).collect::<Vec<_>>(),
        "complaint": complaint,
        "contact": contact,
        "requests": requests,
        "decisions": decisions,
        "recorded": recorded,
        "sealed": sealed,
        "chain": told.chain.iter().map(chain).collect::<Vec<_>>(),
        "proof": told.proven,
        "limits": limits,
    });
    if !told.elsewhere.is_empty()
        && let Value::Object(report) = &mut report
    {
        report.insert("regionsNotLookedAt".to_owned(), json!(told.elsewhere));
    }
    if !told.whole {
        mask(&mut report, told.number);
        callers(&mut report);
    }
    report
}

/// The zones in which the person may be: those of the newest decision that names any.
fn zones(told: &Told<'_>) -> Vec<ZoneId> {
    let named = told.events.iter().rev().find_map(|event| match &event.said {
        Said::Decision(record) => record.decision.as_ref().map(|decision| &decision.local_times),
        _ => None,
    });
    let mut met = BTreeSet::new();
    let zones = named.into_iter().flatten().filter_map(|local| ZoneId::by_name(&local.time_zone));
    zones.filter(|zone| met.insert(zone.name())).collect()
}

/// Where and when an entry was recorded, and what binds it.
fn about(event: &Event, zones: &[ZoneId]) -> Map<String, Value> {
    let entry = &event.found.entry;
    let key = match entry.key {
        BodyKey::Clear => "none",
        BodyKey::Contact => "contact",
        BodyKey::Day(_) => "day",
        BodyKey::Sealing(_) => "sealing",
    };
    let encoded = entry.encode();
    let value = json!({
        "id": entry.id.to_string(),
        "at": entry.at.to_string(),
        "local": local(entry.at, zones),
        "writer": event.writer.to_string(),
        "entry": event.found.seq,
        "digest": hex(&encoded.digest()),
        "sealedUnder": key,
        "namesNumber": names(event),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Whether the entry can be shown to be about a number; of entries of earlier releases it cannot.
fn names(event: &Event) -> bool {
    event.found.entry.open.is_some_and(|open| open.name != [0; 16])
}

fn local(at: Instant, zones: &[ZoneId]) -> Vec<Value> {
    zones.iter().map(|zone| json!({ "timeZone": zone.name(), "clock": clock(at, *zone) })).collect()
}

fn decision(event: &Event, record: &v1::DecisionRecord, zones: &[ZoneId]) -> Value {
    let mut one = about(event, zones);
    let value = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    one.insert("reserved".to_owned(), json!(event.found.entry.kind == 1));
    one.insert("question".to_owned(), value(serde_json::to_value(&record.request)));
    one.insert("decision".to_owned(), value(serde_json::to_value(&record.decision)));
    one.insert("stored".to_owned(), value(serde_json::to_value(&record.stored)));
    one.insert("inForce".to_owned(), value(serde_json::to_value(&record.inputs)));
    Value::Object(one)
}

fn chain((writer, report): &(WriterId, Report)) -> Value {
    json!({
        "writer": writer.to_string(),
        "sound": report.sound(),
        "entries": report.head.seq,
        "head": hex(&report.head.hash),
        "segments": report.segments,
        "segmentsNotRead": report.unread,
        "fault": report.bad.as_ref().map(ToString::to_string),
    })
}

/// Puts the masked number wherever the number stands, in whichever writing.
fn mask(value: &mut Value, number: Number) {
    match value {
        Value::String(text) => {
            if let Some(masked) = masked(text, number) {
                *text = masked;
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|one| mask(one, number)),
        Value::Object(map) => map.values_mut().for_each(|one| mask(one, number)),
        _ => {}
    }
}

/// Masks the numbers that were shown to the person as well: they are whole numbers of somebody.
fn callers(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(callers),
        Value::Object(map) => {
            for (key, one) in map {
                match one {
                    Value::String(text) if key == "callerId" => {
                        let hidden = || text.chars().map(|c| if c.is_ascii_digit() { '•' } else { c }).collect();
                        *text = Number::parse(text, None).map_or_else(|_| hidden(), |number| number.to_string());
                    }
                    other => callers(other),
                }
            }
        }
        _ => {}
    }
}

/// Fewer digits in a row than this are not taken for the number.
const FEWEST: usize = 7;

/// The text with each run of digits that is the number, or its national part, masked; `None`: there is none. A run may have
/// spaces, dots, dashes, slashes and brackets in it.
fn masked(text: &str, number: Number) -> Option<String> {
    let e164 = number.reveal_e164();
    let whole = e164.as_str().trim_start_matches('+');
    let (mut out, mut run, mut found) = (String::with_capacity(text.len()), String::new(), false);
    let mut flush = |run: &mut String, out: &mut String| {
        let digits: String = run.chars().filter(char::is_ascii_digit).collect();
        let national = digits.trim_start_matches('0');
        let is = |digits: &str| digits.len() >= FEWEST && (whole.ends_with(digits) || digits.ends_with(whole));
        if is(&digits) || is(national) {
            found = true;
            let tail = run.len() - run.trim_end_matches([' ', '.', '-', '/', '(', ')']).len();
            out.push_str(&number.to_string());
            out.push_str(run.get(run.len() - tail..).unwrap_or_default());
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    for c in text.chars() {
        let starts = c.is_ascii_digit() || c == '+';
        if starts || !run.is_empty() && matches!(c, ' ' | '.' | '-' | '/' | '(' | ')') {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    found.then_some(out)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_masked_in_whichever_writing() {
        let number = Number::parse("+12025550143", None).unwrap();
        for text in ["+12025550143", "12025550143", "202-555-0143", "(202) 555 0143", "0012025550143", "555.0143"] {
            let masked = masked(&format!("call {text} please"), number).unwrap();
            assert!(masked.contains("+1202555••43") && masked.ends_with(" please"), "{text}: {masked}");
        }
        for text in ["0143", "+12025550144", "2026-11-18T16:00:00Z", "us.fl.cap § 501.616(6)(b)"] {
            assert_eq!(masked(text, number), None, "{text}");
        }
    }
}
