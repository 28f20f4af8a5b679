//! The keys file: one hash key, and the sealing keys, of which one seals.
//!
//! Lose it and the store cannot be read; let it be copied together with the store and everybody in it can be found. So
//! it is readable by its owner only, never inside the data folder, never overwritten but by its successor, never
//! printed; and a store remembers which keys it was made with and which of them it needs.
//!
//! How sealing keys rotate while the store is in use, and why nothing is lost:
//!
//! 1. A new key is *known* before it seals: hosts get it in their files, and tell the store so ([`instances`]).
//! 2. It *seals*: the store's ledger ([`Ledger`]) names it, and every process that sees this seals with it too, whatever
//!    its own file says. The ledger's key never goes back, so no process that starts later seals with an older one.
//! 3. A process says that it has left the old key only once no operation of it holds that key any more ([`KeyRing`]).
//! 4. Once every process has said so, nothing new comes under the old key. Then all records are walked and those under
//!    it sealed anew ([`rewrap`]), walk after walk until one finds none.
//! 5. Only then the ledger stops needing the old key, and only what the ledger does not need may leave a file.

mod file;
mod instances;
mod ledger;
mod named;
mod rewrap;
mod ring;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

pub(crate) use self::file::lies_inside;
pub use self::file::{KeysError, KeysFile};
pub use self::instances::{Instance, instances, withdraw};
pub use self::ledger::Ledger;
pub use self::rewrap::{Rewrap, Walked, counted};
pub use self::ring::{KeyChange, KeyRing};
pub use self::text::KeyState;
use self::text::Written;
use super::seal::Cipher;
use super::{DataKey, Key, Purpose, SealError, Shard};
use crate::time::Instant;

const UNDER_SEALING_KEY: u8 = 1;
const HEADER_LEN: usize = 5;
/// Header, nonce, key, tag.
const WRAPPED_LEN: usize = HEADER_LEN + 12 + 32 + 16;

/// Tells sealing keys of one number apart: a MAC of the key. Of no use to whoever has not the keys.
pub type Mark = [u8; 8];

struct SealingKey {
    about: KeyAbout,
    cipher: Cipher,
}

/// What may be told of a sealing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyAbout {
    /// Its number.
    pub id: u32,
    /// What the file uses it for.
    pub state: KeyState,
    /// Since when; files of earlier releases do not say.
    pub since: Option<Instant>,
    /// Two files have the same key if it has the same mark.
    pub mark: Mark,
}

/// The keys of a store.
#[derive(Clone)]
pub struct Keys {
    path: PathBuf,
    /// Never written down.
    ephemeral: bool,
    hash: hmac::Key,
    mark: [u8; 4],
    /// Never empty; numbers rise.
    seals: Arc<[SealingKey]>,
    /// Which of them seals: the file's, or a later one that the store wants.
    sealing: usize,
}

/// A tenant of a store: its keyed tag, computed once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenant {
    name: Box<str>,
    tag: [u8; 8],
    shards: u16,
}

impl Tenant {
    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its slice `index` of the store.
    #[must_use]
    pub const fn shard(&self, index: u16) -> Shard {
        Shard::new(self.tag, index)
    }
}

impl Keys {
    fn of(path: PathBuf, written: &Written) -> Result<Self, SealError> {
        let hash = hmac::Key::new(hmac::HMAC_SHA256, &*written.hash);
        let mut seals = Vec::with_capacity(written.seals.len());
        for key in &written.seals {
            let mut mac = hmac::Context::with_key(&hash);
            mac.update(b"sealing key");
            mac.update(&key.id.to_le_bytes());
            mac.update(&*key.raw);
            let mut mark = Mark::default();
            mark.iter_mut().zip(mac.sign().as_ref()).for_each(|(to, from)| *to = *from);
            let about = KeyAbout { id: key.id, state: key.state, since: key.since, mark };
            seals.push(SealingKey { about, cipher: Cipher::new(&key.raw)? });
        }
        let sealing = seals.iter().position(|key| key.about.id == written.sealing()).unwrap_or(0);
        // Never zeros, which an entry without a tag has.
        let mark = hmac::sign(&hash, b"hash mark").as_ref().first_chunk().copied().unwrap_or_default();
        let mark = if mark == [0; 4] { [1; 4] } else { mark };
        Ok(Self { path, ephemeral: false, hash, mark, seals: seals.into(), sealing })
    }

    /// The file they are from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sealing keys, by number.
    #[must_use]
    pub fn about(&self) -> Vec<KeyAbout> {
        self.seals.iter().map(|key| key.about).collect()
    }

    /// Whether there is a sealing key of this number.
    #[must_use]
    pub fn knows(&self, id: u32) -> bool {
        self.seals.iter().any(|key| key.about.id == id)
    }

    /// The same keys, of which this one seals.
    fn sealing_with(mut self, id: u32) -> Result<Self, SealError> {
        let found = self.seals.iter().position(|key| key.about.id == id);
        self.sealing = found.ok_or(SealError::UnknownKey(id))?;
        Ok(self)
    }

    /// Whether records are found alike by both.
    fn same_hash(&self, other: &Self) -> bool {
        let text = b"the same hash key";
        hmac::verify(&self.hash, text, hmac::sign(&other.hash, text).as_ref()).is_ok()
    }

    /// A tenant whose records spread over so many shards: 1 in the embedded store. The number is fixed when a store is
    /// made, since it decides where records are.
    #[must_use]
    pub fn tenant(&self, name: &str, shards: u16) -> Tenant {
        let mut tag = [0; 8];
        let mac = self.mac(&[b"tenant", name.as_bytes()]);
        tag.iter_mut().zip(mac.as_ref()).for_each(|(to, from)| *to = *from);
        Tenant { name: name.into(), tag, shards: shards.max(1) }
    }

    /// The key of the record about this number (in E.164).
    #[must_use]
    pub fn tag(&self, tenant: &Tenant, number: &str) -> Key {
        let mac = self.mac(&[b"number", tenant.name.as_bytes(), number.as_bytes()]);
        let mut tag = [0; 32];
        tag.copy_from_slice(mac.as_ref());
        self.key_of(tenant, tag)
    }

    /// The tag of a number (the digits of its E.164 form) in a list of the first tenant's own.
    #[must_use]
    pub fn listed(&self, list: &str, e164_digits: u64) -> u64 {
        let mac = self.mac(&[b"listed", list.as_bytes(), &e164_digits.to_le_bytes()]);
        mac.as_ref().first_chunk().map_or(0, |tag| u64::from_le_bytes(*tag))
    }

    /// The same in a list of this tenant's own, which is not the first: no tag of one tenant is one of another's.
    #[must_use]
    pub fn listed_by(&self, tenant: &str, list: &str, e164_digits: u64) -> u64 {
        let mac = self.mac(&[b"listed", tenant.as_bytes(), list.as_bytes(), &e164_digits.to_le_bytes()]);
        mac.as_ref().first_chunk().map_or(0, |tag| u64::from_le_bytes(*tag))
    }

    /// Tells the lists of one tenant from those of another under these keys; says nothing of keys or name.
    #[must_use]
    pub fn list_mark(&self, tenant: &str) -> [u8; 4] {
        self.mac(&[b"list mark", tenant.as_bytes()]).as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The key of the record that holds the tenant's switches: no number has it.
    #[must_use]
    pub fn control(&self, tenant: &Tenant) -> Key {
        let mac = self.mac(&[b"control", tenant.name.as_bytes()]);
        let mut tag = [0; 32];
        tag.copy_from_slice(mac.as_ref());
        self.key_of(tenant, tag)
    }

    /// The key of a share of the index of the tenant's requests: no number has it.
    #[must_use]
    pub fn requests(&self, tenant: &Tenant, share: u8) -> Key {
        let mac = self.mac(&[b"requests", tenant.name.as_bytes(), &[share]]);
        let mut tag = [0; 32];
        tag.copy_from_slice(mac.as_ref());
        self.key_of(tenant, tag)
    }

    /// What a number is bound with in the log, of the contact with this tag: without the hash key nobody has it.
    #[must_use]
    pub fn name_key(&self, tag: &[u8; 32]) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.mac(&[b"name", tag]).as_ref());
        key
    }

    /// Tells hash keys apart, and so under which a tag was made; says nothing of the key.
    #[must_use]
    pub const fn hash_mark(&self) -> [u8; 4] {
        self.mark
    }

    /// The tag by which the audit log knows a campaign: without the hash key it says nothing about the name.
    #[must_use]
    pub fn campaign(&self, tenant: &Tenant, name: &str) -> [u8; 16] {
        let mac = self.mac(&[b"campaign", tenant.name.as_bytes(), name.as_bytes()]);
        mac.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The key of the record with this tag.
    #[must_use]
    #[allow(clippy::unused_self, reason = "a key is only made by who holds the keys")]
    pub fn key_of(&self, tenant: &Tenant, tag: [u8; 32]) -> Key {
        let [.., a, b] = tag;
        Key::new(tenant.shard(u16::from_be_bytes([a, b]) % tenant.shards), tag)
    }

    /// The MAC of these parts, each with its length, so that no two lists of parts collide.
    fn mac(&self, parts: &[&[u8]]) -> hmac::Tag {
        let mut text: smallvec::SmallVec<[u8; 128]> = smallvec::SmallVec::new();
        for part in parts {
            text.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            text.extend_from_slice(part);
        }
        hmac::sign(&self.hash, &text)
    }

    /// The number of the key that seals.
    #[must_use]
    pub fn sealing_id(&self) -> u32 {
        self.seals.get(self.sealing).map_or(0, |key| key.about.id)
    }

    /// Seals bytes under the key that seals; `context` is needed to open them.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal_bytes(&self, purpose: Purpose, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.seals.get(self.sealing).ok_or(SealError::Cryptography)?;
        let mut out = Vec::with_capacity(WRAPPED_LEN - 32 + plain.len());
        out.push(UNDER_SEALING_KEY);
        out.extend_from_slice(&key.about.id.to_le_bytes());
        key.cipher.seal(&mut out, purpose, context, plain)?;
        Ok(out)
    }

    /// Opens what [`Keys::seal_bytes`] made, under whichever of the keys.
    ///
    /// # Errors
    /// When the key is not in the file, or the bytes were altered or moved.
    pub fn open_bytes(&self, purpose: Purpose, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (header, rest) = sealed.split_first_chunk::<HEADER_LEN>().ok_or(SealError::Damaged)?;
        let [UNDER_SEALING_KEY, id @ ..] = *header else { return Err(SealError::Damaged) };
        let id = u32::from_le_bytes(id);
        let key = self.seals.iter().rev().find(|key| key.about.id == id).ok_or(SealError::UnknownKey(id))?;
        key.cipher.open(header, purpose, context, rest)
    }

    /// Seals a data key, for this context only.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn wrap(&self, context: &[u8], key: &DataKey) -> Result<Vec<u8>, SealError> {
        self.seal_bytes(Purpose::Key, context, key.raw())
    }

    /// Opens a sealed data key.
    ///
    /// # Errors
    /// As [`Keys::open_bytes`].
    pub fn unwrap(&self, context: &[u8], sealed: &[u8]) -> Result<DataKey, SealError> {
        let raw = Zeroizing::new(self.open_bytes(Purpose::Key, context, sealed)?);
        let key: &[u8; 32] = raw.as_slice().try_into().map_err(|_| SealError::Damaged)?;
        DataKey::new(Zeroizing::new(*key))
    }

    /// A contact record as stored: the contact's own key, sealed under the key that seals, then the record sealed
    /// under the contact's own key. So destroying those first bytes in every copy erases the contact, and rotating the
    /// sealing keys touches only them.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal_record(&self, key: &Key, own: &DataKey, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let context = key.to_bytes();
        let mut out = self.wrap(&context, own)?;
        out.extend(own.seal(Purpose::Record, &context, plain)?);
        Ok(out)
    }

    /// Opens what [`Keys::seal_record`] made for the same key: the contact's own key, and the record.
    ///
    /// # Errors
    /// As [`Keys::open_bytes`].
    pub fn open_record(&self, key: &Key, sealed: &[u8]) -> Result<(DataKey, Vec<u8>), SealError> {
        let context = key.to_bytes();
        let (wrapped, record) = sealed.split_first_chunk::<WRAPPED_LEN>().ok_or(SealError::Damaged)?;
        let own = self.unwrap(&context, wrapped)?;
        let plain = own.open(Purpose::Record, &context, record)?;
        Ok((own, plain))
    }

    /// The same record with its own key under the key that seals; `None` if it is already, or under a later one: a key
    /// may be dropped because nothing is under it any more, and nothing must come back under it.
    ///
    /// # Errors
    /// As [`Keys::open_bytes`].
    pub fn rotate_record(&self, key: &Key, sealed: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        if key_id(sealed) >= self.sealing_id() {
            return Ok(None);
        }
        let context = key.to_bytes();
        let (wrapped, record) = sealed.split_first_chunk::<WRAPPED_LEN>().ok_or(SealError::Damaged)?;
        let mut out = self.wrap(&context, &self.unwrap(&context, wrapped)?)?;
        out.extend_from_slice(record);
        Ok(Some(out))
    }
}

/// Shows where the keys are from, nothing of the keys.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("path", &self.path).field("sealing", &self.sealing_id()).finish_non_exhaustive()
    }
}

/// The number of the sealing key that these bytes, or their first part, are under; 0: none can be.
pub(super) fn key_id(sealed: &[u8]) -> u32 {
    match sealed.first_chunk() {
        Some([_, a, b, c, d]) => u32::from_le_bytes([*a, *b, *c, *d]),
        None => 0,
    }
}

/// The present instant, for the dates in the file.
fn now() -> Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Instant::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
