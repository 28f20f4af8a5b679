//! Random questions: numbers of every first pack and of none, instants near whatever changes an answer, evidence of
//! every kind dated near the instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::date;
use jiff::tz::TimeZoneDatabase;
use ringfence::contact::{
    Age, AttemptId, Campaign, Channel, Consent, Facts, Flag, FrequencyCap, InconvenientTime, Method, OfferCategory,
    OptOut, Outcome, PastAttempt, Period, Policy, Purpose, Reassigned, ReassignedAnswer, RegistryCheck, Relationship,
    Scope, Seller, Set, Slot, Subject, Technology, Term, Transfer, TransferMechanism,
};
use ringfence::decision::{Attempt, Evidence, Lists, Look, Postures, Question};
use ringfence::law::Law;
use ringfence::place::{LocationPosture, Number};
use ringfence::time::{Instant, ZoneId};

use super::random::Random;

pub const NUMBERS: &[&str] = &[
    "+16145550123", "+13055550123", "+18505550140", "+12145550123", "+19155550100", "+12125550123", "+13105550123",
    "+13035550100", "+18125550100", "+17875550123", "+16715550110", "+13405550100", "+18005550199", "+19005550100",
    "+12275550100", "+19995550100", "+33612345678", "+33123456789", "+590690123456", "+262692123456", "+596696123456",
    "+508551234", "+491713920012", "+4930123456", "+447400123456", "+442071234567", "+441534123456", "+447797712345",
    "+441481123456", "+447012345678", "+8613800138000", "+861012345678", "+5511987654321", "+819012345678",
    "+881612345678", "+61212345678", "+34612345678",
];
const ZONES: &[&str] = &[
    "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Europe/Paris", "Europe/Berlin",
    "Europe/London", "Asia/Shanghai", "Asia/Urumqi", "America/Puerto_Rico", "Pacific/Guam", "America/Guadeloupe",
    "Australia/Lord_Howe", "Asia/Tehran", "America/St_Johns", "Africa/Casablanca", "Pacific/Chatham", "UTC",
];
const REGISTRIES: &[&str] = &["us.dnc.national", "us.dnc.fl", "us.dnc.tx", "fr.bloctel", "uk.tps", "uk.ctps"];
const POSTURES: &[&str] = &[
    "fl_exempt_seller", "night_consent", "no_carrier_rules", "exempt", "de_genuine_surveys", "recorded_service_calls",
    "persistent_calls_cap", "policy_hours", "gb_pensions_authorised", "fr_local_holidays", "cn_guardian_under_18",
    "cn_xj_local_time", "cn_refusal_180_days", "one", "two",
];
const RESIDENCES: &[&str] =
    &["US-OH", "US-FL", "US-TX", "US-NY", "US-CA", "US-CO", "US", "PR", "FR", "GP", "DE", "GB", "JE", "CN", "BR", "US-IN"];
/// What rules tell apart.
const OFFERS: &[OfferCategory] = &[
    OfferCategory::Nonprofit, OfferCategory::Hipaa, OfferCategory::PackageDelivery, OfferCategory::BankAlert,
    OfferCategory::InmateService, OfferCategory::PaidFundraising, OfferCategory::PersonalPurchase,
    OfferCategory::EnergyRenovation, OfferCategory::TrainingAccount, OfferCategory::ClaimsManagement,
    OfferCategory::Pensions, OfferCategory::LifeInsurance, OfferCategory::PressSubscription,
];
/// Whole local days around which rules begin, end, or clocks change.
const DAYS: &[(i16, i8, i8)] = &[
    (2026, 11, 16), (2026, 11, 20), (2026, 11, 21), (2026, 11, 22), (2026, 11, 23), (2026, 3, 8), (2026, 11, 1),
    (2026, 3, 29), (2026, 10, 25), (2023, 5, 25), (2025, 9, 1), (2026, 5, 1), (2026, 8, 11), (2027, 1, 31),
    (2023, 3, 1), (2024, 9, 1), (2021, 7, 1), (2013, 10, 16), (2023, 7, 20), (2021, 11, 1), (2024, 3, 22), (2024, 7, 1),
    (2025, 2, 28), (2026, 2, 5), (2026, 12, 24), (2026, 12, 25), (2027, 1, 1), (2027, 3, 29), (2027, 5, 6), (2028, 2, 29),
    (2026, 7, 14), (2027, 3, 28), (2027, 3, 14), (2025, 7, 2), (2019, 12, 1), (2026, 11, 11), (2024, 2, 28),
];

/// Lists given with a question.
#[derive(Clone, Debug, Default)]
pub struct Loaded(pub BTreeMap<String, Look>);

impl Lists for Loaded {
    fn look_up(&self, registry: &str) -> Option<Look> {
        self.0.get(registry).cloned()
    }
}

/// A whole question, owned.
#[derive(Clone)]
pub struct Asked {
    pub number: Number,
    pub attempt: Attempt,
    pub asserted: Facts,
    pub stored: Facts,
    pub lists: Loaded,
    pub live: bool,
    pub postures: Postures,
    pub now: Instant,
    pub law: Arc<Law>,
    /// The packs, where they are not the built-in ones.
    pub packs: Vec<(String, String)>,
}

impl Asked {
    pub fn question(&self) -> Question<'_> {
        Question {
            number: self.number,
            attempt: &self.attempt,
            evidence: Evidence {
                asserted: &self.asserted,
                stored: &self.stored,
                lists: &self.lists,
                live: self.live,
            },
            law: &self.law,
            postures: &self.postures,
            now: self.now,
        }
    }
}

pub fn number(text: &str) -> Number {
    Number::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn seller(name: &str) -> Seller {
    Seller::new(name).unwrap()
}

/// What a generator of questions may choose from.
pub struct Choices {
    pub numbers: Vec<&'static str>,
    pub registries: Vec<&'static str>,
    /// Percentage of questions that leave technology, recipient, line type open.
    pub open: u64,
}

impl Default for Choices {
    fn default() -> Self {
        Self { numbers: NUMBERS.to_vec(), registries: REGISTRIES.to_vec(), open: 25 }
    }
}

pub fn question(r: &mut Random, law: &Arc<Law>, choices: &Choices) -> Asked {
    let now = instant(r);
    let maker = Maker { now, registries: &choices.registries };
    let mut stored = if r.chance(60) { maker.facts(r, true) } else { Facts::default() };
    let mut asserted = maker.facts(r, false);
    let known = !r.chance(choices.open);
    if known {
        asserted.recipients = Set::one(r.pick(&[1, 1, 1, 2, 3].map(|n| Term::from_number(n).unwrap())));
        asserted.line_types = set(r, 1);
    } else {
        (asserted.recipients, asserted.line_types) = (set(r, 2), set(r, 2));
        (stored.recipients, stored.line_types) = (set(r, 1), set(r, 1));
    }
    if r.chance(10) {
        asserted.legal_forms = set(r, 1);
        stored.legal_forms = set(r, 1);
    }
    for facts in [&mut asserted, &mut stored] {
        if r.chance(15) {
            facts.residences = vec![r.pick(RESIDENCES).parse().unwrap()];
        }
    }
    // Many questions of one purpose and channel, so that deep rules are reached.
    let purpose = if r.chance(45) { Purpose::Marketing } else { r.pick(Purpose::ALL) };
    let attempt = Attempt {
        channel: if r.chance(65) { Channel::Call } else { Channel::Text },
        technologies: if known { Set::one(r.pick(Technology::ALL)) } else { nonempty(set(r, 2)) },
        purpose,
        seller: seller("acme"),
        subject: r.maybe(70, |r| Subject::new(r.pick(&["renewal", "renewal", "boots"])).unwrap()),
        campaign: r.maybe(40, |r| Campaign::new(r.pick(&["spring", "autumn"])).unwrap()),
        offer: r.maybe(35, |r| if r.chance(70) { r.pick(OFFERS) } else { r.pick(OfferCategory::ALL) }),
        caller_id: r.maybe(30, |r| r.pick(&["33612345678", "33162000123", "590690111111", "4420", "100"]).into()),
        legally_required: r.chance(5),
        postal_code: r.maybe(3, |r| r.pick(&["33101", "79901", "10001", "47901", ""]).to_owned()),
        county: None,
        time_zone: r.maybe(8, |r| ZoneId::by_name(r.pick(ZONES)).unwrap()),
        processing_regions: r.some(1, |r| r.pick(&["CN", "US", "SG", "FR"]).parse().unwrap()),
    };
    let mut lists = Loaded::default();
    for registry in &choices.registries {
        if r.chance(45) {
            let look = Look {
                listed: r.chance(15),
                listed_at: maker.date(r, 50),
                as_of: maker.near(r),
                version: "v".into(),
                sample: false,
            };
            lists.0.insert((*registry).to_owned(), look);
        }
    }
    let postures = Postures {
        location: if r.chance(85) { LocationPosture::Strictest } else { LocationPosture::Residence },
        stored_facts_only: r.chance(12),
        verified_only: r.chance(10),
        chosen: r.some(3, |r| r.pick(POSTURES).into()),
    };
    let postures = if r.chance(50) { Postures::default() } else { postures };
    let number = number(r.pick(&choices.numbers));
    let (law, live) = (Arc::clone(law), r.chance(60));
    let mut asked = Asked { number, attempt, asserted, stored, lists, live, postures, now, law, packs: Vec::new() };
    if r.chance(40) {
        aim(r, &mut asked);
    }
    asked
}

/// Makes a question one that some rule is about.
fn aim(r: &mut Random, asked: &mut Asked) {
    let law = Arc::clone(&asked.law);
    let pack = &law.packs()[r.below(law.packs().len())];
    if pack.rules.is_empty() {
        return;
    }
    let rule = r.pick(&pack.rules);
    if let Some(example) = pack.example() {
        asked.number = number(example);
    }
    let (about, attempt) = (&rule.applies, &mut asked.attempt);
    attempt.channel = one_of(r, about.channels).unwrap_or(attempt.channel);
    attempt.technologies = one_of(r, about.technologies).map_or(attempt.technologies, Set::one);
    attempt.purpose = one_of(r, about.purposes).unwrap_or(attempt.purpose);
    attempt.offer = one_of(r, about.offers).or(attempt.offer);
    let facts = &mut asked.asserted;
    facts.recipients = one_of(r, about.recipients).map_or(facts.recipients, Set::one);
    facts.line_types = one_of(r, about.line_types).map_or(facts.line_types, Set::one);
    facts.legal_forms = one_of(r, about.legal_forms).map_or(facts.legal_forms, Set::one);
    asked.postures.chosen.extend(rule.posture.clone());
    // The evidence stays as it was made: what matters is that the rule is asked.
}

fn one_of<T: Term>(r: &mut Random, set: Set<T>) -> Option<T> {
    let all: Vec<T> = set.iter().collect();
    (!all.is_empty()).then(|| r.pick(&all))
}

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

fn nonempty<T: Term>(set: Set<T>) -> Set<T> {
    if set.is_empty() { Set::all() } else { set }
}

fn set<T: Term>(r: &mut Random, most: usize) -> Set<T> {
    r.some(most, |r| r.pick(T::ALL)).into_iter().collect()
}

/// An instant near a day of interest and a window's edge in some zone, with a jitter about the millisecond.
fn instant(r: &mut Random) -> Instant {
    let (year, month, day) = r.pick(DAYS);
    let day = if r.chance(60) { date(year, month, day) } else { date(2026, 1, 1) };
    let shift = if r.chance(50) { r.between(-3, 3) } else { r.between(-400, 400) };
    let day = day.checked_add(jiff::Span::new().days(shift)).unwrap();
    let hour = i8::try_from(r.pick(&[0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 21, 22, 23])).unwrap();
    let zone = TimeZoneDatabase::bundled().get(r.pick(ZONES)).unwrap();
    let at = day.at(hour, r.pick(&[0, 0, 0, 30, 59]), 0, 0).to_zoned(zone).unwrap().timestamp();
    let jitter = if r.chance(30) { r.between(-70_000, 70_000) } else { r.pick(&[-1, 0, 0, 1, 500]) };
    Instant::from_millis(at.as_millisecond() + jitter)
}

struct Maker<'a> {
    now: Instant,
    registries: &'a [&'static str],
}

impl Maker<'_> {
    /// Some span before now, mostly; a round one, give or take a millisecond, often enough.
    fn near(&self, r: &mut Random) -> Instant {
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

    fn date(&self, r: &mut Random, percent: u64) -> Option<Instant> {
        r.maybe(percent, |r| self.near(r))
    }

    fn facts(&self, r: &mut Random, stored: bool) -> Facts {
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
            reassigned: r.maybe(10, |r| Reassigned {
                checked_at: self.date(r, 80),
                answer: r.pick(&[ReassignedAnswer::NoData, ReassignedAnswer::No, ReassignedAnswer::Yes]),
            }),
            ..Facts::default()
        }
    }

    fn consent(&self, r: &mut Random, stored: bool) -> Consent {
        let given_at = self.date(r, 95);
        let recorded_at = if stored { given_at.map(|at| Instant::from_millis(at.millis() + r.between(0, 100_000))) } else { None };
        let starts_at = Instant::from_millis(self.now.millis() + r.between(-90, 90) * 60_000 + r.between(-1, 1));
        Consent {
            id: r.maybe(30, |r| r.pick(&["c1", "c2", "c3"]).into()),
            grade: r.maybe(96, |r| r.pick(&[4, 4, 4, 3, 3, 2, 1].map(|n| Term::from_number(n).unwrap()))),
            flags: set::<Flag>(r, 3),
            channels: if r.chance(70) { Set::EMPTY } else { set(r, 2) },
            technologies: if r.chance(60) { Set::EMPTY } else { nonempty(set(r, 3)) },
            purposes: if r.chance(80) { Set::EMPTY } else { set(r, 4) },
            sellers: if r.chance(85) { Vec::new() } else { vec![seller(r.pick(&["acme", "other"]))] },
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
        }
    }

    fn opt_out(&self, r: &mut Random, stored: bool) -> OptOut {
        let at = self.date(r, 92);
        let late = r.between(0, 100_000);
        let recorded_at = stored.then(|| Instant::from_millis(at.unwrap_or(self.now).millis() + late));
        let mut scope = Scope {
            channels: set(r, 1),
            purposes: if r.chance(40) { set(r, 3) } else { Set::EMPTY },
            sellers: if r.chance(30) { vec![seller(r.pick(&["acme", "acme", "other"]))] } else { Vec::new() },
            subjects: if r.chance(20) { vec![Subject::new("renewal").unwrap()] } else { Vec::new() },
            everything: r.chance(25),
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
                r.maybe(60, |r| if r.chance(40) { r.pick(&[Outcome::Conversation, Outcome::Refused]) } else { r.pick(&reported) })
            },
            seller: r.maybe(70, |r| seller(r.pick(&["acme", "acme", "other"]))),
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
