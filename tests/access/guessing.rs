//! Wrong keys by the dozen, from one address: none is answered without its wait, and no right one waits.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::credentials::{check, until};
use super::floods::{CHECK, HEADERS, Target, begun, call, ended, read_by_the_server};

/// Both ends of what is sent.
const WHOLE: u8 = 5;
const GUESSES: u32 = 64;

fn guess(stream: &mut TcpStream) {
    let guesses: Vec<u8> =
        (0..GUESSES).flat_map(|n| call(2 * n + 101, CHECK, Some(&format!("rfk_wrong{n}")), WHOLE)).collect();
    stream.write_all(&guesses).unwrap();
}

/// The frames that come, by their kinds, until there have been so many with headers; fewer: the connection ended.
fn answers(stream: &mut TcpStream, most: u32) -> u32 {
    stream.set_read_timeout(Some(Duration::from_secs(50))).unwrap();
    let mut answers = 0;
    while answers < most {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return answers;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        if stream.read_exact(&mut vec![0_u8; usize::try_from(length).unwrap()]).is_err() {
            return answers;
        }
        answers += u32::from(head[3] == HEADERS);
    }
    answers
}

#[test]
fn one_address_cannot_guess_without_waiting() {
    let target = Target::new(&[]);
    target.while_others_ask(|| {
        // Each of these would fill what may wait, and leave the next nothing to wait for.
        for _ in 0..3 {
            let mut stream = begun(target.server.grpc);
            guess(&mut stream);
            let answered = answers(&mut stream, GUESSES);
            assert!(answered < GUESSES / 2, "{answered} guesses were answered");
            println!("{answered} guesses were answered, and the connection ended after {:?} more", ended(stream));
        }
    });
    target.assert_cut("guessing");
    // Those that were cut off hold no place any more.
    let mut waited = Duration::ZERO;
    until("a guess is answered", || {
        let begun = Instant::now();
        let code = check(target.server.http, Some("rfk_wrong")).0;
        waited = begun.elapsed();
        code == 401
    });
    assert!(waited >= Duration::from_secs(5), "{waited:?}");
}

#[test]
fn a_connection_with_a_known_caller_stays_whoever_guesses_on_it() {
    let target = Target::new(&[]);
    let mut stream = begun(target.server.grpc);
    stream.write_all(&call(1, CHECK, Some(&target.key), WHOLE)).unwrap();
    assert_eq!(answers(&mut stream, 1), 1, "the caller is known");
    guess(&mut stream);
    assert_eq!(answers(&mut stream, GUESSES), GUESSES);
    read_by_the_server(&mut stream);
    assert!(!target.cut("guessing"));
}
