//! A whole log judged again, on all cores, in flat memory.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Known, Laws, Past, Recorded, Tally, Under, Unfit, Vault};
use crate::audit::{DecisionId, Entries, Entry};
use crate::engine::Failure;
use crate::law::Law;
use crate::store::StoreError;
use crate::time::Instant;

/// Entries that go from hand to hand together.
const BATCH: usize = 256;

/// Which entries.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    /// Recorded at this instant or later.
    pub from: Option<Instant>,
    /// Recorded before this instant.
    pub until: Option<Instant>,
    /// Only these; empty: any.
    pub ids: HashSet<DecisionId>,
    /// Only about the number with this tag.
    pub tag: Option<[u8; 32]>,
    /// Only on behalf of this seller.
    pub seller: Option<String>,
    /// Only in this campaign.
    pub campaign: Option<String>,
}

impl Filter {
    pub(super) fn wants(&self, entry: &Entry) -> bool {
        self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
            && (self.ids.is_empty() || self.ids.contains(&entry.id))
            && self.tag.is_none_or(|tag| entry.tag == Some(tag))
    }

    pub(super) fn wants_past(&self, past: &Past) -> bool {
        let request = past.request();
        self.seller.as_ref().is_none_or(|seller| *seller == request.seller)
            && self.campaign.as_ref().is_none_or(|campaign| *campaign == request.campaign)
    }
}

/// What to do with them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The law to judge by; `None`: that of then.
    pub law: Option<Arc<Law>>,
    /// Judge by what is known of each contact now, not by what was known then.
    pub known_now: bool,
    /// Which.
    pub filter: Filter,
    /// Examples of each kind.
    pub examples: usize,
    /// Count only decisions made with the zone data and numbering tables in use in this process; all else was counted by
    /// another.
    pub part: bool,
}

struct Job {
    vault: Vault,
    laws: Laws,
    plan: Plan,
}

/// Judges every decision of this log again. `progress` is told of bytes and entries that are done.
///
/// # Errors
/// Log or store cannot be read, or the log was altered: what comes behind is not to be relied on.
pub async fn run(
    entries: Entries,
    vault: Vault,
    laws: Laws,
    plan: Plan,
    progress: impl Fn(u64, u64) + Send,
) -> Result<Tally, Failure> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let examples = plan.examples;
    let job = Arc::new(Job { vault, laws, plan });
    let (sender, batches) = mpsc::channel(workers * 2);
    let wanted = Arc::clone(&job);
    let reader = tokio::task::spawn_blocking(move || read(entries, &wanted.plan.filter, &sender));
    let judged = ReceiverStream::new(batches).map(|batch: Batch| {
        let job = Arc::clone(&job);
        tokio::spawn(async move {
            let (bytes, rows) = (batch.bytes, batch.entries.len());
            (job.batch(batch.entries).await, bytes, rows)
        })
    });
    let mut judged = judged.buffer_unordered(workers);
    let mut tally = Tally::new(examples);
    while let Some(done) = judged.next().await {
        let (counted, bytes, rows) = done.map_err(|error| Failure::Internal(error.to_string()))?;
        tally.merge(counted?);
        progress(bytes, u64::try_from(rows).unwrap_or(u64::MAX));
    }
    reader.await.map_err(|error| Failure::Internal(error.to_string()))??;
    Ok(tally)
}

pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: u64,
}

/// Reads what is wanted, batch by batch, until all is read or nobody takes it. Waits: for a thread of its own.
pub(super) fn read(mut entries: Entries, filter: &Filter, sender: &mpsc::Sender<Batch>) -> Result<(), StoreError> {
    let mut batch = Batch { entries: Vec::with_capacity(BATCH), bytes: 0 };
    while let Some((found, bytes)) = entries.next_entry()? {
        batch.bytes += bytes;
        if filter.wants(&found.entry) {
            batch.entries.push(found.entry);
        }
        if batch.entries.len() >= BATCH {
            let full = std::mem::replace(&mut batch, Batch { entries: Vec::with_capacity(BATCH), bytes: 0 });
            // Nobody takes it any more: judging failed, and says why.
            if sender.blocking_send(full).is_err() {
                return Ok(());
            }
        }
    }
    let _ = sender.blocking_send(batch);
    Ok(())
}

impl Job {
    async fn batch(&self, entries: Vec<Entry>) -> Result<Tally, Failure> {
        let mut tally = Tally::new(self.plan.examples);
        for entry in entries {
            if let Err(why) = self.one(&entry, &mut tally).await? {
                tally.add_unfit(entry.id.to_string(), &why);
            }
        }
        Ok(tally)
    }

    async fn one(&self, entry: &Entry, tally: &mut Tally) -> Result<Result<(), Unfit>, Failure> {
        let body = match self.vault.open(entry).await? {
            Ok(body) => body,
            Err(_) if self.plan.part => return Ok(Ok(())),
            Err(why) => return Ok(Err(why)),
        };
        let past = match Past::read(entry, &body) {
            Ok(Recorded::Decision(past)) if !self.plan.part || self.is_of_this_part(&past) => past,
            _ if self.plan.part => return Ok(Ok(())),
            Ok(Recorded::Decision(past)) => past,
            Ok(Recorded::Rows(rows)) => {
                (tally.writes, tally.rows) = (tally.writes + 1, tally.rows + rows);
                return Ok(Ok(()));
            }
            Ok(Recorded::Write) => {
                tally.writes += 1;
                return Ok(Ok(()));
            }
            Err(why) => return Ok(Err(why)),
        };
        if !self.plan.filter.wants_past(&past) {
            return Ok(Ok(()));
        }
        let contact = match self.plan.known_now {
            false => None,
            true => match self.vault.contact(entry).await? {
                Ok(contact) => contact,
                Err(why) => return Ok(Err(why)),
            },
        };
        let known = if self.plan.known_now { Known::Now(contact.as_ref()) } else { Known::Then };
        Ok(self.judge(&past, known, tally))
    }

    fn is_of_this_part(&self, past: &Past) -> bool {
        let named = past.basis().and_then(|basis| self.laws.named(&basis).ok());
        named.is_some_and(|named| named.has_zones() && named.has_tables())
    }

    fn judge(&self, past: &Past, known: Known<'_>, tally: &mut Tally) -> Result<(), Unfit> {
        let law = match &self.plan.law {
            Some(law) => Arc::clone(law),
            None => {
                let basis = past.basis().ok_or(Unfit::Unnamed)?;
                match self.laws.get(&basis) {
                    Ok(law) => law,
                    Err(Unfit::Zones(_) | Unfit::Tables(_)) => {
                        let name = basis.iter().map(|byte| format!("{byte:02x}")).collect();
                        *tally.elsewhere.entry(name).or_default() += 1;
                        return Ok(());
                    }
                    Err(why) => return Err(why),
                }
            }
        };
        let judged = past.judge(Under { law: &law, known, lists: None, switches: None })?;
        tally.add(past, &judged);
        Ok(())
    }
}
