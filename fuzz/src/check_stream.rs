//! The messages of a `CheckStream`, each by itself: one that does not decode is answered with an error, and those after it
//! are answered too. The bytes are messages, each behind a byte that is its length; the first byte says whether the last of
//! them is cut off in its frame.

use prost::Message as _;
use ringfence::proto::v1;
use v1::check_result::Result as Found;

use super::calls::{framed, refusal};
use super::grpc_call::with_server;
use super::house;

/// More make a stream no other.
const MOST: usize = 40;

pub fn run(bytes: &[u8]) {
    let Some((form, rest)) = bytes.split_first() else { return };
    let messages = parted(rest);
    let mut body = messages.iter().flat_map(|message| framed(message)).collect::<Vec<_>>();
    let cut = form & 1 == 1 && body.pop().is_some();
    let sent = messages.len() - usize::from(cut);
    let answered = with_server(|server| server.send("CheckService/CheckStream", body));
    if !cut {
        refusal(&answered.status);
        assert_eq!(answered.status.code(), tonic::Code::Ok, "{:?}", answered.status);
    }
    assert!(answered.messages.len() == sent, "{} answers to {sent} messages", answered.messages.len());
    for (message, answer) in messages.iter().zip(&answered.messages) {
        let answer = v1::CheckStreamResponse::decode(answer.clone()).expect("an answer");
        let found = answer.result.and_then(|result| result.result).expect("a result");
        match (v1::CheckStreamRequest::decode(*message), found) {
            (Ok(asked), Found::Decision(found)) => house::decision(&found, &asked.check.unwrap_or_default()),
            (Ok(_), Found::Error(error)) => {
                house::said(&error.message);
                // An attempt_id that was used for another attempt; what is no fault of the caller's is none of the two.
                let codes = [tonic::Code::InvalidArgument as i32, tonic::Code::AlreadyExists as i32];
                assert!(codes.contains(&error.code), "{error:?}");
            }
            (Err(_), Found::Error(error)) => {
                house::said(&error.message);
                assert_eq!(error.code, tonic::Code::InvalidArgument as i32);
            }
            (Err(_), Found::Decision(found)) => panic!("an answer to what is no message: {found:?}"),
        }
    }
}

fn parted(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first()
        && messages.len() < MOST
    {
        let (message, after) = after.split_at(after.len().min(usize::from(*length)));
        messages.push(message);
        rest = after;
    }
    messages
}

pub fn seeds() -> Vec<Vec<u8>> {
    let check = |number: &str, seller: &str| {
        let check = v1::CheckRequest {
            number: number.to_owned(),
            channel: v1::Channel::Text.into(),
            purpose: v1::Purpose::Informational.into(),
            seller: seller.to_owned(),
            dry_run: true,
            ..v1::CheckRequest::default()
        };
        v1::CheckStreamRequest { check: Some(check) }.encode_to_vec()
    };
    let messages = [check("+12025550143", "acme"), b"\x0a\x03\x0a\x01\xff".to_vec(), check("abc", ""), Vec::new()];
    let parted = |messages: &[Vec<u8>]| {
        let each = |message: &Vec<u8>| {
            let mut piece = vec![u8::try_from(message.len()).expect("a short message")];
            piece.extend_from_slice(message);
            piece
        };
        messages.iter().flat_map(each).collect::<Vec<_>>()
    };
    vec![[vec![0], parted(&messages)].concat(), [vec![1], parted(&messages)].concat()]
}
