//! The switches as every check sees them: those recorded, read beside the contact, and those of a file.
//!
//! Promises: a switch that was answered as recorded is seen by every check sent later, on any instance, since each check
//! asks the store whether the record changed; it is decoded once a change, not once a check. A record that cannot be
//! read, or is older than one that was read before, is a store that cannot answer.

use std::sync::Arc;
use std::time::Instant as Monotonic;

use prost::Message;

use super::wire;
use crate::contact::{PublishedPolicy, RetentionHold, SellerTransfer, Succession};
use crate::decision::{Freeze, Switches};
use crate::engine::find::Record;
use crate::engine::region::Kept;
use crate::engine::{Engine, Failure};
use crate::law::Declared;
use crate::proto::store::ControlRecord;
use crate::proto::v1;
use crate::store::{Beside, DataKey, Key, SealError, StoreError, Version, Versioned};
use crate::telemetry::Trip;
use crate::time::Instant;

/// The newest form of [`ControlRecord`].
pub(in crate::engine) const FORMAT: u32 = 2;

/// The recorded switches of one version of the record.
#[derive(Debug, Default)]
pub(in crate::engine) struct Recorded {
    pub version: u64,
    pub freezes: Vec<Arc<Freeze>>,
    pub emergencies: Vec<Arc<Declared>>,
    pub policies: Vec<PublishedPolicy>,
    pub transfers: Vec<SellerTransfer>,
    pub holds: Vec<RetentionHold>,
    pub off_boarded_at: Option<Instant>,
    /// Those of the tenant's own lists that are complete by what was added by API, by id.
    pub complete: Vec<Box<str>>,
    /// Those of which a file was in force somewhere and was not withdrawn, by id.
    pub in_files: Vec<Box<str>>,
    /// All that are kept by API, by id.
    pub lists: Vec<v1::OwnList>,
}

/// The states of emergency of a file.
#[derive(Debug, Default)]
pub struct Feed {
    /// Names its exact content; empty: there is no file.
    pub digest: String,
    /// They.
    pub emergencies: Vec<Arc<Declared>>,
}

/// All switches that one check sees.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Standing {
    recorded: Arc<Recorded>,
    feed: Arc<Feed>,
}

impl Standing {
    /// As a decision wants them.
    pub fn switches(&self) -> Switches<'_> {
        Switches {
            freezes: &self.recorded.freezes,
            emergencies: &self.recorded.emergencies,
            fed: &self.feed.emergencies,
        }
    }

    /// The tenant's published policies, in the order of their publication.
    pub fn policies(&self) -> &[PublishedPolicy] {
        &self.recorded.policies
    }

    /// The sellers that passed to others.
    pub fn transfers(&self) -> &[SellerTransfer] {
        &self.recorded.transfers
    }

    /// The tenant's holds that were not released.
    pub fn holds(&self) -> &[RetentionHold] {
        &self.recorded.holds
    }

    /// When the tenant's service ended; `None`: it goes on.
    pub fn off_boarded_at(&self) -> Option<Instant> {
        self.recorded.off_boarded_at
    }

    /// Whether a list of the tenant's own is complete by what was added by API.
    pub fn is_complete(&self, list: &str) -> bool {
        self.recorded.complete.binary_search_by(|one| (**one).cmp(list)).is_ok()
    }

    /// The tenant's own lists that are complete by what was added by API, by id.
    pub fn complete(&self) -> &[Box<str>] {
        &self.recorded.complete
    }

    /// The tenant's own lists of which a file was in force somewhere and was not withdrawn, by id: where there is no such file,
    /// nobody knows who is on them.
    pub fn in_files(&self) -> &[Box<str>] {
        &self.recorded.in_files
    }

    /// The tenant's own lists that are kept by API, by id.
    pub fn own_lists(&self) -> &[v1::OwnList] {
        &self.recorded.lists
    }

    /// What policies and transfers there are.
    pub fn succession(&self) -> Succession<'_> {
        Succession { policies: &self.recorded.policies, transfers: &self.recorded.transfers }
    }

    /// Names exactly which ones: `control.3+feed.0123456789abcdef`. Empty: none.
    pub fn name(&self) -> String {
        let recorded = (self.recorded.version > 0).then(|| format!("control.{}", self.recorded.version));
        let fed = (!self.feed.digest.is_empty()).then(|| format!("feed.{}", self.feed.digest));
        [recorded, fed].into_iter().flatten().collect::<Vec<_>>().join("+")
    }
}

impl Engine {
    /// Names exactly which freezes, states of emergency, policies and own lists are in force: other ones have another name.
    ///
    /// # Errors
    /// Store unavailable.
    pub async fn switches_in_force(&self) -> Result<String, Failure> {
        Ok(self.standing(&self.main).await?.name())
    }

    /// Puts the states of emergency of a file in force, for every question from now on.
    pub fn change_feed(&self, feed: Arc<Feed>) {
        self.feed.store(feed);
    }

    /// The states of emergency of a file.
    #[must_use]
    pub fn feed(&self) -> Arc<Feed> {
        self.feed.load_full()
    }

    /// A contact, and the switches as they are.
    pub(in crate::engine) async fn load_with_switches(
        &self,
        kept: &Kept,
        key: &Key,
    ) -> Result<(Option<Record>, Standing), Failure> {
        let known = kept.recorded.load_full();
        let began = Monotonic::now();
        let asked = kept.ask(|store| store.load_beside(key, &kept.control_key, Version(known.version))).await;
        self.metrics.stages().trip(Trip::Read, began);
        let (stored, beside) = asked?;
        let recorded = match beside {
            Beside::Unchanged => known,
            Beside::Now(found) => self.changed(kept, &known, found.as_ref()).await?,
        };
        let loaded = match stored {
            None => None,
            Some(stored) => Some(self.open(key, &stored).await?),
        };
        Ok((loaded, Standing { recorded, feed: self.feed.load_full() }))
    }

    /// The switches of a region as they are.
    pub(in crate::engine) async fn standing(&self, kept: &Kept) -> Result<Standing, Failure> {
        let known = kept.recorded.load_full();
        let found = kept.ask(|store| store.load(&kept.control_key)).await?;
        let version = found.as_ref().map_or(Version::ABSENT, |found| found.version);
        let recorded =
            if version.0 == known.version { known } else { self.changed(kept, &known, found.as_ref()).await? };
        Ok(Standing { recorded, feed: self.feed.load_full() })
    }

    /// Many contacts, and the switches as they are, in one trip.
    pub(in crate::engine) async fn load_many_with_switches(
        &self,
        kept: &Kept,
        keys: &[Key],
    ) -> Result<(Vec<Option<Versioned>>, Standing), Failure> {
        let known = kept.recorded.load_full();
        let wanted: Vec<Key> = std::iter::once(kept.control_key).chain(keys.iter().copied()).collect();
        let began = Monotonic::now();
        let asked = kept.ask(|store| store.load_many(&wanted)).await;
        self.metrics.stages().trip(Trip::Read, began);
        let mut stored = asked?;
        let rest = stored.split_off(stored.len().min(1));
        let found = stored.pop().flatten();
        let version = found.as_ref().map_or(Version::ABSENT, |found| found.version);
        let recorded = match version == Version(known.version) {
            true => known,
            false => self.changed(kept, &known, found.as_ref()).await?,
        };
        Ok((rest, Standing { recorded, feed: self.feed.load_full() }))
    }

    async fn changed(
        &self,
        kept: &Kept,
        known: &Recorded,
        found: Option<&Versioned>,
    ) -> Result<Arc<Recorded>, Failure> {
        let version = found.map_or(Version::ABSENT, |found| found.version);
        let Some(found) = found.filter(|_| version.0 > known.version) else {
            // A concurrent check may have read a newer one meanwhile; an older one is what a store gone back would show.
            let why = format!("the switches have version {}, and had {}", version.0, known.version);
            let place = "the record of switches".to_owned();
            return Err(StoreError::Unavailable { place, doing: "reading", why }.into());
        };
        let record = self.opened_control(kept, found).await?.1;
        let recorded = Arc::new(read(version, &record).ok_or_else(|| broken("a switch of a newer build"))?);
        kept.recorded.rcu(|now| if now.version < recorded.version { Arc::clone(&recorded) } else { Arc::clone(now) });
        Ok(recorded)
    }

    /// The record of switches, opened.
    pub(super) async fn opened_control(
        &self,
        kept: &Kept,
        found: &Versioned,
    ) -> Result<(DataKey, ControlRecord), Failure> {
        let opened = self.keys.open_record(&kept.control_key, &found.bytes).await;
        let (own, plain) = opened.map_err(|error| match error {
            SealError::UnknownKey(_) => error.into(),
            other => broken(&other.to_string()),
        })?;
        let record = ControlRecord::decode(plain.as_slice()).map_err(|error| broken(&error.to_string()))?;
        match record.format {
            1..=FORMAT => Ok((own, record)),
            form => Err(broken(&format!("it has form {form}; this build reads up to {FORMAT}: run the newer build"))),
        }
    }
}

fn read(version: Version, record: &ControlRecord) -> Option<Recorded> {
    let mut lists = record.lists.iter().map(|kept| kept.list.clone()).collect::<Option<Vec<_>>>()?;
    lists.sort_by(|a, b| a.list.cmp(&b.list));
    let complete = lists.iter().filter(|list| list.complete && !list.in_file).map(|list| list.list.as_str().into());
    let in_files = lists.iter().filter(|list| list.in_file).map(|list| list.list.as_str().into());
    let freezes = record.freezes.iter().map(|kept| wire::freeze_of(kept.freeze.as_ref()?).map(Arc::new));
    let states = record.emergencies.iter().map(|kept| wire::emergency_of(kept.emergency.as_ref()?).map(Arc::new));
    Some(Recorded {
        version: version.0,
        freezes: freezes.collect::<Option<_>>()?,
        emergencies: states.collect::<Option<_>>()?,
        policies: record.policies.iter().map(|kept| wire::policy_of(kept.policy.as_ref()?)).collect::<Option<_>>()?,
        transfers: record
            .transfers
            .iter()
            .map(|kept| wire::transfer_of(kept.transfer.as_ref()?))
            .collect::<Option<_>>()?,
        holds: holds_of(record)?,
        off_boarded_at: record.off_boarding.as_ref().map(|ended| Instant::from_millis(ended.at)),
        complete: complete.collect(),
        in_files: in_files.collect(),
        lists,
    })
}

/// The holds that were not released.
fn holds_of(record: &ControlRecord) -> Option<Vec<RetentionHold>> {
    let holds = record.holds.iter().map(|kept| kept.hold.as_ref());
    let standing = holds.filter(|hold| hold.is_none_or(|hold| hold.released_at.is_none()));
    standing.map(|hold| wire::hold_of(hold?)).collect()
}

/// Without the switches nothing is known to be allowed: as if the store could not be asked.
fn broken(why: &str) -> Failure {
    StoreError::Corrupt { path: "the record of switches".into(), why: why.to_owned() }.into()
}
