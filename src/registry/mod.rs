//! Official do-not-call lists and the tenant's own: big, read-only, in memory, replaced whole.
//!
//! A folder holds one file a list: `ID.set` ([`set`]), made by `ringfence registry import`, or `ID.txt` ([`text`]).
//! [`Registries`] keeps what the folder says; a question takes a [`Snapshot`] once and asks it. Promises: a look-up is exact; a snapshot never changes; a file that cannot be
//! read in full is never used in part, and the list that was in force stays in force (its age tells when that is no
//! longer enough). Nothing here judges freshness: `as_of` goes to the rules. Guarded by `tests/registry.rs`.
//!
//! Replace a file by writing a new one beside it and renaming it: then no reader ever meets half a list.

mod fault;
pub mod ids;
pub mod import;
mod list;
pub mod sample;
pub mod set;
mod tags;
pub mod text;

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

pub use fault::Fault;
pub use list::{Answer, List, ListIx, Snapshot, areas_of};
pub use tags::Tagger;

/// What the name of a set file ends with.
pub const SET: &str = "set";

/// The lists of a folder, as they were at the last [`Registries::refresh`].
pub struct Registries {
    dir: Option<PathBuf>,
    current: ArcSwap<Snapshot>,
    faults: ArcSwap<Vec<Fault>>,
    /// What is known of each file. Held for a whole refresh; readers never take it.
    files: Mutex<BTreeMap<PathBuf, Known>>,
    tagger: OnceLock<Arc<dyn Tagger>>,
}

/// What a refresh changed, by list id. All empty where nothing changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Lists that came new or with new content.
    pub loaded: Vec<String>,
    /// Lists whose file is gone.
    pub removed: Vec<String>,
    /// Faults that were not there before.
    pub refused: Vec<Fault>,
}

impl Registries {
    /// Reads the lists of a folder; `None` is no folder and no lists.
    ///
    /// A list that cannot be read does not stop the others: see [`Registries::faults`]. Without it the rules that need
    /// it deny.
    ///
    /// # Errors
    /// The folder is absent, is no folder, or cannot be read.
    pub fn open(dir: Option<&Path>) -> Result<Self, Fault> {
        let registries = Self {
            dir: dir.map(Path::to_owned),
            current: ArcSwap::default(),
            faults: ArcSwap::default(),
            files: Mutex::default(),
            tagger: OnceLock::new(),
        };
        if let Some(dir) = dir {
            files_of(dir)?;
            registries.refresh();
        }
        Ok(registries)
    }

    /// Lists that never change, for tests and for questions answered without a folder.
    #[must_use]
    pub fn fixed(lists: Vec<List>) -> Self {
        Self {
            dir: None,
            current: ArcSwap::from_pointee(Snapshot::of(lists)),
            faults: ArcSwap::default(),
            files: Mutex::default(),
            tagger: OnceLock::new(),
        }
    }

    /// Makes known what the tags of the tenant's own lists are made with, and reads those lists. Only the first counts.
    pub fn know_tags(&self, tagger: Arc<dyn Tagger>) -> Changes {
        let _ = self.tagger.set(tagger);
        self.refresh()
    }

    /// The lists in force now. Take it once for a question.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// What was wrong with the folder at the last refresh, by path. Empty is good.
    #[must_use]
    pub fn faults(&self) -> Arc<Vec<Fault>> {
        self.faults.load_full()
    }

    /// Reads again what changed in the folder and swaps the lists in one step. Blocks while it reads.
    ///
    /// A file that became unreadable leaves its list in force; a file that is gone takes its list with it; a folder that
    /// cannot be read leaves everything in force. Each new fault is logged once.
    pub fn refresh(&self) -> Changes {
        let mut changes = Changes::default();
        let Some(dir) = &self.dir else { return changes };
        let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = Vec::new();
        match files_of(dir) {
            Ok(mut found) => {
                faults.extend(take_out_doubles(&mut found));
                known.retain(|path, file| {
                    let stays = found.contains_key(path);
                    if let Some(list) = file.list.as_ref().filter(|_| !stays) {
                        tracing::info!(list = list.id, "registry list removed");
                        changes.removed.push(list.id.clone());
                    }
                    stays
                });
                for (path, id) in found {
                    let file = known.entry(path.clone()).or_default();
                    if file.renew(&path, &id, self.tagger.get()) {
                        if file.list.is_some() { &mut changes.loaded } else { &mut changes.removed }.push(id);
                    }
                }
            }
            Err(fault) => faults.push(fault),
        }
        faults.extend(known.values().filter_map(|file| file.fault.clone()));
        let before = self.faults.load();
        for fault in faults.iter().filter(|fault| !before.contains(fault)) {
            if fault.what != list::AWAITS_KEYS {
                tracing::warn!(path = %fault.path.display(), line = fault.line, remedy = fault.remedy, "{}", fault.what);
            }
            changes.refused.push(fault.clone());
        }
        self.faults.store(Arc::new(faults));
        let current = self.current.load();
        let unusable = known.iter().filter(|(_, file)| file.list.is_none());
        let mut refused: Vec<String> = unusable.filter_map(|(path, _)| named(path)).collect();
        refused.sort();
        if !changes.loaded.is_empty() || !changes.removed.is_empty() || current.refused != refused {
            let lists = known.values().filter_map(|file| file.list.clone()).collect();
            let generation = current.generation().wrapping_add(1);
            self.current.store(Arc::new(Snapshot { refused, ..Snapshot::sorted(generation, lists) }));
        }
        changes
    }
}

/// What is known of one file: as it was when last read, the list in force from it, and what is wrong with it.
#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    list: Option<Arc<List>>,
    /// The state of the file that the list in force is mapped from.
    #[cfg(unix)]
    mapped: Option<Stamp>,
    fault: Option<Fault>,
}

impl Known {
    /// Reads the file again if it changed; says whether another list is in force now.
    fn renew(&mut self, path: &Path, id: &str, tagger: Option<&Arc<dyn Tagger>>) -> bool {
        let stamp = match fs::metadata(path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) => {
                self.stamp = None;
                self.fault = Some(Fault::unreadable(path, &error));
                return false;
            }
        };
        if self.stamp == Some(stamp) {
            return false;
        }
        let read = read_file(path, id, stamp, tagger);
        let is_final = stamp.is_settled() && !read.as_ref().is_err_and(|fault| fault.may_pass);
        self.stamp = is_final.then_some(stamp);
        match read {
            Ok(list) => {
                self.fault = None;
                #[cfg(unix)]
                {
                    self.mapped = path.extension().is_some_and(|extension| extension == SET).then_some(stamp);
                }
                if self.list.as_ref().is_some_and(|old| old.version == list.version) {
                    return false;
                }
                let List { id, version, as_of, count, .. } = &list;
                tracing::info!(list = id, version, %as_of, count, "registry list loaded");
                self.list = Some(Arc::new(list));
                true
            }
            Err(fault) => {
                // Written over in place, it is what the list in force reads too.
                #[cfg(unix)]
                let spoilt = !fault.may_pass && self.mapped.is_some_and(|mapped| mapped.inode.0 == stamp.inode.0);
                #[cfg(not(unix))]
                let spoilt = false;
                self.fault = Some(fault);
                spoilt && self.list.take().is_some()
            }
        }
    }
}

/// Reads one file whole, unless it is no list or changes meanwhile.
fn read_file(path: &Path, id: &str, stamp: Stamp, tagger: Option<&Arc<dyn Tagger>>) -> Result<List, Fault> {
    if path.extension().is_none_or(|extension| extension != "txt" && extension != SET) {
        let remedy = "name lists ID.txt or ID.set, such as us.dnc.national.set";
        return Err(Fault::new(path, "is not named like a list", remedy));
    }
    if !stamp.is_file {
        return Err(Fault::new(path, "is not a regular file", "put a plain text file in its place"));
    }
    if path.extension().is_some_and(|extension| extension == SET) {
        return List::map(id, path, tagger);
    }
    let unreadable = |error: std::io::Error| Fault::unreadable(path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let before = Stamp::of(&file.metadata().map_err(unreadable)?);
    let read = List::read(id, path, &mut file);
    let after = Stamp::of(&file.metadata().map_err(unreadable)?);
    if (before.len, before.modified) != (after.len, after.modified) {
        let remedy = "it is read again shortly; write a new file beside it and rename that";
        return Err(Fault { may_pass: true, ..Fault::new(path, "changed while it was read", remedy) });
    }
    read
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    is_file: bool,
    len: u64,
    modified: Option<SystemTime>,
    /// Inode, and the time of its last change, which no copying tool can set back.
    #[cfg(unix)]
    inode: (u64, i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            is_file: metadata.is_file(),
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file was left alone for long enough. File times move in steps: a second write in the same step
    /// would not show, so a file just written is read once more.
    fn is_settled(&self) -> bool {
        const STEP: Duration = Duration::from_secs(3);
        let now = SystemTime::now();
        let age = |modified| now.duration_since(modified).unwrap_or_else(|ahead| ahead.duration());
        self.modified.is_some_and(|modified| age(modified) > STEP)
    }
}

/// A list that stands in a set file and as text is one too many: the set file counts, and the text is named.
fn take_out_doubles(found: &mut BTreeMap<PathBuf, String>) -> Vec<Fault> {
    let texts = found.keys().filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    let doubles: Vec<PathBuf> = texts.filter(|path| found.contains_key(&path.with_extension(SET))).cloned().collect();
    let fault = |path: PathBuf| {
        found.remove(&path);
        Fault::new(&path, "is not used: a set file holds the same list", "remove one of the two files")
    };
    doubles.into_iter().map(fault).collect()
}

/// The id that the name of a file gives.
fn named(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

/// The files of a folder that are lists, or should be, with the id that each name gives.
fn files_of(dir: &Path) -> Result<BTreeMap<PathBuf, String>, Fault> {
    let unreadable = |error: std::io::Error| Fault::unreadable(dir, &error);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let is_other = name.starts_with('.')
            || name.ends_with('~')
            || name.to_ascii_uppercase().starts_with("README")
            || [".tmp", ".part"].iter().any(|end| name.ends_with(end));
        match name.strip_suffix(".txt").or_else(|| name.strip_suffix(".set")) {
            Some(id) if !is_other => {
                found.insert(path.clone(), id.to_owned());
            }
            // Anything else may be a list under a wrong name, which must not be unused in silence.
            None if !is_other && !path.is_dir() => {
                found.insert(path.clone(), name);
            }
            _ => {}
        }
    }
    Ok(found)
}
