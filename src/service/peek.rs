//! Whether a check that is about to be refused is one in an emergency: read off its bytes, which have all come, without
//! decoding the rest.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::proto::v1;
use crate::proto::weigh::{Value, field};

/// Fields of the contract, by their numbers.
const PURPOSE: u64 = 5;
const CHECKS: u64 = 1;
/// The head of a message of gRPC: whether it is compressed, and its length.
pub(super) const HEAD: usize = 5;

/// In a message as gRPC frames it. What is compressed is not looked into: no client is told that it may be.
pub(super) fn in_frame(bytes: &[u8], many: bool) -> bool {
    match bytes.split_at_checked(HEAD) {
        Some((&[0, ..], message)) => in_message(message, many),
        _ => false,
    }
}

fn in_message(mut rest: &[u8], many: bool) -> bool {
    let emergency = u64::try_from(v1::Purpose::Emergency as i32).unwrap_or_default();
    // The decoder keeps the last.
    let mut purpose = None;
    while let Some((number, value, after)) = field(rest) {
        // What is in a group is passed over by the decoder, and no client of ours sends one.
        if rest.first().is_some_and(|key| matches!(key & 7, 3 | 4)) {
            return false;
        }
        rest = after;
        match value {
            Value::Number(value) if !many && number == PURPOSE => purpose = Some(value),
            Value::Bytes(bytes) if many && number == CHECKS && in_message(bytes, false) => return true,
            _ => {}
        }
    }
    // What is no message is none: the check itself says so.
    rest.is_empty() && purpose == Some(emergency)
}

/// Whether a value of JSON is this purpose. Nothing of it is kept: what it holds was not weighed.
#[derive(Default)]
struct Urgent(bool);

impl<'de> Deserialize<'de> for Urgent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrgentVisitor)
    }
}

struct UrgentVisitor;

impl<'de> Visitor<'de> for UrgentVisitor {
    type Value = Urgent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, name: &str) -> Result<Urgent, E> {
        Ok(Urgent(name == v1::Purpose::Emergency.as_str_name()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Urgent, E> {
        Ok(Urgent(i32::try_from(number) == Ok(v1::Purpose::Emergency as i32)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Urgent, E> {
        Ok(Urgent(false))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Urgent, E> {
        Ok(Urgent(false))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Urgent, E> {
        Ok(Urgent(false))
    }

    fn visit_unit<E>(self) -> Result<Urgent, E> {
        Ok(Urgent(false))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Urgent, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Urgent(false))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Urgent, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Urgent(false))
    }
}

/// In JSON, where an enum is its name or its number.
pub(super) fn in_json(bytes: &[u8], many: bool) -> bool {
    #[derive(serde::Deserialize)]
    struct One {
        #[serde(default)]
        purpose: Urgent,
    }
    #[derive(serde::Deserialize)]
    struct Many {
        #[serde(default)]
        checks: Vec<One>,
    }
    if many {
        serde_json::from_slice::<Many>(bytes).is_ok_and(|many| many.checks.iter().any(|one| one.purpose.0))
    } else {
        serde_json::from_slice::<One>(bytes).is_ok_and(|one| one.purpose.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(purpose: v1::Purpose) -> v1::CheckRequest {
        let evidence = v1::Evidence { birth_date: "2000-01-01".to_owned(), ..v1::Evidence::default() };
        v1::CheckRequest {
            number: "+12025550143".to_owned(),
            purpose: purpose.into(),
            seller: "acme".to_owned(),
            evidence: Some(evidence),
            ..v1::CheckRequest::default()
        }
    }

    fn framed(message: &impl prost::Message) -> Vec<u8> {
        let bytes = message.encode_to_vec();
        let length = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        [[0].as_slice(), &length, &bytes].concat()
    }

    #[test]
    fn an_emergency_is_told_from_everything_else() {
        let (urgent, other) = (check(v1::Purpose::Emergency), check(v1::Purpose::Marketing));
        assert!(in_frame(&framed(&urgent), false) && !in_frame(&framed(&other), false));
        let batch = v1::CheckBatchRequest { checks: vec![other.clone(), urgent.clone()] };
        assert!(in_frame(&framed(&batch), true));
        assert!(!in_frame(&framed(&v1::CheckBatchRequest { checks: vec![other] }), true));
        assert!(
            in_json(br#"{"number":"+1","purpose":"PURPOSE_EMERGENCY"}"#, false) && in_json(br#"{"purpose":8}"#, false)
        );
        assert!(in_json(br#"{"checks":[{},{"purpose":"PURPOSE_EMERGENCY"}]}"#, true));
        assert!(!in_json(br#"{"seller":"PURPOSE_EMERGENCY","purpose":"PURPOSE_SURVEY"}"#, false));
    }

    #[test]
    fn an_emergency_in_passing_is_none() {
        // Field 5 twice, of which the last counts; and one within a group that nobody knows.
        assert!(in_message(&[0x28, 1, 0x28, 8], false) && !in_message(&[0x28, 8, 0x28, 1], false));
        assert!(!in_message(&[0xfb, 0x3f, 0x28, 8, 0xfc, 0x3f], false));
        assert!(!in_message(&[0x28, 1, 0xfb, 0x3f, 0x28, 8, 0xfc, 0x3f], false));
        assert!(!in_json(br#"{"purpose":[{"a":8}]}"#, false) && !in_json(br#"{"purpose":8,"purpose":1}"#, false));
    }

    #[test]
    fn what_is_no_message_is_no_emergency() {
        let whole = framed(&check(v1::Purpose::Emergency));
        for bytes in
            [&[][..], &[0, 0], &[1, 0, 0, 0, 2, 0x28, 8], &[0xff; 64], b"{", whole.get(..9).unwrap_or_default()]
        {
            assert!(
                !in_frame(bytes, false) && !in_frame(bytes, true) && !in_json(bytes, false) && !in_json(bytes, true)
            );
        }
    }
}
