//! Where requests are to be found and when they are due: a few records of the tenant's own, so that listing reads no
//! contact that has none.
//!
//! With regions, each has an index of its own in its store: what it says of a person does not leave the region either.
//!
//! Promises: a request is written here before the record that holds it, so none is missing; what the record says is what
//! holds, and what stands here otherwise is put right when it is met. An entry knows the tag of the contact, no number.

use prost::Message as _;

use crate::access::Permit;
use crate::engine::audited::Kind;
use crate::engine::region::Kept;
use crate::engine::{Clock, Engine, Failure};
use crate::proto::store::{IndexedRequest, RequestIndex, audited_write};
use crate::proto::v1;
use crate::store::{DataKey, Key, Keys, SealError, StoreError, Swapped, Tenant, Version, Versioned, Write};
use crate::time::{Instant, Millis};

/// Over how many records the index spreads, so that those who open requests at once seldom race.
pub(in crate::engine) const SHARES: u8 = 8;
/// The form of these records.
const FORMAT: u32 = 1_001;
/// How long a closed request stays in the list: as long as claims about it are usual.
pub(in crate::engine) const KEPT: Millis = Millis::days(3 * 366);

/// The entry of a request.
pub(super) fn entry(request: &v1::RightsRequest, tag: [u8; 32], now: Instant) -> IndexedRequest {
    let id = uuid::Uuid::try_parse(&request.rights_request_id).unwrap_or_default();
    IndexedRequest {
        rights_request_id: id.as_bytes().to_vec(),
        contact_tag: tag.to_vec(),
        state: request.state,
        due_at: super::millis(request.due_at.as_ref()),
        closed_at: super::millis(request.closed_at.as_ref()),
        written_at: now.millis(),
    }
}

/// What takes an entry out that is of no request: whoever wrote it lost the race to open that request, or was stopped
/// between the two writes.
pub(super) fn none(entry: &IndexedRequest) -> IndexedRequest {
    IndexedRequest { rights_request_id: entry.rights_request_id.clone(), ..IndexedRequest::default() }
}

/// Whether two entries say the same of a request, whenever they were written.
pub(super) fn agree(one: &IndexedRequest, other: &IndexedRequest) -> bool {
    let said = |entry: &IndexedRequest| IndexedRequest { written_at: 0, ..entry.clone() };
    said(one) == said(other)
}

fn share_of(id: &[u8]) -> u8 {
    id.iter().fold(0, |sum, byte| sum ^ byte) % SHARES
}

/// The tag of the contact that an entry names.
pub(super) fn tag_of(entry: &IndexedRequest) -> Result<[u8; 32], Failure> {
    entry.contact_tag.as_slice().try_into().map_err(|_| broken("an entry names no contact"))
}

/// The key of the record in which the entry of this request is.
pub(in crate::engine) fn key_for(keys: &Keys, tenant: &Tenant, id: uuid::Uuid) -> Key {
    keys.requests(tenant, share_of(id.as_bytes()))
}

/// The tag of the contact who made this request, by what such a record holds.
pub(in crate::engine) fn tag_in(plain: &[u8], id: uuid::Uuid) -> Result<Option<[u8; 32]>, Failure> {
    let index = RequestIndex::decode(plain).map_err(|error| broken(&error.to_string()))?;
    let entry = index.requests.into_iter().find(|entry| entry.rights_request_id == id.as_bytes());
    entry.map(|entry| tag_of(&entry)).transpose()
}

impl Engine {
    /// Whether a record of the engine's own store is one of contacts, and not one of switches or of the index.
    #[must_use]
    pub fn is_of_a_contact(&self, key: &Key) -> bool {
        !self.keys_of_others(&self.main).contains(key)
    }

    /// The keys of the records that are of no contact: those of switches and of the index.
    pub(in crate::engine) fn keys_of_others(&self, kept: &Kept) -> Vec<Key> {
        let mut keys = self.index_keys(kept);
        keys.push(kept.control_key);
        keys
    }

    fn index_keys(&self, kept: &Kept) -> Vec<Key> {
        (0..SHARES).map(|share| self.keys.now().requests(&kept.tenant, share)).collect()
    }

    /// Every entry of every region, with the region that lists it. A region that is away makes it fail: a request that is
    /// due must not be missing from a list that looks whole.
    pub(super) async fn indexed_all(&self) -> Result<Vec<(&Kept, IndexedRequest)>, Failure> {
        let mut all: Vec<(&Kept, IndexedRequest)> = Vec::new();
        for kept in self.all_kept() {
            let kept = kept?;
            let keys = self.index_keys(kept);
            let found = kept.ask(|store| store.load_many(&keys)).await?;
            for (key, found) in keys.iter().zip(found) {
                if let Some(found) = found {
                    let listed = self.opened_index(key, &found).await?.1.requests;
                    all.extend(listed.into_iter().map(|entry| (kept, entry)));
                }
            }
        }
        if !self.regions.is_empty() {
            // Stopped while a contact moved, a request is listed in two: what was written last counts.
            all.sort_by(|(_, one), (_, other)| {
                (&one.rights_request_id, -one.written_at).cmp(&(&other.rights_request_id, -other.written_at))
            });
            all.dedup_by(|(_, one), (_, other)| one.rights_request_id == other.rights_request_id);
        }
        Ok(all)
    }

    /// The entry of one request.
    pub(super) async fn indexed(&self, id: uuid::Uuid) -> Result<Option<(&Kept, IndexedRequest)>, Failure> {
        let mut fault = None;
        for kept in self.all_kept() {
            match self.indexed_in(kept, id).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(failure) => fault = Some(failure),
            }
        }
        fault.map_or(Ok(None), Err)
    }

    async fn indexed_in<'a>(
        &'a self,
        kept: Result<&'a Kept, Failure>,
        id: uuid::Uuid,
    ) -> Result<Option<(&'a Kept, IndexedRequest)>, Failure> {
        let kept = kept?;
        let key = self.keys.now().requests(&kept.tenant, share_of(id.as_bytes()));
        let Some(found) = kept.ask(|store| store.load(&key)).await? else { return Ok(None) };
        let index = self.opened_index(&key, &found).await?.1;
        let entry = index.requests.into_iter().find(|entry| entry.rights_request_id == id.as_bytes());
        Ok(entry.map(|entry| (kept, entry)))
    }

    /// Writes an entry where the contact is now, and takes it out of the region that listed it until now.
    pub(super) async fn index_move(
        &self,
        permit: &Permit,
        (from, to): (&Kept, &Kept),
        entry: IndexedRequest,
        clock: Clock,
    ) -> Result<(), Failure> {
        let gone = none(&entry);
        self.index_put(permit, to, entry, clock).await?;
        if !std::ptr::eq(from, to) {
            self.index_put(permit, from, gone, clock).await?;
        }
        Ok(())
    }

    async fn opened_index(&self, key: &Key, found: &Versioned) -> Result<(DataKey, RequestIndex), Failure> {
        let opened = self.keys.open_record(key, &found.bytes).await;
        let (own, plain) = opened.map_err(|error| match error {
            SealError::UnknownKey(_) => error.into(),
            other => broken(&other.to_string()),
        })?;
        let index = RequestIndex::decode(plain.as_slice()).map_err(|error| broken(&error.to_string()))?;
        match index.format {
            FORMAT => Ok((own, index)),
            form => Err(broken(&format!("it has form {form}; this build reads {FORMAT}: run the newer build"))),
        }
    }

    /// Writes an entry, in the place of the one of its id; or takes that out ([`none`]).
    pub(super) async fn index_put(
        &self,
        permit: &Permit,
        kept: &Kept,
        entry: IndexedRequest,
        clock: Clock,
    ) -> Result<(), Failure> {
        self.is_of(permit)?;
        let key = self.keys.now().requests(&kept.tenant, share_of(&entry.rights_request_id));
        let mut found = kept.ask(|store| store.load(&key)).await?;
        kept.log_ready()?;
        let receipt = kept.next_id(clock.now);
        let mut lost = false;
        loop {
            if clock.passed() {
                return Err(if lost { Failure::Aborted } else { Failure::TooLate });
            }
            let (expected, own, mut index) = match &found {
                Some(found) => {
                    let (own, index) = self.opened_index(&key, found).await?;
                    (found.version, own, index)
                }
                None => {
                    (Version::ABSENT, DataKey::random()?, RequestIndex { format: FORMAT, ..RequestIndex::default() })
                }
            };
            put(&mut index, entry.clone(), clock.now);
            let next = expected.next();
            let asked = audited_write::Request::IndexRequest(entry.clone());
            let body = Self::write_body(permit, asked, next.0, clock.now);
            let audited = self.contact_entry(Kind::Write, receipt, clock.now, &key, &own, &body)?;
            let keys = self.keys.now();
            let bytes = keys.seal_record(&key, &own, &index.encode_to_vec())?;
            let event = audited.event(0, clock.now, Vec::new());
            match self.swap(kept, Write { key, expected, bytes, expires: None, event }).await? {
                Swapped::Won { event, .. } => {
                    kept.log_swapped(audited, event).await?;
                    return Ok(());
                }
                Swapped::Lost(winner) => {
                    self.metrics.lost_race();
                    lost = true;
                    found = winner;
                }
            }
        }
    }
}

fn put(index: &mut RequestIndex, entry: IndexedRequest, now: Instant) {
    let oldest = now.minus(KEPT).millis();
    index.requests.retain(|other| {
        other.rights_request_id != entry.rights_request_id && (other.closed_at == 0 || other.closed_at > oldest)
    });
    if entry.contact_tag.is_empty() {
        return;
    }
    let place = index.requests.partition_point(|other| other.rights_request_id < entry.rights_request_id);
    index.requests.insert(place, entry);
}

fn broken(why: &str) -> Failure {
    StoreError::Corrupt { path: "the index of requests".into(), why: why.to_owned() }.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_the_place_of_its_own_and_long_closed_ones_go() {
        let now = Instant::from_millis(Millis::days(20_000).0);
        let made = |id: u8, closed: i64| IndexedRequest {
            rights_request_id: vec![id; 16],
            contact_tag: vec![7; 32],
            closed_at: closed,
            ..IndexedRequest::default()
        };
        let mut index = RequestIndex::default();
        for one in [made(3, 0), made(1, 0), made(2, 1), made(3, 5)] {
            put(&mut index, one, now);
        }
        let ids: Vec<u8> = index.requests.iter().map(|one| *one.rights_request_id.first().unwrap()).collect();
        // The one put last stays whatever its date: the next write prunes it.
        assert_eq!(ids, [1, 3]);
        assert_eq!(index.requests.last().unwrap().closed_at, 5);
        put(&mut index, none(&made(1, 0)), now);
        assert!(index.requests.is_empty(), "the one taken out, and the one closed long ago");
    }

    #[test]
    fn no_reader_takes_the_index_for_a_contact() {
        let bytes = RequestIndex { format: FORMAT, ..RequestIndex::default() }.encode_to_vec();
        assert!(crate::contact::Contact::from_bytes(&bytes).is_err());
    }
}
