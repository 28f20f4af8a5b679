//! The switches as every check sees them: those recorded, read beside the contact, and those of a file.
//!
//! Promises: a switch that was answered as recorded is seen by every check sent later, on any instance, since each check
//! asks the store whether the record changed; it is decoded once a change, not once a check. A record that cannot be
//! read, or is older than one that was read before, is a store that cannot answer.

use std::sync::Arc;

use prost::Message;

use super::wire;
use crate::decision::{Freeze, Switches};
use crate::engine::find::Record;
use crate::engine::region::Kept;
use crate::engine::{Engine, Failure};
use crate::law::Declared;
use crate::proto::store::ControlRecord;
use crate::store::{Beside, DataKey, Key, SealError, StoreError, Version, Versioned};

/// The newest form of [`ControlRecord`].
pub(in crate::engine) const FORMAT: u32 = 1;

/// The recorded switches of one version of the record.
#[derive(Debug, Default)]
pub(in crate::engine) struct Recorded {
    pub version: u64,
    pub freezes: Vec<Arc<Freeze>>,
    pub emergencies: Vec<Arc<Declared>>,
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

    /// Names exactly which ones: `control.3+feed.0123456789abcdef`. Empty: none.
    pub fn name(&self) -> String {
        let recorded = (self.recorded.version > 0).then(|| format!("control.{}", self.recorded.version));
        let fed = (!self.feed.digest.is_empty()).then(|| format!("feed.{}", self.feed.digest));
        [recorded, fed].into_iter().flatten().collect::<Vec<_>>().join("+")
    }
}

impl Engine {
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
        let asked = kept.ask(|store| store.load_beside(key, &kept.control_key, Version(known.version)));
        let (stored, beside) = asked.await?;
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
            FORMAT => Ok((own, record)),
            form => Err(broken(&format!("it has form {form}; this build reads up to {FORMAT}: run the newer build"))),
        }
    }
}

fn read(version: Version, record: &ControlRecord) -> Option<Recorded> {
    let freezes = record.freezes.iter().map(|kept| wire::freeze_of(kept.freeze.as_ref()?).map(Arc::new));
    let states = record.emergencies.iter().map(|kept| wire::emergency_of(kept.emergency.as_ref()?).map(Arc::new));
    Some(Recorded {
        version: version.0,
        freezes: freezes.collect::<Option<_>>()?,
        emergencies: states.collect::<Option<_>>()?,
    })
}

/// Without the switches nothing is known to be allowed: as if the store could not be asked.
fn broken(why: &str) -> Failure {
    StoreError::Corrupt { path: "the record of switches".into(), why: why.to_owned() }.into()
}
