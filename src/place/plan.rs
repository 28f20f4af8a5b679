//! The numbering plans: what a number's digits say about its kind and its place.
//!
//! Promises: the answers of libphonenumber for validity, kind and region (from the same patterns, see `patterns.tsv`),
//! at a fraction of its cost; and for what a prefix does not settle, every place it may be. Guarded by
//! `tests/place.rs`, which compares with `rlibphonenumber` on generated numbers and with a reference sample.

mod automaton;
mod nanp;
mod prefixes;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use automaton::Table;

use super::region;
use super::{Jurisdiction, NoPlaceReason, NumberType, Place};
use crate::time::InUse;

/// The tables that decisions on places rest on, by file name: to be kept by hash with every decision. Line one of each
/// names its source, version and licence.
pub const TABLES: [(&str, &str); 7] = [
    ("patterns.tsv", include_str!("plan/patterns.tsv")),
    ("nanp.tsv", include_str!("plan/nanp.tsv")),
    ("prefixes.tsv", include_str!("plan/prefixes.tsv")),
    ("countries.tsv", include_str!("plan/countries.tsv")),
    ("subdivisions.tsv", include_str!("plan/subdivisions.tsv")),
    ("short.tsv", include_str!("plan/short.tsv")),
    ("zip3.tsv", include_str!("plan/zip3.tsv")),
];

static INSTALLED: OnceLock<Vec<(String, String)>> = OnceLock::new();
/// Whether a table was looked at.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Puts other tables in the place of those compiled in, for the whole process: to judge again what was judged under them.
/// To be called before any number or place was looked at.
///
/// # Errors
/// A table was looked at before, or others were installed.
pub fn install_tables(tables: Vec<(String, String)>) -> Result<(), InUse> {
    if IN_USE.load(Ordering::Relaxed) {
        return Err(InUse);
    }
    INSTALLED.set(tables).map_err(|_| InUse)
}

/// The tables in use, by file name.
#[must_use]
pub fn tables() -> Vec<(&'static str, &'static str)> {
    match INSTALLED.get() {
        Some(installed) => installed.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect(),
        None => TABLES.to_vec(),
    }
}

/// The text of one table.
pub(super) fn table(name: &str) -> &'static str {
    IN_USE.store(true, Ordering::Relaxed);
    tables().into_iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

/// The rows of a table, split at tabs, without the header.
pub(super) fn rows(name: &str) -> impl Iterator<Item = std::str::Split<'static, char>> {
    table(name).lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t'))
}

/// What the plan says of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Finding {
    pub number_type: NumberType,
    /// Whether the number lies in a range that is given out.
    pub assigned: bool,
    pub origin: Origin,
}

/// Where the plan puts a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Places(Settled),
    Nowhere(NoPlaceReason),
}

/// The places of a number, as known beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Settled {
    pub places: &'static [Place],
    /// The same with the clocks that border towns keep by custom.
    pub with_custom: &'static [Place],
    /// Whether the digits say more than the country: then its zones count beside those of a residence.
    pub pinned: bool,
}

/// One calling code.
pub(super) struct Code {
    code: u16,
    /// Bit n: a national number of n digits is possible.
    lengths: u32,
    /// Region (`None`: no country), kind and pattern, in upstream's order.
    rows: Vec<(Option<Jurisdiction>, Kind, &'static str)>,
    regions: Vec<Option<Jurisdiction>>,
    /// Every place of every region that shares the code.
    places: Vec<Place>,
    compiled: OnceLock<Compiled>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Leading,
    General,
    Line(NumberType),
}

struct Compiled {
    table: Option<Table>,
    classes: Vec<Class>,
    /// By state: bit set of the kinds still reachable.
    reachable: Vec<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Class {
    region: Option<Jurisdiction>,
    number_type: NumberType,
    places: &'static [Place],
}

/// The calling code at the head of a digit string, and the rest.
pub(super) fn split(digits: &[u8]) -> Option<(&'static Code, &[u8])> {
    let codes = codes();
    if digits.first() == Some(&b'0') {
        return None;
    }
    let mut value = 0_usize;
    for (i, digit) in digits.iter().take(3).enumerate() {
        value = value * 10 + usize::from(digit.wrapping_sub(b'0'));
        if let Some(slot) = codes.by_value.get(value).copied()
            && slot > 0
        {
            return Some((codes.list.get(usize::from(slot) - 1)?, digits.get(i + 1..)?));
        }
    }
    None
}

/// Compiles the patterns of every calling code, which otherwise happens at the first number of each: a few milliseconds
/// for a large plan, some 0.1 s in all.
pub fn warm_up() {
    for code in &codes().list {
        code.compiled();
    }
}

/// Whether the plans know this region as one a national number can be read in.
pub(super) fn is_region(region: &str) -> bool {
    codes().regions.binary_search_by(|known| known.as_str().cmp(region)).is_ok()
}

/// The countries of the calling code that a number begins with; of none, where the code is of no country.
pub(super) fn countries_of_code(digits: &[u8]) -> impl Iterator<Item = Jurisdiction> {
    split(digits).into_iter().flat_map(|(code, _)| code.regions.iter().copied().flatten())
}

/// Whether some calling code is of this country and of another.
pub(super) fn is_shared(country: Jurisdiction) -> bool {
    codes().list.iter().any(|code| code.regions.contains(&Some(country)) && code.regions.len() > 1)
}

/// Whether a region shares +1.
pub(super) fn is_nanp_region(region: &str) -> bool {
    codes().list.first().is_some_and(|code| code.regions.iter().flatten().any(|known| known.as_str() == region))
}

impl Code {
    /// Whether a national number of this many digits is possible; else whether it is too short, too long, or between.
    pub(super) fn fits(&self, digits: usize) -> Fit {
        let bit = u32::try_from(digits).ok().and_then(|n| 1_u32.checked_shl(n)).unwrap_or(0);
        if self.lengths & bit != 0 {
            Fit::Possible
        } else if bit != 0 && bit < self.lengths & self.lengths.wrapping_neg() {
            Fit::TooShort
        } else if bit == 0 || bit > self.lengths {
            Fit::TooLong
        } else {
            Fit::Between
        }
    }

    /// Whether a national number is in a range that is given out.
    pub(super) fn is_assigned(&self, national: &[u8]) -> bool {
        let compiled = self.compiled();
        compiled.table.as_ref().is_some_and(|table| table.walk(national).class > 0)
    }

    /// Whether this is +1, where a national number never begins with its own prefix.
    pub(super) fn is_nanp(&self) -> bool {
        self.code == 1
    }

    /// What is known of a national number.
    pub(super) fn find(&'static self, national: &[u8]) -> Finding {
        let compiled = self.compiled();
        let walk = compiled.table.as_ref().map(|table| table.walk(national));
        let class = walk.as_ref().and_then(|walk| compiled.classes.get(usize::from(walk.class).checked_sub(1)?));
        let assigned = class.is_some();
        let (region, number_type) = match class {
            Some(class) => (class.region, class.number_type),
            None => (None, self.kind_by_prefix(compiled, walk.as_ref())),
        };
        if self.is_nanp() && national.len() == 10 {
            return nanp::find(national, number_type, assigned);
        }
        if let Some(reason) = nowhere(number_type) {
            return Finding { number_type, assigned, origin: Origin::Nowhere(reason) };
        }
        if self.regions.iter().all(Option::is_none) {
            let number_type = if assigned { number_type } else { NumberType::Global };
            return Finding { number_type, assigned, origin: Origin::Nowhere(NoPlaceReason::Global) };
        }
        let settled = prefixes::find(self.code, national, number_type, assigned, region).unwrap_or_else(|| {
            let places = class.map_or(self.places.as_slice(), |class| class.places);
            Settled { places, with_custom: places, pinned: false }
        });
        Finding { number_type, assigned, origin: Origin::Places(settled) }
    }

    /// For a number in no known range: the kind that everything with its prefix has, where that kind has no place.
    fn kind_by_prefix(&self, compiled: &Compiled, walk: Option<&automaton::Walk>) -> NumberType {
        // Two digits rarely are a whole prefix, and a wrong "premium" refuses a number for good.
        const TELLING_DIGITS: usize = 3;
        let global = self.regions.iter().all(Option::is_none);
        let Some(walk) = walk.filter(|walk| global || walk.depth >= TELLING_DIGITS) else { return NumberType::Unknown };
        let kinds = compiled.reachable.get(usize::from(walk.last)).copied().unwrap_or(0);
        [NumberType::TollFree, NumberType::Premium, NumberType::Personal]
            .into_iter()
            .find(|kind| kinds == bit(*kind))
            .unwrap_or(NumberType::Unknown)
    }

    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| self.compile())
    }

    fn compile(&self) -> Compiled {
        let mut patterns: Vec<String> = Vec::new();
        let index: Vec<usize> = self
            .rows
            .iter()
            .map(|(_, kind, pattern)| {
                let whole =
                    if *kind == Kind::Leading { format!("(?:{pattern})[0-9]*") } else { format!("(?:{pattern})") };
                patterns.iter().position(|known| *known == whole).unwrap_or_else(|| {
                    patterns.push(whole);
                    patterns.len() - 1
                })
            })
            .collect();
        let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let mut classes: Vec<Class> = Vec::new();
        let table = Table::build(&texts, |matched| {
            let hit = |row: usize| index.get(row).is_some_and(|pattern| matched.binary_search(pattern).is_ok());
            let Some(class) = self.class(hit) else { return 0 };
            let found = classes.iter().position(|known| *known == class).unwrap_or_else(|| {
                classes.push(class);
                classes.len() - 1
            });
            u16::try_from(found + 1).unwrap_or(0)
        });
        let mark = |class: u16| {
            usize::from(class).checked_sub(1).and_then(|i| classes.get(i)).map_or(0, |class| bit(class.number_type))
        };
        let reachable = table.as_ref().map(|table| table.reachable(mark)).unwrap_or_default();
        Compiled { table, classes, reachable }
    }

    /// The region and kind of a number, given which rows match it: the first region whose leading digits it has, or,
    /// among those without, in whose plan it is valid.
    fn class(&self, hit: impl Fn(usize) -> bool) -> Option<Class> {
        for region in &self.regions {
            let rows = || self.rows.iter().enumerate().filter(|(_, row)| row.0 == *region);
            let has = |kind: Kind| rows().any(|(i, row)| row.1 == kind && hit(i));
            let line = || {
                rows().find_map(|(i, row)| match row.1 {
                    Kind::Line(kind) if hit(i) => Some(kind),
                    _ => None,
                })
            };
            // A number that has both a fixed and a mobile pattern of the region may be either.
            let both = || has(Kind::Line(NumberType::Fixed)) && has(Kind::Line(NumberType::Mobile));
            let kind = has(Kind::General).then(line).flatten().map(|kind| match kind {
                NumberType::Fixed if both() => NumberType::FixedOrMobile,
                other => other,
            });
            let led = rows().any(|(_, row)| row.1 == Kind::Leading);
            if led && !has(Kind::Leading) {
                continue;
            }
            match kind {
                Some(number_type) => return Some(self.class_of(*region, number_type)),
                None if led => return None,
                None => {}
            }
        }
        None
    }

    fn class_of(&self, region: Option<Jurisdiction>, number_type: NumberType) -> Class {
        let places = region.map_or(&[][..], region::places);
        let number_type = match (region, number_type) {
            (None, NumberType::TollFree | NumberType::Premium | NumberType::SharedCost) | (Some(_), _) => number_type,
            (None, _) => NumberType::Global,
        };
        Class { region, number_type, places }
    }
}

/// How a number's length compares with the lengths possible under its calling code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fit {
    Possible,
    TooShort,
    TooLong,
    Between,
}

/// Why a kind of number has no place, if it has none.
fn nowhere(number_type: NumberType) -> Option<NoPlaceReason> {
    match number_type {
        NumberType::TollFree => Some(NoPlaceReason::TollFree),
        NumberType::Premium => Some(NoPlaceReason::Premium),
        NumberType::Personal => Some(NoPlaceReason::Personal),
        NumberType::Global => Some(NoPlaceReason::Global),
        _ => None,
    }
}

fn bit(kind: NumberType) -> u16 {
    1 << (kind as u16)
}

struct Codes {
    list: Vec<Code>,
    /// By calling code: its index in `list` plus one, 0 for none.
    by_value: Vec<u16>,
    /// Every region of every code, sorted.
    regions: Vec<Jurisdiction>,
}

fn codes() -> &'static Codes {
    static CODES: OnceLock<Codes> = OnceLock::new();
    CODES.get_or_init(read_codes)
}

fn read_codes() -> Codes {
    let mut list: Vec<Code> = Vec::new();
    for mut row in rows("patterns.tsv") {
        let (Some(Ok(code)), Some(region), Some(kind), Some(pattern)) =
            (row.next().map(str::parse::<u16>), row.next(), row.next(), row.next())
        else {
            continue;
        };
        let region = region.parse::<Jurisdiction>().ok();
        if kind == "lengths" {
            let lengths = pattern.split(',').filter_map(|n| 1_u32.checked_shl(n.parse().ok()?)).sum();
            let (rows, regions, places, compiled) = Default::default();
            list.push(Code { code, lengths, rows, regions, places, compiled });
        }
        let (Some(current), Some(kind)) = (list.last_mut(), kind_of(kind)) else { continue };
        if !current.regions.contains(&region) {
            current.regions.push(region);
            current.places.extend(region.map_or(&[][..], region::places).iter().cloned());
        }
        current.rows.push((region, kind, pattern));
    }
    for code in &mut list {
        code.places.sort_by_key(|place| place.jurisdiction);
    }
    let mut by_value = vec![0; 1000];
    for (i, code) in list.iter().enumerate() {
        if let Some(slot) = by_value.get_mut(usize::from(code.code)) {
            *slot = u16::try_from(i + 1).unwrap_or(0);
        }
    }
    let mut regions: Vec<Jurisdiction> = list.iter().flat_map(|code| code.regions.iter().copied().flatten()).collect();
    regions.sort_unstable();
    Codes { list, by_value, regions }
}

fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "leading" => Kind::Leading,
        "general" => Kind::General,
        "premium" => Kind::Line(NumberType::Premium),
        "toll_free" => Kind::Line(NumberType::TollFree),
        "shared_cost" => Kind::Line(NumberType::SharedCost),
        "voip" => Kind::Line(NumberType::Voip),
        "personal" => Kind::Line(NumberType::Personal),
        "pager" => Kind::Line(NumberType::Pager),
        "uan" => Kind::Line(NumberType::Uan),
        "voicemail" => Kind::Line(NumberType::Voicemail),
        "fixed_or_mobile" => Kind::Line(NumberType::FixedOrMobile),
        "fixed" => Kind::Line(NumberType::Fixed),
        "mobile" => Kind::Line(NumberType::Mobile),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
