//! Finding the record of a contact, in whichever region it is.
//!
//! Promises: what is found is the one record in force, or that there is none; a pointer is followed, a copy on its way
//! counts only once the region it left says that it is gone; a record that lies where it does not belong is moved before
//! anything is answered about it, but for one that pins nothing and is just on its way into a region that will pin it. With
//! one store this costs nothing. Guarded by `tests/region.rs`.

use super::control::Standing;
use super::region::{Kept, away};
use super::{DEFAULT_REGION, Engine, Failure, Loaded};
use crate::access::Permit;
use crate::contact::{Contact, Move, Stored};
use crate::place::Number;
use crate::store::{Key, Version, Versioned};
use crate::time::Instant;

/// Where a contact is, and what is stored of it.
pub(super) struct Found<'a> {
    pub kept: &'a Kept,
    pub key: Key,
    pub loaded: Option<Loaded>,
    /// The last of a move is still to be written: that the record has arrived here.
    pub arriving: bool,
}

/// What stands under a contact's key in one region.
pub(super) enum Record {
    Here(Loaded),
    Elsewhere(Version, Move),
    Arriving(Loaded, Move),
}

/// A contact in its region: `None` where the region has nothing.
type Met<'a> = (&'a Kept, Key, Option<Record>, Standing);

impl Engine {
    /// The contact and the switches, as they are. Without an instant a record that lies wrong is read where it lies: every
    /// write has one.
    pub(super) async fn find_with_switches(
        &self,
        permit: &Permit,
        number: Number,
        now: Option<Instant>,
    ) -> Result<(Found<'_>, Standing), Failure> {
        // One tenant until authentication tells them apart; the permit already names it.
        debug_assert_eq!(permit.tenant(), self.main.tenant.name());
        self.look_up(number, now).await
    }

    /// The same for what asks on nobody's behalf.
    pub(super) async fn look_up(&self, number: Number, now: Option<Instant>) -> Result<(Found<'_>, Standing), Failure> {
        self.look_up_in(number, now, None).await
    }

    /// The contact, which was just moved into this region for what is about to be written: there it stays, though what it
    /// says as yet belongs elsewhere.
    pub(super) async fn find_moved(&self, number: Number, to: &str, now: Instant) -> Result<Found<'_>, Failure> {
        Ok(self.look_up_in(number, Some(now), Some(to)).await?.0)
    }

    async fn look_up_in(
        &self,
        number: Number,
        now: Option<Instant>,
        stays: Option<&str>,
    ) -> Result<(Found<'_>, Standing), Failure> {
        let kept = self.home(number)?;
        let key = kept.key(&self.keys, number);
        match self.load_with_switches(kept, &key).await? {
            (None, standing) => Ok((Found { kept, key, loaded: None, arriving: false }, standing)),
            (Some(Record::Here(loaded)), standing) if self.lies_right(kept, &loaded.contact, number) => {
                Ok((Found { kept, key, loaded: Some(loaded), arriving: false }, standing))
            }
            (record, standing) => Box::pin(self.trace(number, (kept, key, record, standing), (now, stays))).await,
        }
    }

    /// The contact as it is.
    pub(super) async fn find(
        &self,
        permit: &Permit,
        number: Number,
        now: Option<Instant>,
    ) -> Result<Found<'_>, Failure> {
        let kept = self.home(number)?;
        let key = self.key(permit, kept, number);
        match self.load(kept, &key).await? {
            None => Ok(Found { kept, key, loaded: None, arriving: false }),
            Some(Record::Here(loaded)) if self.lies_right(kept, &loaded.contact, number) => {
                Ok(Found { kept, key, loaded: Some(loaded), arriving: false })
            }
            // From the first again, switches and all: it is rare.
            Some(_) => Ok(self.find_with_switches(permit, number, now).await?.0),
        }
    }

    /// Whether a record lies where it belongs.
    pub(super) fn lies_right(&self, kept: &Kept, contact: &Contact, number: Number) -> bool {
        *kept.name == *self.belongs(contact, number, kept)
    }

    /// Goes where pointers and copies on their way lead, and puts right what lies wrong. Moves that go on meanwhile may
    /// make it look again, but not for ever.
    async fn trace<'a>(
        &'a self,
        number: Number,
        met: Met<'a>,
        (now, stays): (Option<Instant>, Option<&str>),
    ) -> Result<(Found<'a>, Standing), Failure> {
        let mut met = met;
        // Whether this is where the search begins: only there may nothing be.
        let mut first = true;
        // The pointer that led here: whence, and of which move.
        let mut led: Option<(&str, u64)> = None;
        for _ in 0..8 * self.regions.len().max(2) {
            let (kept, key, record, standing) = met;
            let next = match record {
                None if first => return Ok((Found { kept, key, loaded: None, arriving: false }, standing)),
                None => return Err(away(&kept.name, "a contact is said to be there, and is not: its store lost data")),
                Some(Record::Here(loaded)) => {
                    let belongs = self.belongs(&loaded.contact, number, kept);
                    let Some(now) = now.filter(|_| *kept.name != *belongs && stays != Some(&*kept.name)) else {
                        return Ok((Found { kept, key, loaded: Some(loaded), arriving: false }, standing));
                    };
                    self.relocate(number, kept, self.kept(belongs)?, now).await?;
                    (led, first) = (None, true);
                    self.home(number)?
                }
                Some(Record::Elsewhere(_, to)) => {
                    first = false;
                    led = Some((&kept.name, to.id));
                    self.kept(&to.region)?
                }
                // Its move was decided. Whoever writes it next makes it a record like any other, so the pointer that
                // decided must be as safe as that write: else a failover could bring the old record back beside it.
                Some(Record::Arriving(loaded, from)) if led == Some((&*from.region, from.id)) => {
                    let belongs = self.belongs(&loaded.contact, number, kept);
                    let pinned = *belongs != *kept.name && *belongs != *DEFAULT_REGION && stays != Some(&*kept.name);
                    if let (Some(now), true) = (now, pinned) {
                        // What is pinned is written where it belongs alone. As a plain record it can move on.
                        self.settle(kept, number, now).await?;
                        (led, first) = (None, true);
                        let home = self.home(number)?;
                        let key = home.key(&self.keys, number);
                        let (record, standing) = self.load_with_switches(home, &key).await?;
                        met = (home, key, record, standing);
                        continue;
                    }
                    if now.is_some() {
                        let source = self.kept(&from.region)?;
                        source.confirm(&source.key(&self.keys, number)).await?;
                    }
                    return Ok((Found { kept, key, loaded: Some(loaded), arriving: true }, standing));
                }
                Some(Record::Arriving(_, from)) => {
                    (led, first) = (None, false);
                    self.kept(&from.region)?
                }
            };
            let key = next.key(&self.keys, number);
            let (record, standing) = self.load_with_switches(next, &key).await?;
            met = (next, key, record, standing);
        }
        Err(Failure::Aborted)
    }

    pub(super) async fn load(&self, kept: &Kept, key: &Key) -> Result<Option<Record>, Failure> {
        match kept.ask(|store| store.load(key)).await? {
            None => Ok(None),
            Some(stored) => self.open(key, &stored).await.map(Some),
        }
    }

    /// Opens what stands under a key.
    pub(super) async fn open(&self, key: &Key, stored: &Versioned) -> Result<Record, Failure> {
        let (own, plain) = self.keys.open_record(key, &stored.bytes).await?;
        let version = stored.version;
        Ok(match Stored::from_bytes(&plain)? {
            Stored::Here(contact) => Record::Here(Loaded { version, contact, own }),
            Stored::Elsewhere(to) => Record::Elsewhere(version, to),
            Stored::Arriving(contact, from) => Record::Arriving(Loaded { version, contact, own }, from),
        })
    }

    /// What won a race.
    pub(super) async fn winner(&self, key: &Key, winner: Option<Versioned>) -> Result<Won, Failure> {
        let Some(winner) = winner else { return Ok(Won::Here(None)) };
        match self.open(key, &winner).await? {
            Record::Here(loaded) => Ok(Won::Here(Some(loaded))),
            Record::Elsewhere(..) | Record::Arriving(..) => Ok(Won::Elsewhere),
        }
    }

    /// The contact of this tag as it is, beginning in a region that has it or had it: for what knows no number. With an
    /// instant, a record that lies wrong is moved first; without one it is read where it lies.
    pub(super) async fn find_tagged<'a>(
        &'a self,
        kept: &'a Kept,
        tag: [u8; 32],
        asked: Option<(&Permit, Instant)>,
    ) -> Result<Found<'a>, Failure> {
        self.in_place()?;
        let mut kept = kept;
        let mut first = true;
        let mut led: Option<(&str, u64)> = None;
        for _ in 0..8 * self.regions.len().max(2) {
            let key = self.keys.now().key_of(&kept.tenant, tag);
            let (loaded, arriving) = match self.load(kept, &key).await? {
                None if first => return Ok(Found { kept, key, loaded: None, arriving: false }),
                None => return Err(away(&kept.name, "a contact is said to be there, and is not: its store lost data")),
                Some(Record::Here(loaded)) => (loaded, false),
                Some(Record::Arriving(loaded, from)) if led == Some((&*from.region, from.id)) => (loaded, true),
                Some(Record::Arriving(_, from)) => {
                    (kept, led, first) = (self.kept(&from.region)?, None, false);
                    continue;
                }
                Some(Record::Elsewhere(_, to)) => {
                    (led, first) = (Some((&*kept.name, to.id)), false);
                    kept = self.kept(&to.region)?;
                    continue;
                }
            };
            // Where it lies right nothing is left to be done; else the way by the number puts it right.
            let number = loaded.contact.digits().and_then(Number::from_digits);
            if let (Some((permit, now)), Some(number)) = (asked, number)
                && (arriving || !self.lies_right(kept, &loaded.contact, number))
            {
                return self.find(permit, number, Some(now)).await;
            }
            if let (true, Some((whence, _)), true) = (arriving, led, asked.is_some()) {
                // As safe as the write that comes: see `trace`.
                let source = self.kept(whence)?;
                source.confirm(&self.keys.now().key_of(&source.tenant, tag)).await?;
            }
            return Ok(Found { kept, key, loaded: Some(loaded), arriving });
        }
        Err(Failure::Aborted)
    }

    pub(super) fn key(&self, permit: &Permit, kept: &Kept, number: Number) -> Key {
        // One tenant until authentication tells them apart; the permit already names it.
        debug_assert_eq!(permit.tenant(), kept.tenant.name());
        kept.key(&self.keys, number)
    }
}

/// What won a race.
#[allow(clippy::large_enum_variant, reason = "taken apart where it is made")]
pub(super) enum Won {
    /// This record, or that there is none.
    Here(Option<Loaded>),
    /// The contact moved: it must be found anew.
    Elsewhere,
}

impl Record {
    /// The version in its store.
    pub const fn version(&self) -> Version {
        match self {
            Self::Here(loaded) | Self::Arriving(loaded, _) => loaded.version,
            Self::Elsewhere(version, _) => *version,
        }
    }
}
