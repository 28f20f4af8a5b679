//! One folder of lists: its files as they were when each was last read, and the list that is in force from each.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ids::{self, Kind, OFFICIAL, OWN};
use super::tags::Tagger;
use super::{Changes, Fault, List, SET};
use crate::time::Instant;

/// Whose folder it is.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    /// `None`: the first tenant's, with the official lists.
    pub tenant: Option<&'a str>,
    pub tagger: Option<&'a Arc<dyn Tagger>>,
}

impl Whose<'_> {
    /// A list as it is named to those who run the server.
    fn name(self, id: &str) -> String {
        self.tenant.map_or_else(|| id.to_owned(), |tenant| format!("{tenant}/{id}"))
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Folder {
    files: BTreeMap<PathBuf, Known>,
    /// What is wrong with the folder, or with files of it that are not read.
    faults: Vec<Fault>,
    /// What it has was known once.
    pub was_read: bool,
}

impl Folder {
    /// Reads again what changed, and says whether the folder could be read. A file that became unreadable leaves its list in
    /// force; a file that is gone takes its list with it; a folder that cannot be read leaves everything in force.
    pub fn refresh(&mut self, dir: &Path, whose: Whose<'_>, changes: &mut Changes) -> bool {
        let mut found = match files_of(dir) {
            Ok(found) => found,
            Err(fault) => {
                self.faults = vec![fault];
                return false;
            }
        };
        self.was_read = true;
        self.faults = take_out_doubles(&mut found);
        self.keep_only(&found, whose, changes);
        for (path, id) in found {
            let file = self.files.entry(path.clone()).or_default();
            if file.renew(&path, &id, whose) {
                let changed = if file.list.is_some() { &mut changes.loaded } else { &mut changes.removed };
                changed.push(whose.name(&id));
            }
        }
        true
    }

    /// There is no such folder: no list is in force.
    pub fn empty(&mut self, whose: Whose<'_>, changes: &mut Changes) {
        self.was_read = true;
        self.faults.clear();
        self.keep_only(&BTreeMap::new(), whose, changes);
    }

    fn keep_only(&mut self, found: &BTreeMap<PathBuf, String>, whose: Whose<'_>, changes: &mut Changes) {
        self.files.retain(|path, file| {
            let stays = found.contains_key(path);
            if let Some(list) = file.list.as_ref().filter(|_| !stays) {
                tracing::info!(tenant = whose.tenant, list = list.id, "registry list removed");
                changes.removed.push(whose.name(&list.id));
            }
            stays
        });
    }

    /// The lists in force from it.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<List>> {
        self.files.values().filter_map(|file| file.list.as_ref())
    }

    /// The ids of files that are there, with no copy in force.
    pub fn refused(&self) -> impl Iterator<Item = String> + '_ {
        self.files.iter().filter(|(_, file)| file.list.is_none()).map(|(path, _)| seeming_id(path))
    }

    /// What is wrong with it and its files.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(self.files.values().filter_map(|file| file.fault.as_ref()))
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
    fn renew(&mut self, path: &Path, id: &str, whose: Whose<'_>) -> bool {
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
        let read = read_file(path, id, stamp, whose);
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
                tracing::info!(tenant = whose.tenant, list = id, version, %as_of, count, "registry list loaded");
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

/// Reads one file whole, unless it is no list, none that may stand here, or changes meanwhile.
fn read_file(path: &Path, id: &str, stamp: Stamp, whose: Whose<'_>) -> Result<List, Fault> {
    if path.extension().is_none_or(|extension| extension != "txt" && extension != SET) {
        let remedy = "name lists ID.txt or ID.set, such as us.dnc.national.set";
        return Err(Fault::new(path, "is not named like a list", remedy));
    }
    if !stamp.is_file {
        return Err(Fault::new(path, "is not a regular file", "put a plain text file in its place"));
    }
    if let (Some(_), Ok(Kind::Official(_))) = (whose.tenant, ids::kind(id)) {
        let remedy = "official lists hold for every tenant: move it to the top of the folder of lists, or remove it";
        return Err(Fault::new(path, "is an official list in the folder of one tenant", remedy));
    }
    let list = if path.extension().is_some_and(|extension| extension == SET) {
        List::map(id, path, whose.tagger)?
    } else {
        read_text(path, id)?
    };
    Ok(List { written_at: stamp.written_at(), ..list })
}

fn read_text(path: &Path, id: &str) -> Result<List, Fault> {
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

    fn written_at(&self) -> Option<Instant> {
        let since = self.modified?.duration_since(UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(Instant::from_millis)
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

/// The id that a file which cannot be used has, or seems to be meant for: `tenant.litigators` of `Tenant.litigators`,
/// `tenant.litigators.csv` and `tenant.litigators (1).txt`.
fn seeming_id(path: &Path) -> String {
    let name = name_of(path);
    let lower = name.to_ascii_lowercase();
    if let Some((_, rest)) = lower.split_once(OWN) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        return format!("{OWN}{}", rest.split(|c| !plain(c)).next().unwrap_or_default());
    }
    let begins = |id: &str| lower.strip_prefix(id).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()));
    let official = OFFICIAL.iter().map(|list| list.id).filter(|id| begins(id)).max_by_key(|id| id.len());
    official.map_or(name, str::to_owned)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Whether what has this name beside lists is plainly none.
fn is_other(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || name.to_ascii_uppercase().starts_with("README")
        || [".tmp", ".part"].iter().any(|end| name.ends_with(end))
}

/// The files of a folder that are lists, or should be, with the id that each name gives.
pub(super) fn files_of(dir: &Path) -> Result<BTreeMap<PathBuf, String>, Fault> {
    let unreadable = |error: std::io::Error| Fault::unreadable(dir, &error);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = name_of(&path);
        match name.strip_suffix(".txt").or_else(|| name.strip_suffix(".set")) {
            Some(id) if !is_other(&name) => {
                found.insert(path.clone(), id.to_owned());
            }
            // Anything else may be a list under a wrong name, which must not be unused in silence.
            None if !is_other(&name) && !path.is_dir() => {
                found.insert(path.clone(), name);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What stands in the folder of the tenants' folders, by name; nothing where there is none. Names are compared as they are
/// written, also where the file system takes others for the same.
pub(super) fn entries_of(dir: &Path) -> Result<BTreeMap<String, PathBuf>, Fault> {
    let unreadable = |error: std::io::Error| Fault::unreadable(dir, &error);
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let entries = match fs::read_dir(dir) {
        // Not so where a link leads nowhere: what it led to may come back.
        Err(error) if gone(&error) && fs::symlink_metadata(dir).is_err_and(|error| gone(&error)) => {
            return Ok(BTreeMap::new());
        }
        entries => entries.map_err(unreadable)?,
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = name_of(&path);
        if !is_other(&name) {
            found.insert(name, path);
        }
    }
    Ok(found)
}
