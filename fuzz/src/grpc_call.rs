//! Any call of the contract over gRPC: the first byte picks it, the rest is its message. It is answered or refused in words,
//! with its reason, and is never the server's fault; what decodes comes back from its own bytes and its own JSON.

use std::cell::RefCell;

use ringfence::proto::v1;

use super::calls::{CALLS, Call, Server, framed, refusal};
use super::{house, http_call};

/// After so many calls the store is emptied: a find must not rest on thousands of calls before it.
const CALLS_EACH: u32 = 64;

/// The server of this thread, with what is in its store from the calls before.
pub fn with_server<T>(ask: impl FnOnce(&Server) -> T) -> T {
    thread_local! {
        static SERVER: RefCell<Option<(Server, u32)>> = const { RefCell::new(None) };
    }
    SERVER.with_borrow_mut(|slot| {
        let (server, calls) =
            slot.take().filter(|(_, calls)| *calls < CALLS_EACH).unwrap_or_else(|| (Server::new(), 0));
        let found = ask(&server);
        *slot = Some((server, calls + 1));
        found
    })
}

pub fn run(bytes: &[u8]) {
    let Some((pick, message)) = bytes.split_first() else { return };
    let Some(call) = CALLS.get(usize::from(*pick) % CALLS.len()) else { return };
    let decodes = (call.read)(message).is_some();
    let answered = with_server(|server| server.send(call.method, framed(message)));
    refusal(&answered.status);
    let streams = call.method == "CheckService/CheckStream";
    if !decodes && !streams {
        assert_eq!(answered.status.code(), tonic::Code::InvalidArgument, "{}: {:?}", call.method, answered.status);
    }
    match call.method {
        "CheckService/Check" => {
            let asked = <v1::CheckRequest as prost::Message>::decode(message).unwrap_or_default();
            if let Some(answer) = answered.sound::<v1::CheckResponse>() {
                house::decision(&answer.decision.expect("a decision"), &asked);
            }
        }
        "CheckService/CheckBatch" => {
            let asked = <v1::CheckBatchRequest as prost::Message>::decode(message).unwrap_or_default();
            if let Some(answer) = answered.sound::<v1::CheckBatchResponse>() {
                assert_eq!(answer.results.len(), asked.checks.len(), "a result for each row");
                for (result, asked) in answer.results.iter().zip(&asked.checks) {
                    match result.result.as_ref().expect("a result") {
                        v1::check_result::Result::Decision(found) => house::decision(found, asked),
                        v1::check_result::Result::Error(error) => house::said(&error.message),
                    }
                }
            }
        }
        _ => {}
    }
}

/// One well-formed message for every call, or an empty one.
pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |(pick, call): (usize, &Call)| {
        let message = http_call::example(call.method).map(|json| (call.bytes_of)(&json)).unwrap_or_default();
        [vec![u8::try_from(pick).expect("fewer than 256 calls")], message].concat()
    };
    CALLS.iter().enumerate().map(seed).collect()
}
