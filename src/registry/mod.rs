//! Official do-not-call lists and the tenants' own: big, read-only, in memory, replaced whole.
//!
//! A folder holds one file a list: `ID.set` ([`set`]), made by `ringfence registry import`, or `ID.txt` ([`text`]). At its top
//! stand the official lists, which are facts for every tenant, and the own lists of the first tenant; those of any other stand
//! in `tenants/NAME/`. [`Registries`] keeps what the folder says, [`TenantLists`] what one tenant sees of it; a question takes a
//! [`Snapshot`] once and asks it. Promises: a look-up is exact; a snapshot never changes; no tenant sees a list of another's
//! own; a file that cannot be read in full is never used in part, and the list that was in force stays in force (its age tells
//! when that is no longer enough). Nothing here judges freshness: `as_of` goes to the rules. Guarded by `tests/registry.rs`.
//!
//! Replace a file by writing a new one beside it and renaming it: then no reader ever meets half a list. A set file that is
//! written over in place is the list in force itself, changed while it is asked: once that is seen, it is in force no longer.

mod fault;
mod folder;
pub mod ids;
pub mod import;
mod list;
pub mod sample;
pub mod set;
mod tags;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;

pub use fault::Fault;
use folder::{Folder, Whose};
pub use list::{Answer, List, ListIx, Snapshot, areas_of};
pub use tags::{Mark, Tagger};

/// What the name of a set file ends with.
pub const SET: &str = "set";

/// The folder, within a folder of lists, of the folders of other tenants than the first.
pub const TENANTS: &str = "tenants";

/// Where the own lists of a tenant other than the first stand in a folder of lists. The name must be one of a tenant: it is
/// taken as part of a path.
#[must_use]
pub fn tenant_folder(lists: &Path, tenant: &str) -> PathBuf {
    lists.join(TENANTS).join(tenant)
}

/// What one tenant sees: the official lists, and its own.
#[derive(Debug, Default)]
pub struct TenantLists {
    current: ArcSwap<Snapshot>,
}

impl TenantLists {
    /// The lists in force now. Take it once for a question.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Puts these in force, unless they are.
    fn show(&self, generation: &mut u64, seen: Snapshot) {
        if !self.current.load().is_alike(&seen) {
            *generation = generation.wrapping_add(1);
            self.current.store(Arc::new(Snapshot { generation: *generation, ..seen }));
        }
    }
}

/// The lists of a folder, as they were at the last [`Registries::refresh`].
pub struct Registries {
    dir: Option<PathBuf>,
    first: Arc<TenantLists>,
    others: ArcSwap<BTreeMap<Box<str>, Arc<TenantLists>>>,
    faults: ArcSwap<Vec<Fault>>,
    /// What is known of the files. Held for a whole refresh; readers never take it.
    known: Mutex<State>,
    tagger: OnceLock<Arc<dyn Tagger>>,
}

/// See [`Registries`].
#[derive(Default)]
struct State {
    /// Of the snapshot that was made last, whoever sees it.
    generation: u64,
    top: Folder,
    others: BTreeMap<Box<str>, Other>,
    /// What is wrong beside the tenants' folders, or with them all.
    beside: Vec<Fault>,
    /// Whoever is not among the others is no tenant.
    all_known: bool,
}

/// A tenant that is not the first.
#[derive(Default)]
struct Other {
    seen: Arc<TenantLists>,
    folder: Folder,
    tagger: Option<Arc<dyn Tagger>>,
}

impl Other {
    /// Reads its folder again; `None`: it has none.
    fn refresh(&mut self, name: &str, dir: Option<&Path>, keys: Option<&Arc<dyn Tagger>>, changes: &mut Changes) {
        if self.tagger.is_none() {
            self.tagger = keys.map(|keys| keys.of_tenant(name));
        }
        let whose = Whose { tenant: Some(name), tagger: self.tagger.as_ref() };
        match dir {
            Some(dir) => {
                self.folder.refresh(dir, whose, changes);
            }
            None => self.folder.empty(whose, changes),
        }
    }

    /// What it sees: of what the first sees the official lists, and what is its own.
    fn seen(&self, first: &Snapshot) -> Snapshot {
        let own = |id: &str| id.starts_with(ids::OWN);
        let official = first.lists.iter().filter(|list| !own(&list.id));
        let lists = official.chain(self.folder.lists()).map(Arc::clone).collect();
        let refused = first.refused.iter().filter(|id| !own(id)).cloned();
        let refused = refused.chain(self.folder.refused().filter(|id| own(id))).collect();
        Snapshot::of_folder(lists, refused, !self.folder.was_read)
    }
}

/// What a refresh changed, by list id; an own list of another tenant than the first has its name before, as in
/// `acme/tenant.litigators`. All empty where nothing changed.
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
    /// Reads the lists of a folder; `None` is no folder and no lists. Those of other tenants than the first are read once
    /// they are asked for with [`Registries::of`].
    ///
    /// A list that cannot be read does not stop the others: see [`Registries::faults`]. Without it the rules that need
    /// it deny.
    ///
    /// # Errors
    /// The folder is absent, is no folder, or cannot be read.
    pub fn open(dir: Option<&Path>) -> Result<Self, Fault> {
        let registries = Self { dir: dir.map(Path::to_owned), ..Self::fixed(Vec::new()) };
        if let Some(dir) = dir {
            folder::files_of(dir)?;
            registries.refresh();
        }
        Ok(registries)
    }

    /// Lists that never change, for tests and for questions answered without a folder. Own lists among them are the first
    /// tenant's.
    #[must_use]
    pub fn fixed(lists: Vec<List>) -> Self {
        Self {
            dir: None,
            first: Arc::new(TenantLists { current: ArcSwap::from_pointee(Snapshot::of(lists)) }),
            others: ArcSwap::default(),
            faults: ArcSwap::default(),
            known: Mutex::default(),
            tagger: OnceLock::new(),
        }
    }

    /// Makes known what the tags of the tenants' own lists are made with, and reads those lists. Only the first counts.
    pub fn know_tags(&self, tagger: Arc<dyn Tagger>) -> Changes {
        let _ = self.tagger.set(tagger);
        self.refresh()
    }

    /// Makes known that every tenant was asked for that there is: from now on a folder of any other is a fault, until it is
    /// asked for as well.
    pub fn know_tenants(&self) -> Changes {
        self.lock().all_known = true;
        self.refresh()
    }

    /// What the first tenant sees, whose own lists stand at the top of the folder.
    #[must_use]
    pub fn first(&self) -> Arc<TenantLists> {
        Arc::clone(&self.first)
    }

    /// What a tenant sees that is not the first. Asked for the first time, its lists are read; that blocks.
    #[must_use]
    pub fn of(&self, tenant: &str) -> Arc<TenantLists> {
        let mut state = self.lock();
        if let Some(other) = state.others.get(tenant) {
            return Arc::clone(&other.seen);
        }
        let (mut other, mut changes) = (Other::default(), Changes::default());
        match self.dir.as_deref().map(|dir| folder::entries_of(&dir.join(TENANTS))).transpose() {
            Ok(found) => {
                let path = found.and_then(|mut found| found.remove(tenant));
                other.refresh(tenant, path.as_deref(), self.tagger.get(), &mut changes);
                state.beside.retain(|fault| path.as_ref() != Some(&fault.path));
            }
            Err(fault) if state.beside.contains(&fault) => {}
            Err(fault) => state.beside.push(fault),
        }
        // Also where it is empty: no two snapshots have one number.
        state.generation = state.generation.wrapping_add(1);
        let seen = Snapshot { generation: state.generation, ..other.seen(&self.snapshot()) };
        other.seen = Arc::new(TenantLists { current: ArcSwap::from_pointee(seen) });
        let seen = Arc::clone(&other.seen);
        state.others.insert(tenant.into(), other);
        let all = state.others.iter().map(|(name, other)| (name.clone(), Arc::clone(&other.seen)));
        self.others.store(Arc::new(all.collect()));
        self.tell(&state, &mut changes);
        seen
    }

    /// The other tenants that were asked for, and what each sees now.
    #[must_use]
    pub fn others(&self) -> Arc<BTreeMap<Box<str>, Arc<TenantLists>>> {
        self.others.load_full()
    }

    /// The lists in force now for the first tenant. Take it once for a question.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.first.snapshot()
    }

    /// What was wrong with the folder at the last refresh, those of the tenants within it among it: for those who run the
    /// server. Empty is good.
    #[must_use]
    pub fn faults(&self) -> Arc<Vec<Fault>> {
        self.faults.load_full()
    }

    /// Reads again what changed in the folder and swaps the lists, for each tenant in one step. Blocks while it reads.
    ///
    /// A file that became unreadable leaves its list in force, unless it is the very set file that is mapped, spoilt in place; a
    /// file that is gone takes its list with it; a folder that cannot be read leaves everything in force. Each new fault is
    /// logged once.
    pub fn refresh(&self) -> Changes {
        let mut changes = Changes::default();
        let Some(dir) = &self.dir else { return changes };
        let mut locked = self.lock();
        let state = &mut *locked;
        let keys = self.tagger.get();
        let readable = state.top.refresh(dir, Whose { tenant: None, tagger: keys }, &mut changes);
        let lists = state.top.lists().map(Arc::clone).collect();
        let first = Snapshot::of_folder(lists, state.top.refused().collect(), !state.top.was_read);
        self.first.show(&mut state.generation, first);
        let first = self.snapshot();
        // A folder that is away has its tenants' with it.
        let found = readable.then(|| folder::entries_of(&dir.join(TENANTS)));
        let found = match found {
            Some(Ok(found)) => {
                let strange = found.iter().filter(|(name, _)| !state.others.contains_key(name.as_str()));
                state.beside = strange.filter_map(|(_, path)| strange_fault(path, state.all_known)).collect();
                Some(found)
            }
            Some(Err(fault)) => {
                state.beside = vec![fault];
                None
            }
            None => None,
        };
        for (name, other) in &mut state.others {
            if let Some(found) = &found {
                other.refresh(name, found.get(&**name).map(PathBuf::as_path), keys, &mut changes);
            }
            other.seen.show(&mut state.generation, other.seen(&first));
        }
        self.tell(state, &mut changes);
        changes
    }

    /// Takes down what is wrong; each new fault is logged once.
    fn tell(&self, state: &State, changes: &mut Changes) {
        let of_others = state.others.values().flat_map(|other| other.folder.faults());
        let faults: Vec<Fault> = state.top.faults().chain(&state.beside).chain(of_others).cloned().collect();
        let before = self.faults.load();
        for fault in faults.iter().filter(|fault| !before.contains(fault)) {
            if fault.what != list::AWAITS_KEYS {
                tracing::warn!(path = %fault.path.display(), line = fault.line, remedy = fault.remedy, "{}", fault.what);
            }
            changes.refused.push(fault.clone());
        }
        self.faults.store(Arc::new(faults));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with something that stands among the tenants' folders and is of no tenant that was asked for.
fn strange_fault(path: &Path, all_known: bool) -> Option<Fault> {
    if !path.is_dir() {
        let remedy = "put lists into the folder of their tenant; those of the first stand at the top";
        return Some(Fault::new(path, "is no folder of a tenant", remedy));
    }
    let remedy = "name it after a tenant that somebody asks for, or remove it; lists of the tenant `default` stand at the top \
                  of the folder of lists";
    all_known.then(|| Fault::new(path, "is used for nobody: no tenant of this name is known", remedy))
}
