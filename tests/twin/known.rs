//! What is known, as the naive twin reads it: how asserted and stored facts meet, and what a consent, an opt-out, an
//! earlier attempt or a list says at one instant.

use ringfence::contact::{
    Age, Consent, Facts, Flag, FrequencyCap, Grade, Method, OptOut, Outcome, PastAttempt, Period, Policy, Purpose,
    Reassigned, ReassignedAnswer, Relationship, Seller, Technology, Transfer,
};
use ringfence::law::{Band, Counts, Freshness, Needs, Span, Trigger, Window};
use ringfence::place::Jurisdiction;
use ringfence::time::{Instant, Millis, ZoneId};

use super::civil::{MINUTE, date_of, day_start, local, moved, weekday};
use super::naive::{Check, Twin, Variant, any};

/// Whether two spellings are of one name: letters in either case, spaces left out of account but for those between words.
pub fn one_name(one: &str, other: &str) -> bool {
    let words = |name: &str| name.to_uppercase().split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    let (one, other): (Vec<String>, Vec<String>) = (words(one), words(other));
    one == other
}

/// Whether what names these sellers, or none, is about ours.
fn about(sellers: &[Seller], ours: &Seller) -> bool {
    sellers.is_empty() || sellers.iter().any(|seller| one_name(seller.as_str(), ours.as_str()))
}

/// What is known of a number's entry in a list.
pub enum Listed {
    Hit {
        /// The latest entry, if every entry's date is known.
        since: Option<Instant>,
        /// From when on it counts, if it does not yet and a fresh look says so.
        counts_from: Option<Instant>,
    },
    Clear,
    Unknown,
}

/// A consent, every withdrawal told of it, and whether it is stored.
pub type Told<'a> = (&'a Consent, Vec<Instant>, bool);

impl<'a> Twin<'a> {
    /// A consent that covers the attempt, the unknown being so, and is what a rule needs.
    pub fn satisfies(
        &self,
        (c, withdrawn, _): &Told<'_>,
        needs: &Needs,
        check: &Check<'_>,
        v: Variant,
        t: Instant,
        listed: Option<&Listed>,
    ) -> bool {
        let Some(given) = c.given_at else { return false };
        let ends = |from: Instant, span| {
            check.zones.iter().any(|zone| t >= day_start(*zone, moved(local(*zone, from).day, span)))
        };
        let used = c.last_used_at.filter(|used| *used <= t).map_or(given, |used| used.max(given));
        let third_party = c.obtained_from.as_deref().is_some_and(|from| from != "person");
        self.covers(c, withdrawn, v, t)
            && c.grade.is_some_and(|grade| grade >= needs.grade)
            && needs.flags.within(c.flags)
            && !(needs.technology_named && c.technologies.is_empty() && v.technology == Technology::Prerecorded)
            && (!needs.evidence || c.evidence_ref.is_some())
            && !(needs.third_party_flagged && third_party && !c.flags.contains(Flag::ThirdParty))
            && !(needs.current_policy && self.policies().into_iter().any(|policy| outdated(c, given, policy, t)))
            && (needs.unless_dated && c.expires_at.is_some() || !needs.max_age.is_some_and(|span| ends(given, span)))
            && !needs.max_unused.is_some_and(|span| ends(used, span))
            && needs.given_from.is_none_or(|from| given >= from)
            && (!needs.after_listing
                || matches!(listed, Some(Listed::Hit { since: Some(since), .. }) if given > *since)
                || matches!(listed, Some(Listed::Clear)))
            && (!needs.slot || c.preferred_slot.is_some_and(|slot| slot.starts_at <= t && t < slot.ends_at))
    }

    pub fn covers(&self, c: &Consent, withdrawn: &[Instant], v: Variant, t: Instant) -> bool {
        let attempt = self.q.attempt;
        // What somebody else passed on is for those it names.
        let passed_on = c.obtained_from.as_deref().is_some_and(|from| from != "person" && from != "directory");
        let any_seller_or_ours = c.sellers.contains(&attempt.seller) || c.sellers.is_empty() && !passed_on;
        c.grade.is_some()
            && c.given_at.is_some_and(|given| given <= t && !self.changed_hands(Some(given), t))
            && c.expires_at.is_none_or(|end| t < end)
            && c.overtaken_at.is_none_or(|end| t < end)
            && !withdrawn.iter().any(|at| self.q.evidence.live || *at <= t)
            && c.forced != Some(true)
            && c.notice_given != Some(false)
            && c.method.is_none_or(Method::can_consent)
            && any(c.channels, attempt.channel)
            && any(c.technologies, v.technology)
            && any(c.purposes, attempt.purpose)
            && any_seller_or_ours
            && (c.products.is_empty() || attempt.subject.as_ref().is_some_and(|s| c.products.contains(s)))
    }

    /// Whether the frequency promised with a consent is used up in any zone: by this seller, within the consent's scope.
    pub fn used_up(&self, (c, ..): &Told<'_>, check: &Check<'_>, _: Variant, t: Instant) -> bool {
        let Some(FrequencyCap { count, period }) = c.frequency_cap else { return false };
        let counts = Counts {
            channels: c.channels,
            technologies: c.technologies,
            purposes: c.purposes,
            per_seller: true,
            ..Counts::default()
        };
        check.zones.iter().any(|zone| self.count(Window::Calendar(period), &counts, *zone, t) >= count)
    }

    pub fn opted_out(&self, v: Variant, whatever_since: Option<Instant>, t: Instant) -> bool {
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        let told = stored.opt_outs.iter().map(|o| (o, true)).chain(asserted.opt_outs.iter().map(|o| (o, false)));
        told.into_iter().any(|(opt_out, recorded)| {
            let exists = self.q.evidence.live || opt_out.at.is_none_or(|at| at <= t);
            let reaches = match whatever_since {
                None => self.reaches(opt_out),
                Some(since) => {
                    about(&opt_out.scope.sellers, &self.q.attempt.seller)
                        && opt_out.at.is_none_or(|at| at >= since)
                        && !self.q.attempt.legally_required
                }
            };
            exists && reaches && !self.consents().iter().any(|c| self.reopens(c, opt_out, recorded, v, t))
        })
    }

    pub fn reaches(&self, opt_out: &OptOut) -> bool {
        let (attempt, scope) = (self.q.attempt, &opt_out.scope);
        let names = !scope.sellers.is_empty() || !scope.subjects.is_empty() || !scope.campaigns.is_empty();
        let only_channels = scope.purposes.is_empty() && !names && !scope.everything;
        let purpose = if only_channels {
            attempt.purpose == Purpose::Marketing
        } else {
            scope.everything || any(scope.purposes, attempt.purpose)
        };
        purpose
            && any(scope.channels, attempt.channel)
            && about(&scope.sellers, &attempt.seller)
            && (scope.subjects.is_empty() || attempt.subject.as_ref().is_none_or(|s| scope.subjects.contains(s)))
            && (scope.campaigns.is_empty() || attempt.campaign.as_ref().is_none_or(|c| scope.campaigns.contains(c)))
            && !attempt.legally_required
    }

    /// A consent of grade EXPRESS or stronger that covers the attempt, given later than the opt-out was said; against
    /// a recorded opt-out also recorded later, with its evidence.
    pub fn reopens(&self, (c, withdrawn, kept): &Told<'_>, o: &OptOut, recorded: bool, v: Variant, t: Instant) -> bool {
        let later = c.given_at.is_some_and(|given| o.at.is_some_and(|at| given > at));
        let on_record = *kept && c.recorded_at > o.recorded_at && c.evidence_ref.is_some();
        c.grade >= Some(Grade::Express) && later && (!recorded || on_record) && self.covers(c, withdrawn, v, t)
    }

    pub fn count(&self, window: Window, counts: &Counts, zone: ZoneId, t: Instant) -> u32 {
        let counted = self.attempts().into_iter().filter(|past| self.agrees(past, counts));
        u32::try_from(counted.filter(|past| self.inside(window, past, zone, t)).count()).unwrap()
    }

    /// Whether an attempt may have been made in the window that ends at `t`.
    pub fn inside(&self, window: Window, past: &PastAttempt, zone: ZoneId, t: Instant) -> bool {
        let known = self.q.evidence.live || past.earliest <= t;
        let today = local(zone, t).day;
        let since = match window {
            Window::Rolling(Millis(span)) => return known && past.latest.millis() > t.millis() - span,
            Window::Days(days) => today - i64::from(days) + 1,
            Window::Calendar(Period::Day) => today,
            Window::Calendar(Period::Week) => today - i64::from(weekday(today)),
            Window::Calendar(Period::Month) => today - i64::from(date_of(today).2) + 1,
        };
        known && local(zone, past.latest).day >= since
    }

    pub fn agrees(&self, past: &PastAttempt, counts: &Counts) -> bool {
        let attempt = self.q.attempt;
        past.channel.is_none_or(|channel| any(counts.channels, channel))
            && past.technology.is_none_or(|technology| any(counts.technologies, technology))
            && past.purpose.is_none_or(|purpose| any(counts.purposes, purpose))
            && !past.outcome.is_some_and(|outcome| counts.except.contains(&outcome))
            && (counts.only.is_empty() || past.outcome.is_none_or(|outcome| counts.only.contains(&outcome)))
            && (!counts.per_seller || past.seller.iter().all(|one| one_name(one.as_str(), attempt.seller.as_str())))
            && (!counts.per_subject || either(past.subject.as_ref(), attempt.subject.as_ref()))
            && (!counts.per_campaign || either(past.campaign.as_ref(), attempt.campaign.as_ref()))
    }

    pub fn triggers(&self, after: Trigger, counts: &Counts, t: Instant) -> Vec<Instant> {
        // Who refused was spoken with.
        let outcomes: &[Outcome] = match after {
            Trigger::Conversation => &[Outcome::Conversation, Outcome::Refused],
            Trigger::Refusal => &[Outcome::Refused],
        };
        let live = self.q.evidence.live;
        let mut triggers = Vec::new();
        for past in self.attempts() {
            if past.outcome.is_some_and(|outcome| outcomes.contains(&outcome)) && self.agrees(past, counts) {
                triggers.push(past.ended_at.map_or(past.latest, |ended| ended.max(past.latest)));
            }
        }
        if after == Trigger::Conversation {
            let told = [self.q.evidence.stored.last_conversation_at, self.q.evidence.asserted.last_conversation_at];
            triggers.extend(told.into_iter().flatten());
        }
        triggers.retain(|at| live || *at <= t);
        triggers
    }

    pub fn inconvenient(&self, zone: ZoneId, t: Instant) -> bool {
        let shown = local(zone, t);
        let (minute, today, yesterday) = (shown.millis / MINUTE, weekday(shown.day), weekday(shown.day - 1));
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        stored.inconvenient_times.iter().chain(&asserted.inconvenient_times).any(|time| {
            let (start, end) = (i64::from(time.start), i64::from(time.end));
            let on = |day: u8| time.weekdays >> day & 1 == 1;
            if end > start {
                on(today) && start <= minute && minute < end
            } else {
                on(today) && start <= minute || on(yesterday) && minute < end
            }
        })
    }

    pub fn listed(&self, list: &str, fresh: &Freshness, bites_after: Option<Span>, zones: &[ZoneId]) -> Listed {
        const SKEW: i64 = 300_000;
        let (evidence, now) = (&self.q.evidence, self.q.now);
        let young = |as_of: Instant| is_young(as_of.min(now), fresh, zones, now);
        // In a live check a look later than now was never made.
        let made = |at: Instant| !evidence.live || at.millis() <= now.millis() + SKEW;
        let counts = |entered: Option<Instant>| match (entered, bites_after) {
            (Some(entered), Some(span)) => {
                zones.iter().map(|z| day_start(*z, moved(local(*z, entered).day, span))).min()
            }
            _ => None,
        };
        // Of each hit: its date, from when on it counts, whether the look is fresh.
        let mut hits: Vec<(Option<Instant>, Option<Instant>, bool)> = Vec::new();
        let mut clear = false;
        if let Some(found) = evidence.lists.look_up(list) {
            let fresh = made(found.as_of) && young(found.as_of);
            if found.listed == Some(true) {
                // A day without an hour is over everywhere a day and a half after it began in Greenwich.
                const HOUR: i64 = 3_600_000;
                let over = |day: Instant| {
                    let known_to_the_hour = day.millis() % (24 * HOUR) != 0;
                    if known_to_the_hour { day } else { Instant::from_millis(day.millis() + 36 * HOUR) }
                };
                hits.push((found.listed_at.map(over), counts(found.listed_at), fresh));
            } else if found.listed == Some(false) {
                clear |= fresh;
            }
        }
        for (facts, trusted) in [(evidence.stored, true), (evidence.asserted, !self.q.postures.stored_facts_only)] {
            for check in facts.registry_checks.iter().filter(|check| &*check.registry == list) {
                if !evidence.live && check.checked_at.is_some_and(|checked| checked > now) {
                    continue;
                }
                let fresh = check
                    .checked_at
                    .is_some_and(|checked| made(checked) && young(check.as_of.unwrap_or(checked).min(checked)));
                match check.listed {
                    Some(true) => {
                        hits.push((check.listed_at, counts(check.listed_at.filter(|_| trusted)), fresh));
                    }
                    Some(false) => clear |= trusted && fresh,
                    None => {}
                }
            }
        }
        if hits.is_empty() {
            return if clear { Listed::Clear } else { Listed::Unknown };
        }
        let since = hits.iter().map(|hit| hit.0).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        let from = hits.iter().map(|hit| hit.1).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
        let counts_from = from.filter(|from| *from > now && hits.iter().any(|hit| hit.2));
        Listed::Hit { since, counts_from }
    }

    /// Consents, each with every withdrawal told of it and whether it is stored: of equal ids the stored one.
    pub fn consents(&self) -> Vec<Told<'a>> {
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        let mut all: Vec<Told<'a>> = stored.consents.iter().map(|c| (c, Vec::new(), true)).collect();
        if !self.q.postures.stored_facts_only {
            for c in &asserted.consents {
                if c.id.is_none() || !stored.consents.iter().any(|other| other.id == c.id) {
                    all.push((c, Vec::new(), false));
                }
            }
        }
        for (c, withdrawn, _) in &mut all {
            withdrawn.extend(c.withdrawn_at);
            let same = asserted.consents.iter().filter(|other| c.id.is_some() && other.id == c.id);
            withdrawn.extend(same.filter_map(|other| other.withdrawn_at));
        }
        all
    }

    pub fn attempts(&self) -> Vec<&'a PastAttempt> {
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        let mut all: Vec<_> = stored.attempts.iter().collect();
        let known = |a: &PastAttempt| a.id.is_some() && stored.attempts.iter().any(|other| other.id == a.id);
        for a in asserted.attempts.iter().filter(|a| !known(a)) {
            // Told twice is once.
            if a.id.is_none() || !all.iter().any(|other: &&PastAttempt| other.id == a.id) {
                all.push(a);
            }
        }
        all
    }

    pub fn relationship(&self) -> Option<&'a Relationship> {
        let with = |facts: &'a Facts| {
            facts.relationships.iter().find(|r| r.seller.as_ref().is_none_or(|s| *s == self.q.attempt.seller))
        };
        let asserted = with(self.q.evidence.asserted).filter(|_| !self.q.postures.stored_facts_only);
        asserted.or_else(|| with(self.q.evidence.stored))
    }

    /// Asserted if given, else stored; each where an asserted one is not trusted to loosen what the stored one says.
    pub fn policies(&self) -> Vec<&'a Policy> {
        let (asserted, stored) = (self.q.evidence.asserted.policy.as_ref(), self.q.evidence.stored.policy.as_ref());
        if self.q.postures.stored_facts_only {
            asserted.into_iter().chain(stored).collect()
        } else {
            asserted.or(stored).into_iter().collect()
        }
    }

    pub fn ages(&self) -> Vec<Age> {
        [&self.q.evidence.stored.ages[..], &self.q.evidence.asserted.ages[..]].concat()
    }

    /// The answers of the database that are there at `t`.
    fn answers(&self, t: Instant) -> Vec<Reassigned> {
        let mut told = self.q.evidence.stored.reassigned.clone();
        let trusted = |fact: &Reassigned| !self.q.postures.stored_facts_only || fact.answer == ReassignedAnswer::Yes;
        told.extend(self.q.evidence.asserted.reassigned.iter().copied().filter(trusted));
        // Without an instant an answer counts only if it is yes.
        told.retain(|fact| match fact.checked_at {
            None => fact.answer == ReassignedAnswer::Yes,
            // In a live check only what tightens counts before its date.
            Some(at) => self.q.evidence.live && fact.answer == ReassignedAnswer::Yes || at <= t,
        });
        told
    }

    /// Whether a yes stands: at all, or against what was given at an instant.
    pub fn changed_hands(&self, given: Option<Instant>, t: Instant) -> bool {
        let told = self.answers(t);
        let no = |test: &dyn Fn(Instant, Option<Instant>) -> bool| {
            let mut all = told.iter().filter(|fact| fact.answer == ReassignedAnswer::No);
            all.any(|fact| fact.checked_at.is_some_and(|checked| test(checked, fact.since)))
        };
        told.iter().filter(|fact| fact.answer == ReassignedAnswer::Yes).any(|yes| {
            let Some(asked) = yes.checked_at else { return true };
            let undone = no(&|checked, since| {
                // It is newer, and was asked at least as far back.
                checked > asked && since.is_none() == yes.since.is_none() && since <= yes.since
            });
            let kept = given.is_some_and(|given| {
                given > asked
                    || no(&|checked, since| {
                        let agrees = checked == asked && yes.since.is_some_and(|from| Some(from) < since);
                        since.is_some_and(|since| given >= since) && (checked > asked || agrees)
                    })
            });
            !undone && !kept
        })
    }

    pub fn transfer(&self) -> Option<&'a Transfer> {
        let asserted = self.q.evidence.asserted.transfer.as_ref().filter(|_| !self.q.postures.stored_facts_only);
        asserted.or(self.q.evidence.stored.transfer.as_ref())
    }

    /// Whether anything named lies outside the country: where it is processed, where it is sent.
    pub fn leaves(&self, jurisdiction: Jurisdiction) -> bool {
        let told = [self.q.evidence.stored.transfer, self.q.evidence.asserted.transfer];
        let sent = told.into_iter().flatten().filter_map(|transfer| transfer.to);
        self.q.attempt.processing_regions.iter().copied().chain(sent).any(|place| place.root() != jurisdiction.root())
    }

    pub fn mechanism_suffices(&self, bands: &[Band]) -> bool {
        let transfer = self.transfer();
        let mechanism = transfer.and_then(|transfer| transfer.mechanism);
        let has = |band: &Band| mechanism.is_some_and(|mechanism| band.mechanisms.contains(&mechanism));
        let fits = |persons: u64| {
            let band = bands.iter().find(|band| band.below.is_none_or(|ceiling| persons < ceiling));
            band.is_some_and(|band| band.mechanisms.is_empty() || has(band))
        };
        match transfer.and_then(|transfer| transfer.persons_since_january) {
            Some(persons) => fits(persons),
            // Of how many is not known: it must fit nobody at all, everybody there is, and all between the bands.
            None => [0, u64::MAX].into_iter().chain(bands.iter().filter_map(|band| band.below)).all(fits),
        }
    }
}

fn outdated(c: &Consent, given: Instant, policy: &Policy, t: Instant) -> bool {
    policy.material != Some(false)
        && c.policy_version.as_deref() != Some(&*policy.current_version)
        && policy.effective_at.is_none_or(|since| since <= t && given < since)
}

fn either<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Whether a copy of this age is fresh at `now`, by every clock.
fn is_young(as_of: Instant, fresh: &Freshness, zones: &[ZoneId], now: Instant) -> bool {
    let days: Vec<u8> = match fresh {
        Freshness::Age(Millis(age)) => return now.millis() - as_of.millis() <= *age,
        Freshness::Month => vec![1],
        Freshness::SinceDay(days) => days.clone(),
    };
    let since = |zone: &ZoneId| {
        let mut day = local(*zone, now).day;
        while !days.iter().any(|wanted| i64::from(*wanted) == i64::from(date_of(day).2)) {
            day -= 1;
        }
        day_start(*zone, day)
    };
    !zones.is_empty() && zones.iter().all(|zone| as_of >= since(zone))
}
