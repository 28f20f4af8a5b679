//! Settings of the audit log.

use std::path::PathBuf;
use std::time::Duration;

use super::{KEYS, Written, choice, shown};
use crate::audit::{ArchiveAt, ArchiveSettings};

/// How the audit log uses its volume, and where it is archived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditConfig {
    /// Where closed segments are kept.
    pub archive: Option<ArchiveSettings>,
    /// For how long one stays in the data folder after its newest entry, once it is archived.
    pub keep: Duration,
    /// The size at which a segment is closed.
    pub segment_bytes: u64,
    /// The age at which it is closed.
    pub segment_age: Duration,
}

/// Where a command that is not the server finds the archive of the audit log: its flags by key, or the environment.
///
/// # Errors
/// Every fault.
pub fn resolve_archive(
    flag: &dyn Fn(&str) -> Option<String>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<ArchiveSettings>, Vec<String>> {
    let mut faults = Vec::new();
    let read = |key: &str| {
        let variable = format!("RINGFENCE_{}", key.to_uppercase());
        let default = KEYS.iter().find(|(known, ..)| *known == key).map_or("", |(.., default)| default);
        match flag(key) {
            Some(text) => Written { text, origin: format!("--{}", key.replace("audit_", "").replace('_', "-")) },
            None => Written { text: env(&variable).unwrap_or_else(|| default.to_owned()), origin: variable },
        }
    };
    let archive = archive(&read, &mut |written: &Written, what: &str| {
        faults.push(format!("{}: `{}` {what}", written.origin, shown(&written.text)));
    });
    if faults.is_empty() { Ok(archive) } else { Err(faults) }
}

fn archive(read: &dyn Fn(&str) -> Written, fault: &mut dyn FnMut(&Written, &str)) -> Option<ArchiveSettings> {
    let place = read("audit_archive");
    let some = |key: &str| Some(read(key).text).filter(|text| !text.is_empty());
    let virtual_hosts = choice(&read("audit_archive_virtual_hosts"), &["false", "true"], fault) == 1;
    if place.text.is_empty() {
        return None;
    }
    let at = match ArchiveAt::parse(&place.text) {
        Ok(at) => at,
        Err(why) => {
            // What stands before an @ may be a key.
            let text = place.text.rsplit('@').next().unwrap_or_default().to_owned();
            fault(&Written { text, ..place }, why);
            return None;
        }
    };
    let endpoint = some("audit_archive_endpoint");
    if endpoint.as_ref().is_some_and(|text| !text.starts_with("http://") && !text.starts_with("https://")) {
        fault(&read("audit_archive_endpoint"), "is not an address such as https://s3.example.org");
    }
    Some(ArchiveSettings {
        at,
        endpoint,
        region: some("audit_archive_region"),
        credentials: some("audit_archive_credentials").map(PathBuf::from),
        virtual_hosts,
    })
}

pub(super) fn audit(read: &dyn Fn(&str) -> Written, fault: &mut dyn FnMut(&Written, &str)) -> AuditConfig {
    let mut number = |key: &str, range: std::ops::RangeInclusive<u32>| {
        let written = read(key);
        let value = written.text.parse::<u32>().ok().filter(|value| range.contains(value));
        if value.is_none() {
            fault(&written, &format!("is not a number, {} to {}", range.start(), range.end()));
        }
        u64::from(value.unwrap_or(*range.start()))
    };
    let keep = Duration::from_secs(number("audit_keep_days", 0..=3_650) * 86_400);
    let segment_bytes = number("audit_segment_mib", 1..=1_024) << 20;
    let segment_age = Duration::from_secs(number("audit_segment_hours", 1..=8_760) * 3_600);
    AuditConfig { archive: archive(read, fault), keep, segment_bytes, segment_age }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::{Sources, resolve};
    use super::*;

    #[test]
    fn an_archive_is_read_and_its_keys_never_shown() {
        let flag = |key: &str| match key {
            "audit_archive" => Some("s3://logs/ringfence".to_owned()),
            "audit_archive_endpoint" => Some("http://127.0.0.1:9000".to_owned()),
            "audit_keep_days" => Some("0".to_owned()),
            _ => None,
        };
        let audit = resolve(&Sources { file: None, env: &|_| None, flag: &flag }).unwrap().audit;
        assert_eq!(audit.archive.unwrap().at.to_string(), "s3://logs/ringfence");
        assert_eq!((audit.keep, audit.segment_bytes), (Duration::ZERO, 64 << 20));
        let flag = |key: &str| match key {
            "audit_archive" => Some("s3://key:hush@logs".to_owned()),
            "audit_segment_mib" => Some("0".to_owned()),
            _ => None,
        };
        let faults = resolve(&Sources { file: None, env: &|_| None, flag: &flag }).unwrap_err();
        assert!(faults.len() == 2 && !faults.iter().any(|fault| fault.contains("hush")), "{faults:?}");
        assert_eq!(resolve_archive(&|_| None, &|_| None).unwrap(), None);
    }
}
