//! The time axis: the versions of one provision, each beginning on the day after the last day of the one before.
//!
//! A series is what `replaces` says it is. An id such as `fr.voice.hours_2023` beside `fr.voice.hours` promises one too.

use super::{Found, nearest};
use crate::law::{Pack, Rule};
use crate::time::Instant;

pub(super) fn look(pack: &Pack, found: &mut Found<'_>) {
    for rule in &pack.rules {
        for earlier in &rule.series.replaces {
            match pack.rules.iter().find(|other| other.id == *earlier) {
                Some(earlier) => seam(pack, earlier, rule, found),
                None => {
                    let ids = pack.rules.iter().map(|rule| &*rule.id);
                    let meant = nearest(earlier, ids).map_or_else(String::new, |id| format!("; did you mean `{id}`?"));
                    found.of(rule, &format!("`replaces` names `{earlier}`, which this pack does not have{meant}"));
                }
            }
        }
        if rule.series.replaces.is_empty() && (rule.series.gap.is_some() || rule.series.overlap.is_some()) {
            found.of(rule, "`gap` and `overlap` are about what it replaces, and it replaces nothing: take them out");
        }
        end(pack, rule, found);
        promised(pack, rule, found);
    }
}

/// Where one version meets the next.
fn seam(pack: &Pack, earlier: &Rule, later: &Rule, found: &mut Found<'_>) {
    let day = |at: Instant| pack.zone().civil(at).date().map_or_else(|| "ever".to_owned(), |date| date.to_string());
    let last = |rule: &Rule| day(rule.until.minus(crate::time::Millis(1)));
    if later.from == Instant::NEVER {
        found.of(later, &format!("it replaces `{}` but has no `effective.from`: say when", earlier.id));
        return;
    }
    if earlier.until == Instant::FAR {
        found.of(
            later,
            &format!(
                "it replaces `{}`, which has no `effective.until`: both hold from {}",
                earlier.id,
                day(later.from)
            ),
        );
        return;
    }
    let (id, until, from) = (&earlier.id, last(earlier), day(later.from));
    let several = later.series.replaces.len() > 1;
    match (later.from.cmp(&earlier.until), &later.series.gap, &later.series.overlap) {
        (std::cmp::Ordering::Greater, None, _) => found.of(
            later,
            &format!("a gap: `{id}` ends on {until} and this begins on {from}; mend a date, or say in `gap` why nothing held"),
        ),
        (std::cmp::Ordering::Less, _, None) => found.of(
            later,
            &format!("an overlap: `{id}` ends on {until} and this begins on {from}; mend a date, or say in `overlap` why both hold"),
        ),
        (std::cmp::Ordering::Equal, gap, overlap) if !several && (gap.is_some() || overlap.is_some()) => {
            found.of(later, &format!("it begins on the day after `{id}` ends: `gap` and `overlap` explain nothing, take them out"));
        }
        _ => {}
    }
}

/// What comes after the last day of a rule.
fn end(pack: &Pack, rule: &Rule, found: &mut Found<'_>) {
    let followed = pack.rules.iter().find(|other| other.series.replaces.contains(&rule.id));
    match (rule.until == Instant::FAR, followed, &rule.series.ends) {
        (false, None, None) => found.of(
            rule,
            "it ends and nothing follows: name it in the `replaces` of its successor, or say in `ends` why there is none",
        ),
        (true, _, Some(_)) => found.of(rule, "`ends` says why it ends, but it has no `effective.until`"),
        (false, Some(next), Some(_)) => {
            found.of(rule, &format!("`ends` says that nothing follows, but `{}` replaces it", next.id));
        }
        _ => {}
    }
}

/// An id that ends in a year is an older version of the rule without it.
fn promised(pack: &Pack, rule: &Rule, found: &mut Found<'_>) {
    let Some((stem, year)) = rule.id.rsplit_once('_') else { return };
    if year.len() != 4 || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return;
    }
    let stem = stem.strip_suffix("_until").unwrap_or(stem);
    let newer = pack.rules.iter().find(|other| &*other.id == stem);
    if let Some(newer) = newer.filter(|newer| !newer.series.replaces.contains(&rule.id)) {
        found.of(
            newer,
            &format!("`{}` reads as an older version of it: name that in `replaces`, or give it another id", rule.id),
        );
    }
}
