//! What a copy must be before it takes the place of the one in force: whoever is missing in it is protected no longer.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::ids::{Kind, OfficialList, kind};
use super::super::list::areas_of;
use super::super::set::{Areas, Builder, Header, Set, SetFault};
use super::{Dates, Order};
use crate::registry::Fault;
use crate::time::{Instant, Millis};

/// A copy before of fewer numbers may shrink as it will.
const MANY: u64 = 100_000;
/// So may an area of fewer.
const MANY_OF_AN_AREA: u64 = 1_000;
/// Areas that an error names.
const SAID: usize = 10;

/// Where a list comes in parts by area code: fewer areas than this are hardly all of it.
fn parts(id: &str) -> Option<usize> {
    if let Ok(Kind::Official(list)) = kind(id) { OfficialList::areas(list) } else { None }
}

/// Refuses what may not be said of this list.
pub fn goes_together(path: &Path, order: &Order) -> Result<(), Fault> {
    let official = if let Ok(Kind::Official(list)) = kind(&order.id) { Some(list) } else { None };
    if official.is_some() && order.region.is_some() {
        let what = "is an official list: its country says how its numbers are read";
        return Err(Fault::new(path, what, "leave --default-region out"));
    }
    let may_be_whole = official.is_some_and(OfficialList::is_asked) && order.areas.as_ref().is_some_and(Areas::is_all);
    if order.areas.is_some() && !may_be_whole && !official.is_some_and(OfficialList::is_north_american) {
        return Err(Fault::new(path, "is not kept by North American area codes", "leave --areas out"));
    }
    Ok(())
}

/// What the new copy speaks for. A full copy of a list that comes in parts is what was given of it, unless somebody says
/// otherwise: a file that was forgotten must not make a whole city not listed.
pub fn coverage(path: &Path, order: &Order, before: Option<&Set>, builder: &mut Builder) -> Result<Areas, Fault> {
    if let Some(before) = before.filter(|_| order.changes) {
        return Ok(areas_of(before));
    }
    let seen = Areas::of_prefixes(builder.prefixes());
    let parts = parts(&order.id);
    let Some(asked) = &order.areas else {
        return Ok(if parts.is_some() { seen } else { Areas::ALL });
    };
    let few = parts.filter(|least| asked.is_all() && seen.codes().count() < *least && !order.sample);
    if let (Some(least), false) = (few, order.fewer) {
        let what = format!(
            "would count as the whole list and has numbers of {} area codes, where at least {least} are expected",
            seen.codes().count()
        );
        let remedy = "give all files of the copy in one import, or leave --areas out: then it speaks for the areas that it \
                      has numbers of; if this is the whole list, say so with --fewer";
        return Err(Fault::new(path, what, remedy));
    }
    let empty = Areas::of(asked.codes().filter(|code| !seen.cover_prefix(1_000 + u64::from(*code))));
    if empty.codes().next().is_some() && !order.fewer {
        let what = format!("would speak for area codes of which it has no number: {empty}");
        let remedy =
            "give their files too, or name them no more in --areas; if nobody is listed there, say so with --fewer";
        return Err(Fault::new(path, what, remedy));
    }
    Ok(asked.clone())
}

/// Refuses a copy that is likely not the whole list.
pub fn not_fewer(path: &Path, before: u64, now: u64) -> Result<(), Fault> {
    if now == 0 {
        let remedy = "look at the files that were given; if the list is empty, say so with --fewer";
        return Err(Fault::new(path, "would become empty, and protect nobody", remedy));
    }
    if before >= MANY && now < before / 2 {
        let what = format!("would shrink from {before} numbers to {now}");
        let remedy = "give all files of the copy in one import, a list of changes with --changes; if the list did shrink, \
                      say so with --fewer";
        return Err(Fault::new(path, what, remedy));
    }
    Ok(())
}

/// Refuses a copy from which an area is missing, or most of it.
pub fn no_area_lost(path: &Path, before: &Set, now: &Set) -> Result<(), Fault> {
    // Tags do not tell their areas.
    if before.header().tagged != now.header().tagged || now.header().tagged.is_some() {
        return Ok(());
    }
    let (areas, in_parts) = (areas_of(now), parts(&now.header().registry).is_some());
    let counts: BTreeMap<u32, u64> = now.counts().map(|(prefix, count)| (prefix, u64::from(count))).collect();
    let lost: Vec<String> = before
        .counts()
        .filter_map(|(prefix, count)| {
            let (was, is) = (u64::from(count), counts.get(&prefix).copied().unwrap_or(0));
            // Where areas are handed out one by one, one that nobody is on any more is one that was not given.
            let gone = in_parts && is == 0 && areas.cover_prefix(prefix.into());
            (gone || was >= MANY_OF_AN_AREA && is < was / 2).then(|| format!("+{prefix} from {was} to {is}"))
        })
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let more = if lost.len() > SAID { format!(" and {} more", lost.len() - SAID) } else { String::new() };
    let named = lost.get(..SAID.min(lost.len())).unwrap_or_default().join(", ");
    let what = format!("would lose most of what it has of some areas: {named}{more}");
    let remedy = "give the files of all areas in one import; if the list did shrink there, say so with --fewer";
    Err(Fault::new(path, what, remedy))
}

/// Refuses changes that do not begin where the copy in force ends: one that was skipped leaves people out for ever, and the
/// list looks fresh.
///
/// A change that is dated by day may have been made at any hour of it, so its day must not come after that of the copy; one
/// with an hour at most a day after it.
pub fn unbroken(path: &Path, order: &Order, before: &Header, dates: Dates) -> Result<(), Fault> {
    const DAY: Millis = Millis::days(1);
    let refused = |what: String, remedy: &str| Err(Fault::new(path, what, remedy));
    let after = |at: Instant| {
        let as_of = before.as_of;
        if at.millis().rem_euclid(DAY.0) == 0 { at > as_of } else { at > as_of.plus(DAY) }
    };
    match (order.since, dates) {
        _ if order.gap => Ok(()),
        (Some(since), _) if since <= before.as_of => Ok(()),
        (Some(since), _) => refused(
            format!("is as of {}, and the changes are those since {since}: some between are missing", before.as_of),
            "import those first, or a full list; if nothing is missing, say so with --gap",
        ),
        (None, Dates { first: Some(first), missing: false }) if after(first) => refused(
            format!(
                "is as of {}, and the first of the changes is of {first}: some between may be missing",
                before.as_of
            ),
            "import those first, or a full list; if the changes are all since the copy in force, say since when with --since",
        ),
        (None, Dates { first: Some(_), missing: false }) => Ok(()),
        (None, _) => refused(
            format!("is as of {}, and the changes do not all have dates: some between may be missing", before.as_of),
            "say with --since from which instant on the changes are, such as that of the copy in force",
        ),
    }
}

/// How many numbers are new, and how many are gone.
pub fn compared(before: &Set, after: &Set) -> Result<(u64, u64), SetFault> {
    let (mut added, mut removed) = (0, 0);
    let (mut before, mut after) = (before.numbers(), after.numbers());
    let (mut old, mut new) = (before.next().transpose()?, after.next().transpose()?);
    loop {
        let order = match (old, new) {
            (None, None) => return Ok((added, removed)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(&new),
        };
        if order.is_le() {
            removed += u64::from(order.is_lt());
            old = before.next().transpose()?;
        }
        if order.is_ge() {
            added += u64::from(order.is_gt());
            new = after.next().transpose()?;
        }
    }
}
