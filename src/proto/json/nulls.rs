//! JSON without its nulls.
//!
//! Promises: what is left out takes no memory, and what is left about as much as its text does: whoever writes a few bytes
//! of nonsense a million times gets no million objects for them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The most members of one object, of which those of all objects that stand in each other are kept: no message of the
/// contract has a tenth as many.
const MEMBERS: usize = 1_000;

/// The same JSON without the members of objects that are `null`.
///
/// # Errors
///
/// What is no JSON, names a key twice, or has an object of very many members.
pub(super) fn without(text: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let mut rest = Vec::with_capacity(text.len());
    let mut json = serde_json::Deserializer::from_slice(text);
    Copy(&mut rest).deserialize(&mut json)?;
    json.end()?;
    Ok(rest)
}

/// Copies a value to the end of this text: whether it is more than `null`.
struct Copy<'a>(&'a mut Vec<u8>);

impl Copy<'_> {
    fn write<E: Error>(self, value: &(impl Serialize + ?Sized)) -> Result<bool, E> {
        serde_json::to_writer(self.0, value).map_err(E::custom)?;
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for Copy<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Copy<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.0.extend_from_slice(b"null");
        Ok(false)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        self.write(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.write(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.write(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.write(&value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Self(rest) = self;
        rest.push(b'[');
        let mut first = true;
        loop {
            let before = rest.len();
            if !first {
                rest.push(b',');
            }
            if items.next_element_seed(Copy(rest))?.is_none() {
                rest.truncate(before);
                break;
            }
            first = false;
        }
        rest.push(b']');
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let Self(rest) = self;
        rest.push(b'{');
        let (start, mut keys) = (rest.len(), HashSet::new());
        while let Some(Key(key)) = members.next_key()? {
            let before = rest.len();
            if before > start {
                rest.push(b',');
            }
            serde_json::to_writer(&mut *rest, &key).map_err(A::Error::custom)?;
            rest.push(b':');
            if !members.next_value_seed(Copy(rest))? {
                rest.truncate(before);
            }
            // Of those that are null as well: so a key is seen to stand twice even where one of the two is null.
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            if keys.len() == MEMBERS {
                return Err(A::Error::custom(format_args!("more than {MEMBERS} members, which no message has")));
            }
            keys.insert(key);
        }
        rest.push(b'}');
        Ok(true)
    }
}

/// A key, which stays where it is unless something in it is escaped.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn rest(text: &str) -> String {
        String::from_utf8(without(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn members_that_are_null_go_and_everything_else_stays() {
        assert_eq!(
            rest(r#" {"a": null, "b" : [null, {"c": null}], "\n": "\"", "d": null} "#),
            r#"{"b":[null,{}],"\n":"\""}"#
        );
        assert_eq!(
            rest(r#"{"a": 1, "b": null, "c": -2.5, "d": true, "e": []}"#),
            r#"{"a":1,"c":-2.5,"d":true,"e":[]}"#
        );
        assert_eq!(rest("null"), "null");
        for text in ["", "{", "[1,", "{} {}", r#"{"a": null, "\u0061": 1}"#, r#"{"a": 1, "a": null}"#] {
            assert!(without(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_object_of_very_many_members_is_refused() {
        let of = |members: usize| {
            let members: Vec<_> = (0..members).map(|n| format!("\"{n}\":null")).collect();
            without(format!("{{{}}}", members.join(",")).as_bytes())
        };
        assert_eq!(of(MEMBERS).unwrap(), b"{}");
        assert!(of(MEMBERS + 1).unwrap_err().to_string().contains("members"));
    }

    fn without_nulls(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.retain(|_, value| !value.is_null());
                object.values_mut().for_each(without_nulls);
            }
            Value::Array(items) => items.iter_mut().for_each(without_nulls),
            _ => {}
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|n| Value::from(f64::from(n) / 4.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_but_nulls_is_lost(value in json()) {
            let mut left: Value = serde_json::from_slice(&without(value.to_string().as_bytes()).unwrap()).unwrap();
            let mut value: Value = serde_json::from_str(&value.to_string()).unwrap();
            without_nulls(&mut value);
            prop_assert_eq!(&left, &value);
            without_nulls(&mut left);
            prop_assert_eq!(left, value);
        }
    }
}
