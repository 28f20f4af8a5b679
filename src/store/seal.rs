//! Sealing bytes: AES-256-GCM-SIV (RFC 8452) under a random 96-bit nonce.
//!
//! Why this cipher: a store seals for years under one key. With plain AES-GCM a nonce that comes up twice is a disaster,
//! so random nonces bound a key to some 2^32 sealings, days of heavy traffic. Here a repeated nonce reveals only whether
//! the two plaintexts are equal, and the chance of any repetition among n sealings is below n² / 2^97: one in 100,000
//! after 2^40. Rotating the sealing keys now and then is for other reasons.
//!
//! The associated data name the purpose and the record, so sealed bytes moved elsewhere do not open. The clear header
//! (format, key id) is part of them too.

use std::cell::RefCell;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use smallvec::SmallVec;
use zeroize::Zeroizing;

const TAG_LEN: usize = 16;

/// What sealed bytes are. Bytes sealed for one purpose do not open for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A contact record's content.
    Record = 1,
    /// A contact's own key, or a day's.
    Key = 2,
    /// The body of an audit entry.
    AuditBody = 3,
    /// The payload of an event.
    Payload = 4,
    /// A small named value of the store.
    Meta = 5,
    /// A token handed out to be brought back.
    Token = 6,
}

/// Why sealed bytes do not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    /// Sealed under a key that is not in the keys file.
    #[error("sealed under key {0}, which is not in the keys file")]
    UnknownKey(u32),
    /// Altered, cut, moved from elsewhere, or sealed under another key.
    #[error("the sealed bytes do not open: altered, moved, or sealed under another key")]
    Damaged,
    /// The system gave no random bytes, or the cipher refused.
    #[error("the system's cryptography failed")]
    Cryptography,
}

/// A cipher key ready for use; wiped when dropped.
pub(super) struct Cipher(LessSafeKey);

impl Cipher {
    pub(super) fn new(key: &[u8; 32]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| SealError::Cryptography)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Appends nonce, ciphertext and tag to `out`, whose present content is the clear header.
    pub(super) fn seal(
        &self,
        out: &mut Vec<u8>,
        purpose: Purpose,
        context: &[u8],
        plain: &[u8],
    ) -> Result<(), SealError> {
        let aad = associated(out, purpose, context);
        let nonce = nonce()?;
        out.reserve_exact(NONCE_LEN + plain.len() + TAG_LEN);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let body = out.get_mut(start..).unwrap_or_default();
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
            .map_err(|_| SealError::Cryptography)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens what [`Cipher::seal`] appended after this header.
    pub(super) fn open(
        &self,
        header: &[u8],
        purpose: Purpose,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Damaged)?;
        let length = body.len().checked_sub(TAG_LEN).ok_or(SealError::Damaged)?;
        let (body, tag) = body.split_at_checked(length).ok_or(SealError::Damaged)?;
        let mut plain = vec![0; length];
        let aad = Aad::from(associated(header, purpose, context));
        self.0
            .open_separate_gather(Nonce::assume_unique_for_key(*nonce), aad, body, tag, &mut plain)
            .map_err(|_| SealError::Damaged)?;
        Ok(plain)
    }
}

fn associated(header: &[u8], purpose: Purpose, context: &[u8]) -> SmallVec<[u8; 64]> {
    // Headers have one length per format byte, which comes first, so no two triples give the same bytes.
    let mut out = SmallVec::new();
    out.extend_from_slice(header);
    out.push(purpose as u8);
    out.extend_from_slice(context);
    out
}

thread_local! {
    /// Nonces drawn ahead. Asking the generator costs more than sealing a record does, however little one asks for.
    static NONCES: RefCell<Vec<[u8; NONCE_LEN]>> = const { RefCell::new(Vec::new()) };
}

/// A random nonce, used by nobody else.
fn nonce() -> Result<[u8; NONCE_LEN], SealError> {
    NONCES.with_borrow_mut(|nonces| {
        if nonces.is_empty() {
            nonces.extend_from_slice(random::<{ 128 * NONCE_LEN }>()?.as_chunks().0);
        }
        nonces.pop().ok_or(SealError::Cryptography)
    })
}

/// Fresh random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut out = [0; N];
    aws_lc_rs::rand::fill(&mut out).map_err(|_| SealError::Cryptography)?;
    Ok(out)
}

/// A key that seals data and is itself kept sealed: a contact's own, or a day's. Destroying every copy of it erases what
/// it sealed, wherever that is kept.
pub struct DataKey {
    raw: Zeroizing<[u8; 32]>,
    cipher: Cipher,
}

const UNDER_DATA_KEY: u8 = 2;

impl DataKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, SealError> {
        Self::new(Zeroizing::new(random()?))
    }

    pub(super) fn new(raw: Zeroizing<[u8; 32]>) -> Result<Self, SealError> {
        let cipher = Cipher::new(&raw)?;
        Ok(Self { raw, cipher })
    }

    pub(super) fn raw(&self) -> &[u8; 32] {
        &self.raw
    }

    /// Seals `plain`; `context` says what it belongs to (a record's key, a decision's id) and is needed to open it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
        out.push(UNDER_DATA_KEY);
        self.cipher.seal(&mut out, purpose, context, plain)?;
        Ok(out)
    }

    /// What salts a commitment to something sealed under this key. May be told together with it, and says nothing of the
    /// key; gone with the key.
    #[must_use]
    pub fn salt(&self, context: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.raw);
        let mut text: SmallVec<[u8; 64]> = SmallVec::new();
        text.extend_from_slice(b"ringfence salt 1\0");
        text.extend_from_slice(context);
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&key, &text).as_ref());
        out
    }

    /// Opens what [`DataKey::seal`] made with the same purpose and context.
    ///
    /// # Errors
    /// When the bytes were altered, moved, or sealed under another key.
    pub fn open(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        match sealed.split_first() {
            Some((&UNDER_DATA_KEY, rest)) => self.cipher.open(&[UNDER_DATA_KEY], purpose, context, rest),
            _ => Err(SealError::Damaged),
        }
    }
}

/// Shows nothing of the key.
impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}
