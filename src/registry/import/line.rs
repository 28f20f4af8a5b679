//! One line of a list as its keepers write it: a number, perhaps a date of entry, perhaps whether it came or went.
//!
//! The keepers promise little of their columns, so a line says what it is by what stands in it: area code and seven
//! digits in two fields are one number; `A` or `D` alone says that it was added or deleted; what reads as a date is one.

use super::super::ids::OfficialList;
use super::super::set::Day;
use crate::place::lines::WIRELESS_BLOCKS;
use crate::place::{Jurisdiction, Number, NumberError};
use crate::time::Instant;

/// What a line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// The digits of the E.164 form.
    pub number: u64,
    /// What else the digits could mean, with and without a country code.
    pub other: Option<u64>,
    /// The date beside it.
    pub date: Option<Instant>,
    /// Of a list of changes: whether the number was added.
    pub added: Option<bool>,
}

/// How numbers and dates of one list are written.
#[derive(Clone, Copy)]
pub struct Reading {
    list: Option<&'static OfficialList>,
    /// Where numbers without a country code belong.
    region: Option<Jurisdiction>,
    slash: Slash,
}

/// What a date with strokes means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slash {
    MonthFirst,
    DayFirst,
    /// Both are usual there.
    Unclear,
}

impl Reading {
    /// For an official list; or for one of the tenant's own, whose numbers carry their country code unless a region is
    /// given to read them in.
    pub fn of(list: Option<&'static OfficialList>, region: Option<Jurisdiction>) -> Self {
        let region = list.map_or(region, |list| list.place.get(..2).and_then(|place| place.parse().ok()));
        let slash = match region.as_ref().map(Jurisdiction::as_str) {
            Some("US") => Slash::MonthFirst,
            Some("CA") | None => Slash::Unclear,
            Some(_) => Slash::DayFirst,
        };
        Self { list, region, slash }
    }

    /// Reads the fields of a line. What is refused is never quoted, since it may be a number.
    pub fn line<'f>(self, fields: impl Iterator<Item = &'f str>) -> Result<Line, &'static str> {
        let mut fields = fields.map(|field| field.trim().trim_matches('"').trim()).peekable();
        let first = fields.next().unwrap_or_default();
        let north_american = self.list.is_some_and(OfficialList::is_north_american);
        if self.is_of_blocks() {
            return self.block(first, fields);
        }
        let number = match fields.peek() {
            Some(second) if north_american && is_digits(first, 3) && is_digits(second, 7) => {
                let number = digits(first)? * 10_000_000 + digits(second)?;
                fields.next();
                (self.north_american(number)?, None)
            }
            _ => self.number(first)?,
        };
        let (date, added) = self.rest(fields)?;
        Ok(Line { number: number.0, other: number.1, date, added })
    }

    fn is_of_blocks(self) -> bool {
        self.list.is_some_and(|list| list.id == WIRELESS_BLOCKS)
    }

    /// A block of a thousand: area code, exchange, and the digit that follows; or the seven digits together. What kind of
    /// wireless carrier has it, and whatever else stands there, does not matter.
    fn block<'f>(self, first: &str, mut fields: impl Iterator<Item = &'f str>) -> Result<Line, &'static str> {
        let seven = if is_digits(first, 7) {
            digits(first)?
        } else {
            let (exchange, block) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            if !(is_digits(first, 3) && is_digits(exchange, 3) && is_digits(block, 1)) {
                return Err("this is no block: area code, exchange and one digit, in three fields or as seven digits");
            }
            digits(first)? * 10_000 + digits(exchange)? * 10 + digits(block)?
        };
        Ok(Line { number: self.north_american(seven * 1_000)?, other: None, date: None, added: None })
    }

    fn rest<'f>(self, fields: impl Iterator<Item = &'f str>) -> Result<(Option<Instant>, Option<bool>), &'static str> {
        let (mut date, mut added) = (None, None);
        for field in fields.filter(|field| !field.is_empty()) {
            let flag = match field {
                "A" | "a" => Some(true),
                "D" | "d" => Some(false),
                _ => None,
            };
            let twice = match flag {
                Some(flag) => added.replace(flag).is_some(),
                None => date.replace(self.date(field)?).is_some(),
            };
            if twice {
                return Err("two fields say the same thing: name the columns with --column and --date-column");
            }
        }
        Ok((date, added))
    }

    /// Reads a number; two where the digits mean one person with their country code and another without. What comes out is
    /// what [`Number::parse`] makes of it, as it does of the number of a check.
    pub fn number(self, field: &str) -> Result<(u64, Option<u64>), &'static str> {
        if self.is_of_blocks() {
            return self.block(field, std::iter::empty()).map(|line| (line.number, None));
        }
        let plain = field.len() <= 15 && !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        if self.list.is_some_and(OfficialList::is_north_american) {
            if plain && field.len() == 10 {
                return Ok((self.north_american(digits(field)?)?, None));
            }
            if plain && field.len() == 11 && field.starts_with('1') {
                return Ok((self.north_american(digits(field)? - 10_000_000_000)?, None));
            }
        }
        let (number, other) = match field.strip_prefix("00") {
            _ if field.starts_with('+') => self.parsed(field)?,
            // Whatever is dialled for + in the country of the list.
            Some(bare) => self.parsed(&format!("+{bare}"))?,
            None => self.national(field, plain)?,
        };
        if self.list.is_some_and(|list| !list.covers(number)) {
            return Err("the number does not belong to the territory of this list");
        }
        if !(1_000_000..1_000_000_000_000_000).contains(&number) {
            return Err("this is no number");
        }
        Ok((number, other))
    }

    /// Without `+`: written as in its country, or with the country code but no sign of it.
    fn national(self, field: &str, plain: bool) -> Result<(u64, Option<u64>), &'static str> {
        let here = self.parsed(field);
        let coded = (plain && !field.starts_with('0')).then(|| self.parsed(&format!("+{field}")).ok()).flatten();
        let coded = coded.map(|(number, _)| number).filter(|number| self.covers(*number));
        match (here, coded) {
            (Ok((here, None)), Some(coded)) if here != coded => Ok((here, Some(coded))),
            (Ok(both), _) => Ok(both),
            (Err(_), Some(number)) => Ok((number, None)),
            (Err(why), None) => Err(why),
        }
    }

    fn parsed(self, field: &str) -> Result<(u64, Option<u64>), &'static str> {
        let region = self.region.as_ref().map(Jurisdiction::as_str);
        let read = Number::readings(field, region);
        let digits =
            |(number, other): (Number, Option<Number>)| (number.reveal_digits(), other.map(Number::reveal_digits));
        read.map(digits).map_err(|error| match (error, self.list) {
            (NumberError::Decimal, _) => {
                "this is a decimal, as spreadsheets make of numbers: export the column as text"
            }
            (NumberError::MissingRegion, _) => {
                "the number has no country code: write it with + and the code, or say --default-region"
            }
            (_, Some(_)) => "this is no number of the list's country",
            (_, None) => "this is no phone number",
        })
    }

    fn covers(self, number: u64) -> bool {
        self.list.is_some_and(|list| list.covers(number))
    }

    /// Ten digits, of which the first and the fourth are 2 to 9: [`Number::parse`] takes them as they are, so that the
    /// hundreds of millions of such lines need not ask it.
    fn north_american(self, ten: u64) -> Result<u64, &'static str> {
        if !(2_000_000_000..=9_999_999_999).contains(&ten) || ten / 1_000_000 % 10 < 2 {
            return Err("this is no North American number: ten digits, the first and the fourth 2 to 9");
        }
        Ok(10_000_000_000 + ten)
    }

    /// Reads a date or an instant; a date stands for its midnight in UTC.
    pub fn date(self, field: &str) -> Result<Instant, &'static str> {
        const NONE: &str = "a field is neither a date nor A or D: name the columns with --column and --date-column";
        if let Some(instant) = Instant::from_rfc3339(field) {
            return Ok(instant);
        }
        let day = field.split([' ', 'T']).next().unwrap_or_default();
        let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
        let number = |text: &str, most: usize| {
            (!text.is_empty() && text.len() <= most).then(|| text.parse::<i16>().ok()).flatten().ok_or(NONE)
        };
        let (year, month, day_of_month) = match (&parts[..], day) {
            ([all], _) if is_digits(all, 8) => {
                let (year, rest) = all.split_at(4);
                let (month, day) = rest.split_at(2);
                (number(year, 4)?, number(month, 2)?, number(day, 2)?)
            }
            ([year, month, day], _) if year.len() == 4 => (number(year, 4)?, number(month, 2)?, number(day, 2)?),
            ([a, b, year], text) if year.len() == 4 => {
                let (a, b, year) = (number(a, 2)?, number(b, 2)?, number(year, 4)?);
                match (text.contains('.'), self.slash) {
                    (true, _) | (false, Slash::DayFirst) => (year, b, a),
                    (false, Slash::MonthFirst) => (year, a, b),
                    (false, Slash::Unclear) => return Err("a date could be read two ways: write it YYYY-MM-DD"),
                }
            }
            _ => return Err(NONE),
        };
        let small = |part: i16| i8::try_from(part).map_err(|_| NONE);
        let date =
            jiff::civil::Date::new(year, small(month)?, small(day_of_month)?).map_err(|_| "there is no such date")?;
        Instant::from_rfc3339(&format!("{date}T00:00:00Z")).ok_or(NONE)
    }

    /// The day that is kept of a date.
    pub fn day(date: Option<Instant>) -> Day {
        date.map_or(Day::NONE, Day::of)
    }
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn digits(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "this is no number")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::super::ids::official;
    use super::*;

    fn read(id: &str, line: &str) -> Result<Line, &'static str> {
        Reading::of(official(id), None).line(line.split(','))
    }

    fn at(text: &str) -> Option<Instant> {
        Instant::from_rfc3339(text)
    }

    #[test]
    fn the_shapes_of_the_national_registry() {
        let plain = Ok(Line { number: 12_025_550_143, other: None, date: None, added: None });
        for line in
            ["202,5550143", "2025550143", "12025550143", "+12025550143", "\"202\",\"5550143\"", " 202 , 5550143 "]
        {
            assert_eq!(read("us.dnc.national", line), plain, "{line}");
        }
        let day = at("2026-10-01T00:00:00Z");
        for line in [
            "202,5550143,10/01/2026,A",
            "202,5550143,A,2026-10-01",
            "2025550143,20261001,a",
            "202,5550143,10/1/2026 14:05:00,A",
        ] {
            let change = Line { number: 12_025_550_143, other: None, date: day, added: Some(true) };
            assert_eq!(read("us.dnc.national", line), Ok(change), "{line}");
        }
        assert_eq!(read("us.dnc.national", "202,5550143,D").unwrap().added, Some(false));
        for wrong in [
            "102,5550143",
            "202,0550143",
            "202,1550143",
            "202555014",
            "+442079460000",
            "",
            "202,5550143,x",
            "202,5550143,A,D",
            "202,5550143,2026-02-30",
        ] {
            assert!(read("us.dnc.national", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn blocks_of_a_thousand_stand_for_their_first_number() {
        for line in ["\"202\",\"555\",\"0\",\"PCS\",", "202,555,0,WIRE,x,y", "2025550"] {
            assert_eq!(read("us.line.wireless_blocks", line).map(|line| line.number), Ok(12_025_550_000), "{line}");
        }
        for wrong in ["202,555,A,WIRE", "202,555", "2025550143", "102,555,0,PCS", "202,5550143", ""] {
            assert!(read("us.line.wireless_blocks", wrong).is_err(), "{wrong}");
        }
        let column = |field| Reading::of(official("us.line.wireless_blocks"), None).number(field);
        assert_eq!(column("2025550"), Ok((12_025_550_000, None)));
        assert!(column("2025550143").is_err(), "a number is no block");
        assert_eq!(read("us.line.ported_to_wireless", "2025550143").map(|line| line.number), Ok(12_025_550_143));
    }

    #[test]
    fn numbers_as_their_countries_write_them() {
        for line in ["+442079460000", "02079460000", "442079460000", "00442079460000", "020 7946 0000"] {
            assert_eq!(read("uk.tps", line).map(|line| line.number), Ok(442_079_460_000), "{line}");
        }
        // Italian fixed lines keep their 0.
        assert_eq!(read("it.rpo", "0669812345").map(|line| line.number), Ok(390_669_812_345));
        assert_eq!(read("it.rpo", "+390669812345,01/10/2026").unwrap().date, at("2026-10-01T00:00:00Z"));
        assert_eq!(read("be.dncm", "0470123456,01.10.2026").unwrap().date, at("2026-10-01T00:00:00Z"));
        assert!(
            read("ca.dncl", "4165550143,01/02/2026").is_err(),
            "either the first of February or the second of January"
        );
        assert!(read("uk.tps", "+33639980001").is_err());
        let own = Reading::of(None, None);
        assert_eq!(own.number("+33639980001"), Ok((33_639_980_001, None)));
        assert!(own.number("0639980001").is_err());
    }
}
