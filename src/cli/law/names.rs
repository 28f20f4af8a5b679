//! Places, rules and days as people type them, and what they may have meant.

use jiff::civil::Date;

use super::super::Error;
use crate::law::{Law, nearest};
use crate::place::Jurisdiction;

/// Codes in use that are not the ISO ones.
const ALSO_CALLED: [(&str, &str); 3] = [("UK", "GB"), ("EL", "GR"), ("USA", "US")];

/// A place with a pack, its own or a wider one.
pub(super) fn place(law: &Law, typed: &str) -> Result<Jurisdiction, Error> {
    known(law, typed).ok_or_else(|| {
        Error::said(format!(
            "{typed}: no jurisdiction with a pack{}; `ringfence law show` lists them",
            meant(law, typed, false)
        ))
    })
}

/// The place of a code, where law is known of it: of its own, or its country's where that is law enough.
pub(super) fn known(law: &Law, typed: &str) -> Option<Jurisdiction> {
    let place: Jurisdiction = typed.to_ascii_uppercase().parse().ok()?;
    let chain = law.chain(place);
    let named = || chain.packs.iter().filter_map(|index| law.pack(*index)).any(|pack| pack.jurisdiction() == place);
    (chain.covered || named()).then_some(place)
}

/// ` (did you mean …?)`, or nothing.
pub(super) fn meant(law: &Law, typed: &str, rules_too: bool) -> String {
    let upper = typed.to_uppercase();
    let packs = || law.packs().iter().filter(|pack| !pack.is_policy());
    if rules_too && typed.contains('.') {
        let ids = law.packs().iter().flat_map(|pack| &pack.rules).map(|rule| &*rule.id);
        return nearest(typed, ids).map_or_else(String::new, |id| format!(" (did you mean {id}?)"));
    }
    let also = ALSO_CALLED.iter().find(|(typed, _)| *typed == upper).map(|(_, code)| (*code).to_owned());
    let part = || {
        let codes = packs().map(|pack| pack.jurisdiction().to_string());
        codes.into_iter().find(|code| code.split_once('-').is_some_and(|(_, part)| part == upper))
    };
    let code = || {
        let codes: Vec<_> = packs().map(|pack| pack.jurisdiction().to_string()).collect();
        // One letter of two is no likeness.
        nearest(typed, codes.iter().map(String::as_str)).filter(|_| typed.len() > 2).map(str::to_owned)
    };
    let title = || {
        let title = nearest(typed, packs().map(crate::law::Pack::title))?;
        packs().find(|pack| pack.title() == title).map(|pack| format!("{} ({title})", pack.jurisdiction()))
    };
    match also.or_else(part).or_else(title).or_else(code) {
        Some(code) => format!(" (did you mean {code}?)"),
        None => String::new(),
    }
}

/// A day of the years that can be asked about.
pub(super) fn day(typed: &str) -> Result<Date, String> {
    let shaped = typed.len() == 10;
    let day = typed.parse::<Date>().ok().filter(|_| shaped).ok_or("not a date such as 2026-08-11")?;
    if (2000..=2099).contains(&day.year()) {
        Ok(day)
    } else {
        Err("outside 2000 to 2099, the years the law is kept for".to_owned())
    }
}
