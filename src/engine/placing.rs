//! Putting every record where the regions say, after they were changed. Nothing may serve meanwhile.

use super::find::Record;
use super::region::Kept;
use super::{Engine, Failure, Loaded};
use crate::contact::{Move, Stored};
use crate::place::Number;
use crate::proto::store::AuditedMove;
use crate::store::{DataKey, Key, Version, Versioned};
use crate::time::Instant;

/// Records read at a time.
const PAGE: usize = 256;

/// What became of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Placed {
    /// Looked at.
    pub records: u64,
    /// Moved to the region where they belong.
    pub moved: u64,
    /// Of a number that is not known any more, since the contact was erased: left where they are.
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

    /// Whether every record is where it belongs.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.nameless == 0 && self.parted == 0
    }
}

impl Engine {
    /// Says in every store that records are being moved, so that no server starts, and those that run answer nothing.
    ///
    /// # Errors
    /// A region is not open or away.
    pub async fn begin_placing(&self) -> Result<(), Failure> {
        for kept in self.all_kept() {
            let kept = kept?;
            self.layout(&kept.name).under_way().write(&*kept.store).await?;
        }
        Ok(())
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
        let named = loaded.contact.digits().and_then(Number::from_digits);
        let Some(number) = named.filter(|number| kept.key(&self.keys, *number) == key) else {
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
    async fn settle(&self, kept: &Kept, number: Number, now: Instant) -> Result<bool, Failure> {
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
