//! Clients that never stop: what they were told is what must hold.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringfence::proto::v1;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::clients::{Client, Dice, consent, counts, notice, number, opt_out};
use super::server::CAP;

const NUMBERS: usize = 60;
/// Only these are opted out.
const CLOSING: usize = 20;
const CLIENTS: usize = 6;
const SELLERS: [&str; 2] = ["acme", "borealis"];

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Number, seller, attempt.
    allowed: Mutex<Vec<(usize, &'static str, String)>>,
    opted_out: Mutex<Vec<(usize, String)>>,
    consented: Mutex<Vec<(usize, String)>>,
    /// Decisions of all kinds.
    decisions: Mutex<Vec<String>>,
    answered: AtomicUsize,
    over: AtomicBool,
    ids: AtomicUsize,
    /// Whether a server may go away under the clients.
    excused: AtomicBool,
}

/// Load on one store.
pub struct Load {
    told: Arc<Told>,
    at: Arc<Mutex<Vec<SocketAddr>>>,
    clients: Mutex<Option<JoinSet<()>>>,
}

impl Load {
    /// Clients of these instances.
    pub fn start(at: &[SocketAddr]) -> Self {
        let told = Arc::new(Told::default());
        let at = Arc::new(Mutex::new(at.to_vec()));
        let mut clients = JoinSet::new();
        for seed in 0..CLIENTS {
            clients.spawn(client(Arc::clone(&told), Arc::clone(&at), seed));
        }
        Self { told, at, clients: Mutex::new(Some(clients)) }
    }

    /// From now on servers are killed under the clients.
    pub fn excuse(&self) {
        self.told.excused.store(true, Ordering::SeqCst);
    }

    /// The servers are found at other addresses now.
    pub fn moved(&self, at: &[SocketAddr]) {
        *self.at.lock().unwrap() = at.to_vec();
    }

    /// Waits until so many more were answered that every kind of question was among them.
    pub async fn goes_on(&self) {
        let before = self.told.answered.load(Ordering::SeqCst);
        while self.told.answered.load(Ordering::SeqCst) < before + 120 {
            let failed = self.clients.lock().unwrap().as_mut().and_then(JoinSet::try_join_next);
            assert!(failed.is_none(), "a client ended: {failed:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop_and_check(&self, at: &[SocketAddr]) {
        self.told.over.store(true, Ordering::SeqCst);
        let clients = self.clients.lock().unwrap().take().unwrap();
        clients.join_all().await;
        self.check(at).await;
    }

    /// Whatever was told holds, on each of these instances.
    pub async fn check(&self, at: &[SocketAddr]) {
        for address in at {
            let mut client = Client::new(*address);
            let allowed = self.told.allowed.lock().unwrap().clone();
            let opted_out = self.told.opted_out.lock().unwrap().clone();
            let consented = self.told.consented.lock().unwrap().clone();
            assert!(!allowed.is_empty() && !opted_out.is_empty() && !consented.is_empty());
            for index in 0..NUMBERS {
                let contact = client.contact(&number(index)).await;
                for seller in SELLERS {
                    let of = |attempt: &&v1::RecordedAttempt| {
                        counts(attempt) && attempt.attempt.as_ref().unwrap().seller == seller
                    };
                    let reserved = contact.attempts.iter().filter(of).count();
                    assert!(reserved <= CAP, "{reserved} attempts of {seller} at number {index}");
                }
                for (_, seller, id) in allowed.iter().filter(|(of, ..)| *of == index) {
                    let there = contact.attempts.iter().any(|kept| kept.attempt.as_ref().unwrap().attempt_id == *id);
                    assert!(there, "the attempt {id} of {seller} was lost");
                }
                for (_, receipt) in opted_out.iter().filter(|(of, _)| *of == index) {
                    let there = contact.opt_outs.iter().any(|kept| kept.receipt_id == *receipt);
                    assert!(there, "the opt-out {receipt} was lost");
                }
                for (_, receipt) in consented.iter().filter(|(of, _)| *of == index) {
                    let there = contact.consents.iter().any(|kept| kept.receipt_id == *receipt);
                    assert!(there, "the consent {receipt} was lost");
                }
                if opted_out.iter().any(|(of, _)| *of == index) {
                    let mut request = notice(&number(index), SELLERS[0], "");
                    request.dry_run = true;
                    let decision = client.check(request).await.unwrap();
                    assert_eq!(decision.verdict(), v1::Verdict::Deny);
                }
            }
            let decisions = self.told.decisions.lock().unwrap().clone();
            let mut opened = 0;
            for id in decisions.iter().step_by(7) {
                match client.decision(id).await {
                    Ok(_) => opened += 1,
                    // In the log of another instance.
                    Err(status) if status.code() == Code::NotFound && at.len() > 1 => {}
                    Err(status) => panic!("{id}: {status:?}"),
                }
            }
            assert!(opened > 0, "no decision was found in the log");
        }
    }
}

async fn client(told: Arc<Told>, at: Arc<Mutex<Vec<SocketAddr>>>, seed: usize) {
    let mut dice = Dice::new(seed as u64);
    while !told.over.load(Ordering::SeqCst) {
        let address = {
            let all = at.lock().unwrap();
            all[dice.below(all.len())]
        };
        let mut client = Client::new(address);
        for _ in 0..20 {
            if told.over.load(Ordering::SeqCst) {
                return;
            }
            if let Err(status) = ask(&told, &mut client, &mut dice).await {
                let excused = told.excused.load(Ordering::SeqCst);
                assert!(excused && status.code() != Code::Internal, "{status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                break;
            }
            told.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn ask(told: &Told, client: &mut Client, dice: &mut Dice) -> Result<(), Status> {
    let id = format!("r{}", told.ids.fetch_add(1, Ordering::SeqCst));
    match dice.below(20) {
        0 => {
            let index = dice.below(CLOSING);
            let receipt = client.opt_out(opt_out(&number(index), &id)).await?.receipt_id;
            told.opted_out.lock().unwrap().push((index, receipt));
        }
        1..3 => {
            let index = dice.below(NUMBERS);
            let receipt = client.consent(consent(&number(index), &id, "Yes, call me.")).await?.receipt_id;
            told.consented.lock().unwrap().push((index, receipt));
        }
        kind => {
            let (index, seller) = (dice.below(NUMBERS), SELLERS[dice.below(2)]);
            let mut request = notice(&number(index), seller, &id);
            request.dry_run = kind < 6;
            let dry = request.dry_run;
            let decision = client.check(request).await?;
            let reserved = decision.verdict() == v1::Verdict::Allow && !dry;
            if reserved {
                told.allowed.lock().unwrap().push((index, seller, decision.attempt_id.clone()));
            }
            // The entry of a dry run or a denial is safe within a second: one that is killed before takes it along.
            if reserved || !told.excused.load(Ordering::SeqCst) {
                told.decisions.lock().unwrap().push(decision.decision_id);
            }
        }
    }
    Ok(())
}
