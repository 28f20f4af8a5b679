//! The cells of CSV files as they are met: titles of other encodings, and cells with line ends in them.

use std::borrow::Cow;

/// A title as text. What is no UTF-8 is read as Latin-1, which spreadsheets write in much of Europe.
pub fn title(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), Cow::Borrowed)
}

/// Whether a cell has several lines.
pub fn has_line_end(cell: &[u8]) -> bool {
    cell.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// Whether between its separators something stands alone in a cell that may be a number: then it may hold whole rows, which a
/// quote that was never closed has swallowed.
#[must_use]
pub fn may_hold_number(cell: &[u8], delimiter: u8) -> bool {
    let mut parts = cell.split(|byte| *byte == delimiter || matches!(byte, b'\n' | b'\r'));
    parts.any(|part| {
        let part = String::from_utf8_lossy(part);
        let digits = part.chars().filter(|c| c.is_numeric()).count();
        let letters = part.chars().filter(|c| c.is_alphabetic()).count();
        digits >= 5 && letters <= 4
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_may_hold_rows_is_told_from_one_of_several_lines() {
        for cell in [
            "Main Street\n2025550143,Ann",
            "a\r+39 06 6981 2345",
            "(202) 555-0143 ext 5",
            "Ann,2025550143",
            "x\n02 345 67",
        ] {
            assert!(may_hold_number(cell.as_bytes(), b','), "{cell}");
        }
        for cell in
            ["12 Main Street\nApt 4\nSpringfield IL 62701", "see case 2025-CV-01234\n\nsettled", "", "a\n\nb, c"]
        {
            assert!(!may_hold_number(cell.as_bytes(), b','), "{cell}");
        }
        assert!(may_hold_number(b"Ann;2025550143", b';'));
    }

    #[test]
    fn titles_of_western_europe_are_read() {
        for bytes in ["Numéro".as_bytes(), b"Num\xe9ro"] {
            assert_eq!(title(bytes), "Numéro");
        }
    }
}
