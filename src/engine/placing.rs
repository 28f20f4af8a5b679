//! Putting every record where the regions say, after they were changed. Nothing may serve meanwhile.

use std::time::Duration;

use super::find::Record;
use super::layout::{LAPSE, Layout};
use super::region::{Kept, away};
use super::{DEFAULT_REGION, Engine, Failure, Loaded};
use crate::contact::{Contact, Move, Stored};
use crate::place::Number;
use crate::proto::store::AuditedMove;
use crate::store::{DataKey, Key, Version, Versioned};
use crate::time::Instant;

/// Records read at a time.
const PAGE: usize = 256;
/// How long a request that was begun in time may still write.
const LINGER: Duration = Duration::from_secs(5);

/// What became of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Placed {
    /// Looked at.
    pub records: u64,
    /// Moved to the region where they belong.
    pub moved: u64,
    /// Of a number that is not known any more, since the contact was erased: left where they are, which is where they belong
    /// only if the regions are those by which they came there.
    pub nameless: u64,
    /// In two regions, each as if it were the only one: left as they are.
    pub parted: u64,
}

impl Placed {
    /// Adds what became of others.
    pub const fn add(&mut self, other: Self) {
        self.records += other.records;
        self.moved += other.moved;
        self.nameless += other.nameless;
        self.parted += other.parted;
    }

    /// Whether every record is where it belongs; `unmoved`: the regions are those by which the records lay.
    #[must_use]
    pub const fn complete(&self, unmoved: bool) -> bool {
        (unmoved || self.nameless == 0) && self.parted == 0
    }
}

impl Engine {
    /// Whether every record lay by these very regions when all were last in place.
    ///
    /// # Errors
    /// A region is not open or away.
    pub async fn unmoved(&self) -> Result<bool, Failure> {
        for kept in self.all_kept() {
            let kept = kept?;
            let said = Layout::of(&*kept.store).await?;
            // A store that is new has none that could lie wrong.
            let new = said.is_none() && kept.store.scan(None, 2).await?.iter().all(|(key, _)| *key == kept.control_key);
            if !new && !Layout::lay(said, &kept.name).agrees(&self.layout(&kept.name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts those of up to some hundred records of a region of which nothing tells where they belong, and says where to go
    /// on. Changes nothing.
    ///
    /// # Errors
    /// A region is not open or away; a record does not open.
    pub async fn count_nameless(&self, region: &str, after: Option<Key>) -> Result<(Option<Key>, u64), Failure> {
        let kept = self.kept(region)?;
        let records = kept.store.scan(after, PAGE).await?;
        let last = records.last().map(|(key, _)| *key);
        let others = self.keys_of_others(kept);
        let mut nameless = 0;
        for (key, stored) in records.into_iter().filter(|(key, _)| !others.contains(key)) {
            if let Record::Here(loaded) | Record::Arriving(loaded, _) = self.open(&key, &stored).await? {
                nameless += u64::from(self.named(kept, &key, &loaded.contact).is_none());
            }
        }
        Ok((last, nameless))
    }

    /// The number of a record, where it says so.
    fn named(&self, kept: &Kept, key: &Key, contact: &Contact) -> Option<Number> {
        let number = contact.digits().and_then(Number::from_digits);
        number.filter(|number| kept.key(&self.keys, *number) == *key)
    }

    /// Says in every store that records are being moved, so that no server starts, and those that run answer nothing. One
    /// that was forgotten notices within [`LAPSE`], whatever becomes of its connection: only then may a record be moved.
    ///
    /// # Errors
    /// A region is not open or away, or has another store than it had.
    pub async fn begin_placing(&self) -> Result<(), Failure> {
        for kept in self.all_kept() {
            let kept = kept?;
            let pins = self.regions().any(|region| region.name == kept.name && !region.places.is_empty());
            if pins && !self.remember(&kept.name, &*kept.store).await? {
                return Err(away(&kept.name, "it has another store than it had"));
            }
            let lay = Layout::lay(Layout::of(&*kept.store).await?, &kept.name);
            self.layout(&kept.name).under_way().after(lay).write(&*kept.store).await?;
        }
        Ok(())
    }

    /// How long to wait after [`Engine::begin_placing`]: as long as one that was forgotten may go on answering, and what it
    /// was asked until then may take.
    #[must_use]
    pub fn until_noticed(&self) -> Duration {
        let shared = self.open_stores().iter().any(|(_, store)| store.is_shared());
        if shared { LAPSE + LINGER } else { Duration::ZERO }
    }

    /// Says in every store that its records are where these regions say.
    ///
    /// # Errors
    /// A region is not open or away.
    pub async fn end_placing(&self) -> Result<(), Failure> {
        for kept in self.all_kept() {
            let kept = kept?;
            self.layout(&kept.name).write(&*kept.store).await?;
        }
        for region in self.regions().filter(|region| region.places.is_empty() && *region.name != *DEFAULT_REGION) {
            self.forget(&region.name).await?;
        }
        Ok(())
    }

    /// Puts up to some hundred records of a region where they belong, after this one (`None`: from the first), and says
    /// where to go on; `None`: there are no more.
    ///
    /// # Errors
    /// A region is not open or away; a record does not open. Going on from the same place repeats nothing.
    pub async fn place_page(
        &self,
        region: &str,
        after: Option<Key>,
        now: Instant,
    ) -> Result<(Option<Key>, Placed), Failure> {
        let kept = self.kept(region)?;
        let records = kept.store.scan(after, PAGE).await?;
        let last = records.last().map(|(key, _)| *key);
        let mut done = Placed::default();
        let others = self.keys_of_others(kept);
        for (key, stored) in records.into_iter().filter(|(key, _)| !others.contains(key)) {
            done.add(self.place_one(kept, key, &stored, now).await?);
        }
        Ok((last, done))
    }

    async fn place_one(&self, kept: &Kept, key: Key, stored: &Versioned, now: Instant) -> Result<Placed, Failure> {
        let one = Placed { records: 1, ..Placed::default() };
        let (Record::Here(loaded) | Record::Arriving(loaded, _)) = self.open(&key, stored).await? else {
            return Ok(one);
        };
        let Some(number) = self.named(kept, &key, &loaded.contact) else {
            return Ok(Placed { nameless: 1, ..one });
        };
        if !self.settle(kept, number, now).await? {
            return Ok(one);
        }
        let belongs = self.kept(self.belongs(&loaded.contact, number, kept))?;
        let moves = !std::ptr::eq(belongs, kept);
        if moves {
            match self.relocate(number, kept, belongs, now).await {
                Err(Failure::Aborted) => return Ok(Placed { parted: 1, ..one }),
                done => done?,
            }
        }
        let home = self.home(number)?;
        if !std::ptr::eq(home, belongs) && !self.lead(home, belongs, number, now).await? {
            return Ok(Placed { parted: 1, ..one });
        }
        Ok(Placed { moved: u64::from(moves), ..one })
    }

    /// Whether the record of a region is the one in force. A copy whose move was decided is made one plainly.
    pub(super) async fn settle(&self, kept: &Kept, number: Number, now: Instant) -> Result<bool, Failure> {
        let key = kept.key(&self.keys, number);
        match self.load(kept, &key).await? {
            Some(Record::Here(_)) => Ok(true),
            Some(Record::Arriving(copy, from)) => {
                let source = self.kept(&from.region)?;
                let source_key = source.key(&self.keys, number);
                let there = self.load(source, &source_key).await?;
                source.confirm(&source_key).await?;
                let decided = matches!(there, Some(Record::Elsewhere(_, to)) if to.id == from.id);
                if decided {
                    let Loaded { version, contact, own } = copy;
                    let moved = AuditedMove { from: from.region, to: kept.name.to_string(), move_id: from.id };
                    return self.write_move((kept, key, version), (&Stored::Here(contact), &own), moved, now).await;
                }
                Ok(false)
            }
            Some(Record::Elsewhere(..)) | None => Ok(false),
        }
    }

    /// Makes the region of a number point to the one that has its record; `false`: it has a record of its own.
    async fn lead(&self, home: &Kept, to: &Kept, number: Number, now: Instant) -> Result<bool, Failure> {
        let key = home.key(&self.keys, number);
        loop {
            let there = self.load(home, &key).await?;
            match &there {
                Some(Record::Here(_)) => return Ok(false),
                Some(Record::Elsewhere(_, led)) if *led.region == *to.name => return Ok(true),
                _ => {}
            }
            let version = there.as_ref().map_or(Version::ABSENT, Record::version);
            let id = uuid::Uuid::new_v4().as_u64_pair().1;
            let pointer = Stored::Elsewhere(Move { region: to.name.to_string(), id });
            let moved = AuditedMove { from: home.name.to_string(), to: to.name.to_string(), move_id: id };
            if self.write_move((home, key, version), (&pointer, &DataKey::random()?), moved, now).await? {
                return Ok(true);
            }
        }
    }
}
