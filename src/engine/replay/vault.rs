//! What opens the bodies of entries: the store that holds the keys of contacts and days, and the keys of the store. Those
//! of a bundle open with its keys alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;

use super::laws::Unfit;
use crate::audit::{BodyKey, Entry};
use crate::contact::{Contact, Stored};
use crate::engine::audited::Kind;
use crate::engine::layout::Layout;
use crate::engine::{Failure, Marks};
use crate::store::{DayKeyError, DayKeys, Keys, Purpose, SealError, Store, Tenant};
use crate::time::Instant;

/// Store and keys, to read with.
pub struct Vault {
    /// `None`: a bundle, which needs none.
    store: Option<Arc<dyn Store>>,
    keys: Keys,
    tenant: Tenant,
    days: Mutex<BTreeMap<Box<str>, Arc<DayKeys>>>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Vault {
    /// Of a store and its keys; no store: of a bundle.
    #[must_use]
    pub fn new(store: Option<Arc<dyn Store>>, keys: Keys) -> Self {
        let shards = store.as_ref().map_or(1, |store| store.shard_count());
        let tenant = keys.tenant(crate::access::DEFAULT_TENANT, shards);
        Self { store, keys, tenant, days: Mutex::default() }
    }

    /// The same, to be asked about numbers and requests of this tenant. Entries say themselves whose they are.
    #[must_use]
    pub fn for_tenant(mut self, name: &str) -> Self {
        self.tenant = self.tenant_of(name).into_owned();
        self
    }

    fn tenant_of(&self, name: &str) -> Cow<'_, Tenant> {
        if name == self.tenant.name() {
            return Cow::Borrowed(&self.tenant);
        }
        let shards = self.store.as_ref().map_or(1, |store| store.shard_count());
        Cow::Owned(self.keys.tenant(name, shards))
    }

    fn days_of(&self, name: &str) -> Arc<DayKeys> {
        let mut all = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.into()).or_insert_with(|| Arc::new(super::super::tenants::day_keys(name))))
    }

    /// The tag by which the log names a number.
    #[must_use]
    pub fn tag(&self, number: crate::place::Number) -> [u8; 32] {
        *self.keys.tag(&self.tenant, number.reveal_e164().as_str()).tag()
    }

    /// The body of an entry, opened.
    ///
    /// # Errors
    /// The store cannot be asked; or, within, why this one does not open.
    pub async fn open(&self, entry: &Entry) -> Result<Result<Vec<u8>, Unfit>, Failure> {
        match (entry.key, &self.store) {
            (BodyKey::Sealing(_), _) => {
                let opened = self.keys.open_bytes(Purpose::AuditBody, &entry.id.bytes(), &entry.body);
                Ok(opened.map_err(|error| Unfit::Sealed(error.to_string())))
            }
            (_, Some(store)) => {
                let tenant = self.tenant_of(&entry.tenant);
                opened(&**store, &self.keys, &tenant, &self.days_of(&entry.tenant), entry).await
            }
            (_, None) => Ok(Err(Unfit::Sealed("its key is in the store, which is not here".to_owned()))),
        }
    }

    /// What salts the commitment to the body of an entry ([`crate::audit::proof::shown_body`]); `None`: what seals it is not
    /// here any more.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn salt(&self, entry: &Entry) -> Result<Option<[u8; 32]>, Failure> {
        let Some(store) = &self.store else { return Ok(None) };
        let context = entry.id.bytes();
        match (entry.key, entry.tag) {
            (BodyKey::Contact, Some(tag)) => {
                let key = self.keys.key_of(&self.tenant_of(&entry.tenant), tag);
                let Some(stored) = store.load(&key).await? else { return Ok(None) };
                Ok(self.keys.open_record(&key, &stored.bytes).ok().map(|(own, _)| own.salt(&context)))
            }
            (BodyKey::Day(day), _) => {
                let found = self.days_of(&entry.tenant).find(&**store, &self.keys, day).await;
                Ok(found.ok().flatten().map(|key| key.salt(&context)))
            }
            _ => Ok(None),
        }
    }

    /// By which regions the records of the store were placed; `None`: there is one store only, or none here.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn layout(&self) -> Result<Option<Layout>, Failure> {
        match &self.store {
            Some(store) => Layout::of(&**store).await,
            None => Ok(None),
        }
    }

    /// What marks in a contact what became of its consents, as it is now; nothing where there is no store.
    ///
    /// # Errors
    /// As [`Vault::open`]; the record of switches does not open.
    pub async fn marks(&self) -> Result<Marks, Failure> {
        let Some(store) = &self.store else { return Ok(Marks::default()) };
        let key = self.keys.control(&self.tenant);
        let Some(found) = store.load(&key).await? else { return Ok(Marks::default()) };
        let (_, plain) = self.keys.open_record(&key, &found.bytes).map_err(Failure::from)?;
        let record = crate::proto::store::ControlRecord::decode(plain.as_slice());
        record.map(|record| Marks::of(&record)).map_err(|error| Failure::Internal(error.to_string()))
    }

    /// The record under this tag as it is now.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn of_tag(&self, tag: [u8; 32]) -> Result<Result<Option<Contact>, Unfit>, Failure> {
        match &self.store {
            Some(store) => contact(&**store, &self.keys, &self.tenant, tag).await,
            None => Ok(Err(Unfit::Sealed("what is known now is in the store, which is not here".to_owned()))),
        }
    }

    /// The number of the contact who made a request under data-protection law; `None`: no such request is known, or the
    /// contact was erased.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn number_of_request(&self, id: uuid::Uuid) -> Result<Option<crate::place::Number>, Failure> {
        let Some(store) = &self.store else { return Ok(None) };
        let key = crate::engine::rights::index_key(&self.keys, &self.tenant, id);
        let Some(found) = store.load(&key).await? else { return Ok(None) };
        let (_, plain) = self.keys.open_record(&key, &found.bytes).map_err(Failure::from)?;
        let Some(tag) = crate::engine::rights::tag_in(&plain, id)? else { return Ok(None) };
        let held = self.of_tag(tag).await?.map_err(|why| Failure::Internal(why.to_string()))?;
        Ok(held.and_then(|contact| contact.digits()).and_then(crate::place::Number::from_digits))
    }

    /// The record of a contact as it is now.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn contact(&self, entry: &Entry) -> Result<Result<Option<Contact>, Unfit>, Failure> {
        let Some(store) = &self.store else {
            return Ok(Err(Unfit::Sealed("what is known now is in the store, which is not here".to_owned())));
        };
        let Some(tag) = entry.tag else { return Ok(Ok(None)) };
        contact(&**store, &self.keys, &self.tenant_of(&entry.tenant), tag).await
    }
}

/// The record with this tag as it is now.
pub(in crate::engine) async fn contact(
    store: &dyn Store,
    keys: &Keys,
    tenant: &Tenant,
    tag: [u8; 32],
) -> Result<Result<Option<Contact>, Unfit>, Failure> {
    let key = keys.key_of(tenant, tag);
    let Some(stored) = store.load(&key).await? else { return Ok(Ok(None)) };
    Ok(match keys.open_record(&key, &stored.bytes) {
        Ok((_, plain)) => match Stored::from_bytes(&plain) {
            Ok(Stored::Here(contact)) => Ok(Some(contact)),
            Ok(Stored::Elsewhere(to) | Stored::Arriving(_, to)) => Err(Unfit::Moved(to.region)),
            Err(error) => Err(Unfit::Unreadable(error.to_string())),
        },
        Err(SealError::UnknownKey(id)) => Err(Unfit::UnknownKey(id)),
        Err(error) => Err(Unfit::Sealed(error.to_string())),
    })
}

/// When the contact of this record was erased, if it is the record of one.
fn erased_at(plain: &[u8]) -> Option<Instant> {
    Contact::from_bytes(plain).ok()?.erased_at()
}

/// The region that a pointer names, or from which a copy is on its way.
fn moved_to(plain: &[u8]) -> Option<String> {
    match Stored::from_bytes(plain).ok()? {
        Stored::Here(_) => None,
        Stored::Elsewhere(to) | Stored::Arriving(_, to) => Some(to.region),
    }
}

/// The body of an entry, opened.
pub(in crate::engine) async fn opened(
    store: &dyn Store,
    keys: &Keys,
    tenant: &Tenant,
    days: &DayKeys,
    entry: &Entry,
) -> Result<Result<Vec<u8>, Unfit>, Failure> {
    let context = entry.id.bytes();
    let sealed = |error: SealError| match error {
        SealError::UnknownKey(id) => Unfit::UnknownKey(id),
        other => Unfit::Sealed(other.to_string()),
    };
    Ok(match (entry.key, entry.tag) {
        (BodyKey::Clear, _) => Ok(entry.body.clone()),
        (BodyKey::Contact, Some(tag)) => {
            let key = keys.key_of(tenant, tag);
            match store.load(&key).await? {
                // Whatever the record is: an entry about switches is sealed under the key of theirs.
                Some(stored) => match keys.open_record(&key, &stored.bytes) {
                    Ok((own, plain)) => match own.open(Purpose::AuditBody, &context, &entry.body) {
                        // Sealed under the key that the erasure destroyed.
                        Err(SealError::Damaged) if moved_to(&plain).is_some() => {
                            Err(Unfit::Moved(moved_to(&plain).unwrap_or_default()))
                        }
                        Err(SealError::Damaged) if erased_at(&plain).is_some() => Err(Unfit::Erased),
                        opened => opened.map_err(sealed),
                    },
                    Err(error) => Err(sealed(error)),
                },
                None => Err(Unfit::Erased),
            }
        }
        (BodyKey::Day(day), tag) => {
            // What is written under a key of the day, an erasure above all, names nobody.
            if let Some(tag) = tag.filter(|_| entry.kind != Kind::Write as u8) {
                match contact(store, keys, tenant, tag).await? {
                    // Not shown any more, though the key is there for the others of that day.
                    Ok(Some(now)) if now.erased_at().is_some_and(|erased| entry.at <= erased) => {
                        return Ok(Err(Unfit::Erased));
                    }
                    Ok(_) => {}
                    Err(why) => return Ok(Err(why)),
                }
            }
            match days.find(store, keys, day).await {
                Ok(Some(key)) => key.open(Purpose::AuditBody, &context, &entry.body).map_err(sealed),
                Ok(None) => Err(Unfit::Erased),
                Err(DayKeyError::Seal(error)) => Err(sealed(error)),
                Err(DayKeyError::Store(error)) => return Err(error.into()),
            }
        }
        (BodyKey::Contact | BodyKey::Sealing(_), _) => {
            Err(Unfit::Unreadable("it names a key that no entry has".to_owned()))
        }
    })
}
