//! What a server says, byte by byte: errors in the place of answers, answers of no sense, cut, late, twice.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::join_all;

use super::house::{Heard, House, STAGE, impatient};
use super::redis::Server;
use super::wire::{Act, Wire};

const FOR_EVER: usize = usize::MAX;

async fn wired(patience: Duration) -> (Server, Wire, House) {
    // Beside the others, which are held to their time.
    let server = tokio::task::spawn_blocking(|| Server::start(&[])).await.unwrap();
    let wire = Wire::before(server.port).await;
    let mut settings = impatient(&wire.url);
    settings.timing.patience = patience;
    let house = House::over(settings).await;
    (server, wire, house)
}

/// Plays this trick on a house of its own until it is mended, and says how often it was done.
fn played<'h>(on: &'static str, times: usize, act: Act, heard: Heard<'h>) -> Pin<Box<dyn Future<Output = usize> + 'h>> {
    // Many of them at a time would be too much for the stack.
    Box::pin(async move {
        let _seat = STAGE.acquire().await.unwrap();
        // What must not be heard has time to pass, on a busy machine too.
        let patience = if matches!(heard, Heard::Nothing) { 5_000 } else { 2_400 };
        let (_server, wire, house) = wired(Duration::from_millis(patience)).await;
        let mut done = 0;
        let harm = async || wire.trick(on, times, act);
        house.endures(heard, harm, async || done = wire.plain()).await;
        assert!(done > 0, "{on} was not asked");
        done
    })
}

const PASSING: [&str; 7] = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "NOSCRIPT No matching script.",
];

fn first_word(error: &str) -> &str {
    error.split(' ').next().unwrap()
}

/// Errors after which the same command may be carried out a moment later, here or elsewhere: asked again while a call
/// lasts, then told.
#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass() {
    let cases = PASSING.iter().flat_map(|error| ["GET", "EVALSHA"].map(|command| (command, *error)));
    let plays = cases.map(async |(command, error)| {
        let word = first_word(error);
        let heard = if word == "NOSCRIPT" { "keeps forgetting" } else { word };
        let refused = Act::Refuse(format!("-{error}\r\n"));
        let done = played(command, FOR_EVER, refused, Heard::Refused(&[heard])).await;
        // Three questions read, two of them write: as often as each is asked once.
        let once = if command == "GET" { 3 } else { 2 };
        assert!(done > once, "{error} {command}: never asked again");
    });
    join_all(plays).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass_are_not_even_heard_when_they_do() {
    let cases = PASSING.iter().flat_map(|error| ["GET", "EVALSHA"].map(|command| (command, *error)));
    let plays = cases.map(|(command, error)| played(command, 1, Act::Refuse(format!("-{error}\r\n")), Heard::Nothing));
    join_all(plays).await;
}

/// Errors that the same command would meet again: told at once, with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn errors_that_stay() {
    let cases = [
        ("OOM command not allowed when used memory > 'maxmemory'.", "raise maxmemory"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "make room"),
        ("NOREPLICAS Not enough good replicas to write.", "bring the replicas back"),
        ("NOAUTH Authentication required.", "store_password_file"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "store_password_file"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "access list"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "another program"),
        ("ERR max number of clients reached", "maxclients"),
        ("ERR something nobody has heard of", "nobody has heard of"),
    ];
    let plays = cases.map(async |(error, advice)| {
        let refused = Act::Refuse(format!("-{error}\r\n"));
        let done = played("EVALSHA", FOR_EVER, refused, Heard::Refused(&[first_word(error), advice])).await;
        assert_eq!(done, 2, "{error}: two writes, each asked once, not again in vain");
    });
    join_all(plays).await;
}

/// Answers that no Redis gives to this question. Nothing follows from them.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_no_sense() {
    let cases = [
        ("GET", ":7\r\n"),
        ("GET", "*2\r\n:1\r\n:2\r\n"),
        ("GET", "+OK\r\n"),
        ("GET", "?what\r\n"),
        ("EVALSHA", "+OK\r\n"),
        ("EVALSHA", "$-1\r\n"),
        ("EVALSHA", "*0\r\n"),
        ("EVALSHA", "$3\r\nabc\r\n"),
        ("EVALSHA", "?what\r\n"),
        ("ROLE", ":1\r\n"),
        ("ROLE", "+OK\r\n"),
        ("ROLE", "$-1\r\n"),
    ];
    join_all(cases.map(|(command, answer)| played(command, 3, Act::Say(answer.to_owned()), Heard::Anything))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_cut_short() {
    let cases = [("GET", 0), ("GET", 3), ("EVALSHA", 0), ("EVALSHA", 1), ("ROLE", 0), ("ROLE", 9)];
    join_all(cases.map(|(command, bytes)| played(command, 2, Act::CutAfter(bytes), Heard::Anything))).await;
}

/// The answer to an earlier question arrives when nobody waits for it any more: it must not be taken for another's.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_late() {
    let cases = [("GET", 0), ("GET", 2), ("EVALSHA", 0), ("EVALSHA", 1), ("ROLE", 5)];
    let plays = cases.map(|(command, bytes)| played(command, FOR_EVER, Act::HoldAfter(bytes), Heard::Refused(&[])));
    join_all(plays).await;
}

/// An answer told twice puts all that follow at the wrong place: the connection is given up.
#[tokio::test(flavor = "multi_thread")]
async fn answers_told_twice() {
    let _ = played("EVALSHA", 1, Act::Twice, Heard::Anything).await;
}
