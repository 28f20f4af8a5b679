//! What the record of switches keeps, and for how long.

use prost::Message;

use crate::contact::{Seen, WriteId};
use crate::engine::Failure;
use crate::proto::store::{
    ControlRecord, StoredEmergency, StoredFreeze, StoredIncident, StoredOwnList, StoredPolicy, StoredRetentionHold,
    StoredTransfer, StoredWrite,
};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, Millis};

/// How long what is over is remembered, and its request ids with it.
const REMEMBERED: Millis = Millis::days(400);
/// What is over and would make the record larger than this is forgotten sooner: a stop button must not jam.
const BYTES: usize = 8 << 20;
/// The most processors that are remembered after they were removed.
const REMOVED: usize = 200;
/// The most incidents that are remembered.
pub(in crate::engine) const INCIDENTS: usize = 100;
/// The most freezes or states of emergency that hold at once.
pub(super) const MOST: usize = 1_000;

/// Whether a freeze neither was lifted nor ended.
pub(super) fn freeze_holds(freeze: &v1::Freeze, now: Instant) -> bool {
    freeze.lifted_at.is_none() && later(freeze.until.as_ref(), now)
}

/// Whether a state of emergency is announced or in force.
pub(super) fn emergency_holds(state: &v1::Emergency, now: Instant) -> bool {
    state.ended_at.is_none() && later(state.until.as_ref(), now)
}

fn later(until: Option<&Timestamp>, now: Instant) -> bool {
    until.and_then(|until| until.to_millis()).is_none_or(|until| until > now.millis())
}

/// Every write that made the record, with what it made.
fn writes(record: &ControlRecord) -> impl Iterator<Item = &StoredWrite> {
    let freezes = record.freezes.iter().flat_map(|kept| [&kept.write, &kept.lifting]);
    let processors = record.processors.iter().flat_map(|kept| &kept.writes);
    let switched = freezes.chain(record.emergencies.iter().flat_map(|kept| [&kept.write, &kept.ending])).flatten();
    let policies = record.policies.iter().filter_map(|kept| kept.write.as_ref());
    let transfers = record.transfers.iter().filter_map(|kept| kept.write.as_ref());
    let holds = record.holds.iter().flat_map(|kept| [&kept.write, &kept.release]).flatten();
    let incidents = record.incidents.iter().flat_map(|kept| &kept.writes);
    let ending = record.off_boarding.iter().filter_map(|kept| kept.write.as_ref());
    let lists = record.lists.iter().flat_map(|kept| &kept.writes);
    switched.chain(processors).chain(policies).chain(transfers).chain(holds).chain(incidents).chain(ending).chain(lists)
}

/// The form of a record with this content: an older build must not overlook what it does not know.
pub(super) fn form(record: &ControlRecord) -> u32 {
    let plain = record.policies.is_empty()
        && record.transfers.is_empty()
        && record.holds.is_empty()
        && record.incidents.is_empty()
        && record.off_boarding.is_none()
        && record.lists.is_empty();
    if plain { 1 } else { 2 }
}

/// The instant at which a write is recorded: now, but never before what the record already holds.
pub(super) fn recording(record: &ControlRecord, now: Instant) -> Instant {
    Instant::from_millis(writes(record).map(|write| write.recorded_at).fold(now.millis(), i64::max))
}

/// The receipt of the same write, done before.
pub(super) fn done_before(record: &ControlRecord, id: WriteId) -> Result<Option<[u8; 16]>, Failure> {
    match writes(record).find_map(|write| id.seen(write)) {
        None => Ok(None),
        Some(Seen::Same { receipt, .. }) => Ok(Some(receipt)),
        Some(Seen::Other) => Err(Failure::AlreadyExists("this request_id was used for another request")),
    }
}

fn made(write: Option<&StoredWrite>, receipt: [u8; 16]) -> bool {
    write.is_some_and(|write| write.receipt_id == receipt)
}

/// The freeze that a write began or lifted.
pub(super) fn freeze_of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<&v1::Freeze> {
    let found =
        record.freezes.iter().find(|kept| made(kept.write.as_ref(), receipt) || made(kept.lifting.as_ref(), receipt));
    found.and_then(|kept| kept.freeze.as_ref())
}

/// The state of emergency that a write declared or ended.
pub(super) fn emergency_of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<&v1::Emergency> {
    let found = record
        .emergencies
        .iter()
        .find(|kept| made(kept.write.as_ref(), receipt) || made(kept.ending.as_ref(), receipt));
    found.and_then(|kept| kept.emergency.as_ref())
}

/// Adds the switches of another region's record. Of one that both have, the record that knows its end is right.
pub(super) fn merge(into: &mut ControlRecord, from: &ControlRecord) {
    for theirs in &from.freezes {
        let Some(freeze) = &theirs.freeze else { continue };
        let same = |kept: &&mut StoredFreeze| kept.freeze.as_ref().is_some_and(|f| f.freeze_id == freeze.freeze_id);
        match into.freezes.iter_mut().find(same) {
            None => into.freezes.push(theirs.clone()),
            Some(mine) if mine.freeze.as_ref().is_some_and(|mine| mine.lifted_at.is_none()) => mine.clone_from(theirs),
            Some(_) => {}
        }
    }
    for theirs in &from.emergencies {
        let Some(state) = &theirs.emergency else { continue };
        let same =
            |kept: &&mut StoredEmergency| kept.emergency.as_ref().is_some_and(|s| s.emergency_id == state.emergency_id);
        match into.emergencies.iter_mut().find(same) {
            None => into.emergencies.push(theirs.clone()),
            Some(mine) if mine.emergency.as_ref().is_some_and(|mine| mine.ended_at.is_none()) => {
                mine.clone_from(theirs)
            }
            Some(_) => {}
        }
    }
    for theirs in &from.policies {
        let version = |kept: &StoredPolicy| kept.policy.as_ref().map(|policy| policy.version.clone());
        if into.policies.iter().all(|mine| version(mine) != version(theirs)) {
            into.policies.push(theirs.clone());
        }
    }
    for theirs in &from.transfers {
        let id = |kept: &StoredTransfer| kept.transfer.as_ref().map(|transfer| transfer.transfer_id.clone());
        if into.transfers.iter().all(|mine| id(mine) != id(theirs)) {
            into.transfers.push(theirs.clone());
        }
    }
    for theirs in &from.holds {
        let id = |kept: &StoredRetentionHold| kept.hold.as_ref().map(|hold| hold.hold_id.clone());
        match into.holds.iter_mut().find(|mine| id(mine) == id(theirs)) {
            None => into.holds.push(theirs.clone()),
            Some(mine) if mine.release.is_none() => mine.clone_from(theirs),
            Some(_) => {}
        }
    }
    for theirs in &from.incidents {
        let id = |kept: &StoredIncident| kept.incident.as_ref().map(|incident| incident.incident_id.clone());
        match into.incidents.iter_mut().find(|mine| id(mine) == id(theirs)) {
            None => into.incidents.push(theirs.clone()),
            Some(mine) if mine.writes.len() < theirs.writes.len() => mine.clone_from(theirs),
            Some(_) => {}
        }
    }
    if into.off_boarding.is_none() {
        into.off_boarding.clone_from(&from.off_boarding);
    }
    for theirs in &from.lists {
        match into.lists.iter_mut().find(|mine| list_id(mine) == list_id(theirs)) {
            None => into.lists.push(theirs.clone()),
            Some(mine) if put_last(mine) < put_last(theirs) => mine.clone_from(theirs),
            Some(_) => {}
        }
    }
    into.lists.sort_by(|a, b| list_id(a).cmp(&list_id(b)));
    let recorded = |write: &Option<StoredWrite>| write.as_ref().map(|write| write.recorded_at);
    into.policies.sort_by_key(|kept| recorded(&kept.write));
    into.transfers.sort_by_key(|kept| recorded(&kept.write));
    into.holds.sort_by_key(|kept| recorded(&kept.write));
    into.incidents.sort_by_key(|kept| kept.writes.first().map(|write| write.recorded_at));
    into.freezes.sort_by_key(|kept| kept.write.as_ref().map(|write| write.recorded_at));
    into.emergencies.sort_by_key(|kept| kept.write.as_ref().map(|write| write.recorded_at));
}

/// Forgets what has long been over.
pub(super) fn prune(record: &mut ControlRecord, now: Instant) {
    let oldest = now.minus(REMEMBERED);
    record.freezes.retain(|kept| !freeze_over(kept, oldest));
    record.emergencies.retain(|kept| !emergency_over(kept, oldest));
    // Of regions one may have forgotten what another brings again.
    let surplus = record.incidents.len().saturating_sub(INCIDENTS);
    drop_first(&mut record.incidents, surplus, |kept| {
        kept.incident.as_ref().is_some_and(|one| one.closed_at.is_some())
    });
    let counts = |kept: &StoredOwnList| kept.list.as_ref().is_none_or(|list| list.complete || list.in_file);
    record.lists.retain(|kept| counts(kept) || put_last(kept).0 > oldest.millis());
    record.processors.retain(|kept| kept.removed_at == 0 || kept.removed_at > oldest.millis());
    let removed = record.processors.iter().filter(|kept| kept.removed_at != 0).count();
    drop_first(&mut record.processors, removed.saturating_sub(REMOVED), |kept| kept.removed_at != 0);
    record.holds.retain(|kept| {
        let hold = kept.hold.as_ref();
        !hold.is_some_and(|hold| over(hold.released_at.as_ref(), hold.until.as_ref(), oldest))
    });
    while record.encoded_len() > BYTES {
        let (freezes, states) = (record.freezes.len(), record.emergencies.len());
        // The older half of those over at once: measuring the record is not free.
        let over = record.freezes.iter().filter(|kept| freeze_over(kept, now)).count();
        drop_first(&mut record.freezes, over.div_ceil(2), |kept| freeze_over(kept, now));
        let over = record.emergencies.iter().filter(|kept| emergency_over(kept, now)).count();
        drop_first(&mut record.emergencies, over.div_ceil(2), |kept| emergency_over(kept, now));
        if (freezes, states) == (record.freezes.len(), record.emergencies.len()) {
            return;
        }
    }
}

/// The list that a write began or changed.
pub(in crate::engine) fn list_of_write(record: &ControlRecord, receipt: [u8; 16]) -> Option<&v1::OwnList> {
    let found = record.lists.iter().find(|kept| kept.writes.iter().any(|write| made(Some(write), receipt)));
    found.and_then(|kept| kept.list.as_ref())
}

fn list_id(kept: &StoredOwnList) -> Option<&str> {
    kept.list.as_ref().map(|list| list.list.as_str())
}

/// When it was said last, and whether that tightened: of two said at one instant what says less stands.
fn put_last(kept: &StoredOwnList) -> (i64, bool) {
    let at = kept.writes.iter().map(|write| write.recorded_at).max().unwrap_or(0);
    (at, kept.list.as_ref().is_none_or(|list| !list.complete))
}

fn drop_first<T>(list: &mut Vec<T>, mut count: usize, fits: impl Fn(&T) -> bool) {
    list.retain(|one| {
        let drops = count > 0 && fits(one);
        count -= usize::from(drops);
        !drops
    });
}

/// Whether it was over by then.
fn freeze_over(kept: &StoredFreeze, by: Instant) -> bool {
    kept.freeze.as_ref().is_some_and(|freeze| over(freeze.lifted_at.as_ref(), freeze.until.as_ref(), by))
}

fn emergency_over(kept: &StoredEmergency, by: Instant) -> bool {
    kept.emergency.as_ref().is_some_and(|state| over(state.ended_at.as_ref(), state.until.as_ref(), by))
}

fn over(stopped: Option<&Timestamp>, until: Option<&Timestamp>, by: Instant) -> bool {
    let ends = [stopped, until].into_iter().flatten().filter_map(|end| end.to_millis());
    ends.min().is_some_and(|end| end <= by.millis())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn freeze(n: i64, lifted: Option<i64>, why: &str) -> StoredFreeze {
        let freeze = v1::Freeze {
            freeze_id: n.to_string(),
            why: why.to_owned(),
            lifted_at: lifted.map(Timestamp::from_millis),
            ..v1::Freeze::default()
        };
        let id = WriteId::new(&n.to_string(), b"x").unwrap();
        let write = Some(id.stored([0; 16], Instant::from_millis(n)));
        StoredFreeze { freeze: Some(freeze), write, lifting: None }
    }

    fn ids(record: &ControlRecord) -> Vec<&str> {
        record.freezes.iter().map(|kept| kept.freeze.as_ref().unwrap().freeze_id.as_str()).collect()
    }

    #[test]
    fn what_is_over_is_forgotten_after_400_days_and_what_holds_never() {
        let now = Instant::from_millis(1_000 * DAY);
        let freezes = vec![
            freeze(1, None, ""),
            freeze(2, Some(600 * DAY), ""),
            freeze(3, Some(600 * DAY + 1), ""),
            freeze(4, Some(999 * DAY), ""),
        ];
        let mut record = ControlRecord { freezes, ..ControlRecord::default() };
        prune(&mut record, now);
        assert_eq!(ids(&record), ["1", "3", "4"]);
    }

    #[test]
    fn a_record_too_large_forgets_the_oldest_that_are_over_and_nothing_that_holds() {
        let now = Instant::from_millis(1_000 * DAY);
        let why = "x".repeat(1 << 20);
        let freezes = (0..12).map(|n| freeze(n, (n % 2 == 0).then_some(999 * DAY), &why)).collect();
        let mut record = ControlRecord { freezes, ..ControlRecord::default() };
        prune(&mut record, now);
        assert!(record.encoded_len() <= BYTES);
        assert!(["1", "3", "5", "7", "9", "11"].iter().all(|id| ids(&record).contains(id)), "{:?}", ids(&record));
        assert_eq!(record.freezes.len(), 7, "the newest of those over is left");
        // Nothing more can go: it stays as large as it is.
        let freezes = (0..12).map(|n| freeze(n, None, &why)).collect();
        let mut record = ControlRecord { freezes, ..ControlRecord::default() };
        prune(&mut record, now);
        assert_eq!(record.freezes.len(), 12);
    }

    #[test]
    fn a_clock_set_back_does_not_date_a_write_before_another() {
        let record = ControlRecord { freezes: vec![freeze(5_000, None, "")], ..ControlRecord::default() };
        assert_eq!(recording(&record, Instant::from_millis(4_000)).millis(), 5_000);
        assert_eq!(recording(&record, Instant::from_millis(6_000)).millis(), 6_000);
    }
}
