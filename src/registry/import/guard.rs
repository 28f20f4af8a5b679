//! What a copy must be before it takes the place of the one in force: whoever is missing in it is protected no longer.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::ids::{Kind, OWN, OfficialList, kind};
use super::super::list::areas_of;
use super::super::set::{Areas, Builder, Header, Set, SetFault};
use super::super::tags::Mark;
use super::Order;
use crate::registry::Fault;

/// A copy before of fewer numbers may shrink as it will, but for lists of the tenant's own: they are small, and few of their
/// numbers are ever taken off.
const MANY: u64 = 1_000;
/// So may an area of fewer; and so few are hardly all of an area.
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
    if order.areas.is_some() && !official.is_some_and(OfficialList::is_north_american) {
        return Err(Fault::new(path, "is not kept by North American area codes", "leave --areas out"));
    }
    Ok(())
}

/// Refuses to put tags of other keys in the place of those in force, which a running server would refuse.
pub fn same_keys(path: &Path, order: &Order, before: Option<Mark>, now: Option<Mark>) -> Result<(), Fault> {
    let what = "was made under other keys, or for another tenant";
    match before {
        Some(before) if now != Some(before) && order.changes => Err(Fault::new(
            path,
            what,
            "name its keys with --keys, its tenant with --tenant; or import the full list anew",
        )),
        Some(before) if now != Some(before) && !order.new_keys => {
            let remedy = "name its keys with --keys, its tenant with --tenant; if the keys are new and this is the full list, \
                          say so with --new-keys";
            Err(Fault::new(path, what, remedy))
        }
        _ => Ok(()),
    }
}

/// Refuses to mix made-up numbers with those of a keeper: the whole would pass for his.
pub fn as_real(path: &Path, order: &Order, before: &Header) -> Result<(), Fault> {
    match (before.sample, order.sample) {
        (true, false) => {
            let remedy = "import the full list, without --changes";
            Err(Fault::new(path, "is a made-up list, and no changes make it the real one", remedy))
        }
        (false, true) => {
            Err(Fault::new(path, "is no made-up list, and made-up changes would spoil it", "leave --sample out"))
        }
        _ => Ok(()),
    }
}

/// What the new copy speaks for. A full copy of a list that comes in parts is what was given of it, unless somebody says
/// otherwise: a file that was forgotten must not make a whole city not listed.
pub fn coverage(path: &Path, order: &Order, before: Option<&Set>, builder: &mut Builder) -> Result<Areas, Fault> {
    if let Some(before) = before.filter(|_| order.changes) {
        return Ok(areas_of(before));
    }
    let parts = parts(&order.id);
    // Nobody asks for the areas of a list of tags, or of other countries.
    if parts.is_none() && order.areas.is_none() {
        return Ok(Areas::ALL);
    }
    let counts: Vec<(u32, u64)> = builder.counts().collect();
    let seen = Areas::of_prefixes(counts.iter().map(|(prefix, _)| *prefix));
    let Some(asked) = &order.areas else {
        return of_enough(path, order, &seen, &counts);
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

/// The areas that a copy of some has enough numbers of. Others are beside them: what is on the list is on it, and of whoever
/// else lives there it says nothing.
fn of_enough(path: &Path, order: &Order, seen: &Areas, counts: &[(u32, u64)]) -> Result<Areas, Fault> {
    let least = if order.sample { 0 } else { MANY_OF_AN_AREA };
    let enough = Areas::of_enough(counts, least);
    let (none, empty) = (enough.codes().next().is_none(), seen.codes().next().is_none());
    if none && !empty && !order.fewer {
        let what =
            format!("would speak for no area code: of each that it has numbers of it has fewer than {least} ({seen})");
        let remedy = "give all files of the copy in one import; if they do have all numbers of some area codes, name those with \
                      --areas";
        return Err(Fault::new(path, what, remedy));
    }
    Ok(enough)
}

/// Refuses a copy that is likely not the whole list.
pub fn not_fewer(path: &Path, id: &str, before: u64, now: u64) -> Result<(), Fault> {
    if now == 0 {
        let remedy = "look at the files that were given; if the list is empty, say so with --fewer";
        return Err(Fault::new(path, "would become empty, and protect nobody", remedy));
    }
    let many = if id.starts_with(OWN) { 0 } else { MANY };
    if before >= many && now.saturating_mul(2) < before {
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
