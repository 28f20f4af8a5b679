//! What is read again while serving: how a change is seen, and how a refusal is told.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::telemetry::Metrics;

/// What tells one state of a file from another without reading it. The time of its last change of any kind, which no tool
/// sets back, tells of another owner or mode too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file as it is now; `None`: it cannot be seen.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|about| Self::from(&about))
    }
}

impl From<&Metadata> for Stamp {
    fn from(about: &Metadata) -> Self {
        Self {
            len: about.len(),
            modified: about.modified().ok(),
            inode: (about.dev(), about.ino()),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }
}

/// A file of a folder.
pub(super) type Found = (PathBuf, Stamp);

/// The files of a folder: what differs when one of them does.
pub(super) fn fingerprint(folder: &Path) -> Vec<Found> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            // Of a link that which it leads to: so a volume of Kubernetes is changed.
            let path = entry.ok()?.path();
            let stamp = Stamp::of(&path)?;
            Some((path, stamp))
        })
        .collect();
    files.sort();
    files
}

/// What of a kind is refused, the state before staying in force: told once for each reason, and counted while it is so.
pub(super) struct Refused {
    what: &'static str,
    metrics: Arc<Metrics>,
    why: BTreeMap<String, String>,
}

impl Refused {
    /// Nothing is, of what the metric calls by this word.
    pub fn none(what: &'static str, metrics: &Arc<Metrics>) -> Self {
        metrics.reload_refused(what, 0);
        Self { what, metrics: Arc::clone(metrics), why: BTreeMap::new() }
    }

    /// This one is, for this reason; whether that is news.
    pub fn note(&mut self, which: &str, why: String) -> bool {
        let is_news = self.why.get(which) != Some(&why);
        self.why.insert(which.to_owned(), why);
        self.tell();
        is_news
    }

    /// This one is not.
    pub fn clear(&mut self, which: &str) {
        if self.why.remove(which).is_some() {
            self.tell();
        }
    }

    /// Who is told.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Whether anything is.
    pub fn is_any(&self) -> bool {
        !self.why.is_empty()
    }

    /// Tells the metric how many are.
    pub fn tell(&self) {
        self.metrics.reload_refused(self.what, self.why.len());
    }
}
