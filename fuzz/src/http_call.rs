//! Any call over HTTP: the first byte picks it, the rest is its body. JSON that reads is a message that comes back from its own
//! JSON; what does not read is refused with the field, where one is known; every answer is JSON, and none the server's fault.

use http::StatusCode;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use ringfence::proto::{FILE_DESCRIPTOR_SET, json, v1};
use serde_json::{Map, Value, json};

use super::calls::CALLS;
use super::grpc_call::with_server;
use super::house;

pub fn run(bytes: &[u8]) {
    let Some((pick, text)) = bytes.split_first() else { return };
    let Some(call) = CALLS.get(usize::from(*pick) % CALLS.len()) else { return };
    let read = (call.read_json)(text);
    if call.path.is_empty() {
        return;
    }
    let (code, body) = with_server(|server| server.post(call.path, text.to_vec()));
    assert!(!code.is_server_error(), "{}: {code}: {body}", call.path);
    if let Err(field) = &read {
        assert_eq!(code, StatusCode::BAD_REQUEST, "{}: {body}", call.path);
        let told =
            body.pointer("/details/0/fieldViolations/0/field").or(body.pointer("/details/1/fieldViolations/0/field"));
        assert_eq!(told.and_then(Value::as_str), field.as_deref(), "{body}");
    }
    if code != StatusCode::OK {
        assert!(body.get("code").is_some_and(|code| code != 0), "{body}");
        return house::said(body.get("message").and_then(Value::as_str).unwrap_or_default());
    }
    if call.method == "CheckService/Check" {
        let asked = json::read::<v1::CheckRequest>(text).expect("what was answered was read");
        let answer: v1::CheckResponse = serde_json::from_value(body).expect("an answer");
        house::decision(&answer.decision.expect("a decision"), &asked);
    }
}

/// One body for every call, every field of it given; and acceptance cases of the law.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |pick: usize, body: &Value| {
        [vec![u8::try_from(pick).expect("fewer than 256 calls")], body.to_string().into_bytes()].concat()
    };
    let check = CALLS.iter().position(|call| call.method == "CheckService/Check").expect("a call of the contract");
    let examples = CALLS.iter().enumerate().map(|(pick, call)| seed(pick, &example(call.method).unwrap_or_default()));
    examples.chain(accepted().iter().take(6).map(|request| seed(check, request))).collect()
}

/// The requests of the acceptance cases of the law, the longest of each place first.
pub fn accepted() -> Vec<Value> {
    let lines = include_str!("../../tests/law/acceptance.jsonl").lines().filter(|line| line.len() < 2_000);
    let cases = lines.map(|line| serde_json::from_str::<Value>(line).expect("a case"));
    let mut requests: Vec<_> = cases.map(|mut case| case["request"].take()).collect();
    // One of each shape: which fields it has.
    requests.sort_by_cached_key(|request| std::cmp::Reverse(request.to_string().len()));
    let mut seen = std::collections::BTreeSet::new();
    requests.retain(|request| seen.insert(shape(request)));
    requests
}

fn shape(json: &Value) -> String {
    match json {
        Value::Object(object) => object.iter().map(|(key, value)| format!("{key}{{{}}}", shape(value))).collect(),
        Value::Array(list) => list.first().map(shape).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The message of a call with every field given, by what the contract calls them; `None` where it has no fields.
pub fn example(method: &str) -> Option<Value> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let messages: Vec<_> =
        set.file.iter().filter(|file| file.package() == "ringfence.v1").flat_map(|f| &f.message_type).collect();
    let (_, name) = method.split_once('/').expect("a method of a service");
    let of = messages.iter().find(|message| message.name() == format!("{name}Request"))?;
    Some(filled(of, &messages, 0)).filter(|json| json.as_object().is_some_and(|object| !object.is_empty()))
}

fn filled(message: &DescriptorProto, messages: &[&DescriptorProto], depth: usize) -> Value {
    let mut object = Map::new();
    let mut oneofs = Vec::new();
    for field in &message.field {
        let of_several = field.oneof_index.filter(|_| !field.proto3_optional());
        if of_several.is_some_and(|oneof| oneofs.contains(&oneof)) {
            continue;
        }
        if let Some(value) = value(field, messages, depth) {
            oneofs.extend(of_several);
            let value = if field.label() == Label::Repeated { json!([value]) } else { value };
            object
                .insert(if field.json_name().is_empty() { field.name() } else { field.json_name() }.to_owned(), value);
        }
    }
    Value::Object(object)
}

fn value(field: &FieldDescriptorProto, messages: &[&DescriptorProto], depth: usize) -> Option<Value> {
    Some(match field.r#type() {
        Type::String => json!(word(field.name())),
        // Nothing that a law demands, and no exemption, goes with what the other fields say.
        Type::Bool => json!(field.name() != "legally_required"),
        Type::Bytes => json!(""),
        Type::Message => match field.type_name() {
            ".google.protobuf.Timestamp" => json!("2026-11-18T16:00:00Z"),
            ".google.protobuf.FieldMask" => json!("residence,lineType"),
            _ if field.name() == "exemption" || depth > 3 => return None,
            name => {
                let name = name.rsplit('.').next()?;
                let inner = messages.iter().find(|message| message.name() == name)?;
                filled(inner, messages, depth + 1)
            }
        },
        // The first term of each vocabulary; small counts.
        _ => json!(1),
    })
}

fn word(field: &str) -> &'static str {
    match field {
        "number" | "numbers" | "caller_id" | "sent_to" => "+12025550143",
        "default_region" | "residence" | "jurisdiction" | "processing_region" | "place" | "to" => "US",
        "time_zone" => "America/New_York",
        "birth_date" | "since_date" | "date" | "from" | "until" => "2001-02-03",
        "start" => "09:00",
        "end" => "17:30",
        "period" => "day",
        "postal_code" => "33101",
        "registry" | "registries" => "us.dnc.national",
        "list" => "tenant.own",
        "text" => "please STOP",
        "rule_id" => "us.tsr.hours",
        "endpoint" | "url" => "https://example.com/hook",
        _ => "acme",
    }
}
