//! The packs at a glance: a row a jurisdiction, as Markdown.
//!
//! Promises: every figure is read off the rules in force on the day named, a pack's own and those it inherits, without
//! any exemption and in the shipped postures; the same set and day give the same text. `src/law/packs/OVERVIEW.md` is
//! that text, and `tests/law.rs` holds it to the packs.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{Body, Confidence, Event, Law, Pack, Rule, Trigger, Week, Window, between};
use crate::contact::{Channel, Grade, Period, Purpose, Recipient, Set, Technology, Term};
use crate::time::{Millis, day_of};

const MINUTES_PER_DAY: u16 = 1440;

/// What is asked of every pack: a sales contact with a consumer.
#[derive(Clone, Copy)]
struct Asked {
    channel: Channel,
    technology: Technology,
}

const LIVE: Asked = Asked { channel: Channel::Call, technology: Technology::Manual };
const RECORDED: Asked = Asked { channel: Channel::Call, technology: Technology::Prerecorded };
const TEXT: Asked = Asked { channel: Channel::Text, technology: Technology::Autodialer };

impl Asked {
    fn meets(self, rule: &Rule) -> bool {
        fn holds<T: Term>(selector: Set<T>, term: T) -> bool {
            selector.is_empty() || selector.contains(term)
        }
        let applies = &rule.applies;
        holds(applies.channels, self.channel)
            && holds(applies.technologies, self.technology)
            && holds(applies.purposes, Purpose::Marketing)
            && holds(applies.recipients, Recipient::Consumer)
            // A rule about one offer or one legal form is about no contact at large.
            && applies.offers.is_empty()
            && applies.legal_forms.is_empty()
            && rule.posture.is_none()
    }
}

/// One jurisdiction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its code.
    pub jurisdiction: String,
    /// The file of its pack.
    pub file: String,
    /// Its name, with the further places its pack covers.
    pub name: String,
    /// Hours of sales calls dialled by hand to consumers: Monday to Friday, Saturday, Sunday, closed dates.
    pub hours: [String; 4],
    /// Caps and pauses.
    pub caps: String,
    /// Lists to be consulted.
    pub lists: String,
    /// Consent wanted: of a call dialled by hand, a recorded call, an application-sent text.
    pub consent: [String; 3],
    /// When the pack was compared with its sources.
    pub reviewed: String,
    /// The least certain confidence of its own rules.
    pub confidence: String,
    /// How many rules it has of its own.
    pub rules: usize,
}

/// The packs at a glance, on a day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overview {
    /// The day.
    pub day: Date,
    /// A row a jurisdiction, by its code.
    pub rows: Vec<Row>,
    /// What is announced for later: day, jurisdiction, what becomes of which rule, its sentence.
    pub ahead: Vec<[String; 4]>,
}

impl Overview {
    /// Reads a set on a day; left out: on the day of its latest review, so that a text stays the same until a pack
    /// changes.
    #[must_use]
    pub fn of(law: &Law, day: Option<Date>) -> Self {
        let packs = || law.packs().iter().filter(|pack| !pack.is_policy());
        let day = day.or_else(|| packs().filter_map(Pack::reviewed).max()).unwrap_or(Date::constant(2000, 1, 1));
        let mut rows: Vec<_> = packs().map(|pack| row(law, pack, day)).collect();
        rows.sort_by(|one, other| one.jurisdiction.cmp(&other.jurisdiction));
        Self { day, rows, ahead: ahead(packs(), day) }
    }

    /// The text.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("{HEAD}\nOn {}.\n\n", self.day);
        out.push_str(
            "| | place | calls Mon-Fri | Sat | Sun | holidays | caps | lists | consent: call by hand | recorded call | text by machine | reviewed | least sure | rules |\n",
        );
        out.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            // Built-in packs stand beside the text.
            let code = match row.file.contains('/') {
                true => row.jurisdiction.clone(),
                false => format!("[{}]({})", row.jurisdiction, row.file),
            };
            let cells = [&code, &row.name].into_iter().chain(&row.hours);
            let cells = cells.chain([&row.caps, &row.lists]).chain(&row.consent);
            for cell in cells.chain([&row.reviewed, &row.confidence]) {
                out.push_str(&format!("| {} ", cell.replace('|', "\\|")));
            }
            out.push_str(&format!("| {} |\n", row.rules));
        }
        out.push_str("\n## Changes ahead\n\n");
        if self.ahead.is_empty() {
            out.push_str("None of the packs announces a later day.\n");
            return out;
        }
        out.push_str("| day | place | rule | what it says |\n|---|---|---|---|\n");
        for [day, place, rule, says] in &self.ahead {
            out.push_str(&format!("| {day} | {place} | {rule} | {} |\n", says.replace('|', "\\|")));
        }
        out
    }
}

const HEAD: &str = "\
# The packs at a glance

Written by `ringfence law show --overview`, not by hand: `RINGFENCE_BLESS=1 cargo test --test law` writes it anew after a
change of a pack. A row a jurisdiction, for **sales contacts with consumers**: its own rules and those it inherits, in the
shipped postures, exemptions left out.

- Hours are the local clock of the person, from the first minute to before the last, for calls dialled by hand. *any*: no
  rule closes an hour. *closed* on holidays: the dates are in the pack's calendars.
- Caps: how many attempts in how long, counted for one seller, and further for one subject or campaign where it says so.
- Lists: those that must be looked up first; one in brackets is asked for some contacts only (texts, recorded calls, or some kinds of line).
- Consent: the grade a contact needs. A star: a rule says when it needs none, or less (a customer, a running contract);
  `ringfence law show PLACE` has it in full.
- Reviewed: when the pack was compared with its sources. Least sure: the lowest confidence of a rule of its own.
- Rules: how many of its own. The law of the EU and of the United States alone allows nothing: a member, or a state, needs
  its own pack.
";

fn row(law: &Law, pack: &Pack, day: Date) -> Row {
    let chain = law.chain(pack.jurisdiction());
    let rules: Vec<&Rule> = chain
        .packs
        .iter()
        .filter_map(|index| law.pack(*index))
        .filter(|pack| !pack.is_policy())
        .flat_map(|pack| in_force(pack, day))
        .collect();
    let covers: Vec<_> = pack.covers().iter().map(ToString::to_string).collect();
    let also = if covers.is_empty() { String::new() } else { format!(" (also {})", covers.join(", ")) };
    let least = pack.rules.iter().map(|rule| rule.confidence).max();
    Row {
        jurisdiction: pack.jurisdiction().to_string(),
        file: pack.file.to_string(),
        name: format!("{}{also}", pack.title()),
        hours: hours(&rules),
        caps: caps(&rules),
        lists: lists(&rules),
        consent: [LIVE, RECORDED, TEXT].map(|asked| consent(&rules, asked)),
        reviewed: pack.reviewed().map_or_else(|| "never".to_owned(), |date| date.to_string()),
        confidence: least.map_or("", Confidence::word).to_owned(),
        rules: pack.rules.len(),
    }
}

fn in_force(pack: &Pack, day: Date) -> impl Iterator<Item = &Rule> {
    let at = pack.zone().day_start(day_of(day));
    pack.rules.iter().map(AsRef::as_ref).filter(move |rule| rule.in_force(at))
}

type Windows = Vec<(u16, u16)>;

fn hours(rules: &[&Rule]) -> [String; 4] {
    let mut days: [Windows; 7] = std::array::from_fn(|_| vec![(0, MINUTES_PER_DAY)]);
    let mut dates: Option<Windows> = None;
    let mut fixed: [String; 7] = Default::default();
    for rule in rules.iter().filter(|rule| LIVE.meets(rule)) {
        match &rule.body {
            Body::Hours { week, zone: Some(zone), .. } => {
                // A day closed by any clock is closed; hours of another clock stand beside those of the person's.
                for ((day, windows), told_there) in (0..).zip(&mut days).zip(&mut fixed) {
                    match week.day(day) {
                        [] => windows.clear(),
                        there => told_there.push_str(&format!("; {} by the clock of {}", told(there), zone.name())),
                    }
                }
            }
            Body::Hours { week, dates: own, zone: None } => {
                narrow(&mut days, week);
                for entry in own.iter().filter(|entry| entry.days_before == 0) {
                    let before = dates.unwrap_or_else(|| vec![(0, MINUTES_PER_DAY)]);
                    dates = Some(both(&before, &entry.windows));
                }
            }
            Body::Holidays(_) => dates = Some(Windows::new()),
            _ => {}
        }
    }
    let mut cells: Vec<String> = days.iter().zip(&fixed).map(|(windows, there)| told(windows) + there).collect();
    let (sunday, saturday) = (cells.pop().unwrap_or_default(), cells.pop().unwrap_or_default());
    let dates = dates.map_or_else(|| "as any day".to_owned(), |windows| told(&windows));
    [weekdays(&cells), saturday, sunday, dates]
}

/// The cells of Monday to Friday as one: days that are alike stand together.
fn weekdays(cells: &[String]) -> String {
    let mut runs: Vec<(&str, &str, &String)> = Vec::new();
    for (name, cell) in ["Mon", "Tue", "Wed", "Thu", "Fri"].into_iter().zip(cells) {
        match runs.last_mut() {
            Some((_, last, same)) if *same == cell => *last = name,
            _ => runs.push((name, name, cell)),
        }
    }
    if let [(_, _, cell)] = runs.as_slice() {
        return (*cell).clone();
    }
    let run = |(first, last, cell): &(&str, &str, &String)| {
        let days = if first == last { (*first).to_owned() } else { format!("{first}-{last}") };
        format!("{days} {cell}")
    };
    runs.iter().map(run).collect::<Vec<_>>().join("; ")
}

fn narrow(days: &mut [Windows; 7], week: &Week) {
    for (day, windows) in (0..).zip(days) {
        *windows = both(windows, week.day(day));
    }
}

/// The times that lie in windows of both.
fn both(one: &[(u16, u16)], other: &[(u16, u16)]) -> Windows {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    pairs.filter(|(start, end)| start < end).collect()
}

fn told(windows: &[(u16, u16)]) -> String {
    match windows {
        [] => "closed".to_owned(),
        [(0, MINUTES_PER_DAY)] => "any".to_owned(),
        windows => {
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let told: Vec<_> =
                windows.iter().map(|(start, end)| format!("{}-{}", clock(*start), clock(*end))).collect();
            told.join(", ")
        }
    }
}

fn caps(rules: &[&Rule]) -> String {
    let mut told = BTreeSet::new();
    for rule in rules.iter().filter(|rule| LIVE.meets(rule) || RECORDED.meets(rule) || TEXT.meets(rule)) {
        let only = match (LIVE.meets(rule), RECORDED.meets(rule), TEXT.meets(rule)) {
            (true, _, _) => "",
            (_, true, false) => " (recorded calls)",
            (_, false, true) => " (texts)",
            _ => " (by machine)",
        };
        match &rule.body {
            Body::Cap { limit, windows, counts } => {
                let per = match (counts.per_subject, counts.per_campaign) {
                    (true, _) => ", one subject",
                    (_, true) => ", one campaign",
                    _ => "",
                };
                let outcomes: Vec<_> = counts.only.iter().map(|outcome| outcome.word().replace('_', " ")).collect();
                let counted = match outcomes.is_empty() {
                    true => String::new(),
                    false => format!(", counting {}", outcomes.join(" and ")),
                };
                told.extend(windows.iter().map(|window| format!("{limit} {}{per}{counted}{only}", stretch(*window))));
            }
            Body::CoolOff { after, resumes_after_days, .. } => {
                let after = match after {
                    Trigger::Conversation => "a conversation",
                    Trigger::Refusal => "a refusal",
                };
                told.insert(match resumes_after_days {
                    Some(days) => format!("pause of {} days after {after}{only}", days - 1),
                    None => format!("never after {after}{only}"),
                });
            }
            _ => {}
        }
    }
    told.into_iter().collect::<Vec<_>>().join("; ")
}

fn stretch(window: Window) -> String {
    match window {
        Window::Rolling(span) => match span.0 / Millis::hours(1).0 {
            hours if hours > 24 && hours % 24 == 0 => format!("in {} rolling days", hours / 24),
            hours => format!("in {hours} h"),
        },
        Window::Days(1) => "a day".to_owned(),
        Window::Days(days) => format!("in {days} days"),
        Window::Calendar(Period::Day) => "a day".to_owned(),
        Window::Calendar(Period::Week) => "a week".to_owned(),
        Window::Calendar(Period::Month) => "a month".to_owned(),
    }
}

fn lists(rules: &[&Rule]) -> String {
    let mut told: BTreeSet<(&str, bool)> = BTreeSet::new();
    for rule in rules {
        if let Body::Registry { list, .. } = &rule.body
            && [LIVE, RECORDED, TEXT].iter().any(|asked| asked.meets(rule))
        {
            told.insert((list, !LIVE.meets(rule) || !rule.applies.line_types.is_empty()));
        }
    }
    let always: BTreeSet<&str> = told.iter().filter(|(_, some)| !some).map(|(list, _)| *list).collect();
    let told = told.iter().filter(|(list, some)| !some || !always.contains(list));
    let told: Vec<_> = told.map(|(list, some)| if *some { format!("({list})") } else { (*list).to_owned() }).collect();
    told.join(", ")
}

fn consent(rules: &[&Rule], asked: Asked) -> String {
    let mut needed: Option<(Grade, bool)> = None;
    for rule in rules.iter().filter(|rule| asked.meets(rule)) {
        match &rule.body {
            Body::Ban if rule.unless.is_empty() && rule.applies.line_types.is_empty() => return "forbidden".to_owned(),
            Body::Ban => return "forbidden*".to_owned(),
            Body::Consent(needs) => {
                // Of two of one grade, the one without a way out is what binds.
                let own = (needs.grade, rule.unless.is_empty() && rule.applies.line_types.is_empty());
                needed = needed.max(Some(own));
            }
            _ => {}
        }
    }
    needed.map_or_else(
        || "none".to_owned(),
        |(grade, firm)| format!("{}{}", grade.word().replace('_', " "), if firm { "" } else { "*" }),
    )
}

/// What is announced after the day.
fn ahead<'a>(packs: impl Iterator<Item = &'a Pack>, day: Date) -> Vec<[String; 4]> {
    let told = |change: super::Change<'a>| {
        let (rule, says) = match change.event {
            Event::Began(rule) => (format!("`{}` begins", rule.id), &rule.summary),
            Event::Replaced { before, after } => (format!("`{}` replaces `{}`", after.id, before.id), &after.summary),
            Event::Ended(rule) => (format!("`{}` ends", rule.id), &rule.summary),
        };
        [change.day.to_string(), change.pack.jurisdiction().to_string(), rule, says.to_string()]
    };
    between(packs, day, Date::constant(2099, 12, 31)).into_iter().map(told).collect()
}
