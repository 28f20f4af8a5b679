//! Moving one record from the store of one region into that of another.
//!
//! Promises: at every instant exactly one store has the record in force, and only that one takes writes; nothing that was
//! acknowledged before, during or after is missed; whatever was interrupted is taken up by the next request about the
//! contact. Guarded by `tests/region.rs`, which stops it between every two steps.
//!
//! 1. The copy is written into the target, by compare-and-set and acknowledged, as one *on its way*: it counts for nothing.
//! 2. The source becomes a pointer, by compare-and-set against the very record that was copied. This decides: whoever
//!    wrote in between has won, and the copy is made anew; whoever writes later loses, and finds the pointer.
//! 3. From then on the copy is the record, because the pointer names the same move. Its next write says so plainly.
//!
//! The pointer is sealed under a key of its own: the contact's own key goes with the record, and no copy of it stays. So
//! what the log of the region it left says of the contact can no longer be read there.

use prost::Message as _;

use super::audited::Kind;
use super::find::Record;
use super::region::Kept;
use super::{Engine, Failure, Loaded};
use crate::contact::{Contact, Move, Stored};
use crate::place::Number;
use crate::proto::store::{AuditBody, AuditedMove, AuditedWrite, audit_body, audited_write};
use crate::store::{DataKey, Key, Swapped, Version, Write};
use crate::time::Instant;

/// How often a move that loses to writes of the record begins anew within one request.
const TRIES: usize = 64;

/// Why a record moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// It belongs there by what it says.
    Belongs,
    /// It will, by what is about to be written.
    WillBelong,
    /// The same, and there may be none yet.
    WillBegin,
}

/// A move of one contact.
#[derive(Clone, Copy)]
struct Way<'a> {
    number: Number,
    from: &'a Kept,
    from_key: Key,
    to: &'a Kept,
    to_key: Key,
    now: Instant,
}

impl Engine {
    /// Moves a record that lies in one region and belongs into another. Where it moved meanwhile, or belongs elsewhere by
    /// what was written since, nothing is left to do.
    pub(super) async fn relocate(&self, number: Number, from: &Kept, to: &Kept, now: Instant) -> Result<(), Failure> {
        self.relocate_as(self.way(number, from, to, now), Why::Belongs).await
    }

    /// Moves a record into the region where it will belong by what is about to be written of it. Where there is none yet
    /// (`begin`), an empty one begins there.
    pub(super) async fn relocate_first(
        &self,
        number: Number,
        from: &Kept,
        to: &Kept,
        now: Instant,
        begin: bool,
    ) -> Result<(), Failure> {
        self.relocate_as(self.way(number, from, to, now), if begin { Why::WillBegin } else { Why::WillBelong }).await
    }

    fn way<'a>(&self, number: Number, from: &'a Kept, to: &'a Kept, now: Instant) -> Way<'a> {
        Way { number, from, from_key: from.key(&self.keys, number), to, to_key: to.key(&self.keys, number), now }
    }

    async fn relocate_as(&self, way: Way<'_>, why: Why) -> Result<(), Failure> {
        let Way { number, from, from_key, to, to_key, now } = way;
        from.log_ready()?;
        to.log_ready()?;
        for _ in 0..TRIES {
            // The target first. A copy that is written over what was seen here can then only be one of a record no older
            // than whatever another move copied before.
            let there = self.load(to, &to_key).await?;
            let (expected, contact, own) = match self.load(from, &from_key).await? {
                Some(Record::Here(Loaded { version, contact, own, .. })) => (version, contact, own),
                None if why == Why::WillBegin => (Version::ABSENT, Contact::new(number, now), DataKey::random()?),
                Some(_) | None => return Ok(()),
            };
            // Asked of the very record that is copied: whoever wrote since it was last read may have pinned it.
            if why == Why::Belongs && *self.belongs(&contact, number, from) != *to.name {
                return Ok(());
            }
            let contact = contact.for_another_store();
            let Some(id) = self.stage(&way, there, expected, (&contact, &own)).await? else { continue };
            if self.point(&way, expected, id).await? {
                self.metrics.moved();
                self.tidy(&way, id).await;
                return Ok(());
            }
        }
        Err(Failure::Aborted)
    }

    /// Step 1: the copy, on its way, and the name of its move. `None`: somebody else wrote there.
    async fn stage(
        &self,
        way: &Way<'_>,
        there: Option<Record>,
        source: Version,
        (contact, own): (&Contact, &DataKey),
    ) -> Result<Option<u64>, Failure> {
        let expected = there.as_ref().map_or(Version::ABSENT, Record::version);
        match there {
            // Of a move that was interrupted, or is under way: the same copy (of nothing, where nothing is in the source).
            // Another in its place would not be that of the pointer which that move may write. It may not be safe yet.
            Some(Record::Arriving(copy, earlier))
                if *earlier.region == *way.from.name && (copy.contact == *contact || source == Version::ABSENT) =>
            {
                way.to.confirm(&way.to_key).await?;
                return Ok(Some(earlier.id));
            }
            // It came back meanwhile; the next look will show so.
            Some(Record::Here(_)) => return Ok(None),
            _ => {}
        }
        let id = uuid::Uuid::new_v4().as_u64_pair().1;
        let copy = Stored::Arriving(contact.clone(), Move { region: way.from.name.to_string(), id });
        let written = self.put(way, (way.to, way.to_key, expected), (&copy, own), id).await?;
        Ok(written.then_some(id))
    }

    /// Step 2: the pointer in place of the record. Whether it won.
    async fn point(&self, way: &Way<'_>, expected: Version, id: u64) -> Result<bool, Failure> {
        let pointer = Stored::Elsewhere(Move { region: way.to.name.to_string(), id });
        // Said before: a crash after the swap must not leave the old bytes behind unnoticed.
        if expected != Version::ABSENT {
            self.drop_later(way.from).await?;
        }
        self.put(way, (way.from, way.from_key, expected), (&pointer, &DataKey::random()?), id).await
    }

    /// What makes later reads shorter, and is as right undone: the pointer in the number's own region leads straight to the
    /// record, and a record that nobody is led to says that it has arrived.
    async fn tidy(&self, way: &Way<'_>, id: u64) {
        let Ok(home) = self.home(way.number) else { return };
        if std::ptr::eq(home, way.from) {
            return;
        }
        if !std::ptr::eq(home, way.to) {
            let key = home.key(&self.keys, way.number);
            if let (Ok(Some(Record::Elsewhere(version, _))), Ok(own)) = (self.load(home, &key).await, DataKey::random())
            {
                let pointer = Stored::Elsewhere(Move { region: way.to.name.to_string(), id });
                let _ = self.put(way, (home, key, version), (&pointer, &own), id).await;
            }
        }
        if let Ok(Some(Record::Arriving(copy, arrived))) = self.load(way.to, &way.to_key).await
            && arrived.id == id
        {
            let record = Stored::Here(copy.contact);
            let _ = self.put(way, (way.to, way.to_key, copy.version), (&record, &copy.own), id).await;
        }
    }

    /// Writes one side of a move with its entry; whether it won.
    async fn put(
        &self,
        way: &Way<'_>,
        at: (&Kept, Key, Version),
        what: (&Stored, &DataKey),
        id: u64,
    ) -> Result<bool, Failure> {
        let moved = AuditedMove { from: way.from.name.to_string(), to: way.to.name.to_string(), move_id: id };
        self.write_move(at, what, moved, way.now).await
    }

    /// Writes what stands under a contact's key in one region, with an entry that says of which move; whether it won.
    pub(super) async fn write_move(
        &self,
        (kept, key, expected): (&Kept, Key, Version),
        (stored, own): (&Stored, &DataKey),
        moved: AuditedMove,
        now: Instant,
    ) -> Result<bool, Failure> {
        let write = AuditedWrite {
            request: Some(audited_write::Request::Move(moved)),
            recorded_at: now.millis(),
            version: expected.next().0,
            ..AuditedWrite::default()
        };
        let body = AuditBody { body: Some(audit_body::Body::Write(write)) }.encode_to_vec();
        // Not under the key of what is written: that of a pointer goes when the contact comes back, and the entry stays.
        let entry = self.day_entry(kept, Kind::Write, kept.next_id(now), now, Some(*key.tag()), &body).await?;
        let keys = self.keys.now();
        let bytes = keys.seal_record(&key, own, &stored.to_bytes())?;
        let event = entry.event(0, now, Vec::new());
        match self.swap(kept, Write { key, expected, bytes, expires: None, event }).await? {
            Swapped::Won { event, .. } => {
                kept.log_swapped(entry, event).await?;
                Ok(true)
            }
            Swapped::Lost(_) => Ok(false),
        }
    }
}
