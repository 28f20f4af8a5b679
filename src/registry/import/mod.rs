//! Lists as their keepers hand them out, made into set files.
//!
//! Promises: a file is taken as a whole or not at all; each line that is not understood is named with its number and
//! never quoted; memory follows the numbers of the list, not the lines read; the copy in force stays until the new one is
//! complete on disk.

mod asked;
mod cells;
mod changes;
mod guard;
mod intake;
mod line;
mod order;
mod rejected;
mod source;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use asked::Answers;
pub use cells::may_hold_number;
pub use changes::Dates;
pub use intake::{Intake, Taken};
pub use line::{Line, Reading};
pub use order::{Columns, Order, Report};
pub use rejected::{Rejected, Rejects};
pub use source::{Lines, Opened, is_beside, open};

use super::ids;
use super::list::areas_of;
use super::set::{self, Areas, Draft, Header, Set, SetFault};
use super::tags::Tagger;
use super::{Fault, List, SET};

/// An import under way: make it, let it read each file, finish it.
pub struct Import {
    intake: Intake,
    /// Where a register was only asked: what it was asked.
    asked: Option<Intake>,
    before: Option<Set>,
    path: PathBuf,
    /// Held until the end: two imports into one list would each forget what the other changed.
    _lock: File,
}

impl Import {
    /// Begins an import into a folder of lists. Lists of the tenant's own become lists of tags, and need what makes them.
    ///
    /// # Errors
    /// The id is of no list, or of one of the tenant's own and there is no tagger; the copy in force is younger, or unreadable, or missing though it is to be changed.
    pub fn begin(order: Order, folder: &Path, tagger: Option<Arc<dyn Tagger>>) -> Result<Self, Fault> {
        let path = folder.join(format!("{}.{SET}", order.id));
        let mut intake = Intake::new(order, tagger).map_err(|why| {
            Fault::new(&path, why, "give the id of a registry, as `ringfence registry list` shows them")
        })?;
        let order = &intake.order;
        if !folder.is_dir() {
            return Err(Fault::new(folder, "is no folder", "make it, or name another one with --registries"));
        }
        guard::goes_together(&path, order)?;
        asked::goes_together(&path, order)?;
        let lock = lock(folder, &order.id)?;
        set::tidy(&path).map_err(|error| Fault::unwritable(folder, &error))?;
        let before = previous(&path, order)?;
        if let Some(before) = before.as_ref().map(Set::header).filter(|before| before.as_of > order.as_of) {
            let what = format!("holds a copy of {}, which is younger than {}", before.as_of, order.as_of);
            return Err(Fault::new(&path, what, "import the newest copy, or remove this file first"));
        }
        let (own, marked) = (order.id.starts_with(ids::OWN), intake.tagger.as_ref().map(|tagger| tagger.mark()));
        if own != marked.is_some() {
            let what = if own { "would hold numbers of your own, unprotected" } else { "is no list of your own" };
            return Err(Fault::new(&path, what, "name your keys with --keys: they turn numbers into tags"));
        }
        if order.changes && before.as_ref().is_some_and(|before| before.header().listed.is_some()) {
            let remedy = "ask the register anew, and import its answer with --asked";
            return Err(Fault::new(
                &path,
                "holds answers about single numbers, which no changes can be made to",
                remedy,
            ));
        }
        let tagged = before.as_ref().and_then(|before| before.header().tagged);
        guard::same_keys(&path, order, tagged, marked)?;
        if let Some(before) = before.as_ref().filter(|_| order.changes) {
            guard::as_real(&path, order, before.header())?;
            intake.settled = Some(changes::settled(before.header()));
            for number in before.numbers() {
                let (number, day) = number.map_err(|fault| broken(&path, &fault))?;
                match tagged {
                    Some(_) => intake.builder.add_tag(number, day),
                    None => intake.add(number, day),
                }
            }
        }
        let asked = asked::intake(&intake.order).map_err(|why| Fault::new(&path, why, "give the id of a registry"))?;
        Ok(Self { intake, asked, before, path, _lock: lock })
    }

    /// Reads one text, to its end. `name` is what it is called in the report; `told` hears now and then of lines.
    ///
    /// # Errors
    /// The text cannot be read, is no list, or has too many lines that are not understood.
    pub fn read(&mut self, name: &str, text: impl Read, told: &mut dyn FnMut(u64)) -> Result<(), Fault> {
        self.intake.read(name, text, told)
    }

    /// Reads one text of what a register was asked, to its end, as [`Self::read`] does its answer.
    ///
    /// # Errors
    /// It was not said what the answer holds; and as [`Self::read`].
    pub fn read_asked(&mut self, name: &str, text: impl Read, told: &mut dyn FnMut(u64)) -> Result<(), Fault> {
        match &mut self.asked {
            Some(asked) => asked.read(name, text, told),
            None => Err(Fault::new(&self.path, "is not made of answers", "say what they hold")),
        }
    }

    /// Writes the new copy in place of the one in force.
    ///
    /// # Errors
    /// More lines were not understood than may be; the new copy would be empty or much smaller, and that was not asked
    /// for; the file cannot be written. The copy in force stays.
    pub fn finish(self) -> Result<Report, Fault> {
        let Self { intake, asked, before, path, _lock } = self;
        let tagged = intake.tagger.as_ref().map(|tagger| tagger.mark());
        let (taken, listed) = asked::taken(&path, intake, asked)?;
        let Taken { mut builder, missed, order, kept, read, ambiguous, rejects, dates } = taken;
        let changed = before.as_ref().map(Set::header).filter(|_| order.changes);
        if let Some(before) = changed {
            changes::unbroken(&path, &order, before, &dates)?;
        }
        let areas = match listed {
            Some(_) => Areas::of([]),
            None => guard::coverage(&path, &order, before.as_ref(), &mut builder)?,
        };
        let header = Header {
            tagged,
            full_as_of: changed.map_or(Some(order.as_of), |before| before.full_as_of),
            areas: Some(areas.clone()),
            listed,
            ..Header::new(&order.id, order.as_of, &changes::source(&order, changed), order.sample)
        };
        let draft = Draft::write(&path, header, builder).map_err(|fault| unwritten(&path, &fault))?;
        // What was not asked about again is not allowed, and needs no guard.
        let guarded = !order.fewer && listed.is_none();
        if guarded {
            let count = before.as_ref().map_or(0, |before| before.header().on_list());
            guard::not_fewer(&path, &order.id, count, draft.header().count)?;
        }
        let new = draft.read_back().map_err(|fault| broken(&path, &fault))?;
        if let Some(before) = before.as_ref().filter(|_| guarded) {
            guard::no_area_lost(&path, before, &new)?;
        }
        let seen = Areas::of_prefixes(new.counts().map(|(prefix, _)| prefix));
        let beside =
            |some: &Areas| Areas::of(some.codes().filter(|code| !areas.cover_prefix(1_000 + u64::from(*code))));
        // Of a whole list, those it had numbers of.
        let before_spoke = before.as_ref().map_or(Areas::of([]), |before| match areas_of(before) {
            all if all.is_all() => Areas::of_prefixes(before.counts().map(|(prefix, _)| prefix)),
            some => some,
        });
        let (added, removed) = match &before {
            None => (new.header().count, 0),
            Some(before) if before.header().tagged != tagged => (new.header().count, before.header().count),
            Some(before) => guard::compared(before, &new).map_err(|fault| broken(&path, &fault))?,
        };
        let header = draft.publish().map_err(|fault| unwritten(&path, &fault))?;
        let text = path.with_extension("txt");
        Ok(Report {
            read,
            added,
            removed,
            rejects,
            ambiguous,
            missed,
            kept,
            dates,
            before: before.map(|before| before.header().clone()),
            header,
            superseded: text.exists().then_some(text),
            beside: beside(&seen),
            given_up: beside(&before_spoke),
            path,
        })
    }
}

/// Takes the list for this import alone; given back when the file is closed, by whatever end.
fn lock(folder: &Path, id: &str) -> Result<File, Fault> {
    let path = folder.join(format!(".{id}.lock"));
    let file =
        File::options().create(true).append(true).open(&path).map_err(|error| Fault::unwritable(folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Fault::new(&path, "is held by another import of this list", "wait for that one, or end it"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Fault::unwritable(&path, &error)),
    }
}

/// The copy that is there, as a set file or as text; it must be sound where it is to be changed.
fn previous(path: &Path, order: &Order) -> Result<Option<Set>, Fault> {
    let found = match Set::map(path).and_then(|set| set.verify().map(|()| set)) {
        Err(SetFault::Io(error)) if error.kind() == io::ErrorKind::NotFound => previous_text(path, order),
        found => found.map(Some).map_err(|fault| broken(path, &fault)),
    };
    match found {
        Ok(Some(set)) if set.header().registry != order.id => {
            let what = format!("holds a copy of `{}`", set.header().registry);
            Err(Fault::new(path, what, "remove this file, or give it the name of its list"))
        }
        Ok(None) if order.changes => {
            let remedy = "import the full list first, without --changes";
            Err(Fault::new(path, "does not exist, so there is nothing to change", remedy))
        }
        // A broken copy is no reason not to replace it.
        Err(fault) if !fault.may_pass && !order.changes => Ok(None),
        found => found,
    }
}

fn previous_text(path: &Path, order: &Order) -> Result<Option<Set>, Fault> {
    let text = path.with_extension("txt");
    match File::open(&text) {
        Ok(file) => List::read(&order.id, &text, file).map(List::into_set).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::unreadable(&text, &error)),
    }
}

fn broken(path: &Path, fault: &SetFault) -> Fault {
    match fault {
        SetFault::Io(error) => Fault::unreadable(path, error),
        SetFault::Refused(why) => Fault::new(path, why.clone(), "import the full list anew"),
    }
}

fn unwritten(path: &Path, fault: &SetFault) -> Fault {
    match fault {
        SetFault::Io(error) => Fault::unwritable(path, error),
        SetFault::Refused(why) => Fault::new(path, why.clone(), "the copy in force stays"),
    }
}
