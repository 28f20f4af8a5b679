#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use super::*;

fn parse(text: &str) -> Result<String, NumberError> {
    Number::parse(text, None).map(|number| number.reveal_e164().as_str().to_owned())
}

fn national(text: &str, region: &str) -> Result<String, NumberError> {
    Number::parse(text, Some(region)).map(|number| number.reveal_e164().as_str().to_owned())
}

#[test]
fn digits_that_begin_with_the_calling_code_of_their_region_are_read_with_it_or_refused() {
    // A mobile with its code, or by the plan a line of a small town: an opt-out must not land on the other.
    assert_eq!(national("4915112345678", "DE"), Err(NumberError::Ambiguous));
    assert_eq!(national("49 1511 2345678", "de"), Err(NumberError::Ambiguous));
    let (here, coded) = Number::readings("4915112345678", Some("DE")).unwrap();
    assert_eq!(here.reveal_e164().as_str(), "+494915112345678");
    assert_eq!(coded.unwrap().reveal_e164().as_str(), "+4915112345678");
    for (text, region, meant) in [
        ("+4915112345678", "DE", "+4915112345678"),
        ("004915112345678", "DE", "+4915112345678"),
        ("015112345678", "DE", "+4915112345678"),
        ("15112345678", "DE", "+4915112345678"),
        ("919812345678", "IN", "+919812345678"),
        ("9198123456", "IN", "+919198123456"),
        ("55999998888", "BR", "+5555999998888"),
        ("3912345678", "IT", "+393912345678"),
        ("447911123456", "GB", "+447911123456"),
        ("32470123456", "BE", "+32470123456"),
    ] {
        assert_eq!(national(text, region).as_deref(), Ok(meant), "{text} in {region}");
    }
}

#[test]
fn a_decimal_is_no_number() {
    for text in ["989601.0", "112.0", "22345678.0", "390669812345.0", "22345678,00", "+32470123456.0", " 223456789.00 "]
    {
        assert_eq!(national(text, "BE"), Err(NumberError::Decimal), "{text}");
    }
    assert_eq!(national("01.42.68.53.00", "FR").as_deref(), Ok("+33142685300"));
    assert_eq!(national("01 42 68 53.00", "FR").as_deref(), Ok("+33142685300"));
}

#[test]
fn two_numbers_in_a_cell_and_masked_ones_are_none() {
    for text in [
        "+13055550200;+13055550201",
        "+13055550200; 3055550201",
        "3055550200;3055550201",
        "+49301234****",
        "+1305*550200",
        "305 555 02**",
        "+1305•550200",
        "+49301234xxxx",
        "+49301234XX",
        "+49301234####",
        "+49301234????",
        "+49301234____",
        "+13055550200 x 3055550201",
        "+13055550200#3055550201",
        "+13055550200,3055550201",
        "+13055550200#",
        "+49301234#5",
        "+4930555x45",
        "+49 30 1234 ####",
        "+49 30 1234 ##12",
        "030 123456, 654321",
        "+49 30 1234,5678",
        "305-555-0200, 5550201",
        "+13055550200#5550201",
        "+13055550200 +13055550201",
        "305 555 0200 + 12",
        "+13055550200 ext 12 or 13",
        "tel:2025550143x3055550201;phone-context=+1",
        "tel:202555••••;phone-context=+1",
    ] {
        assert_eq!(national(text, "US"), Err(NumberError::NotANumber), "{text}");
    }
    for text in ["+13055550200;ext=12", "tel:+13055550200;isub=1234;ext=5", "+13055550200;", "+13055550200;note"] {
        assert_eq!(national(text, "US").as_deref(), Ok("+13055550200"), "{text}");
    }
    for text in [
        "+13055550200x12",
        "+1 305 555 0200 Ext. 1234567",
        "305-555-0200 extension 5",
        "(305) 555-0200 #5",
        "+13055550200,,12",
        "+13055550200 ext",
        "305-555-0200 x",
        "305-555-0200 (ext. 12)",
        "305-555-0200 ext-12",
        "305-555-0200 ext\u{a0}12",
        "305-555-0200 ext.12.",
        "=\"3055550200\"",
        "’3055550200,",
        "'+13055550200",
        "\u{202a}+1 305‑555‑0200\u{202c}",
        "[305] 555/0200",
    ] {
        assert_eq!(national(text, "US").as_deref(), Ok("+13055550200"), "{text}");
    }
}

#[test]
fn numbers_of_every_usual_country_are_read() {
    for text in [
        "+16145550101",
        "+16715550110",
        "+16845550113",
        "+19285550131",
        "+18505550140",
        "+16055550148",
        "+33612345678",
        "+442079460123",
        "+447400123456",
        "+447700900123",
        "+33639980123",
        "+491713920012",
        "+8613800138006",
        "+43664123456",
        "+4534412345",
        "+61491570156",
        "+14165550123",
        "+17095550133",
        "+17805550177",
        "+919876543210",
        "+5511912345678",
        "+36201234567",
        "+48123456789",
        "+32450001234",
        "+34612345678",
        "+393123456789",
        "+41781234567",
        "+819012345678",
        "+972502345678",
        "+390612345678",
        "+12025550143",
        "+16795550100",
    ] {
        assert_eq!(parse(text).as_deref(), Ok(text));
        let number = Number::parse(text, None).unwrap();
        assert_eq!(Number::from_digits(number.reveal_digits()), Some(number));
    }
}

#[test]
fn one_number_has_one_value_however_it_is_written() {
    for text in [
        "+44 20 7946 0123",
        "+44 (0)20 7946 0123",
        "+4402079460123",
        "00442079460123",
        "0044 20 7946-0123",
        "tel:+44-20-7946-0123",
        "TEL:+442079460123;ext=5",
        "+442079460123 ext. 99",
        "+44.20.7946.0123",
        "＋４４２０７９４６０１２３",
        " +442079460123 ",
        "(+44) 20 7946 0123",
    ] {
        assert_eq!(parse(text).as_deref(), Ok("+442079460123"), "{text}");
    }
    for (text, region) in [
        ("020 7946 0123", "GB"),
        ("020 7946 0123", "gb"),
        ("+442079460123", "US"),
        ("00442079460123", "US"),
        ("011442079460123", "US"),
        ("0011 44 20 7946 0123", "AU"),
    ] {
        assert_eq!(national(text, region).as_deref(), Ok("+442079460123"), "{text} {region}");
    }
    assert_eq!(national("(202) 555-0143", "US").as_deref(), Ok("+12025550143"));
    assert_eq!(national("1 202 555 0143", "US").as_deref(), Ok("+12025550143"));
    assert_eq!(parse("tel:2025550143;phone-context=+1").as_deref(), Ok("+12025550143"));
    assert_eq!(national("06 12345678", "IT").as_deref(), Ok("+390612345678"));
    assert_eq!(national("06 12 34 56 78", "FR").as_deref(), Ok("+33612345678"));
}

#[test]
fn what_is_no_possible_number_is_named() {
    for (text, error) in [
        ("", NumberError::Empty),
        ("  ", NumberError::Empty),
        ("+", NumberError::NotANumber),
        ("+ ", NumberError::NotANumber),
        ("call me", NumberError::NotANumber),
        ("1-800-FLOWERS", NumberError::NotANumber),
        ("+1202555O143", NumberError::NotANumber),
        ("+0123456789", NumberError::UnknownCallingCode),
        ("+012025550143", NumberError::UnknownCallingCode),
        ("+0 1 202 555 0143", NumberError::UnknownCallingCode),
        ("+999123456789", NumberError::UnknownCallingCode),
        ("+2101234567", NumberError::UnknownCallingCode),
        ("+1202555014", NumberError::TooShort),
        ("+120255501433", NumberError::TooLong),
        ("+12", NumberError::TooShort),
        ("+1234567890123456789012345678901234567890", NumberError::TooLong),
        ("1234567890123456789012345678901234567890", NumberError::MissingRegion),
        ("2025550143", NumberError::MissingRegion),
        ("911", NumberError::Emergency),
        ("112", NumberError::Emergency),
        ("999", NumberError::Emergency),
        ("+911", NumberError::Emergency),
        ("12345", NumberError::ShortCode),
        ("7", NumberError::TooShort),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
    assert_eq!(national("911", "US"), Err(NumberError::Emergency));
    assert_eq!(national("118", "IT"), Err(NumberError::Emergency));
    assert_eq!(national("72345", "US"), Err(NumberError::ShortCode));
    assert_eq!(national("1234567890123456789012345678901234567890", "US"), Err(NumberError::TooLong));
    assert_eq!(parse(&"1".repeat(10_000_000)), Err(NumberError::TooLong));
    assert_eq!(parse(&" ".repeat(10_000_000)), Err(NumberError::TooLong));
}

#[test]
fn an_unknown_region_is_told_apart_from_a_bad_number() {
    for region in ["XX", "USA", "U", "001", "ÄÖ", "EU", "United States", "U\0"] {
        assert_eq!(national("+12025550143", region), Err(NumberError::BadRegion), "{region}");
    }
    assert_eq!(national("+12025550143", "").as_deref(), Ok("+12025550143"));
}

#[test]
fn numbers_that_look_unassigned_are_accepted() {
    for text in [
        "+447700900123",
        "+33639980123",
        "+16795550100",
        "+12115550100",
        "+19115550100",
        "+12025550199",
        "+18001234567",
    ] {
        assert_eq!(parse(text).as_deref(), Ok(text));
    }
}

#[test]
fn a_printed_number_is_masked() {
    let shown = |text: &str| Number::parse(text, None).unwrap().to_string();
    assert_eq!(shown("+12025550143"), "+1202555••43");
    assert_eq!(shown("+2902345"), "+290•••5");
    for text in ["+12025550143", "+2902345", "+390612345678", "+6833999", "+4916012345678"] {
        let number = Number::parse(text, None).unwrap();
        assert_ne!(number.to_string(), text);
        assert_eq!(format!("{number:?}"), number.to_string());
        assert!(number.to_string().contains("••"));
        assert_eq!(number.to_string().chars().count(), text.len());
    }
}

#[test]
fn no_error_carries_digits() {
    for text in ["+1202555014", "+999123456789", "12345", "1-800-FLOWERS"] {
        let error = Number::parse(text, None).unwrap_err();
        assert!(!format!("{error} {error:?}").chars().any(|c| c.is_ascii_digit()), "{error}");
    }
}

#[test]
fn a_number_written_with_prefix_upon_prefix_is_one_number() {
    for text in ["00０00000０x", "000000013800138000", "0 0 0138 0013 8000"] {
        let Ok(first) = national(text, "CN") else { continue };
        assert_eq!(parse(&first), Ok(first.clone()), "{text}");
    }
}
