//! The numbering tables against libphonenumber: on a committed sample of generated numbers of every region
//! (`place/reference.tsv`: country, kind, zones, state or province; metadata 9.0.43) and, over numbers generated anew,
//! against `rlibphonenumber` (metadata 9.0.42: calling codes that upstream changed since are left to
//! the sample).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberType};

use ringfence::place::{
    Location, LocationPosture, Number, NumberError, NumberType, Plausible, Resolution, TABLES, country_group, resolve,
};
use ringfence::time::{Instant, Millis, ZoneId};

/// Where the library's zones are known to be wrong: number prefix, zone, reason.
const WRONG_ZONES: [(&str, &str, &str); 15] = [
    ("+1915", "America/Chicago", "El Paso and Hudspeth keep Mountain time only"),
    ("+1907", "America/Juneau", "same clock as Anchorage since 1983"),
    ("+1907", "Pacific/Honolulu", "Adak has had its own zone with summer time since 1983"),
    ("+1474", "America/Winnipeg", "overlay of 306, Saskatchewan"),
    ("+1879", "America/Puerto_Rico", "overlay of 709, Newfoundland and Labrador"),
    ("+1867", "America/Winnipeg", "the Kivalliq keeps Rankin_Inlet, which did not follow Manitoba in 2026"),
    ("+7", "Europe/Bucharest", "Kaliningrad, without summer time since 2011"),
    ("+7", "Asia/Anadyr", "same clock as Kamchatka"),
    ("+52", "America/New_York", "no part of Mexico"),
    ("+211", "Africa/Nairobi", "South Sudan left that clock in 2021"),
    ("+212", "Atlantic/Canary", "Western Sahara keeps Morocco's clock"),
    ("+213", "Europe/Paris", "a stand-in; Algeria has no summer time"),
    ("+218", "Europe/Bucharest", "a stand-in; Libya has no summer time"),
    ("+505", "America/Chicago", "a stand-in; Nicaragua has no summer time"),
    ("+970", "Europe/Bucharest", "a stand-in; Palestine has a summer time of its own"),
];

/// Zones that the library names for no number of a region: region, zone, reason.
const ONLY_OURS: [(&str, &str, &str); 16] = [
    ("AU", "Australia/Darwin", "the library gives the Northern Territory the clock of Adelaide, which has summer time"),
    ("CA", "America/Cambridge_Bay", "Mountain time of Nunavut, which still changes its clocks"),
    ("CA", "America/Rankin_Inlet", "Central time of Nunavut, which did not follow Manitoba in 2026"),
    ("CL", "America/Coyhaique", "Aysén left Santiago's clock in 2025"),
    ("CL", "America/Punta_Arenas", "Magallanes left Santiago's clock in 2016"),
    ("CL", "Pacific/Easter", "Easter Island shares the country's numbers"),
    ("DZ", "Africa/Algiers", "the library's stand-in is Paris, which has summer time"),
    ("GL", "America/Danmarkshavn", "a station on UTC, under the country's numbers"),
    ("LY", "Africa/Tripoli", "the library's stand-in is Bucharest, which has summer time"),
    ("MA", "Africa/Casablanca", "the library's stand-in is the Canaries, whose summer is Morocco's whole year"),
    ("NI", "America/Managua", "the library's stand-in is Chicago, which has summer time"),
    ("PG", "Pacific/Bougainville", "an hour ahead since 2014"),
    ("PS", "Asia/Gaza", "summer time of its own; the library's stand-in is Bucharest"),
    ("RU", "Europe/Kaliningrad", "the library's stand-in is Bucharest, which has summer time"),
    ("SS", "Africa/Juba", "an hour behind Nairobi since 2021"),
    ("UA", "Europe/Simferopol", "Crimea, where Ukrainian numbers may still be carried, keeps Moscow's clock"),
];

fn look(text: &str) -> Resolution {
    let number = Number::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(number.reveal_e164().as_str(), text);
    resolve(number, &Location::default(), LocationPosture::Strictest).unwrap()
}

fn type_name(kind: NumberType) -> &'static str {
    match kind {
        NumberType::Mobile => "mobile",
        NumberType::Fixed => "fixed",
        NumberType::FixedOrMobile => "fixed_or_mobile",
        NumberType::Voip => "voip",
        NumberType::TollFree => "toll_free",
        NumberType::Premium => "premium",
        NumberType::SharedCost => "shared_cost",
        NumberType::Personal => "personal",
        NumberType::Pager => "pager",
        NumberType::Uan => "uan",
        NumberType::Voicemail => "voicemail",
        NumberType::Global => "global",
        NumberType::Unknown => "unknown",
    }
}

/// The wall clock of a zone through 2027 and 2028, after the Canadian changes of autumn 2026.
fn clock(zone: ZoneId) -> Vec<i64> {
    let start = Instant::from_rfc3339("2026-12-01T00:00:00Z").unwrap();
    (0..200).map(|n| zone.regime(start.plus(Millis::days(n * 4))).offset_millis).collect()
}

#[test]
fn the_reference_sample_agrees() {
    let text = include_str!("place/reference.tsv");
    let mut clocks: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut clock_of = |name: &str| {
        clocks.entry(name.to_owned()).or_insert_with(|| clock(ZoneId::by_name(name).expect("a known zone"))).clone()
    };
    let mut failures = Vec::new();
    let mut region_clocks: BTreeMap<&str, BTreeSet<Vec<i64>>> = BTreeMap::new();
    let mut our_zones: BTreeMap<&str, BTreeSet<(String, Vec<i64>)>> = BTreeMap::new();
    let (mut rows, mut states) = (0, 0);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [number, region, kind, valid, zones, state] = cells[..] else { panic!("{line}") };
        rows += 1;
        let found = look(number);
        if found.assigned != (valid == "valid") {
            failures.push(format!("{number}: assigned {}, reference {valid}", found.assigned));
        }
        let world = region == "001" && !["toll_free", "premium", "shared_cost"].contains(&kind);
        let expected = if world { "global" } else { kind };
        // The kind of a number in no known range is ours to say: by its prefix.
        if found.assigned && type_name(found.number_type) != expected {
            failures.push(format!("{number}: {:?}, reference {kind}", found.number_type));
        }
        let Plausible::Places(places) = &found.plausible else { continue };
        if region != "-" {
            let same = |code: &str| places.iter().any(|place| place.jurisdiction.root().as_str() == code);
            let ours = same(region);
            if !ours {
                failures.push(format!("{number}: {places:?}, reference {region}"));
            }
        }
        if state != "-" {
            states += 1;
            if !places.iter().any(|place| place.jurisdiction.as_str() == state) {
                failures.push(format!("{number}: {places:?}, reference {state}"));
            }
        }
        let ours: Vec<(String, Vec<i64>)> = places
            .iter()
            .flat_map(|place| place.zones.iter())
            .map(|zone| (zone.name().to_owned(), clock_of(zone.name())))
            .collect();
        let (any_of, zones) = zones.strip_prefix('~').map_or((false, zones), |zones| (true, zones));
        let theirs: Vec<&str> = zones.split(',').filter(|zone| *zone != "-").collect();
        for zone in theirs.iter().filter(|_| !any_of) {
            let excused = WRONG_ZONES.iter().any(|(prefix, name, _)| number.starts_with(prefix) && name == zone);
            if !excused && !ours.iter().any(|(_, clock)| *clock == clock_of(zone)) {
                failures.push(format!("{number} ({region}, {kind}): lacks {zone}, has {places:?}"));
            }
        }
        for zone in theirs.iter().filter(|_| !any_of) {
            region_clocks.entry(region).or_default().insert(clock_of(zone));
        }
        for (zone, clock) in ours {
            let missing_there = any_of && !theirs.iter().any(|theirs| clock_of(theirs) == clock);
            if missing_there && !ONLY_OURS.iter().any(|(of, name, _)| *of == region && *name == zone) {
                failures.push(format!("{number} ({region}, {kind}): {zone} is no zone of its calling code: {zones}"));
            }
            our_zones.entry(region).or_default().insert((zone, clock));
        }
    }
    // More zones than the library names for a number are the strictest reading; more than it names for the whole region
    // need a reason.
    let mut extra = BTreeSet::new();
    for (region, zones) in our_zones.iter().filter(|(region, _)| **region != "-") {
        let Some(known) = region_clocks.get(region) else { continue };
        extra
            .extend(zones.iter().filter(|(_, clock)| !known.contains(clock)).map(|(zone, _)| (*region, zone.as_str())));
    }
    let explained: BTreeSet<_> = ONLY_OURS.iter().map(|(region, zone, _)| (*region, *zone)).collect();
    failures.extend(extra.difference(&explained).map(|extra| format!("{extra:?} is no zone of the region there")));
    failures.extend(explained.difference(&extra).map(|stale| format!("{stale:?} is explained and no difference")));
    let regions: BTreeSet<_> = our_zones.keys().filter(|region| **region != "-").collect();
    assert!(regions.len() >= 240, "generated numbers of every region: {}", regions.len());
    assert!(rows > 8_000 && states > 450, "{rows}, {states} with a state or province");
    assert!(failures.is_empty(), "{} of {rows}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_table_names_its_source_in_line_one() {
    for (name, text) in TABLES {
        assert!(text.starts_with("# "), "{name}");
        assert!(text.lines().count() > 100, "{name}");
    }
}

fn theirs(number: &rlibphonenumber::PhoneNumber) -> NumberType {
    match PHONE_NUMBER_UTIL.get_number_type(number) {
        PhoneNumberType::FixedLine => NumberType::Fixed,
        PhoneNumberType::Mobile => NumberType::Mobile,
        PhoneNumberType::FixedLineOrMobile => NumberType::FixedOrMobile,
        PhoneNumberType::TollFree => NumberType::TollFree,
        PhoneNumberType::PremiumRate => NumberType::Premium,
        PhoneNumberType::SharedCost => NumberType::SharedCost,
        PhoneNumberType::VoIP => NumberType::Voip,
        PhoneNumberType::PersonalNumber => NumberType::Personal,
        PhoneNumberType::Pager => NumberType::Pager,
        PhoneNumberType::UAN => NumberType::Uan,
        PhoneNumberType::VoiceMail => NumberType::Voicemail,
        PhoneNumberType::Unknown => NumberType::Unknown,
    }
}

/// A number of a real calling code: every row's number with its tail redrawn, so that hits and near misses abound.
fn generated() -> impl Strategy<Value = String> {
    let numbers: Vec<&'static str> = include_str!("place/reference.tsv")
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.split('\t').next().unwrap())
        .collect();
    (prop::sample::select(numbers), 0_usize..9, "[0-9]{9}").prop_map(|(number, keep_off, tail)| {
        let kept = number.len().saturating_sub(keep_off).max(3);
        format!("{}{}", &number[..kept], &tail[..number.len() - kept])
    })
}

/// Calling codes whose patterns changed between the two metadata versions.
const CHANGED_SINCE: [&str; 9] = ["+229", "+86", "+49", "+593", "+251", "+995", "+856", "+40", "+263"];

fn agree(text: &str) -> Result<(), TestCaseError> {
    let Ok(library) = PHONE_NUMBER_UTIL.parse(text, None) else { return Ok(()) };
    // Possible to dial from everywhere: a number without its area code is not.
    let length = PHONE_NUMBER_UTIL.is_possible_number_with_reason(&library);
    let possible = matches!(length, Ok(NumberLengthType::IsPossible));
    let number = match Number::parse(text, None) {
        Ok(number) => number,
        Err(error) => {
            prop_assert!(!possible, "{text} is possible, refused: {error}");
            return Ok(());
        }
    };
    if CHANGED_SINCE.iter().any(|code| text.starts_with(code)) {
        return Ok(());
    }
    // What the library says of its own answer may have lost another zero: a number is what stays the same.
    let written = |number: &_| PHONE_NUMBER_UTIL.format(number, rlibphonenumber::PhoneNumberFormat::E164).into_owned();
    let mut library = library;
    let mut e164 = written(&library);
    while let Ok(again) = PHONE_NUMBER_UTIL.parse(&e164, None) {
        let shorter = written(&again);
        if shorter == e164 {
            break;
        }
        (library, e164) = (again, shorter);
    }
    let whole = number.reveal_e164();
    prop_assert_eq!(whole.as_str(), &e164);
    let found = resolve(number, &Location::default(), LocationPosture::Strictest).unwrap();
    let valid = PHONE_NUMBER_UTIL.is_valid_number(&library);
    prop_assert_eq!(found.assigned, valid, "{}", text);
    if !valid {
        return Ok(());
    }
    let kind = theirs(&library);
    let ours = found.number_type;
    prop_assert!(ours == kind || ours == NumberType::Global, "{} {:?} {:?}", text, ours, kind);
    let region = PHONE_NUMBER_UTIL.get_region_for_number(&library);
    if let Some(region) = region {
        never_another(&whole.as_str()[1..], region.as_region_str().as_str(), number)?;
    }
    if let (Plausible::Places(places), Some(region)) = (&found.plausible, region) {
        let region = region.as_region_str();
        let there = places.iter().any(|place| place.jurisdiction.root().as_str() == region.as_str());
        prop_assert!(there, "{} {:?}", text, places);
    }
    Ok(())
}

/// Digits that an export left of a number given out, read in its country: that number or none; and never another one of what a
/// spreadsheet made of them.
fn never_another(digits: &str, region: &str, number: Number) -> Result<(), TestCaseError> {
    if let Ok(read) = Number::parse(digits, Some(region)) {
        prop_assert_eq!(read, number, "{} in {}", digits, region);
    }
    let (first, other) = Number::readings(digits, Some(region)).unwrap_or((number, None));
    prop_assert!(first == number || other == Some(number), "{} in {}", digits, region);
    for decimal in [format!("{digits}.0"), format!("+{digits},00")] {
        prop_assert!(Number::parse(&decimal, Some(region)).is_err(), "{} in {}", decimal, region);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_the_library_on_generated_numbers(text in generated()) {
        agree(&text)?;
    }

    #[test]
    fn reading_never_panics(text in ".{0,300}", region in prop::option::of("[A-Za-z]{0,3}")) {
        let _ = Number::parse(&text, region.as_deref());
    }

    #[test]
    fn reading_never_panics_on_what_looks_like_a_number(
        text in concat!(
            "(tel:|TEL:|\\+|00|\\(|＋)?[0-9０-９ ().+;=x#*/-]{0,40}",
            "(ext|;ext=|;phone-context=|x)?[+0-9a-z.]{0,12}",
        ),
        region in prop::sample::select(vec!["", "US", "GB", "MX", "AR", "BR", "IT", "JP", "CN", "ZZ", "us"]),
    ) {
        if let Ok(number) = Number::parse(&text, Some(region)) {
            let whole = number.reveal_e164();
            prop_assert_eq!(Number::parse(whole.as_str(), None), Ok(number), "one number, one value: {}", text);
            prop_assert!(number.to_string().contains('•'));
            prop_assert_ne!(number.to_string(), whole.as_str());
            let _ = resolve(number, &Location::default(), LocationPosture::Residence);
        }
    }

    #[test]
    fn any_digits_after_plus_are_read_or_refused(text in "\\+[0-9]{0,45}") {
        match Number::parse(&text, None) {
            Ok(number) => {
                prop_assert!(text.len() <= 25);
                let found = resolve(number, &Location::default(), LocationPosture::Strictest).unwrap();
                prop_assert!(matches!(found.plausible, Plausible::Nowhere(_)) || found.plausible.iter().count() > 0);
                for place in &found.plausible {
                    prop_assert!(!place.zones.is_empty());
                    prop_assert_eq!(country_group(place.jurisdiction).as_str().len(), 2);
                }
            }
            Err(error) => prop_assert_ne!(error, NumberError::BadRegion),
        }
    }
}
