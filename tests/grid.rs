//! The packs as a reader sees them: for each first place, every purpose, channel and technology, the hours of one week
//! in which a contact is allowed; once with nothing known, once with every consent and every list clear.
//!
//! `tests/law/grids/*.txt` are reviewed by hand. `RINGFENCE_BLESS=1 cargo test --test grid` rewrites them after a
//! change of law; the difference then shows in review what the change does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::fmt::Write;

use jiff::civil::{Date, date};
use jiff::tz::TimeZoneDatabase;
use ringfence::contact::{
    Channel, Consent, Facts, Flag, Grade, Purpose, RegistryCheck, Seller, Set, Subject, Technology, Term,
};
use ringfence::decision::{Attempt, Evidence, NoLists, Postures, Question, Switches, decide};
use ringfence::law::{BUILT_IN, Body, Law};
use ringfence::place::Number;
use ringfence::time::Instant;

/// File, number, the clock of its person.
const PLACES: &[(&str, &str, &str)] = &[
    ("US-FL", "+13055550123", "America/New_York"),
    ("US-TX", "+12145550123", "America/Chicago"),
    ("US-NY", "+12125550123", "America/New_York"),
    ("US-OH", "+16145550123", "America/New_York"),
    ("US-CA", "+13105550123", "America/Los_Angeles"),
    ("PR", "+17875550123", "America/Puerto_Rico"),
    ("GU", "+16715550110", "Pacific/Guam"),
    ("FR", "+33612345678", "Europe/Paris"),
    ("GP", "+590690123456", "America/Guadeloupe"),
    ("DE", "+491713920012", "Europe/Berlin"),
    ("GB", "+447400123456", "Europe/London"),
    ("JE", "+441534123456", "Europe/Jersey"),
    ("CN", "+8613800138000", "Asia/Shanghai"),
    ("US-CO", "+13035550100", "America/Denver"),
    ("US-LA", "+15045550100", "America/Chicago"),
    ("US-UT", "+18015550100", "America/Denver"),
    ("CA-ON", "+14165550123", "America/Toronto"),
    ("ES", "+34612345678", "Europe/Madrid"),
    ("IT", "+393123456789", "Europe/Rome"),
    ("NL", "+31612345678", "Europe/Amsterdam"),
    ("PL", "+48512345678", "Europe/Warsaw"),
    ("CH", "+41781234567", "Europe/Zurich"),
    ("AU", "+61491570156", "Australia/Sydney"),
    ("IN", "+919876543210", "Asia/Kolkata"),
    ("JP", "+819012345678", "Asia/Tokyo"),
    ("KR", "+821012345678", "Asia/Seoul"),
    ("BR-SP", "+5511987654321", "America/Sao_Paulo"),
    ("ZA", "+27821234567", "Africa/Johannesburg"),
    ("AE", "+971501234567", "Asia/Dubai"),
    // A place without a pack.
    ("MA", "+212650123456", "Africa/Casablanca"),
];
const MONDAY: Date = date(2026, 11, 16);
const HALF_HOURS: usize = 7 * 48;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// What is known of the person.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    AllButNight,
    All,
}

#[test]
fn the_week_of_every_place_is_as_reviewed() {
    let law = Law::read(BUILT_IN.iter().copied()).expect("the built-in packs load");
    let bless = std::env::var_os("RINGFENCE_BLESS").is_some();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let changed = std::sync::Mutex::new(BTreeSet::new());
    let work = || {
        while let Some((name, number, zone)) = PLACES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let text = page(&law, name, number, zone);
            let path = format!("tests/law/grids/{name}.txt");
            if bless {
                std::fs::write(&path, text).unwrap();
            } else if let Some(difference) = difference(&std::fs::read_to_string(&path).unwrap_or_default(), &text) {
                changed.lock().unwrap().insert(format!("{path}:\n{difference}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let changed: Vec<_> = changed.into_inner().unwrap().into_iter().collect();
    assert!(changed.is_empty(), "the law of a week changed; review, then bless:\n{}", changed.join("\n"));
}

/// The lines in which two texts differ.
fn difference(reviewed: &str, now: &str) -> Option<String> {
    let (before, after): (Vec<_>, Vec<_>) = (reviewed.lines().collect(), now.lines().collect());
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let come = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let lines: Vec<_> = gone.chain(come).collect();
    (reviewed != now).then(|| lines.join("\n"))
}

fn page(law: &Law, name: &str, number: &str, zone: &str) -> String {
    let mut page = format!("{name}: {number} in the week of Monday {MONDAY}, by the clock of {zone}.\n");
    page.push_str(
        "Recipient not stated. none: nothing is known. all: the strongest consent with every flag, every list looked\n",
    );
    page.push_str(
        "up and clear; without night: the same, but for the flag NIGHT, where that matters. After never stand the\n",
    );
    page.push_str("families that deny at every hour.\n");
    let number = Number::parse(number, None).unwrap();
    let instants = instants(zone);
    for purpose in Purpose::ALL {
        for channel in Channel::ALL {
            page.push('\n');
            for technology in Technology::ALL {
                let attempt = attempt(*channel, *technology, *purpose);
                let head = format!("{} {} {}", purpose.word(), channel.word(), technology.word());
                let week = |known| -> String {
                    let hours = instants.iter().map(|at| families(law, number, &attempt, known, *at));
                    shown(&hours.collect::<Vec<_>>())
                };
                let (none, day, all) = (week(Known::Nothing), week(Known::AllButNight), week(Known::All));
                write!(page, "{head:<33}| none: {none:<36}| all: {all}").unwrap();
                page.push_str(&if day == all { "\n".to_owned() } else { format!(" | without night: {day}\n") });
            }
        }
    }
    page
}

/// Every half hour of the week, by the local clock.
fn instants(zone: &str) -> Vec<Instant> {
    let zone = TimeZoneDatabase::bundled().get(zone).unwrap();
    let start = MONDAY.to_zoned(zone).unwrap().timestamp().as_millisecond();
    let all: Vec<_> = (0..HALF_HOURS as i64).map(|n| Instant::from_millis(start + n * 1_800_000)).collect();
    assert_eq!(all.len(), HALF_HOURS, "no clock changes in this week");
    all
}

fn attempt(channel: Channel, technology: Technology, purpose: Purpose) -> Attempt {
    Attempt {
        channel,
        technologies: Set::one(technology),
        purpose,
        seller: Seller::new("acme").unwrap(),
        subject: Subject::new("renewal"),
        campaign: None,
        offer: None,
        caller_id: None,
        legally_required: false,
        postal_code: None,
        county: None,
        time_zone: None,
        processing_regions: Vec::new(),
    }
}

/// The families that deny at one instant; none where the contact is allowed.
fn families(law: &Law, number: Number, attempt: &Attempt, known: Known, now: Instant) -> BTreeSet<&'static str> {
    let asserted = match known {
        Known::Nothing => Facts::default(),
        Known::AllButNight => {
            everything(law, Flag::ALL.iter().copied().filter(|flag| *flag != Flag::Night).collect(), now)
        }
        Known::All => everything(law, Set::all(), now),
    };
    let stored = Facts::default();
    let evidence = Evidence { asserted: &asserted, stored: &stored, lists: &NoLists, live: false };
    let postures = Postures::default();
    let decision =
        decide(&Question { number, attempt, evidence, law, switches: Switches::NONE, postures: &postures, now });
    assert_eq!(decision.allows(), decision.reasons.is_empty());
    decision.reasons.iter().map(|reason| reason.family.name()).collect()
}

/// The strongest consent there is, given on 1 October 2026, and every list looked up just now.
fn everything(law: &Law, flags: Set<Flag>, now: Instant) -> Facts {
    let consent = Consent {
        grade: Some(Grade::ExpressWritten),
        flags,
        technologies: Set::all(),
        given_at: Instant::from_rfc3339("2026-10-01T12:00:00Z"),
        notice_given: Some(true),
        forced: Some(false),
        evidence_ref: Some("form-1".into()),
        ..Consent::default()
    };
    let lists: BTreeSet<Box<str>> = law
        .packs()
        .iter()
        .flat_map(|pack| &pack.rules)
        .filter_map(|rule| match &rule.body {
            Body::Registry { list, .. } => Some(list.clone()),
            _ => None,
        })
        .collect();
    let look =
        |registry| RegistryCheck { registry, listed: Some(false), checked_at: Some(now), as_of: None, listed_at: None };
    Facts { consents: vec![consent], registry_checks: lists.into_iter().map(look).collect(), ..Facts::default() }
}

/// A week in words: `always`, `never CONSENT`, or the open hours of each run of like days.
fn shown(week: &[BTreeSet<&'static str>]) -> String {
    let open: Vec<bool> = week.iter().map(BTreeSet::is_empty).collect();
    if open.iter().all(|open| *open) {
        return "always".to_owned();
    }
    if !open.contains(&true) {
        let lasting = week[0].iter().filter(|family| week.iter().all(|hour| hour.contains(*family)));
        let lasting: Vec<_> = lasting.copied().collect();
        return format!("never {}", lasting.join(" ")).trim_end().to_owned();
    }
    let days: Vec<String> = open.chunks(48).map(windows).collect();
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in 0..7 {
        match runs.last_mut() {
            Some((first, last)) if days[*first] == days[day] => *last = day,
            _ => runs.push((day, day)),
        }
    }
    let run = |(first, last): &(usize, usize)| {
        let name = if first == last { DAYS[*first].to_owned() } else { format!("{}-{}", DAYS[*first], DAYS[*last]) };
        format!("{name} {}", days[*first])
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

fn windows(day: &[bool]) -> String {
    let clock = |half: usize| format!("{:02}:{:02}", half / 2, half % 2 * 30);
    let mut windows = Vec::new();
    let mut start = None;
    for half in 0..=48 {
        match (day.get(half).copied().unwrap_or(false), start) {
            (true, None) => start = Some(half),
            (false, Some(from)) => {
                windows.push(format!("{}-{}", clock(from), clock(half)));
                start = None;
            }
            _ => {}
        }
    }
    if windows.is_empty() { "closed".to_owned() } else { windows.join(" ") }
}
