//! Until when the certificates that settings name are good.

use std::path::Path;

use crate::config::{Config, StoreAt};
use crate::listen;
use crate::store::redis::{Finding, Weight};
use crate::time::{Instant, Millis};

/// What expires within this is worth a word now.
const SOON: Millis = Millis::days(30);

/// A finding for each file of certificates.
pub(super) fn look(config: &Config, now: Instant) -> Vec<Finding> {
    let tls = config.exposed.tls.iter().flat_map(|files| [Some(&files.certificate), files.authority.as_ref()]);
    let stores = std::iter::once(&config.store).chain(config.pinned.iter().map(|pinned| &pinned.store));
    let stores = stores.flat_map(|store| match store {
        StoreAt::Embedded => [None, None],
        StoreAt::Redis(_, files) => [files.certificate.as_ref(), files.authority.as_ref()],
    });
    tls.chain(stores).chain([config.webhook_ca.as_ref()]).flatten().map(|path| finding(path, now)).collect()
}

fn finding(path: &Path, now: Instant) -> Finding {
    let server = path.display().to_string();
    let (weight, text) = match listen::first_to_expire(path) {
        Err(fault) => (Weight::Refused, fault.to_string()),
        Ok((_, end)) => {
            let end = Instant::from_millis(end.saturating_mul(1_000));
            match end {
                _ if end <= now => (Weight::Refused, format!("expired {end}: put a new certificate in its place")),
                _ if end <= now.plus(SOON) => {
                    (Weight::Warning, format!("expires {end}: put a new certificate in its place, which is read again"))
                }
                _ => (Weight::Fine, format!("good until {end}")),
            }
        }
    };
    Finding { weight, server, text }
}
