//! A connection that only writes: takes all that wait, sends them with one `WAIT` (or `WAITAOF`) behind, and tells each
//! its end.
//!
//! `WAIT` covers what was written before it on its own connection, so nothing is said to be safe that was written on a
//! connection since lost: whoever asks again and finds the write there has it confirmed by a write of its own.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Pipeline, Value};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use super::address::AckedFrom;
use super::node::{Shared, trip};
use super::reply::{self, Role};
use super::script::{Command, Names};
use super::trouble::Trouble;

/// Writes that share a `WAIT`, at most: more only makes the first of them wait longer.
const MOST: usize = 256;
/// A connection that could not be made is not tried for again before this.
const PAUSE: Duration = Duration::from_millis(50);

/// One write, and who waits for it.
pub(super) struct Job {
    pub(super) command: Arc<Command>,
    /// Its slot is being moved here.
    pub(super) asking: bool,
    pub(super) reply: oneshot::Sender<Result<Value, Trouble>>,
}

impl Job {
    fn tell(self, end: Result<Value, Trouble>) {
        // Whoever asked may have gone away; the answer is then for nobody.
        let _ = self.reply.send(end);
    }
}

struct Open {
    connection: MultiplexedConnection,
    names: Names,
    era: u64,
}

/// Writes until nobody can ask any more.
pub(super) async fn run(shared: Arc<Shared>, queue: Arc<Mutex<mpsc::Receiver<Job>>>) {
    let mut open: Option<Open> = None;
    let mut failed: Option<(Instant, Trouble)> = None;
    let mut jobs = Vec::new();
    loop {
        jobs.clear();
        if queue.lock().await.recv_many(&mut jobs, MOST).await == 0 {
            return;
        }
        jobs.retain(|job: &Job| !job.reply.is_closed());
        if open.as_ref().is_some_and(|open| open.era != shared.era()) {
            open = None;
        }
        if open.is_none() {
            open = match &failed {
                Some((at, _)) if at.elapsed() < PAUSE => None,
                _ => match connect(&shared).await {
                    Ok(connected) => Some(connected),
                    Err(trouble) => {
                        failed = Some((Instant::now(), trouble));
                        None
                    }
                },
            };
        }
        let Some(current) = &mut open else {
            let why = failed.as_ref().map(|(_, trouble)| trouble.clone());
            let why = why.unwrap_or(Trouble::Cut { sent: false, why: "not connected".to_owned() });
            jobs.drain(..).for_each(|job| job.tell(Err(why.clone())));
            continue;
        };
        failed = None;
        if let Err(trouble) = serve(&shared, current, &mut jobs).await {
            if trouble.ends_connection() {
                open = None;
            }
            jobs.drain(..).for_each(|job| job.tell(Err(trouble.clone())));
        }
    }
}

async fn connect(shared: &Shared) -> Result<Open, Trouble> {
    let (mut connection, era) = shared.connect().await?;
    let names = load(shared, &mut connection).await?;
    shared.count_reconnect();
    Ok(Open { connection, names, era })
}

async fn load(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<Names, Trouble> {
    let mut pipe = Pipeline::new();
    Names::load(&mut pipe);
    let answers = trip(connection, &pipe, shared.connector.0.timing.answer).await?;
    reply::sound(&answers)?;
    Names::read(&answers).ok_or_else(|| Trouble::Refused("no name for a script that was loaded".to_owned()))
}

/// Does all of these; those that were answered are gone from the list. An error is the end of all that are left.
async fn serve(shared: &Shared, open: &mut Open, jobs: &mut Vec<Job>) -> Result<(), Trouble> {
    // Nothing is written that could not be acknowledged: an attempt would be counted and nobody allowed to make it.
    if shared.connected() < shared.need() {
        look(shared, open).await?;
        let (have, need) = (shared.connected(), shared.need());
        if have < need {
            return Err(Trouble::FewReplicas { have, need });
        }
    }
    // What was given up meanwhile is not written late: its bytes may be sealed under a key that goes.
    jobs.retain(|job| !job.reply.is_closed());
    if jobs.is_empty() {
        return Ok(());
    }
    let answers = send(shared, open, jobs).await?;
    let mut forgotten = Vec::new();
    for (job, answer) in std::mem::take(jobs).into_iter().zip(answers) {
        match answer {
            Err(Trouble::NoScript) => forgotten.push(job),
            Err(trouble) => {
                if matches!(trouble, Trouble::Elsewhere(_)) {
                    shared.new_era();
                }
                job.tell(Err(trouble));
            }
            done => job.tell(done),
        }
    }
    if forgotten.is_empty() {
        return Ok(());
    }
    // A server that was restarted, or told to forget: nothing of these was done.
    *jobs = forgotten;
    open.names = load(shared, &mut open.connection).await?;
    jobs.retain(|job| !job.reply.is_closed());
    let answers = send(shared, open, jobs).await?;
    for (job, answer) in std::mem::take(jobs).into_iter().zip(answers) {
        job.tell(answer);
    }
    Ok(())
}

/// How many replicas there are now.
async fn look(shared: &Shared, open: &mut Open) -> Result<(), Trouble> {
    let mut pipe = Pipeline::new();
    pipe.cmd("ROLE");
    let answers = trip(&mut open.connection, &pipe, shared.connector.0.timing.answer).await?;
    saw(shared, answers.first())
}

fn saw(shared: &Shared, role: Option<&Value>) -> Result<(), Trouble> {
    match reply::role(role.unwrap_or(&Value::Nil))? {
        Role::Primary { replicas } => {
            shared.saw_replicas(replicas.len());
            Ok(())
        }
        Role::Other(role) => {
            shared.new_era();
            Err(Trouble::Cut { sent: true, why: format!("the primary became a {role}") })
        }
    }
}

/// One pipeline: the writes, what waits for the replicas, and how many of those there are. An answer that says
/// something was written is handed out only if enough replicas have it.
async fn send(shared: &Shared, open: &mut Open, jobs: &[Job]) -> Result<Vec<Result<Value, Trouble>>, Trouble> {
    let mut wait = Wait::of(shared);
    let mut pipe = Pipeline::with_capacity(jobs.len() + 2);
    for job in jobs {
        if job.asking {
            pipe.cmd("ASKING");
        }
        job.command.send(&open.names, &mut pipe);
    }
    wait.add(&mut pipe);
    pipe.cmd("ROLE");
    let within = shared.connector.0.timing.answer + wait.within;
    let mut values = trip(&mut open.connection, &pipe, within).await?.into_iter();
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        if job.asking {
            let _ = values.next();
        }
        let value = values.next().ok_or_else(short)?;
        answers.push(reply::sound_one(value));
    }
    let mut end = wait.end(shared, &mut values)?;
    // Its shape also tells that every answer stands at its place.
    saw(shared, values.next().as_ref())?;
    if shared.need() > wait.need && end.is_ok() {
        // A replica has come that was not waited for; it may be the next primary.
        wait = Wait::of(shared);
        let mut pipe = Pipeline::new();
        wait.add(&mut pipe);
        let within = shared.connector.0.timing.answer + wait.within;
        let values = trip(&mut open.connection, &pipe, within).await?;
        end = wait.end(shared, &mut values.into_iter())?;
    }
    if let Err(trouble) = end {
        for (job, answer) in jobs.iter().zip(&mut answers) {
            if answer.as_ref().is_ok_and(|value| job.command.wrote(value)) {
                *answer = Err(trouble.clone());
            }
        }
    }
    Ok(answers)
}

/// What makes sure that writes are where they must be before anybody is told.
struct Wait {
    need: usize,
    within: Duration,
    from: AckedFrom,
}

impl Wait {
    fn of(shared: &Shared) -> Self {
        let (need, settings) = (shared.need(), &shared.connector.0);
        let within = match settings.acked_from {
            AckedFrom::Memory if need == 0 => Duration::ZERO,
            AckedFrom::Memory => settings.timing.replicas,
            AckedFrom::Disk => settings.timing.disks,
        };
        Self { need, within, from: settings.acked_from }
    }

    fn add(&self, pipe: &mut Pipeline) {
        let within = u64::try_from(self.within.as_millis()).unwrap_or(1_000);
        match self.from {
            AckedFrom::Memory if self.need == 0 => {}
            AckedFrom::Memory => drop(pipe.cmd("WAIT").arg(self.need).arg(within)),
            AckedFrom::Disk => drop(pipe.cmd("WAITAOF").arg(1).arg(self.need).arg(within)),
        }
    }

    /// Takes the answer: whether it is where it must be. The outer error says that nothing is known of the writes before
    /// it: one whose `WAIT` was broken off may be done.
    fn end(&self, shared: &Shared, values: &mut impl Iterator<Item = Value>) -> Result<Result<(), Trouble>, Trouble> {
        if self.from == AckedFrom::Memory && self.need == 0 {
            return Ok(Ok(()));
        }
        let counted = |value: Value| match self.from {
            AckedFrom::Memory => Ok((1, reply::count(value)?)),
            AckedFrom::Disk => {
                let mut counts = reply::list(value)?.into_iter().map(reply::count);
                let mut next = || counts.next().unwrap_or_else(|| Err(short()));
                Ok((next()?, next()?))
            }
        };
        let (own, have) = counted(values.next().ok_or_else(short)?).map_err(|trouble: Trouble| {
            // UNBLOCKED, as when the primary is made a replica meanwhile.
            shared.new_era();
            Trouble::Cut { sent: true, why: trouble.why() }
        })?;
        let need = self.need;
        Ok(match (own, have) {
            (0, _) => Err(Trouble::NotOnDisk),
            (_, have) if have < need => Err(Trouble::FewReplicas { have, need }),
            _ => Ok(()),
        })
    }
}

fn short() -> Trouble {
    Trouble::Cut { sent: true, why: "fewer answers than questions".to_owned() }
}
