//! Which columns of a CSV hold the number and what else tells where a person is.
//!
//! Pure: it is given the first record and some rows, and reads nothing. A name in the header suggests a column; the
//! cells below must agree, since a column called `phone` may hold yes and no. Without a name that says so, the cells
//! alone decide. Whatever is guessed can be named instead.

mod words;

use std::fmt;

use csv::StringRecord;

use crate::time::ZoneId;
use words::{COUNTRY, POSTAL_CODE, STATE, TIME_ZONE, folded, number_score};

/// Columns that the user named, by header text (any case) or by place, counted from 1. Named ones are not judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `--number-column`
    pub number: Option<&'a str>,
    /// `--country-column`
    pub country: Option<&'a str>,
    /// `--state-column`
    pub state: Option<&'a str>,
    /// `--postal-code-column`
    pub postal_code: Option<&'a str>,
    /// `--time-zone-column`
    pub time_zone: Option<&'a str>,
}

/// Where things stand in each record, counted from 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Columns {
    /// Whether the first record is a header. Where it is not, it is a row like the others.
    pub has_header: bool,
    /// The phone number, in any usual form.
    pub number: usize,
    /// The country, as two letters (ISO 3166-1): the region of numbers in national form.
    pub country: Option<usize>,
    /// The state or province of residence, as a code (`FL`, `US-FL`).
    pub state: Option<usize>,
    /// The postal code of the residence.
    pub postal_code: Option<usize>,
    /// The time zone, as an IANA name.
    pub time_zone: Option<usize>,
    /// What the user should know about the choice: other columns with numbers, columns passed over and why.
    pub notes: Vec<String>,
}

/// No column holds phone numbers, or a column that was named is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoColumn {
    what: String,
    seen: Vec<String>,
    flag: &'static str,
}

impl std::error::Error for NoColumn {}

/// What is missing, the columns seen, and how to name one.
impl fmt::Display for NoColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 30;
        write!(f, "{}", self.what)?;
        if self.seen.is_empty() {
            return f.write_str("; the file has no columns");
        }
        let shown: Vec<&str> = self.seen.iter().take(SHOWN).map(String::as_str).collect();
        write!(f, "; the columns are: {}", shown.join(", "))?;
        if let Some(more) = self.seen.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
        write!(f, "; name one with {} NAME (or its place, counted from 1)", self.flag)
    }
}

/// Finds the columns from the first record and some of the rows after it (a hundred are plenty).
///
/// # Errors
/// No column looks like phone numbers, or a wanted one is not there.
pub fn detect(first: &StringRecord, rows: &[StringRecord], wanted: Wanted<'_>) -> Result<Columns, NoColumn> {
    // A row of its own must never be taken for a header: it would not be answered.
    let has_header = !first.iter().any(is_number) || first.iter().any(|title| number_score(title) >= Some(words::SURE));
    detect_as(first, rows, wanted, has_header)
}

/// The same where the first record is known to be the titles.
///
/// # Errors
/// As [`detect`].
pub fn detect_named(first: &StringRecord, rows: &[StringRecord], wanted: Wanted<'_>) -> Result<Columns, NoColumn> {
    detect_as(first, rows, wanted, true)
}

fn detect_as(
    first: &StringRecord,
    rows: &[StringRecord],
    wanted: Wanted<'_>,
    has_header: bool,
) -> Result<Columns, NoColumn> {
    let table = Table { first, rows, has_header };
    let mut notes = Vec::new();
    let number = match table.named(wanted.number, "--number-column")? {
        Some(index) => index,
        None => table.find_number(&mut notes)?,
    };
    let mut find = |wanted, flag, words, check: Check| -> Result<Option<usize>, NoColumn> {
        Ok(match table.named(wanted, flag)? {
            Some(index) => Some(index),
            None => table.find(words, check, number, &mut notes),
        })
    };
    Ok(Columns {
        country: find(
            wanted.country,
            "--country-column",
            COUNTRY,
            Check { is: is_country, what: "two-letter countries" },
        )?,
        state: find(wanted.state, "--state-column", STATE, Check { is: is_state, what: "codes of states" })?,
        postal_code: find(
            wanted.postal_code,
            "--postal-code-column",
            POSTAL_CODE,
            Check { is: is_postal_code, what: "postal codes" },
        )?,
        time_zone: find(
            wanted.time_zone,
            "--time-zone-column",
            TIME_ZONE,
            Check { is: is_time_zone, what: "IANA time zones such as America/New_York" },
        )?,
        has_header,
        number,
        notes,
    })
}

/// The byte that parts the fields: whichever of comma, semicolon, tab and bar stands most often in the first line.
#[must_use]
pub fn delimiter(start: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in start {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| delimiter == byte) {
                    *count += 1;
                }
            }
        }
    }
    // Of equals the first is taken, so an empty or one-column line is a comma file.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

struct Table<'a> {
    first: &'a StringRecord,
    rows: &'a [StringRecord],
    has_header: bool,
}

/// What the cells of a column must look like.
#[derive(Clone, Copy)]
struct Check {
    is: fn(&str) -> bool,
    what: &'static str,
}

impl Table<'_> {
    /// The column the user named, if any was named.
    fn named(&self, wanted: Option<&str>, flag: &'static str) -> Result<Option<usize>, NoColumn> {
        let Some(name) = wanted else { return Ok(None) };
        let by_name = |same: &dyn Fn(&str) -> bool| {
            self.has_header.then(|| self.first.iter().position(|title| same(clean(title)))).flatten()
        };
        let by_place = || name.trim().parse::<usize>().ok()?.checked_sub(1).filter(|index| *index < self.first.len());
        by_name(&|title| title == name)
            .or_else(|| by_name(&|title| folded(title) == folded(name) && !folded(name).is_empty()))
            .or_else(by_place)
            .map(Some)
            .ok_or_else(|| self.missing(format!("there is no column `{}`", shown(name)), flag))
    }

    fn missing(&self, what: String, flag: &'static str) -> NoColumn {
        NoColumn { what, seen: (0..self.first.len()).map(|index| self.title(index)).collect(), flag }
    }

    /// How a column is called in messages: never by a cell of a row, which may be about a person.
    fn title(&self, index: usize) -> String {
        let title = if self.has_header { self.first.get(index).map(clean).unwrap_or_default() } else { "" };
        if title.is_empty() { format!("(column {})", index + 1) } else { shown(title) }
    }

    fn find_number(&self, notes: &mut Vec<String>) -> Result<usize, NoColumn> {
        let mut candidates: Vec<(u32, usize)> = Vec::new();
        for index in 0..self.first.len() {
            let title = if self.has_header { self.first.get(index).map(clean).unwrap_or_default() } else { "" };
            let (filled, agreeing) = self.count(index, is_number);
            let (_, surely) = self.count(index, is_surely_number);
            let score = match number_score(title) {
                // A name that says so is believed until the cells say otherwise.
                Some(score) if score >= words::SURE => {
                    (filled == 0 || self.count(index, may_be_number).1 * 3 >= filled).then_some(score)
                }
                Some(score) => (agreeing * 2 >= filled && filled > 0).then_some(score),
                None => (surely * 10 >= filled * 6 && filled > 0).then_some(1),
            };
            candidates.extend(score.map(|score| (score, index)));
        }
        // The best name; of equals the leftmost.
        let best = candidates.iter().max_by_key(|(score, index)| (*score, std::cmp::Reverse(*index)));
        let Some(&(_, number)) = best else {
            let what = if self.first.is_empty() { "the file is empty" } else { "no column looks like phone numbers" };
            return Err(self.missing(what.to_owned(), "--number-column"));
        };
        let others: Vec<String> = candidates
            .iter()
            .filter(|(_, index)| *index != number && self.count(*index, is_number).1 > 0)
            .map(|(_, index)| self.title(*index))
            .collect();
        if !others.is_empty() {
            let (title, others) = (self.title(number), others.join(", "));
            notes.push(format!("numbers are taken from {title}; {others} holds numbers too (--number-column)"));
        }
        Ok(number)
    }

    /// The first column with one of these names whose cells agree.
    fn find(&self, words: &[&str], check: Check, number: usize, notes: &mut Vec<String>) -> Option<usize> {
        let titles = self.first.iter().enumerate().filter(|_| self.has_header);
        let mut named: Vec<(usize, usize)> = titles
            .filter(|(index, _)| *index != number)
            .filter_map(|(index, title)| Some((words.iter().position(|word| *word == folded(title))?, index)))
            .collect();
        named.sort_unstable();
        for (_, index) in named {
            let (filled, agreeing) = self.count(index, check.is);
            if agreeing * 2 >= filled {
                return Some(index);
            }
            notes.push(format!("{} is not used: it does not hold {}", self.title(index), check.what));
        }
        None
    }

    /// How many cells of a column hold something, and how many of these pass the check.
    fn count(&self, index: usize, is: fn(&str) -> bool) -> (usize, usize) {
        let first = std::iter::once(self.first).filter(|_| !self.has_header);
        let cells = first.chain(self.rows).filter_map(|row| row.get(index)).map(clean);
        let filled: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
        (filled.len(), filled.iter().filter(|cell| is(cell)).count())
    }
}

fn clean(cell: &str) -> &str {
    cell.trim_start_matches('\u{feff}').trim()
}

/// A name as it may be shown: short, on one line, and masked where it could be a number.
fn shown(name: &str) -> String {
    let masked = name.chars().filter(char::is_ascii_digit).count() > 6;
    let safe = |c: char| match c {
        c if c.is_control() => ' ',
        c if masked && c.is_ascii_digit() => '•',
        c => c,
    };
    name.chars().take(40).map(safe).collect()
}

/// Whether a cell could be a phone number in some usual form.
fn is_number(cell: &str) -> bool {
    let cell = clean(cell);
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    let form = cell.strip_prefix("tel:").unwrap_or(cell);
    let form = form.strip_prefix('+').unwrap_or(form);
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/');
    (7..=15).contains(&digits) && form.chars().all(allowed) && !is_something_else(cell)
}

/// Whether a cell could be what somebody left in a phone column: with an extension, a remark, digits of another script.
fn may_be_number(cell: &str) -> bool {
    cell.chars().filter(|c| c.is_numeric()).count() > 4 && !is_something_else(clean(cell))
}

/// Whether a cell is most likely a phone number and not an account, a date or a time stamp, with no name to say so.
fn is_surely_number(cell: &str) -> bool {
    let cell = clean(cell);
    let plain = cell.bytes().all(|b| b.is_ascii_digit());
    // Ten or thirteen digits from 1 on are seconds or milliseconds since 1970; no North American code begins with 1.
    let stamp = cell.starts_with('1') && matches!(cell.len(), 10 | 13);
    is_number(cell) && (!plain || ((10..=13).contains(&cell.len()) && !stamp))
}

/// Dates, addresses of computers, decimals: digits with separators that are no phone number.
fn is_something_else(cell: &str) -> bool {
    let lengths: Vec<usize> = cell.split(['-', '.', '/']).map(str::len).collect();
    let digits_only = cell.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'/'));
    let time = cell.split_once(' ').is_some_and(|(day, _)| is_something_else(day));
    let dots = cell.matches('.').count() == cell.bytes().filter(|b| !b.is_ascii_digit()).count();
    let decimal = dots && lengths.len() == 2;
    let address = dots && lengths.len() == 4 && lengths.iter().all(|n| (1..=3).contains(n));
    let date = matches!(lengths.as_slice(), [4, 1..=2, 1..=2] | [1..=2, 1..=2, 2 | 4]);
    time || (digits_only && (decimal || address || date))
}

fn is_country(cell: &str) -> bool {
    cell.len() == 2 && cell.bytes().all(|b| b.is_ascii_alphabetic())
}

fn is_state(cell: &str) -> bool {
    let code = cell.split_once('-').map_or(cell, |(country, code)| if is_country(country) { code } else { "" });
    (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_postal_code(cell: &str) -> bool {
    (3..=10).contains(&cell.len())
        && cell.bytes().any(|b| b.is_ascii_digit())
        && cell.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-'))
}

fn is_time_zone(cell: &str) -> bool {
    ZoneId::by_name(cell).is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
