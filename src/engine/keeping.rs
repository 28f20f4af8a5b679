//! The law kept beside the logs, before any decision is made by it.
//!
//! Promises: no log has a decision by a law that its library does not hold; a pinned region whose library cannot be written
//! answers nothing until it can, and keeps the law from nobody else. Guarded by `tests/region.rs` and `tests/replay.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::region::Kept;
use super::{Engine, Failure};
use crate::audit::{Library, LogError};
use crate::law::{Basis, Law};

/// How long the disk of a pinned region may take before the others go on without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Why nothing is answered from a region; the log of the server says where and what.
const LACKING: &str = "the law in force cannot be written beside its log";

/// The newest law that a region's library could not take; none where it has all.
#[derive(Default)]
pub(super) struct Lacks {
    /// Read with every question: whether there is one.
    any: AtomicBool,
    law: Mutex<Option<Arc<Law>>>,
}

impl Lacks {
    pub fn why(&self) -> Option<String> {
        self.any.load(Ordering::Acquire).then(|| LACKING.to_owned())
    }

    fn set(&self, law: Option<Arc<Law>>) {
        let mut held = self.lock();
        self.any.store(law.is_some(), Ordering::Release);
        *held = law;
    }

    /// Takes this law off, unless another came to lack meanwhile.
    fn has(&self, law: &Arc<Law>) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|lacking| Arc::ptr_eq(lacking, law)) {
            *held = None;
            self.any.store(false, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Law>>> {
        self.law.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Puts another set of packs in force, for every question from now on. A pinned region beside whose log it cannot be
    /// kept answers nothing until [`Engine::keep_lacking_law_of`] could keep it.
    ///
    /// # Errors
    /// It could not be kept beside the engine's own log for whoever judges again: then the old set stays in force.
    pub fn change_law(&self, law: Arc<Law>) -> Result<(), Failure> {
        let basis = Arc::new(Basis::of(&law));
        if let Some(library) = self.main.library.get() {
            library.keep(&basis.objects)?;
        }
        let pinned = self.regions().filter_map(|region| self.opened_region(&region.name));
        for (kept, library) in pinned.filter_map(|kept| Some((kept, kept.library.get()?))) {
            let done = in_time(library, &basis);
            kept.lacks.set(done.is_err().then(|| Arc::clone(&law)));
            if let Err(why) = done {
                tell(kept, &why);
            }
        }
        self.law.store(law);
        self.meter.law(self.law.load().version());
        Ok(())
    }

    /// Keeps the law in force in the library beside the log of a region that is about to be opened, so that it has no
    /// decision by a law that nobody keeps.
    ///
    /// # Errors
    /// The library cannot be written.
    pub fn keep_law_for(&self, library: &Library) -> Result<(), Failure> {
        Ok(library.keep(&Basis::of(&self.law()).objects)?)
    }

    /// The same once it is open, when the law may have changed, and with every later one. Where it cannot be kept, nothing is
    /// answered from the region until it can.
    pub fn keep_law_of_region_in(&self, name: &str, library: &Library) {
        let Some(kept) = self.opened_region(name) else { return };
        let _ = kept.library.set(library.clone());
        let law = self.law();
        if let Err(why) = in_time(library, &Arc::new(Basis::of(&law))) {
            kept.lacks.set(Some(law));
            tell(kept, &why);
        }
    }

    /// Tries again to keep what could not be kept beside the log of a region; whether it has all now.
    ///
    /// # Errors
    /// The library cannot be written yet.
    pub fn keep_lacking_law_of(&self, name: &str) -> Result<bool, Failure> {
        let Some(kept) = self.opened_region(name) else { return Ok(true) };
        let lacking = kept.lacks.lock().clone();
        let (Some(law), Some(library)) = (lacking, kept.library.get()) else { return Ok(true) };
        library.keep(&Basis::of(&law).objects)?;
        kept.lacks.has(&law);
        Ok(kept.lacks.why().is_none())
    }
}

fn tell(kept: &Kept, why: &str) {
    tracing::error!(region = %kept.name, why, "the law cannot be kept beside the log of this region: nothing is answered from it");
}

/// Keeps it, or says why not: a disk that hangs is not waited for.
fn in_time(library: &Library, basis: &Arc<Basis>) -> Result<(), String> {
    let (done, told) = mpsc::channel::<Result<(), LogError>>();
    let (library, basis) = (library.clone(), Arc::clone(basis));
    std::thread::spawn(move || {
        // Whoever waited may be gone by then; what was kept stays kept.
        let _ = done.send(library.keep(&basis.objects));
    });
    match told.recv_timeout(PATIENCE) {
        Ok(kept) => kept.map_err(|error| error.to_string()),
        Err(_) => Err("its disk does not answer".to_owned()),
    }
}
