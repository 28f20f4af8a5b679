//! A check off the wire, all the way: decoded, validated, answered by an engine, and asked again with an opt-out beside it;
//! and let through or refused, by its bytes alone, by a server that has too much to do.

use std::cell::OnceCell;

use prost::Message as _;
use ringfence::access::Role;
use ringfence::engine::{Engine, Failure, question};
use ringfence::proto::{json, v1};

use super::calls::{Call, Server, framed, refusal};
use super::house;

pub fn run(bytes: &[u8]) {
    thread_local! {
        static SERVER: OnceCell<Server> = const { OnceCell::new() };
    }
    let Ok(asked) = v1::CheckRequest::decode(bytes) else {
        let answered = SERVER.with(|server| server.get_or_init(Server::new).send("CheckService/Check", framed(bytes)));
        refusal(&answered.status);
        return assert_eq!(answered.status.code(), tonic::Code::InvalidArgument);
    };
    house::round_trip(&asked);
    let read = question::read(&asked, None);
    if let Err(violations) = &read {
        house::faults(violations);
    }
    let engine = house::engine();
    let dry = v1::CheckRequest { dry_run: true, ..asked.clone() };
    let first = answer(&engine, &dry);
    assert_eq!(first.as_ref().map(timeless), answer(&engine, &dry).as_ref().map(timeless), "same inputs, same answer");
    stopped(&engine, &dry, first.as_ref());
    live(&engine, &asked);
    if first.is_some() {
        let numberless = v1::CheckRequest { number: String::new(), ..dry };
        assert_ne!(answer(&engine, &numberless).map(|found| found.verdict()), Some(v1::Verdict::Allow));
    }
    overload(&asked);
}

fn answer(engine: &Engine, asked: &v1::CheckRequest) -> Option<v1::Decision> {
    let answer = house::wait(engine.check(&house::permit(Role::Check), asked.clone(), house::clock()));
    match answer {
        Ok(found) => {
            house::decision(&found, asked);
            Some(found)
        }
        Err(Failure::Invalid(violations)) => {
            house::faults(&violations);
            None
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A decision without what differs from one to the next.
fn timeless(decision: &v1::Decision) -> v1::Decision {
    v1::Decision { decision_id: String::new(), attempt_id: String::new(), ..decision.clone() }
}

/// I6: an opt-out from everything closes what it can close, and opens nothing.
fn stopped(engine: &Engine, dry: &v1::CheckRequest, before: Option<&v1::Decision>) {
    let Some(before) = before else { return };
    let mut asked = dry.clone();
    let everything = v1::OptOutScope { everything: true, ..v1::OptOutScope::default() };
    let stop = v1::OptOut { scope: Some(everything), ..v1::OptOut::default() };
    asked.evidence.get_or_insert_default().opt_outs.push(stop);
    let Some(after) = answer(engine, &asked) else { return };
    let spared = asked.purpose() == v1::Purpose::Emergency || asked.legally_required;
    if !spared || before.verdict() == v1::Verdict::Deny {
        assert_eq!(after.verdict(), v1::Verdict::Deny, "{asked:?}");
    }
}

/// What is not a dry run is counted: asked again by its own id it is counted once.
fn live(engine: &Engine, asked: &v1::CheckRequest) {
    if asked.dry_run {
        return;
    }
    let Some(first) = answer(engine, asked).filter(|first| first.verdict() == v1::Verdict::Allow) else { return };
    let until = first.use_by.and_then(|at| at.to_millis()).expect("a reservation has its term");
    assert!(!first.attempt_id.is_empty() && until > house::DAY.millis(), "a reservation: {first:?}");
    let again = v1::CheckRequest { attempt_id: first.attempt_id.clone(), ..asked.clone() };
    let again = answer(engine, &again).expect("an answer");
    assert_eq!((again.verdict(), &again.attempt_id), (v1::Verdict::Allow, &first.attempt_id), "{:?}", again.reasons);
}

/// What is EMERGENCY is never refused for what else is asked; whatever else it is, it is refused.
fn overload(asked: &v1::CheckRequest) {
    thread_local! {
        static FULL: OnceCell<Server> = const { OnceCell::new() };
    }
    FULL.with(|server| {
        let server = server.get_or_init(Server::full);
        let urgent = asked.purpose == i32::from(v1::Purpose::Emergency);
        let dry = v1::CheckRequest { dry_run: true, ..asked.clone() };
        let answered = server.send("CheckService/Check", framed(&dry.encode_to_vec()));
        refusal(&answered.status);
        assert_eq!(answered.status.code() != tonic::Code::ResourceExhausted, urgent, "{:?}", answered.status);
        let batch = v1::CheckBatchRequest { checks: vec![v1::CheckRequest::default(), dry.clone()] };
        let answered = server.send("CheckService/CheckBatch", framed(&batch.encode_to_vec()));
        assert_eq!(answered.status.code() != tonic::Code::ResourceExhausted, urgent, "{:?}", answered.status);
        if let Ok(text) = serde_json::to_vec(&dry)
            && json::read::<v1::CheckRequest>(&text).is_ok()
        {
            let (code, _) = server.post("/v1/check", text);
            assert_eq!(code != http::StatusCode::TOO_MANY_REQUESTS, urgent);
        }
    });
}

/// The acceptance cases of the law, one of each length.
pub fn seeds() -> Vec<Vec<u8>> {
    let call = Call::named("CheckService/Check");
    let requests = super::http_call::accepted().into_iter().take(60);
    let mut seeds: Vec<_> = requests.map(|request| (call.bytes_of)(&request)).collect();
    let mut live = v1::CheckRequest::decode(seeds.first().expect("a case").as_slice()).expect("a check");
    live.dry_run = false;
    live.at = None;
    seeds.push(live.encode_to_vec());
    let urgent = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..live };
    seeds.push(urgent.encode_to_vec());
    seeds
}
