//! What is done to the network and the servers of a trio while the clients go on, and a primary that was deposed and does
//! not know it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::access::Role;
use ringfence::engine::{Clock, Engine};
use ringfence::proto::v1;

use super::clients::number;
use super::groups::Trio;
use super::net::{Net, Party};
use super::redis::until;
use super::support::{self, DAY, at, permit};

const SERVICES: [Party; 3] = [Party::Service(0), Party::Service(1), Party::Service(2)];

fn party(server: usize) -> Party {
    Party::Server(u8::try_from(server).unwrap())
}

/// How long a cut lasts that is not waited for otherwise: longer than the patience of a call, far less than a test.
const CUT: Duration = Duration::from_millis(900);

pub fn cut_for_a_while(net: &Net) {
    std::thread::sleep(CUT);
    net.heal();
}

/// One round of harm, each kind in turn, until all is well again.
pub fn harm(trio: &mut Trio, net: &Net, round: usize) {
    let old = trio.primary_by(1).unwrap();
    let (primary, others) = (party(old), [party((old + 1) % 3), party((old + 2) % 3)]);
    match round % 9 {
        0 => {
            trio.servers[old].kill();
            promoted(trio, old);
            trio.servers[old].run();
        }
        // A primary that goes on with a service and a sentinel on its side; the others promote another.
        1 => {
            net.part(&[primary, SERVICES[0], Party::Sentinel(0)], &far_side(others));
            promoted(trio, old);
            net.heal();
        }
        // One way each: what replicas acknowledge is not heard; what is written does not reach them.
        2 => {
            net.cut(&others, &[primary]);
            cut_for_a_while(net);
        }
        3 => {
            net.cut(&[primary], &others);
            cut_for_a_while(net);
        }
        // Long enough to be given up for dead: it wakes as a primary that was deposed.
        4 => {
            trio.servers[old].freeze();
            promoted(trio, old);
            trio.servers[old].thaw();
        }
        // Services ask and are not answered, or are not even heard: each way for some of them.
        5 => {
            net.cut(&[primary], &SERVICES[..2]);
            cut_for_a_while(net);
        }
        6 => {
            net.cut(&SERVICES, &[primary]);
            cut_for_a_while(net);
        }
        // Sentinels that do not meet cannot promote anybody, whatever happens to the primary.
        7 => {
            let sentinels = [Party::Sentinel(0), Party::Sentinel(1), Party::Sentinel(2)];
            net.part(&sentinels, &sentinels);
            trio.servers[old].kill();
            std::thread::sleep(CUT);
            trio.servers[old].run();
            net.heal();
        }
        _ => trio.servers[(old + 1) % 3].restart(),
    }
    trio.settled();
}

fn far_side(replicas: [Party; 2]) -> [Party; 6] {
    let [one, other] = replicas;
    [one, other, SERVICES[1], SERVICES[2], Party::Sentinel(1), Party::Sentinel(2)]
}

fn promoted(trio: &Trio, old: usize) {
    until("another primary was promoted", || trio.primary_by(1).is_some_and(|now| now != old));
}

/// The promotion is over for every sentinel on the far side. Told to forget its servers in the middle of one, a sentinel
/// takes the old primary for the primary again.
fn failed_over(trio: &Trio, old: usize) {
    promoted(trio, old);
    let over = |sentinel: usize| {
        let said = trio.sentinels[sentinel].ask(&["SENTINEL", "MASTER", "main"]);
        said.lines().skip_while(|line| *line != "flags").nth(1) == Some("master")
    };
    until("the sentinels agree on the new primary", || {
        let now = trio.primary_by(1);
        now.is_some_and(|now| now != old) && now == trio.primary_by(2) && over(1) && over(2)
    });
}

fn clock() -> Clock {
    Clock { now: at(DAY), deadline: Some(Instant::now() + Duration::from_secs(2)) }
}

async fn ask(engine: &Engine, attempt: &str, dry_run: bool) -> Option<bool> {
    let request = v1::CheckRequest { attempt_id: attempt.to_owned(), dry_run, ..support::florida(&number(1)) };
    let decision = engine.check(&permit(Role::Check), request, clock()).await.ok()?;
    Some(decision.verdict() == v1::Verdict::Allow)
}

/// Cut off together with a primary that was deposed, and with a sentinel that still names it, a service reads from it what
/// was true before. What it grants has to be acknowledged by replicas that are on the other side.
pub async fn deposed(trio: &Trio, net: &Net, engines: &[Arc<Engine>]) {
    assert_eq!(ask(&engines[0], "before", false).await, Some(true));
    let old = trio.primary_by(1).unwrap();
    let others = [party((old + 1) % 3), party((old + 2) % 3)];
    net.part(&[party(old), SERVICES[0], Party::Sentinel(0)], &far_side(others));
    tokio::task::block_in_place(|| failed_over(trio, old));
    // The lost server is taken out, as the documents say, so that the others go on without it.
    for sentinel in [1, 2] {
        assert_eq!(trio.sentinels[sentinel].ask(&["SENTINEL", "RESET", "main"]), "1");
    }
    let request = || support::opt_out(&number(1), "on the other side");
    let begun = Instant::now();
    while let Err(error) = engines[1].record_opt_out(&permit(Role::WriteConsent), request(), clock()).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&engines[0], "stale", true).await, Some(true), "the old primary answers, and knows of no opt-out");
    for attempt in 0..10 {
        let begun = Instant::now();
        let answer = ask(&engines[0], &format!("deposed {attempt}"), false).await;
        // Three a day: what it took and could not replicate counts there too, so from the third on it may deny.
        let full = attempt >= 2 && answer == Some(false);
        assert!(
            answer.is_none() || full,
            "nobody may be told anything that rests on this primary: {attempt} {answer:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
    net.heal();
    let begun = Instant::now();
    loop {
        match ask(&engines[0], "after", false).await {
            Some(allowed) => break assert!(!allowed, "an opt-out was acknowledged before this was asked"),
            None => assert!(begun.elapsed() < Duration::from_secs(60), "it does not come back"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
