//! What of a record may go once nothing needs it any more, and the record without it.
//!
//! Promises: no removal opens what was closed. An opt-out stays, without what the person wrote; of a consent its id and its
//! withdrawal stay, so that the same consent, asserted by a caller, is still the one that ended; of a relationship stays
//! that an offer had nothing to do with it; ages, residences, entries in registries and in lists are not touched. Attempts and ids of
//! requests stay as long as the contract promises. Of a record that is restricted, waits for an answer to its person, or is
//! held as a whole, nothing goes. Guarded by `tests/retention.rs`.

use super::{Contact, KEEP, consent_of, granted, instant, use_by};
use crate::contact::holds::{Hold, Reach};
use crate::contact::policies::{PublishedPolicy, overtaken_at};
use crate::contact::{RecordClass, RightsState, Set, Term as _};
use crate::proto::store::{StoredConsent, StoredWrite};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::{Instant, Millis};

/// The dates from which terms run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dated {
    /// Of what kind.
    pub class: RecordClass,
    /// When it was made.
    pub made: Instant,
    /// From when on a duty to keep it runs: its last use.
    pub last: Instant,
    /// The last contact that came from the person, from which a greatest term runs; `None`: none runs.
    pub heard: Option<Instant>,
}

/// A piece of a record that is judged by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scrap {
    /// Its dates.
    pub dated: Dated,
    /// Since when it is of no use; `None`: it still is.
    pub ended: Option<Instant>,
    /// The sellers it concerns; empty: any.
    pub sellers: Vec<String>,
    /// The last purchase from them.
    pub bought: Option<Instant>,
    /// Whether an erasure has ended it, so that no period of the tenant's own keeps it.
    pub erased: bool,
    what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum What {
    /// Consents of one id, by their places.
    Consents(Vec<usize>),
    /// Consents that only a hold kept back from an erasure.
    Erased(Vec<usize>),
    /// What was said or written with an opt-out.
    Wording(usize),
    Relationship(usize),
    Fact(usize),
    Request(usize),
    /// Kept by other means: judged for duties alone.
    Nothing,
}

impl Scrap {
    /// Whether a sweep may remove it at all.
    #[must_use]
    pub const fn is_removable(&self) -> bool {
        !matches!(self.what, What::Nothing)
    }
}

fn at(stamp: Option<&Timestamp>) -> Option<Instant> {
    stamp.and_then(|stamp| stamp.to_millis()).map(Instant::from_millis)
}

fn recorded(write: Option<&StoredWrite>) -> Instant {
    Instant::from_millis(write.map_or(0, |write| write.recorded_at))
}

/// What is left of a consent: which one it was, and that it was withdrawn.
fn rest_of(consent: &v1::Consent, withdrawn_at: Option<Instant>) -> v1::Consent {
    v1::Consent {
        consent_id: consent.consent_id.clone(),
        withdrawn_at: withdrawn_at.map(|at| Timestamp::from_millis(at.millis())),
        ..v1::Consent::default()
    }
}

fn is_rest(stored: &StoredConsent) -> bool {
    stored.person.is_empty()
        && stored.consent.as_ref().is_none_or(|consent| *consent == rest_of(consent, at(consent.withdrawn_at.as_ref())))
}

/// What is left of dealings: that offers had nothing to do with them.
fn rest_of_tie(tie: &v1::Relationship) -> Option<v1::Relationship> {
    (tie.offer_related == Some(false)).then(|| v1::Relationship {
        seller: tie.seller.clone(),
        offer_related: tie.offer_related,
        ..v1::Relationship::default()
    })
}

fn runs(tie: &v1::Relationship, now: Instant) -> bool {
    tie.contract_active == Some(true) && at(tie.contract_ended_at.as_ref()).is_none_or(|ended| ended > now)
}

impl Contact {
    /// Gives a record its number back that a sweep left without one, when the person is heard of again. One that was erased
    /// stays without.
    pub fn name_again(&mut self, number: crate::place::Number) {
        if self.record.number == 0 && self.record.erased_at == 0 {
            self.record.number = number.reveal_digits();
        }
    }

    /// What makes all of the record stay as it is, if anything does: a hold on everything, a restriction, a request that
    /// waits for its answer. Of a rule of ours the name, of a hold itself.
    #[must_use]
    pub fn stays_whole(&self, now: Instant) -> Option<Result<Hold, &'static str>> {
        let held = self.holds(now).into_iter().filter(|hold| hold.reach() == Reach::Everything);
        // Without term is the longest.
        if let Some(hold) = held.max_by_key(|hold| hold.until.unwrap_or(Instant::FAR)) {
            return Some(Ok(hold));
        }
        if self.record.restricted_at != 0 {
            return Some(Err("ringfence.restriction"));
        }
        let waits = |request: &v1::RightsRequest| {
            RightsState::from_number(request.state).is_none_or(|state| !state.is_closed())
        };
        self.requests().any(waits).then_some(Err("ringfence.request"))
    }

    /// Where the person lives, by every fact that holds.
    #[must_use]
    pub fn residences(&self) -> Vec<crate::place::Jurisdiction> {
        self.facts(None).residences
    }

    /// Whether something was recorded since its own key was last changed: the log has what this key opens.
    #[must_use]
    pub fn key_opens_something(&self) -> bool {
        self.record.key_changed_at == 0 || self.record.key_changed_at < self.updated_millis()
    }

    /// Notes that its own key is changed.
    pub fn note_key_change(&mut self, now: Instant) {
        self.record.key_changed_at = now.millis();
    }

    /// When something was bought last, of anybody.
    #[must_use]
    pub fn last_purchase(&self) -> Option<Instant> {
        self.record.relationships.iter().filter_map(|tie| at(tie.last_purchase_at.as_ref())).max()
    }

    /// When the latest attempt was made, those pruned included.
    fn last_attempt(&self) -> Option<Instant> {
        let made = self.record.attempts.iter().map(|stored| {
            stored.started_after.map_or_else(|| use_by(stored), |after| granted(stored).plus(Millis(after)))
        });
        made.chain(instant(self.record.pruned_attempt_at)).max()
    }

    /// The last contact that came from the person; `None` while a contract runs.
    fn heard(&self, now: Instant) -> Option<Instant> {
        let record = &self.record;
        if record.relationships.iter().any(|tie| runs(tie, now)) {
            return None;
        }
        let ties = record.relationships.iter().flat_map(|tie| {
            let dates = [&tie.last_purchase_at, &tie.last_inquiry_at, &tie.last_donation_at, &tie.contract_ended_at];
            dates.map(|date| at(date.as_ref()))
        });
        let given = record.consents.iter().map(|stored| at(stored.consent.as_ref()?.given_at.as_ref()));
        let said = record.opt_outs.iter().map(|stored| Some(recorded(stored.write.as_ref())));
        ties.chain(given).chain(said).flatten().max().or(Some(Instant::from_millis(record.created_at)))
    }

    /// The pieces of the record, each with its dates. `policies` are the tenant's published ones: they end consents.
    #[must_use]
    pub fn scraps(&self, policies: &[PublishedPolicy], now: Instant) -> Vec<Scrap> {
        let record = &self.record;
        let heard = self.heard(now);
        let mut scraps = Vec::new();
        let piece = |class, made, last, heard, ended, what| Scrap {
            dated: Dated { class, made, last, heard },
            ended,
            sellers: Vec::new(),
            bought: None,
            erased: false,
            what,
        };
        self.consent_scraps(policies, heard, now, &mut scraps);
        for (index, stored) in record.opt_outs.iter().enumerate() {
            let said = recorded(stored.write.as_ref());
            let sellers = stored.opt_out.as_ref().and_then(|opt_out| opt_out.scope.as_ref());
            let sellers = sellers.map(|scope| scope.sellers.clone()).unwrap_or_default();
            let kept = piece(RecordClass::OptOut, said, said, None, None, What::Nothing);
            scraps.push(Scrap { sellers: sellers.clone(), ..kept });
            if !stored.wording.is_empty() {
                let words = piece(RecordClass::Notes, said, said, Some(said), Some(said), What::Wording(index));
                let erased = self.erased_at().is_some_and(|erased| said <= erased);
                scraps.push(Scrap { sellers, erased, ..words });
            }
        }
        if let Some(last) = self.last_attempt() {
            scraps.push(piece(RecordClass::Attempt, last, last, None, None, What::Nothing));
        }
        // Whatever was done last has its entry in the log.
        let last = self.last_attempt().into_iter().chain([self.updated_at()]).max().unwrap_or(now);
        scraps.push(piece(RecordClass::Decision, last, last, None, None, What::Nothing));
        for (index, tie) in record.relationships.iter().enumerate() {
            if rest_of_tie(tie).as_ref() == Some(tie) {
                continue;
            }
            let bought = at(tie.last_purchase_at.as_ref());
            let dates = [&tie.last_inquiry_at, &tie.last_donation_at, &tie.contract_ended_at].map(|d| at(d.as_ref()));
            let dealt = dates.into_iter().flatten().chain(bought).max();
            let last = dealt.unwrap_or_else(|| self.updated_at());
            let ended = (!runs(tie, now)).then_some(last);
            let what = What::Relationship(index);
            let dealings = piece(RecordClass::Relationship, last, last, heard, ended, what);
            scraps.push(Scrap { sellers: vec![tie.seller.clone()], bought, ..dealings });
        }
        for (index, fact) in record.facts.iter().enumerate().filter(|(_, fact)| fact.superseded_at != 0) {
            let (made, ended) = (Instant::from_millis(fact.recorded_at), Instant::from_millis(fact.superseded_at));
            scraps.push(piece(RecordClass::SupersededFact, made, ended, None, Some(ended), What::Fact(index)));
        }
        for (index, request) in record.requests.iter().enumerate() {
            let Some(request) = &request.request else { continue };
            let ended = at(request.closed_at.as_ref());
            let made = at(request.received_at.as_ref()).unwrap_or(now);
            let what = What::Request(index);
            scraps.push(piece(RecordClass::RightsRequest, made, ended.unwrap_or(made), None, ended, what));
        }
        scraps
    }

    /// Consents of one id go together: the latest supersedes the others, and without it they would stand again.
    fn consent_scraps(
        &self,
        policies: &[PublishedPolicy],
        heard: Option<Instant>,
        now: Instant,
        scraps: &mut Vec<Scrap>,
    ) {
        let stored = &self.record.consents;
        for standing in self.consents() {
            let of_id = |index: &usize| {
                stored.get(*index).and_then(consent_of).is_some_and(|consent| consent.id == standing.id)
            };
            let places: Vec<usize> = (0..stored.len()).filter(of_id).collect();
            let all = || places.iter().filter_map(|index| stored.get(*index));
            // What this build cannot read in full it does not judge.
            let unread = all().any(|one| {
                let told = one.consent.as_ref().map_or(0, |consent| consent.grade);
                told != 0 && consent_of(one).is_none_or(|consent| consent.grade.is_none())
            });
            if unread || all().all(is_rest) {
                continue;
            }
            let bought = self.bought(&standing.sellers);
            let ended = ended(&standing, policies, now);
            let dates = [standing.given_at, standing.recorded_at, standing.last_used_at, ended, self.last_attempt()];
            let last = dates.into_iter().flatten().max().unwrap_or(now);
            scraps.push(Scrap {
                dated: Dated { class: RecordClass::Consent, made: standing.given_at.unwrap_or(last), last, heard },
                ended,
                sellers: standing.sellers.iter().map(ToString::to_string).collect(),
                bought,
                erased: false,
                what: What::Consents(places),
            });
        }
        self.erased_scraps(scraps);
    }

    /// Consents that an erasure ended, and that a hold kept back from it.
    fn erased_scraps(&self, scraps: &mut Vec<Scrap>) {
        let Some(erased) = self.erased_at() else { return };
        for (index, stored) in self.record.consents.iter().enumerate() {
            if recorded(stored.write.as_ref()) > erased {
                continue;
            }
            let Some(consent) = &stored.consent else { continue };
            let written = recorded(stored.write.as_ref());
            let made = at(consent.given_at.as_ref()).unwrap_or(written);
            let used = [&consent.last_used_at, &consent.withdrawn_at].map(|date| at(date.as_ref()));
            let last = used.into_iter().flatten().fold(made.max(written), Instant::max);
            let sellers = consent.sellers.clone();
            scraps.push(Scrap {
                dated: Dated { class: RecordClass::Consent, made, last, heard: None },
                ended: Some(erased),
                sellers,
                bought: None,
                erased: true,
                what: What::Erased(vec![index]),
            });
        }
    }

    fn bought(&self, sellers: &[crate::contact::Seller]) -> Option<Instant> {
        let theirs = |tie: &&v1::Relationship| sellers.is_empty() || sellers.iter().any(|s| s.as_str() == tie.seller);
        let ties = self.record.relationships.iter().filter(theirs);
        ties.filter_map(|tie| at(tie.last_purchase_at.as_ref())).max()
    }

    /// The record without these pieces of it.
    pub fn remove(&mut self, scraps: &[Scrap]) {
        let standing = self.consents();
        let (mut consents, mut ties, mut facts, mut requests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut erased: Vec<usize> = Vec::new();
        for scrap in scraps {
            match &scrap.what {
                What::Consents(places) => consents.push(places.clone()),
                What::Wording(index) => {
                    if let Some(stored) = self.record.opt_outs.get_mut(*index) {
                        stored.wording.clear();
                    }
                }
                What::Relationship(index) => ties.push(*index),
                What::Fact(index) => facts.push(*index),
                What::Erased(places) => erased.extend(places),
                What::Request(index) => requests.push(*index),
                What::Nothing => {}
            }
        }
        for places in &consents {
            self.end_consents(places, &standing);
        }
        let gone = consents.iter().flat_map(|places| places.split_last().map_or(&[][..], |(_, rest)| rest));
        let gone: Vec<usize> = gone.chain(&erased).copied().collect();
        // Ids of requests outlast what they made.
        let of_consents = erased.iter().filter_map(|index| self.record.consents.get(*index)?.write.clone());
        let of_requests = requests.iter().filter_map(|index| self.record.requests.get(*index));
        let of_requests = of_requests.flat_map(|stored| stored.writes.clone());
        let writes: Vec<StoredWrite> = of_consents.chain(of_requests).collect();
        self.record.writes.extend(writes);
        self.record.writes.sort_by_key(|write| write.recorded_at);
        without(&mut self.record.consents, &gone);
        for index in &ties {
            if let Some(tie) = self.record.relationships.get_mut(*index)
                && let Some(rest) = rest_of_tie(tie)
            {
                *tie = rest;
            }
        }
        ties.retain(|index| {
            let tie = self.record.relationships.get(*index);
            tie.is_some_and(|tie| rest_of_tie(tie).as_ref() != Some(tie))
        });
        without(&mut self.record.relationships, &ties);
        without(&mut self.record.facts, &facts);
        without(&mut self.record.requests, &requests);
    }

    /// Makes the last of these the rest of them all. The others are still to be taken out; their request ids stay among
    /// the writes.
    fn end_consents(&mut self, places: &[usize], standing: &[crate::contact::Consent]) {
        let Some((last, others)) = places.split_last() else { return };
        let id = self.record.consents.get(*last).and_then(consent_of).and_then(|consent| consent.id);
        let withdrawn = standing.iter().find(|one| one.id == id).and_then(|one| one.withdrawn_at);
        let writes = others.iter().filter_map(|index| self.record.consents.get(*index)?.write.clone());
        self.record.writes.extend(writes.collect::<Vec<_>>());
        self.record.writes.sort_by_key(|write| write.recorded_at);
        if let Some(stored) = self.record.consents.get_mut(*last) {
            stored.consent = stored.consent.as_ref().map(|consent| rest_of(consent, withdrawn));
            stored.person.clear();
        }
    }

    /// Drops what no window and no promise reaches, and the number if it may go and nothing needs it any more. How many
    /// attempts went, and whether the number did.
    pub fn settle(&mut self, now: Instant, number_goes: bool, attempts_go: bool) -> (u64, bool) {
        let before = self.record.attempts.len();
        if attempts_go {
            self.prune_attempts(now);
        }
        self.prune(now);
        let gone = before.saturating_sub(self.record.attempts.len());
        let oldest = now.minus(KEEP);
        let record = &mut self.record;
        // Holds that are over are remembered as long as their ids.
        record.holds.retain(|stored| {
            let over = stored.lifting.as_ref().map(|lifting| Instant::from_millis(lifting.recorded_at));
            let until = stored.hold.as_ref().and_then(|hold| at(hold.until.as_ref()));
            over.into_iter().chain(until).min().is_none_or(|over| over >= oldest)
        });
        // Too old to be fresh for any rule; what was found on a list stays.
        record.registry_checks.retain(|check| {
            check.listed == Some(true) || at(check.checked_at.as_ref()).is_none_or(|checked| checked > oldest)
        });
        // What proves that a consent was still its giver's goes after the consents; that the number was given up stays.
        if record.consents.iter().all(is_rest) {
            record.reassigned.retain(|told| {
                told.answer() == v1::ReassignedAnswer::Yes
                    || at(told.checked_at.as_ref()).is_none_or(|checked| checked > oldest)
            });
        }
        if record.last_conversation_at != 0 && record.last_conversation_at < oldest.millis() {
            record.last_conversation_at = 0;
        }
        let anonymous = number_goes && record.number != 0 && self.is_bare(now);
        if anonymous {
            self.record.number = 0;
            self.record.words.clear();
        }
        (u64::try_from(gone).unwrap_or(u64::MAX), anonymous)
    }

    /// Drops every fact about the person: only for a tenant whose service has ended, since facts deny contacts too.
    pub fn forget(&mut self) {
        let record = std::mem::take(&mut self.record);
        self.record = crate::proto::store::ContactRecord {
            format: record.format,
            number: record.number,
            created_at: record.created_at,
            words: record.words,
            consents: record.consents,
            opt_outs: record.opt_outs,
            relationships: record.relationships,
            writes: record.writes,
            erased_at: record.erased_at,
            moved_to: record.moved_to,
            copied: record.copied,
            pruned_attempt_at: record.pruned_attempt_at,
            key_changed_at: record.key_changed_at,
            requests: record.requests,
            restricted_at: record.restricted_at,
            holds: record.holds,
            put_off: record.put_off,
            list_entries: record.list_entries,
            ..crate::proto::store::ContactRecord::default()
        };
    }

    /// Whether nothing is left but what keeps contact from being made: opt-outs, and entries in lists, which need no number.
    fn is_bare(&self, now: Instant) -> bool {
        let record = &self.record;
        record.consents.iter().all(is_rest)
            && record.opt_outs.iter().all(|stored| stored.wording.is_empty())
            && record.relationships.iter().all(|tie| rest_of_tie(tie).as_ref() == Some(tie))
            && record.attempts.is_empty()
            && record.facts.is_empty()
            && record.inconvenient_times.is_empty()
            && record.policy.is_none()
            && record.transfer.is_none()
            && record.reassigned.is_empty()
            && record.registry_checks.is_empty()
            && record.last_conversation_at == 0
            && record.first_notice_at == 0
            && record.no_sharing.is_none()
            && record.requests.is_empty()
            && record.restricted_at == 0
            && self.holds(now).is_empty()
            && record.moved_to.is_empty()
    }

    /// Whether nothing at all is left: the store may forget the record.
    #[must_use]
    pub fn is_empty(&self, now: Instant) -> bool {
        let record = &self.record;
        record.number == 0
            && record.erased_at == 0
            && record.copied.is_none()
            && record.consents.is_empty()
            && record.opt_outs.is_empty()
            && record.list_entries.is_empty()
            && record.relationships.is_empty()
            && record.writes.is_empty()
            && self.is_bare(now)
    }

    /// Whether the record holds an attempt of this campaign (any, if `None`), or anything recorded, within these instants.
    #[must_use]
    pub fn is_touched(&self, campaign: Option<&str>, from: Instant, until: Instant) -> bool {
        let within = |at: Instant| from <= at && at < until;
        let facts = self.facts(None);
        let tried = facts.attempts.iter().any(|past| {
            let named = past.campaign.as_ref().map(super::super::Campaign::as_str);
            campaign.is_none_or(|wanted| named == Some(wanted)) && (within(past.earliest) || within(past.latest))
        });
        let recorded_within = |write: Option<&StoredWrite>| write.is_some() && within(recorded(write));
        tried
            || campaign.is_none()
                && (self.record.consents.iter().any(|stored| recorded_within(stored.write.as_ref()))
                    || self.record.opt_outs.iter().any(|stored| recorded_within(stored.write.as_ref())))
    }
}

/// When a consent ended, if it has: withdrawn, expired, overtaken in all it covered.
fn ended(consent: &crate::contact::Consent, policies: &[PublishedPolicy], now: Instant) -> Option<Instant> {
    let purposes = if consent.purposes.is_empty() { Set::all() } else { consent.purposes };
    let overtaken: Option<Vec<Instant>> = purposes.iter().map(|one| overtaken_at(policies, consent, one)).collect();
    let overtaken = overtaken.and_then(|ends| ends.into_iter().max());
    let ends = [consent.withdrawn_at, consent.expires_at, overtaken];
    ends.into_iter().flatten().min().filter(|end| *end <= now)
}

/// The list without these places.
fn without<T>(list: &mut Vec<T>, places: &[usize]) {
    let mut index = 0;
    list.retain(|_| {
        let gone = places.contains(&index);
        index += 1;
        !gone
    });
}
