//! All that the logs and the record say about one contact, for a report to be handed to others.
//!
//! Promises: nothing of anybody else is in it; what cannot be opened is named with the reason, never left out; nothing is
//! written. Guarded by `tests/evidence.rs`.

use prost::Message as _;

use super::Failure;
use super::audited::record;
use super::marks::Marks;
use super::replay::{Unfit, Vault};
use crate::audit::{Entries, Found};
use crate::contact::Contact;
use crate::proto::store::{self, audited_write::Request};
use crate::proto::v1;
use crate::store::WriterId;

/// An entry of a log about the contact.
#[derive(Debug)]
pub struct Event {
    /// Whose log.
    pub writer: WriterId,
    /// The entry, its body sealed as ever.
    pub found: Found,
    /// What it says.
    pub said: Said,
    /// What opens it for others: salt and body. `None`: not asked for, or it does not open.
    pub opening: Option<([u8; 32], Vec<u8>)>,
}

/// What an entry says.
#[derive(Debug)]
pub enum Said {
    /// A decision.
    Decision(Box<v1::DecisionRecord>),
    /// Something that was recorded.
    Recorded(Box<Recorded>),
    /// It does not open; why.
    Sealed(String),
}

/// Something that was recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// The method that was called, such as `RecordConsent`.
    pub method: &'static str,
    /// What it was called with, in the JSON of the contract; null where that is of no use outside.
    pub request: serde_json::Value,
    /// What an inbound text was found to mean; null of other writes.
    pub meaning: serde_json::Value,
    /// What was changed, as it was before; null of other writes.
    pub replaced: serde_json::Value,
    /// Who asked. Empty: not known.
    pub caller: String,
}

/// All entries about the contact with one of these tags, by when they were made. With `openings` also what lets others
/// compare each with the chain.
///
/// # Errors
/// A log cannot be read, or was altered; the store cannot be asked.
pub async fn gather(
    logs: Vec<(WriterId, Entries)>,
    vault: &Vault,
    tags: &[[u8; 32]],
    openings: bool,
    progress: impl Fn(u64, u64),
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    for (writer, mut entries) in logs {
        let (tags, (sender, mut told)) = (tags.to_vec(), tokio::sync::mpsc::channel(64));
        let read = tokio::task::spawn_blocking(move || -> Result<(), Failure> {
            let (mut bytes, mut rows) = (0, 0);
            while let Some((found, length)) = entries.next_entry()? {
                (bytes, rows) = (bytes + length, rows + 1);
                let ours = found.entry.tag.is_some_and(|tag| tags.contains(&tag));
                // Nobody takes it any more: opening failed, and says why.
                if (ours || rows == 1_024) && sender.blocking_send((ours.then_some(found), bytes, rows)).is_err() {
                    return Ok(());
                }
                if ours || rows == 1_024 {
                    (bytes, rows) = (0, 0);
                }
            }
            Ok(())
        });
        while let Some((found, bytes, rows)) = told.recv().await {
            progress(bytes, rows);
            if let Some(found) = found {
                events.push(event(writer, found, vault, openings).await?);
            }
        }
        read.await.map_err(|error| Failure::Internal(error.to_string()))??;
    }
    events.sort_by_key(|event| (event.found.entry.id.millis(), event.writer.0, event.found.seq));
    Ok(events)
}

async fn event(writer: WriterId, found: Found, vault: &Vault, openings: bool) -> Result<Event, Failure> {
    let body = match vault.open(&found.entry).await? {
        Ok(body) => body,
        Err(why) => {
            let why = match why {
                Unfit::Erased => "what it said was erased: the key that opened it was destroyed".to_owned(),
                why => why.to_string(),
            };
            return Ok(Event { writer, found, said: Said::Sealed(why), opening: None });
        }
    };
    let said = said(writer, &found, &body).unwrap_or_else(Said::Sealed);
    let salt = if openings { vault.salt(&found.entry).await? } else { None };
    Ok(Event { writer, found, said, opening: salt.map(|salt| (salt, body)) })
}

fn said(writer: WriterId, found: &Found, body: &[u8]) -> Result<Said, String> {
    let unread = |error: prost::DecodeError| format!("it does not read: {error}");
    match store::AuditBody::decode(body).map_err(unread)?.body {
        Some(store::audit_body::Body::Decision(body)) => {
            let decision = v1::Decision::decode(body.decision.as_slice()).map_err(unread)?;
            let position = v1::LogPosition {
                writer: writer.to_string(),
                sequence: found.seq,
                digest: found.entry.encode().digest().to_vec(),
                recorded_at: Some(super::answer::stamp(found.entry.at)),
            };
            Ok(Said::Decision(Box::new(record(body, decision, Some(position)))))
        }
        Some(store::audit_body::Body::Write(write)) => Ok(Said::Recorded(Box::new(recorded(write)))),
        None => Err("it says nothing that this release knows".to_owned()),
    }
}

fn recorded(write: store::AuditedWrite) -> Recorded {
    use serde_json::{Value, to_value};
    let json = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    let (method, request) = match write.request {
        Some(Request::RecordConsent(request)) => ("RecordConsent", json(to_value(request))),
        Some(Request::RecordOptOut(request)) => ("RecordOptOut", json(to_value(request))),
        Some(Request::UpdateContact(request)) => ("UpdateContact", json(to_value(request))),
        Some(Request::ProcessInbound(request)) => ("ProcessInbound", json(to_value(request))),
        Some(Request::ReportOutcome(request)) => ("ReportOutcome", json(to_value(request))),
        Some(Request::OpenRequest(request)) => ("OpenRequest", json(to_value(request))),
        Some(Request::ResolveRequest(request)) => ("ResolveRequest", json(to_value(request))),
        Some(Request::ExportContact(request)) => ("ExportContact", json(to_value(request))),
        Some(Request::EraseContact(request)) => ("EraseContact", json(to_value(request))),
        Some(Request::PlaceHold(request)) => ("PlaceHold", json(to_value(request))),
        Some(Request::LiftHold(request)) => ("LiftHold", json(to_value(request))),
        Some(Request::AddToList(request)) => ("AddToList", json(to_value(request))),
        Some(Request::RemoveFromList(request)) => ("RemoveFromList", json(to_value(request))),
        Some(Request::LookUp(request)) => ("LookUp", json(to_value(request))),
        Some(Request::Copy(_)) => ("the record as a whole, from another store", Value::Null),
        Some(Request::Move(moved)) => {
            ("the record moved to another region", serde_json::json!({ "from": moved.from, "to": moved.to }))
        }
        // Of no number: no entry about a contact has them.
        _ => ("another write", Value::Null),
    };
    Recorded {
        method,
        request,
        meaning: write.inbound.map_or(Value::Null, |inbound| json(to_value(inbound))),
        replaced: write.replaced.map_or(Value::Null, |replaced| json(to_value(replaced))),
        caller: write.caller,
    }
}

/// What the record of a contact holds now.
#[derive(Clone, PartialEq, Debug)]
pub struct Held {
    /// It, in the words of the contract; without a number where it was erased.
    pub contact: v1::Contact,
    /// Requests under data-protection law.
    pub requests: Vec<v1::RightsRequest>,
}

impl Held {
    /// Reads a record. `marks` say what became of its consents.
    #[must_use]
    pub fn of(contact: &Contact, number: crate::place::Number, marks: &Marks) -> Self {
        let mut message = contact.message(number, 0);
        marks.put(&mut message);
        // An erased record does not hold the number any more; who asks for it by its number knows it.
        Self { contact: message, requests: contact.requests().cloned().collect() }
    }
}
