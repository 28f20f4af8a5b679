//! Random evidence of every kind, dated near the instant of the question.

use ringfence::contact::{
    Age, AttemptId, Campaign, Channel, Consent, Facts, Flag, FrequencyCap, InconvenientTime, Method, OptOut, Outcome,
    PastAttempt, Period, Policy, Purpose, Reassigned, ReassignedAnswer, RegistryCheck, Relationship, Scope, Set, Slot,
    Subject, Technology, Term, Transfer, TransferMechanism,
};
use ringfence::time::Instant;

use super::questions::{REGISTRIES, nonempty, seller, set};
use super::random::Random;

/// How the seller of a question is written by those who record what it did; and another.
const SPELLINGS: &[&str] = &["acme", "acme", "acme", "ACME", "Acme ", "other", "other"];

/// Evidence to add to a question: some consents, opt-outs and attempts.
pub fn more(r: &mut Random, now: Instant, stored: bool) -> Facts {
    let maker = Maker { now, registries: REGISTRIES };
    Facts {
        consents: (0..3).map(|_| maker.consent(r, stored)).collect(),
        opt_outs: (0..2).map(|_| maker.opt_out(r, stored)).collect(),
        attempts: (0..3).map(|i| maker.attempt(r, stored, i > 0)).collect(),
        ..Facts::default()
    }
}

pub struct Maker<'a> {
    pub now: Instant,
    pub registries: &'a [&'static str],
}

impl Maker<'_> {
    /// Some span before now, mostly; a round one, give or take a millisecond, often enough.
    pub fn near(&self, r: &mut Random) -> Instant {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        let span = match r.below(4) {
            0 => r.between(0, 3 * DAY),
            1 => r.pick(&[0, 60_000, HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY, 30 * DAY, 31 * DAY, 60 * DAY, 61 * DAY]),
            2 => r.between(0, 40 * DAY),
            _ => r.pick(&[91, 92, 180, 185, 365, 366, 547, 549, 730, 1825, 1826, 1827]) * DAY + r.between(-3, 3) * HOUR,
        };
        let jitter = if r.chance(50) { r.between(-1, 1) } else { r.between(-120_000, 120_000) };
        let later = r.chance(12);
        Instant::from_millis(self.now.millis() + if later { span } else { -span } + jitter)
    }

    pub fn date(&self, r: &mut Random, percent: u64) -> Option<Instant> {
        r.maybe(percent, |r| self.near(r))
    }

    pub fn facts(&self, r: &mut Random, stored: bool) -> Facts {
        let consents = r.some(2, |r| self.consent(r, stored));
        let opt_outs = if r.chance(15) { vec![self.opt_out(r, stored)] } else { Vec::new() };
        let crowded = r.chance(35);
        let attempts = match r.below(10) {
            _ if crowded => (0..r.below(9)).map(|_| self.attempt(r, stored, true)).collect(),
            0..=3 => r.some(8, |r| self.attempt(r, stored, false)),
            _ => Vec::new(),
        };
        Facts {
            consents: dedup(consents, |c| c.id.clone()),
            opt_outs,
            relationships: r.maybe(35, |r| self.relationship(r, stored)).into_iter().collect(),
            registry_checks: if r.chance(70) { r.some(4, |r| self.check(r)) } else { Vec::new() },
            attempts: dedup(attempts, |a| a.id.clone()),
            last_conversation_at: self.date(r, 6),
            first_notice_at: self.date(r, 6),
            ages: if r.chance(10) { vec![self.age(r)] } else { Vec::new() },
            inconvenient_times: if r.chance(10) { r.some(2, inconvenient) } else { Vec::new() },
            policy: r.maybe(8, |r| Policy {
                current_version: r.pick(&["v1", "v2"]).into(),
                material: r.pick(&[None, Some(true), Some(false)]),
                effective_at: self.date(r, 70),
            }),
            transfer: r.maybe(8, |r| Transfer {
                to: r.maybe(80, |r| r.pick(&["CN", "US", "HK", "SG"]).parse().unwrap()),
                mechanism: r.maybe(70, |r| r.pick(TransferMechanism::ALL)),
                persons_since_january: r.maybe(60, |r| r.pick(&[5, 99_999, 100_000, 500_000, 1_000_000])),
            }),
            reassigned: if r.chance(12) { r.some(3, |r| self.answer(r)) } else { Vec::new() },
            ..Facts::default()
        }
    }

    fn answer(&self, r: &mut Random) -> Reassigned {
        // Often of one instant, or about the instant of a consent.
        let lately = Instant::from_millis(self.now.millis() - 86_400_000);
        Reassigned {
            checked_at: if r.chance(30) { Some(lately) } else { self.date(r, 80) },
            since: if r.chance(20) { Some(lately) } else { self.date(r, 70) },
            answer: r.pick(&[
                ReassignedAnswer::NoData,
                ReassignedAnswer::No,
                ReassignedAnswer::No,
                ReassignedAnswer::Yes,
            ]),
        }
    }

    fn consent(&self, r: &mut Random, stored: bool) -> Consent {
        let given_at = self.date(r, 95);
        let recorded_at =
            if stored { given_at.map(|at| Instant::from_millis(at.millis() + r.between(0, 100_000))) } else { None };
        let starts_at = Instant::from_millis(self.now.millis() + r.between(-90, 90) * 60_000 + r.between(-1, 1));
        Consent {
            id: r.maybe(30, |r| r.pick(&["c1", "c2", "c3"]).into()),
            grade: r.maybe(96, |r| r.pick(&[4, 4, 4, 3, 3, 2, 1].map(|n| Term::from_number(n).unwrap()))),
            flags: set::<Flag>(r, 3),
            channels: if r.chance(70) { Set::EMPTY } else { set(r, 2) },
            technologies: if r.chance(60) { Set::EMPTY } else { nonempty(set(r, 3)) },
            purposes: if r.chance(80) { Set::EMPTY } else { set(r, 4) },
            sellers: if r.chance(85) { Vec::new() } else { vec![seller(r.pick(&["acme", "acme", "ACME", "other"]))] },
            products: if r.chance(85) { Vec::new() } else { vec![Subject::new("renewal").unwrap()] },
            given_at,
            expires_at: self.date(r, 8),
            withdrawn_at: self.date(r, 6),
            last_used_at: self.date(r, 15),
            preferred_slot: r.maybe(10, |r| Slot {
                starts_at,
                ends_at: Instant::from_millis(starts_at.millis() + r.between(1, 90) * 60_000),
            }),
            policy_version: r.maybe(50, |r| r.pick(&["v1", "v2"]).into()),
            obtained_from: r.maybe(20, |r| r.pick(&["person", "third_party", "directory"]).into()),
            frequency_cap: r.maybe(12, |r| FrequencyCap {
                count: u32::try_from(r.between(0, 3)).unwrap(),
                period: r.pick(&[Period::Day, Period::Week, Period::Month]),
            }),
            method: if r.chance(70) { None } else { Some(r.pick(Method::ALL)) },
            wording: None,
            notice_given: r.pick(&[None, None, None, None, Some(true), Some(true), Some(true), Some(false)]),
            forced: r.pick(&[None, None, None, None, Some(false), Some(false), Some(false), Some(true)]),
            evidence_ref: r.maybe(60, |_| "ref".into()),
            recorded_at,
            overtaken_at: self.date(r, 6),
        }
    }

    fn opt_out(&self, r: &mut Random, stored: bool) -> OptOut {
        let at = self.date(r, 92);
        let late = r.between(0, 100_000);
        let recorded_at = stored.then(|| Instant::from_millis(at.unwrap_or(self.now).millis() + late));
        let mut scope = Scope {
            channels: set(r, 1),
            purposes: if r.chance(40) { set(r, 3) } else { Set::EMPTY },
            sellers: if r.chance(30) { vec![seller(r.pick(SPELLINGS))] } else { Vec::new() },
            subjects: if r.chance(20) { vec![Subject::new("renewal").unwrap()] } else { Vec::new() },
            everything: r.chance(25),
            campaigns: if r.chance(15) { vec![Campaign::new("spring").unwrap()] } else { Vec::new() },
        };
        scope.everything |= scope == Scope::default();
        // What is recorded carries the instant of its recording at the latest.
        let at = if stored { at.or(recorded_at) } else { at };
        OptOut { id: r.maybe(30, |r| r.pick(&["o1", "o2"]).into()), scope, at, source: None, recorded_at }
    }

    /// An attempt; in a crowd, one of the last days that says little of itself and so counts for much.
    fn attempt(&self, r: &mut Random, stored: bool, crowd: bool) -> PastAttempt {
        let recent = Instant::from_millis(self.now.millis() - r.between(0, 9 * 86_400_000));
        let earliest = if crowd { recent } else { self.near(r) };
        let told = if crowd { 3 } else { 1 };
        let pending = stored && r.chance(25);
        let latest = if pending { Instant::from_millis(earliest.millis() + r.between(0, 300_000)) } else { earliest };
        let reported: Vec<_> = Outcome::ALL.iter().copied().filter(|o| *o != Outcome::NotAttempted).collect();
        PastAttempt {
            id: r.maybe(50 / told, |r| AttemptId::new(r.pick(&["a1", "a2", "a3", "a4", "a5"])).unwrap()),
            earliest,
            latest,
            ended_at: r.maybe(20, |r| Instant::from_millis(latest.millis() + r.between(0, 7_200_000))),
            channel: r.maybe(80 / told, |r| r.pick(Channel::ALL)),
            technology: r.maybe(50 / told, |r| r.pick(Technology::ALL)),
            purpose: r.maybe(50 / told, |r| r.pick(Purpose::ALL)),
            outcome: if pending {
                None
            } else {
                r.maybe(60, |r| {
                    if r.chance(40) { r.pick(&[Outcome::Conversation, Outcome::Refused]) } else { r.pick(&reported) }
                })
            },
            seller: r.maybe(70, |r| seller(r.pick(SPELLINGS))),
            subject: r.maybe(50 / told, |r| Subject::new(r.pick(&["renewal", "boots"])).unwrap()),
            campaign: r.maybe(40, |r| Campaign::new(r.pick(&["spring", "autumn"])).unwrap()),
        }
    }

    fn relationship(&self, r: &mut Random, stored: bool) -> Relationship {
        let with = seller(r.pick(&["acme", "acme", "acme", "other"]));
        Relationship {
            seller: if stored { Some(with) } else { None },
            last_purchase_at: self.date(r, 40),
            last_inquiry_at: self.date(r, 30),
            last_donation_at: self.date(r, 30),
            contract_active: r.pick(&[None, None, Some(true), Some(false)]),
            contract_ended_at: self.date(r, 20),
            offer_related: r.pick(&[None, Some(true), Some(true), Some(false)]),
            personal: r.pick(&[None, None, None, Some(true), Some(false)]),
        }
    }

    fn check(&self, r: &mut Random) -> RegistryCheck {
        let checked_at = self.date(r, 95);
        RegistryCheck {
            registry: r.pick(self.registries).into(),
            listed: r.pick(&[Some(false), Some(false), Some(false), Some(false), Some(true), None]),
            checked_at,
            as_of: if r.chance(70) { None } else { self.date(r, 90) },
            listed_at: self.date(r, 40),
        }
    }

    /// Around the ages rules are about, and around a birthday.
    fn age(&self, r: &mut Random) -> Age {
        if r.chance(40) {
            return Age::Years(r.pick(&[12, 13, 14, 15, 16, 17, 18, 40]));
        }
        let today = self.now.millis().div_euclid(86_400_000);
        let years = r.pick(&[13, 14, 15, 16, 18, 30]);
        let leap_day = super::civil::day_of(2012, 2, 29);
        let day = if r.chance(15) { leap_day } else { today - years * 365 - years / 4 + r.between(-3, 30) };
        Age::BornOn(i32::try_from(day).unwrap())
    }
}

fn inconvenient(r: &mut Random) -> InconvenientTime {
    let weekdays = u8::try_from(r.between(1, 127)).unwrap();
    let start = u16::try_from(r.pick(&[0, 60, 540, 720, 1080, 1320, 1439])).unwrap();
    let end = u16::try_from(r.pick(&[0, 60, 120, 540, 780, 1080, 1440])).unwrap();
    InconvenientTime { weekdays, start, end }
}

/// Keeps the first of equal ids.
fn dedup<T, K: PartialEq>(all: Vec<T>, id: impl Fn(&T) -> Option<K>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for one in all {
        if id(&one).is_none() || !kept.iter().any(|other| id(other) == id(&one)) {
            kept.push(one);
        }
    }
    kept
}
