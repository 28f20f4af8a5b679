//! A proxy before a real redis-server that knows where commands and answers begin and end, and can do something to one
//! of them: answer in the server's place, cut an answer short, hold it back, tell it twice.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What is done to the answer of a command.
#[derive(Clone, Debug)]
pub enum Act {
    /// The server never hears the command; this is the answer.
    Refuse(String),
    /// The server does it; this is told in place of its answer.
    Say(String),
    /// So many bytes of the answer, then the connection ends.
    CutAfter(usize),
    /// So many bytes of the answer; the rest comes late, when told.
    HoldAfter(usize),
    /// The answer twice.
    Twice,
}

struct Trick {
    on: &'static str,
    times: usize,
    act: Act,
}

#[derive(Default)]
struct Plan {
    trick: Mutex<Option<Trick>>,
    done: Mutex<usize>,
    late: Notify,
    trips: Mutex<Trips>,
}

/// Times that somebody had to wait for the server, whatever was asked at a time.
#[derive(Default)]
struct Trips {
    /// How far away the server is; zero: nothing is counted.
    away: Duration,
    under_way: usize,
    /// Of each trip what was asked.
    made: Vec<Vec<String>>,
}

/// What a service asks of its own accord, on nobody's behalf.
const OF_ITS_OWN: [&str; 5] = ["ROLE", "PING", "INFO", "CONFIG", "CLIENT"];

impl Plan {
    /// What to do to this command, if anything; it counts as done.
    fn take(&self, name: &str) -> Option<Act> {
        let mut trick = self.trick.lock().unwrap();
        let planned = trick.as_mut().filter(|trick| trick.on == name && trick.times > 0)?;
        planned.times -= 1;
        *self.done.lock().unwrap() += 1;
        Some(planned.act.clone())
    }

    /// A command goes to the server: when its answer arrives, if it counts.
    fn sets_out(&self, name: &str) -> Option<tokio::time::Instant> {
        let mut trips = self.trips.lock().unwrap();
        if trips.away.is_zero() || OF_ITS_OWN.contains(&name) {
            return None;
        }
        let under_way = trips.under_way > 0;
        match trips.made.last_mut().filter(|_| under_way) {
            Some(trip) => trip.push(name.to_owned()),
            None => trips.made.push(vec![name.to_owned()]),
        }
        trips.under_way += 1;
        Some(tokio::time::Instant::now() + trips.away)
    }
}

/// See the module.
pub struct Wire {
    pub url: String,
    plan: Arc<Plan>,
}

impl Wire {
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let plan = Arc::new(Plan::default());
        let shared = Arc::clone(&plan);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { url, plan }
    }

    /// Does this to the next so many of these commands, on whichever connection they come.
    pub fn trick(&self, on: &'static str, times: usize, act: Act) {
        *self.plan.done.lock().unwrap() = 0;
        *self.plan.trick.lock().unwrap() = Some(Trick { on, times, act });
    }

    /// Counts trips from now on, to a server that is so far away: what is asked before an answer came is one trip.
    pub fn count(&self, away: Duration) {
        *self.plan.trips.lock().unwrap() = Trips { away, ..Trips::default() };
    }

    /// The trips since this was asked last.
    pub fn trips(&self) -> Vec<Vec<String>> {
        let mut trips = self.plan.trips.lock().unwrap();
        assert_eq!(trips.under_way, 0, "somebody still waits");
        std::mem::take(&mut trips.made)
    }

    /// Tricks no more; what was held back arrives. Returns how often something was done.
    pub fn plain(&self) -> usize {
        *self.plan.trick.lock().unwrap() = None;
        self.plan.late.notify_waiters();
        *self.plan.done.lock().unwrap()
    }
}

/// What is expected of the server next: the answer to a command, or one that was made here.
enum Next {
    Answer(Option<Act>),
    /// The same, which is counted, and arrives from afar at this instant.
    Counted(tokio::time::Instant),
    Made(Vec<u8>),
}

type Expected = Arc<Mutex<VecDeque<Next>>>;

async fn pass(client: TcpStream, server: TcpStream, plan: Arc<Plan>) {
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let expected = Expected::default();
    let to_client = Arc::new(tokio::sync::Mutex::new(to_client));
    let asking = ask(from_client, to_server, Arc::clone(&to_client), Arc::clone(&expected), Arc::clone(&plan));
    tokio::select! {
        () = asking => {}
        () = answer(from_server, to_client, expected, plan) => {}
    }
}

async fn ask(
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    expected: Expected,
    plan: Arc<Plan>,
) {
    let mut frames = Frames::default();
    while frames.more(&mut from_client).await {
        while let Some(command) = frames.take() {
            let name = name(&command);
            let act = plan.take(&name);
            if let Some(Act::Refuse(text)) = act {
                expected.lock().unwrap().push_back(Next::Made(text.into_bytes()));
                made(&expected, &mut *to_client.lock().await).await;
                continue;
            }
            let counted = plan.sets_out(&name).filter(|_| act.is_none());
            expected.lock().unwrap().push_back(counted.map_or(Next::Answer(act), Next::Counted));
            if to_server.write_all(&command).await.is_err() {
                return;
            }
        }
    }
}

/// Tells what was made here and is next.
async fn made(expected: &Expected, to_client: &mut OwnedWriteHalf) {
    loop {
        let next = {
            let mut expected = expected.lock().unwrap();
            match expected.pop_front() {
                Some(Next::Made(bytes)) => bytes,
                Some(other) => return expected.push_front(other),
                None => return,
            }
        };
        let _ = to_client.write_all(&next).await;
    }
}

async fn answer(
    mut from_server: OwnedReadHalf,
    to_client: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    expected: Expected,
    plan: Arc<Plan>,
) {
    let mut frames = Frames::default();
    while frames.more(&mut from_server).await {
        while let Some(answer) = frames.take() {
            let mut to_client = to_client.lock().await;
            let next = expected.lock().unwrap().pop_front();
            let told = match next {
                Some(Next::Answer(Some(Act::Say(text)))) => text.into_bytes(),
                Some(Next::Answer(Some(Act::Twice))) => answer.repeat(2),
                Some(Next::Answer(Some(Act::CutAfter(bytes)))) => {
                    let _ = to_client.write_all(&answer[..bytes.min(answer.len())]).await;
                    return;
                }
                Some(Next::Answer(Some(Act::HoldAfter(bytes)))) => {
                    let late = plan.late.notified();
                    let (now, later) = answer.split_at(bytes.min(answer.len()));
                    let _ = to_client.write_all(now).await;
                    late.await;
                    later.to_vec()
                }
                Some(Next::Counted(arrives)) => {
                    tokio::time::sleep_until(arrives).await;
                    plan.trips.lock().unwrap().under_way -= 1;
                    answer
                }
                _ => answer,
            };
            if to_client.write_all(&told).await.is_err() {
                return;
            }
            made(&expected, &mut to_client).await;
        }
    }
}

/// The first word of a command, in capitals.
fn name(command: &[u8]) -> String {
    let word = command.split(|byte| *byte == b'\n').nth(2).unwrap_or_default();
    String::from_utf8_lossy(word).trim().to_uppercase()
}

/// Bytes as they come, cut where commands and answers end.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    async fn more(&mut self, from: &mut OwnedReadHalf) -> bool {
        matches!(from.read_buf(&mut self.0).await, Ok(1..))
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let end = end(&self.0, 0)?;
        let rest = self.0.split_off(end);
        Some(std::mem::replace(&mut self.0, rest))
    }
}

/// Where the value ends that begins here, if all of it is there.
fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let line = bytes.get(from..)?.windows(2).position(|pair| pair == b"\r\n")? + from;
    let after = line + 2;
    let number = || std::str::from_utf8(&bytes[from + 1..line]).ok()?.parse::<i64>().ok();
    match bytes[from] {
        b'$' => match usize::try_from(number()?) {
            Ok(length) => (bytes.len() >= after + length + 2).then_some(after + length + 2),
            Err(_) => Some(after),
        },
        b'*' => (0..number()?).try_fold(after, |at, _| end(bytes, at)),
        _ => Some(after),
    }
}
