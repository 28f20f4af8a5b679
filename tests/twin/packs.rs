//! Random rule sets: every kind of rule with every parameter, exemption, posture and date, so that both implementations
//! meet what no built-in pack uses.

use std::fmt::Write;
use std::sync::Arc;

use ringfence::law::{Declared, Law};
use ringfence::time::Instant;

use super::questions::Choices;
use super::random::Random;

const LISTS: &[&str] = &["one.dnc", "two.dnc", "tenant.own"];
const TECHNOLOGIES: &[&str] = &["manual", "autodialer", "prerecorded"];
const PURPOSES: &[&str] =
    &["marketing", "informational", "debt_collection", "survey", "political", "charity", "healthcare", "emergency"];
const OFFERS: &[&str] = &["books", "nonprofit", "telecom", "pensions"];
const FORMS: &[&str] = &["company", "partnership", "freelancer"];
const OUTCOMES: &[&str] = &["busy", "no_answer", "refused", "conversation", "voicemail"];
const MECHANISMS: &[&str] = &["assessment", "standard_contract", "contract", "none"];
const SPANS: &[&str] = &["1 day", "7 days", "31 days", "1 month", "3 months", "18 months", "1 year", "2 years"];

/// A country pack, what may stand above and beside it, and numbers under it.
struct Land {
    jurisdiction: &'static str,
    zone: &'static str,
    more: &'static str,
    parts: &'static [(&'static str, &'static str)],
    numbers: &'static [&'static str],
}

const LANDS: &[Land] = &[
    Land {
        jurisdiction: "DE",
        zone: "Europe/Berlin",
        more: "inherits = [\"EU\"]",
        parts: &[],
        numbers: &["+491713920012"],
    },
    Land {
        jurisdiction: "FR",
        zone: "Europe/Paris",
        more: "covers = [\"GP\", \"RE\"]\ninherits = [\"EU\"]",
        parts: &[],
        numbers: &["+33612345678", "+590690123456", "+262692123456"],
    },
    Land {
        jurisdiction: "BR",
        zone: "America/Sao_Paulo",
        more: "",
        parts: &[],
        numbers: &["+5511987654321", "+5592987654321"],
    },
    Land {
        jurisdiction: "AU",
        zone: "Australia/Sydney",
        more: "",
        parts: &[],
        numbers: &["+61212345678", "+61412345678"],
    },
    Land {
        jurisdiction: "GB",
        zone: "Europe/London",
        more: "covers = [\"JE\"]",
        parts: &[],
        numbers: &["+447400123456", "+441534123456"],
    },
    Land {
        jurisdiction: "US",
        zone: "America/New_York",
        more: "covers = [\"PR\", \"GU\"]\nparts_need_packs = true",
        parts: &[("US-OH", "America/New_York"), ("US-FL", "America/New_York"), ("US-CA", "America/Los_Angeles")],
        numbers: &["+16145550123", "+18505550140", "+13105550123", "+17875550123", "+16715550110", "+13035550100"],
    },
];

/// A rule set and what to ask of it.
pub fn law(r: &mut Random) -> (Law, Choices, Vec<(String, String)>) {
    let land = &LANDS[r.below(LANDS.len())];
    let mut texts = vec![pack(r, land.jurisdiction, land.zone, land.more, 4)];
    if land.more.contains("EU") {
        texts.push(pack(r, "EU", "Europe/Brussels", "parts_need_packs = true", 2));
    }
    for (part, zone) in land.parts {
        texts.push(pack(r, part, zone, "", 2));
    }
    if r.chance(30) {
        let about = r.pick(&["ZZ", land.jurisdiction]);
        texts.push(policy(r, about, land.zone));
    }
    let named: Vec<(String, String)> = texts.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
    let read = Law::read(named.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let law = read.unwrap_or_else(|faults| {
        let texts: Vec<_> = named.iter().map(|(_, text)| text.as_str()).collect();
        panic!("{faults:?}\n{}", texts.join("\n"))
    });
    let mut declared = Vec::new();
    for n in 0..r.below(3) {
        let places = [land.jurisdiction, land.parts.first().map_or(land.jurisdiction, |part| part.0)];
        let from = 1_735_000_000_000 + r.between(0, 700 * 86_400_000);
        declared.push(Arc::new(Declared {
            id: format!("e{n}").into(),
            jurisdiction: r.pick(&places).parse().unwrap(),
            counties: Vec::new(),
            title: "Made up".into(),
            source: "none".into(),
            from: Instant::from_millis(from),
            until: Instant::from_millis(from + r.between(1, 60 * 86_400_000)),
            declared_at: Instant::NEVER,
        }));
    }
    (law, Choices { numbers: land.numbers.to_vec(), registries: LISTS.to_vec(), open: 30, declared }, named)
}

fn policy(r: &mut Random, about: &str, zone: &str) -> (String, String) {
    let (_, text) = pack(r, about, zone, "policy = true", 3);
    ("policy.toml".to_owned(), text.replace("id = \"r.", "id = \"p."))
}

fn pack(r: &mut Random, jurisdiction: &str, zone: &str, more: &str, most: usize) -> (String, String) {
    let mut text =
        format!("[pack]\njurisdiction = \"{jurisdiction}\"\ntitle = \"Made up\"\nzone = \"{zone}\"\n{more}\n");
    if !r.chance(4) {
        text.push_str("reviewed = 2026-01-01\n");
    }
    let days: Vec<String> = (0..1 + r.below(8)).map(|i| day(r, i)).collect();
    write!(text, "[calendar.days]\ndays = [{}]\n", days.join(", ")).unwrap();
    for n in 0..1 + r.below(most) {
        // Where an emergency or an export lies is said of a country and its parts, not of a union or a policy.
        let whole = jurisdiction == "EU" || more.contains("policy");
        let mut one = rule(r, &format!("r.{}.{n}", jurisdiction.to_lowercase()));
        while whole && (one.contains("kind = \"emergency\"") || one.contains("kind = \"cross_border\"")) {
            one = rule(r, &format!("r.{}.{n}", jurisdiction.to_lowercase()));
        }
        text.push_str(&one);
    }
    (format!("{jurisdiction}.toml"), text)
}

fn day(r: &mut Random, n: usize) -> String {
    let on = match r.below(5) {
        0 => format!("{:02}-{:02}", r.between(1, 12), r.between(1, 28)),
        1 => format!("easter{:+}", r.between(-50, 60)),
        2 => format!(
            "{} {} {}",
            r.pick(&["1st", "2nd", "3rd", "last"]),
            r.pick(&["mon", "thu", "sun"]),
            r.pick(&["jan", "may", "nov"])
        ),
        3 => "election/2".to_owned(),
        _ => format!("2026-{:02}-{:02}", r.between(1, 12), r.between(1, 28)),
    };
    let moves = r.pick(&["", ", moves = { sat = -1, sun = 1 }", ", moves = { sun = 1 }, keeps_date = false"]);
    format!("{{ name = \"Day {n}\", on = \"{on}\"{moves} }}")
}

fn rule(r: &mut Random, id: &str) -> String {
    let kind = r.pick(&[
        "hours",
        "hours",
        "hours",
        "holidays",
        "inconvenient",
        "consent",
        "consent",
        "opt_out",
        "registry",
        "cap",
        "cap",
        "cool_off",
        "ban",
        "emergency",
        "minor",
        "reassigned",
        "cross_border",
        "caller_id",
        "abandonment",
        "obligation",
        "retention",
        "keywords",
    ]);
    let mut text = format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\ncitation = \"none\"\nsummary = \"Made up.\"\nconfidence = \"{}\"\n",
        r.pick(&["verified", "verified", "memory", "disputed", "policy"])
    );
    let plain_opt_out = kind == "opt_out" && r.chance(60);
    writeln!(text, "applies = {{ {} }}", applies(r, kind, plain_opt_out)).unwrap();
    if !plain_opt_out {
        effective(r, &mut text);
        if r.chance(12) {
            writeln!(text, "posture = \"{}\"", r.pick(&["one", "two"])).unwrap();
        }
        if r.chance(8) {
            writeln!(text, "off_posture = \"{}\"", r.pick(&["one", "two"])).unwrap();
        }
    }
    match kind {
        "hours" => {
            writeln!(text, "windows = {{ {} }}", windows(r)).unwrap();
            if r.chance(25) {
                let what = r.pick(&["on", "eve_of"]);
                let windows = r.pick(&["\"closed\"", "\"10:00-19:00\"", "[\"09:00-12:30\", \"14:00-18:00\"]"]);
                writeln!(text, "dates = [{{ {what} = \"days\", windows = {windows} }}]").unwrap();
            }
            if r.chance(15) {
                writeln!(text, "zone = \"{}\"", r.pick(&["America/Los_Angeles", "Asia/Kathmandu", "Europe/Dublin"]))
                    .unwrap();
            }
        }
        "holidays" => text.push_str("calendar = \"days\"\n"),
        "consent" => writeln!(text, "needs = {}", needs(r, false, false)).unwrap(),
        "opt_out" if !plain_opt_out => {
            if r.chance(50) {
                text.push_str("objection = true\n");
            }
            writeln!(text, "whatever_scope_since = {}", date(r)).unwrap();
        }
        "opt_out" if r.chance(50) => text.push_str("objection = true\n"),
        "registry" => {
            let fresh = r.pick(&["1 day", "28 days", "31 days", "month", "since 1,16"]);
            writeln!(text, "list = \"{}\"\nfresh = \"{fresh}\"", r.pick(LISTS)).unwrap();
            if r.chance(30) {
                writeln!(text, "bites_after = \"{}\"", r.pick(&["15 days", "30 days", "1 month"])).unwrap();
            }
        }
        "cap" => {
            let windows = words(r, &["24h", "168h", "720h", "1 day", "7 days", "30 days", "week", "month"], 2);
            writeln!(text, "limit = {}\nwindow = {windows}", r.between(0, 4)).unwrap();
            counts(r, &mut text);
        }
        "cool_off" => {
            let after = r.pick(&["conversation", "refusal"]);
            let days = r.pick(&[1, 7, 61, 185, 0]);
            let until =
                if days == 0 { "never_resumes = true".to_owned() } else { format!("resumes_after_days = {days}") };
            writeln!(text, "after = \"{after}\"\n{until}").unwrap();
            counts(r, &mut text);
        }
        "minor" => writeln!(text, "under = {}", r.pick(&[13, 14, 15, 16, 18])).unwrap(),
        "cross_border" if r.chance(80) => {
            let last = words(r, MECHANISMS, 2);
            let first = if r.chance(50) { String::new() } else { format!(", mechanism = {}", words(r, MECHANISMS, 3)) };
            writeln!(text, "bands = [{{ below = 100000{first} }}, {{ mechanism = {last} }}]").unwrap();
        }
        "caller_id" => {
            if r.chance(60) {
                text.push_str("allowed = [\"+331\", \"+1\", \"+44\"]\n");
            }
            if r.chance(60) {
                text.push_str("denied = [\"+336\", \"+3316\"]\n");
            }
        }
        "obligation" => writeln!(text, "code = \"code\"\nwarning = {}", r.chance(50)).unwrap(),
        "retention" => text.push_str("class = \"log\"\nkeep = \"1 year\"\n"),
        "keywords" => text.push_str("stop = [\"stop\"]\n"),
        _ => {}
    }
    // A plain opt-out rule in every pack keeps the service's own out of play; exemptions of it are another matter.
    if !plain_opt_out {
        for _ in 0..r.pick(&[0, 0, 1, 1, 2]) {
            text.push_str(&unless(r, kind == "registry", kind == "reassigned"));
        }
    }
    text
}

fn applies(r: &mut Random, kind: &str, plain_opt_out: bool) -> String {
    if plain_opt_out {
        return String::new();
    }
    let mut parts = Vec::new();
    let mut part = |r: &mut Random, percent: u64, key: &str, from: &[&str], most: usize| {
        if r.chance(percent) {
            parts.push(format!("{key} = {}", words(r, from, most)));
        }
    };
    part(r, 40, "channel", &["call", "text"], 2);
    part(r, 30, "technology", TECHNOLOGIES, 2);
    part(r, 60, "purpose", PURPOSES, 4);
    part(r, 25, "line_type", &["mobile", "landline", "voip"], 2);
    part(r, 30, "recipient", &["consumer", "sole_trader", "business"], 2);
    part(r, if kind == "ban" { 80 } else { 12 }, "offer", OFFERS, 2);
    part(r, 6, "legal_form", FORMS, 2);
    parts.join(", ")
}

fn effective(r: &mut Random, text: &mut String) {
    let (one, other) = (date(r), date(r));
    match r.below(6) {
        0 => writeln!(text, "effective = {{ from = {one} }}").unwrap(),
        1 => writeln!(text, "effective = {{ until = {one} }}").unwrap(),
        2 => {
            let (from, until) = if one <= other { (one, other) } else { (other, one) };
            writeln!(text, "effective = {{ from = {from}, until = {until} }}").unwrap();
        }
        _ => {}
    }
}

fn date(r: &mut Random) -> String {
    format!("{}-{:02}-{:02}", r.pick(&[2024, 2025, 2026, 2026, 2027]), r.between(1, 12), r.between(1, 28))
}

fn windows(r: &mut Random) -> String {
    const OPEN: &[&str] = &[
        "[\"08:00-21:00\"]",
        "[\"09:00-20:00\"]",
        "[\"10:00-13:00\", \"14:00-20:00\"]",
        "[\"00:00-24:00\"]",
        "[\"00:00-03:00\", \"23:15-24:00\"]",
        "[\"02:30-02:31\", \"07:59-12:01\"]",
        "\"closed\"",
    ];
    let usual = &OPEN[..6];
    if r.chance(40) {
        return format!("daily = {}", r.pick(usual));
    }
    format!("mon-fri = {}, sat = {}, sun = {}", r.pick(usual), r.pick(OPEN), r.pick(OPEN))
}

fn needs(r: &mut Random, listing: bool, reassignment: bool) -> String {
    let mut parts = vec![format!("grade = \"{}\"", r.pick(&["implied", "soft_opt_in", "express", "express_written"]))];
    let mut flag = |r: &mut Random, percent: u64, text: String| {
        if r.chance(percent) {
            parts.push(text);
        }
    };
    let flags = words(r, &["separate", "guardian", "night"], 1);
    flag(r, 15, format!("flags = {flags}"));
    flag(r, 15, "technology_named = true".to_owned());
    flag(r, 15, "evidence = true".to_owned());
    flag(r, 15, "third_party_flagged = true".to_owned());
    flag(r, 15, "current_policy = true".to_owned());
    let (age, unused, from) = (r.pick(SPANS), r.pick(SPANS), date(r));
    flag(r, 20, format!("max_age = \"{age}\""));
    flag(r, 20, format!("max_unused = \"{unused}\""));
    flag(r, 20, "unless_dated = true".to_owned());
    flag(r, 10, format!("given_from = {from}"));
    flag(r, 10, "slot = true".to_owned());
    flag(r, if listing { 40 } else { 0 }, "after_listing = true".to_owned());
    flag(r, if reassignment { 60 } else { 0 }, "after_reassignment = true".to_owned());
    format!("{{ {} }}", parts.join(", "))
}

fn counts(r: &mut Random, text: &mut String) {
    let mut parts = vec![format!("per = {}", words(r, &["seller", "subject", "campaign"], 3))];
    for (percent, key, from) in [
        (20, "channel", &["call", "text"][..]),
        (15, "technology", TECHNOLOGIES),
        (20, "purpose", PURPOSES),
        (30, "except", OUTCOMES),
        (15, "only", OUTCOMES),
    ] {
        if r.chance(percent) {
            parts.push(format!("{key} = {}", words(r, from, 2)));
        }
    }
    if r.chance(85) {
        writeln!(text, "counts = {{ {} }}", parts.join(", ")).unwrap();
    }
}

fn unless(r: &mut Random, listing: bool, reassignment: bool) -> String {
    let mut text = "[[rule.unless]]\n".to_owned();
    let mut kinds = vec![r.below(8)];
    if r.chance(25) {
        kinds.push(r.below(8));
    }
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        match kind {
            0..=2 if !text.contains("consent =") => {
                writeln!(text, "consent = {}", needs(r, listing, reassignment)).unwrap()
            }
            3 | 4 if !text.contains("relationship =") => {
                let tie = r.pick(&["purchase", "inquiry", "donation", "contract", "ended_contract", "personal"]);
                writeln!(text, "relationship = \"{tie}\"").unwrap();
                if !matches!(tie, "contract" | "personal") {
                    writeln!(text, "within = \"{}\"", r.pick(SPANS)).unwrap();
                }
                if r.chance(30) {
                    text.push_str("related = true\n");
                }
            }
            5 => writeln!(text, "offer = {}", words(r, OFFERS, 2)).unwrap(),
            6 => writeln!(text, "purpose = {}", words(r, PURPOSES, 2)).unwrap(),
            7 => text.push_str(r.pick(&["legally_required = true\n", "legal_form = \"company\"\n"])),
            _ => {}
        }
    }
    if r.chance(15) {
        writeln!(text, "posture = \"{}\"", r.pick(&["one", "two"])).unwrap();
    }
    if r.chance(40) {
        writeln!(text, "confidence = \"{}\"", r.pick(&["verified", "memory", "disputed"])).unwrap();
    }
    text
}

/// A list of one to `most` different words, in TOML.
fn words(r: &mut Random, from: &[&str], most: usize) -> String {
    let mut chosen: Vec<&str> = Vec::new();
    for _ in 0..1 + r.below(most) {
        let word = r.pick(from);
        if !chosen.contains(&word) {
            chosen.push(word);
        }
    }
    format!("[{}]", chosen.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}
