#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn the_patterns_of_every_calling_code_compile() {
    let codes = codes();
    assert!(codes.list.len() >= 210);
    for code in &codes.list {
        let compiled = code.compiled();
        assert!(compiled.table.is_some(), "+{}", code.code);
        assert!(!compiled.classes.is_empty(), "+{}", code.code);
        assert!(code.lengths > 0, "+{}", code.code);
    }
}

#[test]
fn calling_codes_are_split_off() {
    for (digits, code) in [("12025550143", 1), ("442079460123", 44), ("35818123456", 358), ("979123456789", 979)] {
        let (found, national) = split(digits.as_bytes()).unwrap();
        assert_eq!(found.code, code);
        assert_eq!(national.len() + code.to_string().len(), digits.len());
    }
    for digits in ["", "0", "02025550143", "2", "21", "210", "999123"] {
        assert!(split(digits.as_bytes()).is_none(), "{digits}");
    }
}

#[test]
fn lengths_are_told_apart() {
    let fit = |code: &str, digits| split(code.as_bytes()).unwrap().0.fits(digits);
    assert_eq!(fit("1", 10), Fit::Possible);
    assert_eq!(fit("1", 9), Fit::TooShort);
    assert_eq!(fit("1", 11), Fit::TooLong);
    assert_eq!(fit("1", 400), Fit::TooLong);
    assert_eq!(fit("44", 8), Fit::Between);
}

#[test]
fn every_row_of_the_patterns_is_read() {
    let read: usize = codes().list.iter().map(|code| code.rows.len() + 1).sum();
    assert_eq!(read, rows("patterns.tsv").count());
    assert!(is_region("US") && is_region("GG") && !is_region("001") && !is_region("AQ"));
    assert!(is_nanp_region("JM") && !is_nanp_region("GB"));
}
