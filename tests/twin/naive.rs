//! `decide` a second time, from the packs' meaning: every rule of every pack in play, one instant at a time, with plain
//! loops. Shares with the first only what a pack means (`law::rule`) and which places a number may be in.

use std::collections::{BTreeSet, HashSet};

use ringfence::contact::{Age, Grade, LegalForm, Purpose, Recipient, Set, Technology, Term};
use ringfence::decision::{Freeze, Look, Question, Target};
use ringfence::law::{Body, Declared, Exemption, Family, Needs, Rule, Tie};
use ringfence::place::{self, Jurisdiction, LineType, Location, NumberType, Plausible};
use ringfence::time::{Instant, ZoneId};

use super::civil::{MINUTE, age, date_of, day_of, day_start, local, moved, weekday};
use super::known::Listed;

pub type Reasons = BTreeSet<(String, Family)>;

/// One way the unknown may be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Variant {
    pub technology: Technology,
    pub form: Option<LegalForm>,
}

/// One rule, where it holds, and for whom.
pub struct Check<'a> {
    rule: &'a Rule,
    places: Vec<Jurisdiction>,
    pub zones: Vec<ZoneId>,
    variants: Vec<Variant>,
    closed: HashSet<i64>,
}

enum Word {
    Fine,
    Denies,
    Promise,
}

pub struct Twin<'a> {
    pub q: &'a Question<'a>,
    /// What stands whatever the instant.
    grounds: Reasons,
    checks: Vec<Check<'a>>,
    /// The ways the unknown may be, for the service's own rule about opt-outs.
    own_opt_out: Vec<Variant>,
    /// Wherever the person may be; `None`: what is said of it cannot be read, and nothing else is asked.
    places: Option<Vec<Jurisdiction>>,
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
        let mut twin = Self {
            q,
            grounds: Reasons::new(),
            checks: Vec::new(),
            own_opt_out: Vec::new(),
            places: None,
            last: 0.into(),
        };
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
        // Where only the record is trusted, what it says alone stays plausible beside what the caller says.
        let recorded = q.postures.stored_facts_only.then(|| {
            let residences = stored.residences.iter().copied().collect();
            place::resolve(q.number, &Location { residences, ..Location::default() }, q.postures.location).unwrap()
        });
        let also = recorded.iter().flat_map(|recorded| recorded.plausible.iter());
        twin.places = Some(found.plausible.iter().chain(also.clone()).map(|place| place.jurisdiction).collect());
        for place in found.plausible.iter().chain(also) {
            let (packs, covered) = twin.packs_of(place.jurisdiction);
            if !covered && q.attempt.purpose != Purpose::Emergency {
                twin.ground("ringfence.jurisdiction.no_pack", Family::Jurisdiction);
            }
            let unreviewed =
                packs.iter().any(|i| q.law.packs()[*i].reviewed().is_none() && !q.law.packs()[*i].is_policy());
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
        if q.attempt.purpose != Purpose::Emergency {
            twin.own_opt_out = variants.iter().map(|(variant, ..)| *variant).collect();
        }
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

    fn variants(&self, certain: Option<LineType>) -> Vec<(Variant, Recipient, LineType)> {
        let (asserted, stored) = (self.q.evidence.asserted, self.q.evidence.stored);
        let trust_none = self.q.postures.stored_facts_only;
        // Every value given is plausible; nothing given, or given only by somebody not trusted to narrow, is any.
        let recipients = said(asserted.recipients, stored.recipients, trust_none);
        let lines = self.lines(stored.line_types.or(certain.into_iter().collect()));
        let said_forms = asserted.legal_forms.or(stored.legal_forms);
        // Persons in trade are protected as such, though somebody calls them a business.
        let persons = [LegalForm::SoleProprietor, LegalForm::Freelancer, LegalForm::Partnership];
        let in_trade =
            recipients.contains(Recipient::Business) && persons.iter().any(|form| said_forms.contains(*form));
        let recipients = if in_trade { recipients.with(Recipient::SoleTrader) } else { recipients };
        let mut forms: Vec<Option<LegalForm>> = said_forms.iter().map(Some).collect();
        if forms.is_empty() || trust_none && stored.legal_forms.is_empty() {
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

    /// Every plausible kind of line, beside what lists tell of it.
    fn lines(&self, own: Set<LineType>) -> Set<LineType> {
        let (q, asserted) = (self.q, self.q.evidence.asserted.line_types);
        let trust_none = q.postures.stored_facts_only;
        if q.number.reveal_e164().as_str().get(..2) != Some("+1") {
            return said(asserted, own, trust_none);
        }
        let find = |id: &str| q.evidence.lists.look_up(id);
        let [blocks, wireless, wireline] =
            ["us.line.wireless_blocks", "us.line.ported_to_wireless", "us.line.ported_to_wireline"].map(find);
        let on = |found: &Option<Look>| found.as_ref().is_some_and(|look| look.listed == Some(true));
        let young = |found: &Option<Look>| {
            found.as_ref().filter(|look| look.listed.is_some()).is_some_and(|look| {
                let age = q.now.millis() - look.as_of.millis();
                age <= 15 * 86_400_000 && (!q.evidence.live || age >= -300_000)
            })
        };
        let by_list: Set<LineType> = LineType::ALL
            .iter()
            .copied()
            .filter(|line| match line {
                LineType::Mobile => {
                    on(&wireless) || on(&blocks) && !(on(&wireline) && young(&wireline) && young(&wireless))
                }
                LineType::Landline | LineType::Voip => on(&wireline),
            })
            .collect();
        if by_list.is_empty() {
            return said(asserted, own, trust_none);
        }
        let silent = own.is_empty() && (asserted.is_empty() || trust_none);
        let all = match silent && young(&wireless) && young(&wireline) {
            true => asserted.or(by_list),
            false => said(asserted, own, trust_none),
        };
        // Where they disagree each may be right.
        let mut lines = all;
        if by_list.contains(LineType::Mobile) {
            lines = lines.with(LineType::Mobile);
        }
        if by_list.contains(LineType::Voip) && !all.contains(LineType::Landline) && !all.contains(LineType::Voip) {
            lines = lines.with(LineType::Landline).with(LineType::Voip);
        }
        lines
    }

    fn add(
        &mut self,
        rule: &'a Rule,
        variants: &[(Variant, Recipient, LineType)],
        places: Vec<Jurisdiction>,
        zones: Vec<ZoneId>,
    ) {
        let (a, attempt) = (&rule.applies, self.q.attempt);
        let about = any(a.channels, attempt.channel)
            && (a.purposes.contains(attempt.purpose) || a.purposes.is_empty() && attempt.purpose != Purpose::Emergency)
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
        zones.iter().for_each(|zone| {
            if !distinct.contains(zone) {
                distinct.push(*zone)
            }
        });
        let closed = match &rule.body {
            Body::Holidays(calendar) => {
                calendar.dates().map(|(date, _)| day_of(date.year().into(), date.month(), date.day())).collect()
            }
            _ => HashSet::new(),
        };
        self.checks.push(Check { rule, places, zones: distinct, variants: mine, closed });
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
        // What a pack's own rule says, the service need not.
        let said = self.checks.iter().any(|check| {
            matches!(check.rule.body, Body::OptOut { whatever_scope_since: None })
                && reasons.contains(&(check.rule.id.to_string(), check.rule.family))
        });
        if self.own_denies(t) && !said {
            reasons.insert(("ringfence.opt_out".to_owned(), Family::OptOut));
        }
        if self.frozen(t) {
            reasons.insert(("ringfence.freeze".to_owned(), Family::Policy));
        }
        if self.on_own_list() {
            reasons.insert(("ringfence.own_list".to_owned(), Family::Registry));
        }
        reasons
    }

    /// Whether nothing denies at an instant; stops at the first denial, looking first where the last one was.
    pub fn allows(&self, t: Instant) -> bool {
        if !self.grounds.is_empty() {
            return false;
        }
        let denies = |check: &Check<'_>| check.variants.iter().any(|v| !matches!(self.word(check, *v, t), Word::Fine));
        if self.checks.get(self.last.get()).is_some_and(denies) {
            return false;
        }
        if let Some(index) = self.checks.iter().position(denies) {
            self.last.set(index);
            return false;
        }
        !self.own_denies(t) && !self.frozen(t) && !self.on_own_list()
    }

    /// Whether anything says that the number is on a list of the tenant's own which no rule knows.
    fn on_own_list(&self) -> bool {
        let evidence = &self.q.evidence;
        if self.places.is_none() || self.q.attempt.purpose == Purpose::Emergency || self.q.attempt.legally_required {
            return false;
        }
        let known = |list: &str| {
            let rules = self.q.law.packs().iter().flat_map(|pack| &pack.rules);
            rules.into_iter().any(|rule| matches!(&rule.body, Body::Registry { list: asked, .. } if **asked == *list))
        };
        let told = [evidence.stored, evidence.asserted].into_iter().flat_map(|facts| &facts.registry_checks);
        let told = told.filter(|check| check.listed == Some(true));
        let told = told.filter(|check| evidence.live || check.checked_at.is_none_or(|checked| checked <= self.q.now));
        let loaded = evidence.lists.own_hits();
        let mut on = told.map(|check| &check.registry).chain(&loaded).filter(|list| list.starts_with("tenant."));
        on.any(|list| !known(list))
    }

    /// Whether somebody froze what this is.
    fn frozen(&self, t: Instant) -> bool {
        let (attempt, Some(places)) = (self.q.attempt, &self.places) else { return false };
        let named = super::known::one_name;
        let stopped = |freeze: &Freeze| match &freeze.target {
            Target::Everything => true,
            Target::Seller(seller) => named(attempt.seller.as_str(), seller.as_str()),
            Target::Campaign(campaign) => attempt.campaign.iter().any(|c| named(c.as_str(), campaign.as_str())),
            Target::Place(frozen) => places.iter().any(|place| {
                let law = self.packs_of(*place).0;
                let mut law = law.iter().map(|i| &self.q.law.packs()[*i]).filter(|pack| !pack.is_policy());
                overlap(*place, *frozen) || law.any(|pack| pack.jurisdiction() == *frozen)
            }),
        };
        let holds = |freeze: &Freeze| match self.q.evidence.live {
            true => freeze.lifted_at.is_none() && t < freeze.until,
            false => freeze.from <= t && t < freeze.until && freeze.lifted_at.is_none_or(|lifted| t < lifted),
        };
        let spared = attempt.purpose == Purpose::Emergency || attempt.legally_required;
        !spared && self.q.switches.freezes.iter().any(|freeze| holds(freeze) && stopped(freeze))
    }

    /// Whether the person may be where a state of emergency is declared.
    fn in_emergency(&self, declared: &Declared, rule: &Rule, places: &[Jurisdiction]) -> bool {
        let there = declared.jurisdiction == rule.jurisdiction
            || places.iter().any(|place| overlap(*place, declared.jurisdiction));
        // A county counts where the residence it is told of is that place, and its pack knows it.
        let (asserted, stored) = (&self.q.evidence.asserted.residences, &self.q.evidence.stored.residences);
        let of = if asserted.is_empty() { stored } else { asserted };
        let settled = of.iter().any(|_| true)
            && !of.iter().any(|residence| *residence != declared.jurisdiction)
            && !self.q.postures.stored_facts_only;
        let pack = self.q.law.pack_of(declared.jurisdiction);
        let county = |name: &str| pack.and_then(|pack| pack.county(name));
        match self.q.attempt.county.as_deref().filter(|_| settled).and_then(county) {
            Some(lives) if !declared.counties.is_empty() => {
                there && declared.counties.iter().any(|name| county(name).is_none() || county(name) == Some(lives))
            }
            _ => there,
        }
    }

    fn own_denies(&self, t: Instant) -> bool {
        self.own_opt_out.iter().any(|variant| self.opted_out(*variant, None, t))
    }

    fn word(&self, check: &Check<'_>, v: Variant, t: Instant) -> Word {
        let rule = check.rule;
        if t < rule.from || t >= rule.until {
            return Word::Fine;
        }
        let listed = match &rule.body {
            Body::Registry { list, fresh, bites_after } => Some(self.listed(list, fresh, *bites_after, &check.zones)),
            _ => None,
        };
        let zones = &check.zones;
        let denies = match &rule.body {
            Body::Hours { week, dates, zone } => zone.map_or(zones.clone(), |z| vec![z]).iter().any(|zone| {
                let shown = local(*zone, t);
                let minute = shown.millis / MINUTE;
                let open = |(from, to): &(u16, u16)| i64::from(*from) <= minute && minute < i64::from(*to);
                let special = dates.iter().find(|d| {
                    let wanted = date_of(shown.day + i64::from(d.days_before));
                    d.calendar.dates().any(|(date, _)| (i64::from(date.year()), date.month(), date.day()) == wanted)
                });
                let windows = special.map_or(week.day(weekday(shown.day)), |d| d.windows.as_slice());
                !windows.iter().any(open)
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
            Body::Registry { .. } => match &listed {
                Some(Listed::Clear) => false,
                Some(Listed::Hit { counts_from: Some(from), .. }) => t >= *from,
                _ => true,
            },
            Body::Cap { limit, windows, counts } => {
                windows.iter().any(|window| zones.iter().any(|zone| self.count(*window, counts, *zone, t) >= *limit))
            }
            Body::CoolOff { after, resumes_after_days, counts } => {
                self.triggers(*after, counts, t).into_iter().any(|at| {
                    resumes_after_days
                        .is_none_or(|days| zones.iter().any(|z| t < day_start(*z, local(*z, at).day + i64::from(days))))
                })
            }
            Body::Ban => true,
            Body::Emergency => self.q.switches.emergencies.iter().any(|declared| {
                let at_once = self.q.evidence.live && declared.from <= declared.declared_at;
                let now = (at_once || declared.from <= t) && t < declared.until;
                now && self.in_emergency(declared, rule, &check.places)
            }),
            Body::Minor { under } => self.ages().into_iter().any(|known| match known {
                Age::Years(years) => years < *under,
                Age::BornOn(born) => zones.iter().any(|z| age(born.into(), local(*z, t).day) < i64::from(*under)),
            }),
            Body::Reassigned => self.changed_hands(None, t),
            Body::CrossBorder { bands } => self.leaves(rule.jurisdiction) && !self.mechanism_suffices(bands),
            Body::CallerId { allowed, denied } => self.q.attempt.caller_id.as_deref().is_some_and(|shown| {
                let begins = |prefixes: &[Box<str>]| prefixes.iter().any(|prefix| shown.starts_with(&**prefix));
                begins(denied) || !allowed.is_empty() && !begins(allowed)
            }),
            Body::Abandonment | Body::Retention { .. } | Body::Obligation { .. } | Body::Keywords { .. } => false,
        };
        if denies { self.exempted(check, v, t, listed.as_ref()).unwrap_or(Word::Denies) } else { Word::Fine }
    }

    /// What the ways out of a rule make of its denial: fine, or a promise that stands in the way of every way there is;
    /// `None` where there is no way out.
    fn exempted(&self, check: &Check<'_>, v: Variant, t: Instant, listed: Option<&Listed>) -> Option<Word> {
        let way_out =
            |keeping: bool| check.rule.unless.iter().any(|way| self.way_out(way, check, v, t, listed, keeping));
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
            // A soft opt-in is for own similar goods.
            && !(way.consent.as_ref().is_some_and(|needs| needs.grade == Grade::SoftOptIn)
                && self.relationship().is_some_and(|r| r.offer_related == Some(false)))
            && (!way.related || self.relationship().is_some_and(|r| r.offer_related == Some(true)))
            && way.tie.is_none_or(|tie| self.tied(tie, way, &check.zones, t))
    }

    fn tied(&self, tie: Tie, way: &Exemption, zones: &[ZoneId], t: Instant) -> bool {
        let Some(r) = self.relationship() else { return false };
        let recent = |at: Option<Instant>| {
            at.is_some_and(|at| {
                at <= t
                    && !self.changed_hands(Some(at), t)
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
            Tie::Contract | Tie::Personal if self.changed_hands(None, t) => false,
            Tie::Contract => r.contract_active == Some(true) && r.contract_ended_at.is_none_or(|ended| t < ended),
            Tie::Personal => r.personal == Some(true),
        }
    }
}

/// Whether who may be in the one place may be in the other.
fn overlap(place: Jurisdiction, other: Jurisdiction) -> bool {
    place == other || place::country_group(place) == other || other.country() == Some(place)
}

pub fn any<T: Term>(set: Set<T>, term: T) -> bool {
    set.is_empty() || set.contains(term)
}

fn said<T: Term>(asserted: Set<T>, stored: Set<T>, trust_none: bool) -> Set<T> {
    let said = if trust_none && stored.is_empty() { Set::EMPTY } else { asserted.or(stored) };
    if said.is_empty() { Set::all() } else { said }
}
