//! How long the packs want records kept.
//!
//! Promises: of several plausible places and of several rules the longest duty wins (I5: no duty is overlooked by
//! ignorance); a term ends with its last day in the zone of its pack, never within it. A pack that names a class of records
//! that means nothing here is refused: a duty misspelt would be a duty lost.

use super::rule::{Body, Rule, Span};
use super::{Law, Pack};
use crate::contact::holds::{Hold, Reach};
use crate::contact::{Contact, Dated, RecordClass, RecordDuty, RetentionHold, Scrap};
use crate::place::Jurisdiction;
use crate::time::{Instant, ZoneId, date_of, day_of};

/// What a class of a pack keeps: at least for its span, or (`prospect`) at most.
pub(super) fn kept(class: &str) -> Option<&'static [RecordClass]> {
    use RecordClass::{Attempt, Consent, Decision, Notes, OptOut, Relationship, Suppression};
    Some(match class {
        "consent_proof" => &[Consent],
        // 16 CFR 310.5: calls, consents, do-not-call requests, recordings, and what shows a business relationship.
        "telemarketing_records" => &[Consent, OptOut, Attempt, Decision, Notes, Relationship],
        "sms_log" => &[Consent, OptOut, Attempt, Decision],
        "call_recording" => &[Consent, Attempt, Decision, Notes],
        // What was said is the proof of what was asked.
        "opt_out" => &[OptOut, Suppression, Notes],
        "prospect" => &[Consent, Relationship, Notes],
        "log" => &[Attempt, Decision],
        // Documents of the tenant's own, none of a contact.
        "transfer_log" | "impact_assessment" => &[],
        _ => return None,
    })
}

/// The classes a pack may name, for who mistyped one.
pub(super) const CLASSES: &str = "consent_proof, telemarketing_records, sms_log, call_recording, opt_out, prospect, log, transfer_log, impact_assessment";

/// Whether a class says how long at most.
fn is_ceiling(class: &str) -> bool {
    class == "prospect"
}

impl Span {
    /// The end of the last day of this span, begun at an instant: months first, then days, in local time.
    pub(crate) fn end_of_last_day(self, zone: ZoneId, start: Instant) -> Instant {
        let Some(date) = date_of(zone.civil(start).day) else { return Instant::FAR };
        let span = jiff::Span::new().try_months(self.months).and_then(|s| s.try_days(i64::from(self.days) + 1));
        match span.and_then(|span| date.checked_add(span)) {
            Ok(end) => zone.day_start(day_of(end)),
            Err(_) => Instant::FAR,
        }
    }
}

/// What a pack says of how long records are kept.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    /// The rule.
    pub rule: &'a Rule,
    class: &'a str,
    keep: Span,
    zone: ZoneId,
}

impl Duty<'_> {
    fn concerns(&self, class: RecordClass, ceiling: bool) -> bool {
        is_ceiling(self.class) == ceiling && kept(self.class).is_some_and(|classes| classes.contains(&class))
    }

    /// In force when the record was made, or now: whichever is longer counts.
    fn counts(&self, made: Instant, now: Instant) -> bool {
        self.rule.in_force(made) || self.rule.in_force(now)
    }
}

/// How long something is kept, and what says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Floor {
    /// Until when; [`Instant::FAR`]: without term.
    pub until: Instant,
    /// The rule, or `hold.` and the id of a hold.
    pub reason: Box<str>,
    /// Where it is written.
    pub citation: Box<str>,
}

/// Every duty that bears on one contact.
#[derive(Clone, Debug)]
pub struct Duties<'a> {
    rules: Vec<Duty<'a>>,
    holds: Vec<&'a RetentionHold>,
    own: Vec<Hold>,
    whole: Option<Floor>,
    number: Option<u64>,
    /// The last purchase from anybody.
    bought: Option<Instant>,
    places: Vec<Jurisdiction>,
    now: Instant,
}

impl<'a> Duties<'a> {
    /// Of a contact that may be in these places: by the law, by the tenant's holds, and by what the record itself says.
    #[must_use]
    pub fn of(
        law: &'a Law,
        places: &[Jurisdiction],
        contact: &Contact,
        holds: &'a [RetentionHold],
        now: Instant,
    ) -> Self {
        let mut packs: Vec<u16> = places.iter().flat_map(|place| law.chain(*place).packs.iter().copied()).collect();
        packs.sort_unstable();
        packs.dedup();
        let packs: Vec<&Pack> = packs.into_iter().filter_map(|index| law.pack(index)).collect();
        let wider = packs.iter().map(|pack| pack.jurisdiction());
        let places = places.iter().copied().chain(wider).collect();
        let in_force = |hold: &&RetentionHold| hold.until.is_none_or(|until| until > now);
        let holds = holds.iter().filter(in_force).collect();
        let whole = contact.stays_whole(now).map(|why| match why {
            Ok(hold) => of_hold(&hold),
            Err(rule) => Floor { until: Instant::FAR, reason: rule.into(), citation: "".into() },
        });
        let rules = packs.into_iter().flat_map(duties_of).collect();
        let bought = contact.last_purchase();
        Self { rules, holds, own: contact.holds(now), whole, number: contact.digits(), bought, places, now }
    }

    /// Of whatever may stand in a log: every pack's.
    #[must_use]
    pub fn of_log(law: &'a Law, holds: &'a [RetentionHold], now: Instant) -> Self {
        let rules = law.packs().iter().flat_map(duties_of).collect();
        let in_force = |hold: &&RetentionHold| hold.until.is_none_or(|until| until > now);
        let holds = holds.iter().filter(in_force).collect();
        Self { rules, holds, own: Vec::new(), whole: None, number: None, bought: None, places: Vec::new(), now }
    }

    /// Whether nothing at all of the record may go: see [`Contact::stays_whole`]; or a hold of the tenant's keeps all of it.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        let mut all = self.holds.iter().filter(|hold| hold.classes.is_empty());
        self.whole.is_some() || all.any(|hold| self.runs(hold, RecordClass::Decision))
    }

    /// Whether a hold keeps something of this kind now, whatever it is of.
    fn runs(&self, hold: &RetentionHold, class: RecordClass) -> bool {
        self.by_hold(hold, class, &[], None).is_some_and(|floor| floor.until > self.now)
    }

    /// Whether a hold keeps some record of this kind, whatever it is of: law aside.
    #[must_use]
    pub fn is_held(&self, class: RecordClass) -> bool {
        self.holds.iter().any(|hold| self.runs(hold, class)) || self.own.iter().any(|hold| reaches(hold.reach(), class))
    }

    /// How long one hold of the tenant's keeps something of this kind; `None`: it does not reach it.
    fn by_hold(
        &self,
        hold: &RetentionHold,
        class: RecordClass,
        sellers: &[&str],
        bought: Option<Instant>,
    ) -> Option<Floor> {
        if !hold.keeps(class) || !hold.reaches(self.number, &self.places, sellers) {
            return None;
        }
        let last = hold.until.unwrap_or(Instant::FAR);
        let until = match hold.months_from_purchase {
            None => last,
            // What is of no purchase by itself belongs to the last one.
            Some(months) => {
                let bought = bought.or(self.bought)?;
                Span { months, days: 0 }.end_of_last_day(ZoneId::utc(), bought).min(last)
            }
        };
        Some(Floor { until, reason: format!("hold.{}", hold.id).into(), citation: hold.why.clone() })
    }

    /// The longest duty to keep something, whatever it has come to by now; `None`: none was ever there.
    #[must_use]
    pub fn floor(&self, dated: &Dated, sellers: &[&str], bought: Option<Instant>) -> Option<Floor> {
        let duties = self.rules.iter().filter(|duty| duty.concerns(dated.class, false));
        let duties = duties.filter(|duty| duty.counts(dated.made, self.now)).map(|duty| Floor {
            until: duty.keep.end_of_last_day(duty.zone, dated.last),
            reason: duty.rule.id.clone(),
            citation: duty.rule.citation.clone(),
        });
        let holds = self.holds.iter().filter_map(|hold| self.by_hold(hold, dated.class, sellers, bought));
        let own = self.own.iter().filter(|hold| reaches(hold.reach(), dated.class)).map(of_hold);
        duties.chain(holds).chain(own).chain(self.whole.clone()).max_by_key(|floor| floor.until)
    }

    /// The shortest term after which something must go, and the rule; `None`: no law names one.
    #[must_use]
    pub fn ceiling(&self, dated: &Dated) -> Option<(Instant, &'a str)> {
        let heard = dated.heard?;
        let duties = self.rules.iter().filter(|duty| duty.concerns(dated.class, true) && duty.counts(heard, self.now));
        let ends = duties.map(|duty| (duty.keep.end_of_last_day(duty.zone, heard), &*duty.rule.id));
        ends.min_by_key(|(end, _)| *end)
    }

    /// Until when an entry of the log must be kept at least, and what says so: for removing whole segments, where nobody can
    /// look into single entries. A hold on anything keeps it; `None`: nothing does.
    #[must_use]
    pub fn log_entry(&self, recorded_at: Instant) -> Option<Floor> {
        let duties = self.rules.iter().filter(|duty| {
            let classes = [RecordClass::Decision, RecordClass::Attempt, RecordClass::Consent, RecordClass::Notes];
            classes.iter().any(|class| duty.concerns(*class, false)) && duty.counts(recorded_at, self.now)
        });
        let duties = duties.map(|duty| Floor {
            until: duty.keep.end_of_last_day(duty.zone, recorded_at),
            reason: duty.rule.id.clone(),
            citation: duty.rule.citation.clone(),
        });
        // What concerns one number, seller or kind cannot be told from the rest.
        let until = |hold: &RetentionHold| {
            let last = hold.until.unwrap_or(Instant::FAR);
            let months = |months| Span { months, days: 0 }.end_of_last_day(ZoneId::utc(), recorded_at);
            hold.months_from_purchase.map_or(last, |span| months(span).min(last))
        };
        let holds = self.holds.iter().map(|hold| Floor {
            until: until(hold),
            reason: format!("hold.{}", hold.id).into(),
            citation: hold.why.clone(),
        });
        duties.chain(holds).max_by_key(|floor| floor.until)
    }
}

/// Whether a hold in a record keeps this kind.
fn reaches(reach: Reach, class: RecordClass) -> bool {
    match reach {
        Reach::Consents => class == RecordClass::Consent,
        Reach::OptOuts => matches!(class, RecordClass::OptOut | RecordClass::Suppression | RecordClass::Notes),
        Reach::Attempts => class == RecordClass::Attempt,
        Reach::Everything => true,
    }
}

fn of_hold(hold: &Hold) -> Floor {
    let why = if hold.citation.is_empty() { &hold.reason } else { &hold.citation };
    Floor {
        until: hold.until.unwrap_or(Instant::FAR),
        reason: format!("hold.{}", hold.id).into(),
        citation: why.clone(),
    }
}

fn duties_of(pack: &Pack) -> impl Iterator<Item = Duty<'_>> {
    let zone = pack.zone();
    pack.rules.iter().filter_map(move |rule| match &rule.body {
        Body::Retention { class, keep } => Some(Duty { rule: rule.as_ref(), class, keep: *keep, zone }),
        _ => None,
    })
}

/// What the tenant's holds keep of a contact, as an erasure respects holds. Law is not among them: what a person asks to be
/// erased goes, but for what somebody said must stay.
#[must_use]
pub fn held_from_erasure(
    contact: &Contact,
    places: &[Jurisdiction],
    law: &Law,
    tenant_holds: &[RetentionHold],
    now: Instant,
) -> Vec<Hold> {
    let duties = Duties::of(law, places, contact, tenant_holds, now);
    let scraps = contact.scraps(&[], now);
    let mut held: Vec<Hold> = Vec::new();
    let mut keep = |hold: &RetentionHold, class: &str, until: Option<Instant>| {
        held.push(Hold {
            id: hold.id.clone(),
            class: class.into(),
            until,
            reason: hold.why.clone(),
            rule_id: "".into(),
            citation: "".into(),
        });
    };
    for hold in &duties.holds {
        let of_all = hold.months_from_purchase.is_none() && hold.reaches(duties.number, &duties.places, &[]);
        if of_all && (hold.classes.is_empty() || hold.keeps(RecordClass::Decision)) {
            keep(hold, "everything", hold.until);
            continue;
        }
        let mut classes: Vec<&str> = Vec::new();
        for scrap in &scraps {
            let sellers: Vec<&str> = scrap.sellers.iter().map(String::as_str).collect();
            let Some(floor) = duties.by_hold(hold, scrap.dated.class, &sellers, scrap.bought) else { continue };
            let class = match scrap.dated.class {
                RecordClass::OptOut | RecordClass::Suppression | RecordClass::Notes => RecordClass::OptOut.word(),
                class => class.word(),
            };
            if floor.until > now && !classes.contains(&class) {
                classes.push(class);
                keep(hold, class, (floor.until != Instant::FAR).then_some(floor.until));
            }
        }
    }
    held
}

/// What must be kept of a contact that may be in these places: for each kind the longest duty that still runs. What is
/// only still of use is no duty, and is not among them; nor is that opt-outs stay, which no erasure touches.
#[must_use]
pub fn record_duties(
    contact: &Contact,
    places: &[Jurisdiction],
    law: &Law,
    tenant_holds: &[RetentionHold],
    now: Instant,
) -> Vec<RecordDuty> {
    let duties = Duties::of(law, places, contact, tenant_holds, now);
    let mut longest: Vec<(RecordClass, Floor)> = Vec::new();
    for Scrap { dated, sellers, bought, .. } in contact.scraps(&[], now) {
        let sellers: Vec<&str> = sellers.iter().map(String::as_str).collect();
        let Some(floor) = duties.floor(&dated, &sellers, bought).filter(|floor| floor.until > now) else { continue };
        match longest.iter_mut().find(|(class, _)| *class == dated.class) {
            Some((_, known)) if known.until >= floor.until => {}
            Some((_, known)) => *known = floor,
            None => longest.push((dated.class, floor)),
        }
    }
    longest.sort_by_key(|(class, _)| *class);
    let term = |until: Instant| (until != Instant::FAR).then_some(until);
    longest
        .into_iter()
        .map(|(class, floor)| RecordDuty {
            class,
            until: term(floor.until),
            reason: floor.reason,
            citation: floor.citation,
        })
        .collect()
}
