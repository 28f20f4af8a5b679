//! `decide` a second time, from the packs' meaning: every rule of every pack in play, one instant at a time, with plain
//! loops. Shares with the first only what a pack means (`law::rule`) and which places a number may be in.

use std::collections::{BTreeSet, HashSet};

use ringfence::contact::{
    Age, Consent, FrequencyCap, Grade, LegalForm, OptOut, Outcome, PastAttempt, Period, Policy, Purpose, Reassigned,
    ReassignedAnswer, Relationship, Set, Technology, Term, Transfer,
};
use ringfence::decision::Question;
use ringfence::law::{Band, Body, Counts, Exemption, Family, Needs, Rule, Tie, Trigger, Window};
use ringfence::place::{self, Jurisdiction, Location, NumberType, Plausible};
use ringfence::time::{Instant, Millis, ZoneId};

use super::civil::{MINUTE, age, date_of, day_of, day_start, local, moved, weekday};

pub type Reasons = BTreeSet<(String, Family)>;

/// One way the unknown may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Variant {
    technology: Technology,
    form: Option<LegalForm>,
}

/// One rule, where it holds, and for whom.
struct Check<'a> {
    rule: &'a Rule,
    places: Vec<Jurisdiction>,
    zones: Vec<ZoneId>,
    variants: Vec<Variant>,
    closed: HashSet<i64>,
}

enum Word {
    Fine,
    Denies,
    Promise,
}

enum Listed {
    Hit(Option<Instant>),
    Clear,
    Unknown,
}

pub struct Twin<'a> {
    q: &'a Question<'a>,
    /// What stands whatever the instant.
    grounds: Reasons,
    checks: Vec<Check<'a>>,
    /// The full variants (technology, recipient, line, form), and whether each has an opt-out rule at some instants.
    own_opt_out: Vec<(Variant, Vec<(Instant, Instant)>)>,
    last: std::cell::Cell<usize>,
}

impl<'a> Twin<'a> {
    pub fn new(q: &'a Question<'a>) -> Self {
        let (asserted, stored) = (q.evidence.asserted, q.evidence.stored);
        let mut residences = stored.residences.clone();
        residences.extend(asserted.residences.iter().filter(|r| !stored.residences.contains(r)));
        let location = Location {
            residences: residences.into_iter().collect(),
            county: q.attempt.county.clone(),
            postal_code: q.attempt.postal_code.clone(),
            time_zone: q.attempt.time_zone,
        };
        let mut twin =
            Self { q, grounds: Reasons::new(), checks: Vec::new(), own_opt_out: Vec::new(), last: 0.into() };
        let Ok(found) = place::resolve(q.number, &location, q.postures.location) else {
            twin.ground("ringfence.jurisdiction.location", Family::Jurisdiction);
            return twin;
        };
        if found.number_type == NumberType::Premium {
            twin.ground("ringfence.number.premium", Family::Number);
        } else if matches!(found.plausible, Plausible::Nowhere(_)) && q.attempt.purpose != Purpose::Emergency {
            twin.ground("ringfence.jurisdiction.no_place", Family::Jurisdiction);
        }
        let mut governed: Vec<(usize, Jurisdiction, ZoneId)> = Vec::new();
        for place in &found.plausible {
            let (packs, covered) = twin.packs_of(place.jurisdiction);
            if !covered && q.attempt.purpose != Purpose::Emergency {
                twin.ground("ringfence.jurisdiction.no_pack", Family::Jurisdiction);
            }
            let unreviewed = packs.iter().any(|i| q.law.packs()[*i].reviewed().is_none() && !q.law.packs()[*i].is_policy());
            if covered && unreviewed && q.attempt.purpose == Purpose::Marketing {
                twin.ground("ringfence.jurisdiction.unreviewed", Family::Jurisdiction);
            }
            for pack in packs {
                governed.extend(place.zones.iter().map(|zone| (pack, place.jurisdiction, *zone)));
            }
        }
        let variants = twin.variants(found.certain_line);
        for (index, pack) in q.law.packs().iter().enumerate() {
            let here: Vec<_> = governed.iter().filter(|(i, ..)| *i == index).collect();
            if here.is_empty() {
                continue;
            }
            for rule in &pack.rules {
                twin.add(rule, &variants, here.iter().map(|h| h.1).collect(), here.iter().map(|h| h.2).collect());
            }
        }
        twin.own_opt_outs(&variants);
        twin
    }

    fn ground(&mut self, id: &str, family: Family) {
        self.grounds.insert((id.to_owned(), family));
    }

    /// The packs of a place, and whether it has law enough: its own pack or one that covers it, its country's, what
    /// these inherit, and policies about any of these or everywhere.
    fn packs_of(&self, place: Jurisdiction) -> (Vec<usize>, bool) {
        let packs = self.q.law.packs();
        let of = |wanted: Jurisdiction| {
            let own = packs.iter().position(|p| !p.is_policy() && p.jurisdiction() == wanted);
            own.or_else(|| packs.iter().position(|p| !p.is_policy() && p.covers().contains(&wanted)))
        };
        let mut found: Vec<usize> = Vec::new();
        let mut todo: Vec<Jurisdiction> = std::iter::once(place).chain(place.country()).collect();
        while let Some(next) = todo.pop() {
            if let Some(pack) = of(next)
                && !found.contains(&pack)
            {
                found.push(pack);
                todo.extend(packs[pack].inherits());
            }
        }
        // Whether a pack is law enough for the parts under it is said by the law itself.
        let covered = self.q.law.chain(place).covered;
        let wider: Vec<Jurisdiction> = found.iter().map(|i| packs[*i].jurisdiction()).collect();
        for (index, pack) in packs.iter().enumerate().filter(|(_, p)| p.is_policy()) {
            let about = pack.jurisdiction();
            if about.as_str() == "ZZ" || about == place || wider.contains(&about) {
                found.push(index);
            }
        }
        (found, covered)
    }

    fn variants(&self, certain: Option<place::LineType>) -> Vec<(Variant, ringfence::contact::Recipient, place::LineType)> {
        let (asserted, stored) = (self.q.evidence.asserted, self.q.evidence.stored);
        let trust_none = self.q.postures.stored_facts_only;
        // Every value given is plausible; nothing given, or given only by somebody not trusted to narrow, is any.
        let recipients = said(asserted.recipients, stored.recipients, trust_none);
        let lines = said(asserted.line_types, stored.line_types.or(certain.into_iter().collect()), trust_none);
        let said_forms = asserted.legal_forms.or(stored.legal_forms);
        let mut forms: Vec<Option<LegalForm>> = said_forms.iter().map(Some).collect();
        if forms.is_empty() {
            forms.push(None);
        }
        let mut all = Vec::new();
        for technology in self.q.attempt.technologies.iter() {
            for form in &forms {
                for recipient in recipients.iter() {
                    for line in lines.iter() {
                        all.push((Variant { technology, form: *form }, recipient, line));
                    }
                }
            }
        }
        all
    }

    fn add(
        &mut self,
        rule: &'a Rule,
        variants: &[(Variant, ringfence::contact::Recipient, place::LineType)],
        places: Vec<Jurisdiction>,
        zones: Vec<ZoneId>,
    ) {
        let (a, attempt) = (&rule.applies, self.q.attempt);
        let about = any(a.channels, attempt.channel)
            && (a.purposes.contains(attempt.purpose)
                || a.purposes.is_empty() && attempt.purpose != Purpose::Emergency)
            && (a.offers.is_empty() || attempt.offer.is_some_and(|offer| a.offers.contains(offer)))
            && rule.posture.as_deref().is_none_or(|name| self.q.postures.chose(name))
            && !rule.off_posture.as_deref().is_some_and(|name| self.q.postures.chose(name));
        let mut mine: Vec<Variant> = Vec::new();
        for (variant, recipient, line) in variants {
            let meant = any(a.technologies, variant.technology)
                && any(a.recipients, *recipient)
                && any(a.line_types, *line)
                && (a.legal_forms.is_empty() || variant.form.is_some_and(|form| a.legal_forms.contains(form)));
            if about && meant && !mine.contains(variant) {
                mine.push(*variant);
            }
        }
        if mine.is_empty() {
            return;
        }
        let mut distinct = Vec::new();
        zones.iter().for_each(|zone| if !distinct.contains(zone) { distinct.push(*zone) });
        let closed = match &rule.body {
            Body::Holidays(calendar) => calendar
                .dates()
                .map(|(date, _)| day_of(date.year().into(), date.month(), date.day()))
                .collect(),
            _ => HashSet::new(),
        };
        self.checks.push(Check { rule, places, zones: distinct, variants: mine, closed });
    }

    /// When each way the unknown may be has an opt-out rule of some pack: outside these times the service's own holds.
    fn own_opt_outs(&mut self, variants: &[(Variant, ringfence::contact::Recipient, place::LineType)]) {
        if self.q.attempt.purpose == Purpose::Emergency {
            return;
        }
        for (variant, _, _) in variants {
            let rules = self.checks.iter().filter(|check| {
                matches!(check.rule.body, Body::OptOut { whatever_scope_since: None }) && check.variants.contains(variant)
            });
            let times = rules.map(|check| (check.rule.from, check.rule.until)).collect();
            self.own_opt_out.push((*variant, times));
        }
    }

    /// Every reason at an instant.
    pub fn reasons(&self, t: Instant) -> Reasons {
        let mut reasons = self.grounds.clone();
        for check in &self.checks {
            let words: Vec<Word> = check.variants.iter().map(|variant| self.word(check, *variant, t)).collect();
            // A promise is the reason only where it is all that stands in the way.
            if words.iter().any(|word| matches!(word, Word::Denies)) {
                reasons.insert((check.rule.id.to_string(), check.rule.family));
            } else if words.iter().any(|word| matches!(word, Word::Promise)) {
                reasons.insert(("ringfence.consent.promised_frequency".to_owned(), Family::Cap));
            }
        }
        if self.own_denies(t) {
            reasons.insert(("ringfence.opt_out".to_owned(), Family::OptOut));
        }
        reasons
    }

    /// Whether nothing denies at an instant; stops at the first denial, looking first where the last one was.
    pub fn allows(&self, t: Instant) -> bool {
        if !self.grounds.is_empty() {
            return false;
        }
        let denies =
            |check: &Check<'_>| check.variants.iter().any(|v| !matches!(self.word(check, *v, t), Word::Fine));
        if self.checks.get(self.last.get()).is_some_and(denies) {
            return false;
        }
        if let Some(index) = self.checks.iter().position(denies) {
            self.last.set(index);
            return false;
        }
        !self.own_denies(t)
    }

    fn own_denies(&self, t: Instant) -> bool {
        self.own_opt_out.iter().any(|(variant, times)| {
            !times.iter().any(|(from, until)| *from <= t && t < *until) && self.opted_out(*variant, None, t)
        })
    }

    fn word(&self, check: &Check<'_>, v: Variant, t: Instant) -> Word {
        let rule = check.rule;
        if t < rule.from || t >= rule.until {
            return Word::Fine;
        }
        let listed = match &rule.body {
            Body::Registry { list, fresh } => Some(self.listed(list, *fresh)),
            _ => None,
        };
        let zones = &check.zones;
        let denies = match &rule.body {
            Body::Hours { week, zone } => zone.map_or(zones.clone(), |z| vec![z]).iter().any(|zone| {
                let shown = local(*zone, t);
                let minute = shown.millis / MINUTE;
                let open = |(from, to): &(u16, u16)| i64::from(*from) <= minute && minute < i64::from(*to);
                !week.day(weekday(shown.day)).iter().any(open)
            }),
            Body::Inconvenient => zones.iter().any(|zone| self.inconvenient(*zone, t)),
            Body::Holidays(_) => zones.iter().any(|zone| check.closed.contains(&local(*zone, t).day)),
            Body::Consent(needs) => {
                let good: Vec<_> =
                    self.consents().into_iter().filter(|c| self.satisfies(c, needs, check, v, t, None)).collect();
                if !good.is_empty() && good.iter().all(|c| self.used_up(c, check, v, t)) {
                    return self.exempted(check, v, t, None).unwrap_or(Word::Promise);
                }
                good.is_empty()
            }
            Body::OptOut { whatever_scope_since } => self.opted_out(v, *whatever_scope_since, t),
            Body::Registry { .. } => !matches!(listed, Some(Listed::Clear)),
            Body::Cap { limit, windows, counts } => {
                windows.iter().any(|window| zones.iter().any(|zone| self.count(*window, counts, *zone, t) >= *limit))
            }
            Body::CoolOff { after, resumes_after_days, counts } => {
                self.triggers(*after, counts, t).into_iter().any(|at| {
                    zones.iter().any(|z| t < day_start(*z, local(*z, at).day + i64::from(*resumes_after_days)))
                })
            }
            Body::Ban => true,
            Body::Emergency => self.q.law.emergencies.iter().any(|declared| {
                let covers = |place: &Jurisdiction| {
                    declared.jurisdiction == *place || Some(declared.jurisdiction) == place.country()
                };
                let here = check.places.iter().any(covers) || declared.jurisdiction == rule.jurisdiction;
                here && declared.from <= t && t < declared.until
            }),
            Body::Minor { under } => self.ages().into_iter().any(|known| match known {
                Age::Years(years) => years < *under,
                Age::BornOn(born) => zones.iter().any(|z| age(born.into(), local(*z, t).day) < i64::from(*under)),
            }),
            Body::Reassigned => {
                self.reassigned(t).is_some_and(|fact| fact.answer == ReassignedAnswer::Yes)
            }
            Body::CrossBorder { bands } => self.leaves(rule.jurisdiction) && !self.mechanism_suffices(bands),
            Body::CallerId { allowed, denied } => self.q.attempt.caller_id.as_deref().is_some_and(|shown| {
                let begins = |prefix: &Box<str>| shown.starts_with(&**prefix);
                denied.iter().any(begins) || !allowed.is_empty() && !allowed.iter().any(begins)
            }),
            Body::Abandonment | Body::Retention { .. } | Body::Obligation { .. } | Body::Keywords { .. } => false,
        };
        if denies { self.exempted(check, v, t, listed.as_ref()).unwrap_or(Word::Denies) } else { Word::Fine }
    }

    /// What the ways out of a rule make of its denial: fine, or a promise that stands in the way of every way there is;
    /// `None` where there is no way out.
    fn exempted(&self, check: &Check<'_>, v: Variant, t: Instant, listed: Option<&Listed>) -> Option<Word> {
        let way_out = |keeping: bool| {
            check.rule.unless.iter().any(|way| self.way_out(way, check, v, t, listed, keeping))
        };
        if way_out(true) {
            return Some(Word::Fine);
        }
        way_out(false).then_some(Word::Promise)
    }

    fn way_out(
        &self,
        way: &Exemption,
        check: &Check<'_>,
        v: Variant,
        t: Instant,
        listed: Option<&Listed>,
        keeping: bool,
    ) -> bool {
        let (attempt, postures) = (self.q.attempt, self.q.postures);
        let consented = |needs: &Needs| {
            let mut good = self.consents().into_iter().filter(|c| self.satisfies(c, needs, check, v, t, listed));
            good.any(|c| !keeping || !self.used_up(&c, check, v, t))
        };
        way.consent.as_ref().is_none_or(consented)
            && (!postures.verified_only || way.confidence.is_firm())
            && way.posture.as_deref().is_none_or(|name| postures.chose(name))
            && (way.offers.is_empty() || attempt.offer.is_some_and(|offer| way.offers.contains(offer)))
            && (way.legal_forms.is_empty() || v.form.is_some_and(|form| way.legal_forms.contains(form)))
            && (way.purposes.is_empty() || way.purposes.contains(attempt.purpose))
            && (!way.legally_required || attempt.legally_required)
            && (!way.related || self.relationship().is_some_and(|r| r.offer_related == Some(true)))
            && way.tie.is_none_or(|tie| self.tied(tie, way, &check.zones, t))
    }

    fn tied(&self, tie: Tie, way: &Exemption, zones: &[ZoneId], t: Instant) -> bool {
        let Some(r) = self.relationship() else { return false };
        let recent = |at: Option<Instant>| {
            at.is_some_and(|at| {
                at <= t
                    && way.within.is_none_or(|span| {
                        zones.iter().all(|zone| t < day_start(*zone, moved(local(*zone, at).day, span)))
                    })
            })
        };
        match tie {
            Tie::Purchase => recent(r.last_purchase_at),
            Tie::Inquiry => recent(r.last_inquiry_at),
            Tie::Donation => recent(r.last_donation_at),
            Tie::EndedContract => recent(r.contract_ended_at),
            // Said to run, and not ended by its own date.
            Tie::Contract => r.contract_active == Some(true) && r.contract_ended_at.is_none_or(|ended| t < ended),
            Tie::Personal => r.personal == Some(true),
        }
    }

    /// A consent that covers the attempt, the unknown being so, and is what a rule needs.
    fn satisfies(
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
            && !(needs.third_party_flagged
                && third_party
                && !c.flags.contains(ringfence::contact::Flag::ThirdParty))
            && !(needs.current_policy && self.policies().into_iter().any(|policy| outdated(c, given, policy, t)))
            && !needs.max_age.is_some_and(|span| ends(given, span))
            && !needs.max_unused.is_some_and(|span| ends(used, span))
            && needs.given_from.is_none_or(|from| given >= from)
            && (!needs.after_listing
                || matches!(listed, Some(Listed::Hit(Some(since))) if given > *since)
                || matches!(listed, Some(Listed::Clear)))
            && (!needs.after_reassignment
                || self.reassigned(t).is_none_or(|fact| fact.checked_at.is_some_and(|asked| given > asked)))
            && (!needs.slot || c.preferred_slot.is_some_and(|slot| slot.starts_at <= t && t < slot.ends_at))
    }

    fn covers(&self, c: &Consent, withdrawn: &[Instant], v: Variant, t: Instant) -> bool {
        let attempt = self.q.attempt;
        c.grade.is_some()
            && c.given_at.is_some_and(|given| given <= t)
            && c.expires_at.is_none_or(|end| t < end)
            && !withdrawn.iter().any(|at| self.q.evidence.live || *at <= t)
            && c.forced != Some(true)
            && c.notice_given != Some(false)
            && c.method.is_none_or(ringfence::contact::Method::can_consent)
            && any(c.channels, attempt.channel)
            && any(c.technologies, v.technology)
            && any(c.purposes, attempt.purpose)
            && (c.sellers.is_empty() || c.sellers.contains(&attempt.seller))
            && (c.products.is_empty() || attempt.subject.as_ref().is_some_and(|s| c.products.contains(s)))
    }

    /// Whether the frequency promised with a consent is used up in any zone: by this seller, within the consent's scope.
    fn used_up(&self, (c, ..): &Told<'_>, check: &Check<'_>, _: Variant, t: Instant) -> bool {
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

    fn opted_out(&self, v: Variant, whatever_since: Option<Instant>, t: Instant) -> bool {
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        let told = stored.opt_outs.iter().map(|o| (o, true)).chain(asserted.opt_outs.iter().map(|o| (o, false)));
        told.into_iter().any(|(opt_out, recorded)| {
            let exists = self.q.evidence.live || opt_out.at.is_none_or(|at| at <= t);
            let reaches = match whatever_since {
                None => self.reaches(opt_out),
                Some(since) => {
                    (opt_out.scope.sellers.is_empty() || opt_out.scope.sellers.contains(&self.q.attempt.seller))
                        && opt_out.at.is_none_or(|at| at >= since)
                        && !self.q.attempt.legally_required
                }
            };
            exists && reaches && !self.consents().iter().any(|c| self.reopens(c, opt_out, recorded, v, t))
        })
    }

    fn reaches(&self, opt_out: &OptOut) -> bool {
        let (attempt, scope) = (self.q.attempt, &opt_out.scope);
        let only_channels =
            scope.purposes.is_empty() && scope.sellers.is_empty() && scope.subjects.is_empty() && !scope.everything;
        let purpose = if only_channels {
            attempt.purpose == Purpose::Marketing
        } else {
            scope.everything || any(scope.purposes, attempt.purpose)
        };
        purpose
            && any(scope.channels, attempt.channel)
            && (scope.sellers.is_empty() || scope.sellers.contains(&attempt.seller))
            && (scope.subjects.is_empty() || attempt.subject.as_ref().is_none_or(|s| scope.subjects.contains(s)))
            && !attempt.legally_required
    }

    /// A consent of grade EXPRESS or stronger that covers the attempt, given later than the opt-out was said; against
    /// a recorded opt-out also recorded later, with its evidence.
    fn reopens(&self, (c, withdrawn, kept): &Told<'_>, o: &OptOut, recorded: bool, v: Variant, t: Instant) -> bool {
        let later = c.given_at.is_some_and(|given| o.at.is_some_and(|at| given > at));
        let on_record = *kept && c.recorded_at > o.recorded_at && c.evidence_ref.is_some();
        c.grade >= Some(Grade::Express) && later && (!recorded || on_record) && self.covers(c, withdrawn, v, t)
    }

    fn count(&self, window: Window, counts: &Counts, zone: ZoneId, t: Instant) -> u32 {
        let counted = self.attempts().into_iter().filter(|past| self.agrees(past, counts));
        u32::try_from(counted.filter(|past| self.inside(window, past, zone, t)).count()).unwrap()
    }

    /// Whether an attempt may have been made in the window that ends at `t`.
    fn inside(&self, window: Window, past: &PastAttempt, zone: ZoneId, t: Instant) -> bool {
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

    fn agrees(&self, past: &PastAttempt, counts: &Counts) -> bool {
        let attempt = self.q.attempt;
        past.channel.is_none_or(|channel| any(counts.channels, channel))
            && past.technology.is_none_or(|technology| any(counts.technologies, technology))
            && past.purpose.is_none_or(|purpose| any(counts.purposes, purpose))
            && !past.outcome.is_some_and(|outcome| counts.except.contains(&outcome))
            && (!counts.per_seller || past.seller.as_ref().is_none_or(|seller| *seller == attempt.seller))
            && (!counts.per_subject || either(past.subject.as_ref(), attempt.subject.as_ref()))
            && (!counts.per_campaign || either(past.campaign.as_ref(), attempt.campaign.as_ref()))
    }

    fn triggers(&self, after: Trigger, counts: &Counts, t: Instant) -> Vec<Instant> {
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

    fn inconvenient(&self, zone: ZoneId, t: Instant) -> bool {
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

    fn listed(&self, list: &str, Millis(fresh): Millis) -> Listed {
        let (evidence, now) = (&self.q.evidence, self.q.now);
        let (mut hits, mut clear) = (Vec::new(), false);
        let mut look = |listed: bool, listed_at: Option<Instant>, as_of: Option<Instant>| {
            if listed {
                hits.push(listed_at);
            } else if let Some(as_of) = as_of {
                clear |= now.millis() - as_of.millis() <= fresh;
            }
        };
        if let Some(found) = evidence.lists.look_up(list) {
            look(found.listed, found.listed_at, Some(found.as_of));
        }
        for (facts, trusted) in [(evidence.stored, true), (evidence.asserted, !self.q.postures.stored_facts_only)] {
            for check in facts.registry_checks.iter().filter(|check| &*check.registry == list) {
                let exists = evidence.live || check.checked_at.is_none_or(|checked| checked <= now);
                let as_of = check.checked_at.map(|checked| check.as_of.unwrap_or(checked).min(checked));
                if exists && (trusted || check.listed == Some(true)) && check.listed.is_some() {
                    look(check.listed == Some(true), check.listed_at, as_of);
                }
            }
        }
        match (hits.is_empty(), clear) {
            (false, _) => Listed::Hit(hits.into_iter().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())),
            (true, true) => Listed::Clear,
            (true, false) => Listed::Unknown,
        }
    }

    /// Consents, each with every withdrawal told of it and whether it is stored: of equal ids the stored one.
    fn consents(&self) -> Vec<Told<'a>> {
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

    fn attempts(&self) -> Vec<&'a PastAttempt> {
        let (stored, asserted) = (self.q.evidence.stored, self.q.evidence.asserted);
        let mut all: Vec<_> = stored.attempts.iter().collect();
        let known = |a: &PastAttempt| a.id.is_some() && stored.attempts.iter().any(|other| other.id == a.id);
        all.extend(asserted.attempts.iter().filter(|a| !known(a)));
        all
    }

    fn relationship(&self) -> Option<&'a Relationship> {
        let with = |facts: &'a ringfence::contact::Facts| {
            facts.relationships.iter().find(|r| r.seller.as_ref().is_none_or(|s| *s == self.q.attempt.seller))
        };
        let asserted = with(self.q.evidence.asserted).filter(|_| !self.q.postures.stored_facts_only);
        asserted.or_else(|| with(self.q.evidence.stored))
    }

    /// Asserted if given, else stored; each where an asserted one is not trusted to loosen what the stored one says.
    fn policies(&self) -> Vec<&'a Policy> {
        let (asserted, stored) = (self.q.evidence.asserted.policy.as_ref(), self.q.evidence.stored.policy.as_ref());
        if self.q.postures.stored_facts_only {
            asserted.into_iter().chain(stored).collect()
        } else {
            asserted.or(stored).into_iter().collect()
        }
    }

    fn ages(&self) -> Vec<Age> {
        [&self.q.evidence.stored.ages[..], &self.q.evidence.asserted.ages[..]].concat()
    }

    fn reassigned(&self, t: Instant) -> Option<Reassigned> {
        let mut told: Vec<Reassigned> = self.q.evidence.stored.reassigned.into_iter().collect();
        let trusted = |fact: &Reassigned| !self.q.postures.stored_facts_only || fact.answer == ReassignedAnswer::Yes;
        told.extend(self.q.evidence.asserted.reassigned.filter(trusted));
        // Without an instant an answer counts only if it is yes.
        told.retain(|fact| match fact.checked_at {
            None => fact.answer == ReassignedAnswer::Yes,
            Some(at) => self.q.evidence.live || at <= t,
        });
        let newest = |a: &Reassigned, b: &Reassigned| {
            let key = |f: &Reassigned| (f.checked_at.unwrap_or(Instant::FAR), f.answer == ReassignedAnswer::Yes);
            key(a).cmp(&key(b))
        };
        told.into_iter().max_by(newest)
    }

    fn transfer(&self) -> Option<&'a Transfer> {
        let asserted = self.q.evidence.asserted.transfer.as_ref().filter(|_| !self.q.postures.stored_facts_only);
        asserted.or(self.q.evidence.stored.transfer.as_ref())
    }

    /// Whether anything named lies outside the country: where it is processed, where it is sent.
    fn leaves(&self, jurisdiction: Jurisdiction) -> bool {
        let told = [self.q.evidence.stored.transfer, self.q.evidence.asserted.transfer];
        let sent = told.into_iter().flatten().filter_map(|transfer| transfer.to);
        self.q.attempt.processing_regions.iter().copied().chain(sent).any(|place| place.root() != jurisdiction.root())
    }

    fn mechanism_suffices(&self, bands: &[Band]) -> bool {
        let transfer = self.transfer();
        let mechanism = transfer.and_then(|transfer| transfer.mechanism);
        let has = |band: &Band| mechanism.is_some_and(|mechanism| band.mechanisms.contains(&mechanism));
        // Of how many is not known, some mechanism must be there that suffices for some number.
        let Some(persons) = transfer.and_then(|transfer| transfer.persons_since_january) else {
            return bands.iter().any(has);
        };
        let band = bands.iter().find(|band| band.below.is_none_or(|ceiling| persons < ceiling));
        band.is_some_and(|band| band.mechanisms.is_empty() || has(band))
    }
}

/// A consent, every withdrawal told of it, and whether it is stored.
type Told<'a> = (&'a Consent, Vec<Instant>, bool);

fn outdated(c: &Consent, given: Instant, policy: &Policy, t: Instant) -> bool {
    policy.material != Some(false)
        && c.policy_version.as_deref() != Some(&*policy.current_version)
        && policy.effective_at.is_none_or(|since| since <= t && given < since)
}

fn any<T: Term>(set: Set<T>, term: T) -> bool {
    set.is_empty() || set.contains(term)
}

fn either<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

fn said<T: Term>(asserted: Set<T>, stored: Set<T>, trust_none: bool) -> Set<T> {
    let said = if trust_none && stored.is_empty() { Set::EMPTY } else { asserted.or(stored) };
    if said.is_empty() { Set::all() } else { said }
}
