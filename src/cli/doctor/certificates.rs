//! Until when the certificates, and the revocation lists, that settings name are good.

use std::path::Path;

use crate::config::{Config, StoreAt};
use crate::listen::{self, TlsFault};
use crate::store::redis::{Finding, Weight};
use crate::time::{Instant, Millis};

/// What expires within this is worth a word now.
const SOON: Millis = Millis::days(30);
/// The same of a list: those are made anew every few days, often hours before the one before runs out.
const SOON_OF_A_LIST: Millis = Millis::hours(12);

/// A finding for each file of certificates, and of lists.
pub(super) fn look(config: &Config, now: Instant) -> Vec<Finding> {
    let tls = config.exposed.tls.iter().flat_map(|files| [Some(&files.certificate), files.authority.as_ref()]);
    let stores = std::iter::once(&config.store).chain(config.pinned.iter().map(|pinned| &pinned.store));
    let stores = stores.flat_map(|store| match store {
        StoreAt::Embedded => [None, None],
        StoreAt::Redis(_, files) => [files.certificate.as_ref(), files.authority.as_ref()],
    });
    let of_certificates = tls.chain(stores).chain([config.webhook_ca.as_ref()]).flatten();
    let of_certificates = of_certificates.map(|path| {
        let end = listen::first_to_expire(path).map(|(_, end)| end);
        finding(path, end, (SOON, "certificate"), now)
    });
    let lists = config.exposed.tls.iter().flat_map(|files| &files.revoked).filter_map(|path| {
        let end = listen::first_to_run_out(std::slice::from_ref(path)).transpose()?;
        Some(finding(path, end, (SOON_OF_A_LIST, "revocation list"), now))
    });
    of_certificates.chain(lists).collect()
}

fn finding(path: &Path, end: Result<i64, TlsFault>, (soon, what): (Millis, &str), now: Instant) -> Finding {
    let server = path.display().to_string();
    let (weight, text) = match end {
        Err(fault) => (Weight::Refused, fault.to_string()),
        Ok(end) => {
            let end = Instant::from_millis(end.saturating_mul(1_000));
            match end {
                _ if end <= now => (Weight::Refused, format!("expired {end}: put a new {what} in its place")),
                _ if end <= now.plus(soon) => {
                    (Weight::Warning, format!("expires {end}: put a new {what} in its place, which is read again"))
                }
                _ => (Weight::Fine, format!("good until {end}")),
            }
        }
    };
    Finding { weight, server, text }
}
