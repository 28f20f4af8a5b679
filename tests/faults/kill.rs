//! `kill -9` under load: whatever a dialer was told holds after every restart.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringfence::proto::v1;
use tokio::sync::{Notify, watch};
use tonic::{Code, Status};

use super::clients::{Client, Dice, PATIENCE, consent, counts, notice, number, opt_out, report};
use super::server::{CAP, House, kill};

const NUMBERS: usize = 300;
/// Only these are ever opted out, so that enough others stay open to fill their caps.
const CLOSING: usize = 120;
const SELLERS: [&str; 2] = ["acme", "borealis"];
const DIALERS: usize = 12;
/// Denials and dry runs are safe within a second (I8).
const SOON: Duration = Duration::from_secs(1);

/// What was done, and what was answered.
#[derive(Clone, Debug)]
enum Done {
    Checked {
        seller: &'static str,
        decision: Box<v1::Decision>,
        dry: bool,
    },
    OptedOut {
        receipt: String,
    },
    Consented {
        receipt: String,
    },
    Reported {
        attempt: String,
        outcome: v1::Outcome,
    },
    /// A release that may or may not have happened.
    PerhapsReleased {
        attempt: String,
    },
}

#[derive(Clone, Debug)]
struct Event {
    number: usize,
    sent: Instant,
    answered: Instant,
    done: Done,
}

/// A server that clients may ask: which one since the beginning, and where. `None`: it is over.
type Where = Option<(u64, SocketAddr)>;

struct Shared {
    history: Mutex<Vec<Event>>,
    answered: AtomicUsize,
    more: Notify,
    ids: AtomicU64,
    /// Errors by code, for the report.
    errors: Mutex<BTreeMap<String, usize>>,
}

impl Shared {
    fn note(&self, number: usize, sent: Instant, done: Done) {
        self.history.lock().unwrap().push(Event { number, sent, answered: Instant::now(), done });
        self.answered.fetch_add(1, Ordering::SeqCst);
        self.more.notify_one();
    }

    fn id(&self, kind: &str) -> String {
        format!("{kind}-{}", self.ids.fetch_add(1, Ordering::SeqCst))
    }
}

struct Dialer {
    shared: Arc<Shared>,
    dice: Dice,
    wheres: watch::Receiver<Where>,
    client: Client,
    /// Which server the client asks.
    generation: u64,
    /// Granted and not reported yet.
    open: Vec<(usize, String)>,
}

impl Dialer {
    /// Asks until it is answered, or half of the time gives up when the server is gone. `None`: given up, or over.
    async fn ask<T, F>(&mut self, ask: impl Fn(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Status>>,
    {
        loop {
            match ask(self.client.clone()).await {
                Ok(answer) => return Some(answer),
                Err(status) => {
                    // Only the loss of the server is an excuse.
                    let code = status.code();
                    assert!(matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled), "{status:?}");
                    *self.shared.errors.lock().unwrap().entry(format!("{code:?}")).or_default() += 1;
                    self.next_server().await?;
                    if self.dice.below(2) == 0 {
                        return None;
                    }
                }
            }
        }
    }

    async fn next_server(&mut self) -> Option<()> {
        let generation = self.generation;
        let next = self.wheres.wait_for(|at| at.is_none_or(|(number, _)| number > generation)).await.unwrap();
        let (generation, address) = (*next)?;
        drop(next);
        (self.generation, self.client) = (generation, Client::new(address));
        Some(())
    }

    async fn run(mut self) {
        while self.wheres.borrow().is_some() {
            match self.dice.below(100) {
                0..55 => self.check(false).await,
                55..60 => self.check(true).await,
                60..68 => self.opt_out().await,
                68..78 => self.consent().await,
                _ => self.report().await,
            }
        }
    }

    /// Some numbers are asked about much more often than others, so that dialers race.
    fn number(&mut self) -> usize {
        let (a, b) = (self.dice.below(NUMBERS), self.dice.below(NUMBERS));
        a.min(b)
    }

    async fn check(&mut self, dry: bool) {
        let (index, seller) = (self.number(), SELLERS[self.dice.below(2)]);
        let mut request = notice(&number(index), seller, &self.shared.id("call"));
        request.dry_run = dry;
        let sent = Instant::now();
        let asking = |mut client: Client| {
            let request = request.clone();
            async move { client.check(request).await }
        };
        if let Some(decision) = self.ask(asking).await {
            if decision.verdict() == v1::Verdict::Allow && !dry {
                assert_eq!(decision.attempt_id, request.attempt_id);
                self.open.push((index, decision.attempt_id.clone()));
            }
            self.shared.note(index, sent, Done::Checked { seller, decision: Box::new(decision), dry });
        }
    }

    async fn opt_out(&mut self) {
        let index = self.dice.below(CLOSING);
        let request = opt_out(&number(index), &self.shared.id("stop"));
        let sent = Instant::now();
        let asking = |mut client: Client| {
            let request = request.clone();
            async move { client.opt_out(request).await }
        };
        if let Some(answer) = self.ask(asking).await {
            self.shared.note(index, sent, Done::OptedOut { receipt: answer.receipt_id });
        }
    }

    async fn consent(&mut self) {
        let index = self.number();
        let request = consent(&number(index), &self.shared.id("yes"), "Yes, call me.");
        let sent = Instant::now();
        let asking = |mut client: Client| {
            let request = request.clone();
            async move { client.consent(request).await }
        };
        if let Some(answer) = self.ask(asking).await {
            self.shared.note(index, sent, Done::Consented { receipt: answer.receipt_id });
        }
    }

    async fn report(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let (index, attempt) = self.open.swap_remove(self.dice.below(self.open.len()));
        let outcome = match self.dice.below(3) {
            0 => v1::Outcome::NotAttempted,
            1 => v1::Outcome::NoAnswer,
            _ => v1::Outcome::Connected,
        };
        let request = report(&number(index), &attempt, outcome);
        let sent = Instant::now();
        let asking = |mut client: Client| {
            let request = request.clone();
            async move { client.report(request).await }
        };
        match self.ask(asking).await {
            Some(answer) => {
                assert_eq!(answer.released, outcome == v1::Outcome::NotAttempted);
                self.shared.note(index, sent, Done::Reported { attempt, outcome });
            }
            None if outcome == v1::Outcome::NotAttempted => {
                self.shared.note(index, sent, Done::PerhapsReleased { attempt });
            }
            None => {}
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_told_is_lost_to_kill_9_under_load() {
    let rounds = setting("RINGFENCE_FAULT_ROUNDS").unwrap_or(8).max(1);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = setting("RINGFENCE_FAULT_SEED").unwrap_or(nanos.into());
    println!("RINGFENCE_FAULT_SEED={seed}");
    let mut dice = Dice::new(seed);

    let house = House::new();
    let mut server = house.start();
    let (at, wheres) = watch::channel(Some((0, server.address())));
    let shared = Arc::new(Shared {
        history: Mutex::default(),
        answered: AtomicUsize::new(0),
        more: Notify::new(),
        ids: AtomicU64::new(0),
        errors: Mutex::default(),
    });
    let dialers: Vec<_> = (0..DIALERS)
        .map(|_| {
            let dialer = Dialer {
                shared: Arc::clone(&shared),
                dice: Dice::new(dice.below(usize::MAX) as u64),
                wheres: wheres.clone(),
                client: Client::new(server.address()),
                generation: 0,
                open: Vec::new(),
            };
            tokio::spawn(dialer.run())
        })
        .collect();
    let mut killed = Vec::new();
    for generation in 1..=rounds {
        let target = shared.answered.load(Ordering::SeqCst) + 30 + dice.below(500);
        answered(&shared, target).await;
        server.kill();
        killed.push(Instant::now());
        if generation % 3 == 0 {
            sound_but_for_an_unfinished_write(&house);
        }
        server = house.start();
        at.send(Some((generation, server.address()))).unwrap();
    }
    answered(&shared, shared.answered.load(Ordering::SeqCst) + 200).await;
    at.send(None).unwrap();
    for dialer in dialers {
        tokio::time::timeout(PATIENCE, dialer).await.expect("a dialer that ends").unwrap();
    }

    let history = std::mem::take(&mut *shared.history.lock().unwrap());
    summary(&history, &shared);
    let client = Client::new(server.address());
    never_above_the_cap(&history);
    no_allow_after_an_opt_out(&history);
    every_write_is_in_the_record(&history, &client).await;
    caps_are_exact_in_the_record(&client).await;
    every_decision_is_found(&history, &killed, &client).await;
    assert!(server.stop().success());
    house.assert_sound();
    let said = house.said();
    assert!((0..NUMBERS).all(|index| !said.contains(&number(index)[1..])), "a whole number in the log");
}

async fn answered(shared: &Shared, target: usize) {
    let waiting = async {
        while shared.answered.load(Ordering::SeqCst) < target {
            shared.more.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("answers");
}

/// Before the next start cuts it off, an unfinished write may stand at the end; nothing else may be wrong.
fn sound_but_for_an_unfinished_write(house: &House) {
    let verdict = house.verify();
    assert!(verdict.status == Some(0) || verdict.text.contains("the entry is cut short"), "{}", verdict.text);
}

fn summary(history: &[Event], shared: &Shared) {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for event in history {
        let kind = match &event.done {
            Done::Checked { dry: true, .. } => "dry run",
            Done::Checked { decision, .. } if decision.verdict() == v1::Verdict::Allow => "allow",
            Done::Checked { .. } => "deny",
            Done::OptedOut { .. } => "opt-out",
            Done::Consented { .. } => "consent",
            Done::Reported { .. } => "outcome",
            Done::PerhapsReleased { .. } => "unanswered release",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    println!("{kinds:?}, errors {:?}", shared.errors.lock().unwrap());
    for kind in ["allow", "deny", "dry run", "opt-out", "consent", "outcome"] {
        assert!(kinds.contains_key(kind), "the load lacks {kind}: {kinds:?}");
    }
}

/// From the answer of an ALLOW until its release was sent, if it was.
type Span = (Instant, Option<Instant>);

/// I2, from the outside: at no instant did a seller hold more answered ALLOWs for a number than the cap, leaving out
/// those whose release was sent.
fn never_above_the_cap(history: &[Event]) {
    let mut released: HashMap<&str, Instant> = HashMap::new();
    for event in history {
        match &event.done {
            Done::Reported { attempt, outcome: v1::Outcome::NotAttempted } | Done::PerhapsReleased { attempt } => {
                released.insert(attempt, event.sent);
            }
            _ => {}
        }
    }
    let mut held: HashMap<(usize, &str), Vec<Span>> = HashMap::new();
    for event in history {
        if let Done::Checked { seller, decision, dry: false } = &event.done
            && decision.verdict() == v1::Verdict::Allow
        {
            let until = released.get(decision.attempt_id.as_str()).copied();
            held.entry((event.number, *seller)).or_default().push((event.answered, until));
        }
    }
    let mut full = 0;
    for ((index, seller), spans) in &held {
        for (instant, _) in spans {
            let at_once =
                spans.iter().filter(|(from, to)| from <= instant && to.is_none_or(|to| to > *instant)).count();
            assert!(at_once <= CAP, "number {index} of {seller}: {at_once} at once: {spans:?}");
            full += usize::from(at_once == CAP);
        }
    }
    assert!(full > 0, "no cap was ever full: the load proves nothing");
}

/// I1, from the outside.
fn no_allow_after_an_opt_out(history: &[Event]) {
    let mut closed: HashMap<usize, Instant> = HashMap::new();
    for event in history {
        if matches!(event.done, Done::OptedOut { .. }) {
            let first = closed.entry(event.number).or_insert(event.answered);
            *first = event.answered.min(*first);
        }
    }
    let mut denied = 0;
    for event in history {
        if let Done::Checked { decision, .. } = &event.done
            && closed.get(&event.number).is_some_and(|closed| event.sent > *closed)
        {
            let families: Vec<_> = decision.reasons.iter().map(v1::Reason::family).collect();
            assert_eq!(decision.verdict(), v1::Verdict::Deny, "number {}: {decision:?}", event.number);
            assert!(families.contains(&v1::RuleFamily::OptOut), "{families:?}");
            denied += 1;
        }
    }
    assert!(denied > 0, "nobody asked after an opt-out: the load proves nothing");
}

async fn contacts(client: &Client) -> Vec<v1::Contact> {
    let mut contacts = Vec::new();
    for index in 0..NUMBERS {
        contacts.push(client.clone().contact(&number(index)).await);
    }
    contacts
}

async fn every_write_is_in_the_record(history: &[Event], client: &Client) {
    let contacts = contacts(client).await;
    for event in history {
        let contact = &contacts[event.number];
        let attempt = |id: &str| {
            let found: Vec<_> = contact
                .attempts
                .iter()
                .filter(|recorded| recorded.attempt.as_ref().unwrap().attempt_id == id)
                .collect();
            assert_eq!(found.len(), 1, "attempt {id} of number {} is there {} times", event.number, found.len());
            found[0].clone()
        };
        let once = |receipts: Vec<&String>, receipt: &String| {
            let times = receipts.into_iter().filter(|found| *found == receipt).count();
            assert_eq!(times, 1, "{event:?} is there {times} times");
        };
        match &event.done {
            Done::Checked { decision, dry: false, .. } if decision.verdict() == v1::Verdict::Allow => {
                assert_eq!(attempt(&decision.attempt_id).decision_id, decision.decision_id);
            }
            Done::Checked { .. } | Done::PerhapsReleased { .. } => {}
            Done::OptedOut { receipt } => once(contact.opt_outs.iter().map(|one| &one.receipt_id).collect(), receipt),
            Done::Consented { receipt } => once(contact.consents.iter().map(|one| &one.receipt_id).collect(), receipt),
            Done::Reported { attempt: id, outcome } => {
                let recorded = attempt(id);
                assert_eq!(recorded.attempt.unwrap().outcome(), *outcome);
                assert!(recorded.reported_at.is_some());
            }
        }
    }
}

/// I2, from the inside: what the record counts is never above the cap, and a slot is free exactly if it is below.
async fn caps_are_exact_in_the_record(client: &Client) {
    for (index, contact) in contacts(client).await.into_iter().enumerate() {
        for seller in SELLERS {
            let of = |recorded: &&v1::RecordedAttempt| recorded.attempt.as_ref().unwrap().seller == seller;
            let counted = contact.attempts.iter().filter(of).filter(|recorded| counts(recorded)).count();
            assert!(counted <= CAP, "number {index} of {seller}: {counted}");
            let mut request = notice(&number(index), seller, "");
            request.dry_run = true;
            let decision = client.clone().check(request).await.unwrap();
            let open = contact.opt_outs.is_empty() && counted < CAP;
            assert_eq!(decision.verdict() == v1::Verdict::Allow, open, "number {index}, {counted}: {decision:?}");
        }
    }
}

/// I8: every answer is in the log as it was given; denials and dry runs, if they were older than a second.
async fn every_decision_is_found(history: &[Event], killed: &[Instant], client: &Client) {
    let mut lost = 0;
    for event in history {
        let Done::Checked { decision, dry, .. } = &event.done else { continue };
        match client.clone().decision(&decision.decision_id).await {
            Ok(found) => assert_eq!(found, **decision),
            Err(status) if status.code() == Code::NotFound => {
                let reserved = !dry && decision.verdict() == v1::Verdict::Allow;
                let kill = killed.iter().find(|kill| **kill >= event.answered);
                let excused = kill.is_some_and(|kill| kill.duration_since(event.answered) <= SOON);
                assert!(!reserved && excused, "lost: {event:?}");
                lost += 1;
            }
            Err(status) => panic!("{status:?}"),
        }
    }
    println!("{lost} denials and dry runs of the last second before a kill are not in the log");
}

/// Between two looks at a process that is starting.
const GLANCE: Duration = Duration::from_millis(1);

/// The moments of a first start, by what stands in the folder then.
const MOMENTS: [&str; 12] = [
    "",
    "data",
    "data/lock",
    "data/store.redb.new",
    "data/store.redb",
    "data/store.id",
    "keys.new",
    "keys",
    "data/audit",
    "data/audit/lock",
    "data/audit/0000000001.log",
    "announced",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_killed_at_any_moment_leaves_a_folder_that_starts() {
    for (at, moment) in MOMENTS.into_iter().enumerate() {
        let house = House::new();
        if moment == "announced" {
            house.start().kill();
        } else {
            let mut child = house.spawn();
            // What stands there for a moment only may be missed: then the next one is as good.
            let sights: Vec<_> = MOMENTS[at..].iter().map(|moment| house.path().join(moment)).collect();
            while !sights.iter().any(|sight| sight.exists()) && child.try_wait().unwrap().is_none() {
                // The rules are read first, which is long; from then on moments are short.
                if house.data.exists() { std::thread::yield_now() } else { std::thread::park_timeout(GLANCE) }
            }
            kill(&mut child);
        }
        let server = house.start();
        let mut client = Client::new(server.address());
        let decision = client.check(notice(&number(0), "acme", "a")).await.unwrap();
        assert_eq!(decision.verdict(), v1::Verdict::Allow, "after {moment}: {:?}", decision.reasons);
        assert!(server.stop().success());
        house.assert_sound();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_killed_again_and_again_lose_nothing() {
    let house = House::new();
    let begun = Instant::now();
    let server = house.start();
    let whole = begun.elapsed();
    let mut client = Client::new(server.address());
    let told = client.check(notice(&number(0), "acme", "a")).await.unwrap();
    let receipt = client.opt_out(opt_out(&number(1), "stop")).await.unwrap().receipt_id;
    server.kill();
    for step in 0..14 {
        let mut child = house.spawn();
        // A moment late within what a start takes: first the rules are read, which touches nothing. What is asserted
        // does not depend on hitting it.
        let until = Instant::now() + whole * (50 + 5 * step) / 100;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::park_timeout(GLANCE);
        }
        kill(&mut child);
    }
    let server = house.start();
    let mut client = Client::new(server.address());
    assert_eq!(client.decision(&told.decision_id).await.unwrap(), told);
    assert_eq!(client.contact(&number(0)).await.attempts.len(), 1);
    assert_eq!(client.contact(&number(1)).await.opt_outs[0].receipt_id, receipt);
    assert!(server.stop().success());
    house.assert_sound();
}
