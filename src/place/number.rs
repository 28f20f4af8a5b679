//! A phone number, read from text.
//!
//! Promises: one number has one value however it was written; whole digits come out only of [`Number::reveal_e164`] and
//! [`Number::reveal_digits`]; errors and printed forms never carry them. Must never panic, whatever the text. Guarded by
//! the unit tests here and the generated ones in `tests/place.rs`.

use std::fmt;
use std::sync::OnceLock;

use rlibphonenumber::{PHONE_NUMBER_UTIL, ParseError, PhoneNumberFormat, Region};

use super::Jurisdiction;
use super::plan::{self, Fit};

/// Longer texts are no phone numbers (the limit of libphonenumber), and are not looked at.
const LONGEST_TEXT: usize = 250;
/// The longest number of any plan, calling code included: fits 64 bits.
const MOST_DIGITS: usize = 19;
/// Longer than this, digits without a country are not a short code.
const LONGEST_SHORT_CODE: usize = 6;

/// A possible phone number, in E.164 digits. Prints masked: `+1202555••43`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

/// Why a text is not a possible phone number. Never carries the digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum NumberError {
    /// Nothing was given.
    #[error("the number is empty")]
    Empty,
    /// Letters, or no digits at all.
    #[error("this is not a phone number: it has letters or other signs, more than one number, or no digits")]
    NotANumber,
    /// Fewer digits than any number of its country has.
    #[error("too few digits for a number of its country")]
    TooShort,
    /// More digits than any number of its country has.
    #[error("too many digits for a number of its country")]
    TooLong,
    /// A number of digits that no number of its country has, though shorter and longer ones do.
    #[error("no number of its country has this many digits")]
    WrongLength,
    /// The digits after `+` begin with no country's calling code.
    #[error("no country has this calling code")]
    UnknownCallingCode,
    /// A national number without a region to read it in.
    #[error("a number without + and calling code needs a default region")]
    MissingRegion,
    /// Digits without `+` that begin with the calling code of their region, and are two numbers of it: one with that code and
    /// one without.
    #[error(
        "these digits could be two numbers, with the calling code and without: write it with + and the calling code"
    )]
    Ambiguous,
    /// A decimal, which has lost the zeros that it began with.
    #[error("this is a decimal, as spreadsheets make of numbers: export the column as text")]
    Decimal,
    /// `default_region` is no region with phone numbers: the request is wrong, not the number.
    #[error("the default region is not a known ISO 3166 country code")]
    BadRegion,
    /// A number of an emergency service.
    #[error("this is the number of an emergency service")]
    Emergency,
    /// A short code, which reaches a service and not a person.
    #[error("this is a short code, not the number of a person")]
    ShortCode,
}

impl Number {
    /// Reads a number: E.164 (`+12025550143`), or in any usual writing; national numbers in the given region (ISO 3166,
    /// any case; empty counts as none).
    ///
    /// # Errors
    /// Where the text is not a possible number, or two. Possible, but in a range not given out, is no error.
    pub fn parse(text: &str, default_region: Option<&str>) -> Result<Self, NumberError> {
        match Self::readings(text, default_region)? {
            (number, None) => Ok(number),
            (_, Some(_)) => Err(NumberError::Ambiguous),
        }
    }

    /// As [`Number::parse`], with both numbers where the digits can mean two: `4915112345678` in Germany is a mobile with its
    /// calling code, and by the numbering plan a line of a small town without.
    ///
    /// # Errors
    /// Where the text is not a possible number.
    pub fn readings(text: &str, default_region: Option<&str>) -> Result<(Self, Option<Self>), NumberError> {
        let region = default_region.filter(|code| !code.is_empty()).map(region).transpose()?;
        if text.len() > LONGEST_TEXT {
            return Err(NumberError::TooLong);
        }
        match text.strip_prefix('+') {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                match Self::canonical(digits.as_bytes()) {
                    Some(number) => Ok((number, None)),
                    None => Ok((Self::international(digits)?.settled()?, None)),
                }
            }
            _ => Self::written(text, region),
        }
    }

    /// What its own E.164 text reads as: a national prefix may be left where more than one was written, and one person
    /// must not have two numbers.
    fn settled(self) -> Result<Self, NumberError> {
        /// More prefixes than anybody writes.
        const READINGS: usize = 4;
        let mut number = self;
        for _ in 0..READINGS {
            let (digits, len) = number.digits();
            let text = digits.get(..len).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
            let again = Self::international(text)?;
            if again == number {
                return Ok(number);
            }
            number = again;
        }
        Err(NumberError::NotANumber)
    }

    /// The whole number in E.164. Not for logs, errors or labels.
    #[must_use]
    pub fn reveal_e164(self) -> E164 {
        let mut text = E164 { bytes: [0; MOST_DIGITS + 1], len: 0 };
        let (digits, len) = self.digits();
        let digits = digits.get(..len).unwrap_or(&[]);
        for (slot, byte) in text.bytes.iter_mut().zip(std::iter::once(&b'+').chain(digits)) {
            *slot = *byte;
            text.len += 1;
        }
        text
    }

    /// The whole number as an integer: the E.164 digits without `+`. Not for logs, errors or labels.
    #[must_use]
    pub const fn reveal_digits(self) -> u64 {
        self.0
    }

    /// The number of these E.164 digits, as once taken from [`Number::reveal_digits`]: what was read from text is not
    /// read again, so a national prefix after the calling code stays. `None` unless they are a possible number.
    #[must_use]
    pub fn from_digits(digits: u64) -> Option<Self> {
        let number = Self(digits);
        let (text, len) = number.digits();
        let (code, national) = plan::split(text.get(..len)?)?;
        (code.is_assigned(national) || code.fits(national.len()) == Fit::Possible).then_some(number)
    }

    /// ASCII digits and how many.
    pub(super) fn digits(self) -> ([u8; MOST_DIGITS], usize) {
        let mut reversed = [0; MOST_DIGITS];
        let mut len = 0;
        let mut rest = self.0;
        for slot in &mut reversed {
            if rest == 0 {
                break;
            }
            *slot = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            len += 1;
        }
        if let Some(used) = reversed.get_mut(..len) {
            used.reverse();
        }
        (reversed, len)
    }

    /// `+` and digits, the form nearly all numbers come in.
    fn international(digits: &str) -> Result<Self, NumberError> {
        let bytes = digits.as_bytes();
        if let Some(number) = Self::canonical(bytes) {
            return Ok(number);
        }
        if is_emergency(None, digits) {
            return Err(NumberError::Emergency);
        }
        // Perhaps a national prefix stands after the calling code: +44 (0)20 ….
        let text = format!("+{digits}");
        let number = from_library(PHONE_NUMBER_UTIL.parse(&text, None)).map_err(|error| match error {
            // The library's word for one or two digits.
            NumberError::NotANumber => NumberError::TooShort,
            other => other,
        })?;
        Self::possible(&number)
    }

    /// The number of these digits if they are possible as they stand and no other reading is likelier.
    fn canonical(digits: &[u8]) -> Option<Self> {
        let (code, national) = plan::split(digits).filter(|_| digits.len() <= MOST_DIGITS)?;
        let fits = code.fits(national.len()) == Fit::Possible;
        let sure = || code.is_nanp() && national.first().is_some_and(|digit| *digit > b'1');
        // The cheaper question first: lists have hundreds of millions of lines.
        (fits && sure() || code.is_assigned(national)).then(|| Self::pack(digits))
    }

    /// Anything else than `+` and digits.
    fn written(text: &str, region: Option<Region>) -> Result<(Self, Option<Self>), NumberError> {
        let text = number_part(text)?;
        let digits = ascii_digits(text);
        let plus = text.trim_start_matches(|c: char| !is_digit(c) && !is_plus(c)).starts_with(is_plus);
        if let Some(number) = Self::plainly_written(text, &digits, plus, region) {
            return Ok((number.settled()?, None));
        }
        if plus || text.contains("phone-context") {
            let number = from_library(PHONE_NUMBER_UTIL.parse(text, region))?;
            return Ok((Self::possible(&number)?.settled()?, None));
        }
        if is_emergency(region, &digits) {
            return Err(NumberError::Emergency);
        }
        let Some(region) = region else { return Ok((Self::without_region(&digits)?.settled()?, None)) };
        let number = from_library(PHONE_NUMBER_UTIL.parse(text, Some(region))).and_then(|n| Self::possible(&n));
        match number {
            Ok(number) => Ok(number.settled()?.or_coded(&digits)),
            Err(_) if digits.len() <= LONGEST_SHORT_CODE => Err(short(&digits)),
            // 00 is dialled for + in most of the world, though not from every region.
            Err(error) => match digits.strip_prefix("00") {
                Some(rest) => Ok((Self::international(rest)?.settled()?, None)),
                None => Err(error),
            },
        }
    }

    /// What these digits, of which this is the national reading, mean where they begin with the calling code of that very
    /// country: exports often lose the `+`, and the library leaves the code in place wherever some line of the country could
    /// have all the digits. A reading of numbers that are given out wins over one of numbers that are not.
    fn or_coded(self, digits: &str) -> (Self, Option<Self>) {
        let coded = || {
            let (own, len) = self.digits();
            let (code, national) = plan::split(own.get(..len)?)?;
            let (_, rest) = plan::split(digits.as_bytes()).filter(|(other, _)| std::ptr::eq(code, *other))?;
            let coded = Self::international(digits).and_then(Self::settled).ok().filter(|coded| *coded != self)?;
            Some((coded, code.is_assigned(national), code.is_assigned(rest)))
        };
        match coded() {
            None | Some((_, true, false)) => (self, None),
            Some((coded, false, true)) => (coded, None),
            Some((coded, _, _)) => (self, Some(coded)),
        }
    }

    /// The number of a text whose only ornaments are blanks, dots, dashes and brackets, if its digits are a number given
    /// out as they stand: the usual case, without the cost of the library.
    fn plainly_written(text: &str, digits: &str, plus: bool, region: Option<Region>) -> Option<Self> {
        let ornament = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')');
        let plain = text.bytes().skip(usize::from(plus)).all(|byte| byte.is_ascii_digit() || ornament(byte));
        if !plain {
            return None;
        }
        if plus && text.starts_with('+') {
            return Self::canonical(digits.as_bytes());
        }
        let american = region.is_some_and(|region| plan::is_nanp_region(region.as_region_str().as_str()));
        match digits.len() {
            10 if american && !plus => Self::canonical(format!("1{digits}").as_bytes()),
            11 if american && !plus && digits.starts_with('1') => Self::canonical(digits.as_bytes()),
            _ => None,
        }
    }

    fn without_region(digits: &str) -> Result<Self, NumberError> {
        match digits.strip_prefix("00") {
            Some(rest) if digits.len() > LONGEST_SHORT_CODE => Self::international(rest),
            _ if digits.len() <= LONGEST_SHORT_CODE => Err(short(digits)),
            _ => Err(NumberError::MissingRegion),
        }
    }

    /// What the library read, if it is a possible number.
    fn possible(e164: &str) -> Result<Self, NumberError> {
        let digits = e164.trim_start_matches('+').as_bytes();
        let (code, national) = plan::split(digits).ok_or(NumberError::UnknownCallingCode)?;
        if digits.len() > MOST_DIGITS {
            return Err(NumberError::TooLong);
        }
        match code.fits(national.len()) {
            _ if code.is_assigned(national) => Ok(Self::pack(digits)),
            Fit::Possible => Ok(Self::pack(digits)),
            Fit::TooShort => Err(NumberError::TooShort),
            Fit::TooLong => Err(NumberError::TooLong),
            Fit::Between => Err(NumberError::WrongLength),
        }
    }

    fn pack(digits: &[u8]) -> Self {
        Self(
            digits.iter().fold(0, |value: u64, digit| {
                value.saturating_mul(10).saturating_add(u64::from(digit.wrapping_sub(b'0')))
            }),
        )
    }
}

/// A whole number as text. Lives on the stack; has no `Debug`, so that it is not printed by accident.
#[derive(Clone, Copy)]
pub struct E164 {
    bytes: [u8; MOST_DIGITS + 1],
    len: usize,
}

impl E164 {
    /// The text, such as `+12025550143`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }
}

/// Masked: two digits before the last two, or more of a short number.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, len) = self.digits();
        let (shown, tail) = match len {
            10.. => (len - 4, 2),
            7..10 => (3, 1),
            _ => (1, 0),
        };
        f.write_str("+")?;
        for (i, digit) in digits.iter().take(len).enumerate() {
            let hidden = i >= shown && i < len.saturating_sub(tail);
            fmt::Write::write_char(f, if hidden { '•' } else { char::from(*digit) })?;
        }
        Ok(())
    }
}

/// Masked, as printed.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn region(code: &str) -> Result<Region, NumberError> {
    let known = code.len() == 2 && plan::is_region(&code.to_ascii_uppercase());
    known.then(|| Region::from_code(code).ok()).flatten().ok_or(NumberError::BadRegion)
}

fn from_library(parsed: Result<rlibphonenumber::PhoneNumber, ParseError>) -> Result<String, NumberError> {
    match parsed {
        Ok(number) => Ok(number.format_as(PhoneNumberFormat::E164).into_owned()),
        Err(ParseError::InvalidCountryCode) => Err(NumberError::UnknownCallingCode),
        Err(ParseError::NotANumber(_)) => Err(NumberError::NotANumber),
        Err(ParseError::TooLongNsn) => Err(NumberError::TooLong),
        Err(_) => Err(NumberError::TooShort),
    }
}

/// The part of a text that holds the number: without `tel:`, its parameters, and an extension (which a switchboard
/// hears, not the network).
fn number_part(text: &str) -> Result<&str, NumberError> {
    let mut text = text.trim();
    if text.is_empty() {
        return Err(NumberError::Empty);
    }
    let (mut context, mut whole) = (false, text);
    if let Some(rest) = text.get(..4).filter(|head| head.eq_ignore_ascii_case("tel:")).and(text.get(4..)) {
        (context, whole, text) = (rest.contains(";phone-context="), rest, rest);
    }
    // Parameters follow a semicolon (RFC 3966); what has no name there is a second number, and which is meant is not known.
    let mut parts = text.split(';');
    let text = parts.next().unwrap_or("").trim_matches(stands_around);
    if parts.any(|rest| !rest.contains('=') && rest.chars().any(is_digit)) {
        return Err(NumberError::NotANumber);
    }
    if is_decimal(text) {
        return Err(NumberError::Decimal);
    }
    let text = without_extension(text)?;
    // Of what is masked, or is two numbers, the rest is another number.
    let mut pluses = text.char_indices().filter(|(_, c)| is_plus(*c)).map(|(at, _)| at);
    let (first, second) = (pluses.next().unwrap_or(0), pluses.next());
    let begins = !text.get(..first).unwrap_or("").chars().any(is_digit);
    if !text.chars().any(is_digit) || !text.chars().all(is_written) || second.is_some() || !begins {
        return Err(NumberError::NotANumber);
    }
    Ok(if context { whole } else { text })
}

/// A text without the extension at its end. What may be a second number, or digits that are masked, is no extension.
fn without_extension(text: &str) -> Result<&str, NumberError> {
    /// Digits of a number that an `x` in its midst does not mask.
    const WHOLE: usize = 10;
    let Some(at) = ["ext", "x", "#", ",,"].iter().filter_map(|mark| find_ignoring_case(text, mark)).min() else {
        return Ok(text);
    };
    let (number, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let sign = |c: char| c.is_ascii_alphabetic() || c.is_whitespace() || "#,.:-=(".contains(c);
    let said = rest.trim_start_matches(sign);
    let signs = rest.strip_suffix(said).unwrap_or(rest).trim();
    let letters: String = signs.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let word = matches!(letters.as_str(), "ext" | "extn" | "extension");
    let named = word || matches!((letters.as_str(), signs), ("x", _) | ("", "#" | ",,"));
    let digits = said.trim_end_matches(|c: char| c.is_whitespace() || ").#".contains(c));
    let parted = word || number.ends_with(|c: char| c.is_whitespace() || c == '(');
    let long = number.chars().filter(|c| is_digit(*c)).count() >= WHOLE;
    let fits = match digits.len() {
        0 => parted && said.is_empty(),
        some => some <= if word { 7 } else { 5 } && (parted || long),
    };
    let extends = named && signs.matches('#').count() < 2 && fits && digits.bytes().all(|byte| byte.is_ascii_digit());
    if extends { Ok(number.trim_end_matches(['(', ' '])) } else { Err(NumberError::NotANumber) }
}

/// What spreadsheets and exports put around a number.
fn stands_around(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '=' | '"' | '\'' | ',' | '‘' | '’' | '“' | '”' | '‹' | '›' | '\u{200b}'..='\u{200f}')
}

/// What a number is written with: digits, plus, blanks, dashes, dots, brackets, slashes, and marks that are not seen.
fn is_written(c: char) -> bool {
    is_digit(c)
        || is_plus(c)
        || c.is_whitespace()
        || matches!(c, '-' | '‐'..='―' | '−' | 'ー' | '－' | '.' | '．' | '/' | '／' | '~' | '\'' | '"')
        || matches!(c, '(' | ')' | '[' | ']' | '（' | '）' | '［' | '］')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Digits alone, then a point and one or two zeros: nobody groups a number so, and programs that took it for a quantity do.
fn is_decimal(text: &str) -> bool {
    let whole = text.rsplit_once(['.', ',']).filter(|(_, rest)| matches!(*rest, "0" | "00")).map(|(whole, _)| whole);
    whole.is_some_and(|whole| {
        whole.ends_with(|c: char| c.is_ascii_digit())
            && whole.bytes().skip_while(|b| *b == b'+').all(|b| b.is_ascii_digit())
    })
}

fn find_ignoring_case(text: &str, mark: &str) -> Option<usize> {
    text.as_bytes().windows(mark.len()).position(|part| part.eq_ignore_ascii_case(mark.as_bytes()))
}

fn is_plus(c: char) -> bool {
    matches!(c, '+' | '＋')
}

fn is_digit(c: char) -> bool {
    c.is_numeric()
}

/// The ASCII and full-width digits of a text, as ASCII.
fn ascii_digits(text: &str) -> String {
    let digit = |c: char| match c {
        '０'..='９' => u32::from(c).checked_sub(u32::from('０')).and_then(|n| char::from_digit(n, 10)),
        _ => Some(c).filter(char::is_ascii_digit),
    };
    text.chars().filter_map(digit).collect()
}

fn short(digits: &str) -> NumberError {
    if digits.len() < 3 { NumberError::TooShort } else { NumberError::ShortCode }
}

/// Whether the digits, dialled as they stand, reach an emergency service in the region, or in any where none is given.
fn is_emergency(region: Option<Region>, digits: &str) -> bool {
    static SERVICES: OnceLock<Vec<(Jurisdiction, Vec<&'static str>)>> = OnceLock::new();
    if digits.len() > LONGEST_SHORT_CODE {
        return false;
    }
    let services = SERVICES.get_or_init(|| {
        let row = |mut row: std::str::Split<'static, char>| {
            Some((row.next()?.parse().ok()?, row.next()?.split(',').collect()))
        };
        plan::rows("short.tsv").filter_map(row).collect()
    });
    let region = region.map(|region| region.as_region_str());
    services.iter().any(|(place, numbers)| {
        region.as_ref().is_none_or(|region| region.as_str() == place.as_str()) && numbers.contains(&digits)
    })
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
