#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;

const STRICT: LocationPosture = LocationPosture::Strictest;
const HOME: LocationPosture = LocationPosture::Residence;

fn at(residences: &[&str]) -> Location {
    Location { residences: residences.iter().map(|code| code.parse().unwrap()).collect(), ..Location::default() }
}

fn zip(residences: &[&str], postal_code: &str) -> Location {
    Location { postal_code: Some(postal_code.to_owned()), ..at(residences) }
}

fn zoned(residences: &[&str], zone: &str) -> Location {
    Location { time_zone: ZoneId::by_name(zone), ..at(residences) }
}

fn full(number: &str, location: &Location, posture: LocationPosture) -> Resolution {
    resolve(Number::parse(number, None).unwrap(), location, posture).unwrap()
}

/// `US-FL Chicago New_York | US-NY …`: the last part of each zone's name.
fn shown(resolution: &Resolution) -> String {
    let place = |place: &Place| {
        let zones = place.zones.iter().map(|zone| zone.name().rsplit('/').next().unwrap());
        std::iter::once(place.jurisdiction.to_string()).chain(zones.map(str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    match &resolution.plausible {
        Plausible::Nowhere(reason) => format!("{reason:?}"),
        places => places.iter().map(place).collect::<Vec<_>>().join(" | "),
    }
}

fn places(number: &str) -> String {
    shown(&full(number, &Location::default(), STRICT))
}

fn with(number: &str, location: &Location) -> String {
    shown(&full(number, location, STRICT))
}

fn home(number: &str, location: &Location) -> String {
    shown(&full(number, location, HOME))
}

#[test]
fn a_number_alone_has_the_places_of_its_prefix() {
    for (number, expected) in [
        ("+16145550101", "US-OH New_York"),
        ("+16715550110", "GU Guam"),
        ("+16845550113", "AS Pago_Pago"),
        ("+16705550113", "MP Saipan"),
        ("+17875550113", "PR Puerto_Rico"),
        ("+13405550113", "VI St_Thomas"),
        ("+18085550113", "US-HI Honolulu"),
        ("+14165550123", "CA-ON Toronto"),
        ("+17095550133", "CA-NL Goose_Bay St_Johns"),
        ("+17805550177", "CA-AB Edmonton"),
        ("+19025550177", "CA-NS Halifax | CA-PE Halifax"),
        ("+12425550177", "BS Nassau"),
        ("+33612345678", "FR Paris"),
        ("+442079460123", "GB London"),
        ("+447400123456", "GB London"),
        ("+491713920012", "DE Berlin"),
        ("+8613800138006", "CN Shanghai"),
        ("+43664123456", "AT Vienna"),
        ("+4534412345", "DK Copenhagen"),
        ("+919876543210", "IN Kolkata"),
        ("+5511912345678", "BR-SP Sao_Paulo"),
        ("+5581912345678", "BR-PE Noronha Sao_Paulo"),
        ("+36201234567", "HU Budapest"),
        ("+48123456789", "PL Warsaw"),
        ("+32450001234", "BE Brussels"),
        ("+34612345678", "ES Canary Madrid"),
        ("+34922123456", "ES Canary"),
        ("+34912345678", "ES Madrid"),
        ("+351912345678", "PT Azores Lisbon"),
        ("+351296123456", "PT Azores"),
        ("+351212345678", "PT Lisbon"),
        ("+393123456789", "IT Rome"),
        ("+41781234567", "CH Zurich"),
        ("+819012345678", "JP Tokyo"),
        ("+972502345678", "IL Jerusalem"),
    ] {
        assert_eq!(places(number), expected, "{number}");
    }
}

#[test]
fn split_area_codes_and_their_overlays_have_both_clocks() {
    for (codes, zones) in [
        ("850 448", "Chicago New_York"),
        ("423 729", "Chicago New_York"),
        ("270 364 606", "Chicago New_York"),
        ("219 574 812 930", "Chicago New_York"),
        ("906", "Chicago New_York"),
        ("701 605 308 620 785", "Chicago Denver"),
        ("208 986", "Boise Los_Angeles"),
        ("541 458", "Boise Los_Angeles"),
        ("775", "Denver Los_Angeles"),
        ("907", "Adak Anchorage"),
        ("928", "Denver Phoenix"),
        ("480 520 602 623", "Phoenix"),
        ("915", "Denver"),
        ("435 505", "Denver"),
        ("260 317 463 765 502 859 313 679 407 629", ""),
    ] {
        for code in codes.split(' ').filter(|_| !zones.is_empty()) {
            let shown = places(&format!("+1{code}2345678"));
            assert_eq!(shown.split_once(' ').unwrap().1, zones, "{code}");
        }
    }
    for code in ["260", "317", "463", "765", "502", "859", "313", "679"] {
        assert!(places(&format!("+1{code}2345678")).ends_with(" New_York"), "{code}");
    }
}

#[test]
fn codes_missing_from_the_library_have_their_states() {
    for (code, state) in [
        (679, "US-MI"),
        (861, "US-IL"),
        (436, "US-OH"),
        (837, "US-CA"),
        (357, "US-CA"),
        (729, "US-TN"),
        (471, "US-MS"),
        (624, "US-NY"),
        (465, "US-NY"),
        (457, "US-LA"),
    ] {
        let resolution = full(&format!("+1{code}2345678"), &Location::default(), STRICT);
        assert!(shown(&resolution).starts_with(&format!("{state} ")), "{code}");
        assert!(!shown(&resolution).contains('|'));
    }
}

#[test]
fn border_customs_count_only_where_nothing_better_is_known() {
    assert_eq!(places("+19312345678"), "US-TN Chicago New_York");
    assert_eq!(places("+14322345678"), "US-TX Chicago Denver");
    assert_eq!(places("+13342345678"), "US-AL Chicago New_York");
    assert_eq!(places("+17062345678"), "US-GA Chicago New_York");
    assert_eq!(home("+19312345678", &Location::default()), "US-TN Chicago");
    assert_eq!(with("+13342345678", &at(&["US-AL"])), "US-AL Chicago");
    assert_eq!(with("+13342345678", &at(&["US-MS"])), "US-AL Chicago | US-MS Chicago");
    assert_eq!(with("+13342345678", &at(&["US"])), "US-AL Chicago New_York", "US alone says nothing new");
    assert_eq!(with("+13342345678", &zoned(&[], "America/Chicago")), "US-AL Chicago");
}

#[test]
fn shared_calling_codes_tell_their_places_apart() {
    for (number, expected) in [
        ("+441481256789", "GG Guernsey"),
        ("+447781123456", "GG Guernsey"),
        ("+447797712345", "JE Jersey"),
        ("+441534456789", "JE Jersey"),
        ("+441624756789", "IM Isle_of_Man"),
        ("+447624123456", "IM Isle_of_Man"),
        ("+262692123456", "RE Reunion"),
        ("+262639012345", "YT Mayotte"),
        ("+596696201234", "MQ Martinique"),
        ("+594694201234", "GF Cayenne"),
        ("+4779123456", "SJ Longyearbyen"),
        ("+35818123456", "AX Mariehamn"),
        ("+77710009998", "KZ Almaty Qyzylorda"),
        ("+61891641234", "CX Christmas"),
        ("+59994351234", "CW Curacao"),
        ("+5997151234", "BQ Kralendijk"),
    ] {
        assert_eq!(places(number), expected, "{number}");
    }
    assert_eq!(places("+590690001234"), "GP Guadeloupe");
    assert!(places("+79123456789").starts_with("RU "));
}

#[test]
fn an_unassigned_number_of_a_shared_code_may_be_in_every_region_of_it() {
    let resolution = full("+447700900123", &Location::default(), STRICT);
    assert!(!resolution.assigned);
    assert_eq!(resolution.number_type, NumberType::Unknown);
    assert_eq!(resolution.certain_line, None);
    assert_eq!(shown(&resolution), "GB London | GG Guernsey | IM Isle_of_Man | JE Jersey");
    assert_eq!(places("+33639980123"), "FR Paris");
}

#[test]
fn an_unknown_area_code_is_every_place_under_plus_one() {
    for number in ["+12222345678", "+12112345678", "+19112345678", "+12922345678"] {
        let resolution = full(number, &Location::default(), STRICT);
        let codes: Vec<&str> = resolution.plausible.iter().map(|place| place.jurisdiction.as_str()).collect();
        assert_eq!(codes.len(), 51 + 5 + 13 + 18, "{codes:?}");
        for code in ["US-FL", "US-HI", "US-DC", "PR", "GU", "CA-ON", "CA-NU", "JM", "DO", "BM"] {
            assert!(codes.contains(&code), "{code}");
        }
        assert!(codes.is_sorted());
        assert!(matches!(resolution.plausible, Plausible::Places(Places::Static(_))));
        assert_eq!(full(number, &at(&["US-TX"]), STRICT).plausible, resolution.plausible);
        assert_eq!(full(number, &at(&["US"]), STRICT).plausible, resolution.plausible);
        let with_france = full(number, &at(&["FR"]), STRICT);
        assert_eq!(with_france.plausible.iter().count(), codes.len() + 1);
        assert_eq!(full(number, &at(&["US"]), HOME).plausible.iter().count(), 56);
        assert_eq!(home(number, &at(&["US-TX"])), "US-TX Chicago Denver");
    }
    assert!(!full("+12112345678", &Location::default(), STRICT).assigned);
}

#[test]
fn numbers_without_a_place_stay_without_one() {
    for (number, reason, kind) in [
        ("+18005550143", "TollFree", NumberType::TollFree),
        ("+18225550143", "TollFree", NumberType::TollFree),
        ("+18001234567", "TollFree", NumberType::TollFree),
        ("+19005550143", "Premium", NumberType::Premium),
        ("+15005550143", "Personal", NumberType::Personal),
        ("+15262345678", "Personal", NumberType::Personal),
        ("+17105550143", "Service", NumberType::Unknown),
        ("+80012345678", "TollFree", NumberType::TollFree),
        ("+881612345678", "Global", NumberType::Global),
        ("+870773111632", "Global", NumberType::Global),
        ("+883510012345", "Global", NumberType::Global),
        ("+979123456789", "Premium", NumberType::Premium),
        ("+448001234567", "TollFree", NumberType::TollFree),
        ("+449012345678", "Premium", NumberType::Premium),
        ("+447012345678", "Personal", NumberType::Personal),
    ] {
        for location in [Location::default(), at(&["US-FL"]), zoned(&["FR"], "Europe/Paris")] {
            let resolution = full(number, &location, STRICT);
            assert_eq!(shown(&resolution), reason, "{number}");
            assert_eq!(resolution.number_type, kind, "{number}");
        }
    }
}

#[test]
fn a_residence_adds_its_law_and_zones() {
    assert_eq!(with("+12125550143", &at(&["US-FL"])), "US-FL Chicago New_York | US-NY Chicago New_York");
    assert_eq!(with("+16145550101", &at(&["US-OH"])), "US-OH New_York");
    assert_eq!(with("+14805550131", &at(&["US-AZ"])), "US-AZ Denver Phoenix");
    assert_eq!(with("+33612345678", &at(&["FR"])), "FR Paris");
    assert_eq!(with("+33612345678", &at(&["FR-974"])), "FR Paris Reunion | RE Paris Reunion");
    assert_eq!(with("+33612345678", &at(&["DE-BY"])), "DE-BY Berlin Paris | FR Berlin Paris");
    assert_eq!(
        with("+442079460123", &at(&["GG", "FR"])),
        "FR Guernsey London Paris | GB Guernsey London Paris | GG Guernsey London Paris"
    );
    assert_eq!(with("+13055550143", &at(&["US-PR"])), "PR New_York Puerto_Rico | US-FL New_York Puerto_Rico");
}

#[test]
fn a_residence_within_the_numbers_country_is_narrower() {
    assert_eq!(with("+491713920012", &at(&["DE-BY"])), "DE-BY Berlin");
    assert_eq!(with("+491713920012", &at(&["DE-BY", "DE-BE"])), "DE-BE Berlin | DE-BY Berlin");
    assert_eq!(with("+34612345678", &at(&["ES-MD"])), "ES-MD Madrid");
    assert_eq!(with("+34922123456", &at(&["ES-MD"])), "ES-MD Canary Madrid", "the prefix speaks for the Canaries");
    assert_eq!(with("+61491570156", &at(&["AU-NSW"])), "AU-NSW Adelaide Lord_Howe Sydney");
    assert_eq!(with("+5511912345678", &at(&["BR-SP"])), "BR-SP Sao_Paulo");
    assert_eq!(
        with("+5511912345678", &at(&["BR-AM"])),
        "BR-AM Manaus Rio_Branco Sao_Paulo | BR-SP Manaus Rio_Branco Sao_Paulo"
    );
}

#[test]
fn a_country_that_holds_the_numbers_place_adds_nothing() {
    for (number, country) in [
        ("+12125550143", "US"),
        ("+17875550143", "US"),
        ("+14165550123", "CA"),
        ("+34922123456", "ES"),
        ("+5511912345678", "BR"),
        ("+19025550177", "CA"),
    ] {
        let alone = full(number, &Location::default(), STRICT);
        assert_eq!(full(number, &at(&[country]), STRICT), alone, "{number}");
        assert_eq!(full(number, &at(&[country]), HOME).plausible, alone.plausible, "{number}");
    }
    assert_eq!(full("+442079460123", &at(&["US"]), STRICT).plausible.iter().count(), 57);
}

#[test]
fn posture_residence_drops_the_number() {
    assert_eq!(home("+12125550143", &at(&["US-FL"])), "US-FL Chicago New_York");
    assert_eq!(home("+33612345678", &at(&["DE"])), "DE Berlin");
    assert_eq!(home("+34922123456", &at(&["ES-MD"])), "ES-MD Madrid");
    assert_eq!(home("+12125550143", &at(&["US-FL", "FR"])), "FR Paris | US-FL Chicago New_York");
    assert_eq!(home("+12125550143", &Location::default()), "US-NY New_York");
}

#[test]
fn an_explicit_zone_is_the_only_one() {
    assert_eq!(with("+19285550131", &zoned(&["US-AZ"], "America/Denver")), "US-AZ Denver");
    assert_eq!(with("+12125550143", &zoned(&["US-FL"], "America/Chicago")), "US-FL Chicago | US-NY Chicago");
    let everywhere = full("+12225550143", &zoned(&[], "America/Chicago"), STRICT);
    assert_eq!(everywhere.plausible.iter().count(), 87);
    assert!(
        everywhere
            .plausible
            .iter()
            .all(|place| place.zones.as_slice() == [ZoneId::by_name("America/Chicago").unwrap()])
    );
}

#[test]
fn a_zip_code_acts_as_a_residence_or_narrows_one() {
    assert_eq!(with("+12125550143", &zip(&[], "33101")), "US-FL New_York | US-NY New_York");
    assert_eq!(with("+16145550101", &zip(&[], "43215")), "US-OH New_York");
    assert_eq!(with("+13055550143", &zip(&["US-FL"], "33101")), "US-FL New_York");
    assert_eq!(home("+12125550143", &zip(&["US-FL"], "325")), "US-FL Chicago");
    assert_eq!(home("+12125550143", &zip(&["US"], "32501")), "US-FL Chicago");
    assert_eq!(home("+12125550143", &zip(&["US-OH"], "32501")), "US-FL Chicago | US-OH New_York", "they disagree");
    assert_eq!(home("+17875550143", &zip(&["US-PR"], "00901")), "PR Puerto_Rico");
    assert_eq!(with("+12125550143", &zip(&[], "09012")), "US-NY New_York", "military post says nothing");
    assert_eq!(with("+33612345678", &zip(&["FR"], "75001")), "FR Paris");
    assert_eq!(with("+14165550123", &zip(&[], "M5V 2T6")), "CA-ON Toronto");
    assert_eq!(with("+12125550143", &zip(&[], " ")), "US-NY New_York");
}

#[test]
fn what_cannot_be_used_is_named_with_its_field() {
    let number = Number::parse("+12125550143", None).unwrap();
    let error = |location| resolve(number, &location, STRICT).unwrap_err();
    assert_eq!(error(zip(&[], "K1A 0B1")).field(), "location.postal_code");
    assert_eq!(error(zip(&["US-NY"], "1234")).field(), "location.postal_code");
    assert_eq!(error(at(&["XX"])).field(), "location.residence");
    assert_eq!(error(at(&["EU"])), LocationError::UnknownCountry(Jurisdiction::EU));
    assert_eq!(error(at(&["XX-01"])).to_string(), "XX-01 is not in a known country");
}

#[test]
fn only_what_the_plan_makes_certain_is_a_certain_line() {
    for (number, line) in [
        ("+447400123456", Some(LineType::Mobile)),
        ("+442079460123", Some(LineType::Landline)),
        ("+445612345678", Some(LineType::Voip)),
        ("+12125550143", None),
        ("+447700900123", None),
        ("+8613800138006", Some(LineType::Mobile)),
    ] {
        assert_eq!(full(number, &Location::default(), STRICT).certain_line, line, "{number}");
    }
}

#[test]
fn ordinary_answers_are_borrowed() {
    for (number, location) in [
        ("+16145550101", Location::default()),
        ("+16145550101", at(&["US-OH"])),
        ("+33612345678", at(&["FR"])),
        ("+12225550101", at(&["US-OH"])),
        ("+16145550101", zoned(&["US-OH"], "America/New_York")),
    ] {
        let resolution = full(number, &location, STRICT);
        assert!(matches!(resolution.plausible, Plausible::Places(Places::Static(_))), "{number}");
    }
}

#[test]
fn every_area_code_has_places_that_are_sorted_and_zoned() {
    for area in 200..1000 {
        let resolution = full(&format!("+1{area}2345678"), &Location::default(), STRICT);
        let Plausible::Places(places) = &resolution.plausible else { continue };
        assert!(!places.is_empty());
        assert!(places.iter().all(|place| !place.zones.is_empty()), "{area}");
        assert!(places.is_sorted_by_key(|place| place.jurisdiction), "{area}");
    }
}
