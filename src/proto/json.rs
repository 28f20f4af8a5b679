//! Reading messages from proto3 JSON.
//!
//! Promises: `null` means absent, as the mapping demands; a key that is not known, or stands twice, is refused (unknown
//! and `null` says nothing, and passes); an error names the field at fault; none carries a whole number, though a number
//! was what was wrong.

mod nulls;
mod path;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Why JSON is not the message: in words for whoever wrote it, with line and column, or with the field.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    message: String,
    field: Option<String>,
}

/// Reads one message and nothing beside it.
///
/// # Errors
///
/// What is no JSON, holds a key or value that the message does not know, or the same key twice.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let error = match serde_json::from_slice(text) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    // The generated code refuses `null` where the mapping allows it; few callers send one, so only they pay for it.
    if error.is_data() && text.windows(4).any(|word| word == b"null") {
        let rest = nulls::without(text).map_err(|error| JsonError::new(&error, text))?;
        return serde_json::from_slice(&rest).map_err(|error| JsonError::new(&error, &rest));
    }
    Err(JsonError::new(&error, text))
}

/// Reads JSON as it is, to be looked into: without the members that are `null`, which mean absent.
///
/// # Errors
///
/// What is no JSON, or names a key twice.
pub fn value(text: &[u8]) -> Result<Value, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = WithoutNulls.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    value.map_err(|error| JsonError::new(&error, text))
}

impl JsonError {
    fn new(error: &serde_json::Error, text: &[u8]) -> Self {
        let mut message = mask_digits(&error.to_string()).into_owned();
        let field = if error.is_data() { path::at(text, error.line(), error.column()) } else { None };
        if field.is_some() {
            // The field says where; of what was read without its nulls, line and column would be wrong.
            message.truncate(message.rfind(" at line ").unwrap_or(message.len()));
        }
        Self { message, field: field.map(|path| mask_digits(&path).into_owned()) }
    }

    /// The path of what is wrong, as it was written: `evidence.consents[0].givenAt`. `None` where it is no JSON, or no
    /// object.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }
}

/// Replaces each run of seven digits or more, all but its last two, by dots: it may be a number.
fn mask_digits(text: &str) -> Cow<'_, str> {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        masked.push_str(before);
        match digits.split_at_checked(digits.len().saturating_sub(2)) {
            Some((_, tail)) if digits.len() >= 7 => {
                masked.push_str("••");
                masked.push_str(tail);
            }
            _ => masked.push_str(digits),
        }
        rest = after;
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

/// Reads a JSON value, leaving out the members of objects that are `null`.
#[derive(Clone, Copy)]
struct WithoutNulls;

impl<'de> DeserializeSeed<'de> for WithoutNulls {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WithoutNulls {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            object.insert(key, value);
        }
        // Only now, so that a key is seen to stand twice even where one of the two is null.
        object.retain(|_, value| !value.is_null());
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::proto::v1::{CheckRequest, Evidence};

    #[test]
    fn null_means_absent() {
        let text = br#"{"number": "+12025550143", "seller": null, "lineType": null, "dryRun": null, "at": null,
            "location": {"county": null}, "evidence": {"consents": null, "age": null, "relationship": null}}"#;
        let request: CheckRequest = read(text).unwrap();
        let plain: CheckRequest = read(br#"{"number": "+12025550143", "location": {}, "evidence": {}}"#).unwrap();
        assert_eq!(request, plain);
    }

    #[test]
    fn null_hides_no_other_fault() {
        for text in [
            r#"{"seller": null, "sellr": "acme"}"#,
            r#"{"seller": "a", "seller": "b", "subject": null}"#,
            r#"{"seller": "a", "seller": null}"#,
            r#"{"seller": null} {}"#,
            r#"{"evidence": {"consents": [null]}, "seller": null}"#,
            r#"{"seller": null"#,
        ] {
            assert!(read::<CheckRequest>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_twice_is_refused() {
        assert!(read::<Evidence>(br#"{"optOuts": [], "optOuts": []}"#).is_err());
        assert!(read::<CheckRequest>(br#"{"lineType": 1, "line_type": 1}"#).is_err());
    }

    #[test]
    fn an_error_gives_no_number_away() {
        for text in [
            r#"{"number": 12025550143}"#,
            r#"{"+12025550143": 1}"#,
            r#"{"channel": "+12025550143"}"#,
            r#"{"at": "+12025550143"}"#,
            r#"{"evidence": {"age": 12025550143}}"#,
        ] {
            let error = read::<CheckRequest>(text.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("2025550143"), "{error}");
            assert!(!error.is_empty());
        }
        assert_eq!(mask_digits("at line 12 column 345"), "at line 12 column 345");
        assert_eq!(mask_digits("`+12025550143`, or 1"), "`+••43`, or 1");
    }

    #[test]
    fn an_error_names_its_field() {
        for (text, field, word) in [
            (r#"{"number": 12025550143}"#, "number", "string"),
            (r#"{"number": "", "sellr": "a"}"#, "sellr", "unknown field"),
            (r#"{"seller": "a", "seller": "b"}"#, "seller", "duplicate field"),
            (r#"{"dryRun": "yes", "seller": null}"#, "dryRun", "boolean"),
            (r#"{"channel": 99}"#, "channel", "99"),
            (r#"{"location": ["US"]}"#, "location", "Location"),
            (
                r#"{"evidence": {"consents": [{}, {"givenAt": "yesterday"}]}}"#,
                "evidence.consents[1].givenAt",
                "RFC 3339",
            ),
            (r#"{"evidence": {"consents": [{"channels": [1, {}]}]}}"#, "evidence.consents[0].channels[1]", "map"),
        ] {
            let error = read::<CheckRequest>(text.as_bytes()).unwrap_err();
            assert_eq!(error.field(), Some(field), "{text}: {error}");
            assert!(error.to_string().contains(word) && !error.to_string().contains(" at line "), "{text}: {error}");
        }
        for text in ["", "{", "[]", "7", "{} x", r#"{"seller": "a}"#] {
            assert_eq!(read::<CheckRequest>(text.as_bytes()).unwrap_err().field(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_utf_8_or_no_json_is_refused() {
        for text in [b"".as_slice(), b"{", b"[]", b"{\"number\": \"\xff\"}", b"{} x", b"null"] {
            assert!(read::<CheckRequest>(text).is_err(), "{text:?}");
        }
    }
}
