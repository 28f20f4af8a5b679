//! What a sweep came to, by kind, place and rule; numbers only masked.

use std::collections::BTreeMap;

use super::{Swept, UNTOLD, Waiting, places};
use crate::contact::{Contact, RecordClass};
use crate::engine::answer::stamp;
use crate::place::{Number, country_group};
use crate::proto::v1;
use crate::time::Instant;

/// How many masked numbers of a kind are shown.
const EXAMPLES: usize = 3;

#[derive(Default)]
pub(super) struct Tally {
    swept: BTreeMap<(RecordClass, String, String), (u64, Vec<String>)>,
    held: BTreeMap<(RecordClass, String, String), (String, u64, Instant)>,
    changed: u32,
    anonymised: u32,
    keys_destroyed: u32,
    pub(super) passed_over: u32,
    pub(super) log_days: u32,
    pub(super) erased: u32,
}

impl Tally {
    /// Begun with records that were passed over already.
    pub(super) fn passing_over(passed_over: u32) -> Self {
        Self { passed_over, ..Self::default() }
    }

    /// Adds one record, as it was, and what goes of it.
    pub(super) fn add(&mut self, contact: &Contact, swept: &Swept) {
        let place = country(contact);
        let masked = contact.digits().and_then(Number::from_digits).map(|number| number.to_string());
        for (class, rule, count) in &swept.removed {
            let (known, examples) = self.swept.entry((*class, place.clone(), rule.clone())).or_default();
            *known += count;
            if examples.len() < EXAMPLES {
                examples.extend(masked.clone().filter(|one| !examples.contains(one)));
            }
        }
        for (class, floor) in &swept.held {
            let key = (*class, place.clone(), floor.reason.to_string());
            let (_, count, until) =
                self.held.entry(key).or_insert_with(|| (floor.citation.to_string(), 0, Instant::NEVER));
            *count += 1;
            *until = (*until).max(floor.until);
        }
        self.changed += u32::from(swept.changes());
        self.anonymised += u32::from(swept.anonymised);
        self.keys_destroyed += u32::from(swept.key_goes);
    }

    /// Adds a contact whose key stays, since these have yet to be told of it.
    pub(super) fn waits(&mut self, contact: &Contact, waiting: &Waiting) {
        let who: Vec<&str> = waiting.who.iter().map(String::as_str).collect();
        if who.is_empty() {
            return;
        }
        // By names of processors, at most some hundreds: each set of them is a row.
        let key = (RecordClass::Decision, country(contact), format!("{UNTOLD} {}", who.join(", ")));
        let (_, count, until) = self.held.entry(key).or_insert_with(|| (String::new(), 0, Instant::NEVER));
        *count += 1;
        *until = (*until).max(waiting.until);
    }

    /// As the contract says it.
    pub(super) fn response(self, records_seen: u32, next_page_token: String) -> v1::SweepContactsResponse {
        let swept = self.swept.into_iter().map(|((class, place, rule_id), (count, examples))| v1::SweptRows {
            record_class: class.number(),
            place,
            rule_id,
            count,
            examples,
        });
        let held = self.held.into_iter().map(|((class, place, rule_id), (citation, count, until))| v1::HeldRows {
            record_class: class.number(),
            place,
            rule_id,
            citation,
            count,
            until: (until != Instant::FAR).then(|| stamp(until)),
        });
        v1::SweepContactsResponse {
            swept: swept.collect(),
            held: held.collect(),
            records_seen,
            records_changed: self.changed.saturating_add(self.erased),
            records_anonymised: self.anonymised,
            records_passed_over: self.passed_over,
            keys_destroyed: self.keys_destroyed,
            log_days: self.log_days,
            erasures_done: self.erased,
            next_page_token,
        }
    }
}

/// The country the person must be in; empty where it may be one of several.
fn country(contact: &Contact) -> String {
    let mut countries: Vec<String> =
        places(contact).into_iter().map(|place| country_group(place).to_string()).collect();
    countries.sort_unstable();
    countries.dedup();
    match countries.as_slice() {
        [one] => one.clone(),
        _ => String::new(),
    }
}
