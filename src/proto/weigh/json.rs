//! The walk over proto3 JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Field, Heavy, Layout, Of, Scale, TEXT, UNKNOWN};

/// Weighs a message. What is no JSON is left to whoever reads it.
pub(super) fn message(scale: &mut Scale, layout: &'static Layout, text: &[u8]) -> Result<(), Heavy> {
    let mut walk = Walk { scale, heavy: None };
    let node = Node { walk: &mut walk, what: What::Message(layout), in_row: false };
    let _ = node.deserialize(&mut serde_json::Deserializer::from_slice(text));
    walk.heavy.map_or(Ok(()), Err)
}

struct Walk<'a> {
    scale: &'a mut Scale,
    /// Why it ended: an error of serde holds a text alone.
    heavy: Option<Heavy>,
}

impl Walk<'_> {
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        let taken = self.scale.take(bytes);
        self.or_end(taken)
    }

    fn or_end<E: Error>(&mut self, weighed: Result<(), Heavy>) -> Result<(), E> {
        weighed.map_err(|heavy| {
            self.heavy = Some(heavy);
            E::custom("heavy")
        })
    }
}

/// What is expected at a place.
#[derive(Clone, Copy)]
enum What {
    Message(&'static Layout),
    /// A list of this message.
    List(&'static Layout, &'static Field),
    Text,
    Scalar,
    Unknown,
}

impl What {
    const fn one(of: Of) -> Self {
        match of {
            Of::Message(layout) => Self::Message(layout),
            Of::Text => Self::Text,
            Of::Scalar(_) => Self::Scalar,
        }
    }

    /// What an entry takes beside what is in it, and what it is.
    const fn entry(self) -> (usize, Self) {
        let Self::List(_, field) = self else { return (UNKNOWN, Self::Unknown) };
        let size = match field.of {
            Of::Message(layout) => layout.bytes,
            Of::Text => TEXT,
            Of::Scalar(size) => size,
        };
        (size, Self::one(field.of))
    }
}

struct Node<'w, 's> {
    walk: &'w mut Walk<'s>,
    what: What,
    /// It stands in a list.
    in_row: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let parts = match self.what {
            // A mask of fields is one text here, and a list of texts once it is read.
            What::Message(_) => text.bytes().filter(|byte| *byte == b',').count().saturating_add(1),
            _ => 0,
        };
        self.walk.take(text.len().saturating_add(parts.saturating_mul(TEXT)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { walk, what, in_row } = self;
        let (size, entry) = what.entry();
        let most = match (what, entry) {
            (What::List(layout, field), What::Message(_)) if !in_row => layout.most(field),
            _ => usize::MAX,
        };
        let mut had = 0_usize;
        while list.next_element_seed(Node { walk, what: entry, in_row: true })?.is_some() {
            had += 1;
            if had > most {
                // What is no JSON ends the count, and is refused all the same.
                while let Ok(Some(IgnoredAny)) = list.next_element() {
                    had += 1;
                }
                return walk.or_end(Err(Heavy::too_many(had, most)));
            }
            walk.take(size)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { walk, what, in_row } = self;
        let layout = if let What::Message(layout) = what { Some(layout) } else { None };
        while let Some(field) = members.next_key_seed(Key(layout))? {
            let within = match field {
                None => What::Unknown,
                Some((layout, field)) if field.many => What::List(layout, field),
                Some((_, field)) => What::one(field.of),
            };
            if field.is_none() {
                walk.take(UNKNOWN)?;
            }
            let weighed = members.next_value_seed(Node { walk, what: within, in_row });
            if let (Some(heavy), Some((layout, field))) = (&mut walk.heavy, field) {
                heavy.path.push((layout.name, field.name));
            }
            weighed?;
        }
        Ok(())
    }
}

/// The field that a key names, with its message.
struct Key(Option<&'static Layout>);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<(&'static Layout, &'static Field)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<(&'static Layout, &'static Field)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let named = |layout: &'static Layout| layout.fields.iter().find(|field| field.json == key || field.name == key);
        Ok(self.0.and_then(|layout| Some((layout, named(layout)?))))
    }
}
