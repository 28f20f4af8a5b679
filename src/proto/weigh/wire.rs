//! The walk over the wire format of protocol buffers.

use super::{Entries, Field, Heavy, Layout, Of, Scale, TEXT};

/// The value of a field, as far as its number does not matter.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A number, a flag or a term.
    Number(u64),
    /// A text, a message, or several numbers.
    Bytes(&'a [u8]),
    /// Anything else.
    Other,
}

/// The next field of a message: its number, its value, and what comes after it. Of a group, which the contract does not
/// have and decoders pass over, its fields come as if they were the message's own: whoever ends there would see less than
/// a decoder does.
#[must_use]
pub fn field(bytes: &[u8]) -> Option<(u64, Value<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let (value, rest) = match key & 7 {
        0 => varint(rest).map(|(value, rest)| (Value::Number(value), rest))?,
        1 => (Value::Other, rest.get(8..)?),
        2 => {
            let (length, rest) = varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Value::Bytes(value), rest)
        }
        3 | 4 => (Value::Other, rest),
        5 => (Value::Other, rest.get(4..)?),
        _ => return None,
    };
    Some((key >> 3, value, rest))
}

/// How many fields with this number come.
fn count(mut rest: &[u8], number: u64) -> usize {
    let mut count = 0;
    while let Some((other, _, after)) = field(rest) {
        rest = after;
        count += usize::from(other == number);
    }
    count
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

impl Scale {
    /// `in_row`: it stands in a list.
    pub(super) fn message(&mut self, layout: &Layout, mut rest: &[u8], in_row: bool) -> Result<(), Heavy> {
        let mut entries = Entries::of(layout, in_row);
        while let Some((number, value, after)) = field(rest) {
            rest = after;
            let known = layout.fields.iter().enumerate().find(|(_, field)| u64::from(field.number) == number);
            let Some((at, field)) = known else { continue };
            let weighed = match entries.one_more(layout, at, field) {
                Some(most) => Err(Heavy::too_many(most + 1 + count(rest, number), most)),
                None => self.value(field, value, in_row),
            };
            weighed.map_err(|heavy| heavy.within(layout.name, field.name))?;
        }
        Ok(())
    }

    fn value(&mut self, field: &Field, value: Value<'_>, in_row: bool) -> Result<(), Heavy> {
        match (field.of, value) {
            (Of::Message(inner), Value::Bytes(bytes)) => {
                if field.many {
                    self.take(inner.bytes)?;
                }
                self.message(inner, bytes, in_row || field.many)
            }
            (Of::Text, Value::Bytes(bytes)) => self.take(bytes.len() + if field.many { TEXT } else { 0 }),
            // Each of them is a byte at least.
            (Of::Scalar(size), Value::Bytes(packed)) => self.take(packed.len().saturating_mul(size)),
            (Of::Scalar(size), _) if field.many => self.take(size),
            _ => Ok(()),
        }
    }
}
