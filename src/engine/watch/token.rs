//! Resume tokens: where a watcher stands, sealed, so that nobody can make one up or read how busy a tenant is.
//!
//! A token is good for the tenant, the store and the sellers that it was made for: brought to another watch it would
//! pass events over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;

use super::place::{Place, TOO_OLD};
use crate::contact::wire::Violation;
use crate::engine::Failure;
use crate::store::{Keys, Purpose, SealError};
use crate::time::Instant;

/// The form of tokens that this build writes and reads.
const FORM: u32 = 1;

/// Where a watcher stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// When it was made.
    pub issued_at: Instant,
    /// Up to when all that was recorded had been read: earlier than that where the store could not be asked.
    pub current: Instant,
    /// By shard.
    pub places: Vec<Place>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Good<'a> {
    pub tenant: &'a str,
    pub store: u64,
    pub sellers: &'a [String],
}

#[derive(Clone, PartialEq, Message)]
struct Plain {
    #[prost(uint32, tag = "1")]
    form: u32,
    #[prost(sint64, tag = "2")]
    issued_at: i64,
    #[prost(fixed64, tag = "3")]
    store: u64,
    #[prost(fixed64, tag = "4")]
    sellers: u64,
    #[prost(uint64, repeated, tag = "5")]
    places: Vec<u64>,
    #[prost(fixed32, repeated, tag = "6")]
    marks: Vec<u32>,
    #[prost(sint64, tag = "7")]
    current: i64,
}

impl Good<'_> {
    fn context(&self) -> Vec<u8> {
        [b"watch/", self.tenant.as_bytes()].concat()
    }

    /// Names the sellers, whatever their order.
    fn fingerprint(&self) -> u64 {
        let mut sellers: Vec<String> = self.sellers.iter().map(|seller| seller.to_lowercase()).collect();
        sellers.sort();
        sellers.dedup();
        let mut text = Vec::new();
        for seller in &sellers {
            text.extend_from_slice(&seller.len().to_le_bytes());
            text.extend_from_slice(seller.as_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = crate::store::sha256(&text);
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Token {
    pub(super) fn seal(&self, keys: &Keys, good: &Good<'_>) -> Result<String, Failure> {
        let plain = Plain {
            form: FORM,
            issued_at: self.issued_at.millis(),
            store: good.store,
            sellers: good.fingerprint(),
            places: self.places.iter().map(|place| place.seq).collect(),
            marks: self.places.iter().map(|place| place.mark).collect(),
            current: self.current.millis(),
        };
        let sealed = keys.seal_bytes(Purpose::Token, &good.context(), &plain.encode_to_vec())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    pub(super) fn open(text: &str, keys: &Keys, good: &Good<'_>, shards: usize) -> Result<Self, Failure> {
        let none = || fault("is no token of this service, or of another tenant's");
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| none())?;
        let plain = match keys.open_bytes(Purpose::Token, &good.context(), &sealed) {
            Ok(plain) => plain,
            // Its key was taken out of the keys file: long ago.
            Err(SealError::UnknownKey(_)) => return Err(Failure::TooOld(TOO_OLD)),
            Err(_) => return Err(none()),
        };
        let plain = Plain::decode(plain.as_slice()).map_err(|_| none())?;
        if plain.form != FORM {
            return Err(fault("was made by a newer build: bring it to one"));
        }
        if plain.store != good.store || plain.places.len() != shards || plain.marks.len() != shards {
            return Err(Failure::TooOld(TOO_OLD));
        }
        if plain.sellers != good.fingerprint() {
            return Err(fault("is of a watch with other `sellers`: what it left out would never come"));
        }
        let places = plain.places.into_iter().zip(plain.marks).map(|(seq, mark)| Place { seq, mark });
        let (issued_at, current) = (Instant::from_millis(plain.issued_at), Instant::from_millis(plain.current));
        Ok(Self { issued_at, current, places: places.collect() })
    }
}

fn fault(message: &str) -> Failure {
    Failure::Invalid(vec![Violation { field: "resume_token".to_owned(), message: message.to_owned() }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn good<'a>(tenant: &'a str, sellers: &'a [String]) -> Good<'a> {
        Good { tenant, store: 7, sellers }
    }

    #[test]
    fn a_token_is_good_for_what_it_was_made_for_and_for_nothing_else() {
        let keys = Keys::ephemeral().unwrap();
        let token = Token {
            issued_at: Instant::from_millis(5),
            current: Instant::from_millis(4),
            places: vec![Place { seq: 300, mark: 9 }],
        };
        let sellers = ["b".to_owned(), "A".to_owned()];
        let text = token.seal(&keys, &good("t", &sellers)).unwrap();
        let again = ["a".to_owned(), "B".to_owned()];
        assert_eq!(Token::open(&text, &keys, &good("t", &again), 1).unwrap(), token);
        let open = |good: &Good<'_>, shards| Token::open(&text, &keys, good, shards).unwrap_err();
        assert!(matches!(open(&good("u", &sellers), 1), Failure::Invalid(_)), "another tenant's");
        assert!(matches!(open(&good("t", &[]), 1), Failure::Invalid(_)), "of other sellers");
        assert!(matches!(open(&Good { store: 8, ..good("t", &sellers) }, 1), Failure::TooOld(_)), "of another store");
        assert!(matches!(open(&good("t", &sellers), 2), Failure::TooOld(_)), "of another number of shards");
        let other = Keys::ephemeral().unwrap();
        assert!(Token::open(&text, &other, &good("t", &sellers), 1).is_err(), "of other keys");
    }

    #[test]
    fn a_token_altered_anywhere_is_refused() {
        let keys = Keys::ephemeral().unwrap();
        let token = Token {
            issued_at: Instant::from_millis(5),
            current: Instant::from_millis(4),
            places: vec![Place { seq: 1, mark: 2 }],
        };
        let text = token.seal(&keys, &good("t", &[])).unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            let byte = bytes.get_mut(at).unwrap();
            *byte = if *byte == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(Token::open(&altered, &keys, &good("t", &[]), 1).is_err(), "at {at}");
        }
        for text in ["", "x", "%%%", "AAAA", &text[1..]] {
            assert!(Token::open(text, &keys, &good("t", &[]), 1).is_err(), "{text}");
        }
    }
}
