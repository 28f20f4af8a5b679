//! `ringfence keys rotate`: another key seals, and nothing needs the old one any more.
//!
//! Promises: killed at any instant and run again, it goes on where it was; a key leaves the file only once the store
//! needs nothing under it. Why that is so stands in `store::keys`. Guarded by `tests/rotate.rs`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant as Monotonic};

use serde_json::json;

use super::list::{instance, instance_json};
use super::place::{Place, Status, Where};
use crate::cli::progress::{Progress, grouped};
use crate::cli::{Error, Exit, Global, now, output};
use crate::engine::layout::Layout;
use crate::store::{Instance, KeyState, Keys, KeysFile, Ledger, Rewrap, Store, WriterId, instances, withdraw};

const PAUSE: Duration = Duration::from_millis(200);

/// Change the key that seals.
#[derive(Debug, clap::Args)]
#[command(
    about = "Change the key that seals records, while they are in use",
    after_help = "On one machine this is all: a new key is made and seals from then on, every record is sealed anew, and the old \
                  key is dropped once nothing needs it. A server is not stopped: it reads the keys file again by itself; one \
                  that holds a data folder does the sealing itself.\n\n\
                  With several hosts on a Redis, a key must be known on all of them before it seals:\n  \
                  1. ringfence keys rotate --stage add       on one host, then copy the file to the others\n  \
                  2. ringfence keys rotate --store URL       on that host: seals, seals anew, retires\n  \
                  3. copy the file to the others again: until then they merely keep a key that nobody needs\n\n\
                  Stopped or killed, run the same again: it goes on where it was. A process that was killed and will not \
                  come back is waited for until --gone names it.\n\n\
                  Backups of the store open only with the keys of their time: keep the file that belongs to them. The hash \
                  key is never rotated: only `ringfence contact copy --to-keys` changes it, into a new store.\n\n\
                  Exit status: 0 done, 1 not yet, 2 error."
)]
pub struct RotateArgs {
    /// Do this step alone: add a key, let it seal, seal everything anew, or retire old keys
    #[arg(long, value_name = "STAGE", value_enum)]
    stage: Option<Stage>,
    /// A process that will not come back, by the name of its log: it is not waited for
    #[arg(long, value_name = "LOG", value_parser = writer)]
    gone: Vec<WriterId>,
    /// How long to wait for processes to follow; each needs some ten seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    patience: u64,
    #[command(flatten)]
    place: Where,
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Stage {
    /// Make a key and add it to the file; it does not seal yet
    Add,
    /// Let the added key seal, once every process knows it
    Seal,
    /// Seal everything anew that is under an older key
    Rewrap,
    /// Drop the keys that nothing needs, once every process has left them
    Retire,
}

fn writer(text: &str) -> Result<WriterId, String> {
    let id = Some(text).filter(|text| text.len() == 8).and_then(|text| u32::from_str_radix(text, 16).ok());
    id.map(WriterId).ok_or_else(|| "expected the eight digits of a log, as `keys list` shows them".to_owned())
}

/// What was done, and what is left.
#[derive(Default)]
struct Done {
    added: Option<u32>,
    sealed_anew: u64,
    dropped: Vec<u32>,
    waiting: Vec<Instance>,
    /// What is to be done before this goes on; `None`: nothing.
    left: Option<String>,
}

struct Rotation {
    file: KeysFile,
    place: Place,
    patience: Duration,
    done: Done,
}

/// Runs it.
///
/// # Errors
/// The file cannot be read or written; the store cannot be asked, or was made with other keys.
pub async fn run(args: RotateArgs, global: &Global) -> Result<Exit, Error> {
    let file = KeysFile::hold(&args.place.keys(global)?)?;
    let place = Place::find(&args.place).await?;
    if matches!(place, Place::Nothing) && args.stage != Some(Stage::Add) {
        let what = "no records there: name the data folder with --data, or a Redis with --store";
        return Err(Error::said(format!("{what} (new data need no rotation: `ringfence keys new`)")));
    }
    match &place {
        Place::Open(store) => {
            one_store_only(&**store).await?;
            for writer in &args.gone {
                withdraw(&**store, *writer).await?;
            }
        }
        Place::Served(folder, process) => no_regions(Status::read(folder, *process).as_ref())?,
        Place::Nothing => {}
    }
    let mut rotation = Rotation { file, place, patience: Duration::from_secs(args.patience), done: Done::default() };
    match args.stage {
        None => rotation.all().await?,
        Some(Stage::Add) => rotation.add().await?,
        Some(Stage::Seal) => rotation.seal().await?,
        Some(Stage::Rewrap) => rotation.rewrap().await?,
        Some(Stage::Retire) => rotation.retire().await?,
    }
    rotation.say(args.stage, global)?;
    Ok(Exit::when(rotation.done.left.is_none()))
}

const REGIONS: &str = "this store is one of several ([[pinned]] regions), and one walk sees one store: a key that it no longer needs may be \
     the only one that opens the records of another region. Keys are not rotated where there are regions: no record was \
     sealed anew, and no key was dropped. Keep the keys file as it is";

/// A key that nothing needs in one store may be the only one that opens the records of another region.
async fn one_store_only(store: &dyn Store) -> Result<(), Error> {
    let layout = Layout::of(store).await.map_err(|failure| Error::said(failure.to_string()))?;
    if layout.is_some_and(|layout| !layout.pins_nothing()) { Err(Error::said(REGIONS)) } else { Ok(()) }
}

fn no_regions(server: Option<&Status>) -> Result<(), Error> {
    if server.is_some_and(|status| status.regions) { Err(Error::said(REGIONS)) } else { Ok(()) }
}

impl Rotation {
    async fn all(&mut self) -> Result<(), Error> {
        if !self.is_under_way().await? {
            self.add().await?;
        }
        self.seal().await?;
        if self.done.left.is_none() {
            self.retire().await?;
        }
        Ok(())
    }

    /// Whether an earlier rotation has not come to its end.
    async fn is_under_way(&self) -> Result<bool, Error> {
        let keys = self.file.keys()?;
        let unfinished = keys.about().iter().any(|key| key.state != KeyState::Seal);
        let ledger = self.ledger(&keys).await?;
        let behind = |(sealing, needed): (u32, Vec<u32>)| sealing != keys.sealing_id() || needed.len() > 1;
        Ok(unfinished || ledger.is_some_and(behind))
    }

    /// Which key seals, and which are needed; `None`: not known.
    async fn ledger(&self, keys: &Keys) -> Result<Option<(u32, Vec<u32>)>, Error> {
        Ok(match &self.place {
            Place::Open(store) => keys.ledger(&**store).await?.map(|ledger| (ledger.sealing, ledger.needed)),
            Place::Served(folder, process) => {
                Status::read(folder, *process).map(|status| (status.sealing, status.needed))
            }
            Place::Nothing => None,
        })
    }

    /// The key that waits to seal.
    fn next(&self) -> Result<Option<u32>, Error> {
        let keys = self.file.keys()?.about();
        Ok(keys.iter().filter(|key| key.state == KeyState::Next).map(|key| key.id).next_back())
    }

    async fn add(&mut self) -> Result<(), Error> {
        if self.next()?.is_none() {
            let keys = self.file.keys()?;
            let floor = self.ledger(&keys).await?.map_or(0, |(sealing, _)| sealing);
            self.done.added = Some(self.file.add(floor, now())?);
        }
        Ok(())
    }

    async fn seal(&mut self) -> Result<(), Error> {
        // The store may have gone on by the hand of another host, with its file.
        let keys = self.file.keys()?;
        if let Some((sealing, _)) = self.ledger(&keys).await?
            && sealing > keys.sealing_id()
        {
            self.file.seal_with(sealing, now())?;
        }
        if let Some(next) = self.next()? {
            if !self.all_know(next).await? {
                return Ok(());
            }
            self.file.seal_with(next, now())?;
        }
        let keys = self.file.keys()?;
        let sealing = keys.sealing_id();
        match &self.place {
            Place::Open(store) => drop(keys.admitted(&**store).await?),
            Place::Served(..) => {
                self.served("the server has not gone on to the new key", |status| status.sealing >= sealing).await?;
            }
            Place::Nothing => {}
        }
        Ok(())
    }

    /// Whether every process can open what this key will seal; if not, what is to be done is noted.
    async fn all_know(&mut self, next: u32) -> Result<bool, Error> {
        let keys = self.file.keys()?;
        match &self.place {
            Place::Open(store) => {
                let waiting =
                    until(&**store, self.patience, &format!("key {next} becomes known"), |one| one.has(&keys, next))
                        .await?;
                if !waiting.is_empty() {
                    let what = format!(
                        "Key {next} does not seal yet, since not every process knows it. Copy the keys file to their \
                         hosts (they read it by themselves), and run this again."
                    );
                    self.done.left = Some(what);
                }
                self.done.waiting = waiting;
            }
            Place::Served(..) => {
                self.served("the server does not know the new key", |status| status.known.contains(&next)).await?;
            }
            Place::Nothing => {}
        }
        Ok(self.done.left.is_none())
    }

    async fn rewrap(&mut self) -> Result<(), Error> {
        let keys = self.file.keys()?;
        match &self.place {
            Place::Open(store) => {
                let (walks, _) = walk(Arc::clone(store), keys).await?;
                self.done.sealed_anew += walks.walked().anew_in_all;
            }
            // The server does it, and then retires what it can.
            Place::Served(..) => self.retired_by_server().await?,
            Place::Nothing => {}
        }
        Ok(())
    }

    async fn retire(&mut self) -> Result<(), Error> {
        let keys = self.file.keys()?;
        match &self.place {
            Place::Open(store) => {
                let (keys, ledger) = keys.admitted(&**store).await?;
                let sealing = ledger.sealing;
                if !ledger.old().is_empty() {
                    let label = format!("every process goes on to key {sealing}");
                    let waiting = until(&**store, self.patience, &label, |one| one.sealing >= sealing).await?;
                    if !waiting.is_empty() {
                        self.done.waiting = waiting;
                        let what = "Old keys are kept, since not every process has left them. Run this again; a process that \
                                    will not come back is named with --gone.";
                        self.done.left = Some(what.to_owned());
                        return Ok(());
                    }
                }
                let ledger = match ledger.old().as_slice() {
                    [] => ledger,
                    old => {
                        let (walks, _) = walk(Arc::clone(store), keys).await?;
                        self.done.sealed_anew += walks.walked().anew_in_all;
                        walks.release(old).await?
                    }
                };
                self.follow(&ledger)?;
            }
            Place::Served(..) => {
                self.retired_by_server().await?;
                if let (None, Some((sealing, needed))) = (&self.done.left, self.ledger(&keys).await?) {
                    self.file.seal_with(sealing, now())?;
                    self.done.dropped = self.file.drop_all_but(&needed)?;
                }
            }
            Place::Nothing => {}
        }
        Ok(())
    }

    /// Makes the file what the store says.
    fn follow(&mut self, ledger: &Ledger) -> Result<(), Error> {
        if ledger.sealing > self.file.keys()?.sealing_id() {
            self.file.seal_with(ledger.sealing, now())?;
        }
        self.done.dropped = self.file.drop_all_but(&ledger.needed)?;
        Ok(())
    }

    async fn retired_by_server(&mut self) -> Result<(), Error> {
        let sealing = self.file.keys()?.sealing_id();
        let done = |status: &Status| status.sealing >= sealing && status.needed.iter().all(|id| *id >= sealing);
        let before = self.status().map_or(0, |status| status.anew);
        self.served("the server has not sealed everything anew", done).await?;
        self.done.sealed_anew = self.status().map_or(0, |status| status.anew).saturating_sub(before);
        Ok(())
    }

    fn status(&self) -> Option<Status> {
        match &self.place {
            Place::Served(folder, process) => Status::read(folder, *process),
            _ => None,
        }
    }

    /// Waits for the server that holds the data, as long as it comes on.
    async fn served(&mut self, not_yet: &str, done: impl Fn(&Status) -> bool) -> Result<(), Error> {
        let progress = Progress::new(None, "the server seals anew");
        let (mut last, mut since) = (self.status(), Monotonic::now());
        let begun = last.as_ref().map_or(0, |status| status.anew);
        loop {
            let now = self.status();
            no_regions(now.as_ref())?;
            if now.as_ref().is_some_and(&done) {
                return Ok(());
            }
            if now != last {
                let anew = now.as_ref().map_or(0, |status| status.anew).saturating_sub(begun);
                progress.advance(0, anew.saturating_sub(progress.rows()));
                (last, since) = (now, Monotonic::now());
            }
            if since.elapsed() > self.patience {
                let what = format!(
                    "Not done yet: {not_yet}. Its log says why, if this is the keys file that it uses. Run this again."
                );
                self.done.left = Some(what);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn say(&self, stage: Option<Stage>, global: &Global) -> Result<(), Error> {
        let (done, keys) = (&self.done, self.file.keys()?);
        let sealing = keys.sealing_id();
        if global.json {
            return output::say_json(&json!({
                "complete": done.left.is_none(), "sealing": sealing, "added": done.added, "next": self.next()?,
                "sealedAnew": done.sealed_anew, "dropped": done.dropped, "left": done.left,
                "waitingFor": done.waiting.iter().map(instance_json).collect::<Vec<_>>(),
            }));
        }
        let mut text = String::new();
        if let (Some(id), Some(Stage::Add)) = (self.next()?, stage) {
            let made = if done.added.is_some() { "was added" } else { "was added before" };
            let _ =
                writeln!(text, "Key {id} {made}, and does not seal yet: copy {} to every host.", keys.path().display());
        } else {
            let _ = writeln!(text, "Key {sealing} seals.");
        }
        if done.sealed_anew > 0 {
            let _ = writeln!(text, "{} records and keys of days were sealed anew.", grouped(done.sealed_anew));
        }
        for id in &done.dropped {
            let _ = writeln!(text, "Key {id} was dropped: nothing in the store needs it.");
        }
        if !done.dropped.is_empty() {
            text.push_str("Backups made until now need it: keep the copy of the keys file that belongs to them.\n");
        }
        for one in &done.waiting {
            let _ = writeln!(text, "waiting for the process {}", instance(one, &keys));
        }
        if let Some(left) = &done.left {
            let _ = writeln!(text, "{left}");
        }
        output::say(&text)
    }
}

/// Waits until all processes are so: those that are not, when patience ends.
async fn until(
    store: &dyn Store,
    patience: Duration,
    label: &str,
    so: impl Fn(&Instance) -> bool,
) -> Result<Vec<Instance>, Error> {
    let _progress = Progress::new(None, label);
    let begun = Monotonic::now();
    loop {
        let mut waiting = instances(store).await?;
        waiting.retain(|one| !so(one));
        if waiting.is_empty() || begun.elapsed() > patience {
            return Ok(waiting);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Seals everything anew that is under an older key than the one that seals.
async fn walk(store: Arc<dyn Store>, keys: Keys) -> Result<(Rewrap, Ledger), Error> {
    let (keys, ledger) = keys.admitted(&*store).await?;
    let progress = Progress::new(None, "sealing anew");
    let mut walks = Rewrap::new(store, Arc::new(keys));
    let mut met = 0;
    while !walks.is_done() {
        walks.page().await?;
        let now = walks.walked().met;
        progress.advance(0, now.saturating_sub(met));
        met = now;
    }
    progress.finish("done");
    Ok((walks, ledger))
}
