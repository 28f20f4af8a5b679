//! What a rule found, in a sentence; and what an allowed contact should know.

use crate::law::{Body, Declared, Family, Freshness};
use crate::time::{Civil, Instant, Millis, ZoneId};

use super::caps;
use super::consent::Promise;
use super::evidence::Listing;
use super::judge;
use super::reason::{Reason, Source, Warning};
use super::scene::{InPlay, Scene};
use super::stretch::Stretch;
use super::switches::{Freeze, Target};
use super::{builtin, hours, timing};

/// The reason a denying rule gives at the instant of the question; `word` is what it says then.
pub(crate) fn reason(scene: &Scene<'_>, play: &InPlay<'_>, word: Stretch) -> Reason {
    let now = scene.now;
    let clears_at = timing::first_allowed(scene, std::slice::from_ref(play), &[word], now);
    let rule = play.rule;
    if let Some(freeze) = play.freeze {
        let place = if let Target::Place(place) = freeze.target { Some(place) } else { None };
        let source = Source::BuiltIn(&builtin::FREEZE, place);
        return Reason { family: rule.family, source, detail: frozen(freeze), clears_at };
    }
    // If only a promised frequency stands in the way, that is the reason, not the want of a consent.
    if scene.promised && !judge::denies_if(scene, play, Promise::LookedPast, &|_| true, now).holds {
        let source = Source::BuiltIn(&builtin::PROMISE, Some(rule.jurisdiction));
        let detail = format!("It is what rule {} rests on.", rule.id);
        return Reason { family: Family::Cap, source, detail, clears_at };
    }
    Reason { family: rule.family, source: Source::Rule(rule.clone()), detail: detail(scene, play), clears_at }
}

/// `Frozen: campaign spring, since … by ann: wrong prices.`
fn frozen(freeze: &Freeze) -> String {
    let until = if freeze.until == Instant::FAR { String::new() } else { format!(" until {}", freeze.until) };
    let Freeze { target, who, why, from, .. } = freeze;
    format!("Frozen: {target}, since {from}{until}, by {who}: {}.", why.trim_end_matches('.'))
}

/// The warning that a contact was allowed because it names no campaign.
pub(crate) fn unnamed(freeze: &Freeze) -> Warning {
    let message = format!("No campaign was named, so this freeze was taken not to reach it. {}", frozen(freeze));
    Warning { code: "campaign_not_named", message, rule_id: Some(builtin::FREEZE.id.into()) }
}

fn detail(scene: &Scene<'_>, play: &InPlay<'_>) -> String {
    let now = scene.now;
    match &play.rule.body {
        Body::Hours { week, dates, zone } => {
            let fixed = zone.map(|zone| [zone]);
            let zones = fixed.as_ref().map_or(play.zones.as_slice(), |zone| &zone[..]);
            in_first(
                zones,
                |zone| hours::closed(week, dates, &[zone], now).holds,
                |zone| format!("It is {} in {}.", clock(zone.civil(now)), zone.name()),
            )
        }
        Body::Inconvenient => in_first(
            play.zones,
            |_| true,
            |zone| {
                format!("It is {} in {}, a time the person called inconvenient.", clock(zone.civil(now)), zone.name())
            },
        ),
        Body::Holidays(calendar) => in_first(
            play.zones,
            |zone| calendar.contains(zone.civil(now).day),
            |zone| {
                let civil = zone.civil(now);
                let date = civil.date().map(|date| date.to_string()).unwrap_or_default();
                format!("{date} in {} is {}.", zone.name(), calendar.name_of(civil.day).unwrap_or("a holiday"))
            },
        ),
        Body::Registry { list, fresh, .. } => listing(play.listing, list, fresh, scene.area),
        Body::Consent(_) => {
            let known = scene.evidence.consents(scene.postures.stored_facts_only).count();
            match known {
                0 => "No consent is known.".to_owned(),
                1 => "The one consent known does not cover it.".to_owned(),
                _ => format!("None of the {known} consents known covers it."),
            }
        }
        Body::Cap { limit, counts, .. } => {
            let all = scene.evidence.attempts().filter(|past| scene.counts(counts, past)).count();
            format!("{all} earlier attempts are known that count; {limit} are allowed in each window.")
        }
        Body::Emergency => {
            let live = scene.evidence.live;
            let in_force = play.declared.iter().filter(|state| state.begins(live) <= now && now < state.until);
            let said: Vec<_> = in_force.map(|state| declared(state)).collect();
            said.join(" ")
        }
        Body::Minor { under } => format!("A plausible age lies under {under}."),
        Body::Ban if !play.own_lists.is_empty() => {
            let said = |list: &str| match scene.evidence.is_read(list) {
                true => format!("The number is on {list}."),
                false => format!("The file of {list} cannot be read or is gone, so that nobody knows who is on it."),
            };
            play.own_lists.iter().map(|list| said(list)).collect::<Vec<_>>().join(" ")
        }
        Body::CallerId { .. } => "The number shown is not one this rule permits.".to_owned(),
        _ => String::new(),
    }
}

/// `Declared: Snow in Erie (Executive Order 60), since … .`
fn declared(state: &Declared) -> String {
    let until = if state.until == Instant::FAR { String::new() } else { format!(" until {}", state.until) };
    let since = if state.from == Instant::NEVER { String::new() } else { format!(", since {}", state.from) };
    let counties = match state.counties.as_slice() {
        [] => String::new(),
        counties if counties.len() > 12 => format!(" for {} counties", counties.len()),
        counties => format!(" for {}", counties.join(", ")),
    };
    format!("Declared: {} ({}){counties}{since}{until}.", state.title, state.source)
}

fn in_first(zones: &[ZoneId], fits: impl Fn(ZoneId) -> bool, say: impl Fn(ZoneId) -> String) -> String {
    zones.iter().copied().find(|zone| fits(*zone)).map(say).unwrap_or_default()
}

/// How the reason of a rule about a list begins where nobody knows whether the number is on it.
pub const NO_FRESH_COPY: &str = "There is no fresh registry copy of ";

fn listing(listing: Option<Listing>, list: &str, fresh: &Freshness, area: Option<u16>) -> String {
    let wanted = match fresh {
        Freshness::Age(age) => format!("at most {} days are allowed", age.0 / Millis::days(1).0),
        Freshness::Month => "one of this calendar month is needed".to_owned(),
        Freshness::SinceDay(_) => "one since the last fixed day of the month is needed".to_owned(),
    };
    match listing {
        Some(Listing::Listed { since: Some(since), .. }) => format!("The number is on {list}, entered {since}."),
        Some(Listing::Listed { since: None, .. }) => format!("The number is on {list}."),
        Some(Listing::Unknown { elsewhere: Some(as_of), .. }) => {
            let area = area.map_or_else(|| " this number".to_owned(), |area| format!(" area code {area}"));
            format!("{NO_FRESH_COPY}{list}: the one loaded, as of {as_of}, does not cover{area}.")
        }
        Some(Listing::Unknown { newest: Some(newest), .. }) => {
            format!("{NO_FRESH_COPY}{list}: the newest is as of {newest}, {wanted}.")
        }
        _ => format!("{NO_FRESH_COPY}{list}: none is loaded and no fresh check was given."),
    }
}

/// `Wednesday 2026-11-18 21:30`.
fn clock(civil: Civil) -> String {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let day = DAYS.get(usize::from(civil.weekday())).copied().unwrap_or_default();
    let date = civil.date().map(|date| date.to_string()).unwrap_or_default();
    let (hour, minute) = (civil.millis / 3_600_000, civil.millis / 60_000 % 60);
    format!("{day} {date} {hour:02}:{minute:02}")
}

/// What an allowed contact should know of a rule that lets it pass.
pub(crate) fn warnings(scene: &Scene<'_>, play: &InPlay<'_>, warnings: &mut Vec<Warning>) {
    let rule = play.rule;
    if scene.now < rule.from || scene.now >= rule.until {
        return;
    }
    let mut warn = |code, message| warnings.push(Warning { code, message, rule_id: Some(rule.id.clone()) });
    // I7: what only a weak exemption lifts is said aloud.
    let soft = rule.unless.iter().any(|exemption| !exemption.confidence.is_firm());
    if soft {
        let firm_only = judge::denies_if(scene, play, Promise::Kept, &|e| e.confidence.is_firm(), scene.now);
        if firm_only.holds {
            let notes: Vec<_> = rule
                .unless
                .iter()
                .filter(|exemption| !exemption.confidence.is_firm())
                .map(|exemption| format!("{} ({})", exemption.note, exemption.confidence.word()))
                .collect();
            warn(
                "unverified_exemption",
                format!("Only an unverified exemption lifts this rule: {}.", notes.join("; ")),
            );
        }
    }
    match (&rule.body, play.listing) {
        // Stale within three days: asked as it will be then.
        (Body::Registry { list, fresh, .. }, Some(Listing::Clear { as_of }))
            if as_of < super::scene::oldest(fresh, play.zones, scene.now.plus(Millis::days(3))) =>
        {
            let message = format!("The copy of {list} this rests on, as of {as_of}, is stale within three days.");
            warn("registry_expiring", message);
        }
        (Body::CrossBorder { .. }, _) => {
            let unknown = scene.attempt.processing_regions.is_empty() && scene.evidence.destinations().next().is_none();
            if unknown {
                let message = "No processing region is known, so sending data abroad was not judged.";
                warn("cross_border_not_judged", message.to_owned());
            }
        }
        (Body::CoolOff { resumes_after_days, counts, .. }, _)
            if caps::may_hide_trigger(scene, resumes_after_days.unwrap_or(400), counts, scene.now) =>
        {
            let message = "An earlier attempt has no reported outcome; if it was a conversation, this rule denies.";
            warn("outcome_unreported", message.to_owned());
        }
        (Body::Obligation { warning: true, .. }, _) if judge::asks(scene, play, scene.now) => {
            warn("notice", rule.summary.to_string());
        }
        _ => {}
    }
}
