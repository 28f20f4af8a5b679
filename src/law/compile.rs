//! From a pack's text to its rules. Every fault is reported, each with its line.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use toml::value::Datetime;

use crate::contact::{Period, Purpose, Set, Term, TransferMechanism};
use crate::place::Jurisdiction;
use crate::time::{Instant, Millis, ZoneId, day_of};

use super::calendar::{Calendar, Entry, On, Week};
use super::rule::{
    Applies, Band, Body, Confidence, Counts, DateWindows, Exemption, Family, Freshness, Needs, Rule, Series, Span, Tie,
    Trigger, Window,
};
use super::text::{
    AppliesText, CalendarText, CountsText, ExemptionText, HeadText, NeedsText, PackText, RuleText, Words,
};
use super::{Case, Pack, PackFault};

type Compiled<T> = Result<T, String>;

/// Reads one pack.
///
/// # Errors
/// Every fault found, with its line.
pub(super) fn compile(file: &str, text: &str) -> Result<Pack, Vec<PackFault>> {
    let lines = Lines::of(text);
    let fault = |line: usize, message: String| PackFault { file: file.to_owned(), line, message };
    let parsed: PackText = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        vec![fault(line, error.message().to_owned())]
    })?;
    let head = head(&parsed.pack).map_err(|message| vec![fault(1, message)])?;
    let mut faults = Vec::new();
    let mut calendars = BTreeMap::new();
    for (name, text) in &parsed.calendar {
        match calendar(name, text) {
            Ok(calendar) => drop(calendars.insert(name.clone(), Arc::new(calendar))),
            Err(message) => faults.push(fault(lines.find(&format!("[calendar.{name}")), message)),
        }
    }
    let (mut rules, mut cases) = (Vec::new(), Vec::new());
    for spanned in &parsed.rule {
        let line = lines.at(spanned.span().start);
        match rule(&head, &calendars, spanned.as_ref(), line) {
            Ok(rule) => {
                for text in &spanned.as_ref().case {
                    match case(&rule, text.as_ref(), lines.at(text.span().start)) {
                        Ok(case) => cases.push(case),
                        Err(message) => faults.push(fault(lines.at(text.span().start), message)),
                    }
                }
                rules.push(Arc::new(rule));
            }
            Err(message) => faults.push(fault(line, format!("rule `{}`: {message}", spanned.as_ref().id))),
        }
    }
    if faults.is_empty() { Ok(Pack::new(file, text, head, rules, calendars, cases)) } else { Err(faults) }
}

/// What stands in `[pack]`, read.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub jurisdiction: Jurisdiction,
    pub title: Box<str>,
    pub reviewed: Option<Date>,
    pub zone: ZoneId,
    pub covers: Vec<Jurisdiction>,
    pub inherits: Vec<Jurisdiction>,
    pub parts_need_packs: bool,
    pub policy: bool,
    /// What a county's name is compared by, and the name.
    pub counties: Vec<(String, Box<str>)>,
    pub example: Option<Box<str>>,
}

fn head(text: &HeadText) -> Compiled<Head> {
    let code = |code: &String| code.parse::<Jurisdiction>().map_err(|e| format!("[pack] `{code}`: {e}"));
    let mut counties: Vec<(String, Box<str>)> = Vec::new();
    for name in &text.counties {
        let key = super::emergency::county_key(name);
        if key.is_empty() || counties.iter().any(|(other, _)| *other == key) {
            return Err(format!("[pack] `counties`: `{name}` is no name, or there twice"));
        }
        counties.push((key, name.as_str().into()));
    }
    Ok(Head {
        counties,
        jurisdiction: code(&text.jurisdiction)?,
        title: text.title.as_str().into(),
        reviewed: text.reviewed.as_ref().map(date).transpose()?,
        zone: zone(&text.zone)?,
        covers: text.covers.iter().map(code).collect::<Compiled<_>>()?,
        inherits: text.inherits.iter().map(code).collect::<Compiled<_>>()?,
        parts_need_packs: text.parts_need_packs,
        policy: text.policy,
        example: text.example.as_deref().map(Into::into),
    })
}

fn calendar(name: &str, text: &CalendarText) -> Compiled<Calendar> {
    let mut entries = Vec::new();
    for day in &text.days {
        let on = On::parse(&day.on).ok_or_else(|| {
            format!(
                "calendar `{name}`: `{}` is not a day; write 12-25, easter+39, 3rd mon jan, last mon may, election/2 \
                 or 2026-06-19",
                day.on
            )
        })?;
        let mut moves = [0; 7];
        for (weekday, by) in &day.moves {
            let weekday = super::calendar::weekday_of(weekday)
                .ok_or_else(|| format!("calendar `{name}`: `{weekday}` is not a weekday such as mon"))?;
            if let Some(slot) = moves.get_mut(usize::from(weekday.to_monday_zero_offset().unsigned_abs())) {
                *slot = *by;
            }
        }
        let keeps_date = day.keeps_date.unwrap_or(true);
        entries.push(Entry { name: day.name.as_str().into(), on, from: day.from, until: day.until, moves, keeps_date });
    }
    Ok(Calendar::new(name, &entries))
}

fn case(rule: &Rule, text: &toml::Table, line: usize) -> Compiled<Case> {
    let mut request = text.clone();
    let says = request.remove("says");
    let denies = match says.as_ref().and_then(toml::Value::as_str) {
        Some("deny") => true,
        Some("allow") => false,
        _ => return Err(format!("case of `{}`: `says` must be \"allow\" or \"deny\" (what this rule says)", rule.id)),
    };
    let why = request.remove("why");
    let why = why.as_ref().and_then(toml::Value::as_str).unwrap_or_default().into();
    let postures = match request.remove("postures") {
        None => Vec::new(),
        Some(value) => value.try_into().map_err(|_| "`postures` must be a list of names".to_owned())?,
    };
    let emergencies = match request.remove("emergencies") {
        None => Vec::new(),
        Some(value) => {
            value.try_into().map_err(|error: toml::de::Error| format!("`emergencies`: {}", error.message()))?
        }
    };
    Ok(Case { rule: rule.id.clone(), denies, why, postures, emergencies, request, line })
}

fn rule(head: &Head, calendars: &BTreeMap<String, Arc<Calendar>>, text: &RuleText, line: usize) -> Compiled<Rule> {
    let (keys, body) = body(head, calendars, text)?;
    if let Some(stray) = text.particular_keys().into_iter().find(|key| !keys.contains(key)) {
        return Err(format!("`{stray}` means nothing to kind `{}`", text.kind));
    }
    let from = text.effective.from.as_ref().map(date).transpose()?;
    let until = text.effective.until.as_ref().map(date).transpose()?;
    if let (Some(from), Some(until)) = (from, until)
        && until < from
    {
        return Err(format!("effective: until {until} lies before from {from}"));
    }
    let confidence = confidence(&text.confidence)?;
    let family = if head.policy { Family::Policy } else { family(&body, text.objection.unwrap_or(false)) };
    Ok(Rule {
        id: text.id.as_str().into(),
        jurisdiction: head.jurisdiction,
        family,
        applies: applies(&text.applies)?,
        from: from.map_or(Instant::NEVER, |date| head.zone.day_start(day_of(date))),
        until: until.map_or(Instant::FAR, |date| head.zone.day_start(day_of(date) + 1)),
        series: series(text),
        posture: text.posture.as_deref().map(Into::into),
        off_posture: text.off_posture.as_deref().map(Into::into),
        body,
        unless: text.unless.iter().map(|e| exemption(head, e, confidence)).collect::<Compiled<_>>()?,
        citation: text.citation.as_str().into(),
        summary: text.summary.as_str().into(),
        remedy: text.remedy.as_deref().map(Into::into),
        confidence,
        line,
    })
}

fn series(text: &RuleText) -> Series {
    let words = |words: &Option<String>| words.as_deref().map(Into::into);
    Series {
        replaces: text.replaces.iter().flat_map(Words::iter).map(Into::into).collect(),
        gap: words(&text.gap),
        overlap: words(&text.overlap),
        ends: words(&text.ends),
    }
}

fn family(body: &Body, objection: bool) -> Family {
    match body {
        Body::Hours { .. } | Body::Inconvenient => Family::QuietHours,
        Body::Holidays(_) => Family::Holiday,
        Body::Consent(_) => Family::Consent,
        Body::OptOut { .. } if objection => Family::Objection,
        Body::OptOut { .. } | Body::Keywords { .. } => Family::OptOut,
        Body::Registry { .. } => Family::Registry,
        Body::Cap { .. } | Body::CoolOff { .. } => Family::Cap,
        Body::Ban | Body::Emergency => Family::Ban,
        Body::Minor { .. } => Family::Minor,
        Body::Reassigned => Family::Reassigned,
        Body::CrossBorder { .. } => Family::CrossBorder,
        Body::CallerId { .. } => Family::CallerId,
        Body::Abandonment => Family::Abandonment,
        Body::Retention { .. } | Body::Obligation { .. } => Family::Policy,
    }
}

/// The keys a kind has, and its meaning.
#[allow(clippy::too_many_lines, reason = "one arm a kind: the list is the schema, best read in one piece")]
fn body(
    head: &Head,
    calendars: &BTreeMap<String, Arc<Calendar>>,
    text: &RuleText,
) -> Compiled<(&'static [&'static str], Body)> {
    Ok(match text.kind.as_str() {
        "hours" => {
            let zone = text.zone.as_deref().map(zone).transpose()?;
            let week = week(need(text.windows.as_ref(), "windows")?)?;
            let dates = text.dates.iter().flatten().map(|text| date_windows(calendars, text));
            let dates = dates.collect::<Compiled<_>>()?;
            (&["windows", "dates", "zone"], Body::Hours { week, dates, zone })
        }
        "inconvenient" => (&[], Body::Inconvenient),
        "holidays" => {
            let name = need(text.calendar.as_ref(), "calendar")?;
            let calendar = calendars.get(name).ok_or_else(|| format!("this pack has no [calendar.{name}]"))?;
            (&["calendar"], Body::Holidays(Arc::clone(calendar)))
        }
        "consent" => (&["needs"], Body::Consent(needs(head, need(text.needs.as_ref(), "needs")?)?)),
        "opt_out" => {
            let since = text.whatever_scope_since.as_ref().map(date).transpose()?;
            let whatever_scope_since = since.map(|date| head.zone.day_start(day_of(date)));
            (&["objection", "whatever_scope_since"], Body::OptOut { whatever_scope_since })
        }
        "registry" => {
            let list = need(text.list.as_ref(), "list")?.as_str().into();
            let fresh = freshness(need(text.fresh.as_ref(), "fresh")?)?;
            let bites_after = text.bites_after.as_deref().map(span).transpose()?;
            (&["list", "fresh", "bites_after"], Body::Registry { list, fresh, bites_after })
        }
        "cap" => {
            let windows = need(text.window.as_ref(), "window")?.iter().map(window).collect::<Compiled<Vec<_>>>()?;
            let limit = *need(text.limit.as_ref(), "limit")?;
            (&["limit", "window", "counts"], Body::Cap { limit, windows, counts: counts(text)? })
        }
        "cool_off" => {
            let after = match need(text.after.as_deref(), "after")? {
                "conversation" => Trigger::Conversation,
                "refusal" => Trigger::Refusal,
                other => return Err(format!("`after = \"{other}\"`: conversation or refusal")),
            };
            let resumes_after_days = match (text.resumes_after_days, text.never_resumes) {
                (Some(days), None) if (1..=400).contains(&days) => Some(days),
                (None, Some(true)) => None,
                _ => return Err("`resumes_after_days` of 1 to 400, or `never_resumes = true`".to_owned()),
            };
            let keys = &["after", "resumes_after_days", "never_resumes", "counts"];
            (keys, Body::CoolOff { after, resumes_after_days, counts: counts(text)? })
        }
        "ban" => (&[], Body::Ban),
        "emergency" => (&[], Body::Emergency),
        "minor" => (&["under"], Body::Minor { under: *need(text.under.as_ref(), "under")? }),
        "reassigned" => (&[], Body::Reassigned),
        "cross_border" => {
            let mut bands = Vec::new();
            for band in text.bands.iter().flatten() {
                let mechanisms = match &band.mechanism {
                    None => Vec::new(),
                    Some(words) => words.iter().map(term::<TransferMechanism>).collect::<Compiled<_>>()?,
                };
                bands.push(Band { below: band.below, mechanisms });
            }
            (&["bands"], Body::CrossBorder { bands })
        }
        "caller_id" => {
            let prefixes = |list: &Option<Vec<String>>| -> Compiled<Vec<Box<str>>> {
                list.iter().flatten().map(|prefix| prefix_digits(prefix)).collect()
            };
            let (allowed, denied) = (prefixes(&text.allowed)?, prefixes(&text.denied)?);
            (&["allowed", "denied"], Body::CallerId { allowed, denied })
        }
        "abandonment" => (&[], Body::Abandonment),
        "retention" => {
            let class: Box<str> = need(text.class.as_ref(), "class")?.as_str().into();
            if super::retention::kept(&class).is_none() {
                return Err(format!("`class` of {}", super::retention::CLASSES));
            }
            (&["class", "keep"], Body::Retention { class, keep: span(need(text.keep.as_ref(), "keep")?)? })
        }
        "obligation" => {
            let code = need(text.code.as_ref(), "code")?.as_str().into();
            (&["code", "warning"], Body::Obligation { code, warning: text.warning.unwrap_or(false) })
        }
        "keywords" => {
            let list = |words: &Option<Vec<String>>| words.iter().flatten().map(|w| w.as_str().into()).collect();
            let body = Body::Keywords {
                stop: list(&text.stop),
                help: list(&text.help),
                start: list(&text.start),
                confirm_within: text.confirm_within.as_deref().map(minutes).transpose()?,
                stops_everything: set(text.stops_everything.as_ref())?,
            };
            (&["stop", "help", "start", "confirm_within", "stops_everything"], body)
        }
        other => {
            return Err(format!(
                "unknown kind `{other}`; one of hours, inconvenient, holidays, consent, opt_out, registry, cap, \
                 cool_off, ban, emergency, minor, reassigned, cross_border, caller_id, abandonment, retention, \
                 obligation, keywords"
            ));
        }
    })
}

fn need<'a, T: ?Sized>(value: Option<&'a T>, key: &str) -> Compiled<&'a T> {
    value.ok_or_else(|| format!("`{key}` is missing"))
}

fn prefix_digits(text: &str) -> Compiled<Box<str>> {
    match text.strip_prefix('+') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(digits.into()),
        _ => Err(format!("`{text}` is not a prefix such as +34400")),
    }
}

fn applies(text: &AppliesText) -> Compiled<Applies> {
    Ok(Applies {
        channels: set(text.channel.as_ref())?,
        technologies: set(text.technology.as_ref())?,
        purposes: set(text.purpose.as_ref())?,
        line_types: set(text.line_type.as_ref())?,
        recipients: set(text.recipient.as_ref())?,
        offers: set(text.offer.as_ref())?,
        legal_forms: set(text.legal_form.as_ref())?,
    })
}

fn set<T: Term>(words: Option<&Words>) -> Compiled<Set<T>> {
    match words {
        None => Ok(Set::EMPTY),
        Some(words) => words.iter().map(term::<T>).collect(),
    }
}

fn term<T: Term>(word: &str) -> Compiled<T> {
    T::from_word(word).ok_or_else(|| {
        let all: Vec<_> = T::ALL.iter().map(|term| term.word()).collect();
        format!("`{word}` is not a {}; one of {}", T::WHAT, all.join(", "))
    })
}

fn confidence(word: &str) -> Compiled<Confidence> {
    let all =
        [Confidence::Verified, Confidence::Secondary, Confidence::Policy, Confidence::Memory, Confidence::Disputed];
    all.into_iter()
        .find(|confidence| confidence.word() == word)
        .ok_or_else(|| format!("`{word}` is not a confidence; one of verified, secondary, policy, memory, disputed"))
}

fn exemption(head: &Head, text: &ExemptionText, inherited: Confidence) -> Compiled<Exemption> {
    let tie = match text.relationship.as_deref() {
        None => None,
        Some("purchase") => Some(Tie::Purchase),
        Some("inquiry") => Some(Tie::Inquiry),
        Some("donation") => Some(Tie::Donation),
        Some("contract") => Some(Tie::Contract),
        Some("ended_contract") => Some(Tie::EndedContract),
        Some("personal") => Some(Tie::Personal),
        Some(other) => {
            return Err(format!(
                "`relationship = \"{other}\"`: purchase, inquiry, donation, contract, ended_contract or personal"
            ));
        }
    };
    let within = text.within.as_deref().map(span).transpose()?;
    let datable = matches!(tie, Some(Tie::Purchase | Tie::Inquiry | Tie::Donation | Tie::EndedContract));
    if datable != within.is_some() {
        return Err("`within` goes with the relationships purchase, inquiry, donation and ended_contract".to_owned());
    }
    let exemption = Exemption {
        consent: text.consent.as_ref().map(|text| needs(head, text)).transpose()?,
        tie,
        within,
        related: text.related,
        offers: set(text.offer.as_ref())?,
        legal_forms: set(text.legal_form.as_ref())?,
        purposes: set::<Purpose>(text.purpose.as_ref())?,
        legally_required: text.legally_required,
        posture: text.posture.as_deref().map(Into::into),
        confidence: text.confidence.as_deref().map(confidence).transpose()?.unwrap_or(inherited),
        note: text.note.as_deref().unwrap_or("").into(),
    };
    let empty = exemption.consent.is_none()
        && exemption.tie.is_none()
        && !exemption.related
        && exemption.offers.is_empty()
        && exemption.legal_forms.is_empty()
        && exemption.purposes.is_empty()
        && !exemption.legally_required;
    // An exemption without a condition would switch its rule off unseen.
    if empty { Err("an `unless` entry without any condition".to_owned()) } else { Ok(exemption) }
}

fn needs(head: &Head, text: &NeedsText) -> Compiled<Needs> {
    Ok(Needs {
        grade: term(&text.grade)?,
        flags: set(text.flags.as_ref())?,
        technology_named: text.technology_named,
        evidence: text.evidence,
        third_party_flagged: text.third_party_flagged,
        current_policy: text.current_policy,
        max_age: text.max_age.as_deref().map(span).transpose()?,
        unless_dated: text.unless_dated,
        max_unused: text.max_unused.as_deref().map(span).transpose()?,
        given_from: text.given_from.as_ref().map(date).transpose()?.map(|date| head.zone.day_start(day_of(date))),
        after_listing: text.after_listing,
        after_reassignment: text.after_reassignment,
        slot: text.slot,
    })
}

fn counts(rule: &RuleText) -> Compiled<Counts> {
    let default = CountsText::default();
    let text = rule.counts.as_ref().unwrap_or(&default);
    let per: Vec<_> = text.per.as_ref().map_or_else(|| vec!["seller"], |words| words.iter().collect());
    if let Some(odd) = per.iter().find(|word| !matches!(**word, "seller" | "subject" | "campaign")) {
        return Err(format!("`per = \"{odd}\"`: seller, subject or campaign"));
    }
    // What is not said of the attempts counted is what is said of the contact asked about.
    let or = |own: &Option<Words>, of_rule: &Option<Words>| own.clone().or_else(|| of_rule.clone());
    Ok(Counts {
        channels: set(or(&text.channel, &rule.applies.channel).as_ref())?,
        technologies: set(or(&text.technology, &rule.applies.technology).as_ref())?,
        purposes: set(or(&text.purpose, &rule.applies.purpose).as_ref())?,
        except: text.except.as_ref().map_or(Ok(Vec::new()), |words| words.iter().map(term).collect())?,
        only: text.only.as_ref().map_or(Ok(Vec::new()), |words| words.iter().map(term).collect())?,
        per_seller: per.contains(&"seller"),
        per_subject: per.contains(&"subject"),
        per_campaign: per.contains(&"campaign"),
    })
}

/// Reads `24h` (rolling), `7 days` (local days, today the last), `week` or `month`.
fn window(text: &str) -> Compiled<Window> {
    let bad = || format!("`{text}` is not a window; write 24h (rolling), 7 days (local days), week or month");
    if let Some(hours) = text.strip_suffix('h').filter(|_| text != "month") {
        let hours: u16 = hours.parse().map_err(|_| bad())?;
        return if (1..=9_600).contains(&hours) {
            Ok(Window::Rolling(Millis::hours(hours.into())))
        } else {
            Err(bad())
        };
    }
    match text {
        "week" => Ok(Window::Calendar(Period::Week)),
        "month" => Ok(Window::Calendar(Period::Month)),
        _ => match span(text)? {
            Span { months: 0, days } if (1..=400).contains(&days) => Ok(Window::Days(days)),
            _ => Err(bad()),
        },
    }
}

/// Reads `31 days`, `month` (a copy of this calendar month), or `since 1,16` (of the latest of these days of the month).
fn freshness(text: &str) -> Compiled<Freshness> {
    let bad = || format!("`fresh = \"{text}\"`: write \"31 days\", \"month\" or \"since 1,16\"");
    if text == "month" {
        return Ok(Freshness::Month);
    }
    if let Some(days) = text.strip_prefix("since ") {
        let days: Vec<u8> =
            days.split(',').map(|day| day.trim().parse()).collect::<Result<_, _>>().map_err(|_| bad())?;
        let fit = days.iter().all(|day| (1..=28).contains(day)) && days.is_sorted();
        return if fit { Ok(Freshness::SinceDay(days)) } else { Err(bad()) };
    }
    match span(text).map_err(|_| bad())? {
        Span { months: 0, days } if days > 0 => Ok(Freshness::Age(Millis::days(i64::from(days)))),
        _ => Err(bad()),
    }
}

fn date_windows(
    calendars: &BTreeMap<String, Arc<Calendar>>,
    text: &super::text::DateWindowsText,
) -> Compiled<DateWindows> {
    let (name, days_before) = match (&text.on, &text.eve_of) {
        (Some(name), None) => (name, 0),
        (None, Some(name)) => (name, 1),
        _ => return Err("`dates`: each entry has either `on` or `eve_of`, a calendar".to_owned()),
    };
    let calendar = calendars.get(name).ok_or_else(|| format!("this pack has no [calendar.{name}]"))?;
    let windows = text.windows.iter().filter(|w| *w != "closed").map(clock_window).collect::<Compiled<Vec<_>>>()?;
    // One day's windows are held to the same form as a week's.
    let week = Week::new(std::array::from_fn(|_| windows.clone()))?;
    Ok(DateWindows { calendar: Arc::clone(calendar), days_before, windows: week.day(0).to_vec() })
}

/// Reads `18 months`, `1 year` or `31 days`.
fn span(text: &str) -> Compiled<Span> {
    let bad = || format!("`{text}` is not a span such as \"31 days\", \"18 months\" or \"1 year\"");
    let (count, unit) = text.split_once(' ').ok_or_else(bad)?;
    let count: u16 = count.parse().map_err(|_| bad())?;
    let count = i32::from(count);
    match unit {
        "day" | "days" => Ok(Span { months: 0, days: count }),
        "month" | "months" => Ok(Span { months: count, days: 0 }),
        "year" | "years" => Ok(Span { months: count * 12, days: 0 }),
        _ => Err(bad()),
    }
}

fn minutes(text: &str) -> Compiled<Millis> {
    let count = text.strip_suffix(" minutes").and_then(|count| count.parse::<u16>().ok());
    let count =
        count.filter(|count| *count > 0).ok_or_else(|| format!("`{text}` is not a span such as \"5 minutes\""))?;
    Ok(Millis::seconds(i64::from(count) * 60))
}

fn zone(name: &str) -> Compiled<ZoneId> {
    ZoneId::by_name(name).ok_or_else(|| format!("`{name}` is not an IANA time zone"))
}

fn date(text: &Datetime) -> Compiled<Date> {
    match (text.date, text.time, text.offset) {
        (Some(date), None, None) => {
            let year = i16::try_from(date.year).unwrap_or(0);
            let (month, day) = (i8::try_from(date.month).unwrap_or(0), i8::try_from(date.day).unwrap_or(0));
            Date::new(year, month, day).map_err(|error| error.to_string())
        }
        _ => Err(format!("`{text}` is not a plain date such as 2026-08-11")),
    }
}

/// Reads `{ mon-fri = ["10:00-13:00", "14:00-20:00"], sat = "closed", sun = "closed" }`. Every weekday must be named.
fn week(text: &BTreeMap<String, Words>) -> Compiled<Week> {
    let mut days: [Option<Vec<(u16, u16)>>; 7] = Default::default();
    for (key, windows) in text {
        let windows = windows.iter().filter(|w| *w != "closed").map(clock_window).collect::<Compiled<Vec<_>>>()?;
        for day in weekdays(key)? {
            if let Some(slot) = days.get_mut(day)
                && slot.replace(windows.clone()).is_some()
            {
                return Err(format!("`windows`: a day of `{key}` is named twice"));
            }
        }
    }
    if days.iter().any(Option::is_none) {
        return Err("`windows`: every weekday must be named; write \"closed\" where none is open".to_owned());
    }
    Week::new(days.map(Option::unwrap_or_default))
}

fn weekdays(text: &str) -> Compiled<std::ops::RangeInclusive<usize>> {
    let day = |word: &str| {
        super::calendar::weekday_of(word)
            .map(|weekday| usize::from(weekday.to_monday_zero_offset().unsigned_abs()))
            .ok_or_else(|| format!("`{text}` is not a weekday or range such as mon-fri, or daily"))
    };
    match text.split_once('-') {
        _ if text == "daily" => Ok(0..=6),
        Some((from, to)) => Ok(day(from)?..=day(to)?),
        None => day(text).map(|day| day..=day),
    }
}

fn clock_window(text: &str) -> Compiled<(u16, u16)> {
    let clock = |text: &str| -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60 || hour == 24 && minute == 0).then_some(hour * 60 + minute)
    };
    text.split_once('-')
        .and_then(|(start, end)| Some((clock(start)?, clock(end)?)))
        .ok_or_else(|| format!("`{text}` is not a window such as 08:00-21:00"))
}

/// Where lines begin, to turn a byte offset into a line number.
struct Lines<'a> {
    text: &'a str,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text }
    }

    fn at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn find(&self, needle: &str) -> usize {
        self.text.find(needle).map_or(1, |offset| self.at(offset))
    }
}
