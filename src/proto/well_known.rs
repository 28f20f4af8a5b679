//! The `google.protobuf` types that the contract uses, with canonical proto3 JSON.
//!
//! Promises: an instant is written `2026-11-18T02:00:00Z`, with three digits of a second where it has any, and read from
//! any RFC 3339 text of the years 1 to 9999; a field mask is `residence,lineType`; error details carry their fields.
//! The ready-made types write `+00:00` and `{"paths": […]}`, which other languages' JSON parsers refuse.

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};
use pbjson::private::base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// The first second of year 1, and the last of year 9999: the range of `google.protobuf.Timestamp`.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The day of second zero.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// `google.protobuf.Timestamp`: an instant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z; from the wire it may be any value.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds after that second; from the wire it may be any value, valid are 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Timestamp {
    /// The instant so many milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        let nanos = i32::try_from(millis.rem_euclid(1_000)).unwrap_or_default() * 1_000_000;
        Self { seconds: millis.div_euclid(1_000), nanos }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, digits below cut off. `None` for what is no valid timestamp: a year
    /// before 1 or after 9999, or nanoseconds out of range.
    #[must_use]
    pub fn to_millis(self) -> Option<i64> {
        let valid = SECONDS.contains(&self.seconds) && (0..1_000_000_000).contains(&self.nanos);
        valid.then(|| self.seconds * 1_000 + i64::from(self.nanos / 1_000_000))
    }

    /// The wall clock of UTC. Not by way of `jiff::Timestamp`, which ends a day before the year 9999 does.
    fn civil(self) -> Option<DateTime> {
        self.to_millis()?;
        let day = EPOCH.checked_add(self.seconds.div_euclid(86_400).days()).ok()?;
        let time = self.seconds.rem_euclid(86_400).seconds().nanoseconds(i64::from(self.nanos));
        day.to_datetime(Time::midnight()).checked_add(time).ok()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let civil = self.civil().ok_or_else(|| S::Error::custom("an instant outside the years 1 to 9999"))?;
        // The canonical form has 0, 3, 6 or 9 digits of a second.
        let digits = match self.nanos {
            0 => 0,
            n if n % 1_000_000 == 0 => 3,
            n if n % 1_000 == 0 => 6,
            _ => 9,
        };
        serializer.collect_str(&format_args!("{civil:.digits$}Z"))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rfc3339;

        impl Visitor<'_> for Rfc3339 {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 instant such as \"2026-11-18T02:00:00Z\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                parse_rfc3339(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Rfc3339)
    }
}

/// Reads `YYYY-MM-DDThh:mm:ss[.f…](Z|±hh:mm)` and nothing looser.
fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    if !has_shape(date_time, "0000-00-00T00:00:00") {
        return None;
    }
    let civil: DateTime = date_time.parse().ok()?;
    let (nanos, offset) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, offset) = rest.split_at_checked(end)?;
            let scale = 10_i32.checked_pow(9_u32.checked_sub(u32::try_from(digits.len()).ok()?)?)?;
            (digits.parse::<i32>().ok()? * scale, offset)
        }
    };
    let days = i64::from(civil.date().since(EPOCH).ok()?.get_days());
    let seconds = (days * 24 + i64::from(civil.hour())) * 3_600 + i64::from(civil.minute()) * 60;
    let seconds = seconds + i64::from(civil.second()) - parse_offset(offset)?;
    let read = Timestamp { seconds, nanos };
    read.to_millis().map(|_| read)
}

/// Reads `Z` or `±hh:mm` as seconds east of UTC.
fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = text.split_at_checked(1)?;
    if !has_shape(clock, "00:00") {
        return None;
    }
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours * 3_600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        "+" => Some(seconds),
        "-" => Some(-seconds),
        _ => None,
    }
}

/// Whether the text is the form with its zeros replaced by any digits.
fn has_shape(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte.eq_ignore_ascii_case(&form),
        })
}

/// `google.protobuf.FieldMask`: names of fields.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FieldMask {
    /// The names, as the proto spells them: `line_type`, `relationship.last_purchase_at`.
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
}

impl Serialize for FieldMask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<String> = self.paths.iter().map(|path| camel_case(path)).collect();
        serializer.serialize_str(&names.join(","))
    }
}

impl<'de> Deserialize<'de> for FieldMask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('_') {
            return Err(D::Error::invalid_value(Unexpected::Str(&text), &"field names such as \"residence,lineType\""));
        }
        let paths = text.split(',').filter(|name| !name.is_empty()).map(snake_case).collect();
        Ok(Self { paths })
    }
}

/// `line_type` to `lineType`.
fn camel_case(path: &str) -> String {
    let mut upper = false;
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        if c == '_' {
            upper = true;
        } else {
            text.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    text
}

/// `lineType` to `line_type`.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.trim().chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// `google.protobuf.Any`: a detail of an error, of a type that its URL names.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Any {
    /// `type.googleapis.com/google.rpc.BadRequest`, say.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = detail(self).unwrap_or_else(|| {
            let mut object = Map::new();
            object.insert("value".to_owned(), Value::String(BASE64_STANDARD.encode(&self.value)));
            object
        });
        object.insert("@type".to_owned(), Value::String(self.type_url.clone()));
        object.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        // Only answers hold an Any; nothing that is asked does.
        Err(D::Error::custom("error details are not read from JSON"))
    }
}

/// The fields of the error details that this service sends. `None` for any other type.
fn detail(any: &Any) -> Option<Map<String, Value>> {
    use prost::Message as _;
    use tonic_types::pb;
    let bytes = any.value.as_slice();
    let object = match any.type_url.rsplit('/').next()? {
        "google.rpc.BadRequest" => {
            let violations = pb::BadRequest::decode(bytes).ok()?.field_violations;
            let violations: Vec<Value> =
                violations.iter().map(|v| json!({"field": v.field, "description": v.description})).collect();
            json!({"fieldViolations": violations})
        }
        "google.rpc.ErrorInfo" => {
            let info = pb::ErrorInfo::decode(bytes).ok()?;
            json!({"reason": info.reason, "domain": info.domain, "metadata": info.metadata})
        }
        "google.rpc.RetryInfo" => {
            let delay = pb::RetryInfo::decode(bytes).ok()?.retry_delay.unwrap_or_default();
            let text = match delay.nanos {
                0 => format!("{}s", delay.seconds),
                nanos => format!("{}.{:03}s", delay.seconds, nanos / 1_000_000),
            };
            json!({"retryDelay": text})
        }
        _ => return None,
    };
    match object {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Timestamp> {
        serde_json::from_value(Value::String(text.to_owned())).ok()
    }

    fn written(instant: Timestamp) -> String {
        serde_json::to_value(instant).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn an_instant_is_written_in_the_canonical_form() {
        assert_eq!(written(Timestamp::from_millis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(written(Timestamp::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(written(Timestamp::from_millis(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(written(Timestamp { seconds: 0, nanos: 1_000 }), "1970-01-01T00:00:00.000001Z");
        assert_eq!(written(Timestamp { seconds: 0, nanos: 1 }), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(written(Timestamp { seconds: *SECONDS.end(), nanos: 0 }), "9999-12-31T23:59:59Z");
        assert_eq!(written(Timestamp { seconds: *SECONDS.start(), nanos: 0 }), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn an_instant_is_read_back_as_written() {
        for millis in [0, 1, -1, 999, -999, 1_000, 1_794_967_200_123, -62_135_596_800_000, 253_402_300_799_999] {
            let instant = Timestamp::from_millis(millis);
            assert_eq!(read(&written(instant)), Some(instant), "{millis}");
            assert_eq!(instant.to_millis(), Some(millis));
        }
    }

    #[test]
    fn an_offset_is_understood() {
        assert_eq!(read("2026-11-18T02:00:00Z"), read("2026-11-17T21:00:00-05:00"));
        assert_eq!(read("1969-12-31T23:59:59.5Z"), Some(Timestamp { seconds: -1, nanos: 500_000_000 }));
    }

    #[test]
    fn anything_looser_than_rfc_3339_is_refused() {
        for text in [
            "",
            "now",
            "2026-11-18",
            "2026-11-18 02:00:00Z",
            "2026-11-18T02:00:00",
            "2026-11-18T02:00Z",
            "2026-11-18T02:00:00.Z",
            "2026-11-18T02:00:00.0123456789Z",
            "2026-13-18T02:00:00Z",
            "20261118T020000Z",
            "2026-11-18T02:00:00+05",
            "2026-11-18T02:00:00Z[UTC]",
            "+002026-11-18T02:00:00Z",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-01:00",
            "2026-11-18T02:00:00−05:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_timestamp_out_of_range_is_no_instant_and_does_not_panic() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, i32::MAX), (253_402_300_800, 0)] {
            let instant = Timestamp { seconds, nanos };
            assert_eq!(instant.to_millis(), None);
            assert!(serde_json::to_string(&instant).is_err());
        }
        let _ = Timestamp::from_millis(i64::MAX);
        let _ = Timestamp::from_millis(i64::MIN);
    }

    #[test]
    fn a_field_mask_is_camel_case_in_json() {
        let mask = FieldMask { paths: vec!["residence".into(), "relationship.last_purchase_at".into()] };
        let json = serde_json::to_value(&mask).unwrap();
        assert_eq!(json, "residence,relationship.lastPurchaseAt");
        assert_eq!(serde_json::from_value::<FieldMask>(json).unwrap(), mask);
        assert!(serde_json::from_value::<FieldMask>("line_type".into()).is_err());
        assert_eq!(serde_json::from_value::<FieldMask>("".into()).unwrap(), FieldMask::default());
    }

    #[test]
    fn error_details_carry_their_fields() {
        use prost::Message as _;
        let bad = tonic_types::pb::BadRequest {
            field_violations: vec![tonic_types::pb::bad_request::FieldViolation {
                field: "seller".into(),
                description: "is required".into(),
                ..Default::default()
            }],
        };
        let any = Any { type_url: "type.googleapis.com/google.rpc.BadRequest".into(), value: bad.encode_to_vec() };
        assert_eq!(
            serde_json::to_value(&any).unwrap(),
            json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "seller", "description": "is required"}],
            })
        );
        let other = Any { type_url: "type.googleapis.com/a.B".into(), value: vec![1, 2] };
        assert_eq!(serde_json::to_value(&other).unwrap(), json!({"@type": "type.googleapis.com/a.B", "value": "AQI="}));
    }
}
