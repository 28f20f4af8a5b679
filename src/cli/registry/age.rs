//! Whether copies of lists are young enough, and for how long.

use std::path::Path;

use super::super::packs;
use super::all;
use crate::config::Config;
use crate::decision::{OWN_LIST, stale_from};
use crate::engine::registries::asking;
use crate::law::{Freshness, Law};
use crate::registry::{List, ids};
use crate::store::redis::{Finding, Weight};
use crate::time::{Instant, Millis};

/// A copy that is too old within this is worth a word now: decisions warn as long before.
const SOON: Millis = Millis::days(3);

/// What one rule makes of the age of a list.
pub(super) struct Stale {
    /// Its id.
    pub rule: String,
    /// How old it lets a copy be, in words.
    pub fresh: String,
    /// It finds the copy too old now.
    pub is_stale: bool,
    /// From when on it does.
    pub from: Option<Instant>,
}

/// By the clock of the rule's own pack; where its people live by several, the strictest of theirs decides. Of a list of a
/// tenant's own that no pack names, what holds for every such list: it never goes stale.
pub(super) fn staleness(law: &Law, id: &str, as_of: Instant, now: Instant) -> Vec<Stale> {
    let judged = asking(law, id, now).map(|(rule, fresh, zones)| {
        let from = stale_from(fresh, &zones, as_of);
        let fresh = match fresh {
            Freshness::Age(age) => format!("at most {} days old", age.0 / Millis::days(1).0),
            Freshness::Month => "of this month".to_owned(),
            Freshness::SinceDay(days) => {
                let days: Vec<String> = days.iter().map(ToString::to_string).collect();
                format!("of the latest day {} of a month, or younger", days.join(" or "))
            }
        };
        Stale { rule: rule.id.to_string(), fresh, is_stale: from.is_none_or(|from| now >= from), from }
    });
    let stale: Vec<_> = judged.collect();
    if stale.is_empty() && id.starts_with(ids::OWN) && !law.asks_for_own_list(id) {
        let (rule, fresh) = (OWN_LIST.to_owned(), "at any age".to_owned());
        return vec![Stale { rule, fresh, is_stale: false, from: None }];
    }
    stale
}

/// What there is to say of the lists of a server with these settings.
pub fn look(config: &Config, now: Instant) -> Vec<Finding> {
    let Some(folder) = &config.registries else { return Vec::new() };
    let warning =
        |place: &Path, text: String| Finding { weight: Weight::Warning, server: place.display().to_string(), text };
    let law = match packs::read(config.packs.as_deref()) {
        Ok(law) => law,
        Err(error) => return vec![warning(folder, error.to_string())],
    };
    let registries = match all::read(config, folder) {
        Ok(registries) => registries,
        Err(fault) => return vec![warning(folder, fault.to_string())],
    };
    let faults = registries.faults();
    let faults = faults.iter().map(|fault| warning(&fault.path, format!("{}; {}", fault.what, fault.remedy)));
    let first = registries.snapshot();
    let mut findings: Vec<_> =
        faults.chain(first.iter().map(|list| finding(&law, list, list.id.clone(), now))).collect();
    for (tenant, lists) in registries.others().iter() {
        let own = config.exposed.tenant_packs.as_ref().map(|packs| packs.join(&**tenant)).filter(|own| own.is_dir());
        let read = own.as_ref().map(|own| packs::read_with(config.packs.as_deref(), own)).transpose();
        let law = match &read {
            Ok(read) => read.as_ref().unwrap_or(&law),
            Err(error) => {
                findings.push(warning(own.as_deref().unwrap_or(folder), error.to_string()));
                continue;
            }
        };
        let lists = lists.snapshot();
        let lists = lists.iter().filter(|list| list.is_own());
        findings.extend(lists.map(|list| finding(law, list, format!("{tenant}/{}", list.id), now)));
    }
    findings
}

fn finding(law: &Law, list: &List, server: String, now: Instant) -> Finding {
    let rules = staleness(law, &list.id, list.as_of, now);
    let first = rules.iter().filter_map(|rule| rule.from.map(|from| (from, rule.rule.as_str()))).min();
    let text = match first {
        _ if list.as_of > now => format!("says it is of {}, which is yet to come", list.as_of),
        Some((from, rule)) if now >= from => {
            format!("as of {}: too old since {from} for {rule}, which denies", list.as_of)
        }
        Some((from, rule)) => format!("as of {}: too old from {from} for {rule}", list.as_of),
        None => match rules.first() {
            Some(rule) if rule.is_stale => format!("as of {}: too old for {}, which denies", list.as_of, rule.rule),
            Some(rule) => format!("as of {}: never too old for {}", list.as_of, rule.rule),
            None => format!("as of {}: no rule asks for it", list.as_of),
        },
    };
    let covered = match list.asked {
        Some(asked) => format!("; of {asked} numbers that were asked about alone"),
        None if list.areas.is_all() => String::new(),
        None if list.areas.codes().next().is_none() => "; of nobody but those on it".to_owned(),
        None => format!("; a copy of area codes {} alone", list.areas),
    };
    let text = text + &covered;
    let soon = first.is_some_and(|(from, _)| now.plus(SOON) >= from);
    let weight =
        if soon || list.as_of > now || rules.iter().any(|rule| rule.is_stale) { Weight::Warning } else { Weight::Fine };
    Finding { weight, server, text }
}
