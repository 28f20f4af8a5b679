//! The law as callers see it: packs, rules, and the open hours of the coming days.

use super::answer::{self, stamp};
use super::{Engine, Failure, question};
use crate::access::Permit;
use crate::contact::wire::{self, Reader};
use crate::contact::{Channel, Facts, Purpose, Seller, Set, Technology};
use crate::decision::{self, Attempt, Evidence, NoLists, Opening};
use crate::law::{Body, Law, Pack, Rule};
use crate::place::{self, Jurisdiction, Place, Zones};
use crate::proto::v1;
use crate::time::{Instant, Millis, ZoneId, tzdata_version};

/// The most days of a calendar.
pub const DAYS: u32 = 62;

impl Engine {
    /// Every pack in force.
    #[must_use]
    pub fn packs(&self, _permit: &Permit) -> v1::ListPacksResponse {
        let law = self.law();
        let postures = &self.settings.postures;
        v1::ListPacksResponse {
            packs: law.packs().iter().map(|pack| pack_message(pack, postures)).collect(),
            rules_version: law.version().to_owned(),
            tzdata_version: tzdata_version().to_owned(),
            numbering_version: place::numbering_version().to_owned(),
        }
    }

    /// One rule.
    ///
    /// # Errors
    /// No rule of this id is in force.
    pub fn rule(&self, _permit: &Permit, id: &str) -> Result<v1::Rule, Failure> {
        let law = self.law();
        let (pack, rule) = law.rule(id).ok_or(Failure::NotFound("no rule of this id is in the packs in force"))?;
        Ok(rule_message(pack, rule))
    }

    /// The open hours of the coming days for one place.
    ///
    /// # Errors
    /// A faulty request.
    pub fn calendar(
        &self,
        _permit: &Permit,
        request: &v1::CalendarRequest,
        now: Instant,
    ) -> Result<v1::CalendarResponse, Failure> {
        let law = self.law();
        calendar(&law, &self.settings.postures, request, now)
    }
}

/// [`Engine::calendar`] without an engine, for the command line.
///
/// # Errors
/// A faulty request.
pub fn calendar(
    law: &Law,
    postures: &decision::Postures,
    request: &v1::CalendarRequest,
    now: Instant,
) -> Result<v1::CalendarResponse, Failure> {
    let mut reader = Reader::new();
    let place = reader.jurisdiction("place", &request.place);
    if request.place.is_empty() {
        reader.fault("place", "is required: an ISO 3166 code such as FR or US-FL");
    }
    let channel = reader.term::<Channel>("channel", request.channel).unwrap_or(Channel::Call);
    let purpose = reader.term::<Purpose>("purpose", request.purpose);
    if request.purpose == 0 {
        reader.fault("purpose", "is required");
    }
    let technologies = reader.term::<Technology>("technology", request.technology);
    let zone = question::zone(&mut reader, "time_zone", &request.time_zone);
    let days = if request.days == 0 { 7 } else { request.days };
    if days > DAYS {
        reader.fault("days", format!("is {}; at most {DAYS} are accepted", wire::plain(days.into())));
    }
    let from = reader.instant("from", request.from.as_ref()).unwrap_or(now);
    let mut facts = match &request.evidence {
        Some(evidence) => reader.within("evidence", |reader| wire::evidence(reader, evidence)),
        None => Facts::default(),
    };
    facts.recipients = reader.term("recipient", request.recipient).into_iter().collect();
    facts.line_types = reader.term("line_type", request.line_type).into_iter().collect();
    let offer = reader.term("offer_category", request.offer_category);
    let zones = place.and_then(|place| zones_of(&mut reader, place, zone));
    let violations = reader.violations();
    let (Some(place), Some(purpose), Some(zones), true) = (place, purpose, zones, violations.is_empty()) else {
        return Err(Failure::Invalid(violations));
    };
    let attempt = Attempt {
        channel,
        technologies: technologies.map_or_else(Set::all, Set::one),
        purpose,
        seller: Seller::new("?").ok_or_else(|| Failure::Internal("an empty seller".to_owned()))?,
        subject: None,
        campaign: None,
        offer,
        caller_id: None,
        legally_required: false,
        county: None,
        postal_code: None,
        time_zone: zone,
        processing_regions: Vec::new(),
    };
    let first = zones.first().copied().unwrap_or_else(ZoneId::utc);
    let last_day = first.civil(from).day.saturating_add(i32::try_from(days).unwrap_or(7));
    let until = first.day_start(last_day);
    let places = [Place { jurisdiction: place, zones: zones.clone() }];
    let evidence = Evidence { asserted: &facts, stored: &Facts::default(), lists: &NoLists, live: false };
    let covered = law.chain(place).covered;
    let openings = match covered {
        true => decision::openings(&places, &attempt, evidence, law, postures, from, until),
        false => Vec::new(),
    };
    let reasons = if covered { Vec::new() } else { vec![answer::reason(&decision::no_pack(place))] };
    Ok(v1::CalendarResponse {
        windows: openings.into_iter().map(|opening| window(opening, first)).collect(),
        reasons,
        time_zones: zones.iter().map(|zone| zone.name().to_owned()).collect(),
        rules_version: law.version().to_owned(),
        warnings: Vec::new(),
    })
}

fn zones_of(reader: &mut Reader, place: Jurisdiction, zone: Option<ZoneId>) -> Option<Zones> {
    if let Some(zone) = zone {
        return Some(Zones::from_slice(&[zone]));
    }
    let zones = place::zones_of(place);
    if zones.is_none() {
        reader.fault("place", format!("{place} is not in a known country; give time_zone as well if it is a pack"));
    }
    zones
}

fn window(opening: Opening, zone: ZoneId) -> v1::Window {
    v1::Window {
        starts_at: Some(stamp(opening.starts_at)),
        ends_at: Some(stamp(opening.ends_at)),
        local_starts_at: answer::local(zone, opening.starts_at),
        local_ends_at: answer::local(zone, opening.ends_at),
    }
}

fn pack_message(pack: &Pack, postures: &decision::Postures) -> v1::Pack {
    let mut names: Vec<&str> = Vec::new();
    for rule in &pack.rules {
        let of_rule = rule.posture.iter().chain(&rule.off_posture);
        let of_exemptions = rule.unless.iter().filter_map(|exemption| exemption.posture.as_ref());
        names.extend(of_rule.chain(of_exemptions).map(AsRef::as_ref));
    }
    names.sort_unstable();
    names.dedup();
    let choice = |name: &str| v1::PostureChoice {
        name: name.to_owned(),
        values: vec!["off".to_owned(), "on".to_owned()],
        default_value: "off".to_owned(),
        value: if postures.chose(name) { "on" } else { "off" }.to_owned(),
    };
    v1::Pack {
        jurisdiction: pack.jurisdiction().to_string(),
        title: pack.title().to_owned(),
        reviewed: pack.reviewed().map(|date| date.to_string()).unwrap_or_default(),
        digest: pack.digest().to_owned(),
        covers: pack.covers().iter().map(ToString::to_string).collect(),
        rule_ids: pack.rules.iter().map(|rule| rule.id.to_string()).collect(),
        postures: names.into_iter().map(choice).collect(),
        policy: pack.is_policy(),
    }
}

fn rule_message(pack: &Pack, rule: &Rule) -> v1::Rule {
    let day = |at: Instant| pack.zone().civil(at).date().map(|date| date.to_string()).unwrap_or_default();
    v1::Rule {
        rule_id: rule.id.to_string(),
        jurisdiction: rule.jurisdiction.to_string(),
        kind: kind(&rule.body).into(),
        family: answer::family(rule.family).into(),
        summary: rule.summary.to_string(),
        citation: rule.citation.to_string(),
        confidence: answer::confidence(rule.confidence).into(),
        effective_from: if rule.from == Instant::NEVER { String::new() } else { day(rule.from) },
        effective_until: if rule.until == Instant::FAR { String::new() } else { day(rule.until.minus(Millis(1))) },
        exemptions: rule
            .unless
            .iter()
            .map(|exemption| v1::Exemption {
                summary: exemption.note.to_string(),
                confidence: answer::confidence(exemption.confidence).into(),
            })
            .collect(),
        toml: pack.text_of(rule).to_owned(),
    }
}

const fn kind(body: &Body) -> v1::RuleKind {
    match body {
        Body::Hours { .. } | Body::Inconvenient => v1::RuleKind::Hours,
        Body::Holidays(_) => v1::RuleKind::Holidays,
        Body::Consent(_) => v1::RuleKind::Consent,
        Body::OptOut { .. } => v1::RuleKind::OptOut,
        Body::Registry { .. } => v1::RuleKind::Registry,
        Body::Cap { .. } => v1::RuleKind::Cap,
        Body::CoolOff { .. } => v1::RuleKind::CoolOff,
        Body::Ban => v1::RuleKind::Ban,
        Body::Emergency => v1::RuleKind::Emergency,
        Body::Minor { .. } => v1::RuleKind::Minor,
        Body::Reassigned => v1::RuleKind::Reassigned,
        Body::CrossBorder { .. } => v1::RuleKind::CrossBorder,
        Body::CallerId { .. } => v1::RuleKind::CallerId,
        Body::Abandonment => v1::RuleKind::Abandonment,
        Body::Retention { .. } => v1::RuleKind::Retention,
        Body::Obligation { .. } => v1::RuleKind::Obligation,
        Body::Keywords { .. } => v1::RuleKind::Keywords,
    }
}
