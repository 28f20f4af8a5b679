//! Reading what servers answer.

use std::collections::HashMap;

use ::redis::Value;

use super::address::Address;
use super::trouble::Trouble;

/// What a server says it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// With these replicas, which follow it now.
    Primary {
        replicas: Vec<Address>,
    },
    Other(String),
}

fn unexpected(value: &Value) -> Trouble {
    // Never the value itself: it may be a record.
    let kind = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "a string",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    Trouble::Odd(format!("the server answered {kind} where that makes no sense: is it Redis 7 or Valkey?"))
}

pub(super) fn sound_one(value: Value) -> Result<Value, Trouble> {
    match &value {
        Value::ServerError(error) => Err(Trouble::of_server(error)),
        _ => Ok(value),
    }
}

/// Fails with the first error among the answers.
pub(super) fn sound(values: &[Value]) -> Result<(), Trouble> {
    values.iter().try_for_each(|value| match value {
        Value::ServerError(error) => Err(Trouble::of_server(error)),
        _ => Ok(()),
    })
}

pub(super) fn bytes(value: Value) -> Result<Option<Vec<u8>>, Trouble> {
    match sound_one(value)? {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn text(value: Value) -> Result<String, Trouble> {
    if let Value::SimpleString(text) = value {
        return Ok(text);
    }
    bytes(value).map(|bytes| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

pub(super) fn number(value: Value) -> Result<i64, Trouble> {
    match sound_one(value)? {
        Value::Int(number) => Ok(number),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn count(value: Value) -> Result<usize, Trouble> {
    number(value).map(|number| usize::try_from(number).unwrap_or(0))
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Trouble> {
    match sound_one(value)? {
        Value::Array(values) | Value::Set(values) => Ok(values),
        Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()),
        Value::Nil => Ok(Vec::new()),
        other => Err(unexpected(&other)),
    }
}

/// Reads the answer to `ROLE`.
pub(super) fn role(value: &Value) -> Result<Role, Trouble> {
    let parts = list(value.clone())?;
    let mut parts = parts.into_iter();
    let role = text(parts.next().unwrap_or(Value::Nil))?;
    if role == "master" {
        let replicas = list(parts.nth(1).unwrap_or(Value::Nil))?.into_iter().map(follower);
        Ok(Role::Primary { replicas: replicas.collect::<Result<_, _>>()? })
    } else {
        Ok(Role::Other(if role == "slave" { "replica".to_owned() } else { role }))
    }
}

/// Host and port, and what else stands behind them.
fn follower(value: Value) -> Result<Address, Trouble> {
    let mut parts = list(value)?.into_iter();
    let host = text(parts.next().unwrap_or(Value::Nil))?;
    let port = text(parts.next().unwrap_or(Value::Nil))?.parse().unwrap_or(0);
    Ok(Address { host, port })
}

/// Names and values in turn.
pub(super) fn pairs(values: Vec<Value>) -> Result<HashMap<String, String>, Trouble> {
    let mut pairs = HashMap::new();
    let mut values = values.into_iter();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        pairs.insert(text(name)?, text(value)?);
    }
    Ok(pairs)
}

/// One entry of a stream: the second half of its id, and its one field.
pub(super) fn stream_entry(value: Value) -> Result<(u64, Vec<u8>), Trouble> {
    let wrong =
        || Trouble::Refused("an entry of a stream is not one of ours: another program uses this database".into());
    let mut parts = list(value)?.into_iter();
    let (Some(id), Some(fields)) = (parts.next(), parts.next()) else { return Err(wrong()) };
    let id = text(id)?;
    let seq = id.strip_prefix("0-").and_then(|seq| seq.parse().ok()).ok_or_else(wrong)?;
    let field = list(fields)?.into_iter().nth(1).ok_or_else(wrong)?;
    Ok((seq, bytes(field)?.ok_or_else(wrong)?))
}
