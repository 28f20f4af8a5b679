//! The behaviours owed to people and those who contact them: where each lives and which test shows it
//! (`tests/behaviours/table.md`), and tests of those that nothing else shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "behaviours/consent.rs"]
mod consent;
#[path = "behaviours/duties.rs"]
mod duties;
mod support;
#[path = "behaviours/table.rs"]
mod table;
#[path = "behaviours/withdrawal.rs"]
mod withdrawal;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ringfence::access::Role;
use ringfence::contact::wire::Violation;
use ringfence::decision::Postures;
use ringfence::engine::{Engine, Failure, Parts, Settings};
use ringfence::law::Law;
use ringfence::proto::v1;
use ringfence::proto::well_known::FieldMask;
use ringfence::registry::Registries;
use ringfence::store::{Keys, MemoryStore};
use ringfence::telemetry::Metrics;
use support::{clock, law, permit, stamp};

/// A mobile number in mainland China, and a Wednesday, 15:00 there.
const CHINA: &str = "+8613800138000";
const NOW: &str = "2026-11-18T07:00:00Z";
/// A landline in Florida.
const FLORIDA: &str = "+13055550123";

fn engine_with(law: Arc<Law>, settings: Settings) -> Arc<Engine> {
    Arc::new(Engine::new(Parts {
        store: Arc::new(MemoryStore::new()),
        keys: Keys::ephemeral().unwrap(),
        log: None,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law,
        settings,
        metrics: Arc::new(Metrics::default()),
    }))
}

/// An engine of a tenant that chose this reading of the packs.
fn choosing(posture: &str) -> Arc<Engine> {
    let postures = Postures { chosen: vec![posture.into()], ..Postures::default() };
    engine_with(law(), Settings { postures, ..Settings::default() })
}

/// A contact with the person in China for `acme` that counts nothing.
fn asking(channel: v1::Channel, purpose: v1::Purpose) -> v1::CheckRequest {
    v1::CheckRequest {
        number: CHINA.to_owned(),
        channel: channel.into(),
        technology: v1::Technology::Manual.into(),
        purpose: purpose.into(),
        recipient: v1::Recipient::Consumer.into(),
        seller: "acme".to_owned(),
        subject: "renewal".to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    }
}

/// A sales call by hand.
fn sale() -> v1::CheckRequest {
    asking(v1::Channel::Call, v1::Purpose::Marketing)
}

/// A service notice by text.
fn notice() -> v1::CheckRequest {
    asking(v1::Channel::Text, v1::Purpose::Informational)
}

/// A consent that a sales call or marketing text in China may rest on.
fn consent() -> v1::Consent {
    v1::Consent {
        grade: v1::ConsentGrade::Express.into(),
        given_at: stamp("2026-06-01T02:00:00Z"),
        method: v1::ConsentMethod::WebForm.into(),
        notice_given: Some(true),
        forced: Some(false),
        evidence_ref: "form-1".to_owned(),
        ..v1::Consent::default()
    }
}

async fn check(engine: &Engine, request: v1::CheckRequest) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(NOW)).await.unwrap()
}

async fn allows(engine: &Engine, request: v1::CheckRequest) -> bool {
    check(engine, request).await.verdict() == v1::Verdict::Allow
}

async fn record(engine: &Engine, consent: v1::Consent, id: &str) -> Result<v1::RecordConsentResponse, Failure> {
    let request = v1::RecordConsentRequest {
        number: CHINA.to_owned(),
        request_id: id.to_owned(),
        consent: Some(consent),
        ..v1::RecordConsentRequest::default()
    };
    engine.record_consent(&permit(Role::WriteConsent), request, clock(NOW)).await
}

async fn stop(engine: &Engine, scope: v1::OptOutScope, id: &str) -> v1::RecordOptOutResponse {
    let request = v1::RecordOptOutRequest { scope: Some(scope), ..support::opt_out(CHINA, id) };
    engine.record_opt_out(&permit(Role::WriteConsent), request, clock(NOW)).await.unwrap()
}

async fn update(engine: &Engine, field: &str, facts: v1::ContactFacts) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let request = v1::UpdateContactRequest {
        number: CHINA.to_owned(),
        request_id: format!("u-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        facts: Some(facts),
        update_mask: Some(FieldMask { paths: vec![field.to_owned()] }),
        ..v1::UpdateContactRequest::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), request, clock(NOW)).await.unwrap();
}

async fn kept(engine: &Engine) -> v1::Contact {
    let request = v1::GetContactRequest { number: CHINA.to_owned(), ..v1::GetContactRequest::default() };
    engine.contact(&permit(Role::ReadContacts), &request).await.unwrap()
}

fn rules(decision: &v1::Decision) -> Vec<&str> {
    decision.reasons.iter().map(|reason| reason.rule_id.as_str()).collect()
}

#[track_caller]
fn fields<T: std::fmt::Debug>(answer: Result<T, Failure>) -> Vec<String> {
    match answer {
        Err(Failure::Invalid(violations)) => violations.into_iter().map(|Violation { field, .. }| field).collect(),
        other => panic!("{other:?}"),
    }
}
