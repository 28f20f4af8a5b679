//! What a server says, byte by byte: errors in the place of answers, answers of no sense, cut, late, twice.

use super::house::{Heard, House, impatient};
use super::redis::Server;
use super::wire::{Act, Wire};

const FOR_EVER: usize = usize::MAX;

async fn wired() -> (Server, Wire, House) {
    let server = Server::start(&[]);
    let wire = Wire::before(server.port).await;
    let house = House::over(impatient(&wire.url)).await;
    (server, wire, house)
}

/// Errors after which the same command may be carried out a moment later, here or elsewhere: asked again while a call
/// lasts, then told.
#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass() {
    for error in [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "READONLY You can't write against a read only replica.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "NOSCRIPT No matching script.",
    ] {
        for command in ["GET", "EVALSHA"] {
            let (_server, wire, house) = wired().await;
            let word = error.split(' ').next().unwrap();
            let heard: &[&str] = if word == "NOSCRIPT" { &["the server keeps forgetting"] } else { &[word] };
            let harm = async || wire.trick(command, FOR_EVER, Act::Refuse(format!("-{error}\r\n")));
            house.endures(Heard::Refused(heard), harm, async || assert!(wire.plain() > 2, "never asked again")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass_are_not_even_heard_when_they_do() {
    for error in ["LOADING x", "BUSY x", "TRYAGAIN x", "READONLY x", "MASTERDOWN x", "CLUSTERDOWN x", "NOSCRIPT x"] {
        for command in ["GET", "EVALSHA"] {
            let (_server, wire, house) = wired().await;
            let once = async || wire.trick(command, 1, Act::Refuse(format!("-{error}\r\n")));
            house.endures(Heard::Nothing, once, async || assert_eq!(wire.plain(), 1)).await;
        }
    }
}

/// Errors that the same command would meet again: told at once, with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn errors_that_stay() {
    for (error, advice) in [
        ("OOM command not allowed when used memory > 'maxmemory'.", "raise maxmemory"),
        ("MISCONF Errors writing to the AOF file: No space left on device", "make room"),
        ("NOREPLICAS Not enough good replicas to write.", "bring the replicas back"),
        ("NOAUTH Authentication required.", "store_password_file"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "store_password_file"),
        ("NOPERM this user has no permissions to run the 'evalsha' command", "access list"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", "another program"),
        ("ERR max number of clients reached", "maxclients"),
        ("ERR something nobody has heard of", "nobody has heard of"),
    ] {
        let (_server, wire, house) = wired().await;
        let harm = async || wire.trick("EVALSHA", FOR_EVER, Act::Refuse(format!("-{error}\r\n")));
        let heal = async || {
            // Two writes, each asked once.
            assert_eq!(wire.plain(), 2, "{error}: asked again in vain");
        };
        house.endures(Heard::Refused(&[error.split(' ').next().unwrap(), advice]), harm, heal).await;
    }
}

/// Answers that no Redis gives to this question. Nothing follows from them.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_no_sense() {
    for (command, answer) in [
        ("GET", ":7\r\n"),
        ("GET", "*2\r\n:1\r\n:2\r\n"),
        ("GET", "+OK\r\n"),
        ("EVALSHA", "+OK\r\n"),
        ("EVALSHA", "$-1\r\n"),
        ("EVALSHA", "*0\r\n"),
        ("EVALSHA", "$3\r\nabc\r\n"),
        ("ROLE", ":1\r\n"),
        ("ROLE", "+OK\r\n"),
        ("ROLE", "$-1\r\n"),
        ("GET", "?what\r\n"),
        ("EVALSHA", "?what\r\n"),
    ] {
        let (_server, wire, house) = wired().await;
        let harm = async || wire.trick(command, 3, Act::Say(answer.to_owned()));
        let heal = async || assert!(wire.plain() > 0, "{command} was not asked");
        house.endures(Heard::Anything, harm, heal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_cut_short() {
    for (command, bytes) in [("GET", 0), ("GET", 3), ("EVALSHA", 0), ("EVALSHA", 1), ("ROLE", 0), ("ROLE", 9)] {
        let (_server, wire, house) = wired().await;
        let harm = async || wire.trick(command, 2, Act::CutAfter(bytes));
        house.endures(Heard::Anything, harm, async || assert!(wire.plain() > 0)).await;
    }
}

/// The answer to an earlier question arrives when nobody waits for it any more: it must not be taken for another's.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_late() {
    for (command, bytes) in [("GET", 0), ("GET", 2), ("EVALSHA", 0), ("EVALSHA", 1), ("ROLE", 5)] {
        let (_server, wire, house) = wired().await;
        let harm = async || wire.trick(command, FOR_EVER, Act::HoldAfter(bytes));
        let heal = async || assert!(wire.plain() > 0);
        house.endures(Heard::Refused(&[]), harm, heal).await;
    }
}

/// An answer told twice puts all that follow at the wrong place: the connection is given up.
#[tokio::test(flavor = "multi_thread")]
async fn answers_told_twice() {
    let (_server, wire, house) = wired().await;
    let harm = async || wire.trick("EVALSHA", 1, Act::Twice);
    house.endures(Heard::Anything, harm, async || assert_eq!(wire.plain(), 1)).await;
}
