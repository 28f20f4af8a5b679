//! The rights of the person behind a number, over real stores: requests and their clocks, what holds at once, what waits
//! for identity, export, erasure and what it leaves, holds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "rights/clocks.rs"]
mod clocks;
#[path = "rights/erasure.rs"]
mod erasure;
#[path = "rights/races.rs"]
mod races;
#[path = "rights/redis.rs"]
mod redis;
#[path = "support/redis.rs"]
mod redis_server;
#[path = "rights/requests.rs"]
mod requests;
mod support;

use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1::{self, RightsRequestKind as Kind, RightsRequestStep as Step};
use support::{DAY, clock, florida, permit};

const NUMBER: &str = "+13055550123";
const FRENCH: &str = "+33612345678";

fn request(number: &str, kind: Kind, id: &str) -> v1::OpenRequestRequest {
    v1::OpenRequestRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        kind: kind.into(),
        ..v1::OpenRequestRequest::default()
    }
}

async fn opened(engine: &Engine, asked: v1::OpenRequestRequest) -> v1::RightsRequest {
    engine.open_request(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap().request.unwrap()
}

async fn step_at(engine: &Engine, id: &str, step: Step, note: &str, now: &str) -> Result<v1::RightsRequest, Failure> {
    let refusal_reason = if step == Step::Refuse { v1::RefusalReason::NothingKept.into() } else { 0 };
    let asked = v1::ResolveRequestRequest {
        rights_request_id: id.to_owned(),
        request_id: format!("{id} {} {now}", step.as_str_name()),
        step: step.into(),
        who: "ann".to_owned(),
        note: note.to_owned(),
        refusal_reason,
        at: None,
    };
    let answer = engine.resolve_request(&permit(Role::Privacy), asked, clock(now)).await;
    answer.map(|answer| answer.request.unwrap())
}

async fn step(engine: &Engine, id: &str, step: Step, note: &str) -> Result<v1::RightsRequest, Failure> {
    step_at(engine, id, step, note, DAY).await
}

/// A request of this kind, with identity shown.
async fn verified(engine: &Engine, number: &str, kind: Kind, id: &str) -> v1::RightsRequest {
    let asked = v1::OpenRequestRequest {
        identity_verified_by: "called back on this number, by ann".to_owned(),
        ..request(number, kind, id)
    };
    opened(engine, asked).await
}

async fn listed(engine: &Engine, asked: v1::ListRequestsRequest) -> v1::ListRequestsResponse {
    engine.list_requests(&permit(Role::Privacy), &asked, clock(DAY)).await.unwrap()
}

async fn kept(engine: &Engine, number: &str) -> Result<v1::Contact, Failure> {
    let asked = v1::GetContactRequest { number: number.to_owned(), ..v1::GetContactRequest::default() };
    engine.contact(&permit(Role::ReadContacts), &asked, crate::support::READ_AT).await
}

async fn shown(engine: &Engine, id: &str) -> v1::RightsRequest {
    let asked = v1::GetRequestRequest { rights_request_id: id.to_owned() };
    engine.get_request(&permit(Role::Privacy), &asked, crate::support::READ_AT).await.unwrap()
}

async fn check(engine: &Engine, request: v1::CheckRequest) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(DAY)).await.unwrap()
}

/// What those who follow opt-outs are told, in order.
async fn told(engine: &Engine) -> Vec<v1::OptOutEvent> {
    let mut told = Vec::new();
    for seq in 1..100 {
        told.extend(engine.event_at(0, seq).await.unwrap().map(|told| told.event));
    }
    told
}

fn dry(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, ..florida(number) }
}

/// A service notice, which no hour closes.
fn notice(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Informational.into(), evidence: None, ..dry(number) }
}

fn rules(decision: &v1::Decision) -> Vec<&str> {
    decision.reasons.iter().map(|reason| reason.rule_id.as_str()).collect()
}

#[track_caller]
fn fields<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Vec<String> {
    match answer {
        Err(Failure::Invalid(violations)) => violations.into_iter().map(|violation| violation.field).collect(),
        other => panic!("{other:?}"),
    }
}
