//! What a message takes in memory, told from its bytes before anything of it is decoded: an empty entry of a list is two
//! bytes on the wire and hundreds in memory, so a limit on bytes alone limits nothing.
//!
//! Promises: what is weighed is never lighter than what the decoders make of it, but for the room that a list grows into,
//! which is as much again; it costs a walk over the bytes, and no memory. What is no message is left to the decoders, which
//! say so. Guarded by `tests/access/weight.rs`.

mod json;
mod wire;

use std::fmt;

pub use wire::{Value, field};

/// The most checks of one batch.
pub const ROWS: usize = 1_000;
/// The most messages in any other list.
pub const ENTRIES: usize = 10_000;

/// What any message may take in memory, before its own length is counted.
pub const FREE: usize = 8 << 20;
/// The same of a message of a stream, of which many are held.
pub const FREE_IN_STREAM: usize = 1 << 20;
/// How many bytes of memory each byte of a message stands for. A consent with an instant, a seller and a sentence of wording
/// takes five; shorter ones take more, for which there is what is free. With more than this the longest message would not fit
/// into the half of what is held of all, which is what a tenant may have that is alone.
const EACH: usize = 6;
/// Shorter messages take little whatever they hold: nothing that is asked of every check has to be paid for them.
pub const LIGHT: usize = 1 << 10;

/// What a text of a list takes beside its bytes.
const TEXT: usize = size_of::<String>();
/// What a value takes of which the contract does not say what it is, until it is refused.
const UNKNOWN: usize = 64;

/// A message as it is in memory.
#[derive(Debug)]
pub struct Layout {
    name: &'static str,
    /// The message itself, with those within it of which there is one.
    bytes: usize,
    fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
struct Field {
    number: u32,
    name: &'static str,
    json: &'static str,
    many: bool,
    of: Of,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// A number, a flag or a term, of so many bytes.
    Scalar(usize),
    Text,
    Message(&'static Layout),
}

/// A message that is sent to a service, or by one.
pub trait Weighed {
    /// Of what services take.
    const LAYOUT: Option<&'static Layout> = None;
}

mod generated {
    use super::{Field, Layout, Of, Weighed};
    include!(concat!(env!("OUT_DIR"), "/layouts.rs"));
}

/// Why a message is not decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heavy {
    /// The messages and fields that lead there, the innermost first.
    path: Vec<(&'static str, &'static str)>,
    why: String,
}

impl Heavy {
    /// Which field it is: `evidence.consents`.
    #[must_use]
    pub fn field(&self) -> String {
        let names: Vec<_> = self.path.iter().rev().map(|(_, field)| *field).collect();
        names.join(".")
    }

    /// What is wrong with it.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    fn too_many(had: usize, most: usize) -> Self {
        // Longer runs of digits are not said back: they may be somebody's number.
        let had = if had < 1_000_000 { had.to_string() } else { "a million or more".to_owned() };
        Self { path: Vec::new(), why: format!("has {had} entries; at most {most} are accepted") }
    }

    fn too_much(most: usize) -> Self {
        let why = format!(
            "holds so many small entries that the message would take more than {} KiB of memory: send it in parts",
            most >> 10
        );
        Self { path: Vec::new(), why }
    }

    fn within(mut self, message: &'static str, field: &'static str) -> Self {
        self.path.push((message, field));
        self
    }
}

/// In the words in which `prost` says that a message does not decode, so that whoever reads those finds the field.
impl fmt::Display for Heavy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to decode Protobuf message: ")?;
        // As there, the innermost first.
        for (message, field) in &self.path {
            write!(f, "{message}.{field}: ")?;
        }
        f.write_str(&self.why)
    }
}

/// What may still be taken.
#[derive(Debug)]
struct Scale {
    most: usize,
    left: usize,
}

impl Scale {
    fn new(layout: &Layout, free: usize, length: usize) -> Result<Self, Heavy> {
        let most = free.saturating_add(length.saturating_mul(EACH));
        let mut scale = Self { most, left: most };
        scale.take(layout.bytes)?;
        Ok(scale)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Heavy> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| Heavy::too_much(self.most))?;
        Ok(())
    }

    const fn taken(&self) -> usize {
        self.most - self.left
    }
}

impl Layout {
    /// What this message, as it stands on the wire, takes in memory.
    ///
    /// # Errors
    /// It takes more than `free` and a few times its own length, or has a list that is too long.
    pub fn weigh(&self, bytes: &[u8], free: usize) -> Result<usize, Heavy> {
        let mut scale = Scale::new(self, free, bytes.len())?;
        scale.message(self, bytes, false)?;
        Ok(scale.taken())
    }

    /// The same of a message in JSON.
    ///
    /// # Errors
    /// See [`Layout::weigh`].
    pub fn weigh_json(&'static self, text: &[u8], free: usize) -> Result<usize, Heavy> {
        let mut scale = Scale::new(self, free, text.len())?;
        json::message(&mut scale, self, text)?;
        Ok(scale.taken())
    }

    /// The most entries of a list of messages.
    fn most(&self, field: &Field) -> usize {
        if self.name == "CheckBatchRequest" && field.name == "checks" { ROWS } else { ENTRIES }
    }
}

/// Counts the entries of the lists of one message, where they are to be counted: in the rows of a list a list that is too
/// long is the fault of its row, and found by whoever answers that.
#[derive(Debug, Default)]
struct Entries(smallvec::SmallVec<[usize; 32]>);

impl Entries {
    fn of(layout: &Layout, in_row: bool) -> Self {
        if in_row { Self::default() } else { Self(smallvec::SmallVec::from_elem(0, layout.fields.len())) }
    }

    /// Another entry has come: the most that there may be, where it is one too many.
    fn one_more(&mut self, layout: &Layout, at: usize, field: &Field) -> Option<usize> {
        let had = self.0.get_mut(at).filter(|_| field.many && matches!(field.of, Of::Message(_)))?;
        *had += 1;
        let most = layout.most(field);
        (*had > most).then_some(most)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto::v1;

    const MESSAGE: usize = 16 << 20;

    fn batch(rows: usize, consents: usize) -> v1::CheckBatchRequest {
        let consent = v1::Consent { sellers: vec!["acme".to_owned()], channels: vec![1, 2], ..Default::default() };
        let evidence = v1::Evidence { consents: vec![consent; consents], ..Default::default() };
        let check = v1::CheckRequest { number: "+13055550123".into(), evidence: Some(evidence), ..Default::default() };
        v1::CheckBatchRequest { checks: vec![check; rows] }
    }

    fn weighed(batch: &v1::CheckBatchRequest, free: usize) -> [Result<usize, Heavy>; 2] {
        let layout = v1::CheckBatchRequest::LAYOUT.unwrap();
        [layout.weigh(&batch.encode_to_vec(), free), layout.weigh_json(&serde_json::to_vec(batch).unwrap(), free)]
    }

    #[test]
    fn every_entry_is_weighed_on_both_wires() {
        for (rows, consents) in [(0, 0), (1, 0), (7, 3), (1_000, 10)] {
            let consent = size_of::<v1::Consent>() + size_of::<String>() + 4 + 2 * 4;
            let least = rows * (size_of::<v1::CheckRequest>() + 12 + consents * consent);
            for weight in weighed(&batch(rows, consents), FREE) {
                let weight = weight.unwrap();
                assert!(weight >= least && weight < 2 * least + 100, "{weight} of {least}");
            }
        }
    }

    #[test]
    fn the_longest_batch_of_whole_consents_is_taken() {
        let consent = v1::Consent {
            grade: v1::ConsentGrade::ExpressWritten.into(),
            sellers: vec!["acme".to_owned()],
            given_at: Some(crate::proto::well_known::Timestamp { seconds: 1_790_000_000, nanos: 0 }),
            wording: "x".repeat(150),
            ..Default::default()
        };
        let each = consent.encoded_len() + 4;
        let evidence = v1::Evidence { consents: vec![consent; (MESSAGE / ROWS - 40) / each], ..Default::default() };
        let check = v1::CheckRequest { number: "+13055550123".into(), evidence: Some(evidence), ..Default::default() };
        let batch = v1::CheckBatchRequest { checks: vec![check; ROWS] };
        assert!((MESSAGE - MESSAGE / 20..MESSAGE).contains(&batch.encoded_len()), "{}", batch.encoded_len());
        let weight = v1::CheckBatchRequest::LAYOUT.unwrap().weigh(&batch.encode_to_vec(), FREE).unwrap();
        // As it came and as it was read, the longest message fits into the half of what is held of all.
        const { assert!(FREE + EACH * MESSAGE + MESSAGE <= 128 << 20) };
        assert!(weight <= FREE + EACH * MESSAGE, "{weight} bytes of {}", batch.encoded_len());
    }

    #[test]
    fn what_is_too_many_or_too_much_is_told_with_its_field() {
        for heavy in weighed(&batch(ROWS + 1, 0), FREE) {
            let heavy = heavy.unwrap_err();
            assert_eq!(heavy.field(), "checks");
            assert!(heavy.why().contains("1000"), "{heavy}");
        }
        let heavy = weighed(&batch(100, 100), 1 << 10).map(Result::unwrap_err);
        assert!(heavy.iter().all(|heavy| heavy.field().starts_with("checks.evidence.consents")), "{heavy:?}");
        assert!(heavy.iter().all(|heavy| heavy.why().contains("KiB")), "{heavy:?}");
    }

    #[test]
    fn what_comes_after_a_group_or_what_is_not_known_is_seen() {
        let layout = v1::CheckBatchRequest::LAYOUT.unwrap();
        let rows = [0x0a, 0].repeat(ROWS + 1);
        for before in [&[][..], &[0xfb, 0x3f, 0xfc, 0x3f], &[0xfa, 0x3f, 1, 7], &[0xf9, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let bytes = [before, &rows].concat();
            assert_eq!(v1::CheckBatchRequest::decode(&bytes[..]).unwrap().checks.len(), ROWS + 1);
            assert_eq!(layout.weigh(&bytes, FREE).unwrap_err().field(), "checks");
        }
        // What is no message is left to the decoder.
        assert!(layout.weigh(&[0x0a, 0x7f, 1], FREE).is_ok() && layout.weigh_json(b"{\"checks\":[{},", FREE).is_ok());
        assert!(layout.weigh_json(b"{\"colours\":[[],[],[]]}", 2 * UNKNOWN).is_err());
    }
}
