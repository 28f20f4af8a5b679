//! Records whose period is over go; those that a duty or a hold keeps, stay.
//!
//! Promises: nothing goes that law, a hold, a promise of the contract or a coming decision still needs; a removal is a write
//! like any other (compare-and-set, event, audit entry); a dry run says exactly what the same call would remove; an erasure
//! that a hold had put off is done when none forbids it any more. Guarded by
//! `tests/retention.rs`.

mod background;
mod days;
mod holds;
mod off_board;
mod tally;
mod untold;
mod walk;

use std::collections::BTreeMap;

use super::audited::Kind;
use super::control::{Standing, fault, wire};
use super::find::Won;
use super::region::Kept;
use super::rights::REQUESTS_KEPT;
use super::{Clock, Engine, Failure, Loaded};
use crate::access::Permit;
use crate::contact::wire::Reader;
use crate::contact::{Contact, RecordClass, Scrap};
use crate::law::{Duties, Floor, Law, Span};
use crate::place::{self, Jurisdiction, Location, LocationPosture, Number};
use crate::proto::store::{AuditedRemoval, AuditedSweep, ContactEvent, audited_write};
use crate::proto::v1;
use crate::store::{DataKey, Key, Swapped, Write};
use crate::time::{Instant, ZoneId};

pub use background::{Sweeper, SweeperSettings, Turn};
use days::Days;
use tally::Tally;
use untold::Waiting;
pub(super) use walk::{Met, Walk, walk_page};

/// How often a record that others keep changing is tried.
const TRIES: usize = 8;
/// The rule by which attempts go that no window reaches; the log keeps the calls themselves for as long as laws want.
const WINDOW: &str = "ringfence.window";
/// The rule by which a contact's key stays: who follows opt-outs has yet to confirm what its events say.
const UNTOLD: &str = "ringfence.untold";
/// The rule by which goes what the tenant's own period ended.
const PERIOD: &str = "ringfence.period";

/// How long the tenant keeps what no law speaks of, in calendar months after it was of use last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Periods {
    /// For everything.
    pub months: i32,
}

impl Default for Periods {
    /// Three years: what the authorities of the Union commonly accept for claims and proof.
    fn default() -> Self {
        Self { months: 36 }
    }
}

/// What of one record goes.
struct Swept {
    after: Contact,
    removed: Vec<(RecordClass, String, u64)>,
    held: Vec<(RecordClass, Floor)>,
    anonymised: bool,
    /// Nothing at all is left, and the store may forget the record.
    emptied: bool,
    /// The contact's own key goes, and with it what the log holds sealed under it.
    key_goes: bool,
}

impl Swept {
    const fn changes(&self) -> bool {
        !self.removed.is_empty() || self.anonymised || self.emptied || self.key_goes
    }
}

/// By what a sweep judges.
#[derive(Clone, Copy)]
struct Rules<'a> {
    law: &'a Law,
    standing: &'a Standing,
    periods: Periods,
    /// Own periods are over.
    all_over: bool,
    now: Instant,
}

/// Where a contact may be: its number's own places and every recorded residence.
pub(super) fn places(contact: &Contact) -> Vec<Jurisdiction> {
    let residences = contact.residences();
    let Some(number) = contact.digits().and_then(Number::from_digits) else { return residences };
    let location = Location { residences: residences.iter().copied().collect(), ..Location::default() };
    match place::resolve(number, &location, LocationPosture::Strictest) {
        Ok(resolution) => resolution.plausible.iter().map(|place| place.jurisdiction).chain(residences).collect(),
        Err(_) => residences,
    }
}

impl Rules<'_> {
    /// What of a record goes now. `untold`: somebody has yet to be told what its events say, so its key stays.
    fn judge(&self, contact: &Contact, untold: bool) -> Swept {
        let places = places(contact);
        let duties = Duties::of(self.law, &places, contact, self.standing.holds(), self.now);
        let whole = duties.keeps_all();
        let scraps = contact.scraps(self.standing.policies(), self.now);
        // A duty to keep an opt-out is one to keep whose it is.
        let kept = |scrap: &Scrap| {
            let sellers: Vec<&str> = scrap.sellers.iter().map(String::as_str).collect();
            let floor = duties.floor(&scrap.dated, &sellers, scrap.bought);
            floor.is_some_and(|floor| floor.until > self.now)
        };
        // A service that has ended keeps what a duty wants of a contact, and else only that it said stop.
        let bound = |scrap: &Scrap| scrap.dated.class != RecordClass::OptOut && kept(scrap) || is_open_request(scrap);
        let quiet = self.all_over || self.own_period(contact.updated_at()) <= self.now;
        let held_by_hold = RecordClass::ALL.iter().any(|class| duties.is_held(*class));
        // With the number goes what tells that the key has yet to go.
        let free = !whole && !held_by_hold && !untold;
        let number_goes = quiet && free && !scraps.iter().any(kept);
        let ends = self.all_over && contact.digits().is_some() && free;
        let scraps_bound = scraps.iter().any(bound);
        let forgotten = ends && !scraps_bound;
        let (mut gone, mut held) = (Vec::<Scrap>::new(), Vec::new());
        let mut removed = Vec::<(RecordClass, String, u64)>::new();
        let mut count = |class, rule: String, by: u64| match removed
            .iter_mut()
            .find(|(known, by_rule, _)| *known == class && *by_rule == rule)
        {
            Some((.., known)) => *known += by,
            None => removed.push((class, rule, by)),
        };
        for scrap in scraps.into_iter().filter(Scrap::is_removable) {
            match self.fate(&duties, &scrap) {
                Fate::Goes(rule) => {
                    count(scrap.dated.class, rule, 1);
                    gone.push(scrap);
                }
                Fate::Held(floor) => held.push((scrap.dated.class, floor)),
                Fate::InUse => {}
            }
        }
        let mut after = contact.clone();
        after.remove(&gone);
        if forgotten {
            let attempts = u64::try_from(contact.facts(None).attempts.len()).unwrap_or(u64::MAX);
            if attempts > 0 {
                count(RecordClass::Attempt, PERIOD.to_owned(), attempts);
            }
            after.forget();
        }
        let (attempts, anonymised) = match whole {
            true => (0, false),
            false => after.settle(self.now, number_goes, !duties.is_held(RecordClass::Attempt)),
        };
        if attempts > 0 {
            count(RecordClass::Attempt, WINDOW.to_owned(), attempts);
        }
        let emptied = after.is_empty(self.now) && !contact.is_empty(self.now);
        // Of a contact without its number the log goes as the days do of those that have no record: with the key. One that
        // nothing was sealed under since the last time need not go again.
        let nameless = after.digits().is_none() && free && !scraps_bound;
        let log_over = || self.all_over || self.log_until(contact.updated_at()) <= self.now;
        let key_goes = contact.key_opens_something() && (forgotten || nameless && log_over());
        if key_goes {
            after.note_key_change(self.now);
        }
        Swept { after, removed, held, anonymised, emptied, key_goes }
    }

    /// Until when an entry of the log is kept that was written then; [`Instant::FAR`]: without term.
    fn log_until(&self, recorded_at: Instant) -> Instant {
        let own = match self.all_over {
            true => recorded_at,
            false => self.own_period(recorded_at),
        };
        let floor = Duties::of_log(self.law, self.standing.holds(), self.now).log_entry(recorded_at);
        floor.map_or(own, |floor| floor.until.max(own))
    }

    /// When the store may forget a record of which nothing is left; `None`: not by itself. Its key opens what the log holds
    /// about it: that is kept for as long as any law wants.
    fn forgotten_at(&self, empty: &Contact) -> Option<Instant> {
        let until = match empty.key_opens_something() {
            true => self.log_until(self.now),
            false => self.now,
        };
        (until != Instant::FAR).then_some(until)
    }

    /// When the tenant's own period is over that began then.
    fn own_period(&self, began: Instant) -> Instant {
        Span { months: self.periods.months, days: 0 }.end_of_last_day(ZoneId::utc(), began)
    }

    /// Until when it must be provable how a request of the person was answered, whatever the tenant's own period.
    fn proof_of_answer(&self, scrap: &Scrap, ended: Instant) -> Instant {
        match scrap.dated.class {
            RecordClass::RightsRequest => ended.plus(REQUESTS_KEPT),
            _ => ended,
        }
    }

    fn fate(&self, duties: &Duties<'_>, scrap: &Scrap) -> Fate {
        let ceiling = duties.ceiling(&scrap.dated);
        let own = scrap.ended.map(|ended| match self.all_over || scrap.erased {
            true => ended,
            false => self.own_period(ended).max(self.proof_of_answer(scrap, ended)),
        });
        let own = match self.all_over {
            // Whoever asked before the end is answered after it.
            true if is_open_request(scrap) => None,
            true => Some(own.unwrap_or(self.now)),
            false => own,
        };
        let (over_at, rule) = match (own, ceiling) {
            (None, None) => return Fate::InUse,
            (Some(own), Some((most, rule))) if most < own => (most, rule),
            (Some(own), _) => (own, PERIOD),
            (None, Some((most, rule))) => (most, rule),
        };
        if over_at > self.now {
            return Fate::InUse;
        }
        let sellers: Vec<&str> = scrap.sellers.iter().map(String::as_str).collect();
        match duties.floor(&scrap.dated, &sellers, scrap.bought) {
            Some(floor) if floor.until > self.now => Fate::Held(floor),
            // The rule whose term was the last to end.
            Some(floor) if floor.until > over_at => Fate::Goes(floor.reason.into()),
            _ => Fate::Goes(rule.to_owned()),
        }
    }
}

fn is_open_request(scrap: &Scrap) -> bool {
    scrap.dated.class == RecordClass::RightsRequest && scrap.ended.is_none()
}

enum Fate {
    Goes(String),
    Held(Floor),
    InUse,
}

impl Engine {
    /// Removes what has passed its period from a page of contacts, or says what would go.
    ///
    /// # Errors
    /// A faulty request; the tenant's service goes on and all its periods were said to be over; store or log unavailable.
    pub async fn sweep_contacts(
        &self,
        permit: &Permit,
        request: &v1::SweepContactsRequest,
        clock: Clock,
    ) -> Result<v1::SweepContactsResponse, Failure> {
        let Walk { kept, records, next, seen, unread } =
            walk_page(self, request.page_size, &request.page_token).await?;
        let kept = kept.unwrap_or(&self.main);
        // Read after the records: a hold that was placed before they were read is among these.
        let standing = self.standing(kept).await?;
        if request.all_periods_over && !request.dry_run && standing.off_boarded_at().is_none() {
            let why = "is for a tenant whose service has ended: off-board it first, or ask with dry_run";
            return Err(fault("all_periods_over", why));
        }
        let law = self.law();
        let rules = Rules {
            law: &law,
            standing: &standing,
            periods: self.settings.periods,
            all_over: request.all_periods_over,
            now: clock.now,
        };
        let untold = match request.all_periods_over {
            true => self.untold(kept, &records, clock.now).await?,
            false => BTreeMap::new(),
        };
        let mut tally = Tally::passing_over(unread.0);
        if let Some(error) = unread.1 {
            // One damaged record must not keep all the others for ever.
            tracing::error!(%error, records = unread.0, "sweep: records that do not open are passed over");
        }
        for Met { key, loaded } in records {
            if clock.passed() {
                return Err(Failure::TooLate);
            }
            if let Some(waiting) = untold.get(&key).filter(|_| loaded.contact.key_opens_something()) {
                tally.waits(&loaded.contact, waiting);
            }
            if self.can_be_erased_now(kept, &loaded.contact, clock.now).await? {
                self.finish_waiting(permit, &loaded.contact, (request.dry_run, clock), &mut tally).await?;
            } else if request.dry_run {
                let swept = rules.judge(&loaded.contact, untold.contains_key(&key));
                tally.add(&loaded.contact, &swept);
            } else {
                self.sweep_one(permit, &rules, &untold, (kept, key, loaded), clock, &mut tally).await?;
            }
        }
        if next.is_empty() {
            let which = Days { dry_run: request.dry_run, all_over: request.all_periods_over, now: clock.now };
            tally.log_days = self.sweep_days(permit, which).await?;
        }
        Ok(tally.response(seen, next))
    }

    /// Does the erasures of a contact that a hold had put off, or counts that it would.
    async fn finish_waiting(
        &self,
        permit: &Permit,
        contact: &Contact,
        (dry_run, clock): (bool, Clock),
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let erased = match dry_run {
            true => true,
            false => match self.finish_erasures(permit, contact, clock).await {
                // Somebody else was at it: the next sweep looks again.
                Err(Failure::Aborted | Failure::Invalid(_) | Failure::NotFound(_)) => false,
                // A region that is away may have a copy: those behind this contact do not wait for it.
                Err(Failure::Store(_)) if self.has_regions() => false,
                done => done?,
            },
        };
        match erased {
            true => tally.erased += 1,
            false => tally.passed_over += 1,
        }
        Ok(())
    }

    /// Sweeps one record; a lost race is judged again on the record that won.
    async fn sweep_one(
        &self,
        permit: &Permit,
        rules: &Rules<'_>,
        untold: &BTreeMap<Key, Waiting>,
        (kept, key, loaded): (&Kept, Key, Loaded),
        clock: Clock,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut found = Some(loaded);
        let mut untold = untold.contains_key(&key);
        for _ in 0..TRIES {
            let Some(Loaded { version, contact, own, expires }) = found else { return Ok(()) };
            let mut swept = rules.judge(&contact, untold);
            let standing;
            if swept.changes() {
                // Whatever hold was placed before this moment keeps what it reaches.
                standing = self.standing(kept).await?;
                swept = Rules { standing: &standing, ..*rules }.judge(&contact, untold);
            }
            let own = if swept.key_goes { DataKey::random()? } else { own };
            let empty = swept.after.is_empty(clock.now);
            let forgotten_at = match empty && !self.has_regions() {
                true => rules.forgotten_at(&swept.after),
                false => None,
            };
            // A hold that came since, or a law, keeps the log for longer, and with it what opens it; or no more. By when
            // something was recorded last: each sweep would put it off by what has passed since the one before.
            let renewed = empty
                && match expires {
                    None => forgotten_at.is_some(),
                    Some(before) => self.has_regions() || rules.log_until(contact.updated_at()) > before,
                };
            if !swept.changes() && !renewed {
                tally.add(&contact, &swept);
                return Ok(());
            }
            kept.log_ready()?;
            let next = version.next();
            let receipt = kept.next_id(clock.now);
            let removals = swept.removed.iter().map(|(class, rule, count)| AuditedRemoval {
                record_class: class.number(),
                rule_id: rule.clone(),
                count: *count,
            });
            let sweep = AuditedSweep { removals: removals.collect(), anonymised: swept.anonymised };
            let body = Self::write_body(permit, audited_write::Request::Sweep(sweep), next.0, clock.now);
            let entry = self.contact_entry(Kind::Write, receipt, clock.now, &key, &own, &body)?;
            let told = contact.digits().filter(|_| swept.key_goes).map(|number| ContactEvent {
                format: 1,
                recorded_at: clock.now.millis(),
                kind: v1::OptOutEventKind::Erased.into(),
                number,
                ..ContactEvent::default()
            });
            let (kind, payload) =
                self.event_payload(kept, told, &key, &own, (receipt, entry.digest()), clock.now).await?;
            if swept.key_goes {
                // Said before: a crash after the swap must not leave the old bytes behind unnoticed.
                self.drop_later(kept).await?;
            }
            let keys = self.keys.now();
            let write = Write {
                key,
                expected: version,
                bytes: keys.seal_record(&key, &own, &swept.after.to_bytes())?,
                expires: forgotten_at,
                event: entry.event(kind, clock.now, payload),
            };
            match self.swap(kept, write).await? {
                Swapped::Won { event, .. } => {
                    if kind != 0 {
                        self.hub.nudge();
                    }
                    kept.log_swapped(entry, event).await?;
                    tally.add(&contact, &swept);
                    return Ok(());
                }
                Swapped::Lost(winner) => {
                    self.metrics.lost_race();
                    // What won may be an opt-out, and nobody has been told of it yet.
                    untold = true;
                    found = match self.winner(&key, winner).await? {
                        Won::Here(loaded) => loaded,
                        // It moved to another region, and is met there.
                        Won::Elsewhere => None,
                    };
                }
            }
        }
        tally.passed_over += 1;
        Ok(())
    }

    /// All contacts, page by page.
    ///
    /// # Errors
    /// A faulty request; store or log unavailable.
    pub async fn export_contacts(
        &self,
        permit: &Permit,
        request: v1::ExportContactsRequest,
        clock: Clock,
    ) -> Result<v1::ExportContactsResponse, Failure> {
        let mut reader = Reader::new();
        reader.text("why", &request.why);
        wire::sound(reader)?;
        let walk = walk_page(self, request.page_size, &request.page_token).await?.whole()?;
        let Walk { kept, records, next, .. } = walk;
        let kept = kept.unwrap_or(&self.main);
        let named = records.into_iter().filter_map(|Met { loaded, .. }| {
            let number = loaded.contact.digits().and_then(Number::from_digits)?;
            Some(loaded.contact.message(number, loaded.version.0))
        });
        let mut contacts: Vec<v1::Contact> = named.collect();
        let marks = self.marks().await?;
        contacts.iter_mut().for_each(|contact| marks.put(contact));
        // Whoever reads all leaves a trace of it.
        if let Some(log) = &kept.log {
            let id = kept.next_id(clock.now);
            let body = Self::write_body(permit, audited_write::Request::ExportContacts(request), 0, clock.now);
            let entry = self.day_entry(kept, Kind::Batch, id, clock.now, None, &body).await?;
            let _ = log.append(entry, None).await?;
        }
        Ok(v1::ExportContactsResponse { contacts, next_page_token: next })
    }
}
