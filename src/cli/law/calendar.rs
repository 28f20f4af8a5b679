//! `ringfence law calendar`: when a place is open.

use super::super::open::{self, OpenSettings};
use super::super::output::{folded, say, say_json, table};
use super::super::terms::{instant, number, stamp, word};
use super::super::{Error, Exit, Global, now};
use super::{Packs, names};
use crate::access::{Caller, Role};
use crate::contact::{Channel, OfferCategory, Purpose, Recipient, Technology};
use crate::engine::Failure;
use crate::place::LineType;
use crate::proto::v1;
use crate::time::{Instant, ZoneId};

const MILLIS_PER_MINUTE: i64 = 60_000;

/// When is this place open?
#[derive(Debug, clap::Args)]
#[command(
    about = "Show the open hours of the coming days for one place and purpose",
    after_help = "Hours, holidays and other dated rules alone: consent, lists and caps may still deny.\n\n\
                  Example: ringfence law calendar FR --purpose marketing --days 14"
)]
pub struct Args {
    /// The place, as an ISO 3166 code such as FR or US-FL
    place: String,
    /// Why people are contacted
    #[arg(long, value_name = "PURPOSE", value_parser = word::<Purpose>(), ignore_case = true)]
    purpose: Purpose,
    /// Call or text
    #[arg(long, value_name = "CHANNEL", value_parser = word::<Channel>(), ignore_case = true, default_value = "call")]
    channel: Channel,
    /// Who dials and who speaks; left out: could be any, so all must allow
    #[arg(long, value_name = "TECHNOLOGY", value_parser = word::<Technology>(), ignore_case = true)]
    technology: Option<Technology>,
    /// In what capacity people are contacted; left out: could be any
    #[arg(long, value_name = "RECIPIENT", value_parser = word::<Recipient>(), ignore_case = true)]
    recipient: Option<Recipient>,
    /// The kind of line; left out: could be any
    #[arg(long, value_name = "TYPE", value_parser = word::<LineType>(), ignore_case = true)]
    line_type: Option<LineType>,
    /// What is offered, where a law singles it out
    #[arg(long, value_name = "CATEGORY", value_parser = word::<OfferCategory>(), ignore_case = true, hide_possible_values = true)]
    offer_category: Option<OfferCategory>,
    /// How many days, at most 62
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=62))]
    days: u32,
    /// The first instant; left out: now
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Instant>,
    /// The zone people are in; left out: every zone of the place must be open
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    #[command(flatten)]
    packs: Packs,
}

/// Runs it.
///
/// # Errors
/// The packs cannot be read, or the question is faulty.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let now = now();
    let settings = OpenSettings { packs: args.packs.packs.clone(), ..OpenSettings::nothing(now) };
    let engine = open::open(&settings).await?.engine;
    let permit = Caller::local().permit(Role::ReadLaw).map_err(Failure::from)?;
    let from = args.from.unwrap_or(now);
    let request = v1::CalendarRequest {
        place: args.place.to_ascii_uppercase(),
        time_zone: args.time_zone.clone().unwrap_or_default(),
        purpose: number(Some(args.purpose)),
        channel: number(Some(args.channel)),
        technology: number(args.technology),
        recipient: number(args.recipient),
        line_type: number(args.line_type),
        offer_category: number(args.offer_category),
        from: stamp(Some(from)),
        days: args.days,
        evidence: None,
    };
    let response = engine.calendar(&permit, &request, now).map_err(|failure| match Error::from(failure) {
        failed if names::known(&engine.law(), &args.place).is_some() => failed,
        failed => Error::said(format!("{failed}{}", names::meant(&engine.law(), &args.place, false))),
    })?;
    match global.json {
        true => say_json(&response)?,
        false => say(&human(&request, &response, from))?,
    }
    Ok(Exit::when(response.reasons.is_empty()))
}

fn human(request: &v1::CalendarRequest, response: &v1::CalendarResponse, from: Instant) -> String {
    let mut out = String::new();
    for reason in &response.reasons {
        out.push_str(&folded(&format!("{} {}", reason.message, reason.remedy), 0, 2));
        out.push('\n');
    }
    if !response.reasons.is_empty() {
        return out;
    }
    let zone = response.time_zones.first().and_then(|name| ZoneId::by_name(name)).unwrap_or_else(ZoneId::utc);
    let windows: Vec<(Instant, Instant)> = response
        .windows
        .iter()
        .filter_map(|window| Some((instant_of(window.starts_at)?, instant_of(window.ends_at)?)))
        .collect();
    let first = zone.civil(from).day;
    let mut rows = Vec::new();
    for day in first..first.saturating_add(i32::try_from(request.days).unwrap_or(7)) {
        let (start, end) = (zone.day_start(day).max(from), zone.day_start(day.saturating_add(1)));
        let noon = Instant::from_millis(start.millis() / 2 + end.millis() / 2);
        let date = zone.civil(noon).date().map(|date| date.strftime("%a %F").to_string()).unwrap_or_default();
        let open: Vec<_> = windows
            .iter()
            .filter(|(opens, closes)| *opens < end && *closes > start)
            .map(|(opens, closes)| {
                format!("{}-{}", clock(zone, *opens, start, "00:00"), clock(zone, *closes, end, "24:00"))
            })
            .collect();
        rows.push(vec![date, if open.is_empty() { "closed".to_owned() } else { open.join(", ") }]);
    }
    out.push_str(&table(&rows));
    let others = match response.time_zones.get(1..).unwrap_or_default() {
        [] => String::new(),
        others => format!("; open only while it is open by the clock of {} too", others.join(", ")),
    };
    out.push('\n');
    out.push_str(&folded(&format!("Clock of {}{others}.", zone.name()), 0, 0));
    out.push_str("\nConsent, lists and caps may still deny.\n");
    out
}

fn instant_of(stamp: Option<crate::proto::well_known::Timestamp>) -> Option<Instant> {
    stamp?.to_millis().map(Instant::from_millis)
}

/// The wall clock at an end of a window, which may lie beyond the day.
fn clock(zone: ZoneId, at: Instant, edge: Instant, beyond: &str) -> String {
    let outside = if beyond == "00:00" { at <= edge && is_midnight(zone, edge) } else { at >= edge };
    if outside {
        return beyond.to_owned();
    }
    let at = if beyond == "00:00" { at.max(edge) } else { at };
    let minutes = i64::from(zone.civil(at).millis) / MILLIS_PER_MINUTE;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

fn is_midnight(zone: ZoneId, at: Instant) -> bool {
    zone.civil(at).millis == 0
}
