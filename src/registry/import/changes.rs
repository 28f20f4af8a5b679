//! Lists of changes: what came and went and when, and whether that goes on from the copy in force to the new one.

use std::collections::BTreeSet;
use std::path::Path;

use super::Order;
use crate::registry::Fault;
use crate::registry::ids::{OfficialList, official};
use crate::registry::set::Header;
use crate::time::{Instant, Millis};

pub(super) const DAY: Millis = Millis::days(1);
/// Keepers hand out in the morning what happened until the evening before, and some a day later.
const LATE: Millis = Millis::days(2);

/// Sixteen bytes, of which a list of changes may have millions. Sorted, it is in the order of dates, those of one instant
/// deletions first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// In milliseconds; [`Change::UNDATED`] for none.
    at: i64,
    /// The highest bit says that it was added.
    what: u64,
}

impl Change {
    const UNDATED: i64 = i64::MIN;
    const ADDED: u64 = 1 << 63;

    pub fn new(at: Option<Instant>, number: u64, added: bool) -> Self {
        let at = at.map_or(Self::UNDATED, |at| at.millis().max(Self::UNDATED + 1));
        Self { at, what: if added { number | Self::ADDED } else { number } }
    }

    pub fn date(self) -> Option<Instant> {
        (self.at != Self::UNDATED).then(|| Instant::from_millis(self.at))
    }

    pub fn number(self) -> u64 {
        self.what & !Self::ADDED
    }

    pub fn is_added(self) -> bool {
        self.what & Self::ADDED != 0
    }
}

/// What the dates of a list of changes tell of it.
#[derive(Clone, Default, Debug)]
pub struct Dates {
    /// The earliest.
    pub first: Option<Instant>,
    /// The latest.
    pub last: Option<Instant>,
    /// The days that have one, each counted from 1970 in UTC.
    pub days: BTreeSet<i64>,
    /// A change has none.
    pub missing: bool,
    /// A change takes a number off.
    pub deletes: bool,
}

impl Dates {
    pub(super) fn of(changes: &[Change]) -> Self {
        let dates = || changes.iter().filter_map(|change| change.date());
        Self {
            first: dates().min(),
            last: dates().max(),
            days: dates().map(day).collect(),
            missing: changes.iter().any(|change| change.date().is_none()),
            deletes: changes.iter().any(|change| !change.is_added()),
        }
    }
}

/// What is to be made of changes, in their order. Of those from before the day of the copy in force that copy tells more: who
/// was deleted then and is in it came back, by an addition that need not be among these. Whoever was added then is put in all the
/// same, unless deleted again before that day. Where some have no date, their order alone says what came last, so that only those
/// deletions are left out. Counts them in `kept`.
pub fn net(changes: Vec<Change>, settled: Option<Instant>, kept: &mut u64) -> Vec<Change> {
    let before = |change: &Change| settled.is_some_and(|day| change.date().is_some_and(|at| at < day));
    if changes.iter().any(|change| change.date().is_none()) {
        let mut net = changes;
        let all = net.len();
        net.retain(|change| change.is_added() || !before(change));
        *kept += (all - net.len()) as u64;
        return net;
    }
    let (mut old, new): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(before);
    // Stable: those of one number stay in their order.
    old.sort_by_key(|change| change.number());
    let mut net: Vec<Change> = Vec::with_capacity(new.len());
    let mut old = old.into_iter().peekable();
    while let Some(change) = old.next() {
        if old.peek().is_some_and(|next| next.number() == change.number()) {
            continue;
        }
        if change.is_added() {
            net.push(change);
        } else {
            *kept += 1;
        }
    }
    net.extend(new);
    net
}

/// The beginning of the day of a copy.
pub fn settled(before: &Header) -> Instant {
    Instant::from_millis(day(before.as_of).saturating_mul(DAY.0))
}

/// What stands between where a full copy came from and where the last changes did.
const CHANGED: &str = ", changed by ";
/// Of the thousand bytes that a header has room for.
const HALF: usize = 500;

/// Where the new copy comes from: the full copy, and of changes the last.
pub fn source(order: &Order, changed: Option<&Header>) -> String {
    let Some(before) = changed else { return order.source.clone() };
    let full = match before.source.split_once(CHANGED) {
        Some((full, _)) => full,
        // Others wrote down the changes alone.
        None if before.full_as_of != Some(before.as_of) => "",
        None => &before.source,
    };
    let full: String =
        full.char_indices().take_while(|(at, c)| at + c.len_utf8() <= HALF).map(|(_, letter)| letter).collect();
    format!("{}{CHANGED}{}", if full.is_empty() { "a full copy" } else { &full }, order.source)
}

fn day(at: Instant) -> i64 {
    at.millis().div_euclid(DAY.0)
}

/// The end of a day where a date is one, else the instant itself.
fn end(at: Instant) -> Instant {
    if at.millis().rem_euclid(DAY.0) == 0 { at.plus(DAY) } else { at }
}

/// Refuses changes that do not reach from where the copy in force ends to where the new one does: one that was left out leaves
/// people out for ever, and the list looks fresh.
pub fn unbroken(path: &Path, order: &Order, before: &Header, dates: &Dates) -> Result<(), Fault> {
    // The day of a keeper may have begun before that of UTC.
    if let Some(last) = dates.last.filter(|last| *last > order.as_of.plus(DAY)) {
        let what = format!("would be as of {}, and one of the changes is of {last}, after that", order.as_of);
        let remedy = "give with --as-of the instant at which the keeper made the files; if it is right, mend the dates of \
                      the changes, of which one is read as another day";
        return Err(Fault::new(path, what, remedy));
    }
    if order.gap {
        return Ok(());
    }
    begins(path, order, before, dates)?;
    ends(path, order, before, dates)
}

/// A change that is dated by day may have been made at any hour of it, so its day must not come after that of the copy; one
/// with an hour at most a day after it.
fn begins(path: &Path, order: &Order, before: &Header, dates: &Dates) -> Result<(), Fault> {
    let refused = |what: String, remedy: &str| Err(Fault::new(path, what, remedy));
    let after = |at: Instant| if end(at) > at { at > before.as_of } else { at > before.as_of.plus(DAY) };
    let dated = dates.first.filter(|_| !dates.missing);
    match (order.since, dated) {
        (Some(since), _) if since <= before.as_of => Ok(()),
        (Some(since), _) => refused(
            format!("is as of {}, and the changes are those since {since}: some between are missing", before.as_of),
            "import those first, or a full list; if nothing is missing, say so with --gap",
        ),
        (None, Some(first)) if after(first) => refused(
            format!(
                "is as of {}, and the first of the changes is of {first}: some between may be missing",
                before.as_of
            ),
            "import those first, or a full list; if the changes are all since the copy in force, say since when with --since",
        ),
        (None, Some(_)) => Ok(()),
        (None, None) => refused(
            format!("is as of {}, and the changes do not all have dates: some between may be missing", before.as_of),
            "say with --since from which instant on the changes are, such as that of the copy in force",
        ),
    }
}

/// Old changes, and those that end early, make no copy fresh. Whoever says since when the changes are says with it that they
/// are all until the instant of the new copy; that is believed where nothing else can be known: of lists that may see no change
/// for a while.
fn ends(path: &Path, order: &Order, before: &Header, dates: &Dates) -> Result<(), Fault> {
    let list = official(&order.id);
    let daily = list.is_some_and(OfficialList::changes_daily);
    // Of keepers that date their changes, all have one.
    let mixed = list.is_some() && dates.missing && dates.last.is_some();
    let taken_at_its_word = !daily && (dates.missing && !mixed || order.since.is_some());
    let refused = |what: String| {
        let remedy = if daily {
            "import all files of changes up to --as-of, or a full list; if nobody came or went in that time, say so with --gap"
        } else {
            "import all files of changes up to --as-of, or a full list; if these are all changes up to then, say since when \
             with --since"
        };
        Err(Fault::new(path, format!("is as of {}, and {what}", before.as_of), remedy))
    };
    if mixed {
        return refused(
            "some of the changes have a date and some have none: which of them came last is not known".to_owned(),
        );
    }
    // What is no younger than the copy in force makes nothing fresh; but who gives old deletions again means another file.
    let fresh = order.as_of > before.as_of;
    let old = dates.last.is_some_and(|last| day(last) < day(before.as_of));
    if taken_at_its_word || !(fresh || dates.deletes && old) {
        return Ok(());
    }
    let Some(last) = dates.last else {
        return refused(if dates.missing {
            "none of the changes has a date, where the keeper dates each of them".to_owned()
        } else {
            "the files have no change, where some come and go on every day".to_owned()
        });
    };
    if day(last) < day(before.as_of) {
        return refused(format!("the last of the changes is of {last}: none of them is new"));
    }
    if order.as_of > end(last).plus(LATE) {
        return refused(format!(
            "the last of the changes is of {last}: those from then until {} may be missing",
            order.as_of
        ));
    }
    match quiet_day(&dates.days, day(before.as_of)).filter(|_| daily) {
        Some(quiet) => refused(format!(
            "no change is of the day {}, where some come and go on every day",
            Instant::from_millis(quiet.saturating_mul(DAY.0))
        )),
        None => Ok(()),
    }
}

/// The first day without a change between that of the copy in force and the last one.
fn quiet_day(days: &BTreeSet<i64>, from: i64) -> Option<i64> {
    let mut days = days.clone();
    if days.first().is_some_and(|first| *first > from) {
        days.insert(from);
    }
    let mut pairs = days.iter().zip(days.iter().skip(1));
    pairs.find(|(one, next)| **next > from.max(**one + 1)).map(|(one, _)| from.max(*one + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_day_lies_between_others() {
        let quiet = |days: &[i64], from| quiet_day(&days.iter().copied().collect(), from);
        assert_eq!(quiet(&[], 3), None);
        assert_eq!(quiet(&[4, 5], 3), None);
        assert_eq!(quiet(&[5], 3), Some(4));
        assert_eq!(quiet(&[3, 4, 5], 3), None);
        assert_eq!(quiet(&[3, 5], 3), Some(4));
        assert_eq!(quiet(&[1, 5], 3), Some(3));
        assert_eq!(quiet(&[1, 3, 4], 3), None);
        assert_eq!(quiet(&[1, 4], 3), Some(3));
        assert_eq!(quiet(&[3, 4, 7, 9], 3), Some(5));
    }
}
