//! Lists as plain text: `ID.txt`, a header line, then one number a line.
//!
//! ```text
//! # as_of=2026-11-20T04:00:00Z source=export of 20 November count=3
//! +12025550143
//! +12025550144,2026-10-01
//! +12025550145,2026-10-01T09:30:00Z
//! ```
//!
//! The first line must say `as_of`. Further keys stand beside it or on the `#` lines right below: `source`, `sample`
//! (`true` or `false`), `count` (how many number lines follow; a file that was cut off is then refused), `areas` (of a
//! North American list the area codes it is of, `202,305`, or `all`; without it a list that is handed out by area code
//! speaks for those that it has numbers of, unless it is a sample, and any other is the whole list). A text of a register that
//! only answers about the numbers it is asked speaks for nobody but those on it, unless it says `areas=all`. Other lines that
//! begin with `#`, and empty lines, say nothing. The `+` may be missing; lists of the North American plan may
//! also give ten digits, or area code and seven digits with a comma between, as the official files do. One line that
//! cannot be read refuses the whole file: a list with a gap would look like a complete one.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use aws_lc_rs::digest;

use super::fault::Fault;
use super::ids::{self, Kind};
use super::list::List;
use super::set::{Areas, Builder, Day, Header as SetHeader, Set};
use crate::place::Number;
use crate::place::lines::{WIRELESS_BLOCKS, block_of};
use crate::time::{Instant, Millis};

/// The day of whoever keeps a list may have begun before that of UTC.
const DAY: Millis = Millis::days(1);

/// No line of a list needs more bytes; a longer one is another kind of file.
const LINE_LIMIT: usize = 1_024;
const FIRST_LINE: &str = "begin the file with the instant of the copy, such as `# as_of=2026-11-20T04:00:00Z`";

impl List {
    /// Reads a list from text. `path` is only named in faults.
    ///
    /// # Errors
    /// The first fault found: its line, what is wrong with it, and what to do.
    pub fn read(id: &str, path: &Path, source: impl Read) -> Result<Self, Fault> {
        let kind = ids::kind(id).map_err(|why| {
            Fault::new(path, why, "rename the file to ID.txt with the id of a registry, or remove it")
        })?;
        let mut lines = Lines::new(path, source);
        let mut header = Header::default();
        let (mut builder, mut found) = (Builder::default(), 0_u64);
        let mut in_header = true;
        while let Some((number, line)) = lines.next_line()? {
            let refuse = |(what, remedy): Refusal| Fault::at_line(path, number, what, remedy);
            let comment = line.strip_prefix('#');
            if let Some(comment) = comment.filter(|_| in_header) {
                header.read_line(comment.trim()).map_err(refuse)?;
            }
            if header.as_of.is_none() {
                return Err(Fault::at_line(path, number, "the first line has no `as_of`", FIRST_LINE));
            }
            if comment.is_none() && !line.is_empty() {
                in_header = false;
                let (digits, since) = entry(kind, line).map_err(refuse)?;
                // A date to come is a wrong one: by it the number would not be listed until then. Without one it is.
                let latest = header.as_of.map_or(Instant::from_millis(i64::MAX), |as_of| as_of.plus(DAY));
                builder.add(digits, since.filter(|since| *since <= latest).map_or(Day::NONE, Day::of));
                found += 1;
            }
        }
        let Some(as_of) = header.as_of else {
            return Err(Fault::new(path, "the file is empty", FIRST_LINE));
        };
        if header.count.is_some_and(|count| found != count) {
            let what = format!("the header promises {} numbers, the file has {found}", header.count.unwrap_or(0));
            return Err(Fault::new(path, what, "the file was cut off or changed: copy it again"));
        }
        let sample = header.sample.unwrap_or(false);
        let source = header.source.unwrap_or_default();
        let north_american = matches!(kind, Kind::Official(list) if list.is_north_american());
        if header.areas.as_ref().is_some_and(|areas| !areas.is_all()) && !north_american {
            let what = "`areas` in the header: this list is not kept by North American area codes";
            return Err(Fault::new(path, what, "leave the key out"));
        }
        let areas = match (header.areas, kind) {
            (Some(areas), _) => areas,
            // What a register said of some numbers is not the register.
            (None, Kind::Official(list)) if list.is_asked() && !sample => Areas::of([]),
            (None, Kind::Official(list)) if list.areas().is_some() && !sample => {
                Areas::of_enough(&builder.counts().collect::<Vec<_>>(), 0)
            }
            (None, _) => Areas::ALL,
        };
        let named = SetHeader { areas: Some(areas.clone()), ..SetHeader::new(id, as_of, &source, sample) };
        let set = Set::in_memory(named, builder).map_err(|fault| Fault::new(path, fault.to_string(), "split it"))?;
        Ok(Self {
            id: id.to_owned(),
            as_of,
            version: lines.version(),
            source: (!source.is_empty()).then_some(source),
            count: set.header().count,
            asked: None,
            sample,
            written_at: None,
            areas,
            set,
            tagger: None,
        })
    }
}

/// What is wrong with a line, and what to do about it.
type Refusal = (String, &'static str);

#[derive(Default)]
struct Header {
    as_of: Option<Instant>,
    source: Option<String>,
    sample: Option<bool>,
    count: Option<u64>,
    areas: Option<Areas>,
}

impl Header {
    /// Reads `key=value` pairs; a value runs on to the next known key. A line that begins with none is a comment.
    fn read_line(&mut self, line: &str) -> Result<(), Refusal> {
        let looks_like_a_key = |word: &str| {
            word.split_once('=').is_some_and(|(key, _)| {
                !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'-'))
            })
        };
        if !line.split_whitespace().next().is_some_and(looks_like_a_key) {
            return Ok(());
        }
        let mut pair: Option<(&str, String)> = None;
        for word in line.split_whitespace() {
            match (word.split_once('='), &mut pair) {
                (Some((key, value)), _) if looks_like_a_key(word) => {
                    if let Some((key, value)) = pair.replace((key, value.to_owned())) {
                        self.set(key, &value)?;
                    }
                }
                (_, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(word);
                }
                (_, None) => {}
            }
        }
        pair.map_or(Ok(()), |(key, value)| self.set(key, &value))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let bad = |what: &str| (format!("`{key}` in the header {what}"), "correct the header");
        let twice = match key {
            "as_of" => {
                let instant = Instant::from_rfc3339(value)
                    .ok_or_else(|| bad("is no RFC 3339 instant with an offset, such as 2026-11-20T04:00:00Z"))?;
                self.as_of.replace(instant).is_some()
            }
            "source" => self.source.replace(value.to_owned()).is_some(),
            "sample" => self.sample.replace(value.parse().map_err(|_| bad("is neither `true` nor `false`"))?).is_some(),
            "count" => self.count.replace(value.parse().map_err(|_| bad("is not a whole number"))?).is_some(),
            "areas" => self
                .areas
                .replace(Areas::read(value).map_err(|why| bad(&format!("is not understood: {why}")))?)
                .is_some(),
            _ => {
                return Err((
                    format!("`{key}=` is no key of a list's header"),
                    "known keys: as_of, source, sample, count, areas",
                ));
            }
        };
        if twice { Err(bad("is given twice")) } else { Ok(()) }
    }
}

/// Reads one line: a number and, where given, its entry date.
fn entry(kind: Kind, line: &str) -> Result<(u64, Option<Instant>), Refusal> {
    let north_american = matches!(kind, Kind::Official(list) if list.is_north_american());
    let mut fields = line.split(',').map(str::trim);
    let first = fields.next().unwrap_or_default();
    let mut second = fields.next();
    let digits = if north_american && is_digits(first, 3) && second.is_some_and(|s| is_digits(s, 7)) {
        let joined = format!("1{first}{}", second.unwrap_or_default());
        second = fields.next();
        joined
    } else if north_american && is_digits(first, 10) {
        format!("1{first}")
    } else {
        bare_digits(first)?.to_owned()
    };
    if fields.next().is_some() {
        return Err(("more fields than a number and its entry date".to_owned(), "give one number a line"));
    }
    let number = digits.parse().map_err(|_| (String::from("no number"), "give a number in E.164 form"))?;
    match kind {
        Kind::Official(list) if !list.covers(number) => {
            let codes: Vec<String> = list.calling_codes.iter().map(|code| format!("+{code}")).collect();
            let what = format!("the number does not belong to {} ({})", list.id, codes.join(", "));
            return Err((what, "give numbers in E.164 form, with their country code"));
        }
        Kind::Official(list) if list.id == WIRELESS_BLOCKS && number != block_of(number) => {
            let what =
                "no block: it is not the first of a thousand numbers, and as such would never be found".to_owned();
            return Err((what, "give each block as its first number, which ends in 000"));
        }
        _ if north_american && (digits.len() != 11 || matches!(digits.as_bytes().get(1), Some(b'0' | b'1'))) => {
            let what = "no North American number: ten digits are needed, the first of them 2 to 9".to_owned();
            return Err((what, "give +1 and ten digits, ten digits, or area code, comma, seven digits"));
        }
        _ => {}
    }
    Ok((as_checked(&digits)?, second.map(date).transpose()?))
}

/// The value that a check makes of these digits: a national prefix after the calling code is none of the number.
fn as_checked(digits: &str) -> Result<u64, Refusal> {
    let number = Number::parse(&format!("+{digits}"), None).map(Number::reveal_digits);
    number.map_err(|error| (format!("no check can be about it: {error}"), "give numbers in E.164 form"))
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
}

/// The digits of an E.164 number. A fault names the place of what is wrong and never quotes digits.
fn bare_digits(field: &str) -> Result<&str, Refusal> {
    const FORM: &str = "give numbers in E.164 form without spaces, such as +442079460000";
    let digits = field.strip_prefix('+').unwrap_or(field);
    if let Some((index, wrong)) = digits.chars().enumerate().find(|(_, c)| !c.is_ascii_digit()) {
        let column = index + 1 + (field.chars().count() - digits.chars().count());
        return Err((format!("character {column} of the number is {wrong:?}, not a digit"), FORM));
    }
    if digits.starts_with('0') {
        return Err(("the number begins with 0, so it has no country code".to_owned(), FORM));
    }
    if !(7..=15).contains(&digits.len()) {
        return Err((format!("the number has {} digits, E.164 has 7 to 15", digits.len()), FORM));
    }
    Ok(digits)
}

/// An entry date: a day, which stands for its midnight in UTC, or an instant.
fn date(field: &str) -> Result<Instant, Refusal> {
    let day = || {
        let day: jiff::civil::Date = (field.len() == 10).then(|| field.parse().ok())??;
        Instant::from_rfc3339(&format!("{day}T00:00:00Z"))
    };
    Instant::from_rfc3339(field).or_else(day).ok_or_else(|| {
        let what = "the entry date after the comma is neither YYYY-MM-DD nor an RFC 3339 instant".to_owned();
        (what, "correct the date, or leave it out with its comma")
    })
}

/// The lines of a file, none longer than [`LINE_LIMIT`], with the digest of all that was read.
struct Lines<'a, R> {
    path: &'a Path,
    reader: BufReader<Digesting<R>>,
    line: Vec<u8>,
    number: u64,
}

impl<'a, R: Read> Lines<'a, R> {
    fn new(path: &'a Path, source: R) -> Self {
        let source = Digesting { source, digest: digest::Context::new(&digest::SHA256) };
        Self { path, reader: BufReader::with_capacity(1 << 17, source), line: Vec::new(), number: 0 }
    }

    /// The next line, trimmed, and its number, counted from 1. `None` at the end.
    fn next_line(&mut self) -> Result<Option<(u64, &str)>, Fault> {
        self.line.clear();
        self.number += 1;
        let limit = u64::try_from(LINE_LIMIT + 1).unwrap_or(u64::MAX);
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line);
        if read.map_err(|error| Fault::unreadable(self.path, &error))? == 0 {
            return Ok(None);
        }
        if self.line.len() > LINE_LIMIT {
            let what = format!("the line is longer than {LINE_LIMIT} bytes");
            return Err(Fault::at_line(self.path, self.number, what, "give one number a line, in plain text"));
        }
        let text = std::str::from_utf8(&self.line).map_err(|_| {
            Fault::at_line(self.path, self.number, "the line is not UTF-8", "save the file as plain text in UTF-8")
        })?;
        // Windows editors put a byte order mark before the first line.
        let text = if self.number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        Ok(Some((self.number, text.trim())))
    }

    fn version(self) -> String {
        let digest = self.reader.into_inner().digest.finish();
        digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

struct Digesting<R> {
    source: R,
    digest: digest::Context,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
