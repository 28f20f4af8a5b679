//! Random questions: numbers of every first pack and of none, instants near whatever changes an answer, evidence of
//! every kind dated near the instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::date;
use jiff::tz::TimeZoneDatabase;
use ringfence::contact::{Campaign, Channel, Facts, OfferCategory, Purpose, Seller, Set, Subject, Technology, Term};
use ringfence::decision::{Attempt, Evidence, Freeze, Lists, Look, Postures, Question, Switches, Target};
use ringfence::law::{Declared, Law};
use ringfence::place::{LocationPosture, Number};
use ringfence::time::{Instant, ZoneId};

use super::evidence::Maker;
use super::random::Random;

pub const NUMBERS: &[&str] = &[
    "+16145550123",
    "+13055550123",
    "+18505550140",
    "+12145550123",
    "+19155550100",
    "+12125550123",
    "+13105550123",
    "+13035550100",
    "+18125550100",
    "+17875550123",
    "+16715550110",
    "+13405550100",
    "+18005550199",
    "+19005550100",
    "+12275550100",
    "+12325550100",
    "+33612345678",
    "+33123456789",
    "+590690123456",
    "+262692123456",
    "+596696123456",
    "+508551234",
    "+491713920012",
    "+4930123456",
    "+447400123456",
    "+442071234567",
    "+441534123456",
    "+447797712345",
    "+441481123456",
    "+447012345678",
    "+8613800138000",
    "+861012345678",
    "+5511987654321",
    "+819012345678",
    "+881612345678",
    "+61212345678",
    "+34612345678",
];
const ZONES: &[&str] = &[
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "Europe/Paris",
    "Europe/Berlin",
    "Europe/London",
    "Asia/Shanghai",
    "Asia/Urumqi",
    "America/Puerto_Rico",
    "Pacific/Guam",
    "America/Guadeloupe",
    "Australia/Lord_Howe",
    "Asia/Tehran",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "UTC",
];
pub const REGISTRIES: &[&str] =
    &["us.dnc.national", "us.dnc.fl", "us.dnc.tx", "fr.bloctel", "uk.tps", "uk.ctps", "tenant.unasked"];
const POSTURES: &[&str] = &[
    "fl_exempt_seller",
    "night_consent",
    "no_carrier_rules",
    "exempt",
    "de_genuine_surveys",
    "recorded_service_calls",
    "persistent_calls_cap",
    "policy_hours",
    "gb_pensions_authorised",
    "fr_local_holidays",
    "cn_guardian_under_18",
    "cn_xj_local_time",
    "cn_refusal_180_days",
    "one",
    "two",
];
const RESIDENCES: &[&str] = &[
    "US-OH", "US-FL", "US-TX", "US-NY", "US-CA", "US-CO", "US", "PR", "FR", "GP", "DE", "GB", "JE", "CN", "BR", "US-IN",
];
/// What rules tell apart.
const OFFERS: &[OfferCategory] = &[
    OfferCategory::Nonprofit,
    OfferCategory::Hipaa,
    OfferCategory::PackageDelivery,
    OfferCategory::BankAlert,
    OfferCategory::InmateService,
    OfferCategory::PaidFundraising,
    OfferCategory::PersonalPurchase,
    OfferCategory::EnergyRenovation,
    OfferCategory::TrainingAccount,
    OfferCategory::ClaimsManagement,
    OfferCategory::Pensions,
    OfferCategory::LifeInsurance,
    OfferCategory::PressSubscription,
];
/// Whole local days around which rules begin, end, or clocks change.
const DAYS: &[(i16, i8, i8)] = &[
    (2026, 11, 16),
    (2026, 11, 20),
    (2026, 11, 21),
    (2026, 11, 22),
    (2026, 11, 23),
    (2026, 3, 8),
    (2026, 11, 1),
    (2026, 3, 29),
    (2026, 10, 25),
    (2023, 5, 25),
    (2025, 9, 1),
    (2026, 5, 1),
    (2026, 8, 11),
    (2027, 1, 31),
    (2023, 3, 1),
    (2024, 9, 1),
    (2021, 7, 1),
    (2013, 10, 16),
    (2023, 7, 20),
    (2021, 11, 1),
    (2024, 3, 22),
    (2024, 7, 1),
    (2025, 2, 28),
    (2026, 2, 5),
    (2026, 12, 24),
    (2026, 12, 25),
    (2027, 1, 1),
    (2027, 3, 29),
    (2027, 5, 6),
    (2028, 2, 29),
    (2026, 7, 14),
    (2027, 3, 28),
    (2027, 3, 14),
    (2025, 7, 2),
    (2019, 12, 1),
    (2026, 11, 11),
    (2024, 2, 28),
];

/// Lists given with a question.
#[derive(Clone, Debug, Default)]
pub struct Loaded(pub BTreeMap<String, Look>);

impl Lists for Loaded {
    fn look_up(&self, registry: &str) -> Option<Look> {
        self.0.get(registry).cloned()
    }

    fn own_hits(&self) -> Vec<Box<str>> {
        let own = self.0.iter().filter(|(id, look)| id.starts_with("tenant.") && look.listed == Some(true));
        own.map(|(id, _)| id.as_str().into()).collect()
    }

    fn own_clear(&self, tell: &mut dyn FnMut(&str)) {
        let own = self.0.iter().filter(|(id, look)| id.starts_with("tenant.") && look.listed == Some(false));
        own.for_each(|(id, _)| tell(id));
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
    pub freezes: Vec<Arc<Freeze>>,
    pub declared: Vec<Arc<Declared>>,
    /// The packs, where they are not the built-in ones.
    pub packs: Vec<(String, String)>,
}

impl Asked {
    pub fn question(&self) -> Question<'_> {
        Question {
            number: self.number,
            attempt: &self.attempt,
            evidence: Evidence { asserted: &self.asserted, stored: &self.stored, lists: &self.lists, live: self.live },
            law: &self.law,
            switches: Switches { freezes: &self.freezes, emergencies: &self.declared, fed: &[] },
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
    /// States of emergency.
    pub declared: Vec<Arc<Declared>>,
}

impl Default for Choices {
    fn default() -> Self {
        Self { numbers: NUMBERS.to_vec(), registries: REGISTRIES.to_vec(), open: 25, declared: Vec::new() }
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
                listed: r.maybe(92, |r| r.chance(15)),
                // Lists know days.
                listed_at: maker.date(r, 50).map(|at| {
                    let day = at.millis() - at.millis().rem_euclid(86_400_000);
                    if r.chance(60) { Instant::from_millis(day) } else { at }
                }),
                as_of: maker.near(r),
                version: "v".into(),
                sample: false,
            };
            lists.0.insert((*registry).to_owned(), look);
        }
    }
    for list in ["us.line.wireless_blocks", "us.line.ported_to_wireless", "us.line.ported_to_wireline"] {
        if r.chance(15) {
            let as_of =
                if r.chance(70) { Instant::from_millis(maker.now.millis() - 86_400_000) } else { maker.near(r) };
            let look = Look {
                listed: r.maybe(92, |r| r.chance(60)),
                listed_at: None,
                as_of,
                version: "v".into(),
                sample: false,
            };
            lists.0.insert(list.to_owned(), look);
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
    let (freezes, declared, packs) = (Vec::new(), choices.declared.clone(), Vec::new());
    let mut asked =
        Asked { number, attempt, asserted, stored, lists, live, postures, now, law, freezes, declared, packs };
    if r.chance(40) {
        aim(r, &mut asked);
    }
    if r.chance(10) {
        asked.freezes = r.some(2, |r| Arc::new(freeze(r, &maker)));
    }
    if r.chance(10) {
        declare(r, &maker, &mut asked);
    }
    asked
}

const FROZEN: &[&str] = &["US", "US-NY", "US-FL", "US-OH", "EU", "FR", "GP", "DE", "GB", "JE", "PR", "CN"];
const COUNTIES: &[&str] = &["Erie", "Kings", "St. Lawrence"];

/// A freeze dated near the instant, ended or lifted or neither.
fn freeze(r: &mut Random, maker: &Maker<'_>) -> Freeze {
    let target = match r.below(7) {
        0 => Target::Everything,
        1 => Target::Seller(seller(r.pick(&["acme", "ACME", "borealis"]))),
        2 | 3 => Target::Campaign(Campaign::new(r.pick(&["spring", "Spring", "autumn"])).unwrap()),
        _ => Target::Place(r.pick(FROZEN).parse().unwrap()),
    };
    Freeze {
        id: "f".into(),
        target,
        who: "ann".into(),
        why: "a test".into(),
        from: maker.near(r),
        until: r.maybe(50, |r| maker.near(r)).unwrap_or(Instant::FAR),
        lifted_at: r.maybe(25, |r| maker.near(r)),
    }
}

/// A state of emergency in New York, whose pack knows counties, or about it; and a person who may live there.
fn declare(r: &mut Random, maker: &Maker<'_>, asked: &mut Asked) {
    asked.number = number("+12125550123");
    let from = maker.near(r);
    asked.declared.push(Arc::new(Declared {
        id: "e".into(),
        jurisdiction: r.pick(&["US-NY", "US-NY", "US-NY", "US", "US-LA"]).parse().unwrap(),
        counties: r.some(2, |r| r.pick(COUNTIES).into()),
        title: "Snow".into(),
        source: "none".into(),
        from,
        until: r.maybe(60, |r| maker.near(r)).unwrap_or(Instant::FAR),
        declared_at: if r.chance(50) { from } else { Instant::NEVER },
    }));
    asked.attempt.county = r.maybe(60, |r| r.pick(&["Erie", "erie county", "Saint Lawrence", "Atlantis"]).to_owned());
    if r.chance(70) {
        asked.asserted.residences = vec!["US-NY".parse().unwrap()];
    }
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

pub fn nonempty<T: Term>(set: Set<T>) -> Set<T> {
    if set.is_empty() { Set::all() } else { set }
}

pub fn set<T: Term>(r: &mut Random, most: usize) -> Set<T> {
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
