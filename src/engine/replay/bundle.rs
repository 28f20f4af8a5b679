//! Past decisions taken along: a folder that another machine replays, without the store or its keys.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use tokio::sync::mpsc;

use super::run::read;
use super::{Filter, Laws, Past, Recorded, Unfits, Vault};
use crate::audit::{self, BodyKey, Entries, Entry, Library, Log};
use crate::engine::Failure;
use crate::place::Number;
use crate::store::{Keys, Purpose};

/// Ids that are named of each kind of fault.
const EXAMPLES: usize = 3;

/// What a bundle holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Bundled {
    /// Decisions.
    pub decisions: u64,
    /// Laws they were made by.
    pub laws: u64,
    /// Decisions that are not in it, or whose law is not, by why.
    pub missing: BTreeMap<String, Unfits>,
}

/// Where decisions come from.
#[derive(Debug)]
pub struct Source<'a> {
    /// The log.
    pub entries: Entries,
    /// What opens its entries.
    pub vault: &'a Vault,
    /// The law they were made by.
    pub laws: &'a Laws,
}

/// Writes decisions into a log of its own, each sealed under these keys, and into a library all that they were made by.
/// The numbers in them are tagged by these keys as well: nothing in the bundle opens, or is opened by, what it came from.
///
/// # Errors
/// Log or store cannot be read, or the bundle not written.
pub async fn bundle(
    source: Source<'_>,
    filter: &Filter,
    keys: &Keys,
    log: &Path,
    library: &Library,
    progress: impl Fn(u64, u64),
) -> Result<Bundled, Failure> {
    let log = Log::open(log, audit::Settings::default(), &[])?;
    let tenant = keys.tenant(crate::access::DEFAULT_TENANT, 1);
    let (mut bundled, mut laws) = (Bundled::default(), HashSet::new());
    let (sender, mut batches) = mpsc::channel(1);
    let (entries, wanted) = (source.entries, filter.clone());
    let reader = tokio::task::spawn_blocking(move || read(entries, &wanted, &sender));
    while let Some(batch) = batches.recv().await {
        let rows = batch.entries.len();
        for entry in batch.entries {
            let mut missing = |why: String| {
                let unfits = bundled.missing.entry(why).or_default();
                unfits.count += 1;
                if unfits.decision_ids.len() < EXAMPLES {
                    unfits.decision_ids.push(entry.id.to_string());
                }
            };
            let opened = source.vault.open(&entry).await?;
            let (past, body) = match opened.and_then(|body| Past::read(&entry, &body).map(|read| (read, body))) {
                Ok((Recorded::Decision(past), body)) if filter.wants_past(&past) => (past, body),
                Ok(_) => continue,
                Err(why) => {
                    missing(why.to_string());
                    continue;
                }
            };
            if let Some(basis) = past.basis().filter(|basis| !laws.contains(basis)) {
                match source.laws.objects(&basis) {
                    Ok(objects) => {
                        library.keep(&objects)?;
                        laws.insert(basis);
                    }
                    Err(why) => missing(format!("{why}, so it comes without its law")),
                }
            }
            let number = Number::parse(&past.original().number, None).ok();
            let campaign = &past.request().campaign;
            let entry = Entry {
                tag: number.map(|number| *keys.tag(&tenant, number.reveal_e164().as_str()).tag()),
                campaign: (!campaign.is_empty()).then(|| keys.campaign(&tenant, campaign)),
                // Of the log that it was taken from.
                open: None,
                key: BodyKey::Sealing(keys.sealing_id()),
                body: keys.seal_bytes(Purpose::AuditBody, &entry.id.bytes(), &body)?,
                ..entry
            };
            log.append_soon(entry.encode()).await?;
            bundled.decisions += 1;
        }
        progress(batch.bytes, u64::try_from(rows).unwrap_or(u64::MAX));
    }
    reader.await.map_err(|error| Failure::Internal(error.to_string()))??;
    let _ = log.sync().await?;
    bundled.laws = u64::try_from(laws.len()).unwrap_or(u64::MAX);
    Ok(bundled)
}
