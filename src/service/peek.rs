//! Whether a check that is about to be refused is one in an emergency: read off its bytes, which have all come, without
//! decoding the rest.

use serde::Deserialize;

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
    // What is no message ends it: the check itself says so.
    while let Some((number, value, after)) = field(rest) {
        rest = after;
        let found = match value {
            Value::Number(value) => !many && number == PURPOSE && value == emergency,
            Value::Bytes(bytes) => many && number == CHECKS && in_message(bytes, false),
            Value::Other => false,
        };
        if found {
            return true;
        }
    }
    false
}

/// In JSON, where an enum is its name or its number.
pub(super) fn in_json(bytes: &[u8], many: bool) -> bool {
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        purpose: serde_json::Value,
    }
    #[derive(Deserialize)]
    struct Many {
        #[serde(default)]
        checks: Vec<One>,
    }
    let urgent =
        |one: &One| one.purpose == v1::Purpose::Emergency.as_str_name() || one.purpose == v1::Purpose::Emergency as i32;
    if many {
        serde_json::from_slice::<Many>(bytes).is_ok_and(|many| many.checks.iter().any(urgent))
    } else {
        serde_json::from_slice::<One>(bytes).is_ok_and(|one| urgent(&one))
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
