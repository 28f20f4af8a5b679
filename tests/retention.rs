//! Records go when nothing needs them any more, and not before: periods of the packs, holds, what a sweep removes and what
//! it must not, by one instance of many, and at the end of a tenant's service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[allow(dead_code, reason = "the questions of the twins, of which this uses a part")]
#[path = "twin/civil.rs"]
mod civil;
#[allow(dead_code, reason = "the questions of the twins, of which this uses a part")]
#[path = "twin/evidence.rs"]
mod evidence;
#[path = "support/forwarded.rs"]
mod forwarded;
#[path = "retention/held.rs"]
mod held;
#[path = "retention/incident.rs"]
mod incident;
#[path = "retention/kept.rs"]
mod kept;
#[path = "retention/opens_nothing.rs"]
mod opens_nothing;
#[path = "retention/periods.rs"]
mod periods;
#[path = "retention/policy.rs"]
mod policy;
#[allow(dead_code, reason = "the questions of the twins, of which this uses a part")]
#[path = "twin/questions.rs"]
mod questions;
#[allow(dead_code, reason = "the questions of the twins, of which this uses a part")]
#[path = "twin/random.rs"]
mod random;
mod support;
#[path = "retention/sweep.rs"]
mod sweep;

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::{Engine, Parts, Settings};
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::store::{Keys, Store};
use ringfence::telemetry::Metrics;
use support::{clock, law, permit, stamp};

/// A landline in Berlin.
const BERLIN: &str = "+4930231250";
/// A landline in Florida.
const FLORIDA: &str = "+13055550123";

/// Two instances over one store.
async fn pair(store: &Arc<dyn Store>, keys: &std::path::Path) -> [Arc<Engine>; 2] {
    let engine = async || {
        Arc::new(Engine::new(Parts {
            store: Arc::clone(store),
            keys: Keys::for_store(keys, None, &**store).await.unwrap(),
            log: None,
            registries: Arc::new(Registries::fixed(Vec::new())),
            law: law(),
            settings: Settings::default(),
            metrics: Arc::new(Metrics::default()),
        }))
    };
    [engine().await, engine().await]
}

/// A consent that a sales call in Germany may rest on.
fn consent(given_at: &str, policy_version: &str) -> v1::Consent {
    v1::Consent {
        grade: v1::ConsentGrade::ExpressWritten.into(),
        flags: vec![v1::ConsentFlag::Separate.into()],
        channels: vec![v1::Channel::Call.into(), v1::Channel::Text.into()],
        sellers: vec!["acme".to_owned()],
        given_at: stamp(given_at),
        policy_version: policy_version.to_owned(),
        obtained_from: "person".to_owned(),
        method: v1::ConsentMethod::WebForm.into(),
        wording: "Yes, acme may call me.".to_owned(),
        notice_given: Some(true),
        forced: Some(false),
        evidence_ref: "form-7".to_owned(),
        ..v1::Consent::default()
    }
}

async fn record(engine: &Engine, number: &str, consent: v1::Consent, id: &str, at: &str) -> String {
    let request = v1::RecordConsentRequest {
        number: number.to_owned(),
        request_id: id.to_owned(),
        consent: Some(consent),
        ..v1::RecordConsentRequest::default()
    };
    engine.record_consent(&permit(Role::WriteConsent), request, clock(at)).await.unwrap().consent_id
}

/// A sales call by hand to Berlin.
fn sale(seller: &str) -> v1::CheckRequest {
    v1::CheckRequest {
        number: BERLIN.to_owned(),
        channel: v1::Channel::Call.into(),
        technology: v1::Technology::Manual.into(),
        purpose: v1::Purpose::Marketing.into(),
        recipient: v1::Recipient::Consumer.into(),
        line_type: v1::LineType::Landline.into(),
        seller: seller.to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    }
}

async fn check(engine: &Engine, request: v1::CheckRequest, at: &str) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(at)).await.unwrap()
}

async fn contact(engine: &Engine, number: &str) -> v1::Contact {
    let request = v1::GetContactRequest { number: number.to_owned(), ..v1::GetContactRequest::default() };
    engine.contact(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await.unwrap()
}
