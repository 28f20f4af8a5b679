//! A connection that only writes: takes all that wait, sends them with one `WAIT` behind, and tells each its end.
//!
//! `WAIT` covers what was written before it on its own connection, so nothing is said to be safe that was written on a
//! connection since lost: whoever asks again and finds the write there has it confirmed by a write of its own.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{Pipeline, Value};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

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
            if matches!(trouble, Trouble::Cut { .. }) {
                open = None;
            }
            jobs.drain(..).for_each(|job| job.tell(Err(trouble.clone())));
        }
    }
}

async fn connect(shared: &Shared) -> Result<Open, Trouble> {
    let era = shared.era();
    let mut connection = shared.connect().await?;
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
            shared.saw_replicas(replicas);
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
    let timing = shared.connector.0.timing;
    let wait_ms = timing.replicas.as_millis();
    let mut need = shared.need();
    let mut pipe = Pipeline::with_capacity(jobs.len() + 2);
    for job in jobs {
        if job.asking {
            pipe.cmd("ASKING");
        }
        job.command.send(&open.names, &mut pipe);
    }
    if need > 0 {
        pipe.cmd("WAIT").arg(need).arg(u64::try_from(wait_ms).unwrap_or(1_000));
    }
    pipe.cmd("ROLE");
    let within = timing.answer + if need > 0 { timing.replicas } else { Duration::ZERO };
    let mut values = trip(&mut open.connection, &pipe, within).await?.into_iter();
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        if job.asking {
            let _ = values.next();
        }
        let value = values.next().ok_or_else(short)?;
        answers.push(reply::sound_one(value));
    }
    let mut have = if need > 0 { reply::count(values.next().ok_or_else(short)?)? } else { 0 };
    saw(shared, values.next().as_ref())?;
    if shared.need() > need && have >= need {
        // A replica has come that was not waited for; it may be the next primary.
        need = shared.need();
        let mut pipe = Pipeline::new();
        pipe.cmd("WAIT").arg(need).arg(u64::try_from(wait_ms).unwrap_or(1_000));
        let values = trip(&mut open.connection, &pipe, timing.answer + timing.replicas).await?;
        have = reply::count(values.into_iter().next().ok_or_else(short)?)?;
    }
    if have < need {
        for (job, answer) in jobs.iter().zip(&mut answers) {
            if answer.as_ref().is_ok_and(|value| job.command.wrote(value)) {
                *answer = Err(Trouble::FewReplicas { have, need });
            }
        }
    }
    Ok(answers)
}

fn short() -> Trouble {
    Trouble::Cut { sent: true, why: "fewer answers than questions".to_owned() }
}
